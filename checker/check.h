#ifndef CHECKER_CHECK_H
#define CHECKER_CHECK_H

#include "core/broker/destination.h"
#include "core/opt.h"
#include "core/words.h"

/* A check from its options to the verdict: read, wait for the probes, fence, judge. */

struct check_opts {
	struct destination_opts destination;
	const char *ledger;
	const char *run;
	bool follow;
	int64_t settle_ns;
	int64_t fence_timeout_ns;
	bool no_fence;
	const char *sweep; /* auto, full or none */
	int64_t relay_lag_ns;
	const char *
		drain; /* of queues: live, end or never; "": live, if the run found or made it empty */
	const char *dead_letter_queue; /* the queue's; NULL: as its settings tell */
	bool no_policy;     /* declared: nothing removes messages from the queue but consumers */
	const char *record; /* ranges or messages */
	uint64_t status_fd; /* hidden: 0: none */
};

/*
 * Check a run to its verdict, which is in the ledger then. Progress and findings go to standard error, or
 * as status lines to the status file descriptor.
 *
 * Returns 0 with the verdict, or what kept it from one.
 */
MUST_CHECK int check_run(const struct cmdline *cl, const struct check_opts *o, const char *url,
	enum verdict *ret, struct err *e);

#endif
