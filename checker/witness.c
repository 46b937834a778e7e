#include "checker/witness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checker/anchor.h"
#include "checker/ladder.h"
#include "checker/recorder.h"
#include "core/clock.h"
#include "core/hist.h"
#include "core/ledger/run.h"
#include "core/rng.h"

#define BATCH 1000
#define READ_MS 20
#define COMMIT_NS (150 * NS_PER_MS)
/* a queue's commit is due when this part of what it gives ahead was read */
#define COMMIT_SHARE 4
#define VERIFY_EVERY_NS (10 * NS_PER_S)
#define SAMPLE_NS NS_PER_S
#define RETRY_NS (500 * NS_PER_MS)
#define LOOK_NS (5 * NS_PER_S) /* for one look at an anchor */
#define MAX_ROWS 200000u       /* of evidence that waits for the ledger: then reading pauses */
#define MAX_FENCES 65536u
#define READ_AHEAD                                                                                 \
	((size_t)16 << 20) /* of payload, where messages are recorded; the rest is in recorder.h */
#define OLDER_LOOKS 4u
#define MAX_DOUBTS 8u
#define OLD_SWEEP_NS (600 * NS_PER_S)
#define MAX_INCONSISTENT 1000u /* positions of a partition; beyond, each change is a cut */

/* What the reading thread knows of a partition. */
struct place {
	bool used;
	int64_t next_offset;
	int64_t taken_offset; /* up to where evidence was handed to the writer */
	int64_t committed;    /* ... and is in the ledger */
	int64_t settled;      /* of a queue: ... and was taken off it */
	int32_t generation;
	int64_t segment;            /* number of the last segment handed to the writer */
	int64_t end_offset;         /* the end as last told; -1: unknown */
	int64_t log_start;          /* -1: unknown */
	struct witness_anchor last; /* the last record read */
	struct witness_anchor start_anchor;
	bool started;
	bool suspicious; /* something hints at a cut */
	/*
	 * The last records before something that a cut may have made, since the log was last verified:
	 * another node answers, or the seqs do not go on. When the log was cut behind our position and
	 * has grown beyond it, then all that is read later matches, and only these do not.
	 */
	struct witness_anchor doubt[MAX_DOUBTS];
	size_t n_doubts;
	int32_t node;                               /* that the last record came from */
	const struct broker_message *last_in_batch; /* while a batch is taken in */
	int64_t *inconsistent; /* positions that change without a cut: no anchors, in order */
	size_t n_inconsistent;
	struct ladder ladder;
};

/* What is handed from reader to writer: one commit. */
struct parcel {
	struct witness_advance *advance;
	size_t n_advances;
	struct witness_row *row;
	size_t n_rows, cap_rows;
	struct witness_damage *damage;
	size_t n_damages, cap_damages;
	struct witness_fold fold[LADDER_MAX_FOLDS];
	size_t n_folds;
	struct recorder recorded;
	struct witness_sample sample;
	struct witness_checker checker;
	struct hist latency; /* the checker's */
	bool has_sample;
};

enum request {
	REQUEST_NONE,
	REQUEST_VERIFY,
	REQUEST_SWEEP,
	REQUEST_SWEEP_ALL,
	REQUEST_STARTS,
	REQUEST_EMPTY
};

struct witness {
	struct witness_plan plan;
	int64_t owner;
	struct tracker *tracker;
	struct broker_reader *reader;
	struct anchor_reader *looker;
	struct place *place;
	struct ledger
		*ledger; /* the writer's; the reader's while the writer is idle and locked out */
	pthread_t read_thread, write_thread;
	bool read_started, write_started;

	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct witness_state state;
	bool parcel_full; /* the writer works on the parcel */
	struct parcel parcel;
	bool stop, write_stop, done;
	enum request request;
	int64_t request_deadline_ns;
	uint64_t request_cuts;
	bool request_empty; /* the answer */
	struct err request_error;
	int64_t *request_starts;
	struct witness_fence *fence; /* read; committed when place.committed passed it */
	size_t n_fences, cap_fences;

	/* the reader's */
	size_t ahead; /* of a queue: how much it gives before some is settled */
	struct recorder recorder;
	struct message_writer *message_writer; /* the writer's; NULL: messages are not recorded */
	uint64_t changes_seen;
	int64_t next_commit_ns, next_verify_ns, next_sample_ns, last_sample_ns;
	uint64_t read_before;
	uint64_t n_read, n_fences_read;
	int64_t first_read_ns, last_read_ns; /* 0: nothing was read */
	struct hist recent, total;
	char host[64];
	struct broker_message batch[BATCH];
};

/* ---- loading --------------------------------------------------------------------------------- */

static int load_row(const struct witness_row *row, void *arg, struct err *e)
{
	struct witness *w = arg;
	struct tracker_run run = {
		.ident = {row->producer_id, row->epoch, row->nonce, row->lane},
		.attempt = row->attempt,
		.lo = row->lo,
		.hi = row->hi,
		.first_offset = row->first_offset,
		.last_offset = row->last_offset,
	};
	int r = tracker_load(w->tracker, row->partition, &run);

	return r ? err_set(e, r, "cannot hold the evidence of partition %d: %s", row->partition,
			   err_code_text(r))
		 : 0;
}

/* Learn from the ledger what counts of a partition: rows into the tracker, segments into the ladder. */
static int load_partition(struct witness *w, int32_t partition, struct err *e)
{
	struct place *p = &w->place[partition];
	struct witness_segment *segments = NULL;
	struct tracker_totals extra = {0};
	size_t n;
	int r;

	tracker_drop(w->tracker, partition);
	ladder_clear(&p->ladder);
	r = witnessed_segments(w->ledger, &w->plan.key, partition, &segments, &n, e);
	if (r)
		return r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = ladder_push(&p->ladder, &segments[i], true)
			    ? err_set(e, ERR_NOMEM, "out of memory")
			    : 0;
		extra.foreigners += (uint64_t)segments[i].foreigners;
		extra.fences += (uint64_t)segments[i].fences;
		extra.corrupted += (uint64_t)segments[i].corrupted;
	}
	p->last = n ? segments[n - 1].anchor : (struct witness_anchor){-1, 0};
	free(segments);
	if (r == 0)
		r = tracker_load_others(w->tracker, partition, &extra)
			    ? err_set(e, ERR_NOMEM, "out of memory")
			    : 0;
	if (r == 0)
		r = witnessed_rows(w->ledger, &w->plan.key, partition, load_row, w, e);
	return r;
}

/* The record just before the run's first position, looked for once in the life of a run. */
static int find_start_anchor(struct witness *w, int32_t partition, struct err *e)
{
	struct place *p = &w->place[partition];
	struct witness_anchor a = {-1, 0};
	struct err ignored;

	/* a broker that cannot be read now does not keep us: reading on will tell */
	err_ignore(anchor_last_before(
		w->looker, partition, w->plan.start[partition], LOOK_NS, &a, &ignored));
	p->start_anchor = a;
	return witnessed_set_start_anchor(w->ledger, &w->plan.key, partition, w->owner, &a, e);
}

