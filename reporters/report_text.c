/* The text report: the answer first, the evidence below, what to do next last. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/units.h"
#include "reporters/report_words.h"

#define WIDTH_DEFAULT 120
#define WHY_MIN 40 /* columns that the last column gets, however narrow the terminal */
#define MAX_CELLS 10
#define LABEL_COLUMN 12 /* where the text behind a label begins */
#define TEXT_MAX ((size_t)1 << 20)

#define RED "\033[1;31m"
#define GREEN "\033[1;32m"
#define YELLOW "\033[1;33m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

struct writer {
	struct report *r;
	const struct report_style *style;
	unsigned width;
	FILE *to;
};

static void paint(const struct writer *w, const char *colour, const char *text)
{
	bool on = w->style->colour && *colour && *text;

	fprintf(w->to, "%s%s%s", on ? colour : "", text, on ? PLAIN : "");
}

/* Columns that a UTF-8 text takes: its code points. */
static unsigned columns(const char *s, size_t len)
{
	unsigned n = 0;

	for (size_t i = 0; i < len && s[i]; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return n;
}

/* Control characters of other people's texts must not reach a terminal. */
static void put_defused(FILE *to, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fputc((unsigned char)s[i] < 0x20 || s[i] == 0x7f ? ' ' : s[i], to);
}

/* Words of text, wrapped to the width; the first line begins at column `at`, the others at
 * `indent`. */
static void put_wrapped(const struct writer *w, const char *text, unsigned at, unsigned indent)
{
	unsigned width = w->width > indent + WHY_MIN ? w->width : indent + WHY_MIN;
	unsigned gap = 0; /* spaces before the word: two stay two, inside a line */

	for (const char *p = text; *p;) {
		size_t len = strcspn(p, " ");
		unsigned n = columns(p, len);

		if (gap && at + gap + n > width) {
			fprintf(w->to, "\n%*s", (int)indent, "");
			at = indent;
		} else {
			fprintf(w->to, "%*s", (int)gap, "");
			at += gap;
		}
		put_defused(w->to, p, len);
		at += n;
		p += len;
		gap = (unsigned)strspn(p, " ");
		p += gap;
	}
	fputc('\n', w->to);
}

/* "  Settings   text", wrapped behind the label. */
static void put_labelled(const struct writer *w, const char *label, const char *text)
{
	if (!*text)
		return;
	fprintf(w->to, "  %-*s", LABEL_COLUMN - 2, label);
	put_wrapped(w, text, LABEL_COLUMN, LABEL_COLUMN);
}

static const char *colour_of(const char *verdict)
{
	if (strcmp(verdict, "PASS") == 0)
		return GREEN;
	return strcmp(verdict, "FAIL") == 0 || strcmp(verdict, "ERROR") == 0 ? RED : YELLOW;
}

static void head(const struct writer *w)
{
	const char *verdict = report_member_text(w->r->doc, "verdict");
	const char *name = report_member_text(json_object_get(w->r->doc, "run"), "name");
	struct buf b;

	buf_init(&b, TEXT_MAX);
	words_headline(w->r->doc, &b);
	paint(w, colour_of(verdict), verdict);
	fprintf(w->to, "   %s   ", name);
	put_wrapped(w, buf_str(&b), columns(verdict, 100) + columns(name, 200) + 6, 7);
	buf_release(&b);
}

static void reasons(const struct writer *w)
{
	const json_t *list = json_object_get(w->r->doc, "reasons"), *reason;
	/* a proved FAIL outranks what would leave the run undecided */
	bool undecided = strcmp(report_member_text(w->r->doc, "verdict"), "FAIL") != 0;
	size_t i;

	json_array_foreach(list, i, reason)
	{
		fputs(i ? "  and      " : undecided ? "  because  " : "  also     ", w->to);
		put_wrapped(w, json_string_value(reason), 11, 11);
	}
}

/* ---- the stages ------------------------------------------------------------------------------ */

struct cell {
	char text[64];
	bool loud;
};

struct stage_row {
	const char *name;
	char left[64], right[64];
	struct cell cell[MAX_CELLS];
	size_t n;
};

static uint64_t count_of(const struct writer *w, const char *name)
{
	return report_member_number(json_object_get(w->r->doc, "counts"), name);
}

static void put_count(char *ret, size_t len, uint64_t n, const char *word)
{
	char text[UNITS_LEN];

	snprintf(ret, len, "%s %s", units_grouped(n, text), word);
}

/* Add a cell; `always`: also when the count is 0. A loud one is bad news. */
static void add_cell(
	struct stage_row *row, uint64_t n, const char *word, bool always, const char *loud)
{
	struct cell *c = &row->cell[row->n];

	if ((n == 0 && !always) || row->n == MAX_CELLS)
		return;
	c->loud = n && loud;
	put_count(c->text, sizeof(c->text), n, c->loud ? loud : word);
	row->n++;
}

static void produce_row(const struct writer *w, struct stage_row *row)
{
	const json_t *doc = w->r->doc;

	*row = (struct stage_row){.name = "produce"};
	put_count(row->left, sizeof(row->left), count_of(w, "intended"), "sent");
	put_count(row->right, sizeof(row->right), count_of(w, "acked"), "acked");
	add_cell(row, count_of(w, "refused"), "refused", true, NULL);
	add_cell(row, count_of(w, "unknown") + count_of(w, "none"), "unknown", true, NULL);
	add_cell(row, count_of(w, "unconfirmed"), "unconfirmed", false, NULL);
	add_cell(row, count_of(w, "unrecorded"), "unrecorded", false, NULL);
	add_cell(row, count_of(w, "in_flight"), "in flight", false, NULL);
	add_cell(row, report_sum(doc, "lost", "produce"), "lost", false, "LOST");
	add_cell(row, report_sum(doc, "duplicated", "produce"), "repeated", true, "REPEATED");
	add_cell(row, report_sum(doc, "reordered", "produce"), "reordered", false, "REORDERED");
}

static const char *where_copies_are(const json_t *doc)
{
	return words_of_queue(doc, "source")                   ? "from the queue"
	       : *words_setting(doc, "probe", "routed-stream") ? "routed"
							       : "on the log";
}

static void broker_row(const struct writer *w, struct stage_row *row)
{
	const json_t *doc = w->r->doc;

	*row = (struct stage_row){.name = "broker"};
	put_count(row->left, sizeof(row->left), count_of(w, "acked"), "acked");
	if (words_of_unread(doc))
		snprintf(row->right, sizeof(row->right), "not read");
	else
		put_count(row->right, sizeof(row->right), count_of(w, "distinct"),
			where_copies_are(doc));
	if (words_of_routed(doc)) {
		char more[64];

		put_count(more, sizeof(more), count_of(w, "target_distinct"), "from the queue");
		snprintf(row->right + strlen(row->right), sizeof(row->right) - strlen(row->right),
			", %s", more);
	}
	add_cell(row, report_sum(doc, "lost", "broker"), "lost", true, "LOST");
	add_cell(row, report_sum(doc, "expired", NULL), "expired", true, NULL);
	add_cell(row, report_sum(doc, "unread", NULL), "unread", false, "UNREAD");
	add_cell(row, report_sum(doc, "corrupted", "broker"), "corrupted", false, "CORRUPTED");
	add_cell(row, report_sum(doc, "phantom", "broker"), "phantom", false, "PHANTOM");
	add_cell(row, report_sum(doc, "inconsistent", NULL), "inconsistent", false, "INCONSISTENT");
	add_cell(row, report_sum(doc, "reordered", "broker"), "reordered", false, "REORDERED");
	add_cell(row, report_sum(doc, "pending", "broker"), "pending", false, NULL);
	add_cell(row,
		words_of_routed(doc) ? report_sum(doc, "redelivered", NULL)
				     : count_of(w, "redelivered"),
		"given again", false, NULL);
	add_cell(row, count_of(w, "aborted"), "aborted", false, NULL);
	add_cell(row, count_of(w, "foreign"), "foreign", false, NULL);
}

static void relay_row(const struct writer *w, struct stage_row *row)
{
	const json_t *doc = w->r->doc;

	*row = (struct stage_row){.name = "relay"};
	if (words_of_unread(doc))
		put_count(row->left, sizeof(row->left), count_of(w, "acked"), "acked");
	else
		put_count(row->left, sizeof(row->left), count_of(w, "distinct"),
			where_copies_are(doc));
	put_count(row->right, sizeof(row->right), count_of(w, "target_read"), "read behind");
	add_cell(row, report_sum(doc, "lost", "relay"), "lost", true, "LOST");
	add_cell(row, report_sum(doc, "duplicated", "relay"), "repeated", true, "REPEATED");
	add_cell(row, report_sum(doc, "reordered", "relay"), "reordered", false, "REORDERED");
	add_cell(row, report_sum(doc, "corrupted", "relay"), "corrupted", false, "CORRUPTED");
	add_cell(row, report_sum(doc, "phantom", "relay"), "phantom", false, "PHANTOM");
	add_cell(row, report_sum(doc, "pending", "relay"), "pending", false, NULL);
	add_cell(row, report_sum(doc, "redelivered", "relay"), "given again", false, NULL);
	add_cell(row, count_of(w, "target_foreign"), "foreign", false, NULL);
}

static void put_cells(const struct writer *w, const struct stage_row *row, const unsigned *width)
{
	for (size_t i = 0; i < row->n; i++) {
		unsigned pad = i + 1 < row->n ? width[i] - columns(row->cell[i].text, 64) : 0;

		fputs("   ", w->to);
		paint(w, row->cell[i].loud ? RED : "", row->cell[i].text);
		fprintf(w->to, "%*s", (int)pad, "");
	}
}

static void stages(const struct writer *w)
{
	struct stage_row row[3];
	unsigned left = 0, right = 0, cell[MAX_CELLS] = {0};
	size_t n = 2;

	produce_row(w, &row[0]);
	broker_row(w, &row[1]);
	if (*report_member_text(json_object_get(w->r->doc, "run"), "target"))
		relay_row(w, &row[n++]);
	for (size_t i = 0; i < n; i++) {
		left = left > columns(row[i].left, 64) ? left : columns(row[i].left, 64);
		right = right > columns(row[i].right, 64) ? right : columns(row[i].right, 64);
		for (size_t k = 0; k < row[i].n; k++)
			if (columns(row[i].cell[k].text, 64) > cell[k])
				cell[k] = columns(row[i].cell[k].text, 64);
	}
	fputc('\n', w->to);
	for (size_t i = 0; i < n; i++) {
		fprintf(w->to, "  %-8s %s ", row[i].name, row[i].left);
		for (unsigned k = columns(row[i].left, 64); k < left + 5; k++)
			fputc('-', w->to);
		fprintf(w->to, " %-*s", (int)right, row[i].right);
		put_cells(w, &row[i], cell);
		fputc('\n', w->to);
	}
	fprintf(w->to, "  consume  ");
	paint(w, DIM, "not observed");
	fputc('\n', w->to);
}

/* ---- the findings ---------------------------------------------------------------------------- */

enum column {
	COL_WHAT,
	COL_STAGE,
	COL_COUNT,
	COL_PRODUCER,
	COL_PARTITION,
	COL_SEQ,
	COL_WHEN,
	COL_N
};

static const struct {
	const char *name;
	bool right;
} column_of[COL_N] = {{"WHAT", false}, {"STAGE", false}, {"COUNT", true}, {"PRODUCER", false},
	{"PARTITION", false}, {"SEQ", false}, {"WHEN", false}};

struct table {
	const struct writer *w;
	unsigned width[COL_N];
	uint64_t n;
	struct buf cell[COL_N], why;
	bool measuring; /* the first of two passes over the rows */
};

static void fill_row(struct table *t, const struct report_finding *f)
{
	char text[UNITS_LEN];

	for (int i = 0; i < COL_N; i++)
		buf_clear(&t->cell[i]);
	buf_str_add(&t->cell[COL_WHAT], f->kind);
	buf_str_add(&t->cell[COL_STAGE], f->stage);
	buf_str_add(&t->cell[COL_COUNT], units_grouped(f->count, text));
	words_producer(f, &t->cell[COL_PRODUCER]);
	buf_i64(&t->cell[COL_PARTITION], f->partition);
	words_range(f, &t->cell[COL_SEQ]);
	buf_str_add(&t->cell[COL_WHEN],
		f->first_wall_ns ? clock_hms(f->first_wall_ns, false, text, sizeof(text)) : "-");
}

static unsigned put_columns(const struct table *t, bool heading, bool bad)
{
	unsigned at = 2;

	fputs("  ", t->w->to);
	for (int i = 0; i < COL_N; i++) {
		const char *text = heading ? column_of[i].name : buf_str(&t->cell[i]);
		int pad = (int)(t->width[i] - columns(text, SIZE_MAX));

		fprintf(t->w->to, "%*s", column_of[i].right ? pad : 0, "");
		paint(t->w, heading ? DIM : bad && i == COL_WHAT ? RED : "", text);
		fprintf(t->w->to, "%*s", (column_of[i].right ? 0 : pad) + 2, "");
		at += t->width[i] + 2;
	}
	return at;
}

static bool is_bad(const struct writer *w, const char *kind)
{
	struct promise p;
	struct err ignored;
	enum finding_kind k;

	return promise_parse(report_member_text(w->r->doc, "promise"), &p, &ignored) == 0 &&
	       finding_parse(kind, &k) && promise_broken_by(&p, k);
}

static int give_row(const struct report_finding *f, void *arg, struct err *e)
{
	struct table *t = arg;
	unsigned at;

	fill_row(t, f);
	if (t->measuring) {
		t->n++;
		for (int i = 0; i < COL_N; i++)
			if (columns(buf_str(&t->cell[i]), SIZE_MAX) > t->width[i])
				t->width[i] = columns(buf_str(&t->cell[i]), SIZE_MAX);
		return 0;
	}
	buf_clear(&t->why);
	words_why(f, &t->why);
	if (buf_failed(&t->why))
		return err_set(e, buf_failed(&t->why), "a finding is too large to be shown");
	at = put_columns(t, false, is_bad(t->w, f->kind));
	put_wrapped(t->w, buf_str(&t->why), at, at);
	return 0;
}

static void below_the_table(const struct writer *w, uint64_t shown)
{
	uint64_t total = report_member_number(w->r->doc, "findings_n");
	uint64_t withdrawn = count_of(w, "withdrawn");
	char n[UNITS_LEN];

	if (total > shown)
		fprintf(w->to, "  ... and %s more range%s; --limit 0 shows all\n",
			units_grouped(total - shown, n), total - shown == 1 ? "" : "s");
	if (withdrawn)
		fprintf(w->to, "\n  %s message%s that had seemed lost came after all\n",
			units_grouped(withdrawn, n), withdrawn == 1 ? "" : "s");
}

static int findings(const struct writer *w, struct err *e)
{
	struct table t = {.w = w, .measuring = true};
	int r;

	for (int i = 0; i < COL_N; i++) {
		buf_init(&t.cell[i], TEXT_MAX);
		t.width[i] = columns(column_of[i].name, 20);
	}
	buf_init(&t.why, TEXT_MAX);
	r = report_each_finding(w->r, false, w->style->limit, give_row, &t, e);
	t.measuring = false;
	if (r == 0 && t.n) {
		fputc('\n', w->to);
		put_columns(&t, true, false);
		paint(w, DIM, "WHY");
		fputc('\n', w->to);
		r = report_each_finding(w->r, false, w->style->limit, give_row, &t, e);
	}
	if (r == 0)
		below_the_table(w, t.n);
	for (int i = 0; i < COL_N; i++)
		buf_release(&t.cell[i]);
	buf_release(&t.why);
	return r;
}

/* ---- the evidence ---------------------------------------------------------------------------- */

static void put_time(struct buf *b, const char *iso)
{
	int64_t wall_ns = report_time(iso);
	char hms[32];

	buf_str_add(b, wall_ns ? clock_hms(wall_ns, false, hms, sizeof(hms)) : "-");
}

/* A lab's fault begins with the lab's own number of it, which says nothing here: "f1 isolate ...".
 */
static const char *without_number(const char *detail)
{
	size_t n = *detail == 'f' ? 1 + strspn(detail + 1, "0123456789") : 0;

	return n > 1 && detail[n] == ' ' ? detail + n + 1 : detail;
}

static void faults(const struct writer *w)
{
	const json_t *list = json_object_get(w->r->doc, "events"), *ev;
	const char *label = "Faults";
	struct buf b;
	size_t i;

	buf_init(&b, TEXT_MAX);
	json_array_foreach(list, i, ev)
	{
		const char *until = report_member_text(ev, "until");

		if (strcmp(report_member_text(ev, "kind"), "fault") != 0)
			continue;
		buf_clear(&b);
		put_time(&b, report_member_text(ev, "at"));
		buf_str_add(&b, " - ");
		if (*until)
			put_time(&b, until);
		else
			buf_str_add(&b, "STILL ON");
		buf_printf(&b, "  %s %s", report_member_text(ev, "subject"),
			without_number(report_member_text(ev, "detail")));
		put_labelled(w, label, buf_str(&b));
		label = "";
	}
	buf_release(&b);
}

static void add_setting(struct buf *b, const char *name, const char *value)
{
	if (*value)
		buf_printf(b, "%s%s=%s", b->len ? "  " : "", name, value);
}

static void settings(const struct writer *w)
{
	/* as the client library calls them, as people call them, and the value that goes without
	 * saying */
	static const struct {
		const char *scope, *name, *shown, *usual;
	} rows[] = {
		{"client", "request.required.acks", "acks", NULL},
		{"client", "enable.idempotence", "enable.idempotence", NULL},
		{"client", "message.send.max.retries", "retries", NULL},
		{"client", "max.in.flight.requests.per.connection", "max.in.flight", NULL},
		{"client", "queue.buffering.max.ms", "linger.ms", "5"},
		{"client", "transactional.id", "transactional.id", NULL},
		{"client", "confirms", "confirms", NULL},
		{"client", "persistent", "persistent", NULL},
		{"client", "mandatory", "mandatory", NULL},
		{"client", "exchange", "exchange", ""},
		{"probe", "on-queue-full", "on-queue-full", "wait"},
		{"probe", "exit-without-flush", "exit-without-flush", "false"},
		{"probe", "republish-unknown", "republish-unknown", "false"},
		{"topic", "replication.factor", "replication", NULL},
		{"topic", "min.insync.replicas", "min.insync.replicas", NULL},
		{"topic", "unclean.leader.election.enable", "unclean.leader.election.enable",
			"false"},
		{"topic", "cleanup.policy", "cleanup.policy", "delete"},
		{"topic", "x-queue-type", "x-queue-type", NULL},
		{"topic", "x-queue-version", "x-queue-version", NULL},
		{"topic", "durable", "durable", NULL},
		{"checker", "relay-lag", "relay-lag", NULL},
	};
	struct buf client, topic;

	buf_init(&client, TEXT_MAX);
	buf_init(&topic, TEXT_MAX);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *value = words_setting(w->r->doc, rows[i].scope, rows[i].name);

		if (rows[i].usual && strcmp(value, rows[i].usual) == 0)
			continue;
		/* the library's number for "all" */
		if (strcmp(rows[i].shown, "acks") == 0 && strcmp(value, "-1") == 0)
			value = "all";
		add_setting(strcmp(rows[i].scope, "topic") == 0 ? &topic : &client, rows[i].shown,
			value);
	}
	if (topic.len)
		buf_printf(&client, "%s| %s", client.len ? " " : "", buf_str(&topic));
	put_labelled(w, "Settings", buf_str(&client));
	buf_release(&client);
	buf_release(&topic);
}

