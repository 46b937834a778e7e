#ifndef SCENARIOS_RUNNER_EXPECT_H
#define SCENARIOS_RUNNER_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/words.h"

/*
 * What a twin must give: its verdict, its findings, and nothing else.
 *
 *     FAIL lost@broker                       at least one message lost at the broker
 *     PASS expired@broker=400                exactly 400 expired
 *     PASS|FAIL duplicated@produce>=0        may be, need not be
 *     FAIL lost@broker>=1 reordered@produce<=3
 *
 * A kind that is not named must not be found at all.
 */

#define EXPECT_MAX_ITEMS 8

/* So many messages of a kind, at a stage. */
struct tally {
	enum finding_kind kind;
	enum stage stage;
	uint64_t count;
};

#define TALLY_MAX 32
struct tallies {
	struct tally at[TALLY_MAX];
	size_t n;
};

struct expect_item {
	enum finding_kind kind;
	enum stage stage;
	uint64_t min, max; /* messages; both included */
};

struct expect {
	uint32_t verdicts; /* bit (1 << enum verdict): those that will do */
	struct expect_item item[EXPECT_MAX_ITEMS];
	size_t n;
};

/* Read such a text. Returns 0 or ERR_USAGE, which says what is wrong with it. */
MUST_CHECK int expect_parse(const char *text, struct expect *ret, struct err *e);

/*
 * Sharpen what is expected of a kind, which must have been declared: "lost@broker=400". Returns 0 or
 * ERR_USAGE.
 */
MUST_CHECK int expect_sharpen(struct expect *x, const char *text, struct err *e);

/* As it would be written. */
void expect_format(const struct expect *x, struct buf *out);

/* Add messages of a kind; they are summed by kind and stage. */
void tallies_add(struct tallies *t, enum finding_kind kind, enum stage stage, uint64_t count);
uint64_t tallies_count(const struct tallies *t, enum finding_kind kind, enum stage stage);

/* "lost at broker 3,919, duplicated at produce 2"; "nothing" when there are none. */
void tallies_format(const struct tallies *t, struct buf *out);

struct expect_result {
	bool missing; /* something declared was not found, or less of it than declared */
	bool surplus; /* something was found that was not declared, or more of it */
	bool verdict; /* another verdict than declared */
};

/*
 * Compare; why (may be NULL) gets one sentence for each difference. All members false: just as
 * declared.
 */
struct expect_result expect_compare(
	const struct expect *x, enum verdict verdict, const struct tallies *found, struct buf *why);

#endif
