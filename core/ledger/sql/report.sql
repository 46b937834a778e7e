-- name: report
-- $1 run id. Everything of a report but its findings, which may be many, as one JSON object: the reporters
-- add what SQL cannot know. Times are ISO 8601 in UTC, numbers are integers.
with run as (
	select * from mqaudit.run where run_id = $1
), j as (
	select * from mqaudit.judgement where run_id = $1 and ended is not null order by judgement desc limit 1
), sums as (
	select f.kind, f.stage, sum(f.count)::int8 as n, count(*) as ranges
	from mqaudit.finding f
	where f.run_id = $1 and f.withdrawn is null and f.judgement is not distinct from (select judgement from j)
	group by 1, 2
), sighted as (
	select side, producer_id, epoch, lane as partition, range_agg(int8range(lo, hi, '[]')) as present,
	       sum(hi - lo + 1)::int8 as positions
	from mqaudit.witness
	where run_id = $1 and isolation = 'uncommitted' and superseded is null and not exists (select from j)
	group by 1, 2, 3, 4
), seen as (
	select * from sighted where side = 'source'
), queue as (
	-- what a queue gives more than once is taken for given again until it is judged
	select exists (select from mqaudit.setting where run_id = $1 and scope = 'source' and name = 'reads'
	               and value = 'queue') as source
), lane as (
	select l.*, coalesce(s.present, '{}') as present
	from mqaudit.judge_lanes($1) l left join seen s using (producer_id, epoch, partition)
	where not exists (select from j)
), segment as (
	select coalesce(sum(records), 0)::int8 as records, coalesce(sum(foreigners), 0)::int8 as foreigners,
	       coalesce(sum(fences), 0)::int8 as fences, coalesce(sum(corrupted), 0)::int8 as corrupted
	from mqaudit.segment
	where run_id = $1 and side = 'source' and isolation = 'uncommitted' and superseded is null
), behind as (
	-- what was read behind a relay, as far as nothing has been judged
	select jsonb_build_object('target_read', coalesce(sum(records), 0)::int8,
		'target_distinct', (select coalesce(sum(mqaudit.card(present)), 0)::int8 from sighted where side = 'target'),
		'target_extra', (select coalesce(sum(positions - mqaudit.card(present)), 0)::int8
		                 from sighted where side = 'target'),
		'target_foreign', coalesce(sum(foreigners), 0)::int8, 'target_phantom', 0,
		'target_corrupted', coalesce(sum(corrupted), 0)::int8, 'target_fences', coalesce(sum(fences), 0)::int8) as counts
	from mqaudit.segment
	where run_id = $1 and side = 'target' and isolation = 'uncommitted' and superseded is null
), live as (
	-- not judged yet: what is on record so far
	select jsonb_build_object(
		'intended', coalesce(sum(mqaudit.card(intended)), 0)::int8,
		'acked', coalesce(sum(mqaudit.card(acked)), 0)::int8,
		'unconfirmed', coalesce(sum(mqaudit.card(unconfirmed)), 0)::int8,
		'refused', coalesce(sum(mqaudit.card(refused)), 0)::int8,
		'unknown', coalesce(sum(mqaudit.card(unknown)), 0)::int8,
		'none', coalesce(sum(mqaudit.card(silent)) filter (where ended and journal_state = 'complete'), 0)::int8,
		'unrecorded', coalesce(sum(mqaudit.card(silent)) filter (where journal_state in ('incomplete', 'gone')), 0)::int8,
		'in_flight', coalesce(sum(mqaudit.card(silent)) filter (where not ended), 0)::int8,
		'pending', coalesce(sum(mqaudit.card(acked + unconfirmed - present)), 0)::int8,
		'read', (select records from segment),
		'distinct', (select coalesce(sum(mqaudit.card(present)), 0)::int8 from seen),
		'extra', (select coalesce(sum(positions - mqaudit.card(present)), 0)::int8 from seen, queue where not source),
		'aborted', 0, 'phantom', 0,
		'redelivered', (select coalesce(sum(positions - mqaudit.card(present)), 0)::int8 from seen, queue where source),
		'foreign', (select foreigners from segment), 'corrupted', (select corrupted from segment),
		'fences', (select fences from segment),
		'withdrawn', (select coalesce(sum(count), 0)::int8 from mqaudit.finding
		              where run_id = $1 and withdrawn is not null))
		|| (select counts from behind)
		|| (select jsonb_object_agg(k, coalesce((select sum(n) from sums where kind = k), 0)::int8)
		    from unnest(array['lost', 'expired', 'duplicated', 'reordered', 'unread', 'unacknowledged']) k) as counts
	from lane
), c as (
	select coalesce((select counts from j), (select counts from live)) as counts
), event as (
	select e.* from mqaudit.event e, run
	where e.run_id = $1
	   or (run.lab is not null and e.lab = run.lab and e.at <= coalesce(run.ended, clock_timestamp())
	       and coalesce(e.until, case e.kind when 'fault' then clock_timestamp() else e.at end) >= run.started)
), gap as (
	select coalesce(sum(extract(epoch from until - at)), 0) as seconds from event where kind = 'unavailable'
), gaps as (
	-- when at least one producer got no acknowledgement
	select range_agg(tstzrange(at, until)) as at from event where kind = 'unavailable' and until > at
), fault as (
	-- a gap is a fault's that began before it was healed and ended after it began
	select f.subject, f.detail, f.at, f.until,
		coalesce((select sum(extract(epoch from upper(g) - greatest(lower(g), f.at))) from gaps, unnest(gaps.at) g
			where lower(g) <= coalesce(f.until, 'infinity') and upper(g) >= f.at), 0) as without_ack,
		coalesce((select extract(epoch from max(upper(g)) - f.at) from gaps, unnest(gaps.at) g
			where lower(g) <= coalesce(f.until, 'infinity') and upper(g) >= f.at), 0) as recovery,
		coalesce((select greatest(extract(epoch from max(upper(g)) - f.until), 0) from gaps, unnest(gaps.at) g
			where lower(g) <= coalesce(f.until, 'infinity') and upper(g) >= f.at), 0) as after_heal
	from event f where f.kind = 'fault'
), producers as (
	select count(distinct producer_id) as n, coalesce(max(longest_gap_ms), 0) as longest_gap_ms
	from mqaudit.producer where run_id = $1
), active as (
	-- from the first intent to the last, for each producer
	select coalesce(sum(seconds), 0) as seconds from (
		select extract(epoch from max(last_time) - min(first_time)) as seconds
		from mqaudit.intent where run_id = $1 group by producer_id) x
)
select jsonb_build_object(
	'format', 'mqaudit-report/1',
	'verdict', coalesce((select verdict from j), 'open'),
	'promise', run.promise,
	'fail_on', run.fail_on,
	'allow', run.allow,
	'fenced', coalesce((select fenced from j), false),
	'agreed', (select agreed from j),
	'judgement', (select judgement from j),
	'judged', (select mqaudit.iso(ended) from j),
	'reasons', to_jsonb(coalesce((select reasons from j), '{}')),
	-- of a queue: what was known of removals by policy
	'removals', (select jsonb_build_object('policy_excluded_by', excluded, 'counts_exact', exact,
		'counted', case when exact then removed end, 'unroutable', case when exact then unroutable end,
		'how', how, 'queue_gone', gone) from mqaudit.removal
		where run_id = $1 and judgement = (select judgement from j)),
	'run', jsonb_build_object('id', lpad(to_hex(run.run_id), 16, '0'), 'name', run.name,
		'started', mqaudit.iso(run.started), 'ended', mqaudit.iso(run.ended), 'destination', run.destination,
		'target', run.target, 'lab', run.lab, 'transactional', run.transactional, 'keys', run.keys),
	'counts', (select counts from c),
	'findings_n', (select coalesce(sum(ranges), 0)::int8 from sums),
	'sums', coalesce((select jsonb_agg(jsonb_build_object('kind', kind, 'stage', stage, 'count', n, 'ranges', ranges)
		order by stage, kind) from sums), '[]'),
	-- what was found at each stage by kind, and what the stage passed on (which wins where names meet)
	'stages', (select jsonb_build_object(
		'produce', coalesce((select jsonb_object_agg(kind, n) from sums where stage = 'produce'), '{}')
			|| jsonb_build_object('sent', counts -> 'intended', 'acked', counts -> 'acked',
			'unconfirmed', counts -> 'unconfirmed', 'refused', counts -> 'refused', 'unknown', counts -> 'unknown',
			'none', counts -> 'none', 'unrecorded', counts -> 'unrecorded', 'in_flight', counts -> 'in_flight'),
		'broker', coalesce((select jsonb_object_agg(kind, n) from sums where stage = 'broker'), '{}')
			|| jsonb_build_object('acked', counts -> 'acked', 'on_log', counts -> 'distinct'),
		'consume', coalesce((select jsonb_object_agg(kind, n) from sums where stage = 'consume'), '{}'))
		|| case when run.target is null then '{}' else jsonb_build_object('relay',
			coalesce((select jsonb_object_agg(kind, n) from sums where stage = 'relay'), '{}')
			|| jsonb_build_object('on_log', counts -> 'distinct', 'read', coalesce(counts -> 'target_read', '0'),
			'distinct', coalesce(counts -> 'target_distinct', '0')))
		   end from c),
	'lanes', coalesce((select lanes from j), (
		select jsonb_agg(jsonb_build_object('producer_id', producer_id, 'epoch', epoch, 'partition', partition,
			'intended', mqaudit.card(intended), 'acked', mqaudit.card(acked), 'present', mqaudit.card(present))
			order by producer_id, epoch, partition) from lane), '[]'),
	'settings', coalesce((select jsonb_object_agg(scope, s) from (
		select scope, jsonb_object_agg(name, value order by name) as s
		from mqaudit.setting where run_id = $1 group by 1) x), '{}'),
	'events', coalesce((select jsonb_agg(jsonb_build_object('at', mqaudit.iso(at), 'until', mqaudit.iso(until),
		'source', source, 'kind', kind, 'subject', subject, 'detail', detail) order by at, event_id)
		from (select * from event order by kind <> 'fault', at, event_id limit 10000) x), '[]'),
	'events_omitted', (select greatest(0, count(*) - 10000) from event),
	'generations', coalesce((select jsonb_agg(jsonb_build_object('side', side, 'isolation', isolation,
		'partition', partition, 'generation', generation, 'cause', cause, 'first_offset', first_offset,
		'at', mqaudit.iso(at), 'why', why) order by at, side, isolation, partition)
		from mqaudit.generation where run_id = $1 and cause <> 'start'), '[]'),
	'fences', coalesce((select jsonb_agg(jsonb_build_object('side', side, 'partition', partition, 'number', number,
		'offset', "offset", 'acked', mqaudit.iso(acked), 'read', mqaudit.iso(read),
		'read_partition', read_partition) order by number, side, partition)
		from mqaudit.fence where run_id = $1 and judgement = (select judgement from j)), '[]'),
	'producers', coalesce((select jsonb_agg(jsonb_build_object('producer_id', producer_id, 'epoch', epoch, 'host', host,
		'pid', pid, 'started', mqaudit.iso(started), 'ended', mqaudit.iso(ended), 'end_cause', end_cause,
		'journal', journal_state, 'disconnects', disconnects, 'retries', retries, 'timeouts', timeouts,
		'truncations', truncations, 'longest_gap_ms', longest_gap_ms) order by producer_id, epoch)
		from mqaudit.producer where run_id = $1), '[]'),
	'checkers', coalesce((select jsonb_agg(jsonb_build_object('side', side, 'isolation', isolation, 'host', host,
		'pid', pid, 'started', mqaudit.iso(started), 'ended', mqaudit.iso(ended), 'read', read,
		'read_ms', read_ms) order by started, side, isolation)
		from mqaudit.checker where run_id = $1), '[]'),
	'available', jsonb_build_object(
		'active_ms', (select round(seconds * 1000)::int8 from active),
		'without_ack_ms', (select round(least((select seconds from gap), seconds) * 1000)::int8 from active),
		'longest_gap_ms', (select longest_gap_ms from producers)),
	'faults', coalesce((select jsonb_agg(jsonb_build_object('node', subject, 'what', detail, 'at', mqaudit.iso(at),
		'until', mqaudit.iso(until), 'without_ack_ms', round(without_ack * 1000)::int8,
		'recovery_ms', round(recovery * 1000)::int8, 'after_heal_ms', round(after_heal * 1000)::int8)
		order by at) from fault), '[]'),
	'rates', (select jsonb_build_object('samples', count(*),
		'sent_per_s', coalesce(round(sum(sent) / nullif(extract(epoch from max(at) filter (where sent > 0)
			- min(at - seconds * interval '1 s') filter (where sent > 0)), 0)), 0)::int8,
		'acked_per_s', coalesce(round(sum(acked) / nullif(extract(epoch from max(at) filter (where acked > 0)
			- min(at - seconds * interval '1 s') filter (where acked > 0)), 0)), 0)::int8,
		'read_per_s', coalesce(round(sum(read) / nullif(extract(epoch from max(at) filter (where read > 0)
			- min(at - seconds * interval '1 s') filter (where read > 0)), 0)), 0)::int8)
		from mqaudit.sample where run_id = $1),
	'histograms', jsonb_build_object(
		'ack', (select jsonb_agg(to_jsonb(latency)) from mqaudit.producer
		        where run_id = $1 and cardinality(latency) > 0),
		'end_to_end', (select jsonb_agg(to_jsonb(latency)) from mqaudit.checker
		               where run_id = $1 and cardinality(latency) > 0 and isolation = 'uncommitted'
		                 and side = case when run.target is null then 'source' else 'target' end::mqaudit.side_kind)))
