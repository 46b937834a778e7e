#!/bin/bash
# A log that is cut, and grows beyond the reader before anybody hints at it: what counts in the end is what the
# log holds. TAP; needs the build in $B (build/rel). SEED and ROUNDS choose others.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$(realpath "$root/${B:-build/rel}")
top=$(mktemp -d /tmp/mqaudit-overgrown-test.XXXXXX)
chmod 755 "$top"
export MQAUDIT_PROGRAM=$bin/mqaudit
export MQAUDIT_STATE=$top/state
export LC_ALL=C
unset MQAUDIT_LEDGER MQAUDIT_PG_PATH MQAUDIT_LEDGER_IDLE
n=0
failed=0

result() { # 0|1 NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

value() { # NAME: the first number of that name
	sed -n "s/^$1 \([0-9]*\)$/\1/p" "$top/out" | head -n 1
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	"$MQAUDIT_PROGRAM" ledger stop >/dev/null 2>&1
	if [ "$failed" -eq 0 ]; then rm -rf "$top"; else echo "# left behind: $top"; fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM

seed=${SEED:-$RANDOM}
echo 1..4
timeout 300 "$bin/tests/ledger/overgrown" "${ROUNDS:-10}" "$seed" >"$top/out" 2>"$top/err"
result $? "the log is cut and read, SEED=$seed"
sed 's/^/# /' "$top/out" "$top/err"
[ "$(value cuts_made)" -ge 20 ] && [ "$(value overgrown)" -ge 10 ]
result $? "it was cut often, and often grew beyond the reader before the next look"
[ "$(value cuts_found)" -ge 10 ]
result $? "cuts were found"
[ "$(value wrong)" = 0 ]
result $? "what counts in the end is what the log holds, each once"
exit "$failed"
