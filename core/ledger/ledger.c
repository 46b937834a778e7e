#include "core/ledger/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/ledger/pg_text.h"
#include "core/ledger/server.h"
#include "sql_data.h"

#define OPEN_TIMEOUT (10 * NS_PER_S)
/* Text of functions and views changed? Then they are made again; two programs must not do it at once. */
#define MIGRATION_LOCK "6157392013"

struct ledger {
	struct pg *pg;
	char *url;      /* as given; NULL: the embedded server */
	char *conninfo; /* what is connected to */
	char where[512];
};

static uint64_t text_hash(const char *s)
{
	uint64_t h = 1469598103934665603u;

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 1099511628211u;
	return h;
}

/* What meta says under a name: "" when there is none, or no schema at all. */
static int read_meta(struct pg *pg, const char *name, char *ret, size_t len, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	ret[0] = '\0';
	r = pg_query(
		pg, "select to_regclass('mqaudit.meta') is not null", NULL, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (!pg_rows_bool(rows, 0, 0)) {
		pg_rows_free(rows);
		return 0;
	}
	pg_rows_free(rows);
	pg_arg_text(&args, name);
	r = pg_query(
		pg, "select value from mqaudit.meta where name = $1", &args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows))
		snprintf(ret, len, "%s", pg_rows_text(rows, 0, 0));
	pg_rows_free(rows);
	return 0;
}

/* The schema as it was first, and what each version after it changed: step v - 1 makes version v. */
static const char *const steps[] = {SQL_SCHEMA, SQL_SCHEMA_2, SQL_SCHEMA_3};
_Static_assert(sizeof(steps) / sizeof(steps[0]) == LEDGER_SCHEMA_VERSION, "one step a version");

static int take_steps(struct pg *pg, const char *version, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	long from = strtol(version, NULL, 10);
	int r = 0;

	for (long v = from < 0 ? 0 : from; r == 0 && v < LEDGER_SCHEMA_VERSION; v++)
		r = pg_exec(pg, steps[v], PG_TIMEOUT, e);
	pg_arg_i64(&args, LEDGER_SCHEMA_VERSION);
	return r ? r
		 : pg_query(pg,
			   "update mqaudit.meta set value = $1 where name = 'schema_version' "
			   "and value::int4 < $1::int4",
			   &args, PG_TIMEOUT, NULL, e);
}

static int migrate_locked(struct pg *pg, const char *hash, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	char version[32];
	int r = pg_exec(pg, "select pg_advisory_xact_lock(" MIGRATION_LOCK ")", PG_TIMEOUT, e);

	if (r == 0)
		r = read_meta(pg, "schema_version", version, sizeof(version), e);
	if (r == 0)
		r = take_steps(pg, version, e);
	if (r == 0)
		r = pg_exec(pg, SQL_FUNCTIONS, PG_TIMEOUT, e);
	if (r == 0)
		r = pg_exec(pg, SQL_JUDGE_STORE, PG_TIMEOUT, e);
	if (r == 0)
		r = pg_exec(pg, SQL_JUDGE_PLACES, PG_TIMEOUT, e);
	if (r == 0)
		r = pg_exec(pg, SQL_JUDGE_RELAY, PG_TIMEOUT, e);
	if (r == 0)
		r = pg_exec(pg, SQL_JUDGE_REMOVALS, PG_TIMEOUT, e);
	if (r == 0)
		r = pg_exec(pg, SQL_JUDGE, PG_TIMEOUT, e);
	if (r == 0)
		r = pg_exec(pg, SQL_VIEWS, PG_TIMEOUT, e);
	if (r)
		return r;
	pg_arg_text(&args, hash);
	return pg_query(pg,
		"insert into mqaudit.meta (name, value) values ('functions', $1) "
		"on conflict (name) do update set value = excluded.value",
		&args, PG_TIMEOUT, NULL, e);
}

static int migrate(struct pg *pg, const char *hash, struct err *e)
{
	struct err ignored;
	int r = pg_begin(pg, NULL, PG_TIMEOUT, e);

	if (r)
		return r;
	r = migrate_locked(pg, hash, e);
	if (r == 0)
		return pg_commit(pg, PG_TIMEOUT, e);
	err_ignore(pg_rollback(pg, PG_TIMEOUT, &ignored));
	err_wrap(e, "cannot bring the ledger's schema up to date");
	return r;
}

static int check_schema(struct ledger *l, struct err *e)
{
	char version[32], functions[40], hash[40];
	int r;

	snprintf(hash, sizeof(hash), "%016llx",
		(unsigned long long)(text_hash(SQL_FUNCTIONS) ^ text_hash(SQL_VIEWS) * 3 ^
				     text_hash(SQL_JUDGE) * 5 ^ text_hash(SQL_JUDGE_RELAY) * 7 ^
				     text_hash(SQL_JUDGE_STORE) * 11 ^
				     text_hash(SQL_JUDGE_PLACES) * 13 ^
				     text_hash(SQL_JUDGE_REMOVALS) * 17));
	r = read_meta(l->pg, "schema_version", version, sizeof(version), e);
	if (r == 0)
		r = read_meta(l->pg, "functions", functions, sizeof(functions), e);
	if (r)
		return r;
	if (version[0] && strtol(version, NULL, 10) > LEDGER_SCHEMA_VERSION) {
		err_set(e, ERR_STATE, "it has schema version %s, this program knows %d", version,
			LEDGER_SCHEMA_VERSION);
		return err_hint(e, "use the newer mqaudit that made it, or another ledger");
	}
	if (strtol(version, NULL, 10) < LEDGER_SCHEMA_VERSION || strcmp(functions, hash) != 0)
		r = migrate(l->pg, hash, e);
	return r;
}

