#!/usr/bin/env bash
# Labs without root: in user namespaces, made and used by an ordinary user, and on loopback. In each a run
# across a kill passes; what cannot be there is refused by name; nothing is left, whatever was killed.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

[ "$(id -u)" -eq 0 ] || bail "needs root, to become somebody else"
user=65534 # nobody
export HOME=$work/home
mkdir "$HOME" "$MQAUDIT_STATE" && chown -R "$user:$user" "$HOME" "$MQAUDIT_STATE"
as_user() { setpriv --reuid="$user" --regid="$user" --clear-groups "$@"; }
# the rest of this test, lib.sh's own clean-up included, is the user's
# ... and he may not be able to enter the folder that it was built in
cp -L "$mq" "$work/mqaudit" || bail "no copy of $mq"
root_mq=$work/mqaudit
cat >"$work/mq" <<END
#!/bin/sh
exec setpriv --reuid=$user --regid=$user --clear-groups '$root_mq' "\$@"
END
chmod 755 "$work/mq"
mq=$work/mq
as_user unshare -Urn true || bail "an ordinary user gets no user namespaces here (in a chroot nobody does)"
as_user test -r "$root_mq" || bail "an ordinary user cannot read $root_mq"

status_of() { "$mq" lab status kafka --lab "$lab" --format json 2>/dev/null | jq -r "$1"; }
answer_all() { [ "$(status_of '[.nodes[].answers] | all')" = true ]; }
left() { # processes of this test's labs, and files
	pgrep -u "$user" -f -- "$MQAUDIT_STATE/lab"
	for p in $(pgrep -u "$user" -f 'lab (guard|holder)'); do
		tr '\0' '\n' 2>/dev/null <"/proc/$p/environ" | grep -qxF "MQAUDIT_STATE=$MQAUDIT_STATE" && echo "$p"
	done
	find "$MQAUDIT_STATE/lab" -mindepth 1 2>/dev/null
	find /tmp/mqaudit-lab-loopback -lname "$MQAUDIT_STATE/*" 2>/dev/null
}
nothing_left() { [ -z "$(left)" ]; }
seen_outside() { # what a lab could leave in the machine's own namespace
	ip -o link | cut -d: -f2
	# but for the routes of other people's labs
	ip -4 route show table all | grep -E '198\.18\.|127\.77\.' | grep -v '^blackhole '
	ip netns | grep -F -- "-$lab-"
}

# a run, with this done to its leader meanwhile; it must pass and name the faults
run_across() { # NAME FUNCTION
	"$mq" run "kafka://lab:$lab/$1" --run "$1" --replica-assignment 1:2:3 --create-topic 1 \
		--topic-config min.insync.replicas=2 -r 200 -X acks=all -X enable.idempotence=true \
		>"$work/$1.txt" 2>"$work/$1.err" &
	local run=$! acked
	going() { report_is "$run_name" '.counts.read >= 200'; }
	run_name=$1
	ok "a run gets going" wait_until 60 going
	"$2"
	"$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>&1
	is "heal: exit code" "$?" 0
	acked=$(report "$1" .counts.acked)
	further() { report_is "$run_name" ".counts.acked > $acked"; }
	ok "the run goes on" wait_until 60 further
	kill -INT "$run"
	wait "$run"; is "it passes" $? 0
}

# SIGKILL of a command at random instants, of the guard as well; then down, and nothing is there
kill_commands() { # NETWORK
	local clean=0 i tool guard
	for i in 1 2 3 4; do
		"$mq" lab up kafka --lab "$lab" --network "$1" --nodes 1 >"$work/up.$i" 2>&1 &
		tool=$!
		case $i in
		1 | 2) sleep "0.$((RANDOM % 10))" ;; # the random instant
		3) wait "$tool"; "$mq" lab restart 1 --lab "$lab" >/dev/null 2>&1 & tool=$!; sleep "0.$((RANDOM % 10))" ;;
		4) wait "$tool"; "$mq" lab down --lab "$lab" >/dev/null 2>&1 & tool=$!; sleep "0.0$((RANDOM % 10))" ;;
		esac
		kill -KILL "$tool" 2>/dev/null
		wait "$tool" 2>/dev/null
		# the half-made one's guard goes too, every other time: down must do it alone
		[ "$i" -eq 1 ] && guard=$(pgrep -u "$user" -f "lab guard kafka --lab $lab --until-pid $tool ") &&
			kill -KILL "$guard"
		"$mq" lab down --lab "$lab" >"$work/down.$i" 2>&1 && wait_until 20 nothing_left && clean=$((clean + 1))
	done
	is "$1: killed at 4 random instants of up, restart and down: nothing is left" "$clean" 4
	nothing_left || left | sed 's/^/# left: /'
}

