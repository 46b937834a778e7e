#include "core/ledger/removed.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"

#define PUT_TIMEOUT (120 * NS_PER_S)
#define DEAD_NUMBERS 7
#define DEAD_COLUMNS (DEAD_NUMBERS + 2)

int removed_put_dead(
	struct ledger *l, int64_t run_id, const struct removed_dead *dead, size_t n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct buf col[DEAD_COLUMNS];
	int r;

	for (int i = 0; i < DEAD_COLUMNS; i++) {
		buf_init(&col[i], BUF_MAX_DEFAULT);
		ledger_array_begin(&col[i]);
	}
	for (size_t i = 0; i < n; i++) {
		const struct removed_dead *d = &dead[i];
		const int64_t number[DEAD_NUMBERS] = {d->producer_id, d->epoch, d->nonce, d->lane,
			d->attempt, (int64_t)d->lo, (int64_t)d->hi};

		for (int k = 0; k < DEAD_NUMBERS; k++)
			ledger_array_i64(&col[k], number[k]);
		ledger_array_text(&col[DEAD_NUMBERS], d->queue);
		ledger_array_text(&col[DEAD_NUMBERS + 1], d->reason);
	}
	pg_arg_i64(&args, run_id);
	for (int i = 0; i < DEAD_COLUMNS; i++)
		pg_arg_text(&args, ledger_array_end(&col[i]));
	r = pg_query(ledger_pg(l),
		"with u as ("
		"select * from unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int4[], $7::int8[], "
		"$8::int8[], $9::text[], $10::text[]) "
		"as t (producer_id, epoch, nonce, lane, attempt, lo, hi, queue, reason)"
		"), known as ("
		"select producer_id, epoch, nonce, lane, attempt, range_agg(int8range(lo, hi, '[]')) as seqs "
		"from mqaudit.dead_letter where run_id = $1::int8 group by 1, 2, 3, 4, 5"
		") insert into mqaudit.dead_letter (run_id, producer_id, epoch, nonce, lane, attempt, lo, hi, queue, "
		"reason) "
		"select $1::int8, producer_id, epoch, nonce, lane, attempt, lower(r), upper(r) - 1, queue, reason "
		"from u left join known k using (producer_id, epoch, nonce, lane, attempt) "
		"cross join lateral unnest(mqaudit.span(u.lo, u.hi) - coalesce(k.seqs, '{}')) r",
		&args, PUT_TIMEOUT, NULL, e);
	for (int i = 0; i < DEAD_COLUMNS; i++)
		buf_release(&col[i]);
	return r;
}

struct each_dead {
	int (*each)(const struct removed_dead *d, void *arg, struct err *e);
	void *arg;
};

static int give_dead(const struct pg_rows *row, void *arg, struct err *e)
{
	const struct each_dead *to = arg;
	const struct removed_dead d = {
		.producer_id = (uint32_t)pg_rows_u64(row, 0, 0),
		.epoch = (uint32_t)pg_rows_u64(row, 0, 1),
		.nonce = (uint32_t)pg_rows_u64(row, 0, 2),
		.lane = (uint32_t)pg_rows_u64(row, 0, 3),
		.attempt = (uint16_t)pg_rows_u64(row, 0, 4),
		.lo = pg_rows_u64(row, 0, 5),
		.hi = pg_rows_u64(row, 0, 6),
		.queue = pg_rows_text(row, 0, 7),
		.reason = pg_rows_text(row, 0, 8),
	};

	return to->each(&d, to->arg, e);
}

int removed_each_dead(struct ledger *l, int64_t run_id,
	int (*each)(const struct removed_dead *d, void *arg, struct err *e), void *arg,
	struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct each_dead to = {each, arg};

	pg_arg_i64(&args, run_id);
	return pg_query_each(ledger_pg(l),
		"select producer_id, epoch, nonce, lane, attempt, lo, hi, queue, reason from mqaudit.dead_letter "
		"where run_id = $1 order by producer_id, epoch, lane, attempt, lo",
		&args, PUT_TIMEOUT, give_dead, &to, e);
}

int removed_put_facts(struct ledger *l, int64_t run_id, uint32_t judgement,
	const struct removed_facts *f, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, judgement);
	pg_arg_text(&args, f->exact ? "true" : "false");
	pg_arg_u64(&args, f->removed);
	pg_arg_u64(&args, f->unroutable);
	pg_arg_text(&args, f->how);
	pg_arg_text(&args, f->excluded);
	pg_arg_text(&args, f->gone);
	return pg_query(ledger_pg(l),
		"insert into mqaudit.removal (run_id, judgement, exact, removed, unroutable, how, excluded, gone) "
		"values ($1, $2, $3::bool, $4, $5, $6, $7, $8) on conflict (run_id, judgement) do update set "
		"exact = excluded.exact, removed = excluded.removed, unroutable = excluded.unroutable, "
		"how = excluded.how, excluded = excluded.excluded, gone = excluded.gone",
		&args, PG_TIMEOUT, NULL, e);
}

