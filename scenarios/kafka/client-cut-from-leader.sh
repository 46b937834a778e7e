#!/usr/bin/env bash
#: title     The clients are cut off from the leader, and from no other node
#: about     The cluster is well and elects nobody; the client can only wait. With a short message.timeout.ms it gives up,
#: about     and what it reports as failed is gone, if the application does not send it again.
#: id        K-25
#: stage     produce
#: faults    isolate --from clients
#: needs     namespaces nodes=3
#: takes     20s
#: twin gives-up bad
#:   producer  acks=all enable.idempotence=true message.timeout.ms=4000
#:   topic     min.insync.replicas=2
#:   expect    PASS refused@produce unacknowledged@produce>=0
#: twin acks-all good
#:   producer  acks=all
#:   topic     min.insync.replicas=2
#:   promise   at-least-once
#:   expect    PASS duplicated@produce>=0 reordered@produce>=0
#: twin idempotent good
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2
#:   expect    PASS
#: mine      acks=0:EITHER acks=1:EITHER acks=all:EITHER idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	fault isolate "$LEADER" --from clients
	await 60 "messages are given up" has_given_up gives-up $((SCENARIO_RATE * 2))
	leads "$LEADER" idempotent || undecided "another node leads: the client was not cut off from the leader"
	heal
	more_acked $((SCENARIO_RATE * 2)) idempotent gives-up
}

scenario
