/* The sums that counts must satisfy: each part is missed when it is off by one, on either side. */
#include "core/ledger/judged.h"

#include "tests/unit.h"

static struct judged_sums right(void)
{
	return (struct judged_sums){.intended = 28,
		.acked = 1,
		.unconfirmed = 2,
		.refused = 3,
		.unknown = 4,
		.none = 5,
		.unrecorded = 6,
		.in_flight = 7,
		.read = 127,
		.distinct = 1,
		.extra = 2,
		.aborted = 4,
		.foreign = 8,
		.phantom = 16,
		.corrupted = 32,
		.fences = 64,
		.target_read = 63,
		.target_distinct = 1,
		.target_extra = 2,
		.target_foreign = 4,
		.target_phantom = 8,
		.target_corrupted = 16,
		.target_fences = 32};
}

static void all_hold(void **state)
{
	struct judged_sums s = right(), none = {0};
	char text[300];

	(void)state;
	assert_true(judged_sums_hold(&s, text, sizeof(text)));
	assert_string_equal(text, "");
	assert_true(judged_sums_hold(&none, text, sizeof(text)));
}

static void no_part_may_be_off(void **state)
{
	struct judged_sums s;
	uint64_t *const part[] = {&s.intended, &s.acked, &s.unconfirmed, &s.refused, &s.unknown,
		&s.none, &s.unrecorded, &s.in_flight, &s.read, &s.distinct, &s.extra, &s.aborted,
		&s.foreign, &s.phantom, &s.corrupted, &s.fences, &s.target_read, &s.target_distinct,
		&s.target_extra, &s.target_foreign, &s.target_phantom, &s.target_corrupted,
		&s.target_fences};
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		s = right();
		*part[i] += 1;
		assert_false(judged_sums_hold(&s, text, sizeof(text)));
	}
}

static void it_is_said_what_does_not_hold(void **state)
{
	struct judged_sums s = right();
	char text[300];

	(void)state;
	s.fences++;
	s.target_read--;
	assert_false(judged_sums_hold(&s, text, sizeof(text)));
	assert_string_equal(text, "127 records read, but 128 accounted for; "
				  "62 records read behind the relay, but 63 accounted for");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_hold),
		cmocka_unit_test(no_part_may_be_off),
		cmocka_unit_test(it_is_said_what_does_not_hold),
	};

	return cmocka_run_group_tests_name("sums", tests, NULL, NULL);
}
