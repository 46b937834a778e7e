-- Runs for report_test.sh, as probes, checkers and the judge would have left them.
\set ON_ERROR_STOP on
set timezone = 'UTC';
begin;

-- A run with its counts: what the others are made of.
create function pg_temp.make_run(p_id int8, p_name text, p_ended bool, p_acks text, p_idempotence text) returns void
language plpgsql as $$
begin
	insert into mqaudit.run (run_id, name, destination, broker, lab, promise, started, ended)
	values (p_id, p_name, 'kafka://lab/' || p_name, 'kafka', 'lab-' || p_name, 'exactly-once,ordered',
	        '2026-11-21 12:30:40+00', case when p_ended then timestamptz '2026-11-21 12:31:13.25+00' end);
	insert into mqaudit.run_partition values (p_id, 'source', 0, 0);
	insert into mqaudit.setting
	select p_id, scope, name, value from (values
		('client', 'request.required.acks', p_acks), ('client', 'enable.idempotence', p_idempotence),
		('client', 'message.send.max.retries', '2147483647'),
		('client', 'max.in.flight.requests.per.connection', '1000000'),
		('client', 'queue.buffering.max.ms', '5'),
		('topic', 'replication.factor', '3'), ('topic', 'min.insync.replicas', '2'),
		('topic', 'unclean.leader.election.enable', 'false'), ('topic', 'cleanup.policy', 'delete'),
		('probe', 'library', 'librdkafka 2.0.2'), ('probe', 'size', '100')) s (scope, name, value);
	insert into mqaudit.producer (run_id, producer_id, epoch, nonce, host, boot_id, pid, journal, started, ended,
	                              end_cause, journal_state, longest_gap_ms, latency)
	values (p_id, 1, 1, 77, 'host-a', 'boot', 4711, '/journal', '2026-11-21 12:30:40+00',
	        case when p_ended then timestamptz '2026-11-21 12:31:09+00' end,
	        case when p_ended then 'finished' end, case when p_ended then 'complete' else 'open' end, 900,
	        -- 90 acknowledgements in bucket 544, 10 in bucket 644: 2.2 ms and 19.4 ms at most
	        '{544,90,644,10}');
	insert into mqaudit.lease values (p_id, 1, 1, 0, 10000);
end $$;

create function pg_temp.intend(p_id int8, p_hi int8) returns void language sql as $$
	insert into mqaudit.intent values (p_id, 1, 1, 0, 1, p_hi, '2026-11-21 12:30:41+00', '2026-11-21 12:31:08+00')
$$;

create function pg_temp.judged(p_id int8, p_verdict text, p_fenced bool, p_agreed bool, p_reasons text[], p_counts jsonb)
returns void language sql as $$
	insert into mqaudit.judgement (run_id, judgement, started, ended, verdict, fenced, agreed, reasons, counts, lanes)
	values (p_id, 1, '2026-11-21 12:31:09+00', '2026-11-21 12:31:13+00', p_verdict, p_fenced, p_agreed, p_reasons,
	        '{"intended":0,"acked":0,"unconfirmed":0,"refused":0,"unknown":0,"none":0,"unrecorded":0,"in_flight":0,
	          "read":0,"distinct":0,"extra":0,"aborted":0,"foreign":0,"phantom":0,"corrupted":0,"fences":0,
	          "pending":0,"redelivered":0,"lost":0,"expired":0,"duplicated":0,"reordered":0,"unread":0,
	          "unacknowledged":0,"withdrawn":0,"target_read":0}'::jsonb || p_counts,
	        jsonb_build_array(jsonb_build_object('producer_id', 1, 'epoch', 1, 'partition', 0,
	          'intended', p_counts -> 'intended', 'acked', p_counts -> 'acked', 'present', p_counts -> 'distinct',
	          'lost', coalesce(p_counts -> 'lost', '0'), 'duplicated', coalesce(p_counts -> 'duplicated', '0'),
	          'reordered', 0)))
$$;

