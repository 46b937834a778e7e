#!/usr/bin/env bash
# Reports, explanations and lists of runs from a ledger that holds what probes, checkers and the judge would
# have left (report_runs.sql). Text is compared with tests/data/report; GOLDEN=write writes it anew: read the
# difference before you commit it.
# shellcheck source=tests/lib.sh
MQAUDIT=${MQAUDIT:-$(dirname "$0")/../../${B:-build/rel}/mqaudit}
MQAUDIT=$(realpath "$MQAUDIT") || exit 1
export MQAUDIT
. "$(dirname "$0")/../lib.sh"

unset MQAUDIT_LEDGER NO_COLOR
export TZ=UTC LC_ALL=C
golden=$top/tests/data/report
here=$top/tests/ledger

conninfo() { "$mq" ledger status --format json | jq -r .conninfo; }

# Run the program; out, err and code are what it left.
run() {
	"$mq" "$@" >"$work/out" 2>"$work/err" </dev/null
	code=$?
	out=$(cat "$work/out")
	err=$(cat "$work/err")
}

# What differs from build to build.
mask() { sed -E 's/mqaudit [^ ]+ \((jemalloc|glibc)\)/mqaudit VERSION (ALLOCATOR)/'; }

golden_is() { # NAME EXIT COMMAND...
	local name=$1 want=$2
	shift 2
	run "$@"
	mask <"$work/out" >"$work/masked"
	[ "${GOLDEN:-}" = write ] && cp "$work/masked" "$golden/$name.txt"
	is "$name: the text" "$(cat "$work/masked")" "$(cat "$golden/$name.txt")"
	is "$name: the exit code" "$code" "$want"
	is "$name: nothing on standard error" "$err" ""
}

fails() { # NAME EXIT TEXT COMMAND...: the message holds the text, standard output nothing
	local name=$1 want=$2 text=$3
	shift 3
	run "$@"
	is "$name: the exit code" "$code" "$want"
	is "$name: no product" "$out" ""
	ok "$name: the message says '$text'" grep -qF -e "$text" "$work/err"
	ok "$name: said once" [ "$(grep -c 'error:' "$work/err")" -eq 1 ]
}

"$mq" ledger start >/dev/null 2>&1 || bail "the ledger does not start"
fails "no run at all" 3 "there is no run in the ledger" report
run runs
is "an empty ledger has no runs" "$out" "no runs in the ledger"
psql "$(conninfo)" -q -f "$here/report_runs.sql" >"$work/sql.log" 2>&1 || bail "no runs: $(grep -m1 ERROR "$work/sql.log")"

# ---- text ----

golden_is fail 1 report orders-1
golden_is pass 0 report orders-2
golden_is undecided 4 report orders-3
golden_is open 4 report orders-4
golden_is error 3 report orders-5
golden_is nodata 4 report orders-6
golden_is relay 1 report orders-7
golden_is acks0 1 report orders-9

run report 0000000000000002
is "an id names a run" "$(head -c 16 <<<"$out")" "PASS   orders-2 "
TZ=EST-2 run report orders-1
ok "times of day are local" grep -q ' 14:30:52 ' "$work/out"
run report
ok "without a name, the newest run" grep -q ' newest ' "$work/out"

# ---- JSON ----

json() { # NAME FILTER: must be true for the JSON report of a run
	# not by jq -e: version 1.6 takes no input at all for a yes
	is "json: $1" "$(jq "$2" "$work/out" 2>&1)" true
}

