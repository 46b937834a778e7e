/* mqaudit lab status, exec, leader: they read the lab's state and change nothing. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/units.h"
#include "core/words.h"
#include "scenarios/lab/cmd_lab.h"
#include "scenarios/lab/cmd_lab_common.h"
#include "scenarios/lab/fault.h"
#include "scenarios/lab/kafka_tools.h"
#include "scenarios/lab/lab_cluster.h"
#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/lab_process.h"

/* --- status */

struct status_opts {
	const char *lab;
	const char *cluster;
	const char *format;
	int64_t timeout;
};

static uint64_t rss_bytes(pid_t pid)
{
	char path[48];
	unsigned long pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void print_node(const struct labfile *file, const struct labfile_node *node)
{
	static const char *const answers[] = {
		[LABFILE_NOT_ASKED] = "-", [LABFILE_ANSWERS] = "yes", [LABFILE_SILENT] = "NO"};
	char address[160], rss[UNITS_LEN] = "-", pid[16] = "-";

	snprintf(address, sizeof(address), strchr(node->address, ':') ? "[%s]:%d" : "%s:%d",
		node->address, node->port);
	if (node->pid && labfile_node_alive(file, node)) {
		units_bytes(rss_bytes(node->pid), rss);
		snprintf(pid, sizeof(pid), "%d", (int)node->pid);
	}
	printf("  %-10s %-9s %-8s %-9s %-19s %s", node->name, labfile_node_state_text(node->state),
		answers[node->answer], pid, address, rss);
	if (file->disk_bytes)
		printf("%*s%s", (int)(9 - strlen(rss)), "",
			labfile_disk_state_text(node->disk_state));
	if (node->version[0])
		printf("  is %s", node->version);
	if (node->partitioned)
		printf("  holds others to be partitioned off");
	printf("\n");
}

/* "  (heals in 12 s, or with process 42)" for a fault that heals by itself; else "". */
static void describe_until(const struct labfile_fault *f, char *ret, size_t len)
{
	char in[UNITS_LEN] = "", with[32] = "";

	ret[0] = '\0';
	if (!f->heals_at_ns && !f->until_pid)
		return;
	if (f->until_pid)
		snprintf(with, sizeof(with), "with process %d", (int)f->until_pid);
	if (f->heals_at_ns)
		units_duration(f->heals_at_ns > clock_ns() ? f->heals_at_ns - clock_ns() : 0, in);
	snprintf(ret, len, "  (heals %s%s%s%s)", f->heals_at_ns ? "in " : "", in,
		f->heals_at_ns && f->until_pid ? ", or " : "", with);
}

static void print_faults(const struct labfile *file)
{
	if (file->n_faults)
		printf("  faults that are on\n");
	for (size_t i = 0; i < file->n_faults; i++) {
		const struct labfile_fault *f = &file->fault[i];
		char since[CLOCK_ISO_LEN], until[64];

		describe_until(f, until, sizeof(until));
		printf("  %-4s %s  %s %s%s%s  %s%s%s%s  (%s)\n", f->id,
			clock_hms(f->since_wall_ns, false, since, sizeof(since)), f->kind, f->node,
			*f->args ? "  " : "", f->args,
			f->state == LABFILE_FAULT_ON ? "" : labfile_fault_state_text(f->state),
			f->state == LABFILE_FAULT_ON ? "" : "  ",
			*f->proof ? f->proof : "no proof yet that it bites", until,
			*f->by ? f->by : "by whom is not known");
	}
}

static void print_head(const struct labfile *file)
{
	if (file->network == LABFILE_ON_CLUSTER)
		printf("cluster '%s'  kafka  %s\n", file->name, file->cluster_file);
	else
		printf("lab '%s'  %s %s%s  %s\n", file->name, file->kind, file->version,
			file->secure ? ", secure" : "", labfile_state_text(file->state));
	if (file->network == LABFILE_ON_USER_NAMESPACES || file->network == LABFILE_ON_LOOPBACK)
		printf("  network    %s\n", labfile_network_text(file->network));
}

static void print_status(const struct labfile *file)
{
	char size[UNITS_LEN];

	print_head(file);
	if (!labfile_same_boot(file))
		printf("  the machine was restarted since: mqaudit lab down cleans up\n");
	if (file->bootstrap[0])
		printf("  bootstrap  %s\n", file->bootstrap);
	if (file->client_config[0])
		printf("  properties %s\n", file->client_config);
	if (file->disk_bytes) {
		units_bytes(file->disk_bytes, size);
		printf("  disks      loop, %s each\n", size);
	}
	printf("  %-10s %-9s %-8s %-9s %-19s %s\n", "NODE", "STATE", "ANSWERS", "PID", "ADDRESS",
		file->disk_bytes ? "MEMORY   DISK" : "MEMORY");
	for (size_t i = 0; i < file->n_nodes; i++)
		print_node(file, &file->node[i]);
	print_faults(file);
	if (file->until_pid)
		printf("  taken down when process %d ends\n", (int)file->until_pid);
}

/* Bring the picture up to date: who lives, who answers, what each fault has done by now. */
static void look(const struct lab_kind *kind, struct cluster *cluster, struct labfile *file,
	int64_t timeout_ns)
{
	struct lab lab = {.kind = kind, .file = file, .cluster = cluster, .lock_fd = -1};

	labfile_refresh(file);
	for (size_t i = 0; i < file->n_nodes && file->disk_bytes; i++)
		file->node[i].disk_state = lab_disk_look(&file->node[i]);
	if (file->state != LABFILE_UP || !labfile_same_boot(file))
		return;
	kind->ask(file, timeout_ns, NULL);
	for (size_t i = 0; i < file->n_faults; i++) {
		const struct fault_ops *ops = fault_find_of(kind, file->fault[i].kind);

		if (ops)
			err_ignore(ops->prove(&lab, &file->fault[i], 0, NULL));
	}
}

static int print_one(const struct labfile *file, bool json, struct err *e)
{
	struct buf out;
	int r = 0;

	if (!json) {
		print_status(file);
		return 0;
	}
	buf_init(&out, BUF_MAX_DEFAULT);
	labfile_format(file, &out);
	r = buf_failed(&out);
	if (r)
		err_set(e, r, "cannot format the status: %s", err_code_text(r));
	else
		fputs(buf_str(&out), stdout);
	buf_release(&out);
	return r;
}

static int show_one(const char *name, const struct lab_kind *kind, const struct status_opts *o,
	bool json, struct err *e)
{
	struct labfile *file = NULL;
	int r = labfile_read(name, kind->name, &file, e);

	if (r)
		return r;
	look(kind, NULL, file, o->timeout);
	r = print_one(file, json, e);
	labfile_free(file);
	return r;
}

static int show_cluster(const struct status_opts *o, bool json, struct err *e)
{
	struct labfile *file = NULL;
	struct cluster *c = NULL;
	int r = cluster_load(o->cluster, &c, e);

	if (r == 0)
		r = lab_cluster_read(c, &file, e);
	if (r == 0) {
		look(&lab_cluster, c, file, o->timeout);
		r = print_one(file, json, e);
	}
	labfile_free(file);
	cluster_free(c);
	return r;
}

/* Those of all labs that are asked for. With neither --lab nor a kind: every one. */
static int show_all(const char *name, const struct status_opts *o, bool json, struct err *e)
{
	struct labfile_entry *list = NULL;
	size_t n = 0, shown = 0;
	int r = labfile_list(NULL, &list, &n, e);

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct lab_kind *kind = lab_kind_find(list[i].kind);

		if (!kind || (name && strcmp(name, list[i].name) != 0))
			continue;
		if (json && shown)
			r = err_set(e, ERR_USAGE, "several labs are up: say which, for JSON");
		else
			r = show_one(list[i].name, kind, o, json, e);
		shown++;
	}
	free(list);
	if (r == 0 && !shown) {
		r = err_set(e, ERR_NOTFOUND, "no lab is up");
		err_hint(e, "mqaudit lab up starts one");
	}
	return r;
}

