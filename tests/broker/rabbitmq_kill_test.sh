#!/usr/bin/env bash
# RabbitMQ's queues under SIGKILL of the probe and of the checker at random instants, with PostgreSQL killed and frozen,
# and with two probes of one producer id: the verdict is that of an undisturbed run, and the copies are those that an
# independent client sees. What is damaged or strange in a queue is named. KILLS (3; 20 with FULL), SEED.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

kills=${KILLS:-$([ -n "${FULL:-}" ] && echo 20 || echo 3)}
RANDOM=${SEED:-$$}
note "$kills kills each, SEED=${SEED:-$$}"
python_env
"$mq" lab up rabbitmq --lab "$lab" --until-pid $$ >"$work/lab.log" 2>&1 || bail "no lab: $(tail -3 "$work/lab.log")"
url() { echo "amqp://lab:$lab/$1"; }
client() { # an independent one
	timeout 120 "$mq" lab exec rabbitmq --lab "$lab" -- "$top/build/venv/bin/python" "$top/tests/broker/tools/queue.py" "$@"
}
nap() { sleep "0.$((RANDOM % 9 + 1))"; }
distinct_and_extra() { # < identities, one a line
	sort | uniq -c | awk '{ d++; x += $1 - 1 } END { print d + 0, x + 0 }'
}
counted() { report "$1" '"\(.counts.distinct) \(.counts.extra + .counts.redelivered)"'; }

# ---- what is damaged or strange in a queue -------------------------------------------------------
for kind in classic quorum; do
	name=damaged-$kind
	"$mq" probe "$(url "$name")" --run "$name" --create-queue "$kind" --count 1000 -q >"$work/$name.probe" 2>&1 ||
		bail "$(cat "$work/$name.probe")"
	mapfile -t seqs < <(seq 2 3 998 | shuf -n 21)
	orders=()
	for i in "${!seqs[@]}"; do
		what=(flip short foreign)
		orders+=("${what[i % 3]}:${seqs[i]}")
	done
	client declare "$name-2" && client relay "$name" "$name-2" "${orders[@]}" && client relay "$name-2" "$name" ||
		bail "the relay fails"
	"$mq" check "$(url "$name")" --run "$name" --drain end --no-policy -q >"$work/$name.check" 2>&1
	is "$name: FAIL" "$?" 1
	# (0.0.0.0 stands for those without a name)
	is "$name: flipped bytes: corrupted, each by name and no other" "$(identities "$name" corrupted | grep -v '^0')" \
		"$(printf '%s\n' "${orders[@]}" | sed -n 's/^flip:/1.1.0./p' | sort)"
	# what is cut short has no name any more, and its message is not there
	is "$name: cut short: lost, by name" "$(identities "$name" lost)" \
		"$(printf '%s\n' "${orders[@]}" | sed -n 's/^short:/1.1.0./p' | sort)"
	is "$name: counted: corrupted, foreign" "$(report "$name" '"\(.counts.corrupted) \(.counts.foreign)"')" "14 7"
	is "$name: nothing else" "$(report "$name" '[.findings[].kind] | unique | join(" ")')" "corrupted lost"
done

# ---- the probe -----------------------------------------------------------------------------------
for kind in classic quorum stream; do
	name=probes-$kind
	probe=(probe "$(url "$name")" --run "$name" -n 1000k --resume -q -r 3k)
	for ((i = 0; i < kills; i++)); do
		"$mq" "${probe[@]}" --create-queue "$kind" >"$work/$name.$i" 2>&1 &
		pid=$!
		sleep 1
		nap
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	"$mq" probe "$(url "$name")" --run "$name" -n 1k -q >"$work/$name.last" 2>&1
	is "$name: the last one ends in order (and shipped the journals of the dead)" "$? $(tail -1 "$work/$name.last")" "0 "
	client look "$name" "$kind" | distinct_and_extra >"$work/$name.there"
	"$mq" check "$(url "$name")" --run "$name" --drain end -q >"$work/$name.check" 2>&1
	is "$name: killed $kills times: PASS" "$? $(report "$name" '"\(.verdict) \(.agreed)"')" "0 PASS true"
	is "$name: every epoch is closed, its journal whole" \
		"$(report "$name" '[.producers[].journal] | unique | join(",")')" complete
	is "$name: copies, as the independent client counts them" "$(counted "$name")" "$(cat "$work/$name.there")"
	ok "$name: what is unacknowledged was in flight" \
		test "$(report "$name" .counts.none)" -le $((2000 * kills))
	note "$name: $(report "$name" '[.counts.intended, .counts.acked, .counts.none] | map(tostring) | join(" intended, acked, none: ")')"
