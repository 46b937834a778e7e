#include "reporters/cmd_report.h"

#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/units.h"
#include "reporters/report.h"

static int write_to(const json_t *report, const char *format, FILE *to, const struct report_style *style,
	struct err *e)
{
	const struct reporter *r = reporter_find(format);

	if (!r)
		return err_set(e, ERR_USAGE, "there is no report format '%s': text or json", format);
	r->write(report, style, to);
	if (fflush(to) != 0 || ferror(to))
		return err_set_errno(e, ERR_IO, errno, "cannot write the report");
	return 0;
}

/* "FORMAT=FILE" */
static int write_file(const json_t *report, const char *output, const struct report_style *style,
	struct err *e)
{
	const char *eq = strchr(output, '=');
	char format[16];
	FILE *to;
	int r;

	if (!eq || !eq[1] || eq == output)
		return err_set(e, ERR_USAGE, "--output: '%s' is not FORMAT=FILE", output);
	snprintf(format, sizeof(format), "%.*s", (int)(eq - output), output);
	if (!reporter_find(format))
		return err_set(e, ERR_USAGE, "there is no report format '%s': text or json", format);
	to = fopen(eq + 1, "we");
	if (!to)
		return err_set_errno(e, ERR_IO, errno, "cannot write '%s'", eq + 1);
	r = write_to(report, format, to, style, e);
	if (fclose(to) != 0 && r == 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot write '%s'", eq + 1);
	return r;
}

int report_write(struct ledger *l, const struct run *run, const struct report_opts *o, int *ret_exit,
	struct err *e)
{
	struct report_style style = {log_colour_stdout(), o->limit}, plain = {false, o->limit};
	json_t *report = NULL;
	int r = report_load(l, run, UINT64_MAX, &report, e);

