#ifndef CORE_BROKER_RABBITMQ_TAGS_H
#define CORE_BROKER_RABBITMQ_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/*
 * Which published messages of one channel are still open, by delivery tag.
 *
 * A channel counts its publishes from 1 on. Confirms name one tag or all open ones up to it (`multiple`), and
 * come out of order where a channel feeds several queues, so each tag has a state of its own: a low-water mark
 * would be wrong (rabbitmq-facts.md section 7). A ring: memory is that of the window; one open straggler stops
 * publishing when the tags behind it fill the ring.
 *
 * Not thread-safe.
 */
struct rabbitmq_tags {
	struct rabbitmq_tag *ring;
	size_t mask;
	uint64_t first; /* the lowest tag that may be open */
	uint64_t next;  /* the next publish gets it */
	size_t n_open;
};

struct rabbitmq_tag {
	void *tag; /* the caller's */
	bool open;
};

/* Given each tag that is closed. */
typedef void rabbitmq_tags_fn(void *arg, void *tag);

/* Room for `window` open tags, 1 to 2^30. Returns 0 or ERR_NOMEM. */
MUST_CHECK int rabbitmq_tags_init(struct rabbitmq_tags *t, size_t window, struct err *e);
void rabbitmq_tags_release(struct rabbitmq_tags *t);

/* Is there room for one more? */
bool rabbitmq_tags_room(const struct rabbitmq_tags *t);

/* A message is published: returns its delivery tag. Room is a precondition (aborts). */
uint64_t rabbitmq_tags_open(struct rabbitmq_tags *t, void *tag);

/*
 * A confirm, or a return, came: fn gets what it closes, lowest tag first. What is closed already, or was
 * never published, is ignored. `multiple` with delivery tag 0 means all (AMQP 0-9-1, basic.ack).
 */
void rabbitmq_tags_close(struct rabbitmq_tags *t, uint64_t delivery_tag, bool multiple,
	rabbitmq_tags_fn *fn, void *arg);

/* Close all that is open; counting goes on. */
void rabbitmq_tags_close_all(struct rabbitmq_tags *t, rabbitmq_tags_fn *fn, void *arg);

/* Another channel: count from 1 again. Nothing open is a precondition (aborts). */
void rabbitmq_tags_restart(struct rabbitmq_tags *t);

#endif
