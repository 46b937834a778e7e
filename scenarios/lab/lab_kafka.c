#include "scenarios/lab/lab_kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/broker/kafka_ping.h"
#include "core/clock.h"
#include "core/proc.h"
#include "core/rng.h"
#include "lab_data.h"
#include "scenarios/lab/kafka_dist.h"
#include "scenarios/lab/kafka_node.h"
#include "scenarios/lab/kafka_secure.h"
#include "scenarios/lab/kafka_tools.h"
#include "scenarios/lab/lab_ping.h"

#define CLIENT_PORT 9092
/* Three nodes in 1 GB and 7 s; the whole compiler would be faster only after minutes of load. */
#define SMALL_JVM "-Xms64m -Xmx160m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"

static int write_text(const struct lab *lab, const char *name, const char *text, struct err *e)
{
	char path[PATHS_MAX];

	snprintf(path, sizeof(path), "%.440s/%s", lab->folder, name);
	return paths_write_file(path, text, strlen(text), e);
}

static int configure(struct lab *lab, struct err *e)
{
	struct labfile *file = lab->file;
	int r = write_text(lab, "log4j2.properties", LAB_KAFKA_LOG4J2_PROPERTIES, e);

	if (r == 0)
		r = write_text(lab, "log4j.properties", LAB_KAFKA_LOG4J_PROPERTIES, e);
	if (r == 0)
		r = write_text(
			lab, "jvm.args", file->jvm_options[0] ? file->jvm_options : SMALL_JVM, e);
	if (r == 0)
		r = kafka_dist_write_args(lab, e);
	if (r == 0)
		r = kafka_node_train(lab, e);
	if (r == 0)
		r = kafka_tools_write(lab, e);
	if (r == 0 && file->secure)
		r = kafka_secure_make(lab, e);
	if (r == 0)
		r = kafka_node_format_all(lab, e);
	return r;
}

static int start(struct lab *lab, struct labfile_node *node, struct err *e)
{
	return kafka_node_start(lab, node, e);
}

/* The tools are of the lab's version. */
static int use_version(
	struct lab *lab, struct labfile_node *node, const char *version, struct err *e)
{
	int r = kafka_dist_use(lab, node, version, e);

	return r ? r : kafka_tools_write(lab, e);
}

static int finish(struct lab *lab, struct err *e)
{
	return lab->file->secure ? kafka_secure_grant(lab, e) : 0;
}

/* --- asking */

struct round {
	struct kafka_ping ping[LABFILE_MAX_NODES];
	char bootstrap[LABFILE_MAX_NODES][160];
	size_t node[LABFILE_MAX_NODES]; /* whom ping[i] asks */
	struct kafka_view view[LABFILE_MAX_NODES];
	struct err err[LABFILE_MAX_NODES];
	size_t n;
};

/* One more to be asked. */
static void add_ping(const struct labfile *file, size_t i, int64_t timeout_ns, struct round *round)
{
	const struct labfile_node *node = &file->node[i];
	size_t k = round->n++;

	snprintf(round->bootstrap[k], sizeof(round->bootstrap[k]),
		strchr(node->address, ':') ? "[%s]:%d" : "%s:%d", node->address, node->port);
	round->ping[k] = (struct kafka_ping){.bootstrap = round->bootstrap[k],
		.netns_fd = -1,
		.properties = file->client_config[0] ? file->client_config : NULL,
		.timeout_ns = timeout_ns};
	round->node[k] = i;
}

static int ask_round(const struct labfile *file, struct round *round, struct err *e)
{
	return lab_ping_each(
		file, file->client_netns, round->ping, round->n, round->view, round->err, e);
}

/* Ask each node that should run, on a connection of its own. */
static int ask_all(const struct labfile *file, const char *topic, int64_t timeout_ns,
	struct round *round, struct err *e)
{
	round->n = 0;
	for (size_t i = 0; i < file->n_nodes; i++) {
		if (!lab_is_expected(&file->node[i]))
			continue;
		add_ping(file, i, timeout_ns, round);
		round->ping[round->n - 1].topic = topic;
	}
	return ask_round(file, round, e);
}

