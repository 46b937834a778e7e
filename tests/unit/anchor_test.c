/* Anchors: what stands at a position, and whether it is two things at once. */
#include "checker/anchor.h"

#include "tests/fake_log.h"
#include "tests/unit.h"

#define SOON (2 * NS_PER_S)

static struct anchor_reader *reader;

static int fresh(void **state)
{
	struct broker_config config = {0};
	struct err e;

	(void)state;
	fake = (struct fake_log){
		.run_id = 5, .producer_id = 1, .epoch = 1, .nonce = 7, .high = 100, .odd = -1};
	return anchor_reader_open(&fake_ops, &config, &reader, &e);
}

static int clean(void **state)
{
	(void)state;
	anchor_reader_close(reader);
	return 0;
}

static bool inconsistent(int64_t offset)
{
	struct err e;
	bool yes = true;

	assert_int_equal(anchor_is_inconsistent(reader, 0, offset, SOON, &yes, &e), 0);
	return yes;
}

static struct witness_anchor anchor_at(int64_t offset)
{
	struct broker_message m;
	struct witness_anchor a;

	assert_true(fake_message(offset, &m));
	a = anchor_of(&m);
	fake_release(NULL, &m, 1);
	return a;
}

static bool matches(const struct witness_anchor *a)
{
	struct err e;
	bool yes = false;

	assert_int_equal(anchor_matches(reader, 0, a, SOON, &yes, &e), 0);
	return yes;
}

static void the_same_record_matches(void **state)
{
	struct witness_anchor a = anchor_at(50);

	(void)state;
	assert_true(matches(&a));
	fake.odd = 50;
	assert_false(matches(&a));
	fake.odd = 49;
	assert_true(matches(&a));
}

static void what_is_gone_says_nothing_or_is_a_cut(void **state)
{
	struct witness_anchor a = anchor_at(50);

	(void)state;
	fake.low = 51;
	assert_true(matches(&a)); /* retention */
	fake.low = 0;
	fake.odd = 50;
	fake.empty = true;
	assert_true(matches(&a)); /* compaction */
	fake.high = 50;
	assert_false(matches(&a)); /* the end is below it */
}

static void one_content_is_consistent(void **state)
{
	(void)state;
	assert_false(inconsistent(50));
}

/* A log that was cut and grew anew has another record there, each time the same. */
static void another_content_that_stays_is_a_cut(void **state)
{
	(void)state;
	fake.odd = 50;
	assert_false(inconsistent(50));
}

static void two_contents_without_a_hint_are_inconsistent(void **state)
{
	(void)state;
	fake.odd = 50;
	fake.flips = true;
	assert_true(inconsistent(50));
	assert_false(inconsistent(51));
}

/* Whatever the number of reads after which the hint comes: it speaks against it. */
static void a_hint_between_makes_it_a_cut(void **state)
{
	(void)state;
	fake.odd = 50;
	fake.flips = true;
	for (uint64_t from = 3; from <= 4; from++) {
		fake.reads = 0;
		fake.hint_from = from;
		assert_false(inconsistent(50));
	}
	fake.hint_from = 0;
	for (uint64_t from = 1; from <= 4; from++) {
		fake.reads = 0;
		fake.end_from = from;
		assert_false(inconsistent(50));
	}
}

/* It changed once, between the first two reads: a cut that was under way. */
static void a_change_that_is_over_is_a_cut(void **state)
{
	(void)state;
	fake.odd = 50;
	fake.flips = true;
	fake.flips_until = 1;
	assert_false(inconsistent(50));
}

static void nothing_there_is_not_two_things(void **state)
{
	(void)state;
	fake.odd = 50;
	fake.flips = true;
	fake.empty = true;
	assert_false(inconsistent(50));
}

static void a_broker_that_does_not_answer_is_no_answer(void **state)
{
	struct err e;
	bool yes = true;

	(void)state;
	fake.away = true;
	assert_int_equal(
		anchor_is_inconsistent(reader, 0, 50, 100 * NS_PER_MS, &yes, &e), ERR_BROKER_AWAY);
	assert_false(yes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_same_record_matches, fresh, clean),
		cmocka_unit_test_setup_teardown(
			what_is_gone_says_nothing_or_is_a_cut, fresh, clean),
		cmocka_unit_test_setup_teardown(one_content_is_consistent, fresh, clean),
		cmocka_unit_test_setup_teardown(another_content_that_stays_is_a_cut, fresh, clean),
		cmocka_unit_test_setup_teardown(
			two_contents_without_a_hint_are_inconsistent, fresh, clean),
		cmocka_unit_test_setup_teardown(a_hint_between_makes_it_a_cut, fresh, clean),
		cmocka_unit_test_setup_teardown(a_change_that_is_over_is_a_cut, fresh, clean),
		cmocka_unit_test_setup_teardown(nothing_there_is_not_two_things, fresh, clean),
		cmocka_unit_test_setup_teardown(
			a_broker_that_does_not_answer_is_no_answer, fresh, clean),
	};

	return cmocka_run_group_tests_name("anchor", tests, NULL, NULL);
}
