/*
 * A node is frozen, killed, or cut off from its clients: no call blocks beyond what it promises, each message
 * gets its one outcome, and what that says is true afterwards.
 */
#include "tests/conformance/conformance.h"

#define CLOSE_NS (5 * NS_PER_S)
#define FROZEN_NS (2 * NS_PER_S) /* of trying to send to a frozen broker */
#define ASK_NS (1 * NS_PER_S)    /* how long a question to a frozen broker may take */
#define AFTER_FAULT (1u << OUTCOME_ACKED | 1u << OUTCOME_UNKNOWN | 1u << OUTCOME_REFUSED)

/* Sends what there is room for, and polls; assertions on how long each call takes are in there. */
static void try_sending(
	struct fixture *f, struct broker_producer *p, struct message *m, size_t n, int64_t for_ns)
{
	int64_t end = clock_ns() + for_ns;

	while (clock_ns() < end) {
		send_once(f, p, m, n);
		poll_once(f, p, 50);
	}
}

static void tell(const char *when, const struct message *m, size_t n)
{
	size_t taken = 0;

	for (size_t i = 0; i < n; i++)
		taken += m[i].taken;
	print_message("# %s: %zu taken, %zu acked, %zu unknown, %zu refused\n", when, taken,
		count_outcome(m, n, OUTCOME_ACKED), count_outcome(m, n, OUTCOME_UNKNOWN),
		count_outcome(m, n, OUTCOME_REFUSED));
}

static void close_in_time(struct fixture *f, struct broker_producer *p)
{
	int64_t start = clock_ns();

	close_producer(f, p);
	assert_within(start, CLOSE_NS, "producer_close()");
}

/* Frozen with much outstanding: a purge gives each its outcome, though nobody answers. */
static void frozen_purge(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	struct message *m;
	int64_t start;

	deliver(f, p, add_messages(f, 100, 1000), 100);
	fault(f, "freeze");
	m = add_messages(f, 20000, 1000);
	try_sending(f, p, m, 20000, FROZEN_NS);
	start = clock_ns();
	f->ops->producer_purge(p);
	assert_within(start, 0, "producer_purge()");
	poll_all(f, p, m, 20000, 10 * NS_PER_S);
	assert_outcomes(m, 20000, AFTER_FAULT);
	tell("frozen", m, 20000);
	assert_true(count_outcome(m, 20000, OUTCOME_UNKNOWN) > 0);
	assert_int_equal(poll_once(f, p, 100), 0);
	close_in_time(f, p);
	heal(f);
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, true);
}

static void frozen_close(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);

	deliver(f, p, add_messages(f, 100, 1000), 100);
	fault(f, "freeze");
	try_sending(f, p, add_messages(f, 5000, 1000), 5000, NS_PER_S);
	close_in_time(f, p);
}

/* A producer that was never connected: opened while nobody answers. */
static void frozen_open(struct fixture *f)
{
	struct broker_producer *p;
	struct message *m = add_messages(f, 100, 100);
	int64_t start;

	fault(f, "freeze");
	start = clock_ns();
	p = open_producer(f);
	assert_within(start, 0, "producer_open()");
	try_sending(f, p, m, 100, NS_PER_S);
	f->ops->producer_purge(p);
	poll_all(f, p, m, 100, 10 * NS_PER_S);
	/* nothing of it can have left us */
	assert_int_equal(count_outcome(m, 100, OUTCOME_ACKED), 0);
	close_in_time(f, p);
}

/* Thawed without a purge: sending goes on with the same producer. */
static void frozen_and_thawed(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	struct message *m;

	deliver(f, p, add_messages(f, 100, 1000), 100);
	fault(f, "freeze");
	m = add_messages(f, 2000, 1000);
	try_sending(f, p, m, 2000, FROZEN_NS);
	heal(f);
	poll_all(f, p, m, 2000, RECOVERY_NS);
	assert_outcomes(m, 2000, AFTER_FAULT);
	tell("thawed", m, 2000);
	deliver(f, p, add_messages(f, 100, 1000), 100);
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, true);
}

/* Questions end within their timeout, whatever they say (others may answer in the frozen node's place). */
static void frozen_questions(struct fixture *f)
{
	struct broker_fence fence = {
		.key = "fence", .key_len = 5, .payload = "fence", .len = 5, .acked = true};
	struct broker_topic topic, before;
	uint64_t ready, consumers;
	int64_t start;

	ask_topic(f, &before);
	fault(f, "freeze");
	f->config.timeout_ns = ASK_NS;
	start = clock_ns();
	if (f->ops->topic(&f->config, &topic, &f->e) == 0)
		broker_topic_free(&topic);
	assert_within(start, f->config.timeout_ns, "topic()");
	for (size_t i = 0; f->ops->node_answers && i < before.n_nodes; i++) {
		start = clock_ns();
		err_ignore(f->ops->node_answers(&f->config, &before.node[i], &f->e));
		assert_within(start, f->config.timeout_ns, "node_answers()");
	}
	if (f->suite->caps & BROKER_CAP_QUEUE) {
		start = clock_ns();
		err_ignore(f->ops->queue_look(&f->config, &ready, &consumers, &f->e));
		assert_within(start, f->config.timeout_ns, "queue_look()");
	}
	start = clock_ns();
	if (f->ops->fence(&f->config, &fence, 1, ASK_NS, &f->e) != 0)
		assert_false(fence.acked);
	assert_within(start, ASK_NS, "fence()");
	broker_topic_free(&before);
}

