#include "scenarios/runner/scenario.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"
#include "core/units.h"

#define SCRIPT_MAX ((size_t)1 << 20)
#define DEFAULT_RATE 300
#define DEFAULT_DEADLINE (300 * NS_PER_S)

const char *twin_role_text(enum twin_role role)
{
	static const char *const text[] = {"bad", "good", "mine"};

	return text[role];
}

static bool is_folder_of_scenarios(const char *folder)
{
	char path[PATHS_MAX];

	snprintf(path, sizeof(path), "%.480s/lib.sh", folder);
	return access(path, R_OK) == 0;
}

int scenario_folder(char *ret, size_t len, struct err *e)
{
	/* of a build in the source tree (build/mqaudit leads to build/rel/mqaudit), and of make install */
	static const char *const beside[] = {"/../../scenarios", "/../share/mqaudit/scenarios"};
	const char *given = getenv("MQAUDIT_SCENARIOS");
	char program[PATHS_MAX];

	if (given && *given) {
		snprintf(ret, len, "%s", given);
		return is_folder_of_scenarios(ret)
			       ? 0
			       : err_set(e, ERR_NOTFOUND, "MQAUDIT_SCENARIOS: no scenarios in '%s'",
					 given);
	}
	proc_own_program(program, sizeof(program));
	if (strncmp(program, "/proc/", 6) == 0) {
		char target[PATHS_MAX];
		ssize_t n = readlink(program, target, sizeof(target) - 1);

		snprintf(program, sizeof(program), "%.*s", (int)(n < 0 ? 0 : n), target);
	}
	if (strrchr(program, '/'))
		*strrchr(program, '/') = '\0';
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(ret, len, "%.460s%s", program, beside[i]);
		if (is_folder_of_scenarios(ret))
			return 0;
	}
	err_set(e, ERR_NOTFOUND, "the scenarios' scripts are not found");
	return err_hint(e, "MQAUDIT_SCENARIOS names their folder");
}

/* --- one declaration */

struct reader {
	struct scenario *s;
	struct twin *twin; /* NULL: not yet within one */
};

static int add_settings(struct settings *to, const char *text, struct err *e)
{
	for (const char *p = text + strspn(text, " \t"); *p; p += strspn(p, " \t")) {
		size_t n = strcspn(p, " \t");

		if (to->n == SCENARIO_MAX_SETTINGS)
			return err_set(e, ERR_FORMAT, "more than %d words", SCENARIO_MAX_SETTINGS);
		if (n >= sizeof(to->at[0]))
			return err_set(e, ERR_FORMAT, "'%.40s...' is too long", p);
		snprintf(to->at[to->n++], sizeof(to->at[0]), "%.*s", (int)n, p);
		p += n;
	}
	return 0;
}

static int set_text(char *to, size_t len, const char *text, struct err *e)
{
	if (strlen(text) >= len)
		return err_set(e, ERR_FORMAT, "longer than %zu bytes", len - 1);
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static int add_about(struct scenario *s, const char *text, struct err *e)
{
	size_t have = strlen(s->about);

	if (have + strlen(text) + 2 > sizeof(s->about))
		return err_set(e, ERR_FORMAT, "longer than %zu bytes", sizeof(s->about) - 1);
	snprintf(s->about + have, sizeof(s->about) - have, "%s%s", have ? " " : "", text);
	return 0;
}

static int begin_twin(struct reader *rd, const char *text, struct err *e)
{
	struct scenario *s = rd->s;
	char name[80], role[16], more[16];
	struct twin *t;
	int n = sscanf(text, "%79s %15s %15s", name, role, more);

	if (n != 2)
		return err_set(e, ERR_FORMAT, "twin NAME bad|good");
	if (s->n_twins == SCENARIO_MAX_TWINS)
		return err_set(e, ERR_FORMAT, "more than %d twins", SCENARIO_MAX_TWINS);
	t = &s->twin[s->n_twins];
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name) ||
		strlen(name) > SCENARIO_NAME_MAX || strcmp(name, "mine") == 0)
		return err_set(e, ERR_FORMAT, "'%s' is no name for a twin", name);
	for (size_t i = 0; i < s->n_twins; i++)
		if (strcmp(s->twin[i].name, name) == 0)
			return err_set(e, ERR_FORMAT, "there is a twin '%s' already", name);
	if (strcmp(role, "bad") == 0)
		t->role = TWIN_BAD;
	else if (strcmp(role, "good") == 0)
		t->role = TWIN_GOOD;
	else
		return err_set(e, ERR_FORMAT, "a twin is bad or good, not '%s'", role);
	snprintf(t->name, sizeof(t->name), "%s", name);
	rd->twin = t;
	s->n_twins++;
	return 0;
}

