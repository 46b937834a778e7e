#include "reporters/report_words.h"

#include <inttypes.h>
#include <string.h>

#include "core/units.h"

#define MAX_PARTS 16

static const json_t *counts_of(const json_t *doc)
{
	return json_object_get(doc, "counts");
}

static uint64_t count_of(const json_t *doc, const char *name)
{
	return report_member_number(counts_of(doc), name);
}

const char *words_setting(const json_t *doc, const char *scope, const char *name)
{
	return report_member_text(json_object_get(json_object_get(doc, "settings"), scope), name);
}

static bool setting_is(const json_t *doc, const char *scope, const char *name, const char *value)
{
	return strcmp(words_setting(doc, scope, name), value) == 0;
}

static bool promise_of(const json_t *doc, struct promise *ret)
{
	struct err ignored;

	if (promise_parse(report_member_text(doc, "promise"), ret, &ignored))
		return false;
	err_ignore(
		promise_kinds_parse(report_member_text(doc, "fail_on"), &ret->fail_on, &ignored));
	err_ignore(promise_kinds_parse(report_member_text(doc, "allow"), &ret->allow, &ignored));
	return true;
}

/* ---- what broke ------------------------------------------------------------------------------ */

/* "N<one|many>": what N messages of a kind at a stage come to in words; stage NULL: wherever. */
static const struct clause {
	const char *kind, *stage, *of; /* of: the count that N is a part of */
	const char *one, *many;
} clauses[] = {
	{"lost", "broker", "acked", "acknowledged message was lost at the broker",
		"acknowledged messages were lost at the broker"},
	{"lost", "produce", "unconfirmed", "unconfirmed message was lost at the producer",
		"unconfirmed messages were lost at the producer"},
	{"lost", "relay", "distinct", "message was lost at the relay",
		"messages were lost at the relay"},
	{"lost", "consume", "distinct", "message was lost at the consumer",
		"messages were lost at the consumer"},
	{"duplicated", "produce", NULL, "surplus copy was stored", "surplus copies were stored"},
	{"duplicated", "relay", NULL, "surplus copy came from the relay",
		"surplus copies came from the relay"},
	{"duplicated", "consume", NULL, "message was processed twice",
		"messages were processed twice"},
	{"duplicated", NULL, NULL, "surplus copy was found", "surplus copies were found"},
	{"reordered", "relay", NULL, "message was overtaken in the relay",
		"messages were overtaken in the relay"},
	{"reordered", NULL, NULL, "message was stored out of order",
		"messages were stored out of order"},
	{"corrupted", "relay", NULL, "message was corrupted by the relay",
		"messages were corrupted by the relay"},
	{"corrupted", NULL, NULL, "message was corrupted", "messages were corrupted"},
	{"phantom", NULL, NULL, "message is there that nobody sent",
		"messages are there that nobody sent"},
	{"inconsistent", NULL, NULL, "position was read with two contents",
		"positions were read with two contents"},
	{"stuck", NULL, NULL, "message is stuck at the consumer",
		"messages are stuck at the consumer"},
	{"aborted-read", NULL, NULL, "aborted message was read", "aborted messages were read"},
	{"expired", NULL, NULL, "message was removed by a policy",
		"messages were removed by a policy"},
	{"unacknowledged", NULL, NULL, "message was never acknowledged and is not there",
		"messages were never acknowledged and are not there"},
	{"refused", NULL, NULL, "message was refused", "messages were refused"},
	{"false-refusal", NULL, NULL, "message was refused and yet stored",
		"messages were refused and yet stored"},
	{"redelivered", NULL, NULL, "message was delivered again", "messages were delivered again"},
	{"unread", NULL, NULL, "message was removed before it was read",
		"messages were removed before they were read"},
	{"pending", NULL, NULL, "message is pending", "messages are pending"},
};

static const struct clause *clause_of(const char *kind, const char *stage)
{
	for (size_t i = 0; i < sizeof(clauses) / sizeof(clauses[0]); i++)
		if (strcmp(clauses[i].kind, kind) == 0 &&
			(!clauses[i].stage || strcmp(clauses[i].stage, stage) == 0))
			return &clauses[i];
	return NULL;
}