/* ---- killed, cut off --------------------------------------------------------------------------- */

/* Sends at a pace while the fault comes, until it is on and the client has noticed. */
static size_t send_through(struct fixture *f, struct broker_producer *p, const char *verb)
{
	struct background *b = begin_fault(f, verb);
	int64_t deadline = clock_ns() + PATIENCE_NS;
	size_t first = f->n_messages;
	struct broker_health h;

	do {
		struct message *m = add_messages(f, 20, 500);

		send_once(f, p, m, 20);
		poll_once(f, p, 10);
		f->ops->producer_health(p, &h);
		if (f->n_messages - first > 30000)
			break;
	} while ((!fault_is_on(b) || h.disconnects == 0) && clock_ns() < deadline);
	end_begin_fault(b);
	return first;
}

/*
 * The same producer goes on; and where the broker leaves its connection unanswered for ever (a channel of
 * RabbitMQ 3.10.8 to a quorum queue without a leader: rabbitmqctl cannot ask it either), a purge ends what waits
 * there, and a new producer delivers.
 */
static void go_on(struct fixture *f, struct broker_producer *p)
{
	struct message *m = add_messages(f, 100, 500);

	send_all(f, p, m, 100);
	if (!ends_in_time(f, p, m, 100, PATIENCE_NS)) {
		print_message("# the broker leaves the connection unanswered: a new one\n");
		f->ops->producer_purge(p);
		poll_all(f, p, m, 100, 10 * NS_PER_S);
		assert_outcomes(m, 100, AFTER_FAULT);
		close_in_time(f, p);
		p = open_producer(f);
		deliver(f, p, add_messages(f, 100, 500), 100);
	} else {
		assert_outcomes(m, 100, 1u << OUTCOME_ACKED);
	}
	assert_int_equal(f->ops->producer_fatal(p, &f->e), 0);
}

static void survives(struct fixture *f, const char *verb)
{
	struct broker_producer *p = open_producer(f);
	int64_t deadline = clock_ns() + PATIENCE_NS;
	struct broker_health before, h;
	size_t first, n;

	deliver(f, p, add_messages(f, 1000, 500), 1000);
	f->ops->producer_health(p, &before);
	assert_int_equal(before.disconnects, 0);
	first = send_through(f, p, verb);
	n = f->n_messages - first;
	do {
		poll_once(f, p, 100);
		f->ops->producer_health(p, &h);
	} while (h.disconnects == 0 && clock_ns() < deadline);
	assert_true(h.disconnects > 0);
	assert_true(h.changes > before.changes);
	assert_string_not_equal(h.last_error, "");
	print_message("# noticed: %s\n", h.last_error);
	heal(f);
	poll_all(f, p, &f->message[first], n, RECOVERY_NS);
	assert_outcomes(&f->message[first], n, AFTER_FAULT);
	tell(verb, &f->message[first], n);
	go_on(f, p);
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, true);
}

static void killed(struct fixture *f)
{
	survives(f, "kill");
}

static void cut(struct fixture *f)
{
	survives(f, "cut");
}

/* ---- readers ----------------------------------------------------------------------------------- */

static int64_t next_after(const int64_t *offset, size_t n)
{
	return n ? offset[n - 1] + 1 : 0;
}

static void frozen_reader(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	int64_t offset[100], start, low, high;
	struct broker_reader *r;

	f->config.timeout_ns = ASK_NS;
	r = open_reader(f, BROKER_UNCOMMITTED);
	deliver(f, p, add_messages(f, 100 * f->suite->partitions, 100), 100 * f->suite->partitions);
	assert_int_equal(f->ops->reader_start(r, 0, 0, &f->e), 0);
	assert_int_equal(read_offsets(f, r, offset, 100, PATIENCE_NS), 100);
	fault(f, "freeze");
	/* each call is measured in there */
	assert_int_equal(read_offsets(f, r, offset, 100, 2 * NS_PER_S), 0);
	if (f->suite->caps & BROKER_CAP_QUEUE) {
		start = clock_ns();
		err_ignore(f->ops->reader_settle(r, 0, next_after(offset, 100), &f->e));
		assert_within(start, 0, "reader_settle()");
	}
	if (f->suite->caps & BROKER_CAP_POSITIONS) {
		start = clock_ns();
		assert_true(f->ops->reader_bounds(r, 0, &low, &high, &f->e) != 0);
		assert_within(start, ASK_NS, "reader_bounds()");
	}
	start = clock_ns();
	close_reader(f, r);
	assert_within(start, CLOSE_NS, "reader_close()");
}

