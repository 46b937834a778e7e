#ifndef SCENARIOS_LINT_LINT_REPORT_H
#define SCENARIOS_LINT_LINT_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "core/buf.h"
#include "core/opt.h"
#include "core/words.h"
#include "scenarios/lint/lint.h"

/* What lint says, as a text for people and as JSON (mqaudit-lint/1). */

struct lint_view {
	const struct lint *l;
	struct promise promise;
	const struct opt_list
		*accepted; /* scenarios whose predictions are shown and do not count */
	const char *topic; /* destination that was asked, or NULL */
	size_t n;
	struct lint_prediction prediction[LINT_PREDICTIONS_MAX];
};

/* Predict for the view's settings. */
void lint_view_predict(struct lint_view *v);

/* Does it break the promise, and count? Is the scenario among the accepted? */
bool lint_view_breaks(const struct lint_view *v, const struct lint_prediction *p);
bool lint_view_accepts(const struct lint_view *v, const struct lint_scenario *s);

/* Does anything that counts break the promise? */
bool lint_view_unsafe(const struct lint_view *v);

/* Can it be told, and is nothing predicted in the scenario that breaks the promise, accepted or not? */
bool lint_view_safe_in(const struct lint_view *v, const struct lint_scenario *s);

/* The text, within 100 columns; with colour when asked for. */
void lint_text(const struct lint_view *v, bool colour, FILE *to);

/* The JSON. A failure is in b. */
void lint_json(const struct lint_view *v, struct buf *b);

#endif
