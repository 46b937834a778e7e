#ifndef SCENARIOS_LAB_KAFKA_NODE_H
#define SCENARIOS_LAB_KAFKA_NODE_H

#include "scenarios/lab/lab.h"

/* One Kafka node: its configuration, its storage, its process. */

/*
 * Write every node's configuration and format its storage with Kafka's own tool, all at once; a new
 * cluster id. Blocks until the last is done (seconds). Returns 0, ERR_IO (with the tool's words),
 * ERR_STOPPED, ...
 */
MUST_CHECK int kafka_node_format_all(struct lab *lab, struct err *e);

/* Start the node's process in its namespace; does not wait until it serves. */
MUST_CHECK int kafka_node_start(struct lab *lab, struct labfile_node *node, struct err *e);

/*
 * Make the archive of loaded classes (AppCDS), if there is none, by running a cluster of one in the
 * first node's namespace until it serves, and ending it in order. Once for each version and Java,
 * some 5 s; every later start of a node is cheaper (a single 3.9.1 node served after 1.2 s of CPU
 * time instead of 2.2 s). That no archive can be made is no failure: nodes start without. Returns 0
 * or ERR_STOPPED, ERR_IO.
 */
MUST_CHECK int kafka_node_train(struct lab *lab, struct err *e);

/* The sizes of all logs of topics on the node's own disk, in bytes; the cluster's metadata aside. */
int64_t kafka_node_stored_bytes(const struct labfile_node *node);

#endif
