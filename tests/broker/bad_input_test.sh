#!/usr/bin/env bash
# What goes wrong from outside: each time one clear message with the reason and what to do, the right exit
# code, in bounded time ($limit seconds), and nothing lost of what was recorded.
# shellcheck source=../cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

url() { echo "kafka://lab:$lab/$1"; }
ends() { # NAME CODE ARGUMENTS...: for what ends with a report
	local name=$1 expected=$2; shift 2

	run "$@"
	is "$name: exit code" "$code" "$expected"
}
hinted() { ok "... with the hint: $1" contains "$err" "^mqaudit: hint: .*$1"; }
few=(-n 10 --timeout 3s -q)
limit=15

# ---- what must not change ------------------------------------------------------------------------
lab_up --nodes 1
"$mq" ledger start >/dev/null 2>&1 || bail "no ledger"
ends "a first run" 0 run "$(url kept)" --create-topic 1 --run kept "${few[@]}"
evidence() { report kept 'del(.made_by) | tojson' | sha256sum; }
kept=$(evidence)

# ---- hosts and ports -----------------------------------------------------------------------------
refused "an unknown host" 3 "Failed to resolve 'nohost.invalid:9092'" run kafka://nohost.invalid/t "${few[@]}"
hinted 'check the name of the host'
refused "a closed port" 3 "127.0.0.1:1 failed: Connection refused" run "$no_broker" "${few[@]}"
hinted 'check host and port'

# A port that accepts and never answers; a line for each that came.
python3 -u -c '
import socket
s = socket.create_server(("127.0.0.1", 0), backlog=100)
print(s.getsockname()[1])
kept = []
while True:
    kept.append(s.accept())
    print("came")
' >"$work/silent" &
silent=$!
trap 'kill "$silent" 2>/dev/null; cleanup' EXIT
port_is_known() { [ -s "$work/silent" ]; }
wait_until 10 port_is_known || bail "no silent port"
port=$(head -1 "$work/silent")
refused "a port that never answers" 3 "127.0.0.1:$port did not answer within 3.0 s" \
	run "kafka://127.0.0.1:$port/t" "${few[@]}"
hinted 'security.protocol'
came() { [ "$(grep -c came "$work/silent")" -gt "$1" ]; }

refused "RabbitMQ's protocol to a port of Kafka's" 3 'socket error|closed unexpectedly|invalid AMQP data|no answer in time' \
	lab exec kafka --lab "$lab" -- "$mq" run "amqp://guest@$(bootstrap)/%2F/q" "${few[@]}"
hinted "RabbitMQ's port"

before=$(grep -c came "$work/silent")
timeout -k 1 30 "$mq" run "kafka://127.0.0.1:$port/t" -n 10 --timeout 25s >"$work/stopped.out" 2>"$work/stopped.err" &
timer=$!
ok "while it waits for such a port" wait_until 10 came "$before"
start=$SECONDS
pid=$(pgrep -P "$timer")
kill -INT "$pid"
wait "$timer"
is "... Ctrl-C ends it with 4" "$?" 4
ok "... at once ($((SECONDS - start)) s)" test $((SECONDS - start)) -le 5
is "... and it says so" "$(<"$work/stopped.err")" 'mqaudit: stopped before anything was sent'

# ---- topics and properties -----------------------------------------------------------------------
refused "a missing topic" 3 "topic 'missing' does not exist" run "$(url missing)" "${few[@]}"
hinted 'create-topic'
refused "another number of partitions" 2 "there already, with 1 partition, not 5" \
	run "$(url kept)" --create-topic 5 "${few[@]}"
hinted 'leave out --create-topic'
refused "another replication" 2 "replicated 1 times, not 3" run "$(url kept)" --create-topic 1:3 "${few[@]}"
ends "the same number of partitions is fine" 0 run "$(url kept)" --create-topic 1 --run again "${few[@]}"
refused "a partition that is not there" 2 "there is no partition 7" run "$(url kept)" --partitions 0,7 "${few[@]}"
hinted 'partitions 0 to 0'
in_lab sh -c "kafka-topics --bootstrap-server $(bootstrap) --create --topic theirs --partitions 1 &&
	echo hello | kcat -b $(bootstrap) -P -t theirs" >"$work/theirs" 2>&1 || bail "theirs: $(tail -1 "$work/theirs")"
