/*
 * Questions and orders around a queue.
 *
 * A passive declare tells whether a queue is there, and nothing of its type. That is asked by a declare which
 * must fail: of a queue type that does not exist. For a queue that is there RabbitMQ compares before anything
 * else, and says what the queue has ("inequivalent arg 'x-queue-type' ...: received the value ... but current
 * is the value 'quorum'"; a queue that was declared without a type is a classic one and the answer says
 * "none"). Properties and other arguments are minded first, so each is taken over into the next question: the
 * answers tell all that the broker compares (x-delivery-limit, for one, it does not).
 *
 * For a queue that is not there (gone between the two questions) it refuses the type before it makes anything.
 * So the question cannot make, change or take a thing, and costs a channel: rabbit_channel:
 * handle_method(#'queue.declare'{}), rabbit_amqqueue:assert_equivalence() and check_declare_arguments(), tried
 * on 3.10.8 (tests/broker/rabbitmq_client_test.sh). It needs the permission to configure the queue.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/broker/rabbitmq.h"
#include "core/broker/rabbitmq_answer.h"
#include "core/clock.h"
#include "core/url.h"

#define NO_SUCH_TYPE "mqaudit-asks"

/* ---- questions ----------------------------------------------------------------------------------- */

int rabbitmq_look(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	int64_t deadline_ns, struct rabbitmq_queue *ret, struct err *e)
{
	amqp_queue_declare_ok_t *ok;
	char what[300];
	int r = rabbitmq_channel_open(conn, deadline_ns, e);

	if (r)
		return r;
	snprintf(what, sizeof(what), "queue '%s'", client->queue);
	ok = amqp_queue_declare(conn->state, conn->channel, rabbitmq_bytes(client->queue), 1, 0, 0,
		0, amqp_empty_table);
	r = rabbitmq_reply(conn, amqp_get_rpc_reply(conn->state), what, NULL, e);
	if (r == ERR_NOTFOUND) {
		err_set(e, r, "queue '%s' does not exist in virtual host '%s'", client->queue,
			client->vhost);
		err_hint(e, "make it with --create-queue classic, quorum or stream");
	}
	if (r)
		return r;
	ret->ready = ok->message_count;
	ret->consumers = ok->consumer_count;
	amqp_maybe_release_buffers(conn->state);
	return rabbitmq_reply(conn,
		amqp_channel_close(conn->state, conn->channel, AMQP_REPLY_SUCCESS), what, NULL, e);
}

static void fill_entry(const struct rabbitmq_argument *a, amqp_table_entry_t *entry)
{
	int64_t number = 0;

	entry->key = rabbitmq_bytes(a->name);
	switch (rabbitmq_arg_parse(a->name, a->value, &number)) {
	case RABBITMQ_ARG_BOOL:
		entry->value.kind = AMQP_FIELD_KIND_BOOLEAN;
		entry->value.value.boolean = (amqp_boolean_t)number;
		break;
	case RABBITMQ_ARG_NUMBER:
		entry->value.kind = AMQP_FIELD_KIND_I64;
		entry->value.value.i64 = number;
		break;
	default:
		entry->value.kind = AMQP_FIELD_KIND_UTF8;
		entry->value.value.bytes = rabbitmq_bytes(a->value);
		break;
	}
}

/* One question: what the broker minds first in a queue of the impossible type that is otherwise as guessed. */
static int ask_once(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	int64_t deadline_ns, const struct rabbitmq_queue *guess, char *ret_answer, size_t len,
	struct err *e)
{
	static const struct rabbitmq_argument impossible = {"x-queue-type", NO_SUCH_TYPE};
	amqp_table_entry_t entry[RABBITMQ_MAX_ARGUMENTS + 1];
	amqp_table_t arguments = {guess->n_arguments + 1, entry};
	int code, r = rabbitmq_channel_open(conn, deadline_ns, e);

	if (r)
		return r;
	fill_entry(&impossible, &entry[0]);
	for (int i = 0; i < guess->n_arguments; i++)
		fill_entry(&guess->argument[i], &entry[i + 1]);
	(void)amqp_queue_declare(conn->state, conn->channel, rabbitmq_bytes(client->queue), 0,
		guess->durable, 0, guess->auto_delete, arguments);
	r = rabbitmq_reply(conn, amqp_get_rpc_reply(conn->state),
		"the question for the queue's type", &code, e);
	if (r == 0)
		return err_set(
			e, ERR_BROKER, "the broker made a queue of the type '" NO_SUCH_TYPE "'");
	if (code != AMQP_PRECONDITION_FAILED)
		return r;
	snprintf(ret_answer, len, "%s", e->msg);
	err_clear(e);
	return 0;
}

