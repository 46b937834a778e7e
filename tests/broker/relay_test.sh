#!/usr/bin/env bash
# A relay copies a topic and drops, repeats, swaps, corrupts, cuts and adds known messages: the report names
# exactly those, by kind, for several seeds; a clean relay passes.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up
relay=$top/tests/broker/tools/relay.py

one_relay() { # NAME SEED SPEC [beside]
	local name=$1 seed=$2 spec=$3 relay_pid
	"$mq" probe "kafka://lab:$lab/$name-b" --create-topic 2:3 -n 0 -q --run "make-$name" >/dev/null 2>&1
	"$mq" probe "kafka://lab:$lab/$name-a" --create-topic 2:3 -n 4k -r 4k -q --run "$name" \
		--check "kafka://lab:$lab/$name-b" >"$work/$name.probe" 2>&1 || bail "$(cat "$work/$name.probe")"
	python_in_lab "$relay" "$(bootstrap)" "$name-a" "$name-b" "$seed" "$spec" 60 ${4:+"$4"} \
		>"$work/$name.plan" 2>"$work/$name.relay" &
	relay_pid=$!
	"$mq" check "kafka://lab:$lab/$name-b" --run "$name" -q >"$work/$name.check" 2>&1
	code=$?
	wait "$relay_pid" || bail "the relay: $(cat "$work/$name.relay")"
}
planted() { jq -r 'select(.kind == "'"$2"'") | .identity' "$work/$1.plan" | sort; }
found() { # RUN KIND STAGE
	report "$1" '.findings[] | select(.kind == "'"$2"'" and .stage == "'"$3"'" and .withdrawn == false and .producer_id > 0) |
		"\(.producer_id).\(.epoch).\(.partition)" as $lane | range(.lo; .hi + 1) | "\($lane).\(.)"' | sort
}

one_relay clean 1 ""
is "a clean relay: exit code" "$code" 0
is "a clean relay: verdict" "$(report clean .verdict)" PASS
is "a clean relay: nothing found" "$(report clean '[.findings[] | select(.withdrawn == false)] | length')" 0

one_relay beside 2 "" beside
is "a relay that puts the envelope beside the payload: PASS" "$code $(report beside .verdict)" "0 PASS"
is "and nothing found: fences are known too" \
	"$(report beside '[.findings[] | select(.withdrawn == false)] | length') $(report beside '[.fences[] | select(.side == "target" and .read != null)] | length')" "0 2"
is "it did so: its records are shorter by the envelope" "$(in_lab kcat -b "$(bootstrap)" -t beside-b -C -e -q -p 0 -o 0 -f '%S\n' |
	sort -n | uniq -c | awk '{ print $2 }' | paste -sd' ')" "0 36"

for seed in 11 12 13 14; do
	name=seed-$seed
	form=
	[ "$seed" = 14 ] && form=beside
	one_relay "$name" "$seed" "drop=7,repeat=6,swap=5,flip=4,cut=3,behead=2,foreign=4" $form
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
	note "seed $seed: $(report "$name" '[.sums[] | "\(.kind) \(.count)"] | join(", ")'), $(report "$name" .counts.read) read"
done
done_testing