static int load_inconsistent(struct witness *w, int32_t partition, struct err *e)
{
	struct place *p = &w->place[partition];

	free(p->inconsistent);
	p->inconsistent = NULL;
	p->n_inconsistent = 0;
	return witnessed_inconsistents(
		w->ledger, &w->plan.key, partition, &p->inconsistent, &p->n_inconsistent, e);
}

static int claim(struct witness *w, int32_t partition, struct err *e)
{
	struct place *p = &w->place[partition];
	struct witness_position at;
	int r = witnessed_claim(
		w->ledger, &w->plan.key, partition, w->plan.start[partition], w->owner, &at, e);

	if (r)
		return r;
	p->used = true;
	p->next_offset = p->taken_offset = p->committed = p->settled = at.next_offset;
	p->generation = at.generation;
	p->segment = at.segment;
	p->end_offset = p->log_start = -1;
	p->node = BROKER_NO_NODE;
	p->start_anchor = at.start_anchor;
	p->suspicious = !at.fresh && !w->plan.queue;
	if (!at.anchored && !w->plan.queue)
		r = find_start_anchor(w, partition, e);
	if (r == 0)
		r = load_inconsistent(w, partition, e);
	if (r == 0)
		r = load_partition(w, partition, e);
	return r;
}

/* ---- the writer ------------------------------------------------------------------------------ */

static void set_trouble(struct witness *w, bool away, const char *text)
{
	pthread_mutex_lock(&w->mutex);
	w->state.ledger_away = away;
	snprintf(w->state.trouble, sizeof(w->state.trouble), "%s", text);
	pthread_mutex_unlock(&w->mutex);
}

static void fail(struct witness *w, const struct err *e)
{
	pthread_mutex_lock(&w->mutex);
	if (!w->state.failure.code)
		w->state.failure = *e;
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mutex);
}

static bool can_wait(int code)
{
	return code == ERR_LEDGER_AWAY || code == ERR_NOSPACE;
}

static int write_parcel(struct witness *w, struct err *e)
{
	struct witness_commit c = {
		.key = w->plan.key,
		.owner = w->owner,
		.advance = w->parcel.advance,
		.n_advances = w->parcel.n_advances,
		.row = w->parcel.row,
		.n_rows = w->parcel.n_rows,
		.damage = w->parcel.damage,
		.n_damages = w->parcel.n_damages,
		.fold = w->parcel.fold,
		.n_folds = w->parcel.n_folds,
		.writer = w->message_writer,
		.messages = recorder_batch(&w->parcel.recorded),
		.sample = w->parcel.has_sample ? &w->parcel.sample : NULL,
		.checker = w->parcel.has_sample ? &w->parcel.checker : NULL,
	};

	return witnessed_commit(w->ledger, &c, e);
}

/* After a lost connection: is the parcel in? The first partition's segment number tells for all. */
static int is_written(struct witness *w, bool *ret, struct err *e)
{
	const struct witness_advance *a = &w->parcel.advance[0];
	int64_t segment;
	int r = witnessed_segment(w->ledger, &w->plan.key, a->partition, w->owner, &segment, e);

	if (r == 0)
		*ret = segment >= a->segment.segment;
	return r;
}

/* Try until it is in the ledger, or for good not. */
static int deliver(struct witness *w, struct err *e)
{
	for (;;) {
		bool in = false;
		int r = 0;

		if (!pg_is_open(ledger_pg(w->ledger))) {
			r = ledger_reconnect(w->ledger, e);
			if (r == 0)
				r = is_written(w, &in, e);
		}
		if (r == 0 && !in)
			r = write_parcel(w, e);
		if (r == 0) {
			set_trouble(w, false, "");
			return 0;
		}
		if (!can_wait(r))
			return r;
		set_trouble(w, true, e->msg);
		pthread_mutex_lock(&w->mutex);
		r = w->write_stop ? ERR_STOPPED : 0;
		pthread_mutex_unlock(&w->mutex);
		if (r)
			return r;
		clock_sleep_ns(RETRY_NS);
	}
}

static void parcel_done(struct witness *w)
{
	struct parcel *c = &w->parcel;

	for (size_t i = 0; i < c->n_advances; i++)
		w->place[c->advance[i].partition].committed = c->advance[i].next_offset;
	c->n_advances = c->n_rows = c->n_damages = c->n_folds = 0;
	recorder_clear(&c->recorded);
	c->has_sample = false;
	w->parcel_full = false;
	pthread_cond_broadcast(&w->changed);
}

