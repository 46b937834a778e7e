#include "core/broker/kafka_props.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/broker/jaas.h"
#include "core/buf.h"

/* One translation under way. */
struct job {
	const struct props *in;
	enum kafka_role role;
	struct props *out;
	struct props *warnings;
	struct err *e;
};

struct row;
typedef int (*row_fn)(struct job *j, const struct row *row, const char *value);

/*
 * What becomes of one Java name. target and fn both NULL: it has no counterpart, and text says what
 * that means; without a text nobody misses it.
 */
struct row {
	const char *name;
	const char *target; /* librdkafka's name for it */
	int64_t min, max;   /* librdkafka's range of numbers; both 0: not a number */
	row_fn fn;          /* what is more than a new name or a range; NULL: translate_plain() */
	const char *text;
	int only; /* KAFKA_ROLE_* + 1: other roles need no warning; 0: all do */
};

#define ONLY_PRODUCER (KAFKA_ROLE_PRODUCER + 1)
#define ONLY_CONSUMER (KAFKA_ROLE_CONSUMER + 1)

#define INT_MAX_ INT64_C(2147483647)

/* Set a librdkafka property, unless the file gives it outright and `name` only leads to it. */
static int emit(struct job *j, const char *name, const char *target, const char *value)
{
	if (strcmp(name, target) != 0 && props_get(j->in, target))
		return 0;
	return props_set(j->out, target, value, j->e);
}

static int emit_number(struct job *j, const char *name, const char *target, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	return emit(j, name, target, text);
}

