#!/usr/bin/env bash
# Every lane gets its share, whatever limits the probe: a queue that is always full must not feed the
# first lanes alone.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

lab_up --nodes 1
url() { echo "kafka://lab:$lab/$1"; }
# the emptiest lane's share of an even one, in percent
least_share() {
	report "$1" '[.lanes[].intended] | if length == 0 then 0 else (min * length * 100 / add | floor) end'
}
lanes() { # NAME RUN LANES AT-LEAST
	local share
	share=$(report "$2" '.lanes | length')
	is "$1: lanes" "$share" "$3"
	share=$(least_share "$2")
	ok "$1: the emptiest lane has $share % of an even share, $4 at least" test "$share" -ge "$4"
}

"$mq" run "$(url narrow)" --run narrow --create-topic 12 -n 300k -s 1024 -X queue.buffering.max.messages=2000 -q >/dev/null
is "a narrow window, 12 partitions: PASS" "$? $(report narrow .verdict)" "0 PASS"
lanes "a narrow window" narrow 12 70

"$mq" run "$(url three)" --run three --create-topic 5 -n 90k --producers 3 -X queue.buffering.max.messages=2000 -q >/dev/null
is "three producers: PASS" "$? $(report three .verdict)" "0 PASS"
lanes "three producers" three 15 70

"$mq" run "$(url paced)" --run paced --create-topic 7 -n 7k -r 3500 -q >/dev/null
is "paced: PASS" "$? $(report paced .verdict)" "0 PASS"
lanes "paced" paced 7 95

"$mq" run "$(url txn)" --run txn --create-topic 6 -n 30k --transaction 250 -q >/dev/null
is "transactions: PASS" "$? $(report txn .verdict)" "0 PASS"
lanes "transactions" txn 6 70

done_testing
