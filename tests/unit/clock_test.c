#include "core/clock.h"

#include <time.h>

#include "tests/unit.h"

static void monotonic_time_does_not_go_back(void **state)
{
	int64_t last = clock_ns();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		int64_t now = clock_ns();

		assert_true(now >= last);
		last = now;
	}
	assert_true(clock_wall_ns() / NS_PER_S - (int64_t)time(NULL) <= 1);
}

static void sleep_takes_at_least_its_time(void **state)
{
	int64_t before = clock_ns();

	(void)state;
	clock_sleep_ns(5 * NS_PER_MS);
	assert_true(clock_ns() - before >= 5 * NS_PER_MS);
	clock_sleep_ns(0);
	clock_sleep_ns(-NS_PER_S);
}

static void time_left_is_rounded_up_and_never_negative(void **state)
{
	(void)state;
	assert_int_equal(clock_left_ms(clock_ns() - 1), 0);
	assert_int_equal(clock_left_ms(INT64_MIN / 2), 0);
	assert_int_equal(clock_left_ms(clock_ns() + 1000 * NS_PER_S) > 999000, 1);
	assert_int_equal(clock_left_ms(clock_ns() + NS_PER_MS / 2) <= 1, 1);
	assert_int_equal(clock_left_ms(INT64_MAX), 2147483647);
}

static void iso_text_is_utc_with_microseconds(void **state)
{
	static const struct {
		int64_t wall_ns;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00.000000Z"},
		{INT64_C(1795220000123456789), "2026-11-21T00:13:20.123456Z"},
		{-1, "1969-12-31T23:59:59.999999Z"},
		{-NS_PER_S, "1969-12-31T23:59:59.000000Z"},
		{INT64_MAX, "2262-04-11T23:47:16.854775Z"},
		{INT64_MIN, "1677-09-21T00:12:43.145224Z"},
	};
	char text[CLOCK_ISO_LEN];

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++)
		assert_string_equal(clock_iso(cases[i].wall_ns, text, sizeof(text)), cases[i].text);
}

static void time_of_day_is_local(void **state)
{
	char text[CLOCK_ISO_LEN];

	(void)state;
	setenv("TZ", "UTC-2", 1); /* POSIX: two hours east */
	tzset();
	assert_string_equal(clock_hms(3723 * NS_PER_S + 45 * NS_PER_MS, true, text, sizeof(text)),
		"03:02:03.045");
	assert_string_equal(clock_hms(3723 * NS_PER_S, false, text, sizeof(text)), "03:02:03");
	assert_string_equal(clock_hms(-1, true, text, sizeof(text)), "01:59:59.999");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monotonic_time_does_not_go_back),
		cmocka_unit_test(sleep_takes_at_least_its_time),
		cmocka_unit_test(time_left_is_rounded_up_and_never_negative),
		cmocka_unit_test(iso_text_is_utc_with_microseconds),
		cmocka_unit_test(time_of_day_is_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
