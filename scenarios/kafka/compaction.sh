#!/usr/bin/env bash
#: title     A compacted topic keeps the newest message of each key only
#: about     By offsets it looks like loss: the log begins at 0, and has holes. The topic's settings and the later record
#: about     of the key prove that what is gone is expired, exactly that.
#: id        K-19
#: stage     broker
#: faults    cleanup.policy=compact
#: needs     nodes=3
#: lab       log.retention.check.interval.ms=1000 log.initial.task.delay.ms=500 log.cleaner.backoff.ms=500
#: takes     24s
#: quiet     yes
#: rate      500
#: producer  acks=all enable.idempotence=true
#: run       --keys 10
#: topic     segment.ms=1000
#: twin compact bad
#:   topic     cleanup.policy=compact min.cleanable.dirty.ratio=0.01
#:   expect    PASS expired@broker
#: twin delete good
#:   topic     cleanup.policy=delete
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

SIZE=100 # of a message
# Without reading it: what is stored is less than so many messages would need.
is_smaller() { # TWIN N
	local end bytes
	end=$(log_end "$1") && bytes=$(stored_bytes "$1") && [ "${bytes:-0}" -gt 0 ] && [ $((end - bytes / SIZE)) -ge "$2" ]
}
provoke() {
	await 90 "the cleaner takes old messages away" is_smaller compact "$SCENARIO_RATE"
	# nothing may go any more while it is judged and compared
	alter_topic compact cleanup.policy=delete
	more_acked "$SCENARIO_RATE" compact delete
}
holes() { echo $(($(log_end "$1") - $(records_of "$1"))); } # TWIN: offsets without a record
prove() {
	local gone
	gone=$(holes compact)
	[ "$(log_start compact)" = 0 ] || undecided "the log begins at $(log_start compact)"
	proved "cleanup.policy=compact" "the log begins at offset 0 and has $gone holes"
	expect compact "expired@broker=$gone"
	[ "$(holes delete)" = 0 ] || undecided "the other log has $(holes delete) holes"
}

scenario
