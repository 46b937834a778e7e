/* Reading by position: from anywhere, again, up to the end, and where there is nothing. */
#include "tests/conformance/conformance.h"

#define N 300 /* messages in partition 0 */

static void fill(struct fixture *f)
{
	size_t n = N * f->suite->partitions;

	deliver(f, open_producer(f), add_messages(f, n, 100), n);
}

static void start(struct fixture *f, struct broker_reader *r, int32_t partition, int64_t offset)
{
	if (f->ops->reader_start(r, partition, offset, &f->e))
		fail_msg("reader_start() at %ld: %s", (long)offset, f->e.msg);
}

static void assert_consecutive(const int64_t *offset, size_t n, int64_t from)
{
	for (size_t i = 0; i < n; i++)
		if (offset[i] != from + (int64_t)i)
			fail_msg("%ld is read where %ld comes next", (long)offset[i],
				(long)from + (long)i);
}

/* Waits for an item of this kind in partition 0; messages and other items are passed over. */
static bool wait_for(struct fixture *f, struct broker_reader *r, enum broker_item item,
	int64_t *ret_offset, int64_t patience_ns)
{
	int64_t deadline = clock_ns() + patience_ns;
	bool found = false;

	while (!found && clock_ns() < deadline) {
		struct broker_message got[64];
		size_t n = f->ops->reader_read(r, got, 64, 100);

		for (size_t i = 0; i < n; i++) {
			if (got[i].item != item || got[i].partition != 0 || found)
				continue;
			*ret_offset = got[i].offset;
			found = true;
		}
		f->ops->reader_release(r, got, n);
	}
	return found;
}

static void from_anywhere(struct fixture *f)
{
	static const int64_t from[] = {0, 1, N / 2, N - 1};
	int64_t offset[N];

	fill(f);
	for (size_t i = 0; i < N_OF(from); i++) {
		struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
		size_t n = (size_t)(N - from[i]);

		start(f, r, 0, from[i]);
		assert_int_equal(read_offsets(f, r, offset, n, PATIENCE_NS), n);
		assert_consecutive(offset, n, from[i]);
		close_reader(f, r);
	}
}

static void small_reader(struct fixture *f)
{
	struct broker_reader *r = NULL;
	int64_t offset[N];

	fill(f);
	assert_int_equal(f->ops->reader_open(&f->config, BROKER_UNCOMMITTED, true, &r, &f->e), 0);
	f->reader[0] = r;
	for (int64_t from = 0; from < N; from += 50) {
		start(f, r, 0, from);
		assert_int_equal(read_offsets(f, r, offset, 1, PATIENCE_NS), 1);
		assert_int_equal(offset[0], from);
	}
}

static void said_of_a_message(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t deadline = clock_ns() + PATIENCE_NS, now_ms = clock_wall_ns() / NS_PER_MS;
	struct broker_topic topic;
	size_t n_read = 0;

	fill(f);
	ask_topic(f, &topic);
	start(f, r, 0, 0);
	while (n_read < N && clock_ns() < deadline) {
		struct broker_message got[64];
		size_t n = f->ops->reader_read(r, got, 64, 100);

		for (size_t i = 0; i < n; i++) {
			bool known = got[i].node == BROKER_NO_NODE;

			if (got[i].item != BROKER_MESSAGE)
				continue;
			for (size_t j = 0; j < topic.n_nodes; j++)
				known = known || topic.node[j].id == got[i].node;
			if (!known)
				fail_msg("read from node %d, which topic() does not know",
					got[i].node);
			if (got[i].stamp_ms)
				assert_in_range(got[i].stamp_ms, now_ms - 60000, now_ms + 600000);
			assert_null(got[i].beside);
			assert_non_null(note_read(f, &got[i]));
			n_read++;
		}
		f->ops->reader_release(r, got, n);
	}
	assert_int_equal(n_read, N);
	broker_topic_free(&topic);
}

static void goes_elsewhere(struct fixture *f)
{
	static const int64_t to[] = {N / 2, 0, N - 10, 17, 17};
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t offset[10];

	fill(f);
	start(f, r, 0, 0);
	assert_int_equal(read_offsets(f, r, offset, 10, PATIENCE_NS), 10);
	for (size_t i = 0; i < N_OF(to); i++) {
		/* what was ready of the old position does not come any more */
		start(f, r, 0, to[i]);
		assert_int_equal(read_offsets(f, r, offset, 10, PATIENCE_NS), 10);
		assert_consecutive(offset, 10, to[i]);
	}
}

static void follows(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	size_t partitions = f->suite->partitions;
	int64_t offset[10];

	start(f, r, 0, 0);
	for (int64_t i = 0; i < 20; i++) {
		deliver(f, p, add_messages(f, 10 * partitions, 100), 10 * partitions);
		assert_int_equal(read_offsets(f, r, offset, 10, PATIENCE_NS), 10);
		assert_consecutive(offset, 10, i * 10);
	}
}

