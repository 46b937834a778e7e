#!/bin/bash
# Where an option's value comes from: flag, then environment, then --config FILE, then default.
. "$(dirname "$0")/lib.sh"

conf=$work/config

given() { # ENVIRONMENT-ASSIGNMENT|- CONFIG-TEXT|- ARGUMENTS...: run with both; '-' is for none
	local environment=$1 config=$2; shift 2

	rm -f "$conf"
	[ "$config" = - ] || printf '%b\n' "$config" >"$conf"
	(
		[ "$environment" = - ] || export "${environment?}"
		[ "$config" = - ] || export MQAUDIT_CONFIG=$conf
		timeout -k 1 10 "$mq" "$@" >"$work/out" 2>"$work/err" </dev/null
	)
	code=$?
	out=$(<"$work/out")
	err=$(<"$work/err")
}

# Which of four values counts shows where each is wrong in a way of its own.
layers() { # OPTION VARIABLE TYPE COMMAND...
	local option=$1 variable=$2 type=$3; shift 3

	given "$variable=envX" "$option = fileX" "$@" "--$option=flagX"
	is "$type: a flag wins: exit code" "$code" 2
	ok "$type: a flag wins" contains "$err" "--$option: '?flagX"
	given "$variable=envX" "$option = fileX" "$@"
	is "$type: then the environment: exit code" "$code" 2
	ok "$type: then the environment" contains "$err" "--$option: '?envX"
	given - "$option = fileX" "$@"
	is "$type: then the file: exit code" "$code" 2
	ok "$type: then the file" contains "$err" "--$option: '?fileX"
	given - - "$@"
	is "$type: the default is right, so that it goes on to fail elsewhere" "$code" 3
}

probe=(probe "$no_broker" --timeout 100ms)
layers keys MQAUDIT_KEYS text "${probe[@]}"
layers on-queue-full MQAUDIT_ON_QUEUE_FULL choice "${probe[@]}"
layers producers MQAUDIT_PRODUCERS number "${probe[@]}"
layers size MQAUDIT_SIZE size "${probe[@]}"
layers flush-timeout MQAUDIT_FLUSH_TIMEOUT time "${probe[@]}"
layers topic-config MQAUDIT_TOPIC_CONFIG list "${probe[@]}" --create-topic 1

# a right value above hides a wrong one below
given MQAUDIT_KEYS=envX 'keys = fileX' "${probe[@]}" --keys seq
is "a right flag hides what is wrong below it" "$code" 3
given MQAUDIT_KEYS=seq 'keys = fileX' "${probe[@]}"
is "a right variable hides what is wrong in the file" "$code" 3

note flags
recover=(recover --ledger "$no_ledger")
flag() { # NAME EXPECTED-CODE ENVIRONMENT CONFIG ARGUMENTS...: 2 when --assume-dead is on (it needs --run), 3 when off
	local name=$1 expected=$2; shift 2

	given "$1" "$2" "${recover[@]}" "${@:3}"
	is "a flag: $name" "$code" "$expected"
}
flag 'is off by default' 3 - -
flag 'on by itself' 2 - - --assume-dead
flag 'on by the environment' 2 MQAUDIT_ASSUME_DEAD=yes -
flag 'off by --no-, against the environment' 3 MQAUDIT_ASSUME_DEAD=yes - --no-assume-dead
flag 'on by the file' 2 - 'assume-dead = on'
flag 'off by the environment, against the file' 3 MQAUDIT_ASSUME_DEAD=no 'assume-dead = on'
flag 'on by itself, against the environment' 2 MQAUDIT_ASSUME_DEAD=off 'assume-dead = off' --assume-dead
given MQAUDIT_ASSUME_DEAD=maybe - "${recover[@]}"
is "a flag that is neither yes nor no: exit code" "$code" 2
ok "... names the variable" contains "$err" "MQAUDIT_ASSUME_DEAD.*'maybe' is neither yes nor no"

note the file
given - "[probe]\nkeys = fileX" "${probe[@]}"
ok "a section named as the command counts" contains "$err" "fileX"
given - "[check]\nkeys = fileX\nnonsense = 1" "${probe[@]}"
is "another command's section does not" "$code" 3
given - "keys = seq\n[probe]\nkeys = fileX" "${probe[@]}"
ok "the section beats what stands above" contains "$err" "fileX"
given - "[probe]\nnonsense = 1" "${probe[@]}"
is "an unknown name in the section: exit code" "$code" 2
ok "... is named, with file and line" contains "$err" "'$conf', line 2: 'probe' has no option 'nonsense'"
given - "[check]\nsettle = 1s\n[prboe]\nkeys = fileX" "${probe[@]}"
is "a section of no command: exit code" "$code" 2
ok "... is named" contains "$err" "line 4: section 'prboe' is named as no command"
given - "[probe]\nno equals sign" "${probe[@]}"
is "a line that is none: exit code" "$code" 2
ok "... is named" contains "$err" "line 2: not 'name = value'"
printf 'keys = flagfileX\n' >"$work/other"
given - 'keys = fileX' "${probe[@]}" --config "$work/other"
ok "--config FILE beats MQAUDIT_CONFIG" contains "$err" flagfileX
refused "--config: no such file" 2 "cannot read '/nonexistent'" "${probe[@]}" --config /nonexistent
refused "--config: a folder" 2 "$work" "${probe[@]}" --config "$work"

done_testing
