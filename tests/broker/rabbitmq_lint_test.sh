#!/usr/bin/env bash
# lint and selftest on a real RabbitMQ: its names against the broker's own, what it says of a live queue, its policies
# and its node; what is predicted against what a policy really does. And planted = found in each type of queue.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

"$mq" lab up rabbitmq --lab "$lab" --nodes 1 --until-pid $$ --broker-config cluster_partition_handling=autoheal \
	>"$work/lab.log" 2>&1 || bail "the lab does not come up: $(tail -3 "$work/lab.log")"
url=amqp://lab:$lab
control() { "$mq" lab exec rabbitmq --lab "$lab" -- rabbitmqctl -q "$@"; }
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

# ---- the tables, against the broker's own ------------------------------------------------------------
home=$("$mq" lab status rabbitmq --lab "$lab" --format json | jq -r '.version')
is "the broker's version is that of the tables" "${home%.*}" 3.10
words() { tr -c 'a-z0-9-' '\n' | grep -E '^[a-z]' | LC_ALL=C sort -u; }
control eval 'io:format("~s", [string:join([binary_to_list(atom_to_binary(K)) || {K, _} <- rabbit_registry:lookup_all(policy_validator)], " ")]).' |
	sed 's/ok$//' | words >"$work/policies"
"$mq" lint --defaults policy | cut -f1 | LC_ALL=C sort >"$work/ours"
ok "there are keys of policies" test "$(wc -l <"$work/policies")" -ge 20
is "policies: each key is the broker's own, and none is missing" "$(diff "$work/policies" "$work/ours")" ""
for type in classic quorum stream; do
	control eval "io:format(\"~s\", [string:join([binary_to_list(A) || A <- maps:get(queue_arguments, rabbit_${type}_queue:capabilities())], \" \")])." |
		sed 's/ok$//' | words >"$work/arguments"
	"$mq" lint --defaults queue | grep -w "$type" | cut -f1 | grep ^x- | LC_ALL=C sort >"$work/ours"
	is "arguments of a $type queue are the broker's own" "$(diff "$work/arguments" "$work/ours")" ""
	control eval "io:format(\"~s\", [string:join([binary_to_list(A) || A <- maps:get(unsupported_policies, rabbit_${type}_queue:capabilities())], \" \")])." |
		sed 's/ok$//' | words >"$work/unsupported"
	"$mq" lint --defaults policy | awk -F'\t' -v type="$type" '$3 !~ type && $3 != "" { print $1 }' | LC_ALL=C sort >"$work/ours"
	# what the broker leaves out, although it means nothing to this type
	is "policies that do not apply to a $type queue are told" "$(comm -23 "$work/ours" "$work/unsupported" | paste -sd' ')" \
		"$([ $type = stream ] && echo 'ha-sync-batch-size queue-version' || { [ $type = quorum ] && echo 'ha-sync-batch-size queue-version' ||
			echo 'max-in-memory-bytes max-in-memory-length'; })"
done
schemas=$(dirname "$(dpkg -L rabbitmq-server | grep '/rabbit.schema$')")/../../..
# shellcheck disable=SC2016 # sed's own $
find "$schemas" -name '*.schema' ! -path '*cuttlefish*' ! -path '*sysmon*' -exec cat {} + | tr -d '\n' | grep -oE '\{ *mapping, *"[^"]+"' |
	sed 's/.*"\(.*\)"/\1/; s/\$[a-z_]*/x/g' | sort -u >"$work/conf"
ok "there are settings of rabbitmq.conf" test "$(wc -l <"$work/conf")" -ge 300
sed 's/$/ = true/; s/^cluster_partition_handling = .*/cluster_partition_handling = ignore/
	s/^classic_queue.default_version = .*/classic_queue.default_version = 1/' "$work/conf" >"$work/all.conf"
lint --client rabbitmq-c --broker-config "$work/all.conf"
is "every setting of every plugin is known: exit code, message" "$code $(<"$work/lint.err")" "1 "

# ---- a live queue, its policies, its node ------------------------------------------------------------
"$mq" probe "$url/plain" --create-queue classic --queue-argument x-max-length=100000 -n 10 -q >"$work/probe" 2>&1 ||
	bail "no queue: $(<"$work/probe")"
lint "$url/plain" -X mandatory=true
is "a queue as it is: exit code, and that it was asked" "$code $(says .live)" "0 true"
is "its type and arguments" "$(setting topic x-queue-type), $(setting topic x-max-length)" "classic queue, 100000 queue"
is "how its node takes partitions, and how many there are" "$(setting broker cluster_partition_handling), $(setting broker nodes)" \
	"autoheal node, 1 node"
is "that no policy applies is seen" "$(says .not_looked_at.policy)" "none, says the node"
control set_policy limits '^plain$' '{"max-length": 500, "ha-mode": "all", "ha-promote-on-failure": "when-synced"}' --apply-to queues
lint "$url/plain" -X mandatory=true --broker-config nodes=3
is "a policy, where it is smaller than the argument" "$(setting topic x-max-length)" "500 policy of the queue"
is "mirrors, and when they lead" "$(setting policy ha-mode), $(setting policy ha-promote-on-failure), $(setting policy ha-sync-mode)" \
	"all policy of the queue, when-synced policy of the queue, manual default of RabbitMQ 3.10"
