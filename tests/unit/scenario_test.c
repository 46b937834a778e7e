/* The declarations at the top of a scenario's script: what is read, and that whatever is wrong is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "scenarios/runner/scenario.h"

static char folder[64];

static void put(const char *name, const char *text)
{
	char path[PATHS_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(paths_write_file(path, text, strlen(text), NULL), 0);
}

static int make_folder(void **unused)
{
	char path[PATHS_MAX];

	(void)unused;
	snprintf(folder, sizeof(folder), "/tmp/mqaudit-scenario-XXXXXX");
	if (!mkdtemp(folder) || setenv("MQAUDIT_SCENARIOS", folder, 1) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/kafka", folder);
	if (paths_make(path, 0755, NULL) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/suites", folder);
	put("lib.sh", "");
	return paths_make(path, 0755, NULL);
}

static int remove_folder(void **unused)
{
	(void)unused;
	return paths_remove_tree(folder, NULL);
}

#define LEAST                                                                                      \
	"#: title t\n#: stage broker\n#: takes 5s\n#: twin a bad\n#:   expect FAIL lost@broker\n"

static void least(void **unused)
{
	struct scenario *s = NULL;
	struct err e = {0};

	(void)unused;
	put("kafka/least.sh",
		"#!/usr/bin/env bash\n" LEAST "# shellcheck\n. lib.sh\n#: nonsense\n");
	assert_int_equal(scenario_read("kafka", "least", &s, &e), 0);
	assert_string_equal(s->title, "t");
	assert_true(s->takes_ns == 5 * NS_PER_S);
	assert_true(s->deadline_ns == 300 * NS_PER_S);
	assert_int_equal(s->rate, 300);
	assert_int_equal(s->partitions, 1);
	assert_int_equal(s->n_twins, 1);
	assert_int_equal(s->twin[0].role, TWIN_BAD);
	assert_false(s->quiet || s->bounded || s->no_mine || scenario_has_rounds(s));
	free(s);
}

static void all_words(void **unused)
{
	struct scenario *s = NULL;
	struct err e = {0};

	(void)unused;
	put("kafka/all.sh",
		"#: title  All  words \n#:\n#: about one\n#: about two\n#: id K-99\n#: stage produce\n"
		"#: faults kill\n#: needs nodes=3 loop\n#: lab a=1 b=2\n#: takes 1m\n#: deadline 2m\n"
		"#: rate 2k\n#: partitions 3\n#: quiet yes\n#: bounded yes\n#: producer x=1\n"
		"#: topic y=2\n#: run --size 100\n#: promise at-least-once\n"
		"#: twin one bad\n#:   producer acks=1 linger.ms=5\n#:   topic z=3\n"
		"#:   run --keys 5\n#:   round first\n#:   promise at-most-once\n#:   expect FAIL lost@broker\n"
		"#: twin two good\n#:\t\texpect PASS\n"
		"#: mine acks=1:UNSAFE acks=all:EITHER idempotent:SAFE\n");
	assert_int_equal(scenario_read("kafka", "all", &s, &e), 0);
	assert_string_equal(s->title, "All  words");
	assert_string_equal(s->about, "one two");
	assert_string_equal(s->id, "K-99");
	assert_string_equal(s->faults, "kill");
	assert_string_equal(s->promise, "at-least-once");
	assert_true(s->quiet && s->bounded && !s->no_mine && scenario_has_rounds(s));
	assert_true(scenario_needs(s, "loop") && !scenario_needs(s, "nodes"));
	assert_int_equal(s->rate, 2000);
	assert_int_equal(s->partitions, 3);
	assert_true(s->deadline_ns == 120 * NS_PER_S);
	assert_string_equal(s->lab.at[1], "b=2");
	assert_string_equal(s->run.at[1], "100");
	assert_int_equal(s->n_twins, 2);
	assert_string_equal(s->twin[0].producer.at[1], "linger.ms=5");
	assert_string_equal(s->twin[0].topic.at[0], "z=3");
	assert_string_equal(s->twin[0].run.at[0], "--keys");
	assert_string_equal(s->twin[0].round, "first");
	assert_string_equal(s->twin[0].promise, "at-most-once");
	assert_int_equal(s->n_mine, 3);
	assert_string_equal(s->mine[1].settings, "acks=all");
	assert_int_equal(s->mine[1].outcome, MINE_EITHER);
	free(s);
}

static void wrong(void **unused)
{
	/* what is wrong, what is said, on which line (0: of the whole) */
	static const struct {
		const char *text, *said;
		int line;
	} cases[] = {
		{"", "no 'title'", 0},
		{"#: title t\n", "no 'stage'", 0},
		{"#: title t\n#: stage s\n", "no 'takes'", 0},
		{"#: title t\n#: stage s\n#: takes 1s\n", "no 'twin'", 0},
		{"#: title t\n#: stage s\n#: takes 1s\n#: twin a bad\n", "declares no 'expect'", 0},
		{"#: title\n", "'title' of what?", 1},
		{"#: tilte t\n", "unknown word 'tilte'", 1},
		{"# x\n#:   producer acks=1\n", "no twin above", 2},
		{"#: twin a bad\n#:   stage broker\n", "unknown word 'stage' for a twin", 2},
		{"#: twin a bad\n#: quiet yes\n#:   expect PASS\n", "no twin above", 3},
		{"#: twin a\n", "twin NAME bad|good", 1},
		{"#: twin a bad x\n", "twin NAME bad|good", 1},
		{"#: twin a mine\n", "bad or good, not 'mine'", 1},
		{"#: twin mine good\n", "no name for a twin", 1},
		{"#: twin A good\n", "no name for a twin", 1},
		{"#: twin a good\n#: twin a bad\n", "there is a twin 'a' already", 2},
		{"#: twin aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa good\n", "no name for a twin",
			1},
		{"#: twin a good\n#:   expect PASS lost\n", "'lost' is no finding", 2},
		{"#: twin a good\n#:   round aaaaaaaaaaaaaaaaaaaaaaaa\n", "longer than 23 bytes",
			2},
		{"#: twin 1 bad\n#: twin 2 bad\n#: twin 3 bad\n#: twin 4 bad\n#: twin 5 bad\n"
		 "#: twin 6 bad\n#: twin 7 bad\n#: twin 8 bad\n#: twin 9 bad\n",
			"more than 8 twins", 9},
		{"#: producer 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", "more than 16 words",
			1},
		{"#: takes soon\n", "soon", 1},
		{"#: deadline -1s\n", "-1s", 1},
		{"#: rate x\n", "x", 1},
		{"#: partitions x\n", "x", 1},
		{"#: quiet maybe\n", "yes or no", 1},
		{"#: bounded 1\n", "yes or no", 1},
		{"#: mine acks=1\n", "SETTINGS:SAFE|UNSAFE|EITHER", 1},
		{"#: mine acks=1:GOOD\n", "SAFE, UNSAFE or EITHER", 1},
		{"#: mine aaaaaaaaaaaaaaaaaaaaaaaaaaaaa:SAFE\n", "SETTINGS:SAFE|UNSAFE|EITHER", 1},
		{"#: mine 1:SAFE 2:SAFE 3:SAFE 4:SAFE 5:SAFE 6:SAFE 7:SAFE 8:SAFE 9:SAFE\n",
			"SETTINGS:SAFE|UNSAFE|EITHER", 1},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scenario *s = NULL;
		struct err e = {0};
		char at[40];
		int r;

		put("kafka/wrong.sh", cases[i].text);
		r = scenario_read("kafka", "wrong", &s, &e);
		if (r == 0 || !strstr(e.msg, cases[i].said))
			fail_msg("'%s': '%s', not '%s'", cases[i].text, e.msg, cases[i].said);
		assert_null(s);
		snprintf(at, sizeof(at), "wrong.sh:%d: ", cases[i].line);
		assert_true(cases[i].line == 0 || strstr(e.msg, at));
	}
}

