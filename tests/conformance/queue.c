/* Reading takes away what was read: numbers, settling, what is given again, emptiness, other consumers. */
#include "tests/conformance/conformance.h"

#define QUIET_NS (500 * NS_PER_MS) /* nothing more comes */

static void start(struct fixture *f, struct broker_reader *r, int64_t offset)
{
	if (f->ops->reader_start(r, 0, offset, &f->e))
		fail_msg("reader_start(): %s", f->e.msg);
}

static void settle(struct fixture *f, struct broker_reader *r, int64_t offset)
{
	int64_t begin = clock_ns();

	if (f->ops->reader_settle(r, 0, offset, &f->e))
		fail_msg("reader_settle(): %s", f->e.msg);
	assert_within(begin, 0, "reader_settle()");
}

static void fill(struct fixture *f, size_t n)
{
	struct broker_producer *p = open_producer(f);

	deliver(f, p, add_messages(f, n, 100), n);
	close_producer(f, p);
}

/*
 * Take up to max messages, numbered from next on, each noted; flagged as redelivered or not. Ends when nothing came
 * for a while.
 */
static size_t take(
	struct fixture *f, struct broker_reader *r, size_t max, int64_t next, bool redelivered)
{
	int64_t deadline = clock_ns() + PATIENCE_NS, quiet = clock_ns() + PATIENCE_NS;
	size_t taken = 0;

	while (taken < max && clock_ns() < deadline && clock_ns() < quiet) {
		struct broker_message got[64];
		size_t room = max - taken < 64 ? max - taken : 64;
		size_t n = f->ops->reader_read(r, got, room, 100);

		for (size_t i = 0; i < n; i++) {
			if (got[i].item == BROKER_READ_ERROR || got[i].item == BROKER_OUT_OF_RANGE)
				fail_msg("reading ends: %s", got[i].text ? got[i].text : "?");
			if (got[i].item != BROKER_MESSAGE)
				continue;
			assert_int_equal(got[i].offset, next + (int64_t)taken++);
			assert_non_null(note_read(f, &got[i]));
			assert_int_equal(got[i].redelivered, redelivered);
			assert_true(got[i].deliveries_before >= -1);
			if (got[i].deliveries_before >= 0)
				assert_int_equal(got[i].deliveries_before > 0, redelivered);
			quiet = clock_ns() + PATIENCE_NS;
		}
		f->ops->reader_release(r, got, n);
	}
	return taken;
}

static void assert_quiet(struct fixture *f, struct broker_reader *r)
{
	int64_t offset;

	assert_int_equal(read_offsets(f, r, &offset, 1, QUIET_NS), 0);
}

static bool is_empty(struct fixture *f, struct broker_reader *r)
{
	int64_t begin = clock_ns();
	bool empty;

	if (f->ops->reader_is_empty(r, 0, &empty, &f->e))
		fail_msg("reader_is_empty(): %s", f->e.msg);
	assert_within(begin, f->config.timeout_ns, "reader_is_empty()");
	return empty;
}

/* A consumer that is gone may be counted for a moment. */
static void start_when_free(struct fixture *f, struct broker_reader *r, int64_t offset)
{
	int64_t deadline = clock_ns() + PATIENCE_NS;
	int ret;

	while ((ret = f->ops->reader_start(r, 0, offset, &f->e)) == ERR_EXISTS &&
		clock_ns() < deadline)
		clock_sleep_ns(20 * NS_PER_MS);
	if (ret)
		fail_msg("reader_start(): %s", f->e.msg);
}

static void numbers(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);

	fill(f, 300);
	start(f, r, 1000);
	assert_int_equal(take(f, r, 300, 1000, false), 300);
	assert_quiet(f, r);
	settle(f, r, 1300);
	/* the numbers go on */
	fill(f, 10);
	assert_int_equal(take(f, r, 10, 1300, false), 10);
	assert_stored(f, false);
	assert_stored_in_order(f);
}

