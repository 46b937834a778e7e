#ifndef CORE_LEDGER_REMOVED_H
#define CORE_LEDGER_REMOVED_H

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
 * Note dead letters. What is known already is passed over, so that a queue may be looked through again; of two
 * entries for one attempt of a message the first counts. Returns 0 or as pg.h.
 */
MUST_CHECK int removed_put_dead(
	struct ledger *l, int64_t run_id, const struct removed_dead *dead, size_t n, struct err *e);

/* Give all dead letters of a run, by lane and attempt. `each` returns 0 or a code that ends it. */
MUST_CHECK int removed_each_dead(struct ledger *l, int64_t run_id,
	int (*each)(const struct removed_dead *d, void *arg, struct err *e), void *arg,
	struct err *e);

/* What one judgement knows beside. Texts are borrowed; "" for none. */
struct removed_facts {
	bool exact;       /* both counts are of all nodes, and of nothing but the audited queue */
	uint64_t removed; /* messages that a policy removed */
	uint64_t unroutable;  /* messages that were routed to no queue, and dropped */
	const char *how;      /* the reasons in the broker's words, with counts */
	const char *excluded; /* what excludes that a policy removed anything */
};

MUST_CHECK int removed_put_facts(struct ledger *l, int64_t run_id, uint32_t judgement,
	const struct removed_facts *f, struct err *e);

#endif
