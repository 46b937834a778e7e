#ifndef CORE_LEDGER_WITNESSED_H
#define CORE_LEDGER_WITNESSED_H

#include "core/ledger/ledger.h"
#include "core/ledger/messages.h"
#include "core/ledger/run.h"

/*
 * What checkers write: how far each partition was read, and what was there. Position and evidence move in
 * one transaction, by compare-and-set on owner and segment number, so that a checker that was frozen, or
 * a commit whose answer was lost, counts nothing twice.
 */

enum isolation { ISOLATION_UNCOMMITTED, ISOLATION_COMMITTED };

/* Which log is read, and how. */
struct witness_key {
	int64_t run_id;
	enum run_side side;
	enum isolation isolation;
};

const char *isolation_text(enum isolation i);

/* A record read at an offset, boiled down: equal digests, equal records. */
struct witness_anchor {
	int64_t offset; /* -1: there is none */
	int64_t digest;
};

struct witness_position {
	int32_t generation;
	int64_t segment; /* number of the last one written */
	int64_t next_offset;
	bool fresh;    /* nobody read it before */
	bool anchored; /* start_anchor was looked for before */
	struct witness_anchor start_anchor;
};

/*
 * Take a partition over: from now on `owner` (a random number of this checker) alone may write, whoever
 * did before. start_offset is where a fresh one begins.
 */
MUST_CHECK int witnessed_claim(struct ledger *l, const struct witness_key *k, int32_t partition,
	int64_t start_offset, int64_t owner, struct witness_position *ret, struct err *e);

/* Remember the record just before the run's first position (offset -1: there is none). */
MUST_CHECK int witnessed_set_start_anchor(struct ledger *l, const struct witness_key *k,
	int32_t partition, int64_t owner, const struct witness_anchor *a, struct err *e);

/*
 * Go on at another position, above what stands in segments already: the end of a sweep, which began below.
 * ERR_LOST_OWNERSHIP: it is another checker's now.
 */
MUST_CHECK int witnessed_move(struct ledger *l, const struct witness_key *k, int32_t partition,
	int64_t owner, int64_t next_offset, struct err *e);

struct witness_segment {
	int64_t segment;
	int32_t generation;
	int64_t first_offset, end_offset;
	struct witness_anchor anchor; /* the last record of it */
	int64_t records, ours, foreigners, fences, corrupted;
};

struct witness_row {
	int32_t partition;
	uint32_t producer_id, epoch, nonce, lane;
	uint16_t attempt;
	uint64_t lo, hi;
	int64_t first_offset, last_offset;
};

struct witness_damage {
	int32_t partition;
	bool named;
	uint32_t producer_id, epoch, nonce, lane;
	uint64_t seq;
	int64_t offset;
	const char *what;
};

/* The segments of a partition that count, in log order; *ret is malloc'ed, the caller's. */
MUST_CHECK int witnessed_segments(struct ledger *l, const struct witness_key *k, int32_t partition,
	struct witness_segment **ret, size_t *ret_n, struct err *e);

/* Give each row that counts of a partition, in log order. `each` returns 0 or a code that ends it. */
MUST_CHECK int witnessed_rows(struct ledger *l, const struct witness_key *k, int32_t partition,
	int (*each)(const struct witness_row *row, void *arg, struct err *e), void *arg,
	struct err *e);

/* One partition's part of a commit. */
struct witness_advance {
	int32_t partition;
	int32_t generation;
	int64_t next_offset;
	int64_t log_start, log_end;     /* -1: not asked */
	struct witness_segment segment; /* its number is one more than the last one's */
};

/* A checker as a whole, since it started. */
struct witness_checker {
	const char *host;
	int pid;
	uint64_t read;              /* records */
	int64_t read_ns;            /* from the first of them until the last */
	const struct hist *latency; /* from send until read */
	bool ended;
};

/* Segment `from` is folded into its older neighbour `into`. */
struct witness_fold {
	int32_t partition;
	int64_t into, from;
};

struct witness_sample {
	int64_t wall_ns;
	double seconds;
	uint64_t read;
	int64_t p50_ns, p99_ns, max_ns; /* max_ns < 0: none */
	const char *source;
};

struct witness_commit {
	struct witness_key key;
	int64_t owner;
	const struct witness_advance *advance;
	size_t n_advances;
	const struct witness_row *row;
	size_t n_rows;
	const struct witness_damage *damage;
	size_t n_damages;
	const struct witness_fold *fold;
	size_t n_folds;
	struct message_writer *writer; /* with --record=messages; NULL: without */
	struct message_batch messages;
	const struct witness_sample *sample;   /* NULL: none */
	const struct witness_checker *checker; /* NULL: as last told */
};

/*
 * Write it, in one transaction. ERR_LOST_OWNERSHIP: another checker took over. After ERR_LEDGER_AWAY the
 * caller reconnects and asks witnessed_segment() whether it is in before it tries again.
 */
MUST_CHECK int witnessed_commit(struct ledger *l, const struct witness_commit *c, struct err *e);

/*
 * Write what a checker is and read, over what it wrote before. Needs no ownership: it is its own account.
 * Blocks for one statement.
 */
MUST_CHECK int witnessed_checker(struct ledger *l, const struct witness_key *k, int64_t owner,
	const struct witness_checker *c, struct err *e);

/* Number of the last segment written of a partition. ERR_LOST_OWNERSHIP: it is another's now. */
MUST_CHECK int witnessed_segment(struct ledger *l, const struct witness_key *k, int32_t partition,
	int64_t owner, int64_t *ret, struct err *e);

/*
 * Begin a new generation, at a cost that does not grow with the messages that were recorded: segments that
 * end in (from_offset, to_offset] become history, with all that they hold; reading goes on at next_offset. By
 * offset, as numbers do not rise along a log that was swept. cause is "cut" or "sweep".
 */
struct witness_generation {
	int32_t partition;
	int32_t generation;             /* the new one's number: one more than before */
	int64_t from_offset, to_offset; /* borders of segments; -1, INT64_MAX: all */
	int64_t next_offset;
	int64_t segment; /* number of the last one written: stays */
	const char *cause;
	const char *why;
};
MUST_CHECK int witnessed_begin_generation(struct ledger *l, const struct witness_key *k,
	int64_t owner, const struct witness_generation *g, struct err *e);

/*
 * Note that a position gave two contents although nothing hints at a cut; once is enough. As the others
 * here, only for its owner: ERR_LOST_OWNERSHIP.
 */
MUST_CHECK int witnessed_inconsistent(struct ledger *l, const struct witness_key *k,
	int32_t partition, int64_t owner, int64_t offset, struct err *e);

/* Those of a partition, in order; *ret is malloc'ed, the caller's. */
MUST_CHECK int witnessed_inconsistents(struct ledger *l, const struct witness_key *k,
	int32_t partition, int64_t **ret, size_t *ret_n, struct err *e);

/*
 * Make fewer rows of what is acknowledged, read and older than this, and of samples of rate and latency
 * older than ten minutes, and give the space of all that was
 * folded back to the tables (VACUUM: a large ledger of others is read once, without locking anybody out).
 * Not inside a transaction.
 */
MUST_CHECK int witnessed_fold_outcomes(
	struct ledger *l, int64_t run_id, int seconds, struct err *e);

#endif
