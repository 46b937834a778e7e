#include "scenarios/lab/fault_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "scenarios/lab/lab_cluster.h"
#include "scenarios/lab/lab_kafka.h"

#define ASK_NS (2 * NS_PER_S)
#define POLL_NS (200 * NS_PER_MS)
#define RUNS 0 /* what `alive` ends with */
#define RUNS_NOT 1
/*
 * How long a first sign may take: Kafka's controller takes a broker for dead after 9 s, and a follower
 * for out of sync after replica.lag.time.max.ms, 30 s.
 */
#define DEAD_NS (20 * NS_PER_S)
#define OUT_OF_SYNC_NS (45 * NS_PER_S)

static struct cluster_values values_of(
	const struct labfile_fault *fault, char *from, char *direction, size_t len)
{
	fault_arg(fault, "from", from, len);
	fault_arg(fault, "direction", direction, len);
	if (!*direction)
		snprintf(direction, len, "both");
	return (struct cluster_values){from, direction};
}

static int run(struct lab *lab, const struct labfile_fault *fault, enum cluster_command command,
	struct err *e)
{
	char from[40], direction[40];
	const struct cluster_values values = values_of(fault, from, direction, sizeof(from));
	const struct cluster_node *node = lab_cluster_node(lab, fault_node(lab, fault));

	return cluster_run(lab->cluster, node, command, &values, NULL, e);
}

/* What `alive` says; -1: there is none, or it says neither yes nor no. */
static int ask_alive(struct lab *lab, const struct labfile_fault *fault)
{
	static const struct cluster_values none = {"", ""};
	const struct cluster_node *node = lab_cluster_node(lab, fault_node(lab, fault));
	int code;

	if (!cluster_has_command(lab->cluster, node, CLUSTER_ALIVE) ||
		cluster_run(lab->cluster, node, CLUSTER_ALIVE, &none, &code, NULL) != 0)
		return -1;
	return code == RUNS || code == RUNS_NOT ? code : -1;
}

/* What every fault asks first: declared, both commands there, the node as it should be. */
static int check_with(struct lab *lab, const struct labfile_fault *fault, enum cluster_command on,
	enum cluster_command off, struct err *e)
{
	const struct labfile_node *node = fault_node(lab, fault);
	const struct cluster_node *cn = lab_cluster_node(lab, node);
	int r = cluster_check_test(lab->cluster, e);

	if (r == 0)
		r = cluster_check_command(lab->cluster, cn, on, e);
	if (r == 0)
		r = cluster_check_command(lab->cluster, cn, off, e);
	if (r == 0 && node->state != LABFILE_NODE_RUNNING)
		r = err_set(e, ERR_STATE, "%s does not run: it is %s", node->name,
			labfile_node_state_text(node->state));
	return r;
}

static int set_state(struct lab *lab, const struct labfile_fault *fault,
	enum labfile_node_state state, struct err *e)
{
	fault_node(lab, fault)->state = state;
	return lab_save(lab, e);
}

/* --- gone: kill, powercut */

/* What does not answer as it is cannot be seen to fall silent. */
static int check_answers(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	struct err why = {0};

	if (lab_kafka_node_answers(lab->file, fault_node(lab, fault), ASK_NS, &why))
		return 0;
	return err_set(e, ERR_STATE,
		"%s does not answer as it is, so nothing could prove the fault: %s", fault->node,
		why.msg);
}

static int check_runs(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	switch (ask_alive(lab, fault)) {
	case RUNS:
		return 0;
	case RUNS_NOT:
		return err_set(
			e, ERR_STATE, "%s does not run: its alive command says so", fault->node);
	default:
		return check_answers(lab, fault, e);
	}
}

static int check_kill(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	int r = check_with(lab, fault, CLUSTER_KILL, CLUSTER_START, e);

	return r ? r : check_runs(lab, fault, e);
}

static int check_powercut(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	int r = check_with(lab, fault, CLUSTER_POWERCUT, CLUSTER_START, e);

	return r ? r : check_runs(lab, fault, e);
}

static int apply_kill(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	int r = set_state(lab, fault, LABFILE_NODE_KILLED, e);

	return r ? r : run(lab, fault, CLUSTER_KILL, e);
}

