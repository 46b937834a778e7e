/* One message's life, in time order. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "reporters/cmd_report.h"
#include "reporters/report.h"
#include "sql_data.h"

#define EXPLAIN_TIMEOUT (60 * NS_PER_S)
#define MAX_FINDINGS 8

struct explain_opts {
	const char *ledger;
};

struct identity {
	uint64_t producer_id, epoch, partition, seq;
};

static const struct opt explain_table[] = {
	{.name = "ledger",
		.type = OPT_STRING,
		.arg = "URL",
		.offset = offsetof(struct explain_opts, ledger),
		.group = "Ledger",
		.help = "PostgreSQL of the ledger (postgresql://...); without it the embedded "
			"one."},
	{.name = NULL},
};

static int parse_identity(const char *text, struct identity *ret, struct err *e)
{
	uint64_t *parts[] = {&ret->producer_id, &ret->epoch, &ret->partition, &ret->seq};
	const char *p = text;

	for (int i = 0; i < 4; i++) {
		char *end = NULL;

		errno = 0;
		*parts[i] = isdigit((unsigned char)*p) ? strtoull(p, &end, 10) : 0;
		if (!end || errno || *end != (i < 3 ? '.' : '\0') || *parts[i] > INT64_MAX) {
			err_set(e, ERR_USAGE, "'%s' is not the identity of a message", text);
			return err_hint(
				e, "identities are PRODUCER.EPOCH.PARTITION.SEQ, such as 1.1.0.17");
		}
		p = end + 1;
	}
	return 0;
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Which pieces of evidence there are: what the closing sentence goes by. */
struct story {
	bool acked, refused, unknown, unconfirmed, silent;
	bool read, read_before, again, cut;
	bool queue;  /* it was read from one */
	bool untold; /* lost, unless a policy took it */
	bool unroutable, queue_gone;
	bool isolated; /* the node that acknowledged it was cut off then */
	unsigned copies;
	char node[16];
	char finding[MAX_FINDINGS][48]; /* "lost at broker" */
	char why[MAX_FINDINGS][48];     /* how the reason begins: "never routed: not in ..." */
	size_t n_findings;
};

/* "kafka1: isolate on since 1.1 s, ..." beside the acknowledgement of node 1: it was cut off
 * itself. */
static bool was_isolated(const char *remark, const char *node)
{
	size_t len = strlen(node);

	for (const char *p = strstr(remark, ": isolate "); p; p = strstr(p + 1, ": isolate "))
		if (len && (size_t)(p - remark) > len && memcmp(p - len, node, len) == 0 &&
			!isdigit((unsigned char)p[-(ptrdiff_t)len - 1]))
			return true;
	return false;
}

static void note_outcome(struct story *s, const char *detail, const char *remark)
{
	s->acked |= starts(detail, "acked");
	s->refused |= starts(detail, "refused");
	s->unknown |= starts(detail, "unknown");
	s->unconfirmed |= starts(detail, "unconfirmed");
	(void)sscanf(detail, "acked by node %15[0-9]", s->node);
	s->isolated |= was_isolated(remark, s->node);
}

static void note_finding(struct story *s, const char *detail)
{
	size_t len = strcspn(detail, ":(");

	while (len && detail[len - 1] == ' ')
		len--;
	if (s->n_findings == MAX_FINDINGS)
		return;
	snprintf(s->finding[s->n_findings], sizeof(s->finding[0]), "%.*s", (int)len, detail);
	snprintf(s->why[s->n_findings++], sizeof(s->why[0]), "%.47s",
		detail[len] == ':' ? detail + len + 2 : "");
}

static void note(struct story *s, const char *what, const char *detail, const char *remark)
{
	s->silent |= strcmp(what, "no outcome") == 0;
	s->again |= strcmp(what, "acked again") == 0;
	s->cut |= strcmp(what, "cut") == 0;
	s->read_before |= strcmp(what, "read before") == 0;
	if (strcmp(what, "outcome") == 0)
		note_outcome(s, detail, remark);
	if (strcmp(what, "finding") == 0) {
		note_finding(s, detail);
		s->untold |= strstr(detail, "policy not excluded") != NULL;
		s->unroutable |= strstr(detail, ": unroutable") != NULL;
		s->queue_gone |= strstr(detail, "the queue is gone") != NULL;
	}
	if (strcmp(what, "read") != 0)
		return;
	s->read |= starts(detail, "on the log") || starts(detail, "from the queue");
	s->copies += s->read && !strstr(detail, "(read committed)") &&
		     !starts(detail, "behind the relay");
}

