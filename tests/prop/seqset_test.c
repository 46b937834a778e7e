/* seqset against a bitmap: random operations, each checked. SEED=n repeats a run. */
#include "core/seqset.h"

#include "core/clock.h"
#include "core/rng.h"
#include "tests/unit.h"

#define BITS 2048

/* The numbers [base, base + BITS) as bits. */
struct model {
	bool has[BITS];
};

static struct rng rng;
static uint64_t base;

static uint64_t model_count(const struct model *m)
{
	uint64_t n = 0;

	for (int i = 0; i < BITS; i++)
		n += m->has[i];
	return n;
}

/* Does the set hold exactly what the model holds, in ranges that are ordered, apart and not adjacent? */
static void assert_equals(const struct seqset *s, const struct model *m)
{
	struct seqset_iter it = {0};
	struct seqrange r;
	size_t ranges = 0;
	int at = 0;

	while (seqset_next(s, &it, &r)) {
		uint64_t lo = r.lo - base, hi = r.hi - base;

		assert_true(lo <= hi && hi < BITS && (uint64_t)at <= lo);
		assert_true(ranges == 0 || lo > (uint64_t)at);
		for (; (uint64_t)at < lo; at++)
			assert_false(m->has[at]);
		for (; (uint64_t)at <= hi; at++)
			assert_true(m->has[at]);
		ranges++;
	}
	for (; at < BITS; at++)
		assert_false(m->has[at]);
	assert_int_equal(seqset_ranges(s), ranges);
	assert_int_equal(seqset_count(s), model_count(m));
}

static void random_range(uint64_t *lo, uint64_t *hi)
{
	/* mostly short, so that many ranges come to be; sometimes long, so that many go at once */
	uint64_t len = rng_below(&rng, 100) == 0 ? rng_below(&rng, BITS) : rng_below(&rng, 4);

	*lo = rng_below(&rng, BITS);
	*hi = *lo + len < BITS ? *lo + len : BITS - 1;
}

static void step_add(struct seqset *s, struct model *m)
{
	uint64_t lo, hi, added, expect = 0;

	random_range(&lo, &hi);
	for (uint64_t i = lo; i <= hi; i++) {
		expect += !m->has[i];
		m->has[i] = true;
	}
	assert_int_equal(seqset_add(s, base + lo, base + hi, &added), 0);
	assert_int_equal(added, expect);
}

static void step_remove(struct seqset *s, struct model *m)
{
	uint64_t lo, hi;

	random_range(&lo, &hi);
	for (uint64_t i = lo; i <= hi; i++)
		m->has[i] = false;
	assert_int_equal(seqset_remove(s, base + lo, base + hi), 0);
}

static void step_query(const struct seqset *s, const struct model *m)
{
	uint64_t lo, hi, any = 0;
	struct seqset_iter it;
	struct seqrange r;
	bool found;

	random_range(&lo, &hi);
	for (uint64_t i = lo; i <= hi; i++)
		any += m->has[i];
	assert_int_equal(seqset_has(s, base + lo), m->has[lo]);
	assert_int_equal(seqset_overlaps(s, base + lo, base + hi), any > 0);
	assert_int_equal(seqset_has_range(s, base + lo, base + hi), any == hi - lo + 1);
	found = seqset_seek(s, base + lo, &it, &r);
	for (hi = lo; hi < BITS && !m->has[hi]; hi++)
		;
	assert_int_equal(found, hi < BITS);
	if (found) {
		assert_true(r.hi >= base + lo);
		assert_int_equal(r.lo > base + lo ? r.lo : base + lo, base + hi);
		while (hi < BITS && m->has[hi])
			hi++;
		assert_int_equal(r.hi, base + hi - 1);
	}
}

static void one_history(uint64_t from, int steps, unsigned add_percent)
{
	static struct model m;
	struct seqset *s = seqset_new();

	assert_non_null(s);
	memset(&m, 0, sizeof(m));
	base = from;
	for (int i = 0; i < steps; i++) {
		if (rng_below(&rng, 100) < add_percent)
			step_add(s, &m);
		else
			step_remove(s, &m);
		step_query(s, &m);
		if (i % 16 == 0)
			assert_equals(s, &m);
	}
	assert_equals(s, &m);
	if (seqset_count(s) > 0) {
		struct seqset_iter it = {0};
		struct seqrange r;

		assert_true(seqset_next(s, &it, &r));
		assert_int_equal(seqset_min(s), r.lo);
		while (seqset_next(s, &it, &r))
			;
		assert_int_equal(seqset_max(s), r.hi);
	}
	seqset_free(s);
}

