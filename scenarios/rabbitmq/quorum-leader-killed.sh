#!/usr/bin/env bash
#: title     The leader of a quorum queue is killed under load
#: about     Another replica leads within a second; what the dead node had not confirmed nobody knows of, and nothing else
#: about     is missing. The publisher is connected to another node: one that must connect again at that moment may be
#: about     answered nothing but nacks until it opens yet another channel. A control.
#: id        R-13
#: stage     broker
#: faults    kill
#: needs     lab nodes=3
#: takes     25s
#: run       --drain end --no-policy
#: twin quorum good
#:   topic     x-queue-type=quorum
#:   expect    PASS unacknowledged@produce>=0
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

address() { lab status rabbitmq --format json | jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .address'; }
# RabbitMQ 3.10 has no command for it: Ra's own, by the queue's name there.
transfer() { # TWIN NODE
	local from to name
	name="%2F_$(topic_of "$1")"
	from=$(address "$(leader_of "$1")") to=$(address "$2")
	in_lab rabbitmqctl -q eval "ra:transfer_leadership({'$name', 'rabbit@$from'}, {'$name', 'rabbit@$to'})." >/dev/null
	await 30 "$2 leads" leads "$2" "$1"
}
provoke() {
	transfer quorum rabbitmq2
	more_acked "$SCENARIO_RATE" quorum
	LEADER=rabbitmq2
	fault kill "$LEADER"
	await 60 "another replica leads" moved_from "$LEADER" quorum
	proved "election" "$(leader_of quorum) leads"
	more_acked $((SCENARIO_RATE * 2)) quorum
	heal
	more_acked "$SCENARIO_RATE" quorum
}

scenario
