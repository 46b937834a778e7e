#include "core/ledger/messages.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 6
#define ROW_BYTES (2 + 6 * 4 + 2 * 4 + 4 * 8) /* a count, and of each field its length and value */
#define PIECE_ROWS 1000u /* rows that are handed over at once: 66 kB, which stay in the cache */
#define MAX_KNOWN 1024u  /* groups that are gone on with */
#define SPAN 65536u      /* rows, after which groups are begun anew: what a look-up has to read */
#define HEAD_BYTES 19u
#define COPY_TIMEOUT (4 * PG_TIMEOUT)

struct known_group {
	struct message_group g; /* n: of all commits */
	int32_t id;
	int64_t first_block;
};

struct message_writer {
	struct known_group *known; /* that can be gone on with */
	size_t n_known, cap_known;
	uint64_t n_rows;         /* since groups were begun anew */
	int64_t end_block;       /* of the table at the end of the last commit; -1: there is none */
	struct known_group *now; /* of this batch, by its index */
	size_t n_now, cap_now;
	uint64_t rows_now;
	int64_t end_block_now;
	uint8_t piece[HEAD_BYTES + PIECE_ROWS * ROW_BYTES + 2];
};

struct message_writer *messages_new(void)
{
	struct message_writer *w = calloc(1, sizeof(*w));

	if (w)
		w->end_block = -1;
	return w;
}

void messages_free(struct message_writer *w)
{
	if (!w)
		return;
	free(w->known);
	free(w->now);
	free(w);
}

int messages_prepare(struct ledger *l, int64_t run_id, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, run_id);
	return pg_query(
		ledger_pg(l), "select mqaudit.make_message_table($1)", &args, PG_TIMEOUT, NULL, e);
}

/* ---- fields: a length, then the value, big-endian ---------------------------------------------- */

static uint8_t *put_int4(uint8_t *p, int32_t v)
{
	uint32_t field[2] = {htobe32(4), htobe32((uint32_t)v)};

	memcpy(p, field, sizeof(field));
	return p + sizeof(field);
}

static uint8_t *put_int8(uint8_t *p, int64_t v)
{
	uint32_t len = htobe32(8);
	uint64_t value = htobe64((uint64_t)v);

	memcpy(p, &len, sizeof(len));
	memcpy(p + sizeof(len), &value, sizeof(value));
	return p + sizeof(len) + sizeof(value);
}

/* One row, ROW_BYTES of it. */
static void encode(uint8_t *out, int32_t group_id, const struct message_row *m)
{
	uint16_t fields = htobe16(FIELDS);

	memcpy(out, &fields, sizeof(fields));
	out = put_int4(out + sizeof(fields), group_id);
	out = put_int4(out, m->size > INT32_MAX ? INT32_MAX : (int32_t)m->size);
	out = put_int8(out, m->offset);
	out = put_int8(out, (int64_t)m->seq);
	out = put_int8(out, m->sent_wall_ns);
	put_int8(out, m->received_wall_ns);
}

/* ---- groups ------------------------------------------------------------------------------------ */

static bool same_group(const struct message_group *a, const struct message_group *b)
{
	return a->partition == b->partition && a->generation == b->generation &&
	       a->producer_id == b->producer_id && a->epoch == b->epoch && a->nonce == b->nonce &&
	       a->lane == b->lane && a->attempt == b->attempt;
}

static const struct known_group *find_known(
	const struct message_writer *w, const struct message_group *g)
{
	for (size_t i = 0; i < w->n_known; i++)
		if (same_group(&w->known[i].g, g))
			return &w->known[i];
	return NULL;
}