static int apply_powercut(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	int r = set_state(lab, fault, LABFILE_NODE_KILLED, e);

	return r ? r : run(lab, fault, CLUSTER_POWERCUT, e);
}

/* Does the majority of the others miss it? */
static int look_absent(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	const struct labfile_node *node = fault_node(lab, fault);
	struct lab_kafka_look look;
	int r = lab_kafka_look(lab->file, node, ASK_NS, &look, e);

	if (r == 0 && look.is_majority && look.is_absent)
		snprintf(fault->proof, sizeof(fault->proof),
			"absent from the metadata of the %zu others", look.n_answered);
	return r;
}

static int prove_gone(
	struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + (timeout_ns > 0 ? DEAD_NS : 0);
	int r = 0;

	/* what was seen once stays seen: by now it may be starting again */
	while (r == 0 && !*fault->proof) {
		if (ask_alive(lab, fault) == RUNS_NOT)
			snprintf(fault->proof, sizeof(fault->proof),
				"its process is gone: so says the alive command");
		else
			r = look_absent(lab, fault, e);
		if (r || *fault->proof || clock_ns() >= deadline)
			break;
		clock_sleep_ns(POLL_NS);
	}
	return r;
}

static int heal_gone(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	/* by a tool that was itself killed before it could do it, or somebody was faster */
	if (ask_alive(lab, fault) == RUNS)
		return set_state(lab, fault, LABFILE_NODE_RUNNING, e);
	return lab_start_node(lab, fault_node(lab, fault), e);
}

static const struct fault_ops fault_cluster_kill = {
	.needs = FAULT_NEEDS_PROCESS,
	.name = "kill",
	.summary = "SIGKILL of the broker's process, by the commands kill and start",
	.args = "",
	.check = check_kill,
	.apply = apply_kill,
	.prove = prove_gone,
	.heal = heal_gone,
	.heal_rank = 1,
};

static const struct fault_ops fault_cluster_powercut = {
	.needs = FAULT_NEEDS_PROCESS,
	.name = "powercut",
	.summary = "cut the node's power, by the commands power-cut and start",
	.args = "",
	.check = check_powercut,
	.apply = apply_powercut,
	.prove = prove_gone,
	.heal = heal_gone,
	.heal_rank = 1,
};

/* --- freeze */

static int check_freeze(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	int r = check_with(lab, fault, CLUSTER_FREEZE, CLUSTER_THAW, e);

	return r ? r : check_answers(lab, fault, e);
}

static int apply_freeze(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	int r = set_state(lab, fault, LABFILE_NODE_FROZEN, e);

	return r ? r : run(lab, fault, CLUSTER_FREEZE, e);
}

static int prove_frozen(
	struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	int alive;

	(void)timeout_ns; /* the question itself waits */
	(void)e;
	if (*fault->proof ||
		lab_kafka_node_answers(lab->file, fault_node(lab, fault), ASK_NS, NULL))
		return 0;
	alive = ask_alive(lab, fault);
	if (alive != RUNS_NOT)
		snprintf(fault->proof, sizeof(fault->proof),
			"%sit does not answer a new connection within %d s",
			alive == RUNS ? "its process is there and " : "", (int)(ASK_NS / NS_PER_S));
	return 0;
}

static int heal_freeze(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	int r = run(lab, fault, CLUSTER_THAW, e);

	return r ? r : set_state(lab, fault, LABFILE_NODE_RUNNING, e);
}

static const struct fault_ops fault_cluster_freeze = {
	.needs = FAULT_NEEDS_PROCESS,
	.name = "freeze",
	.summary = "SIGSTOP of the broker's process, by the commands freeze and thaw",
	.args = "",
	.check = check_freeze,
	.apply = apply_freeze,
	.prove = prove_frozen,
	.heal = heal_freeze,
	.heal_rank = 1,
};