/* The noun is that of the whole, the verb goes with the part: "1 of 10 messages was lost". */
static void put_share(
	const char *n_text, const char *of, uint64_t n, const char *many, struct buf *out)
{
	const char *were = n == 1 ? strstr(many, " were ") : NULL;

	if (were)
		buf_printf(out, "%s of %s %.*s was %s", n_text, of, (int)(were - many), many,
			were + strlen(" were "));
	else
		buf_printf(out, "%s of %s %s", n_text, of, many);
}

static void put_clause(
	const json_t *doc, const char *kind, const char *stage, uint64_t n, struct buf *out)
{
	const struct clause *c = clause_of(kind, stage);
	char text[UNITS_LEN], of[UNITS_LEN];

	units_grouped(n, text);
	if (!c)
		buf_printf(out, "%s %s at %s", text, kind, stage);
	else if (c->of && count_of(doc, c->of) >= n)
		put_share(text, units_grouped(count_of(doc, c->of), of), n, c->many, out);
	else
		buf_printf(out, "%s %s", text, n == 1 ? c->one : c->many);
}

/* Give each pair of kind and stage of the sums that breaks the promise (or does not), worst kinds
 * first. */
static size_t pick(const json_t *doc, bool breaking, const json_t **ret)
{
	const json_t *sums = json_object_get(doc, "sums"), *s;
	struct promise promise;
	size_t n = 0, i;

	if (!promise_of(doc, &promise))
		return 0;
	for (int k = 0; k < FINDING_N; k++) {
		json_array_foreach(sums, i, s)
		{
			if (n < MAX_PARTS && report_member_number(s, "count") &&
				strcmp(report_member_text(s, "kind"),
					finding_text((enum finding_kind)k)) == 0 &&
				promise_broken_by(&promise, (enum finding_kind)k) == breaking)
				ret[n++] = s;
		}
	}
	return n;
}

static void join(const json_t *doc, const json_t *const *part, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_str_add(out, i + 1 == n ? ", and " : ", ");
		put_clause(doc, report_member_text(part[i], "kind"),
			report_member_text(part[i], "stage"),
			report_member_number(part[i], "count"), out);
	}
}

void words_broken(const json_t *doc, struct buf *out)
{
	const json_t *part[MAX_PARTS];

	join(doc, part, pick(doc, true, part), out);
}

/* ---- the headline ---------------------------------------------------------------------------- */

/* "; ..." what was found that breaks nothing. */
static void others(const json_t *doc, struct buf *out)
{
	const json_t *part[MAX_PARTS];
	size_t n = pick(doc, false, part);

	if (n == 0)
		return;
	buf_str_add(out, "; ");
	join(doc, part, n, out);
}

/* A promise that was kept: as much as is true, no more. */
static void kept(const json_t *doc, struct buf *out)
{
	uint64_t acked = count_of(doc, "acked"), unconfirmed = count_of(doc, "unconfirmed");
	const char *what = acked ? "acknowledged" : unconfirmed ? "unconfirmed" : "intended";
	uint64_t n = acked ? acked : unconfirmed ? unconfirmed : count_of(doc, "intended");
	char text[UNITS_LEN];

	units_grouped(n, text);
	if (count_of(doc, "lost") == 0 && count_of(doc, "expired") == 0)
		buf_printf(out, "%s %s %s %s there%s", n == 1 ? "the" : "all", text, what,
			n == 1 ? "message is" : "messages are",
			count_of(doc, "duplicated") ? "" : ", exactly once");
	else
		buf_printf(out, "%s %s %s message%s accounted for", n == 1 ? "the" : "all", text,
			what, n == 1 ? " is" : "s are");
	others(doc, out);
}

