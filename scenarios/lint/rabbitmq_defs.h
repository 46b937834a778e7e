#ifndef SCENARIOS_LINT_RABBITMQ_DEFS_H
#define SCENARIOS_LINT_RABBITMQ_DEFS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

/*
 * The settings of RabbitMQ 3.10.8 by name: a queue's properties and arguments, the keys of a policy, and all of
 * rabbitmq.conf. A test compares them with a real node's and with its own schema files
 * (tests/broker/rabbitmq_lint_test.sh).
 */

#define RABBITMQ_DEFS_VERSION "3.10"

enum rabbitmq_def_kind {
	RABBITMQ_DEF_TEXT,
	RABBITMQ_DEF_NUMBER, /* from 0 on */
	RABBITMQ_DEF_ONE_OF, /* one of valid */
};

/* Bits of rabbitmq_def.types: the types of queue that take it, 1 << enum lint_queue. */
#define RABBITMQ_DEF_CLASSIC 1u
#define RABBITMQ_DEF_QUORUM 2u
#define RABBITMQ_DEF_STREAM 4u

struct rabbitmq_def {
	const char *name;
	enum rabbitmq_def_kind kind;
	const char *valid; /* "true|false"; NULL unless one of them it must be */
	unsigned types;    /* 0: it is of no queue (rabbitmq.conf) */
};

enum rabbitmq_defs { RABBITMQ_DEFS_QUEUE, RABBITMQ_DEFS_POLICY, RABBITMQ_DEFS_CONF };

/* A table, and how many rows. Constant. In names of rabbitmq.conf "$x" stands for any word. */
const struct rabbitmq_def *rabbitmq_defs_all(enum rabbitmq_defs which, size_t *ret_n);

extern const struct rabbitmq_def
	rabbitmq_defs_conf[]; /* for rabbitmq_defs.c: rabbitmq_defs_conf.c */
extern const size_t rabbitmq_defs_n_conf;

/* The row for a name, or NULL. For settings of plugins, of which there is no table, any. */
const struct rabbitmq_def *rabbitmq_defs_find(enum rabbitmq_defs which, const char *name);

/* Is this a value that it takes? Returns 0 or ERR_USAGE. */
MUST_CHECK int rabbitmq_defs_check(
	const struct rabbitmq_def *def, const char *value, struct err *e);

#endif
