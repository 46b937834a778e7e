#include "core/seqset.h"

#include <stdlib.h>
#include <string.h>

#define SEQSET_BLOCK 128

struct block {
	size_t n;
	struct seqrange r[SEQSET_BLOCK];
};

struct seqset {
	struct block **blocks; /* every block holds at least one range */
	size_t n_blocks;
	size_t cap_blocks;
	size_t n_ranges;
	uint64_t count;
};

struct seqset *seqset_new(void)
{
	return calloc(1, sizeof(struct seqset));
}

void seqset_clear(struct seqset *s)
{
	for (size_t i = 0; i < s->n_blocks; i++)
		free(s->blocks[i]);
	s->n_blocks = 0;
	s->n_ranges = 0;
	s->count = 0;
}

void seqset_free(struct seqset *s)
{
	if (!s)
		return;
	seqset_clear(s);
	free(s->blocks);
	free(s);
}

uint64_t seqset_count(const struct seqset *s)
{
	return s->count;
}

size_t seqset_ranges(const struct seqset *s)
{
	return s->n_ranges;
}

uint64_t seqset_min(const struct seqset *s)
{
	BUG_ON(s->n_blocks == 0);
	return s->blocks[0]->r[0].lo;
}

uint64_t seqset_max(const struct seqset *s)
{
	const struct block *b;

	BUG_ON(s->n_blocks == 0);
	b = s->blocks[s->n_blocks - 1];
	return b->r[b->n - 1].hi;
}

/* The first range whose hi is at or above n, as a place; false when all ranges lie below. */
static bool find(const struct seqset *s, uint64_t n, struct seqset_iter *at)
{
	size_t lo = 0, hi = s->n_blocks;
	const struct block *b;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		b = s->blocks[mid];
		if (b->r[b->n - 1].hi < n)
			lo = mid + 1;
		else
			hi = mid;
	}
	at->block = lo;
	at->slot = 0;
	if (lo == s->n_blocks)
		return false;
	b = s->blocks[lo];
	lo = 0;
	hi = b->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b->r[mid].hi < n)
			lo = mid + 1;
		else
			hi = mid;
	}
	at->slot = lo;
	return true;
}

static struct seqrange *range_at(const struct seqset *s, const struct seqset_iter *at)
{
	return &s->blocks[at->block]->r[at->slot];
}

bool seqset_next(const struct seqset *s, struct seqset_iter *it, struct seqrange *ret)
{
	if (it->block >= s->n_blocks)
		return false;
	*ret = *range_at(s, it);
	if (++it->slot == s->blocks[it->block]->n) {
		it->block++;
		it->slot = 0;
	}
	return true;
}

bool seqset_seek(const struct seqset *s, uint64_t n, struct seqset_iter *it, struct seqrange *ret)
{
	return find(s, n, it) && seqset_next(s, it, ret);
}

bool seqset_has(const struct seqset *s, uint64_t n)
{
	return seqset_overlaps(s, n, n);
}

bool seqset_has_range(const struct seqset *s, uint64_t lo, uint64_t hi)
{
	struct seqset_iter at;

	if (!find(s, lo, &at))
		return false;
	return range_at(s, &at)->lo <= lo && range_at(s, &at)->hi >= hi;
}

bool seqset_overlaps(const struct seqset *s, uint64_t lo, uint64_t hi)
{
	struct seqset_iter at;

	return find(s, lo, &at) && range_at(s, &at)->lo <= hi;
}

/* Make room for one more block pointer, and one spare block in *ret_spare. */
static int reserve(struct seqset *s, struct block **ret_spare)
{
	if (s->n_ranges + 1 > SEQSET_MAX_RANGES)
		return ERR_LIMIT;
	if (s->n_blocks == s->cap_blocks) {
		size_t cap = s->cap_blocks ? s->cap_blocks * 2 : 4;
		struct block **blocks = realloc(s->blocks, cap * sizeof(*blocks));

		if (!blocks)
			return ERR_NOMEM;
		s->blocks = blocks;
		s->cap_blocks = cap;
	}
	*ret_spare = malloc(sizeof(struct block));
	return *ret_spare ? 0 : ERR_NOMEM;
}