/* Longer than there is room for: said, never cut. */
static void too_long(void **unused)
{
	static const struct {
		const char *word;
		size_t room;
	} cases[] = {{"title", 159}, {"about", 599}, {"id", 23}, {"stage", 15}, {"faults", 119},
		{"promise", 39}, {"producer", 199}, {"topic", 199}, {"run", 199}, {"needs", 199},
		{"lab", 199}};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scenario *s = NULL;
		struct err e = {0};
		char text[800];

		snprintf(text, sizeof(text), "#: %s %0*d\n", cases[i].word, (int)cases[i].room + 1,
			0);
		put("kafka/long.sh", text);
		assert_int_not_equal(scenario_read("kafka", "long", &s, &e), 0);
		if (!strstr(e.msg, "long"))
			fail_msg("%s: %s", cases[i].word, e.msg);
	}
}

static void names(void **unused)
{
	static const char *const wrong_names[] = {
		"", "../x", "A", "a b", "a.sh", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct scenario *s = NULL;
	struct err e = {0};

	(void)unused;
	for (size_t i = 0; i < sizeof(wrong_names) / sizeof(wrong_names[0]); i++)
		assert_int_equal(scenario_read("kafka", wrong_names[i], &s, &e), ERR_USAGE);
	assert_int_equal(scenario_read("kafka", "nobody", &s, &e), ERR_NOTFOUND);
	assert_null(s);
}

static void suites(void **unused)
{
	struct scenario_list list;
	struct err e = {0};

	(void)unused;
	put("kafka/one.sh", LEAST);
	put("kafka/two.sh", LEAST);
	put("suites/kafka-quick.list", "# a comment\n\ntwo # why\n one\ntwo\n");
	assert_int_equal(scenario_list_suite("kafka", "quick", &list, &e), 0);
	assert_int_equal(list.n, 2);
	assert_string_equal(list.at[0]->name, "two");
	assert_string_equal(list.at[1]->name, "one");
	scenario_list_free(&list);
	put("suites/kafka-empty.list", "# nothing\n");
	assert_int_equal(scenario_list_suite("kafka", "empty", &list, &e), ERR_USAGE);
	assert_non_null(strstr(e.msg, "is empty"));
	err_clear(&e);
	put("suites/kafka-bad.list", "one\nnobody\n");
	assert_int_equal(scenario_list_suite("kafka", "bad", &list, &e), ERR_NOTFOUND);
	assert_non_null(strstr(e.msg, "kafka-bad.list:2: "));
	err_clear(&e);
	assert_int_equal(scenario_list_suite("kafka", "none", &list, &e), ERR_NOTFOUND);
	assert_int_equal(list.n, 0);
}

static void listing(void **unused)
{
	char path[PATHS_MAX];
	struct scenario_list list;
	struct err e = {0};

	(void)unused;
	put("kafka/notes.txt", "no script");
	for (size_t i = 0; i < 2; i++) {
		static const char *const left[] = {"kafka/wrong.sh", "kafka/long.sh"};

		snprintf(path, sizeof(path), "%s/%s", folder, left[i]);
		(void)unlink(path);
	}
	assert_int_equal(scenario_list_all("kafka", &list, &e), 0);
	for (size_t i = 1; i < list.n; i++)
		assert_true(strcmp(list.at[i - 1]->name, list.at[i]->name) < 0);
	assert_true(list.n >= 2);
	scenario_list_free(&list);
	put("kafka/broken.sh", "#: nonsense x\n");
	assert_int_equal(scenario_list_all("kafka", &list, &e), ERR_FORMAT);
	assert_int_equal(list.n, 0);
	err_clear(&e);
	assert_int_equal(scenario_list_all("nobroker", &list, &e), ERR_NOTFOUND);
	err_clear(&e);
	assert_int_equal(setenv("MQAUDIT_SCENARIOS", "/nonexistent", 1), 0);
	assert_int_equal(scenario_list_all("kafka", &list, &e), ERR_NOTFOUND);
	assert_int_equal(setenv("MQAUDIT_SCENARIOS", folder, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(least),
		cmocka_unit_test(all_words),
		cmocka_unit_test(wrong),
		cmocka_unit_test(too_long),
		cmocka_unit_test(names),
		cmocka_unit_test(suites),
		cmocka_unit_test(listing),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
