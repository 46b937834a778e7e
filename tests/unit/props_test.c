#include "core/props.h"

#include <unistd.h>

#include "core/paths.h"
#include "tests/unit.h"

static struct props *p;
static struct err e;
static char path[] = "/tmp/mqaudit-props-test-XXXXXX";

static int fresh(void **state)
{
	(void)state;
	p = props_new();
	err_clear(&e);
	return p ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	props_free(p);
	return 0;
}

static int parse(const char *text)
{
	return props_parse(text, strlen(text), "file", p, &e);
}

static void a_later_set_replaces_and_keeps_the_place(void **state)
{
	(void)state;
	assert_int_equal(props_set(p, "a", "1", &e), 0);
	assert_int_equal(props_set(p, "b", "2", &e), 0);
	assert_int_equal(props_set(p, "a", "3", &e), 0);
	assert_int_equal(props_count(p), 2);
	assert_string_equal(props_name(p, 0), "a");
	assert_string_equal(props_value(p, 0), "3");
	assert_string_equal(props_get(p, "b"), "2");
	assert_null(props_get(p, "c"));
	props_remove(p, "a");
	props_remove(p, "nothing");
	assert_int_equal(props_count(p), 1);
	assert_string_equal(props_name(p, 0), "b");
}

static void the_line_of_a_value_is_known(void **state)
{
	(void)state;
	assert_int_equal(parse("# one\na=1\nb=2\\\n 3\nc=4\na=5"), 0);
	assert_int_equal(props_line(p, "a"), 6);
	assert_int_equal(props_line(p, "b"), 3);
	assert_int_equal(props_line(p, "c"), 5);
	assert_int_equal(props_line(p, "d"), 0);
	assert_int_equal(props_set(p, "c", "7", &e), 0);
	assert_int_equal(props_line(p, "c"), 0);
}

static void limits_are_exact_and_change_nothing(void **state)
{
	static char text[PROPS_VALUE_MAX + 2];
	char name[PROPS_NAME_MAX + 2];

	(void)state;
	memset(text, 'v', PROPS_VALUE_MAX);
	memset(name, 'n', PROPS_NAME_MAX);
	name[PROPS_NAME_MAX] = '\0';
	assert_int_equal(props_set(p, name, text, &e), 0);
	text[PROPS_VALUE_MAX] = 'v';
	assert_int_equal(props_set(p, name, text, &e), ERR_LIMIT);
	assert_int_equal(strlen(props_get(p, name)), PROPS_VALUE_MAX);
	name[PROPS_NAME_MAX] = 'n';
	name[PROPS_NAME_MAX + 1] = '\0';
	assert_int_equal(props_set(p, name, "", &e), ERR_LIMIT);
	assert_int_equal(props_set(p, "", "x", &e), ERR_LIMIT);
	for (int i = 1; i < PROPS_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(props_set(p, name, "", &e), 0);
	}
	assert_int_equal(props_set(p, "one more", "", &e), ERR_LIMIT);
	assert_int_equal(props_set(p, "1", "again", &e), 0);
	assert_int_equal(props_count(p), PROPS_MAX);
}

static void lines_are_read_as_java_reads_them(void **state)
{
	static const struct {
		const char *text, *name, *value;
	} cases[] = {
		{"a=b", "a", "b"},
		{"a:b\n", "a", "b"},
		{"a b\r\n", "a", "b"},
		{"a\tb\r", "a", "b"},
		{"  a  =  b c ", "a", "b c "},
		{"a : = b", "a", "= b"},
		{"a==b", "a", "=b"},
		{"a = :b", "a", ":b"},
		{"a", "a", ""},
		{"a=", "a", ""},
		{"a\\=b\\:c\\ d=e", "a=b:c d", "e"},
		{"a=x\\\n   y\\\r\n\tz", "a", "xyz"},
		{"a=x\\\n\\\n y", "a", "xy"},
		{"a\\\n  b=c", "ab", "c"},
		{"a \\\n = b", "a", "b"},
		{"a = \\\n b", "a", "b"},
		{"a=x\\\\\n", "a", "x\\"},
		{"a=\\t\\n\\r\\f\\z\\\"", "a", "\t\n\r\fz\""},
		{"a=b\\", "a", "b"},
		{"\\u0061=\\u00e4\\u20AC", "a", "\xc3\xa4\xe2\x82\xac"},
		{"a=\\uD83D\\uDE00", "a", "\xf0\x9f\x98\x80"},
		{"a=b#c!d", "a", "b#c!d"},
		{"a=b\\\n#c", "a", "b#c"},
		{"\xef\xbb\xbf"
		 "a=b",
			"a", "b"},
		{"a=\xe4", "a", "\xe4"},
		{"a=1\na=2\n", "a", "2"},
		{"\\#a=b", "#a", "b"},
		{"\\\n# a comment\na=b", "a", "b"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(parse(cases[i].text), 0);
		assert_int_equal(props_count(p), 1);
		assert_string_equal(props_name(p, 0), cases[i].name);
		assert_string_equal(props_value(p, 0), cases[i].value);
		props_remove(p, cases[i].name);
	}
}

static void comments_and_empty_lines_are_nothing(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 0);
	assert_int_equal(
		parse("\n\r\n \t\n# a=b\n  ! c=d \\\n# the comment did not go on\n\\\n"), 0);
	assert_int_equal(props_count(p), 0);
}

