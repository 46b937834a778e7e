#!/usr/bin/env bash
#: title     Leaders are moved, by preferred election and by a controlled shutdown, and nothing is slowed
#: about     No fault at all: what is under way at the instant of the move is enough to lose messages with acks=1. How many
#: about     is a matter of chance.
#: id        K-02
#: stage     broker
#: faults    preferred leader election, controlled shutdown
#: needs     nodes=3
#: takes     30s
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

move_to() { # 2:1:3: the first of them leads from now on
	reassign_twins "$1"
	await 30 "the order of replicas has changed" reassigned
	elect_preferred
	await 30 "$BROKER${1%%:*} leads" leads "$BROKER${1%%:*}" acks1
	proved "election" "$BROKER${1%%:*} leads"
	more_acked "$SCENARIO_RATE" acks1
}
provoke() {
	local order
	for order in 2:1:3 3:2:1 1:3:2; do move_to "$order"; done
	restart "$LEADER"
	await 60 "another node leads" moved_from "$LEADER" acks1
	proved "handing over" "$(leader_of acks1) leads"
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
