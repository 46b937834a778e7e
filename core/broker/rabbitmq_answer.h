#ifndef CORE_BROKER_RABBITMQ_ANSWER_H
#define CORE_BROKER_RABBITMQ_ANSWER_H

#include <stdbool.h>

#include "core/broker/rabbitmq_props.h"

/* An argument of a queue; what is a text is what its name wants as one, see rabbitmq_arg_parse(). */
struct rabbitmq_argument {
	char name[64];
	char value[RABBITMQ_TEXT_LEN];
};

/*
 * What a PRECONDITION_FAILED for a declare minds: the name of an argument or property, and what the queue has of
 * it ("": none). rabbit_misc:assert_args_equivalence() and equivalence_fail(), RabbitMQ 3.10.8:
 *
 *	inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '100' of
 *	type 'signedint'
 *	inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'
 *
 * False: it is no such answer, or has no room in ret.
 */
bool rabbitmq_answer_read(const char *text, struct rabbitmq_argument *ret);

#endif