static void *write_main(void *arg)
{
	struct witness *w = arg;
	struct err e;

	pthread_setname_np(pthread_self(), "mq-evidence");
	pthread_mutex_lock(&w->mutex);
	for (;;) {
		while (!w->parcel_full && !w->write_stop)
			pthread_cond_wait(&w->changed, &w->mutex);
		if (!w->parcel_full)
			break;
		pthread_mutex_unlock(&w->mutex);
		if (deliver(w, &e)) {
			fail(w, &e);
			pthread_mutex_lock(&w->mutex);
			break;
		}
		pthread_mutex_lock(&w->mutex);
		parcel_done(w);
	}
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* ---- handing over ---------------------------------------------------------------------------- */

static bool writer_idle(struct witness *w)
{
	bool idle;

	pthread_mutex_lock(&w->mutex);
	idle = !w->parcel_full;
	pthread_mutex_unlock(&w->mutex);
	return idle;
}

/* Wait until the writer tells something new, READ_MS at most. */
static void wait_a_while(struct witness *w)
{
	struct timespec until;
	bool idle;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += READ_MS * NS_PER_MS;
	if (until.tv_nsec >= NS_PER_S) {
		until.tv_nsec -= NS_PER_S;
		until.tv_sec++;
	}
	pthread_mutex_lock(&w->mutex);
	idle = !w->parcel_full;
	if (!idle)
		pthread_cond_timedwait(&w->changed, &w->mutex, &until);
	pthread_mutex_unlock(&w->mutex);
	if (idle)
		clock_sleep_ns(NS_PER_MS); /* the next commit is due soon */
}

/* Wait until the writer is idle, so that the reader may use the ledger. False: stopped instead. */
static bool wait_idle(struct witness *w)
{
	bool ok;

	pthread_mutex_lock(&w->mutex);
	while (w->parcel_full && !w->state.failure.code)
		pthread_cond_wait(&w->changed, &w->mutex);
	ok = !w->parcel_full;
	pthread_mutex_unlock(&w->mutex);
	return ok;
}

static int add_rows(struct parcel *c, const struct tracker_segment *s)
{
	if (c->n_rows + s->n_runs > c->cap_rows) {
		size_t cap = (c->n_rows + s->n_runs) * 2;
		struct witness_row *more = realloc(c->row, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		c->row = more;
		c->cap_rows = cap;
	}
	if (c->n_damages + s->n_damages > c->cap_damages) {
		size_t cap = (c->n_damages + s->n_damages) * 2;
		struct witness_damage *more = realloc(c->damage, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		c->damage = more;
		c->cap_damages = cap;
	}
	for (size_t i = 0; i < s->n_runs; i++) {
		const struct tracker_run *t = &s->run[i];

		c->row[c->n_rows++] = (struct witness_row){s->partition, t->ident.producer_id,
			t->ident.epoch, t->ident.nonce, t->ident.lane, t->attempt, t->lo, t->hi,
			t->first_offset, t->last_offset};
	}
	for (size_t i = 0; i < s->n_damages; i++) {
		const struct tracker_damage *t = &s->damage[i];

		c->damage[c->n_damages++] = (struct witness_damage){s->partition, t->named,
			t->ident.producer_id, t->ident.epoch, t->ident.nonce, t->ident.lane, t->seq,
			t->offset, t->what};
	}
	return 0;
}

static int pack_partition(struct witness *w, int32_t partition, struct err *e)
{
	struct place *p = &w->place[partition];
	struct parcel *c = &w->parcel;
	struct witness_advance *a = &c->advance[c->n_advances];
	struct tracker_segment s;
	int r;

	r = tracker_take(w->tracker, partition, p->next_offset, &s);
	if (r == 0)
		r = add_rows(c, &s);
	*a = (struct witness_advance){
		.partition = partition,
		.generation = p->generation,
		.next_offset = p->next_offset,
		.log_start = p->log_start,
		.log_end = p->end_offset,
		.segment = {.segment = p->segment + 1,
			.generation = p->generation,
			.first_offset = s.first_offset,
			.end_offset = p->next_offset,
			.anchor = s.records ? p->last : (struct witness_anchor){-1, 0},
			.records = (int64_t)s.records,
			.ours = (int64_t)s.ours,
			.foreigners = (int64_t)s.foreigners,
			.fences = (int64_t)s.fences,
			.corrupted = (int64_t)s.corrupted},
	};
	tracker_segment_release(&s);
	if (r == 0)
		r = ladder_push(&p->ladder, &a->segment, false);
	if (r)
		return err_set(e, r, "out of memory for evidence");
	c->n_advances++;
	p->segment++;
	p->taken_offset = p->next_offset;
	return 0;
}

static struct witness_checker describe(
	const struct witness *w, const struct hist *latency, bool ended)
{
	return (struct witness_checker){
		.host = w->host,
		.pid = (int)getpid(),
		.read = w->n_read,
		.read_ns = w->last_read_ns - w->first_read_ns,
		.latency = latency,
		.ended = ended,
	};
}

static void pack_sample(struct witness *w)
{
	struct witness_sample *m = &w->parcel.sample;
	int64_t now = clock_ns();

	if (now < w->next_sample_ns)
		return;
	*m = (struct witness_sample){
		.wall_ns = clock_wall_ns(),
		.seconds = (double)(now - w->last_sample_ns) / 1e9,
		.read = w->n_read - w->read_before,
		.max_ns = -1,
		.source = w->plan.source,
	};
	if (w->recent.n) {
		m->p50_ns = hist_percentile(&w->recent, 0.5);
		m->p99_ns = hist_percentile(&w->recent, 0.99);
		m->max_ns = w->recent.max_ns;
	}
	hist_merge(&w->total, &w->recent);
	hist_clear(&w->recent);
	w->parcel.latency = w->total;
	w->parcel.checker = describe(w, &w->parcel.latency, false);
	w->read_before = w->n_read;
	w->last_sample_ns = now;
	w->next_sample_ns = now + SAMPLE_NS;
	w->parcel.has_sample = true;
}

/* Hand everything read so far to the writer; it must be idle. */
static int hand_over(struct witness *w, struct err *e)
{
	struct parcel *c = &w->parcel;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->plan.n_partitions; i++) {
		struct place *p = &w->place[i];

		if (!p->used || p->next_offset == p->taken_offset)
			continue;
		c->n_folds += ladder_fold(&p->ladder, (int32_t)i, c->fold + c->n_folds,
			LADDER_MAX_FOLDS - c->n_folds);
		r = pack_partition(w, (int32_t)i, e);
	}
	w->next_commit_ns = clock_ns() + COMMIT_NS;
	if (r || c->n_advances == 0) {
		c->n_folds = 0;
		return r;
	}
	recorder_swap(&w->recorder, &c->recorded);
	pack_sample(w);
	pthread_mutex_lock(&w->mutex);
	w->parcel_full = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	return 0;
}

/* ---- generations ----------------------------------------------------------------------------- */

static int restart(struct witness *w, int32_t partition, struct err *e)
{
	struct place *p = &w->place[partition];

	p->started = true;
	return w->plan.ops->reader_start(w->reader, partition, p->next_offset, e);
}

/* A fence that was read and cut away is to be read again, if it is there at all. Under the mutex. */
static void forget_fences(struct witness *w, int32_t partition, int64_t from)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_fences; i++)
		if (w->fence[i].partition != partition || w->fence[i].offset < from)
			w->fence[n++] = w->fence[i];
	w->n_fences = n;
}

static int new_generation(struct witness *w, int32_t partition, int64_t from_offset,
	int64_t to_offset, int64_t next_offset, const char *cause, const char *why, struct err *e)
{
	struct place *p = &w->place[partition];
	struct witness_generation g = {
		.partition = partition,
		.generation = p->generation + 1,
		.from_offset = from_offset,
		.to_offset = to_offset,
		.next_offset = next_offset,
		.segment = p->segment,
		.cause = cause,
		.why = why,
	};
	char subject[40];
	int r = witnessed_begin_generation(w->ledger, &w->plan.key, w->owner, &g, e);

	if (r)
		return r;
	p->generation++;
	p->n_doubts = 0;
	p->next_offset = p->taken_offset = next_offset;
	pthread_mutex_lock(&w->mutex);
	p->committed = next_offset;
	/* a sweep reads again what was there; what a cut took may be gone */
	if (strcmp(cause, "cut") == 0)
		forget_fences(w, partition, next_offset);
	pthread_mutex_unlock(&w->mutex);
	snprintf(subject, sizeof(subject), "%s partition %d", run_side_text(w->plan.key.side),
		partition);
	r = run_event(w->ledger, w->plan.key.run_id, NULL, clock_wall_ns(), 0, w->plan.source,
		cause, subject, why, NULL, e);
	if (r == 0)
		r = load_partition(w, partition, e);
	p->next_offset = p->taken_offset = next_offset;
	return r ? r : restart(w, partition, e);
}

/* Everything read of this partition so far is in the ledger after this. */
static int settle(struct witness *w, struct err *e)
{
	int r;

	if (!wait_idle(w))
		return err_set(e, ERR_STOPPED, "stopped");
	r = hand_over(w, e);
	if (r == 0 && !wait_idle(w))
		r = err_set(e, ERR_STOPPED, "stopped");
	return r;
}

/* What a position holds tells something about the log only if it is the same each time. */
static bool is_anchor(const struct place *p, const struct witness_anchor *a)
{
	for (size_t i = 0; i < p->n_inconsistent; i++)
		if (p->inconsistent[i] == a->offset)
			return false;
	return a->offset >= 0;
}

