#!/usr/bin/env bash
#: title     A node ends in order: what was transient goes with it, confirmed or not
#: about     A confirm of a message that is not persistent says that the queue has it, in memory. The node that holds a
#: about     classic queue is restarted in order, with nothing sent meanwhile; what the queue had on disk is there again.
#: id        R-03
#: stage     broker
#: faults    restart
#: needs     nodes=3
#: takes     35s
#: run       --drain end --no-policy
#: twin transient bad
#:   producer  persistent=false
#:   topic     x-queue-type=classic
#:   expect    FAIL lost@broker=2000
#: twin durable good
#:   topic     x-queue-type=classic
#:   expect    PASS
#: twin quorum good
#:   producer  persistent=false
#:   topic     x-queue-type=quorum
#:   expect    PASS
#: mine      default:SAFE confirms=false:EITHER persistent=false:UNSAFE mandatory:SAFE quorum:SAFE version-2:SAFE stream:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

course() {
	local twin
	for twin in $(twins); do probe_twin "$twin" --count 2000 --rate 4000; done
	LEADER=$(leader_of transient)
	[ "$(leader_of durable)" = "$LEADER" ] || undecided "the queues live on several nodes"
	restart "$LEADER"
	judge_twins
}

scenario
