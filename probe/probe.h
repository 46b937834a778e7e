#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/broker/destination.h"
#include "core/buf.h"
#include "core/ledger/run.h"
#include "core/opt.h"
#include "core/words.h"
#include "probe/producer.h"

/* A probe from its options to its end: run, epochs, journals, producers, shipping. */

struct probe_opts {
	struct destination_opts destination;
	const char *ledger;
	const char *run;
	const char *promise;
	const char *fail_on;
	const char *allow;
	const char *check; /* the URL that the checker reads, if it is another */
	uint64_t count;
	uint64_t rate;
	int64_t duration_ns;
	uint64_t size;
	const char *partitions;
	uint64_t producers;
	uint64_t producer_id;
	const char *keys;
	const char *on_queue_full;
	bool exit_without_flush;
	bool republish_unknown;
	const char *transaction;
	const char *crash_at;
	bool resume;
	bool fsync;
	int64_t flush_timeout_ns;
	const char *create_topic;
	struct opt_list topic_config;
	const char *replica_assignment;
	const char *create_queue;
	struct opt_list queue_argument;
	const char *exchange;
	const char *routing_key;
	bool mandatory;
	bool routed_stream;
	bool shared;
	uint64_t seed;
	uint64_t status_fd; /* hidden: 0: none */
	const char *plant;  /* hidden: the selftest's faults; NULL: none */
};

/*
 * Run a probe to its end. Progress and notes go to standard error, or as status lines to the status
 * file descriptor.
 *
 * Returns 0 when all that was asked for was sent (or Ctrl-C ended it in order) and is in the ledger.
 * Findings are no error: the checker judges. ERR_STOPPED: Ctrl-C came before the run began; nothing was
 * sent, and nothing is on record.
 */
MUST_CHECK int probe_run(
	const struct cmdline *cl, const struct probe_opts *o, const char *url, struct err *e);

/* probe_options.c: what the options say. */

/*
 * Is all that can be known without a broker right: numbers, words, lists, what contradicts what? Fills in
 * the plan's keys, transactions and crash point. Blocks on nothing. Returns 0, ERR_USAGE or ERR_NOMEM.
 */
MUST_CHECK int probe_check_options(const struct cmdline *cl, const struct probe_opts *o,
	struct producer_plan *plan, struct err *e);

/*
 * "0,2,4-7" into a sorted array of partitions below n (malloc'ed); NULL text: all of them.
 * Returns 0, ERR_USAGE (no such list, or no such partition) or ERR_NOMEM.
 */
MUST_CHECK int probe_parse_partitions(
	const char *text, size_t n, int32_t **ret, size_t *ret_n, struct err *e);

/* The topic, or queue, that --create-topic, --create-queue and their companions describe. */
struct probe_new_topic {
	struct broker_create create; /* its texts are those of config and of the options */
	const char **config;         /* name, value, ..., NULL; malloc'ed, texts too */
};

/* Is a topic, or a queue, to be made? */
bool probe_makes_topic(const struct probe_opts *o);

/* --create-topic or --create-queue is a precondition. Returns 0, ERR_USAGE or ERR_NOMEM; released also after a failure. */
MUST_CHECK int probe_parse_new_topic(
	const struct probe_opts *o, struct probe_new_topic *ret, struct err *e);
void probe_new_topic_release(struct probe_new_topic *t);

/* probe_plant.c: faults of the selftest. */

struct plant;

/*
 * Plant `spec` (plant.h) into what the producers of a plan will send: changes its operations, and the
 * destination's configuration. count: messages of all lanes together. *ret is freed by the caller after
 * the producers.
 */
MUST_CHECK int probe_plant(const char *spec, const struct probe_opts *o, struct destination *d,
	struct producer_plan *plan, struct plant **ret, struct err *e);

/* What was planted, a line "planted {JSON}" each, and "not planted {JSON}" for what could not be. */
void probe_planted_lines(const struct plant *p, struct buf *ret);

/*
 * probe_safety.c: refuse a destination that others use. ERR_STATE, with what was found. relayed: somebody is to
 * take the messages on from there, so that a live group is none of these.
 */
MUST_CHECK int probe_check_unshared(
	const struct destination *d, const struct broker_topic *topic, bool relayed, struct err *e);

/* Of a queue: has it neither messages nor consumers? False of all else. Nothing is taken from it. */
MUST_CHECK int probe_queue_is_empty(const struct destination *d, const struct broker_topic *topic,
	bool *ret_empty, struct err *e);

/*
 * Of a queue: has it consumers (and nobody relays its messages), or messages already, which nobody could tell
 * from this run's? Refused then with ERR_STATE; *ret_empty: it has neither. Nothing is taken from it.
 */
MUST_CHECK int probe_check_queue(const struct destination *d, const struct broker_topic *topic,
	bool relayed, bool *ret_empty, struct err *e);

/* ---- probe_routed.c: a stream beside the queue, which gets what is routed as the messages are. ---- */

/*
 * What of --routed-stream can be seen without a broker: does this kind of broker route, and does the destination get
 * its messages from an exchange that something else can be bound to? Sets the producer's property routing.key, as
 * the stream must have the same. ERR_USAGE.
 */
MUST_CHECK int probe_routed_check(struct destination *d, struct err *e);

/* And with one: is it a queue? ERR_USAGE. */
MUST_CHECK int probe_routed_check_topic(const struct broker_topic *topic, struct err *e);

/* Does the run have a routed stream from its beginning on? ERR_STATE if not. */
MUST_CHECK int probe_routed_check_run(
	struct ledger *l, const struct run *run, bool relayed, struct err *e);

/* Make the stream, if it is not there, and say where it ends. It is bound to nothing yet, if it is new. */
MUST_CHECK int probe_routed_make(const struct destination *d, int64_t *ret_end, struct err *e);

/*
 * Is what is published as the messages will be routed to anything? Asked before the stream is bound, which would
 * hide that it is not: by a record of our own that is flagged as a fence and counts as none. ERR_STATE.
 */
MUST_CHECK int probe_routed_try(const struct destination *d, uint64_t run_id, struct err *e);

/* Bind it: from now on it gets what is routed. */
MUST_CHECK int probe_routed_bind(const struct destination *d, struct err *e);

/* The stream's name, "" for a queue's that is too long to have one. */
#define PROBE_STREAM_SUFFIX ".mqaudit-routed"
void probe_routed_name(const struct destination *d, char *ret, size_t len);

/* Where each partition's log ends now, malloc'ed; 0 where there are no positions. */
MUST_CHECK int probe_log_ends(const struct destination *d, const struct broker_topic *topic,
	int64_t **ret, struct err *e);

/* recover.c: ship what dead probes left in the journal folder. */
struct probe_recovered {
	uint64_t journals;
	uint64_t outcomes;
	uint64_t incomplete;
	uint64_t orphans; /* their run is not in this ledger */
	uint64_t running; /* their probe still runs */
	uint64_t failed;
};

/*
 * Recover the journals of a run (run_id 0: of all). Journals of running probes, and of runs that this
 * ledger does not know, are left alone. Returns 0 or the first error that is not about one journal.
 */
MUST_CHECK int probe_recover(
	struct ledger *l, int64_t run_id, struct probe_recovered *ret, struct err *e);

#endif
