#!/usr/bin/env bash
# Scenarios of clients and policy, and the controls: each twin as declared; what is missing and repeated by an
# independent reader's account is what the runs name. With its fault taken away, a scenario is undecided.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up --broker-config replica.lag.time.max.ms=10000 --broker-config log.retention.check.interval.ms=1000 \
	--broker-config log.initial.task.delay.ms=500 --broker-config log.cleaner.backoff.ms=500
scenarios=(producer-dies-unflushed delete-records retention compaction control-clean control-relay-drops
	control-relay-repeats control-two-probes control-probe-killed)
run_scenarios() { # NAME ARGUMENTS...: its JSON is in $work/NAME.json
	local name=$1
	shift
	"$mq" scenario run kafka --lab "$lab" -o "json=$work/$name.json" -o "junit=$work/$name.xml" "$@" \
		>"$work/$name.txt" 2>"$work/$name.err"
}
of() { jq -r "$2" "$work/$1.json"; }

run_scenarios all "${scenarios[@]}"
is "all as declared: exit code" $? 0
is "each is PASS" "$(of all '[.scenarios[] | select(.verdict != "PASS") | .name] | join(",")')" ""
is "each was run" "$(of all '[.scenarios[].name] | sort | join(" ")')" "$(printf '%s\n' "${scenarios[@]}" | sort | paste -sd' ')"
is "each fault is proved" "$(of all '[.scenarios[] | select(.name != "control-clean" and (.fault | length) == 0) | .name] | join(",")')" ""
is "JUnit is valid" "$(xmllint --noout --nonet --schema "$top/tests/data/junit.xsd" "$work/all.xml" 2>&1)" "$work/all.xml validates"

# ---- the truth, by a reader that shares no code ----------------------------------------------------
sent_in() { # RUN
	report "$1" '.lanes[] | "\(.producer_id).\(.epoch).\(.partition) \(.intended)"' | while read -r lane n; do
		seq 1 "$n" | sed "s/^/$lane./"
	done | sort
}
compare() { # RUN
	local found
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$1" | cut -d' ' -f1 | sort >"$work/read"
	sent_in "$1" >"$work/sent"
	sort -u "$work/read" | comm -23 "$work/sent" - >"$work/missing"
	for kind in lost expired unacknowledged refused; do identities "$1" $kind; done | sort >"$work/named"
	ok "$1: what is missing is what is named, each and no other" cmp "$work/missing" "$work/named"
	is "$1: the same of what is repeated" "$(identities "$1" duplicated)" "$(uniq -d "$work/read")"
	found=$(report "$1" '[.sums[] | "\(.kind) \(.count)"] | join(", ")')
	note "$1: $(wc -l <"$work/sent") sent, $(wc -l <"$work/missing") missing, $(uniq -d "$work/read" | wc -l) repeated; found: ${found:-nothing}"
}
for run in $(of all '.scenarios[].twins[].run_name'); do compare "$run"; done

# ---- without its fault -----------------------------------------------------------------------------
cat >"$work/tame" <<EOF
#!/bin/bash
args=()
while [ \$# -gt 0 ]; do
	case \$1 in
	--plant) shift ;;
	kafka-delete-records) exit 0 ;;
	*) args+=("\$1") ;;
	esac
	shift
done
exec "$mq" "\${args[@]}"
EOF
chmod +x "$work/tame"
run_scenarios tame delete-records control-relay-drops control-relay-repeats --program "$work/tame"
is "faults that do nothing: exit code" $? 4
is "each is UNDECIDED" "$(of tame '[.scenarios[].verdict] | unique | join(",")')" UNDECIDED
is "and says why" "$(of tame '[.scenarios | sort_by(.name)[].undecided_because[0]] | join(", ")')" \
	"dropped: nothing was planted, repeated: nothing was planted, the records were not deleted"
is "the bad twins were not caught" \
	"$(of tame '[.scenarios[].twins[] | select(.role == "bad") | .outcome] | unique | join(",")')" not-caught
is "JUnit is valid then too" "$(xmllint --noout --nonet --schema "$top/tests/data/junit.xsd" "$work/tame.xml" 2>&1)" "$work/tame.xml validates"
is "and shows errors" "$(xmllint --xpath 'string(/testsuites/@errors)' "$work/tame.xml")" \
	"$(of tame '[.scenarios[].twins[] | select(.outcome != "ok")] | length + 3')"

# ---- a script that says what is no text -------------------------------------------------------------
mkdir -p "$work/own/kafka"
cp "$top/scenarios/lib.sh" "$work/own/"
cat >"$work/own/kafka/bytes.sh" <<'EOF'
#!/bin/bash
#: title t
#: stage broker
#: takes 1s
#: twin a good
#:   expect PASS
printf 'undecided\t\377 <why>\n' >>"$SCENARIO_FOLDER/notes"
printf 'proof\t\377\t\357\277\277\n' >>"$SCENARIO_FOLDER/notes"
printf '\377\376 <bad>\n'
exit 3
EOF
export MQAUDIT_SCENARIOS=$work/own
run_scenarios bytes bytes
is "what is no text, in a script's words: exit code" $? 3
unset MQAUDIT_SCENARIOS
is "is told as far as it can be" "$(of bytes '.scenarios[0] | "\(.undecided_because[0]), \(.fault[0].proof), \(.error | test("[?][?] <bad>$"))"')" \
	"? <why>, ???, true"
is "JUnit is valid even so" "$(xmllint --noout --nonet --schema "$top/tests/data/junit.xsd" "$work/bytes.xml" 2>&1)" "$work/bytes.xml validates"

# ---- repeated --------------------------------------------------------------------------------------
run_scenarios twice control-relay-drops --repeat 2
is "twice: exit code" $? 0
is "twice the same" "$(of twice '[.repeats[] | "\(.twin) \(.runs) \(.caught) \(.same)"] | join(", ")')" \
	"dropped 2 2 true, straight 2 2 true"
ok "... in the text" grep -q 'dropped  *2 times the same: ok, lost at broker$' "$work/twice.txt"
is "... and in JUnit" "$(xmllint --xpath 'string(//testsuite[1]//property[@name="repeats.dropped"]/@value)' "$work/twice.xml")" \
	"2 times the same: ok, lost at broker"
done_testing
