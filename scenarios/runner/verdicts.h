#ifndef SCENARIOS_RUNNER_VERDICTS_H
#define SCENARIOS_RUNNER_VERDICTS_H

#include <stdbool.h>

#include <jansson.h>

#include "scenarios/runner/expect.h"
#include "scenarios/runner/scenario.h"

/* What is said of a twin whose client library ended by itself; lib.sh says the same. */
#define VERDICTS_GAVE_UP "its client gave up"

/*
 * What a twin's report is worth. The results are objects of the suite's JSON; their `outcome` is
 *
 *     ok          just what was declared
 *     not-caught  a bad twin without its findings: the fault did not bite, or the auditor is blind
 *     broken      findings that were not declared: somebody broke a promise
 *     undecided   the run itself is undecided, or was stopped before it had a report
 *     error       there is no report
 *     skipped     this cluster cannot have such a twin, and why: counts for nothing
 *
 * and for the user's own settings
 *
 *     safe, unsafe, unproven (nothing showed that the fault bites)
 */

#define RUN_NAME_LEN 121

/* report NULL: there is none. Borrowed. NULL: out of memory. */
json_t *verdicts_twin(const struct scenario *s, const struct twin *t, const struct expect *x,
	const char *run_name, const json_t *report);
/* A twin that need not have a report, and why: outcome is "skipped" or "undecided". NULL: out of memory. */
json_t *verdicts_without_report(const struct scenario *s, const struct twin *t,
	const char *run_name, const char *outcome, const char *why);
json_t *verdicts_mine(
	const struct scenario *s, const char *run_name, const json_t *report, bool fault_proved);

/*
 * Add `verdict` to a scenario's result: FAIL when a twin is broken or unsafe, ERROR, UNDECIDED when a bad
 * twin was not caught (unless bounded: then that is a count) or something could not be told, PASS, or NODATA
 * when every twin was skipped.
 */
void verdicts_scenario(json_t *result, bool bounded);

/* The verdict that outranks the other: FAIL, ERROR, UNDECIDED, PASS; NODATA is less than PASS. */
enum verdict verdicts_worse(enum verdict a, enum verdict b);

/* A text member of an object; "" when there is none. */
const char *verdicts_text(const json_t *object, const char *name);

#endif
