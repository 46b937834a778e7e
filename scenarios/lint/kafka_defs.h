#ifndef SCENARIOS_LINT_KAFKA_DEFS_H
#define SCENARIOS_LINT_KAFKA_DEFS_H

#include <stddef.h>

#include "core/err.h"

/*
 * The settings of Kafka 4.1.0: of its Java producer and consumer, of a topic, of a broker; each with type,
 * default and valid values, as its own classes print them. A test compares each row with the real jars
 * (tests/broker/lint_test.sh). 3.9.1 has the same values wherever a rule looks; that is tested too.
 */
#define KAFKA_DEFS_VERSION "4.1.0"

struct kafka_def {
	const char *name;
	const char *type;  /* "boolean", "int", "long", "short", "double", "string", "list", ... */
	const char *dflt;  /* "": empty, or there is none; "null": not set */
	const char *valid; /* "[0,...]", "[0,...,900]", "[all, -1, 0, 1]"; others are not checked */
};

enum kafka_defs { KAFKA_DEFS_PRODUCER, KAFKA_DEFS_CONSUMER, KAFKA_DEFS_TOPIC, KAFKA_DEFS_BROKER };
#define KAFKA_DEFS_N 4

/* The word of a table ("java-producer", "java-consumer", "topic", "broker"): a constant. */
const char *kafka_defs_text(enum kafka_defs which);

/* A table, sorted by name, and how many rows. Constant. */
const struct kafka_def *kafka_defs_all(enum kafka_defs which, size_t *ret_n);

/* A row by name, or NULL. */
const struct kafka_def *kafka_defs_find(enum kafka_defs which, const char *name);

/*
 * Is this a value that Kafka takes? Blanks around it do not count, as in Java. Returns 0 or ERR_USAGE; the
 * message names the setting and, unless it is a secret, the value.
 */
MUST_CHECK int kafka_defs_check(const struct kafka_def *def, const char *value, struct err *e);

#endif
