#!/usr/bin/env bash
# 10^8 clean messages take less than 1 MB of the embedded ledger; a week of samples some 3000 rows.
# shellcheck source=tests/ledger/lib.sh
. "$(dirname "$0")/lib.sh"

"$bin/bounded" "${COMMITS:-1000}" >"$work/out" 2>"$work/err"
is "the evidence is written" $? 0
sed 's/^/# /' "$work/out" "$work/err"
messages=$(value messages)
grown=$(($(value full_bytes) - $(value empty_bytes)))
ok "it stands for 10^8 messages" test "${messages:-0}" -ge 100000000
ok "the ledger grew by less than 1 MB: $grown bytes" test "$grown" -gt 0 -a "$grown" -lt 1000000
is "every outcome and intent is there after all the folding" "$(value acked) $(value intended)" "$messages $messages"
is "every sighting is there, once" "$(value witnessed) $(value distinct) $(value segmented)" "$messages $messages $messages"
rows=$(value week_rows)
# ten minutes of seconds, six hours of minutes, three days of tens, the rest of hours; twice, and borders
ok "a week of samples is folded to $rows rows" test "${rows:-0}" -gt 2000 -a "$rows" -lt 3000
is "and tells the same: counts, time, the worst, medians" \
	"$(value week_sent) $(value week_seconds) $(value week_p99) $(value week_p50)" "1814400 604800 77777 1003"
done_testing