/* "log read to the fence at offset 2,437", or for more partitions "to their 3 fences". */
static void put_fences(const json_t *doc, struct buf *b)
{
	const json_t *list = json_object_get(doc, "fences"), *f;
	uint64_t last = 0, n = 0, offset = 0;
	char text[UNITS_LEN];
	size_t i;

	if (!json_is_true(json_object_get(doc, "fenced"))) {
		buf_str_add(b, json_is_integer(json_object_get(doc, "judgement"))
				       ? "not fenced"
				       : "not judged yet");
		return;
	}
	json_array_foreach(list, i, f)
	{
		if (strcmp(report_member_text(f, "side"), "source") != 0)
			continue;
		if (report_member_number(f, "number") > last) {
			last = report_member_number(f, "number");
			n = 0;
		}
		n++;
		offset = report_member_number(f, "offset");
	}
	if (words_of_unread(doc))
		buf_str_add(b, "what is behind the relay was read to the fence");
	else if (words_of_queue(doc, "source") || words_of_routed(doc))
		buf_str_add(b, "the queue gave the fence, and then nothing more");
	if (words_of_unread(doc) || words_of_queue(doc, "source"))
		return;
	buf_printf(b, "%s%s ", b->len ? "; " : "",
		*words_setting(doc, "probe", "routed-stream") ? "routed stream" : "log");
	if (n == 0)
		buf_str_add(b, "read to the fence");
	else if (n == 1)
		buf_printf(b, "read to the fence at offset %s", units_grouped(offset, text));
	else
		buf_printf(b, "read to the fences of %s partitions", units_grouped(n, text));
}

