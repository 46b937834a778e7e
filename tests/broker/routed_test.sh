#!/usr/bin/env bash
# --routed-stream: a stream beside the queue proves what was routed. What the queue lost and what never got there are told
# apart, each by name, by an independent client's doing; a second copy on the way is a repeat; what the queue refused
# was promised to nobody; a queue that is not bound is noticed. And messages that are published again while the probe is
# killed.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
"$mq" lab up rabbitmq --nodes "${NODES:-1}" --lab "$lab" --until-pid $$ >"$work/lab.log" 2>&1 || bail "no lab: $(tail -3 "$work/lab.log")"
url() { echo "amqp://lab:$lab/$1"; }
client() { # an independent one
	timeout 120 "$mq" lab exec rabbitmq --lab "$lab" -- "$top/build/venv/bin/python" "$top/tests/broker/tools/queue.py" "$@" ||
		bail "the independent client: $*"
}
queues() { # NAME:TYPE...
	client bind x "$@"
}
probe() { # RUN OPTIONS...: through the exchange, to the queue of that name
	timeout 120 "$mq" probe "$(url "$1")" --run "$1" --exchange x -q "${@:2}" >"$work/$1.probe" 2>&1 || bail "$(cat "$work/$1.probe")"
}
check() { # RUN OPTIONS...
	timeout 180 "$mq" check "$(url "$1")" --run "$1" -q "${@:2}" >"$work/$1.check" 2>&1
	code=$?
}
verdict() { echo "$code $(report "$1" '"\(.verdict) \(.agreed)"')"; }
sums() { report "$1" '[.sums[] | "\(.kind) \(.stage) \(.count)"] | sort | join(", ")'; }
why_of() { report "$1" '[.findings[] | select(.kind == "'"$2"'") | .why] | unique | join("; ")'; }
reasons() { report "$1" '.reasons | join("; ")'; }
refused() { # NAME TEXT URL OPTIONS...: with exit code 2 or 3, and nothing is left in the ledger
	local name=$1 text=$2
	timeout 60 "$mq" probe "$3" --run refused -n 10 -q --routed-stream "${@:4}" >"$work/out" 2>&1
	code=$?
	ok "$name: refused" [ $code -eq 2 -o $code -eq 3 ]
	ok "$name: it says why" grep -q -- "$text" "$work/out"
	is "$name: no run is left" "$("$mq" runs --format json | jq '[.runs[] | select(.name == "refused")] | length')" 0
}

# --- what cannot be
queues plain:classic
refused "the default exchange" "nothing can be bound to the default exchange" "$(url plain)"
refused "no such exchange" "nowhere" "$(url plain)" --exchange nowhere
refused "a queue that is not bound" "routes what has the key 'unbound' to no queue" "$(url unbound)" --exchange x --create-queue classic
ok "... and what to do" grep -q "bind queue 'unbound' to it" "$work/out"
refused "a stream" "is for a classic or quorum queue" "$(url astream)" --exchange x --create-queue stream

# --- nothing happens
for kind in classic quorum; do
	queues "clean-$kind:$kind"
	timeout 120 "$mq" run "$(url "clean-$kind")" --exchange x --routed-stream --run "clean-$kind" -r 3000 -n 6000 -q >"$work/clean.txt" 2>&1
	code=$?
	is "$kind: clean" "$(verdict "clean-$kind") $(sums "clean-$kind")" "0 PASS true "
	is "$kind: each was routed once, and given once" "$(report "clean-$kind" '[.counts.distinct, .counts.extra, .counts.target_distinct,
		.counts.target_extra, .counts.target_redelivered] | join(" ")')" "6000 0 6000 0 0"
done

# --- lost in the queue, repeated on the way to it and in it, never routed
for kind in classic quorum; do
	name=planted-$kind
	queues "$name:$kind" "$name-2:classic"
	probe "$name" --routed-stream -n 2000
	# another producer of the run misses the queue, and so the stream
	probe "$name" --producer-id 2 -n 300 --routing-key nowhere
	client relay "$name" "$name-2" drop:5 drop:70 drop:71 repeat:100 again:200 again:300
	client relay "$name-2" "$name"
	client copy "$name" x 900 901 902
	check "$name" --drain end --no-policy
	is "$name: FAIL" "$(verdict "$name") $(sums "$name")" \
		"1 FAIL true duplicated produce 5, lost broker 303, redelivered consume 1"
	is "$name: lost, by name, and where" "$(identities "$name" lost | grep '^1\.' | paste -sd' ') $(why_of "$name" lost)" \
		"1.1.0.5 1.1.0.70 1.1.0.71 never routed: not in the routed stream either; routed, and the queue has not given it: lost in the queue"
	is "$name: of the other producer's all were never routed" \
		"$(report "$name" '[.findings[] | select(.kind == "lost" and .producer_id == 2) | "\(.count) \(.why)"] | join("; ")')" \
		"300 never routed: not in the routed stream either"
	is "$name: a second copy on the way, and another attempt, are repeats" "$(identities "$name" duplicated | sort -t. -k4n | paste -sd' ')" \
		"1.1.0.200 1.1.0.300 1.1.0.900 1.1.0.901 1.1.0.902"
	is "$name: the same attempt given again by the queue is not" "$(identities "$name" redelivered)" 1.1.0.100
