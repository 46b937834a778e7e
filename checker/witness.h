#ifndef CHECKER_WITNESS_H
#define CHECKER_WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checker/tracker.h"
#include "core/broker/broker.h"
#include "core/ledger/witnessed.h"

/*
 * The witness: an independent reader of every partition, by position, that belongs to no group and takes
 * nothing away. One thread reads into a tracker, another writes positions and evidence into the ledger;
 * while the ledger is away, reading waits.
 *
 * It notices when something was cut from the log: at each hint (another leader, a lost connection, an end
 * below its position, a position out of range) and every ten seconds it reads the newest anchor again. If
 * that record is another now, it goes back to the newest anchor that still matches, and reads on from
 * there as a new generation; what it had read above is history.
 *
 * Of a queue it is the drain: reading takes away, so that what it is given is settled only when it is in the
 * ledger, and what was not comes again. Positions are the numbers of deliveries; nothing is read twice, cut
 * or swept.
 */
struct witness;

struct witness_plan {
	const struct broker_ops *ops;
	const struct broker_config *broker;
	const char *ledger_url; /* NULL: the embedded ledger */
	struct witness_key key;
	const int64_t *start; /* by partition: where the run began; -1: not part of it */
	size_t n_partitions;
	const char *source;   /* what samples and events say they come from */
	bool record_messages; /* write a row for each message as well */
	bool queue;           /* the destination is one (BROKER_CAP_QUEUE) */
	bool gone;            /* ... and is not there any more: nothing is read */
};

/*
 * How a log is really read: behind a relay what was committed, whatever the run's own messages are, since
 * what a relay aborts is no copy of anything. (Where there are no transactions it is the same.)
 */
enum broker_isolation witness_reads(const struct witness_key *key);

/* A fence that was read (and is in the ledger, position and all). */
struct witness_fence {
	int32_t partition;     /* where it was read */
	uint32_t of_partition; /* for which it was written */
	uint32_t judgement;
	uint32_t nonce;
	uint64_t number;
	int64_t offset;
};

struct witness_state {
	struct tracker_totals totals;
	bool ledger_away;
	bool broker_away; /* the reader gets errors */
	bool gone;        /* the queue is not there any more */
	bool put_back; /* the queue gave something that it had given before, to whomever: its order may be another */
	uint64_t disconnects; /* of the reader */
	uint64_t cuts;        /* generations begun by cuts */
	uint64_t behind; /* records between the positions and the ends of the log, as last known */
	struct err failure; /* code != 0: it has stopped for good */
	char trouble[256];
};

/*
 * Take the partitions over and start to read where the ledger says. Returns 0, or as ledger_open() and
 * reader_open().
 */
MUST_CHECK int witness_start(const struct witness_plan *plan, struct witness **ret, struct err *e);

void witness_state(struct witness *w, struct witness_state *ret);

/* Has the fence been read, and is everything up to it in the ledger? */
bool witness_has_fence(struct witness *w, uint32_t judgement, uint64_t number,
	uint32_t of_partition, struct witness_fence *ret);

/* The next position of a partition that is in the ledger; -1: not read by this witness. */
int64_t witness_committed(struct witness *w, int32_t partition);

/*
 * Compare the anchors of all partitions with the log now, and go back where one differs. Blocks up to
 * timeout_ns. *ret_cuts: how many partitions were cut. ERR_BROKER_AWAY: a partition could not be looked
 * at in time.
 */
MUST_CHECK int witness_verify(
	struct witness *w, int64_t timeout_ns, uint64_t *ret_cuts, struct err *e);

/*
 * Read again what may have been removed by policy since it was read: segments that reach below the log's
 * present start, or, with `all`, everything. What is not there any more keeps its old sighting. Blocks
 * until it is read up to where the position was, at most timeout_ns.
 */
MUST_CHECK int witness_sweep(struct witness *w, bool all, int64_t timeout_ns, struct err *e);

/* Where the logs begin now; index = partition. Blocks. */
MUST_CHECK int witness_log_starts(struct witness *w, int64_t *ret_starts, struct err *e);

/*
 * Of a queue: is nothing left to be given? What the question takes out is read as everything else is. Blocks up to
 * timeout_ns. ERR_BROKER_AWAY, ERR_TIMEOUT.
 */
MUST_CHECK int witness_is_empty(
	struct witness *w, int64_t timeout_ns, bool *ret_empty, struct err *e);

/*
 * Is every partition this witness's still, or did another checker take over, maybe while this process
 * was frozen? Asks the caller's ledger, so that any thread may. Returns 0, ERR_LOST_OWNERSHIP, or what a
 * query gives.
 */
MUST_CHECK int witness_owns(struct witness *w, struct ledger *l, struct err *e);

/* Stop reading, write what is pending, end both threads. The tracker stays to be asked. */
MUST_CHECK int witness_stop(struct witness *w, struct err *e);

/* After witness_stop(): what was read, for the judge. */
struct tracker *witness_tracker(struct witness *w);

void witness_free(struct witness *w);

#endif
