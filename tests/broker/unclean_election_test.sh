#!/usr/bin/env bash
# An unclean election under a live checker: the leader alone acknowledges, the checker reads that, the leader
# dies, a replica that lags is elected and writes others at the same offsets. What was read and cut is lost,
# each by name, and nothing else, whether a checker saw it before or began only afterwards; the same fault at
# the same moment without unclean elections loses nothing.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

rate=${RATE:-1000}
python_env
lab_up --broker-config replica.lag.time.max.ms=5000
common=(--replica-assignment 1:2:3 --create-topic 1 --topic-config min.insync.replicas=1 -r "$rate" -q -X acks=all)
# one request in flight, so that a retry swaps nothing; no idempotence, whose state is cut off with the log
bad=("${common[@]}" --topic-config unclean.leader.election.enable=true -X max.in.flight=1)
"$mq" run "kafka://lab:$lab/seen" --run seen "${bad[@]}" >"$work/seen.txt" 2>"$work/seen.err" &
seen=$!
"$mq" run "kafka://lab:$lab/clean" --run clean "${common[@]}" -X enable.idempotence=true \
	--topic-config unclean.leader.election.enable=false >"$work/clean.txt" 2>"$work/clean.err" &
clean=$!
"$mq" probe "kafka://lab:$lab/late" --run late "${bad[@]}" >"$work/late.txt" 2>"$work/late.err" &
late=$!
read_of() { report_is "$1" ".counts.read >= $2"; }
acked_of() { report_is "$1" ".counts.acked >= $2"; }
ok "the unclean twin gets going" wait_until 60 read_of seen $((rate * 2))
ok "the clean twin gets going" wait_until 60 read_of clean $((rate * 2))
ok "the one that is checked later gets going" wait_until 60 acked_of late $((rate * 2))

# ---- the followers stand still: the leader goes on alone -----------------------------------------
isr() { # TOPIC: as a node other than kafka1 tells
	in_lab kafka-topics --bootstrap-server "$(other)" --describe --topic "$1" 2>/dev/null |
		sed -n 's/.*Isr: \([0-9,]*\).*/\1/p'
}
other() { "$mq" lab status kafka --lab "$lab" --format json | jq -r '.nodes[1].address + ":9092"'; }
leader() { "$mq" lab leader kafka "$1" 0 --lab "$lab" 2>/dev/null; }
is "kafka1 leads" "$(leader seen) $(leader clean) $(leader late)" "kafka1 kafka1 kafka1"
"$mq" lab fault isolate kafka1 --from fetches --lab "$lab" >"$work/fault.txt" 2>&1
is "the followers are kept from fetching" $? 0
blocked_at=$(report seen .counts.read)
late_at=$(report late .counts.acked)
alone() { [ "$(isr seen)" = 1 ] && [ "$(isr late)" = 1 ] && [ "$(isr clean)" = 1 ]; }
ok "the leader is alone in sync" wait_until 60 alone
# what the followers cannot have: acknowledged by the leader alone, and read by the checker
ok "it acknowledges alone, and the checker reads that" wait_until 60 read_of seen $((blocked_at + rate * 7))
ok "also what is checked later" wait_until 60 acked_of late $((late_at + rate * 7))
is "kafka1 still leads" "$(leader seen) $(leader late)" "kafka1 kafka1"
"$mq" lab fault kill kafka1 --lab "$lab" >>"$work/fault.txt" 2>&1
is "the leader is killed" $? 0
read_before=$(report seen .counts.read)

# ---- an unclean election: the offsets are used again ---------------------------------------------
elected() { l=$(leader "$1"); [ -n "$l" ] && [ "$l" != kafka1 ] && [ "$l" != none ]; }
ok "a replica that lags is elected" wait_until 60 elected seen
ok "the other one, too" wait_until 60 elected late
refilled() { [ "$(report seen .counts.acked)" -gt "$more_than" ]; }
more_than=$(report seen .counts.acked)
more_than=$((more_than + rate))
ok "acknowledging goes on" wait_until 60 refilled
"$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>&1
is "all is healed" $? 0
ok "the fault bit: fetches were dropped" grep -qE '[1-9][0-9]* packets dropped in' "$work/heal.txt"
again() { [ "$(report clean .counts.acked)" -gt "$acked_clean" ]; }
acked_clean=$(report clean .counts.acked)
ok "the clean twin goes on" wait_until 60 again
kill -INT "$seen" "$clean" "$late"
wait "$seen"; is "unclean: ends with 1 (findings)" $? 1
wait "$clean"; is "clean: ends with 0 (pass)" $? 0
wait "$late"; is "the probe that is checked later ends" $? 0
"$mq" check "kafka://lab:$lab/late" --run late -q >"$work/late.check" 2>&1
is "checked only after the truncation: ends with 1" $? 1

