#!/usr/bin/env bash
# Rows of single messages in a real ledger: each value as it was handed over, at the ends of what it can hold
# too; what a cut takes away; they go with their run. And the schema's way from version 1 to the present one.
# shellcheck source=tests/ledger/lib.sh
. "$(dirname "$0")/lib.sh"

n=${ROWS:-200000}
"$mq" ledger start >/dev/null 2>&1 || bail "the ledger does not start"
sql() { psql -qAt -F ' ' "$("$mq" ledger status --format json | jq -r .conninfo)" -c "set timezone = 'UTC'; $1" 2>&1; }

# ---- from version 1 --------------------------------------------------------------------------------
"$mq" runs >/dev/null 2>&1
is "a new ledger has the present version" "$(sql "select value from mqaudit.meta where name = 'schema_version'")" 3
schema=$(dirname "${BASH_SOURCE[0]}")/../../core/ledger/sql/schema.sql
sql "drop schema mqaudit cascade" >/dev/null
psql -q -v ON_ERROR_STOP=1 "$("$mq" ledger status --format json | jq -r .conninfo)" -f "$schema" >"$work/v1" 2>&1
is "version 1 as it was" "$? $(sql "select value from mqaudit.meta where name = 'schema_version'")" "0 1"
sql "insert into mqaudit.run (run_id, name, destination, broker, promise) values (5, 'old', 'd', 'kafka', 'exactly-once')" >/dev/null
is "is brought up to date at open, and what it holds stays" "$("$mq" runs --format json 2>&1 | jq -r '.runs[].name')" old
is "to the present version" "$(sql "select value, to_regclass('mqaudit.message') from mqaudit.meta where name = 'schema_version'")" \
	"3 message"
sql "update mqaudit.meta set value = '99' where name = 'schema_version'"
"$mq" runs >"$work/newer" 2>&1
is "a newer one is refused" "$? $(grep -c 'schema version 99' "$work/newer")" "3 1"
sql "update mqaudit.meta set value = '3' where name = 'schema_version'; delete from mqaudit.run"

# ---- what is written is what is there ----------------------------------------------------------------
"$bin/messages" "$n" >"$work/out" 2>"$work/err"
is "messages are written" "$? $(cat "$work/err")" "0 "
note "$n messages: $(tr '\n' ' ' <"$work/out")"
values="producer_id, epoch, nonce, lane, seq, attempt, damaged, size, sent_at, received_at"
is "the smallest values" "$(sql "select $values from mqaudit.messages where \"offset\" = 0")" \
	"1 0 0 0 1 0 f 64 1970-01-01 00:00:00+00 1970-01-01 00:00:00+00"
is "the largest" "$(sql "select $values from mqaudit.messages where \"offset\" = 1")" \
	"4294967295 4294967295 4294967295 4294967295 9223372036854775806 65535 t 2147483647 2262-04-11 23:47:16.854776+00 2023-11-14 22:13:20.123456+00"
is "before 1970" "$(sql "select sent_at, received_at, latency_ms from mqaudit.messages where \"offset\" = 2")" \
	"1677-09-21 00:12:43.145224+00 1970-01-01 00:00:00+00 9223372036854.776"
is "times to the nanosecond" "$(sql "select sent_ns, received_ns from mqaudit.message where \"offset\" in (1, 2) order by \"offset\"")" \
	"9223372036854775807 1700000000123456789
-9223372036854775808 -1"
is "side, isolation and partition" "$(sql "select distinct side, isolation, partition from mqaudit.readings")" "source uncommitted 2"
is "one row for each" "$(sql "select count(*), count(distinct \"offset\") from mqaudit.readings where generation = 1")" \
	"$((n + 3)) $((n + 3))"
