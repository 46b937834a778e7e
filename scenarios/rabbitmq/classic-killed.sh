#!/usr/bin/env bash
#: title     The node of a classic queue is killed under load
#: about     What was confirmed is in the files of the queue, whichever version it has, and a killed process takes nothing
#: about     from them. Sent with mandatory, as what is sent while the node is away is dropped otherwise (home-node-down).
#: id        R-04
#: stage     broker
#: faults    kill
#: needs     nodes=3
#: takes     20s
#: run       --drain end --no-policy
#: twin version-1 good
#:   producer  mandatory=true
#:   topic     x-queue-type=classic x-queue-version=1
#:   expect    PASS refused@produce>=0 unacknowledged@produce>=0
#: twin version-2 good
#:   producer  mandatory=true
#:   topic     x-queue-type=classic x-queue-version=2
#:   expect    PASS refused@produce>=0 unacknowledged@produce>=0
#: mine      default:UNSAFE confirms=false:UNSAFE persistent=false:UNSAFE mandatory:SAFE quorum:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	fault kill "$LEADER"
	heal
	more_acked "$SCENARIO_RATE" version-1 version-2
}

scenario
