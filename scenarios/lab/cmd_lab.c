/* mqaudit lab up, down, heal, restart, fault; and the guard that cleans up behind them. */
#include "scenarios/lab/cmd_lab.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/units.h"
#include "core/words.h"
#include "scenarios/lab/cmd_lab_common.h"
#include "scenarios/lab/fault.h"
#include "scenarios/lab/fault_guard.h"
#include "scenarios/lab/lab_cluster.h"
#include "scenarios/lab/lab_holder.h"
#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/lab_process.h"

#define GUARD_TRIES_NS (60 * NS_PER_S)

static volatile sig_atomic_t stop_asked;

static void on_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

/* The first signal is an orderly stop; the second ends the process, and the guard cleans up behind
 * it. */
static void catch_stop(void)
{
	struct sigaction sa = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

static double seconds_since(int64_t start_ns)
{
	return (double)(clock_ns() - start_ns) / (double)NS_PER_S;
}

/* --- up */

struct up_opts {
	const char *lab;
	const char *version;
	const char *network;
	uint64_t nodes;
	bool secure;
	const char *disk;
	uint64_t disk_size;
	struct opt_list broker_config;
	const char *jvm_options;
	uint64_t until_pid;
	int64_t timeout;
};

static void print_up(const struct labfile *file, bool was_there, int started, double seconds)
{
	if (was_there && !started)
		printf("lab '%s' was up already: %s %s, %zu node%s%s\n", file->name, file->kind,
			file->version, file->n_nodes, file->n_nodes == 1 ? "" : "s",
			file->secure ? ", secure" : "");
	else if (was_there)
		printf("lab '%s' was up: %d of %zu nodes started again in %.1f s\n", file->name,
			started, file->n_nodes, seconds);
	else
		printf("lab '%s' is up after %.1f s: %s %s, %zu node%s%s\n", file->name, seconds,
			file->kind, file->version, file->n_nodes, file->n_nodes == 1 ? "" : "s",
			file->secure ? ", secure" : "");
	if (file->network != LABFILE_ON_NAMESPACES)
		printf("network: %s\n", labfile_network_text(file->network));
	if (file->network == LABFILE_ON_LOOPBACK)
		printf("bootstrap %s\n", file->bootstrap);
	else
		printf("bootstrap %s, reached from within: mqaudit lab exec %s -- COMMAND\n",
			file->bootstrap, file->kind);
	if (file->secure)
		printf("client properties %s\n", file->client_config);
}

static int up_run(struct cmdline *cl)
{
	const struct up_opts *o = cl->opts;
	const struct lab_wish wish = {
		.nodes = (int)(o->nodes > 1000 ? 1000 : o->nodes),
		.version = o->version,
		.network = o->network,
		.disk = opt_given(cl, "disk") ? o->disk : NULL,
		.disk_bytes = o->disk_size,
		.secure = o->secure,
		.secure_given = opt_given(cl, "secure"),
		.setting = o->broker_config.item,
		.n_settings = o->broker_config.n,
		.jvm_options = o->jvm_options,
		.until_pid = (pid_t)(o->until_pid > INT32_MAX ? INT32_MAX : o->until_pid),
		.timeout_ns = o->timeout,
	};
	struct lab lab = {.lock_fd = -1, .say = cmd_lab_say, .stop = &stop_asked};
	int64_t start = clock_ns();
	const struct lab_kind *kind = NULL;
	struct err e = {0};
	bool was_there = false;
	int started = 0, r;

	r = cmd_lab_kind(cl->argv[0], &kind, &e);
	if (r == 0 && opt_given(cl, "nodes") && o->nodes == 0)
		r = err_set(&e, ERR_USAGE, "--nodes: from 1 to %d", LAB_MAX_NODES);
	if (r == 0)
		r = lab_open(&lab, o->lab, kind, CMD_LAB_LOCK_NS, &e);
	catch_stop();
	if (r == 0)
		r = lab_up(&lab, &wish, &was_there, &started, &e);
	cmd_lab_said_all();
	if (r == 0)
		print_up(lab.file, was_there, started, seconds_since(start));
	lab_close(&lab);
	return r ? cmd_lab_fail(&e) : EXIT_PASS;
}

static const struct opt up_rows[] = {
	CMD_LAB_ROW(struct up_opts),
	{.name = "nodes",
		.type = OPT_COUNT,
		.arg = "N",
		.offset = offsetof(struct up_opts, nodes),
		.help = "How many nodes, 1 to 5; 3 for a new lab."},
	{.name = "version",
		.type = OPT_STRING,
		.arg = "V",
		.offset = offsetof(struct up_opts, version),
		.help = "Version of the broker: of Kafka 4.1.0 for a new lab; 3.9.1 runs as well. "
			"With KAFKA_HOME, and of RabbitMQ, the one that is there."},
	{.name = "network",
		.type = OPT_CHOICE,
		.arg = "WHERE",
		.choices = "namespaces|user-namespaces|loopback",
		.offset = offsetof(struct up_opts, network),
		.help = "Where the nodes live: in network namespaces (needs root); in those of a user "
			"namespace, which most machines let anybody make, without faults of disks and "
			"power and without the route; or on loopback addresses 127.77.N.1 and on, with "
			"faults of processes only. If it is not given, the first that can be had."},
	{.name = "secure",
		.type = OPT_FLAG,
		.offset = offsetof(struct up_opts, secure),
		.help = "TLS, passwords (Kafka: SCRAM-SHA-256) and permissions; users admin, alice (all "
			"on what "
			"starts with alice) and mallory (nothing), each with a file of client "
			"properties in "
			"the lab's folder. RabbitMQ's port is 5671 then, and alice has a "
			"certificate, too."},
	{.name = "disk",
		.type = OPT_CHOICE,
		.arg = "KIND",
		.offset = offsetof(struct up_opts, disk),
		.dflt = "plain",
		.choices = "plain|loop",
		.help = "Where a node's data is: plain, in the lab's folder; loop, on a file system of its "
			"own (ext4 in a sparse file), so that its power can be cut and its disk can "
			"fail."},
	{.name = "disk-size",
		.type = OPT_SIZE,
		.arg = "SIZE",
		.offset = offsetof(struct up_opts, disk_size),
		.help = "Size of each node's own disk, 2G if it is not given; only what is written takes "
			"room."},
	{.name = "broker-config",
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		.offset = offsetof(struct up_opts, broker_config),
		.help = "A broker setting for every node, over the lab's own, or a feature of the cluster, "
			"such as eligible.leader.replicas.version=0; of RabbitMQ a line of "
			"rabbitmq.conf, such as cluster_partition_handling=pause_minority; may be "
			"repeated."},
	{.name = "jvm-options",
		.type = OPT_STRING,
		.arg = "FLAGS",
		.offset = offsetof(struct up_opts, jvm_options),
		.help = "Flags of the nodes' Java, by blanks apart, instead of the lab's own, which start "
			"quickly and need little memory but are slow under load."},
	{.name = "until-pid",
		.type = OPT_COUNT,
		.arg = "PID",
		.offset = offsetof(struct up_opts, until_pid),
		.help = "Take the lab down when that process has ended, however it ends."},
	{.name = "timeout",
		.type = OPT_DURATION,
		.arg = "TIME",
		.offset = offsetof(struct up_opts, timeout),
		.dflt = "120s",
		.help = "How long the nodes may take until they answer."},
	{.name = NULL},
};

const struct command cmd_lab_up = {
	.name = "lab up",
	.args = "kafka|rabbitmq",
	.summary = "start a real cluster on this machine, for tests",
	.description =
		"Each node is a host of its own: a network namespace with an address of "
		"198.18.0.0/15, the "
		"range set aside for benchmarks, on a bridge that is in a namespace too. "
		"Nothing of it "
		"touches the machine's own network but one blackhole route: a client that "
		"is started outside "
		"by mistake fails at once. Use mqaudit lab exec, or a URL such as "
		"kafka://lab/TOPIC or amqp://lab/QUEUE.\n\n"
		"If the lab is up already it says so, and starts nodes that have died. "
		"Stopped half-way "
		"(Ctrl-C), or failed, it leaves nothing behind. Without root it lives in user "
		"namespaces, or on loopback: see --network. Kafka's program "
		"files come from "
		"$KAFKA_HOME, or once through Maven; RabbitMQ's are those of $RABBITMQ_HOME, or "
		"the installed package's, whose own service is left alone. RabbitMQ lives in "
		"namespaces only, and its lab has one user, mqaudit: see mqaudit lab exec.",
	.examples =
		"# three Kafka nodes\nmqaudit lab up kafka\n"
		"# three RabbitMQ nodes that stop when they are in the minority\n"
		"mqaudit lab up rabbitmq --broker-config cluster_partition_handling=pause_minority\n"
		"# a second lab beside it, gone when this shell ends\n"
		"mqaudit lab up kafka --lab tls --secure --nodes 1 --until-pid $$\n",
	.opts = up_rows,
	.opts_size = sizeof(struct up_opts),
	.min_args = 1,
	.max_args = 1,
	.run = up_run,
};

/* --- down */

struct down_opts {
	const char *lab;
	bool all;
};

static int down_one(
	const char *name, const struct lab_kind *kind, bool *ret_was_there, struct err *e)
{
	struct lab lab = {.lock_fd = -1, .say = cmd_lab_say};
	int64_t start = clock_ns();
	int r = lab_open(&lab, name, kind, CMD_LAB_LOCK_NS, e);

	*ret_was_there = r == 0 && lab.file;
	if (r == 0 && lab.file && lab.file->network == LABFILE_ON_NAMESPACES)
		r = lab_check_rights(e);
	if (r == 0)
		r = lab_down(&lab, e);
	cmd_lab_said_all();
	lab_close(&lab);
	if (r == 0 && *ret_was_there)
		printf("lab '%s' (%s) is down after %.1f s\n", name, kind->name,
			seconds_since(start));
	return r;
}

/* Take down all that match: one lab or all, one kind (NULL: each). The first failure is returned.
 */
static int down_matching(const char *name, const struct lab_kind *only, int *ret_n, struct err *e)
{
	struct labfile_entry *list = NULL;
	size_t n = 0;
	int r = labfile_list(only ? only->name : NULL, &list, &n, e);

	for (size_t i = 0; i < n; i++) {
		const struct lab_kind *kind = lab_kind_find(list[i].kind);
		bool was_there = false;
		int r_one;

		if (!kind || (name && strcmp(list[i].name, name) != 0))
			continue;
		r_one = down_one(list[i].name, kind, &was_there, r ? NULL : e);
		r = r ? r : r_one;
		*ret_n += was_there;
	}
	free(list);
	return r;
}

static int down_run(struct cmdline *cl)
{
	const struct down_opts *o = cl->opts;
	const struct lab_kind *kind = NULL;
	struct err e = {0};
	int n = 0, r = 0;

	if (cl->argc)
		r = cmd_lab_kind(cl->argv[0], &kind, &e);
	if (r == 0)
		r = labfile_check_name(o->lab, &e);
	if (r == 0)
		r = down_matching(o->all ? NULL : o->lab, kind, &n, &e);
	if (r)
		return cmd_lab_fail(&e);
	if (n == 0 && o->all)
		printf("no lab is up\n");
	else if (n == 0)
		printf("no lab '%s' is up\n", o->lab);
	return EXIT_PASS;
}

static const struct opt down_rows[] = {
	CMD_LAB_ROW(struct down_opts),
	{.name = "all",
		.type = OPT_FLAG,
		.offset = offsetof(struct down_opts, all),
		.help = "All labs, whatever their name."},
	{.name = NULL},
};

const struct command cmd_lab_down = {
	.name = "lab down",
	.args = "[kafka|rabbitmq]",
	.summary = "take a lab down, and leave nothing behind",
	.description =
		"Kills the lab's processes, and clients within its namespaces, and removes its "
		"namespaces, route and files: also those of a lab that is half made, because its "
		"tool "
		"was killed. Nothing to take down is no failure.",
	.examples = "mqaudit lab down\nmqaudit lab down --all\n",
	.opts = down_rows,
	.opts_size = sizeof(struct down_opts),
	.min_args = 0,
	.max_args = 1,
	.run = down_run,
};

/* --- heal and restart */

struct wait_opts {
	const char *lab;
	const char *cluster;
	int64_t timeout;
};

static const struct opt wait_rows[] = {
	CMD_LAB_ROW(struct wait_opts),
	CMD_LAB_CLUSTER_ROW(struct wait_opts),
	{.name = "timeout",
		.type = OPT_DURATION,
		.arg = "TIME",
		.offset = offsetof(struct wait_opts, timeout),
		.dflt = "120s",
		.help = "How long nodes may take until they answer."},
	{.name = NULL},
};

static void print_fault(const struct labfile_fault *fault, const char *head)
{
	printf("%s%s  %s %s%s%s  %s\n", head, fault->id, fault->kind, fault->node,
		*fault->args ? "  " : "", fault->args,
		*fault->proof ? fault->proof : "NO PROOF THAT IT BIT");
}

static void print_healed(const struct labfile_fault *fault)
{
	cmd_lab_said_all();
	print_fault(fault, "healed ");
	fflush(stdout);
}

/* The lab is open, or r says why not. */
static int heal_open(
	struct lab *lab, const struct cmdline *cl, int64_t timeout_ns, int r, struct err *e)
{
	if (r == 0)
		r = fault_heal(lab, cl->argv, (size_t)cl->argc, timeout_ns, print_healed, e);
	cmd_lab_said_all();
	if (r == 0 && lab->file->n_faults)
		printf("%zu fault%s still on in lab '%s' (%s)\n", lab->file->n_faults,
			lab->file->n_faults == 1 ? " is" : "s are", lab->name, lab->kind->name);
	else if (r == 0 && lab->cluster)
		printf("all %d nodes of cluster '%s' answer\n", lab_n_expected(lab->file),
			lab->name);
	else if (r == 0)
		printf("all %d nodes of lab '%s' (%s) answer\n", lab_n_expected(lab->file),
			lab->name, lab->kind->name);
	lab_close(lab);
	return r;
}

static int heal_kind(const char *name, const struct lab_kind *kind, const struct cmdline *cl,
	int64_t timeout_ns, struct err *e)
{
	struct lab lab = {.lock_fd = -1, .say = cmd_lab_say};

	return heal_open(&lab, cl, timeout_ns, cmd_lab_open_up(&lab, name, kind, e), e);
}

/* To undo needs no declaration: what is on was put on under one. */
static int heal_cluster(
	const char *path, const struct cmdline *cl, int64_t timeout_ns, struct err *e)
{
	struct lab lab = {.lock_fd = -1, .say = cmd_lab_say};

	return heal_open(&lab, cl, timeout_ns, cmd_lab_open_cluster(&lab, path, false, e), e);
}

static int heal_run(struct cmdline *cl)
{
	const struct wait_opts *o = cl->opts;
	struct labfile_entry *list = NULL;
	struct err e = {0};
	size_t n = 0, found = 0;
	int r = 0;

	if (o->cluster) {
		r = heal_cluster(o->cluster, cl, o->timeout, &e);
		return r ? cmd_lab_fail(&e) : EXIT_PASS;
	}
	r = labfile_check_name(o->lab, &e);
	if (r == 0)
		r = labfile_list(NULL, &list, &n, &e);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct lab_kind *kind = lab_kind_find(list[i].kind);

		if (!kind || strcmp(list[i].name, o->lab) != 0)
			continue;
		found++;
		r = heal_kind(o->lab, kind, cl, o->timeout, &e);
	}
	free(list);
	if (r == 0 && !found) {
		r = err_set(&e, ERR_NOTFOUND, "no lab '%s' is up", o->lab);
		err_hint(&e, "mqaudit lab status lists them");
	}
	return r ? cmd_lab_fail(&e) : EXIT_PASS;
}

