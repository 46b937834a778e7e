/* Kafka by librdkafka: the client instance that producers, readers and admin calls share. */
#include "core/broker/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/broker/kafka_props.h"
#include "core/broker/netns.h"
#include "core/clock.h"
#include "core/labfile.h"
#include "core/props.h"
#include "core/url.h"

struct fixed {
	const char *name;
	const char *value;
	bool user_may; /* the user's own value wins */
};

/* The statistics are how we learn of lost connections and retries; they change no promise. */
#define STATISTICS                                                                                 \
	{                                                                                          \
		"statistics.interval.ms", "250", true                                              \
	}

static const struct fixed producer_fixed[] = {STATISTICS, {NULL, NULL, false}};

/* What makes a reader a witness: everything by position, checked, never jumping by itself. */
#define WITNESS                                                                                    \
	{"auto.offset.reset", "error", false}, {"enable.auto.commit", "false", false},             \
		{"enable.auto.offset.store", "false", false},                                      \
		{"enable.partition.eof", "true", false}, {"check.crcs", "true", false}, STATISTICS

/*
 * How long a broker may hold back the answer to a fetch that finds nothing. One connection answers in
 * order: with the library's 500 ms a question for the log's ends, or a partition that is started later,
 * waits that long behind it.
 */
#define FETCH_WAIT(ms, user_may)                                                                   \
	{                                                                                          \
		"fetch.wait.max.ms", ms, user_may                                                  \
	}

static const struct fixed reader_fixed[] = {
	WITNESS,
	{"isolation.level", "read_uncommitted", false},
	/* below what one fetch brings, the library pauses for a second: a tenth of the rate */
	{"queued.min.messages", "1000000", true},
	{"fetch.error.backoff.ms", "50", true},
	FETCH_WAIT("100", true),
	{NULL, NULL, false},
};

static const struct fixed committed_fixed[] = {
	WITNESS,
	{"isolation.level", "read_committed", false},
	{"queued.min.messages", "1000000", true},
	{"fetch.error.backoff.ms", "50", true},
	FETCH_WAIT("100", true),
	{NULL, NULL, false},
};

static const struct fixed small_fixed[] = {
	WITNESS,
	{"isolation.level", "read_uncommitted", false},
	/* above what one fetch brings here too: what is queued of a position that was left counts */
	{"queued.min.messages", "100000", false},
	{"queued.max.messages.kbytes", "4096", false},
	{"fetch.message.max.bytes", "65536", false},
	{"fetch.error.backoff.ms", "50", false},
	FETCH_WAIT("10", false),
	{NULL, NULL, false},
};

static const struct fixed admin_fixed[] = {{NULL, NULL, false}};

static const struct fixed fence_fixed[] = {
	{"acks", "all", false},
	{"enable.idempotence", "true", false},
	{"linger.ms", "0", false},
	{NULL, NULL, false},
};

static const struct fixed *const fixed_of[] = {
	[KAFKA_PRODUCER] = producer_fixed,
	[KAFKA_READER] = reader_fixed,
	[KAFKA_COMMITTED_READER] = committed_fixed,
	[KAFKA_SMALL_READER] = small_fixed,
	[KAFKA_ADMIN] = admin_fixed,
	[KAFKA_FENCE] = fence_fixed,
};

/* ---- what a client hears ----------------------------------------------------------------------- */

void kafka_watch_health(struct kafka_watch *w, struct broker_health *ret)
{
	pthread_mutex_lock(&w->mutex);
	*ret = w->health;
	pthread_mutex_unlock(&w->mutex);
}

static uint64_t number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void add_node(struct kafka_watch *w, int32_t id, const char *name)
{
	const char *colon = strrchr(name, ':');
	struct broker_node *n = NULL;

	if (id < 0 || !colon)
		return;
	for (size_t i = 0; i < w->n_nodes; i++)
		if (w->node[i].id == id)
			n = &w->node[i];
	if (!n && w->n_nodes < sizeof(w->node) / sizeof(w->node[0]))
		n = &w->node[w->n_nodes++];
	if (!n)
		return;
	n->id = id;
	snprintf(n->host, sizeof(n->host), "%.*s", (int)(colon - name), name);
	n->port = (int)strtol(colon + 1, NULL, 10);
}

