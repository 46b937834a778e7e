#include "core/ledger/cmd_ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/ledger/gc.h"
#include "core/ledger/keeper.h"
#include "core/ledger/server.h"
#include "core/log.h"
#include "core/units.h"
#include "core/words.h"

/* ---- texts ---- */

/* psql "host=... dbname=mqaudit user=mqaudit", safe to paste into a shell. */
static void psql_command(const char *conninfo, struct buf *out)
{
	buf_str_add(out, "psql \"");
	for (; *conninfo; conninfo++) {
		if (strchr("\\\"$`", *conninfo))
			buf_char(out, '\\');
		buf_char(out, *conninfo);
	}
	buf_char(out, '"');
}

static int fail(const struct err *e)
{
	err_print(e);
	return e->code == ERR_USAGE ? EXIT_USAGE : EXIT_ERROR;
}

static void status_text(const struct ledger_server_status *st, const char *psql)
{
	char since[CLOCK_ISO_LEN], bytes[UNITS_LEN];

	printf("state       %s%s\n", ledger_server_state_text(st->state),
		st->kept  ? ", kept until 'mqaudit ledger stop'"
		: st->pid ? ", until it has been unused for a while"
			  : "");
	if (st->pid) {
		printf("process     %d, user %s\n", (int)st->pid, st->user);
		printf("since       %s\n", clock_iso(st->since_wall_ns, since, sizeof(since)));
	}
	if (st->clients >= 0)
		printf("clients     %" PRId64 "\n", st->clients);
	if (st->version[0])
		printf("postgresql  %s\n", st->version);
	printf("data        %s\n", st->data_dir);
	if (st->state != LEDGER_SERVER_NONE)
		printf("size        %s\n", units_bytes(st->bytes, bytes));
	printf("log         %s\n", st->log);
	printf("connect     %s\n", psql);
}

static int status_json(const struct ledger_server_status *st, const char *psql)
{
	char since[CLOCK_ISO_LEN];
	json_t *j = json_pack("{s:s, s:b, s:b, s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "state",
		ledger_server_state_text(st->state), "running", st->state == LEDGER_SERVER_RUNNING,
		"kept", st->kept, "user", st->user, "version", st->version, "data_dir",
		st->data_dir, "bytes", (json_int_t)st->bytes, "log", st->log, "conninfo",
		st->conninfo, "psql", psql);
	int r;

	if (st->since_wall_ns)
		clock_iso(st->since_wall_ns, since, sizeof(since));
	r = json_object_set_new(j, "pid", st->pid ? json_integer(st->pid) : json_null());
	r |= json_object_set_new(
		j, "keeper_pid", st->keeper_pid ? json_integer(st->keeper_pid) : json_null());
	r |= json_object_set_new(j, "since", st->since_wall_ns ? json_string(since) : json_null());
	r |= json_object_set_new(
		j, "clients", st->clients >= 0 ? json_integer(st->clients) : json_null());
	if (r == 0)
		r = json_dumpf(j, stdout, JSON_INDENT(2));
	json_decref(j);
	putchar('\n');
	return r;
}

/* ---- status ---- */

struct status_opts {
	const char *format;
};

static const struct opt status_rows[] = {
	{.name = "format",
		.type = OPT_CHOICE,
		.arg = "FORMAT",
		.choices = "text|json",
		.dflt = "text",
		.offset = offsetof(struct status_opts, format),
		.group = "Output",
		.help = "How to print it: for people, or as one JSON object."},
	{.name = NULL},
};

static int run_status(struct cmdline *cl)
{
	const struct status_opts *o = cl->opts;
	struct ledger_server_status st;
	struct buf psql;
	struct err e = {0};
	int r = ledger_server_status(&st, &e);

	if (r)
		return fail(&e);
	buf_init(&psql, sizeof(st.conninfo) * 2 + 100);
	psql_command(st.conninfo, &psql);
	if (strcmp(o->format, "text") == 0)
		status_text(&st, buf_str(&psql));
	else if (status_json(&st, buf_str(&psql)) != 0)
		r = err_set(&e, ERR_NOMEM, "cannot write the status as JSON");
	buf_release(&psql);
	return r ? fail(&e) : EXIT_PASS;
}

const struct command cmd_ledger_status = {
	.name = "ledger status",
	.args = "",
	.summary = "how the embedded ledger stands",
	.description = "Says whether the private PostgreSQL server runs that mqaudit uses when no "
		       "other ledger is named, since when and for how many clients, where its data "
		       "is and how large, and the command that opens it in psql. Starts nothing.\n"
		       "The exit code is 0 in every state; --format json has the fields state "
		       "(running, stopped, starting, silent, not made), running, kept, pid, "
		       "keeper_pid, since, clients, version, user, data_dir, bytes, log, conninfo "
		       "and psql; what is not known is null.",
	.examples =
		"  # what is in it, in psql\n  eval \"$(mqaudit ledger status --format json | jq -r .psql)\"\n",
	.opts = status_rows,
	.opts_size = sizeof(struct status_opts),
	.max_args = 0,
	.run = run_status,
};

/* ---- start and stop ---- */

static int run_start(struct cmdline *cl)
{
	struct ledger_server_status st;
	struct buf conninfo, psql;
	struct err e = {0};
	int r;

	(void)cl;
	buf_init(&conninfo, BUF_MAX_DEFAULT);
	buf_init(&psql, BUF_MAX_DEFAULT);
	r = ledger_server_start(&conninfo, &e);
	if (r == 0)
		r = ledger_server_status(&st, &e);
	if (r == 0) {
		psql_command(st.conninfo, &psql);
		log_note("the ledger runs (process %d), until 'mqaudit ledger stop'", (int)st.pid);
		printf("%s\n", buf_str(&psql));
	}
	buf_release(&psql);
	buf_release(&conninfo);
	return r ? fail(&e) : EXIT_PASS;
}

