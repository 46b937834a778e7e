#ifndef SCENARIOS_LINT_LINT_H
#define SCENARIOS_LINT_LINT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/broker/destination.h"
#include "core/err.h"
#include "core/props.h"
#include "scenarios/lint/rules.h"

/*
 * From files, options and a live cluster to the effective settings that the rules look at, each with where
 * it comes from.
 */

/* A queue, with its arguments, is RabbitMQ's topic; only it has policies. */
enum lint_scope { LINT_PRODUCER, LINT_CONSUMER, LINT_TOPIC, LINT_POLICY, LINT_BROKER };
#define LINT_SCOPES 5

/* "producer", ...: a constant. */
const char *lint_scope_text(enum lint_scope scope);

#define LINT_SETTINGS_MAX 64
#define LINT_FROM_LEN 160

/* An effective setting. */
struct lint_setting {
	enum lint_scope scope;
	const char *name; /* a constant */
	char value[80];
	char from
		[LINT_FROM_LEN]; /* "default of librdkafka 2.0.2", "my.properties:3", "topic", ... */
	bool given;              /* by the user or the cluster, and not a default */
};

/* What the user gave. All is borrowed. */
struct lint_input {
	const char
		*client; /* "librdkafka", "java" or "rabbitmq-c"; NULL: by scheme, or the names */
	const char *scheme; /* of the cluster that will be asked; NULL: none */
	const char *producer_config, *consumer_config; /* properties files, or NULL */
	struct opt_list property;                      /* the producer's: name=value, name=@FILE */
	struct opt_list topic_config, broker_config;   /* name=value, or a file of them */
	struct opt_list queue_argument;                /* as topic_config */
	struct opt_list policy; /* name=value, or a file of them: what a policy says of the queue */
	bool no_policy;         /* the user's word that none does */
	bool republishes;       /* what stays unknown is published again */
	int replication;        /* 0: not given */
	bool allow_unknown;     /* unknown names get a warning; otherwise they are errors */
};

/* All that is known, and what it amounts to. Filled by lint_read() and lint_ask(). */
struct lint {
	const struct broker_ops *ops; /* whose client it is, unless Java's */
	enum lint_client client;
	char library[80]; /* "librdkafka 2.0.2", "Java client 4.1.0", "rabbitmq-c 0.11.0" */
	char because
		[200]; /* why that client: "--client", "my.properties:3: linger.ms", "assumed" */
	bool live;     /* topic and brokers were asked */
	struct lint_setting setting[LINT_SETTINGS_MAX];
	size_t n_settings;
	struct lint_facts facts;
	struct props *notes;  /* warnings for people, under the setting's name */
	struct props *unseen; /* scopes that were not looked at: why, and what to say */
	/* private: what was given, and what the cluster said */
	struct props *given[LINT_SCOPES];
	struct props *from[LINT_SCOPES];         /* where each of these was given */
	struct props *told, *told_from;          /* the topic's, by the cluster */
	struct props *broker_told, *broker_from; /* the brokers' */
	struct props *policy_told;               /* the queue's policy, by the broker; */
	bool policies_seen;                      /* ... that is all of it */
	bool no_policy, republishes;
	int replication;
};

/*
 * Read what the user gave: files, options; checks names and values. Release with lint_release() also after
 * a failure.
 *
 * Returns 0; ERR_USAGE (a name or value is wrong: with file and line); ERR_NOTFOUND (no such file);
 * ERR_FORMAT, ERR_LIMIT, ERR_NOMEM.
 */
MUST_CHECK int lint_read(const struct lint_input *in, struct lint *ret, struct err *e);

/*
 * Ask the cluster for the topic's replication and settings and for the brokers'. Blocks up to the
 * destination's timeout for each question. Returns 0 or what the broker's calls do (ERR_DENIED, ...).
 */
MUST_CHECK int lint_ask(struct lint *l, const struct destination *d, struct err *e);

/*
 * Put the effective settings and the facts together: after lint_read() and, with a cluster, lint_ask().
 * Returns 0; ERR_USAGE when settings contradict each other so that the client does not start; ERR_NOMEM.
 */
MUST_CHECK int lint_settle(struct lint *l, struct err *e);

void lint_release(struct lint *l);

/* The word for a client ("librdkafka", "java", "rabbitmq-c"): a constant. */
const char *lint_client_text(enum lint_client client);

/* An effective setting by name, or NULL. */
const struct lint_setting *lint_find(const struct lint *l, enum lint_scope scope, const char *name);

/* --- clients: client_librdkafka.c, client_java.c; for lint.c only --- */

/* Add an effective setting; name is a constant. What does not fit in value is cut. */
void lint_add(struct lint *l, enum lint_scope scope, const char *name, const char *value,
	const char *from, bool given);

/* Fill settings and facts of producer and consumer. Return 0 or ERR_USAGE, ERR_NOMEM. */
MUST_CHECK int lint_client_librdkafka(struct lint *l, struct err *e);
MUST_CHECK int lint_client_java(struct lint *l, struct err *e);

/* --- lint_rabbitmq.c, which does for RabbitMQ what lint.c does for Kafka; for lint.c only --- */

/* Is there such a setting? And is its value one? Returns 0 or ERR_USAGE. */
bool lint_rabbitmq_knows(enum lint_scope scope, const char *name);
MUST_CHECK int lint_rabbitmq_check(struct lint *l, struct err *e);

/* As lint_ask() and lint_settle(). */
MUST_CHECK int lint_rabbitmq_ask(struct lint *l, const struct destination *d, struct err *e);
MUST_CHECK int lint_rabbitmq_settle(struct lint *l, struct err *e);

#endif
