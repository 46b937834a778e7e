#ifndef REPORTERS_REPORT_H
#define REPORTERS_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"
#include "core/ledger/run.h"
#include "core/words.h"

/*
 * Reports: what the ledger knows of a run. A report is a small JSON document (all members of
 * mqaudit-report/1 but "findings") and the findings, which come one at a time, as there may be very
 * many. Each reporter tells it in a form of its own.
 */

/* One finding. Texts are borrowed: they live until `each` returns. */
struct report_finding {
	const char *kind;
	const char *stage;
	int64_t producer_id, epoch, partition; /* producer_id 0: unnamed corruption */
	uint64_t lo, hi;
	uint64_t count; /* messages; surplus copies for duplicated */
	const char *why;
	const char *positions; /* JSON array, as the report has it */
	uint64_t positions_omitted;
	uint64_t positions_unknown; /* no longer known */
	bool withdrawn;
	bool provisional;      /* the live tracker's; not judged yet */
	int64_t first_wall_ns; /* when it was sent; 0: not known */
	int64_t last_wall_ns;
	int64_t acked_first; /* the offsets that its messages were acked at; -1: not known */
	int64_t acked_last;
};

/* Called for each finding. Returns 0, or a code that ends the walk (with e filled). */
typedef int report_each_fn(const struct report_finding *f, void *arg, struct err *e);

/*
 * Where findings come from: report_open() sets it up; tests bring their own. Gives at most `limit`
 * of them, what breaks promises first; withdrawn ones last, and only when asked for.
 */
struct report_source {
	int (*each)(struct report_source *from, bool withdrawn, uint64_t limit, report_each_fn *fn,
		void *arg, struct err *e);
};

struct report {
	json_t *doc;
	struct report_source *source;
};

/*
 * Open the report of a run. What is told later is what the ledger held now: a transaction stays
 * open on l until report_close(), and l is not to be used for anything else. Blocks while the
 * ledger answers.
 *
 * Returns 0, ERR_NOTFOUND (removed in the meantime), or as pg.h.
 */
MUST_CHECK int report_open(
	struct ledger *l, const struct run *run, struct report *ret, struct err *e);

/* Close it; fine for one that was never opened ({0}). */
void report_close(struct report *r);

/* Give at most `limit` findings (0: all). Memory does not grow with them. Returns as `fn` or pg.h.
 */
MUST_CHECK int report_each_finding(struct report *r, bool withdrawn, uint64_t limit,
	report_each_fn *fn, void *arg, struct err *e);

struct report_style {
	bool colour;
	uint64_t limit; /* findings in a text table; 0: all */
	unsigned width; /* columns to wrap at; 0: a default */
};

/* One form of a report. */
struct reporter {
	const char *name;
	const char *extension; /* of its files, without the dot */
	/* Write it; `to` is flushed and looked at by the caller. Returns 0 or as
	 * report_each_finding(). */
	int (*write)(struct report *r, const struct report_style *style, FILE *to, struct err *e);
};

/* All forms, ended by a row without a name; and one by name: NULL when there is none. */
extern const struct reporter reporters[];
const struct reporter *reporter_find(const char *name);

MUST_CHECK int report_text(
	struct report *r, const struct report_style *style, FILE *to, struct err *e);
MUST_CHECK int report_json(
	struct report *r, const struct report_style *style, FILE *to, struct err *e);

/* The exit code that goes with a report's verdict; an open run is undecided. */
enum exit_code report_exit_code(const json_t *doc);

/* "1.1.0" and the like for JSON members that are texts or integers; "" and 0 when there are none.
 */
const char *report_member_text(const json_t *o, const char *name);
uint64_t report_member_number(const json_t *o, const char *name);

/* Messages of a kind of finding at a stage (NULL: at all of them), as the report's sums have it. */
uint64_t report_sum(const json_t *doc, const char *kind, const char *stage);

/* "2026-11-21T12:30:52.104000Z" as nanoseconds since 1970; 0 when it is none. */
int64_t report_time(const char *iso);

#endif