refused "a topic that others use" 3 "last records of 'theirs', partition 0, are not mqaudit's" \
	run "$(url theirs)" "${few[@]}"
hinted 'topic of its own for the audit, or say --shared'
ends "... unless that is meant" 0 run "$(url theirs)" --run shared --shared "${few[@]}"
is "... then the others' records are left out of it" "$(report shared '"\(.verdict) \(.fenced)"')" "PASS false"
refused "more replicas than brokers" 2 "cannot create topic 'three'.*only 1 broker" \
	run "$(url three)" --create-topic 1:3 "${few[@]}"
refused "a topic setting that is none" 2 "cannot create topic 'set'.*no.such" \
	run "$(url set)" --create-topic 1 --topic-config no.such=1 "${few[@]}"
refused "a property that is none" 2 "has no property 'no.such'" run "$(url kept)" -X no.such=1 "${few[@]}"
hinted 'CONFIGURATION.md'
refused "a property's wrong value" 2 "property 'acks'" run "$(url kept)" -X acks=seven "${few[@]}"
refused "a property's value out of range" 2 "property 'linger.ms'.*outside allowed range" \
	run "$(url kept)" -X linger.ms=999999999 "${few[@]}"
refused "properties that contradict" 2 'acks. must be set to .all. when .enable.idempotence. is true' \
	run "$(url kept)" --run contradiction -X acks=1 -X enable.idempotence=true "${few[@]}"
refused "... leave no run" 3 "no run 'contradiction'" report contradiction
refused "a transactional.id without transactions" 2 'in transactions only' \
	run "$(url kept)" -X transactional.id=x "${few[@]}"
hinted 'transaction N'
printf 'group.protocol=consumer\nno.such.thing=1\n' >"$work/bad.properties"
refused "a properties file with a name that is none" 2 "no.such.thing" \
	run "$(url kept)" --producer-config "$work/bad.properties" "${few[@]}"

# ---- messages ------------------------------------------------------------------------------------
ends "messages larger than the client takes" 4 run "$(url kept)" --run large -s 2M -n 3 --timeout 3s -q
is "... are refused, and there is nothing to judge" "$(report large '"\(.verdict) \(.counts.refused)"')" "NODATA 3"
ok "... and the report says what to do" contains "$(tr -s "\n " " " <<<"$out")" \
	"Try: message.max.bytes of the client, max.message.bytes"
ends "messages larger than the broker takes" 4 run "$(url kept)" --run larger -s 2M -n 3 --timeout 3s -q \
	-X message.max.bytes=5000000
is "... are refused too" "$(report larger '"\(.verdict) \(.counts.refused)"')" "NODATA 3"
ends "the smallest message" 0 run "$(url kept)" --run small -s 64 "${few[@]}"
ends "no message at all" 4 run "$(url kept)" --run zero -n 0 -q
is "... is NODATA" "$(report zero .verdict)" NODATA

# ---- runs ----------------------------------------------------------------------------------------
refused "a run's name that was used" 3 "run 'kept' has ended" run "$(url kept)" --run kept "${few[@]}"
hinted 'runs delete kept'
refused "report of an unknown run" 3 "no run 'nosuch'" report nosuch
hinted 'mqaudit runs'
refused "explain of an unknown run" 3 "no run 'nosuch'" explain nosuch 1.1.0.1
refused "explain of an unknown message" 3 "no message 1.1.0.11" explain kept 1.1.0.11
hinted 'seqs 1 to 10'
refused "explain of an unknown producer" 3 "no message 7.1.0.1" explain kept 7.1.0.1
hinted 'no producer 7.1'
refused "explain of an unknown partition" 3 "no message 1.1.3.1" explain kept 1.1.3.1
hinted 'nothing to partition 3'
refused "check of an unknown run" 3 "no run 'nosuch'" check "$(url kept)" --run nosuch
refused "check without an open run" 2 "no run is open" check "$(url kept)"
hinted 'run NAME'
long=$(printf 'x%.0s' {1..200})
ends "a topic whose name is longer than a run's" 0 run "$(url "$long")" --create-topic 1 "${few[@]}"
ok "... its run has a name that is found" report_is "${long:0:110}-1" '.verdict == "PASS"'