const struct command cmd_lab_heal = {
	.name = "lab heal",
	.args = "[FAULT|NODE...]",
	.summary = "undo faults, all or some, and wait until every node answers",
	.description = "Says of each fault what proves that it bit. Nodes that were killed, or "
		       "have died, are started again; one that somebody froze by a signal is "
		       "thawed. With ids of faults or names of nodes only those are healed; while "
		       "others are still on, nothing is waited for.",
	.examples = "mqaudit lab heal\nmqaudit lab heal f3 kafka2\n",
	.opts = wait_rows,
	.opts_size = sizeof(struct wait_opts),
	.min_args = 0,
	.max_args = LABFILE_MAX_FAULTS,
	.run = heal_run,
};

/* Hold the lab that has this node. */
static int open_of_node(struct lab *lab, const char *name, const char *node, struct err *e)
{
	const struct lab_kind *kind = NULL;
	int r = cmd_lab_kind_of_node(name, node, &kind, e);

	return r ? r : cmd_lab_open_up(lab, name, kind, e);
}

struct restart_opts {
	const char *lab;
	const char *cluster;
	const char *version;
	int64_t timeout;
};

static const struct opt restart_rows[] = {
	CMD_LAB_ROW(struct restart_opts),
	CMD_LAB_CLUSTER_ROW(struct restart_opts),
	{.name = "version",
		.type = OPT_STRING,
		.arg = "V",
		.offset = offsetof(struct restart_opts, version),
		.help = "Start it as this version from now on, for a rolling upgrade."},
	{.name = "timeout",
		.type = OPT_DURATION,
		.arg = "TIME",
		.offset = offsetof(struct restart_opts, timeout),
		.dflt = "120s",
		.help = "How long nodes may take until they answer."},
	{.name = NULL},
};