run report orders-1 --format json
is "json: the exit code" "$code" 1
json "format, verdict, promise" '.format == "mqaudit-report/1" and .verdict == "FAIL" and .exit_code == 1 and .promise == "exactly-once,ordered" and .fenced and .agreed'
json "the run" '.run == {"id": "0000000000000001", "name": "orders-1", "started": "2026-11-21T12:30:40.000000Z", "ended": "2026-11-21T12:31:13.250000Z", "destination": "kafka://lab/orders-1", "target": null, "lab": "lab-orders-1", "transactional": false, "keys": "none"}'
json "every documented count, as an integer" '. as $r | ["intended","acked","unconfirmed","refused","unknown","none","unrecorded","in_flight","read","distinct","extra","aborted","foreign","phantom","corrupted","pending","redelivered"] | all(. as $k | $r.counts[$k] | type == "number" and . == floor)'
json "the counts" '.counts | .acked == 6356 and .distinct == 2437 and .lost == 3919'
json "the findings" '[.findings[] | [.kind, .stage, .producer_id, .epoch, .partition, .lo, .hi, .count, .withdrawn]] == [["lost","broker",1,1,0,1438,5356,3919,false],["duplicated","produce",1,1,0,6000,6001,2,false],["lost","broker",1,1,0,10,13,4,true]]'
json "positions, and how many were left out" '.findings[0] | (.positions | length) == 100 and .positions[99] == {"partition": 0, "offset": 1536, "seq": 1537, "copy": 1} and .positions_omitted == 3819 and .acked_first == 1437 and .acked_last == 5355'
json "where both copies are" '[.findings[1].positions[] | [.seq, .copy, .offset]] == [[6000,1,2080],[6000,2,2437],[6001,1,2081],[6001,2,2438]]'
json "the stages" '.stages == {"produce": {"sent": 6356, "acked": 6356, "unconfirmed": 0, "refused": 0, "unknown": 0, "none": 0, "unrecorded": 0, "in_flight": 0, "duplicated": 2}, "broker": {"acked": 6356, "on_log": 2437, "lost": 3919}, "consume": {}}'
json "the lanes" '.lanes == [{"producer_id": 1, "epoch": 1, "partition": 0, "intended": 6356, "acked": 6356, "present": 2437, "lost": 3919, "duplicated": 2, "reordered": 0}]'
json "settings by scope and name" '.settings.client["request.required.acks"] == "1" and .settings.topic["min.insync.replicas"] == "2"'
json "events of the run and its lab in its time, and no others" '[.events[] | [.at, .kind, .subject]] == [["2026-11-21T12:30:51.020000Z","fault","kafka1"],["2026-11-21T12:30:57.121000Z","leader","partition 0"],["2026-11-21T12:31:00.000000Z","unavailable","producer 1"]]'
json "the cut" '[.generations[] | [.cause, .partition, .first_offset]] == [["cut", 0, 1437]]'
json "latency from the stored histogram, right to 3.2 %" '.latency.ack | .n == 100 and .p50_ns >= 2097152 and .p50_ns < 2170000 and .p99_ns >= 18874368 and .p99_ns < 19500000'
json "no latency that nobody measured" '.latency | has("end_to_end") | not'
json "availability" '.available == {"active_ms": 27000, "without_ack_ms": 900, "longest_gap_ms": 900}'
json "rates" '.rates == {"samples": 2, "sent_per_s": 300, "acked_per_s": 300, "read_per_s": 0}'
json "what wrote it" '.tool | has("version") and has("allocator")'
json "no number is a fraction" '[.. | numbers | . == floor] | all'
run report orders-4 --format json
json "an open run's counts hold the sums" '.verdict == "open" and (.counts | .intended == .acked + .unconfirmed + .refused + .unknown + .none + .unrecorded + .in_flight and .read == .distinct + .extra + .aborted + .foreign + .phantom + .corrupted + .fences)'
json "an open run's counts are those of the evidence" '.counts | .intended == 100 and .acked == 60 and .refused == 2 and .in_flight == 38 and .distinct == 50 and .extra == 10 and .pending == 10 and .lost == 3'
json "an open run's findings are provisional" '.findings == [.findings[] | select(.provisional)] and (.findings | length) == 1 and .judgement == null'
run report orders-7 --format json
json "text from elsewhere stays as it was" '.findings[0].why == "on the source'"'"'s log, not behind the relay" and .findings[1].why == "unnamed: the header is damaged \"\u001b[31m\" \\ "'
json "unnamed damage has no producer, only positions" '.findings[1] | .producer_id == 0 and .lo == 0 and .positions[0].offset == 17'
run report orders-3 --format json
json "reasons" '.reasons | length == 2 and (.[0] | startswith("node kafka2"))'

# ---- files, wrong use ----

run report orders-2 -o json="$work/a.json" --output text="$work/a.txt"
is "with files: the exit code" "$code" 0
is "with files: JSON" "$(jq -r .verdict "$work/a.json")" PASS
is "with files: text, the same as on standard output" "$(cat "$work/a.txt")" "$out"
fails "a form that is none" 2 "there is no report format 'xml'" report orders-2 -o xml="$work/x"
fails "no file" 2 "not FORMAT=FILE" report orders-2 -o json=
fails "a folder that is none" 3 "cannot write '$work/none/x'" report orders-2 -o json="$work/none/x"
fails "a form that is none on standard output" 2 "--format" report orders-2 --format yaml
fails "an unknown run" 3 "there is no run 'nowhere'" report nowhere
fails "too many arguments" 2 "unexpected argument" report a b
"$mq" report orders-2 >/dev/full 2>"$work/err"
is "a full disk: the exit code" $? 3
ok "a full disk: the message" grep -q 'cannot write' "$work/err"
ok "no colour where it is no terminal" [ "$("$mq" report orders-1 | grep -c $'\033')" -eq 0 ]
in_terminal() { TERM=xterm script -qec "$1" /dev/null </dev/null; }
ok "colour on a terminal" [ "$(in_terminal "$mq report orders-1" | grep -c $'\033\[1;31mFAIL')" -eq 1 ]
ok "none with NO_COLOR" [ "$(NO_COLOR=1 in_terminal "$mq report orders-1" | grep -c $'\033')" -eq 0 ]

