#!/usr/bin/env bash
#: title     A message is published where no queue takes it
#: about     The broker confirms what it has routed to nowhere: the key is bound to no queue, and the message is dropped
#: about     at once. Only a publisher that says mandatory gets it back.
#: id        R-02
#: stage     broker
#: faults    none: a routing key that is bound to nothing
#: needs     nodes=1
#: takes     16s
#: quiet     yes
#: run       --drain end --no-policy
#: twin confirms bad
#:   topic     x-queue-type=classic
#:   expect    FAIL lost@broker=1000
#: twin mandatory good
#:   producer  mandatory=true
#:   topic     x-queue-type=classic
#:   expect    PASS refused@produce=1000
#: mine      default:UNSAFE confirms=false:UNSAFE persistent=false:UNSAFE mandatory:SAFE quorum:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

course() {
	local twin
	for twin in $(twins); do
		probe_twin "$twin" --count 1000
		# the second producer misses the queue
		probe_twin "$twin" --count 1000 --producer-id 2 -X routing.key=nowhere
	done
	proved "unroutable" "the key 'nowhere' is bound to no queue"
	judge_twins
}

scenario
