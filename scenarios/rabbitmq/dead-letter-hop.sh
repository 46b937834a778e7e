#!/usr/bin/env bash
#: title     The dead-letter queue's node is away when messages are to go there
#: about     Dead letters of a classic queue are published once, without a confirm: while the node of the dead-letter queue is
#: about     down they go nowhere, and are in neither queue. A quorum queue with x-dead-letter-strategy=at-least-once keeps
#: about     each until the dead-letter queue has confirmed it.
#: id        R-18
#: stage     broker
#: faults    kill of the node of the dead-letter queue
#: needs     nodes=3 lab
#: takes     60s
#: run       --drain end
#: twin at-most-once bad
#:   topic     x-queue-type=classic x-message-ttl=15000 x-dead-letter-exchange= x-dead-letter-routing-key=mqaudit-hop-dead
#:   expect    FAIL lost@broker=1000
#: twin at-least-once good
#:   topic     x-queue-type=quorum x-message-ttl=15000 x-dead-letter-exchange= x-dead-letter-routing-key=mqaudit-hop-dead
#:   topic     x-dead-letter-strategy=at-least-once x-overflow=reject-publish
#:   expect    PASS expired@broker=1000
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

prepare() {
	local node
	declare_queue mqaudit-hop-dead "${BROKER}2"
	# how long the dead letters' publisher waits for a confirm until it tries again: three minutes by default (3.10.8)
	for node in $(all_nodes); do
		rabbitmqctl -n "$node" eval 'application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 3000).' >/dev/null ||
			die "$node cannot be set up"
	done
}
course() {
	local twin
	for twin in $(twins); do probe_twin "$twin" --count 1000; done
	[ "$(leader_of at-most-once)" != "${BROKER}2" ] || undecided "the queue and its dead-letter queue live on one node"
	messages_are at-most-once 1000 || undecided "messages have expired before the fault"
	fault kill "${BROKER}2"
	await 90 "all has expired in at-most-once" messages_are at-most-once 0
	heal
	await 120 "at-least-once has handed all over" messages_are at-least-once 0
	judge_twins
}

scenario
