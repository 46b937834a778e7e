#ifndef CORE_HIST_H
#define CORE_HIST_H

#include <stddef.h>
#include <stdint.h>

/*
 * A latency histogram: log-linear buckets over nanoseconds, 32 to a power of two, so that a percentile
 * is right to 3.2 %. 15 KiB, fixed; two histograms of any two processes can be added. Not thread-safe.
 */
#define HIST_BUCKETS 1920

struct hist {
	uint64_t n;     /* values counted */
	int64_t max_ns; /* the largest, exactly */
	uint64_t count[HIST_BUCKETS];
};

/* Count one value, n times; negative values count as 0. */
void hist_add(struct hist *h, int64_t ns, uint64_t n);

/* Add all of `from` to h. */
void hist_merge(struct hist *h, const struct hist *from);

/* Forget everything. */
void hist_clear(struct hist *h);

/*
 * The value below or at which the share p (0 to 1) of the values lies: the upper end of its bucket,
 * never above the largest value. 0 when empty.
 */
int64_t hist_percentile(const struct hist *h, double p);

/* Smallest and largest value of a bucket: for those who store or draw histograms. */
int64_t hist_bucket_low(size_t bucket);
int64_t hist_bucket_high(size_t bucket);

#endif
