-- name: functions
create or replace function mqaudit.span(lo int8, hi int8) returns int8multirange
language sql immutable as $$ select int8multirange(int8range(lo, hi, '[]')) $$;

create or replace function mqaudit.card(m int8multirange) returns int8
language sql immutable as $$
	select coalesce(sum(upper(r) - lower(r)), 0)::int8 from unnest(m) r
$$;

-- A stretch of numbers on a line of its own, as a flat box: a way to have an index on both. Where boxes
-- meet, the numbers are still to be compared: large ones lose their last digits here, and lines may coincide.
create or replace function mqaudit.flat_box(line int8, lo int8, hi int8) returns box
language sql immutable parallel safe as $$ select box(point(lo::float8, line::float8), point(hi::float8, line::float8)) $$;

-- The same for seqs of a lane.
create or replace function mqaudit.lane_box(producer_id int8, epoch int8, partition int8, lo int8, hi int8) returns box
language sql immutable parallel safe as $$
	select mqaudit.flat_box((producer_id * 1000003 + epoch * 8191 + partition) & 2147483647, lo, hi)
$$;

-- How the source was read: 'log'; 'queue' (by taking); 'nothing' (a queue whose messages what relays them takes);
-- 'routed-stream' (a stream beside the queue, which has what was routed: the source, and the queue is behind it).
create or replace function mqaudit.source_reads(p_run int8) returns text
language sql stable as $$
	select coalesce((select value from mqaudit.setting where run_id = p_run and scope = 'source' and name = 'reads'), 'log')
$$;

-- Where what was read on a side is, in words.
create or replace function mqaudit.side_words(p_run int8, p_side mqaudit.side_kind) returns text
language sql stable as $$
	select case when p_side = 'target' then
	            case when mqaudit.source_reads(p_run) = 'routed-stream' and r.target is null then 'from the queue'
	                 else 'behind the relay' end
	       when mqaudit.source_reads(p_run) = 'routed-stream' then 'in the routed stream'
	       when mqaudit.source_reads(p_run) = 'queue' then 'from the queue'
	       else 'on the log' end
	from mqaudit.run r where r.run_id = p_run
$$;

-- A time as reports write it: ISO 8601, UTC, microseconds.
create or replace function mqaudit.iso(t timestamptz) returns text
language sql stable as $$ select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- Fold each segment `from` into its older neighbour `into`: runs that continue across the border become
-- one. Order, repeats and counts stay what they were; only inner positions are forgotten.
create or replace function mqaudit.fold_segments(
	p_run int8, p_side mqaudit.side_kind, p_isolation mqaudit.isolation_kind,
	p_partition int8[], p_into int8[], p_from int8[]) returns void
language plpgsql as $$
declare
	i int;
begin
	for i in 1 .. coalesce(array_length(p_partition, 1), 0) loop
		with tail as (
			select distinct on (producer_id, epoch, nonce, lane) ctid as id, *
			from mqaudit.witness
			where run_id = p_run and side = p_side and isolation = p_isolation
			  and partition = p_partition[i] and segment = p_into[i] and superseded is null
			order by producer_id, epoch, nonce, lane, first_offset desc
		), head as (
			select distinct on (producer_id, epoch, nonce, lane) ctid as id, *
			from mqaudit.witness
			where run_id = p_run and side = p_side and isolation = p_isolation
			  and partition = p_partition[i] and segment = p_from[i] and superseded is null
			order by producer_id, epoch, nonce, lane, first_offset
		), pair as (
			select t.id as tail_id, h.id as head_id, h.hi, h.last_offset
			from tail t join head h using (producer_id, epoch, nonce, lane)
			where t.hi + 1 = h.lo and t.attempt = h.attempt
		), gone as (
			delete from mqaudit.witness w using pair p where w.ctid = p.head_id
		)
		update mqaudit.witness w set hi = p.hi, last_offset = p.last_offset
		from pair p where w.ctid = p.tail_id;

		update mqaudit.witness set segment = p_into[i]
		where run_id = p_run and side = p_side and isolation = p_isolation
		  and partition = p_partition[i] and segment = p_from[i] and superseded is null;
		update mqaudit.witness_corrupted set segment = p_into[i]
		where run_id = p_run and side = p_side and isolation = p_isolation
		  and partition = p_partition[i] and segment = p_from[i] and superseded is null;

		with gone as (
			delete from mqaudit.segment
			where run_id = p_run and side = p_side and isolation = p_isolation
			  and partition = p_partition[i] and segment = p_from[i]
			returning *
		)
		update mqaudit.segment s
		set end_offset = g.end_offset,
		    anchor_offset = coalesce(g.anchor_offset, s.anchor_offset),
		    anchor_digest = case when g.anchor_offset is null then s.anchor_digest else g.anchor_digest end,
		    records = s.records + g.records, ours = s.ours + g.ours,
		    foreigners = s.foreigners + g.foreigners, fences = s.fences + g.fences,
		    corrupted = s.corrupted + g.corrupted
		from gone g
		where s.run_id = p_run and s.side = p_side and s.isolation = p_isolation
		  and s.partition = p_partition[i] and s.segment = p_into[i];
	end loop;
