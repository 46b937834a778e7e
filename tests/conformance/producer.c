/* Sending to a healthy broker: each message has one outcome, and what it says is true. */
#include "tests/conformance/conformance.h"

#include <pthread.h>
#include <stdatomic.h>

#define ACKED (1u << OUTCOME_ACKED)
#define MIB ((size_t)1 << 20)

static void one_outcome_each(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	struct message *m = add_messages(f, 5000, 100);
	uint64_t out_of_order = 0;

	deliver(f, p, m, 5000);
	/* nothing comes late, and nothing twice */
	assert_int_equal(poll_once(f, p, 300), 0);
	assert_outcomes(m, 5000, ACKED);
	assert_int_equal(f->ops->producer_fatal(p, &f->e), 0);
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, false);
	assert_stored_in_order(f);
	for (size_t i = f->suite->partitions; i < 5000; i++)
		out_of_order += m[i].outcome_at < m[i - f->suite->partitions].outcome_at;
	print_message("# %lu of 5000 outcomes came before that of the message sent before it\n",
		(unsigned long)out_of_order);
}

static void lone_messages(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);

	for (int i = 0; i < 20; i++)
		deliver(f, p, add_messages(f, 1, 100), 1);
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, false);
	assert_stored_in_order(f);
}

/* Read from the start of partition 0, in order, comparing every byte. */
static void compare_all(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t deadline = clock_ns() + PATIENCE_NS;
	size_t at = 0;

	assert_int_equal(f->ops->reader_start(r, 0, 0, &f->e), 0);
	while (at < f->n_messages && clock_ns() < deadline) {
		struct broker_message got[16];
		size_t n = f->ops->reader_read(r, got, 16, 100);

		for (size_t i = 0; i < n; i++) {
			const struct message *m = &f->message[at];

			if (got[i].item != BROKER_MESSAGE)
				continue;
			assert_true(at < f->n_messages);
			if (got[i].len != m->len ||
				(m->len && memcmp(got[i].payload, m->payload, m->len) != 0))
				fail_msg("payload %zu, of %zu bytes, is read as %zu others", at,
					m->len, got[i].len);
			if ((f->suite->caps & BROKER_CAP_KEYS) &&
				((m->key == NULL) != (got[i].key == NULL) ||
					got[i].key_len != m->key_len ||
					(m->key_len &&
						memcmp(got[i].key, m->key, m->key_len) != 0)))
				fail_msg("key %zu, of %zu bytes, is read as %zu others", at,
					m->key_len, got[i].key_len);
			at++;
		}
		f->ops->reader_release(r, got, n);
		if (n && (f->suite->caps & BROKER_CAP_QUEUE))
			assert_int_equal(f->ops->reader_settle(r, 0, (int64_t)at, &f->e), 0);
	}
	assert_int_equal(at, f->n_messages);
}

static void payloads(struct fixture *f)
{
	static const size_t sizes[] = {0, 1, 2, 63, 64, 65, 255, 256, 1000, 4095, 4096, 65535,
		131072, 131073, 500000, MIB - 1, MIB};
	struct broker_producer *p = open_producer(f);
	uint8_t *bytes = malloc(MIB);

	assert_non_null(bytes);
	/* all values, and every offset of them against any word */
	for (size_t i = 0; i < MIB; i++)
		bytes[i] = (uint8_t)(i + i / 256);
	for (size_t i = 0; i < N_OF(sizes); i++)
		add_message(f, bytes, sizes[i], NULL, 0);
	memset(bytes, 0, 300);
	add_message(f, bytes, 300, NULL, 0);
	memset(bytes, 0xff, 300);
	add_message(f, bytes, 300, NULL, 0);
	free(bytes);
	deliver(f, p, f->message, f->n_messages);
	compare_all(f);
}

