#include "core/url.h"
#include "tests/unit.h"

static struct err e;
static struct url u;

static void destinations_are_taken_apart(void **state)
{
	static const struct {
		const char *text;
		enum url_scheme scheme;
		const char *lab, *hosts, *user, *vhost, *name;
		const char *canonical; /* NULL: the text itself */
	} cases[] = {
		{"kafka://h:9092/t", URL_KAFKA, "", "h:9092", "", "", "t", NULL},
		{"kafka://h/t", URL_KAFKA, "", "h:9092", "", "", "t", "kafka://h:9092/t"},
		{"kafka://a:1,b,c.d:65535/t.-_9", URL_KAFKA, "", "a:1,b:9092,c.d:65535", "", "",
			"t.-_9", "kafka://a:1,b:9092,c.d:65535/t.-_9"},
		{"kafka://[::1]:9/t", URL_KAFKA, "", "[::1]:9", "", "", "t", NULL},
		{"kafka://[fe80::1%eth0],[::]/t", URL_KAFKA, "", "[fe80::1%eth0]:9092,[::]:9092",
			"", "", "t", "kafka://[fe80::1%eth0]:9092,[::]:9092/t"},
		{"kafka://127.0.0.1:9/t", URL_KAFKA, "", "127.0.0.1:9", "", "", "t", NULL},
		{"kafka://lab/t", URL_KAFKA, "default", "", "", "", "t", NULL},
		{"kafka://lab:default/t", URL_KAFKA, "default", "", "", "", "t", "kafka://lab/t"},
		{"kafka://lab:My-2/t", URL_KAFKA, "My-2", "", "", "", "t", NULL},
		{"kafka://lab.local/t", URL_KAFKA, "", "lab.local:9092", "", "", "t",
			"kafka://lab.local:9092/t"},
		{"kafka://lab:9092,b/t", URL_KAFKA, "", "lab:9092,b:9092", "", "", "t",
			"kafka://lab:9092,b:9092/t"},
		{"kafka://lab2:9092/t", URL_KAFKA, "", "lab2:9092", "", "", "t", NULL},
		{"amqp://h/%2F/q", URL_AMQP, "", "h:5672", "", "/", "q", "amqp://h:5672/%2F/q"},
		{"amqps://me@h/v/q", URL_AMQPS, "", "h:5671", "me", "v", "q",
			"amqps://me@h:5671/v/q"},
		{"amqp://a%40b%3a@[::1]:7/%2fv/a%20b%2Fc", URL_AMQP, "", "[::1]:7", "a@b:", "/v",
			"a b/c", "amqp://a%40b%3A@[::1]:7/%2Fv/a%20b%2Fc"},
		{"amqp://me@a,[::1]:7,c:8/v/q", URL_AMQP, "", "a:5672,[::1]:7,c:8", "me", "v", "q",
			"amqp://me@a:5672,[::1]:7,c:8/v/q"},
		{"amqp://lab/q", URL_AMQP, "default", "", "", "/", "q", NULL},
		{"amqp://lab:x/%e4", URL_AMQP, "x", "", "", "/", "\xe4", "amqp://lab:x/%E4"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		char text[URL_PRINT_LEN];
		struct url again;

		memset(&u, 0x55, sizeof(u));
		if (url_parse(cases[i].text, &u, &e))
			fail_msg("%s: %s", cases[i].text, e.msg);
		assert_int_equal(u.scheme, cases[i].scheme);
		assert_string_equal(u.lab, cases[i].lab);
		assert_string_equal(u.hosts, cases[i].hosts);
		assert_string_equal(u.user, cases[i].user);
		assert_string_equal(u.vhost, cases[i].vhost);
		assert_string_equal(u.name, cases[i].name);
		assert_string_equal(url_text(&u, text, sizeof(text)),
			cases[i].canonical ? cases[i].canonical : cases[i].text);
		assert_int_equal(url_parse(text, &again, &e), 0);
		assert_memory_equal(&u, &again, sizeof(u));
	}
}

static void wrong_destinations_are_named(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "does not begin with a scheme"},
		{"h:9092/t", "does not begin with a scheme"},
		{"kafka:/h/t", "does not begin with a scheme"},
		{"://h/t", "unknown scheme ''"},
		{"http://h/t", "unknown scheme 'http'"},
		{"Kafka://h/t", "unknown scheme 'Kafka'"},
		{"kafka://h", "no topic"},
		{"kafka://h/", "no topic"},
		{"kafka://lab", "no topic"},
		{"kafka:///t", "has no host, or an empty one"},
		{"kafka://:1/t", "has no host, or an empty one"},
		{"kafka://a,,b/t", "has no host, or an empty one"},
		{"kafka://a,/t", "has no host, or an empty one"},
		{"kafka://h:/t", "no port behind the ':'"},
		{"kafka://h:0/t", "port '0' is not in"},
		{"kafka://h:65536/t", "port '65536' is not in"},
		{"kafka://h:123456/t", "port '123456' is not in"},
		{"kafka://h:000001/t", "port '000001' is not in"},
		{"kafka://h:9o/t", "port '9o' is not a number"},
		{"kafka://h:-1/t", "port '-1' is not a number"},
		{"kafka://h:1:2/t", "more than one ':'"},
		{"kafka://::1/t", "has no host, or an empty one"},
		{"kafka://fe80::1/t", "more than one ':'"},
		{"kafka://[::1/t", "not an IPv6 address"},
		{"kafka://[h]/t", "not an IPv6 address"},
		{"kafka://[::1%]/t", "not an IPv6 address"},
		{"kafka://[::1]x/t", "is not host:port"},
		{"kafka://a b/t", "is not a host name"},
		{"kafka://h/a/b", "is not a topic name"},
		{"kafka://h/.", "is not a topic name"},
		{"kafka://h/..", "is not a topic name"},
		{"kafka://h/t?x=1", "is not a topic name"},
		{"kafka://h/%41", "is not a topic name"},
		{"kafka://me@h/t", "takes no user"},
		{"kafka://lab:9/t", "'9' is not the name of a lab"},
		{"kafka://lab:/t", "'' is not the name of a lab"},
		{"kafka://lab:a.b/t", "'a.b' is not the name of a lab"},
		{"kafka://lab:a23456789012345678901234567890123/t", "is not the name of a lab"},
		{"amqp://h", "needs a vhost and a queue"},
		{"amqp://h/q", "needs a vhost and a queue"},
		{"amqp://h//q", "needs a vhost and a queue"},
		{"amqp://h/v/", "has no queue"},
		{"amqp://lab/", "has no queue"},
		{"amqp://h/v/a/b", "a '/' in the queue's name"},
		{"amqp://lab/a/b", "a '/' in the queue's name"},
		{"amqp://h/v/a%2", "'%' without two"},
		{"amqp://h/v/a%", "'%' without two"},
		{"amqp://h/%zz/q", "'%' without two"},
		{"amqp://h/v/a%00", "a NUL in the queue"},
		{"amqp://h/v/a?b", "must be written %3F"},
		{"amqp://h/v/a b", "must be written %20"},
		{"amqp://@h/v/q", "no user in front"},
		{"amqp://a,/v/q", "no host"},
		{"amqps://lab/q", "a lab's queue is amqp://lab/queue"},
		{"amqp://me@lab/q", "a lab's queue is amqp://lab/queue"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct url before;

		memset(&u, 0x55, sizeof(u));
		before = u;
		if (url_parse(cases[i].text, &u, &e) != ERR_USAGE)
			fail_msg("'%s' is no destination", cases[i].text);
		if (!strstr(e.msg, cases[i].message))
			fail_msg("'%s': %s", cases[i].text, e.msg);
		assert_int_equal(url_parse(cases[i].text, &u, NULL), ERR_USAGE);
		assert_memory_equal(&u, &before, sizeof(u));
	}
}