end $$;

-- Fold what was acknowledged and read: adjacent outcomes (and intents) of a lane whose every message the
-- witness has seen become one row. What is missing keeps its exact offsets and times, and what was acked at the
-- same offsets keeps them too: that an offset was acked twice proves a truncation.
create or replace function mqaudit.fold_outcomes(p_run int8, p_older_than interval) returns int8
language plpgsql as $$
declare
	started timestamptz := clock_timestamp();
	l record;
	n int8 := 0;
	k int8;
begin
	create temp table if not exists fold_seen (
		producer_id int8, epoch int8, partition int8, seen int8multirange) on commit delete rows;
	create temp table if not exists fold_absent (partition int8, offsets int8multirange) on commit delete rows;
	delete from fold_seen;
	delete from fold_absent;
	insert into fold_seen
	select producer_id, epoch, lane, range_agg(int8range(lo, hi, '[]'))
	from mqaudit.witness
	where run_id = p_run and side = 'source' and isolation = 'uncommitted' and superseded is null
	group by 1, 2, 3;
	insert into fold_absent
	select o.partition, range_agg(int8range(o.first_offset, o.last_offset, '[]'))
	from mqaudit.outcome o left join fold_seen s using (producer_id, epoch, partition)
	where o.run_id = p_run and o.outcome = 'acked' and o.first_offset is not null
	  and not coalesce(int8range(o.lo, o.hi, '[]') <@ s.seen, false)
	group by 1;

	-- lane by lane, in any order, until the time is over: what is left has its turn at the next call
	for l in select s.*, a.offsets as absent from fold_seen s left join fold_absent a using (partition)
		order by random()
	loop
		exit when clock_timestamp() > started + interval '3 seconds';
		with part as materialized (
			select x.*,
			       lag(x.hi) over w as before_hi,
			       lag(x.last_offset) over w as before_offset,
			       lag(x.proves) over w as before_proves,
			       lag(x.outcome) over w as before_outcome,
			       lag(x.attempt) over w as before_attempt,
			       lag(x.node) over w as before_node,
			       lag(x.code) over w as before_code
			from (
				-- of each row: does it lie where something absent was acked?
				select o.ctid as id, o.*, o.first_offset is not null and coalesce(
				       l.absent && int8range(o.first_offset, o.last_offset, '[]'), false) as proves
				from mqaudit.outcome o
				where o.run_id = p_run and o.producer_id = l.producer_id and o.epoch = l.epoch
				  and o.partition = l.partition and o.last_time < now() - p_older_than
				  and int8range(o.lo, o.hi, '[]') <@ l.seen) x
			-- attempts of the same message are neighbours, and never one row
			window w as (order by x.lo, x.attempt, x.hi)
		), grp as (
			select *, count(*) filter (where before_hi is distinct from lo - 1
			                             or before_outcome is distinct from outcome
			                             or before_attempt is distinct from attempt
			                             or before_node is distinct from node
			                             or before_code is distinct from code
			                             or ((proves or before_proves)
			                                 and before_offset is distinct from first_offset - 1))
			          over (order by lo, attempt, hi rows between unbounded preceding and current row) as island
			from part
		), island as materialized (
			select island, max(hi) as hi, min(first_offset) as first_offset, max(last_offset) as last_offset,
			       min(first_time) as first_time, max(last_time) as last_time,
			       (array_agg(id order by lo))[1] as keep, array_agg(id) as ids
			from grp group by 1 having count(*) > 1
		), gone as (
			delete from mqaudit.outcome
			where ctid = any (array(select id from island, unnest(ids) id where id <> keep))
			returning 1
		), kept as (
			update mqaudit.outcome o
			set hi = i.hi, first_offset = i.first_offset, last_offset = i.last_offset,
			    first_time = i.first_time, last_time = i.last_time
			from island i where o.ctid = i.keep
			returning 1
		)
		select count(*) into k from gone;
		n := n + k;

		with part as materialized (
			select t.ctid as id, t.*, lag(t.hi) over (order by t.lo) as before_hi
			from mqaudit.intent t
			where t.run_id = p_run and t.producer_id = l.producer_id and t.epoch = l.epoch
			  and t.partition = l.partition and t.last_time < now() - p_older_than
			  and int8range(t.lo, t.hi, '[]') <@ l.seen
		), grp as (
			select *, count(*) filter (where before_hi is distinct from lo - 1) over (order by lo) as island
			from part
		), island as materialized (
			select island, max(hi) as hi, min(first_time) as first_time, max(last_time) as last_time,
			       (array_agg(id order by lo))[1] as keep, array_agg(id) as ids
			from grp group by 1 having count(*) > 1
		), gone as (
			delete from mqaudit.intent
			where ctid = any (array(select id from island, unnest(ids) id where id <> keep))
			returning 1
		), kept as (
			update mqaudit.intent t set hi = i.hi, first_time = i.first_time, last_time = i.last_time
			from island i where t.ctid = i.keep
			returning 1
		)
		select count(*) into k from gone;
		n := n + k;
	end loop;
	return n;
