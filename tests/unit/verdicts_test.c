/* What a twin's report is worth, and what the twins' outcomes make of their scenario. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios/runner/verdicts.h"

static struct scenario scenario; /* without settings of its own */

static json_t *report(const char *verdict, int lost, bool withdrawn)
{
	json_t *findings = json_array(), *ret;

	if (lost)
		json_array_append_new(
			findings, json_pack("{ss ss si sb}", "kind", "lost", "stage", "broker",
					  "count", lost, "withdrawn", withdrawn));
	ret = json_pack("{ss s{ss} so s[{ss}]}", "verdict", verdict, "run", "id", "r-1", "findings",
		findings, "reasons", "text", "the log was not read to its end");
	assert_non_null(ret);
	return ret;
}

/* A report of a run whose client library ended before all was sent. */
static json_t *given_up(const char *verdict, int lost)
{
	json_t *ret = report(verdict, lost, false);

	json_array_append_new(json_object_get(ret, "findings"),
		json_pack("{ss ss si sb}", "kind", "refused", "stage", "produce", "count", 7,
			"withdrawn", 0));
	assert_int_equal(json_object_set_new(ret, "producers",
				 json_pack("[{ss}{ss}]", "end_cause", "count reached", "end_cause",
					 "failed")),
		0);
	return ret;
}

/* The outcome of a twin with such a declaration and such a report, and the words for it; both given back. */
static void check_twin(
	enum twin_role role, const char *declared, json_t *of, const char *outcome, const char *why)
{
	struct twin t = {.name = "one", .role = role};
	struct err e = {0};
	json_t *twin;

	assert_int_equal(expect_parse(declared, &t.expect, &e), 0);
	twin = verdicts_twin(&scenario, &t, &t.expect, "run", of);
	assert_non_null(twin);
	assert_string_equal(verdicts_text(twin, "outcome"), outcome);
	if (!strstr(verdicts_text(twin, "why"), why))
		fail_msg("'%s' does not say '%s'", verdicts_text(twin, "why"), why);
	json_decref(twin);
	json_decref(of);
}

static void twins(void **unused)
{
	(void)unused;
	check_twin(TWIN_BAD, "FAIL lost@broker", report("FAIL", 3, false), "ok", "");
	check_twin(TWIN_BAD, "FAIL lost@broker", report("PASS", 0, false), "not-caught", "lost");
	/* what was withdrawn was never lost */
	check_twin(TWIN_BAD, "FAIL lost@broker", report("PASS", 3, true), "not-caught", "lost");
	check_twin(TWIN_GOOD, "PASS", report("PASS", 0, false), "ok", "");
	check_twin(TWIN_GOOD, "PASS", report("FAIL", 3, false), "broken", "lost");
	check_twin(TWIN_GOOD, "PASS", report("UNDECIDED", 0, false), "undecided", "not read");
	check_twin(TWIN_GOOD, "PASS", report("UNDECIDED", 3, false), "undecided", "not read");
	check_twin(TWIN_BAD, "FAIL lost@broker", report("UNDECIDED", 0, false), "undecided",
		"not read");
	check_twin(TWIN_BAD, "FAIL lost@broker", report("ERROR", 0, false), "error", "failed");
	check_twin(TWIN_BAD, "FAIL lost@broker=2", report("FAIL", 3, false), "broken", "lost");
	check_twin(TWIN_BAD, "FAIL lost@broker=4", report("FAIL", 3, false), "not-caught", "lost");
	check_twin(TWIN_GOOD, "PASS", NULL, "error", "no report");
	/* a client that ended by itself says nothing of its settings, but for what was lost before */
	check_twin(TWIN_GOOD, "PASS", given_up("PASS", 0), "undecided", VERDICTS_GAVE_UP);
	check_twin(TWIN_GOOD, "PASS", given_up("FAIL", 3), "broken", "lost");
	check_twin(TWIN_GOOD, "PASS refused@produce", given_up("PASS", 0), "ok", "");
}

static void mine_is(json_t *of, bool fault_proved, const char *outcome)
{
	json_t *twin = verdicts_mine(&scenario, "run", of, fault_proved);

	assert_non_null(twin);
	assert_string_equal(verdicts_text(twin, "outcome"), outcome);
	json_decref(twin);
	json_decref(of);
}

static void the_users_own(void **unused)
{
	(void)unused;
	mine_is(report("PASS", 0, false), true, "safe");
	mine_is(report("PASS", 0, false), false, "unproven");
	mine_is(report("FAIL", 3, false), true, "unsafe");
	/* a loss is a loss, whatever made it */
	mine_is(report("FAIL", 3, false), false, "unsafe");
	mine_is(report("UNDECIDED", 0, false), true, "undecided");
	mine_is(report("NODATA", 0, false), true, "undecided");
	mine_is(NULL, true, "error");
}

/* The verdict over twins with these outcomes, by blanks apart. */
static void scenario_is(const char *outcomes, bool bounded, const char *verdict)
{
	json_t *list = json_array(), *result;
	char text[100], *place = NULL;

	snprintf(text, sizeof(text), "%s", outcomes);
	for (char *word = strtok_r(text, " ", &place); word; word = strtok_r(NULL, " ", &place))
		json_array_append_new(list, json_pack("{ss}", "outcome", word));
	result = json_pack("{so ss s[]}", "twins", list, "error", "", "undecided_because");
	assert_non_null(result);
	verdicts_scenario(result, bounded);
	assert_string_equal(verdicts_text(result, "verdict"), verdict);
	json_decref(result);
}

static void scenarios(void **unused)
{
	(void)unused;
	scenario_is("ok ok", false, "PASS");
	scenario_is("ok ok safe", false, "PASS");
	scenario_is("ok ok unsafe", false, "FAIL");
	scenario_is("ok broken", false, "FAIL");
	scenario_is("not-caught ok", false, "UNDECIDED");
	scenario_is("not-caught ok", true, "PASS");
	scenario_is("ok undecided", false, "UNDECIDED");
	scenario_is("ok ok unproven", false, "UNDECIDED");
	scenario_is("error undecided", false, "ERROR");
	scenario_is("error broken", false, "FAIL");
	/* what this cluster cannot have counts for nothing, neither way */
	scenario_is("ok skipped", false, "PASS");
	scenario_is("not-caught skipped", false, "UNDECIDED");
	scenario_is("skipped skipped", false, "NODATA");
}

static void those_that_are_skipped(void **unused)
{
	struct twin t = {.name = "elr-on", .role = TWIN_GOOD};
	json_t *twin =
		verdicts_without_report(&scenario, &t, "run", "skipped", "this version has none");

	(void)unused;
	assert_non_null(twin);
	assert_string_equal(verdicts_text(twin, "outcome"), "skipped");
	assert_string_equal(verdicts_text(twin, "why"), "this version has none");
	assert_string_equal(verdicts_text(twin, "role"), "good");
	json_decref(twin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(twins),
		cmocka_unit_test(the_users_own),
		cmocka_unit_test(scenarios),
		cmocka_unit_test(those_that_are_skipped),
	};

	return cmocka_run_group_tests_name("verdicts", tests, NULL, NULL);
}
