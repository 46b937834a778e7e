/*
 * A log that is cut and grows while a witness reads it, for overgrown_test.sh:
 *
 *     overgrown ROUNDS SEED
 *
 * A broker in memory, with one partition, takes the place of a real one. It gives no hint of a cut but what the
 * records themselves tell, so that the witness often reads on beyond a cut before anything looks wrong. In the
 * end, after one verification as at a fence, what counts must be what the log holds, each once. The ledger is a
 * real one. Prints "NAME NUMBER" lines, sums over all rounds.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker/witness.h"
#include "core/clock.h"
#include "core/envelope.h"
#include "core/ledger/run.h"
#include "core/log.h"
#include "core/rng.h"

#define MAX_LOG 200000
#define NONCE 7
#define WAIT_NS (60 * NS_PER_S)
#define CHANGES 6 /* of the log in one round */

/* The broker: what it stores. */
static struct {
	pthread_mutex_t mutex;
	uint64_t run_id;
	uint64_t seq[MAX_LOG]; /* by offset */
	int64_t end;
	uint64_t next_seq;
	int32_t node;  /* that leads */
	int64_t given; /* up to where the witness was given records */
} broker = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct broker_reader {
	int64_t next; /* -1: not started */
	bool end_told;
	bool looker; /* looks at single records */
};

/* What all rounds come to. */
struct sums {
	uint64_t cuts_made, cuts_found, overgrown, read, wrong;
};

/* ---- the broker ------------------------------------------------------------------------------ */

static int open_reader(const struct broker_config *c, enum broker_isolation isolation, bool small,
	struct broker_reader **ret, struct err *e)
{
	(void)c;
	(void)isolation;
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return err_set(e, ERR_NOMEM, "out of memory");
	(*ret)->next = -1;
	(*ret)->looker = small;
	return 0;
}

static int start_reader(struct broker_reader *r, int32_t partition, int64_t offset, struct err *e)
{
	(void)partition;
	(void)e;
	r->next = offset;
	r->end_told = false;
	return 0;
}

static int stop_reader(struct broker_reader *r, int32_t partition, struct err *e)
{
	(void)partition;
	(void)e;
	r->next = -1;
	return 0;
}

static struct broker_message record_at(int64_t offset)
{
	struct envelope env = {.run_id = broker.run_id,
		.producer_id = 1,
		.epoch = 1,
		.nonce = NONCE,
		.seq = broker.seq[offset],
		.send_wall_ns = 1,
		.length = ENVELOPE_LEN};
	uint8_t *payload = malloc(ENVELOPE_LEN);

	if (!payload)
		abort();
	envelope_encode(&env, envelope_payload_hash(NULL, 0), payload);
	return (struct broker_message){.item = BROKER_MESSAGE,
		.offset = offset,
		.payload = payload,
		.len = ENVELOPE_LEN,
		.node = broker.node,
		.handle = payload};
}

static size_t read_reader(
	struct broker_reader *r, struct broker_message *ret, size_t max, int timeout_ms)
{
	size_t n = 0;

	pthread_mutex_lock(&broker.mutex);
	if (r->next > broker.end) {
		r->next = -1;
		ret[n++] = (struct broker_message){.item = BROKER_OUT_OF_RANGE};
	}
	for (; r->next >= 0 && r->next < broker.end && n < max; n++, r->end_told = false)
		ret[n] = record_at(r->next++);
	if (n == 0 && r->next == broker.end && !r->end_told) {
		ret[n++] = (struct broker_message){.item = BROKER_END, .offset = broker.end};
		r->end_told = true;
	}
	if (!r->looker)
		broker.given = r->next;
	pthread_mutex_unlock(&broker.mutex);
	if (n == 0)
		clock_sleep_ns((timeout_ms < 5 ? timeout_ms : 5) * NS_PER_MS);
	return n;
}

static void release_reader(struct broker_reader *r, struct broker_message *msg, size_t n)
{
	(void)r;
	for (size_t i = 0; i < n; i++)
		free(msg[i].handle);
}

static int bounds_reader(struct broker_reader *r, int32_t partition, int64_t *ret_low,
	int64_t *ret_high, struct err *e)
{
	(void)r;
	(void)partition;
	(void)e;
	pthread_mutex_lock(&broker.mutex);
	*ret_low = 0;
	*ret_high = broker.end;
	pthread_mutex_unlock(&broker.mutex);
	return 0;
}

/* Not a word of what happens: the worst case. */
static void health_reader(struct broker_reader *r, struct broker_health *ret)
{
	(void)r;
	*ret = (struct broker_health){.snapshots = 1};
}

static void close_reader(struct broker_reader *r)
{
	free(r);
}

static const struct broker_ops ops = {
	.scheme = "memory",
	.caps = BROKER_CAP_POSITIONS,
	.reader_open = open_reader,
	.reader_start = start_reader,
	.reader_stop = stop_reader,
	.reader_read = read_reader,
	.reader_release = release_reader,
	.reader_bounds = bounds_reader,
	.reader_health = health_reader,
	.reader_close = close_reader,
};

/* ---- what happens to the log ----------------------------------------------------------------- */

static void append(uint64_t n)
{
	for (; n > 0 && broker.end < MAX_LOG; n--)
		broker.seq[broker.end++] = ++broker.next_seq;
}

