#!/bin/bash
# lint on the command line: what it says of settings, its exit codes, wrong names and values with file and line, the
# comparison with a suite's results. No broker.
. "$(dirname "$0")/lib.sh"

usage() { # PATTERN ARGUMENTS...
	local pattern=$1; shift

	refused "lint $*" 2 "$pattern" lint "$@"
}
hinted() { ok "... with the hint: $1" contains "$err" "^mqaudit: hint: .*$1"; }

note answers
run lint -X acks=1
is "acks=1: exit code" "$code" 1
is "the answer comes first" "$(head -2 <<<"$out" | sed 's/librdkafka [0-9.]*/librdkafka/')" \
	"UNSAFE   librdkafka, no cluster asked   exactly-once,ordered can break:
  acks=1: can LOSE acknowledged messages at the broker"
ok "the scenario that proves it" contains "$out" '^  lost +broker +the leader is cut off from the other nodes +leader-isolated$'
ok "a setting, and where it comes from" contains "$out" '^  producer +acks=1 +-X$'
ok "a default, and whose" contains "$out" '^  producer +enable.idempotence=false +default of librdkafka '
ok "what helps" contains "$out" '^Try  acks=all, enable.idempotence=true, min.insync.replicas=2$'
is "no colour into a pipe, no tab" "$(tr -d '\n\40-\176' <<<"$out")" ''
is "within 100 columns" "$(awk 'length($0) > 100' <<<"$out")" ''
good=(-X acks=all -X enable.idempotence=true --topic-config min.insync.replicas=2)
run lint "${good[@]}"
is "good settings still lose when all power goes: exit code" "$code" 1
is "... and that is all" "$(sed -n '2,/^$/p' <<<"$out")" \
	"  flush.messages (default: never): can LOSE acknowledged messages at the broker"
run lint "${good[@]}" --topic-config flush.messages=1
is "flushed, nothing is left: exit code" "$code" 0
ok "... and it says so" contains "$out" '^SAFE '
run lint "${good[@]}" --topic-config flush.ms=1
is "flush.ms alone does nothing: exit code" "$code" 1
run lint "${good[@]}" --accept power-cut-all
is "a fault that is accepted: exit code" "$code" 0
ok "... is still shown" contains "$out" '^  lost +accepted in power-cut-all: flush.messages'
run lint -X acks=all --promise at-least-once --accept power-cut-all --topic-config min.insync.replicas=2
is "repeats do not break at-least-once: exit code" "$code" 0
run lint "${good[@]}" --accept power-cut-all --fail-on expired
is "--fail-on: exit code" "$code" 1
run lint -X acks=1 --allow lost,duplicated,reordered
is "--allow: exit code" "$code" 0

note JSON
run lint -X acks=1 --format json
is "exit code" "$code" 1
is "format, client, promise" "$(jq -r '"\(.format) \(.client) \(.promise) \(.unsafe) \(.live)"' <<<"$out")" \
	"mqaudit-lint/1 librdkafka exactly-once,ordered true false"
is "a prediction" "$(jq -c '.predictions[] | select(.scenario == "leader-isolated" and .kind == "lost") |
	[.id, .stage, .sure, .breaks, .cause, (.fault, .why, .fix | length > 0)]' <<<"$out")" \
	'["K-24","broker",true,true,"acks=1",true,true,true]'
is "a setting" "$(jq -c '.settings.producer.acks' <<<"$out")" '{"value":"1","from":"-X","given":true}'
is "what is safe is not predicted to break" "$(jq -r '.safe as $safe | [.predictions[] | select(.breaks) | .scenario] as $broken |
	($safe - ($safe - $broken)) | length' <<<"$out")" 0
ok "something is safe" test "$(jq '.safe | length' <<<"$out")" -ge 3
all='[(.safe[]), (.predictions[] | .scenario | select(. != null))] | unique | length'
is "each scenario is safe or predicted, but for those of consumers" "$(jq -r "$all" <<<"$out")" 30
printf 'group.id=g\nenable.auto.commit=false\n' >"$work/consumer"
run lint -X acks=1 --consumer-config "$work/consumer" --format json
is "... and with a consumer's settings all of them" "$(jq -r "$all" <<<"$out")" 34
is "... those of consumers as well" "$(jq -r '.safe | index("commit-before-process") != null' <<<"$out")" true

