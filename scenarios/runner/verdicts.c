#include "scenarios/runner/verdicts.h"

#include <string.h>

#include "core/buf.h"
#include "core/words.h"

#define MAX_EXAMPLES 20 /* findings of a twin that are shown one by one */

const char *verdicts_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static void read_findings(const json_t *report, struct tallies *ret)
{
	const json_t *finding;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	json_array_foreach(json_object_get(report, "findings"), i, finding)
	{
		enum finding_kind kind;
		enum stage stage;

		if (json_is_true(json_object_get(finding, "withdrawn")))
			continue;
		if (finding_parse(verdicts_text(finding, "kind"), &kind) &&
			stage_parse(verdicts_text(finding, "stage"), &stage))
			tallies_add(ret, kind, stage,
				(uint64_t)json_integer_value(json_object_get(finding, "count")));
	}
}

static json_t *found_json(const struct tallies *found)
{
	json_t *list = json_array();

	for (size_t i = 0; i < found->n && list; i++)
		if (json_array_append_new(
			    list, json_pack("{ss ss sI}", "kind", finding_text(found->at[i].kind),
					  "stage", stage_text(found->at[i].stage), "count",
					  (json_int_t)found->at[i].count)) != 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

/* The first findings, for people: which messages. */
static json_t *examples(const json_t *report)
{
	json_t *list = json_array();
	const json_t *finding;
	size_t i;

	json_array_foreach(json_object_get(report, "findings"), i, finding)
	{
		json_t *copy;

		if (json_is_true(json_object_get(finding, "withdrawn")) ||
			json_array_size(list) == MAX_EXAMPLES)
			continue;
		copy = json_copy((json_t *)(uintptr_t)finding);
		if (copy) {
			json_object_del(copy, "positions");
			json_object_del(copy, "positions_omitted");
		}
		if (json_array_append_new(list, copy) != 0)
			break;
	}
	return list;
}

static json_t *settings_json(const struct settings *a, const struct settings *b)
{
	const struct settings *both[] = {a, b};
	json_t *object = json_object();

	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; object && i < both[k]->n; i++) {
			const char *text = both[k]->at[i], *equals = strchr(text, '=');
			char name[200];

			if (!equals)
				continue;
			snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
			if (json_object_set_new(object, name, json_string(equals + 1)) != 0) {
				json_decref(object);
				return NULL;
			}
		}
	}
	return object;
}

static enum verdict verdict_of(const json_t *report)
{
	enum verdict v = VERDICT_ERROR;

	if (report && !verdict_parse(verdicts_text(report, "verdict"), &v))
		v = VERDICT_ERROR;
	return v;
}

/* Does the report's exit code say that both judges disagreed, or that it failed? */
static bool unusable(const json_t *report)
{
	return !report || verdict_of(report) == VERDICT_ERROR;
}

static json_t *base(const char *name, enum twin_role role, const char *run_name,
	const json_t *report, const struct tallies *found)
{
	json_t *run = json_object_get(report, "run");
	json_t *counts = json_object_get(report, "counts");
	json_t *available = json_object_get(report, "available");
	json_t *promise = json_object_get(report, "promise");
	json_t *settings = json_object_get(report, "settings");
	json_t *faults = json_object_get(report, "faults");

	return json_pack("{ss ss ss ss ss so so sO? sO? sO? sO? sO?}", "name", name, "role",
		twin_role_text(role), "run", verdicts_text(run, "id"), "run_name", run_name,
		"verdict", verdict_text(verdict_of(report)), "found", found_json(found), "findings",
		examples(report), "promise", promise, "counts", counts, "available", available,
		"faults", faults, "settings", settings);
}

static int set_text(json_t *to, const char *name, const char *text)
{
	return json_object_set_new(to, name, json_string(text));
}

/* Why a run is undecided, in the report's own words. */
static void add_reasons(const json_t *report, struct buf *why)
{
	const json_t *reason;
	size_t i;

	json_array_foreach(json_object_get(report, "reasons"), i, reason)
	{
		const char *text = json_is_string(reason) ? json_string_value(reason)
							  : verdicts_text(reason, "text");

		buf_printf(why, "%s%s", why->len ? "; " : "", text);
	}
}

/* Did a producer end by an error of its client library's? */
static bool gave_up(const json_t *report)
{
	const json_t *producer;
	size_t i;

	json_array_foreach(json_object_get(report, "producers"), i, producer)
	{
		if (strcmp(verdicts_text(producer, "end_cause"), "failed") == 0)
			return true;
	}
	return false;
}

static const char *judge(const struct twin *t, const struct expect *x, const json_t *report,
	const struct tallies *found, struct buf *why)
{
	enum verdict verdict = verdict_of(report);
	struct expect_result result;

	if (unusable(report)) {
		buf_str_add(why, report ? "the audit failed" : "the run left no report");
		return "error";
	}
	result = expect_compare(x, verdict, found, why);
	/* what a run that is undecided found breaks no promise: a proved FAIL would outrank it */
	if (result.verdict && (verdict == VERDICT_UNDECIDED || verdict == VERDICT_NODATA)) {
		add_reasons(report, why);
		return "undecided";
	}
	/* what it had not sent is refused: that says nothing of what the settings promise */
	if ((result.verdict || result.surplus || result.missing) && verdict == VERDICT_PASS &&
		gave_up(report)) {
		buf_printf(why, "%s" VERDICTS_GAVE_UP, why->len ? "; " : "");
		return "undecided";
	}
	if (result.surplus)
		return "broken";
	if (result.missing)
		return t->role == TWIN_BAD ? "not-caught" : "undecided";
	return result.verdict ? "broken" : "ok";
}

