/*
 * Both judges on random logs in a real ledger, for judges_test.sh:
 *
 *     judges SEED CASES [FIRST]
 *
 * Each case is a run with lanes, outcomes and logs (a source, with and without transactions; a target
 * behind a relay) into which losses, repeats, disorder, damage, phantoms and strays are drawn. The
 * evidence is written as a witness writes it, in pieces that are folded. Then the two judges must come
 * to the same findings, the sums must hold, and what a third judge counts here, the simple way,
 * message by message, must be what they say. Prints "NAME NUMBER" lines: how much of each there was.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker/judge.h"
#include "checker/ladder.h"
#include "core/clock.h"
#include "core/ledger/judged.h"
#include "core/ledger/produced.h"
#include "core/ledger/removed.h"
#include "core/ledger/run.h"
#include "core/ledger/witnessed.h"
#include "core/log.h"
#include "core/rng.h"

#define PARTS 3
#define PRODUCERS 2
#define LANES (PARTS * PRODUCERS)
#define MAX_SEQ 40
#define MAX_RECORDS 600
#define MESSAGE_LEN 72
#define OWNER 4711

enum damage { WHOLE, PAYLOAD, HEADER };

struct record {
	bool fence, foreign, aborted;
	enum damage damage;
	struct tracker_ident ident;
	uint16_t attempt;
	uint64_t seq;
	int64_t offset;
	uint64_t order; /* sort key while a log is made */
};

struct plog {
	struct record r[MAX_RECORDS];
	size_t n;
};

struct lane {
	struct tracker_ident ident;
	uint64_t n;
	enum outcome outcome[MAX_SEQ + 1]; /* the best of all attempts */
	enum outcome last[MAX_SEQ + 1]; /* that of the last attempt: those before it are unknown */
	uint16_t attempts[MAX_SEQ + 1]; /* before the last */
	int64_t offset[MAX_SEQ + 1];
	unsigned dead[MAX_SEQ +
		      6]; /* in the dead-letter queue: bit of each attempt; above n: phantoms */
};

/* What is counted here, message by message; and of how much all cases were made. */
struct tally {
	uint64_t phantom[2], duplicated[2], redelivered[2], relay_lost, relay_pending;
	uint64_t never_routed, queue_lost, given_again; /* beside a routed stream */
	uint64_t aborted, foreign, corrupted;
	uint64_t dead_expired,
		dead_redelivered; /* messages; the latter also those that a queue gave again */
	uint64_t counted;         /* expired by the nodes' counts */
	uint64_t placed, between; /* positions of findings */
};

/* What happened to a log after it was read for the first time. */
struct event {
	enum { NOTHING, CUT, TAKEN } kind;
	int64_t border; /* some of what stands above (CUT), or below (TAKEN), is gone */
};

struct test {
	struct ledger *l;
	struct rng rng;
	struct run run;
	uint32_t epoch[PRODUCERS];
	struct lane lane[LANES];
	struct plog log[2][PARTS];
	struct tracker *tracker[3];
	int64_t fence_at
		[PARTS]; /* partition behind the relay where a fence came out; -1: nowhere */
	bool transactional, relayed, bounded, complete, behind;
	bool unread; /* the source is a queue that only the relay reads */
	bool routed; /* the source is a stream beside the queue, and the queue is behind it */
	bool queue
		[2];  /* reading takes away: the same attempt again is given again, no other copy */
	bool certain; /* all is acked */
	bool eventful; /* cuts, sweeps, retention, journals that are not complete: no third judge */
	int64_t start[PARTS];
	struct event event[2][PARTS];
	struct tally sum;
	uint64_t found[FINDING_N];
};

static bool chance(struct test *t, unsigned percent)
{
	return rng_below(&t->rng, 100) < percent;
}

/* ---- making a case --------------------------------------------------------------------------- */

static void put(struct plog *p, const struct record *r)
{
	if (p->n < MAX_RECORDS)
		p->r[p->n++] = *r;
}

