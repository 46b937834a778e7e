/* What is UTF-8, and what is made of what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/utf8.h"

static void characters(void **unused)
{
	static const struct {
		const char *text;
		size_t n;
	} cases[] = {{"", 0}, {"a", 1}, {"\x7f", 1}, {"\n", 1}, {"\xc2\x80", 2}, {"\xdf\xbf", 2},
		{"\xe0\xa0\x80", 3}, {"\xed\x9f\xbf", 3}, {"\xee\x80\x80", 3}, {"\xef\xbf\xbd", 3},
		{"\xf0\x90\x80\x80", 4}, {"\xf4\x8f\xbf\xbf", 4},
		/* out of place, cut off, too long a form */
		{"\x80", 0}, {"\xbf", 0}, {"\xc2", 0},
		{"\xc2"
		 "a",
			0},
		{"\xe0\xa0", 0}, {"\xf0\x90\x80", 0}, {"\xc0\x80", 0}, {"\xc1\xbf", 0},
		{"\xe0\x9f\xbf", 0}, {"\xf0\x8f\xbf\xbf", 0},
		/* surrogates, no characters, beyond the last */
		{"\xed\xa0\x80", 0}, {"\xed\xbf\xbf", 0}, {"\xef\xbf\xbe", 0}, {"\xef\xbf\xbf", 0},
		{"\xf4\x90\x80\x80", 0}, {"\xf5\x80\x80\x80", 0}, {"\xff", 0}};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(utf8_length(cases[i].text), cases[i].n);
}

static void cleaning(void **unused)
{
	static const char *const cases[][2] = {{"", ""}, {"plain", "plain"},
		{"\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac"}, {"a\xffz", "a?z"},
		{"cut \xe2\x82", "cut ??"}, {"\xef\xbf\xbf.", "???."}, {"\xed\xa0\x80", "???"},
		{"\x80\xc3\xa4\x80", "?\xc3\xa4?"}};
	char text[40];

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "%s", cases[i][0]);
		assert_ptr_equal(utf8_clean(text), text);
		assert_string_equal(text, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters),
		cmocka_unit_test(cleaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