end $$;

-- What looks lost while the run goes on: acked below the witness's position, some time ago, and not seen.
-- New ranges become provisional findings and are returned; what came after all is withdrawn.
create or replace function mqaudit.provisional(p_run int8) returns table (
	kind text, stage text, producer_id int8, epoch int8, partition int8, lo int8, hi int8, count int8, why text)
language plpgsql as $$
begin
	drop table if exists prov_now;
	create temp table prov_now on commit drop as
	with seen as (
		select w.producer_id, w.epoch, w.lane, range_agg(int8range(w.lo, w.hi, '[]')) as seen
		from mqaudit.witness w
		where w.run_id = p_run and w.side = 'source' and w.isolation = 'uncommitted' and w.superseded is null
		group by 1, 2, 3
	), passed as (
		select o.producer_id, o.epoch, o.partition, range_agg(int8range(o.lo, o.hi, '[]')) as acked
		from mqaudit.outcome o
		join mqaudit.witness_position p on p.run_id = o.run_id and p.partition = o.partition
		     and p.side = 'source' and p.isolation = 'uncommitted'
		where o.run_id = p_run and o.outcome = 'acked' and o.last_offset < p.next_offset
		  and o.last_time < clock_timestamp() - interval '2 s'
		group by 1, 2, 3
	)
	select a.producer_id, a.epoch, a.partition, a.acked - coalesce(s.seen, '{}') as absent
	from passed a left join seen s on s.producer_id = a.producer_id and s.epoch = a.epoch and s.lane = a.partition;

	update mqaudit.finding f set withdrawn = clock_timestamp()
	where f.run_id = p_run and f.judgement is null and f.withdrawn is null
	  and not exists (select from prov_now n where n.producer_id = f.producer_id and n.epoch = f.epoch
	                  and n.partition = f.partition and n.absent @> int8range(f.lo, f.hi, '[]'));

	return query
	with known as (
		select f.producer_id, f.epoch, f.partition, range_agg(int8range(f.lo, f.hi, '[]')) as known
		from mqaudit.finding f
		where f.run_id = p_run and f.judgement is null and f.withdrawn is null
		group by 1, 2, 3
	)
	insert into mqaudit.finding as f (run_id, kind, stage, producer_id, epoch, partition, lo, hi, count, why)
	select p_run, 'lost', 'broker', n.producer_id, n.epoch, n.partition, lower(r), upper(r) - 1,
	       upper(r) - lower(r), 'acked, and not where the log is read already'
	from prov_now n
	left join known k on k.producer_id = n.producer_id and k.epoch = n.epoch and k.partition = n.partition
	cross join lateral unnest(n.absent - coalesce(k.known, '{}')) r
	returning f.kind, f.stage, f.producer_id, f.epoch, f.partition, f.lo, f.hi, f.count, f.why;
	drop table prov_now;
