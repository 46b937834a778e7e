#!/bin/bash
# Help: every command has it, whole, and it teaches.
. "$(dirname "$0")/lib.sh"

is_whole() { # the last line is there, brackets are closed, no sentence breaks off
	[ "$(tail -1 <<<"$out")" = 'Every long option can be set as environment variable MQAUDIT_<NAME> too.' ] &&
		[ "$(tr -cd '(' <<<"$out" | wc -c)" -eq "$(tr -cd ')' <<<"$out" | wc -c)" ] &&
		[ "$(tr -cd '[' <<<"$out" | wc -c)" -eq "$(tr -cd ']' <<<"$out" | wc -c)" ] &&
		[ "$(wc -L <<<"$out")" -le 100 ]
}

mapfile -t names < <(commands)
ok "the overview lists commands" test "${#names[@]}" -ge 20

for name in "${names[@]}"; do
	read -ra words <<<"$name"
	run "${words[@]}" --help
	is "$name --help: exit code" "$code" 0
	is "$name --help: nothing on stderr" "$err" ''
	ok "$name --help is whole" is_whole
	ok "$name --help begins with the usage" contains "$out" "^Usage: mqaudit $name( |\$)"
	by_option=$out
	run help "${words[@]}"
	is "help $name says the same" "$out" "$by_option"
	run "${words[@]}" -h
	is "$name -h says the same" "$out" "$by_option"
	ok "$name --help has an example" contains "$out" "^  .*mqaudit $name( |\$)"
done

# help wins over what else is wrong
run probe --help --count nonsense
is "--help: what stands behind it does not matter" "$code" 0

for family in lab ledger; do
	run "$family" --help
	is "$family --help: exit code" "$code" 0
	ok "$family --help lists what belongs to it" contains "$out" "^  mqaudit $family (up|start) "
	by_option=$out
	run help "$family"
	is "help $family says the same" "$out" "$by_option"
done

run --help
is "--help: exit code" "$code" 0
overview=$out
run help
is "help says the same" "$out" "$overview"
ok "the overview tells the exit codes" contains "$out" 'Exit codes: 0 pass'
run
is "no command at all is wrong use" "$code" 2
is "... and shows the overview, on stderr" "$err" "$overview"
is "... and nothing on stdout" "$out" ''

run --version
is "--version: exit code" "$code" 0
ok "--version: the version" contains "$out" '^mqaudit [0-9a-z.-]+$'
ok "--version: what is built in" contains "$out" '^  kafka +librdkafka [0-9.]+$'

done_testing
