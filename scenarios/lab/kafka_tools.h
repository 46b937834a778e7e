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

#endif