static void a_password_is_refused_and_never_repeated(void **state)
{
	static const char *const texts[] = {"amqp://me:hunter2@h/v/q", "amqp://me:hunter2@lab/q",
		"amqp://:hunter2@h/v/q", "amqps://me:hu/nter2@h/v/q", "amqp://me:hunter2@h:0/v/q",
		"kafka://me:hunter2@h/t", "amqp://me:p@hunter2@h/v/q",
		"amqp://me%3ahunter2:x@h/v/q"};

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++) {
		assert_int_equal(url_parse(texts[i], &u, &e), ERR_USAGE);
		assert_not_contains(e.msg, "nter2");
		assert_not_contains(e.hint, "nter2");
	}
	assert_int_equal(url_parse(texts[0], &u, &e), ERR_USAGE);
	assert_contains(e.hint, "MQAUDIT_AMQP_PASSWORD");
	assert_contains(e.hint, "--password-file");
}

static void hosts_come_one_by_one(void **state)
{
	static const struct {
		const char *host;
		uint16_t port;
	} want[] = {{"a", 1}, {"::1", 2}, {"b.c", 9092}};
	char host[URL_HOST_LEN];
	uint16_t port;

	(void)state;
	assert_int_equal(url_parse("kafka://a:1,[::1]:2,b.c/t", &u, &e), 0);
	assert_int_equal(u.n_hosts, N_OF(want));
	for (size_t i = 0; i < N_OF(want); i++) {
		url_host(&u, i, host, sizeof(host), &port);
		assert_string_equal(host, want[i].host);
		assert_int_equal(port, want[i].port);
	}
	assert_int_equal(url_parse("amqp://lab/q", &u, &e), 0);
	assert_int_equal(u.n_hosts, 0);
}

