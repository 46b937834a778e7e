#!/usr/bin/env bash
# A node that a probe was connected to is frozen when the run ends: what it was sent may still come, so the
# verdict waits for it, and without it is UNDECIDED, by name; thawed, the same run gets its verdict. A fault of
# the lab that is still on: the same. A healthy run waits for nothing.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up
lab_url() { echo "kafka://lab:$lab/$1"; }
node() { "$mq" lab status kafka --lab "$lab" --format json | jq -r '.nodes[] | select(.name == "'"$1"'") | .'"$2"; }
acked_of() { report_is "$1" ".counts.acked >= $2"; }
in_state() { [ "$(awk '{ print $3 }' "/proc/$1/stat")" = "$2" ]; }
freeze() { # NODE: and see that it bit
	frozen=$(node "$1" pid)
	kill -STOP "$frozen" && wait_until 10 in_state "$frozen" T
}
all_in_sync() { # TOPIC
	[ "$(in_lab kafka-topics --bootstrap-server "$(bootstrap)" --describe --topic "$1" 2>/dev/null |
		sed -n 's/.*Isr: \([0-9,]*\).*/\1/p' | tr -d ',\n' | wc -c)" -eq 9 ]
}
thaw() { # TOPIC
	kill -CONT "$frozen"
	wait_until 60 all_in_sync "$1"
}
trap 'kill -CONT "${frozen:-}" 2>/dev/null; cleanup' EXIT
# In the lab's network, but by addresses, as on somebody's own cluster: no lab is known that could tell.
plain_url() { echo "kafka://$(bootstrap)/$1"; }
# a client that soon turns to the new leader, and outcomes that wait for that
good=(-q -X acks=all -X enable.idempotence=true -X socket.timeout.ms=5000 --flush-timeout 60s)
exact() { # RUN TOPIC: what was counted is what an independent reader reads
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$1" >"$work/$1.read" || bail "the reader fails"
	is "$1: all is there, each once, as an independent reader counts" \
		"$(cut -d' ' -f1 "$work/$1.read" | sort -u | wc -l) $(wc -l <"$work/$1.read")" \
		"$(report "$1" '"\(.counts.acked) \(.counts.distinct + .counts.extra)"')"
}

# ---- healthy -------------------------------------------------------------------------------------
in_lab "$mq" probe "$(plain_url healthy)" --run healthy --create-topic 3:3 -n 3000 "${good[@]}" >"$work/healthy.probe" 2>&1
is "healthy: the probe ends" $? 0
in_lab "$mq" check "$(plain_url healthy)" --run healthy --settle 60s -q >"$work/healthy.check" 2>&1
is "healthy: PASS, and no settle time was waited for" "$? $(report healthy .verdict)" "0 PASS"
is "healthy: one fence for each partition" "$(report healthy .counts.read)" 3003
exact healthy

# ---- frozen at the end, on a cluster like any other ----------------------------------------------
in_lab "$mq" probe "$(plain_url away)" --run away --create-topic 3:3 -r 1k "${good[@]}" >"$work/away.probe" 2>&1 &
prober=$!
ok "frozen: gets going" wait_until 60 acked_of away 3000
ok "frozen: kafka2 stands still" freeze kafka2
at=$(report away .counts.acked)
ok "frozen: others lead, and it goes on" wait_until 60 acked_of away $((at + 2000))
# nsenter in between hands no signal on: the probe itself is told to end
kill -INT "$(report away '.producers[0].pid')"
wait "$prober"
is "frozen: the probe ends in order" $? 0
ok "frozen: kafka2 still" in_state "$frozen" T
in_lab "$mq" check "$(plain_url away)" --run away --fence-timeout 12s -q >"$work/away.check" 2>&1
is "frozen: UNDECIDED" "$? $(report away '"\(.verdict) \(.agreed)"')" "4 UNDECIDED true"
note "frozen: $(report away '.reasons | join(" | ")')"
ok "frozen: a reason names the node and says what to do" report_is away \
	'.reasons | map(select(test("node 2 at '"$(node kafka2 address)"':.* does not answer.*bring the node back and check again"))) | length == 1'
is "frozen: nothing is found" "$(report away '[.findings[] | select(.withdrawn == false)] | length')" 0