static int add_mine(struct scenario *s, const char *text, struct err *e)
{
	struct settings words = {.n = 0};
	int r = 0;

	if (strcmp(text, "none") == 0) {
		s->no_mine = true;
		return 0;
	}
	r = add_settings(&words, text, e);
	for (size_t i = 0; i < words.n && r == 0; i++) {
		char *colon = strrchr(words.at[i], ':');
		struct mine *m = &s->mine[s->n_mine];

		if (!colon || s->n_mine == SCENARIO_MAX_MINE ||
			colon - words.at[i] >= (ptrdiff_t)sizeof(m->settings))
			return err_set(
				e, ERR_FORMAT, "'%s': SETTINGS:SAFE|UNSAFE|EITHER", words.at[i]);
		snprintf(m->settings, sizeof(m->settings), "%.*s", (int)(colon - words.at[i]),
			words.at[i]);
		if (strcmp(colon + 1, "SAFE") == 0)
			m->outcome = MINE_SAFE;
		else if (strcmp(colon + 1, "UNSAFE") == 0)
			m->outcome = MINE_UNSAFE;
		else if (strcmp(colon + 1, "EITHER") == 0)
			m->outcome = MINE_EITHER;
		else
			return err_set(e, ERR_FORMAT, "'%s': SAFE, UNSAFE or EITHER", colon + 1);
		s->n_mine++;
	}
	return r;
}

static int set_flag(bool *to, const char *text, struct err *e)
{
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return err_set(e, ERR_FORMAT, "'%s': yes or no", text);
	*to = strcmp(text, "yes") == 0;
	return 0;
}

/* What may stand within a twin. ret_taken: it was one of these. */
static int take_for_twin(
	struct twin *t, const char *word, const char *text, bool *ret_taken, struct err *e)
{
	*ret_taken = true;
	if (strcmp(word, "producer") == 0)
		return add_settings(&t->producer, text, e);
	if (strcmp(word, "topic") == 0)
		return add_settings(&t->topic, text, e);
	if (strcmp(word, "broker") == 0)
		return add_settings(&t->broker, text, e);
	if (strcmp(word, "run") == 0)
		return add_settings(&t->run, text, e);
	if (strcmp(word, "round") == 0)
		return set_text(t->round, sizeof(t->round), text, e);
	if (strcmp(word, "promise") == 0)
		return set_text(t->promise, sizeof(t->promise), text, e);
	if (strcmp(word, "expect") == 0) {
		int r = set_text(t->expect_text, sizeof(t->expect_text), text, e);

		return r ? r : expect_parse(text, &t->expect, e);
	}
	*ret_taken = false;
	return 0;
}

static int take_text(
	struct scenario *s, const char *word, const char *text, bool *ret_taken, struct err *e)
{
	*ret_taken = true;
	if (strcmp(word, "title") == 0)
		return set_text(s->title, sizeof(s->title), text, e);
	if (strcmp(word, "about") == 0)
		return add_about(s, text, e);
	if (strcmp(word, "id") == 0)
		return set_text(s->id, sizeof(s->id), text, e);
	if (strcmp(word, "stage") == 0)
		return set_text(s->stage, sizeof(s->stage), text, e);
	if (strcmp(word, "faults") == 0)
		return set_text(s->faults, sizeof(s->faults), text, e);
	if (strcmp(word, "promise") == 0)
		return set_text(s->promise, sizeof(s->promise), text, e);
	*ret_taken = false;
	return 0;
}

