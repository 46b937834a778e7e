#!/usr/bin/env bash
#: title     Retention takes messages away while they are sent and read
#: about     What was acknowledged and read and is gone now is expired, exactly that, and never lost.
#: id        K-18
#: stage     broker
#: faults    retention.ms
#: needs     nodes=3
#: lab       log.retention.check.interval.ms=1000 log.initial.task.delay.ms=500 log.cleaner.backoff.ms=500
#: takes     11s
#: quiet     yes
#: rate      500
#: producer  acks=all enable.idempotence=true
#: topic     segment.ms=1000
#: twin short bad
#:   topic     retention.ms=1000
#:   expect    PASS expired@broker
#: twin long good
#:   topic     retention.ms=86400000
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

begins_late() { [ "$(log_start "$1")" -ge "$2" ]; } # TWIN OFFSET
provoke() {
	await 60 "segments go by retention" begins_late short "$SCENARIO_RATE"
	# nothing may go any more while it is judged and compared
	alter_topic short retention.ms=86400000
	more_acked "$SCENARIO_RATE" short long
}
prove() {
	local start
	start=$(log_start short)
	[ "$start" -ge "$SCENARIO_RATE" ] || undecided "the log begins at $start"
	proved "retention.ms=1000" "the log begins at offset $start"
	expect short "expired@broker=$start"
	[ "$(log_start long)" = 0 ] || undecided "the other log begins at $(log_start long)"
}

scenario
