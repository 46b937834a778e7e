/* From what users give to effective settings: which client, whose default, which line. */
#include "scenarios/lint/lint.h"

#include <unistd.h>

#include "core/paths.h"
#include "scenarios/lint/kafka_defs.h"
#include "tests/unit.h"

static struct lint l;
static struct err e;
static char producer[] = "/tmp/mqaudit-lint-producer-XXXXXX";
static char other[] = "/tmp/mqaudit-lint-other-XXXXXX";

static int begin(void **state)
{
	(void)state;
	close(mkstemp(producer));
	close(mkstemp(other));
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(producer);
	unlink(other);
	return 0;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int read_input(struct lint_input in)
{
	int r;

	lint_release(&l);
	err_clear(&e);
	r = lint_read(&in, &l, &e);
	return r ? r : lint_settle(&l, &e);
}

static int read_producer(const char *text, const char *client)
{
	put(producer, text);
	return read_input((struct lint_input){.producer_config = producer, .client = client});
}

static const char *value(enum lint_scope scope, const char *name)
{
	const struct lint_setting *s = lint_find(&l, scope, name);

	assert_non_null(s);
	return s->value;
}

static const char *from(enum lint_scope scope, const char *name)
{
	const struct lint_setting *s = lint_find(&l, scope, name);

	assert_non_null(s);
	return s->from;
}

static int clean(void **state)
{
	(void)state;
	lint_release(&l);
	return 0;
}

static void defaults_are_those_of_the_client(void **state)
{
	(void)state;
	assert_int_equal(read_producer("", NULL), 0);
	assert_int_equal(l.client, LINT_LIBRDKAFKA);
	assert_contains(l.because, "assumed");
	assert_contains(l.library, "librdkafka ");
	assert_int_equal(l.facts.acks, LINT_ACKS_ALL);
	assert_false(l.facts.idempotent);
	assert_int_equal(l.facts.give_up_ms, 300000);
	assert_int_equal(l.facts.request_timeout_ms, 30000);
	assert_true(l.facts.max_in_flight > 5);
	assert_contains(from(LINT_PRODUCER, "acks"), "default of librdkafka");

	assert_int_equal(read_producer("", "java"), 0);
	assert_string_equal(l.library, "Java client 4.1.0");
	assert_true(l.facts.idempotent);
	assert_int_equal(l.facts.acks, LINT_ACKS_ALL);
	assert_int_equal(l.facts.give_up_ms, 120000);
	assert_int_equal(l.facts.max_in_flight, 5);
	assert_contains(from(LINT_PRODUCER, "enable.idempotence"), "default of Java client 4.1.0");
}

static void names_tell_whose_they_are(void **state)
{
	(void)state;
	assert_int_equal(read_producer("acks=1\nkey.serializer=x\n", NULL), 0);
	assert_int_equal(l.client, LINT_JAVA);
	assert_contains(l.because, "key.serializer");
	assert_contains(l.because, ":2");
	assert_int_equal(read_producer("acks=1\nmessage.timeout.ms=5000\n", NULL), 0);
	assert_int_equal(l.client, LINT_LIBRDKAFKA);
	assert_contains(l.because, "message.timeout.ms");
	/* both clients have it */
	assert_int_equal(read_producer("acks=1\ndelivery.timeout.ms=50000\n", NULL), 0);
	assert_contains(l.because, "assumed");
	/* that librdkafka has it only to refuse it makes it Java's */
	assert_int_equal(read_producer("ssl.truststore.location=/x\n", NULL), 0);
	assert_int_equal(l.client, LINT_JAVA);
	assert_int_equal(
		read_producer("key.serializer=x\nmessage.timeout.ms=1\n", NULL), ERR_USAGE);
	assert_contains(e.msg, "key.serializer");
	assert_contains(e.msg, "message.timeout.ms");
	assert_contains(e.hint, "--client");
}

static void javas_file_for_librdkafka_is_translated(void **state)
{
	(void)state;
	assert_int_equal(read_producer("key.serializer=x\ndelivery.timeout.ms=4000\n"
				       "request.timeout.ms=1500\n",
				 "librdkafka"),
		0);
	assert_int_equal(l.facts.give_up_ms, 4000);
	assert_contains(from(LINT_PRODUCER, "message.timeout.ms"), ":2");
	assert_int_equal(l.facts.request_timeout_ms, 1500);
	assert_contains(from(LINT_PRODUCER, "socket.timeout.ms"), ":3");
	assert_false(l.facts.idempotent);
}

static void librdkafka_settles_what_follows(void **state)
{
	(void)state;
	assert_int_equal(read_producer("enable.idempotence=true\n", NULL), 0);
	assert_true(l.facts.idempotent);
	assert_int_equal(l.facts.max_in_flight, 5);
	assert_contains(from(LINT_PRODUCER, "max.in.flight.requests.per.connection"), "follows");
	assert_contains(from(LINT_PRODUCER, "enable.idempotence"), ":1");
	assert_int_equal(read_producer("enable.idempotence=true\nacks=1\n", NULL), ERR_USAGE);
	assert_contains(e.msg, "acks");
	assert_int_equal(read_producer("message.timeout.ms=0\n", NULL), 0);
	assert_true(l.facts.give_up_ms == LINT_FOREVER);
	assert_int_equal(read_producer("acks=2\n", "librdkafka"), ERR_USAGE);
	assert_contains(e.msg, ":1");
}

static void javas_idempotence_goes_off_without_a_word(void **state)
{
	static const char *const contradicts[] = {"acks=1", "acks=0", "retries=0"};
	char text[200];

	(void)state;
	for (size_t i = 0; i < N_OF(contradicts); i++) {
		assert_int_equal(read_producer(contradicts[i], "java"), 0);
		assert_false(l.facts.idempotent);
		assert_contains(from(LINT_PRODUCER, "enable.idempotence"), "without a word");
		snprintf(text, sizeof(text), "enable.idempotence=true\n%s\n", contradicts[i]);
		assert_int_equal(read_producer(text, "java"), ERR_USAGE);
		assert_contains(e.msg, ":2");
		assert_contains(e.msg, "contradicts");
	}
	assert_int_equal(read_producer("acks=-1\nretries=1\n"
				       "max.in.flight.requests.per.connection=5\n",
				 "java"),
		0);
	assert_true(l.facts.idempotent);
	assert_int_equal(l.facts.acks, LINT_ACKS_ALL);
	assert_int_equal(
		read_producer("max.in.flight.requests.per.connection=6\n", "java"), ERR_USAGE);
	assert_contains(e.msg, ":1");
	assert_int_equal(
		read_producer("max.in.flight.requests.per.connection=6\nacks=1\n", "java"), 0);
	assert_int_equal(read_producer("transactional.id=t\nacks=1\n", "java"), ERR_USAGE);
	assert_contains(e.msg, "transactional.id");
	assert_int_equal(read_producer("transactional.id=t\n", "java"), 0);
	assert_true(l.facts.transactional);
}

static void javas_delivery_timeout_holds_linger_and_request(void **state)
{
	(void)state;
	assert_int_equal(read_producer("delivery.timeout.ms=4000\n", "java"), ERR_USAGE);
	assert_contains(e.msg, ":1");
	assert_int_equal(
		read_producer("delivery.timeout.ms=4000\nrequest.timeout.ms=3000\n", "java"), 0);
	assert_int_equal(l.facts.give_up_ms, 4000);
	assert_int_equal(read_producer("request.timeout.ms=130000\nlinger.ms=7\n", "java"), 0);
	assert_int_equal(l.facts.give_up_ms, 130007);
}

static void wrong_names_and_values_have_their_line(void **state)
{
	static const struct {
		const char *client, *text, *part;
	} cases[] = {
		{"java", "\nacks=maybe", "'acks' cannot be 'maybe'"},
		{"java", "\nretries=-1", "[0,...,2147483647]"},
		{"java", "\nretries=1.5", "whole number"},
		{"java", "\nretries=9999999999", "smaller"},
		{"java", "\nenable.idempotence=yes", "true or false"},
		{"java", "\nackss=1", "no property 'ackss'"},
		{"java", "\nmessage.timeout.ms=1", "no property 'message.timeout.ms'"},
		{"librdkafka", "\nacks=maybe", "acks"},
		{"librdkafka", "\nretries=-1", "retries"},
		{"librdkafka", "\nenable.idempotence=yes", "enable.idempotence"},
		{"librdkafka", "\nackss=1", "no property 'ackss'"},
		{NULL, "\nackss=1", "no property 'ackss'"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(read_producer(cases[i].text, cases[i].client), ERR_USAGE);
		assert_contains(e.msg, cases[i].part);
		assert_contains(e.msg, producer);
		assert_contains(e.msg, ":2");
	}
	put(producer, "ackss=1\nacks=1\n");
	assert_int_equal(
		read_input((struct lint_input){.producer_config = producer, .allow_unknown = true}),
		0);
	assert_int_equal(props_count(l.notes), 1);
	assert_contains(props_value(l.notes, 0), "ackss");
	assert_int_equal(l.facts.acks, 1);
}

static int read_lists(const char *topic, const char *broker)
{
	const char *t[] = {topic}, *b[] = {broker};

	return read_input((struct lint_input){
		.topic_config = {t, topic ? 1 : 0}, .broker_config = {b, broker ? 1 : 0}});
}

static void the_topics_own_setting_comes_before_the_brokers(void **state)
{
	(void)state;
	assert_int_equal(read_lists(NULL, NULL), 0);
	assert_int_equal(l.facts.min_insync, 1);
	assert_int_equal(l.facts.replication, 3);
	assert_contains(from(LINT_TOPIC, "replication.factor"), "assumed");
	assert_int_equal(read_lists(NULL, "min.insync.replicas=2"), 0);
	assert_int_equal(l.facts.min_insync, 2);
	assert_string_equal(from(LINT_TOPIC, "min.insync.replicas"), "--broker-config");
	assert_int_equal(read_lists("min.insync.replicas=3", "min.insync.replicas=2"), 0);
	assert_int_equal(l.facts.min_insync, 3);
	put(other, "# server\nlog.retention.hours=2\nlog.cleanup.policy=compact,delete\n"
		   "default.replication.factor=2\nunclean.leader.election.enable=true\n"
		   "listener.name.client.ssl.keystore.type=PEM\n"
		   "eligible.leader.replicas.version=0\n");
	assert_int_equal(read_lists("flush.messages=1", other), 0);
	assert_int_equal(l.facts.retention_ms, 7200000);
	assert_true(l.facts.compact && l.facts.removes && l.facts.unclean);
	assert_int_equal(l.facts.replication, 2);
	assert_int_equal(l.facts.flush_messages, 1);
	assert_int_equal(l.facts.elr, LINT_NO);
	assert_contains(from(LINT_TOPIC, "retention.ms"), ":2");
	assert_int_equal(read_lists("retention.ms=-1", NULL), 0);
	assert_true(l.facts.retention_ms == LINT_FOREVER);
}

static void flush_ms_counts_only_with_the_scheduler(void **state)
{
	(void)state;
	assert_int_equal(read_lists("flush.ms=1000", NULL), 0);
	assert_true(l.facts.flush_ms == LINT_FOREVER);
	assert_string_equal(value(LINT_TOPIC, "flush.ms"), "1000");
	assert_int_equal(read_lists("flush.ms=1000", "log.flush.scheduler.interval.ms=500"), 0);
	assert_int_equal(l.facts.flush_ms, 1500);
	assert_int_equal(read_lists(NULL, "log.flush.scheduler.interval.ms=500"), 0);
	assert_int_equal(l.facts.flush_ms, 1000);
}

static void wrong_settings_of_topic_and_broker(void **state)
{
	static const struct {
		const char *topic, *broker, *part;
	} cases[] = {
		{"min.insync.replica=2", NULL, "no topic setting 'min.insync.replica'"},
		{"min.insync.replicas=0", NULL, "[1,...]"},
		{"cleanup.policy=remove", NULL, "[compact, delete]"},
		{"unclean.leader.election.enable=maybe", NULL, "true or false"},
		{"acks=1", NULL, "no topic setting"},
		{"=1", NULL, "neither name=value nor a file"},
		{NULL, "log.flush=1", "no broker setting 'log.flush'"},
		{NULL, "eligible.leader.replicas.version=2", "0 or 1"},
		{NULL, "min.cleanable.dirty.ratio=0.5", "no broker setting"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(read_lists(cases[i].topic, cases[i].broker), ERR_USAGE);
		assert_contains(e.msg, cases[i].part);
	}
	assert_int_equal(read_lists("/nonexistent", NULL), ERR_NOTFOUND);
}

static int read_consumer(const char *text, const char *client)
{
	put(other, text);
	return read_input((struct lint_input){.consumer_config = other, .client = client});
}

static void consumers_of_both_clients(void **state)
{
	(void)state;
	assert_int_equal(read_producer("", "java"), 0);
	assert_false(l.facts.consumer);
	assert_int_equal(read_consumer("group.id=g\n", "librdkafka"), 0);
	assert_true(l.facts.consumer && l.facts.auto_commit && l.facts.auto_store);
	assert_int_equal(l.facts.reset, LINT_RESET_LATEST);
	assert_false(l.facts.read_uncommitted);
	assert_int_equal(read_consumer("group.id=g\n", "java"), 0);
	assert_true(l.facts.read_uncommitted && l.facts.auto_commit && l.facts.sees_truncation);
	assert_int_equal(l.facts.reset, LINT_RESET_LATEST);
	assert_int_equal(read_consumer("auto.offset.reset=none\nmax.poll.records=1\n"
				       "enable.auto.commit=False\n",
				 NULL),
		0);
	assert_int_equal(l.client, LINT_JAVA);
	assert_int_equal(l.facts.reset, LINT_RESET_NONE);
	assert_false(l.facts.auto_commit);
	assert_int_equal(
		read_consumer("auto.offset.reset=error\nenable.auto.offset.store=false\n", NULL),
		0);
	assert_int_equal(l.client, LINT_LIBRDKAFKA);
	assert_int_equal(l.facts.reset, LINT_RESET_NONE);
	assert_false(l.facts.auto_store);
	assert_int_equal(read_consumer("auto.offset.reset=earliest\n", NULL), 0);
	assert_int_equal(l.facts.reset, LINT_RESET_EARLIEST);
	assert_contains(from(LINT_CONSUMER, "auto.offset.reset"), ":1");
	assert_int_equal(read_consumer("auto.offset.reset=by_duration:P1D\n", "java"), 0);
	assert_int_equal(l.facts.reset, LINT_RESET_EARLIEST);
	assert_int_equal(read_consumer("\nauto.offset.reset=sometimes\n", "java"), ERR_USAGE);
	assert_contains(e.msg, ":2");
}

static void certificates_are_not_opened(void **state)
{
	(void)state;
	assert_int_equal(read_producer("security.protocol=SASL_SSL\nssl.ca.location=/nonexistent\n"
				       "sasl.mechanisms=PLAIN\nsasl.username=u\nsasl.password=p\n",
				 NULL),
		0);
	assert_int_equal(read_producer("security.protocol=nonsense\n", "librdkafka"), ERR_USAGE);
	assert_contains(e.msg, ":1");
	assert_int_equal(read_producer("security.protocol=nonsense\n", "java"), ERR_USAGE);
}

static void the_tables_are_sorted_and_whole(void **state)
{
	static const size_t least[] = {100, 100, 30, 300};

	(void)state;
	for (int i = 0; i < KAFKA_DEFS_N; i++) {
		size_t n;
		const struct kafka_def *d = kafka_defs_all((enum kafka_defs)i, &n);

		assert_true(n >= least[i]);
		for (size_t k = 0; k < n; k++) {
			if (k)
				assert_true(strcmp(d[k - 1].name, d[k].name) < 0);
			assert_ptr_equal(kafka_defs_find((enum kafka_defs)i, d[k].name), &d[k]);
			/* a default is a valid value */
			if (*d[k].dflt && strcmp(d[k].dflt, "null") != 0 &&
				kafka_defs_check(&d[k], d[k].dflt, &e))
				fail_msg("%s: %s", d[k].name, e.msg);
		}
		assert_null(kafka_defs_find((enum kafka_defs)i, "nonsense"));
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_are_those_of_the_client),
		TEST(names_tell_whose_they_are),
		TEST(javas_file_for_librdkafka_is_translated),
		TEST(librdkafka_settles_what_follows),
		TEST(javas_idempotence_goes_off_without_a_word),
		TEST(javas_delivery_timeout_holds_linger_and_request),
		TEST(wrong_names_and_values_have_their_line),
		TEST(the_topics_own_setting_comes_before_the_brokers),
		TEST(flush_ms_counts_only_with_the_scheduler),
		TEST(wrong_settings_of_topic_and_broker),
		TEST(consumers_of_both_clients),
		TEST(certificates_are_not_opened),
		TEST(the_tables_are_sorted_and_whole),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