is "the cut made history of all behind the first segment, and of nothing else" \
	"$(sql "select generation, coalesce(superseded, 0), count(*), min(\"offset\"), max(\"offset\")
		from mqaudit.readings group by 1, 2 order by 1, 2")" \
	"1 0 3 0 2
1 2 $n 3 $((n + 2))
2 0 5 3 7"
cut_ms=$(sed -n 's/^cut_ms //p' "$work/out")
ok "a cut costs nothing that grows with the messages: $cut_ms ms" test "$cut_ms" -lt 500
is "the view shows what counts" "$(sql "select count(*), min(identity) filter (where seq = 4), count(*) filter (where damaged)
	from mqaudit.messages where run = 'recorded'")" "8 1.1.2.4 1"
per_row=$(sql "select sum(pg_relation_size(inhrelid))::int8 / $n from pg_inherits where inhparent = 'mqaudit.message'::regclass")
ok "68 bytes a message: $per_row" test "$per_row" -gt 60 -a "$per_row" -lt 70
groups=$(sql "select count(*), sum(messages), min(messages) from mqaudit.message_group")
is "groups know how many they are" "$(sql "select count(*) from mqaudit.message_group g
	where messages <> (select count(*) from mqaudit.message m where m.group_id = g.group_id)")" 0
ok "and are few: $groups" test "${groups%% *}" -lt $((n / 10000 + 9))

# ---- one message among many --------------------------------------------------------------------------
run_id=$(sql "select run_id from mqaudit.run where name = 'recorded'")
find() { sql "select \"offset\", size from mqaudit.find_message($run_id, 1, 1, 2, $1) order by group_id"; }
is "a message is found, in both generations" "$(find 5)" "4 200
4 200"
is "one in the middle, once" "$(find $((n / 2)))" "$((n / 2 - 1)) 200"
is "one that is not there is not" "$(find $((n + 4)))" ""
is "its blocks are told" "$(sql "select count(*) from mqaudit.message_group g where messages <> (select count(*) from mqaudit.message m
	where m.group_id = g.group_id and ctid >= format('(%s,0)', first_block)::tid and ctid < format('(%s,0)', end_block)::tid)")" 0
sql "update mqaudit.message_group set first_block = first_block + 7, end_block = end_block + 7"
is "and it is found where they are told wrongly" "$(find 5) $(find $((n / 2)))" "4 200
4 200 $((n / 2 - 1)) 200"

# ---- one message at a time ---------------------------------------------------------------------------
"$mq" runs delete recorded >/dev/null 2>&1
"$bin/messages" 300 1 >"$work/out" 2>"$work/err"
is "a slow run: a group goes on from commit to commit" \
	"$? $(sql "select count(*), sum(messages) from mqaudit.message_group where generation = 1")" "0 4 303"
is "and has all of them" "$(sql "select first_seq, last_seq, messages from mqaudit.message_group where nonce = 99 and generation = 1")" "4 303 300"

# ---- all or nothing ------------------------------------------------------------------------------------
"$mq" runs delete recorded >/dev/null 2>&1
sql "insert into mqaudit.run (run_id, name, destination, broker, promise)
	values (77, 'recorded', 'kafka://nowhere:1/recorded', 'kafka', 'exactly-once,ordered');
	insert into mqaudit.run_partition select 77, 'source', i, 0 from generate_series(0, 2) i;
	select mqaudit.make_message_table(77);
	create function public.full() returns trigger language plpgsql as \$\$ begin raise exception 'planted'; end \$\$;
	create trigger full_disk before insert on mqaudit.message_000000000000004d for each row when (new.\"offset\" = 15000)
	execute function public.full()" >"$work/full"
SECONDS=0
"$bin/messages" 30000 >"$work/out" 2>"$work/err"
is "a failure in the middle of a segment is an error, with its cause" "$? $(grep -c planted "$work/err")" "3 1"
ok "at once" test "$SECONDS" -lt 10
is "of that segment nothing is there: no message, no group, no position" \
	"$(sql "select (select count(*) from mqaudit.message), (select sum(messages) from mqaudit.message_group), (select max(end_offset) from mqaudit.segment),
		(select next_offset from mqaudit.witness_position)")" "10003 10003 10003 10003"
sql "drop function public.full cascade" >/dev/null

# ---- nothing is left of a run that was deleted -------------------------------------------------------
sql "insert into mqaudit.run (run_id, name, destination, broker, promise) values (5, 'other', 'd', 'kafka', 'exactly-once');
	select mqaudit.make_message_table(5); insert into mqaudit.message_0000000000000005 select * from mqaudit.message limit 7" >/dev/null
"$mq" runs delete recorded >/dev/null 2>"$work/delete"
is "a run is deleted" "$? $(sql "select count(*) from mqaudit.run where name = 'recorded'")" "0 0"
is "with its messages and their table, not with others'" \
	"$(sql "select count(*), (select count(*) from mqaudit.message_group), (select string_agg(inhrelid::regclass::text, ',') from pg_inherits)
		from mqaudit.message")" "7 0 message_0000000000000005"
done_testing
