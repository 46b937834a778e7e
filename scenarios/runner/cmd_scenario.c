/* mqaudit scenario list, show, run. */
#include "scenarios/runner/cmd_scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/stop.h"
#include "core/units.h"
#include "core/words.h"
#include "scenarios/lab/lab.h"
#include "scenarios/runner/suite.h"
#include "scenarios/runner/suite_text.h"

#define AT(type, member) .offset = offsetof(type, member)
#define MAX_REPEAT 1000
#define MAX_JOBS 8 /* as many as suite_run() takes */

static int fail(struct err *e)
{
	log_progress(NULL);
	err_print(e);
	return e->code == ERR_USAGE || e->code == ERR_FORMAT ? EXIT_USAGE : EXIT_ERROR;
}

static int check_broker(const char *word, struct err *e)
{
	if (lab_kind_find(word))
		return 0;
	err_set(e, ERR_USAGE, "there is no broker '%s'", word);
	for (size_t i = 0; lab_kinds[i]; i++)
		err_hint(e, "%s", lab_kinds[i]->name);
	return ERR_USAGE;
}

/* --- list */

struct list_opts {
	const char *suite;
};

static void print_row(const struct scenario *s)
{
	char takes[UNITS_LEN];

	printf("%-30s %-8s %-8s %7s  %s\n", s->name, s->id, s->stage,
		units_duration(s->takes_ns, takes), s->title);
}

static int list_kind(const char *broker, const char *suite, struct err *e)
{
	struct scenario_list list;
	int64_t sum = 0;
	char all[UNITS_LEN];
	int r = suite ? scenario_list_suite(broker, suite, &list, e)
		      : scenario_list_all(broker, &list, e);

	if (r)
		return r;
	printf("%-30s %-8s %-8s %7s  %s\n", broker, "id", "stage", "takes", "what happens");
	for (size_t i = 0; i < list.n; i++) {
		print_row(list.at[i]);
		sum += list.at[i]->takes_ns;
	}
	printf("%zu scenarios, %s one after the other\n", list.n, units_duration(sum, all));
	scenario_list_free(&list);
	return 0;
}

static int list_run(struct cmdline *cl)
{
	const struct list_opts *o = cl->opts;
	struct err e = {0};
	int r = 0;

	if (cl->argc) {
		r = check_broker(cl->argv[0], &e);
		if (r == 0)
			r = list_kind(cl->argv[0], o->suite, &e);
	} else {
		for (size_t i = 0; lab_kinds[i] && r == 0; i++) {
			r = list_kind(lab_kinds[i]->name, o->suite, &e);
			if (r == ERR_NOTFOUND && i) /* it has none */
				r = 0;
		}
	}
	return r ? fail(&e) : EXIT_PASS;
}

static const struct opt list_rows[] = {
	{.name = "suite",
		.type = OPT_STRING,
		.arg = "NAME",
		AT(struct list_opts, suite),
		.group = "Which",
		.help = "Only those of a suite: quick, full, or a file of names (./FILE)."},
	{.name = NULL},
};

const struct command cmd_scenario_list = {
	.name = "scenario list",
	.args = "[kafka|rabbitmq]",
	.summary = "the scenarios: what each provokes, and how long it takes",
	.description = "A scenario provokes one way of losing or repeating messages on a real "
		       "cluster. mqaudit scenario show explains one.",
	.examples = "mqaudit scenario list kafka --suite quick\n",
	.opts = list_rows,
	.opts_size = sizeof(struct list_opts),
	.max_args = 1,
	.run = list_run,
};

/* --- show */

static void print_settings(const char *head, const struct settings *s)
{
	if (s->n)
		printf("%s", head);
	for (size_t i = 0; i < s->n; i++)
		printf("%s%s", i ? " " : "", s->at[i]);
	if (s->n)
		putchar('\n');
}

static void print_twin(const struct twin *t)
{
	printf("\n  %-24s %s%s%s\n", t->name, twin_role_text(t->role), *t->round ? ", round " : "",
		t->round);
	print_settings("    producer   ", &t->producer);
	print_settings("    topic      ", &t->topic);
	print_settings("    nodes      ", &t->broker);
	print_settings("    run        ", &t->run);
	if (*t->promise)
		printf("    promise    %s\n", t->promise);
	printf("    must give  %s\n", t->expect_text);
}

