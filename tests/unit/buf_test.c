#include "core/buf.h"
#include "tests/unit.h"

static void an_empty_buffer_is_an_empty_text(void **state)
{
	struct buf b;
	char *s;

	(void)state;
	buf_init(&b, 10);
	assert_string_equal(buf_str(&b), "");
	s = buf_take(&b);
	assert_string_equal(s, "");
	free(s);
	buf_release(&b);
}

static void adds_append(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, BUF_MAX_DEFAULT);
	buf_str_add(&b, "a");
	buf_char(&b, 'b');
	buf_printf(&b, "%03d", 7);
	buf_i64(&b, INT64_MIN);
	buf_char(&b, ' ');
	buf_i64(&b, -1);
	buf_u64(&b, 0);
	buf_u64(&b, UINT64_MAX);
	buf_add(&b, "\0x", 2);
	assert_int_equal(buf_failed(&b), 0);
	assert_string_equal(buf_str(&b), "ab007-9223372036854775808 -1018446744073709551615");
	assert_int_equal(b.len, strlen(buf_str(&b)) + 2);
	buf_release(&b);
}

static void growth_keeps_the_content(void **state)
{
	struct buf b;
	char *s;

	(void)state;
	buf_init(&b, BUF_MAX_DEFAULT);
	for (int i = 0; i < 100000; i++)
		buf_char(&b, (char)('a' + i % 26));
	assert_int_equal(b.len, 100000);
	s = buf_take(&b);
	for (int i = 0; i < 100000; i++)
		assert_true(s[i] == (char)('a' + i % 26));
	free(s);
	assert_int_equal(b.len, 0);
}

static void the_maximum_is_exact_and_remembered(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	buf_str_add(&b, "1234");
	assert_int_equal(buf_failed(&b), 0);
	buf_char(&b, '5');
	assert_int_equal(buf_failed(&b), ERR_LIMIT);
	buf_add(&b, "", 0);
	assert_string_equal(buf_str(&b), "1234");
	assert_null(buf_take(&b));
	buf_clear(&b);
	assert_int_equal(buf_failed(&b), 0);
	buf_printf(&b, "%s", "12345");
	assert_int_equal(buf_failed(&b), ERR_LIMIT);
	assert_string_equal(buf_str(&b), "");
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_is_an_empty_text),
		cmocka_unit_test(adds_append),
		cmocka_unit_test(growth_keeps_the_content),
		cmocka_unit_test(the_maximum_is_exact_and_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
