#include "core/broker/kafka_ping.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "core/clock.h"
#include "core/paths.h"

#define PROPERTIES_MAX 65536

struct ask {
	const struct kafka_ping *ping;
	struct kafka_view *view;
	struct err *e;
	pthread_mutex_t mutex; /* guards the two below: librdkafka's threads report errors */
	char why[256];         /* the last error of the client */
	int denied;
};

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct ask *a = opaque;

	(void)rk;
	pthread_mutex_lock(&a->mutex);
	snprintf(a->why, sizeof(a->why), "%s", reason);
	if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
		a->denied = 1;
	pthread_mutex_unlock(&a->mutex);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)text;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return 0;
	return err_set(e, ERR_FORMAT, "Kafka client property '%s': %s", name, why);
}

static int set_from_file(rd_kafka_conf_t *conf, const char *path, struct err *e)
{
	char *text = NULL, *save = NULL;
	int r = paths_read_file(path, PROPERTIES_MAX, &text, NULL, e);

	for (char *line = r ? NULL : strtok_r(text, "\n", &save); line && r == 0;
		line = strtok_r(NULL, "\n", &save)) {
		char *equals = strchr(line, '=');

		if (*line == '#' || *line == '\0')
			continue;
		if (!equals) {
			r = err_set(e, ERR_FORMAT, "'%s': a line is not 'name=value'", path);
			break;
		}
		*equals = '\0';
		if (strcmp(line, "bootstrap.servers") != 0)
			r = set(conf, line, equals + 1, e);
	}
	free(text);
	return r;
}

static int configure(rd_kafka_conf_t *conf, struct ask *a)
{
	int r = 0;

	if (a->ping->properties)
		r = set_from_file(conf, a->ping->properties, a->e);
	if (r == 0)
		r = set(conf, "bootstrap.servers", a->ping->bootstrap, a->e);
	if (r == 0)
		r = set(conf, "client.id", "mqaudit-lab", a->e);
	/* a node that is just starting should be found at once, not after the default's 10 s */
	if (r == 0)
		r = set(conf, "reconnect.backoff.ms", "20", a->e);
	if (r == 0)
		r = set(conf, "reconnect.backoff.max.ms", "100", a->e);
	rd_kafka_conf_set_opaque(conf, a);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_log_cb(conf, on_log);
	return r;
}

static void keep_partition(
	const rd_kafka_metadata_partition_t *from, struct kafka_ping_partition *to)
{
	size_t max = sizeof(to->isr) / sizeof(to->isr[0]);

	to->id = from->id;
	to->leader = from->leader;
	for (int i = 0; i < from->isr_cnt && to->n_isr < max; i++)
		to->isr[to->n_isr++] = from->isrs[i];
}

