#include "checker/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/envelope.h"
#include "core/ledger/removed.h"
#include "core/ledger/run.h"
#include "core/log.h"

#define LOOK_NS (5 * NS_PER_S)
#define LOOK_TIMEOUT (2 * NS_PER_S)
#define LAST_LOOK_NS (10 * NS_PER_S)
#define DEAD_BUSY_NS (20 * NS_PER_S) /* for another checker to be done with a dead-letter queue */
#define DEAD_AGAIN_NS (300 * NS_PER_MS)
#define MAX_LETTERS ((size_t)1 << 24)

/* One copy in the dead-letter queue. */
struct letter {
	uint32_t producer_id, epoch, nonce, lane;
	uint16_t attempt;
	uint64_t seq;
	char reason[24];
};

struct policy {
	struct policy_plan plan;
	int64_t next_look_ns;
	uint64_t looks, failures; /* of looking at the limits */
	char limits[400];         /* that were in effect at some time; "": none */
	struct err trouble;       /* of the last look */
	bool has_source;          /* somebody tells of limits and counts */
	struct broker_removals last;
	struct letter *letter;
	size_t n_letters, cap_letters;
	char looked_through[256]; /* the dead-letter queue that was, wholly; "": none was */
	const char *counts_doubt; /* why the nodes' counts tell nothing; NULL: they do */
	char dead_doubt[400];     /* why it proves nothing of what is not there */
};

struct policy *policy_new(const struct policy_plan *plan)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (p)
		p->plan = *plan;
	return p;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	broker_removals_free(&p->last);
	free(p->letter);
	free(p);
}

/* ---- limits and counts --------------------------------------------------------------------------- */

static int look(struct policy *p, int64_t timeout_ns)
{
	const struct destination *d = p->plan.source;
	struct broker_config config = d->config;
	struct broker_removals now;
	int r;

	if (!d->ops->removals)
		return ERR_NOTFOUND;
	config.timeout_ns = timeout_ns;
	r = d->ops->removals(&config, &now, &p->trouble);
	if (r)
		return r;
	if (!now.gone && now.limits[0])
		snprintf(p->limits, sizeof(p->limits), "%s", now.limits);
	/* what was known of a queue that is gone stays */
	if (now.gone && p->looks) {
		snprintf(now.dead_letter_queue, sizeof(now.dead_letter_queue), "%s",
			p->last.dead_letter_queue);
		now.expires = p->last.expires;
	}
	broker_removals_free(&p->last);
	p->last = now;
	p->has_source = true;
	return 0;
}

static int look_and_count(struct policy *p, int64_t timeout_ns)
{
	int r = look(p, timeout_ns);

	p->looks += r == 0;
	p->failures += r != 0;
	p->next_look_ns = clock_ns() + (r == ERR_NOTFOUND ? INT64_C(3600) * NS_PER_S : LOOK_NS);
	return r;
}

void policy_look(struct policy *p)
{
	if (clock_ns() >= p->next_look_ns)
		(void)look_and_count(p, LOOK_TIMEOUT);
}

/* The last look, for which a node that is slow is waited for. */
static bool look_last(struct policy *p)
{
	int64_t deadline_ns = clock_ns() + LAST_LOOK_NS;
	int r;

	while ((r = look_and_count(p, LAST_LOOK_NS)) != ERR_NOTFOUND && r != ERR_DENIED &&
		(r || (!p->last.all_nodes && !p->last.gone)) && clock_ns() < deadline_ns)
		clock_sleep_ns(200 * NS_PER_MS);
	return r == 0;
}

static int put_counts(struct policy *p, struct err *e)
{
	struct removed_count *count = calloc(p->last.n_counts + 1, sizeof(*count));
	int r;

	if (!count)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < p->last.n_counts; i++) {
		const struct broker_count *c = &p->last.count[i];

		count[i] = (struct removed_count){c->node, c->incarnation, c->name, c->count};
	}
	r = removed_put_counts(p->plan.ledger, p->plan.run_id, false, count, p->last.n_counts, e);
	free(count);
	return r;
}

/* ---- the dead-letter queue ----------------------------------------------------------------------- */

