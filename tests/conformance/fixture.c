/* What every test of the suite stands on: a destination of its own, faults, messages and what became of them. */
#include "tests/conformance/conformance.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/proc.h"
#include "core/rng.h"

#define MAX_MESSAGES 40000
#define MARK_LEN 16 /* in front of a payload: eight bytes of the test's, eight of its index */
#define BATCH 256
#define OLD_FENCE "fence-"
#define EXIT_NOT_HERE 77
#define HOOK_NS (180 * NS_PER_S)

static void await_recovery(struct fixture *f);

/* ---- limits ------------------------------------------------------------------------------------ */

void assert_within(int64_t start_ns, int64_t limit_ns, const char *what)
{
	int64_t took = clock_ns() - start_ns;

	if (took > limit_ns + SLACK_NS)
		fail_msg("%s took %.3f s; promised: %.3f s", what, (double)took / NS_PER_S,
			(double)limit_ns / NS_PER_S);
}

void assert_error(const struct fixture *f, int r, int expected, const char *what)
{
	if (r != expected)
		fail_msg("%s: %s (\"%s\") instead of %s", what, r ? err_code_text(r) : "success",
			f->e.msg, err_code_text(expected));
	if (f->e.code != r)
		fail_msg("%s: returns %s, and the error object says %s", what, err_code_text(r),
			err_code_text(f->e.code));
	if (!f->e.msg[0])
		fail_msg("%s: an error without a message", what);
	/* a message for people: one line */
	if (strchr(f->e.msg, '\n'))
		fail_msg("%s: more than a line: %s", what, f->e.msg);
}

static void succeeds(const struct fixture *f, int r, const char *what)
{
	if (r)
		fail_msg("%s: %s: %s", what, err_code_text(r), f->e.msg);
}

/* ---- setup ------------------------------------------------------------------------------------- */

static void set_split(struct props *props, const char *pair)
{
	char name[PROPS_NAME_MAX + 1];
	const char *equals = strchr(pair, '=');
	struct err e;

	if (!equals || (size_t)(equals - pair) >= sizeof(name))
		fail_msg("'%s' is not NAME=VALUE", pair);
	snprintf(name, sizeof(name), "%.*s", (int)(equals - pair), pair);
	if (props_set(props, name, equals + 1, &e))
		fail_msg("%s", e.msg);
}

void set_pair(struct fixture *f, const char *pair)
{
	set_split(f->props, pair);
}

void set_property(struct fixture *f, const char *name, const char *value)
{
	succeeds(f, props_set(f->props, name, value, &f->e), "a property");
}

static struct props *list_props(const struct opt_list *a, const struct opt_list *b)
{
	struct props *p = props_new();

	assert_non_null(p);
	for (size_t i = 0; a && i < a->n; i++)
		set_split(p, a->item[i]);
	for (size_t i = 0; b && i < b->n; i++)
		set_split(p, b->item[i]);
	return p;
}

/* name, value, ... NULL: malloc'ed, as are its texts. */
static const char **config_array(struct props *p)
{
	size_t n = props_count(p), at = 0;
	const char **ret = calloc(2 * n + 1, sizeof(*ret));

	assert_non_null(ret);
	for (size_t i = 0; i < n; i++) {
		ret[at++] = strdup(props_name(p, i));
		ret[at++] = strdup(props_value(p, i));
	}
	props_free(p);
	return ret;
}

struct fixture *fixture_new(const struct suite *s, const struct test *t)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->suite = s;
	f->test = t;
	f->ops = s->ops;
	f->url = s->url;
	return f;
}

