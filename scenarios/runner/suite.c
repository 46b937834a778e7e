#include "scenarios/runner/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/broker/broker.h"
#include "core/clock.h"
#include "core/proc.h"
#include "core/stop.h"
#include "core/version.h"
#include "core/words.h"
#include "scenarios/lab/cluster.h"
#include "scenarios/runner/repeats.h"
#include "scenarios/runner/suite_lab.h"
#include "scenarios/runner/verdicts.h"

#define POLL_NS (50 * NS_PER_MS)
#define TICK_NS (200 * NS_PER_MS)
#define MAX_JOBS 8

struct suite {
	const struct suite_wish *wish;
	const struct scenario_list *list;
	const struct suite_ears *ears;
	struct stage_set set;
	struct suite_lab lab;
	char program[PATHS_MAX], folder[PATHS_MAX], tag[24];
	struct execution *running[MAX_JOBS];
	size_t n_running;
	struct cluster *cluster; /* NULL: a lab */
	json_t *scenarios;
	bool begun;
	int64_t started_ns, next_tick_ns;
};

/* --- names and places */

/* Five letters from the time: enough to tell suites of the same ledger apart. */
static void make_tag(char *ret, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	uint64_t n = (uint64_t)clock_wall_ns() / (uint64_t)NS_PER_MS;
	char tag[8];

	for (int i = 6; i >= 0; i--, n /= 36)
		tag[i] = letters[n % 36];
	snprintf(ret, len, "%.7s", tag);
}

static int make_folder(struct suite *s, struct err *e)
{
	char root[PATHS_MAX];
	int r = 0;

	if (s->wish->folder) {
		snprintf(s->folder, sizeof(s->folder), "%s", s->wish->folder);
	} else {
		r = paths_state("scenario", root, sizeof(root), e);
		snprintf(s->folder, sizeof(s->folder), "%.480s/%s", root, s->tag);
	}
	return r ? r : paths_make(s->folder, 0755, e);
}

static int prepare(struct suite *s, struct err *e)
{
	const struct suite_wish *w = s->wish;
	int r;

	make_tag(s->tag, sizeof(s->tag));
	r = make_folder(s, e);
	proc_own_program(s->program, sizeof(s->program));
	/* for others that is another program */
	if (strncmp(s->program, "/proc/self/", 11) == 0)
		snprintf(s->program, sizeof(s->program), "/proc/%d/exe", (int)getpid());
	s->lab.wish = w;
	s->lab.say = s->ears->say;
	memcpy(s->lab.program, s->program, sizeof(s->program));
	s->set = (struct stage_set){.broker = w->broker,
		.lab = w->lab,
		.cluster = w->cluster,
		.program = w->program ? w->program : s->program,
		.ledger = w->ledger,
		.folder = s->folder,
		.tag = s->tag,
		.with_mine = w->with_mine,
		.producer_config = w->producer_config,
		.consumer_config = w->consumer_config,
		.topic_config = w->topic_config,
		.n_topic_config = w->n_topic_config,
		.property = w->property,
		.n_properties = w->n_properties};
	s->scenarios = json_array();
	s->started_ns = clock_ns();
	for (size_t i = 0; i < s->list->n; i++)
		s->lab.loop |= geteuid() == 0 && scenario_needs(s->list->at[i], "loop");
	return r;
}

/* A user's own cluster: nothing is touched before it is declared one for tests. */
static int check_cluster(struct suite *s, struct err *e)
{
	int r;

	if (!s->wish->cluster)
		return 0;
	if (s->wish->n_broker_config || s->wish->version)
		return err_set(e, ERR_USAGE,
			"--broker-config and --version are for labs: your cluster is what it is");
	r = cluster_load(s->wish->cluster, &s->cluster, e);
	if (r == 0)
		r = cluster_check_test(s->cluster, e);
	if (r)
		return r;
	s->lab.cluster = s->cluster;
	s->set.bootstrap = s->cluster->bootstrap;
	s->set.client_config = s->cluster->client_config[0] ? s->cluster->client_config : NULL;
	return 0;
}

/* --- the result */

static void keep(struct suite *s, const struct scenario *scenario, json_t *result)
{
	if (!result || json_array_append_new(s->scenarios, result) != 0)
		BUG("out of memory");
	if (s->ears->done)
		s->ears->done(s->ears->ctx, scenario, result);
}

