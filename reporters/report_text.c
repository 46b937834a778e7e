/* The text report: the answer first, the evidence below, what to do next last. */
#include <string.h>
#include <time.h>

#include "core/buf.h"
#include "core/units.h"
#include "reporters/report.h"

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static uint64_t number_of(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	if (json_is_real(v))
		return (uint64_t)json_real_value(v);
	return (uint64_t)json_integer_value(v);
}

static const char *setting(const json_t *report, const char *scope, const char *name)
{
	return text_of(json_object_get(json_object_get(report, "settings"), scope), name);
}

static uint64_t sum_of(const json_t *report, const char *kind, const char *stage)
{
	const json_t *sums = json_object_get(report, "sums"), *s;
	uint64_t n = 0;
	size_t i;

	json_array_foreach(sums, i, s)
	{
		if (strcmp(text_of(s, "kind"), kind) == 0 &&
			(!stage || strcmp(text_of(s, "stage"), stage) == 0))
			n += number_of(s, "count");
	}
	return n;
}

/* "2026-11-21T12:30:52.104+00:00" as local time of day. */
static void local_time(const char *iso, char *ret, size_t len)
{
	struct tm tm = {0};
	time_t t;

	if (!strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm)) {
		snprintf(ret, len, "-");
		return;
	}
	t = timegm(&tm);
	localtime_r(&t, &tm);
	strftime(ret, len, "%H:%M:%S", &tm);
}

static const char *colour_of(const char *verdict, const struct report_style *style)
{
	if (!style->colour)
		return "";
	if (strcmp(verdict, "PASS") == 0)
		return "\033[1;36m";
	if (strcmp(verdict, "FAIL") == 0 || strcmp(verdict, "ERROR") == 0)
		return "\033[1;31m";
	return "\033[1;33m";
}

/* What broke, in words: one clause for each kind and stage that breaks the promise. */
static void broken_clauses(const json_t *report, const struct promise *p, struct buf *b)
{
	static const struct {
		const char *kind, *stage, *words;
		bool of_acked;
	} clauses[] = {
		{"lost", "broker", "acknowledged messages were lost at the broker", true},
		{"lost", "produce", "unconfirmed messages were lost at the producer", false},
		{"lost", "relay", "messages were lost at the relay", false},
		{"lost", "consume", "messages were lost at the consumer", false},
		{"duplicated", "produce", "surplus copies came from the producer", false},
		{"duplicated", "relay", "surplus copies came from the relay", false},
		{"reordered", "produce", "messages were reordered at the producer", false},
		{"reordered", "relay", "messages were reordered at the relay", false},
		{"corrupted", "broker", "messages were corrupted at the broker", false},
		{"corrupted", "relay", "messages were corrupted at the relay", false},
		{"phantom", NULL, "messages were never sent", false},
		{"inconsistent", NULL, "positions read differently twice", false},
	};
	char n[UNITS_LEN], of[UNITS_LEN];

	for (size_t i = 0; i < sizeof(clauses) / sizeof(clauses[0]); i++) {
		uint64_t count = sum_of(report, clauses[i].kind, clauses[i].stage);
		enum finding_kind k;

		if (!count || !finding_parse(clauses[i].kind, &k) || !promise_broken_by(p, k))
			continue;
		buf_printf(b, "%s%s", b->len ? "; " : "", units_grouped(count, n));
		if (clauses[i].of_acked)
			buf_printf(b, " of %s",
				units_grouped(number_of(json_object_get(report, "counts"), "acked"), of));
		buf_printf(b, " %s", clauses[i].words);
	}
}

static void head(const json_t *report, const struct report_style *style, FILE *to)
{
	const char *verdict = text_of(report, "verdict"), *promise_name = text_of(report, "promise");
	const json_t *counts = json_object_get(report, "counts");
	struct promise promise;
	struct err ignored;
	char n[UNITS_LEN];
	struct buf b;

	buf_init(&b, 4096);
	fprintf(to, "%s%s%s   %s   ", colour_of(verdict, style), verdict, style->colour ? "\033[0m" : "",
		text_of(json_object_get(report, "run"), "name"));
	if (promise_parse(promise_name, &promise, &ignored) == 0) {
		err_ignore(promise_kinds_parse(text_of(report, "fail_on"), &promise.fail_on, &ignored));
		err_ignore(promise_kinds_parse(text_of(report, "allow"), &promise.allow, &ignored));
		broken_clauses(report, &promise, &b);
	}
	if (strcmp(verdict, "FAIL") == 0)
		fprintf(to, "%s broken: %s\n", promise_name, buf_str(&b));
	else if (strcmp(verdict, "PASS") == 0)
		fprintf(to, "%s kept: all %s acknowledged messages are accounted for\n", promise_name,
			units_grouped(number_of(counts, "acked"), n));
	else if (strcmp(verdict, "NODATA") == 0)
		fprintf(to, "nothing was acknowledged and nothing found: there is nothing to judge\n");
	else if (strcmp(verdict, "open") == 0)
		fprintf(to, "%s: not judged yet\n", promise_name);
	else
		fprintf(to, "%s: %s\n", promise_name,
			strcmp(verdict, "ERROR") == 0 ? "the evidence cannot be used" : "cannot be decided");
	buf_release(&b);
}

