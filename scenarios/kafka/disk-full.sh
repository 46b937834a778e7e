#!/usr/bin/env bash
#: title     The leader's disk is full
#: about     A broker that cannot write to its only log folder ends itself at once, and acknowledges nothing more.
#: about     Another replica leads then. A control: some seconds without an acknowledgement, and nothing lost.
#: id        K-26
#: stage     broker
#: faults    diskfull
#: needs     loop lab nodes=3
#: takes     20s
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
	fault diskfull "$LEADER"
	await 60 "another replica is elected" moved_from "$LEADER" idempotent
	proved "election" "$(leader_of idempotent) leads"
	more_acked "$SCENARIO_RATE" acks-all idempotent
	heal
	await 90 "all replicas are in sync" isr_has 3 idempotent
	more_acked "$SCENARIO_RATE" acks-all idempotent
}

scenario
