#!/usr/bin/env bash
# RabbitMQ behind TLS, and what goes wrong from outside: each time one clear message with the reason and what to do,
# the right exit code, in bounded time ($limit seconds). See bad_input_test.sh, which is Kafka's.
# shellcheck source=../cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

"$mq" lab up rabbitmq --lab "$lab" --nodes 1 --secure --until-pid $$ >"$work/lab.log" 2>&1 ||
	bail "the lab does not come up: $(tail -3 "$work/lab.log")"
files=$MQAUDIT_STATE/lab/$lab/rabbitmq
address=$("$mq" lab status rabbitmq --lab "$lab" --format json | jq -r .bootstrap)
control() { "$mq" lab exec rabbitmq --lab "$lab" -- rabbitmqctl -q "$@" >"$work/control" 2>&1 || bail "$*: $(<"$work/control")"; }
url() { echo "amqp://lab:$lab/$1"; }
inside=(lab exec rabbitmq --lab "$lab" -- "$mq")
few=(-n 10 --timeout 3s -q)
limit=15
ends() { # NAME CODE ARGUMENTS...: for what ends with a report
	local name=$1 expected=$2; shift 2

	run "$@"
	is "$name: exit code" "$code" "$expected"
}
hinted() { ok "... with the hint: $1" contains "$err" "^mqaudit: hint: .*$1"; }

# ---- TLS that succeeds -----------------------------------------------------------------------------
is "the lab's port is that of TLS" "${address##*:}" 5671
ends "the lab's administrator, over TLS" 0 run "$(url alice-1)" --create-queue classic --run admin --no-policy "${few[@]}"
is "... PASS" "$(report admin .verdict)" PASS
admin=("${inside[@]}" run "amqps://mqaudit@$address/%2F/alice-1" --producer-config "$files/admin.properties" --no-policy "${few[@]}")
ends "amqps://, with the authority's file" 0 "${admin[@]}" --run amqps
is "... PASS" "$(report amqps .verdict)" PASS
ends "a user with permissions" 0 run "$(url alice-2)" --create-queue quorum --run alice --no-policy "${few[@]}" \
	--producer-config "$files/alice.properties"
ends "a client's certificate of the lab's authority" 0 "${admin[@]}" --run certified \
	-X ssl.certificate.location="$files/alice.crt" -X ssl.key.location="$files/alice.key"
is "the node speaks nothing else" "$("$mq" lab exec rabbitmq --lab "$lab" -- ss -Hltn | grep -c ':5672 ')" 0
limit=120 ends "RabbitMQ's own tools, and the address for others" 0 lab exec rabbitmq --lab "$lab" -- sh -c \
	'rabbitmqctl -q list_users && case $RABBITMQ_URL in amqps://*:5671/%2F) ;; *) exit 1 ;; esac'
ends "the lab says that it is secure" 0 lab status rabbitmq --lab "$lab"
ok "... and where its users are" contains "$out" "properties .*/admin.properties"

# A node that dies under TLS is one that is away, and no certificate that is refused.
"$mq" run "$(url alice-4)" --create-queue classic --run killed --no-policy -r 500 -n 4k -q >"$work/killed.out" 2>"$work/killed.err" &
killed=$!
going() { report_is killed '.counts.read > 500'; }
ok "a run gets going, over TLS" wait_until 60 going
"$mq" lab fault kill rabbitmq1 --lab "$lab" >>"$work/lab.log" 2>&1 && "$mq" lab heal --lab "$lab" >>"$work/lab.log" 2>&1
is "its node is killed, and comes back" "$?" 0
wait "$killed"
is "... both probe and check connect again, and all that was acked is there: exit code" "$? $(grep error "$work/killed.err")" "0 "
ok "... and there was something" report_is killed '.verdict == "PASS" and .counts.acked > 1500'

# ---- certificates ----------------------------------------------------------------------------------
mkdir "$work/tls"
key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
openssl req -x509 "${key[@]}" -days 30 -subj /CN=other -keyout "$work/other.key" -out "$work/other.pem" 2>/dev/null ||
	bail "no other authority"
