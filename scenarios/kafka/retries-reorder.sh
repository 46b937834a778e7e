#!/usr/bin/env bash
#: title     Requests are refused and sent again behind later ones
#: about     The leader is alone in sync for a while, and refuses acks=all (min.insync.replicas=2). The client sends
#: about     everything again and again, many requests at once; when a follower is back in sync, some of them are
#: about     refused still and those behind them are stored. Idempotence keeps the order; so does one request at a time,
#: about     which repeats one request all the same.
#: id        K-09
#: stage     produce
#: faults    isolate --from fetches
#: needs     namespaces nodes=3
#: takes     30s
#: rate      1000
#: producer  acks=all batch.num.messages=10
#: topic     min.insync.replicas=2
#: twin many-in-flight bad
#:   producer  max.in.flight=1000
#:   expect    FAIL reordered@produce duplicated@produce>=0
#: twin five-in-flight bad
#:   producer  max.in.flight=5
#:   expect    FAIL reordered@produce duplicated@produce>=0
#: twin one-in-flight good
#:   producer  max.in.flight=1
#:   promise   at-least-once,ordered
#:   expect    PASS duplicated@produce>=0
#: twin idempotent good
#:   producer  enable.idempotence=true
#:   expect    PASS
#: mine      acks=0:SAFE acks=1:SAFE acks=all:UNSAFE idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

waits() { # TWIN: it has sent messages for 3 s that have no outcome
	[ $(($(status_field "$1" intended) - $(outcomes "$1"))) -ge $((SCENARIO_RATE * 3)) ]
}
provoke() {
	fault isolate "$LEADER" --from fetches
	await 60 "the leader is alone in sync" isr_is "$LEADER" idempotent
	await 30 "messages wait" waits idempotent
	proved "alone in sync" "acks=all was not acknowledged: $(isr_of idempotent) was alone"
	heal
	more_acked $((SCENARIO_RATE * 2)) many-in-flight five-in-flight one-in-flight idempotent
}

scenario