static void print_scenario(const struct scenario *s)
{
	static const char *const outcome[] = {"SAFE", "UNSAFE", "SAFE or UNSAFE"};
	char takes[UNITS_LEN];

	printf("%s   %s   stage %s   %s\n\n%s.\n", s->name, s->id, s->stage,
		units_duration(s->takes_ns, takes), s->title);
	if (*s->about)
		printf("%s\n", s->about);
	putchar('\n');
	if (*s->faults)
		printf("  faults       %s\n", s->faults);
	print_settings("  needs        ", &s->needs);
	print_settings("  nodes        ", &s->lab);
	print_settings("  all twins    ", &s->producer);
	print_settings("  their topics ", &s->topic);
	if (s->bounded)
		printf("  bad twins    are hit in some runs only: --repeat counts how often\n");
	for (size_t i = 0; i < s->n_twins; i++)
		print_twin(&s->twin[i]);
	if (s->n_mine)
		printf("\nYour own settings will be found\n");
	for (size_t i = 0; i < s->n_mine; i++)
		printf("  %-14s %s\n", s->mine[i].settings, outcome[s->mine[i].outcome]);
	printf("\nThe script: %s\n", s->path);
}

/* "NAME" (of the only broker that has it), or "BROKER NAME". */
static int find_scenario(int argc, char **argv, struct scenario **ret, struct err *e)
{
	if (argc == 2) {
		int r = check_broker(argv[0], e);

		return r ? r : scenario_read(argv[0], argv[1], ret, e);
	}
	for (size_t i = 0; lab_kinds[i]; i++) {
		int r = scenario_read(lab_kinds[i]->name, argv[0], ret, e);

		if (r != ERR_NOTFOUND)
			return r;
		err_clear(e);
	}
	err_set(e, ERR_NOTFOUND, "there is no scenario '%s'", argv[0]);
	return err_hint(e, "mqaudit scenario list");
}

static int show_run(struct cmdline *cl)
{
	struct scenario *s = NULL;
	struct err e = {0};
	int r = find_scenario(cl->argc, cl->argv, &s, &e);

	if (r == 0)
		print_scenario(s);
	free(s);
	return r ? fail(&e) : EXIT_PASS;
}

const struct command cmd_scenario_show = {
	.name = "scenario show",
	.args = "[kafka|rabbitmq] NAME",
	.summary = "explain a scenario: its fault, its twins, what each must give",
	.description = "What is declared at the top of its script.",
	.examples = "mqaudit scenario show leader-isolated\n",
	.min_args = 1,
	.max_args = 2,
	.run = show_run,
};

/* --- run */

struct run_opts {
	const char *suite;
	struct opt_list skip;
	uint64_t repeat, jobs;
	const char *lab, *cluster, *version;
	struct opt_list broker_config, topic_config, property;
	const char *producer_config, *consumer_config;
	const char *ledger;
	const char *format;
	struct opt_list output;
	const char *program, *logs;
	int64_t lab_timeout;
};

struct screen {
	bool text; /* what ends is printed at once */
	bool colour;
	const char *last_step; /* said last, off a terminal */
	char step[400];
	bool quiet;
};

static void on_begin(void *ctx, const json_t *head, const struct scenario_list *list)
{
	struct screen *screen = ctx;

	log_progress(NULL);
	if (screen->text)
		suite_text_head(stdout, head, list, screen->colour);
}

static void on_tick(void *ctx, struct execution *const *running, size_t n)
{
	struct screen *screen = ctx;
	struct buf b;

	if (screen->quiet || n == 0)
		return;
	buf_init(&b, 65536);
	if (log_on_terminal()) {
		suite_text_progress(running, n, &b);
		log_progress(buf_str(&b));
	} else {
		char step[400];

		snprintf(step, sizeof(step), "%s: %s%s%s%s", running[0]->scenario->name,
			running[0]->step, *running[0]->fault ? " [" : "", running[0]->fault,
			*running[0]->fault ? "]" : "");
		if (strcmp(step, screen->step) != 0)
			log_note("%s", step);
		memcpy(screen->step, step, sizeof(step));
	}
	buf_release(&b);
}

