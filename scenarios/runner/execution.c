#include "scenarios/runner/execution.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/labfile.h"
#include "core/proc.h"
#include "core/props.h"
#include "core/utf8.h"
#include "core/words.h"
#include "scenarios/runner/verdicts.h"

#define FILE_MAX ((size_t)64 << 20)
#define GRACE_NS (120 * NS_PER_S) /* from SIGTERM to SIGKILL: the runs end in order */
#define NOTE_FIELDS 3

/* --- its files */

static void path_of(
	const struct execution *x, const char *name, const char *end, char *ret, size_t len)
{
	snprintf(ret, len, "%.400s/%.60s%s", x->folder, name, end);
}

static int write_file(const struct execution *x, const char *name, const char *end,
	struct buf *text, struct err *e)
{
	char path[PATHS_MAX];
	int r = buf_failed(text);

	if (r)
		return err_set(e, r, "%s", err_code_text(r));
	path_of(x, name, end, path, sizeof(path));
	return paths_write_file(path, buf_str(text), text->len, e);
}

static void add_args(struct buf *b, const char *option, const struct settings *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (option)
			buf_printf(b, "%s\n", option);
		buf_printf(b, "%s\n", s->at[i]);
	}
}

static void add_list(struct buf *b, const char *option, const char *const *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s\n%s\n", option, at[i]);
}

/* Behind the names of what belongs to a second try. */
static const char *again_text(const struct execution *x)
{
	return x->first_try[0] ? "-again" : "";
}

/* The name of a twin's run, and of its topic. */
static void run_name(const struct execution *x, const struct twin *t, char *ret, size_t len)
{
	if (x->repetition > 1)
		snprintf(ret, len, "%s-%s-%s-%d%s", x->scenario->name, t->name, x->set->tag,
			x->repetition, again_text(x));
	else
		snprintf(ret, len, "%s-%s-%s%s", x->scenario->name, t->name, x->set->tag,
			again_text(x));
}

static bool is_named(const char *const *list, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strncmp(list[i], name, len) == 0 && list[i][len] == '=')
			return true;
	return false;
}

/* What a scenario sets for all twins, so that its fault bites sooner, but for what the user has set. */
static int add_for_mine(
	struct buf *b, const struct scenario *s, const struct stage_set *set, struct err *e)
{
	struct props *own = props_new();
	int r = own ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	if (r == 0 && set->producer_config)
		r = props_read_file(set->producer_config, own, e);
	for (size_t i = 0; i < s->producer.n && r == 0; i++) {
		const char *setting = s->producer.at[i];
		size_t len = strcspn(setting, "=");
		char name[200];

		snprintf(name, sizeof(name), "%.*s", (int)len, setting);
		if (!props_get(own, name) && !is_named(set->property, set->n_properties, name, len))
			buf_printf(b, "-X\n%s\n", setting);
	}
	for (size_t i = 0; i < s->topic.n && r == 0; i++)
		if (!is_named(set->topic_config, set->n_topic_config, s->topic.at[i],
			    strcspn(s->topic.at[i], "=")))
			buf_printf(b, "--topic-config\n%s\n", s->topic.at[i]);
	props_free(own);
	return r;
}

static int add_mine_args(
	struct buf *b, const struct scenario *s, const struct stage_set *set, struct err *e)
{
	int r = add_for_mine(b, s, set, e);

	if (set->producer_config)
		buf_printf(b, "--producer-config\n%s\n", set->producer_config);
	else if (set->client_config)
		buf_printf(b, "--producer-config\n%s\n", set->client_config);
	if (set->consumer_config)
		buf_printf(b, "--consumer-config\n%s\n", set->consumer_config);
	add_list(b, "--topic-config", set->topic_config, set->n_topic_config);
	add_list(b, "-X", set->property, set->n_properties);
	add_args(b, NULL, &s->run);
	return r;
}

static int add_settings_args(
	struct buf *b, const struct execution *x, const struct twin *t, struct err *e)
{
	const struct scenario *s = x->scenario;