/* ret is given up when memory runs out. */
static json_t *with_settings(json_t *ret, const struct scenario *s, const struct twin *t)
{
	if (ret &&
		(json_object_set_new(ret, "producer", settings_json(&s->producer, &t->producer)) ||
			json_object_set_new(ret, "topic", settings_json(&s->topic, &t->topic)) ||
			json_object_set_new(ret, "broker", settings_json(&s->lab, &t->broker)))) {
		json_decref(ret);
		return NULL;
	}
	return ret;
}

json_t *verdicts_without_report(const struct scenario *s, const struct twin *t,
	const char *run_name, const char *outcome, const char *why)
{
	return with_settings(json_pack("{ss ss ss ss ss s[] s[] ss ss ss}", "name", t->name, "role",
				     twin_role_text(t->role), "run", "", "run_name", run_name,
				     "verdict", verdict_text(VERDICT_NODATA), "found", "findings",
				     "outcome", outcome, "why", why, "expected", ""),
		s, t);
}

json_t *verdicts_twin(const struct scenario *s, const struct twin *t, const struct expect *x,
	const char *run_name, const json_t *report)
{
	struct tallies found;
	const char *outcome;
	struct buf why, expected;
	json_t *ret;

	read_findings(report, &found);
	buf_init(&why, 65536);
	buf_init(&expected, 65536);
	outcome = judge(t, x, report, &found, &why);
	expect_format(x, &expected);
	ret = base(t->name, t->role, run_name, report, &found);
	if (ret && (set_text(ret, "outcome", outcome) || set_text(ret, "why", buf_str(&why)) ||
			   set_text(ret, "expected", buf_str(&expected)))) {
		json_decref(ret);
		ret = NULL;
	}
	ret = with_settings(ret, s, t);
	buf_release(&why);
	buf_release(&expected);
	return ret;
}

static const char *judge_mine(const json_t *report, bool fault_proved, struct buf *why)
{
	enum verdict verdict = verdict_of(report);

	if (unusable(report)) {
		buf_str_add(why, report ? "the audit failed" : "the run left no report");
		return "error";
	}
	if (verdict == VERDICT_FAIL)
		return "unsafe";
	if (verdict != VERDICT_PASS) {
		add_reasons(report, why);
		return "undecided";
	}
	if (!fault_proved) {
		buf_str_add(why, "nothing shows that the fault bit");
		return "unproven";
	}
	return "safe";
}

json_t *verdicts_mine(
	const struct scenario *s, const char *run_name, const json_t *report, bool fault_proved)
{
	struct tallies found;
	struct buf why;
	json_t *ret;

	(void)s;
	read_findings(report, &found);
	buf_init(&why, 65536);
	ret = base("mine", TWIN_MINE, run_name, report, &found);
	if (ret) {
		const char *outcome = judge_mine(report, fault_proved, &why);

		if (set_text(ret, "outcome", outcome) || set_text(ret, "why", buf_str(&why)) ||
			set_text(ret, "expected", "")) {
			json_decref(ret);
			ret = NULL;
		}
	}
	buf_release(&why);
	return ret;
}

static int rank(enum verdict v)
{
	static const int ranks[VERDICT_N] = {[VERDICT_NODATA] = 0,
		[VERDICT_PASS] = 1,
		[VERDICT_UNDECIDED] = 2,
		[VERDICT_ERROR] = 3,
		[VERDICT_FAIL] = 4};

	return ranks[v];
}

enum verdict verdicts_worse(enum verdict a, enum verdict b)
{
	return rank(a) >= rank(b) ? a : b;
}

static enum verdict verdict_of_outcome(const char *outcome, bool bounded)
{
	if (strcmp(outcome, "broken") == 0 || strcmp(outcome, "unsafe") == 0)
		return VERDICT_FAIL;
	if (strcmp(outcome, "error") == 0)
		return VERDICT_ERROR;
	if (strcmp(outcome, "not-caught") == 0)
		return bounded ? VERDICT_PASS : VERDICT_UNDECIDED;
	if (strcmp(outcome, "ok") == 0 || strcmp(outcome, "safe") == 0)
		return VERDICT_PASS;
	if (strcmp(outcome, "skipped") == 0)
		return VERDICT_NODATA;
	return VERDICT_UNDECIDED;
}

void verdicts_scenario(json_t *result, bool bounded)
{
	enum verdict verdict = VERDICT_NODATA;
	const json_t *twin;
	size_t i;

	json_array_foreach(json_object_get(result, "twins"), i, twin) verdict = verdicts_worse(
		verdict, verdict_of_outcome(verdicts_text(twin, "outcome"), bounded));
	if (json_array_size(json_object_get(result, "undecided_because")))
		verdict = verdicts_worse(verdict, VERDICT_UNDECIDED);
	if (*verdicts_text(result, "error"))
		verdict = verdicts_worse(verdict, VERDICT_ERROR);
	if (set_text(result, "verdict", verdict_text(verdict)) != 0)
		BUG("out of memory");
}
