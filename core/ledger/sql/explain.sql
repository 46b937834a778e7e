-- $1 run id, $2 producer id, $3 epoch, $4 partition, $5 seq: every piece of evidence about one message.
with r as (select * from mqaudit.run where run_id = $1),
lane_outcome as (
	select * from mqaudit.outcome where run_id = $1 and producer_id = $2 and epoch = $3 and partition = $4
	  and $5 between lo and hi
), seen as (
	select w.*, case when w.last_offset - w.first_offset = w.hi - w.lo then w.first_offset + ($5 - w.lo) end as at_offset,
	       g.cause, g.at as gone, g.why as gone_why, p.nonce <> w.nonce as other_start
	from mqaudit.witness w
	left join mqaudit.generation g on g.run_id = w.run_id and g.side = w.side and g.isolation = w.isolation
	     and g.partition = w.partition and g.generation = w.superseded
	left join mqaudit.producer p on p.run_id = w.run_id and p.producer_id = w.producer_id and p.epoch = w.epoch
	where w.run_id = $1 and w.producer_id = $2 and w.epoch = $3 and w.lane = $4 and $5 between w.lo and w.hi
), evidence as (
	select i.first_time as at, 1 as n, 'intent' as what,
	       'probe on ' || p.host || case when i.first_time <> i.last_time
	         then ', with others until ' || to_char(i.last_time, 'HH24:MI:SS.MS') else '' end as detail
	from mqaudit.intent i join mqaudit.producer p using (run_id, producer_id, epoch)
	where i.run_id = $1 and i.producer_id = $2 and i.epoch = $3 and i.partition = $4 and $5 between i.lo and i.hi
	union all
	select o.first_time, 2, 'outcome', o.outcome::text
	       || coalesce(' by node ' || o.node, '')
	       || coalesce(' at offset ' || case when o.last_offset - o.first_offset = o.hi - o.lo
	            then (o.first_offset + ($5 - o.lo))::text else o.first_offset || ' to ' || o.last_offset end, '')
	       || coalesce(': ' || o.reason, '')
	from lane_outcome o
	union all
	-- another message that was acked at the same offset
	select x.first_time, 3, 'acked again', 'offset ' || (o.first_offset + ($5 - o.lo)) || ' now belongs to '
	       || x.producer_id || '.' || x.epoch || '.' || x.partition || '.'
	       || (x.lo + (o.first_offset + ($5 - o.lo) - x.first_offset))
	from lane_outcome o join mqaudit.outcome x on x.run_id = o.run_id and x.partition = o.partition
	     and x.outcome = 'acked' and x.last_offset - x.first_offset = x.hi - x.lo
	     and o.first_offset + ($5 - o.lo) between x.first_offset and x.last_offset
	     and (x.producer_id, x.epoch, x.lo) <> (o.producer_id, o.epoch, o.lo)
	where o.outcome = 'acked' and o.last_offset - o.first_offset = o.hi - o.lo
	union all
	select coalesce(s.gone, (select max(heard) from mqaudit.witness_position where run_id = $1)), 4,
	       case when s.superseded is null then 'seen' else 'seen before' end,
	       case s.side when 'source' then 'on the log' else 'behind the relay' end
	       || case s.isolation when 'committed' then ' (read committed)' else '' end || ', partition ' || s.partition
	       || coalesce(', offset ' || s.at_offset, ', between offsets ' || s.first_offset || ' and ' || s.last_offset)
	       || case when s.other_start then ', with the nonce of no known start' else '' end
	       || coalesce('; ' || s.gone_why, '')
	from seen s
	union all
	select (select max(heard) from mqaudit.witness_position where run_id = $1), 5, 'damaged',
	       'partition ' || c.partition || ', offset ' || c."offset" || ': the ' || c.what || ' is damaged'
	from mqaudit.witness_corrupted c
	where c.run_id = $1 and c.producer_id = $2 and c.epoch = $3 and c.lane = $4 and c.seq = $5
	union all
	select coalesce(f.read, f.acked), 6, 'fence', 'number ' || f.number || ' at offset ' || f."offset" || ' of partition '
	       || f.partition || case f.side when 'source' then '' else ' behind the relay' end
	       || case when f.read is null then ', not read' else ', read' end
	from mqaudit.fence f
	where f.run_id = $1 and f.partition = $4
	  and f.judgement = (select max(judgement) from mqaudit.judgement where run_id = $1)
	union all
	select f.found, 7, case when f.withdrawn is null then 'finding' else 'withdrawn' end,
	       f.kind || ' at ' || f.stage || coalesce(': ' || nullif(f.why, ''), '')
	       || case when f.judgement is null then ' (provisional)' else '' end
	from mqaudit.finding f
	where f.run_id = $1 and f.producer_id = $2 and f.epoch = $3 and f.partition = $4 and $5 between f.lo and f.hi
), near as (
	select min(at) - interval '10 s' as from_time, max(at) + interval '10 s' as to_time from evidence
	where what in ('intent', 'outcome')
), around as (
	select e.at, 0 as n, e.kind as what, e.subject || coalesce('  ' || nullif(e.detail, ''), '') as detail
	from mqaudit.event e, near, r
	where (e.run_id = $1 or e.lab = r.lab) and e.at <= near.to_time and coalesce(e.until, e.at) >= near.from_time
	  and e.kind <> 'node-start'
	union all
	select e.until, 0, 'heal', e.subject
	from mqaudit.event e, near, r
	where e.lab = r.lab and e.kind = 'fault' and e.until between near.from_time and near.to_time + interval '60 s'
)
select (extract(epoch from at) * 1000000)::int8, what, detail
from (select * from evidence union all select * from around) x
order by at, n, what, detail