static int compare_order(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

static void settle_offsets(struct test *t, struct plog *p)
{
	int64_t at = 0;

	qsort(p->r, p->n, sizeof(p->r[0]), compare_order);
	for (size_t i = 0; i < p->n; i++) {
		p->r[i].offset = at;
		at += chance(t, 5) ? 2 : 1;
	}
}

static enum damage draw_damage(struct test *t)
{
	return chance(t, 95) ? WHOLE : chance(t, 50) ? PAYLOAD : HEADER;
}

/* Put a message where it belongs, or, rarely, elsewhere: late, twice, on another partition. */
static void store(struct test *t, int side, uint32_t partition, struct record r, unsigned faults)
{
	/* a queue has one partition: each lane keeps to its own, in front of the relay as well */
	bool queue = t->queue[0] || t->queue[1], elsewhere = !queue && chance(t, faults / 4);
	uint32_t at = elsewhere ? (uint32_t)rng_below(&t->rng, PARTS) : partition;

	if (chance(t, faults))
		r.order += rng_below(&t->rng, 60);
	put(&t->log[side][at], &r);
	while (chance(t, faults)) {
		r.order += rng_below(&t->rng, 200);
		r.damage = WHOLE;
		r.attempt += (uint16_t)rng_below(&t->rng, 2);
		put(&t->log[side][!queue && chance(t, 10) ? rng_below(&t->rng, PARTS) : at], &r);
	}
}

static void draw_lane(struct test *t, struct lane *l, unsigned faults)
{
	for (uint64_t seq = 1; seq <= l->n; seq++) {
		static const struct {
			enum outcome outcome;
			unsigned percent, stored;
		} row[] = {{OUTCOME_ACKED, 85, 95}, {OUTCOME_UNKNOWN, 5, 50},
			{OUTCOME_REFUSED, 4, 20}, {OUTCOME_UNCONFIRMED, 3, 70},
			{OUTCOME_NONE, 100, 50}};
		size_t i = 0;

		while (!t->certain && !chance(t, row[i].percent))
			i++;
		l->last[seq] = row[i].outcome;
		l->attempts[seq] = chance(t, 10) ? (uint16_t)(1 + rng_below(&t->rng, 2)) : 0;
		l->outcome[seq] = l->attempts[seq] && l->last[seq] != OUTCOME_ACKED
					  ? OUTCOME_UNKNOWN
					  : l->last[seq];
		l->offset[seq] = -1;
		if (chance(t, row[i].stored))
			store(t, 0, l->ident.lane,
				(struct record){.ident = l->ident,
					.seq = seq,
					.damage = draw_damage(t),
					.aborted = t->transactional && chance(t, 15),
					.order = seq * 10 + l->ident.producer_id},
				faults);
	}
}

/* What went to the dead-letter queue: of what the queue gave too, of what it did not, and of what nobody sent. */
static void draw_dead(struct test *t)
{
	for (size_t i = 0; t->queue[0] && i < LANES; i++) {
		struct lane *l = &t->lane[i];

		for (uint64_t seq = 1; seq <= l->n + 5; seq++)
			if (chance(t, l->dead[0] ? 30 : 5))
				l->dead[seq] = 1u + (unsigned)rng_below(&t->rng, 7);
	}
}

/* Messages that nobody intended: above the end, of another start, of a producer that there is not. */
static void draw_phantoms(struct test *t, int side)
{
	for (size_t i = 0; i < LANES; i++) {
		struct record r = {.ident = t->lane[i].ident,
			.seq = t->lane[i].n + 1 + rng_below(&t->rng, 5),
			.aborted = t->transactional && side == 0 && chance(t, 30),
			.order = rng_below(&t->rng, 500)};

		if (!chance(t, 15))
			continue;
		if (chance(t, 30)) {
			r.ident.nonce++;
			r.seq = 1 + rng_below(&t->rng, MAX_SEQ);
		} else if (chance(t, 20)) {
			r.ident.producer_id = 99;
		}
		store(t, side, r.ident.lane, r, 10);
	}
}

static void draw_others(struct test *t, int side)
{
	for (uint32_t p = 0; p < PARTS; p++) {
		while (chance(t, 30)) {
			struct record r = {.foreign = true, .order = rng_below(&t->rng, 500)};

			put(&t->log[side][p], &r);
		}
	}
}

/* Where messages were acked: where their first copy is; or anywhere, if there is none. */
static void draw_offsets(struct test *t)
{
	/* a queue's acks name no place */
	for (size_t i = 0; !t->queue[0] && i < LANES; i++) {
		struct lane *l = &t->lane[i];
		const struct plog *p = &t->log[0][l->ident.lane];

		for (size_t k = p->n; k > 0; k--) {
			const struct record *r = &p->r[k - 1];

			if (!r->foreign && r->ident.producer_id == l->ident.producer_id &&
				r->ident.nonce == l->ident.nonce && r->seq <= l->n)
				l->offset[r->seq] = r->offset;
		}
		for (uint64_t seq = 1; seq <= l->n; seq++)
			if (l->offset[seq] < 0 && chance(t, 70))
				l->offset[seq] = (int64_t)rng_below(&t->rng, p->n + 10);
	}
}

/* The relay: drops, repeats, swaps, damages and leads astray. */
static void draw_target(struct test *t, unsigned faults)
{
	for (uint32_t p = 0; p < PARTS; p++) {
		const struct plog *from = &t->log[0][p];
		bool calm = chance(t, 50);

		for (size_t i = 0; i < from->n; i++) {
			struct record r = from->r[i];

			if (r.aborted || chance(t, faults))
				continue;
			r.order = i * 10;
			if (chance(t, faults / 3) && r.damage == WHOLE)
				r.damage = draw_damage(t);
			if (calm)
				put(&t->log[1][p], &r);
			else
				store(t, 1, p, r, faults);
		}
		t->fence_at[p] = -1;
		if (chance(t, 75)) {
			t->fence_at[p] = chance(t, 85) ? p : rng_below(&t->rng, PARTS);
			put(&t->log[1][t->fence_at[p]],
				&(struct record){.fence = true, .order = 100000, .ident = {0}});
		}
	}
	draw_phantoms(t, 1);
	draw_others(t, 1);
}

static void draw_case(struct test *t)
{
	unsigned faults = (unsigned)rng_below(&t->rng, 4) * 4;

	memset(t->log, 0, sizeof(t->log));
	for (uint32_t i = 0; i < LANES; i++) {
		struct lane *l = &t->lane[i];

		*l = (struct lane){.ident = {i / PARTS + 1, t->epoch[i / PARTS], 7, i % PARTS},
			.n = rng_below(&t->rng, MAX_SEQ + 1)};
		draw_lane(t, l, faults);
		l->dead[0] = chance(t, 30);
	}
	draw_dead(t);
	draw_phantoms(t, 0);
	draw_others(t, 0);
	for (uint32_t p = 0; p < PARTS; p++) {
		put(&t->log[0][p], &(struct record){.fence = true, .order = 100000});
		settle_offsets(t, &t->log[0][p]);
	}
	draw_offsets(t);
	if (t->relayed)
		draw_target(t, faults);
	for (uint32_t p = 0; t->relayed && p < PARTS; p++)
		settle_offsets(t, &t->log[1][p]);
	memset(t->event, 0, sizeof(t->event));
	for (uint32_t i = 0; t->eventful && i < 2 * PARTS; i++)
		if (chance(t, 40))
			t->event[i / PARTS][i % PARTS] = (struct event){
				chance(t, 50) ? CUT : TAKEN, (int64_t)rng_below(&t->rng, 150)};
	for (uint32_t p = 0; p < PARTS; p++)
		t->start[p] = t->eventful && chance(t, 30) ? (int64_t)rng_below(&t->rng, 20) : 0;
}

/* ---- the ledger ------------------------------------------------------------------------------ */

static int make_run(struct test *t, uint64_t number, struct err *e)
{
	int64_t starts[PARTS] = {0};
	char name[40];
	bool made;
	struct run_spec spec = {.name = name,
		.destination = "kafka://nowhere:1/a",
		.broker = "kafka",
		.target = t->relayed && !t->routed ? "kafka://nowhere:1/b" : NULL,
		.promise = "exactly-once,ordered",
		.keys = "none",
		.transactional = t->transactional,
		.source_start = starts,
		.n_source = PARTS,
		.target_start = t->relayed ? starts : NULL,
		.n_target = t->relayed ? PARTS : 0};
	int r;

	snprintf(name, sizeof(name), "case-%" PRIu64, number);
	r = run_make(t->l, &spec, &t->run, &made, e);
	for (uint32_t i = 0; r == 0 && i < PRODUCERS; i++) {
		struct produced_start start = {.run_id = t->run.id,
			.producer_id = i + 1,
			.nonce = 7,
			.host = "h",
			.boot_id = "b",
			.pid = 1};

		r = produced_start(t->l, &start, &t->epoch[i], e);
	}
	return r;
}

static int ship(struct test *t, struct err *e)
{
	struct produced_outcome outcome[LANES * MAX_SEQ * 3];
	struct produced_lane lane[LANES];
	struct produced_producer producer[PRODUCERS];
	struct produced_shipment s = {.run_id = t->run.id,
		.producer = producer,
		.n_producers = PRODUCERS,
		.outcome = outcome,
		.lane = lane,
		.n_lanes = LANES};
	int64_t now = clock_wall_ns();

	for (uint32_t i = 0; i < PRODUCERS; i++)
		producer[i] = (struct produced_producer){.producer_id = i + 1,
			.epoch = t->epoch[i],
			.shipment = 1,
			.shipped = 1,
			.end_cause = "finished",
			.journal_state = "complete"};
	if (t->eventful && chance(t, 40)) {
		static const char *const states[] = {"complete", "incomplete", "gone", NULL};

		producer[0].journal_state = states[rng_below(&t->rng, 4)];
		producer[0].end_cause = producer[0].journal_state ? "killed" : NULL;
	}
	for (uint32_t i = 0; i < LANES; i++) {
		const struct lane *l = &t->lane[i];

		lane[i] = (struct produced_lane){
			i / PARTS, (int32_t)l->ident.lane, l->n ? 1 : 0, l->n, now, now, l->n + 8};
		for (uint64_t seq = 1; seq <= l->n; seq++) {
			for (uint16_t a = 0; a <= l->attempts[seq]; a++) {
				enum outcome o =
					a < l->attempts[seq] ? OUTCOME_UNKNOWN : l->last[seq];

				if (o == OUTCOME_NONE)
					continue;
				outcome[s.n_outcomes++] =
					(struct produced_outcome){.producer = i / PARTS,
						.partition = (int32_t)l->ident.lane,
						.attempt = a,
						.outcome = o,
						.node = 1,
						.lo = seq,
						.hi = seq,
						.first_offset = o == OUTCOME_ACKED && !t->routed &&
										!t->unread
									? l->offset[seq]
									: -1,
						.first_wall_ns = now,
						.last_wall_ns = now};
			}
		}
	}
	return produced_ship(t->l, &s, e);
}

/* What a witness has of one partition. */
struct reading {
	struct test *t;
	struct witness_key key;
	struct tracker *tracker;
	struct ladder ladder;
	int32_t partition;
	int64_t segment;
	int32_t generation;
};

static int feed(struct reading *d, const struct record *r)
{
	uint8_t message[MESSAGE_LEN];
	struct envelope env = {.flags = r->fence ? ENVELOPE_FLAG_FENCE : 0,
		.run_id = (uint64_t)d->t->run.id + r->foreign,
		.producer_id = r->ident.producer_id,
		.epoch = r->ident.epoch,
		.nonce = r->ident.nonce,
		.partition = r->ident.lane,
		.seq = r->seq ? r->seq : 1,
		.attempt = r->attempt,
		.length = MESSAGE_LEN};
	enum tracker_kind kind;

	memset(message, 'x', sizeof(message));
	envelope_encode(&env, envelope_payload_hash(message + ENVELOPE_LEN, 8), message);
	if (r->damage == PAYLOAD)
		message[70] ^= 1;
	if (r->damage == HEADER)
		message[40] ^= 1;
	return tracker_record(
		d->tracker, d->partition, r->offset, message, sizeof(message), &kind, NULL);
}

/* Write what was read since the last time, as a witness does. */
static int commit(struct reading *d, int64_t end, struct err *e)
{
	struct witness_row row[MAX_RECORDS];
	struct witness_damage damage[MAX_RECORDS];
	struct witness_fold fold[LADDER_MAX_FOLDS];
	struct tracker_segment s;
	size_t folds = ladder_fold(&d->ladder, d->partition, fold, LADDER_MAX_FOLDS);
	int r = tracker_take(d->tracker, d->partition, end, &s);

	if (r)
		return err_set(e, r, "out of memory");
	struct witness_advance a = {d->partition, d->generation, end, d->t->start[d->partition],
		end,
		{.segment = ++d->segment,
			.generation = d->generation,
			.first_offset = s.first_offset,
			.end_offset = end,
			.anchor = {-1, 0},
			.records = (int64_t)s.records,
			.ours = (int64_t)s.ours,
			.foreigners = (int64_t)s.foreigners,
			.fences = (int64_t)s.fences,
			.corrupted = (int64_t)s.corrupted}};
	struct witness_commit c = {.key = d->key,
		.owner = OWNER,
		.advance = &a,
		.n_advances = 1,
		.row = row,
		.n_rows = s.n_runs,
		.damage = damage,
		.n_damages = s.n_damages,
		.fold = fold,
		.n_folds = folds};

	for (size_t i = 0; i < s.n_runs; i++)
		row[i] = (struct witness_row){d->partition, s.run[i].ident.producer_id,
			s.run[i].ident.epoch, s.run[i].ident.nonce, s.run[i].ident.lane,
			s.run[i].attempt, s.run[i].lo, s.run[i].hi, s.run[i].first_offset,
			s.run[i].last_offset};
	for (size_t i = 0; i < s.n_damages; i++)
		damage[i] = (struct witness_damage){d->partition, s.damage[i].named,
			s.damage[i].ident.producer_id, s.damage[i].ident.epoch,
			s.damage[i].ident.nonce, s.damage[i].ident.lane, s.damage[i].seq,
			s.damage[i].offset, s.damage[i].what};
	r = witnessed_commit(d->t->l, &c, e);
	if (r == 0)
		r = ladder_push(&d->ladder, &a.segment, true);
	tracker_segment_release(&s);
	return r;
}

static bool is_gone(const struct event *v, const struct record *r)
{
	return (v->kind == CUT ? r->offset >= v->border : r->offset < v->border) && !r->fence &&
	       (uint64_t)(r->offset + v->border) * 0x9e3779b97f4a7c15u % 4 == 0;
}

/* Row of evidence into the tracker, as a witness that begins anew. */
static int load_row(const struct witness_row *row, void *arg, struct err *e)
{
	struct reading *d = arg;
	struct tracker_run run = {.ident = {row->producer_id, row->epoch, row->nonce, row->lane},
		.attempt = row->attempt,
		.lo = row->lo,
		.hi = row->hi,
		.first_offset = row->first_offset,
		.last_offset = row->last_offset};

	return tracker_load(d->tracker, row->partition, &run)
		       ? err_set(e, ERR_NOMEM, "out of memory")
		       : 0;
}

/*
 * The log was cut, or policy took something from it: the segments above the border (or below) become
 * history and are read again, as far as they are there still. Readers of both isolations see the same.
 */
static int read_again(struct reading *d, const struct plog *p, struct err *e)
{
	const struct event *v = &d->t->event[d->key.side][d->partition];
	struct witness_segment *list = NULL;
	struct witness_generation g = {.partition = d->partition,
		.generation = d->generation + 1,
		.segment = d->segment,
		.cause = v->kind == CUT ? "cut" : "sweep",
		.why = "drawn"};
	size_t n, at = 0;
	int64_t to;
	int r = witnessed_segments(d->t->l, &d->key, d->partition, &list, &n, e);

	while (r == 0 && at + 1 < n && list[at].end_offset <= v->border)
		at++;
	if (r || n == 0) {
		free(list);
		return r;
	}
	g.from_offset = v->kind == CUT ? list[at].first_offset : -1;
	g.to_offset = v->kind == CUT ? INT64_MAX : list[at].end_offset;
	g.next_offset = v->kind == CUT ? list[at].first_offset : 0;
	to = v->kind == CUT ? INT64_MAX : list[at].end_offset;
	free(list);
	r = witnessed_begin_generation(d->t->l, &d->key, OWNER, &g, e);
	d->generation++;
	ladder_clear(&d->ladder);
	tracker_drop(d->tracker, d->partition);
	if (r == 0)
		r = witnessed_rows(d->t->l, &d->key, d->partition, load_row, d, e);
	for (size_t i = 0; r == 0 && i < p->n; i++)
		if (p->r[i].offset >= g.next_offset && p->r[i].offset < to &&
			!is_gone(v, &p->r[i]) &&
			(d->key.isolation == ISOLATION_UNCOMMITTED || !p->r[i].aborted))
			r = feed(d, &p->r[i]) ? err_set(e, ERR_NOMEM, "out of memory") : 0;
	if (r == 0)
		r = commit(d, v->kind == CUT ? p->r[p->n - 1].offset + 1 : to, e);
	/* in log order: as a witness does that has swept */
	tracker_drop(d->tracker, d->partition);
	return r ? r : witnessed_rows(d->t->l, &d->key, d->partition, load_row, d, e);
}

static int read_partition(struct reading *d, const struct plog *p, struct err *e)
{
	struct witness_position at = {0};
	int64_t end = 0;
	int r = witnessed_claim(d->t->l, &d->key, d->partition, 0, OWNER, &at, e);

	d->generation = at.generation;
	d->segment = at.segment;
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		if (d->key.isolation == ISOLATION_COMMITTED && p->r[i].aborted)
			continue;
		r = feed(d, &p->r[i]) ? err_set(e, ERR_NOMEM, "out of memory") : 0;
		end = p->r[i].offset + 1;
		if (r == 0 && chance(d->t, 10))
			r = commit(d, end, e);
	}
	if (r == 0)
		r = commit(d, end + 1, e);
	if (r == 0 && d->t->event[d->key.side][d->partition].kind != NOTHING)
		r = read_again(d, p, e);
	ladder_clear(&d->ladder);
	return r;
}

