#!/usr/bin/env bash
#: title     All nodes stand still for longer than message.timeout.ms
#: about     The client gives up. What it had not sent is refused; what it had sent may be there or not, and it reports
#: about     both as failed: an application that does not look loses them. A client that waits loses nothing.
#: id        K-11
#: stage     produce
#: faults    freeze
#: needs     nodes=3
#: takes     15s
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
	# shellcheck disable=SC2046 # names of nodes
	fault freeze "$LEADER" $(others "$LEADER")
	await 60 "messages are given up" has_given_up gives-up $((SCENARIO_RATE * 2))
	heal
	more_acked $((SCENARIO_RATE * 2)) idempotent gives-up
}

scenario