/* k of n are settled: the next reader is given exactly the others, flagged. */
static void settled_is_gone(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);

	fill(f, 100);
	start(f, r, 0);
	assert_int_equal(take(f, r, 100, 0, false), 100);
	settle(f, r, 40);
	close_reader(f, r);
	for (size_t i = 0; i < 100; i++)
		f->message[i].n_copies = 0;
	r = open_reader(f, BROKER_UNCOMMITTED);
	start_when_free(f, r, 500);
	assert_int_equal(take(f, r, 60, 500, true), 60);
	assert_quiet(f, r);
	for (size_t i = 0; i < 100; i++)
		if (f->message[i].n_copies != (i < 40 ? 0u : 1u))
			fail_msg("message %zu, %ssettled, is given %u times afterwards", i,
				i < 40 ? "" : "not ", f->message[i].n_copies);
}

static void all_settled(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);

	fill(f, 100);
	start(f, r, 0);
	assert_int_equal(take(f, r, 100, 0, false), 100);
	settle(f, r, 100);
	/* and closed at once: what was settled is settled */
	close_reader(f, r);
	r = open_reader(f, BROKER_UNCOMMITTED);
	start_when_free(f, r, 0);
	assert_quiet(f, r);
	assert_true(is_empty(f, r));
	assert_true(is_empty(f, r));
}

/* Settling the same again, what lies below, and what was not given yet, does no harm. */
static void settled_again(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);

	fill(f, 50);
	start(f, r, 0);
	settle(f, r, 0);
	assert_int_equal(take(f, r, 50, 0, false), 50);
	settle(f, r, 0);
	settle(f, r, 30);
	settle(f, r, 30);
	settle(f, r, 10);
	settle(f, r, 50);
	settle(f, r, 50);
	fill(f, 50);
	assert_int_equal(take(f, r, 50, 50, false), 50);
	settle(f, r, 100);
	assert_quiet(f, r);
	assert_true(is_empty(f, r));
}

/* What only the library was given, and the caller never read, comes to the next reader as well. */
static void unread_is_given_again(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t next = 0, deadline = clock_ns() + PATIENCE_NS;

	fill(f, 500);
	start(f, r, 0);
	assert_int_equal(take(f, r, 10, 0, false), 10);
	settle(f, r, 10);
	close_reader(f, r);
	r = open_reader(f, BROKER_UNCOMMITTED);
	start_when_free(f, r, 0);
	while (next < 490 && clock_ns() < deadline) {
		struct broker_message got[64];
		size_t n = f->ops->reader_read(r, got, 64, 100);

		for (size_t i = 0; i < n; i++) {
			if (got[i].item != BROKER_MESSAGE)
				continue;
			assert_int_equal(got[i].offset, next++);
			note_read(f, &got[i]);
		}
		f->ops->reader_release(r, got, n);
		settle(f, r, next);
	}
	assert_int_equal(next, 490);
	assert_quiet(f, r);
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(f->message[i].n_copies, 1);
}

static void empty(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);

	start(f, r, 0);
	assert_true(is_empty(f, r));
	fill(f, 20);
	assert_int_equal(take(f, r, 20, 0, false), 20);
	/* held unsettled by this reader: does not count */
	assert_true(is_empty(f, r));
	settle(f, r, 20);
	assert_true(is_empty(f, r));
	assert_quiet(f, r);
}

/* More in the queue than a reader may hold: not empty, and what that question took is given in its turn. */
static void not_empty(struct fixture *f)
{
	struct broker_reader *r;
	size_t taken = 0;

	fill(f, 100);
	set_property(f, f->suite->prefetch, "10");
	r = open_reader(f, BROKER_UNCOMMITTED);
	start(f, r, 0);
	assert_int_equal(take(f, r, 5, 0, false), 5);
	for (int i = 0; i < 3; i++)
		assert_false(is_empty(f, r));
	/* never more than it may hold, and those three, before something is settled */
	taken = 5;
	settle(f, r, 5);
	while (taken < 100) {
		size_t n = take(f, r, 1, (int64_t)taken, false);

		assert_int_equal(n, 1);
		taken += n;
		settle(f, r, (int64_t)taken);
	}
	assert_quiet(f, r);
	assert_true(is_empty(f, r));
	assert_stored(f, false);
}

static void exclusive(struct fixture *f)
{
	struct broker_reader *a = open_reader(f, BROKER_UNCOMMITTED);
	struct broker_reader *b = open_reader(f, BROKER_UNCOMMITTED);

	start(f, a, 0);
	assert_error(
		f, f->ops->reader_start(b, 0, 0, &f->e), ERR_EXISTS, "a second reader_start()");
	/* it took nothing, and the first goes on */
	fill(f, 20);
	assert_int_equal(take(f, a, 20, 0, false), 20);
	settle(f, a, 20);
	close_reader(f, a);
	/* now it is the other's turn */
	start_when_free(f, b, 100);
	fill(f, 20);
	assert_int_equal(take(f, b, 20, 100, false), 20);
}

