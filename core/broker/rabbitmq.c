/* RabbitMQ by rabbitmq-c: the operations. */
#include "core/broker/rabbitmq.h"

#include <stdio.h>

static const char *library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "rabbitmq-c %s", amqp_version());
	return text;
}

static const char *code_text(int code)
{
	switch (code) {
	case RABBITMQ_CODE_NACK:
		return "nack: the broker could not take it";
	case RABBITMQ_CODE_NO_CONNECTION:
		return "the broker did not let us in";
	case AMQP_NO_ROUTE:
		return "NO_ROUTE: returned, no queue is bound for its key";
	case AMQP_CONTENT_TOO_LARGE:
		return "larger than max.message.bytes";
	case AMQP_NOT_FOUND:
		return "NOT_FOUND";
	case AMQP_ACCESS_REFUSED:
		return "ACCESS_REFUSED";
	case AMQP_PRECONDITION_FAILED:
		return "PRECONDITION_FAILED";
	case AMQP_CONNECTION_FORCED:
		return "CONNECTION_FORCED";
	case AMQP_INTERNAL_ERROR:
		return "INTERNAL_ERROR";
	case AMQP_NOT_IMPLEMENTED:
		return "NOT_IMPLEMENTED";
	default:
		return code < 0 ? amqp_error_string2(code) : "closed by the broker";
	}
}

static int props_translate(const struct props *in, enum broker_role role, struct props *out,
	struct props *warnings, struct err *e)
{
	(void)role;
	(void)warnings;
	return rabbitmq_props_translate(in, out, e);
}

static const char *const schemes[] = {"amqp", "amqps", NULL};

const struct broker_ops broker_rabbitmq = {
	.scheme = "amqp",
	.schemes = schemes,
	.caps = BROKER_CAP_POSITIONS | BROKER_CAP_FENCE | BROKER_CAP_QUEUE | BROKER_CAP_ROUTING,
	.password = "password",
	.library = library,
	.code_text = code_text,
	.props_translate = props_translate,
	.props_is_connection = rabbitmq_props_is_connection,
	.topic = rabbitmq_topic,
	.create = rabbitmq_create,
	.bind = rabbitmq_bind,
	.destroy = rabbitmq_destroy,
	.topic_settings = rabbitmq_topic_settings,
	.live_groups = rabbitmq_live_groups,
	.node_answers = rabbitmq_node_answers,
	.queue_look = rabbitmq_queue_look,
	.removals = rabbitmq_removals,
	.dead_letters = rabbitmq_dead_letters,
	.producer_open = rabbitmq_producer_open,
	.producer_settings = rabbitmq_producer_settings,
	.producer_capacity = rabbitmq_producer_capacity,
	.producer_window = rabbitmq_producer_window,
	.producer_send = rabbitmq_producer_send,
	.producer_poll = rabbitmq_producer_poll,
	.producer_purge = rabbitmq_producer_purge,
	.producer_fatal = rabbitmq_producer_fatal,
	.producer_health = rabbitmq_producer_health,
	.producer_nodes = rabbitmq_producer_nodes,
	.producer_close = rabbitmq_producer_close,
	.reader_open = rabbitmq_reader_open,
	.reader_start = rabbitmq_reader_start,
	.reader_stop = rabbitmq_reader_stop,
	.reader_read = rabbitmq_reader_read,
	.reader_release = rabbitmq_reader_release,
	.reader_bounds = rabbitmq_reader_bounds,
	.reader_settle = rabbitmq_reader_settle,
	.reader_ahead = rabbitmq_reader_ahead,
	.reader_is_empty = rabbitmq_reader_is_empty,
	.reader_health = rabbitmq_reader_health,
	.reader_close = rabbitmq_reader_close,
	.fence = rabbitmq_fence,
};
