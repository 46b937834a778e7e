#!/usr/bin/env bash
# The scenario runner: a scenario on a lab that is up and on one of its own; the identities that its bad twin lost
# are those that an independent reader misses; the user's own settings are a third twin; a fault that does nothing
# ends undecided; a runner that is killed leaves no fault behind.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up --broker-config replica.lag.time.max.ms=10000
# (a ledger that a scenario started would be one of its processes, and stay a minute)
"$mq" ledger start -q >/dev/null
scenario() { timeout 300 "$mq" scenario run kafka --lab "$lab" "$@" 2>"$work/scenario.err"; }
result() { jq -r "$1" "$work/result.json"; }

# --- as it is
scenario leader-isolated -o json="$work/result.json" -o junit="$work/result.xml" -o markdown="$work/result.md" \
	>"$work/result.txt"
is "leader-isolated: as declared" $? 0
is "... says so" "$(result '.format + " " + .verdict')" "mqaudit-suite/1 PASS"
is "... each twin" "$(result '[.scenarios[0].twins[] | "\(.role) \(.name) \(.outcome)"] | join(", ")')" \
	"bad acks1 ok, bad acks0 ok, good acks-all ok, good min-insync-1 ok, good idempotent ok"
ok "... the fault and its proof" test "$(result '[.scenarios[0].fault[].proof | select(test("[1-9][0-9]* packets dropped in"))] | length')" = 1
ok "... progress was said" grep -q 'waiting until the majority elects another leader' "$work/scenario.err"
ok "... the table names what was lost" grep -qE 'bad +acks1 .*LOST [0-9,]+ broker +ok' "$work/result.txt"
ok "... in Markdown too" grep -qE '^\| leader-isolated \| acks1 \(bad\) \| LOST [0-9,]+ broker \| as declared \|$' "$work/result.md"
ok "... JUnit is XML" python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/result.xml"
is "... with a case for each twin" "$(grep -c '<testcase ' "$work/result.xml")" 5

# the truth about acks1, by a reader that shares no code: everything sent was acked, so what it does not read is lost
run=$(result '.scenarios[0].twins[] | select(.name == "acks1") | .run_name')
sent=$(report "$run" .counts.acked)
is "acks1: everything was acked" "$(report "$run" .counts.intended)" "$sent"
python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$run" >"$work/read.txt" || bail "the reader fails"
seq 1 "$sent" | sed 's/^/1.1.0./' | sort >"$work/sent.txt"
cut -d' ' -f1 "$work/read.txt" | sort -u | comm -23 "$work/sent.txt" - >"$work/truth.txt"
identities "$run" lost >"$work/named.txt"
note "acks1: $sent acked, $(wc -l <"$work/truth.txt") lost"
ok "acks1: something was lost" test -s "$work/truth.txt"
ok "acks1: the lost ones are named, each and no other" cmp "$work/truth.txt" "$work/named.txt"
is "acks1: and counted" "$(result '.scenarios[0].twins[] | select(.name == "acks1") | .found[0].count')" "$(wc -l <"$work/truth.txt")"

# --- the user's own settings
echo "acks=1" >"$work/mine.properties"
scenario leader-isolated --producer-config "$work/mine.properties" -o json="$work/result.json" >"$work/result.txt"
is "acks=1 of one's own: exit code 1" $? 1
is "... UNSAFE" "$(result '.mine.unsafe | join(",")') $(result '.scenarios[0].twins[] | select(.role == "mine") | .outcome')" \
	"leader-isolated unsafe"
ok "... and which were lost" test "$(result '.scenarios[0].twins[] | select(.role == "mine") | .findings[0].count')" -gt 0
printf 'acks=all\nenable.idempotence=true\n' >"$work/mine.properties"
scenario leader-isolated --producer-config "$work/mine.properties" --topic-config min.insync.replicas=2 \
	-o json="$work/result.json" >"$work/result.txt"
is "good settings of one's own: exit code 0" $? 0
is "... SAFE" "$(result '.mine.safe | join(",")')" leader-isolated

# --- a fault that does nothing
cat >"$work/sabotage" <<EOF
#!/bin/sh
[ "\$1 \$2" = "lab fault" ] && { echo "f0  nothing"; exit 0; }
exec "$mq" "\$@"
EOF
chmod 755 "$work/sabotage"
SCENARIO_PATIENCE=20 scenario leader-isolated --program "$work/sabotage" -o json="$work/result.json" \
	--producer-config "$work/mine.properties" >"$work/result.txt"
