#ifndef CORE_LEDGER_MESSAGES_H
#define CORE_LEDGER_MESSAGES_H

#include "core/ledger/ledger.h"
#include "core/ledger/run.h"

/*
 * A row for each message that was read (--record=messages). Off by default: the ranges of witnessed.h are the
 * evidence, and stay small; these rows are for people who want to look at single messages, and cost
 * 68 bytes each. They are written together with the ranges, in one transaction, so that both always tell the
 * same.
 *
 * What many messages have in common is said once, by a group (table mqaudit.message_group); a message itself
 * is six numbers in a table of its run (core/ledger/sql/schema_2.sql).
 */
struct message_group {
	int32_t partition; /* where they were read */
	int32_t generation;
	uint32_t producer_id, epoch, nonce, lane;
	uint16_t attempt;
	uint64_t first_seq, last_seq; /* the lowest and the highest */
	uint64_t n;                   /* messages of this batch: 1 or more */
};

struct message_row {
	uint32_t group; /* which of the batch's groups: from 0 */
	uint32_t size;  /* bytes of the payload; above INT32_MAX it is kept as that */
	int64_t offset;
	uint64_t seq;
	int64_t sent_wall_ns;     /* what the envelope says: ns since 1970 */
	int64_t received_wall_ns; /* when the batch that it came in was taken: ns since 1970 */
};

/* What is written at once. Borrowed. */
struct message_batch {
	const struct message_group *group;
	size_t n_groups;
	const struct message_row *row;
	size_t n_rows;
};

/*
 * The writer of one checker: it goes on with groups of the commits before, so that a slow run does not get a
 * group for each message. Not thread-safe.
 */
struct message_writer;

/* NULL: out of memory. messages_free() takes NULL. */
struct message_writer *messages_new(void);
void messages_free(struct message_writer *w);

/* Make the table for a run's messages, if there is none yet. Not inside a transaction. Codes as pg.h. */
MUST_CHECK int messages_prepare(struct ledger *l, int64_t run_id, struct err *e);

/*
 * Write a batch by COPY BINARY, within the caller's transaction. Blocks: a second for some 1,500,000 rows.
 * Codes as pg.h; after a failure the transaction is to be rolled back. The caller tells with
 * messages_ended() what became of the transaction, before the next batch.
 */
MUST_CHECK int messages_copy(struct message_writer *w, struct ledger *l, int64_t run_id,
	const char *side, const char *isolation, const struct message_batch *batch, struct err *e);
void messages_ended(struct message_writer *w, bool committed);

#endif
