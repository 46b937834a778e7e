#!/usr/bin/env bash
# Minutes of one fault after another, at random: nodes are killed, and cut off from the others. Under acks=all
# with idempotence nothing is lost and nothing comes twice; under acks=1, in the same storm, what an independent
# reader misses is named, each and no other. MINUTES (5), SEED.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

minutes=${MINUTES:-5}
RANDOM=${SEED:=$((RANDOM))}
note "MINUTES=$minutes SEED=$SEED"
python_env
lab_up
common=(--create-topic 6:3 --topic-config min.insync.replicas=2 --producers 2 -r 1k --keys seq -q)
"$mq" run "kafka://lab:$lab/one" --run one "${common[@]}" -X acks=1 >"$work/one.txt" 2>&1 &
one=$!
"$mq" run "kafka://lab:$lab/all" --run all "${common[@]}" -X acks=all -X enable.idempotence=true >"$work/all.txt" 2>&1 &
all=$!
going() { report_is "$1" ".counts.read >= $2"; }
ok "acks=1 gets going" wait_until 60 going one 3000
ok "acks=all gets going" wait_until 60 going all 3000

pid_of() { "$mq" lab status kafka --lab "$lab" --format json | jq -r '.nodes[] | select(.name == "'"$1"'") | .pid'; }
is_gone() { # PID: no such process, or a zombie that nobody has waited for yet
	[ -n "$1" ] && ! grep -qs '^State:[^Z]*$' "/proc/$1/status"
}
cut_off=0 killed=0 idle=0
end=$((SECONDS + minutes * 60))
while [ "$SECONDS" -lt "$end" ]; do
	node=kafka$((RANDOM % 3 + 1))
	pid=$(pid_of "$node")
	if [ $((RANDOM % 2)) = 0 ]; then
		"$mq" lab fault kill "$node" --lab "$lab" >/dev/null 2>&1
		if is_gone "$pid"; then killed=$((killed + 1)); else idle=$((idle + 1)); fi
	else
		"$mq" lab fault isolate "$node" --from brokers --lab "$lab" >/dev/null 2>&1
	fi
	sleep $((RANDOM % 10 + 3))
	"$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>&1 || { cat "$work/heal.txt"; bail "the lab cannot be healed"; }
	if grep -q isolate "$work/heal.txt"; then
		if grep -qE '[1-9][0-9]* packets dropped' "$work/heal.txt"; then cut_off=$((cut_off + 1)); else idle=$((idle + 1)); fi
	fi
	sleep $((RANDOM % 5 + 2))
done
note "$killed nodes killed, $cut_off cut off"
ok "there was a storm" test "$((killed + cut_off))" -ge "$((minutes * 2))"
is "each fault bit" "$idle" 0
kill -INT "$one" "$all"
wait "$one"
code_one=$?
wait "$all"
is "acks=all: PASS" "$? $(report all .verdict)" "0 PASS"
is "both judges agree" "$(report one .agreed) $(report all .agreed)" "true true"
is "every fault is in the ledger" "$(report all '[.events[] | select(.kind == "fault")] | length')" "$((killed + cut_off))"

# the truth: what was acknowledged, less what an independent reader finds
psql=$("$mq" ledger status | sed -n 's/.*psql "\(.*\)".*/\1/p' | head -1)
for run in one all; do
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$run" >"$work/read.$run" || bail "the reader fails"
	psql "$psql" -At -F ' ' -c "select producer_id || '.' || epoch || '.' || partition, lo, hi from mqaudit.outcome
		join mqaudit.run using (run_id) where name = '$run' and outcome = 'acked'" |
		awk '{ for (i = $2; i <= $3; i++) print $1 "." i }' | sort >"$work/acked.$run"
	cut -d' ' -f1 "$work/read.$run" | sort -u >"$work/present.$run"
	comm -23 "$work/acked.$run" "$work/present.$run" >"$work/truth.$run"
done
note "acks=all: $(wc -l <"$work/acked.all") acknowledged, $(wc -l <"$work/truth.all") missing"
is "acks=all: the independent reader misses nothing" "$(wc -l <"$work/truth.all")" 0
is "... and finds nothing twice" "$(cut -d' ' -f1 "$work/read.all" | sort | uniq -d | wc -l)" 0
note "acks=1: $(wc -l <"$work/acked.one") acknowledged, $(wc -l <"$work/truth.one") missing"
identities one lost >"$work/named.one"
ok "acks=1: what it misses is named, each and no other" cmp "$work/truth.one" "$work/named.one"
expected="0 PASS"
[ -s "$work/truth.one" ] && expected="1 FAIL"
if [ "$(cut -d' ' -f1 "$work/read.one" | sort | uniq -d | wc -l)" -gt 0 ]; then expected="1 FAIL"; fi
is "... and the verdict follows" "$code_one $(report one .verdict)" "$expected"
done_testing