static bool sees(const struct kafka_view *view, int id)
{
	for (size_t i = 0; i < view->n_brokers; i++)
		if (view->broker[i] == id)
			return true;
	return false;
}

/* The first node that should be seen and is not; NULL: all are. */
static const struct labfile_node *unseen(const struct labfile *file, const struct kafka_view *view)
{
	for (size_t i = 0; i < file->n_nodes; i++)
		if (lab_is_expected(&file->node[i]) && !sees(view, file->node[i].id))
			return &file->node[i];
	return NULL;
}

static bool answers(const struct labfile *file, const struct round *round, size_t i, struct err *e)
{
	const struct labfile_node *missing;

	if (round->err[i].code) {
		*e = round->err[i];
		return false;
	}
	missing = unseen(file, &round->view[i]);
	if (round->view[i].from == file->node[round->node[i]].id && !missing)
		return true;
	err_set(e, ERR_BROKER_AWAY, "%s does not see %s", file->node[round->node[i]].name,
		missing ? missing->name : "itself");
	return false;
}

static void ask(struct labfile *file, int64_t timeout_ns, struct err *ret_why)
{
	struct round *round = calloc(1, sizeof(*round));
	struct err why = {0};

	if (ret_why)
		err_clear(ret_why);
	for (size_t i = 0; i < file->n_nodes; i++)
		file->node[i].answer =
			lab_is_expected(&file->node[i]) ? LABFILE_SILENT : LABFILE_NOT_ASKED;
	if (!round)
		err_set(&why, ERR_NOMEM, "out of memory");
	else if (ask_all(file, NULL, timeout_ns, round, &why) == 0)
		for (size_t i = 0; i < round->n; i++)
			if (answers(file, round, i, &why))
				file->node[round->node[i]].answer = LABFILE_ANSWERS;
	if (ret_why)
		*ret_why = why;
	free(round);
}

/* --- who leads, as the majority of all nodes sees it */

static int leader_in(const struct kafka_view *view, int partition)
{
	for (size_t i = 0; i < view->n_partitions; i++)
		if (view->partition[i].id == partition)
			return view->partition[i].leader;
	return -1;
}

/* The leader that more than half of all nodes (also those that are down) agree on; -1: none. */
static int majority_leader(const struct labfile *file, const struct round *round, int partition)
{
	for (size_t i = 0; i < round->n; i++) {
		int leader = leader_in(&round->view[i], partition);
		size_t votes = 0;

		for (size_t k = 0; k < round->n; k++)
			votes += round->err[k].code == 0 &&
				 leader_in(&round->view[k], partition) == leader;
		if (leader >= 0 && round->err[i].code == 0 && 2 * votes > file->n_nodes)
			return leader;
	}
	return -1;
}

/* Do more than half of all nodes say that there is no such topic (or partition)? */
static bool is_no_topic(const struct labfile *file, const struct round *round, int partition)
{
	size_t votes = 0;

	for (size_t i = 0; i < round->n; i++) {
		bool known = false;

		for (size_t k = 0; k < round->view[i].n_partitions; k++)
			known |= round->view[i].partition[k].id == partition;
		votes += round->err[i].code == ERR_NOTFOUND || (round->err[i].code == 0 && !known);
	}
	return 2 * votes > file->n_nodes;
}

static const struct labfile_node *node_of(const struct labfile *file, int id)
{
	for (size_t i = 0; i < file->n_nodes; i++)
		if (id >= 0 && file->node[i].id == id)
			return &file->node[i];
	return NULL;
}

