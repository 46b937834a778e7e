/* The recorder: rows and what they have in common, and when it is full. */
#include "checker/recorder.h"

#include "core/rng.h"
#include "tests/unit.h"

static struct recorder c;

static int fresh(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	return 0;
}

static int clean(void **state)
{
	(void)state;
	recorder_release(&c);
	return 0;
}

static void add(int32_t partition, int64_t offset, const struct envelope *env, int32_t generation,
	enum tracker_kind kind)
{
	struct broker_message m = {.partition = partition, .offset = offset, .len = 100};

	assert_int_equal(recorder_add(&c, &m, kind, env, generation, 5), 0);
}

static void only_messages_of_ours_are_noted(void **state)
{
	struct envelope env = {.producer_id = 1, .epoch = 2, .nonce = 3, .partition = 4, .seq = 9};
	struct message_batch b;

	(void)state;
	add(0, 0, &env, 1, TRACKED_FIRST);
	add(0, 1, &env, 1, TRACKED_FENCE);
	add(0, 2, &env, 1, TRACKED_FOREIGN);
	add(0, 3, &env, 1, TRACKED_CORRUPTED_UNNAMED);
	add(0, 4, &env, 1, TRACKED_CORRUPTED);
	add(0, 5, &env, 1, TRACKED_LATE);
	add(0, 6, &env, 1, TRACKED_REPEAT);
	b = recorder_batch(&c);
	assert_int_equal(b.n_rows, 4);
	assert_int_equal(b.n_groups, 1);
	assert_int_equal(b.group[0].n, 4);
	assert_int_equal(b.row[1].offset, 4);
	assert_int_equal(b.row[3].seq, 9);
	assert_int_equal(b.row[3].size, 100);
	assert_int_equal(b.row[3].received_wall_ns, 5);
}

/* Each row's group says what the row's message said, whichever came in between; and no two say the same. */
static void every_row_finds_its_group(void **state)
{
	enum { N = 60000 };
	static struct envelope env[N];
	static int32_t partition[N], generation[N];
	struct rng rng;
	struct message_batch b;
	uint64_t n = 0;

	(void)state;
	rng_init(&rng, 7);
	for (int i = 0; i < N; i++) {
		env[i] = (struct envelope){.producer_id = (uint32_t)rng_below(&rng, 3),
			.epoch = (uint32_t)rng_below(&rng, 3),
			.nonce = (uint32_t)rng_below(&rng, 3),
			.partition = (uint32_t)rng_below(&rng, 3),
			.attempt = (uint16_t)rng_below(&rng, 3),
			.seq = rng_below(&rng, 1000)};
		partition[i] = (int32_t)rng_below(&rng, 3);
		generation[i] = (int32_t)rng_below(&rng, 3);
		add(partition[i], i, &env[i], generation[i], TRACKED_FIRST);
	}
	b = recorder_batch(&c);
	assert_int_equal(b.n_rows, N);
	assert_int_equal(b.n_groups, 3 * 3 * 3 * 3 * 3 * 3 * 3);
	for (int i = 0; i < N; i++) {
		const struct message_group *g = &b.group[b.row[i].group];

		assert_int_equal(g->producer_id, env[i].producer_id);
		assert_int_equal(g->epoch, env[i].epoch);
		assert_int_equal(g->nonce, env[i].nonce);
		assert_int_equal(g->lane, env[i].partition);
		assert_int_equal(g->attempt, env[i].attempt);
		assert_int_equal(g->partition, partition[i]);
		assert_int_equal(g->generation, generation[i]);
		assert_true(g->first_seq <= env[i].seq && env[i].seq <= g->last_seq);
	}
	for (size_t i = 0; i < b.n_groups; i++)
		n += b.group[i].n;
	assert_int_equal(n, N);
}

static void what_is_handed_over_is_forgotten(void **state)
{
	struct envelope env = {.producer_id = 1, .seq = 1};
	struct recorder other = {0};

	(void)state;
	add(0, 0, &env, 1, TRACKED_FIRST);
	recorder_swap(&c, &other);
	assert_int_equal(recorder_batch(&c).n_rows, 0);
	assert_int_equal(recorder_batch(&other).n_rows, 1);
	recorder_clear(&other);
	recorder_swap(&c, &other);
	env.producer_id = 2;
	add(3, 0, &env, 1, TRACKED_FIRST);
	assert_int_equal(recorder_batch(&c).n_groups, 1);
	assert_int_equal(recorder_batch(&c).group[0].producer_id, 2);
	assert_int_equal(recorder_batch(&c).group[0].n, 1);
	recorder_release(&other);
}

static void it_is_full_of_rows_or_of_groups(void **state)
{
	struct envelope env = {.producer_id = 1};
	int64_t n = 0;

	(void)state;
	while (!recorder_is_full(&c)) {
		env.seq++;
		add(0, n++, &env, 1, TRACKED_FIRST);
	}
	assert_in_range(n * (int64_t)sizeof(struct message_row), RECORDER_BYTES - 100,
		RECORDER_BYTES + 100);
	recorder_clear(&c);
	assert_false(recorder_is_full(&c));
	for (n = 0; !recorder_is_full(&c); n++) {
		env.nonce = (uint32_t)n;
		add(0, n, &env, 1, TRACKED_FIRST);
	}
	assert_int_equal(recorder_batch(&c).n_groups, n);
	assert_true((size_t)n * (sizeof(struct message_row) + sizeof(struct message_group)) <
		    RECORDER_BYTES + 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_messages_of_ours_are_noted, fresh, clean),
		cmocka_unit_test_setup_teardown(every_row_finds_its_group, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_handed_over_is_forgotten, fresh, clean),
		cmocka_unit_test_setup_teardown(it_is_full_of_rows_or_of_groups, fresh, clean),
	};

	return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