note files
printf '# orders\nacks=1\nkey.serializer=x\n' >"$work/java.properties"
run lint --producer-config "$work/java.properties" --format json
is "Java's names: its client, its defaults, its line" "$(jq -r '"\(.client) \(.client_because)
\(.settings.producer.acks.from)
\(.settings.producer["enable.idempotence"] | .value + ", " + .from)"' <<<"$out")" \
	"java only it knows key.serializer ($work/java.properties:3)
$work/java.properties:2
false, Java client 4.1.0: off without a word, because of acks=1"
printf 'min.insync.replicas=2\n\nlog.retention.minutes=1\n' >"$work/server.properties"
run lint --broker-config "$work/server.properties" --format json
is "a broker's file holds for the topic" "$(jq -r '.settings.topic | "\(.["min.insync.replicas"].from) \(.["retention.ms"].value)"' <<<"$out")" \
	"$work/server.properties:1 60000"
run lint --consumer-config "$work/java.properties"
ok "a consumer's settings, and what is said of it" contains "$out" '^  consumer +auto.offset.reset=latest +default of Java client'
ok "... auto commit" contains "$out" 'enable.auto.commit=true: can LOSE messages that are on the log at consume'

note wrong names and values
printf 'linger.ms=5\nacks=maybe\n' >"$work/bad"
usage "$work/bad:2: .*acks" --producer-config "$work/bad"
usage "$work/bad:2: 'acks' cannot be 'maybe'" --producer-config "$work/bad" --client java
printf '\n\nackss=1\n' >"$work/bad"
usage "$work/bad:3: .* has no property 'ackss'" --producer-config "$work/bad"
hinted --allow-unknown
run lint --producer-config "$work/bad" --allow-unknown
is "--allow-unknown: exit code" "$code" 1
ok "... with a warning" contains "$err" "^mqaudit: warning: $work/bad:3: 'ackss' is not known"
printf 'enable.idempotence=true\nacks=1\n' >"$work/bad"
usage "$work/bad:2: acks=1 contradicts enable.idempotence=true" --producer-config "$work/bad" --client java
usage "acks.*idempotence" --producer-config "$work/bad"
printf 'acks\\u12=1\n' >"$work/bad"
usage "$work/bad, line 1: " --producer-config "$work/bad"
printf 'key.serializer=x\nmessage.timeout.ms=1\n' >"$work/bad"
usage "'key.serializer' .* is Java's, 'message.timeout.ms' .* librdkafka's" --producer-config "$work/bad"
hinted '--client'
usage "no topic setting 'min.insync.replica'" --topic-config min.insync.replica=2
usage "'min.insync.replicas' cannot be '0'" --topic-config min.insync.replicas=0
usage "no broker setting 'acks'" --broker-config acks=1
usage "it takes 0 or 1" --broker-config eligible.leader.replicas.version=7
usage "acks=2: brokers take 0, 1 and all only" -X acks=2
usage "there is no scenario 'power'" --accept power
usage "'none' is none of librdkafka|java" --client none
usage "unknown promise" --promise never
usage "40000 is not in 1 to 32767" --replication 40000
usage "0 is not in 1 to 32767" --replication 0
usage "'sasl.password' is a secret" -X sasl.password=hunter2
usage "scheme" nonsense
refused "a file that is not there" 3 "/nonexistent" lint --producer-config /nonexistent
refused "a cluster where nothing listens" 3 'refused' lint "$no_broker" --timeout 1s
run lint --defaults topic
is "a table of defaults" "$code $(grep -P '^min.insync.replicas\tint\t1\t' <<<"$out" | wc -l)" "0 1"

note RabbitMQ
run lint --client rabbitmq-c
is "a classic queue, not mandatory: exit code" "$code" 1
is "the answer comes first" "$(head -3 <<<"$out" | sed 's/rabbitmq-c [0-9.]*/rabbitmq-c/')" \
	"UNSAFE   rabbitmq-c, no cluster asked   exactly-once,ordered can break:
  mandatory=false: can LOSE acknowledged messages at the broker
  mandatory=false, for a classic queue: can LOSE acknowledged messages at the broker"
