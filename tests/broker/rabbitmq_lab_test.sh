#!/usr/bin/env bash
# A lab of RabbitMQ: three real nodes, each with a network and a disk of its own. Up, status, exec, leader, each
# verb and fault with its proof, judged by an independent client; and nothing is left of it.
# shellcheck source=../lib.sh disable=SC2317 # functions are called by name
. "$(dirname "$0")/../lib.sh"

python_env
status() { "$mq" lab status rabbitmq --lab "$lab" --format json 2>/dev/null; }
status_is() { [ "$(status | jq "$1")" = true ]; }
node() { status | jq -r --arg n "$1" ".nodes[] | select(.name == \$n) | $2"; }
rabbit() { "$mq" lab exec rabbitmq --lab "$lab" -- "$@"; }
amqp() { # NODE WORDS...: the independent client, talking to that node
	timeout 120 "$mq" lab exec rabbitmq --lab "$lab" -- "$top/build/venv/bin/python" "$top/tests/broker/tools/amqp.py" \
		"$(node "$1" .address)" "${@:2}" 2>>"$work/amqp.err"
}
leader() { "$mq" lab leader rabbitmq "$@" --lab "$lab" 2>>"$work/leader.err"; }
fault() { "$mq" lab fault "$@" --lab "$lab" >"$work/fault.txt" 2>&1; }
heal() { "$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>&1; }
says() { grep -qE "$1" "$work/$2.txt" || { sed 's/^/# /' "$work/$2.txt"; false; }; }
all_answer() { status_is '[.nodes[] | .answers == true] | all'; }
proved() { status_is '.faults | length > 0 and all(.proof != "")'; }
led_by_another() { # QUEUE NODE
	local now
	now=$(leader "$1" --timeout 1s)
	[ -n "$now" ] && [ "$now" != "$2" ]
}
other_than() { for n in rabbitmq1 rabbitmq2 rabbitmq3; do [ "$n" = "$1" ] || { echo "$n" && return; }; done; }
seconds_since() { awk -v a="$1" -v b="$(date +%s%N)" 'BEGIN { printf "%.1f", (b - a) / 1e9 }'; }
refused() { # CODE WORDS COMMAND...
	local code=0 expected=$1 words=$2; shift 2
	"$@" >"$work/refused.txt" 2>&1 || code=$?
	[ "$code" -eq "$expected" ] && says "$words" refused
}
# a zombie is nobody: it waits for the machine's init
gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
up() { "$mq" lab up rabbitmq --lab "$lab" --until-pid $$ "$@"; }

# --- what is not to be had is said before anything is made

ok "no RabbitMQ: an error with what to install" refused 3 'apt-get install.* rabbitmq-server' \
	env RABBITMQ_HOME="$work" "$mq" lab up rabbitmq --lab "$lab"
ok "another version than the installed one" refused 3 'RabbitMQ 3.7.1 is not installed' up --version 3.7.1
ok "--jvm-options" refused 2 'no JVM' up --jvm-options -Xmx1g
ok "loopback" refused 2 "cannot share one machine's loopback" up --network loopback
is "... nothing is there" "$("$mq" lab status rabbitmq --lab "$lab" 2>&1 | head -1)" "mqaudit: error: no rabbitmq lab '$lab' is up"

# --- up

services_before=$(pgrep -u rabbitmq -c . || true)
start=$(date +%s%N)
# a bad environment does not count
RABBITMQ_NODENAME=somebody RABBITMQ_NODE_PORT=1 up --disk loop --disk-size 1G \
	--broker-config cluster_partition_handling=ignore --broker-config net_ticktime=6 >"$work/lab.log" 2>&1 ||
	bail "the lab does not come up: $(tail -3 "$work/lab.log")"
note "first up, three nodes: $(seconds_since "$start") s"
note "memory of the nodes: $(status | jq -r '[.nodes[].rss_bytes / 1048576 | floor | tostring] | join(", ")') MiB"
ok "all nodes answer" all_answer
ok "status: bootstrap, version, user, three nodes with all that tells where they are" status_is \
	'(.bootstrap | split(",") | length) == 3 and (.version | test("^[0-9.]+$")) and .user == "mqaudit" and
	([.nodes[] | .name and .id and .pid and .address and .namespace and .data_directory and .disk_state == "mounted"] | all)'
is "the password is for root alone" "$(stat -c %a "$(status | jq -r .password_file)")" 600
is "a node's process is the beam itself" "$(cat "/proc/$(node rabbitmq1 .pid)/comm")" beam.smp
ok "a cluster of three, by RabbitMQ's own word" test "$(rabbit rabbitmqctl eval \
	'length(rabbit_mnesia:cluster_nodes(running)).' 2>/dev/null)" = 3
is "--node takes a name of the lab" "$(rabbit rabbitmqctl --node rabbitmq2 eval 'node().' 2>/dev/null)" \
	"'rabbit@$(node rabbitmq2 .address)'"
is "the user's setting has the last word" "$(rabbit rabbitmqctl eval \
	'{ok, M} = application:get_env(rabbit, cluster_partition_handling), {M, net_kernel:get_net_ticktime()}.' 2>/dev/null)" \
	"{ignore,6}"
is "exec passes an exit code on" "$(rabbit sh -c 'exit 42'; echo $?)" 42
is "the package's own service was not started" "$(pgrep -u rabbitmq -c . || true)" "$services_before"
ok "up again: it is up already" grep -q "was up already" <(up 2>&1)
ok "... not with other disks" refused 3 'is up with' up --disk plain

# --- queues, and who leads them

for queue in "quorum x-queue-type=quorum" "stream x-queue-type=stream" "v1 x-queue-version=1" "v2 x-queue-version=2"; do
	# shellcheck disable=SC2086 # words
	is "declare ${queue%% *}" "$(amqp rabbitmq1 declare $queue)" declared
done
is "publish, confirmed" "$(amqp rabbitmq1 publish quorum 100)" 100
is "a classic queue is led by the node where it was declared" "$(leader v1 --isr)" "rabbitmq1 rabbitmq1"
ok "a quorum queue has a leader, and three members" grep -qE '^rabbitmq[123] rabbitmq1,rabbitmq2,rabbitmq3$' <(leader quorum --isr)
ok "so has a stream" grep -qE '^rabbitmq[123] rabbitmq1,rabbitmq2,rabbitmq3$' <(leader stream --isr)
ok "no such queue" refused 3 "there is no queue 'nobody'" "$mq" lab leader rabbitmq nobody --lab "$lab"
ok "a queue has no partitions" refused 2 'no partitions' "$mq" lab leader rabbitmq quorum 1 --lab "$lab"

# --- wrong use of faults changes nothing

ok "RabbitMQ has no controllers" refused 2 'no controllers' "$mq" lab fault isolate rabbitmq1 --from controllers --lab "$lab"
ok "... no fetches" refused 2 'fetch nothing' "$mq" lab fault isolate rabbitmq1 --from fetches --lab "$lab"
ok "... no requests of Kafka's" refused 2 'cannot be told apart' \
	"$mq" lab fault proxy rabbitmq1 --mode cut --after-request produce --lab "$lab"
ok "nothing is on" status_is '.faults == []'

# --- kill

first=$(leader quorum)
pid=$(node "$first" .pid)
fault kill "$first"
ok "kill: proves it" says "process $pid is gone" fault
start=$(date +%s%N)
ok "... another node leads" wait_until 30 led_by_another quorum "$first"
note "another leader $(seconds_since "$start") s after the kill"
is "... publishing goes on" "$(amqp "$(other_than "$first")" publish quorum 10)" 10
is "... the killed node's state" "$(node "$first" .state)" killed
start=$(date +%s%N)
heal
is "... healed" "$? $(node "$first" '"\(.state) \(.answers)"')" "0 running true"
note "healed after $(seconds_since "$start") s"

# --- cut off from the others, clients stay

first=$(leader quorum)
fault isolate "$first" --from brokers
ok "isolate: proves it" says '[1-9][0-9]* packets dropped|, [1-9][0-9]* out' fault
start=$(date +%s%N)
ok "... the majority has another leader" wait_until 60 led_by_another quorum "$first"
note "another leader $(seconds_since "$start") s after the cut"
is "... clients still reach the node" "$(amqp "$first" hello)" hello
is "... and the others publish" "$(amqp "$(other_than "$first")" publish quorum 10)" 10
silent() { status_is "[.nodes[] | select(.name == \"$1\") | .answers] == [false]"; }
ok "... the node loses the others, and then it does not count as answering" wait_until 60 silent "$first"
heal
is "... healed" $? 0
ok "... with packets dropped both ways" says '[1-9][0-9]* packets dropped in, [1-9][0-9]* out' heal
ok "... it stays split, by setting, and status says so" status_is \
	"[.nodes[] | select(.name == \"$first\") | .answers and .partitioned] == [true]"
start=$(date +%s%N)
"$mq" lab restart "$first" --lab "$lab" >"$work/restart.txt" 2>&1
is "restart joins it again" "$? $(node "$first" '"\(.state) \(.answers) \(.partitioned)"')" "0 running true null"
ok "... which ended it in order" says 'ended in order and started' restart
note "restart: $(seconds_since "$start") s"
ok "... nobody is split any more" status_is '[.nodes[] | .answers and (.partitioned | not)] | all'

# --- cut off from clients; frozen; behind a proxy

fault isolate rabbitmq2 --from clients
is "isolated from clients: they get no answer" "$(amqp rabbitmq2 hello; echo $?)" 1
ok "... that node does not answer, and the others see it" status_is '[.nodes[].answers] == [true, false, true]'
heal
is "... healed" "$? $(amqp rabbitmq2 hello)" "0 hello"
fault freeze rabbitmq2
ok "freeze: proves it" says 'stands still \(state T\)' fault
is "... the process stands still" "$(sed 's/.*) //' "/proc/$(node rabbitmq2 .pid)/stat" | cut -c1)" T
is "... clients get no answer" "$(amqp rabbitmq2 hello; echo $?)" 1
heal
is "... healed" "$? $(node rabbitmq2 '"\(.state) \(.answers)"') $(amqp rabbitmq2 hello)" "0 running true hello"
: >"$work/amqp.err"
amqp rabbitmq2 publish quorum 1000000 20 >"$work/answers.txt" &
load=$!
ok "a client publishes" wait_until 20 grep -q going "$work/amqp.err"
fault answers rabbitmq2
is "answers: goes on" $? 0
ok "... proves that it bites: confirms are no bare packets" wait_until 10 proved
heal
ok "... healed, with numbers" says 'answers rabbitmq2  0 packets dropped in, [1-9][0-9]* out' heal
wait "$load"
ok "... publishing went on: $(cat "$work/answers.txt") confirmed" test "$(cat "$work/answers.txt")" -gt 20
fault proxy rabbitmq2 --mode cut --after-bytes 20k
amqp rabbitmq2 publish quorum 1000 >"$work/through.txt"
heal
ok "a proxy cuts AMQP connections" says 'connection cut after 20480 bytes' heal

# --- the power of all, cut at once: what a classic queue of version 1 confirmed was flushed, of version 2 was not

is "confirmed, version 1" "$(amqp rabbitmq1 publish v1 500)" 500
is "confirmed, version 2" "$(amqp rabbitmq1 publish v2 500)" 500
pids=$(status | jq '.nodes[].pid')
fault powercut rabbitmq1 rabbitmq2 rabbitmq3
is "power cut: of all three within a moment" "$(grep -cE 'mount flag shutdown; 3 nodes cut within [0-9.]+ ms' "$work/fault.txt")" 3
for pid in $pids; do ok "... process $pid is gone" gone "$pid"; done
start=$(date +%s%N)
heal
is "... healed" $? 0
note "all three again $(seconds_since "$start") s after the power cut"
ok "... it says how much of its data is gone" says 'powercut rabbitmq1  .*[0-9]+ of [1-9][0-9]* bytes of its data are gone' heal
is "... all of version 1 is there" "$(amqp rabbitmq1 drain v1)" 500
v2=$(amqp rabbitmq1 drain v2)
ok "... not all of version 2 ($v2 of 500)" test "$v2" -lt 500
quorum=$(amqp rabbitmq1 drain quorum)
ok "... all that the quorum queue confirmed ($quorum)" test "$quorum" -ge 120

# --- a disk that fails, while it is written to

amqp rabbitmq3 declare loaded x-queue-type=quorum >/dev/null
: >"$work/amqp.err"
amqp rabbitmq3 publish loaded 1000000 25 >"$work/loaded.txt" &
load=$!
ok "a queue is written to" wait_until 30 grep -q going "$work/amqp.err"
fault readonly rabbitmq2
is "readonly: goes on" $? 0
ok "... its log shows that it bites" wait_until 20 proved
is "... its disk" "$(node rabbitmq2 .disk_state)" read-only
wait "$load"
heal
is "... healed" "$? $(node rabbitmq2 '"\(.state) \(.answers) \(.disk_state)"')" "0 running true mounted"
ok "... with proof" says 'readonly rabbitmq2  [1-9][0-9]* lines? of its log: "erofs"' heal
is "... all that was confirmed is there" "$(($(amqp rabbitmq1 drain loaded) >= $(cat "$work/loaded.txt")))" 1

# --- down leaves nothing

fault freeze rabbitmq3 --for 10m
fault isolate rabbitmq2 --from brokers
spaces=$(status | jq -r '[.client_namespace, .nodes[].namespace][]')
subnet=$(status | jq .subnet)
state=$work/state
inside() { for ns in $spaces; do ip netns pids "${ns##*/}" 2>/dev/null; done; }
loops() { losetup -l -n -O BACK-FILE | grep -c "$state"; }
ok "this test sees processes in the lab: beams, name servers" test "$(inside | wc -l)" -ge 6
is "... and the loop devices" "$(loops)" 3
pids=$(inside; status | jq '.nodes[].disk_pid, .faults[].guard_pid | select(. > 0)')
"$mq" lab down --lab "$lab" >"$work/down.txt" 2>&1
is "lab down with faults on" $? 0
left=0
for pid in $pids; do wait_until 5 gone "$pid" || left=$((left + 1)); done
is "no process" "$left" 0
for space in $spaces; do ok "no namespace ${space##*/}" test ! -e "$space"; done
is "no route" "$(ip -4 route show exact "198.18.$subnet.0/24")" ""
is "no loop device" "$(loops)" 0
is "no mount" "$(grep -c "$state" /proc/self/mountinfo)" 0
is "no claim" "$(readlink /run/mqaudit-lab/* | grep -c "^$state/")" 0
ok "no file" test ! -e "$state/lab/$lab"

# --- one node; and the tool killed while it makes a lab: its guard takes it down

up --nodes 1 >"$work/one.txt" 2>&1
is "a lab of one node" "$? $(status | jq -c '[.nodes[] | "\(.name) \(.answers)"]')" '0 ["rabbitmq1 true"]'
ok "... has no links with others" refused 3 'the lab has one node' "$mq" lab fault isolate rabbitmq1 --from brokers --lab "$lab"
"$mq" lab down --lab "$lab" >/dev/null 2>&1
"$mq" lab up rabbitmq --lab "$lab" >"$work/killed.txt" 2>&1 & # not a function: its process is a shell
tool=$!
runs() { status_is '[.nodes[].state == "running"] | any'; }
ok "a lab is being made" wait_until 30 runs
spaces=$(status | jq -r '[.client_namespace, .nodes[].namespace][]')
pids=$(inside)
kill -KILL "$tool"
wait "$tool" 2>/dev/null
no_lab() { [ ! -e "$state/lab/$lab" ]; }
ok "... its tool was killed: the lab goes" wait_until 30 no_lab
left=$(inside; for pid in $pids; do gone "$pid" || echo "$pid"; done)
is "... with all its processes" "$left" ""
for space in $spaces; do ok "... and namespace ${space##*/}" test ! -e "$space"; done
done_testing
