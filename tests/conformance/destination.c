/* What a destination is: asked for, made, removed; and what happens where there is none, or nobody answers. */
#include "tests/conformance/conformance.h"

#include <pthread.h>
#include <unistd.h>

#define AWAY_NS (1 * NS_PER_S)
#define SOON_NS (5 * NS_PER_S) /* "within a few seconds" */
#define CLOSED_PORT 1          /* nothing of this machine listens there */

/* ---- what does not need a broker --------------------------------------------------------------- */

static void has_texts(struct fixture *f)
{
	assert_non_null(f->ops->library());
	assert_true(strlen(f->ops->library()) > 0);
	assert_non_null(f->ops->code_text(0));
	assert_non_null(f->ops->code_text(-1));
	assert_non_null(f->ops->code_text(999999));
	assert_ptr_equal(broker_find(f->ops->scheme), f->ops);
	for (size_t i = 0; f->ops->schemes[i]; i++)
		assert_ptr_equal(broker_find(f->ops->schemes[i]), f->ops);
}

static void unknown_property(struct fixture *f)
{
	struct broker_producer *p = NULL;
	int r;

	set_property(f, "no.such.property", "the-value-of-it");
	r = f->ops->producer_open(&f->config, &p, &f->e);
	assert_error(f, r, ERR_USAGE, "producer_open() with an unknown property");
	assert_contains(f->e.msg, "no.such.property");
	assert_not_contains(f->e.msg, "the-value-of-it");
}

/* ---- missing, there, gone ---------------------------------------------------------------------- */

static void missing(struct fixture *f)
{
	struct broker_topic topic;
	int64_t start = clock_ns();

	assert_error(f, f->ops->topic(&f->config, &topic, &f->e), ERR_NOTFOUND, "topic()");
	assert_within(start, f->config.timeout_ns, "topic()");
	assert_contains(f->e.msg, f->url.name);
	/* asking makes nothing: it is still missing */
	assert_error(f, f->ops->topic(&f->config, &topic, &f->e), ERR_NOTFOUND, "topic() again");
}

static void destroy_missing(struct fixture *f)
{
	if (!f->ops->destroy)
		skip();
	assert_error(f, f->ops->destroy(&f->config, &f->e), ERR_NOTFOUND, "destroy()");
}

static void described(struct fixture *f)
{
	unsigned caps = f->suite->caps;
	struct broker_topic topic;

	ask_topic(f, &topic);
	assert_int_equal(topic.n_partitions, f->suite->partitions);
	for (size_t i = 0; i < topic.n_partitions; i++)
		assert_int_equal(topic.partition[i].id, i);
	assert_true(topic.n_nodes > 0);
	for (size_t i = 0; i < topic.n_nodes; i++) {
		assert_true(topic.node[i].host[0] != '\0');
		assert_in_range(topic.node[i].port, 1, 65535);
	}
	assert_int_equal(topic.caps, caps);
	assert_int_equal(caps & ~f->ops->caps, 0);
	/* read by position, or taken away by reading: one of them */
	assert_true(!(caps & BROKER_CAP_POSITIONS) != !(caps & BROKER_CAP_QUEUE));
	assert_true((caps & BROKER_CAP_PARTITIONS) || topic.n_partitions == 1);
	assert_true(memchr(topic.kind, '\0', sizeof(topic.kind)) != NULL);
	print_message("# kind '%s', capabilities 0x%x, library %s\n", topic.kind, caps,
		f->ops->library());
	broker_topic_free(&topic);
	assert_int_equal(topic.n_partitions, 0);
}

static void made_twice(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);

	deliver(f, p, add_messages(f, 10, 100), 10);
	assert_error(f, f->ops->create(&f->config, &f->create, &f->e), ERR_EXISTS, "create()");
	assert_contains(f->e.msg, f->url.name);
	/* and what is in it is untouched */
	read_all(f, BROKER_UNCOMMITTED);
	assert_stored(f, false);
}

static void made_anew_is_empty(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);

	if (!f->ops->destroy)
		skip();
	deliver(f, p, add_messages(f, 10, 100), 10);
	close_producer(f, p);
	assert_int_equal(f->ops->destroy(&f->config, &f->e), 0);
	f->made = false;
	assert_true(is_gone(f));
	make_destination(f);
	read_all(f, BROKER_UNCOMMITTED);
	for (size_t i = 0; i < f->n_messages; i++)
		assert_int_equal(f->message[i].n_copies, 0);
}

