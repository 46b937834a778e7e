# Shared by the ledger's tests: the program that was built in $B (build/rel), its test programs in $bin, and a
# ledger of the test's own. To be sourced.
# shellcheck shell=bash source=tests/lib.sh disable=SC2034
MQAUDIT=$(realpath "${MQAUDIT:-$(dirname "${BASH_SOURCE[0]}")/../../${B:-build/rel}/mqaudit}") || exit 1
export MQAUDIT MQAUDIT_PROGRAM=$MQAUDIT LC_ALL=C
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

unset MQAUDIT_LEDGER MQAUDIT_PG_PATH MQAUDIT_LEDGER_IDLE
bin=$(dirname "$MQAUDIT")/tests/ledger

value() { # NAME: what a test program printed behind that name into $work/out
	sed -n "s/^$1 //p" "$work/out" | head -n 1
}
