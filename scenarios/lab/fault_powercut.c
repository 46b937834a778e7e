/*
 * The power of nodes is cut, all at one instant: what they had written and not flushed is gone,
 * page cache and all. Healed by mounting what is left and starting the nodes again.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/fault_disk.h"
#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/lab_process.h"

#define FREEZE_NS (5 * NS_PER_S)
#define GONE_NS (30 * NS_PER_S)
#define POLL_NS NS_PER_MS
#define FLAG_SEEN "mount flag shutdown"

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

static int cut(struct lab *lab, struct labfile_fault *const *faults,
	struct labfile_node *const *nodes, size_t n, struct err *e)
{
	char together[64] = "";
	int64_t spread;
	int r;

	for (size_t i = 0; i < n; i++)
		faults[i]->mark = lab->kind->stored_bytes(nodes[i]);
	r = lab_disk_shut_down(nodes, n, &spread, e);
	if (r)
		return r;
	if (n > 1)
		snprintf(together, sizeof(together), "; %zu nodes cut within %.1f ms", n,
			(double)spread / (double)NS_PER_MS);
	for (size_t i = 0; i < n; i++)
		if (lab_disk_look(nodes[i]) == LABFILE_DISK_SHUTDOWN)
			snprintf(faults[i]->proof, sizeof(faults[i]->proof),
				FLAG_SEEN "%s; %lld bytes were in %s", together,
				(long long)faults[i]->mark, lab->kind->stored_words);
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
		r = cut(lab, faults, nodes, n, e);
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
	int64_t left = lab->kind->stored_bytes(fault_node(lab, fault));
	char *last = NULL;

	for (char *p = strstr(fault->proof, "; "); p; p = strstr(p + 1, "; "))
		last = p;
	if (!last)
		return; /* the tool that cut it was killed before it could write that down */
	snprintf(last, sizeof(fault->proof) - (size_t)(last - fault->proof),
		"; %lld of %lld bytes of %s are gone", (long long)(fault->mark - left),
		(long long)fault->mark, lab->kind->stored_words);
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
