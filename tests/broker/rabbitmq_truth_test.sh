#!/usr/bin/env bash
# RabbitMQ's faults, and the truth by a client that shares no code with mqaudit (pika): in each scenario, when the sending
# has ended and all nodes are back, it writes down what stands in each queue, before mqaudit's checker takes it. What is
# not there is what the run names as lost, refused or unacknowledged, each by its name and no other. And what a scenario
# sets at the nodes is put back, also when it is cut short. NAMES.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
names=(mirror-promoted no-confirms-node-killed classic-power-cut partition-autoheal)
[ -z "${NAMES:-}" ] || read -ra names <<<"$NAMES"
"$mq" lab up rabbitmq --disk loop --lab "$lab" --until-pid $$ >"$work/lab.log" 2>&1 ||
	bail "no lab: $(tail -3 "$work/lab.log")"

settings() { # of all nodes: how they handle partitions, their memory limits; and the policies
	local node
	for node in rabbitmq1 rabbitmq2 rabbitmq3; do
		"$mq" lab exec rabbitmq --lab "$lab" -- rabbitmqctl -q -n "$node" eval '{application:get_env(rabbit,
			cluster_partition_handling), vm_memory_monitor:get_vm_memory_high_watermark()}.'
	done
	"$mq" lab exec rabbitmq --lab "$lab" -- rabbitmqctl -q list_policies --formatter json
}
as_made=$(settings)
is "nodes as they are made: three, without policies" "$(tail -1 <<<"$as_made") $(grep -c '{ok,ignore}' <<<"$as_made")" "[] 3"

# one word, as it goes into an environment
cat >"$work/look" <<END
#!/bin/sh
exec timeout 120 "$mq" lab exec rabbitmq --lab "$lab" -- "$top/build/venv/bin/python" \\
	"$top/tests/broker/tools/queue.py" look "\$1"
END
chmod +x "$work/look"
LOOK=$work/look MQAUDIT_REAL=$(readlink -f "$mq") timeout 600 "$mq" scenario run rabbitmq "${names[@]}" --lab "$lab" \
	--program "$top/tests/broker/tools/look_first.py" --logs "$work/logs" -o json="$work/all.json" \
	>"$work/all.txt" 2>"$work/all.err"
is "all as declared, also when somebody looked: exit code" $? 0
jq -r '.scenarios[] | select(.verdict != "PASS") | "\(.name): \(.verdict) \(.error) \(.undecided_because)",
	(.twins[] | select(.outcome != "ok") | "    \(.name): \(.outcome) \(.why)")' "$work/all.json" | sed 's/^/# /'

compare() { # SCENARIO TWIN RUN
	local seen=$work/logs/$1-1/$2.seen kind
	report "$3" '.lanes[] | "\(.producer_id).\(.epoch).\(.partition) \(.intended)"' | while read -r lane n; do
		seq 1 "$n" | sed "s/^/$lane./"
	done | sort >"$work/sent"
	sort -u "$seen" | comm -23 "$work/sent" - >"$work/missing"
	for kind in lost expired unacknowledged refused; do identities "$3" $kind; done | sort >"$work/named"
	ok "$1, $2: the $(wc -l <"$work/missing") of $(wc -l <"$work/sent") that are missing are named, and no other" \
		cmp "$work/missing" "$work/named"
	is "$1, $2: none is there twice, nor one that was not sent" \
		"$(sort "$seen" | uniq -d | wc -l) $(sort -u "$seen" | comm -13 "$work/sent" - | wc -l)" "0 0"
}
while read -r name twin run; do compare "$name" "$twin" "$run"; done \
	< <(jq -r '.scenarios[] | .name as $name | .twins[] | "\($name) \(.name) \(.run_name)"' "$work/all.json")
is "in each scenario the client misses what was acknowledged" \
	"$(jq -r '[.scenarios[] | select([.twins[].found[] | select(.kind == "lost")] | length == 0) | .name] | join(" ")' \
		"$work/all.json")" ""

is "the nodes' settings are as they were" "$(settings)" "$as_made"
"$mq" scenario run rabbitmq memory-alarm --lab "$lab" --logs "$work/cut" >"$work/cut.txt" 2>&1 &
runner=$!
ok "a scenario has set something" wait_until 90 grep -qs 'the publisher that listens is told' "$work/cut/memory-alarm-1/log"
ok "... at the nodes" test "$(settings)" != "$as_made"
kill -TERM "$runner"
wait "$runner"
ok "it is told to end, and says so" grep -q 'undecided: stopped on request' "$work/cut.txt"
is "... and the nodes' settings are as they were" "$(settings)" "$as_made"
done_testing
