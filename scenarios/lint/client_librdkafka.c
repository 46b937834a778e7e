/* What librdkafka makes of the properties: asked of the library itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/broker/kafka_props.h"
#include "scenarios/lint/lint.h"

/* Names under which a setting may have been given; the library's aliases, and Java's. */
struct watched {
	const char *name;
	const char *alias[3];
};

static const struct watched producer_settings[] = {
	{"acks", {"request.required.acks"}},
	{"enable.idempotence", {NULL}},
	{"retries", {"message.send.max.retries"}},
	{"max.in.flight.requests.per.connection", {"max.in.flight"}},
	{"message.timeout.ms", {"delivery.timeout.ms"}},
	{"request.timeout.ms", {NULL}},
	{"socket.timeout.ms", {"request.timeout.ms"}},
	{"transactional.id", {NULL}},
	{NULL, {NULL}},
};

static const struct watched consumer_settings[] = {
	{"enable.auto.commit", {"auto.commit.enable"}},
	{"enable.auto.offset.store", {NULL}},
	{"auto.offset.reset", {NULL}},
	{"isolation.level", {NULL}},
	{NULL, {NULL}},
};

#define WATCHED_MAX 16

struct values {
	char at[WATCHED_MAX][80];
	const struct watched *watched;
};

static void take(void *arg, const char *name, const char *value)
{
	struct values *v = arg;

	for (size_t i = 0; v->watched[i].name; i++)
		if (strcmp(v->watched[i].name, name) == 0)
			snprintf(v->at[i], sizeof(v->at[i]), "%s", value);
}

/* Which of the given properties led to this one of the library? Itself, or one that was translated to it. */
static const char *origin_of(const struct props *given, enum kafka_role role, const char *bad)
{
	const char *found = props_get(given, bad) ? bad : NULL;

	for (size_t i = 0; !found && i < props_count(given); i++) {
		struct props *one = props_new(), *out = props_new(), *ignored = props_new();

		if (one && out && ignored &&
			props_set(one, props_name(given, i), props_value(given, i), NULL) == 0 &&
			kafka_props_translate(one, role, out, ignored, NULL) == 0 &&
			props_get(out, bad))
			found = props_name(given, i);
		props_free(one);
		props_free(out);
		props_free(ignored);
	}
	return found;
}

static int effective(struct lint *l, enum lint_scope scope, const struct props *given,
	struct values *ret, struct err *e)
{
	const char *names[WATCHED_MAX + 1] = {NULL};
	enum kafka_role role = scope == LINT_PRODUCER ? KAFKA_ROLE_PRODUCER : KAFKA_ROLE_CONSUMER;
	struct props *out = props_new();
	const char *bad = NULL, *origin;
	int r = 0;

	for (size_t i = 0; ret->watched[i].name; i++)
		names[i] = ret->watched[i].name;
	if (!out)
		return err_set(e, ERR_NOMEM, "out of memory");
	r = kafka_props_translate(given, role, out, l->notes, e);
	if (r == 0)
		r = l->ops->client_settings(out,
			scope == LINT_PRODUCER ? BROKER_CLIENT_PRODUCER : BROKER_CLIENT_CONSUMER,
			names, take, ret, &bad, e);
	if (r && bad) {
		origin = origin_of(given, role, bad);
		if (origin && props_get(l->from[scope], origin))
			err_wrap(e, "%s", props_get(l->from[scope], origin));
	} else if (r) {
		err_wrap(e, "the %s's settings", lint_scope_text(scope));
	}
	props_free(out);
	return r;
}

/* The library's older words, in those that people know. */
static const char *in_plain_words(const char *name, const char *value)
{
	if (strcmp(name, "acks") == 0 && strcmp(value, "-1") == 0)
		return "all";
	if (strcmp(name, "auto.offset.reset") == 0 && strcmp(value, "largest") == 0)
		return "latest";
	if (strcmp(name, "auto.offset.reset") == 0 && strcmp(value, "smallest") == 0)
		return "earliest";
	return value;
}

/* Where it was given, or NULL. */
static const char *given_at(const struct lint *l, enum lint_scope scope, const struct watched *w)
{
	const char *at = props_get(l->from[scope], w->name);

	for (size_t i = 0; !at && i < 3 && w->alias[i]; i++)
		at = props_get(l->from[scope], w->alias[i]);
	return at;
}

