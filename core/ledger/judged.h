#ifndef CORE_LEDGER_JUDGED_H
#define CORE_LEDGER_JUDGED_H

#include "core/ledger/ledger.h"
#include "core/ledger/run.h"
#include "core/words.h"

/* Judgements: numbers, fences, the judge in SQL, verdicts. */

/* Begin the next judgement of a run. */
MUST_CHECK int judged_begin(struct ledger *l, int64_t run_id, uint32_t *ret_number, struct err *e);

/* A fence of a partition of the source. */
struct judged_fence {
	uint32_t judgement;
	uint64_t number;
	int32_t partition; /* that it was written to */
	uint32_t nonce;
	int64_t offset;         /* where it was acked, or read */
	int32_t read_partition; /* where it was read; -1: it was written */
};

/* Note a fence: written, or read on a side ("target": behind a relay). */
MUST_CHECK int judged_fence(struct ledger *l, int64_t run_id, const char *side,
	const struct judged_fence *f, struct err *e);

/*
 * What of the source's log was not read behind the relay although nothing proves yet that it will not
 * come: the fence of its partition was not read there, or it was, and lanes of that partition are on
 * other partitions there than their fence.
 */
struct judged_relay {
	uint64_t unfenced; /* messages */
	uint64_t strayed;
	char partitions[120]; /* of the source, whose lanes strayed and lack messages: "0, 3" */
};
MUST_CHECK int judged_relay(struct ledger *l, int64_t run_id, uint32_t judgement,
	struct judged_relay *ret, struct err *e);

/*
 * What the probes went through, for the question whether one fence is enough.
 * healthy: every outcome is acked or refused, nothing is missing, and no connection was lost, no request
 * retried or timed out.
 */
struct judged_health {
	bool healthy;
	char why[200]; /* the first reason why not */
};
MUST_CHECK int judged_health(
	struct ledger *l, int64_t run_id, struct judged_health *ret, struct err *e);

/* A broker that a probe was ever connected to. The list is malloc'ed, the caller's. */
struct judged_node {
	int32_t id;
	char host[256];
	int port;
};
MUST_CHECK int judged_nodes(
	struct ledger *l, int64_t run_id, struct judged_node **ret, size_t *ret_n, struct err *e);

/* Faults of a lab that are recorded and not over. *ret_n; names of up to three. */
MUST_CHECK int judged_faults_on(
	struct ledger *l, const char *lab, uint64_t *ret_n, char *names, size_t len, struct err *e);

/*
 * Compute findings and counts from the evidence in the ledger. complete: everything up to the fence was
 * read; without it only what is proved gone is lost. behind: all that is behind a relay was read as well;
 * without it nothing is lost there. Blocks: seconds for 100,000 findings.
 */
MUST_CHECK int judged_compute(struct ledger *l, int64_t run_id, uint32_t judgement, bool complete,
	bool behind, struct err *e);

/* Messages by kind of finding and stage. */
struct judged_sums {
	uint64_t count[FINDING_N][STAGE_N];
	uint64_t intended, acked, unconfirmed, refused, unknown, none, unrecorded, in_flight;
	uint64_t unrecorded_absent;
	uint64_t
		maybe_intended; /* leased, absent, and only a lost journal knew whether they were sent */
	uint64_t read, distinct, extra, redelivered, aborted, foreign, phantom, corrupted, fences,
		pending;
	/* behind a relay */
	uint64_t target_read, target_distinct, target_extra, target_redelivered, target_foreign,
		target_phantom, target_corrupted, target_fences;
};
MUST_CHECK int judged_sums(struct ledger *l, int64_t run_id, uint32_t judgement,
	struct judged_sums *ret, struct err *e);

/*
 * Of the messages that are lost, how many a stream beside the queue (--routed-stream) proves to have been routed
 * nowhere: no queue can have had them.
 */
MUST_CHECK int judged_never_routed(
	struct ledger *l, int64_t run_id, uint32_t judgement, uint64_t *ret, struct err *e);

/*
 * Do the sums hold that counts must satisfy: every intent has one outcome, and every position that was
 * read, of the source and behind a relay, is of one kind? If not, it is a defect of ours: `text` says
 * which does not.
 */
bool judged_sums_hold(const struct judged_sums *s, char *text, size_t len);

/* One finding, for those who compare or print. Texts live during the call only. */
struct judged_finding {
	enum finding_kind kind;
	enum stage stage;
	int64_t producer_id, epoch, partition;
	uint64_t lo, hi, count;
	const char *why;
};
MUST_CHECK int judged_findings(struct ledger *l, int64_t run_id, uint32_t judgement,
	int (*each)(const struct judged_finding *f, void *arg, struct err *e), void *arg,
	struct err *e);

/* A position of a finding that is known only to lie between two others, ends included. */
struct judged_place {
	int64_t finding;
	int64_t place; /* in its list of positions, from 1 on */
	enum run_side side;
	int32_t partition;
	uint32_t producer_id, epoch, nonce, lane;
	uint64_t seq;
	int64_t from, to;
	int64_t guess;  /* where it would be if its lane were spread evenly */
	int64_t offset; /* to be filled: where it is; or one of these */
};
#define JUDGED_GONE INT64_C(-1)       /* it is not there any more */
#define JUDGED_NOT_LOOKED INT64_C(-2) /* nobody has looked */

/*
 * The places of a judgement's findings that are to be looked for, at most max, by partition and position,
 * as JUDGED_NOT_LOOKED. *ret is malloc'ed, the caller's.
 */
MUST_CHECK int judged_places(struct ledger *l, int64_t run_id, uint32_t judgement, size_t max,
	struct judged_place **ret, size_t *ret_n, struct err *e);

/* Put what was found into the findings. Whatever was to be looked for is done with after this. */
MUST_CHECK int judged_put_places(struct ledger *l, int64_t run_id, uint32_t judgement,
	const struct judged_place *place, size_t n, struct err *e);

/*
 * Write the verdict down and end the run. reasons: why it is undecided or an error, each with what to do.
 * agreed: both judges came to the same.
 */
struct judged_verdict {
	enum verdict verdict;
	bool fenced;
	bool agreed;
	const char *const *reasons;
	size_t n_reasons;
};
MUST_CHECK int judged_finish(struct ledger *l, int64_t run_id, uint32_t judgement,
	const struct judged_verdict *v, struct err *e);

/*
 * While the run goes on: messages that are acked below the witness's position and were not seen become
 * provisional findings, those that came after all are withdrawn. `each` is given what is new.
 * Sums of what is provisionally lost now go to *ret_lost.
 */
MUST_CHECK int judged_provisional(struct ledger *l, int64_t run_id,
	int (*each)(const struct judged_finding *f, void *arg, struct err *e), void *arg,
	uint64_t *ret_lost, struct err *e);

#endif
