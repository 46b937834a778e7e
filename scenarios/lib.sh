# What a scenario's script stands on: to be sourced by it. The runner (mqaudit scenario run) starts the script with a
# folder in which the twins' arguments lie; see scenarios/runner/execution.h. A script defines
#
#     prepare     optional: before the twins start; settings of nodes, other topics
#     provoke     the fault, once every twin has acknowledged messages
#     course      in place of provoke, where twins end by themselves or are started in pieces: starts and awaits them
#     prove       that it bit: calls undecided if it did not; faults put on with `fault` prove themselves
#     afterwards  optional: when every twin has ended
#     why_not     optional: prints why this cluster cannot have $ROUND, whose twins are skipped then
#     restore     optional: puts the cluster's own settings back, at the end and also when the script is cut short
#
# and calls `scenario` at its end. Where the setting in question is the node's, the twins have rounds: all of this
# happens once for each, and $ROUND says which.
#
# Nothing waits for a time: it waits until something is so, with a deadline.
# shellcheck shell=bash

set -u
: "${MQAUDIT:?is for mqaudit scenario run to start}" "${SCENARIO_FOLDER:?}" "${LAB:?}" "${BROKER:?}" "${SCENARIO_RATE:?}"
: "${SCENARIO_RUNNER:?}" "${SCENARIO_DEADLINE:?}" "${SCENARIO_TAG:?}" "${SCENARIO:?}"

# Where the twins' partitions live, their leader first: `placement 1:2:3` in a script.
PLACEMENT=1:2:3
LEADER=${BROKER}1
ROUND=-
declare -A told=()      # to end
declare -A run_pid=()   # of a twin's mqaudit run, while it runs
declare -A parts=()     # probes and checkers that run by themselves, by pid
part=0                  # the one that was started last
n_faults_on=0
# A fault heals by itself when the runner is gone, or its time is over.
FAULT_GUARD=(--until-pid "$SCENARIO_RUNNER" --for "$SCENARIO_DEADLINE")

note() { # WORD TEXT [TEXT]: a line for the runner
	local IFS=$'\t'
	printf '%s\n' "$*" >>"$SCENARIO_FOLDER/notes"
}
step() { # TEXT: what goes on now
	note step "$1"
	echo "$(date +%T.%3N) $1"
}
# The fault did not bite, or nobody can say: the scenario is undecided. What was started is stopped.
undecided() { # WHY
	note undecided "$1"
	echo "undecided: $1"
	exit 4
}
die() { # WHY
	echo "$SCENARIO: $1"
	exit 3
}
# What is known only now: exactly how many of a kind must be found in a twin.
expect() { # TWIN KIND@STAGE=N
	note expect "$1" "$2"
}

wait_until() { # SECONDS COMMAND...: until it succeeds; false when it does not
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$until" ] || return 1
		sleep 0.1
	done
}
# The same for what a script cannot go on without: the scenario is undecided if it does not come. SCENARIO_PATIENCE is
# in percent, for machines that are slow.
await() { # SECONDS WHAT COMMAND...
	local limit=$(($1 * ${SCENARIO_PATIENCE:-100} / 100)) what=$2
	shift 2
	step "waiting until $what"
	wait_until "$limit" "$@" || undecided "not within $limit s: $what"
}
# Let it last: the one thing that is a matter of time, such as how long a fault is on.
for_seconds() { # SECONDS WHY
	step "$2 (for $1 s)"
	sleep "$1" & # in the background: a trap waits for what is in the foreground
	wait $!
}

# --- twins

twins() { # names of this round's twins, the user's own too
	awk -v round="$ROUND" '$3 == round { print $1 }' "$SCENARIO_FOLDER/twins"
}
has_twin() { # NAME: does it take part in this round?
	twins | grep -qx -- "$1"
}
run_of() { # TWIN: the name of its run, and of its topic
	awk 'prev == "--run" { print; exit } { prev = $0 }' "$SCENARIO_FOLDER/$1.args"
}
topic_of() { run_of "$1"; }
first_twin() { twins | head -1; }