static int warn(struct job *j, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int warn(struct job *j, const char *name, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return props_set(j->warnings, name, text, j->e);
}

static int warn_none(struct job *j, const char *name, const char *meaning)
{
	return warn(j, name, "property '%s' has no librdkafka counterpart: %s", name, meaning);
}

static bool read_number(const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	return end != text && *end == '\0' && errno == 0;
}

/* Move a number into librdkafka's range, and say so. */
static int into_range(struct job *j, const char *name, int64_t min, int64_t max, int64_t *v)
{
	int64_t before = *v;

	if (before >= min && before <= max)
		return 0;
	*v = before < min ? min : max;
	return warn(j, name,
		"property '%s': librdkafka takes %lld to %lld, so %lld stands for %lld", name,
		(long long)min, (long long)max, (long long)*v, (long long)before);
}

/* A new name, a range, or both. What is no number is librdkafka's to refuse. */
static int translate_plain(struct job *j, const struct row *row, const char *value)
{
	int64_t v;
	int r;

	if ((row->min == 0 && row->max == 0) || !read_number(value, &v))
		return emit(j, row->name, row->target, value);
	r = into_range(j, row->name, row->min, row->max, &v);
	return r ? r : emit_number(j, row->name, row->target, v);
}

/* --- what needs more than a new name --- */

static int to_kbytes(struct job *j, const struct row *row, const char *value)
{
	int64_t v;
	int r;

	if (!read_number(value, &v))
		return emit(j, row->name, row->target, value);
	v = v / 1024 + (v % 1024 > 0);
	r = into_range(j, row->name, row->min, row->max, &v);
	return r ? r : emit_number(j, row->name, row->target, v);
}

/* Java: 0 means no batching at all; librdkafka has a number of messages for that. */
static int batch_size(struct job *j, const struct row *row, const char *value)
{
	int64_t v;

	if (read_number(value, &v) && v == 0)
		return emit(j, row->name, "batch.num.messages", "1");
	return translate_plain(j, row, value);
}

/* Java: below 0 means never, or the system's choice; librdkafka says 0. */
static int minus_is_zero(struct job *j, const struct row *row, const char *value)
{
	int64_t v;

	if (read_number(value, &v) && v < 0)
		return emit(j, row->name, row->target, "0");
	return translate_plain(j, row, value);
}

/* How long a transaction may take, which librdkafka lets no other timeout exceed; INT_MAX_ without one. */
static int64_t transaction_timeout_ms(const struct job *j)
{
	const char *text = props_get(j->in, "transaction.timeout.ms");
	int64_t v = 60000; /* both clients' default */

	if (j->role != KAFKA_ROLE_PRODUCER || !props_get(j->in, "transactional.id"))
		return INT_MAX_;
	if (text)
		(void)read_number(text, &v);
	return v < 1000 ? 1000 : v;
}

static int delivery_timeout(struct job *j, const struct row *row, const char *value)
{
	int64_t v;
	int r;

	if (!read_number(value, &v))
		return emit(j, row->name, row->target, value);
	r = into_range(j, row->name, row->min, transaction_timeout_ms(j), &v);
	return r ? r : emit_number(j, row->name, row->target, v);
}

static int request_timeout(struct job *j, const struct row *row, const char *value)
{
	int64_t v, longest = 300000;
	int r;

	if (j->role == KAFKA_ROLE_PRODUCER) {
		r = translate_plain(j, row, value);
		if (r)
			return r;
		if (transaction_timeout_ms(j) + 100 < longest)
			longest = transaction_timeout_ms(j) + 100;
	}
	if (!read_number(value, &v))
		return j->role == KAFKA_ROLE_PRODUCER
			       ? 0
			       : emit(j, row->name, "socket.timeout.ms", value);
	r = into_range(j, row->name, 10, longest, &v);
	return r ? r : emit_number(j, row->name, "socket.timeout.ms", v);
}

/* compression.gzip.level and its like hold for their own algorithm only. */
static int compression_level(struct job *j, const struct row *row, const char *value)
{
	const char *type = props_get(j->in, "compression.type");
	size_t n = strcspn(row->name + strlen("compression."), ".");

	if (!type || strlen(type) != n ||
		strncasecmp(type, row->name + strlen("compression."), n) != 0)
		return 0;
	return translate_plain(j, row, value);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcasecmp(text + n - m, end) == 0;
}

enum store { STORE_JKS, STORE_PKCS12, STORE_PEM, STORE_UNKNOWN };

/* What kind of store a file is: by the type that is given, else by the file's name. */
static enum store store_kind(const char *type, const char *file)
{
	static const struct {
		const char *text;
		enum store kind;
	} types[] = {{"JKS", STORE_JKS}, {"PKCS12", STORE_PKCS12}, {"PEM", STORE_PEM}},
	  ends[] = {{".jks", STORE_JKS}, {".p12", STORE_PKCS12}, {".pfx", STORE_PKCS12},
		  {".pkcs12", STORE_PKCS12}, {".pem", STORE_PEM}, {".crt", STORE_PEM},
		  {".cer", STORE_PEM}};

	for (size_t i = 0; type && *type && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(type, types[i].text) == 0)
			return types[i].kind;
	for (size_t i = 0; !(type && *type) && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends_with(file, ends[i].text))
			return ends[i].kind;
	return STORE_UNKNOWN;
}

static int truststore(struct job *j, const struct row *row, const char *value)
{
	switch (store_kind(props_get(j->in, "ssl.truststore.type"), value)) {
	case STORE_PEM:
		return emit(j, row->name, "ssl.ca.location", value);
	case STORE_PKCS12:
		return warn_none(j, row->name,
			"it reads CA certificates from PEM only, not from PKCS12; write them out with "
			"'openssl pkcs12 -nokeys -in STORE -out ca.pem' and set ssl.ca.location=ca.pem");
	default:
		return warn_none(j, row->name,
			"a JKS store can be read by Java only; write it out with 'keytool -list -rfc "
			"-keystore STORE > ca.pem' and set ssl.ca.location=ca.pem");
	}
}

static int keystore(struct job *j, const struct row *row, const char *value)
{
	int r;

	switch (store_kind(props_get(j->in, "ssl.keystore.type"), value)) {
	case STORE_PEM: /* Java's PEM store: key and certificates in one file */
		r = emit(j, row->name, "ssl.key.location", value);
		return r ? r : emit(j, row->name, "ssl.certificate.location", value);
	case STORE_JKS:
		return warn_none(j, row->name,
			"a JKS store can be read by Java only; convert it with 'keytool -importkeystore "
			"-srckeystore STORE -destkeystore client.p12 -deststoretype PKCS12' and set "
			"ssl.keystore.location=client.p12");
	default: /* librdkafka's own meaning */
		return emit(j, row->name, "ssl.keystore.location", value);
	}
}

/* The password goes with a store that librdkafka reads; for the others nothing is left to open. */
static int keystore_password(struct job *j, const struct row *row, const char *value)
{
	const char *file = props_get(j->in, "ssl.keystore.location");
	enum store kind = store_kind(props_get(j->in, "ssl.keystore.type"), file ? file : "");

	if (kind == STORE_JKS || kind == STORE_PEM)
		return 0;
	return emit(j, row->name, row->name, value);
}

static int endpoint_identification(struct job *j, const struct row *row, const char *value)
{
	return emit(j, row->name, row->name, *value ? value : "none");
}

static int cipher_suites(struct job *j, const struct row *row, const char *value)
{
	if (strncmp(value, "TLS_", 4) != 0 && strncmp(value, "SSL_", 4) != 0 && *value)
		return emit(j, row->name, row->name, value);
	return *value ? warn_none(j, row->name,
				"these are Java's names of cipher suites, OpenSSL has others; its default "
				"suites are used")
		      : 0;
}

static int offset_reset(struct job *j, const struct row *row, const char *value)
{
	if (strcasecmp(value, "none") == 0)
		return emit(j, row->name, row->name, "error");
	if (strncasecmp(value, "by_duration", 11) == 0)
		return warn_none(
			j, row->name, "reset by duration is not known; librdkafka's default holds");
	return emit(j, row->name, row->name, value);
}

/* One of Java's assignors in librdkafka's words, NULL when it has none; other names as they are. */
static const char *assignor(const char *name)
{
	static const char *const known[][2] = {{"RangeAssignor", "range"},
		{"RoundRobinAssignor", "roundrobin"},
		{"CooperativeStickyAssignor", "cooperative-sticky"}, {"StickyAssignor", NULL}};
	const char *last = strrchr(name, '.');

	last = last ? last + 1 : name;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(last, known[i][0]) == 0)
			return known[i][1];
	return last == name ? name : NULL;
}