static void stats_brokers(struct kafka_watch *w, json_t *brokers, struct broker_health *sum)
{
	const char *key;
	json_t *b;

	json_object_foreach(brokers, key, b)
	{
		const char *name = json_string_value(json_object_get(b, "nodename"));
		int32_t id = (int32_t)json_integer_value(json_object_get(b, "nodeid"));

		sum->connects += number(b, "connects");
		sum->disconnects += number(b, "disconnects");
		sum->retries += number(b, "txretries");
		sum->timeouts += number(b, "req_timeouts");
		if (name && number(b, "connects") > 0)
			add_node(w, id, name);
	}
}

/* Remember the partitions' leaders; returns how many of them are others than before. */
static uint64_t stats_leaders(struct kafka_watch *w, json_t *topics)
{
	const char *topic, *key;
	json_t *t, *p;
	uint64_t changed = 0;

	json_object_foreach(topics, topic, t)
	{
		json_object_foreach(json_object_get(t, "partitions"), key, p)
		{
			json_int_t id = json_integer_value(json_object_get(p, "partition"));
			int32_t leader = (int32_t)json_integer_value(json_object_get(p, "leader"));

			if (id < 0 || id > 100000)
				continue;
			if ((size_t)id >= w->n_leaders) {
				int32_t *more =
					realloc(w->leader, ((size_t)id + 1) * sizeof(*more));

				if (!more)
					continue;
				w->leader = more;
				while (w->n_leaders <= (size_t)id)
					w->leader[w->n_leaders++] = BROKER_NO_NODE;
			}
			if (w->leader[id] != leader && w->leader[id] != BROKER_NO_NODE)
				changed++;
			w->leader[id] = leader;
		}
	}
	return changed;
}

void kafka_watch_stats(struct kafka_watch *w, const char *json, size_t len)
{
	json_t *root = json_loadb(json, len, 0, NULL);
	struct broker_health sum = {0};
	uint64_t changed;

	if (!root)
		return;
	pthread_mutex_lock(&w->mutex);
	stats_brokers(w, json_object_get(root, "brokers"), &sum);
	changed = stats_leaders(w, json_object_get(root, "topics"));
	if (sum.disconnects > w->health.disconnects)
		changed += sum.disconnects - w->health.disconnects;
	w->health.connects = sum.connects;
	w->health.disconnects = sum.disconnects;
	w->health.retries = sum.retries;
	w->health.timeouts = sum.timeouts;
	w->health.changes += changed;
	w->health.snapshots++;
	pthread_mutex_unlock(&w->mutex);
	json_decref(root);
}

static int on_stats(rd_kafka_t *rk, char *json, size_t len, void *opaque)
{
	struct kafka_client *c = opaque;

	(void)rk;
	kafka_watch_stats(&c->watch, json, len);
	return 0; /* the library frees the text */
}

static void on_error(rd_kafka_t *rk, int code, const char *text, void *opaque)
{
	struct kafka_client *c = opaque;

	(void)rk;
	kafka_watch_error(&c->watch, code, text);
}

/* The library logs each refused connect at level 3, twenty lines a second: not for people. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)text;
}

/* ---- properties -------------------------------------------------------------------------------- */

static int set_property(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
	char text[256];

	switch (rd_kafka_conf_set(conf, name, value, text, sizeof(text))) {
	case RD_KAFKA_CONF_OK:
		return 0;
	case RD_KAFKA_CONF_UNKNOWN:
		err_set(e, ERR_USAGE, "librdkafka %s has no property '%s'", rd_kafka_version_str(),
			name);
		return err_hint(e,
			"names are those of librdkafka's CONFIGURATION.md; Java's names are "
			"understood in properties files");
	default:
		text[strcspn(text, "\n")] = '\0';
		err_set(e, ERR_USAGE, "property '%s': %s", name, text);
		return err_hint(
			e, "librdkafka's CONFIGURATION.md has the values that a property can take");
	}
}

/* Does a user's property belong to this role at all? */
static bool wanted(enum kafka_client_role role, const char *name)
{
	if (role == KAFKA_PRODUCER)
		return true;
	if (role != KAFKA_ADMIN && role != KAFKA_FENCE)
		return strcmp(name, "group.id") != 0 && strcmp(name, "client.rack") != 0;
	return kafka_props_is_connection(name) || strcmp(name, "client.id") == 0;
}

static int set_all(rd_kafka_conf_t *conf, const struct props *props, enum kafka_client_role role,
	const char *skip, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && props && i < props_count(props); i++) {
		const char *name = props_name(props, i);

		if (!wanted(role, name) || (skip && strcmp(name, skip) == 0))
			continue;
		r = set_property(conf, name, props_value(props, i), e);
	}
	return r;
}

