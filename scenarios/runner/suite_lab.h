#ifndef SCENARIOS_RUNNER_SUITE_LAB_H
#define SCENARIOS_RUNNER_SUITE_LAB_H

#include <stdbool.h>

#include <jansson.h>

#include "core/err.h"
#include "scenarios/runner/suite.h"

/* The lab that a suite runs on. */

struct cluster;

struct suite_lab {
	const struct suite_wish *wish;
	const struct cluster *cluster; /* in its place; NULL: none. Borrowed */
	char program[PATHS_MAX];
	bool loop;      /* one of ours has a disk for each node: some scenario needs it */
	bool made;      /* by us: taken down in the end */
	bool used_up;   /* ... and a scenario changes its version: good for that one only */
	char *profile;  /* settings of the nodes that we made it with, a line each */
	json_t *status; /* of `lab status`; NULL: not up */
	void (*say)(const char *text);
};

/*
 * Have a lab that a scenario can run on: one that was up is used as it is; our own is made, or made again
 * with other settings. Blocks. ret_unfit is "" or why the scenario cannot be run there (then 0 is
 * returned). Returns 0 or why there is no lab.
 */
MUST_CHECK int suite_lab_fit(struct suite_lab *lab, const struct scenario *s, char *ret_unfit,
	size_t len, struct err *e);

/* Would it have to be made again for that scenario? */
bool suite_lab_must_change(const struct suite_lab *lab, const struct scenario *s);

/* Take it down if it is ours. */
MUST_CHECK int suite_lab_end(struct suite_lab *lab, struct err *e);

#endif
