-- Version 1 of the ledger. Evidence is append-only and range-shaped: lo and hi are both included,
-- everywhere. Nothing is keyed by process or host alone, so that many probes and checkers on many
-- machines can write into one ledger.

create schema if not exists mqaudit;

create table mqaudit.meta (
	name  text primary key,
	value text not null
);
comment on table mqaudit.meta is 'what the ledger says of itself: schema_version';

create type mqaudit.outcome_kind as enum ('acked', 'unconfirmed', 'refused', 'unknown');
create type mqaudit.side_kind as enum ('source', 'target');
create type mqaudit.isolation_kind as enum ('uncommitted', 'committed');

-- ---------------------------------------------------------------------------------------------
-- what is audited

create table mqaudit.run (
	run_id        int8 primary key check (run_id > 0),
	name          text not null unique,
	destination   text not null,
	broker        text not null,
	lab           text,
	target        text,
	target_lab    text,
	promise       text not null,
	fail_on       text not null default '',
	allow         text not null default '',
	transactional bool not null default false,
	keys          text not null default 'none',
	started       timestamptz not null default clock_timestamp(),
	ended         timestamptz
);
comment on table mqaudit.run is 'one audit; open until it is judged (ended is null)';
comment on column mqaudit.run.target is 'where the checker reads, when that is not where the probe writes';

create table mqaudit.run_partition (
	run_id       int8 not null references mqaudit.run on delete cascade,
	side         mqaudit.side_kind not null,
	partition    int8 not null,
	start_offset int8 not null,
	primary key (run_id, side, partition)
);
comment on table mqaudit.run_partition is 'where each partition''s log ended before the first send';

create table mqaudit.setting (
	run_id int8 not null references mqaudit.run on delete cascade,
	scope  text not null,
	name   text not null,
	value  text not null,
	primary key (run_id, scope, name)
);
comment on table mqaudit.setting is 'effective settings by scope: probe, client, topic, checker, target topic; secrets redacted';

create table mqaudit.node (
	run_id  int8 not null references mqaudit.run on delete cascade,
	side    mqaudit.side_kind not null,
	node_id int8 not null,
	host    text not null,
	port    int4 not null,
	primary key (run_id, side, node_id)
);
comment on table mqaudit.node is 'brokers that a probe was ever connected to';

-- ---------------------------------------------------------------------------------------------
-- what the probes know

create table mqaudit.producer (
	run_id          int8 not null references mqaudit.run on delete cascade,
	producer_id     int8 not null,
	epoch           int8 not null,
	nonce           int8 not null,
	host            text not null,
	boot_id         text not null,
	pid             int4 not null,
	journal         text not null,
	fsync           bool not null default false,
	started         timestamptz not null default clock_timestamp(),
	heard           timestamptz not null default clock_timestamp(),
	ended           timestamptz,
	end_cause       text,
	shipment        int8 not null default 0,
	shipped         int8 not null default 0,
	journal_state   text not null default 'open' check (journal_state in ('open', 'complete', 'incomplete', 'gone')),
	disconnects     int8 not null default 0,
	retries         int8 not null default 0,
	timeouts        int8 not null default 0,
	truncations     int8 not null default 0,
	longest_gap_ms  int8 not null default 0,
	latency         int8[] not null default '{}',
	primary key (run_id, producer_id, epoch)
);
comment on table mqaudit.producer is 'one start of one producer id';
comment on column mqaudit.producer.shipment is 'number of the last shipment: the compare-and-set of shipping';
comment on column mqaudit.producer.shipped is 'records of the journal that are in this ledger';
comment on column mqaudit.producer.journal_state is 'complete: what has no outcome got none; incomplete or gone: nobody knows';
comment on column mqaudit.producer.latency is 'histogram of acknowledgement latency: bucket, count, bucket, count, ...';

create table mqaudit.lease (
	run_id      int8 not null,
	producer_id int8 not null,
	epoch       int8 not null,
	partition   int8 not null,
	hi          int8 not null,
	primary key (run_id, producer_id, epoch, partition),
	foreign key (run_id, producer_id, epoch) references mqaudit.producer on delete cascade
) with (fillfactor = 70);
comment on table mqaudit.lease is 'a lane, and how far its probe may go without asking again';

