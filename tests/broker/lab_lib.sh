# Helpers for the test scripts: TAP, running a command, waiting for a condition. To be sourced, by bash.
# shellcheck shell=bash

tap_n=0
tap_failed=0
tap_dir=$(mktemp -d "${TMPDIR:-/tmp}/mqaudit-test.XXXXXX") || exit 1
chmod 755 "$tap_dir"

# One result: the exit status that was just there, and what was tested. A failure shows the last command.
ok() { # STATUS NAME
	tap_n=$((tap_n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tap_n - $2"
		return 0
	fi
	echo "not ok $tap_n - $2"
	tap_failed=1
	if [ -n "${run_line:-}" ]; then
		echo "# \$ $run_line"
		echo "#   exit code $code"
		sed 's/^/#   out: /' "$tap_dir/out" | tail -n 30
		sed 's/^/#   err: /' "$tap_dir/err" | tail -n 30
	fi
	return 1
}

diag() { echo "# $*"; }

# Nothing can be tested here: a failure, never a pass.
bail() { # REASON
	echo "Bail out! $1"
	rm -rf "$tap_dir"
	exit 1
}

# Run a command: its output in $tap_dir/out and err, its exit code in $code. A hang is a failure (124).
run_limit=180
run() { # COMMAND...
	run_line=$*
	code=0
	timeout "$run_limit" "$@" >"$tap_dir/out" 2>"$tap_dir/err" </dev/null || code=$?
	return 0
}

# What the last run gave, each as a test of its own.
expect_code() { # CODE NAME
	[ "$code" -eq "$1" ]
	ok $? "$2"
}
expect_out() { # REGEX NAME
	grep -Eq -e "$1" "$tap_dir/out"
	ok $? "$2"
}
expect_err() { # REGEX NAME
	grep -Eq -e "$1" "$tap_dir/err"
	ok $? "$2"
}

# Wait until a command succeeds, at most SECONDS.
wait_until() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# The end: the plan. The folder stays when something failed.
finish() {
	echo "1..$tap_n"
	if [ "$tap_failed" -eq 0 ]; then
		rm -rf "$tap_dir"
	else
		echo "# what is left is in $tap_dir"
	fi
	exit "$tap_failed"
}