/* "kafka://" and n times "h," and "h/t" */
static char *many_hosts(int n)
{
	char *text = malloc(100 + 2 * (size_t)n), *p = stpcpy(text, "kafka://");

	for (int i = 1; i < n; i++)
		p = stpcpy(p, "h,");
	strncpy(p, "h/t", 4);
	return text;
}

static void long_texts_are_refused(void **state)
{
	char name[400], text[600], *hosts;

	(void)state;
	memset(name, 'x', sizeof(name));
	name[249] = '\0';
	snprintf(text, sizeof(text), "kafka://h/%s", name);
	assert_int_equal(url_parse(text, &u, &e), 0);
	snprintf(text, sizeof(text), "kafka://h/%sx", name);
	assert_int_equal(url_parse(text, &u, &e), ERR_USAGE);
	snprintf(text, sizeof(text), "kafka://h/%sxxxxxxxxxxxxx", name);
	assert_int_equal(url_parse(text, &u, &e), ERR_USAGE);
	snprintf(text, sizeof(text), "amqp://h/v/%sxxxxxx", name);
	assert_int_equal(url_parse(text, &u, &e), 0);
	snprintf(text, sizeof(text), "amqp://h/v/%sxxxxxxx", name);
	assert_int_equal(url_parse(text, &u, &e), ERR_USAGE);
	snprintf(text, sizeof(text), "kafka://%sxxxxx/t", name);
	assert_int_equal(url_parse(text, &u, &e), ERR_USAGE);
	hosts = many_hosts(URL_HOSTS_MAX);
	assert_int_equal(url_parse(hosts, &u, &e), 0);
	free(hosts);
	hosts = many_hosts(URL_HOSTS_MAX + 1);
	assert_int_equal(url_parse(hosts, &u, &e), ERR_USAGE);
	free(hosts);
	hosts = many_hosts(URL_TEXT_MAX);
	assert_int_equal(url_parse(hosts, &u, &e), ERR_USAGE);
	assert_contains(e.msg, "more than 8192 bytes");
	free(hosts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(destinations_are_taken_apart),
		cmocka_unit_test(wrong_destinations_are_named),
		cmocka_unit_test(a_password_is_refused_and_never_repeated),
		cmocka_unit_test(hosts_come_one_by_one),
		cmocka_unit_test(long_texts_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