/* Cut, and grow at once, often beyond where the reader stands; sometimes another node leads then. */
static void cut(struct rng *rng, int64_t read_to, struct sums *sums)
{
	int64_t lost = 1 + (int64_t)rng_below(rng, 1500);

	pthread_mutex_lock(&broker.mutex);
	broker.end = broker.end > lost ? broker.end - lost : 0;
	sums->cuts_made++;
	append(rng_below(rng, 3000));
	sums->overgrown += broker.end > read_to;
	if (rng_below(rng, 2))
		broker.node++;
	pthread_mutex_unlock(&broker.mutex);
}

static void wait_for(struct witness *w, int64_t offset)
{
	int64_t deadline_ns = clock_ns() + WAIT_NS;

	while (witness_committed(w, 0) != offset && clock_ns() < deadline_ns)
		clock_sleep_ns(2 * NS_PER_MS);
}

/* Not committed yet, maybe: then what comes next goes into the same segment. */
static void wait_until_given(int64_t offset)
{
	int64_t deadline_ns = clock_ns() + WAIT_NS;
	int64_t given = -1;

	while (given != offset && clock_ns() < deadline_ns) {
		pthread_mutex_lock(&broker.mutex);
		given = broker.given;
		pthread_mutex_unlock(&broker.mutex);
	}
}

static void live(struct witness *w, struct rng *rng, struct sums *sums)
{
	for (int i = 0; i < CHANGES; i++) {
		int64_t end;

		pthread_mutex_lock(&broker.mutex);
		append(1 + rng_below(rng, 3000));
		end = broker.end;
		pthread_mutex_unlock(&broker.mutex);
		/* all is committed before the cut, or only read, or some of it */
		if (rng_below(rng, 3) == 0)
			wait_for(w, end);
		else if (rng_below(rng, 4))
			wait_until_given(end);
		cut(rng, witness_committed(w, 0), sums);
	}
	pthread_mutex_lock(&broker.mutex);
	append(10);
	pthread_mutex_unlock(&broker.mutex);
}

/* ---- a round --------------------------------------------------------------------------------- */

/* Is what counts what the log holds, each once? */
static bool is_right(struct witness *w)
{
	struct tracker_totals totals;
	struct tracker_lane lane;
	size_t at = 0;
	bool right;

	tracker_totals(witness_tracker(w), &totals);
	right = totals.distinct == (uint64_t)broker.end && totals.extra == 0 &&
		tracker_next_lane(witness_tracker(w), &at, &lane);
	for (int64_t i = 0; right && i < broker.end; i++)
		right = seqset_has(lane.seen, broker.seq[i]);
	return right;
}

static int read_all(struct witness *w, struct err *e)
{
	uint64_t cuts = 1;
	int r = 0;

	/* a hint of its own may have led it back just before */
	while (r == 0 && (cuts > 0 || witness_committed(w, 0) != broker.end)) {
		wait_for(w, broker.end);
		r = witness_verify(w, WAIT_NS, &cuts, e);
	}
	return r;
}

static int run_round(
	struct ledger *l, uint64_t round, struct rng *rng, struct sums *sums, struct err *e)
{
	static const struct broker_config config = {.timeout_ns = NS_PER_S};
	int64_t starts[1] = {0};
	char name[40];
	struct run_spec spec = {.name = name,
		.destination = "kafka://nowhere:1/overgrown",
		.broker = "kafka",
		.promise = "exactly-once,ordered",
		.keys = "none",
		.source_start = starts,
		.n_source = 1};
	struct witness_plan plan = {.ops = &ops,
		.broker = &config,
		.start = starts,
		.n_partitions = 1,
		.source = "overgrown"};
	struct witness_state state;
	struct witness *w = NULL;
	struct run run;
	bool made;
	int r;

	snprintf(name, sizeof(name), "round-%" PRIu64, round);
	r = run_make(l, &spec, &run, &made, e);
	broker.run_id = (uint64_t)run.id;
	broker.end = 0;
	broker.next_seq = 0;
	broker.node = 1;
	broker.given = -1;
	plan.key = (struct witness_key){run.id, RUN_SOURCE, ISOLATION_UNCOMMITTED};
	if (r == 0)
		r = witness_start(&plan, &w, e);
	if (r)
		return r;
	live(w, rng, sums);
	r = read_all(w, e);
	witness_state(w, &state);
	sums->cuts_found += state.cuts;
	if (r == 0)
		r = witness_stop(w, e);
	if (r == 0 && !is_right(w)) {
		sums->wrong++;
		fprintf(stderr, "%s: what counts is not what the log holds\n", name);
	}
	sums->read += (uint64_t)broker.end;
	witness_free(w);
	return r;
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 20;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	struct ledger *l = NULL;
	struct sums sums = {0};
	struct rng rng;
	struct err e = {0};
	int r = ledger_open(NULL, &l, &e);

	rng_init(&rng, seed);
	for (uint64_t i = 0; r == 0 && i < rounds; i++)
		r = run_round(l, i, &rng, &sums, &e);
	ledger_close(l);
	if (r) {
		err_print(&e);
		return 1;
	}
	printf("cuts_made %" PRIu64 "\ncuts_found %" PRIu64 "\novergrown %" PRIu64 "\nread %" PRIu64
	       "\nwrong %" PRIu64 "\n",
		sums.cuts_made, sums.cuts_found, sums.overgrown, sums.read, sums.wrong);
	return 0;
}
