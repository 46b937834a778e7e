#include "core/opt.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ini.h>

#include "core/paths.h"
#include "core/units.h"

static const struct opt common[] = {
	{.name = "config",
		.type = OPT_STRING,
		.arg = "FILE",
		.help = "Read options from an INI file: name = value, in a section named as the command, "
			"or above all sections."},
	{.name = "verbose", .letter = 'v', .help = "Say more."},
	{.name = "quiet", .letter = 'q', .help = "Only warnings and errors."},
	{.name = "help", .letter = 'h', .help = "Show this help."},
	{0},
};
#define N_COMMON (sizeof(common) / sizeof(common[0]) - 1)
enum { COMMON_CONFIG, COMMON_VERBOSE, COMMON_QUIET, COMMON_HELP };

/* Values that getopt_long() returns: own rows, their --no- forms, common rows. */
enum { BASE_ROW = 1000, BASE_NO = 3000, BASE_COMMON = 5000 };

#define MAX_ROWS 128
#define CONFIG_MAX ((size_t)1 << 20)
#define CONFIG_LINE_MAX 198 /* inih cuts longer lines in two */

const struct opt *opt_common(void)
{
	return common;
}

static size_t count_rows(const struct command *c)
{
	size_t n = 0;

	while (c->opts && c->opts[n].name)
		n++;
	if (n > MAX_ROWS)
		BUG("command '%s' has %zu options", c->name, n);
	return n;
}

bool opt_given(const struct cmdline *cl, const char *name)
{
	for (size_t i = 0; i < count_rows(cl->command); i++)
		if (strcmp(cl->command->opts[i].name, name) == 0)
			return cl->given[i];
	BUG("no option '%s' in command '%s'", name, cl->command->name);
}

static char *keep(struct cmdline *cl, const char *s)
{
	char **strings = realloc(cl->strings, (cl->n_strings + 1) * sizeof(char *));

	if (!strings)
		return NULL;
	cl->strings = strings;
	strings[cl->n_strings] = strdup(s);
	if (!strings[cl->n_strings])
		return NULL;
	return strings[cl->n_strings++];
}

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	while (*choices) {
		size_t n = strcspn(choices, "|");

		if (n == len && memcmp(choices, value, n) == 0)
			return true;
		choices += n;
		if (*choices)
			choices++;
	}
	return false;
}

static int parse_flag(const char *value, bool *ret, const char *name, struct err *e)
{
	static const char *const yes[] = {"1", "true", "yes", "on"};
	static const char *const no[] = {"0", "false", "no", "off"};

	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
			*ret = strcasecmp(value, yes[i]) == 0;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, "--%s: '%s' is neither yes nor no", name, value);
}

static int list_add(struct opt_list *list, const char *value)
{
	const char **item = realloc(list->item, (list->n + 1) * sizeof(*item));

	if (!item)
		return ERR_NOMEM;
	list->item = item;
	item[list->n++] = value;
	return 0;
}

/* Put a text into the place of its row. The text must live as long as cl. */
static int set_value(struct cmdline *cl, const struct opt *row, const char *value, struct err *e)
{
	void *place = (char *)cl->opts + row->offset;
	int rc = 0;

	switch (row->type) {
	case OPT_FLAG:
		return parse_flag(value, place, row->name, e);
	case OPT_STRING:
		*(const char **)place = value;
		return 0;
	case OPT_CHOICE:
		if (!is_choice(row->choices, value))
			return err_set(e, ERR_USAGE, "--%s: '%s' is none of %s", row->name, value,
				row->choices);
		*(const char **)place = value;
		return 0;
	case OPT_COUNT:
		rc = units_parse_count(value, place, e);
		break;
	case OPT_SIZE:
		rc = units_parse_size(value, place, e);
		break;
	case OPT_DURATION:
		rc = units_parse_duration(value, place, e);
		break;
	case OPT_LIST:
		if (list_add(place, value))
			return err_set(e, ERR_NOMEM, "out of memory");
		return 0;
	}
	return rc ? err_wrap(e, "--%s", row->name) : 0;
}

/* As set_value(), for a value that is not the default: remembers that, and drops a default list. */
static int give_value(struct cmdline *cl, size_t row, const char *value, struct err *e)
{
	const struct opt *o = &cl->command->opts[row];

	if (o->type == OPT_LIST && !cl->given[row])
		((struct opt_list *)((char *)cl->opts + o->offset))->n = 0;
	cl->given[row] = 1;
	return set_value(cl, o, value, e);
}

