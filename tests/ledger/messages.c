/*
 * Rows of single messages (--record=messages) in a real ledger, for messages_test.sh:
 *
 *     messages N [ROWS-PER-COMMIT]
 *
 * Makes run "recorded" and commits, as a checker would: a first segment of three messages with the ends of
 * what their fields can hold, then N plain ones in segments of 10,000 (or as many as said), then a cut that goes back to behind
 * the first segment, and the first plain ones again. Prints "NAME NUMBER" lines.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/ledger/run.h"
#include "core/ledger/witnessed.h"
#include "core/log.h"

#define PARTITION 2
#define OWNER 4711
#define PIECE 10000u /* rows of a commit, if not said otherwise */
#define EXTREMES 3
#define AGAIN 5u

struct state {
	struct ledger *l;
	struct witness_key key;
	struct message_writer *writer;
	int64_t segment;
	int32_t generation;
	int64_t offset;
	size_t piece;
};

static int prepare(struct state *s, struct err *e)
{
	int64_t starts[PARTITION + 1] = {0};
	struct run_spec spec = {.name = "recorded",
		.destination = "kafka://nowhere:1/recorded",
		.broker = "kafka",
		.promise = "exactly-once,ordered",
		.source_start = starts,
		.n_source = PARTITION + 1};
	struct witness_position at;
	struct run run;
	bool made;
	int r = ledger_open(NULL, &s->l, e);

	if (r == 0)
		r = run_make(s->l, &spec, &run, &made, e);
	if (r)
		return r;
	s->key = (struct witness_key){run.id, RUN_SOURCE, ISOLATION_UNCOMMITTED};
	s->generation = 1;
	s->writer = messages_new();
	r = s->writer ? messages_prepare(s->l, run.id, e) : err_set(e, ERR_NOMEM, "out of memory");
	if (r == 0)
		r = messages_prepare(s->l, run.id, e); /* another checker of the run does, too */
	if (r)
		return r;
	return witnessed_claim(s->l, &s->key, PARTITION, 0, OWNER, &at, e);
}

/* One segment of these messages, from the state's offset on. */
static int commit(struct state *s, const struct message_batch *b,
	const struct witness_damage *damage, size_t n_damages, struct err *e)
{
	size_t n = b->n_rows;
	struct witness_advance advance = {.partition = PARTITION,
		.generation = s->generation,
		.next_offset = s->offset + (int64_t)n,
		.segment = {.segment = s->segment + 1,
			.generation = s->generation,
			.first_offset = s->offset,
			.end_offset = s->offset + (int64_t)n,
			.anchor = {-1, 0},
			.records = (int64_t)n,
			.ours = (int64_t)n}};
	struct witness_commit c = {.key = s->key,
		.owner = OWNER,
		.advance = &advance,
		.n_advances = 1,
		.damage = damage,
		.n_damages = n_damages,
		.writer = s->writer,
		.messages = *b};
	int r = witnessed_commit(s->l, &c, e);

	s->segment++;
	s->offset += (int64_t)n;
	return r;
}

static int commit_extremes(struct state *s, struct err *e)
{
	struct message_group group[EXTREMES] = {
		{.producer_id = 1, .first_seq = 1, .last_seq = 1},
		{.producer_id = UINT32_MAX,
			.epoch = UINT32_MAX,
			.nonce = UINT32_MAX,
			.lane = UINT32_MAX,
			.attempt = UINT16_MAX,
			.first_seq = INT64_MAX - 1,
			.last_seq = INT64_MAX - 1},
		{.first_seq = 1, .last_seq = 1},
	};
	struct message_row row[EXTREMES] = {
		{.seq = 1, .size = 64},
		{.seq = INT64_MAX - 1,
			.size = UINT32_MAX,
			.sent_wall_ns = INT64_MAX,
			.received_wall_ns = INT64_C(1700000000123456789)},
		{.seq = 1, .sent_wall_ns = INT64_MIN, .received_wall_ns = -1},
	};
	struct witness_damage damage = {.partition = PARTITION,
		.named = true,
		.producer_id = UINT32_MAX,
		.epoch = UINT32_MAX,
		.nonce = UINT32_MAX,
		.lane = UINT32_MAX,
		.seq = INT64_MAX - 1,
		.offset = s->offset + 1,
		.what = "payload"};

	for (uint32_t i = 0; i < EXTREMES; i++) {
		group[i].partition = PARTITION;
		group[i].generation = s->generation;
		group[i].n = 1;
		row[i].group = i;
		row[i].offset = s->offset + i;
	}
	return commit(s, &(struct message_batch){group, EXTREMES, row, EXTREMES}, &damage, 1, e);
}

static struct message_group fill(const struct state *s, struct message_row *row, size_t n)
{
	for (size_t i = 0; i < n; i++)
		row[i] = (struct message_row){.offset = s->offset + (int64_t)i,
			.seq = (uint64_t)(s->offset + (int64_t)i + 1),
			.size = 200,
			.sent_wall_ns = clock_wall_ns(),
			.received_wall_ns = clock_wall_ns()};
	return (struct message_group){.partition = PARTITION,
		.generation = s->generation,
		.producer_id = 1,
		.epoch = 1,
		.nonce = 99,
		.lane = PARTITION,
		.first_seq = (uint64_t)s->offset + 1,
		.last_seq = (uint64_t)s->offset + n,
		.n = n};
}

static int commit_plain(struct state *s, size_t n, struct err *e)
{
	struct message_row *row = calloc(s->piece, sizeof(*row));
	int r = row ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	for (size_t done = 0; r == 0 && done < n; done += s->piece) {
		size_t part = n - done < s->piece ? n - done : s->piece;
		struct message_group group = fill(s, row, part);

		r = commit(s, &(struct message_batch){&group, 1, row, part}, NULL, 0, e);
	}
	free(row);
	return r;
}

/* Everything behind the first segment was cut; what came again begins there. */
static int cut(struct state *s, struct err *e)
{
	struct witness_generation g = {.partition = PARTITION,
		.generation = s->generation + 1,
		.from_offset = EXTREMES,
		.to_offset = INT64_MAX,
		.next_offset = EXTREMES,
		.segment = s->segment,
		.cause = "cut",
		.why = "planted"};
	int r = witnessed_begin_generation(s->l, &s->key, OWNER, &g, e);

	s->generation++;
	s->offset = EXTREMES;
	return r;
}

int main(int argc, char **argv)
{
	struct state s = {0};
	struct err e = {0};
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	int64_t start_ns;
	int r;

	s.piece = argc > 2 ? strtoul(argv[2], NULL, 10) : PIECE;
	if (n == 0 || s.piece == 0) {
		fprintf(stderr, "usage: messages N [ROWS-PER-COMMIT]\n");
		return 2;
	}
	r = prepare(&s, &e);
	if (r == 0)
		r = commit_extremes(&s, &e);
	start_ns = clock_ns();
	if (r == 0)
		r = commit_plain(&s, n, &e);
	if (r == 0)
		printf("rows_per_s %.0f\n", (double)n * 1e9 / (double)(clock_ns() - start_ns));
	start_ns = clock_ns();
	if (r == 0)
		r = cut(&s, &e);
	if (r == 0)
		printf("cut_ms %" PRId64 "\n", (clock_ns() - start_ns) / NS_PER_MS);
	if (r == 0)
		r = commit_plain(&s, AGAIN, &e);
	messages_free(s.writer);
	ledger_close(s.l);
	if (r)
		err_print(&e);
	return r ? 3 : 0;
}
