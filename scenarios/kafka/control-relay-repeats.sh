#!/usr/bin/env bash
#: title     Something between the client and the log sends messages twice
#: about     A control: the copies of a known number of messages are found, with the positions of both.
#: id        C-4
#: stage     produce
#: needs     nodes=3
#: takes     5s
#: quiet     yes
#: rate      5000
#: producer  acks=all enable.idempotence=true
#: twin repeated bad
#:   expect    FAIL duplicated@produce=20
#: twin straight good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

course() {
	plant_twin repeated repeat=20
	plant_twin straight ""
}
prove() {
	local positions
	same_as_planted repeated repeat duplicated produce
	positions=$(value_of repeated '[.findings[].positions[]] | "\(length) \(unique_by(.offset) | length)"')
	[ "$positions" = "40 40" ] || die "positions of 20 repeats, and different ones: $positions"
	proved "both positions" "40 positions, two of each"
}

scenario
