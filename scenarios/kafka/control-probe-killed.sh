#!/usr/bin/env bash
#: title     The probe is killed at random instants, and started again
#: about     A control: its journal knows what it had sent. No acknowledged message is missed; unacknowledged is at most
#: about     what was on its way at the kills. KILLS=20 kills it more often.
#: id        C-7
#: stage     produce
#: faults    SIGKILL of the probe
#: needs     nodes=3
#: takes     9s
#: quiet     yes
#: rate      5000
#: partitions 3
#: producer  acks=all enable.idempotence=true linger.ms=5
#: twin sent good
#:   expect    PASS unacknowledged@produce>=0
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

PARTITIONS=3
kills=${KILLS:-3}
n_killed=0

intended() { # 0 before the first start has made the run
	local n
	n=$(report_of sent | jq '.counts.intended // 0')
	echo "${n:-0}"
}
sends() { [ "$(intended)" -gt "$1" ]; } # N: more than so many were
one_kill() {
	local before
	before=$(intended)
	start_probe sent
	wait_until 30 sends "$before" || die "the probe does not get going: $(tail -1 "$SCENARIO_FOLDER/sent.probe")"
	pause_at_random
	kill_part "$part" && n_killed=$((n_killed + 1))
}
course() {
	local i
	for ((i = 1; i <= kills; i++)); do
		step "the probe is killed, $i of $kills"
		one_kill
	done
	step "the last probe ends in order, and ships the journals of the dead"
	probe_twin sent --count 1000
	judge_twin sent
}
prove() {
	local counts none epochs
	[ "$n_killed" -eq "$kills" ] || undecided "of $kills probes $n_killed were killed: the others had ended before"
	epochs=$(value_of sent '[.producers[].epoch] | sort | map(tostring) | join(" ")')
	[ "$epochs" = "$(seq -s ' ' 1 $((kills + 1)))" ] || die "epochs of $((kills + 1)) starts: $epochs"
	counts=$(value_of sent '.counts | "\(.extra) \(.pending) \(.in_flight)"')
	[ "$counts" = "0 0 0" ] || die "repeated, pending, in flight: $counts"
	none=$(value_of sent '.counts.none + .counts.unknown')
	expect sent "unacknowledged@produce<=$none"
	proved "SIGKILL of the probe, $n_killed times" \
		"$(value_of sent '.counts | "\(.intended) intended, \(.acked) acked, on their way \(.none + .unknown)"')"
}

scenario
