#!/usr/bin/env bash
# Messages that carry their envelope in a record header, written by a client that shares no code: each is taken for
# what it says it is. Nobody intended them, so they are phantoms, repeats, damaged or strangers, as the rules have
# it, and named.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up
url() { echo "kafka://lab:$lab/$1"; }
sql() { psql -qAt "$("$mq" ledger status --format json | jq -r .conninfo)" -c "$1"; }

"$mq" probe "$(url app)" --run app --create-topic 2:3 -n 1000 --size 150 -q >"$work/probe.txt" 2>&1 ||
	bail "$(cat "$work/probe.txt")"
id=$(report app .run.id)
nonce=$(sql "select nonce from mqaudit.producer where run_id = ('x$id')::bit(64)::int8")
hi=$(sql "select max(hi) from mqaudit.intent where run_id = ('x$id')::bit(64)::int8 and partition = 0")
say() { # SEQ JSON...: one message of producer 1's first start, for partition 0
	jq -cn --argjson nonce "$nonce" --argjson seq "$1" \
		'{partition: 0, producer: 1, epoch: 1, nonce: $nonce, seq: $seq, payload: "an application'"'"'s own"} + '"${2:-{\}}"
}
{
	say 17                                             # one that the probe has sent: a repeat
	say $((hi + 1))                                    # above the last intent: a phantom
	say $((hi + 2)) '{payload: null}'                  # without a payload: another
	say $((hi + 3)) '{payload: ""}'                    # with an empty one
	say 21 '{nonce: 12345}'                            # of a start that never was: a phantom
	say 18 '{fault: "twice"}'                          # the last header of that name counts: a repeat
	say 30 '{run: "1234"}'                             # another run's: a stranger
	say 31 '{fault: "garbage"}'                        # no envelope: a stranger
	say 32 '{fault: "null"}'                           # no value: a stranger
	say 40 '{fault: "payload"}'                        # damaged, and named
	say 41 '{fault: "short"}'                          # damaged, without a name
	say 42 '{fault: "long"}'                           # damaged, without a name
	say 50 '{fault: "front", front_seq: 19}'           # the payload's own counts: a repeat of 19, not of 50
} >"$work/lines"
python_in_lab "$top/tests/broker/tools/write_beside.py" "$(bootstrap)" app "$id" <"$work/lines" >"$work/offsets" ||
	bail "the application cannot write"
is "thirteen are written, behind what the probe sent" "$(wc -l <"$work/offsets") $(head -1 "$work/offsets")" "13 0 $hi"

"$mq" check "$(url app)" --run app -q --record messages >"$work/check.txt" 2>&1
is "checked: FAIL, both judges agree" "$? $(report app '"\(.verdict) \(.agreed)"')" "1 FAIL true"
is "repeats" "$(identities app duplicated)" "1.1.0.17
1.1.0.18
1.1.0.19"
is "phantoms: three above the last intent, one with a wrong nonce" "$(identities app phantom | sort -t. -k4n)" "1.1.0.21
1.1.0.$((hi + 1))
1.1.0.$((hi + 2))
1.1.0.$((hi + 3))"
is "damaged: one with a name" "$(report app '[.findings[] | select(.kind == "corrupted" and .producer_id > 0) |
	"\(.producer_id).\(.epoch).\(.partition).\(.lo) \(.count)"] | join(",")')" "1.1.0.40 1"
is "damaged: two without, at their offsets" \
	"$(report app '[.findings[] | select(.kind == "corrupted" and .producer_id == 0) | .positions[].offset] | sort | join(" ")' 2>/dev/null)" \
	"$(sed -n '11,12s/^0 //p' "$work/offsets" | paste -sd' ')"
is "strangers" "$(report app .counts.foreign)" 3
is "nothing is lost, nothing else found" \
	"$(report app '[.findings[] | select(.withdrawn == false) | .kind] | unique | join(",")') $(report app .counts.distinct)" \
	"corrupted,duplicated,phantom 1000"
is "every record is accounted for" "$(report app '.counts | .read == .distinct + .extra + .foreign + .phantom + .corrupted + .fences')" true
is "size of an application's message: its payload's" \
	"$(sql "select string_agg(distinct size::text, ' ' order by size::text) from mqaudit.messages where run = 'app' and seq in (17, $((hi + 2)))")" \
	"0 150 20"
ok "explain knows them" grep -q 'duplicated' <("$mq" explain app 1.1.0.17)

# a topic that holds such messages is not somebody else's
"$mq" probe "$(url app)" --run more -n 10 -q >"$work/more.txt" 2>&1
is "the probe takes the topic for its own" "$?" 0
jq -c '.fault = "garbage"' "$work/lines" | head -1 | python_in_lab "$top/tests/broker/tools/write_beside.py" "$(bootstrap)" app "$id" >/dev/null
"$mq" probe "$(url app)" --run stranger -n 10 -q >"$work/stranger.txt" 2>&1
is "and one with a stranger's for another's" "$? $(grep -c "are not mqaudit's" "$work/stranger.txt")" "3 1"
done_testing