# Two checks at once: the later one takes over, and judges.
"$mq" probe "$(url two)" --run two --create-topic 1 -r 1k -d 6s -q >"$work/two.probe" 2>&1 &
prober=$!
known() { report_is two ".counts.$1 > 500"; }
ok "a run gets going" wait_until 20 known acked
timeout -k 1 60 "$mq" check "$(url two)" --run two -q >"$work/first.out" 2>"$work/first.err" &
first=$!
ok "a first check reads it" wait_until 20 known read
timeout -k 1 60 "$mq" check "$(url two)" --run two -q >"$work/second.out" 2>"$work/second.err" &
second=$!
wait "$first"
is "a second check begins: the first ends with an error" "$?" 3
is "... that says why" "$(grep error "$work/first.err")" 'mqaudit: error: another checker has taken over'
wait "$second"
is "... and the second judges" "$? $(report two .verdict)" "0 PASS"
wait "$prober"

# ---- ledgers -------------------------------------------------------------------------------------
embedded=$("$mq" ledger status --format json | jq -r .conninfo)
in_ledger() { psql -qAt "$1" -c "$2" 2>&1 || bail "psql: $2"; }
with() { sed "s|$1=[^ ]*|$1=$2|" <<<"${3:-$embedded}"; }
to_ledger=(run "$(url kept)" --run elsewhere "${few[@]}" --ledger)
refused "a ledger's port where nothing listens" 3 'port 1 failed: Connection refused' "${to_ledger[@]}" "$no_ledger"
hinted 'MQAUDIT_LEDGER'
limit=20 refused "a ledger that never answers" 3 'no answer within 10.0 s' \
	"${to_ledger[@]}" "postgresql://127.0.0.1:$port/x"
refused "a ledger's host that is none" 3 'nohost.invalid' "${to_ledger[@]}" postgresql://nohost.invalid/x
refused "a database that is not there" 3 'database "nosuch" does not exist' "${to_ledger[@]}" "$(with dbname nosuch)"
hinted 'createdb'
refused "a user that is none" 3 'role "nosuch" does not exist' "${to_ledger[@]}" "$(with user nosuch)"
# A server that says that it is PostgreSQL 14.9: the greeting of the protocol, and no more.
python3 -u -c '
import socket, struct
def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])
while True:
    c, _ = s.accept()
    while True:
        length, code = struct.unpack("!ii", c.recv(8, socket.MSG_WAITALL))
        c.recv(length - 8, socket.MSG_WAITALL)
        if code == 196608:
            break
        c.sendall(b"N")
    said = {b"server_version": b"14.9", b"in_hot_standby": b"off", b"default_transaction_read_only": b"off"}
    c.sendall(message(b"R", struct.pack("!i", 0)))
    for name in said:
        c.sendall(message(b"S", name + b"\0" + said[name] + b"\0"))
    c.sendall(message(b"Z", b"I"))
    c.recv(1)
    c.close()
' >"$work/old" 2>"$work/old.err" &
old=$!
trap 'kill "$silent" "$old" 2>/dev/null; cleanup' EXIT
is_up() { [ -s "$work/old" ]; }
wait_until 10 is_up || bail "no old server"
refused "a server that is too old" 3 "is PostgreSQL 14.9, and 15 or later is needed" \
	"${to_ledger[@]}" "postgresql://me@127.0.0.1:$(<"$work/old")/x"
hinted 'starts a server of its own'
in_ledger "$embedded" "create role weak login"
refused "a user without permission on the ledger" 3 'permission denied for schema mqaudit' \
	"${to_ledger[@]}" "$(with user weak)"
hinted 'must own the schema'
in_ledger "$embedded" "create database newer"
ends "a new database becomes a ledger" 0 runs --ledger "$(with dbname newer)"
in_ledger "$(with dbname newer)" "update mqaudit.meta set value = '999' where name = 'schema_version'"
refused "a ledger of a newer version" 3 'schema version 999, this program knows [0-9]+' \
	"${to_ledger[@]}" "$(with dbname newer)"
hinted 'newer mqaudit'
is "... which is left as it was" "$(in_ledger "$(with dbname newer)" \
	"select value from mqaudit.meta where name = 'schema_version'")" 999
refused "no run of these began" 3 "no run 'elsewhere'" report elsewhere