/* A position holds another record than it did: was the log cut, or does it hold now this, now that? */
static int note_inconsistent(
	struct witness *w, int32_t partition, int64_t offset, int64_t deadline_ns, struct err *e)
{
	struct place *p = &w->place[partition];
	char subject[40], detail[100];
	bool yes = false;
	int r = 0;

	if (p->n_inconsistent < MAX_INCONSISTENT)
		r = anchor_is_inconsistent(
			w->looker, partition, offset, deadline_ns - clock_ns(), &yes, e);
	if (r || !yes)
		return r;
	r = settle(w, e);
	if (r == 0)
		r = witnessed_inconsistent(w->ledger, &w->plan.key, partition, w->owner, offset, e);
	snprintf(subject, sizeof(subject), "%s partition %d", run_side_text(w->plan.key.side),
		partition);
	snprintf(
		detail, sizeof(detail), "offset %lld: read twice, two contents", (long long)offset);
	if (r == 0)
		r = run_event(w->ledger, w->plan.key.run_id, NULL, clock_wall_ns(), 0,
			w->plan.source, "inconsistent", subject, detail, NULL, e);
	return r ? r : load_inconsistent(w, partition, e);
}

/* The log was cut at or below `differs`: go back to the newest anchor below that still matches. */
static int go_back(
	struct witness *w, int32_t partition, int64_t differs, int64_t deadline_ns, struct err *e)
{
	struct place *p = &w->place[partition];
	int64_t next = w->plan.start[partition], keep = -1, low, high;
	char why[200];
	bool same = false;
	int r = settle(w, e);

	for (size_t i = p->ladder.n; r == 0 && i > 0; i--) {
		const struct witness_segment *s = &p->ladder.segment[i - 1];

		if (!is_anchor(p, &s->anchor) || s->anchor.offset >= differs)
			continue;
		r = anchor_matches(
			w->looker, partition, &s->anchor, deadline_ns - clock_ns(), &same, e);
		if (r == 0 && same) {
			next = keep = s->end_offset;
			break;
		}
	}
	if (r == 0 && !same && is_anchor(p, &p->start_anchor)) {
		r = anchor_matches(
			w->looker, partition, &p->start_anchor, deadline_ns - clock_ns(), &same, e);
		if (r == 0 && !same)
			next = 0;
	}
	if (r == 0)
		r = w->plan.ops->reader_bounds(w->reader, partition, &low, &high, e);
	if (r)
		return r;
	if (next < low)
		next = low;
	snprintf(why, sizeof(why), "the log was cut: read to offset %lld, matches up to %lld only",
		(long long)p->next_offset, (long long)next);
	r = new_generation(w, partition, keep, INT64_MAX, next, "cut", why, e);
	if (r == 0) {
		pthread_mutex_lock(&w->mutex);
		w->state.cuts++;
		pthread_mutex_unlock(&w->mutex);
	}
	return r;
}

/* The newest anchor that stands in the log still, by offset: what retention removed proves nothing. */
static const struct witness_anchor *newest_anchor(const struct place *p)
{
	if (is_anchor(p, &p->last))
		return &p->last;
	for (size_t i = p->ladder.n; i > 0; i--)
		if (is_anchor(p, &p->ladder.segment[i - 1].anchor))
			return &p->ladder.segment[i - 1].anchor;
	return is_anchor(p, &p->start_anchor) ? &p->start_anchor : NULL;
}

/* Look at one anchor; *differs becomes its offset when another record stands there and it is lower. */
static int look_at(struct witness *w, int32_t partition, const struct witness_anchor *a,
	int64_t deadline_ns, int64_t *differs, struct err *e)
{
	bool same = true;
	int r = 0;

	if (is_anchor(&w->place[partition], a))
		r = anchor_matches(w->looker, partition, a, deadline_ns - clock_ns(), &same, e);
	if (r == 0 && !same && (*differs < 0 || a->offset < *differs))
		*differs = a->offset;
	return r;
}

/*
 * Was the log of a partition cut? *ret_differs: the lowest offset looked at where another record stands
 * now, or -1. Looks at the newest anchor, which a cut takes away unless the log has grown beyond it since;
 * then what was read last before that tells, and when suspicious all such records are looked at, and a few
 * older anchors.
 */
static int look(struct witness *w, int32_t partition, int64_t deadline_ns, int64_t *ret_differs,
	struct err *e)
{
	struct place *p = &w->place[partition];
	const struct witness_anchor *a = newest_anchor(p);
	size_t doubts = p->suspicious ? p->n_doubts : p->n_doubts > 0;
	size_t step = p->ladder.n / OLDER_LOOKS + 1;
	int r = 0;

	*ret_differs = -1;
	if (a)
		r = look_at(w, partition, a, deadline_ns, ret_differs, e);
	for (size_t i = 0; r == 0 && i < doubts; i++)
		r = look_at(
			w, partition, &p->doubt[p->n_doubts - 1 - i], deadline_ns, ret_differs, e);
	for (size_t i = p->ladder.n; r == 0 && *ret_differs < 0 && p->suspicious && i > 0;
		i = i > step ? i - step : 0)
		r = look_at(w, partition, &p->ladder.segment[i - 1].anchor, deadline_ns,
			ret_differs, e);
	return r;
}

static int verify_partition(
	struct witness *w, int32_t partition, int64_t deadline_ns, uint64_t *cuts, struct err *e)
{
	struct place *p = &w->place[partition];
	int64_t differs;
	int r = look(w, partition, deadline_ns, &differs, e);

	if (r == 0 && differs >= 0) {
		(*cuts)++;
		r = note_inconsistent(w, partition, differs, deadline_ns, e);
		if (r == 0)
			r = go_back(w, partition, differs, deadline_ns, e);
	}
	if (r == 0) {
		p->suspicious = false;
		p->n_doubts = 0;
	}
	return r;
}

static int verify_all(struct witness *w, int64_t deadline_ns, uint64_t *cuts, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->plan.n_partitions; i++)
		if (w->place[i].used)
			r = verify_partition(w, (int32_t)i, deadline_ns, cuts, e);
	return r;
}

/* ---- records --------------------------------------------------------------------------------- */

/* One record into the tracker, and onto record if that is asked for. */
static int track(struct witness *w, const struct broker_message *m, int64_t wall_ns,
	enum tracker_kind *ret_kind, struct envelope *ret_env)
{
	int r;

	if (__builtin_expect(!m->beside, 1))
		r = tracker_record(
			w->tracker, m->partition, m->offset, m->payload, m->len, ret_kind, ret_env);
	else
		r = tracker_record_beside(w->tracker, m->partition, m->offset, m->beside,
			m->beside_len, m->payload, m->len, ret_kind, ret_env);

	if (r == 0 && w->plan.record_messages)
		r = recorder_add(&w->recorder, m, *ret_kind, ret_env,
			w->place[m->partition].generation, wall_ns);
	return r;
}

/* ---- sweeps ---------------------------------------------------------------------------------- */

