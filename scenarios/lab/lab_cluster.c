#include "scenarios/lab/lab_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "scenarios/lab/fault_cluster.h"
#include "scenarios/lab/lab_event.h"
#include "scenarios/lab/lab_kafka.h"

#define POLL_NS (200 * NS_PER_MS)

static const struct cluster_values no_values = {"", ""};

const struct cluster_node *lab_cluster_node(const struct lab *lab, const struct labfile_node *node)
{
	const struct cluster_node *found = cluster_find(lab->cluster, node->name);

	if (!found)
		BUG("node '%s' is not in the cluster's file", node->name);
	return found;
}

static int start(struct lab *lab, struct labfile_node *node, struct err *e)
{
	int r;

	node->state = LABFILE_NODE_STARTING;
	r = lab_save(lab, e);
	if (r == 0)
		r = cluster_run(lab->cluster, lab_cluster_node(lab, node), CLUSTER_START,
			&no_values, NULL, e);
	if (r)
		return r;
	node->state = LABFILE_NODE_RUNNING;
	lab_event(lab, "node-start", node->name, "", LAB_EVENT_INSTANT);
	return lab_save(lab, e);
}

/* Has it ended? By its alive command, or, without one, when it does not answer any more. */
static int has_ended(struct lab *lab, const struct labfile_node *node, bool *ret, struct err *e)
{
	const struct cluster_node *cn = lab_cluster_node(lab, node);
	int code = 0, r = 0;

	if (!cluster_has_command(lab->cluster, cn, CLUSTER_ALIVE)) {
		*ret = !lab_kafka_node_answers(lab->file, node, NS_PER_S, NULL);
		return 0;
	}
	r = cluster_run(lab->cluster, cn, CLUSTER_ALIVE, &no_values, &code, e);
	*ret = r == 0 && code == 1;
	return r;
}

static int stop(struct lab *lab, struct labfile_node *node, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	bool ended = false;
	int r = cluster_run(
		lab->cluster, lab_cluster_node(lab, node), CLUSTER_STOP, &no_values, NULL, e);

	while (r == 0) {
		r = lab_check_stop(lab, e);
		if (r == 0)
			r = has_ended(lab, node, &ended, e);
		if (r || ended)
			break;
		if (clock_ns() >= deadline)
			r = err_set(e, ERR_TIMEOUT, "it does not end");
		else
			clock_sleep_ns(POLL_NS);
	}
	return r;
}

static void ask(struct labfile *file, int64_t timeout_ns, struct err *ret_why)
{
	lab_kafka.ask(file, timeout_ns, ret_why);
}

static int leader(struct labfile *file, const char *topic, int partition, int64_t timeout_ns,
	struct lab_leader *ret, struct err *e)
{
	return lab_kafka.leader(file, topic, partition, timeout_ns, ret, e);
}

const struct lab_kind lab_cluster = {
	.name = LABFILE_CLUSTER,
	.start = start,
	.stop = stop,
	.faults = fault_cluster_table,
	.ask = ask,
	.leader = leader,
};

/* --- its state */

/* What the cluster's file says, over what was recorded. */
static void take_over(const struct cluster *c, struct labfile *file)
{
	file->network = LABFILE_ON_CLUSTER;
	snprintf(file->bootstrap, sizeof(file->bootstrap), "%s", c->bootstrap);
	snprintf(file->client_config, sizeof(file->client_config), "%s", c->client_config);
	snprintf(file->cluster_file, sizeof(file->cluster_file), "%s", c->file);
	file->n_nodes = c->n_nodes;
	for (size_t i = 0; i < c->n_nodes; i++) {
		struct labfile_node *node = &file->node[i];

		memset(node, 0, sizeof(*node));
		snprintf(node->name, sizeof(node->name), "%s", c->node[i].name);
		snprintf(node->address, sizeof(node->address), "%s", c->node[i].address);
		node->id = c->node[i].id;
		node->port = c->node[i].port;
		node->state = LABFILE_NODE_RUNNING;
	}
}

static struct labfile *new_state(const struct cluster *c)
{
	struct labfile *file = labfile_new(c->name, LABFILE_CLUSTER);

	if (!file)
		return NULL;
	file->state = LABFILE_UP;
	file->up_wall_ns = clock_wall_ns();
	take_over(c, file);
	return file;
}

/* Node states that are recorded stay; each fault's node must still be there. */
static int merge(const struct cluster *c, struct labfile *file, struct err *e)
{
	struct labfile *before = malloc(sizeof(*before));
	int r = 0;

	if (!before)
		return err_set(e, ERR_NOMEM, "out of memory");
	*before = *file;
	take_over(c, file);
	for (size_t i = 0; i < file->n_nodes; i++) {
		const struct labfile_node *old = labfile_find_node(before, file->node[i].name);

		if (old)
			file->node[i].state = old->state;
	}
	for (size_t i = 0; i < file->n_faults && r == 0; i++) {
		if (labfile_find_node(file, file->fault[i].node))
			continue;
		r = err_set(e, ERR_STATE, "fault %s is on at %s, which '%s' does not name any more",
			file->fault[i].id, file->fault[i].node, c->file);
	}
	free(before);
	return r;
}

int lab_cluster_read(const struct cluster *c, struct labfile **ret, struct err *e)
{
	int r = labfile_read(c->name, LABFILE_CLUSTER, ret, e);

	if (r == ERR_NOTFOUND) {
		*ret = new_state(c);
		return *ret ? 0 : err_set(e, ERR_NOMEM, "out of memory");
	}
	if (r == 0)
		r = merge(c, *ret, e);
	if (r) {
		labfile_free(*ret);
		*ret = NULL;
	}
	return r;
}

static int check_no_lab(const struct cluster *c, struct err *e)
{
	struct labfile *file = NULL;
	bool there = labfile_read(c->name, lab_kafka.name, &file, NULL) != ERR_NOTFOUND;

	labfile_free(file);
	if (!there)
		return 0;
	err_set(e, ERR_EXISTS, "a lab is called '%s' as well", c->name);
	return err_hint(e, "give the cluster another name in '%.200s'", c->file);
}

int lab_open_cluster(struct lab *lab, struct cluster *c, int64_t timeout_ns, struct err *e)
{
	int r = check_no_lab(c, e);

	if (r == 0)
		r = lab_open(lab, c->name, &lab_cluster, timeout_ns, e);
	lab->cluster = c;
	if (r)
		return r;
	if (lab->file)
		return merge(c, lab->file, e);
	r = paths_make(lab->folder, 0755, e);
	if (r)
		return r;
	lab->file = new_state(c);
	return lab->file ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}