# ---- the truth, by a reader that shares no code --------------------------------------------------
sql() { psql -qAt "$("$mq" ledger status --format json | jq -r .conninfo)" -c "$1"; }
run_id() { echo "x'$(report "$1" .run.id)'::bigint"; }
judged() { # RUN
	is "$1: FAIL, both judges agree" "$(report "$1" '"\(.verdict) \(.agreed)"')" "FAIL true"
	is "$1: only lost is found" \
		"$(report "$1" '[.findings[] | select(.withdrawn == false) | "\(.kind) \(.stage)"] | unique | join(", ")')" \
		"lost broker"
	is "$1: everything was acked" "$(report "$1" .counts.acked)" "$(report "$1" .counts.intended)"
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$1" >"$work/$1.read" || bail "the reader fails"
	seq 1 "$(report "$1" .counts.acked)" | sed 's/^/1.1.0./' | sort >"$work/$1.sent"
	cut -d' ' -f1 "$work/$1.read" | sort -u >"$work/$1.present"
	comm -23 "$work/$1.sent" "$work/$1.present" >"$work/$1.truth"
	identities "$1" lost >"$work/$1.named"
	ok "$1: something was lost" test -s "$work/$1.truth"
	ok "$1: the lost ones are named, each and no other" cmp "$work/$1.truth" "$work/$1.named"
	is "$1: none is twice on the log" "$(cut -d' ' -f1 "$work/$1.read" | sort | uniq -d | wc -l)" 0
}
judged seen
judged late
is "clean: PASS, both judges agree, nothing found" \
	"$(report clean '"\(.verdict) \(.agreed) \([.findings[] | select(.withdrawn == false)] | length)"')" "PASS true 0"
is "clean: no cut" "$(sql "select count(*) from mqaudit.generation where run_id = $(run_id clean) and cause = 'cut'")" 0

# ---- the checker had read what was cut -----------------------------------------------------------
history="select w.lo, w.hi, w.first_offset, w.last_offset from mqaudit.witness w
	join mqaudit.generation g on g.run_id = w.run_id and g.side = w.side and g.isolation = w.isolation
		and g.partition = w.partition and g.generation = w.superseded
	where g.cause = 'cut' and w.run_id = $(run_id seen)"
ok "seen: a cut is on record" test "$(sql "select count(*) from mqaudit.generation where run_id = $(run_id seen) and cause = 'cut'")" -gt 0
sql "select distinct '1.1.0.' || s from ($history) h, generate_series(h.lo, h.hi) s" | sort >"$work/history"
comm -12 "$work/history" "$work/seen.truth" >"$work/read_then_cut"
ok "seen: it had read messages that were cut later" test "$(wc -l <"$work/read_then_cut")" -gt "$rate"
# at the same offsets others stand now
sql "select h.first_offset + s - h.lo || ' 1.1.0.' || s from ($history) h, generate_series(h.lo, h.hi) s
	where h.last_offset - h.first_offset = h.hi - h.lo" | sort -u >"$work/history.at"
awk '{ print $2, $1 }' "$work/seen.read" | sort >"$work/now.at"
join "$work/history.at" "$work/now.at" | awk '$2 != $3' | wc -l >"$work/reused"
ok "seen: at offsets where it had read others now stand" test "$(cat "$work/reused")" -gt 0
is "late: no cut was seen" "$(sql "select count(*) from mqaudit.generation where run_id = $(run_id late) and cause = 'cut'")" 0
whys() { report "$1" '[.findings[] | select(.kind == "lost" and .withdrawn == false) | .why | split(";")[0]] | unique | join(" | ")'; }
is "seen: why says so" "$(whys seen)" "truncated: seen earlier, gone now"
note "seen: read $read_before before the kill; $(report seen .counts.acked) acked, $(wc -l <"$work/seen.truth") lost," \
	"$(wc -l <"$work/read_then_cut") of them read before, $(cat "$work/reused") offsets used again; $(whys seen)"
note "late: $(report late .counts.acked) acked, $(wc -l <"$work/late.truth") lost; $(whys late)"
note "clean: $(report clean .counts.acked) acked"
done_testing
