#!/usr/bin/env bash
#: title     The nodes are upgraded from Kafka 3.9.1 to 4.1.0, one by one, under load
#: about     Each ends in order and starts as the new version, while the others are of the old and the new one. Moving
#: about     the leaderships can lose messages with acks=1, as a matter of chance; with good settings none is lost.
#: about     The version of the metadata stays what it was: raising it is a step of its own, and not part of this.
#: id        K-28
#: stage     broker
#: faults    controlled shutdown, another version
#: needs     lab nodes=3 version=3.9.1
#: takes     60s
#: deadline  6m
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

to=4.1.0
# The versions of the programs that the nodes' processes have open.
versions() {
	local pid
	lab status "$BROKER" --format json | jq -r '.nodes[].pid' | while read -r pid; do
		find "/proc/$pid/fd" -lname '*/kafka_2.13-*.jar' -printf '%l\n' 2>/dev/null | head -1
	done | sed 's/.*-//; s/\.jar$//' | paste -sd' '
}
prepare() {
	[ "$(versions)" = "3.9.1 3.9.1 3.9.1" ] || undecided "the nodes are not 3.9.1 at the start, but $(versions)"
}
provoke() {
	local node
	for node in "$LEADER" $(others "$LEADER"); do
		restart "$node" --version "$to"
		await 60 "all replicas are in sync" isr_has 3 idempotent
		proved "now" "nodes 1 to 3 have these programs open: $(versions)"
	done
	[ "$(versions)" = "$to $to $to" ] || undecided "the nodes are not $to in the end, but $(versions)"
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
