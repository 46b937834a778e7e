/* One message's life, in time order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "reporters/cmd_report.h"
#include "reporters/report.h"
#include "sql_data.h"

struct explain_opts {
	const char *ledger;
};

struct identity {
	uint64_t producer_id, epoch, partition, seq;
};

static const struct opt explain_table[] = {
	{.name = "ledger", .type = OPT_STRING, .arg = "URL", .offset = offsetof(struct explain_opts, ledger),
		.group = "Ledger",
		.help = "PostgreSQL of the ledger (postgresql://...); without it the embedded one."},
	{.name = NULL},
};

static int parse_identity(const char *text, struct identity *ret, struct err *e)
{
	uint64_t *parts[] = {&ret->producer_id, &ret->epoch, &ret->partition, &ret->seq};
	const char *p = text;

	for (int i = 0; i < 4; i++) {
		char *end;

		*parts[i] = strtoull(p, &end, 10);
		if (end == p || *p == '-' || *p == '+' || *p == ' ' || *end != (i < 3 ? '.' : '\0') ||
			*parts[i] > INT64_MAX) {
			err_set(e, ERR_USAGE, "'%s' is not an identity", text);
			return err_hint(e, "identities are PRODUCER.EPOCH.PARTITION.SEQ, such as 1.1.0.17");
		}
		p = end + 1;
	}
	return 0;
}

/* Which pieces of evidence there are: what the closing sentence goes by. */
struct story {
	bool intent, acked, refused, unknown, unconfirmed, seen, seen_before, again, lost, duplicated;
	bool isolated, finding;
	char node[16];
};

static void note(struct story *s, const char *what, const char *detail)
{
	s->intent |= strcmp(what, "intent") == 0;
	if (strcmp(what, "outcome") == 0) {
		s->acked |= strncmp(detail, "acked", 5) == 0;
		s->refused |= strncmp(detail, "refused", 7) == 0;
		s->unknown |= strncmp(detail, "unknown", 7) == 0;
		s->unconfirmed |= strncmp(detail, "unconfirmed", 11) == 0;
		(void)sscanf(detail, "acked by node %15[0-9]", s->node);
	}
	s->seen |= strcmp(what, "seen") == 0;
	s->seen_before |= strcmp(what, "seen before") == 0;
	s->again |= strcmp(what, "acked again") == 0;
	s->lost |= strcmp(what, "finding") == 0 && strncmp(detail, "lost", 4) == 0;
	s->duplicated |= strcmp(what, "finding") == 0 && strncmp(detail, "duplicated", 10) == 0;
	s->isolated |= strcmp(what, "fault") == 0 && strstr(detail, "isolate") != NULL;
}

static void tell(const struct story *s)
{
	const char *node = s->node[0] ? s->node : "the leader";

	putchar('\n');
	if (s->lost && s->acked && s->isolated)
		printf("  Node %s acknowledged it while it was cut off. When it came back as a follower, it "
		       "dropped what the new leader never had.\n", node);
	else if (s->lost && s->acked && s->again)
		printf("  Node %s acknowledged it, and its place in the log was given to another message: the "
		       "log was truncated when another replica became leader.\n", node);
	else if (s->lost && s->acked && s->seen_before)
		printf("  It was acknowledged and could be read, and was cut from the log afterwards.\n");
	else if (s->lost && s->acked)
		printf("  Node %s acknowledged it, but the log does not hold it.\n", node);
	else if (s->lost)
		printf("  No broker ever confirmed it, and the log does not hold it.\n");
	else if (s->duplicated)
		printf("  It was sent again, most probably because an answer was lost, and stored again.\n");
	else if (s->refused && !s->seen)
		printf("  It was refused, and it is not there: as told.\n");
	else if (s->unknown && s->seen)
		printf("  Nobody could say at the time; it is there.\n");
	else if (s->seen)
		printf("  It arrived.\n");
	else if (s->intent)
		printf("  It was intended; nothing proves that it was ever stored.\n");
	else
		printf("  The ledger knows nothing of it: it was never intended.\n");
}

static int print_evidence(struct ledger *l, const struct run *run, const struct identity *id,
	struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct story story = {0};
	int r;

	pg_arg_i64(&args, run->id);
	pg_arg_u64(&args, id->producer_id);
	pg_arg_u64(&args, id->epoch);
	pg_arg_u64(&args, id->partition);
	pg_arg_u64(&args, id->seq);
	r = pg_query(ledger_pg(l), SQL_EXPLAIN, &args, 4 * PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	for (int i = 0; i < pg_rows_n(rows); i++) {
		char hms[32];

		note(&story, pg_rows_text(rows, i, 1), pg_rows_text(rows, i, 2));
		printf("  %s   %-12s %s\n",
			clock_hms(pg_rows_i64(rows, i, 0) * NS_PER_US, true, hms, sizeof(hms)),
			pg_rows_text(rows, i, 1), pg_rows_text(rows, i, 2));
	}
	pg_rows_free(rows);
	tell(&story);
	return 0;
}

static int run_explain(struct cmdline *cl)
{
	const struct explain_opts *o = cl->opts;
	struct identity id;
	struct ledger *l = NULL;
	struct err e = {0};
	struct run run;
	int r = parse_identity(cl->argv[1], &id, &e);

	if (r == 0)
		r = ledger_open(o->ledger, &l, &e);
	if (r == 0)
		r = run_find(l, cl->argv[0], &run, &e);
	if (r == 0) {
		printf("%s   in run %s\n\n", cl->argv[1], run.name);
		r = print_evidence(l, &run, &id, &e);
	}
	ledger_close(l);
	if (r == 0)
		return EXIT_PASS;
	err_print(&e);
	return e.code == ERR_USAGE ? EXIT_USAGE : EXIT_ERROR;
}

const struct command cmd_explain = {
	.name = "explain",
	.args = "RUN IDENTITY",
	.summary = "tell every piece of evidence about one message, in time order",
	.description =
		"Tells the life of one message, from the probe's intent to what the log holds of it, with the "
		"faults and events around it, and what most probably happened. IDENTITY is "
		"PRODUCER.EPOCH.PARTITION.SEQ, as reports print it.",
	.examples = "  mqaudit explain orders-1 1.1.0.1438\n",
	.opts = explain_table,
	.opts_size = sizeof(struct explain_opts),
	.min_args = 2,
	.max_args = 2,
	.run = run_explain,
};
