#ifndef CHECKER_RECORDER_H
#define CHECKER_RECORDER_H

#include "checker/tracker.h"
#include "core/broker/broker.h"
#include "core/ledger/messages.h"

/*
 * The recorder: what was read since the last commit, message by message, for --record=messages. Messages are
 * those with a readable envelope of this run, fences excepted. Not thread-safe.
 */
struct recorder {
	struct message_row *row; /* malloc'ed */
	size_t n, cap;
};

/*
 * Note a record as the tracker has judged it; what is no message is passed over. received_wall_ns: when the
 * batch was taken. Returns 0 or ERR_NOMEM.
 */
MUST_CHECK int recorder_add(struct recorder *c, const struct broker_message *m,
	enum tracker_kind kind, const struct envelope *env, int32_t generation,
	int64_t received_wall_ns);

/* Give what is noted in exchange for an empty one, whose memory is used again. */
void recorder_swap(struct recorder *c, struct recorder *empty);

void recorder_release(struct recorder *c);

#endif
