#ifndef CHECKER_ANCHOR_H
#define CHECKER_ANCHOR_H

#include "core/broker/broker.h"
#include "core/ledger/witnessed.h"

/*
 * Anchors: digests of records at positions. Reading one again tells whether the log still holds the same
 * record there, or was cut and grew anew.
 */

/* The anchor of a record that was just read. */
struct witness_anchor anchor_of(const struct broker_message *m);

/* A small reader of its own that looks at single records. Not thread-safe. */
struct anchor_reader;

MUST_CHECK int anchor_reader_open(const struct broker_ops *ops, const struct broker_config *broker,
	struct anchor_reader **ret, struct err *e);
void anchor_reader_close(struct anchor_reader *a);

/*
 * Where a partition's log begins now. Soon answered: a reader that reads on asks for more all the time, and
 * the node answers one question after the other. Blocks up to the broker's timeout; as reader_bounds().
 */
MUST_CHECK int anchor_log_start(
	struct anchor_reader *a, int32_t partition, int64_t *ret, struct err *e);

/*
 * Does the log hold the same record at the anchor's offset still? A position below the log's start, or
 * one that compaction emptied, says nothing against it: *ret is true. A position at or behind the end, or
 * another record: false.
 *
 * Blocks up to timeout_ns. ERR_BROKER_AWAY: it could not be looked at in time.
 */
MUST_CHECK int anchor_matches(struct anchor_reader *a, int32_t partition,
	const struct witness_anchor *anchor, int64_t timeout_ns, bool *ret, struct err *e);

/*
 * Does a position give one content now and another the next time, with nothing between the reads that
 * hints at a cut (another leader, a lost connection, an end below the position)? A log that was cut and
 * grew anew does not: it gives the new content each time, so that usually two reads suffice. If they
 * differ, two more are compared when the client has heard how its connections are.
 *
 * Blocks up to timeout_ns. ERR_BROKER_AWAY: it could not be looked at in time.
 */
MUST_CHECK int anchor_is_inconsistent(struct anchor_reader *a, int32_t partition, int64_t offset,
	int64_t timeout_ns, bool *ret, struct err *e);

/* The last record before `offset`, as an anchor; offset -1 in it when there is none. */
MUST_CHECK int anchor_last_before(struct anchor_reader *a, int32_t partition, int64_t offset,
	int64_t timeout_ns, struct witness_anchor *ret, struct err *e);

#endif
