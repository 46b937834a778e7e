#ifndef SCENARIOS_LAB_KAFKA_TOOLS_H
#define SCENARIOS_LAB_KAFKA_TOOLS_H

#include "scenarios/lab/lab.h"

/*
 * Kafka's own command line tools, as small scripts kafka-topics, kafka-configs, ... in the lab's
 * bin folder. In a secure lab they are admin, unless they are given another file of client
 * properties.
 */

/* Write the scripts. file->java_args is there. */
MUST_CHECK int kafka_tools_write(struct lab *lab, struct err *e);

/* The folder of the scripts, and one of them. */
void kafka_tools_folder(const char *lab_folder, char *ret, size_t len);
void kafka_tools_path(const struct lab *lab, const char *tool, char *ret, size_t len);

/*
 * The environment of `lab exec kafka`, in this process: $KAFKA_BOOTSTRAP, $MQAUDIT_LAB and (of a secure
 * lab) $KAFKA_CLIENT_CONFIG; the second has the tools in front of $PATH as well. Return 0 or ERR_NOMEM.
 */
MUST_CHECK int kafka_tools_bootstrap(const struct labfile *file, struct err *e);
MUST_CHECK int kafka_tools_environment(const struct labfile *file, struct err *e);

#endif
