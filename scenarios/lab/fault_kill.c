/* SIGKILL of a node's process; healed by starting it again. */
#include <signal.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/fault.h"
#include "scenarios/lab/lab_process.h"

#define GONE_NS (30 * NS_PER_S)

static int check(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	const struct labfile_node *node = fault_node(lab, fault);

	if (labfile_node_alive(lab->file, node))
		return 0;
	return err_set(e, ERR_STATE, "%s does not run: it is %s", node->name,
		labfile_node_state_text(node->state));
}

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct labfile_node *node = fault_node(lab, fault);
	int r;

	node->state = LABFILE_NODE_KILLED;
	r = lab_save(lab, e);
	if (r)
		return r;
	if (!proc_signal(node->pid, node->start_time, SIGKILL))
		return err_set(e, ERR_STATE, "%s ended before it could be killed", node->name);
	return lab_wait_gone(node->pid, node->start_time, GONE_NS, e);
}

static int prove(struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	const struct labfile_node *node = fault_node(lab, fault);

	(void)timeout_ns;
	(void)e;
	if (node->state == LABFILE_NODE_KILLED && !labfile_node_alive(lab->file, node))
		snprintf(fault->proof, sizeof(fault->proof), "process %d is gone", (int)node->pid);
	return 0;
}

static int heal(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct labfile_node *node = fault_node(lab, fault);

	/* killed by a tool that was itself killed before it could see the end */
	if (labfile_node_alive(lab->file, node) && node->state != LABFILE_NODE_KILLED)
		return 0;
	return lab_start_node(lab, node, e);
}

const struct fault_ops fault_kill = {
	.needs = FAULT_NEEDS_PROCESS,
	.name = "kill",
	.summary = "SIGKILL of the node's process; what it had not written is in the page cache",
	.args = "",
	.check = check,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 1,
};
