#include "probe/producer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/envelope.h"
#include "core/rng.h"

#define BATCH 500 /* messages to one partition in one call: measured, see the bench */
#define POLL_MAX 4096
#define POLL_MS 20
#define SLOT_BYTES ((size_t)48 << 20)
#define MIN_SLOTS ((size_t)1024)
#define MAX_SLOTS ((size_t)131072)
#define MAX_GAPS 64
#define MAX_NODES 64
#define HEALTH_EVERY_NS (250 * NS_PER_MS)
#define LAST_HEALTH_NS NS_PER_S
#define GAP_EVENT_NS NS_PER_S
#define KEY_LEN 48
/* What is refused again and again is given up some time: after half a minute. */
#define MAX_ATTEMPTS 16
#define AGAIN_MIN_NS (100 * NS_PER_MS)
#define AGAIN_MAX_NS (2 * NS_PER_S)

/* One message on its way: what must stay until its outcome came. */
struct slot {
	uint64_t seq;
	uint32_t lane;
	int64_t due_ns;      /* when it should have been sent, for the latency */
	int64_t acked_floor; /* the highest offset acked in its partition when it was handed over */
	uint16_t attempt;
	int64_t again_ns; /* while it waits for another attempt: not before */
};

struct refusal {
	uint32_t slot;
	int32_t code;
};

struct pending {
	uint32_t lane;
	uint16_t attempt;
	uint64_t seq;
	enum outcome outcome;
	int64_t offset;
	int32_t node;
	int32_t code;
};

enum txn_state { TXN_IDLE, TXN_OPEN, TXN_COMMITTED, TXN_ABORTED, TXN_UNKNOWN };

struct producer {
	struct producer_plan plan;
	struct producer_share share;
	struct journal *journal;
	struct broker_producer *client;
	pthread_t sender, poller;
	bool started, joined;

	/* slots: the poller gives back, the sender takes; a ring of indices */
	size_t n_slots;
	size_t stride;
	struct slot *slot;
	uint8_t *payload;
	uint64_t payload_hash;
	uint32_t *free_ring;
	size_t ring_mask;
	_Atomic uint64_t free_head; /* given back by the poller */
	uint64_t free_tail;         /* taken by the sender */

	/* the sender's */
	uint64_t sent;   /* of the share */
	uint64_t handed; /* for --crash-at send */
	size_t next_lane;
	uint64_t *next_seq;
	uint64_t n_transactions;
	struct broker_send batch[BATCH];
	uint32_t batch_slot[BATCH];
	char (*keys)[KEY_LEN];
	struct broker_send again[BATCH]; /* the same for another attempt */
	uint32_t again_slot[BATCH];

	/* shared */
	_Atomic bool stop;
	_Atomic bool give_up;
	_Atomic bool failed;
	_Atomic bool sender_done;
	_Atomic bool finished;
	_Atomic uint64_t intended;
	_Atomic uint64_t outcomes; /* all kinds together */
	_Atomic uint64_t settle_asked, settle_done;
	_Atomic int64_t *acked_top; /* by lane: the highest acked offset */
	_Atomic int txn;            /* enum txn_state */
	_Atomic uint64_t answered;  /* outcomes of the open transaction that are in */

	pthread_mutex_t mutex;
	pthread_cond_t more; /* slots or room came back; a transaction's outcomes are in */
	_Atomic bool sender_waits;
	struct producer_counts counts; /* under mutex */
	struct hist latency, recent;   /* under mutex */
	struct producer_gap gap[MAX_GAPS];
	size_t n_gaps;
	struct broker_health health;
	struct broker_node node[MAX_NODES];
	size_t n_nodes;
	struct refusal *refusal;
	size_t n_refusals, cap_refusals;
	uint32_t *
		again_ring; /* slots that wait for another attempt: the poller adds, the sender takes */
	uint64_t again_head, again_tail;
	bool again_in_hand; /* the sender has some of them */
	struct err failure; /* what ended the sending early */

	/* the poller's */
	int64_t last_answer_ns;
	struct pending *pending; /* outcomes of the open transaction */
	size_t n_pending;
	struct broker_outcome *polled;
};

/* ---- making ---------------------------------------------------------------------------------- */

static size_t choose_slots(struct producer *p)
{
	size_t by_memory = SLOT_BYTES / p->stride;
	size_t n = p->plan.ops->producer_capacity(p->client);

	/* with `drop` the queue must be able to run full before the slots do */
	if (p->plan.drop_when_full)
		return n + 2 * BATCH;
	/* a pace has to be kept while a broker is slow: there the window is as wide as can be */
	if (p->share.rate <= 0)
		n = p->plan.ops->producer_window(p->client, p->plan.size, p->plan.n_partitions);
	if (n > by_memory)
		n = by_memory;
	if (n > MAX_SLOTS)
		n = MAX_SLOTS;
	return n < MIN_SLOTS ? MIN_SLOTS : n;
}

