#ifndef CORE_BROKER_BROKER_H
#define CORE_BROKER_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/words.h"

struct plant;
struct props;
struct url;

/*
 * The one small interface behind which every broker lives.
 *
 * A broker is one const struct broker_ops in the table of broker.c. What it can do is a set of capability
 * bits; shared code asks for bits, never for names. Outcomes and messages arrive only inside the calls
 * that poll for them, on the caller's thread.
 *
 * Handles are opaque. A producer may be used by two threads at once, one that sends and one that polls;
 * a reader or an admin handle by one thread at a time.
 */

enum broker_cap {
	BROKER_CAP_POSITIONS =
		1 << 0, /* the log is read by position, without taking anything away */
	BROKER_CAP_PARTITIONS = 1 << 1,   /* a destination has partitions */
	BROKER_CAP_TRANSACTIONS = 1 << 2, /* messages can be sent in transactions */
	BROKER_CAP_FENCE = 1 << 3, /* a fence record can be written and read in the same place */
	BROKER_CAP_KEYS = 1 << 4,  /* messages have keys */
	BROKER_CAP_SETTINGS =
		1 << 5, /* settings of destination, nodes and client can be asked for */
	/*
	 * Reading takes away what was read, and there are no positions: a reader numbers what it is given,
	 * and each is given again until it is settled (reader_settle()).
	 */
	BROKER_CAP_QUEUE = 1 << 6,
	BROKER_CAP_ROUTING =
		1 << 7, /* messages are routed: another destination can get them as well (bind()) */
};

#define BROKER_NO_OFFSET INT64_C(-1)
#define BROKER_NO_NODE (-1)

/* How to reach a destination. Everything is borrowed and must outlive the handle made from it. */
struct broker_config {
	const struct url *url;     /* scheme, hosts or lab, topic */
	const struct props *props; /* client properties in the library's own names; may be NULL */
	const struct props *consumer; /* those of readers; NULL: props */
	const char *client_id; /* how we appear in the broker's logs; the user's setting wins */
	int64_t timeout_ns;    /* for each call that must be answered (metadata and the like) */
	/*
	 * Becomes true when the caller is told to stop: topic(), create() and reader_bounds() then end with
	 * ERR_STOPPED, within a few seconds. NULL: they are waited for.
	 */
	const volatile bool *stop;
	size_t read_ahead; /* bytes that a reader may hold ready, about; 0: the library's default */
	struct plant *plant;    /* faults of the selftest (plant.h); NULL: none, as ever */
	const char *management; /* --management: URL of the broker's management API; NULL: none */
};

/* ---- what a destination is ------------------------------------------------------------------- */

struct broker_partition {
	int32_t id;
	int32_t leader; /* node id, BROKER_NO_NODE: none */
	int replicas;
	int in_sync;
};

struct broker_node {
	int32_t id;
	char host[256];
	int port;
};

/* A snapshot of a topic, and of the cluster around it; free with broker_topic_free(). */
struct broker_topic {
	size_t n_partitions;
	struct broker_partition *partition; /* index = partition number */
	size_t n_nodes;
	struct broker_node *node;
	char cluster_id[64];
	unsigned caps; /* enum broker_cap: what this destination can do, of what its broker can */
	char kind[16]; /* of a queue: "classic", "quorum", "stream"; "": there is only one kind */
};
void broker_topic_free(struct broker_topic *t);

/* What --create-topic asks for. */
struct broker_create {
	int partitions;
	int replication;           /* -1: the broker's default */
	const char *const *config; /* name, value, name, value, ... NULL */
	const char *assignment; /* "1:2:3,2:3:1": replicas a partition; NULL: the broker chooses */
};

/* Called for each name and value; the texts live only during the call. */
typedef void broker_setting_fn(void *arg, const char *name, const char *value);

/* Where a setting of a destination or of a node was made. X(name, text) */
#define BROKER_ORIGINS(X)                                                                          \
	X(UNTOLD, "cluster")                                                                       \
	X(TOPIC, "topic")                                                                          \
	X(NODE, "broker")                                                                          \
	X(ALL_NODES, "cluster-wide")                                                               \
	X(DEFAULT, "broker default")

enum broker_origin {
#define BROKER_ENUM_(name, text) BROKER_ORIGIN_##name,
	BROKER_ORIGINS(BROKER_ENUM_)
#undef BROKER_ENUM_
		BROKER_ORIGIN_N
};

/* The text of an origin: a constant. */
const char *broker_origin_text(enum broker_origin o);

