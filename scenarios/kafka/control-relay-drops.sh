#!/usr/bin/env bash
#: title     Something between the client and the log drops messages that were acknowledged
#: about     A control: a known number of messages, chosen at random, is acknowledged to the probe and never sent.
#: about     Exactly those must be found lost, by name.
#: id        C-3
#: stage     broker
#: needs     nodes=3
#: takes     4s
#: quiet     yes
#: rate      5000
#: producer  acks=all enable.idempotence=true
#: twin dropped bad
#:   expect    FAIL lost@broker=20
#: twin straight good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

course() {
	plant_twin dropped drop=20
	plant_twin straight ""
}
prove() {
	same_as_planted dropped drop lost broker
}

scenario
