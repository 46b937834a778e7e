#!/bin/bash
# 10^8 clean messages take less than 1 MB of the embedded ledger. TAP; needs the build in $B (build/rel).
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$(realpath "$root/${B:-build/rel}")
top=$(mktemp -d /tmp/mqaudit-bounded-test.XXXXXX)
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

echo 1..7
"$bin/tests/ledger/bounded" "${COMMITS:-1000}" >"$top/out" 2>"$top/err"
result $? "the evidence is written"
sed 's/^/# /' "$top/out" "$top/err"
messages=$(value messages)
grown=$(($(value full_bytes) - $(value empty_bytes)))
[ "${messages:-0}" -ge 100000000 ]
result $? "it stands for 10^8 messages"
[ "$grown" -gt 0 ] && [ "$grown" -lt 1000000 ]
result $? "the ledger grew by less than 1 MB: $grown bytes"
[ "$(value acked)" = "$messages" ] && [ "$(value intended)" = "$messages" ]
result $? "every outcome and intent is there after all the folding"
[ "$(value witnessed)" = "$messages" ] && [ "$(value distinct)" = "$messages" ] &&
	[ "$(value segmented)" = "$messages" ]
result $? "every sighting is there, once"
rows=$(value week_rows)
# ten minutes of seconds, six hours of minutes, three days of tens, the rest of hours; twice, and borders
[ "${rows:-0}" -gt 2000 ] && [ "$rows" -lt 3000 ]
result $? "a week of samples is folded to $rows rows"
[ "$(value week_sent)" = 1814400 ] && [ "$(value week_seconds)" = 604800 ] &&
	[ "$(value week_p99)" = 77777 ] && [ "$(value week_p50)" = 1003 ]
result $? "and tells the same: counts, time, medians, the worst"
exit "$failed"
