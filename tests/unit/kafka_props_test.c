#include "core/broker/kafka_props.h"

#include <librdkafka/rdkafka.h>

#include "core/broker/jaas.h"
#include "tests/unit.h"

#define JAVA_NAMES "tests/data/kafka-java-4.1.0-names.txt"

static struct props *in, *out, *warnings;
static struct err e;

static int fresh(void **state)
{
	(void)state;
	in = props_new();
	out = props_new();
	warnings = props_new();
	err_clear(&e);
	return in && out && warnings ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	props_free(in);
	props_free(out);
	props_free(warnings);
	return 0;
}

static int translate(const char *text, enum kafka_role role)
{
	clean(NULL);
	fresh(NULL);
	assert_int_equal(props_parse(text, strlen(text), "test", in, &e), 0);
	return kafka_props_translate(in, role, out, warnings, &e);
}

/* All of a list in one line: "a=1 b=2". */
static const char *line_of(const struct props *p)
{
	static char text[4000];

	text[0] = '\0';
	for (size_t i = 0; i < props_count(p); i++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n, "%s%s=%s", i ? " " : "", props_name(p, i),
			props_value(p, i));
	}
	return text;
}

#define P KAFKA_ROLE_PRODUCER
#define C KAFKA_ROLE_CONSUMER
#define O KAFKA_ROLE_OTHER

static void names_and_values_are_translated(void **state)
{
	static const struct {
		const char *text;
		enum kafka_role role;
		const char *want;
	} cases[] = {
		{"acks=all \nretries=5\nenable.idempotence=true", P,
			"acks=all retries=5 enable.idempotence=true"},
		{"max.in.flight.requests.per.connection=5", P,
			"max.in.flight.requests.per.connection=5"},
		{"key.serializer=x\nvalue.deserializer=y\nmetric.reporters=z", P, ""},
		{"buffer.memory=33554432", P, "queue.buffering.max.kbytes=32768"},
		{"buffer.memory=1025", P, "queue.buffering.max.kbytes=2"},
		{"delivery.timeout.ms=4000", P, "message.timeout.ms=4000"},
		{"max.request.size=1048576", P, "message.max.bytes=1048576"},
		{"batch.size=16384", P, "batch.size=16384"},
		{"batch.size=0", P, "batch.num.messages=1"},
		{"request.timeout.ms=1500", P, "request.timeout.ms=1500 socket.timeout.ms=1500"},
		{"request.timeout.ms=1500", C, "socket.timeout.ms=1500"},
		{"request.timeout.ms=1500", O, "socket.timeout.ms=1500"},
		{"socket.timeout.ms=7\nrequest.timeout.ms=1500", P,
			"socket.timeout.ms=7 request.timeout.ms=1500"},
		{"request.timeout.ms=1500\nsocket.timeout.ms=7", P,
			"request.timeout.ms=1500 socket.timeout.ms=7"},
		{"metadata.max.age.ms=5000", P, "topic.metadata.refresh.interval.ms=5000"},
		{"connections.max.idle.ms=-1", P, "connections.max.idle.ms=0"},
		{"send.buffer.bytes=-1\nreceive.buffer.bytes=65536", C,
			"socket.send.buffer.bytes=0 socket.receive.buffer.bytes=65536"},
		{"compression.type=zstd\ncompression.zstd.level=3\ncompression.gzip.level=9", P,
			"compression.type=zstd compression.level=3"},
		{"sasl.mechanism=SCRAM-SHA-256", O, "sasl.mechanisms=SCRAM-SHA-256"},
		{"ssl.endpoint.identification.algorithm=", O,
			"ssl.endpoint.identification.algorithm=none"},
		{"ssl.endpoint.identification.algorithm=HTTPS", O,
			"ssl.endpoint.identification.algorithm=HTTPS"},
		{"ssl.truststore.location=/a/ca.jks\nssl.truststore.type=PEM", O,
			"ssl.ca.location=/a/ca.jks"},
		{"ssl.truststore.location=/a/ca.pem", O, "ssl.ca.location=/a/ca.pem"},
		{"ssl.truststore.certificates=PEM", O, "ssl.ca.pem=PEM"},
		{"ssl.keystore.type=PKCS12\nssl.keystore.location=/k\nssl.keystore.password=p", O,
			"ssl.keystore.location=/k ssl.keystore.password=p"},
		{"ssl.keystore.location=/k\nssl.keystore.password=p", O,
			"ssl.keystore.location=/k ssl.keystore.password=p"},
		{"ssl.keystore.type=PEM\nssl.keystore.location=/k\nssl.key.password=p", O,
			"ssl.key.location=/k ssl.certificate.location=/k ssl.key.password=p"},
		{"ssl.keystore.key=K\nssl.keystore.certificate.chain=C", O,
			"ssl.key.pem=K ssl.certificate.pem=C"},
		{"auto.offset.reset=none", C, "auto.offset.reset=error"},
		{"auto.offset.reset=earliest", C, "auto.offset.reset=earliest"},
		{"fetch.max.wait.ms=100", C, "fetch.wait.max.ms=100"},
		{"fetch.max.wait.ms=100\nfetch.wait.max.ms=9", C, "fetch.wait.max.ms=9"},
		{"partition.assignment.strategy="
		 "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
			C, "partition.assignment.strategy=cooperative-sticky"},
		{"partition.assignment.strategy=range,roundrobin", C,
			"partition.assignment.strategy=range,roundrobin"},
		{"client.dns.lookup=use_all_dns_ips\ngroup.protocol=classic", C, ""},
		{"sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer."
		 "OAuthBearerLoginCallbackHandler",
			O, "sasl.oauthbearer.method=oidc"},
		{"no.such.name=1", P, "no.such.name=1"},
		{"linger.ms=many", P, "linger.ms=many"}, /* librdkafka's to refuse */
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(translate(cases[i].text, cases[i].role), 0);
		assert_string_equal(line_of(out), cases[i].want);
		assert_string_equal(line_of(warnings), "");
	}
}

