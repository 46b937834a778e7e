#!/usr/bin/env bash
#: title     The queue itself goes, with all that is in it
#: about     A queue with x-expires that nobody has used for so long is deleted by the broker, messages and all, and not
#: about     counted: that it is not there any more (404) is the evidence. One that somebody deleted is gone as well, and
#: about     nobody can say by whom, nor what had been in it: undecided, never lost and never a pass.
#: id        R-17
#: stage     broker
#: faults    none: nobody uses the queue; somebody deletes it
#: needs     nodes=1 lab
#: takes     25s
#: run       --drain end
#: twin expires bad
#:   topic     x-queue-type=classic x-expires=3000
#:   expect    PASS expired@broker=1000
#: twin deleted bad
#:   topic     x-queue-type=quorum
#:   expect    UNDECIDED unread@broker=1000
#: twin kept good
#:   topic     x-queue-type=classic
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

course() {
	local twin
	for twin in $(twins); do probe_twin "$twin" --count 1000; done
	delete_queue deleted
	await 60 "the queue of expires is gone" is_gone expires
	proved "the queues" "$(topic_of expires) and $(topic_of deleted) are not there any more"
	judge_twins
}

scenario
