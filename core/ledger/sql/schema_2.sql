-- Version 2 of the ledger. First, a row for each message that was read, for checks with --record=messages.
--
-- What messages have in common stands in mqaudit.message_group, once for many of them; a message is six numbers,
-- 68 bytes with all that PostgreSQL adds. The messages of a run are a table of their own, mqaudit.message_ and the
-- run's id in hex, inherited from mqaudit.message: written one behind the other, never changed, and removed with
-- the run at once, however many they are. They have no index and no foreign key: either costs half as much again
-- as the row. A group knows which blocks its messages are in.
--
-- What a cut or a sweep makes history is told by mqaudit.generation, not by the messages.

-- what was read in [history_from, history_to) by generations before this one is history
alter table mqaudit.generation
	add column if not exists history_from int8,
	add column if not exists history_to int8;
comment on column mqaudit.generation.history_from is
	'where this generation began, what older ones read in [history_from, history_to) became history; null: nothing';

create table mqaudit.message_group (
	group_id    int4 primary key,
	run_id      int8 not null references mqaudit.run on delete cascade,
	side        mqaudit.side_kind not null,
	isolation   mqaudit.isolation_kind not null,
	partition   int8 not null,
	generation  int4 not null,
	producer_id int8 not null,
	epoch       int8 not null,
	nonce       int8 not null,
	lane        int8 not null,
	attempt     int4 not null,
	first_seq   int8 not null,
	last_seq    int8 not null,
	messages    int8 not null,
	first_block int8 not null,
	end_block   int8 not null
) with (fillfactor = 70);
create index message_group_lane on mqaudit.message_group (run_id, producer_id, epoch, lane);
create sequence mqaudit.message_group_id as int4;
comment on table mqaudit.message_group is
	'messages of a lane that one checker read from one partition, some ten thousand at most: see view messages';
comment on column mqaudit.message_group.lane is 'the partition that the envelope names: part of the identity';
comment on column mqaudit.message_group.first_seq is 'the lowest seq of its messages; last_seq: the highest';
comment on column mqaudit.message_group.messages is 'how many there are';
comment on column mqaudit.message_group.first_block is
	'all of them are in blocks [first_block, end_block) of the run''s table, unless that was written anew since';

create table mqaudit.message (
	group_id    int4 not null,
	size        int4 not null,
	"offset"    int8 not null,
	seq         int8 not null,
	sent_ns     int8 not null,
	received_ns int8 not null
);
comment on table mqaudit.message is 'each message that a checker with --record=messages has read: see view messages';
comment on column mqaudit.message.size is 'bytes of the payload';
comment on column mqaudit.message.sent_ns is 'what the envelope says: ns since 1970';
comment on column mqaudit.message.received_ns is 'when the batch that it came in was taken: ns since 1970';

create function mqaudit.message_table(p_run int8) returns text
language sql immutable as $$ select 'message_' || lpad(to_hex(p_run), 16, '0') $$;

-- The table of a run's messages, made when there is none. By the ledger's owner, whoever asks: only an owner may
-- inherit. No vacuum for inserted rows alone: it would read all of them once more.
create function mqaudit.make_message_table(p_run int8) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
	perform pg_advisory_xact_lock(6157392014);
	if to_regclass('mqaudit.' || mqaudit.message_table(p_run)) is null then
		execute format('create table mqaudit.%I () inherits (mqaudit.message) '
			'with (autovacuum_vacuum_insert_threshold = -1)', mqaudit.message_table(p_run));
	end if;
	if session_user <> current_user then
		execute format('grant select, insert on mqaudit.%I to %I', mqaudit.message_table(p_run), session_user);
	end if;
end $$;

-- Fires behind the foreign keys' own (by name), and so waits for a checker that still writes.
create function mqaudit.forget_messages() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
	if to_regclass('mqaudit.' || mqaudit.message_table(old.run_id)) is not null then
		execute format('drop table mqaudit.%I', mqaudit.message_table(old.run_id));
	end if;
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