static int read_log(
	struct test *t, int i, enum run_side side, enum isolation isolation, struct err *e)
{
	int r = 0;

	t->tracker[i] = tracker_new((uint64_t)t->run.id);
	if (!t->tracker[i])
		return err_set(e, ERR_NOMEM, "out of memory");
	if (t->queue[side])
		tracker_of_queue(t->tracker[i]);
	for (int32_t p = 0; r == 0 && p < PARTS; p++) {
		struct reading d = {.t = t,
			.key = {t->run.id, side, isolation},
			.tracker = t->tracker[i],
			.partition = p};

		r = read_partition(&d, &t->log[side][p], e);
	}
	return r;
}

/* As witnessed_fold_outcomes(), of everything, and without its VACUUM. */
static int fold_outcomes(struct test *t, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, t->run.id);
	return pg_query(ledger_pg(t->l), "select mqaudit.fold_outcomes($1::int8, interval '0')",
		&args, PG_TIMEOUT, NULL, e);
}

static int note_fences(struct test *t, uint32_t judgement, struct err *e)
{
	static const char *const names[] = {"relay-lag"}, *const values[] = {"5 s"};
	int r = 0;

	for (int32_t p = 0; r == 0 && p < PARTS; p++) {
		struct judged_fence f = {judgement, 1, p, 9, 1000, (int32_t)t->fence_at[p]};

		if (t->fence_at[p] >= 0)
			r = judged_fence(t->l, t->run.id, "target", &f, e);
	}
	if (r == 0 && t->bounded)
		r = run_put_settings(t->l, t->run.id, "checker", names, values, 1, e);
	return r;
}

