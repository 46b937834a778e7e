#ifndef SCENARIOS_LAB_LAB_KAFKA_H
#define SCENARIOS_LAB_LAB_KAFKA_H

#include "scenarios/lab/lab.h"

/* Kafka nodes: KRaft, broker and controller in one. */
extern const struct lab_kind lab_kafka;

#define LAB_KAFKA_CONTROLLER_PORT 9093

#endif
