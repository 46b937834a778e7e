#ifndef SCENARIOS_LAB_TEMPLATE_H
#define SCENARIOS_LAB_TEMPLATE_H

#include "core/buf.h"

/* The lab's texts (scenarios/lab/KIND/, embedded as lab_data.h) with @NAME@ for what a lab fills in. */

struct template_pair {
	const char *name; /* without the @; NULL ends a list */
	const char *value;
};

/* Add the text to b, each @NAME@ that is in pairs replaced; any other @ stays. */
void template_fill(struct buf *b, const char *text, const struct template_pair *pairs);

#endif
