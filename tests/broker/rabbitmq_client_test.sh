#!/usr/bin/env bash
# RabbitMQ's client on a real node: what kinds of queues it sees, what it says of refusals, and what becomes of
# messages when the node is killed, frozen, short of memory, or does not take them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

"$mq" lab up rabbitmq --lab "$lab" --nodes 1 --until-pid $$ >"$work/lab.log" 2>&1 ||
	bail "the lab does not come up: $(tail -3 "$work/lab.log")"
url=amqp://lab:$lab
control() { "$mq" lab exec rabbitmq --lab "$lab" -- rabbitmqctl -q "$@"; }
queues() { control list_queues --no-table-headers name type durable auto_delete arguments | sort; }
depth() { control list_queues --no-table-headers name messages | awk -v q="$1" '$1 == q { print $2 }'; }
fault() { "$mq" lab fault "$1" rabbitmq1 --lab "$lab" >>"$work/lab.log" 2>&1; }
heal() { "$mq" lab heal --lab "$lab" >>"$work/lab.log" 2>&1; }

probe() { # QUEUE OPTIONS...: its standard error is in $err, its exit code in $code
	local queue=$1; shift
	err=$work/$queue.err
	timeout -k 5 120 "$mq" probe "$url/$queue" --run "$queue" "$@" 2>"$err" >"$work/$queue.out"
	code=$?
}
says() { grep -qE -- "$1" "$err" || { sed 's/^/# /' "$err"; return 1; }; }
counts() { # RUN JQ-CONDITION on .counts
	report_is "$1" ".counts | $2"
}

note "what a queue is"
probe classic --create-queue classic --queue-argument x-max-length=100000 -n 100
is "a classic queue: probe" "$code" 0
probe plain --create-topic 1 --topic-config durable=false --topic-config auto-delete=true -n 100
is "one without a type, neither durable nor kept: probe" "$code" 0
probe quorum --create-queue quorum --queue-argument x-max-length=100000 --queue-argument x-overflow=reject-publish -n 100
is "a quorum queue: probe" "$code" 0
probe stream --create-queue stream -n 100
is "a stream: probe" "$code" 0
setting() { report "$1" ".settings.topic.\"$2\""; }
is "the classic one is known as such" "$(setting classic x-queue-type)" classic
is "... with its argument" "$(setting classic x-max-length)" 100000
is "the plain one is classic" "$(setting plain x-queue-type)" classic
is "... not durable" "$(setting plain durable)" false
is "... deletes itself" "$(setting plain auto-delete)" true
is "the quorum queue is known as such" "$(setting quorum x-queue-type)" quorum
is "... with its arguments" "$(setting quorum x-max-length)/$(setting quorum x-overflow)" 100000/reject-publish
is "the stream is known as such" "$(setting stream x-queue-type)" stream
queues >"$work/before"
# what a quorum queue says of itself comes late
depth_is() { [ "$(depth "$1")" = "$2" ]; }
for queue in classic plain quorum stream; do
	"$mq" probe "$url/$queue" --run "again-$queue" -n 1 --shared 2>/dev/null
done
probe missing -n 1
is "a queue that is not there" "$code" 3
ok "... is named" says "queue 'missing' does not exist in virtual host '/'"
is "asking makes and changes no queue" "$(queues)" "$(<"$work/before")"
ok "... and takes no message" wait_until 20 depth_is quorum 101
# shellcheck disable=SC2016 # Erlang's own
control eval '{error, E} = catch {error, try rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"never">>),
	true, false, [{<<"x-queue-type">>, longstr, <<"mqaudit-asks">>}], none, <<"t">>)
	catch _:X -> X end}, E.' >"$work/never" 2>&1
ok "a queue of the type that is asked with cannot be made" grep -q unsupported "$work/never"
is "... and is not there" "$(queues)" "$(<"$work/before")"

