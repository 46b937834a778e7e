#!/usr/bin/env bash
#: title     The leader hears nothing of the other nodes any more, but they hear it
#: about     Fetches and answers of the others do not reach the leader: a connection that works one way only works not at
#: about     all, and another leader is elected. The clients still reach the old one, which goes on acknowledging with
#: about     acks=1 what nobody else will ever have.
#: id        K-24
#: stage     broker
#: faults    isolate --from brokers --direction in
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

provoke() { leader_cut_off acks1 idempotent --direction in; }

scenario
