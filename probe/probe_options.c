/* What the probe's options say: all that can be wrong with them is found before anything is done. */
#include <stdlib.h>
#include <string.h>

#include "core/envelope.h"
#include "core/units.h"
#include "probe/probe.h"

#define MAX_PRODUCERS 1000
#define MAX_SIZE ((uint64_t)64 << 20)
#define MAX_TOPIC_PARTITIONS 100000
#define MAX_REPLICATION 1000

/* ---- lists of partitions ----------------------------------------------------------------------- */

/* A partition's number at *p; moves *p behind it. */
static bool take_number(const char **p, unsigned long *ret)
{
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	*ret = strtoul(*p, &end, 10);
	*p = end;
	return true;
}

/* "4" or "4-7" at *p, and the comma behind it; moves *p to the next one, or to NULL at the end. */
static int take_range(
	const char **p, unsigned long *ret_a, unsigned long *ret_b, const char *text, struct err *e)
{
	const char *at = *p;
	bool good = take_number(&at, ret_a);

	*ret_b = *ret_a;
	if (good && *at == '-') {
		at++;
		good = take_number(&at, ret_b);
	}
	if (!good || (*at && *at != ',') || *ret_a > *ret_b)
		return err_set(e, ERR_USAGE,
			"--partitions: '%s' is not a list of partitions like 0,2,4-7", text);
	*p = *at ? at + 1 : NULL;
	return 0;
}