static int note_queues(struct test *t, struct err *e)
{
	static const char *const names[] = {"reads"};
	int r = 0;

	for (int side = RUN_SOURCE; r == 0 && side <= RUN_TARGET; side++) {
		const char *values[] = {side == RUN_TARGET ? "queue"
					: t->routed        ? "routed-stream"
					: t->unread        ? "nothing"
							   : "queue"};

		if (t->queue[side] || (side == RUN_SOURCE && (t->routed || t->unread)))
			r = run_put_settings(t->l, t->run.id, run_side_text((enum run_side)side),
				names, values, 1, e);
	}
	return r;
}

/* As they are found: each attempt for itself, in no order; a second look finds them again. */
static int note_dead(struct test *t, struct err *e)
{
	static const char *const reasons[] = {"expired", "maxlen", "rejected"};
	struct removed_dead dead[LANES * (MAX_SEQ + 6) * 3];
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; t->queue[0] && i < LANES; i++) {
		const struct tracker_ident *d = &t->lane[i].ident;

		for (uint64_t seq = t->lane[i].n + 5; seq > 0; seq--)
			for (unsigned k = 0; k < 3; k++)
				if (t->lane[i].dead[seq] & 1u << k)
					dead[n++] = (struct removed_dead){d->producer_id, d->epoch,
						chance(t, 2) ? 8 : 7, d->lane, (uint16_t)k, seq,
						seq, "dead", reasons[rng_below(&t->rng, 3)]};
		/* with the nonce of another start it is a phantom, and no copy */
		for (size_t m = 0; m < n; m++)
			if (dead[m].nonce == 8 && dead[m].producer_id == d->producer_id &&
				dead[m].epoch == d->epoch && dead[m].lane == d->lane)
				t->lane[i].dead[dead[m].lo] &= ~(1u << dead[m].attempt);
	}
	for (int look = 0; r == 0 && n && look < 2; look++)
		r = removed_put_dead(t->l, t->run.id, dead, n, e);
	return r;
}

