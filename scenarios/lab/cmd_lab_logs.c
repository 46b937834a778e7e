/* mqaudit lab logs: the last lines of the nodes' logs, and what comes. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/words.h"
#include "scenarios/lab/cmd_lab.h"
#include "scenarios/lab/cmd_lab_common.h"

#define MAX_LINES 1000000
#define POLL_NS (200 * NS_PER_MS)

struct logs_opts {
	const char *lab;
	const char *node;
	const char *grep;
	uint64_t lines;
	bool follow;
};

/* One node's log, as it is read. */
struct source {
	const struct labfile_node *node;
	FILE *f; /* NULL: it is not there yet */
};

struct logs {
	struct source source[LABFILE_MAX_NODES];
	size_t n;
	size_t n_lines; /* to show of what is there */
	bool has_pattern;
	regex_t pattern;
};

static void print_line(const struct logs *l, const struct source *s, const char *line)
{
	if (l->n > 1)
		printf("%-9s ", s->node->name);
	printf("%s\n", line);
}

/* The next whole line without its end, if it matches; a line that is just being written is left for
 * later. False: there is no more. */
static bool next_line(struct source *s, char **line, size_t *cap)
{
	long at;
	ssize_t n;

	if (!s->f)
		s->f = fopen(s->node->log, "re");
	if (!s->f)
		return false;
	clearerr(s->f);
	at = ftell(s->f);
	n = getline(line, cap, s->f);
	if (n <= 0)
		return false;
	if ((*line)[n - 1] != '\n') {
		(void)fseek(s->f, at, SEEK_SET);
		return false;
	}
	(*line)[n - 1] = '\0';
	return true;
}

static bool matches(const struct logs *l, const char *line)
{
	return !l->has_pattern || regexec(&l->pattern, line, 0, NULL, 0) == 0;
}

/* The last lines of what is there, in a ring. */
static int show_last(const struct logs *l, struct source *s, struct err *e)
{
	char **ring = calloc(l->n_lines, sizeof(*ring)), *line = NULL;
	size_t cap = 0, n = 0;
	int r = ring ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	while (r == 0 && next_line(s, &line, &cap)) {
		if (!matches(l, line))
			continue;
		free(ring[n % l->n_lines]);
		ring[n % l->n_lines] = line;
		line = NULL;
		cap = 0;
		n++;
	}
	for (size_t i = n > l->n_lines ? n - l->n_lines : 0; r == 0 && i < n; i++)
		print_line(l, s, ring[i % l->n_lines]);
	for (size_t i = 0; ring && i < l->n_lines; i++)
		free(ring[i]);
	free(ring);
	free(line);
	return r;
}

/* Until a signal ends it. */
static void follow(struct logs *l)
{
	char *line = NULL;
	size_t cap = 0;

	for (;;) {
		for (size_t i = 0; i < l->n; i++)
			while (next_line(&l->source[i], &line, &cap))
				if (matches(l, line))
					print_line(l, &l->source[i], line);
		if (fflush(stdout) != 0)
			break; /* nobody reads any more: main() says so */
		clock_sleep_ns(POLL_NS);
	}
	free(line);
}

static int compile(struct logs *l, const char *pattern, struct err *e)
{
	char why[200];
	int code;

	if (!pattern)
		return 0;
	code = regcomp(&l->pattern, pattern, REG_EXTENDED | REG_NOSUB);
	if (code) {
		regerror(code, &l->pattern, why, sizeof(why));
		return err_set(e, ERR_USAGE, "--grep '%.100s': %s", pattern, why);
	}
	l->has_pattern = true;
	return 0;
}

static int choose_nodes(struct logs *l, struct labfile *file, const char *only, struct err *e)
{
	struct labfile_node *node = NULL;
	int r = only ? cmd_lab_node(file, only, &node, e) : 0;

	for (size_t i = 0; i < file->n_nodes && r == 0; i++)
		if (!only || &file->node[i] == node)
			l->source[l->n++].node = &file->node[i];
	return r;
}

static int show(struct logs *l, bool and_follow, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++)
		r = show_last(l, &l->source[i], e);
	if (r == 0 && and_follow)
		follow(l);
	for (size_t i = 0; i < l->n; i++)
		if (l->source[i].f)
			fclose(l->source[i].f);
	return r;
}

static int logs_run(struct cmdline *cl)
{
	const struct logs_opts *o = cl->opts;
	const char *only = cl->argc == 2 ? cl->argv[1] : o->node;
	struct logs l = {.n_lines = (size_t)o->lines};
	const struct lab_kind *kind = NULL;
	struct labfile *file = NULL;
	struct err e = {0};
	int r = cmd_lab_kind(cl->argv[0], &kind, &e);

	if (r == 0 && (o->lines == 0 || o->lines > MAX_LINES))
		r = err_set(&e, ERR_USAGE, "--lines: from 1 to %d", MAX_LINES);
	if (r == 0)
		r = compile(&l, o->grep, &e);
	if (r == 0)
		r = labfile_read(o->lab, kind->name, &file, &e);
	if (r == 0)
		r = choose_nodes(&l, file, only, &e);
	if (r == 0)
		r = show(&l, o->follow, &e);
	if (l.has_pattern)
		regfree(&l.pattern);
	labfile_free(file);
	return r ? cmd_lab_fail(&e) : EXIT_PASS;
}

static const struct opt logs_rows[] = {
	CMD_LAB_ROW(struct logs_opts),
	{.name = "node",
		.type = OPT_STRING,
		.arg = "NODE",
		.offset = offsetof(struct logs_opts, node),
		.help = "Only this node's; NODE behind the kind is the same."},
	{.name = "grep",
		.type = OPT_STRING,
		.arg = "REGEX",
		.offset = offsetof(struct logs_opts, grep),
		.help = "Only lines that match this extended regular expression."},
	{.name = "lines",
		.letter = 'n',
		.type = OPT_COUNT,
		.arg = "N",
		.offset = offsetof(struct logs_opts, lines),
		.dflt = "200",
		.help = "How many lines of each node, its last."},
	{.name = "follow",
		.letter = 'f',
		.type = OPT_FLAG,
		.offset = offsetof(struct logs_opts, follow),
		.help = "Go on with what comes."},
	{.name = NULL},
};

const struct command cmd_lab_logs = {
	.name = "lab logs",
	.args = "kafka|rabbitmq [NODE]",
	.summary = "the last lines that the nodes have written into their logs",
	.description =
		"Warnings, and what tells where messages went: leadership, truncation, recovery. Of "
		"several nodes each line begins with its node.",
	.examples = "mqaudit lab logs kafka kafka1\n"
		    "mqaudit lab logs kafka --grep 'Truncating|ISR' -f\n",
	.opts = logs_rows,
	.opts_size = sizeof(struct logs_opts),
	.min_args = 1,
	.max_args = 2,
	.run = logs_run,
};
