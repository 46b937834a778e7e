#include "checker/recorder.h"

#include <stdlib.h>

int recorder_add(struct recorder *c, const struct broker_message *m, enum tracker_kind kind,
	const struct envelope *env, int32_t generation, int64_t received_wall_ns)
{
	if (kind > TRACKED_REPEAT && kind != TRACKED_CORRUPTED)
		return 0;
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 1024;
		struct message_row *more = realloc(c->row, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		c->row = more;
		c->cap = cap;
	}
	c->row[c->n++] = (struct message_row){
		.partition = m->partition,
		.generation = generation,
		.offset = m->offset,
		.producer_id = env->producer_id,
		.epoch = env->epoch,
		.nonce = env->nonce,
		.lane = env->partition,
		.seq = env->seq,
		.attempt = env->attempt,
		.damaged = kind == TRACKED_CORRUPTED,
		.size = (uint32_t)m->len,
		.sent_wall_ns = env->send_wall_ns,
		.received_wall_ns = received_wall_ns,
	};
	return 0;
}

void recorder_swap(struct recorder *c, struct recorder *empty)
{
	struct recorder full = *c;

	*c = *empty;
	*empty = full;
}

void recorder_release(struct recorder *c)
{
	free(c->row);
	*c = (struct recorder){0};
}
