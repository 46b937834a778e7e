-- The final judge: from evidence to findings, in set arithmetic. Everything is computed from what is in
-- the ledger now; nothing is remembered from before. design: "On the log", "Across a relay".

-- name: judge

-- What a run's lanes intended and heard, as sets. Best outcome of all attempts: acked, else unknown,
-- else unconfirmed, else refused.
create or replace function mqaudit.judge_lanes(p_run int8) returns table (
	producer_id int8, epoch int8, partition int8, nonce int8, journal_state text, ended bool,
	lease int8, intended_hi int8, intended int8multirange, acked int8multirange,
	unknown int8multirange, unconfirmed int8multirange, refused int8multirange,
	silent int8multirange)
language sql stable as $$
	with o as (
		select producer_id, epoch, partition,
		       coalesce(range_agg(int8range(lo, hi, '[]')) filter (where outcome = 'acked'), '{}') as acked,
		       coalesce(range_agg(int8range(lo, hi, '[]')) filter (where outcome = 'unknown'), '{}') as unknown,
		       coalesce(range_agg(int8range(lo, hi, '[]')) filter (where outcome = 'unconfirmed'), '{}') as unconfirmed,
		       coalesce(range_agg(int8range(lo, hi, '[]')) filter (where outcome = 'refused'), '{}') as refused
		from mqaudit.outcome where run_id = p_run group by 1, 2, 3
	), l as (
		select g.producer_id, g.epoch, g.partition, p.nonce, p.journal_state, p.ended is not null as ended,
		       g.hi as lease,
		       coalesce((select max(i.hi) from mqaudit.intent i
		                 where i.run_id = p_run and i.producer_id = g.producer_id and i.epoch = g.epoch
		                   and i.partition = g.partition), 0) as intended_hi
		from mqaudit.lease g
		join mqaudit.producer p using (run_id, producer_id, epoch)
		where g.run_id = p_run
	), s as (
		select l.*,
		       case when l.intended_hi > 0 then mqaudit.span(1, l.intended_hi) else '{}'::int8multirange end as intended,
		       coalesce(o.acked, '{}') as acked,
		       coalesce(o.unknown, '{}') - coalesce(o.acked, '{}') as unknown,
		       coalesce(o.unconfirmed, '{}') - coalesce(o.acked, '{}') - coalesce(o.unknown, '{}') as unconfirmed,
		       coalesce(o.refused, '{}') - coalesce(o.acked, '{}') - coalesce(o.unknown, '{}')
		         - coalesce(o.unconfirmed, '{}') as refused
		from l left join o using (producer_id, epoch, partition)
	)
	select producer_id, epoch, partition, nonce, journal_state, ended, lease, intended_hi, intended,
	       acked, unknown, unconfirmed, refused,
	       intended - acked - unknown - unconfirmed - refused
	from s
$$;

-- p_complete: everything up to the fence was read. Without it only what is proved gone is lost (cut from
-- the log after it was seen, or its offset acked again); the rest is pending. p_behind: all that is behind a
-- relay was read as well; without it nothing is lost there.
create or replace function mqaudit.judge(p_run int8, p_judgement int4, p_complete bool, p_behind bool) returns void
language plpgsql as $$
declare
	v_transactional bool;
	v_target bool;
	v_compact bool;
	v_keys text;
	-- sides that are queues: what they give has no positions but the numbers of its deliveries
	v_queues mqaudit.side_kind[];
	v_removal mqaudit.removal;
	v_unread bool;
	v_routed bool;
