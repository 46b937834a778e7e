#include "checker/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/ledger/removed.h"
#include "core/ledger/run.h"
#include "core/ledger/witnessed.h"

#define QUERY_TIMEOUT (600 * NS_PER_S)
#define FOR_EVER ((uint64_t)INT64_MAX - 1)

/* What stands of a lane on one side, over all partitions there; nothing in it was never intended. */
struct sight {
	struct seqset *present, *repeated, *reordered, *redelivered;
	uint64_t extra; /* copies beyond the first */
};

/* What the probes said of a lane, and what was read of it. */
struct side_lane {
	int64_t producer_id, epoch, partition, nonce;
	char state[12]; /* of the journal */
	bool ended;
	uint64_t lease, intended;
	struct seqset *
		outcome[OUTCOME_N]; /* ACKED, UNCONFIRMED, REFUSED, UNKNOWN: the best of each seq */
	struct seqset *swept;       /* seen, then read again and not there */
	struct seqset *cut;         /* seen, then cut from the log */
	struct seqset *twice;       /* acked at an offset that another acked message has too */
	struct seqset *below;       /* acked below the log's start, or at no known place */
	struct seqset *damaged[2];  /* named damage, by run_side */
	struct sight sight[2];      /* by run_side */
	struct sight dead; /* in the queue's dead-letter queue, beside what the queue gave */
	int64_t log_start, run_start;
};

/* A run of seqs in a dead-letter queue; by lane and attempt. */
struct dead_run {
	size_t lane;
	uint16_t attempt;
	uint64_t lo, hi;
};

/* One acked stretch with exact offsets, for the search of offsets that were acked twice. */
struct stretch {
	int64_t partition, first, last;
	size_t lane;
	uint64_t lo;
};

/* Where the fence of a partition of the source came out behind the relay. */
struct relay_fence {
	int64_t partition, read_partition;
	bool strayed; /* a lane of the partition is elsewhere there */
};

struct bench {
	const struct judge_plan *plan;
	struct ledger *ledger;
	struct side_lane *lane;
	size_t n_lanes, cap_lanes;
	struct stretch *stretch;
	size_t n_stretches, cap_stretches;
	struct findings *out;
	struct relay_fence *fence; /* of source partitions, read behind the relay; by partition */
	size_t n_fences, cap_fences;
	struct dead_run *dead;
	size_t n_dead, cap_dead;
};

/* ---- lanes ----------------------------------------------------------------------------------- */

static struct side_lane *lane_of(
	struct bench *b, int64_t producer_id, int64_t epoch, int64_t partition)
{
	size_t lo = 0, hi = b->n_lanes;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct side_lane *l = &b->lane[mid];
		int64_t d = l->producer_id != producer_id ? l->producer_id - producer_id
			    : l->epoch != epoch           ? l->epoch - epoch
							  : l->partition - partition;

