/*
 * What Kafka's Java clients make of the properties, as ProducerConfig and KafkaProducer of 4.1.0 do: a test
 * compares it with the real ones (tests/broker/lint_test.sh).
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scenarios/lint/kafka_defs.h"
#include "scenarios/lint/lint.h"

static const char *const producer_settings[] = {"acks", "enable.idempotence", "retries",
	"max.in.flight.requests.per.connection", "delivery.timeout.ms", "request.timeout.ms",
	"linger.ms", "transactional.id", NULL};

static const char *const consumer_settings[] = {
	"enable.auto.commit", "auto.offset.reset", "isolation.level", NULL};

/* Java's own limit for requests in flight beside idempotence. */
#define IDEMPOTENT_IN_FLIGHT 5

static void trim(char *text)
{
	size_t n = strlen(text), skip = strspn(text, " \t\r\n\f\v");

	while (n > skip && isspace((unsigned char)text[n - 1]))
		n--;
	memmove(text, text + skip, n - skip);
	text[n - skip] = '\0';
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

static void add_all(struct lint *l, enum lint_scope scope, const char *const *names)
{
	enum kafka_defs which = scope == LINT_PRODUCER ? KAFKA_DEFS_PRODUCER : KAFKA_DEFS_CONSUMER;

	for (; *names; names++) {
		const struct kafka_def *def = kafka_defs_find(which, *names);
		const char *given = props_get(l->given[scope], *names);
		char value[80], from[LINT_FROM_LEN];

		BUG_ON(!def);
		snprintf(value, sizeof(value), "%s",
			given                            ? given
			: strcmp(def->dflt, "null") == 0 ? ""
							 : def->dflt);
		trim(value);
		if (strcmp(def->type, "boolean") == 0)
			lower(value);
		snprintf(from, sizeof(from), "default of %s", l->library);
		lint_add(l, scope, def->name, value,
			given ? props_get(l->from[scope], *names) : from, given != NULL);
	}
}

static struct lint_setting *setting(struct lint *l, enum lint_scope scope, const char *name)
{
	return &l->setting[lint_find(l, scope, name) - l->setting];
}

static int64_t number(struct lint *l, const char *name)
{
	return strtoll(setting(l, LINT_PRODUCER, name)->value, NULL, 10);
}

static int contradiction(
	const struct lint_setting *on, const struct lint_setting *other, struct err *e)
{
	err_set(e, ERR_USAGE, "%s: %s=%s contradicts enable.idempotence=true (%s)", other->from,
		other->name, other->value, on->from);
	return err_hint(e, "the Java producer does not start with these");
}

/*
 * Idempotence that the user did not ask for goes off without a word where another setting contradicts it;
 * asked for, it is an error.
 */
static int settle_idempotence(struct lint *l, const char *name, bool contradicts, struct err *e)
{
	struct lint_setting *on = setting(l, LINT_PRODUCER, "enable.idempotence");
	const struct lint_setting *other = setting(l, LINT_PRODUCER, name);
	char from[LINT_FROM_LEN];

	if (!contradicts || strcmp(on->value, "true") != 0)
		return 0;
	if (on->given)
		return contradiction(on, other, e);
	snprintf(on->value, sizeof(on->value), "false");
	snprintf(from, sizeof(from), "%s: off without a word, because of %s=%s", l->library, name,
		other->value);
	memcpy(on->from, from, sizeof(from));
	return 0;
}

/* Too many requests in flight are an error also where idempotence is only the default. */
static int settle_in_flight(struct lint *l, struct err *e)
{
	struct lint_setting *on = setting(l, LINT_PRODUCER, "enable.idempotence");

	if (strcmp(on->value, "true") != 0 || l->facts.max_in_flight <= IDEMPOTENT_IN_FLIGHT)
		return 0;
	contradiction(on, setting(l, LINT_PRODUCER, "max.in.flight.requests.per.connection"), e);
	return err_hint(e,
		"the Java producer of Kafka 4 does not start with these, that of 3.9 turns "
		"idempotence off");
}

static int settle_delivery(struct lint *l, struct err *e)
{
	struct lint_setting *timeout = setting(l, LINT_PRODUCER, "delivery.timeout.ms");
	int64_t least = number(l, "linger.ms") + number(l, "request.timeout.ms");
	char from[LINT_FROM_LEN];

	if (least > INT32_MAX)
		least = INT32_MAX;
	if (number(l, "delivery.timeout.ms") >= least)
		return 0;
	if (timeout->given) {
		err_set(e, ERR_USAGE,
			"%s: delivery.timeout.ms=%s is less than linger.ms + request.timeout.ms = "
			"%lld",
			timeout->from, timeout->value, (long long)least);
		return err_hint(e, "the Java producer does not start with these");
	}
	snprintf(timeout->value, sizeof(timeout->value), "%lld", (long long)least);
	snprintf(from, sizeof(from), "%s: linger.ms + request.timeout.ms", l->library);
	memcpy(timeout->from, from, sizeof(from));
	return 0;
}

static int settle_producer(struct lint *l, struct err *e)
{
	struct lint_facts *f = &l->facts;
	struct lint_setting *acks = setting(l, LINT_PRODUCER, "acks");
	const struct lint_setting *id = setting(l, LINT_PRODUCER, "transactional.id");
	int r;

	f->acks = strcmp(acks->value, "all") == 0 ? LINT_ACKS_ALL : (int)number(l, "acks");
	f->retries = number(l, "retries");
	f->max_in_flight = number(l, "max.in.flight.requests.per.connection");
	f->request_timeout_ms = number(l, "request.timeout.ms");
	r = settle_idempotence(l, "retries", f->retries == 0, e);
	if (r == 0)
		r = settle_idempotence(l, "acks", f->acks != LINT_ACKS_ALL, e);
	if (r == 0)
		r = settle_in_flight(l, e);
	if (r == 0)
		r = settle_delivery(l, e);
	f->idempotent = strcmp(setting(l, LINT_PRODUCER, "enable.idempotence")->value, "true") == 0;
	f->transactional = *id->value != '\0';
	f->give_up_ms = number(l, "delivery.timeout.ms");
	if (r == 0 && f->transactional && !f->idempotent) {
		r = err_set(e, ERR_USAGE, "%s: transactional.id needs enable.idempotence=true",
			id->from);
		err_hint(e, "the Java producer does not start with these");
	}
	return r;
}

static void consumer_facts(struct lint *l)
{
	struct lint_facts *f = &l->facts;
	const char *reset = lint_find(l, LINT_CONSUMER, "auto.offset.reset")->value;

	f->auto_commit =
		strcmp(lint_find(l, LINT_CONSUMER, "enable.auto.commit")->value, "true") == 0;
	f->auto_store = true;
	f->read_uncommitted = strcmp(lint_find(l, LINT_CONSUMER, "isolation.level")->value,
				      "read_uncommitted") == 0;
	f->reset = strcmp(reset, "latest") == 0 ? LINT_RESET_LATEST
		   : strcmp(reset, "none") == 0 ? LINT_RESET_NONE
						: LINT_RESET_EARLIEST;
}

int lint_client_java(struct lint *l, struct err *e)
{
	int r;

	l->facts.client = LINT_JAVA;
	l->facts.sees_truncation = true; /* compares leader epochs since 2.4 */
	add_all(l, LINT_PRODUCER, producer_settings);
	r = settle_producer(l, e);
	if (r || !l->facts.consumer)
		return r;
	add_all(l, LINT_CONSUMER, consumer_settings);
	consumer_facts(l);
	return 0;
}