static void reasons(const json_t *report, FILE *to)
{
	const json_t *list = json_object_get(report, "reasons"), *reason;
	size_t i;

	json_array_foreach(list, i, reason) fprintf(to, "  %s %s\n", i ? "    and" : "because",
		json_string_value(reason));
	if (json_array_size(list))
		fputc('\n', to);
}

static void part(FILE *to, const char *n_text, const char *word, bool loud)
{
	fprintf(to, "   %s %s", n_text, loud ? word : word);
}

static void count_part(FILE *to, uint64_t n, const char *word, const char *loud_word)
{
	char text[UNITS_LEN];

	part(to, units_grouped(n, text), n && loud_word ? loud_word : word, n != 0);
}

static void stages(const json_t *report, FILE *to)
{
	const json_t *c = json_object_get(report, "counts");
	char a[UNITS_LEN], b[UNITS_LEN];
	uint64_t unconfirmed = number_of(c, "unconfirmed");

	fprintf(to, "\n  produce  %s sent ---- %s acked", units_grouped(number_of(c, "intended"), a),
		units_grouped(number_of(c, "acked"), b));
	if (unconfirmed)
		count_part(to, unconfirmed, "unconfirmed", NULL);
	count_part(to, number_of(c, "refused"), "refused", NULL);
	count_part(to, number_of(c, "unknown") + number_of(c, "none"), "unknown", NULL);
	if (number_of(c, "unrecorded"))
		count_part(to, number_of(c, "unrecorded"), "unrecorded", NULL);
	if (number_of(c, "in_flight"))
		count_part(to, number_of(c, "in_flight"), "in flight", NULL);
	count_part(to, sum_of(report, "lost", "produce"), "lost", "LOST");
	count_part(to, sum_of(report, "duplicated", "produce"), "repeated", "REPEATED");
	if (sum_of(report, "reordered", "produce"))
		count_part(to, sum_of(report, "reordered", "produce"), "reordered", "REORDERED");
	fprintf(to, "\n  broker   %s acked --- %s on the log", units_grouped(number_of(c, "acked"), a),
		units_grouped(number_of(c, "distinct"), b));
	count_part(to, sum_of(report, "lost", "broker"), "lost", "LOST");
	count_part(to, sum_of(report, "expired", NULL), "expired", NULL);
	if (sum_of(report, "unread", NULL))
		count_part(to, sum_of(report, "unread", NULL), "unread", "UNREAD");
	if (sum_of(report, "corrupted", "broker"))
		count_part(to, sum_of(report, "corrupted", "broker"), "corrupted", "CORRUPTED");
	if (sum_of(report, "phantom", "broker"))
		count_part(to, sum_of(report, "phantom", "broker"), "phantom", "PHANTOM");
	if (number_of(c, "aborted"))
		count_part(to, number_of(c, "aborted"), "aborted", NULL);
	if (number_of(c, "foreign"))
		count_part(to, number_of(c, "foreign"), "foreign", NULL);
	if (json_is_string(json_object_get(json_object_get(report, "run"), "target"))) {
		fprintf(to, "\n  relay ");
		count_part(to, sum_of(report, "lost", "relay"), "lost", "LOST");
		count_part(to, sum_of(report, "duplicated", "relay"), "repeated", "REPEATED");
		count_part(to, sum_of(report, "reordered", "relay"), "reordered", "REORDERED");
		count_part(to, sum_of(report, "corrupted", "relay"), "corrupted", "CORRUPTED");
	}
	fprintf(to, "\n  consume  not observed\n");
}

static void seq_range(const json_t *f, char *ret, size_t len)
{
	unsigned long long lo = number_of(f, "lo"), hi = number_of(f, "hi");

	if (lo == 0)
		snprintf(ret, len, "-");
	else if (lo == hi)
		snprintf(ret, len, "%llu", lo);
	else
		snprintf(ret, len, "%llu-%llu", lo, hi);
}

