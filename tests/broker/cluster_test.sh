#!/usr/bin/env bash
# A user's own cluster in a lab's place, by commands of its own: a lab is driven through --cluster only, by
# signals and packet filters from outside. Each fault is proved and undone, also after the tool was killed;
# a run across all of them passes and names them; without the declaration nothing is touched.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

name=c$$
file=$work/cluster.ini
lab_up
"$mq" ledger start >/dev/null || bail "no ledger" # outside: what lives inside ends with the lab
state=$MQAUDIT_STATE/lab/$lab/kafka.json

# what the commands of a real cluster's file would do there
cat >"$work/node.sh" <<END
#!/bin/bash
# ACTION NODE [FROM DIRECTION PEERS...]
action=\$1 node=\$2 from=\${3:-} direction=\${4:-}
echo "\$*" >>'$work/commands'
of() { jq -r --arg n "\$node" '.nodes[] | select(.name == \$n) | .'"\$1" '$state'; }
pid=\$(of pid) ns=\$(of namespace)
nft() { nsenter --net="\$ns" nft "\$@"; }
case \$action in
kill) kill -KILL "\$pid" && tail --pid="\$pid" -f /dev/null ;;
stop) kill -TERM "\$pid" ;;
start) '$mq' lab up kafka --lab '$lab' ;;
freeze) kill -STOP "\$pid" ;;
thaw) kill -CONT "\$pid" ;;
alive) [ -d "/proc/\$pid" ] && ! grep -q '^State:.Z' "/proc/\$pid/status" ;;
isolate)
	[ "\$from \$direction" = "brokers both" ] || exit 9
	shift 4
	for peer; do
		rules="\$rules add rule inet own in ip saddr \$peer drop; add rule inet own out ip daddr \$peer drop;"
	done
	nft "add table inet own; add chain inet own in { type filter hook input priority 0; };
		add chain inet own out { type filter hook output priority 0; }; \$rules" ;;
join) nft 'add table inet own; delete table inet own' ;;
fail) echo "the host is on fire" >&2; exit 3 ;;
esac
END
chmod +x "$work/node.sh"

write_file() { # DECLARATION KILL
	cat >"$file" <<END
# commands for a cluster
[cluster]
name = $name
broker = kafka
bootstrap = $(bootstrap)
$1
timeout = 60s
kill = $2
start = $work/node.sh start {node}
stop = $work/node.sh stop {node}
freeze = $work/node.sh freeze {node}
thaw = $work/node.sh thaw {node}
isolate = $work/node.sh isolate \\
  {node} {from} {direction} {peers}
join = $work/node.sh join {node}
alive = $work/node.sh alive {node}
END
	jq -r '.nodes[] | "\n[node \(.name)]\nid = \(.id)\naddress = \(.address):\(.port)"' "$state" >>"$file"
}
by_file() { local verb=$1; shift; in_lab "$mq" lab "$verb" "$@" --cluster "$file"; }
pids() { jq -c '[.nodes[].pid]' "$state"; }
cluster_is() { # JQ-CONDITION
	[ "$(by_file status --format json | jq "$1")" = true ]
}

# --- not declared: refused before anything is touched
write_file "" "$work/node.sh kill {node}"
before=$(pids)
for verb in "fault kill kafka1" "fault isolate kafka1 --from brokers" "restart kafka1"; do
	# shellcheck disable=SC2086 # words
	by_file $verb >"$work/out" 2>"$work/err"
	is "$verb without the declaration: exit code" "$?" 2
	ok "... says why" grep -q "is not declared a test cluster: nothing was touched" "$work/err"
	ok "... and what to write" grep -q "write test-cluster = yes below \[cluster\] in '$file'" "$work/err"
