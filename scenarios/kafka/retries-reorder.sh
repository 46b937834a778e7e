#!/usr/bin/env bash
#: title     Requests are refused and sent again behind later ones
#: about     The leader is alone in sync, and the topic asks for two replicas on and off (in production: a follower that
#: about     comes and goes). While it does, acks=all is refused and sent again and again, several requests at once; when
#: about     the refusals end, those at the front of the row have been refused and those behind them are stored.
#: about     Only idempotence keeps the order: with max.in.flight=1 librdkafka 2.0.2 has the next request made up while one
#: about     is on its way, and now and then swaps two batches.
#: id        K-09
#: stage     produce
#: faults    isolate --from fetches, min.insync.replicas of the topics
#: needs     namespaces nodes=3
#: takes     45s
#: rate      1000
#: producer  retry.backoff.ms=1 batch.num.messages=100
#: topic     min.insync.replicas=1
#: twin many-in-flight bad
#:   producer  acks=all
#:   expect    FAIL reordered@produce duplicated@produce>=0
#: twin five-in-flight bad
#:   producer  acks=all max.in.flight=5
#:   expect    FAIL reordered@produce duplicated@produce>=0
#: twin one-in-flight good
#:   producer  acks=all max.in.flight=1
#:   promise   at-least-once
#:   expect    PASS duplicated@produce>=0 reordered@produce>=0
#: twin idempotent good
#:   producer  acks=all enable.idempotence=true
#:   expect    PASS
#: mine      acks=0:SAFE acks=1:SAFE acks=all:UNSAFE idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

ask_for() { # REPLICAS: acks=all of each twin needs so many from now on
	local twin pids=() pid
	step "min.insync.replicas=$1"
	for twin in $(twins); do
		tool kafka-configs --alter --entity-type topics --entity-name "$(topic_of "$twin")" \
			--add-config "min.insync.replicas=$1" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || die "min.insync.replicas is not changed"; done
}
waiting() { # TWIN: how many messages were sent and have no outcome
	echo $(($(status_field "$1" intended) - $(outcomes "$1")))
}
waits() { [ "$(waiting "$1")" -ge $((SCENARIO_RATE * 2)) ]; }
goes_well() { [ "$(waiting "$1")" -lt $((SCENARIO_RATE / 2)) ]; }
has_reordered() { [ "$(status_field "$1" reordered)" -gt 0 ]; }
refuse_for_a_while() { # where the row is when the refusals end is a matter of chance
	local twin
	ask_for 2
	for twin in many-in-flight five-in-flight; do await 60 "$twin waits" waits "$twin"; done
	proved "refusals" "$(waiting five-in-flight) messages wait for an acknowledgement"
	ask_for 1
	for twin in $(twins); do await 60 "$twin goes well" goes_well "$twin"; done
}
provoke() {
	local i
	fault isolate "$LEADER" --from fetches
	await 60 "the leader is alone in sync" isr_is "$LEADER" idempotent
	for i in 1 2 3 4 5 6; do
		refuse_for_a_while
		has_reordered many-in-flight && has_reordered five-in-flight && break
	done
	step "$i times"
	heal
	more_acked "$SCENARIO_RATE" idempotent five-in-flight
}

scenario