static void prepare(struct fixture *f)
{
	const struct suite *s = f->suite;
	bool refuse = f->test && (f->test->needs & NEED_REFUSE);

	snprintf(f->url.name, sizeof(f->url.name), "%.200s-%08x", s->url.name,
		(unsigned)rng_system());
	f->home = f->url;
	f->props = list_props(&s->property, NULL);
	f->create_config = config_array(list_props(&s->create, refuse ? &s->refuse_create : NULL));
	f->create = (struct broker_create){
		.partitions = (int)s->partitions,
		.replication = s->replication ? (int)s->replication : -1,
		.config = f->create_config,
	};
	f->config = (struct broker_config){
		.url = &f->url,
		.props = f->props,
		.client_id = "mqaudit-conformance",
		.timeout_ns = 20 * NS_PER_S,
		.stop = &f->stop,
	};
	f->message = calloc(MAX_MESSAGES, sizeof(*f->message));
	assert_non_null(f->message);
}

/* Returns 0, or what making and asking gave. */
static int try_make(struct fixture *f, struct broker_topic *ret)
{
	int64_t deadline = clock_ns() + PATIENCE_NS;
	int r = f->ops->create(&f->config, &f->create, &f->e);

	if (r)
		return r;
	f->made = true;
	/* other nodes may hear of it a little later */
	while ((r = f->ops->topic(&f->config, ret, &f->e)) != 0 && clock_ns() < deadline &&
		(r == ERR_NOTFOUND || r == ERR_BROKER_AWAY))
		clock_sleep_ns(50 * NS_PER_MS);
	return r;
}

void make_destination(struct fixture *f)
{
	struct broker_topic topic;

	succeeds(f, try_make(f, &topic), "the destination");
	assert_int_equal(topic.n_partitions, f->suite->partitions);
	broker_topic_free(&topic);
}

void ask_topic(struct fixture *f, struct broker_topic *ret)
{
	succeeds(f, f->ops->topic(&f->config, ret, &f->e), "topic()");
}

bool is_gone(struct fixture *f)
{
	int64_t deadline = clock_ns() + PATIENCE_NS;

	do {
		struct broker_topic topic;
		int r = f->ops->topic(&f->config, &topic, &f->e);

		if (r == ERR_NOTFOUND)
			return true;
		if (r == 0)
			broker_topic_free(&topic);
		clock_sleep_ns(50 * NS_PER_MS);
	} while (clock_ns() < deadline);
	return false;
}

static void close_handles(struct fixture *f)
{
	for (size_t i = 0; i < MAX_HANDLES; i++) {
		f->ops->producer_close(f->producer[i]);
		if (f->reader[i])
			f->ops->reader_close(f->reader[i]);
		f->producer[i] = NULL;
		f->reader[i] = NULL;
	}
}

static void release(struct fixture *f)
{
	for (size_t i = 0; f->message && i < f->n_messages; i++) {
		free(f->message[i].payload);
		free(f->message[i].key);
	}
	free(f->message);
	for (size_t i = 0; f->create_config && f->create_config[i]; i++)
		free((void *)(uintptr_t)f->create_config[i]);
	free(f->create_config);
	props_free(f->props);
}

int suite_ask_caps(struct suite *s, struct err *e)
{
	struct fixture *f = fixture_new(s, NULL);
	struct broker_topic topic;
	int r;

	if (!f)
		return err_set(e, ERR_NOMEM, "out of memory");
	prepare(f);
	r = try_make(f, &topic);
	if (r == 0) {
		s->caps = topic.caps;
		broker_topic_free(&topic);
	}
	if (f->made && s->ops->destroy && r == 0)
		r = s->ops->destroy(&f->config, &f->e);
	*e = f->e;
	release(f);
	free(f);
	return r;
}

static unsigned missing_needs(const struct suite *s, unsigned needs)
{
	const struct {
		unsigned need;
		bool there;
	} of[] = {
		{NEED_HOOK, s->hook},
		{NEED_CAPACITY, s->capacity},
		{NEED_UNCONFIRMED, s->unconfirmed},
		{NEED_SECRET, s->secret},
		{NEED_EXCHANGE, s->exchange},
		{NEED_TRANSACTIONAL, s->transactional},
		{NEED_PREFETCH, s->prefetch},
		{NEED_TOO_LARGE, s->too_large > 0},
		{NEED_REFUSE, s->refuse.n + s->refuse_create.n > 0},
	};
	unsigned missing = 0;

	for (size_t i = 0; i < N_OF(of); i++)
		if ((needs & of[i].need) && !of[i].there)
			missing |= of[i].need;
	return missing;
}

