#include "scenarios/lab/lab.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/proc.h"
#include "scenarios/lab/cluster.h"
#include "scenarios/lab/fault.h"
#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/lab_event.h"
#include "scenarios/lab/lab_holder.h"
#include "scenarios/lab/lab_kafka.h"
#include "scenarios/lab/lab_net.h"
#include "scenarios/lab/lab_process.h"
#include "scenarios/lab/lab_rabbitmq.h"

#define CAP_BIT_NET_ADMIN 12
#define CAP_BIT_SYS_ADMIN 21
#define GONE_NS (30 * NS_PER_S)
#define ASK_NS (2 * NS_PER_S)

const struct lab_kind *const lab_kinds[] = {&lab_kafka, &lab_rabbitmq, NULL};

const struct lab_kind *lab_kind_find(const char *name)
{
	for (size_t i = 0; lab_kinds[i]; i++)
		if (strcmp(lab_kinds[i]->name, name) == 0)
			return lab_kinds[i];
	return NULL;
}

int lab_check_rights(struct err *e)
{
	unsigned long long caps = 0, need = 1ULL << CAP_BIT_NET_ADMIN | 1ULL << CAP_BIT_SYS_ADMIN;
	char *text = NULL;
	const char *line;

	if (paths_read_file("/proc/self/status", 65536, &text, NULL, NULL) == 0) {
		line = strstr(text, "\nCapEff:");
		if (line && sscanf(line, "\nCapEff: %llx", &caps) != 1)
			caps = 0;
	}
	free(text);
	if (geteuid() == 0 && (caps & need) == need)
		return 0;
	err_set(e, ERR_DENIED,
		"a lab needs root with CAP_NET_ADMIN and CAP_SYS_ADMIN: it makes network "
		"namespaces");
	return err_hint(e,
		"sudo mqaudit lab ...; or lab up with --network user-namespaces or loopback, which "
		"can do less");
}

int lab_check_access(const struct labfile *file, struct err *e)
{
	if (file->network == LABFILE_ON_NAMESPACES)
		return lab_check_rights(e);
	if (labfile_is_held(file))
		return 0;
	err_set(e, ERR_STATE,
		"the namespaces of lab '%s' are gone: their holder, process %d, ended", file->name,
		(int)file->holder_pid);
	return err_hint(e, "mqaudit lab down %s --lab %s", file->kind, file->name);
}

/* --- holding it */

static int lock_path(const char *name, char *ret, size_t len, struct err *e)
{
	char root[PATHS_MAX];
	int r = paths_state("lab", root, sizeof(root), e), n;

	if (r == 0)
		r = paths_make(root, 0755, e);
	if (r)
		return r;
	n = snprintf(ret, len, "%s/%s.lock", root, name);
	return n < 0 || (size_t)n >= len
		       ? err_set(e, ERR_LIMIT, "the state folder's name is too long")
		       : 0;
}

static int take_lock(struct lab *lab, int64_t timeout_ns, struct err *e)
{
	char path[PATHS_MAX];
	int r = lock_path(lab->name, path, sizeof(path), e);

	if (r)
		return r;
	r = paths_lock(path, timeout_ns < NS_PER_S ? timeout_ns : NS_PER_S, &lab->lock_fd, e);
	if (r == ERR_TIMEOUT && timeout_ns > NS_PER_S) {
		lab_say(lab, "another command works on lab '%s': waiting for it", lab->name);
		r = paths_lock(path, timeout_ns - NS_PER_S, &lab->lock_fd, e);
	}
	if (r == ERR_TIMEOUT)
		r = err_set(e, r, "another command works on lab '%s'", lab->name);
	return r;
}

int lab_open(struct lab *lab, const char *name, const struct lab_kind *kind, int64_t timeout_ns,
	struct err *e)
{
	char path[PATHS_MAX];
	int r;

