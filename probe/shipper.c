#include "probe/shipper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/ledger/produced.h"
#include "core/ledger/run.h"

#define PERIOD_NS (150 * NS_PER_MS)
#define SAMPLE_NS NS_PER_S
#define RETRY_NS (500 * NS_PER_MS)
#define PATIENCE_NS NS_PER_S /* with a ledger that does not answer: then the deputy acts */
#define DEPUTY_NS (200 * NS_PER_MS)
#define MAX_OUTCOMES 20000u               /* in one shipment */
#define AHEAD_RECORDS (2 * JOURNAL_CHUNK) /* of free journal records, beside what is outstanding */
#define LEASE_MIN 1000u
#define LEASE_SECONDS 5

/* Per lane: what is known of it here. */
struct lane_mark {
	uint64_t shipped; /* intents in the ledger */
	int64_t shipped_wall_ns;
	uint64_t lease;
	uint64_t asked; /* lease in the shipment under way */
};

/* Per epoch. */
struct epoch_mark {
	uint64_t shipment;
	uint64_t shipped; /* journal records in the ledger */
	struct lane_mark *lane;
	size_t n_lanes;
	uint64_t sent_before, acked_before, failed_before; /* at the last sample */
};

struct shipper {
	struct shipper_plan plan;
	struct ledger *ledger;
	struct epoch_mark *epoch;
	pthread_t thread, deputy;
	bool started, deputy_started;
	_Atomic bool stop;
	_Atomic int64_t busy_since_ns; /* when the cycle under way began; 0: none */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct shipper_state state; /* under mutex */
	/* for leases, the rate, and the space of journals: taken before the other, never held while the
	 * ledger is asked */
	pthread_mutex_t marks;

	/* the shipment under way, rebuilt after it is in */
	struct produced_producer *producer;
	struct produced_outcome *outcome;
	size_t n_outcomes;
	struct produced_lane *lane;
	size_t n_lanes, cap_lanes;
	uint64_t *new_shipped; /* by epoch: journal position after it */
	struct hist *latency;  /* by epoch */
	struct produced_node node[256];
	char (*node_host)[256];
	size_t n_nodes;
	struct produced_sample sample;
	bool has_sample;
	bool built; /* a shipment is waiting to be sent (again) */
	const char *end_cause;
	int64_t next_sample_ns, last_sample_ns;
	double lane_rate; /* messages per second of the busiest lane, lately */
	int64_t last_cycle_ns;
};

/* ---- what goes into a shipment --------------------------------------------------------------- */

static struct produced_outcome outcome_of(const struct broker_ops *ops, const struct journal *j,
	uint32_t producer, const struct journal_record *r)
{
	return (struct produced_outcome){
		.producer = producer,
		.partition = journal_partition(j, r->lane),
		.attempt = r->attempt,
		.outcome = (enum outcome)r->outcome,
		.node = r->node,
		.code = r->code,
		.reason = r->code ? ops->code_text(r->code) : NULL,
		.lo = r->lo,
		.hi = r->hi,
		.first_offset = r->first_offset,
		.first_wall_ns = r->first_wall_ns,
		.last_wall_ns = r->last_wall_ns,
	};
}

static void add_outcomes(struct shipper *s, size_t i)
{
	struct journal *j = producer_journal(s->plan.producers[i]);
	uint64_t at = s->epoch[i].shipped, end = journal_count(j);

	while (at < end && s->n_outcomes < MAX_OUTCOMES)
		s->outcome[s->n_outcomes++] =
			outcome_of(s->plan.ops, j, (uint32_t)i, journal_at(j, at++));
	s->new_shipped[i] = at;
}

