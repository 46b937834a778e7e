#!/usr/bin/env bash
#: title     Two of a quorum queue's three nodes are killed
#: about     One member is no majority: nothing is confirmed until another is back, and nothing that was is missing. What
#: about     was under way is confirmed late or unknown.
#: id        R-13c
#: stage     broker
#: faults    kill of two nodes
#: needs     lab nodes=3
#: takes     30s
#: run       --drain end --no-policy
#: twin quorum good
#:   topic     x-queue-type=quorum
#:   expect    PASS unacknowledged@produce>=0
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	local before node
	for node in $(others "$LEADER"); do fault kill "$node"; done
	await 30 "$LEADER is alone" sees_running "$LEADER" 1
	before=$(acked quorum)
	for_seconds 5 "it may confirm nothing now"
	[ "$(acked quorum)" = "$before" ] || die "$(($(acked quorum) - before)) messages were confirmed by one of three"
	proved "no majority" "0 acknowledged in 5 s"
	heal
	more_acked $((SCENARIO_RATE * 2)) quorum
}

scenario