	lab->kind = kind;
	lab->file = NULL;
	lab->cluster = NULL;
	lab->lock_fd = -1;
	r = labfile_path(name, kind->name, path, sizeof(path), e);
	if (r)
		return r;
	snprintf(lab->name, sizeof(lab->name), "%s", name);
	/* the folder is the state file's path without ".json" */
	snprintf(lab->folder, sizeof(lab->folder), "%.*s", (int)(strlen(path) - 5), path);
	r = take_lock(lab, timeout_ns, e);
	if (r)
		return r;
	r = labfile_read(name, kind->name, &lab->file, e);
	return r == ERR_NOTFOUND ? 0 : r;
}

/* The lock file goes with the lab: its folder's state file is gone. */
static void remove_lock(const struct lab *lab)
{
	char path[PATHS_MAX];

	if (lock_path(lab->name, path, sizeof(path), NULL) == 0)
		(void)unlink(path);
}

void lab_close(struct lab *lab)
{
	if (lab->lock_fd >= 0) {
		if (!lab->file)
			remove_lock(lab);
		close(lab->lock_fd);
	}
	lab->lock_fd = -1;
	labfile_free(lab->file);
	lab->file = NULL;
	cluster_free(lab->cluster);
	lab->cluster = NULL;
}

int lab_save(struct lab *lab, struct err *e)
{
	return labfile_write(lab->file, e);
}

void lab_say(struct lab *lab, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!lab->say)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	lab->say(text);
}

int lab_check_stop(const struct lab *lab, struct err *e)
{
	return lab->stop && *lab->stop ? err_set(e, ERR_STOPPED, "stopped on request") : 0;
}

/* --- nodes */

bool lab_is_expected(const struct labfile_node *node)
{
	return node->state != LABFILE_NODE_STOPPED && node->state != LABFILE_NODE_STOPPING &&
	       node->state != LABFILE_NODE_KILLED && node->state != LABFILE_NODE_DIED &&
	       node->state != LABFILE_NODE_FROZEN;
}

int lab_n_expected(const struct labfile *file)
{
	int n = 0;

	for (size_t i = 0; i < file->n_nodes; i++)
		n += lab_is_expected(&file->node[i]);
	return n;
}

int lab_start_node(struct lab *lab, struct labfile_node *node, struct err *e)
{
	int r = lab_check_stop(lab, e);

	if (r == 0 && lab->file->disk_bytes)
		r = lab_disk_ready(lab, node, e);
	return r ? r : lab->kind->start(lab, node, e);
}

static int check_processes(struct lab *lab, struct err *e)
{
	for (size_t i = 0; i < lab->file->n_nodes; i++) {
		struct labfile_node *node = &lab->file->node[i];
		char words[360];

		if (!lab_is_expected(node) || labfile_node_alive(lab->file, node))
			continue;
		if (node->may_end) {
			node->state = LABFILE_NODE_KILLED;
			continue;
		}
		lab_last_words(node->log, words, sizeof(words));
		err_set(e, ERR_STATE, "%s ended by itself: ...%s", node->name, words);
		if (lab->file->state == LABFILE_UP) /* else it goes with the lab */
			err_hint(e, "its log: %s", node->log);
		return ERR_STATE;
	}
	return 0;
}

static int n_silent(const struct labfile *file)
{
	int n = 0;

	for (size_t i = 0; i < file->n_nodes; i++)
		n += lab_is_expected(&file->node[i]) && file->node[i].answer != LABFILE_ANSWERS;
	return n;
}