	if (t->role == TWIN_MINE)
		return add_mine_args(b, s, x->set, e);
	if (x->set->client_config)
		buf_printf(b, "--producer-config\n%s\n", x->set->client_config);
	add_args(b, "-X", &s->producer);
	add_args(b, "-X", &t->producer);
	add_args(b, "--topic-config", &s->topic);
	add_args(b, "--topic-config", &t->topic);
	add_args(b, NULL, &s->run);
	add_args(b, NULL, &t->run);
	return 0;
}

static int write_args(struct execution *x, const struct twin *t, struct err *e)
{
	const struct scenario *s = x->scenario;
	const char *promise = t->promise[0] ? t->promise : s->promise;
	const char *scheme = labfile_scheme_of_kind(x->set->broker);
	char name[RUN_NAME_LEN], path[PATHS_MAX];
	struct buf b;
	int r;

	buf_init(&b, 1U << 20);
	run_name(x, t, name, sizeof(name));
	if (x->set->cluster)
		buf_printf(&b, "%s://%s/%s\n", scheme, x->set->bootstrap, name);
	else
		buf_printf(&b, "%s://lab:%s/%s\n", scheme, x->set->lab, name);
	buf_printf(&b, "--run\n%s\n--create-topic\n%llu\n--rate\n%llu\n--quiet\n", name,
		(unsigned long long)s->partitions, (unsigned long long)s->rate);
	if (*promise && t->role != TWIN_MINE)
		buf_printf(&b, "--promise\n%s\n", promise);
	if (x->set->ledger)
		buf_printf(&b, "--ledger\n%s\n", x->set->ledger);
	path_of(x, t->name, ".status", path, sizeof(path));
	buf_printf(&b, "--status-file\n%s\n", path);
	path_of(x, t->name, ".json", path, sizeof(path));
	buf_printf(&b, "--output\njson=%s\n", path);
	r = add_settings_args(&b, x, t, e);
	if (r == 0)
		r = write_file(x, t->name, ".args", &b, e);
	buf_release(&b);
	return r;
}

static int write_twins(struct execution *x, struct err *e)
{
	struct buf b;
	int r = 0;

	buf_init(&b, 65536);
	for (size_t i = 0; i < x->n_twins && r == 0; i++) {
		const struct twin *t = x->twin[i];

		buf_printf(&b, "%s %s %s\n", t->name, twin_role_text(t->role),
			t->round[0] ? t->round : "-");
		r = write_args(x, t, e);
	}
	if (r == 0)
		r = write_file(x, "twins", "", &b, e);
	buf_release(&b);
	return r;
}

/* The user's settings are a twin of their own; with rounds, in a round of its own. */
static void gather_twins(struct execution *x)
{
	const struct scenario *s = x->scenario;

	for (size_t i = 0; i < s->n_twins; i++) {
		x->expect[x->n_twins] = s->twin[i].expect;
		x->twin[x->n_twins++] = &s->twin[i];
	}
	if (!x->set->with_mine || s->no_mine)
		return;
	x->mine.role = TWIN_MINE;
	snprintf(x->mine.name, sizeof(x->mine.name), "mine");
	if (scenario_has_rounds(s))
		snprintf(x->mine.round, sizeof(x->mine.round), "mine");
	x->twin[x->n_twins++] = &x->mine;
}

/* --- the process */

#define ENV_MAX 12

