#!/usr/bin/env bash
#: title     The cluster is split, and heals itself
#: about     cluster_partition_handling=autoheal: both sides go on, and when the links are back the side with fewer clients
#: about     (or fewer nodes) restarts and takes over what the other has. What it has confirmed meanwhile is gone. A
#: about     quorum queue confirms on the majority's side alone.
#: id        R-10
#: stage     broker
#: faults    isolate --from brokers
#: needs     namespaces lab nodes=3
#: takes     60s
#: run       --drain end --no-policy
#: twin mirrored bad
#:   topic     x-queue-type=classic
#:   expect    FAIL lost@broker unacknowledged@produce>=0
#: twin quorum good
#:   topic     x-queue-type=quorum
#:   expect    PASS unacknowledged@produce>=0
#: mine      default:UNSAFE mandatory:SAFE quorum:SAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

prepare() { policy mirrored '{"ha-mode": "all", "ha-sync-mode": "automatic"}'; }
course() { partitioned autoheal; }
restore() { put_back; }

scenario