static int make_slots(struct producer *p, struct err *e)
{
	size_t ring = 1;
	struct rng rng;

	p->stride = (p->plan.size + 63) / 64 * 64;
	p->n_slots = choose_slots(p);
	while (ring < p->n_slots)
		ring *= 2;
	p->ring_mask = ring - 1;
	p->slot = calloc(p->n_slots, sizeof(*p->slot));
	p->payload = aligned_alloc(64, p->n_slots * p->stride);
	p->free_ring = calloc(ring, sizeof(*p->free_ring));
	p->again_ring = calloc(ring, sizeof(*p->again_ring));
	p->polled = calloc(POLL_MAX, sizeof(*p->polled));
	p->next_seq = calloc(p->plan.n_partitions, sizeof(*p->next_seq));
	p->acked_top = calloc(p->plan.n_partitions, sizeof(*p->acked_top));
	p->keys = calloc(BATCH, KEY_LEN);
	if (p->plan.transaction)
		p->pending = calloc(p->plan.transaction, sizeof(*p->pending));
	if (!p->slot || !p->payload || !p->free_ring || !p->again_ring || !p->polled ||
		!p->next_seq || !p->acked_top || !p->keys || (p->plan.transaction && !p->pending))
		return err_set(e, ERR_NOMEM, "out of memory for %zu messages of %zu bytes",
			p->n_slots, p->plan.size);
	/* the padding is random (it does not compress) and the same in every slot: its sum is known */
	rng_init(&rng, p->plan.seed);
	rng_fill(&rng, p->payload + ENVELOPE_LEN, p->plan.size - ENVELOPE_LEN);
	p->payload_hash =
		envelope_payload_hash(p->payload + ENVELOPE_LEN, p->plan.size - ENVELOPE_LEN);
	for (size_t i = 0; i < p->n_slots; i++) {
		memcpy(p->payload + i * p->stride, p->payload, p->plan.size);
		p->free_ring[i] = (uint32_t)i;
	}
	atomic_store(&p->free_head, p->n_slots);
	for (size_t i = 0; i < p->plan.n_partitions; i++) {
		p->next_seq[i] = 1;
		atomic_store(&p->acked_top[i], BROKER_NO_OFFSET);
	}
	return 0;
}

int producer_new(const struct producer_plan *plan, const struct producer_share *share,
	struct journal *journal, struct producer **ret, struct err *e)
{
	struct producer *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;
	int r;

	if (!p)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->plan = *plan;
	p->share = *share;
	p->journal = journal;
	pthread_mutex_init(&p->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->more, &attr);
	pthread_condattr_destroy(&attr);
	r = plan->ops->producer_open(plan->broker, &p->client, e);
	p->stride = (plan->size + 63) / 64 * 64;
	if (r == 0)
		r = make_slots(p, e);
	if (r) {
		producer_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void producer_free(struct producer *p)
{
	struct err ignored;

	if (!p)
		return;
	if (p->started && !p->joined) {
		producer_stop(p);
		producer_give_up(p);
		err_ignore(producer_join(p, &ignored));
	}
	if (p->client)
		p->plan.ops->producer_close(p->client);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->mutex);
	free(p->slot);
	free(p->payload);
	free(p->free_ring);
	free(p->again_ring);
	free(p->polled);
	free(p->next_seq);
	free(p->acked_top);
	free(p->keys);
	free(p->pending);
	free(p->refusal);
	free(p);
}

/* ---- the sender ------------------------------------------------------------------------------ */

static void crash(const struct producer *p, enum crash_point point, uint64_t n)
{
	if (p->plan.crash_at == point && n >= p->plan.crash_n)
		kill(getpid(), SIGKILL);
}

static size_t free_slots(struct producer *p)
{
	return (size_t)(atomic_load_explicit(&p->free_head, memory_order_acquire) - p->free_tail);
}

static bool stopping(struct producer *p)
{
	return atomic_load_explicit(&p->stop, memory_order_relaxed);
}

/* Wait until the poller gave something back, or a little while: pace and stop must be looked at. */
static void wait_for_room(struct producer *p, int64_t at_most_ns)
{
	int64_t until = clock_ns() + at_most_ns;
	struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};

	pthread_mutex_lock(&p->mutex);
	atomic_store(&p->sender_waits, true);
	pthread_cond_timedwait(&p->more, &p->mutex, &ts);
	atomic_store(&p->sender_waits, false);
	pthread_mutex_unlock(&p->mutex);
}

static void fail(struct producer *p, const struct err *why)
{
	pthread_mutex_lock(&p->mutex);
	if (!p->failure.code)
		p->failure = *why;
	pthread_mutex_unlock(&p->mutex);
	atomic_store(&p->failed, true);
	atomic_store(&p->stop, true);
}

