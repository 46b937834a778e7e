#!/usr/bin/env bash
#: title     All nodes are killed at once
#: about     The control to power-cut-all: a process that dies leaves what it wrote in the page cache, whatever the
#: about     topic's flush settings. Nothing that all in-sync replicas had is lost.
#: id        K-07
#: stage     broker
#: faults    kill of all nodes
#: needs     nodes=3
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
	local nodes
	mapfile -t nodes < <(all_nodes)
	fault kill "${nodes[@]}"
	heal
	await 90 "all replicas are in sync" isr_has 3 idempotent
	more_acked $((SCENARIO_RATE * 2)) acks-all idempotent
}

scenario