/* Read from..to again and write it as segments of the generation that was just begun. */
static int read_again(
	struct witness *w, int32_t partition, int64_t to, int64_t deadline_ns, struct err *e)
{
	struct place *p = &w->place[partition];
	int r = 0;

	while (r == 0 && p->next_offset < to) {
		size_t n = w->plan.ops->reader_read(w->reader, w->batch, BATCH, READ_MS);
		int64_t wall_ns = clock_wall_ns();

		for (size_t i = 0; r == 0 && i < n; i++) {
			struct broker_message *m = &w->batch[i];
			enum tracker_kind kind;
			struct envelope env;

			if (m->partition != partition)
				continue;
			if (m->item == BROKER_MESSAGE && m->offset >= p->next_offset &&
				m->offset < to) {
				r = track(w, m, wall_ns, &kind, &env);
				p->next_offset = m->offset + 1;
				p->last = anchor_of(m);
			} else if (m->item == BROKER_END ||
				   (m->item == BROKER_MESSAGE && m->offset >= to)) {
				p->next_offset = to;
			} else if (m->item == BROKER_OUT_OF_RANGE) {
				int64_t low, high;

				r = w->plan.ops->reader_bounds(
					w->reader, partition, &low, &high, e);
				if (r == 0 && low > p->next_offset)
					p->next_offset = low < to ? low : to;
				if (r == 0 && p->next_offset < to)
					r = restart(w, partition, e);
			}
			if (r && e->code != r)
				err_set(e, r, "cannot hold what is read: %s", err_code_text(r));
		}
		w->plan.ops->reader_release(w->reader, w->batch, n);
		if (r == 0 && recorder_is_full(&w->recorder))
			r = settle(w, e);
		if (r == 0 && clock_ns() >= deadline_ns)
			r = err_set(e, ERR_TIMEOUT, "reading partition %d again took too long",
				partition);
	}
	return r;
}

/* Read what is missing up to `to`, and go on at `resume`, where the first reading stood. */
static int end_sweep(struct witness *w, int32_t partition, int64_t to, int64_t resume,
	int64_t deadline_ns, struct err *e)
{
	struct place *p = &w->place[partition];
	int r = read_again(w, partition, to, deadline_ns, e);

	if (r == 0)
		r = settle(w, e);
	if (r == 0)
		r = witnessed_move(w->ledger, &w->plan.key, partition, w->owner, resume, e);
	if (r == 0)
		r = load_partition(w, partition, e);
	if (r)
		return r;
	/* fences above were not read again, and need not be */
	p->next_offset = p->taken_offset = resume;
	pthread_mutex_lock(&w->mutex);
	p->committed = resume;
	pthread_mutex_unlock(&w->mutex);
	p->suspicious = false;
	return restart(w, partition, e);
}

/*
 * Sweep a partition: segments that reach below the log's start (or all) become history, and what is left
 * of them is read again. Segments above stay as they are.
 */
static int sweep_partition(
	struct witness *w, int32_t partition, bool all, int64_t deadline_ns, struct err *e)
{
	struct place *p = &w->place[partition];
	int64_t low, high, to = -1, resume = p->next_offset;
	char why[160];
	int r = w->plan.ops->reader_bounds(w->reader, partition, &low, &high, e);

	if (r)
		return r;
	p->log_start = low;
	for (size_t i = 0; i < p->ladder.n; i++) {
		const struct witness_segment *s = &p->ladder.segment[i];

		if (!all && s->first_offset >= low)
			break;
		to = s->end_offset;
	}
	if (to < 0)
		return 0;
	snprintf(why, sizeof(why),
		all ? "everything read again; the log begins at %lld"
		    : "the log begins at %lld now: what stood there was read again",
		(long long)low);
	resume = p->next_offset;
	r = new_generation(w, partition, -1, to, low < to ? low : to, "sweep", why, e);
	return r ? r : end_sweep(w, partition, to, resume, deadline_ns, e);
}

/*
 * A checker may have died within a sweep: its position stands below segments that count. What is missing
 * between is read first, or all above would be read, and counted, a second time.
 */
static int end_old_sweeps(struct witness *w, struct err *e)
{
	int64_t deadline_ns = clock_ns() + OLD_SWEEP_NS;
	bool any = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->plan.n_partitions; i++) {
		const struct place *p = &w->place[i];
		int64_t to = -1, resume = p->next_offset;

		for (size_t k = 0; k < p->ladder.n; k++) {
			const struct witness_segment *s = &p->ladder.segment[k];

			if (to < 0 && s->first_offset >= p->next_offset)
				to = s->first_offset;
			if (s->end_offset > resume)
				resume = s->end_offset;
		}
		if (!p->used || to < 0)
			continue;
		any = true;
		r = end_sweep(w, (int32_t)i, to, resume, deadline_ns, e);
	}
	/* what came of other partitions meanwhile was not taken in */
	for (size_t i = 0; r == 0 && any && i < w->plan.n_partitions; i++)
		if (w->place[i].used)
			r = restart(w, (int32_t)i, e);
	return r;
}

static int sweep(struct witness *w, bool all, int64_t deadline_ns, struct err *e)
{
	int r = settle(w, e);

	for (size_t i = 0; r == 0 && i < w->plan.n_partitions; i++)
		if (w->place[i].used)
			r = sweep_partition(w, (int32_t)i, all, deadline_ns, e);
	return r;
}

static int log_starts(struct witness *w, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->plan.n_partitions; i++) {
		if (!w->place[i].used)
			continue;
		r = anchor_log_start(w->looker, (int32_t)i, &w->place[i].log_start, e);
		w->request_starts[i] = w->place[i].log_start;
	}
	return r;
}

/* ---- the reader ------------------------------------------------------------------------------ */

static int note_fence(struct witness *w, const struct broker_message *m, const struct envelope *env)
{
	int r = 0;

	pthread_mutex_lock(&w->mutex);
	if (w->n_fences == w->cap_fences) {
		size_t cap = w->cap_fences ? w->cap_fences * 2 : 64;
		struct witness_fence *more =
			cap > MAX_FENCES ? NULL : realloc(w->fence, cap * sizeof(*more));

		if (more) {
			w->fence = more;
			w->cap_fences = cap;
		} else {
			r = ERR_NOMEM;
		}
	}
	if (r == 0)
		w->fence[w->n_fences++] = (struct witness_fence){
			m->partition, env->partition, env->epoch, env->nonce, env->seq, m->offset};
	pthread_mutex_unlock(&w->mutex);
	return r;
}

/* What comes now may stand in another log than what was read before. Of many doubts the first count. */
static void doubt(struct place *p, bool surely)
{
	const struct witness_anchor *newest = newest_anchor(p);
	struct witness_anchor a = {-1, 0};

	if (p->last_in_batch)
		a = anchor_of(p->last_in_batch);
	else if (newest)
		a = *newest;
	if (a.offset < 0 || (p->n_doubts == MAX_DOUBTS && !surely))
		return;
	if (p->n_doubts == MAX_DOUBTS)
		p->n_doubts--;
	p->doubt[p->n_doubts++] = a;
}

