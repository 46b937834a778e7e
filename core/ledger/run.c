#include "core/ledger/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"

#define RUN_COLUMNS                                                                                \
	"run_id, name, destination, broker, lab, target, target_lab, promise, fail_on, allow, "    \
	"transactional, keys, ended is not null, "                                                 \
	"(extract(epoch from started) * 1000000)::int8, (extract(epoch from ended) * 1000000)::int8"

const char *run_side_text(enum run_side side)
{
	return side == RUN_SOURCE ? "source" : "target";
}

char *run_id_text(int64_t id, char buf[RUN_ID_LEN])
{
	snprintf(buf, RUN_ID_LEN, "%016llx", (unsigned long long)id);
	return buf;
}

static bool looks_like_id(const char *name)
{
	return strlen(name) == RUN_ID_LEN - 1 && strspn(name, "0123456789abcdef") == RUN_ID_LEN - 1;
}

int run_check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);
	bool good = len > 0 && *name != '-';

	if (len > RUN_NAME_MAX)
		return err_set(e, ERR_USAGE, "a run's name of %zu bytes is too long, at most %d",
			len, RUN_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		good &= name[i] > ' ' && name[i] < 0x7f;
	if (!good) {
		err_set(e, ERR_USAGE, "'%s' is no name for a run", name);
		return err_hint(e, "letters, digits and signs without blanks, such as orders-1");
	}
	if (looks_like_id(name))
		return err_set(e, ERR_USAGE, "'%s' would be taken for the id of a run", name);
	return 0;
}

static void copy(char *to, size_t len, const struct pg_rows *rows, int row, int column)
{
	snprintf(to, len, "%s", pg_rows_text(rows, row, column));
}

static void read_run(const struct pg_rows *rows, int row, struct run *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->id = pg_rows_i64(rows, row, 0);
	copy(ret->name, sizeof(ret->name), rows, row, 1);
	copy(ret->destination, sizeof(ret->destination), rows, row, 2);
	copy(ret->broker, sizeof(ret->broker), rows, row, 3);
	copy(ret->lab, sizeof(ret->lab), rows, row, 4);
	copy(ret->target, sizeof(ret->target), rows, row, 5);
	copy(ret->target_lab, sizeof(ret->target_lab), rows, row, 6);
	copy(ret->promise, sizeof(ret->promise), rows, row, 7);
	copy(ret->fail_on, sizeof(ret->fail_on), rows, row, 8);
	copy(ret->allow, sizeof(ret->allow), rows, row, 9);
	ret->transactional = pg_rows_bool(rows, row, 10);
	copy(ret->keys, sizeof(ret->keys), rows, row, 11);
	ret->ended = pg_rows_bool(rows, row, 12);
	ret->started_wall_ns = pg_rows_i64(rows, row, 13) * NS_PER_US;
	ret->ended_wall_ns = pg_rows_i64(rows, row, 14) * NS_PER_US;
}

/* One run by a where clause; ERR_NOTFOUND without a message when there is none. */
static int select_run(
	struct ledger *l, const char *where, const char *value, struct run *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	char sql[600];
	int r;

	snprintf(sql, sizeof(sql), "select " RUN_COLUMNS " from mqaudit.run where %s", where);
	if (value)
		pg_arg_text(&args, value);
	r = pg_query(ledger_pg(l), sql, &args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows) == 0)
		r = ERR_NOTFOUND;
	else if (pg_rows_n(rows) > 1)
		r = ERR_LIMIT;
	else
		read_run(rows, 0, ret);
	pg_rows_free(rows);
	return r;
}

static int insert_starts(struct ledger *l, int64_t run_id, enum run_side side, const int64_t *start,
	size_t n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct buf list;
	int r;

	if (n == 0)
		return 0;
	buf_init(&list, BUF_MAX_DEFAULT);
	ledger_array_begin(&list);
	for (size_t i = 0; i < n; i++)
		ledger_array_i64(&list, start[i]);
	pg_arg_i64(&args, run_id);
	pg_arg_text(&args, run_side_text(side));
	pg_arg_text(&args, ledger_array_end(&list));
	r = pg_query(ledger_pg(l),
		"insert into mqaudit.run_partition (run_id, side, partition, start_offset) "
		"select $1::int8, $2::mqaudit.side_kind, n - 1, s "
		"from unnest($3::int8[]) with ordinality as u (s, n)",
		&args, PG_TIMEOUT, NULL, e);
	buf_release(&list);
	return r;
}