static int take_for_all(struct scenario *s, const char *word, const char *text, struct err *e)
{
	bool taken;
	int r = take_text(s, word, text, &taken, e);

	if (taken)
		return r;
	if (strcmp(word, "needs") == 0)
		return add_settings(&s->needs, text, e);
	if (strcmp(word, "lab") == 0)
		return add_settings(&s->lab, text, e);
	if (strcmp(word, "producer") == 0)
		return add_settings(&s->producer, text, e);
	if (strcmp(word, "topic") == 0)
		return add_settings(&s->topic, text, e);
	if (strcmp(word, "run") == 0)
		return add_settings(&s->run, text, e);
	if (strcmp(word, "takes") == 0)
		return units_parse_duration(text, &s->takes_ns, e);
	if (strcmp(word, "deadline") == 0)
		return units_parse_duration(text, &s->deadline_ns, e);
	if (strcmp(word, "rate") == 0)
		return units_parse_count(text, &s->rate, e);
	if (strcmp(word, "partitions") == 0)
		return units_parse_count(text, &s->partitions, e);
	if (strcmp(word, "quiet") == 0)
		return set_flag(&s->quiet, text, e);
	if (strcmp(word, "bounded") == 0)
		return set_flag(&s->bounded, text, e);
	if (strcmp(word, "mine") == 0)
		return add_mine(s, text, e);
	return err_set(e, ERR_FORMAT, "unknown word '%s'", word);
}

static int take(struct reader *rd, const char *word, const char *text, bool indented, struct err *e)
{
	bool taken;
	int r;

	if (!*text)
		return err_set(e, ERR_FORMAT, "'%s' of what?", word);
	if (!indented) {
		rd->twin = NULL;
		return strcmp(word, "twin") == 0 ? begin_twin(rd, text, e)
						 : take_for_all(rd->s, word, text, e);
	}
	if (!rd->twin)
		return err_set(e, ERR_FORMAT, "indented, but there is no twin above");
	r = take_for_twin(rd->twin, word, text, &taken, e);
	return taken ? r : err_set(e, ERR_FORMAT, "unknown word '%s' for a twin", word);
}

/* "#: word  text" or "#:   word  text", the latter for the twin above. */
static int take_line(struct reader *rd, char *line, struct err *e)
{
	char *p = line + 2, *word, *text;
	size_t blanks = strspn(p, " \t"), len;

	word = p + blanks;
	len = strcspn(word, " \t");
	text = word + len + strspn(word + len, " \t");
	if (*word == '\0')
		return 0;
	word[len] = '\0';
	for (size_t n = strlen(text); n > 0 && strchr(" \t\r", text[n - 1]); n--)
		text[n - 1] = '\0';
	return take(rd, word, text, blanks > 1, e);
}

static int check(const struct scenario *s, struct err *e)
{
	const char *missing = !*s->title     ? "title"
			      : !*s->stage   ? "stage"
			      : !s->takes_ns ? "takes"
			      : !s->n_twins  ? "twin"
					     : NULL;

	if (missing)
		return err_set(e, ERR_FORMAT, "no '%s' is declared", missing);
	for (size_t i = 0; i < s->n_twins; i++)
		if (!s->twin[i].expect.verdicts)
			return err_set(
				e, ERR_FORMAT, "twin '%s' declares no 'expect'", s->twin[i].name);
	return 0;
}

static int parse(struct scenario *s, char *text, struct err *e)
{
	struct reader rd = {.s = s};
	int line = 0, r = 0;

	for (char *p = text, *next; p && *p && r == 0; p = next) {
		next = strchr(p, '\n');
		if (next)
			*next++ = '\0';
		line++;
		if (strncmp(p, "#:", 2) == 0)
			r = take_line(&rd, p, e);
		else if (*p && *p != '#')
			break; /* the script itself begins */
	}
	if (r)
		return err_wrap(e, "%s:%d", s->path, line);
	r = check(s, e);
	return r ? err_wrap(e, "%s", s->path) : 0;
}

int scenario_read(const char *broker, const char *name, struct scenario **ret, struct err *e)
{
	struct scenario *s = NULL;
	char folder[PATHS_MAX];
	char *text = NULL;
	int r;

	*ret = NULL;
	if (!*name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name) ||
		strlen(name) > SCENARIO_NAME_MAX)
		return err_set(e, ERR_USAGE, "'%s' is no name of a scenario", name);
	r = scenario_folder(folder, sizeof(folder), e);
	if (r)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	snprintf(s->name, sizeof(s->name), "%s", name);
	snprintf(s->broker, sizeof(s->broker), "%s", broker);
	snprintf(s->path, sizeof(s->path), "%.400s/%.20s/%s.sh", folder, broker, name);
	s->rate = DEFAULT_RATE;
	s->partitions = 1;
	s->deadline_ns = DEFAULT_DEADLINE;
	if (access(s->path, R_OK) != 0 && errno == ENOENT) {
		r = err_set(e, ERR_NOTFOUND, "there is no scenario '%s' for %s", name, broker);
		err_hint(e, "mqaudit scenario list");
	} else {
		r = paths_read_file(s->path, SCRIPT_MAX, &text, NULL, e);
	}
	if (r == 0)
		r = parse(s, text, e);
	free(text);
	if (r)
		free(s);
	else
		*ret = s;
	return r;
}