static int status_run(struct cmdline *cl)
{
	const struct status_opts *o = cl->opts;
	bool json = strcmp(o->format, "json") == 0;
	const struct lab_kind *kind = NULL;
	struct err e = {0};
	int r = 0;

	if (cl->argc)
		r = cmd_lab_kind(cl->argv[0], &kind, &e);
	if (r == 0 && o->cluster)
		r = show_cluster(o, json, &e);
	else if (r == 0 && kind)
		r = show_one(o->lab, kind, o, json, &e);
	else if (r == 0)
		r = show_all(opt_given(cl, "lab") ? o->lab : NULL, o, json, &e);
	return r ? cmd_lab_fail(&e) : EXIT_PASS;
}

static const struct opt status_rows[] = {
	CMD_LAB_ROW(struct status_opts),
	CMD_LAB_CLUSTER_ROW(struct status_opts),
	{.name = "format",
		.type = OPT_CHOICE,
		.arg = "FORMAT",
		.offset = offsetof(struct status_opts, format),
		.dflt = "text",
		.choices = "text|json",
		.help = "text, or json for programs."},
	{.name = "timeout",
		.type = OPT_DURATION,
		.arg = "TIME",
		.offset = offsetof(struct status_opts, timeout),
		.dflt = "2s",
		.help = "How long a node may take to answer."},
	{.name = NULL},
};