static bool found(const struct story *s, const char *what)
{
	for (size_t i = 0; i < s->n_findings; i++)
		if (starts(s->finding[i], what))
			return true;
	return false;
}

static bool found_because(const struct story *s, const char *what, const char *why)
{
	for (size_t i = 0; i < s->n_findings; i++)
		if (starts(s->finding[i], what) && starts(s->why[i], why))
			return true;
	return false;
}

/* What most probably happened to a message that is lost. */
static void tell_lost(const struct story *s, FILE *to)
{
	char node[32];

	snprintf(node, sizeof(node), s->node[0] ? "Node %s" : "The leader%s", s->node);
	if (found_because(s, "lost at relay", "acked"))
		fprintf(to,
			"It was acknowledged, and did not come out behind what relays the messages. "
			"The queue before that was the relay's to take from, so nobody has seen "
			"whether it was there.");
	else if (found_because(s, "lost at relay", "routed"))
		fprintf(to,
			"It was routed to the queue that what relays the messages takes from, and "
			"did not come out behind it.");
	else if (found_because(s, "lost at broker", "never routed"))
		fprintf(to,
			"It was acknowledged, and routed to nothing: a stream that is bound as the "
			"queue is does not have it either.");
	else if (found_because(s, "lost at broker", "routed"))
		fprintf(to,
			"It was routed to the queue, as the stream beside it shows, and the queue "
			"was emptied and did not give it.");
	else if (found(s, "lost at relay"))
		fprintf(to, "It is on the source's log; what relays the messages did not bring it "
			    "through.");
	else if (s->unroutable)
		fprintf(to, "It was acknowledged and routed to no queue: the broker dropped it at "
			    "once. With mandatory it would have come back.");
	else if (s->untold)
		fprintf(to, "The queue did not give it. Whether it is lost or a policy removed it "
			    "nobody can say.");
	else if (!s->acked)
		fprintf(to, s->queue
				    ? "No broker ever confirmed it, and the queue did not give it."
				    : "No broker ever confirmed it, and the log does not hold it.");
	else if (s->isolated && (s->again || s->cut))
		fprintf(to,
			"%s acknowledged it while it was cut off. When it came back as a follower, "
			"it "
			"dropped what the new leader never had.",
			node);
	else if (s->again)
		fprintf(to,
			"%s acknowledged it, and its place in the log was given to another "
			"message: the "
			"log was cut when another replica became leader.",
			node);
	else if (s->read_before)
		fprintf(to, "It was acknowledged and could be read, and was cut from the log "
			    "afterwards.");
	else
		fprintf(to, "%s acknowledged it, but the %s.", node,
			s->queue ? "queue did not give it" : "log does not hold it");
}

static void tell(const struct story *s, FILE *to)
{
	fputs("\n  ", to);
	if (found(s, "lost"))
		tell_lost(s, to);
	else if (found(s, "pending at relay"))
		fprintf(to, "It is on the source's log and was not read behind what relays the "
			    "messages. Nothing proves that it will not come.");
	else if (found(s, "duplicated at relay"))
		fprintf(to, "What relays the messages brought it through more than once.");
	else if (found_because(s, "duplicated at produce", "published again"))
		fprintf(to,
			"Nobody could say whether it was stored, so the application published it "
			"again (--republish-unknown); both are there.");
	else if (found(s, "duplicated"))
		fprintf(to, "It was sent again, most probably because an answer was lost, and "
			    "stored again.");
	else if (found(s, "corrupted"))
		fprintf(to, "It is there, but not as it was sent.");
	else if (found(s, "phantom"))
		fprintf(to, "It is there although nobody sent it.");
	else if (found(s, "expired"))
		fprintf(to, "It was there, and a policy (%s) removed it.",
			s->queue ? "a limit of the queue" : "retention, compaction, deletion");
	else if (found(s, "unread") && s->queue_gone)
		fprintf(to,
			"It may have been in the queue, which is not there any more: nobody can "
			"say.");
	else if (found(s, "unread"))
		fprintf(to,
			"Its place in the log was removed before anybody read it: nobody can say.");
	else if (found(s, "reordered"))
		fprintf(to, "It arrived, behind messages that were sent after it.");
	else if (s->read && s->refused)
		fprintf(to, "It was refused, and it is there all the same: sending it again "
			    "repeats it.");
	else if (s->read && (s->unknown || s->silent))
		fprintf(to, "Nobody could say at the time; it is there.");
	else if (s->read)
		fprintf(to, "It arrived%s.", s->copies > 1 ? ", more than once" : "");
	else if (found(s, "refused"))
		fprintf(to, "It was refused, and it is not there: as told.");
	else if (found(s, "unacknowledged"))
		fprintf(to,
			"It was never acknowledged, and it is not there: nothing was promised.");
	else
		fprintf(to, "It was not read so far: check the run to know.");
	fputc('\n', to);
}