/*
 * Java's default is "range, cooperative-sticky", of which a group uses the first that all members have.
 * librdkafka takes one kind only: eager or cooperative.
 */
static int assignment_strategy(struct job *j, const struct row *row, const char *value)
{
	char list[256], kept[256] = "", *save = NULL;
	bool first_cooperative = false, dropped = false;
	int r = 0;

	snprintf(list, sizeof(list), "%s", value);
	for (char *one = strtok_r(list, ", ", &save); one; one = strtok_r(NULL, ", ", &save)) {
		const char *name = assignor(one);
		bool cooperative = name && strcmp(name, "cooperative-sticky") == 0;
		size_t n = strlen(kept);

		if (!name || (n && cooperative != first_cooperative)) {
			dropped = true;
			continue;
		}
		if (!n)
			first_cooperative = cooperative;
		snprintf(kept + n, sizeof(kept) - n, "%s%s", n ? "," : "", name);
	}
	if (dropped)
		r = warn(j, row->name,
			"property '%s': librdkafka has neither 'sticky' nor assignors of one's own, and does "
			"not mix eager and cooperative ones: %s is used",
			row->name, kept[0] ? kept : "its default");
	return r || !kept[0] ? r : emit(j, row->name, row->name, kept);
}

static int dns_lookup(struct job *j, const struct row *row, const char *value)
{
	/* librdkafka tries every address of a name by itself */
	if (strcmp(value, "use_all_dns_ips") == 0 || strcmp(value, "default") == 0)
		return 0;
	return warn_none(j, row->name, row->text);
}

