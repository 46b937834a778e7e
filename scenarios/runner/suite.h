#ifndef SCENARIOS_RUNNER_SUITE_H
#define SCENARIOS_RUNNER_SUITE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "core/err.h"
#include "scenarios/runner/execution.h"
#include "scenarios/runner/scenario.h"

/* Scenarios one after the other (those that disturb nobody side by side), on a lab. */

struct suite_wish {
	const char *name; /* of the suite, for the report */
	const char *broker;
	const char *lab;     /* used if it is up, else made and taken down again */
	const char *cluster; /* file of the user's own cluster; NULL: a lab */
	const char *version; /* of the lab's broker; NULL: the default */
	const char *ledger;
	const char *program;              /* for the scripts; NULL: this one */
	const char *folder;               /* for logs; NULL: one below the state folder */
	const char *const *broker_config; /* settings of the lab's nodes */
	size_t n_broker_config;
	bool with_mine;
	const char *producer_config, *consumer_config;
	const char *const *topic_config;
	size_t n_topic_config;
	const char *const *property;
	size_t n_properties;
	int repeat; /* each scenario so many times */
	int jobs;   /* so many quiet ones side by side */
	int64_t lab_timeout_ns;
};

/* What goes on, for people. All members may be NULL. */
struct suite_ears {
	void *ctx;
	/* About to begin: versions are known. */
	void (*begin)(void *ctx, const json_t *head, const struct scenario_list *list);
	/* Every 200 ms or so: what runs just now. */
	void (*tick)(void *ctx, struct execution *const *running, size_t n);
	/* One execution has ended: its result, as in the suite's JSON. */
	void (*done)(void *ctx, const struct scenario *s, const json_t *result);
	void (*say)(const char *text);
};

/*
 * Run them all. Blocks until the last has ended, or until stop_asked(): then what runs is ended in order,
 * and what has not begun is left out. A lab that was made is taken down in any case.
 *
 * *ret_result is the suite's JSON (mqaudit-suite/1, see README), which the caller frees; it may be there
 * after a failure too. Returns 0 (whatever the verdict), or why nothing could be run: ERR_DENIED (not
 * declared a test cluster, no rights), ERR_TIMEOUT, ERR_IO, ERR_NOMEM, ...
 */
MUST_CHECK int suite_run(const struct suite_wish *wish, const struct scenario_list *list,
	const struct suite_ears *ears, json_t **ret_result, struct err *e);

/* The verdict of a suite's result. */
enum verdict suite_verdict(const json_t *result);

#endif
