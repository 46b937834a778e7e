#ifndef SCENARIOS_LAB_FAULT_DISK_H
#define SCENARIOS_LAB_FAULT_DISK_H

#include "scenarios/lab/fault.h"

/* What the faults of nodes' disks share. Each needs a lab whose nodes have disks of their own. */

/* For their check: has the node a disk of its own, does it run, is no such fault on already? */
MUST_CHECK int fault_disk_check(struct lab *lab, const struct labfile_fault *fault, struct err *e);

/*
 * For those under which the node ends itself: expect that, and remember in fault->mark how long its
 * log was. Saves.
 */
MUST_CHECK int fault_disk_begin(struct lab *lab, struct labfile_fault *fault, struct err *e);

/*
 * For their prove: wait up to timeout_ns until the node's log, behind the mark, has a line with that
 * text (the C library's for the error that the disk gives), and then up to 5 s more until the node
 * has ended itself. Fills fault->proof if it has.
 */
void fault_disk_prove(
	struct lab *lab, struct labfile_fault *fault, const char *text, int64_t timeout_ns);

/* Wait up to 5 s until the node, whose log complains, has ended itself: its only disk failed. */
void fault_disk_wait_end(struct lab *lab, const struct labfile_node *node);

/*
 * For their heal: end the node if it still runs, mount its disk again (over which e2fsck goes
 * before, with check), and start the node. before_start (may be NULL) is called in between.
 */
MUST_CHECK int fault_disk_replace(struct lab *lab, struct labfile_fault *fault, bool check,
	void (*before_start)(struct lab *lab, struct labfile_fault *fault), struct err *e);

#endif