static void random_histories_equal_the_bitmap(void **state)
{
	(void)state;
	for (int round = 0; round < 12; round++) {
		unsigned add = 30 + (unsigned)rng_below(&rng, 50);

		one_history(0, 4000, add);
		one_history(UINT64_MAX - BITS + 1, 4000, add);
		one_history(rng_next(&rng) >> 1, 4000, add);
	}
}

static void random_pair(struct seqset *s, struct model *m)
{
	unsigned add = 20 + (unsigned)rng_below(&rng, 70);

	memset(m, 0, sizeof(*m));
	for (int i = 0, n = (int)rng_below(&rng, 1500); i < n; i++) {
		if (rng_below(&rng, 100) < add)
			step_add(s, m);
		else
			step_remove(s, m);
	}
}

static void algebra_equals_the_bitmaps(void **state)
{
	static struct model ma, mb, want;

	(void)state;
	for (int round = 0; round < 120; round++) {
		struct seqset *a = seqset_new(), *b = seqset_new(), *r = seqset_new();

		base = round % 3 ? rng_next(&rng) >> 1 : round % 2 ? 0 : UINT64_MAX - BITS + 1;
		random_pair(a, &ma);
		random_pair(b, &mb);
		/* what was in the result before must go */
		assert_int_equal(seqset_add(r, 5, 5000, NULL), 0);
		assert_int_equal(seqset_union(a, b, r), 0);
		for (int i = 0; i < BITS; i++)
			want.has[i] = ma.has[i] || mb.has[i];
		assert_equals(r, &want);
		assert_int_equal(seqset_intersect(a, b, r), 0);
		for (int i = 0; i < BITS; i++)
			want.has[i] = ma.has[i] && mb.has[i];
		assert_equals(r, &want);
		assert_int_equal(seqset_subtract(a, b, r), 0);
		for (int i = 0; i < BITS; i++)
			want.has[i] = ma.has[i] && !mb.has[i];
		assert_equals(r, &want);
		assert_int_equal(seqset_equal(r, a), memcmp(&want, &ma, sizeof(want)) == 0);
		assert_true(seqset_equal(a, a));
		seqset_free(a);
		seqset_free(b);
		seqset_free(r);
	}
}

