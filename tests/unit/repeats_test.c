/* What repetition showed: the bounds, and whether all was the same. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios/runner/repeats.h"

/* From tables of Clopper and Pearson's bounds, and by hand where there are none or all. */
static void bounds(void **unused)
{
	static const struct {
		uint64_t hits, runs;
		double low, high;
	} cases[] = {{0, 1, 0, 0.95}, {1, 1, 0.05, 1}, {0, 20, 0, 0.1391}, {20, 20, 0.8609, 1},
		{0, 100, 0, 0.0295}, {1, 10, 0.0025, 0.4450}, {5, 10, 0.1871, 0.8129},
		{9, 10, 0.5550, 0.9975}, {3, 5, 0.1466, 0.9473}, {50, 100, 0.3983, 0.6017},
		{0, 1000, 0, 0.002991}};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double low, high;

		repeats_bounds(cases[i].hits, cases[i].runs, &low, &high);
		if (fabs(low - cases[i].low) > 0.0001 || fabs(high - cases[i].high) > 0.0001)
			fail_msg("%d of %d: %f to %f", (int)cases[i].hits, (int)cases[i].runs, low,
				high);
	}
	for (uint64_t n = 1; n <= 300; n++) {
		double low, high;

		repeats_bounds(0, n, &low, &high);
		assert_true(low == 0 && high < 3.0 / (double)n);
	}
}

static json_t *twin(const char *name, const char *role, const char *outcome, const char *kind)
{
	json_t *found = json_array();

	if (*kind)
		assert_int_equal(
			json_array_append_new(found, json_pack("{ss ss si}", "kind", kind, "stage",
							     "broker", "count", 7)),
			0);
	return json_pack("{ss ss ss ss so}", "name", name, "role", role, "outcome", outcome,
		"expected", "FAIL lost@broker expired@broker>=0", "found", found);
}

static json_t *scenario(const char *name, int bounded, json_t *bad, json_t *good)
{
	return json_pack("{ss sb s[oo]}", "name", name, "bounded", bounded, "twins", bad, good);
}

static void check_text(const json_t *list, size_t at, const char *want)
{
	struct buf b;

	buf_init(&b, 4096);
	repeats_text(json_array_get(list, at), &b);
	assert_string_equal(buf_str(&b), want);
	buf_release(&b);
}

static void summary(void **unused)
{
	json_t *all = json_pack("[oooooo]",
		scenario("sure", 0, twin("a", "bad", "ok", "lost"), twin("b", "good", "ok", "")),
		scenario("sure", 0, twin("a", "bad", "ok", "lost"),
			twin("b", "good", "broken", "lost")),
		scenario(
			"chance", 1, twin("a", "bad", "ok", "lost"), twin("m", "mine", "safe", "")),
		scenario("chance", 1, twin("a", "bad", "not-caught", ""),
			twin("m", "mine", "safe", "expired")),
		scenario("chance", 1, twin("a", "bad", "undecided", ""),
			twin("m", "mine", "unsafe", "lost")),
		scenario("once", 0, twin("a", "bad", "ok", "lost"), twin("b", "good", "ok", "")));
	json_t *list, *item;

	(void)unused;
	assert_non_null(all);
	list = repeats_json(all);
	assert_int_equal(json_array_size(list), 4); /* what was run once is not repeated */
	check_text(list, 0, "2 times the same: ok, lost at broker");
	check_text(list, 1, "differs: 1 times ok; 1 times broken, lost at broker");
	check_text(list, 2, "caught in 1 of 2: 50 % (95 %: 1.3 to 98.7 %)");
	check_text(list, 3, "SAFE in 2 of 3: 67 % (95 %: 9.4 to 99.2 %)");
	item = json_array_get(list, 2);
	assert_int_equal(json_integer_value(json_object_get(item, "runs")), 3);
	assert_int_equal(json_integer_value(json_object_get(item, "decided")), 2);
	assert_int_equal(json_integer_value(json_object_get(item, "caught")), 1);
	assert_true(json_is_false(json_object_get(item, "same")));
	/* what may be there and need not makes no difference */
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 3), "results")), 2);
	json_decref(list);
	json_decref(all);
}

static void nothing_decided(void **unused)
{
	json_t *all = json_pack("[oo]",
		scenario("x", 1, twin("a", "bad", "undecided", ""), twin("b", "good", "error", "")),
		scenario(
			"x", 1, twin("a", "bad", "undecided", ""), twin("b", "good", "error", "")));
	json_t *list;

	(void)unused;
	assert_non_null(all);
	list = repeats_json(all);
	check_text(list, 0, "caught in 0 of 0");
	check_text(list, 1, "2 times the same: error");
	assert_null(json_object_get(json_array_get(list, 0), "rate"));
	json_decref(list);
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds),
		cmocka_unit_test(summary),
		cmocka_unit_test(nothing_decided),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
