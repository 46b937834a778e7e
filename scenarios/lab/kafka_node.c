#include "scenarios/lab/kafka_node.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"
#include "core/rng.h"
#include "lab_data.h"
#include "scenarios/lab/kafka_dist.h"
#include "scenarios/lab/kafka_secure.h"
#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/lab_kafka.h"
#include "scenarios/lab/lab_ping.h"
#include "scenarios/lab/lab_process.h"
#include "scenarios/lab/lab_tls.h"
#include "scenarios/lab/template.h"

#define FORMAT_TIMEOUT_NS (120 * NS_PER_S)
#define TRAIN_TIMEOUT_NS (60 * NS_PER_S)
#define CLUSTER_ID_LEN 23

static void node_path(
	const struct lab *lab, const char *node, const char *name, char *ret, size_t len)
{
	snprintf(ret, len, "%.400s/%s/%s", lab->folder, node, name);
}

static void list_voters(const struct lab *lab, char *ret, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < lab->file->n_nodes; i++)
		at += (size_t)snprintf(ret + at, len - at, "%s%d@%s:%d", i ? "," : "",
			lab->file->node[i].id, lab->file->node[i].address,
			LAB_KAFKA_CONTROLLER_PORT);
}

/*
 * Is "name=value" a feature of the cluster, which it is born with, and no setting of a node? These are all that
 * kafka-features of 4.1.0 describes but metadata.version, which follows --version.
 */
