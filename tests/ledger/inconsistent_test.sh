#!/usr/bin/env bash
# A position that gives another record at each read is inconsistent, once; one that was replaced is a cut. On a
# log that no real broker has: see inconsistent.c.
# shellcheck source=tests/ledger/lib.sh
. "$(dirname "$0")/lib.sh"

"$bin/inconsistent" >"$work/out" 2>"$work/err"
is "the witness goes through it" "$? $(cat "$work/err")" "0 "
is "nothing changed: no cut" "$(value untouched)" 0
is "a record was replaced: a cut, once" "$(value replaced) $(value replaced_again)" "1 0"
is "it is another at each read: a cut first, and no anchor then" "$(value flipping) $(value flipping_again)" "1 0"
is "nor for the next checker" "$(value next_checker)" 0
is "found: one position, inconsistent at the broker, and nothing else" "$(value finding)" "inconsistent broker 0 1"
is "both judges agree, the sums hold, nothing is missing" "$(value agreed) $(value sums) $(value distinct)" "1 1 100"
is "the report names its offset" \
	"$(report inconsistent '[.findings[] | "\(.kind) \(.positions[0].partition)/\(.positions[0].offset)"] | tostring')" \
	'["inconsistent 0/99"]'
is "and tells the cuts and the event" \
	"$(report inconsistent '"\(.generations | length) \([.events[] | select(.kind == "inconsistent") | .detail] | tostring)"')" \
	'2 ["offset 99: read twice, two contents"]'
done_testing
