#!/usr/bin/env bash
# The selftest on a real broker: planted = found for each kind, seen from outside it; told to expect what nobody
# planted, it must fail; a broker that is not there is an error and no pass. And what doctor says of this machine.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

faults=3
messages=3000
kinds="drop repeat attempt swap flip header cut foreign phantom"
topics() { in_lab kafka-topics --list 2>/dev/null | grep -v '^__' | sort; }
export TMPDIR=$work/tmp # where both make folders: what is left can be seen
mkdir "$TMPDIR"
left() { ls -A "$TMPDIR"; }

# ---- doctor ----------------------------------------------------------------------------------------
"$mq" doctor --format json >"$work/doctor.json" 2>"$work/doctor.err"
is "doctor, where labs run: exit code and what it says" \
	"$? $(jq -r '"\(.format) \(.lab_kafka) \(.lab_rabbitmq)"' "$work/doctor.json")" "0 mqaudit-doctor/1 true true"
is "doctor: all that is required is there" "$(jq -r '[.checks[] | select(.required and (.ok | not)) | .name] | join(",")' \
	"$work/doctor.json")" ""
"$mq" doctor >"$work/doctor.txt" 2>&1 &
pid=$!
wait "$pid"
is "doctor, for people: exit code" "$?" 0
is "doctor leaves nothing behind" "$(left)$(ip netns list | grep "^mqa-doctor-$pid\b")" ""
is "doctor: a line for each check, with its result" "$(grep -cE '^(ok|MISSING|missing) ' "$work/doctor.txt")" \
	"$(jq '.checks | length' "$work/doctor.json")"
ok "doctor: and the conclusion" grep -qx 'A lab for Kafka can run here.' "$work/doctor.txt"
mkdir "$work/few" && for tool in sh ip; do ln -s "$(command -v $tool)" "$work/few/$tool"; done
PATH=$work/few KAFKA_HOME='' JAVA_HOME='' "$mq" doctor >"$work/few.txt" 2>&1
is "doctor, with hardly a program on PATH: exit code" "$?" 4
is "doctor: what is missing, and what to do" \
	"$(grep -A2 -E '^MISSING +kafka or mvn' "$work/few.txt" | grep -c 'apt-get install maven')" 1
ok "doctor: and says that no lab can run" grep -q '^A lab for Kafka cannot run here' "$work/few.txt"
"$mq" doctor kafka://127.0.0.1:1/x >"$work/doctor.usage" 2>&1
is "doctor takes no destination: exit code" "$?" 2

# ---- a broker that is not there --------------------------------------------------------------------
"$mq" selftest kafka://127.0.0.1:1/selftest --timeout 3s >"$work/closed.txt" 2>"$work/closed.err"
is "selftest against a closed port: exit code, no round" "$? $(grep -c ' ok ' "$work/closed.txt")" "3 0"
ok "selftest against a closed port: says what failed" grep -q '127.0.0.1:1' "$work/closed.err"
"$mq" selftest "kafka://lab:$lab/selftest" >"$work/nolab.txt" 2>"$work/nolab.err"
is "selftest without its lab: exit code" "$?" 3
ok "selftest without its lab: says so" grep -q "$lab" "$work/nolab.err"
"$mq" selftest --faults 0 kafka://127.0.0.1:1/selftest >/dev/null 2>&1
is "selftest that would plant nothing: exit code" "$?" 2

# ---- planted = found -------------------------------------------------------------------------------
lab_up
before=$(topics)
"$mq" selftest "kafka://lab:$lab/selftest" --faults "$faults" --messages "$messages" >"$work/good.txt" 2>"$work/good.err"
is "selftest on a lab: exit code" "$?" 0
row() { awk -v kind="$2" '$1 == kind { print $2, $3, $4, $5 }' "$1"; }
is "clean: nothing planted, nothing found" "$(row "$work/good.txt" clean)" "0 0 0 ok"
for kind in $kinds; do
	is "$kind: planted = found, nothing else" "$(row "$work/good.txt" "$kind")" "$faults $faults 0 ok"
done
all=$((faults * $(wc -w <<<"$kinds")))
is "all in one run: planted = found, nothing else" "$(row "$work/good.txt" all)" "$all $all 0 ok"
is "eleven rounds" "$(grep -c ' ok ' "$work/good.txt")" 11
is "the topic that it made is gone, and its folder" "$(topics)$(left)" "$before"

# ---- it can fail -----------------------------------------------------------------------------------
"$mq" selftest "kafka://lab:$lab/selftest" --faults "$faults" --messages "$messages" --expect-one-more \
	>"$work/bad.txt" 2>"$work/bad.err"
is "expecting what nobody planted: exit code" "$?" 3
is "expecting what nobody planted: no round passes" "$(grep -c ' ok ' "$work/bad.txt")" 0
is "expecting what nobody planted: clean, one not found" "$(awk '$1 == "clean" { print $2, $3, $4, $5, $6 }' "$work/bad.txt")" \
	"1 0 0 NOT OK"
is "expecting what nobody planted: each kind is one short" \
	"$(awk '$5 == "NOT" && $2 == $3 + 1' "$work/bad.txt" | wc -l)" 11
is "expecting what nobody planted: named in each round" \
	"$(grep -c 'planted and not found: lost at broker, 1.1.0.1$' "$work/bad.txt")" 11
ok "expecting what nobody planted: said at the end" grep -q '11 of 11 rounds' "$work/bad.err"
done_testing