static int restart_run(struct cmdline *cl)
{
	const struct restart_opts *o = cl->opts;
	struct lab lab = {.lock_fd = -1, .say = cmd_lab_say};
	struct labfile_node *node = NULL;
	int64_t start = clock_ns();
	struct err e = {0};
	bool ran = false;
	int r = 0;

	if (o->cluster)
		r = cmd_lab_open_cluster(&lab, o->cluster, true, &e);
	else
		r = open_of_node(&lab, o->lab, cl->argv[0], &e);
	if (r == 0)
		r = cmd_lab_node(lab.file, cl->argv[0], &node, &e);
	if (r == 0) {
		ran = labfile_node_alive(lab.file, node);
		r = lab_restart_node(&lab, node, o->version, o->timeout, &e);
	}
	cmd_lab_said_all();
	if (r == 0)
		printf("%s answers again after %.1f s (%s)\n", node->name, seconds_since(start),
			ran ? "ended in order and started" : "it did not run");
	lab_close(&lab);
	return r ? cmd_lab_fail(&e) : EXIT_PASS;
}

const struct command cmd_lab_restart = {
	.name = "lab restart",
	.args = "NODE",
	.summary = "start a node again that was killed, or end and start one that runs",
	.description =
		"A node that runs is asked to end in order, which moves its leaderships away "
		"(controlled shutdown). Waits until every node answers.",
	.examples = "mqaudit lab restart kafka2\n"
		    "mqaudit lab restart kafka2 --version 4.1.0\n",
	.opts = restart_rows,
	.opts_size = sizeof(struct restart_opts),
	.min_args = 1,
	.max_args = 1,
	.run = restart_run,
};