/* Why, and where it was acked or lies. */
static void why_of(const json_t *f, struct buf *b)
{
	const json_t *list = json_object_get(f, "positions"), *first = json_object_get(f, "acked_first"), *p;
	const char *kind = text_of(f, "kind");
	bool absent = strcmp(kind, "lost") == 0 || strcmp(kind, "unread") == 0 || strcmp(kind, "expired") == 0;
	size_t i;

	buf_str_add(b, text_of(f, "why"));
	if (absent && json_is_integer(first)) {
		unsigned long long lo = number_of(f, "acked_first"), hi = number_of(f, "acked_last");

		buf_printf(b, lo == hi ? "%sacked at offset %llu" : "%sacked at offsets %llu-%llu",
			b->len ? "; " : "", lo, hi);
		return;
	}
	if (absent || json_array_size(list) == 0)
		return;
	buf_printf(b, "%sat offset ", b->len ? "; " : "");
	json_array_foreach(list, i, p)
	{
		if (i == 4) {
			buf_str_add(b, ", ...");
			break;
		}
		buf_printf(b, "%s%llu", i ? ", " : "", (unsigned long long)number_of(p, "offset"));
	}
}

static void findings(const json_t *report, const struct report_style *style, FILE *to)
{
	const json_t *list = json_object_get(report, "findings"), *f;
	uint64_t total = number_of(report, "findings_n"), shown = 0;
	char count[UNITS_LEN], seq[64], when[32], producer[40];
	struct buf why;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	fprintf(to, "\n  %-14s %-8s %9s  %-9s %-9s %-19s %-9s %s\n", "WHAT", "STAGE", "COUNT", "PRODUCER",
		"PARTITION", "SEQ", "WHEN", "WHY");
	buf_init(&why, 4096);
	json_array_foreach(list, i, f)
	{
		bool withdrawn = json_is_true(json_object_get(f, "withdrawn"));

		if (withdrawn)
			continue;
		if (style->limit && shown++ >= style->limit)
			break;
		buf_clear(&why);
		why_of(f, &why);
		seq_range(f, seq, sizeof(seq));
		local_time(text_of(f, "first_time"), when, sizeof(when));
		snprintf(producer, sizeof(producer), "%llu.%llu",
			(unsigned long long)number_of(f, "producer_id"),
			(unsigned long long)number_of(f, "epoch"));
		fprintf(to, "  %-14s %-8s %9s  %-9s %-9llu %-19s %-9s %s\n", text_of(f, "kind"),
			text_of(f, "stage"), units_grouped(number_of(f, "count"), count),
			number_of(f, "producer_id") ? producer : "-",
			(unsigned long long)number_of(f, "partition"), seq, when, buf_str(&why));
	}
	if (style->limit && total > style->limit)
		fprintf(to, "  ... and %s more; --limit 0 shows all\n",
			units_grouped(total - style->limit, count));
	if (number_of(json_object_get(report, "counts"), "withdrawn"))
		fprintf(to, "  %s provisional findings were withdrawn: the messages came after all\n",
			units_grouped(number_of(json_object_get(report, "counts"), "withdrawn"), count));
	buf_release(&why);
}

static void faults(const json_t *report, FILE *to)
{
	const json_t *list = json_object_get(report, "events"), *ev;
	const char *label = "Faults    ";
	char from[32], until[32];
	size_t i;

	json_array_foreach(list, i, ev)
	{
		if (strcmp(text_of(ev, "kind"), "fault") != 0)
			continue;
		local_time(text_of(ev, "at"), from, sizeof(from));
		local_time(text_of(ev, "until"), until, sizeof(until));
		fprintf(to, "  %s %s - %s  %s: %s\n", label, from,
			*text_of(ev, "until") ? until : "still on", text_of(ev, "subject"),
			text_of(ev, "detail"));
		label = "          ";
	}
}

static void put_setting(FILE *to, const char *name, const char *value)
{
	if (*value)
		fprintf(to, "  %s=%s", name, value);
}

static void settings(const json_t *report, FILE *to)
{
	fprintf(to, "  Settings ");
	put_setting(to, "acks", setting(report, "client", "request.required.acks"));
	put_setting(to, "enable.idempotence", setting(report, "client", "enable.idempotence"));
	put_setting(to, "retries", setting(report, "client", "message.send.max.retries"));
	put_setting(to, "max.in.flight", setting(report, "client", "max.in.flight.requests.per.connection"));
	fprintf(to, " |");
	put_setting(to, "replication", setting(report, "topic", "replication.factor"));
	put_setting(to, "min.insync.replicas", setting(report, "topic", "min.insync.replicas"));
	if (strcmp(setting(report, "topic", "cleanup.policy"), "delete") != 0)
		put_setting(to, "cleanup.policy", setting(report, "topic", "cleanup.policy"));
	if (strcmp(setting(report, "topic", "unclean.leader.election.enable"), "true") == 0)
		put_setting(to, "unclean.leader.election.enable", "true");
	fputc('\n', to);
}