static void what_cannot_be_kept_is_warned_of(void **state)
{
	static const struct {
		const char *text;
		enum kafka_role role;
		const char *want;    /* what goes to librdkafka */
		const char *warning; /* part of it; NULL: none */
	} cases[] = {
		{"max.block.ms=1", P, "", "'max.block.ms' has no librdkafka counterpart: "},
		{"max.block.ms=1", C, "", NULL},
		{"partitioner.class=x", P, "", "mqaudit chooses the partition"},
		{"interceptor.classes=x", C, "",
			"'interceptor.classes' has no librdkafka counterpart"},
		{"max.poll.records=5", C, "", "'max.poll.records' has no librdkafka counterpart"},
		{"max.poll.records=5", P, "", NULL},
		{"group.protocol=consumer", C, "", "classic group protocol only"},
		{"ssl.truststore.location=/a/b.jks", O, "", "keytool"},
		{"ssl.truststore.location=/a/b", O, "", "keytool"},
		{"ssl.truststore.location=/a/b.p12", O, "", "openssl pkcs12"},
		{"ssl.truststore.type=PKCS12\nssl.truststore.location=/a/b\nssl.truststore.password=hunter2",
			O, "", "PKCS12"},
		{"ssl.keystore.location=/k.jks\nssl.keystore.password=hunter2", O, "",
			"importkeystore"},
		{"ssl.cipher.suites=TLS_AES_128_GCM_SHA256", O, "", "OpenSSL has others"},
		{"client.dns.lookup=resolve_canonical_bootstrap_servers_only", O, "", "canonical"},
		{"auto.offset.reset=by_duration:PT1H", C, "", "duration"},
		{"config.providers=file\nconfig.providers.file.class=x", P, "", "are not resolved"},
		{"retry.backoff.ms=0", P, "retry.backoff.ms=1",
			"takes 1 to 300000, so 1 stands for 0"},
		{"max.poll.interval.ms=2147483647", C, "max.poll.interval.ms=86400000",
			"86400000 stands"},
		{"fetch.max.bytes=2147483647", C, "fetch.max.bytes=2147483135",
			"2147483135 stands"},
		{"linger.ms=-1", P, "linger.ms=0", "0 stands for -1"},
		{"request.timeout.ms=400000", C, "socket.timeout.ms=300000",
			"300000 stands for 400000"},
		{"transactional.id=x\ntransaction.timeout.ms=5000\nrequest.timeout.ms=30000", P,
			"transactional.id=x transaction.timeout.ms=5000 request.timeout.ms=30000 "
			"socket.timeout.ms=5100",
			"5100 stands for 30000"},
		{"partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor, "
		 "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
			C, "partition.assignment.strategy=range", "range is used"},
		{"partition.assignment.strategy=org.apache.kafka.clients.consumer.StickyAssignor",
			C, "", "its default is used"},
		{"sasl.jaas.config=com.example.MyModule required password=\"hunter2\";", O, "",
			"login module"},
		{"sasl.kerberos.kinit.cmd=/usr/bin/kinit", O, "", "whole command"},
		{"sasl.login.callback.handler.class=com.example.Mine", O, "", "Java code"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(translate(cases[i].text, cases[i].role), 0);
		assert_string_equal(line_of(out), cases[i].want);
		assert_int_equal(props_count(warnings), cases[i].warning ? 1 : 0);
		if (cases[i].warning)
			assert_contains(props_value(warnings, 0), cases[i].warning);
		assert_not_contains(line_of(warnings), "hunter2");
	}
}

static void login_modules_become_sasl_properties(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"org.apache.kafka.common.security.plain.PlainLoginModule required username=\"u\" "
		 "password=\"p w\";",
			"sasl.username=u sasl.password=p w"},
		{"org.apache.kafka.common.security.scram.ScramLoginModule REQUIRED \\\n"
		 "  username='u'  password = \"a\\\\\"b\\\\\\\\c;d=e\" ;  ",
			"sasl.username=u sasl.password=a\"b\\c;d=e"},
		{"x.ScramLoginModule required username=u tokenauth=true password=p;",
			"sasl.username=u sasl.password=p"},
		{"com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true "
		 "keyTab=\"/k\" principal=\"a@B\";",
			"sasl.kerberos.keytab=/k sasl.kerberos.principal=a@B"},
		{"x.OAuthBearerLoginModule required clientId='i' clientSecret='s' scope='o';",
			"sasl.oauthbearer.client.id=i sasl.oauthbearer.client.secret=s "
			"sasl.oauthbearer.scope=o"},
	};
	char text[600];

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		snprintf(text, sizeof(text), "sasl.jaas.config=%s", cases[i].text);
		assert_int_equal(translate(text, P), 0);
		assert_string_equal(line_of(out), cases[i].want);
		assert_int_equal(props_count(warnings), 0);
	}
	assert_int_equal(
		translate(
			"sasl.username=mine\nsasl.jaas.config=x.PlainLoginModule required username=u;",
			P),
		0);
	assert_string_equal(line_of(out), "sasl.username=mine");
}

