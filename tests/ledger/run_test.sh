#!/usr/bin/env bash
# `run` and its children, with a stand-in for both (run_stand_in.sh) and a real ledger: what is handed on, whose
# exit code counts, and what becomes of it when somebody dies. The real ones are in tests/broker.
# shellcheck source=tests/lib.sh
MQAUDIT=${MQAUDIT:-$(dirname "$0")/../../${B:-build/rel}/mqaudit}
MQAUDIT=$(realpath "$MQAUDIT") || exit 1
export MQAUDIT
. "$(dirname "$0")/../lib.sh"

unset MQAUDIT_LEDGER
export REAL=$mq PLAY=$work/play
url=kafka://host/topic

"$mq" ledger start >/dev/null 2>&1 || bail "the ledger does not start"
"$mq" runs >/dev/null 2>&1
psql "$("$mq" ledger status --format json | jq -r .conninfo)" -q -f "$top/tests/ledger/report_runs.sql" \
	>"$work/sql.log" 2>&1 || bail "no runs: $(grep -m1 ERROR "$work/sql.log")"

# play PROBE CHECK RECOVER: what they will do. A probe that named its run and is done; a check that agrees.
named='say "probe\\trun=orders-2\\tphase=sending\\tintended=5"'
ready='say "check\\tphase=reading"'
play() {
	rm -rf "$PLAY"
	mkdir "$PLAY"
	printf '%s\n' "$1" >"$PLAY/probe"
	printf '%s\n' "${2:-exit 0}" >"$PLAY/check"
	printf '%s\n' "${3:-exit 0}" >"$PLAY/recover"
}

