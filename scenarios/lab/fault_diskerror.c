/* The node's disk fails while it runs: every access to it gives an error (EIO). */
#include <errno.h>

#include "scenarios/lab/fault_disk.h"
#include "scenarios/lab/lab_disk.h"

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct labfile_node *node = fault_node(lab, fault);
	int64_t spread;
	int r = fault_disk_begin(lab, fault, e);

	return r ? r : lab_disk_shut_down(&node, 1, &spread, e);
}

static int prove(struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	(void)e;
	fault_disk_prove(lab, fault, lab->kind->disk_error(EIO), timeout_ns);
	return 0;
}

static int heal(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	return fault_disk_replace(lab, fault, false, NULL, e);
}

const struct fault_ops fault_diskerror = {
	.name = "diskerror",
	.summary = "every access to the node's disk fails",
	.args = "",
	.needs = FAULT_NEEDS_ROOT,
	.check = fault_disk_check,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 1,
};
