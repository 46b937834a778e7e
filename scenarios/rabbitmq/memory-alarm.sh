#!/usr/bin/env bash
#: title     Memory is short, the broker blocks its publishers, and their connections are ended
#: about     A node over its limit reads nothing more from a connection that publishes. Whoever neither waits for confirms
#: about     nor listens to the broker goes on into the socket, and thinks that all of it is sent; when the connection
#: about     ends, so does what the broker had not read. With confirms that is unknown, and what is missing was never
#: about     promised.
#: id        R-25
#: stage     produce
#: faults    memory alarm, connections closed by an operator
#: needs     lab nodes=3
#: takes     25s
#: topic     x-queue-type=classic
#: run       --drain end --no-policy
#: twin no-confirms bad
#:   producer  confirms=false blocked.notice=false
#:   expect    FAIL lost@produce unacknowledged@produce>=0
#: twin confirms good
#:   expect    PASS unacknowledged@produce>=0
#: twin deaf good
#:   producer  blocked.notice=false
#:   expect    PASS unacknowledged@produce>=0
#: mine      default:SAFE confirms=false:EITHER persistent=false:SAFE mandatory:SAFE quorum:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

alarms() { erl "$LEADER" 'length([A || {{resource_limit, memory, _}, _} = A <- rabbit_alarm:get_alarms()]).'; }
alarm_is_on() { [ "$(alarms)" -gt 0 ]; }
is_blocked() { [ "$(status_field "$1" phase)" = blocked ]; } # TWIN
provoke() {
	local before
	step "fault: memory alarm"
	note fault "memory alarm"
	memory_limit '{absolute, 1000000}'
	await 30 "the alarm is on" alarm_is_on
	proved "memory alarm" "$(alarms) nodes are over their limit"
	await 30 "the publisher that listens is told" is_blocked confirms
	before=$(acked confirms)
	more_acked 1500 no-confirms
	[ "$(acked confirms)" = "$before" ] || undecided "the broker went on confirming: $(($(acked confirms) - before))"
	proved "blocked" "0 confirmed, while 1500 went into the socket of no-confirms"
	in_lab rabbitmqctl -q close_all_connections "the memory is short" >/dev/null || die "the connections are not closed"
	put_back
	note fault ""
	more_acked "$SCENARIO_RATE" no-confirms confirms deaf
}
restore() { put_back; }

scenario