from run

-- name: report_findings
-- $1 run id, $2 number of its judgement (null: none has ended), $3 with what was withdrawn, $4 most rows.
-- What breaks promises first; inside a kind in the order of the lanes.
select kind, stage, producer_id, epoch, partition, lo, hi, count,
       -- what was refused: by whom it was, and in which words
       case when kind = 'refused' and why = '' then coalesce((
		select o.reason || coalesce(' (node ' || o.node || ')', '')
		from mqaudit.outcome o
		where o.run_id = f.run_id and o.producer_id = f.producer_id and o.epoch = f.epoch
		  and o.partition = f.partition and o.hi >= f.lo and o.lo <= f.hi and o.reason is not null
		order by o.hi, o.attempt limit 1), '') else why end,
       positions, omitted,
       withdrawn is not null, judgement is null,
       (extract(epoch from first_time) * 1000000)::int8, (extract(epoch from last_time) * 1000000)::int8,
       coalesce(acked_first, -1), coalesce(acked_last, -1), forgotten
from mqaudit.finding f
where run_id = $1 and (($3::bool and withdrawn is not null)
                       or (withdrawn is null and judgement is not distinct from $2::int4))
order by withdrawn is not null,
         coalesce(array_position(array['lost', 'stuck', 'corrupted', 'phantom', 'inconsistent', 'aborted-read',
                                       'duplicated', 'reordered', 'unread', 'pending', 'expired',
                                       'unacknowledged', 'refused', 'false-refusal', 'redelivered'], kind), 99),
         stage, producer_id, epoch, partition, lo
limit $4

-- name: runs
-- $1 most rows. The runs, newest first.
select jsonb_build_object('runs', coalesce(jsonb_agg(jsonb_build_object('id', lpad(to_hex(run_id), 16, '0'),
	'name', name, 'verdict', verdict, 'promise', promise, 'started', mqaudit.iso(started),
	'ended', mqaudit.iso(ended), 'destination', destination,
	'seconds', greatest(0, round(extract(epoch from coalesce(ended, clock_timestamp()) - started)))::int8,
	'messages', (select coalesce(sum(hi - lo + 1), 0)::int8 from mqaudit.intent i where i.run_id = v.run_id))
	order by started desc, run_id), '[]'))
from (select * from mqaudit.verdict order by started desc, run_id limit $1) v