static void keys(struct fixture *f)
{
	static const size_t sizes[] = {0, 1, 7, 255, 256, 4000};
	struct broker_producer *p = open_producer(f);
	uint8_t bytes[4000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	add_message(f, "none", 4, NULL, 0);
	for (size_t i = 0; i < N_OF(sizes); i++)
		add_message(f, "payload", 7, bytes, sizes[i]);
	add_message(f, NULL, 0, "key", 3);
	send_all(f, p, f->message, f->n_messages);
	/* keys are copied: they are not needed any longer */
	for (size_t i = 0; i < f->n_messages; i++) {
		uint8_t *old = f->message[i].key;

		if (!old)
			continue;
		f->message[i].key = malloc(f->message[i].key_len + 1);
		assert_non_null(f->message[i].key);
		memcpy(f->message[i].key, old, f->message[i].key_len);
		memset(old, 0xee, f->message[i].key_len);
		free(old);
	}
	poll_all(f, p, f->message, f->n_messages, PATIENCE_NS);
	assert_outcomes(f->message, f->n_messages, ACKED);
	compare_all(f);
}

/* One that is too large between others: they are delivered, and it is not. */
static void too_large(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	struct message *large;

	add_messages(f, 5, 100);
	large = add_messages(f, 1, f->suite->too_large);
	large->partition = 0;
	add_messages(f, 5, 100);
	send_all(f, p, f->message, 11);
	poll_all(f, p, f->message, 11, PATIENCE_NS);
	assert_outcomes(f->message, 11, ACKED | 1u << OUTCOME_REFUSED);
	assert_true(large->refused_locally || large->outcome == OUTCOME_REFUSED);
	for (size_t i = 0; i < 11; i++)
		if (&f->message[i] != large && f->message[i].outcome != OUTCOME_ACKED)
			fail_msg("message %zu, beside one that is too large, is %s", i,
				outcome_text(f->message[i].outcome));
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, false);
}

static void capacity(struct fixture *f)
{
	struct broker_producer *p;
	struct message *m = add_messages(f, 600, 100);
	size_t limit, taken = 0;

	set_property(f, f->suite->capacity, "200");
	p = open_producer(f);
	limit = f->ops->producer_capacity(p);
	assert_int_equal(limit, 200);
	/* the user chose it: it is what is worth having outstanding, too */
	assert_int_equal(f->ops->producer_window(p, 100, f->suite->partitions), limit);
	for (int i = 0; i < 20; i++) {
		taken += send_once(f, p, m, 600);
		assert_true(taken <= limit);
		clock_sleep_ns(20 * NS_PER_MS);
	}
	assert_true(taken > 0);
	/* there is room again after outcomes */
	poll_all(f, p, m, 600, PATIENCE_NS);
	assert_true(send_once(f, p, m, 600) > 0);
	deliver(f, p, m, 600);
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, false);
}

static void window(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	size_t limit = f->ops->producer_capacity(p);

	assert_true(limit > 0);
	for (size_t size = 1; size <= MIB; size *= 4) {
		size_t w = f->ops->producer_window(p, size, f->suite->partitions);

		assert_true(w > 0 && w <= limit);
	}
}

static void unconfirmed(struct fixture *f)
{
	struct message *m = add_messages(f, 500, 100);
	int64_t deadline = clock_ns() + PATIENCE_NS;
	struct broker_producer *p;

	/* each partition has a leader that takes something: nobody would say so */
	read_all(f, BROKER_UNCOMMITTED);
	set_pair(f, f->suite->unconfirmed);
	p = open_producer(f);
	send_all(f, p, m, 500);
	poll_all(f, p, m, 500, PATIENCE_NS);
	assert_outcomes(m, 500, 1u << OUTCOME_UNCONFIRMED);
	/*
	 * The fence is acked nevertheless: it brings settings of its own. It may overtake what nobody confirmed,
	 * on its other connection; but nothing gets lost while nothing fails.
	 */
	for (;;) {
		size_t there = 0;

		for (size_t i = 0; i < 500 && (f->suite->caps & BROKER_CAP_POSITIONS); i++)
			m[i].n_copies = 0;
		read_all(f, BROKER_UNCOMMITTED);
		for (size_t i = 0; i < 500; i++)
			there += m[i].n_copies > 0;
		if (there == 500 || clock_ns() >= deadline)
			break;
	}
	assert_stored(f, false);
}