/* Its connection is lost, and it goes on by itself: nothing is left out, and nothing given twice. */
static void log_reader_goes_on(struct fixture *f, const char *verb)
{
	struct broker_producer *p = open_producer(f);
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	size_t partitions = f->suite->partitions, n;
	int64_t offset[1500], deadline;
	struct broker_health h;

	deliver(f, p, add_messages(f, 1000 * partitions, 100), 1000 * partitions);
	assert_int_equal(f->ops->reader_start(r, 0, 0, &f->e), 0);
	n = read_offsets(f, r, offset, 200, PATIENCE_NS);
	assert_int_equal(n, 200);
	fault(f, verb);
	deadline = clock_ns() + PATIENCE_NS;
	do {
		n += read_offsets(f, r, offset + n, N_OF(offset) - n, 100 * NS_PER_MS);
		f->ops->reader_health(r, &h);
	} while (h.disconnects == 0 && clock_ns() < deadline);
	assert_true(h.disconnects > 0);
	assert_true(h.changes > 0);
	assert_in_range(n, 200, 1000);
	heal(f);
	deliver(f, p, add_messages(f, 500 * partitions, 100), 500 * partitions);
	n += read_offsets(f, r, offset + n, N_OF(offset) - n, RECOVERY_NS);
	assert_int_equal(n, N_OF(offset));
	for (size_t i = 0; i < n; i++)
		if (offset[i] != (int64_t)i)
			fail_msg("%ld is read where %zu comes next", (long)offset[i], i);
}

static void log_reader_cut(struct fixture *f)
{
	log_reader_goes_on(f, "cut");
}

static void log_reader_killed(struct fixture *f)
{
	log_reader_goes_on(f, "kill");
}

/* What it held unsettled is given again, with numbers that go on, flagged; what was settled is not. */
static void queue_reader_cut(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t next = 0, deadline = clock_ns() + RECOVERY_NS;
	struct broker_health h;
	size_t given = 0;
	int64_t offset[100];

	deliver(f, p, add_messages(f, 100, 100), 100);
	assert_int_equal(f->ops->reader_start(r, 0, 0, &f->e), 0);
	assert_int_equal(read_offsets(f, r, offset, 100, PATIENCE_NS), 100);
	fault(f, "cut");
	do {
		assert_int_equal(read_offsets(f, r, offset, 100, 100 * NS_PER_MS), 0);
		f->ops->reader_health(r, &h);
	} while (h.disconnects == 0 && clock_ns() < deadline);
	assert_true(h.disconnects > 0 && h.changes > 0);
	/* of a connection that is gone: over, and no error */
	assert_int_equal(f->ops->reader_settle(r, 0, 50, &f->e), 0);
	heal(f);
	next = 100;
	while (given < 100 && clock_ns() < deadline) {
		struct broker_message got[100];
		size_t n = f->ops->reader_read(r, got, 100, 100);

		for (size_t i = 0; i < n; i++) {
			if (got[i].item != BROKER_MESSAGE)
				continue;
			assert_int_equal(got[i].offset, next++);
			assert_true(got[i].redelivered);
			assert_non_null(note_read(f, &got[i]));
			given++;
		}
		f->ops->reader_release(r, got, n);
	}
	assert_int_equal(given, 100);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(f->message[i].n_copies, 1);
}

const struct test fault_tests[] = {
	{"frozen: no call blocks, a purge gives each message an outcome that is true", frozen_purge,
		0, NEED_HOOK},
	{"frozen: closing with messages outstanding returns", frozen_close, 0, NEED_HOOK},
	{"frozen: a new producer opens, sends nothing and closes", frozen_open, 0, NEED_HOOK},
	{"frozen and thawed: the same producer goes on", frozen_and_thawed, 0, NEED_HOOK},
	{"frozen: questions end within their timeout", frozen_questions, 0, NEED_HOOK},
	{"killed and started: counted, outcomes are true, the producer goes on", killed, 0,
		NEED_HOOK},
	{"cut off: counted, outcomes are true, the producer goes on", cut, 0, NEED_HOOK},
	{"frozen: a reader's calls return in time", frozen_reader, 0, NEED_HOOK},
	{"cut off: a reader of a log goes on where it was", log_reader_cut, BROKER_CAP_POSITIONS,
		NEED_HOOK},
	{"killed and started: a reader of a log goes on where it was", log_reader_killed,
		BROKER_CAP_POSITIONS, NEED_HOOK},
	{"cut off: a reader of a queue is given again what it had not settled", queue_reader_cut,
		BROKER_CAP_QUEUE, NEED_HOOK},
	{NULL, NULL, 0, 0},
};
