#!/usr/bin/env bash
# The demo: a real three-node Kafka cluster; its leader is cut off from its followers while the clients
# still reach it. Two producers under the same fault, one with acks=1, one with acks=all, idempotence and
# min.insync.replicas=2. What is lost is named, message by message. Leaves nothing running.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 3

mq=${MQAUDIT:-build/mqaudit}
work=$(mktemp -d /tmp/mqaudit-demo.XXXXXX)
chmod 755 "$work"
# the jars are worth keeping from one demo to the next; everything else goes with the demo
: "${MQAUDIT_DIST:=${XDG_CACHE_HOME:-/var/cache}/mqaudit/dist}"
export MQAUDIT_DIST MQAUDIT_STATE=$work/state MQAUDIT_LAB=demo
seconds=${DEMO_SECONDS:-12}
rate=${DEMO_RATE:-300}

say() { printf '\n\033[1m%s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }

finish() {
	trap - EXIT INT TERM
	for p in ${pids[@]+"${pids[@]}"}; do kill -INT "$p" 2>/dev/null; done
	wait
	"$mq" lab down --lab demo >/dev/null 2>&1
	"$mq" ledger stop >/dev/null 2>&1
	rm -rf "$work"
}
pids=()
trap finish EXIT
trap 'exit 130' INT TERM

die() { echo "demo: $*" >&2; exit 3; }

# Wait until a command succeeds, at most so many seconds.
wait_until() {
	local until=$((SECONDS + $1)); shift
	until "$@"; do
		[ "$SECONDS" -lt "$until" ] || return 1
		sleep 0.2
	done
}
acked() { # messages of a run that are acked, as the ledger has them
	# an open run's report ends with 4
	[ "$({ "$mq" report "$1" --format json 2>/dev/null || true; } | jq ".counts.acked >= $2 and .counts.read >= $2")" = true ]
}

say "1. A real Kafka cluster: three nodes, each with its own network"
"$mq" lab up kafka --lab demo --until-pid $$ || die "the lab does not come up"

say "2. Two producers, $rate messages per second each, both topics led by kafka1"
common=(--replica-assignment 1:2:3 --create-topic 1 --topic-config min.insync.replicas=2 -r "$rate" -q)
"$mq" run kafka://lab:demo/payments-acks1 --run acks-1 "${common[@]}" -X acks=1 \
	>"$work/acks-1.txt" 2>"$work/acks-1.err" &
one=$!
"$mq" run kafka://lab:demo/payments-safe --run acks-all "${common[@]}" \
	-X acks=all -X enable.idempotence=true >"$work/acks-all.txt" 2>"$work/acks-all.err" &
two=$!
pids=("$one" "$two")
wait_until 60 acked acks-1 $((rate * 2)) || { cat "$work"/*.err; die "acks-1 does not get going"; }
wait_until 60 acked acks-all $((rate * 2)) || { cat "$work"/*.err; die "acks-all does not get going"; }

say "3. The fault: kafka1 is cut off from kafka2 and kafka3; both clients still reach it"
"$mq" lab fault isolate kafka1 --from brokers || die "the fault does not go on"
leader_moved() { [ "$("$mq" lab leader kafka payments-acks1 0 2>/dev/null)" != kafka1 ]; }
wait_until 40 leader_moved || die "the majority elected no other leader"
echo "the majority has another leader now: $("$mq" lab leader kafka payments-acks1 0)"
sleep "$seconds"

say "4. Healed"
"$mq" lab heal || die "heal failed"
wait_until 60 acked acks-all $((rate * 4)) || true
sleep 2
kill -INT "$one" "$two"
wait "$one"; code_one=$?
wait "$two"; code_two=$?
pids=()

say "5. acks=1"
cat "$work/acks-1.txt"
say "6. The same fault, the same moment: acks=all, enable.idempotence=true, min.insync.replicas=2"
cat "$work/acks-all.txt"

say "What happened"
report_json() { "$mq" report "$1" --format json || true; }
lost=$(report_json acks-1 | jq '[.findings[] | select(.kind == "lost" and .withdrawn == false) | .count] | add // 0')
sent=$(report_json acks-1 | jq .counts.acked)
safe=$(report_json acks-all | jq .counts.acked)
echo "acks=1: kafka1 acknowledged $lost of $sent messages alone while it was cut off; when it came back as a follower it threw them away."
echo "acks=all: all $safe acknowledged messages are there exactly once; while kafka1 could not reach its followers it acknowledged nothing, and the client waited."
if [ "$code_one" -ne 1 ] || [ "$code_two" -ne 0 ] || [ "$lost" -eq 0 ]; then
	cat "$work"/*.err >&2
	die "expected FAIL with losses (exit 1) and PASS (exit 0), got $code_one and $code_two"
fi
