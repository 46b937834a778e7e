#!/usr/bin/env bash
#: title     Two of three nodes are killed: no quorum of controllers is left
#: about     A control: the leader lives, but nobody may shrink its in-sync replicas, so that acks=all with
#: about     min.insync.replicas=2 waits; acks=1 goes on, on one disk alone. When the others are back nothing is missing.
#: id        K-23
#: stage     broker
#: faults    kill
#: needs     nodes=3
#: takes     25s
#: twin acks1 good
#:   producer  acks=1
#:   expect    PASS
#: twin acks-all good
#:   producer  acks=all
#:   topic     min.insync.replicas=2
#:   promise   at-least-once
#:   expect    PASS duplicated@produce>=0 reordered@produce>=0
#: twin idempotent good
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2
#:   expect    PASS
#: mine      acks=0:SAFE acks=1:SAFE acks=all:EITHER idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	local before after
	# shellcheck disable=SC2046 # names of nodes
	fault kill $(others "$LEADER")
	before=$(acked idempotent)
	more_acked $((SCENARIO_RATE * 5)) acks1
	after=$(acked idempotent)
	[ $((after - before)) -lt "$SCENARIO_RATE" ] ||
		undecided "acks=all was acknowledged $((after - before)) times without a second replica"
	proved "unavailable" "$((after - before)) acknowledged with acks=all while acks=1 had $((SCENARIO_RATE * 5))"
	heal
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