static int set_defaults(struct cmdline *cl, struct err *e)
{
	const struct opt *rows = cl->command->opts;

	for (size_t i = 0; i < count_rows(cl->command); i++) {
		int rc = rows[i].dflt ? set_value(cl, &rows[i], rows[i].dflt, e) : 0;

		if (rc)
			return rc;
	}
	return 0;
}

static int set_from_env(struct cmdline *cl, struct err *e)
{
	const struct opt *rows = cl->command->opts;

	for (size_t i = 0; i < count_rows(cl->command); i++) {
		char name[80] = "MQAUDIT_";
		size_t at = strlen(name);
		const char *value;
		int rc;

		if (cl->given[i] || rows[i].hidden)
			continue;
		for (const char *p = rows[i].name; *p && at + 1 < sizeof(name); p++)
			name[at++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
		name[at] = '\0';
		value = getenv(name);
		if (!value || !*value)
			continue;
		rc = give_value(cl, i, value, e);
		if (rc)
			return err_wrap(e, "environment variable %s", name);
	}
	return 0;
}

struct ini_state {
	struct cmdline *cl;
	struct err *e;
	int rc;
	uint8_t from_file[MAX_ROWS];
};

/* The section of another command is passed over; one of none at all is a slip of the pen. */
static int check_section(struct ini_state *st, const char *section)
{
	for (size_t i = 0; i < st->cl->n_all; i++)
		if (!st->cl->all[i].hidden && strcmp(st->cl->all[i].name, section) == 0)
			return 1;
	st->rc = err_set(st->e, ERR_USAGE, "section '%s' is named as no command", section);
	return 0;
}

/* One line of the config file, called by inih; 0 means that it is wrong. */
static int ini_line(void *user, const char *section, const char *name, const char *value)
{
	struct ini_state *st = user;
	const struct command *c = st->cl->command;
	char *copy;

	/* inih goes on after an error: the first one counts */
	if (st->rc)
		return 0;
	if (*section && strcmp(section, c->name) != 0)
		return check_section(st, section);
	for (size_t i = 0; i < count_rows(c); i++) {
		if (c->opts[i].hidden || strcmp(c->opts[i].name, name) != 0)
			continue;
		if (st->cl->given[i] && !st->from_file[i])
			return 1;
		copy = keep(st->cl, value);
		st->rc = copy ? give_value(st->cl, i, copy, st->e)
			      : err_set(st->e, ERR_NOMEM, "out of memory");
		st->from_file[i] = 1;
		return st->rc == 0;
	}
	/* above all sections stands what other commands may know */
	if (!*section)
		return 1;
	st->rc = err_set(st->e, ERR_USAGE, "'%s' has no option '%s'", c->name, name);
	return 0;
}

/* The number of the first line that inih would cut in two; 0 when there is none. */
static int overlong_line(const char *text)
{
	for (int line = 1; *text; line++) {
		size_t n = strcspn(text, "\n");

		if (n > CONFIG_LINE_MAX)
			return line;
		text += n + (text[n] == '\n');
	}
	return 0;
}

static int set_from_config(struct cmdline *cl, struct err *e)
{
	struct ini_state st = {.cl = cl, .e = e};
	const char *file = cl->config ? cl->config : getenv("MQAUDIT_CONFIG");
	char *text = NULL;
	int line, r;

	if (!file || !*file)
		return 0;
	r = paths_read_file(file, CONFIG_MAX, &text, NULL, e);
	if (r)
		return err_wrap(e, "config file");
	line = overlong_line(text);
	if (line) {
		r = err_set(e, ERR_USAGE, "config file '%s', line %d: longer than %d bytes", file,
			line, CONFIG_LINE_MAX);
		goto out;
	}
	line = ini_parse_string(text, ini_line, &st);
	if (st.rc)
		r = err_wrap(e, "config file '%s', line %d", file, line);
	else if (line)
		r = err_set(
			e, ERR_USAGE, "config file '%s', line %d: not 'name = value'", file, line);
out:
	free(text);
	return r;
}

struct getopt_table {
	struct option *rows;
	char letters[2 * (MAX_ROWS + N_COMMON) + 3];
	char **no_names;
	size_t n_no;
};

static void table_release(struct getopt_table *t)
{
	for (size_t i = 0; i < t->n_no; i++)
		free(t->no_names[i]);
	free(t->no_names);
	free(t->rows);
}

static void add_letter(char *letters, char letter, bool with_arg)
{
	size_t n = strlen(letters);

	if (!letter)
		return;
	letters[n++] = letter;
	if (with_arg)
		letters[n++] = ':';
	letters[n] = '\0';
}

static int table_init(struct getopt_table *t, const struct command *c)
{
	size_t n = count_rows(c), at = 0;

	memset(t, 0, sizeof(*t));
	t->rows = calloc(2 * n + N_COMMON + 1, sizeof(*t->rows));
	t->no_names = calloc(n + 1, sizeof(*t->no_names));
	if (!t->rows || !t->no_names)
		return ERR_NOMEM;
	t->letters[0] = ':';
	for (size_t i = 0; i < n; i++) {
		const struct opt *o = &c->opts[i];
		char *no;

		t->rows[at++] = (struct option){o->name,
			o->type == OPT_FLAG ? no_argument : required_argument, NULL,
			BASE_ROW + (int)i};
		add_letter(t->letters, o->letter, o->type != OPT_FLAG);
		if (o->type != OPT_FLAG || strncmp(o->name, "no-", 3) == 0)
			continue;
		if (asprintf(&no, "no-%s", o->name) < 0)
			return ERR_NOMEM;
		t->no_names[t->n_no++] = no;
		t->rows[at++] = (struct option){no, no_argument, NULL, BASE_NO + (int)i};
	}
	for (size_t i = 0; i < N_COMMON; i++) {
		t->rows[at++] = (struct option){common[i].name,
			common[i].arg ? required_argument : no_argument, NULL,
			BASE_COMMON + (int)i};
		add_letter(t->letters, common[i].letter, common[i].arg != NULL);
	}
	return 0;
}

static int row_of_letter(const struct command *c, int letter)
{
	for (size_t i = 0; i < count_rows(c); i++)
		if (c->opts[i].letter == letter)
			return BASE_ROW + (int)i;
	for (size_t i = 0; i < N_COMMON; i++)
		if (common[i].letter == letter)
			return BASE_COMMON + (int)i;
	return -1;
}

static int take(struct cmdline *cl, int found, struct err *e)
{
	if (found >= BASE_COMMON) {
		switch (found - BASE_COMMON) {
		case COMMON_CONFIG:
			cl->config = optarg;
			break;
		case COMMON_VERBOSE:
			cl->verbose = true;
			break;
		case COMMON_QUIET:
			cl->quiet = true;
			break;
		case COMMON_HELP:
			cl->help = true;
			break;
		}
		return 0;
	}
	if (found >= BASE_NO) {
		return give_value(cl, (size_t)(found - BASE_NO), "no", e);
	}
	return give_value(cl, (size_t)(found - BASE_ROW), optarg ? optarg : "yes", e);
}

#define MAX_TYPED 40 /* bytes of an option's name that are looked at, to guess what was meant */

/* How many letters must be changed, added or left out to make b of a; texts up to MAX_TYPED bytes. */
static size_t distance(const char *a, size_t n, const char *b)
{
	size_t m = strlen(b), row[MAX_TYPED + 1];

	if (n > MAX_TYPED || m > MAX_TYPED)
		return MAX_TYPED;
	for (size_t j = 0; j <= m; j++)
		row[j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[m];
}

/* The options that are called so, when that is the beginning of several; how many they are. */
static size_t options_beginning(
	const struct command *c, const char *text, size_t len, char *ret, size_t size)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < count_rows(c); i++) {
		if (c->opts[i].hidden || strncmp(c->opts[i].name, text, len) != 0)
			continue;
		if (at < size)
			at += (size_t)snprintf(
				ret + at, size - at, "%s--%s", n ? ", " : "", c->opts[i].name);
		n++;
	}
	return n;
}