/* The in-sync replicas, as the first sees them who has that leader. */
static void fill_in_sync(const struct labfile *file, const struct round *round, int partition,
	struct lab_leader *ret)
{
	ret->n_in_sync = 0;
	for (size_t i = 0; i < round->n; i++) {
		const struct kafka_view *view = &round->view[i];

		if (round->err[i].code || leader_in(view, partition) != ret->node->id)
			continue;
		for (size_t k = 0; k < view->n_partitions; k++) {
			const struct kafka_ping_partition *p = &view->partition[k];

			for (size_t m = 0; p->id == partition && m < p->n_isr; m++)
				if (node_of(file, p->isr[m]))
					ret->in_sync[ret->n_in_sync++] = node_of(file, p->isr[m]);
		}
		return;
	}
}

static int leader(struct labfile *file, const char *topic, int partition, int64_t timeout_ns,
	struct lab_leader *ret, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	struct round *round = calloc(1, sizeof(*round));
	int r = round ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	while (r == 0) {
		r = ask_all(file, topic, 2 * NS_PER_S, round, e);
		if (r)
			break;
		ret->node = node_of(file, majority_leader(file, round, partition));
		if (ret->node) {
			fill_in_sync(file, round, partition, ret);
			break;
		}
		if (is_no_topic(file, round, partition))
			r = err_set(e, ERR_NOTFOUND, "there is no partition %d of topic '%s'",
				partition, topic);
		else if (clock_ns() >= deadline)
			r = err_set(e, ERR_TIMEOUT,
				"no majority of the %zu nodes agrees on a leader of '%s' [%d]",
				file->n_nodes, topic, partition);
		else
			clock_sleep_ns(100 * NS_PER_MS);
	}
	free(round);
	return r;
}

/* --- what others say of a node */

int lab_kafka_look(const struct labfile *file, const struct labfile_node *node, int64_t timeout_ns,
	struct lab_kafka_look *ret, struct err *e)
{
	struct round *round = calloc(1, sizeof(*round));
	int r = round ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	*ret = (struct lab_kafka_look){.is_absent = true};
	for (size_t i = 0; r == 0 && i < file->n_nodes; i++) {
		if (&file->node[i] == node || !lab_is_expected(&file->node[i]))
			continue;
		add_ping(file, i, timeout_ns, round);
		round->ping[round->n - 1].count = true;
		round->ping[round->n - 1].about = node->id;
	}
	if (r == 0)
		r = ask_round(file, round, e);
	for (size_t i = 0; r == 0 && i < round->n; i++) {
		const struct kafka_view *view = &round->view[i];

		if (round->err[i].code)
			continue;
		ret->n_answered++;
		ret->is_absent &= !sees(view, node->id);
		ret->n_led = view->n_led > ret->n_led ? view->n_led : ret->n_led;
		ret->n_in_sync =
			view->n_in_sync > ret->n_in_sync ? view->n_in_sync : ret->n_in_sync;
	}
	ret->is_majority = 2 * ret->n_answered > file->n_nodes;
	free(round);
	return r;
}

bool lab_kafka_node_answers(const struct labfile *file, const struct labfile_node *node,
	int64_t timeout_ns, struct err *ret_why)
{
	struct round *round = calloc(1, sizeof(*round));
	struct err why = {0};

	if (!round) {
		err_set(&why, ERR_NOMEM, "out of memory");
	} else {
		add_ping(file, (size_t)(node - file->node), timeout_ns, round);
		if (ask_round(file, round, &why) == 0)
			why = round->err[0];
	}
	free(round);
	if (ret_why)
		*ret_why = why;
	return why.code == 0;
}

const struct lab_kind lab_kafka = {
	.name = "kafka",
	.default_version = "4.1.0",
	.client_port = CLIENT_PORT,
	.controller_port = LAB_KAFKA_CONTROLLER_PORT,
	.speaks_kafka = true,
	.programs = kafka_dist_find,
	.configure = configure,
	.start = start,
	.ask = ask,
	.ready_version = kafka_dist_ready,
	.use_version = use_version,
	.finish = finish,
	.leader = leader,
	.environment = kafka_tools_environment,
	.stored_bytes = kafka_node_stored_bytes,
	.stored_words = "its topics' logs",
};