void words_headline(const json_t *doc, struct buf *out)
{
	const char *verdict = report_member_text(doc, "verdict");
	const char *promise = report_member_text(doc, "promise");
	const json_t *part[MAX_PARTS];

	if (strcmp(verdict, "FAIL") == 0) {
		buf_printf(out, "%s broken: ", promise);
		words_broken(doc, out);
	} else if (strcmp(verdict, "PASS") == 0) {
		buf_printf(out, "%s kept: ", promise);
		kept(doc, out);
	} else if (strcmp(verdict, "NODATA") == 0) {
		buf_str_add(out, "no message was acknowledged or found: there is nothing to judge");
		others(doc, out);
	} else if (strcmp(verdict, "UNDECIDED") == 0) {
		buf_printf(out, "%s can be neither confirmed nor refuted", promise);
	} else if (strcmp(verdict, "ERROR") == 0) {
		buf_printf(out, "%s: THE EVIDENCE CANNOT BE USED", promise);
	} else {
		buf_printf(out, "%s: not judged yet; provisional", promise);
		if (pick(doc, true, part)) {
			buf_str_add(out, ", so far: ");
			words_broken(doc, out);
		}
	}
}

/* ---- advice ---------------------------------------------------------------------------------- */

bool words_of_queue(const json_t *doc, const char *side)
{
	return setting_is(doc, side, "reads", "queue");
}

bool words_of_routed(const json_t *doc)
{
	return setting_is(doc, "source", "reads", "routed-stream") &&
	       !*report_member_text(json_object_get(doc, "run"), "target");
}

bool words_of_unread(const json_t *doc)
{
	return setting_is(doc, "source", "reads", "nothing");
}

/* What is RabbitMQ's own: settings of its publishers and queues. */
static void hint_of_queue(const json_t *doc, bool lost_at_broker, struct buf *out)
{
	if (lost_at_broker && setting_is(doc, "client", "persistent", "false"))
		buf_str_add(out,
			"A message that is not persistent goes with its node, confirmed or not. "
			"Try: persistent=true, in a durable or quorum queue");
	else if (lost_at_broker && setting_is(doc, "topic", "durable", "false"))
		buf_str_add(out,
			"A queue that is not durable goes with its node, and all that is in it. "
			"Try: durable=true, or a quorum queue");
	else if (report_sum(doc, "duplicated", "produce") &&
		 setting_is(doc, "probe", "republish-unknown", "true"))
		buf_str_add(out,
			"What is published again is another message to the broker: its consumers must know "
			"it again, by an id of its own");
	else if (report_sum(doc, "lost", "produce") &&
		 setting_is(doc, "client", "confirms", "false"))
		buf_str_add(out, "Without confirms no broker ever says that it has a message. Try: "
				 "confirms=true");
}

void words_hint(const json_t *doc, struct buf *out)
{
	bool lost_at_broker = report_sum(doc, "lost", "broker") > 0;

	if (*words_setting(doc, "client", "confirms"))
		hint_of_queue(doc, lost_at_broker, out);
	else if (lost_at_broker && setting_is(doc, "client", "request.required.acks", "1"))
		buf_str_add(out,
			"acks=1 is answered before any follower has the message. Try: acks=all, "
			"enable.idempotence=true, min.insync.replicas=2");
	else if (lost_at_broker &&
		 setting_is(doc, "topic", "unclean.leader.election.enable", "true"))
		buf_str_add(out,
			"An unclean election makes a replica leader that lacks acknowledged "
			"messages. "
			"Try: unclean.leader.election.enable=false, min.insync.replicas=2");
	else if (lost_at_broker && setting_is(doc, "topic", "replication.factor", "1"))
		buf_str_add(out, "With one replica a message is only as safe as that node's disk. "
				 "Try: replication factor 3, min.insync.replicas=2, acks=all");
	else if (lost_at_broker && setting_is(doc, "topic", "min.insync.replicas", "1"))
		buf_str_add(out, "With min.insync.replicas=1 a leader alone may answer acks=all. "
				 "Try: min.insync.replicas=2");
	else if (report_sum(doc, "lost", "produce") &&
		 setting_is(doc, "client", "request.required.acks", "0"))
		buf_str_add(out,
			"With acks=0 no broker ever says that it has a message. Try: acks=all, "
			"enable.idempotence=true");
	else if (report_sum(doc, "duplicated", "produce") &&
		 !setting_is(doc, "client", "enable.idempotence", "true"))
		buf_str_add(out,
			"A message that is sent again because its answer was lost is stored twice. "
			"Try: enable.idempotence=true");
	else if (report_sum(doc, "reordered", "produce") &&
		 !setting_is(doc, "client", "enable.idempotence", "true"))
		buf_str_add(out, "A batch that is sent again can land behind later ones. Try: "
				 "enable.idempotence=true");
}

