#!/usr/bin/env bash
#: title     The clients are cut off from all nodes
#: about     The cluster is well; the client can only wait. With a short message.timeout.ms it gives up, and what it
#: about     reports as failed is gone, if the application does not send it again.
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

# A client that asks them all: connections that nobody uses would leave no trace of a cut.
no_node_answers() {
	local leader
	leader=$(leader_of idempotent)
	[ -z "$leader" ]
}
provoke() {
	# shellcheck disable=SC2046 # names of nodes
	fault isolate "$LEADER" $(others "$LEADER") --from clients
	no_node_answers || undecided "a client still gets an answer"
	await 60 "messages are given up" has_given_up gives-up $((SCENARIO_RATE * 2))
	heal
	more_acked $((SCENARIO_RATE * 2)) idempotent gives-up
}

scenario
