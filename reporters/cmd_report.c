#include "reporters/cmd_report.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/units.h"
#include "reporters/report.h"
#include "sql_data.h"

static int write_to(struct report *report, const struct reporter *r, FILE *to,
	const struct report_style *style, struct err *e)
{
	int rc = r->write(report, style, to, e);

	if (rc)
		return rc;
	if (fflush(to) != 0 || ferror(to))
		return err_set_errno(e, ERR_IO, errno, "cannot write the report");
	return 0;
}

/* "FORMAT=FILE" */
static int parse_output(
	const char *output, const struct reporter **ret, const char **ret_file, struct err *e)
{
	const char *eq = strchr(output, '=');
	char format[16];

	if (!eq || !eq[1] || eq == output)
		return err_set(e, ERR_USAGE, "--output: '%s' is not FORMAT=FILE", output);
	snprintf(format, sizeof(format), "%.*s", (int)(eq - output), output);
	*ret = reporter_find(format);
	*ret_file = eq + 1;
	if (*ret)
		return 0;
	err_set(e, ERR_USAGE, "--output: there is no report format '%s'", format);
	return err_hint(e, "formats are text and json");
}

/* Can a file of that name be written? Makes and changes nothing. */
static int check_writable(const char *file, struct err *e)
{
	char *copy;
	int r = 0;

	if (access(file, W_OK) == 0)
		return 0;
	if (errno != ENOENT)
		return err_set_errno(e, ERR_IO, errno, "cannot write '%s'", file);
	copy = strdup(file);
	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (access(dirname(copy), W_OK | X_OK) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot write '%s'", file);
	free(copy);
	return r;
}

int report_check_opts(const struct report_opts *o, struct err *e)
{
	const struct reporter *ignored;
	const char *file;
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->output.n; i++) {
		r = parse_output(o->output.item[i], &ignored, &file, e);
		if (r == 0)
			r = check_writable(file, e);
	}
	return r;
}

static int write_file(
	struct report *report, const char *output, const struct report_style *style, struct err *e)
{
	const struct reporter *form;
	struct stat st;
	const char *file;
	FILE *to;
	int r = parse_output(output, &form, &file, e);

