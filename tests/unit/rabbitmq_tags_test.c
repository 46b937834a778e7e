#include "core/broker/rabbitmq_tags.h"

#include "core/rng.h"
#include "tests/unit.h"

/* What was closed, in order, by the numbers that stand for the caller's tags. */
struct closed {
	uintptr_t tag[4096];
	size_t n;
};

static void note(void *arg, void *tag)
{
	struct closed *c = arg;

	c->tag[c->n++] = (uintptr_t)tag;
}

static void open_some(struct rabbitmq_tags *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)rabbitmq_tags_open(t, (void *)(uintptr_t)(t->next * 10));
}

static void one_confirm_closes_one(void **state)
{
	struct closed c = {.n = 0};
	struct rabbitmq_tags t;

	(void)state;
	assert_int_equal(rabbitmq_tags_init(&t, 10, NULL), 0);
	open_some(&t, 5);
	rabbitmq_tags_close(&t, 3, false, note, &c);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.tag[0], 30);
	assert_int_equal(t.n_open, 4);
	/* and once only */
	rabbitmq_tags_close(&t, 3, false, note, &c);
	assert_int_equal(c.n, 1);
	rabbitmq_tags_release(&t);
}

static void multiple_closes_what_is_open_up_to_it(void **state)
{
	struct closed c = {.n = 0};
	struct rabbitmq_tags t;

	(void)state;
	assert_int_equal(rabbitmq_tags_init(&t, 10, NULL), 0);
	open_some(&t, 6);
	rabbitmq_tags_close(&t, 2, false, note, &c);
	rabbitmq_tags_close(&t, 5, false, note, &c);
	c.n = 0;
	rabbitmq_tags_close(&t, 5, true, note, &c);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.tag[0], 10);
	assert_int_equal(c.tag[1], 30);
	assert_int_equal(c.tag[2], 40);
	assert_int_equal(t.n_open, 1);
	rabbitmq_tags_release(&t);
}

static void multiple_zero_closes_all(void **state)
{
	struct closed c = {.n = 0};
	struct rabbitmq_tags t;

	(void)state;
	assert_int_equal(rabbitmq_tags_init(&t, 10, NULL), 0);
	open_some(&t, 6);
	rabbitmq_tags_close(&t, 0, true, note, &c);
	assert_int_equal(c.n, 6);
	assert_int_equal(t.n_open, 0);
	rabbitmq_tags_release(&t);
}

/* A broker's numbers are not to be trusted. */
static void what_was_never_published_is_ignored(void **state)
{
	struct closed c = {.n = 0};
	struct rabbitmq_tags t;

	(void)state;
	assert_int_equal(rabbitmq_tags_init(&t, 10, NULL), 0);
	rabbitmq_tags_close(&t, 1, false, note, &c);
	rabbitmq_tags_close(&t, 0, true, note, &c);
	open_some(&t, 2);
	rabbitmq_tags_close(&t, 0, false, note, &c);
	rabbitmq_tags_close(&t, 3, false, note, &c);
	rabbitmq_tags_close(&t, UINT64_MAX, false, note, &c);
	assert_int_equal(c.n, 0);
	rabbitmq_tags_close(&t, UINT64_MAX, true, note, &c);
	assert_int_equal(c.n, 2);
	rabbitmq_tags_release(&t);
}

static void a_straggler_stops_publishing_until_it_is_closed(void **state)
{
	struct closed c = {.n = 0};
	struct rabbitmq_tags t;

	(void)state;
	assert_int_equal(rabbitmq_tags_init(&t, 4, NULL), 0);
	open_some(&t, 1);
	while (rabbitmq_tags_room(&t)) {
		uint64_t tag = rabbitmq_tags_open(&t, (void *)1);

		rabbitmq_tags_close(&t, tag, false, note, &c);
	}
	assert_int_equal(t.n_open, 1);
	rabbitmq_tags_close(&t, 1, false, note, &c);
	assert_true(rabbitmq_tags_room(&t));
	rabbitmq_tags_release(&t);
}

static void another_channel_counts_from_one(void **state)
{
	struct closed c = {.n = 0};
	struct rabbitmq_tags t;

	(void)state;
	assert_int_equal(rabbitmq_tags_init(&t, 10, NULL), 0);
	open_some(&t, 7);
	rabbitmq_tags_close_all(&t, note, &c);
	assert_int_equal(c.n, 7);
	rabbitmq_tags_restart(&t);
	assert_int_equal(rabbitmq_tags_open(&t, NULL), 1);
	rabbitmq_tags_release(&t);
}

/* Against a table of which tags are open, with confirms as they may come: out of order, in parts, twice. */
static void each_tag_is_closed_once_whatever_comes(void **state)
{
	enum { N = 4000, WINDOW = 50 };
	static bool open[N + 1];
	static struct closed c;
	struct rabbitmq_tags t;
	struct rng r;

	(void)state;
	rng_init(&r, 11);
	assert_int_equal(rabbitmq_tags_init(&t, WINDOW, NULL), 0);
	while (c.n < N) {
		size_t before = c.n, expected = 0;
		uint64_t low = t.next > 150 ? t.next - 150 : 1, at;
		bool multiple = rng_below(&r, 4) == 0;

		while (t.next <= N && t.n_open < WINDOW && rabbitmq_tags_room(&t)) {
			open[t.next] = true;
			(void)rabbitmq_tags_open(&t, (void *)(uintptr_t)t.next);
		}
		at = low + rng_below(&r, t.next - low);
		for (uint64_t i = multiple ? 1 : at; i <= at; i++) {
			expected += open[i];
			open[i] = false;
		}
		rabbitmq_tags_close(&t, at, multiple, note, &c);
		assert_int_equal(c.n - before, expected);
	}
	assert_int_equal(t.n_open, 0);
	rabbitmq_tags_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_confirm_closes_one),
		cmocka_unit_test(multiple_closes_what_is_open_up_to_it),
		cmocka_unit_test(multiple_zero_closes_all),
		cmocka_unit_test(what_was_never_published_is_ignored),
		cmocka_unit_test(a_straggler_stops_publishing_until_it_is_closed),
		cmocka_unit_test(another_channel_counts_from_one),
		cmocka_unit_test(each_tag_is_closed_once_whatever_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