end $$;

-- Where the fences of a judgement came out behind the relay: the last one of each partition.
create or replace function mqaudit.relay_fences(p_run int8, p_judgement int4) returns table (
	partition int8, read_partition int8)
language sql stable as $$
	select distinct on (f.partition) f.partition, f.read_partition
	from mqaudit.fence f
	where f.run_id = p_run and f.judgement = p_judgement and f.side = 'target' and f.read is not null
	order by f.partition, f.number desc
$$;

-- How the relay stands while its fences are waited for, by partition of the source: messages on the
-- source's log that were not read behind it, and whether the fence proves anything for them.
create or replace function mqaudit.relay_state(p_run int8, p_judgement int4) returns table (
	partition int8, absent int8, fenced bool, strayed bool)
language sql stable as $$
	with seen as (
		select w.side, w.producer_id, w.epoch, w.nonce, w.lane, w.partition,
		       range_agg(int8range(w.lo, w.hi, '[]')) as seqs
		from mqaudit.witness w join mqaudit.run r using (run_id)
		where w.run_id = p_run and w.superseded is null
		  and w.isolation = case when r.transactional and w.side = 'source' then 'committed'
		                         else 'uncommitted' end::mqaudit.isolation_kind
		group by 1, 2, 3, 4, 5, 6
		union all
		select c.side, c.producer_id, c.epoch, c.nonce, c.lane, c.partition,
		       range_agg(int8range(c.seq, c.seq, '[]'))
		from mqaudit.witness_corrupted c
		where c.run_id = p_run and c.superseded is null and c.side = 'target' and c.producer_id is not null
		group by 1, 2, 3, 4, 5, 6
	), lane as (
		select producer_id, epoch, nonce, lane,
		       coalesce(range_agg(seqs) filter (where side = 'source'), '{}')
		         - coalesce(range_agg(seqs) filter (where side = 'target'), '{}') as absent,
		       coalesce(bool_or(s.partition <> f.read_partition) filter (where side = 'target'), false) as strayed,
		       bool_or(f.partition is not null) as fenced
		from seen s left join mqaudit.relay_fences(p_run, p_judgement) f on f.partition = s.lane
		group by 1, 2, 3, 4
	)
	select lane, sum(mqaudit.card(absent))::int8, bool_or(fenced), bool_or(strayed) from lane group by 1
$$;

-- Every reading of one message, where checks ran with --record=messages. Its groups say where to look: some ten
-- thousand rows for each. A group that is not complete there (the table was restored, or others wrote into it at
-- the same time) is looked for in all of the run's messages.
create or replace function mqaudit.find_message(p_run int8, p_producer int8, p_epoch int8, p_lane int8, p_seq int8)
returns table (group_id int4, size int4, "offset" int8, seq int8, sent_ns int8, received_ns int8)
language plpgsql stable as $$
declare
	g mqaudit.message_group;
	here constant text := format('select m.group_id, m.size, m."offset", m.seq, m.sent_ns, m.received_ns '
		'from mqaudit.%I m where m.group_id = $1', mqaudit.message_table(p_run));
	in_blocks text;
	n int8;