static void put_block(struct seqset *s, size_t at, struct block *b)
{
	memmove(&s->blocks[at + 1], &s->blocks[at], (s->n_blocks - at) * sizeof(*s->blocks));
	s->blocks[at] = b;
	s->n_blocks++;
}

static void put_slot(struct block *b, size_t slot, struct seqrange r)
{
	memmove(&b->r[slot + 1], &b->r[slot], (b->n - slot) * sizeof(b->r[0]));
	b->r[slot] = r;
	b->n++;
}

/* Put a range that touches no other in front of the place `at` (which may be the end). */
static int insert(struct seqset *s, struct seqset_iter at, struct seqrange r)
{
	struct block *b, *spare;
	int rc;

	if (at.block == s->n_blocks && s->n_blocks > 0) {
		at.block--;
		at.slot = s->blocks[at.block]->n;
	}
	if (s->n_blocks > 0 && s->blocks[at.block]->n < SEQSET_BLOCK &&
		s->n_ranges < SEQSET_MAX_RANGES) {
		put_slot(s->blocks[at.block], at.slot, r);
		s->n_ranges++;
		return 0;
	}
	rc = reserve(s, &spare);
	if (rc)
		return rc;
	spare->n = 0;
	if (s->n_blocks == 0) {
		put_slot(spare, 0, r);
		put_block(s, 0, spare);
		s->n_ranges++;
		return 0;
	}
	b = s->blocks[at.block];
	/* Appending at the very end leaves full blocks behind; anywhere else a block is halved. */
	if (at.block == s->n_blocks - 1 && at.slot == b->n) {
		put_slot(spare, 0, r);
	} else {
		size_t half = SEQSET_BLOCK / 2;

		memcpy(spare->r, &b->r[half], (b->n - half) * sizeof(b->r[0]));
		spare->n = b->n - half;
		b->n = half;
		if (at.slot <= half)
			put_slot(b, at.slot, r);
		else
			put_slot(spare, at.slot - half, r);
	}
	put_block(s, at.block + 1, spare);
	s->n_ranges++;
	return 0;
}

/* Take `n` blocks out of the array from `at` on, freeing them. */
static void drop_blocks(struct seqset *s, size_t at, size_t n)
{
	for (size_t i = at; i < at + n; i++)
		free(s->blocks[i]);
	memmove(&s->blocks[at], &s->blocks[at + n], (s->n_blocks - at - n) * sizeof(*s->blocks));
	s->n_blocks -= n;
}

/*
 * Merge block `at` with the one behind it when both together fill half a block at most: so no two
 * neighbours ever hold fewer than that, and memory follows the number of ranges also after removals.
 */
static void merge_behind(struct seqset *s, size_t at)
{
	struct block *a, *b;

	if (at + 1 >= s->n_blocks)
		return;
	a = s->blocks[at];
	b = s->blocks[at + 1];
	if (a->n + b->n > SEQSET_BLOCK / 2)
		return;
	memcpy(&a->r[a->n], b->r, b->n * sizeof(b->r[0]));
	a->n += b->n;
	drop_blocks(s, at + 1, 1);
}

/* Take out the ranges from `from` up to, not including, `to` (which may be the end). */
static void erase(struct seqset *s, struct seqset_iter from, struct seqset_iter to)
{
	struct block *b;
	size_t first_gone;

	if (from.block == to.block) {
		if (from.slot == to.slot)
			return;
		b = s->blocks[from.block];
		memmove(&b->r[from.slot], &b->r[to.slot], (b->n - to.slot) * sizeof(b->r[0]));
		b->n -= to.slot - from.slot;
		s->n_ranges -= to.slot - from.slot;
	} else {
		s->n_ranges -= s->blocks[from.block]->n - from.slot;
		s->blocks[from.block]->n = from.slot;
		for (size_t i = from.block + 1; i < to.block; i++)
			s->n_ranges -= s->blocks[i]->n;
		if (to.slot > 0) {
			b = s->blocks[to.block];
			memmove(b->r, &b->r[to.slot], (b->n - to.slot) * sizeof(b->r[0]));
			b->n -= to.slot;
			s->n_ranges -= to.slot;
		}
	}
	first_gone = from.block + (s->blocks[from.block]->n > 0 ? 1 : 0);
	if (to.block > first_gone)
		drop_blocks(s, first_gone, to.block - first_gone);
	else if (first_gone == from.block)
		drop_blocks(s, from.block, 1);
	/* every pair of neighbours of which one shrank, the last first */
	merge_behind(s, from.block + 1);
	merge_behind(s, from.block);
	if (from.block > 0)
		merge_behind(s, from.block - 1);
}