-- 1. FAIL: the leader cut off with acks=1, as in the demo; and two messages twice
select pg_temp.make_run(1, 'orders-1', true, '1', 'false');
select pg_temp.intend(1, 6356);
insert into mqaudit.outcome (run_id, producer_id, epoch, partition, lo, hi, outcome, first_offset, last_offset, node, first_time, last_time)
values (1, 1, 1, 0, 1, 1437, 'acked', 0, 1436, 1, '2026-11-21 12:30:41+00', '2026-11-21 12:30:52+00'),
       (1, 1, 1, 0, 1438, 5356, 'acked', 1437, 5355, 1, '2026-11-21 12:30:52.107+00', '2026-11-21 12:31:06+00'),
       (1, 1, 1, 0, 5357, 6356, 'acked', 1437, 2436, 2, '2026-11-21 12:31:06+00', '2026-11-21 12:31:08+00');
insert into mqaudit.witness_position values
	(1, 'source', 'uncommitted', 0, 5, 2, 3, 2440, 0, 2440, '{}', '2026-11-21 12:31:12.5+00');
insert into mqaudit.generation values
	(1, 'source', 'uncommitted', 0, 1, 'start', 0, '2026-11-21 12:30:41+00', ''),
	(1, 'source', 'uncommitted', 0, 2, 'cut', 1437, '2026-11-21 12:31:06.211+00',
	 'the log was cut: read to offset 1500, matches up to 1437 only');
insert into mqaudit.segment (run_id, side, isolation, partition, segment, generation, superseded, first_offset, end_offset, records, ours, foreigners, fences, corrupted)
values (1, 'source', 'uncommitted', 0, 1, 1, null, 0, 1437, 1437, 1437, 0, 0, 0),
       (1, 'source', 'uncommitted', 0, 2, 1, 2, 1437, 1500, 63, 63, 0, 0, 0),
       (1, 'source', 'uncommitted', 0, 3, 2, null, 1437, 2440, 1003, 1002, 0, 1, 0);
insert into mqaudit.witness (run_id, side, isolation, partition, segment, generation, superseded, producer_id, epoch, nonce, lane, lo, hi, first_offset, last_offset)
values (1, 'source', 'uncommitted', 0, 1, 1, null, 1, 1, 77, 0, 1, 1437, 0, 1436),
       (1, 'source', 'uncommitted', 0, 2, 1, 2, 1, 1, 77, 0, 1438, 1500, 1437, 1499),
       (1, 'source', 'uncommitted', 0, 3, 2, null, 1, 1, 77, 0, 5357, 6356, 1437, 2436),
       -- folded: where inside these offsets each of them lies is not known any more
       (1, 'source', 'uncommitted', 0, 3, 2, null, 1, 1, 77, 0, 6000, 6001, 2437, 2439);
insert into mqaudit.fence values (1, 1, 1, 'source', 0, 9, 2439, '2026-11-21 12:31:12.4+00', '2026-11-21 12:31:12.48+00');
select pg_temp.judged(1, 'FAIL', true, true, '{}', '{"intended":6356,"acked":6356,"read":2440,"distinct":2437,"extra":2,"fences":1,"lost":3919,"duplicated":2,"withdrawn":4}');
insert into mqaudit.finding (run_id, judgement, kind, stage, producer_id, epoch, partition, lo, hi, count, why, positions, omitted, first_time, last_time, found, withdrawn, acked_first, acked_last)
values (1, 1, 'lost', 'broker', 1, 1, 0, 1438, 5356, 3919, 'truncated: its offset was acked twice',
        (select jsonb_agg(jsonb_build_object('partition', 0, 'offset', 1437 + i, 'seq', 1438 + i, 'copy', 1) order by i) from generate_series(0, 99) i),
        3819, '2026-11-21 12:30:52.107+00', '2026-11-21 12:31:06+00', '2026-11-21 12:31:13+00', null, 1437, 5355),
       (1, 1, 'duplicated', 'produce', 1, 1, 0, 6000, 6001, 2, '',
        '[{"partition":0,"offset":2080,"seq":6000,"copy":1},{"partition":0,"offset":2437,"seq":6000,"copy":2},{"partition":0,"offset":2081,"seq":6001,"copy":1},{"partition":0,"offset":2438,"seq":6001,"copy":2}]',
        0, '2026-11-21 12:31:07+00', '2026-11-21 12:31:07+00', '2026-11-21 12:31:13+00', null, null, null),
       (1, null, 'lost', 'broker', 1, 1, 0, 10, 13, 4, 'never seen', '[]', 0, '2026-11-21 12:30:42+00',
        '2026-11-21 12:30:42+00', '2026-11-21 12:30:45+00', '2026-11-21 12:31:13+00', null, null);