static void the_ends_of_the_numbers_are_numbers(void **state)
{
	struct seqset *s = seqset_new();
	uint64_t added;

	(void)state;
	assert_int_equal(seqset_add(s, UINT64_MAX, UINT64_MAX, &added), 0);
	assert_int_equal(added, 1);
	assert_int_equal(seqset_add(s, 0, 0, &added), 0);
	assert_int_equal(seqset_ranges(s), 2);
	assert_int_equal(seqset_add(s, UINT64_MAX, UINT64_MAX, &added), 0);
	assert_int_equal(added, 0);
	assert_int_equal(seqset_add(s, 1, UINT64_MAX - 1, &added), 0);
	assert_int_equal(added, UINT64_MAX - 1);
	assert_int_equal(seqset_ranges(s), 1);
	assert_int_equal(seqset_count(s), 0); /* 2^64 does not fit: stated in the header */
	assert_true(seqset_has_range(s, 0, UINT64_MAX));
	assert_int_equal(seqset_remove(s, 0, 0), 0);
	assert_int_equal(seqset_count(s), UINT64_MAX);
	assert_int_equal(seqset_remove(s, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(seqset_min(s), 1);
	assert_int_equal(seqset_max(s), UINT64_MAX - 1);
	assert_int_equal(seqset_remove(s, 0, UINT64_MAX), 0);
	assert_int_equal(seqset_ranges(s), 0);
	assert_int_equal(seqset_count(s), 0);
	assert_int_equal(seqset_remove(s, 0, UINT64_MAX), 0);
	assert_int_equal(seqset_add(s, 0, UINT64_MAX, &added), 0);
	assert_int_equal(seqset_remove(s, 7, 7), 0);
	assert_int_equal(seqset_ranges(s), 2);
	assert_false(seqset_has(s, 7));
	seqset_free(s);
}

/* Every position in and around a full block, where blocks are halved and appended to. */
static void blocks_split_at_every_position(void **state)
{
	(void)state;
	for (uint64_t n = 120; n <= 140; n++) {
		for (uint64_t hole = 0; hole <= n; hole++) {
			struct seqset *s = seqset_new();
			struct seqset_iter it = {0};
			struct seqrange r;

			for (uint64_t i = 0; i <= n; i++)
				if (i != hole)
					assert_int_equal(
						seqset_add(s, 10 * i, 10 * i + 5, NULL), 0);
			assert_int_equal(seqset_add(s, 10 * hole, 10 * hole + 5, NULL), 0);
			/* and a split by removal at the same place */
			assert_int_equal(seqset_remove(s, 10 * hole + 2, 10 * hole + 3), 0);
			assert_int_equal(seqset_ranges(s), n + 2);
			for (uint64_t i = 0; i <= n; i++) {
				assert_true(seqset_next(s, &it, &r));
				assert_int_equal(r.lo, 10 * i);
				assert_int_equal(r.hi, i == hole ? 10 * i + 1 : 10 * i + 5);
				if (i != hole)
					continue;
				assert_true(seqset_next(s, &it, &r));
				assert_int_equal(r.lo, 10 * i + 4);
			}
			assert_false(seqset_next(s, &it, &r));
			seqset_free(s);
		}
	}
}

#define SCATTERED 1000000

/* 0 .. SCATTERED - 1 in random order. */
static uint32_t *shuffled(void)
{
	uint32_t *order = malloc(SCATTERED * sizeof(*order));

	assert_non_null(order);
	for (uint32_t i = 0; i < SCATTERED; i++)
		order[i] = i;
	for (uint32_t i = SCATTERED - 1; i > 0; i--) {
		uint32_t j = (uint32_t)rng_below(&rng, i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	return order;
}

static void a_million_scattered_ranges_take_seconds(void **state)
{
	int64_t begin = clock_ns();
	uint32_t *order = shuffled();
	struct seqset *s = seqset_new(), *even = seqset_new(), *r = seqset_new();

	(void)state;
	for (uint32_t i = 0; i < SCATTERED; i++)
		assert_int_equal(
			seqset_add(s, 3 * (uint64_t)order[i], 3 * (uint64_t)order[i], NULL), 0);
	assert_int_equal(seqset_ranges(s), SCATTERED);
	assert_int_equal(seqset_count(s), SCATTERED);
	for (uint64_t i = 0; i < SCATTERED; i++)
		assert_true(seqset_has(s, 3 * i) && !seqset_has(s, 3 * i + 1));
	for (uint64_t i = 0; i < SCATTERED; i += 2)
		assert_int_equal(seqset_add(even, 3 * i, 3 * i, NULL), 0);
	assert_int_equal(seqset_subtract(s, even, r), 0);
	assert_int_equal(seqset_ranges(r), SCATTERED / 2);
	assert_int_equal(seqset_union(r, even, s), 0);
	assert_int_equal(seqset_ranges(s), SCATTERED);
	for (uint32_t i = 0; i < SCATTERED; i++)
		assert_int_equal(
			seqset_remove(s, 3 * (uint64_t)order[i], 3 * (uint64_t)order[i]), 0);
	assert_int_equal(seqset_ranges(s), 0);
	/* one addition that swallows half a million ranges */
	assert_int_equal(seqset_add(even, 0, 3 * SCATTERED, NULL), 0);
	assert_int_equal(seqset_ranges(even), 1);
	seqset_free(s);
	seqset_free(even);
	seqset_free(r);
	free(order);
	print_message("a million ranges: %.2f s\n", (double)(clock_ns() - begin) / 1e9);
	assert_true(clock_ns() - begin < 30 * NS_PER_S);
}

static int begin(void **state)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : rng_system();

	(void)state;
	fprintf(stderr, "# seqset_test: SEED=%llu\n", (unsigned long long)seed);
	rng_init(&rng, seed);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_histories_equal_the_bitmap),
		cmocka_unit_test(algebra_equals_the_bitmaps),
		cmocka_unit_test(the_ends_of_the_numbers_are_numbers),
		cmocka_unit_test(blocks_split_at_every_position),
		cmocka_unit_test(a_million_scattered_ranges_take_seconds),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
