#include "core/ledger/messages.h"

#include <string.h>

#include "core/clock.h"

#define COPY_SQL                                                                                   \
	"copy mqaudit.message (run_id, side, isolation, partition, \"offset\", generation, "       \
	"producer_id, epoch, nonce, lane, seq, attempt, damaged, size, sent_at, received_at) "     \
	"from stdin with (format binary)"
#define COPY_FIELDS 16
#define PIECE ((size_t)1 << 18)                    /* bytes that are handed over at once */
#define PG_EPOCH_US (INT64_C(946684800) * 1000000) /* 2000-01-01, from where a timestamptz counts */

/* ---- fields: a length, then the value, big-endian --------------------------------------------- */

static void put(struct buf *b, uint64_t v, size_t bytes)
{
	uint8_t out[8];

	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
	buf_add(b, out, bytes);
}

static void put_int8(struct buf *b, int64_t v)
{
	put(b, 8, 4);
	put(b, (uint64_t)v, 8);
}

static void put_int4(struct buf *b, int32_t v)
{
	put(b, 4, 4);
	put(b, (uint32_t)v, 4);
}

static void put_bool(struct buf *b, bool v)
{
	put(b, 1, 4);
	put(b, v, 1);
}

/* Of an enum too: its label. */
static void put_text(struct buf *b, const char *s)
{
	size_t len = strlen(s);

	put(b, len, 4);
	buf_add(b, s, len);
}

static void put_time(struct buf *b, int64_t wall_ns)
{
	int64_t us = wall_ns / NS_PER_US - (wall_ns % NS_PER_US < 0);

	put_int8(b, us - PG_EPOCH_US);
}

void messages_encode(struct buf *b, int64_t run_id, const char *side, const char *isolation,
	const struct message_row *m)
{
	put(b, COPY_FIELDS, 2);
	put_int8(b, run_id);
	put_text(b, side);
	put_text(b, isolation);
	put_int8(b, m->partition);
	put_int8(b, m->offset);
	put_int4(b, m->generation);
	put_int8(b, m->producer_id);
	put_int8(b, m->epoch);
	put_int8(b, m->nonce);
	put_int8(b, m->lane);
	put_int8(b, (int64_t)m->seq);
	put_int4(b, m->attempt);
	put_bool(b, m->damaged);
	put_int8(b, m->size);
	put_time(b, m->sent_wall_ns);
	put_time(b, m->received_wall_ns);
}

/* ---- the copy --------------------------------------------------------------------------------- */

static int hand_over(struct ledger *l, struct buf *b, struct err *e)
{
	int r = buf_failed(b);

	if (r)
		return err_set(e, r, "cannot hold %zu bytes of messages", b->len);
	r = pg_copy_put(ledger_pg(l), buf_str(b), b->len, 4 * PG_TIMEOUT, e);
	buf_clear(b);
	return r;
}

static int copy_rows(struct ledger *l, int64_t run_id, const char *side, const char *isolation,
	const struct message_row *row, size_t n, struct buf *b, struct err *e)
{
	int r = 0;

	/* head: signature, flags, length of its extension */
	buf_add(b, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
	for (size_t i = 0; r == 0 && i < n; i++) {
		messages_encode(b, run_id, side, isolation, &row[i]);
		if (b->len >= PIECE)
			r = hand_over(l, b, e);
	}
	put(b, UINT16_MAX, 2); /* the end: -1 fields */
	return r ? r : hand_over(l, b, e);
}

int messages_copy(struct ledger *l, int64_t run_id, const char *side, const char *isolation,
	const struct message_row *row, size_t n, struct err *e)
{
	uint64_t written = 0;
	struct buf b;
	int r;

	if (n == 0)
		return 0;
	buf_init(&b, 2 * PIECE);
	r = pg_copy_begin(ledger_pg(l), COPY_SQL, PG_TIMEOUT, e);
	if (r == 0) {
		r = copy_rows(l, run_id, side, isolation, row, n, &b, e);
		if (r == 0)
			r = pg_copy_end(ledger_pg(l), 4 * PG_TIMEOUT, &written, e);
		else
			pg_copy_abort(ledger_pg(l), "given up", PG_TIMEOUT);
	}
	buf_release(&b);
	if (r == 0 && written != n)
		r = err_set(e, ERR_DEFECT, "%zu messages handed over, %llu written", n,
			(unsigned long long)written);
	return r;
}