done
is "no command ran" "$(cat "$work/commands" 2>/dev/null)" ""
is "no process is another one" "$(pids)" "$before"
is "nothing was written down" "$(find "$MQAUDIT_STATE/lab" -name "$name*")" ""
write_file "test-cluster = no" "$work/node.sh kill {node}"
by_file fault kill kafka1 >/dev/null 2>&1
is "nor with 'no'" "$?" 2
by_file status >"$work/out" 2>&1
is "status needs no declaration" "$?" 0
is "... every node answers" "$(grep -c '^  kafka[123] *running *yes ' "$work/out")" 3
is "... and it touches nothing" "$(cat "$work/commands" 2>/dev/null)" ""

# --- declared: each fault, proved, across a run that passes
write_file "test-cluster = yes" "$work/node.sh kill {node}"
"$mq" lab exec kafka --lab "$lab" -- "$mq" run "kafka://$(bootstrap)/own" --run own --replica-assignment 1:2:3 --create-topic 1 \
	--topic-config min.insync.replicas=2 -r 200 -X acks=all -X enable.idempotence=true \
	>"$work/run.txt" 2>"$work/run.err" &
run=$!
going() { report_is own '.counts.read >= 200'; }
ok "a run gets going" wait_until 60 going
is "the leader, as the majority sees it" "$(by_file leader kafka own)" kafka1

by_file fault isolate kafka1 --from brokers >"$work/out" 2>&1
is "isolate: exit code" "$?" 0
ok "... proved by what the others see" grep -qE \
	"isolate kafka1 .*from=brokers.*as the 2 others see it, .*(leads 0 partitions \(1 before\)|in sync in 0 \(1 before\))" "$work/out"
note "$(cat "$work/out")"
by_file status >"$work/out" 2>&1
ok "status shows the fault, since when and by whom" grep -qE "^  f1 .*isolate kafka1 .*\(root, process [0-9]+\)" "$work/out"
by_file heal >"$work/out" 2>&1
is "heal: exit code" "$?" 0
ok "... all answer" grep -q "all 3 nodes of cluster '$name' answer" "$work/out"
is "... no filter is left" "$(nsenter --net="$(jq -r '.nodes[0].namespace' "$state")" nft list tables)" ""

killed=$(jq '.nodes[1].pid' "$state")
by_file fault kill kafka2 >"$work/out" 2>&1
ok "kill, proved by the alive command" grep -q "kill kafka2 .*its process is gone: so says the alive command" "$work/out"
is "... its process is gone" "$(kill -0 "$killed" 2>&1 | grep -c 'No such process')" 1
by_file fault kill kafka2 >"$work/out" 2>&1
is "... who is dead cannot be killed" "$?" 3
by_file restart kafka2 >"$work/out" 2>&1
is "restart: exit code" "$?" 0
ok "... it answers, and the fault is over" cluster_is '.faults == [] and ([.nodes[].answers] | all)'

by_file fault freeze kafka3 >"$work/out" 2>&1
ok "freeze, proved by its silence" grep -q \
	"freeze kafka3 .*its process is there and it does not answer a new connection" "$work/out"
is "... it stands still" "$(sed -n 's/^State:.\(.\).*/\1/p' "/proc/$(jq '.nodes[2].pid' "$state")/status")" T
by_file heal >"$work/out" 2>&1
is "thaw: exit code" "$?" 0

again() { report_is own ".counts.acked > $(report own .counts.acked)"; }
ok "the run goes on" wait_until 60 again
kill -INT "$run"
wait "$run"; is "it passes" $? 0
is "... and names all faults, each with its end" \
	"$(report own '[.events[] | select(.kind == "fault" and .until != null) | .subject] | sort | join(" ")')" \
	"kafka1 kafka2 kafka3"