/* Put what an answer tells into the guess. *ret_done: it told the type. False: it tells nothing new. */
static bool learn(const char *answer, struct rabbitmq_queue *q, bool *ret_done)
{
	struct rabbitmq_argument told;

	*ret_done = false;
	if (!rabbitmq_answer_read(answer, &told))
		return false;
	if (strcmp(told.name, "x-queue-type") == 0) {
		snprintf(q->type, sizeof(q->type), "%s", told.value[0] ? told.value : "classic");
		*ret_done = true;
	} else if (strcmp(told.name, "durable") == 0) {
		q->durable = strcmp(told.value, "true") == 0;
	} else if (strcmp(told.name, "auto_delete") == 0) {
		q->auto_delete = strcmp(told.value, "true") == 0;
	} else {
		for (int i = 0; i < q->n_arguments; i++)
			if (strcmp(q->argument[i].name, told.name) == 0)
				return false;
		if (q->n_arguments == RABBITMQ_MAX_ARGUMENTS)
			return false;
		q->argument[q->n_arguments++] = told;
	}
	return true;
}

static int ask_type(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	int64_t deadline_ns, struct rabbitmq_queue *ret, struct err *e)
{
	char answer[sizeof(e->msg)];
	bool done = false, more = true;
	int r = 0;

	ret->durable = true;
	/* one answer for each property and argument of the queue, and one for the type */
	for (int i = 0; r == 0 && more && !done && i < RABBITMQ_MAX_ARGUMENTS + 3; i++) {
		r = ask_once(client, conn, deadline_ns, ret, answer, sizeof(answer), e);
		if (r == 0)
			more = learn(answer, ret, &done);
	}
	if (r == 0 && !done)
		r = err_set(e, ERR_BROKER, "the queue's type cannot be told: %s", answer);
	if (r == ERR_DENIED || r == ERR_BROKER)
		err_hint(e,
			"grant the user 'configure' on the queue, or say -X queue.type=classic, quorum or stream");
	return r;
}

int rabbitmq_ask(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	int64_t deadline_ns, struct rabbitmq_queue *ret, struct err *e)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = rabbitmq_look(client, conn, deadline_ns, ret, e);
	if (r)
		return r;
	if (!client->settings.queue_type[0])
		return ask_type(client, conn, deadline_ns, ret, e);
	snprintf(ret->type, sizeof(ret->type), "%s", client->settings.queue_type);
	ret->durable = true;
	return 0;
}

/* A client and a connection for one call. */
struct visit {
	struct rabbitmq_client client;
	struct rabbitmq_conn conn;
	size_t at;
	int64_t deadline_ns;
};

static int visit_begin(const struct broker_config *c, struct visit *v, struct err *e)
{
	int r;

	memset(v, 0, sizeof(*v));
	v->deadline_ns = clock_ns() + c->timeout_ns;
	r = rabbitmq_client_init(c, c->props, &v->client, e);
	return r ? r : rabbitmq_connect_any(&v->client, &v->at, v->deadline_ns, &v->conn, e);
}

static int visit_end(struct visit *v, int r)
{
	rabbitmq_disconnect(&v->conn, r == 0 ? NS_PER_S : 0);
	rabbitmq_client_release(&v->client);
	return r;
}