/* The poller alone writes outcomes; what the client refused at once goes to it through this list. */
static void pass_refusal(struct producer *p, uint32_t slot, int32_t code)
{
	pthread_mutex_lock(&p->mutex);
	if (p->n_refusals == p->cap_refusals) {
		size_t cap = p->cap_refusals ? p->cap_refusals * 2 : 256;
		struct refusal *more = realloc(p->refusal, cap * sizeof(*more));

		if (!more)
			BUG("out of memory for %zu refusals", cap);
		p->refusal = more;
		p->cap_refusals = cap;
	}
	p->refusal[p->n_refusals++] = (struct refusal){slot, code};
	pthread_mutex_unlock(&p->mutex);
}

static void make_key(const struct producer *p, uint64_t seq, char *text, struct broker_send *m)
{
	uint64_t n = p->plan.keys == KEYS_MODULO ? seq % p->plan.n_keys : seq;
	int len;

	if (p->plan.keys == KEYS_NONE)
		return;
	len = snprintf(text, KEY_LEN, "%u-%llu", p->share.producer_id, (unsigned long long)n);
	m->key = text;
	m->key_len = (size_t)len;
}

/* A slot's message as it is handed over now; key: room for its key, until it is. */
static void build_one(
	struct producer *p, struct slot *s, int64_t wall_ns, char *key, struct broker_send *ret)
{
	struct envelope env = {
		.attempt = s->attempt,
		.run_id = p->plan.run_id,
		.producer_id = p->share.producer_id,
		.epoch = p->share.epoch,
		.nonce = p->share.nonce,
		.partition = (uint32_t)p->plan.partitions[s->lane],
		.seq = s->seq,
		.send_wall_ns = wall_ns,
		.length = (uint32_t)p->plan.size,
	};
	uint8_t *payload = p->payload + (size_t)(s - p->slot) * p->stride;

	envelope_encode(&env, p->payload_hash, payload);
	*ret = (struct broker_send){.payload = payload, .len = p->plan.size, .tag = s};
	make_key(p, s->seq, key, ret);
}

/* Fill n slots for the next seqs of a lane into the batch. */
static void build(struct producer *p, size_t lane, size_t n, const int64_t *due_ns, int64_t wall_ns)
{
	int64_t floor = atomic_load_explicit(&p->acked_top[lane], memory_order_relaxed);

	for (size_t i = 0; i < n; i++) {
		uint32_t index = p->free_ring[p->free_tail++ & p->ring_mask];
		struct slot *s = &p->slot[index];

		*s = (struct slot){.seq = p->next_seq[lane]++,
			.lane = (uint32_t)lane,
			.due_ns = due_ns[i],
			.acked_floor = floor};
		p->batch_slot[i] = index;
		build_one(p, s, wall_ns, p->keys[i], &p->batch[i]);
	}
}

/* ---- another attempt ------------------------------------------------------------------------- */

/* What became of the first in the row of those that wait for another attempt. */
enum again { AGAIN_NONE, AGAIN_SENT, AGAIN_STUCK };

/* Is what nobody can say of published again, still? */
static bool republishes(struct producer *p)
{
	return p->plan.republish_unknown && !atomic_load(&p->give_up) && !atomic_load(&p->failed);
}

/* Under the mutex: those of the first one's lane whose time has come, in the order in which they are waiting. */
static size_t take_again(struct producer *p)
{
	int64_t now = clock_ns();
	size_t n = 0;

	while (n < BATCH && p->again_tail < p->again_head) {
		uint32_t index = p->again_ring[p->again_tail & p->ring_mask];

		if (p->slot[index].again_ns > now ||
			(n && p->slot[index].lane != p->slot[p->again_slot[0]].lane))
			break;
		p->again_slot[n++] = index;
		p->again_tail++;
	}
	return n;
}

/*
 * Hand over what waits for another attempt, before anything new: the order is kept as well as it can be. A
 * journal without room for the outcomes, or a client that takes nothing, is waited for.
 */
static enum again send_again(struct producer *p)
{
	uint64_t outstanding = atomic_load(&p->intended) - atomic_load(&p->outcomes);
	int64_t wall_ns = clock_wall_ns();
	char key[BATCH][KEY_LEN];
	size_t n, at = 0, lane;

