#ifndef SCENARIOS_LAB_LAB_KAFKA_H
#define SCENARIOS_LAB_LAB_KAFKA_H

#include "scenarios/lab/lab.h"

/* Kafka nodes: KRaft, broker and controller in one. */
extern const struct lab_kind lab_kafka;

#define LAB_KAFKA_CONTROLLER_PORT 9093

/* What the other nodes say of one. */
struct lab_kafka_look {
	size_t n_answered; /* of the others */
	bool is_majority; /* they are more than half of all nodes: what follows is their common word */
	bool is_absent;   /* none of them holds it to be alive */
	size_t n_led;     /* partitions that it leads, at most, as any of them says */
	size_t n_in_sync; /* ... and whose in-sync replica it is */
};

/*
 * Ask every other node that should run about one node, on fresh connections; blocks up to timeout_ns.
 * Needs no lock. No answers are no failure. Returns 0, or ERR_NOMEM, ERR_IO.
 */
MUST_CHECK int lab_kafka_look(const struct labfile *file, const struct labfile_node *node,
	int64_t timeout_ns, struct lab_kafka_look *ret, struct err *e);

/* Does the node itself answer, on a fresh connection, within timeout_ns? ret_why may be NULL. */
bool lab_kafka_node_answers(const struct labfile *file, const struct labfile_node *node,
	int64_t timeout_ns, struct err *ret_why);

#endif
