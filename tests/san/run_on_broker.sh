#!/bin/bash
# Probe, recover and check on real brokers, in the sanitizers' builds. TAP. Builds what is missing; brings
# up labs of its own (needs root), one after the other, unless LAB names one that is up (with its MQAUDIT_STATE).
# BROKERS ("kafka rabbitmq"): which.
set -u

cd "$(dirname "$0")/../.." || exit 1
flavours=("$@")
[ ${#flavours[@]} -gt 0 ] || flavours=("address,undefined" thread)
export TSAN_OPTIONS="suppressions=$PWD/tests/san/thread.supp"
export UBSAN_OPTIONS="print_stacktrace=1"
n=0
failed=0
lab=${LAB:-}
mine=
top=$(mktemp -d /tmp/mqaudit-san-test.XXXXXX)

result() { # 0|1 NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
		head -n 60 "$top/out" | sed 's/^/# /'
	fi
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
	if [ -n "$mine" ]; then
		"$mine" lab down --lab "$lab" >/dev/null 2>&1
		"$mine" ledger stop >/dev/null 2>&1
	fi
	if [ "$failed" -eq 0 ]; then rm -rf "$top"; else echo "# left behind: $top"; fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM

program() { # FLAVOUR
	echo "build/san-${1//,/-}/mqaudit"
}

# The exit code of a command, its output in $top/out; a sanitizer's report is never the code we want.
exits() { # CODE COMMAND...
	local want=$1 got
	shift
	timeout 180 "$@" >"$top/out" 2>&1
	got=$?
	[ "$got" -eq "$want" ] || echo "exit code $got instead of $want" >>"$top/out"
	[ "$got" -eq "$want" ] && ! grep -qE 'Sanitizer|runtime error' "$top/out"
}

suite_of_kafka() { # FLAVOUR
	local mq topic id=$RANDOM$RANDOM
	mq=$(program "$1")
	topic=kafka://lab:$lab/san-$id
	exits 0 "$mq" probe "$topic" --create-topic 3:1 -n 30k --producers 2 --run "plain-$id"
	result $? "$1: a probe ends"
	exits 0 "$mq" check "$topic" --run "plain-$id" --record messages --sweep full
	result $? "$1: it is judged PASS, read twice, message by message"
	exits 0 "$mq" ledger gc --keep 9
	result $? "$1: the ledger is cleaned up"
	exits 137 "$mq" probe "$topic" -n 30k --run "killed-$id" --crash-at ack:5k
	result $? "$1: a probe dies"
	exits 0 "$mq" recover
	result $? "$1: its journal is recovered"
	exits 0 "$mq" check "$topic" --run "killed-$id"
	result $? "$1: what it left is judged PASS"
	exits 0 "$mq" probe "$topic" -n 3k --run "txn-$id" --transaction 100:abort-every=3
	result $? "$1: transactions end, and are aborted"
	exits 0 "$mq" check "$topic" --run "txn-$id"
	result $? "$1: they are judged PASS"
	# the flag that stops calls is volatile, not atomic: for the address flavour only
	if [ "$1" != thread ]; then
		exits 0 "$(dirname "$mq")/tests/conformance/conformance" "kafka://lab:$lab/conf-$id" --partitions 3 \
			--create max.message.bytes=2097152 --property message.max.bytes=2097152
		result $? "$1: the broker conforms"
	fi
	exits 4 "$mq" run "$topic" --run "none-$id" -n 0
	result $? "$1: a run without a message has no data"
	exits 4 "$mq" run "$topic" --run "large-$id" -n 3 --size 2M
	result $? "$1: nor has one whose messages are all refused"
	exits 2 "$mq" probe "$topic" --rate 0
	result $? "$1: wrong use is refused"
	exits 3 "$mq" probe kafka://127.0.0.1:1/none -n 1 --timeout 2s
	result $? "$1: a closed port is an error"
}

acked() { # MQ RUN COUNT: more than so many
	[ "$("$1" report "$2" --format json 2>/dev/null | jq ".counts.acked > $3")" = true ]
}

# The node that holds the queue and our connections is killed; what is mandatory is returned while it is away.
run_through_a_kill() { # MQ URL RUN OPTIONS...
	local mq=$1 run=$3 job i r=1
	timeout 180 "$mq" run "$2" --run "$run" "${@:4}" -n 15k -r 1500 --mandatory --no-policy >"$top/out" 2>&1 &
	job=$!
	for ((i = 0; i < 300; i++)); do
		acked "$mq" "$run" 2000 && break
		sleep 0.1
	done
	"$mq" lab fault kill rabbitmq1 --lab "$lab" >>"$top/lab" 2>&1 && r=0
	"$mq" lab heal --lab "$lab" >>"$top/lab" 2>&1 || r=1
	wait "$job" && [ "$r" -eq 0 ] && ! grep -qE 'Sanitizer|runtime error' "$top/out" "$top/lab"
}

suite_of_rabbitmq() { # FLAVOUR
	local mq url kind id=$RANDOM$RANDOM
	mq=$(program "$1")
	for kind in classic quorum stream; do
		url=amqp://lab:$lab/san-$kind-$id
		exits 0 "$mq" probe "$url" --create-queue "$kind" -n 20k --producers 2 --run "plain-$kind-$id"
		result $? "$1: $kind: a probe ends"
		exits 0 "$mq" check "$url" --run "plain-$kind-$id" --record messages
		result $? "$1: $kind: it is judged PASS, message by message"
		url=$url-2
		exits 137 "$mq" probe "$url" --create-queue "$kind" -n 20k --run "killed-$kind-$id" --crash-at ack:5k
		result $? "$1: $kind: a probe dies"
		exits 0 "$mq" recover
		result $? "$1: $kind: its journal is recovered"
		exits 0 "$mq" check "$url" --run "killed-$kind-$id"
		result $? "$1: $kind: what it left is judged PASS"
		# (what a queue takes back from a lost connection it may give out of order)
		run_through_a_kill "$mq" "$url-3" "node-$kind-$id" --create-queue "$kind" --promise exactly-once
		result $? "$1: $kind: the node is killed"
		# the flag that stops calls is volatile, not atomic: for the address flavour only
		if [ "$1" != thread ]; then
			exits 0 "$(dirname "$mq")/tests/conformance/conformance" "amqp://lab:$lab/conf-$kind-$id" \
				--create "x-queue-type=$kind" --part quiet --capacity window --prefetch prefetch \
				--unconfirmed confirms=false --refuse mandatory=true --refuse routing.key=nowhere
			result $? "$1: $kind: the broker conforms"
		fi
	done
}

for flavour in "${flavours[@]}"; do
	make --no-print-directory -j4 SAN="$flavour" "$(program "$flavour")" \
		"$(dirname "$(program "$flavour")")/tests/conformance/conformance" >"$top/out" 2>&1
	result $? "$flavour: it builds"
done
[ "$failed" -eq 0 ] || exit 1
[ -n "$lab" ] || mine=$(program "${flavours[0]}")
if [ -n "$mine" ]; then
	lab=san$$
	export MQAUDIT_STATE=$top/state
	mkdir -p "$MQAUDIT_STATE"
	chmod 755 "$top"
fi
for broker in ${BROKERS:-kafka rabbitmq}; do
	if [ -n "$mine" ]; then
		exits 0 "$mine" lab up "$broker" --nodes "$([ "$broker" = kafka ] && echo 1 || echo 3)" --lab "$lab"
		result $? "$broker: a lab is up"
	fi
	for flavour in "${flavours[@]}"; do
		case $broker in
		kafka) suite_of_kafka "$flavour" ;;
		rabbitmq) suite_of_rabbitmq "$flavour" ;;
		esac
	done
	[ -z "$mine" ] || "$mine" lab down "$broker" --lab "$lab" >/dev/null 2>&1
done
echo "1..$n"
exit "$failed"
