#ifndef CHECKER_LADDER_H
#define CHECKER_LADDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/ledger/witnessed.h"

/*
 * The segments of a partition that was read, with an anchor at the end of each: dense at the end of the
 * log, thinner behind. 10^9 records have some sixty. A plain value; ladder_clear() frees it.
 */
#define LADDER_DENSE 8      /* the newest so many are never folded */
#define LADDER_MAX_FOLDS 64 /* in one commit, of all partitions together */

struct ladder {
	struct witness_segment *segment; /* in log order */
	size_t n, cap;
};

/* Add the newest; `written`: it is in the ledger already. Returns 0 or ERR_NOMEM. */
MUST_CHECK int ladder_push(struct ladder *l, const struct witness_segment *s, bool written);

/*
 * Choose segments to be folded into their older neighbours, and fold them here: two neighbours become one
 * when together they hold at most a quarter of the records behind them. All segments of the ladder must
 * be in the ledger by now. Returns how many folds were put into `ret`, at most max.
 */
size_t ladder_fold(struct ladder *l, int32_t partition, struct witness_fold *ret, size_t max);

void ladder_clear(struct ladder *l);

#endif