void words_hint_of_finding(const struct report_finding *f, struct buf *out)
{
	if (strcmp(f->kind, "refused") != 0)
		return;
	if (strstr(f->why, "Message size too large"))
		buf_str_add(out, "Messages were larger than the client or the topic takes. Try: "
				 "message.max.bytes of the client, max.message.bytes of the topic");
	else if (strstr(f->why, "authorization failed"))
		buf_str_add(out,
			"The user may not write to this topic. Try: the permission to Write, "
			"with kafka-acls, or another user's --producer-config");
}

/* ---- what a PASS rests on -------------------------------------------------------------------- */

static size_t count_faults(const json_t *doc)
{
	const json_t *list = json_object_get(doc, "events"), *ev;
	size_t n = 0, i;

	json_array_foreach(list, i, ev) n += strcmp(report_member_text(ev, "kind"), "fault") == 0;
	return n;
}

void words_proved(const json_t *doc, struct buf *out)
{
	size_t faults = count_faults(doc);
	char n[UNITS_LEN], behind[UNITS_LEN];

	if (words_of_routed(doc))
		buf_printf(out,
			"the queue was emptied, and each of the %s messages that it gave, and of the %s that "
			"were routed, is accounted for",
			units_grouped(count_of(doc, "target_read"), behind),
			units_grouped(count_of(doc, "read"), n));
	else if (words_of_unread(doc))
		buf_printf(out,
			"each of %s records behind the relay was read and accounted for; what the source's "
			"queue had was the relay's to take, and not seen",
			units_grouped(count_of(doc, "target_read"), behind));
	else if (words_of_queue(doc, "source")) {
		const json_t *removals = json_object_get(doc, "removals");
		uint64_t given = count_of(doc, "read");

		buf_printf(out, "the queue %s, and ",
			*report_member_text(removals, "queue_gone") ? "is gone" : "was emptied");
		if (given == 1)
			buf_str_add(out, "the one message that it gave is accounted for");
		else
			buf_printf(out, "each of the %s messages that it gave is accounted for",
				units_grouped(given, n));
	} else if (json_is_true(json_object_get(doc, "fenced")))
		buf_printf(out, "each of %s records up to the fence was read and accounted for",
			units_grouped(count_of(doc, "read"), n));
	else
		buf_printf(out,
			"each of %s records up to the log's end after the settle time was read and "
			"accounted for; nothing was written to fence it",
			units_grouped(count_of(doc, "read"), n));
	if (faults)
		buf_printf(out, "; %zu fault%s survived", faults, faults == 1 ? "" : "s");
}

void words_not_proved(const json_t *doc, struct buf *out)
{
	buf_str_add(out, "0 copies means: none up to there; what lands later reopens the verdict");
	if (json_object_size(json_object_get(json_object_get(doc, "stages"), "consume")) == 0)
		buf_str_add(out, "; what consumers do with the messages was not observed");
	if (*words_setting(doc, "checker", "relay-lag"))
		buf_printf(out,
			"; that the relay brings all it brings within %s is your premise "
			"(--relay-lag)",
			words_setting(doc, "checker", "relay-lag"));
	if (*words_setting(doc, "source", "reads") && *words_setting(doc, "probe", "routed-stream"))
		buf_str_add(out,
			"; the routed stream gets what no queue would have taken (mandatory finds nothing "
			"unroutable), also what the queue refused (nack), and confirms waited for it too");
	if (count_faults(doc) == 0)
		buf_str_add(out, "; no fault was on record during the run");
}