	pthread_mutex_lock(&p->mutex);
	n = republishes(p) ? take_again(p) : 0;
	p->again_in_hand = n > 0;
	pthread_mutex_unlock(&p->mutex);
	if (n == 0)
		return AGAIN_NONE;
	lane = p->slot[p->again_slot[0]].lane;
	for (size_t i = 0; i < n; i++) {
		struct slot *s = &p->slot[p->again_slot[i]];

		s->acked_floor = atomic_load_explicit(&p->acked_top[lane], memory_order_relaxed);
		build_one(p, s, wall_ns, key[i], &p->again[i]);
	}
	if (journal_has_room(p->journal, outstanding))
		p->plan.ops->producer_send(p->client, p->plan.partitions[lane], p->again, n);
	else
		for (size_t i = 0; i < n; i++)
			p->again[i].taken = BROKER_QUEUE_FULL;
	for (; at < n && p->again[at].taken != BROKER_QUEUE_FULL; at++)
		if (p->again[at].taken != BROKER_TAKEN)
			pass_refusal(p, p->again_slot[at], p->again[at].code);
	pthread_mutex_lock(&p->mutex);
	p->counts.republished += at;
	/* the rest is first in the row again: nobody else takes from there */
	p->again_tail -= n - at;
	p->again_in_hand = false;
	pthread_mutex_unlock(&p->mutex);
	return at ? AGAIN_SENT : AGAIN_STUCK;
}

/* Must something new wait for what is to be published again? */
static bool waits_for_again(struct producer *p)
{
	enum again a = AGAIN_SENT;

	while (a == AGAIN_SENT)
		a = p->plan.republish_unknown ? send_again(p) : AGAIN_NONE;
	return a == AGAIN_STUCK;
}

/* Hand the batch over; waits while the client's queue is full, unless the policy is to drop. */
static void hand_over(struct producer *p, size_t lane, size_t n)
{
	size_t at = 0;

	while (at < n) {
		size_t left = n - at;

		if (!p->plan.drop_when_full && waits_for_again(p)) {
			wait_for_room(p, 2 * NS_PER_MS);
			continue;
		}
		p->plan.ops->producer_send(
			p->client, p->plan.partitions[lane], p->batch + at, left);
		for (; at < n; at++) {
			struct broker_send *m = &p->batch[at];

			if (m->taken == BROKER_QUEUE_FULL && !p->plan.drop_when_full &&
				!atomic_load(&p->give_up))
				break;
			if (m->taken != BROKER_TAKEN)
				pass_refusal(p, p->batch_slot[at], m->code);
		}
		if (at < n)
			wait_for_room(p, 2 * NS_PER_MS);
	}
	p->handed += n;
	crash(p, CRASH_SEND, p->handed);
}

/* How many messages may go to whichever lane is next: free slots, room in the journal. */
static size_t room_for_any(struct producer *p, size_t want)
{
	size_t n = want < BATCH ? want : BATCH;
	uint64_t outstanding = atomic_load(&p->intended) - atomic_load(&p->outcomes);

	if (n > free_slots(p))
		n = free_slots(p);
	return n && journal_has_room(p->journal, outstanding + n) ? n : 0;
}

static size_t room_in_lease(struct producer *p, size_t lane)
{
	uint64_t lease = journal_lease(p->journal, lane);

	return lease >= p->next_seq[lane] ? (size_t)(lease - p->next_seq[lane] + 1) : 0;
}

/*
 * Send up to want messages to the next lane; it keeps its turn when there is room for none at all, or
 * the lanes behind it would get what comes back a little at a time. Returns how many went.
 */
static size_t send_some(struct producer *p, size_t want, const int64_t *due_ns)
{
	size_t lane = p->next_lane;
	size_t lease = room_in_lease(p, lane);
	size_t n = room_for_any(p, want);
	int64_t wall_ns = clock_wall_ns();
	struct err e;

	if (n == 0)
		return 0;
	p->next_lane = (lane + 1) % p->plan.n_partitions;
	if (n > lease)
		n = lease;
	if (n == 0)
		return 0;
	build(p, lane, n, due_ns, wall_ns);
	if (journal_intend(p->journal, lane, p->next_seq[lane] - 1, wall_ns, &e)) {
		/* not even marked: these were never handed over, and the mark may or may not be on the disk */
		fail(p, &e);
	}
	atomic_fetch_add(&p->intended, n);
	crash(p, CRASH_INTENT, atomic_load(&p->intended));
	if (p->failure.code) {
		for (size_t i = 0; i < n; i++)
			pass_refusal(p, p->batch_slot[i], 0);
	} else {
		hand_over(p, lane, n);
	}
	p->sent += n;
	return n;
}

/* The due times of the next messages: all now, or by the pace. */
struct pace {
	int64_t start_ns;
	double interval_ns; /* 0: as fast as it can */
	uint64_t issued;
};

static int64_t due_at(const struct pace *c, uint64_t i, int64_t now)
{
	return c->interval_ns > 0 ? c->start_ns + (int64_t)((double)i * c->interval_ns) : now;
}

static uint64_t due_until(const struct pace *c, int64_t now)
{
	if (c->interval_ns <= 0)
		return UINT64_MAX;
	if (now < c->start_ns)
		return 0;
	return (uint64_t)((double)(now - c->start_ns) / c->interval_ns) + 1;
}