for name in other-host:DNS:elsewhere.example by-address:IP:127.0.0.1 good:DNS:127.0.0.1; do
	openssl req -x509 -CA "$files/ca.pem" -CAkey "$files/ca.key" "${key[@]}" -days 3 -subj /CN=node \
		-addext "subjectAltName=${name#*:}" -keyout "$work/key" -out "$work/crt" 2>/dev/null || bail "no certificate"
	cat "$work/key" "$work/crt" >"$work/tls/${name%%:*}.pem"
done
# openssl req makes none for the past
mkdir "$work/ca" && : >"$work/ca/index" && echo 01 >"$work/ca/serial"
cat >"$work/ca/conf" <<EOF
[ca]
default_ca = it
[it]
database = $work/ca/index
serial = $work/ca/serial
new_certs_dir = $work/ca
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
EOF
in_the_past() { # FILE SUBJECT EXTENSION
	openssl req "${key[@]}" -subj "/CN=$2" -keyout "$1.key" -out "$work/csr" 2>/dev/null && echo "$3" >"$work/ext" &&
		openssl ca -batch -notext -config "$work/ca/conf" -cert "$files/ca.pem" -keyfile "$files/ca.key" -in "$work/csr" \
			-out "$1.crt" -startdate 20200101000000Z -enddate 20210101000000Z -extfile "$work/ext" 2>"$work/ca/err" ||
		bail "no expired certificate: $(tail -1 "$work/ca/err")"
}
in_the_past "$work/old" node subjectAltName=DNS:127.0.0.1
cat "$work/old.key" "$work/old.crt" >"$work/tls/expired.pem"
in_the_past "$work/client" alice extendedKeyUsage=clientAuth
python3 "$top/tests/broker/tools/bad_ports.py" "$work/tls" >"$work/ports" 2>"$work/ports.err" &
ports=$!
trap 'kill "$ports" 2>/dev/null; cleanup' EXIT
are_ready() { grep -qs '^ready' "$work/ports"; }
wait_until 20 are_ready || bail "no ports: $(<"$work/ports.err")"
port() { awk -v name="$1" '$1 == name { print $2 }' "$work/ports"; }
tls() { # PORT'S NAME ARGUMENTS...
	echo run "amqps://guest@127.0.0.1:$(port "$1")/%2F/q" -X "ssl.ca.location=$files/ca.pem" "${few[@]}"
}
# shellcheck disable=SC2046 # words
refused "a certificate that has expired" 3 'peer cert verification failed: certificate has expired \(127' $(tls expired)
hinted 'new certificate'
# shellcheck disable=SC2046
refused "a certificate for another host" 3 'hostname verification failed \(127' $(tls other-host)
hinted 'is for another host'
# shellcheck disable=SC2046
refused "a certificate with the address, and not as a name" 3 'hostname verification failed' $(tls by-address)
hinted 'as a DNS name'
# shellcheck disable=SC2046
refused "the right one, of who hangs up" 3 "login as 'guest'.*SSL error" $(tls good)
hinted 'hangs up'
# shellcheck disable=SC2046
refused "... which is not looked at without ssl.verify" 3 "login as 'guest'" $(tls other-host) -X ssl.verify=false
refused "another certificate authority" 3 'peer cert verification failed: .*certificate' \
	run "$(url alice-1)" "${few[@]}" -X ssl.ca.location="$work/other.pem"
hinted 'ssl.ca.location=FILE names'
refused "the system's authorities only" 3 'peer cert verification failed: self-signed certificate in certificate chain' \
	"${inside[@]}" run "amqps://mqaudit@$address/%2F/alice-1" "${few[@]}"
hinted 'ssl.ca.location'
refused "an authority's file that is not there" 2 "no certificates can be read from '/nonexistent'" \
	run "$(url alice-1)" "${few[@]}" -X ssl.ca.location=/nonexistent