/* Was this record read from where the one before it was, and does it follow on it? */
static void heed_breaks(struct place *p, const struct broker_message *m, enum tracker_kind kind)
{
	bool moved = m->node != p->node && p->node != BROKER_NO_NODE;

	if (moved || kind == TRACKED_GAP || kind == TRACKED_LATE || kind == TRACKED_REPEAT)
		doubt(p, moved);
	p->suspicious |= moved;
	p->node = m->node;
	p->last_in_batch = m;
}

static void set_put_back(struct witness *w)
{
	pthread_mutex_lock(&w->mutex);
	w->state.put_back = true;
	pthread_mutex_unlock(&w->mutex);
}

static int take_message(struct witness *w, const struct broker_message *m, int64_t wall_ns)
{
	struct place *p = &w->place[m->partition];
	enum tracker_kind kind;
	struct envelope env;
	int r;

	if (m->offset < p->next_offset)
		return 0;
	r = track(w, m, wall_ns, &kind, &env);
	if (r)
		return r;
	p->next_offset = m->offset + 1;
	w->n_read++;
	if (!w->plan.queue)
		heed_breaks(p, m, kind);
	else if (m->redelivered)
		set_put_back(w);
	if (kind == TRACKED_FENCE) {
		w->n_fences_read++;
		return note_fence(w, m, &env);
	}
	if (kind <= TRACKED_REPEAT)
		hist_add(&w->recent, wall_ns - env.send_wall_ns, 1);
	return 0;
}

static void set_gone(struct witness *w)
{
	pthread_mutex_lock(&w->mutex);
	w->state.gone = true;
	pthread_mutex_unlock(&w->mutex);
}

static void take_other(struct witness *w, const struct broker_message *m)
{
	struct place *p = &w->place[m->partition];

	switch (m->item) {
	case BROKER_END:
		p->end_offset = m->offset;
		if (m->offset < p->next_offset)
			p->suspicious = true;
		else
			p->next_offset = m->offset;
		break;
	case BROKER_OUT_OF_RANGE:
		p->suspicious = true;
		p->started = false;
		break;
	case BROKER_READ_ERROR:
		pthread_mutex_lock(&w->mutex);
		w->state.broker_away = true;
		snprintf(w->state.trouble, sizeof(w->state.trouble), "partition %d: %s",
			m->partition, m->text);
		pthread_mutex_unlock(&w->mutex);
		if (m->gone && w->plan.queue) {
			set_gone(w);
		} else if (m->fatal) {
			struct err e;

			err_set(&e, ERR_DENIED, "cannot read partition %d: %s", m->partition,
				m->text);
			fail(w, &e);
		}
		break;
	case BROKER_MESSAGE:
		break;
	}
}

/* The last record of each partition in a batch becomes its newest anchor. */
static void note_last(struct witness *w, size_t n)
{
	int32_t done = -1;

	for (size_t i = n; i > 0; i--) {
		const struct broker_message *m = &w->batch[i - 1];

		if (m->item != BROKER_MESSAGE || m->partition < 0 ||
			(size_t)m->partition >= w->plan.n_partitions)
			continue;
		w->place[m->partition].last_in_batch = NULL;
		if (m->partition == done)
			continue;
		done = m->partition;
		if (m->offset > w->place[done].last.offset)
			w->place[done].last = anchor_of(m);
	}
}

static int read_some(struct witness *w, struct err *e)
{
	size_t n = w->plan.ops->reader_read(w->reader, w->batch, BATCH, READ_MS);
	int64_t wall_ns = n ? clock_wall_ns() : 0;
	uint64_t fences = w->n_fences_read, before = w->n_read;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct broker_message *m = &w->batch[i];

		if (m->partition < 0 || (size_t)m->partition >= w->plan.n_partitions ||
			!w->place[m->partition].used)
			continue;
		if (m->item == BROKER_MESSAGE) {
			r = take_message(w, m, wall_ns);
		} else {
			take_other(w, m);
		}
	}
	note_last(w, n);
	if (w->n_read - before > w->n_fences_read - fences)
		w->last_read_ns = clock_ns();
	if (!w->first_read_ns)
		w->first_read_ns = w->last_read_ns;
	w->plan.ops->reader_release(w->reader, w->batch, n);
	if (n && w->state.broker_away && !r) {
		pthread_mutex_lock(&w->mutex);
		w->state.broker_away = false;
		pthread_mutex_unlock(&w->mutex);
	}
	return r ? err_set(e, r, "cannot hold what is read: %s", err_code_text(r)) : 0;
}

static void say_broker_away(struct witness *w, const struct err *e)
{
	pthread_mutex_lock(&w->mutex);
	w->state.broker_away = true;
	snprintf(w->state.trouble, sizeof(w->state.trouble), "%.200s", e->msg);
	pthread_mutex_unlock(&w->mutex);
}

static bool is_broker_trouble(int code)
{
	return code == ERR_BROKER_AWAY || code == ERR_TIMEOUT || code == ERR_BROKER;
}

/*
 * Of a queue: what is in the ledger may be taken off it. What cannot be settled now, with the connection gone,
 * is given again.
 */
static int settle_recorded(struct witness *w, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->plan.n_partitions; i++) {
		struct place *p = &w->place[i];
		int64_t committed = witness_committed(w, (int32_t)i);

		if (committed <= p->settled)
			continue;
		r = w->plan.ops->reader_settle(w->reader, (int32_t)i, committed, e);
		p->settled = committed;
	}
	if (!is_broker_trouble(r))
		return r;
	say_broker_away(w, e);
	return 0;
}

/* A position that does not exist: behind the end (cut), or in front of the log's start (retention). */
static int find_way(struct witness *w, int32_t partition, struct err *e)
{
	struct place *p = &w->place[partition];
	int64_t low, high;
	int r = w->plan.ops->reader_bounds(w->reader, partition, &low, &high, e);

	if (r)
		return r;
	p->log_start = low;
	p->end_offset = high;
	if (p->next_offset < low)
		p->next_offset = low;
	if (p->next_offset > high)
		return 0; /* verify decides */
	return restart(w, partition, e);
}

/* Look after hints. Trouble with the broker is no failure here: it is tried again. */
static int heed_hints(struct witness *w, struct err *e)
{
	int64_t now = clock_ns();
	struct broker_health h;
	uint64_t cuts = 0;
	int r = 0;

	if (w->plan.queue)
		return settle_recorded(w, e);
	w->plan.ops->reader_health(w->reader, &h);
	if (h.changes != w->changes_seen || now >= w->next_verify_ns) {
		for (size_t i = 0; i < w->plan.n_partitions; i++)
			w->place[i].suspicious |= h.changes != w->changes_seen;
		w->changes_seen = h.changes;
		w->next_verify_ns = now + VERIFY_EVERY_NS;
		if (h.snapshots)
			r = verify_all(w, now + LOOK_NS, &cuts, e);
	}
	for (size_t i = 0; r == 0 && i < w->plan.n_partitions; i++) {
		struct place *p = &w->place[i];

		if (!p->used || (p->started && !p->suspicious))
			continue;
		if (p->suspicious)
			r = verify_partition(w, (int32_t)i, now + LOOK_NS, &cuts, e);
		if (r == 0 && !p->started)
			r = find_way(w, (int32_t)i, e);
	}
	if (!is_broker_trouble(r))
		return r;
	say_broker_away(w, e);
	return 0;
}