begin
	select transactional, target is not null, keys into strict v_transactional, v_target, v_keys
	from mqaudit.run where run_id = p_run;
	v_unread := mqaudit.source_reads(p_run) = 'nothing';
	v_routed := mqaudit.source_reads(p_run) = 'routed-stream' and not v_target;
	v_target := v_target or v_routed;
	v_compact := exists (select from mqaudit.setting where run_id = p_run and scope = 'topic'
	                     and name = 'cleanup.policy' and value like '%compact%');

	v_queues := array(select case scope when 'target' then 'target' else 'source' end::mqaudit.side_kind
	                  from mqaudit.setting where run_id = p_run and scope in ('source', 'target')
	                  and name = 'reads' and value = 'queue');

	-- nobody knew anything of removals: nothing of it is exact
	select * into v_removal from mqaudit.removal where run_id = p_run and judgement = p_judgement;

	drop table if exists j_lane, j_dead, j_dead_part, j_outcome, j_row, j_sum, j_phantom, j_multi, j_seen, j_part, j_damage, j_find, j_start, j_offset;

	-- how far a lane's seqs are known to have been intended: a closed, shipped journal's last intent (journal gone:
	-- the lease)
	create temp table j_lane on commit drop as
	select l.*, case when journal_state = 'complete' then intended_hi
	                 when journal_state in ('incomplete', 'gone') then greatest(lease, intended_hi)
	                 else 9223372036854775806 end as bound
	from mqaudit.judge_lanes(p_run) l;

	-- what is in the queue's dead-letter queue; a start that there never was, or a seq that was not intended, is
	-- no copy of anything
	create temp table j_dead on commit drop as
	select d.producer_id, d.epoch, d.lane as partition, d.attempt, d.lo, least(d.hi, l.bound) as hi,
	       int8range(d.lo, least(d.hi, l.bound), '[]') as range, d.queue, d.reason
	from mqaudit.dead_letter d
	join j_lane l on l.producer_id = d.producer_id and l.epoch = d.epoch and l.partition = d.lane
	              and l.nonce = d.nonce
	where d.run_id = p_run and d.lo <= l.bound and 'source' = any (v_queues);

	-- outcomes, to be found by seqs of a lane and by the exact places where they were acked
	create temp table j_outcome on commit drop as
	select o.*, mqaudit.lane_box(o.producer_id, o.epoch, o.partition, o.lo, o.hi) as seqs,
	       case when o.outcome = 'acked' and o.last_offset - o.first_offset = o.hi - o.lo
	            then mqaudit.flat_box(o.partition, o.first_offset, o.last_offset) end as places
	from mqaudit.outcome o where o.run_id = p_run;
	create index on j_outcome using gist (seqs);
	create index on j_outcome using gist (places);
	analyze j_outcome;

	-- ---------------------------------------------------------------------------------------
	-- rows that count, with the rank of each in its lane's log order; phantoms apart

	create temp table j_row on commit drop as
	select w.side, w.isolation, w.partition as read_partition, w.producer_id, w.epoch, w.lane as partition,
	       w.nonce, w.attempt, w.lo, w.hi, w.hi as row_hi, w.first_offset, w.last_offset,
	       -- a range keeps its first and last position; each between only if nothing else lies there
	       w.last_offset - w.first_offset = w.hi - w.lo as exact,
	       case when l.producer_id is null or l.nonce <> w.nonce then 0 else l.bound end as bound,
	       row_number() over (partition by w.side, w.isolation, w.producer_id, w.epoch, w.lane
	                          order by w.partition, w.first_offset) as ord
	from mqaudit.witness w
	left join j_lane l on l.producer_id = w.producer_id and l.epoch = w.epoch and l.partition = w.lane
	where w.run_id = p_run and w.superseded is null;

	-- positions by log, before anything is taken out of it: what the counts must come to
	create temp table j_sum on commit drop as
	select side, isolation, sum(hi - lo + 1)::int8 as positions from j_row group by 1, 2;

	create temp table j_find (
		kind text, stage text, producer_id int8, epoch int8, partition int8,
		lo int8, hi int8, count int8, why text) on commit drop;

	-- with transactions, what was not committed is no copy of anything
	create temp table j_phantom on commit drop as
	select side, read_partition, producer_id, epoch, partition, nonce, greatest(lo, bound + 1) as lo, hi,
	       lo as row_lo, row_hi, first_offset, last_offset, exact,
	       case when bound = 0 then 'no such start of this producer' else 'never intended: above the last intent' end as why
	from j_row
	where hi > bound and isolation = case when v_transactional and side = 'source' then 'committed'
	                                      else 'uncommitted' end::mqaudit.isolation_kind;

	insert into j_find
	select 'phantom', 'broker', producer_id, epoch, partition, lo, hi, hi - lo + 1, why
	from j_phantom where side = 'source';
	-- what the source had already is not the relay's
	insert into j_find
	select 'phantom', 'relay', p.producer_id, p.epoch, p.partition, lower(r), upper(r) - 1, upper(r) - lower(r), p.why
	from j_phantom p
	cross join lateral unnest(mqaudit.span(p.lo, p.hi) - coalesce((
		select range_agg(int8range(a.lo, a.hi, '[]')) from j_phantom a
		where a.side = 'source' and a.producer_id = p.producer_id and a.epoch = p.epoch
		  and a.partition = p.partition), '{}')) r
	where p.side = 'target';

	delete from j_row where lo > bound;
	update j_row set hi = bound where hi > bound;

	-- committed reading alone says what is a copy, where there are transactions
	create temp table j_seen on commit drop as
	select side, producer_id, epoch, partition, range_agg(int8range(lo, hi, '[]')) as present,
	       sum(hi - lo + 1)::int8 as positions
	from j_row
	where isolation = case when v_transactional and side = 'source' then 'committed'
	                       else 'uncommitted' end::mqaudit.isolation_kind
	group by 1, 2, 3, 4;

	-- ---------------------------------------------------------------------------------------
	-- repeats and order: only lanes that hold some are looked into

	create temp table j_multi on commit drop as
	select r.*, int8range(r.lo, r.hi, '[]') as range,
	       mqaudit.lane_box(r.producer_id, r.epoch, r.partition, r.lo, r.hi) as seqs,
	       max(r.hi) over (partition by r.side, r.producer_id, r.epoch, r.partition, r.read_partition
	                       order by r.ord rows between unbounded preceding and 1 preceding) as before_hi
	from j_row r
	where r.isolation = case when v_transactional and r.side = 'source' then 'committed'
	                         else 'uncommitted' end::mqaudit.isolation_kind
	  and (r.side, r.producer_id, r.epoch, r.partition) in (
		select side, producer_id, epoch, partition from j_row
		group by 1, 2, 3, 4 having count(*) > 1);
	create index on j_multi using gist (seqs);
	analyze j_multi;

	-- of each row: what of it was seen in earlier rows of its lane (repeated), and what came first here
	-- although something higher had come before (reordered)
	create temp table j_part on commit drop as
	with touched as (
		select m.side, m.producer_id, m.epoch, m.partition, m.read_partition, m.ord, m.lo, m.hi,
		       m.before_hi, m.range, coalesce(e.earlier, '{}') as earlier, coalesce(e.other, '{}') as other,
		       case when m.side = any (v_queues) then coalesce(e.same, '{}')
		            else '{}'::int8multirange end as same
		from j_multi m
		left join lateral (
			-- a queue gives the same attempt again; another attempt is another copy
			select range_agg(x.range) as earlier,
			       range_agg(x.range) filter (where x.attempt <> m.attempt) as other,
			       range_agg(x.range) filter (where x.attempt = m.attempt) as same
			from j_multi x
			where x.seqs && m.seqs and x.range && m.range and x.ord < m.ord and x.side = m.side
			  and x.producer_id = m.producer_id and x.epoch = m.epoch and x.partition = m.partition
		) e on true
		where m.ord > 1
	)
	select side, producer_id, epoch, partition, int8multirange(range) * earlier - same as repeated,
	       int8multirange(range) * other - same as republished,
	       int8multirange(range) * same as redelivered,
	       case when before_hi is null or before_hi <= lo then '{}'::int8multirange
	            else mqaudit.span(lo, least(hi, before_hi - 1)) - earlier end as reordered
	from touched;

	insert into j_find
	select 'duplicated', 'produce', producer_id, epoch, partition, lower(u), upper(u) - 1, upper(u) - lower(u), why
	from (select *, repeated - republished as seqs, '' as why from j_part
	      union all
	      select *, republished, 'published again: another attempt of the same message' from j_part) p
	-- of what was routed twice the queue may have refused one: a repeat is what it gave more than once
	left join (select producer_id, epoch, partition, range_agg(u) as given
	           from j_part, unnest(repeated + redelivered) u where side = 'target' group by 1, 2, 3) g
	     using (producer_id, epoch, partition)
	cross join lateral unnest(case when v_routed then seqs * coalesce(given, '{}') else seqs end) u
	where side = 'source';

	insert into j_find
	select 'redelivered', 'consume', producer_id, epoch, partition, lower(r), upper(r) - 1, upper(r) - lower(r),
	       'the queue gave it again'
	from (select p.producer_id, p.epoch, p.partition,
	             -- what was routed twice is not given again
	             range_agg(u) - case when v_routed then coalesce((select range_agg(v) from j_part a, unnest(a.repeated) v
	                where a.side = 'source' and a.producer_id = p.producer_id and a.epoch = p.epoch
	                  and a.partition = p.partition), '{}') else '{}' end as seqs
	      from j_part p, unnest(p.redelivered) u
	      where p.side = case when v_routed then 'target' else 'source' end::mqaudit.side_kind
	      group by 1, 2, 3) s, unnest(s.seqs) r;

	-- the same attempt in the queue and in its dead-letter queue is one message, given twice; another is another copy
	create temp table j_dead_part on commit drop as
	with d as (
		select producer_id, epoch, partition, attempt, range_agg(range) as seqs from j_dead group by 1, 2, 3, 4
	), given as (
		select producer_id, epoch, partition, attempt, range_agg(int8range(lo, hi, '[]')) as seqs
		from j_row where side = 'source' and isolation = 'uncommitted' and exists (select from j_dead)
		group by 1, 2, 3, 4
	), before as (
		select d.producer_id, d.epoch, d.partition, d.attempt, range_agg(u) as seqs
		from d join d x on x.producer_id = d.producer_id and x.epoch = d.epoch and x.partition = d.partition
		     and x.attempt < d.attempt, unnest(x.seqs) u
		group by 1, 2, 3, 4
	)
	select d.producer_id, d.epoch, d.partition, d.seqs * coalesce(g.seqs, '{}') as redelivered,
	       d.seqs * (coalesce(s.present, '{}') + coalesce(b.seqs, '{}')) - coalesce(g.seqs, '{}') as repeated
	from d
	left join j_seen s on s.side = 'source' and s.producer_id = d.producer_id and s.epoch = d.epoch
	                  and s.partition = d.partition
	left join given g on g.producer_id = d.producer_id and g.epoch = d.epoch and g.partition = d.partition
	                 and g.attempt = d.attempt
	left join before b on b.producer_id = d.producer_id and b.epoch = d.epoch and b.partition = d.partition
	                  and b.attempt = d.attempt;

	insert into j_find
	select 'duplicated', 'produce', producer_id, epoch, partition, lower(u), upper(u) - 1, upper(u) - lower(u),
	       'another attempt is in the dead-letter queue'
	from j_dead_part, unnest(repeated) u;

	insert into j_find
	select 'redelivered', 'consume', producer_id, epoch, partition, lower(r), upper(r) - 1, upper(r) - lower(r),
	       'the queue gave it, and then gave it to its dead-letter queue'
	from (select d.producer_id, d.epoch, d.partition,
	             range_agg(u) - coalesce((select range_agg(v) from j_part p, unnest(p.redelivered) v
	                where p.side = 'source' and p.producer_id = d.producer_id and p.epoch = d.epoch
	                  and p.partition = d.partition), '{}') as seqs
	      from j_dead_part d, unnest(d.redelivered) u group by 1, 2, 3) s, unnest(s.seqs) r;

	insert into j_find
	select 'reordered', 'produce', producer_id, epoch, partition, lower(r), upper(r) - 1, upper(r) - lower(r), ''
	from (select producer_id, epoch, partition, range_agg(u) as seqs
	      from j_part, unnest(reordered) u where side = 'source' group by 1, 2, 3) s, unnest(s.seqs) r;

	-- ---------------------------------------------------------------------------------------
	-- damage

	create temp table j_damage on commit drop as
	select c.side, c.partition as read_partition, c."offset", c.producer_id, c.epoch, c.lane as partition, c.seq,
	       c.nonce, c.what
	from mqaudit.witness_corrupted c
	where c.run_id = p_run and c.superseded is null and c.isolation = 'uncommitted';

	-- a damaged header (or what looks foreign) is named when it lies at the acked offset of a message
	-- that is otherwise absent: of several the last, by producer, epoch and seq
	update j_damage d set producer_id = n.producer_id, epoch = n.epoch, partition = n.partition,
	       seq = n.seq, nonce = n.nonce, what = case d.what when 'foreign' then 'header' else d.what end
	from (
		select distinct on (d.read_partition, d."offset") d.read_partition, d."offset",
		       o.producer_id, o.epoch, o.partition, o.lo + (d."offset" - o.first_offset) as seq, l.nonce
		from j_damage d
		join j_outcome o on o.places && mqaudit.flat_box(d.read_partition, d."offset", d."offset")
		     and o.partition = d.read_partition and d."offset" between o.first_offset and o.last_offset
		join j_lane l on l.producer_id = o.producer_id and l.epoch = o.epoch and l.partition = o.partition
		left join j_seen s on s.side = 'source' and s.producer_id = o.producer_id and s.epoch = o.epoch
		                  and s.partition = o.partition
		where d.producer_id is null and d.side = 'source'
		  and not coalesce(s.present, '{}') @> (o.lo + (d."offset" - o.first_offset))
		order by 1, 2, 3 desc, 4 desc, 6 desc) n
	where d.producer_id is null and d.side = 'source' and d.read_partition = n.read_partition
	  and d."offset" = n."offset";
	delete from j_damage where what = 'foreign';

	-- ---------------------------------------------------------------------------------------
	-- where the log began at the end, and what was seen before and is gone

	create temp table j_start on commit drop as
	select w.partition, max(w.log_start) as log_start, min(p.start_offset) as run_start,
	       -- what stands from the first fence on came after the run
	       least(max(w.next_offset), (select min(f."offset") from mqaudit.fence f where f.run_id = p_run
	                                  and f.side = 'source' and f.partition = w.partition)) as read_to
	from mqaudit.witness_position w join mqaudit.run_partition p using (run_id, side, partition)
	where w.run_id = p_run and w.side = 'source' and w.isolation = 'uncommitted'
	group by 1;

	create temp table j_offset on commit drop as
	with gone as (
		select w.producer_id, w.epoch, w.lane as partition,
		       range_agg(int8range(w.lo, w.hi, '[]')) filter (where g.cause = 'sweep') as swept,
		       range_agg(int8range(w.lo, w.hi, '[]')) filter (where g.cause = 'cut') as cut
		from mqaudit.witness w
		join mqaudit.generation g on g.run_id = w.run_id and g.side = w.side and g.isolation = w.isolation
		     and g.partition = w.partition and g.generation = w.superseded
		where w.run_id = p_run and w.side = 'source'
		  and w.isolation = case when v_transactional then 'committed'
		                         else 'uncommitted' end::mqaudit.isolation_kind
		group by 1, 2, 3
	), damaged as (
		select producer_id, epoch, partition, range_agg(int8range(seq, seq, '[]')) as damaged
		from j_damage where side = case when v_unread then 'target' else 'source' end::mqaudit.side_kind
		  and producer_id is not null group by 1, 2, 3
	), dead as (
		select producer_id, epoch, partition, range_agg(range) as dead from j_dead group by 1, 2, 3
	), s as materialized (
		-- What is there, as far as it must be in what is behind the source as well. A queue that was not read is
		-- taken to have had what was acked. Of what was routed the queue owes what was promised; for the rest it
		-- is what the queue gave that is there.
		select l.producer_id, l.epoch, l.partition,
		       case when v_unread then l.acked + coalesce(b.present, '{}')
		            when v_routed then coalesce(a.present, '{}') * (l.acked + l.unconfirmed) + coalesce(b.present, '{}')
		            else coalesce(a.present, '{}') end as present,
		       case when v_unread or v_routed then coalesce(b.present, '{}')
		            else coalesce(a.present, '{}') end as seen,
		       case when v_routed then coalesce(a.present, '{}') - coalesce(b.present, '{}')
		            else '{}' end as only_routed,
		       coalesce(a.positions, 0) as positions
		from j_lane l
		left join j_seen a on a.side = 'source' and a.producer_id = l.producer_id and a.epoch = l.epoch
		                  and a.partition = l.partition
		left join j_seen b on b.side = 'target' and b.producer_id = l.producer_id and b.epoch = l.epoch
		                  and b.partition = l.partition
	), absent as materialized (
		-- once: each of these sets may have very many ranges
		select l.*, s.present, s.seen, s.only_routed, coalesce(g.swept, '{}') as swept,
		       coalesce(g.cut, '{}') as cut, coalesce(d.damaged, '{}') as damaged,
		       coalesce(st.log_start, 0) as log_start, coalesce(st.run_start, 0) as run_start,
		       coalesce(st.read_to, 9223372036854775806) as read_to,
		       coalesce(x.dead, '{}') as dead,
		       l.acked - s.present - coalesce(d.damaged, '{}') - coalesce(x.dead, '{}') as acked_absent,
		       l.unconfirmed - s.present - coalesce(d.damaged, '{}') - coalesce(x.dead, '{}') as unconfirmed_absent,
		       (l.acked + l.unconfirmed) * coalesce(x.dead, '{}') - s.present - coalesce(d.damaged, '{}') as removed,
		       s.positions
		from j_lane l
		join s using (producer_id, epoch, partition)
		left join gone g on g.producer_id = l.producer_id and g.epoch = l.epoch and g.partition = l.partition
		left join damaged d on d.producer_id = l.producer_id and d.epoch = l.epoch and d.partition = l.partition
		left join dead x on x.producer_id = l.producer_id and x.epoch = l.epoch and x.partition = l.partition
		left join j_start st on st.partition = l.partition
	)
	select a.*,
	       -- acked at an offset that another acked message has too: a truncation, whoever reads
	       coalesce((
		select range_agg(int8range(o.lo + (greatest(o.first_offset, x.first_offset) - o.first_offset),
		                           o.lo + (least(o.last_offset, x.last_offset) - o.first_offset), '[]'))
		from j_outcome o
		join j_outcome x on x.places && o.places and x.partition = o.partition
		     and x.first_offset <= o.last_offset and x.last_offset >= o.first_offset
		     and (x.producer_id, x.epoch, x.lo) <> (o.producer_id, o.epoch, o.lo)
		where o.producer_id = a.producer_id and o.epoch = a.epoch
		  and o.partition = a.partition and o.places is not null
		  and int8range(o.lo, o.hi, '[]') && a.acked_absent), '{}') as twice,
	       -- acked below the log's present start: whether it was ever there cannot be told by reading
	       coalesce((
		select range_agg(int8range(o.lo, case when o.last_offset < a.log_start then o.hi
		                                      else o.lo + (a.log_start - 1 - o.first_offset) end, '[]'))
		from mqaudit.outcome o
		where o.run_id = p_run and o.producer_id = a.producer_id and o.epoch = a.epoch
		  and o.partition = a.partition and o.outcome = 'acked' and o.first_offset < a.log_start
		  and (o.last_offset < a.log_start or o.last_offset - o.first_offset = o.hi - o.lo)
		  and int8range(o.lo, o.hi, '[]') && a.acked_absent), '{}') as below,
	       -- acked behind where the log ends now
	       coalesce((
		select range_agg(int8range(greatest(o.lo, o.lo + (a.read_to - o.first_offset)), o.hi, '[]'))
		from mqaudit.outcome o
		where o.run_id = p_run and o.producer_id = a.producer_id and o.epoch = a.epoch
		  and o.partition = a.partition and o.outcome = 'acked' and o.last_offset >= a.read_to
		  and o.last_offset - o.first_offset = o.hi - o.lo
		  and int8range(o.lo, o.hi, '[]') && a.acked_absent), '{}') as beyond,
	       -- acked without an offset
	       coalesce((
		select range_agg(int8range(o.lo, o.hi, '[]')) from mqaudit.outcome o
		where o.run_id = p_run and o.producer_id = a.producer_id and o.epoch = a.epoch
		  and o.partition = a.partition and o.outcome = 'acked' and o.first_offset is null), '{}') as unplaced
	from absent a;

	-- not given by the queue, but to its dead-letter queue: of several reasons the first
	insert into j_find
	with r as (
		select producer_id, epoch, partition, queue, reason, range_agg(range) as seqs,
		       row_number() over (partition by producer_id, epoch, partition order by reason, queue) as n
		from j_dead group by 1, 2, 3, 4, 5
	)
	select 'expired', 'broker', producer_id, epoch, partition, lower(u), upper(u) - 1, upper(u) - lower(u),
	       'removed by policy (' || r.reason || '): it is in dead-letter queue ''' || r.queue || ''''
	from r join j_offset o using (producer_id, epoch, partition)
	cross join lateral unnest(o.removed * r.seqs - coalesce((
		select range_agg(v) from r b, unnest(b.seqs) v
		where b.producer_id = r.producer_id and b.epoch = r.epoch and b.partition = r.partition and b.n < r.n), '{}')) u;

	-- acked and absent: expired, unread, or lost
	insert into j_find
	with c as (
		select producer_id, epoch, partition, acked_absent, cut - swept as was_cut, twice, beyond,
		       acked_absent * swept as expired,
		       (acked_absent - swept - cut - twice)
		         * case when v_compact then acked_absent
		                when log_start > run_start then below + unplaced
		                else '{}'::int8multirange end as unread
		from j_offset where not isempty(acked_absent)
	), named as (
		select producer_id, epoch, partition, 'expired' as kind, expired as seqs, 'read before; removed by retention, deletion or compaction since' as why from c
		union all
		select producer_id, epoch, partition, 'unread', unread,
		       case when v_compact then 'not there, and it was never read: compaction may have removed it'
		            else 'its position was removed before it was read' end from c
		union all
		select producer_id, epoch, partition, 'lost', (acked_absent - expired - unread) * was_cut,
		       'truncated: seen earlier, gone now' from c
		union all
		select producer_id, epoch, partition, 'lost', ((acked_absent - expired - unread) - was_cut) * twice,
		       'truncated: its offset was acked twice' from c
		union all
		select producer_id, epoch, partition, 'lost',
		       ((acked_absent - expired - unread) - was_cut - twice) * beyond,
		       'truncated: the log ends before its offset now' from c
		union all
		select producer_id, epoch, partition, 'lost', (acked_absent - expired - unread) - was_cut - twice - beyond,
		       'never seen' from c
	)
	select kind, 'broker', producer_id, epoch, partition, lower(r), upper(r) - 1, upper(r) - lower(r),
	       case when v_routed and why = 'never seen' then 'never routed: not in the routed stream either' else why end
	from named, unnest(seqs) r;

	-- unconfirmed and absent
	insert into j_find
	with c as (
		select producer_id, epoch, partition, unconfirmed_absent, unconfirmed_absent * swept as expired,
		       case when v_compact or log_start > run_start then unconfirmed_absent - swept - cut
		            else '{}'::int8multirange end as unread, cut - swept as was_cut
		from j_offset where not isempty(unconfirmed_absent)
	), named as (
		select producer_id, epoch, partition, 'expired' as kind, 'broker' as stage, expired as seqs,
		       'read before; removed by retention, deletion or compaction since' as why from c
		union all
		select producer_id, epoch, partition, 'unread', 'broker', unread,
		       'part of the log was removed before it was read' from c
		union all
		select producer_id, epoch, partition, 'lost', 'produce', (unconfirmed_absent - expired - unread) * was_cut,
		       'seen earlier, gone now; no broker had confirmed it' from c
		union all
		select producer_id, epoch, partition, 'lost', 'produce', unconfirmed_absent - expired - unread - was_cut,
		       'no broker had confirmed it' from c
	)
	select kind, stage, producer_id, epoch, partition, lower(r), upper(r) - 1, upper(r) - lower(r), why
	from named, unnest(seqs) r;

	-- never promised and not there
	insert into j_find
	select 'unacknowledged', 'produce', producer_id, epoch, partition, lower(r), upper(r) - 1, upper(r) - lower(r), why
	from (
		select producer_id, epoch, partition, (unknown - present - damaged - dead) * only_routed as seqs,
		       'nobody could say; it was routed, and the queue has not given it' as why
		from j_offset
		union all
		select producer_id, epoch, partition, unknown - present - damaged - dead - only_routed,
		       case when log_start > run_start then 'nobody can say, and the log''s beginning is gone'
		            else 'nobody could say; it is not there' end as why
		from j_offset
		union all
		select producer_id, epoch, partition,
		       case when ended and journal_state = 'complete' then silent - present - damaged - dead
		            else '{}'::int8multirange end,
		       'no answer came before the producer ended; it is not there'
		from j_offset
	) s, unnest(seqs) r;

	-- refused: as told, or falsely
	insert into j_find
	select 'refused', 'produce', producer_id, epoch, partition, lower(r), upper(r) - 1, upper(r) - lower(r), ''
	from (select producer_id, epoch, partition, refused - present - damaged - dead as seqs from j_offset) s, unnest(seqs) r;
	insert into j_find
	select 'false-refusal', 'produce', s.producer_id, s.epoch, s.partition, lower(r), upper(r) - 1, upper(r) - lower(r),
	       'told no, yet stored'
	from (select o.producer_id, o.epoch, o.partition,
	             o.refused * (o.present + o.dead) - coalesce((select range_agg(u)
	                from (select producer_id, epoch, partition, repeated from j_part where side = 'source'
	                      union all select producer_id, epoch, partition, repeated from j_dead_part) p,
	                     unnest(p.repeated) u
	                where p.producer_id = o.producer_id and p.epoch = o.epoch
	                  and p.partition = o.partition), '{}') as seqs
	      from j_offset o) s, unnest(seqs) r;

	-- corrupted; named and not also lost
	insert into j_find
	select 'corrupted', 'broker', producer_id, epoch, partition, seq, seq, count(*),
	       'the ' || min(what) || ' is damaged'
	from j_damage where side = 'source' and producer_id is not null group by 3, 4, 5, 6;
	insert into j_find
	select 'corrupted', 'broker', 0, 0, read_partition, 0, 0, count(*), 'unnamed: the header is damaged'
	from j_damage where side = 'source' and producer_id is null group by 5;

	insert into j_find
	select 'inconsistent', case side when 'source' then 'broker' else 'relay' end, 0, 0, partition, 0, 0,
	       count(distinct "offset"), 'read twice, two contents, and nothing hinted at a cut between'
	from mqaudit.witness_inconsistent where run_id = p_run group by side, partition;

	if v_target then
		perform mqaudit.judge_relay(p_run, p_judgement);
	end if;

	if not p_behind then
		update j_find set kind = 'pending' where kind = 'lost' and stage = 'relay';
	end if;
	if not p_complete then
		update j_find set kind = 'pending'
		where kind = 'unacknowledged'
		   or (kind = 'lost' and (stage = 'relay' or why like 'never routed%'
		       or why in ('never seen', 'no broker had confirmed it',
		           'truncated: the log ends before its offset now')));
	end if;
	if 'source' = any (v_queues) and p_complete then
		perform mqaudit.judge_removals(v_removal);
	end if;
	-- the queue is the broker's, not a relay's; another attempt that it gives was published again
	if v_routed then
		update j_find set stage = case kind when 'duplicated' then 'produce' else 'broker' end where stage = 'relay';
	end if;
	perform mqaudit.judge_store(p_run, p_judgement, v_transactional);
end $$;

-- name: judge_removals

-- What a queue did not give, by what the nodes say of removals. Their counts name nobody: they tell only where they
-- are exact, and account for all that is missing.
create or replace function mqaudit.judge_removals(p_removal mqaudit.removal) returns void
language plpgsql as $$
declare
	v_missing int8;
	v_doubtful bool;
begin
	select coalesce(sum(count), 0) into v_missing from j_find
	where kind = 'lost' and stage in ('broker', 'produce');
	v_doubtful := exists (select from j_find where kind in ('unacknowledged', 'unread', 'pending'))
	              or exists (select from j_lane where journal_state <> 'complete');
	if coalesce(p_removal.gone, '') <> '' then
		update j_find set kind = case p_removal.gone when 'expires' then 'expired' else 'unread' end, stage = 'broker',
		       why = case p_removal.gone when 'expires' then 'the queue is gone: nobody used it for longer than x-expires'
		             else 'the queue is gone (404), with what was in it' end
		where kind = 'lost' and stage in ('broker', 'produce');
		return;
	end if;
	if coalesce(p_removal.exact, false) and not v_doubtful and v_missing > 0 then
		if p_removal.removed = v_missing and p_removal.unroutable = 0 then
			update j_find set kind = 'expired', stage = 'broker',
			       why = 'removed by policy (' || p_removal.how || '): the nodes counted as many as are missing'
			where kind = 'lost' and stage in ('broker', 'produce');
			return;
		end if;
		if p_removal.removed = 0 and p_removal.unroutable = v_missing then
			update j_find set why = 'unroutable: the nodes dropped as many that were routed to no queue'
			where kind = 'lost' and stage in ('broker', 'produce');
			return;
		end if;
	end if;
	if coalesce(p_removal.excluded, '') = '' then
		update j_find set why = why || '; policy not excluded'
		where kind = 'lost' and stage in ('broker', 'produce');
	end if;
end $$;

-- name: judge_relay

-- A is what the probe wrote to, B what the checker read behind the relay.
create or replace function mqaudit.judge_relay(p_run int8, p_judgement int4) returns void
language plpgsql as $$
declare
	v_reads text := mqaudit.source_reads(p_run);
	v_routed bool := v_reads = 'routed-stream' and (select target is null from mqaudit.run where run_id = p_run);
	-- what is known of a message that should be behind the source, and where it is missing
	v_has text := case when v_routed then 'routed, and the queue has not given it: lost in the queue'
	                   when v_reads = 'routed-stream' then 'routed, not behind the relay: lost there, or in the queue before it'
	                   when v_reads = 'nothing' then 'acked, not behind the relay: lost there, or before, in the queue that it takes from'
	                   else 'on the source''s log, not behind the relay' end;
begin
	-- what is absent in B is lost when the fence of its A partition was read in B and every lane of that
	-- A partition stayed on the fence's B partition: then all that was before it has come. Else only when
	-- the user bounded the relay
	insert into j_find
	with fenced as (
		select partition, read_partition from mqaudit.relay_fences(p_run, p_judgement)
	), strayed as (
		select distinct f.partition
		from fenced f join (
			select partition, read_partition from j_row where side = 'target'
			union all
			select d.partition, d.read_partition
			from j_damage d join j_lane l on l.producer_id = d.producer_id and l.epoch = d.epoch
			     and l.partition = d.partition
			where d.side = 'target') s using (partition)
		where s.read_partition <> f.read_partition
	), bounded as (
		select (select value from mqaudit.setting where run_id = p_run and scope = 'checker'
		        and name = 'relay-lag' and value <> '') as lag
	), damaged as (
		select producer_id, epoch, partition, range_agg(int8range(seq, seq, '[]')) as damaged
		from j_damage where side = 'target' and producer_id is not null group by 1, 2, 3
	), c as (
		select o.producer_id, o.epoch, o.partition,
		       o.present - coalesce(t.present, '{}') - coalesce(d.damaged, '{}') as absent,
		       o.partition in (select partition from fenced) as fenced,
		       o.partition in (select partition from strayed) as strayed, b.lag
		from j_offset o
		cross join bounded b
		left join j_seen t on t.side = 'target' and t.producer_id = o.producer_id and t.epoch = o.epoch
		     and t.partition = o.partition
		left join damaged d on d.producer_id = o.producer_id and d.epoch = o.epoch and d.partition = o.partition
	)
	select case when fenced and not strayed or lag is not null then 'lost' else 'pending' end, 'relay',
	       producer_id, epoch, partition, lower(r), upper(r) - 1, upper(r) - lower(r),
	       case when fenced and not strayed then v_has
	            when lag is not null then v_has || ', within ' || lag || ', which was said to be its bound (--relay-lag)'
	            when v_routed then 'routed, and the queue has not given it yet, nor the fence behind it'
	            when fenced then 'not behind the relay; its partition''s lanes are not all where their fence is, '
	                             'so it may still come'
	            else 'not behind the relay yet; its fence was not read there' end
	from c, unnest(absent) r;

	-- more copies in B than in A
	insert into j_find
	with twice_in_a as (
		select producer_id, epoch, partition, range_agg(u) as seqs
		from j_part, unnest(repeated) u where side = 'source' group by 1, 2, 3
	)
	select 'duplicated', 'relay', p.producer_id, p.epoch, p.partition, lower(u), upper(u) - 1, upper(u) - lower(u), ''
	from j_part p
	left join twice_in_a a on a.producer_id = p.producer_id and a.epoch = p.epoch and a.partition = p.partition
	cross join lateral unnest(case when p.repeated && a.seqs then p.repeated - a.seqs else p.repeated end) u
	where p.side = 'target';

	-- by the same attempt a queue's redelivery and what came through twice look alike
	insert into j_find
	select 'redelivered', 'relay', s.producer_id, s.epoch, s.partition, lower(r), upper(r) - 1, upper(r) - lower(r),
	       'the queue gave it again, or it came through the relay twice: that cannot be told'
	from (select producer_id, epoch, partition, range_agg(u) as seqs
	      from j_part, unnest(redelivered) u where side = 'target' and not v_routed group by 1, 2, 3) s, unnest(s.seqs) r;

	insert into j_find
	select 'reordered', 'relay', s.producer_id, s.epoch, s.partition, lower(r), upper(r) - 1, upper(r) - lower(r), ''
	from (select p.producer_id, p.epoch, p.partition,
	             range_agg(u) - coalesce((select range_agg(v) from j_part a, unnest(a.reordered) v
	                where a.side = 'source' and a.producer_id = p.producer_id and a.epoch = p.epoch
	                  and a.partition = p.partition), '{}') as seqs
	      from j_part p, unnest(p.reordered) u where p.side = 'target' group by 1, 2, 3) s, unnest(s.seqs) r;

	insert into j_find
	select 'corrupted', 'relay', d.producer_id, d.epoch, d.partition, d.seq, d.seq, count(*),
	       'the ' || min(d.what) || ' is damaged'
	from j_damage d
	where d.side = 'target' and d.producer_id is not null
	  and not exists (select from j_damage a where a.side = 'source' and a.producer_id = d.producer_id
	                  and a.epoch = d.epoch and a.partition = d.partition and a.seq = d.seq)
	group by 3, 4, 5, 6;
	insert into j_find
	select 'corrupted', 'relay', 0, 0, read_partition, 0, 0, count(*), 'unnamed: the header is damaged'
	from j_damage where side = 'target' and producer_id is null group by 5;
end $$;

-- name: judge_places

-- What was looked for is put into its findings: p_offset at place p_place of finding p_finding, or, where that
-- is null, it is no longer known. What was not looked for is not listed.
create or replace function mqaudit.judge_places(
	p_run int8, p_judgement int4, p_finding int8[], p_place int8[], p_offset int8[]) returns void
language sql as $$
	with looked as (
		select * from unnest(p_finding, p_place, p_offset) as u (finding_id, place, "offset")
	), listed as (
		select f.finding_id, p.place, p.value, l.finding_id is not null as looked_for, l."offset"
		from mqaudit.finding f
		cross join lateral jsonb_array_elements(f.positions) with ordinality as p (value, place)
		left join looked l on l.finding_id = f.finding_id and l.place = p.place
		where f.run_id = p_run and f.judgement = p_judgement and jsonb_path_exists(f.positions, '$[*].from')
	), done as (
		select finding_id,
		       coalesce(jsonb_agg(case when value ? 'from'
		                          then jsonb_build_object('partition', value -> 'partition', 'offset', "offset",
		                                                  'seq', value -> 'seq', 'copy', value -> 'copy')
		                          else value end order by place)
		                filter (where not value ? 'from' or "offset" is not null), '[]') as positions,
		       count(*) filter (where value ? 'from' and looked_for and "offset" is null) as forgotten,
		       count(*) filter (where value ? 'from' and not looked_for) as not_looked_for
		from listed group by 1
	)
	update mqaudit.finding f set positions = d.positions, forgotten = d.forgotten,
	       omitted = f.omitted + d.not_looked_for
	from done d where f.finding_id = d.finding_id
$$;

-- name: judge_store

-- Findings of this judgement with times and positions; counts; what the live tracker had said and is not
-- so any more is withdrawn.
create or replace function mqaudit.judge_store(p_run int8, p_judgement int4, p_transactional bool) returns void
language plpgsql as $$
begin
	create index on j_row using gist (mqaudit.lane_box(producer_id, epoch, partition, lo, hi));
	analyze j_row;
	delete from mqaudit.finding where run_id = p_run and judgement = p_judgement;

	insert into mqaudit.finding (run_id, judgement, kind, stage, producer_id, epoch, partition, lo, hi, count,
	                             why, first_time, last_time, acked_first, acked_last, positions, omitted)
	select p_run, p_judgement, f.kind, f.stage, f.producer_id, f.epoch, f.partition, f.lo, f.hi, f.count, f.why,
	       t.first_time, t.last_time, t.acked_first, t.acked_last, coalesce(x.positions, '[]'), greatest(0, coalesce(x.n, 0) - 100)
	-- what touches becomes one: an island begins where nothing before it reaches
	from (select kind, stage, producer_id, epoch, partition, why, min(lo) as lo, max(hi) as hi, sum(count) as count
	      from (select *, count(*) filter (where before is null or lo > before + 1)
	                      over (partition by kind, stage, producer_id, epoch, partition, why order by lo, hi) as island
	            from (select *, max(hi) over (partition by kind, stage, producer_id, epoch, partition, why order by lo, hi
	                                          rows between unbounded preceding and 1 preceding) as before
	                  from j_find) b) i
	      group by 1, 2, 3, 4, 5, 6, island) f
	left join lateral (
		select min(o.first_time) as first_time, max(o.last_time) as last_time,
		       min(o.first_offset + greatest(f.lo - o.lo, 0))
		         filter (where o.outcome = 'acked' and o.last_offset - o.first_offset = o.hi - o.lo) as acked_first,
		       max(o.last_offset - greatest(o.hi - f.hi, 0))
		         filter (where o.outcome = 'acked' and o.last_offset - o.first_offset = o.hi - o.lo) as acked_last
		from j_outcome o
		-- of a phantom nothing was ever sent, whatever its seq is
		where f.kind <> 'phantom' and o.seqs && mqaudit.lane_box(f.producer_id, f.epoch, f.partition, f.lo, f.hi)
		  and o.producer_id = f.producer_id and o.epoch = f.epoch
		  and o.partition = f.partition and o.hi >= f.lo and o.lo <= f.hi
	) t on true
	left join lateral (
		with e as materialized (
			-- where it was acked
			select o.partition, null::int8 as nonce, greatest(o.lo, f.lo) as lo, least(o.hi, f.hi) as hi,
			       o.lo as row_lo, o.hi as row_hi, o.first_offset, o.last_offset,
			       o.last_offset - o.first_offset = o.hi - o.lo as exact
			from j_outcome o
			where f.kind in ('lost', 'unread', 'expired') and f.stage in ('broker', 'produce')
			  and o.seqs && mqaudit.lane_box(f.producer_id, f.epoch, f.partition, f.lo, f.hi)
			  and o.producer_id = f.producer_id and o.epoch = f.epoch
			  and o.partition = f.partition and o.hi >= f.lo and o.lo <= f.hi and o.first_offset is not null
			union all
			-- where the copies are
			select r.read_partition, r.nonce, greatest(r.lo, f.lo), least(r.hi, f.hi), r.lo, r.row_hi,
			       r.first_offset, r.last_offset, r.exact
			from j_row r
			where f.kind in ('duplicated', 'reordered', 'false-refusal')
			  and mqaudit.lane_box(r.producer_id, r.epoch, r.partition, r.lo, r.hi)
			      && mqaudit.lane_box(f.producer_id, f.epoch, f.partition, f.lo, f.hi)
			  and r.side = case f.stage when 'relay' then 'target' else 'source' end::mqaudit.side_kind
			  and r.isolation = case when p_transactional and f.stage <> 'relay' then 'committed'
			                         else 'uncommitted' end::mqaudit.isolation_kind
			  and r.producer_id = f.producer_id and r.epoch = f.epoch and r.partition = f.partition
			  and r.hi >= f.lo and r.lo <= f.hi
			union all
			select r.read_partition, r.nonce, greatest(r.lo, f.lo), least(r.hi, f.hi), r.row_lo, r.row_hi,
			       r.first_offset, r.last_offset, r.exact
			from j_phantom r
			where f.kind = 'phantom' and r.side = case f.stage when 'relay' then 'target' else 'source' end::mqaudit.side_kind
			  and r.producer_id = f.producer_id and r.epoch = f.epoch and r.partition = f.partition
			  and r.hi >= f.lo and r.lo <= f.hi
			union all
			select distinct i.partition, null::int8, 0::int8, 0::int8, 0::int8, 0::int8, i."offset", i."offset", true
			from mqaudit.witness_inconsistent i
			where f.kind = 'inconsistent' and i.run_id = p_run and i.partition = f.partition
			  and i.side = case f.stage when 'relay' then 'target' else 'source' end::mqaudit.side_kind
			union all
			select d.read_partition, null, coalesce(d.seq, 0), coalesce(d.seq, 0), coalesce(d.seq, 0),
			       coalesce(d.seq, 0), d."offset", d."offset", true
			from j_damage d
			where f.kind = 'corrupted'
			  and d.side = case f.stage when 'relay' then 'target' else 'source' end::mqaudit.side_kind
			  and ((f.producer_id = 0 and d.producer_id is null and d.read_partition = f.partition)
			       or (d.producer_id = f.producer_id and d.epoch = f.epoch and d.partition = f.partition
			           and d.seq between f.lo and f.hi))
		)
		-- where nothing is known but between which positions it lies, these: to be looked for there
		select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('partition', y.partition, 'offset', y.at, 'seq', y.seq,
		                 'copy', y.copy) || case when y.at is null then jsonb_build_object('nonce', y.nonce,
		                 'from', y.first_offset + (y.seq - y.row_lo), 'to', y.last_offset - (y.row_hi - y.seq),
		                 'guess', y.first_offset + ((y.last_offset - y.first_offset)::numeric * (y.seq - y.row_lo)
		                                            / greatest(y.row_hi - y.row_lo, 1))::int8)
		                 else '{}' end) order by y.k) filter (where y.k <= 100) as positions,
		       (select sum(e.hi - e.lo + 1) from e) as n
		from (
			select e.*, s as seq,
			       case when e.exact then e.first_offset + (s - e.row_lo)
			            when s = e.row_lo then e.first_offset
			            when s = e.row_hi then e.last_offset end as at,
			       row_number() over (partition by s order by e.partition, e.first_offset) as copy,
			       row_number() over (order by s, e.partition, e.first_offset) as k
			from e, generate_series(e.lo, least(e.hi, e.lo + 99)) s
		) y
	) x on true;

	-- what was said before and does not hold
	insert into mqaudit.finding (run_id, judgement, kind, stage, producer_id, epoch, partition, lo, hi, count, why,
	                             found, withdrawn)
	select p_run, b.judgement, b.kind, b.stage, b.producer_id, b.epoch, b.partition, lower(r), upper(r) - 1,
	       upper(r) - lower(r), b.why, b.found, clock_timestamp()
	from mqaudit.finding b
	cross join lateral unnest(mqaudit.span(b.lo, b.hi) - coalesce((
		select range_agg(int8range(n.lo, n.hi, '[]')) from mqaudit.finding n
		where n.run_id = p_run and n.judgement = p_judgement and n.kind = b.kind and n.stage = b.stage
		  and n.producer_id = b.producer_id and n.epoch = b.epoch and n.partition = b.partition), '{}')) r
	where b.run_id = p_run and b.judgement is null and b.withdrawn is null;
	delete from mqaudit.finding where run_id = p_run and judgement is null and withdrawn is null;

	update mqaudit.judgement set
		counts = (
			with o as (
				select coalesce(sum(mqaudit.card(intended)), 0)::int8 as intended,
				       coalesce(sum(mqaudit.card(acked)), 0)::int8 as acked,
				       coalesce(sum(mqaudit.card(unconfirmed)), 0)::int8 as unconfirmed,
				       coalesce(sum(mqaudit.card(refused)), 0)::int8 as refused,
				       coalesce(sum(mqaudit.card(unknown)), 0)::int8 as unknown,
				       coalesce(sum(mqaudit.card(silent)) filter (where ended and journal_state = 'complete'), 0)::int8 as none,
				       coalesce(sum(mqaudit.card(silent)) filter (where journal_state in ('incomplete', 'gone')), 0)::int8 as unrecorded,
				       coalesce(sum(mqaudit.card(silent)) filter (where not ended), 0)::int8 as in_flight,
				       coalesce(sum(mqaudit.card(silent - present - dead)) filter (where journal_state in ('incomplete', 'gone')), 0)::int8 as unrecorded_absent,
				       -- leased and not known to be used: with the journal went the last intents too, unless
				       -- each was forced to the disk before its message was sent
				       coalesce(sum(mqaudit.card(mqaudit.span(intended_hi + 1, lease) - present - dead))
				                filter (where lease > intended_hi and (journal_state = 'gone'
				                        or (journal_state = 'incomplete' and not fsync))), 0)::int8 as maybe_intended
				from j_offset join (select producer_id, epoch, fsync from mqaudit.producer where run_id = p_run) p
				     using (producer_id, epoch)
			), s as (
				select coalesce(sum(records), 0)::int8 as read, coalesce(sum(ours), 0)::int8 as ours,
				       coalesce(sum(foreigners), 0)::int8 as foreigners, coalesce(sum(fences), 0)::int8 as fences,
				       coalesce(sum(corrupted), 0)::int8 as corrupted
				from mqaudit.segment where run_id = p_run and side = 'source' and isolation = 'uncommitted'
				  and superseded is null
			), c as (
				select coalesce(sum(mqaudit.card(present)), 0)::int8 as distinct_n,
				       coalesce(sum(positions), 0)::int8 as positions,
				       (select coalesce(sum(mqaudit.card(redelivered)), 0)::int8 from j_part
				        where side = 'source') as redelivered
				from j_seen where side = 'source'
			), u as (
				-- in the log, and not committed
				select coalesce((select positions from j_sum where side = 'source' and isolation = 'uncommitted'), 0)
				       - coalesce((select positions from j_sum where side = 'source'
				                   and isolation = case when p_transactional then 'committed'
				                                        else 'uncommitted' end::mqaudit.isolation_kind), 0) as aborted
			), f as (
				select coalesce(sum(count) filter (where kind = 'lost'), 0)::int8 as lost,
				       coalesce(sum(count) filter (where kind = 'expired'), 0)::int8 as expired,
				       coalesce(sum(count) filter (where kind = 'duplicated'), 0)::int8 as duplicated,
				       coalesce(sum(count) filter (where kind = 'reordered'), 0)::int8 as reordered,
				       coalesce(sum(count) filter (where kind = 'unread'), 0)::int8 as unread,
				       coalesce(sum(count) filter (where kind = 'unacknowledged'), 0)::int8 as unacknowledged,
				       (select coalesce(sum(hi - lo + 1), 0)::int8 from j_phantom where side = 'source') as phantom,
				       (select count(*) from j_damage where side = 'source') as corrupted,
				       coalesce(sum(count) filter (where kind = 'pending'), 0)::int8 as pending
				from j_find
			), t as (
				select coalesce(sum(records), 0)::int8 as read, coalesce(sum(foreigners), 0)::int8 as foreigners,
				       coalesce(sum(fences), 0)::int8 as fences, coalesce(sum(corrupted), 0)::int8 as corrupted
				from mqaudit.segment
				where run_id = p_run and side = 'target' and isolation = 'uncommitted' and superseded is null
			), tc as (
				select coalesce(sum(mqaudit.card(present)), 0)::int8 as distinct_n,
				       coalesce(sum(positions), 0)::int8 as positions,
				       (select coalesce(sum(hi - lo + 1), 0)::int8 from j_phantom where side = 'target') as phantom,
				       (select coalesce(sum(mqaudit.card(redelivered)), 0)::int8 from j_part
				        where side = 'target') as redelivered
				from j_seen where side = 'target'
			)
			select jsonb_build_object(
				'intended', o.intended, 'acked', o.acked, 'unconfirmed', o.unconfirmed, 'refused', o.refused,
				'unknown', o.unknown, 'none', o.none, 'unrecorded', o.unrecorded, 'in_flight', o.in_flight,
				'unrecorded_absent', o.unrecorded_absent, 'maybe_intended', o.maybe_intended,
				'read', s.read, 'distinct', c.distinct_n, 'extra', c.positions - c.distinct_n - c.redelivered,
				'aborted', greatest(u.aborted, 0), 'foreign', s.foreigners - (f.corrupted - s.corrupted),
				'phantom', f.phantom, 'corrupted', f.corrupted, 'fences', s.fences,
				'pending', f.pending, 'redelivered', c.redelivered, 'lost', f.lost, 'expired', f.expired,
				'duplicated', f.duplicated, 'reordered', f.reordered, 'unread', f.unread,
				'unacknowledged', f.unacknowledged, 'ours', s.ours, 'target_read', t.read,
				'target_distinct', tc.distinct_n, 'target_extra', tc.positions - tc.distinct_n - tc.redelivered,
				'target_redelivered', tc.redelivered,
				'target_foreign', t.foreigners, 'target_phantom', tc.phantom,
				'target_corrupted', t.corrupted, 'target_fences', t.fences,
				'withdrawn', (select coalesce(sum(count), 0) from mqaudit.finding
				              where run_id = p_run and withdrawn is not null))
			from o, s, c, u, f, t, tc),
		lanes = coalesce((
			select jsonb_agg(jsonb_build_object(
				'producer_id', l.producer_id, 'epoch', l.epoch, 'partition', l.partition,
				'intended', mqaudit.card(l.intended), 'acked', mqaudit.card(l.acked),
				'present', mqaudit.card(l.seen),
				'lost', coalesce(f.lost, 0), 'duplicated', coalesce(f.duplicated, 0),
				'reordered', coalesce(f.reordered, 0))
				order by l.producer_id, l.epoch, l.partition)
			from j_offset l
			left join (select producer_id, epoch, partition,
			                  sum(count) filter (where kind = 'lost') as lost,
			                  sum(count) filter (where kind = 'duplicated') as duplicated,
			                  sum(count) filter (where kind = 'reordered') as reordered
			           from j_find group by 1, 2, 3) f using (producer_id, epoch, partition)), '[]')
	where run_id = p_run and judgement = p_judgement;
end $$;
