#ifndef CORE_BROKER_RABBITMQ_LANE_H
#define CORE_BROKER_RABBITMQ_LANE_H

#include "core/broker/rabbitmq.h"

/*
 * Messages as they come on one channel, put together frame by frame: amqp_consume_message() and
 * amqp_read_message() wait for the rest of a begun message without end, and copy what nobody reads.
 */

/* A message that is whole. The caller frees block, which the other pointers lead into. */
struct rabbitmq_delivery {
	uint64_t tag;
	bool redelivered;
	bool empty;  /* basic.get-empty: there is none, and no block */
	void *block; /* malloc'ed; NULL for an empty message without an envelope beside */
	uint8_t *body;
	size_t len;
	uint8_t *beside; /* an envelope in the headers, or NULL */
	size_t beside_len;
	int64_t stamp_ms;       /* 0: none */
	int64_t stream_offset;  /* -1: none */
	int64_t delivery_count; /* -1: none */
	char death[24]; /* of lane->dead_of: why it was dead-lettered last; "": it was not */
};

struct rabbitmq_lane {
	const char
		*dead_of; /* note why messages were dead-lettered from this queue; NULL: do not */
	struct rabbitmq_conn conn;
	amqp_channel_t channel; /* what comes on others is dropped */
	bool begun;             /* a method came, its content is coming */
	bool headed;            /* ... and its properties have come */
	size_t have;
	struct rabbitmq_delivery coming;
};

/*
 * The next message, or NULL-block `empty` answer to a basic.get. Waits up to timeout_ms.
 *
 * Returns 0 with *ret filled; ERR_TIMEOUT (none came); otherwise the connection is of no use any more and e says
 * why: ERR_BROKER_AWAY (lost, or the consumer was cancelled), ERR_NOTFOUND, ERR_DENIED, ERR_BROKER.
 */
MUST_CHECK int rabbitmq_lane_next(
	struct rabbitmq_lane *lane, int timeout_ms, struct rabbitmq_delivery *ret, struct err *e);

/*
 * What that does with each frame: it is taken into the message that is coming, which is whole when
 * rabbitmq_lane_is_whole() says so, and is then given, with its block, by rabbitmq_lane_give(). Does not block;
 * the frame may be anything that the library decodes. Returns 0, or as rabbitmq_lane_next(), and ERR_FORMAT, ERR_NOMEM.
 */
MUST_CHECK int rabbitmq_lane_take(
	struct rabbitmq_lane *lane, const amqp_frame_t *frame, struct err *e);
bool rabbitmq_lane_is_whole(const struct rabbitmq_lane *lane);
struct rabbitmq_delivery rabbitmq_lane_give(struct rabbitmq_lane *lane);

/* Forget a message that is half there; after this another channel can be set. */
void rabbitmq_lane_reset(struct rabbitmq_lane *lane);

#endif
