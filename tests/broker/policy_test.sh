#!/usr/bin/env bash
# What policy removes is not lost: read before, it is expired; never read, it is unread and nobody can decide.
# Total loss is a failure, not "no data"; a run that sends nothing is.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

lab_up
delete_records() { # TOPIC OFFSET: everything before it, of partition 0
	printf '{"partitions":[{"topic":"%s","partition":0,"offset":%s}],"version":1}\n' "$1" "$2" >"$work/delete.json"
	in_lab kafka-delete-records --bootstrap-server "$(bootstrap)" --offset-json-file "$work/delete.json" >"$work/delete.out" 2>&1
}
url() { echo "kafka://lab:$lab/$1"; }
kinds() { report "$1" '[.sums[] | "\(.kind) \(.stage) \(.count)"] | sort | join(", ")'; }

# read, then deleted while the run goes on
"$mq" probe "$(url seen)" --run seen --create-topic 1:3 -n 1000 -q >/dev/null 2>&1
is "the first thousand" $? 0
"$mq" check "$(url seen)" --run seen --follow -q >"$work/seen.txt" 2>&1 &
checker=$!
read_all() { report_is seen '.counts.read >= 1000'; }
ok "is read" wait_until 30 read_all
delete_records seen 400
is "the first 400 are deleted" $? 0
kill -INT "$checker"
wait "$checker"
is "read, then deleted: PASS" "$? $(report seen .verdict)" "0 PASS"
is "expired, exactly those, by name" "$(identities seen expired | sort -t. -k4n | sed -n '1p;$p' | paste -sd' ') $(kinds seen)" \
	"1.1.0.1 1.1.0.400 expired broker 400"

# deleted before anybody read
"$mq" probe "$(url unseen)" --run unseen --create-topic 1:3 -n 1000 -q >/dev/null 2>&1
delete_records unseen 400
"$mq" check "$(url unseen)" --run unseen -q >"$work/unseen.txt" 2>&1
is "deleted before it was read: UNDECIDED" "$? $(report unseen .verdict)" "4 UNDECIDED"
is "unread, exactly those" "$(kinds unseen)" "unread broker 400"

# everything gone: the topic was deleted and made again
"$mq" probe "$(url gone)" --run gone --create-topic 1:3 -n 1000 -q >/dev/null 2>&1
in_lab kafka-topics --bootstrap-server "$(bootstrap)" --delete --topic gone >"$work/gone.out" 2>&1
absent() { ! in_lab kafka-topics --bootstrap-server "$(bootstrap)" --list 2>/dev/null | grep -qx gone; }
wait_until 30 absent
in_lab kafka-topics --bootstrap-server "$(bootstrap)" --create --topic gone --partitions 1 --replication-factor 3 >>"$work/gone.out" 2>&1
"$mq" check "$(url gone)" --run gone -q >"$work/gone.txt" 2>&1
is "an empty log is total loss, not no data" "$? $(report gone .verdict) $(kinds gone)" "1 FAIL lost broker 1000"

# nothing sent
"$mq" run "$(url none)" --run none --create-topic 1:3 -n 0 -q >"$work/none.txt" 2>&1
is "nothing sent: NODATA" "$? $(report none .verdict)" "4 NODATA"

# compaction leaves holes that look like loss
"$mq" probe "$(url compact)" --run compact --create-topic 1:3 --topic-config cleanup.policy=compact \
	--topic-config segment.ms=1000 --topic-config min.cleanable.dirty.ratio=0.01 --keys 10 -n 1000 -q >/dev/null 2>&1
"$mq" check "$(url compact)" --run compact -q >"$work/compact.txt" 2>&1
is "a compacted topic that was read: PASS or undecided, never lost" \
	"$(report compact '.verdict != "FAIL" and ([.sums[] | select(.kind == "lost")] | length) == 0')" true
note "compacted: $(report compact .verdict) $(kinds compact)"
done_testing