create table mqaudit.intent (
	run_id      int8 not null,
	producer_id int8 not null,
	epoch       int8 not null,
	partition   int8 not null,
	lo          int8 not null,
	hi          int8 not null,
	first_time  timestamptz not null,
	last_time   timestamptz not null,
	foreign key (run_id, producer_id, epoch) references mqaudit.producer on delete cascade
) with (fillfactor = 70);
-- hi stands in no index, so that a row which grows stays in its place (a heap-only update)
create index intent_lane on mqaudit.intent (run_id, producer_id, epoch, partition, lo);
comment on table mqaudit.intent is 'what a probe was about to hand to the client library';

create table mqaudit.outcome (
	run_id       int8 not null,
	producer_id  int8 not null,
	epoch        int8 not null,
	partition    int8 not null,
	attempt      int4 not null default 0,
	lo           int8 not null,
	hi           int8 not null,
	outcome      mqaudit.outcome_kind not null,
	first_offset int8,
	last_offset  int8,
	node         int4,
	code         int4 not null default 0,
	reason       text,
	first_time   timestamptz not null,
	last_time    timestamptz not null,
	foreign key (run_id, producer_id, epoch) references mqaudit.producer on delete cascade
) with (fillfactor = 70);
create index outcome_lane on mqaudit.outcome (run_id, producer_id, epoch, partition, lo);
comment on table mqaudit.outcome is
	'what the client library finally said; offsets are exact when last_offset - first_offset = hi - lo';

-- ---------------------------------------------------------------------------------------------
-- what the checkers saw

create table mqaudit.witness_position (
	run_id       int8 not null references mqaudit.run on delete cascade,
	side         mqaudit.side_kind not null,
	isolation    mqaudit.isolation_kind not null,
	partition    int8 not null,
	owner        int8 not null,
	generation   int4 not null,
	segment      int8 not null,
	next_offset  int8 not null,
	log_start    int8,
	log_end      int8,
	start_anchor int8[] not null default '{}',
	heard        timestamptz not null default clock_timestamp(),
	primary key (run_id, side, isolation, partition)
) with (fillfactor = 50);
comment on table mqaudit.witness_position is
	'how far a partition was read, by whom; moves together with the evidence, by compare-and-set';
comment on column mqaudit.witness_position.start_anchor is
	'offset and digest of positions just before the run''s first';

create table mqaudit.generation (
	run_id       int8 not null references mqaudit.run on delete cascade,
	side         mqaudit.side_kind not null,
	isolation    mqaudit.isolation_kind not null,
	partition    int8 not null,
	generation   int4 not null,
	cause        text not null check (cause in ('start', 'cut', 'sweep')),
	first_offset int8 not null,
	at           timestamptz not null default clock_timestamp(),
	why          text not null,
	primary key (run_id, side, isolation, partition, generation)
);
comment on table mqaudit.generation is
	'stretches of a log from which nothing was cut; a cut or a sweep begins a new one at first_offset';

-- One stretch of reading, [first_offset, end_offset), with what is not a run of ours in it, and an anchor
-- at its end. Adjacent ones are folded, the older the coarser.
create table mqaudit.segment (
	run_id        int8 not null references mqaudit.run on delete cascade,
	side          mqaudit.side_kind not null,
	isolation     mqaudit.isolation_kind not null,
	partition     int8 not null,
	segment       int8 not null,
	generation    int4 not null,
	superseded    int4,
	first_offset  int8 not null,
	end_offset    int8 not null,
	anchor_offset int8,
	anchor_digest int8,
	records       int8 not null,
	ours          int8 not null,
	foreigners    int8 not null,
	fences        int8 not null,
	corrupted     int8 not null,
	primary key (run_id, side, isolation, partition, segment)
) with (fillfactor = 70);
comment on column mqaudit.segment.superseded is 'the generation that made it history; null: it counts';

create table mqaudit.witness (
	run_id        int8 not null references mqaudit.run on delete cascade,
	side          mqaudit.side_kind not null,
	isolation     mqaudit.isolation_kind not null,
	partition     int8 not null,
	segment       int8 not null,
	generation    int4 not null,
	superseded    int4,
	producer_id   int8 not null,
	epoch         int8 not null,
	nonce         int8 not null,
	lane          int8 not null,
	attempt       int4 not null default 0,
	lo            int8 not null,
	hi            int8 not null,
	first_offset  int8 not null,
	last_offset   int8 not null
) with (fillfactor = 70);
create index witness_segment on mqaudit.witness (run_id, side, isolation, partition, segment);
create index witness_lane on mqaudit.witness (run_id, side, isolation, producer_id, epoch, lane);
comment on table mqaudit.witness is
	'runs of consecutive seqs of a lane, in log order: seqs lo to hi once each, at rising offsets of partition';