static void a_malformed_login_is_refused_without_its_text(void **state)
{
	static const char *const bad[] = {"", "hunter2", ";", "M", "M hunter2;", "M required",
		"M required password=hunter2", "M required password=\"hunter2;",
		"M required hunter2;", "M required =hunter2;", "M required password=;",
		"M required a=hunter2; N required;", "'' required;", "M required \"\"=hunter2;"};
	char module[JAAS_MODULE_LEN];

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		struct props *options = props_new();

		if (jaas_parse(bad[i], module, options, &e) != ERR_USAGE)
			fail_msg("'%s' was taken", bad[i]);
		assert_not_contains(e.msg, "hunter2");
		props_free(options);
	}
	assert_int_equal(translate("sasl.jaas.config=hunter2", P), ERR_USAGE);
}

/* A value that a property of this name could have. */
static const char *sample_value(const char *name)
{
	static const struct {
		const char *part, *value;
	} samples[] = {
		{"security.protocol", "SASL_SSL"},
		{"isolation.level", "read_committed"},
		{"acks", "all"},
		{"auto.offset.reset", "none"},
		{"compression.type", "gzip"},
		{"partition.assignment.strategy",
			"org.apache.kafka.clients.consumer.CooperativeStickyAssignor"},
		{"bootstrap.servers", "a:9092, b:9092"},
		{"sasl.mechanism", "SCRAM-SHA-512"},
		{"client.dns.lookup", "use_all_dns_ips"},
		{"group.protocol", "classic"},
		{"identification.algorithm", "https"},
		{"token.endpoint.url", "https://h/t"},
		{"sasl.jaas.config", "x.PlainLoginModule required username=u password=p;"},
		{"kinit.cmd", "kinit -R -t k"},
		{"store.type", "PEM"},
		{"ssl.cipher.suites", "AES128-SHA"},
		{".ms", "5000"},
		{"size", "20000"},
		{"bytes", "20000"},
		{"memory", "33554432"},
		{"retries", "3"},
		{"max.in.flight", "5"},
		{"level", "1"},
		{"enable", "true"},
		{"check.crcs", "true"},
		{"allow.auto", "true"},
		{"min.time.before", "5000"},
	};

	for (size_t i = 0; i < N_OF(samples); i++)
		if (strstr(name, samples[i].part))
			return samples[i].value;
	return "text";
}

