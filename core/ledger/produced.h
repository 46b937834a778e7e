#ifndef CORE_LEDGER_PRODUCED_H
#define CORE_LEDGER_PRODUCED_H

#include "core/hist.h"
#include "core/ledger/ledger.h"
#include "core/words.h"

/* What probes write: epochs, leases, intents, outcomes. Everything of one shipment is one transaction. */

struct produced_start {
	int64_t run_id;
	uint32_t producer_id;
	uint32_t nonce;
	const char *host;
	const char *boot_id;
	int pid;
	bool fsync;
};

/*
 * Take the next epoch of a producer id, atomically among all machines.
 * ERR_STATE: the run has ended. Otherwise as pg.h.
 */
MUST_CHECK int produced_start(
	struct ledger *l, const struct produced_start *s, uint32_t *ret_epoch, struct err *e);

/* Where the journal of an epoch lies; nothing is sent before it is known. */
MUST_CHECK int produced_set_journal(struct ledger *l, int64_t run_id, uint32_t producer_id,
	uint32_t epoch, const char *path, struct err *e);

/* One run of outcomes, as the journal has it. */
struct produced_outcome {
	uint32_t producer; /* index into the shipment's producers */
	int32_t partition;
	uint16_t attempt;
	enum outcome outcome;
	int32_t node;
	int32_t code;
	const char *reason; /* text of code; NULL: none */
	uint64_t lo, hi;
	int64_t first_offset; /* -1: none */
	int64_t first_wall_ns, last_wall_ns;
};

/* How far a lane got since the last shipment, and how far it may go. */
struct produced_lane {
	uint32_t producer;
	int32_t partition;
	uint64_t intent_lo, intent_hi; /* newly intended; intent_lo 0: nothing new */
	int64_t first_wall_ns, last_wall_ns;
	uint64_t lease; /* to raise it to; 0: as it is */
};

/* What one producer epoch ships. */
struct produced_producer {
	uint32_t producer_id;
	uint32_t epoch;
	uint64_t shipment; /* number of this shipment: 1 + that of the last one */
	uint64_t shipped;  /* records of its journal that are in the ledger after this shipment */
	uint64_t disconnects, retries, timeouts, truncations;
	int64_t longest_gap_ns;
	const struct hist *latency; /* NULL: unchanged */
	const char *end_cause;      /* not NULL: the epoch ends with this shipment */
	const char *journal_state;  /* with end_cause: complete, incomplete or gone */
};

/* Rate and latency of the time since the last sample. */
struct produced_sample {
	const char *source;
	int64_t wall_ns;
	double seconds;
	uint64_t sent, acked, failed;
	int64_t p50_ns, p99_ns, max_ns; /* max_ns < 0: no latency in it */
};

struct produced_node {
	int32_t id;
	const char *host;
	int port;
};

struct produced_shipment {
	int64_t run_id;
	const struct produced_producer *producer;
	size_t n_producers;
	const struct produced_outcome *outcome;
	size_t n_outcomes;
	const struct produced_lane *lane;
	size_t n_lanes;
	const struct produced_sample *sample; /* NULL: none */
	const struct produced_node *node;
	size_t n_nodes;
};

/*
 * Ship, in one transaction with compare-and-set on each epoch's shipment number.
 *
 * Returns 0. ERR_LOST_OWNERSHIP: another process (a recovery) shipped one of these journals. Other codes
 * as pg.h; after ERR_LEDGER_AWAY the caller reconnects and calls produced_shipped() before it ships
 * again: the commit may have happened.
 */
MUST_CHECK int produced_ship(struct ledger *l, const struct produced_shipment *s, struct err *e);

/*
 * The number of an epoch's last shipment, and how many records of its journal are in the ledger.
 * ERR_NOTFOUND: no such epoch (the run was removed).
 */
MUST_CHECK int produced_shipped(struct ledger *l, int64_t run_id, uint32_t producer_id,
	uint32_t epoch, uint64_t *ret_shipment, uint64_t *ret_shipped, struct err *e);

/* What is already known of a lane: the last shipped intent and the lease; 0 when none. */
MUST_CHECK int produced_lane_state(struct ledger *l, int64_t run_id, uint32_t producer_id,
	uint32_t epoch, int32_t partition, uint64_t *ret_intended, uint64_t *ret_lease,
	struct err *e);

/* Messages that a producer id intended in all of its epochs of a run so far: for --resume. */
MUST_CHECK int produced_intended(
	struct ledger *l, int64_t run_id, uint32_t producer_id, uint64_t *ret, struct err *e);

/*
 * Declare the open epochs of a run dead whose journals are lost: what only they knew is unrecorded.
 * *ret_n: how many.
 */
MUST_CHECK int produced_assume_dead(
	struct ledger *l, int64_t run_id, uint64_t *ret_n, struct err *e);

/* How many epochs of the run have not ended; a text that names up to three of them. */
MUST_CHECK int produced_open(
	struct ledger *l, int64_t run_id, uint64_t *ret_n, char *names, size_t len, struct err *e);

#endif