/* One round over the lanes of at most `left` messages. Returns how many were sent. */
static uint64_t send_round(struct producer *p, struct pace *c, uint64_t left)
{
	int64_t now = clock_ns();
	uint64_t due = due_until(c, now);
	uint64_t n = due > c->issued ? due - c->issued : 0;
	uint64_t sent = 0, a_lane;
	int64_t times[BATCH];

	if (n > left)
		n = left;
	if (n == 0)
		return 0;
	a_lane = (n + p->plan.n_partitions - 1) / p->plan.n_partitions;
	if (a_lane > BATCH)
		a_lane = BATCH;
	for (size_t i = 0; i < p->plan.n_partitions && sent < n; i++) {
		uint64_t want = n - sent < a_lane ? n - sent : a_lane;

		for (uint64_t k = 0; k < want; k++)
			times[k] = due_at(c, c->issued + k, now);
		want = send_some(p, (size_t)want, times);
		c->issued += want;
		sent += want;
	}
	return sent;
}

static void wait_for_pace(struct producer *p, const struct pace *c)
{
	int64_t wait = 5 * NS_PER_MS;

	if (c->interval_ns > 0) {
		int64_t next = due_at(c, c->issued, 0) - clock_ns();

		/* not shorter than a quarter of a millisecond: higher rates go in small groups */
		if (next < 250 * NS_PER_US)
			next = 250 * NS_PER_US;
		if (next < wait)
			wait = next;
		clock_sleep_ns(wait);
		return;
	}
	wait_for_room(p, wait);
}

static bool has_more_to_send(struct producer *p)
{
	return !stopping(p) && p->sent < p->share.count;
}

/* Of what is outstanding any may have to be published again. */
static bool has_more_to_republish(struct producer *p)
{
	return republishes(p) && atomic_load(&p->intended) != atomic_load(&p->outcomes);
}

static void send_plain(struct producer *p)
{
	struct pace c = {.start_ns = clock_ns()};
	int64_t next_check = 0;
	struct err e;

	if (p->share.rate > 0) {
		c.interval_ns = 1e9 / p->share.rate;
		c.start_ns += (int64_t)(p->share.phase * c.interval_ns);
	}
	while (has_more_to_send(p) || has_more_to_republish(p)) {
		if (waits_for_again(p) || !has_more_to_send(p))
			wait_for_room(p, 2 * NS_PER_MS);
		else if (send_round(p, &c, p->share.count - p->sent) == 0)
			wait_for_pace(p, &c);
		if (clock_ns() < next_check)
			continue;
		next_check = clock_ns() + 100 * NS_PER_MS;
		if (p->plan.ops->producer_fatal(p->client, &e))
			fail(p, &e);
	}
}

/*
 * Before an abort: let everything reach the log first, as an application does that finds out late. The
 * client library would drop what it has not sent yet.
 */
static void wait_for_answers(struct producer *p)
{
	while (!atomic_load(&p->give_up) &&
		atomic_load(&p->answered) < atomic_load(&p->intended) - atomic_load(&p->outcomes))
		wait_for_room(p, 5 * NS_PER_MS);
}

/* Wait until every outcome of the transaction was recorded with its end. */
static void wait_for_txn(struct producer *p)
{
	while (atomic_load(&p->txn) != TXN_IDLE)
		wait_for_room(p, 5 * NS_PER_MS);
}

static void send_transactions(struct producer *p)
{
	struct pace c = {.start_ns = clock_ns()};
	struct err e;

	if (p->share.rate > 0)
		c.interval_ns = 1e9 / p->share.rate;
	while (!stopping(p) && p->sent < p->share.count) {
		uint64_t end = p->share.count - p->sent < p->plan.transaction
				       ? p->share.count
				       : p->sent + p->plan.transaction;
		bool commit, committed = false;
		int r = p->plan.ops->txn_begin(p->client, &e);

		if (r) {
			fail(p, &e);
			return;
		}
		atomic_store(&p->txn, TXN_OPEN);
		while (p->sent < end && !p->failure.code && !atomic_load(&p->give_up))
			if (send_round(p, &c, end - p->sent) == 0)
				wait_for_pace(p, &c);
		p->n_transactions++;
		commit = !p->plan.abort_every || p->n_transactions % p->plan.abort_every != 0;
		if (!commit)
			wait_for_answers(p);
		r = p->plan.ops->txn_end(
			p->client, commit, p->plan.transaction_timeout_ns, &committed, &e);
		atomic_store(&p->txn, committed ? TXN_COMMITTED
				      : r == 0  ? TXN_ABORTED
						: TXN_UNKNOWN);
		if (r) {
			fail(p, &e);
			atomic_store(&p->give_up, true);
		}
		wait_for_txn(p);
	}
}

