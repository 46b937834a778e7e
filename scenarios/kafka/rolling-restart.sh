#!/usr/bin/env bash
#: title     All nodes are restarted in turn, in order
#: about     Every upgrade does this. Each node hands its leaderships over before it ends; what is under way then is
#: about     enough to lose messages with acks=1, as a matter of chance.
#: id        K-28
#: stage     broker
#: faults    controlled shutdown
#: needs     nodes=3
#: takes     35s
#: rate      2000
#: bounded   yes
#: twin acks1 bad
#:   producer  acks=1
#:   expect    FAIL lost@broker duplicated@produce>=0 reordered@produce>=0
#: twin acks0 bad
#:   producer  acks=0
#:   expect    FAIL lost@produce
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
	local node
	for node in "$LEADER" $(others "$LEADER"); do
		restart "$node"
		await 60 "all replicas are in sync" isr_has 3 idempotent
	done
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
