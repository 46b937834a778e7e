#ifndef CORE_BROKER_RABBITMQ_PROPS_H
#define CORE_BROKER_RABBITMQ_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/broker/broker.h"
#include "core/err.h"
#include "core/props.h"

/*
 * The properties of a RabbitMQ client. rabbitmq-c has no configuration of its own, so the names are ours:
 * a table of them, each with a type, a default and a sentence, which reading and --help go by.
 */

#define RABBITMQ_TEXT_LEN 256 /* AMQP's short strings with NUL */
#define RABBITMQ_PATH_LEN 1024

/* A client's properties with every default filled in. Holds the password: wipe it after use. */
struct rabbitmq_settings {
	bool confirms;
	bool mandatory;
	bool persistent;
	bool blocked_notice;
	char exchange[RABBITMQ_TEXT_LEN];
	char routing_key[RABBITMQ_TEXT_LEN]; /* the queue's name when none is given */
	int window;
	int max_message_bytes;
	int first_node; /* from 1, as they are listed */
	int prefetch;
	int heartbeat_s;
	int tcp_user_timeout_ms;
	char queue_type[16]; /* "": the broker is asked */
	char ssl_ca[RABBITMQ_PATH_LEN];
	char ssl_certificate[RABBITMQ_PATH_LEN];
	char ssl_key[RABBITMQ_PATH_LEN];
	bool ssl_verify;
	char user[RABBITMQ_TEXT_LEN];     /* "": the URL's, or the lab's, or "guest" */
	char password[RABBITMQ_TEXT_LEN]; /* "": the lab's, or for the user guest "guest" */
};

/*
 * Read the properties (NULL: none) for a queue of that name. MQAUDIT_AMQP_PASSWORD of the environment
 * stands for a property `password` that is not there.
 *
 * Returns 0 or ERR_USAGE: an unknown name (all that there are in the hint), or a value that is wrong.
 */
MUST_CHECK int rabbitmq_settings_read(
	const struct props *props, const char *queue, struct rabbitmq_settings *ret, struct err *e);

/* Every setting by its name, secrets as PROPS_HIDDEN. */
void rabbitmq_settings_give(const struct rabbitmq_settings *s, broker_setting_fn *fn, void *arg);

/* Does a property say how to reach and enter the broker? Clients of the judge's own take only these. */
bool rabbitmq_props_is_connection(const char *name);

/* Is there a property of this name? */
bool rabbitmq_props_known(const char *name);

/* The i-th property of the table; false behind the last. The texts are constants. */
bool rabbitmq_props_row(
	size_t i, const char **ret_name, const char **ret_default, const char **ret_help);

/*
 * A properties file into out. No names are translated; unknown ones are refused with the line's number.
 * Returns 0, ERR_USAGE, ERR_NOMEM or ERR_LIMIT.
 */
MUST_CHECK int rabbitmq_props_translate(const struct props *in, struct props *out, struct err *e);

/* ---- arguments of a queue that is made ---- */

enum rabbitmq_arg_kind { RABBITMQ_ARG_TEXT, RABBITMQ_ARG_NUMBER, RABBITMQ_ARG_BOOL };

/*
 * What a queue's argument is on the wire: numbers become integers, true and false booleans, all else texts; and
 * texts stay what the broker wants as a text (a dead-letter routing key 17). *ret_number is the number, or 1
 * for true.
 */
enum rabbitmq_arg_kind rabbitmq_arg_parse(const char *name, const char *value, int64_t *ret_number);

#endif
