#ifndef SCENARIOS_LAB_FAULT_GUARD_H
#define SCENARIOS_LAB_FAULT_GUARD_H

#include "scenarios/lab/lab.h"

/* The guard of a fault: a process of its own that heals it at its time, whoever is killed. */

/*
 * Start the guard that the fault asks for (heals_at_ns, until_pid; none: nothing is done), `mqaudit
 * lab guard`, before the fault is written down: a guard that finds no such fault at its time does
 * nothing, while a fault without its guard would stay. Returns 0, with its pid in the fault, or
 * ERR_IO, ERR_NOMEM.
 */
MUST_CHECK int fault_guard_start(const struct lab *lab, struct labfile_fault *fault, struct err *e);

/* Its work is done: SIGKILL, unless it is this very process. */
void fault_guard_end(const struct labfile_fault *fault);

/*
 * What the guard does: wait until heals_at_ns (0: no such time) or the end of the process
 * (until_pid 0: no such process), whichever is first. Returns 0 or ERR_IO.
 */
MUST_CHECK int fault_guard_wait(
	int64_t heals_at_ns, pid_t until_pid, uint64_t until_start_time, struct err *e);

#endif