# ---- a report that nobody gets -------------------------------------------------------------------
"$mq" report kept >/dev/full 2>"$work/err"
is "a report on a full disk: exit code" "$?" 3
is "... says so, once" "$(cat "$work/err")" "mqaudit: error: cannot write the report: No space left on device"
refused "a report's file that cannot be made is known before a message is sent" 3 "cannot write '/nonexistent/x'" \
	run "$(url kept)" --run unreported --output json=/nonexistent/x "${few[@]}"
refused "... and there is no run" 3 "no run 'unreported'" report unreported

# ---- Ctrl-C --------------------------------------------------------------------------------------
RANDOM=${SEED:-$$}
rounds=${INTERRUPTS:-20}
note "$rounds times Ctrl-C, SEED=${SEED:-$$}"
processes_of() { pgrep -f -- "--run[ =]$1( |\$)"; }
interrupt() { # NUMBER HUNDREDTHS TENTHS: a run that is interrupted then, and, TENTHS later if that is not "", again
	local name=int-$1 pid

	"$mq" run "$(url "$name")" --run "$name" --create-topic 1 -r 1k -d 5s -q >"$work/$name.out" 2>"$work/$name.err" &
	pid=$!
	sleep "$(printf '%d.%02d' $(($2 / 100)) $(($2 % 100)))"
	kill -INT "$pid" 2>/dev/null
	if [ -n "$3" ]; then
		sleep "0.$3"
		kill -INT "$pid" 2>/dev/null
	fi
	wait "$pid"
	echo "$?" >"$work/$name.code"
}
at=()
again=()
for ((i = 0; i < rounds; i++)); do
	at[i]=$((RANDOM % 600))
	again[i]=$([ $((i % 2)) -eq 1 ] && echo $((RANDOM % 10)))
done
for ((i = 0; i < rounds; i += 4)); do
	jobs=()
	for ((j = i; j < i + 4 && j < rounds; j++)); do
		interrupt "$j" "${at[j]}" "${again[j]}" &
		jobs+=($!)
	done
	wait "${jobs[@]}"
done
is_over() { ! processes_of "int-[0-9]+" >/dev/null; }
ok "no process of theirs is left" wait_until 10 is_over
connections() { in_ledger "$embedded" "select count(*) from pg_stat_activity where application_name = 'mqaudit'"; }
none_connected() { [ "$(connections)" = 0 ]; }
ok "no connection of theirs is left" wait_until 10 none_connected
"$mq" recover >"$work/recover.out" 2>&1
is "what they left is recovered" "$?" 0
codes=
for ((i = 0; i < rounds; i++)); do
	name=int-$i
	code=$(<"$work/$name.code")
	moment="at $((at[i] / 100)).$(printf %02d $((at[i] % 100))) s${again[i]:+, and 0.${again[i]} s later}"
	codes+="$code "
	verdict=$(report "$name" .verdict)
	if [ -z "$verdict" ]; then
		# it had not begun
		ok "$moment: $code before there was a run" test "$code" -eq 4 -o "$code" -eq 130
		continue
	fi
	case $code in
	0) is "$moment: 0 and its verdict" "$verdict" PASS ;;
	4) ok "$moment: 4 and its verdict, $verdict" contains "$verdict" '^(NODATA|UNDECIDED)$' ;;
	130)
		ok "$moment: 130 only after two" test -n "${again[i]}"
		run check "$(url "$name")" --run "$name" -q
		ok "... and it can be judged: $(report "$name" .verdict)" contains "$(report "$name" .verdict)" \
			'^(PASS|NODATA|UNDECIDED)$'
		;;
	*) is "$moment: exit code" "$code" "0, 4 or 130; $(head -3 "$work/$name.err")" ;;
	esac
	if [ "$(report "$name" .verdict)" = UNDECIDED ]; then
		ok "... undecided for a reason: $(report "$name" '.reasons | join("; ")')" \
			report_is "$name" '.reasons | length > 0'
	fi
	ok "... all that was acked is there" report_is "$name" '.counts.distinct >= .counts.acked'
done
note "exit codes: $codes"
ok "some were interrupted once, and judged" contains "$codes" '(^| )0 '
ok "some were interrupted twice, and ended at once" contains "$codes" '(^| )130 '

