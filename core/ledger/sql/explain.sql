-- name: explain
-- $1 run id, $2 producer id, $3 epoch, $4 partition, $5 seq: every piece of evidence about one message, in
-- time order: microseconds since 1970 (null: no time is known), what, detail, a remark. No rows when nothing
-- is known of that message itself.
with r as (
	select * from mqaudit.run where run_id = $1
), side as (
	-- how a side is called; of a queue positions are the numbers of its deliveries
	select s.side, mqaudit.side_words($1, s.side) as name, q.name is not null as is_queue
	from unnest(enum_range(null::mqaudit.side_kind)) s (side)
	left join mqaudit.setting q on q.run_id = $1 and q.scope = s.side::text and q.name = 'reads' and q.value = 'queue'
), o as (
	select *, case when last_offset - first_offset = hi - lo then first_offset + ($5 - lo) end as at_offset
	from mqaudit.outcome
	where run_id = $1 and producer_id = $2 and epoch = $3 and partition = $4 and $5 between lo and hi
), seen as (
	select w.*, case when w.last_offset - w.first_offset = w.hi - w.lo then w.first_offset + ($5 - w.lo) end as at_offset,
	       g.at as gone, g.cause as gone_by, p.nonce is distinct from w.nonce as other_start,
	       coalesce(g.at, wp.heard) as at
	from mqaudit.witness w
	left join mqaudit.generation g on g.run_id = w.run_id and g.side = w.side and g.isolation = w.isolation
	     and g.partition = w.partition and g.generation = w.superseded
	left join mqaudit.witness_position wp on wp.run_id = w.run_id and wp.side = w.side
	     and wp.isolation = w.isolation and wp.partition = w.partition
	left join mqaudit.producer p on p.run_id = w.run_id and p.producer_id = w.producer_id and p.epoch = w.epoch
	where w.run_id = $1 and w.producer_id = $2 and w.epoch = $3 and w.lane = $4 and $5 between w.lo and w.hi
), place as (
	-- where it is, or was, or should be
	select 'source'::mqaudit.side_kind as side, $4::int8 as partition, coalesce(at_offset, last_offset) as "offset"
	from o where first_offset is not null
	union
	select side, partition, coalesce(at_offset, last_offset) from seen
), evidence as (
	select i.first_time as at, 1 as n, 'intent' as what,
	       'probe on ' || p.host || case when i.lo = i.hi then ''
	         else ', with seqs ' || i.lo || ' to ' || i.hi
	              || case when date_trunc('milliseconds', i.first_time) = date_trunc('milliseconds', i.last_time) then ''
	                      else ' in ' || round(extract(epoch from i.last_time - i.first_time)::numeric, 3) || ' s' end
	         end as detail, i.last_time
	from mqaudit.intent i join mqaudit.producer p using (run_id, producer_id, epoch)
	where i.run_id = $1 and i.producer_id = $2 and i.epoch = $3 and i.partition = $4 and $5 between i.lo and i.hi
	union all
	select o.first_time, 2, 'outcome', o.outcome::text
	       || coalesce(' by node ' || o.node, '')
	       || case when o.outcome = 'acked' and s.value is not null
	            then ' (acks=' || replace(s.value, '-1', 'all') || ')' else '' end
	       || coalesce(case when o.at_offset is not null then ', offset ' || o.at_offset
	                        else ', offset between ' || o.first_offset || ' and ' || o.last_offset end, '')
	       || case when o.attempt > 0 then ', attempt ' || o.attempt else '' end
	       || coalesce(': ' || nullif(o.reason, ''), ''), o.last_time
	from o left join mqaudit.setting s on s.run_id = $1 and s.scope = 'client' and s.name = 'request.required.acks'
	union all
	select p.ended, 2, 'no outcome', 'the producer ended (' || coalesce(p.end_cause, 'cause unknown') || ') '
	       || case p.journal_state when 'complete' then 'and its journal proves that none came'
	          else 'and its journal is ' || p.journal_state || ': nobody knows' end, p.ended
	from mqaudit.producer p
	where p.run_id = $1 and p.producer_id = $2 and p.epoch = $3 and p.ended is not null
	  and not exists (select from o)
	  and exists (select from mqaudit.intent i where i.run_id = $1 and i.producer_id = $2 and i.epoch = $3
	              and i.partition = $4 and $5 between i.lo and i.hi)
	union all
	-- another message that was acked at the same offset
	select x.first_time, 3, 'acked again', 'offset ' || o.at_offset || ' now belongs to '
	       || x.producer_id || '.' || x.epoch || '.' || x.partition || '.' || (x.lo + (o.at_offset - x.first_offset)),
	       x.first_time
	from o join mqaudit.outcome x on x.run_id = o.run_id and x.partition = o.partition
	     and x.outcome = 'acked' and x.last_offset - x.first_offset = x.hi - x.lo
	     and o.at_offset between x.first_offset and x.last_offset
	     and (x.producer_id, x.epoch, x.lo) <> (o.producer_id, o.epoch, o.lo)
	     and x.first_time >= o.first_time
	where o.outcome = 'acked'
	union all
	select s.at, case when s.superseded is null then 6 else 4 end,
	       case when s.superseded is null then 'read' else 'read before' end,
	       d.name || case s.isolation when 'committed' then ' (read committed)' else '' end
	       || case when d.is_queue then ', delivery' || coalesce(' ' || s.at_offset, 's ' || s.first_offset || ' to ' || s.last_offset)
	               else ', partition ' || s.partition || coalesce(', offset ' || s.at_offset,
	                    ', between offsets ' || s.first_offset || ' and ' || s.last_offset) end
	       || case when s.attempt > 0 then ', attempt ' || s.attempt else '' end
	       || case when s.other_start then ', with the nonce of no known start of that producer' else '' end
	       || case s.gone_by when 'cut' then '; it was there until the log was cut'
	                         when 'sweep' then '; then the log was read again' else '' end, s.at
	from seen s join side d using (side)
	union all
	select d.at, 6, 'dead letter', 'in dead-letter queue ''' || d.queue || ''': ' || d.reason
	       || case when d.attempt > 0 then ', attempt ' || d.attempt else '' end, d.at
	from mqaudit.dead_letter d
	where d.run_id = $1 and d.producer_id = $2 and d.epoch = $3 and d.lane = $4 and $5 between d.lo and d.hi
	union all
	-- with --record=messages: each copy for itself
	select m.at, 4, 'received',
	       mqaudit.side_words($1, m.side)
	       || case m.isolation when 'committed' then ' (read committed)' else '' end || ', partition ' || m.partition
	       || ', offset ' || m."offset" || ', ' || m.size || ' bytes, '
	       || round((m.received_ns::numeric - m.sent_ns) / 1000000, 1) || ' ms after it was sent'
	       || case when exists (
			select from mqaudit.witness_corrupted c
			where c.run_id = $1 and c.side = m.side and c.isolation = m.isolation and c.partition = m.partition
			  and c.generation = m.generation and c."offset" = m."offset" and c.producer_id is not null)
		  then ', damaged' else '' end
	       || case when exists (
			select from mqaudit.generation h
			where h.run_id = $1 and h.side = m.side and h.isolation = m.isolation and h.partition = m.partition
			  and h.generation > m.generation and m."offset" >= h.history_from and m."offset" < h.history_to)
		  then '; read again since' else '' end, m.at
	from (select *, timestamptz 'epoch' + received_ns / 1000 * interval '1 us' as at
	      from mqaudit.find_message($1, $2, $3, $4, $5) join mqaudit.message_group using (group_id)) m
	union all
	select distinct on (g.side, g.partition, g.generation) g.at, 5, g.cause,
	       case g.side when 'source' then '' else 'behind the relay, ' end || 'partition ' || g.partition
	       || case g.cause when 'cut' then ' ends at ' || g.first_offset || ' now: ' else ': ' end || g.why, g.at
	from mqaudit.generation g join place on place.side = g.side and place.partition = g.partition
	where g.run_id = $1 and g.cause <> 'start' and g.isolation = 'uncommitted' and g.first_offset <= place."offset"
	union all
	select wp.heard, 6, 'damaged',
	       mqaudit.side_words($1, c.side) || ', partition ' || c.partition
	       || ', offset ' || c."offset" || ': the ' || c.what || ' is damaged'
	       || case when c.superseded is null then '' else ' (cut from the log since)' end, wp.heard
	from mqaudit.witness_corrupted c
	left join mqaudit.witness_position wp on wp.run_id = c.run_id and wp.side = c.side
	     and wp.isolation = c.isolation and wp.partition = c.partition
	where c.run_id = $1 and c.isolation = 'uncommitted'
	  and (c.producer_id = $2 and c.epoch = $3 and c.lane = $4 and c.seq = $5
	       -- without an identity, at the very offset that was acked
	       or c.producer_id is null and c.side = 'source' and c.partition = $4
	          and c."offset" in (select at_offset from o))
	union all
	select f.found, 8, case when f.withdrawn is null then 'finding' else 'withdrawn' end,
	       f.kind || ' at ' || f.stage || coalesce(': ' || nullif(f.why, ''), '')
	       || case when f.withdrawn is not null then '; it did not hold'
	               when f.judgement is null then ' (provisional)' else '' end, f.found
	from mqaudit.finding f
	where f.run_id = $1 and f.producer_id = $2 and f.epoch = $3 and f.partition = $4 and $5 between f.lo and f.hi
	  and (f.withdrawn is not null or f.judgement is not distinct from (
		select max(judgement) from mqaudit.judgement where run_id = $1 and ended is not null))
), fence as (
	-- once for each side: the last one that was read, else the last one that was written
	select distinct on (f.side) coalesce(f.read, f.acked) as at, 7 as n, 'fence' as what,
	       case when f.read is null then 'written' else 'read' end
	       || case when f."offset" >= 0 then ' at offset ' || f."offset" || ' of partition ' || f.partition
	               when f.partition > 0 then ' for partition ' || f.partition else '' end
	       || case mqaudit.side_words($1, f.side) when 'on the log' then ''
	               else ' ' || mqaudit.side_words($1, f.side) end
	       || case when f.read is null then ', not read'
	               when exists (select from seen s where s.side = f.side and s.superseded is null) then ''
	               else ': no copy of it up to there' end as detail
	from mqaudit.fence f
	where f.run_id = $1 and f.partition = $4
	  and f.judgement = (select max(judgement) from mqaudit.judgement where run_id = $1 and ended is not null)
	order by f.side, f.read is null, f.number desc
), near as (
	select min(at) - interval '10 s' as from_time, max(last_time) + interval '10 s' as to_time
	from evidence
	where what = case when exists (select from o) then 'outcome' else 'intent' end
), fault as (
	select e.* from mqaudit.event e, r where e.lab = r.lab and e.kind = 'fault'
), around as (
	select e.at, 0 as n, e.kind as what,
	       e.subject || coalesce(': ' || nullif(regexp_replace(e.detail, '^f[0-9]+ ', ''), ''), '') as detail
	from mqaudit.event e, near, r
	where (e.run_id = $1 or e.lab = r.lab) and e.at <= near.to_time
	  and coalesce(e.until, case e.kind when 'fault' then clock_timestamp() else e.at end) >= near.from_time
	  and e.kind not in ('cut', 'sweep')
	union all
	select e.until, 0, 'heal', e.subject from fault e, near
	where e.at <= near.to_time and e.until >= near.from_time
)
select (extract(epoch from x.at) * 1000000)::int8, x.what, x.detail,
       -- a range of messages may have begun before a fault and ended in it: told of short ones only
       case when x.what in ('intent', 'outcome', 'acked again') then
	(select string_agg(f.subject || ': ' || split_part(regexp_replace(f.detail, '^f[0-9]+ ', ''), ' ', 1)
	        || case when f.at <= x.at then ' on since ' else ' on after ' end
	        || round(abs(extract(epoch from x.at - f.at))::numeric, 1) || ' s', ', ' order by f.at)
	 from fault f where f.at <= least(x.last_time, x.at + interval '2 s')
	   and coalesce(f.until, clock_timestamp()) >= x.at) end
from (select at, n, what, detail, last_time, true as mine from evidence
      union all select at, n, what, detail, null, false from fence
      union all select at, n, what, detail, null, false from around) x
where x.mine or exists (select from evidence)
order by x.at nulls last, x.n, x.what, x.detail

-- name: explain_lane
-- The same parameters but the last: what is known of a lane, for those who ask for what is not there.
select (select count(*) from mqaudit.producer where run_id = $1 and producer_id = $2 and epoch = $3),
       coalesce((select max(hi) from mqaudit.intent
                 where run_id = $1 and producer_id = $2 and epoch = $3 and partition = $4), 0)