static const char *nearest_option(const struct command *c, const char *text, size_t len)
{
	const char *nearest = NULL;
	size_t least = len > 3 ? 3 : 2; /* more than so many slips are another word */

	for (size_t i = 0; i < count_rows(c); i++) {
		size_t d = distance(text, len, c->opts[i].name);

		if (!c->opts[i].hidden && d < least) {
			least = d;
			nearest = c->opts[i].name;
		}
	}
	return nearest;
}

/* A long option that is not known, or not given with enough of its name. */
static int unknown_option(const struct command *c, const char *text, int len, struct err *e)
{
	char several[300] = "";
	size_t n = len > 2 ? (size_t)len - 2 : 0; /* without the dashes */
	const char *nearest = nearest_option(c, text + 2, n);

	if (n && options_beginning(c, text + 2, n, several, sizeof(several)) > 1) {
		err_set(e, ERR_USAGE, "option '%.*s' can mean several", len, text);
		return err_hint(e, "%s", several);
	}
	err_set(e, ERR_USAGE, "unknown option '%.*s'", len, text);
	if (nearest)
		return err_hint(e, "did you mean --%s?", nearest);
	return err_hint(e, "mqaudit %s --help lists the options", c->name);
}

/* What getopt_long() found wrong with `text`: it tells by optopt, and no more. */
static int bad_option(const struct command *c, int found, const char *text, struct err *e)
{
	int name = (int)strcspn(text, "="); /* a value may be a secret */

	if (found == ':')
		err_set(e, ERR_USAGE, "option '%.*s' needs a value", name, text);
	else if (optopt >= BASE_ROW)
		err_set(e, ERR_USAGE, "option '%.*s' takes no value", name, text);
	else if (optopt)
		err_set(e, ERR_USAGE, "unknown option '-%c'", optopt);
	else
		return unknown_option(c, text, name, e);
	return err_hint(e, "mqaudit %s --help lists the options", c->name);
}

