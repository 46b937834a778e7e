#!/usr/bin/env bash
# `ledger gc` on a real ledger: closed runs are folded and say the same as before, when they are judged again
# too; old ones are removed with all that belongs to them; open ones are left alone.
# shellcheck source=tests/lib.sh
MQAUDIT=${MQAUDIT:-$(dirname "$0")/../../${B:-build/rel}/mqaudit}
MQAUDIT=$(realpath "$MQAUDIT") || exit 1
export MQAUDIT
. "$(dirname "$0")/../lib.sh"

unset MQAUDIT_LEDGER
"$mq" ledger start >/dev/null 2>&1 || bail "the ledger does not start"
"$mq" runs >/dev/null 2>&1
sql() { psql -qAt -F ' ' "$("$mq" ledger status --format json | jq -r .conninfo)" -c "$1" 2>&1; }

# A run of 1,000 messages in shipments of 10: all acked, 501 to 510 not on the log, 400 twice. Age in days: since
# it ended (null: open), since it was read.
psql -q "$("$mq" ledger status --format json | jq -r .conninfo)" >"$work/sql.log" 2>&1 <<'SQL' || bail "$(cat "$work/sql.log")"
\set ON_ERROR_STOP on
create function public.make(p_id int8, p_name text, p_ended int, p_read int) returns void language sql as $$
	insert into mqaudit.run (run_id, name, destination, broker, promise, started, ended)
	values (p_id, p_name, 'kafka://h:1/t', 'kafka', 'exactly-once,ordered', now() - interval '50 d',
	        now() - make_interval(days => p_ended));
	insert into mqaudit.run_partition values (p_id, 'source', 0, 0);
	insert into mqaudit.producer (run_id, producer_id, epoch, nonce, host, boot_id, pid, journal, started, heard, ended,
		end_cause, journal_state)
	values (p_id, 1, 1, 77, 'h', 'b', 1, '/j', now() - interval '50 d', now() - interval '50 d', now() - interval '50 d',
		'finished', 'complete');
	insert into mqaudit.lease values (p_id, 1, 1, 0, 10000);
	insert into mqaudit.intent select p_id, 1, 1, 0, i * 10 + 1, i * 10 + 10, now() - interval '50 d', now() - interval '50 d'
	from generate_series(0, 99) i;
	insert into mqaudit.outcome (run_id, producer_id, epoch, partition, lo, hi, outcome, first_offset, last_offset, node, first_time, last_time)
	select p_id, 1, 1, 0, i * 10 + 1, i * 10 + 10, 'acked', i * 10, i * 10 + 9, 1, now() - interval '50 d', now() - interval '50 d'
	from generate_series(0, 99) i;
	insert into mqaudit.witness_position values (p_id, 'source', 'uncommitted', 0, 5, 1, 1, 992, 0, 992, '{}',
		now() - make_interval(days => p_read));
	insert into mqaudit.generation values (p_id, 'source', 'uncommitted', 0, 1, 'start', 0, now() - interval '50 d', '');
	insert into mqaudit.segment values (p_id, 'source', 'uncommitted', 0, 1, 1, null, 0, 992, null, null, 992, 991, 0, 1, 0);
	insert into mqaudit.witness (run_id, side, isolation, partition, segment, generation, producer_id, epoch, nonce, lane, lo, hi, first_offset, last_offset)
	values (p_id, 'source', 'uncommitted', 0, 1, 1, 1, 1, 77, 0, 1, 500, 0, 499),
	       (p_id, 'source', 'uncommitted', 0, 1, 1, 1, 1, 77, 0, 511, 1000, 500, 989),
	       (p_id, 'source', 'uncommitted', 0, 1, 1, 1, 1, 77, 0, 400, 400, 990, 990);
	insert into mqaudit.fence values (p_id, 1, 1, 'source', 0, 9, 991, now(), now()), (p_id, 2, 1, 'source', 0, 9, 991, now(), now());
$$;
create function public.record(p_id int8, p_messages int) returns void language plpgsql as $$
begin
	perform mqaudit.make_message_table(p_id);
	insert into mqaudit.message_group values (p_id, p_id, 'source', 'uncommitted', 0, 1, 1, 1, 77, 0, 0, 1, p_messages, p_messages, 0, 0);
	execute format('insert into mqaudit.%I select %s, 64, i, i + 1, 0, 0 from generate_series(0, %s) i',
		mqaudit.message_table(p_id), p_id, p_messages - 1);
