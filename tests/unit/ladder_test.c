/* The ladder: few segments for many records, dense at the end, borders of generations kept. */
#include "checker/ladder.h"

#include "core/rng.h"
#include "tests/unit.h"

static struct ladder l;
static struct witness_fold fold[LADDER_MAX_FOLDS];

static int fresh(void **state)
{
	(void)state;
	memset(&l, 0, sizeof(l));
	return 0;
}

static int clean(void **state)
{
	(void)state;
	ladder_clear(&l);
	return 0;
}

static void push(int64_t number, int64_t first, int64_t records, int32_t generation)
{
	struct witness_segment s = {
		.segment = number,
		.generation = generation,
		.first_offset = first,
		.end_offset = first + records,
		.anchor = {first + records - 1, number},
		.records = records,
		.ours = records - 1,
		.fences = 1,
	};

	assert_int_equal(ladder_push(&l, &s, true), 0);
}

/* Whatever was folded: the segments follow each other without a hole, and nothing is counted twice.
 */
static void check_whole(int64_t end, int64_t n_pushed)
{
	int64_t at = 0, records = 0, ours = 0, fences = 0, number = 0;

	for (size_t i = 0; i < l.n; i++) {
		const struct witness_segment *s = &l.segment[i];

		assert_int_equal(s->first_offset, at);
		assert_true(s->segment > number);
		assert_int_equal(s->anchor.offset, s->end_offset - 1);
		at = s->end_offset;
		number = s->segment;
		records += s->records;
		ours += s->ours;
		fences += s->fences;
	}
	assert_int_equal(at, end);
	assert_int_equal(records, end);
	assert_int_equal(fences, n_pushed);
	assert_int_equal(ours, end - n_pushed);
}

static void a_billion_records_have_few_segments(void **state)
{
	size_t most = 0;
	int64_t n = 0;

	(void)state;
	for (int64_t at = 0; at < 1000000000; at += 10000) {
		push(++n, at, 10000, 0);
		(void)ladder_fold(&l, 0, fold, LADDER_MAX_FOLDS);
		most = l.n > most ? l.n : most;
	}
	check_whole(1000000000, n);
	print_message("# %zu segments at most, %zu at the end\n", most, l.n);
	assert_true(most <= 120);
	assert_true(l.n >= LADDER_DENSE);
}

static void the_newest_are_never_folded(void **state)
{
	(void)state;
	for (int64_t i = 0; i < LADDER_DENSE; i++)
		push(i + 1, i * 10, 10, 0);
	assert_int_equal(ladder_fold(&l, 0, fold, LADDER_MAX_FOLDS), 0);
	for (int64_t i = LADDER_DENSE; i < 1000; i++) {
		push(i + 1, i * 10, 10, 0);
		(void)ladder_fold(&l, 0, fold, LADDER_MAX_FOLDS);
		for (size_t k = 0; k < LADDER_DENSE; k++)
			assert_int_equal(l.segment[l.n - 1 - k].records, 10);
	}
}

/* Behind it, no stretch is longer than a part of what is newer: a cut is found near where it was.
 */
static void a_step_is_never_longer_than_what_lies_behind(void **state)
{
	struct rng rng;
	int64_t at = 0, behind = 0;

	(void)state;
	rng_init(&rng, 7);
	for (int64_t i = 0; i < 20000; i++) {
		int64_t n = 2 + (int64_t)rng_below(&rng, 100);

		push(i + 1, at, n, 0);
		at += n;
		(void)ladder_fold(&l, 0, fold, LADDER_MAX_FOLDS);
	}
	check_whole(at, 20000);
	for (size_t i = l.n; i > 0; i--) {
		if (i <= l.n - LADDER_DENSE && l.segment[i - 1].records > 102)
			assert_true(l.segment[i - 1].records * 4 <= behind);
		behind += l.segment[i - 1].records;
	}
}

static void generations_keep_their_border(void **state)
{
	(void)state;
	for (int64_t i = 0; i < 3000; i++) {
		push(i + 1, i * 10, 10, i >= 100);
		(void)ladder_fold(&l, 0, fold, LADDER_MAX_FOLDS);
	}
	for (size_t i = 0; i < l.n; i++)
		if (l.segment[i].generation == 0)
			assert_true(l.segment[i].end_offset <= 1000);
		else
			assert_true(l.segment[i].first_offset >= 1000);
	check_whole(30000, 3000);
}

/* The folds that are told are exactly what happens here: whoever plays them comes to the same
 * ladder. */
static void folds_can_be_played_elsewhere(void **state)
{
	static int64_t owner[5001];
	int64_t n = 0;

	(void)state;
	for (int64_t i = 0; i < 5000; i++) {
		size_t told;

		push(++n, i * 10, 10, 0);
		owner[n] = n;
		told = ladder_fold(&l, 3, fold, 5);
		assert_true(told <= 5);
		for (size_t k = 0; k < told; k++) {
			assert_int_equal(fold[k].partition, 3);
			assert_true(fold[k].into < fold[k].from);
			/* both must be there when it is played */
			assert_int_equal(owner[fold[k].into], fold[k].into);
			assert_int_equal(owner[fold[k].from], fold[k].from);
			owner[fold[k].from] = fold[k].into;
		}
	}
	for (size_t i = 0; i < l.n; i++) {
		assert_int_equal(owner[l.segment[i].segment], l.segment[i].segment);
		owner[l.segment[i].segment] = 0;
	}
	for (int64_t i = 1; i <= n; i++)
		assert_true(owner[i] != i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_billion_records_have_few_segments, fresh, clean),
		cmocka_unit_test_setup_teardown(the_newest_are_never_folded, fresh, clean),
		cmocka_unit_test_setup_teardown(
			a_step_is_never_longer_than_what_lies_behind, fresh, clean),
		cmocka_unit_test_setup_teardown(generations_keep_their_border, fresh, clean),
		cmocka_unit_test_setup_teardown(folds_can_be_played_elsewhere, fresh, clean),
	};

	return cmocka_run_group_tests_name("ladder", tests, NULL, NULL);
}