static void *sender_main(void *arg)
{
	struct producer *p = arg;

	pthread_setname_np(pthread_self(), "mq-send");
	if (p->plan.transaction)
		send_transactions(p);
	else
		send_plain(p);
	atomic_store(&p->sender_done, true);
	return NULL;
}

/* ---- the poller ------------------------------------------------------------------------------ */

static void give_back(struct producer *p, uint32_t index)
{
	uint64_t head = atomic_load_explicit(&p->free_head, memory_order_relaxed);

	p->free_ring[head & p->ring_mask] = index;
	atomic_store_explicit(&p->free_head, head + 1, memory_order_release);
}

/* What a round of the poller adds to the counts, so that the lock is taken once. */
struct tally {
	uint64_t outcome[OUTCOME_N];
	uint64_t truncations;
	int64_t gap_ns;
	int64_t now_ns;
	int64_t wall_ns;
};

static void record_attempt(struct producer *p, const struct pending *o, const struct tally *t)
{
	journal_record(p->journal, o->lane, o->seq, o->outcome, o->attempt, o->offset, o->node,
		o->code, t->wall_ns);
}

/* Of several attempts the best counts: those before the last are unknown. */
static void record(struct producer *p, const struct pending *o, struct tally *t)
{
	record_attempt(p, o, t);
	t->outcome[o->attempt && o->outcome != OUTCOME_ACKED ? OUTCOME_UNKNOWN : o->outcome]++;
}

/* Under the mutex: nobody can say, so it is published again, after the second time not at once. */
static void wait_for_again(struct producer *p, struct slot *s, const struct tally *t)
{
	int64_t pause_ns = s->attempt ? AGAIN_MIN_NS : 0;

	for (int i = 1; i < s->attempt && pause_ns < AGAIN_MAX_NS; i++)
		pause_ns *= 2;
	s->again_ns = t->now_ns + (pause_ns < AGAIN_MAX_NS ? pause_ns : AGAIN_MAX_NS);
	s->attempt++;
	p->again_ring[p->again_head++ & p->ring_mask] = (uint32_t)(s - p->slot);
}

/* Under the mutex: what waits for another attempt when there will be none stays unknown. */
static void give_up_again(struct producer *p, struct tally *t)
{
	for (; !p->again_in_hand && p->again_tail < p->again_head; p->again_tail++) {
		give_back(p, p->again_ring[p->again_tail & p->ring_mask]);
		t->outcome[OUTCOME_UNKNOWN]++;
	}
}

/* An answer came: how long was there none, though something waited? */
static void note_answer(struct producer *p, const struct slot *s, struct tally *t)
{
	int64_t since = p->last_answer_ns > s->due_ns ? p->last_answer_ns : s->due_ns;

	if (t->now_ns - since > t->gap_ns)
		t->gap_ns = t->now_ns - since;
	p->last_answer_ns = t->now_ns;
}

/*
 * The cheap live proof of a truncation: acked at an offset that the partition had reached before this
 * message was even intended. Needs no reader.
 */
static void note_offset(struct producer *p, const struct slot *s, int64_t offset, struct tally *t)
{
	int64_t top = atomic_load_explicit(&p->acked_top[s->lane], memory_order_relaxed);

	if (offset == BROKER_NO_OFFSET)
		return;
	if (offset <= s->acked_floor)
		t->truncations++;
	if (offset > top)
		atomic_store_explicit(&p->acked_top[s->lane], offset, memory_order_relaxed);
}

static void take_outcome(struct producer *p, const struct broker_outcome *o, struct tally *t)
{
	struct slot *s = o->tag;
	struct pending one = {s->lane, s->attempt, s->seq, o->outcome, o->offset, o->node, o->code};

	if (o->outcome == OUTCOME_ACKED || o->outcome == OUTCOME_UNCONFIRMED) {
		note_answer(p, s, t);
		note_offset(p, s, o->offset, t);
		hist_add(&p->recent, t->now_ns - s->due_ns, 1);
	}
	if (o->outcome == OUTCOME_UNKNOWN && republishes(p) && s->attempt + 1 < MAX_ATTEMPTS) {
		record_attempt(p, &one, t);
		wait_for_again(p, s, t);
		return;
	}
	if (p->plan.transaction) {
		BUG_ON(p->n_pending >= p->plan.transaction);
		p->pending[p->n_pending++] = one;
		atomic_fetch_add(&p->answered, 1);
	} else {
		record(p, &one, t);
	}
	give_back(p, (uint32_t)(s - p->slot));
}

/* Under the mutex. */
static void take_refusals(struct producer *p, struct tally *t)
{
	for (size_t i = 0; i < p->n_refusals; i++) {
		struct slot *s = &p->slot[p->refusal[i].slot];
		struct broker_outcome o = {
			s, OUTCOME_REFUSED, BROKER_NO_OFFSET, BROKER_NO_NODE, p->refusal[i].code};

		take_outcome(p, &o, t);
	}
	p->n_refusals = 0;
}