end $$;
create function public.decide(p_id int8, p_judgement int) returns void language sql as $$
	insert into mqaudit.judgement (run_id, judgement, ended, verdict, fenced, agreed) values (p_id, p_judgement, now(), 'FAIL', true, true);
	select mqaudit.judge(p_id, p_judgement, true, false);
$$;
select make(1, 'lately', 1, 1);
select make(2, 'open', null, 50);
select make(3, 'old', 40, 40);
select make(4, 'read again', 40, 10);
select make(5, 'older', 45, 45);
select record(i, 10) from generate_series(1, 5) i;
select decide(1, 1), decide(3, 1), decide(4, 1), decide(5, 1);
SQL
judged() { # RUN JUDGEMENT: what was found, and the counts
	sql "select kind, stage, lo, hi, count, why, first_time, acked_first from mqaudit.finding
		where run_id = $1 and judgement = $2 order by kind, lo; select counts from mqaudit.judgement where run_id = $1 and judgement = $2"
}
rows() { sql "select (select count(*) from mqaudit.outcome where run_id = $1), (select count(*) from mqaudit.intent where run_id = $1),
	(select sum(hi - lo + 1) from mqaudit.outcome where run_id = $1), (select sum(hi - lo + 1) from mqaudit.intent where run_id = $1)"; }
ok "what is planted is found" grep -q '^lost broker 501 510 10' <<<"$(judged 1 1)"
is "rows of a run" "$(rows 1)" "100 100 1000 1000"
report lately . >"$work/before.json"

# ---- folding -----------------------------------------------------------------------------------------
"$mq" ledger gc >"$work/fold.txt" 2>"$work/fold.err"
is "gc: exit code, what it says" "$? $(sed 's/  */ /; s/^size.*/size/' "$work/fold.txt" | paste -sd,) $(cat "$work/fold.err")" \
	"0 folded 776 rows of 4 closed runs,size "
is "without --keep no run is removed" "$(sql "select count(*) from mqaudit.run")" 5
is "seen on both sides of what is lost: one row each; the lost keep theirs; no message is forgotten" "$(rows 1)" "3 3 1000 1000"
is "with its exact offsets" "$(sql "select lo, hi, first_offset, last_offset from mqaudit.outcome where run_id = 1 order by lo")" \
	"1 500 0 499
501 510 500 509
511 1000 510 999"
is "an open run is not touched" "$(rows 2)" "100 100 1000 1000"
is "findings stay" "$(sql "select run_id, count(*) from mqaudit.finding group by 1 order by 1" | paste -sd,)" "1 2,3 2,4 2,5 2"
report lately . >"$work/after.json"
ok "the report is the same to the letter" cmp "$work/before.json" "$work/after.json"
sql "select decide(1, 2)" >"$work/again" 2>&1
is "judged again: the same findings and counts" "$(judged 1 2)" "$(judged 1 1)"
"$mq" ledger gc >"$work/fold2.txt" 2>&1
is "nothing is left to be folded" "$? $(grep -c '^folded  *0 rows of 4 closed runs$' "$work/fold2.txt")" "0 1"

# ---- what proves a truncation is not folded away -----------------------------------------------------
# producer 1: seqs 501 to 510 acked at offsets 500 to 509, and not there; producer 2 was acked at the same offsets and
# behind, in shipments of 5 with a hole behind each: folded, nobody could say any more where each of its messages is
psql -q "$("$mq" ledger status --format json | jq -r .conninfo)" >"$work/sql.log" 2>&1 <<'SQL' || bail "$(cat "$work/sql.log")"
\set ON_ERROR_STOP on
select make(6, 'truncated', 1, 1);
insert into mqaudit.producer (run_id, producer_id, epoch, nonce, host, boot_id, pid, journal, ended, end_cause, journal_state)
values (6, 2, 1, 78, 'h', 'b', 1, '/j', now(), 'finished', 'complete');
insert into mqaudit.lease values (6, 2, 1, 0, 100);
insert into mqaudit.intent values (6, 2, 1, 0, 1, 20, now(), now());
insert into mqaudit.outcome (run_id, producer_id, epoch, partition, lo, hi, outcome, first_offset, last_offset, node, first_time, last_time)
select 6, 2, 1, 0, i * 5 + 1, i * 5 + 5, 'acked', 498 + i * 6, 502 + i * 6, 2, now() - interval '1 h', now() - interval '1 h'
from generate_series(0, 3) i;
insert into mqaudit.witness (run_id, side, isolation, partition, segment, generation, producer_id, epoch, nonce, lane, lo, hi, first_offset, last_offset)
values (6, 'source', 'uncommitted', 0, 1, 1, 2, 1, 78, 0, 1, 20, 498, 520);
update mqaudit.segment set records = records + 20, ours = ours + 20 where run_id = 6;
-- and its beginning was removed by retention: only the doubly acked offset proves the loss
update mqaudit.witness_position set log_start = 515 where run_id = 6;
select decide(6, 1);
SQL
is "lost where an offset was acked twice, unread where none was" \
	"$(sql "select kind, sum(count), why from mqaudit.finding where run_id = 6 and kind in ('lost', 'unread') group by 1, 3 order by 1")" \
	"lost 8 truncated: its offset was acked twice
unread 2 its position was removed before it was read"
"$mq" ledger gc >"$work/truncated.txt" 2>&1
is "gc" "$? $(sql "select count(*) from mqaudit.outcome where run_id = 6 and producer_id = 1")" "0 3"
is "the rows that prove it are there" \
	"$(sql "select lo, hi, first_offset, last_offset from mqaudit.outcome where run_id = 6 and producer_id = 2 order by lo")" \
	"1 5 498 502
6 10 504 508
11 20 510 520"
sql "select decide(6, 2)" >"$work/again" 2>&1
is "judged again: the same" "$(judged 6 2)" "$(judged 6 1)"
sql "delete from mqaudit.run where run_id = 6"

# ---- old runs ----------------------------------------------------------------------------------------
"$mq" ledger gc --keep 41 >"$work/keep.txt" 2>&1
is "--keep 41: of 45 days one is removed, and named" "$? $(grep '^removed' "$work/keep.txt" | sed 's/, ended.*//; s/  */ /')" \
	"0 removed older"
"$mq" ledger gc --keep 30 >"$work/keep.txt" 2>&1
is "--keep 30: the one that was read since is kept" "$? $(sql "select string_agg(name, ',' order by run_id) from mqaudit.run")" \
	"0 lately,open,read again"
is "nothing is left of those that are gone" "$(sql "select string_agg(distinct run_id::text, ',') from (
	select run_id from mqaudit.outcome union all select run_id from mqaudit.intent union all select run_id from mqaudit.witness
	union all select run_id from mqaudit.segment union all select run_id from mqaudit.finding
	union all select run_id from mqaudit.judgement
	union all select run_id from mqaudit.message_group union all select group_id from mqaudit.message
	union all select run_id from mqaudit.producer) x")" "1,2,4"
is "findings of what is kept stay" "$(judged 1 2)" "$(judged 1 1)"
is "messages of what is kept stay" "$(sql "select count(*) from mqaudit.message where group_id = 1")" 10
"$mq" ledger gc --keep 0 >"$work/keep.txt" 2>&1
is "--keep 0: all but the open one, untouched" "$? $(sql "select string_agg(name, ',') from mqaudit.run") $(rows 2)" \
	"0 open 100 100 1000 1000"
"$mq" ledger gc --keep 2M >"$work/keep.txt" 2>&1
is "a number of days that is none: usage" "$?" 2
"$mq" ledger gc --ledger postgresql://nobody@127.0.0.1:1/none >"$work/away.txt" 2>&1
is "a ledger that does not answer: error" "$?" 3

# ---- space comes back --------------------------------------------------------------------------------
sql "insert into mqaudit.run (run_id, name, destination, broker, promise, ended) values (9, 'large', 'd', 'kafka', 'exactly-once', now() - interval '9 d');
	select record(9, 100000)" >/dev/null
before=$(sql "select sum(pg_total_relation_size(inhrelid)) from pg_inherits")
"$mq" ledger gc --keep 8 >"$work/large.txt" 2>&1
after=$(sql "select coalesce(sum(pg_total_relation_size(inhrelid)), 0) from pg_inherits")
ok "a large run gives its space back: $before, $after bytes" test "$after" -lt $((before / 10))
ok "gc says so: $(grep size "$work/large.txt")" grep -qE '^size +[0-9.]+ [kM]iB, was [0-9.]+ M' "$work/large.txt"
done_testing
