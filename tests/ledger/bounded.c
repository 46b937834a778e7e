/*
 * 10^8 clean messages as evidence in a real ledger, for bounded_test.sh:
 *
 *     bounded COMMITS
 *
 * Each commit stands for 100,000 messages of 4 producers to 3 partitions: one shipment of probes
 * and one commit of a witness, folded by the same ladder and at the same intervals as the
 * checker's. The ledger is vacuumed when its server would have done so by itself (every ten seconds
 * of a checker's commits). Prints "NAME NUMBER" lines: bytes of the schema's tables before and
 * after, rows, seconds, and what the evidence says in the end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker/ladder.h"
#include "core/clock.h"
#include "core/ledger/produced.h"
#include "core/ledger/run.h"
#include "core/ledger/witnessed.h"
#include "core/log.h"

#define PARTITIONS 3
#define PRODUCERS 4
#define LANES (PARTITIONS * PRODUCERS)
#define PER_LANE UINT64_C(8334) /* messages of a lane in one commit: 100,008 of all */
#define PIECES 2                /* batches of a lane in one commit: rows of outcomes */
#define FOLD_EVERY 33           /* commits of 150 ms in the checker's 5 s */
#define SAMPLE_EVERY 7          /* and in a second */
#define OWNER 4711

struct bounded {
	struct ledger *l;
	struct run run;
	struct produced_producer producer[PRODUCERS];
	struct ladder ladder[PARTITIONS];
	struct witness_key key;
	uint64_t seq;   /* shipped of each lane */
	int64_t offset; /* of each partition */
	int32_t generation;
	int64_t wall_ns;
	int64_t fold_ns, commit_ns, ship_ns;
};

static int number(struct bounded *b, const char *sql, uint64_t *ret, struct err *e)
{
	struct pg_rows *rows = NULL;
	int r = pg_query(ledger_pg(b->l), sql, NULL, PG_TIMEOUT, &rows, e);

	if (r == 0)
		*ret = pg_rows_u64(rows, 0, 0);
	pg_rows_free(rows);
	return r;
}

static int print_number(struct bounded *b, const char *name, const char *sql, struct err *e)
{
	uint64_t n = 0;
	int r = number(b, sql, &n, e);

	if (r == 0)
		printf("%s %" PRIu64 "\n", name, n);
	return r;
}

static int print_size(struct bounded *b, const char *name, struct err *e)
{
	/* a vacuum is not allowed in a transaction, nor with others on one line */
	int r = pg_exec(ledger_pg(b->l), "vacuum", 10 * PG_TIMEOUT, e);

	if (r)
		return r;
	return print_number(b, name,
		"select sum(pg_total_relation_size(c.oid))::int8 from pg_class c "
		"join pg_namespace n on n.oid = c.relnamespace "
		"where n.nspname = 'mqaudit' and c.relkind in ('r', 'p')",
		e);
}

static int prepare(struct bounded *b, struct err *e)
{
	int64_t starts[PARTITIONS] = {0};
	struct run_spec spec = {.name = "bounded",
		.destination = "kafka://nowhere:1/bounded",
		.broker = "kafka",
		.promise = "exactly-once,ordered",
		.keys = "none",
		.source_start = starts,
		.n_source = PARTITIONS};
	struct witness_position at = {0};
	bool made;
	int r = ledger_open(NULL, &b->l, e);

	if (r == 0)
		r = print_size(b, "empty_bytes", e);
	if (r == 0)
		r = run_make(b->l, &spec, &b->run, &made, e);
	b->key = (struct witness_key){b->run.id, RUN_SOURCE, ISOLATION_UNCOMMITTED};
	for (uint32_t i = 0; r == 0 && i < PRODUCERS; i++) {
		struct produced_start start = {.run_id = b->run.id,
			.producer_id = i + 1,
			.nonce = 7,
			.host = "h",
			.boot_id = "b",
			.pid = 1};

		b->producer[i].producer_id = i + 1;
		r = produced_start(b->l, &start, &b->producer[i].epoch, e);
	}
	for (int32_t p = 0; r == 0 && p < PARTITIONS; p++) {
		r = witnessed_claim(b->l, &b->key, p, 0, OWNER, &at, e);
		b->generation = at.generation;
	}
	b->wall_ns = clock_wall_ns() - 3600 * NS_PER_S;
	return r;
}