/* How far a lane's lease should be, seen from where it is. */
static uint64_t wanted_lease(const struct shipper *s, uint64_t intended, uint64_t lease)
{
	double rate = s->lane_rate;
	uint64_t ahead;

	if (s->plan.rate > 0 && s->plan.rate / (double)s->plan.n_lanes > rate)
		rate = s->plan.rate / (double)s->plan.n_lanes;
	ahead = (uint64_t)(rate * LEASE_SECONDS);
	if (ahead < LEASE_MIN)
		ahead = LEASE_MIN;
	/* before anything is known of an unpaced probe, enough for its first moments */
	if (s->plan.rate <= 0 && s->lane_rate <= 0)
		ahead = 200000;
	if (intended + ahead / 2 < lease)
		return 0;
	ahead += intended;
	if (s->plan.count < UINT64_MAX && ahead > s->plan.count)
		ahead = s->plan.count;
	return ahead > lease ? ahead : 0;
}

static void add_lanes(struct shipper *s, size_t i, bool ending)
{
	struct journal *j = producer_journal(s->plan.producers[i]);

	for (size_t k = 0; k < s->epoch[i].n_lanes; k++) {
		struct lane_mark *m = &s->epoch[i].lane[k];
		uint64_t intended = journal_intended(j, k);
		int64_t wall_ns = journal_intended_wall_ns(j, k);
		bool news = intended > m->shipped;

		m->asked = ending ? 0 : wanted_lease(s, intended, m->lease);
		if (!news && !m->asked)
			continue;
		s->lane[s->n_lanes++] = (struct produced_lane){
			.producer = (uint32_t)i,
			.partition = journal_partition(j, k),
			.intent_lo = news ? m->shipped + 1 : 0,
			.intent_hi = intended,
			.first_wall_ns = m->shipped_wall_ns ? m->shipped_wall_ns : wall_ns,
			.last_wall_ns = wall_ns,
			.lease = m->asked,
		};
	}
}

static void add_nodes(struct shipper *s, size_t i)
{
	struct broker_node node[64];
	size_t n = producer_nodes(s->plan.producers[i], node, 64);

	for (size_t k = 0; k < n && s->n_nodes < 256; k++) {
		bool known = false;

		for (size_t m = 0; m < s->n_nodes; m++)
			known |= s->node[m].id == node[k].id;
		if (known)
			continue;
		snprintf(s->node_host[s->n_nodes], sizeof(s->node_host[0]), "%s", node[k].host);
		s->node[s->n_nodes] =
			(struct produced_node){node[k].id, s->node_host[s->n_nodes], node[k].port};
		s->n_nodes++;
	}
}

static void add_sample(struct shipper *s, bool last)
{
	int64_t now = clock_ns();
	struct produced_sample *m = &s->sample;
	struct hist *all, *recent, *total;

	s->has_sample = false;
	if (now < s->next_sample_ns && !last)
		return;
	all = calloc(3, sizeof(*all));
	if (!all)
		return;
	recent = all + 1;
	total = all + 2;
	*m = (struct produced_sample){
		.source = s->plan.source,
		.wall_ns = clock_wall_ns(),
		.seconds = (double)(now - s->last_sample_ns) / 1e9,
		.max_ns = -1,
	};
	for (size_t i = 0; i < s->plan.n_producers; i++) {
		struct epoch_mark *k = &s->epoch[i];
		struct producer_counts c;
		uint64_t good, bad;

		producer_counts(s->plan.producers[i], &c);
		good = c.outcome[OUTCOME_ACKED] + c.outcome[OUTCOME_UNCONFIRMED];
		bad = c.outcome[OUTCOME_REFUSED] + c.outcome[OUTCOME_UNKNOWN];
		m->sent += c.intended - k->sent_before;
		m->acked += good - k->acked_before;
		m->failed += bad - k->failed_before;
		k->sent_before = c.intended;
		k->acked_before = good;
		k->failed_before = bad;
		producer_latency(s->plan.producers[i], total, recent, true);
		s->latency[i] = *total;
		s->producer[i].latency = &s->latency[i];
		hist_merge(all, recent);
	}
	if (all->n) {
		m->p50_ns = hist_percentile(all, 0.5);
		m->p99_ns = hist_percentile(all, 0.99);
		m->max_ns = all->max_ns;
	}
	free(all);
	s->last_sample_ns = now;
	s->next_sample_ns = now + SAMPLE_NS;
	s->has_sample = true;
}

