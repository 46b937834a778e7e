# Shared by the tests of the command line: no broker, no ledger. To be sourced.
# shellcheck shell=bash disable=SC2034

# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Nothing listens here: what gets past the command line ends at once.
limit=10
nowhere=127.0.0.1:1
no_broker=kafka://$nowhere/t
no_ledger=postgresql://$nowhere/x
unset "${!MQAUDIT_@}"
export MQAUDIT_STATE=$work/state

# Run the program: $code, $out and $err are what came of it. More than $limit seconds are a hang (124).
run() { # ARGUMENTS...
	timeout -k 1 "$limit" "$mq" "$@" >"$work/out" 2>"$work/err" </dev/null
	code=$?
	out=$(<"$work/out")
	err=$(<"$work/err")
}

contains() { # TEXT PATTERN: an extended regular expression, matched line by line
	grep -qE -- "$2" <<<"$1"
}

is_one_clear_line() { # nothing on stdout, one line that says what is wrong, at most one hint
	local error='^mqaudit: error: [^ ].*[^.]$' hint='^mqaudit: hint: [^ ]'

	[ -z "$out" ] && [ "$(grep -cE "$error" <<<"$err")" -eq 1 ] || return 1
	[ "$(grep -cvE "$error|$hint" <<<"$err")" -eq 0 ] && [ "$(grep -cE "$hint" <<<"$err")" -le 1 ]
}

# The program must end with this code, and with one clear line that has the pattern in it.
refused() { # NAME CODE PATTERN ARGUMENTS...
	local name=$1 expected=$2 pattern=$3; shift 3

	run "$@"
	n_tests=$((n_tests + 1))
	if [ "$code" -eq "$expected" ] && is_one_clear_line && contains "$err" "$pattern"; then
		echo "ok $n_tests - $name"
		return
	fi
	echo "not ok $n_tests - $name"
	note "mqaudit $*"
	note "exit code $code, expected $expected, and a line that has: $pattern"
	printf '# out: %s\n# err: %s\n' "${out//$'\n'/$'\n#   '}" "${err//$'\n'/$'\n#   '}"
	n_failed=$((n_failed + 1))
}

# The names of the commands that the overview lists, one a line.
commands() {
	"$mq" help | sed -n 's/^  \([a-z]\{1,\}\( [a-z]\{1,\}\)\{0,1\}\)  .*/\1/p'
}

# The long options that a command's help lists, one a line; those of every command as well.
options_of() { # COMMAND...
	"$mq" help "$@" | sed -n 's/^  \(-.,\|   \) --\([a-z-]*\).*/\2/p'
}
