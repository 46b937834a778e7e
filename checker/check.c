#include "checker/check.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checker/judge.h"
#include "checker/places.h"
#include "checker/policy.h"
#include "checker/witness.h"
#include "core/clock.h"
#include "core/envelope.h"
#include "core/labfile.h"
#include "core/ledger/judged.h"
#include "core/ledger/lab_events.h"
#include "core/ledger/produced.h"
#include "core/ledger/run.h"
#include "core/log.h"
#include "core/rng.h"
#include "core/status.h"
#include "core/stop.h"
#include "core/units.h"

#define STATUS_NS (200 * NS_PER_MS)
#define PLAIN_LINE_NS (5 * NS_PER_S)
#define LOOK_NS NS_PER_S /* at provisional findings */
/* settings: see note_untold_order() */
static const char *const untold_names[] = {
	[RUN_SOURCE] = "order-untold", [RUN_TARGET] = "target-order-untold"};
#define STRANGERS_NS NS_PER_S
#define SETTLED_NS (5 * NS_PER_S) /* by then what a queue gave is recorded and settled */
#define FOLD_NS (5 * NS_PER_S)
#define FOLD_AGE_S 10
#define TICK_NS (50 * NS_PER_MS)
#define RELAY_LOOK_NS (500 * NS_PER_MS)
#define PLACES_NS (10 * NS_PER_S) /* to look for positions of findings */
#define MAX_PLACES 5000u
#define MAX_REASONS 32
#define FENCE_KEY_LEN 80
#define ORPHAN_NS                                                                                  \
	(60 * NS_PER_S)    /* longer than a probe waits for outcomes when it is told to end */
#define MAX_FOUND_LINES 10 /* live lines for findings in one look; the report has them all */

enum witness_index { W_SOURCE, W_COMMITTED, W_TARGET, W_N };

struct check {
	const struct cmdline *cl;
	const struct check_opts *o;
	struct ledger *ledger;
	struct run run;
	struct destination source, target;
	bool has_target;
	int64_t *start[2]; /* by run_side */
	size_t n_start[2];
	struct witness *witness[W_N];
	char source_name[128];
	uint32_t judgement;
	uint32_t nonce;
	int64_t started_ns;
	const char *phase;
	int64_t next_show_ns, next_line_ns, next_look_ns, next_fold_ns;
	uint64_t lost_now;
	int64_t orphaned_ns; /* when the `run` that started us was found gone; 0: it is not */
	bool ledger_away;
	bool fenced;
	uint64_t fence_number; /* of the last fence that was read */
	bool behind;           /* all that is behind the relay was read */
	bool queue[2];         /* by run_side: reading takes away */
	bool unread; /* the source is a queue whose messages are the relay's to take: it is not read */
	bool routed;      /* the source is the routed stream, and the queue is the target */
	char stream[256]; /* the routed stream's name; "": none */
	char exchange[256], routing_key[256]; /* by which it and the queue get what is published */
	bool gone;                            /* the source's queue is not there any more */
	struct policy *policy;     /* of the source, where it is a queue that is read; else NULL */
	struct policy_facts facts; /* what it came to */
	const char *drain;         /* of a queue: live, end or never */
	uint64_t strangers[2]; /* consumers of the queue that were not ours, at most; by run_side */
	int64_t next_strangers_ns;
	bool order_untold[2];      /* by run_side: of a queue */
	char *reason[MAX_REASONS]; /* why the run is undecided */
	size_t n_reasons;
};

/* ---- saying ---------------------------------------------------------------------------------- */

static void add_reason(struct check *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add_reason(struct check *c, const char *fmt, ...)
{
	char text[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (c->n_reasons < MAX_REASONS)
		c->reason[c->n_reasons++] = strdup(text);
}

static void send_line(struct check *c, const struct buf *line)
{
	if (write((int)c->o->status_fd, buf_str(line), line->len) < 0 && errno == EPIPE &&
		!c->orphaned_ns)
		c->orphaned_ns = clock_ns();
}

/* Whoever started us is gone, and the probe had time to end in order: nobody waits for more. */
static bool is_left_alone(const struct check *c)
{
	return c->orphaned_ns && clock_ns() > c->orphaned_ns + ORPHAN_NS;
}

static void gather(struct check *c, struct status_check *s)
{
	struct witness_state st;

	memset(s, 0, sizeof(*s));
	snprintf(s->phase, sizeof(s->phase), "%s", c->phase);
	for (int i = 0; i < W_N; i++) {
		if (!c->witness[i])
			continue;
		witness_state(c->witness[i], &st);
		s->ledger_away |= st.ledger_away;
		s->broker_away |= st.broker_away;
		s->behind += st.behind;
		if (i == (c->has_target ? W_TARGET : W_SOURCE)) {
			s->read = st.totals.records;
			s->distinct = st.totals.distinct;
			s->duplicated = st.totals.extra;
			s->reordered = st.totals.reordered;
			s->corrupted = st.totals.corrupted;
			s->missing = st.totals.missing;
		}
	}
	s->ledger_away |= c->ledger_away;
	s->lost = c->lost_now;
}

static void show(struct check *c)
{
	struct status_check s;
	char title[400];
	struct buf b;

	if (clock_ns() < c->next_show_ns)
		return;
	c->next_show_ns = clock_ns() + STATUS_NS;
	gather(c, &s);
	buf_init(&b, 65536);
	if (c->o->status_fd) {
		status_check_line(&s, &b);
		send_line(c, &b);
	} else if (log_on_terminal() && !c->cl->quiet) {
		snprintf(title, sizeof(title), "%s  %.120s  %s", c->run.name, c->run.destination,
			c->run.promise);
		status_render(title, clock_ns() - c->started_ns, NULL, &s, &b);
		log_progress(buf_str(&b));
	} else if (!c->cl->quiet && clock_ns() >= c->next_line_ns) {
		c->next_line_ns = clock_ns() + PLAIN_LINE_NS;
		status_render_line(NULL, &s, &b);
		log_note("%s  %s", c->run.name, buf_str(&b));
	}
	buf_release(&b);
}

/* What the run promises, with the kinds that its owner added or excepted. */
static int run_promise(const struct check *c, struct promise *ret, struct err *e)
{
	int r = promise_parse(c->run.promise, ret, e);

	if (r == 0)
		r = promise_kinds_parse(c->run.fail_on, &ret->fail_on, e);
	return r ? r : promise_kinds_parse(c->run.allow, &ret->allow, e);
}

struct found {
	struct check *c;
	size_t n;
};

/* "12:31:07  LOST at broker   producer 1.1, partition 0, seq 17-19 (3)   truncated: ..." */
static void found_text(const struct judged_finding *f, bool breaks, char *ret, size_t len)
{
	char kind[32], range[64], hms[32], count[UNITS_LEN];

	snprintf(kind, sizeof(kind), "%s", finding_text(f->kind));
	for (char *p = kind; breaks && *p; p++)
		*p = (char)toupper((unsigned char)*p);
	if (f->lo == f->hi)
		snprintf(range, sizeof(range), "%llu", (unsigned long long)f->lo);
	else
		snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)f->lo,
			(unsigned long long)f->hi);
	snprintf(ret, len, "%s  %s at %s   producer %lld.%lld, partition %lld, seq %s (%s)   %s",
		clock_hms(clock_wall_ns(), false, hms, sizeof(hms)), kind, stage_text(f->stage),
		(long long)f->producer_id, (long long)f->epoch, (long long)f->partition, range,
		units_grouped(f->count, count), f->why);
}

static int say_found(const struct judged_finding *f, void *arg, struct err *e)
{
	struct found *found = arg;
	struct promise promise;
	char text[1000];
	struct buf b;
	bool breaks;
	int r;

	if (++found->n > MAX_FOUND_LINES)
		return 0;
	r = run_promise(found->c, &promise, e);
	if (r)
		return r;
	breaks = promise_broken_by(&promise, f->kind);
	found_text(f, breaks, text, sizeof(text));
	if (!found->c->o->status_fd) {
		log_found(breaks, text);
		return 0;
	}
	buf_init(&b, 4096);
	status_found_line(breaks, text, &b);
	send_line(found->c, &b);
	buf_release(&b);
	return 0;
}

/* ---- the ledger, which may be away ----------------------------------------------------------- */

static bool can_wait(int code)
{
	return code == ERR_LEDGER_AWAY || code == ERR_NOSPACE;
}