/* As broker_setting_fn; node is BROKER_NO_NODE for the destination's own. Secrets have the value "". */
typedef void broker_described_fn(
	void *arg, int32_t node, const char *name, const char *value, enum broker_origin origin);

enum broker_client { BROKER_CLIENT_PRODUCER, BROKER_CLIENT_CONSUMER };

/* Whose properties a file holds. */
enum broker_role { BROKER_ROLE_PRODUCER, BROKER_ROLE_CONSUMER, BROKER_ROLE_OTHER };

/* ---- sending --------------------------------------------------------------------------------- */

enum broker_taken {
	BROKER_TAKEN = 0, /* the library has it; an outcome will come by poll */
	BROKER_QUEUE_FULL, /* not taken, try again later; neither is anything behind it in the batch */
	BROKER_REFUSED_LOCALLY, /* not taken and never will be (too large, ...): no outcome comes */
};

struct broker_send {
	const void *payload; /* must stay untouched until the outcome came, or until close */
	size_t len;
	const void *key; /* NULL: none; copied */
	size_t key_len;
	void *tag; /* comes back in the outcome */
	/* filled by send: */
	enum broker_taken taken;
	int code; /* the library's error code when not taken */
};

struct broker_outcome {
	void *tag;
	enum outcome outcome; /* ACKED, UNCONFIRMED, REFUSED or UNKNOWN */
	int64_t offset;       /* BROKER_NO_OFFSET when there is none that means anything */
	int32_t node;         /* that answered; BROKER_NO_NODE when none did */
	int code;             /* the library's error code; 0: none */
};

/* What happened to the connections of a handle so far. A healthy run has only connects. */
struct broker_health {
	uint64_t connects;
	uint64_t disconnects;
	uint64_t retries;  /* requests or messages sent again by the library */
	uint64_t timeouts; /* requests without an answer in time */
	uint64_t
		changes; /* grows whenever a leader changed or a connection was lost: a hint of a cut */
	uint64_t snapshots; /* how often these numbers were brought up to date */
	bool blocked; /* the broker takes nothing from publishers for now; last_error has its reason */
	char last_error[512];
};

struct broker_producer;

/* ---- reading --------------------------------------------------------------------------------- */

enum broker_item {
	BROKER_MESSAGE, /* a record */
	BROKER_END,     /* the partition's end was reached; offset = the next one to come */
	BROKER_OUT_OF_RANGE, /* the position does not exist: the log was cut behind it, or in front of it */
	BROKER_READ_ERROR, /* text says what; the library goes on by itself unless fatal */
};

struct broker_message {
	enum broker_item item;
	int32_t partition;
	int64_t offset;
	const uint8_t *payload;
	size_t len;
	const void *key;
	size_t key_len;
	const uint8_t
		*beside; /* an envelope beside the payload (envelope.h); NULL: none, or in it */
	size_t beside_len;
	int64_t stamp_ms; /* the record's timestamp, ms since 1970; 0: none */
	const char *text; /* BROKER_READ_ERROR: what the library says */
	bool redelivered; /* BROKER_CAP_QUEUE: the broker says that it may have been given before */
	int32_t deliveries_before; /* BROKER_CAP_QUEUE: as counted by the broker; -1: not told */
	int32_t node; /* BROKER_MESSAGE: that it was read from; BROKER_NO_NODE: not known */
	bool fatal;   /* BROKER_READ_ERROR: reading cannot go on (no permission, no topic, ...) */
	bool gone;    /* ... because the destination is not there any more */
	void *handle; /* private */
};

struct broker_reader;

enum broker_isolation { BROKER_UNCOMMITTED, BROKER_COMMITTED };

struct broker_fence {
	int32_t partition;
	const void *key;
	size_t key_len;
	const void *payload;
	size_t len;
	/*
	 * BROKER_CAP_ROUTING: the exchange and the key that it is routed by, as the audited messages are; it must
	 * be routed to something then (ERR_NOTFOUND). NULL: straight to the destination.
	 */
	const char *exchange, *routing_key;
	bool acked; /* filled */
	int64_t offset; /* filled: where it is; BROKER_NO_OFFSET: not acked, or there are no positions */
};

/* ---- what takes messages from a queue but consumers ------------------------------------------ */

/* One count of one node since it started; of another incarnation it began anew. */
struct broker_count {
	char node[128];
	char incarnation[64];
	char name
		[64]; /* "dropped.maxlen", ...: by policy; "unroutable"; others are the broker's own */
	uint64_t count;
};

