#include "checker/recorder.h"

#include <stdlib.h>
#include <string.h>

/* At once for all that is to come, as far as it is bounded: memory that is not touched costs nothing, but
 * what growing leaves behind does. */
#define FIRST_ROWS (RECORDER_BYTES / sizeof(struct message_row) + 2000)
#define FIRST_SLOTS 256u

static bool is_of(const struct message_group *g, const struct message_group *x)
{
	return g->partition == x->partition && g->producer_id == x->producer_id &&
	       g->epoch == x->epoch && g->nonce == x->nonce && g->lane == x->lane &&
	       g->attempt == x->attempt && g->generation == x->generation;
}

static size_t slot_of(const struct recorder *c, const struct message_group *g)
{
	const uint32_t part[] = {g->producer_id, g->epoch, g->nonce, g->lane,
		(uint32_t)g->partition, (uint32_t)g->generation, g->attempt};
	uint64_t h = UINT64_C(1469598103934665603);

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		h = (h ^ part[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(h >> 32) & (c->n_slots - 1);
}

static void enter(struct recorder *c, size_t group)
{
	size_t at = slot_of(c, &c->group[group]);

	while (c->slot[at])
		at = (at + 1) & (c->n_slots - 1);
	c->slot[at] = (uint32_t)group + 1;
}

/* Room for one more group, and a table that is at most half full with it. */
static int grow_groups(struct recorder *c)
{
	size_t slots = c->n_slots ? c->n_slots : FIRST_SLOTS;

	if (c->n_groups == c->cap_groups) {
		size_t cap = c->cap_groups ? c->cap_groups * 2 : 64;
		struct message_group *more = realloc(c->group, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		c->group = more;
		c->cap_groups = cap;
	}
	while (slots < 2 * (c->n_groups + 1))
		slots *= 2;
	if (slots != c->n_slots) {
		uint32_t *table = calloc(slots, sizeof(*table));

		if (!table)
			return ERR_NOMEM;
		free(c->slot);
		c->slot = table;
		c->n_slots = slots;
		for (size_t i = 0; i < c->n_groups; i++)
			enter(c, i);
	}
	return 0;
}

static int find_group(struct recorder *c, const struct message_group *like, size_t *ret)
{
	int r;

	if (c->n_slots)
		for (size_t at = slot_of(c, like); c->slot[at]; at = (at + 1) & (c->n_slots - 1))
			if (is_of(&c->group[c->slot[at] - 1], like)) {
				*ret = c->slot[at] - 1;
				return 0;
			}
	r = grow_groups(c);
	if (r)
		return r;
	*ret = c->n_groups;
	c->group[c->n_groups] = *like;
	enter(c, c->n_groups++);
	return 0;
}

static int grow_rows(struct recorder *c)
{
	size_t cap = c->cap ? c->cap * 2 : FIRST_ROWS;
	struct message_row *more = realloc(c->row, cap * sizeof(*more));

	if (!more)
		return ERR_NOMEM;
	c->row = more;
	c->cap = cap;
	return 0;
}

int recorder_add(struct recorder *c, const struct broker_message *m, enum tracker_kind kind,
	const struct envelope *env, int32_t generation, int64_t received_wall_ns)
{
	const struct message_group like = {
		.partition = m->partition,
		.generation = generation,
		.producer_id = env->producer_id,
		.epoch = env->epoch,
		.nonce = env->nonce,
		.lane = env->partition,
		.attempt = env->attempt,
		.first_seq = env->seq,
		.last_seq = env->seq,
	};
	struct message_group *g;
	int r = 0;

	if (kind > TRACKED_REPEAT && kind != TRACKED_CORRUPTED)
		return 0;
	if (c->n == c->cap)
		r = grow_rows(c);
	if (r == 0 && (c->n_groups == 0 || !is_of(&c->group[c->last], &like)))
		r = find_group(c, &like, &c->last);
	if (r)
		return r;
	g = &c->group[c->last];
	g->n++;
	if (env->seq < g->first_seq)
		g->first_seq = env->seq;
	if (env->seq > g->last_seq)
		g->last_seq = env->seq;
	c->row[c->n++] = (struct message_row){
		.group = (uint32_t)c->last,
		.size = m->len > UINT32_MAX ? UINT32_MAX : (uint32_t)m->len,
		.offset = m->offset,
		.seq = env->seq,
		.sent_wall_ns = env->send_wall_ns,
		.received_wall_ns = received_wall_ns,
	};
	return 0;
}

bool recorder_is_full(const struct recorder *c)
{
	return c->n * sizeof(*c->row) + c->n_groups * sizeof(*c->group) >= RECORDER_BYTES;
}

struct message_batch recorder_batch(const struct recorder *c)
{
	return (struct message_batch){c->group, c->n_groups, c->row, c->n};
}

void recorder_clear(struct recorder *c)
{
	if (c->n_groups)
		memset(c->slot, 0, c->n_slots * sizeof(*c->slot));
	c->n = c->n_groups = c->last = 0;
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
	free(c->group);
	free(c->slot);
	*c = (struct recorder){0};
}