run() {
	MQAUDIT_PROGRAM=$top/tests/ledger/run_stand_in.sh timeout 60 "$mq" run "$@" >"$work/out" 2>"$work/err" </dev/null
	code=$?
}
start() { # as run, and do not wait: its pid in $pid
	MQAUDIT_PROGRAM=$top/tests/ledger/run_stand_in.sh "$mq" run "$@" >"$work/out" 2>"$work/err" </dev/null &
	pid=$!
}
times() { if [ -e "$PLAY/$1.args" ]; then grep -c "^$1\$" "$PLAY/$1.args"; else echo 0; fi; }
is_gone() { # PID: ended, or a zombie that nobody has taken yet
	[ ! -d "/proc/$1" ] || [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" = Z ]
}
all_gone() { for p in $(cat "$PLAY"/*.pid); do is_gone "$p" || return 1; done; }
verdict() { sed -n '1s/ .*//p' "$work/out"; }

# ---- what is handed on ----

play "$named; wait_for check.args; exit 0"
run --rate 2k -n 5 -X acks=all --property linger.ms=7 --settle 3s --no-fence --shared --run mine --limit 3 "$url"
is "the verdict's exit code" "$code" 0
is "the report on standard output" "$(verdict)" PASS
is "the probe gets what it knows" "$(sort "$PLAY/probe.args" | tr '\n' ' ')" \
	"-- --count=5 --property=acks=all --property=linger.ms=7 --rate=2000 --run=mine --shared $url probe "
is "the check gets what it knows, and the run that the probe named" "$(sort "$PLAY/check.args" | tr '\n' ' ')" \
	"-- --no-fence --property=acks=all --property=linger.ms=7 --run=orders-2 --settle=3000000000ns check $url "
play "$named; wait_for check.args"
run --check kafka://other/copy "$url"
ok "with --check the check reads there" grep -qx kafka://other/copy "$PLAY/check.args"
ok "and the probe is told" grep -qx -- --check=kafka://other/copy "$PLAY/probe.args"
ok "without options nothing is handed on" [ "$(grep -c '^--' "$PLAY/check.args")" -eq 2 ]

# ---- exit codes ----

for row in orders-1:1:1 orders-3:4:4 orders-5:3:3 orders-6:4:4; do
	IFS=: read -r name theirs want <<<"$row"
	play "say 'probe\\trun=$name\\tphase=sending'; wait_for check.args" "exit $theirs"
	run "$url"
	is "the verdict of $name: the exit code" "$code" "$want"
	ok "the verdict of $name: the report" [ -s "$work/out" ]
done
for theirs in 2 3; do
	play "echo no >&2; exit $theirs"
	run "$url"
	is "a probe that cannot begin ($theirs): its exit code" "$code" "$theirs"
	is "no check, no report" "$(times check) $(wc -c <"$work/out")" "0 0"
	is "its message, and no other" "$(cat "$work/err")" no
done
play "say 'probe\\trun=orders-2\\tphase=connecting'; exit 3"
run "$url"
is "a probe that fails before it sends anything" "$code $(times check)" "3 0"
play "$named; wait_for check.args; exit 3" "wait_for recover.args"
run "$url"
is "a probe that fails in the middle: PASS is not believed" "$code $(verdict)" "3 PASS"
ok "and that is said" grep -q 'the probe ended with exit code 3' "$work/err"
is "its journal is shipped" "$(times recover)" 1
play "say 'probe\\trun=orders-1\\tphase=sending'; wait_for check.args; exit 3" "wait_for recover.args; exit 1"
run "$url"
is "a probe that fails in the middle: FAIL is" "$code $(verdict)" "1 FAIL"
play "$named; trap 'touch $PLAY/ended; exit 0' INT; while :; do sleep 0.05; done" "exit 3"
run "$url"
is "a check that fails ends the probe too" "$code $(test -e "$PLAY/ended" && echo ended)" "3 ended"
play "$named; wait_for check.args"
run -o json="$work/none/x" "$url"
is "a report that cannot be written: nothing is begun" "$code $(times probe)" "3 0"
run -o xml="$work/x" "$url"
is "a form that is none: nothing is begun" "$code $(times probe)" "2 0"

# ---- what they say ----

play "say garbage; say \"\$(head -c 20000 /dev/zero | tr '\\0' x)\"; $named; wait_for check.args; wait_for said" \
	"say 'found\\t12:31:07  lost at broker   producer 1'; touch $PLAY/said"
run "$url"
is "lines that are none are passed over" "$code" 0
ok "what was found is told at once" grep -q '12:31:07  lost at broker' "$work/err"
play "$named; wait_for check.args; sleep 300 & echo \$! >$PLAY/left.pid"
run "$url"
is "what a child left behind holds up nobody" "$code" 0
kill "$(cat "$PLAY/left.pid")"

# ---- who is killed ----

play "$named; wait_for check.args; kill -KILL \$\$" "wait_for recover.args"
run "$url"
is "a killed probe: its journal is shipped, and the check judges" "$code $(times recover)" "0 1"
is "recover is told of which run" "$(tail -n +2 "$PLAY/recover.args" | tr '\n' ' ')" "--run orders-2 "
play "$named; wait_for check.args; kill -KILL \$\$" "trap 'exit 0' INT; $ready; while :; do sleep 0.05; done" "echo broken; exit 3"
run "$url"
is "a journal that cannot be shipped: the check waits no more" "$code" 0
ok "and it is said" grep -q 'journal could not be shipped: broken' "$work/err"
killed='[ $(wc -l <"$PLAY/check.pid") -gt N ] || kill -KILL $$'
play "$named; trap 'exit 0' INT; while [ \$(wc -l <$PLAY/check.pid 2>/dev/null || echo 0) -lt 4 ]; do sleep 0.05; done" \
	"${killed/N/3}"
run "$url"
is "a check that is killed three times is started again" "$code $(times check)" "0 4"
play "$named; trap 'exit 0' INT; while :; do sleep 0.05; done" "${killed/N/9}"
run "$url"
is "and not a fourth time" "$code $(times check)" "3 4"
ok "which is said" grep -q 'the checker was killed 4 times' "$work/err"
ok "nobody is left" wait_until 10 all_gone

# ---- Ctrl-C ----

patient="trap 'touch $PLAY/interrupted; wait_for go; exit 0' INT; while :; do sleep 0.05; done"
play "$named; $patient" "trap 'touch $PLAY/check-interrupted' INT; wait_for go"
start "$url"
wait_until 20 test -e "$PLAY/check.args" || bail "no check"
kill -INT "$pid"
ok "Ctrl-C: the probe is told" wait_until 10 test -e "$PLAY/interrupted"
ok "the check is not" [ ! -e "$PLAY/check-interrupted" ]
ok "both are waited for" kill -0 "$pid"
touch "$PLAY/go"
wait "$pid"
is "then it ends with the verdict" "$? $(verdict)" "0 PASS"

play "$named; wait_for check.args" "trap 'touch $PLAY/check-interrupted; exit 0' INT; $ready; while :; do sleep 0.05; done"
start --follow "$url"
wait_until 20 test -e "$PLAY/check.args" || bail "no check"
ok "with --follow the check is told to go on" grep -qx -- --follow "$PLAY/check.args"
wait_until 10 is_gone "$(cat "$PLAY/probe.pid")" || bail "the probe does not end"
kill -INT "$pid"
wait "$pid"
is "Ctrl-C ends it" "$? $(test -e "$PLAY/check-interrupted" && echo told)" "0 told"

play "$named; trap 'touch $PLAY/interrupted' INT; while :; do sleep 0.05; done" "trap '' INT; while :; do sleep 0.05; done"
start "$url"
wait_until 20 test -e "$PLAY/check.pid" || bail "no check"
kill -INT "$pid"
wait_until 10 test -e "$PLAY/interrupted" || bail "the probe was not told"
kill -INT "$pid"
wait "$pid"
is "twice: ended at once" $? 130
ok "and nobody is left" wait_until 5 all_gone
ok "it says what is left to do" grep -q 'mqaudit recover' "$work/err"

play "$named; trap 'exit 0' INT; while :; do sleep 0.05; done" "wait_for go"
start "$url"
wait_until 20 test -e "$PLAY/check.pid" || bail "no check"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
ok "when run itself is killed, the probe is told to end" wait_until 10 is_gone "$(cat "$PLAY/probe.pid")"
ok "and the check goes on" eval '! is_gone "$(cat "$PLAY/check.pid")"'
touch "$PLAY/go"
ok "until it has judged" wait_until 10 all_gone

done_testing