is "a fault that does nothing: exit code 4" $? 4
is "... UNDECIDED" "$(result .verdict)" UNDECIDED
is "... why" "$(result '.scenarios[0].undecided_because | join("; ")')" "not within 12 s: the majority elects another leader"
is "... the bad twins are not passed" "$(result '[.scenarios[0].twins[] | select(.role == "bad") | .outcome] | join(",")')" \
	"not-caught,not-caught"
is "... and nobody's settings are called safe" "$(result '.scenarios[0].twins[] | select(.role == "mine") | .outcome')" unproven

# --- a client library that ends by itself, once: what its twin is worth cannot be told, and is tried again
cat >"$work/fragile" <<EOF
#!/usr/bin/env python3
import json, os, signal, subprocess, sys
if sys.argv[1] != "run":
    os.execv("$mq", ["$mq"] + sys.argv[1:])
client = subprocess.Popen(["$mq"] + sys.argv[1:])
for told in (signal.SIGINT, signal.SIGTERM):
    signal.signal(told, lambda *_: client.send_signal(signal.SIGINT))
code = client.wait()
folder = os.environ["SCENARIO_FOLDER"]
if "leader-isolated-idempotent" in " ".join(sys.argv) and not folder.endswith("-again"):
    with open(folder + "/idempotent.json") as f:
        report = json.load(f)
    report["producers"][0]["end_cause"] = "failed"
    report["findings"].append({"kind": "refused", "stage": "produce", "count": 7})
    with open(folder + "/idempotent.json", "w") as f:
        json.dump(report, f)
sys.exit(code)
EOF
chmod 755 "$work/fragile"
scenario leader-isolated --program "$work/fragile" -o json="$work/result.json" >"$work/result.txt"
is "a client that gave up: tried again, as declared" "$? $(result .verdict)" "0 PASS"
is "... and so it is said" "$(result '.scenarios | length') $(result '.scenarios[0].first_try' | grep -c 'its client gave up') \
$(grep -c 'tried twice: .*its client gave up' "$work/result.txt")" "1 1 1"

# --- a runner that is killed at any instant: no fault stays, no run goes on
healed() {
	[ "$("$mq" lab status kafka --lab "$lab" --format json | jq '[(.faults | length) == 0, .nodes[].answers] | all')" = true ]
}
alone() { # no process of that scenario is left
	! grep -qsz "^SCENARIO_FOLDER=$work/" /proc/[0-9]*/environ
}
for ((i = 1; i <= ${KILLS:-3}; i++)); do
	"$mq" scenario run kafka leader-isolated --lab "$lab" --logs "$work/killed-$i" >/dev/null 2>"$work/killed.err" &
	runner=$!
	after=$((RANDOM % 200))
	sleep "$((after / 10)).$((after % 10))"
	kill -KILL "$runner" 2>/dev/null
	wait "$runner" 2>/dev/null
	ok "killed after $after tenths of a second: healed" wait_until 120 healed
	ok "... and nothing of it goes on" wait_until 120 alone
done

# --- a runner that is told to end, while the fault is on
"$mq" scenario run kafka leader-isolated --lab "$lab" -o json="$work/result.json" >"$work/result.txt" 2>"$work/scenario.err" &
runner=$!
# (a step that ends at once may not be said: the fault that is on stands behind each)
ok "a runner is at work" wait_until 60 grep -qs 'isolate kafka' "$work/scenario.err"
kill -INT "$runner"
wait "$runner"
is "told to end: undecided" $? 4
is "... in its result" "$(result '.verdict + ", " + .scenarios[0].verdict + ": " + (.scenarios[0].undecided_because | join("; ")) +
	.scenarios[0].error')" "UNDECIDED, UNDECIDED: stopped on request"
ok "... healed when it ends" healed
ok "... and nothing of it goes on" wait_until 120 alone

# --- a lab of its own, and nothing left of it
"$mq" lab down --lab "$lab" >"$work/down.log" 2>&1
timeout 300 "$mq" scenario run kafka leader-isolated --lab "$lab" -q >"$work/result.txt" 2>"$work/scenario.err"
is "on a lab of its own: as declared" $? 0
is "... which is gone" "$("$mq" lab status --lab "$lab" 2>&1 | grep -c "$lab")" 0
is "... with its networks" "$(ip netns | grep -c -- "-$lab-")" 0
done_testing