hinted 'PEM'
# the alert that says so may be lost with the connection
refused "a client's certificate of another authority" 3 "login as 'mqaudit'.*SSL error occurred" "${admin[@]}" \
	-X ssl.certificate.location="$work/other.pem" -X ssl.key.location="$work/other.key"
hinted 'ssl.certificate.location'
refused "a client's certificate that has expired" 3 "login as 'mqaudit'.*SSL error occurred" "${admin[@]}" \
	-X ssl.certificate.location="$work/client.crt" -X ssl.key.location="$work/client.key"
hinted 'ssl.certificate.location'
refused "a key that does not belong to the certificate" 2 'do not belong together' "${admin[@]}" \
	-X ssl.certificate.location="$files/alice.crt" -X ssl.key.location="$work/other.key"
hinted 'ssl.key.location'

# ---- hosts and ports -------------------------------------------------------------------------------
at() { echo "amqp://guest@127.0.0.1:$(port "$1")/%2F/q"; }
refused "an unknown host" 3 'hostname lookup failed \(nohost.invalid:5672\)' run amqp://guest@nohost.invalid/%2F/q "${few[@]}"
hinted 'name of the host'
refused "a closed port" 3 '127.0.0.1:1 refuses' run "amqp://guest@$nowhere/%2F/q" "${few[@]}"
hinted 'check host and port'
refused "a port that never answers" 3 'no answer in time' run "$(at silent)" "${few[@]}"
hinted 'says nothing'
refused "... to TLS either" 3 'no answer in time' run "amqps://guest@127.0.0.1:$(port silent)/%2F/q" "${few[@]}"
hinted 5671
refused "a port that hangs up" 3 'socket error|closed unexpectedly' run "$(at closes)" "${few[@]}"
hinted 'hangs up'
refused "... on TLS as well" 3 'SSL handshake failed' run "amqps://guest@127.0.0.1:$(port closes)/%2F/q" "${few[@]}"
hinted 5671
refused "a port of HTTP" 3 'invalid AMQP data' run "$(at http)" "${few[@]}"
hinted 'does not speak AMQP'
refused "... asked for TLS" 3 'SSL handshake failed: wrong version number' run "amqps://guest@127.0.0.1:$(port http)/%2F/q" "${few[@]}"
hinted 5671
refused "a port that says anything" 3 'invalid AMQP data|socket error' run "$(at garbage)" "${few[@]}"
refused "a broker of AMQP 1.0" 3 'unexpected method' run "$(at amqp-1.0)" "${few[@]}"
hinted 'another version of AMQP'
refused "a broker of AMQP 0-8" 3 'unexpected method' run "$(at amqp-0-8)" "${few[@]}"
hinted 'another version of AMQP'
refused "Kafka's protocol to a port of RabbitMQ's" 3 "${address%:*}:5671" "${inside[@]}" run "kafka://$address/t" "${few[@]}"
refused "amqp:// to a port of TLS" 3 'socket error|invalid AMQP data|unexpected' "${inside[@]}" run "amqp://guest@$address/%2F/q" "${few[@]}"
hinted 'amqps://|does not speak AMQP'

# ---- users, virtual hosts, permissions -------------------------------------------------------------
MQAUDIT_AMQP_PASSWORD=hunter2 refused "a wrong password" 3 "login as 'mqaudit' .*ACCESS_REFUSED - Login was refused" \
	run "$(url alice-1)" "${few[@]}"
hinted '--password-file'
ok "... the password is not told" test "$(cat "$work/out" "$work/err" | grep -c hunter2)" = 0
refused "an unknown user" 3 "login as 'nobody' .*ACCESS_REFUSED" run "$(url alice-1)" -X user=nobody "${few[@]}"
hinted 'user is in the URL'
refused "a virtual host that is not there" 3 'NOT_ALLOWED - vhost nope not found' \
	"${inside[@]}" run "amqps://mqaudit@$address/nope/q" --producer-config "$files/admin.properties" "${few[@]}"