status_field() { # TWIN NAME: what its probe and checker say of themselves; 0 before they have
	local text
	text=$(cat "$SCENARIO_FOLDER/$1.status" 2>/dev/null) || true
	[[ $text =~ (^|[[:space:]])$2=([^[:space:]]*) ]] && echo "${BASH_REMATCH[2]}" || echo 0
}
acked() { # TWIN: how many messages; with acks=0 how many the library took for sent
	echo $(($(status_field "$1" acked) + $(status_field "$1" unconfirmed)))
}
outcomes() { # TWIN: how many messages have one, whatever it is
	echo $(($(acked "$1") + $(status_field "$1" refused) + $(status_field "$1" unknown)))
}
has_acked() { [ "$(acked "$1")" -ge "$2" ]; } # TWIN N
has_read() { [ "$(status_field "$1" read)" -ge "$2" ]; }
has_sent() { [ "$(status_field "$1" intended)" -ge "$2" ]; }
has_ended() { [ -n "${run_pid[$1]:-}" ] && ! kill -0 "${run_pid[$1]}" 2>/dev/null; } # TWIN
has_given_up() { [ "$(status_field "$1" refused)" -ge "$2" ]; } # TWIN N: messages that the client refused
has_unknown() { [ "$(status_field "$1" unknown)" -ge "$2" ]; } # TWIN N: messages whose outcome nobody knows
goes_on() { # TWIN N: it is alive and has acknowledged so many; a twin that ended can wait for nothing
	has_ended "$1" && die "twin $1 ended early: $(tail -1 "$SCENARIO_FOLDER/$1.err")"
	has_acked "$1" "$2" && { drains_at_end "$1" || has_read "$1" 1; }
}
drains_at_end() { awk 'prev == "--drain" && $0 == "end" { found = 1 } { prev = $0 } END { exit !found }' "$SCENARIO_FOLDER/$1.args"; }

start_twin() { # TWIN [ARGUMENTS...]
	local twin=$1 args
	shift
	mapfile -t args <"$SCENARIO_FOLDER/$twin.args"
	# on a busy machine a backlog takes long: what is given up at the end says nothing of the fault
	placed
	"$MQAUDIT" run "${args[@]}" ${place[@]+"${place[@]}"} --flush-timeout 90s "$@" \
		>"$SCENARIO_FOLDER/$twin.out" 2>"$SCENARIO_FOLDER/$twin.err" </dev/null &
	run_pid[$twin]=$!
}
# How a twin's topic is placed, into $place. A queue lives where it was declared.
place=()
placed() { [ "$BROKER" != kafka ] || place=(--replica-assignment "$(assignment)"); }
# The placement for every partition.
assignment() {
	local i text=$PLACEMENT
	for ((i = 1; i < ${PARTITIONS:-1}; i++)); do text+=",$PLACEMENT"; done
	echo "$text"
}
start_twins() { # all of this round, and wait until messages of each are acknowledged and read
	local twin
	step "starting $(twins | paste -sd' ')"
	for twin in $(twins); do start_twin "$twin"; done
	for twin in $(twins); do
		wait_until 90 goes_on "$twin" "$((SCENARIO_RATE * ${WARM_UP:-2}))" ||
			undecided "twin $twin does not get going: $(tail -1 "$SCENARIO_FOLDER/$twin.err")"
	done
}
stop_twin() { # TWIN: ends in order and is judged
	[ -n "${run_pid[$1]:-}" ] || return 0
	[ -n "${told[$1]:-}" ] || kill -INT "${run_pid[$1]}" 2>/dev/null
	told[$1]=yes # a second time would end it at once, without its verdict
}
wait_twin() { # TWIN
	[ -n "${run_pid[$1]:-}" ] || return 0
	wait "${run_pid[$1]}"
	unset "run_pid[$1]" "told[$1]"
}
stop_twins() {
	local twin
	step "the twins end, and are judged"
	for twin in $(twins); do stop_twin "$twin"; done
	for twin in $(twins); do wait_twin "$twin"; done
}
report() { # TWIN JQ: a value of its report, once it has ended
	jq -r "$2" "$SCENARIO_FOLDER/$1.json"
}
is_bad() { awk -v twin="$1" '$1 == twin && $2 == "bad" { found = 1 } END { exit !found }' "$SCENARIO_FOLDER/twins"; } # TWIN
acked_or_gone() { has_acked "$1" "$2" || has_ended "$1"; } # TWIN N
# A client may end by itself: where the broker forgot what it had acknowledged to an idempotent one, or by a defect of its
# own. A bad twin has shown what it can then; of a good one nothing can be said.
more_acked() { # N TWIN...: until each has acknowledged so many more than now; undecided if they do not
	local n=$1 twin
	declare -A from=()
	shift
	for twin in "$@"; do from[$twin]=$(acked "$twin"); done
	for twin in "$@"; do
		await 90 "$twin acknowledges $n more" acked_or_gone "$twin" $((from[$twin] + n))
		has_acked "$twin" $((from[$twin] + n)) || is_bad "$twin" ||
			undecided "$twin: its client gave up: $(grep -m1 'cannot go on' "$SCENARIO_FOLDER/$twin.err" || tail -1 "$SCENARIO_FOLDER/$twin.err")"
	done
}