static int group_protocol(struct job *j, const struct row *row, const char *value)
{
	return strcasecmp(value, "classic") == 0 ? 0 : warn_none(j, row->name, row->text);
}

/* Java wants the path of kinit, librdkafka a shell command with its arguments. */
static int kinit(struct job *j, const struct row *row, const char *value)
{
	return strchr(value, ' ') ? emit(j, row->name, row->name, value)
				  : warn_none(j, row->name, row->text);
}

static int login_handler(struct job *j, const struct row *row, const char *value)
{
	if (ends_with(value, "OAuthBearerLoginCallbackHandler"))
		return emit(j, row->name, "sasl.oauthbearer.method", "oidc");
	return warn_none(j, row->name, row->text);
}

/* Properties that a login module's options become. */
static const struct {
	const char *module; /* end of the class name */
	const char *option;
	const char *target;
} jaas_options[] = {
	{"PlainLoginModule", "username", "sasl.username"},
	{"PlainLoginModule", "password", "sasl.password"},
	{"ScramLoginModule", "username", "sasl.username"},
	{"ScramLoginModule", "password", "sasl.password"},
	{"Krb5LoginModule", "keyTab", "sasl.kerberos.keytab"},
	{"Krb5LoginModule", "principal", "sasl.kerberos.principal"},
	{"Krb5LoginModule", "serviceName", "sasl.kerberos.service.name"},
	{"OAuthBearerLoginModule", "clientId", "sasl.oauthbearer.client.id"},
	{"OAuthBearerLoginModule", "clientSecret", "sasl.oauthbearer.client.secret"},
	{"OAuthBearerLoginModule", "scope", "sasl.oauthbearer.scope"},
};

static int jaas_config(struct job *j, const struct row *row, const char *value)
{
	struct props *options = props_new();
	char module[JAAS_MODULE_LEN];
	bool known = false;
	int r = options ? jaas_parse(value, module, options, j->e)
			: err_set(j->e, ERR_NOMEM, "out of memory");

	for (size_t i = 0; r == 0 && i < sizeof(jaas_options) / sizeof(jaas_options[0]); i++) {
		const char *v = props_get(options, jaas_options[i].option);

		if (!ends_with(module, jaas_options[i].module))
			continue;
		known = true;
		if (v)
			r = emit(j, row->name, jaas_options[i].target, v);
	}
	if (r == 0 && !known)
		r = warn_none(j, row->name,
			"its login module is none of Plain, Scram, Krb5, OAuthBearer");
	props_free(options);
	return r;
}

/* --- the table --- */

#define SILENT(java)                                                                               \
	{                                                                                          \
		.name = java                                                                       \
	}
#define NONE(java, meaning)                                                                        \
	{                                                                                          \
		.name = java, .text = meaning                                                      \
	}
#define NONE_FOR(java, role, meaning)                                                              \
	{                                                                                          \
		.name = java, .text = meaning, .only = role                                        \
	}
#define RANGE(java, lo, hi)                                                                        \
	{                                                                                          \
		.name = java, .target = java, .min = lo, .max = hi                                 \
	}
#define RENAME(java, ours, lo, hi)                                                                 \
	{                                                                                          \
		.name = java, .target = ours, .min = lo, .max = hi                                 \
	}

#define OWN_PARTITIONS "mqaudit chooses the partition of each message itself"
#define JAVA_TLS "TLS comes from OpenSSL here, not from Java's security providers"
#define OWN_LOGIN "logging in again is librdkafka's own affair"
#define OWN_TOKENS "librdkafka fetches OAuth tokens by client id and secret only"

