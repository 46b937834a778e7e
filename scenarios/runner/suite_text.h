#ifndef SCENARIOS_RUNNER_SUITE_TEXT_H
#define SCENARIOS_RUNNER_SUITE_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "core/err.h"
#include "scenarios/runner/execution.h"

/* A suite's result for people and machines, from its JSON (mqaudit-suite/1). */

/* The line above all. */
void suite_text_head(FILE *to, const json_t *head, const struct scenario_list *list, bool colour);

/* One execution: a line of its own for each twin, and why for those that are not as declared. */
void suite_text_scenario(FILE *to, const json_t *result, bool colour);

/* What it comes to. */
void suite_text_end(FILE *to, const json_t *result, bool colour);

/* Where things stand, for the progress line: step, fault, acked, pending and lost so far. */
void suite_text_progress(struct execution *const *running, size_t n, struct buf *out);

/*
 * The whole result: forms are text, json, junit and markdown. Returns 0, ERR_USAGE (no such form) or
 * ERR_IO.
 */
MUST_CHECK int suite_write(
	const char *form, const json_t *result, FILE *to, bool colour, struct err *e);
bool suite_form_known(const char *form);

/* JUnit XML: a test case per scenario and twin. */
void suite_junit(const json_t *result, FILE *to);

/* A summary for a pull request. */
void suite_markdown(const json_t *result, FILE *to);

/* "LOST 3,919 broker, DUPLICATED 2 produce", or "clean"; for all forms. */
void suite_found_text(const json_t *twin, struct buf *out);

#endif
