#ifndef SCENARIOS_RUNNER_REPEATS_H
#define SCENARIOS_RUNNER_REPEATS_H

#include <stdint.h>

#include <jansson.h>

#include "core/buf.h"

/* What repetition showed: how often each twin gave what was declared, and between what bounds that lies. */

/*
 * The 95 % bounds of a probability that `hits` of `runs` (1 to 100,000) were seen of, after Clopper and
 * Pearson: exact, never too narrow. Where none or all were hit the bound is one-sided: 0 of N is below
 * 1 - 0.05^(1/N), nearly 3/N.
 */
void repeats_bounds(uint64_t hits, uint64_t runs, double *ret_low, double *ret_high);

/*
 * An object for each twin of each scenario (of the suite's JSON) that was run more than once:
 *
 *     scenario, twin, role, bounded
 *     runs      how often
 *     decided   of these, with an outcome of its own: neither undecided nor in error
 *     caught    of these, as declared (mine: SAFE)
 *     rate, low, high   of caught in decided; absent when none was decided
 *     same      all the same
 *     results   what came, how often: {"result", "runs"}
 *
 * The caller owns it. NULL: out of memory.
 */
json_t *repeats_json(const json_t *scenarios);

/* One of these in words: "5 times the same: ok, lost at broker", "caught in 3 of 5 ..., 95 %: 15-95 %". */
void repeats_text(const json_t *repeat, struct buf *out);

#endif
