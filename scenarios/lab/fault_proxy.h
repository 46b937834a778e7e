#ifndef SCENARIOS_LAB_FAULT_PROXY_H
#define SCENARIOS_LAB_FAULT_PROXY_H

#include "scenarios/lab/lab.h"

/*
 * Be the proxy of a recorded fault, in the network namespace of the lab's clients: `mqaudit lab
 * proxy`, which the fault starts. Blocks until the fault is no longer in the lab's state file, which
 * is read without its lock. Returns 0, ERR_NOTFOUND (no such fault), ERR_IO, ...
 */
MUST_CHECK int fault_proxy_be(
	const char *lab_name, const struct lab_kind *kind, const char *id, struct err *e);

#endif
