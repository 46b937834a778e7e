#!/usr/bin/env bash
#: title     The power of a classic queue's node is cut
#: about     Version 1 of a classic queue waits for the disk before it confirms; version 2, of RabbitMQ 3.10, confirms what
#: about     is in the page cache. Both say that they are durable, and both survive a crash of the process.
#: id        R-05
#: stage     broker
#: faults    powercut
#: needs     loop lab nodes=3
#: takes     20s
#: run       --drain end --no-policy
#: twin version-2 bad
#:   topic     x-queue-type=classic x-queue-version=2
#:   expect    FAIL lost@broker
#: twin version-1 good
#:   topic     x-queue-type=classic x-queue-version=1
#:   expect    PASS
#: mine      default:SAFE confirms=false:EITHER persistent=false:UNSAFE mandatory:SAFE quorum:SAFE version-2:UNSAFE stream:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

course() {
	local twin
	for twin in $(twins); do probe_twin "$twin" --count 3000 --rate 2000; done
	LEADER=$(leader_of version-2)
	[ "$(leader_of version-1)" = "$LEADER" ] || undecided "the queues live on several nodes"
	fault powercut "$LEADER"
	heal
	judge_twins
}

scenario