static const struct row rows[] = {
	/* for objects in the application's own process */
	SILENT("key.serializer"),
	SILENT("value.serializer"),
	SILENT("key.deserializer"),
	SILENT("value.deserializer"),
	SILENT("metric.reporters"),
	SILENT("metrics.num.samples"),
	SILENT("metrics.recording.level"),
	SILENT("metrics.sample.window.ms"),
	SILENT("enable.metrics.push"),
	SILENT("auto.include.jmx.reporter"),
	SILENT("metadata.max.idle.ms"),
	SILENT("socket.connection.setup.timeout.max.ms"),
	SILENT("internal.leave.group.on.close"),
	SILENT("internal.throw.on.fetch.stable.offset.unsupported"),
	NONE("interceptor.classes", "what the interceptors do to messages is not audited"),
	NONE("config.providers", "references such as ${file:...} are not resolved"),
	NONE("security.providers", JAVA_TLS),

	/* producer */
	{.name = "buffer.memory",
		.target = "queue.buffering.max.kbytes",
		.min = 1,
		.max = INT_MAX_,
		.fn = to_kbytes},
	{.name = "batch.size", .target = "batch.size", .min = 1, .max = INT_MAX_, .fn = batch_size},
	{.name = "delivery.timeout.ms", .target = "message.timeout.ms", .fn = delivery_timeout},
	RENAME("max.request.size", "message.max.bytes", 1000, 1000000000),
	RANGE("linger.ms", 0, 900000),
	RANGE("retry.backoff.ms", 1, 300000),
	RANGE("max.in.flight.requests.per.connection", 1, 1000000),
	RANGE("transaction.timeout.ms", 1000, INT_MAX_),
	{.name = "compression.gzip.level",
		.target = "compression.level",
		.min = -1,
		.max = 9,
		.fn = compression_level},
	{.name = "compression.lz4.level",
		.target = "compression.level",
		.min = -1,
		.max = 12,
		.fn = compression_level},
	{.name = "compression.zstd.level",
		.target = "compression.level",
		.min = -1,
		.max = 12,
		.fn = compression_level},
	NONE_FOR("max.block.ms", ONLY_PRODUCER,
		"a send never blocks in librdkafka; what happens when its queue is full is "
		"--on-queue-full"),
	NONE("retry.backoff.max.ms",
		"the wait between retries does not grow, it is retry.backoff.ms"),
	NONE_FOR("partitioner.class", ONLY_PRODUCER, OWN_PARTITIONS),
	NONE_FOR("partitioner.ignore.keys", ONLY_PRODUCER, OWN_PARTITIONS),
	NONE_FOR("partitioner.adaptive.partitioning.enable", ONLY_PRODUCER, OWN_PARTITIONS),
	NONE_FOR("partitioner.availability.timeout.ms", ONLY_PRODUCER, OWN_PARTITIONS),
	NONE_FOR("transaction.two.phase.commit.enable", ONLY_PRODUCER,
		"two-phase commit across systems is not known to it"),

	/* consumer */
	RENAME("fetch.max.wait.ms", "fetch.wait.max.ms", 0, 300000),
	RANGE("fetch.min.bytes", 1, 100000000),
	RANGE("fetch.max.bytes", 0, 2147483135),
	RANGE("max.partition.fetch.bytes", 1, 1000000000),
	RANGE("max.poll.interval.ms", 1, 86400000),
	RANGE("session.timeout.ms", 1, 3600000),
	RANGE("heartbeat.interval.ms", 1, 3600000),
	RANGE("auto.commit.interval.ms", 0, 86400000),
	{.name = "auto.offset.reset", .fn = offset_reset},
	{.name = "partition.assignment.strategy", .fn = assignment_strategy},
	{.name = "group.protocol",
		.fn = group_protocol,
		.only = ONLY_CONSUMER,
		.text = "version 2.0.2 speaks the classic group protocol only"},
	NONE_FOR("group.remote.assignor", ONLY_CONSUMER,
		"version 2.0.2 speaks the classic group protocol only"),
	NONE_FOR("share.acknowledgement.mode", ONLY_CONSUMER, "share groups are not known to it"),
	NONE_FOR("max.poll.records", ONLY_CONSUMER, "it hands out one message at a time"),
	NONE_FOR("exclude.internal.topics", ONLY_CONSUMER, "only the named topic is read"),
	NONE("default.api.timeout.ms", "mqaudit gives each call a deadline of its own"),

	/* connection */
	{.name = "request.timeout.ms",
		.target = "request.timeout.ms",
		.min = 1,
		.max = 900000,
		.fn = request_timeout},
	RENAME("metadata.max.age.ms", "topic.metadata.refresh.interval.ms", 1, 3600000),
	{.name = "connections.max.idle.ms",
		.target = "connections.max.idle.ms",
		.min = 0,
		.max = INT_MAX_,
		.fn = minus_is_zero},
	{.name = "send.buffer.bytes",
		.target = "socket.send.buffer.bytes",
		.min = 0,
		.max = 100000000,
		.fn = minus_is_zero},
	{.name = "receive.buffer.bytes",
		.target = "socket.receive.buffer.bytes",
		.min = 0,
		.max = 100000000,
		.fn = minus_is_zero},
	RANGE("reconnect.backoff.ms", 0, 3600000),
	RANGE("reconnect.backoff.max.ms", 0, 3600000),
	RANGE("socket.connection.setup.timeout.ms", 1000, INT_MAX_),
	{.name = "client.dns.lookup",
		.fn = dns_lookup,
		.text = "bootstrap names are not replaced by their canonical ones"},
	NONE("metadata.recovery.strategy", "it never starts again from the bootstrap servers"),
	NONE("metadata.recovery.rebootstrap.trigger.ms",
		"it never starts again from the bootstrap servers"),

	/* TLS */
	{.name = "ssl.truststore.location", .fn = truststore},
	SILENT("ssl.truststore.type"),     /* looked at with the location */
	SILENT("ssl.truststore.password"), /* only Java's stores need one */
	RENAME("ssl.truststore.certificates", "ssl.ca.pem", 0, 0),
	{.name = "ssl.keystore.location", .fn = keystore},
	{.name = "ssl.keystore.password", .fn = keystore_password},
	SILENT("ssl.keystore.type"),
	RENAME("ssl.keystore.key", "ssl.key.pem", 0, 0),
	RENAME("ssl.keystore.certificate.chain", "ssl.certificate.pem", 0, 0),
	{.name = "ssl.endpoint.identification.algorithm", .fn = endpoint_identification},
	{.name = "ssl.cipher.suites", .fn = cipher_suites},
	NONE("ssl.enabled.protocols", "OpenSSL's default versions of TLS are offered"),
	NONE("ssl.protocol", "OpenSSL's default versions of TLS are offered"),
	NONE("ssl.provider", JAVA_TLS),
	NONE("ssl.engine.factory.class", JAVA_TLS),
	NONE("ssl.keymanager.algorithm", JAVA_TLS),
	NONE("ssl.trustmanager.algorithm", JAVA_TLS),
	NONE("ssl.secure.random.implementation", JAVA_TLS),

	/* SASL */
	{.name = "sasl.jaas.config", .fn = jaas_config},
	RENAME("sasl.mechanism", "sasl.mechanisms", 0, 0),
	{.name = "sasl.kerberos.kinit.cmd",
		.fn = kinit,
		.text = "Java names a program here, librdkafka a whole command; its own is used"},
	{.name = "sasl.login.callback.handler.class",
		.fn = login_handler,
		.text = "Java code cannot run here"},
	RENAME("sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.id", 0, 0),
	RENAME("sasl.oauthbearer.client.credentials.client.secret",
		"sasl.oauthbearer.client.secret", 0, 0),
	NONE("sasl.client.callback.handler.class", "Java code cannot run here"),
	NONE("sasl.login.class", "Java code cannot run here"),
	NONE("sasl.kerberos.ticket.renew.jitter", OWN_LOGIN),
	NONE("sasl.kerberos.ticket.renew.window.factor", OWN_LOGIN),
	NONE("sasl.login.connect.timeout.ms", OWN_LOGIN),
	NONE("sasl.login.read.timeout.ms", OWN_LOGIN),
	NONE("sasl.login.refresh.buffer.seconds", OWN_LOGIN),
	NONE("sasl.login.refresh.min.period.seconds", OWN_LOGIN),
	NONE("sasl.login.refresh.window.factor", OWN_LOGIN),
	NONE("sasl.login.refresh.window.jitter", OWN_LOGIN),
	NONE("sasl.login.retry.backoff.max.ms", OWN_LOGIN),
	NONE("sasl.login.retry.backoff.ms", OWN_LOGIN),
	NONE("sasl.oauthbearer.jwt.retriever.class", OWN_TOKENS),
	NONE("sasl.oauthbearer.jwt.validator.class", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.algorithm", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.claim.aud", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.claim.exp.seconds", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.claim.iss", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.claim.jti.include", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.claim.nbf.seconds", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.claim.sub", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.file", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.private.key.file", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.private.key.passphrase", OWN_TOKENS),
	NONE("sasl.oauthbearer.assertion.template.file", OWN_TOKENS),
	NONE("sasl.oauthbearer.header.urlencode", OWN_TOKENS),
	/* these check tokens, which is the broker's side */
	SILENT("sasl.oauthbearer.clock.skew.seconds"),
	SILENT("sasl.oauthbearer.expected.audience"),
	SILENT("sasl.oauthbearer.expected.issuer"),
	SILENT("sasl.oauthbearer.jwks.endpoint.refresh.ms"),
	SILENT("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms"),
	SILENT("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms"),
	SILENT("sasl.oauthbearer.jwks.endpoint.url"),
	SILENT("sasl.oauthbearer.scope.claim.name"),
	SILENT("sasl.oauthbearer.sub.claim.name"),
};

