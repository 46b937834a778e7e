#!/usr/bin/env bash
# Outcomes that are not simply "acked": acks=0 is never acked, a lost answer makes repeats without
# idempotence and none with it, what is too large is refused, an aborted transaction takes its messages back.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up
url() { echo "kafka://lab:$lab/$1"; }
kinds() { report "$1" '[.sums[] | "\(.kind) \(.stage)"] | sort | join(", ")'; }
netns() { "$mq" lab status kafka --lab "$lab" --format json | jq -r '.nodes[] | select(.name == "'"$1"'") | .namespace'; }
going() { report_is "$1" ".counts.read >= $2"; }

# ---- a killed leader under acks=0 ----------------------------------------------------------------
"$mq" run "$(url zero)" --run zero --create-topic 1 --replica-assignment 1:2:3 -r 2k -X acks=0 -q >"$work/zero.txt" 2>&1 &
runner=$!
ok "acks=0 gets going" wait_until 60 going zero 2000
"$mq" lab fault kill kafka1 --lab "$lab" >/dev/null 2>&1
moved() { [ "$("$mq" lab leader kafka zero 0 --lab "$lab" 2>/dev/null)" != kafka1 ]; }
ok "another node leads" wait_until 60 moved
"$mq" lab heal --lab "$lab" >/dev/null 2>&1
kill -INT "$runner"
wait "$runner"
is "acks=0 and a killed leader: FAIL" "$? $(report zero .verdict)" "1 FAIL"
is "never acked" "$(report zero .counts.acked)" 0
is "what is missing is lost at produce, and nothing else is found" "$(kinds zero)" "lost produce"
python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" zero | cut -d' ' -f1 | sort -u >"$work/present"
# what the client itself gave up on was reported as failed: it was never unconfirmed
lane=$(report zero .counts.intended)
seq 1 "$lane" | sed 's/^/1.1.0./' | sort | comm -23 - "$work/present" >"$work/truth"
{ identities zero lost; identities zero unacknowledged; identities zero refused; } | sort >"$work/named"
ok "an independent reader misses the same" cmp "$work/truth" "$work/named"
note "acks=0: $lane sent, $(wc -l <"$work/truth") missing"

# ---- answers lost on the way ---------------------------------------------------------------------
short=(-X socket.timeout.ms=2000 -X request.timeout.ms=1500 -X acks=all)
"$mq" run "$(url retried)" --run retried --create-topic 1 --replica-assignment 2:1:3 -r 300 "${short[@]}" -q >"$work/retried.txt" 2>&1 &
one=$!
"$mq" run "$(url idem)" --run idem --create-topic 1 --replica-assignment 2:1:3 -r 300 "${short[@]}" \
	-X enable.idempotence=true -q >"$work/idem.txt" 2>&1 &
two=$!
"$mq" run "$(url again)" --run again --create-topic 1 --replica-assignment 2:1:3 -r 300 "${short[@]}" -X retries=0 \
	--republish-unknown -q >"$work/again.txt" 2>&1 &
three=$!
ok "one that publishes again itself gets going" wait_until 60 going again 600
ok "retried gets going" wait_until 60 going retried 600
ok "idempotent gets going" wait_until 60 going idem 600
# answers of the leader to the clients are dropped; bare acknowledgements of TCP go through
client=$(netns kafka2)
clients=$("$mq" lab status kafka --lab "$lab" --format json | jq -r '.nodes[0].address' | sed 's/\.[0-9]*$/.1/')
nsenter --net="$client" nft -f - <<EOF
table inet lost_answers {
	chain out {
		type filter hook output priority 0;
		ip daddr $clients tcp sport 9092 meta length > 80 counter drop
	}
}
EOF
is "answers are dropped" $? 0
sleep 4
nsenter --net="$client" nft list table inet lost_answers >"$work/nft"
nsenter --net="$client" nft delete table inet lost_answers
ok "the fault bit" grep -qE 'packets [1-9]' "$work/nft"
more() { report_is retried '.counts.acked > 1500'; }
wait_until 40 more
ok "what was published again is acknowledged" wait_until 40 report_is again '.counts.acked > 1500'
kill -INT "$one" "$two" "$three"
wait "$one"
is "without idempotence: FAIL" "$? $(report retried .verdict)" "1 FAIL"
wait "$two"
is "with idempotence: PASS, nothing found" "$? $(report idem .verdict) $(kinds idem)" "0 PASS "
ok "repeats come from the producer" grep -q 'duplicated produce' <<<"$(kinds retried)"
python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" retried >"$work/read"
is "the repeated, by name, as an independent reader sees them" "$(identities retried duplicated)" \
	"$(cut -d' ' -f1 "$work/read" | sort | uniq -d)"