int lab_wait_answers(struct lab *lab, int64_t timeout_ns, struct err *e)
{
	int64_t start = clock_ns(), deadline = start + timeout_ns, say_at = start + 2 * NS_PER_S;
	int r;

	for (;;) {
		struct err why = {0};

		r = lab_check_stop(lab, e);
		if (r == 0)
			r = check_processes(lab, e);
		if (r)
			return r;
		lab->kind->ask(lab->file, ASK_NS, &why);
		if (n_silent(lab->file) == 0)
			return 0;
		if (clock_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT, "%d of %d nodes do not answer: %s",
				n_silent(lab->file), lab_n_expected(lab->file), why.msg);
		if (clock_ns() > say_at) {
			int64_t waited = clock_ns() - start;

			say_at = start + 2 * waited;
			lab_say(lab, "%d of %d nodes answer after %d s",
				lab_n_expected(lab->file) - n_silent(lab->file),
				lab_n_expected(lab->file), (int)(waited / NS_PER_S));
		}
		clock_sleep_ns(50 * NS_PER_MS);
	}
}

static int stop_in_order(
	struct lab *lab, struct labfile_node *node, int64_t timeout_ns, struct err *e)
{
	int r;

	node->state = LABFILE_NODE_STOPPING;
	r = lab_save(lab, e);
	if (r)
		return r;
	lab_event(lab, "node-stop", node->name, "controlled shutdown", LAB_EVENT_INSTANT);
	lab_say(lab, "%s is asked to end", node->name);
	if (lab->kind->stop) {
		r = lab->kind->stop(lab, node, timeout_ns, e);
	} else {
		proc_signal(node->pid, node->start_time, SIGTERM);
		r = lab_wait_gone(node->pid, node->start_time, timeout_ns, e);
	}
	if (r) {
		node->state = LABFILE_NODE_RUNNING;
		err_ignore(lab_save(lab, NULL));
		err_wrap(e, "controlled shutdown of %s", node->name);
		return err_hint(e, "mqaudit lab fault kill %s, then restart it", node->name);
	}
	return 0;
}

static int check_version(const struct lab_kind *kind, const char *version, struct err *e)
{
	if (*version && strspn(version, "0123456789.") == strlen(version) && strlen(version) <= 20)
		return 0;
	return err_set(e, ERR_USAGE, "'%s' is not a version of %s", version, kind->name);
}

static int ready_version(struct lab *lab, const char *version, struct err *e)
{
	int r;

	if (!lab->kind->ready_version)
		return err_set(e, ERR_USAGE, "nodes of %s have the version that they have",
			lab->kind->name);
	r = check_version(lab->kind, version, e);
	return r ? r : lab->kind->ready_version(lab, version, e);
}

int lab_restart_node(struct lab *lab, struct labfile_node *node, const char *version,
	int64_t timeout_ns, struct err *e)
{
	int r = 0;

	if (node->state == LABFILE_NODE_FROZEN)
		return err_set(e, ERR_STATE, "%s is frozen: heal it first", node->name);
	if (node->may_end)
		return err_set(
			e, ERR_STATE, "a fault of %s's disk is on: heal it first", node->name);
	if (version)
		r = ready_version(lab, version, e);
	if (r == 0 && labfile_node_alive(lab->file, node))
		r = stop_in_order(lab, node, timeout_ns, e);
	if (r == 0 && version)
		r = lab->kind->use_version(lab, node, version, e);
	if (r == 0)
		r = lab_start_node(lab, node, e);
	if (r == 0)
		r = lab_wait_answers(lab, timeout_ns, e);
	if (r == 0)
		r = fault_forget(lab, &fault_kill, node, e);
	return r;
}

/* --- up */

