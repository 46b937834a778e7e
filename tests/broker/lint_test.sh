#!/usr/bin/env bash
# lint against the real things: its tables of Kafka's settings against Kafka's own classes, what it says of Java's
# producer against that producer, the settings of topic and brokers against a live cluster, and one prediction
# against a fault. Without the permission it says so.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

url() { echo "kafka://lab:$lab/$1"; }
lint() { # ARGUMENTS...: JSON into lint.json, the exit code into $code
	"$mq" lint "$@" --format json >"$work/lint.json" 2>"$work/lint.err"
	code=$?
}
says() { jq -r "$1" "$work/lint.json"; }
setting() { says ".settings.$1[\"$2\"] | \"\(.value) \(.from)\""; } # SCOPE NAME: value and where from
predicted() { # SCENARIO: kinds at stages, '!' where sure
	says "[.predictions[] | select(.scenario == \"$1\") | \"\(.kind)@\(.stage)\" + (if .sure then \"!\" else \"\" end)] |
		unique | join(\" \")"
}

# ---- the tables, against Kafka's own classes ---------------------------------------------------------
lab_up --broker-config log.retention.hours=5 --broker-config offsets.topic.replication.factor=2
version=$("$mq" lab status kafka --lab "$lab" --format json | jq -r .version)
libs=$MQAUDIT_DIST/kafka-$version/libs
ok "the lab's Kafka is the one of the tables" test -e "$libs/kafka-clients-4.1.0.jar"
defs() { # CLASSPATH CLASS: the rows that the class itself documents
	java -cp "$1" "$2" >"$work/defs.html" 2>"$work/defs.err" && python3 "$top/tests/broker/tools/config_defs.py" "$work/defs.html"
}
table() { # TABLE CLASS
	defs "$libs/*" "$2" | LC_ALL=C sort >"$work/real.tsv"
	"$mq" lint --defaults "$1" >"$work/ours.tsv"
	ok "$1: there are rows" test "$(wc -l <"$work/real.tsv")" -ge 30
	is "$1: each row is Kafka's own, and none is missing" "$(diff "$work/real.tsv" "$work/ours.tsv")" ""
}
table java-producer org.apache.kafka.clients.producer.ProducerConfig
table java-consumer org.apache.kafka.clients.consumer.ConsumerConfig
table topic org.apache.kafka.storage.internals.log.LogConfig
table broker kafka.server.KafkaConfig

# ---- Java's producer itself: what it makes of settings, or that it does not start --------------------
cat >"$work/log4j2.properties" <<'EOF'
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
EOF
java_producer() { # FILE: "name=value ..." of the real one, or "refused"
	java -Dlog4j2.configurationFile="$work/log4j2.properties" -cp "$libs/*" org.apache.kafka.tools.ProducerPerformance \
		--topic t --num-records 1 --record-size 10 --throughput 1 --producer.config "$1" \
		--producer-props bootstrap.servers=127.0.0.1:1 max.block.ms=1 >"$work/java.out" 2>&1
	if grep -q 'ConfigException' "$work/java.out"; then
		echo refused
		return
	fi
	for name in acks enable.idempotence retries max.in.flight.requests.per.connection request.timeout.ms linger.ms; do
		echo "$name=$(sed -n "s/^[[:space:]]*$name = //p" "$work/java.out" | head -1 | sed 's/^-1$/all/')"
	done | paste -sd' '
}
our_java() { # FILE
	lint --client java --producer-config "$1"
	if [ "$code" -eq 2 ]; then
		echo refused
		return
	fi
	for name in acks enable.idempotence retries max.in.flight.requests.per.connection request.timeout.ms linger.ms; do
		echo "$name=$(says ".settings.producer[\"$name\"].value")"
	done | paste -sd' '
}
while read -r line; do
	tr ' ' '\n' <<<"$line" >"$work/java.properties"
	real=$(java_producer "$work/java.properties")
	is "Java's producer with '$line': $real" "$(our_java "$work/java.properties")" "$real"
done <<'EOF'

acks=1
acks=0
retries=0
max.in.flight.requests.per.connection=6
enable.idempotence=false
enable.idempotence=true acks=1
enable.idempotence=true retries=0
enable.idempotence=true max.in.flight.requests.per.connection=6
transactional.id=t
transactional.id=t acks=1
transactional.id=t enable.idempotence=false
delivery.timeout.ms=4000
delivery.timeout.ms=4000 request.timeout.ms=3000 linger.ms=1000
delivery.timeout.ms=4000 request.timeout.ms=3000 linger.ms=1001
acks=maybe
acks=2
retries=-1
enable.idempotence=yes
EOF

# ---- the live cluster --------------------------------------------------------------------------------
create() { # TOPIC OPTIONS...
	local topic=$1; shift
	in_lab kafka-topics --bootstrap-server "$(bootstrap)" --create --topic "$topic" --partitions 2 "$@" >"$work/create.out" 2>&1 ||
		bail "$(cat "$work/create.out")"
}
create plain --replication-factor 3
create strict --replication-factor 3 --config min.insync.replicas=2 --config flush.messages=1 --config cleanup.policy=compact
create thin --replication-factor 1
lint "$(url plain)" -X acks=1
is "a topic as it comes: exit code, and that it was asked" "$code $(says .live)" "1 true"
is "replicas, asked of the cluster" "$(setting topic replication.factor)" "3 topic"
is "a broker's setting holds for the topic" "$(setting topic retention.ms)" "18000000 broker"
is "a broker's own" "$(setting broker offsets.topic.replication.factor)" "2 broker"
is "a default" "$(setting topic unclean.leader.election.enable)" "false broker default"
is "what clients cannot ask for is not known" "$(says '.settings.broker["eligible.leader.replicas.version"].value')" unknown
is "so the last replica's power cut may lose" "$(predicted last-replica-power-cut | grep -o 'lost@broker!*')" "lost@broker"
is "acks=1 loses when the leader is cut off" "$(predicted leader-isolated | grep -o 'lost@broker!*')" "lost@broker!"
lint "$(url strict)" -X acks=all -X enable.idempotence=true --broker-config eligible.leader.replicas.version=1
is "a topic's own settings" "$(setting topic min.insync.replicas), $(setting topic flush.messages), $(setting topic cleanup.policy)" \
	"2 topic, 1 topic, compact topic"
is "nothing breaks the promise: exit code" "$code $(says .unsafe)" "0 false"
lint "$(url strict)" -X acks=all -X enable.idempotence=true --topic-config flush.messages=9223372036854775807
is "what if? The user's word comes before the topic's" "$code $(setting topic flush.messages)" \
	"1 9223372036854775807 --topic-config"
lint "$(url thin)" -X acks=1
is "one replica: no other leader, nothing lost when it is cut off" \
	"$(setting topic replication.factor), $(predicted leader-isolated | grep -c lost)" "1 topic, 0"
# the brokers may differ: the worst counts
in_lab kafka-configs --bootstrap-server "$(bootstrap)" --alter --entity-type brokers --entity-name 2 \
	--add-config log.retention.ms=60000 >"$work/alter.out" 2>&1 || bail "$(cat "$work/alter.out")"
differ() { lint "$(url plain)" && [ "$(says .live)" = true ]; [ "$(setting topic retention.ms)" = "60000 broker" ]; }
ok "one broker's shorter retention counts" wait_until 20 differ
ok "... and a note says that they differ" test "$(says '.notes | map(select(test("brokers differ in log.retention.ms"))) | length')" = 1
"$mq" lint "$(url none)" >"$work/none.out" 2>"$work/none.err"
is "a topic that is not there: exit code, no answer" "$? $(wc -c <"$work/none.out")" "3 0"
ok "... and says so" grep -q "topic 'none' does not exist" "$work/none.err"

# ---- predictions and a fault: the leader is cut off ---------------------------------------------------
rate=300
declare -A twin=([one]="-X acks=1" [zero]="-X acks=0" [all]="-X acks=all" [safe]="-X acks=all -X enable.idempotence=true") pid=()
for name in "${!twin[@]}"; do
	# shellcheck disable=SC2086 # options are words
	"$mq" run "$(url "$name")" --run "$name" --replica-assignment 1:2:3 --create-topic 1 --topic-config min.insync.replicas=2 \
		-r "$rate" -q ${twin[$name]} >"$work/$name.txt" 2>&1 &
	pid[$name]=$!
done
going() { report_is "$1" ".counts.read >= $2"; }
for name in "${!twin[@]}"; do ok "$name gets going" wait_until 60 going "$name" $((rate * 2)); done
leader() { "$mq" lab leader kafka one 0 --lab "$lab" 2>/dev/null; }
is "kafka1 leads" "$(leader)" kafka1
"$mq" lab fault isolate kafka1 --from brokers --lab "$lab" >"$work/fault.txt"
is "the leader is cut off" $? 0
moved() { [ "$(leader)" != kafka1 ]; }
ok "the majority elects another" wait_until 60 moved
acked_before=$(report one .counts.acked)
more() { report_is one ".counts.acked >= $((acked_before + rate * 2))"; }
ok "it still acknowledges with acks=1" wait_until 60 more
"$mq" lab heal --lab "$lab" >"$work/heal.txt" 2>&1
ok "the fault bit: packets were dropped" grep -qE '[1-9][0-9]* packets dropped in, [1-9]' "$work/heal.txt"
again() { report_is safe ".counts.acked > $((rate * 3))"; }
ok "acks=all goes on after the heal" wait_until 60 again
kill -INT "${pid[@]}"
wait "${pid[@]}"
words() { tr ' ' '\n' | sed '/^$/d' | LC_ALL=C sort -u; }
for name in "${!twin[@]}"; do
	report "$name" '.findings[] | select(.withdrawn == false) | "\(.kind)@\(.stage)"' | words >"$work/found"
	# shellcheck disable=SC2086
	lint "$(url "$name")" ${twin[$name]}
	predicted leader-isolated | words >"$work/predicted"
	note "$name: $(report "$name" .verdict), found: $(paste -sd' ' "$work/found"); predicted: $(paste -sd' ' "$work/predicted")"
	is "$name: what is found was predicted" "$(tr -d '!' <"$work/predicted" | words | comm -23 "$work/found" -)" ""
	is "$name: what was sure is found" "$(sed -n 's/!$//p' "$work/predicted" | words | comm -13 "$work/found" -)" ""
done
is "acks=1 and acks=0 fail, idempotence keeps all" "$(report one .verdict) $(report zero .verdict) $(report safe .verdict)" \
	"FAIL FAIL PASS"

# ---- without the permission --------------------------------------------------------------------------
"$mq" lab down --lab "$lab" >/dev/null 2>&1
lab_up --nodes 1 --secure
files=$MQAUDIT_STATE/lab/$lab/kafka
"$mq" run "$(url alice-1)" --create-topic 1 -n 10 -q >"$work/alice.txt" 2>&1 || bail "$(cat "$work/alice.txt")"
"$mq" lint "$(url alice-1)" --format json >"$work/lint.json" 2>"$work/lint.err"
is "the administrator may ask" "$? $(says .live)" "1 true"
"$mq" lint "$(url alice-1)" --producer-config "$files/mallory.properties" >"$work/denied.out" 2>"$work/denied.err"
is "who may not even see the topic: exit code, no answer" "$? $(wc -c <"$work/denied.out")" "3 0"
ok "... and says so" grep -q 'authorization failed' "$work/denied.err"
"$mq" lint "$(url alice-1)" --producer-config "$files/alice.properties" >"$work/denied.out" 2>"$work/denied.err"
is "who may write, and not describe the brokers: exit code, no answer" "$? $(wc -c <"$work/denied.out")" "3 0"
ok "... and says which permission it needs" grep -q 'DescribeConfigs' "$work/denied.err"
password=$(sed -n 's/^sasl.password=//p' "$files/alice.properties")
is "no password is told" "${password:+there is one} $(cat "$work"/denied.* "$work/lint.json" | grep -cF -- "$password")" "there is one 0"

# ---- 3.9.1: wherever a rule looks, its values are those of the tables --------------------------------
"$mq" lab down --lab "$lab" >/dev/null 2>&1
lab_up --nodes 1 --version 3.9.1
libs=$MQAUDIT_DIST/kafka-3.9.1/libs
while read -r which class names; do
	defs "$libs/*" "$class" | LC_ALL=C sort >"$work/real.tsv"
	"$mq" lint --defaults "$which" >"$work/ours.tsv"
	for name in $names; do
		is "3.9.1, $which: $name" "$(grep -P "^\Q$name\E\t" "$work/ours.tsv")" "$(grep -P "^\Q$name\E\t" "$work/real.tsv")"
	done
done <<'EOF'
java-producer org.apache.kafka.clients.producer.ProducerConfig acks enable.idempotence retries max.in.flight.requests.per.connection delivery.timeout.ms request.timeout.ms transactional.id
java-consumer org.apache.kafka.clients.consumer.ConsumerConfig enable.auto.commit isolation.level
broker kafka.server.KafkaConfig min.insync.replicas unclean.leader.election.enable log.retention.hours log.retention.ms log.retention.bytes log.flush.interval.messages log.flush.interval.ms log.flush.scheduler.interval.ms log.cleanup.policy offsets.topic.replication.factor default.replication.factor
EOF
in_lab kafka-topics --bootstrap-server "$(bootstrap)" --create --topic old --partitions 1 >"$work/create.out" 2>&1 ||
	bail "$(cat "$work/create.out")"
lint "$(url old)" -X acks=1
is "a cluster of 3.9.1 answers as well" "$code $(says .live) $(setting topic min.insync.replicas)" "1 true 1 broker default"
done_testing