/* --- fault */

struct fault_opts {
	const char *lab;
	int64_t time;
	uint64_t until_pid;
	const char *cluster;
	const char *from;
	const char *direction;
	const char *rate;
	const char *percent;
	const char *mode;
	const char *way;
	const char *after_bytes;
	const char *after_request;
	const char *delay;
	bool once;
};

/* The options that are arguments of a fault, in the order in which they are shown. */
static const struct {
	const char *name;
	size_t offset;
} fault_args[] = {
	{"from", offsetof(struct fault_opts, from)},
	{"direction", offsetof(struct fault_opts, direction)},
	{"rate", offsetof(struct fault_opts, rate)},
	{"percent", offsetof(struct fault_opts, percent)},
	{"mode", offsetof(struct fault_opts, mode)},
	{"way", offsetof(struct fault_opts, way)},
	{"after-bytes", offsetof(struct fault_opts, after_bytes)},
	{"after-request", offsetof(struct fault_opts, after_request)},
	{"delay", offsetof(struct fault_opts, delay)},
};
#define N_FAULT_ARGS (sizeof(fault_args) / sizeof(fault_args[0]) + 1) /* and --once */

static size_t take_args(const struct fault_opts *o, struct fault_arg args[N_FAULT_ARGS])
{
	size_t n = 0;

	for (size_t i = 0; i < N_FAULT_ARGS - 1; i++) {
		const char *value;

		memcpy(&value, (const char *)o + fault_args[i].offset, sizeof(value));
		if (value)
			args[n++] = (struct fault_arg){fault_args[i].name, value};
	}
	if (o->once)
		args[n++] = (struct fault_arg){"once", "yes"};
	return n;
}

