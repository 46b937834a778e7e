#!/bin/bash
# Wrong use: exit code 2, and one clear line that says what is wrong and what to do.
. "$(dirname "$0")/lib.sh"

usage() { # PATTERN ARGUMENTS...
	local pattern=$1; shift

	refused "${*:-no argument}" 2 "$pattern" "$@"
}

hinted() { # HINT-PATTERN: of the last run
	ok "... with the hint: $1" contains "$err" "^mqaudit: hint: .*$1"
}

note commands
usage "there is no command 'nonsense'" nonsense
hinted 'mqaudit help'
usage "there is no command '--bogus'" --bogus
usage "there is no command 'nonsense'" help nonsense
for family in lab ledger; do
	run "$family"
	is "$family alone: exit code" "$code" 2
	ok "... lists what there is" contains "$err" "^  mqaudit $family "
	run "$family" nonsense
	is "$family nonsense: exit code" "$code" 2
	ok "... says that there is no such command" contains "$err" "there is no command '$family nonsense'"
done

note arguments
usage 'run needs URL' run
hinted 'mqaudit run --help'
usage 'explain needs RUN IDENTITY' explain orders-1
usage "unexpected argument 'c'" explain a 1.1.0.1 c
usage "unexpected argument 'x'" doctor x
hinted 'doctor takes no arguments'
usage 'runs delete needs RUN' runs delete
usage "no completion for shell 'ksh'" help --completion ksh
usage "'1.1.17' is not the identity of a message" explain orders-1 1.1.17
hinted 'PRODUCER.EPOCH.PARTITION.SEQ'
usage "is not the identity" explain orders-1 1.1.0.99999999999999999999
usage "is not the identity" explain orders-1 1.1.0.-1
usage "is not the identity" explain orders-1 ''

note options
usage "unknown option '--bogus'" run --bogus "$no_broker"
hinted 'mqaudit run --help'
usage "unknown option '--raet'" probe --raet 5 "$no_broker"
hinted 'did you mean --rate'
usage "option '--pro' can mean several" probe --pro x "$no_broker"
hinted '--producers, .*--promise'
usage "unknown option '-z'" probe -z "$no_broker"
usage "option '--count' needs a value" probe "$no_broker" --count
usage "option '-X' needs a value" probe "$no_broker" -X
usage "option '--shared' takes no value" probe "$no_broker" --shared=yes
usage "unknown option '--no-count'" probe "$no_broker" --no-count
usage "'xml' is none of text|json" report --format xml
usage "'zzz' is none of wait|drop" probe "$no_broker" --on-queue-full zzz

note numbers, sizes, times
for bad in abc -5 1.5 5x '' ' 5' 0x10 1e3 99999999999999999999 20000000000G; do
	usage "^mqaudit: error: --count: '$bad' is " probe "$no_broker" "--count=$bad"
done
for bad in 10q -1 64.5 kk 17179869184G; do
	usage "^mqaudit: error: --size: '$bad' is " probe "$no_broker" "--size=$bad"
done
for bad in 5 10x s -1s 1s2 300000000000h; do
	usage "^mqaudit: error: --duration: '$bad' is " probe "$no_broker" "--duration=$bad"
done
usage '63 bytes are too few' probe "$no_broker" --size 63
hinted 'at least 64'
usage 'too many, at most 64 MiB' probe "$no_broker" --size 65M
usage 'rate 0 would never send' probe "$no_broker" -r 0
usage 'duration 0 would send nothing' probe "$no_broker" -d 0
usage 'timeout 0 gives the broker no time' probe "$no_broker" --timeout 0
usage '0 is not in 1 to 1000' probe "$no_broker" --producers 0
usage '1001 is not in 1 to 1000' probe "$no_broker" --producers 1001
usage '4294967296 is not in 1 to 4294967295' probe "$no_broker" --producer-id 4294967296
usage '0 is not in' probe "$no_broker" --producer-id 0
usage 'nodes: from 1 to' lab up kafka --nodes 0
usage "'x' is not a number" lab up kafka --nodes x

note lists and words
for bad in 3-1 a 1,,2 ,1 '1,' -1 1-2-3 '' '1 2' 99999999999999999999-1; do
	usage "'$bad' is not a list of partitions" probe "$no_broker" "--partitions=$bad"
done
for bad in x 0 1:0 1: :3 -1 3:x 4294967297 1:4294967297 '3 ' ''; do
	usage "'$bad' is not PARTITIONS\[:REPLICATION\]" probe "$no_broker" "--create-topic=$bad"