static void nodes_answer(struct fixture *f)
{
	struct broker_node closed = {.id = 1, .host = "127.0.0.1", .port = CLOSED_PORT};
	struct broker_topic topic;

	if (!f->ops->node_answers)
		skip();
	ask_topic(f, &topic);
	for (size_t i = 0; i < topic.n_nodes; i++)
		if (f->ops->node_answers(&f->config, &topic.node[i], &f->e))
			fail_msg("%s", f->e.msg);
	broker_topic_free(&topic);
	f->config.timeout_ns = AWAY_NS;
	assert_error(f, f->ops->node_answers(&f->config, &closed, &f->e), ERR_BROKER_AWAY,
		"node_answers() of a closed port");
}

static void no_live_groups(struct fixture *f)
{
	char names[100] = "x";
	int n = -1;

	if (!f->ops->live_groups)
		skip();
	assert_int_equal(f->ops->live_groups(&f->config, names, sizeof(names), &n, &f->e), 0);
	assert_int_equal(n, 0);
	assert_string_equal(names, "");
}

/* ---- settings ---------------------------------------------------------------------------------- */

struct seen {
	size_t n;
	const char *name; /* looked for */
	char value[256];
	bool found;
};

static void see(void *arg, const char *name, const char *value)
{
	struct seen *s = arg;

	s->n++;
	if (!s->name || strcmp(name, s->name) != 0)
		return;
	s->found = true;
	snprintf(s->value, sizeof(s->value), "%s", value);
}

static void see_described(
	void *arg, int32_t node, const char *name, const char *value, enum broker_origin origin)
{
	assert_int_equal(node, BROKER_NO_NODE);
	assert_in_range(origin, 0, BROKER_ORIGIN_N - 1);
	see(arg, name, value);
}

static void settings_of_destination(struct fixture *f)
{
	struct seen seen = {.name = f->create_config[0]}, described = seen;

	if (!f->ops->topic_settings)
		skip();
	assert_int_equal(f->ops->topic_settings(&f->config, see, &seen, &f->e), 0);
	assert_true(seen.n > 0);
	/* what it was made with is told */
	if (seen.name) {
		assert_true(seen.found);
		assert_string_equal(seen.value, f->create_config[1]);
	}
	assert_int_equal(
		f->ops->describe(&f->config, NULL, 0, see_described, &described, &f->e), 0);
	assert_int_equal(described.n, seen.n);
	assert_string_equal(described.value, seen.value);
}

static void settings_of_client(struct fixture *f)
{
	const char *names[] = {f->suite->capacity, "no.such.property", NULL};
	struct seen seen = {.name = f->suite->capacity};
	const char *bad = "x";

	set_property(f, f->suite->capacity, "123");
	assert_int_equal(f->ops->client_settings(
				 f->props, BROKER_CLIENT_PRODUCER, names, see, &seen, &bad, &f->e),
		0);
	assert_null(bad);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.value, "123");
	assert_true(f->ops->client_knows(f->suite->capacity));
	assert_false(f->ops->client_knows("no.such.property"));
	set_property(f, "no.such.property", "1");
	assert_error(f,
		f->ops->client_settings(
			f->props, BROKER_CLIENT_PRODUCER, names, see, &seen, &bad, &f->e),
		ERR_USAGE, "client_settings() with an unknown property");
	assert_string_equal(bad, "no.such.property");
}

/* ---- nobody there, nobody answers -------------------------------------------------------------- */

static int try_fence(struct fixture *f, int64_t timeout_ns)
{
	struct broker_fence fence = {
		.key = "fence", .key_len = 5, .payload = "fence", .len = 5, .acked = true};
	int r = f->ops->fence(&f->config, &fence, 1, timeout_ns, &f->e);

	assert_false(fence.acked);
	assert_int_equal(fence.offset, BROKER_NO_OFFSET);
	return r;
}

static int try_look(struct fixture *f)
{
	uint64_t ready, consumers;

	return f->ops->queue_look(&f->config, &ready, &consumers, &f->e);
}

static int try_topic(struct fixture *f)
{
	struct broker_topic topic;

	return f->ops->topic(&f->config, &topic, &f->e);
}

static int try_create(struct fixture *f)
{
	return f->ops->create(&f->config, &f->create, &f->e);
}

