#!/usr/bin/env bash
#: title     The leader is shut down in order while its followers lag behind
#: about     As in any restart or upgrade: the broker hands its leaderships over and ends. They go to replicas that are in
#: about     sync by name; what it alone had acknowledged with acks=1 is cut off when it comes back.
#: id        K-02
#: stage     broker
#: faults    isolate --from fetches, controlled shutdown
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
	more_acked "$SCENARIO_RATE" acks1
	isr_has 3 acks1 || undecided "the followers have left the in-sync replicas before the shutdown"
	restart "$LEADER"
	await 60 "a follower leads" moved_from "$LEADER" acks1
	proved "handing over" "$(leader_of acks1) leads, which was in sync by name"
	heal
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