done
usage "'novalue' is not name=value" probe "$no_broker" --create-topic 1 --topic-config novalue
usage "'=x' is not name=value" probe "$no_broker" --create-topic 1 --topic-config =x
usage "unknown promise 'nothing'" probe "$no_broker" --promise nothing
hinted 'at-most-once, at-least-once, exactly-once'
usage "unknown kind of finding 'foo'" probe "$no_broker" --fail-on foo
hinted 'kinds are lost'
usage "'foo' is neither none, seq nor a number" probe "$no_broker" --keys foo
usage "'0' is neither none" probe "$no_broker" --keys 0
for bad in 0 x 5:x 5:abort-every=0 1000001; do
	usage "'$bad' is not N\[:abort-every=K\]" probe "$no_broker" "--transaction=$bad"
done
usage "'zzz' is not intent, send or ack" probe "$no_broker" --crash-at zzz
usage "'text' is not FORMAT=FILE" report --output text
usage "there is no report format 'xml'" report --output xml=x
hinted 'text and json'
for bad in '' -x 'a b' $'a\tb' "$(printf 'x%.0s' {1..121})" 0123456789abcdef; do
	usage "name|id of a run" probe "$no_broker" "--run=$bad"
done

note destinations
for bad in '' t host:9092/t kafka:/h/t; do
	usage 'does not begin with a scheme' probe "$bad"
done
hinted 'kafka://host:9092/topic'
usage "unknown scheme 'http'" run http://host/t
hinted 'kafka://'
usage 'has no host' probe kafka:///t
hinted 'such as kafka://host:9092/topic'
usage 'has no host' probe kafka://a,,b/t
usage "port '99999' is not in 1 to 65535" probe kafka://h:99999/t
usage "port '0' is not in" probe kafka://h:0/t
usage "port 'x' is not a number" probe kafka://h:x/t
usage 'no port behind' probe kafka://h:/t
usage 'has no topic' probe kafka://h
usage 'has no topic' probe kafka://h/
usage "'t/u' is not a topic name" probe kafka://h/t/u
usage "'bad\*topic' is not a topic name" probe 'kafka://h/bad*topic'
usage 'takes no user' probe kafka://user@h/t
usage "'9' is not the name of a lab" probe kafka://lab:9/t
usage 'not an IPv6 address' probe kafka://[::zz]/t
usage '--management: kafka has no such thing' probe kafka://127.0.0.1:1/t --management http://127.0.0.1:1
usage '--management: it begins with neither http:// nor https://' probe amqp://127.0.0.1:1/v/q --management 127.0.0.1:1
hinted 'http://broker1:15672'
usage "a RabbitMQ client has no property 'acks'" probe amqp://127.0.0.1:1/v/q -X acks=1
hinted 'there are confirms, mandatory'
usage 'more than 8192 bytes' probe "kafka://h/$(printf 'x%.0s' {1..9000})"
usage '^mqaudit: error: --check: .*scheme' probe "$no_broker" --check nonsense
usage 'malformed ledger URL' runs --ledger postgresql://[
hinted 'postgresql://USER@HOST:PORT/DATABASE'

note what contradicts, or needs another option
usage 'is for a topic that is made' probe "$no_broker" --topic-config a=b
hinted 'add --create-topic'
usage 'is for a topic that is made' probe "$no_broker" --replica-assignment 1:2
usage 'sends what is left' probe "$no_broker" --resume --count 5
hinted '--run NAME and --count N'
usage 'sends what is left' probe "$no_broker" --resume --run x
usage 'republish-unknown and --transaction do not go together: a transaction is aborted' probe "$no_broker" \
	--republish-unknown --transaction 5
usage 'republish-unknown and --exit-without-flush do not go' probe "$no_broker" --republish-unknown --exit-without-flush
usage 'routed-stream is for a classic or quorum queue' probe "$no_broker" --routed-stream
usage 'nothing can be bound to the default exchange' probe amqp://127.0.0.1:1/v/q --routed-stream
hinted '--exchange NAME'
usage "both --fail-on and --allow name 'lost'" probe "$no_broker" --fail-on refused,lost --allow lost
usage 'that is where the messages are sent' probe "$no_broker" --check "$no_broker"
usage 'relay-lag is about a relay' run "$no_broker" --relay-lag 1s
hinted '--check URL'
usage 'assume-dead needs --run' recover --assume-dead
usage 'verbose and --quiet cannot both be' runs -v -q

note what is echoed
for bad in $'\e[31mred' $'a\rb' $'\x07'; do
	run "$bad"
	is "control characters in what was typed: exit code" "$code" 2
	is "... do not reach the terminal" "$(tr -d '\n\40-\176' <<<"$err")" ''
done

note what is right so far fails later, and otherwise
refused "a destination where nothing listens" 3 'refused' probe "$no_broker" --timeout 1s
refused "a ledger where nothing listens" 3 'refused' runs --ledger "$no_ledger"
hinted 'MQAUDIT_LEDGER'
refused "a report's file that cannot be made" 3 "cannot write '/nonexistent/x'" report --output json=/nonexistent/x
refused "a lab that is not up" 3 "no lab" lab heal --lab "$lab"

done_testing
