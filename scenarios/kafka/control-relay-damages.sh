#!/usr/bin/env bash
#: title     Something between the client and the log swaps neighbours, turns bits, cuts ends and adds strangers' records
#: about     A control: a known number of each is found for what it is, and by its name.
#: id        C-5
#: stage     broker
#: needs     nodes=3
#: takes     12s
#: quiet     yes
#: rate      5000
#: producer  acks=all enable.idempotence=true
#: twin swapped bad
#:   expect    FAIL reordered@produce=20
#: twin flipped bad
#:   expect    FAIL corrupted@broker=20
#: twin cut-short bad
#:   expect    FAIL corrupted@broker=20
#: twin strangers good
#:   expect    PASS
#: twin straight good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

course() {
	plant_twin swapped swap=20
	plant_twin flipped flip=20
	plant_twin cut-short cut=20
	plant_twin strangers foreign=20
	plant_twin straight ""
}
prove() {
	local n
	same_as_planted swapped swap reordered produce
	same_as_planted flipped flip corrupted broker
	same_as_planted cut-short cut corrupted broker
	n=$(value_of strangers .counts.foreign)
	[ "$n" = 20 ] || die "of 20 records of strangers $n were counted"
	proved "strangers" "20 added, 20 counted"
	[ "$(value_of straight .counts.foreign)" = 0 ] || die "a stranger's record where none was added"
}

scenario
