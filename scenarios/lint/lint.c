#include "scenarios/lint/lint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scenarios/lint/kafka_defs.h"
#include "scenarios/lint/rabbitmq_defs.h"

#define ELR                                                                                        \
	"eligible.leader.replicas.version" /* a feature of the cluster, not a setting of a broker */
#define REPLICATION "replication.factor"
#define ASSUMED_REPLICATION 3

const char *lint_scope_text(enum lint_scope scope)
{
	static const char *const text[] = {"producer", "consumer", "topic", "policy", "broker"};

	return text[scope];
}

const char *lint_client_text(enum lint_client client)
{
	static const char *const text[] = {"librdkafka", "java", "rabbitmq-c"};

	return text[client];
}

void lint_add(struct lint *l, enum lint_scope scope, const char *name, const char *value,
	const char *from, bool given)
{
	struct lint_setting *s = &l->setting[l->n_settings++];

	BUG_ON(l->n_settings > LINT_SETTINGS_MAX);
	*s = (struct lint_setting){.scope = scope, .name = name, .given = given};
	snprintf(s->value, sizeof(s->value), "%s", value);
	snprintf(s->from, sizeof(s->from), "%s", from);
}

const struct lint_setting *lint_find(const struct lint *l, enum lint_scope scope, const char *name)
{
	for (size_t i = 0; i < l->n_settings; i++)
		if (l->setting[i].scope == scope && strcmp(l->setting[i].name, name) == 0)
			return &l->setting[i];
	return NULL;
}

/* ---- what the user gave ---------------------------------------------------------------------- */

/* Take all of `file` over, with where each stands. */
static int take_over(struct lint *l, enum lint_scope scope, const struct props *file,
	const char *path, struct err *e)
{
	char from[LINT_FROM_LEN];
	int r = 0;

	for (size_t i = 0; r == 0 && i < props_count(file); i++) {
		const char *name = props_name(file, i);
		const size_t line = props_line(file, name);

		if (line)
			snprintf(from, sizeof(from), "%s:%zu", path, line);
		else
			snprintf(from, sizeof(from), "%s", path);
		r = props_set(l->given[scope], name, props_value(file, i), e);
		if (r == 0)
			r = props_set(l->from[scope], name, from, e);
	}
	return r;
}

static int read_file(struct lint *l, enum lint_scope scope, const char *path, struct err *e)
{
	struct props *file = props_new();
	int r = file ? props_read_file(path, file, e) : err_set(e, ERR_NOMEM, "out of memory");

	if (r == 0)
		r = take_over(l, scope, file, path, e);
	props_free(file);
	return r;
}

static int read_property(struct lint *l, const char *text, struct err *e)
{
	struct props *one = props_new();
	int r = one ? props_parse_option(text, one, e) : err_set(e, ERR_NOMEM, "out of memory");

	if (r == 0)
		r = take_over(l, LINT_PRODUCER, one, "-X", e);
	props_free(one);
	return r;
}

/* name=value, or the name of a file. */
static int read_config(
	struct lint *l, enum lint_scope scope, const char *option, const char *text, struct err *e)
{
	const char *equals = strchr(text, '=');
	char name[PROPS_NAME_MAX + 1];
	size_t n = equals ? (size_t)(equals - text) : 0;
	int r;

	if (!equals)
		return read_file(l, scope, text, e);
	if (n == 0 || n > PROPS_NAME_MAX)
		return err_set(
			e, ERR_USAGE, "%s: '%s' is neither name=value nor a file", option, text);
	memcpy(name, text, n);
	name[n] = '\0';
	r = props_set(l->given[scope], name, equals + 1, e);
	return r ? r : props_set(l->from[scope], name, option, e);
}

