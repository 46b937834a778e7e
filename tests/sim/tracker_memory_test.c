/*
 * 10^8 clean messages through the tracker, segments taken every 10,000 and folded as the witness
 * does: memory is bounded by lanes, not by messages.
 */
#include <sys/resource.h>

#include "checker/ladder.h"
#include "checker/tracker.h"
#include "core/clock.h"
#include "tests/unit.h"

#define MESSAGES UINT64_C(100000000)
#define PARTITIONS 3
#define PRODUCERS 4
#define SEGMENT 10000
#define MAX_RSS_KIB (64 * 1024)

static long rss_kib(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
	return u.ru_maxrss;
}

/* One partition's next SEGMENT messages: the producers take turns, ten messages each. */
static void feed(struct tracker *t, int32_t partition, uint64_t from)
{
	enum tracker_kind kind;

	for (uint64_t i = from; i < from + SEGMENT; i++) {
		struct tracker_ident ident = {
			(uint32_t)(i / 10 % PRODUCERS) + 1, 1, 99, (uint32_t)partition};
		uint64_t seq = i / (10 * PRODUCERS) * 10 + i % 10 + 1;

		if (tracker_message(t, partition, (int64_t)i, &ident, seq, 0, &kind) ||
			kind != TRACKED_FIRST)
			fail_msg("message %llu is not the first copy in order",
				(unsigned long long)i);
	}
}

static void take(struct tracker *t, struct ladder *l, int32_t partition, uint64_t end)
{
	struct witness_fold fold[LADDER_MAX_FOLDS];
	struct witness_segment step = {0};
	struct tracker_segment s;

	assert_int_equal(tracker_take(t, partition, (int64_t)end, &s), 0);
	assert_int_equal(s.ours, SEGMENT);
	assert_int_equal(s.n_damages, 0);
	/* a run ends where another producer's does not interrupt it: one row a producer */
	assert_int_equal(s.n_runs, PRODUCERS);
	step.segment = (int64_t)(end / SEGMENT);
	step.first_offset = s.first_offset;
	step.end_offset = s.end_offset;
	step.records = SEGMENT;
	assert_int_equal(ladder_push(l, &step, true), 0);
	(void)ladder_fold(l, partition, fold, LADDER_MAX_FOLDS);
	tracker_segment_release(&s);
}

static void a_hundred_million_messages_need_little_memory(void **state)
{
	struct tracker *t = tracker_new(1);
	struct ladder ladder[PARTITIONS] = {0};
	struct tracker_totals sum;
	int64_t start = clock_ns();
	uint64_t n = 0;

	(void)state;
	assert_non_null(t);
	for (uint64_t at = 0; n < MESSAGES; at += SEGMENT) {
		for (int32_t p = 0; p < PARTITIONS; p++, n += SEGMENT) {
			feed(t, p, at);
			take(t, &ladder[p], p, at + SEGMENT);
		}
	}
	tracker_totals(t, &sum);
	assert_int_equal(sum.distinct, n);
	assert_int_equal(sum.extra + sum.reordered + sum.missing, 0);
	print_message(
		"# %llu messages in %.1f s, %ld KiB resident at most, %zu segments a partition\n",
		(unsigned long long)n, (double)(clock_ns() - start) / 1e9, rss_kib(), ladder[0].n);
	assert_true(rss_kib() < MAX_RSS_KIB);
	tracker_free(t);
	for (int32_t p = 0; p < PARTITIONS; p++)
		ladder_clear(&ladder[p]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_million_messages_need_little_memory),
	};

	return cmocka_run_group_tests_name("tracker memory", tests, NULL, NULL);
}