static void look(struct fixture *f, uint64_t *ready, uint64_t *consumers)
{
	int64_t begin = clock_ns();

	if (f->ops->queue_look(&f->config, ready, consumers, &f->e))
		fail_msg("queue_look(): %s", f->e.msg);
	assert_within(begin, f->config.timeout_ns, "queue_look()");
}

/* Both are hints that may come late. */
static bool looks_like(struct fixture *f, uint64_t want_ready, uint64_t want_consumers)
{
	int64_t deadline = clock_ns() + 20 * NS_PER_S;
	uint64_t ready, consumers;

	for (;;) {
		look(f, &ready, &consumers);
		if (ready == want_ready && consumers == want_consumers)
			return true;
		if (clock_ns() >= deadline) {
			print_message("# %lu ready, %lu consumers\n", (unsigned long)ready,
				(unsigned long)consumers);
			return false;
		}
		clock_sleep_ns(50 * NS_PER_MS);
	}
}

static void looked_at(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);

	assert_true(looks_like(f, 0, 0));
	fill(f, 100);
	assert_true(looks_like(f, 100, 0));
	start(f, r, 0);
	assert_int_equal(take(f, r, 100, 0, false), 100);
	assert_true(looks_like(f, 0, 1));
	settle(f, r, 30);
	close_reader(f, r);
	assert_true(looks_like(f, 70, 0));
}

/* Asking takes nothing away, flags nothing, and counts as no consumer. */
static void asked_and_untouched(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	uint64_t ready, consumers;

	fill(f, 20);
	for (int i = 0; i < 5; i++) {
		struct broker_topic topic;

		ask_topic(f, &topic);
		broker_topic_free(&topic);
		look(f, &ready, &consumers);
		assert_int_equal(consumers, 0);
	}
	start(f, r, 0);
	assert_int_equal(take(f, r, 20, 0, false), 20);
	assert_quiet(f, r);
}

static void looked_for(struct fixture *f)
{
	uint64_t ready, consumers;

	assert_error(f, f->ops->queue_look(&f->config, &ready, &consumers, &f->e), ERR_NOTFOUND,
		"queue_look() of a missing queue");
}

static void missing_queue(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t begin = clock_ns();

	assert_error(f, f->ops->reader_start(r, 0, 0, &f->e), ERR_NOTFOUND,
		"reader_start() of a missing queue");
	assert_within(begin, f->config.timeout_ns, "reader_start()");
	/* and it was not made by that */
	assert_true(is_gone(f));
}

const struct test queue_tests[] = {
	{"a queue's messages are numbered from where the reader starts", numbers, BROKER_CAP_QUEUE,
		0},
	{"what was settled is gone, the rest is given again, flagged", settled_is_gone,
		BROKER_CAP_QUEUE, 0},
	{"settled and closed at once: all is gone, the queue is empty", all_settled,
		BROKER_CAP_QUEUE, 0},
	{"settling again does no harm", settled_again, BROKER_CAP_QUEUE, 0},
	{"what the reader held and nobody read is given again", unread_is_given_again,
		BROKER_CAP_QUEUE, 0},
	{"an empty queue is empty, whatever its reader holds", empty, BROKER_CAP_QUEUE, 0},
	{"a queue that holds more is not empty, and nothing is lost by asking", not_empty,
		BROKER_CAP_QUEUE, NEED_PREFETCH},
	{"reading a queue is exclusive", exclusive, BROKER_CAP_QUEUE, 0},
	{"a look tells what is ready, and how many consume", looked_at, BROKER_CAP_QUEUE, 0},
	{"asked about, a queue stays as it is", asked_and_untouched, BROKER_CAP_QUEUE, 0},
	{"a missing queue cannot be looked at", looked_for, BROKER_CAP_QUEUE, NEED_NO_DESTINATION},
	{"a missing queue cannot be read", missing_queue, BROKER_CAP_QUEUE, NEED_NO_DESTINATION},
	{NULL, NULL, 0, 0},
};