static int set_fixed(rd_kafka_conf_t *conf, const struct props *props, enum kafka_client_role role,
	struct err *e)
{
	int r = 0;

	for (const struct fixed *f = fixed_of[role]; r == 0 && f->name; f++) {
		if (f->user_may && props && props_get(props, f->name))
			continue;
		r = set_property(conf, f->name, f->value, e);
	}
	return r;
}

static bool names_security(const struct props *props)
{
	return props &&
	       (props_get(props, "security.protocol") || props_get(props, "sasl.username"));
}

/* What one answer may bring: librdkafka takes no less than the largest message. */
static size_t answer_bytes(const rd_kafka_conf_t *conf, size_t read_ahead)
{
	char text[32] = "";
	size_t len = sizeof(text), largest = 0;

	if (rd_kafka_conf_get(conf, "message.max.bytes", text, &len) == RD_KAFKA_CONF_OK)
		largest = strtoull(text, NULL, 10);
	return read_ahead / 4 > largest ? read_ahead / 4 : largest;
}

/*
 * How much a reader may hold ready, where it is to hold less than the library would: when it is full, and what
 * one answer may bring on top of that.
 */
static int set_read_ahead(rd_kafka_conf_t *conf, const struct broker_config *c,
	enum kafka_client_role role, struct err *e)
{
	const struct {
		const char *name;
		size_t value;
	} setting[] = {{"queued.max.messages.kbytes", c->read_ahead / 1024},
		{"fetch.max.bytes", answer_bytes(conf, c->read_ahead)}};
	char value[24];
	int r = 0;

	if (!c->read_ahead || (role != KAFKA_READER && role != KAFKA_COMMITTED_READER))
		return 0;
	for (size_t i = 0; r == 0 && i < 2; i++) {
		if (c->props && props_get(c->props, setting[i].name))
			continue;
		snprintf(value, sizeof(value), "%zu", setting[i].value);
		r = set_property(conf, setting[i].name, value, e);
	}
	return r;
}

/* Bootstrap, and for a secure lab its administrator's credentials unless the user brings his own. */
static int set_hosts(rd_kafka_conf_t *conf, const struct broker_config *c,
	enum kafka_client_role role, const struct labfile *lab, const char *hosts, struct err *e)
{
	struct props *admin = NULL;
	int r = 0;

	if (lab && lab->secure && !names_security(c->props)) {
		admin = props_new();
		r = admin ? props_read_file(lab->client_config, admin, e)
			  : err_set(e, ERR_NOMEM, "out of memory");
		if (r == 0)
			r = set_all(conf, admin, role, "bootstrap.servers", e);
		props_free(admin);
	}
	if (!hosts)
		hosts = lab ? lab->bootstrap : c->url->hosts;
	return r ? r : set_property(conf, "bootstrap.servers", hosts, e);
}

static int make_conf(struct kafka_client *client, const struct broker_config *c,
	enum kafka_client_role role, const struct labfile *lab, const char *hosts,
	rd_kafka_conf_t **ret, struct err *e)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	bool sends = role == KAFKA_PRODUCER || role == KAFKA_FENCE;
	int r = 0;

	rd_kafka_conf_set_opaque(conf, client);
	rd_kafka_conf_set_log_cb(conf, on_log);
	if (sends) {
		rd_kafka_conf_set_events(
			conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS);
	} else {
		rd_kafka_conf_set_error_cb(conf, on_error);
		rd_kafka_conf_set_stats_cb(conf, on_stats);
	}
	if (c->client_id)
		r = set_property(conf, "client.id", c->client_id, e);
	if (r == 0)
		r = set_all(conf, c->props, role, NULL, e);
	if (r == 0)
		r = set_fixed(conf, c->props, role, e);
	if (r == 0)
		r = set_read_ahead(conf, c, role, e);
	if (r == 0)
		r = set_hosts(conf, c, role, lab, hosts, e);
	if (r) {
		rd_kafka_conf_destroy(conf);
		return r;
	}
	*ret = conf;
	return 0;
}

