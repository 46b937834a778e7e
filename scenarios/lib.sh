# What a scenario's script stands on: to be sourced by it. The runner (mqaudit scenario run) starts the script with a
# folder in which the twins' arguments lie; see scenarios/runner/execution.h. A script defines
#
#     prepare     optional: before the twins start; settings of nodes, other topics
#     provoke     the fault, once every twin has acknowledged messages
#     prove       that it bit: calls undecided if it did not; faults put on with `fault` prove themselves
#     afterwards  optional: when every twin has ended
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
declare -A run_pid=()   # of a twin's mqaudit run, while it runs
n_faults_on=0

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
# The same for what a script cannot go on without: the scenario is undecided if it does not come.
await() { # SECONDS WHAT COMMAND...
	local limit=$1 what=$2
	shift 2
	step "waiting until $what"
	wait_until "$limit" "$@" || undecided "not within $limit s: $what"
}
# Let it last: the one thing that is a matter of time, such as how long a fault is on.
for_seconds() { # SECONDS WHY
	step "$2 (for $1 s)"
	sleep "$1"
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
has_ended() { ! kill -0 "${run_pid[$1]}" 2>/dev/null; } # TWIN
has_given_up() { [ "$(status_field "$1" refused)" -ge "$2" ]; } # TWIN N: messages that the client refused
has_unknown() { [ "$(status_field "$1" unknown)" -ge "$2" ]; } # TWIN N: messages whose outcome nobody knows
goes_on() { # TWIN N: it is alive and has acknowledged so many; a twin that ended can wait for nothing
	has_ended "$1" && die "twin $1 ended early: $(tail -1 "$SCENARIO_FOLDER/$1.err")"
	has_acked "$1" "$2" && has_read "$1" 1
}

start_twin() { # TWIN [ARGUMENTS...]
	local twin=$1 args
	shift
	mapfile -t args <"$SCENARIO_FOLDER/$twin.args"
	# on a busy machine a backlog takes long: what is given up at the end says nothing of the fault
	"$MQAUDIT" run "${args[@]}" --replica-assignment "$(assignment)" --flush-timeout 90s "$@" \
		>"$SCENARIO_FOLDER/$twin.out" 2>"$SCENARIO_FOLDER/$twin.err" </dev/null &
	run_pid[$twin]=$!
}
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
	kill -INT "${run_pid[$1]}" 2>/dev/null
}
wait_twin() { # TWIN
	[ -n "${run_pid[$1]:-}" ] || return 0
	wait "${run_pid[$1]}"
	unset "run_pid[$1]"
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
more_acked() { # N TWIN...: until each has acknowledged so many more than now; undecided if they do not
	local n=$1 twin
	declare -A from=()
	shift
	for twin in "$@"; do from[$twin]=$(acked "$twin"); done
	for twin in "$@"; do
		await 90 "$twin acknowledges $n more" has_acked "$twin" $((from[$twin] + n))
	done
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
leader_of() { lab leader "$BROKER" "$(topic_of "$1")" "${2:-0}" --timeout 3s 2>/dev/null; } # TWIN [PARTITION]
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
active_controller() { # the node that leads the controllers' quorum
	local id
	id=$(tool kafka-metadata-quorum describe --status 2>/dev/null | awk '$1 == "LeaderId:" { print $2 }')
	[ "${id:--1}" -gt 0 ] && echo "$BROKER$id"
}
node_ended() { # NODE: its process is gone
	[ "$(lab status "$BROKER" --format json | jq -r --arg n "$1" '.nodes[] | select(.name == $n) | .state')" != running ]
}
others() { # NODE: all other nodes
	lab status "$BROKER" --format json | jq -r --arg n "$1" '.nodes[].name | select(. != $n)'
}

# --- faults

# Put a fault on; it is healed by `heal`, and by its guard when the runner dies or the deadline passes.
fault() { # KIND NODE... [OPTIONS]
	local out
	step "fault: $*"
	out=$(lab fault "$@" ${FAULT_GUARD[@]+"${FAULT_GUARD[@]}"} 2>&1) || die "the fault does not go on: $out"
	echo "$out"
	note fault "$*"
	n_faults_on=$((n_faults_on + 1))
}
restart() { # NODE: ends in order (controlled shutdown), starts again, and all nodes answer
	local out
	step "restarting $1"
	note fault "restart $1"
	out=$(lab restart "$1" 2>&1) || die "restart: $out"
	echo "$out"
	note fault ""
	proved "restart $1" "it ended in order, and answers again"
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
placement() { # 2:1:3: the leader is the first
	PLACEMENT=$1
	LEADER=$BROKER${1%%:*}
}

# --- the course of a scenario

clean_up() {
	local twin
	trap - EXIT INT TERM
	for twin in "${!run_pid[@]}"; do kill -INT "${run_pid[$twin]}" 2>/dev/null; done
	[ "$n_faults_on" -eq 0 ] || lab heal
	for twin in "${!run_pid[@]}"; do wait "${run_pid[$twin]}"; done
}
trap clean_up EXIT
trap 'exit 3' INT TERM

one_round() {
	! declare -F prepare >/dev/null || { step "preparing"; prepare; }
	start_twins
	await 60 "$LEADER leads" leads "$LEADER" "$(first_twin)"
	provoke
	stop_twins
	! declare -F prove >/dev/null || prove
	! declare -F afterwards >/dev/null || afterwards
}
scenario() {
	for ROUND in $(awk '!seen[$3]++ { print $3 }' "$SCENARIO_FOLDER/twins"); do
		[ "$ROUND" = - ] || step "round $ROUND"
		one_round
	done
	step "done"
}
