#!/usr/bin/env bash
#: title     The last in-sync replica loses its power, after the others fell behind
#: about     acks=all and min.insync.replicas=2: all that was acknowledged is on two nodes, and the leader, alone in sync,
#: about     accepts nothing more. Its power is cut. Without eligible leader replicas it comes back with what its disk
#: about     had, is elected, and the others, which have everything, truncate to that. With them (from Kafka 4.0 on, the
#: about     default from 4.1 on) one of the others leads at once. Your own settings get what your cluster has of them.
#: id        K-06
#: stage     broker
#: faults    isolate --from fetches, powercut
#: needs     loop lab nodes=3
#: takes     75s
#: deadline  6m
#: twin elr-off bad
#:   round     elr-off
#:   broker    eligible.leader.replicas.version=0
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2
#:   expect    FAIL lost@broker refused@produce>=0 unacknowledged@produce>=0
#: twin elr-on good
#:   round     elr-on
#:   broker    eligible.leader.replicas.version=1
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2
#:   expect    PASS
#: mine      acks=0:UNSAFE acks=1:UNSAFE acks=all:EITHER idempotent:SAFE
# mine: without eligible leader replicas idempotent is UNSAFE; and where the topic has no min.insync.replicas of its own:
# with eligible leader replicas Kafka 4.1.0 ignores the nodes' files, and one replica alone is written to, and loses all.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

feature=eligible.leader.replicas.version
elr_before= # as the cluster had it
elr_level() { # as it is now; none: this version of Kafka has no such thing
	local out
	out=$(tool kafka-features describe 2>/dev/null) || die "kafka-features describe: $out"
	sed -n "s/.*$feature.*FinalizedVersionLevel: *\([0-9]*\).*/\1/p" <<<"$out" | grep . || echo none
}
elr_is() { [ "$(elr_level)" = "$1" ]; }
set_elr() { # 0|1
	local out command=upgrade
	elr_is "$1" && return
	[ "$1" -gt 0 ] || command=downgrade
	step "$command of $feature to $1"
	out=$(tool kafka-features "$command" --feature "$feature=$1" 2>&1) || die "$feature=$1: $out"
	echo "$out"
	await 30 "$feature is $1" elr_is "$1"
}
elr_of_round() {
	case $ROUND in
	elr-off) [ "$elr_before" = none ] && echo none || echo 0 ;;
	elr-on) echo 1 ;;
	*) echo "$elr_before" ;;
	esac
}
why_not() {
	[ "$ROUND" != elr-on ] || [ "$(elr_level)" != none ] || echo "this version of Kafka has no $feature: 4.0 and later do"
}
prepare() {
	[ -n "$elr_before" ] || elr_before=$(elr_level)
	set_elr "$(elr_of_round)"
}
restore() { [ -z "$elr_before" ] || set_elr "$elr_before"; }

leads_nobody() { tool kafka-topics --describe --topic "$(topic_of "$1")" 2>/dev/null | grep -q 'Leader: none'; }
is_decided() { moved_from "$LEADER" "$1" || leads_nobody "$1"; }
# What must come of it; with settings of one's own whatever does: with min.insync.replicas=1 no replica is eligible.
await_decision() { # TWIN
	case $ROUND in
	elr-off) await 60 "nobody leads" leads_nobody "$1" ;;
	elr-on) await 60 "another replica is elected" moved_from "$LEADER" "$1" ;;
	*) await 60 "another replica is elected, or nobody leads" is_decided "$1" ;;
	esac
	proved "election" "with $feature=$(elr_of_round): $(leader_of "$1" | grep . || echo nobody) leads"
}
provoke() {
	local twin
	twin=$(first_twin)
	fault isolate "$LEADER" --from fetches
	await 60 "the leader is alone in sync" isr_is "$LEADER" "$twin"
	proved "shrink" "in sync: $(isr_of "$twin")"
	fault powercut "$LEADER"
	await_decision "$twin"
	heal
	await 90 "all replicas are in sync" isr_has 3 "$twin"
	more_acked "$SCENARIO_RATE" "$twin"
}

scenario