is "... so that autoheal loses, and a promotion does not" "$(predicted partition-autoheal | grep -o 'lost@broker!'), $(predicted mirror-promoted | grep -c lost)" \
	"lost@broker!, 0"
lint "$url/plain" -X mandatory=true --broker-config nodes=3 --policy ha-promote-on-failure=always
is "what if? The user's word comes before the broker's" "$(setting policy ha-promote-on-failure), $(predicted mirror-promoted | grep -o 'lost@broker!')" \
	"always --policy, lost@broker!"
is "max-length was predicted as sure" "$(predicted max-length)" "expired@broker!"
depth_is() { [ "$(control list_queues --no-table-headers name messages | awk '$1 == "plain" { print $2 }')" = "$1" ]; }
"$mq" probe "$url/plain" --run limited --shared -n 1k -q >"$work/probe" 2>&1
ok "... and so does the broker: 500 of 1,010 are left" wait_until 20 depth_is 500
# a key that classic queues do not take: the broker leaves the policy out altogether
control set_policy limits '^plain$' '{"max-length": 500, "delivery-limit": 3}' --apply-to queues
lint "$url/plain"
is "a policy with a key of quorum queues does not apply, says the broker" "$(says .not_looked_at.policy), $(setting topic x-max-length)" \
	"none, says the node, 100000 queue"
lint --client rabbitmq-c --policy max-length=500 --policy delivery-limit=3
is "... and so does lint of files" "$(says '.notes[]')" \
	"a policy with 'delivery-limit' does not apply to a classic queue: nothing of it counts"
address=$("$mq" lab status rabbitmq --lab "$lab" --format json | jq -r .bootstrap)
"$mq" lab exec rabbitmq --lab "$lab" -- sh -c "\"$mq\" lint amqp://mqaudit@$address/%2F/plain -X mandatory=true --password-file \$RABBITMQ_PASSWORD_FILE --format json" \
	>"$work/lint.json" 2>"$work/lint.err"
is "outside the lab only AMQP is asked: exit code" "$?" 1
is "... what is not known is said" "$(says '.not_looked_at.policy'), $(setting broker cluster_partition_handling)" \
	"not looked at: AMQP does not tell of them; --policy or --no-policy says, unknown AMQP does not tell; --broker-config says"
is "... and may lose" "$(predicted mirror-promoted | grep -oE 'lost@broker!?')" "lost@broker"
"$mq" lint "$url/none" >"$work/none.out" 2>"$work/none.err"
is "a queue that is not there: exit code, no answer" "$? $(wc -c <"$work/none.out")" "3 0"
ok "... and says so" grep -q "queue 'none' does not exist" "$work/none.err"

# ---- selftest ----------------------------------------------------------------------------------------
faults=3
kinds="drop repeat attempt swap flip header cut foreign phantom"
queues() { control list_queues --no-table-headers name | LC_ALL=C sort | paste -sd' '; }
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
before=$(queues)
"$mq" selftest "$url/selftest" --faults "$faults" --messages 2000 >"$work/good.txt" 2>"$work/good.err"
is "selftest on each type of queue: exit code" "$?" 0
row() { # TYPE KIND
	awk -v type="$1" -v kind="$2" '$1 == "a" { at = $2 } at == type && $1 == kind { print $2, $3, $4, $5 }' "$work/good.txt"
}
for type in classic quorum stream; do
	is "$type: clean" "$(row "$type" clean)" "0 0 0 ok"
	for kind in $kinds; do
		is "$type: $kind: planted = found, nothing else" "$(row "$type" "$kind")" "$faults $faults 0 ok"
	done
	all=$((faults * $(wc -w <<<"$kinds")))
	is "$type: all in one run" "$(row "$type" all)" "$all $all 0 ok"
done
is "the queue that it made is gone, and its folder" "$(queues)$(ls -A "$TMPDIR")" "$before"
# a policy that takes messages is not taken for what was planted
control set_policy limits '^selftest$' '{"max-length": 10}' --apply-to queues
"$mq" selftest "$url/selftest" --create-queue quorum --faults 1 --messages 5000 >"$work/policy.txt" 2>"$work/policy.err"
is "a policy that takes messages: exit code" "$?" 3
is "... one type only" "$(grep '^a ' "$work/policy.txt")" "a quorum queue"
is "... no round passes" "$(grep -c ' ok ' "$work/policy.txt")" 0
ok "... what is missing was not planted" grep -q 'found and not planted: lost at broker' "$work/policy.txt"
"$mq" selftest "$url/plain" --create-queue classic >"$work/there.txt" 2>"$work/there.err"
is "a queue to be made that is there: exit code" "$? $(grep -c "queue 'plain' exists already" "$work/there.err")" "3 1"
"$mq" selftest "$url/plain" --faults 1 --messages 500 >"$work/used.txt" 2>"$work/used.err"
is "a queue with messages in it: exit code, no round" "$? $(grep -c ' ok ' "$work/used.txt")" "3 0"
ok "... which are left there" depth_is 500
done_testing
