#!/usr/bin/env bash
#: title     The leader is killed while its followers lag behind, still in sync by name
#: about     A follower counts as in sync for replica.lag.time.max.ms after its last fetch. What the leader acknowledged
#: about     with acks=1 meanwhile only it has: the follower that is elected next does not, and when the old leader comes
#: about     back it throws that away.
#: id        K-01
#: stage     broker
#: faults    isolate --from fetches, kill
#: needs     namespaces nodes=3
#: takes     20s
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
#: mine      acks=0:UNSAFE acks=1:UNSAFE acks=all:EITHER idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	fault isolate "$LEADER" --from fetches
	more_acked $((SCENARIO_RATE * 3)) acks1
	isr_has 3 acks1 || undecided "the followers have left the in-sync replicas before the leader was killed"
	fault kill "$LEADER"
	await 60 "a follower is elected" moved_from "$LEADER" acks1
	proved "election" "$(leader_of acks1) leads, which was in sync by name"
	heal
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
