#ifndef CORE_BROKER_RABBITMQ_REMOVALS_H
#define CORE_BROKER_RABBITMQ_REMOVALS_H

#include "core/broker/rabbitmq.h"

/* What takes messages from a queue but consumers: settings of queues, put together of arguments and policies. */

#define RABBITMQ_LIMITS_LEN 400

/* Which of a queue's own arguments can take messages from it: "x-message-ttl=500, ..."; "": none. */
void rabbitmq_limits_of(const struct rabbitmq_queue *q, char *ret, size_t len);

/*
 * A queue as its nodes describe it. name: of an argument, without the "x-" in front, or of a policy's definition;
 * policy: that policy's name, "" for an argument.
 */
struct rabbitmq_trait {
	char name[64];
	char value[RABBITMQ_TEXT_LEN];
	char policy[RABBITMQ_TEXT_LEN];
};

#define RABBITMQ_MAX_TRAITS 48
struct rabbitmq_portrait {
	char type[16];    /* "classic", "quorum", "stream" */
	char version[32]; /* of the broker */
	struct rabbitmq_trait trait[RABBITMQ_MAX_TRAITS];
	size_t n_traits;
};

/* The value in effect of a setting: an argument's before a policy's; NULL: not set. */
const char *rabbitmq_portrait_get(const struct rabbitmq_portrait *p, const char *name);

/* Fill limits, expires and dead_letter_queue (as far as the default exchange tells it) of ret. */
void rabbitmq_portrait_tell(const struct rabbitmq_portrait *p, struct broker_removals *ret);

/* What becomes of dead letters, in the broker's words: "disabled", "at_most_once", "at_least_once". */
const char *rabbitmq_portrait_strategy(const struct rabbitmq_portrait *p);

/* Add a name to a list, comma-separated. */
void rabbitmq_name_add(char *list, size_t len, const char *name);

/* ---- rabbitmq_management.c ---- */

/* As the operation removals(), by config->management. */
MUST_CHECK int rabbitmq_of_management(
	const struct broker_config *c, struct broker_removals *ret, struct err *e);

/* Add a count to ret. ERR_NOMEM. */
MUST_CHECK int rabbitmq_count_add(struct broker_removals *ret, const char *node,
	const char *incarnation, const char *name, uint64_t count);

#endif