/* ---- the third judge ------------------------------------------------------------------------- */

static const struct lane *lane_of(const struct test *t, const struct record *r, bool with_nonce)
{
	for (size_t i = 0; i < LANES; i++) {
		const struct tracker_ident *a = &t->lane[i].ident;

		if (a->producer_id == r->ident.producer_id && a->epoch == r->ident.epoch &&
			a->lane == r->ident.lane && (!with_nonce || a->nonce == r->ident.nonce))
			return &t->lane[i];
	}
	return NULL;
}

static bool is_phantom(const struct test *t, const struct record *r)
{
	const struct lane *l = lane_of(t, r, true);

	return !l || r->seq > l->n;
}

static bool counts(const struct record *r)
{
	return !r->fence && !r->foreign && !r->aborted && r->damage == WHOLE;
}

/*
 * Copies of a message of a lane on a side; *ret_damaged: one of them with a damaged payload; *ret_again: how
 * often a queue gave one again.
 */
static uint64_t copies(const struct test *t, int side, const struct lane *l, uint64_t seq,
	bool *ret_damaged, uint64_t *ret_again, unsigned *ret_attempts)
{
	bool given[MAX_RECORDS] = {false}; /* by attempt */
	uint64_t n = 0;

	*ret_attempts = 0;
	*ret_damaged = false;
	*ret_again = 0;
	for (uint32_t p = 0; p < PARTS; p++) {
		for (size_t i = 0; i < t->log[side][p].n; i++) {
			const struct record *r = &t->log[side][p].r[i];

			if (r->fence || r->foreign || r->seq != seq)
				continue;
			if (counts(r) && lane_of(t, r, true) == l) {
				*ret_again += t->queue[side] && given[r->attempt];
				n += !t->queue[side] || !given[r->attempt];
				given[r->attempt] = true;
				*ret_attempts |= 1u << r->attempt;
			}
			*ret_damaged |= r->damage == PAYLOAD && lane_of(t, r, false) == l;
		}
	}
	return n;
}

static bool source_has_phantom(const struct test *t, const struct record *x)
{
	for (uint32_t p = 0; p < PARTS; p++) {
		for (size_t i = 0; i < t->log[0][p].n; i++) {
			const struct record *r = &t->log[0][p].r[i];

			if (counts(r) && is_phantom(t, r) && r->seq == x->seq &&
				r->ident.producer_id == x->ident.producer_id &&
				r->ident.epoch == x->ident.epoch && r->ident.lane == x->ident.lane)
				return true;
		}
	}
	return false;
}

static bool is_proved(const struct test *t, uint32_t partition)
{
	if (t->fence_at[partition] < 0)
		return false;
	for (uint32_t p = 0; p < PARTS; p++) {
		for (size_t i = 0; i < t->log[1][p].n; i++) {
			const struct record *r = &t->log[1][p].r[i];

			if (r->fence || r->foreign || r->damage == HEADER ||
				r->ident.lane != partition || p == t->fence_at[partition])
				continue;
			if (r->damage == PAYLOAD ? lane_of(t, r, false) != NULL : !is_phantom(t, r))
				return false;
		}
	}
	return true;
}

static void count_records(const struct test *t, struct tally *ret)
{
	for (int side = t->unread ? 1 : 0; side < 2; side++) {
		for (uint32_t p = 0; p < PARTS; p++) {
			for (size_t i = 0; i < t->log[side][p].n; i++) {
				const struct record *r = &t->log[side][p].r[i];
				bool phantom = counts(r) && is_phantom(t, r);

				ret->phantom[side] += phantom && (side == 0 || t->unread ||
									 !source_has_phantom(t, r));
				if (side == 1)
					continue;
				ret->aborted += r->aborted && r->damage == WHOLE;
				ret->foreign += r->foreign;
				ret->corrupted += r->damage != WHOLE;
			}
		}
	}
}