static int check_wish(const struct lab_kind *kind, const struct lab_wish *wish, struct err *e)
{
	if (wish->nodes < 0 || wish->nodes > LAB_MAX_NODES)
		return err_set(e, ERR_USAGE, "--nodes: from 1 to %d", LAB_MAX_NODES);
	if (wish->version && check_version(kind, wish->version, e))
		return ERR_USAGE;
	if (wish->jvm_options &&
		strlen(wish->jvm_options) >= sizeof(((struct labfile *)0)->jvm_options))
		return err_set(e, ERR_USAGE, "--jvm-options is longer than %zu bytes",
			sizeof(((struct labfile *)0)->jvm_options) - 1);
	if (wish->disk_bytes && (!wish->disk || strcmp(wish->disk, "loop") != 0))
		return err_set(e, ERR_USAGE, "--disk-size goes with --disk loop");
	if (wish->disk_bytes &&
		(wish->disk_bytes < LAB_DISK_MIN || wish->disk_bytes > LAB_DISK_MAX))
		return err_set(e, ERR_USAGE, "--disk-size: from %lluM to %lluG",
			(unsigned long long)LAB_DISK_MIN >> 20,
			(unsigned long long)LAB_DISK_MAX >> 30);
	if (wish->n_settings > LABFILE_MAX_SETTINGS)
		return err_set(e, ERR_USAGE, "at most %d settings", LABFILE_MAX_SETTINGS);
	for (size_t i = 0; i < wish->n_settings; i++) {
		const char *equals = strchr(wish->setting[i], '=');

		if (!equals || equals == wish->setting[i] || strpbrk(wish->setting[i], "\n\r"))
			return err_set(e, ERR_USAGE, "--broker-config '%s': not name=value",
				wish->setting[i]);
		if (strlen(wish->setting[i]) >= sizeof(((struct labfile *)0)->setting[0]))
			return err_set(e, ERR_USAGE, "--broker-config '%.60s...' is too long",
				wish->setting[i]);
	}
	if (wish->until_pid && !proc_alive(wish->until_pid, 0))
		return err_set(
			e, ERR_USAGE, "--until-pid: there is no process %d", (int)wish->until_pid);
	return 0;
}

static bool same_settings(const struct labfile *file, const struct lab_wish *wish)
{
	if (wish->n_settings != file->n_settings)
		return wish->n_settings == 0;
	for (size_t i = 0; i < wish->n_settings; i++)
		if (strcmp(wish->setting[i], file->setting[i]) != 0)
			return false;
	return true;
}

static bool same_disk(const struct labfile *file, const struct lab_wish *wish)
{
	if (wish->disk && (strcmp(wish->disk, "loop") == 0) != (file->disk_bytes > 0))
		return false;
	return !wish->disk_bytes || wish->disk_bytes == file->disk_bytes;
}

/* Is the lab that is there the one that is wished for? What was not asked for may be anything. */
static int check_same(const struct labfile *file, const struct lab_wish *wish, struct err *e)
{
	const char *what = NULL;

	if (wish->nodes && (size_t)wish->nodes != file->n_nodes)
		what = "another number of nodes";
	else if (wish->version && strcmp(wish->version, file->version) != 0)
		what = "another version";
	else if (wish->secure_given && wish->secure != file->secure)
		what = file->secure ? "--secure" : "no --secure";
	else if (!same_disk(file, wish))
		what = file->disk_bytes ? "--disk loop" : "--disk plain";
	else if (!same_settings(file, wish))
		what = "other broker settings";
	else if (wish->network && strcmp(wish->network, labfile_network_text(file->network)) != 0)
		what = labfile_network_text(file->network);
	else if (wish->jvm_options && strcmp(wish->jvm_options, file->jvm_options) != 0)
		what = "other JVM options";
	if (!what)
		return 0;
	err_set(e, ERR_EXISTS, "lab '%s' is up with %s: %s %s, %zu nodes", file->name, what,
		file->kind, file->version, file->n_nodes);
	return err_hint(e, "mqaudit lab down %s --lab %s, or another name with --lab", file->kind,
		file->name);
}

static int check_boot(const struct labfile *file, struct err *e)
{
	if (labfile_same_boot(file))
		return 0;
	err_set(e, ERR_STATE, "lab '%s' was cut off by a restart of the machine", file->name);
	return err_hint(e, "mqaudit lab down %s --lab %s", file->kind, file->name);
}

