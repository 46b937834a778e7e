#include "core/broker/rabbitmq_props.h"

#include "tests/unit.h"

static struct rabbitmq_settings s;
static struct err e;

/* name, value, ... NULL */
static int read_settings(const char *const *pairs)
{
	struct props *p = props_new();
	int r = 0;

	assert_non_null(p);
	for (; r == 0 && pairs[0]; pairs += 2)
		r = props_set(p, pairs[0], pairs[1], &e);
	assert_int_equal(r, 0);
	r = rabbitmq_settings_read(p, "orders", &s, &e);
	props_free(p);
	return r;
}

#define READ(...) read_settings((const char *const[]){__VA_ARGS__, NULL})

static int no_password(void **state)
{
	(void)state;
	return unsetenv("MQAUDIT_AMQP_PASSWORD");
}

static void defaults_are_those_of_the_table(void **state)
{
	(void)state;
	assert_int_equal(rabbitmq_settings_read(NULL, "orders", &s, &e), 0);
	assert_true(s.confirms && s.persistent && s.blocked_notice && s.ssl_verify);
	assert_false(s.mandatory);
	assert_string_equal(s.exchange, "");
	assert_string_equal(s.routing_key, "orders");
	assert_string_equal(s.password, "");
	assert_int_equal(s.heartbeat_s, 10);
	assert_int_equal(s.max_message_bytes, 128 << 20);
	assert_int_equal(s.first_node, 1);
}

static void values_go_where_they_belong(void **state)
{
	(void)state;
	assert_int_equal(
		READ("confirms", "false", "mandatory", "true", "exchange", "x", "routing.key", "k",
			"window", "7", "user", "bob", "password", "p", "first.node", "3"),
		0);
	assert_int_equal(s.first_node, 3);
	assert_true(!s.confirms && s.mandatory);
	assert_string_equal(s.exchange, "x");
	assert_string_equal(s.routing_key, "k");
	assert_int_equal(s.window, 7);
	assert_string_equal(s.user, "bob");
	assert_string_equal(s.password, "p");
}

static void an_unknown_name_is_named_with_all_that_there_are(void **state)
{
	const char *name, *dflt, *help;

	(void)state;
	assert_int_equal(READ("linger.ms", "5"), ERR_USAGE);
	assert_contains(e.msg, "'linger.ms'");
	for (size_t i = 0; rabbitmq_props_row(i, &name, &dflt, &help); i++) {
		assert_contains(e.hint, name);
		assert_true(rabbitmq_props_known(name));
		assert_true(strlen(help) > 20);
	}
}

static void wrong_values_are_refused(void **state)
{
	static const char *const wrong[][3] = {{"confirms", "yes", "neither true nor false"},
		{"window", "0", "not a number from 1 to"}, {"window", "9x", "not a number"},
		{"first.node", "0", "not a number from 1 to"}, {"heartbeat", "-1", "not a number"},
		{"heartbeat", "99999999999999999999", "not a"},
		{"queue.type", "lazy", "none of classic, quorum, stream"},
		{"ssl.key.location", "/k", "together only"}};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(READ(wrong[i][0], wrong[i][1]), ERR_USAGE);
		assert_contains(e.msg, wrong[i][2]);
	}
}

static void a_secret_is_in_no_message_and_no_listing(void **state)
{
	char secret[400];

	(void)state;
	memset(secret, 's', sizeof(secret) - 1);
	secret[sizeof(secret) - 1] = '\0';
	assert_int_equal(READ("password", secret), ERR_USAGE);
	assert_not_contains(e.msg, "sss");
}

static void not_the_password(void *arg, const char *name, const char *value)
{
	int *n = arg;

	(*n)++;
	assert_string_not_equal(value, "hush");
	if (strcmp(name, "password") == 0)
		assert_string_equal(value, PROPS_HIDDEN);
}

static void listing_hides_the_password(void **state)
{
	const char *name, *dflt, *help;
	int n = 0, rows = 0;

	(void)state;
	assert_int_equal(READ("password", "hush"), 0);
	rabbitmq_settings_give(&s, not_the_password, &n);
	while (rabbitmq_props_row((size_t)rows, &name, &dflt, &help))
		rows++;
	assert_int_equal(n, rows);
}

