#include "core/broker/rabbitmq_tags.h"

#include <stdlib.h>
#include <string.h>

/* The ring is wider than the window: acks out of order close what is behind a straggler. */
#define SPAN 4

int rabbitmq_tags_init(struct rabbitmq_tags *t, size_t window, struct err *e)
{
	size_t size = 16;

	memset(t, 0, sizeof(*t));
	while (size < SPAN * window)
		size *= 2;
	t->ring = calloc(size, sizeof(*t->ring));
	if (!t->ring)
		return err_set(e, ERR_NOMEM, "out of memory for a window of %zu", window);
	t->mask = size - 1;
	t->first = t->next = 1;
	return 0;
}

void rabbitmq_tags_release(struct rabbitmq_tags *t)
{
	free(t->ring);
	memset(t, 0, sizeof(*t));
}

bool rabbitmq_tags_room(const struct rabbitmq_tags *t)
{
	return t->next - t->first <= t->mask;
}

uint64_t rabbitmq_tags_open(struct rabbitmq_tags *t, void *tag)
{
	BUG_ON(!rabbitmq_tags_room(t));
	t->ring[t->next & t->mask] = (struct rabbitmq_tag){.tag = tag, .open = true};
	t->n_open++;
	return t->next++;
}

static void close_one(
	struct rabbitmq_tags *t, uint64_t delivery_tag, rabbitmq_tags_fn *fn, void *arg)
{
	struct rabbitmq_tag *one = &t->ring[delivery_tag & t->mask];

	if (!one->open)
		return;
	one->open = false;
	t->n_open--;
	fn(arg, one->tag);
}

static void pass_closed(struct rabbitmq_tags *t)
{
	while (t->first < t->next && !t->ring[t->first & t->mask].open)
		t->first++;
}

void rabbitmq_tags_close(struct rabbitmq_tags *t, uint64_t delivery_tag, bool multiple,
	rabbitmq_tags_fn *fn, void *arg)
{
	if (multiple && (delivery_tag == 0 || delivery_tag >= t->next))
		delivery_tag = t->next - 1;
	if (delivery_tag < t->first || delivery_tag >= t->next)
		return;
	for (uint64_t i = multiple ? t->first : delivery_tag; i <= delivery_tag; i++)
		close_one(t, i, fn, arg);
	pass_closed(t);
}

void rabbitmq_tags_close_all(struct rabbitmq_tags *t, rabbitmq_tags_fn *fn, void *arg)
{
	rabbitmq_tags_close(t, 0, true, fn, arg);
}

void rabbitmq_tags_restart(struct rabbitmq_tags *t)
{
	BUG_ON(t->n_open);
	t->first = t->next = 1;
}