const struct command cmd_lab_status = {
	.name = "lab status",
	.args = "[kafka|rabbitmq]",
	.summary = "what is up, which nodes answer, which faults are on",
	.description =
		"Asks every node on a connection of its own. Without a broker and --lab it shows all "
		"labs. No lab is an error (exit code 3).",
	.examples = "mqaudit lab status kafka --format json\n",
	.opts = status_rows,
	.opts_size = sizeof(struct status_opts),
	.min_args = 0,
	.max_args = 1,
	.run = status_run,
};

/* --- exec */

struct name_opts {
	const char *lab;
	const char *cluster;
};

static const struct opt name_rows[] = {
	CMD_LAB_ROW(struct name_opts),
	CMD_LAB_CLUSTER_ROW(struct name_opts),
	{.name = NULL},
};

#define EXIT_CANNOT_EXECUTE 126
#define EXIT_NO_COMMAND 127

static int enter(const struct labfile *file, struct err *e)
{
	int fd = -1, r;

	if (file->network == LABFILE_ON_USER_NAMESPACES)
		return labfile_join(file, e);
	if (!file->client_netns[0])
		return 0;
	r = lab_open_netns(file->client_netns, &fd, e);
	if (r)
		return r;
	if (setns(fd, CLONE_NEWNET) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot enter the lab's network namespace");
	close(fd);
	return r;
}

static int exec_run(struct cmdline *cl)
{
	const struct name_opts *o = cl->opts;
	const struct lab_kind *kind = NULL;
	struct labfile *file = NULL;
	struct err e = {0};
	int r = cmd_lab_kind(cl->argv[0], &kind, &e);

	if (r == 0)
		r = cmd_lab_read(o->lab, kind, o->cluster, &file, &e);
	if (r == 0)
		r = o->cluster ? kafka_tools_bootstrap(file, &e) : kind->environment(file, &e);
	if (r == 0)
		r = enter(file, &e);
	labfile_free(file);
	if (r)
		return cmd_lab_fail(&e);
	execvp(cl->argv[1], cl->argv + 1);
	r = errno == ENOENT ? EXIT_NO_COMMAND : EXIT_CANNOT_EXECUTE;
	log_error("cannot execute '%s': %s", cl->argv[1], strerror(errno));
	return r;
}

const struct command cmd_lab_exec = {
	.name = "lab exec",
	.args = "kafka|rabbitmq -- COMMAND...",
	.summary = "run a command where the lab's clients live",
	.description =
		"With Kafka the command finds the brokers in $KAFKA_BOOTSTRAP, the file of client "
		"properties of a secure lab in $KAFKA_CLIENT_CONFIG, and Kafka's own tools "
		"(kafka-topics, kafka-console-producer, ...) in its PATH. With RabbitMQ it finds "
		"the nodes in $RABBITMQ_BOOTSTRAP, the first of them in $RABBITMQ_HOST and "
		"$RABBITMQ_PORT, the user and his password in $RABBITMQ_USER and the file "
		"$RABBITMQ_PASSWORD_FILE, all of it in $RABBITMQ_URL, and rabbitmqctl, "
		"rabbitmq-diagnostics, rabbitmq-queues, ... in its PATH: they ask node 1, or that "
		"of --node, which may be a name of the lab. Its exit code is passed on; 127 if "
		"there is no such command, 126 if it cannot be executed.",
	.examples = "mqaudit lab exec kafka -- sh -c 'kcat -b $KAFKA_BOOTSTRAP -L'\n"
		    "mqaudit lab exec kafka -- sh -c 'kafka-topics --bootstrap-server "
		    "$KAFKA_BOOTSTRAP --list'\n"
		    "mqaudit lab exec rabbitmq -- rabbitmqctl --node rabbitmq2 cluster_status\n",
	.opts = name_rows,
	.opts_size = sizeof(struct name_opts),
	.min_args = 2,
	.max_args = -1,
	.run = exec_run,
};

/* --- leader */

struct leader_opts {
	const char *lab;
	bool isr;
	const char *cluster;
	int64_t timeout;
};

static int parse_partition(const char *text, int *ret, struct err *e)
{
	uint64_t n;
	int r = units_parse_count(text, &n, e);

	if (r || n > INT32_MAX)
		return err_set(e, ERR_USAGE, "'%s' is no partition", text);
	*ret = (int)n;
	return 0;
}

static void print_leader(const struct lab_leader *leader, bool isr)
{
	printf("%s", leader->node->name);
	for (size_t i = 0; isr && i < leader->n_in_sync; i++)
		printf("%s%s", i ? "," : " ", leader->in_sync[i]->name);
	putchar('\n');
}

static int leader_run(struct cmdline *cl)
{
	const struct leader_opts *o = cl->opts;
	struct lab_leader leader = {NULL};
	const struct lab_kind *kind = NULL;
	struct labfile *file = NULL;
	struct err e = {0};
	int partition = 0, r = cmd_lab_kind(cl->argv[0], &kind, &e);

	if (r == 0 && cl->argc == 3)
		r = parse_partition(cl->argv[2], &partition, &e);
	if (r == 0)
		r = cmd_lab_read(o->lab, kind, o->cluster, &file, &e);
	if (r == 0)
		labfile_refresh(file);
	if (r == 0)
		r = kind->leader(file, cl->argv[1], partition, o->timeout, &leader, &e);
	if (r == 0)
		print_leader(&leader, o->isr);
	labfile_free(file);
	return r ? cmd_lab_fail(&e) : EXIT_PASS;
}

static const struct opt leader_rows[] = {
	CMD_LAB_ROW(struct leader_opts),
	{.name = "isr",
		.type = OPT_FLAG,
		.offset = offsetof(struct leader_opts, isr),
		.help = "Name the in-sync replicas behind it, too."},
	CMD_LAB_CLUSTER_ROW(struct leader_opts),
	{.name = "timeout",
		.type = OPT_DURATION,
		.arg = "TIME",
		.offset = offsetof(struct leader_opts, timeout),
		.dflt = "30s",
		.help = "How long to wait for a majority that agrees."},
	{.name = NULL},
};

const struct command cmd_lab_leader = {
	.name = "lab leader",
	.args = "kafka|rabbitmq TOPIC|QUEUE [PARTITION]",
	.summary = "the node that leads a partition or a queue, as the majority sees it",
	.description = "Every node is asked by itself, and more than half of all nodes must agree: "
		       "a leader "
		       "that is cut off still believes in itself. Partition 0 if none is given. "
		       "A classic queue is led by the node where it lives, and in sync are its "
		       "mirrors; of a quorum queue or stream those of its members that its "
		       "leader's side is connected with.",
	.examples = "mqaudit lab leader kafka orders\nmqaudit lab leader rabbitmq work --isr\n",
	.opts = leader_rows,
	.opts_size = sizeof(struct leader_opts),
	.min_args = 2,
	.max_args = 3,
	.run = leader_run,
};