/* --- isolate */

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static int check_isolate(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	static const char *const whom[] = {"brokers", "controllers", "clients", "fetches", NULL};
	static const char *const ways[] = {"both", "in", "out", NULL};
	char from[40], direction[40];
	int r = check_with(lab, fault, CLUSTER_ISOLATE, CLUSTER_JOIN, e);

	if (r)
		return r;
	values_of(fault, from, direction, sizeof(from));
	if (!is_one_of(from, whom)) {
		err_set(e, ERR_USAGE, "isolate from whom?");
		return err_hint(e, "--from brokers, controllers, clients or fetches");
	}
	if (!is_one_of(direction, ways))
		return err_set(e, ERR_USAGE, "--direction is in, out or both");
	if (strcmp(from, "clients") == 0)
		return check_answers(lab, fault, e);
	if (lab->file->n_nodes < 3)
		return err_set(e, ERR_STATE,
			"the cluster has %zu nodes: without it there is no majority that could tell "
			"of it",
			lab->file->n_nodes);
	return 0;
}

/* How it was before, for comparison; kept in the fault, so that it outlives this process. */
static int write_before(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct lab_kafka_look look;
	size_t at = strlen(fault->args);
	int n, r = lab_kafka_look(lab->file, fault_node(lab, fault), ASK_NS, &look, e);

	if (r)
		return r;
	if (!look.is_majority || look.is_absent)
		return err_set(e, ERR_STATE, "%s as they are, so nothing could prove the fault",
			look.is_majority ? "the other nodes do not see it"
					 : "too few of the other nodes answer");
	n = snprintf(fault->args + at, sizeof(fault->args) - at, " led=%zu in-sync=%zu", look.n_led,
		look.n_in_sync);
	if (n < 0 || at + (size_t)n >= sizeof(fault->args))
		return err_set(e, ERR_LIMIT, "arguments are too long");
	return lab_save(lab, e);
}

static int apply_isolate(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	char from[40];
	int r = 0;

	if (strcmp(fault_arg(fault, "from", from, sizeof(from)), "clients") != 0)
		r = write_before(lab, fault, e);
	return r ? r : run(lab, fault, CLUSTER_ISOLATE, e);
}

static size_t number_arg(const struct labfile_fault *fault, const char *name)
{
	char text[40];

	return (size_t)strtoull(fault_arg(fault, name, text, sizeof(text)), NULL, 10);
}

/* Does the majority of the others see that it leads less, follows less, or is dead? */
static int look_changed(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	size_t led = number_arg(fault, "led"), in_sync = number_arg(fault, "in-sync");
	struct lab_kafka_look look;
	int r = lab_kafka_look(lab->file, fault_node(lab, fault), ASK_NS, &look, e);

	if (r == 0 && look.is_majority &&
		(look.is_absent || look.n_led < led || look.n_in_sync < in_sync))
		snprintf(fault->proof, sizeof(fault->proof),
			"as the %zu others see it, %sit leads %zu partitions (%zu before) and is in "
			"sync in %zu (%zu before)",
			look.n_answered, look.is_absent ? "it is dead, " : "", look.n_led, led,
			look.n_in_sync, in_sync);
	return r;
}

static int prove_isolated(
	struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + (timeout_ns > 0 ? OUT_OF_SYNC_NS : 0);
	char from[40];
	int r = 0;

	fault_arg(fault, "from", from, sizeof(from));
	while (r == 0 && !*fault->proof) {
		if (strcmp(from, "clients") != 0)
			r = look_changed(lab, fault, e);
		else if (!lab_kafka_node_answers(lab->file, fault_node(lab, fault), ASK_NS, NULL))
			snprintf(fault->proof, sizeof(fault->proof),
				"it does not answer this client within %d s",
				(int)(ASK_NS / NS_PER_S));
		if (r || *fault->proof || clock_ns() >= deadline)
			break;
		clock_sleep_ns(POLL_NS);
	}
	return r;
}

static int heal_isolate(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	return run(lab, fault, CLUSTER_JOIN, e);
}

static const struct fault_ops fault_cluster_isolate = {
	.needs = FAULT_NEEDS_LINKS,
	.name = "isolate",
	.summary = "cut the node off, by the commands isolate and join",
	.args = "from direction ",
	.check = check_isolate,
	.apply = apply_isolate,
	.prove = prove_isolated,
	.heal = heal_isolate,
	.heal_rank = 0,
};

const struct fault_ops *const fault_cluster_table[] = {&fault_cluster_kill, &fault_cluster_freeze,
	&fault_cluster_isolate, &fault_cluster_powercut, NULL};
