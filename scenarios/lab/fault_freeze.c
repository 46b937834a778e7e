/* SIGSTOP of a node's process: its connections stay open and nobody answers. SIGCONT heals. */
#include <signal.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/proc.h"
#include "core/units.h"
#include "scenarios/lab/fault.h"

#define FROZEN_NS (10 * NS_PER_S)

static int check(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	const struct labfile_node *node = fault_node(lab, fault);

	if (!labfile_node_alive(lab->file, node))
		return err_set(e, ERR_STATE, "%s does not run: it is %s", node->name,
			labfile_node_state_text(node->state));
	if (proc_stopped(node->pid))
		return err_set(e, ERR_STATE, "%s is frozen already", node->name);
	return 0;
}

/* Right after the signal the process may still run for a moment. */
static int wait_frozen(const struct labfile_node *node, struct err *e)
{
	int64_t deadline = clock_ns() + FROZEN_NS;

	while (!proc_stopped(node->pid)) {
		if (clock_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT, "process %d of %s does not stand still",
				(int)node->pid, node->name);
		clock_sleep_ns(5 * NS_PER_MS);
	}
	return 0;
}

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct labfile_node *node = fault_node(lab, fault);
	int r;

	node->state = LABFILE_NODE_FROZEN;
	r = lab_save(lab, e);
	if (r)
		return r;
	if (!proc_signal(node->pid, node->start_time, SIGSTOP))
		return err_set(e, ERR_STATE, "%s ended before it could be frozen", node->name);
	return wait_frozen(node, e);
}

static int prove(struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	const struct labfile_node *node = fault_node(lab, fault);
	char time[UNITS_LEN];

	(void)timeout_ns;
	(void)e;
	if (labfile_node_alive(lab->file, node) && proc_stopped(node->pid))
		snprintf(fault->proof, sizeof(fault->proof),
			"process %d stands still (state T) for %s", (int)node->pid,
			units_duration(clock_wall_ns() - fault->since_wall_ns, time));
	return 0;
}

static int heal(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct labfile_node *node = fault_node(lab, fault);

	(void)e;
	proc_signal(node->pid, node->start_time, SIGCONT);
	if (node->state == LABFILE_NODE_FROZEN)
		node->state = LABFILE_NODE_RUNNING;
	return 0;
}

const struct fault_ops fault_freeze = {
	.name = "freeze",
	.summary = "SIGSTOP: connections stay open, and nobody answers",
	.args = "",
	.needs = FAULT_NEEDS_PROCESS,
	.check = check,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 1,
};
