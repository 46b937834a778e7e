#!/usr/bin/env bash
# Removed by policy, or lost? Dead-letter queues, the nodes' own counts and the settings in effect tell; what an
# independent client finds and takes away is the truth. A queue that is gone is neither lost nor a pass. The same by
# the management API.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
"$mq" lab up rabbitmq --lab "$lab" --nodes 1 --until-pid $$ >"$work/lab.log" 2>&1 || bail "no lab: $(tail -3 "$work/lab.log")"
url() { echo "amqp://lab:$lab/$1"; }
client() { # an independent one
	timeout 120 "$mq" lab exec rabbitmq --lab "$lab" -- "$top/build/venv/bin/python" "$top/tests/broker/tools/queue.py" "$@"
}
rabbit() { "$mq" lab exec rabbitmq --lab "$lab" -- rabbitmqctl -q "$@"; }
declare_queue() {
	rabbit eval 'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>,queue,<<"'"$1"'">>),true,false,[],none,<<"test">>).' >/dev/null 2>&1 ||
		bail "no queue $1"
}
probe() { # RUN OPTIONS...: to a classic queue of that name
	timeout 120 "$mq" probe "$(url "$1")" --run "$1" -q --create-queue classic --count 1000 "${@:2}" >"$work/$1.probe" 2>&1 ||
		bail "$(tail -3 "$work/$1.probe")"
}
check() { # RUN OPTIONS...
	timeout 180 "$mq" check "$(url "$1")" --run "$1" -q "${@:2}" >"$work/$1.check" 2>&1
}
reasons() { report "$1" '.reasons | map(if type == "string" then . else .text end) | join("; ")'; }
kinds() { report "$1" '[.findings[] | select(.withdrawn == false) | "\(.kind)@\(.stage)"] | unique | join(" ")'; }
whys() { report "$1" '[.findings[].why] | unique | join("; ")'; }
dead=(--queue-argument x-dead-letter-exchange= --queue-argument)

# --- a dead-letter queue has what a policy removed
declare_queue dead
probe full --queue-argument x-max-length=300 "${dead[@]}" x-dead-letter-routing-key=dead
client look dead | sort >"$work/truth.txt"
is "the independent client finds those beyond the limit" "$(sort -u "$work/truth.txt" | wc -l)" 700
check full
is "what is in the dead-letter queue has expired: PASS" "$? $(kinds full)" "0 expired@broker"
ok "... each by its name, and no other" cmp "$work/truth.txt" <(identities full expired)
is "... with the broker's word for why" "$(whys full)" "removed by policy (maxlen): it is in dead-letter queue 'dead'"
ok "... and there it still is" cmp "$work/truth.txt" <(client look dead | sort)
is "explain tells of it" "$("$mq" explain full 1.1.0.5 | grep -c "dead letter  *in dead-letter queue 'dead': maxlen")" 1

# --- in neither: lost
declare_queue dead-2
probe short --queue-argument x-max-length=300 "${dead[@]}" x-dead-letter-routing-key=dead-2
client take dead-2 10 0 | sort >"$work/taken.txt"
check short
is "what is neither in the queue nor there is lost: FAIL" "$? $(kinds short)" "1 expired@broker lost@broker"
ok "... each by its name" cmp "$work/taken.txt" <(identities short lost)
check short
is "... and again, with the same evidence" "$? $(report short '[.counts.lost, .counts.expired] | join(" ")')" "1 10 690"

# --- others take from it: nobody can say
declare_queue dead-3
probe contested --queue-argument x-max-length=300 "${dead[@]}" x-dead-letter-routing-key=dead-3
client take dead-3 10 60 >"$work/taken.txt" &
other=$!
ok "another consumer takes from the dead-letter queue" wait_until 30 eval '[ "$(wc -l <"$work/taken.txt")" -eq 10 ]'
check contested
is "then it proves nothing: UNDECIDED" "$? $(reasons contested | grep -c "'dead-3' was not looked through: .* has 1 consumer")" "4 1"
kill "$other" 2>/dev/null
wait "$other" 2>/dev/null
ok "... and goes" wait_until 60 eval '[ "$(rabbit list_queues name consumers --no-table-headers | sed -n "s/^dead-3[[:space:]]//p")" = 0 ]'
check contested --dead-letter-queue dead-3
is "when it has gone it tells: FAIL, what it took" "$? $(report contested '[.counts.lost, .counts.expired] | join(" ")')" "1 10 690"
for queue in full short contested; do rabbit delete_queue "$queue" >/dev/null 2>&1; done

# --- the node's counts, without any dead-letter queue
probe counted --queue-argument x-message-ttl=300
ok "all outlive their time" wait_until 30 eval '[ "$(rabbit list_queues name messages --no-table-headers | sed -n "s/^counted[[:space:]]//p")" = 0 ]'
check counted
is "as many counted as are missing: PASS" "$? $(kinds counted) $(whys counted)" \
	"0 expired@broker removed by policy (1000 expired): the nodes counted as many as are missing"