ok "the scenario that proves it" contains "$out" "^  lost +broker +the queue's node is away for a while +home-node-down\$"
ok "what was not looked at, and why" contains "$out" '^  policy +none assumed: --policy says$'
is "within 100 columns" "$(awk 'length($0) > 100' <<<"$out")" ''
safe=(-X mandatory=true --queue-argument x-queue-type=quorum)
run lint "${safe[@]}"
is "a quorum queue, mandatory: exit code" "$code" 0
ok "... told by its names" contains "$out" 'only it knows mandatory \(-X\)'
run lint "${safe[@]}" --fail-on unacknowledged
is "--fail-on: exit code" "$code" 1
run lint -X confirms=false --queue-argument x-queue-type=quorum
is "without confirms: exit code" "$code" 1
ok "... at produce" contains "$out" '^  confirms=false: can LOSE messages that were sent at produce$'
run lint -X mandatory=true -X persistent=false --format json
is "JSON: client, scopes, what is predicted of a transient message" \
	"$(jq -c '[.client, (.settings | keys | join(" ")), .settings.topic.durable.value,
		(.predictions[] | select(.scenario == "transient-restart") | .kind, .stage, .sure)]' <<<"$out")" \
	'["rabbitmq-c","broker consumer policy producer topic","true","lost","broker",true]'
is "each scenario is safe or predicted" "$(jq -r "$all" <<<"$out")" "$(jq -r '.safe | length' <<<"$("$mq" lint "${safe[@]}" --format json)")"
run lint -X mandatory=true --policy ha-mode=all --format json
is "a mirror: what breaks" "$(jq -r '[.predictions[] | select(.kind == "lost" and .sure) | .scenario] | join(" ")' <<<"$out")" \
	"mirror-promoted partition-ignore"
run lint -X mandatory=true --policy ha-mode=all --policy ha-sync-mode=automatic --broker-config cluster_partition_handling=pause_minority
is "... and what helps: exit code" "$code" 0
printf '# a node\nlisteners.tcp.default = 5672\ncluster_partition_handling = autoheal\n' >"$work/rabbitmq.conf"
run lint -X mandatory=true --policy ha-mode=all --broker-config "$work/rabbitmq.conf" --format json
is "rabbitmq.conf: the setting, and its line" "$(jq -r '.settings.broker.cluster_partition_handling | "\(.value) \(.from)"' <<<"$out")" \
	"autoheal $work/rabbitmq.conf:3"
run lint --queue-argument x-max-length=100 --policy max-length=10 --policy overflow=drop-head --queue-argument x-overflow=reject-publish --format json
is "argument and policy: the smaller number, the argument's word" \
	"$(jq -r '.settings.topic | .["x-max-length"].value + " " + .["x-overflow"].value' <<<"$out")" "10 reject-publish"
run lint --policy max-length=10 --policy delivery-limit=3 --queue-argument x-queue-type=classic --format json
is "a policy with a key of another type does not apply" "$(jq -r '(.settings.topic["x-max-length"] | tostring), .notes[]' <<<"$out")" \
	"null
a policy with 'delivery-limit' does not apply to a classic queue: nothing of it counts"
run lint --republish-unknown --format json
is "who publishes again" "$(jq -r '.predictions[] | select(.scenario == "confirm-lost-republish" and .sure) | .kind' <<<"$out")" duplicated
usage "a quorum queue takes no 'x-queue-version'" --queue-argument x-queue-type=quorum --queue-argument x-queue-version=2
hinted PRECONDITION_FAILED
usage "a quorum queue is durable" --queue-argument x-queue-type=quorum --queue-argument durable=false
usage "RabbitMQ 3.10 has no argument of a queue 'x-max-lenght'" --client rabbitmq-c --queue-argument x-max-lenght=1
usage "RabbitMQ 3.10 has no key of a policy 'ha-mod'" --policy ha-mod=all
usage "no setting in rabbitmq.conf 'cluster_partition_handlng'" --no-policy --broker-config cluster_partition_handlng=ignore
usage "'cluster_partition_handling' cannot be 'never'" --broker-config cluster_partition_handling=never
usage "'x-max-length' cannot be 'many'" --queue-argument x-max-length=many
usage "-X: property 'confirms': 'maybe'" -X confirms=maybe
printf 'mandatory=true\nwindow=0\n' >"$work/bad"
usage "$work/bad:2: property 'window'" --producer-config "$work/bad"
usage "'acks' .* is Kafka's, 'confirms' .* RabbitMQ's" -X acks=1 -X confirms=true
usage "rabbitmq-c .* is no client for kafka:// .*--policy" kafka://h/t --policy ha-mode=all
usage "only RabbitMQ has that" kafka://h/t --no-policy
usage "no client for kafka://" kafka://h/t --client rabbitmq-c
usage "rabbitmq-c .* is no client for kafka://" kafka://h/t -X confirms=true
usage "no client for amqp://" amqp://h/%2F/q --client java
usage "--no-policy contradicts --policy" --no-policy --policy ha-mode=all
usage "there is no scenario 'leader-isolated'" --client rabbitmq-c --accept leader-isolated
refused "a RabbitMQ where nothing listens" 3 'refuses, or cannot be reached' lint "amqp://$nowhere/%2F/q" --timeout 1s