# --- scenarios, on the cluster as it is
topics() { in_lab kcat -b "$(bootstrap)" -L -J | jq -r '.topics[].topic' | sort; }
write_file "test-cluster = no" "$work/node.sh kill {node}"
before=$(topics)
rm -f "$work/commands"
in_lab "$mq" scenario run kafka leader-isolated --cluster "$file" >"$work/out" 2>"$work/err"
is "a scenario without the declaration: exit code" "$?" 2
ok "... says why" grep -q "is not declared a test cluster: nothing was touched" "$work/err"
is "... no topic was made, no command ran" "$(topics)$(cat "$work/commands" 2>/dev/null)" "$before"
write_file "test-cluster = yes" "$work/node.sh kill {node}"
in_lab "$mq" scenario run kafka leader-isolated power-cut-all --cluster "$file" -o json="$work/result.json" \
	>"$work/out" 2>"$work/err"
is "leader-isolated by the file's commands: exit code" "$?" 0
is "... as declared, by its proof" "$(jq -r '.scenarios[0] | "\(.verdict) \([.fault[].proof | select(test("as the 2 others see it"))] | length)"' \
	"$work/result.json")" "PASS 1"
is "what the cluster has no means for is skipped, with the reason" "$(jq -r '.scenarios[1].skipped' "$work/result.json")" \
	"needs a disk for each node: a lab with --disk loop"

# --- a fault without effect is no fault; a command that fails says so
write_file "test-cluster = yes" "true {node}"
by_file fault kill kafka2 >"$work/out" 2>&1
ok "a kill that kills nothing has no proof" grep -q "kill kafka2 .*NO PROOF THAT IT BIT" "$work/out"
by_file heal >/dev/null 2>&1
write_file "test-cluster = yes" "$work/node.sh fail {node}"
by_file fault kill kafka2 >"$work/out" 2>&1
is "a command that fails: exit code" "$?" 3
ok "... with what it said" grep -q "command 'kill' for kafka2: it ended with 3: the host is on fire" "$work/out"
ok "... and the node is as it was" cluster_is '.faults == [] and .nodes[1].state == "running"'
write_file "test-cluster = yes" "sleep 100"
sed -i 's/^timeout = .*/timeout = 1s/' "$file"
by_file fault kill kafka2 >"$work/out" 2>&1
ok "a command that hangs is given up" grep -q "command 'kill' for kafka2: it did not end within 1 s" "$work/out"

