#!/usr/bin/env bash
#: title     A consumer takes messages and gives them back, once too often
#: about     A quorum queue with x-delivery-limit drops a message that was given more often than that and never
#: about     acknowledged: limit 3, gone after the fourth. A consumer that dies again and again, with all that it prefetched,
#: about     empties the queue so. The nodes count it; a dead-letter queue has the messages; without a limit all stay, in whatever
#: about     order they were given back.
#: id        R-15
#: stage     broker
#: faults    a consumer that dies without acknowledging, four times
#: needs     nodes=1 lab
#: takes     25s
#: promise   exactly-once
#: run       --drain end
#: twin limit bad
#:   topic     x-queue-type=quorum x-delivery-limit=3
#:   expect    PASS expired@broker=100
#: twin dead-lettered good
#:   topic     x-queue-type=quorum x-delivery-limit=3 x-dead-letter-exchange= x-dead-letter-routing-key=mqaudit-limit-dead
#:   expect    PASS expired@broker=100
#: twin no-limit good
#:   topic     x-queue-type=quorum
#:   expect    PASS reordered@produce>=1
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

prepare() { declare_queue mqaudit-limit-dead; }
course() {
	local twin given
	for twin in $(twins); do
		probe_twin "$twin" --count 100
		step "a consumer of $twin takes all and dies, five times"
		given=$(give_back "$twin" 5)
		case $twin in
		no-limit) [ "$given" = "100 100 100 100 100" ] || undecided "$twin was given $given" ;;
		*) [ "$given" = "100 100 100 100 0" ] || undecided "$twin was given $given" ;;
		esac
		proved "deliveries of $twin" "$given"
	done
	judge_twins
}

scenario
