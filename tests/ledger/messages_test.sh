#!/usr/bin/env bash
# Rows of single messages in a real ledger: each value as it was handed over, at the ends of what it can hold
# too; what a cut takes away; they go with their run. And the schema's way from version 1 to the present one.
# shellcheck source=tests/lib.sh
MQAUDIT=${MQAUDIT:-$(dirname "$0")/../../${B:-build/rel}/mqaudit}
MQAUDIT=$(realpath "$MQAUDIT") || exit 1
export MQAUDIT
. "$(dirname "$0")/../lib.sh"

unset MQAUDIT_LEDGER
bin=$(dirname "$mq")/tests/ledger/messages
export MQAUDIT_PROGRAM=$mq
n=${ROWS:-200000}
"$mq" ledger start >/dev/null 2>&1 || bail "the ledger does not start"
sql() { psql -qAt -F ' ' "$("$mq" ledger status --format json | jq -r .conninfo)" -c "set timezone = 'UTC'; $1" 2>&1; }

# ---- from version 1 --------------------------------------------------------------------------------
"$mq" runs >/dev/null 2>&1
is "a new ledger has the present version" "$(sql "select value from mqaudit.meta where name = 'schema_version'")" 2
schema=$(dirname "${BASH_SOURCE[0]}")/../../core/ledger/sql/schema.sql
sql "drop schema mqaudit cascade" >/dev/null
psql -q -v ON_ERROR_STOP=1 "$("$mq" ledger status --format json | jq -r .conninfo)" -f "$schema" >"$work/v1" 2>&1
is "version 1 as it was" "$? $(sql "select value from mqaudit.meta where name = 'schema_version'")" "0 1"
sql "insert into mqaudit.run (run_id, name, destination, broker, promise) values (5, 'old', 'd', 'kafka', 'exactly-once')" >/dev/null
is "is brought up to date at open, and what it holds stays" "$("$mq" runs --format json 2>&1 | jq -r '.runs[].name')" old
is "to the present version" "$(sql "select value, to_regclass('mqaudit.message') from mqaudit.meta where name = 'schema_version'")" \
	"2 message"
sql "update mqaudit.meta set value = '99' where name = 'schema_version'"
"$mq" runs >"$work/newer" 2>&1
is "a newer one is refused" "$? $(grep -c 'schema version 99' "$work/newer")" "3 1"
sql "update mqaudit.meta set value = '2' where name = 'schema_version'; delete from mqaudit.run"

# ---- what is written is what is there ----------------------------------------------------------------
"$bin" "$n" >"$work/out" 2>"$work/err"
is "messages are written" "$? $(cat "$work/err")" "0 "
note "$n messages: $(tr '\n' ' ' <"$work/out")"
is "the smallest values" "$(sql "select producer_id, epoch, nonce, lane, seq, attempt, damaged, size, sent_at, received_at
	from mqaudit.message where \"offset\" = 0")" "1 0 0 0 1 0 f 64 1970-01-01 00:00:00+00 1970-01-01 00:00:00+00"
is "the largest" "$(sql "select producer_id, epoch, nonce, lane, seq, attempt, damaged, size, sent_at, received_at
	from mqaudit.message where \"offset\" = 1")" \
	"4294967295 4294967295 4294967295 4294967295 9223372036854775806 65535 t 4294967295 2262-04-11 23:47:16.854775+00 2023-11-14 22:13:20.123456+00"
is "times before 1970 are rounded down" "$(sql "select sent_at, received_at from mqaudit.message where \"offset\" = 2")" \
	"1677-09-21 00:12:43.145224+00 1969-12-31 23:59:59.999999+00"
is "side, isolation and partition" "$(sql "select distinct side, isolation, partition from mqaudit.message")" "source uncommitted 2"
is "one row for each" "$(sql "select count(*), count(distinct \"offset\") from mqaudit.message where generation = 1")" \
	"$((n + 3)) $((n + 3))"
is "the cut made history of all behind the first segment, and of nothing else" \
	"$(sql "select generation, coalesce(superseded, 0), count(*), min(\"offset\"), max(\"offset\")
		from mqaudit.message group by 1, 2 order by 1, 2")" \
	"1 0 3 0 2
1 2 $n 3 $((n + 2))
2 0 5 3 7"
is "the view shows what counts" "$(sql "select count(*), min(identity) filter (where seq = 4), count(*) filter (where damaged)
	from mqaudit.messages where run = 'recorded'")" "8 1.1.2.4 1"
per_row=$(sql "select ceil(avg(pg_column_size(m))) from mqaudit.message m")
ok "some 150 bytes a message: $per_row" test "$per_row" -lt 160

# ---- all or nothing ------------------------------------------------------------------------------------
"$mq" runs delete recorded >/dev/null 2>&1
sql "create function public.full() returns trigger language plpgsql as \$\$ begin raise exception 'planted'; end \$\$;
	create trigger full_disk before insert on mqaudit.message for each row when (new.\"offset\" = 15000)
	execute function public.full()"
SECONDS=0
"$bin" 30000 >"$work/out" 2>"$work/err"
is "a failure in the middle of a segment is an error, with its cause" "$? $(grep -c planted "$work/err")" "3 1"
ok "at once" test "$SECONDS" -lt 10
is "of that segment nothing is there: no message, no position" \
	"$(sql "select (select count(*) from mqaudit.message), (select max(end_offset) from mqaudit.segment),
		(select next_offset from mqaudit.witness_position)")" "10003 10003 10003"
sql "drop trigger full_disk on mqaudit.message; drop function public.full" >/dev/null

# ---- nothing is left of a run that was deleted -------------------------------------------------------
sql "insert into mqaudit.run (run_id, name, destination, broker, promise) values (5, 'other', 'd', 'kafka', 'exactly-once');
	insert into mqaudit.message select 5, side, isolation, partition, \"offset\", generation, superseded, attempt, producer_id,
	epoch, nonce, lane, seq, size, sent_at, received_at, damaged from mqaudit.message limit 7" >/dev/null
"$mq" runs delete recorded >/dev/null 2>"$work/delete"
is "a run is deleted" "$? $(sql "select count(*) from mqaudit.run where name = 'recorded'")" "0 0"
is "with its messages, not with others'" "$(sql "select run_id, count(*) from mqaudit.message group by 1")" "5 7"
done_testing