/* A scenario that was not run, and why: no verdict, no failure. */
static void keep_skipped(struct suite *s, const struct scenario *scenario, const char *why)
{
	keep(s, scenario,
		json_pack("{ss ss ss ss si sf s[] s[] s[] ss ss ss}", "name", scenario->name, "id",
			scenario->id, "title", scenario->title, "stage", scenario->stage,
			"repetition", 1, "seconds", 0.0, "twins", "fault", "undecided_because",
			"error", "", "skipped", why, "verdict", "NODATA"));
}

static json_t *versions(const struct suite *s)
{
	const char *library = "";

	for (size_t i = 0; broker_all()[i]; i++)
		if (strcmp(labfile_kind_of_scheme(broker_all()[i]->scheme), s->wish->broker) == 0)
			library = broker_all()[i]->library();
	return json_pack("{ss ss ss}", "mqaudit", version_text(), s->wish->broker,
		verdicts_text(s->lab.status, "version"), "client", library);
}

static json_t *head(const struct suite *s)
{
	return json_pack("{ss ss ss so sI}", "format", "mqaudit-suite/1", "suite", s->wish->name,
		"broker", s->wish->broker, "versions", versions(s), "nodes",
		(json_int_t)json_array_size(json_object_get(s->lab.status, "nodes")));
}

enum verdict suite_verdict(const json_t *result)
{
	enum verdict v = VERDICT_ERROR;

	return verdict_parse(verdicts_text(result, "verdict"), &v) ? v : VERDICT_ERROR;
}

/* What the user's settings came to: names of the scenarios. */
static json_t *mine_json(const struct suite *s)
{
	json_t *ret = json_pack("{s[] s[] s[]}", "safe", "unsafe", "undecided");
	const json_t *scenario, *twin;
	size_t i, k;

	json_array_foreach(s->scenarios, i, scenario)
	{
		json_array_foreach(json_object_get(scenario, "twins"), k, twin)
		{
			const char *outcome = verdicts_text(twin, "outcome");
			const char *list = strcmp(outcome, "safe") == 0     ? "safe"
					   : strcmp(outcome, "unsafe") == 0 ? "unsafe"
									    : "undecided";

			if (strcmp(verdicts_text(twin, "role"), "mine") == 0 &&
				json_array_append_new(json_object_get(ret, list),
					json_string(verdicts_text(scenario, "name"))) != 0)
				BUG("out of memory");
		}
	}
	return ret;
}

static json_t *conclude(struct suite *s)
{
	enum verdict verdict = VERDICT_NODATA;
	const json_t *scenario;
	json_t *ret = head(s);
	size_t i;

	json_array_foreach(s->scenarios, i, scenario)
	{
		enum verdict v = VERDICT_ERROR;

		if (verdict_parse(verdicts_text(scenario, "verdict"), &v))
			verdict = verdicts_worse(verdict, v);
	}
	if (stop_asked())
		verdict = verdicts_worse(verdict, VERDICT_UNDECIDED);
	if (!ret || json_object_set_new(ret, "verdict", json_string(verdict_text(verdict))) ||
		json_object_set_new(
			ret, "exit_code", json_integer((int)verdict_exit_code(verdict))) ||
		json_object_set_new(ret, "seconds",
			json_real((double)(clock_ns() - s->started_ns) / (double)NS_PER_S)) ||
		(s->wish->repeat > 1 &&
			json_object_set_new(ret, "repeats", repeats_json(s->scenarios))) ||
		(s->wish->with_mine && json_object_set_new(ret, "mine", mine_json(s))) ||
		json_object_set(ret, "scenarios", s->scenarios))
		BUG("out of memory");
	return ret;
}

/* --- their course */

static void tick(struct suite *s)
{
	if (!s->ears->tick || clock_ns() < s->next_tick_ns)
		return;
	s->next_tick_ns = clock_ns() + TICK_NS;
	s->ears->tick(s->ears->ctx, s->running, s->n_running);
}

/* Why nothing can be said, where that is a client library that ended by itself; NULL: it is not that. Borrowed. */
static const char *gave_up(const json_t *result)
{
	const json_t *item;
	size_t i;

	if (strcmp(verdicts_text(result, "verdict"), verdict_text(VERDICT_UNDECIDED)) != 0)
		return NULL;
	json_array_foreach(json_object_get(result, "undecided_because"), i, item)
	{
		if (strstr(json_string_value(item), VERDICTS_GAVE_UP))
			return json_string_value(item);
	}
	json_array_foreach(json_object_get(result, "twins"), i, item)
	{
		if (strstr(verdicts_text(item, "why"), VERDICTS_GAVE_UP))
			return verdicts_text(item, "why");
	}
	return NULL;
}

