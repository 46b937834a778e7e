#include "core/ledger/witnessed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

#define KEY_WHERE                                                                                  \
	"run_id = $1::int8 and side = $2::mqaudit.side_kind and isolation = $3::mqaudit.isolation_kind"

const char *isolation_text(enum isolation i)
{
	return i == ISOLATION_COMMITTED ? "committed" : "uncommitted";
}

static void args_key(struct pg_args *a, const struct witness_key *k)
{
	pg_arg_i64(a, k->run_id);
	pg_arg_text(a, run_side_text(k->side));
	pg_arg_text(a, isolation_text(k->isolation));
}

int witnessed_claim(struct ledger *l, const struct witness_key *k, int32_t partition,
	int64_t start_offset, int64_t owner, struct witness_position *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	args_key(&args, k);
	pg_arg_i64(&args, partition);
	pg_arg_i64(&args, start_offset);
	pg_arg_i64(&args, owner);
	r = pg_query(ledger_pg(l),
		"with made as (insert into mqaudit.generation (run_id, side, isolation, partition, generation, "
		"cause, first_offset, why) values ($1::int8, $2::mqaudit.side_kind, "
		"$3::mqaudit.isolation_kind, $4::int8, 1, 'start', $5::int8, 'where the run began') "
		"on conflict do nothing) "
		"insert into mqaudit.witness_position as w (run_id, side, isolation, partition, owner, "
		"generation, segment, next_offset) values ($1::int8, $2::mqaudit.side_kind, "
		"$3::mqaudit.isolation_kind, $4::int8, $6::int8, 1, 0, $5::int8) "
		"on conflict (run_id, side, isolation, partition) do update set owner = excluded.owner, "
		"heard = clock_timestamp() "
		"returning generation, segment, next_offset, xmax = 0, array_length(start_anchor, 1), "
		"start_anchor[1], start_anchor[2]",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	ret->generation = (int32_t)pg_rows_i64(rows, 0, 0);
	ret->segment = pg_rows_i64(rows, 0, 1);
	ret->next_offset = pg_rows_i64(rows, 0, 2);
	ret->fresh = pg_rows_bool(rows, 0, 3);
	ret->anchored = pg_rows_i64(rows, 0, 4) == 2;
	ret->start_anchor.offset = ret->anchored ? pg_rows_i64(rows, 0, 5) : -1;
	ret->start_anchor.digest = pg_rows_i64(rows, 0, 6);
	r = pg_rows_check(rows, e);
	pg_rows_free(rows);
	return r;
}

/* A statement that must change exactly one row: our partition's, while it is ours. */
/* A checker that comes later takes the positions over; this one has lost them. */
static int taken_over(struct err *e)
{
	err_set(e, ERR_LOST_OWNERSHIP, "another checker has taken over");
	return err_hint(e, "that one goes on reading, and judges the run");
}

static int change_one(struct ledger *l, const char *sql, const struct pg_args *args, struct err *e)
{
	struct pg_rows *rows = NULL;
	int r = pg_query(ledger_pg(l), sql, args, PG_TIMEOUT, &rows, e);

	if (r)
		return r;
	if (pg_rows_changed(rows) != 1)
		r = taken_over(e);
	pg_rows_free(rows);
	return r;
}

int witnessed_set_start_anchor(struct ledger *l, const struct witness_key *k, int32_t partition,
	int64_t owner, const struct witness_anchor *a, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	args_key(&args, k);
	pg_arg_i64(&args, partition);
	pg_arg_i64(&args, owner);
	pg_arg_i64(&args, a->offset);
	pg_arg_i64(&args, a->digest);
	return change_one(l,
		"update mqaudit.witness_position set start_anchor = array[$6::int8, $7::int8] "
		"where " KEY_WHERE " and partition = $4 and owner = $5",
		&args, e);
}

int witnessed_move(struct ledger *l, const struct witness_key *k, int32_t partition, int64_t owner,
	int64_t next_offset, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	args_key(&args, k);
	pg_arg_i64(&args, partition);
	pg_arg_i64(&args, owner);
	pg_arg_i64(&args, next_offset);
	return change_one(l,
		"update mqaudit.witness_position set next_offset = $6::int8, heard = clock_timestamp() "
		"where " KEY_WHERE " and partition = $4 and owner = $5",
		&args, e);
}

int witnessed_segments(struct ledger *l, const struct witness_key *k, int32_t partition,
	struct witness_segment **ret, size_t *ret_n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct witness_segment *list;
	size_t n;
	int r;

	args_key(&args, k);
	pg_arg_i64(&args, partition);
	r = pg_query(ledger_pg(l),
		"select segment, generation, first_offset, end_offset, anchor_offset, anchor_digest, records, "
		"ours, foreigners, fences, corrupted from mqaudit.segment "
		"where " KEY_WHERE
		" and partition = $4 and superseded is null order by first_offset, segment",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	n = (size_t)pg_rows_n(rows);
	list = calloc(n + 1, sizeof(*list));
	if (!list) {
		pg_rows_free(rows);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	for (size_t i = 0; i < n; i++) {
		int row = (int)i;

		list[i] = (struct witness_segment){
			.segment = pg_rows_i64(rows, row, 0),
			.generation = (int32_t)pg_rows_i64(rows, row, 1),
			.first_offset = pg_rows_i64(rows, row, 2),
			.end_offset = pg_rows_i64(rows, row, 3),
			.anchor = {pg_rows_is_null(rows, row, 4) ? -1 : pg_rows_i64(rows, row, 4),
				pg_rows_i64(rows, row, 5)},
			.records = pg_rows_i64(rows, row, 6),
			.ours = pg_rows_i64(rows, row, 7),
			.foreigners = pg_rows_i64(rows, row, 8),
			.fences = pg_rows_i64(rows, row, 9),
			.corrupted = pg_rows_i64(rows, row, 10),
		};
	}
	pg_rows_free(rows);
	*ret = list;
	*ret_n = n;
	return 0;
}

struct each_row {
	int (*each)(const struct witness_row *row, void *arg, struct err *e);
	void *arg;
	int32_t partition;
};

static int give_row(const struct pg_rows *rows, void *arg, struct err *e)
{
	struct each_row *to = arg;
	struct witness_row row = {
		.partition = to->partition,
		.producer_id = (uint32_t)pg_rows_i64(rows, 0, 0),
		.epoch = (uint32_t)pg_rows_i64(rows, 0, 1),
		.nonce = (uint32_t)pg_rows_i64(rows, 0, 2),
		.lane = (uint32_t)pg_rows_i64(rows, 0, 3),
		.attempt = (uint16_t)pg_rows_i64(rows, 0, 4),
		.lo = pg_rows_u64(rows, 0, 5),
		.hi = pg_rows_u64(rows, 0, 6),
		.first_offset = pg_rows_i64(rows, 0, 7),
		.last_offset = pg_rows_i64(rows, 0, 8),
	};

	return to->each(&row, to->arg, e);
}

int witnessed_rows(struct ledger *l, const struct witness_key *k, int32_t partition,
	int (*each)(const struct witness_row *row, void *arg, struct err *e), void *arg,
	struct err *e)
{
	struct each_row to = {each, arg, partition};
	struct pg_args args = PG_ARGS_INIT;

	args_key(&args, k);
	pg_arg_i64(&args, partition);
	return pg_query_each(ledger_pg(l),
		"select producer_id, epoch, nonce, lane, attempt, lo, hi, first_offset, last_offset "
		"from mqaudit.witness where " KEY_WHERE
		" and partition = $4 and superseded is null "
		"order by first_offset",
		&args, 4 * PG_TIMEOUT, give_row, &to, e);
}

/* ---- commit ---------------------------------------------------------------------------------- */

static int commit_positions(struct ledger *l, const struct witness_commit *c, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct ledger_columns col;
	int r;

	ledger_columns_begin(&col, 14);
	for (size_t i = 0; i < c->n_advances; i++) {
		const struct witness_advance *a = &c->advance[i];
		const struct witness_segment *s = &a->segment;

		ledger_array_i64(&col.b[0], a->partition);
		ledger_array_i64(&col.b[1], a->generation);
		ledger_array_i64(&col.b[2], a->next_offset);
		ledger_array_i64_or_null(&col.b[3], a->log_start, a->log_start < 0);
		ledger_array_i64_or_null(&col.b[4], a->log_end, a->log_end < 0);
		ledger_array_i64(&col.b[5], s->segment);
		ledger_array_i64(&col.b[6], s->first_offset);
		ledger_array_i64_or_null(&col.b[7], s->anchor.offset, s->anchor.offset < 0);
		ledger_array_i64_or_null(&col.b[8], s->anchor.digest, s->anchor.offset < 0);
		ledger_array_i64(&col.b[9], s->records);
		ledger_array_i64(&col.b[10], s->ours);
		ledger_array_i64(&col.b[11], s->foreigners);
		ledger_array_i64(&col.b[12], s->fences);
		ledger_array_i64(&col.b[13], s->corrupted);
	}
	args_key(&args, &c->key);
	pg_arg_i64(&args, c->owner);
	ledger_columns_args(&col, &args);
	r = pg_query(ledger_pg(l),
		"with d as materialized (select * from unnest($5::int8[], $6::int4[], $7::int8[], $8::int8[], "
		"$9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::int8[], "
		"$16::int8[], $17::int8[], $18::int8[]) as u (partition, generation, next_offset, log_start, "
		"log_end, segment, first_offset, anchor_offset, anchor_digest, records, ours, foreigners, "
		"fences, corrupted)), "
		"moved as (update mqaudit.witness_position w set next_offset = d.next_offset, "
		"segment = d.segment, log_start = coalesce(d.log_start, w.log_start), "
		"log_end = coalesce(d.log_end, w.log_end), heard = clock_timestamp() from d "
		"where w.run_id = $1::int8 and w.side = $2::mqaudit.side_kind "
		"and w.isolation = $3::mqaudit.isolation_kind and w.partition = d.partition "
		"and w.owner = $4::int8 and w.segment = d.segment - 1 and w.generation = d.generation "
		"returning w.partition) "
		"insert into mqaudit.segment (run_id, side, isolation, partition, segment, generation, "
		"first_offset, end_offset, anchor_offset, anchor_digest, records, ours, foreigners, fences, "
		"corrupted) select $1::int8, $2::mqaudit.side_kind, $3::mqaudit.isolation_kind, d.partition, "
		"d.segment, d.generation, d.first_offset, d.next_offset, d.anchor_offset, d.anchor_digest, "
		"d.records, d.ours, d.foreigners, d.fences, d.corrupted from d join moved using (partition)",
		&args, PG_TIMEOUT, &rows, e);
	ledger_columns_release(&col);
	if (r)
		return r;
	if (pg_rows_changed(rows) != c->n_advances)
		r = taken_over(e);
	pg_rows_free(rows);
	return r;
}

/* Segment and generation of a row's partition in this commit. */
static const struct witness_advance *advance_of(const struct witness_commit *c, int32_t partition)
{
	for (size_t i = 0; i < c->n_advances; i++)
		if (c->advance[i].partition == partition)
			return &c->advance[i];
	BUG("evidence of partition %d without its position", partition);
}

static int commit_rows(struct ledger *l, const struct witness_commit *c, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct ledger_columns col;
	int r;

	if (c->n_rows == 0)
		return 0;
	ledger_columns_begin(&col, 12);
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct witness_row *w = &c->row[i];
		const struct witness_advance *a = advance_of(c, w->partition);

		ledger_array_i64(&col.b[0], w->partition);
		ledger_array_i64(&col.b[1], a->segment.segment);
		ledger_array_i64(&col.b[2], a->generation);
		ledger_array_i64(&col.b[3], w->producer_id);
		ledger_array_i64(&col.b[4], w->epoch);
		ledger_array_i64(&col.b[5], w->nonce);
		ledger_array_i64(&col.b[6], w->lane);
		ledger_array_i64(&col.b[7], w->attempt);
		ledger_array_i64(&col.b[8], (int64_t)w->lo);
		ledger_array_i64(&col.b[9], (int64_t)w->hi);
		ledger_array_i64(&col.b[10], w->first_offset);
		ledger_array_i64(&col.b[11], w->last_offset);
	}
	args_key(&args, &c->key);
	ledger_columns_args(&col, &args);
	r = pg_query(ledger_pg(l),
		"insert into mqaudit.witness (run_id, side, isolation, partition, segment, generation, "
		"producer_id, epoch, nonce, lane, attempt, lo, hi, first_offset, last_offset) "
		"select $1::int8, $2::mqaudit.side_kind, $3::mqaudit.isolation_kind, * from "
		"unnest($4::int8[], $5::int8[], $6::int4[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], "
		"$11::int4[], $12::int8[], $13::int8[], $14::int8[], $15::int8[])",
		&args, 4 * PG_TIMEOUT, NULL, e);
	ledger_columns_release(&col);
	return r;
}

static int commit_damage(struct ledger *l, const struct witness_commit *c, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct ledger_columns col;
	int r;

	if (c->n_damages == 0)
		return 0;
	ledger_columns_begin(&col, 10);
	for (size_t i = 0; i < c->n_damages; i++) {
		const struct witness_damage *w = &c->damage[i];
		const struct witness_advance *a = advance_of(c, w->partition);

		ledger_array_i64(&col.b[0], w->partition);
		ledger_array_i64(&col.b[1], a->segment.segment);
		ledger_array_i64(&col.b[2], a->generation);
		ledger_array_i64(&col.b[3], w->offset);
		ledger_array_i64_or_null(&col.b[4], w->producer_id, !w->named);
		ledger_array_i64_or_null(&col.b[5], w->epoch, !w->named);
		ledger_array_i64_or_null(&col.b[6], w->nonce, !w->named);
		ledger_array_i64_or_null(&col.b[7], w->lane, !w->named);
		ledger_array_i64_or_null(&col.b[8], (int64_t)w->seq, !w->named);
		ledger_array_text(&col.b[9], w->what);
	}
	args_key(&args, &c->key);
	ledger_columns_args(&col, &args);
	r = pg_query(ledger_pg(l),
		"insert into mqaudit.witness_corrupted (run_id, side, isolation, partition, segment, "
		"generation, \"offset\", producer_id, epoch, nonce, lane, seq, what) "
		"select $1::int8, $2::mqaudit.side_kind, $3::mqaudit.isolation_kind, * from "
		"unnest($4::int8[], $5::int8[], $6::int4[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], "
		"$11::int8[], $12::int8[], $13::text[])",
		&args, PG_TIMEOUT, NULL, e);
	ledger_columns_release(&col);
	return r;
}

static int commit_folds(struct ledger *l, const struct witness_commit *c, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct ledger_columns col;
	int r;

	if (c->n_folds == 0)
		return 0;
	ledger_columns_begin(&col, 3);
	for (size_t i = 0; i < c->n_folds; i++) {
		ledger_array_i64(&col.b[0], c->fold[i].partition);
		ledger_array_i64(&col.b[1], c->fold[i].into);
		ledger_array_i64(&col.b[2], c->fold[i].from);
	}
	args_key(&args, &c->key);
	ledger_columns_args(&col, &args);
	r = pg_query(ledger_pg(l),
		"select mqaudit.fold_segments($1::int8, $2::mqaudit.side_kind, $3::mqaudit.isolation_kind, "
		"$4::int8[], $5::int8[], $6::int8[])",
		&args, 4 * PG_TIMEOUT, NULL, e);
	ledger_columns_release(&col);
	return r;
}

static int commit_sample(struct ledger *l, const struct witness_commit *c, struct err *e)
{
	const struct witness_sample *m = c->sample;
	struct pg_args args = PG_ARGS_INIT;
	char at[LEDGER_TIME_LEN], seconds[40];

	if (!m)
		return 0;
	snprintf(seconds, sizeof(seconds), "%.6f", m->seconds);
	pg_arg_i64(&args, c->key.run_id);
	pg_arg_text(&args, m->source);
	pg_arg_text(&args, ledger_time(m->wall_ns, at));
	pg_arg_text(&args, seconds);
	pg_arg_u64(&args, m->read);
	for (int i = 0; i < 3; i++) {
		if (m->max_ns < 0)
			pg_arg_text(&args, NULL);
		else
			pg_arg_i64(&args, i == 0 ? m->p50_ns : i == 1 ? m->p99_ns : m->max_ns);
	}
	return pg_query(ledger_pg(l),
		"insert into mqaudit.sample (run_id, source, at, seconds, read, p50_ns, p99_ns, max_ns) "
		"values ($1, $2, $3, $4, $5, $6, $7, $8)",
		&args, PG_TIMEOUT, NULL, e);
}

int witnessed_checker(struct ledger *l, const struct witness_key *k, int64_t owner,
	const struct witness_checker *c, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct buf latency;
	int r;

	buf_init(&latency, 65536);
	ledger_histogram_text(&latency, c->latency);
	args_key(&args, k);
	pg_arg_i64(&args, owner);
	pg_arg_text(&args, c->host);
	pg_arg_i64(&args, c->pid);
	pg_arg_u64(&args, c->read);
	pg_arg_i64(&args, c->read_ns / NS_PER_MS);
	pg_arg_text(&args, buf_str(&latency));
	pg_arg_text(&args, c->ended ? "true" : "false");
	r = pg_query(ledger_pg(l),
		"insert into mqaudit.checker as c (run_id, side, isolation, owner, host, pid, read, read_ms, "
		"latency, ended) values ($1, $2::mqaudit.side_kind, $3::mqaudit.isolation_kind, $4, $5, $6, $7, "
		"$8, $9::int8[], case when $10::bool then clock_timestamp() end) "
		"on conflict (run_id, owner) do update set heard = clock_timestamp(), read = excluded.read, "
		"read_ms = excluded.read_ms, latency = excluded.latency, ended = excluded.ended",
		&args, PG_TIMEOUT, NULL, e);
	buf_release(&latency);
	return r;
}

int witnessed_commit(struct ledger *l, const struct witness_commit *c, struct err *e)
{
	struct err ignored;
	int r = pg_begin(ledger_pg(l), NULL, PG_TIMEOUT, e);

	if (r)
		return r;
	r = commit_positions(l, c, e);
	if (r == 0)
		r = commit_rows(l, c, e);
	if (r == 0)
		r = commit_damage(l, c, e);
	if (r == 0 && c->writer)
		r = messages_copy(c->writer, l, c->key.run_id, run_side_text(c->key.side),
			isolation_text(c->key.isolation), &c->messages, e);
	if (r == 0)
		r = commit_folds(l, c, e);
	if (r == 0)
		r = commit_sample(l, c, e);
	if (r == 0 && c->checker)
		r = witnessed_checker(l, &c->key, c->owner, c->checker, e);
	if (r == 0)
		r = pg_commit(ledger_pg(l), PG_TIMEOUT, e);
	else
		err_ignore(pg_rollback(ledger_pg(l), PG_TIMEOUT, &ignored));
	if (c->writer)
		messages_ended(c->writer, r == 0);
	return r;
}

int witnessed_segment(struct ledger *l, const struct witness_key *k, int32_t partition,
	int64_t owner, int64_t *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	args_key(&args, k);
	pg_arg_i64(&args, partition);
	pg_arg_i64(&args, owner);
	r = pg_query(ledger_pg(l),
		"select segment from mqaudit.witness_position where " KEY_WHERE
		" and partition = $4 and owner = $5",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows) == 1)
		*ret = pg_rows_i64(rows, 0, 0);
	else
		r = taken_over(e);
	pg_rows_free(rows);
	return r;
}

/* ---- generations ----------------------------------------------------------------------------- */

static int begin_generation(struct ledger *l, const struct witness_key *k, int64_t owner,
	const struct witness_generation *g, struct err *e)
{
	static const char *const tables[][2] = {{"segment", "end_offset - 1"},
		{"witness", "first_offset"}, {"witness_corrupted", "\"offset\""}};
	struct pg_args args = PG_ARGS_INIT;
	char sql[512];
	int r;

	args_key(&args, k);
	pg_arg_i64(&args, g->partition);
	pg_arg_i64(&args, owner);
	pg_arg_i64(&args, g->generation);
	pg_arg_i64(&args, g->next_offset);
	pg_arg_i64(&args, g->segment);
	r = change_one(l,
		"update mqaudit.witness_position set generation = $6::int4, next_offset = $7, "
		"heard = clock_timestamp() where " KEY_WHERE " and partition = $4 and owner = $5 "
		"and segment = $8 and generation = $6::int4 - 1",
		&args, e);
	args = (struct pg_args)PG_ARGS_INIT;
	args_key(&args, k);
	pg_arg_i64(&args, g->partition);
	pg_arg_i64(&args, g->generation);
	pg_arg_i64(&args, g->next_offset);
	pg_arg_text(&args, g->cause);
	pg_arg_text(&args, g->why);
	pg_arg_i64(&args, g->from_offset);
	pg_arg_i64(&args, g->to_offset);
	/* single messages know no segments, which are folded: the stretch of them tells what is history */
	if (r == 0)
		r = pg_query(ledger_pg(l),
			"insert into mqaudit.generation (run_id, side, isolation, partition, generation, "
			"cause, first_offset, why, history_from, history_to) values ($1, "
			"$2::mqaudit.side_kind, $3::mqaudit.isolation_kind, $4, $5, $7, $6, $8, $9, $10)",
			&args, PG_TIMEOUT, NULL, e);
	args = (struct pg_args)PG_ARGS_INIT;
	args_key(&args, k);
	pg_arg_i64(&args, g->partition);
	pg_arg_i64(&args, g->generation);
	pg_arg_i64(&args, g->from_offset);
	pg_arg_i64(&args, g->to_offset);
	/* a cut reaches also what a sweep had put aside: it was in the log until then */
	for (size_t i = 0; r == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
		snprintf(sql, sizeof(sql),
			"update mqaudit.%s set superseded = $5::int4 where " KEY_WHERE
			" and partition = $4 and %s >= $6 and %s < $7 and superseded is null",
			tables[i][0], tables[i][1], tables[i][1]);
		r = pg_query(ledger_pg(l), sql, &args, 4 * PG_TIMEOUT, NULL, e);
	}
	return r;
}

int witnessed_begin_generation(struct ledger *l, const struct witness_key *k, int64_t owner,
	const struct witness_generation *g, struct err *e)
{
	struct err ignored;
	int r = pg_begin(ledger_pg(l), NULL, PG_TIMEOUT, e);

	if (r)
		return r;
	r = begin_generation(l, k, owner, g, e);
	if (r == 0)
		return pg_commit(ledger_pg(l), PG_TIMEOUT, e);
	err_ignore(pg_rollback(ledger_pg(l), PG_TIMEOUT, &ignored));
	return r;
}

int witnessed_inconsistent(struct ledger *l, const struct witness_key *k, int32_t partition,
	int64_t owner, int64_t offset, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	args_key(&args, k);
	pg_arg_i64(&args, partition);
	pg_arg_i64(&args, owner);
	pg_arg_i64(&args, offset);
	return change_one(l,
		"insert into mqaudit.witness_inconsistent as i (run_id, side, isolation, partition, "
		"\"offset\", generation) select run_id, side, isolation, partition, $6::int8, generation "
		"from mqaudit.witness_position where " KEY_WHERE
		" and partition = $4 and owner = $5 "
		"on conflict (run_id, side, isolation, partition, \"offset\") "
		"do update set generation = i.generation",
		&args, e);
}

int witnessed_inconsistents(struct ledger *l, const struct witness_key *k, int32_t partition,
	int64_t **ret, size_t *ret_n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int64_t *list;
	size_t n;
	int r;

	args_key(&args, k);
	pg_arg_i64(&args, partition);
	r = pg_query(ledger_pg(l),
		"select \"offset\" from mqaudit.witness_inconsistent where " KEY_WHERE
		" and partition = $4 order by 1",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	n = (size_t)pg_rows_n(rows);
	list = calloc(n + 1, sizeof(*list));
	for (size_t i = 0; list && i < n; i++)
		list[i] = pg_rows_i64(rows, (int)i, 0);
	pg_rows_free(rows);
	if (!list)
		return err_set(e, ERR_NOMEM, "out of memory");
	*ret = list;
	*ret_n = n;
	return 0;
}

int witnessed_fold_outcomes(struct ledger *l, int64_t run_id, int seconds, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT, run = PG_ARGS_INIT;
	int r;

	pg_arg_i64(&run, run_id);
	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, seconds);
	r = pg_query(ledger_pg(l),
		"select mqaudit.fold_outcomes($1::int8, make_interval(secs => $2::int8))", &args,
		4 * PG_TIMEOUT, NULL, e);
	if (r == 0)
		r = pg_query(ledger_pg(l), "select mqaudit.fold_samples($1::int8)", &run,
			4 * PG_TIMEOUT, NULL, e);
	if (r)
		return r;
	/* what was folded makes room for what comes; whoever is not the tables' owner only gets a warning */
	return pg_exec(ledger_pg(l),
		"vacuum (skip_locked) mqaudit.outcome, mqaudit.intent, mqaudit.witness, "
		"mqaudit.segment, mqaudit.sample",
		4 * PG_TIMEOUT, e);
}