comment on column mqaudit.witness.lane is 'the partition that the envelope names: part of the identity';

create table mqaudit.witness_corrupted (
	run_id      int8 not null references mqaudit.run on delete cascade,
	side        mqaudit.side_kind not null,
	isolation   mqaudit.isolation_kind not null,
	partition   int8 not null,
	segment     int8 not null,
	generation  int4 not null,
	superseded  int4,
	"offset"    int8 not null,
	producer_id int8,
	epoch       int8,
	nonce       int8,
	lane        int8,
	seq         int8,
	what        text not null
);
create index witness_corrupted_segment on mqaudit.witness_corrupted (run_id, side, isolation, partition, segment);
comment on table mqaudit.witness_corrupted is 'positions that hold a message of ours with a damaged header (no identity) or payload';

create table mqaudit.fence (
	run_id      int8 not null references mqaudit.run on delete cascade,
	judgement   int4 not null,
	number      int4 not null,
	side        mqaudit.side_kind not null,
	partition   int8 not null,
	nonce       int8 not null,
	"offset"    int8,
	acked       timestamptz,
	read        timestamptz,
	primary key (run_id, judgement, number, side, partition)
);
comment on table mqaudit.fence is 'records of our own: who has read one has read everything before it';

-- ---------------------------------------------------------------------------------------------
-- what is concluded

create table mqaudit.judgement (
	run_id    int8 not null references mqaudit.run on delete cascade,
	judgement int4 not null,
	started   timestamptz not null default clock_timestamp(),
	ended     timestamptz,
	verdict   text,
	fenced    bool not null default false,
	agreed    bool,
	reasons   text[] not null default '{}',
	counts    jsonb not null default '{}',
	lanes     jsonb not null default '[]',
	primary key (run_id, judgement)
);
comment on table mqaudit.judgement is 'verdicts, the latest counts; reasons say why a run is undecided';

create table mqaudit.finding (
	finding_id  int8 generated always as identity primary key,
	run_id      int8 not null references mqaudit.run on delete cascade,
	judgement   int4,
	kind        text not null,
	stage       text not null,
	producer_id int8 not null,
	epoch       int8 not null,
	partition   int8 not null,
	lo          int8 not null,
	hi          int8 not null,
	count       int8 not null,
	why         text not null default '',
	positions   jsonb not null default '[]',
	omitted     int8 not null default 0,
	acked_first int8,
	acked_last  int8,
	first_time  timestamptz,
	last_time   timestamptz,
	found       timestamptz not null default clock_timestamp(),
	withdrawn   timestamptz
);
comment on column mqaudit.finding.acked_first is 'the first offset at which one of them was acked, where offsets are known exactly';
create index finding_run on mqaudit.finding (run_id, judgement);
comment on table mqaudit.finding is
	'a maximal range with equal kind, stage, why and lane; judgement null: provisional, seen by the live tracker';

create table mqaudit.event (
	event_id int8 generated always as identity primary key,
	run_id   int8 references mqaudit.run on delete cascade,
	lab      text,
	at       timestamptz not null default clock_timestamp(),
	until    timestamptz,
	source   text not null,
	kind     text not null,
	subject  text not null default '',
	detail   text not null default ''
);
create index event_run on mqaudit.event (run_id, at);
create index event_lab on mqaudit.event (lab, at) where lab is not null;
comment on table mqaudit.event is 'faults, lost connections, leader changes, generations: what happened around the messages';

create table mqaudit.sample (
	run_id      int8 not null references mqaudit.run on delete cascade,
	source      text not null,
	at          timestamptz not null,
	seconds     float8 not null,
	sent        int8 not null default 0,
	acked       int8 not null default 0,
	failed      int8 not null default 0,
	read        int8 not null default 0,
	p50_ns      int8,
	p99_ns      int8,
	max_ns      int8,
	lag_ms      int8
);
create index sample_run on mqaudit.sample (run_id, at);
comment on table mqaudit.sample is 'rates and latencies of short periods: acknowledgements by probes, end to end by checkers';

create table mqaudit.checker (
	run_id  int8 not null references mqaudit.run on delete cascade,
	owner   int8 not null,
	host    text not null,
	pid     int4 not null,
	started timestamptz not null default clock_timestamp(),
	heard   timestamptz not null default clock_timestamp(),
	ended   timestamptz,
	latency int8[] not null default '{}',
	primary key (run_id, owner)
);
comment on table mqaudit.checker is 'one start of one checker; latency: end to end, bucket, count, ...';

insert into mqaudit.meta (name, value) values ('schema_version', '1');