static int read_all(struct lint *l, const struct lint_input *in, struct err *e)
{
	int r = 0;

	if (in->producer_config)
		r = read_file(l, LINT_PRODUCER, in->producer_config, e);
	for (size_t i = 0; r == 0 && i < in->property.n; i++)
		r = read_property(l, in->property.item[i], e);
	if (r == 0 && in->consumer_config)
		r = read_file(l, LINT_CONSUMER, in->consumer_config, e);
	for (size_t i = 0; r == 0 && i < in->topic_config.n; i++)
		r = read_config(l, LINT_TOPIC, "--topic-config", in->topic_config.item[i], e);
	for (size_t i = 0; r == 0 && i < in->queue_argument.n; i++)
		r = read_config(l, LINT_TOPIC, "--queue-argument", in->queue_argument.item[i], e);
	for (size_t i = 0; r == 0 && i < in->broker_config.n; i++)
		r = read_config(l, LINT_BROKER, "--broker-config", in->broker_config.item[i], e);
	for (size_t i = 0; r == 0 && i < in->policy.n; i++)
		r = read_config(l, LINT_POLICY, "--policy", in->policy.item[i], e);
	return r;
}

/* ---- names and values ------------------------------------------------------------------------ */

static const struct kafka_def *java_def(enum lint_scope scope, const char *name)
{
	enum kafka_defs own = scope == LINT_PRODUCER ? KAFKA_DEFS_PRODUCER : KAFKA_DEFS_CONSUMER;
	enum kafka_defs other = scope == LINT_PRODUCER ? KAFKA_DEFS_CONSUMER : KAFKA_DEFS_PRODUCER;
	const struct kafka_def *def = kafka_defs_find(own, name);

	/* one file for both is usual */
	return def ? def : kafka_defs_find(other, name);
}

/* Parameters of the user's own classes; Kafka does not know their names either. */
static bool is_parameter(enum lint_scope scope, const char *name)
{
	return strncmp(name, "config.providers.", 17) == 0 ||
	       (scope == LINT_BROKER && strncmp(name, "listener.name.", 14) == 0);
}

static bool client_knows(enum lint_client client, enum lint_scope scope, const char *name)
{
	if (client == LINT_RABBITMQ_C)
		return lint_rabbitmq_knows(scope, name);
	if (is_parameter(scope, name))
		return client == LINT_JAVA || scope == LINT_BROKER;
	switch (scope) {
	case LINT_TOPIC:
		return kafka_defs_find(KAFKA_DEFS_TOPIC, name);
	case LINT_BROKER:
		return strcmp(name, ELR) == 0 || kafka_defs_find(KAFKA_DEFS_BROKER, name);
	case LINT_POLICY:
		return false;
	default:
		return client == LINT_JAVA ? java_def(scope, name) != NULL
					   : broker_find("kafka")->client_knows(name);
	}
}

static bool is_known(const struct lint *l, enum lint_scope scope, const char *name)
{
	if (client_knows(l->client, scope, name))
		return true;
	/* to librdkafka Java's names are translated */
	return l->client == LINT_LIBRDKAFKA && client_knows(LINT_JAVA, scope, name);
}

static int unknown(const struct lint *l, enum lint_scope scope, const char *name, struct err *e)
{
	const char *from = props_get(l->from[scope], name);

	if (scope == LINT_PRODUCER || scope == LINT_CONSUMER)
		err_set(e, ERR_USAGE, "%s: the %s of %s has no property '%s'", from,
			lint_scope_text(scope), l->library, name);
	else if (l->client == LINT_RABBITMQ_C)
		err_set(e, ERR_USAGE, "%s: RabbitMQ " RABBITMQ_DEFS_VERSION " has no %s '%s'", from,
			scope == LINT_TOPIC    ? "argument of a queue"
			: scope == LINT_POLICY ? "key of a policy"
					       : "setting in rabbitmq.conf",
			name);
	else
		err_set(e, ERR_USAGE, "%s: Kafka " KAFKA_DEFS_VERSION " has no %s setting '%s'",
			from, lint_scope_text(scope), name);
	return err_hint(e,
		"if it is for somebody else who reads the same settings: --allow-unknown takes it "
		"out");
}