#define BROKER_COUNT_DROPPED "dropped."    /* with the broker's word for the reason behind */
#define BROKER_COUNT_DEAD "dead-lettered." /* by policy too, but given to a dead-letter exchange */
#define BROKER_COUNT_UNROUTABLE "unroutable"

/* What the broker's own side says of removals; free with broker_removals_free(). */
struct broker_removals {
	char source[16]; /* who told: "lab", "management" */
	bool gone;       /* the queue is not there */
	bool expires; /* unused for some time the queue itself is removed, with all that is in it */
	char limits
		[400]; /* "message-ttl=500 (policy 'p')": what can take messages from it; "": nothing */
	char dead_letter_queue[256]; /* where they go then, as far as that can be told; "" */
	char others[300]; /* queues whose removals are counted together with this one's; "": none */
	bool all_nodes;   /* every node of the cluster gave its counts */
	struct broker_count *count;
	size_t n_counts;
};
void broker_removals_free(struct broker_removals *r);

/* A copy in a dead-letter queue. Borrowed, for the time of the call. */
struct broker_dead_letter {
	const uint8_t *payload;
	size_t len;
	const uint8_t *beside; /* as in struct broker_message */
	size_t beside_len;
	const char *reason; /* the broker's word; "": it was not put there from the audited queue */
};

/* Returns 0, or a code that ends the reading. */
typedef int broker_dead_fn(void *arg, const struct broker_dead_letter *d);

/* ---- the operations -------------------------------------------------------------------------- */

struct broker_ops {
	const char *scheme;         /* "kafka" */
	const char *const *schemes; /* all URL schemes, NULL-terminated */
	unsigned caps;              /* enum broker_cap */
	const char *password;       /* the property that --password-file sets */

	/*
	 * Version of the client library ("librdkafka 2.0.2"). Required.
	 */
	const char *(*library)(void);

	/* Text of an error code of the library ("Local: Message timed out"); a constant. Required. */
	const char *(*code_text)(int code);

	/*
	 * What a properties file says, in whatever names it does, into the library's own names, for a client of
	 * this role; out may hold properties already. warnings gets, under the name of each property that
	 * cannot be kept as it was meant, a sentence fit to print. Required.
	 * ERR_USAGE, ERR_NOMEM, ERR_LIMIT; out and warnings may be half filled then.
	 */
	int (*props_translate)(const struct props *in, enum broker_role role, struct props *out,
		struct props *warnings, struct err *e);

	/*
	 * Does a property, in the library's own name, say how to reach and enter the broker? A client of the
	 * judge's own, such as the fence's, takes only these from the user. Required.
	 */
	bool (*props_is_connection)(const char *name);

	/*
	 * Ask for the destination. Blocks up to config->timeout_ns. Required.
	 * ERR_NOTFOUND (no such topic), ERR_BROKER_AWAY, ERR_DENIED (credentials, permission), ERR_USAGE
	 * (a property is wrong), ERR_BROKER.
	 */
	int (*topic)(const struct broker_config *c, struct broker_topic *ret, struct err *e);

	/* Make it. ERR_EXISTS when it is there, otherwise as topic(). Required. */
	int (*create)(
		const struct broker_config *c, const struct broker_create *how, struct err *e);

	/*
	 * From now on what is published to this exchange with this key comes to the destination as well
	 * (BROKER_CAP_ROUTING). Nothing changes when that is so already. ERR_NOTFOUND (no such exchange, or
	 * destination), ERR_DENIED, otherwise as topic().
	 */
	int (*bind)(const struct broker_config *c, const char *exchange, const char *routing_key,
		struct err *e);

	/* Remove it with all that is in it. ERR_NOTFOUND, ERR_DENIED, otherwise as topic(). Optional. */
	int (*destroy)(const struct broker_config *c, struct err *e);

	/* The destination's own settings (retention, cleanup policy, ...). ERR_DENIED is common. Optional. */
	int (*topic_settings)(
		const struct broker_config *c, broker_setting_fn *fn, void *arg, struct err *e);

	/*
	 * The destination's own settings, and those of n nodes, each with where it was made
	 * (BROKER_CAP_SETTINGS). Blocks up to config->timeout_ns for each. ERR_DENIED is common.
	 */
	int (*describe)(const struct broker_config *c, const struct broker_node *node, size_t n,
		broker_described_fn *fn, void *arg, struct err *e);

