#!/usr/bin/env bash
# An audit of RabbitMQ's queues on a real cluster: clean runs of each kind; what an independent client planted is found,
# each by name and nothing else; what a restart took is what that client misses; a checker may be killed at any
# instant; what others took is never called lost (of policies: rabbitmq_policy_test.sh). KILLS (3).
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
"$mq" lab up rabbitmq --lab "$lab" --until-pid $$ >"$work/lab.log" 2>&1 || bail "no lab: $(tail -3 "$work/lab.log")"
url() { echo "amqp://lab:$lab/$1"; }
client() { # an independent one
	timeout 120 "$mq" lab exec rabbitmq --lab "$lab" -- "$top/build/venv/bin/python" "$top/tests/broker/tools/queue.py" "$@"
}
rabbit() { "$mq" lab exec rabbitmq --lab "$lab" -- "$@"; }
probe() { # RUN OPTIONS...: to the queue of that name
	timeout 120 "$mq" probe "$(url "$1")" --run "$1" -q "${@:2}" >"$work/$1.probe" 2>&1
}
check() { # RUN OPTIONS...
	timeout 180 "$mq" check "$(url "$1")" --run "$1" -q "${@:2}" >"$work/$1.check" 2>&1
}
queue() { # classic|quorum|stream: options that make it
	echo "--create-topic 1 --topic-config x-queue-type=$1"
}
why() { report "$1" '.reasons | map(if type == "string" then . else .text end) | join("; ")'; }

# --- nothing happens
for kind in classic quorum stream; do
	# shellcheck disable=SC2046 # options
	timeout 120 "$mq" run "$(url "clean-$kind")" $(queue $kind) --run "clean-$kind" --rate 3000 --count 9000 -q \
		>"$work/clean-$kind.txt" 2>"$work/err"
	is "$kind: clean" "$?" 0
	is "$kind: each was read once, and the fence" "$(report "clean-$kind" '[.verdict, .counts.acked, .counts.distinct,
		.counts.extra, .counts.redelivered, .counts.read - .counts.fences] | join(" ")')" "PASS 9000 9000 0 0 9000"
done

