#ifndef REPORTERS_REPORT_H
#define REPORTERS_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "core/err.h"
#include "core/ledger/run.h"
#include "core/words.h"

/*
 * Reports: what the ledger knows of a run, as one JSON document (mqaudit-report/1), which every reporter
 * tells in its own form.
 */

/*
 * Load the report of a run. max_findings: more are left out of "findings" (never out of the sums).
 * *ret is the caller's (json_decref).
 */
MUST_CHECK int report_load(struct ledger *l, const struct run *run, uint64_t max_findings, json_t **ret,
	struct err *e);

struct report_style {
	bool colour;
	uint64_t limit;    /* findings in a text table; 0: all */
};

/* One form of a report. */
struct reporter {
	const char *name;
	void (*write)(const json_t *report, const struct report_style *style, FILE *to);
};

/* All forms, ended by a row without a name. */
extern const struct reporter reporters[];
const struct reporter *reporter_find(const char *name);

void report_text(const json_t *report, const struct report_style *style, FILE *to);
void report_json(const json_t *report, const struct report_style *style, FILE *to);

/* The exit code that goes with a report's verdict; an open run is undecided. */
enum exit_code report_exit_code(const json_t *report);

#endif
