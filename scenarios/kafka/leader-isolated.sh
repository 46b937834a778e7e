#!/usr/bin/env bash
#: title     The leader is cut off from the other nodes while its clients still reach it
#: about     It goes on acknowledging with acks=1 what no follower will ever have; when it comes back as a follower, it
#: about     throws that away. No process is killed, and no setting of the topic helps: only acks=all does.
#: id        K-24
#: stage     broker
#: faults    isolate --from brokers
#: needs     namespaces nodes=3
#: takes     25s
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
#: twin min-insync-1 good
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=1
#:   expect    PASS
#: twin idempotent good
#:   producer  acks=all enable.idempotence=true
#:   topic     min.insync.replicas=2
#:   expect    PASS
#: mine      acks=0:UNSAFE acks=1:UNSAFE acks=all:EITHER idempotent:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

provoke() { leader_cut_off acks1 idempotent; }

scenario