/* What the probes ship for one commit's messages. Producers' batches take turns in the log. */
static int ship(struct bounded *b, uint64_t commit, bool last, struct err *e)
{
	struct produced_outcome outcome[LANES * PIECES];
	struct produced_lane lane[LANES];
	struct produced_sample sample = {.source = "probe",
		.wall_ns = b->wall_ns,
		.seconds = 1,
		.sent = 1,
		.acked = 1,
		.p50_ns = 1,
		.p99_ns = 2,
		.max_ns = 3};
	struct produced_shipment s = {.run_id = b->run.id,
		.producer = b->producer,
		.n_producers = PRODUCERS,
		.outcome = outcome,
		.lane = lane,
		.n_lanes = LANES,
		.sample = commit % SAMPLE_EVERY ? NULL : &sample};

	for (uint32_t i = 0; i < LANES; i++) {
		uint32_t who = i % PRODUCERS;

		lane[i] = (struct produced_lane){who, (int32_t)(i / PRODUCERS), b->seq + 1,
			b->seq + PER_LANE, b->wall_ns, b->wall_ns, b->seq + 10 * PER_LANE};
		for (uint64_t k = 0; k < PIECES; k++) {
			const uint64_t len = PER_LANE / PIECES;

			outcome[s.n_outcomes++] = (struct produced_outcome){.producer = who,
				.partition = (int32_t)(i / PRODUCERS),
				.outcome = OUTCOME_ACKED,
				.node = 1,
				.lo = b->seq + k * len + 1,
				.hi = b->seq + (k + 1) * len,
				.first_offset = b->offset + (int64_t)((k * PRODUCERS + who) * len),
				.first_wall_ns = b->wall_ns,
				.last_wall_ns = b->wall_ns};
		}
	}
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		b->producer[i].shipment = commit + 1;
		b->producer[i].shipped = (commit + 1) * PIECES * PARTITIONS;
		b->producer[i].end_cause = last ? "finished" : NULL;
		b->producer[i].journal_state = last ? "complete" : NULL;
	}
	return produced_ship(b->l, &s, e);
}

/* What the witness commits for the same messages. */
static int witness(struct bounded *b, uint64_t commit, struct err *e)
{
	struct witness_advance advance[PARTITIONS];
	struct witness_row row[LANES];
	struct witness_fold fold[LADDER_MAX_FOLDS];
	const int64_t n = (int64_t)PER_LANE * PRODUCERS;
	struct witness_sample sample = {b->wall_ns, 1, 1, 1, 2, 3, "checker"};
	struct witness_commit c = {.key = b->key,
		.owner = OWNER,
		.advance = advance,
		.n_advances = PARTITIONS,
		.row = row,
		.n_rows = LANES,
		.fold = fold,
		.sample = commit % SAMPLE_EVERY ? NULL : &sample};
	int r = 0;

	for (int32_t p = 0; r == 0 && p < PARTITIONS; p++) {
		struct witness_segment s = {.segment = (int64_t)commit + 1,
			.generation = b->generation,
			.first_offset = b->offset,
			.end_offset = b->offset + n,
			.anchor = {b->offset + n - 1, (int64_t)commit},
			.records = n,
			.ours = n};

		c.n_folds += ladder_fold(
			&b->ladder[p], p, fold + c.n_folds, LADDER_MAX_FOLDS - c.n_folds);
		advance[p] = (struct witness_advance){
			p, b->generation, s.end_offset, 0, s.end_offset, s};
		for (uint32_t i = 0; i < PRODUCERS; i++)
			row[(uint32_t)p * PRODUCERS + i] = (struct witness_row){p, i + 1,
				b->producer[i].epoch, 7, (uint32_t)p, 0, b->seq + 1,
				b->seq + PER_LANE, b->offset + (int64_t)(i * (PER_LANE / PIECES)),
				s.end_offset - 1};
		r = ladder_push(&b->ladder[p], &s, false) ? err_set(e, ERR_NOMEM, "out of memory")
							  : 0;
	}
	return r ? r : witnessed_commit(b->l, &c, e);
}