static void refused(struct fixture *f)
{
	struct message *m = add_messages(f, 50, 100);
	struct broker_producer *p;

	for (size_t i = 0; i < f->suite->refuse.n; i++)
		set_pair(f, f->suite->refuse.item[i]);
	f->config.props = f->props;
	p = open_producer(f);
	send_all(f, p, m, 50);
	poll_all(f, p, m, 50, PATIENCE_NS);
	assert_outcomes(m, 50, 1u << OUTCOME_REFUSED);
	assert_int_equal(poll_once(f, p, 300), 0);
	/* where the destination itself refuses, it would refuse a fence too */
	if (f->suite->refuse_create.n > 0)
		return;
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, false);
}

#define SECRET "Xk29-nobody-may-read-this"

static void find_secret(void *arg, const char *name, const char *value)
{
	size_t *n = arg;

	(*n)++;
	if (strstr(value, SECRET))
		fail_msg("the value of '%s' is told", name);
}

static void no_secret(struct fixture *f)
{
	struct broker_producer *p;
	size_t n = 0;

	set_property(f, f->suite->secret, SECRET);
	p = open_producer(f);
	f->ops->producer_settings(p, find_secret, &n);
	assert_true(n > 0);
}

struct wanted {
	const char *name;
	char value[100];
};

static void find_wanted(void *arg, const char *name, const char *value)
{
	struct wanted *w = arg;

	assert_non_null(value);
	if (strcmp(name, w->name) == 0)
		snprintf(w->value, sizeof(w->value), "%s", value);
}

static void effective_settings(struct fixture *f)
{
	struct wanted w = {.name = f->suite->capacity};

	f->ops->producer_settings(open_producer(f), find_wanted, &w);
	assert_string_not_equal(w.value, "");
	set_property(f, f->suite->capacity, "4321");
	f->ops->producer_settings(open_producer(f), find_wanted, &w);
	assert_string_equal(w.value, "4321");
}

static void healthy(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	int64_t deadline = clock_ns() + PATIENCE_NS;
	struct broker_health h = {0};
	struct broker_node node[8];
	struct broker_topic topic;
	size_t n;

	do {
		deliver(f, p, add_messages(f, 10, 100), 10);
		poll_once(f, p, 100);
		f->ops->producer_health(p, &h);
	} while (h.snapshots < 3 && clock_ns() < deadline);
	assert_true(h.snapshots >= 3);
	assert_true(h.connects > 0);
	assert_int_equal(h.disconnects, 0);
	assert_int_equal(h.retries, 0);
	assert_int_equal(h.timeouts, 0);
	assert_int_equal(h.changes, 0);
	assert_string_equal(h.last_error, "");
	/* and it was connected to nodes of the cluster */
	n = f->ops->producer_nodes(p, node, 8);
	assert_in_range(n, 1, 8);
	ask_topic(f, &topic);
	for (size_t i = 0; i < n; i++) {
		bool known = false;

		for (size_t j = 0; j < topic.n_nodes; j++)
			known = known || (topic.node[j].id == node[i].id &&
						 topic.node[j].port == node[i].port &&
						 strcmp(topic.node[j].host, node[i].host) == 0);
		if (!known)
			fail_msg("connected to node %d, %s:%d, which topic() does not know",
				node[i].id, node[i].host, node[i].port);
	}
	broker_topic_free(&topic);
	assert_true(f->ops->producer_nodes(p, node, 0) == 0);
}

static void poll_waits(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);
	int64_t start;

	deliver(f, p, add_messages(f, 10, 100), 10);
	for (int i = 0; i < 100; i++)
		assert_int_equal(poll_once(f, p, 0), 0);
	start = clock_ns();
	/* what happens to connections may wake it; it is no busy loop */
	for (int i = 0; i < 10; i++)
		assert_int_equal(poll_once(f, p, 100), 0);
	if (clock_ns() - start < 200 * NS_PER_MS)
		fail_msg("ten polls of 100 ms ended after %.3f s with nothing to tell",
			(double)(clock_ns() - start) / NS_PER_S);
}

static void purge_nothing(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);

	f->ops->producer_purge(p);
	assert_int_equal(poll_once(f, p, 100), 0);
	deliver(f, p, add_messages(f, 10, 100), 10);
	f->ops->producer_purge(p);
	assert_int_equal(poll_once(f, p, 100), 0);
	f->ops->producer_close(NULL);
}

/* ---- two threads ------------------------------------------------------------------------------- */

