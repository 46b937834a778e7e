#ifndef CORE_BROKER_KAFKA_PING_H
#define CORE_BROKER_KAFKA_PING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/*
 * What one Kafka broker says about its cluster, asked on a fresh connection: for the lab, which
 * must know who answers and whom the majority believes. No settings but the bootstrap and the file.
 */

#define KAFKA_PING_MAX 64 /* brokers, and partitions of the topic, that are reported */

struct kafka_ping {
	const char *bootstrap;  /* "host:port"; with several, whichever answers first */
	int netns_fd;           /* ask from within this network namespace; -1: from ours */
	const char *properties; /* file of librdkafka properties, "name=value" lines; NULL: none */
	const char *topic;  /* ask for its leaders too; NULL: no topic. Never created by asking */
	bool count;         /* count partitions of all topics (with topic NULL) ... */
	int32_t about;      /* ... that this broker leads, or is an in-sync replica of */
	int64_t timeout_ns; /* for the answer; at least a millisecond */
};

struct kafka_ping_partition {
	int32_t id;
	int32_t leader; /* broker id; -1: none */
	size_t n_isr;
	int32_t isr[8];
};

struct kafka_view {
	int32_t from;       /* id of the broker that answered */
	int32_t controller; /* -1: none */
	size_t n_brokers;   /* that it holds to be alive */
	int32_t broker[KAFKA_PING_MAX];
	size_t n_led;        /* partitions of all topics that `about` leads */
	size_t n_in_sync;    /* ... and whose in-sync replicas it is one of */
	size_t n_partitions; /* of the topic */
	struct kafka_ping_partition partition[KAFKA_PING_MAX];
};

/*
 * Ask n brokers at once, each on a thread of its own (its client's threads live in the namespace,
 * and no signal reaches them); blocks until the slowest has answered or timed out.
 *
 * ret_view[i] and ret_err[i] belong to ping[i]; ret_err[i].code is 0, or ERR_BROKER_AWAY (no answer
 * in time), ERR_DENIED (authentication failed), ERR_NOTFOUND (no such topic), ERR_BROKER (the
 * topic's error), ERR_FORMAT or ERR_IO (properties), ERR_NOMEM.
 */
void kafka_ping_each(
	const struct kafka_ping *ping, size_t n, struct kafka_view *ret_view, struct err *ret_err);

/*
 * Can the client library log in by SCRAM to a broker of that major version? librdkafka before 2.6.1
 * repeats its nonce in the last message; brokers from 4.0 on refuse that as wrong credentials
 * (librdkafka 4895; seen with 2.0.2 against 4.1.0, while 3.9.1 lets it in).
 */
bool kafka_ping_scram_works(int broker_major);

#endif
