#!/bin/bash
# scenario list, show, run: what is shown of the declarations, and wrong use, before any lab is touched.
. "$(dirname "$0")/lib.sh"

unset "${!MQAUDIT_@}"
export MQAUDIT_STATE=$work/state
usage() { # PATTERN ARGUMENTS...
	local pattern=$1; shift
	refused "$*" 2 "$pattern" "$@"
}
error() { # PATTERN ARGUMENTS...
	local pattern=$1; shift
	refused "$*" 3 "$pattern" "$@"
}

note those that are there
run scenario list kafka
is "list: exit code" "$code" 0
scripts=$(for f in "$top"/scenarios/kafka/*.sh; do basename "$f" .sh; done | sort)
is "list has each script, and no other" "$(sed '1d;$d' <<<"$out" | awk '{ print $1 }' | sort)" "$scripts"
ok "list sums up" contains "$out" "^$(wc -l <<<"$scripts") scenarios, .* one after the other$"
all=$out
run scenario list
is "list without a broker: those of each" "$out" "$all
$("$mq" scenario list rabbitmq)"
run scenario list rabbitmq
is "list rabbitmq has each script, and no other" "$(sed '1d;$d' <<<"$out" | awk '{ print $1 }' | sort)" \
	"$(for f in "$top"/scenarios/rabbitmq/*.sh; do basename "$f" .sh; done | sort)"
run scenario list rabbitmq --suite full
is "its full suite has all there are" "$(sed '1d;$d' <<<"$out" | wc -l)" "$(find "$top/scenarios/rabbitmq" -name '*.sh' | wc -l)"
for suite in quick full; do
	run scenario list kafka --suite $suite
	is "list --suite $suite: exit code" "$code" 0
	is "list --suite $suite: in the suite's order" "$(sed '1d;$d' <<<"$out" | awk '{ print $1 }')" \
		"$(sed 's/#.*//' "$top/scenarios/suites/kafka-$suite.list" | awk 'NF { print $1 }')"
done
is "the full suite has all there are" "$(sed '1d;$d' <<<"$out" | awk '{ print $1 }' | sort)" "$scripts"
controls() { awk '/^control-/ && after { exit 1 } !/^(control-|kafka |[0-9]+ scenarios)/ { after = 1 }' <<<"$out"; }
ok "and begins with the controls" controls
for name in $scripts; do
	run scenario show "$name"
	is "show $name: exit code" "$code" 0
	ok "show $name: what its twins must give" contains "$out" '^    must give  (PASS|FAIL|UNDECIDED|NODATA)'
	# a good twin gives what was promised, and nothing that breaks it
	ok "show $name: has a good twin" contains "$out" '^  [a-z0-9-]+ +good'
	ok "show $name: the script" contains "$out" "^The script: .*/kafka/$name.sh$"
done
run scenario show kafka leader-isolated
ok "show says what becomes of one's own settings" contains "$out" '^  acks=1 +UNSAFE$'

note wrong use
usage "there is no broker 'rabbit'" scenario list rabbit
usage "unexpected argument 'x'" scenario list kafka x
usage 'show needs' scenario show
usage "'../x' is no name of a scenario" scenario show ../x
error "there is no scenario 'nobody'" scenario show nobody
error "there is no scenario 'nobody'" scenario show kafka nobody
usage "there is no broker 'rabbit'" scenario show rabbit leader-isolated
error "there is no suite 'none' for kafka" scenario list kafka --suite none
error "there is no suite 'none' for kafka" scenario run kafka --suite none
error "there is no scenario 'nobody'" scenario run kafka nobody
usage 'names of scenarios, or --suite: not both' scenario run kafka leader-isolated --suite quick
usage 'no scenario is left to run' scenario run kafka leader-isolated --skip leader-isolated
usage '--repeat: 1 to 1000' scenario run kafka leader-isolated --repeat 0
usage '--repeat: 1 to 1000' scenario run kafka leader-isolated --repeat 1001
usage '--jobs: 1 to 8' scenario run kafka leader-isolated --jobs 0
usage '--jobs: 1 to 8' scenario run kafka leader-isolated --jobs 9
usage "'x' is not a number|'x' is " scenario run kafka leader-isolated --repeat x
usage "'junit': FORMAT=FILE" scenario run kafka leader-isolated -o junit
usage "'xml' is no form" scenario run kafka leader-isolated -o xml=x
usage "'xml' is none of text" scenario run kafka leader-isolated --format xml
usage "cannot read '$work/none'" scenario run kafka leader-isolated --producer-config "$work/none"
usage "cannot read '$work/none'" scenario run kafka leader-isolated --consumer-config "$work/none"
usage "cannot write '$work/none/x'" scenario run kafka leader-isolated -o "junit=$work/none/x"

note scripts of your own
mkdir -p "$work/own/kafka" "$work/own/suites"
cp "$top/scenarios/lib.sh" "$work/own/"
export MQAUDIT_SCENARIOS=$work/own
printf '#: title t\n#: stage broker\n#: takes 5s\n#: twin a bad\n#:   expect FAIL lost@nowhere\n' >"$work/own/kafka/mine.sh"
usage "mine.sh:5: 'nowhere' is no stage" scenario list kafka
usage "mine.sh:5: 'nowhere' is no stage" scenario show mine
usage "mine.sh:5: 'nowhere' is no stage" scenario run kafka mine
sed -i 's/nowhere/broker/' "$work/own/kafka/mine.sh"
run scenario list kafka
ok "a script of one's own is listed" contains "$out" '^mine +broker +5.0 s +t$'
printf '# mine\nmine\nnobody\n' >"$work/suite"
error "suite:3: there is no scenario 'nobody'" scenario run kafka --suite "$work/suite"
echo '# none' >"$work/suite"
usage "suite '$work/suite' is empty" scenario run kafka --suite "$work/suite"
export MQAUDIT_SCENARIOS=$work/none
error 'MQAUDIT_SCENARIOS: no scenarios in' scenario list kafka
ok "and nothing was begun" test ! -e "$MQAUDIT_STATE/scenario"
done_testing
