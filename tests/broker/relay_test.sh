#!/usr/bin/env bash
# A relay copies a topic and drops, repeats, swaps, corrupts, cuts and adds known messages: the report names
# exactly those, by kind, for several seeds; a clean relay passes.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up
relay=$top/tests/broker/tools/relay.py

one_relay() { # NAME SEED SPEC [CHECK OPTIONS...]; $probe_options, $relay_options: more for these
	local name=$1 seed=$2 spec=$3 relay_pid
	shift 3
	"$mq" probe "kafka://lab:$lab/$name-b" --create-topic 2:3 -n 0 -q --run "make-$name" >/dev/null 2>&1
	"$mq" probe "kafka://lab:$lab/$name-a" --create-topic 2:3 -n 4k -r 4k -q --run "$name" \
		--check "kafka://lab:$lab/$name-b" "${probe_options[@]}" >"$work/$name.probe" 2>&1 || bail "$(cat "$work/$name.probe")"
	python_in_lab "$relay" "$(bootstrap)" "$name-a" "$name-b" "$seed" "$spec" 60 "${relay_options[@]}" \
		>"$work/$name.plan" 2>"$work/$name.relay" &
	relay_pid=$!
	check "$name" "$@"
	wait "$relay_pid" || bail "the relay: $(cat "$work/$name.relay")"
}
check() { # NAME OPTIONS...
	local name=$1
	shift
	"$mq" check "kafka://lab:$lab/$name-b" --run "$name" -q "$@" >"$work/$name.check" 2>&1
	code=$?
}
probe_options=()
relay_options=()
planted() { jq -r 'select(.kind == "'"$2"'") | .identity' "$work/$1.plan" | sort; }
found() { # RUN KIND STAGE
	report "$1" '.findings[] | select(.kind == "'"$2"'" and .stage == "'"$3"'" and .withdrawn == false and .producer_id > 0) |
		"\(.producer_id).\(.epoch).\(.partition)" as $lane | range(.lo; .hi + 1) | "\($lane).\(.)"' | sort
}

one_relay clean 1 ""
is "a clean relay: exit code" "$code" 0
is "a clean relay: verdict" "$(report clean .verdict)" PASS
is "a clean relay: nothing found" "$(report clean '[.findings[] | select(.withdrawn == false)] | length')" 0

relay_options=(beside)
one_relay beside 2 ""
relay_options=()
is "a relay that puts the envelope beside the payload: PASS" "$code $(report beside .verdict)" "0 PASS"
is "and nothing found: fences are known too" \
	"$(report beside '[.findings[] | select(.withdrawn == false)] | length') $(report beside '[.fences[] | select(.side == "target" and .read != null)] | length')" "0 2"
is "it did so: its records are shorter by the envelope" "$(in_lab kcat -b "$(bootstrap)" -t beside-b -C -e -q -p 0 -o 0 -f '%S\n' |
	sort -n | uniq -c | awk '{ print $2 }' | paste -sd' ')" "0 36"

for seed in 11 12 13 14; do
	name=seed-$seed
	relay_options=()
	[ "$seed" = 14 ] && relay_options=(beside)
	one_relay "$name" "$seed" "drop=7,repeat=6,swap=5,flip=4,cut=3,behead=2,foreign=4"
	is "seed $seed: exit code" "$code" 1
	is "seed $seed: FAIL, both judges agree" "$(report "$name" '"\(.verdict) \(.agreed)"')" "FAIL true"
	is "seed $seed: the dropped are lost at relay, and those whose header is gone" \
		"$(found "$name" lost relay)" "$({ planted "$name" drop; planted "$name" behead; } | sort)"
	is "seed $seed: the repeated" "$(found "$name" duplicated relay)" "$(planted "$name" repeat)"
	is "seed $seed: the swapped, one each" "$(found "$name" reordered relay)" "$(planted "$name" swap)"
	is "seed $seed: the damaged and the cut" "$(found "$name" corrupted relay)" \
		"$({ planted "$name" flip; planted "$name" cut; } | sort)"
	is "seed $seed: damaged headers have no name" \
		"$(report "$name" '[.findings[] | select(.kind == "corrupted" and .producer_id == 0) | .count] | add')" 2
	is "seed $seed: and nothing else" \
		"$(report "$name" '[.findings[] | select(.withdrawn == false) | "\(.kind) \(.stage)"] | unique | join(", ")')" \
		"corrupted relay, duplicated relay, lost relay, reordered relay"
	is "seed $seed: each record behind the relay is of one kind" \
		"$(report "$name" '.counts | "\(.target_distinct) \(.target_extra) \(.target_foreign) \(.target_corrupted) " +
			"\(.target_phantom) \(.target_fences) \(.target_read)"')" "3984 6 4 9 0 2 4005"
	note "seed $seed: $(report "$name" '[.sums[] | "\(.kind) \(.count)"] | join(", ")'), $(report "$name" .counts.read) read"
