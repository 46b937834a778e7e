#!/usr/bin/env bash
#: title     The cluster is split, and the minority pauses
#: about     cluster_partition_handling=pause_minority: the smaller side ends its clients' connections once it knows that
#: about     it is one, and starts again when the links are back. Nobody confirms what the majority does not have. A
#: about     control: partition-ignore and partition-autoheal are what it saves from.
#: id        R-10
#: stage     broker
#: faults    isolate --from brokers
#: needs     namespaces lab nodes=3
#: takes     50s
#: run       --drain end --no-policy
#: twin mirrored good
#:   topic     x-queue-type=classic
#:   expect    PASS unacknowledged@produce>=0
#: twin quorum good
#:   topic     x-queue-type=quorum
#:   expect    PASS unacknowledged@produce>=0
#: mine      default:SAFE mandatory:SAFE quorum:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

prepare() { policy mirrored '{"ha-mode": "all", "ha-sync-mode": "automatic"}'; }
course() { partitioned pause_minority; }
restore() { put_back; }

scenario