/* What the dead-letter queue adds to a message of which the queue gave these attempts. */
static void count_dead(const struct lane *l, uint64_t seq, bool damaged, uint64_t again,
	unsigned given, struct tally *ret)
{
	unsigned dead = l->dead[seq];
	bool promised = l->outcome[seq] == OUTCOME_ACKED || l->outcome[seq] == OUTCOME_UNCONFIRMED;
	int more = __builtin_popcount(dead & ~given);

	ret->dead_expired += promised && dead && !given && !damaged;
	ret->dead_redelivered += again || (dead & given);
	ret->duplicated[0] += (uint64_t)(given ? more : more ? more - 1 : 0);
}

/* Beside a routed stream: a copies of a message were routed, the queue gave b, and some again. */
static void count_routed(struct tally *ret, enum outcome o, bool sure, uint64_t a, uint64_t b,
	uint64_t again, bool a_damaged, bool b_damaged)
{
	bool promised = o == OUTCOME_ACKED || o == OUTCOME_UNCONFIRMED;

	if (a > 1)
		ret->duplicated[0] += b > 1 || again ? a - 1 : 0;
	else
		ret->duplicated[0] += b > 1 ? b - 1 : 0;
	ret->given_again += again && a < 2;
	ret->redelivered[1] += again;
	if (promised && a && !b && !b_damaged)
		*(sure ? &ret->queue_lost : &ret->relay_pending) += 1;
	ret->never_routed += o == OUTCOME_ACKED && !a && !b && !a_damaged;
}

static void count_lanes(const struct test *t, struct tally *ret)
{
	for (size_t i = 0; i < LANES; i++) {
		const struct lane *l = &t->lane[i];
		bool sure = t->relayed && t->complete && t->behind &&
			    (t->bounded || is_proved(t, l->ident.lane));

		for (uint64_t seq = 1; seq <= l->n; seq++) {
			bool damaged, a_damaged;
			unsigned given;
			uint64_t again, a = copies(t, 0, l, seq, &a_damaged, &again, &given), b;

			if (t->routed) {
				b = copies(t, 1, l, seq, &damaged, &again, &given);
				count_routed(ret, l->outcome[seq], sure, a, b, again, a_damaged,
					damaged);
				continue;
			}
			if (t->unread) {
				again = 0;
				a = l->outcome[seq] == OUTCOME_ACKED;
			}
			ret->redelivered[0] += again;
			ret->duplicated[0] += a > 1 ? a - 1 : 0;
			if (t->queue[0])
				count_dead(l, seq, a_damaged, again, given, ret);
			if (!t->relayed)
				continue;
			b = copies(t, 1, l, seq, &damaged, &again, &given);
			ret->redelivered[1] += again;
			ret->duplicated[1] += a < 2 && b > 1 ? b - 1 : 0;
			if (a && !b && !damaged)
				*(sure ? &ret->relay_lost : &ret->relay_pending) += 1;
		}
	}
}

/* ---- one case -------------------------------------------------------------------------------- */

static int differs(const char *what, uint64_t judged, uint64_t counted, struct err *e)
{
	return judged == counted
		       ? 0
		       : err_set(e, ERR_DEFECT, "%s: judged %" PRIu64 ", counted %" PRIu64, what,
				 judged, counted);
}

static int compare_routed(
	struct test *t, const struct judged_sums *s, const struct tally *want, struct err *e)
{
	int r = differs("repeated on the way", s->count[FINDING_DUPLICATED][STAGE_PRODUCE],
		want->duplicated[0], e);

	if (r == 0)
		r = differs("lost beside a routed stream", s->count[FINDING_LOST][STAGE_BROKER],
			want->queue_lost + (t->complete ? want->never_routed : 0), e);
	if (r == 0)
		r = differs("pending beside a routed stream",
			s->count[FINDING_PENDING][STAGE_BROKER],
			want->relay_pending + (t->complete ? 0 : want->never_routed), e);
	if (r == 0)
		r = differs("given again", s->count[FINDING_REDELIVERED][STAGE_CONSUME],
			want->given_again, e);
	if (r == 0)
		r = differs(
			"given again, each time", s->target_redelivered, want->redelivered[1], e);
	t->sum.never_routed += want->never_routed;
	t->sum.queue_lost += want->queue_lost;
	t->sum.given_again += want->given_again;
	return r;
}

static int compare_tally(
	struct test *t, const struct judged_sums *s, const struct tally *want, struct err *e)
{
	int r = differs("phantom", s->count[FINDING_PHANTOM][STAGE_BROKER],
		want->phantom[0] + (t->routed ? want->phantom[1] : 0), e);

	if (t->routed)
		return r ? r : compare_routed(t, s, want, e);
	if (r == 0)
		r = differs("phantom behind", s->count[FINDING_PHANTOM][STAGE_RELAY],
			want->phantom[1], e);
	if (r == 0)
		r = differs("duplicated", s->count[FINDING_DUPLICATED][STAGE_PRODUCE],
			want->duplicated[0], e);
	if (r == 0)
		r = differs("duplicated behind", s->count[FINDING_DUPLICATED][STAGE_RELAY],
			want->duplicated[1], e);
	if (r == 0)
		r = differs(
			"lost behind", s->count[FINDING_LOST][STAGE_RELAY], want->relay_lost, e);
	if (r == 0)
		r = differs("pending behind", s->count[FINDING_PENDING][STAGE_RELAY],
			want->relay_pending, e);
	if (r == 0)
		r = differs("aborted", s->aborted, want->aborted, e);
	if (r == 0)
		r = differs("redelivered", s->redelivered, want->redelivered[0], e);
	if (r == 0)
		r = differs("redelivered behind", s->target_redelivered, want->redelivered[1], e);
	if (r == 0 && t->queue[0])
		r = differs("expired", s->count[FINDING_EXPIRED][STAGE_BROKER],
			want->dead_expired + want->counted, e);
	if (r == 0 && t->queue[0])
		r = differs("given again", s->count[FINDING_REDELIVERED][STAGE_CONSUME],
			want->dead_redelivered, e);
	t->sum.dead_expired += want->dead_expired;
	t->sum.dead_redelivered += want->dead_redelivered;
	t->sum.counted += want->counted;
	t->sum.redelivered[0] += want->redelivered[0];
	t->sum.redelivered[1] += want->redelivered[1];
	t->sum.phantom[0] += want->phantom[0];
	t->sum.phantom[1] += want->phantom[1];
	t->sum.duplicated[0] += want->duplicated[0];
	t->sum.duplicated[1] += want->duplicated[1];
	t->sum.relay_lost += want->relay_lost;
	t->sum.relay_pending += want->relay_pending;
	t->sum.aborted += want->aborted;
	t->sum.foreign += want->foreign;
	t->sum.corrupted += want->corrupted;
	return r;
}

