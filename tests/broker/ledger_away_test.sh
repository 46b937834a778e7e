#!/usr/bin/env bash
# PostgreSQL is away for 20 s under load: frozen with all its sessions, and, as a server of somebody's own behind a
# URL, stopped at once, and killed with all its processes, and started later. The probe goes on into its journal
# without a pause, nothing is missed, nothing counted twice: PASS each time, as an independent reader counts.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

away=${AWAY:-20}
rate=5000
python_env
lab_up
url() { echo "kafka://lab:$lab/$1"; }
log_end() { # TOPIC: sum of end offsets, asked of the brokers: what arrived, whatever the ledger knows
	python_in_lab "$top/tests/broker/tools/log_ends.py" "$(bootstrap)" "$1" | cut -d" " -f2
}
acked_of() { report_is "$1" ".counts.acked >= $2"; }
start_run() { # NAME: sets $runner
	"$mq" run "$(url "$1")" --run "$1" --create-topic 3:3 -r "$rate" -q -X acks=all -X enable.idempotence=true \
		>"$work/$1.txt" 2>"$work/$1.err" &
	runner=$!
	ok "$1: gets going" wait_until 60 acked_of "$1" $((rate * 2))
}
# asked without the ledger: that is the point
arrived() { [ "$(log_end "$1")" -ge "$2" ]; }
went_on() { # NAME BEFORE SECONDS-AWAY: the probe has sent as much as is due, or nearly
	local now
	now=$(log_end "$1")
	ok "$1: the probe went on into its journal ($((now - $2)) in $3 s)" test $((now - $2)) -ge $((rate * ($3 - 3)))
}
judge() { # NAME
	local at
	at=$(report "$1" .counts.acked)
	ok "$1: it is in the ledger again" wait_until 30 acked_of "$1" $((at + rate))
	kill -INT "$runner"
	wait "$runner"
	is "$1: PASS" "$? $(report "$1" '"\(.verdict) \(.agreed)"')" "0 PASS true"
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$1" >"$work/$1.read" || bail "the reader fails"
	is "$1: counted as an independent reader counts: distinct, repeated" \
		"$(report "$1" '"\(.counts.distinct) \(.counts.extra)"')" \
		"$(cut -d' ' -f1 "$work/$1.read" | sort -u | wc -l) $(cut -d' ' -f1 "$work/$1.read" | sort | uniq -d | wc -l)"
	is "$1: each was intended, acked and found" \
		"$(report "$1" '"\(.counts.acked) \(.counts.distinct) \(.counts.in_flight) \(.counts.none)"')" \
		"$(report "$1" .counts.intended) $(report "$1" .counts.intended) 0 0"
	note "$1: $(report "$1" .counts.acked) acked"
}

# ---- frozen --------------------------------------------------------------------------------------
start_run frozen
server=$("$mq" ledger status --format json | jq .pid)
all_of() { # PID: the postmaster and the sessions it has
	echo "$1"
	cat "/proc/$1/task/$1/children" 2>/dev/null | tr ' ' '\n'
}
before=$(log_end frozen)
stopped=$(all_of "$server")
# shellcheck disable=SC2086 # one word each
kill -STOP $stopped
froze=$SECONDS
still() { for pid in $stopped; do [ "$(awk '{ print $3 }' "/proc/$pid/stat")" = T ] || return 1; done; }
ok "frozen: the server and its sessions stand still" wait_until 10 still
ok "frozen: the load goes on" wait_until 60 arrived frozen $((before + rate * (away - 1)))
until [ $((SECONDS - froze)) -ge "$away" ]; do sleep 0.2; done
went_on frozen "$before" $((SECONDS - froze))
ok "frozen: to the end" still
# shellcheck disable=SC2086
kill -CONT $stopped
judge frozen

# ---- a server of somebody's own, behind a URL ----------------------------------------------------
"$mq" ledger stop >/dev/null 2>&1
bin=$(dirname "$(ls -d /usr/lib/postgresql/*/bin/initdb | tail -1)")
own=$work/own
install -d -o postgres "$own"
as_postgres() { (cd / && runuser -u postgres -- "$@"); }
as_postgres "$bin/initdb" -D "$own/data" -A trust >"$work/initdb.log" 2>&1 || bail "initdb: $(tail -1 "$work/initdb.log")"
pg_up() { as_postgres "$bin/pg_ctl" -D "$own/data" -w -l "$own/log" -o "-k $own -c listen_addresses=''" start >/dev/null 2>&1; }
pg_up || bail "the server does not start: $(tail -3 "$own/log")"
end_own() { as_postgres "$bin/pg_ctl" -D "$own/data" -m immediate stop >/dev/null 2>&1; cleanup; }
trap end_own EXIT
export MQAUDIT_LEDGER="postgresql://postgres@/postgres?host=$own"

down_for() { # NAME
	local before since
	before=$(log_end "$1")
	since=$SECONDS
	ok "$1: the load goes on" wait_until 60 arrived "$1" $((before + rate * (away - 1)))
	until [ $((SECONDS - since)) -ge "$away" ]; do sleep 0.2; done
	went_on "$1" "$before" $((SECONDS - since))
	ok "$1: the run waits for it" kill -0 "$runner"
}
start_run stopped
as_postgres "$bin/pg_ctl" -D "$own/data" -m immediate stop >/dev/null
is "stopped: the server is stopped at once" $? 0
down_for stopped
ok "stopped: it is down to the end" test ! -e "$own/data/postmaster.pid"
pg_up
is "stopped: and starts again" $? 0
judge stopped

start_run killed
server=$(head -1 "$own/data/postmaster.pid")
# shellcheck disable=SC2046
kill -KILL $(all_of "$server")
gone() { ! kill -0 "$server" 2>/dev/null; }
ok "killed: the server is dead" wait_until 10 gone
down_for killed
pg_up
is "killed: it recovers" $? 0
judge killed
done_testing
