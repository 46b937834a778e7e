#include "scenarios/lint/rabbitmq_defs.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define C RABBITMQ_DEF_CLASSIC
#define Q RABBITMQ_DEF_QUORUM
#define S RABBITMQ_DEF_STREAM
#define NUMBER RABBITMQ_DEF_NUMBER, NULL
#define TEXT RABBITMQ_DEF_TEXT, NULL
#define ONE_OF(values) RABBITMQ_DEF_ONE_OF, values

#define OVERFLOWS "drop-head|reject-publish|reject-publish-dlx"

static const struct rabbitmq_def queue[] = {
	{"auto-delete", ONE_OF("true|false"), C},
	{"durable", ONE_OF("true|false"), C | Q | S},
	{"x-dead-letter-exchange", TEXT, C | Q},
	{"x-dead-letter-routing-key", TEXT, C | Q},
	{"x-dead-letter-strategy", ONE_OF("at-most-once|at-least-once"), Q},
	{"x-delivery-limit", NUMBER, Q},
	{"x-expires", NUMBER, C | Q},
	{"x-initial-cluster-size", NUMBER, S},
	{"x-max-age", TEXT, S},
	{"x-max-in-memory-bytes", NUMBER, Q},
	{"x-max-in-memory-length", NUMBER, Q},
	{"x-max-length", NUMBER, C | Q},
	{"x-max-length-bytes", NUMBER, C | Q | S},
	{"x-max-priority", NUMBER, C},
	{"x-message-ttl", NUMBER, C | Q},
	{"x-overflow", ONE_OF(OVERFLOWS), C | Q},
	{"x-queue-leader-locator", TEXT, Q | S},
	{"x-queue-master-locator", TEXT, C},
	{"x-queue-mode", ONE_OF("default|lazy"), C},
	{"x-queue-type", ONE_OF("classic|quorum|stream"), C | Q | S},
	{"x-queue-version", ONE_OF("1|2"), C},
	{"x-quorum-initial-group-size", NUMBER, Q},
	{"x-single-active-consumer", ONE_OF("true|false"), C | Q},
	{"x-stream-max-segment-size-bytes", NUMBER, S},
};

static const struct rabbitmq_def policy[] = {
	{"alternate-exchange", TEXT, 0},
	{"dead-letter-exchange", TEXT, C | Q},
	{"dead-letter-routing-key", TEXT, C | Q},
	{"dead-letter-strategy", ONE_OF("at-most-once|at-least-once"), Q},
	{"delivery-limit", NUMBER, Q},
	{"expires", NUMBER, C | Q},
	{"ha-mode", ONE_OF("all|exactly|nodes"), C},
	{"ha-params", TEXT, C},
	{"ha-promote-on-failure", ONE_OF("always|when-synced"), C},
	{"ha-promote-on-shutdown", ONE_OF("always|when-synced"), C},
	{"ha-sync-batch-size", NUMBER, C},
	{"ha-sync-mode", ONE_OF("manual|automatic"), C},
	{"initial-cluster-size", NUMBER, S},
	{"max-age", TEXT, S},
	{"max-in-memory-bytes", NUMBER, Q},
	{"max-in-memory-length", NUMBER, Q},
	{"max-length", NUMBER, C | Q},
	{"max-length-bytes", NUMBER, C | Q | S},
	{"message-ttl", NUMBER, C | Q},
	{"overflow", ONE_OF(OVERFLOWS), C | Q},
	{"queue-leader-locator", TEXT, Q | S},
	{"queue-master-locator", TEXT, C},
	{"queue-mode", ONE_OF("default|lazy"), C},
	{"queue-version", ONE_OF("1|2"), C},
	{"stream-max-segment-size-bytes", NUMBER, S},
};

/* Settings of plugins, each with a schema of its own. */
static const char *const plugins[] = {"management.", "management_agent.", "prometheus.", "stream.",
	"stomp.", "mqtt.", "web_stomp.", "web_mqtt.", "auth_ldap.", "auth_http.", "auth_oauth2.",
	"auth_cache.", "trust_store.", "amqp1_0.", "event_exchange.", "cluster_formation.", "aws.",
	"tracing.", "sysmon_handler."};
static const struct rabbitmq_def of_plugin = {"", TEXT, 0};

const struct rabbitmq_def *rabbitmq_defs_all(enum rabbitmq_defs which, size_t *ret_n)
{
	if (which == RABBITMQ_DEFS_QUEUE) {
		*ret_n = sizeof(queue) / sizeof(queue[0]);
		return queue;
	}
	if (which == RABBITMQ_DEFS_POLICY) {
		*ret_n = sizeof(policy) / sizeof(policy[0]);
		return policy;
	}
	*ret_n = rabbitmq_defs_n_conf;
	return rabbitmq_defs_conf;
}

/* Word for word between the dots; "$x" is any word. */
static bool matches(const char *pattern, const char *name)
{
	while (*pattern && *name) {
		size_t p = strcspn(pattern, "."), n = strcspn(name, ".");

		if (*pattern != '$' && (p != n || memcmp(pattern, name, n) != 0))
			return false;
		pattern += p + (pattern[p] == '.');
		name += n + (name[n] == '.');
	}
	return !*pattern && !*name;
}

static bool is_of_plugin(const char *name)
{
	for (size_t i = 0; i < sizeof(plugins) / sizeof(plugins[0]); i++)
		if (strncmp(name, plugins[i], strlen(plugins[i])) == 0)
			return true;
	return false;
}

const struct rabbitmq_def *rabbitmq_defs_find(enum rabbitmq_defs which, const char *name)
{
	size_t n;
	const struct rabbitmq_def *row = rabbitmq_defs_all(which, &n);

	for (size_t i = 0; i < n; i++)
		if (which == RABBITMQ_DEFS_CONF ? matches(row[i].name, name)
						: strcmp(row[i].name, name) == 0)
			return &row[i];
	return which == RABBITMQ_DEFS_CONF && is_of_plugin(name) ? &of_plugin : NULL;
}

static int check_number(const struct rabbitmq_def *def, const char *value, struct err *e)
{
	long long v;
	char *end;

	errno = 0;
	v = strtoll(value, &end, 10);
	if (errno || end == value || *end || v < 0)
		return err_set(e, ERR_USAGE, "'%s' cannot be '%.60s': it takes a whole number",
			def->name, value);
	return 0;
}

static int check_one_of(const struct rabbitmq_def *def, const char *value, struct err *e)
{
	size_t n = strlen(value);

	for (const char *p = def->valid;; p += strcspn(p, "|") + 1) {
		if (strcspn(p, "|") == n && memcmp(p, value, n) == 0)
			return 0;
		if (!strchr(p, '|'))
			return err_set(e, ERR_USAGE, "'%s' cannot be '%.60s': it takes %s",
				def->name, value, def->valid);
	}
}

int rabbitmq_defs_check(const struct rabbitmq_def *def, const char *value, struct err *e)
{
	switch (def->kind) {
	case RABBITMQ_DEF_NUMBER:
		return check_number(def, value, e);
	case RABBITMQ_DEF_ONE_OF:
		return check_one_of(def, value, e);
	default:
		return 0;
	}
}