static int fill_topic(const struct visit *v, const struct rabbitmq_queue *q,
	struct broker_topic *ret, struct err *e)
{
	memset(ret, 0, sizeof(*ret));
	ret->partition = calloc(1, sizeof(*ret->partition));
	ret->node = calloc(v->client.n_nodes, sizeof(*ret->node));
	if (!ret->partition || !ret->node) {
		broker_topic_free(ret);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	/* where a queue's leader lives AMQP does not tell: the node that answers for it stands for it */
	*ret->partition =
		(struct broker_partition){.leader = v->conn.node.id, .replicas = 1, .in_sync = 1};
	ret->n_partitions = 1;
	ret->n_nodes = v->client.n_nodes;
	memcpy(ret->node, v->client.node, ret->n_nodes * sizeof(*ret->node));
	snprintf(ret->kind, sizeof(ret->kind), "%s", q->type);
	ret->caps = BROKER_CAP_FENCE | BROKER_CAP_ROUTING |
		    (strcmp(q->type, "stream") == 0 ? BROKER_CAP_POSITIONS : BROKER_CAP_QUEUE);
	return 0;
}

static void take_cluster_name(struct rabbitmq_conn *conn, char *ret, size_t len)
{
	const amqp_table_t *about = amqp_get_server_properties(conn->state);

	for (int i = 0; about && i < about->num_entries; i++) {
		const amqp_table_entry_t *entry = &about->entries[i];

		if (entry->key.len == strlen("cluster_name") &&
			memcmp(entry->key.bytes, "cluster_name", entry->key.len) == 0 &&
			entry->value.kind == AMQP_FIELD_KIND_UTF8)
			snprintf(ret, len, "%.*s", (int)entry->value.value.bytes.len,
				(const char *)entry->value.value.bytes.bytes);
	}
}

int rabbitmq_topic(const struct broker_config *c, struct broker_topic *ret, struct err *e)
{
	struct rabbitmq_queue q;
	struct visit v;
	int r = visit_begin(c, &v, e);

	if (r == 0)
		r = rabbitmq_ask(&v.client, &v.conn, v.deadline_ns, &q, e);
	if (r == 0)
		r = fill_topic(&v, &q, ret, e);
	if (r == 0)
		take_cluster_name(&v.conn, ret->cluster_id, sizeof(ret->cluster_id));
	return visit_end(&v, r);
}

int rabbitmq_topic_settings(
	const struct broker_config *c, broker_setting_fn *fn, void *arg, struct err *e)
{
	struct rabbitmq_queue q;
	struct visit v;
	int r = visit_begin(c, &v, e);

	if (r == 0)
		r = rabbitmq_ask(&v.client, &v.conn, v.deadline_ns, &q, e);
	if (r == 0) {
		fn(arg, "x-queue-type", q.type);
		fn(arg, "durable", q.durable ? "true" : "false");
		fn(arg, "auto-delete", q.auto_delete ? "true" : "false");
		for (int i = 0; i < q.n_arguments; i++)
			fn(arg, q.argument[i].name, q.argument[i].value);
	}
	return visit_end(&v, r);
}

int rabbitmq_queue_look(
	const struct broker_config *c, uint64_t *ret_ready, uint64_t *ret_consumers, struct err *e)
{
	struct rabbitmq_queue q;
	struct visit v;
	int r = visit_begin(c, &v, e);

	if (r == 0)
		r = rabbitmq_look(&v.client, &v.conn, v.deadline_ns, &q, e);
	if (r == 0) {
		*ret_ready = q.ready;
		*ret_consumers = q.consumers;
	}
	return visit_end(&v, r);
}

int rabbitmq_live_groups(
	const struct broker_config *c, char *ret, size_t len, int *ret_n, struct err *e)
{
	uint64_t ready, consumers;
	int r = rabbitmq_queue_look(c, &ready, &consumers, e);

	if (r)
		return r;
	*ret_n = consumers > INT32_MAX ? INT32_MAX : (int)consumers;
	ret[0] = '\0';
	if (consumers)
		snprintf(ret, len, "%llu consumer%s of the queue", (unsigned long long)consumers,
			consumers == 1 ? "" : "s");
	return 0;
}

int rabbitmq_node_answers(
	const struct broker_config *c, const struct broker_node *node, struct err *e)
{
	struct rabbitmq_client client;
	struct rabbitmq_conn conn;
	int r = rabbitmq_client_init(c, c->props, &client, e);

	if (r == 0) {
		client.node[0] = *node;
		client.n_nodes = 1;
		r = rabbitmq_connect(&client, 0, clock_ns() + c->timeout_ns, &conn, e);
	}
	/* logged in: the node's database and the virtual host are up as well */
	if (r == 0)
		rabbitmq_disconnect(&conn, NS_PER_S);
	rabbitmq_client_release(&client);
	return r;
}

/* ---- orders -------------------------------------------------------------------------------------- */

/* A queue's properties and arguments, as --topic-config gives them. */
struct wanted {
	bool durable, auto_delete;
	struct rabbitmq_argument argument[RABBITMQ_MAX_ARGUMENTS];
	amqp_table_entry_t entry[RABBITMQ_MAX_ARGUMENTS]; /* borrows their texts */
	int n;
};

static int take_switch(const char *name, const char *value, bool *ret, struct err *e)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return err_set(e, ERR_USAGE, "'%s=%s': it is true or false", name, value);
	*ret = value[0] == 't';
	return 0;
}