/* --- lists */

int scenario_list_add(
	struct scenario_list *list, const char *broker, const char *name, struct err *e)
{
	struct scenario **at, *s;
	int r;

	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->at[i]->name, name) == 0 &&
			strcmp(list->at[i]->broker, broker) == 0)
			return 0;
	r = scenario_read(broker, name, &s, e);
	if (r)
		return r;
	at = realloc(list->at, (list->n + 1) * sizeof(*at));
	if (!at) {
		free(s);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	list->at = at;
	list->at[list->n++] = s;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct scenario *const *)a)->name, (*(struct scenario *const *)b)->name);
}

int scenario_list_all(const char *broker, struct scenario_list *ret, struct err *e)
{
	char folder[PATHS_MAX], path[PATHS_MAX];
	struct dirent *d;
	DIR *dir;
	int r = scenario_folder(folder, sizeof(folder), e);

	memset(ret, 0, sizeof(*ret));
	if (r)
		return r;
	snprintf(path, sizeof(path), "%.440s/%.20s", folder, broker);
	dir = opendir(path);
	if (!dir)
		return err_set_errno(e, ERR_NOTFOUND, errno, "cannot read folder '%s'", path);
	while (r == 0 && (d = readdir(dir))) {
		size_t n = strlen(d->d_name);
		char name[SCENARIO_NAME_MAX + 8];

		if (n <= 3 || strcmp(d->d_name + n - 3, ".sh") != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(n - 3), d->d_name);
		r = scenario_list_add(ret, broker, name, e);
	}
	closedir(dir);
	if (r)
		scenario_list_free(ret);
	else if (ret->n)
		qsort(ret->at, ret->n, sizeof(*ret->at), by_name);
	return r;
}

static int suite_path(const char *broker, const char *suite, char *ret, size_t len, struct err *e)
{
	char folder[PATHS_MAX];
	int r;

	if (strchr(suite, '/')) {
		snprintf(ret, len, "%s", suite);
		return 0;
	}
	r = scenario_folder(folder, sizeof(folder), e);
	if (r)
		return r;
	snprintf(ret, len, "%.380s/suites/%.20s-%.80s.list", folder, broker, suite);
	if (access(ret, R_OK) == 0)
		return 0;
	err_set(e, ERR_NOTFOUND, "there is no suite '%s' for %s", suite, broker);
	return err_hint(e, "quick, full, or a file of names: ./FILE");
}

int scenario_list_suite(
	const char *broker, const char *suite, struct scenario_list *ret, struct err *e)
{
	char path[PATHS_MAX];
	char *text = NULL;
	int line = 0, r = suite_path(broker, suite, path, sizeof(path), e);

	memset(ret, 0, sizeof(*ret));
	if (r == 0)
		r = paths_read_file(path, SCRIPT_MAX, &text, NULL, e);
	for (char *p = text, *next; r == 0 && p && *p; p = next) {
		char name[80];

		next = strchr(p, '\n');
		if (next)
			*next++ = '\0';
		line++;
		p[strcspn(p, "#")] = '\0';
		if (sscanf(p, "%79s", name) == 1)
			r = scenario_list_add(ret, broker, name, e);
		if (r)
			err_wrap(e, "%s:%d", path, line);
	}
	free(text);
	if (r == 0 && ret->n == 0)
		r = err_set(e, ERR_USAGE, "suite '%s' is empty", path);
	if (r)
		scenario_list_free(ret);
	return r;
}

void scenario_list_free(struct scenario_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->at[i]);
	free(list->at);
	memset(list, 0, sizeof(*list));
}

bool scenario_has_rounds(const struct scenario *s)
{
	return s->n_twins && s->twin[0].round[0];
}

bool scenario_needs(const struct scenario *s, const char *word)
{
	for (size_t i = 0; i < s->needs.n; i++)
		if (strcmp(s->needs.at[i], word) == 0)
			return true;
	return false;
}
