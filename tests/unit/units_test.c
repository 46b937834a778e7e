#include "core/units.h"
#include "tests/unit.h"

static void counts_and_sizes_are_read_exactly(void **state)
{
	static const struct {
		const char *text;
		uint64_t count, size;
	} good[] = {
		{"0", 0, 0},
		{"250", 250, 250},
		{"007", 7, 7},
		{"10k", 10000, 10240},
		{"10K", 10000, 10240},
		{"1.5M", 1500000, 1572864},
		{"2G", UINT64_C(2000000000), UINT64_C(2147483648)},
		{"1.0", 1, 1},
		{"0.001k", 1, 1},
		{"0.29k", 290, 297},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX},
		{"18446744073709551.615k", UINT64_MAX, 0}, /* as a size it is too large */
		{"1.00000000000000000000000001k", 1000, 1024},
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++) {
		assert_int_equal(units_parse_count(good[i].text, &v, NULL), 0);
		assert_int_equal(v, good[i].count);
		if (good[i].size == 0 && good[i].count)
			continue;
		assert_int_equal(units_parse_size(good[i].text, &v, NULL), 0);
		assert_int_equal(v, good[i].size);
	}
}

static void what_is_no_number_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {"", " 1", "1 ", "-1", "+1", "abc", "1.5", "1..5k", "1.k",
		".5k", "1kk", "1kB", "1x", "0x10", "1e3", "1,5k", "18446744073709551616",
		"18446744073709551615k", "20000000000G", "99999999999999999999", "k"};
	uint64_t v = 99;
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(units_parse_count(bad[i], &v, &e), ERR_USAGE);
		assert_contains(e.msg, bad[i]);
		assert_int_equal(units_parse_size(bad[i], &v, &e), ERR_USAGE);
		assert_int_equal(v, 99);
	}
}

static void durations_have_units(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{"0", 0},
		{"0s", 0},
		{"7ns", 7},
		{"250us", 250000},
		{"500ms", 500000000},
		{"10s", INT64_C(10000000000)},
		{"0.1s", 100000000},
		{"5m", INT64_C(300000000000)},
		{"5min", INT64_C(300000000000)},
		{"2h", INT64_C(7200000000000)},
		{"1.5d", INT64_C(129600000000000)},
		{"9223372036854775807ns", INT64_MAX},
	};
	static const char *const bad[] = {"", "10", "10 s", "s", "-1s", "10S", "10x", "1.s",
		"9223372036854775808ns", "106752d", "10s5ms", "1e3s", "0x"};
	int64_t v = 99;

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++) {
		assert_int_equal(units_parse_duration(good[i].text, &v, NULL), 0);
		assert_int_equal(v, good[i].ns);
	}
	v = 99;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(units_parse_duration(bad[i], &v, NULL), ERR_USAGE);
	assert_int_equal(v, 99);
}

static void numbers_are_shown_for_people(void **state)
{
	static const struct {
		uint64_t n;
		const char *grouped, *brief, *bytes;
	} cases[] = {
		{0, "0", "0", "0 B"},
		{999, "999", "999", "999 B"},
		{3919, "3,919", "3,919", "3.8 KiB"},
		{9999, "9,999", "9,999", "9.8 KiB"},
		{65536, "65,536", "65.5 k", "64 KiB"},
		{102400, "102,400", "102.4 k", "100 KiB"},
		{999949, "999,949", "999.9 k", "977 KiB"},
		{999950, "999,950", "1.00 M", "977 KiB"},
		{1234567, "1,234,567", "1.23 M", "1.2 MiB"},
		{UINT64_MAX, "18,446,744,073,709,551,615", "18.4 E", "16777216 TiB"},
	};
	char buf[UNITS_LEN];

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_string_equal(units_grouped(cases[i].n, buf), cases[i].grouped);
		assert_string_equal(units_short(cases[i].n, buf), cases[i].brief);
		assert_string_equal(units_bytes(cases[i].n, buf), cases[i].bytes);
	}
}

static void durations_are_shown_for_people(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{0, "0.0 us"},
		{1500, "1.5 us"},
		{250000, "250 us"},
		{2100000, "2.1 ms"},
		{999999, "1.0 ms"},
		{150000000, "150 ms"},
		{999999999, "1.0 s"},
		{INT64_C(10000000000), "10.0 s"},
		{INT64_C(59999999999), "1 min 0 s"},
		{INT64_C(90000000000), "1 min 30 s"},
		{INT64_C(7260000000000), "2 h 1 min"},
	};
	char buf[UNITS_LEN];

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++)
		assert_string_equal(units_duration(cases[i].ns, buf), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_and_sizes_are_read_exactly),
		cmocka_unit_test(what_is_no_number_is_refused_and_changes_nothing),
		cmocka_unit_test(durations_have_units),
		cmocka_unit_test(numbers_are_shown_for_people),
		cmocka_unit_test(durations_are_shown_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
