#include "scenarios/lab/template.h"

#include "tests/unit.h"

static void names_are_filled_in_and_other_signs_stay(void **state)
{
	static const struct template_pair pairs[] = {{"A", "one"}, {"LONG_NAME", ""}, {NULL, NULL}};
	static const struct {
		const char *text, *filled;
	} cases[] = {
		{"", ""},
		{"@A@", "one"},
		{"x@A@y@A@", "xoneyone"},
		{"rabbit@@A@", "rabbit@one"},
		{"@LONG_NAME@.", "."},
		{"@B@ @A", "@B@ @A"},
		{"@A\n@A@", "@A\none"},
		{"a@b", "a@b"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct buf b;

		buf_init(&b, 1024);
		template_fill(&b, cases[i].text, pairs);
		assert_string_equal(buf_str(&b), cases[i].filled);
		buf_release(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_filled_in_and_other_signs_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
