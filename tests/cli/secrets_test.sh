#!/bin/bash
# Secrets: refused where everybody can read them, and in no output.
. "$(dirname "$0")/lib.sh"

secret=hunter2

is_not_told() { # the secret is in no output of the last run
	! grep -q "$secret" "$work/out" "$work/err"
}

quiet_about() { # NAME EXPECTED-CODE ARGUMENTS...
	local name=$1 expected=$2; shift 2

	run "$@"
	is "$name: exit code" "$code" "$expected"
	ok "$name: the secret is not told" is_not_told
}

note on the command line
for name in sasl.password ssl.key.password ssl.keystore.password sasl.oauthbearer.client.secret \
	sasl.jaas.config ssl.key.pem ssl.keystore.key some.unknown.token; do
	refused "-X $name=..." 2 "'$name' is a secret" probe "$no_broker" -X "$name=$secret"
	ok "... with the hint" contains "$err" "^mqaudit: hint: .*-X $name=@FILE"
	ok "... not told" is_not_told
done
quiet_about "a secret without a name" 2 probe "$no_broker" -X "$secret"
quiet_about "as the value of an unknown option" 2 probe "$no_broker" "--sasl.password=$secret"
quiet_about "in the destination" 2 probe "kafka://user:$secret@h/t"
quiet_about "in an AMQP destination" 2 probe "amqp://user:$secret@h/v/q"
quiet_about "in the management API's address" 2 probe amqp://127.0.0.1:1/v/q --management "http://user:$secret@h:15672"
quiet_about "in an argument too many" 2 probe "$no_broker" "kafka://user:$secret@h/t"
quiet_about "in the relay's destination" 2 probe "$no_broker" --check "kafka://user:$secret@h/t"
quiet_about "in the ledger's address" 3 runs --ledger "postgresql://user:$secret@$nowhere/x" --verbose
quiet_about "in the ledger's settings" 3 runs --ledger "host=127.0.0.1 port=1 password=$secret"
quiet_about "in a malformed address" 2 runs --ledger "postgresql://user:$secret@[h/x"
quiet_about "in malformed settings" 2 runs --ledger "password=$secret no"

note in the environment, in a config file
export MQAUDIT_PROPERTY=sasl.password=$secret
quiet_about "MQAUDIT_PROPERTY" 2 probe "$no_broker"
unset MQAUDIT_PROPERTY
echo "property = sasl.password=$secret" >"$work/config"
quiet_about "--config FILE" 2 probe "$no_broker" --config "$work/config"
export MQAUDIT_LEDGER=postgresql://user:$secret@$nowhere/x
quiet_about "MQAUDIT_LEDGER" 3 runs
unset MQAUDIT_LEDGER

note in files
echo "$secret" >"$work/password"
quiet_about "-X name=@FILE" 3 probe "$no_broker" --timeout 500ms --verbose -X security.protocol=sasl_plaintext \
	-X sasl.mechanism=PLAIN -X sasl.username=me -X "sasl.password=@$work/password"
ok "... was taken: it failed at the broker" contains "$err" 'refused'
refused "-X name=@FILE without the file" 3 "sasl.password.*'$work/none'" \
	probe "$no_broker" -X "sasl.password=@$work/none"
printf 'sasl.password=%s\\u00zz\n' "$secret" >"$work/client.properties"
quiet_about "a properties file with a wrong escape" 3 probe "$no_broker" --producer-config "$work/client.properties"
ok "... says in which line" contains "$err" "client.properties.*line 1"
printf 'sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required password="%s;\n' \
	"$secret" >"$work/client.properties"
quiet_about "a properties file with a wrong JAAS line" 2 probe "$no_broker" --producer-config "$work/client.properties"
printf 'sasl.password=%s\nno.such.property=1\n' "$secret" >"$work/client.properties"
quiet_about "a properties file with an unknown name" 2 probe "$no_broker" --producer-config "$work/client.properties"
ok "... names it" contains "$err" 'no.such.property'

done_testing
