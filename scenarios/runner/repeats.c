#include "scenarios/runner/repeats.h"

#include <math.h>
#include <string.h>

#include "core/words.h"
#include "scenarios/runner/expect.h"
#include "scenarios/runner/verdicts.h"

#define CONFIDENCE 0.95
#define STEPS 60 /* of a bisection: below the last bit of a double in 0 to 1 */

/* --- the bounds */

/* The chance of at most k hits in n, each with probability p between 0 and 1. */
static double at_most(uint64_t k, uint64_t n, double p)
{
	double sum = 0, all = lgamma((double)n + 1);

	for (uint64_t i = 0; i <= k; i++)
		sum += exp(all - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) +
			   (double)i * log(p) + (double)(n - i) * log1p(-p));
	return sum;
}

/* The p at which at most k hits in n have a chance of `chance`; that falls as p grows. */
static double where(uint64_t k, uint64_t n, double chance)
{
	double low = 0, high = 1;

	for (int i = 0; i < STEPS; i++) {
		double p = (low + high) / 2;

		if (at_most(k, n, p) > chance)
			low = p;
		else
			high = p;
	}
	return (low + high) / 2;
}

void repeats_bounds(uint64_t hits, uint64_t runs, double *ret_low, double *ret_high)
{
	double tail = (1 - CONFIDENCE) / (hits == 0 || hits == runs ? 1 : 2);

	*ret_low = hits == 0 ? 0 : where(hits - 1, runs, 1 - tail);
	*ret_high = hits == runs ? 1 : where(hits, runs, tail);
}

/* --- what came */

/* Was it declared as something that may be there, and need not? */
static bool is_optional(const struct expect *x, enum finding_kind kind, enum stage stage)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->item[i].kind == kind && x->item[i].stage == stage)
			return x->item[i].min == 0;
	return false;
}

static bool has_found(const json_t *twin, enum finding_kind kind, enum stage stage)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(twin, "found"), i, item)
	{
		if (strcmp(verdicts_text(item, "kind"), finding_text(kind)) == 0 &&
			strcmp(verdicts_text(item, "stage"), stage_text(stage)) == 0)
			return true;
	}
	return false;
}

/* The result without its numbers: "ok, lost at broker"; equal texts are equal results. */
static void result_of(const json_t *twin, struct buf *out)
{
	struct expect x = {0};
	struct err e = {0};

	if (*verdicts_text(twin, "expected") &&
		expect_parse(verdicts_text(twin, "expected"), &x, &e) != 0)
		memset(&x, 0, sizeof(x));
	buf_printf(out, "%s", verdicts_text(twin, "outcome"));
	for (int kind = 0; kind < FINDING_N; kind++)
		for (int stage = 0; stage < STAGE_N; stage++)
			if (has_found(twin, (enum finding_kind)kind, (enum stage)stage) &&
				!is_optional(&x, (enum finding_kind)kind, (enum stage)stage))
				buf_printf(out, ", %s at %s", finding_text((enum finding_kind)kind),
					stage_text((enum stage)stage));
}

static int64_t number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* One more. Returns false without memory. */
static bool count(json_t *object, const char *name)
{
	return json_object_set_new(object, name, json_integer(number(object, name) + 1)) == 0;
}

static bool add_result(json_t *results, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach(results, i, item) if (strcmp(verdicts_text(item, "result"), text) ==
						 0) return count(item, "runs");
	return json_array_append_new(results, json_pack("{ss si}", "result", text, "runs", 1)) == 0;
}

/* The entry of a twin: found or made. */
static json_t *entry_of(json_t *list, const json_t *scenario, const json_t *twin)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i,
		item) if (strcmp(verdicts_text(item, "scenario"),
				  verdicts_text(scenario, "name")) == 0 &&
			  strcmp(verdicts_text(item, "twin"), verdicts_text(twin, "name")) ==
				  0) return item;
	item = json_pack("{ss ss ss sb si si si s[]}", "scenario", verdicts_text(scenario, "name"),
		"twin", verdicts_text(twin, "name"), "role", verdicts_text(twin, "role"), "bounded",
		json_is_true(json_object_get(scenario, "bounded")), "runs", 0, "decided", 0,
		"caught", 0, "results");
	return item && json_array_append_new(list, item) == 0 ? item : NULL;
}