static void on_done(void *ctx, const struct scenario *s, const json_t *result)
{
	struct screen *screen = ctx;

	(void)s;
	log_progress(NULL);
	if (screen->text)
		suite_text_scenario(stdout, result, screen->colour);
}

static void say(const char *text)
{
	log_note("%s", text);
}

static bool is_skipped(const struct run_opts *o, const char *name)
{
	for (size_t i = 0; i < o->skip.n; i++)
		if (strcmp(o->skip.item[i], name) == 0)
			return true;
	return false;
}

static void drop_skipped(const struct run_opts *o, struct scenario_list *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (is_skipped(o, list->at[i]->name))
			free(list->at[i]);
		else
			list->at[n++] = list->at[i];
	}
	list->n = n;
}

static int gather(struct cmdline *cl, const char *broker, int first, struct scenario_list *list,
	struct err *e)
{
	const struct run_opts *o = cl->opts;
	int r = 0;

	if (first < cl->argc && opt_given(cl, "suite"))
		return err_set(e, ERR_USAGE, "names of scenarios, or --suite: not both");
	if (first == cl->argc)
		r = scenario_list_suite(broker, o->suite, list, e);
	for (int i = first; i < cl->argc && r == 0; i++)
		r = scenario_list_add(list, broker, cl->argv[i], e);
	if (r == 0)
		drop_skipped(o, list);
	if (r == 0 && list->n == 0)
		r = err_set(e, ERR_USAGE, "no scenario is left to run");
	return r;
}

static int check_outputs(const struct run_opts *o, struct err *e)
{
	for (size_t i = 0; i < o->output.n; i++) {
		const char *equals = strchr(o->output.item[i], '=');
		char form[20];

		if (!equals || !equals[1])
			return err_set(
				e, ERR_USAGE, "--output '%s': FORMAT=FILE", o->output.item[i]);
		snprintf(form, sizeof(form), "%.*s", (int)(equals - o->output.item[i]),
			o->output.item[i]);
		if (!suite_form_known(form))
			return err_set(e, ERR_USAGE,
				"--output: '%s' is no form: text, json, junit or markdown", form);
	}
	return 0;
}

/* What would be found wrong after minutes only, is said before anything is begun. */
static int check_files(const struct run_opts *o, struct err *e)
{
	const char *const read[] = {o->producer_config, o->consumer_config};

	for (size_t i = 0; i < 2; i++)
		if (read[i] && access(read[i], R_OK) != 0)
			return err_set_errno(e, ERR_USAGE, errno, "cannot read '%s'", read[i]);
	for (size_t i = 0; i < o->output.n; i++) {
		const char *path = strchr(o->output.item[i], '=') + 1;
		FILE *f = fopen(path, "ae");

		if (!f || fclose(f) != 0)
			return err_set_errno(e, ERR_USAGE, errno, "cannot write '%s'", path);
	}
	return 0;
}

static int check_numbers(const struct run_opts *o, struct err *e)
{
	if (o->repeat < 1 || o->repeat > MAX_REPEAT)
		return err_set(e, ERR_USAGE, "--repeat: 1 to %d", MAX_REPEAT);
	if (o->jobs < 1 || o->jobs > MAX_JOBS)
		return err_set(e, ERR_USAGE, "--jobs: 1 to %d", MAX_JOBS);
	return 0;
}

static int write_outputs(const struct run_opts *o, const json_t *result, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < o->output.n && r == 0; i++) {
		const char *equals = strchr(o->output.item[i], '=');
		char form[20];
		FILE *to = fopen(equals + 1, "we");

		snprintf(form, sizeof(form), "%.*s", (int)(equals - o->output.item[i]),
			o->output.item[i]);
		if (!to)
			return err_set_errno(e, ERR_IO, errno, "cannot write '%s'", equals + 1);
		r = suite_write(form, result, to, false, e);
		if (fclose(to) != 0 && r == 0)
			r = err_set_errno(e, ERR_IO, errno, "cannot write '%s'", equals + 1);
	}
	return r;
}

