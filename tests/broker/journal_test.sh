#!/usr/bin/env bash
# The journal's disk: full at the start it is an error at once; filled up later it hurts nobody, as space is
# allocated before it is needed; where even that is used up, it is an error at once, and a wrong verdict never.
# After another boot (planted), what was not shipped is unrecorded, and undecided; with --fsync it stays known.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

journals=$MQAUDIT_STATE/journal
unmount() {
	mountpoint -q "$journals" && umount "$journals"
	cleanup
}
trap unmount EXIT
python_env
lab_up
url() { echo "kafka://lab:$lab/$1"; }
sql() { psql -qAt "$("$mq" ledger status --format json | jq -r .conninfo)" -c "$1"; }
acked_of() { report_is "$1" ".counts.acked >= $2"; }
log_end() { python_in_lab "$top/tests/broker/tools/log_ends.py" "$(bootstrap)" "$1" | cut -d" " -f2; }
good=(-X acks=all -X enable.idempotence=true)

# a small disk of its own
mkdir -p "$journals"
truncate -s 16M "$work/disk.img"
mkfs.ext4 -q -O ^has_journal -m 0 "$work/disk.img" && mount -o loop "$work/disk.img" "$journals" || bail "no small disk"
fill() { dd if=/dev/zero of="$journals/filler" bs=1k 2>/dev/null; [ "$(df --output=avail "$journals" | tail -1)" -eq 0 ]; }

# ---- full at the start ---------------------------------------------------------------------------
fill || bail "the disk cannot be filled"
began=$SECONDS
"$mq" probe "$(url full)" --run full --create-topic 3:3 -n 1000 -q "${good[@]}" >"$work/full.out" 2>"$work/full.err"
is "full at the start: exit code 3" $? 3
ok "at once" test $((SECONDS - began)) -lt 10
ok "it says what is full" grep -qE "journal '$journals/.*No space left on device" "$work/full.err"
is "nothing was sent" "$(log_end full)" 0
is "no journal is left" "$(find "$journals" -name '*.journal' | wc -l)" 0
rm "$journals/filler"
"$mq" probe "$(url full)" --run full -n 1000 -q "${good[@]}" >"$work/full.again" 2>&1
is "with room: the probe sends" $? 0
"$mq" check "$(url full)" --run full -q >"$work/full.check" 2>&1
is "what failed to start holds no verdict up" "$? $(report full '"\(.verdict) \(.counts.acked)"')" "0 PASS 1000"

# ---- filled up while it runs ---------------------------------------------------------------------
"$mq" run "$(url later)" --run later --create-topic 3:3 -r 5k -q "${good[@]}" >"$work/later.txt" 2>&1 &
runner=$!
ok "later: gets going" wait_until 60 acked_of later 10000
ok "later: the disk is full now" fill
at=$(report later .counts.acked)
ok "later: the run goes on" wait_until 30 acked_of later $((at + 20000))
is "later: it is full still" "$(df --output=avail "$journals" | tail -1 | tr -d ' ')" 0
kill -INT "$runner"
wait "$runner"
is "later: PASS" "$? $(report later '"\(.verdict) \(.agreed)"')" "0 PASS true"
python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" later >"$work/later.read" || bail "the reader fails"
is "later: each once, as an independent reader counts" "$(cut -d' ' -f1 "$work/later.read" | sort -u | wc -l) $(wc -l <"$work/later.read")" \
	"$(report later '"\(.counts.acked) \(.counts.intended)"')"
rm "$journals/filler"

# ---- beyond what was allocated -------------------------------------------------------------------
"$mq" probe "$(url beyond)" --run beyond --create-topic 200:1 -r 5k -q "${good[@]}" >"$work/beyond.out" 2>"$work/beyond.err" &
prober=$!
ok "beyond: gets going" wait_until 60 acked_of beyond 5000
ok "beyond: the disk is full now" fill
ended() { ! kill -0 "$prober" 2>/dev/null; }
ok "beyond: a journal that cannot grow ends the probe" wait_until 90 ended
wait "$prober"
is "beyond: exit code 3" $? 3
ok "beyond: it says what is full" grep -qE "journal '$journals/.*No space left on device" "$work/beyond.err"
is "beyond: what it knew is in the ledger all the same" "$(find "$journals" -name '*.journal' | wc -l)" 0
"$mq" check "$(url beyond)" --run beyond -q >"$work/beyond.check" 2>&1
is "beyond: what was sent is judged" "$? $(report beyond '"\(.verdict) \(.agreed)"')" "0 PASS true"
python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" beyond >"$work/beyond.read" || bail "the reader fails"
is "beyond: the same as an independent reader counts" "$(report beyond '"\(.counts.distinct) \(.counts.extra)"')" \
	"$(cut -d' ' -f1 "$work/beyond.read" | sort -u | wc -l) 0"