# --- twins in pieces: a probe and a checker of their own, to be killed or to come twice

# Of the twin's arguments those that a probe, or a checker, takes.
probe_args() {
	awk 'drop { drop = 0; next } /^--(output|status-file|drain)$/ { drop = 1; next } /^--no-policy$/ { next } 1' \
		"$SCENARIO_FOLDER/$1.args"
}
check_args() {
	awk 'NR == 1 || keep { print; keep = 0; next }
		/^(--run|--ledger|-X|--producer-config|--consumer-config|--drain)$/ { print; keep = 1 }
		/^--no-policy$/ { print }' "$SCENARIO_FOLDER/$1.args"
}
start_probe() { # TWIN [ARGUMENTS...]: its pid is in $part
	local twin=$1 args
	shift
	mapfile -t args < <(probe_args "$twin")
	placed
	"$MQAUDIT" probe "${args[@]}" ${place[@]+"${place[@]}"} "$@" >>"$SCENARIO_FOLDER/$twin.probe" 2>&1 </dev/null &
	part=$!
	parts[$part]=$twin
}
start_check() { # TWIN [ARGUMENTS...]: its pid is in $part
	local twin=$1 args
	shift
	mapfile -t args < <(check_args "$twin")
	"$MQAUDIT" check "${args[@]}" --quiet "$@" >>"$SCENARIO_FOLDER/$twin.check" 2>&1 </dev/null &
	part=$!
	parts[$part]=$twin
}
wait_part() { # PID: returns its exit code
	local code=0
	wait "$1" || code=$?
	unset "parts[$1]"
	return "$code"
}
kill_part() { # PID: SIGKILL; false when it had ended before
	kill -KILL "$1" 2>/dev/null || return 1
	wait_part "$1"
	[ $? -eq 137 ]
}
probe_twin() { # TWIN [ARGUMENTS...]: the same, to its end, which must be in order
	start_probe "$@"
	wait_part "$part" || die "a probe of $1: $(tail -1 "$SCENARIO_FOLDER/$1.probe")"
}
judge_twin() { # TWIN [ARGUMENTS...]: read to the end and judge; the report is the twin's
	start_check "$@"
	wait_part "$part"
	report_of "$1" >"$SCENARIO_FOLDER/$1.json"
}
judge_twins() { # all of this round, side by side
	local twin pid
	for twin in $(twins); do start_check "$twin"; done
	for pid in "${!parts[@]}"; do wait_part "$pid"; done
	for twin in $(twins); do report_of "$twin" >"$SCENARIO_FOLDER/$twin.json"; done
}
recover_twin() { # TWIN: ship what its killed probe left in its journal
	local ledger
	mapfile -t ledger < <(ledger_args "$1")
	"$MQAUDIT" recover --run "$(run_of "$1")" ${ledger[@]+"${ledger[@]}"} || die "the journal of $1 cannot be shipped"
}
ledger_args() { # TWIN: the user's ledger, if one was given
	awk 'keep { print; keep = 0 } /^--ledger$/ { print; keep = 1 }' "$SCENARIO_FOLDER/$1.args"
}
report_of() { # TWIN: as the ledger has it now, as JSON
	local ledger
	mapfile -t ledger < <(ledger_args "$1")
	"$MQAUDIT" report "$(run_of "$1")" --format json ${ledger[@]+"${ledger[@]}"} 2>/dev/null
}
value_of() { # TWIN JQ: of the twin's report, once it has one
	jq -r "$2" "$SCENARIO_FOLDER/$1.json"
}
identities_of() { # TWIN KIND STAGE: one a line, producer.epoch.partition.seq
	jq -r --arg kind "$2" --arg stage "$3" '.findings[] | select(.kind == $kind and .stage == $stage and .withdrawn == false) |
		"\(.producer_id).\(.epoch).\(.partition)" as $lane | range(.lo; .hi + 1) | "\($lane).\(.)"' "$SCENARIO_FOLDER/$1.json" | sort
}
forget_ledger() { # TWIN: of the user's; the embedded one of $MQAUDIT_STATE is its ledger then
	local file=$SCENARIO_FOLDER/$1.args text
	text=$(awk 'drop { drop = 0; next } /^--ledger$/ { drop = 1; next } 1' "$file") && echo "$text" >"$file"
}
pause_at_random() { sleep "0.$((RANDOM % 9 + 1))"; }
# Faults between the probe and the log, as in the selftest: "drop=20". What is planted is in TWIN.probe.
plant_twin() { # TWIN SPEC
	step "$1: ${2:-nothing is planted}"
	probe_twin "$1" --count "${MESSAGES:-3000}" ${2:+--plant "$2"}
	judge_twin "$1"
}
planted_in() { # TWIN KIND: identities, one a line
	sed -n 's/^planted //p' "$SCENARIO_FOLDER/$1.probe" | jq -r --arg kind "$2" 'select(.kind == $kind) |
		"\(.producer_id).\(.epoch).\(.partition).\(.seq)"' | sort
}
same_as_planted() { # TWIN PLANTED KIND STAGE: each by its name, and no other
	local want
	want=$(planted_in "$1" "$2")
	[ -n "$want" ] || undecided "$1: nothing was planted"
	[ "$(identities_of "$1" "$3" "$4")" = "$want" ] || die "$1: others were found than were planted"
	proved "$1: $2" "$(wc -l <<<"$want") planted, the same found, by name"
}
# What Kafka's own tools say of a twin's partition 0: offsets, and how many records stand there.
log_start() { tool kafka-get-offsets --topic "$(topic_of "$1")" --partitions 0 --time earliest 2>/dev/null | cut -d: -f3; }
log_end() { tool kafka-get-offsets --topic "$(topic_of "$1")" --partitions 0 --time latest 2>/dev/null | cut -d: -f3; }
stored_bytes() { # TWIN: of all its replicas, the largest
	tool kafka-log-dirs --describe --topic-list "$(topic_of "$1")" 2>/dev/null |
		jq -R 'fromjson? | [.brokers[].logDirs[].partitions[].size] | max // 0'
}
records_of() { # TWIN [read_committed]: fences are among them; only when nothing is sent any more
	# shellcheck disable=SC2016 # the variable is set within
	in_lab sh -c 'kafka-console-consumer --bootstrap-server "$KAFKA_BOOTSTRAP" --topic "$0" --partition 0 --offset earliest \
		--isolation-level "$1" --timeout-ms 4000 --property print.value=false \
		--property print.offset=true 2>/dev/null' "$(topic_of "$1")" "${2:-read_uncommitted}" | grep -c '^Offset:'
}
alter_topic() { # TWIN NAME=VALUE,...
	tool kafka-configs --alter --entity-type topics --entity-name "$(topic_of "$1")" --add-config "$2" >/dev/null 2>&1 ||
		die "the settings of $1's topic cannot be changed"
}

