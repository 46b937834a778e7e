#include "core/ledger/gc.h"

#include <stdio.h>

#include "core/clock.h"

#define STEP_TIMEOUT (3600 * NS_PER_S) /* for all that belongs to one run */

/* r is a run and $1 a number of days: it is closed, and nobody has touched it for so long. */
#define IS_OLD                                                                                     \
	"r.ended is not null and greatest(r.ended, "                                               \
	"(select max(w.heard) from mqaudit.witness_position w where w.run_id = r.run_id), "        \
	"(select max(c.heard) from mqaudit.checker c where c.run_id = r.run_id), "                 \
	"(select max(p.heard) from mqaudit.producer p where p.run_id = r.run_id)) "                \
	"< clock_timestamp() - make_interval(days => $1::int4)"

int gc_size(struct ledger *l, uint64_t *ret_bytes, struct err *e)
{
	struct pg_rows *rows = NULL;
	int r = pg_query(ledger_pg(l),
		"select coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 from pg_class c "
		"where c.relnamespace = 'mqaudit'::regnamespace and c.relkind in ('r', 'p')",
		NULL, PG_TIMEOUT, &rows, e);

	if (r == 0)
		*ret_bytes = pg_rows_u64(rows, 0, 0);
	pg_rows_free(rows);
	return r;
}

/* Remove one run if it is still old. */
static int remove_one(
	struct ledger *l, uint64_t days, int64_t run_id, bool *ret_gone, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_u64(&args, days);
	pg_arg_i64(&args, run_id);
	r = pg_query(ledger_pg(l), "delete from mqaudit.run r where r.run_id = $2 and " IS_OLD,
		&args, STEP_TIMEOUT, &rows, e);
	if (r == 0)
		*ret_gone = pg_rows_changed(rows) == 1;
	pg_rows_free(rows);
	return r;
}

int gc_remove_old(struct ledger *l, uint64_t days,
	int (*each)(const char *name, const char *ended, void *arg, struct err *e), void *arg,
	struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	if (days > GC_MAX_DAYS)
		return err_set(e, ERR_USAGE, "at most %u days", GC_MAX_DAYS);
	pg_arg_u64(&args, days);
	r = pg_query(ledger_pg(l),
		"select r.run_id, r.name, to_char(r.ended at time zone 'UTC', 'YYYY-MM-DD HH24:MI') "
		"from mqaudit.run r where " IS_OLD " order by r.ended, r.run_id",
		&args, 4 * PG_TIMEOUT, &rows, e);
	for (int i = 0; r == 0 && i < pg_rows_n(rows); i++) {
		bool gone = false;

		r = remove_one(l, days, pg_rows_i64(rows, i, 0), &gone, e);
		if (r == 0 && gone)
			r = each(pg_rows_text(rows, i, 1), pg_rows_text(rows, i, 2), arg, e);
	}
	pg_rows_free(rows);
	return r;
}

int gc_fold(struct ledger *l, uint64_t *ret_runs, uint64_t *ret_rows, struct err *e)
{
	struct pg_rows *runs = NULL;
	int r = pg_query(ledger_pg(l),
		"select run_id from mqaudit.run where ended is not null order by ended, run_id",
		NULL, 4 * PG_TIMEOUT, &runs, e);

	*ret_runs = *ret_rows = 0;
	for (int i = 0; r == 0 && i < pg_rows_n(runs); i++) {
		struct pg_args args = PG_ARGS_INIT;
		uint64_t folded = 0;

		pg_arg_text(&args, pg_rows_text(runs, i, 0));
		/* a call folds what it can in a few seconds */
		do {
			struct pg_rows *rows = NULL;

			r = pg_query(ledger_pg(l),
				"select mqaudit.fold_outcomes($1::int8, interval '0')", &args,
				STEP_TIMEOUT, &rows, e);
			folded = r == 0 ? pg_rows_u64(rows, 0, 0) : 0;
			*ret_rows += folded;
			pg_rows_free(rows);
		} while (folded > 0);
		*ret_runs += r == 0;
	}
	pg_rows_free(runs);
	return r;
}

int gc_vacuum(struct ledger *l, struct err *e)
{
	struct pg_rows *rows = NULL;
	struct buf sql;
	int r = pg_query(ledger_pg(l),
		"select string_agg(format('mqaudit.%I', relname), ', ') from pg_class "
		"where relnamespace = 'mqaudit'::regnamespace and relkind = 'r' "
		/* not those of single messages: nothing changes there, and they go with their runs */
		"and oid not in (select inhrelid from pg_inherits)",
		NULL, PG_TIMEOUT, &rows, e);

	if (r)
		return r;
	buf_init(&sql, 65536);
	buf_printf(&sql, "vacuum (analyze) %s", pg_rows_text(rows, 0, 0));
	pg_rows_free(rows);
	r = buf_failed(&sql);
	if (r)
		err_set(e, r, "cannot hold the names of all tables");
	else
		r = pg_exec(ledger_pg(l), buf_str(&sql), GC_VACUUM_TIMEOUT, e);
	buf_release(&sql);
	return r;
}
