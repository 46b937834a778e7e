#ifndef CHECKER_TRACKER_H
#define CHECKER_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/envelope.h"
#include "core/err.h"
#include "core/seqset.h"

/*
 * The tracker: what one log holds of a run, as it is read. In memory, bounded by lanes and anomalies, not
 * by messages: 10^9 clean messages of a lane are one range.
 *
 * It is fed with records in log order, one partition after the other or mixed. It gives two things:
 * evidence (runs of consecutive seqs, in log order, taken piece by piece and written to the ledger) and
 * its own judgement of repeats and order, which must agree with what SQL computes from that evidence.
 * It knows nothing of brokers, databases and time. Not thread-safe.
 *
 * What a queue gives has no positions of its own: offsets are the numbers of its deliveries. There an
 * identity of the same attempt given again is one message given twice, and only another attempt is another
 * copy (see tracker_of_queue()).
 */
struct tracker;

/* Which messages are one lane's: the identity without its seq. */
struct tracker_ident {
	uint32_t producer_id;
	uint32_t epoch;
	uint32_t nonce;
	uint32_t lane; /* the partition that the envelope names */
};

/* What a record is. */
enum tracker_kind {
	TRACKED_FIRST,      /* the first copy of a message of ours, in order */
	TRACKED_GAP,        /* the same, but what should have come before it did not */
	TRACKED_LATE,       /* the first copy, behind that of a higher seq */
	TRACKED_REPEAT,     /* another copy of one that was seen */
	TRACKED_REDELIVERY, /* of a queue: one that was seen is given again, and is no other copy */
	TRACKED_FENCE,
	TRACKED_FOREIGN,   /* another run's, or not mqaudit's */
	TRACKED_CORRUPTED, /* ours, but the payload is damaged: who it was is known */
	TRACKED_CORRUPTED_UNNAMED,
};

/* A run of consecutive seqs, once each, at rising offsets: one row of evidence. */
struct tracker_run {
	struct tracker_ident ident;
	uint16_t attempt;
	uint64_t lo, hi;
	int64_t first_offset, last_offset;
};

/* A position that holds something damaged (or foreign: noted to a limit, as it may turn out damaged). */
struct tracker_damage {
	bool named;
	struct tracker_ident ident;
	uint64_t seq;
	int64_t offset;
	const char *what; /* a constant: "payload", "length", "header", "foreign" */
};

/* What was read of a partition since the last one was taken: [first_offset, end_offset). */
struct tracker_segment {
	int32_t partition;
	int64_t first_offset, end_offset;
	uint64_t records, ours, foreigners, fences, corrupted;
	struct tracker_run *run;
	size_t n_runs;
	struct tracker_damage *damage;
	size_t n_damages;
};

/* What a lane comes to, in one partition. Sets are borrowed and live until the next call. */
struct tracker_lane {
	int32_t partition;
	struct tracker_ident ident;
	const struct seqset *seen;
	const struct seqset *repeated; /* seqs with more than one copy */
	uint64_t extra;                /* copies beyond the first */
	const struct seqset *reordered;
	const struct seqset *redelivered; /* of a queue: seqs that were given again */
	uint64_t top;                     /* the highest seq seen */
};

/* Sums over everything that counts now. */
struct tracker_totals {
	uint64_t records, ours, foreigners, fences, corrupted;
	uint64_t distinct, extra, reordered,
		missing;      /* missing: below the top of a lane, not seen */
	uint64_t redelivered; /* of a queue: given again, each time counted */
};

/* A tracker for a run. NULL: out of memory. */
struct tracker *tracker_new(uint64_t run_id);

/* From now on, before the first record: what it is fed with comes from a queue. */
void tracker_of_queue(struct tracker *t);
void tracker_free(struct tracker *t);

/*
 * Take one record in. ret_kind and ret_env (filled when the record is ours; may be NULL) tell what it is.
 * Offsets of a partition rise from call to call. Returns 0, ERR_NOMEM or ERR_LIMIT (too many anomalies in
 * one lane): the tracker is not to be used any more then.
 */
MUST_CHECK int tracker_record(struct tracker *t, int32_t partition, int64_t offset,
	const void *payload, size_t len, enum tracker_kind *ret_kind, struct envelope *ret_env);

/* As tracker_record() for a record that may carry its envelope beside its payload (see envelope.h). */
MUST_CHECK int tracker_record_beside(struct tracker *t, int32_t partition, int64_t offset,
	const void *beside, size_t beside_len, const void *payload, size_t len,
	enum tracker_kind *ret_kind, struct envelope *ret_env);

/* As tracker_record() for what the caller decoded itself: for tests and for loading. */
MUST_CHECK int tracker_message(struct tracker *t, int32_t partition, int64_t offset,
	const struct tracker_ident *ident, uint64_t seq, uint16_t attempt,
	enum tracker_kind *ret_kind);

/*
 * Take a row of evidence in that was written before: how a new checker learns what an old one knew.
 * Rows of a lane come in log order. Returns as tracker_record().
 */
MUST_CHECK int tracker_load(struct tracker *t, int32_t partition, const struct tracker_run *run);

/* The same for counts that stand in no row: foreigners, fences and corrupted of `sums` are added. */
MUST_CHECK int tracker_load_others(
	struct tracker *t, int32_t partition, const struct tracker_totals *sums);

/* How much evidence waits to be taken: rows of all partitions. */
size_t tracker_pending(const struct tracker *t);

/*
 * Take what was read of a partition since the last time. end_offset: the next position to be read.
 * ret->run and ret->damage are malloc'ed and the caller's (tracker_segment_release()).
 * Returns 0 or ERR_NOMEM (nothing is lost then).
 */
MUST_CHECK int tracker_take(
	struct tracker *t, int32_t partition, int64_t end_offset, struct tracker_segment *ret);
void tracker_segment_release(struct tracker_segment *s);

/* Forget a partition wholly: it is read again, or loaded again. */
void tracker_drop(struct tracker *t, int32_t partition);

/* Give the next lane; *at is 0 at the start. Returns false at the end. */
MUST_CHECK bool tracker_next_lane(struct tracker *t, size_t *at, struct tracker_lane *ret);

void tracker_totals(struct tracker *t, struct tracker_totals *ret);

#endif