static int fill(struct bounded *b, uint64_t commits, struct err *e)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < commits; i++) {
		int64_t start = clock_ns();

		r = ship(b, i, i + 1 == commits, e);
		b->ship_ns += clock_ns() - start;
		start = clock_ns();
		if (r == 0)
			r = witness(b, i, e);
		b->commit_ns += clock_ns() - start;
		b->seq += PER_LANE;
		b->offset += (int64_t)PER_LANE * PRODUCERS;
		b->wall_ns += 150 * NS_PER_MS;
		start = clock_ns();
		if (r == 0 && i % FOLD_EVERY == FOLD_EVERY - 1)
			r = witnessed_fold_outcomes(b->l, b->run.id, 10, e);
		b->fold_ns += clock_ns() - start;
	}
	return r;
}

static int tell(struct bounded *b, struct err *e)
{
	static const char *const table[] = {"witness", "segment", "outcome", "intent", "sample"};
	char sql[200];
	int r = print_size(b, "full_bytes", e);

	printf("messages %" PRIu64 "\nship_ms %" PRId64 "\ncommit_ms %" PRId64 "\nfold_ms %" PRId64
	       "\n",
		b->seq * LANES, b->ship_ns / NS_PER_MS, b->commit_ns / NS_PER_MS,
		b->fold_ns / NS_PER_MS);
	for (size_t i = 0; r == 0 && i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(sql, sizeof(sql), "select count(*) from mqaudit.%s", table[i]);
		r = print_number(b, table[i], sql, e);
		snprintf(sql, sizeof(sql), "select pg_total_relation_size('mqaudit.%s')", table[i]);
		printf("  bytes of ");
		if (r == 0)
			r = print_number(b, table[i], sql, e);
	}
	/* nothing was lost or doubled by all the folding */
	if (r == 0)
		r = print_number(b, "acked",
			"select sum(hi - lo + 1)::int8 from mqaudit.outcome where outcome = "
			"'acked'",
			e);
	if (r == 0)
		r = print_number(
			b, "witnessed", "select sum(hi - lo + 1)::int8 from mqaudit.witness", e);
	if (r == 0)
		r = print_number(
			b, "intended", "select sum(hi - lo + 1)::int8 from mqaudit.intent", e);
	if (r == 0)
		r = print_number(b, "distinct",
			"select sum(mqaudit.card(s))::int8 from (select range_agg(int8range(lo, "
			"hi, '[]')) as s "
			"from mqaudit.witness group by producer_id, epoch, lane) x",
			e);
	if (r == 0)
		r = print_number(b, "segmented", "select sum(ours)::int8 from mqaudit.segment", e);
	return r;
}

/* A week of samples, one a second from a probe and a checker, is folded to some thousand rows. */
static int fold_week(struct bounded *b, struct err *e)
{
	int r = pg_exec(ledger_pg(b->l),
		"insert into mqaudit.sample (run_id, source, at, seconds, sent, read, p50_ns, p99_ns, max_ns) "
		"select run_id, source, now() - n * interval '1 second', 1, 3, 2, 1000 + n % 7, "
		"case n when 500000 then 77777 else 2000 end, 3000 "
		"from mqaudit.run, (values ('week'), ('more')) v (source), generate_series(1, 604800) n",
		20 * PG_TIMEOUT, e);

	if (r == 0)
		r = witnessed_fold_outcomes(b->l, b->run.id, 10, e);
	if (r == 0)
		r = print_number(b, "week_rows",
			"select count(*) from mqaudit.sample where source in ('week', 'more')", e);
	if (r == 0)
		r = print_number(b, "week_sent",
			"select sum(sent) from mqaudit.sample where source = 'week'", e);
	if (r == 0)
		r = print_number(b, "week_seconds",
			"select round(sum(seconds)) from mqaudit.sample where source = 'more'", e);
	if (r == 0)
		r = print_number(b, "week_p99",
			"select max(p99_ns) from mqaudit.sample where source = 'more'", e);
	if (r == 0)
		r = print_number(b, "week_p50",
			"select round(sum(p50_ns * read)::numeric / sum(read)) from mqaudit.sample "
			"where source = 'week'",
			e);
	return r;
}

int main(int argc, char **argv)
{
	struct bounded b = {0};
	struct err e = {0};
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: bounded COMMITS\n");
		return 2;
	}
	r = prepare(&b, &e);
	if (r == 0)
		r = fill(&b, strtoull(argv[1], NULL, 10), &e);
	if (r == 0)
		r = tell(&b, &e);
	if (r == 0)
		r = fold_week(&b, &e);
	ledger_close(b.l);
	for (int p = 0; p < PARTITIONS; p++)
		ladder_clear(&b.ladder[p]);
	if (r)
		err_print(&e);
	return r ? 3 : 0;
}