static int keep_topic(const rd_kafka_metadata_topic_t *topic, struct ask *a)
{
	if (topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		return err_set(a->e, ERR_NOTFOUND, "there is no topic '%s'", topic->topic);
	if (topic->err && topic->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
		return err_set(a->e, ERR_BROKER, "topic '%s': %s", topic->topic,
			rd_kafka_err2str(topic->err));
	for (int i = 0; i < topic->partition_cnt && a->view->n_partitions < KAFKA_PING_MAX; i++)
		keep_partition(&topic->partitions[i], &a->view->partition[a->view->n_partitions++]);
	return 0;
}

static void count_topic(const rd_kafka_metadata_topic_t *topic, struct ask *a)
{
	for (int i = 0; i < topic->partition_cnt; i++) {
		const rd_kafka_metadata_partition_t *p = &topic->partitions[i];

		a->view->n_led += p->leader == a->ping->about;
		for (int k = 0; k < p->isr_cnt; k++)
			a->view->n_in_sync += p->isrs[k] == a->ping->about;
	}
}

static int keep(rd_kafka_t *rk, const struct rd_kafka_metadata *md, struct ask *a)
{
	a->view->from = md->orig_broker_id;
	a->view->controller = rd_kafka_controllerid(rk, 0);
	for (int i = 0; i < md->broker_cnt && a->view->n_brokers < KAFKA_PING_MAX; i++)
		a->view->broker[a->view->n_brokers++] = md->brokers[i].id;
	for (int i = 0; a->ping->count && i < md->topic_cnt; i++)
		count_topic(&md->topics[i], a);
	if (!a->ping->topic)
		return 0;
	if (md->topic_cnt != 1)
		return err_set(a->e, ERR_BROKER, "the broker described %d topics instead of '%s'",
			md->topic_cnt, a->ping->topic);
	return keep_topic(&md->topics[0], a);
}

static int no_answer(struct ask *a, rd_kafka_resp_err_t code)
{
	int r;

	pthread_mutex_lock(&a->mutex);
	if (a->denied)
		r = err_set(
			a->e, ERR_DENIED, "%s does not let us in: %s", a->ping->bootstrap, a->why);
	else
		r = err_set(a->e, ERR_BROKER_AWAY, "%s does not answer: %s", a->ping->bootstrap,
			a->why[0] ? a->why : rd_kafka_err2str(code));
	pthread_mutex_unlock(&a->mutex);
	return r;
}

static int ask(struct ask *a)
{
	const struct rd_kafka_metadata *md = NULL;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_t *topic = NULL;
	rd_kafka_resp_err_t code;
	rd_kafka_t *rk = NULL;
	char why[256];
	int r = configure(conf, a);

	if (r)
		goto out;
	/* a consumer never makes a topic by asking for it */
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (!rk) {
		r = err_set(a->e, ERR_FORMAT, "cannot make a Kafka client: %s", why);
		goto out;
	}
	conf = NULL; /* the client's now */
	if (a->ping->topic)
		topic = rd_kafka_topic_new(rk, a->ping->topic, NULL);
	if (a->ping->topic && !topic) {
		r = err_set(a->e, ERR_USAGE, "'%s' cannot be a topic: %s", a->ping->topic,
			rd_kafka_err2str(rd_kafka_last_error()));
		goto out;
	}
	code = rd_kafka_metadata(
		rk, a->ping->count, topic, &md, (int)(a->ping->timeout_ns / NS_PER_MS));
	rd_kafka_poll(rk, 0); /* runs on_error for what has happened */
	r = code ? no_answer(a, code) : keep(rk, md, a);
out:
	if (md)
		rd_kafka_metadata_destroy(md);
	if (topic)
		rd_kafka_topic_destroy(topic);
	if (rk)
		rd_kafka_destroy(rk);
	if (conf)
		rd_kafka_conf_destroy(conf);
	return r;
}

static void *ask_main(void *arg)
{
	struct ask *a = arg;

	if (a->ping->netns_fd >= 0 && setns(a->ping->netns_fd, CLONE_NEWNET) != 0) {
		err_set_errno(a->e, ERR_IO, errno, "cannot enter the network namespace");
		return NULL;
	}
	if (ask(a) == 0)
		err_clear(a->e);
	return NULL;
}

void kafka_ping_each(
	const struct kafka_ping *ping, size_t n, struct kafka_view *ret_view, struct err *ret_err)
{
	struct ask *asks = calloc(n, sizeof(*asks));
	pthread_t *threads = calloc(n, sizeof(*threads));
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	for (size_t i = 0; i < n; i++) {
		memset(&ret_view[i], 0, sizeof(ret_view[i]));
		err_set(&ret_err[i], ERR_NOMEM, "cannot start a thread");
		if (!asks || !threads)
			continue;
		asks[i] = (struct ask){.ping = &ping[i], .view = &ret_view[i], .e = &ret_err[i]};
		pthread_mutex_init(&asks[i].mutex, NULL);
		if (pthread_create(&threads[i], NULL, ask_main, &asks[i]) != 0)
			asks[i].ping = NULL;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	for (size_t i = 0; asks && threads && i < n; i++) {
		if (asks[i].ping)
			pthread_join(threads[i], NULL);
		pthread_mutex_destroy(&asks[i].mutex);
	}
	free(threads);
	free(asks);
}

bool kafka_ping_scram_works(int broker_major)
{
	return broker_major < 4 || rd_kafka_version() >= 0x020601ff;
}
