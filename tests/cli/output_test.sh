#!/bin/bash
# Output: lost output is an error, closed descriptors do no harm, colours and progress are for terminals.
. "$(dirname "$0")/lib.sh"

# A command for each kind of product that needs neither a broker nor a ledger.
products=("help" "--help" "run --help" "--version" "help --man" "help --completion bash" "lab --help"
	"ledger status")

note standard output
for product in "${products[@]}"; do
	read -ra words <<<"$product"
	run "${words[@]}"
	ok "$product has a product" test -n "$out"
	timeout -k 1 10 "$mq" "${words[@]}" >/dev/full 2>"$work/err"
	is "$product, on a full disk: exit code" "$?" 3
	is "... says so, once" "$(grep -c 'cannot write.*: No space left on device' "$work/err")" 1
	timeout -k 1 10 "$mq" "${words[@]}" >&- 2>"$work/err"
	is "$product, to a closed descriptor: exit code" "$?" 3
	is "... says so, once" "$(grep -c 'cannot write.*: Bad file descriptor' "$work/err")" 1
done
timeout -k 1 10 "$mq" runs --ledger "$no_ledger" 2>&-
is "standard error closed: the exit code tells it" "$?" 3
timeout -k 1 10 "$mq" nonsense 2>/dev/full
is "standard error full: the exit code tells it" "$?" 2

note closed descriptors
target() { readlink "/proc/$1/fd/$2"; }
at_work() { # PID: its client's threads are there
	[ "$(readlink "/proc/$1/exe")" = "$(readlink -f "$mq")" ] &&
		[ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l)" -gt 1 ]
}
"$mq" probe "$no_broker" --timeout 5s <&- >&- 2>&- &
pid=$!
ok "started without standard descriptors, it works" wait_until 4 at_work "$pid"
for fd in 0 1 2; do
	is "... descriptor $fd is no file or socket of its own" "$(target "$pid" "$fd")" /dev/null
done
{ kill -KILL "$pid"; wait "$pid"; } 2>/dev/null

note terminals
esc=$'\033'
on_terminal() { # COLUMNS ENVIRONMENT-ASSIGNMENT ARGUMENTS...: what a terminal of that width is sent
	local columns=$1 assignment=$2; shift 2

	env "$assignment" script -qec "stty cols $columns rows 24; exec $mq $*" /dev/null </dev/null 2>&1
}
has_escapes() { grep -q "$esc" <<<"$1"; }
has_none() { ! has_escapes "$1"; }

ok "an error on a terminal has colour" has_escapes "$(on_terminal 80 TERM=xterm nonsense)"
ok "... none with NO_COLOR" has_none "$(NO_COLOR=1 on_terminal 80 TERM=xterm nonsense)"
ok "... none with TERM=dumb" has_none "$(on_terminal 80 TERM=dumb nonsense)"
for words in nonsense "runs --ledger $no_ledger" help "run --help" "run $no_broker --timeout 100ms"; do
	# shellcheck disable=SC2086
	TERM=xterm run $words
	ok "$words, not on a terminal: no escape sequences" has_none "$out$err"
done

# Each line of the progress block, as the terminal is sent it, is shorter than the terminal is wide.
widest() { # what a terminal was sent, on stdin: the widest line between two cursor movements
	sed -e "s/$esc\[[0-9;]*m//g" -e "s/$esc\[[KA]/\n/g" -e 's/\r/\n/g' | wc -L
}
progress=(run "$no_broker" --timeout 400ms)
sent=$(on_terminal 20 TERM=xterm "${progress[@]}")
ok "progress is drawn" contains "$sent" "starting  kafka"
drawn=$(sed '/mqaudit: /,$d' <<<"$sent")
ok "... on 20 columns in lines of at most 19 ($(widest <<<"$drawn"))" test "$(widest <<<"$drawn")" -le 19
sent=$(on_terminal 120 TERM=xterm "${progress[@]}")
ok "... on 120 columns in longer ones" test "$(sed '/mqaudit: /,$d' <<<"$sent" | widest)" -gt 40
sent=$(on_terminal 6 TERM=xterm "${progress[@]}")
drawn=$(sed '/mqaudit: /,$d' <<<"$sent")
ok "... on 6 columns in lines of at most 5 ($(widest <<<"$drawn"))" test "$(widest <<<"$drawn")" -le 5
ok "NO_COLOR leaves the progress, without colour" contains "$(NO_COLOR=1 on_terminal 80 TERM=xterm "${progress[@]}")" starting

# Real terminals, small in both ways: while it works the block stands there once, at the end it is gone.
if command -v tmux >/dev/null; then
	terminal() { tmux -L "$lab" "$@"; }
	trap 'terminal kill-server 2>/dev/null; cleanup' EXIT
	screen() { terminal capture-pane -p -t "s$1"; }
	shows() { screen "$1" | tr -d '\n' | grep -q "$2"; } # a line may be wrapped
	sizes="20x40 80x24 40x5"
	for size in $sizes; do
		terminal -f /dev/null new-session -d -s "s$size" -x "${size%x*}" -y "${size#*x}" \
			"TERM=screen '$mq' ${progress[*]/400ms/3s}; : >'$work/done.$size'; exec sleep 60"
	done
	for size in $sizes; do
		ok "terminal $size: progress" wait_until 5 shows "$size" '^starting'
		is "... its block once" "$(screen "$size" | grep -c '^starting')" 1
	done
	for size in $sizes; do
		ok "terminal $size: the end comes" wait_until 10 test -e "$work/done.$size"
		ok "... with the hint" wait_until 2 shows "$size" 'a broker runs there'
		is "... and no block is left" "$(screen "$size" | grep -c '^starting\|probe connecting')" 0
	done
else
	note "SKIP: no tmux"
fi

done_testing