# --- the examples, with stand-ins for ssh, docker and kubectl that act on the lab's nodes
mkdir "$work/bin"
cat >"$work/bin/ssh" <<END
#!/bin/bash
# -o OPTION root@ADDRESS COMMAND...: joined by blanks and given to a shell there, as sshd does it
shift 2
node=\$(jq -r --arg a "\${1#root@}" '.nodes[] | select(.address == \$a) | .name' '$state')
ns=\$(jq -r --arg n "\$node" '.nodes[] | select(.name == \$n) | .namespace' '$state')
shift
STAND_IN_NODE=\$node exec nsenter --net="\$ns" sh -c "\$*"
END
cat >"$work/bin/systemctl" <<END
#!/bin/bash
case "\$*" in
"kill -s KILL kafka") act=kill ;;
"kill -s STOP kafka") act=freeze ;;
"kill -s CONT kafka") act=thaw ;;
"start kafka") act=start ;;
"stop kafka") act=stop ;;
"is-active --quiet kafka") '$work/node.sh' alive "\$STAND_IN_NODE" || exit 3; exit 0 ;;
*) exit 1 ;;
esac
exec '$work/node.sh' \$act "\$STAND_IN_NODE"
END
cat >"$work/bin/docker" <<END
#!/bin/bash
node=\${!#}
others=\$(jq -r --arg n "\$node" '[.nodes[] | select(.name != \$n) | .address] | join(" ")' '$state')
case "\$*" in
"kill kafka"?) '$work/node.sh' kill "\$node" ;;
"start kafka"?) '$work/node.sh' start "\$node" ;;
"pause kafka"?) '$work/node.sh' freeze "\$node" ;;
"unpause kafka"?) '$work/node.sh' thaw "\$node" ;;
"network disconnect -f kafka kafka"?) '$work/node.sh' isolate "\$node" brokers both \$others ;;
"network connect kafka kafka"?) '$work/node.sh' join "\$node" ;;
"inspect -f {{.State.Running}} kafka"?) '$work/node.sh' alive "\$node" && echo true || echo false ;;
*) exit 1 ;;
esac
END
cat >"$work/bin/kubectl" <<END
#!/bin/bash
id() { echo "kafka\$((\$1 + 1))"; }
case "\$*" in
"-n kafka-test delete pod kafka-"?" --grace-period=0 --force") '$work/node.sh' kill "\$(id "\${5#kafka-}")" ;;
"-n kafka-test wait --for=condition=Ready --timeout=170s pod kafka-"?) '$work/node.sh' start "\$(id "\${7#kafka-}")" ;;
*) exit 1 ;;
esac
END
chmod +x "$work/bin"/*
example() { # NAME: its file, declared and with the lab's addresses, in $file
	local i
	sed -e "s/^bootstrap = .*/bootstrap = $(bootstrap)/" -e 's/^#test-cluster/test-cluster/' \
		-e "s/^name = .*/name = $name-$1/" "$top/scenarios/lab/examples/$1.ini" >"$file"
	for i in 1 2 3; do # the i-th node's
		awk -v i="$i" -v a="$(jq -r ".nodes[$i - 1].address" "$state"):9092" -v kind="$1" '
			/^\[node/ { n++ } n == i && /^address/ { $0 = "address = " a }
			n == i && /^id/ { $0 = "id = " i } { print }' "$file" >"$file.new" && mv "$file.new" "$file"
	done
}
PATH=$work/bin:$PATH
example ssh
for what in "kill kafka1" "freeze kafka2" "isolate kafka3 --from brokers"; do
	# shellcheck disable=SC2086 # words
	by_file fault $what >"$work/out" 2>&1
	ok "ssh.ini: $what" grep -qE "^f[0-9]+  ${what%% --*} .*(its process is gone|does not answer|others see it)" "$work/out"
	by_file heal >"$work/out" 2>&1
	is "... and healed" "$?" 0
done
by_file fault isolate kafka3 --from clients >"$work/out" 2>&1
ok "ssh.ini: what it cannot do is refused" grep -q 'from brokers, both ways, only' "$work/out"
example docker
for what in "kill kafka1" "freeze kafka2" "isolate kafka3 --from brokers"; do
	# shellcheck disable=SC2086 # words
	by_file fault $what >"$work/out" 2>&1
	ok "docker.ini: $what" grep -qE "^f[0-9]+  ${what%% --*} .*(its process is gone|does not answer|others see it)" "$work/out"
	by_file heal >"$work/out" 2>&1
	is "... and healed" "$?" 0
done
example kubectl
by_file fault kill kafka-1 >"$work/out" 2>&1
ok "kubectl.ini: kill, proved by the others" grep -q "kill kafka-1 .*absent from the metadata of the 2 others" "$work/out"
by_file heal >"$work/out" 2>&1
is "... and healed" "$?" 0

# --- the tool is killed at any instant: heal undoes what it had begun
write_file "test-cluster = yes" "$work/node.sh kill {node}"
whole=0
for i in 1 2 3 4 5; do
	"$mq" lab exec kafka --lab "$lab" -- "$mq" lab fault isolate kafka2 --from brokers --cluster "$file" >/dev/null 2>&1 &
	tool=$!
	sleep "0.$((RANDOM % 9))" # the random instant
	kill -KILL "$tool" 2>/dev/null
	wait "$tool" 2>/dev/null
	by_file heal >"$work/heal.$i" 2>&1 && [ -z "$(nsenter --net="$(jq -r '.nodes[1].namespace' "$state")" nft list tables)" ] &&
		cluster_is '.faults == [] and ([.nodes[].answers] | all)' && whole=$((whole + 1))
done
is "5 of 5 times all is as before" "$whole" 5
done_testing