/* Why what a queue did not give was not removed by policy, where that matters. */
static void put_removals(const json_t *doc, struct buf *b)
{
	const char *by = report_member_text(json_object_get(doc, "removals"), "policy_excluded_by");

	if (*words_setting(doc, "checker", "no-policy"))
		buf_str_add(
			b, "; that no policy takes from the queue is your premise (--no-policy)");
	else if (*by && report_sum(doc, "lost", NULL))
		buf_printf(b, "; no policy took it: %s", by);
}

static void put_generations(const json_t *doc, struct buf *b)
{
	const json_t *list = json_object_get(doc, "generations"), *g;
	uint64_t cuts = 0, sweeps = 0;
	struct buf at;
	size_t i;

	if (words_of_queue(doc, "source") || words_of_unread(doc))
		return;
	buf_init(&at, TEXT_MAX);
	json_array_foreach(list, i, g)
	{
		if (strcmp(report_member_text(g, "isolation"), "committed") == 0)
			continue;
		if (strcmp(report_member_text(g, "cause"), "cut") != 0) {
			sweeps++;
			continue;
		}
		if (cuts++ < 4)
			buf_printf(&at, "%s%" PRIu64 "/%" PRIu64, cuts == 1 ? "" : ", ",
				report_member_number(g, "partition"),
				report_member_number(g, "first_offset"));
	}
	if (cuts)
		buf_printf(b, "; %" PRIu64 " cut%s of the log, at partition/offset %s%s", cuts,
			cuts == 1 ? "" : "s", buf_str(&at), cuts > 4 ? ", ..." : "");
	else
		buf_str_add(b, "; no cut of the log");
	if (sweeps)
		buf_str_add(b, "; read again where a policy may have removed something");
	buf_release(&at);
}

