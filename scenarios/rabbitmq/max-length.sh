#!/usr/bin/env bash
#: title     More messages than the queue may hold
#: about     A full queue with x-max-length drops from its head by default: each publish is confirmed, and the oldest
#: about     message goes. That is policy, and the nodes count it. With x-overflow=reject-publish the publisher is told no
#: about     (a nack) and nothing that was confirmed goes; a quorum queue takes some more than the limit says.
#: id        R-16
#: stage     broker
#: faults    none: a backlog beyond the limit
#: needs     nodes=1 lab
#: takes     55s
#: run       --drain end
#: twin classic bad
#:   topic     x-queue-type=classic x-max-length=1000
#:   expect    PASS expired@broker=2000
#: twin quorum bad
#:   topic     x-queue-type=quorum x-max-length=1000
#:   expect    PASS expired@broker=2000
#: twin reject good
#:   topic     x-queue-type=classic x-max-length=1000 x-overflow=reject-publish
#:   expect    PASS unacknowledged@produce=2000
#: twin quorum-reject good
#:   topic     x-queue-type=quorum x-max-length=1000 x-overflow=reject-publish
#:   expect    PASS unacknowledged@produce>=1000
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

course() {
	local twin
	for twin in $(twins); do
		# a nack leaves it unknown whether the message is stored, which the probe is right to say
		probe_twin "$twin" --count 3000
	done
	proved "length limit" "3000 messages for queues of 1000"
	judge_twins
}

scenario
