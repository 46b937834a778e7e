/* Findings as sets: equal however their ranges are cut, different in one word when they are. */
#include "checker/judge.h"

#include "tests/unit.h"

static struct findings *a, *b;
static char text[256];

static int fresh(void **state)
{
	(void)state;
	a = findings_new();
	b = findings_new();
	text[0] = '\0';
	return a && b ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	findings_free(a);
	findings_free(b);
	return 0;
}

static void add(
	struct findings *f, enum finding_kind kind, int64_t partition, uint64_t lo, uint64_t hi)
{
	assert_int_equal(
		findings_add(f, kind, STAGE_BROKER, 1, 1, partition, lo, hi, hi - lo + 1), 0);
}

static bool equal(void)
{
	bool one = findings_equal(a, "SQL", b, "memory", text, sizeof(text));
	char other[256];

	/* whoever is asked first */
	assert_int_equal(findings_equal(b, "memory", a, "SQL", other, sizeof(other)), one);
	return one;
}

static void none_equals_none(void **state)
{
	(void)state;
	assert_true(equal());
}

static void ranges_may_be_cut_differently(void **state)
{
	(void)state;
	add(a, FINDING_LOST, 0, 1, 10);
	add(a, FINDING_LOST, 1, 5, 5);
	add(b, FINDING_LOST, 1, 5, 5);
	add(b, FINDING_LOST, 0, 6, 10);
	add(b, FINDING_LOST, 0, 1, 5);
	assert_true(equal());
}

static void one_more_is_a_difference_with_its_seq(void **state)
{
	(void)state;
	add(a, FINDING_LOST, 3, 1, 10);
	add(b, FINDING_LOST, 3, 1, 9);
	assert_false(equal());
	assert_contains(text, "SQL says lost at broker 10 times in lane 1.1.3");
	assert_contains(text, "memory 9 times");
	assert_contains(text, "first at seq 10");
}

static void an_empty_side_is_a_difference(void **state)
{
	(void)state;
	add(b, FINDING_DUPLICATED, 2, 7, 7);
	assert_false(equal());
	assert_contains(text, "memory says duplicated");
	assert_contains(text, "SQL 0 times");
	assert_contains(text, "seq 7");
}

/* Same seqs, another number of copies. */
static void counts_are_compared_too(void **state)
{
	(void)state;
	assert_int_equal(findings_add(a, FINDING_DUPLICATED, STAGE_PRODUCE, 1, 1, 0, 7, 7, 2), 0);
	assert_int_equal(findings_add(b, FINDING_DUPLICATED, STAGE_PRODUCE, 1, 1, 0, 7, 7, 1), 0);
	assert_false(equal());
}

static void each_part_of_the_key_counts(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		findings_free(a);
		findings_free(b);
		a = findings_new();
		b = findings_new();
		assert_int_equal(findings_add(a, FINDING_LOST, STAGE_BROKER, 1, 1, 0, 3, 3, 1), 0);
		assert_int_equal(findings_add(b, i == 0 ? FINDING_EXPIRED : FINDING_LOST,
					 i == 1 ? STAGE_PRODUCE : STAGE_BROKER, i == 2 ? 2 : 1,
					 i == 3 ? 2 : 1, i == 4 ? 1 : 0, 3, 3, 1),
			0);
		assert_false(equal());
	}
}

/* More lanes than the table has room for at the start; each is found again. */
static void thousands_of_lanes(void **state)
{
	(void)state;
	for (int64_t p = 0; p < 5000; p++)
		add(a, FINDING_LOST, p, (uint64_t)p + 1, (uint64_t)p + 1);
	for (int64_t p = 4999; p >= 0; p--)
		add(b, FINDING_LOST, p, (uint64_t)p + 1, (uint64_t)p + 1);
	assert_true(equal());
	add(b, FINDING_LOST, 4321, 1, 1);
	assert_false(equal());
	assert_contains(text, "1.1.4321");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(none_equals_none, fresh, clean),
		cmocka_unit_test_setup_teardown(ranges_may_be_cut_differently, fresh, clean),
		cmocka_unit_test_setup_teardown(
			one_more_is_a_difference_with_its_seq, fresh, clean),
		cmocka_unit_test_setup_teardown(an_empty_side_is_a_difference, fresh, clean),
		cmocka_unit_test_setup_teardown(counts_are_compared_too, fresh, clean),
		cmocka_unit_test_setup_teardown(each_part_of_the_key_counts, fresh, clean),
		cmocka_unit_test_setup_teardown(thousands_of_lanes, fresh, clean),
	};

	return cmocka_run_group_tests_name("findings", tests, NULL, NULL);
}
