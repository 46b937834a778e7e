#!/usr/bin/env bash
#: title     Partitions are moved to other nodes and back under load
#: about     An administrator takes the replicas off the leader's node while the followers lag behind: those that stay are
#: about     in sync by name, and what the old leader alone had acknowledged is gone with it. Then one replica alone (acks=all with
#: about     min.insync.replicas=2 waits), and all three again.
#: id        K-29
#: stage     broker
#: faults    isolate --from fetches, reassignment
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

move_to() { # 2:3: until they live there, the first of them leading
	reassign_twins "$1"
	await 60 "the partitions live on $1" reassigned
	await 60 "$2 leads" leads "$2" acks1
	proved "reassignment to $1" "$2 leads"
}
provoke() {
	fault isolate "$LEADER" --from fetches
	more_acked "$SCENARIO_RATE" acks1
	reassign_twins 2:3
	await 60 "another node leads" moved_from "$LEADER" acks1
	proved "reassignment to 2:3" "$(leader_of acks1) leads, which was in sync by name"
	heal
	await 60 "the partitions live on 2:3" reassigned
	more_acked "$SCENARIO_RATE" idempotent
	move_to 3 "${BROKER}3"
	more_acked "$SCENARIO_RATE" acks1
	reassign_twins 1:2:3
	await 60 "all replicas are in sync" isr_has 3 idempotent
	more_acked $((SCENARIO_RATE * 2)) idempotent acks1
}

scenario
