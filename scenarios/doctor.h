#ifndef SCENARIOS_DOCTOR_H
#define SCENARIOS_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/labfile.h"

/*
 * What this machine can do for a lab: each point is tried for real (a namespace is made, a packet
 * queue is set, a file system is mounted) and undone at once.
 */

enum doctor_need {
	DOCTOR_REQUIRED, /* no lab for Kafka, or no embedded ledger, without it */
	DOCTOR_OPTIONAL, /* something is skipped, or slower */
};

struct doctor_finding {
	const char *name; /* "network namespaces": a constant */
	enum doctor_need need;
	bool ok;
	char detail[200];    /* what was found, or what went wrong */
	const char *without; /* what does not work, or is skipped, when it is missing: a constant */
	const char *hint;    /* what to install or to do: a constant, "" when there is nothing */
};

#define DOCTOR_MAX 24

/*
 * Examine the machine. Fills at most DOCTOR_MAX findings; blocks for seconds. Leaves nothing
 * behind.
 *
 * Returns 0 whatever was found; ERR_STOPPED after Ctrl-C; ERR_IO when no scratch folder can be
 * made.
 */
MUST_CHECK int doctor_examine(struct doctor_finding *ret, size_t *ret_n, struct err *e);

/* Can a lab live on that network with these? Never LABFILE_ON_CLUSTER. */
bool doctor_has_network(const struct doctor_finding *f, size_t n, enum labfile_network network);

/* Can a lab for Kafka run with these, on some network? */
bool doctor_lab_can_run(const struct doctor_finding *f, size_t n);

/* Can a lab for RabbitMQ? It needs namespaces of some kind, and no Java. */
bool doctor_rabbitmq_can_run(const struct doctor_finding *f, size_t n);

#endif
