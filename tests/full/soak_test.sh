#!/usr/bin/env bash
# A quiet audit for a while, 4 producers on each of 12 partitions: probe and checker stay small, and so does what
# they leave in the ledger. MINUTES (10), RATE (20k).
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

minutes=${MINUTES:-10}
rate=${RATE:-20k}
note "MINUTES=$minutes RATE=$rate"
lab_up --nodes 1
"$mq" run "kafka://lab:$lab/first" --run first --create-topic 12 -n 1k -q >/dev/null || bail "no run"
psql=$("$mq" ledger status | sed -n 's/.*psql "\(.*\)".*/\1/p' | head -1)
size() {
	psql "$psql" -At -c "select sum(pg_total_relation_size(c.oid))::int8 from pg_class c join pg_namespace n
		on n.oid = relnamespace where nspname = 'mqaudit' and relkind = 'r'"
}
"$mq" run "kafka://lab:$lab/soak" --run soak --create-topic 12 --producers 4 -r "$rate" -d "${minutes}m" -q >"$work/soak.txt" 2>&1 &
runner=$!
sleep $((minutes * 60 * 9 / 10))
hwm() { awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$1/status" 2>/dev/null; }
children=$(pgrep -P "$runner")
for p in $children; do
	peak=$(hwm "$p")
	note "$(tr '\0' ' ' <"/proc/$p/cmdline" | cut -d' ' -f2): ${peak} MiB at most"
	ok "a part of the run needs less than 128 MiB" test "${peak:-1000}" -lt 128
done
ok "the parts of the run were looked at" test -n "$children"
wait "$runner"
is "PASS" "$? $(report soak .verdict)" "0 PASS"
highest=$(size)
"$mq" ledger gc >/dev/null || bail "no gc"
rows=$(psql "$psql" -At -c "select (select count(*) from mqaudit.outcome), (select count(*) from mqaudit.intent),
	(select count(*) from mqaudit.witness), (select count(*) from mqaudit.segment)")
note "$(report soak .counts.acked) messages; the ledger had $((highest / 1000000)) MB, and $(size) bytes after gc"
note "rows of outcome, intent, witness, segment: $rows"
# what the last ten seconds told is kept exactly, and then folded
ok "the ledger stays below 100 MB" test "$highest" -lt 100000000
ok "a hundred rows a lane at most are left" test "$(tr '|' '\n' <<<"$rows" | sort -n | tail -1)" -lt 4800
done_testing