/* Take the names out that nobody knows, each with a note; or say so of the first. */
static int check_names(struct lint *l, enum lint_scope scope, bool allow, struct err *e)
{
	char note[LINT_FROM_LEN + PROPS_NAME_MAX + 80];

	for (size_t i = 0; i < props_count(l->given[scope]);) {
		const char *name = props_name(l->given[scope], i);
		int r;

		if (is_known(l, scope, name)) {
			i++;
			continue;
		}
		if (!allow)
			return unknown(l, scope, name, e);
		snprintf(note, sizeof(note), "%s: '%s' is not known, and not looked at",
			props_get(l->from[scope], name), name);
		r = props_set(l->notes, name, note, e);
		if (r)
			return r;
		props_remove(l->given[scope], name);
	}
	return 0;
}

static int check_value(enum lint_scope scope, const char *name, const char *value, struct err *e)
{
	const struct kafka_def *def = scope == LINT_TOPIC ? kafka_defs_find(KAFKA_DEFS_TOPIC, name)
				      : scope == LINT_BROKER
					      ? kafka_defs_find(KAFKA_DEFS_BROKER, name)
					      : java_def(scope, name);

	if (strcmp(name, ELR) == 0 && strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return err_set(e, ERR_USAGE, "'" ELR "' cannot be '%s': it takes 0 or 1", value);
	return def ? kafka_defs_check(def, value, e) : 0;
}

static int check_values(struct lint *l, enum lint_scope scope, struct err *e)
{
	for (size_t i = 0; i < props_count(l->given[scope]); i++) {
		const char *name = props_name(l->given[scope], i);
		int r = check_value(scope, name, props_value(l->given[scope], i), e);

		if (r) {
			err_wrap(e, "%s", props_get(l->from[scope], name));
			return r;
		}
	}
	return 0;
}

/* ---- which client ---------------------------------------------------------------------------- */

/* The first name that these clients have, or their brokers, each of them or one, and nobody else. */
static const char *telling(const struct lint *l, unsigned clients, const char **ret_from)
{
	for (int scope = 0; scope < LINT_SCOPES; scope++) {
		for (size_t i = 0; i < props_count(l->given[scope]); i++) {
			const char *name = props_name(l->given[scope], i);
			unsigned known = 0;

			for (int c = 0; c < LINT_CLIENTS; c++)
				if (client_knows((enum lint_client)c, (enum lint_scope)scope, name))
					known |= 1u << c;
			if (!known || (known & ~clients))
				continue;
			*ret_from = props_get(l->from[scope], name);
			return name;
		}
	}
	return NULL;
}

static void set_client(struct lint *l, enum lint_client client)
{
	l->client = client;
	l->facts.client = client;
	l->ops = broker_find(client == LINT_RABBITMQ_C ? "amqp" : "kafka");
	if (client == LINT_JAVA)
		snprintf(l->library, sizeof(l->library), "Java client " KAFKA_DEFS_VERSION);
	else
		snprintf(l->library, sizeof(l->library), "%s", l->ops->library());
}

#define IS_LIBRDKAFKA (1u << LINT_LIBRDKAFKA)
#define IS_JAVA (1u << LINT_JAVA)
#define IS_RABBITMQ (1u << LINT_RABBITMQ_C)

/* Do the names contradict each other in who it is: of the one clients or of the others? */
static int check_whose(const struct lint *l, unsigned one, const char *ones, unsigned other,
	const char *others, struct err *e)
{
	const char *from[2] = {"", ""};
	const char *name[2] = {telling(l, one, &from[0]), telling(l, other, &from[1])};

	if (!name[0] || !name[1])
		return 0;
	err_set(e, ERR_USAGE, "'%s' (%s) is %s, '%s' (%s) %s", name[0], from[0], ones, name[1],
		from[1], others);
	return err_hint(e, "say whose settings these are: --client librdkafka, java or rabbitmq-c");
}

/* By the names in the files and options. */
static int find_by_names(struct lint *l, struct err *e)
{
	static const enum lint_client among[] = {LINT_JAVA, LINT_LIBRDKAFKA, LINT_RABBITMQ_C};
	const char *name = NULL, *from = NULL;
	int r = check_whose(l, IS_LIBRDKAFKA | IS_JAVA, "Kafka's", IS_RABBITMQ, "RabbitMQ's", e);

	if (r == 0)
		r = check_whose(l, IS_JAVA, "Java's", IS_LIBRDKAFKA, "librdkafka's", e);
	set_client(l, LINT_LIBRDKAFKA);
	for (size_t i = 0; !name && i < sizeof(among) / sizeof(among[0]); i++) {
		name = telling(l, 1u << among[i], &from);
		if (name)
			set_client(l, among[i]);
	}
	if (name)
		snprintf(l->because, sizeof(l->because), "only it knows %s (%s)", name, from);
	else
		snprintf(l->because, sizeof(l->because),
			"assumed: no property tells; --client says which");
	return r;
}

/* Only RabbitMQ has what these options say. */
static const char *option_of_rabbitmq(const struct lint_input *in)
{
	return in->policy.n      ? "--policy"
	       : in->no_policy   ? "--no-policy"
	       : in->republishes ? "--republish-unknown"
				 : NULL;
}

static int check_client(const struct lint *l, const struct lint_input *in, struct err *e)
{
	bool rabbitmq = l->client == LINT_RABBITMQ_C;
	const char *option = option_of_rabbitmq(in);

	if (in->scheme && rabbitmq != (strcmp(in->scheme, "amqp") == 0))
		return err_set(e, ERR_USAGE, "%s is no client for %s:// (%s)", l->library,
			in->scheme, l->because);
	if (option && !rabbitmq)
		return err_set(e, ERR_USAGE, "%s: only RabbitMQ has that, and this is %s", option,
			l->library);
	if (in->no_policy && in->policy.n)
		return err_set(e, ERR_USAGE, "--no-policy contradicts --policy");
	return 0;
}

static int find_client(struct lint *l, const struct lint_input *in, struct err *e)
{
	const char *option = option_of_rabbitmq(in);
	int r = 0;

	for (int c = 0; in->client && c < LINT_CLIENTS; c++)
		if (strcmp(in->client, lint_client_text((enum lint_client)c)) == 0)
			set_client(l, (enum lint_client)c);
	if (in->client) {
		snprintf(l->because, sizeof(l->because), "--client");
	} else if ((in->scheme && strcmp(in->scheme, "amqp") == 0) || (!in->scheme && option)) {
		set_client(l, LINT_RABBITMQ_C);
		snprintf(l->because, sizeof(l->because), "the client of %s",
			in->scheme ? "amqp://" : option);
	} else {
		r = find_by_names(l, e);
	}
	return r ? r : check_client(l, in, e);
}

static struct props **all_props(struct lint *l, size_t i)
{
	struct props **const at[] = {&l->notes, &l->unseen, &l->told, &l->told_from,
		&l->broker_told, &l->broker_from, &l->policy_told};

	return i < sizeof(at) / sizeof(at[0]) ? at[i] : NULL;
}

static int make_props(struct lint *l, struct err *e)
{
	bool ok = true;

	for (size_t i = 0; all_props(l, i); i++)
		ok &= (*all_props(l, i) = props_new()) != NULL;
	for (int i = 0; i < LINT_SCOPES; i++) {
		ok &= (l->given[i] = props_new()) != NULL;
		ok &= (l->from[i] = props_new()) != NULL;
	}
	return ok ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

int lint_read(const struct lint_input *in, struct lint *l, struct err *e)
{
	int r;

	memset(l, 0, sizeof(*l));
	l->replication = in->replication;
	l->no_policy = in->no_policy;
	l->republishes = in->republishes;
	l->facts.consumer = in->consumer_config != NULL;
	r = make_props(l, e);
	if (r == 0)
		r = read_all(l, in, e);
	if (r == 0)
		r = find_client(l, in, e);
	for (int i = 0; r == 0 && i < LINT_SCOPES; i++)
		r = check_names(l, (enum lint_scope)i, in->allow_unknown, e);
	if (r == 0 && l->client == LINT_RABBITMQ_C)
		return lint_rabbitmq_check(l, e);
	/* librdkafka checks its own */
	for (int i = l->client == LINT_JAVA ? 0 : LINT_TOPIC; r == 0 && i < LINT_SCOPES; i++)
		r = check_values(l, (enum lint_scope)i, e);
	return r;
}

void lint_release(struct lint *l)
{
	for (int i = 0; i < LINT_SCOPES; i++) {
		props_free(l->given[i]);
		props_free(l->from[i]);
	}
	for (size_t i = 0; all_props(l, i); i++)
		props_free(*all_props(l, i));
	memset(l, 0, sizeof(*l));
}

/* ---- topic and broker ------------------------------------------------------------------------ */

/* A topic's setting, and what the broker calls the default for it; worse: 1 the larger, -1 the smaller. */
static const struct topic_setting {
	const char *name;
	const char *broker[3]; /* the first that is set counts */
	int64_t unit[3];       /* of these, in the topic's */
	int worse;
} topic_settings[] = {
	{"min.insync.replicas", {"min.insync.replicas"}, {1}, -1},
	{"unclean.leader.election.enable", {"unclean.leader.election.enable"}, {1}, 1},
	{"cleanup.policy", {"log.cleanup.policy"}, {1}, 0},
	{"retention.ms", {"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
		{1, 60000, 3600000}, -1},
	{"retention.bytes", {"log.retention.bytes"}, {1}, -1},
	{"flush.messages", {"log.flush.interval.messages"}, {1}, 1},
	{"flush.ms", {"log.flush.interval.ms", "log.flush.scheduler.interval.ms"}, {1, 1}, 1},
};
#define N_TOPIC_SETTINGS (sizeof(topic_settings) / sizeof(topic_settings[0]))

/* The brokers' own, looked at by themselves. */
static const struct broker_setting {
	const char *name;
	int worse;
} broker_settings[] = {
	{"log.flush.scheduler.interval.ms", 1},
	{"offsets.topic.replication.factor", -1},
};
#define N_BROKER_SETTINGS (sizeof(broker_settings) / sizeof(broker_settings[0]))

/* What a broker's setting says, in the topic's unit. */
static void in_unit(const char *value, int64_t unit, char *ret, size_t len)
{
	int64_t v = strtoll(value, NULL, 10);

	if (unit == 1)
		snprintf(ret, len, "%s", value);
	else
		snprintf(ret, len, "%lld", (long long)(v < 0 ? v : v * unit));
}

static bool from_props(const struct props *p, const struct props *from,
	const struct topic_setting *s, char *ret, size_t len, const char **ret_from)
{
	for (size_t i = 0; i < 3 && s->broker[i]; i++) {
		const char *value = props_get(p, s->broker[i]);

		if (!value || !*value || strcmp(value, "null") == 0)
			continue;
		in_unit(value, s->unit[i], ret, len);
		*ret_from = props_get(from, s->broker[i]);
		return true;
	}
	return false;
}

/*
 * The user's word for the topic, then the topic's own, the user's for the brokers, what the cluster says of
 * both, and Kafka's default.
 */
static void settle_topic(struct lint *l, const struct topic_setting *s)
{
	const char *own = props_get(l->given[LINT_TOPIC], s->name);
	const char *told = props_get(l->told, s->name),
		   *told_from = props_get(l->told_from, s->name);
	const char *from = NULL;
	char value[80];
	bool on_topic = told && strcmp(told_from, broker_origin_text(BROKER_ORIGIN_TOPIC)) == 0;

	if (own) {
		lint_add(
			l, LINT_TOPIC, s->name, own, props_get(l->from[LINT_TOPIC], s->name), true);
	} else if (on_topic) {
		lint_add(l, LINT_TOPIC, s->name, told, told_from, true);
	} else if (from_props(l->given[LINT_BROKER], l->from[LINT_BROKER], s, value, sizeof(value),
			   &from)) {
		lint_add(l, LINT_TOPIC, s->name, value, from, true);
	} else if (told) {
		lint_add(l, LINT_TOPIC, s->name, told, told_from,
			strcmp(told_from, broker_origin_text(BROKER_ORIGIN_DEFAULT)) != 0);
	} else {
		lint_add(l, LINT_TOPIC, s->name, kafka_defs_find(KAFKA_DEFS_TOPIC, s->name)->dflt,
			"default of Kafka " KAFKA_DEFS_VERSION, false);
	}
}

static void settle_broker(struct lint *l, const char *name)
{
	const char *own = props_get(l->given[LINT_BROKER], name);
	const char *told = props_get(l->broker_told, name);

	if (own)
		lint_add(l, LINT_BROKER, name, own, props_get(l->from[LINT_BROKER], name), true);
	else if (told)
		lint_add(l, LINT_BROKER, name, told, props_get(l->broker_from, name),
			strcmp(props_get(l->broker_from, name),
				broker_origin_text(BROKER_ORIGIN_DEFAULT)) != 0);
	else
		lint_add(l, LINT_BROKER, name, kafka_defs_find(KAFKA_DEFS_BROKER, name)->dflt,
			"default of Kafka " KAFKA_DEFS_VERSION, false);
}

/* Clients cannot ask for features; new clusters of the version have this one on. */
static void settle_elr(struct lint *l)
{
	const char *own = props_get(l->given[LINT_BROKER], ELR);

	if (own)
		lint_add(l, LINT_BROKER, ELR, own, props_get(l->from[LINT_BROKER], ELR), true);
	else if (l->live)
		lint_add(l, LINT_BROKER, ELR, "unknown", "clients cannot ask; --broker-config says",
			false);
	else
		lint_add(l, LINT_BROKER, ELR, "1",
			"default of new clusters of Kafka " KAFKA_DEFS_VERSION, false);
	own = lint_find(l, LINT_BROKER, ELR)->value;
	l->facts.elr = *own == 'u' ? LINT_UNKNOWN : *own == '1' ? LINT_YES : LINT_NO;
}

static void settle_replication(struct lint *l)
{
	const char *broker = props_get(l->given[LINT_BROKER], "default.replication.factor");
	const char *told = props_get(l->told, REPLICATION);
	char value[24];

	if (l->replication) {
		snprintf(value, sizeof(value), "%d", l->replication);
		lint_add(l, LINT_TOPIC, REPLICATION, value, "--replication", true);
	} else if (told) {
		lint_add(l, LINT_TOPIC, REPLICATION, told, props_get(l->told_from, REPLICATION),
			true);
	} else if (broker) {
		lint_add(l, LINT_TOPIC, REPLICATION, broker,
			props_get(l->from[LINT_BROKER], "default.replication.factor"), true);
	} else {
		snprintf(value, sizeof(value), "%d", ASSUMED_REPLICATION);
		lint_add(l, LINT_TOPIC, REPLICATION, value, "assumed; --replication says", false);
	}
	l->facts.replication = (int)strtol(lint_find(l, LINT_TOPIC, REPLICATION)->value, NULL, 10);
}

static int64_t number(const struct lint *l, enum lint_scope scope, const char *name)
{
	return strtoll(lint_find(l, scope, name)->value, NULL, 10);
}

/* -1 means without a limit. */
static int64_t limit(const struct lint *l, const char *name)
{
	int64_t v = number(l, LINT_TOPIC, name);

	return v < 0 ? LINT_FOREVER : v;
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; *p; p += strspn(p, ", ")) {
		size_t len = strcspn(p, ", ");

		if (len == n && strncmp(p, word, n) == 0)
			return true;
		p += len;
	}
	return false;
}

static void topic_facts(struct lint *l)
{
	struct lint_facts *f = &l->facts;
	const char *policy = lint_find(l, LINT_TOPIC, "cleanup.policy")->value;
	int64_t scheduler = number(l, LINT_BROKER, "log.flush.scheduler.interval.ms");
	int64_t flush_ms = number(l, LINT_TOPIC, "flush.ms");

	f->min_insync = (int)number(l, LINT_TOPIC, "min.insync.replicas");
	f->unclean = strcasecmp(lint_find(l, LINT_TOPIC, "unclean.leader.election.enable")->value,
			     "true") == 0;
	f->compact = has_word(policy, "compact");
	f->removes = has_word(policy, "delete");
	f->retention_ms = limit(l, "retention.ms");
	f->retention_bytes = limit(l, "retention.bytes");
	f->flush_messages = number(l, LINT_TOPIC, "flush.messages");
	/* flush.ms is looked at each time that the scheduler runs, which by default is never */
	f->flush_ms = scheduler == LINT_FOREVER || flush_ms > LINT_FOREVER - scheduler
			      ? LINT_FOREVER
			      : flush_ms + scheduler;
	f->offsets_replication = (int)number(l, LINT_BROKER, "offsets.topic.replication.factor");
}

int lint_settle(struct lint *l, struct err *e)
{
	int r;

	if (l->client == LINT_RABBITMQ_C)
		return lint_rabbitmq_settle(l, e);
	r = l->client == LINT_JAVA ? lint_client_java(l, e) : lint_client_librdkafka(l, e);
	if (r == 0 && !l->facts.consumer)
		r = props_set(l->unseen, lint_scope_text(LINT_CONSUMER),
			"not looked at: --consumer-config", e);
	if (r)
		return r;
	settle_replication(l);
	for (size_t i = 0; i < N_TOPIC_SETTINGS; i++)
		settle_topic(l, &topic_settings[i]);
	for (size_t i = 0; i < N_BROKER_SETTINGS; i++)
		settle_broker(l, broker_settings[i].name);
	settle_elr(l);
	topic_facts(l);
	return 0;
}

/* ---- the cluster ----------------------------------------------------------------------------- */

struct asking {
	struct lint *l;
	struct err *e;
	int r;
};

/* Is a worse than b? Booleans: true is the larger. */
static bool is_worse(const char *a, const char *b, int worse)
{
	int64_t x = strcmp(a, "true") == 0 ? 1 : strtoll(a, NULL, 10);
	int64_t y = strcmp(b, "true") == 0 ? 1 : strtoll(b, NULL, 10);

	/* without a limit */
	if (worse < 0 && x < 0)
		x = INT64_MAX;
	if (worse < 0 && y < 0)
		y = INT64_MAX;
	return worse > 0 ? x > y : worse < 0 ? x < y : false;
}

/* Nodes may differ: the worse one counts, and a note says so. */
static void take_of_node(struct asking *a, int32_t node, const char *name, int worse,
	const char *value, const char *origin)
{
	struct lint *l = a->l;
	const char *before = props_get(l->broker_told, name);
	char note[400];

	if (before && strcmp(before, value) != 0) {
		bool now = is_worse(value, before, worse);

		snprintf(note, sizeof(note),
			"the brokers differ in %s: %s, and %s at broker %d; the rules take %s",
			name, before, value, node, now ? value : before);
		a->r = props_set(l->notes, name, note, a->e);
		if (a->r || !now)
			return;
	}
	a->r = props_set(l->broker_told, name, value, a->e);
	if (a->r == 0)
		a->r = props_set(l->broker_from, name, origin, a->e);
}

static void take_of_topic(struct asking *a, const char *name, const char *value, const char *origin)
{
	for (size_t i = 0; i < N_TOPIC_SETTINGS && a->r == 0; i++) {
		if (strcmp(topic_settings[i].name, name) != 0)
			continue;
		a->r = props_set(a->l->told, name, value, a->e);
		if (a->r == 0)
			a->r = props_set(a->l->told_from, name, origin, a->e);
	}
}

static void on_described(
	void *arg, int32_t node, const char *name, const char *value, enum broker_origin origin)
{
	struct asking *a = arg;
	const char *from = broker_origin_text(origin);

	if (a->r)
		return;
	if (node == BROKER_NO_NODE) {
		take_of_topic(a, name, value, from);
		return;
	}
	for (size_t i = 0; i < N_BROKER_SETTINGS && a->r == 0; i++)
		if (strcmp(broker_settings[i].name, name) == 0)
			take_of_node(a, node, name, broker_settings[i].worse, value, from);
	for (size_t i = 0; i < N_TOPIC_SETTINGS && a->r == 0; i++)
		for (size_t k = 0; k < 3 && topic_settings[i].broker[k] && a->r == 0; k++)
			/* the scheduler's stands in the other table, and is a default only */
			if (strcmp(topic_settings[i].broker[k], name) == 0 &&
				strcmp(name, "log.flush.scheduler.interval.ms") != 0)
				take_of_node(a, node, name, topic_settings[i].worse, value, from);
}

/* Where the topic itself says nothing, each node's own setting holds: the worst of them counts. */
static int worst_of_nodes(struct lint *l, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < N_TOPIC_SETTINGS && r == 0; i++) {
		const struct topic_setting *s = &topic_settings[i];
		const char *told = props_get(l->told, s->name), *from;
		char value[80];

		if (!told || strcmp(props_get(l->told_from, s->name),
				     broker_origin_text(BROKER_ORIGIN_TOPIC)) == 0)
			continue;
		if (!from_props(l->broker_told, l->broker_from, s, value, sizeof(value), &from))
			continue;
		/* the same: then the nodes know better where it was made (log.retention.hours) */
		if (strcmp(value, told) != 0 && !is_worse(value, told, s->worse))
			continue;
		r = props_set(l->told, s->name, value, e);
		if (r == 0)
			r = props_set(l->told_from, s->name, from, e);
	}
	return r;
}

/* The fewest replicas of any partition count. */
static int take_replication(struct lint *l, const struct broker_topic *topic, struct err *e)
{
	int least = INT32_MAX, most = 0, r;
	char text[200];

	for (size_t i = 0; i < topic->n_partitions; i++) {
		int n = topic->partition[i].replicas;

		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	snprintf(text, sizeof(text), "%d", least);
	r = props_set(l->told, REPLICATION, text, e);
	if (r == 0)
		r = props_set(
			l->told_from, REPLICATION, broker_origin_text(BROKER_ORIGIN_TOPIC), e);
	if (r || least == most)
		return r;
	snprintf(text, sizeof(text), "the partitions have %d to %d replicas; the rules take %d",
		least, most, least);
	return props_set(l->notes, REPLICATION, text, e);
}

int lint_ask(struct lint *l, const struct destination *d, struct err *e)
{
	struct asking a = {l, e, 0};
	struct broker_topic topic;
	int r;

	if (l->client == LINT_RABBITMQ_C)
		return lint_rabbitmq_ask(l, d, e);
	if (!(d->ops->caps & BROKER_CAP_SETTINGS))
		return err_set(
			e, ERR_USAGE, "the settings of %s:// cannot be asked for", d->ops->scheme);
	r = d->ops->topic(&d->config, &topic, e);
	if (r)
		return r;
	r = take_replication(l, &topic, e);
	if (r == 0)
		r = d->ops->describe(&d->config, topic.node, topic.n_nodes, on_described, &a, e);
	if (r == 0)
		r = a.r;
	broker_topic_free(&topic);
	if (r == ERR_DENIED)
		err_hint(e, "lint needs the permission to DescribeConfigs of the topic and of the "
			    "cluster (kafka-acls); or give --topic-config and --broker-config "
			    "without a URL");
	if (r == 0)
		r = worst_of_nodes(l, e);
	if (r == 0)
		l->live = true;
	return r;
}