rabbit delete_queue counted >/dev/null
probe uneven --queue-argument x-max-length=300
client take uneven 5 0 >/dev/null
check uneven
is "fewer counted than are missing: UNDECIDED" "$? $(reasons uneven | grep -c 'x-max-length=300.*700 maxlen, which is not what is missing')" "4 1"
is "... and the report does not call it proved" "$(whys uneven)" "never seen; policy not excluded"
rabbit delete_queue uneven >/dev/null
probe beside --queue-argument x-max-length=300
probe beside-2 --queue-argument x-max-length=300
check beside
is "another queue may have been counted: UNDECIDED" "$? $(reasons beside | grep -c 'with those of other queues (beside-2)')" "4 1"
rabbit delete_queue beside-2 >/dev/null
probe again --queue-argument x-max-length=300
rabbit delete_queue beside >/dev/null
"$mq" lab restart rabbitmq1 --lab "$lab" >"$work/restart.txt" 2>&1 || bail "$(tail -3 "$work/restart.txt")"
check again
is "a node that was restarted counts anew: UNDECIDED" "$? $(kinds again)" "4 lost@broker"
rabbit delete_queue again >/dev/null

# --- nothing can take anything from it, by its settings: no word of the user is needed
probe transient -X persistent=false
"$mq" lab restart rabbitmq1 --lab "$lab" >"$work/restart.txt" 2>&1 || bail "$(tail -3 "$work/restart.txt")"
check transient
is "no limit in effect: what is missing is lost: FAIL" "$? $(kinds transient) $(whys transient)" "1 lost@broker never seen"
probe under-policy -X persistent=false
rabbit set_policy short '^under-policy$' '{"max-length": 5000}' >/dev/null
"$mq" lab restart rabbitmq1 --lab "$lab" >"$work/restart.txt" 2>&1 || bail "$(tail -3 "$work/restart.txt")"
check under-policy
is "a policy that came later is seen: UNDECIDED" "$? $(reasons under-policy | grep -c "max-length=5000 (policy 'short')")" "4 1"
rabbit clear_policy short >/dev/null
probe nowhere --exchange '' --routing-key nobody
check nowhere
is "unroutable, by the nodes' count: FAIL" "$? $(whys nowhere)" "1 unroutable: the nodes dropped as many that were routed to no queue"

# --- the queue goes while it is audited
timeout 120 "$mq" run "$(url going)" --run going -q --create-queue quorum --rate 500 --count 4000 >"$work/going.txt" 2>&1 &
run=$!
ok "a run begins, and reads" wait_until 60 report_is going '.counts.distinct > 500'
rabbit delete_queue going >/dev/null
wait "$run"
is "somebody deleted it: UNDECIDED, neither lost nor a pass" \
	"$? $(report going '(.counts.unread > 0), .counts.lost' | paste -sd' ') $(reasons going | grep -c 'the queue is gone')" "4 true 0 1"

# --- the same by the management API, from outside
node=$("$mq" lab status rabbitmq --lab "$lab" --format json | jq -r '.nodes[0].address')
password=$(cat "$("$mq" lab status rabbitmq --lab "$lab" --format json | jq -r .password_file)")
"$mq" lab exec rabbitmq --lab "$lab" -- rabbitmq-plugins -q enable rabbitmq_management rabbitmq_prometheus >"$work/plugins.txt" 2>&1 ||
	bail "$(tail -3 "$work/plugins.txt")"
outside() { # COMMAND RUN OPTIONS...: by its address, from where clients live
	MQAUDIT_AMQP_PASSWORD=$password timeout 120 "$mq" lab exec rabbitmq --lab "$lab" -- "$mq" "$1" \
		"amqp://mqaudit@$node:5672/%2F/$2" --run "$2" -q --management "http://$node:15672" "${@:3}" >>"$work/$2.txt" 2>&1
}
unaided() { # COMMAND RUN OPTIONS...: the same, and nobody tells
	MQAUDIT_AMQP_PASSWORD=$password timeout 120 "$mq" lab exec rabbitmq --lab "$lab" -- "$mq" "$1" \
		"amqp://mqaudit@$node:5672/%2F/$2" --run "$2" -q "${@:3}" >>"$work/$2.txt" 2>&1
}
unaided probe untold --create-queue classic --exchange '' --routing-key nobody --count 10 || bail "$(tail -3 "$work/untold.txt")"
unaided check untold
is "without anybody who tells: UNDECIDED" "$? $(whys untold) $(reasons untold | grep -c -- '--management URL, --dead-letter-queue NAME')" \
	"4 never seen; policy not excluded 1"
unaided check untold --no-policy
is "... or the user's word: FAIL" "$? $(whys untold)" "1 never seen"
outside probe managed --create-queue quorum --queue-argument x-max-length=300 --count 1000 || bail "$(tail -3 "$work/managed.txt")"
outside check managed
is "by the management API: PASS" "$? $(kinds managed) $(whys managed)" \
	"0 expired@broker removed by policy (700 maxlen): the nodes counted as many as are missing"
outside probe free --create-queue quorum --exchange '' --routing-key nobody --count 10 || bail "$(tail -3 "$work/free.txt")"
outside check free
is "... unroutable: FAIL" "$? $(whys free)" "1 unroutable: the nodes dropped as many that were routed to no queue"
"$mq" report managed --format json >"$work/managed.json" 2>&1
ok "the password is in no report" eval '! grep -qF "$password" "$work/managed.json" "$work/managed.txt"'
done_testing
