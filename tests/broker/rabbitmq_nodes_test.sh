#!/usr/bin/env bash
# RabbitMQ's client and checker on several nodes: what conforms only with replicas, a stream that is read where it has
# one, its leader killed, and whoever takes from a queue while it is emptied.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

conformance=${CONFORMANCE:-$top/build/rel/tests/conformance/conformance}
[ -x "$conformance" ] || bail "the suite is not built: make ${conformance#"$top"/}"
python_env
"$mq" lab up rabbitmq --lab "$lab" --until-pid $$ >"$work/lab.log" 2>&1 || bail "no lab: $(tail -3 "$work/lab.log")"
url() { echo "amqp://lab:$lab/$1"; }
inside() { "$mq" lab exec rabbitmq --lab "$lab" -- "$@"; }
fault() { "$mq" lab fault "$@" --lab "$lab" >>"$work/lab.log" 2>&1; }
heal() { "$mq" lab heal --lab "$lab" >>"$work/lab.log" 2>&1; }
state() { "$mq" lab status rabbitmq --lab "$lab" --format json | jq -r "$1"; }
password=$(state .password_file)
address() { state ".bootstrap | split(\",\")[$1 - 1]"; } # N: of the n-th node

note "killed and started: what has replicas goes on"
cat >"$work/hook" <<-EOF
	#!/bin/bash
	case \$1 in
	kill) "$mq" lab fault kill rabbitmq1 --lab $lab ;;
	heal) "$mq" lab heal --lab $lab ;;
	*) exit 77 ;;
	esac
EOF
chmod 755 "$work/hook"
for kind in quorum stream; do
	timeout 300 "$conformance" "$(url "conformance-$kind")" --create "x-queue-type=$kind" --hook "$work/hook" \
		--part faults --only 'killed*' >"$work/$kind.out" 2>&1
	is "$kind: conforms" "$? $(grep -c '^ok [0-9]' "$work/$kind.out")" "0 $([ $kind = stream ] && echo 2 || echo 1)"
	while IFS= read -r line; do note "$line"; done < <(grep -vE '^ok |^1\.\.' "$work/$kind.out")
done

note "a stream with one replica, on the third node"
inside "$mq" probe "amqp://mqaudit@$(address 3)/%2F/far" --password-file "$password" --run far-made -n 1 \
	--create-queue stream --queue-argument x-initial-cluster-size=1 >"$work/far.out" 2>&1 || bail "$(cat "$work/far.out")"
is "it has no other" "$(inside rabbitmqctl -q list_queues --no-table-headers name members 2>/dev/null | grep -c "^far.\[rabbit@[0-9.]*\]$")" 1
inside timeout 60 "$mq" run "amqp://mqaudit@$(address 1)/%2F/far" --password-file "$password" --run far-1 -n 10 -q \
	>"$work/far.out" 2>&1
is "from a node without it is not read" "$?" 3
ok "... which is said" grep -q "PRECONDITION_FAILED - .* does not have a replica on the local node" "$work/far.out"
inside timeout 60 "$mq" run "amqp://mqaudit@$(state .bootstrap)/%2F/far" --password-file "$password" --run far -n 20000 -q \
	>"$work/far.out" 2>&1
is "with all nodes to choose from it is" "$? $(report far '[.counts.acked, .counts.distinct, .counts.extra] | join(" ")')" "0 20000 20000 0"

note "a stream with three replicas, and its leader killed"
timeout 120 "$mq" run "$(url near)" --run near --create-queue stream -n 25k -r 2500 -q >"$work/near.out" 2>&1 &
run=$!
ok "a run begins" wait_until 60 report_is near '.counts.acked > 3000'
fault kill "$("$mq" lab leader rabbitmq near --lab "$lab")"
ok "others take over: it goes on" wait_until 60 report_is near '.counts.acked > 10000'
heal
wait "$run"
is "nothing is lost" "$?" 0
ok "... or read twice, and all of it to the fence" report_is near '.fenced and .counts.extra == 0 and
	.counts.acked + .counts.unknown == 25000 and .counts.distinct >= .counts.acked and
	.counts.read == .counts.distinct + .counts.fences'
note "$(report near '.counts | "acked \(.acked), unknown \(.unknown), read \(.read)"')"

# at its end a queue may take longer than a fence, as long as it gets less
note "somebody takes from a quorum queue while it is emptied, which it lets him beside an exclusive consumer"
"$mq" probe "$(url taken)" --run taken --create-queue quorum -n 2500 -q >"$work/taken.out" 2>&1 || bail "$(cat "$work/taken.out")"
timeout 120 "$mq" check "$(url taken)" --run taken --drain end --no-policy -X prefetch=30 --fence-timeout 6s -q >>"$work/taken.out" 2>&1 &
check=$!
ok "it is being emptied" wait_until 60 report_is taken '.counts.distinct > 0'
timeout 120 "$mq" lab exec rabbitmq --lab "$lab" -- "$top/build/venv/bin/python" "$top/tests/broker/tools/queue.py" \
	take taken 5 100 >"$work/taken.txt" &
thief=$!
wait "$check"
code=$?
kill "$thief" && wait "$thief" 2>/dev/null
is "he has some" "$(wc -l <"$work/taken.txt")" 5
is "what he may have is not surely lost: UNDECIDED" "$code $(report taken '.reasons | map(if type == "string" then . else .text end) |
	map(select(test("1 other consumers took"))) | length')" "4 1"
is "... those he took are named" "$(comm -23 <(sort "$work/taken.txt") <(identities taken lost))" ""
ok "... and at most what he was given beside them" test "$(report taken .counts.lost)" -le 6
done_testing