static void add_all(
	struct lint *l, enum lint_scope scope, const struct values *v, const struct values *dflt)
{
	for (size_t i = 0; v->watched[i].name; i++) {
		const char *at = given_at(l, scope, &v->watched[i]);
		char from[LINT_FROM_LEN];

		if (strcmp(v->at[i], dflt->at[i]) == 0 && !at)
			snprintf(from, sizeof(from), "default of %s", l->library);
		else if (!at)
			snprintf(from, sizeof(from), "%s, as it follows from the others",
				l->library);
		else
			snprintf(from, sizeof(from), "%s", at);
		lint_add(l, scope, v->watched[i].name, in_plain_words(v->watched[i].name, v->at[i]),
			from, at != NULL);
	}
}

static int read_scope(
	struct lint *l, enum lint_scope scope, const struct watched *watched, struct err *e)
{
	struct values v = {.watched = watched}, dflt = {.watched = watched};
	struct props *none = props_new();
	int r = none ? effective(l, scope, none, &dflt, e) : err_set(e, ERR_NOMEM, "out of memory");

	if (r == 0)
		r = effective(l, scope, l->given[scope], &v, e);
	if (r == 0)
		add_all(l, scope, &v, &dflt);
	props_free(none);
	return r;
}

static int64_t number(const struct lint *l, const char *name)
{
	return strtoll(lint_find(l, LINT_PRODUCER, name)->value, NULL, 10);
}

static bool is(const struct lint *l, enum lint_scope scope, const char *name, const char *value)
{
	return strcmp(lint_find(l, scope, name)->value, value) == 0;
}

static int producer_facts(struct lint *l, struct err *e)
{
	struct lint_facts *f = &l->facts;
	int64_t acks = number(l, "acks"), timeout = number(l, "message.timeout.ms");
	int64_t request = number(l, "request.timeout.ms"), sock = number(l, "socket.timeout.ms");

	f->acks = is(l, LINT_PRODUCER, "acks", "all") ? LINT_ACKS_ALL : (int)acks;
	if (f->acks < LINT_ACKS_ALL || f->acks > 1) {
		err_set(e, ERR_USAGE, "%s: acks=%d: brokers take 0, 1 and all only",
			lint_find(l, LINT_PRODUCER, "acks")->from, f->acks);
		return err_hint(e, "the client library lets it pass, and every send is refused");
	}
	f->idempotent = is(l, LINT_PRODUCER, "enable.idempotence", "true");
	f->transactional = *lint_find(l, LINT_PRODUCER, "transactional.id")->value != '\0';
	f->retries = number(l, "retries");
	f->max_in_flight = number(l, "max.in.flight.requests.per.connection");
	f->give_up_ms = timeout > 0 ? timeout : LINT_FOREVER;
	/* the broker's own limit, and the client's for an answer: the shorter one ends it */
	f->request_timeout_ms = request < sock ? request : sock;
	return 0;
}

static void consumer_facts(struct lint *l)
{
	struct lint_facts *f = &l->facts;
	const char *reset = lint_find(l, LINT_CONSUMER, "auto.offset.reset")->value;

	f->auto_commit = is(l, LINT_CONSUMER, "enable.auto.commit", "true");
	f->auto_store = is(l, LINT_CONSUMER, "enable.auto.offset.store", "true");
	f->read_uncommitted = is(l, LINT_CONSUMER, "isolation.level", "read_uncommitted");
	if (strcmp(reset, "smallest") == 0 || strcmp(reset, "earliest") == 0 ||
		strcmp(reset, "beginning") == 0)
		f->reset = LINT_RESET_EARLIEST;
	else if (strcmp(reset, "error") == 0)
		f->reset = LINT_RESET_NONE;
	else
		f->reset = LINT_RESET_LATEST;
}

/* Leader epochs are compared since librdkafka 2.1.0. */
static bool compares_epochs(const char *library)
{
	const char *version = strrchr(library, ' ');
	int major = 0, minor = 0;

	return version && sscanf(version, "%d.%d", &major, &minor) == 2 &&
	       (major > 2 || (major == 2 && minor >= 1));
}

int lint_client_librdkafka(struct lint *l, struct err *e)
{
	int r = read_scope(l, LINT_PRODUCER, producer_settings, e);

	l->facts.client = LINT_LIBRDKAFKA;
	l->facts.sees_truncation = compares_epochs(l->library);
	if (r == 0)
		r = producer_facts(l, e);
	if (r || !l->facts.consumer)
		return r;
	r = read_scope(l, LINT_CONSUMER, consumer_settings, e);
	if (r == 0)
		consumer_facts(l);
	return r;
}
