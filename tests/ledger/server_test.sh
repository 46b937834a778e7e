#!/bin/bash
# The embedded ledger on the real server, as root and as an ordinary user (only the latter when this is
# not run by root). TAP; needs the build in $B (build/rel) with tests/ledger/client and pg_live.
# Everything it starts lives below one mktemp folder and is ended by pid.
set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$(realpath "$root/${B:-build/rel}")
# copied: the ordinary user may not be able to enter the build
top=$(mktemp -d /tmp/mqaudit-server-test.XXXXXX)
chmod 755 "$top"
cp "$bin/mqaudit" "$bin/tests/ledger/client" "$bin/tests/ledger/pg_live" "$top" || exit 1
mq=$top/mqaudit
client=$top/client
export MQAUDIT_PROGRAM=$mq
export LC_ALL=C
unset MQAUDIT_STATE MQAUDIT_LEDGER MQAUDIT_PG_PATH MQAUDIT_LEDGER_IDLE XDG_STATE_HOME
n=0
failed=0
as=()      # how to become the user that a suite is for
who=       # its name, in front of each test's
state=     # the state folder in use
mounts=()
holders=()

# ---- TAP ----

result() { # 0|1 NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $who: $2"
	else
		echo "not ok $n - $who: $2"
		failed=1
		[ -f "$top/out" ] && sed 's/^/#   out: /' "$top/out"
		[ -f "$top/err" ] && sed 's/^/#   err: /' "$top/err"
		[ -f "$state/ledger/server.log" ] && tail -n 5 "$state/ledger/server.log" | sed 's/^/#   log: /'
	fi
}

skip() { # NAME REASON
	n=$((n + 1))
	echo "ok $n - $who: $1 # SKIP $2"
}

# ---- helpers ----

now_ms() { date +%s%3N; }

run() { # COMMAND...: as the user, output in $top/out and $top/err; a hang is a failure
	timeout 100 "${as[@]}" "$@" >"$top/out" 2>"$top/err" </dev/null
}

query() { run "$client" query 10000 "$1"; }
out_is() { [ "$(cat "$top/out")" = "$1" ]; }
err_has() { grep -qF -e "$1" "$top/err"; }

pid_of() { # keeper|postmaster
	sed -n "s/^$1 \([0-9]*\) .*/\1/p" "$state/ledger/server.state" 2>/dev/null
}