static int find_fault(const struct fault_ops *const *table, const char *word,
	const struct fault_ops **ret, struct err *e)
{
	char all[320] = "";
	size_t at = 0;

	for (size_t i = 0; table[i]; i++) {
		*ret = table[i];
		if (strcmp(table[i]->name, word) == 0)
			return 0;
		at += (size_t)snprintf(
			all + at, sizeof(all) - at, "%s%s", i ? ", " : "", table[i]->name);
	}
	err_set(e, ERR_USAGE, "there is no fault '%s'", word);
	return err_hint(e, "%s", all);
}

static void print_applied(const struct labfile_fault *fault)
{
	cmd_lab_said_all();
	print_fault(fault, "");
	fflush(stdout);
}

/* All nodes are looked up before the first is touched. */
static int fault_nodes(struct lab *lab, const struct fault_ops *ops, const struct fault_opts *o,
	int n, char **names, struct err *e)
{
	const struct fault_until until = {
		.ns = o->time, .pid = (pid_t)(o->until_pid > INT32_MAX ? INT32_MAX : o->until_pid)};
	struct labfile_node *nodes[LABFILE_MAX_NODES] = {NULL};
	struct fault_arg args[N_FAULT_ARGS];
	size_t n_args = take_args(o, args);
	int r = 0;

	for (int i = 0; i < n && r == 0; i++)
		r = cmd_lab_node(lab->file, names[i], &nodes[i], e);
	return r ? r
		 : fault_apply_all(
			   lab, ops, nodes, (size_t)n, args, n_args, &until, print_applied, e);
}