static void evidence(const json_t *report, FILE *to)
{
	const json_t *generations = json_object_get(report, "generations"), *g;
	unsigned cuts = 0, sweeps = 0;
	size_t i;

	json_array_foreach(generations, i, g)
	{
		if (strcmp(text_of(g, "cause"), "cut") == 0)
			cuts++;
		else
			sweeps++;
	}
	fprintf(to, "  Evidence   %s; %u cuts of the log seen%s; %s; run %s\n",
		json_is_true(json_object_get(report, "fenced"))
			? "the log was read up to the fence (0 copies means: none up to there)"
			: "not fenced",
		cuts, sweeps ? ", read again where policy had removed something" : "",
		json_is_true(json_object_get(report, "agreed")) ? "both judges agree"
								 : "THE JUDGES DISAGREE",
		text_of(json_object_get(report, "run"), "id"));
}

static void availability(const json_t *report, FILE *to)
{
	const json_t *list = json_object_get(report, "producers"), *p;
	double active = json_number_value(json_object_get(report, "active_s"));
	double away = json_number_value(json_object_get(report, "unavailable_s"));
	const json_t *ack = json_object_get(json_object_get(report, "latency"), "ack");
	uint64_t gap = 0;
	char text[UNITS_LEN];
	size_t i, n = json_array_size(list);

	json_array_foreach(list, i, p)
	{
		if (number_of(p, "longest_gap_ms") > gap)
			gap = number_of(p, "longest_gap_ms");
	}
	if (active <= 0 || !ack)
		return;
	away = n ? away / (double)n : away;
	fprintf(to, "  Available  %.1f %%   longest gap without an acknowledgement %s",
		100.0 * (active - (away < active ? away : active)) / active,
		units_duration((int64_t)gap * 1000000, text));
	fprintf(to, "   acknowledged in p50 %s", units_duration((int64_t)number_of(ack, "p50_ns"), text));
	fprintf(to, ", p99 %s\n", units_duration((int64_t)number_of(ack, "p99_ns"), text));
}

/* One plain sentence where the cause is plain. */
static void advice(const json_t *report, FILE *to)
{
	const char *acks = setting(report, "client", "request.required.acks");
	const char *name = text_of(json_object_get(report, "run"), "name");
	const json_t *f = json_array_get(json_object_get(report, "findings"), 0);

	fputc('\n', to);
	if (sum_of(report, "lost", "broker") && strcmp(acks, "1") == 0)
		fprintf(to, "  acks=1 is answered before any follower has the message. Try: acks=all, "
			    "enable.idempotence=true, min.insync.replicas=2\n");
	else if (sum_of(report, "lost", "broker") &&
		strcmp(setting(report, "topic", "unclean.leader.election.enable"), "true") == 0)
		fprintf(to, "  An unclean election gives leadership to a replica that lacks acknowledged "
			    "messages. Try: unclean.leader.election.enable=false, min.insync.replicas=2\n");
	else if (sum_of(report, "lost", "produce") && strcmp(acks, "0") == 0)
		fprintf(to, "  With acks=0 no broker ever says that it has a message. Try: acks=all\n");
	else if (sum_of(report, "duplicated", "produce") &&
		strcmp(setting(report, "client", "enable.idempotence"), "true") != 0)
		fprintf(to, "  A message that is sent again because its answer was lost is stored twice. "
			    "Try: enable.idempotence=true\n");
	if (f && number_of(f, "producer_id"))
		fprintf(to, "  More: mqaudit explain %s %llu.%llu.%llu.%llu\n", name,
			(unsigned long long)number_of(f, "producer_id"),
			(unsigned long long)number_of(f, "epoch"),
			(unsigned long long)number_of(f, "partition"),
			(unsigned long long)number_of(f, "lo"));
}

void report_text(const json_t *report, const struct report_style *style, FILE *to)
{
	head(report, style, to);
	reasons(report, to);
	stages(report, to);
	findings(report, style, to);
	fputc('\n', to);
	faults(report, to);
	settings(report, to);
	evidence(report, to);
	availability(report, to);
	advice(report, to);
}