/*
 * The real judge: each name that Java's clients know (the list was printed by the clients themselves) is
 * either gone, or warned of, or something that librdkafka takes.
 */
static void librdkafka_takes_whatever_comes_out(void **state)
{
	FILE *names = fopen(JAVA_NAMES, "r");
	char kind[20], name[200], error[512];
	int n = 0;

	(void)state;
	assert_non_null(names);
	while (fscanf(names, "%19s %199s", kind, name) == 2) {
		enum kafka_role role = strcmp(kind, "producer") == 0 ? P : C;
		rd_kafka_conf_t *conf = rd_kafka_conf_new();

		clean(NULL);
		fresh(NULL);
		assert_int_equal(props_set(in, name, sample_value(name), &e), 0);
		assert_int_equal(kafka_props_translate(in, role, out, warnings, &e), 0);
		for (size_t i = 0; i < props_count(out); i++) {
			/* this one is read when it is set */
			if (strstr(props_name(out, i), ".pem"))
				continue;
			if (rd_kafka_conf_set(conf, props_name(out, i), props_value(out, i), error,
				    sizeof(error)) != RD_KAFKA_CONF_OK &&
				!strstr(error, "not supported in this build"))
				fail_msg("%s: %s", name, error);
		}
		rd_kafka_conf_destroy(conf);
		n++;
	}
	fclose(names);
	assert_int_equal(n, 227);
}

static void a_usual_producer_file_starts_a_client(void **state)
{
	static const char text[] =
		"bootstrap.servers=127.0.0.1:1\nacks=all\nenable.idempotence=true\n"
		"key.serializer=org.apache.kafka.common.serialization.StringSerializer\n"
		"buffer.memory=33554432\nlinger.ms=5\nbatch.size=16384\nrequest.timeout.ms=30000\n"
		"delivery.timeout.ms=120000\nmax.in.flight.requests.per.connection=5\n"
		"transactional.id=t\ntransaction.timeout.ms=10000\nmetadata.max.age.ms=300000\n"
		"max.request.size=1048576\nclient.dns.lookup=use_all_dns_ips\n"
		"security.protocol=PLAINTEXT\nretries=2147483647\n";
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[512];
	rd_kafka_t *rk;

	(void)state;
	assert_int_equal(translate(text, P), 0);
	for (size_t i = 0; i < props_count(out); i++)
		assert_int_equal(rd_kafka_conf_set(conf, props_name(out, i), props_value(out, i),
					 error, sizeof(error)),
			RD_KAFKA_CONF_OK);
	/* no background chatter about the port that nobody listens on */
	assert_int_equal(rd_kafka_conf_set(conf, "log_level", "0", error, sizeof(error)), 0);
	/* it refuses timeouts beyond that of the transaction: they have been cut */
	assert_string_equal(props_get(out, "message.timeout.ms"), "10000");
	assert_string_equal(props_get(out, "socket.timeout.ms"), "10100");
	assert_int_equal(props_count(warnings), 2);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
	if (!rk)
		fail_msg("%s", error);
	rd_kafka_destroy(rk);
}

static void connection_properties_are_told_apart(void **state)
{
	static const char *const yes[] = {"bootstrap.servers", "security.protocol",
		"ssl.ca.location", "sasl.password", "socket.timeout.ms",
		"enable.ssl.certificate.verification", "broker.address.family"};
	static const char *const no[] = {"acks", "transactional.id", "message.timeout.ms",
		"client.id", "enable.idempotence", "partitioner", "group.id", "isolation.level"};

	(void)state;
	for (size_t i = 0; i < N_OF(yes); i++)
		assert_true(kafka_props_is_connection(yes[i]));
	for (size_t i = 0; i < N_OF(no); i++)
		assert_false(kafka_props_is_connection(no[i]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_and_values_are_translated),
		TEST(what_cannot_be_kept_is_warned_of),
		TEST(login_modules_become_sasl_properties),
		TEST(a_malformed_login_is_refused_without_its_text),
		TEST(librdkafka_takes_whatever_comes_out),
		TEST(a_usual_producer_file_starts_a_client),
		TEST(connection_properties_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
