/* Transactions: all of it or nothing, for those who read committed. */
#include "tests/conformance/conformance.h"

#define TXN_NS (30 * NS_PER_S)

static void succeeds(struct fixture *f, int r, const char *what)
{
	if (r)
		fail_msg("%s: %s", what, f->e.msg);
}

static struct broker_producer *open_transactional(struct fixture *f)
{
	struct broker_producer *p;

	set_property(f, f->suite->transactional, f->url.name);
	p = open_producer(f);
	succeeds(f, f->ops->txn_init(p, TXN_NS, &f->e), "txn_init()");
	return p;
}

static void end(struct fixture *f, struct broker_producer *p, bool commit)
{
	bool committed = !commit;

	succeeds(f, f->ops->txn_end(p, commit, TXN_NS, &committed, &f->e), "txn_end()");
	assert_int_equal(committed, commit);
}

/* In turn committed and aborted, ten each. */
static void send_transactions(struct fixture *f, struct broker_producer *p, int n)
{
	for (int i = 0; i < n; i++) {
		succeeds(f, f->ops->txn_begin(p, &f->e), "txn_begin()");
		deliver(f, p, add_messages(f, 10, 100), 10);
		end(f, p, i % 2 == 0);
	}
}

static void commit_and_abort(struct fixture *f)
{
	struct broker_producer *p = open_transactional(f);

	send_transactions(f, p, 10);
	close_producer(f, p);
	/* the fence is no part of a transaction: without the name of this producer too */
	props_remove(f->props, f->suite->transactional);
	read_all(f, BROKER_COMMITTED);
	for (size_t i = 0; i < f->n_messages; i++)
		if (f->message[i].n_copies != (i / 10 % 2 == 0 ? 1u : 0u))
			fail_msg("message %zu, %s, is read %u times", i,
				i / 10 % 2 == 0 ? "committed" : "aborted", f->message[i].n_copies);
	for (size_t i = 0; i < f->n_messages; i++)
		f->message[i].n_copies = 0;
	/* what was aborted is in the log */
	read_all(f, BROKER_UNCOMMITTED);
	for (size_t i = 0; i < f->n_messages; i++)
		assert_int_equal(f->message[i].n_copies, 1);
}

/* The fence's client has no transactional name, though its configuration has. */
static void fence_beside(struct fixture *f)
{
	struct broker_producer *p = open_transactional(f);

	succeeds(f, f->ops->txn_begin(p, &f->e), "txn_begin()");
	deliver(f, p, add_messages(f, 10, 100), 10);
	/* uncommitted records are there, fence or not; and this producer is not pushed out by the fence */
	read_all(f, BROKER_UNCOMMITTED);
	end(f, p, true);
	assert_int_equal(f->ops->producer_fatal(p, &f->e), 0);
	for (size_t i = 0; i < f->n_messages; i++)
		assert_int_equal(f->message[i].n_copies, 1);
}

/* A committed reader ends below an open transaction: the last stable offset. */
static void stable_offset(struct fixture *f)
{
	struct broker_producer *p = open_transactional(f);
	struct broker_reader *all = open_reader(f, BROKER_UNCOMMITTED);
	struct broker_reader *committed = open_reader(f, BROKER_COMMITTED);
	int64_t low, high, stable, deadline = clock_ns() + PATIENCE_NS;
	size_t n = 10 * f->suite->partitions;

	succeeds(f, f->ops->txn_begin(p, &f->e), "txn_begin()");
	deliver(f, p, add_messages(f, n, 100), n);
	succeeds(f, f->ops->reader_bounds(all, 0, &low, &high, &f->e), "reader_bounds()");
	succeeds(f, f->ops->reader_bounds(committed, 0, &low, &stable, &f->e), "reader_bounds()");
	assert_int_equal(high, 10);
	assert_int_equal(stable, 0);
	end(f, p, true);
	do {
		succeeds(f, f->ops->reader_bounds(committed, 0, &low, &stable, &f->e),
			"reader_bounds()");
	} while (stable < 10 && clock_ns() < deadline);
	assert_true(stable >= 10);
}

/* A second producer of the same name pushes the first one out: it cannot commit any more. */
static void pushed_out(struct fixture *f)
{
	struct broker_producer *p = open_transactional(f);
	bool committed = true;

	succeeds(f, f->ops->txn_begin(p, &f->e), "txn_begin()");
	deliver(f, p, add_messages(f, 10, 100), 10);
	open_transactional(f);
	assert_true(f->ops->txn_end(p, true, TXN_NS, &committed, &f->e) != 0);
	assert_false(committed);
	assert_int_equal(f->ops->producer_fatal(p, &f->e), ERR_BROKER);
	read_all(f, BROKER_COMMITTED);
	for (size_t i = 0; i < f->n_messages; i++)
		assert_int_equal(f->message[i].n_copies, 0);
}

const struct test transaction_tests[] = {
	{"committed is read, aborted only by those who read all", commit_and_abort,
		BROKER_CAP_TRANSACTIONS | BROKER_CAP_POSITIONS, NEED_TRANSACTIONAL},
	{"a fence beside an open transaction", fence_beside,
		BROKER_CAP_TRANSACTIONS | BROKER_CAP_POSITIONS, NEED_TRANSACTIONAL},
	{"an open transaction holds back the end of what is committed", stable_offset,
		BROKER_CAP_TRANSACTIONS | BROKER_CAP_POSITIONS, NEED_TRANSACTIONAL},
	{"a producer that was pushed out commits nothing", pushed_out,
		BROKER_CAP_TRANSACTIONS | BROKER_CAP_POSITIONS, NEED_TRANSACTIONAL},
	{NULL, NULL, 0, 0},
};