	if (r == 0)
		r = write_to(report, o->format, stdout, &style, e);
	for (size_t i = 0; r == 0 && i < o->output.n; i++)
		r = write_file(report, o->output.item[i], &plain, e);
	if (r == 0)
		*ret_exit = (int)report_exit_code(report);
	json_decref(report);
	return r;
}

static int exit_of(const struct err *e)
{
	err_print(e);
	return e->code == ERR_USAGE ? EXIT_USAGE : EXIT_ERROR;
}

/* ---- report ---------------------------------------------------------------------------------- */

struct report_cmd_opts {
	struct report_opts report;
};

#define LEDGER_ROW(owner, member)                                                                  \
	{.name = "ledger", .type = OPT_STRING, .arg = "URL", .offset = offsetof(owner, member),        \
		.group = "Ledger",                                                                     \
		.help = "PostgreSQL of the ledger (postgresql://...); without it the embedded one."}

static const struct opt report_table[] = {
	REPORT_OPTS(struct report_cmd_opts, report),
	LEDGER_ROW(struct report_cmd_opts, report.ledger),
	{.name = NULL},
};

static int run_report(struct cmdline *cl)
{
	const struct report_opts *o = &((const struct report_cmd_opts *)cl->opts)->report;
	struct ledger *l = NULL;
	struct err e = {0};
	struct run run;
	int code = EXIT_ERROR, r = ledger_open(o->ledger, &l, &e);

	if (r == 0)
		r = cl->argc ? run_find(l, cl->argv[0], &run, &e) : run_find_newest(l, &run, &e);
	if (r == 0)
		r = report_write(l, &run, o, &code, &e);
	ledger_close(l);
	return r ? exit_of(&e) : code;
}

const struct command cmd_report = {
	.name = "report",
	.args = "[RUN]",
	.summary = "tell what was found in a run",
	.description =
		"Tells the verdict of a run, what is missing or repeated by name, at which stage, and what was "
		"evidence for it. RUN is a name or an id; without it, the newest run. The exit code is the "
		"verdict's: 0 pass, 1 findings that break the promise, 3 error, 4 undecided, no data or open.",
	.examples = "  mqaudit report\n  mqaudit report orders-1 --format json | jq .verdict\n",
	.opts = report_table,
	.opts_size = sizeof(struct report_cmd_opts),
	.max_args = 1,
	.run = run_report,
};

/* ---- runs ------------------------------------------------------------------------------------ */

struct runs_opts {
	const char *ledger;
	const char *format;
	uint64_t limit;
};

static const struct opt runs_table[] = {
	{.name = "format", .type = OPT_CHOICE, .arg = "text|json", .choices = "text|json", .dflt = "text",
		.offset = offsetof(struct runs_opts, format), .group = "Form", .help = "How to tell it."},
	{.name = "limit", .letter = 'n', .type = OPT_COUNT, .arg = "N", .dflt = "50",
		.offset = offsetof(struct runs_opts, limit), .help = "At most so many, the newest first."},
	LEDGER_ROW(struct runs_opts, ledger),
	{.name = NULL},
};

static int load_runs(struct ledger *l, uint64_t limit, json_t **ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	json_error_t why;
	int r;

	pg_arg_i64(&args, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
	r = pg_query(ledger_pg(l),
		"select jsonb_build_object('runs', coalesce(jsonb_agg(jsonb_build_object('id', "
		"lpad(to_hex(run_id), 16, '0'), 'name', name, 'verdict', verdict, 'started', started, 'ended', "
		"ended, 'destination', destination, 'promise', promise, 'seconds', "
		"round(extract(epoch from coalesce(ended, now()) - started)), 'messages', (select "
		"coalesce(sum(hi - lo + 1), 0)::int8 from mqaudit.intent i where i.run_id = v.run_id)) "
		"order by started desc), '[]')) "
		"from (select * from mqaudit.verdict order by started desc limit $1) v",
		&args, 4 * PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret = json_loads(pg_rows_text(rows, 0, 0), 0, &why);
	pg_rows_free(rows);
	return *ret ? 0 : err_set(e, ERR_DEFECT, "the list of runs is no JSON: %s", why.text);
}

static void print_runs(const json_t *runs)
{
	const json_t *run;
	size_t i;

	if (json_array_size(runs) == 0) {
		printf("no runs in the ledger\n");
		return;
	}
	printf("%-20s %-10s %-17s %-10s %12s  %s\n", "RUN", "VERDICT", "STARTED (UTC)", "TOOK", "MESSAGES",
		"DESTINATION");
	json_array_foreach(runs, i, run)
	{
		char took[UNITS_LEN], n[UNITS_LEN];
		const char *started = json_string_value(json_object_get(run, "started"));

		printf("%-20s %-10s %-10.10s %-6.5s %-10s %12s  %s\n",
			json_string_value(json_object_get(run, "name")),
			json_string_value(json_object_get(run, "verdict")), started, started + 11,
			units_duration(
				(int64_t)json_number_value(json_object_get(run, "seconds")) * NS_PER_S, took),
			units_grouped((uint64_t)json_integer_value(json_object_get(run, "messages")), n),
			json_string_value(json_object_get(run, "destination")));
	}
}

static int run_runs(struct cmdline *cl)
{
	const struct runs_opts *o = cl->opts;
	struct ledger *l = NULL;
	json_t *list = NULL;
	struct err e = {0};
	int r = ledger_open(o->ledger, &l, &e);

	if (r == 0)
		r = load_runs(l, o->limit, &list, &e);
	ledger_close(l);
	if (r)
		return exit_of(&e);
	if (strcmp(o->format, "json") == 0)
		report_json(list, NULL, stdout);
	else
		print_runs(json_object_get(list, "runs"));
	json_decref(list);
	return EXIT_PASS;
}

const struct command cmd_runs = {
	.name = "runs",
	.args = "",
	.summary = "list the runs in the ledger, newest first",
	.description = "Lists the runs in the ledger with their verdicts, newest first.",
	.opts = runs_table,
	.opts_size = sizeof(struct runs_opts),
	.max_args = 0,
	.run = run_runs,
};

static const struct opt delete_table[] = {
	LEDGER_ROW(struct runs_opts, ledger),
	{.name = NULL},
};

static int run_delete_command(struct cmdline *cl)
{
	const struct runs_opts *o = cl->opts;
	struct ledger *l = NULL;
	struct err e = {0};
	struct run run;
	int r = ledger_open(o->ledger, &l, &e);

	if (r == 0)
		r = run_find(l, cl->argv[0], &run, &e);
	if (r == 0)
		r = run_delete(l, run.id, &e);
	ledger_close(l);
	if (r)
		return exit_of(&e);
	log_note("run '%s' and all of its evidence are removed", run.name);
	return EXIT_PASS;
}

const struct command cmd_runs_delete = {
	.name = "runs delete",
	.args = "RUN",
	.summary = "remove a run and all of its evidence",
	.description = "Removes a run, by name or id, and all of its evidence from the ledger. Not to be undone.",
	.opts = delete_table,
	.opts_size = sizeof(struct runs_opts),
	.min_args = 1,
	.max_args = 1,
	.run = run_delete_command,
};
