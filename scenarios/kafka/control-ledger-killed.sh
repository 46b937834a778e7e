#!/usr/bin/env bash
#: title     The ledger's PostgreSQL is killed, and frozen, while messages are sent and read
#: about     A control: the probe goes on into its journal, the checker waits; when PostgreSQL is back, nothing is missing.
#: about     It is a ledger of this scenario's own, never yours: its run is not in `mqaudit runs`.
#: id        C-8
#: stage     produce
#: faults    SIGKILL and SIGSTOP of PostgreSQL
#: needs     nodes=3
#: takes     18s
#: quiet     yes
#: rate      5000
#: partitions 3
#: producer  acks=all enable.idempotence=true
#: twin recorded good
#:   expect    PASS
#: mine      none
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

PARTITIONS=3
frozen=()

own_ledger() { # a state folder of our own that sees the same labs; PostgreSQL's user must be able to enter it
	own=$(mktemp -d "${TMPDIR:-/tmp}/mqaudit-control.XXXXXX") && chmod 755 "$own" || die "no folder for a ledger"
	ln -s "$SCENARIO_STATE/lab" "$own/lab" || die "no way to the lab from $own"
	export MQAUDIT_STATE=$own
	unset MQAUDIT_LEDGER
	forget_ledger recorded
}
server() { "$MQAUDIT" ledger status --format json | jq '.pid // 0'; }
is_another() { local pid; pid=$(server) && [ "${pid:-0}" -gt 0 ] && [ "$pid" != "$1" ]; }
with_sessions() { echo "$1"; tr ' ' '\n' <"/proc/$1/task/$1/children" | grep .; }
is_frozen() { # each stands still, or had ended by itself just before: but for the server
	local pid state
	for pid in "${frozen[@]}"; do
		state=$(awk '{ print $3 }' "/proc/$pid/stat" 2>/dev/null)
		[ "$state" = T ] || { [ "$pid" != "${frozen[0]}" ] && [ "${state:-Z}" = Z ]; } || return 1
	done
}
thaw() { [ "${#frozen[@]}" -eq 0 ] || kill -CONT "${frozen[@]}" 2>/dev/null; frozen=(); }
end_own() {
	thaw
	clean_up
	[ -z "${own:-}" ] || { "$MQAUDIT" ledger stop >/dev/null 2>&1; rm -rf "$own"; }
}
trap end_own EXIT

kill_it() {
	local pid
	pid=$(server)
	[ "${pid:-0}" -gt 1 ] || undecided "there is no PostgreSQL to be killed"
	step "PostgreSQL is killed"
	kill -KILL "$pid" || undecided "there is no PostgreSQL to be killed"
	await 60 "somebody has started PostgreSQL again" is_another "$pid"
	proved "SIGKILL of PostgreSQL $pid" "the next one is $(server)"
}
freeze_it() {
	local was
	frozen=("$(server)")
	step "PostgreSQL is frozen"
	kill -STOP "${frozen[0]}" # from now on it starts no session
	mapfile -t frozen < <(with_sessions "${frozen[0]}")
	kill -STOP "${frozen[@]}" 2>/dev/null
	await 10 "PostgreSQL and its sessions stand still" is_frozen
	was=$(log_end recorded)
	for_seconds 3 "nobody can write to the ledger"
	is_frozen || undecided "PostgreSQL did not stand still"
	[ "$(log_end recorded)" -gt "$was" ] || undecided "the probe stood still as well"
	proved "SIGSTOP of PostgreSQL and $((${#frozen[@]} - 1)) sessions" "messages went on from offset $was"
	thaw
}
prepare() { own_ledger; }
provoke() {
	kill_it
	more_acked "$SCENARIO_RATE" recorded
	freeze_it
	more_acked "$SCENARIO_RATE" recorded
}
prove() {
	local counts
	counts=$(value_of recorded '.counts | "\(.acked - .distinct) \(.extra) \(.pending)"')
	[ "$counts" = "0 0 0" ] || die "acked and not found, repeated, pending: $counts"
}

scenario
