/*
 * A witness on a log that no real broker has (tests/fake_log.h), for inconsistent_test.sh: a record
 * that is replaced, as after a cut; one that is another at each read. Then both judges judge.
 *
 *     inconsistent
 *
 * Prints "NAME VALUE" lines.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "checker/judge.h"
#include "checker/witness.h"
#include "core/clock.h"
#include "core/ledger/judged.h"
#include "core/ledger/produced.h"
#include "core/ledger/run.h"
#include "core/log.h"
#include "tests/fake_log.h"

#define MESSAGES 100
#define PATIENCE (20 * NS_PER_S)

struct test {
	struct ledger *l;
	struct run run;
	struct witness *w;
	struct witness_plan plan;
	int64_t start[1];
	struct broker_config config;
};

static int make_run(struct test *t, struct err *e)
{
	struct run_spec spec = {.name = "inconsistent",
		.destination = "kafka://nowhere:1/a",
		.broker = "kafka",
		.promise = "exactly-once,ordered",
		.keys = "none",
		.source_start = t->start,
		.n_source = 1};
	struct produced_start start = {
		.producer_id = 1, .nonce = 7, .host = "h", .boot_id = "b", .pid = 1};
	struct produced_producer producer = {.producer_id = 1,
		.shipment = 1,
		.shipped = 1,
		.end_cause = "finished",
		.journal_state = "complete"};
	struct produced_outcome outcome = {
		.outcome = OUTCOME_ACKED, .node = 1, .lo = 1, .hi = MESSAGES};
	struct produced_lane lane = {0, 0, 1, MESSAGES, 1, 1, MESSAGES};
	struct produced_shipment s = {.producer = &producer,
		.n_producers = 1,
		.outcome = &outcome,
		.n_outcomes = 1,
		.lane = &lane,
		.n_lanes = 1};
	bool made;
	int r = run_make(t->l, &spec, &t->run, &made, e);

	start.run_id = s.run_id = t->run.id;
	if (r == 0)
		r = produced_start(t->l, &start, &producer.epoch, e);
	if (r == 0)
		r = produced_ship(t->l, &s, e);
	fake = (struct fake_log){.run_id = (uint64_t)t->run.id,
		.producer_id = 1,
		.epoch = producer.epoch,
		.nonce = 7,
		.high = MESSAGES,
		.odd = -1};
	return r;
}

static int start_witness(struct test *t, struct err *e)
{
	int64_t deadline_ns = clock_ns() + PATIENCE;
	int r;

	t->plan = (struct witness_plan){.ops = &fake_ops,
		.broker = &t->config,
		.key = {t->run.id, RUN_SOURCE, ISOLATION_UNCOMMITTED},
		.start = t->start,
		.n_partitions = 1,
		.source = "test"};
	r = witness_start(&t->plan, &t->w, e);
	while (r == 0 && witness_committed(t->w, 0) < MESSAGES) {
		if (clock_ns() > deadline_ns)
			return err_set(e, ERR_TIMEOUT, "the log is not read");
		clock_sleep_ns(NS_PER_MS);
	}
	return r;
}

/* Look for cuts, and wait until what was cut is read again. */
static int verify(struct test *t, const char *name, struct err *e)
{
	int64_t deadline_ns = clock_ns() + PATIENCE;
	uint64_t cuts = 0;
	int r = witness_verify(t->w, PATIENCE, &cuts, e);

	if (r == 0)
		printf("%s %" PRIu64 "\n", name, cuts);
	while (r == 0 && witness_committed(t->w, 0) < MESSAGES) {
		if (clock_ns() > deadline_ns)
			return err_set(e, ERR_TIMEOUT, "the log is not read again");
		clock_sleep_ns(NS_PER_MS);
	}
	return r;
}

static int print_finding(const struct judged_finding *f, void *arg, struct err *e)
{
	printf("finding %s %s %" PRId64 " %" PRIu64 "\n", finding_text(f->kind),
		stage_text(f->stage), f->partition, f->count);
	return findings_add(arg, f->kind, f->stage, f->producer_id, f->epoch, f->partition, f->lo,
		       f->hi, f->count)
		       ? err_set(e, ERR_NOMEM, "out of memory")
		       : 0;
}

static int judge(struct test *t, struct err *e)
{
	struct judge_plan plan = {
		.run_id = t->run.id, .complete = true, .source = witness_tracker(t->w)};
	struct findings *sql = findings_new(), *memory = NULL;
	struct judged_verdict verdict = {.verdict = VERDICT_FAIL, .agreed = true};
	struct judged_sums sums;
	char text[600] = "";
	int r = judged_begin(t->l, t->run.id, &plan.judgement, e);

	if (r == 0)
		r = judged_compute(t->l, t->run.id, plan.judgement, true, true, e);
	if (r == 0)
		r = judged_findings(t->l, t->run.id, plan.judgement, print_finding, sql, e);
	if (r == 0)
		r = judge_in_memory(t->l, &plan, &memory, e);
	if (r == 0)
		r = judged_sums(t->l, t->run.id, plan.judgement, &sums, e);
	if (r == 0)
		printf("agreed %d\nsums %d\ndistinct %" PRIu64 "\n",
			findings_equal(memory, "memory", sql, "sql", text, sizeof(text)),
			judged_sums_hold(&sums, text, sizeof(text)), sums.distinct);
	if (r == 0)
		r = judged_finish(t->l, t->run.id, plan.judgement, &verdict, e);
	if (*text)
		fprintf(stderr, "%s\n", text);
	findings_free(sql);
	findings_free(memory);
	return r;
}

static int play(struct test *t, struct err *e)
{
	int r = verify(t, "untouched", e);

	/* replaced once: a cut, and no more */
	fake.odd = MESSAGES - 1;
	if (r == 0)
		r = verify(t, "replaced", e);
	if (r == 0)
		r = verify(t, "replaced_again", e);
	/* another one at each read: a cut first, and inconsistent; it is no anchor any more then */
	fake.flips = true;
	if (r == 0)
		r = verify(t, "flipping", e);
	if (r == 0)
		r = verify(t, "flipping_again", e);
	/* nor for the next checker */
	witness_free(t->w);
	t->w = NULL;
	if (r == 0)
		r = start_witness(t, e);
	if (r == 0)
		r = verify(t, "next_checker", e);
	if (r == 0)
		r = witness_stop(t->w, e);
	return r ? r : judge(t, e);
}

int main(void)
{
	struct test t = {0};
	struct err e = {0};
	int r = ledger_open(NULL, &t.l, &e);

	if (r == 0)
		r = make_run(&t, &e);
	if (r == 0)
		r = start_witness(&t, &e);
	if (r == 0)
		r = play(&t, &e);
	if (r)
		err_print(&e);
	witness_free(t.w);
	ledger_close(t.l);
	return r ? 3 : 0;
}