/* What stands below the present position of a queue is gone, and nothing of it can be read again. */
static int serve_queue(struct witness *w, enum request request, struct err *e)
{
	int r = 0;

	if (request == REQUEST_STARTS)
		memset(w->request_starts, 0, w->plan.n_partitions * sizeof(*w->request_starts));
	if (request == REQUEST_EMPTY)
		r = w->plan.ops->reader_is_empty(w->reader, 0, &w->request_empty, e);
	return r;
}

static int serve_log(struct witness *w, enum request request, uint64_t *ret_cuts, struct err *e)
{
	switch (request) {
	case REQUEST_NONE:
	case REQUEST_EMPTY:
		break;
	case REQUEST_VERIFY:
		for (size_t i = 0; i < w->plan.n_partitions; i++)
			w->place[i].suspicious = w->place[i].used;
		return verify_all(w, w->request_deadline_ns, ret_cuts, e);
	case REQUEST_SWEEP:
	case REQUEST_SWEEP_ALL:
		return sweep(w, request == REQUEST_SWEEP_ALL, w->request_deadline_ns, e);
	case REQUEST_STARTS:
		return log_starts(w, e);
	}
	return 0;
}

static int serve_request(struct witness *w)
{
	enum request request;
	struct err e = {0};
	uint64_t cuts = 0;
	int r = 0;

	pthread_mutex_lock(&w->mutex);
	request = w->request;
	pthread_mutex_unlock(&w->mutex);
	if (request == REQUEST_NONE)
		return 0;
	r = w->plan.queue ? serve_queue(w, request, &e) : serve_log(w, request, &cuts, &e);
	pthread_mutex_lock(&w->mutex);
	w->request = REQUEST_NONE;
	w->request_cuts = cuts;
	w->request_error = e;
	w->request_error.code = r;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	return r == ERR_LOST_OWNERSHIP || r == ERR_NOMEM ? r : 0;
}

/* How many messages of a queue were read and are not settled, or not yet handed to the writer. */
static size_t read_and_not(const struct witness *w, bool settled)
{
	size_t n = 0;

	for (size_t i = 0; i < w->plan.n_partitions; i++) {
		const struct place *p = &w->place[i];

		n += p->used ? (size_t)(p->next_offset - (settled ? p->settled : p->taken_offset))
			     : 0;
	}
	return n;
}

/*
 * A queue gives only so much ahead of what is settled, and that is settled when it is in the ledger: a commit is
 * due before the broker has to wait for one.
 */
static bool commit_is_due(const struct witness *w)
{
	return clock_ns() >= w->next_commit_ns ||
	       (w->plan.queue && read_and_not(w, false) * COMMIT_SHARE >= w->ahead);
}

/* Has the queue given all that it gives ahead? Then only the ledger can bring more. */
static bool queue_waits(const struct witness *w)
{
	return w->plan.queue && read_and_not(w, true) >= w->ahead;
}

static void share_totals(struct witness *w)
{
	struct tracker_totals totals;
	struct broker_health h;
	uint64_t behind = 0;

	w->plan.ops->reader_health(w->reader, &h);
	tracker_totals(w->tracker, &totals);
	for (size_t i = 0; i < w->plan.n_partitions; i++) {
		const struct place *p = &w->place[i];

		if (p->used && p->end_offset > p->next_offset)
			behind += (uint64_t)(p->end_offset - p->next_offset);
	}
	pthread_mutex_lock(&w->mutex);
	w->state.totals = totals;
	w->state.behind = behind;
	w->state.disconnects = h.disconnects;
	pthread_mutex_unlock(&w->mutex);
}

static bool stopping(struct witness *w)
{
	bool stop;

	pthread_mutex_lock(&w->mutex);
	stop = w->stop;
	pthread_mutex_unlock(&w->mutex);
	return stop;
}

static bool ledger_away(struct witness *w)
{
	bool away;

	pthread_mutex_lock(&w->mutex);
	away = w->state.ledger_away;
	pthread_mutex_unlock(&w->mutex);
	return away;
}

static bool failed(struct witness *w)
{
	bool failure;

	pthread_mutex_lock(&w->mutex);
	failure = w->state.failure.code != 0;
	pthread_mutex_unlock(&w->mutex);
	return failure;
}

