#!/usr/bin/env bash
#: title     All nodes are restarted in turn, in order
#: about     Every upgrade does this. While a classic queue's node is away the others confirm what they drop
#: about     (home-node-down), and what was not persistent does not come back (transient-restart). A quorum queue or a
#: about     stream goes on with the other two.
#: id        R-26
#: stage     broker
#: faults    restart of each node
#: needs     nodes=3
#: takes     50s
#: run       --drain end --no-policy
#: twin classic bad
#:   topic     x-queue-type=classic
#:   expect    FAIL lost@broker unacknowledged@produce>=0
#: twin transient bad
#:   producer  mandatory=true persistent=false
#:   topic     x-queue-type=classic
#:   expect    FAIL lost@broker refused@produce>=0 unacknowledged@produce>=0
#: twin mandatory good
#:   producer  mandatory=true
#:   topic     x-queue-type=classic
#:   expect    PASS refused@produce>=0 unacknowledged@produce>=0
#: twin quorum good
#:   producer  mandatory=true
#:   topic     x-queue-type=quorum
#:   expect    PASS unacknowledged@produce>=0
#: twin stream good
#:   topic     x-queue-type=stream
#:   expect    PASS unacknowledged@produce>=0
#: mine      default:UNSAFE confirms=false:UNSAFE persistent=false:UNSAFE mandatory:SAFE quorum:SAFE version-2:SAFE stream:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	local node
	for node in "$LEADER" $(others "$LEADER"); do
		restart "$node"
		more_acked "$SCENARIO_RATE" mandatory quorum stream
	done
}

scenario
