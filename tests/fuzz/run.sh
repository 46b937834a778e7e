#!/bin/sh
# Fuzz the parsers: run.sh NAME|'' SECONDS. Without a name all targets share the time.
# Each target names the sources that it needs in lines of their own. What is found goes to build/fuzz/.
set -eu
cd "$(dirname "$0")/../.."

name=$1
seconds=$2
out=build/fuzz
case $seconds in
'' | *[!0-9]*)
	echo "fuzz: TIME=$seconds is not a number of seconds" >&2
	exit 2
	;;
esac

targets=''
for source in tests/fuzz/*_fuzz.c; do
	target=$(basename "$source" _fuzz.c)
	if [ -z "$name" ] || [ "$name" = "$target" ]; then
		targets="$targets $target"
	fi
done
# shellcheck disable=SC2086 # a list of words
set -- $targets
if [ $# -eq 0 ]; then
	echo "fuzz: no target '$name'; there are: $(cd tests/fuzz && echo *_fuzz.c | sed 's/_fuzz\.c//g')" >&2
	exit 2
fi
if ! command -v clang >/dev/null; then
	echo "fuzz: clang is not installed (gcc has no libFuzzer)" >&2
	exit 3
fi

each=$((seconds / $#))
[ "$each" -ge 1 ] || each=1
failed=''
for target; do
	source=tests/fuzz/${target}_fuzz.c
	needs=$(sed -n 's|^/\* needs: \(.*\) \*/$|\1|p' "$source")
	mkdir -p "$out/corpus/$target" "$out/found"
	echo "  FUZZ   $target, $each s"
	# shellcheck disable=SC2086 # a list of files
	clang -std=c17 -D_GNU_SOURCE -I. -g -O1 -fno-omit-frame-pointer \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-o "$out/$target" "$source" $needs
	# new inputs go to the first folder; the second one, the kept corpus, is only read
	if ! "$out/$target" -max_total_time="$each" -timeout=10 -rss_limit_mb=2048 -max_len=20000 \
		-artifact_prefix="$out/found/$target-" -print_final_stats=1 -verbosity=0 \
		"$out/corpus/$target" "tests/fuzz/corpus/$target" >"$out/$target.log" 2>&1; then
		failed="$failed $target"
		tail -n 40 "$out/$target.log" >&2
	fi
	sed -n 's/^stat::number_of_executed_units: */         executions: /p' "$out/$target.log"
done
if [ -n "$failed" ]; then
	echo "fuzz: found in:$failed (inputs in $out/found)" >&2
	exit 1
fi
