#!/usr/bin/env bash
# The scenarios that cut the power. What their bad twins have lost is what an independent reader misses, each by
# name; eligible leader replicas are as they were, also when the script is stopped while they are switched off; and
# a power cut that does nothing is no proof of anything.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up --disk loop --broker-config replica.lag.time.max.ms=10000
scenario() { timeout 400 "$mq" scenario run kafka --lab "$lab" "$@" 2>"$work/scenario.err"; }
result() { jq -r "$1" "$work/result.json"; }
twin() { result ".scenarios[0].twins[] | select(.name == \"$1\") | $2"; }
elr() {
	# shellcheck disable=SC2016 # the variable is set within
	in_lab sh -c 'kafka-features --bootstrap-server "$KAFKA_BOOTSTRAP" describe' 2>/dev/null |
		sed -n 's/.*eligible.leader.replicas.version.*FinalizedVersionLevel: *\([0-9]*\).*/\1/p'
}
# Everything sent was acked, so what a reader that shares no code does not read is lost.
same_as_read() { # TWIN
	local run sent
	run=$(twin "$1" .run_name)
	sent=$(report "$run" .counts.acked)
	is "$1: everything was acked" "$(report "$run" .counts.intended)" "$sent"
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$run" >"$work/read.txt" || bail "the reader fails"
	seq 1 "$sent" | sed 's/^/1.1.0./' | sort >"$work/sent.txt"
	cut -d' ' -f1 "$work/read.txt" | sort -u | comm -23 "$work/sent.txt" - >"$work/truth.txt"
	identities "$run" lost >"$work/named.txt"
	note "$1: $sent acked, $(wc -l <"$work/truth.txt") lost"
	ok "$1: something was lost" test -s "$work/truth.txt"
	ok "$1: the lost ones are named, each and no other" cmp "$work/truth.txt" "$work/named.txt"
	is "$1: and counted" "$(twin "$1" '[.found[] | select(.kind == "lost") | .count] | add')" "$(wc -l <"$work/truth.txt")"
}

# --- the power of all
printf 'acks=all\nenable.idempotence=true\n' >"$work/mine.properties"
scenario power-cut-all --producer-config "$work/mine.properties" --topic-config min.insync.replicas=2 \
	--topic-config flush.messages=1 -o json="$work/result.json" >"$work/result.txt"
is "power-cut-all: as declared" "$? $(result .verdict)" "0 PASS"
is "... flush.messages=1 of one's own: SAFE" "$(twin mine .outcome)" safe
is "... the fault and its proof" "$(result '[.scenarios[0].fault[].proof | select(test("shutdown.*[1-9][0-9]* of [0-9]+ bytes .* are gone"))] | length')" 3
for t in default idempotent flush-ms; do same_as_read "$t"; done

# --- of the last replica
is "eligible leader replicas are on at first" "$(elr)" 1
scenario last-replica-power-cut -o json="$work/result.json" >"$work/result.txt"
is "last-replica-power-cut: as declared" "$? $(result .verdict)" "0 PASS"
same_as_read elr-off
is "eligible leader replicas are on again" "$(elr)" 1
"$mq" scenario run kafka last-replica-power-cut --lab "$lab" --logs "$work/cut-short" >/dev/null 2>"$work/cut-short.err" &
runner=$!
is_off() { [ "$(elr)" = 0 ]; }
ok "they are switched off" wait_until 90 is_off
kill -INT "$runner"
wait "$runner"
is "stopped there: on again" "$(elr)" 1

# --- a power cut that does nothing
cat >"$work/sabotage" <<EOF
#!/bin/sh
[ "\$1 \$2" = "lab fault" ] && { echo "f0  nothing"; exit 0; }
exec "$mq" "\$@"
EOF
chmod 755 "$work/sabotage"
scenario power-cut-all --program "$work/sabotage" -o json="$work/result.json" >"$work/result.txt"
is "a power cut that does nothing: UNDECIDED" "$? $(result .verdict)" "4 UNDECIDED"
is "... why" "$(result '.scenarios[0].undecided_because | join("; ")')" "of 1 faults only 0 were on at the end"
done_testing
