#!/usr/bin/env bash
# Nodes with disks of their own. The power of all three is cut at once: what acks=all acknowledged and nobody
# had flushed is lost, each by name, as an independent reader finds; its twin under the same cut, which flushes
# each message, loses nothing, and neither does SIGKILL of all, which leaves the page cache. A node whose disk
# is full, read-only or broken ends itself: nothing is lost, and that is said to be the fault's doing.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

rate=300
all=(kafka1 kafka2 kafka3)
python_env
lab_up --disk loop --disk-size 1G
note "$(head -1 "$work/lab.log")"
common=(--replica-assignment 1:2:3 --create-topic 1 --topic-config min.insync.replicas=2 -r "$rate" -q -X acks=all)
start() { # RUN OPTIONS...: its process in $pid
	"$mq" run "kafka://lab:$lab/$1" --run "$1" "${common[@]}" "${@:2}" >"$work/$1.txt" 2>"$work/$1.err" &
	pid=$!
}
acked_of() { report_is "$1" ".counts.acked >= $2"; }
read_of() { report_is "$1" ".counts.read >= $2"; }
goes_on() { # RUN: acknowledging goes on
	local now
	now=$(report "$1" .counts.acked)
	wait_until 60 acked_of "$1" $((now + rate))
}
fault() { "$mq" lab fault "$@" --lab "$lab" >"$work/fault.txt" 2>"$work/fault.err"; }
heal() { "$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>"$work/heal.err"; }
node() { # NAME JQ
	"$mq" lab status kafka --lab "$lab" --format json | jq -r --arg n "$1" ".nodes[] | select(.name == \$n) | $2"
}
leader() { "$mq" lab leader kafka "$1" 0 --lab "$lab" 2>/dev/null; }
passes() { # RUN EXIT-CODE
	is "$1: PASS, both judges agree, nothing found" "$2 $(report "$1" \
		'"\(.verdict) \(.agreed) \([.findings[] | select(.withdrawn == false)] | length)"')" "0 PASS true 0"
	note "$1: $(report "$1" .counts.acked) acked"
}

# ---- as it is without a fault --------------------------------------------------------------------
is "each disk is mounted" "$("$mq" lab status kafka --lab "$lab" --format json |
	jq -r '"\(.disk) \(.disk_bytes) \([.nodes[].disk_state] | join(" "))"')" \
	"loop $((1 << 30)) mounted mounted mounted"
mount=$(node kafka1 .disk_mount)
seers=$(grep -lF " $mount " /proc/[0-9]*/mountinfo 2>/dev/null | cut -d/ -f3 | sort)
is "... where nobody but the node sees it" "$seers" "$(node kafka1 '.pid, .disk_pid' | sort)"
ok "... and a client does not either" in_lab sh -c "! grep -qF ' $mount ' /proc/self/mountinfo"
ok "status says so to people" grep -qE 'disks +loop, 1\.0 GiB each' <("$mq" lab status kafka --lab "$lab")
fault powercut kafka1 kafka1
is "the same node twice is refused before anything is touched" "$? $(node kafka1 .state)" "3 running"

# ---- the power of all nodes ----------------------------------------------------------------------
# one request in flight, so that a retry swaps nothing; no idempotence, whose state goes with the log
start cached -X max.in.flight=1 -X enable.idempotence=false; cached=$pid
start flushed -X enable.idempotence=true --topic-config flush.messages=1; flushed=$pid
ok "default flush gets going" wait_until 60 read_of cached $((rate * 3))
ok "flush.messages=1 gets going" wait_until 60 read_of flushed $((rate * 3))
is "kafka1 leads both" "$(leader cached) $(leader flushed)" "kafka1 kafka1"
fault powercut "${all[@]}"
is "the power is cut" $? 0
is "... of all three, at once, and the file systems say so" \
	"$(grep -cE 'powercut kafka[123]  mount flag shutdown; 3 nodes cut within [0-9.]+ ms' "$work/fault.txt")" 3
is "nobody runs, no disk is mounted" \
	"$("$mq" lab status kafka --lab "$lab" --format json | jq -r '[.nodes[] | .state + " " + .disk_state] | unique[]')" \
	"killed not mounted"
