#!/usr/bin/env bash
#: title     The power of all nodes is cut at one instant
#: about     A stream confirms what a majority has in its page cache, a quorum queue what a majority has on its disks. What
#: about     the stream had written back before is there again.
#: id        R-06 R-07
#: stage     broker
#: faults    powercut of all nodes
#: needs     loop lab nodes=3
#: takes     40s
#: run       --drain end --no-policy
#: twin stream bad
#:   topic     x-queue-type=stream
#:   expect    FAIL lost@broker unacknowledged@produce>=0
#: twin quorum good
#:   topic     x-queue-type=quorum
#:   expect    PASS unacknowledged@produce>=0
#: mine      default:EITHER confirms=false:UNSAFE persistent=false:UNSAFE mandatory:SAFE quorum:SAFE version-2:UNSAFE stream:UNSAFE
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

# A stream of which nothing was ever written back does not start again (R-07c): its beginning is.
write_back() {
	local node
	for node in $(all_nodes); do
		in_lab rabbitmqctl -q -n "$node" eval 'os:cmd("sync -f " ++ rabbit_mnesia:dir()).' >/dev/null || die "sync on $node"
	done
}
provoke() {
	local nodes
	write_back
	more_acked $((SCENARIO_RATE * 3)) stream quorum
	mapfile -t nodes < <(all_nodes)
	fault powercut "${nodes[@]}"
	heal
	more_acked "$SCENARIO_RATE" stream quorum
}

scenario