/* The place behind `at`. */
static struct seqset_iter behind(const struct seqset *s, struct seqset_iter at)
{
	if (++at.slot == s->blocks[at.block]->n) {
		at.block++;
		at.slot = 0;
	}
	return at;
}

/* Extend the last range when [lo, hi] begins right behind it. */
static bool extend_last(struct seqset *s, uint64_t lo, uint64_t hi)
{
	struct block *last;
	struct seqrange *r;

	if (s->n_blocks == 0)
		return false;
	last = s->blocks[s->n_blocks - 1];
	r = &last->r[last->n - 1];
	if (r->hi == UINT64_MAX || lo != r->hi + 1)
		return false;
	r->hi = hi;
	s->count += hi - lo + 1;
	return true;
}

/* Make the range at `at`, which [lo, hi] touches, hold [lo, hi] too. Returns how many were new. */
static uint64_t widen(struct seqset *s, struct seqset_iter at, uint64_t lo, uint64_t hi)
{
	struct seqrange *r = range_at(s, &at);
	struct seqset_iter next = behind(s, at);
	uint64_t added = 0;

	if (lo < r->lo) {
		added += r->lo - lo;
		r->lo = lo;
	}
	/* swallow what lies behind, as far as hi reaches */
	while (r->hi < hi) {
		const struct seqrange *follower;

		if (next.block == s->n_blocks)
			break;
		follower = range_at(s, &next);
		if (hi != UINT64_MAX && follower->lo > hi + 1)
			break;
		added += follower->lo - r->hi - 1;
		r->hi = follower->hi;
		next = behind(s, next);
	}
	if (r->hi < hi) {
		added += hi - r->hi;
		r->hi = hi;
	}
	erase(s, behind(s, at), next);
	return added;
}

int seqset_add(struct seqset *s, uint64_t lo, uint64_t hi, uint64_t *ret_added)
{
	struct seqset_iter at;
	uint64_t added = hi - lo + 1;
	int rc;

	BUG_ON(lo > hi);
	if (extend_last(s, lo, hi)) {
		if (ret_added)
			*ret_added = added;
		return 0;
	}
	/* the first range that touches or overlaps [lo, hi], adjacency included */
	if (!find(s, lo ? lo - 1 : 0, &at) || (hi != UINT64_MAX && range_at(s, &at)->lo > hi + 1)) {
		rc = insert(s, at, (struct seqrange){lo, hi});
		if (rc)
			return rc;
	} else {
		added = widen(s, at, lo, hi);
	}
	s->count += added;
	if (ret_added)
		*ret_added = added;
	return 0;
}

/* Cut [lo, hi] out of the middle of the range at `at`: the one case that needs a range more. */
static int split(struct seqset *s, struct seqset_iter at, uint64_t lo, uint64_t hi)
{
	uint64_t end = range_at(s, &at)->hi;
	int rc = insert(s, behind(s, at), (struct seqrange){hi + 1, end});

	if (rc)
		return rc;
	/* the insertion may have moved it; until now it is still the first that ends at or above lo */
	BUG_ON(!find(s, lo, &at));
	range_at(s, &at)->hi = lo - 1;
	s->count -= hi - lo + 1;
	return 0;
}

int seqset_remove(struct seqset *s, uint64_t lo, uint64_t hi)
{
	struct seqset_iter at, from;
	struct seqrange *r;

	BUG_ON(lo > hi);
	if (!find(s, lo, &at) || range_at(s, &at)->lo > hi)
		return 0;
	r = range_at(s, &at);
	if (r->lo < lo && r->hi > hi)
		return split(s, at, lo, hi);
	if (r->lo < lo) {
		s->count -= r->hi - lo + 1;
		r->hi = lo - 1;
		at = behind(s, at);
	}
	for (from = at; at.block < s->n_blocks && range_at(s, &at)->hi <= hi; at = behind(s, at))
		s->count -= range_at(s, &at)->hi - range_at(s, &at)->lo + 1;
	if (at.block < s->n_blocks && range_at(s, &at)->lo <= hi) {
		r = range_at(s, &at);
		s->count -= hi - r->lo + 1;
		r->lo = hi + 1;
	}
	erase(s, from, at);
	return 0;
}