static int guard_until(struct lab *lab, const struct lab_wish *wish, struct err *e)
{
	struct labfile *file = lab->file;
	pid_t old = file->guard_pid;
	uint64_t old_start = file->guard_start_time;
	int r;

	if (!wish->until_pid)
		return 0;
	file->until_pid = wish->until_pid;
	file->until_start_time = proc_start_time(wish->until_pid);
	r = lab_start_guard(lab, file->until_pid, file->until_start_time, false, &file->guard_pid,
		&file->guard_start_time, e);
	if (r == 0)
		r = lab_save(lab, e);
	if (r == 0 && old)
		proc_signal(old, old_start, SIGKILL);
	return r;
}

int lab_start_missing(struct lab *lab, int *ret_started, struct err *e)
{
	int r = 0;

	*ret_started = 0;
	labfile_refresh(lab->file);
	for (size_t i = 0; i < lab->file->n_nodes && r == 0; i++) {
		struct labfile_node *node = &lab->file->node[i];

		if (labfile_node_alive(lab->file, node) || node->state == LABFILE_NODE_KILLED)
			continue;
		r = lab_start_node(lab, node, e);
		*ret_started += r == 0;
	}
	return r;
}

static int up_again(struct lab *lab, const struct lab_wish *wish, int *ret_started, struct err *e)
{
	int r = check_boot(lab->file, e);

	if (r == 0)
		r = check_same(lab->file, wish, e);
	if (r == 0)
		r = lab_start_missing(lab, ret_started, e);
	if (r == 0)
		r = lab_wait_answers(lab, wish->timeout_ns, e);
	if (r == 0)
		r = guard_until(lab, wish, e);
	return r;
}

/* Are user namespaces to be had? */
static int check_user_namespaces(struct err *e)
{
	struct lab_holder holder;
	int r = lab_holder_start(1, &holder, e);

	if (r == 0)
		lab_holder_drop(&holder);
	return r;
}

/* Where the nodes will live: as is wished, or the best that can be had, and then it is said. */
static int choose_network(
	struct lab *lab, const struct lab_wish *wish, enum labfile_network *ret, struct err *e)
{
	struct err why = {0};

	*ret = LABFILE_ON_NAMESPACES;
	if (wish->network && !labfile_network_parse(wish->network, ret))
		return err_set(e, ERR_USAGE, "'%s' is no network for a lab", wish->network);
	if (wish->network && *ret == LABFILE_ON_USER_NAMESPACES)
		return check_user_namespaces(e);
	if (wish->network)
		return *ret == LABFILE_ON_NAMESPACES ? lab_check_rights(e) : 0;
	if (lab_check_rights(NULL) == 0)
		return 0;
	*ret = LABFILE_ON_USER_NAMESPACES;
	if (check_user_namespaces(&why) == 0) {
		lab_say(lab,
			"not root: this lab is in user namespaces, without faults of disks and "
			"power, and without a route that keeps stray clients out");
		return 0;
	}
	*ret = LABFILE_ON_LOOPBACK;
	lab_say(lab,
		"neither root nor user namespaces (%s): this lab is on loopback, with faults of "
		"processes only",
		why.msg);
	return 0;
}

static int new_file(struct lab *lab, const struct lab_wish *wish, struct err *e)
{
	enum labfile_network network;
	struct labfile *file;
	int r = choose_network(lab, wish, &network, e);

	if (r)
		return r;
	if (network != LABFILE_ON_NAMESPACES && wish->disk && strcmp(wish->disk, "loop") == 0) {
		err_set(e, ERR_DENIED, "--disk loop needs root: it mounts file systems");
		return err_hint(e, "without it there are all faults but those of disks and power");
	}
	file = labfile_new(lab->name, lab->kind->name);
	if (!file)
		return err_set(e, ERR_NOMEM, "out of memory");
	file->state = LABFILE_STARTING;
	file->network = network;
	file->secure = wish->secure;
	file->up_wall_ns = clock_wall_ns();
	if (wish->disk && strcmp(wish->disk, "loop") == 0)
		file->disk_bytes = wish->disk_bytes ? wish->disk_bytes : LAB_DISK_DEFAULT;
	file->n_settings = wish->n_settings;
	for (size_t i = 0; i < wish->n_settings; i++)
		snprintf(file->setting[i], sizeof(file->setting[i]), "%s", wish->setting[i]);
	if (wish->jvm_options)
		snprintf(file->jvm_options, sizeof(file->jvm_options), "%s", wish->jvm_options);
	file->n_nodes = wish->nodes ? (size_t)wish->nodes : 3;
	for (size_t i = 0; i < file->n_nodes; i++) {
		struct labfile_node *node = &file->node[i];

		node->id = (int)i + 1;
		node->port = lab->kind->client_port;
		snprintf(node->name, sizeof(node->name), "%.16s%d", lab->kind->name, node->id);
		snprintf(node->data, sizeof(node->data), "%.400s/%s/data", lab->folder, node->name);
		snprintf(node->log, sizeof(node->log), "%.400s/%s/%s.log", lab->folder, node->name,
			node->name);
	}
	lab->file = file;
	return lab_save(lab, e);
}