insert into mqaudit.event (run_id, lab, at, until, source, kind, subject, detail)
values (null, 'lab-orders-1', '2026-11-21 12:30:51.02+00', '2026-11-21 12:31:05.34+00', 'lab', 'fault', 'kafka1', 'f1 isolate from=brokers: 35 packets dropped in, 56 out'),
       (null, 'lab-orders-1', '2026-11-21 12:00:00+00', null, 'lab', 'node-start', 'kafka1', ''),
       (null, 'lab-orders-1', '2026-11-20 12:00:00+00', '2026-11-20 12:01:00+00', 'lab', 'fault', 'kafka2', 'f1 kill'),
       (null, 'lab-other', '2026-11-21 12:30:51+00', '2026-11-21 12:31:05+00', 'lab', 'fault', 'kafka3', 'f9 kill'),
       (1, null, '2026-11-21 12:30:57.121+00', null, 'probe', 'leader', 'partition 0', '1 -> 2'),
       (1, null, '2026-11-21 12:31:00+00', '2026-11-21 12:31:00.9+00', 'probe', 'unavailable', 'producer 1', 'no acknowledgement');
insert into mqaudit.sample (run_id, source, at, seconds, sent, acked, read) values
	(1, 'probe', '2026-11-21 12:30:51+00', 10, 3000, 2900, 0), (1, 'probe', '2026-11-21 12:31:01+00', 10, 3000, 3100, 0);

-- 2. PASS
select pg_temp.make_run(2, 'orders-2', true, '-1', 'true');
select pg_temp.intend(2, 1000);
insert into mqaudit.outcome (run_id, producer_id, epoch, partition, lo, hi, outcome, first_offset, last_offset, node, first_time, last_time)
values (2, 1, 1, 0, 1, 1000, 'acked', 0, 999, 1, '2026-11-21 12:30:41+00', '2026-11-21 12:31:08+00');
insert into mqaudit.witness_position values (2, 'source', 'uncommitted', 0, 5, 1, 1, 1001, 0, 1001, '{}', '2026-11-21 12:31:12.5+00');
insert into mqaudit.witness (run_id, side, isolation, partition, segment, generation, producer_id, epoch, nonce, lane, lo, hi, first_offset, last_offset)
values (2, 'source', 'uncommitted', 0, 1, 1, 1, 1, 77, 0, 1, 1000, 0, 999);
insert into mqaudit.fence values (2, 1, 1, 'source', 0, 9, 1000, '2026-11-21 12:31:12.4+00', '2026-11-21 12:31:12.48+00');
select pg_temp.judged(2, 'PASS', true, true, '{}', '{"intended":1000,"acked":1000,"read":1001,"distinct":1000,"fences":1}');

-- 3. UNDECIDED, with two reasons and something unread
select pg_temp.make_run(3, 'orders-3', true, '-1', 'true');
select pg_temp.intend(3, 100);
select pg_temp.judged(3, 'UNDECIDED', false, true,
	array['node kafka2 of the lab is killed: mqaudit lab heal, then check again',
	      '7 messages were removed from the log before they were read; longer retention, or a checker that keeps up, would tell'],
	'{"intended":100,"acked":98,"unknown":2,"read":93,"distinct":91,"extra":2,"unread":7}');
insert into mqaudit.finding (run_id, judgement, kind, stage, producer_id, epoch, partition, lo, hi, count, why, first_time)
values (3, 1, 'unread', 'broker', 1, 1, 0, 1, 7, 7, 'its position was removed before it was read', '2026-11-21 12:30:41+00');

-- 4. open: sent 100, 60 acked, 2 refused, 38 in flight; 50 read, 10 of them twice; 3 seem lost
select pg_temp.make_run(4, 'orders-4', false, '-1', 'true');
select pg_temp.intend(4, 100);
insert into mqaudit.outcome (run_id, producer_id, epoch, partition, lo, hi, outcome, first_offset, last_offset, node, first_time, last_time)
values (4, 1, 1, 0, 1, 60, 'acked', 0, 59, 1, '2026-11-21 12:30:41+00', '2026-11-21 12:31:08+00'),
       (4, 1, 1, 0, 61, 62, 'refused', null, null, null, '2026-11-21 12:30:41+00', '2026-11-21 12:31:08+00');