/* ---- one finding ----------------------------------------------------------------------------- */

void words_producer(const struct report_finding *f, struct buf *out)
{
	if (f->producer_id == 0)
		buf_char(out, '-');
	else
		buf_printf(out, "%" PRId64 ".%" PRId64, f->producer_id, f->epoch);
}

void words_range(const struct report_finding *f, struct buf *out)
{
	if (f->lo == 0)
		buf_char(out, '-');
	else if (f->lo == f->hi)
		buf_printf(out, "%" PRIu64, f->lo);
	else
		buf_printf(out, "%" PRIu64 "-%" PRIu64, f->lo, f->hi);
}

/* Are the listed positions one consecutive stretch of one partition, one for each seq? */
static bool consecutive(const json_t *list)
{
	const json_t *first = json_array_get(list, 0), *p;
	size_t i;

	json_array_foreach(list, i, p)
	{
		if (report_member_number(p, "offset") !=
				report_member_number(first, "offset") + i ||
			report_member_number(p, "partition") !=
				report_member_number(first, "partition") ||
			report_member_number(p, "seq") != report_member_number(first, "seq") + i)
			return false;
	}
	return json_array_size(list) > 0;
}

static void put_position(const struct report_finding *f, const json_t *p, struct buf *out)
{
	/* behind a relay, or unnamed, it may lie in another partition than its lane's */
	if ((int64_t)report_member_number(p, "partition") != f->partition)
		buf_printf(out, "%" PRIu64 "/", report_member_number(p, "partition"));
	buf_u64(out, report_member_number(p, "offset"));
}

/* The first few, with all copies of one message together: "17 and 19, 18 and 20". */
static void put_positions(const struct report_finding *f, const json_t *list, struct buf *out)
{
	const json_t *p, *before = NULL;
	size_t i;

	json_array_foreach(list, i, p)
	{
		bool same = before &&
			    report_member_number(before, "seq") == report_member_number(p, "seq") &&
			    report_member_number(p, "seq");

		if (i >= 8 || (i >= 4 && !same)) {
			buf_str_add(out, ", ...");
			return;
		}
		buf_str_add(out, same ? " and " : before ? ", " : "");
		put_position(f, p, out);
		before = p;
	}
	if (f->positions_omitted)
		buf_str_add(out, ", ...");
}

static void put_acked(const struct report_finding *f, struct buf *out)
{
	if (f->acked_first == f->acked_last)
		buf_printf(out, "acked at offset %" PRId64, f->acked_first);
	else
		buf_printf(out, "acked at offsets %" PRId64 "-%" PRId64, f->acked_first,
			f->acked_last);
}

void words_why(const struct report_finding *f, struct buf *out)
{
	bool gone = strcmp(f->kind, "lost") == 0 || strcmp(f->kind, "unread") == 0 ||
		    strcmp(f->kind, "expired") == 0;
	json_t *list = json_loads(f->positions, 0, NULL);
	size_t n = json_array_size(list);

	buf_str_add(out, f->why);
	if (out->len && (n || (gone && f->acked_first >= 0)))
		buf_str_add(out, "; ");
	if (gone && f->acked_first >= 0) {
		put_acked(f, out);
	} else if (n) {
		buf_str_add(out, gone ? "acked at offset" : "at offset");
		buf_str_add(out, n == 1 ? " " : "s ");
		if (n > 1 && consecutive(list) && !f->positions_omitted) {
			put_position(f, json_array_get(list, 0), out);
			buf_printf(out, "-%" PRIu64,
				report_member_number(json_array_get(list, n - 1), "offset"));
		} else {
			put_positions(f, list, out);
		}
	}
	if (f->positions_unknown && !(gone && f->acked_first >= 0))
		buf_printf(out, "%s%" PRIu64 " position%s no longer known", out->len ? "; " : "",
			f->positions_unknown, f->positions_unknown == 1 ? " is" : "s are");
	json_decref(list);
}
