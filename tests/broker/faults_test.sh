#!/usr/bin/env bash
# Each fault of the network and of a process, on a real lab: it is put on, proves with numbers that it bites,
# heals, and the node answers; and an audit across it says what it should. Faults heal by themselves, whoever
# is killed. Nothing is left.
# shellcheck source=../lib.sh disable=SC2317 # functions are called by name
. "$(dirname "$0")/../lib.sh"

status() { "$mq" lab status kafka --lab "$lab" --format json 2>/dev/null; }
status_is() { [ "$(status | jq "$1")" = true ]; }
pid_of() { status | jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .pid'; }
state_of() { sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f1; }
is_in_state() { [ "$(state_of "$1")" = "$2" ]; }
no_faults() { status_is '.faults == []'; }
all_answer() { status_is '[.nodes[] | .answers == true] | all'; }
# every nftables table, qdisc and proxy of ours in the lab's namespaces
on_the_network() {
	local ns
	for ns in $(status | jq -r '[.client_namespace, .nodes[].namespace][]'); do
		ip netns exec "${ns##*/}" nft list tables | grep mqaudit_
		ip netns exec "${ns##*/}" tc qdisc | grep 6d71:
	done
}
network_is_clean() { [ -z "$(on_the_network)" ]; }
fault() { "$mq" lab fault "$@" --lab "$lab" >"$work/fault.txt" 2>&1; }
heal() { "$mq" lab heal "$@" --lab "$lab" >"$work/heal.txt" 2>&1; }
says() { grep -qE "$1" "$work/$2.txt" || { sed 's/^/# /' "$work/$2.txt"; false; }; }
proved() { status_is '.faults | length > 0 and all(.proof != "")'; }

lab_up
healthy="-X acks=all -X enable.idempotence=true"

# --- wrong use changes nothing

refused() { # ARGUMENTS...: with exit code 2
	local code=0
	fault "$@" || code=$?
	[ "$code" -eq 2 ] || { sed 's/^/# /' "$work/fault.txt"; false; }
}
ok "an unknown fault is wrong use" refused harm kafka1
ok "... isolate from nobody" refused isolate kafka1
ok "... a loss of nothing" refused loss kafka1 --percent 0
ok "... an argument that the fault does not take" refused freeze kafka1 --rate 64kbit
ok "... slow without a rate" refused slow kafka1
ok "... a cut without a point" refused proxy kafka1 --mode cut
ok "... a request of no kind" refused proxy kafka1 --mode cut --after-request nonsense
ok "... a process that is not there" refused freeze kafka1 --until-pid 4194303
heal nonsense
is "... to heal what never was" $? 2
ok "nothing is on" no_faults

# --- one audit across them all, with settings that must survive each

# shellcheck disable=SC2086 # words
"$mq" run "kafka://lab:$lab/across" --run across --replica-assignment 1:2:3 --create-topic 1 \
	--topic-config min.insync.replicas=2 -r 500 $healthy >"$work/across.txt" 2>"$work/across.err" &
across=$!
acked() { report "$1" .counts.acked; }
acked_more() { report_is "$1" ".counts.acked >= $2"; }
ok "the audit gets going" wait_until 60 acked_more across 500

# on, bites, off, and the audit goes on; the proof is read when it is healed
on_and_off() { # NAME PROOF ARGUMENTS...
	local name=$1 proof=$2 before; shift 2
	fault "$@"
	is "$name: goes on" $? 0
	ok "$name: proves that it bites" wait_until 20 proved
	heal
	is "$name: heals" $? 0
	ok "$name: ... with numbers" says "$proof" heal
	ok "$name: leaves nothing" network_is_clean
	before=$(acked across)
	ok "$name: the audit goes on" wait_until 30 acked_more across $((before + 100))
}
some='[1-9][0-9]*'
on_and_off "isolated from clients, in" "$some packets dropped in, 0 out" isolate kafka1 --from clients --direction in
on_and_off "isolated from clients, out" "0 packets dropped in, $some out" isolate kafka1 --from clients --direction out
on_and_off "isolated from brokers, in" "$some packets dropped in, 0 out" isolate kafka1 --from brokers --direction in
on_and_off "isolated from brokers, out" "0 packets dropped in, $some out" isolate kafka1 --from brokers --direction out
on_and_off "fetches cut" "$some packets dropped in, 0 out" isolate kafka1 --from fetches
on_and_off "loss" "$some packets dropped in, $some out|$some packets dropped in|, $some out" loss kafka1 --percent 20
on_and_off "slow" "in: [1-9][0-9,]* bytes, .*($some times held back|$some packets waiting)" slow kafka1 --rate 64kbit
on_and_off "slow fetches" "out: [1-9][0-9,]* bytes, .*($some times held back|$some packets waiting)" \
	slow kafka1 --rate 64kbit --from fetches --direction out
on_and_off "reset" "$some packets reset in" reset kafka1 --from clients
on_and_off "answers dropped" "0 packets dropped in, $some out" answers kafka1
on_and_off "proxy cuts after bytes" "$some times?: connection cut after 20480 bytes" \
	proxy kafka1 --mode cut --after-bytes 20k
on_and_off "proxy stalls" "held back for good.*; [1-9][0-9]* held back" proxy kafka1 --mode stall --way answers
on_and_off "proxy delays" "held back for a while.*, [1-9][0-9]* late" proxy kafka1 --mode delay --delay 100ms
on_and_off "proxy throttles" "passed on slowly.*, [1-9][0-9]* late" proxy kafka1 --mode throttle --rate 16k
on_and_off "proxy stops a request" "produce request .* was not passed on" \
	proxy kafka1 --mode cut --after-request produce --way requests --once
on_and_off "freeze" 'stands still \(state T\) for' freeze kafka1

# --- frozen, really; and thawed, whoever froze it

pid=$(pid_of kafka3)
fault freeze kafka3 --for 2s
is "freeze for a time" $? 0
is "... the process stands still" "$(state_of "$pid")" T
fault freeze kafka3
is "... not twice" $? 3
ok "... and goes on by itself" wait_until 5 is_in_state "$pid" S
ok "... with nothing left on" wait_until 5 no_faults
kill -STOP "$pid"
ok "frozen from outside" wait_until 5 is_in_state "$pid" T
heal
ok "... heal thaws it" is_in_state "$pid" S
ok "all nodes answer" all_answer

# --- a reset is for both ends: also for a client that only listens while the node talks

in_node() { nsenter --net="$(status | jq -r '.nodes[0].namespace')" "$@"; }
talk='import socket, time
s = socket.create_server(("", 9999))
c = s.accept()[0]
while True:
    c.send(b"x")
    time.sleep(0.01)'
listen='import socket, sys
c = socket.create_connection((sys.argv[1], 9999))
c.settimeout(20)
try:
    while c.recv(100):
        print("heard", flush=True)
    print("closed")
except OSError as e:
    print(type(e).__name__)'
in_node python3 -c "$talk" >"$work/talk.txt" 2>&1 &
talks() { in_node ss -ltn | grep -q :9999; }
ok "a server in the node's place" wait_until 10 talks
"$mq" lab exec kafka --lab "$lab" -- python3 -c "$listen" \
	"$(status | jq -r '.nodes[0].address' | cut -d: -f1)" >"$work/listen.txt" 2>&1 &
listener=$!
ok "a client listens" wait_until 10 grep -q heard "$work/listen.txt"
fault reset kafka1 --from clients
wait "$listener"
is "reset: the client that only listens is told" "$(tail -1 "$work/listen.txt")" ConnectionResetError
gone() { ! talks; }
ok "... and so is the node's end" wait_until 10 gone
heal

# --- heal of some

fault isolate kafka2 --from clients
fault isolate kafka3 --from clients
fault loss kafka3 --percent 5 --from brokers
heal kafka2
ok "heal of one node heals that one" status_is '[.faults[].node] == ["kafka3", "kafka3"]'
ok "... and says that others are on" says '^2 faults are still on' heal
id=$(status | jq -r '.faults[1].id')
heal "$id"
ok "heal of one fault heals that one" status_is '[.faults[].kind] == ["isolate"]'
heal "$id"
is "... twice is fine" $? 0
heal
ok "heal of all" no_faults

# --- faults end by themselves: the command killed at some instant, the process that they hang on killed

left_on=0
for delay in 0 0.005 0.01 0.02 0.03 0.05 0.08 0.12 0.2 0.4; do
	"$mq" lab fault isolate kafka2 --from brokers --for 1500ms --lab "$lab" >/dev/null 2>&1 &
	killed=$!
	sleep "$delay"
	kill -KILL "$killed" 2>/dev/null
	wait "$killed" 2>/dev/null
	# its deadline, and the time that looking takes
	{ wait_until 4 no_faults && network_is_clean; } || left_on=$((left_on + 1))
done
is "killed at ten instants, a fault is over at its deadline" "$left_on" 0
sleep 600 &
holder=$!
fault proxy kafka2 --mode delay --delay 10ms --until-pid "$holder"
fault slow kafka2 --rate 1mbit --until-pid "$holder" --for 10m
ok "two faults that hang on a process" status_is '.faults | length == 2'
proxy=$(status | jq '.faults[0].pid')
guards=$(status | jq '.faults[].guard_pid')
kill -KILL "$holder"
wait "$holder" 2>/dev/null
ok "... end with it" wait_until 5 no_faults
ok "... from the network too" network_is_clean
gone() { ! kill -0 "$1" 2>/dev/null; }
ok "... with the proxy" wait_until 5 gone "$proxy"
for guard in $guards; do ok "... and with their guards" wait_until 5 gone "$guard"; done
# two who heal the same at the same time
fault isolate kafka2 --from brokers --for 1s
for i in 1 2 3 4 5 6 7 8 9 10; do heal || bail "heal $i fails: $(cat "$work/heal.txt")"; sleep 0.15; done
ok "heal beside the guard is fine" no_faults

# --- the audit across all that

kill -INT "$across"
wait "$across"
is "the audit across every fault: PASS" "$? $(report across .verdict)" "0 PASS"
is "... nothing found" "$(report across '[.findings[] | select(.withdrawn == false)] | length')" 0
applied=$(grep -c '"kind":"fault".*"edge":"begin"' "$MQAUDIT_STATE/lab/$lab/kafka/events.jsonl")
note "$applied faults were put on, $(report across .counts.acked) messages acknowledged across them"
is "each fault is in the report with its beginning and end" \
	"$(report across '[.events[] | select(.kind == "fault" and .until != null)] | length')" "$applied"

# --- answers dropped, and one answer cut off: the request was stored, and is sent again without idempotence

retry="-X socket.timeout.ms=2000 -X request.timeout.ms=1500 -X acks=all"
plain="-X acks=all"
twins=()
twin() { # NAME LEADERS OPTIONS...
	local name=$1 leaders=$2; shift 2
	"$mq" run "kafka://lab:$lab/$name" --run "$name" --replica-assignment "$leaders" --create-topic 1 \
		--topic-config min.insync.replicas=2 -r 300 "$@" >"$work/$name.txt" 2>"$work/$name.err" &
	twins+=($!)
}
all_get_going() { for run; do ok "$run gets going" wait_until 60 acked_more "$run" 300; done; }
end_twins() {
	kill -INT "${twins[@]}"
	wait "${twins[@]}"
	twins=()
}
found() { report "$1" '[.findings[] | select(.withdrawn == false) | "\(.kind) \(.stage)"] | unique | join(", ")'; }

# shellcheck disable=SC2086 # words
twin drop-plain 1:2:3 $retry -X enable.idempotence=false
# shellcheck disable=SC2086
twin drop-safe 1:2:3 $retry -X enable.idempotence=true
all_get_going drop-plain drop-safe
fault answers kafka1 --for 4s
ok "answers dropped for a time" wait_until 10 no_faults
for run in drop-plain drop-safe; do
	before=$(acked $run)
	ok "$run goes on" wait_until 60 acked_more $run $((before + 300))
done
end_twins
is "answers dropped, without idempotence: duplicated" "$(report drop-plain .verdict) $(found drop-plain)" \
	"FAIL duplicated produce"
is "answers dropped, with idempotence: nothing" "$(report drop-safe .verdict) $(found drop-safe)" "PASS "
note "answers dropped for 4 s: $(report drop-plain .counts.duplicated) duplicated of $(report drop-plain .counts.intended)"

# each twin is led by another node, which has a proxy of its own, before any of its connections is there
fault proxy kafka1 kafka2 kafka3 --mode cut --after-request produce:100 --once
# shellcheck disable=SC2086 # words
{
	twin cut-plain 1:2:3 $plain -X enable.idempotence=false
	twin cut-safe 2:3:1 $plain -X enable.idempotence=true
	twin cut-never 3:1:2 $plain -X enable.idempotence=false -X retries=0 -X max.in.flight=1
}
all_get_going cut-plain cut-safe cut-never
ok "each answer is cut off" wait_until 60 proved
heal
is "... once for each" "$(grep -cE '1 time: produce request [0-9]+ of [0-9]+ bytes got through, its answer of [0-9]+ bytes was not passed on' "$work/heal.txt")" 3
for run in cut-plain cut-safe cut-never; do
	before=$(acked $run)
	ok "$run goes on" wait_until 60 acked_more $run $((before + 300))
done
end_twins
is "one answer cut off, without idempotence: duplicated" "$(report cut-plain .verdict) $(found cut-plain)" \
	"FAIL duplicated produce"
is "... exactly one batch: neighbours, each twice" \
	"$(report cut-plain '.findings | length == 1 and .[0].count == .[0].hi - .[0].lo + 1')" true
is "one answer cut off, with idempotence: nothing" "$(report cut-safe .verdict) $(found cut-safe)" "PASS "
# (the end of the proxy may hold a request back: that one is unknown as well, and not there)
is "one answer cut off, without a retry: unknown, and present" \
	"$(report cut-never '[.verdict, .counts.unknown > 0, .counts.distinct > .counts.acked, .counts.acked + .counts.unknown == .counts.intended, .counts.distinct + .counts.unacknowledged == .counts.intended, .counts.extra] | join(" ")')" \
	"PASS true true true true 0"
note "one answer cut off: $(report cut-plain .counts.duplicated) duplicated; $(report cut-never .counts.unknown) unknown"

# --- a freeze that a client with patience survives

# shellcheck disable=SC2086
twin frozen 2:3:1 $healthy
all_get_going frozen
fault freeze kafka2 --for 12s
ok "the leader is frozen for longer than its session" wait_until 20 no_faults
before=$(acked frozen)
ok "frozen goes on" wait_until 60 acked_more frozen $((before + 300))
heal
end_twins
is "a frozen leader, good settings: PASS" "$(report frozen .verdict) $(found frozen)" "PASS "

# --- `lab down` with faults on

fault freeze kafka3 --for 10m
fault slow kafka2 --rate 1mbit
fault proxy kafka1 --mode stall --until-pid $$
fault isolate kafka2 --from controllers --for 10m
pids=$(status | jq '.nodes[].pid, (.faults[] | .pid, .guard_pid) | select(. > 0)')
spaces=$(status | jq -r '[.client_namespace, .nodes[].namespace][]')
is "faults are on" "$(status | jq '.faults | length')" 4
is "... with nodes, guards and a proxy" "$(wc -w <<<"$pids")" 7
"$mq" lab down --lab "$lab" >"$work/down.txt" 2>&1
is "lab down with faults on" $? 0
for pid in $pids; do ok "process $pid is gone" wait_until 5 gone "$pid"; done
for space in $spaces; do ok "no namespace ${space##*/}" test ! -e "$space"; done
ok "no file" test ! -e "$MQAUDIT_STATE/lab/$lab"
done_testing
