#!/usr/bin/env bash
#: title     Messages outlive their time in the queue
#: about     A queue with x-message-ttl drops what nobody took in time, without a word to anybody. The nodes count it, and
#: about     their counts come to exactly what is missing: expired, by policy, not lost. With a dead-letter exchange each
#: about     message is found in the dead-letter queue, which is given back all that is in it.
#: id        R-17
#: stage     broker
#: faults    none: the reader comes late
#: needs     nodes=1 lab
#: takes     35s
#: run       --drain end
#: twin classic bad
#:   topic     x-queue-type=classic x-message-ttl=500
#:   expect    PASS expired@broker=1000
#: twin quorum bad
#:   topic     x-queue-type=quorum x-message-ttl=500
#:   expect    PASS expired@broker=1000
#: twin dead-lettered good
#:   topic     x-queue-type=classic x-message-ttl=500 x-dead-letter-exchange= x-dead-letter-routing-key=mqaudit-ttl-dead
#:   expect    PASS expired@broker=1000
#: twin no-ttl good
#:   topic     x-queue-type=classic
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

prepare() { declare_queue mqaudit-ttl-dead; }
course() {
	local twin
	for twin in $(twins); do probe_twin "$twin" --count 1000; done
	# a quorum queue without a consumer notices at its own pace; the last is published once the others are old
	for twin in classic quorum dead-lettered; do
		await 60 "nothing is left in the queue of $twin" messages_are "$twin" 0
	done
	proved "time to live" "no consumer came within 500 ms"
	judge_twins
}

scenario