hinted '%2F'
control add_vhost closed
refused "a virtual host that one may not enter" 3 "NOT_ALLOWED - access to vhost 'closed' refused for user 'alice'" \
	"${inside[@]}" run "amqps://$address/closed/alice-1" --producer-config "$files/alice.properties" "${few[@]}"
hinted set_permissions
alice=(--producer-config "$files/alice.properties" "${few[@]}")
mallory=(--producer-config "$files/mallory.properties" "${few[@]}")
refused "a queue that one may not make" 3 "declaration of queue 'bob': ACCESS_REFUSED - access to queue 'bob'" \
	run "$(url bob)" --create-queue classic "${alice[@]}"
hinted set_permissions
refused "a queue that one may not ask for" 3 "ACCESS_REFUSED - access to queue 'alice-1'" run "$(url alice-1)" "${mallory[@]}"
hinted "'configure'"
refused "an exchange that one may not publish to" 3 "access to exchange 'amq.default' .* refused for user 'mallory'" \
	probe "$(url alice-1)" --run unwritten -X queue.type=classic "${mallory[@]}"
hinted set_permissions
refused "another exchange" 3 "access to exchange 'amq.topic' .* refused for user 'alice'" \
	probe "$(url alice-1)" --run unpublished --exchange amq.topic "${alice[@]}"
hinted set_permissions
refused "an exchange that is not there" 3 "NOT_FOUND - no exchange 'nowhere' in vhost '/'" \
	probe "$(url alice-1)" --run nowhere --exchange nowhere "${few[@]}"
hinted 'must be there before'
control set_permissions mallory '^alice' '.*' '^$'
ends "a queue that one may not read" 3 run "$(url alice-3)" --create-queue classic --run unread "${mallory[@]}"
ok "... says so" contains "$err" "error: .*access to queue 'alice-3' .* refused for user 'mallory'"
hinted set_permissions
is "... and what was sent is on record" "$(report unread '"\(.verdict) \(.counts.acked)"')" "open 10"

# ---- queues ----------------------------------------------------------------------------------------
refused "a queue that is not there" 3 "queue 'none' does not exist in virtual host '/'" run "$(url none)" "${few[@]}"
hinted '--create-queue'
refused "a queue of another type" 3 "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' .*received 'quorum' but current is 'classic'" \
	run "$(url alice-1)" --create-queue quorum "${few[@]}"
hinted 'there already'
refused "a queue with another argument" 3 "PRECONDITION_FAILED - inequivalent arg 'x-max-length' .*received the value '5'.* current is none" \
	run "$(url alice-1)" --create-queue classic --queue-argument x-max-length=5 "${few[@]}"
hinted 'there already'
refused "a queue that is not durable, where one is" 3 "PRECONDITION_FAILED - inequivalent arg 'durable'" \
	run "$(url alice-1)" --create-queue classic --queue-argument durable=false "${few[@]}"
refused "an argument that the type does not take" 3 "PRECONDITION_FAILED - invalid arg 'x-max-priority'" \
	run "$(url new)" --create-queue quorum --queue-argument x-max-priority=5 "${few[@]}"
hinted 'do not take it'
refused "an argument's wrong value" 3 "PRECONDITION_FAILED - invalid arg 'x-message-ttl'.*value_negative" \
	run "$(url new)" --create-queue classic --queue-argument x-message-ttl=-5 "${few[@]}"
refused "a queue with messages of others" 3 "has 0 consumers and 10 messages already" \
	run "$(url alice-3)" "${few[@]}"
hinted 'of its own'
# all of it at once, in one command
refused "lint, with a wrong password" 3 ACCESS_REFUSED lint "$(url alice-1)" -X user=nobody --timeout 3s
refused "selftest, of who may not make a queue" 3 "ACCESS_REFUSED - access to queue 'bob'" \
	selftest "$(url bob)" --producer-config "$files/alice.properties" --timeout 3s
done_testing