static void the_environment_has_a_password_but_a_property_wins(void **state)
{
	(void)state;
	assert_int_equal(setenv("MQAUDIT_AMQP_PASSWORD", "from-outside", 1), 0);
	assert_int_equal(READ(NULL), 0);
	assert_string_equal(s.password, "from-outside");
	assert_int_equal(READ("password", "given"), 0);
	assert_string_equal(s.password, "given");
	assert_int_equal(unsetenv("MQAUDIT_AMQP_PASSWORD"), 0);
}

static void only_what_connects_goes_to_the_judges_own_clients(void **state)
{
	(void)state;
	assert_true(rabbitmq_props_is_connection("password"));
	assert_true(rabbitmq_props_is_connection("ssl.ca.location"));
	assert_true(rabbitmq_props_is_connection("heartbeat"));
	assert_true(rabbitmq_props_is_connection("queue.type"));
	assert_true(rabbitmq_props_is_connection("prefetch"));
	assert_false(rabbitmq_props_is_connection("confirms"));
	assert_false(rabbitmq_props_is_connection("exchange"));
	assert_false(rabbitmq_props_is_connection("nonsense"));
}

static void a_file_with_an_unknown_name_is_refused_by_line(void **state)
{
	static const char text[] = "confirms=false\n\nacks=all\n";
	struct props *in = props_new(), *out = props_new();

	(void)state;
	assert_int_equal(props_parse(text, strlen(text), "f", in, &e), 0);
	assert_int_equal(rabbitmq_props_translate(in, out, &e), ERR_USAGE);
	assert_contains(e.msg, "line 3");
	assert_contains(e.msg, "'acks'");
	props_free(in);
	props_free(out);
}

static void arguments_have_the_types_that_the_broker_wants(void **state)
{
	int64_t n = 0;

	(void)state;
	assert_int_equal(rabbitmq_arg_parse("x-max-length", "1000", &n), RABBITMQ_ARG_NUMBER);
	assert_int_equal(n, 1000);
	assert_int_equal(rabbitmq_arg_parse("x-foo", "-3", &n), RABBITMQ_ARG_NUMBER);
	assert_int_equal(n, -3);
	assert_int_equal(rabbitmq_arg_parse("x-foo", "3s", &n), RABBITMQ_ARG_TEXT);
	assert_int_equal(rabbitmq_arg_parse("x-foo", "", &n), RABBITMQ_ARG_TEXT);
	assert_int_equal(
		rabbitmq_arg_parse("x-foo", "99999999999999999999", &n), RABBITMQ_ARG_TEXT);
	assert_int_equal(
		rabbitmq_arg_parse("x-single-active-consumer", "true", &n), RABBITMQ_ARG_BOOL);
	assert_int_equal(n, 1);
	assert_int_equal(rabbitmq_arg_parse("x-foo", "false", &n), RABBITMQ_ARG_BOOL);
	assert_int_equal(n, 0);
	/* a routing key may look like a number */
	assert_int_equal(
		rabbitmq_arg_parse("x-dead-letter-routing-key", "17", &n), RABBITMQ_ARG_TEXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults_are_those_of_the_table, no_password),
		cmocka_unit_test_setup(values_go_where_they_belong, no_password),
		cmocka_unit_test(an_unknown_name_is_named_with_all_that_there_are),
		cmocka_unit_test(wrong_values_are_refused),
		cmocka_unit_test(a_secret_is_in_no_message_and_no_listing),
		cmocka_unit_test_setup(listing_hides_the_password, no_password),
		cmocka_unit_test(the_environment_has_a_password_but_a_property_wins),
		cmocka_unit_test(only_what_connects_goes_to_the_judges_own_clients),
		cmocka_unit_test(a_file_with_an_unknown_name_is_refused_by_line),
		cmocka_unit_test(arguments_have_the_types_that_the_broker_wants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
