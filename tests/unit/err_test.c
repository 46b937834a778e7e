#include <errno.h>

#include "tests/unit.h"

static void every_code_has_a_text(void **state)
{
	(void)state;
	for (int code = -1; code > -(int)ERR_N_END_; code--)
		assert_string_not_equal(err_code_text(code), "unknown error");
	assert_string_equal(err_code_text(0), "no error");
	assert_string_equal(err_code_text(1), "unknown error");
	assert_string_equal(err_code_text(-(int)ERR_N_END_), "unknown error");
	assert_string_equal(err_code_text(-2147483647 - 1), "unknown error");
}

static void set_returns_the_code_and_forgets_the_hint(void **state)
{
	struct err e = {0};

	(void)state;
	err_hint(&e, "old");
	assert_int_equal(err_set(&e, ERR_FORMAT, "bad %d", 7), ERR_FORMAT);
	assert_string_equal(e.msg, "bad 7");
	assert_string_equal(e.hint, "");
	assert_int_equal(e.code, ERR_FORMAT);
	assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
}

static void errno_decides_the_code_where_it_says_more(void **state)
{
	static const struct {
		int errnum, code;
	} cases[] = {{ENOSPC, ERR_NOSPACE}, {EDQUOT, ERR_NOSPACE}, {EACCES, ERR_DENIED},
		{EPERM, ERR_DENIED}, {ENOMEM, ERR_NOMEM}, {EIO, ERR_IO}, {ENOENT, ERR_IO}};
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(
			err_set_errno(&e, ERR_IO, cases[i].errnum, "cannot do it"), cases[i].code);
		assert_contains(e.msg, "cannot do it: ");
		assert_contains(e.msg, strerror(cases[i].errnum));
	}
	assert_int_equal(err_set_errno(NULL, ERR_IO, ENOSPC, "x"), ERR_NOSPACE);
}

static void wrap_puts_a_reason_in_front_and_keeps_code_and_hint(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, ERR_TIMEOUT, "inner");
	err_hint(&e, "wait");
	assert_int_equal(err_wrap(&e, "outer %s", "one"), ERR_TIMEOUT);
	assert_string_equal(e.msg, "outer one: inner");
	assert_string_equal(e.hint, "wait");
}

static void long_messages_are_cut_not_overrun(void **state)
{
	char text[2000];
	struct err e;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&e, ERR_IO, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	err_wrap(&e, "%s", text);
	err_hint(&e, "%s", text);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
	assert_int_equal(strlen(e.hint), sizeof(e.hint) - 1);
	err_clear(&e);
	assert_int_equal(e.code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_text),
		cmocka_unit_test(set_returns_the_code_and_forgets_the_hint),
		cmocka_unit_test(errno_decides_the_code_where_it_says_more),
		cmocka_unit_test(wrap_puts_a_reason_in_front_and_keeps_code_and_hint),
		cmocka_unit_test(long_messages_are_cut_not_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
