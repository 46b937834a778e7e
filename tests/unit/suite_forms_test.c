/*
 * A suite's result in its forms: JUnit that xmllint finds valid against tests/data/junit.xsd, with hostile text
 * in every place where text can be; Markdown whose table stays one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/paths.h"
#include "core/proc.h"
#include "scenarios/runner/suite_text.h"

#define SCHEMA "tests/data/junit.xsd"
/* markup, its end, quotes, control characters, a bar, letters, U+FFFF (JSON may have it, XML may not) */
#define HOSTILE                                                                                    \
	"</failure>]]><x a='1'>& &amp;\"|\t\r\n\x01\x1b[31m \xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb0 " \
	"\xef\xbf\xbf end"

static char folder[64];

static int make_folder(void **unused)
{
	(void)unused;
	snprintf(folder, sizeof(folder), "/tmp/mqaudit-forms-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **unused)
{
	(void)unused;
	return paths_remove_tree(folder, NULL);
}

/* Written in a form; the caller frees it. */
static char *written(const char *form, const json_t *result, char *ret_path, size_t len)
{
	struct err e = {0};
	char *text = NULL;
	FILE *f;

	snprintf(ret_path, len, "%s/%s", folder, form);
	f = fopen(ret_path, "we");
	assert_non_null(f);
	assert_int_equal(suite_write(form, result, f, false, &e), 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(paths_read_file(ret_path, 1U << 20, &text, NULL, &e), 0);
	return text;
}

/* xmllint's exit code, and what it says or finds. */
static int xmllint(const char *option, const char *value, const char *path, struct buf *out)
{
	const char *argv[] = {"xmllint", "--noout", "--nonet", option, value, path, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err e = {0};
	int code = -1;

	spec.argv = argv;
	if (proc_run(&spec, NULL, true, 30 * NS_PER_S, out, &code, &e) != 0)
		fail_msg("xmllint (package libxml2-utils): %s", e.msg);
	return code;
}

static void check_valid(const char *path)
{
	struct buf out;

	buf_init(&out, 1U << 20);
	if (xmllint("--schema", SCHEMA, path, &out) != 0)
		fail_msg("%s", buf_str(&out));
	buf_release(&out);
}

static void check_xpath(const char *path, const char *xpath, const char *want)
{
	struct buf out;

	buf_init(&out, 1U << 20);
	(void)xmllint("--xpath", xpath, path, &out);
	assert_string_equal(buf_str(&out), want);
	buf_release(&out);
}

static json_t *twin(const char *name, const char *role, const char *outcome, const char *text)
{
	return json_pack(
		"{ss ss ss ss ss ss s[{ss ss si}] s[{ss ss si si si si si si ss}] ss ss s{ss} s{ss} s{si}}",
		"name", name, "role", role, "run", text, "run_name", text, "verdict", "FAIL",
		"outcome", outcome, "found", "kind", "lost", "stage", "broker", "count", 3919,
		"findings", "kind", "lost", "stage", "broker", "producer_id", 1, "epoch", 2,
		"partition", 0, "lo", 17, "hi", 19, "count", 3, "why", text, "why", text,
		"expected", text, "producer", "acks", text, "topic", text, "1", "counts", "acked",
		5);
}

static json_t *scenario(const char *name, const char *text, json_t *twins, const char *error)
{
	return json_pack("{ss ss ss ss si sb sf so s[{ss ss}] s[s] ss ss}", "name", name, "id",
		text, "title", text, "stage", text, "repetition", 1, "bounded", 0, "seconds", 1.5,
		"twins", twins, "fault", "what", text, "proof", text, "undecided_because", text,
		"error", error, "verdict", "FAIL");
}

static json_t *skipped(const char *text)
{
	json_t *s = scenario("skipped", text, json_array(), "");

	assert_non_null(s);
	assert_int_equal(json_object_set_new(s, "skipped", json_string(text)), 0);
	assert_int_equal(json_object_set_new(s, "undecided_because", json_array()), 0);
	return s;
}

static json_t *result_with(const char *text)
{
	json_t *twins = json_pack("[ooooooo]", twin("one", "bad", "ok", text),
		twin("two", "good", "broken", text), twin("three", "bad", "not-caught", text),
		twin("four", "good", "error", text), twin("five", "bad", "undecided", text),
		twin("six", "good", "skipped", text), twin("mine", "mine", "unsafe", text));
	json_t *result = json_pack("{ss ss ss s{ss ss ss} si s[oo] ss si sf s{s[s] s[s] s[]}}",
		"format", "mqaudit-suite/1", "suite", text, "broker", "kafka", "versions",
		"mqaudit", text, "kafka", text, "client", text, "nodes", 3, "scenarios",
		scenario("first", text, twins, text), skipped(text), "verdict", "FAIL", "exit_code",
		1, "seconds", 2.5, "mine", "safe", text, "unsafe", text, "undecided");

	assert_non_null(result);
	assert_int_equal(
		json_object_set_new(result, "repeats",
			json_pack("[{ss ss ss sb si si si s[{ss si}] sb}]", "scenario", "first",
				"twin", text, "role", "bad", "bounded", 0, "runs", 2, "decided", 2,
				"caught", 2, "results", "result", text, "runs", 2, "same", 1)),
		0);
	return result;
}

static void junit(void **unused)
{
	json_t *result = result_with(HOSTILE);
	char path[PATHS_MAX];
	char *text = written("junit", result, path, sizeof(path));

	(void)unused;
	check_valid(path);
	/* numbers that CI systems show, and what they are the sums of */
	check_xpath(path,
		"concat(/testsuites/@tests, ' ', /testsuites/@failures, ' ', /testsuites/@errors)",
		"9 2 4\n");
	check_xpath(path,
		"concat(count(//testcase), ' ', count(//failure), ' ', count(//error), ' ', count(//skipped))",
		"9 2 4 2\n");
	check_xpath(path, "string(//testcase[@name='two (good)']/failure/@type)", "broken\n");
	/* nothing of the text became markup, and its letters are there */
	check_xpath(
		path, "concat(count(//x), ' ', contains(//failure, '</failure>]]>'))", "0 true\n");
	check_xpath(path,
		"contains(//testcase[@name='two (good)']/failure, '\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb0 ??? end')",
		"true\n");
	check_xpath(path, "string(//property[@name='one.topic.</failure>]]>'])", "\n");
	free(text);
	json_decref(result);
}

/* Texts are cut where there is no more room: never in the middle of a letter. */
static void junit_cut(void **unused)
{
	char text[1200], path[PATHS_MAX];

	(void)unused;
	for (size_t shift = 0; shift < 3; shift++) {
		json_t *result;
		size_t n = shift;

		memset(text, 'a', shift);
		for (; n + 4 < sizeof(text); n += 3)
			memcpy(text + n, "\xe2\x82\xac", 3);
		text[n] = '\0';
		result = result_with(text);
		free(written("junit", result, path, sizeof(path)));
		check_valid(path);
		json_decref(result);
	}
}

/* The schema does refuse what is wrong, or the tests above were worth nothing. */
static void schema_refuses(void **unused)
{
	static const char *const wrong[] = {
		"<testsuites><testcase name='a' classname='b' time='1'/></testsuites>",
		"<testsuites><testsuite name='a' tests='x' failures='0' errors='0'><properties/></testsuite></testsuites>",
		"<testsuites><testsuite tests='1' failures='0' errors='0'><properties/></testsuite></testsuites>",
		"<testsuites><testsuite name='a' tests='0' failures='0' errors='0' colour='red'><properties/></testsuite></testsuites>",
		"<testsuites><unknown/></testsuites>", "<testsuites>"};
	char path[PATHS_MAX];

	(void)unused;
	snprintf(path, sizeof(path), "%s/wrong", folder);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct buf out;

		assert_int_equal(paths_write_file(path, wrong[i], strlen(wrong[i]), NULL), 0);
		buf_init(&out, 1U << 20);
		assert_int_not_equal(xmllint("--schema", SCHEMA, path, &out), 0);
		buf_release(&out);
	}
}

static size_t count(const char *text, const char *of)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, of)); p += strlen(of))
		n++;
	return n;
}