outside=$(seen_outside)

note user namespaces, by an ordinary user
is "doctor tells what networks there are" "$("$mq" doctor --format json | jq -c .lab_networks)" '["user-namespaces","loopback"]'
is "... root has more" "$("$root_mq" doctor --format json | jq -c .lab_networks)" '["namespaces","user-namespaces","loopback"]'
"$mq" lab up kafka --lab "$lab" --until-pid $$ >"$work/lab.log" 2>&1 || bail "no lab: $(tail -3 "$work/lab.log")"
ok "it says where it is, and what it lacks" grep -q 'not root: this lab is in user namespaces, without faults of disks and power' "$work/lab.log"
is "so does the status" "$(status_of .network)" user-namespaces
ok "each node answers" answer_all
is "the machine's own network is as it was" "$(seen_outside)" "$outside"
is "its nodes are the user's processes" "$(ps -o uid= -p "$(status_of '[.nodes[].pid | tostring] | join(",")')" | sort -u | tr -d ' ')" "$user"
server_before=
break_user() {
	server_before=$("$mq" ledger status 2>/dev/null | sed -n 's/^process *\([0-9]*\).*/\1/p')
	"$mq" lab fault isolate kafka1 --from brokers --lab "$lab" >"$work/fault.txt" 2>&1
	ok "isolate: packets are dropped" grep -qE 'isolate kafka1 .*([1-9][0-9]* packets dropped in|[1-9][0-9]* out)' "$work/fault.txt"
	moved() { [ "$("$mq" lab leader kafka "$run_name" --lab "$lab" 2>/dev/null)" != kafka1 ]; }
	ok "the majority elects another leader" wait_until 60 moved
	"$mq" lab heal --lab "$lab" >/dev/null 2>&1
	"$mq" lab fault kill kafka2 --lab "$lab" >"$work/fault.txt" 2>&1
	ok "kill: the process is gone" grep -qE 'kill kafka2 .*process [0-9]+ is gone' "$work/fault.txt"
}
run_across user break_user
is "it names both faults" "$(report user '[.events[] | select(.kind == "fault" and .until != null) | .subject] | sort | join(" ")')" "kafka1 kafka2"
in_lab sh -c 'kcat -b "$KAFKA_BOOTSTRAP" -C -t user -e -q -o beginning -f "%o\n"' >"$work/offsets" 2>"$work/kcat.err"
ok "kcat, inside, reads what was acknowledged" test "$(wc -l <"$work/offsets")" -ge "$(report user .counts.acked)"
"$mq" lab logs kafka --lab "$lab" --grep 'kafka|Kafka' -n 2 >"$work/out" 2>&1
is "logs: the last lines that match, of each node" "$(cut -d' ' -f1 "$work/out" | uniq -c | tr -s ' \n' ' ')" " 2 kafka1 2 kafka2 2 kafka3 "
"$mq" lab logs kafka --lab "$lab" --node kafka3 --grep '(' >"$work/out" 2>&1
is "... what is no expression is wrong use" "$?" 2
"$mq" lab logs kafka kafka3 --lab "$lab" -n 1 -f >"$work/follow" 2>&1 &
tail_pid=$!
more_than() { [ "$(wc -l <"$work/follow")" -gt "$1" ]; }
ok "... -f begins with the last" wait_until 10 more_than 0
"$mq" lab restart kafka3 --lab "$lab" >/dev/null 2>&1
ok "... and goes on with what comes" wait_until 10 more_than 5
{ kill "$tail_pid"; wait "$tail_pid"; } 2>/dev/null
"$mq" lab up kafka --lab "$lab" --network loopback >"$work/out" 2>&1
is "up with another network is refused" "$?" 3
holder=$(status_of .holder_pid)
[ "${holder:-0}" -gt 1 ] || bail "the lab has no holder" # kill 0 would end this test and its callers
kill -KILL "$holder"
gone() { ! "$mq" lab fault kill kafka1 --lab "$lab" >"$work/out" 2>&1; }
ok "without its holder it takes no fault" wait_until 10 gone
ok "... and says why" grep -q 'the namespaces of lab .* are gone' "$work/out"
"$mq" lab down --lab "$lab" >"$work/out" 2>&1
is "down: exit code" "$?" 0
ok "nothing is left" wait_until 20 nothing_left
is "the ledger, outside, did not end with it" "$("$mq" ledger status 2>/dev/null | sed -n 's/^process *\([0-9]*\).*/\1/p')" "$server_before"
kill_commands user-namespaces