/* Add a range that begins at or behind the begin of the last range: no search. */
static int append(struct seqset *s, uint64_t lo, uint64_t hi)
{
	struct seqset_iter end = {s->n_blocks, 0};
	struct seqrange *last;
	int rc;

	if (s->n_blocks > 0) {
		last = &s->blocks[s->n_blocks - 1]->r[s->blocks[s->n_blocks - 1]->n - 1];
		if (last->hi == UINT64_MAX || lo <= last->hi + 1) {
			if (hi > last->hi) {
				s->count += hi - last->hi;
				last->hi = hi;
			}
			return 0;
		}
	}
	rc = insert(s, end, (struct seqrange){lo, hi});
	if (rc == 0)
		s->count += hi - lo + 1;
	return rc;
}

int seqset_union(const struct seqset *a, const struct seqset *b, struct seqset *ret)
{
	struct seqset_iter ia = {0}, ib = {0};
	struct seqrange ra = {0}, rb = {0};
	bool has_a = seqset_next(a, &ia, &ra), has_b = seqset_next(b, &ib, &rb);
	int rc = 0;

	BUG_ON(ret == a || ret == b);
	seqset_clear(ret);
	while (rc == 0 && (has_a || has_b)) {
		if (has_a && (!has_b || ra.lo <= rb.lo)) {
			rc = append(ret, ra.lo, ra.hi);
			has_a = seqset_next(a, &ia, &ra);
		} else {
			rc = append(ret, rb.lo, rb.hi);
			has_b = seqset_next(b, &ib, &rb);
		}
	}
	if (rc)
		seqset_clear(ret);
	return rc;
}

int seqset_intersect(const struct seqset *a, const struct seqset *b, struct seqset *ret)
{
	struct seqset_iter ia = {0}, ib = {0};
	struct seqrange ra = {0}, rb = {0};
	bool has_a = seqset_next(a, &ia, &ra), has_b = seqset_next(b, &ib, &rb);
	int rc = 0;

	BUG_ON(ret == a || ret == b);
	seqset_clear(ret);
	while (rc == 0 && has_a && has_b) {
		uint64_t lo = ra.lo > rb.lo ? ra.lo : rb.lo;
		uint64_t hi = ra.hi < rb.hi ? ra.hi : rb.hi;

		if (lo <= hi)
			rc = append(ret, lo, hi);
		if (ra.hi < rb.hi)
			has_a = seqset_next(a, &ia, &ra);
		else
			has_b = seqset_next(b, &ib, &rb);
	}
	if (rc)
		seqset_clear(ret);
	return rc;
}

int seqset_subtract(const struct seqset *a, const struct seqset *b, struct seqset *ret)
{
	struct seqset_iter ia = {0}, ib = {0};
	struct seqrange ra = {0}, rb = {0};
	bool has_b = seqset_next(b, &ib, &rb);
	int rc = 0;

	BUG_ON(ret == a || ret == b);
	seqset_clear(ret);
	while (rc == 0 && seqset_next(a, &ia, &ra)) {
		uint64_t lo = ra.lo;
		bool rest = true;

		while (has_b && rb.hi < lo)
			has_b = seqset_next(b, &ib, &rb);
		while (rc == 0 && has_b && rb.lo <= ra.hi) {
			if (rb.lo > lo)
				rc = append(ret, lo, rb.lo - 1);
			if (rb.hi >= ra.hi) {
				rest = false;
				break;
			}
			lo = rb.hi + 1;
			has_b = seqset_next(b, &ib, &rb);
		}
		if (rc == 0 && rest)
			rc = append(ret, lo, ra.hi);
	}
	if (rc)
		seqset_clear(ret);
	return rc;
}

bool seqset_equal(const struct seqset *a, const struct seqset *b)
{
	struct seqset_iter ia = {0}, ib = {0};
	struct seqrange ra = {0}, rb = {0};

	if (a->count != b->count || a->n_ranges != b->n_ranges)
		return false;
	while (seqset_next(a, &ia, &ra)) {
		if (!seqset_next(b, &ib, &rb) || ra.lo != rb.lo || ra.hi != rb.hi)
			return false;
	}
	return true;
}
