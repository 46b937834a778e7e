#!/usr/bin/env bash
# Between brokers: messages go into Kafka and come out of a RabbitMQ queue, the other way round, and from queue to queue,
# through a bridge that is nothing of mqaudit's. A clean one passes; one that drops and repeats is found at stage relay, each
# message by name; one that is killed and started again loses nothing, and repeats what is really there twice.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
trap '"$mq" lab down --lab "$lab-r" >/dev/null 2>&1; cleanup' EXIT
"$mq" lab up rabbitmq --nodes 1 --lab "$lab-r" --until-pid $$ >"$work/lab-r.log" 2>&1 || bail "no lab: $(tail -3 "$work/lab-r.log")"
lab_up --nodes 1
bridge_py=("$top/build/venv/bin/python" "$top/tests/broker/tools/bridge.py")
netns() { "$mq" lab status "$1" --lab "$2" --format json | jq -r .client_namespace; }
kafka_at=$(netns kafka "$lab"):kafka:$(bootstrap)
# shellcheck disable=SC2016 # the variable is set within
rabbitmq_at=$(netns rabbitmq "$lab-r"):amqp:$("$mq" lab exec rabbitmq --lab "$lab-r" -- sh -c 'echo "$RABBITMQ_URL"')
url() { # kafka|amqp NAME
	case $1 in
	kafka) echo "kafka://lab:$lab/$2" ;;
	amqp) echo "amqp://lab:$lab-r/$2" ;;
	esac
}
place() { # the same for the bridge
	case $1 in
	kafka) echo "$kafka_at/$2" ;;
	amqp) echo "$rabbitmq_at/$2" ;;
	esac
}
make() { # KIND NAME: a topic or queue, with nothing in it
	local how=(--create-topic 1:1)
	[ "$1" = kafka ] || how=(--create-queue classic)
	"$mq" probe "$(url "$1" "$2")" "${how[@]}" -n 0 -q --run "make-$2" >"$work/make" 2>&1 || bail "$(cat "$work/make")"
}
start_bridge() { # FROM TO NAME ORDERS...
	"${bridge_py[@]}" "$(place "$1" "$3-a")" "$(place "$2" "$3-b")" 120 "${@:4}" >"$work/$3.bridge" 2>"$work/$3.bridge.err" &
	bridge=$!
}
ready() { grep -qs ready "$work/$1.bridge"; }
end_bridge() { # NAME
	wait "$bridge" || bail "the bridge: $(cat "$work/$1.bridge.err")"
}
bridged() { # FROM TO NAME ORDERS...: 3000 messages through a bridge, which is there before the first; $options
	make "$1" "$3-a"
	make "$2" "$3-b"
	start_bridge "$@"
	wait_until 30 ready "$3" || bail "the bridge: $(cat "$work/$3.bridge.err")"
	"$mq" run "$(url "$1" "$3-a")" --check "$(url "$2" "$3-b")" --run "$3" -n 3000 -r 2000 -q "${options[@]}" \
		>"$work/$3.txt" 2>"$work/$3.err"
	code=$?
	end_bridge "$3"
}
verdict() { echo "$code $(report "$1" '"\(.verdict) \(.agreed)"')"; }
sums() { report "$1" '[.sums[] | "\(.kind) \(.stage) \(.count)"] | sort | join(", ")'; }
of() { # RUN KIND STAGE: seqs
	report "$1" '[.findings[] | select(.kind == "'"$2"'" and .stage == "'"$3"'") | range(.lo; .hi + 1)] | sort | map(tostring) | join(" ")'
}
options=()

for way in "kafka amqp" "amqp kafka" "amqp amqp"; do
	read -r from to <<<"$way"
	name=clean-$from-$to
	bridged "$from" "$to" "$name"
	is "$from to $to, a clean bridge: PASS" "$(verdict "$name") $(sums "$name")" "0 PASS true "
	is "$from to $to: each came out once" "$(report "$name" '"\(.counts.acked) \(.counts.target_distinct) \(.counts.target_extra)"')" "3000 3000 0"

	name=planted-$from-$to
	options=(--no-policy)
	bridged "$from" "$to" "$name" drop:5 drop:1000 drop:1001 drop:3000 repeat:7 repeat:2000
	options=()
	# a queue's redelivery and what came through twice look alike
	again=duplicated
	[ "$to" = amqp ] && again=redelivered
	is "$from to $to, one that drops and repeats: FAIL" "$(verdict "$name") $(sums "$name")" \
		"1 FAIL true $(printf '%s\n' "$again relay 2" "lost relay 4" | sort | paste -sd, | sed 's/,/, /')"
	is "$from to $to: the dropped, by name" "$(of "$name" lost relay)" "5 1000 1001 3000"
	is "$from to $to: the repeated, by name" "$(of "$name" $again relay)" "7 2000"
	note "$(report "$name" '[.findings[] | select(.kind == "lost") | .why] | unique | join("; ")')"