static void stops(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	size_t partitions = f->suite->partitions;
	int64_t offset[N], deadline = clock_ns() + PATIENCE_NS;

	fill(f);
	start(f, r, 0, 0);
	assert_int_equal(read_offsets(f, r, offset, 10, PATIENCE_NS), 10);
	assert_int_equal(f->ops->reader_stop(r, 0, &f->e), 0);
	/* what was under way may come; then nothing does, whatever is written */
	while (read_offsets(f, r, offset, N, 500 * NS_PER_MS) > 0)
		assert_true(clock_ns() < deadline);
	deliver(f, p, add_messages(f, 10 * partitions, 100), 10 * partitions);
	assert_int_equal(read_offsets(f, r, offset, N, NS_PER_S), 0);
	/* once more is nothing, and it can be started again */
	assert_int_equal(f->ops->reader_stop(r, 0, &f->e), 0);
	start(f, r, 0, N);
	assert_int_equal(read_offsets(f, r, offset, 10, PATIENCE_NS), 10);
	assert_consecutive(offset, 10, N);
}

static void says_the_end(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	size_t partitions = f->suite->partitions;
	int64_t end = -1;

	start(f, r, 0, 0);
	assert_true(wait_for(f, r, BROKER_END, &end, PATIENCE_NS));
	assert_int_equal(end, 0);
	deliver(f, p, add_messages(f, 10 * partitions, 100), 10 * partitions);
	do {
		if (!wait_for(f, r, BROKER_END, &end, PATIENCE_NS))
			fail_msg("the end is not said again, behind 10 messages");
	} while (end == 0);
	assert_int_equal(end, 10);
	/* started right there */
	start(f, r, 0, 10);
	assert_true(wait_for(f, r, BROKER_END, &end, PATIENCE_NS));
	assert_int_equal(end, 10);
}

static void has_bounds(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t low = -1, high = -1, begin = clock_ns();

	assert_int_equal(f->ops->reader_bounds(r, 0, &low, &high, &f->e), 0);
	assert_within(begin, f->config.timeout_ns, "reader_bounds()");
	assert_int_equal(low, 0);
	assert_int_equal(high, 0);
	fill(f);
	assert_int_equal(f->ops->reader_bounds(r, 0, &low, &high, &f->e), 0);
	assert_int_equal(low, 0);
	assert_int_equal(high, N);
	/* asked while it reads */
	start(f, r, 0, 0);
	assert_int_equal(f->ops->reader_bounds(r, 0, &low, &high, &f->e), 0);
	assert_int_equal(high, N);
}

static void beyond_the_end(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t offset;

	fill(f);
	start(f, r, 0, N + 100);
	if (!wait_for(f, r, BROKER_OUT_OF_RANGE, &offset, 20 * NS_PER_S))
		fail_msg("100 positions beyond the end, and nobody says so");
	/* and the reader is as good as before */
	start(f, r, 0, N - 1);
	assert_int_equal(read_offsets(f, r, &offset, 1, PATIENCE_NS), 1);
	assert_int_equal(offset, N - 1);
}

static void below_the_start(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t low, high, offset[10];

	fill(f);
	if (!hook(f, "trim", "0", "100")) {
		print_message("# nothing can be trimmed here\n");
		skip();
	}
	assert_int_equal(f->ops->reader_bounds(r, 0, &low, &high, &f->e), 0);
	assert_int_equal(low, 100);
	assert_int_equal(high, N);
	start(f, r, 0, 50);
	assert_true(wait_for(f, r, BROKER_OUT_OF_RANGE, offset, 20 * NS_PER_S));
	start(f, r, 0, low);
	assert_int_equal(read_offsets(f, r, offset, 10, PATIENCE_NS), 10);
	assert_consecutive(offset, 10, low);
}

/* What does not exist: no record comes, and the question for its bounds says so. */
static void reads_nothing(struct fixture *f, int32_t partition)
{
	struct broker_reader *r;
	int64_t low, high, begin, deadline = clock_ns() + 2 * NS_PER_S;

	f->config.timeout_ns = 5 * NS_PER_S;
	r = open_reader(f, BROKER_UNCOMMITTED);
	if (f->ops->reader_start(r, partition, 0, &f->e) != 0)
		assert_string_not_equal(f->e.msg, "");
	while (clock_ns() < deadline) {
		struct broker_message got[16];
		size_t n = f->ops->reader_read(r, got, 16, 100);

		for (size_t i = 0; i < n; i++)
			if (got[i].item == BROKER_MESSAGE)
				fail_msg("a record of what does not exist");
		f->ops->reader_release(r, got, n);
	}
	begin = clock_ns();
	assert_true(f->ops->reader_bounds(r, partition, &low, &high, &f->e) != 0);
	assert_within(begin, f->config.timeout_ns, "reader_bounds()");
	assert_string_not_equal(f->e.msg, "");
}