static int take_letter(void *arg, const struct broker_dead_letter *d)
{
	struct policy *p = arg;
	struct envelope env;

	if (!d->reason[0] ||
		envelope_decode_beside(d->beside, d->beside_len, d->payload, d->len, &env) !=
			ENVELOPE_OK ||
		env.run_id != (uint64_t)p->plan.run_id || (env.flags & ENVELOPE_FLAG_FENCE))
		return 0;
	if (p->n_letters == p->cap_letters) {
		size_t cap = p->cap_letters ? 2 * p->cap_letters : 1024;
		struct letter *more =
			cap > MAX_LETTERS ? NULL : realloc(p->letter, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		p->letter = more;
		p->cap_letters = cap;
	}
	p->letter[p->n_letters] = (struct letter){
		env.producer_id, env.epoch, env.nonce, env.partition, env.attempt, env.seq, ""};
	snprintf(p->letter[p->n_letters].reason, sizeof(p->letter[0].reason), "%s", d->reason);
	p->n_letters++;
	return 0;
}

static int compare_letters(const void *a, const void *b)
{
	const struct letter *x = a, *y = b;
	const int64_t d[] = {(int64_t)x->producer_id - y->producer_id, (int64_t)x->epoch - y->epoch,
		(int64_t)x->nonce - y->nonce, (int64_t)x->lane - y->lane, x->attempt - y->attempt,
		x->seq < y->seq ? -1 : x->seq > y->seq, strcmp(x->reason, y->reason)};

	for (size_t i = 0; i < sizeof(d) / sizeof(d[0]); i++)
		if (d[i])
			return d[i] < 0 ? -1 : 1;
	return 0;
}

/* Is it the last of the range again, or the one behind it, for the same reason? */
static bool goes_on(const struct removed_dead *d, const struct letter *x)
{
	return d->producer_id == x->producer_id && d->epoch == x->epoch && d->nonce == x->nonce &&
	       d->lane == x->lane && d->attempt == x->attempt &&
	       (x->seq == d->hi || (x->seq == d->hi + 1 && strcmp(d->reason, x->reason) == 0));
}

/* As ranges, each message and attempt once. */
static int put_letters(struct policy *p, const char *queue, struct err *e)
{
	struct removed_dead *dead = calloc(p->n_letters + 1, sizeof(*dead));
	size_t n = 0;
	int r;

	if (!dead)
		return err_set(e, ERR_NOMEM, "out of memory");
	qsort(p->letter, p->n_letters, sizeof(*p->letter), compare_letters);
	for (size_t i = 0; i < p->n_letters; i++) {
		const struct letter *x = &p->letter[i];

		if (n && goes_on(&dead[n - 1], x)) {
			dead[n - 1].hi = x->seq;
			continue;
		}
		dead[n++] = (struct removed_dead){x->producer_id, x->epoch, x->nonce, x->lane,
			x->attempt, x->seq, x->seq, queue, x->reason};
	}
	r = removed_put_dead(p->plan.ledger, p->plan.run_id, dead, n, e);
	free(dead);
	return r;
}

/* Which one is it? "": none is known. By its settings only if the exchange between them can be told. */
static int find_dead_letter_queue(struct policy *p, char *ret, size_t len, struct err *e)
{
	char exchange[256], key[256], there[8];
	int r;

	snprintf(ret, len, "%s",
		p->plan.dead_letter_queue ? p->plan.dead_letter_queue : p->last.dead_letter_queue);
	if (ret[0])
		return 0;
	r = run_get_setting(p->plan.ledger, p->plan.run_id, "topic", "x-dead-letter-exchange",
		exchange, sizeof(exchange), e);
	if (r == 0)
		r = run_get_setting(p->plan.ledger, p->plan.run_id, "topic",
			"x-dead-letter-routing-key", key, sizeof(key), e);
	if (r == 0)
		r = run_get_setting(p->plan.ledger, p->plan.run_id, "topic", "x-queue-type", there,
			sizeof(there), e);
	/* the default exchange's name is empty: its key is the queue's name */
	if (r == 0 && there[0] && !exchange[0])
		snprintf(ret, len, "%s", key);
	return r;
}

static void note_dead_trouble(struct policy *p, const char *queue, const struct err *e)
{
	snprintf(p->dead_doubt, sizeof(p->dead_doubt),
		"dead-letter queue '%.100s' was not looked through: %.200s", queue, e->msg);
}

/* Look through it. What keeps it from being a proof is no failure. */
static int read_dead_letters(
	struct policy *p, const char *queue, const struct policy_end *end, struct err *e)
{
	const struct destination *d = p->plan.source;
	struct envelope env = {.flags = ENVELOPE_FLAG_FENCE,
		.run_id = (uint64_t)p->plan.run_id,
		.epoch = end->judgement,
		.nonce = end->nonce,
		.seq = UINT32_MAX, /* of no fence of the queue itself */
		.send_wall_ns = clock_wall_ns(),
		.length = ENVELOPE_LEN};
	uint8_t payload[ENVELOPE_LEN];
	struct broker_fence fence = {.payload = payload, .len = sizeof(payload)};
	int64_t until_ns = clock_ns() + DEAD_BUSY_NS;
	struct err why;
	char limits[400];
	int r;

	envelope_encode(&env, envelope_payload_hash(NULL, 0), payload);
	for (;;) {
		p->n_letters = 0;
		r = d->ops->dead_letters(&d->config, queue, p->plan.no_fence ? NULL : &fence,
			p->plan.settle_ns, p->plan.timeout_ns, take_letter, p, limits, &why);
		/* several queues may share it, and be judged at the same time */
		if (r != ERR_EXISTS || clock_ns() >= until_ns)
			break;
		clock_sleep_ns(DEAD_AGAIN_NS);
	}
	if (r == ERR_NOMEM) {
		*e = why;
		return r;
	}
	if (r)
		note_dead_trouble(p, queue, &why);
	else if (limits[0])
		snprintf(p->dead_doubt, sizeof(p->dead_doubt),
			"dead-letter queue '%.100s' has limits of its own: %.200s", queue, limits);
	else
		snprintf(p->looked_through, sizeof(p->looked_through), "%s", queue);
	/* what was seen before it failed was there */
	return put_letters(p, queue, e);
}

static int look_for_letters(struct policy *p, const struct policy_end *end, struct err *e)
{
	bool absent = true;
	char queue[256];
	int r = find_dead_letter_queue(p, queue, sizeof(queue), e);

	/* without the user's word another queue is touched only if there is something to be found */
	if (r == 0 && queue[0] && !p->plan.dead_letter_queue)
		r = removed_any_absent(p->plan.ledger, p->plan.run_id, &absent, e);
	if (r || !queue[0] || !absent || !p->plan.source->ops->dead_letters)
		return r;
	return read_dead_letters(p, queue, end, e);
}

/* ---- the end ------------------------------------------------------------------------------------- */

static int count_up(struct policy *p, const struct policy_end *end, bool told, bool without_limits,
	struct policy_facts *ret, struct err *e)
{
	struct removed_difference d = {0}, dead = {0};
	uint64_t readers = 0;
	int r = removed_readers(p->plan.ledger, p->plan.run_id, &readers, e);

	if (r == 0 && told && p->last.all_nodes && !p->last.gone) {
		r = put_counts(p, e);
		if (r == 0)
			r = removed_difference(p->plan.ledger, p->plan.run_id, BROKER_COUNT_DROPPED,
				BROKER_COUNT_UNROUTABLE, &d, e);
		if (r == 0)
			r = removed_difference(p->plan.ledger, p->plan.run_id, BROKER_COUNT_DEAD,
				BROKER_COUNT_UNROUTABLE, &dead, e);
	}
	if (!p->last.all_nodes)
		p->counts_doubt = "not all nodes give their counts";
	else if (!d.comparable)
		p->counts_doubt =
			"a node's counts began anew, or were not noted before the first message";
	else if (!end->undisturbed || readers > 1)
		p->counts_doubt =
			"what an interrupted reading gave back may have been counted by the nodes";
	/* what went to a dead-letter queue that nobody looked into may be what is missing */
	if (dead.removed && !p->looked_through[0] && !p->dead_doubt[0])
		snprintf(p->dead_doubt, sizeof(p->dead_doubt),
			"%.100s went to a dead-letter exchange, and which queue has them is not known",
			dead.how);
	if (dead.removed && !p->looked_through[0])
		d.comparable = false;
	ret->exact = d.comparable && end->undisturbed && readers < 2;
	ret->removed = d.removed;
	ret->unroutable = d.unroutable;
	/* where no limit is in effect, all that was counted is of other queues */
	if (without_limits)
		ret->removed = 0;
	else
		ret->exact &= !p->last.others[0] && !p->last.expires;
	snprintf(ret->how, sizeof(ret->how), "%s", d.how);
	return r;
}

/* Which of the queue's arguments AMQP tells of can take messages from it. */
static int limits_of_arguments(struct policy *p, struct err *e)
{
	static const char *const names[] = {
		"x-message-ttl", "x-max-length", "x-max-length-bytes", "x-expires"};
	char value[100], overflow[100];
	size_t at = 0;
	int r = run_get_setting(p->plan.ledger, p->plan.run_id, "topic", "x-overflow", overflow,
		sizeof(overflow), e);

	for (size_t i = 0; r == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
		r = run_get_setting(
			p->plan.ledger, p->plan.run_id, "topic", names[i], value, sizeof(value), e);
		if (r || !value[0] || at >= sizeof(p->limits) ||
			(strncmp(names[i], "x-max-", 6) == 0 &&
				strncmp(overflow, "reject-publish", 14) == 0))
			continue;
		at += (size_t)snprintf(p->limits + at, sizeof(p->limits) - at, "%s%s=%s",
			at ? ", " : "", names[i], value);
	}
	return r;
}

/* What was known of limits before the first message: the probe's own look. */
static int limits_before(struct policy *p, bool *ret_told, struct err *e)
{
	char source[20], limits[400] = "";
	int r = run_get_setting(
		p->plan.ledger, p->plan.run_id, "policy", "source", source, sizeof(source), e);

	if (r == 0)
		r = run_get_setting(p->plan.ledger, p->plan.run_id, "policy", "limits", limits,
			sizeof(limits), e);
	*ret_told = r == 0 && source[0];
	if (r == 0 && limits[0] && !p->limits[0])
		snprintf(p->limits, sizeof(p->limits), "%s", limits);
	if (r == 0 && !p->limits[0])
		r = limits_of_arguments(p, e);
	return r;
}

static void exclude(struct policy *p, bool told, bool told_before, struct policy_facts *ret)
{
	if (p->plan.no_policy)
		snprintf(ret->excluded, sizeof(ret->excluded), "--no-policy");
	else if (told && told_before && !p->limits[0])
		snprintf(ret->excluded, sizeof(ret->excluded),
			"its settings remove nothing, by the %.15s",
			strcmp(p->last.source, "lab") == 0 ? "lab's nodes" : "management API");
	else if (ret->exact && ret->removed == 0)
		snprintf(ret->excluded, sizeof(ret->excluded), "the nodes counted no removal");
	else if (p->looked_through[0])
		snprintf(ret->excluded, sizeof(ret->excluded),
			"what policy removes is in dead-letter queue '%s'", p->looked_through);
}

/* Why it is not excluded, and what would. */
static void doubt(struct policy *p, bool told, struct policy_facts *ret)
{
	size_t at = 0, len = sizeof(ret->doubt);

	if (p->limits[0])
		at += (size_t)snprintf(
			ret->doubt + at, len - at, "the queue has %.300s; ", p->limits);
	if (ret->removed && at < len)
		at += (size_t)snprintf(ret->doubt + at, len - at,
			"the nodes counted %s%s%.100s%s; ", ret->how,
			p->last.others[0] ? ", with those of other queues ("
					  : ", which is not what is missing",
			p->last.others, p->last.others[0] ? ")" : "");
	if (p->has_source && !p->last.gone && p->counts_doubt && at < len)
		at += (size_t)snprintf(ret->doubt + at, len - at, "%s; ", p->counts_doubt);
	if (p->dead_doubt[0] && at < len)
		at += (size_t)snprintf(ret->doubt + at, len - at, "%s; ", p->dead_doubt);
	if (!told && p->has_source && at < len)
		at += (size_t)snprintf(ret->doubt + at, len - at, "%.200s; ", p->trouble.msg);
	if (at < len)
		snprintf(ret->doubt + at, len - at,
			"%s--dead-letter-queue NAME tells, or your word that there is none: --no-policy",
			p->has_source ? "" : "--management URL, ");
}

int policy_conclude(
	struct policy *p, const struct policy_end *end, struct policy_facts *ret, struct err *e)
{
	bool told = look_last(p), told_before = false;
	struct removed_facts facts;
	int r = limits_before(p, &told_before, e);

	memset(ret, 0, sizeof(*ret));
	if (r == 0)
		r = look_for_letters(p, end, e);
	if (r == 0)
		r = count_up(p, end, told, told && told_before && !p->limits[0], ret, e);
	if (r)
		return r;
	exclude(p, told, told_before, ret);
	if (!ret->excluded[0])
		doubt(p, told, ret);
	ret->gone = end->gone;
	ret->expired = end->gone && (p->last.expires || strstr(p->limits, "expires="));
	facts = (struct removed_facts){ret->exact, ret->removed, ret->unroutable, ret->how,
		ret->excluded,
		!ret->gone     ? ""
		: ret->expired ? "expires"
			       : "deleted"};
	return removed_put_facts(p->plan.ledger, p->plan.run_id, end->judgement, &facts, e);
}