/* Every row of a table has as many bars as its head, but for those that are escaped. */
static void markdown(void **unused)
{
	json_t *result = result_with("a|b\nc");
	char path[PATHS_MAX];
	char *text = written("markdown", result, path, sizeof(path));
	size_t rows = 0, bars = 0;
	char *place = NULL;

	(void)unused;
	for (char *line = strtok_r(text, "\n", &place); line; line = strtok_r(NULL, "\n", &place)) {
		size_t n = count(line, "|") - count(line, "\\|");

		if (line[0] != '|')
			continue;
		if (strncmp(line, "|---", 4) == 0)
			bars = n;
		else if (strncmp(line, "| scenario ", 11) != 0 &&
			 strncmp(line, "| repeated ", 11) != 0) {
			assert_int_equal(n, bars);
			rows++;
		}
	}
	assert_int_equal(rows, 10); /* seven twins, an error, one that was skipped, one repeated */
	free(text);
	json_decref(result);
}

static void other_forms(void **unused)
{
	json_t *result = result_with(HOSTILE), *again;
	struct err e = {0};
	char path[PATHS_MAX];
	char *text = written("json", result, path, sizeof(path));

	(void)unused;
	again = json_loads(text, 0, NULL);
	assert_true(json_equal(result, again));
	json_decref(again);
	free(text);
	text = written("text", result, path, sizeof(path));
	assert_non_null(strstr(text, "2 times the same: "));
	assert_non_null(strstr(text, "your settings: SAFE in 1 of 2"));
	free(text);
	assert_int_equal(suite_write("xml", result, stdout, false, &e), ERR_USAGE);
	assert_true(suite_form_known("junit") && !suite_form_known("xml"));
	json_decref(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(junit),
		cmocka_unit_test(junit_cut),
		cmocka_unit_test(schema_refuses),
		cmocka_unit_test(markdown),
		cmocka_unit_test(other_forms),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