static void the_order_of_the_file_is_kept(void **state)
{
	static const char *const names[] = {"z", "a", "m"};

	(void)state;
	assert_int_equal(parse("z=1\n#\na=2\nm=3"), 0);
	for (size_t i = 0; i < N_OF(names); i++)
		assert_string_equal(props_name(p, i), names[i]);
}

static void broken_lines_are_named(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"ok=1\n=b", "file, line 2: a value without a name"},
		{": b", "line 1: a value without a name"},
		{"a=\\u12", "line 1: \\u without four"},
		{"a=\\u12g4", "line 1: \\u without four"},
		{"a=b\\\nc\nd=\\u", "line 3: \\u without four"},
		{"a=\\ud800", "half a surrogate"},
		{"a=\\ud800\\u0041", "half a surrogate"},
		{"a=\\udc00", "half a surrogate"},
		{"a=\\u0000", "a NUL is no text"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(parse(cases[i].text), ERR_FORMAT);
		assert_contains(e.msg, cases[i].message);
	}
	assert_int_equal(props_parse("a=\0b", 4, "file", p, &e), ERR_FORMAT);
	assert_int_equal(props_parse("a=\\\0b", 5, "file", p, &e), ERR_FORMAT);
	assert_int_equal(props_parse("a=\\\0b", 5, "file", p, NULL), ERR_FORMAT);
}

static void too_long_lines_are_refused_without_their_text(void **state)
{
	char *text = malloc(PROPS_FILE_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', PROPS_FILE_MAX + 1);
	assert_int_equal(props_parse(text, PROPS_FILE_MAX, "file", p, &e), ERR_LIMIT);
	assert_contains(e.msg, "line 1: the name is too long");
	assert_not_contains(e.msg, "xxx");
	text[1] = '=';
	assert_int_equal(props_parse(text, PROPS_FILE_MAX, "file", p, &e), ERR_LIMIT);
	assert_contains(e.msg, "line 1: the value is too long");
	assert_int_equal(props_parse(text, PROPS_FILE_MAX + 1, "file", p, &e), ERR_LIMIT);
	free(text);
}

static void files_are_read(void **state)
{
	(void)state;
	assert_int_equal(paths_write_file(path, "a=b\nc", 5, &e), 0);
	assert_int_equal(props_read_file(path, p, &e), 0);
	assert_string_equal(props_get(p, "c"), "");
	assert_int_equal(props_read_file("/no/such/file", p, &e), ERR_NOTFOUND);
	assert_int_equal(paths_write_file(path, "\n=b", 3, &e), 0);
	assert_int_equal(props_read_file(path, p, &e), ERR_FORMAT);
	assert_contains(e.msg, path);
}

static void the_command_line_sets_a_value_or_a_files_content(void **state)
{
	char text[100];

	(void)state;
	assert_int_equal(props_parse_option("acks=all", p, &e), 0);
	assert_int_equal(props_parse_option("x=a=b", p, &e), 0);
	assert_int_equal(props_parse_option("y=", p, &e), 0);
	assert_string_equal(props_get(p, "x"), "a=b");
	assert_string_equal(props_get(p, "y"), "");
	snprintf(text, sizeof(text), "sasl.password=@%s", path);
	assert_int_equal(paths_write_file(path, "two\nlines\r\n", 11, &e), 0);
	assert_int_equal(props_parse_option(text, p, &e), 0);
	assert_string_equal(props_get(p, "sasl.password"), "two\nlines");
	assert_int_equal(paths_write_file(path, "\n", 1, &e), 0);
	assert_int_equal(props_parse_option(text, p, &e), 0);
	assert_string_equal(props_get(p, "sasl.password"), "");
	assert_int_equal(paths_write_file(path, "a\0b", 3, &e), 0);
	assert_int_equal(props_parse_option(text, p, &e), ERR_FORMAT);
	assert_int_equal(props_parse_option("a=@/no/such/file", p, &e), ERR_NOTFOUND);
	assert_contains(e.msg, "property 'a'");
}

static void wrong_use_of_the_command_line_shows_no_value(void **state)
{
	static const char *const bad[] = {"hunter2", "", "=hunter2", "sasl.password=hunter2",
		"SSL.Key.Password=hunter2", "sasl.jaas.config=hunter2", "white space=hunter2"};

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(props_parse_option(bad[i], p, &e), ERR_USAGE);
		assert_int_equal(props_parse_option(bad[i], p, NULL), ERR_USAGE);
		assert_not_contains(e.msg, "hunter2");
		assert_not_contains(e.hint, "hunter2");
	}
	assert_int_equal(props_count(p), 0);
	assert_int_equal(props_parse_option("sasl.password=hunter2", p, &e), ERR_USAGE);
	assert_contains(e.hint, "-X sasl.password=@FILE");
}

