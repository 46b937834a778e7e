/* Questions and orders around a topic: metadata, creation, settings, groups, does a node answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/broker/kafka.h"
#include "core/clock.h"
#include "core/url.h"

static int ms(int64_t ns)
{
	return (int)(ns / NS_PER_MS);
}

static void copy_metadata(const rd_kafka_metadata_t *md, struct broker_topic *ret)
{
	const rd_kafka_metadata_topic_t *t = &md->topics[0];

	for (int i = 0; i < md->broker_cnt; i++) {
		struct broker_node *n = &ret->node[ret->n_nodes++];

		n->id = md->brokers[i].id;
		n->port = md->brokers[i].port;
		snprintf(n->host, sizeof(n->host), "%s", md->brokers[i].host);
	}
	for (int i = 0; i < t->partition_cnt; i++) {
		const rd_kafka_metadata_partition_t *p = &t->partitions[i];

		if (p->id < 0 || p->id >= t->partition_cnt)
			continue;
		ret->partition[p->id] = (struct broker_partition){
			.id = p->id,
			.leader = p->leader,
			.replicas = p->replica_cnt,
			.in_sync = p->isr_cnt,
		};
	}
	ret->n_partitions = (size_t)t->partition_cnt;
}

static int take_metadata(struct kafka_client *client, const rd_kafka_metadata_t *md,
	struct broker_topic *ret, struct err *e)
{
	const rd_kafka_metadata_topic_t *t;

	if (md->topic_cnt < 1)
		return err_set(e, ERR_NOTFOUND, "the cluster does not know topic '%s'",
			client->topic_name);
	t = &md->topics[0];
	if (t->err && t->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
		int r = kafka_error(client, t->err, "the question for the topic", e);

		if (r == ERR_NOTFOUND) {
			err_set(e, r, "topic '%s' does not exist", client->topic_name);
			err_hint(e, "make it with --create-topic PARTITIONS[:REPLICATION]");
		} else {
			err_wrap(e, "topic '%s'", client->topic_name);
		}
		return r;
	}
	if (t->partition_cnt == 0)
		return err_set(
			e, ERR_BROKER_AWAY, "topic '%s' has no partitions yet", client->topic_name);
	ret->node = calloc((size_t)md->broker_cnt + 1, sizeof(*ret->node));
	ret->partition = calloc((size_t)t->partition_cnt, sizeof(*ret->partition));
	if (!ret->node || !ret->partition) {
		broker_topic_free(ret);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	copy_metadata(md, ret);
	return 0;
}

int kafka_topic(const struct broker_config *c, struct broker_topic *ret, struct err *e)
{
	const rd_kafka_metadata_t *md = NULL;
	struct kafka_client client;
	rd_kafka_resp_err_t code;
	int64_t deadline = clock_ns() + c->timeout_ns;
	char *cluster;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = kafka_client_open(c, KAFKA_SMALL_READER, NULL, &client, e);
	if (r)
		return r;
	/* in short steps, so that wrong credentials are said at once and not after the whole wait */
	do {
		int left = clock_left_ms(deadline);

		code = rd_kafka_metadata(
			client.rk, 0, client.topic, &md, left < 1000 ? left : 1000);
		kafka_client_serve(&client);
	} while ((code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT) &&
		 !client.watch.denied && clock_ns() < deadline &&
		 !kafka_stopped(&client, "the question for the topic", e));
	if (code && c->stop && *c->stop)
		r = ERR_STOPPED;
	else if (code)
		r = kafka_error(&client, code, "the question for the topic", e);
	else
		r = take_metadata(&client, md, ret, e);
	if (r == 0) {
		ret->caps = broker_kafka.caps;
		cluster = rd_kafka_clusterid(client.rk, 0);
		if (cluster) {
			snprintf(ret->cluster_id, sizeof(ret->cluster_id), "%s", cluster);
			rd_kafka_mem_free(client.rk, cluster);
		}
	}
	if (md)
		rd_kafka_metadata_destroy(md);
	kafka_client_close(&client);
	return r;
}

/* "1:2:3,2:3:1" into the new topic. */
static int set_assignment(
	rd_kafka_NewTopic_t *topic, const char *text, int partitions, struct err *e)
{
	char why[256];
	const char *p = text;

	for (int32_t partition = 0; partition < partitions; partition++) {
		int32_t node[64];
		size_t n = 0;
		char *end;

		for (;;) {
			node[n++] = (int32_t)strtol(p, &end, 10);
			if (end == p || n == 64)
				return err_set(e, ERR_USAGE,
					"replica assignment '%s' is not like 1:2:3,2:3:1", text);
			p = end;
			if (*p != ':')
				break;
			p++;
		}
		if (rd_kafka_NewTopic_set_replica_assignment(
			    topic, partition, node, n, why, sizeof(why)))
			return err_set(e, ERR_USAGE, "replica assignment '%s': %s", text, why);
		if (*p == ',' && partition + 1 < partitions)
			p++;
		else if (*p || partition + 1 < partitions)
			return err_set(e, ERR_USAGE,
				"replica assignment '%s' does not have %d partitions", text,
				partitions);
	}
	return 0;
}

