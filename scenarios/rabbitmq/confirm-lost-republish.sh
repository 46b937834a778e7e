#!/usr/bin/env bash
#: title     Confirms are lost on the way, and the publisher publishes again
#: about     The queue has what a publisher waits for, and its confirms do not arrive: the outcome is unknown. To publish it
#: about     again is another message to the broker, not marked as redelivered. Who does nothing has lost nothing here.
#: id        R-23
#: stage     produce
#: faults    answers
#: needs     nodes=3 namespaces
#: takes     25s
#: producer  window=50 heartbeat=2
#: run       --drain end --no-policy
#: twin republish bad
#:   topic     x-queue-type=classic
#:   run       --republish-unknown
#:   expect    FAIL duplicated@produce<=50
#: twin no-republish good
#:   topic     x-queue-type=classic
#:   expect    PASS unacknowledged@produce>=0
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

lost_its_connection() { [ "$(status_field "$1" disconnects)" -ge 1 ]; } # TWIN

provoke() {
	local twin
	fault answers "$LEADER"
	for twin in $(twins); do
		await 30 "$twin hears nothing, and gives its connection up" lost_its_connection "$twin"
	done
	heal
	more_acked "$SCENARIO_RATE" republish no-republish
}
# The whole window was unknown. What of it had reached the queue is there all the same: nearly always all of it.
afterwards() {
	local unknown missing twice
	unknown=$(report no-republish .counts.unknown)
	[ "$unknown" = 50 ] || undecided "not the window of 50 was unknown, but $unknown"
	missing=$(report no-republish '[.findings[] | select(.kind == "unacknowledged") | .count] | add // 0')
	[ "$missing" -lt 50 ] || undecided "nothing of what was unknown had reached the queue"
	proved "unknown" "$unknown without republishing, and $((unknown - missing)) of them are there"
	twice=$(report republish '[.findings[] | select(.kind == "duplicated" and (.why | test("another attempt"))) | .count] | add // 0')
	[ "$twice" = "$(report republish .counts.duplicated)" ] || die "not each copy bears another attempt"
	proved "republished" "each of $twice copies bears another attempt, and is not marked as redelivered"
}

scenario
