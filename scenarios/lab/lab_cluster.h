#ifndef SCENARIOS_LAB_LAB_CLUSTER_H
#define SCENARIOS_LAB_LAB_CLUSTER_H

#include "scenarios/lab/cluster.h"
#include "scenarios/lab/lab.h"

/*
 * A user's own Kafka cluster as a kind of lab: nodes start and stop by the commands of its file
 * (lab->cluster), and are asked as a lab's are. It never goes up or down: these hooks are not there.
 */
extern const struct lab_kind lab_cluster;

/*
 * Its state, for a look without a lock: what is recorded, or all nodes running when nothing is. The caller
 * frees *ret with labfile_free(). Returns 0, ERR_STATE (see lab_open_cluster()), ERR_NOMEM, ERR_IO.
 */
MUST_CHECK int lab_cluster_read(const struct cluster *c, struct labfile **ret, struct err *e);

/* The cluster's node behind a lab's. */
const struct cluster_node *lab_cluster_node(const struct lab *lab, const struct labfile_node *node);

#endif