static int parse_flags(struct cmdline *cl, int argc, char **argv, struct err *e)
{
	const struct command *c = cl->command;
	struct getopt_table t;
	int r = table_init(&t, c), found;

	if (r) {
		err_set(e, r, "out of memory");
		goto out;
	}
	optind = 0; /* a fresh scan (GNU) */
	opterr = 0;
	while (r == 0 && !cl->help &&
		(found = getopt_long(argc, argv, t.letters, t.rows, NULL)) != -1) {
		if (found == ':' || found == '?') {
			r = bad_option(c, found, argv[optind - 1], e);
		} else {
			if (found < BASE_ROW)
				found = row_of_letter(c, found);
			r = take(cl, found, e);
		}
	}
	cl->argc = argc - optind;
	cl->argv = argv + optind;
out:
	table_release(&t);
	return r;
}

/* What comes behind the flags: environment, config file, number of arguments. */
static int parse_others(struct cmdline *cl, struct err *e)
{
	const struct command *c = cl->command;
	int r = set_from_env(cl, e);

	if (r == 0)
		r = set_from_config(cl, e);
	if (r == 0 && cl->argc < c->min_args) {
		err_set(e, ERR_USAGE, "%s needs %s", c->name, c->args);
		r = err_hint(e, "mqaudit %s --help explains it", c->name);
	}
	if (r == 0 && c->max_args >= 0 && cl->argc > c->max_args) {
		const char *extra = cl->argv[c->max_args];
		const char *at = strrchr(extra, '@');

		/* what stands in front of an '@' may be a secret */
		err_set(e, ERR_USAGE, "unexpected argument '%s%s'", at ? "..." : "",
			at ? at : extra);
		r = err_hint(
			e, "mqaudit %s takes %s", c->name, *c->args ? c->args : "no arguments");
	}
	if (r == 0 && cl->verbose && cl->quiet)
		r = err_set(e, ERR_USAGE, "--verbose and --quiet cannot both be");
	return r;
}