note "refusals say what they are"
probe stream --create-queue quorum -n 1
is "a queue of another type" "$code" 3
ok "... PRECONDITION_FAILED" says "PRECONDITION_FAILED - inequivalent arg 'x-queue-type'"
probe classic --exchange nowhere -n 100
is "an exchange that is not there" "$code" 3
ok "... NOT_FOUND" says "NOT_FOUND - no exchange 'nowhere' in vhost '/'"
address=$("$mq" lab status rabbitmq --lab "$lab" --format json | jq -r .bootstrap)
outside() { "$mq" lab exec rabbitmq --lab "$lab" -- "$mq" probe "$@" >/dev/null 2>"$work/outside.err"; }
err=$work/outside.err
MQAUDIT_AMQP_PASSWORD=wrong outside "amqp://mqaudit@$address/%2F/classic" -n 1
ok "a wrong password" says 'ACCESS_REFUSED - Login was refused'
ok "... with a hint" says 'hint: .*--password-file'
ok "... that is in no message" test "$(grep -c wrong "$err")" = 0
"$mq" lab status rabbitmq --lab "$lab" --format json | jq -r .password_file >"$work/where"
outside "amqp://mqaudit@$address/nothere/classic" --password-file "$(<"$work/where")" -n 1
ok "a virtual host that is not there" says 'NOT_ALLOWED - vhost nothere not found'
outside "amqp://mqaudit@${address%:*}:1/%2F/classic" --timeout 1s -n 1
ok "a port where nobody listens" says 'refuses, or cannot be reached'
outside "amqps://mqaudit@$address/%2F/classic" --timeout 1s -n 1
ok "TLS to a port without" says 'SSL handshake failed'
outside "amqp://mqaudit@$address/%2F/classic" --password-file "$(<"$work/where")" -n 1 --run by-file --shared
ok "the right password by file" counts by-file '.acked == 1'

note "outcomes"
probe unconfirmed --create-queue classic -X confirms=false -n 50k
ok "without confirms all are unconfirmed" counts unconfirmed '.unconfirmed == 50000 and .acked == 0'
is "... and there, as the connection ended in order" "$(depth unconfirmed)" 50000
probe returned --create-queue classic --routing-key nobody --mandatory -n 5000
ok "mandatory and unroutable: all refused" counts returned '.refused == 5000 and .acked == 0'
probe dropped --create-queue classic --routing-key nobody -n 5000
ok "unroutable without: all acked" counts dropped '.acked == 5000'
is "... and none there" "$(depth dropped)" 0
probe full --create-queue classic --queue-argument x-max-length=1000 --queue-argument x-overflow=reject-publish -n 5000
ok "nacked: unknown" counts full '.acked == 1000 and .unknown == 4000'
is "... and not there" "$(depth full)" 1000
"$mq" explain full 1.1.0.4999 >"$work/why" 2>&1
ok "... with the reason" grep -q nack "$work/why"

note "a node that is killed"
(probe killed --create-queue classic -n 30k -r 3k) &
job=$!
wait_until 30 counts killed '.acked > 5000'
fault kill && heal
wait "$job"
ok "every message has an outcome" counts killed '.acked + .unknown == 30000 and .acked > 15000'
acked=$(report killed .counts.acked)
there=$(depth killed)
ok "what was acked is there, and at most what is unknown on top" test "$acked" -le "$there" -a "$there" -le 30000
note "acked $acked, there $there"

note "a node that is frozen"
(probe frozen --create-queue classic -n 200k -s 4k --flush-timeout 2s -X window=20000 -X heartbeat=2 -X tcp.user.timeout.ms=3000) &
job=$!
wait_until 30 counts frozen '.acked > 1000'
fault freeze
# full sockets: nothing is acked any more, and nothing blocks for ever
ok "publishing ends, unknown, while it is frozen" wait_until 30 counts frozen '.unknown > 100'
pid=$(pgrep -f -- "probe $url/frozen --run frozen" | tail -1)
started=$SECONDS
kill -INT "$pid"
ok "Ctrl-C ends it in order" wait_until 20 sh -c "! kill -0 $pid 2>/dev/null"
ok "... soon" test $((SECONDS - started)) -le 15
heal
wait "$job"

note "a node that is short of memory"
# for longer than a peer may keep its window closed: that of a broker that says so is
(probe blocked --create-queue classic -n 20k -r 3k -s 4k -X tcp.user.timeout.ms=3000) &
job=$!
wait_until 30 counts blocked '.acked > 3000'
control set_vm_memory_high_watermark absolute 1MB
err=$work/blocked.err
ok "the probe says that it is blocked, and why" wait_until 20 grep -q 'takes no messages for now: .*low on memory' "$err"
sleep 6
control set_vm_memory_high_watermark absolute 2GB
wait "$job"
ok "... and that it is over" says 'takes messages again'
ok "nothing is lost of it" counts blocked '.acked == 20000 and .unknown == 0'
is "... on one connection" "$(grep -c 'lost' "$err")" 0
is "... and all are there" "$(depth blocked)" 20000