# --- the cluster

where=(--lab "$LAB")
[ -z "${CLUSTER:-}" ] || where=(--cluster "$CLUSTER")

lab() { # COMMAND ARGUMENTS...: mqaudit lab ..., on this lab
	local command=$1
	shift
	"$MQAUDIT" lab "$command" "${where[@]}" "$@"
}
in_lab() { "$MQAUDIT" lab exec "$BROKER" "${where[@]}" -- "$@"; } # COMMAND...: as a client of the cluster
bootstrap() { lab status "$BROKER" --format json | jq -r .bootstrap; }
tool() { # NAME ARGUMENTS...: one of Kafka's own tools
	local name=$1
	shift
	# shellcheck disable=SC2016 # the variable is set within
	in_lab sh -c '"$0" --bootstrap-server "$KAFKA_BOOTSTRAP" "$@"' "$name" "$@"
}
leader_of() { # TWIN [PARTITION]: of a queue, where it or its leader lives
	local partition=("${2:-0}")
	[ "$BROKER" = kafka ] || partition=()
	lab leader "$BROKER" "$(topic_of "$1")" ${partition[@]+"${partition[@]}"} --timeout 3s 2>/dev/null
}
leads() { [ "$(leader_of "$2")" = "$1" ]; }         # NODE TWIN
moved_from() { # NODE TWIN: the majority has another leader
	local leader
	leader=$(leader_of "$2") && [ -n "$leader" ] && [ "$leader" != "$1" ]
}
isr_of() { # TWIN: the in-sync replicas as the majority sees them: "kafka1,kafka2"
	lab leader "$BROKER" "$(topic_of "$1")" 0 --isr --timeout 3s 2>/dev/null | awk '{ print $2 }'
}
isr_is() { [ "$(isr_of "$2")" = "$1" ]; } # NODES TWIN
isr_has() { # N TWIN: so many in-sync replicas
	[ "$(isr_of "$2" | tr , '\n' | grep -c .)" -eq "$1" ]
}
# The twins' partitions as JSON, as Kafka's tools want them; with a placement their replicas as well.
partitions_json() { # [2:1:3]
	local twin
	for twin in $(twins); do topic_of "$twin"; done |
		jq -Rn --argjson n "${PARTITIONS:-1}" --arg placement "${1:-}" '{version: 1, partitions: [inputs as $topic |
			range($n) | {topic: $topic, partition: .} +
			(if $placement == "" then {} else {replicas: ($placement | split(":") | map(tonumber))} end)]}'
}
reassign_twins() { # 2:1:3 [TOOL'S OPTIONS]: where their partitions live from now on, the preferred leader first
	local plan=$SCENARIO_FOLDER/reassignment.json out placement=$1
	shift
	step "reassigning partitions to $placement"
	partitions_json "$placement" >"$plan"
	out=$(tool kafka-reassign-partitions --reassignment-json-file "$plan" --execute "$@" 2>&1) || die "reassignment: $out"
	echo "$out" | tail -1
}
reassigned() { # is the last reassignment complete? Also lifts its throttle.
	local out
	out=$(tool kafka-reassign-partitions --reassignment-json-file "$SCENARIO_FOLDER/reassignment.json" --verify 2>&1) &&
		! grep -qE 'still in progress|failed|no active reassignment.*but' <<<"$out"
}
elect_preferred() { # the first of each partition's replicas becomes its leader, if it is in sync
	local out
	step "preferred leader election"
	partitions_json >"$SCENARIO_FOLDER/election.json"
	out=$(tool kafka-leader-election --election-type preferred --path-to-json-file "$SCENARIO_FOLDER/election.json" 2>&1) ||
		die "preferred leader election: $out"
	echo "$out"
}
# Of RabbitMQ: queues, by its own tools.
rabbitmqctl() { in_lab rabbitmqctl -q "$@"; }
declare_queue() { # NAME [NODE]: a durable classic queue, if it is not there; it lives on that node
	rabbitmqctl -n "${2:-${BROKER}1}" eval "rabbit_amqqueue:declare(rabbit_misc:r(<<\"/\">>, queue, <<\"$1\">>), true, false, [], none, <<\"mqaudit\">>), ok." \
		>/dev/null || die "queue $1 cannot be declared"
}
delete_queue() { # TWIN
	step "deleting the queue of $1"
	rabbitmqctl delete_queue "$(topic_of "$1")" >/dev/null || die "the queue of $1 cannot be deleted"
}
queue_line() { rabbitmqctl list_queues name messages --no-table-headers 2>/dev/null | awk -v name="$(topic_of "$1")" '$1 == name'; } # TWIN
messages_are() { [ "$(queue_line "$1" | awk '{ print $2 }')" = "$2" ]; }                                      # TWIN N: ready or held
is_gone() { # TWIN: its queue is not there; the nodes answer, and list others or none
	local all
	all=$(rabbitmqctl list_queues name --no-table-headers 2>/dev/null) && ! grep -qx -- "$(topic_of "$1")" <<<"$all"
}
# A consumer within the broker takes all messages, acknowledges none, and dies; so often. Prints how many it was given
# each time.
give_back() { # TWIN TIMES
	local out
	out=$(rabbitmqctl eval "
		{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"$(topic_of "$1")\">>)),
		Take = fun Take(C, N) ->
			case rabbit_queue_type:dequeue(Q, false, self(), integer_to_binary(N), C) of
				{ok, _, _, D} -> Take(D, N + 1);
				{empty, _} -> N
			end end,
		Round = fun(_) ->
			Me = self(),
			{P, M} = spawn_monitor(fun() -> Me ! {took, Take(rabbit_queue_type:init(), 0)} end),
			receive {'DOWN', M, process, P, _} -> ok end,
			receive {took, N} -> N end end,
		lists:flatten(io_lib:format(\"~w\", [lists:map(Round, lists:seq(1, $2))])).") || die "nothing can be taken from $1: $out"
	tr -d '[]"' <<<"$out" | tr ',' ' '
}
active_controller() { # the node that leads the controllers' quorum
	local id
	id=$(tool kafka-metadata-quorum describe --status 2>/dev/null | awk '$1 == "LeaderId:" { print $2 }')
	[ "${id:--1}" -gt 0 ] && echo "$BROKER$id"
}
node_ended() { # NODE: its process is gone
	[ "$(lab status "$BROKER" --format json | jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .state')" != running ]
}
all_nodes() { lab status "$BROKER" --format json | jq -r '.nodes[].name'; }
others() { # NODE: all other nodes
	lab status "$BROKER" --format json | jq -r --arg n "$1" '.nodes[].name | select(. != $n)'
}

# --- faults

# Put a fault on; it is healed by `heal`, and by its guard when the runner dies or the deadline passes.
fault() { # KIND NODE... [OPTIONS]
	local out
	step "fault: $*"
	n_faults_on=$((n_faults_on + 1)) # from now on: whoever is told to end while it goes on must heal
	out=$(lab fault "$@" "${FAULT_GUARD[@]}" 2>&1) || die "the fault does not go on: $out"
	echo "$out"
	note fault "$*"
}
restart() { # NODE [--version V]: ends in order (controlled shutdown), starts again, and all nodes answer
	local out
	step "restarting $*"
	note fault "restart $*"
	out=$(lab restart "$@" 2>&1) || die "restart: $out"
	echo "$out"
	note fault ""
	proved "restart $*" "it ended in order, and answers again"
}
# Take all faults off and wait until every node answers. One that leaves no proof that it bit leaves the scenario undecided.
heal() {
	local out n what proof
	step "healing"
	out=$(lab heal 2>&1) || die "heal: $out"
	echo "$out"
	note fault ""
	while IFS=$'\t' read -r what proof; do note proof "$what" "$proof"; done \
		< <(awk -F'  +' '/^healed / { print $2 (NF > 3 ? " " $3 : "") "\t" $NF }' <<<"$out")
	grep -q 'NO PROOF' <<<"$out" && undecided "a fault left no proof that it bit: $(grep 'NO PROOF' <<<"$out" | head -1)"
	n=$(grep -c '^healed ' <<<"$out")
	[ "$n" -ge "$n_faults_on" ] || undecided "of $n_faults_on faults only $n were on at the end"
	n_faults_on=0
}
# Proof of what is no fault of the lab's: what was done, and what shows that it was.
proved() { # WHAT PROOF
	note proof "$1" "$2"
}
# The leader is cut off from the other nodes, they elect another one, it is let go on for a while, and heals.
leader_cut_off() { # TWIN of acks=1, TWIN of good settings, OPTIONS of the fault...
	local alone=$1 good=$2
	shift 2
	fault isolate "$LEADER" --from brokers "$@"
	await 60 "the majority elects another leader" moved_from "$LEADER" "$alone"
	proved "election" "the majority has $(leader_of "$alone") as leader"
	more_acked $((SCENARIO_RATE * 3)) "$alone"
	heal
	more_acked $((SCENARIO_RATE * 2)) "$good" "$alone"
}
placement() { # 2:1:3: the leader is the first
	PLACEMENT=$1
	LEADER=$BROKER${1%%:*}
}

# --- RabbitMQ

erl() { # NODE EXPRESSIONS: what the node makes of them; asked where it lives, no link is in between
	in_lab rabbitmqctl -q -n "$1" eval "$2"
}
address_of() { # NODE
	lab status "$BROKER" --format json | jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .address'
}
# A setting of the nodes, while they run: what it was is kept, and put back by `put_back`, which belongs in `restore`.
# GET and SET are Erlang, SET a function of the value.
change_nodes() { # WHAT GET SET VALUE
	local node before
	for node in $(all_nodes); do
		before=$(erl "$node" "$2") || die "$node does not tell its $1"
		[ -f "$SCENARIO_FOLDER/before-$1-$node" ] ||
			printf '%s\n' "($3)($before)." >"$SCENARIO_FOLDER/before-$1-$node"
		erl "$node" "($3)($4)." >/dev/null || die "$1 of $node cannot be set"
	done
}
put_back() {
	local file
	for file in "$SCENARIO_FOLDER"/before-*; do
		[ -f "$file" ] || continue
		erl "${file##*-}" "$(cat "$file")" >/dev/null && rm "$file" || echo "not put back: ${file##*/}"
	done
	for file in "$SCENARIO_FOLDER"/policy-*; do
		[ -f "$file" ] || continue
		in_lab rabbitmqctl -q clear_policy "$(cat "$file")" && rm "$file" || echo "not put back: ${file##*/}"
	done
}
handle_partitions_by() { # ignore|autoheal|pause_minority
	change_nodes handling 'element(2, application:get_env(rabbit, cluster_partition_handling)).' \
		'fun(How) -> application:set_env(rabbit, cluster_partition_handling, How) end' "$1"
}
memory_limit() { # VALUE: {absolute, BYTES}
	change_nodes memory 'vm_memory_monitor:get_vm_memory_high_watermark().' \
		'fun(Limit) -> vm_memory_monitor:set_vm_memory_high_watermark(Limit) end' "$1"
}
# A policy for the twin's queue alone, be the queue there already or not.
policy() { # TWIN JSON
	local name
	name=$(topic_of "$1")
	echo "$name" >"$SCENARIO_FOLDER/policy-$1"
	in_lab rabbitmqctl -q set_policy --apply-to queues "$name" "^$name\$" "$2" || die "no policy for $1"
}
# Of a classic queue: how many mirrors it has, and how many of them are in sync: "2 0".
mirrors_of() { # TWIN
	erl "$LEADER" "{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"$(topic_of "$1")\">>)),
		io_lib:format(\"~b ~b\", [length(L) || {_, L} <- rabbit_amqqueue:info(Q, [slave_pids, synchronised_slave_pids]), is_list(L)])." |
		tr -d '"'
}
mirrors_are() { [ "$(mirrors_of "$1" 2>/dev/null)" = "$2" ]; } # TWIN "2 0"
# The nodes that a node holds to be running.
running_by() { erl "$1" 'length(rabbit_mnesia:cluster_nodes(running)).' 2>/dev/null; } # NODE
sees_running() { [ "$(running_by "$1")" = "$2" ]; }                                    # NODE N
# How many messages of a producer's the ledger has as acknowledged, be its probe a part or a run.
lane_acked() { # TWIN PRODUCER-ID
	local n
	n=$(report_of "$1" | jq --argjson id "$2" '[.lanes[] | select(.producer_id == $id) | .acked] | add // 0')
	echo "${n:-0}"
}
lane_has_acked() { [ "$(lane_acked "$1" "$2")" -ge "$3" ]; } # TWIN PRODUCER-ID N
more_in_lane() { # N TWIN PRODUCER-ID: so many more than now
	local from
	from=$(lane_acked "$2" "$3")
	await 120 "$2, producer $3: $1 more are acknowledged" lane_has_acked "$2" "$3" $((from + $1))
}
# The last node is cut off from the two others while publishers are at both sides: every twin has one at either, as who
# has more clients wins where the cluster heals itself.
partitioned() { # HANDLING, of cluster_partition_handling
	local twin alone
	alone=$(all_nodes | tail -1)
	handle_partitions_by "$1"
	step "starting $(twins | paste -sd' '), each with a publisher at $LEADER and one at $alone"
	for twin in $(twins); do start_probe "$twin"; done
	for twin in $(twins); do more_in_lane "$SCENARIO_RATE" "$twin" 1; done
	for twin in $(twins); do start_probe "$twin" --producer-id 2 -X first.node="${alone#"$BROKER"}"; done
	for twin in $(twins); do more_in_lane "$SCENARIO_RATE" "$twin" 2; done
	for twin in mirrored quorum; do leads "$LEADER" "$twin" || undecided "$twin is not led by $LEADER"; done
	fault isolate "$alone" --from brokers
	await 60 "$LEADER sees that one is missing" sees_running "$LEADER" 2
	[ "$1" = pause_minority ] || await 60 "$alone sees that it is alone" sees_running "$alone" 1
	more_in_lane $((SCENARIO_RATE * 5)) mirrored 1
	more_in_lane $((SCENARIO_RATE * 5)) mirrored 2
	more_in_lane "$SCENARIO_RATE" quorum 1
	proved "partition" "$(sides_of_partition "$alone")"
	[ "$1" != autoheal ] || link_after "$(others "$LEADER" | head -1)" "$alone" "$LEADER"
	heal
	# until somebody ends it, each side keeps what it has
	[ "$1" != ignore ] || restart "$alone"
	for twin in mirrored quorum; do
		more_in_lane "$SCENARIO_RATE" "$twin" 1
		more_in_lane "$SCENARIO_RATE" "$twin" 2
	done
	stop_probes
	judge_twins
}
# Links come back one by one. Which nodes restart is for the first of all to say, by name, as soon as it sees them all; as
# of 3.10.8 it takes the wrong ones, and again once a minute, if it asks them before it has seen itself that it was cut
# off. So the node keeps the one that was alone away (by a cookie of its own for it) until the first has seen that.
link_after() { # NODE ALONE FIRST
	erl "$1" "Alone = 'rabbit@$(address_of "$2")', First = 'rabbit@$(address_of "$3")', Cookie = erlang:get_cookie(),
		Wait = fun Wait(0) -> ok; Wait(N) -> case rpc:call(First, rabbit_node_monitor, partitions, []) of
			[_ | _] -> ok; _ -> timer:sleep(100), Wait(N - 1) end end,
		erlang:set_cookie(Alone, kept_away),
		spawn(fun() -> Wait(600), erlang:set_cookie(Alone, Cookie) end)." >/dev/null || die "$1 does not answer"
}
sides_of_partition() { # ALONE
	local n
	n=$(running_by "$1")
	[ "${n:-0}" = 0 ] && echo "$LEADER sees $(running_by "$LEADER") nodes running; $1 has stopped" ||
		echo "$LEADER sees $(running_by "$LEADER") nodes running, $1 sees $n"
}
stop_probes() { # those that run as parts end in order
	local pid
	step "the probes end"
	for pid in "${!parts[@]}"; do kill -INT "$pid"; done
	for pid in "${!parts[@]}"; do wait_part "$pid"; done
}

# --- the course of a scenario

all_ended() {
	local twin
	for twin in "${!run_pid[@]}"; do has_ended "$twin" || return 1; done
}
clean_up() {
	local twin
	trap - EXIT INT TERM
	# first: while a fault is on, of no twin anything can be said
	[ "$n_faults_on" -eq 0 ] || lab heal
	for twin in "${!run_pid[@]}"; do stop_twin "$twin"; done
	for twin in "${!parts[@]}"; do kill -INT "$twin" 2>/dev/null; done
	! declare -F restore >/dev/null || (restore)
	wait_until 45 all_ended || for twin in "${!run_pid[@]}"; do kill -KILL "${run_pid[$twin]}" 2>/dev/null; done
	wait
}
trap clean_up EXIT
trap 'exit 3' INT TERM

skip_round() { # true: this round cannot be had here
	local why twin
	declare -F why_not >/dev/null && why=$(why_not) && [ -n "$why" ] || return 1
	for twin in $(twins); do note skip "$twin" "$why"; done
	echo "round $ROUND skipped: $why"
}
one_round() {
	! declare -F prepare >/dev/null || { step "preparing"; prepare; }
	if declare -F course >/dev/null; then
		course
	else
		start_twins
		await 60 "$LEADER leads" leads "$LEADER" "$(first_twin)"
		provoke
	fi
	stop_twins
	! declare -F prove >/dev/null || prove
	! declare -F afterwards >/dev/null || afterwards
}
# The twins' queues: what stays behind with a limit would drop messages, and be counted, in later scenarios.
clear_away() {
	local twin
	[ "$BROKER" != kafka ] || return 0
	for twin in $(awk '{ print $1 }' "$SCENARIO_FOLDER/twins"); do
		rabbitmqctl delete_queue "$(topic_of "$twin")" >/dev/null 2>&1 || true # it may have gone by itself
	done
}
scenario() {
	for ROUND in $(awk '!seen[$3]++ { print $3 }' "$SCENARIO_FOLDER/twins"); do
		! skip_round || continue
		[ "$ROUND" = - ] || step "round $ROUND"
		one_round
	done
	clear_away
	step "done"
}
