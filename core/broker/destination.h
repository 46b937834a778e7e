#ifndef CORE_BROKER_DESTINATION_H
#define CORE_BROKER_DESTINATION_H

#include "core/broker/broker.h"
#include "core/opt.h"
#include "core/props.h"
#include "core/url.h"

/*
 * A destination as commands take it: a URL, the broker behind it, and the client properties that the user
 * gave. The options are the same in every command that talks to a broker: see DESTINATION_OPTS.
 */

struct destination_opts {
	struct opt_list property;    /* -X name=value */
	const char *producer_config; /* properties files */
	const char *consumer_config;
	const char *fence_config;
	const char *password_file;
	const char *management; /* --management */
	int64_t timeout_ns;     /* --timeout */
};

/* Rows for a command's option table; `member` is its struct destination_opts. */
#define DESTINATION_OPTS(owner, member)                                                                     \
	{.name = "property",                                                                                \
		.letter = 'X',                                                                              \
		.type = OPT_LIST,                                                                           \
		.arg = "NAME=VALUE",                                                                        \
		.offset = offsetof(owner, member.property),                                                 \
		.group = "Broker client",                                                                   \
		.help = "A property of the client library, in its own name (librdkafka; those of a "        \
			"RabbitMQ client are in the README); NAME=@FILE reads the value from a file, "      \
			"as secrets must be. Repeatable."},                                                 \
		{.name = "producer-config",                                                                 \
			.type = OPT_STRING,                                                                 \
			.arg = "FILE",                                                                      \
			.offset = offsetof(owner, member.producer_config),                                  \
			.help = "A properties file for the producer, in librdkafka's or Java's names."},    \
		{.name = "consumer-config",                                                                 \
			.type = OPT_STRING,                                                                 \
			.arg = "FILE",                                                                      \
			.offset = offsetof(owner, member.consumer_config),                                  \
			.help = "A properties file for the checker's readers; without it they take "        \
				"what is needed to connect from --producer-config and -X."},                \
		{.name = "fence-config",                                                                    \
			.type = OPT_STRING,                                                                 \
			.arg = "FILE",                                                                      \
			.offset = offsetof(owner, member.fence_config),                                     \
			.help = "A properties file for the client that writes the fence, if it needs "      \
				"other credentials."},                                                      \
		{.name = "password-file",                                                                   \
			.type = OPT_STRING,                                                                 \
			.arg = "FILE",                                                                      \
			.offset = offsetof(owner, member.password_file),                                    \
			.help = "A file whose first line is the password (RabbitMQ; Kafka's "               \
				"sasl.password)."},                                                         \
		{.name = "management",                                                                      \
			.type = OPT_STRING,                                                                 \
			.arg = "URL",                                                                       \
			.offset = offsetof(owner, member.management),                                       \
			.help = "RabbitMQ's management API (http://host:15672): tells which policies take " \
				"messages from a queue, and what they took. As the same user."},            \
	{                                                                                                   \
		.name = "timeout", .type = OPT_DURATION, .arg = "TIME", .dflt = "15s",                      \
		.offset = offsetof(owner, member.timeout_ns),                                               \
		.help = "How long the broker may take to answer a question."                                \
	}

struct destination {
	struct url url;
	char text[URL_PRINT_LEN]; /* canonical, without secrets */
	const struct broker_ops *ops;
	struct props *producer, *consumer, *fence;
	struct broker_config config; /* points into this struct: do not move it */
};

/*
 * Read a URL and the properties for it. Properties that have no counterpart are collected in *warnings
 * (made here, freed by the caller; may be NULL for "do not tell").
 *
 * Returns 0; ERR_USAGE (URL, property, or this broker is not built in); ERR_NOTFOUND (file).
 * Release with destination_release() also after a failure.
 */
MUST_CHECK int destination_open(const char *text, const struct destination_opts *o,
	struct destination *ret, struct props **warnings, struct err *e);
void destination_release(struct destination *d);

/*
 * Which of the options are for the source, and which for the target, where the target is another kind of broker:
 * the source has what is said of producers (properties of -X, --producer-config, --fence-config), the target
 * what is said of readers (--consumer-config). Of the same kind: all are for both. The result borrows from o. A URL
 * that cannot be read is left to destination_open().
 */
struct destination_opts destination_share(
	const struct destination_opts *o, const char *source, const char *target, bool of_target);

/* The fence's own broker_config: other properties, the same destination. */
struct broker_config destination_fence_config(const struct destination *d);

#endif