static void add_producer(struct shipper *s, size_t i, bool ending)
{
	const struct producer_share *share = producer_share(s->plan.producers[i]);
	struct producer_counts c;
	struct broker_health h;

	producer_counts(s->plan.producers[i], &c);
	producer_health(s->plan.producers[i], &h);
	s->producer[i] = (struct produced_producer){
		.producer_id = share->producer_id,
		.epoch = share->epoch,
		.shipment = s->epoch[i].shipment + 1,
		.shipped = s->new_shipped[i],
		.disconnects = h.disconnects,
		.retries = h.retries,
		.timeouts = h.timeouts,
		.truncations = c.truncations,
		.longest_gap_ns = c.longest_gap_ns,
		.end_cause = ending ? s->end_cause : NULL,
		.journal_state = "complete",
	};
}

/* Gather everything that is new. */
static void build(struct shipper *s, bool ending)
{
	bool all = true;

	pthread_mutex_lock(&s->marks);
	s->n_outcomes = s->n_lanes = s->n_nodes = 0;
	for (size_t i = 0; i < s->plan.n_producers; i++) {
		add_outcomes(s, i);
		all &= s->new_shipped[i] == journal_count(producer_journal(s->plan.producers[i]));
	}
	/* intents after outcomes: whatever has an outcome was intended before */
	for (size_t i = 0; i < s->plan.n_producers; i++) {
		add_lanes(s, i, ending);
		add_producer(s, i, ending && all);
		add_nodes(s, i);
	}
	pthread_mutex_unlock(&s->marks);
	add_sample(s, ending && all);
	s->built = true;
}

/* The shipment is in the ledger: move every mark. */
static void mark_shipped(struct shipper *s)
{
	struct err ignored;
	size_t at = 0;

	pthread_mutex_lock(&s->marks);
	for (size_t i = 0; i < s->plan.n_producers; i++) {
		struct journal *j = producer_journal(s->plan.producers[i]);

		s->epoch[i].shipment++;
		s->epoch[i].shipped = s->new_shipped[i];
		journal_set_shipped(j, s->new_shipped[i]);
		for (size_t k = 0; k < s->epoch[i].n_lanes; k++) {
			struct lane_mark *m = &s->epoch[i].lane[k];

			if (at < s->n_lanes && s->lane[at].producer == i &&
				s->lane[at].partition == journal_partition(j, k)) {
				m->shipped = s->lane[at].intent_hi;
				m->shipped_wall_ns = s->lane[at].last_wall_ns;
				at++;
			}
			if (m->asked > m->lease) {
				m->lease = m->asked;
				err_ignore(journal_set_lease(j, k, m->lease, false, &ignored));
			}
			m->asked = 0;
		}
	}
	pthread_mutex_unlock(&s->marks);
	s->built = false;
}

static int send_shipment(struct shipper *s, struct err *e)
{
	struct produced_shipment all = {
		.run_id = s->plan.run_id,
		.producer = s->producer,
		.n_producers = s->plan.n_producers,
		.outcome = s->outcome,
		.n_outcomes = s->n_outcomes,
		.lane = s->lane,
		.n_lanes = s->n_lanes,
		.sample = s->has_sample ? &s->sample : NULL,
		.node = s->node,
		.n_nodes = s->n_nodes,
	};

	return produced_ship(s->ledger, &all, e);
}

