-- $1 run id, $2 most findings to give. The whole report of a run as one JSON document
-- (mqaudit-report/1); the reporters add what SQL cannot know.
with run as (
	select * from mqaudit.run where run_id = $1
), j as (
	select * from mqaudit.judgement where run_id = $1 and ended is not null order by judgement desc limit 1
), found as (
	select f.* from mqaudit.finding f
	where f.run_id = $1 and (f.withdrawn is not null
	   or f.judgement is not distinct from (select judgement from j))
), listed as (
	select f.*, row_number() over (order by f.withdrawn is not null,
	         array_position(array['lost', 'stuck', 'corrupted', 'phantom', 'inconsistent', 'duplicated', 'reordered'], f.kind),
	         f.stage, f.producer_id, f.epoch, f.partition, f.lo) as n
	from found f
), o as (
	select coalesce(sum(hi - lo + 1) filter (where outcome = 'acked'), 0)::int8 as acked,
	       coalesce(sum(hi - lo + 1) filter (where outcome = 'unconfirmed'), 0)::int8 as unconfirmed,
	       coalesce(sum(hi - lo + 1) filter (where outcome = 'refused'), 0)::int8 as refused,
	       coalesce(sum(hi - lo + 1) filter (where outcome = 'unknown'), 0)::int8 as unknown
	from mqaudit.outcome where run_id = $1
), i as (
	select coalesce(sum(hi - lo + 1), 0)::int8 as intended from mqaudit.intent where run_id = $1
), live as (
	select jsonb_build_object('intended', i.intended, 'acked', o.acked, 'unconfirmed', o.unconfirmed,
		'refused', o.refused, 'unknown', o.unknown, 'none', 0, 'unrecorded', 0,
		'in_flight', i.intended - o.acked - o.unconfirmed - o.refused - o.unknown,
		'read', coalesce((select sum(records) from mqaudit.segment where run_id = $1 and side = 'source'
		                  and isolation = 'uncommitted' and superseded is null), 0)) as counts
	from o, i
), c as (
	select coalesce((select counts from j), (select counts from live)) as counts
), sums as (
	select kind, stage, sum(count)::int8 as n from found where withdrawn is null group by 1, 2
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
	'reasons', to_jsonb(coalesce((select reasons from j), '{}')),
	'run', jsonb_build_object('id', lpad(to_hex(run.run_id), 16, '0'), 'name', run.name, 'started', run.started,
		'ended', run.ended, 'destination', run.destination, 'target', run.target, 'lab', run.lab,
		'transactional', run.transactional),
	'counts', (select counts from c),
	'findings_n', (select count(*) from found where withdrawn is null),
	'findings', coalesce((select jsonb_agg(jsonb_build_object('kind', kind, 'stage', stage, 'producer_id', producer_id,
		'epoch', epoch, 'partition', partition, 'lo', lo, 'hi', hi, 'count', count, 'positions', positions,
		'positions_omitted', omitted, 'withdrawn', withdrawn is not null, 'why', why,
		'provisional', judgement is null, 'first_time', first_time, 'last_time', last_time,
		'acked_first', acked_first, 'acked_last', acked_last) order by n)
		from listed where n <= $2), '[]'),
	'sums', coalesce((select jsonb_agg(jsonb_build_object('kind', kind, 'stage', stage, 'count', n)) from sums), '[]'),
	'stages', jsonb_build_object(
		'produce', (select jsonb_build_object('sent', counts -> 'intended', 'acked', counts -> 'acked',
			'unconfirmed', counts -> 'unconfirmed', 'refused', counts -> 'refused', 'unknown', counts -> 'unknown',
			'none', counts -> 'none', 'unrecorded', counts -> 'unrecorded') from c)
			|| coalesce((select jsonb_object_agg(kind, n) from sums where stage = 'produce'), '{}'),
		'broker', (select jsonb_build_object('on_log', counts -> 'distinct') from c)
			|| coalesce((select jsonb_object_agg(kind, n) from sums where stage = 'broker'), '{}'),
		'consume', '{}'::jsonb,
		'relay', coalesce((select jsonb_object_agg(kind, n) from sums where stage = 'relay'), '{}')),
	'lanes', coalesce((select lanes from j), '[]'),
	'settings', coalesce((select jsonb_object_agg(scope, s) from (
		select scope, jsonb_object_agg(name, value order by name) as s from mqaudit.setting where run_id = $1 group by 1) x), '{}'),
	'events', coalesce((select jsonb_agg(jsonb_build_object('at', at, 'until', until, 'source', source, 'kind', kind,
		'subject', subject, 'detail', detail) order by at) from (
		select * from mqaudit.event e
		where e.run_id = $1 or (run.lab is not null and e.lab = run.lab and e.at <= coalesce(run.ended, now())
		                        and coalesce(e.until, now()) >= run.started)
		order by at limit 1000) x), '[]'),
	'generations', coalesce((select jsonb_agg(jsonb_build_object('side', side, 'partition', partition,
		'generation', generation, 'cause', cause, 'first_offset', first_offset, 'at', at, 'why', why) order by at)
		from mqaudit.generation where run_id = $1 and cause <> 'start' and isolation = 'uncommitted'), '[]'),
	'fences', coalesce((select jsonb_agg(jsonb_build_object('side', side, 'partition', partition, 'number', number,
		'offset', "offset", 'read', read) order by number, side, partition)
		from mqaudit.fence where run_id = $1 and judgement = (select judgement from j)), '[]'),
	'producers', coalesce((select jsonb_agg(jsonb_build_object('producer_id', producer_id, 'epoch', epoch, 'host', host,
		'started', started, 'ended', ended, 'end_cause', end_cause, 'journal', journal_state,
		'disconnects', disconnects, 'retries', retries, 'timeouts', timeouts, 'truncations', truncations,
		'longest_gap_ms', longest_gap_ms, 'latency', to_jsonb(latency)) order by producer_id, epoch)
		from mqaudit.producer where run_id = $1), '[]'),
	'unavailable_s', coalesce((select sum(extract(epoch from until - at)) from mqaudit.event
		where run_id = $1 and kind = 'unavailable'), 0),
	'active_s', (select extract(epoch from max(last_time) - min(first_time)) from mqaudit.intent where run_id = $1))
from run