static int connect_now(struct ledger *l, struct err *e)
{
	struct buf info;
	int r = 0;

	if (!l->url) {
		buf_init(&info, 4096);
		r = ledger_server_ensure(&info, e);
		if (r == 0) {
			free(l->conninfo);
			l->conninfo = buf_take(&info);
			if (!l->conninfo)
				r = err_set(e, ERR_NOMEM, "out of memory");
		}
		buf_release(&info);
		if (r)
			return r;
	}
	r = pg_open(l->pg, l->url ? l->url : l->conninfo, OPEN_TIMEOUT, e);
	if (r)
		return r;
	/*
	 * A client that is frozen within a transaction holds its locks: the server ends that before
	 * whoever takes over has waited PG_TIMEOUT for them.
	 */
	return pg_exec(l->pg,
		"set client_min_messages = warning; set timezone = 'UTC'; set synchronous_commit = on; "
		"set bytea_output = hex; set application_name = 'mqaudit'; "
		"set idle_in_transaction_session_timeout = '8s'",
		PG_TIMEOUT, e);
}

int ledger_open(const char *url, struct ledger **ret, struct err *e)
{
	struct ledger *l = calloc(1, sizeof(*l));
	const char *env = getenv("MQAUDIT_LEDGER");
	int r;

	if (!l)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (!url && env && *env)
		url = env;
	l->pg = pg_new();
	l->url = url ? strdup(url) : NULL;
	if (!l->pg || (url && !l->url)) {
		ledger_close(l);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	if (url)
		pg_redact_url(url, l->where, sizeof(l->where));
	else
		snprintf(l->where, sizeof(l->where), "(embedded)");
	r = connect_now(l, e);
	if (r == ERR_LEDGER_AWAY && url)
		err_hint(
			e, "check --ledger (or MQAUDIT_LEDGER), and that PostgreSQL answers there");
	if (r == 0) {
		r = check_schema(l, e);
		if (r)
			err_wrap(e, "ledger %s", l->where);
		if (r == ERR_DENIED)
			err_hint(e,
				"its user must own the schema mqaudit there, or be allowed to make it");
	}
	if (r) {
		ledger_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	pg_free(l->pg);
	free(l->url);
	free(l->conninfo);
	free(l);
}

struct pg *ledger_pg(struct ledger *l)
{
	return l->pg;
}

int ledger_reconnect(struct ledger *l, struct err *e)
{
	return pg_is_open(l->pg) ? 0 : connect_now(l, e);
}

const char *ledger_where(const struct ledger *l)
{
	return l->where;
}

const char *ledger_url(const struct ledger *l)
{
	return l->url;
}

void ledger_array_begin(struct buf *b)
{
	buf_clear(b);
	buf_char(b, '{');
}

static void separate(struct buf *b)
{
	if (b->len > 1)
		buf_char(b, ',');
}

void ledger_array_i64(struct buf *b, int64_t v)
{
	separate(b);
	buf_i64(b, v);
}

void ledger_array_null(struct buf *b)
{
	separate(b);
	buf_str_add(b, "NULL");
}

void ledger_array_text(struct buf *b, const char *s)
{
	separate(b);
	buf_char(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_char(b, '\\');
		buf_char(b, *s);
	}
	buf_char(b, '"');
}

void ledger_array_time(struct buf *b, int64_t wall_ns)
{
	char text[LEDGER_TIME_LEN];

	separate(b);
	buf_char(b, '"');
	buf_str_add(b, ledger_time(wall_ns, text));
	buf_char(b, '"');
}

const char *ledger_array_end(struct buf *b)
{
	buf_char(b, '}');
	return buf_str(b);
}

void ledger_array_i64_or_null(struct buf *b, int64_t v, bool null)
{
	if (null)
		ledger_array_null(b);
	else
		ledger_array_i64(b, v);
}

void ledger_columns_begin(struct ledger_columns *c, int n)
{
	if (n > LEDGER_COLUMNS_MAX)
		BUG("%d columns", n);
	c->n = n;
	for (int i = 0; i < n; i++) {
		buf_init(&c->b[i], BUF_MAX_DEFAULT);
		ledger_array_begin(&c->b[i]);
	}
}

void ledger_columns_args(struct ledger_columns *c, struct pg_args *a)
{
	for (int i = 0; i < c->n; i++)
		pg_arg_text(a, ledger_array_end(&c->b[i]));
}

void ledger_columns_release(struct ledger_columns *c)
{
	for (int i = 0; i < c->n; i++)
		buf_release(&c->b[i]);
}

void ledger_histogram_text(struct buf *b, const struct hist *h)
{
	const char *between = "";

	buf_char(b, '{');
	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		if (!h->count[i])
			continue;
		buf_printf(b, "%s%zu,%llu", between, i, (unsigned long long)h->count[i]);
		between = ",";
	}
	buf_char(b, '}');
}

const char *ledger_time(int64_t wall_ns, char buf[LEDGER_TIME_LEN])
{
	return clock_iso(wall_ns, buf, LEDGER_TIME_LEN);
}