static int make_instance(struct kafka_client *client, enum kafka_client_role role,
	rd_kafka_conf_t *conf, const char *netns, struct err *e)
{
	bool sends = role == KAFKA_PRODUCER || role == KAFKA_FENCE;
	char text[512];
	int before = -1;
	int r = 0;

	/* the library's threads are born of the thread that calls rd_kafka_new() and of each other */
	r = netns_enter(netns, &before, e);
	if (r) {
		rd_kafka_conf_destroy(conf);
		return r;
	}
	client->rk = rd_kafka_new(
		sends ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	netns_leave(before);
	if (!client->rk) {
		rd_kafka_conf_destroy(conf);
		err_set(e, ERR_USAGE, "the Kafka client does not start: %s", text);
		return err_hint(e,
			"the properties given with -X or in a properties file are the usual reason");
	}
	return 0;
}

int kafka_client_open(const struct broker_config *c, enum kafka_client_role role, const char *hosts,
	struct kafka_client *client, struct err *e)
{
	struct labfile *lab = NULL;
	rd_kafka_conf_t *conf;
	int r = 0;

	memset(client, 0, sizeof(*client));
	pthread_mutex_init(&client->watch.mutex, NULL);
	client->timeout_ns = c->timeout_ns;
	client->stop = c->stop;
	if (c->url->lab[0])
		r = labfile_read(c->url->lab, "kafka", &lab, e);
	if (r == 0)
		r = make_conf(client, c, role, lab, hosts, &conf, e);
	if (r == 0)
		r = make_instance(client, role, conf,
			lab && lab->client_netns[0] ? lab->client_netns : NULL, e);
	if (r == 0 && role != KAFKA_ADMIN) {
		client->topic = rd_kafka_topic_new(client->rk, c->url->name, NULL);
		if (!client->topic)
			r = kafka_error(client, rd_kafka_last_error(), "the topic handle", e);
	}
	snprintf(client->topic_name, sizeof(client->topic_name), "%s", c->url->name);
	labfile_free(lab);
	if (r)
		kafka_client_close(client);
	return r;
}

void kafka_client_close(struct kafka_client *c)
{
	if (c->topic)
		rd_kafka_topic_destroy(c->topic);
	if (c->rk)
		rd_kafka_destroy(c->rk);
	free(c->watch.leader);
	pthread_mutex_destroy(&c->watch.mutex);
	memset(c, 0, sizeof(*c));
}

void kafka_client_serve(struct kafka_client *c)
{
	rd_kafka_poll(c->rk, 0);
}

/* ---- settings ---------------------------------------------------------------------------------- */

static void give_settings(const char **dump, size_t n, broker_setting_fn *fn, void *arg)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		fn(arg, dump[i], props_is_secret(dump[i]) ? PROPS_HIDDEN : dump[i + 1]);
	rd_kafka_conf_dump_free(dump, n);
}

void kafka_settings(struct kafka_client *c, broker_setting_fn *fn, void *arg)
{
	rd_kafka_topic_conf_t *topic = rd_kafka_default_topic_conf_dup(c->rk);
	const char **dump;
	size_t n;

	dump = rd_kafka_conf_dump((rd_kafka_conf_t *)(uintptr_t)rd_kafka_conf(c->rk), &n);
	give_settings(dump, n, fn, arg);
	dump = rd_kafka_topic_conf_dump(topic, &n);
	give_settings(dump, n, fn, arg);
	rd_kafka_topic_conf_destroy(topic);
}

bool kafka_setting(struct kafka_client *c, const char *name, char *ret, size_t len)
{
	rd_kafka_topic_conf_t *topic;
	bool found;

	if (rd_kafka_conf_get(rd_kafka_conf(c->rk), name, ret, &len) == RD_KAFKA_CONF_OK)
		return true;
	topic = rd_kafka_default_topic_conf_dup(c->rk);
	found = rd_kafka_topic_conf_get(topic, name, ret, &len) == RD_KAFKA_CONF_OK;
	rd_kafka_topic_conf_destroy(topic);
	return found;
}

/* The user's properties on fresh configurations; what is for connecting goes into one by itself. */
static int set_for_settings(rd_kafka_conf_t *conf, rd_kafka_conf_t *connection,
	const struct props *props, const char **ret_bad, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < props_count(props); i++) {
		const char *name = props_name(props, i);

		r = set_property(kafka_props_is_connection(name) ? connection : conf, name,
			props_value(props, i), e);
		if (r)
			*ret_bad = name;
	}
	return r;
}

/*
 * A client without bootstrap servers connects nowhere. Certificates and the like are looked at when a client
 * is made, so what is for connecting is checked by itself and left out.
 */