struct sender {
	struct fixture *f;
	struct broker_producer *p;
	struct message *m;
	size_t n;
	_Atomic size_t sent;
	_Atomic bool give_up;
	int64_t slowest_ns;
	bool strange;
};

/* No assertions here: they are for the test's own thread. */
static void *send_all_alone(void *arg)
{
	struct sender *s = arg;
	size_t at = 0;

	while (at < s->n && !atomic_load(&s->give_up)) {
		struct broker_send send = {.payload = s->m[at].payload,
			.len = s->m[at].len,
			.tag = &s->m[at],
			.taken = (enum broker_taken)99};
		int64_t start = clock_ns();
		size_t n = s->f->ops->producer_send(s->p, s->m[at].partition, &send, 1);

		if (clock_ns() - start > s->slowest_ns)
			s->slowest_ns = clock_ns() - start;
		if ((n == 1) != (send.taken == BROKER_TAKEN) ||
			(n == 0 && send.taken != BROKER_QUEUE_FULL))
			s->strange = true;
		if (n == 0) {
			clock_sleep_ns(NS_PER_MS);
			continue;
		}
		at++;
		atomic_store(&s->sent, at);
	}
	return NULL;
}

static void two_threads(struct fixture *f)
{
	struct sender s = {.f = f, .p = open_producer(f), .n = 20000};
	int64_t deadline = clock_ns() + PATIENCE_NS;
	struct broker_health h;
	pthread_t t;

	s.m = add_messages(f, s.n, 100);
	assert_int_equal(pthread_create(&t, NULL, send_all_alone, &s), 0);
	while (f->n_outcomes < s.n && clock_ns() < deadline) {
		poll_once(f, s.p, 50);
		f->ops->producer_health(s.p, &h);
	}
	atomic_store(&s.give_up, true);
	pthread_join(t, NULL);
	assert_int_equal(atomic_load(&s.sent), s.n);
	assert_false(s.strange);
	if (s.slowest_ns > SLACK_NS)
		fail_msg("producer_send() took %.3f s", (double)s.slowest_ns / NS_PER_S);
	for (size_t i = 0; i < s.n; i++)
		s.m[i].taken = true;
	assert_outcomes(s.m, s.n, ACKED);
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, false);
	assert_stored_in_order(f);
}

static void two_producers(struct fixture *f)
{
	struct broker_producer *a = open_producer(f), *b = open_producer(f);
	struct message *m = add_messages(f, 2000, 100);

	send_all(f, a, m, 1000);
	send_all(f, b, m + 1000, 1000);
	poll_all(f, a, m, 1000, PATIENCE_NS);
	assert_int_equal(count_outcome(m, 1000, OUTCOME_ACKED), 1000);
	poll_all(f, b, m + 1000, 1000, PATIENCE_NS);
	assert_outcomes(m, 2000, ACKED);
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, false);
}

const struct test producer_tests[] = {
	{"each message has one outcome, acked, and is stored once, in order", one_outcome_each, 0,
		0},
	{"messages one by one", lone_messages, 0, 0},
	{"payloads of 0 bytes to 1 MiB, of all byte values", payloads, 0, 0},
	{"keys, empty, long and none", keys, BROKER_CAP_KEYS, 0},
	{"what is too large is refused, and what is beside it delivered", too_large, 0,
		NEED_TOO_LARGE},
	{"never more outstanding than the capacity, nothing taken behind a full queue", capacity, 0,
		NEED_CAPACITY},
	{"the window is within the capacity", window, 0, 0},
	{"without confirmation: unconfirmed, without an offset", unconfirmed, 0, NEED_UNCONFIRMED},
	{"what the broker refuses is refused", refused, 0, NEED_REFUSE},
	{"settings tell no secret", no_secret, 0, NEED_SECRET},
	{"settings are the effective ones", effective_settings, 0, NEED_CAPACITY},
	{"healthy: only connects, to nodes of the cluster", healthy, 0, 0},
	{"polling waits for its timeout, and no longer", poll_waits, 0, 0},
	{"a purge of nothing gives no outcome", purge_nothing, 0, 0},
	{"one thread sends, one polls", two_threads, 0, 0},
	{"two producers at once", two_producers, 0, 0},
	{NULL, NULL, 0, 0},
};
