#include "core/rng.h"
#include "tests/unit.h"

static void the_same_seed_gives_the_same_numbers(void **state)
{
	/* xoshiro256** seeded with splitmix64(0): computed apart, in Python */
	static const uint64_t first[] = {UINT64_C(0x99ec5f36cb75f2b4), UINT64_C(0xbf6e1f784956452a),
		UINT64_C(0x1a5f849d4933e6e0)};
	struct rng a, b;

	(void)state;
	rng_init(&a, 0);
	for (size_t i = 0; i < N_OF(first); i++)
		assert_int_equal(rng_next(&a), first[i]);
	rng_init(&a, 42);
	rng_init(&b, 42);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(rng_next(&a), rng_next(&b));
	rng_init(&b, 43);
	assert_int_not_equal(rng_next(&a), rng_next(&b));
}

static void below_stays_below_and_reaches_everything(void **state)
{
	struct rng r;
	uint64_t seen = 0;

	(void)state;
	rng_init(&r, 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t x = rng_below(&r, 7);

		assert_true(x < 7);
		seen |= UINT64_C(1) << x;
	}
	assert_int_equal(seen, 0x7f);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(rng_below(&r, 1), 0);
		assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
	}
}

/* Without rejection, n = 3 * 2^62 gives its lower third twice as often: 50 % instead of 33 %. */
static void below_has_no_bias(void **state)
{
	const uint64_t n = UINT64_C(3) << 62;
	int low = 0, total = 30000;
	struct rng r;

	(void)state;
	rng_init(&r, 5);
	for (int i = 0; i < total; i++)
		low += rng_below(&r, n) < n / 3;
	/* 10000 expected, standard deviation 82: six of them on either side */
	assert_in_range(low, 9500, 10500);
}

static void fill_fills_every_byte(void **state)
{
	unsigned char buf[37], seen[37] = {0};
	struct rng r;

	(void)state;
	rng_init(&r, 9);
	for (int i = 0; i < 50; i++) {
		memset(buf, 0, sizeof(buf));
		rng_fill(&r, buf, sizeof(buf) - 1);
		assert_int_equal(buf[sizeof(buf) - 1], 0);
		for (size_t k = 0; k < sizeof(buf); k++)
			seen[k] |= buf[k];
	}
	for (size_t k = 0; k + 1 < sizeof(buf); k++)
		assert_int_equal(seen[k], 0xff);
}

static void system_numbers_differ(void **state)
{
	(void)state;
	assert_int_not_equal(rng_system(), rng_system());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_gives_the_same_numbers),
		cmocka_unit_test(below_stays_below_and_reaches_everything),
		cmocka_unit_test(below_has_no_bias),
		cmocka_unit_test(fill_fills_every_byte),
		cmocka_unit_test(system_numbers_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