# the verdict waits for it
: >"$work/away.waits"
in_lab "$mq" check "$(plain_url away)" --run away --fence-timeout 120s >"$work/away.waits" 2>&1 &
checker=$!
waits() { grep -q 'nodes' "$work/away.waits"; }
ok "frozen: checked again, the verdict waits for the node" wait_until 60 waits
ok "frozen: and is not there yet" report_is away '.verdict == "UNDECIDED"'
ok "thawed" thaw away
wait "$checker"
is "thawed: PASS" "$? $(report away '"\(.verdict) \(.agreed) \(.reasons | length)"')" "0 PASS true 0"
ok "thawed: it was fenced twice: the second time behind the settle time" report_is away '.counts.fences >= 6'
exact away

# ---- frozen at the end, in the lab ---------------------------------------------------------------
"$mq" probe "$(lab_url inside)" --run inside --create-topic 3:3 -r 1k "${good[@]}" >"$work/inside.probe" 2>&1 &
prober=$!
ok "lab: gets going" wait_until 60 acked_of inside 3000
ok "lab: kafka3 stands still" freeze kafka3
at=$(report inside .counts.acked)
ok "lab: others lead, and it goes on" wait_until 60 acked_of inside $((at + 2000))
kill -INT "$prober"
wait "$prober"
is "lab: the probe ends in order" $? 0
"$mq" check "$(lab_url inside)" --run inside --fence-timeout 10s -q >"$work/inside.check" 2>&1
is "lab: UNDECIDED" "$? $(report inside '"\(.verdict) \(.agreed)"')" "4 UNDECIDED true"
ok "lab: a reason says how the node stands" report_is inside '.reasons | map(select(test("^node kafka3 of the lab is frozen: "))) | length == 1'
note "lab: $(report inside '.reasons | join(" | ")')"
ok "lab: thawed" thaw inside
"$mq" check "$(lab_url inside)" --run inside -q >"$work/inside.again" 2>&1
is "lab: thawed and checked again: PASS" "$? $(report inside '"\(.verdict) \(.agreed) \(.reasons | length)"')" "0 PASS true 0"
exact inside

# a run that saw nothing of it: the lab tells
"$mq" probe "$(lab_url saw)" --run saw --create-topic 3:3 -n 3000 "${good[@]}" >"$work/saw.probe" 2>&1
ok "lab: kafka3 stands still after a healthy run" freeze kafka3
"$mq" check "$(lab_url saw)" --run saw -q >"$work/saw.check" 2>&1
is "lab: UNDECIDED, for this reason alone" \
	"$? $(report saw '"\(.verdict) \(.reasons | length) \(.reasons[0] | test("^node kafka3 of the lab is frozen: "))"')" \
	"4 UNDECIDED 1 true"
ok "lab: thawed again" thaw saw
"$mq" check "$(lab_url saw)" --run saw -q >"$work/saw.again" 2>&1
is "lab: thawed and checked again: PASS, too" "$? $(report saw '"\(.verdict) \(.agreed) \(.reasons | length)"')" "0 PASS true 0"
exact saw

# ---- a recorded fault is still on ----------------------------------------------------------------
"$mq" probe "$(lab_url fault)" --run fault --create-topic 3:3 -n 3000 "${good[@]}" >"$work/fault.probe" 2>&1
is "fault: the probe ends" $? 0
"$mq" lab fault isolate kafka1 --from controllers --direction in --lab "$lab" >"$work/fault.txt" 2>&1
is "fault: it goes on" $? 0
"$mq" check "$(lab_url fault)" --run fault -q >"$work/fault.check" 2>&1
is "fault: UNDECIDED" "$? $(report fault '"\(.verdict) \(.agreed)"')" "4 UNDECIDED true"
ok "fault: the reason names it" report_is fault '.reasons | map(select(test("faults are still on: kafka1 .*isolate"))) | length == 1'
"$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>&1
is "fault: healed" $? 0
"$mq" check "$(lab_url fault)" --run fault -q >"$work/fault.again" 2>&1
is "fault: healed and checked again: PASS" "$? $(report fault '"\(.verdict) \(.agreed) \(.reasons | length)"')" "0 PASS true 0"
exact fault
done_testing