/* Is there, at a place that a finding names or between two, the message that it is about? */
static int check_place(const struct pg_rows *row, void *arg, struct err *e)
{
	struct test *t = arg;
	int side = strcmp(pg_rows_text(row, 0, 0), "relay") == 0;
	int64_t from = pg_rows_i64(row, 0, 6), to = pg_rows_i64(row, 0, 7);
	const struct plog *p = &t->log[side][pg_rows_i64(row, 0, 4)];

	t->sum.placed += from == to;
	t->sum.between += from != to;
	for (size_t i = 0; i < p->n; i++) {
		const struct record *r = &p->r[i];

		if (counts(r) && r->offset >= from && r->offset <= to &&
			r->ident.producer_id == pg_rows_i64(row, 0, 1) &&
			r->ident.epoch == pg_rows_i64(row, 0, 2) &&
			r->ident.lane == pg_rows_i64(row, 0, 3) && r->seq == pg_rows_u64(row, 0, 5))
			return 0;
	}
	return err_set(e, ERR_DEFECT,
		"%s: nothing of seq %" PRIu64 " between %" PRId64 " and %" PRId64
		" of partition %" PRId64,
		pg_rows_text(row, 0, 0), pg_rows_u64(row, 0, 5), from, to, pg_rows_i64(row, 0, 4));
}

static int check_places(struct test *t, uint32_t judgement, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, t->run.id);
	pg_arg_i64(&args, judgement);
	return pg_query_each(ledger_pg(t->l),
		"select f.stage, f.producer_id, f.epoch, f.partition, (p ->> 'partition')::int8, "
		"(p ->> 'seq')::int8, coalesce(p ->> 'offset', p ->> 'from')::int8, "
		"coalesce(p ->> 'offset', p ->> 'to')::int8 "
		"from mqaudit.finding f, jsonb_array_elements(f.positions) p "
		"where f.run_id = $1 and f.judgement = $2 "
		"and f.kind in ('duplicated', 'reordered', 'false-refusal', 'phantom')",
		&args, PG_TIMEOUT, check_place, t, e);
}

static int take_finding(const struct judged_finding *f, void *arg, struct err *e)
{
	return findings_add(arg, f->kind, f->stage, f->producer_id, f->epoch, f->partition, f->lo,
		       f->hi, f->count)
		       ? err_set(e, ERR_NOMEM, "out of memory")
		       : 0;
}

/* facts: what the nodes counted; counted: how many are found to have expired by that. */
static int judge(struct test *t, uint32_t judgement, const struct removed_facts *facts,
	uint64_t counted, struct judged_sums *ret, struct err *e)
{
	struct judge_plan plan = {.run_id = t->run.id,
		.judgement = judgement,
		.complete = t->complete,
		.behind = t->behind,
		.transactional = t->transactional,
		.source = t->unread ? NULL : t->tracker[0],
		.committed = t->tracker[1],
		.target = t->tracker[2],
		.relay_bounded = t->bounded,
		.queue = {t->queue[0], t->queue[1]},
		.counts_exact = facts->exact,
		.removed = facts->removed,
		.unroutable = facts->unroutable,
		.gone = facts->gone[0] != '\0',
		.expired = strcmp(facts->gone, "expires") == 0,
		.routed = t->routed};
	struct findings *sql = findings_new(), *memory = NULL;
	struct judged_sums sums;
	struct tally want = {.counted = counted};
	char text[600];
	int r = judged_compute(t->l, t->run.id, judgement, t->complete, t->behind, e);

	if (r == 0)
		r = judged_findings(t->l, t->run.id, judgement, take_finding, sql, e);
	if (r == 0)
		r = judge_in_memory(t->l, &plan, &memory, e);
	if (r == 0 && !findings_equal(memory, "memory", sql, "sql", text, sizeof(text)))
		r = err_set(e, ERR_DEFECT, "the judges disagree: %s", text);
	if (r == 0)
		r = judged_sums(t->l, t->run.id, judgement, &sums, e);
	if (r == 0 && !judged_sums_hold(&sums, text, sizeof(text)))
		r = err_set(e, ERR_DEFECT, "sums: %s", text);
	if (r == 0)
		r = check_places(t, judgement, e);
	if (r == 0 && !t->eventful) {
		count_records(t, &want);
		count_lanes(t, &want);
		r = compare_tally(t, &sums, &want, e);
	}
	for (int k = 0; r == 0 && k < FINDING_N; k++)
		for (int g = 0; g < STAGE_N; g++)
			t->found[k] += sums.count[k][g];
	findings_free(sql);
	findings_free(memory);
	*ret = sums;
	return r;
}

