#!/usr/bin/env bash
# Your own settings as the third twin, over all scenarios that they matter to: what a file of properties comes to is
# what each script's `mine` line declares for such settings, SAFE or UNSAFE, scenario by scenario. RESULTS (a folder to
# keep them), FILES (those of the files to try: acks=0 acks=1 acks=all idempotent).
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

results=${RESULTS:-$work}
mkdir -p "$results"
declared() { # SETTINGS: each scenario that declares something of them, and what
	sed -n "s/^#: mine .*\<$1:\([A-Z]*\).*/\1/p; t found; b; :found F" "$top"/scenarios/kafka/*.sh | paste - - |
		sed 's/^\([A-Z]*\)\t.*\/\(.*\)\.sh$/\2 \1/'
}
properties() { # SETTINGS: as a client's file has them
	case $1 in
	idempotent) printf 'acks=all\nenable.idempotence=true\n' ;;
	*) printf '%s\nenable.idempotence=false\n' "$1" ;;
	esac
}

suite() { # SETTINGS JSON NAME...: the third twin with such settings, in these scenarios
	local settings=$1 json=$2
	shift 2
	timeout "${LIMIT:-3600}" "$mq" scenario run kafka "$@" --lab "$lab" --producer-config "$work/$settings.properties" \
		--topic-config min.insync.replicas=2 -o json="$json" -o markdown="${json%.json}.md" \
		>"${json%.json}.txt" 2>"$work/err"
}
mine_of() { # JSON: "SCENARIO OUTCOME" a line
	jq -r '.scenarios[] | .name as $name | .twins[] | select(.role == "mine") |
		"\($name) \(.outcome | ascii_upcase)"' "$1" | sort
}
# What is a matter of chance, and hit nobody: nothing is said of one's own settings then. Once more, some times.
once_more() { # SETTINGS NAME
	local i
	for i in 1 2 3 4 5; do
		suite "$1" "$results/$1-$2-$i.json" "$2"
		mine_of "$results/$1-$2-$i.json" | awk '$2 != "UNPROVEN" { print $2 }' | grep . && return
	done
	echo UNPROVEN
}

for settings in ${FILES:-acks=0 acks=1 acks=all idempotent}; do
	properties "$settings" >"$work/$settings.properties"
	declared "$settings" >"$work/$settings.declared"
	mapfile -t names < <(cut -d' ' -f1 "$work/$settings.declared")
	ok "$settings: there are scenarios that declare something" test "${#names[@]}" -gt 20
	suite "$settings" "$results/$settings.json" "${names[@]}"
	code=$?
	mine_of "$results/$settings.json" >"$work/$settings.found"
	is "$settings: exit code" "$code" \
		"$(awk '$2 == "UNSAFE" { code = 1 } $2 == "UNPROVEN" && !code { code = 4 } END { print code + 0 }' "$work/$settings.found")"
	while read -r name outcome; do
		found=$(awk -v name="$name" '$1 == name { print $2 }' "$work/$settings.found")
		if [ "$found" = UNPROVEN ] && grep -q '^#: bounded *yes' "$top/scenarios/kafka/$name.sh"; then
			found=$(once_more "$settings" "$name")
		fi
		case $outcome,$found in
		EITHER,SAFE | EITHER,UNSAFE) ok "$settings: $name: $found, and may be either" true ;;
		*) is "$settings: $name" "$found" "$outcome" ;;
		esac
	done <"$work/$settings.declared"
	# the bad twins and the good ones are as ever beside it
	is "$settings: all other twins are as declared" "$(jq -r '.scenarios[] | .name as $name | .bounded as $bounded | .twins[] |
		select(.role != "mine" and .outcome != "ok" and ($bounded and .outcome == "not-caught" | not)) |
		"\($name) \(.name): \(.outcome) \(.why)"' "$results/$settings.json")" ""
done

# what no producer's settings help against, and what does
properties idempotent >"$work/idempotent.properties"
mine_is() { # safe|unsafe SCENARIO OPTIONS...: what the idempotent file comes to
	local want=$1 name=$2
	shift 2
	timeout 900 "$mq" scenario run kafka "$name" --lab "$lab" --producer-config "$work/idempotent.properties" \
		--topic-config min.insync.replicas=2 "$@" -o json="$work/one.json" >"$work/one.txt" 2>"$work/err"
	is "$name $*" "$(jq -r '.scenarios[0].twins[] | .role + " " + .outcome' "$work/one.json" | grep mine)" "mine $want"
}
mine_is safe power-cut-all --topic-config flush.messages=1
mine_is unsafe last-replica-power-cut --broker-config eligible.leader.replicas.version=0
mine_is safe last-replica-power-cut --broker-config eligible.leader.replicas.version=1
mine_is unsafe last-replica-power-cut --version 3.9.1
is "Kafka 3.9.1 has no eligible leader replicas: that twin is skipped" \
	"$(jq -r '.scenarios[0].twins[] | select(.outcome == "skipped") | .name' "$work/one.json")" elr-on
done_testing
