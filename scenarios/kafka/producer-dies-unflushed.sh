#!/usr/bin/env bash
#: title     The producer ends while messages wait in its client library
#: about     It ends without flush, it drops what the full queue does not take, it is killed. No broker ever saw these
#: about     messages, so nothing was promised; but each is named: unacknowledged, or refused. Only a flush helps.
#: id        K-12
#: stage     produce
#: faults    exit without flush, a full queue, SIGKILL of the producer
#: needs     nodes=3
#: takes     25s
#: quiet     yes
#: rate      5000
#: producer  acks=all enable.idempotence=true linger.ms=3000
#: twin exit-without-flush bad
#:   run       --exit-without-flush
#:   expect    PASS unacknowledged@produce
#: twin queue-full-drop bad
#:   producer  queue.buffering.max.messages=100
#:   run       --on-queue-full drop
#:   expect    PASS refused@produce
#: twin killed bad
#:   expect    PASS unacknowledged@produce
#: twin flush good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

# The library keeps its messages for three seconds before it sends them: the first start of each waits for that, and
# leaves FLUSHED messages in the log; the second, all but one, ends before.
FLUSHED=500
MORE=2000
first_batches() {
	local twin pid
	step "a first batch of each, flushed"
	for twin in $(twins); do start_probe "$twin" --count $FLUSHED --on-queue-full wait --no-exit-without-flush; done
	for pid in "${!parts[@]}"; do
		twin=${parts[$pid]}
		wait_part "$pid" || die "a probe of $twin: $(tail -1 "$SCENARIO_FOLDER/$twin.probe")"
	done
}
course() {
	local twin
	first_batches
	step "a second batch, and the end of the producer"
	start_probe killed --count $MORE --crash-at intent:$MORE
	wait_part "$part"
	[ $? -eq 137 ] || undecided "the producer was not killed"
	proved "SIGKILL at message $MORE" "the process is gone"
	recover_twin killed
	for twin in exit-without-flush queue-full-drop flush; do probe_twin "$twin" --count $MORE; done
	judge_twins
}
# What the broker itself has of each, by Kafka's own tool: all but the fences are messages.
prove() {
	local twin stored
	for twin in $(twins); do
		stored=$(($(log_end "$twin") - $(value_of "$twin" .counts.fences)))
		proved "$twin" "of $((FLUSHED + MORE)) messages $stored are in the log"
		case $twin in
		queue-full-drop) expect "$twin" refused@produce=$((FLUSHED + MORE - stored)) ;;
		flush) [ "$stored" -eq $((FLUSHED + MORE)) ] || undecided "not all that was flushed is in the log: $stored" ;;
		*)
			[ "$stored" -eq $FLUSHED ] || undecided "$twin: the library had sent $((stored - FLUSHED)) already"
			expect "$twin" unacknowledged@produce=$MORE
			;;
		esac
	done
}

scenario