static struct suite_wish wish_of(const struct run_opts *o, const char *broker, const char *name)
{
	return (struct suite_wish){.name = name,
		.broker = broker,
		.lab = o->lab,
		.cluster = o->cluster,
		.version = o->version,
		.ledger = o->ledger,
		.program = o->program,
		.folder = o->logs,
		.broker_config = o->broker_config.item,
		.n_broker_config = o->broker_config.n,
		.with_mine = o->producer_config || o->consumer_config || o->topic_config.n ||
			     o->broker_config.n || o->property.n,
		.producer_config = o->producer_config,
		.consumer_config = o->consumer_config,
		.topic_config = o->topic_config.item,
		.n_topic_config = o->topic_config.n,
		.property = o->property.item,
		.n_properties = o->property.n,
		.repeat = (int)o->repeat,
		.jobs = (int)o->jobs,
		.lab_timeout_ns = o->lab_timeout};
}

static int finish(
	const struct run_opts *o, const struct screen *screen, json_t *result, struct err *e)
{
	int r = write_outputs(o, result, e);

	if (screen->text)
		suite_text_end(stdout, result, screen->colour);
	else if (r == 0)
		r = suite_write(o->format, result, stdout, screen->colour, e);
	return r;
}

static int run_run(struct cmdline *cl)
{
	const struct run_opts *o = cl->opts;
	bool named = cl->argc && lab_kind_find(cl->argv[0]);
	const char *broker = named ? cl->argv[0] : lab_kinds[0]->name;
	struct screen screen = {.text = strcmp(o->format, "text") == 0,
		.colour = log_colour_stdout(),
		.quiet = cl->quiet};
	const struct suite_ears ears = {.ctx = &screen,
		.begin = on_begin,
		.tick = on_tick,
		.done = on_done,
		.say = cl->quiet ? NULL : say};
	struct scenario_list list = {0};
	struct suite_wish wish =
		wish_of(o, broker, cl->argc == named ? o->suite : "scenarios named");
	json_t *result = NULL;
	struct err e = {0};
	int code = EXIT_ERROR, r = check_outputs(o, &e);

	if (r == 0)
		r = check_numbers(o, &e);
	if (r == 0)
		r = gather(cl, broker, named ? 1 : 0, &list, &e);
	if (r == 0)
		r = check_files(o, &e);
	if (r == 0) {
		stop_install("mqaudit: ended at once; faults are healed and the lab is taken down "
			     "by their guards\n");
		r = suite_run(&wish, &list, &ears, &result, &e);
		log_progress(NULL);
	}
	if (result) {
		struct err later = {0};
		int r_end = finish(o, &screen, result, r ? &later : &e);

		r = r ? r : r_end;
		code = (int)verdict_exit_code(suite_verdict(result));
	}
	json_decref(result);
	scenario_list_free(&list);
	return r ? fail(&e) : code;
}

