#include "reporters/report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/hist.h"
#include "core/version.h"
#include "sql_data.h"

#define LOAD_TIMEOUT (120 * NS_PER_S)

const struct reporter reporters[] = {
	{"text", "txt", report_text},
	{"json", "json", report_json},
	{NULL, NULL, NULL},
};

const struct reporter *reporter_find(const char *name)
{
	for (const struct reporter *r = reporters; r->name; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

/* ---- members of the document ----------------------------------------------------------------- */

const char *report_member_text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

uint64_t report_member_number(const json_t *o, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(o, name));

	return v > 0 ? (uint64_t)v : 0;
}

uint64_t report_sum(const json_t *doc, const char *kind, const char *stage)
{
	const json_t *sums = json_object_get(doc, "sums"), *s;
	uint64_t n = 0;
	size_t i;

	json_array_foreach(sums, i, s)
	{
		if (strcmp(report_member_text(s, "kind"), kind) == 0 &&
			(!stage || strcmp(report_member_text(s, "stage"), stage) == 0))
			n += report_member_number(s, "count");
	}
	return n;
}

int64_t report_time(const char *iso)
{
	struct tm tm = {0};
	const char *rest = strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ns = 0, unit = NS_PER_S / 10;

	if (!rest)
		return 0;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9' && unit; rest++, unit /= 10)
			ns += (*rest - '0') * unit;
	return (int64_t)timegm(&tm) * NS_PER_S + ns;
}

enum exit_code report_exit_code(const json_t *doc)
{
	enum verdict v;

	if (!verdict_parse(report_member_text(doc, "verdict"), &v))
		return EXIT_UNDECIDED;
	return verdict_exit_code(v);
}

/* ---- latency --------------------------------------------------------------------------------- */

/* A stored histogram: bucket, count, bucket, count, ... */
static void merge_histogram(const json_t *pairs, struct hist *to)
{
	for (size_t i = 0; i + 1 < json_array_size(pairs); i += 2) {
		json_int_t bucket = json_integer_value(json_array_get(pairs, i));
		json_int_t n = json_integer_value(json_array_get(pairs, i + 1));

		if (bucket < 0 || bucket >= HIST_BUCKETS || n <= 0)
			continue;
		to->count[bucket] += (uint64_t)n;
		to->n += (uint64_t)n;
		/* the exact maximum is not stored: the end of its bucket, right to 3.2 % */
		if (hist_bucket_high((size_t)bucket) > to->max_ns)
			to->max_ns = hist_bucket_high((size_t)bucket);
	}
}

static json_t *percentiles(const json_t *histograms, struct hist *h)
{
	const json_t *pairs;
	size_t i;

	hist_clear(h);
	json_array_foreach(histograms, i, pairs) merge_histogram(pairs, h);
	if (h->n == 0)
		return NULL;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "n", (json_int_t)h->n, "p50_ns",
		(json_int_t)hist_percentile(h, 0.5), "p90_ns", (json_int_t)hist_percentile(h, 0.9),
		"p99_ns", (json_int_t)hist_percentile(h, 0.99), "p999_ns",
		(json_int_t)hist_percentile(h, 0.999), "max_ns", (json_int_t)h->max_ns);
}

/* "histograms" becomes "latency". */
static int add_latency(json_t *doc)
{
	static const char *const names[] = {"ack", "end_to_end"};
	const json_t *all = json_object_get(doc, "histograms");
	struct hist *h = calloc(1, sizeof(*h));
	json_t *latency = json_object();
	int r = h && latency ? 0 : ERR_NOMEM;

	for (size_t i = 0; r == 0 && i < 2; i++) {
		json_t *p = percentiles(json_object_get(all, names[i]), h);

		if (p && json_object_set_new(latency, names[i], p))
			r = ERR_NOMEM;
	}
	free(h);
	if (r) {
		json_decref(latency);
		return r;
	}
	json_object_del(doc, "histograms");
	return json_object_set_new(doc, "latency", latency) ? ERR_NOMEM : 0;
}

/* ---- loading --------------------------------------------------------------------------------- */

struct ledger_source {
	struct report_source source;
	struct ledger *ledger;
	int64_t run_id;
	int64_t judgement; /* 0: none has ended */
};

struct walk {
	report_each_fn *fn;
	void *arg;
};