static int insert_run(struct ledger *l, const struct run_spec *s, bool *ret_made, struct err *e)
{
	int64_t id = (int64_t)(rng_system() >> 1 | 1);
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, id);
	pg_arg_text(&args, s->name);
	pg_arg_text(&args, s->name_base);
	pg_arg_text(&args, s->destination);
	pg_arg_text(&args, s->broker);
	pg_arg_text(&args, s->lab);
	pg_arg_text(&args, s->target);
	pg_arg_text(&args, s->target_lab);
	pg_arg_text(&args, s->promise);
	pg_arg_text(&args, s->fail_on ? s->fail_on : "");
	pg_arg_text(&args, s->allow ? s->allow : "");
	pg_arg_text(&args, s->transactional ? "true" : "false");
	pg_arg_text(&args, s->keys ? s->keys : "none");
	/* the table lock makes the next free number of a base unique; runs are made seldom */
	r = pg_exec(
		ledger_pg(l), "lock table mqaudit.run in share row exclusive mode", PG_TIMEOUT, e);
	if (r == 0)
		r = pg_query(ledger_pg(l),
			"insert into mqaudit.run (run_id, name, destination, broker, lab, target, "
			"target_lab, promise, fail_on, allow, transactional, keys) "
			"select $1::int8, coalesce($2, $3 || '-' || (1 + coalesce((select "
			"max(substring(name from length($3) + 2)::int8) from mqaudit.run where left(name, "
			"length($3) + 1) = $3 || '-' and substring(name from length($3) + 2) ~ "
			"'^[0-9]{1,9}$'), 0))), $4, $5, $6, $7, $8, $9, $10, $11, $12::bool, $13 "
			"on conflict (name) do nothing",
			&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret_made = pg_rows_changed(rows) == 1;
	pg_rows_free(rows);
	if (*ret_made)
		r = insert_starts(l, id, RUN_SOURCE, s->source_start, s->n_source, e);
	if (*ret_made && r == 0)
		r = insert_starts(l, id, RUN_TARGET, s->target_start, s->n_target, e);
	if (*ret_made && r == 0) {
		char text[24];

		/* the caller reads it back by this id: a made name is not known to it */
		snprintf(text, sizeof(text), "%lld", (long long)id);
		args = (struct pg_args)PG_ARGS_INIT;
		pg_arg_text(&args, text);
		r = pg_query(ledger_pg(l), "select set_config('mqaudit.made', $1, false)", &args,
			PG_TIMEOUT, NULL, e);
	}
	return r;
}

static int check_joined(const struct run *run, const struct run_spec *s, struct err *e)
{
	if (run->ended) {
		err_set(e, ERR_STATE, "run '%s' has ended", run->name);
		return err_hint(e,
			"give the new run another name, or remove the old one: "
			"mqaudit runs delete %s",
			run->name);
	}
	if (strcmp(run->destination, s->destination) != 0)
		return err_set(e, ERR_STATE, "run '%s' is about %s", run->name, run->destination);
	return 0;
}

int run_make(struct ledger *l, const struct run_spec *spec, struct run *ret, bool *ret_made,
	struct err *e)
{
	struct err ignored;
	int r;

	r = pg_begin(ledger_pg(l), NULL, PG_TIMEOUT, e);
	if (r)
		return r;
	r = insert_run(l, spec, ret_made, e);
	if (r == 0)
		r = pg_commit(ledger_pg(l), PG_TIMEOUT, e);
	else
		err_ignore(pg_rollback(ledger_pg(l), PG_TIMEOUT, &ignored));
	if (r)
		return err_wrap(e, "cannot make the run");
	if (*ret_made)
		return select_run(
			l, "run_id = current_setting('mqaudit.made')::int8", NULL, ret, e);
	r = select_run(l, "name = $1", spec->name, ret, e);
	if (r == ERR_NOTFOUND)
		return err_set(e, ERR_NOTFOUND, "run '%s' was removed this moment", spec->name);
	return r ? r : check_joined(ret, spec, e);
}

int run_find(struct ledger *l, const char *name_or_id, struct run *ret, struct err *e)
{
	int r = select_run(l, "name = $1", name_or_id, ret, e);

	if (r == ERR_NOTFOUND && looks_like_id(name_or_id)) {
		char text[24];

		snprintf(text, sizeof(text), "%llu", strtoull(name_or_id, NULL, 16));
		r = select_run(l, "run_id = $1::numeric", text, ret, e);
	}
	if (r == ERR_NOTFOUND) {
		err_set(e, r, "there is no run '%s' in the ledger", name_or_id);
		err_hint(e, "mqaudit runs lists them");
	}
	return r;
}

int run_find_open(struct ledger *l, struct run *ret, struct err *e)
{
	int r = select_run(l, "ended is null", NULL, ret, e);

	if (r == ERR_NOTFOUND)
		return err_set(e, r, "no run is open in the ledger");
	if (r == ERR_LIMIT) {
		err_set(e, ERR_USAGE, "several runs are open");
		return err_hint(e, "choose one with --run NAME; mqaudit runs lists them");
	}
	return r;
}