static int start_script(struct execution *x, struct err *e)
{
	static char text[ENV_MAX][PATHS_MAX + 40];
	char state[PATHS_MAX];
	const char *env[ENV_MAX + 1] = {NULL};
	const char *argv[] = {"bash", x->scenario->path, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	char log[PATHS_MAX];
	size_t n = 0;
	int r = paths_state(NULL, state, sizeof(state), e);

	if (r)
		return r;
	path_of(x, "log", "", log, sizeof(log));
	snprintf(text[n++], sizeof(text[0]), "SCENARIO=%s", x->scenario->name);
	snprintf(text[n++], sizeof(text[0]), "SCENARIO_FOLDER=%s", x->folder);
	snprintf(text[n++], sizeof(text[0]), "SCENARIO_STATE=%s", state);
	snprintf(text[n++], sizeof(text[0]), "SCENARIO_RATE=%llu",
		(unsigned long long)x->scenario->rate);
	snprintf(text[n++], sizeof(text[0]), "SCENARIO_TAG=%s-%d%s", x->set->tag, x->repetition,
		again_text(x));
	snprintf(text[n++], sizeof(text[0]), "SCENARIO_RUNNER=%d", (int)getpid());
	snprintf(text[n++], sizeof(text[0]), "SCENARIO_DEADLINE=%llds",
		(long long)(x->scenario->deadline_ns / NS_PER_S));
	snprintf(text[n++], sizeof(text[0]), "BROKER=%s", x->set->broker);
	snprintf(text[n++], sizeof(text[0]), "LAB=%s", x->set->lab);
	snprintf(text[n++], sizeof(text[0]), "CLUSTER=%s", x->set->cluster ? x->set->cluster : "");
	snprintf(text[n++], sizeof(text[0]), "MQAUDIT=%s", x->set->program);
	for (size_t i = 0; i < n; i++)
		env[i] = text[i];
	spec.argv = argv;
	spec.env = env;
	spec.output_file = log;
	spec.new_session = true; /* Ctrl-C is for us; and its pid names its group */
	spec.death_signal = SIGTERM;
	r = proc_start(&spec, &x->pid, e);
	return r ? err_wrap(e, "start scenario '%s'", x->scenario->name) : 0;
}

int execution_start(struct execution *x, const struct stage_set *set, const struct scenario *s,
	int repetition, const char *first_try, struct err *e)
{
	int r;

	memset(x, 0, sizeof(*x));
	x->set = set;
	x->scenario = s;
	x->repetition = repetition;
	x->proofs = json_array();
	x->troubles = json_array();
	if (!x->proofs || !x->troubles)
		return err_set(e, ERR_NOMEM, "out of memory");
	snprintf(x->first_try, sizeof(x->first_try), "%s", first_try ? first_try : "");
	snprintf(x->folder, sizeof(x->folder), "%.380s/%s-%d%s", set->folder, s->name, repetition,
		again_text(x));
	snprintf(x->step, sizeof(x->step), "starting");
	gather_twins(x);
	r = paths_make(x->folder, 0755, e);
	if (r == 0)
		r = write_twins(x, e);
	if (r == 0)
		r = start_script(x, e);
	x->started_ns = clock_ns();
	x->deadline_ns = x->started_ns + s->deadline_ns;
	return r;
}

/* --- what the script says */

static void add_trouble(struct execution *x, const char *text)
{
	if (json_array_append_new(x->troubles, json_string(text)) != 0)
		BUG("out of memory");
}

static void sharpen(struct execution *x, const char *twin, const char *text)
{
	struct err e = {0};

	for (size_t i = 0; i < x->n_twins; i++)
		if (strcmp(x->twin[i]->name, twin) == 0 && x->twin[i]->role != TWIN_MINE &&
			expect_sharpen(&x->expect[i], text, &e) == 0)
			return;
	err_wrap(&e, "expect %s %s", twin, text);
	add_trouble(x, utf8_clean(e.msg));
}

static void skip(struct execution *x, const char *twin, const char *why)
{
	for (size_t i = 0; i < x->n_twins; i++)
		if (strcmp(x->twin[i]->name, twin) == 0)
			snprintf(x->skipped[i], sizeof(x->skipped[i]), "%s", why);
}

/*
 * The words of a note, and what stands behind them:
 *
 *     step       what it does now
 *     fault      what is on now; empty: nothing
 *     proof      what was on, what proves that it bit
 *     undecided  why nothing can be said
 *     expect     twin, KIND@STAGE=N: what is known only now
 *     skip       twin, why this cluster cannot have it
 */
static void take_note(struct execution *x, char *line)
{
	char *field[NOTE_FIELDS] = {utf8_clean(line), line + strlen(line), line + strlen(line)};

	for (int i = 1; i < NOTE_FIELDS; i++) {
		char *tab = strchr(field[i - 1], '\t');

		if (!tab)
			break;
		*tab = '\0';
		field[i] = tab + 1;
	}
	if (strcmp(field[0], "step") == 0) {
		snprintf(x->step, sizeof(x->step), "%s", field[1]);
	} else if (strcmp(field[0], "fault") == 0) {
		snprintf(x->fault, sizeof(x->fault), "%s", field[1]);
	} else if (strcmp(field[0], "proof") == 0) {
		if (json_array_append_new(x->proofs,
			    json_pack("{ss ss}", "what", field[1], "proof", field[2])) != 0)
			BUG("out of memory");
	} else if (strcmp(field[0], "undecided") == 0) {
		add_trouble(x, field[1]);
	} else if (strcmp(field[0], "expect") == 0) {
		sharpen(x, field[1], field[2]);
	} else if (strcmp(field[0], "skip") == 0) {
		skip(x, field[1], field[2]);
	}
}

/* Take the whole lines that have come since the last time. */
static void read_notes(struct execution *x)
{
	char path[PATHS_MAX];
	char *text = NULL;
	size_t len = 0;

	path_of(x, "notes", "", path, sizeof(path));
	if (access(path, R_OK) != 0 || paths_read_file(path, FILE_MAX, &text, &len, NULL) != 0)
		return;
	while (x->notes_read < len) {
		char *line = text + x->notes_read, *end = strchr(line, '\n');

		if (!end)
			break;
		*end = '\0';
		x->notes_read += (size_t)(end + 1 - line);
		take_note(x, line);
	}
	free(text);
}

/* --- its course */

void execution_stop(struct execution *x)
{
	if (!x->pid || x->asked_to_end)
		return;
	kill(x->pid, SIGTERM);
	x->asked_to_end = true;
	x->deadline_ns = clock_ns() + GRACE_NS;
}

static void heed_deadline(struct execution *x)
{
	if (clock_ns() < x->deadline_ns)
		return;
	if (!x->asked_to_end) {
		x->overdue = true;
		execution_stop(x);
	} else if (!x->killed) {
		kill(-x->pid, SIGKILL); /* the session that it leads */
		x->killed = true;
	}
}

bool execution_poll(struct execution *x)
{
	int status;

	read_notes(x);
	if (!x->pid)
		return true;
	heed_deadline(x);
	if (waitpid(x->pid, &status, WNOHANG) != x->pid)
		return false;
	x->pid = 0;
	x->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	read_notes(x);
	return true;
}

bool execution_status(const struct execution *x, size_t twin, struct status_probe *ret_probe,
	struct status_check *ret_check)
{
	char path[PATHS_MAX], text[8], *content = NULL;

	memset(ret_probe, 0, sizeof(*ret_probe));
	memset(ret_check, 0, sizeof(*ret_check));
	path_of(x, x->twin[twin]->name, ".status", path, sizeof(path));
	if (access(path, R_OK) != 0 || paths_read_file(path, 65536, &content, NULL, NULL) != 0)
		return false;
	for (char *p = content, *next; p && *p; p = next) {
		next = strchr(p, '\n');
		if (next)
			*next++ = '\0';
		(void)status_parse(p, ret_probe, ret_check, text, sizeof(text));
	}
	free(content);
	return true;
}

/* --- the end */

static const char *last_line(const struct execution *x, char *ret, size_t len)
{
	char path[PATHS_MAX], *text = NULL;
	size_t n = 0;

	ret[0] = '\0';
	path_of(x, "log", "", path, sizeof(path));
	if (paths_read_file(path, FILE_MAX, &text, &n, NULL) != 0)
		return ret;
	while (n && text[n - 1] == '\n')
		text[--n] = '\0';
	snprintf(ret, len, "%s", strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text);
	free(text);
	return ret;
}

#define STOPPED "stopped on request"

static bool stopped_on_request(const struct execution *x)
{
	return x->asked_to_end && !x->overdue && x->exit_code != 0;
}

/* The script's own end: 0 and 4 are orderly, and any after a request to end. */
static bool script_failed(const struct execution *x, char *ret_why, size_t len)
{
	char said[300];

	ret_why[0] = '\0';
	if (x->overdue)
		snprintf(ret_why, len, "not finished after %lld s (while: %s)",
			(long long)(x->scenario->deadline_ns / NS_PER_S), x->step);
	else if (!x->asked_to_end && x->exit_code != 0 && x->exit_code != EXIT_UNDECIDED)
		snprintf(ret_why, len, "the script ended with %d (while: %s): %s", x->exit_code,
			x->step, last_line(x, said, sizeof(said)));
	utf8_clean(ret_why); /* a log may hold anything, and texts are cut */
	return ret_why[0] != '\0';
}

static json_t *load_report(const struct execution *x, const struct twin *t)
{
	char path[PATHS_MAX];

	path_of(x, t->name, ".json", path, sizeof(path));
	return json_load_file(path, 0, NULL);
}

static json_t *twin_json(struct execution *x, size_t i, bool fault_proved)
{
	const struct twin *t = x->twin[i];
	char name[RUN_NAME_LEN];
	json_t *report, *ret;

	run_name(x, t, name, sizeof(name));
	if (x->skipped[i][0])
		return verdicts_without_report(
			x->scenario, t, name, "skipped", utf8_clean(x->skipped[i]));
	report = load_report(x, t);
	if (!report && stopped_on_request(x))
		return verdicts_without_report(x->scenario, t, name, "undecided", STOPPED);
	ret = t->role == TWIN_MINE ? verdicts_mine(x->scenario, name, report, fault_proved)
				   : verdicts_twin(x->scenario, t, &x->expect[i], name, report);
	json_decref(report);
	return ret;
}

/* What the bad twins show of the fault: how many there are, how many ran, how many were caught. */
struct bad_twins {
	int declared, ran, caught;
};

static void count_bad(struct bad_twins *bad, const json_t *twin)
{
	const char *outcome = verdicts_text(twin, "outcome");

	bad->declared++;
	bad->ran += strcmp(outcome, "skipped") != 0;
	bad->caught += strcmp(outcome, "ok") == 0;
}

/* What is a matter of chance need not hit every bad twin to show that the fault bites. */
static bool show_the_fault(const struct bad_twins *bad, bool bounded)
{
	if (bad->declared == 0)
		return true;
	return bad->caught > 0 && (bounded || bad->caught == bad->ran);
}

static json_t *twins_json(struct execution *x, bool fault_proved)
{
	json_t *twins = json_array();
	struct bad_twins bad = {0};

	for (int mine = 0; mine <= 1 && twins; mine++) {
		bool proved = fault_proved && show_the_fault(&bad, x->scenario->bounded);

		for (size_t i = 0; i < x->n_twins; i++) {
			json_t *twin;

			if ((x->twin[i]->role == TWIN_MINE) != mine)
				continue;
			twin = twin_json(x, i, proved);
			if (x->twin[i]->role == TWIN_BAD && twin)
				count_bad(&bad, twin);
			if (json_array_append_new(twins, twin) != 0) {
				json_decref(twins);
				return NULL;
			}
		}
	}
	return twins;
}

json_t *execution_judge(struct execution *x)
{
	char why[700];
	bool failed = script_failed(x, why, sizeof(why));
	json_t *twins, *ret;

	if (stopped_on_request(x))
		add_trouble(x, STOPPED);
	twins = twins_json(x, !failed && json_array_size(x->troubles) == 0);
	if (!twins)
		return NULL;
	ret = json_pack("{ss ss ss ss si sb sf so sO sO ss}", "name", x->scenario->name, "id",
		x->scenario->id, "title", x->scenario->title, "stage", x->scenario->stage,
		"repetition", x->repetition, "bounded", x->scenario->bounded, "seconds",
		(double)(clock_ns() - x->started_ns) / (double)NS_PER_S, "twins", twins, "fault",
		x->proofs, "undecided_because", x->troubles, "error", why);
	if (ret && x->first_try[0] &&
		json_object_set_new(ret, "first_try", json_string(x->first_try)) != 0)
		BUG("out of memory");
	if (ret)
		verdicts_scenario(ret, x->scenario->bounded);
	return ret;
}

void execution_release(struct execution *x)
{
	if (x->pid) {
		int status;

		kill(-x->pid, SIGKILL);
		while (waitpid(x->pid, &status, 0) < 0 && errno == EINTR)
			;
		x->pid = 0;
	}
	json_decref(x->proofs);
	json_decref(x->troubles);
	x->proofs = NULL;
	x->troubles = NULL;
}
