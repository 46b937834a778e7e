#ifndef SCENARIOS_LAB_FAULT_CLUSTER_H
#define SCENARIOS_LAB_FAULT_CLUSTER_H

#include "scenarios/lab/fault.h"

/*
 * Faults of a user's own cluster (lab->cluster), put on and off by the commands of its file: kill, freeze,
 * isolate, powercut, with the names and arguments that a lab's have. What proves them is what can be seen
 * from outside: the file's `alive` command, the node's own silence, and what the majority of the others
 * says of it. Ended by NULL.
 */
extern const struct fault_ops *const fault_cluster_table[];

#endif
