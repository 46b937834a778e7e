#ifndef CORE_BROKER_RABBITMQ_H
#define CORE_BROKER_RABBITMQ_H

#include <amqp.h>
#include <amqp_framing.h>

#include "core/broker/broker.h"
#include "core/broker/rabbitmq_answer.h"
#include "core/broker/rabbitmq_props.h"
#include "core/paths.h"

/*
 * What the rabbitmq*.c files share; nobody else includes it. Facts about the client library are those of
 * rabbitmq-c 0.11, facts about the broker those of RabbitMQ 3.10.8, unless a comment says otherwise
 * (rabbitmq-facts.md has how they were measured).
 */

#define RABBITMQ_MAX_NODES 32

/* Codes of outcomes and of what is not taken that are neither a reply code of AMQP (above 0) nor the library's status (below 0). */
#define RABBITMQ_CODE_NACK 1
#define RABBITMQ_CODE_NO_CONNECTION 2

/* Where a destination is and who we are there; what its connections are made with. */
struct rabbitmq_client {
	struct rabbitmq_settings settings;
	struct broker_node node[RABBITMQ_MAX_NODES];
	size_t n_nodes;
	char netns[PATHS_MAX]; /* "": ours */
	bool tls;
	char user[RABBITMQ_TEXT_LEN], password[RABBITMQ_TEXT_LEN];
	char vhost[RABBITMQ_TEXT_LEN];
	char queue[RABBITMQ_TEXT_LEN];
	char client_id[64];
	int64_t timeout_ns;
	const volatile bool *stop; /* as in struct broker_config */
};

/* One connection; all zero: none. */
struct rabbitmq_conn {
	amqp_connection_state_t state; /* NULL: none */
	int fd;
	struct broker_node node;
	amqp_channel_t channel; /* the highest that was opened */
};

/* ---- rabbitmq_connection.c ---- */

/*
 * Read properties (those of c->props, or others) and the lab's state file. Connects nowhere.
 * Returns 0, ERR_USAGE, ERR_NOTFOUND (no such lab; no password file), ERR_LIMIT, ERR_NOMEM.
 */
MUST_CHECK int rabbitmq_client_init(const struct broker_config *c, const struct props *props,
	struct rabbitmq_client *ret, struct err *e);
/* Forget the password. */
void rabbitmq_client_release(struct rabbitmq_client *client);

/*
 * Connect to the i-th node and log in. Blocks until deadline_ns at most, but for the time that the resolver
 * takes for a name. Returns 0; ERR_BROKER_AWAY (no answer, refused by the host); ERR_DENIED (credentials,
 * virtual host, certificates); ERR_NOTFOUND (no such virtual host); ERR_BROKER, ERR_NOMEM.
 */
MUST_CHECK int rabbitmq_connect(const struct rabbitmq_client *client, size_t i, int64_t deadline_ns,
	struct rabbitmq_conn *ret, struct err *e);

/*
 * Connect to whichever node answers, beginning with *at, which is left at the one that did; again and again
 * until deadline_ns while none can be reached. As rabbitmq_connect(), and ERR_STOPPED.
 */
MUST_CHECK int rabbitmq_connect_any(const struct rabbitmq_client *client, size_t *at,
	int64_t deadline_ns, struct rabbitmq_conn *ret, struct err *e);

/*
 * orderly: with connection.close, so that what was sent arrives before; waits up to timeout_ns for its answer.
 * Otherwise the socket is closed at once. All zero is allowed.
 */
void rabbitmq_disconnect(struct rabbitmq_conn *conn, int64_t orderly_timeout_ns);

/*
 * For how long the peer may acknowledge nothing of what was sent, or keep its window closed; 0: the system's
 * default. A peer that takes no bytes any more would block amqp_basic_publish() for ever: no heartbeat ends it
 * there.
 */
void rabbitmq_set_user_timeout(const struct rabbitmq_conn *conn, int ms);

/* Open the next channel of a connection; how long its calls may take from now on. */
MUST_CHECK int rabbitmq_channel_open(
	struct rabbitmq_conn *conn, int64_t deadline_ns, struct err *e);
void rabbitmq_rpc_deadline(struct rabbitmq_conn *conn, int64_t deadline_ns);

/*
 * What an answer of the library means: 0, or an error in the broker's own words ("PRECONDITION_FAILED -
 * ..."), and ret_code (may be NULL) AMQP's reply code or the library's status. Answers a channel.close, so
 * that the connection can be used on with another channel.
 */
MUST_CHECK int rabbitmq_reply(struct rabbitmq_conn *conn, amqp_rpc_reply_t reply, const char *what,
	int *ret_code, struct err *e);

/* An error of the library's, by its status. */
int rabbitmq_status(const struct rabbitmq_conn *conn, int status, const char *what, struct err *e);

/*
 * The kind of error that a reply code of the broker is. The text decides where one code says two things: a queue
 * whose node is down is "not found" as well.
 */
int rabbitmq_code_error(int code, const char *text);

/* Text of a close method: "NOT_FOUND - no queue 'x' in vhost '/'". */
void rabbitmq_close_text(
	const amqp_frame_t *frame, char *ret, size_t len, int *ret_code, bool *ret_channel_only);

/* What to do about a refusal of the broker's; NULL: nothing is known. A constant. */
const char *rabbitmq_close_hint(int code, const char *text);

/*
 * Give back the memory of frames that were read; to be called after each. Not while frames wait in the library: it
 * would go through all of them for each channel, and each ack and publish makes it read whatever has arrived
 * (amqp_maybe_release_buffers_on_channel() and amqp_try_recv(), rabbitmq-c 0.11).
 */
void rabbitmq_release_buffers(struct rabbitmq_conn *conn);