/* After a call to the ledger failed: wait a little and connect again. Returns 0 to try again. */
static int ride_out(struct check *c, int code, struct err *e)
{
	struct err ignored;

	if (!can_wait(code))
		return code;
	c->ledger_away = true;
	show(c);
	clock_sleep_ns(300 * NS_PER_MS);
	if (stop_asked())
		return err_wrap(e, "the ledger is away");
	err_ignore(ledger_reconnect(c->ledger, &ignored));
	return 0;
}

/* Try a call of the ledger until it is answered. */
#define UNTIL_ANSWERED(c, r, call)                                                                 \
	do {                                                                                       \
		(r) = (call);                                                                      \
		if ((r) == 0) {                                                                    \
			(c)->ledger_away = false;                                                  \
			break;                                                                     \
		}                                                                                  \
		(r) = ride_out((c), (r), e);                                                       \
	} while ((r) == 0)

/* ---- preparing ------------------------------------------------------------------------------- */

static int find_run(struct check *c, struct err *e)
{
	int r;

	if (c->o->run)
		return run_find(c->ledger, c->o->run, &c->run, e);
	r = run_find_open(c->ledger, &c->run, e);
	if (r == ERR_NOTFOUND) {
		r = err_set(e, ERR_USAGE, "no run is open in the ledger");
		err_hint(e, "start a probe first, or choose a run with --run NAME");
	}
	return r;
}

