#!/usr/bin/env bash
#: title     A follower of a quorum queue is killed under load
#: about     Two of three members are a majority: they go on confirming, and the third catches up when it is back. A
#: about     control.
#: id        R-13b
#: stage     broker
#: faults    kill
#: needs     nodes=3
#: takes     25s
#: run       --drain end --no-policy
#: twin quorum good
#:   topic     x-queue-type=quorum
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	local follower
	follower=$(others "$LEADER" | tail -1)
	fault kill "$follower"
	more_acked $((SCENARIO_RATE * 3)) quorum
	leads "$LEADER" quorum || undecided "the queue has another leader"
	heal
	more_acked "$SCENARIO_RATE" quorum
}

scenario
