#!/usr/bin/env bash
# The leader is cut off from its followers while the clients still reach it. acks=1 loses what it alone
# acknowledged: every one is named, and an independent reader misses exactly the same. The same fault at the
# same moment under acks=all with idempotence loses nothing.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

rate=300
python_env
lab_up
common=(--replica-assignment 1:2:3 --create-topic 1 --topic-config min.insync.replicas=2 -r "$rate")
"$mq" run "kafka://lab:$lab/one" --run one "${common[@]}" -X acks=1 >"$work/one.txt" 2>"$work/one.err" &
one=$!
"$mq" run "kafka://lab:$lab/all" --run all "${common[@]}" -X acks=all -X enable.idempotence=true \
	>"$work/all.txt" 2>"$work/all.err" &
all=$!
going() { report_is "$1" ".counts.read >= $2"; }
ok "acks=1 gets going" wait_until 60 going one $((rate * 2))
ok "acks=all gets going" wait_until 60 going all $((rate * 2))

leader() { "$mq" lab leader kafka one 0 --lab "$lab" 2>/dev/null; }
is "kafka1 leads" "$(leader)" kafka1
"$mq" lab fault isolate kafka1 --from brokers --lab "$lab" >"$work/fault.txt"
is "the fault goes on" $? 0
moved() { [ "$(leader)" != kafka1 ]; }
ok "the majority elects another leader" wait_until 60 moved
acked_before=$(report one .counts.acked)
more() { report_is one ".counts.acked >= $((acked_before + rate * 2))"; }
ok "the cut-off leader still acknowledges with acks=1" wait_until 60 more
"$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>&1
ok "the fault bit: packets were dropped" grep -qE '[1-9][0-9]* packets dropped in, [1-9]' "$work/heal.txt"
again() { report_is all ".counts.acked > $((rate * 3))"; }
ok "acks=all goes on after the heal" wait_until 60 again
# said while it went on, each by itself: the time, what, where, of whom, which, how many, why
live='^[0-2][0-9]:[0-5][0-9]:[0-5][0-9]  LOST at broker   producer 1\.1, partition 0, seq [0-9]+(-[0-9]+)? \([0-9,]+\)   [a-z].*$'
ok "the loss is said live" wait_until 60 grep -qE "$live" "$work/one.err"
kill -INT "$one" "$all"
wait "$one"; is "acks=1 ends with 1 (findings)" $? 1
wait "$all"; is "acks=all ends with 0 (pass)" $? 0

is "... nothing on the way was a warning" "$(grep -c warning "$work/one.err")" 0
is "... and nothing was said of acks=all" "$(grep -cE 'LOST|lost at' "$work/all.err")" 0

is "acks=1 FAIL" "$(report one .verdict)" FAIL
is "acks=all PASS" "$(report all .verdict)" PASS
is "both judges agree" "$(report one .agreed) $(report all .agreed)" "true true"
is "only lost is found" "$(report one '[.findings[] | select(.withdrawn == false) | "\(.kind) \(.stage)"] | unique | join(",")')" "lost broker"
is "nothing is found under acks=all" "$(report all '[.findings[] | select(.withdrawn == false)] | length')" 0

# the truth, by a reader that shares no code: everything was acked, so what it does not read is lost
python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" one >"$work/read.txt" || bail "the reader fails"
sent=$(report one .counts.acked)
is "everything was acked" "$(report one .counts.intended)" "$sent"
seq 1 "$sent" | sed 's/^/1.1.0./' | sort >"$work/sent.txt"
cut -d' ' -f1 "$work/read.txt" | sort -u >"$work/present.txt"
comm -23 "$work/sent.txt" "$work/present.txt" >"$work/truth.txt"
identities one lost >"$work/named.txt"
note "acks=1: $sent acked, $(wc -l <"$work/truth.txt") lost; acks=all: $(report all .counts.acked) acked, 0 lost"
ok "something was lost" test -s "$work/truth.txt"
ok "the lost ones are named, each and no other" cmp "$work/truth.txt" "$work/named.txt"

first=$(head -1 "$work/truth.txt")
"$mq" explain one "$first" >"$work/explain.txt"
ok "explain tells the fault and the finding" grep -q 'lost at broker' "$work/explain.txt"
done_testing
