#!/usr/bin/env bash
# Scenarios against an independent reader that shares no code: what it misses is what is named as lost, what it
# reads twice is what is named as repeated, what it reads out of order is what is named as reordered.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up --broker-config replica.lag.time.max.ms=10000
"$mq" scenario run kafka planned-leader-move response-lost retries-reorder --lab "$lab" --quiet \
	--output json="$work/suite.json" >"$work/suite.txt" 2>"$work/suite.err"
is "all is as declared" $? 0
sed 's/^/# /' "$work/suite.txt"

run_of() { # SCENARIO TWIN
	jq -r --arg s "$1" --arg t "$2" '.scenarios[] | select(.name == $s) | .twins[] | select(.name == $t) | .run_name' \
		"$work/suite.json"
}
read_of() { # RUN: "identity offset partition" a line
	[ -s "$work/$1.read" ] && return
	python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$1" >"$work/$1.read" || bail "the reader fails"
}
sent_of() { seq 1 "$(report "$1" .counts.intended)" | sed 's/^/1.1.0./' | sort; }
extra_copies() { sort "$1" | uniq -c | awk '{ for (i = 1; i < $1; i++) print $2 }'; } # FILE of identities
# The first copy of a seq behind the first copy of a higher one.
disorder() { awk '{ split($1, id, "."); if (!seen[$1]++) { if (id[4] < top) print $1; else top = id[4] + 0 } }' "$1"; }

compare() { # NAME RUN KIND: the truth is in $work/truth
	identities "$2" "$3" >"$work/named"
	note "$1: $(wc -l <"$work/truth") $3"
	ok "$1: each one is named, and no other" cmp "$work/truth" "$work/named"
}
lost_as_read() { # SCENARIO TWIN
	local run
	run=$(run_of "$1" "$2")
	read_of "$run"
	is "$1 $2: everything was acked" "$(report "$run" .counts.acked)" "$(report "$run" .counts.intended)"
	sent_of "$run" >"$work/sent"
	cut -d' ' -f1 "$work/$run.read" | sort -u | comm -23 "$work/sent" - >"$work/truth"
	compare "$1 $2" "$run" lost
}
repeated_as_read() { # SCENARIO TWIN
	local run
	run=$(run_of "$1" "$2")
	read_of "$run"
	cut -d' ' -f1 "$work/$run.read" | sort | uniq -d >"$work/truth"
	compare "$1 $2" "$run" duplicated
	cut -d' ' -f1 "$work/$run.read" >"$work/all"
	is "$1 $2: extra copies" "$(report "$run" '[.findings[] | select(.kind == "duplicated") | .count] | add // 0')" \
		"$(extra_copies "$work/all" | wc -l)"
}
reordered_as_read() { # SCENARIO TWIN
	local run
	run=$(run_of "$1" "$2")
	read_of "$run"
	sort -n -k3,3 -k2,2 "$work/$run.read" >"$work/in-order"
	disorder "$work/in-order" | sort >"$work/truth"
	compare "$1 $2" "$run" reordered
}
some() { ok "... there are some" test -s "$work/truth"; }
none() { is "... there are none" "$(wc -l <"$work/truth")" 0; }

lost_as_read planned-leader-move acks1; some
lost_as_read planned-leader-move acks-all; none
lost_as_read planned-leader-move idempotent; none
repeated_as_read response-lost acks-all; some
repeated_as_read response-lost acks1; some
repeated_as_read response-lost idempotent; none
reordered_as_read retries-reorder many-in-flight; some
reordered_as_read retries-reorder five-in-flight; some
reordered_as_read retries-reorder one-in-flight
reordered_as_read retries-reorder idempotent; none

# what was told to have failed, and is there
run=$(run_of response-lost no-retries)
read_of "$run"
present=$(cut -d' ' -f1 "$work/$run.read" | sort -u | wc -l)
acked=$(report "$run" .counts.acked)
note "retries=0: $acked acknowledged, $present there"
ok "retries=0: more is there than was acknowledged" test "$present" -gt "$acked"
done_testing
