#!/usr/bin/env bash
#: title     A classic queue's node is down, and its publishers go on at another
#: about     A queue that is not replicated lives on one node. While that one is away the others route to nothing, and
#: about     confirm what they drop. With mandatory it comes back.
#: id        R-04b
#: stage     broker
#: faults    kill
#: needs     nodes=3
#: takes     25s
#: run       --drain end --no-policy
#: twin confirms bad
#:   topic     x-queue-type=classic
#:   expect    FAIL lost@broker unacknowledged@produce>=0
#: twin mandatory good
#:   producer  mandatory=true
#:   topic     x-queue-type=classic
#:   expect    PASS refused@produce unacknowledged@produce>=0
#: mine      default:UNSAFE confirms=false:UNSAFE persistent=false:UNSAFE mandatory:SAFE quorum:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	fault kill "$LEADER"
	more_acked $((SCENARIO_RATE * 3)) confirms
	heal
	more_acked "$SCENARIO_RATE" confirms mandatory
}

scenario
