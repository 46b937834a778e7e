#!/usr/bin/env bash
#: title     The checker is killed at random instants, and started again
#: about     A control: nothing that it had read is missed, nothing is counted twice. KILLS=20 kills it more often.
#: id        C-6
#: stage     produce
#: faults    SIGKILL of the checker
#: needs     nodes=3
#: takes     6s
#: quiet     yes
#: rate      5000
#: partitions 3
#: producer  acks=all enable.idempotence=true
#: twin checked good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

PARTITIONS=3
kills=${KILLS:-3}
n_killed=0

going() { [ "$(report_of checked | jq '.counts.acked > 1000')" = true ]; }
one_kill() {
	start_check checked
	pause_at_random
	kill_part "$part" && n_killed=$((n_killed + 1))
}
course() {
	local prober i
	start_probe checked
	prober=$part
	await 60 "the probe gets going" going
	for ((i = 1; i <= kills; i++)); do
		step "the checker is killed, $i of $kills"
		one_kill
	done
	kill -INT "$prober"
	wait_part "$prober" || die "the probe: $(tail -1 "$SCENARIO_FOLDER/checked.probe")"
	judge_twin checked
}
prove() {
	local counts
	[ "$n_killed" -eq "$kills" ] || undecided "of $kills checkers $n_killed were killed: the others had ended before"
	counts=$(value_of checked '.counts | "\(.acked - .distinct) \(.extra) \(.pending)"')
	[ "$counts" = "0 0 0" ] || die "acked and not found, repeated, pending: $counts"
	proved "SIGKILL of the checker, $n_killed times" "$(value_of checked '.counts | "\(.acked) acked, \(.distinct) found once each"')"
}

scenario