begin
	for g in select * from mqaudit.message_group x
		where x.run_id = p_run and x.producer_id = p_producer and x.epoch = p_epoch and x.lane = p_lane
		  and p_seq between x.first_seq and x.last_seq
	loop
		in_blocks := format(' and m.ctid >= %L and m.ctid < %L', format('(%s,0)', g.first_block),
			format('(%s,0)', g.end_block));
		execute 'select count(*) from (' || here || in_blocks || ') x' into n using g.group_id;
		return query execute here || ' and m.seq = $2' || case when n = g.messages then in_blocks else '' end
			using g.group_id, p_seq;
	end loop;
end $$;

-- name: views

create or replace view mqaudit.verdict as
select r.run_id, r.name, coalesce(j.verdict, 'open') as verdict, r.promise, j.fenced, j.reasons,
       r.started, r.ended, r.destination, j.judgement
from mqaudit.run r
left join lateral (select * from mqaudit.judgement j where j.run_id = r.run_id and j.ended is not null
                   order by judgement desc limit 1) j on true;
comment on view mqaudit.verdict is 'each run and its latest verdict';

-- The findings that count: of the latest judgement, or of the live tracker while there is none.
create or replace view mqaudit.current_finding as
select f.*
from mqaudit.finding f
left join lateral (select max(judgement) as judgement from mqaudit.judgement j
                   where j.run_id = f.run_id and j.ended is not null) j on true
where f.withdrawn is null and f.judgement is not distinct from j.judgement;

create or replace view mqaudit.loss_by_stage as
select r.name as run, f.run_id, f.stage, f.kind, sum(f.count) as messages, count(*) as ranges,
       min(f.first_time) as first_time, max(f.last_time) as last_time
from mqaudit.current_finding f join mqaudit.run r using (run_id)
where f.kind in ('lost', 'stuck', 'expired', 'unread', 'unacknowledged')
group by 1, 2, 3, 4;

create or replace view mqaudit.missing as
select r.name as run, f.run_id, f.producer_id, f.epoch, f.partition, f.lo, f.hi, f.count as messages,
       f.kind, f.stage, f.why, f.first_time, f.last_time
from mqaudit.current_finding f join mqaudit.run r using (run_id)
where f.kind in ('lost', 'stuck', 'expired', 'unread', 'unacknowledged');

create or replace view mqaudit.duplicates as
select r.name as run, f.run_id, f.producer_id, f.epoch, f.partition, f.lo, f.hi, f.count as copies,
       f.kind, f.stage, f.why, f.positions, f.first_time, f.last_time
from mqaudit.current_finding f join mqaudit.run r using (run_id)
where f.kind in ('duplicated', 'redelivered');

-- Samples become coarser with age, so that a run of weeks has some thousand of them: one a second for ten
-- minutes, one a minute for six hours, one every ten minutes for three days, then one an hour. Counts are
-- added up, of the 99th percentiles and the longest the largest is kept, and the median is the mean of
-- medians, weighted. Returns how many rows went.
create or replace function mqaudit.fold_samples(p_run int8) returns int8
language sql as $$
	with aged as (
		select ctid as id, s.*, acked + read as weight,
		       case when at < now() - interval '3 days' then date_bin('1 hour', at, 'epoch')
		            when at < now() - interval '6 hours' then date_bin('10 minutes', at, 'epoch')
		            else date_bin('1 minute', at, 'epoch') end as slot
		from mqaudit.sample s where run_id = p_run and at < now() - interval '10 minutes'
	), merged as (
		select run_id, source, max(at) as at, sum(seconds) as seconds, sum(sent)::int8 as sent,
		       sum(acked)::int8 as acked, sum(failed)::int8 as failed, sum(read)::int8 as read,
		       (sum(p50_ns * weight) filter (where p50_ns is not null)
		        / nullif(sum(weight) filter (where p50_ns is not null), 0))::int8 as p50_ns,
		       max(p99_ns) as p99_ns, max(max_ns) as max_ns, max(lag_ms) as lag_ms, array_agg(id) as ids
		from aged group by run_id, source, slot having count(*) > 1
	), gone as (
		delete from mqaudit.sample where ctid in (select unnest(ids) from merged) returning 1
	), kept as (
		insert into mqaudit.sample (run_id, source, at, seconds, sent, acked, failed, read, p50_ns, p99_ns,
		                            max_ns, lag_ms)
		select run_id, source, at, seconds, sent, acked, failed, read, p50_ns, p99_ns, max_ns, lag_ms
		from merged returning 1
	)
	select (select count(*) from gone) - (select count(*) from kept)