/* "LOST at broker, REORDERED at produce", or what is true without a finding. */
static void head(const char *identity, const struct run *run, const struct story *s, FILE *to)
{
	fprintf(to, "%s   ", identity);
	for (size_t i = 0; i < s->n_findings; i++) {
		size_t kind = strcspn(s->finding[i], " ");

		fputs(i ? ", " : "", to);
		for (size_t k = 0; k < kind; k++)
			fputc(toupper((unsigned char)s->finding[i][k]), to);
		fputs(s->finding[i] + kind, to);
	}
	if (s->n_findings == 0)
		fputs(s->read ? "arrived" : s->refused ? "refused" : "not found so far", to);
	fprintf(to, "   in run %s\n\n", run->name);
}

static void put_line(const struct pg_rows *rows, int row, FILE *to)
{
	char hms[32] = "-";

	if (!pg_rows_is_null(rows, row, 0))
		clock_hms(pg_rows_i64(rows, row, 0) * NS_PER_US, true, hms, sizeof(hms));
	fprintf(to, "  %-12s   %-11s  %s", hms, pg_rows_text(rows, row, 1),
		pg_rows_text(rows, row, 2));
	if (!pg_rows_is_null(rows, row, 3))
		fprintf(to, "   (%s)", pg_rows_text(rows, row, 3));
	fputc('\n', to);
}

static void identity_args(struct pg_args *args, const struct run *run, const struct identity *id)
{
	pg_arg_i64(args, run->id);
	pg_arg_u64(args, id->producer_id);
	pg_arg_u64(args, id->epoch);
	pg_arg_u64(args, id->partition);
}

/* Nothing is known of it: say what there is instead. */
static int not_known(struct ledger *l, const struct run *run, const struct identity *id,
	const char *text, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	uint64_t top;
	int r;

	identity_args(&args, run, id);
	r = pg_query(ledger_pg(l), SQL_EXPLAIN_LANE, &args, EXPLAIN_TIMEOUT, &rows, e);
	if (r)
		return r;
	top = pg_rows_u64(rows, 0, 1);
	err_set(e, ERR_NOTFOUND, "run '%s' has no message %s", run->name, text);
	if (top)
		err_hint(e, "of that lane it has seqs 1 to %" PRIu64, top);
	else if (pg_rows_i64(rows, 0, 0))
		err_hint(e, "producer %" PRIu64 ".%" PRIu64 " sent nothing to partition %" PRIu64,
			id->producer_id, id->epoch, id->partition);
	else
		err_hint(e, "it has no producer %" PRIu64 ".%" PRIu64, id->producer_id, id->epoch);
	pg_rows_free(rows);
	return ERR_NOTFOUND;
}

static int explain(struct ledger *l, const struct run *run, const struct identity *id,
	const char *text, FILE *to, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct story story = {0};
	char reads[16] = "";
	int r;

	identity_args(&args, run, id);
	pg_arg_u64(&args, id->seq);
	r = run_get_setting(l, run->id, "source", "reads", reads, sizeof(reads), e);
	if (r == 0)
		r = pg_query(ledger_pg(l), SQL_EXPLAIN, &args, EXPLAIN_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows) == 0) {
		pg_rows_free(rows);
		return not_known(l, run, id, text, e);
	}
	for (int i = 0; i < pg_rows_n(rows); i++)
		note(&story, pg_rows_text(rows, i, 1), pg_rows_text(rows, i, 2),
			pg_rows_text(rows, i, 3));
	story.queue = strcmp(reads, "queue") == 0;
	head(text, run, &story, to);
	for (int i = 0; i < pg_rows_n(rows); i++)
		put_line(rows, i, to);
	r = pg_rows_check(rows, e);
	pg_rows_free(rows);
	tell(&story, to);
	return r;
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
	if (r == 0)
		r = explain(l, &run, &id, cl->argv[1], stdout, &e);
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
	.description = "Tells the life of one message, from the probe's intent to what the log "
		       "holds of it, with the "
		       "faults and events around it, and what most probably happened. IDENTITY is "
		       "PRODUCER.EPOCH.PARTITION.SEQ, as reports print it.",
	.examples = "  mqaudit explain orders-1 1.1.0.1438\n",
	.opts = explain_table,
	.opts_size = sizeof(struct explain_opts),
	.min_args = 2,
	.max_args = 2,
	.run = run_explain,
};
