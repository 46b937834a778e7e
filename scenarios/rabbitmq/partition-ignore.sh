#!/usr/bin/env bash
#: title     The cluster is split, and partitions are ignored
#: about     Publishers are at both sides. Each side goes on with a leader of its own; when somebody restarts the smaller
#: about     one, after the links are back, all that it has confirmed meanwhile is gone. cluster_partition_handling=ignore
#: about     is the default. A quorum queue confirms on the majority's side alone.
#: id        R-10
#: stage     broker
#: faults    isolate --from brokers, restart
#: needs     namespaces lab nodes=3
#: takes     70s
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
course() { partitioned ignore; }
restore() { put_back; }

scenario