# An empty pid, or one of an ended process or a zombie, is gone.
alive() { [ -n "$1" ] && [ "$1" != 0 ] && [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" != Z ] && [ -d "/proc/$1" ]; }
gone() { ! alive "$1"; }

wait_until() { # SECONDS COMMAND...
	local end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.02
	done
}

starts() { grep -c 'ready to accept connections' "$state/ledger/server.log"; }

new_state() { # NAME: a folder of the suite's user, in which there is no ledger yet
	state=$top/$who/$1
	mkdir -p "$state"
	chmod 755 "$top/$who"
	[ "${#as[@]}" -eq 0 ] || chown 65534:65534 "$state"
	chmod 755 "$state"
	export MQAUDIT_STATE=$state
}

stop_it() {
	run "$mq" ledger stop
}

no_processes() { # of this state folder
	! pgrep -f -- "-D $state/ledger/data" >/dev/null
}

hold() { # a client that stays connected; ended by let_go
	mkfifo "$top/fifo.$1"
	"${as[@]}" "$client" hold <"$top/fifo.$1" >"$top/hold.$1" 2>&1 &
	holders+=($!)
	eval "exec $((10 + $1))>\"$top/fifo.$1\""
	wait_until 20 grep -q open "$top/hold.$1"
}

let_go() {
	eval "exec $((10 + $1))>&-"
	rm -f "$top/fifo.$1"
}

cleanup() {
	local s pid
	for s in "$top"/*/*/ledger/server.state "$top"/*/*/*/ledger/server.state; do
		[ -f "$s" ] || continue
		state=${s%/ledger/server.state}
		for pid in $(pid_of keeper) $(pid_of postmaster); do
			if grep -qs -e "$top" "/proc/$pid/cmdline"; then
				kill -CONT "$pid"
				kill -TERM "$pid"
			fi
		done
		wait_until 20 no_processes
	done
	for pid in "${holders[@]}"; do kill "$pid" 2>/dev/null; done
	for s in "${mounts[@]}"; do umount "$s" 2>/dev/null; done
	if [ "$failed" -eq 0 ]; then rm -rf "$top"; else echo "# left behind: $top"; fi
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# ---- the tests ----

test_first_start() {
	new_state first
	run "$mq" ledger status
	[ $? -eq 0 ] && grep -q '^state *not made' "$top/out" && [ ! -e "$state/ledger" ]
	result $? "status starts and makes nothing"

	local t
	t=$(now_ms)
	run "$client" ensure
	local r=$?
	echo "# first start: $(($(now_ms) - t)) ms"
	result $r "first start"

	query "create table kept as select 42 as x"
	query "select x from kept" && out_is 42
	result $? "SQL runs"

	local pid
	pid=$(pid_of postmaster)
	t=$(now_ms)
	run "$client" ensure
	r=$?
	echo "# when it runs already: $(($(now_ms) - t)) ms"
	[ $r -eq 0 ] && [ "$pid" = "$(pid_of postmaster)" ]
	result $? "second start uses the same server"

	! ss -Hltnp | grep -q "pid=$pid,"
	result $? "no TCP port is open"

	[ "$(stat -c '%a %U' "$state/ledger/socket")" = "700 $(stat -c %U "/proc/$pid")" ]
	result $? "only the server's user can enter the folder of the socket"

	query "select string_agg(current_setting(s), ' ' order by s) from unnest('{server_encoding,lc_collate,data_checksums,fsync,synchronous_commit,wal_level,jit,timezone,cluster_name}'::text[]) s" &&
		out_is "mqaudit on on off C UTF8 on UTC minimal"
	result $? "settings"

	run env PGHOST=nowhere.invalid PGPORT=1 PGDATABASE=x PGUSER=x PGOPTIONS='-c nonsense=1' PGSSLMODE=require PGTARGETSESSIONATTRS=standby "$client" query 10000 "select 1" && out_is 1
	result $? "PG* variables do not lead astray"

	run "$mq" ledger status --format json
	jq_ok=$(python3 -c "
import json,sys
j=json.load(open('$top/out'))
print(j['state']=='running' and j['running'] and not j['kept'] and j['clients']==0 and j['pid']==$pid
  and j['bytes']>20000000 and j['version'].startswith('1') and j['data_dir']=='$state/ledger/data')")
	[ "$jq_ok" = True ]
	result $? "status as JSON"

	run bash -c "$("${as[@]}" "$mq" ledger status | sed -n 's/^connect *//p') -XAtc 'select x from kept'" && out_is 42
	result $? "the psql command can be pasted"

	MQAUDIT_TEST_LEDGER=$("${as[@]}" "$client" ensure) run env CMOCKA_MESSAGE_OUTPUT=tap "$top/pg_live"
	result $? "the connection wrapper's own tests"
	stop_it
}

test_environment() {
	new_state environment
	exec 7>"$top/inherited"
	local x
	x=$(MQAUDIT_AMQP_PASSWORD=hush timeout 60 "${as[@]}" "$mq" ledger start 2>/dev/null)
	[ "${x#psql }" != "$x" ]
	result $? "x=\$(mqaudit ledger start) returns, with the psql command"
	! find "/proc/$(pid_of keeper)/fd" "/proc/$(pid_of postmaster)/fd" -lname '*inherited*' | grep -q .
	result $? "keeper and server hold no file of who started them"
	! grep -qz MQAUDIT "/proc/$(pid_of postmaster)/environ"
	result $? "the server's environment has nothing of ours"
	exec 7>&-
	run "$mq" ledger stop --nonsense
	[ $? -eq 2 ]
	result $? "wrong use is exit 2"
	stop_it
}

test_many_at_once() {
	new_state many
	local i pids=() bad=0 t
	t=$(now_ms)
	for i in $(seq 20); do
		"${as[@]}" "$client" query 20000 "select pg_postmaster_start_time()" >"$top/many.$i" 2>&1 </dev/null &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || bad=1; done
	echo "# 20 at once, from nothing: $(($(now_ms) - t)) ms"
	[ $bad -eq 0 ] && [ "$(cat "$top"/many.* | sort -u | wc -l)" -eq 1 ] && [ "$(starts)" -eq 1 ]
	result $? "20 at once make one ledger and start one server"
	stop_it
	pids=()
	t=$(now_ms)
	for i in $(seq 20); do
		"${as[@]}" "$client" query 20000 "select pg_postmaster_start_time()" >"$top/many.$i" 2>&1 </dev/null &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || bad=1; done
	echo "# 20 at once, when it was stopped: $(($(now_ms) - t)) ms"
	[ $bad -eq 0 ] && [ "$(cat "$top"/many.* | sort -u | wc -l)" -eq 1 ] && [ "$(starts)" -eq 2 ]
	result $? "20 at once start one server again"
	rm -f "$top"/many.*
	stop_it
}

test_kills() {
	new_state kills
	query "create table kept as select 42 as x"
	local keeper postmaster t
	keeper=$(pid_of keeper)
	postmaster=$(pid_of postmaster)

	kill -KILL "$postmaster"
	t=$(now_ms)
	query "select x from kept" && out_is 42 && [ "$(pid_of postmaster)" != "$postmaster" ]
	local r=$?
	echo "# restart after SIGKILL of the postmaster: $(($(now_ms) - t)) ms"
	result $r "postmaster killed: the next client restarts it, and the data is there"
	wait_until 10 gone "$keeper"
	result $? "the keeper of the killed one ends"

	"${as[@]}" "$client" query 60000 "select count(*) from generate_series(1, 1000000000)" >"$top/busy" 2>&1 </dev/null &
	local busy=$!
	wait_until 10 eval 'query "select (count(*) = 1)::int from pg_stat_activity where query like '"'%generate_series(1, 1000000000)%'"' and state = '"'active'"' and pid <> pg_backend_pid()" && out_is 1'
	kill -KILL "$(pid_of postmaster)"
	query "select x from kept" && out_is 42
	result $? "postmaster killed over a busy session: the next client restarts it"
	wait "$busy"
	[ $? -eq 3 ] && grep -q 'lost' "$top/busy"
	result $? "the busy client is told that the connection is lost"

	postmaster=$(pid_of postmaster)
	t=$(now_ms)
	kill -KILL "$(pid_of keeper)"
	wait_until 20 gone "$postmaster"
	r=$?
	echo "# postmaster ended after SIGKILL of the keeper: $(($(now_ms) - t)) ms"
	result $r "keeper killed: the postmaster ends"
	tail -n 3 "$state/ledger/server.log" | grep -q 'database system is shut down'
	result $? "... in order"
	query "select x from kept" && out_is 42
	result $? "... and the next client starts both"

	kill -KILL "$(pid_of keeper)"
	query "select x from kept" && out_is 42
	result $? "keeper killed, and a client at once: waits for the old server, starts a new one"

	kill -KILL "$(pid_of keeper)" "$(pid_of postmaster)"
	query "select x from kept" && out_is 42
	result $? "both killed: restarted"

	keeper=$(pid_of keeper)
	query "select pg_backend_pid()"
	hold 1
	query "select pid from pg_stat_activity where application_name = 'mqaudit' and pid <> pg_backend_pid()"
	kill -KILL "$(cat "$top/out")"
	query "select x from kept" && out_is 42 && [ "$(pid_of keeper)" = "$keeper" ]
	result $? "a backend killed: the server recovers by itself"
	let_go 1
	stop_it && no_processes
	result $? "nothing is left after the stop"
}

keeper_in_initdb() {
	ls -d "$state"/ledger/data.new-*/base >/dev/null 2>&1
}

test_interrupted_init() {
	local keeper
	new_state interrupted
	"${as[@]}" "$client" ensure >"$top/out" 2>"$top/err" </dev/null &
	wait_until 10 keeper_in_initdb
	keeper=$(pid_of keeper)
	kill -KILL "$keeper"
	[ ! -e "$state/ledger/data" ]
	result $? "keeper killed within initdb: no half data folder is taken for whole"
	wait $!
	result $? "... and the client that waits starts another"
	! ls -d "$state"/ledger/data.new-* >/dev/null 2>&1
	result $? "... which removes the leftovers"
	stop_it

	new_state interrupted2
	# a background job of a script ignores SIGINT, unless told otherwise
	env --default-signal=INT setsid "${as[@]}" "$client" ensure >"$top/out" 2>"$top/err" </dev/null &
	local pid=$!
	wait_until 10 keeper_in_initdb
	kill -INT -- "-$pid"
	wait "$pid"
	[ $? -eq 130 ]
	result $? "Ctrl-C within initdb ends the client"
	query "select 1" && out_is 1 && [ "$(starts)" -eq 1 ]
	result $? "... the next one uses the server that went on starting"
	stop_it

	new_state interrupted3
	"${as[@]}" "$mq" ledger start >"$top/out" 2>"$top/err" </dev/null &
	wait_until 10 keeper_in_initdb
	kill -KILL $!
	wait $! 2>/dev/null
	query "select 1" && out_is 1
	result $? "client killed within initdb: the next one succeeds"
	stop_it
}

test_idle() {
	export MQAUDIT_LEDGER_IDLE=1s
	new_state idle
	hold 2
	local postmaster t
	postmaster=$(pid_of postmaster)
	# an absence can only be waited for
	sleep 3
	alive "$postmaster"
	result $? "a connected client keeps the server beyond the idle time"
	let_go 2
	t=$(now_ms)
	wait_until 20 gone "$postmaster"
	local r=$? took=$(($(now_ms) - t))
	echo "# stopped $took ms after the last client had gone (idle time 1 s)"
	[ $r -eq 0 ] && [ $took -ge 800 ] && [ $took -lt 5000 ]
	result $? "it stops when the last client has been gone for the idle time"
	wait_until 10 no_processes
	result $? "... and its keeper with it"
	query "select 1" && out_is 1
	result $? "... and the next client starts it again"

	run "$mq" ledger start
	postmaster=$(pid_of postmaster)
	sleep 3
	alive "$postmaster" && run "$mq" ledger status && grep -q '^state *running, kept' "$top/out"
	result $? "ledger start keeps it beyond the idle time"
	hold 3
	run "$mq" ledger stop && err_has "1 client was connected" && gone "$postmaster" && no_processes
	result $? "ledger stop tells of the client, and waits until it is gone"
	let_go 3
	run "$mq" ledger stop && err_has "was not running"
	result $? "stopping twice is no error"
	query "select 1"
	postmaster=$(pid_of postmaster)
	wait_until 20 gone "$postmaster"
	result $? "after a stop it is not kept any more"

	# clients come and go all the time, at the very moment of the idle stop too
	local i bad=0
	export MQAUDIT_LEDGER_IDLE=200ms
	for i in $(seq 40); do
		query "select $i" && out_is "$i" || bad=1
		sleep "0.$((RANDOM % 30 + 10))"
	done
	echo "# $(starts) starts in 40 calls around the idle stop"
	[ $bad -eq 0 ]
	result $? "no client meets a server that is just being stopped for being idle"
	unset MQAUDIT_LEDGER_IDLE
	stop_it
}

test_frozen() {
	new_state frozen
	query "select 1"
	local postmaster t
	postmaster=$(pid_of postmaster)
	kill -STOP "$postmaster"
	t=$(now_ms)
	run "$client" query 1000 "select 1"
	local r=$? took=$(($(now_ms) - t))
	echo "# frozen postmaster: the client failed after $took ms"
	[ $r -eq 3 ] && [ $took -lt 15000 ] && err_has "process $postmaster" && err_has "does not answer"
	result $? "frozen postmaster: a client fails at its deadline"
	run "$mq" ledger status && grep -q '^state *silent' "$top/out"
	result $? "... status says so"
	t=$(now_ms)
	run "$mq" ledger stop && gone "$postmaster" && no_processes
	r=$?
	echo "# stop of a frozen server: $(($(now_ms) - t)) ms"
	result $r "... and ledger stop ends it"

	query "create table x (y int8)"
	mkfifo "$top/fifo.c"
	"${as[@]}" "$client" commit 1000 "insert into x values (1)" <"$top/fifo.c" >"$top/commit" 2>&1 &
	local pid=$!
	exec 9>"$top/fifo.c"
	wait_until 20 grep -q ready "$top/commit"
	query "select pid from pg_stat_activity where application_name = 'mqaudit' and pid <> pg_backend_pid()"
	local backend
	backend=$(cat "$top/out")
	kill -STOP "$backend"
	echo go >&9
	wait "$pid"
	[ $? -eq 3 ] && grep -q '^unknown' "$top/commit"
	result $? "commit into a frozen session: unknown"
	kill -CONT "$backend"
	exec 9>&-
	rm -f "$top/fifo.c"
	stop_it
}

test_folders() {
	new_state "with blank, comma 'quote' \$x"
	query "select 1" && out_is 1
	result $? "a folder name with blank, comma, quote and dollar works"
	run bash -c "$("${as[@]}" "$mq" ledger status | sed -n 's/^connect *//p') -XAtc 'select 7'" && out_is 7
	result $? "... and its psql command can be pasted"
	stop_it

	new_state "long-$(printf '%0140d' 0)"
	local dir
	query "select 1" && out_is 1
	result $? "a very long folder name works"
	dir=$("${as[@]}" "$mq" ledger status | sed -n 's/.*host=\([^ ]*\).*/\1/p')
	[ "$(dirname "$dir")" = /tmp ] && [ "$(stat -c %a "$dir")" = 700 ]
	result $? "a folder name too long for a socket: the socket is in a private folder below /tmp"
	stop_it
	[ ! -e "$dir" ]
	result $? "... and removed after the stop"
	mkdir -m 755 "$dir"
	[ "${#as[@]}" -eq 0 ] || chown 65534:65534 "$dir"
	run "$client" ensure
	[ $? -eq 3 ] && err_has "not trusted"
	result $? "... which is not used when others can enter it"
	rm -rf "$dir"

	new_state gone
	query "select 1"
	local keeper postmaster
	keeper=$(pid_of keeper)
	postmaster=$(pid_of postmaster)
	rm -rf "$state/ledger"
	wait_until 20 gone "$postmaster" && wait_until 20 gone "$keeper"
	result $? "removing the folder ends the server and its keeper"

	new_state socketless
	query "select 1"
	rm -f "$state"/ledger/socket/.s.PGSQL.5432
	run "$mq" ledger stop && no_processes && query "select 1" && out_is 1
	result $? "a server whose socket was removed can be stopped and started"
	stop_it
}

test_namespace() { # a lab without root: unshare -Urn
	new_state namespace
	if ! run unshare -Urn true; then
		skip "namespaces" "user namespaces are not allowed here"
		return
	fi
	if [ "${#as[@]}" -eq 0 ] && [ "$(id -u)" -eq 0 ]; then
		skip "namespaces" "root's labs need none"
		return
	fi
	run unshare -Urn "$client" ensure
	[ $? -eq 3 ] && err_has "user namespace" && err_has "outside" && [ ! -e "$state/ledger/data" ]
	result $? "within a user namespace no server can be made: an error that says so"
	query "create table x as select 42 as y"
	run unshare -Urn "$client" query 10000 "select y from x" && out_is 42
	result $? "... but one that was started outside can be used"
	stop_it
	run unshare -Urn "$client" ensure
	[ $? -eq 3 ] && err_has "cannot run as root" && err_has "outside"
	result $? "... and not be started"
	query "select y from x" && out_is 42
	result $? "... and starts outside again"
	stop_it
}

test_missing_programs() {
	new_state missing
	MQAUDIT_PG_PATH=/nonexistent run "$mq" ledger start
	[ $? -eq 3 ] && err_has "not installed" && err_has "apt-get install postgresql"
	result $? "no initdb: an error that names the package"
	[ ! -e "$state/ledger/data" ] && [ ! -e "$state/ledger/keep" ]
	result $? "... and nothing is left"

	mkdir -p "$top/old/bin"
	printf '#!/bin/sh\necho "postgres (PostgreSQL) 14.9"\n' >"$top/old/bin/postgres"
	cp "$top/old/bin/postgres" "$top/old/bin/initdb"
	chmod -R a+rx "$top/old"
	MQAUDIT_PG_PATH="/nonexistent:$top/o*/bin" run "$client" ensure
	[ $? -eq 3 ] && err_has "14.9" && err_has "too old: 15 or later"
	result $? "an old PostgreSQL: an error that names both versions"

	query "select 1"
	stop_it
	local made
	made=$(cat "$state/ledger/data/PG_VERSION")
	MQAUDIT_PG_PATH="$top/old/bin" run "$client" ensure
	[ $? -eq 3 ] && err_has "made by PostgreSQL $made" && err_has "only 14.9"
	result $? "a data folder of another version: an error that names both"

	mv "$state/ledger/data/PG_VERSION" "$state/ledger/data/PG_VERSION.away"
	run "$client" ensure
	[ $? -eq 3 ] && err_has "is not a data folder"
	result $? "a data folder that is none: an error"
	mv "$state/ledger/data/PG_VERSION.away" "$state/ledger/data/PG_VERSION"
	query "select 1" && out_is 1
	result $? "... and all is well when it is put right"

	stop_it
	echo "nonsense = 1" >"$state/ledger/local.conf"
	run "$client" ensure
	[ $? -eq 3 ] && err_has "did not start" && err_has "server.log"
	result $? "a server that does not start: its reason and its log are named"
	echo "work_mem = '7MB'" >"$state/ledger/local.conf"
	query "show work_mem" && out_is 7MB
	result $? "local.conf is for the user's settings"
	stop_it
}

test_log_is_bounded() {
	new_state log
	query "select 1"
	for _ in 1 2 3; do
		query "do \$\$ begin for i in 1..12000 loop raise log '%', repeat('x', 100); end loop; end \$\$"
		wait_until 10 eval '[ "$(stat -c %s "$state/ledger/server.log")" -lt 1048577 ]' || break
	done
	local small old
	small=$(stat -c %s "$state/ledger/server.log")
	old=$(stat -c %s "$state/ledger/server.log.1")
	query "do \$\$ begin raise log 'still here'; end \$\$"
	[ "$small" -le 1048576 ] && [ "$old" -le 1048576 ] && [ "$(find "$state/ledger" -name 'server.log*' | wc -l)" -eq 2 ] &&
		grep -q 'still here' "$state/ledger/server.log"
	result $? "the log stays small ($small and $old bytes) and goes on"
	stop_it
}

test_full_disk() {
	if [ "$(id -u)" -ne 0 ]; then
		[ -z "${CI:-}" ] || result 1 "full disk: CI must be root, to mount a small file system"
		skip "full disk" "needs root to mount a small file system"
		return
	fi
	new_state full
	mount -t tmpfs -o size=12m,mode=755 mqaudit-test "$state" || { result 1 "mount"; return; }
	mounts+=("$state")
	[ "${#as[@]}" -eq 0 ] || chown 65534:65534 "$state"
	run "$client" ensure
	[ $? -eq 3 ] && err_has "No space left" && err_has "make room"
	result $? "full disk within initdb: an error that says so"
	[ ! -e "$state/ledger/data" ] && ! ls "$state"/ledger/data.new-* >/dev/null 2>&1
	result $? "... and nothing is left of it"
	mount -o remount,size=400m "$state"
	query "create table x as select 42 as y" ; query "select y from x" && out_is 42
	result $? "... and with room it works"

	query "create table big (t text)"
	dd if=/dev/zero of="$state/ballast" bs=1M count=400 >/dev/null 2>&1
	query "insert into big select repeat(md5(i::text), 20) from generate_series(1, 100000) i"
	[ $? -eq 3 ] && grep -qiE 'no space left|lost|disk' "$top/err"
	result $? "full disk later: the statement fails ($(head -c 60 "$top/err" | tr '\n' ' '))"
	rm "$state/ballast"
	wait_until 30 query "select y from x" && out_is 42
	result $? "... and with room again all that was committed is there"
	stop_it
	umount "$state"
}

test_root_only() {
	local closed=$top/closed
	who=root
	mkdir -m 700 "$closed"
	state=$closed/state
	export MQAUDIT_STATE=$state
	run "$client" ensure
	[ $? -eq 3 ] && err_has "cannot enter folder '$closed'" && err_has "chmod o+x '$closed'"
	result $? "a folder that the server's user cannot enter: an error that names it"
	chmod 755 "$closed"
	query "select 1" && out_is 1
	result $? "... and after the chmod it works"
	stop_it

	state=$top/masked/state
	export MQAUDIT_STATE=$state
	(umask 077 && query "select 1" && out_is 1)
	result $? "umask 077: the folders that are made can be entered all the same"
	stop_it

	new_state mine
	query "select 1"
	timeout 60 setpriv --reuid 65534 --regid 65534 --clear-groups "$client" ensure >"$top/out" 2>"$top/err"
	[ $? -eq 3 ] && err_has "belong" && err_has "MQAUDIT_STATE"
	result $? "an ordinary user on root's ledger: an error that says whose it is"
	stop_it

	as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	new_state shared
	query "create table x as select 42 as y"
	stop_it
	as=()
	query "select y from x" && out_is 42 && [ "$(stat -c %u "/proc/$(pid_of postmaster)")" = 65534 ]
	result $? "root on an ordinary user's ledger: runs as that user"
	stop_it
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	query "select y from x" && out_is 42
	result $? "... who can use it afterwards"
	stop_it
	as=()
}

suite() {
	test_first_start
	test_environment
	test_many_at_once
	test_kills
	test_interrupted_init
	test_idle
	test_frozen
	test_folders
	test_namespace
	test_missing_programs
	test_log_is_bounded
	test_full_disk
}

if [ "$(id -u)" -eq 0 ]; then
	who=root
	suite
	test_root_only
	who=ordinary
	as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	suite
else
	who=ordinary
	suite
fi
echo "1..$n"
exit $failed
