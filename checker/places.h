#ifndef CHECKER_PLACES_H
#define CHECKER_PLACES_H

#include "core/broker/broker.h"
#include "core/ledger/judged.h"

/*
 * Finding messages again. Of ranges that were folded only the first and last position is kept; where
 * between them a message lies is read from the log when somebody wants to know.
 */
struct places_plan {
	const struct broker_ops *ops;
	const struct broker_config *broker;
	enum broker_isolation isolation;
	uint64_t run_id;
};

/*
 * Look for places of one side: fills the offset of each that is JUDGED_NOT_LOOKED, with where it is or
 * JUDGED_GONE. Between a place's borders the seqs of its lane rise with the offsets, so that it is
 * searched, not read through. Places sorted by partition and position are found fastest.
 *
 * Blocks until deadline_ns (of clock_ns()) at most; what was not reached by then, or could not be read,
 * stays JUDGED_NOT_LOOKED. Returns 0, or as reader_open() and reader_start(), or ERR_NOMEM.
 */
MUST_CHECK int places_find(const struct places_plan *plan, struct judged_place *place, size_t n,
	int64_t deadline_ns, struct err *e);

#endif