static int make(struct lab *lab, const struct lab_wish *wish, int *ret_started, struct err *e)
{
	int r = paths_make(lab->folder, 0755, e);

	if (r == 0)
		r = lab->kind->programs(lab, wish, e);
	if (r == 0)
		r = lab_net_up(lab, e);
	if (r == 0 && lab->file->disk_bytes)
		r = lab_disk_make_all(lab, e);
	if (r == 0)
		r = lab->kind->configure(lab, e);
	for (size_t i = 0; i < lab->file->n_nodes && r == 0; i++) {
		r = lab_start_node(lab, &lab->file->node[i], e);
		*ret_started += r == 0;
		if (r == 0 && i == 0 && lab->kind->first_alone)
			r = lab_wait_answers(lab, wish->timeout_ns, e);
	}
	if (r == 0)
		r = lab_wait_answers(lab, wish->timeout_ns, e);
	if (r == 0 && lab->kind->finish)
		r = lab->kind->finish(lab, e);
	if (r == 0 && lab->file->disk_bytes)
		r = lab_disk_sync_all(lab, e);
	if (r == 0)
		r = guard_until(lab, wish, e);
	if (r == 0)
		r = lab_check_stop(lab, e);
	if (r)
		return r;
	lab->file->state = LABFILE_UP;
	return lab_save(lab, e);
}

static int up_new(struct lab *lab, const struct lab_wish *wish, int *ret_started, struct err *e)
{
	uint64_t guard_start;
	pid_t guard;
	int r = new_file(lab, wish, e);

	/* should this process be killed half-way, somebody must clean up behind it */
	if (r == 0)
		r = lab_start_guard(
			lab, getpid(), proc_start_time(getpid()), true, &guard, &guard_start, e);
	if (r == 0)
		r = make(lab, wish, ret_started, e);
	if (r && lab->file) {
		struct err later = {0};

		lab_say(lab, "taking down again what was made");
		if (lab_down(lab, &later))
			err_hint(e, "%.200s; mqaudit lab down tries again", later.msg);
	}
	return r;
}

/* Runs on either are told apart by the name. */
static int check_no_cluster(const struct lab *lab, struct err *e)
{
	struct labfile *file = NULL;
	bool there = labfile_read(lab->name, LABFILE_CLUSTER, &file, NULL) == 0;

	labfile_free(file);
	return there ? err_set(e, ERR_EXISTS, "a cluster is called '%s' as well", lab->name) : 0;
}

int lab_up(struct lab *lab, const struct lab_wish *wish, bool *ret_was_there, int *ret_started,
	struct err *e)
{
	int r;

