#ifndef SCENARIOS_SELFTEST_H
#define SCENARIOS_SELFTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/broker/destination.h"
#include "core/opt.h"

/*
 * The selftest: rounds of a probe that plants known faults into what it sends to a real broker, and
 * of a check that must find exactly those, by name. Both are child processes of this same program,
 * with a ledger of their own that is gone at the end.
 */

struct selftest_opts {
	struct destination_opts destination;
	uint64_t faults;   /* of each kind in a round */
	uint64_t messages; /* in a round */
	uint64_t seed;
	const char *queue;    /* the type of queue to make; NULL: each */
	bool expect_one_more; /* hidden: as if a fault were not found; for the test of the selftest
			       */
};

struct selftest;

/* What came of a round. */
struct selftest_round {
	const char *name; /* "clean", a kind, or "all together": a constant */
	const char *what; /* what was done to the messages: a constant */
	uint64_t planted;
	uint64_t found;    /* of what was planted */
	uint64_t wrong;    /* found and not planted */
	bool ok;           /* all of it found, nothing else, and the verdict that goes with it */
	char trouble[512]; /* the first thing that is not as it must be */
};

#define SELFTEST_ROUNDS 11

/*
 * Prepare: a ledger and a state folder of its own, the topic or queue (`url`, or NULL for one of its own
 * in the running lab). Changes this process's environment for its children. Blocks: seconds.
 *
 * Returns 0; ERR_USAGE; or what broker and ledger say. Close also after a failure.
 */
MUST_CHECK int selftest_open(
	const char *url, const struct selftest_opts *o, struct selftest **ret, struct err *e);

/* Where the messages go; borrowed. */
const char *selftest_destination(const struct selftest *s);

/*
 * The kinds of destination to go through: those of queues, one after the other, where a queue is to be
 * made; otherwise one, "" or the kind of the queue that is there. Constants, ended by NULL.
 */
const char *const *selftest_kinds(const struct selftest *s);

/*
 * Begin with a kind: makes the queue where there is none. Blocks up to the destination's timeout. Returns
 * what broker_ops.create() does. End with it, also after a failure: removes the queue that was made, or
 * leaves its name in ret_left.
 */
MUST_CHECK int selftest_begin(struct selftest *s, const char *kind, struct err *e);
void selftest_end(struct selftest *s, char *ret_left, size_t len);

/*
 * Do round i, below SELFTEST_ROUNDS. Blocks for the time of a probe and a check: seconds.
 *
 * Returns 0, whatever was found; ERR_STOPPED (Ctrl-C); or what kept probe or check from their end.
 */
MUST_CHECK int selftest_round(
	struct selftest *s, size_t i, struct selftest_round *ret, struct err *e);

/*
 * Stop the ledger, remove its folder, and the topic or queue if it was made here; NULL allowed.
 * *ret_left: the one that could not be removed, "" when there is none.
 */
void selftest_close(struct selftest *s, char *ret_left, size_t len);

#endif
