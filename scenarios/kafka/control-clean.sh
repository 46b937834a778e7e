#!/usr/bin/env bash
#: title     Nothing happens: good settings, no fault, nothing may be found
#: about     A control: an auditor that finds something here finds what is not there.
#: id        C-1
#: stage     produce
#: needs     nodes=3
#: takes     8s
#: quiet     yes
#: rate      2000
#: twin idempotent good
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2
#:   expect    PASS
#: twin acks-all good
#:   producer  acks=all
#:   topic     min.insync.replicas=2
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	more_acked $((SCENARIO_RATE * 2)) idempotent acks-all
}
prove() {
	local twin counts
	for twin in idempotent acks-all; do
		counts=$(value_of "$twin" '.counts | "\(.intended - .acked) \(.acked - .distinct) \(.pending) \(.in_flight)"')
		[ "$counts" = "0 0 0 0" ] || die "$twin: not acked, not found, pending, in flight: $counts"
		proved "$twin" "$(value_of "$twin" '.counts | "\(.acked) acked, \(.distinct) found, nothing pending"')"
	done
}

scenario