done
timeout 60 "$mq" probe "$(url plain)" --run later --exchange x -n 10 -q >/dev/null 2>&1
timeout 60 "$mq" probe "$(url plain)" --run later --exchange x --routed-stream -n 10 -q >"$work/out" 2>&1
is "a run that began without it gets none" "$? $(grep -c "run 'later' began without --routed-stream" "$work/out")" "3 1"
check planted-classic --drain end
is "policy may have taken what the queue had, and not what never got there" "$(verdict planted-classic) $(reasons planted-classic | grep -c '^3 messages')" \
	"1 FAIL true 1"
explains() { "$mq" explain planted-classic "$1" | tr -s ' \n' ' ' | grep -q -- "$2"; } # IDENTITY TEXT
ok "explain: routed, and lost in the queue" explains 1.1.0.70 "It was routed to the queue, as the stream beside it shows"
ok "explain: never routed" explains 2.1.0.7 "acknowledged, and routed to nothing"
ok "explain: what was routed" explains 1.1.0.900 "in the routed stream, partition 0, offset 899 "
ok "explain: what the queue gave" explains 1.1.0.900 "from the queue, delivery 900 "

# --- what the queue refused is in the stream all the same
queues full:classic:100
probe full --routed-stream -n 300 -r 300
check full --drain end
# one place of a hundred has what the bindings were tried with
is "a full queue: nothing was promised" "$(verdict full) $(sums full)" "0 PASS true unacknowledged produce 201"
is "... all of it was routed" "$(report full '"\(.counts.unknown) \(.counts.distinct) \(.counts.target_distinct)"') $(why_of full unacknowledged)" \
	"201 300 99 nobody could say; it was routed, and the queue has not given it"

# --- the queue's binding goes, which the stream hides from confirms and from mandatory
queues loose:classic
probe loose --routed-stream -n 500
client unbind x loose
probe loose --producer-id 2 -n 200 --routed-stream --mandatory
check loose --drain end --no-policy --fence-timeout 5s
is "not bound any more: undecided, and no loss is claimed" "$(verdict loose) $(sums loose)" "4 UNDECIDED true pending broker 200"
ok "... the binding is asked for" grep -q "is 'loose' bound to exchange 'x' with key 'loose'" <(reasons loose)

# --- published again, by a probe that is killed: a queue that refuses most of it, until it is drained
queues again:classic:300
for ((i = 1; i <= ${KILLS:-3}; i++)); do
	"$mq" probe "$(url again)" --run again --exchange x --routed-stream --republish-unknown -r 1000 -d 60s \
		--promise exactly-once -q >"$work/again.probe" 2>&1 &
	prober=$!
	ok "kill $i: some are published again" wait_until 60 report_is again "[.producers[] | select(.epoch == $i)] | length == 1"
	ok "... more than the queue takes" wait_until 30 report_is again ".counts.intended > $((i * 700))"
	sleep "0.$((RANDOM % 9 + 1))"
	kill -KILL "$prober"
	wait "$prober" 2>/dev/null
	"$mq" recover --run again >/dev/null 2>&1 || bail "the journal is not shipped"
done
timeout 120 "$mq" run "$(url again)" --run again --exchange x --routed-stream --republish-unknown -n 2000 -r 1000 --promise exactly-once \
	--no-policy --drain live -q >"$work/again.txt" 2>"$work/again.err"
code=$?
is "published again, killed ${KILLS:-3} times: each acked message is there, once" "$(verdict again) $(report again '[.sums[] |
	select(.kind != "unacknowledged" and .kind != "reordered") | "\(.kind) \(.count)"] | join(", ")')" "0 PASS true "
is "... so it was given" "$(report again '.counts.target_distinct - .counts.acked >= 0')" true
ok "... and was routed more than once" report_is again '.counts.extra > 0'
note "published again: $(report again '.counts | "\(.intended) intended, \(.acked) acked, \(.unknown) unknown, \(.none) none, \(.extra) extra routed"')"
done_testing
