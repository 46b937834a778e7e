#!/usr/bin/env bash
#: title     The node that a publisher without confirms is connected to stands still, and is killed
#: about     Without confirms a message is sent when the socket took it. What a node that stands still had not read from its
#: about     socket, and what its queue had in memory, nobody misses but the auditor.
#: id        R-01
#: stage     produce
#: faults    freeze, kill
#: needs     nodes=3
#: takes     20s
#: run       --drain end --no-policy
#: twin no-confirms bad
#:   producer  confirms=false
#:   topic     x-queue-type=classic
#:   expect    FAIL lost@produce unacknowledged@produce>=0
#: twin confirms good
#:   producer  mandatory=true
#:   topic     x-queue-type=classic
#:   expect    PASS refused@produce>=0 unacknowledged@produce>=0
#: mine      default:UNSAFE confirms=false:UNSAFE persistent=false:UNSAFE mandatory:SAFE quorum:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	fault freeze "$LEADER"
	for_seconds 1 "what is sent now stands in sockets"
	fault kill "$LEADER"
	heal
	more_acked "$SCENARIO_RATE" no-confirms confirms
}

scenario
