#ifndef CHECKER_JUDGE_H
#define CHECKER_JUDGE_H

#include "checker/tracker.h"
#include "core/err.h"
#include "core/ledger/ledger.h"
#include "core/words.h"

/*
 * The second judge: the same question as the SQL judge's, answered in memory from what the trackers saw
 * and what the ledger says of outcomes. Both must come to the same findings on the same evidence; if they
 * do not, one of them is wrong, and the verdict is ERROR.
 */

/* Findings as sets: per kind, stage and lane. */
struct findings;

struct findings *findings_new(void);
void findings_free(struct findings *f);

/* Add [lo, hi] of a lane, `count` messages (more than hi - lo + 1 where copies are counted). */
MUST_CHECK int findings_add(struct findings *f, enum finding_kind kind, enum stage stage,
	int64_t producer_id, int64_t epoch, int64_t partition, uint64_t lo, uint64_t hi,
	uint64_t count);

/* The seqs of a lane that are found to be of a kind at a stage; NULL: none. Borrowed. */
const struct seqset *findings_seqs(const struct findings *f, enum finding_kind kind,
	enum stage stage, int64_t producer_id, int64_t epoch, int64_t partition);

/* How many messages (or copies) are found to be of a kind at a stage. */
uint64_t findings_count(const struct findings *f, enum finding_kind kind, enum stage stage);

/* What was found to be of one kind and stage is of another. */
MUST_CHECK int findings_turn(struct findings *f, enum finding_kind from, enum stage from_stage,
	enum finding_kind to, enum stage to_stage);

/*
 * Are both the same? If not, `text` gets the first difference in words, with a and b called by name.
 */
bool findings_equal(const struct findings *a, const char *a_name, const struct findings *b,
	const char *b_name, char *text, size_t len);

struct judge_plan {
	int64_t run_id;
	uint32_t judgement;
	bool complete; /* everything up to the end was read: what is absent is absent */
	bool transactional;
	bool compacted; /* the topic's cleanup.policy */
	bool queue[2];  /* by run_side: reading takes away, and gives again */
	bool routed; /* the source is a stream beside the queue, which has what was routed; the queue is the target */
	struct tracker *source; /* everything on the log; NULL: a queue that only the relay reads */
	struct tracker *committed; /* with transactions: what was committed; else NULL */
	struct tracker *target;    /* behind a relay; else NULL */
	bool behind;               /* all that is behind the relay was read */
	bool relay_bounded;        /* --relay-lag */
	/* of a queue: what the nodes counted, if that is exact (struct removed_facts) */
	bool counts_exact;
	uint64_t removed, unroutable;
	bool gone, expired; /* the queue is not there any more; removed by its setting for that */
};

/* Judge. *ret is the caller's. Returns 0, or as pg.h, or ERR_NOMEM, ERR_LIMIT. */
MUST_CHECK int judge_in_memory(
	struct ledger *l, const struct judge_plan *plan, struct findings **ret, struct err *e);

#endif