static int new_topic(const struct broker_config *c, const struct broker_create *how,
	rd_kafka_NewTopic_t **ret, struct err *e)
{
	char why[256];
	int r = 0;

	*ret = rd_kafka_NewTopic_new(c->url->name, how->partitions,
		how->assignment ? -1 : how->replication, why, sizeof(why));
	if (!*ret)
		return err_set(e, ERR_USAGE, "topic '%s': %s", c->url->name, why);
	if (how->assignment)
		r = set_assignment(*ret, how->assignment, how->partitions, e);
	for (size_t i = 0; r == 0 && how->config && how->config[i]; i += 2) {
		if (rd_kafka_NewTopic_set_config(*ret, how->config[i], how->config[i + 1]))
			r = err_set(
				e, ERR_USAGE, "topic setting '%s' is not accepted", how->config[i]);
	}
	if (r) {
		rd_kafka_NewTopic_destroy(*ret);
		*ret = NULL;
	}
	return r;
}

/* Wait for one admin result; the caller destroys the event. */
static int admin_result(struct kafka_client *client, rd_kafka_queue_t *queue, const char *what,
	rd_kafka_event_t **ret, struct err *e)
{
	int64_t deadline = clock_ns() + client->timeout_ns;
	rd_kafka_event_t *ev = NULL;

	while (!ev && clock_ns() < deadline) {
		int left = clock_left_ms(deadline);

		ev = rd_kafka_queue_poll(queue, left < 500 ? left : 500);
		kafka_client_serve(client);
		if (!ev && client->watch.denied)
			break;
		if (!ev && kafka_stopped(client, what, e))
			return ERR_STOPPED;
	}
	if (!ev)
		return kafka_error(client, RD_KAFKA_RESP_ERR__TIMED_OUT, what, e);
	if (rd_kafka_event_error(ev)) {
		int r = kafka_error(client, rd_kafka_event_error(ev), what, e);

		rd_kafka_event_destroy(ev);
		return r;
	}
	*ret = ev;
	return 0;
}

static int create_answer(
	struct kafka_client *client, const rd_kafka_CreateTopics_result_t *result, struct err *e)
{
	const rd_kafka_topic_result_t **topics;
	size_t n;
	rd_kafka_resp_err_t code;
	int r;

	topics = rd_kafka_CreateTopics_result_topics(result, &n);
	code = n ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR__FAIL;
	if (!code)
		return 0;
	r = kafka_error(client, code, "creation of the topic", e);
	if (e && n && rd_kafka_topic_result_error_string(topics[0])) {
		const char *why = rd_kafka_topic_result_error_string(topics[0]);
		int len = (int)strlen(why);

		snprintf(e->msg, sizeof(e->msg), "cannot create topic '%s': %.*s",
			client->topic_name, len && why[len - 1] == '.' ? len - 1 : len, why);
	}
	if (r == ERR_DENIED)
		err_hint(e,
			"the user lacks the permission to Create it (kafka-acls); or use a topic "
			"that is there, without --create-topic");
	return r;
}

