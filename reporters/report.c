#include "reporters/report.h"

#include <string.h>

#include "core/clock.h"
#include "core/hist.h"
#include "core/version.h"
#include "sql_data.h"

#define LOAD_TIMEOUT (120 * NS_PER_S)

const struct reporter reporters[] = {
	{"text", report_text},
	{"json", report_json},
	{NULL, NULL},
};

const struct reporter *reporter_find(const char *name)
{
	for (const struct reporter *r = reporters; r->name; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

enum exit_code report_exit_code(const json_t *report)
{
	enum verdict v;

	if (!verdict_parse(json_string_value(json_object_get(report, "verdict")), &v))
		return EXIT_UNDECIDED;
	return verdict_exit_code(v);
}

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
		if (hist_bucket_high((size_t)bucket) > to->max_ns)
			to->max_ns = hist_bucket_high((size_t)bucket);
	}
}

static json_t *percentiles(const struct hist *h)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "n", (json_int_t)h->n, "p50_ns",
		(json_int_t)hist_percentile(h, 0.5), "p90_ns", (json_int_t)hist_percentile(h, 0.9), "p99_ns",
		(json_int_t)hist_percentile(h, 0.99), "p999_ns", (json_int_t)hist_percentile(h, 0.999),
		"max_ns", (json_int_t)h->max_ns);
}

static void add_latency(json_t *report)
{
	static struct hist h; /* 15 KiB: not on the stack; reports are made by one thread */
	json_t *producers = json_object_get(report, "producers"), *p;
	size_t i;

	hist_clear(&h);
	json_array_foreach(producers, i, p)
	{
		merge_histogram(json_object_get(p, "latency"), &h);
		json_object_del(p, "latency");
	}
	json_object_set_new(
		report, "latency", h.n ? json_pack("{s:o}", "ack", percentiles(&h)) : json_object());
}

int report_load(struct ledger *l, const struct run *run, uint64_t max_findings, json_t **ret,
	struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	json_error_t why;
	int r;

	pg_arg_i64(&args, run->id);
	pg_arg_i64(&args, max_findings > INT64_MAX ? INT64_MAX : (int64_t)max_findings);
	r = pg_query(ledger_pg(l), SQL_REPORT, &args, LOAD_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows) != 1) {
		pg_rows_free(rows);
		return err_set(e, ERR_NOTFOUND, "run '%s' is not in the ledger any more", run->name);
	}
	*ret = json_loads(pg_rows_text(rows, 0, 0), 0, &why);
	pg_rows_free(rows);
	if (!*ret)
		return err_set(e, ERR_DEFECT, "the report is no JSON: %s", why.text);
	add_latency(*ret);
	json_object_set_new(*ret, "exit_code", json_integer(report_exit_code(*ret)));
	json_object_set_new(*ret, "tool",
		json_pack("{s:s, s:s}", "version", version_text(), "allocator", version_allocator()));
	return 0;
}

void report_json(const json_t *report, const struct report_style *style, FILE *to)
{
	(void)style;
	json_dumpf(report, to, JSON_INDENT(1));
	fputc('\n', to);
}
