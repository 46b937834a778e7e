#!/usr/bin/env bash
# SIGKILL of the probe and of the checker at random instants under load, and PostgreSQL killed and stopped
# meanwhile: the final verdict is that of an undisturbed run, no acked message is missed, none counted twice.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

kills=${KILLS:-$([ -n "${FULL:-}" ] && echo 20 || echo 5)}
RANDOM=${SEED:-$$}
note "$kills kills each, SEED=${SEED:-$$}"
python_env
lab_up
nap() { sleep "0.$((RANDOM % 9 + 1))"; }

truth_agrees() { # RUN TOPIC: what the checker counted is what an independent reader reads
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$2" >"$work/$1.read" || return 1
	is "$1: copies on the log, as an independent reader counts them" \
		"$(report "$1" '"\(.counts.distinct) \(.counts.extra)"')" \
		"$(cut -d' ' -f1 "$work/$1.read" | sort | uniq -c |
			awk '{ d++; x += $1 - 1 } END { print d + 0, x + 0 }')"
}

# ---- the probe -----------------------------------------------------------------------------------
probe=(probe "kafka://lab:$lab/p" --run probes --create-topic 3:3 -n 1000k --resume -q -X acks=all
	-X enable.idempotence=true -X linger.ms=5 -r 20k)
for ((i = 0; i < kills; i++)); do
	"$mq" "${probe[@]}" >"$work/probe.$i" 2>&1 &
	pid=$!
	sleep 1.2
	nap
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
done
"$mq" probe "kafka://lab:$lab/p" --run probes -n 3k -q -X acks=all -X enable.idempotence=true >"$work/probe.last" 2>&1
is "the last probe ends in order (and shipped the journals of the dead)" $? 0
"$mq" check "kafka://lab:$lab/p" --run probes -q >"$work/check.p" 2>&1
is "probes killed $kills times: PASS" "$(report probes .verdict) $?" "PASS 0"
is "the judges agree" "$(report probes .agreed)" true
is "every epoch is closed, its journal whole" \
	"$(report probes '[.producers[].journal] | unique | join(",")')" complete
# a probe that was killed while it still looked around took no epoch
epochs=$(report probes '.producers | length')
is "epochs are counted up, none twice" "$(report probes '[.producers[].epoch] | sort | map(tostring) | join(" ")')" \
	"$(seq -s ' ' 1 "$epochs")"
ok "more than one of them" test "$epochs" -gt 2
note "probes: $(report probes '[.counts.intended, .counts.acked, .counts.none] | map(tostring) | join(" intended, acked, none: ")')"
truth_agrees probes p

# ---- the checker ---------------------------------------------------------------------------------
"$mq" probe "kafka://lab:$lab/c" --run checkers --create-topic 3:3 -r 20k -d $((kills + 6))s -q -X acks=all \
	-X enable.idempotence=true >"$work/probe.c" 2>&1 &
prober=$!
known() { report_is checkers '.counts.acked > 1000'; }
ok "the probe gets going" wait_until 30 known
for ((i = 0; i < kills; i++)); do
	"$mq" check "kafka://lab:$lab/c" --run checkers -q >"$work/check.$i" 2>&1 &
	pid=$!
	sleep 0.5
	nap
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
done
wait "$prober"
is "the probe ends in order" $? 0
"$mq" check "kafka://lab:$lab/c" --run checkers -q >"$work/check.c" 2>&1
is "checker killed $kills times: PASS" "$? $(report checkers .verdict)" "0 PASS"
is "the judges agree" "$(report checkers .agreed)" true
note "checkers: $(report checkers .counts.acked) acked, $(report checkers .counts.read) read"
truth_agrees checkers c

# ---- PostgreSQL ----------------------------------------------------------------------------------
"$mq" run "kafka://lab:$lab/l" --run ledger --create-topic 3:3 -r 20k -d 14s -q -X acks=all \
	-X enable.idempotence=true >"$work/run.txt" 2>"$work/run.err" &
runner=$!
known() { report_is ledger '.counts.acked > 1000'; }
ok "the run gets going" wait_until 30 known
server=$("$mq" ledger status --format json | jq .pid)
kill -KILL "$server"
note "postmaster $server killed"
sleep 3
server=$("$mq" ledger status --format json | jq .pid)
ok "somebody started it again" test "$server" -gt 0
kill -STOP "$server" && sleep "${LEDGER_AWAY:-4}" && kill -CONT "$server"
wait "$runner"
is "PostgreSQL killed and frozen: PASS" "$? $(report ledger .verdict)" "0 PASS"
is "the judges agree" "$(report ledger .agreed)" true
note "ledger away: $(report ledger .counts.acked) acked, $(report ledger .counts.read) read"
truth_agrees ledger l

# ---- two probes with one producer id -------------------------------------------------------------
for i in 1 2; do
	"$mq" probe "kafka://lab:$lab/two" --run two --create-topic 2:3 -n 2k -q >"$work/two.$i" 2>&1 &
done
wait
"$mq" check "kafka://lab:$lab/two" --run two -q >"$work/two.check" 2>&1
is "two probes with one producer id: PASS" "$? $(report two .verdict)" "0 PASS"
is "with epochs of their own" "$(report two '[.producers[].epoch] | sort | join(",")')" 1,2
done_testing
