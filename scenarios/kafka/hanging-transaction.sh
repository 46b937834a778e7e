#!/usr/bin/env bash
#: title     Another producer's transaction on the topic never ends
#: about     Who reads committed gets nothing that stands behind it: the last stable offset stands still until the
#: about     coordinator aborts it at its transaction.timeout.ms, or an administrator does. Until then nobody can say of
#: about     what was acknowledged behind it that it arrived.
#: id        K-22
#: stage     consume
#: faults    a producer is killed within its transaction
#: needs     nodes=3
#: takes     43s
#: quiet     yes
#: rate      300
#: producer  acks=all enable.idempotence=true transaction.timeout.ms=5000
#: run       --transaction 10
#: twin long bad
#:   expect    UNDECIDED pending@broker=300
#: twin short good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

declare -A stranger_timeout=([long]=600000 [short]=3000)
N=300
stranger_args() { # TWIN: those of its probe, with another run's name on the same topic
	probe_args "$1" | awk '{ print $0 (named ? "-stranger" : ""); named = $0 == "--run" }'
}
# A run of its own leaves its transaction on the twin's topic open.
hang() { # TWIN
	local args
	mapfile -t args < <(stranger_args "$1")
	"$MQAUDIT" probe "${args[@]}" --replica-assignment "$(assignment)" --transaction 1000 --count 1000 \
		-X transaction.timeout.ms="${stranger_timeout[$1]}" --crash-at send:$N >>"$SCENARIO_FOLDER/$1.stranger" 2>&1 </dev/null
	[ $? -eq 137 ] || undecided "$1: the stranger was not killed: $(tail -1 "$SCENARIO_FOLDER/$1.stranger")"
}
open_at() { # TWIN: the offset where an open transaction began, as the leader says
	tool kafka-transactions describe-producers --topic "$(topic_of "$1")" --partition 0 2>/dev/null |
		awk 'NR > 1 && $NF ~ /^[0-9]+$/ { print $NF }'
}
has_none_open() { [ -z "$(open_at "$1")" ]; } # TWIN
course() {
	local twin
	step "a stranger's transaction is left open on each topic"
	hang short
	hang long
	[ "$(open_at long)" = 0 ] || undecided "no transaction is open"
	proved "a producer killed within its transaction" "it is open from offset $(open_at long)"
	for twin in $(twins); do start_twin "$twin" --count $N; done
	for twin in $(twins); do wait_twin "$twin"; done
}
prove() {
	[ "$(open_at long)" = 0 ] || undecided "the long transaction has ended"
	has_none_open short || undecided "the short transaction was not aborted"
	proved "its timeout" "the short one was aborted by the coordinator, the long one is still open"
}
# They were never meant to be judged: out of the ledger.
forget_strangers() {
	local twin ledger run
	for twin in long short; do
		mapfile -t ledger < <(ledger_args "$twin")
		run=$(run_of "$twin")-stranger
		"$MQAUDIT" recover --run "$run" --quiet ${ledger[@]+"${ledger[@]}"}
		"$MQAUDIT" runs delete "$run" --quiet ${ledger[@]+"${ledger[@]}"} || die "$run stays in the ledger"
	done
}
# An administrator aborts it, and the same run can be judged.
afterwards() {
	local report=$SCENARIO_FOLDER/long.json
	tool kafka-transactions abort --topic "$(topic_of long)" --partition 0 --start-offset 0 2>&1
	await 60 "the transaction is aborted" has_none_open long
	cp "$report" "$report.undecided"
	judge_twin long
	[ "$(value_of long .verdict)" = PASS ] || die "judged again, after the abort: $(value_of long .verdict)"
	mv "$report.undecided" "$report"
	proved "aborted by kafka-transactions" "judged again: PASS"
	forget_strangers
}

scenario