static void secrets_are_known_by_their_names(void **state)
{
	static const char *const secret[] = {"sasl.password", "ssl.key.password",
		"ssl.keystore.password", "ssl.truststore.password", "ssl.key.pem",
		"ssl.keystore.key", "sasl.jaas.config", "listener.name.x.sasl.jaas.config",
		"sasl.oauthbearer.client.secret",
		"sasl.oauthbearer.client.credentials.client.secret", "some.token", "token",
		"my.secret", "basic.auth.user.info",
		"sasl.oauthbearer.assertion.private.key.passphrase", "SASL.PASSWORD", "password"};
	static const char *const open[] = {"sasl.username", "acks", "ssl.ca.pem",
		"ssl.certificate.pem", "ssl.key.location", "ssl.keystore.location",
		"sasl.oauthbearer.token.endpoint.url", "sasl.mechanism", "key.serializer", "broken",
		"tokens", "bootstrap.servers", "sasl.oauthbearer.client.id", "spin"};

	(void)state;
	for (size_t i = 0; i < N_OF(secret); i++)
		if (!props_is_secret(secret[i]))
			fail_msg("'%s' is a secret", secret[i]);
	for (size_t i = 0; i < N_OF(open); i++)
		if (props_is_secret(open[i]))
			fail_msg("'%s' is no secret", open[i]);
}

static void a_redacted_copy_keeps_all_but_the_secrets(void **state)
{
	struct props *copy;

	(void)state;
	assert_int_equal(
		parse("acks=all\nsasl.password=hunter2\nx=-----BEGIN PRIVATE KEY-----hunter2\n"
		      "u=see https\\://me\\:hunter2@h/x\nv=https\\://h\\:80/x\nssl.key.password=\n"),
		0);
	copy = props_redacted(p);
	assert_non_null(copy);
	assert_int_equal(props_count(copy), 6);
	assert_string_equal(props_get(copy, "acks"), "all");
	assert_string_equal(props_get(copy, "sasl.password"), PROPS_HIDDEN);
	assert_string_equal(props_get(copy, "x"), PROPS_HIDDEN);
	assert_string_equal(props_get(copy, "u"), PROPS_HIDDEN);
	assert_string_equal(props_get(copy, "v"), "https://h:80/x");
	assert_string_equal(props_get(copy, "ssl.key.password"), "");
	assert_string_equal(props_get(p, "sasl.password"), "hunter2");
	props_free(copy);
}

static void a_merge_sets_everything(void **state)
{
	struct props *more = props_new();

	(void)state;
	assert_non_null(more);
	assert_int_equal(parse("a=1\nb=2"), 0);
	assert_int_equal(props_set(more, "b", "3", &e), 0);
	assert_int_equal(props_set(more, "c", "4", &e), 0);
	assert_int_equal(props_merge(p, more, &e), 0);
	assert_int_equal(props_count(p), 3);
	assert_string_equal(props_get(p, "b"), "3");
	props_free(more);
}

static int begin(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return fd >= 0 ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	return unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_later_set_replaces_and_keeps_the_place),
		TEST(the_line_of_a_value_is_known),
		TEST(limits_are_exact_and_change_nothing),
		TEST(lines_are_read_as_java_reads_them),
		TEST(comments_and_empty_lines_are_nothing),
		TEST(the_order_of_the_file_is_kept),
		TEST(broken_lines_are_named),
		TEST(too_long_lines_are_refused_without_their_text),
		TEST(files_are_read),
		TEST(the_command_line_sets_a_value_or_a_files_content),
		TEST(wrong_use_of_the_command_line_shows_no_value),
		TEST(secrets_are_known_by_their_names),
		TEST(a_redacted_copy_keeps_all_but_the_secrets),
		TEST(a_merge_sets_everything),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