static int take_finding(const struct pg_rows *row, void *arg, struct err *e)
{
	const struct walk *walk = arg;
	struct report_finding f = {
		.kind = pg_rows_text(row, 0, 0),
		.stage = pg_rows_text(row, 0, 1),
		.producer_id = pg_rows_i64(row, 0, 2),
		.epoch = pg_rows_i64(row, 0, 3),
		.partition = pg_rows_i64(row, 0, 4),
		.lo = pg_rows_u64(row, 0, 5),
		.hi = pg_rows_u64(row, 0, 6),
		.count = pg_rows_u64(row, 0, 7),
		.why = pg_rows_text(row, 0, 8),
		.positions = pg_rows_text(row, 0, 9),
		.positions_omitted = pg_rows_u64(row, 0, 10),
		.positions_unknown = pg_rows_u64(row, 0, 17),
		.withdrawn = pg_rows_bool(row, 0, 11),
		.provisional = pg_rows_bool(row, 0, 12),
		.first_wall_ns = pg_rows_i64(row, 0, 13) * NS_PER_US,
		.last_wall_ns = pg_rows_i64(row, 0, 14) * NS_PER_US,
		.acked_first = pg_rows_i64(row, 0, 15),
		.acked_last = pg_rows_i64(row, 0, 16),
	};
	int r = pg_rows_check(row, e);

	return r ? r : walk->fn(&f, walk->arg, e);
}

static int each_in_ledger(struct report_source *from, bool withdrawn, uint64_t limit,
	report_each_fn *fn, void *arg, struct err *e)
{
	const struct ledger_source *s = (const struct ledger_source *)(void *)from;
	struct pg_args args = PG_ARGS_INIT;
	struct walk walk = {fn, arg};

	pg_arg_i64(&args, s->run_id);
	if (s->judgement)
		pg_arg_i64(&args, s->judgement);
	else
		pg_arg_text(&args, NULL);
	pg_arg_text(&args, withdrawn ? "true" : "false");
	pg_arg_i64(&args, limit == 0 || limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
	return pg_query_each(ledger_pg(s->ledger), SQL_REPORT_FINDINGS, &args, LOAD_TIMEOUT,
		take_finding, &walk, e);
}

static int load_doc(struct ledger *l, const struct run *run, json_t **ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	json_error_t why;
	int r;

	pg_arg_i64(&args, run->id);
	r = pg_query(ledger_pg(l), SQL_REPORT, &args, LOAD_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows) != 1) {
		pg_rows_free(rows);
		return err_set(
			e, ERR_NOTFOUND, "run '%s' is not in the ledger any more", run->name);
	}
	*ret = json_loads(pg_rows_text(rows, 0, 0), 0, &why);
	pg_rows_free(rows);
	return *ret ? 0 : err_set(e, ERR_DEFECT, "the report is no JSON: %s", why.text);
}

/* What only this program knows. */
static int complete_doc(json_t *doc)
{
	if (add_latency(doc))
		return ERR_NOMEM;
	if (json_object_set_new(doc, "exit_code", json_integer(report_exit_code(doc))) ||
		json_object_set_new(doc, "tool",
			json_pack("{s:s, s:s}", "version", version_text(), "allocator",
				version_allocator())))
		return ERR_NOMEM;
	return 0;
}

int report_open(struct ledger *l, const struct run *run, struct report *ret, struct err *e)
{
	struct ledger_source *s = calloc(1, sizeof(*s));
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	s->source.each = each_in_ledger;
	s->ledger = l;
	s->run_id = run->id;
	ret->source = &s->source;
	/* one snapshot for the document and all walks over the findings */
	r = pg_begin(ledger_pg(l), "repeatable read", PG_TIMEOUT, e);
	if (r == 0)
		r = load_doc(l, run, &ret->doc, e);
	if (r == 0 && complete_doc(ret->doc))
		r = err_set(e, ERR_NOMEM, "out of memory");
	if (r == 0)
		s->judgement = json_integer_value(json_object_get(ret->doc, "judgement"));
	if (r)
		report_close(ret);
	return r;
}

void report_close(struct report *r)
{
	struct ledger_source *s = (struct ledger_source *)(void *)r->source;
	struct err ignored;

	if (s)
		err_ignore(pg_rollback(ledger_pg(s->ledger), PG_TIMEOUT, &ignored));
	free(s);
	json_decref(r->doc);
	memset(r, 0, sizeof(*r));
}

int report_each_finding(struct report *r, bool withdrawn, uint64_t limit, report_each_fn *fn,
	void *arg, struct err *e)
{
	return r->source->each(r->source, withdrawn, limit, fn, arg, e);
}