static void missing_destination(struct fixture *f)
{
	struct broker_topic topic;

	reads_nothing(f, 0);
	/* and it was not made by that */
	assert_error(f, f->ops->topic(&f->config, &topic, &f->e), ERR_NOTFOUND, "topic()");
}

static void missing_partition(struct fixture *f)
{
	reads_nothing(f, (int32_t)f->suite->partitions + 7);
}

static void all_partitions(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t next[64] = {0}, deadline = clock_ns() + PATIENCE_NS;
	size_t partitions = f->suite->partitions, n_read = 0;

	assert_in_range(partitions, 1, 64);
	fill(f);
	for (size_t i = 0; i < partitions; i++)
		start(f, r, (int32_t)i, 0);
	while (n_read < f->n_messages && clock_ns() < deadline) {
		struct broker_message got[64];
		size_t n = f->ops->reader_read(r, got, 64, 100);

		for (size_t i = 0; i < n; i++) {
			if (got[i].item != BROKER_MESSAGE)
				continue;
			assert_int_equal(got[i].offset, next[got[i].partition]++);
			assert_non_null(note_read(f, &got[i]));
			n_read++;
		}
		f->ops->reader_release(r, got, n);
	}
	assert_int_equal(n_read, f->n_messages);
	assert_stored(f, false);
}

/* A small read-ahead bounds what is held ready, and not what is read. */
static void little_ahead(struct fixture *f)
{
	struct broker_reader *r;
	size_t partitions = f->suite->partitions;
	int64_t offset[1000];

	deliver(f, open_producer(f), add_messages(f, 1000 * partitions, 5000), 1000 * partitions);
	f->config.read_ahead = 256 << 10;
	r = open_reader(f, BROKER_UNCOMMITTED);
	start(f, r, 0, 0);
	assert_int_equal(read_offsets(f, r, offset, 1000, PATIENCE_NS), 1000);
	assert_consecutive(offset, 1000, 0);
}

/* Two at once, and neither takes anything away from the other. */
static void two_readers(struct fixture *f)
{
	struct broker_reader *a = open_reader(f, BROKER_UNCOMMITTED);
	struct broker_reader *b = open_reader(f, BROKER_UNCOMMITTED);
	struct broker_health h;
	int64_t offset[N];

	fill(f);
	start(f, a, 0, 0);
	start(f, b, 0, 0);
	assert_int_equal(read_offsets(f, a, offset, N, PATIENCE_NS), N);
	assert_consecutive(offset, N, 0);
	assert_int_equal(read_offsets(f, b, offset, N, PATIENCE_NS), N);
	assert_consecutive(offset, N, 0);
	f->ops->reader_health(a, &h);
	assert_int_equal(h.disconnects, 0);
}

const struct test log_tests[] = {
	{"a log is read from any position", from_anywhere, BROKER_CAP_POSITIONS, 0},
	{"a reader for single records reads them", small_reader, BROKER_CAP_POSITIONS, 0},
	{"what is said of a record is so", said_of_a_message, BROKER_CAP_POSITIONS, 0},
	{"a reader that is started again goes there at once", goes_elsewhere, BROKER_CAP_POSITIONS,
		0},
	{"a reader follows what is written", follows, BROKER_CAP_POSITIONS, 0},
	{"a reader stops, and starts again", stops, BROKER_CAP_POSITIONS, 0},
	{"the end of a log is said, each time it is reached", says_the_end, BROKER_CAP_POSITIONS,
		0},
	{"a log has its first and its next offset", has_bounds, BROKER_CAP_POSITIONS, 0},
	{"beyond the end: out of range", beyond_the_end, BROKER_CAP_POSITIONS, 0},
	{"below the start: out of range", below_the_start, BROKER_CAP_POSITIONS, NEED_HOOK},
	{"a missing destination has no records and no bounds", missing_destination,
		BROKER_CAP_POSITIONS, NEED_NO_DESTINATION},
	{"a missing partition has no records and no bounds", missing_partition,
		BROKER_CAP_POSITIONS | BROKER_CAP_PARTITIONS, 0},
	{"all partitions in one reader", all_partitions, BROKER_CAP_POSITIONS, 0},
	{"a small read-ahead reads all", little_ahead, BROKER_CAP_POSITIONS, 0},
	{"two readers read all, each", two_readers, BROKER_CAP_POSITIONS, 0},
	{NULL, NULL, 0, 0},
};
