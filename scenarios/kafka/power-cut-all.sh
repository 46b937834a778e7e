#!/usr/bin/env bash
#: title     The power of all nodes is cut at one instant
#: about     A broker acknowledges what is in the page cache of all in-sync replicas; by default it never asks the disk
#: about     for more. Replicas that share a rack, a room or a power supply lose it together, whatever the producer
#: about     does. flush.ms alone is no help: it is looked at every log.flush.scheduler.interval.ms, by default never.
#: about     flush.messages=1 writes each message through, at its price. See all-killed for what a crash leaves.
#: about     An idempotent producer may end by itself: the brokers forgot what they had acknowledged to it.
#: id        K-07
#: stage     broker
#: faults    powercut of all nodes
#: needs     loop lab nodes=3
#: takes     25s
#: twin default bad
#:   producer  acks=all
#:   topic     min.insync.replicas=2
#:   expect    FAIL lost@broker duplicated@produce>=0 reordered@produce>=0 refused@produce>=0 unacknowledged@produce>=0
#: twin idempotent bad
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2
#:   expect    FAIL lost@broker refused@produce>=0 unacknowledged@produce>=0
#: twin flush-ms bad
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2 flush.ms=1000
#:   expect    FAIL lost@broker refused@produce>=0 unacknowledged@produce>=0
#: twin flushed good
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2 flush.messages=1
#:   expect    PASS
#: mine      acks=0:UNSAFE acks=1:UNSAFE acks=all:UNSAFE idempotent:UNSAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	local nodes
	mapfile -t nodes < <(all_nodes)
	fault powercut "${nodes[@]}"
	heal
	await 90 "all replicas are in sync" isr_has 3 flushed
	more_acked $((SCENARIO_RATE * 2)) default idempotent flush-ms flushed
}

scenario