int probe_parse_partitions(const char *text, size_t n, int32_t **ret, size_t *ret_n, struct err *e)
{
	uint8_t *wanted = calloc(n, 1);
	int32_t *list = calloc(n, sizeof(*list));
	size_t count = 0;
	int r = 0;

	if (!wanted || !list)
		r = err_set(e, ERR_NOMEM, "out of memory");
	else if (!text)
		memset(wanted, 1, n);
	for (const char *p = text; r == 0 && p;) {
		unsigned long a = 0, b = 0;

		r = take_range(&p, &a, &b, text, e);
		if (r == 0 && b >= n) {
			r = err_set(e, ERR_USAGE, "--partitions: there is no partition %lu",
				a >= n ? a : b);
			err_hint(e, "the topic has partitions 0 to %zu", n - 1);
		}
		if (r == 0)
			memset(wanted + a, 1, b - a + 1);
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		if (wanted[i])
			list[count++] = (int32_t)i;
	free(wanted);
	if (r) {
		free(list);
		return r;
	}
	*ret = list;
	*ret_n = count;
	return 0;
}

static int check_partitions(const char *text, struct err *e)
{
	unsigned long a, b;
	int r = 0;

	for (const char *p = text; r == 0 && p;)
		r = take_range(&p, &a, &b, text, e);
	return r;
}

/* ---- what the application does ------------------------------------------------------------------ */

static int parse_keys(const char *text, struct producer_plan *plan, struct err *e)
{
	uint64_t n;

	if (strcmp(text, "none") == 0) {
		plan->keys = KEYS_NONE;
	} else if (strcmp(text, "seq") == 0) {
		plan->keys = KEYS_SEQ;
	} else if (units_parse_count(text, &n, e) == 0 && n > 0) {
		plan->keys = KEYS_MODULO;
		plan->n_keys = n;
	} else {
		return err_set(
			e, ERR_USAGE, "--keys: '%s' is neither none, seq nor a number", text);
	}
	return 0;
}

/* "N[:abort-every=K]" */
static int parse_transaction(const char *text, struct producer_plan *plan, struct err *e)
{
	char number[32];
	size_t len;

	if (!text)
		return 0;
	len = strcspn(text, ":");
	snprintf(number, sizeof(number), "%.*s", (int)len, text);
	if (units_parse_count(number, &plan->transaction, e) || plan->transaction == 0 ||
		plan->transaction > 1000000)
		return err_set(e, ERR_USAGE,
			"--transaction: '%s' is not N[:abort-every=K], N 1 to 1M", text);
	if (text[len] == '\0')
		return 0;
	if (strncmp(text + len, ":abort-every=", 13) != 0 ||
		units_parse_count(text + len + 13, &plan->abort_every, e) || plan->abort_every == 0)
		return err_set(e, ERR_USAGE, "--transaction: '%s' is not N[:abort-every=K]", text);
	return 0;
}

static int parse_crash(const char *text, struct producer_plan *plan, struct err *e)
{
	static const struct {
		const char *name;
		enum crash_point point;
	} points[] = {{"intent", CRASH_INTENT}, {"send", CRASH_SEND}, {"ack", CRASH_ACK}};
	size_t len;

	if (!text)
		return 0;
	len = strcspn(text, ":");
	plan->crash_n = 1;
	for (size_t i = 0; i < 3; i++)
		if (strlen(points[i].name) == len && memcmp(points[i].name, text, len) == 0)
			plan->crash_at = points[i].point;
	if (plan->crash_at == CRASH_NEVER ||
		(text[len] && units_parse_count(text + len + 1, &plan->crash_n, e)))
		return err_set(e, ERR_USAGE,
			"--crash-at: '%s' is not intent, send or ack, with :N behind", text);
	return 0;
}

/* ---- a topic to be made ------------------------------------------------------------------------- */

/* "name=value" into the next two places of config, both malloc'ed. */
static int take_setting(const char *option, const char *text, const char **config, struct err *e)
{
	const char *eq = strchr(text, '=');

	if (!eq || eq == text)
		return err_set(e, ERR_USAGE, "%s: '%s' is not name=value", option, text);
	config[0] = strndup(text, (size_t)(eq - text));
	config[1] = strdup(eq + 1);
	return config[0] && config[1] ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

/* "PARTITIONS[:REPLICATION]" */
static int take_partitions(const char *text, struct broker_create *ret, struct err *e)
{
	unsigned long partitions = 0, replication = 0;
	const char *p = text;

	if (!take_number(&p, &partitions) || partitions < 1 || partitions > MAX_TOPIC_PARTITIONS ||
		(*p == ':' && (p++, !take_number(&p, &replication) || replication < 1 ||
					      replication > MAX_REPLICATION)) ||
		*p) {
		err_set(e, ERR_USAGE, "--create-topic: '%s' is not PARTITIONS[:REPLICATION]", text);
		return err_hint(e, "such as 12:3, twelve partitions on three brokers each");
	}
	ret->partitions = (int)partitions;
	ret->replication = replication ? (int)replication : -1;
	return 0;
}

bool probe_makes_topic(const struct probe_opts *o)
{
	return o->create_topic || o->create_queue;
}

int probe_parse_new_topic(const struct probe_opts *o, struct probe_new_topic *ret, struct err *e)
{
	const struct opt_list *list = o->create_queue ? &o->queue_argument : &o->topic_config;
	const char *option = o->create_queue ? "--queue-argument" : "--topic-config";
	char type[64];
	size_t n = 0;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	ret->config = calloc(2 * (list->n + 1) + 1, sizeof(*ret->config));
	if (!ret->config)
		return err_set(e, ERR_NOMEM, "out of memory");
	ret->create = (struct broker_create){.partitions = 1,
		.replication = -1,
		.config = ret->config,
		.assignment = o->replica_assignment};
	if (o->create_queue) {
		snprintf(type, sizeof(type), "x-queue-type=%s", o->create_queue);
		r = take_setting("--create-queue", type, ret->config + 2 * n++, e);
	} else {
		r = take_partitions(o->create_topic, &ret->create, e);
	}
	for (size_t i = 0; r == 0 && i < list->n; i++)
		r = take_setting(option, list->item[i], ret->config + 2 * n++, e);
	return r;
}

void probe_new_topic_release(struct probe_new_topic *t)
{
	for (size_t i = 0; t->config && t->config[i]; i++)
		free((void *)(uintptr_t)t->config[i]);
	free(t->config);
	memset(t, 0, sizeof(*t));
}

/* ---- all of them ------------------------------------------------------------------------------- */

static int check_numbers(const struct cmdline *cl, const struct probe_opts *o, struct err *e)
{
	if (o->size < ENVELOPE_LEN) {
		err_set(e, ERR_USAGE, "--size: %llu bytes are too few for a message",
			(unsigned long long)o->size);
		return err_hint(e, "at least %d, for the envelope", ENVELOPE_LEN);
	}
	if (o->size > MAX_SIZE)
		return err_set(e, ERR_USAGE, "--size: %llu bytes are too many, at most 64 MiB",
			(unsigned long long)o->size);
	if (opt_given(cl, "rate") && o->rate == 0)
		return err_set(
			e, ERR_USAGE, "--rate 0 would never send; leave it out for full speed");
	if (opt_given(cl, "duration") && o->duration_ns == 0)
		return err_set(
			e, ERR_USAGE, "--duration 0 would send nothing; leave it out for no end");
	if (o->producers == 0 || o->producers > MAX_PRODUCERS)
		return err_set(e, ERR_USAGE, "--producers: %llu is not in 1 to %d",
			(unsigned long long)o->producers, MAX_PRODUCERS);
	if (o->producer_id == 0 || o->producer_id > UINT32_MAX ||
		o->producer_id + o->producers - 1 > UINT32_MAX)
		return err_set(e, ERR_USAGE, "--producer-id: %llu is not in 1 to %u",
			(unsigned long long)o->producer_id, UINT32_MAX);
	return 0;
}

static int check_promise(const struct probe_opts *o, struct err *e)
{
	struct promise promise;
	int r = promise_parse(o->promise, &promise, e);

	if (r == 0 && o->fail_on)
		r = promise_kinds_parse(o->fail_on, &promise.fail_on, e);
	if (r == 0 && o->allow)
		r = promise_kinds_parse(o->allow, &promise.allow, e);
	for (int k = 0; r == 0 && k < FINDING_N; k++)
		if (promise.fail_on & promise.allow & (uint64_t)1 << k)
			r = err_set(e, ERR_USAGE, "both --fail-on and --allow name '%s'",
				finding_text((enum finding_kind)k));
	return r;
}

/* Options that mean something only beside another one. */
static int check_companions(const struct cmdline *cl, const struct probe_opts *o, struct err *e)
{
	if (o->create_topic && o->create_queue)
		return err_set(e, ERR_USAGE, "--create-topic and --create-queue: one of them");
	if (!o->create_queue && o->queue_argument.n) {
		err_set(e, ERR_USAGE, "--queue-argument is for a queue that is made");
		return err_hint(e, "add --create-queue TYPE");
	}
	if (!o->create_topic && (o->topic_config.n || o->replica_assignment)) {
		err_set(e, ERR_USAGE, "--%s is for a topic that is made",
			o->topic_config.n ? "topic-config" : "replica-assignment");
		return err_hint(e, "add --create-topic PARTITIONS[:REPLICATION]");
	}
	if (o->republish_unknown && (o->transaction || o->exit_without_flush))
		return err_set(e, ERR_USAGE, "--republish-unknown and --%s do not go together: %s",
			o->transaction ? "transaction" : "exit-without-flush",
			o->transaction ? "a transaction is aborted as a whole"
				       : "who does not wait for outcomes has none to go by");
	if (o->resume && (!o->run || !opt_given(cl, "count"))) {
		err_set(e, ERR_USAGE, "--resume sends what is left of a run's --count");
		return err_hint(e, "add --run NAME and --count N");
	}
	return 0;
}

int probe_check_options(const struct cmdline *cl, const struct probe_opts *o,
	struct producer_plan *plan, struct err *e)
{
	struct probe_new_topic topic;
	int r = check_numbers(cl, o, e);

	if (r == 0)
		r = check_promise(o, e);
	if (r == 0)
		r = check_companions(cl, o, e);
	if (r == 0 && o->run)
		r = run_check_name(o->run, e);
	if (r == 0)
		r = check_partitions(o->partitions, e);
	if (r == 0)
		r = parse_keys(o->keys, plan, e);
	if (r == 0)
		r = parse_transaction(o->transaction, plan, e);
	if (r == 0)
		r = parse_crash(o->crash_at, plan, e);
	if (r == 0 && probe_makes_topic(o)) {
		r = probe_parse_new_topic(o, &topic, e);
		probe_new_topic_release(&topic);
	}
	return r;
}
