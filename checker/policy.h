#ifndef CHECKER_POLICY_H
#define CHECKER_POLICY_H

#include <stdint.h>

#include "core/broker/destination.h"
#include "core/ledger/ledger.h"

/*
 * May a policy have taken what a queue did not give? What the broker's own side tells: the limits that are in effect
 * (looked at every few seconds while the run goes on), what the nodes counted since before the first message, and
 * what lies in the dead-letter queue. One thread.
 */
struct policy;

struct policy_plan {
	const struct destination *source; /* the queue; borrowed, as are the texts */
	struct ledger *ledger;
	int64_t run_id;
	const char
		*dead_letter_queue; /* the user's word; NULL: found by itself where that can be */
	bool no_policy;             /* the user's word that there is none */
	bool no_fence;              /* write nothing */
	int64_t settle_ns, timeout_ns; /* of looking through the dead-letter queue */
};

/* NULL: out of memory. */
struct policy *policy_new(const struct policy_plan *plan);
void policy_free(struct policy *p);

/* Look at the limits, if it is time to. Blocks a second or so. Trouble to ask is no news. */
void policy_look(struct policy *p);

/*
 * The end: the last look, the nodes' counts and the dead-letter queue, into the ledger. gone: the queue is not there
 * any more; complete: everything was read; undisturbed: nothing that it gave can have gone back into it unseen.
 * Returns 0, or as pg.h, ERR_NOMEM.
 */
struct policy_end {
	uint32_t judgement, nonce;
	bool gone, complete, undisturbed;
};
struct policy_facts {
	bool exact; /* as struct removed_facts */
	uint64_t removed, unroutable;
	char how[200];
	char excluded[300]; /* what excludes a policy; "": nothing does */
	bool gone, expired;
	char doubt[900]; /* not excluded: why not, and what would */
};
MUST_CHECK int policy_conclude(
	struct policy *p, const struct policy_end *end, struct policy_facts *ret, struct err *e);

#endif