int opt_parse(const struct command *all, size_t n_all, const struct command *command, int argc,
	char **argv, struct cmdline *cl, struct err *e)
{
	/* getopt skips argv[0]: the caller passes the command's words away, so shift by one */
	char **shifted = NULL;
	int r;

	memset(cl, 0, sizeof(*cl));
	cl->command = command;
	cl->all = all;
	cl->n_all = n_all;
	cl->opts = calloc(1, command->opts_size ? command->opts_size : 1);
	cl->given = calloc(count_rows(command) + 1, 1);
	shifted = calloc((size_t)argc + 2, sizeof(*shifted));
	if (!cl->opts || !cl->given || !shifted) {
		free(shifted);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	shifted[0] = (char *)(uintptr_t)command->name;
	memcpy(shifted + 1, argv, (size_t)argc * sizeof(*shifted));
	r = set_defaults(cl, e);
	if (r == 0)
		r = parse_flags(cl, argc + 1, shifted, e);
	if (r == 0 && !cl->help)
		r = parse_others(cl, e);
	/* keep the positional arguments in memory of our own, in argv's place */
	if (cl->argv)
		memmove(shifted, cl->argv, (size_t)cl->argc * sizeof(*shifted));
	shifted[cl->argc] = NULL;
	cl->argv = shifted;
	return r;
}

void opt_release(struct cmdline *cl)
{
	char **strings = cl->strings;

	if (cl->command && cl->opts) {
		for (size_t i = 0; i < count_rows(cl->command); i++) {
			const struct opt *o = &cl->command->opts[i];

			if (o->type == OPT_LIST)
				free(((struct opt_list *)((char *)cl->opts + o->offset))->item);
		}
	}
	for (size_t i = 0; i < cl->n_strings; i++)
		free(strings[i]);
	free(strings);
	free(cl->given);
	free(cl->opts);
	free(cl->argv);
	memset(cl, 0, sizeof(*cl));
}

const struct command *opt_find(
	const struct command *all, size_t n, int argc, char **argv, int *ret_words)
{
	const struct command *best = NULL;

	*ret_words = 0;
	for (size_t i = 0; i < n; i++) {
		const char *name = all[i].name;
		int words = 0;

		while (*name && words < argc) {
			size_t len = strcspn(name, " ");

			if (strlen(argv[words]) != len || memcmp(argv[words], name, len) != 0)
				break;
			words++;
			name += len;
			if (*name)
				name++;
		}
		if (!*name && words > *ret_words) {
			best = &all[i];
			*ret_words = words;
		}
	}
	return best;
}

/* ---- forwarding ------------------------------------------------------------------------------ */

struct arguments {
	char **arg;
	size_t n, cap;
	bool failed;
};

static void forward(struct arguments *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void forward(struct arguments *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n + 1 >= a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 16;
		char **more = realloc(a->arg, cap * sizeof(*more));

		if (!more) {
			a->failed = true;
			return;
		}
		a->arg = more;
		a->cap = cap;
	}
	va_start(ap, fmt);
	if (vasprintf(&a->arg[a->n], fmt, ap) < 0)
		a->failed = true;
	else
		a->n++;
	va_end(ap);
	a->arg[a->n] = NULL;
}

static void forward_row(struct arguments *a, const struct opt *row, const void *place)
{
	const struct opt_list *list = place;

	switch (row->type) {
	case OPT_FLAG:
		forward(a, *(const bool *)place ? "--%s" : "--no-%s", row->name);
		break;
	case OPT_STRING:
	case OPT_CHOICE:
		forward(a, "--%s=%s", row->name, *(const char *const *)place);
		break;
	case OPT_COUNT:
	case OPT_SIZE:
		forward(a, "--%s=%llu", row->name, (unsigned long long)*(const uint64_t *)place);
		break;
	case OPT_DURATION:
		forward(a, "--%s=%lldns", row->name, (long long)*(const int64_t *)place);
		break;
	case OPT_LIST:
		for (size_t i = 0; i < list->n; i++)
			forward(a, "--%s=%s", row->name, list->item[i]);
		break;
	}
}

int opt_forward(const struct cmdline *cl, const struct command *to, char ***ret, size_t *ret_n,
	struct err *e)
{
	struct arguments a = {0};

	forward(&a, "%s", to->name);
	for (size_t i = 0; i < count_rows(cl->command); i++) {
		const struct opt *row = &cl->command->opts[i];

		for (const struct opt *o = to->opts; cl->given[i] && o->name; o++)
			if (strcmp(o->name, row->name) == 0)
				forward_row(&a, row, (const char *)cl->opts + row->offset);
	}
	if (a.failed) {
		opt_forward_free(a.arg);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	*ret = a.arg;
	*ret_n = a.n;
	return 0;
}

void opt_forward_free(char **args)
{
	for (char **p = args; p && *p; p++)
		free(*p);
	free(args);
}