static int fault_run(struct cmdline *cl)
{
	const struct fault_opts *o = cl->opts;
	struct lab lab = {.lock_fd = -1, .say = cmd_lab_say};
	const struct fault_ops *ops = NULL;
	struct err e = {0};
	int r = find_fault(
		o->cluster ? fault_all_of(&lab_cluster) : fault_table, cl->argv[0], &ops, &e);

	if (r == 0 && o->cluster)
		r = cmd_lab_open_cluster(&lab, o->cluster, true, &e);
	else if (r == 0)
		r = open_of_node(&lab, o->lab, cl->argv[1], &e);
	if (r == 0)
		r = fault_nodes(&lab, ops, o, cl->argc - 1, cl->argv + 1, &e);
	cmd_lab_said_all();
	lab_close(&lab);
	return r ? cmd_lab_fail(&e) : EXIT_PASS;
}

static const struct opt fault_rows[] = {
	CMD_LAB_ROW(struct fault_opts),
	CMD_LAB_CLUSTER_ROW(struct fault_opts),
	{.name = "for",
		.type = OPT_DURATION,
		.arg = "TIME",
		.offset = offsetof(struct fault_opts, time),
		.group = "Until when",
		.help = "The fault heals by itself after this time, also when mqaudit was killed. "
			"Without it, mqaudit lab heal ends it."},
	{.name = "until-pid",
		.type = OPT_COUNT,
		.arg = "PID",
		.offset = offsetof(struct fault_opts, until_pid),
		.help = "The fault heals by itself when that process has ended, however it ends."},
	{.name = "from",
		.type = OPT_STRING,
		.arg = "WHOM",
		.offset = offsetof(struct fault_opts, from),
		.group = "Faults of the network",
		.help = "Whose links with the node are meant: brokers (all other nodes, on all "
			"ports; clients "
			"still reach it), clients, or all, which is the default but for isolate; of "
			"Kafka also controllers (only the controllers' port), or fetches (only what "
			"other nodes ask of its client port: replication)."},
	{.name = "direction",
		.type = OPT_STRING,
		.arg = "WAY",
		.offset = offsetof(struct fault_opts, direction),
		.help = "Only what comes in to the node, or goes out; both if it is not given."},
	{.name = "rate",
		.type = OPT_STRING,
		.arg = "RATE",
		.offset = offsetof(struct fault_opts, rate),
		.help = "For slow and for the proxy: 64kbit, 1mbit; or in bytes a second: 8k."},
	{.name = "percent",
		.type = OPT_STRING,
		.arg = "N",
		.offset = offsetof(struct fault_opts, percent),
		.help = "For loss: how many of 100 packets are dropped, 0.01 to 100."},
	{.name = "mode",
		.type = OPT_CHOICE,
		.arg = "MODE",
		.offset = offsetof(struct fault_opts, mode),
		.choices = "cut|stall|delay|throttle",
		.group = "Fault proxy",
		.help = "cut: reset the connection; stall: pass on nothing more, and keep it open; "
			"delay: pass on --delay later; throttle: pass on --rate bytes a second."},
	{.name = "after-request",
		.type = OPT_STRING,
		.arg = "KIND[:N]",
		.offset = offsetof(struct fault_opts, after_request),
		.help = "Kafka: when a request of this kind (produce, fetch, metadata, ...) has got "
			"through, it bites at its answer; with --way requests at the request. With :N "
			"from the N-th of them on, over all connections."},
	{.name = "after-bytes",
		.type = OPT_STRING,
		.arg = "SIZE",
		.offset = offsetof(struct fault_opts, after_bytes),
		.help = "It bites when so much was passed on, on each connection. Without either: "
			"from the start."},
	{.name = "way",
		.type = OPT_CHOICE,
		.arg = "WAY",
		.offset = offsetof(struct fault_opts, way),
		.choices = "requests|answers|both",
		.help = "Which way it bites: both; with --after-request answers."},
	{.name = "delay",
		.type = OPT_STRING,
		.arg = "TIME",
		.offset = offsetof(struct fault_opts, delay),
		.help = "For --mode delay: how much later."},
	{.name = "once",
		.type = OPT_FLAG,
		.offset = offsetof(struct fault_opts, once),
		.help = "Only the first time; everything else passes. Without it each connection, "
			"or each such request, is hit. Any client counts, also mqaudit lab "
			"status, which asks for metadata."},
	{.name = NULL},
};

