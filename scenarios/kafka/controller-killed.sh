#!/usr/bin/env bash
#: title     The active controller is killed; the leader lives
#: about     A control: another node becomes the controller, the leader goes on, and nobody loses anything.
#: id        K-23
#: stage     broker
#: faults    kill
#: needs     nodes=3
#: takes     20s
#: twin acks1 good
#:   producer  acks=1
#:   expect    PASS
#: twin acks-all good
#:   producer  acks=all
#:   topic     min.insync.replicas=2
#:   promise   at-least-once
#:   expect    PASS duplicated@produce>=0 reordered@produce>=0
#: twin idempotent good
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2
#:   expect    PASS
#: mine      acks=0:SAFE acks=1:SAFE acks=all:EITHER idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

prepare() { # another node leads the twins' partitions
	controller=$(active_controller) || undecided "nobody knows the active controller"
	case $controller in
	"${BROKER}1") placement 2:1:3 ;;
	*) placement 1:2:3 ;;
	esac
}
another_controller() {
	local now
	now=$(active_controller) && [ "$now" != "$controller" ]
}
provoke() {
	fault kill "$controller"
	await 60 "another node is the active controller" another_controller
	proved "election" "$(active_controller) is the active controller after $controller"
	leads "$LEADER" acks1 || undecided "the leader is another: it was not the controller alone that was missing"
	more_acked $((SCENARIO_RATE * 2)) acks1 idempotent
	heal
	more_acked "$SCENARIO_RATE" acks1 idempotent
}

scenario
