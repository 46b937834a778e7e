#!/usr/bin/env bash
# The lab, on real Kafka clusters. TAP. Needs root, Java, and Kafka through Maven.
# shellcheck disable=SC2317 # functions are called by name
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/broker/lab_lib.sh
. tests/broker/lab_lib.sh

mq=$(realpath "${MQAUDIT:-build/mqaudit}")
export MQAUDIT_STATE=$tap_dir/state
unset MQAUDIT_LAB MQAUDIT_DIST KAFKA_HOME
[ "$(id -u)" -eq 0 ] || bail "needs root, for network namespaces"
for program in kcat jq nft java pgrep; do
	command -v "$program" >/dev/null || bail "needs $program"
done

clean_up() {
	trap - EXIT
	"$mq" lab down --all >/dev/null 2>&1
	[ "$tap_failed" -eq 0 ] && rm -rf "$tap_dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# --- what can be seen of labs from outside

status() { "$mq" lab status kafka --format json "$@" 2>/dev/null; }

# Processes of our labs: whose command line names our state folder or our guard. Zombies have none.
processes() {
	local p
	pgrep -f -- "$MQAUDIT_STATE/lab"
	for p in $(pgrep -f 'lab guard'); do
		tr '\0' '\n' 2>/dev/null <"/proc/$p/environ" | grep -qxF "MQAUDIT_STATE=$MQAUDIT_STATE" && echo "$p"
	done 2>/dev/null
}
claims() { # subnets that our labs hold
	local l
	for l in /run/mqaudit-lab/*; do
		case $(readlink "$l") in "$MQAUDIT_STATE"/*) echo "${l##*/}" ;; esac
	done
}
has_another() { # SUBNET: a test beside this one made a lab there when ours had gone
	local to
	to=$(readlink "/run/mqaudit-lab/$1") || return 1
	case $to in "$MQAUDIT_STATE"/*) false ;; esac
}
# All that labs of ours have left on the machine, as lines. $1: the subnets that they had.
leftovers() {
	local n left
	processes | sed 's/^/process /'
	claims | sed 's/^/claim /'
	for n in $1; do
		left=$(ip netns | grep -o "^mqa-$n-[^ ]*" | sed 's/^/namespace /'
			ip -4 route show exact "198.18.$n.0/24" | sed 's/^/route /')
		[ -z "$left" ] || has_another "$n" || echo "$left"
	done
	find "$MQAUDIT_STATE/lab" -mindepth 1 -maxdepth 1 ! -name dist 2>/dev/null | sed 's/^/file /'
}
nothing_left() { [ -z "$(leftovers "$1")" ]; }
expect_nothing_left() { # SUBNETS NAME
	run_line=leftovers code=0
	leftovers "$1" >"$tap_dir/out"
	: >"$tap_dir/err"
	[ ! -s "$tap_dir/out" ]
	ok $? "$2"
}
address_of() { status | jq -r --arg n "$1" '.nodes[] | select(.name == $n) | "\(.address):\(.port)"'; }
pid_of() { status | jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .pid'; }
id_of() { echo "${1#kafka}"; }
seconds_since() { awk -v a="$1" -v b="$(date +%s%N)" 'BEGIN { printf "%.2f", (b - a) / 1e9 }'; }
rss_list() { status | jq -r '[.nodes[].rss_bytes / 1048576 | floor] | map(tostring) | join(", ")'; }

# --- nothing there

run "$mq" lab status kafka
expect_code 3 "status without a lab is an error"
expect_err 'no kafka lab .default. is up' "and says that there is none"
run "$mq" lab down
expect_code 0 "down without a lab is fine"
run "$mq" lab up kafka --nodes 6
expect_code 2 "six nodes are wrong use"
run "$mq" lab up kafka --broker-config nonsense
expect_code 2 "a setting without a value is wrong use"
run "$mq" lab up kafka --disk-size 1G
expect_code 2 "a size without disks is wrong use"
run "$mq" lab up kafka --disk loop --disk-size 1M
expect_code 2 "a disk too small for Kafka is wrong use"
run "$mq" lab fault kill kafka1
expect_code 3 "a fault needs a lab"
expect_nothing_left "" "wrong use leaves nothing"

# --- up

start=$(date +%s%N)
run "$mq" lab up kafka
expect_code 0 "up" || { finish; }
diag "first up, with fetching Kafka and preparing it: $(seconds_since "$start") s"
diag "memory of the nodes: $(rss_list) MiB"
first=$(claims)
leftovers "$first" >"$tap_dir/seen"
[ "$(cut -d' ' -f1 "$tap_dir/seen" | sort -u | tr '\n' ' ')" = "claim file namespace process route " ]
ok $? "this test sees the lab's claim, files, namespaces, processes and route"

run "$mq" lab status kafka --format json
jq -e '.bootstrap != "" and .version == "4.1.0" and (.nodes | length) == 3' "$tap_dir/out" >/dev/null
ok $? "status as JSON has bootstrap, version and three nodes"
jq -e '[.nodes[] | .name and .id and .pid and .address and .namespace and .data_directory and .answers]
	| all' "$tap_dir/out" >/dev/null
ok $? "each node has a name, id, pid, address, namespace and data directory, and answers"
alive=0
for pid in $(jq '.nodes[].pid' "$tap_dir/out"); do kill -0 "$pid" || alive=1; done
ok $alive "the processes are there"

# shellcheck disable=SC2016 # for the inner shell
run "$mq" lab exec kafka -- sh -c 'kcat -b "$KAFKA_BOOTSTRAP" -L'
expect_out '3 brokers' "kcat in the client namespace sees three brokers"
run "$mq" lab exec kafka -- sh -c 'exit 42'
expect_code 42 "exec passes the exit code on"
run "$mq" lab exec kafka -- no-such-command
expect_code 127 "a command that is not there: 127"

run timeout 10 kcat -b "$(address_of kafka1)" -m 3 -L
[ "$code" -ne 0 ] && grep -q 'Invalid argument' "$tap_dir/err"
ok $? "a client outside fails in connect() at once: the blackhole"
run ip -4 route show exact "198.18.$first.0/24"
expect_out '^blackhole' "the machine's own namespace has the blackhole route and nothing else of it"

run "$mq" lab up kafka
expect_out 'was up already' "a second up finds it"
run "$mq" lab up kafka --nodes 2
expect_code 3 "a second up that wants another number of nodes is refused"

# --- a topic, and the leader cut off

# shellcheck disable=SC2016
run "$mq" lab exec kafka -- sh -c 'kafka-topics --bootstrap-server "$KAFKA_BOOTSTRAP" --create \
	--topic orders --partitions 1 --replication-factor 3'
expect_out 'Created topic orders' "kafka-topics creates a topic"
run "$mq" lab leader kafka orders
expect_out '^kafka[123]$' "leader names a node"
leader=$(cat "$tap_dir/out")
run "$mq" lab leader kafka no-such-topic
expect_code 3 "the leader of no topic is an error"
expect_err 'no partition 0' "and says so"

for fault in powercut diskfull readonly diskerror; do
	run "$mq" lab fault "$fault" "$leader"
	expect_err "$fault needs a lab with --disk loop: mqaudit lab up kafka --disk loop" \
		"$fault says which lab it needs"
done
status | jq -e '.disk == "plain" and .faults == []' >/dev/null
ok $? "... and is not on"
run "$mq" lab up kafka --disk loop
expect_code 3 "a second up that wants other disks is refused"
run "$mq" lab fault isolate "$leader" --from nobody
expect_code 2 "to isolate from nobody is wrong use"
run "$mq" lab fault isolate "$leader" --from brokers
expect_out '[0-9]+ packets dropped' "isolate prints the proof that it bites"
isolated=$(address_of "$leader")
leader_is_another() { [ "$("$mq" lab leader kafka orders --timeout 1s 2>/dev/null)" != "$leader" ] &&
	"$mq" lab leader kafka orders --timeout 1s >/dev/null 2>&1; }
start=$(date +%s%N)
wait_until 40 leader_is_another
ok $? "the majority elects another leader"
diag "another leader after $(seconds_since "$start") s"
run "$mq" lab exec kafka -- kcat -b "$isolated" -L -t orders -m 5
expect_out "partition 0, leader $(id_of "$leader")," \
	"the isolated node still answers clients, and believes that it leads"
run "$mq" lab leader kafka orders
[ "$(cat "$tap_dir/out")" != "$leader" ]
ok $? "lab leader does not believe it"
run "$mq" lab status
expect_out "isolate $leader.*from=brokers.*packets dropped" "status shows the fault with its proof"
status | jq -e '.faults | length == 1' >/dev/null
ok $? "so does its JSON"

run "$mq" lab heal
expect_code 0 "heal"
expect_out 'healed f1 .*[1-9][0-9]* packets dropped in, [1-9][0-9]* out' \
	"heal prints packets dropped, in and out"
[ -z "$(nsenter --net="$(status | jq -r --arg n "$leader" '.nodes[] | select(.name == $n) | .namespace')" \
	nft list tables)" ]
ok $? "no table is left in the node's namespace"
status | jq -e '.faults == []' >/dev/null
ok $? "no fault is on any more"

# --- kill and restart

pid=$(pid_of kafka2)
run "$mq" lab fault kill 2
expect_out "kill kafka2 .*process $pid is gone" "kill, by the node's number"
run "$mq" lab fault kill kafka2
expect_code 3 "a node that is dead cannot be killed"
run "$mq" lab up kafka
expect_code 0 "up leaves a killed node alone"
status | jq -e '.nodes[1].state == "killed"' >/dev/null
ok $? "it is still killed"
start=$(date +%s%N)
run "$mq" lab restart kafka2
expect_code 0 "restart of a killed node"
diag "restart of a killed node: $(seconds_since "$start") s"
status | jq -e '(.nodes[1] | .state == "running" and .answers) and .faults == []' >/dev/null
ok $? "it answers, and the fault is over"
start=$(date +%s%N)
pid=$(pid_of kafka1)
run "$mq" lab restart 1
expect_out 'ended in order' "restart of a running node ends it in order"
diag "restart in order: $(seconds_since "$start") s"
[ "$(pid_of kafka1)" != "$pid" ]
ok $? "it has another process"
run "$mq" lab logs kafka kafka1
expect_out 'shut(ting)? down|shutdown' "its log tells of the shutdown"

# a node that dies by itself: not by a fault
kill -KILL "$(pid_of kafka3)"
is_dead() { status | jq -e '.nodes[2].state == "died"' >/dev/null; }
wait_until 10 is_dead
ok $? "status sees that a node has died"
run "$mq" lab up kafka
expect_out '1 of 3 nodes started again' "up starts it again"

events=$(cat "$MQAUDIT_STATE"/lab/default/kafka/events.jsonl)
[ "$(jq -s '[.[] | select(.kind == "fault" and .edge == "begin")] | length' <<<"$events")" -eq 2 ] &&
	[ "$(jq -s '[.[] | select(.kind == "fault" and .edge == "end")] | length' <<<"$events")" -eq 2 ]
ok $? "each fault has its beginning and its end in the events"

# --- a second lab beside it

start=$(date +%s%N)
run "$mq" lab up kafka --lab other --nodes 1
expect_code 0 "a second lab comes up beside the first"
diag "later up, one node: $(seconds_since "$start") s"
both=$(claims)
run "$mq" lab down --lab other
expect_code 0 "and goes"
status | jq -e '[.nodes[].answers] | all' >/dev/null
ok $? "the first does not mind"

# --- down

start=$(date +%s%N)
run "$mq" lab down
expect_code 0 "down"
diag "down: $(seconds_since "$start") s"
expect_nothing_left "$both" "down leaves no process, namespace, route or file"

start=$(date +%s%N)
run "$mq" lab up kafka
expect_code 0 "up again"
diag "later up, three nodes: $(seconds_since "$start") s"
first=$(claims)
run "$mq" lab down
expect_nothing_left "$first" "nothing is left of it either"

# --- the tool killed in the middle; the guard as well, so that down has to do it

has_claim() { [ -n "$(claims)" ]; }
has_nodes() { [ -n "$(processes | head -n 1)" ] && grep -q '"state": "running"' "$MQAUDIT_STATE/lab/default/kafka.json"; }
kill_up_when() { # CONDITION GUARD_TOO
	"$mq" lab up kafka >"$tap_dir/out" 2>"$tap_dir/err" &
	local up=$! guard=
	wait_until 30 "$1" || return 1
	subnet=$(claims)
	if [ "$2" = guard_too ]; then
		guard=$(pgrep -f "lab guard kafka .*--until-pid $up( |\$)")
		[ -n "$guard" ] || return 1
	fi
	# shellcheck disable=SC2086 # none or one
	kill -KILL $up $guard
	wait "$up" 2>/dev/null
	return 0
}
for condition in has_claim has_nodes; do
	kill_up_when "$condition" guard_too
	ok $? "up is killed in the middle, with its guard ($condition)"
	run "$mq" lab fault kill 1
	expect_code 3 "a half-made lab takes no fault"
	run "$mq" lab down
	expect_code 0 "down of what is left"
	expect_nothing_left "$subnet" "nothing is left after that"
	kill_up_when "$condition" alone
	ok $? "up is killed in the middle, alone ($condition)"
	wait_until 20 nothing_left "$subnet"
	expect_nothing_left "$subnet" "the guard cleans up behind it"
done

"$mq" lab up kafka >"$tap_dir/out" 2>"$tap_dir/err" &
up=$!
wait_until 30 has_nodes
subnet=$(claims)
kill -INT "$up"
code=0
wait "$up" || code=$?
expect_code 130 "Ctrl-C during up"
expect_nothing_left "$subnet" "leaves nothing"

sleep 600 &
holder=$!
run "$mq" lab up kafka --nodes 1 --until-pid "$holder"
subnet=$(claims)
kill "$holder"
wait "$holder" 2>/dev/null
wait_until 20 nothing_left "$subnet"
expect_nothing_left "$subnet" "--until-pid: the lab goes with the process"

# --- secure

start=$(date +%s%N)
run "$mq" lab up kafka --lab tls --secure
expect_code 0 "a secure lab comes up"
diag "secure up, three nodes: $(seconds_since "$start") s"
secure=$(claims)
folder=$MQAUDIT_STATE/lab/tls/kafka
address=$(status --lab tls | jq -r '.nodes[0].address')
grep -rl "$(sed -n 's/^sasl.password=//p' "$folder/admin.properties")" "$folder" |
	xargs stat -c %a >"$tap_dir/modes"
[ -s "$tap_dir/modes" ] && ! grep -qv '^600$' "$tap_dir/modes"
ok $? "no file with a password can be read by others"
inside() { run "$mq" lab exec kafka --lab tls -- "$@"; }
inside timeout 20 kcat -F "$folder/admin.properties" -L
expect_out '3 brokers' "kcat as admin sees the cluster"
inside kafka-topics --bootstrap-server "$address:9092" --create --topic alice-1 --replication-factor 3
expect_out 'Created topic' "the tools are admin (by SCRAM)"
send_as() { run "$mq" lab exec kafka --lab tls -- sh -c \
	"echo hello | timeout 20 kcat -F '$folder/$1.properties' -P -t alice-1"; }
send_as alice
expect_code 0 "alice may write to alice-1"
send_as mallory
expect_err 'authorization failed' "mallory may not"
inside timeout 20 kcat -F "$folder/alice.properties" -C -t alice-1 -o beginning -e -q
expect_out '^hello$' "alice reads what she wrote"
inside timeout 20 kcat -F "$folder/mallory.properties" -C -t alice-1 -o beginning -e -q
[ "$code" -ne 0 ] && [ ! -s "$tap_dir/out" ]
ok $? "mallory reads nothing"
sed 's/^sasl.password=.*/sasl.password=wrong/' "$folder/alice.properties" >"$tap_dir/wrong"
inside timeout 20 kcat -F "$tap_dir/wrong" -L
[ "$code" -ne 0 ] && grep -qi 'authentication' "$tap_dir/err"
ok $? "a wrong password fails"
inside timeout 20 kcat -b "$address:9092" -m 3 -L
[ "$code" -ne 0 ]
ok $? "without TLS nobody gets in"
inside timeout 10 openssl s_client -connect "$address:9093" -CAfile "$folder/ca.pem" -quiet
[ "$code" -ne 0 ] && grep -qi 'certificate required\|bad certificate\|alert' "$tap_dir/err"
ok $? "the controllers' port refuses who has no certificate"
run "$mq" lab down --lab tls
expect_nothing_left "$secure" "nothing is left of the secure lab"

# --- another version

start=$(date +%s%N)
run "$mq" lab up kafka --version 3.9.1 --nodes 1 --broker-config log.retention.hours=7
expect_code 0 "Kafka 3.9.1 comes up"
diag "first up of 3.9.1, one node: $(seconds_since "$start") s"
# shellcheck disable=SC2016
run "$mq" lab exec kafka -- sh -c 'kafka-configs --bootstrap-server "$KAFKA_BOOTSTRAP" --describe \
	--entity-type brokers --entity-name 1 --all'
expect_out 'log.retention.hours=7' "--broker-config reaches the broker"
run "$mq" lab restart kafka1 --version 4.x
expect_code 2 "what is no version is refused"
run "$mq" lab restart kafka1 --version 4.1.0
expect_code 0 "it starts again as 4.1.0"
run "$mq" lab status kafka --format json
expect_out '"version": "4.1.0"' "... which is the lab's version now"
find "/proc/$(jq '.nodes[0].pid' "$tap_dir/out")/fd" -lname '*/kafka_2.13-4.1.0.jar' 2>/dev/null | grep -q .
ok $? "... and has the programs of 4.1.0 open"
# shellcheck disable=SC2016
run "$mq" lab exec kafka -- sh -c 'kafka-features --bootstrap-server "$KAFKA_BOOTSTRAP" describe'
expect_out 'metadata.version.*SupportedMaxVersion: 4.1' "... as it says itself, to the tools of that version"
old=$(claims)
run "$mq" lab down kafka
run "$mq" lab up kafka --version 3.9.1 --nodes 1 --broker-config eligible.leader.replicas.version=0
expect_code 3 "a feature that this version does not have: refused"
expect_err 'Unsupported feature: eligible.leader.replicas.version' "... in Kafka's own words"
run "$mq" lab up kafka --nodes 1 --broker-config eligible.leader.replicas.version=0
expect_code 0 "a cluster without a feature comes up"
# shellcheck disable=SC2016
run "$mq" lab exec kafka -- sh -c 'kafka-features --bootstrap-server "$KAFKA_BOOTSTRAP" describe'
expect_out 'eligible.leader.replicas.version.*FinalizedVersionLevel: 0' "... and has it not"
old="$old $(claims)"
run "$mq" lab down --all
expect_nothing_left "$old" "down --all leaves nothing"
finish
