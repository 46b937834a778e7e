#include "core/broker/kafka.h"
#include "core/clock.h"

#include "tests/unit.h"

static struct kafka_client client;
static struct err e;

static int heard(void **state)
{
	(void)state;
	memset(&client, 0, sizeof(client));
	err_clear(&e);
	return pthread_mutex_init(&client.watch.mutex, NULL);
}

static int forget(void **state)
{
	(void)state;
	return pthread_mutex_destroy(&client.watch.mutex);
}

#define AWAY RD_KAFKA_RESP_ERR__TRANSPORT

static void the_reason_is_told_without_its_noise(void **state)
{
	static const struct {
		const char *text, *told, *hint;
	} cases[] = {
		{"sasl_ssl://h:9092/bootstrap: it hung up (after 3ms in state UP, 1 identical "
		 "error(s) suppressed)",
			"it failed: h:9092: it hung up", "a broker answers there"},
		{"h:9092/2: it hung up", "it failed: h:9092: it hung up", NULL},
		{"127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused "
		 "(after 0ms in state CONNECT)",
			"it failed: Connect to ipv4#127.0.0.1:1 failed: Connection refused",
			"that a broker runs there"},
		{"no:9092/bootstrap: Failed to resolve 'no:9092': no such name (after 1ms)",
			"it failed: Failed to resolve 'no:9092': no such name", "name of the host"},
		{"h:1/bootstrap: check security.protocol",
			"it failed: h:1: check security.protocol", "another security.protocol"},
		{"ssl://h:1/1: Send failed: Broken pipe",
			"it failed: h:1: Send failed: Broken pipe", "another security.protocol"},
		{"1/1 brokers are down", "it failed: 1/1 brokers are down", NULL},
		{"ssl://", "it failed: ssl://", NULL},
		{"://x/: ", "it failed: x: ", NULL},
		{"x (after 1/2: y)", "it failed: x", NULL},
		{"/: y", "it failed: : y", NULL},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		kafka_watch_error(&client.watch, AWAY, cases[i].text);
		assert_int_equal(kafka_error(&client, AWAY, "it", &e), ERR_BROKER_AWAY);
		assert_string_equal(e.msg, cases[i].told);
		if (cases[i].hint)
			assert_contains(e.hint, cases[i].hint);
	}
}

static void a_denial_outweighs_a_silence(void **state)
{
	static const struct {
		int code;
		const char *text, *hint;
	} cases[] = {
		{RD_KAFKA_RESP_ERR__SSL, "ssl://h:1/bootstrap: no", "ssl.ca.location"},
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, "h:1/bootstrap: no", "the password"},
		{RD_KAFKA_RESP_ERR__AUTHENTICATION, "h:1/1: certificate verify failed",
			"ssl.ca.location"},
		{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "no", "permission on the topic"},
		{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, "no", "permission on the cluster"},
		{RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "no", "transactional.id"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		kafka_watch_error(&client.watch, cases[i].code, cases[i].text);
		/* all brokers are down, and nobody answers: the reason came before */
		kafka_watch_error(&client.watch, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "all down");
		assert_int_equal(
			kafka_error(&client, RD_KAFKA_RESP_ERR__TIMED_OUT, "it", &e), ERR_DENIED);
		assert_not_contains(e.msg, "all down");
		assert_contains(e.hint, cases[i].hint);
	}
}

static void who_is_not_told_to_stop_goes_on(void **state)
{
	volatile bool stop = false;

	(void)state;
	assert_false(kafka_stopped(&client, "it", &e));
	client.stop = &stop;
	assert_false(kafka_stopped(&client, "it", &e));
	assert_int_equal(e.code, 0);
	stop = true;
	assert_true(kafka_stopped(&client, "it", &e));
	assert_int_equal(e.code, ERR_STOPPED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, heard, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_reason_is_told_without_its_noise),
		TEST(a_denial_outweighs_a_silence),
		TEST(who_is_not_told_to_stop_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
