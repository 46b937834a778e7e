#!/usr/bin/env bash
#: title     The leader is killed; nothing else is wrong
#: about     What it had acknowledged with acks=1 in the last milliseconds no follower may have fetched. How much is lost
#: about     depends on how busy the nodes are, and may be nothing: a matter of chance, to be run many times (--repeat).
#: id        K-01
#: stage     broker
#: faults    kill
#: needs     nodes=3
#: takes     20s
#: rate      3000
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
	fault kill "$LEADER"
	await 60 "a follower is elected" moved_from "$LEADER" acks1
	proved "election" "$(leader_of acks1) leads"
	heal
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
