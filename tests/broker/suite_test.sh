#!/usr/bin/env bash
# A suite on a lab of its own: every bad twin is caught, every good twin is clean; what mqaudit lint says of each
# twin's settings is what was found; the results are well-formed; nothing is left. SUITE (quick), REPEAT (1) and
# RESULTS (a folder to keep them) are for make test-full; BROKER: suite_rabbitmq_test.sh.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

broker=${BROKER:-kafka}
suite=${SUITE:-quick}
results=${RESULTS:-$work}
mkdir -p "$results"
timeout "${LIMIT:-900}" "$mq" scenario run "$broker" --suite "$suite" --lab "$lab" --repeat "${REPEAT:-1}" \
	-o json="$results/suite.json" -o junit="$results/suite.xml" -o markdown="$results/suite.md" \
	>"$results/suite.txt" 2>"$work/suite.err"
is "the suite '$suite': exit code" $? 0
note "$(tail -1 "$results/suite.txt")"
# what is not as declared, in full
jq -r '.scenarios[] | select(.verdict != "PASS") | "\(.name): \(.verdict) \(.error) \(.undecided_because)",
	(.twins[] | select(.outcome != "ok") | "    \(.name): \(.outcome) \(.why)")' "$results/suite.json" | sed 's/^/# /'
is "every scenario is as declared" "$(jq '[.scenarios[] | select(.verdict != "PASS")] | length' "$results/suite.json")" 0
is "nothing was skipped" "$(jq '[.scenarios[] | select(.skipped)] | length' "$results/suite.json")" 0
is "each of the suite's names was run" "$(jq -r '[.scenarios[].name] | unique | .[]' "$results/suite.json")" \
	"$(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$top/scenarios/suites/$broker-$suite.list" | sort)"
ok "a bad twin was caught in it" test "$(jq '[.scenarios[].twins[] | select(.role == "bad")] | length' "$results/suite.json")" -gt "${BAD:-5}"

python3 "$top/tests/broker/tools/lint_suite.py" "$mq" "$results/suite.json" >"$work/lint.txt"
is "lint predicts what was found" $? 0
sed 's/^/# /' "$work/lint.txt"

is "nothing is left of the lab" "$("$mq" lab status 2>&1 | grep -c "'$lab'") $(ip netns | grep -c -- "-$lab-")" "0 0"
done_testing
