#include "core/hist.h"

#include <math.h>

#include "core/rng.h"
#include "tests/unit.h"

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Against the sorted values: never below the true one, and at most 3.2 % above it. */
static void percentiles_are_right_to_3_2_percent(void **state)
{
	enum { N = 10007 };
	static const double ps[] = {0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.91, 0.99, 0.999, 0.9999, 1};
	static int64_t v[N];
	static struct hist h;
	struct rng r;

	(void)state;
	rng_init(&r, 3);
	for (int i = 0; i < N; i++) {
		v[i] = (int64_t)(rng_next(&r) >> (1 + rng_below(&r, 62)));
		hist_add(&h, v[i], 1);
	}
	qsort(v, N, sizeof(v[0]), by_value);
	for (size_t i = 0; i < N_OF(ps); i++) {
		double rank = ceil(ps[i] * N * (1 - 1e-14));
		int64_t exact = v[rank < 1 ? 0 : (int)rank - 1], got = hist_percentile(&h, ps[i]);

		assert_true(got >= exact);
		assert_true((double)(got - exact) <= 0.032 * (double)exact);
	}
	assert_int_equal(hist_percentile(&h, 1), v[N - 1]);
	assert_int_equal(h.max_ns, v[N - 1]);
	assert_int_equal(h.n, N);
}

static void the_rank_is_rounded_up(void **state)
{
	static struct hist h;

	(void)state;
	hist_clear(&h);
	for (int i = 1; i <= 10; i++)
		hist_add(&h, i, 1);
	assert_int_equal(hist_percentile(&h, 0.9), 9);
	assert_int_equal(hist_percentile(&h, 0.91), 10);
	assert_int_equal(hist_percentile(&h, 0.5), 5);
	assert_int_equal(hist_percentile(&h, 0.51), 6);
	assert_int_equal(hist_percentile(&h, 0), 1);
}

static void buckets_meet_without_gap_or_overlap(void **state)
{
	int64_t before = -1;

	(void)state;
	for (size_t i = 0; i < HIST_BUCKETS && before < INT64_MAX; i++) {
		assert_int_equal(hist_bucket_low(i), before + 1);
		assert_true(hist_bucket_high(i) >= hist_bucket_low(i));
		before = hist_bucket_high(i);
	}
	assert_int_equal(before, INT64_MAX);
	assert_int_equal(hist_bucket_low(HIST_BUCKETS - 1), INT64_MAX);
	assert_int_equal(hist_bucket_high(HIST_BUCKETS - 1), INT64_MAX);
}

static void extremes_count(void **state)
{
	static struct hist h;

	(void)state;
	hist_clear(&h);
	assert_int_equal(hist_percentile(&h, 0.5), 0);
	hist_add(&h, -5, 2);
	assert_int_equal(hist_percentile(&h, 1), 0);
	hist_add(&h, INT64_MAX, 1);
	assert_int_equal(hist_percentile(&h, 1), INT64_MAX);
	assert_int_equal(hist_percentile(&h, 0.5), 0);
	assert_int_equal(h.n, 3);
}

static void a_merge_equals_adding_to_one(void **state)
{
	static struct hist a, b, both;
	struct rng r;

	(void)state;
	rng_init(&r, 4);
	for (int i = 0; i < 1000; i++) {
		int64_t v = (int64_t)rng_below(&r, 1000000000);

		hist_add(i % 3 ? &a : &b, v, 2);
		hist_add(&both, v, 2);
	}
	hist_merge(&a, &b);
	assert_memory_equal(&a, &both, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_right_to_3_2_percent),
		cmocka_unit_test(the_rank_is_rounded_up),
		cmocka_unit_test(buckets_meet_without_gap_or_overlap),
		cmocka_unit_test(extremes_count),
		cmocka_unit_test(a_merge_equals_adding_to_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