static bool add_twin(json_t *list, const json_t *scenario, const json_t *twin)
{
	const char *outcome = verdicts_text(twin, "outcome");
	bool caught = strcmp(outcome, "ok") == 0 || strcmp(outcome, "safe") == 0;
	bool decided = caught || strcmp(outcome, "not-caught") == 0 ||
		       strcmp(outcome, "broken") == 0 || strcmp(outcome, "unsafe") == 0;
	json_t *entry;
	struct buf result;
	bool ok;

	if (strcmp(outcome, "skipped") == 0)
		return true;
	entry = entry_of(list, scenario, twin);
	buf_init(&result, 4096);
	result_of(twin, &result);
	ok = entry && count(entry, "runs") && (!decided || count(entry, "decided")) &&
	     (!caught || count(entry, "caught")) &&
	     add_result(json_object_get(entry, "results"), buf_str(&result));
	buf_release(&result);
	return ok;
}

static bool conclude(json_t *entry)
{
	uint64_t caught = (uint64_t)number(entry, "caught");
	uint64_t decided = (uint64_t)number(entry, "decided");
	double low, high;

	if (json_object_set_new(entry, "same",
		    json_boolean(json_array_size(json_object_get(entry, "results")) == 1)) != 0)
		return false;
	if (decided == 0)
		return true;
	repeats_bounds(caught, decided, &low, &high);
	return json_object_set_new(entry, "rate", json_real((double)caught / (double)decided)) ==
		       0 &&
	       json_object_set_new(entry, "low", json_real(low)) == 0 &&
	       json_object_set_new(entry, "high", json_real(high)) == 0;
}

json_t *repeats_json(const json_t *scenarios)
{
	json_t *list = json_array();
	const json_t *scenario, *twin;
	bool ok = list != NULL;
	size_t i, k;

	json_array_foreach(scenarios, i, scenario)
		json_array_foreach(json_object_get(scenario, "twins"), k, twin) ok =
			ok && add_twin(list, scenario, twin);
	for (i = 0; ok && i < json_array_size(list);) {
		if (number(json_array_get(list, i), "runs") > 1)
			ok = conclude(json_array_get(list, i++));
		else
			ok = json_array_remove(list, i) == 0;
	}
	if (ok)
		return list;
	json_decref(list);
	return NULL;
}

/* --- in words */

static void add_rate(const json_t *repeat, struct buf *out)
{
	double low = json_number_value(json_object_get(repeat, "low"));
	double high = json_number_value(json_object_get(repeat, "high"));
	bool mine = strcmp(verdicts_text(repeat, "role"), "mine") == 0;

	buf_printf(out, "%s in %lld of %lld", mine ? "SAFE" : "caught",
		(long long)number(repeat, "caught"), (long long)number(repeat, "decided"));
	if (json_object_get(repeat, "rate"))
		buf_printf(out, ": %.0f %% (95 %%: %.1f to %.1f %%)",
			100 * json_number_value(json_object_get(repeat, "rate")), 100 * low,
			100 * high);
}

void repeats_text(const json_t *repeat, struct buf *out)
{
	const json_t *results = json_object_get(repeat, "results"), *item;
	size_t i;

	if (json_is_true(json_object_get(repeat, "bounded")) &&
		strcmp(verdicts_text(repeat, "role"), "good") != 0) {
		add_rate(repeat, out);
		return;
	}
	if (json_is_true(json_object_get(repeat, "same"))) {
		buf_printf(out, "%lld times the same: %s", (long long)number(repeat, "runs"),
			verdicts_text(json_array_get(results, 0), "result"));
		return;
	}
	buf_str_add(out, "differs: ");
	json_array_foreach(results, i, item) buf_printf(out, "%s%lld times %s", i ? "; " : "",
		(long long)number(item, "runs"), verdicts_text(item, "result"));
}
