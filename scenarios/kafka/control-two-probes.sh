#!/usr/bin/env bash
#: title     Two probes start with one producer id
#: about     A control: each is an epoch of its own, and no message of one is taken for a repeat of the other's.
#: id        C-2
#: stage     produce
#: needs     nodes=3
#: takes     4s
#: quiet     yes
#: rate      2000
#: producer  acks=all enable.idempotence=true
#: twin both good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

n=4000
course() {
	local first
	step "two probes with one producer id"
	start_probe both --count "$n"
	first=$part
	probe_twin both --count "$n"
	wait_part "$first" || die "the first probe: $(tail -1 "$SCENARIO_FOLDER/both.probe")"
	judge_twin both
}
prove() {
	local got
	got=$(value_of both '"\([.producers[].epoch] | sort | join(",")) \(.counts.acked) \(.counts.distinct) \(.counts.extra)"')
	[ "$got" = "1,2 $((n * 2)) $((n * 2)) 0" ] || die "epochs, acked, found, repeated: $got"
	proved "one producer id twice" "epochs 1 and 2, $n messages each"
}

scenario