/* A good report inside a transaction promises nothing before its end is known. */
static enum outcome at_the_end(enum outcome o, enum txn_state end)
{
	if (end == TXN_ABORTED)
		return OUTCOME_REFUSED;
	if (end == TXN_UNKNOWN && (o == OUTCOME_ACKED || o == OUTCOME_UNCONFIRMED))
		return OUTCOME_UNKNOWN;
	return o;
}

static void end_transaction(struct producer *p, struct tally *t, uint64_t outstanding)
{
	enum txn_state end = (enum txn_state)atomic_load(&p->txn);

	if (end == TXN_IDLE || end == TXN_OPEN || outstanding != p->n_pending)
		return;
	for (size_t i = 0; i < p->n_pending; i++) {
		p->pending[i].outcome = at_the_end(p->pending[i].outcome, end);
		record(p, &p->pending[i], t);
	}
	p->n_pending = 0;
	atomic_store(&p->answered, 0);
	atomic_store(&p->txn, TXN_IDLE);
}

static void add_gap(struct producer *p, const struct tally *t)
{
	if (t->gap_ns > p->counts.longest_gap_ns)
		p->counts.longest_gap_ns = t->gap_ns;
	if (t->gap_ns >= GAP_EVENT_NS && p->n_gaps < MAX_GAPS)
		p->gap[p->n_gaps++] = (struct producer_gap){t->wall_ns - t->gap_ns, t->wall_ns};
}

/* One round: outcomes into the journal, then the counts. Returns how many outcomes came. */
static uint64_t poll_round(struct producer *p)
{
	size_t n = p->plan.ops->producer_poll(p->client, p->polled, POLL_MAX, POLL_MS);
	struct tally t = {.now_ns = clock_ns(), .wall_ns = clock_wall_ns()};
	uint64_t recorded = 0, outstanding;
	bool wake;

	pthread_mutex_lock(&p->mutex);
	for (size_t i = 0; i < n; i++)
		take_outcome(p, &p->polled[i], &t);
	take_refusals(p, &t);
	if (!republishes(p))
		give_up_again(p, &t);
	outstanding = atomic_load(&p->intended) - atomic_load(&p->outcomes);
	if (p->plan.transaction)
		end_transaction(p, &t, outstanding);
	for (int i = 0; i < OUTCOME_N; i++) {
		p->counts.outcome[i] += t.outcome[i];
		recorded += t.outcome[i];
	}
	p->counts.truncations += t.truncations;
	add_gap(p, &t);
	wake = atomic_load(&p->sender_waits);
	if (wake)
		pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->mutex);
	atomic_fetch_add(&p->outcomes, recorded);
	if (recorded)
		crash(p, CRASH_ACK, atomic_load(&p->outcomes));
	return recorded;
}

static void serve_settle(struct producer *p)
{
	uint64_t asked = atomic_load(&p->settle_asked);

	if (asked == atomic_load(&p->settle_done))
		return;
	journal_close_open(p->journal);
	atomic_store(&p->settle_done, asked);
}

static void copy_health(struct producer *p)
{
	struct broker_node node[MAX_NODES];
	struct broker_health health;
	size_t n;

	p->plan.ops->producer_health(p->client, &health);
	n = p->plan.ops->producer_nodes(p->client, node, MAX_NODES);
	pthread_mutex_lock(&p->mutex);
	p->health = health;
	memcpy(p->node, node, n * sizeof(*node));
	p->n_nodes = n;
	pthread_mutex_unlock(&p->mutex);
}

/* After the last outcome: once more, so that nothing that happened on the way is missing. */
static void last_health(struct producer *p)
{
	int64_t deadline = clock_ns() + LAST_HEALTH_NS;
	struct broker_health h;
	uint64_t before;

	p->plan.ops->producer_health(p->client, &h);
	before = h.snapshots;
	while (h.snapshots == before && clock_ns() < deadline) {
		poll_round(p);
		serve_settle(p);
		p->plan.ops->producer_health(p->client, &h);
	}
	copy_health(p);
}

