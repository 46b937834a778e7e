#!/usr/bin/env bash
#: title     An administrator deletes the oldest records of a topic
#: about     What was acknowledged and read is gone by policy: expired, exactly that, and never lost.
#: id        K-18
#: stage     broker
#: faults    DeleteRecords
#: needs     nodes=3
#: takes     7s
#: quiet     yes
#: rate      500
#: producer  acks=all enable.idempotence=true
#: twin deleted bad
#:   expect    PASS expired@broker=400
#: twin kept good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

N=400
provoke() {
	local out=$SCENARIO_FOLDER/delete.json
	await 60 "what will be deleted is read" has_read deleted $N
	printf '{"version":1,"partitions":[{"topic":"%s","partition":0,"offset":%d}]}\n' "$(topic_of deleted)" $N >"$out"
	step "deleting the first $N records"
	tool kafka-delete-records --offset-json-file "$out" 2>&1 | tee "$SCENARIO_FOLDER/delete.out"
	grep -q "low_watermark: $N" "$SCENARIO_FOLDER/delete.out" || undecided "the records were not deleted"
	proved "DeleteRecords before offset $N" "$(grep -o 'low_watermark: [0-9]*' "$SCENARIO_FOLDER/delete.out")"
	more_acked "$SCENARIO_RATE" deleted kept
}

scenario
