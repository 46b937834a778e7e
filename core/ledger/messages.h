#ifndef CORE_LEDGER_MESSAGES_H
#define CORE_LEDGER_MESSAGES_H

#include "core/ledger/ledger.h"
#include "core/ledger/run.h"

/*
 * A row for each message that was read (--record=messages), in table mqaudit.message. Off by default: the
 * ranges of witnessed.h are the evidence, and stay small; these rows are for people who want to look at
 * single messages, and cost some 150 bytes each. They are written together with the ranges, in one
 * transaction, so that both always tell the same.
 */
struct message_row {
	int32_t partition; /* where it was read */
	int32_t generation;
	int64_t offset;
	uint32_t producer_id, epoch, nonce, lane;
	uint64_t seq;
	uint16_t attempt;
	bool damaged;             /* its payload or length is not what its envelope says */
	uint32_t size;            /* bytes of the payload, envelope included */
	int64_t sent_wall_ns;     /* what the envelope says: ns since 1970; kept to microseconds */
	int64_t received_wall_ns; /* when the batch that it came in was taken */
};

/*
 * Write n rows by COPY BINARY, within the caller's transaction. Blocks: a second for some 300,000. Codes as
 * pg.h; after a failure the transaction is to be rolled back.
 */
MUST_CHECK int messages_copy(struct ledger *l, int64_t run_id, const char *side,
	const char *isolation, const struct message_row *row, size_t n, struct err *e);

/*
 * One row as COPY BINARY has it, appended to b (nothing but the row: COPY's head and end are not part of
 * it). For messages_copy() and its test.
 */
void messages_encode(struct buf *b, int64_t run_id, const char *side, const char *isolation,
	const struct message_row *row);

#endif