static int try_bounds(struct fixture *f)
{
	struct broker_reader *r = open_reader(f, BROKER_UNCOMMITTED);
	int64_t low, high;
	int ret = f->ops->reader_bounds(r, 0, &low, &high, &f->e);

	close_reader(f, r);
	return ret;
}

struct call {
	const char *what;
	int (*run)(struct fixture *f);
	unsigned caps;
};

static const struct call calls[] = {{"topic()", try_topic, 0}, {"create()", try_create, 0},
	{"reader_bounds()", try_bounds, BROKER_CAP_POSITIONS},
	{"queue_look()", try_look, BROKER_CAP_QUEUE}};

static void all_away(struct fixture *f)
{
	int64_t start;

	f->config.timeout_ns = AWAY_NS;
	for (size_t i = 0; i < N_OF(calls); i++) {
		if (calls[i].caps & ~f->suite->caps)
			continue;
		start = clock_ns();
		assert_error(f, calls[i].run(f), ERR_BROKER_AWAY, calls[i].what);
		assert_within(start, AWAY_NS, calls[i].what);
	}
	start = clock_ns();
	if (try_fence(f, AWAY_NS) == 0)
		fail_msg("a fence without a broker");
	assert_within(start, AWAY_NS, "fence()");
}

static void closed_port(struct fixture *f)
{
	go_to_port(f, CLOSED_PORT);
	all_away(f);
}

static void silent_port(struct fixture *f)
{
	uint16_t port;
	int fd = listen_silently(&port);

	go_to_port(f, port);
	all_away(f);
	close(fd);
}

static void unknown_host(struct fixture *f)
{
	go_to_port(f, CLOSED_PORT);
	snprintf(f->url.hosts, sizeof(f->url.hosts), "no-such-host.invalid:%d", CLOSED_PORT);
	all_away(f);
}

static void *stop_soon(void *arg)
{
	struct fixture *f = arg;

	clock_sleep_ns(500 * NS_PER_MS);
	f->stop = true;
	return NULL;
}

static void stopped(struct fixture *f)
{
	uint16_t port;
	int fd = listen_silently(&port);

	go_to_port(f, port);
	f->config.timeout_ns = 100 * NS_PER_S;
	for (size_t i = 0; i < N_OF(calls); i++) {
		int64_t start;
		pthread_t t;
		int r;

		/* promised for these */
		if ((calls[i].caps & ~f->suite->caps) || calls[i].run == try_look)
			continue;
		f->stop = false;
		assert_int_equal(pthread_create(&t, NULL, stop_soon, f), 0);
		start = clock_ns();
		r = calls[i].run(f);
		pthread_join(t, NULL);
		assert_error(f, r, ERR_STOPPED, calls[i].what);
		assert_within(start, SOON_NS, calls[i].what);
	}
	close(fd);
}

const struct test destination_tests[] = {
	{"library, codes and schemes have texts", has_texts, 0, NEED_NO_DESTINATION},
	{"an unknown property is wrong use, named, without its value", unknown_property, 0,
		NEED_NO_DESTINATION},
	{"a missing destination is not found, and not made by asking", missing, 0,
		NEED_NO_DESTINATION},
	{"a missing destination cannot be removed", destroy_missing, 0, NEED_NO_DESTINATION},
	{"a destination is described", described, 0, 0},
	{"made a second time: it exists, and keeps what is in it", made_twice, 0, 0},
	{"removed and made anew it is empty", made_anew_is_empty, 0, 0},
	{"its nodes answer, and a closed port does not", nodes_answer, 0, 0},
	{"a new destination has no live groups", no_live_groups, 0, 0},
	{"a destination tells its settings", settings_of_destination, BROKER_CAP_SETTINGS, 0},
	{"a client's settings are told without a connection", settings_of_client,
		BROKER_CAP_SETTINGS, NEED_NO_DESTINATION | NEED_CAPACITY},
	{"a closed port: away, within the timeout", closed_port, 0, NEED_NO_DESTINATION},
	{"a host that says nothing: away, within the timeout", silent_port, 0, NEED_NO_DESTINATION},
	{"a host that does not exist: away, within the timeout", unknown_host, 0,
		NEED_NO_DESTINATION},
	{"told to stop, waiting calls end", stopped, 0, NEED_NO_DESTINATION},
	{NULL, NULL, 0, 0},
};