# ---- TLS, passwords, permissions -----------------------------------------------------------------
"$mq" lab down --lab "$lab" >/dev/null 2>&1
lab_up --nodes 1 --secure
files=$MQAUDIT_STATE/lab/$lab/kafka
as() { # USER [SED-SCRIPT]: a file of properties, changed
	(umask 077 && sed "${2:-}" "$files/$1.properties" >"$work/as.properties")
	echo "$work/as.properties"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=other \
	-keyout "$work/other.key" -out "$work/other.pem" 2>/dev/null || bail "no other authority"
alice=(run "$(url alice-1)" "${few[@]}" --producer-config)
ends "alice may" 0 "${alice[@]}" "$(as alice)" --create-topic 1 --run alice

refused "a wrong password" 3 'SASL authentication error: .*Invalid username or password' \
	"${alice[@]}" "$(as alice 's/^sasl.password=.*/sasl.password=hunter2/')"
hinted 'sasl.username and the password'
ok "... the password is not told" test "$(cat "$work/out" "$work/err" | grep -c hunter2)" = 0
refused "an unknown user" 3 'Invalid username or password' \
	"${alice[@]}" "$(as alice 's/^sasl.username=.*/sasl.username=nobody/')"
refused "another certificate authority" 3 'certificate verify failed' \
	"${alice[@]}" "$(as alice "s|^ssl.ca.location=.*|ssl.ca.location=$work/other.pem|")"
hinted 'check ssl.ca.location'
refused "a certificate authority's file that is not there" 2 'ssl.ca.location' \
	"${alice[@]}" "$(as alice "s|^ssl.ca.location=.*|ssl.ca.location=$work/none.pem|")"
refused "SASL without TLS" 3 'failed: [0-9.]+:9092: .*(Disconnected|Broken pipe|reset)' "${alice[@]}" "$(as alice 's/SASL_SSL/SASL_PLAINTEXT/')"
hinted 'another security.protocol'
refused "TLS without SASL" 3 'failed: [0-9.]+:9092: .*(Disconnected|Broken pipe|reset)' "${alice[@]}" "$(as alice 's/SASL_SSL/SSL/')"
hinted 'another security.protocol, or credentials'
refused "a plain client to a TLS port" 3 'failed: [0-9.]+:9092: .*(Disconnected|Broken pipe|reset)' \
	lab exec kafka --lab "$lab" -- "$mq" run "kafka://$(bootstrap)/alice-1" "${few[@]}"
hinted 'another security.protocol'

refused "a user who may not even see the topic" 3 'Topic authorization failed' "${alice[@]}" "$(as mallory)"
hinted 'Describe to find it'
refused "a user who may not create" 3 "cannot create topic 'bob-1': Authorization failed" \
	run "$(url bob-1)" --create-topic 1 "${few[@]}" --producer-config "$(as alice)"
hinted 'permission to Create'
refused "readers who may not read" 3 'first and last offset failed: .*authorization failed' \
	"${alice[@]}" "$(as alice)" --consumer-config "$files/mallory.properties"
hinted 'consumer-config'
ends "a fence that may not be written" 4 "${alice[@]}" "$(as alice)" --run unfenced --fence-config "$files/mallory.properties"
is "... leaves the run undecided" "$(report unfenced '"\(.verdict) \(.fenced)"')" "UNDECIDED false"
ok "... and the reason says what to do" report_is unfenced \
	'.reasons | join(" ") | test("authorization failed.*Let this user write there.*--no-fence")'
in_lab kafka-acls --bootstrap-server "$(bootstrap)" --command-config "$files/admin.java.properties" --add \
	--allow-principal User:mallory --operation Describe --operation Read --topic alice-1 >"$work/acls" 2>&1 ||
	bail "kafka-acls: $(tail -3 "$work/acls")"
ends "a user who may read and not write" 4 "${alice[@]}" "$(as mallory)" --run unwritten
is "... each message is refused" "$(report unwritten '"\(.counts.refused) \(.counts.acked)"')" "10 0"
ok "... and the report says what to do" contains "$(tr -s '\n ' ' ' <<<"$out")" 'Try: the permission to Write'

# ---- and nothing was lost ------------------------------------------------------------------------
is "what was recorded at first is still there, unchanged" "$(evidence)" "$kept"
ok "... and there was something" report_is kept '.counts.acked == 10 and .verdict == "PASS"'
done_testing