	if (r)
		return r;
	to = fopen(file, "we");
	if (!to)
		return err_set_errno(e, ERR_IO, errno, "cannot write '%s'", file);
	r = write_to(report, form, to, style, e);
	if (fclose(to) != 0 && r == 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot write '%s'", file);
	/* half a report must not be taken for a whole one */
	if (r && stat(file, &st) == 0 && S_ISREG(st.st_mode))
		unlink(file);
	return r;
}

static unsigned stdout_width(void)
{
	struct winsize ws;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 ? ws.ws_col : 0;
}

int report_write(struct ledger *l, const struct run *run, const struct report_opts *o,
	int *ret_exit, struct err *e)
{
	struct report_style style = {log_colour_stdout(), o->limit, stdout_width()};
	struct report_style plain = {false, o->limit, 0};
	struct report report;
	int r = report_open(l, run, &report, e);

	if (r)
		return r;
	/* the files first: whoever closes our standard output early has them all the same */
	for (size_t i = 0; r == 0 && i < o->output.n; i++)
		r = write_file(&report, o->output.item[i], &plain, e);
	if (r == 0)
		r = write_to(&report, reporter_find(o->format), stdout, &style, e);
	if (r == 0)
		*ret_exit = (int)report_exit_code(report.doc);
	report_close(&report);
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
	{                                                                                          \
		.name = "ledger", .type = OPT_STRING, .arg = "URL",                                \
		.offset = offsetof(owner, member), .group = "Ledger",                              \
		.help = "PostgreSQL of the ledger (postgresql://...); without it the embedded "    \
			"one."                                                                     \
	}

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
	int code = EXIT_ERROR, r = report_check_opts(o, &e);

	if (r == 0)
		r = ledger_open(o->ledger, &l, &e);
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
	.description = "Tells the verdict of a run, what is missing or repeated by name, at which "
		       "stage, and what was "
		       "evidence for it. RUN is a name or an id; without it, the newest run. The "
		       "exit code is the "
		       "verdict's: 0 pass, 1 findings that break the promise, 3 error, 4 "
		       "undecided, no data or open.",
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
	{.name = "format",
		.type = OPT_CHOICE,
		.arg = "text|json",
		.choices = "text|json",
		.dflt = "text",
		.offset = offsetof(struct runs_opts, format),
		.group = "Form",
		.help = "How to tell it."},
	{.name = "limit",
		.letter = 'n',
		.type = OPT_COUNT,
		.arg = "N",
		.dflt = "50",
		.offset = offsetof(struct runs_opts, limit),
		.help = "At most so many, the newest first; 0: all."},
	LEDGER_ROW(struct runs_opts, ledger),
	{.name = NULL},
};

static int load_runs(struct ledger *l, uint64_t limit, json_t **ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	json_error_t why;
	int r;

	pg_arg_i64(&args, limit == 0 || limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
	r = pg_query(ledger_pg(l), SQL_RUNS, &args, 4 * PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret = json_loads(pg_rows_text(rows, 0, 0), 0, &why);
	pg_rows_free(rows);
	return *ret ? 0 : err_set(e, ERR_DEFECT, "the list of runs is no JSON: %s", why.text);
}

/* Local date and time, "2026-11-21 12:30"; "-" for none. */
static const char *local_minute(const char *iso, char *ret, size_t len)
{
	time_t t = (time_t)(report_time(iso) / NS_PER_S);
	struct tm tm;

	if (t == 0 || !localtime_r(&t, &tm) || strftime(ret, len, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(ret, len, "-");
	return ret;
}

static void print_runs(const json_t *runs)
{
	size_t width = strlen("RUN"), i;
	const json_t *run;

	if (json_array_size(runs) == 0) {
		printf("no runs in the ledger\n");
		return;
	}
	json_array_foreach(runs, i, run)
	{
		size_t n = strlen(report_member_text(run, "name"));

		width = n > width ? n : width;
	}
	printf("%-*s  %-9s  %-16s  %-14s  %13s  %s\n", (int)width, "RUN", "VERDICT", "STARTED",
		"TOOK", "MESSAGES", "DESTINATION");
	json_array_foreach(runs, i, run)
	{
		char took[UNITS_LEN], n[UNITS_LEN], started[40];

		uint64_t seconds = report_member_number(run, "seconds");

		if (seconds)
			units_duration((int64_t)seconds * NS_PER_S, took);
		else
			snprintf(took, sizeof(took), "< 1 s");
		printf("%-*s  %-9s  %-16s  %-14s  %13s  %s\n", (int)width,
			report_member_text(run, "name"), report_member_text(run, "verdict"),
			local_minute(report_member_text(run, "started"), started, sizeof(started)),
			took, units_grouped(report_member_number(run, "messages"), n),
			report_member_text(run, "destination"));
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
	if (strcmp(o->format, "json") == 0) {
		json_dumpf(list, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		print_runs(json_object_get(list, "runs"));
	}
	json_decref(list);
	return EXIT_PASS;
}

const struct command cmd_runs = {
	.name = "runs",
	.args = "",
	.summary = "list the runs in the ledger, newest first",
	.description = "Lists the runs in the ledger with their verdicts, newest first.",
	.examples =
		"  mqaudit runs\n  mqaudit runs --limit 1 --format json | jq -r '.runs[0].verdict'\n",
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
	.description = "Removes a run, by name or id, and all of its evidence from the ledger. Not "
		       "to be undone.",
	.examples = "  mqaudit runs delete orders-1\n",
	.opts = delete_table,
	.opts_size = sizeof(struct runs_opts),
	.min_args = 1,
	.max_args = 1,
	.run = run_delete_command,
};