/* After a lost connection: was the shipment under way committed? All epochs go in one transaction. */
static int was_it_shipped(struct shipper *s, bool *ret, struct err *e)
{
	const struct produced_producer *p = &s->producer[0];
	uint64_t shipment, shipped;
	int r = produced_shipped(
		s->ledger, s->plan.run_id, p->producer_id, p->epoch, &shipment, &shipped, e);

	if (r == 0)
		*ret = shipment >= p->shipment;
	return r;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void set_state(struct shipper *s, bool away, const char *trouble)
{
	pthread_mutex_lock(&s->mutex);
	s->state.away = away;
	snprintf(s->state.trouble, sizeof(s->state.trouble), "%s", trouble);
	pthread_mutex_unlock(&s->mutex);
}

static void set_failure(struct shipper *s, const struct err *e)
{
	pthread_mutex_lock(&s->mutex);
	s->state.failure = *e;
	pthread_mutex_unlock(&s->mutex);
}

static bool is_away(struct shipper *s)
{
	bool away;

	pthread_mutex_lock(&s->mutex);
	away = s->state.away;
	pthread_mutex_unlock(&s->mutex);
	return away;
}

/* While the ledger is away: leases that a power cut does not forget. Under marks. */
static void lease_from_journal(struct shipper *s)
{
	struct err e;

	for (size_t i = 0; i < s->plan.n_producers; i++) {
		struct journal *j = producer_journal(s->plan.producers[i]);

		for (size_t k = 0; k < s->epoch[i].n_lanes; k++) {
			struct lane_mark *m = &s->epoch[i].lane[k];
			uint64_t lease = wanted_lease(s, journal_intended(j, k), m->lease);

			if (!lease)
				continue;
			if (journal_set_lease(j, k, lease, true, &e)) {
				set_state(s, true, e.msg);
				return;
			}
			m->lease = lease;
		}
	}
}

/*
 * --fsync: outcomes so far to the disk, also while the ledger is away. Only closed records count after a
 * power cut, so the open ones are closed before.
 */
static void sync_outcomes(struct producer *p)
{
	struct err e;

	(void)producer_settle_journal(p, 100 * NS_PER_MS);
	err_ignore(journal_sync(producer_journal(p), &e));
}

/* Room in the journals for everything outstanding and a margin. Under marks. */
static void grow(struct shipper *s)
{
	struct err e;

	for (size_t i = 0; i < s->plan.n_producers; i++) {
		struct producer_counts c;

		producer_counts(s->plan.producers[i], &c);
		if (journal_grow(producer_journal(s->plan.producers[i]),
			    c.outstanding + AHEAD_RECORDS + s->epoch[i].n_lanes, &e)) {
			if (e.code == ERR_NOSPACE && strstr(e.msg, "is full") && is_away(s))
				continue; /* sending pauses until the ledger is back */
			set_failure(s, &e);
			producer_stop(s->plan.producers[i]);
		}
		if (journal_is_synced(producer_journal(s->plan.producers[i])))
			sync_outcomes(s->plan.producers[i]);
	}
}

static void measure_rate(struct shipper *s)
{
	int64_t now = clock_ns();
	double seconds = (double)(now - s->last_cycle_ns) / 1e9, top = 0;

	if (s->last_cycle_ns && seconds > 0.01) {
		for (size_t i = 0; i < s->plan.n_producers; i++) {
			struct journal *j = producer_journal(s->plan.producers[i]);

			for (size_t k = 0; k < s->epoch[i].n_lanes; k++) {
				double n = (double)(journal_intended(j, k) -
						    s->epoch[i].lane[k].shipped);

				if (n / seconds > top)
					top = n / seconds;
			}
		}
		s->lane_rate = top > s->lane_rate ? top : s->lane_rate * 0.9 + top * 0.1;
	}
	s->last_cycle_ns = now;
}

static void ship_gaps(struct shipper *s)
{
	struct producer_gap gap[16];
	struct err e;

	for (size_t i = 0; i < s->plan.n_producers; i++) {
		size_t n = producer_take_gaps(s->plan.producers[i], gap, 16);
		char subject[32];

		snprintf(subject, sizeof(subject), "producer %u",
			producer_share(s->plan.producers[i])->producer_id);
		for (size_t k = 0; k < n; k++)
			err_ignore(run_event(s->ledger, s->plan.run_id, NULL, gap[k].from_wall_ns,
				gap[k].until_wall_ns, s->plan.source, "unavailable", subject,
				"no acknowledgement", NULL, &e));
	}
}

/* One cycle. Returns 0, ERR_LEDGER_AWAY (try again later), or a code that ends shipping. */
static int cycle(struct shipper *s, bool ending, struct err *e)
{
	bool in = false;
	int r = 0;

	pthread_mutex_lock(&s->marks);
	if (!ending)
		measure_rate(s);
	grow(s);
	pthread_mutex_unlock(&s->marks);
	if (!pg_is_open(ledger_pg(s->ledger))) {
		r = ledger_reconnect(s->ledger, e);
		if (r == 0 && s->built) {
			r = was_it_shipped(s, &in, e);
			if (r == 0 && in)
				mark_shipped(s);
		}
		if (r)
			return r;
	}
	if (!s->built) {
		for (size_t i = 0; i < s->plan.n_producers; i++)
			producer_settle_journal(s->plan.producers[i], 100 * NS_PER_MS);
		build(s, ending);
	}
	r = send_shipment(s, e);
	if (r == 0) {
		mark_shipped(s);
		ship_gaps(s);
	}
	return r;
}

static void update_backlog(struct shipper *s)
{
	uint64_t backlog = 0;

	for (size_t i = 0; i < s->plan.n_producers; i++)
		backlog +=
			journal_count(producer_journal(s->plan.producers[i])) - s->epoch[i].shipped;
	pthread_mutex_lock(&s->mutex);
	s->state.backlog = backlog;
	s->state.shipments++;
	pthread_mutex_unlock(&s->mutex);
}

static bool can_wait(int code)
{
	return code == ERR_LEDGER_AWAY || code == ERR_NOSPACE || code == ERR_TIMEOUT;
}

static void nap(struct shipper *s, int64_t ns)
{
	int64_t until = clock_ns() + ns;
	struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};

	pthread_mutex_lock(&s->mutex);
	if (!atomic_load(&s->stop))
		pthread_cond_timedwait(&s->wake, &s->mutex, &ts);
	pthread_mutex_unlock(&s->mutex);
}