static void *poller_main(void *arg)
{
	struct producer *p = arg;
	int64_t next_health = 0;
	bool purged = false;
	struct err e;

	pthread_setname_np(pthread_self(), "mq-outcome");
	for (;;) {
		bool done = atomic_load(&p->sender_done);

		poll_round(p);
		serve_settle(p);
		if (clock_ns() >= next_health) {
			copy_health(p);
			next_health = clock_ns() + HEALTH_EVERY_NS;
		}
		if (atomic_load(&p->give_up) && !purged && !p->plan.transaction) {
			p->plan.ops->producer_purge(p->client);
			purged = true;
		}
		if (done && p->plan.exit_without_flush)
			break;
		if (done && atomic_load(&p->intended) == atomic_load(&p->outcomes))
			break;
	}
	if (!p->plan.exit_without_flush) {
		last_health(p);
		/* the sender was done before the broker had said so */
		if (p->plan.ops->producer_fatal(p->client, &e))
			fail(p, &e);
	} else {
		copy_health(p);
	}
	/*
	 * Before the epoch is said to have ended: what nobody confirms is on its way until the client has left, and a
	 * fence would overtake it. Without a flush it goes with its client, as that of an application which just ends.
	 */
	p->plan.ops->producer_close(p->client);
	p->client = NULL;
	journal_close_open(p->journal);
	atomic_store(&p->settle_done, UINT64_MAX);
	atomic_store(&p->finished, true);
	return NULL;
}

/* ---- from outside ---------------------------------------------------------------------------- */

int producer_start(struct producer *p, struct err *e)
{
	int r = 0;

	p->last_answer_ns = clock_ns();
	if (p->plan.transaction)
		r = p->plan.ops->txn_init(p->client, p->plan.transaction_timeout_ns, e);
	if (r)
		return r;
	r = pthread_create(&p->poller, NULL, poller_main, p);
	if (r)
		return err_set_errno(e, ERR_IO, r, "cannot start a thread");
	r = pthread_create(&p->sender, NULL, sender_main, p);
	if (r) {
		atomic_store(&p->sender_done, true);
		pthread_join(p->poller, NULL);
		return err_set_errno(e, ERR_IO, r, "cannot start a thread");
	}
	p->started = true;
	return 0;
}

void producer_stop(struct producer *p)
{
	atomic_store(&p->stop, true);
}

void producer_give_up(struct producer *p)
{
	atomic_store(&p->give_up, true);
}

bool producer_finished(const struct producer *p)
{
	return atomic_load(&((struct producer *)(uintptr_t)p)->finished);
}

int producer_join(struct producer *p, struct err *e)
{
	if (!p->started || p->joined)
		return 0;
	pthread_join(p->sender, NULL);
	pthread_join(p->poller, NULL);
	p->joined = true;
	if (p->failure.code)
		*e = p->failure;
	return p->failure.code;
}

bool producer_settle_journal(struct producer *p, int64_t timeout_ns)
{
	int64_t deadline = clock_ns() + timeout_ns;
	uint64_t asked;

	if (producer_finished(p))
		return true;
	asked = atomic_fetch_add(&p->settle_asked, 1) + 1;
	while (atomic_load(&p->settle_done) < asked) {
		if (clock_ns() >= deadline)
			return false;
		clock_sleep_ns(NS_PER_MS);
	}
	return true;
}

void producer_counts(struct producer *p, struct producer_counts *ret)
{
	uint64_t done = 0;

	pthread_mutex_lock(&p->mutex);
	*ret = p->counts;
	pthread_mutex_unlock(&p->mutex);
	ret->intended = atomic_load(&p->intended);
	for (int i = 0; i < OUTCOME_N; i++)
		done += ret->outcome[i];
	ret->outstanding = ret->intended > done ? ret->intended - done : 0;
}

void producer_latency(
	struct producer *p, struct hist *ret_total, struct hist *ret_recent, bool reset)
{
	pthread_mutex_lock(&p->mutex);
	*ret_recent = p->recent;
	*ret_total = p->latency;
	hist_merge(ret_total, &p->recent);
	if (reset) {
		hist_merge(&p->latency, &p->recent);
		hist_clear(&p->recent);
	}
	pthread_mutex_unlock(&p->mutex);
}

size_t producer_take_gaps(struct producer *p, struct producer_gap *ret, size_t max)
{
	size_t n;

	pthread_mutex_lock(&p->mutex);
	n = p->n_gaps < max ? p->n_gaps : max;
	memcpy(ret, p->gap, n * sizeof(*ret));
	p->n_gaps = 0;
	pthread_mutex_unlock(&p->mutex);
	return n;
}

void producer_health(struct producer *p, struct broker_health *ret)
{
	pthread_mutex_lock(&p->mutex);
	*ret = p->health;
	pthread_mutex_unlock(&p->mutex);
}

size_t producer_nodes(struct producer *p, struct broker_node *ret, size_t max)
{
	size_t n;

	pthread_mutex_lock(&p->mutex);
	n = p->n_nodes < max ? p->n_nodes : max;
	memcpy(ret, p->node, n * sizeof(*ret));
	pthread_mutex_unlock(&p->mutex);
	return n;
}

void producer_settings(struct producer *p, broker_setting_fn *fn, void *arg)
{
	p->plan.ops->producer_settings(p->client, fn, arg);
}

struct journal *producer_journal(struct producer *p)
{
	return p->journal;
}

const struct producer_share *producer_share(const struct producer *p)
{
	return &p->share;
}
