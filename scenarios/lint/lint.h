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

enum lint_scope { LINT_PRODUCER, LINT_CONSUMER, LINT_TOPIC, LINT_BROKER };
#define LINT_SCOPES 4

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
	const char *client; /* "librdkafka" or "java"; NULL: by the names in the files */
	const char *producer_config, *consumer_config; /* properties files, or NULL */
	struct opt_list property;                      /* the producer's: name=value, name=@FILE */
	struct opt_list topic_config, broker_config;   /* name=value, or a file of them */
	int replication;                               /* 0: not given */
	bool allow_unknown; /* unknown names get a warning; otherwise they are errors */
};

/* All that is known, and what it amounts to. Filled by lint_read() and lint_ask(). */
struct lint {
	const struct broker_ops *ops; /* whose client it is, if librdkafka */
	enum lint_client client;
	char library[80]; /* "librdkafka 2.0.2", "Java client 4.1.0" */
	char because
		[200]; /* why that client: "--client", "my.properties:3: linger.ms", "assumed" */
	bool live;     /* topic and brokers were asked */
	struct lint_setting setting[LINT_SETTINGS_MAX];
	size_t n_settings;
	struct lint_facts facts;
	struct props *notes; /* warnings for people, under the setting's name */
	/* private: what was given, and what the cluster said */
	struct props *given[LINT_SCOPES];
	struct props *from[LINT_SCOPES];         /* where each of these was given */
	struct props *told, *told_from;          /* the topic's, by the cluster */
	struct props *broker_told, *broker_from; /* the brokers' */
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

/* An effective setting by name, or NULL. */
const struct lint_setting *lint_find(const struct lint *l, enum lint_scope scope, const char *name);

/* --- clients: client_librdkafka.c, client_java.c; for lint.c only --- */

/* Add an effective setting; name is a constant. What does not fit in value is cut. */
void lint_add(struct lint *l, enum lint_scope scope, const char *name, const char *value,
	const char *from, bool given);

/* Fill settings and facts of producer and consumer. Return 0 or ERR_USAGE, ERR_NOMEM. */
MUST_CHECK int lint_client_librdkafka(struct lint *l, struct err *e);
MUST_CHECK int lint_client_java(struct lint *l, struct err *e);

#endif
