/* The N-th allocation fails, for N = 1, 2, 3, ... until nothing fails any more. */
/* wrap: malloc realloc calloc strdup strndup */
#include "core/props.h"

#include "core/broker/kafka_props.h"
#include "tests/inject.h"
#include "tests/unit.h"

char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

char *__wrap_strdup(const char *s)
{
	return inject_is_due() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return inject_is_due() ? NULL : __real_strndup(s, n);
}

static const char text[] =
	"a=1\nb=2\nsasl.jaas.config=x.PlainLoginModule required username=u password=p;\n"
	"max.block.ms=1\nbuffer.memory=5000\na=3\nlinger.ms=-4\n";

static void a_failed_set_changes_nothing(void **state)
{
	(void)state;
	for (size_t nth = 1;; nth++) {
		struct props *p = props_new();
		int r;

		assert_int_equal(props_set(p, "a", "1", NULL), 0);
		inject_failed = false;
		inject_countdown = nth;
		r = props_set(p, nth % 2 ? "b" : "a", "2", NULL);
		inject_countdown = 0;
		assert_int_equal(r, inject_failed ? ERR_NOMEM : 0);
		if (inject_failed) {
			assert_int_equal(props_count(p), 1);
			assert_string_equal(props_get(p, "a"), "1");
		}
		props_free(p);
		if (!inject_failed) {
			assert_true(nth > 1);
			return;
		}
	}
}

static int parse_translate_redact(struct props *in, struct props *out, struct props *warnings)
{
	struct props *copy = NULL;
	struct err e;
	int r = props_parse(text, strlen(text), "text", in, &e);

	if (r == 0)
		r = kafka_props_translate(in, KAFKA_ROLE_PRODUCER, out, warnings, &e);
	if (r == 0) {
		copy = props_redacted(out);
		r = copy ? 0 : ERR_NOMEM;
	}
	props_free(copy);
	return r;
}

static void every_failed_allocation_is_a_clean_error(void **state)
{
	size_t nth = 0;

	(void)state;
	do {
		struct props *in = props_new(), *out = props_new(), *warnings = props_new();
		int r;

		inject_failed = false;
		inject_countdown = ++nth;
		r = parse_translate_redact(in, out, warnings);
		inject_countdown = 0;
		assert_int_equal(r, inject_failed ? ERR_NOMEM : 0);
		if (!inject_failed) {
			assert_string_equal(props_get(out, "a"), "3");
			assert_string_equal(props_get(out, "sasl.password"), "p");
			assert_string_equal(props_get(out, "queue.buffering.max.kbytes"), "5");
			assert_int_equal(props_count(warnings), 2);
		}
		props_free(in);
		props_free(out);
		props_free(warnings);
	} while (inject_failed);
	assert_true(nth > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_set_changes_nothing),
		cmocka_unit_test(every_failed_allocation_is_a_clean_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