$$;

create or replace view mqaudit.throughput as
select r.name as run, s.run_id, s.source, s.at,
       round((s.sent / nullif(s.seconds, 0))::numeric, 1) as sent_per_s,
       round((s.acked / nullif(s.seconds, 0))::numeric, 1) as acked_per_s,
       round((s.failed / nullif(s.seconds, 0))::numeric, 1) as failed_per_s,
       round((s.read / nullif(s.seconds, 0))::numeric, 1) as read_per_s
from mqaudit.sample s join mqaudit.run r using (run_id);

-- Each message that was read, where checks ran with --record=messages, by every reading: superseded names the
-- generation that made it history (null: it counts).
create or replace view mqaudit.readings as
select r.name as run, g.run_id, g.side, g.isolation, g.partition, m."offset", g.generation,
       case when g.generation < p.generation then (
	select min(h.generation) from mqaudit.generation h
	where h.run_id = g.run_id and h.side = g.side and h.isolation = g.isolation and h.partition = g.partition
	  and h.generation > g.generation and m."offset" >= h.history_from and m."offset" < h.history_to)
       end as superseded,
       g.producer_id || '.' || g.epoch || '.' || g.lane || '.' || m.seq as identity,
       g.producer_id, g.epoch, g.nonce, g.lane, m.seq, g.attempt,
       timestamptz 'epoch' + m.sent_ns / 1000 * interval '1 us' as sent_at,
       timestamptz 'epoch' + m.received_ns / 1000 * interval '1 us' as received_at,
       round((m.received_ns::numeric - m.sent_ns) / 1000000, 3) as latency_ms, m.size,
       exists (select from mqaudit.witness_corrupted c
	       where c.run_id = g.run_id and c.side = g.side and c.isolation = g.isolation and c.partition = g.partition
	         and c.generation = g.generation and c."offset" = m."offset" and c.producer_id is not null) as damaged
from mqaudit.message m
join mqaudit.message_group g using (group_id)
join mqaudit.run r using (run_id)
join mqaudit.witness_position p on p.run_id = g.run_id and p.side = g.side and p.isolation = g.isolation
     and p.partition = g.partition;

-- What of it is in the log as the judge counts it (with transactions: what a reader of committed messages gets).
create or replace view mqaudit.messages as
select m.run, m.run_id, m.side, m.partition, m."offset", m.generation, m.identity, m.producer_id, m.epoch, m.nonce,
       m.lane, m.seq, m.attempt, m.sent_at, m.received_at, m.latency_ms, m.size, m.damaged
from mqaudit.readings m join mqaudit.run r using (run_id)
where m.superseded is null
  and m.isolation = case when r.transactional and m.side = 'source' then 'committed'
                         else 'uncommitted' end::mqaudit.isolation_kind;

create or replace view mqaudit.latency as
select r.name as run, s.run_id, s.source, s.at, round(s.p50_ns / 1e6, 3) as p50_ms,
       round(s.p99_ns / 1e6, 3) as p99_ms, round(s.max_ns / 1e6, 3) as max_ms
from mqaudit.sample s join mqaudit.run r using (run_id)
where s.p50_ns is not null;
