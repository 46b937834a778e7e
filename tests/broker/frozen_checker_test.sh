#!/usr/bin/env bash
# A checker is frozen in mid-run, another one takes over. Thawed beside its successor, while that still reads or
# after it has judged, the old one gives up and says so; nothing is counted twice, and the report is that of a
# run that nobody disturbed. Frozen in the middle of a transaction, it does not hold its successor up either.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up
url() { echo "kafka://lab:$lab/$1"; }
sql() { psql -qAt "$("$mq" ledger status --format json | jq -r .conninfo)" -c "$1"; }
run_id() { echo "x'$(report "$1" .run.id)'::bigint"; }
read_of() { report_is "$1" ".counts.read >= $2"; }
frozen() { [ "$(awk '{ print $3 }' "/proc/$1/stat")" = T ]; }
gone() { ! kill -0 "$1" 2>/dev/null || [ "$(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null)" = Z ]; }
freeze() { # PID: and see that it bit
	kill -STOP "$1"
	wait_until 10 frozen "$1"
}
probe() { # NAME COUNT
	"$mq" probe "$(url "$1")" --run "$1" --create-topic 3:3 -n "$2" -r 5k -q -X acks=all -X enable.idempotence=true \
		>"$work/$1.probe" 2>&1
}
follow() { # NAME: sets $old
	"$mq" check "$(url "$1")" --run "$1" --follow -q >"$work/$1.old" 2>&1 &
	old=$!
}
gave_up() { # NAME
	wait_until 20 gone "$old" || note "it goes on: $(cat "$work/$1.old")"
	gone "$old" || kill -KILL "$old"
	wait "$old"
	is "$1: the thawed one ends with an error" $? 3
	is "$1: and says why, once" "$(grep -c 'another checker has taken over' "$work/$1.old")" 1
}
# what a report says, without times and names, and how the messages fell to the lanes
what() { report "$1" '{verdict, exit_code, promise, fenced, agreed, reasons, counts, findings, sums,
	lanes: (.lanes | length), intended: ([.lanes[].intended] | add), acked: ([.lanes[].acked] | add)}'; }
exact() { # NAME COUNT: against an independent reader, and each position counted once
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$1" >"$work/$1.read" || bail "the reader fails"
	is "$1: an independent reader finds each once" "$(cut -d' ' -f1 "$work/$1.read" | sort -u | wc -l) $(wc -l <"$work/$1.read")" "$2 $2"
	is "$1: counted the same" "$(report "$1" '"\(.verdict) \(.agreed) \(.counts.acked) \(.counts.distinct) \(.counts.extra)"')" "PASS true $2 $2 0"
	ok "$1: nobody's latency counts twice" report_is "$1" ".latency.end_to_end.n > 0 and .latency.end_to_end.n <= $2"
	is "$1: evidence covers each position once" "$(sql "select sum(last_offset - first_offset + 1) from mqaudit.witness
		where run_id = $(run_id "$1") and superseded is null")" "$2"
}

# ---- undisturbed ---------------------------------------------------------------------------------
count=60000
probe calm $count &
prober=$!
known() { [ -n "$(report calm .run.id)" ]; }
ok "the undisturbed run begins" wait_until 30 known
"$mq" check "$(url calm)" --run calm -q >"$work/calm.check" 2>&1
is "undisturbed: PASS" $? 0
wait "$prober"
exact calm $count
what calm >"$work/calm.what"
ok "a report was compared at all" grep -q '"PASS"' "$work/calm.what"

# ---- thawed while its successor reads ------------------------------------------------------------
probe beside $count &
prober=$!
known() { [ -n "$(report beside .run.id)" ]; }
ok "beside: begins" wait_until 30 known
follow beside
ok "beside: the first checker reads" wait_until 30 read_of beside 5000
ok "beside: it is frozen" freeze "$old"
at=$(report beside .counts.read)
"$mq" check "$(url beside)" --run beside -q >"$work/beside.check" 2>&1 &
new=$!
ok "beside: another one goes on" wait_until 30 read_of beside $((at + 3000))
ok "beside: the probe still sends" kill -0 "$prober"
kill -CONT "$old"
gave_up beside
wait "$prober"
wait "$new"
is "beside: PASS" $? 0
exact beside $count
is "beside: the report is that of an undisturbed run" "$(what beside)" "$(cat "$work/calm.what")"

# ---- thawed after the verdict --------------------------------------------------------------------
probe after $count &
prober=$!
known() { [ -n "$(report after .run.id)" ]; }
ok "after: begins" wait_until 30 known
follow after
ok "after: the first checker reads" wait_until 30 read_of after 5000
ok "after: it is frozen" freeze "$old"
"$mq" check "$(url after)" --run after -q >"$work/after.check" 2>&1
is "after: another one judges" $? 0
wait "$prober"
report after . >"$work/after.before"
ok "after: still frozen" frozen "$old"
kill -CONT "$old"
gave_up after
report after . >"$work/after.after"
ok "after: not a word of the report has changed" cmp "$work/after.before" "$work/after.after"
exact after $count
is "after: the report is that of an undisturbed run" "$(what after)" "$(cat "$work/calm.what")"

# ---- nothing left to read: it cannot notice before it would judge --------------------------------
probe idle 3000
follow idle
ok "idle: the first checker has read all" wait_until 30 read_of idle 3000
ok "idle: it is frozen" freeze "$old"
"$mq" check "$(url idle)" --run idle --no-fence -q >"$work/idle.check" 2>&1
is "idle: another one judges, and writes nothing" $? 0
# what it had read is in the ledger, so its account of itself may come late: once
report idle 'del(.latency.end_to_end, .latency.checkers, .checkers)' >"$work/idle.before"
kill -CONT "$old"
kill -INT "$old"
gave_up idle
report idle 'del(.latency.end_to_end, .latency.checkers, .checkers)' >"$work/idle.after"
ok "idle: no verdict, count or finding has changed" cmp "$work/idle.before" "$work/idle.after"
exact idle 3000

# ---- frozen in the middle of a transaction -------------------------------------------------------
probe inside 40000 &
prober=$!
known() { [ -n "$(report inside .run.id)" ]; }
ok "inside: begins" wait_until 30 known
follow inside
ok "inside: the first checker reads" wait_until 30 read_of inside 3000
# its next commit takes long enough to be caught in
sql "create function mqaudit.slow() returns trigger language plpgsql as 'begin perform pg_sleep(1); return new; end';
	create trigger slow after insert on mqaudit.segment for each statement execute function mqaudit.slow()"
sleeping() { [ "$(sql "select count(*) from pg_stat_activity where wait_event = 'PgSleep'")" = 1 ]; }
ok "inside: it is in a transaction" wait_until 10 sleeping
ok "inside: it is frozen there" freeze "$old"
open_still() { [ "$(sql "select count(*) from pg_stat_activity where state = 'idle in transaction'")" = 1 ]; }
ok "inside: the transaction stays open" wait_until 10 open_still
sql "create or replace function mqaudit.slow() returns trigger language plpgsql as 'begin return new; end'"
"$mq" check "$(url inside)" --run inside -q >"$work/inside.check" 2>&1
is "inside: another one is not held up for good, and judges" "$? $(tail -1 "$work/inside.check")" "0 PASS"
wait "$prober"
report inside . >"$work/inside.before"
kill -CONT "$old"
gave_up inside
report inside . >"$work/inside.after"
ok "inside: not a word of the report has changed" cmp "$work/inside.before" "$work/inside.after"
exact inside 40000
done_testing
