#ifndef CHECKER_RECORDER_H
#define CHECKER_RECORDER_H

#include "checker/tracker.h"
#include "core/broker/broker.h"
#include "core/ledger/messages.h"

/*
 * The recorder: what was read since the last commit, message by message, for --record=messages. Messages are
 * those with a readable envelope of this run, fences excepted. Not thread-safe.
 *
 * Bounded: two recorders (one is filled while the other one is written) hold RECORDER_BYTES each, and what one
 * more batch of the reader brings.
 */
#define RECORDER_BYTES ((size_t)16 << 20)

struct recorder {
	struct message_row *row; /* malloc'ed, like all here */
	size_t n, cap;
	struct message_group *group;
	size_t n_groups, cap_groups;
	uint32_t *slot; /* hash table of groups: index + 1, 0 is free */
	size_t n_slots; /* a power of two */
	size_t last;    /* the group of the last message */
};

/*
 * Note a record as the tracker has judged it; what is no message is passed over. received_wall_ns: when the
 * batch was taken. Returns 0 or ERR_NOMEM.
 */
MUST_CHECK int recorder_add(struct recorder *c, const struct broker_message *m,
	enum tracker_kind kind, const struct envelope *env, int32_t generation,
	int64_t received_wall_ns);

/* Does it hold so much that the reader is to wait until it is written? */
bool recorder_is_full(const struct recorder *c);

/* What is noted, to be written. Borrowed until the next call. */
struct message_batch recorder_batch(const struct recorder *c);

/* Forget what is noted, keep the memory. */
void recorder_clear(struct recorder *c);

/* Give what is noted in exchange for an empty one, whose memory is used again. */
void recorder_swap(struct recorder *c, struct recorder *empty);

void recorder_release(struct recorder *c);

#endif
