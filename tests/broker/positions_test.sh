#!/usr/bin/env bash
# Repeats far apart in a long run: where the first copies are was forgotten (producers take turns in the log, and
# ranges keep their ends only), and is found again by reading; where it was removed meanwhile it is no longer
# known.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up
url() { echo "kafka://lab:$lab/$1"; }
probe() { # RUN
	"$mq" probe "$(url "$1")" --run "$1" --create-topic 2:3 --producers 3 -n 60k -r 20k -q >"$work/$1.probe" 2>&1 ||
		bail "$(cat "$work/$1.probe")"
}
append() { # RUN SEED COUNT: into $work/RUN.plan
	python_in_lab "$top/tests/broker/tools/append_again.py" "$(bootstrap)" "$1" "$2" "$3" >"$work/$1.plan" ||
		bail "the repeats were not written"
}
# "identity partition offset copy", of all findings of duplicated
positions() {
	report "$1" '.findings[] | select(.kind == "duplicated") | "\(.producer_id).\(.epoch).\(.partition)" as $lane |
		.positions[] | "\($lane).\(.seq) \(.partition) \(.offset) \(.copy)"' | sort
}

# ---- all of it is there --------------------------------------------------------------------------
probe far
append far 7 40
"$mq" check "$(url far)" --run far -q >"$work/far.check" 2>&1
is "repeats: FAIL, both judges agree" "$? $(report far '"\(.verdict) \(.agreed)"')" "1 FAIL true"
is "exactly those" "$(identities far duplicated)" "$(cut -d' ' -f1 "$work/far.plan" | sort)"
is "and nothing else" "$(report far '[.sums[] | "\(.kind) \(.stage) \(.count)"] | join(", ")')" "duplicated produce 80"
sql() { psql -qAt "$("$mq" ledger status --format json | jq -r .conninfo)" -c "$1"; }
ok "their first positions are not in the evidence" [ "$(sql "select count(*) from mqaudit.witness
	where last_offset - first_offset > hi - lo and hi - lo > 100")" -gt 0 ]
is "both positions of each, as whoever wrote them knows them" "$(positions far)" \
	"$(awk '{ print $1, $2, $3, 1; print $1, $2, $4, 2 }' "$work/far.plan" | sort)"
is "none is unknown, none is left out" \
	"$(report far '[.findings[] | .positions_unknown + .positions_omitted] | add')" 0

# ---- some of it was removed ----------------------------------------------------------------------
probe gone
append gone 8 40
"$mq" check "$(url gone)" --run gone --follow --sweep none -q >"$work/gone.check" 2>&1 &
checker=$!
read_all() { report_is gone '.counts.read >= 60080'; }
ok "all is read" wait_until 60 read_all
printf '{"partitions":[{"topic":"gone","partition":0,"offset":9000}],"version":1}\n' >"$work/delete.json"
in_lab kafka-delete-records --bootstrap-server "$(bootstrap)" --offset-json-file "$work/delete.json" >"$work/delete.out" 2>&1
is "partition 0's beginning is removed" $? 0
kill -INT "$checker"
wait "$checker"
is "the repeats were proved before: FAIL" "$? $(report gone .verdict) $(identities gone duplicated | wc -l)" "1 FAIL 80"
removed=$(awk '$2 == 0 && $3 < 9000' "$work/gone.plan" | wc -l)
ok "some first copies are gone" [ "$removed" -gt 0 ]
is "they are no longer known" "$(report gone '[.findings[].positions_unknown] | add')" "$removed"
is "the others are, and all second copies" "$(positions gone)" \
	"$(awk '!($2 == 0 && $3 < 9000) { print $1, $2, $3, 1 } { print $1, $2, $4, 2 }' "$work/gone.plan" | sort)"
ok "the report says so" grep -q "1 position is no longer known" <("$mq" report gone --limit 0 | tr -s ' \n' ' ')
note "$removed of 80 first copies no longer known"
done_testing
