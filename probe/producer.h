#ifndef PROBE_PRODUCER_H
#define PROBE_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/broker/broker.h"
#include "core/err.h"
#include "core/hist.h"
#include "probe/journal.h"

/*
 * One producer id at work: a client of its own, a lane to each partition, a thread that sends and a
 * thread that records outcomes. The journal knows everything first: intents before a message is handed
 * over, outcomes as they arrive.
 */

enum keys { KEYS_NONE, KEYS_SEQ, KEYS_MODULO };

enum crash_point { CRASH_NEVER, CRASH_INTENT, CRASH_SEND, CRASH_ACK };

/* What every producer of a probe does alike. */
struct producer_plan {
	const struct broker_ops *ops;
	const struct broker_config *broker;
	uint64_t run_id;
	const int32_t *partitions;
	size_t n_partitions;
	size_t size; /* bytes of a message, ENVELOPE_LEN at least */
	enum keys keys;
	uint64_t n_keys;     /* KEYS_MODULO */
	bool drop_when_full; /* --on-queue-full drop */
	bool exit_without_flush;
	bool republish_unknown; /* what nobody can say of is published again, as another attempt */
	uint64_t transaction;   /* messages in one; 0: none */
	uint64_t abort_every;   /* every so many transactions one is aborted; 0: never */
	int64_t transaction_timeout_ns;
	enum crash_point crash_at;
	uint64_t crash_n; /* at the so many-th message */
	uint64_t seed;
};

/* One producer's share. */
struct producer_share {
	uint32_t producer_id;
	uint32_t epoch;
	uint32_t nonce;
	uint64_t count; /* messages to send; UINT64_MAX: no end */
	double rate;    /* per second; 0: as fast as it can */
	double phase;   /* of its pace, 0 to 1: so that producers do not all send at once */
};

/*
 * Counted since the start, by messages: of several attempts the best outcome counts, and what waits for another
 * one is outstanding. intended = acked + unconfirmed + refused + unknown + outstanding.
 */
struct producer_counts {
	uint64_t intended;
	uint64_t outcome[OUTCOME_N];
	uint64_t republished; /* attempts beyond the first that were handed over */
	uint64_t outstanding;
	uint64_t truncations;   /* acked at an offset that an earlier ack had reached already */
	int64_t longest_gap_ns; /* without an answer while something was outstanding */
};

/* A stretch without any answer. */
struct producer_gap {
	int64_t from_wall_ns;
	int64_t until_wall_ns;
};

struct producer;

/*
 * Open the client for a share; `journal` is borrowed and must have this epoch's lanes in the order of
 * plan->partitions. Nothing is sent before producer_start().
 */
MUST_CHECK int producer_new(const struct producer_plan *plan, const struct producer_share *share,
	struct journal *journal, struct producer **ret, struct err *e);

/* Start both threads. Blocks for the start of transactions if there are to be any. */
MUST_CHECK int producer_start(struct producer *p, struct err *e);

/* Ask it to send nothing new. What is outstanding still gets its outcome. Any thread. */
void producer_stop(struct producer *p);

/* Ask it to give up on what is outstanding: the client drops it, each with its outcome. Any thread. */
void producer_give_up(struct producer *p);

/* Has it sent all of its share (or was stopped, or failed) and got every outcome? Any thread. */
bool producer_finished(const struct producer *p);

/* Join both threads and close the client. Returns 0 or what ended the sending early. */
MUST_CHECK int producer_join(struct producer *p, struct err *e);

/* NULL allowed; joined first if it was started. */
void producer_free(struct producer *p);

/*
 * Close open records, so that journal_count() covers all that arrived before the call. Waits for the
 * recording thread, at most timeout_ns; false: it did not get to it in time. Any one thread at a time.
 */
bool producer_settle_journal(struct producer *p, int64_t timeout_ns);

/* Copies of what is counted. Any thread. */
void producer_counts(struct producer *p, struct producer_counts *ret);
void producer_latency(
	struct producer *p, struct hist *ret_total, struct hist *ret_recent, bool reset);
size_t producer_take_gaps(struct producer *p, struct producer_gap *ret, size_t max);

/* Connections so far, and the nodes that were ever connected to (at most max; returns how many). Any
 * thread, at any time: copies that the recording thread makes, the last one after the last outcome. */
void producer_health(struct producer *p, struct broker_health *ret);
size_t producer_nodes(struct producer *p, struct broker_node *ret, size_t max);

/* The client's effective settings; before producer_start(). */
void producer_settings(struct producer *p, broker_setting_fn *fn, void *arg);

struct journal *producer_journal(struct producer *p);
const struct producer_share *producer_share(const struct producer *p);

#endif