/* The nodes' counts: all that is missing, or more, or some of it unroutable; exact or not. */
static int judge_counted(struct test *t, const struct judged_sums *before, struct err *e)
{
	uint64_t missing = before->count[FINDING_LOST][STAGE_BROKER] +
			   before->count[FINDING_LOST][STAGE_PRODUCE];
	struct removed_facts facts = {.exact = chance(t, 80),
		.removed = missing + chance(t, 20),
		.unroutable = chance(t, 10),
		.how = "maxlen",
		.excluded = chance(t, 50) ? "no limit" : "",
		.gone = chance(t, 70)   ? ""
			: chance(t, 50) ? "expires"
					: "deleted"};
	bool told = facts.exact && facts.removed == missing && !facts.unroutable && t->complete;
	struct judged_sums sums;
	uint32_t judgement;
	int r = judged_begin(t->l, t->run.id, &judgement, e);

	for (int g = 0; g < STAGE_N; g++)
		told &= !before->count[FINDING_UNACKNOWLEDGED][g] &&
			!before->count[FINDING_UNREAD][g] && !before->count[FINDING_PENDING][g];
	if (facts.gone[0])
		told = strcmp(facts.gone, "expires") == 0 && t->complete;
	if (r == 0 && t->relayed)
		r = note_fences(t, judgement, e);
	if (r == 0)
		r = removed_put_facts(t->l, t->run.id, judgement, &facts, e);
	return r ? r : judge(t, judgement, &facts, told ? missing : 0, &sums, e);
}

static int one_case(struct test *t, uint64_t seed, uint64_t number, struct err *e)
{
	struct removed_facts none = {.how = "", .excluded = "", .gone = ""};
	struct judged_sums sums;
	uint32_t judgement;
	int r;

	rng_init(&t->rng, seed * 1000003 + number);
	t->transactional = chance(t, 35);
	t->relayed = chance(t, 60);
	t->bounded = t->relayed && chance(t, 15);
	t->complete = chance(t, 85);
	t->behind = chance(t, 85);
	t->queue[0] = !t->transactional && chance(t, 30);
	t->queue[1] = t->relayed && chance(t, 30);
	t->routed = t->relayed && !t->transactional && chance(t, 25);
	t->unread = t->relayed && !t->transactional && !t->routed && chance(t, 20);
	t->bounded = t->bounded && !t->routed;
	if (t->routed || t->unread)
		t->queue[0] = false;
	if (t->routed)
		t->queue[1] = true;
	t->certain = t->queue[0] && chance(t, 50);
	t->eventful = !t->queue[0] && !t->queue[1] && !t->unread && chance(t, 40);
	r = make_run(t, number, e);
	if (r)
		return r;
	draw_case(t);
	r = ship(t, e);
	if (r == 0 && !t->unread)
		r = read_log(t, 0, RUN_SOURCE, ISOLATION_UNCOMMITTED, e);
	if (r == 0 && t->transactional)
		r = read_log(t, 1, RUN_SOURCE, ISOLATION_COMMITTED, e);
	if (r == 0 && t->relayed)
		r = read_log(t, 2, RUN_TARGET, ISOLATION_UNCOMMITTED, e);
	if (r == 0 && chance(t, 30))
		r = fold_outcomes(t, e);
	if (r == 0)
		r = judged_begin(t->l, t->run.id, &judgement, e);
	if (r == 0 && t->relayed)
		r = note_fences(t, judgement, e);
	if (r == 0)
		r = note_queues(t, e);
	if (r == 0)
		r = note_dead(t, e);
	if (r == 0)
		r = judge(t, judgement, &none, 0, &sums, e);
	if (r == 0 && t->queue[0])
		r = judge_counted(t, &sums, e);
	if (r)
		err_wrap(e, "case %" PRIu64 "%s%s%s%s%s%s%s%s%s", number,
			t->routed ? ", routed" : "", t->unread ? ", unread" : "",
			t->queue[0] ? ", queue" : "", t->queue[1] ? ", queue behind" : "",
			t->eventful ? ", eventful" : "", t->transactional ? ", transactional" : "",
			t->relayed ? ", relayed" : "", t->bounded ? ", bounded" : "",
			t->complete ? "" : ", incomplete");
	for (int i = 0; i < 3; i++) {
		tracker_free(t->tracker[i]);
		t->tracker[i] = NULL;
	}
	return r;
}

int main(int argc, char **argv)
{
	struct test *t = calloc(1, sizeof(*t));
	struct err e = {0};
	uint64_t seed, cases, first, n = 0;
	int r;

	if (argc < 3 || argc > 4 || !t) {
		fprintf(stderr, "usage: judges SEED CASES [FIRST]\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 10);
	cases = strtoull(argv[2], NULL, 10);
	first = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	r = ledger_open(NULL, &t->l, &e);
	for (; r == 0 && n < cases; n++)
		r = one_case(t, seed, first + n, &e);
	if (r)
		err_print(&e);
	printf("cases %" PRIu64 "\nphantom %" PRIu64 "\nphantom_behind %" PRIu64
	       "\nduplicated %" PRIu64 "\nduplicated_behind %" PRIu64 "\nlost_behind %" PRIu64
	       "\npending_behind %" PRIu64 "\naborted %" PRIu64 "\nforeign %" PRIu64
	       "\ncorrupted %" PRIu64 "\nplaced %" PRIu64 "\nbetween %" PRIu64
	       "\nredelivered %" PRIu64 "\nredelivered_behind %" PRIu64 "\ndead_expired %" PRIu64
	       "\ndead_redelivered %" PRIu64 "\ncounted %" PRIu64 "\nnever_routed %" PRIu64
	       "\nqueue_lost %" PRIu64 "\ngiven_again %" PRIu64 "\n",
		n, t->sum.phantom[0], t->sum.phantom[1], t->sum.duplicated[0], t->sum.duplicated[1],
		t->sum.relay_lost, t->sum.relay_pending, t->sum.aborted, t->sum.foreign,
		t->sum.corrupted, t->sum.placed, t->sum.between, t->sum.redelivered[0],
		t->sum.redelivered[1], t->sum.dead_expired, t->sum.dead_redelivered, t->sum.counted,
		t->sum.never_routed, t->sum.queue_lost, t->sum.given_again);
	for (int k = 0; k < FINDING_N; k++)
		if (t->found[k])
			printf("found_%s %" PRIu64 "\n", finding_text((enum finding_kind)k),
				t->found[k]);
	ledger_close(t->l);
	free(t);
	return r ? 3 : 0;
}
