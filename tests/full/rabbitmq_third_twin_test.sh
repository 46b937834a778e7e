#!/usr/bin/env bash
# Your own settings as the third twin on RabbitMQ: what they come to is what each script's `mine` line declares for such
# settings, scenario by scenario, with the other twins as ever beside it. RESULTS (a folder to keep them), ROWS (those of
# the rows to try), NAMES (of the scenarios).
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

results=${RESULTS:-$work}
mkdir -p "$results"
declared() { # ROW: each scenario that declares something of it, and what
	sed -n "s/^#: mine .*\<$1:\([A-Z]*\).*/\1/p; t found; b; :found F" "$top"/scenarios/rabbitmq/*.sh | paste - - |
		sed 's/^\([A-Z]*\)\t.*\/\(.*\)\.sh$/\2 \1/' |
		grep -E "^(${NAMES:-.*}) "
}
# A row's settings, as a user would give them: one thing and otherwise defaults, or what such a queue should have.
settings_of() { # ROW
	case $1 in
	default) echo "-X window=2000" ;; # as it is
	mandatory) echo "-X mandatory=true" ;;
	quorum | stream) echo "-X mandatory=true --topic-config x-queue-type=$1" ;;
	version-2) echo "-X mandatory=true --topic-config x-queue-version=2" ;;
	*) echo "-X $1" ;;
	esac
}
mine_of() { # JSON: "SCENARIO OUTCOME" a line
	jq -r '.scenarios[] | .name as $name | .twins[] | select(.role == "mine") |
		"\($name) \(.outcome | ascii_upcase)"' "$1" | sort
}

for row in ${ROWS:-default confirms=false persistent=false mandatory quorum version-2 stream}; do
	declared "$row" >"$work/declared"
	mapfile -t names < <(cut -d' ' -f1 "$work/declared")
	ok "$row: there are scenarios that declare something" test "${#names[@]}" -ge 3
	# shellcheck disable=SC2046 # options
	timeout "${LIMIT:-3600}" "$mq" scenario run rabbitmq "${names[@]}" --lab "$lab" $(settings_of "$row") \
		-o json="$results/$row.json" -o markdown="$results/$row.md" >"$results/$row.txt" 2>"$work/err"
	code=$?
	mine_of "$results/$row.json" >"$work/found"
	is "$row: exit code" "$code" "$(grep -q UNSAFE "$work/found" && echo 1 || echo 0)"
	while read -r name outcome; do
		found=$(awk -v name="$name" '$1 == name { print $2 }' "$work/found")
		case $outcome,$found in
		EITHER,SAFE | EITHER,UNSAFE) ok "$row: $name: $found, and may be either" true ;;
		*) is "$row: $name" "$found" "$outcome" ;;
		esac
	done <"$work/declared"
	is "$row: all other twins are as declared" "$(jq -r '.scenarios[] | .name as $name | .twins[] |
		select(.role != "mine" and .outcome != "ok") | "\($name) \(.name): \(.outcome) \(.why)"' "$results/$row.json")" ""
done
done_testing