static void *read_main(void *arg)
{
	struct witness *w = arg;
	struct err e = {0};
	int r = 0;

	pthread_setname_np(pthread_self(), "mq-witness");
	r = end_old_sweeps(w, &e);
	while (r == 0 && !stopping(w)) {
		r = serve_request(w);
		if (r == 0)
			r = heed_hints(w, &e);
		if (r == 0 && commit_is_due(w) && writer_idle(w)) {
			share_totals(w);
			r = hand_over(w, &e);
		}
		if (r)
			break;
		/* the ledger does not follow: wait for it rather than grow without bound */
		if (tracker_pending(w->tracker) > MAX_ROWS || recorder_is_full(&w->recorder) ||
			ledger_away(w) || queue_waits(w)) {
			wait_a_while(w);
			continue;
		}
		r = read_some(w, &e);
	}
	if (r == 0 && !failed(w))
		r = settle(w, &e);
	if (r == 0 && w->plan.queue)
		r = settle_recorded(w, &e);
	share_totals(w);
	if (r && r != ERR_STOPPED)
		fail(w, &e);
	pthread_mutex_lock(&w->mutex);
	w->done = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* ---- from outside ---------------------------------------------------------------------------- */

enum broker_isolation witness_reads(const struct witness_key *key)
{
	return key->isolation == ISOLATION_COMMITTED || key->side == RUN_TARGET
		       ? BROKER_COMMITTED
		       : BROKER_UNCOMMITTED;
}

static int prepare(struct witness *w, struct err *e)
{
	size_t n = w->plan.n_partitions;
	struct broker_config own = *w->plan.broker;
	int r;

	/* reading is faster than writing a row for each: what is ahead would only be memory */
	if (w->plan.record_messages)
		own.read_ahead = READ_AHEAD;
	w->tracker = tracker_new((uint64_t)w->plan.key.run_id);
	if (w->tracker && w->plan.queue)
		tracker_of_queue(w->tracker);
	w->place = calloc(n, sizeof(*w->place));
	w->parcel.advance = calloc(n, sizeof(*w->parcel.advance));
	if (!w->tracker || !w->place || !w->parcel.advance)
		return err_set(e, ERR_NOMEM, "out of memory");
	w->message_writer = w->plan.record_messages ? messages_new() : NULL;
	if (w->plan.record_messages && !w->message_writer)
		return err_set(e, ERR_NOMEM, "out of memory");
	r = ledger_open(w->plan.ledger_url, &w->ledger, e);
	if (r == 0 && w->message_writer)
		r = messages_prepare(w->ledger, w->plan.key.run_id, e);
	if (r == 0)
		r = w->plan.ops->reader_open(
			&own, witness_reads(&w->plan.key), false, &w->reader, e);
	if (r == 0 && w->plan.queue)
		w->ahead = w->plan.ops->reader_ahead(w->reader);
	if (r == 0 && !w->plan.queue)
		r = anchor_reader_open(w->plan.ops, w->plan.broker, &w->looker, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (w->plan.start[i] >= 0)
			r = claim(w, (int32_t)i, e);
	w->state.gone = w->plan.gone;
	for (size_t i = 0; r == 0 && i < n && !w->plan.gone; i++)
		if (w->place[i].used)
			r = restart(w, (int32_t)i, e);
	return r;
}

int witness_start(const struct witness_plan *plan, struct witness **ret, struct err *e)
{
	struct witness *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_set(e, ERR_NOMEM, "out of memory");
	w->plan = *plan;
	w->owner = (int64_t)(rng_system() >> 1);
	gethostname(w->host, sizeof(w->host) - 1);
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->changed, NULL);
	w->last_sample_ns = clock_ns();
	w->next_sample_ns = w->last_sample_ns + SAMPLE_NS;
	w->next_verify_ns = w->last_sample_ns + VERIFY_EVERY_NS;
	r = prepare(w, e);
	if (r == 0) {
		r = pthread_create(&w->write_thread, NULL, write_main, w);
		w->write_started = r == 0;
		if (r == 0)
			r = pthread_create(&w->read_thread, NULL, read_main, w);
		w->read_started = w->write_started && r == 0;
		if (r)
			r = err_set_errno(e, ERR_IO, r, "cannot start a thread");
	}
	if (r) {
		witness_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void witness_state(struct witness *w, struct witness_state *ret)
{
	pthread_mutex_lock(&w->mutex);
	*ret = w->state;
	pthread_mutex_unlock(&w->mutex);
}

bool witness_has_fence(struct witness *w, uint32_t judgement, uint64_t number,
	uint32_t of_partition, struct witness_fence *ret)
{
	bool found = false;

	pthread_mutex_lock(&w->mutex);
	for (size_t i = 0; i < w->n_fences && !found; i++) {
		const struct witness_fence *f = &w->fence[i];

		if (f->judgement != judgement || f->number != number ||
			f->of_partition != of_partition ||
			w->place[f->partition].committed <= f->offset)
			continue;
		*ret = *f;
		found = true;
	}
	pthread_mutex_unlock(&w->mutex);
	return found;
}

int64_t witness_committed(struct witness *w, int32_t partition)
{
	int64_t at;

	pthread_mutex_lock(&w->mutex);
	at = w->place[partition].used ? w->place[partition].committed : -1;
	pthread_mutex_unlock(&w->mutex);
	return at;
}

/* Put a request to the reading thread and wait for it. */
static int ask(struct witness *w, enum request request, int64_t timeout_ns, uint64_t *ret_cuts,
	struct err *e)
{
	int r;

	pthread_mutex_lock(&w->mutex);
	w->request = request;
	w->request_deadline_ns = clock_ns() + timeout_ns;
	while (w->request != REQUEST_NONE && !w->done)
		pthread_cond_wait(&w->changed, &w->mutex);
	if (w->request != REQUEST_NONE) {
		*e = w->state.failure;
		r = e->code ? e->code : err_set(e, ERR_STOPPED, "the witness has stopped");
	} else {
		r = w->request_error.code;
		*e = w->request_error;
	}
	if (ret_cuts)
		*ret_cuts = w->request_cuts;
	pthread_mutex_unlock(&w->mutex);
	return r;
}

int witness_verify(struct witness *w, int64_t timeout_ns, uint64_t *ret_cuts, struct err *e)
{
	return ask(w, REQUEST_VERIFY, timeout_ns, ret_cuts, e);
}

int witness_sweep(struct witness *w, bool all, int64_t timeout_ns, struct err *e)
{
	return ask(w, all ? REQUEST_SWEEP_ALL : REQUEST_SWEEP, timeout_ns, NULL, e);
}

int witness_log_starts(struct witness *w, int64_t *ret_starts, struct err *e)
{
	w->request_starts = ret_starts;
	return ask(w, REQUEST_STARTS, LOOK_NS, NULL, e);
}

int witness_is_empty(struct witness *w, int64_t timeout_ns, bool *ret_empty, struct err *e)
{
	int r = ask(w, REQUEST_EMPTY, timeout_ns, NULL, e);

	*ret_empty = r == 0 && w->request_empty;
	return r;
}

int witness_owns(struct witness *w, struct ledger *l, struct err *e)
{
	int64_t segment;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->plan.n_partitions; i++)
		if (w->place[i].used)
			r = witnessed_segment(l, &w->plan.key, (int32_t)i, w->owner, &segment, e);
	return r;
}

/*
 * The last word of this checker on itself: no more than an account, so that nobody waits for it. Whoever
 * was superseded has none: what it read and could not write is in its successor's account.
 */
static void say_ended(struct witness *w)
{
	struct witness_checker c;
	struct err ignored;

	if (w->state.failure.code == ERR_LOST_OWNERSHIP)
		return;
	hist_merge(&w->total, &w->recent);
	hist_clear(&w->recent);
	c = describe(w, &w->total, true);
	if (pg_is_open(ledger_pg(w->ledger)))
		err_ignore(witnessed_checker(w->ledger, &w->plan.key, w->owner, &c, &ignored));
}

int witness_stop(struct witness *w, struct err *e)
{
	pthread_mutex_lock(&w->mutex);
	w->stop = true;
	pthread_mutex_unlock(&w->mutex);
	if (w->read_started)
		pthread_join(w->read_thread, NULL);
	w->read_started = false;
	pthread_mutex_lock(&w->mutex);
	w->write_stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	if (w->write_started) {
		pthread_join(w->write_thread, NULL);
		say_ended(w);
	}
	w->write_started = false;
	if (w->state.failure.code)
		*e = w->state.failure;
	return w->state.failure.code;
}

struct tracker *witness_tracker(struct witness *w)
{
	return w->tracker;
}

void witness_free(struct witness *w)
{
	struct err ignored;

	if (!w)
		return;
	err_ignore(witness_stop(w, &ignored));
	anchor_reader_close(w->looker);
	if (w->reader)
		w->plan.ops->reader_close(w->reader);
	ledger_close(w->ledger);
	tracker_free(w->tracker);
	for (size_t i = 0; w->place && i < w->plan.n_partitions; i++) {
		ladder_clear(&w->place[i].ladder);
		free(w->place[i].inconsistent);
	}
	free(w->place);
	free(w->parcel.advance);
	free(w->parcel.row);
	free(w->parcel.damage);
	recorder_release(&w->parcel.recorded);
	recorder_release(&w->recorder);
	messages_free(w->message_writer);
	free(w->fence);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}