/*
 * A ledger that is frozen, or behind a network that swallows packets, keeps the shipping thread waiting
 * for as long as a query may take. Leases and the journals' space cannot wait that long.
 */
static void *deputy_main(void *arg)
{
	struct shipper *s = arg;

	pthread_setname_np(pthread_self(), "mq-deputy");
	while (!atomic_load(&s->stop)) {
		int64_t since = atomic_load(&s->busy_since_ns);

		if (since && clock_ns() > since + PATIENCE_NS) {
			set_state(s, true, "the ledger does not answer");
			pthread_mutex_lock(&s->marks);
			lease_from_journal(s);
			grow(s);
			pthread_mutex_unlock(&s->marks);
		}
		nap(s, DEPUTY_NS);
	}
	return NULL;
}

static void *shipper_main(void *arg)
{
	struct shipper *s = arg;
	struct err e;

	pthread_setname_np(pthread_self(), "mq-ship");
	while (!atomic_load(&s->stop)) {
		int64_t started = clock_ns();
		int r;

		atomic_store(&s->busy_since_ns, started);
		r = cycle(s, false, &e);
		atomic_store(&s->busy_since_ns, 0);
		if (r && !can_wait(r)) {
			set_failure(s, &e);
			for (size_t i = 0; i < s->plan.n_producers; i++)
				producer_stop(s->plan.producers[i]);
			break;
		}
		set_state(s, r != 0, r ? e.msg : "");
		if (r) {
			pthread_mutex_lock(&s->marks);
			lease_from_journal(s);
			pthread_mutex_unlock(&s->marks);
		}
		update_backlog(s);
		if (r)
			nap(s, RETRY_NS);
		else if (s->n_outcomes < MAX_OUTCOMES)
			nap(s, PERIOD_NS - (clock_ns() - started));
	}
	return NULL;
}

/* ---- from outside ---------------------------------------------------------------------------- */

