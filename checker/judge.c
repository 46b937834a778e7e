#include "checker/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/ledger/run.h"
#include "core/ledger/witnessed.h"

#define QUERY_TIMEOUT (600 * NS_PER_S)
#define FOR_EVER ((uint64_t)INT64_MAX - 1)

/* What the probes said of a lane. */
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
	struct seqset *damaged;     /* named damage on the source */
	struct seqset *present, *repeated, *reordered; /* on the source */
	uint64_t extra, copies;
	int64_t log_start, run_start;
};

/* One acked stretch with exact offsets, for the search of offsets that were acked twice. */
struct stretch {
	int64_t partition, first, last;
	size_t lane;
	uint64_t lo;
};

struct bench {
	const struct judge_plan *plan;
	struct ledger *ledger;
	struct side_lane *lane;
	size_t n_lanes, cap_lanes;
	struct stretch *stretch;
	size_t n_stretches, cap_stretches;
	struct findings *out;
	uint64_t unnamed[2];   /* not used for sums, see damage */
	struct seqset *fenced; /* source partitions whose fence was read behind the relay */
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

static int new_sets(struct side_lane *l)
{
	struct seqset **sets[] = {&l->swept, &l->cut, &l->twice, &l->below, &l->damaged,
		&l->present, &l->repeated, &l->reordered};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		*sets[i] = seqset_new();
		if (!*sets[i])
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
	struct seqset *sets[] = {l->swept, l->cut, l->twice, l->below, l->damaged, l->present,
		l->repeated, l->reordered};

	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		seqset_free(sets[i]);
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

/*
 * The part of a set at or below the bound into `to`; what lies above is phantom. extra: further copies of
 * phantoms.
 */
static int split(struct bench *b, const struct tracker_lane *t, uint64_t extra, uint64_t bound,
	enum stage stage, bool report, struct seqset *to)
{
	struct seqset_iter it = {0};
	struct seqrange x;
	int r = 0;

	while (r == 0 && seqset_next(t->seen, &it, &x)) {
		if (x.lo <= bound)
			r = seqset_add(to, x.lo, x.hi < bound ? x.hi : bound, NULL);
		if (r == 0 && report && x.hi > bound) {
			uint64_t lo = x.lo > bound ? x.lo : bound + 1;

			r = findings_add(b->out, FINDING_PHANTOM, stage, t->ident.producer_id,
				t->ident.epoch, t->ident.lane, lo, x.hi, x.hi - lo + 1);
		}
	}
	/* further copies of phantoms count too, as the SQL judge counts positions */
	if (r == 0 && report && extra && seqset_count(t->repeated)) {
		it = (struct seqset_iter){0};
		while (r == 0 && seqset_next(t->repeated, &it, &x)) {
			if (x.lo <= bound)
				continue;
			r = findings_add(b->out, FINDING_PHANTOM, stage, t->ident.producer_id,
				t->ident.epoch, t->ident.lane, x.lo, x.hi, extra);
			extra = 0; /* the sum is the lane's, not the range's */
		}
	}
	return r;
}

/* A lane's own rows, up to a bound: what stands above is a phantom, and nothing is late behind that. */
struct own_rows {
	const struct tracker_lane *lane;
	uint64_t bound;
	struct tracker *to;
};

static int load_own(const struct witness_row *row, void *arg, struct err *e)
{
	struct own_rows *own = arg;
	const struct tracker_ident *i = &own->lane->ident;
	struct tracker_run run = {
		.ident = *i,
		.attempt = row->attempt,
		.lo = row->lo,
		.hi = row->hi < own->bound ? row->hi : own->bound,
	};

	if (row->producer_id != i->producer_id || row->epoch != i->epoch ||
		row->nonce != i->nonce || row->lane != i->lane || row->lo > own->bound)
		return 0;
	return tracker_load(own->to, own->lane->partition, &run)
		       ? err_set(e, ERR_NOMEM, "out of memory")
		       : 0;
}

/*
 * Track a lane again without its phantoms, from the rows of evidence: a phantom far ahead makes all that
 * follows look late. *ret is filled from a tracker of its own, the caller's in *ret_tracker.
 */
static int without_phantoms(struct bench *b, const struct tracker_lane *lane, uint64_t bound,
	struct tracker **ret_tracker, struct tracker_lane *ret, struct err *e)
{
	struct witness_key key = {b->plan->run_id, RUN_SOURCE,
		b->plan->transactional ? ISOLATION_COMMITTED : ISOLATION_UNCOMMITTED};
	struct own_rows own = {lane, bound, tracker_new((uint64_t)b->plan->run_id)};
	size_t at = 0;
	int r;

	*ret_tracker = own.to;
	if (!own.to)
		return err_set(e, ERR_NOMEM, "out of memory");
	r = witnessed_rows(b->ledger, &key, lane->partition, load_own, &own, e);
	if (r == 0 && !tracker_next_lane(own.to, &at, ret))
		r = err_set(e, ERR_DEFECT, "the ledger has no row of lane %u.%u.%u",
			lane->ident.producer_id, lane->ident.epoch, lane->ident.lane);
	return r;
}

/* Add a lane's repeats and its disorder; nothing in it is above the bound. */
static int add_disorder(struct side_lane *l, const struct tracker_lane *t)
{
	struct seqset_iter it = {0};
	struct seqrange x;
	int r = 0;

	while (r == 0 && seqset_next(t->repeated, &it, &x))
		r = seqset_add(l->repeated, x.lo, x.hi, NULL);
	it = (struct seqset_iter){0};
	while (r == 0 && seqset_next(t->reordered, &it, &x))
		r = seqset_add(l->reordered, x.lo, x.hi, NULL);
	l->extra += t->extra;
	return r;
}

/* One lane as it was tracked, split into what was intended and phantoms. */
static int take_source_lane(struct bench *b, const struct tracker_lane *t, struct err *e)
{
	struct side_lane *l = lane_of(b, t->ident.producer_id, t->ident.epoch, t->ident.lane);
	uint64_t bound = bound_of(l, &t->ident);
	struct seqset *none = !l || bound == 0 ? seqset_new() : NULL;
	struct tracker *again = NULL;
	struct tracker_lane clean = *t;
	bool mixed = !none && t->top > bound && seqset_min(t->seen) <= bound;
	int r = 0;

	if (mixed)
		r = without_phantoms(b, t, bound, &again, &clean, e);
	if (r == 0)
		r = split(b, t, mixed ? t->extra - clean.extra : t->extra, bound, STAGE_BROKER,
			!b->plan->transactional, none ? none : l->present);
	if (r == 0 && !none && seqset_min(t->seen) <= bound)
		r = add_disorder(l, &clean);
	seqset_free(none);
	tracker_free(again);
	return r;
}

static int take_source(struct bench *b, struct err *e)
{
	struct tracker *t = b->plan->transactional ? b->plan->committed : b->plan->source;
	struct tracker_lane lane;
	size_t at = 0;
	int r = 0;

	while (r == 0 && tracker_next_lane(t, &at, &lane))
		r = take_source_lane(b, &lane, e);
	return r;
}

/* ---- findings -------------------------------------------------------------------------------- */

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

static int judge_promised(
	struct bench *b, struct side_lane *l, enum outcome o, enum stage lost_stage)
{
	const struct seqset *there[] = {l->present, l->damaged};
	struct seqset *absent = minus(l->outcome[o], there, 2);
	const struct seqset *known[] = {l->swept, l->cut, l->twice};
	struct seqset *expired = absent ? both(absent, l->swept) : NULL;
	struct seqset *untold = absent ? minus(absent, known, o == OUTCOME_ACKED ? 3 : 2) : NULL;
	struct seqset *unread = NULL, *lost = NULL, *proved = NULL, *pending = NULL;
	bool began_later = l->log_start > l->run_start;
	int r = absent && expired && untold ? 0 : ERR_NOMEM;

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

static int judge_unpromised(struct bench *b, struct side_lane *l)
{
	const struct seqset *there[] = {l->present, l->damaged};
	enum finding_kind absent_kind =
		b->plan->complete ? FINDING_UNACKNOWLEDGED : FINDING_PENDING;
	struct seqset *silent = silent_of(l), *x = NULL;
	int r = silent ? 0 : ERR_NOMEM;

	if (r == 0) {
		x = minus(l->outcome[OUTCOME_UNKNOWN], there, 2);
		r = x ? add_ranges(b, absent_kind, STAGE_PRODUCE, l, x) : ERR_NOMEM;
		seqset_free(x);
	}
	if (r == 0 && l->ended && strcmp(l->state, "complete") == 0) {
		x = minus(silent, there, 2);
		r = x ? add_ranges(b, absent_kind, STAGE_PRODUCE, l, x) : ERR_NOMEM;
		seqset_free(x);
	}
	if (r == 0) {
		x = minus(l->outcome[OUTCOME_REFUSED], there, 2);
		r = x ? add_ranges(b, FINDING_REFUSED, STAGE_PRODUCE, l, x) : ERR_NOMEM;
		seqset_free(x);
	}
	if (r == 0) {
		struct seqset *told_no = both(l->outcome[OUTCOME_REFUSED], l->present);

		x = told_no ? minus(told_no, (const struct seqset *const[]){l->repeated}, 1) : NULL;
		r = x ? add_ranges(b, FINDING_FALSE_REFUSAL, STAGE_PRODUCE, l, x) : ERR_NOMEM;
		seqset_free(told_no);
		seqset_free(x);
	}
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

static int judge_lane(struct bench *b, struct side_lane *l)
{
	int r = judge_promised(b, l, OUTCOME_ACKED, STAGE_BROKER);

	if (r == 0)
		r = judge_promised(b, l, OUTCOME_UNCONFIRMED, STAGE_PRODUCE);
	if (r == 0)
		r = judge_unpromised(b, l);
	if (r == 0)
		r = add_repeats(b, STAGE_PRODUCE, l, l->repeated, l->extra);
	if (r == 0)
		r = add_ranges(b, FINDING_REORDERED, STAGE_PRODUCE, l, l->reordered);
	return r;
}

/* ---- behind a relay -------------------------------------------------------------------------- */

/* What of a lane stands behind the relay, over all partitions there. */
struct behind {
	struct seqset *present, *repeated, *reordered, *damaged;
	uint64_t extra;
};

static int behind_collect(struct bench *b, const struct side_lane *l, struct behind *x)
{
	struct tracker_lane tl;
	struct seqset *twice = seqset_new(), *sum = seqset_new(), *swap;
	size_t at = 0;
	int r = twice && sum ? 0 : ERR_NOMEM;

	while (r == 0 && tracker_next_lane(b->plan->target, &at, &tl)) {
		if (tl.ident.producer_id != l->producer_id || tl.ident.epoch != l->epoch ||
			tl.ident.lane != l->partition || tl.ident.nonce != l->nonce)
			continue;
		/* the same seq on two partitions there is a repeat as well */
		r = seqset_intersect(x->present, tl.seen, twice);
		x->extra += tl.extra + (r == 0 ? seqset_count(twice) : 0);
		if (r == 0)
			r = seqset_union(x->repeated, twice, sum);
		if (r == 0)
			r = seqset_union(sum, tl.repeated, x->repeated);
		if (r == 0)
			r = seqset_union(x->present, tl.seen, sum);
		swap = x->present;
		x->present = sum;
		sum = swap;
		if (r == 0)
			r = seqset_union(x->reordered, tl.reordered, sum);
		swap = x->reordered;
		x->reordered = sum;
		sum = swap;
	}
	seqset_free(twice);
	seqset_free(sum);
	return r;
}

static int judge_behind(struct bench *b, struct side_lane *l, struct behind *x)
{
	bool comparable = b->plan->relay_bounded ||
			  (l->partition >= 0 && seqset_has(b->fenced, (uint64_t)l->partition));
	const struct seqset *there[] = {x->present, x->damaged};
	struct seqset *absent = NULL, *repeated = NULL, *reordered = NULL;
	uint64_t extra = x->extra;
	int r = behind_collect(b, l, x);

	if (r)
		return r;
	there[0] = x->present;
	extra = x->extra;
	absent = minus(l->present, there, 2);
	repeated = minus(x->repeated, (const struct seqset *const[]){l->repeated}, 1);
	reordered = minus(x->reordered, (const struct seqset *const[]){l->reordered}, 1);
	r = absent && repeated && reordered ? 0 : ERR_NOMEM;
	if (r == 0)
		r = add_ranges(b, comparable && b->plan->complete ? FINDING_LOST : FINDING_PENDING,
			STAGE_RELAY, l, absent);
	if (r == 0)
		r = add_repeats(b, STAGE_RELAY, l, repeated, extra);
	if (r == 0)
		r = add_ranges(b, FINDING_REORDERED, STAGE_RELAY, l, reordered);
	seqset_free(absent);
	seqset_free(repeated);
	seqset_free(reordered);
	return r;
}

static int judge_relay(struct bench *b, struct side_lane *l, const struct seqset *damaged)
{
	struct behind x = {seqset_new(), seqset_new(), seqset_new(), seqset_new(), 0};
	struct seqset *none = seqset_new();
	int r = x.present && x.repeated && x.reordered && x.damaged && none ? 0 : ERR_NOMEM;

	if (r == 0)
		r = seqset_union(damaged, none, x.damaged);
	if (r == 0)
		r = judge_behind(b, l, &x);
	seqset_free(x.present);
	seqset_free(x.repeated);
	seqset_free(x.reordered);
	seqset_free(x.damaged);
	seqset_free(none);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int take_fenced(const struct pg_rows *row, void *arg, struct err *e)
{
	struct bench *b = arg;
	uint64_t partition = pg_rows_u64(row, 0, 0);

	return seqset_add(b->fenced, partition, partition, NULL)
		       ? err_set(e, ERR_NOMEM, "out of memory")
		       : 0;
}

/* A damaged position: who it was is in the row, or follows from the acked offset it lies at. */
static int name_damage(struct bench *b, int64_t partition, int64_t offset,
	struct side_lane **ret_lane, uint64_t *ret_seq)
{
	*ret_lane = NULL;
	for (size_t i = 0; i < b->n_stretches; i++) {
		const struct stretch *s = &b->stretch[i];
		uint64_t seq;

		if (s->partition != partition || offset < s->first || offset > s->last)
			continue;
		seq = s->lo + (uint64_t)(offset - s->first);
		if (seqset_has(b->lane[s->lane].present, seq))
			continue;
		*ret_lane = &b->lane[s->lane];
		*ret_seq = seq;
	}
	return 0;
}

struct damage_pass {
	struct bench *b;
	bool target;
	struct seqset **behind; /* by lane: damage behind the relay */
};

static int take_damage(const struct pg_rows *row, void *arg, struct err *e)
{
	struct damage_pass *p = arg;
	struct bench *b = p->b;
	enum stage stage = p->target ? STAGE_RELAY : STAGE_BROKER;
	int64_t partition = pg_rows_i64(row, 0, 0);
	bool named = !pg_rows_is_null(row, 0, 2),
	     foreign = strcmp(pg_rows_text(row, 0, 6), "foreign") == 0;
	struct side_lane *l = NULL;
	int64_t id = 0, epoch = 0, lane = partition;
	uint64_t seq = 0;
	int r = 0;

	if (named) {
		id = pg_rows_i64(row, 0, 2);
		epoch = pg_rows_i64(row, 0, 3);
		lane = pg_rows_i64(row, 0, 4);
		seq = pg_rows_u64(row, 0, 5);
		l = lane_of(b, id, epoch, lane);
	} else if (!p->target) {
		r = name_damage(b, partition, pg_rows_i64(row, 0, 1), &l, &seq);
		if (l) {
			id = l->producer_id;
			epoch = l->epoch;
			lane = l->partition;
		}
	}
	if (r == 0 && foreign && !l)
		return 0;
	if (r == 0 && l && seq)
		r = seqset_add(p->target ? p->behind[l - b->lane] : l->damaged, seq, seq, NULL);
	/* behind a relay only what the source had right is the relay's */
	if (r == 0 && p->target && named && l && seqset_has(l->damaged, seq))
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
			"select distinct partition from mqaudit.fence where run_id = $1 and judgement = $2 "
			"and side = 'target' and read is not null",
			true, take_fenced, b, e);
	return r;
}

static int load_damage(struct bench *b, bool target, struct seqset **behind, struct err *e)
{
	struct damage_pass pass = {b, target, behind};

	return query(b,
		target ? "select partition, \"offset\", producer_id, epoch, lane, seq, what "
			 "from mqaudit.witness_corrupted where run_id = $1 and side = 'target' "
			 "and superseded is null"
		       : "select partition, \"offset\", producer_id, epoch, lane, seq, what "
			 "from mqaudit.witness_corrupted where run_id = $1 and side = 'source' "
			 "and isolation = 'uncommitted' and superseded is null",
		false, take_damage, &pass, e);
}

static int take_target_phantoms(struct bench *b)
{
	struct seqset *none = seqset_new();
	struct tracker_lane tl;
	size_t at = 0;
	int r = none ? 0 : ERR_NOMEM;

	while (r == 0 && tracker_next_lane(b->plan->target, &at, &tl)) {
		struct side_lane *l =
			lane_of(b, tl.ident.producer_id, tl.ident.epoch, tl.ident.lane);

		seqset_clear(none);
		r = split(b, &tl, tl.extra, bound_of(l, &tl.ident), STAGE_RELAY, true, none);
	}
	seqset_free(none);
	return r;
}

static int judge_all(struct bench *b, struct err *e)
{
	struct seqset **behind = calloc(b->n_lanes + 1, sizeof(*behind));
	int r = behind ? 0 : ERR_NOMEM;

	for (size_t i = 0; r == 0 && i < b->n_lanes; i++) {
		behind[i] = seqset_new();
		r = behind[i] ? 0 : ERR_NOMEM;
	}
	if (r == 0)
		r = find_twice(b);
	if (r == 0)
		r = take_source(b, e);
	if (r == 0 && load_damage(b, false, NULL, e))
		r = e->code;
	if (r == 0 && b->plan->target && load_damage(b, true, behind, e))
		r = e->code;
	for (size_t i = 0; r == 0 && i < b->n_lanes; i++) {
		r = judge_lane(b, &b->lane[i]);
		if (r == 0 && b->plan->target)
			r = judge_relay(b, &b->lane[i], behind[i]);
	}
	if (r == 0 && b->plan->target)
		r = take_target_phantoms(b);
	for (size_t i = 0; behind && i < b->n_lanes; i++)
		seqset_free(behind[i]);
	free(behind);
	if (r && e->code != r)
		err_set(e, r, "cannot judge in memory: %s", err_code_text(r));
	return r;
}

int judge_in_memory(
	struct ledger *l, const struct judge_plan *plan, struct findings **ret, struct err *e)
{
	struct bench b = {.plan = plan, .ledger = l, .out = findings_new(), .fenced = seqset_new()};
	int r;

	err_clear(e);
	if (!b.out || !b.fenced)
		r = err_set(e, ERR_NOMEM, "out of memory");
	else
		r = load(&b, e);
	if (r == 0)
		r = judge_all(&b, e);
	for (size_t i = 0; i < b.n_lanes; i++)
		free_sets(&b.lane[i]);
	free(b.lane);
	free(b.stretch);
	seqset_free(b.fenced);
	if (r) {
		findings_free(b.out);
		return r;
	}
	*ret = b.out;
	return 0;
}