# ---- very many findings ----

begin=$(date +%s%3N)
memory=32768 # KiB
# under a sanitizer no program starts with so little
(ulimit -d "$memory"; "$mq" --version) >/dev/null 2>&1 || memory=unlimited
note "limit of memory: $memory"
(ulimit -d "$memory"; "$mq" report many --format json >"$work/out" 2>"$work/err")
is "100,000 findings in little memory" $? 1
took=$(($(date +%s%3N) - begin))
note "100,000 findings as JSON: $took ms, $(stat -c %s "$work/out") bytes"
ok "in less than a minute" [ "$took" -lt 60000 ]
is "all of them" "$(jq -c '[(.findings | length), .findings_n, .findings[99999].lo, (.findings[0].positions | length)]' "$work/out")" "[100000,100000,300000,20]"
if [ -x /usr/bin/time ]; then
	note "its peak: $(/usr/bin/time -f %M "$mq" report many --format json 2>&1 >/dev/null | tail -1) KiB"
fi
run report many
ok "the text shows 20" [ "$(grep -c '^  duplicated ' "$work/out")" -eq 20 ]
ok "and says how many there are" grep -qF '... and 99,980 more ranges; --limit 0 shows all' "$work/out"
run report many --limit 3
ok "--limit 3 shows 3" [ "$(grep -c '^  duplicated ' "$work/out")" -eq 3 ]
run report many --limit 0
ok "--limit 0 shows all" [ "$(grep -c '^  duplicated ' "$work/out")" -eq 100000 ]

# ---- explain ----

golden_is explain-lost 0 explain orders-1 1.1.0.1438
golden_is explain-twice 0 explain orders-1 1.1.0.6000
golden_is explain-arrived 0 explain 0000000000000002 1.1.0.5
golden_is explain-withdrawn 0 explain orders-1 1.1.0.10
golden_is explain-open 0 explain orders-4 1.1.0.55
fails "an identity beyond the last" 3 "run 'orders-1' has no message 1.1.0.6357" explain orders-1 1.1.0.6357
ok "what there is instead" grep -qF 'seqs 1 to 6356' "$work/err"
fails "an unknown producer" 3 "no message 2.1.0.1" explain orders-1 2.1.0.1
fails "an unknown partition" 3 "no message 1.1.5.1" explain orders-1 1.1.5.1
for bad in 1.1.0 1.1.0.-3 1.1.0.1.1 x 1..0.1 '1.1.0. 1' +1.1.0.1 99999999999999999999.1.0.1 ''; do
	fails "identity '$bad'" 2 "is not the identity of a message" explain orders-1 "$bad"
done
fails "explain an unknown run" 3 "there is no run 'nowhere'" explain nowhere 1.1.0.1
fails "explain without an identity" 2 "explain needs RUN IDENTITY" explain orders-1

# ---- runs ----

golden_is runs 0 runs --limit 4
run runs --format json
is "runs: newest first" "$(jq -c '[.runs[].name]' "$work/out")" '["newest","orders-1","orders-2","orders-3","orders-4","orders-5","orders-6","orders-7","many","orders-9"]'
is "runs: verdicts" "$(jq -c '[.runs[].verdict]' "$work/out")" '["open","FAIL","PASS","UNDECIDED","open","ERROR","NODATA","FAIL","FAIL","FAIL"]'
is "runs: one of them" "$(jq -c '.runs[] | select(.name == "orders-1") | [.id, .started, .ended, .destination, .messages, .seconds]' "$work/out")" \
	'["0000000000000001","2026-11-21T12:30:40.000000Z","2026-11-21T12:31:13.250000Z","kafka://lab/orders-1",6356,33]'
fails "delete without a name" 2 "runs delete needs RUN" runs delete
fails "delete an unknown run" 3 "there is no run 'nowhere'" runs delete nowhere
run runs delete orders-1
is "delete: the exit code" "$code" 0
fails "a deleted run" 3 "there is no run 'orders-1'" report orders-1
left=$(psql "$(conninfo)" -Atc "select sum(n) from (select count(*) n from mqaudit.outcome where run_id = 1 union all select count(*) from mqaudit.witness where run_id = 1 union all select count(*) from mqaudit.finding where run_id = 1 union all select count(*) from mqaudit.setting where run_id = 1) x")
is "delete: nothing of its evidence is left" "$left" 0

done_testing