note "what the broker refuses while more is on its way"
# shellcheck disable=SC2016 # Erlang's own
erlang() { control eval "$1" >>"$work/lab.log" 2>&1 || bail "$(tail -3 "$work/lab.log")"; }
erlang 'rabbit_exchange:declare(rabbit_misc:r(<<"/">>, exchange, <<"ours">>), fanout, true, false, false, [], <<"t">>).'
probe cut --create-queue quorum -n 1
erlang 'rabbit_binding:add({binding, rabbit_misc:r(<<"/">>, exchange, <<"ours">>), <<>>,
	rabbit_misc:r(<<"/">>, queue, <<"cut">>), []}, <<"t">>).'
(probe cut --shared --exchange ours --producer-id 2 -n 200k -r 5k; echo "$code" >"$work/cut.code") &
job=$!
wait_until 30 counts cut '.acked > 3000'
erlang 'rabbit_exchange:delete(rabbit_misc:r(<<"/">>, exchange, <<"ours">>), false, <<"t">>).'
wait "$job"
err=$work/cut.err
is "an exchange that is deleted ends it" "$(<"$work/cut.code")" 3
ok "... by its name" says "NOT_FOUND - no exchange 'ours'"
ok "... with an outcome for each" counts cut '.acked + .refused + .unknown == .intended and .unknown > 0'
timeout -k 5 120 "$mq" check "$url/cut" --run cut --drain end --no-policy -q >"$work/cut.out" 2>&1
is "... and what was acknowledged is there" "$? $(report cut .counts.lost)" "0 0"
(probe large --create-queue classic -n 200k -r 5k -s 2k; echo "$code" >"$work/large.code") &
job=$!
wait_until 30 counts large '.acked > 3000'
limit() { erlang "persistent_term:put(max_message_size, $1), application:set_env(rabbit, max_message_size, $1)."; }
limit 1000
# a channel reads it when it is opened
control close_all_connections smaller >>"$work/lab.log" 2>&1
wait "$job"
limit 134217728
err=$work/large.err
is "a limit of the broker's that is lower than ours ends it" "$(<"$work/large.code")" 3
ok "... PRECONDITION_FAILED" says 'PRECONDITION_FAILED - message size 2048 is larger than configured max size 1000'
ok "... none of them acknowledged" counts large '.acked + .refused + .unknown == .intended and .unknown > 0'
acked=$(report large .counts.acked)
there=$(depth large)
ok "... what was is there" test "$acked" -le "$there"

note "a user who may not configure the queue"
control add_user clerk secret >/dev/null
control set_permissions clerk '^$' '.*' '.*'
err=$work/clerk.err
clerk() { MQAUDIT_AMQP_PASSWORD=secret "$mq" lab exec rabbitmq --lab "$lab" -- timeout 60 "$mq" run "amqp://clerk@$address/%2F/quorum" \
	--shared -q "$@" >"$work/clerk.out" 2>"$err"; }
clerk --run clerk-1 -n 100
is "may not ask what it is" "$? $(grep -c 'hint: .*say -X queue.type=' "$err")" "3 1"
clerk --run clerk-3 -n 1 -X queue.type=stream
is "... is told when he is wrong about it" "$? $(grep -c "PRECONDITION_FAILED - invalid arg 'x-stream-offset'" "$err")" "3 1"
clerk --run clerk-2 -n 100 -X queue.type=quorum --drain end
is "... and need not, when he says so" "$? $(report clerk-2 .counts.distinct)" "0 100"

# RabbitMQ 3.10.8 loses the last of them now and then when the connection ends, though it ends in order: an independent
# client's as well (1 of 12 bursts on a busy machine). What is not lost is there, once, and nothing else is.
note "without confirms: a fence may overtake what a quorum queue was sent, so a second one is written"
timeout -k 5 120 "$mq" run "$url/overtaken" --run overtaken --create-queue quorum --no-policy -n 60k -X confirms=false -q \
	>"$work/overtaken.out" 2>&1
code=$?
is "it is" "$(report overtaken '[.counts.unconfirmed, .counts.fences] | join(" ")')" "60000 2"
ok "all are there, or the last ones are lost" counts overtaken '.distinct + .lost == 60000'
ok "... and those only" report_is overtaken '[.findings[] | select(.kind != "lost" or .hi != 60000)] == []'
is "... which is the verdict" "$code" "$(report overtaken 'if .counts.lost == 0 then 0 else 1 end')"
sleep 3 # for what would come too late
is "... nothing of them comes later" "$(depth overtaken)" 0
note "$(report overtaken .counts.lost) are lost"

note "a stream from end to end"
timeout -k 5 120 "$mq" run "$url/whole" --run whole --create-queue stream -n 50k >"$work/whole.out" 2>&1
is "an audit of a stream passes" "$?" 0
ok "... with every message on the log" counts whole '.acked == 50000 and .distinct == 50000'

done_testing