	*ret_was_there = false;
	*ret_started = 0;
	r = check_wish(lab->kind, wish, e);
	if (r)
		return r;
	r = lab->file ? 0 : check_no_cluster(lab, e);
	if (r == 0 && lab->file && lab->file->network == LABFILE_ON_NAMESPACES)
		r = lab_check_rights(e);
	if (r)
		return r;
	if (lab->file && lab->file->state != LABFILE_UP) {
		lab_say(lab, "taking down what an earlier command left half made");
		r = lab_down(lab, e);
		if (r)
			return r;
	}
	*ret_was_there = lab->file != NULL;
	return lab->file ? up_again(lab, wish, ret_started, e) : up_new(lab, wish, ret_started, e);
}

/* --- down */

static void kill_known(struct labfile *file)
{
	if (file->guard_pid != getpid())
		proc_signal(file->guard_pid, file->guard_start_time, SIGKILL);
	for (size_t i = 0; i < file->n_nodes; i++)
		proc_signal(file->node[i].pid, file->node[i].start_time, SIGKILL);
	for (size_t i = 0; i < file->n_faults; i++)
		fault_end_processes(&file->fault[i]);
}

static int wait_known(const struct labfile *file, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < file->n_nodes; i++)
		if (file->node[i].pid && lab_wait_gone(file->node[i].pid, file->node[i].start_time,
						 GONE_NS, r ? NULL : e))
			r = ERR_TIMEOUT;
	return r;
}

static int end_processes(struct lab *lab, struct err *e)
{
	struct labfile *file = lab->file;
	int n = 0, r = 0;

	if (labfile_same_boot(file)) {
		kill_known(file);
		r = wait_known(file, e);
	}
	/* whoever is not written down: a start that was cut off, and clients */
	if (r == 0 && file->network != LABFILE_ON_NAMESPACES) /* their holder may be gone too */
		r = lab_clear_marked(lab, NULL, e);
	for (size_t i = 0; i < file->n_nodes && r == 0 && lab_net_is_ours(lab); i++)
		r = lab_clear_netns(file->node[i].netns, false, NULL, e);
	if (r == 0 && lab_net_is_ours(lab))
		r = lab_clear_netns(file->client_netns, true, &n, e);
	for (size_t i = 0; i < file->n_nodes && r == 0 && file->disk_bytes; i++)
		r = lab_disk_unmount(lab, &file->node[i], e);
	if (n)
		lab_say(lab, "%d client%s within the lab ended with it", n, n == 1 ? "" : "s");
	return r;
}

/* What a writer that was killed has left beside the state file. */
static void remove_unfinished(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	char folder[PATHS_MAX], full[PATHS_MAX + 300];
	struct dirent *d;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%.*s", (int)(name - path), path);
	dir = opendir(folder);
	while (dir && (d = readdir(dir))) {
		size_t len = strlen(d->d_name);

		if (strncmp(d->d_name, name, strlen(name)) != 0 || len < 4 ||
			strcmp(d->d_name + len - 4, ".tmp") != 0)
			continue;
		snprintf(full, sizeof(full), "%s%s", folder, d->d_name);
		(void)unlink(full);
	}
	if (dir)
		closedir(dir);
}

/* Remove the state file last, and the lab's folder when no lab of another kind is in it. */
static int remove_files(struct lab *lab, struct err *e)
{
	char path[PATHS_MAX];
	int r = paths_remove_tree(lab->folder, e);

	if (r == 0)
		r = labfile_path(lab->name, lab->kind->name, path, sizeof(path), e);
	if (r)
		return r;
	remove_unfinished(path);
	(void)unlink(path);
	*strrchr(path, '/') = '\0';
	(void)rmdir(path);
	return 0;
}

int lab_down(struct lab *lab, struct err *e)
{
	int r;

	if (!lab->file)
		return 0;
	lab->file->state = LABFILE_STOPPING;
	r = lab_save(lab, e);
	if (r == 0 || r == ERR_NOSPACE)
		r = end_processes(lab, e);
	if (r == 0)
		r = lab_net_down(lab, e);
	if (r == 0)
		r = remove_files(lab, e);
	if (r)
		return err_wrap(e, "take lab '%s' down", lab->name);
	labfile_free(lab->file);
	lab->file = NULL;
	return 0;
}