const struct command cmd_ledger_start = {
	.name = "ledger start",
	.args = "",
	.summary = "start the embedded ledger and keep it running",
	.description =
		"Starts the private PostgreSQL server that mqaudit uses when no other ledger "
		"is named, if it does not run, and keeps it: it is not stopped for being "
		"unused. Prints the command that opens it in psql.\n"
		"Other commands start it by themselves; started by them, it stops a minute "
		"after its last client has gone. Its data is in the folder 'ledger' of "
		"$MQAUDIT_STATE, or of the default state folder; it listens on a socket "
		"there, and on no network.",
	.examples = "# A ledger that stays\nmqaudit ledger start\n",
	.max_args = 0,
	.run = run_start,
};

static int run_stop(struct cmdline *cl)
{
	struct ledger_server_status before;
	struct err e = {0};
	int r;

	(void)cl;
	r = ledger_server_stop(&before, &e);
	if (r)
		return fail(&e);
	if (before.clients > 0)
		log_warn("%" PRId64 " client%s connected, and lost the connection", before.clients,
			before.clients == 1 ? " was" : "s were");
	if (before.pid || before.keeper_pid)
		log_note("the ledger is stopped");
	else
		log_note("the ledger was not running");
	return EXIT_PASS;
}

const struct command cmd_ledger_stop = {
	.name = "ledger stop",
	.args = "",
	.summary = "stop the embedded ledger",
	.description =
		"Stops the private PostgreSQL server and waits until it is gone; what was "
		"committed is kept. Clients that are connected lose their connection, and are "
		"counted in a warning: a running probe or checker starts the server again as "
		"soon as it needs it.",
	.examples = "  mqaudit ledger stop\n",
	.max_args = 0,
	.run = run_stop,
};

/* ---- gc ---- */

struct gc_opts {
	uint64_t keep;
	const char *ledger;
};

static const struct opt gc_rows[] = {
	{.name = "keep",
		.type = OPT_COUNT,
		.arg = "DAYS",
		.offset = offsetof(struct gc_opts, keep),
		.group = "What to keep",
		.help = "Remove closed runs that nobody has touched for so many days, with all of their "
			"evidence; 0: all that are closed. Without it no run is removed."},
	{.name = "ledger",
		.type = OPT_STRING,
		.arg = "URL",
		.offset = offsetof(struct gc_opts, ledger),
		.group = "Ledger",
		.help = "PostgreSQL of the ledger (postgresql://...); without it the embedded one."},
	{.name = NULL},
};

static int say_removed(const char *name, const char *ended, void *arg, struct err *e)
{
	uint64_t *n = arg;

	(void)e;
	++*n;
	printf("removed     %s, ended %s UTC\n", name, ended);
	fflush(stdout);
	return 0;
}

/* What was done so far is said also when the rest fails. */
static int collect_garbage(struct ledger *l, const struct gc_opts *o, bool keep, struct err *e)
{
	char before_text[UNITS_LEN], after_text[UNITS_LEN], n[UNITS_LEN];
	uint64_t removed = 0, runs = 0, rows = 0, before = 0, after = 0;
	int r = gc_size(l, &before, e);

	if (r == 0 && keep)
		r = gc_remove_old(l, o->keep, say_removed, &removed, e);
	if (r == 0)
		r = gc_fold(l, &runs, &rows, e);
	if (r)
		return r;
	printf("folded      %s row%s of %" PRIu64 " closed run%s\n", units_grouped(rows, n),
		rows == 1 ? "" : "s", runs, runs == 1 ? "" : "s");
	fflush(stdout);
	r = gc_vacuum(l, e);
	if (r == 0)
		r = gc_size(l, &after, e);
	if (r == 0)
		printf("size        %s, was %s\n", units_bytes(after, after_text),
			units_bytes(before, before_text));
	return r;
}

static int run_gc(struct cmdline *cl)
{
	const struct gc_opts *o = cl->opts;
	struct ledger *l = NULL;
	struct err e = {0};
	int r = ledger_open(o->ledger, &l, &e);

	if (r == 0)
		r = collect_garbage(l, o, opt_given(cl, "keep"), &e);
	ledger_close(l);
	return r ? fail(&e) : EXIT_PASS;
}

const struct command cmd_ledger_gc = {
	.name = "ledger gc",
	.args = "",
	.summary = "make the ledger smaller, and remove old runs",
	.description =
		"Folds what probes said of closed runs, where the log bears it out, into fewer "
		"rows, gives the space of what was folded or removed back to the tables, and, "
		"with --keep, removes old runs first. Verdicts, findings and counts of what is "
		"kept stay as they are. Open runs are not touched, and may go on meanwhile.",
	.examples = "# Once a night: two weeks are kept\nmqaudit ledger gc --keep 14\n",
	.opts = gc_rows,
	.opts_size = sizeof(struct gc_opts),
	.max_args = 0,
	.run = run_gc,
};

/* ---- the keeper ---- */

static int run_keeper(struct cmdline *cl)
{
	(void)cl;
	return keeper_main();
}

const struct command cmd_ledger_keeper = {
	.name = "ledger keeper",
	.args = "",
	.summary = "watch over the embedded ledger's server",
	.description = "A process of mqaudit's own: started by whoever needs the embedded ledger.",
	.max_args = 0,
	.run = run_keeper,
	.hidden = true,
};