static void evidence(const struct writer *w)
{
	const json_t *doc = w->r->doc, *agreed = json_object_get(doc, "agreed");
	const json_t *tool = json_object_get(doc, "tool");
	const char *library = words_setting(doc, "probe", "library");
	struct buf b;

	buf_init(&b, TEXT_MAX);
	put_fences(doc, &b);
	put_removals(doc, &b);
	put_generations(doc, &b);
	if (json_is_boolean(agreed))
		buf_printf(&b, "; %s",
			json_is_true(agreed) ? "both judges agree" : "THE TWO JUDGES DISAGREE");
	buf_printf(&b, "; run %s", report_member_text(json_object_get(doc, "run"), "id"));
	put_labelled(w, "Evidence", buf_str(&b));
	buf_clear(&b);
	buf_printf(&b, "mqaudit %s (%s)%s%s", report_member_text(tool, "version"),
		report_member_text(tool, "allocator"), *library ? ", " : "", library);
	put_labelled(w, "Made by", buf_str(&b));
	buf_release(&b);
}

static void put_latency(const json_t *latency, const char *name, const char *words, struct buf *b)
{
	const json_t *l = json_object_get(latency, name);
	char text[UNITS_LEN];

	if (!l)
		return;
	buf_printf(b, "   %s p50 %s", words,
		units_duration((int64_t)report_member_number(l, "p50_ns"), text));
	buf_printf(b, ", p99 %s", units_duration((int64_t)report_member_number(l, "p99_ns"), text));
}

