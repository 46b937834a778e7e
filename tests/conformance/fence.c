/* The fence: whoever has read it has read everything before it. */
#include "tests/conformance/conformance.h"

/* Everything that was acked is read in front of it: read_all() ends there, so that what is missing shows. */
static void behind_everything(struct fixture *f)
{
	struct broker_producer *p = open_producer(f);

	for (int i = 0; i < 5; i++) {
		deliver(f, p, add_messages(f, 200, 100), 200);
		/* a queue is empty behind it; a log keeps what was there */
		read_all(f, BROKER_UNCOMMITTED);
		for (size_t k = 0; k < f->n_messages; k++)
			assert_int_equal(f->message[k].n_copies > 0, 1);
	}
}

static void in_an_empty_one(struct fixture *f)
{
	read_all(f, BROKER_UNCOMMITTED);
	assert_int_equal(f->n_strangers, 0);
}

/* Of the user's properties the fence takes only what is needed to connect: it is acked in spite of them. */
static void is_its_own_client(struct fixture *f)
{
	set_pair(f, f->suite->unconfirmed);
	read_all(f, BROKER_UNCOMMITTED);
}

static void has_a_place(struct fixture *f)
{
	struct broker_fence fence[2];
	int64_t offset[2] = {0};

	for (int i = 0; i < 2; i++) {
		fence[i] = (struct broker_fence){
			.key = "a-key", .key_len = 5, .payload = "a fence", .len = 7};
		assert_int_equal(f->ops->fence(&f->config, &fence[i], 1, PATIENCE_NS, &f->e), 0);
		assert_true(fence[i].acked);
		offset[i] = fence[i].offset;
	}
	if (f->suite->caps & BROKER_CAP_POSITIONS) {
		assert_int_equal(offset[0], 0);
		assert_int_equal(offset[1], 1);
	} else {
		assert_int_equal(offset[0], BROKER_NO_OFFSET);
		assert_int_equal(offset[1], BROKER_NO_OFFSET);
	}
}

static void into_nothing(struct fixture *f)
{
	struct broker_fence fence = {
		.key = "k", .key_len = 1, .payload = "f", .len = 1, .acked = true};
	int64_t start = clock_ns();
	struct broker_topic topic;

	assert_true(f->ops->fence(&f->config, &fence, 1, 10 * NS_PER_S, &f->e) != 0);
	assert_within(start, 10 * NS_PER_S, "fence()");
	assert_false(fence.acked);
	assert_int_equal(fence.offset, BROKER_NO_OFFSET);
	assert_string_not_equal(f->e.msg, "");
	assert_error(f, f->ops->topic(&f->config, &topic, &f->e), ERR_NOTFOUND,
		"topic() behind that fence");
}

/* By an exchange: routed to nothing, then to what is bound. */
static void by_an_exchange(struct fixture *f)
{
	struct broker_fence fence = {.key = "k",
		.key_len = 1,
		.payload = "a fence",
		.len = 7,
		.exchange = f->suite->exchange,
		.routing_key = f->config.url->name};
	const char *nowhere = "mqaudit-no-such-exchange";

	assert_error(f, f->ops->fence(&f->config, &fence, 1, PATIENCE_NS, &f->e), ERR_NOTFOUND,
		"fence() to a key that nothing is bound with");
	assert_false(fence.acked);
	assert_error(f, f->ops->bind(&f->config, nowhere, fence.routing_key, &f->e), ERR_NOTFOUND,
		"bind() to a missing exchange");
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			f->ops->bind(&f->config, fence.exchange, fence.routing_key, &f->e), 0);
	assert_int_equal(f->ops->fence(&f->config, &fence, 1, PATIENCE_NS, &f->e), 0);
	assert_true(fence.acked);
	/* bound twice, it is there once */
	read_all(f, BROKER_UNCOMMITTED);
	assert_int_equal(f->n_strangers, 1);
}

const struct test fence_tests[] = {
	{"a fence lies behind everything that was sent before it", behind_everything,
		BROKER_CAP_FENCE, 0},
	{"a fence in an empty destination", in_an_empty_one, BROKER_CAP_FENCE, 0},
	{"a fence is acked whatever the user's settings", is_its_own_client, BROKER_CAP_FENCE,
		NEED_UNCONFIRMED},
	{"a fence says where it is", has_a_place, BROKER_CAP_FENCE, 0},
	{"no fence in a missing destination", into_nothing, BROKER_CAP_FENCE, NEED_NO_DESTINATION},
	{"by an exchange a fence comes to what is bound to it, once", by_an_exchange,
		BROKER_CAP_ROUTING, NEED_EXCHANGE},
	{NULL, NULL, 0, 0},
};
