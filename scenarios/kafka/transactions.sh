#!/usr/bin/env bash
#: title     Every fifth transaction is aborted
#: about     What was aborted stands in the log, and is no message: refused and counted, not lost, not there for those
#: about     who read committed. (The consumer that reads uncommitted is a matter of the consume stage.)
#: id        K-21
#: stage     produce
#: faults    aborted transactions
#: needs     nodes=3
#: takes     14s
#: quiet     yes
#: rate      1000
#: producer  acks=all enable.idempotence=true
#: twin aborted bad
#:   run       --transaction 10:abort-every=5
#:   expect    PASS refused@produce=200
#: twin committed good
#:   run       --transaction 10
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

N=1000
course() {
	local twin
	step "$N messages in transactions of 10"
	for twin in $(twins); do start_twin "$twin" --count $N; done
	for twin in $(twins); do wait_twin "$twin"; done
}
# As Kafka's own consumer sees it, in both ways.
read_in() { # TWIN ISOLATION
	records_of "$1" "$2" >"$SCENARIO_FOLDER/$1.$2" &
}
read_all_ways() {
	local twin
	step "Kafka's own consumer reads them"
	for twin in $(twins); do
		read_in "$twin" read_committed
		read_in "$twin" read_uncommitted
	done
	wait
}
check_counts() { # TWIN COMMITTED ABORTED
	local counts want="$2 $2 $3 $3" fences
	counts=$(value_of "$1" '.counts | "\(.acked) \(.distinct) \(.refused) \(.aborted)"')
	[ "$counts" = "$want" ] || die "$1: acked, found, refused, aborted: $counts, where $want were sent so"
	counts=$(paste -d' ' "$SCENARIO_FOLDER/$1.read_committed" "$SCENARIO_FOLDER/$1.read_uncommitted")
	fences=$(value_of "$1" .counts.fences) # committed, as they are in no transaction
	[ "$counts" = "$(($2 + fences)) $((N + fences))" ] || undecided "$1: Kafka's own consumer reads committed, uncommitted: $counts"
	proved "$1" "Kafka's own consumer reads $2 committed, $N uncommitted"
}
prove() {
	read_all_ways
	check_counts aborted 800 200
	check_counts committed $N 0
}

scenario
