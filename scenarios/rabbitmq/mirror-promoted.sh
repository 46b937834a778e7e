#!/usr/bin/env bash
#: title     The leader of a mirrored queue dies before its mirrors have the backlog
#: about     Mirrors that a policy adds to a queue with messages have only what comes after, until they are synchronised:
#: about     by hand, where ha-sync-mode does not say automatic. ha-promote-on-failure=always, which is the default, makes
#: about     one of them the leader all the same; when-synced waits until the old one is back. Half the queue is sent
#: about     before the policy, half behind it.
#: id        R-09
#: stage     broker
#: faults    kill
#: needs     lab nodes=3
#: takes     30s
#: topic     x-queue-type=classic
#: run       --drain end --no-policy
#: twin always bad
#:   expect    FAIL lost@broker=2000
#: twin when-synced good
#:   expect    PASS
#: twin automatic good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

course() {
	local twin
	for twin in $(twins); do probe_twin "$twin" --count 2000 --rate 4000; done
	LEADER=$(leader_of always)
	policy always '{"ha-mode": "all", "ha-sync-mode": "manual", "ha-promote-on-failure": "always"}'
	policy when-synced '{"ha-mode": "all", "ha-sync-mode": "manual", "ha-promote-on-failure": "when-synced"}'
	policy automatic '{"ha-mode": "all", "ha-sync-mode": "automatic"}'
	await 30 "always has two mirrors without the backlog" mirrors_are always "2 0"
	await 30 "so has when-synced" mirrors_are when-synced "2 0"
	await 30 "those of automatic are in sync" mirrors_are automatic "2 2"
	for twin in $(twins); do probe_twin "$twin" --count 2000 --rate 4000 --producer-id 2; done
	mirrors_are always "2 0" || undecided "the mirrors of always have the backlog: $(mirrors_of always)"
	fault kill "$LEADER"
	await 60 "a mirror without the backlog leads" moved_from "$LEADER" always
	proved "promotion" "$(leader_of always) leads, which had none of the first 2000"
	heal
	judge_twins
}
restore() { put_back; }

scenario
