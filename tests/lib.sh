# Shared by the shell tests: TAP output, waiting, a lab. To be sourced.
# shellcheck shell=bash disable=SC2034

set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mq=${MQAUDIT:-$top/build/mqaudit}
n_tests=0
n_failed=0
umask 022

failed() { # NAME WHY: said on the standard error too, which prove shows without -v
	echo "not ok $n_tests - $1"
	printf '# %s: not ok %s - %s\n%s\n' "${0##*/}" "$n_tests" "$1" "$2" >&2
	n_failed=$((n_failed + 1))
}

ok() { # NAME COMMAND...: the command must succeed
	local name=$1; shift
	n_tests=$((n_tests + 1))
	if "$@"; then
		echo "ok $n_tests - $name"
	else
		failed "$name" "#   failed:   $*"
	fi
}

is() { # NAME GOT EXPECTED
	n_tests=$((n_tests + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $n_tests - $1"
	else
		failed "$1" "$(printf '#   got:      %s\n#   expected: %s' "${2//$'\n'/$'\n#   '}" "${3//$'\n'/$'\n#   '}")"
	fi
}

note() { echo "# $*"; }

done_testing() {
	echo "1..$n_tests"
	[ "$n_failed" -eq 0 ]
}

bail() {
	echo "Bail out! $*"
	exit 1
}

wait_until() { # SECONDS COMMAND...: until it succeeds
	local end=$((SECONDS + $1)); shift
	while ! "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# A folder of the test's own for state; removed, with all that runs in it, at the end. PostgreSQL's user
# must be able to enter it.
work=$(mktemp -d /tmp/mqaudit-test.XXXXXX) || exit 1
chmod 755 "$work"
export MQAUDIT_STATE=$work/state
export MQAUDIT_DIST=${MQAUDIT_DIST:-/var/cache/mqaudit/dist}
lab=t$$

cleanup() {
	trap - EXIT
	"$mq" lab down --lab "$lab" >/dev/null 2>&1
	"$mq" ledger stop >/dev/null 2>&1
	if [ "$n_failed" -eq 0 ] && [ -z "${KEEP:-}" ]; then
		rm -rf "$work"
	else
		note "what it left: $work"
	fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

lab_up() { # OPTIONS...: a lab of this test's own
	"$mq" lab up kafka --lab "$lab" --until-pid $$ "$@" >"$work/lab.log" 2>&1 ||
		bail "the lab does not come up: $(tail -3 "$work/lab.log")"
}

report() { # RUN JQ: one value of a report; an open run's report ends with 4
	{ "$mq" report "$1" --format json 2>/dev/null || true; } | jq -r "$2"
}

report_is() { # RUN JQ-CONDITION
	# not by jq -e: version 1.6 takes no input at all for a yes
	[ "$({ "$mq" report "$1" --format json 2>/dev/null || true; } | jq "$2")" = true ]
}

# identities of a kind of finding, one a line: "producer.epoch.partition.seq"
identities() { # RUN KIND
	report "$1" '.findings[] | select(.kind == "'"$2"'" and .withdrawn == false) |
		"\(.producer_id).\(.epoch).\(.partition)" as $lane | range(.lo; .hi + 1) | "\($lane).\(.)"' | sort
}

python_env() { # an independent client, in a folder of its own, made by one test at a time
	mkdir -p "$top/build"
	(
		flock 9
		"$top/build/venv/bin/python" -c 'import confluent_kafka, xxhash, pika' 2>/dev/null && exit
		python3 -m venv "$top/build/venv" && "$top/build/venv/bin/pip" install -q confluent-kafka xxhash pika >/dev/null
	) 9>"$top/build/venv.lock" || bail "the independent client cannot be installed"
}

in_lab() { "$mq" lab exec kafka --lab "$lab" -- "$@"; }
python_in_lab() { in_lab "$top/build/venv/bin/python" "$@"; }
bootstrap() { "$mq" lab status kafka --lab "$lab" --format json | jq -r .bootstrap; }
