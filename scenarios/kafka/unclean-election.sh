#!/usr/bin/env bash
#: title     A replica that is not in sync is elected, since the topic allows it
#: about     The leader is alone in sync, goes on acknowledging (min.insync.replicas=1), and dies. acks=all means all that
#: about     are in sync: it alone. With unclean.leader.election.enable=true a replica that lags is elected at once, and
#: about     everything since is gone; without, the partition waits for its leader; with min.insync.replicas=2 nothing
#: about     was acknowledged alone.
#: id        K-04
#: stage     broker
#: faults    isolate --from fetches, kill
#: needs     namespaces nodes=3
#: takes     40s
#: twin unclean bad
#:   producer  acks=all max.in.flight=1
#:   topic     unclean.leader.election.enable=true min.insync.replicas=1
#:   expect    FAIL lost@broker duplicated@produce>=0 reordered@produce>=0
#: twin clean good
#:   producer  acks=all enable.idempotence=true
#:   topic     unclean.leader.election.enable=false min.insync.replicas=1
#:   expect    PASS
#: twin min-insync-2 good
#:   producer  acks=all enable.idempotence=true
#:   topic     unclean.leader.election.enable=true min.insync.replicas=2
#:   expect    PASS
#: mine      acks=0:EITHER acks=1:EITHER acks=all:EITHER idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() {
	fault isolate "$LEADER" --from fetches
	await 60 "the leader is alone in sync" isr_is "$LEADER" unclean
	more_acked $((SCENARIO_RATE * 2)) unclean
	fault kill "$LEADER"
	await 60 "a replica that lags is elected" moved_from "$LEADER" unclean
	proved "election" "$(leader_of unclean) leads, which was not in sync"
	more_acked "$SCENARIO_RATE" unclean
	heal
	more_acked $((SCENARIO_RATE * 2)) clean min-insync-2
}

scenario