static void availability(const struct writer *w)
{
	const json_t *a = json_object_get(w->r->doc, "available");
	const json_t *latency = json_object_get(w->r->doc, "latency");
	uint64_t active = report_member_number(a, "active_ms");
	uint64_t without = report_member_number(a, "without_ack_ms");
	char text[UNITS_LEN];
	struct buf b;

	if (active == 0 || count_of(w, "acked") == 0)
		return;
	buf_init(&b, TEXT_MAX);
	/* rounded down: 99.99 % must not be shown as 100 */
	buf_printf(&b, "%.1f %%", (double)((active - without) * 1000 / active) / 10.0);
	buf_printf(&b, "   longest gap without an acknowledgement %s",
		units_duration(
			(int64_t)report_member_number(a, "longest_gap_ms") * NS_PER_MS, text));
	put_latency(latency, "ack", "acknowledged in", &b);
	put_latency(latency, "end_to_end", "read after", &b);
	put_labelled(w, "Available", buf_str(&b));
	buf_release(&b);
}

static void run_line(const struct writer *w)
{
	const json_t *run = json_object_get(w->r->doc, "run");
	int64_t started = report_time(report_member_text(run, "started"));
	int64_t ended = report_time(report_member_text(run, "ended"));
	time_t s = (time_t)(started / NS_PER_S);
	char text[UNITS_LEN], date[40];
	struct tm tm;
	struct buf b;

	buf_init(&b, TEXT_MAX);
	localtime_r(&s, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	buf_printf(&b, "%s, %s   %s", date,
		ended ? units_duration(ended - started, text) : "not ended",
		report_member_text(run, "destination"));
	if (*report_member_text(run, "target"))
		buf_printf(&b, " -> %s", report_member_text(run, "target"));
	put_labelled(w, "Run", buf_str(&b));
	buf_release(&b);
}

static void proved(const struct writer *w)
{
	struct buf b;

	if (strcmp(report_member_text(w->r->doc, "verdict"), "PASS") != 0)
		return;
	buf_init(&b, TEXT_MAX);
	words_proved(w->r->doc, &b);
	put_labelled(w, "Proved", buf_str(&b));
	buf_clear(&b);
	words_not_proved(w->r->doc, &b);
	put_labelled(w, "Limits", buf_str(&b));
	buf_release(&b);
}

/* ---- what to do next ------------------------------------------------------------------------- */

struct next {
	struct buf hint, identity;
};

/* The first finding, which matters most. */
static int give_next(const struct report_finding *f, void *arg, struct err *e)
{
	struct next *next = arg;

	(void)e;
	if (f->producer_id)
		buf_printf(&next->identity, "%" PRId64 ".%" PRId64 ".%" PRId64 ".%" PRIu64,
			f->producer_id, f->epoch, f->partition, f->lo);
	if (!next->hint.len)
		words_hint_of_finding(f, &next->hint);
	return 0;
}

static int next_steps(const struct writer *w, struct err *e)
{
	const json_t *run = json_object_get(w->r->doc, "run");
	const char *verdict = report_member_text(w->r->doc, "verdict");
	const char *url = report_member_text(run, "target");
	struct next next;
	int r;

	buf_init(&next.hint, TEXT_MAX);
	buf_init(&next.identity, 200);
	words_hint(w->r->doc, &next.hint);
	r = report_each_finding(w->r, false, 1, give_next, &next, e);
	if (next.hint.len || next.identity.len || strcmp(verdict, "open") == 0)
		fputc('\n', w->to);
	if (next.hint.len) {
		fputs("  ", w->to);
		put_wrapped(w, buf_str(&next.hint), 2, 2);
	}
	if (next.identity.len)
		fprintf(w->to, "  More: mqaudit explain %s %s\n", report_member_text(run, "name"),
			buf_str(&next.identity));
	if (strcmp(verdict, "open") == 0)
		fprintf(w->to, "  To judge it: mqaudit check %s --run %s\n",
			*url ? url : report_member_text(run, "destination"),
			report_member_text(run, "name"));
	buf_release(&next.hint);
	buf_release(&next.identity);
	return r;
}

int report_text(struct report *r, const struct report_style *style, FILE *to, struct err *e)
{
	struct writer w = {r, style, style->width ? style->width : WIDTH_DEFAULT, to};
	int rc;

	head(&w);
	reasons(&w);
	stages(&w);
	rc = findings(&w, e);
	if (rc)
		return rc;
	fputc('\n', to);
	proved(&w);
	faults(&w);
	settings(&w);
	evidence(&w);
	availability(&w);
	run_line(&w);
	return next_steps(&w, e);
}