insert into mqaudit.segment (run_id, side, isolation, partition, segment, generation, first_offset, end_offset, records, ours, foreigners, fences, corrupted)
values (4, 'source', 'uncommitted', 0, 1, 1, 0, 61, 61, 60, 1, 0, 0);
insert into mqaudit.witness (run_id, side, isolation, partition, segment, generation, producer_id, epoch, nonce, lane, lo, hi, first_offset, last_offset)
values (4, 'source', 'uncommitted', 0, 1, 1, 1, 1, 77, 0, 1, 50, 0, 49),
       (4, 'source', 'uncommitted', 0, 1, 1, 1, 1, 77, 0, 41, 50, 50, 59);
insert into mqaudit.finding (run_id, kind, stage, producer_id, epoch, partition, lo, hi, count, why, first_time)
values (4, 'lost', 'broker', 1, 1, 0, 51, 53, 3, 'never seen', '2026-11-21 12:30:50+00');

-- 5. ERROR: the judges disagree
select pg_temp.make_run(5, 'orders-5', true, '-1', 'true');
select pg_temp.intend(5, 10);
select pg_temp.judged(5, 'ERROR', true, false,
	array['the two judges disagree, which is a defect of mqaudit or of its ledger: the tracker says lost at broker 1 times in lane 1.1.0, the ledger''s judge 0 times; first at seq 4'],
	'{"intended":10,"acked":10,"read":11,"distinct":10,"fences":1}');

-- 6. NODATA
select pg_temp.make_run(6, 'orders-6', true, '-1', 'true');
select pg_temp.judged(6, 'NODATA', true, true, '{}', '{"read":1,"fences":1}');

-- 7. FAIL behind a relay, with unnamed damage, and text that would do harm to a terminal
select pg_temp.make_run(7, 'orders-7', true, '-1', 'true');
update mqaudit.run set target = 'kafka://lab/copy', promise = 'at-least-once' where run_id = 7;
select pg_temp.intend(7, 100);
select pg_temp.judged(7, 'FAIL', true, true, '{}', '{"intended":100,"acked":100,"read":101,"distinct":100,"fences":1,"lost":5,"target_read":97}');
insert into mqaudit.finding (run_id, judgement, kind, stage, producer_id, epoch, partition, lo, hi, count, why, positions)
values (7, 1, 'lost', 'relay', 1, 1, 0, 4, 8, 5, 'on the source''s log, not behind the relay', '[]'),
       (7, 1, 'corrupted', 'relay', 0, 0, 2, 0, 0, 1, E'unnamed: the header is damaged "\u001b[31m" \\ ', '[{"partition":2,"offset":17,"seq":0,"copy":1}]');

-- 8. 100,000 findings, each with positions
select pg_temp.make_run(8, 'many', true, '-1', 'false');
select pg_temp.intend(8, 300000);
select pg_temp.judged(8, 'FAIL', true, true, '{}', '{"intended":300000,"acked":300000,"read":400001,"distinct":300000,"extra":100000,"fences":1,"duplicated":100000}');
insert into mqaudit.finding (run_id, judgement, kind, stage, producer_id, epoch, partition, lo, hi, count, why, first_time, last_time, positions)
select 8, 1, 'duplicated', 'produce', 1, 1, 0, 3 * i, 3 * i, 1, '', '2026-11-21 12:31:07+00', '2026-11-21 12:31:07+00',
       (select jsonb_agg(jsonb_build_object('partition', 0, 'offset', 4 * i + k, 'seq', 3 * i, 'copy', k + 1)) from generate_series(0, 19) k)
from generate_series(1, 100000) i;

-- 9. lost without acknowledgement of anybody (acks=0), not fenced
select pg_temp.make_run(9, 'orders-9', true, '0', 'false');
select pg_temp.intend(9, 10);
select pg_temp.judged(9, 'FAIL', false, true, '{}', '{"intended":10,"unconfirmed":10,"read":9,"distinct":9,"lost":1}');
insert into mqaudit.finding (run_id, judgement, kind, stage, producer_id, epoch, partition, lo, hi, count, why)
values (9, 1, 'lost', 'produce', 1, 1, 0, 4, 4, 1, 'no broker had confirmed it');

commit;