const struct command cmd_lab_fault = {
	.name = "lab fault",
	.args = "KIND NODE...",
	.summary = "do harm to nodes of a lab: kill, freeze, cut and slow links, cut the power",
	.description =
		"kill      SIGKILL of the node's process; what it had written is in the page cache\n"
		"freeze    SIGSTOP: its connections stay open, and nobody answers\n"
		"isolate   drop all packets between the node and --from, without a word\n"
		"loss      drop --percent of them, at random\n"
		"slow      let only --rate through between the node and --from; the rest waits\n"
		"reset     break connections between the node and --from by a TCP reset, and refuse "
		"new ones\n"
		"answers   drop what the node answers clients, while their requests get through\n"
		"proxy     lead clients through a proxy that does --mode to connections at a set "
		"point; those that are there are reset, so that their clients come back through it (put it "
		"on before the client starts where that would be a fault of its own)\n"
		"powercut  cut the power of all nodes named at once: their processes are frozen, their "
		"file systems shut down within milliseconds without writing back what is in the page "
		"cache; what was not flushed is gone when they are healed\n"
		"diskfull  fill the node's file system; it ends itself then\n"
		"readonly  an error makes the file system read-only; it ends itself then\n"
		"diskerror every access to the file system fails (EIO); it ends itself then\n\n"
		"The last four need a lab with --disk loop. A node of RabbitMQ does not always end itself, "
		"and must write for an error to show.\n\n"
		"Prints the fault's id, and what proves that it bites: nothing is taken for "
		"granted. A fault stays until mqaudit lab heal, --for or --until-pid ends it.\n\n"
		"With --cluster the commands of a file do it to a cluster of your own, which that "
		"file must declare a test cluster: kill, freeze, isolate, powercut.",
	.examples = "# cut the leader from the other brokers; clients still reach it\n"
		    "mqaudit lab fault isolate $(mqaudit lab leader kafka orders) --from brokers\n"
		    "mqaudit lab fault kill kafka1\n"
		    "mqaudit lab fault kill kafka1 --cluster staging.ini\n"
		    "mqaudit lab fault freeze kafka2 --for 20s\n"
		    "# the 100th produce request gets through, and its answer does not\n"
		    "mqaudit lab fault proxy kafka1 --mode cut --after-request produce:100 --once\n"
		    "# everything that no node had flushed is lost\n"
		    "mqaudit lab fault powercut kafka1 kafka2 kafka3 && mqaudit lab heal\n",
	.opts = fault_rows,
	.opts_size = sizeof(struct fault_opts),
	.min_args = 2,
	.max_args = LABFILE_MAX_NODES + 1,
	.run = fault_run,
};

/* --- who holds a node's disk */

struct disk_holder_opts {
	int unused;
};

static int disk_holder_run(struct cmdline *cl)
{
	struct err e = {0};

	err_ignore(lab_disk_hold(cl->argv[0], cl->argv[1], &e));
	return cmd_lab_fail(&e);
}

static const struct opt disk_holder_rows[] = {{.name = NULL}};

const struct command cmd_lab_disk_holder = {
	.name = "lab disk-holder",
	.args = "IMAGE FOLDER",
	.summary = "mount a node's disk in a mount namespace of its own, and stay",
	.description = "For mqaudit itself.",
	.opts = disk_holder_rows,
	.opts_size = sizeof(struct disk_holder_opts),
	.min_args = 2,
	.max_args = 2,
	.run = disk_holder_run,
	.hidden = true,
};

/* --- the guard */

struct guard_opts {
	const char *lab;
	const char *cluster;
	uint64_t until_pid;
	uint64_t until_start;
	bool only_unfinished;
	const char *fault;
	uint64_t since;
	uint64_t heals_at;
};

/* Is there still something to do? Asked without the lock: an `up` that goes on holds it for long.
 */
static bool is_needed(const char *name, const struct lab_kind *kind)
{
	struct labfile *file = NULL;
	bool there = labfile_read(name, kind->name, &file, NULL) == 0;

	labfile_free(file);
	return there;
}

/* Heal one fault at its time; when that fails, again for a while: a node may just be restarting. */
static int guard_fault(const struct guard_opts *o, const struct lab_kind *kind, struct err *e)
{
	int r = fault_guard_wait((int64_t)o->heals_at, (pid_t)o->until_pid, o->until_start, e);
	int64_t give_up = clock_ns() + GUARD_TRIES_NS;

	for (bool again = r == 0; again;) {
		struct lab lab = {.lock_fd = -1};

		r = o->cluster ? cmd_lab_open_cluster(&lab, o->cluster, false, e)
			       : lab_open(&lab, o->lab, kind, CMD_LAB_LOCK_NS, e);
		if (r == 0 && lab.file && lab.file->state == LABFILE_UP)
			r = fault_heal_id(&lab, o->fault, (int64_t)o->since, e);
		lab_close(&lab);
		again = r && clock_ns() < give_up;
		if (again)
			clock_sleep_ns(NS_PER_S);
	}
	return r;
}