note "beyond: $(report beyond .counts.acked) acked before the end"
umount "$journals"

# ---- another boot --------------------------------------------------------------------------------
all_of() { # PID: the postmaster and the sessions it has
	echo "$1"
	cat "/proc/$1/task/$1/children" 2>/dev/null | tr ' ' '\n'
}
# A probe whose ledger stands still is killed; what it knew is in its journal alone.
die_unshipped() { # NAME RATE OPTIONS...: sets $journal, $shipped, $decoded
	local topic=$1 rate=$2 prober stopped upto
	shift 2
	"$mq" probe "$(url "$topic")" --run "$topic" --create-topic 3:3 -r "$rate" -q "${good[@]}" "$@" >"$work/$topic.probe" 2>&1 &
	prober=$!
	ok "$topic: gets going" wait_until 60 acked_of "$topic" $((rate * 2))
	stopped=$(all_of "$("$mq" ledger status --format json | jq .pid)")
	# shellcheck disable=SC2086
	kill -STOP $stopped 2>/dev/null
	upto=$(($(log_end "$topic") + rate * 3))
	more() { [ "$(log_end "$topic")" -ge "$upto" ]; }
	ok "$topic: goes on while the ledger stands still" wait_until 30 more
	kill -KILL "$prober"
	wait "$prober" 2>/dev/null
	# shellcheck disable=SC2086
	kill -CONT $stopped 2>/dev/null
	journal=$(find "$journals" -name '*.journal')
	shipped=$(report "$topic" .counts.acked)
	decoded=$(python3 "$top/tests/broker/tools/journal.py" show "$journal")
	read -r intended closed synced open <<<"$decoded"
	note "$topic: $shipped acked were shipped, $intended intended, $closed acked closed, $synced of them synced, $open open"
}
on_log() { # NAME: how many of its messages are there, and how many of seq 1..N of each lane are not
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$1" | cut -d' ' -f1 | sort -u | wc -l
}

die_unshipped same 5000
"$mq" recover --run same >"$work/same.recover" 2>&1
is "same boot: recovered" $? 0
"$mq" check "$(url same)" --run same -q >"$work/same.check" 2>&1
is "same boot: nothing is forgotten" "$(report same '"\(.counts.intended) \(.counts.acked) \(.counts.unrecorded)"')" \
	"$intended $((shipped + closed + open)) 0"
is "same boot: PASS" "$(report same '"\(.verdict) \(.agreed)"')" "PASS true"
ok "same boot: most of it the ledger did not know" test $((closed + open)) -gt 10000

die_unshipped plain 5000
known=$(report plain .counts.intended)
python3 "$top/tests/broker/tools/journal.py" boot "$journal"
"$mq" recover --run plain >"$work/plain.recover" 2>&1
is "another boot: recovered, and said what is missing" "$? $(grep -c 'unrecorded' "$work/plain.recover")" "0 1"
"$mq" check "$(url plain)" --run plain -q >"$work/plain.check" 2>&1
is "another boot: UNDECIDED" "$? $(report plain '"\(.verdict) \(.agreed)"')" "4 UNDECIDED true"
is "another boot: what was not shipped is unrecorded" \
	"$(report plain '"\(.counts.intended) \(.counts.acked) \(.counts.unrecorded)"')" \
	"$known $shipped $((known - shipped))"
ok "another boot: the reason is the lost journal" report_is plain '.reasons | map(select(test("only a lost journal knew"))) | length > 0'
is "another boot: nothing is called lost" "$(report plain '[.sums[] | select(.kind == "lost")] | length')" 0
is "another boot: what is there is counted all the same" "$(report plain .counts.distinct)" "$(on_log plain)"

die_unshipped forced 1000 --fsync
python3 "$top/tests/broker/tools/journal.py" boot "$journal"
"$mq" recover --run forced >"$work/forced.recover" 2>&1
is "--fsync, another boot: recovered" $? 0
"$mq" check "$(url forced)" --run forced -q >"$work/forced.check" 2>&1
is "--fsync: what was synced stays known, the rest is unrecorded" \
	"$(report forced '"\(.counts.intended) \(.counts.acked) \(.counts.unrecorded)"')" \
	"$intended $((shipped + synced)) $((intended - shipped - synced))"
ok "--fsync: that is nearly all of what the ledger did not know" test "$synced" -gt 2500
absent=$((intended - $(on_log forced)))
is "--fsync: PASS if all of that is there" "$(report forced '"\(.verdict) \(.agreed)"')" \
	"$([ "$absent" -eq 0 ] && echo PASS || echo UNDECIDED) true"
is "--fsync: nothing is called lost" "$(report forced '[.sums[] | select(.kind == "lost")] | length')" 0
done_testing
