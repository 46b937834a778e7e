#ifndef CORE_LEDGER_REMOVED_H
#define CORE_LEDGER_REMOVED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ledger/ledger.h"

/*
 * What tells a queue's messages that a policy removed from those that are lost: copies in its dead-letter queue, the
 * nodes' own counts of what they dropped, and what is known to exclude a policy.
 */

/* A run of seqs of a lane in one attempt, seen in a dead-letter queue. Texts are borrowed. */
struct removed_dead {
	uint32_t producer_id, epoch, nonce, lane;
	uint16_t attempt;
	uint64_t lo, hi;
	const char *queue;  /* the dead-letter queue */
	const char *reason; /* the broker's word: "maxlen", "expired", ... */
};

/*
 * Note dead letters. What is known already is passed over, so that a queue may be looked through again. Entries of
 * one call do not overlap: each attempt of a message is in one of them at most. Returns 0 or as pg.h.
 */
MUST_CHECK int removed_put_dead(
	struct ledger *l, int64_t run_id, const struct removed_dead *dead, size_t n, struct err *e);

/* Give all dead letters of a run, by lane and attempt. `each` returns 0 or a code that ends it. */
MUST_CHECK int removed_each_dead(struct ledger *l, int64_t run_id,
	int (*each)(const struct removed_dead *d, void *arg, struct err *e), void *arg,
	struct err *e);

/* One count of one node. Texts are borrowed. */
struct removed_count {
	const char *node, *incarnation, *name;
	uint64_t count;
};

/*
 * Note what all nodes have counted: before the first message (what was noted before stays), or now (in place of what
 * was noted).
 */
MUST_CHECK int removed_put_counts(struct ledger *l, int64_t run_id, bool before,
	const struct removed_count *count, size_t n, struct err *e);

/*
 * What was counted between the two. comparable: both were noted, of the same nodes, none of which began anew.
 * removed: of the names that begin with `dropped`; how: "1,000 maxlen, 3 expired"; unroutable: of that name.
 */
struct removed_difference {
	bool comparable;
	uint64_t removed, unroutable;
	char how[200];
};
MUST_CHECK int removed_difference(struct ledger *l, int64_t run_id, const char *dropped,
	const char *unroutable, struct removed_difference *ret, struct err *e);

/* How many checkers have read from the run's source: what one of them held may have gone back when it ended. */
MUST_CHECK int removed_readers(struct ledger *l, int64_t run_id, uint64_t *ret, struct err *e);

/* Does a promised or unknown message of the run lack a copy from the source? */
MUST_CHECK int removed_any_absent(struct ledger *l, int64_t run_id, bool *ret, struct err *e);

/* What one judgement knows beside. Texts are borrowed; "" for none. */
struct removed_facts {
	bool exact;       /* both counts are of all nodes, and of nothing but the audited queue */
	uint64_t removed; /* messages that a policy removed */
	uint64_t unroutable;  /* messages that were routed to no queue, and dropped */
	const char *how;      /* the reasons in the broker's words, with counts */
	const char *excluded; /* what excludes that a policy removed anything */
	const char
		*gone; /* the queue is not there any more: "expires" (by that setting), "deleted" */
};

MUST_CHECK int removed_put_facts(struct ledger *l, int64_t run_id, uint32_t judgement,
	const struct removed_facts *f, struct err *e);

#endif