/* Whoever hangs is named: a call that never returns leaves nobody else to say so. */
static const char *volatile running;

static void on_alarm(int sig)
{
	static const char hangs[] = "# a call does not return, or waiting has no end: ";
	const char *name = running;

	(void)sig;
	if (write(STDERR_FILENO, hangs, sizeof(hangs) - 1) < 0 ||
		write(STDERR_FILENO, name, strlen(name)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
		_exit(4);
	_exit(3);
}

void fixture_run(void **state)
{
	struct fixture *f = *state;
	struct sigaction alarm_action = {.sa_handler = on_alarm};

	if ((f->test->caps & ~f->suite->caps) || missing_needs(f->suite, f->test->needs))
		skip();
	running = f->test->name;
	sigaction(SIGALRM, &alarm_action, NULL);
	alarm(TEST_LIMIT_S);
	prepare(f);
	if (!(f->test->needs & NEED_NO_DESTINATION))
		make_destination(f);
	f->test->run(f);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	int r = 0;

	f->stop = false;
	if (f->faulty)
		(void)hook(f, "heal", NULL, NULL);
	close_handles(f);
	f->url = f->home;
	props_free(f->props);
	f->props = list_props(&f->suite->property, NULL);
	f->config.props = f->props;
	if (f->faulty)
		await_recovery(f);
	if (f->made && f->ops->destroy && (r = f->ops->destroy(&f->config, &f->e)) != 0)
		print_error("# what the test made stays: %s: %s\n", f->url.name, f->e.msg);
	release(f);
	alarm(0);
	free(f);
	return r;
}

/* ---- handles ----------------------------------------------------------------------------------- */

struct broker_producer *open_producer(struct fixture *f)
{
	for (size_t i = 0; i < MAX_HANDLES; i++) {
		if (f->producer[i])
			continue;
		succeeds(f, f->ops->producer_open(&f->config, &f->producer[i], &f->e),
			"producer_open()");
		assert_non_null(f->producer[i]);
		return f->producer[i];
	}
	fail_msg("more producers than a test may have");
	return NULL;
}

void close_producer(struct fixture *f, struct broker_producer *p)
{
	for (size_t i = 0; i < MAX_HANDLES; i++)
		if (f->producer[i] == p)
			f->producer[i] = NULL;
	f->ops->producer_close(p);
}

struct broker_reader *open_reader(struct fixture *f, enum broker_isolation isolation)
{
	for (size_t i = 0; i < MAX_HANDLES; i++) {
		if (f->reader[i])
			continue;
		succeeds(f, f->ops->reader_open(&f->config, isolation, false, &f->reader[i], &f->e),
			"reader_open()");
		assert_non_null(f->reader[i]);
		return f->reader[i];
	}
	fail_msg("more readers than a test may have");
	return NULL;
}

void close_reader(struct fixture *f, struct broker_reader *r)
{
	for (size_t i = 0; i < MAX_HANDLES; i++)
		if (f->reader[i] == r)
			f->reader[i] = NULL;
	f->ops->reader_close(r);
}

/* ---- faults ------------------------------------------------------------------------------------ */

/* Nothing is asserted here: it may run on a thread of its own. Returns the exit code, or -1. */
static int call_hook(struct fixture *f, const char *verb, const char *a, const char *b,
	struct buf *out, struct err *e)
{
	const char *const argv[] = {f->suite->hook, verb, f->home.name, a, a ? b : NULL, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int code = -1;

	spec.argv = argv;
	if (proc_run(&spec, NULL, true, HOOK_NS, out, &code, e))
		return -1;
	return code;
}

static bool check_hook(const char *verb, int code, struct buf *out, const struct err *e)
{
	if (code < 0)
		fail_msg("the hook's %s: %s", verb, e->msg);
	if (code != 0 && code != EXIT_NOT_HERE)
		fail_msg("the hook's %s ends with %d: %s", verb, code, buf_str(out));
	buf_release(out);
	return code == 0;
}

bool hook(struct fixture *f, const char *verb, const char *a, const char *b)
{
	struct buf out;
	int code;

	buf_init(&out, 1 << 20);
	code = call_hook(f, verb, a, b, &out, &f->e);
	return check_hook(verb, code, &out, &f->e);
}

struct background {
	struct fixture *f;
	const char *verb;
	struct buf out;
	struct err e;
	int code;
	pthread_t thread;
	_Atomic bool done;
};

static void *background_hook(void *arg)
{
	struct background *b = arg;

	b->code = call_hook(b->f, b->verb, NULL, NULL, &b->out, &b->e);
	atomic_store(&b->done, true);
	return NULL;
}

struct background *begin_fault(struct fixture *f, const char *verb)
{
	struct background *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->f = f;
	b->verb = verb;
	buf_init(&b->out, 1 << 20);
	f->faulty = true;
	assert_int_equal(pthread_create(&b->thread, NULL, background_hook, b), 0);
	return b;
}

bool fault_is_on(struct background *b)
{
	return atomic_load(&b->done);
}

void end_begin_fault(struct background *b)
{
	struct fixture *f = b->f;
	const char *verb = b->verb;
	bool bit;

	pthread_join(b->thread, NULL);
	bit = check_hook(verb, b->code, &b->out, &b->e);
	free(b);
	if (bit)
		return;
	f->faulty = false;
	print_message("# no %s here\n", verb);
	skip();
}

void fault(struct fixture *f, const char *verb)
{
	f->faulty = true;
	if (hook(f, verb, NULL, NULL))
		return;
	f->faulty = false;
	print_message("# no %s here\n", verb);
	skip();
}

/* A record of ours, which read_all() passes over. */
static int try_fence(struct fixture *f)
{
	struct broker_fence fence = {.key = OLD_FENCE,
		.key_len = strlen(OLD_FENCE),
		.payload = OLD_FENCE,
		.len = strlen(OLD_FENCE)};

	return f->ops->fence(&f->config, &fence, 1, 10 * NS_PER_S, &f->e);
}

static void await_recovery(struct fixture *f)
{
	int64_t deadline = clock_ns() + RECOVERY_NS;
	struct broker_topic topic;

	while (f->ops->topic(&f->config, &topic, &f->e) != 0) {
		if (clock_ns() >= deadline)
			fail_msg("healed, and the destination does not answer: %s", f->e.msg);
		clock_sleep_ns(100 * NS_PER_MS);
	}
	broker_topic_free(&topic);
	/* what tells of a queue may answer before the queue does: it is back when it takes a message */
	while (try_fence(f) != 0)
		if (clock_ns() >= deadline)
			fail_msg("healed, and no fence is acked: %s", f->e.msg);
	f->faulty = false;
}

void heal(struct fixture *f)
{
	if (!hook(f, "heal", NULL, NULL))
		fail_msg("the hook cannot heal");
	await_recovery(f);
}

int listen_silently(uint16_t *ret_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

void go_to_port(struct fixture *f, uint16_t port)
{
	f->url.lab[0] = '\0';
	f->url.n_hosts = 1;
	snprintf(f->url.hosts, sizeof(f->url.hosts), "127.0.0.1:%u", port);
}

/* ---- messages ---------------------------------------------------------------------------------- */

static struct message *next_message(struct fixture *f, size_t len)
{
	struct message *m;

	if (f->n_messages == MAX_MESSAGES)
		fail_msg("more messages than a test may have");
	m = &f->message[f->n_messages++];
	m->len = len;
	/* one byte more, so that an empty payload is a payload too */
	m->payload = malloc(len + 1);
	assert_non_null(m->payload);
	return m;
}

struct message *add_messages(struct fixture *f, size_t n, size_t len)
{
	struct message *first = &f->message[f->n_messages];
	struct rng rng;

	assert_true(len >= MARK_LEN);
	for (size_t i = 0; i < n; i++) {
		uint64_t index = f->n_messages;
		struct message *m = next_message(f, len);

		m->partition = (int32_t)(index % f->suite->partitions);
		rng_init(&rng, index);
		rng_fill(&rng, m->payload, len);
		/* the address is the test's own */
		memcpy(m->payload, f->url.name + strlen(f->url.name) - 8, 8);
		memcpy(m->payload + 8, &index, 8);
	}
	return first;
}

struct message *add_message(
	struct fixture *f, const void *payload, size_t len, const void *key, size_t key_len)
{
	struct message *m = next_message(f, len);

	if (len)
		memcpy(m->payload, payload, len);
	if (key) {
		m->key = malloc(key_len + 1);
		assert_non_null(m->key);
		memcpy(m->key, key, key_len);
		m->key_len = key_len;
	}
	return m;
}

/* ---- sending ----------------------------------------------------------------------------------- */

/* What one call of send says must fit together. */
static void check_taken(const struct broker_send *send, size_t n, size_t taken)
{
	size_t n_taken = 0;
	bool full = false;

	for (size_t i = 0; i < n; i++) {
		switch (send[i].taken) {
		case BROKER_TAKEN:
			n_taken++;
			if (full)
				fail_msg("%zu: taken behind one that was not, of a full queue", i);
			break;
		case BROKER_QUEUE_FULL:
			full = true;
			break;
		case BROKER_REFUSED_LOCALLY:
			if (full)
				fail_msg("%zu: looked at behind a full queue", i);
			if (!send[i].code)
				fail_msg("%zu: refused without a code", i);
			break;
		default:
			fail_msg("%zu: taken is %d", i, (int)send[i].taken);
		}
	}
	assert_int_equal(n_taken, taken);
}

/* The messages of m[0..n-1] that are in the partition of the first, from the first on. */
static size_t one_batch(struct message *m, size_t n, struct message **ret, struct broker_send *send)
{
	size_t at = 0;

	for (size_t i = 0; i < n && at < BATCH; i++) {
		if (m[i].taken || m[i].refused_locally || m[i].partition != m[0].partition)
			continue;
		ret[at] = &m[i];
		send[at++] = (struct broker_send){
			.payload = m[i].payload,
			.len = m[i].len,
			.key = m[i].key,
			.key_len = m[i].key_len,
			.tag = &m[i],
			.taken = (enum broker_taken)99,
		};
	}
	return at;
}

static size_t send_batch(struct fixture *f, struct broker_producer *p, struct message *m, size_t n)
{
	struct broker_send send[BATCH];
	struct message *of[BATCH];
	size_t taken, count = one_batch(m, n, of, send);
	int64_t start = clock_ns();

	taken = f->ops->producer_send(p, m->partition, send, count);
	assert_within(start, 0, "producer_send()");
	check_taken(send, count, taken);
	for (size_t i = 0; i < count; i++) {
		of[i]->taken = send[i].taken == BROKER_TAKEN;
		of[i]->refused_locally = send[i].taken == BROKER_REFUSED_LOCALLY;
	}
	return taken;
}

size_t send_once(struct fixture *f, struct broker_producer *p, struct message *m, size_t n)
{
	size_t taken = 0;

	for (size_t i = 0; i < n; i++) {
		size_t some;

		if (m[i].taken || m[i].refused_locally)
			continue;
		some = send_batch(f, p, &m[i], n - i);
		taken += some;
		if (some == 0 && !m[i].refused_locally)
			break;
	}
	return taken;
}

static size_t without_outcome(const struct message *m, size_t n)
{
	size_t missing = 0;

	for (size_t i = 0; i < n; i++)
		missing += m[i].taken && !m[i].n_outcomes;
	return missing;
}

bool ends_in_time(struct fixture *f, struct broker_producer *p, const struct message *m, size_t n,
	int64_t patience_ns)
{
	int64_t deadline = clock_ns() + patience_ns;

	while (without_outcome(m, n) > 0 && clock_ns() < deadline)
		poll_once(f, p, 100);
	return without_outcome(m, n) == 0;
}

size_t poll_once(struct fixture *f, struct broker_producer *p, int timeout_ms)
{
	struct broker_outcome o[BATCH];
	int64_t start = clock_ns();
	size_t n = f->ops->producer_poll(p, o, BATCH, timeout_ms);

	assert_within(start, timeout_ms * NS_PER_MS, "producer_poll()");
	assert_true(n <= BATCH);
	for (size_t i = 0; i < n; i++) {
		struct message *m = o[i].tag;

		if (m < f->message || m >= f->message + f->n_messages)
			fail_msg("an outcome for %p, which was never sent", o[i].tag);
		m->n_outcomes++;
		m->outcome = o[i].outcome;
		m->offset = o[i].offset;
		m->outcome_at = f->n_outcomes++;
		if (o[i].outcome != OUTCOME_ACKED && o[i].offset != BROKER_NO_OFFSET)
			fail_msg("%s, with an offset", outcome_text(o[i].outcome));
	}
	return n;
}

void send_all(struct fixture *f, struct broker_producer *p, struct message *m, size_t n)
{
	int64_t deadline = clock_ns() + PATIENCE_NS;

	for (size_t i = 0; i < n; i++) {
		while (!m[i].taken && !m[i].refused_locally) {
			if (send_batch(f, p, &m[i], n - i) == 0 && !m[i].refused_locally)
				poll_once(f, p, 10);
			if (clock_ns() >= deadline)
				fail_msg("%zu messages are not taken in time", n - i);
		}
	}
}

void poll_all(struct fixture *f, struct broker_producer *p, const struct message *m, size_t n,
	int64_t patience_ns)
{
	if (!ends_in_time(f, p, m, n, patience_ns))
		fail_msg("%zu of %zu messages have no outcome after %.1f s", without_outcome(m, n),
			n, (double)patience_ns / NS_PER_S);
}

size_t count_outcome(const struct message *m, size_t n, enum outcome o)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += m[i].n_outcomes > 0 && m[i].outcome == o;
	return count;
}

void assert_outcomes(const struct message *m, size_t n, unsigned allowed)
{
	for (size_t i = 0; i < n; i++) {
		if (m[i].n_outcomes != (m[i].taken ? 1u : 0u))
			fail_msg("message %zu, %staken, has %u outcomes", i,
				m[i].taken ? "" : "not ", m[i].n_outcomes);
		if (m[i].taken && !(allowed & 1u << m[i].outcome))
			fail_msg("message %zu is %s", i, outcome_text(m[i].outcome));
	}
}

void deliver(struct fixture *f, struct broker_producer *p, struct message *m, size_t n)
{
	send_all(f, p, m, n);
	poll_all(f, p, m, n, PATIENCE_NS);
	for (size_t i = 0; i < n; i++)
		assert_true(m[i].taken);
	assert_outcomes(m, n, 1u << OUTCOME_ACKED);
}

/* ---- reading ----------------------------------------------------------------------------------- */

struct message *note_read(struct fixture *f, const struct broker_message *got)
{
	struct message *m;
	uint64_t index;

	if (got->len >= strlen(OLD_FENCE) &&
		memcmp(got->payload, OLD_FENCE, strlen(OLD_FENCE)) == 0)
		return NULL;
	if (got->len < MARK_LEN ||
		memcmp(got->payload, f->url.name + strlen(f->url.name) - 8, 8) != 0) {
		f->n_strangers++;
		return NULL;
	}
	memcpy(&index, got->payload + 8, 8);
	if (index >= f->n_messages)
		fail_msg("read: a message of ours that was never made");
	m = &f->message[index];
	if (got->len != m->len || memcmp(got->payload, m->payload, m->len) != 0)
		fail_msg("message %lu is read with other bytes", (unsigned long)index);
	if (got->partition != m->partition)
		fail_msg("message %lu is read in partition %d", (unsigned long)index,
			got->partition);
	if (m->n_copies++ == 0)
		m->first_offset = got->offset;
	return m;
}

struct fences {
	size_t n;
	struct broker_fence *fence;
	char (*text)[40];
	bool *read;
	size_t n_read;
};

static struct fences write_fences(struct fixture *f)
{
	struct fences w = {.n = f->suite->partitions};

	w.fence = calloc(w.n, sizeof(*w.fence));
	w.text = calloc(w.n, sizeof(*w.text));
	w.read = calloc(w.n, sizeof(*w.read));
	assert_true(w.fence && w.text && w.read);
	for (size_t i = 0; i < w.n; i++) {
		snprintf(w.text[i], sizeof(w.text[i]), OLD_FENCE "%zu-%016lx", i,
			(unsigned long)rng_system());
		w.fence[i] = (struct broker_fence){
			.partition = (int32_t)i,
			.key = w.text[i],
			.key_len = strlen(w.text[i]),
			.payload = w.text[i],
			.len = strlen(w.text[i]),
		};
	}
	succeeds(f, f->ops->fence(&f->config, w.fence, w.n, PATIENCE_NS, &f->e), "fence()");
	for (size_t i = 0; i < w.n; i++)
		assert_true(w.fence[i].acked);
	return w;
}

static void free_fences(struct fences *w)
{
	free(w->fence);
	free(w->text);
	free(w->read);
}

static bool heed_fence(struct fences *w, const struct broker_message *got)
{
	const struct broker_fence *f;

	if (got->partition < 0 || (size_t)got->partition >= w->n)
		fail_msg("read in partition %d", got->partition);
	f = &w->fence[got->partition];
	if (got->len != f->len || memcmp(got->payload, f->payload, f->len) != 0)
		return false;
	if (f->offset != BROKER_NO_OFFSET && f->offset != got->offset)
		fail_msg("the fence of partition %d is at %ld, and was acked at %ld",
			got->partition, (long)got->offset, (long)f->offset);
	/* a queue may give it more than once, after a fault */
	if (!w->read[got->partition])
		w->n_read++;
	w->read[got->partition] = true;
	return true;
}

static void start_all(struct fixture *f, struct broker_reader *r, int64_t *next)
{
	for (size_t i = 0; i < f->suite->partitions; i++) {
		int64_t low = 0, high;

		if (f->suite->caps & BROKER_CAP_POSITIONS)
			succeeds(f, f->ops->reader_bounds(r, (int32_t)i, &low, &high, &f->e),
				"reader_bounds()");
		succeeds(f, f->ops->reader_start(r, (int32_t)i, low, &f->e), "reader_start()");
		next[i] = low;
	}
}

static void take_read(
	struct fixture *f, struct fences *w, const struct broker_message *got, int64_t *next)
{
	int64_t *at;

	if (got->item == BROKER_READ_ERROR && !got->fatal)
		return;
	if (got->item == BROKER_READ_ERROR || got->item == BROKER_OUT_OF_RANGE)
		fail_msg("reading ends: %s", got->text ? got->text : "out of range");
	if (got->item == BROKER_END)
		return;
	assert_in_range(got->partition, 0, f->suite->partitions - 1);
	at = &next[got->partition];
	/* transactions leave holes in a log */
	if (got->offset < *at || ((f->suite->caps & BROKER_CAP_QUEUE) && got->offset != *at))
		fail_msg("partition %d: %ld is read where %ld comes next", got->partition,
			(long)got->offset, (long)*at);
	*at = got->offset + 1;
	if (!heed_fence(w, got))
		note_read(f, got);
}

void read_all(struct fixture *f, enum broker_isolation isolation)
{
	int64_t deadline = clock_ns() + PATIENCE_NS;
	struct broker_reader *r = open_reader(f, isolation);
	struct fences w = write_fences(f);
	int64_t *next = calloc(w.n, sizeof(*next));

	assert_non_null(next);
	start_all(f, r, next);
	while (w.n_read < w.n) {
		struct broker_message got[BATCH];
		size_t n = f->ops->reader_read(r, got, BATCH, 200);

		for (size_t i = 0; i < n; i++)
			take_read(f, &w, &got[i], next);
		f->ops->reader_release(r, got, n);
		for (size_t i = 0; n && (f->suite->caps & BROKER_CAP_QUEUE) && i < w.n; i++)
			succeeds(f, f->ops->reader_settle(r, (int32_t)i, next[i], &f->e),
				"reader_settle()");
		if (clock_ns() >= deadline)
			fail_msg("%zu of %zu fences are not read in time", w.n - w.n_read, w.n);
	}
	close_reader(f, r);
	free(next);
	free_fences(&w);
}

void assert_stored(struct fixture *f, bool repeats)
{
	for (size_t i = 0; i < f->n_messages; i++) {
		const struct message *m = &f->message[i];
		const char *what = m->taken ? outcome_text(m->outcome) : "not taken";
		bool promised = m->taken &&
				(m->outcome == OUTCOME_ACKED || m->outcome == OUTCOME_UNCONFIRMED);
		bool denied = !m->taken || m->outcome == OUTCOME_REFUSED;

		if (promised && m->n_copies == 0)
			fail_msg("message %zu was %s, and is not there", i, what);
		if (denied && m->n_copies > 0)
			fail_msg("message %zu was %s, and is there", i, what);
		if (!repeats && m->n_copies > 1)
			fail_msg("message %zu is there %u times", i, m->n_copies);
		if (promised && !repeats && m->offset != BROKER_NO_OFFSET &&
			m->offset != m->first_offset)
			fail_msg("message %zu was acked at %ld, and is at %ld", i, (long)m->offset,
				(long)m->first_offset);
	}
	if (f->n_strangers)
		fail_msg("%zu messages were read that nobody sent", f->n_strangers);
}

void assert_stored_in_order(struct fixture *f)
{
	size_t partitions = f->suite->partitions;
	int64_t *last = malloc(partitions * sizeof(*last));

	assert_non_null(last);
	for (size_t i = 0; i < partitions; i++)
		last[i] = -1;
	for (size_t i = 0; i < f->n_messages; i++) {
		const struct message *m = &f->message[i];

		if (m->n_copies && m->first_offset <= last[m->partition])
			fail_msg(
				"message %zu of partition %d lies before one that was sent before it",
				i, m->partition);
		if (m->n_copies)
			last[m->partition] = m->first_offset;
	}
	free(last);
}

size_t read_offsets(
	struct fixture *f, struct broker_reader *r, int64_t *ret, size_t n, int64_t patience_ns)
{
	int64_t deadline = clock_ns() + patience_ns;
	size_t at = 0;

	while (at < n && clock_ns() < deadline) {
		struct broker_message got[BATCH];
		int64_t start = clock_ns();
		size_t max = n - at < BATCH ? n - at : BATCH;
		size_t some = f->ops->reader_read(r, got, max, 100);

		assert_within(start, 100 * NS_PER_MS, "reader_read()");
		assert_true(some <= max);
		for (size_t i = 0; i < some; i++)
			if (got[i].item == BROKER_MESSAGE)
				ret[at++] = got[i].offset;
		f->ops->reader_release(r, got, some);
	}
	return at;
}