done

# ---- the checker ---------------------------------------------------------------------------------
for kind in classic quorum stream; do
	name=checkers-$kind
	"$mq" probe "$(url "$name")" --run "$name" --create-queue "$kind" -r 3k -d $((kills + 5))s -q >"$work/$name.probe" 2>&1 &
	prober=$!
	ok "$name: the probe gets going" wait_until 60 report_is "$name" '.counts.acked > 1000'
	for ((i = 0; i < kills; i++)); do
		"$mq" check "$(url "$name")" --run "$name" -q >"$work/$name.check.$i" 2>&1 &
		pid=$!
		sleep 0.6
		nap
		kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	wait "$prober"
	is "$name: the probe ends in order" $? 0
	"$mq" check "$(url "$name")" --run "$name" -q >"$work/$name.check" 2>&1
	is "$name: killed $kills times: PASS" "$? $(report "$name" '"\(.verdict) \(.agreed)"')" "0 PASS true"
	is "$name: nothing missed, nothing counted twice" "$(report "$name" '"\(.counts.distinct) \(.counts.extra)"')" \
		"$(report "$name" .counts.acked) 0"
	is "$name: nothing stands in the queue that was not settled" \
		"$([ $kind = stream ] || client look "$name" | wc -l)" "$([ $kind = stream ] || echo 0)"
	note "$name: $(report "$name" .counts.acked) acked, $(report "$name" .counts.redelivered) given again"
done

# ---- PostgreSQL ----------------------------------------------------------------------------------
"$mq" run "$(url ledger)" --run ledger --create-queue quorum -r 3k -d 14s -q >"$work/run.txt" 2>"$work/run.err" &
runner=$!
ok "the run gets going" wait_until 60 report_is ledger '.counts.acked > 1000'
server=$("$mq" ledger status --format json | jq .pid)
kill -KILL "$server"
note "postmaster $server killed"
another() { "$mq" ledger status --format json 2>/dev/null | jq .pid | grep -vx -e null -e 0 -e "$server" >/dev/null; }
ok "somebody started it again" wait_until 30 another
server=$("$mq" ledger status --format json | jq .pid)
kill -STOP "$server" && sleep "${LEDGER_AWAY:-4}" && kill -CONT "$server"
wait "$runner"
is "PostgreSQL killed and frozen: PASS" "$? $(report ledger '"\(.verdict) \(.agreed)"')" "0 PASS true"
is "... each was acked and given" "$(report ledger '"\(.counts.acked) \(.counts.distinct) \(.counts.extra)"')" \
	"$(report ledger .counts.intended) $(report ledger .counts.intended) 0"

# ---- two probes with one producer id -------------------------------------------------------------
for i in 1 2; do
	"$mq" probe "$(url two)" --run two --create-queue classic -n 2k -q >"$work/two.$i" 2>&1 &
done
wait
"$mq" check "$(url two)" --run two --drain end -q >"$work/two.check" 2>&1
is "two probes with one producer id: PASS" "$? $(report two '"\(.verdict) \(.counts.distinct)"')" "0 PASS 4000"
is "with epochs of their own" "$(report two '[.producers[].epoch] | sort | join(",")')" 1,2
done_testing
