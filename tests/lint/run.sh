#!/bin/sh
# All rules of the house; sums up. Each script here can be run alone, prints what is wrong as
# "file:line: what", and exits 0 (good), 1 (findings) or 77 (not possible here, with the reason).
cd "$(dirname "$0")/../.." || exit 3

failed=''
skipped=''
for check in layers headers banned format functions shell; do
	output=$(sh "tests/lint/$check.sh" 2>&1)
	case $? in
	0) echo "  ok     $check" ;;
	77)
		echo "  skip   $check: $output"
		skipped="$skipped $check"
		;;
	*)
		echo "  FAIL   $check"
		printf '%s\n' "$output" | sed 's/^/         /'
		failed="$failed $check"
		;;
	esac
done
# in CI everything must be there
if [ -n "${CI:-}" ] && [ -n "$skipped" ]; then
	failed="$failed$skipped"
fi
if [ -n "$failed" ]; then
	echo "lint: failed:$failed"
	exit 1
fi
echo "lint: clean${skipped:+ (skipped:$skipped)}"