/* Where the logs behind the relay began, when nobody noted it before the first send: at their start. */
static int target_starts(struct check *c, struct err *e)
{
	struct broker_topic topic;
	int r = run_starts(c->ledger, c->run.id, RUN_TARGET, &c->start[RUN_TARGET],
		&c->n_start[RUN_TARGET], e);

	if (r || c->n_start[RUN_TARGET])
		return r;
	r = c->target.ops->topic(&c->target.config, &topic, e);
	if (r)
		return r;
	free(c->start[RUN_TARGET]);
	c->n_start[RUN_TARGET] = topic.n_partitions;
	c->start[RUN_TARGET] = calloc(topic.n_partitions, sizeof(int64_t));
	broker_topic_free(&topic);
	return c->start[RUN_TARGET] ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

/* It is not there: was it a queue when the run began? Then it went with all that was in it. e says what is missing. */
static int recall_queue(struct check *c, struct err *e)
{
	static const char *const names[] = {"reads"}, *const values[] = {"queue"};
	struct err missing = *e;
	char type[32] = "";
	int r = run_get_setting(
		c->ledger, c->run.id, "topic", "x-queue-type", type, sizeof(type), e);

	if (r)
		return r;
	if (!type[0] || strcmp(type, "stream") == 0) {
		*e = missing;
		return missing.code;
	}
	c->queue[RUN_SOURCE] = c->gone = true;
	return run_put_settings(
		c->ledger, c->run.id, run_side_text(RUN_SOURCE), names, values, 1, e);
}

/* What is on a side: a log, or a queue, from which reading takes away? */
static int look_at_kind(struct check *c, enum run_side side, struct err *e)
{
	const struct destination *d = side == RUN_TARGET ? &c->target : &c->source;
	static const char *const names[] = {"reads"};
	const char *values[] = {"queue"};
	struct broker_topic topic;
	int r = 0;

	if (d->ops->caps & BROKER_CAP_QUEUE) {
		r = d->ops->topic(&d->config, &topic, e);
		if (r == ERR_NOTFOUND && side == RUN_SOURCE && !c->has_target)
			return recall_queue(c, e);
		if (r)
			return r;
		c->queue[side] = topic.caps & BROKER_CAP_QUEUE;
		broker_topic_free(&topic);
	}
	c->unread = c->queue[RUN_SOURCE] && c->has_target;
	if (side == RUN_SOURCE && c->stream[0])
		values[0] = "routed-stream";
	else if (side == RUN_SOURCE && c->unread)
		values[0] = "nothing";
	else if (!c->queue[side])
		return 0;
	return run_put_settings(c->ledger, c->run.id, run_side_text(side), names, values, 1, e);
}

/* The stream beside the queue that has what was routed, if the probes made one; and how it gets that. */
static int find_routed_stream(struct check *c, struct err *e)
{
	int r = run_get_setting(
		c->ledger, c->run.id, "probe", "routed-stream", c->stream, sizeof(c->stream), e);

	if (r == 0 && c->stream[0])
		r = run_get_setting(c->ledger, c->run.id, "probe", "routed-exchange", c->exchange,
			sizeof(c->exchange), e);
	if (r == 0 && c->stream[0])
		r = run_get_setting(c->ledger, c->run.id, "probe", "routed-key", c->routing_key,
			sizeof(c->routing_key), e);
	return r;
}

/* The text of a URL as runs have it. */
static int canonical(const char *url, char *ret, size_t len, struct err *e)
{
	struct url u;
	int r = url_parse(url, &u, e);

	if (r == 0)
		url_text(&u, ret, len);
	return r;
}

/* Where the run's messages come out, as a URL: behind a relay, or in the queue beside the routed stream; NULL: nowhere else. */
static int choose_target(struct check *c, const char *url, const char **ret, struct err *e)
{
	char given[URL_PRINT_LEN];
	int r = canonical(url, given, sizeof(given), e);

	if (r)
		return r;
	if (strcmp(given, c->run.destination) != 0)
		*ret = url;
	else if (c->run.target[0])
		*ret = c->run.target;
	else
		*ret = c->stream[0] ? c->run.destination : NULL;
	c->routed = *ret == c->run.destination;
	c->has_target = *ret != NULL;
	return 0;
}

static int open_destinations(struct check *c, const char *url, struct err *e)
{
	struct destination_opts share;
	struct props *warnings = NULL;
	const char *target = NULL;
	int r = find_routed_stream(c, e);

	if (r == 0)
		r = choose_target(c, url, &target, e);
	if (r)
		return r;
	share = destination_share(&c->o->destination, c->run.destination,
		target ? target : c->run.destination, false);
	r = destination_open(c->run.destination, &share, &c->source, &warnings, e);
	for (size_t i = 0; warnings && i < props_count(warnings); i++)
		log_warn("%s", props_value(warnings, i));
	props_free(warnings);
	if (r == 0 && c->stream[0])
		snprintf(c->source.url.name, sizeof(c->source.url.name), "%s", c->stream);
	if (r == 0 && target) {
		share = destination_share(&c->o->destination, c->run.destination, target, true);
		r = destination_open(target, &share, &c->target, NULL, e);
	}
	if (r == 0)
		r = look_at_kind(c, RUN_SOURCE, e);
	if (r == 0 && c->has_target)
		r = look_at_kind(c, RUN_TARGET, e);
	if (r == 0)
		r = run_starts(c->ledger, c->run.id, RUN_SOURCE, &c->start[RUN_SOURCE],
			&c->n_start[RUN_SOURCE], e);
	if (r == 0 && c->has_target)
		r = target_starts(c, e);
	return r;
}

static int start_witness(struct check *c, enum witness_index i, struct err *e)
{
	enum run_side side = i == W_TARGET ? RUN_TARGET : RUN_SOURCE;
	const struct destination *d = i == W_TARGET ? &c->target : &c->source;
	struct witness_plan plan = {
		.ops = d->ops,
		.broker = &d->config,
		.ledger_url = c->o->ledger,
		.key = {.run_id = c->run.id,
			.side = side,
			.isolation =
				i == W_COMMITTED ? ISOLATION_COMMITTED : ISOLATION_UNCOMMITTED},
		.start = c->start[side],
		.n_partitions = c->n_start[side],
		.source = c->source_name,
		.record_messages = strcmp(c->o->record, "messages") == 0,
		.queue = c->queue[side],
		.gone = c->gone && side == RUN_SOURCE,
	};

	return witness_start(&plan, &c->witness[i], e);
}

/* How this checker differs from one without options. */
static int put_settings(struct check *c, struct err *e)
{
	const char *names[4], *values[4];
	char text[UNITS_LEN];
	size_t n = 0;

	/* also none: an earlier check of the run may have had one */
	if (c->has_target && !c->routed) {
		names[n] = "relay-lag";
		values[n++] = c->o->relay_lag_ns ? units_duration(c->o->relay_lag_ns, text) : "";
	}
	if (strcmp(c->o->record, "ranges") != 0) {
		names[n] = "record";
		values[n++] = c->o->record;
	}
	if (c->o->dead_letter_queue) {
		names[n] = "dead-letter-queue";
		values[n++] = c->o->dead_letter_queue;
	}
	if (c->queue[RUN_SOURCE] || c->queue[RUN_TARGET]) {
		names[n] = "no-policy";
		values[n++] = c->o->no_policy ? "true" : "";
	}
	return n ? run_put_settings(c->ledger, c->run.id, "checker", names, values, n, e) : 0;
}

/* Logs are read from the start; a queue when its drain begins (at_end: the probes have ended). */
static int start_readers(struct check *c, bool at_end, struct err *e)
{
	int r = 0;

	for (int i = W_SOURCE; r == 0 && i < W_N; i++) {
		enum run_side side = i == W_TARGET ? RUN_TARGET : RUN_SOURCE;

		if (c->witness[i] || i == W_COMMITTED || (i == W_TARGET && !c->has_target) ||
			(i == W_SOURCE && c->unread))
			continue;
		if (!c->queue[side] || strcmp(c->drain, at_end ? "end" : "live") == 0)
			r = start_witness(c, (enum witness_index)i, e);
	}
	return r;
}

/* Did the run find the queue of a side empty and without consumers, or make it? Then it is its own to read. */
static int is_own_queue(struct check *c, enum run_side side, bool *ret, struct err *e)
{
	const char *name =
		side == RUN_SOURCE || c->routed ? "queue-was-empty" : "target-queue-was-empty";
	char own[8] = "";
	int r = 0;

	UNTIL_ANSWERED(
		c, r, run_get_setting(c->ledger, c->run.id, "probe", name, own, sizeof(own), e));
	*ret = strcmp(own, "true") == 0;
	return r;
}

/* When is the queue to be read, which takes its messages away? Without a word only if it was the run's own. */
static int choose_drain(struct check *c, struct err *e)
{
	enum run_side side = c->queue[RUN_SOURCE] && !c->unread ? RUN_SOURCE : RUN_TARGET;
	const struct destination *d = side == RUN_TARGET ? &c->target : &c->source;
	bool own = false;
	int r;

	if (!c->queue[side])
		return 0;
	c->drain = c->o->drain;
	if (c->drain && *c->drain)
		return 0;
	r = is_own_queue(c, side, &own, e);
	if (r == 0 && !own) {
		r = err_set(
			e, ERR_USAGE, "reading '%s' takes its messages away for good", d->url.name);
		err_hint(e,
			"of queue '%s', all that is and comes there: --drain live takes it as it comes, "
			"--drain end when all is sent",
			d->url.name);
	}
	c->drain = "live";
	return r;
}

static int start_policy(struct check *c, struct err *e)
{
	struct policy_plan plan = {
		.source = &c->source,
		.ledger = c->ledger,
		.run_id = c->run.id,
		.dead_letter_queue = c->o->dead_letter_queue,
		.no_policy = c->o->no_policy,
		.settle_ns = c->o->settle_ns,
		.timeout_ns = c->o->fence_timeout_ns,
	};
	char shared[16] = "";
	int r = run_get_setting(c->ledger, c->run.id, "probe", "shared", shared, sizeof(shared), e);

	if (r)
		return r;
	plan.no_fence = c->o->no_fence || strcmp(shared, "true") == 0;
	c->policy = policy_new(&plan);
	return c->policy ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static int prepare(struct check *c, const char *url, struct err *e)
{
	char host[64] = "";
	int r;

	gethostname(host, sizeof(host) - 1);
	snprintf(c->source_name, sizeof(c->source_name), "checker on %s (%d)", host, (int)getpid());
	r = ledger_open(c->o->ledger, &c->ledger, e);
	if (r == 0)
		r = find_run(c, e);
	if (r == 0)
		r = open_destinations(c, url, e);
	if (r == 0)
		r = put_settings(c, e);
	if (r == 0)
		r = choose_drain(c, e);
	/* of a queue behind a relay, or beside a routed stream, it is not asked */
	if (r == 0 && c->queue[RUN_SOURCE] && !c->has_target)
		r = start_policy(c, e);
	return r ? r : start_readers(c, false, e);
}

/* ---- queues ---------------------------------------------------------------------------------- */

/* How many consumers beside ours a queue says to have. Trouble to ask is no news: none. */
static uint64_t ask_strangers(struct check *c, enum run_side side)
{
	const struct destination *d = side == RUN_TARGET ? &c->target : &c->source;
	uint64_t ready, consumers,
		ours = c->witness[side == RUN_TARGET ? W_TARGET : W_SOURCE] != NULL;
	struct err ignored;

	if (!c->queue[side] || (side == RUN_SOURCE && c->unread) ||
		d->ops->queue_look(&d->config, &ready, &consumers, &ignored))
		return 0;
	return consumers > ours ? consumers - ours : 0;
}

static void note_strangers(struct check *c, enum run_side side, uint64_t n)
{
	if (n > c->strangers[side])
		c->strangers[side] = n;
}

/* Somebody else takes from a queue: what is not there may be with him. */
static void look_for_strangers(struct check *c)
{
	/* at the end it is asked by basic.get, and what that holds counts as a consumer of a quorum queue */
	if (clock_ns() < c->next_strangers_ns || c->judgement)
		return;
	for (int side = RUN_SOURCE; side <= RUN_TARGET; side++)
		note_strangers(c, (enum run_side)side, ask_strangers(c, (enum run_side)side));
	c->next_strangers_ns = clock_ns() + STRANGERS_NS;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int look_for_failures(struct check *c, struct err *e)
{
	for (int i = 0; i < W_N; i++) {
		struct witness_state st;

		if (!c->witness[i])
			continue;
		witness_state(c->witness[i], &st);
		if (st.failure.code) {
			*e = st.failure;
			return e->code;
		}
		c->gone |= i == W_SOURCE && st.gone;
	}
	return 0;
}

/* What is done now and then while reading. The ledger being away is no failure. */
static int tend(struct check *c, struct err *e)
{
	struct found found = {c, 0};
	int64_t now = clock_ns();
	int r = look_for_failures(c, e);

	show(c);
	look_for_strangers(c);
	if (c->policy && !c->judgement)
		policy_look(c->policy);
	if (r == 0 && now >= c->next_look_ns) {
		UNTIL_ANSWERED(c, r,
			judged_provisional(
				c->ledger, c->run.id, say_found, &found, &c->lost_now, e));
		c->next_look_ns = clock_ns() + LOOK_NS;
	}
	if (r == 0 && now >= c->next_fold_ns) {
		UNTIL_ANSWERED(c, r, witnessed_fold_outcomes(c->ledger, c->run.id, FOLD_AGE_S, e));
		c->next_fold_ns = clock_ns() + FOLD_NS;
	}
	return r;
}

/* A transactional probe may join late: then the log is read committed as well. */
static int heed_transactions(struct check *c, struct err *e)
{
	char id[RUN_ID_LEN];
	int r;

	if (c->witness[W_COMMITTED])
		return 0;
	UNTIL_ANSWERED(c, r, run_find(c->ledger, run_id_text(c->run.id, id), &c->run, e));
	if (r == 0 && c->run.transactional)
		r = start_witness(c, W_COMMITTED, e);
	return r;
}

/* Wait until every epoch has ended (or, following, until told to stop). */
static int wait_for_probes(struct check *c, struct err *e)
{
	int64_t next_ask_ns = 0;
	char names[300];
	uint64_t open = 1;
	int r = 0;

	c->phase = "reading";
	while (r == 0 && !stop_asked()) {
		r = tend(c, e);
		if (r == 0 && clock_ns() >= next_ask_ns) {
			UNTIL_ANSWERED(c, r,
				produced_open(
					c->ledger, c->run.id, &open, names, sizeof(names), e));
			if (r == 0)
				r = heed_transactions(c, e);
			next_ask_ns = clock_ns() + 250 * NS_PER_MS;
		}
		if (r || (open == 0 && !c->o->follow) || is_left_alone(c))
			break;
		clock_sleep_ns(TICK_NS);
	}
	if (r == ERR_LEDGER_AWAY && stop_asked())
		return r;
	if (r == 0) {
		UNTIL_ANSWERED(
			c, r, produced_open(c->ledger, c->run.id, &open, names, sizeof(names), e));
	}
	if (r == 0 && open)
		add_reason(c,
			"%llu producers have not ended: %s. If they were killed: mqaudit recover on "
			"their host; if that host is lost: mqaudit recover --run %s --assume-dead",
			(unsigned long long)open, names, c->run.name);
	return r;
}

/* ---- the end of the log ---------------------------------------------------------------------- */

static int write_fences(struct check *c, uint64_t number, int64_t deadline_ns, struct err *e)
{
	size_t n = c->n_start[RUN_SOURCE];
	struct broker_fence *fence = calloc(n, sizeof(*fence));
	char(*keys)[FENCE_KEY_LEN] = calloc(n, FENCE_KEY_LEN);
	uint8_t *payload = calloc(n, ENVELOPE_LEN);
	struct broker_config config = destination_fence_config(&c->source);
	int64_t left = deadline_ns - clock_ns();
	size_t m = 0;
	int r = fence && keys && payload ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct envelope env = {.flags = ENVELOPE_FLAG_FENCE,
			.run_id = (uint64_t)c->run.id,
			.epoch = c->judgement,
			.nonce = c->nonce,
			.partition = (uint32_t)i,
			.seq = number,
			.send_wall_ns = clock_wall_ns(),
			.length = ENVELOPE_LEN};

		if (c->start[RUN_SOURCE][i] < 0)
			continue;
		envelope_encode(&env, envelope_payload_hash(NULL, 0), payload + m * ENVELOPE_LEN);
		fence[m] = (struct broker_fence){.partition = (int32_t)i,
			.key = keys[m],
			.key_len = (size_t)snprintf(keys[m], FENCE_KEY_LEN,
				"mqaudit-fence-%016llx-%u-%llu-%zu", (unsigned long long)c->run.id,
				c->judgement, (unsigned long long)number, i),
			.exchange = c->stream[0] ? c->exchange : NULL,
			.routing_key = c->routing_key,
			.payload = payload + m * ENVELOPE_LEN,
			.len = ENVELOPE_LEN};
		m++;
	}
	if (r == 0)
		r = c->source.ops->fence(&config, fence, m, left > NS_PER_MS ? left : NS_PER_MS, e);
	for (size_t i = 0; r == 0 && i < m; i++) {
		struct judged_fence f = {
			c->judgement, number, fence[i].partition, c->nonce, fence[i].offset, -1};

		UNTIL_ANSWERED(c, r, judged_fence(c->ledger, c->run.id, "source", &f, e));
	}
	free(fence);
	free(keys);
	free(payload);
	return r;
}

/* Is this fence of every source partition read by a witness, and in the ledger? */
static size_t fences_missing(struct check *c, enum witness_index i, uint64_t number)
{
	struct witness_fence f;
	size_t missing = 0;

	for (size_t p = 0; p < c->n_start[RUN_SOURCE]; p++)
		if (c->start[RUN_SOURCE][p] >= 0 &&
			!(witness_has_fence(c->witness[i], c->judgement, number, (uint32_t)p, &f) &&
				f.nonce == c->nonce))
			missing++;
	return missing;
}

static int wait_for_fences(struct check *c, enum witness_index i, uint64_t number,
	int64_t deadline_ns, size_t *ret_missing, struct err *e)
{
	int r = 0;

	while (r == 0 && (*ret_missing = fences_missing(c, i, number)) > 0 &&
		clock_ns() < deadline_ns) {
		r = tend(c, e);
		clock_sleep_ns(10 * NS_PER_MS);
	}
	return r;
}

static int note_fences_read(struct check *c, enum witness_index i, uint64_t number, struct err *e)
{
	const char *side = run_side_text(i == W_TARGET ? RUN_TARGET : RUN_SOURCE);
	struct witness_fence f;
	int r = 0;

	for (size_t p = 0; r == 0 && p < c->n_start[RUN_SOURCE]; p++) {
		struct judged_fence read = {c->judgement, number, (int32_t)p, c->nonce, 0, 0};

		if (c->start[RUN_SOURCE][p] < 0 ||
			!witness_has_fence(c->witness[i], c->judgement, number, (uint32_t)p, &f))
			continue;
		read.offset = f.offset;
		read.read_partition = f.partition;
		UNTIL_ANSWERED(c, r, judged_fence(c->ledger, c->run.id, side, &read, e));
	}
	return r;
}

/* Trouble that leaves the run undecided, not the check failed. */
static bool is_undecided(int code)
{
	return code == ERR_BROKER_AWAY || code == ERR_TIMEOUT || code == ERR_DENIED ||
	       code == ERR_BROKER;
}

/*
 * The question by basic.get brought a message, while a consumer of ours was there: which of the two was given something
 * first nobody can say. Or the queue gave what it had given before and taken back, for which it promises no place. It
 * stands in the ledger, for a checker that goes on in our place.
 */
static int note_untold_order(struct check *c, enum run_side side, struct err *e)
{
	static const char *const values[] = {"true"};
	int r = 0;

	if (!c->order_untold[side])
		UNTIL_ANSWERED(c, r,
			run_put_settings(c->ledger, c->run.id, "checker", &untold_names[side],
				values, 1, e));
	c->order_untold[side] = r == 0;
	return r;
}

/* Wait until the queue says that it has nothing more, so often in a row. */
static int wait_until_empty(struct check *c, enum witness_index i, int times, int64_t deadline_ns,
	bool *ret_ok, struct err *e)
{
	int said = 0, r = 0;

	*ret_ok = false;
	while (r == 0 && said < times) {
		bool empty = false;

		r = tend(c, e);
		if (r == 0)
			r = witness_is_empty(c->witness[i], deadline_ns - clock_ns(), &empty, e);
		if (is_undecided(r) && clock_ns() < deadline_ns && !stop_asked())
			r = 0; /* a node is away, or a leader is elected */
		said = empty ? said + 1 : 0;
		if (r == 0 && !empty)
			r = note_untold_order(c, i == W_TARGET ? RUN_TARGET : RUN_SOURCE, e);
		if (r == 0 && said < times && clock_ns() >= deadline_ns)
			return err_set(e, ERR_TIMEOUT, "the queue was not empty in time");
		if (!empty)
			clock_sleep_ns(TICK_NS);
	}
	*ret_ok = r == 0;
	return r;
}

/* Read up to the fences (or as far as they come), and until what was read before is still there. */
static int read_to_fences(struct check *c, enum witness_index i, uint64_t number,
	int64_t deadline_ns, size_t *ret_missing, struct err *e)
{
	uint64_t cuts;
	int r;

	do {
		cuts = 0;
		r = wait_for_fences(c, i, number, deadline_ns, ret_missing, e);
		if (r || *ret_missing)
			return r;
		r = witness_verify(c->witness[i], deadline_ns - clock_ns() + NS_PER_S, &cuts, e);
		/* a hint may have led back behind the fence between its reading and the verification */
	} while (r == 0 && (cuts > 0 || fences_missing(c, i, number) > 0));
	return r;
}

/*
 * Of a queue: wait until it seems to be empty, which is a hint and no proof, so that the fence need not wait behind
 * much, and no question by basic.get overtakes what a consumer is just given. That may take as long as it likes while
 * it gets ever less; it ends when nothing more came for as long as a fence may take.
 */
static int wait_until_quiet(struct check *c, enum run_side side, struct err *e)
{
	const struct destination *d = side == RUN_TARGET ? &c->target : &c->source;
	int64_t deadline_ns = clock_ns() + c->o->fence_timeout_ns;
	uint64_t ready = 0, least = UINT64_MAX, consumers;
	struct err ignored;
	int r = 0;

	while (r == 0 && c->queue[side] && !stop_asked()) {
		int looked = d->ops->queue_look(&d->config, &ready, &consumers, &ignored);

		if ((looked == 0 && ready == 0) || looked == ERR_NOTFOUND)
			break;
		if (looked == 0 && ready < least) {
			deadline_ns = clock_ns() + c->o->fence_timeout_ns;
			least = ready;
		}
		if (clock_ns() >= deadline_ns)
			break;
		r = tend(c, e);
		clock_sleep_ns(TICK_NS);
	}
	return r;
}

/*
 * The queue was emptied: what basic.get brought is settled in a moment, and counts as a consumer no more. Who is there
 * for longer takes from it as well (a quorum queue lets him, beside an exclusive consumer).
 */
static int look_behind_the_end(struct check *c, enum run_side side, struct err *e)
{
	int64_t until_ns = clock_ns() + SETTLED_NS;
	uint64_t n;
	int r = 0;

	while ((n = ask_strangers(c, side)) > 0 && r == 0 && clock_ns() < until_ns &&
		!stop_asked()) {
		r = tend(c, e);
		clock_sleep_ns(TICK_NS);
	}
	note_strangers(c, side, n);
	return r;
}

/*
 * Has the queue been emptied? If not, that is a reason; *ret_r: what kept the check itself from going on.
 * (A message whose consumer died is put back in front: so it is asked again behind the fence, and twice.)
 */
static bool is_drained(struct check *c, enum witness_index i, int times, int64_t deadline_ns,
	int *ret_r, struct err *e)
{
	bool ok = false;

	*ret_r = wait_until_empty(c, i, times, deadline_ns, &ok, e);
	if (is_undecided(*ret_r)) {
		add_reason(c, "the queue was not emptied: %s", e->msg);
		*ret_r = 0;
	}
	if (ok)
		*ret_r = look_behind_the_end(c, i == W_TARGET ? RUN_TARGET : RUN_SOURCE, e);
	return ok && *ret_r == 0;
}

/* Write a fence, read it, and make sure that what was read before it is still there. */
static int fence_round(struct check *c, uint64_t number, bool *ret_ok, struct err *e)
{
	size_t missing = 0;
	int64_t deadline_ns;
	int r;

	*ret_ok = false;
	c->phase = "fence";
	show(c);
	r = c->unread ? 0 : wait_until_quiet(c, RUN_SOURCE, e);
	deadline_ns = clock_ns() + c->o->fence_timeout_ns;
	if (r == 0)
		r = write_fences(c, number, deadline_ns, e);
	if (r == ERR_NOTFOUND && c->queue[RUN_SOURCE]) {
		c->gone = true;
		return 0;
	}
	if (is_undecided(r)) {
		add_reason(c, "the fence was not acknowledged: %s. %s", e->msg,
			r == ERR_DENIED
				? "Let this user write there, name another one in "
				  "--fence-config, or do without: --no-fence"
				: "Check that every partition has a leader and enough in-sync "
				  "replicas; --fence-timeout gives it longer");
		return 0;
	}
	/* what the relay takes only the target shows */
	if (r == 0 && c->unread) {
		*ret_ok = true;
		return 0;
	}
	if (r == 0)
		r = read_to_fences(c, W_SOURCE, number, deadline_ns, &missing, e);
	if (is_undecided(r)) {
		add_reason(c, "what was read could not be verified: %s", e->msg);
		return 0;
	}
	if (r == 0 && missing) {
		add_reason(c,
			"the fence of %zu partitions was written but not read in time; "
			"--fence-timeout gives it longer",
			missing);
		return 0;
	}
	if (r == 0)
		r = note_fences_read(c, W_SOURCE, number, e);
	if (r == 0 && c->queue[RUN_SOURCE] && !is_drained(c, W_SOURCE, 2, deadline_ns, &r, e))
		return r;
	c->fence_number = number;
	*ret_ok = r == 0;
	return r;
}

/* Every node that a probe was connected to must answer: none may hold back what it was sent. */
static int nodes_answer(struct check *c, int64_t timeout_ns, bool *ret_ok, struct err *e)
{
	int64_t deadline_ns = clock_ns() + timeout_ns;
	struct broker_config config = c->source.config;
	struct judged_node *node = NULL;
	size_t n = 0, at = 0;
	int r;

	c->phase = "nodes";
	*ret_ok = true;
	config.timeout_ns = 3 * NS_PER_S;
	UNTIL_ANSWERED(c, r, judged_nodes(c->ledger, c->run.id, &node, &n, e));
	while (r == 0 && at < n) {
		struct broker_node one = {.id = node[at].id, .port = node[at].port};
		struct err why;

		snprintf(one.host, sizeof(one.host), "%s", node[at].host);
		show(c);
		if (!c->source.ops->node_answers ||
			c->source.ops->node_answers(&config, &one, &why) == 0) {
			at++;
			continue;
		}
		if (clock_ns() < deadline_ns && !stop_asked()) {
			clock_sleep_ns(200 * NS_PER_MS);
			continue;
		}
		add_reason(c,
			"%s: what it was sent may still come; bring the node back and check again: "
			"mqaudit check %s --run %s",
			why.msg, c->run.destination, c->run.name);
		*ret_ok = false;
		break;
	}
	free(node);
	return r;
}

/* A cluster's state stands in for a lab's. */
static int read_lab(const struct check *c, struct labfile **ret)
{
	struct err ignored;

	return labfile_read(c->run.lab, labfile_kind_of_scheme(c->run.broker), ret, &ignored) == 0
		       ? 0
		       : labfile_read(c->run.lab, LABFILE_CLUSTER, ret, &ignored);
}

/* A fault that was put on after the run began may have told what cluster it is. */
static int find_lab(struct check *c, struct err *e)
{
	char id[RUN_ID_LEN];
	struct run now;
	int r;

	UNTIL_ANSWERED(c, r, run_find(c->ledger, run_id_text(c->run.id, id), &now, e));
	if (r == 0)
		snprintf(c->run.lab, sizeof(c->run.lab), "%s", now.lab);
	return r;
}

/* The lab must be whole, and no recorded fault on. */
static int lab_is_whole(struct check *c, struct err *e)
{
	const char *heal = "mqaudit lab heal";
	struct labfile *lab = NULL;
	struct err ignored;
	char names[300];
	uint64_t n = 0;
	int r = 0;

	if (!c->run.lab[0])
		r = find_lab(c, e);
	if (r || !c->run.lab[0])
		return r;
	if (lab_events_import(
		    c->ledger, c->run.lab, labfile_kind_of_scheme(c->run.broker), &ignored) ||
		lab_events_import(c->ledger, c->run.lab, LABFILE_CLUSTER, &ignored))
		log_warn("the lab's events are not in the ledger: %s", ignored.msg);
	UNTIL_ANSWERED(c, r, judged_faults_on(c->ledger, c->run.lab, &n, names, sizeof(names), e));
	if (r)
		return r;
	if (read_lab(c, &lab) == 0) {
		if (lab->network == LABFILE_ON_CLUSTER)
			heal = "mqaudit lab heal --cluster FILE";
		labfile_refresh(lab);
		if (lab->n_faults && n == 0) {
			n = lab->n_faults;
			snprintf(names, sizeof(names), "%s %s", lab->fault[0].kind,
				lab->fault[0].node);
		}
		for (size_t i = 0; i < lab->n_nodes; i++)
			if (lab->node[i].state != LABFILE_NODE_RUNNING)
				add_reason(c, "node %s of the lab is %s: %s%s, then check again",
					lab->node[i].name,
					labfile_node_state_text(lab->node[i].state),
					lab->node[i].state == LABFILE_NODE_FROZEN
						? "thaw it by SIGCONT or "
						: "",
					heal);
		labfile_free(lab);
	}
	if (n)
		add_reason(c, "%llu faults are still on: %s. %s, then check again",
			(unsigned long long)n, names, heal);
	return 0;
}

static int settle(struct check *c, struct err *e)
{
	int64_t until_ns = clock_ns() + c->o->settle_ns;
	int r = 0;

	c->phase = "settle";
	while (r == 0 && clock_ns() < until_ns) {
		r = tend(c, e);
		clock_sleep_ns(TICK_NS);
	}
	return r;
}

/* Where the logs of a side end now, by partition; malloc'ed, the caller's. */
static int ask_ends(struct check *c, enum run_side side, int64_t **ret, struct err *e)
{
	const struct destination *d = side == RUN_TARGET ? &c->target : &c->source;
	int64_t *end = calloc(c->n_start[side] + 1, sizeof(*end)), low;
	struct broker_reader *reader = NULL;
	int r = end ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	if (r == 0)
		r = d->ops->reader_open(&d->config, BROKER_UNCOMMITTED, true, &reader, e);
	for (size_t i = 0; r == 0 && i < c->n_start[side]; i++)
		if (c->start[side][i] >= 0)
			r = d->ops->reader_bounds(reader, (int32_t)i, &low, &end[i], e);
	if (reader)
		d->ops->reader_close(reader);
	if (r)
		free(end);
	else
		*ret = end;
	return r;
}

/* Wait until a witness has read up to where its logs end now, and what it read is still there. */
static int read_to_ends(struct check *c, enum witness_index i, int64_t deadline_ns,
	uint64_t *ret_cuts, struct err *e)
{
	enum run_side side = i == W_TARGET ? RUN_TARGET : RUN_SOURCE;
	int64_t *end = NULL;
	int r = ask_ends(c, side, &end, e);

	*ret_cuts = 0;
	for (size_t p = 0; r == 0 && p < c->n_start[side]; p++) {
		while (r == 0 && c->start[side][p] >= 0 &&
			witness_committed(c->witness[i], (int32_t)p) < end[p]) {
			r = tend(c, e);
			if (r == 0 && clock_ns() >= deadline_ns)
				r = err_set(e, ERR_TIMEOUT,
					"partition %zu was not read to offset %lld in time", p,
					(long long)end[p]);
			clock_sleep_ns(10 * NS_PER_MS);
		}
	}
	if (r == 0)
		r = witness_verify(c->witness[i], c->o->fence_timeout_ns, ret_cuts, e);
	/* a hint may have led back behind the end before that */
	for (size_t p = 0; r == 0 && p < c->n_start[side]; p++)
		*ret_cuts += c->start[side][p] >= 0 &&
			     witness_committed(c->witness[i], (int32_t)p) < end[p];
	free(end);
	return r;
}

/* How long a transaction may stay open, and a little. */
static int stable_wait(struct check *c, int64_t *ret_ns, struct err *e)
{
	char text[64];
	int64_t timeout_ms = 60000;
	int r;

	UNTIL_ANSWERED(c, r,
		run_get_setting(c->ledger, c->run.id, "client", "transaction.timeout.ms", text,
			sizeof(text), e));
	if (r == 0 && text[0])
		timeout_ms = strtoll(text, NULL, 10);
	*ret_ns = timeout_ms * NS_PER_MS + 20 * NS_PER_S;
	return r;
}

/* Without the right to write: the end of the log as it is after the settle time. */
static int read_to_end(struct check *c, bool *ret_ok, struct err *e)
{
	uint64_t cuts = 0, more = 0;
	int64_t wait_ns;
	int r = settle(c, e);

	*ret_ok = r == 0 && c->unread;
	if (c->unread)
		return r;
	if (r == 0 && c->queue[RUN_SOURCE]) {
		r = wait_until_quiet(c, RUN_SOURCE, e);
		if (r)
			return r;
		*ret_ok = is_drained(c, W_SOURCE, 2, clock_ns() + c->o->fence_timeout_ns, &r, e);
		return r;
	}
	if (r == 0)
		r = read_to_ends(c, W_SOURCE, clock_ns() + c->o->fence_timeout_ns, &cuts, e);
	if (r == 0 && c->witness[W_COMMITTED]) {
		r = stable_wait(c, &wait_ns, e);
		if (r == 0)
			r = read_to_ends(c, W_COMMITTED, clock_ns() + wait_ns, &more, e);
	}
	if (is_undecided(r)) {
		add_reason(c, "the log was not read to its end: %s", e->msg);
		return 0;
	}
	if (r == 0 && cuts + more)
		add_reason(c, "the log was cut while its end was read; check again");
	*ret_ok = r == 0 && cuts + more == 0;
	return r;
}

/* Transactions: the last stable offset must have passed the fence. */
static int wait_for_stable(struct check *c, uint64_t number, struct err *e)
{
	int64_t wait_ns;
	size_t missing;
	int r;

	if (!c->run.transactional || !c->witness[W_COMMITTED])
		return 0;
	c->phase = "transactions";
	r = stable_wait(c, &wait_ns, e);
	if (r == 0)
		r = read_to_fences(c, W_COMMITTED, number, clock_ns() + wait_ns, &missing, e);
	if (is_undecided(r)) {
		add_reason(c, "what was read committed could not be verified: %s", e->msg);
		return 0;
	}
	if (r == 0 && missing)
		add_reason(c,
			"a transaction is still open on %zu partitions: the last stable offset has not "
			"passed the fence",
			missing);
	return r;
}

/* Until the deadline: wait while something may still come through the relay, for all that is known. */
static int wait_for_strays(
	struct check *c, int64_t deadline_ns, struct judged_relay *ret, struct err *e)
{
	int r;

	for (;;) {
		int64_t again_ns = clock_ns() + RELAY_LOOK_NS;

		UNTIL_ANSWERED(c, r, judged_relay(c->ledger, c->run.id, c->judgement, ret, e));
		if (r || ret->strayed + ret->unfenced == 0)
			return r;
		while (clock_ns() < again_ns) {
			if (clock_ns() >= deadline_ns || stop_asked())
				return 0;
			r = tend(c, e);
			if (r)
				return r;
			clock_sleep_ns(TICK_NS);
		}
	}
}

/* Why the relay cannot be judged. */
static void say_relay(
	struct check *c, bool fenced, size_t missing, const struct judged_relay *state)
{
	if (missing && c->routed)
		add_reason(c,
			"the fence went the way the messages go and was routed, but the queue has not given "
			"it: is '%s' bound to exchange '%s' with key '%s'?",
			c->target.url.name, c->exchange, c->routing_key);
	else if (missing)
		add_reason(c,
			"the fence of %zu partitions did not come through the relay in time; if it does "
			"not pass records like it, bound it with --relay-lag TIME",
			missing);
	if (!fenced && state->unfenced)
		add_reason(c,
			"%llu messages are not behind the relay, and without a fence nothing tells "
			"whether they will come; bound the relay with --relay-lag TIME",
			(unsigned long long)state->unfenced);
	if (state->strayed)
		add_reason(c,
			"%llu messages are not behind the relay and may still come: lanes of partition "
			"%s are there on other partitions than their fence, so that it proves nothing "
			"for them; check again, or bound the relay with --relay-lag TIME",
			(unsigned long long)state->strayed, state->partitions);
}

/*
 * Wait for the fences behind the relay (number 0: none were written). What keeps it from being judged
 * becomes a reason, unless the user bounds the relay: then what is absent at the end of that time is
 * lost.
 */
static int wait_for_relay(struct check *c, uint64_t number, struct err *e)
{
	int64_t wait_ns = c->o->relay_lag_ns ? c->o->relay_lag_ns : c->o->fence_timeout_ns;
	int64_t deadline_ns = clock_ns() + wait_ns;
	struct judged_relay state = {0};
	uint64_t cuts = 0;
	size_t missing = 0;
	int r = 0;

	if (!c->has_target)
		return 0;
	c->phase = "relay";
	if (number)
		r = read_to_fences(c, W_TARGET, number, deadline_ns, &missing, e);
	if (r == 0 && number)
		r = note_fences_read(c, W_TARGET, number, e);
	/* where the source is not read the fence is read there, or nowhere */
	if (c->unread && missing)
		c->fenced = false;
	if (r == 0)
		r = wait_for_strays(c, deadline_ns, &state, e);
	/* what is not known by its fence is absent only if all that is there was read */
	if (r == 0 && c->queue[RUN_TARGET]) {
		r = wait_until_quiet(c, RUN_TARGET, e);
		c->behind = r == 0 &&
			    is_drained(c, W_TARGET, 2, clock_ns() + c->o->fence_timeout_ns, &r, e);
		if (r == 0 && !c->o->relay_lag_ns)
			say_relay(c, number != 0, missing, &state);
		return r;
	}
	if (r == 0 && (missing || !number || state.strayed))
		r = read_to_ends(c, W_TARGET, clock_ns() + c->o->fence_timeout_ns, &cuts, e);
	if (is_undecided(r)) {
		add_reason(c, "what is behind the relay was not read to its end: %s", e->msg);
		return 0;
	}
	if (r == 0 && cuts)
		add_reason(c, "the log behind the relay was cut while it was read; check again");
	c->behind = r == 0 && cuts == 0;
	if (r == 0 && !c->o->relay_lag_ns)
		say_relay(c, number != 0, missing, &state);
	return r;
}

/* Must what was read be read again, because policy may have removed some of it? */
static int sweep_log(struct check *c, bool *ret_ok, struct err *e)
{
	int64_t *starts = calloc(c->n_start[RUN_SOURCE] + 1, sizeof(*starts));
	bool needed = false, all = strcmp(c->o->sweep, "full") == 0;
	char policy[100];
	int r = starts ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	if (r == 0)
		UNTIL_ANSWERED(c, r,
			run_get_setting(c->ledger, c->run.id, "topic", "cleanup.policy", policy,
				sizeof(policy), e));
	if (r == 0)
		r = witness_log_starts(c->witness[W_SOURCE], starts, e);
	for (size_t i = 0; r == 0 && i < c->n_start[RUN_SOURCE]; i++)
		needed |= c->start[RUN_SOURCE][i] >= 0 && starts[i] > c->start[RUN_SOURCE][i];
	free(starts);
	all |= r == 0 && strstr(policy, "compact") != NULL;
	if (r == 0 && (needed || all)) {
		if (strcmp(c->o->sweep, "none") == 0) {
			add_reason(c,
				"records were removed from the log by policy, and --sweep none keeps it "
				"from being read again");
			*ret_ok = false;
			return 0;
		}
		c->phase = "sweep";
		show(c);
		r = witness_sweep(c->witness[W_SOURCE], all, 3600 * NS_PER_S, e);
		if (r == 0 && c->witness[W_COMMITTED])
			r = witness_sweep(c->witness[W_COMMITTED], all, 3600 * NS_PER_S, e);
	}
	if (is_undecided(r)) {
		add_reason(c, "the log could not be read again: %s", e->msg);
		*ret_ok = false;
		return 0;
	}
	return r;
}

static int sweep_if_needed(struct check *c, bool *ret_ok, struct err *e)
{
	/* what a queue gave is not to be had again */
	if (c->queue[RUN_SOURCE])
		return 0;
	return sweep_log(c, ret_ok, e);
}

/* Everything that a verdict asks for, in order. *ret_complete: what is absent now is absent. */
static int reach_the_end(struct check *c, bool *ret_complete, struct err *e)
{
	struct judged_health health;
	uint64_t number = 1;
	bool ok = false, answers = true;
	size_t about_relay = 0; /* reasons that leave what is known of the source as it is */
	char shared[16] = "";
	int r;

	*ret_complete = false;
	r = lab_is_whole(c, e);
	if (r == 0)
		UNTIL_ANSWERED(c, r, judged_health(c->ledger, c->run.id, &health, e));
	if (r == 0)
		UNTIL_ANSWERED(c, r,
			run_get_setting(c->ledger, c->run.id, "probe", "shared", shared,
				sizeof(shared), e));
	if (r)
		return r;
	if (c->gone) {
		/* nothing more comes, and nothing can be asked */
		ok = true;
	} else if (c->o->no_fence || strcmp(shared, "true") == 0) {
		r = read_to_end(c, &ok, e);
		number = 0;
	} else {
		r = fence_round(c, number, &ok, e);
		if (r == 0 && ok && !health.healthy) {
			r = nodes_answer(c, c->o->fence_timeout_ns, &answers, e);
			if (r == 0)
				r = settle(c, e);
			if (r == 0)
				r = fence_round(c, ++number, &ok, e);
		} else if (r == 0 && !ok && !health.healthy) {
			/* no time is left, but whose fault it is can be said */
			r = nodes_answer(c, 0, &answers, e);
		}
		c->fenced = ok;
		ok |= r == 0 && c->gone;
		if (r == 0 && ok && !c->gone)
			r = wait_for_stable(c, number, e);
	}
	about_relay = c->n_reasons;
	if (r == 0 && ok)
		r = wait_for_relay(c, number, e);
	about_relay = c->n_reasons - about_relay;
	if (r == 0 && ok)
		r = sweep_if_needed(c, &ok, e);
	*ret_complete = ok && answers && c->n_reasons == about_relay;
	return r;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static int take_sql_finding(const struct judged_finding *f, void *arg, struct err *e)
{
	int r = findings_add(arg, f->kind, f->stage, f->producer_id, f->epoch, f->partition, f->lo,
		f->hi, f->count);

	return r ? err_set(e, r, "out of memory") : 0;
}

/* Only whoever reads may judge: a checker that was frozen while another took over gives up. */
static int still_ours(struct check *c, struct err *e)
{
	int r = 0;

	for (int i = 0; r == 0 && i < W_N; i++)
		if (c->witness[i])
			r = witness_owns(c->witness[i], c->ledger, e);
	return r;
}

/* Both judges, compared. A difference is a defect of ours, and the verdict an error. */
static int judge_twice(struct check *c, bool complete, bool *ret_agreed, struct err *e)
{
	struct judge_plan plan = {
		.run_id = c->run.id,
		.judgement = c->judgement,
		.complete = complete,
		.behind = c->behind,
		.transactional = c->run.transactional,
		.source = c->unread ? NULL : witness_tracker(c->witness[W_SOURCE]),
		.committed =
			c->witness[W_COMMITTED] ? witness_tracker(c->witness[W_COMMITTED]) : NULL,
		.target = c->has_target ? witness_tracker(c->witness[W_TARGET]) : NULL,
		.relay_bounded = c->o->relay_lag_ns != 0,
		.queue = {c->queue[RUN_SOURCE], c->queue[RUN_TARGET]},
		.counts_exact = c->facts.exact,
		.removed = c->facts.removed,
		.unroutable = c->facts.unroutable,
		.gone = c->facts.gone,
		.expired = c->facts.expired,
		.routed = c->routed,
	};
	struct findings *sql = findings_new(), *memory = NULL;
	char policy[100], text[600];
	int r = sql ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	c->phase = "judging";
	c->next_show_ns = 0;
	show(c);
	if (r == 0)
		UNTIL_ANSWERED(c, r,
			run_get_setting(c->ledger, c->run.id, "topic", "cleanup.policy", policy,
				sizeof(policy), e));
	plan.compacted = r == 0 && strstr(policy, "compact") != NULL;
	if (r == 0)
		UNTIL_ANSWERED(c, r,
			judged_compute(c->ledger, c->run.id, c->judgement, complete, c->behind, e));
	if (r == 0)
		r = judged_findings(c->ledger, c->run.id, c->judgement, take_sql_finding, sql, e);
	if (r == 0)
		r = judge_in_memory(c->ledger, &plan, &memory, e);
	if (r == 0)
		UNTIL_ANSWERED(c, r, still_ours(c, e));
	if (r == 0) {
		*ret_agreed = findings_equal(
			memory, "the tracker", sql, "the ledger's judge", text, sizeof(text));
		if (!*ret_agreed)
			add_reason(c,
				"the two judges disagree, which is a defect of mqaudit or of its ledger: %s",
				text);
	}
	findings_free(sql);
	findings_free(memory);
	return r;
}

static bool sums_hold(struct check *c, const struct judged_sums *s)
{
	char text[300];
	bool ok = judged_sums_hold(s, text, sizeof(text));

	if (!ok)
		add_reason(c, "defect: %s", text);
	return ok;
}

/*
 * What a queue did not give is lost only if nothing else can have taken it: no other consumer, and no policy,
 * which AMQP does not tell of. How many it is about, which then break nothing; the reasons are added. What was
 * routed nowhere was in no queue.
 */
static uint64_t untold_losses(struct check *c, const struct judged_sums *s, uint64_t never_routed)
{
	uint64_t n = 0, strangers = c->strangers[RUN_SOURCE] + c->strangers[RUN_TARGET];
	bool excluded;

	if (c->queue[RUN_SOURCE] || c->routed)
		n += s->count[FINDING_LOST][STAGE_BROKER] + s->count[FINDING_LOST][STAGE_PRODUCE] -
		     never_routed;
	if (c->queue[RUN_TARGET] || c->unread)
		n += s->count[FINDING_LOST][STAGE_RELAY];
	if (n == 0)
		return 0;
	if (strangers)
		add_reason(c,
			"%llu messages are not there, and %llu other consumers took from the queue: who "
			"has them cannot be told",
			(unsigned long long)n, (unsigned long long)strangers);
	if (c->policy && !c->facts.excluded[0])
		add_reason(c,
			"%llu messages are not there, and it cannot be told whether a policy removed them "
			"(TTL, length or delivery limit): %s",
			(unsigned long long)n, c->facts.doubt);
	else if (!c->policy && !c->o->no_policy)
		add_reason(c,
			"%llu messages are not there, and it cannot be told whether a policy removed them "
			"(TTL, length or delivery limit, a purge): if there is none, say --no-policy",
			(unsigned long long)n);
	excluded = c->policy ? c->facts.excluded[0] != '\0' : c->o->no_policy;
	return strangers || !excluded ? n : 0;
}

/* How many messages came out of order where a queue's order cannot be told; the reason is added. */
static uint64_t untold_disorder(
	struct check *c, const struct judged_sums *s, const struct promise *p)
{
	const uint64_t *n = s->count[FINDING_REORDERED];
	uint64_t untold = 0;

	if (c->order_untold[RUN_SOURCE])
		untold += n[STAGE_PRODUCE] + n[STAGE_BROKER];
	/* beside a routed stream the queue behind it is the broker's, not a relay's */
	if (c->order_untold[RUN_TARGET])
		untold += c->routed ? n[STAGE_BROKER] : n[STAGE_RELAY];
	if (untold && promise_broken_by(p, FINDING_REORDERED))
		add_reason(c,
			"%llu messages came behind later ones, after the queue had taken some back or while "
			"it was asked whether it is empty: what order they had in it cannot be told",
			(unsigned long long)untold);
	return untold;
}

static enum verdict decide(struct check *c, const struct judged_sums *s, uint64_t never_routed,
	const struct promise *p)
{
	uint64_t unread = 0, pending = 0, untold = untold_losses(c, s, never_routed);
	bool broken = false;

	for (int k = 0; k < FINDING_N; k++) {
		uint64_t n = 0;

		for (int g = 0; g < STAGE_N; g++)
			n += s->count[k][g];
		if (k == FINDING_LOST)
			n -= untold;
		if (k == FINDING_REORDERED)
			n -= untold_disorder(c, s, p);
		if (n && promise_broken_by(p, (enum finding_kind)k))
			broken = true;
		if (k == FINDING_UNREAD)
			unread = n;
		if (k == FINDING_PENDING)
			pending = n;
	}
	if (unread && c->gone)
		add_reason(c,
			"the queue is gone, and %llu messages with it: who deleted it cannot be told, nor whether "
			"they had been there",
			(unsigned long long)unread);
	else if (unread)
		add_reason(c,
			"%llu messages were removed from the log before they were read; longer retention, "
			"or a checker that keeps up, would tell",
			(unsigned long long)unread);
	if (s->unrecorded_absent)
		add_reason(c,
			"what became of %llu messages only a lost journal knew, and they are not there",
			(unsigned long long)s->unrecorded_absent);
	if (s->maybe_intended)
		add_reason(c,
			"only a lost journal knew what was sent last: up to %llu messages more may have been, "
			"and are not there",
			(unsigned long long)s->maybe_intended);
	if (pending && c->n_reasons == 0)
		add_reason(c, "%llu messages are pending", (unsigned long long)pending);
	if (broken)
		return VERDICT_FAIL;
	if (c->n_reasons)
		return VERDICT_UNDECIDED;
	if (s->acked + s->unconfirmed + s->distinct == 0)
		return VERDICT_NODATA;
	return VERDICT_PASS;
}

/*
 * Look for the positions of findings that are known only to lie between others. The time for it is
 * bounded: what is not reached is not listed. Trouble with the broker takes nothing from the verdict.
 */
static int find_places(struct check *c, struct err *e)
{
	int64_t deadline_ns = clock_ns() + PLACES_NS;
	struct judged_place *place = NULL;
	size_t n = 0, at = 0;
	struct err trouble;
	int r = judged_places(c->ledger, c->run.id, c->judgement, MAX_PLACES, &place, &n, e);

	if (r || n == 0) {
		free(place);
		return r;
	}
	c->phase = "positions";
	c->next_show_ns = 0;
	show(c);
	for (int side = RUN_SOURCE; side <= RUN_TARGET; side++) {
		const struct destination *d = side == RUN_SOURCE ? &c->source : &c->target;
		struct witness_key key = {c->run.id, (enum run_side)side,
			c->run.transactional ? ISOLATION_COMMITTED : ISOLATION_UNCOMMITTED};
		struct places_plan plan = {
			d->ops, &d->config, witness_reads(&key), (uint64_t)c->run.id};
		size_t from = at;

		while (at < n && place[at].side == (enum run_side)side)
			at++;
		if (at > from && places_find(&plan, place + from, at - from, deadline_ns, &trouble))
			log_warn("positions of findings were not looked for: %s", trouble.msg);
	}
	r = judged_put_places(c->ledger, c->run.id, c->judgement, place, n, e);
	free(place);
	return r;
}

/* What took messages from the queue but we: the last that is asked of the broker. */
static int conclude_policy(struct check *c, bool complete, struct err *e)
{
	struct policy_end end = {.judgement = c->judgement,
		.nonce = c->nonce,
		.gone = c->gone,
		.complete = complete};
	struct witness_state st;
	int r = 0;

	if (!c->policy)
		return 0;
	c->phase = "policies";
	c->next_show_ns = 0;
	show(c);
	witness_state(c->witness[W_SOURCE], &st);
	end.undisturbed = st.disconnects == 0;
	UNTIL_ANSWERED(c, r, policy_conclude(c->policy, &end, &c->facts, e));
	return r;
}

/* Is the order of what the queues gave the order in which they had it? */
static int recall_order(struct check *c, struct err *e)
{
	int r = 0;

	for (int side = RUN_SOURCE; r == 0 && side <= RUN_TARGET; side++) {
		struct witness *w = c->witness[side == RUN_TARGET ? W_TARGET : W_SOURCE];
		struct witness_state st = {0};
		char untold[8] = "";

		if (w)
			witness_state(w, &st);
		if (st.put_back)
			r = note_untold_order(c, (enum run_side)side, e);
		if (r == 0)
			UNTIL_ANSWERED(c, r,
				run_get_setting(c->ledger, c->run.id, "checker", untold_names[side],
					untold, sizeof(untold), e));
		c->order_untold[side] |= untold[0] != '\0';
	}
	return r;
}

static int conclude(struct check *c, bool complete, enum verdict *ret, struct err *e)
{
	struct judged_sums sums;
	struct promise promise;
	struct judged_verdict v = {.fenced = c->fenced};
	uint64_t never_routed = 0;
	int r = judge_twice(c, complete, &v.agreed, e);

	if (r == 0)
		r = find_places(c, e);
	if (r == 0)
		r = judged_sums(c->ledger, c->run.id, c->judgement, &sums, e);
	if (r == 0)
		r = recall_order(c, e);
	if (r == 0)
		r = judged_never_routed(c->ledger, c->run.id, c->judgement, &never_routed, e);
	if (r == 0)
		r = run_promise(c, &promise, e);
	if (r)
		return r;
	v.verdict = !v.agreed || !sums_hold(c, &sums) ? VERDICT_ERROR
						      : decide(c, &sums, never_routed, &promise);
	v.reasons = (const char *const *)c->reason;
	v.n_reasons = c->n_reasons;
	UNTIL_ANSWERED(c, r, judged_finish(c->ledger, c->run.id, c->judgement, &v, e));
	*ret = v.verdict;
	return r;
}

/* Reading ends here: what comes later belongs to another judgement. */
static int stop_witnesses(struct check *c, struct err *e)
{
	int r = 0;

	for (int i = 0; i < W_N; i++) {
		int one = c->witness[i] ? witness_stop(c->witness[i], e) : 0;

		r = r ? r : one;
	}
	return r;
}

/* Begin with what is drained at the end. A node that is away, or a queue without a leader, may come back. */
static int start_drain(struct check *c, struct err *e)
{
	int64_t deadline_ns = clock_ns() + c->o->fence_timeout_ns;
	int r = start_readers(c, true, e);

	c->phase = "drain";
	if (r == ERR_NOTFOUND && c->queue[RUN_SOURCE] && !c->gone) {
		c->gone = true;
		r = start_readers(c, true, e);
	}
	while (is_undecided(r) && clock_ns() < deadline_ns && !stop_asked()) {
		show(c);
		clock_sleep_ns(4 * TICK_NS);
		r = start_readers(c, true, e);
	}
	return r;
}

static int check_to_the_end(struct check *c, enum verdict *ret, struct err *e)
{
	bool complete = false;
	int r = wait_for_probes(c, e);

	if (r == 0)
		r = start_drain(c, e);
	if (r == 0)
		UNTIL_ANSWERED(c, r, still_ours(c, e));
	if (r == 0)
		UNTIL_ANSWERED(c, r, judged_begin(c->ledger, c->run.id, &c->judgement, e));
	if (r == 0)
		r = reach_the_end(c, &complete, e);
	if (r == 0)
		r = stop_witnesses(c, e);
	/* what was found while the rest was waited for: the log is not read to its end again */
	if (r == 0 && complete && c->fenced && !c->unread &&
		fences_missing(c, W_SOURCE, c->fence_number) > 0) {
		add_reason(c, "the log was cut after its end was read; check again");
		complete = false;
	}
	if (r == 0)
		r = conclude_policy(c, complete, e);
	if (r == 0)
		r = conclude(c, complete, ret, e);
	return r;
}

static void release(struct check *c)
{
	for (int i = 0; i < W_N; i++)
		witness_free(c->witness[i]);
	for (size_t i = 0; i < c->n_reasons; i++)
		free(c->reason[i]);
	policy_free(c->policy);
	free(c->start[RUN_SOURCE]);
	free(c->start[RUN_TARGET]);
	destination_release(&c->source);
	if (c->has_target)
		destination_release(&c->target);
	ledger_close(c->ledger);
}

int check_run(const struct cmdline *cl, const struct check_opts *o, const char *url,
	enum verdict *ret, struct err *e)
{
	struct check *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_set(e, ERR_NOMEM, "out of memory");
	c->cl = cl;
	c->o = o;
	c->phase = "starting";
	c->started_ns = clock_ns();
	c->next_line_ns = c->started_ns + PLAIN_LINE_NS;
	c->nonce = (uint32_t)rng_system();
	stop_install(
		"mqaudit: ended at once; what was read is in the ledger, the run is not judged\n");
	r = prepare(c, url, e);
	if (r == 0)
		r = check_to_the_end(c, ret, e);
	c->phase = "done";
	c->next_show_ns = 0;
	if (o->status_fd)
		show(c);
	log_progress(NULL);
	release(c);
	free(c);
	return r;
}
