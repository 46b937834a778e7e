#ifndef CORE_BROKER_KAFKA_H
#define CORE_BROKER_KAFKA_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "core/broker/broker.h"

/*
 * What the kafka*.c files share; nobody else includes it. Facts about the client library are those of
 * librdkafka 2.0.2 (Debian 12) unless a comment says otherwise.
 */

/* What a role may be given beside the user's own properties. */
enum kafka_client_role {
	KAFKA_PRODUCER,
	KAFKA_READER,           /* at full speed, everything that is in the log */
	KAFKA_COMMITTED_READER, /* at full speed, up to the last stable offset, without what was aborted */
	KAFKA_SMALL_READER, /* single records */
	KAFKA_ADMIN,
	KAFKA_FENCE,
};

/*
 * What a client instance heard of its connections: written by the library's callbacks (which run inside
 * the calls that poll) and by its log callback (which runs on the library's threads: hence the lock).
 */
struct kafka_watch {
	pthread_mutex_t mutex;
	struct broker_health health;
	int last_code; /* of the last error that says why nothing works; 0: none */
	bool denied;   /* credentials or permission, or TLS, was the reason */
	size_t n_nodes;
	struct broker_node node[64];
	size_t n_leaders;
	int32_t *leader; /* by partition, as the statistics last said */
};

/* A client instance with what it heard. */
struct kafka_client {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic; /* NULL for admin clients */
	char topic_name[256];
	struct kafka_watch watch;
	int64_t timeout_ns;
	const volatile bool *stop; /* as in struct broker_config */
};

/*
 * Make a client for a role: properties, lab or hosts, namespace, logging. With a topic handle unless
 * role is KAFKA_ADMIN. `hosts` replaces the URL's (NULL: the URL's).
 *
 * Returns 0; ERR_USAGE: a property is wrong; ERR_NOTFOUND: no such lab; ERR_BROKER.
 */
MUST_CHECK int kafka_client_open(const struct broker_config *c, enum kafka_client_role role,
	const char *hosts, struct kafka_client *ret, struct err *e);
void kafka_client_close(struct kafka_client *c);

/* Serve callbacks that wait (errors, statistics); never blocks. */
void kafka_client_serve(struct kafka_client *c);

/* Take a statistics text in (from an event or a callback). */
void kafka_watch_stats(struct kafka_watch *w, const char *json, size_t len);

/* Take an error event in (kafka_error.c). */
void kafka_watch_error(struct kafka_watch *w, int code, const char *text);

/* A copy of what was heard. */
void kafka_watch_health(struct kafka_watch *w, struct broker_health *ret);

/* kafka_error.c */

/*
 * Turn a library error into ours: the code by kind (away, denied, not found, usage, timeout), the reason
 * that the client heard last, which says more than "timed out", and a hint what to do.
 */
int kafka_error(struct kafka_client *c, rd_kafka_resp_err_t code, const char *what, struct err *e);

/* Is the caller told to stop? Then e is ERR_STOPPED, with what was under way. */
bool kafka_stopped(const struct kafka_client *c, const char *what, struct err *e);

/* All effective settings of a client. */
void kafka_settings(struct kafka_client *c, broker_setting_fn *fn, void *arg);

/* One effective setting (global or topic), or false. */
bool kafka_setting(struct kafka_client *c, const char *name, char *ret, size_t len);

/* kafka_admin.c */
int kafka_topic(const struct broker_config *c, struct broker_topic *ret, struct err *e);
int kafka_create(const struct broker_config *c, const struct broker_create *how, struct err *e);
int kafka_destroy(const struct broker_config *c, struct err *e);
int kafka_topic_settings(
	const struct broker_config *c, broker_setting_fn *fn, void *arg, struct err *e);
int kafka_describe(const struct broker_config *c, const struct broker_node *node, size_t n,
	broker_described_fn *fn, void *arg, struct err *e);
int kafka_live_groups(
	const struct broker_config *c, char *ret, size_t len, int *ret_n, struct err *e);
int kafka_node_answers(
	const struct broker_config *c, const struct broker_node *node, struct err *e);

/* kafka_producer.c */
int kafka_producer_open(const struct broker_config *c, struct broker_producer **ret, struct err *e);
void kafka_producer_settings(struct broker_producer *p, broker_setting_fn *fn, void *arg);
size_t kafka_producer_capacity(struct broker_producer *p);
size_t kafka_producer_window(struct broker_producer *p, size_t size, size_t n_partitions);
size_t kafka_producer_send(
	struct broker_producer *p, int32_t partition, struct broker_send *msg, size_t n);
size_t kafka_producer_poll(
	struct broker_producer *p, struct broker_outcome *ret, size_t max, int timeout_ms);
void kafka_producer_purge(struct broker_producer *p);
int kafka_producer_fatal(struct broker_producer *p, struct err *e);
void kafka_producer_health(struct broker_producer *p, struct broker_health *ret);
size_t kafka_producer_nodes(struct broker_producer *p, struct broker_node *ret, size_t max);
int kafka_txn_init(struct broker_producer *p, int64_t timeout_ns, struct err *e);
int kafka_txn_begin(struct broker_producer *p, struct err *e);
int kafka_txn_end(struct broker_producer *p, bool commit, int64_t timeout_ns, bool *ret_committed,
	struct err *e);
void kafka_producer_close(struct broker_producer *p);
int kafka_fence(const struct broker_config *c, struct broker_fence *fence, size_t n,
	int64_t timeout_ns, struct err *e);

/* kafka_reader.c */
int kafka_reader_open(const struct broker_config *c, enum broker_isolation isolation, bool small,
	struct broker_reader **ret, struct err *e);
int kafka_reader_start(struct broker_reader *r, int32_t partition, int64_t offset, struct err *e);
int kafka_reader_stop(struct broker_reader *r, int32_t partition, struct err *e);
size_t kafka_reader_read(
	struct broker_reader *r, struct broker_message *ret, size_t max, int timeout_ms);
void kafka_reader_release(struct broker_reader *r, struct broker_message *msg, size_t n);
int kafka_reader_bounds(struct broker_reader *r, int32_t partition, int64_t *ret_low,
	int64_t *ret_high, struct err *e);
void kafka_reader_health(struct broker_reader *r, struct broker_health *ret);
void kafka_reader_close(struct broker_reader *r);

#endif