	/*
	 * Settings of a client of that kind with these properties, which are in the library's own names: what
	 * the library makes of them, its defaults included. fn gets each of names (a list that NULL ends) that
	 * the library knows, its aliases too; secrets as PROPS_HIDDEN. Connects nowhere, and opens none of the
	 * files that connecting needs (BROKER_CAP_SETTINGS).
	 *
	 * ERR_USAGE: a property is unknown or its value wrong (then *ret_bad is its name, borrowed of props), or
	 * they contradict each other (*ret_bad is NULL).
	 */
	int (*client_settings)(const struct props *props, enum broker_client kind,
		const char *const *names, broker_setting_fn *fn, void *arg, const char **ret_bad,
		struct err *e);

	/* Does the client library have a property of this name (BROKER_CAP_SETTINGS)? */
	bool (*client_knows)(const char *name);

	/*
	 * Names of live groups that have a member which is assigned this destination, comma-separated in
	 * ret (cut to len); *ret_n how many. ERR_DENIED is common. Optional.
	 */
	int (*live_groups)(
		const struct broker_config *c, char *ret, size_t len, int *ret_n, struct err *e);

	/* Does this node answer on a fresh connection? 0, ERR_BROKER_AWAY, ... Blocks. Optional. */
	int (*node_answers)(
		const struct broker_config *c, const struct broker_node *node, struct err *e);

	/* ---- producer ---- */

	/*
	 * Open a producer; checks the properties (ERR_USAGE), connects in the background. Required.
	 */
	int (*producer_open)(
		const struct broker_config *c, struct broker_producer **ret, struct err *e);

	/* The effective settings, all of them, secrets as PROPS_HIDDEN. Required. */
	void (*producer_settings)(struct broker_producer *p, broker_setting_fn *fn, void *arg);

	/* How many messages may be outstanding before the library's queue is full. Required. */
	size_t (*producer_capacity)(struct broker_producer *p);

	/*
	 * How many messages of `size` bytes are worth having outstanding over n_partitions, when they are
	 * sent as fast as they can be: more would only wait, or cost CPU time, in the library. At most
	 * producer_capacity(); just that when the user chose it. Required.
	 */
	size_t (*producer_window)(struct broker_producer *p, size_t size, size_t n_partitions);

	/*
	 * Hand n messages over, in order, to one partition. Never blocks. Each msg[i].taken says what became
	 * of it. Returns how many were taken. The sending thread only. Required.
	 */
	size_t (*producer_send)(
		struct broker_producer *p, int32_t partition, struct broker_send *msg, size_t n);

	/*
	 * Collect outcomes: waits up to timeout_ms for the first, then takes what is there, at most max.
	 * Returns how many. The polling thread only. Required.
	 */
	size_t (*producer_poll)(
		struct broker_producer *p, struct broker_outcome *ret, size_t max, int timeout_ms);

	/* Drop what was not sent and what waits for an answer: each gets its outcome by poll. Required. */
	void (*producer_purge)(struct broker_producer *p);

	/* A fatal error that ends all sending, or 0. Required. */
	int (*producer_fatal)(struct broker_producer *p, struct err *e);

	/* Connections so far; nodes that were ever connected to, at most max. Required. */
	void (*producer_health)(struct broker_producer *p, struct broker_health *ret);
	size_t (*producer_nodes)(struct broker_producer *p, struct broker_node *ret, size_t max);

	/*
	 * Transactions (BROKER_CAP_TRANSACTIONS). All block up to timeout_ns. txn_end() with commit:
	 * *ret_committed says what the broker answered; ERR_TIMEOUT or ERR_BROKER_AWAY: nobody knows.
	 */
	int (*txn_init)(struct broker_producer *p, int64_t timeout_ns, struct err *e);
	int (*txn_begin)(struct broker_producer *p, struct err *e);
	int (*txn_end)(struct broker_producer *p, bool commit, int64_t timeout_ns,
		bool *ret_committed, struct err *e);

	/* Close at once: what is outstanding is dropped without an outcome. NULL allowed. Required. */
	void (*producer_close)(struct broker_producer *p);

	/* ---- reader (BROKER_CAP_POSITIONS) ---- */

	/*
	 * Open a reader. It belongs to no group and commits nothing. `small`: for looking at single records
	 * (fetches little); otherwise for reading on at full speed.
	 */
	int (*reader_open)(const struct broker_config *c, enum broker_isolation isolation,
		bool small, struct broker_reader **ret, struct err *e);

	/* Read a partition from offset on; if it is being read already, go there. */
	int (*reader_start)(
		struct broker_reader *r, int32_t partition, int64_t offset, struct err *e);

	/* Stop reading a partition; what is under way may still arrive. */
	int (*reader_stop)(struct broker_reader *r, int32_t partition, struct err *e);