int kafka_create(const struct broker_config *c, const struct broker_create *how, struct err *e)
{
	struct kafka_client client = {0};
	rd_kafka_NewTopic_t *topic = NULL;
	rd_kafka_AdminOptions_t *options = NULL;
	rd_kafka_queue_t *queue = NULL;
	rd_kafka_event_t *ev = NULL;
	char why[128];
	int r;

	r = new_topic(c, how, &topic, e);
	if (r)
		return r;
	r = kafka_client_open(c, KAFKA_ADMIN, NULL, &client, e);
	if (r) {
		rd_kafka_NewTopic_destroy(topic);
		return r;
	}
	queue = rd_kafka_queue_new(client.rk);
	options = rd_kafka_AdminOptions_new(client.rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_AdminOptions_set_request_timeout(options, ms(c->timeout_ns), why, sizeof(why));
	rd_kafka_AdminOptions_set_operation_timeout(options, ms(c->timeout_ns), why, sizeof(why));
	rd_kafka_CreateTopics(client.rk, &topic, 1, options, queue);
	r = admin_result(&client, queue, "creation of the topic", &ev, e);
	if (r == 0) {
		r = create_answer(&client, rd_kafka_event_CreateTopics_result(ev), e);
		rd_kafka_event_destroy(ev);
	}
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy(topic);
	kafka_client_close(&client);
	return r;
}

static int destroy_answer(
	struct kafka_client *client, const rd_kafka_DeleteTopics_result_t *result, struct err *e)
{
	const rd_kafka_topic_result_t **topics;
	rd_kafka_resp_err_t code;
	size_t n;

	topics = rd_kafka_DeleteTopics_result_topics(result, &n);
	code = n ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR__FAIL;
	return code ? kafka_error(client, code, "removal of the topic", e) : 0;
}

int kafka_destroy(const struct broker_config *c, struct err *e)
{
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(c->url->name);
	struct kafka_client client = {0};
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *ev = NULL;
	int r = kafka_client_open(c, KAFKA_ADMIN, NULL, &client, e);

	if (r) {
		rd_kafka_DeleteTopic_destroy(topic);
		return r;
	}
	queue = rd_kafka_queue_new(client.rk);
	rd_kafka_DeleteTopics(client.rk, &topic, 1, NULL, queue);
	r = admin_result(&client, queue, "removal of the topic", &ev, e);
	if (r == 0) {
		r = destroy_answer(&client, rd_kafka_event_DeleteTopics_result(ev), e);
		rd_kafka_event_destroy(ev);
	}
	rd_kafka_queue_destroy(queue);
	rd_kafka_DeleteTopic_destroy(topic);
	kafka_client_close(&client);
	return r;
}

static enum broker_origin origin_of(const rd_kafka_ConfigEntry_t *entry)
{
	switch (rd_kafka_ConfigEntry_source(entry)) {
	case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG:
		return BROKER_ORIGIN_TOPIC;
	case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG:
	case RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG:
		return BROKER_ORIGIN_NODE;
	case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG:
		return BROKER_ORIGIN_ALL_NODES;
	case RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG:
		return BROKER_ORIGIN_DEFAULT;
	default:
		return BROKER_ORIGIN_UNTOLD;
	}
}

static int give_entries(struct kafka_client *client,
	const rd_kafka_DescribeConfigs_result_t *result, int32_t node, const char *what,
	broker_described_fn *fn, void *arg, struct err *e)
{
	const rd_kafka_ConfigResource_t **resources;
	const rd_kafka_ConfigEntry_t **entries;
	rd_kafka_resp_err_t code;
	size_t n;

	resources = rd_kafka_DescribeConfigs_result_resources(result, &n);
	if (n == 0)
		return err_set(e, ERR_BROKER, "the broker described no settings");
	code = rd_kafka_ConfigResource_error(resources[0]);
	if (code) {
		int r = kafka_error(client, code, what, e);

		if (r == ERR_DENIED)
			err_hint(e,
				"the user lacks the permission to DescribeConfigs of the %s (kafka-acls)",
				node == BROKER_NO_NODE ? "topic" : "cluster");
		return r;
	}
	entries = rd_kafka_ConfigResource_configs(resources[0], &n);
	for (size_t i = 0; i < n; i++) {
		const char *value = rd_kafka_ConfigEntry_value(entries[i]);

		fn(arg, node, rd_kafka_ConfigEntry_name(entries[i]), value ? value : "",
			origin_of(entries[i]));
	}
	return 0;
}

/* The settings of one node, or, with BROKER_NO_NODE, of the topic. */
static int describe_one(struct kafka_client *client, const char *topic, int32_t node,
	broker_described_fn *fn, void *arg, struct err *e)
{
	rd_kafka_ConfigResource_t *resource;
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *ev;
	char name[24], what[64];
	int r;

	snprintf(name, sizeof(name), "%d", node);
	snprintf(what, sizeof(what),
		node == BROKER_NO_NODE ? "the question for the topic's settings"
				       : "the question for the settings of node %d",
		node);
	resource = node == BROKER_NO_NODE
			   ? rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic)
			   : rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, name);
	queue = rd_kafka_queue_new(client->rk);
	rd_kafka_DescribeConfigs(client->rk, &resource, 1, NULL, queue);
	r = admin_result(client, queue, what, &ev, e);
	if (r == 0) {
		r = give_entries(
			client, rd_kafka_event_DescribeConfigs_result(ev), node, what, fn, arg, e);
		rd_kafka_event_destroy(ev);
	}
	rd_kafka_ConfigResource_destroy(resource);
	rd_kafka_queue_destroy(queue);
	return r;
}

