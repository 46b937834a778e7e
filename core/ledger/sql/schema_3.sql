-- Version 3 of the ledger: what tells a queue's messages that a policy removed from those that are lost.

create table mqaudit.dead_letter (
	run_id      int8 not null references mqaudit.run on delete cascade,
	producer_id int8 not null,
	epoch       int8 not null,
	nonce       int8 not null,
	lane        int8 not null,
	attempt     int4 not null default 0,
	lo          int8 not null,
	hi          int8 not null,
	queue       text not null,
	reason      text not null,
	at          timestamptz not null default clock_timestamp()
);
create index dead_letter_lane on mqaudit.dead_letter (run_id, producer_id, epoch, lane);
comment on table mqaudit.dead_letter is
	'messages of a queue that were seen in its dead-letter queue, each attempt once, with why they were put there';

create table mqaudit.drop_count (
	run_id      int8 not null references mqaudit.run on delete cascade,
	moment      text not null check (moment in ('before', 'after')),
	node        text not null,
	incarnation text not null,
	name        text not null,
	count       int8 not null,
	at          timestamptz not null default clock_timestamp(),
	primary key (run_id, moment, node, name)
);
comment on table mqaudit.drop_count is
	'what each node had dropped by its own count: before the first message, and when the run was judged last';
comment on column mqaudit.drop_count.incarnation is 'another one: it was restarted, and its counts began anew';

create table mqaudit.removal (
	run_id     int8 not null references mqaudit.run on delete cascade,
	judgement  int4 not null,
	exact      bool not null default false,
	removed    int8 not null default 0,
	unroutable int8 not null default 0,
	how        text not null default '',
	excluded   text not null default '',
	gone       text not null default '' check (gone in ('', 'expires', 'deleted')),
	primary key (run_id, judgement)
);
comment on table mqaudit.removal is
	'what a judgement knew of removals from the queue: counts of all nodes, where they are exact; what excludes a policy';
comment on column mqaudit.removal.gone is 'why the queue is not there any more, with all that was in it';