static bool is_feature(const char *setting)
{
	static const char *const names[] = {"eligible.leader.replicas.version=", "group.version=",
		"kraft.version=", "share.version=", "transaction.version="};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(setting, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* The last lines of a configuration: who is secure needs secrets in it, and the user has the last
 * word. */
static int add_rest(
	struct buf *b, const struct lab *lab, const struct labfile_node *node, struct err *e)
{
	char pem[PATHS_MAX], ca[PATHS_MAX], password[KAFKA_SECURE_USERS][64] = {""};
	const struct template_pair pairs[] = {{"ADMIN_PASSWORD", password[0]},
		{"ALICE_PASSWORD", password[1]}, {"MALLORY_PASSWORD", password[2]},
		{"NODE_PEM", pem}, {"CA_PEM", ca}, {"NODE_CN", LAB_TLS_NODE_CN}, {NULL, NULL}};
	const char *name;
	int r = 0;

	if (lab->file->secure) {
		kafka_secure_node_pem(lab, node, pem, sizeof(pem));
		kafka_secure_ca_pem(lab, ca, sizeof(ca));
		for (int i = 0; i < KAFKA_SECURE_USERS && r == 0; i++)
			r = kafka_secure_user(lab, i, &name, password[i], sizeof(password[i]), e);
		template_fill(b, LAB_KAFKA_LISTENERS_SECURE_PROPERTIES, pairs);
	} else {
		buf_str_add(b, LAB_KAFKA_LISTENERS_PLAIN_PROPERTIES);
	}
	if (lab->file->n_settings)
		buf_str_add(b, "\n# the user's own\n");
	for (size_t i = 0; i < lab->file->n_settings; i++)
		if (!is_feature(lab->file->setting[i]))
			buf_printf(b, "%s\n", lab->file->setting[i]);
	return r;
}

static void add_common(struct buf *b, const struct labfile_node *node, const char *voters,
	const char *data, int n_nodes)
{
	char id[12], client_port[12], controller_port[12], replicas[12], min_isr[12];
	const struct template_pair pairs[] = {{"ID", id}, {"ADDRESS", node->address},
		{"CLIENT_PORT", client_port}, {"CONTROLLER_PORT", controller_port},
		{"VOTERS", voters}, {"DATA", data}, {"REPLICAS", replicas}, {"MIN_ISR", min_isr},
		{NULL, NULL}};

	snprintf(id, sizeof(id), "%d", node->id);
	snprintf(client_port, sizeof(client_port), "%d", node->port);
	snprintf(controller_port, sizeof(controller_port), "%d", LAB_KAFKA_CONTROLLER_PORT);
	snprintf(replicas, sizeof(replicas), "%d", n_nodes < 3 ? n_nodes : 3);
	snprintf(min_isr, sizeof(min_isr), "%d", n_nodes < 2 ? n_nodes : 2);
	template_fill(b, LAB_KAFKA_NODE_PROPERTIES, pairs);
}

static int write_buf(const char *path, const struct buf *b, struct err *e)
{
	int r = buf_failed(b);

	if (r)
		return err_set(e, r, "%s", err_code_text(r));
	return paths_write_secret(path, buf_str(b), b->len, e);
}

static int write_config(const struct lab *lab, const struct labfile_node *node, struct err *e)
{
	char voters[400], path[PATHS_MAX], tmp[PATHS_MAX];
	struct buf b;
	int r;

	buf_init(&b, 1 << 20);
	node_path(lab, node->name, "tmp", tmp, sizeof(tmp));
	r = paths_make(tmp, 0755, e);
	if (r)
		goto out;
	list_voters(lab, voters, sizeof(voters));
	add_common(&b, node, voters, node->data, (int)lab->file->n_nodes);
	r = add_rest(&b, lab, node, e);
	if (r)
		goto out;
	node_path(lab, node->name, "node.properties", path, sizeof(path));
	r = write_buf(path, &b, e);
out:
	buf_release(&b);
	return r;
}

/* --- the storage tool */

/* 16 random bytes in base64 for names, as Kafka writes a UUID; never with '-' in front, an option.
 */
static void make_cluster_id(char ret[CLUSTER_ID_LEN])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint64_t bits[3] = {rng_system(), rng_system(), rng_system()};

	for (int i = 0; i < CLUSTER_ID_LEN - 1; i++)
		ret[i] = digits[bits[i / 10] >> (6 * (i % 10)) & 63];
	ret[0] = digits[bits[0] & 31];
	/* 22 digits hold 132 bits: the last four are zero */
	ret[CLUSTER_ID_LEN - 2] = "AQgw"[bits[2] >> 60 & 3];
	ret[CLUSTER_ID_LEN - 1] = '\0';
}

static int add_users(struct buf *b, const struct lab *lab, struct err *e)
{
	int r = 0;

	for (int i = 0; i < KAFKA_SECURE_USERS && r == 0; i++) {
		const char *name = "";
		char password[64] = "";

		r = kafka_secure_user(lab, i, &name, password, sizeof(password), e);
		buf_printf(b, "--add-scram\n\"SCRAM-SHA-256=[name=%s,password=%s]\"\n", name,
			password);
	}
	return r;
}

/*
 * The tool's arguments go into a file of ours alone: a command line can be read by everybody.
 * config and the file's name may be anything but hold no quotes: they are below the state folder.
 */
static int write_format_args(const struct lab *lab, const char *path, const char *config,
	const char *cluster_id, bool with_users, struct err *e)
{
	struct buf b;
	int r = 0;

	buf_init(&b, 65536);
	buf_printf(&b, "kafka.tools.StorageTool\nformat\n--cluster-id\n%s\n--config\n\"%s\"\n",
		cluster_id, config);
	for (size_t i = 0; i < lab->file->n_settings; i++)
		if (is_feature(lab->file->setting[i]))
			buf_printf(&b, "--feature\n\"%s\"\n", lab->file->setting[i]);
	if (with_users)
		r = add_users(&b, lab, e);
	if (r == 0)
		r = write_buf(path, &b, e);
	buf_release(&b);
	return r;
}

/* disk_holder: whose mount namespace has the data folder's disk; 0: none of its own. */
static int start_format(const struct lab *lab, const char *args, const char *log, pid_t disk_holder,
	pid_t *ret_pid, struct err *e)
{
	char java[PATHS_MAX], common[PATHS_MAX + 2], own[PATHS_MAX + 2], log4j[PATHS_MAX + 64];
	const char *argv[] = {java, "-Xms16m", "-Xmx128m", "-XX:+UseSerialGC",
		"-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", log4j, common, own, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int r = kafka_dist_java(java, sizeof(java), e);

	if (r)
		return r;
	snprintf(log4j, sizeof(log4j), "-Dlog4j2.configurationFile=%s/log4j2.properties",
		lab->folder);
	snprintf(common, sizeof(common), "@%s", lab->file->java_args);
	snprintf(own, sizeof(own), "@%s", args);
	spec.argv = argv;
	spec.output_file = log;
	spec.mntns_of = disk_holder;
	spec.death_signal = SIGKILL; /* it has no namespace to be found in */
	return proc_start(&spec, ret_pid, e);
}

static int wait_format(const char *name, pid_t pid, const char *log, struct err *e)
{
	char words[400];
	int status, r = proc_wait(pid, FORMAT_TIMEOUT_NS, &status, e);

	if (r) {
		kill(pid, SIGKILL); /* our own child, not reaped yet */
		err_ignore(proc_wait(pid, -1, &status, NULL));
		return err_wrap(e, "format the storage of %s", name);
	}
	if (status == 0)
		return 0;
	lab_last_words(log, words, sizeof(words));
	return err_set(e, ERR_IO, "cannot format the storage of %s: ...%s", name, words);
}

static int format_node(struct lab *lab, const struct labfile_node *node, const char *args,
	pid_t *ret_pid, struct err *e)
{
	pid_t disk_holder = 0;
	int r = lab->file->disk_bytes ? lab_disk_holder(node, &disk_holder, e) : 0;

	return r ? r : start_format(lab, args, node->log, disk_holder, ret_pid, e);
}

int kafka_node_format_all(struct lab *lab, struct err *e)
{
	struct labfile *file = lab->file;
	pid_t pid[LABFILE_MAX_NODES] = {0};
	char cluster_id[CLUSTER_ID_LEN], config[PATHS_MAX], args[PATHS_MAX];
	int r = 0;

	make_cluster_id(cluster_id);
	for (size_t i = 0; i < file->n_nodes && r == 0; i++) {
		const struct labfile_node *node = &file->node[i];

		r = write_config(lab, node, e);
		node_path(lab, node->name, "node.properties", config, sizeof(config));
		node_path(lab, node->name, "format.args", args, sizeof(args));
		if (r == 0)
			r = write_format_args(lab, args, config, cluster_id, file->secure, e);
		if (r == 0)
			r = format_node(lab, node, args, &pid[i], e);
	}
	for (size_t i = 0; i < file->n_nodes; i++) {
		int r_one = pid[i] ? wait_format(file->node[i].name, pid[i], file->node[i].log,
					     r ? NULL : e)
				   : 0;

		r = r ? r : r_one;
		node_path(lab, file->node[i].name, "format.args", args, sizeof(args));
		(void)unlink(args);
	}
	return r;
}

/* --- the process */

/* java with the flags of a node, in the order of the list; extra may be NULL. */
struct command_line {
	char java[PATHS_MAX];
	char tmp[PATHS_MAX + 32];
	char log4j2[PATHS_MAX + 64];
	char log4j1[PATHS_MAX + 64];
	char jvm[PATHS_MAX + 16];
	char args[PATHS_MAX + 2];
	char config[PATHS_MAX];
	const char *argv[20];
};

static int fill_command_line(const struct lab *lab, const char *node, const char *args,
	const char *extra, struct command_line *c, struct err *e)
{
	char tmp[PATHS_MAX];
	int n = 0, r = kafka_dist_java(c->java, sizeof(c->java), e);

	node_path(lab, node, "tmp", tmp, sizeof(tmp));
	node_path(lab, node, "node.properties", c->config, sizeof(c->config));
	snprintf(c->tmp, sizeof(c->tmp), "-Djava.io.tmpdir=%s", tmp);
	snprintf(c->log4j2, sizeof(c->log4j2), "-Dlog4j2.configurationFile=%s/log4j2.properties",
		lab->folder);
	snprintf(c->log4j1, sizeof(c->log4j1), "-Dlog4j.configuration=file:%s/log4j.properties",
		lab->folder);
	snprintf(c->jvm, sizeof(c->jvm), "@%s/jvm.args", lab->folder);
	snprintf(c->args, sizeof(c->args), "@%s", args);
	c->argv[n++] = c->java;
	c->argv[n++] = c->jvm;
	c->argv[n++] = "-XX:+ExitOnOutOfMemoryError";
	c->argv[n++] = c->tmp;
	c->argv[n++] = c->log4j2;
	c->argv[n++] = c->log4j1;
	if (extra)
		c->argv[n++] = extra;
	c->argv[n++] = c->args;
	c->argv[n++] = "kafka.Kafka";
	c->argv[n++] = c->config;
	c->argv[n] = NULL;
	return r;
}

int kafka_node_start(struct lab *lab, struct labfile_node *node, struct err *e)
{
	struct command_line *c = calloc(1, sizeof(*c));
	char args[PATHS_MAX];
	int r;

	kafka_dist_node_args(lab, node, args, sizeof(args));
	r = c ? fill_command_line(lab, node->name, args, NULL, c, e)
	      : err_set(e, ERR_NOMEM, "out of memory");

	if (r == 0)
		r = lab_spawn(lab, node, c->argv, e);
	free(c);
	return r;
}

/* --- the archive of classes */

#define TRAIN "train"

static int prepare_training(
	const struct lab *lab, const struct labfile_node *node, const char *log, struct err *e)
{
	char voters[80], data[PATHS_MAX], tmp[PATHS_MAX], config[PATHS_MAX], args[PATHS_MAX];
	char cluster_id[CLUSTER_ID_LEN];
	struct buf b;
	pid_t pid;
	int r;

	buf_init(&b, 1 << 20);
	node_path(lab, TRAIN, "tmp", tmp, sizeof(tmp));
	node_path(lab, TRAIN, "data", data, sizeof(data));
	node_path(lab, TRAIN, "node.properties", config, sizeof(config));
	node_path(lab, TRAIN, "format.args", args, sizeof(args));
	r = paths_make(tmp, 0755, e);
	if (r)
		goto out;
	snprintf(voters, sizeof(voters), "%d@%s:%d", node->id, node->address,
		LAB_KAFKA_CONTROLLER_PORT);
	add_common(&b, node, voters, data, 1);
	buf_str_add(&b, LAB_KAFKA_LISTENERS_PLAIN_PROPERTIES);
	r = write_buf(config, &b, e);
	if (r)
		goto out;
	make_cluster_id(cluster_id);
	r = write_format_args(lab, args, config, cluster_id, false, e);
	if (r == 0)
		r = start_format(lab, args, log, -1, &pid, e);
	if (r == 0)
		r = wait_format("the training node", pid, log, e);
out:
	buf_release(&b);
	return r;
}

static int wait_served(const struct lab *lab, const struct labfile_node *node, pid_t pid,
	uint64_t start_time, struct err *e)
{
	int64_t deadline = clock_ns() + TRAIN_TIMEOUT_NS;
	char bootstrap[80];
	struct kafka_ping ping = {.bootstrap = bootstrap, .timeout_ns = NS_PER_S};
	struct kafka_view view;

	snprintf(bootstrap, sizeof(bootstrap), "%s:%d", node->address, node->port);
	for (;;) {
		struct err why = {0};
		int r = lab_check_stop(lab, e);

		if (r)
			return r;
		r = lab_ping_each(lab->file, node->netns, &ping, 1, &view, &why, e);
		if (r)
			return r;
		if (why.code == 0 && view.n_brokers == 1)
			return 0;
		if (!proc_alive(pid, start_time) || clock_ns() >= deadline)
			return err_set(e, ERR_BROKER_AWAY, "the training node does not serve");
	}
}

static int train(struct lab *lab, const char *archive, const char *log, struct err *e)
{
	const struct labfile_node *node = &lab->file->node[0];
	char extra[PATHS_MAX + 40];
	struct command_line *c = calloc(1, sizeof(*c));
	struct proc_spec spec = PROC_SPEC_INIT;
	uint64_t start_time = 0;
	char mark[PATHS_MAX + 64];
	const char *const env[] = {mark, NULL};
	pid_t pid = 0;
	int r = c ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	if (r == 0)
		r = prepare_training(lab, node, log, e);
	if (r == 0)
		r = lab_enter(node->netns, &spec, e);
	if (r)
		goto out;
	snprintf(extra, sizeof(extra), "-XX:ArchiveClassesAtExit=%s", archive);
	r = fill_command_line(lab, TRAIN, lab->file->java_args, extra, c, e);
	if (r)
		goto out;
	lab_mark(lab, TRAIN, mark, sizeof(mark));
	spec.argv = c->argv;
	spec.env = env;
	spec.output_file = log;
	spec.new_session = true;
	r = proc_start(&spec, &pid, e);
	if (r)
		goto out;
	start_time = proc_start_time(pid);
	r = wait_served(lab, node, pid, start_time, e);
	proc_signal(pid, start_time, r ? SIGKILL : SIGTERM);
	if (lab_wait_gone(pid, start_time, TRAIN_TIMEOUT_NS, r ? NULL : e)) {
		r = r ? r : ERR_TIMEOUT;
		proc_signal(pid, start_time, SIGKILL);
		err_ignore(lab_wait_gone(pid, start_time, TRAIN_TIMEOUT_NS, NULL));
	}
out:
	lab_leave(&spec);
	free(c);
	return r;
}

static int train_into(struct lab *lab, const char *archive, struct err *e)
{
	char partial[PATHS_MAX + 8], folder[PATHS_MAX], log[PATHS_MAX];
	struct err why = {0};
	int r;

	lab_say(lab, "making Kafka start faster (once)");
	snprintf(partial, sizeof(partial), "%s.part", archive);
	node_path(lab, TRAIN, "train.log", log, sizeof(log));
	node_path(lab, TRAIN, "", folder, sizeof(folder));
	r = train(lab, partial, log, &why);
	if (r == ERR_STOPPED)
		*e = why;
	else if (r == 0 && rename(partial, archive) == 0)
		r = kafka_dist_write_args(lab, e);
	else
		r = 0; /* slower, and nothing worse */
	(void)unlink(partial);
	err_ignore(paths_remove_tree(folder, NULL));
	return r;
}

int kafka_node_train(struct lab *lab, struct err *e)
{
	char archive[PATHS_MAX], folder[PATHS_MAX];
	int fd = -1, r;

	kafka_dist_archive(lab, archive, sizeof(archive));
	if (!*archive || access(archive, R_OK) == 0)
		return 0;
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(archive, '/') - archive), archive);
	if (access(folder, W_OK) != 0) /* somebody else's program files */
		return 0;
	r = kafka_dist_lock(lab, &fd, e);
	if (r)
		return r;
	if (access(archive, R_OK) == 0) /* by another lab, meanwhile */
		r = kafka_dist_write_args(lab, e);
	else
		r = train_into(lab, archive, e);
	kafka_dist_unlock(lab, fd);
	return r;
}

/* --- what it has stored */

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcmp(name + n - m, end) == 0;
}

/* The sizes of all *.log files of one folder. */
static int64_t log_bytes_in(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *d;
	int64_t sum = 0;

	while (dir && (d = readdir(dir))) {
		struct stat st;

		if (ends_in(d->d_name, ".log") &&
			fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			sum += st.st_size;
	}
	if (dir)
		closedir(dir);
	return sum;
}

/* What the node holds of topics, in bytes; the cluster's own metadata aside, which it flushes. */
int64_t kafka_node_stored_bytes(const struct labfile_node *node)
{
	char root[PATHS_MAX + 32], folder[PATHS_MAX + 320];
	struct dirent *d;
	int64_t sum = 0;
	DIR *dir;

	lab_disk_path(node, "data", root, sizeof(root));
	dir = opendir(root);
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || strncmp(d->d_name, "__cluster_metadata", 18) == 0)
			continue;
		snprintf(folder, sizeof(folder), "%s/%s", root, d->d_name);
		sum += log_bytes_in(folder);
	}
	if (dir)
		closedir(dir);
	return sum;
}
