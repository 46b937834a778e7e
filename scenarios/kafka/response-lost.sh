#!/usr/bin/env bash
#: title     Requests arrive, their answers are lost
#: about     The leader stores what it is sent; the client hears nothing, and sends it again. Without idempotence every
#: about     message under way is stored twice or more often; with retries=0 the application is told of a failure, and the
#: about     message is there.
#: id        K-09
#: stage     produce
#: faults    answers
#: needs     namespaces nodes=3
#: takes     15s
#: producer  socket.timeout.ms=2000 request.timeout.ms=1500
#: topic     min.insync.replicas=2
#: twin acks-all bad
#:   producer  acks=all
#:   expect    FAIL duplicated@produce reordered@produce>=0
#: twin acks1 bad
#:   producer  acks=1
#:   expect    FAIL duplicated@produce reordered@produce>=0
#: twin no-retries bad
#:   producer  acks=all retries=0
#:   promise   exactly-once
#:   expect    PASS unacknowledged@produce>=0 refused@produce>=0 reordered@produce>=0
#: twin idempotent good
#:   producer  acks=all enable.idempotence=true
#:   expect    PASS
#: mine      acks=0:EITHER acks=1:UNSAFE acks=all:UNSAFE idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	fault answers "$LEADER"
	await 60 "failures are reported" has_unknown no-retries "$SCENARIO_RATE"
	for_seconds 3 "requests of the others time out, and are sent again"
	heal
	more_acked $((SCENARIO_RATE * 2)) idempotent acks-all acks1 no-retries
}
# What was told to have failed, and is there.
afterwards() {
	local unknown missing
	unknown=$(report no-retries .counts.unknown)
	missing=$(report no-retries '[.findings[] | select(.kind == "unacknowledged") | .count] | add // 0')
	[ "$((unknown - missing))" -gt 0 ] || undecided "nothing that was told to have failed is there"
	proved "told to have failed" "$((unknown - missing)) of $unknown are there, with retries=0"
}

scenario