int run_find_newest(struct ledger *l, struct run *ret, struct err *e)
{
	int r = select_run(l, "true order by started desc limit 1", NULL, ret, e);

	return r == ERR_NOTFOUND ? err_set(e, r, "there is no run in the ledger") : r;
}

int run_delete(struct ledger *l, int64_t run_id, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, run_id);
	return pg_query(ledger_pg(l), "delete from mqaudit.run where run_id = $1", &args,
		20 * PG_TIMEOUT, NULL, e);
}

int run_set_transactional(struct ledger *l, int64_t run_id, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, run_id);
	return pg_query(ledger_pg(l),
		"update mqaudit.run set transactional = true where run_id = $1", &args, PG_TIMEOUT,
		NULL, e);
}

int run_starts(struct ledger *l, int64_t run_id, enum run_side side, int64_t **ret, size_t *ret_n,
	struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int64_t *start;
	size_t n = 0;
	int r;

	pg_arg_i64(&args, run_id);
	pg_arg_text(&args, run_side_text(side));
	r = pg_query(ledger_pg(l),
		"select partition, start_offset from mqaudit.run_partition "
		"where run_id = $1 and side = $2::mqaudit.side_kind order by partition",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows))
		n = (size_t)pg_rows_i64(rows, pg_rows_n(rows) - 1, 0) + 1;
	start = malloc((n + 1) * sizeof(*start));
	if (!start) {
		pg_rows_free(rows);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	for (size_t i = 0; i < n; i++)
		start[i] = -1;
	for (int i = 0; i < pg_rows_n(rows); i++)
		start[pg_rows_i64(rows, i, 0)] = pg_rows_i64(rows, i, 1);
	pg_rows_free(rows);
	*ret = start;
	*ret_n = n;
	return 0;
}

int run_put_settings(struct ledger *l, int64_t run_id, const char *scope, const char *const *names,
	const char *const *values, size_t n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct buf a, b;
	int r;

	buf_init(&a, BUF_MAX_DEFAULT);
	buf_init(&b, BUF_MAX_DEFAULT);
	ledger_array_begin(&a);
	ledger_array_begin(&b);
	for (size_t i = 0; i < n; i++) {
		ledger_array_text(&a, names[i]);
		ledger_array_text(&b, values[i]);
	}
	pg_arg_i64(&args, run_id);
	pg_arg_text(&args, scope);
	pg_arg_text(&args, ledger_array_end(&a));
	pg_arg_text(&args, ledger_array_end(&b));
	r = pg_query(ledger_pg(l),
		"insert into mqaudit.setting (run_id, scope, name, value) "
		"select distinct on (n) $1::int8, $2, n, v from unnest($3::text[], $4::text[]) as u (n, v) "
		"on conflict (run_id, scope, name) do update set value = excluded.value",
		&args, PG_TIMEOUT, NULL, e);
	buf_release(&a);
	buf_release(&b);
	return r;
}

int run_get_setting(struct ledger *l, int64_t run_id, const char *scope, const char *name,
	char *ret, size_t len, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	ret[0] = '\0';
	pg_arg_i64(&args, run_id);
	pg_arg_text(&args, scope);
	pg_arg_text(&args, name);
	r = pg_query(ledger_pg(l),
		"select value from mqaudit.setting where run_id = $1 and scope = $2 and name = $3",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows))
		copy(ret, len, rows, 0, 0);
	pg_rows_free(rows);
	return 0;
}

int run_event(struct ledger *l, int64_t run_id, const char *lab, int64_t at_wall_ns,
	int64_t until_wall_ns, const char *source, const char *kind, const char *subject,
	const char *detail, int64_t *ret_id, struct err *e)
{
	char at[LEDGER_TIME_LEN], until[LEDGER_TIME_LEN];
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	if (run_id)
		pg_arg_i64(&args, run_id);
	else
		pg_arg_text(&args, NULL);
	pg_arg_text(&args, lab);
	pg_arg_text(&args, ledger_time(at_wall_ns, at));
	pg_arg_text(&args, until_wall_ns ? ledger_time(until_wall_ns, until) : NULL);
	pg_arg_text(&args, source);
	pg_arg_text(&args, kind);
	pg_arg_text(&args, subject ? subject : "");
	pg_arg_text(&args, detail ? detail : "");
	r = pg_query(ledger_pg(l),
		"insert into mqaudit.event (run_id, lab, at, until, source, kind, subject, detail) "
		"values ($1, $2, $3, $4, $5, $6, $7, $8) returning event_id",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (ret_id)
		*ret_id = pg_rows_i64(rows, 0, 0);
	pg_rows_free(rows);
	return 0;
}
