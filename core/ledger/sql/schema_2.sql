-- Version 2 of the ledger. First, a row for each message that was read, for checks with --record=messages.
--
-- No foreign key: its check would cost as much as the row itself. Rows come only together with a
-- witness_position of their run, and go with the run by a trigger, which fires behind the foreign keys' own
-- (by name) and so waits for a checker that still writes.

create table mqaudit.message (
	run_id      int8 not null,
	side        mqaudit.side_kind not null,
	isolation   mqaudit.isolation_kind not null,
	partition   int8 not null,
	"offset"    int8 not null,
	generation  int4 not null,
	superseded  int4,
	attempt     int4 not null,
	producer_id int8 not null,
	epoch       int8 not null,
	nonce       int8 not null,
	lane        int8 not null,
	seq         int8 not null,
	size        int8 not null,
	sent_at     timestamptz not null,
	received_at timestamptz not null,
	damaged     bool not null
);
-- offsets rise as rows come: a few bytes for each megabyte find a stretch of them
create index message_place on mqaudit.message using brin (run_id, partition, "offset")
	with (pages_per_range = 32, autosummarize = on);
comment on table mqaudit.message is 'each message that a checker with --record=messages has read: see view messages';
comment on column mqaudit.message.superseded is 'the generation that made it history; null: it counts';
comment on column mqaudit.message.lane is 'the partition that the envelope names: part of the identity';
comment on column mqaudit.message.received_at is 'when the batch that it came in was taken';

create function mqaudit.forget_messages() returns trigger
language plpgsql as $$
begin
	delete from mqaudit.message where run_id = old.run_id;
	return null;
end $$;
create trigger run_forgets_messages after delete on mqaudit.run
	for each row execute function mqaudit.forget_messages();

-- Also of version 2: what positions and fences tell.

create table mqaudit.witness_inconsistent (
	run_id     int8 not null references mqaudit.run on delete cascade,
	side       mqaudit.side_kind not null,
	isolation  mqaudit.isolation_kind not null,
	partition  int8 not null,
	"offset"   int8 not null,
	generation int4 not null,
	at         timestamptz not null default clock_timestamp(),
	primary key (run_id, side, isolation, partition, "offset")
);
comment on table mqaudit.witness_inconsistent is
	'positions that gave two contents, with nothing that hints at a cut between two reads';

alter table mqaudit.fence add column read_partition int8;
comment on column mqaudit.fence.read_partition is
	'where it was read: behind a relay that may be another one than the partition it was written to';

alter table mqaudit.finding add column forgotten int8 not null default 0;
comment on column mqaudit.finding.omitted is 'positions that are not listed: beyond the first hundred, or not looked for';
comment on column mqaudit.finding.forgotten is 'positions that are no longer known';

-- nothing has written to it in version 1
drop table mqaudit.checker;
create table mqaudit.checker (
	run_id    int8 not null references mqaudit.run on delete cascade,
	owner     int8 not null,
	side      mqaudit.side_kind not null,
	isolation mqaudit.isolation_kind not null,
	host      text not null,
	pid       int4 not null,
	started   timestamptz not null default clock_timestamp(),
	heard     timestamptz not null default clock_timestamp(),
	ended     timestamptz,
	read      int8 not null default 0,
	read_ms   int8 not null default 0,
	latency   int8[] not null default '{}',
	primary key (run_id, owner)
);
comment on table mqaudit.checker is
	'one start of one checker; read: records, within read_ms; latency: end to end, bucket, count, ...';
