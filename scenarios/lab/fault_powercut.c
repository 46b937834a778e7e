/*
 * The power of nodes is cut, all at one instant: what they had written and not flushed is gone,
 * page cache and all. Healed by mounting what is left and starting the nodes again.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/fault_disk.h"
#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/lab_process.h"

#define FREEZE_NS (5 * NS_PER_S)
#define GONE_NS (30 * NS_PER_S)
#define POLL_NS NS_PER_MS
#define FLAG_SEEN "mount flag shutdown"

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
static int64_t log_bytes(const struct labfile_node *node)
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

static int freeze(const struct labfile_node *node, struct err *e)
{
	int64_t deadline = clock_ns() + FREEZE_NS;

	while (!proc_stopped(node->pid)) {
		if (!proc_alive(node->pid, node->start_time))
			return err_set(
				e, ERR_STATE, "%s ended before its power was cut", node->name);
		if (clock_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT, "%s cannot be frozen", node->name);
		clock_sleep_ns(POLL_NS);
	}
	return 0;
}

/* No node may see another's end, and none may acknowledge anything from here on. */
static int freeze_all(struct labfile_node *const *nodes, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n; i++)
		proc_signal(nodes[i]->pid, nodes[i]->start_time, SIGSTOP);
	for (size_t i = 0; i < n && r == 0; i++)
		r = freeze(nodes[i], e);
	return r;
}

static int cut(struct labfile_fault *const *faults, struct labfile_node *const *nodes, size_t n,
	struct err *e)
{
	char together[64] = "";
	int64_t spread;
	int r;

	for (size_t i = 0; i < n; i++)
		faults[i]->mark = log_bytes(nodes[i]);
	r = lab_disk_shut_down(nodes, n, &spread, e);
	if (r)
		return r;
	if (n > 1)
		snprintf(together, sizeof(together), "; %zu nodes cut within %.1f ms", n,
			(double)spread / (double)NS_PER_MS);
	for (size_t i = 0; i < n; i++)
		if (lab_disk_look(nodes[i]) == LABFILE_DISK_SHUTDOWN)
			snprintf(faults[i]->proof, sizeof(faults[i]->proof),
				FLAG_SEEN "%s; %lld bytes were in its topics' logs", together,
				(long long)faults[i]->mark);
	return 0;
}

static int end_all(struct lab *lab, struct labfile_node *const *nodes, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n; i++)
		proc_signal(nodes[i]->pid, nodes[i]->start_time, SIGKILL);
	for (size_t i = 0; i < n; i++) {
		int r_one =
			lab_wait_gone(nodes[i]->pid, nodes[i]->start_time, GONE_NS, r ? NULL : e);

		/* held from outside: healing takes a copy then */
		if (r_one == 0)
			err_ignore(lab_disk_unmount(lab, nodes[i], NULL));
		r = r ? r : r_one;
	}
	return r;
}

static int apply_group(
	struct lab *lab, struct labfile_fault *const *faults, size_t n, struct err *e)
{
	struct labfile_node *nodes[LABFILE_MAX_NODES];
	int r;

	for (size_t i = 0; i < n; i++) {
		nodes[i] = fault_node(lab, faults[i]);
		nodes[i]->state = LABFILE_NODE_KILLED;
		nodes[i]->may_end = true;
	}
	r = lab_save(lab, e);
	if (r == 0)
		r = freeze_all(nodes, n, e);
	if (r == 0)
		r = cut(faults, nodes, n, e);
	return r ? r : end_all(lab, nodes, n, e);
}

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	return apply_group(lab, &fault, 1, e);
}

/* Known when it is cut, and more when it is healed; unless the tool that cut it was itself killed. */
static int prove(struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	(void)timeout_ns;
	(void)e;
	if (!*fault->proof && lab_disk_look(fault_node(lab, fault)) == LABFILE_DISK_SHUTDOWN)
		snprintf(fault->proof, sizeof(fault->proof), FLAG_SEEN);
	return 0;
}

/* The last part of the proof told what there was: now it tells what of it is gone. */
static void tell_loss(struct lab *lab, struct labfile_fault *fault)
{
	int64_t left = log_bytes(fault_node(lab, fault));
	char *last = NULL;

	for (char *p = strstr(fault->proof, "; "); p; p = strstr(p + 1, "; "))
		last = p;
	if (!last)
		return; /* the tool that cut it was killed before it could write that down */
	snprintf(last, sizeof(fault->proof) - (size_t)(last - fault->proof),
		"; %lld of %lld bytes of its topics' logs are gone",
		(long long)(fault->mark - left), (long long)fault->mark);
}

static int heal(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	return fault_disk_replace(lab, fault, false, tell_loss, e);
}

const struct fault_ops fault_powercut = {
	.name = "powercut",
	.summary = "cut the node's power: what it had not flushed to its disk is gone",
	.args = "",
	.needs = FAULT_NEEDS_ROOT,
	.check = fault_disk_check,
	.apply = apply,
	.apply_group = apply_group,
	.prove = prove,
	.heal = heal,
	.heal_rank = 1,
};
