#ifndef CORE_LEDGER_GC_H
#define CORE_LEDGER_GC_H

#include "core/ledger/ledger.h"
#include "core/ledger/run.h"

/*
 * Housekeeping in a ledger that is in use. Nothing here touches a run that is open, and what is kept of a
 * closed one says the same as before: its findings, counts and verdict are not computed again.
 */

/* Bytes of all tables and indexes of the ledger. */
MUST_CHECK int gc_size(struct ledger *l, uint64_t *ret_bytes, struct err *e);

/*
 * Remove each closed run of which nothing was heard for so many days (it ended, was read, and heard from its
 * producers before that), with all of its evidence, one after the other: each is a transaction of its own.
 * `each` is told of a run that is gone: name and time, borrowed; it returns 0 or a code that ends it. Blocks:
 * a second for a million rows. Codes as pg.h.
 */
#define GC_MAX_DAYS 1000000u
MUST_CHECK int gc_remove_old(struct ledger *l, uint64_t days,
	int (*each)(const char *name, const char *ended, void *arg, struct err *e), void *arg,
	struct err *e);

/*
 * Fold what probes said of closed runs as far as the log bears it out: adjacent outcomes and intents become
 * one row. *ret_runs: closed runs there are; *ret_rows: how many rows fewer there are now.
 */
MUST_CHECK int gc_fold(struct ledger *l, uint64_t *ret_runs, uint64_t *ret_rows, struct err *e);

/*
 * VACUUM and ANALYZE all tables of the ledger; locks nobody out. Tables of another owner are passed over by
 * the server. Blocks: minutes for tens of gigabytes, at most GC_VACUUM_TIMEOUT. Not inside a transaction.
 */
#define GC_VACUUM_TIMEOUT (INT64_C(6) * 3600 * 1000000000)
MUST_CHECK int gc_vacuum(struct ledger *l, struct err *e);

#endif