/*
 * A client library that ends by a defect of its own says nothing about the settings: once more, and once only. Some
 * brokers' restarts do that to librdkafka 2.0.2's idempotent producers ("rewound sequence number", mended in 2.3).
 * Returns whether it runs again.
 */
static bool try_again(struct execution *x, const json_t *result)
{
	const struct stage_set *set = x->set;
	const struct scenario *scenario = x->scenario;
	const char *why = gave_up(result);
	int repetition = x->repetition;
	struct err ignored;

	if (!why || x->first_try[0] || stop_asked())
		return false;
	execution_release(x);
	if (execution_start(x, set, scenario, repetition, why, &ignored) == 0)
		return true;
	return false;
}

/* Has the i-th ended? Then its result is kept. */
static bool take_ended(struct suite *s, size_t i)
{
	struct execution *x = s->running[i];
	const struct scenario *scenario = x->scenario;
	json_t *result;

	if (stop_asked())
		execution_stop(x);
	if (!execution_poll(x))
		return false;
	result = execution_judge(x);
	if (try_again(x, result)) {
		json_decref(result);
		return false;
	}
	keep(s, scenario, result);
	execution_release(x);
	free(x);
	s->n_running--;
	memmove(&s->running[i], &s->running[i + 1], (s->n_running - i) * sizeof(x));
	return true;
}

/* Look after those that run, until at most `leave` are left. */
static void wait_for(struct suite *s, size_t leave)
{
	while (s->n_running > leave) {
		for (size_t i = 0; i < s->n_running;)
			i += !take_ended(s, i);
		tick(s);
		if (s->n_running > leave)
			clock_sleep_ns(POLL_NS);
	}
}

static int start(struct suite *s, const struct scenario *scenario, int repetition, struct err *e)
{
	struct execution *x = malloc(sizeof(*x));
	int r;

	if (!x)
		return err_set(e, ERR_NOMEM, "out of memory");
	r = execution_start(x, &s->set, scenario, repetition, NULL, e);
	if (r == 0) {
		s->running[s->n_running++] = x;
		return 0;
	}
	execution_release(x);
	free(x);
	return r;
}

static void tell_begin(struct suite *s)
{
	if (s->begun)
		return;
	s->begun = true;
	if (s->ears->begin) {
		json_t *about = head(s);

		s->ears->begin(s->ears->ctx, about, s->list);
		json_decref(about);
	}
}

static int begin_one(
	struct suite *s, const struct scenario *scenario, int repetition, struct err *e)
{
	size_t jobs = s->wish->jobs > MAX_JOBS ? MAX_JOBS : (size_t)s->wish->jobs;
	bool beside = scenario->quiet && s->n_running && s->running[0]->scenario->quiet;
	char unfit[200];
	int r;

	wait_for(s, beside && !suite_lab_must_change(&s->lab, scenario) ? jobs - 1 : 0);
	if (stop_asked())
		return 0;
	r = suite_lab_fit(&s->lab, scenario, unfit, sizeof(unfit), e);
	if (r)
		return r;
	tell_begin(s);
	if (!unfit[0])
		return start(s, scenario, repetition, e);
	if (repetition == 1)
		keep_skipped(s, scenario, unfit);
	return 0;
}

int suite_run(const struct suite_wish *wish, const struct scenario_list *list,
	const struct suite_ears *ears, json_t **ret_result, struct err *e)
{
	struct suite s = {.wish = wish, .list = list, .ears = ears};
	struct err later = {0};
	int r, r_end;

	*ret_result = NULL;
	r = prepare(&s, e);
	if (r == 0)
		r = check_cluster(&s, e);
	for (int repetition = 1; repetition <= wish->repeat; repetition++)
		for (size_t i = 0; i < list->n && r == 0 && !stop_asked(); i++)
			r = begin_one(&s, list->at[i], repetition, e);
	wait_for(&s, 0);
	if (s.scenarios && s.lab.status)
		*ret_result = conclude(&s);
	r_end = suite_lab_end(&s.lab, r ? &later : e);
	json_decref(s.scenarios);
	cluster_free(s.cluster);
	return r ? r : r_end;
}