		if (d == 0)
			return &b->lane[mid];
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

#define N_SETS 17

/* Where a lane's sets are, but for those of outcomes. */
static void sets_of(struct side_lane *l, struct seqset **ret[N_SETS])
{
	size_t n = 0;

	ret[n++] = &l->swept;
	ret[n++] = &l->cut;
	ret[n++] = &l->twice;
	ret[n++] = &l->below;
	for (int i = 0; i < 2; i++) {
		ret[n++] = &l->damaged[i];
		ret[n++] = &l->sight[i].present;
		ret[n++] = &l->sight[i].repeated;
		ret[n++] = &l->sight[i].reordered;
		ret[n++] = &l->sight[i].redelivered;
	}
	ret[n++] = &l->dead.present;
	ret[n++] = &l->dead.repeated;
	ret[n++] = &l->dead.redelivered;
}

static int new_sets(struct side_lane *l)
{
	struct seqset **set[N_SETS];

	sets_of(l, set);
	for (size_t i = 0; i < N_SETS; i++) {
		*set[i] = seqset_new();
		if (!*set[i])
			return ERR_NOMEM;
	}
	for (int i = 0; i < OUTCOME_N; i++) {
		l->outcome[i] = seqset_new();
		if (!l->outcome[i])
			return ERR_NOMEM;
	}
	return 0;
}

static void free_sets(struct side_lane *l)
{
	struct seqset **set[N_SETS];

	sets_of(l, set);
	for (size_t i = 0; i < N_SETS; i++)
		seqset_free(*set[i]);
	for (int i = 0; i < OUTCOME_N; i++)
		seqset_free(l->outcome[i]);
}

static int take_lane(const struct pg_rows *row, void *arg, struct err *e)
{
	struct bench *b = arg;
	struct side_lane *l;

	if (b->n_lanes == b->cap_lanes) {
		size_t cap = b->cap_lanes ? b->cap_lanes * 2 : 64;
		struct side_lane *more = realloc(b->lane, cap * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		b->lane = more;
		b->cap_lanes = cap;
	}
	l = &b->lane[b->n_lanes++];
	memset(l, 0, sizeof(*l));
	l->producer_id = pg_rows_i64(row, 0, 0);
	l->epoch = pg_rows_i64(row, 0, 1);
	l->partition = pg_rows_i64(row, 0, 2);
	l->nonce = pg_rows_i64(row, 0, 3);
	snprintf(l->state, sizeof(l->state), "%s", pg_rows_text(row, 0, 4));
	l->ended = pg_rows_bool(row, 0, 5);
	l->lease = pg_rows_u64(row, 0, 6);
	l->intended = pg_rows_u64(row, 0, 7);
	l->log_start = pg_rows_i64(row, 0, 8);
	l->run_start = pg_rows_i64(row, 0, 9);
	return new_sets(l) ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

/* Add to a set unless a better outcome of the same seq is there: rows come best outcome first. */
static int add_outcome(struct side_lane *l, enum outcome o, uint64_t lo, uint64_t hi)
{
	static const enum outcome order[] = {
		OUTCOME_ACKED, OUTCOME_UNKNOWN, OUTCOME_UNCONFIRMED, OUTCOME_REFUSED};
	int r = seqset_add(l->outcome[o], lo, hi, NULL);

	for (size_t i = 0; r == 0 && order[i] != o; i++) {
		struct seqset_iter it;
		struct seqrange x;

		for (bool more = seqset_seek(l->outcome[order[i]], lo, &it, &x);
			r == 0 && more && x.lo <= hi;
			more = seqset_next(l->outcome[order[i]], &it, &x))
			r = seqset_remove(
				l->outcome[o], x.lo < lo ? lo : x.lo, x.hi > hi ? hi : x.hi);
	}
	return r;
}

static int add_stretch(
	struct bench *b, const struct side_lane *l, uint64_t lo, int64_t first, int64_t last)
{
	if (b->n_stretches == b->cap_stretches) {
		size_t cap = b->cap_stretches ? b->cap_stretches * 2 : 256;
		struct stretch *more = realloc(b->stretch, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		b->stretch = more;
		b->cap_stretches = cap;
	}
	b->stretch[b->n_stretches++] =
		(struct stretch){l->partition, first, last, (size_t)(l - b->lane), lo};
	return 0;
}

static int take_outcome(const struct pg_rows *row, void *arg, struct err *e)
{
	struct bench *b = arg;
	struct side_lane *l =
		lane_of(b, pg_rows_i64(row, 0, 0), pg_rows_i64(row, 0, 1), pg_rows_i64(row, 0, 2));
	uint64_t lo = pg_rows_u64(row, 0, 3), hi = pg_rows_u64(row, 0, 4);
	int64_t first = pg_rows_i64(row, 0, 6), last = pg_rows_i64(row, 0, 7);
	bool placed = !pg_rows_is_null(row, 0, 6),
	     exact = placed && last - first == (int64_t)(hi - lo);
	enum outcome o;
	int r;

	if (!l || !outcome_parse(pg_rows_text(row, 0, 5), &o))
		return err_set(e, ERR_DEFECT, "an outcome of a lane that has no lease");
	r = add_outcome(l, o, lo, hi);
	if (r == 0 && o == OUTCOME_ACKED && exact)
		r = add_stretch(b, l, lo, first, last);
	if (r == 0 && o == OUTCOME_ACKED && !placed)
		r = seqset_add(l->below, lo, hi, NULL);
	if (r == 0 && o == OUTCOME_ACKED && placed && last < l->log_start)
		r = seqset_add(l->below, lo, hi, NULL);
	else if (r == 0 && o == OUTCOME_ACKED && exact && first < l->log_start)
		r = seqset_add(l->below, lo, lo + (uint64_t)(l->log_start - 1 - first), NULL);
	return r ? err_set(e, r, "cannot hold the outcomes: %s", err_code_text(r)) : 0;
}

static int take_history(const struct pg_rows *row, void *arg, struct err *e)
{
	struct bench *b = arg;
	struct side_lane *l =
		lane_of(b, pg_rows_i64(row, 0, 0), pg_rows_i64(row, 0, 1), pg_rows_i64(row, 0, 2));
	bool swept = strcmp(pg_rows_text(row, 0, 5), "sweep") == 0;
	int r;

	if (!l)
		return 0;
	r = seqset_add(
		swept ? l->swept : l->cut, pg_rows_u64(row, 0, 3), pg_rows_u64(row, 0, 4), NULL);
	return r ? err_set(e, r, "cannot hold the history: %s", err_code_text(r)) : 0;
}

static int compare_stretches(const void *a, const void *b)
{
	const struct stretch *x = a, *y = b;

	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Offsets that were acked more than once. Stretches sorted by offset: neighbours that overlap. */
static int find_twice(struct bench *b)
{
	int r = 0;

	if (b->n_stretches == 0)
		return 0;
	qsort(b->stretch, b->n_stretches, sizeof(*b->stretch), compare_stretches);
	for (size_t i = 0; i < b->n_stretches; i++) {
		const struct stretch *x = &b->stretch[i];

		for (size_t k = i + 1; r == 0 && k < b->n_stretches; k++) {
			const struct stretch *y = &b->stretch[k];
			int64_t from, to;

			if (y->partition != x->partition || y->first > x->last)
				break;
			from = y->first;
			to = y->last < x->last ? y->last : x->last;
			r = seqset_add(b->lane[x->lane].twice, x->lo + (uint64_t)(from - x->first),
				x->lo + (uint64_t)(to - x->first), NULL);
			if (r == 0)
				r = seqset_add(b->lane[y->lane].twice,
					y->lo + (uint64_t)(from - y->first),
					y->lo + (uint64_t)(to - y->first), NULL);
		}
	}
	return r;
}

/* ---- sets ------------------------------------------------------------------------------------- */

/* a - b - c - d, as a new set; NULL: out of memory. */
static struct seqset *minus(const struct seqset *a, const struct seqset *const *less, size_t n)
{
	struct seqset *x = seqset_new(), *y = seqset_new(), *swap;
	int r = x && y ? seqset_union(a, y, x) : ERR_NOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = seqset_subtract(x, less[i], y);
		swap = x;
		x = y;
		y = swap;
	}
	seqset_free(y);
	if (r) {
		seqset_free(x);
		return NULL;
	}
	return x;
}

static struct seqset *both(const struct seqset *a, const struct seqset *b)
{
	struct seqset *x = seqset_new();

	if (x && seqset_intersect(a, b, x)) {
		seqset_free(x);
		return NULL;
	}
	return x;
}

/* ---- what was read --------------------------------------------------------------------------- */

/* How far a lane's seqs are known to have been intended. */
static uint64_t bound_of(const struct side_lane *l, const struct tracker_ident *ident)
{
	if (!l || l->nonce != ident->nonce)
		return 0;
	if (strcmp(l->state, "complete") == 0)
		return l->intended;
	if (strcmp(l->state, "open") == 0)
		return FOR_EVER;
	return l->lease > l->intended ? l->lease : l->intended;
}

static int add_ranges(struct bench *b, enum finding_kind kind, enum stage stage,
	const struct side_lane *l, const struct seqset *s)
{
	struct seqset_iter it = {0};
	struct seqrange x;
	int r = 0;

	while (r == 0 && seqset_next(s, &it, &x))
		r = findings_add(b->out, kind, stage, l->producer_id, l->epoch, l->partition, x.lo,
			x.hi, x.hi - x.lo + 1);
	return r;
}

/* The log of a side, as far as it says what a copy is. */
static struct witness_key key_of(const struct bench *b, enum run_side side)
{
	return (struct witness_key){b->plan->run_id, side,
		side == RUN_SOURCE && b->plan->transactional ? ISOLATION_COMMITTED
							     : ISOLATION_UNCOMMITTED};
}

/* A lane's own rows, up to a bound: what stands above is a phantom, and nothing is late behind that. */
struct own_rows {
	const struct tracker_lane *lane;
	uint64_t bound;
	struct tracker *to;
};

static bool is_row_of(const struct witness_row *row, const struct tracker_ident *i)
{
	return row->producer_id == i->producer_id && row->epoch == i->epoch &&
	       row->nonce == i->nonce && row->lane == i->lane;
}

static int load_own(const struct witness_row *row, void *arg, struct err *e)
{
	struct own_rows *own = arg;
	struct tracker_run run = {
		.ident = own->lane->ident,
		.attempt = row->attempt,
		.lo = row->lo,
		.hi = row->hi < own->bound ? row->hi : own->bound,
	};

	if (!is_row_of(row, &own->lane->ident) || row->lo > own->bound)
		return 0;
	return tracker_load(own->to, own->lane->partition, &run)
		       ? err_set(e, ERR_NOMEM, "out of memory")
		       : 0;
}

/*
 * Track a lane again without its phantoms, from the rows of evidence: a phantom far ahead makes all that
 * follows look late. *ret is filled from a tracker of its own, the caller's in *ret_tracker.
 */
static int without_phantoms(struct bench *b, enum run_side side, const struct tracker_lane *lane,
	uint64_t bound, struct tracker **ret_tracker, struct tracker_lane *ret, struct err *e)
{
	struct witness_key key = key_of(b, side);
	struct own_rows own = {lane, bound, tracker_new((uint64_t)b->plan->run_id)};
	size_t at = 0;
	int r;

	*ret_tracker = own.to;
	if (!own.to)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (b->plan->queue[side])
		tracker_of_queue(own.to);
	r = witnessed_rows(b->ledger, &key, lane->partition, load_own, &own, e);
	if (r == 0 && !tracker_next_lane(own.to, &at, ret))
		r = err_set(e, ERR_DEFECT, "the ledger has no row of lane %u.%u.%u",
			lane->ident.producer_id, lane->ident.epoch, lane->ident.lane);
	return r;
}

/* Counting the copies of some seqs of a lane. */
struct copies {
	const struct tracker_ident *ident;
	const struct seqset *of;
	bool of_queue;         /* the same attempt again is no other copy */
	struct seqset **given; /* of a queue, by attempt */
	size_t n_given;
	uint64_t n;
};

static void copies_release(struct copies *c)
{
	for (size_t i = 0; i < c->n_given; i++)
		seqset_free(c->given[i]);
	free(c->given);
}

/* How many of [lo, hi] a queue had not given in this attempt before: *ret_new. */
static int note_given(
	struct copies *c, uint16_t attempt, uint64_t lo, uint64_t hi, uint64_t *ret_new)
{
	if (attempt >= c->n_given) {
		struct seqset **more = realloc(c->given, (attempt + 1u) * sizeof(struct seqset *));

		if (!more)
			return ERR_NOMEM;
		memset(more + c->n_given, 0, (attempt + 1u - c->n_given) * sizeof(struct seqset *));
		c->given = more;
		c->n_given = attempt + 1u;
	}
	if (!c->given[attempt])
		c->given[attempt] = seqset_new();
	return c->given[attempt] ? seqset_add(c->given[attempt], lo, hi, ret_new) : ERR_NOMEM;
}

static int count_copies(const struct witness_row *row, void *arg, struct err *e)
{
	struct copies *c = arg;
	struct seqset_iter it;
	struct seqrange x;
	int r = 0;

	if (!is_row_of(row, c->ident))
		return 0;
	for (bool more = seqset_seek(c->of, row->lo, &it, &x); r == 0 && more && x.lo <= row->hi;
		more = seqset_next(c->of, &it, &x)) {
		uint64_t lo = x.lo > row->lo ? x.lo : row->lo;
		uint64_t hi = x.hi < row->hi ? x.hi : row->hi, n = hi - lo + 1;

		if (c->of_queue)
			r = note_given(c, row->attempt, lo, hi, &n);
		c->n += n;
	}
	return r ? err_set(e, r, "cannot count copies: %s", err_code_text(r)) : 0;
}

/* What of a lane lies above the bound; what the source has already is not the relay's. */
static struct seqset *phantoms_of(
	struct bench *b, enum run_side side, const struct tracker_lane *t, uint64_t bound)
{
	const struct seqset *known =
		side == RUN_SOURCE ? NULL
				   : findings_seqs(b->out, FINDING_PHANTOM, STAGE_BROKER,
					     t->ident.producer_id, t->ident.epoch, t->ident.lane);
	struct seqset *above = seqset_new(), *less;
	struct seqset_iter it = {0};
	struct seqrange x;
	int r = above ? 0 : ERR_NOMEM;

	while (r == 0 && seqset_next(t->seen, &it, &x))
		if (x.hi > bound)
			r = seqset_add(above, x.lo > bound ? x.lo : bound + 1, x.hi, NULL);
	less = r == 0 ? minus(above, &known, known ? 1 : 0) : NULL;
	seqset_free(above);
	return less;
}

/* Where what happened behind the source happened: the queue behind the routed stream is the broker's. */
static enum stage stage_behind(const struct bench *b, enum finding_kind kind)
{
	if (!b->plan->routed)
		return STAGE_RELAY;
	return kind == FINDING_DUPLICATED ? STAGE_PRODUCE : STAGE_BROKER;
}

/* Each position of a lane's partition above the bound is one. */
static int add_phantoms(struct bench *b, enum run_side side, const struct tracker_lane *t,
	uint64_t bound, struct err *e)
{
	struct seqset *of = phantoms_of(b, side, t, bound);
	struct copies c = {.ident = &t->ident, .of = of};
	struct witness_key key = key_of(b, side);
	struct seqset_iter it = {0};
	struct seqrange x;
	int r = of ? 0 : ERR_NOMEM;

	if (r == 0 && seqset_count(of))
		r = witnessed_rows(b->ledger, &key, t->partition, count_copies, &c, e);
	while (r == 0 && seqset_next(of, &it, &x)) {
		r = findings_add(b->out, FINDING_PHANTOM,
			side == RUN_SOURCE ? STAGE_BROKER : stage_behind(b, FINDING_PHANTOM),
			t->ident.producer_id, t->ident.epoch, t->ident.lane, x.lo, x.hi, c.n);
		c.n = 0; /* the sum is the lane's, not the range's */
	}
	seqset_free(of);
	return r;
}

/* to = to + more; spare is overwritten. */
static int join(struct seqset **to, const struct seqset *more, struct seqset **spare)
{
	struct seqset *sum = *spare;
	int r = seqset_union(*to, more, sum);

	if (r == 0) {
		*spare = *to;
		*to = sum;
	}
	return r;
}

/* Add what one partition holds of a lane to what those before it held. */
static int add_sight(struct sight *s, const struct tracker_lane *t)
{
	struct seqset *twice = seqset_new(), *late = seqset_new(), *spare = seqset_new();
	int r = twice && late && spare ? 0 : ERR_NOMEM;

	/* the same seq on two partitions is a repeat as well, and then the later one is not late */
	if (r == 0)
		r = seqset_intersect(s->present, t->seen, twice);
	if (r == 0)
		r = seqset_subtract(t->reordered, s->present, late);
	if (r == 0)
		r = join(&s->repeated, t->repeated, &spare);
	if (r == 0)
		r = join(&s->repeated, twice, &spare);
	if (r == 0)
		r = join(&s->reordered, late, &spare);
	if (r == 0)
		r = join(&s->redelivered, t->redelivered, &spare);
	if (r == 0)
		r = join(&s->present, t->seen, &spare);
	if (r == 0)
		s->extra += t->extra + seqset_count(twice);
	seqset_free(twice);
	seqset_free(late);
	seqset_free(spare);
	return r;
}

/* One lane as it was tracked, split into what was intended and phantoms. */
static int take_tracked(
	struct bench *b, enum run_side side, const struct tracker_lane *t, struct err *e)
{
	struct side_lane *l = lane_of(b, t->ident.producer_id, t->ident.epoch, t->ident.lane);
	uint64_t bound = bound_of(l, &t->ident);
	struct tracker *again = NULL;
	struct tracker_lane clean = *t;
	int r = 0;

	if (seqset_count(t->seen) == 0)
		return 0;
	if (t->top > bound)
		r = add_phantoms(b, side, t, bound, e);
	if (r || bound == 0 || seqset_min(t->seen) > bound)
		return r;
	if (t->top > bound)
		r = without_phantoms(b, side, t, bound, &again, &clean, e);
	if (r == 0)
		r = add_sight(&l->sight[side], &clean);
	tracker_free(again);
	return r;
}

static int take_side(struct bench *b, enum run_side side, struct err *e)
{
	struct tracker *t = side == RUN_TARGET       ? b->plan->target
			    : b->plan->transactional ? b->plan->committed
						     : b->plan->source;
	struct tracker_lane lane;
	size_t at = 0;
	int r = 0;

	while (r == 0 && t && tracker_next_lane(t, &at, &lane))
		r = take_tracked(b, side, &lane, e);
	return r;
}

/* ---- dead letters ---------------------------------------------------------------------------- */

static int take_dead(const struct removed_dead *d, void *arg, struct err *e)
{
	struct tracker_ident ident = {d->producer_id, d->epoch, d->nonce, d->lane};
	struct bench *b = arg;
	struct side_lane *l = lane_of(b, d->producer_id, d->epoch, d->lane);
	uint64_t bound = bound_of(l, &ident), hi = d->hi < bound ? d->hi : bound;

	if (d->lo > bound)
		return 0;
	if (b->n_dead == b->cap_dead) {
		size_t cap = b->cap_dead ? b->cap_dead * 2 : 64;
		struct dead_run *more = realloc(b->dead, cap * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		b->dead = more;
		b->cap_dead = cap;
	}
	b->dead[b->n_dead++] = (struct dead_run){(size_t)(l - b->lane), d->attempt, d->lo, hi};
	return seqset_add(l->dead.present, d->lo, hi, NULL) ? err_set(e, ERR_NOMEM, "out of memory")
							    : 0;
}

/* In which attempts the queue gave what is in the dead-letter queue too. */
static int given_of(struct bench *b, const struct side_lane *l, struct copies *ret, struct err *e)
{
	struct witness_key key = key_of(b, RUN_SOURCE);
	struct tracker_lane t;
	size_t at = 0;
	int r = 0;

	while (r == 0 && tracker_next_lane(b->plan->source, &at, &t)) {
		if (lane_of(b, t.ident.producer_id, t.ident.epoch, t.ident.lane) != l ||
			t.ident.nonce != l->nonce)
			continue;
		ret->ident = &t.ident;
		r = witnessed_rows(b->ledger, &key, t.partition, count_copies, ret, e);
	}
	return r;
}

/* One attempt: the queue gave the same, or another one, or only dead letters are there. `before`: dead, earlier. */
static int add_dead(struct side_lane *l, const struct dead_run *d, const struct seqset *same,
	struct seqset *before)
{
	struct seqset *mine = seqset_new(), *known = seqset_new(), *again = NULL, *rest = NULL,
		      *repeated = NULL, *spare = seqset_new();
	int r = mine && known && spare ? seqset_add(mine, d->lo, d->hi, NULL) : ERR_NOMEM;

	if (r == 0)
		r = seqset_union(l->sight[RUN_SOURCE].present, before, known);
	if (r == 0) {
		again = same ? both(mine, same)
			     : minus(mine, (const struct seqset *const[]){mine}, 1);
		rest = again ? minus(mine, (const struct seqset *const[]){again}, 1) : NULL;
		repeated = rest ? both(rest, known) : NULL;
		r = repeated ? join(&l->dead.redelivered, again, &spare) : ERR_NOMEM;
	}
	if (r == 0)
		r = join(&l->dead.repeated, repeated, &spare);
	if (r == 0) {
		l->dead.extra += seqset_count(repeated);
		r = seqset_add(before, d->lo, d->hi, NULL);
	}
	seqset_free(mine);
	seqset_free(known);
	seqset_free(again);
	seqset_free(rest);
	seqset_free(repeated);
	seqset_free(spare);
	return r;
}

/* The dead letters of one lane, b->dead[from] to b->dead[to - 1]. */
static int judge_dead_lane(struct bench *b, size_t from, size_t to, struct err *e)
{
	struct side_lane *l = &b->lane[b->dead[from].lane];
	struct copies given = {.of = l->dead.present, .of_queue = true};
	struct seqset *before = seqset_new();
	int r = before ? given_of(b, l, &given, e) : ERR_NOMEM;

	for (size_t i = from; r == 0 && i < to; i++)
		r = add_dead(l, &b->dead[i],
			b->dead[i].attempt < given.n_given ? given.given[b->dead[i].attempt] : NULL,
			before);
	copies_release(&given);
	seqset_free(before);
	return r;
}

static int judge_dead(struct bench *b, struct err *e)
{
	size_t from = 0;
	int r = 0;

	if (b->plan->queue[RUN_SOURCE])
		r = removed_each_dead(b->ledger, b->plan->run_id, take_dead, b, e);
	for (size_t i = 1; r == 0 && i <= b->n_dead; i++) {
		if (i < b->n_dead && b->dead[i].lane == b->dead[from].lane)
			continue;
		r = judge_dead_lane(b, from, i, e);
		from = i;
	}
	return r;
}

static int turn_lost(struct bench *b, enum finding_kind to)
{
	int r = findings_turn(b->out, FINDING_LOST, STAGE_BROKER, to, STAGE_BROKER);

	return r ? r : findings_turn(b->out, FINDING_LOST, STAGE_PRODUCE, to, STAGE_BROKER);
}

/*
 * What the nodes counted names nobody: it tells only where it is exact and accounts for all that is missing, with
 * nothing in doubt.
 */
static int judge_counts(struct bench *b)
{
	uint64_t missing = findings_count(b->out, FINDING_LOST, STAGE_BROKER) +
			   findings_count(b->out, FINDING_LOST, STAGE_PRODUCE);
	bool in_doubt = false;

	for (int g = 0; g < STAGE_N; g++)
		in_doubt |= findings_count(b->out, FINDING_UNACKNOWLEDGED, (enum stage)g) ||
			    findings_count(b->out, FINDING_UNREAD, (enum stage)g) ||
			    findings_count(b->out, FINDING_PENDING, (enum stage)g);
	for (size_t i = 0; i < b->n_lanes; i++)
		in_doubt |= strcmp(b->lane[i].state, "complete") != 0;
	if (!b->plan->counts_exact || in_doubt || missing == 0 || b->plan->removed != missing ||
		b->plan->unroutable)
		return 0;
	return turn_lost(b, FINDING_EXPIRED);
}

/* What nobody can have any more: with the queue all of it went. */
static int judge_removals(struct bench *b)
{
	if (!b->plan->queue[RUN_SOURCE] || !b->plan->complete)
		return 0;
	if (b->plan->gone)
		return turn_lost(b, b->plan->expired ? FINDING_EXPIRED : FINDING_UNREAD);
	return judge_counts(b);
}

/* ---- findings -------------------------------------------------------------------------------- */

/* Not given by the queue, but to its dead-letter queue. */
static int add_removed(struct bench *b, const struct side_lane *l, enum outcome o)
{
	struct seqset *dead = both(l->outcome[o], l->dead.present);
	struct seqset *removed =
		dead ? minus(dead,
			       (const struct seqset *const[]){
				       l->sight[RUN_SOURCE].present, l->damaged[RUN_SOURCE]},
			       2)
		     : NULL;
	int r = removed ? add_ranges(b, FINDING_EXPIRED, STAGE_BROKER, l, removed) : ERR_NOMEM;

	seqset_free(dead);
	seqset_free(removed);
	return r;
}

static int judge_promised(
	struct bench *b, struct side_lane *l, enum outcome o, enum stage lost_stage)
{
	const struct seqset *there[] = {
		l->sight[RUN_SOURCE].present, l->damaged[RUN_SOURCE], l->dead.present};
	struct seqset *absent = minus(l->outcome[o], there, 3);
	const struct seqset *known[] = {l->swept, l->cut, l->twice};
	struct seqset *expired = absent ? both(absent, l->swept) : NULL;
	struct seqset *untold = absent ? minus(absent, known, o == OUTCOME_ACKED ? 3 : 2) : NULL;
	struct seqset *unread = NULL, *lost = NULL, *proved = NULL, *pending = NULL;
	bool began_later = l->log_start > l->run_start;
	int r = absent && expired && untold ? add_removed(b, l, o) : ERR_NOMEM;

	if (r == 0) {
		struct seqset *none = seqset_new();

		if (b->plan->compacted || (o == OUTCOME_UNCONFIRMED && began_later))
			unread = both(untold, untold);
		else if (o == OUTCOME_ACKED && began_later)
			unread = both(untold, l->below);
		else
			unread = none ? both(untold, none) : NULL;
		seqset_free(none);
	}
	if (unread) {
		const struct seqset *gone[] = {expired, unread};

		lost = minus(absent, gone, 2);
	}
	r = lost ? 0 : ERR_NOMEM;
	if (r == 0 && !b->plan->complete) {
		/* not read to the end: only what is proved gone is lost, the rest may come yet */
		const struct seqset *none[] = {l->swept};
		struct seqset *cut = minus(l->cut, none, 1), *sure = seqset_new();

		if (!cut || !sure || seqset_union(cut, l->twice, sure))
			r = ERR_NOMEM;
		if (r == 0 && o == OUTCOME_UNCONFIRMED)
			r = seqset_union(cut, cut, sure);
		proved = r == 0 ? both(lost, sure) : NULL;
		pending = proved ? minus(lost, (const struct seqset *const[]){proved}, 1) : NULL;
		r = pending ? add_ranges(b, FINDING_PENDING, lost_stage, l, pending) : ERR_NOMEM;
		seqset_free(cut);
		seqset_free(sure);
	}
	if (r == 0)
		r = add_ranges(b, FINDING_EXPIRED, STAGE_BROKER, l, expired);
	if (r == 0)
		r = add_ranges(b, FINDING_UNREAD, STAGE_BROKER, l, unread);
	if (r == 0)
		r = add_ranges(b, FINDING_LOST, lost_stage, l, proved ? proved : lost);
	seqset_free(absent);
	seqset_free(expired);
	seqset_free(untold);
	seqset_free(unread);
	seqset_free(lost);
	seqset_free(proved);
	seqset_free(pending);
	return r;
}

/* Seqs that were intended and got no outcome at all. */
static struct seqset *silent_of(const struct side_lane *l)
{
	const struct seqset *said[] = {l->outcome[OUTCOME_ACKED], l->outcome[OUTCOME_UNKNOWN],
		l->outcome[OUTCOME_UNCONFIRMED], l->outcome[OUTCOME_REFUSED]};
	struct seqset *all = seqset_new(), *silent = NULL;

	if (all && (l->intended == 0 || seqset_add(all, 1, l->intended, NULL) == 0))
		silent = minus(all, said, 4);
	seqset_free(all);
	return silent;
}

/* Told no, and yet it is there, once. */
static int judge_refused(struct bench *b, const struct side_lane *l)
{
	const struct seqset *repeated[] = {l->sight[RUN_SOURCE].repeated, l->dead.repeated};
	struct seqset *there = seqset_new(), *told_no = NULL, *x = NULL;
	int r = there ? seqset_union(l->sight[RUN_SOURCE].present, l->dead.present, there)
		      : ERR_NOMEM;

	if (r == 0) {
		told_no = both(l->outcome[OUTCOME_REFUSED], there);
		x = told_no ? minus(told_no, repeated, 2) : NULL;
		r = x ? add_ranges(b, FINDING_FALSE_REFUSAL, STAGE_PRODUCE, l, x) : ERR_NOMEM;
	}
	seqset_free(there);
	seqset_free(told_no);
	seqset_free(x);
	return r;
}

static int judge_unpromised(struct bench *b, struct side_lane *l)
{
	const struct seqset *there[] = {
		l->sight[RUN_SOURCE].present, l->damaged[RUN_SOURCE], l->dead.present};
	enum finding_kind absent_kind =
		b->plan->complete ? FINDING_UNACKNOWLEDGED : FINDING_PENDING;
	struct seqset *silent = silent_of(l), *x = NULL;
	int r = silent ? 0 : ERR_NOMEM;

	if (r == 0) {
		x = minus(l->outcome[OUTCOME_UNKNOWN], there, 3);
		r = x ? add_ranges(b, absent_kind, STAGE_PRODUCE, l, x) : ERR_NOMEM;
		seqset_free(x);
	}
	if (r == 0 && l->ended && strcmp(l->state, "complete") == 0) {
		x = minus(silent, there, 3);
		r = x ? add_ranges(b, absent_kind, STAGE_PRODUCE, l, x) : ERR_NOMEM;
		seqset_free(x);
	}
	if (r == 0) {
		x = minus(l->outcome[OUTCOME_REFUSED], there, 3);
		r = x ? add_ranges(b, FINDING_REFUSED, STAGE_PRODUCE, l, x) : ERR_NOMEM;
		seqset_free(x);
	}
	if (r == 0)
		r = judge_refused(b, l);
	seqset_free(silent);
	return r;
}

/* Ranges of repeats, with all extra copies of the lane counted on them. */
static int add_repeats(struct bench *b, enum stage stage, const struct side_lane *l,
	const struct seqset *seqs, uint64_t extra)
{
	struct seqset_iter it = {0};
	struct seqrange x;
	int r = 0;

	while (r == 0 && seqset_next(seqs, &it, &x)) {
		r = findings_add(b->out, FINDING_DUPLICATED, stage, l->producer_id, l->epoch,
			l->partition, x.lo, x.hi, extra);
		extra = 0;
	}
	return r;
}

/* What was given again, by the queue or to its dead-letter queue, each once; what was routed twice is not that. */
static int judge_redelivered(struct bench *b, struct side_lane *l)
{
	const struct seqset *twice = l->sight[RUN_SOURCE].repeated;
	struct seqset *again = NULL;
	int r = 0;

	if (b->plan->routed) {
		again = minus(l->sight[RUN_TARGET].redelivered, &twice, 1);
	} else {
		again = seqset_new();
		r = again ? seqset_union(
				    l->sight[RUN_SOURCE].redelivered, l->dead.redelivered, again)
			  : ERR_NOMEM;
	}
	if (r == 0)
		r = again ? add_ranges(b, FINDING_REDELIVERED, STAGE_CONSUME, l, again) : ERR_NOMEM;
	seqset_free(again);
	return r;
}

/* How many copies there are of some seqs of a lane on a side, over all partitions. */
static int count_on(struct bench *b, enum run_side side, const struct side_lane *l,
	const struct seqset *of, uint64_t *ret, struct err *e)
{
	struct copies c = {.of = of, .of_queue = b->plan->queue[side]};
	struct tracker *t = side == RUN_TARGET ? b->plan->target : b->plan->source;
	struct witness_key key = key_of(b, side);
	struct tracker_lane lane;
	size_t at = 0;
	int r = 0;

	while (r == 0 && seqset_count(of) && tracker_next_lane(t, &at, &lane)) {
		if (lane_of(b, lane.ident.producer_id, lane.ident.epoch, lane.ident.lane) != l ||
			lane.ident.nonce != l->nonce)
			continue;
		c.ident = &lane.ident;
		r = witnessed_rows(b->ledger, &key, lane.partition, count_copies, &c, e);
	}
	*ret = c.n;
	copies_release(&c);
	return r;
}

/* Of what was routed twice the queue may have refused one: a repeat is what it gave more than once. */
static int judge_repeated(struct bench *b, struct side_lane *l, struct err *e)
{
	const struct sight *source = &l->sight[RUN_SOURCE], *target = &l->sight[RUN_TARGET];
	struct seqset *given, *twice = NULL;
	uint64_t n = 0;
	int r;

	if (!b->plan->routed)
		return add_repeats(b, STAGE_PRODUCE, l, source->repeated, source->extra);
	given = seqset_new();
	r = given ? seqset_union(target->repeated, target->redelivered, given) : ERR_NOMEM;
	if (r == 0)
		twice = both(source->repeated, given);
	r = r ? r : twice ? count_on(b, RUN_SOURCE, l, twice, &n, e) : ERR_NOMEM;
	if (r == 0)
		r = add_repeats(b, STAGE_PRODUCE, l, twice, n - seqset_count(twice));
	seqset_free(given);
	seqset_free(twice);
	return r;
}

static int judge_lane(struct bench *b, struct side_lane *l, struct err *e)
{
	int r = judge_promised(b, l, OUTCOME_ACKED, STAGE_BROKER);

	if (r == 0)
		r = judge_promised(b, l, OUTCOME_UNCONFIRMED, STAGE_PRODUCE);
	if (r == 0)
		r = judge_unpromised(b, l);
	if (r == 0)
		r = judge_repeated(b, l, e);
	if (r == 0)
		r = add_ranges(
			b, FINDING_REORDERED, STAGE_PRODUCE, l, l->sight[RUN_SOURCE].reordered);
	if (r == 0)
		r = add_repeats(b, STAGE_PRODUCE, l, l->dead.repeated, l->dead.extra);
	return r ? r : judge_redelivered(b, l);
}

/* ---- behind a relay -------------------------------------------------------------------------- */

static struct relay_fence *fence_of(struct bench *b, int64_t partition)
{
	size_t lo = 0, hi = b->n_fences;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->fence[mid].partition == partition)
			return &b->fence[mid];
		if (b->fence[mid].partition < partition)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* A message of a partition's lane was read on a partition behind the relay. */
static void note_stray(struct bench *b, const struct side_lane *l, int64_t read_partition)
{
	struct relay_fence *f = fence_of(b, l->partition);

	if (f && f->read_partition != read_partition)
		f->strayed = true;
}

/* Which fences have lanes that did not stay with them: those prove nothing of what is absent. */
static void find_strays(struct bench *b)
{
	struct tracker_lane t;
	size_t at = 0;

	while (tracker_next_lane(b->plan->target, &at, &t)) {
		const struct side_lane *l =
			lane_of(b, t.ident.producer_id, t.ident.epoch, t.ident.lane);

		if (l && seqset_count(t.seen) && seqset_min(t.seen) <= bound_of(l, &t.ident))
			note_stray(b, l, t.partition);
	}
}

/* Has everything of a partition's lanes that came before its fence come through the relay? */
static bool is_proved(struct bench *b, int64_t partition)
{
	const struct relay_fence *f = fence_of(b, partition);

	return f && !f->strayed;
}

/* Extra copies behind the relay of what the source has more than once already: not the relay's. */
static int not_the_relays(struct bench *b, const struct side_lane *l, uint64_t *ret, struct err *e)
{
	struct seqset *of = both(l->sight[RUN_TARGET].repeated, l->sight[RUN_SOURCE].repeated);
	uint64_t n = 0;
	int r = of ? count_on(b, RUN_TARGET, l, of, &n, e) : ERR_NOMEM;

	*ret = of ? n - seqset_count(of) : 0;
	seqset_free(of);
	return r;
}

static int judge_relay(struct bench *b, struct side_lane *l, struct err *e)
{
	const struct sight *source = &l->sight[RUN_SOURCE], *target = &l->sight[RUN_TARGET];
	bool comparable = b->plan->complete && b->plan->behind &&
			  (b->plan->relay_bounded || is_proved(b, l->partition));
	struct seqset *absent = minus(source->present,
		(const struct seqset *const[]){target->present, l->damaged[RUN_TARGET]}, 2);
	struct seqset *repeated =
		minus(target->repeated, (const struct seqset *const[]){source->repeated}, 1);
	struct seqset *reordered =
		minus(target->reordered, (const struct seqset *const[]){source->reordered}, 1);
	uint64_t others = 0;
	int r = absent && repeated && reordered ? 0 : ERR_NOMEM;

	if (r == 0)
		r = add_ranges(b, comparable ? FINDING_LOST : FINDING_PENDING,
			stage_behind(b, FINDING_LOST), l, absent);
	if (r == 0)
		r = not_the_relays(b, l, &others, e);
	if (r == 0)
		r = add_repeats(b, stage_behind(b, FINDING_DUPLICATED), l, repeated,
			target->extra - others);
	if (r == 0)
		r = add_ranges(
			b, FINDING_REORDERED, stage_behind(b, FINDING_REORDERED), l, reordered);
	/* by the same attempt a queue's redelivery and what came through twice look alike */
	if (r == 0 && !b->plan->routed)
		r = add_ranges(b, FINDING_REDELIVERED, STAGE_RELAY, l, target->redelivered);
	seqset_free(absent);
	seqset_free(repeated);
	seqset_free(reordered);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int take_fenced(const struct pg_rows *row, void *arg, struct err *e)
{
	struct bench *b = arg;

	if (b->n_fences == b->cap_fences) {
		size_t cap = b->cap_fences ? b->cap_fences * 2 : 64;
		struct relay_fence *more = realloc(b->fence, cap * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		b->fence = more;
		b->cap_fences = cap;
	}
	b->fence[b->n_fences++] =
		(struct relay_fence){pg_rows_i64(row, 0, 0), pg_rows_i64(row, 0, 1), false};
	return 0;
}

/*
 * A damaged position on the source without a name: it is the absent message that was acked there; of
 * several the last, by producer, epoch and seq.
 */
static void name_damage(struct bench *b, int64_t partition, int64_t offset,
	struct side_lane **ret_lane, uint64_t *ret_seq)
{
	*ret_lane = NULL;
	for (size_t i = 0; i < b->n_stretches; i++) {
		const struct stretch *s = &b->stretch[i];
		struct side_lane *l = &b->lane[s->lane];
		uint64_t seq;

		if (s->partition != partition || offset < s->first || offset > s->last)
			continue;
		seq = s->lo + (uint64_t)(offset - s->first);
		if (seqset_has(l->sight[RUN_SOURCE].present, seq) ||
			(*ret_lane && (l < *ret_lane || (l == *ret_lane && seq < *ret_seq))))
			continue;
		*ret_lane = l;
		*ret_seq = seq;
	}
}

struct damage_pass {
	struct bench *b;
	enum run_side side;
};

static int take_damage(const struct pg_rows *row, void *arg, struct err *e)
{
	struct damage_pass *p = arg;
	struct bench *b = p->b;
	enum stage stage =
		p->side == RUN_TARGET ? stage_behind(b, FINDING_CORRUPTED) : STAGE_BROKER;
	int64_t partition = pg_rows_i64(row, 0, 0), id = 0, epoch = 0, lane = partition;
	bool named = !pg_rows_is_null(row, 0, 2),
	     foreign = strcmp(pg_rows_text(row, 0, 6), "foreign") == 0;
	const struct seqset *known;
	struct side_lane *l = NULL;
	uint64_t seq = 0;
	int r = 0;

	if (named) {
		id = pg_rows_i64(row, 0, 2);
		epoch = pg_rows_i64(row, 0, 3);
		lane = pg_rows_i64(row, 0, 4);
		seq = pg_rows_u64(row, 0, 5);
		l = lane_of(b, id, epoch, lane);
	} else if (p->side == RUN_SOURCE) {
		name_damage(b, partition, pg_rows_i64(row, 0, 1), &l, &seq);
		if (l) {
			id = l->producer_id;
			epoch = l->epoch;
			lane = l->partition;
		}
	}
	if (foreign && !l)
		return 0;
	if (p->side == RUN_TARGET && named && l)
		note_stray(b, l, partition);
	if (l && seq)
		r = seqset_add(l->damaged[p->side], seq, seq, NULL);
	/* behind a relay only what the source had right is the relay's */
	if (r == 0 && p->side == RUN_TARGET && named &&
		(known = l ? l->damaged[RUN_SOURCE]
			   : findings_seqs(
				     b->out, FINDING_CORRUPTED, STAGE_BROKER, id, epoch, lane)) &&
		seqset_has(known, seq))
		return 0;
	if (r == 0)
		r = findings_add(b->out, FINDING_CORRUPTED, stage, id, epoch, lane, seq, seq, 1);
	return r ? err_set(e, r, "cannot hold the damage: %s", err_code_text(r)) : 0;
}

static int query(struct bench *b, const char *sql, bool with_judgement,
	int (*each)(const struct pg_rows *row, void *arg, struct err *e), void *arg, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, b->plan->run_id);
	if (with_judgement)
		pg_arg_i64(&args, b->plan->judgement);
	return pg_query_each(ledger_pg(b->ledger), sql, &args, QUERY_TIMEOUT, each, arg, e);
}

static int load(struct bench *b, struct err *e)
{
	int r = query(b,
		"select g.producer_id, g.epoch, g.partition, p.nonce, p.journal_state, p.ended is not null, g.hi, "
		"coalesce((select max(hi) from mqaudit.intent i where i.run_id = g.run_id "
		"and i.producer_id = g.producer_id and i.epoch = g.epoch and i.partition = g.partition), 0), "
		"coalesce(w.log_start, 0), coalesce(s.start_offset, 0) "
		"from mqaudit.lease g join mqaudit.producer p using (run_id, producer_id, epoch) "
		"left join mqaudit.witness_position w on w.run_id = g.run_id and w.side = 'source' "
		"and w.isolation = 'uncommitted' and w.partition = g.partition "
		"left join mqaudit.run_partition s on s.run_id = g.run_id and s.side = 'source' "
		"and s.partition = g.partition where g.run_id = $1 order by 1, 2, 3",
		false, take_lane, b, e);

	if (r == 0)
		r = query(b,
			"select producer_id, epoch, partition, lo, hi, outcome, first_offset, last_offset "
			"from mqaudit.outcome where run_id = $1 order by array_position("
			"array['acked', 'unknown', 'unconfirmed', 'refused'], outcome::text), "
			"producer_id, epoch, partition, lo",
			false, take_outcome, b, e);
	if (r == 0)
		r = query(b,
			b->plan->transactional
				? "select w.producer_id, w.epoch, w.lane, w.lo, w.hi, g.cause "
				  "from mqaudit.witness w join mqaudit.generation g using (run_id, side, "
				  "isolation, partition) where w.run_id = $1 and w.side = 'source' "
				  "and w.isolation = 'committed' and g.generation = w.superseded"
				: "select w.producer_id, w.epoch, w.lane, w.lo, w.hi, g.cause "
				  "from mqaudit.witness w join mqaudit.generation g using (run_id, side, "
				  "isolation, partition) where w.run_id = $1 and w.side = 'source' "
				  "and w.isolation = 'uncommitted' and g.generation = w.superseded",
			false, take_history, b, e);
	if (r == 0)
		r = query(b,
			"select partition, read_partition from mqaudit.fence f where run_id = $1 "
			"and judgement = $2 and side = 'target' and read is not null "
			"and number = (select max(number) from mqaudit.fence g where g.run_id = f.run_id "
			"and g.judgement = f.judgement and g.side = f.side and g.partition = f.partition "
			"and g.read is not null) order by partition",
			true, take_fenced, b, e);
	return r;
}

static int load_damage(struct bench *b, enum run_side side, struct err *e)
{
	struct damage_pass pass = {b, side};

	return query(b,
		side == RUN_TARGET
			? "select partition, \"offset\", producer_id, epoch, lane, seq, what "
			  "from mqaudit.witness_corrupted where run_id = $1 "
			  "and side = 'target' and superseded is null"
			: "select partition, \"offset\", producer_id, epoch, lane, seq, what "
			  "from mqaudit.witness_corrupted where run_id = $1 "
			  "and side = 'source' and isolation = 'uncommitted' "
			  "and superseded is null",
		false, take_damage, &pass, e);
}

static int take_inconsistent(const struct pg_rows *row, void *arg, struct err *e)
{
	struct bench *b = arg;
	enum stage stage =
		strcmp(pg_rows_text(row, 0, 0), "source") == 0 ? STAGE_BROKER : STAGE_RELAY;

	return findings_add(
		       b->out, FINDING_INCONSISTENT, stage, 0, 0, pg_rows_i64(row, 0, 1), 0, 0, 1)
		       ? err_set(e, ERR_NOMEM, "out of memory")
		       : 0;
}

static int load_inconsistent(struct bench *b, struct err *e)
{
	return query(b,
		"select distinct side, partition, \"offset\" from mqaudit.witness_inconsistent "
		"where run_id = $1",
		false, take_inconsistent, b, e);
}

/* to = a + b. */
static int put_union(struct seqset **to, const struct seqset *a, const struct seqset *b)
{
	struct seqset *sum = seqset_new();
	int r = sum ? seqset_union(a, b, sum) : ERR_NOMEM;

	if (r) {
		seqset_free(sum);
		return r;
	}
	seqset_free(*to);
	*to = sum;
	return 0;
}

/*
 * What is there of a lane, as far as it must be behind the source as well. A queue that only the relay reads is
 * taken to have had what was acked. Of what was routed the queue owes what was promised; for the rest it is
 * what the queue gave that is there.
 */
static int assume_present(const struct bench *b, struct side_lane *l)
{
	struct sight *source = &l->sight[RUN_SOURCE], *target = &l->sight[RUN_TARGET];
	struct seqset *owed;
	int r;

	if (!b->plan->source) {
		r = put_union(&source->present, l->outcome[OUTCOME_ACKED], target->present);
		return r ? r
			 : put_union(&l->damaged[RUN_SOURCE], l->damaged[RUN_TARGET],
				   l->damaged[RUN_TARGET]);
	}
	if (!b->plan->routed)
		return 0;
	owed = seqset_new();
	r = owed ? seqset_union(l->outcome[OUTCOME_ACKED], l->outcome[OUTCOME_UNCONFIRMED], owed)
		 : ERR_NOMEM;
	if (r == 0) {
		struct seqset *x = both(source->present, owed);

		r = x ? put_union(&source->present, x, target->present) : ERR_NOMEM;
		seqset_free(x);
	}
	seqset_free(owed);
	return r;
}

static int judge_all(struct bench *b, struct err *e)
{
	int r = find_twice(b);

	if (r == 0)
		r = load_inconsistent(b, e);

	for (int side = RUN_SOURCE; r == 0 && side <= (b->plan->target ? RUN_TARGET : RUN_SOURCE);
		side++) {
		r = take_side(b, (enum run_side)side, e);
		if (r == 0)
			r = load_damage(b, (enum run_side)side, e);
	}
	if (r == 0)
		r = judge_dead(b, e);
	if (r == 0 && b->plan->target)
		find_strays(b);
	for (size_t i = 0; r == 0 && i < b->n_lanes; i++)
		r = assume_present(b, &b->lane[i]);
	for (size_t i = 0; r == 0 && i < b->n_lanes; i++) {
		r = judge_lane(b, &b->lane[i], e);
		if (r == 0 && b->plan->target)
			r = judge_relay(b, &b->lane[i], e);
	}
	if (r == 0)
		r = judge_removals(b);
	if (r && e->code != r)
		err_set(e, r, "cannot judge in memory: %s", err_code_text(r));
	return r;
}

int judge_in_memory(
	struct ledger *l, const struct judge_plan *plan, struct findings **ret, struct err *e)
{
	struct bench b = {.plan = plan, .ledger = l, .out = findings_new()};
	int r;

	err_clear(e);
	if (!b.out)
		r = err_set(e, ERR_NOMEM, "out of memory");
	else
		r = load(&b, e);
	if (r == 0)
		r = judge_all(&b, e);
	for (size_t i = 0; i < b.n_lanes; i++)
		free_sets(&b.lane[i]);
	free(b.lane);
	free(b.stretch);
	free(b.fence);
	free(b.dead);
	if (r) {
		findings_free(b.out);
		return r;
	}
	*ret = b.out;
	return 0;
}