static int guard_run(struct cmdline *cl)
{
	const struct guard_opts *o = cl->opts;
	struct lab lab = {.lock_fd = -1};
	const struct lab_kind *kind = NULL;
	struct err e = {0};
	int r = cmd_lab_kind(cl->argv[0], &kind, &e);

	if (r == 0 && o->fault) {
		r = guard_fault(o, kind, &e);
		return r ? cmd_lab_fail(&e) : EXIT_PASS;
	}
	if (r == 0)
		r = lab_wait_end_of((pid_t)o->until_pid, o->until_start, 0, &e);
	if (r || !is_needed(o->lab, kind))
		return r ? cmd_lab_fail(&e) : EXIT_PASS;
	r = lab_open(&lab, o->lab, kind, CMD_LAB_LOCK_NS, &e);
	/* a lab that another process made meanwhile is none of ours */
	if (r == 0 && lab.file &&
		(o->only_unfinished ? lab.file->state == LABFILE_STARTING
				    : lab.file->guard_pid == getpid()))
		r = lab_down(&lab, &e);
	lab_close(&lab);
	return r ? cmd_lab_fail(&e) : EXIT_PASS;
}

static const struct opt guard_rows[] = {
	CMD_LAB_ROW(struct guard_opts),
	CMD_LAB_CLUSTER_ROW(struct guard_opts),
	{.name = "until-pid",
		.type = OPT_COUNT,
		.arg = "PID",
		.offset = offsetof(struct guard_opts, until_pid),
		.hidden = true,
		.help = "The process to wait for."},
	{.name = "until-start",
		.type = OPT_COUNT,
		.arg = "TICKS",
		.offset = offsetof(struct guard_opts, until_start),
		.hidden = true,
		.help = "When that process started."},
	{.name = "only-unfinished",
		.type = OPT_FLAG,
		.offset = offsetof(struct guard_opts, only_unfinished),
		.hidden = true,
		.help = "Only if the lab is half made."},
	{.name = "fault",
		.type = OPT_STRING,
		.arg = "ID",
		.offset = offsetof(struct guard_opts, fault),
		.hidden = true,
		.help = "Heal this fault, and leave the lab up."},
	{.name = "since",
		.type = OPT_COUNT,
		.arg = "NS",
		.offset = offsetof(struct guard_opts, since),
		.hidden = true,
		.help = "When that fault was put on, in ns since 1970."},
	{.name = "heals-at",
		.type = OPT_COUNT,
		.arg = "NS",
		.offset = offsetof(struct guard_opts, heals_at),
		.hidden = true,
		.help = "When it heals, on the monotonic clock; 0: never."},
	{.name = NULL},
};

const struct command cmd_lab_guard = {
	.name = "lab guard",
	.args = "kafka|rabbitmq",
	.summary = "wait for a time or the end of a process, then heal or take the lab down",
	.description = "For mqaudit itself.",
	.opts = guard_rows,
	.opts_size = sizeof(struct guard_opts),
	.min_args = 1,
	.max_args = 1,
	.run = guard_run,
	.hidden = true,
};

/* --- the holder */

struct holder_opts {
	uint64_t namespaces;
	uint64_t control;
};

static int holder_run(struct cmdline *cl)
{
	const struct holder_opts *o = cl->opts;

	return lab_holder_main((size_t)o->namespaces, (int)o->control);
}

static const struct opt holder_rows[] = {
	{.name = "namespaces",
		.type = OPT_COUNT,
		.arg = "N",
		.offset = offsetof(struct holder_opts, namespaces),
		.hidden = true,
		.help = "How many network namespaces."},
	{.name = "control",
		.type = OPT_COUNT,
		.arg = "FD",
		.offset = offsetof(struct holder_opts, control),
		.hidden = true,
		.help = "The descriptor to its starter."},
	{.name = NULL},
};

const struct command cmd_lab_holder = {
	.name = "lab holder",
	.args = "",
	.summary = "keep the namespaces of a lab in user namespaces",
	.description = "For mqaudit itself.",
	.opts = holder_rows,
	.opts_size = sizeof(struct holder_opts),
	.run = holder_run,
	.hidden = true,
};
