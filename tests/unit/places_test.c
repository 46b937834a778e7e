/* Finding messages again between the first and the last position of a range of their lane. */
#include "checker/places.h"

#include "core/rng.h"
#include "tests/fake_log.h"
#include "tests/unit.h"

#define RECORDS 200000
#define LANES 5
#define PATIENCE (20 * NS_PER_S)

/* The log: lanes that take turns by chance, with holes. */
static uint8_t lane_at[RECORDS]; /* 0: a hole, or the producer id */
static uint32_t seq_at[RECORDS];
static int64_t offset_of[LANES + 1][RECORDS + 1]; /* by seq */
static uint32_t last[LANES + 1];

static bool compose(int64_t offset, struct envelope *env)
{
	env->producer_id = lane_at[offset];
	env->seq = seq_at[offset];
	return lane_at[offset] != 0;
}

/* The first lane is dense, the last has one record in thousands. */
static void make_log(uint64_t seed)
{
	struct rng rng;

	rng_init(&rng, seed);
	memset(last, 0, sizeof(last));
	for (int64_t i = 0; i < RECORDS; i++) {
		uint64_t x = rng_below(&rng, 10000);
		uint8_t lane = x < 200    ? 0
			       : x < 6000 ? 1
			       : x < 9000 ? 2
			       : x < 9980 ? 3
			       : x < 9998 ? 4
					  : 5;

		lane_at[i] = lane;
		seq_at[i] = lane ? ++last[lane] : 0;
		if (lane)
			offset_of[lane][last[lane]] = i;
	}
}

static int fresh(void **state)
{
	(void)state;
	make_log(3);
	fake = (struct fake_log){.run_id = 5,
		.epoch = 1,
		.nonce = 7,
		.high = RECORDS,
		.odd = -1,
		.compose = compose};
	return 0;
}

/* A message's place when its lane is one range, from its first record to its last. */
static struct judged_place place_of(uint32_t lane, uint64_t seq)
{
	int64_t first = offset_of[lane][1], end = offset_of[lane][last[lane]];

	return (struct judged_place){.producer_id = lane,
		.epoch = 1,
		.nonce = 7,
		.seq = seq,
		.from = first + (int64_t)(seq - 1),
		.to = end - (int64_t)(last[lane] - seq),
		.guess = first +
			 (end - first) * (int64_t)(seq - 1) / (last[lane] > 1 ? last[lane] - 1 : 1),
		.offset = JUDGED_NOT_LOOKED};
}

static void find(struct judged_place *p, size_t n, int64_t patience_ns)
{
	struct broker_config config = {0};
	struct places_plan plan = {&fake_ops, &config, BROKER_UNCOMMITTED, 5};
	struct err e;

	assert_int_equal(places_find(&plan, p, n, clock_ns() + patience_ns, &e), 0);
}

static void each_is_found_where_it_is(void **state)
{
	struct rng rng;

	(void)state;
	rng_init(&rng, 11);
	for (int i = 0; i < 300; i++) {
		uint32_t lane = 1 + (uint32_t)rng_below(&rng, LANES);
		struct judged_place p = place_of(lane, 1 + rng_below(&rng, last[lane]));

		find(&p, 1, PATIENCE);
		assert_int_equal(p.offset, offset_of[lane][p.seq]);
	}
}

/* It is searched, from a guess: a dense lane's message costs a few looks, not the way through. */
static void it_is_searched(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct judged_place p = place_of(1, last[1] / 3);

		if (i)
			p.guess = RECORDS - 1; /* wholly wrong */
		fake.starts = fake.given = 0;
		find(&p, 1, PATIENCE);
		assert_int_equal(p.offset, offset_of[1][p.seq]);
		print_message("# %llu looks, %llu records\n", (unsigned long long)fake.starts,
			(unsigned long long)fake.given);
		assert_true(fake.starts <= (i ? 12 : 2));
		assert_true(fake.given <= RECORDS / 20);
	}
}

/* Neighbours are read in one go. */
static void neighbours_are_read_in_one_go(void **state)
{
	struct judged_place p[100];
	uint64_t alone;

	(void)state;
	p[0] = place_of(2, 20000);
	find(p, 1, PATIENCE);
	alone = fake.starts;
	for (size_t i = 0; i < 100; i++)
		p[i] = place_of(2, 20000 + i);
	fake.starts = 0;
	find(p, 100, PATIENCE);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(p[i].offset, offset_of[2][p[i].seq]);
	print_message("# %llu looks for one, %llu for a hundred\n", (unsigned long long)alone,
		(unsigned long long)fake.starts);
	assert_true(fake.starts <= alone + 5);
}

static void what_retention_took_is_gone(void **state)
{
	struct judged_place gone = place_of(3, last[3] / 2), there = place_of(3, last[3] / 2 + 1);

	(void)state;
	fake.low = offset_of[3][gone.seq] + 1;
	find(&gone, 1, PATIENCE);
	find(&there, 1, PATIENCE);
	assert_int_equal(gone.offset, JUDGED_GONE);
	assert_int_equal(there.offset, offset_of[3][there.seq]);
	/* all of its stretch */
	gone = place_of(3, 5);
	gone.to = gone.from + 100;
	find(&gone, 1, PATIENCE);
	assert_int_equal(gone.offset, JUDGED_GONE);
}

static void what_compaction_took_is_gone(void **state)
{
	struct judged_place p[3];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		p[i] = place_of(4, 100 + i);
	lane_at[offset_of[4][101]] = 0;
	find(p, 3, PATIENCE);
	assert_int_equal(p[0].offset, offset_of[4][100]);
	assert_int_equal(p[1].offset, JUDGED_GONE);
	assert_int_equal(p[2].offset, offset_of[4][102]);
}

/* Another start of the same producer is another lane. */
static void it_must_be_the_same_start(void **state)
{
	struct judged_place p = place_of(1, 500);

	(void)state;
	p.nonce = 8;
	p.from = offset_of[1][400];
	p.to = offset_of[1][600];
	find(&p, 1, PATIENCE);
	assert_int_equal(p.offset, JUDGED_GONE);
}

static void the_time_is_bounded(void **state)
{
	struct judged_place p[2] = {place_of(1, 500), place_of(1, 600)};
	int64_t start_ns = clock_ns();

	(void)state;
	fake.away = true;
	find(p, 2, 200 * NS_PER_MS);
	assert_true(clock_ns() - start_ns < 2 * NS_PER_S);
	assert_int_equal(p[0].offset, JUDGED_NOT_LOOKED);
	assert_int_equal(p[1].offset, JUDGED_NOT_LOOKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_is_found_where_it_is, fresh),
		cmocka_unit_test_setup(it_is_searched, fresh),
		cmocka_unit_test_setup(neighbours_are_read_in_one_go, fresh),
		cmocka_unit_test_setup(what_retention_took_is_gone, fresh),
		cmocka_unit_test_setup(what_compaction_took_is_gone, fresh),
		cmocka_unit_test_setup(it_must_be_the_same_start, fresh),
		cmocka_unit_test_setup(the_time_is_bounded, fresh),
	};

	return cmocka_run_group_tests_name("places", tests, NULL, NULL);
}