done
"$mq" check "$(url amqp planted-kafka-amqp-b)" --run planted-kafka-amqp --relay-lag 2s -q >"$work/again.txt" 2>&1
is "a policy may have taken it from the queue that it goes to" "$? $(report planted-kafka-amqp '.reasons | join("; ")' | grep -c -- --no-policy)" "4 1"
"$mq" report planted-amqp-kafka >"$work/report.txt"
ok "the report does not claim to have read the source's queue" grep -q "not read" "$work/report.txt"

# --- a stream beside the source's queue is read in its place
"$mq" lab exec rabbitmq --lab "$lab-r" -- "$top/build/venv/bin/python" "$top/tests/broker/tools/queue.py" bind x routed-a:classic ||
	bail "no exchange"
options=(--exchange x --routed-stream --no-policy)
bridged amqp kafka routed drop:5 drop:3000 repeat:7
options=()
is "beside a routed stream: FAIL" "$(verdict routed) $(sums routed)" "1 FAIL true duplicated relay 1, lost relay 2"
is "... by name, and all were routed" "$(of routed lost relay) $(of routed duplicated relay) $(report routed .counts.distinct) $(report routed \
	'[.findings[] | select(.kind == "lost") | .why] | unique | join("; ")')" "5 3000 7 3000 routed, not behind the relay: lost there, or in the queue before it"

# --- the queue that it goes to was not empty: it is named before anything is taken
make kafka mine-a
make amqp mine-b
"$top/build/venv/bin/python" - "${rabbitmq_at#*:amqp:}" "${rabbitmq_at%%:*}" <<'EOF' || bail "nothing was put into the queue"
import ctypes, sys, pika
f = open(sys.argv[2])
ctypes.CDLL(None).setns(f.fileno(), 0)
pika.BlockingConnection(pika.URLParameters(sys.argv[1])).channel().basic_publish("", "mine-b", b"somebody's")
EOF
"$mq" run "$(url kafka mine-a)" --check "$(url amqp mine-b)" --run mine -n 10 -q >"$work/mine.txt" 2>&1
is "a queue that was not empty is not drained without a word" \
	"$? $(grep -c "reading 'mine-b' takes its messages away" "$work/mine.txt") $(grep -c -- "of queue 'mine-b'.*--drain live" "$work/mine.txt")" "2 1 1"

# --- the bridge is killed, and started again
for way in "kafka amqp" "amqp kafka"; do
	read -r from to <<<"$way"
	name=killed-$from-$to
	make "$from" "$name-a"
	make "$to" "$name-b"
	RATE=1000 start_bridge "$from" "$to" "$name"
	wait_until 30 ready "$name" || bail "the bridge: $(cat "$work/$name.bridge.err")"
	"$mq" run "$(url "$from" "$name-a")" --check "$(url "$to" "$name-b")" --run "$name" -n 3000 -r 1000 -q --no-policy \
		>"$work/$name.txt" 2>"$work/$name.err" &
	run=$!
	ok "$from to $to: messages come out" wait_until 60 report_is "$name" '.counts.target_read > 500'
	kill -KILL "$bridge"
	wait "$bridge" 2>/dev/null
	start_bridge "$from" "$to" "$name"
	wait "$run"
	code=$?
	end_bridge "$name"
	is "$from to $to, a bridge that was killed: nothing is lost" "$(report "$name" '"\(.agreed) \(.counts.target_distinct)"') $(of "$name" lost relay)" "true 3000 "
	[ "$to" = amqp ] && continue
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$name-b" | cut -d' ' -f1 | sort | uniq -d >"$work/twice"
	is "$from to $to: repeated is what an independent reader finds twice" "$(identities "$name" duplicated)" "$(cat "$work/twice")"
	ok "$from to $to: there are some" test -s "$work/twice"
	note "$from to $to: $(wc -l <"$work/twice") came through twice, exit code $code"
done
done_testing