note predictions against results
suite() { # FOUND-BY-ACKS1: a suite's results with one scenario
	jq -n --argjson found "$1" '{format: "mqaudit-suite/1", scenarios: [{name: "leader-isolated", twins: [
		{name: "acks1", verdict: "FAIL", producer: {acks: "1"}, topic: {}, found: $found},
		{name: "idempotent", verdict: "PASS", producer: {acks: "all", "enable.idempotence": "true"},
			topic: {"min.insync.replicas": "2"}, found: []},
		{name: "open", verdict: "UNDECIDED", producer: {}, topic: {}, found: []}]}]}' >"$work/suite.json"
}
compare() { python3 "$top/tests/broker/tools/lint_suite.py" "$mq" "$work/suite.json" >"$work/compare.txt" 2>&1; }
suite '[{"kind": "lost", "stage": "broker", "count": 3}]'
compare
is "right predictions: exit code, what was compared" "$? $(tail -1 "$work/compare.txt")" "0 2 right, 0 wrong"
suite '[{"kind": "lost", "stage": "broker", "count": 3}, {"kind": "corrupted", "stage": "broker", "count": 1}]'
compare
is "found and not predicted: exit code" "$? $(grep -c 'corrupted at broker was found, and not predicted' "$work/compare.txt")" "1 1"
suite '[]'
compare
is "sure and not found: exit code" "$? $(grep -c 'lost at broker was sure, and not found' "$work/compare.txt")" "1 1"
jq '.scenarios[0].twins |= map(.verdict = "UNDECIDED")' "$work/suite.json" >"$work/open.json" && mv "$work/open.json" "$work/suite.json"
compare
is "nothing to compare is no success: exit code" "$?" 2
of_rabbitmq() { # FOUND: a suite's results of RabbitMQ with one scenario, and one that hangs on policies
	jq -n --argjson found "$1" '{format: "mqaudit-suite/1", broker: "rabbitmq", scenarios: [{name: "transient-restart", twins: [
		{name: "transient", verdict: "FAIL", producer: {persistent: "false"}, topic: {"x-queue-type": "classic"}, found: $found}]},
		{name: "mirror-promoted", twins: [
			{name: "untold", verdict: "FAIL", producer: {}, topic: {}, found: [{kind: "lost", stage: "broker"}]},
			{name: "told", verdict: "FAIL", producer: {}, topic: {}, policy: {"ha-mode": "all"},
				found: [{kind: "lost", stage: "broker"}]}]}]}' >"$work/suite.json"
}
of_rabbitmq '[{"kind": "lost", "stage": "broker", "count": 3}]'
compare
is "RabbitMQ, right predictions: exit code, what was compared" "$? $(tail -1 "$work/compare.txt")" "0 2 right, 0 wrong"
is "... a twin whose policies are not told is left out" "$(grep -c '^skip  mirror-promoted untold' "$work/compare.txt")" 1
of_rabbitmq '[]'
compare
is "RabbitMQ, sure and not found: exit code" "$? $(grep -c 'lost at broker was sure, and not found' "$work/compare.txt")" "1 1"
of_rabbitmq '[{"kind": "lost", "stage": "broker"}, {"kind": "duplicated", "stage": "produce"}]'
compare
is "RabbitMQ, found and not predicted: exit code" "$? $(grep -c 'duplicated at produce was found, and not predicted' "$work/compare.txt")" "1 1"

done_testing