note loopback
"$mq" lab up kafka --lab "$lab" --network loopback --until-pid $$ >"$work/lab.log" 2>&1 || bail "no lab: $(tail -3 "$work/lab.log")"
is "status says so" "$(status_of .network)" loopback
ok "each node has an address of its own" test "$(status_of '[.nodes[].address] | unique | length')" -eq 3
ok "... of 127.77.0.0/16" test "$(status_of '[.nodes[].address | startswith("127.77.")] | all')" = true
"$mq" lab fault isolate kafka1 --from brokers --lab "$lab" >"$work/out" 2>&1
is "a fault of links: exit code" "$?" 3
ok "... refused with the reason" grep -q 'this lab is on loopback: ' "$work/out"
is "... and nothing is on" "$(status_of '.faults | length')" 0
break_loopback() {
	"$mq" lab fault kill kafka1 --lab "$lab" >"$work/fault.txt" 2>&1
	ok "kill: the process is gone" grep -qE 'kill kafka1 .*process [0-9]+ is gone' "$work/fault.txt"
}
run_across loop break_loopback
is "it names the fault" "$(report loop '[.events[] | select(.kind == "fault" and .until != null) | .subject] | join(" ")')" kafka1
"$mq" lab up kafka --lab "$lab-2" --network loopback --nodes 1 >"$work/out" 2>&1
is "a second one beside it: exit code" "$?" 0
ok "... has other addresses" test "$("$mq" lab status kafka --lab "$lab-2" --format json | jq .subnet)" -ne "$(status_of .subnet)"
"$mq" lab down --lab "$lab-2" >/dev/null 2>&1
"$mq" lab down --lab "$lab" >"$work/out" 2>&1
is "down: exit code" "$?" 0
ok "nothing is left" wait_until 20 nothing_left
kill_commands loopback

note neither is to be had
# where nobody may make user namespaces: in one of our own with a limit of none
as_user unshare --user --map-current-user --keep-caps sh -c 'echo 0 >/proc/sys/user/max_user_namespaces &&
	exec setpriv --inh-caps=-all --ambient-caps=-all "$@"' sh "$root_mq" lab up kafka --lab "$lab" --nodes 1 >"$work/out" 2>&1
is "up: exit code" "$?" 0
ok "... falls back to loopback, and says so" grep -q 'neither root nor user namespaces .*: this lab is on loopback, with faults of processes only' "$work/out"
is "... it is there" "$(status_of .network)" loopback
"$mq" lab up kafka --lab "$lab-3" --network namespaces >"$work/out" 2>&1
is "namespaces of the machine need root: exit code" "$?" 3
ok "... and the hint names what can be had" grep -q 'hint: .*--network user-namespaces or loopback' "$work/out"
"$mq" lab down --lab "$lab" >/dev/null 2>&1
ok "nothing is left" wait_until 20 nothing_left
is "the machine's own network is as it was" "$(seen_outside)" "$outside"
done_testing