/* What of the batch goes on with a group of before; the others get id 0. */
static int resume_groups(struct message_writer *w, const struct message_batch *b, struct err *e)
{
	if (b->n_groups > w->cap_now) {
		struct known_group *more = realloc(w->now, b->n_groups * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory");
		w->now = more;
		w->cap_now = b->n_groups;
	}
	w->n_now = b->n_groups;
	w->rows_now = b->n_rows;
	for (size_t i = 0; i < b->n_groups; i++) {
		const struct known_group *k = find_known(w, &b->group[i]);
		struct known_group *now = &w->now[i];

		*now = (struct known_group){.g = b->group[i]};
		if (!k)
			continue;
		now->id = k->id;
		now->first_block = k->first_block;
		now->g.n += k->g.n;
		if (k->g.first_seq < now->g.first_seq)
			now->g.first_seq = k->g.first_seq;
		if (k->g.last_seq > now->g.last_seq)
			now->g.last_seq = k->g.last_seq;
	}
	return 0;
}

/*
 * Ids for the new ones, and where their rows begin: PostgreSQL fills the last block that this connection
 * wrote into, or the table's last, and then goes behind the end.
 */
static int begin_groups(
	struct message_writer *w, struct ledger *l, const char *table, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int64_t end, first;
	int64_t n_new = 0, at = 0;
	int r;

	for (size_t i = 0; i < w->n_now; i++)
		n_new += w->now[i].id == 0;
	pg_arg_i64(&args, n_new);
	pg_arg_text(&args, table);
	r = pg_query(ledger_pg(l),
		"select pg_relation_size($2::regclass) / current_setting('block_size')::int8, "
		"case when i > 0 then nextval('mqaudit.message_group_id') end "
		"from generate_series(0, $1::int4) i order by i",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	end = pg_rows_i64(rows, 0, 0);
	first = w->end_block >= 0 && w->end_block < end ? w->end_block : end;
	for (size_t i = 0; i < w->n_now; i++) {
		if (w->now[i].id)
			continue;
		w->now[i].id = (int32_t)pg_rows_i64(rows, (int)++at, 1);
		w->now[i].first_block = first > 0 ? first - 1 : 0;
	}
	r = pg_rows_check(rows, e);
	pg_rows_free(rows);
	return r;
}

static int write_groups(struct message_writer *w, struct ledger *l, int64_t run_id,
	const char *side, const char *isolation, const char *table, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct ledger_columns col;
	int r;

	ledger_columns_begin(&col, 12);
	for (size_t i = 0; i < w->n_now; i++) {
		const struct known_group *k = &w->now[i];

		ledger_array_i64(&col.b[0], k->id);
		ledger_array_i64(&col.b[1], k->g.partition);
		ledger_array_i64(&col.b[2], k->g.generation);
		ledger_array_i64(&col.b[3], k->g.producer_id);
		ledger_array_i64(&col.b[4], k->g.epoch);
		ledger_array_i64(&col.b[5], k->g.nonce);
		ledger_array_i64(&col.b[6], k->g.lane);
		ledger_array_i64(&col.b[7], k->g.attempt);
		ledger_array_i64(&col.b[8], (int64_t)k->g.first_seq);
		ledger_array_i64(&col.b[9], (int64_t)k->g.last_seq);
		ledger_array_i64(&col.b[10], (int64_t)k->g.n);
		ledger_array_i64(&col.b[11], k->first_block);
	}
	pg_arg_i64(&args, run_id);
	pg_arg_text(&args, side);
	pg_arg_text(&args, isolation);
	pg_arg_text(&args, table);
	ledger_columns_args(&col, &args);
	r = pg_query(ledger_pg(l),
		"with size as (select pg_relation_size($4::regclass) / "
		"current_setting('block_size')::int8 as blocks), "
		"written as (insert into mqaudit.message_group as g (group_id, run_id, side, isolation, "
		"partition, generation, producer_id, epoch, nonce, lane, attempt, first_seq, last_seq, "
		"messages, first_block, end_block) "
		"select u.group_id, $1::int8, $2::mqaudit.side_kind, $3::mqaudit.isolation_kind, "
		"u.partition, u.generation, u.producer_id, u.epoch, u.nonce, u.lane, u.attempt, "
		"u.first_seq, u.last_seq, u.messages, u.first_block, size.blocks from size, "
		"unnest($5::int4[], $6::int8[], $7::int4[], $8::int8[], $9::int8[], $10::int8[], "
		"$11::int8[], $12::int4[], $13::int8[], $14::int8[], $15::int8[], $16::int8[]) as u "
		"(group_id, partition, generation, producer_id, epoch, nonce, lane, attempt, first_seq, "
		"last_seq, messages, first_block) "
		"on conflict (group_id) do update set first_seq = excluded.first_seq, "
		"last_seq = excluded.last_seq, messages = excluded.messages, "
		"end_block = excluded.end_block) select blocks from size",
		&args, COPY_TIMEOUT, &rows, e);
	ledger_columns_release(&col);
	if (r == 0)
		w->end_block_now = pg_rows_i64(rows, 0, 0);
	pg_rows_free(rows);
	return r;
}

/* What was begun is gone on with, until there is enough of it. */
void messages_ended(struct message_writer *w, bool committed)
{
	if (committed && w->n_now > 0)
		w->end_block = w->end_block_now;
	w->n_rows += w->rows_now;
	if (!committed || w->n_rows >= SPAN) {
		w->n_known = 0;
		w->n_rows = 0;
	}
	for (size_t i = 0; committed && w->n_rows > 0 && i < w->n_now; i++) {
		struct known_group *k = (struct known_group *)find_known(w, &w->now[i].g);

		if (k) {
			*k = w->now[i];
			continue;
		}
		if (w->n_known == MAX_KNOWN)
			break; /* the others are begun anew next time */
		if (w->n_known == w->cap_known) {
			size_t cap = w->cap_known ? w->cap_known * 2 : 64;
			struct known_group *more = realloc(w->known, cap * sizeof(*more));

			if (!more)
				break;
			w->known = more;
			w->cap_known = cap;
		}
		w->known[w->n_known++] = w->now[i];
	}
	w->n_now = w->rows_now = 0;
}

/* ---- the copy ---------------------------------------------------------------------------------- */

static int copy_rows(
	struct message_writer *w, struct ledger *l, const struct message_batch *b, struct err *e)
{
	size_t len = HEAD_BYTES, i = 0;
	int r = 0;

	/* head: signature, flags, length of its extension */
	memcpy(w->piece, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", HEAD_BYTES);
	while (r == 0 && i < b->n_rows) {
		size_t end = i + PIECE_ROWS < b->n_rows ? i + PIECE_ROWS : b->n_rows;

		for (; i < end; i++) {
			encode(w->piece + len, w->now[b->row[i].group].id, &b->row[i]);
			len += ROW_BYTES;
		}
		if (i == b->n_rows) {
			memset(w->piece + len, 0xff, 2); /* the end: -1 fields */
			len += 2;
		}
		r = pg_copy_put(ledger_pg(l), w->piece, len, COPY_TIMEOUT, e);
		len = 0;
	}
	return r;
}

static int copy(struct message_writer *w, struct ledger *l, const char *table,
	const struct message_batch *b, struct err *e)
{
	uint64_t written = 0;
	char sql[160];
	int r;

	snprintf(sql, sizeof(sql),
		"copy %s (group_id, size, \"offset\", seq, sent_ns, received_ns) "
		"from stdin with (format binary)",
		table);
	r = pg_copy_begin(ledger_pg(l), sql, PG_TIMEOUT, e);
	if (r)
		return r;
	r = copy_rows(w, l, b, e);
	if (r) {
		pg_copy_abort(ledger_pg(l), "given up", PG_TIMEOUT);
		return r;
	}
	r = pg_copy_end(ledger_pg(l), COPY_TIMEOUT, &written, e);
	if (r == 0 && written != b->n_rows)
		r = err_set(e, ERR_DEFECT, "%zu messages handed over, %llu written", b->n_rows,
			(unsigned long long)written);
	return r;
}

int messages_copy(struct message_writer *w, struct ledger *l, int64_t run_id, const char *side,
	const char *isolation, const struct message_batch *b, struct err *e)
{
	char table[48];
	int r;

	if (b->n_rows == 0)
		return 0;
	snprintf(table, sizeof(table), "mqaudit.message_%016llx", (unsigned long long)run_id);
	r = resume_groups(w, b, e);
	if (r == 0)
		r = begin_groups(w, l, table, e);
	if (r == 0)
		r = copy(w, l, table, b, e);
	if (r == 0)
		r = write_groups(w, l, run_id, side, isolation, table, e);
	return r;
}