int kafka_describe(const struct broker_config *c, const struct broker_node *node, size_t n,
	broker_described_fn *fn, void *arg, struct err *e)
{
	struct kafka_client client;
	int r = kafka_client_open(c, KAFKA_ADMIN, NULL, &client, e);

	if (r)
		return r;
	r = describe_one(&client, c->url->name, BROKER_NO_NODE, fn, arg, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = describe_one(&client, c->url->name, node[i].id, fn, arg, e);
	kafka_client_close(&client);
	return r;
}

struct plain {
	broker_setting_fn *fn;
	void *arg;
};

static void give_plain(
	void *arg, int32_t node, const char *name, const char *value, enum broker_origin origin)
{
	const struct plain *to = arg;

	(void)node;
	(void)origin;
	to->fn(to->arg, name, value);
}

int kafka_topic_settings(
	const struct broker_config *c, broker_setting_fn *fn, void *arg, struct err *e)
{
	struct plain to = {fn, arg};

	return kafka_describe(c, NULL, 0, give_plain, &to, e);
}

/* Ids of all groups, as an array of malloc'ed strings. */
static int list_groups(struct kafka_client *client, rd_kafka_queue_t *queue, char ***ret,
	size_t *ret_n, struct err *e)
{
	const rd_kafka_ConsumerGroupListing_t **groups;
	rd_kafka_event_t *ev;
	size_t n;
	char **ids;
	int r;

	rd_kafka_ListConsumerGroups(client->rk, NULL, queue);
	r = admin_result(client, queue, "the question for consumer groups", &ev, e);
	if (r)
		return r;
	groups = rd_kafka_ListConsumerGroups_result_valid(
		rd_kafka_event_ListConsumerGroups_result(ev), &n);
	ids = calloc(n + 1, sizeof(*ids));
	for (size_t i = 0; ids && i < n; i++)
		ids[i] = strdup(rd_kafka_ConsumerGroupListing_group_id(groups[i]));
	rd_kafka_event_destroy(ev);
	if (!ids)
		return err_set(e, ERR_NOMEM, "out of memory");
	*ret = ids;
	*ret_n = n;
	return 0;
}

static bool assigned(const rd_kafka_ConsumerGroupDescription_t *group, const char *topic)
{
	for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
		const rd_kafka_MemberDescription_t *m =
			rd_kafka_ConsumerGroupDescription_member(group, i);
		const rd_kafka_MemberAssignment_t *a = rd_kafka_MemberDescription_assignment(m);
		const rd_kafka_topic_partition_list_t *list =
			a ? rd_kafka_MemberAssignment_partitions(a) : NULL;

		for (int j = 0; list && j < list->cnt; j++)
			if (strcmp(list->elems[j].topic, topic) == 0)
				return true;
	}
	return false;
}

int kafka_live_groups(
	const struct broker_config *c, char *ret, size_t len, int *ret_n, struct err *e)
{
	const rd_kafka_ConsumerGroupDescription_t **groups;
	struct kafka_client client;
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *ev;
	char **ids = NULL;
	size_t n = 0, n_groups, at = 0;
	int r;

	*ret_n = 0;
	ret[0] = '\0';
	r = kafka_client_open(c, KAFKA_ADMIN, NULL, &client, e);
	if (r)
		return r;
	queue = rd_kafka_queue_new(client.rk);
	r = list_groups(&client, queue, &ids, &n, e);
	if (r == 0 && n > 0) {
		rd_kafka_DescribeConsumerGroups(client.rk, (const char **)ids, n, NULL, queue);
		r = admin_result(&client, queue, "the question for consumer groups", &ev, e);
		if (r == 0) {
			groups = rd_kafka_DescribeConsumerGroups_result_groups(
				rd_kafka_event_DescribeConsumerGroups_result(ev), &n_groups);
			for (size_t i = 0; i < n_groups; i++) {
				if (!assigned(groups[i], c->url->name))
					continue;
				(*ret_n)++;
				if (at < len)
					at += (size_t)snprintf(ret + at, len - at, "%s%s",
						at ? ", " : "",
						rd_kafka_ConsumerGroupDescription_group_id(
							groups[i]));
			}
			rd_kafka_event_destroy(ev);
		}
	}
	for (size_t i = 0; i < n; i++)
		free(ids[i]);
	free(ids);
	rd_kafka_queue_destroy(queue);
	kafka_client_close(&client);
	return r;
}

int kafka_node_answers(const struct broker_config *c, const struct broker_node *node, struct err *e)
{
	const rd_kafka_metadata_t *md = NULL;
	struct kafka_client client;
	rd_kafka_resp_err_t code;
	char hosts[300];
	int r;

	/* a client that knows this one host: its first question can only go there */
	snprintf(hosts, sizeof(hosts), strchr(node->host, ':') ? "[%s]:%d" : "%s:%d", node->host,
		node->port);
	r = kafka_client_open(c, KAFKA_ADMIN, hosts, &client, e);
	if (r)
		return r;
	code = rd_kafka_metadata(client.rk, 0, NULL, &md, ms(c->timeout_ns));
	kafka_client_serve(&client);
	if (code) {
		r = kafka_error(&client, code, "the question for metadata", e);
		err_wrap(e, "node %d at %s does not answer", node->id, hosts);
	}
	if (md)
		rd_kafka_metadata_destroy(md);
	kafka_client_close(&client);
	return r;
}