/* A text as the library takes it; borrowed. */
amqp_bytes_t rabbitmq_bytes(const char *text);

/* ---- rabbitmq_tls.c ---- */

/*
 * Make a TLS socket of the connection's, with the client's certificates; connects nowhere. It is the connection's.
 * Returns 0, ERR_USAGE (files that cannot be read), ERR_NOMEM.
 */
MUST_CHECK int rabbitmq_tls_socket(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	amqp_socket_t **ret, struct err *e);

/*
 * Of a status of the library that this thread's last call on a TLS connection ended with: OpenSSL's own words ("" when
 * it has none), and what to do about it (NULL: nothing about TLS). Constants.
 */
const char *rabbitmq_tls_reason(int status);
const char *rabbitmq_tls_hint(int status);

/* ---- rabbitmq_admin.c ---- */

#define RABBITMQ_MAX_ARGUMENTS 32

/* What is known of a queue. */
struct rabbitmq_queue {
	char type[16]; /* "classic", "quorum", "stream" */
	bool durable, auto_delete;
	struct rabbitmq_argument argument[RABBITMQ_MAX_ARGUMENTS]; /* but for the type */
	int n_arguments;
	uint64_t ready, consumers; /* of the passive declare: the first is a hint */
};

/*
 * Ask for the client's queue on this connection. See rabbitmq_admin.c on why that changes nothing.
 * Returns 0, ERR_NOTFOUND, ERR_DENIED (exclusive to another connection, or the type may not be asked for),
 * ERR_BROKER_AWAY, ERR_BROKER.
 */
MUST_CHECK int rabbitmq_ask(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	int64_t deadline_ns, struct rabbitmq_queue *ret, struct err *e);
/* Only what a passive declare tells. */
MUST_CHECK int rabbitmq_look(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	int64_t deadline_ns, struct rabbitmq_queue *ret, struct err *e);

int rabbitmq_topic(const struct broker_config *c, struct broker_topic *ret, struct err *e);
int rabbitmq_create(const struct broker_config *c, const struct broker_create *how, struct err *e);
int rabbitmq_bind(const struct broker_config *c, const char *exchange, const char *routing_key,
	struct err *e);
int rabbitmq_destroy(const struct broker_config *c, struct err *e);
int rabbitmq_topic_settings(
	const struct broker_config *c, broker_setting_fn *fn, void *arg, struct err *e);
int rabbitmq_live_groups(
	const struct broker_config *c, char *ret, size_t len, int *ret_n, struct err *e);
int rabbitmq_node_answers(
	const struct broker_config *c, const struct broker_node *node, struct err *e);
int rabbitmq_queue_look(
	const struct broker_config *c, uint64_t *ret_ready, uint64_t *ret_consumers, struct err *e);

/* ---- rabbitmq_removals.c ---- */
int rabbitmq_removals(const struct broker_config *c, struct broker_removals *ret, struct err *e);

/* ---- rabbitmq_dead.c ---- */
int rabbitmq_dead_letters(const struct broker_config *c, const char *queue,
	const struct broker_fence *fence, int64_t settle_ns, int64_t timeout_ns, broker_dead_fn *fn,
	void *arg, char *ret_limits, struct err *e);

/* ---- rabbitmq_producer.c ---- */
int rabbitmq_producer_open(
	const struct broker_config *c, struct broker_producer **ret, struct err *e);
void rabbitmq_producer_settings(struct broker_producer *p, broker_setting_fn *fn, void *arg);
size_t rabbitmq_producer_capacity(struct broker_producer *p);
size_t rabbitmq_producer_window(struct broker_producer *p, size_t size, size_t n_partitions);
size_t rabbitmq_producer_send(
	struct broker_producer *p, int32_t partition, struct broker_send *msg, size_t n);
size_t rabbitmq_producer_poll(
	struct broker_producer *p, struct broker_outcome *ret, size_t max, int timeout_ms);
void rabbitmq_producer_purge(struct broker_producer *p);
int rabbitmq_producer_fatal(struct broker_producer *p, struct err *e);
void rabbitmq_producer_health(struct broker_producer *p, struct broker_health *ret);
size_t rabbitmq_producer_nodes(struct broker_producer *p, struct broker_node *ret, size_t max);
void rabbitmq_producer_close(struct broker_producer *p);

/* ---- rabbitmq_fence.c ---- */
int rabbitmq_fence(const struct broker_config *c, struct broker_fence *fence, size_t n,
	int64_t timeout_ns, struct err *e);

/* ---- rabbitmq_reader.c ---- */
int rabbitmq_reader_open(const struct broker_config *c, enum broker_isolation isolation, bool small,
	struct broker_reader **ret, struct err *e);
int rabbitmq_reader_start(
	struct broker_reader *r, int32_t partition, int64_t offset, struct err *e);
int rabbitmq_reader_stop(struct broker_reader *r, int32_t partition, struct err *e);
size_t rabbitmq_reader_read(
	struct broker_reader *r, struct broker_message *ret, size_t max, int timeout_ms);
void rabbitmq_reader_release(struct broker_reader *r, struct broker_message *msg, size_t n);
int rabbitmq_reader_bounds(struct broker_reader *r, int32_t partition, int64_t *ret_low,
	int64_t *ret_high, struct err *e);
int rabbitmq_reader_settle(
	struct broker_reader *r, int32_t partition, int64_t offset, struct err *e);
size_t rabbitmq_reader_ahead(const struct broker_reader *r);
int rabbitmq_reader_is_empty(
	struct broker_reader *r, int32_t partition, bool *ret_empty, struct err *e);
void rabbitmq_reader_health(struct broker_reader *r, struct broker_health *ret);
void rabbitmq_reader_close(struct broker_reader *r);

#endif