at_cut=$(report cached .counts.acked)
note "$(sed -n '1s/.*flag //p' "$work/fault.txt")"
heal
is "healed" $? 0
is "each node's disk has lost something" \
	"$(grep -cE 'powercut kafka.*; [1-9][0-9]* of [0-9]+ bytes of its topics. logs are gone' "$work/heal.txt")" 3
note "$(sed -n '1s/.*; //p' "$work/heal.txt")"
ok "default flush goes on" goes_on cached
ok "flush.messages=1 goes on" goes_on flushed
kill -INT "$cached" "$flushed"
wait "$cached"; is "default flush ends with 1 (findings)" $? 1
wait "$flushed"; passes flushed $?
is "default flush: FAIL, both judges agree" "$(report cached '"\(.verdict) \(.agreed)"')" "FAIL true"
is "... lost at the broker, and nothing else" \
	"$(report cached '[.findings[] | select(.withdrawn == false) | "\(.kind) \(.stage)"] | unique | join(", ")')" "lost broker"
is "... everything was acked" "$(report cached .counts.acked)" "$(report cached .counts.intended)"
# the truth, by a reader that shares no code
python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" cached >"$work/read.txt" || bail "the reader fails"
seq 1 "$(report cached .counts.acked)" | sed 's/^/1.1.0./' | sort >"$work/sent.txt"
cut -d' ' -f1 "$work/read.txt" | sort -u >"$work/present.txt"
comm -23 "$work/sent.txt" "$work/present.txt" >"$work/truth.txt"
identities cached lost >"$work/named.txt"
ok "... at least all that was known to be acked" test "$(wc -l <"$work/truth.txt")" -ge "$at_cut"
ok "... each by name, and no other" cmp "$work/truth.txt" "$work/named.txt"
note "cached: $(report cached .counts.acked) acked, $(wc -l <"$work/truth.txt") lost;" \
	"$(report cached '[.findings[] | select(.kind == "lost") | .why] | unique | join(" | ")')"

# ---- the control: SIGKILL of all leaves the page cache -------------------------------------------
start killed -X enable.idempotence=true; killed=$pid
ok "the control gets going" wait_until 60 acked_of killed $((rate * 3))
fault kill "${all[@]}"
is "all are killed" "$? $(grep -c 'process [0-9]* is gone' "$work/fault.txt")" "0 3"
heal
is "healed" $? 0
ok "the control goes on" goes_on killed
kill -INT "$killed"
wait "$killed"; passes killed $?

# ---- disks that fail -----------------------------------------------------------------------------
start failing -X enable.idempotence=true; failing=$pid
ok "it gets going" wait_until 60 acked_of failing $((rate * 2))
fails() { # FAULT WORDS DISK-STATE
	local victim now
	victim=$(leader failing)
	fault "$1" "$victim"
	is "$1: goes on" $? 0
	ok "... it bit: an error in the node's log, and the node ended itself" \
		grep -qE "$1 $victim  [1-9][0-9]* lines? of its log: \"$2\"; it ended itself" "$work/fault.txt"
	is "... which is said to be the fault's doing" "$(node "$victim" '"\(.state) \(.disk_state)"')" "killed $3"
	now=$(report failing .counts.acked)
	ok "... acknowledging goes on without it" wait_until 60 acked_of failing $((now + rate))
	"$mq" lab restart "$victim" --lab "$lab" >/dev/null 2>&1
	is "... it is not started on such a disk" "$? $(node "$victim" .state)" "3 killed"
	"$mq" lab up kafka --lab "$lab" >/dev/null 2>&1
	is "... and no surprise to those that run" "$? $(node "$victim" .state)" "0 killed"
	heal
	is "... healed, without complaint" "$? $(grep -c error "$work/heal.err")" "0 0"
	is "... it runs again on a good disk" "$(node "$victim" '"\(.state) \(.answers) \(.disk_state)"')" "running true mounted"
}
fails diskfull "No space left on device" mounted
fails diskerror "Input/output error" "shut down"
fails readonly "Read-only file system" read-only
kill -INT "$failing"
wait "$failing"; passes failing $?
done_testing