# --- what an independent client plants in the queue, for several seeds
for seed in ${SEEDS:-1 2 3}; do
	RANDOM=$seed
	for kind in classic quorum; do
		name=planted-$kind-$seed
		# shellcheck disable=SC2046
		probe "$name" $(queue $kind) --count 2000 || bail "$(cat "$work/$name.probe")"
		# ten of each, no two of them neighbours
		mapfile -t seqs < <(seq 3 3 1997 | shuf --random-source=<(yes "$seed$kind") | head -40)
		orders=()
		for i in "${!seqs[@]}"; do
			what=(drop repeat swap again)
			orders+=("${what[i % 4]}:${seqs[i]}")
		done
		rabbit rabbitmqctl -q eval 'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>,queue,<<"'"$name-2"'">>),true,false,
			[{<<"x-queue-type">>,longstr,<<"classic">>}],none,<<"test">>).' >/dev/null 2>&1 || bail "no second queue"
		client relay "$name" "$name-2" "${orders[@]}" && client relay "$name-2" "$name" || bail "the relay fails"
		check "$name" --drain end --no-policy
		is "$name: FAIL" "$?" 1
		for pair in drop:lost repeat:redelivered swap:reordered again:duplicated; do
			planted=$(printf '%s\n' "${orders[@]}" | sed -n "s/^${pair%:*}://p" | sed 's/^/1.1.0./' | sort)
			is "$name: ${pair#*:}, each and no other" "$(identities "$name" "${pair#*:}")" "$planted"
		done
		is "$name: nothing else" "$(report "$name" '[.findings[].kind] | unique | join(" ")')" "duplicated lost redelivered reordered"
	done
done
name=straight
# shellcheck disable=SC2046
probe "$name" $(queue classic) --count 2000
rabbit rabbitmqctl -q eval 'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>,queue,<<"straight-2">>),true,false,[],none,<<"test">>).' \
	>/dev/null 2>&1
client relay straight straight-2 && client relay straight-2 straight
check straight --drain end
is "its clean twin: PASS" "$? $(report straight '.findings | length')" "0 0"

# --- a queue that gives little ahead of what is settled does not wait for the next turn of the ledger, 150 ms later
# shellcheck disable=SC2046
probe little-ahead $(queue quorum) --count 4000
echo prefetch=40 >"$work/little.properties"
check little-ahead --drain end --consumer-config "$work/little.properties"
is "40 at a time: PASS" "$? $(report little-ahead .counts.distinct)" "0 4000"
ok "... and not 40 in each 150 ms ($(report little-ahead '.checkers[-1].read_ms') ms)" \
	report_is little-ahead '.checkers[-1].read_ms < 10000'

# --- a node ends in order: what was transient is gone, confirmed or not, and nothing else
# shellcheck disable=SC2046
probe restarted $(queue classic) --count 3000
probe restarted --producer-id 2 --count 3000 -X persistent=false
is "both kinds were acknowledged" "$(report restarted .counts.acked)" 6000
home=$("$mq" lab leader rabbitmq restarted --lab "$lab")
"$mq" lab restart "$home" --lab "$lab" >"$work/restart.txt" 2>&1 || bail "$(tail -3 "$work/restart.txt")"
client look restarted | sort -u >"$work/there.txt"
{ seq 1 3000 | sed 's/^/1.1.0./'; seq 1 3000 | sed 's/^/2.1.0./'; } | sort | comm -23 - "$work/there.txt" >"$work/truth.txt"
ok "the independent client misses some" test -s "$work/truth.txt"
check restarted --drain end --no-policy
is "transient messages: FAIL" "$?" 1
identities restarted lost >"$work/named.txt"
ok "... named, each that it misses and no other" cmp "$work/truth.txt" "$work/named.txt"
is "... all of the transient ones" "$(grep -c '^2\.' "$work/named.txt") $(grep -c '^1\.' "$work/named.txt")" "3000 0"
check restarted --drain end
is "the lab's nodes tell that no policy took them: FAIL" "$? $(report restarted .removals.policy_excluded_by)" \
	"1 its settings remove nothing, by the lab's nodes"

# --- a consumer that dies gives back what it held: given once to us
# shellcheck disable=SC2046
probe held $(queue quorum) --count 1000
client hold held 100 0.2 >"$work/held.txt" || bail "nothing was held"
check held --drain end
is "given back by a dead consumer: PASS" "$? $(report held '[.counts.distinct, .counts.extra] | join(" ")')" "0 1000 0"

# --- somebody else takes from the queue while it is watched
# shellcheck disable=SC2046
probe shared $(queue classic) --rate 200 --count 2000 &
producer=$!
ok "a run begins, to be drained at its end" wait_until 60 report_is shared '.counts.acked > 0'
check shared --drain end --no-policy &
checker=$!
client take shared 50 3 >"$work/taken.txt"
is "another consumer takes some meanwhile" "$(sort -u "$work/taken.txt" | wc -l)" 50
wait "$producer"
wait "$checker"
is "what others may have is not surely lost: UNDECIDED" "$? $(why shared | grep -c '50 messages are not there, and 1 other consumers took')" "4 1"
identities shared lost >"$work/named.txt"
ok "... those it took are named" cmp <(sort "$work/taken.txt") "$work/named.txt"

# --- in use: refused before anything is sent
# shellcheck disable=SC2046
probe full $(queue classic) --count 10
timeout 60 "$mq" probe "$(url full)" --run another --count 10 -q >"$work/out" 2>&1
is "a queue with messages is refused" "$? $(grep -c 'queue .full. has 0 consumers and 10 messages already' "$work/out")" "3 1"
timeout 60 "$mq" check "$(url full)" --run full -q >"$work/out" 2>&1
is "... but is the run's own to read" "$?" 0
# shellcheck disable=SC2046
probe theirs $(queue classic) --count 10 --shared
check theirs
is "what was not found empty is not taken without a word" "$? $(grep -c 'takes its messages away' "$work/theirs.check")" "2 1"

# --- the checker is killed at any instant
# shellcheck disable=SC2046
probe killed $(queue quorum) --rate 2000 --count 20000 &
producer=$!
ok "a run begins" wait_until 60 report_is killed '.counts.acked > 0'
for ((i = 0; i < ${KILLS:-3}; i++)); do
	"$mq" check "$(url killed)" --run killed -q >/dev/null 2>&1 &
	checker=$!
	sleep "1.$((RANDOM % 10))"
	kill -KILL "$checker" 2>/dev/null
	wait "$checker" 2>/dev/null
done
wait "$producer"
check killed
is "after kills: PASS" "$?" 0
is "... nothing missed, nothing counted twice" "$(report killed '[.counts.acked, .counts.distinct, .counts.extra] | join(" ")')" "20000 20000 0"
note "$(report killed .counts.redelivered) were given again"

# --- memory is short: the broker blocks, the probe waits, nothing is lost
# shellcheck disable=SC2046
timeout 120 "$mq" run "$(url alarm)" $(queue classic) --run alarm --rate 1000 --count 10000 >"$work/alarm.txt" 2>"$work/alarm.err" &
run=$!
ok "before the alarm messages are acknowledged" wait_until 60 report_is alarm '.counts.acked > 1000'
for node in 1 2 3; do
	rabbit rabbitmqctl -q -n "rabbitmq$node" set_vm_memory_high_watermark absolute 1MB >/dev/null 2>&1
done
ok "the probe says that it is blocked" wait_until 30 grep -q 'blocked' "$work/alarm.err"
for node in 1 2 3; do
	rabbit rabbitmqctl -q -n "rabbitmq$node" set_vm_memory_high_watermark absolute 1GB >/dev/null 2>&1
done
wait "$run"
is "after the alarm: PASS" "$? $(report alarm .counts.distinct)" "0 10000"
done_testing
