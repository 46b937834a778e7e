#ifndef CORE_SEQSET_H
#define CORE_SEQSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/*
 * A set of 64-bit sequence numbers, held as ordered, disjoint, non-adjacent ranges.
 *
 * Memory and time follow the number of ranges, never the number of members: 10^9 consecutive numbers
 * are one range of 16 bytes. Ranges live in blocks of at most SEQSET_BLOCK, the blocks in one sorted
 * array, so that an insertion in the middle of a million ranges moves kilobytes, not megabytes.
 * Ranges are [lo, hi], both ends included. Not thread-safe.
 */

/* More ranges than this are refused with ERR_LIMIT: 256 MiB of anomalies in one lane. */
#define SEQSET_MAX_RANGES ((size_t)16 << 20)

struct seqset;

struct seqrange {
	uint64_t lo;
	uint64_t hi;
};

/* Where a walk stands; {0} is the beginning. Invalid after the set changed. */
struct seqset_iter {
	size_t block;
	size_t slot;
};

/* An empty set, or NULL when out of memory. The caller frees it. */
struct seqset *seqset_new(void);

/* NULL is allowed. */
void seqset_free(struct seqset *s);

/* Remove everything; keeps the set usable. */
void seqset_clear(struct seqset *s);

/*
 * Add every number of [lo, hi]; numbers that are there already are fine.
 *
 * lo <= hi is a precondition. O(log n) and the ranges swallowed; extending the last range is O(1).
 * ret_added (may be NULL) gets how many numbers were new.
 *
 * Returns 0, ERR_NOMEM or ERR_LIMIT; the set is unchanged on failure.
 */
MUST_CHECK int seqset_add(struct seqset *s, uint64_t lo, uint64_t hi, uint64_t *ret_added);

/*
 * Remove every number of [lo, hi]; the same rules, costs and errors as seqset_add(). Only a hole inside
 * one range can fail.
 */
MUST_CHECK int seqset_remove(struct seqset *s, uint64_t lo, uint64_t hi);

/* Is n a member? */
bool seqset_has(const struct seqset *s, uint64_t n);

/* Are all numbers of [lo, hi] members? */
bool seqset_has_range(const struct seqset *s, uint64_t lo, uint64_t hi);

/* Is any number of [lo, hi] a member? */
bool seqset_overlaps(const struct seqset *s, uint64_t lo, uint64_t hi);

/* How many members; how many ranges. O(1). The full set, [0, UINT64_MAX], is the one whose count is 0. */
uint64_t seqset_count(const struct seqset *s);
size_t seqset_ranges(const struct seqset *s);

/* Smallest and largest member; an empty set is a programming mistake (aborts). */
uint64_t seqset_min(const struct seqset *s);
uint64_t seqset_max(const struct seqset *s);

/* Give the next range in ascending order. Returns false at the end. */
bool seqset_next(const struct seqset *s, struct seqset_iter *it, struct seqrange *ret);

/* As seqset_next(), from the first range that ends at or above n: sets *it there first. */
bool seqset_seek(const struct seqset *s, uint64_t n, struct seqset_iter *it, struct seqrange *ret);

/*
 * Set algebra: replace what is in `ret` by the union, intersection or difference (a without b).
 * ret must be neither a nor b. O(ranges of both).
 *
 * Returns 0, ERR_NOMEM or ERR_LIMIT; ret is then empty.
 */
MUST_CHECK int seqset_union(const struct seqset *a, const struct seqset *b, struct seqset *ret);
MUST_CHECK int seqset_intersect(const struct seqset *a, const struct seqset *b, struct seqset *ret);
MUST_CHECK int seqset_subtract(const struct seqset *a, const struct seqset *b, struct seqset *ret);

/* Do both hold the same numbers? */
bool seqset_equal(const struct seqset *a, const struct seqset *b);

#endif