static int allocate(struct shipper *s, struct err *e)
{
	size_t n = s->plan.n_producers;

	s->epoch = calloc(n, sizeof(*s->epoch));
	s->producer = calloc(n, sizeof(*s->producer));
	s->new_shipped = calloc(n, sizeof(*s->new_shipped));
	s->latency = calloc(n, sizeof(*s->latency));
	s->outcome = calloc(MAX_OUTCOMES, sizeof(*s->outcome));
	s->lane = calloc(s->plan.n_lanes, sizeof(*s->lane));
	s->node_host = calloc(256, sizeof(*s->node_host));
	if (!s->epoch || !s->producer || !s->new_shipped || !s->latency || !s->outcome ||
		!s->lane || !s->node_host)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		s->epoch[i].n_lanes = journal_lanes(producer_journal(s->plan.producers[i]));
		s->epoch[i].lane = calloc(s->epoch[i].n_lanes, sizeof(*s->epoch[i].lane));
		if (!s->epoch[i].lane)
			return err_set(e, ERR_NOMEM, "out of memory");
	}
	return 0;
}

int shipper_start(const struct shipper_plan *plan, struct shipper **ret, struct err *e)
{
	struct shipper *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int r;

	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	s->plan = *plan;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_mutex_init(&s->marks, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	s->last_sample_ns = clock_ns();
	s->next_sample_ns = s->last_sample_ns + SAMPLE_NS;
	r = allocate(s, e);
	if (r == 0)
		r = ledger_open(plan->ledger_url, &s->ledger, e);
	if (r == 0)
		r = cycle(s, false, e);
	if (r == 0) {
		r = pthread_create(&s->thread, NULL, shipper_main, s);
		s->started = r == 0;
		if (r == 0) {
			r = pthread_create(&s->deputy, NULL, deputy_main, s);
			s->deputy_started = r == 0;
		}
		if (r)
			r = err_set_errno(e, ERR_IO, r, "cannot start a thread");
	}
	if (r) {
		shipper_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void shipper_state(struct shipper *s, struct shipper_state *ret)
{
	pthread_mutex_lock(&s->mutex);
	*ret = s->state;
	pthread_mutex_unlock(&s->mutex);
}

static void stop_thread(struct shipper *s)
{
	if (!s->started)
		return;
	pthread_mutex_lock(&s->mutex);
	atomic_store(&s->stop, true);
	pthread_cond_broadcast(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->thread, NULL);
	s->started = false;
	if (s->deputy_started)
		pthread_join(s->deputy, NULL);
	s->deputy_started = false;
}

static bool everything_in(const struct shipper *s)
{
	if (s->built)
		return false;
	for (size_t i = 0; i < s->plan.n_producers; i++)
		if (s->epoch[i].shipped < journal_count(producer_journal(s->plan.producers[i])))
			return false;
	return true;
}

int shipper_finish(
	struct shipper *s, const char *cause, const volatile bool *give_up, struct err *e)
{
	int r = 0;

	stop_thread(s);
	if (s->state.failure.code && s->state.failure.code != ERR_NOSPACE) {
		*e = s->state.failure;
		return e->code;
	}
	s->end_cause = cause;
	/* a shipment of before goes first, as it is; then one (or more) that ends the epochs */
	for (bool ended = false; !ended;) {
		bool resent = s->built;

		r = cycle(s, true, e);
		set_state(s, r != 0, r ? e->msg : "");
		if (r && !can_wait(r))
			return r;
		if (r && *give_up)
			return err_set(
				e, ERR_STOPPED, "the ledger is away, the journal is not in it yet");
		if (r)
			clock_sleep_ns(RETRY_NS);
		ended = r == 0 && !resent && everything_in(s) && s->producer[0].end_cause;
	}
	return 0;
}

void shipper_free(struct shipper *s)
{
	if (!s)
		return;
	stop_thread(s);
	ledger_close(s->ledger);
	for (size_t i = 0; s->epoch && i < s->plan.n_producers; i++)
		free(s->epoch[i].lane);
	free(s->epoch);
	free(s->producer);
	free(s->new_shipped);
	free(s->latency);
	free(s->outcome);
	free(s->lane);
	free(s->node_host);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
	pthread_mutex_destroy(&s->marks);
	free(s);
}

/* ---- recovery -------------------------------------------------------------------------------- */

static int recover_lanes(struct ledger *l, const struct journal_info *info, struct journal *j,
	bool complete, struct produced_lane *lane, size_t *ret_n, struct err *e)
{
	*ret_n = 0;
	for (size_t k = 0; k < info->n_lanes; k++) {
		uint64_t intended, lease, now = journal_intended(j, k);
		int r = produced_lane_state(l, (int64_t)info->id.run_id, info->id.producer_id,
			info->id.epoch, journal_partition(j, k), &intended, &lease, e);
		bool news;

		if (r)
			return r;
		/* after a power cut without --fsync a journal's own word on intents counts for nothing */
		news = (complete || info->id.fsync) && now > intended;
		if (!news && journal_lease(j, k) <= lease)
			continue;
		lane[(*ret_n)++] = (struct produced_lane){
			.partition = journal_partition(j, k),
			.intent_lo = news ? intended + 1 : 0,
			.intent_hi = now,
			.first_wall_ns = journal_intended_wall_ns(j, k),
			.last_wall_ns = journal_intended_wall_ns(j, k),
			.lease = journal_lease(j, k) > lease ? journal_lease(j, k) : 0,
		};
	}
	return 0;
}

/* Ship records [at, journal_count) in groups; the last one ends the epoch. */
static int recover_records(struct ledger *l, const struct broker_ops *ops, struct journal *j,
	const struct journal_info *info, uint64_t shipment, uint64_t at, bool complete,
	struct produced_lane *lane, size_t n_lanes, uint64_t *ret_outcomes, struct err *e)
{
	struct produced_outcome *out = calloc(MAX_OUTCOMES, sizeof(*out));
	uint64_t end = journal_count(j);
	int r = 0;

	if (!out)
		return err_set(e, ERR_NOMEM, "out of memory");
	do {
		struct produced_producer p = {.producer_id = info->id.producer_id,
			.epoch = info->id.epoch,
			.shipment = ++shipment,
			.journal_state = complete ? "complete" : "incomplete"};
		struct produced_shipment s = {.run_id = (int64_t)info->id.run_id,
			.producer = &p,
			.n_producers = 1,
			.outcome = out,
			.lane = lane,
			.n_lanes = n_lanes};

		while (at < end && s.n_outcomes < MAX_OUTCOMES) {
			const struct journal_record *rec = journal_at(j, at++);

			out[s.n_outcomes++] = outcome_of(ops, j, 0, rec);
			*ret_outcomes += rec->hi - rec->lo + 1;
		}
		p.shipped = at;
		if (at == end)
			p.end_cause = info->ended ? "finished" : "died";
		r = produced_ship(l, &s, e);
		n_lanes = 0;
	} while (r == 0 && at < end);
	free(out);
	return r;
}

int shipper_recover(struct ledger *l, const struct broker_ops *ops, struct journal *j,
	uint64_t *ret_outcomes, bool *ret_complete, struct err *e)
{
	struct produced_lane *lane = NULL;
	struct journal_info info;
	uint64_t shipment, shipped;
	size_t n_lanes = 0;
	int r;

	*ret_outcomes = 0;
	journal_info(j, &info);
	r = produced_shipped(l, (int64_t)info.id.run_id, info.id.producer_id, info.id.epoch,
		&shipment, &shipped, e);
	if (r)
		return r;
	/* the ledger's word on what it has is newer than the journal's */
	if (shipped > journal_shipped(j) && shipped <= journal_count(j))
		journal_set_shipped(j, shipped);
	r = journal_recover(j, ret_complete, e);
	if (r == 0 && *ret_complete && shipped > journal_count(j))
		r = err_set(e, ERR_FORMAT, "journal '%s' has less than the ledger took from it",
			journal_path(j));
	lane = calloc(info.n_lanes, sizeof(*lane));
	if (r == 0 && !lane)
		r = err_set(e, ERR_NOMEM, "out of memory");
	if (r == 0)
		r = recover_lanes(l, &info, j, *ret_complete, lane, &n_lanes, e);
	if (r == 0)
		r = recover_records(l, ops, j, &info, shipment,
			shipped > journal_count(j) ? journal_count(j) : shipped, *ret_complete,
			lane, n_lanes, ret_outcomes, e);
	free(lane);
	return r;
}
