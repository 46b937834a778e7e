#include "core/hist.h"

#include <math.h>
#include <string.h>

#define SUB_BITS 5
#define SUB (1u << SUB_BITS)

static size_t bucket_of(uint64_t v)
{
	unsigned top;

	if (v < SUB)
		return (size_t)v;
	top = 63u - (unsigned)__builtin_clzll(v);
	return (size_t)(top - SUB_BITS + 1) * SUB + (size_t)((v >> (top - SUB_BITS)) - SUB);
}

/* The buckets from this one on lie above INT64_MAX and stay empty. */
#define FIRST_BEYOND (59 * SUB)

int64_t hist_bucket_low(size_t bucket)
{
	size_t shift = bucket / SUB;

	if (shift == 0)
		return (int64_t)bucket;
	if (bucket >= FIRST_BEYOND)
		return INT64_MAX;
	return (int64_t)((uint64_t)(SUB + bucket % SUB) << (shift - 1));
}

int64_t hist_bucket_high(size_t bucket)
{
	return bucket + 1 >= FIRST_BEYOND ? INT64_MAX : hist_bucket_low(bucket + 1) - 1;
}

void hist_add(struct hist *h, int64_t ns, uint64_t n)
{
	uint64_t v = ns < 0 ? 0 : (uint64_t)ns;

	h->count[bucket_of(v)] += n;
	h->n += n;
	if ((int64_t)v > h->max_ns)
		h->max_ns = (int64_t)v;
}

void hist_merge(struct hist *h, const struct hist *from)
{
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		h->count[i] += from->count[i];
	h->n += from->n;
	if (from->max_ns > h->max_ns)
		h->max_ns = from->max_ns;
}

void hist_clear(struct hist *h)
{
	memset(h, 0, sizeof(*h));
}

int64_t hist_percentile(const struct hist *h, double p)
{
	/* the rank, rounded up: 0.91 of 10 values is the 10th. The factor forgives p's last binary digit */
	uint64_t want = (uint64_t)ceil(p * (double)h->n * (1 - 1e-14));
	uint64_t sum = 0;

	if (h->n == 0)
		return 0;
	if (want < 1)
		want = 1;
	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		sum += h->count[i];
		if (sum >= want) {
			int64_t v = hist_bucket_high(i);

			return v < h->max_ns ? v : h->max_ns;
		}
	}
	return h->max_ns;
}