static const struct row *find_row(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static int translate_one(struct job *j, const char *name, const char *value)
{
	const struct row *row = find_row(name);

	/* parameters of the providers, which the warning about config.providers covers */
	if (!row && strncmp(name, "config.providers.", 17) == 0)
		return 0;
	if (!row)
		return props_set(j->out, name, value, j->e);
	if (row->fn && (!row->only || row->only == (int)j->role + 1))
		return row->fn(j, row, value);
	if (row->target)
		return translate_plain(j, row, value);
	if (!row->text || (row->only && row->only != (int)j->role + 1))
		return 0;
	return warn_none(j, name, row->text);
}

/* A copy without blanks around it. NULL when out of memory. */
static char *trimmed(const char *value)
{
	size_t n;

	while (isspace((unsigned char)*value))
		value++;
	for (n = strlen(value); n && isspace((unsigned char)value[n - 1]);)
		n--;
	return strndup(value, n);
}

/* `in` with every value trimmed. */
static int trim_all(const struct props *in, struct props *out, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < props_count(in) && r == 0; i++) {
		char *value = trimmed(props_value(in, i));

		r = value ? props_set(out, props_name(in, i), value, e)
			  : err_set(e, ERR_NOMEM, "out of memory");
		if (value)
			explicit_bzero(value, strlen(value));
		free(value);
	}
	return r;
}

int kafka_props_translate(const struct props *in, enum kafka_role role, struct props *out,
	struct props *warnings, struct err *e)
{
	struct props *clean = props_new();
	struct job j = {clean, role, out, warnings, e};
	int r = clean ? trim_all(in, clean, e) : err_set(e, ERR_NOMEM, "out of memory");

	for (size_t i = 0; r == 0 && i < props_count(clean); i++)
		r = translate_one(&j, props_name(clean, i), props_value(clean, i));
	props_free(clean);
	return r;
}

bool kafka_props_is_connection(const char *name)
{
	static const char *const starts[] = {"bootstrap.servers", "metadata.broker.list",
		"security.protocol", "ssl.", "sasl.", "socket.", "enable.ssl.", "enable.sasl.",
		"broker.address.", "api.version.", "broker.version.fallback"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(name, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}