static int take_argument(struct wanted *w, const char *name, const char *value, struct err *e)
{
	struct rabbitmq_argument *argument;

	if (strcmp(name, "durable") == 0)
		return take_switch(name, value, &w->durable, e);
	if (strcmp(name, "auto-delete") == 0)
		return take_switch(name, value, &w->auto_delete, e);
	if (strcmp(name, "exclusive") == 0)
		return err_set(e, ERR_USAGE,
			"an exclusive queue is for the connection that declares it, and ends with it: nothing could be audited");
	if (strncmp(name, "x-", 2) != 0) {
		err_set(e, ERR_USAGE, "a queue has no argument '%s'", name);
		return err_hint(e, "durable, auto-delete, or an argument that begins with x-");
	}
	if (w->n == RABBITMQ_MAX_ARGUMENTS)
		return err_set(
			e, ERR_LIMIT, "more than %d arguments of a queue", RABBITMQ_MAX_ARGUMENTS);
	if (strlen(name) >= sizeof(argument->name) || strlen(value) >= sizeof(argument->value))
		return err_set(e, ERR_USAGE, "the argument '%s' of a queue is too long", name);
	argument = &w->argument[w->n];
	snprintf(argument->name, sizeof(argument->name), "%s", name);
	snprintf(argument->value, sizeof(argument->value), "%s", value);
	fill_entry(argument, &w->entry[w->n++]);
	return 0;
}

static int take_wanted(const struct broker_create *how, struct wanted *w, struct err *e)
{
	int r = 0;

	memset(w, 0, sizeof(*w));
	w->durable = true;
	if (how->partitions != 1)
		return err_set(
			e, ERR_USAGE, "a queue has no partitions: 1, not %d", how->partitions);
	if (how->replication > 0) {
		err_set(e, ERR_USAGE,
			"how often a queue is kept is not said by a number behind ':'");
		return err_hint(
			e, "--topic-config x-quorum-initial-group-size=N for a quorum queue");
	}
	if (how->assignment)
		return err_set(e, ERR_USAGE, "the nodes of a queue cannot be chosen");
	for (size_t i = 0; r == 0 && how->config && how->config[i]; i += 2)
		r = take_argument(w, how->config[i], how->config[i + 1], e);
	return r;
}

static int declare(struct visit *v, struct wanted *w, struct err *e)
{
	amqp_table_t arguments = {w->n, w->entry};
	char what[300];
	int r = rabbitmq_channel_open(&v->conn, v->deadline_ns, e);

	if (r)
		return r;
	snprintf(what, sizeof(what), "the declaration of queue '%s'", v->client.queue);
	(void)amqp_queue_declare(v->conn.state, v->conn.channel, rabbitmq_bytes(v->client.queue), 0,
		w->durable, 0, w->auto_delete, arguments);
	return rabbitmq_reply(&v->conn, amqp_get_rpc_reply(v->conn.state), what, NULL, e);
}

int rabbitmq_create(const struct broker_config *c, const struct broker_create *how, struct err *e)
{
	struct rabbitmq_queue q;
	struct wanted w;
	struct visit v;
	bool there;
	int r = take_wanted(how, &w, e);

	if (r)
		return r;
	r = visit_begin(c, &v, e);
	if (r)
		return visit_end(&v, r);
	r = rabbitmq_look(&v.client, &v.conn, v.deadline_ns, &q, e);
	there = r == 0;
	/* also when it is there: the broker compares, and refuses another one */
	if (r == 0 || r == ERR_NOTFOUND)
		r = declare(&v, &w, e);
	visit_end(&v, r);
	if (r || !there)
		return r;
	return err_set(e, ERR_EXISTS, "queue '%s' exists already", c->url->name);
}

int rabbitmq_bind(
	const struct broker_config *c, const char *exchange, const char *routing_key, struct err *e)
{
	struct visit v;
	char what[600];
	int r = visit_begin(c, &v, e);

	if (r == 0)
		r = rabbitmq_channel_open(&v.conn, v.deadline_ns, e);
	if (r == 0) {
		snprintf(what, sizeof(what), "binding queue '%s' to exchange '%s'", v.client.queue,
			exchange);
		(void)amqp_queue_bind(v.conn.state, v.conn.channel, rabbitmq_bytes(v.client.queue),
			rabbitmq_bytes(exchange), rabbitmq_bytes(routing_key), amqp_empty_table);
		r = rabbitmq_reply(&v.conn, amqp_get_rpc_reply(v.conn.state), what, NULL, e);
	}
	return visit_end(&v, r);
}

int rabbitmq_destroy(const struct broker_config *c, struct err *e)
{
	struct rabbitmq_queue q;
	struct visit v;
	int r = visit_begin(c, &v, e);

	/* deleting what is not there succeeds */
	if (r == 0)
		r = rabbitmq_look(&v.client, &v.conn, v.deadline_ns, &q, e);
	if (r == 0)
		r = rabbitmq_channel_open(&v.conn, v.deadline_ns, e);
	if (r == 0) {
		(void)amqp_queue_delete(
			v.conn.state, v.conn.channel, rabbitmq_bytes(v.client.queue), 0, 0);
		r = rabbitmq_reply(&v.conn, amqp_get_rpc_reply(v.conn.state),
			"the deletion of the queue", NULL, e);
	}
	return visit_end(&v, r);
}