first=$(identities retried duplicated | sort -t. -k4n | head -1)
is "with both offsets" \
	"$(report retried '.findings[] | select(.kind == "duplicated") | .positions[] | "\(.seq) \(.offset)"' |
		grep "^${first##*.} " | cut -d' ' -f2 | paste -sd' ')" \
	"$(grep "^$first " "$work/read" | cut -d' ' -f2 | paste -sd' ')"
wait "$three"
is "published again by the application: FAIL" "$? $(report again '"\(.verdict) \(.agreed)"')" "1 FAIL true"
python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" again >"$work/read"
is "published again: the repeated, by name, as an independent reader sees them" "$(identities again duplicated)" \
	"$(cut -d' ' -f1 "$work/read" | sort | uniq -d)"
is "published again: as other attempts, none of them unknown in the end" "$(report again '([.findings[] | select(.kind == "duplicated") |
	.why | test("^published again")] | unique | tostring) + " \(.counts.intended - .counts.acked)"')" "[true] 0"
note "answers lost: $(identities again duplicated | wc -l) repeated by the application, $(identities retried duplicated | wc -l) repeated"

# ---- refused -------------------------------------------------------------------------------------
"$mq" run "$(url small)" --run small --create-topic 1:3 --topic-config max.message.bytes=500 -s 2000 -n 20 -q >"$work/small.txt" 2>&1
is "too large for the topic: refused, each named; nothing was promised, so there is nothing to judge" \
	"$? $(report small '"\(.verdict) " + ([.sums[] | "\(.kind) \(.count)"] | join(","))')" "4 NODATA refused 20"

# ---- transactions --------------------------------------------------------------------------------
"$mq" run "$(url txn)" --run txn --create-topic 2:3 -n 100 --transaction 10:abort-every=3 -q >"$work/txn.txt" 2>&1
is "transactions: PASS" "$? $(report txn .verdict)" "0 PASS"
is "what was aborted is refused and counted, not lost" \
	"$(report txn '"\(.counts.acked) \(.counts.refused) \(.counts.distinct) \(.counts.aborted)"')" "70 30 70 30"

"$mq" check "$(url txn)" --run txn --no-fence --settle 1s -q >"$work/txn.txt" 2>&1
is "transactions, read to the end without a fence: the same" \
	"$? $(report txn '"\(.verdict) \(.fenced) \(.counts.distinct) \(.counts.aborted)"')" "0 PASS false 70 30"

# Messages that nobody intended, in transactions of which every second is aborted: five of each lane's seqs
# are committed, then five aborted. What was aborted is no copy of anything; the rest is found, by both judges.
"$mq" probe "$(url ghosts)" --run ghosts --create-topic 2:3 -n 400 --transaction 10:abort-every=2 \
	--plant "phantom=12;seed=3" -q >"$work/ghosts.plan" 2>&1
"$mq" check "$(url ghosts)" --run ghosts -q >"$work/ghosts.txt" 2>&1
is "phantoms in transactions: FAIL, both judges agree" "$? $(report ghosts '"\(.verdict) \(.agreed)"')" "1 FAIL true"
committed=$(sed -n 's/^planted //p' "$work/ghosts.plan" |
	jq -r 'select(((.seq % 1000000000000 - 1) / 5 | floor) % 2 == 0) | "\(.producer_id).\(.epoch).\(.partition).\(.seq)"' | sort)
n=$(wc -l <<<"$committed")
ok "some were committed" [ "$n" -gt 0 ]
ok "and some aborted" [ "$n" -lt 12 ]
is "found are those that were committed, by name" "$(identities ghosts phantom)" "$committed"
is "the others are among the aborted" "$(report ghosts '"\(.counts.aborted + .counts.phantom) \(.counts.distinct)"')" "212 200"

# ---- the judges disagree -------------------------------------------------------------------------
"$mq" probe "$(url plant)" --run plant --create-topic 1:3 -n 1000 -q >/dev/null 2>&1
sql() { psql -qAt "$("$mq" ledger status --format json | jq -r .conninfo)" -c "$1"; }
sql "create function mqaudit.plant() returns trigger language plpgsql as \$\$
	begin new.hi := new.hi - 1; return new; end \$\$;
	create trigger plant before insert on mqaudit.witness for each row execute function mqaudit.plant()"
"$mq" check "$(url plant)" --run plant -q >"$work/plant.txt" 2>&1
is "a ledger that changes evidence: exit code 3" "$?" 3
is "ERROR, said loudly" "$(report plant '"\(.verdict) \(.agreed) \(.reasons[0] | test("judges disagree"))"')" "ERROR false true"
sql "drop trigger plant on mqaudit.witness"
done_testing
