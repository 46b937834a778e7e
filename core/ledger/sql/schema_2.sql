-- Version 2 of the ledger: a row for each message that was read, for checks with --record=messages.
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