	/*
	 * Wait up to timeout_ms for the first item, then take what is there, at most max. Returns how many;
	 * each must be given back with reader_release().
	 */
	size_t (*reader_read)(
		struct broker_reader *r, struct broker_message *ret, size_t max, int timeout_ms);
	void (*reader_release)(struct broker_reader *r, struct broker_message *msg, size_t n);

	/*
	 * First offset and the one behind the last readable record (for BROKER_COMMITTED: the last stable
	 * offset). Blocks up to config->timeout_ns.
	 */
	int (*reader_bounds)(struct broker_reader *r, int32_t partition, int64_t *ret_low,
		int64_t *ret_high, struct err *e);

	/*
	 * BROKER_CAP_QUEUE. What a reader of a queue is given it numbers from the offset of reader_start() on,
	 * in the order in which it is given; reading is exclusive (ERR_EXISTS from reader_start(): another
	 * consumer is there).
	 *
	 * Everything that was given below `offset` is recorded: it may be taken off the queue. What is not
	 * settled when the connection ends is given again, with a new number. Does not wait for the broker.
	 */
	int (*reader_settle)(
		struct broker_reader *r, int32_t partition, int64_t offset, struct err *e);

	/*
	 * BROKER_CAP_QUEUE. How many messages this reader is given at most before some are settled: who settles no
	 * earlier than that waits for the broker. At least 1.
	 */
	size_t (*reader_ahead)(const struct broker_reader *r);

	/*
	 * Ask the queue for one message more (basic.get, never its depth, which may be wrong after a failover:
	 * rabbitmq-facts.md section 5). What comes is given by reader_read(), and *ret_empty is false. Nothing
	 * that this reader holds unsettled counts. Blocks up to config->timeout_ns.
	 */
	int (*reader_is_empty)(
		struct broker_reader *r, int32_t partition, bool *ret_empty, struct err *e);

	/*
	 * How many messages the queue says are ready (a hint), and how many consumers it has: a reader is one,
	 * and on a quorum queue (RabbitMQ 3.10.8) one more for each message that reader_is_empty() brought and
	 * that is not settled. Blocks up to config->timeout_ns.
	 */
	int (*queue_look)(const struct broker_config *c, uint64_t *ret_ready,
		uint64_t *ret_consumers, struct err *e);

	/*
	 * What but consumers takes messages from the queue: its limits in effect, and what all nodes have counted.
	 * Told by the nodes of a lab, or by config->management. Blocks up to config->timeout_ns for each node.
	 * ERR_NOTFOUND: neither is to be had; ERR_BROKER_AWAY, ERR_DENIED, ERR_BROKER, ERR_USAGE. Optional.
	 */
	int (*removals)(const struct broker_config *c, struct broker_removals *ret, struct err *e);

	/*
	 * Look through a dead-letter queue: fn is given all that is in it, and all of it is given back at the end
	 * (as redelivered, at its old place; a quorum queue counts a delivery). With a fence (its payload) all that
	 * was there before the fence was seen; the fence is taken out again. Goes on until nothing more came for
	 * settle_ns. Exclusive: ERR_EXISTS when it has other consumers. *ret_limits (of at least 400 bytes): what
	 * of its own arguments can take messages from it, "" for nothing. Blocks up to timeout_ns behind the first
	 * answer. ERR_NOTFOUND (no such queue), ERR_DENIED, ERR_TIMEOUT, ERR_BROKER_AWAY, ERR_BROKER. Optional.
	 */
	int (*dead_letters)(const struct broker_config *c, const char *queue,
		const struct broker_fence *fence, int64_t settle_ns, int64_t timeout_ns,
		broker_dead_fn *fn, void *arg, char *ret_limits, struct err *e);

	void (*reader_health)(struct broker_reader *r, struct broker_health *ret);
	void (*reader_close)(struct broker_reader *r);

	/*
	 * Write fence records durably, one for each entry: with a client of its own, the strongest
	 * acknowledgement, never a transactional id; of config->props only what is needed to connect. Blocks
	 * up to timeout_ns. Each entry's offset says where it is.
	 */
	int (*fence)(const struct broker_config *c, struct broker_fence *fence, size_t n,
		int64_t timeout_ns, struct err *e);
};

/* The broker that serves a URL's scheme, or NULL. */
const struct broker_ops *broker_find(const char *scheme);

/* All brokers that are built in, NULL-terminated. */
const struct broker_ops *const *broker_all(void);

extern const struct broker_ops broker_kafka;
extern const struct broker_ops broker_rabbitmq;

#endif