int removed_put_counts(struct ledger *l, int64_t run_id, bool before,
	const struct removed_count *count, size_t n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct buf col[4];
	int r;

	for (int i = 0; i < 4; i++) {
		buf_init(&col[i], BUF_MAX_DEFAULT);
		ledger_array_begin(&col[i]);
	}
	for (size_t i = 0; i < n; i++) {
		ledger_array_text(&col[0], count[i].node);
		ledger_array_text(&col[1], count[i].incarnation);
		ledger_array_text(&col[2], count[i].name);
		ledger_array_i64(&col[3], (int64_t)count[i].count);
	}
	pg_arg_i64(&args, run_id);
	pg_arg_text(&args, before ? "before" : "after");
	for (int i = 0; i < 4; i++)
		pg_arg_text(&args, ledger_array_end(&col[i]));
	/* what a later look does not tell any more must not stand there as if it did */
	r = pg_query(ledger_pg(l),
		"with u as (select * from unnest($3::text[], $4::text[], $5::text[], $6::int8[]) "
		"as t (node, incarnation, name, count)), gone as ("
		"delete from mqaudit.drop_count d where run_id = $1::int8 and moment = $2 and moment = 'after' "
		"and not exists (select from u where u.node = d.node and u.name = d.name)) "
		"insert into mqaudit.drop_count as d (run_id, moment, node, incarnation, name, count) "
		"select $1::int8, $2, node, incarnation, name, count from u "
		"on conflict (run_id, moment, node, name) do update set incarnation = excluded.incarnation, "
		"count = excluded.count, at = clock_timestamp() where d.moment = 'after'",
		&args, PG_TIMEOUT, NULL, e);
	for (int i = 0; i < 4; i++)
		buf_release(&col[i]);
	return r;
}

int removed_difference(struct ledger *l, int64_t run_id, const char *dropped,
	const char *unroutable, struct removed_difference *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	pg_arg_i64(&args, run_id);
	pg_arg_text(&args, dropped);
	pg_arg_text(&args, unroutable);
	r = pg_query(ledger_pg(l),
		"with d as ("
		"select node, name, a.count - b.count as n, a.incarnation = b.incarnation and a.count >= b.count as same "
		"from (select * from mqaudit.drop_count where run_id = $1::int8 and moment = 'before') b "
		"full join (select * from mqaudit.drop_count where run_id = $1::int8 and moment = 'after') a "
		"using (node, name)"
		"), s as (select regexp_replace(name, '^.*\\.', '') as reason, sum(n) as n from d "
		"where starts_with(name, $2) group by 1 having sum(n) > 0) "
		"select coalesce(bool_and(coalesce(same, false)), false), "
		"coalesce(sum(n) filter (where starts_with(name, $2)), 0)::int8, "
		"coalesce(sum(n) filter (where name = $3), 0)::int8, "
		"coalesce((select string_agg(n || ' ' || reason, ', ' order by n desc, reason) from s), '') from d",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	ret->comparable = pg_rows_bool(rows, 0, 0);
	if (ret->comparable) {
		ret->removed = pg_rows_u64(rows, 0, 1);
		ret->unroutable = pg_rows_u64(rows, 0, 2);
		snprintf(ret->how, sizeof(ret->how), "%s", pg_rows_text(rows, 0, 3));
	}
	pg_rows_free(rows);
	return 0;
}

int removed_any_absent(struct ledger *l, int64_t run_id, bool *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, run_id);
	r = pg_query(ledger_pg(l),
		"select exists (select from mqaudit.judge_lanes($1::int8) l left join ("
		"select producer_id, epoch, lane, range_agg(int8range(lo, hi, '[]')) as seen from mqaudit.witness "
		"where run_id = $1::int8 and side = 'source' and superseded is null group by 1, 2, 3) w "
		"on w.producer_id = l.producer_id and w.epoch = l.epoch and w.lane = l.partition "
		"where not isempty(l.intended - l.refused - coalesce(w.seen, '{}')))",
		&args, PUT_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret = pg_rows_bool(rows, 0, 0);
	pg_rows_free(rows);
	return 0;
}

int removed_readers(struct ledger *l, int64_t run_id, uint64_t *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, run_id);
	r = pg_query(ledger_pg(l),
		"select count(*) from mqaudit.checker where run_id = $1 and side = 'source' and read > 0",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret = pg_rows_u64(rows, 0, 0);
	pg_rows_free(rows);
	return 0;
}