static const struct opt run_rows[] = {
	{.name = "suite",
		.type = OPT_STRING,
		.arg = "NAME",
		AT(struct run_opts, suite),
		.dflt = "quick",
		.group = "Which",
		.help = "A suite: quick, full, or a file of names (./FILE)."},
	{.name = "skip",
		.type = OPT_LIST,
		.arg = "NAME",
		AT(struct run_opts, skip),
		.help = "Leave that scenario out. Repeatable."},
	{.name = "repeat",
		.type = OPT_COUNT,
		.arg = "N",
		AT(struct run_opts, repeat),
		.dflt = "1",
		.help = "Run all so many times; what is declared as a matter of chance is counted, "
			"with its 95 % bound."},
	{.name = "jobs",
		.type = OPT_COUNT,
		.arg = "N",
		AT(struct run_opts, jobs),
		.dflt = "3",
		.help = "So many of those side by side that disturb nobody."},
	{.name = "producer-config",
		.type = OPT_STRING,
		.arg = "FILE",
		AT(struct run_opts, producer_config),
		.group = "Your own settings (the third twin)",
		.help = "Your producer's properties, in librdkafka's or Java's names; those of a "
			"RabbitMQ client are in the README."},
	{.name = "consumer-config",
		.type = OPT_STRING,
		.arg = "FILE",
		AT(struct run_opts, consumer_config),
		.help = "Your consumer's properties."},
	{.name = "property",
		.letter = 'X',
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		AT(struct run_opts, property),
		.help = "A property of your producer. Repeatable."},
	{.name = "topic-config",
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		AT(struct run_opts, topic_config),
		.help = "A setting of your topic, or an argument of your queue. Repeatable."},
	{.name = "broker-config",
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		AT(struct run_opts, broker_config),
		.help = "A setting of your brokers, for the lab's nodes, or a feature of your cluster, "
			"such as eligible.leader.replicas.version=0. Repeatable."},
	{.name = "lab",
		.type = OPT_STRING,
		.arg = "NAME",
		AT(struct run_opts, lab),
		.dflt = "scenario",
		.group = "Where",
		.help = "The lab of this name, if it is up; else one is made, and taken down in the "
			"end."},
	{.name = "cluster",
		.type = OPT_STRING,
		.arg = "FILE",
		AT(struct run_opts, cluster),
		.help = "A cluster of your own in the lab's place, as this file describes it; only "
			"one that is declared a test cluster."},
	{.name = "version",
		.type = OPT_STRING,
		.arg = "V",
		AT(struct run_opts, version),
		.help = "Version of the broker in the lab that is made."},
	{.name = "lab-timeout",
		.type = OPT_DURATION,
		.arg = "TIME",
		AT(struct run_opts, lab_timeout),
		.dflt = "180s",
		.help = "How long the lab's nodes may take until they answer."},
	{.name = "ledger",
		.type = OPT_STRING,
		.arg = "URL",
		AT(struct run_opts, ledger),
		.help = "PostgreSQL of the ledger (postgresql://...); without it the embedded one."},
	{.name = "logs",
		.type = OPT_STRING,
		.arg = "FOLDER",
		AT(struct run_opts, logs),
		.help = "Where the scripts' logs and the runs' reports go; without it, below the "
			"state folder."},
	{.name = "format",
		.type = OPT_CHOICE,
		.arg = "text|json|junit|markdown",
		.choices = "text|json|junit|markdown",
		AT(struct run_opts, format),
		.dflt = "text",
		.group = "Result",
		.help = "The form of the result on standard output."},
	{.name = "output",
		.letter = 'o',
		.type = OPT_LIST,
		.arg = "FORMAT=FILE",
		AT(struct run_opts, output),
		.help = "Write the result in this form to a file as well. Repeatable."},
	{.name = "program",
		.type = OPT_STRING,
		.arg = "FILE",
		AT(struct run_opts, program),
		.hidden = true,
		.help = "What the scripts run as mqaudit: for tests that sabotage a fault."},
	{.name = NULL},
};

const struct command cmd_scenario_run = {
	.name = "scenario run",
	.args = "[kafka|rabbitmq] [NAME...]",
	.summary = "provoke losses and repeats on a real cluster, and prove what each setting does",
	.description =
		"Each scenario runs its twins side by side under one fault: the bad ones must show "
		"the declared findings, the good ones none. A bad twin without its findings means "
		"that the fault did not bite, or that the auditor is blind: UNDECIDED, never a "
		"pass. Your own settings, given with --producer-config and the like, are a third "
		"twin: SAFE or UNSAFE, scenario by scenario.\n\n"
		"Exit code: 0 all as declared (and your settings SAFE), 1 a good twin was hit or "
		"your settings are UNSAFE, 3 error, 4 undecided. Ctrl-C ends what runs in order, "
		"heals, and takes the lab down.",
	.examples =
		"  # the quick suite, on a lab of its own\n"
		"  mqaudit scenario run kafka --suite quick\n"
		"  # what would happen to us?\n"
		"  mqaudit scenario run kafka --producer-config our.properties -o junit=results.xml\n"
		"  # ... with a quorum queue of RabbitMQ's, to which we publish with mandatory?\n"
		"  mqaudit scenario run rabbitmq -X mandatory=true --topic-config x-queue-type=quorum\n",
	.opts = run_rows,
	.opts_size = sizeof(struct run_opts),
	.max_args = -1,
	.run = run_run,
};
