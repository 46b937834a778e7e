#!/usr/bin/env bash
#: title     Another replica is made the leader by preferred election while the followers lag behind
#: about     Nothing is killed and nobody is cut off from the quorum: an administrator (or auto.leader.rebalance) moves
#: about     the leadership to a replica that is in sync by name. What the old leader alone had acknowledged is cut off.
#: id        K-02
#: stage     broker
#: faults    isolate --from fetches, preferred leader election
#: needs     namespaces nodes=3
#: takes     15s
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
	reassign_twins 2:1:3
	await 30 "the order of replicas has changed" reassigned
	fault isolate "$LEADER" --from fetches
	more_acked "$SCENARIO_RATE" acks1
	elect_preferred
	isr_has 3 acks1 || undecided "the followers have left the in-sync replicas before the election"
	await 30 "the preferred replica leads" leads "${BROKER}2" acks1
	proved "election" "${BROKER}2 leads, by preferred election"
	heal
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