done
relay_options=()
# ---- what is absent, and may still come ----------------------------------------------------------
# Partition 0's lane goes to partition 1 from its 800th message on: its fence, on partition 0, says nothing of
# what was moved. Partition 1's lane stayed where its fence is.
verdict() { report "$1" '"\(.verdict) \(.agreed)"'; }
sums() { report "$1" '[.sums[] | "\(.kind) \(.stage) \(.count)"] | sort | join(", ")'; }

one_relay moved 21 "drop=6,only=0,move=800" --fence-timeout 5s
is "a lane that moved: undecided" "$code $(verdict moved)" "4 UNDECIDED true"
is "a lane that moved: what is absent is pending, exactly that" "$(found moved pending relay)" "$(planted moved drop)"
is "a lane that moved: nothing else" "$(sums moved)" "pending relay 6"
is "a lane that moved: the reason names its partition" \
	"$(report moved '[.reasons[] | test("^6 messages .* lanes of partition 0 are there on other partitions")] | tostring')" "[true]"
is "a lane that moved: and its fences' places are told" \
	"$(report moved '[.fences[] | select(.side == "target") | .read_partition] | tostring')" "[0,1]"
one=$(planted moved drop | head -1)
ok "explain says that it may still come" grep -q "Nothing proves that it will not come" <("$mq" explain moved "$one" | tr -s ' \n' ' ')
check moved --relay-lag 3s
is "the user bounds the relay: lost" "$code $(verdict moved)" "1 FAIL true"
is "the user bounds the relay: exactly those" "$(found moved lost relay)" "$(planted moved drop)"
is "the user bounds the relay: his premise is named" \
	"$(report moved '"\(.settings.checker["relay-lag"]) \(all(.findings[]; .why | test("within 3.0 s.*--relay-lag")))"')" "3.0 s true"
check moved --fence-timeout 3s
is "and does not any more: undecided again" "$code $(verdict moved) $(sums moved)" "4 UNDECIDED true pending relay 6"

one_relay proved 22 "drop=6,only=1,move=800" --fence-timeout 5s
is "the other partition's fence proves its losses" "$code $(verdict proved) $(sums proved)" "1 FAIL true lost relay 6"
is "exactly those" "$(found proved lost relay)" "$(planted proved drop)"

one_relay late 23 "move=800,hold=3" --fence-timeout 30s
is "what is moved and late is waited for" "$code $(verdict late) $(sums late)" "0 PASS true "

# ---- a relay that aborts some of its transactions and does them again -----------------------------
one_relay txn 26 "drop=6,repeat=5,txn=50"
is "what the relay aborted is no copy" "$code $(verdict txn) $(sums txn)" "1 FAIL true duplicated relay 5, lost relay 6"
is "the dropped and the repeated, exactly" "$(found txn lost relay) $(found txn duplicated relay)" \
	"$(planted txn drop) $(planted txn repeat)"

# ---- no fence comes through ----------------------------------------------------------------------
# Three messages are missing from the source as well: that is proved, whatever the relay does.
probe_options=(--plant "drop=3;seed=5")
one_relay nofence 24 "drop=5,nofence=1" --fence-timeout 5s
probe_options=()
is "no fence comes through: the source's losses are proved all the same" "$code $(verdict nofence) $(sums nofence)" \
	"1 FAIL true lost broker 3, pending relay 5"
is "no fence comes through: the reason says so" \
	"$(report nofence '[.reasons[] | test("the fence of 2 partitions did not come through the relay")] | tostring')" "[true]"
is "no fence comes through: what is absent is pending, exactly that" "$(found nofence pending relay)" "$(planted nofence drop)"

one_relay bounded 25 "nofence=1" --relay-lag 4s
is "bounded, and all came: PASS" "$code $(verdict bounded) $(sums bounded)" "0 PASS true "
ok "bounded: the premise is among the limits" grep -q "within 4.0 s is your premise" <("$mq" report bounded | tr -s ' \n' ' ')
check bounded --no-fence --settle 1s
is "nothing is absent: no fence is needed to say so" "$code $(verdict bounded) $(report bounded .fenced)" "0 PASS true false"
check moved --no-fence --settle 1s --fence-timeout 3s
is "something is absent, and no fence: undecided" "$code $(verdict moved) $(sums moved)" "4 UNDECIDED true pending relay 6"
is "no fence: the reason says so" "$(report moved '[.reasons[] | test("^6 messages .* without a fence")] | tostring')" "[true]"
check moved --no-fence --settle 1s --relay-lag 2s
is "no fence, but a bound: lost" "$code $(verdict moved) $(sums moved)" "1 FAIL true lost relay 6"
check bounded --fence-timeout 3s
is "the same without the bound: undecided" "$code $(verdict bounded)" "4 UNDECIDED true"
done_testing
