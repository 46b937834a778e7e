#ifndef SCENARIOS_LAB_LAB_RABBITMQ_H
#define SCENARIOS_LAB_LAB_RABBITMQ_H

#include "scenarios/lab/lab.h"

/*
 * RabbitMQ nodes, rabbit@ADDRESS, one cluster. A node answers when it answers clients and has all nodes
 * that should run in its list of running ones; or holds them to be partitioned off: it sees them then, and
 * stays so until it is restarted (cluster_partition_handling = ignore).
 */
extern const struct lab_kind lab_rabbitmq;

#endif
