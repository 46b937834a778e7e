#ifndef SCENARIOS_RUNNER_EXECUTION_H
#define SCENARIOS_RUNNER_EXECUTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/status.h"
#include "scenarios/runner/scenario.h"

/*
 * One scenario once: a folder with the twins' arguments in files, the script as a process of its own, and
 * in the end the reports of its runs, judged.
 *
 * The script's side of it is scenarios/lib.sh. They speak by files in the folder:
 *
 *     twins           "NAME ROLE ROUND" a line; ROUND is '-' where there is one round only
 *     NAME.args       arguments for `mqaudit run`, one a line
 *     NAME.status     what probe and checker say of themselves (core/status.h)
 *     NAME.json       the run's report
 *     notes           what the script says, a line each, fields by tabs apart: see execution.c
 *     log             all else that it prints
 */

/* What all executions of a suite have in common. Borrowed. */
struct stage_set {
	const char *broker;
	const char *lab;       /* its name */
	const char *cluster;   /* file that describes the user's own cluster; NULL: the lab */
	const char *bootstrap; /* the cluster's */
	const char *
		client_config; /* ... and how to log in, for every twin but the user's own; or NULL */
	const char *program;   /* this program's path, for the scripts */
	const char *ledger;    /* URL; NULL: the embedded one */
	const char *folder;    /* of the suite: executions make theirs below it */
	const char *tag;       /* makes names of runs and topics unique */
	bool with_mine;
	const char *producer_config; /* of the third twin; NULL: none */
	const char *consumer_config;
	const char *const *topic_config;
	size_t n_topic_config;
	const char *const *property;
	size_t n_properties;
};

#define EXECUTION_MAX_TWINS (SCENARIO_MAX_TWINS + 1)

struct execution {
	const struct stage_set *set;
	const struct scenario *scenario;
	int repetition;      /* from 1 */
	char first_try[400]; /* why this is the second; "": it is the first */
	char folder[PATHS_MAX];
	struct twin mine;
	const struct twin *twin[EXECUTION_MAX_TWINS]; /* all that take part */
	struct expect expect[EXECUTION_MAX_TWINS];    /* as declared, sharpened by the script */
	char skipped[EXECUTION_MAX_TWINS][200];       /* why it cannot run here; "": it runs */
	size_t n_twins;
	pid_t pid; /* 0: not running */
	int64_t started_ns, deadline_ns;
	bool asked_to_end; /* SIGTERM was sent */
	bool killed;       /* ... and SIGKILL: it did not heed it */
	bool overdue;
	int exit_code;
	char step[160];  /* what the script does just now */
	char fault[200]; /* what is on just now; "" for nothing */
	size_t notes_read;
	json_t *proofs;   /* what, proof */
	json_t *troubles; /* why it is undecided, in words */
};

/*
 * Write the folder and start the script. first_try: why it is tried again; NULL: it is not. x is zeroed here; execution_release() also after a failure.
 * Returns 0 or ERR_IO, ERR_NOMEM, ...
 */
MUST_CHECK int execution_start(struct execution *x, const struct stage_set *set,
	const struct scenario *s, int repetition, const char *first_try, struct err *e);

/*
 * See how it is: reads the notes, ends it at its deadline. Does not block. Returns true when it has ended.
 */
bool execution_poll(struct execution *x);

/* Ask the script to end (SIGTERM): it stops its runs. Fine when it has ended. */
void execution_stop(struct execution *x);

/* What a twin's probe and checker say of themselves; false: nothing yet. */
bool execution_status(const struct execution *x, size_t twin, struct status_probe *ret_probe,
	struct status_check *ret_check);

/*
 * The result of an execution that has ended, as an object of the suite's JSON (see README): name, verdict,
 * seconds, fault, twins. NULL: out of memory.
 */
json_t *execution_judge(struct execution *x);

void execution_release(struct execution *x);

#endif
