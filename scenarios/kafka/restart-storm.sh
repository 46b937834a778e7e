#!/usr/bin/env bash
#: title     The leader is killed as soon as it is elected, again and again
#: about     For two minutes (STORM_SECONDS in the environment), with the nodes killed before just coming back.
#: id        K-33
#: stage     broker
#: faults    kill
#: needs     nodes=3
#: takes     140s
#: deadline  10m
#: rate      1000
#: bounded   yes
#: twin acks1 bad
#:   producer  acks=1
#:   expect    FAIL lost@broker duplicated@produce>=0 reordered@produce>=0
#: twin acks0 bad
#:   producer  acks=0
#:   expect    FAIL lost@produce
#: twin acks-all good
#:   producer  acks=all
#:   topic     min.insync.replicas=2
#:   promise   at-least-once
#:   expect    PASS duplicated@produce>=0 reordered@produce>=0
#: twin idempotent good
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2
#:   expect    PASS
#: mine      acks=0:EITHER acks=1:EITHER acks=all:EITHER idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

has_leader() {
	local leader
	leader=$(leader_of acks1) && [ -n "$leader" ]
}
kill_leader() { # as soon as there is one, and start it again
	local leader
	await 60 "a leader is elected" has_leader
	leader=$(leader_of acks1)
	fault kill "$leader"
	await 60 "another leader is elected" moved_from "$leader" acks1
	heal
}
provoke() {
	local end=$((SECONDS + ${STORM_SECONDS:-120})) n=0
	while [ "$SECONDS" -lt "$end" ]; do
		kill_leader
		n=$((n + 1))
	done
	proved "storm" "$n leaders killed"
	await 60 "all replicas are in sync" isr_has 3 idempotent
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
