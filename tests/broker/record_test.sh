#!/usr/bin/env bash
# --record=messages: a row for each message, the same ones that the ranges and an independent reader know;
# with planted faults, transactions, a checker that is killed, a log that is cut, and one that is swept. Off by
# default.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up
url() { echo "kafka://lab:$lab/$1"; }
sql() { psql -qAt -F ' ' "$("$mq" ledger status --format json | jq -r .conninfo)" -c "$1"; }
# what the view holds of a run, and what the report counts
rows() { sql "select count(*), count(distinct (identity, nonce)), count(*) filter (where damaged) from mqaudit.messages where run = '$1'"; }
read_log() { python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$1" | sort; }
listed() { sql "select identity, \"offset\", partition from mqaudit.messages where run = '$1'" | sort; }

# ---- clean -----------------------------------------------------------------------------------------
"$mq" run "$(url plain)" --run plain --create-topic 3:3 -r 20k -n 30k --producers 2 --size 300 -q >"$work/plain.txt" 2>&1
is "off by default" "$? $(sql "select count(*) from mqaudit.message")" "0 0"
"$mq" run "$(url clean)" --run clean --create-topic 3:3 -r 20k -n 60k --producers 2 --size 300 -q --record messages \
	>"$work/clean.txt" 2>&1
is "a clean run: PASS" "$? $(report clean .verdict)" "0 PASS"
is "a row a message: count, identities, none damaged" "$(rows clean)" \
	"$(report clean '"\(.counts.distinct + .counts.extra) \(.counts.distinct) 0"')"
is "what an independent reader reads, each at its offset" "$(listed clean | md5sum)" "$(read_log clean | md5sum)"
is "sizes and times: 300 bytes, sent before received, both within the run" \
	"$(sql "select min(m.size), max(m.size), bool_and(m.sent_at >= r.started - interval '1 s'),
		bool_and(m.received_at <= r.ended), bool_and(m.received_at > m.sent_at)
		from mqaudit.messages m join mqaudit.run r using (run_id) where run = 'clean'")" "300 300 t t t"
is "the report says that it was asked for" "$(report clean .settings.checker.record)" messages
"$mq" explain clean 2.1.1.77 >"$work/explain.txt"
is "explain knows when and where each was received" \
	"$(grep -cE "received .* offset $(sql "select \"offset\" from mqaudit.messages where run = 'clean' and identity = '2.1.1.77'"), 300 bytes, [0-9.]+ ms after" "$work/explain.txt")" 1
note "$(rows clean) rows, end to end $(sql "select min(latency_ms), max(latency_ms) from mqaudit.messages where run = 'clean'") ms"

# ---- with planted faults ---------------------------------------------------------------------------
"$mq" probe "$(url faults)" --run faults --create-topic 3:3 -n 6k --producers 2 --size 200 -q \
	--plant 'drop=4,repeat=5,flip=3,cut=2,header=2,foreign=6,phantom=7;seed=5' >"$work/faults.plan" 2>&1
"$mq" check "$(url faults)" --run faults -q --record messages >"$work/faults.txt" 2>&1
is "with faults: FAIL" "$? $(report faults .verdict)" "1 FAIL"
is "rows: what is there, its repeats and phantoms, and the damaged with a name; no fences, no strangers" \
	"$(rows faults)" "$((6000 - 4 - 2 + 5 + 7)) $((6000 - 4 - 2 + 7)) 5"
is "the damaged are those that were found, but for the two without a header" \
	"$(sql "select identity from mqaudit.messages where run = 'faults' and damaged" | sort)" \
	"$(identities faults corrupted | grep -Fxv "$(jq -r 'select(.kind == "header") |
		"\(.producer_id).\(.epoch).\(.partition).\(.seq)"' <(sed -n 's/^planted //p' "$work/faults.plan"))")"
is "the repeated are those that were found" \
	"$(sql "select identity from mqaudit.messages where run = 'faults' group by identity, nonce having count(*) > 1" | sort)" \
	"$(identities faults duplicated)"

# ---- transactions ----------------------------------------------------------------------------------
"$mq" run "$(url txn)" --run txn --create-topic 2:3 -n 100 --transaction 10:abort-every=3 -q --record messages >"$work/txn.txt" 2>&1
is "transactions: the view shows what was committed" "$? $(rows txn)" "0 70 70 0"
is "and both readings are there" "$(sql "select isolation, count(*) from mqaudit.readings
	where run = 'txn' group by 1 order by 1" | paste -sd,)" "uncommitted 100,committed 70"

# ---- a sweep reads again ---------------------------------------------------------------------------
"$mq" probe "$(url swept)" --run swept --create-topic 2:3 -n 5k -q >/dev/null 2>&1
"$mq" check "$(url swept)" --run swept -q --record messages --sweep full >"$work/swept.txt" 2>&1
is "read twice: each counts once" "$? $(rows swept)" "0 5000 5000 0"
is "the first reading is history" "$(sql "select count(*), count(distinct superseded) from mqaudit.readings
	where run = 'swept' and superseded is not null")" "5000 1"

# ---- a checker that is killed ----------------------------------------------------------------------
"$mq" probe "$(url killed)" --run killed --create-topic 3:3 -r 20k -d 8s -q >"$work/killed.probe" 2>&1 &
prober=$!
known() { report_is killed '.counts.acked > 1000'; }
ok "the probe gets going" wait_until 30 known
deaths=0
for stop_at in 20000 60000; do
	"$mq" check "$(url killed)" --run killed -q --record messages >"$work/killed.txt" 2>&1 &
	pid=$!
	far() { [ "$(rows killed | cut -d' ' -f1)" -ge "$stop_at" ]; }
	wait_until 30 far
	kill -KILL "$pid" && deaths=$((deaths + 1))
	wait "$pid" 2>/dev/null
done
is "the checker was killed" "$deaths" 2
"$mq" check "$(url killed)" --run killed -q --record messages >"$work/killed.txt" 2>&1 &
pid=$!
stop_at=90000
wait_until 30 far
server=$("$mq" ledger status --format json | jq .pid)
kill -KILL "$server"
is "and then PostgreSQL" "$?" 0
wait "$prober"
wait "$pid"
is "the third goes on to the end: PASS" "$? $(report killed .verdict)" "0 PASS"
sent=$(report killed .counts.acked)
is "no row is missing, none is there twice" "$(rows killed)" "$sent $sent 0"

# ---- a log that is cut -----------------------------------------------------------------------------
"$mq" probe "$(url cut)" --run cut --create-topic 1:3 -n 3000 -q >"$work/cut.probe" 2>&1
"$mq" check "$(url cut)" --run cut --follow -q --record messages >"$work/cut.txt" 2>&1 &
pid=$!
far() { [ "$(rows cut)" = "3000 3000 0" ]; }
ok "all is read" wait_until 30 far
kill -KILL "$pid"
wait "$pid" 2>/dev/null
in_lab kafka-topics --bootstrap-server "$(bootstrap)" --delete --topic cut >"$work/cut.out" 2>&1
absent() { ! in_lab kafka-topics --bootstrap-server "$(bootstrap)" --list 2>/dev/null | grep -qx cut; }
ok "the topic is deleted" wait_until 30 absent
"$mq" probe "$(url cut)" --run cut --create-topic 1:3 -n 1000 -q >>"$work/cut.probe" 2>&1
is "made again, and written to" $? 0
"$mq" check "$(url cut)" --run cut -q --record messages >"$work/cut.txt" 2>&1
is "what was there is lost" "$? $(report cut .verdict) $(identities cut lost | wc -l)" "1 FAIL 3000"
is "rows that count are what is in the log now" "$(rows cut) $(listed cut | md5sum)" "1000 1000 0 $(read_log cut | md5sum)"
is "the others are history, as the ranges tell it" \
	"$(sql "select superseded, count(*), min(epoch), min(seq), max(seq) from mqaudit.readings
		where run = 'cut' group by 1 order by 1" | paste -sd,)" "2 3000 1 1 3000, 1000 2 1 1000"

# ---- housekeeping ----------------------------------------------------------------------------------
"$mq" ledger gc >"$work/gc.txt" 2>&1
is "gc folds what is judged" "$? $(grep -cE '^folded +[1-9]' "$work/gc.txt")" "0 1"
for run in clean faults cut; do
	before="$(report "$run" '"\(.verdict) \(.counts | del(.read, .fences, .withdrawn)) \(.sums)"')"
	"$mq" check "$(url "$run")" --run "$run" -q >"$work/again.txt" 2>&1
	is "$run, checked again behind it: the same, and both judges agree" \
		"$(report "$run" '"\(.verdict) \(.counts | del(.read, .fences, .withdrawn)) \(.sums)"') $(report "$run" .agreed) $(report "$run" .judgement)" \
		"$before true 2"
done
done_testing