static int client_settings(const struct props *props, enum broker_client kind,
	const char *const *names, broker_setting_fn *fn, void *arg, const char **ret_bad,
	struct err *e)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new(), *connection = rd_kafka_conf_new();
	struct kafka_client client = {0};
	char text[512];
	int r;

	*ret_bad = NULL;
	rd_kafka_conf_set_log_cb(conf, on_log);
	r = set_for_settings(conf, connection, props, ret_bad, e);
	/* a consumer without a group has no group's settings to check */
	if (r == 0 && kind == BROKER_CLIENT_CONSUMER && !props_get(props, "group.id"))
		r = set_property(conf, "group.id", "lint", e);
	if (r == 0) {
		client.rk = rd_kafka_new(
			kind == BROKER_CLIENT_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER,
			conf, text, sizeof(text));
		if (client.rk)
			conf = NULL;
		else
			r = err_set(e, ERR_USAGE, "the Kafka client does not start: %s", text);
	}
	if (r == 0) {
		for (; *names; names++)
			if (kafka_setting(&client, *names, text, sizeof(text)))
				fn(arg, *names, props_is_secret(*names) ? PROPS_HIDDEN : text);
		rd_kafka_destroy(client.rk);
	}
	if (conf)
		rd_kafka_conf_destroy(conf);
	rd_kafka_conf_destroy(connection);
	return r;
}

/* Some names librdkafka has only to say that they are Java's: they are none of its own. */
static bool client_knows(const char *name)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[512] = "";
	rd_kafka_conf_res_t r = rd_kafka_conf_set(conf, name, NULL, text, sizeof(text));

	rd_kafka_conf_destroy(conf);
	return r == RD_KAFKA_CONF_OK ||
	       (r == RD_KAFKA_CONF_INVALID && strncmp(text, "Java ", 5) != 0);
}

static const char *library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "librdkafka %s", rd_kafka_version_str());
	return text;
}

static const char *code_text(int code)
{
	return rd_kafka_err2str((rd_kafka_resp_err_t)code);
}

static int props_translate(const struct props *in, enum broker_role role, struct props *out,
	struct props *warnings, struct err *e)
{
	static const enum kafka_role roles[] = {
		[BROKER_ROLE_PRODUCER] = KAFKA_ROLE_PRODUCER,
		[BROKER_ROLE_CONSUMER] = KAFKA_ROLE_CONSUMER,
		[BROKER_ROLE_OTHER] = KAFKA_ROLE_OTHER,
	};

	return kafka_props_translate(in, roles[role], out, warnings, e);
}

static const char *const schemes[] = {"kafka", NULL};

const struct broker_ops broker_kafka = {
	.scheme = "kafka",
	.schemes = schemes,
	.caps = BROKER_CAP_POSITIONS | BROKER_CAP_PARTITIONS | BROKER_CAP_TRANSACTIONS |
		BROKER_CAP_FENCE | BROKER_CAP_KEYS | BROKER_CAP_SETTINGS,
	.password = "sasl.password",
	.library = library,
	.code_text = code_text,
	.props_translate = props_translate,
	.props_is_connection = kafka_props_is_connection,
	.topic = kafka_topic,
	.create = kafka_create,
	.destroy = kafka_destroy,
	.topic_settings = kafka_topic_settings,
	.describe = kafka_describe,
	.client_settings = client_settings,
	.client_knows = client_knows,
	.live_groups = kafka_live_groups,
	.node_answers = kafka_node_answers,
	.producer_open = kafka_producer_open,
	.producer_settings = kafka_producer_settings,
	.producer_capacity = kafka_producer_capacity,
	.producer_window = kafka_producer_window,
	.producer_send = kafka_producer_send,
	.producer_poll = kafka_producer_poll,
	.producer_purge = kafka_producer_purge,
	.producer_fatal = kafka_producer_fatal,
	.producer_health = kafka_producer_health,
	.producer_nodes = kafka_producer_nodes,
	.txn_init = kafka_txn_init,
	.txn_begin = kafka_txn_begin,
	.txn_end = kafka_txn_end,
	.producer_close = kafka_producer_close,
	.reader_open = kafka_reader_open,
	.reader_start = kafka_reader_start,
	.reader_stop = kafka_reader_stop,
	.reader_read = kafka_reader_read,
	.reader_release = kafka_reader_release,
	.reader_bounds = kafka_reader_bounds,
	.reader_health = kafka_reader_health,
	.reader_close = kafka_reader_close,
	.fence = kafka_fence,
};
