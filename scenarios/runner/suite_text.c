#include "scenarios/runner/suite_text.h"

#include <string.h>

#include "core/clock.h"
#include "core/units.h"
#include "core/words.h"
#include "scenarios/runner/repeats.h"
#include "scenarios/runner/suite.h"
#include "scenarios/runner/verdicts.h"

#define PLAIN "\033[0m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"

static void paint(FILE *to, bool colour, const char *how, const char *text)
{
	fprintf(to, "%s%s%s", colour && *how ? how : "", text, colour && *how ? PLAIN : "");
}

static const char *colour_of(const char *outcome)
{
	if (strcmp(outcome, "ok") == 0 || strcmp(outcome, "safe") == 0 ||
		strcmp(outcome, "PASS") == 0)
		return GREEN;
	if (strcmp(outcome, "broken") == 0 || strcmp(outcome, "unsafe") == 0 ||
		strcmp(outcome, "error") == 0 || strcmp(outcome, "FAIL") == 0 ||
		strcmp(outcome, "ERROR") == 0)
		return RED;
	return YELLOW;
}

void suite_text_head(FILE *to, const json_t *about, const struct scenario_list *list, bool colour)
{
	const json_t *versions = json_object_get(about, "versions");
	const char *broker = verdicts_text(about, "broker");
	size_t n_twins = 0;

	for (size_t i = 0; i < list->n; i++)
		n_twins += list->at[i]->n_twins;
	fprintf(to, "%s %s, %d nodes, %s", broker, verdicts_text(versions, broker),
		(int)json_integer_value(json_object_get(about, "nodes")),
		verdicts_text(versions, "client"));
	fprintf(to, "    %zu scenario%s, %zu twins\n\n", list->n, list->n == 1 ? "" : "s", n_twins);
	(void)colour;
	fflush(to);
}

static void upper(char *text)
{
	for (; *text; text++)
		if (*text >= 'a' && *text <= 'z')
			*text = (char)(*text - 'a' + 'A');
}

void suite_found_text(const json_t *twin, struct buf *out)
{
	const json_t *found = json_object_get(twin, "found"), *item;
	char n[UNITS_LEN], kind[40];
	size_t i;

	json_array_foreach(found, i, item)
	{
		snprintf(kind, sizeof(kind), "%s", verdicts_text(item, "kind"));
		upper(kind);
		buf_printf(out, "%s%s %s %s", i ? ", " : "", kind,
			units_grouped(
				(uint64_t)json_integer_value(json_object_get(item, "count")), n),
			verdicts_text(item, "stage"));
	}
	if (json_array_size(found) == 0)
		buf_str_add(
			out, strcmp(verdicts_text(twin, "outcome"), "error") == 0 ? "-" : "clean");
}

/* Availability next to loss: the worst of its faults. */
static void put_unavailable(FILE *to, const json_t *twin, bool colour)
{
	json_int_t without = 0, after_heal = 0;
	const json_t *fault;
	char text[100];
	size_t i;

	json_array_foreach(json_object_get(twin, "faults"), i, fault)
	{
		json_int_t ms = json_integer_value(json_object_get(fault, "without_ack_ms"));

		if (ms < without)
			continue;
		without = ms;
		after_heal = json_integer_value(json_object_get(fault, "after_heal_ms"));
	}
	if (without < 1000)
		return;
	snprintf(text, sizeof(text), "            %.1f s without an acknowledgement",
		(double)without / 1e3);
	paint(to, colour, DIM, text);
	snprintf(text, sizeof(text), ", the first again %.1f s after the heal",
		(double)after_heal / 1e3);
	paint(to, colour, DIM, after_heal > 0 ? text : "");
	putc('\n', to);
}

static void put_twin(FILE *to, const json_t *twin, bool colour)
{
	const char *outcome = verdicts_text(twin, "outcome"), *why = verdicts_text(twin, "why");
	const json_t *counts = json_object_get(twin, "counts");
	uint64_t acked = (uint64_t)json_integer_value(json_object_get(counts, "acked"));
	uint64_t unconfirmed = (uint64_t)json_integer_value(json_object_get(counts, "unconfirmed"));
	char n[UNITS_LEN];
	struct buf found;

	if (strcmp(outcome, "skipped") == 0) {
		fprintf(to, "      %-5s %-20s ", verdicts_text(twin, "role"),
			verdicts_text(twin, "name"));
		paint(to, colour, YELLOW, outcome);
		fprintf(to, "  %s\n", why);
		return;
	}
	buf_init(&found, 65536);
	suite_found_text(twin, &found);
	fprintf(to, "      %-5s %-20s %9s %-11s  %-32s ", verdicts_text(twin, "role"),
		verdicts_text(twin, "name"),
		units_grouped(acked || !unconfirmed ? acked : unconfirmed, n),
		acked || !unconfirmed ? "acked" : "unconfirmed", buf_str(&found));
	paint(to, colour, colour_of(outcome), outcome);
	putc('\n', to);
	put_unavailable(to, twin, colour);
	if (*why && strcmp(outcome, "ok") != 0)
		fprintf(to, "            %s\n", why);
	buf_release(&found);
}

void suite_text_scenario(FILE *to, const json_t *result, bool colour)
{
	const char *verdict = verdicts_text(result, "verdict");
	const json_t *item;
	size_t i;

	fprintf(to, "  %-32s %5.0f s  ", verdicts_text(result, "name"),
		json_number_value(json_object_get(result, "seconds")));
	if (*verdicts_text(result, "skipped")) {
		paint(to, colour, YELLOW, "skipped");
		fprintf(to, "  %s\n", verdicts_text(result, "skipped"));
		fflush(to);
		return;
	}
	paint(to, colour, colour_of(verdict), verdict);
	putc('\n', to);
	json_array_foreach(json_object_get(result, "twins"), i, item) put_twin(to, item, colour);
	json_array_foreach(json_object_get(result, "fault"), i, item)
	{
		char text[400];

		snprintf(text, sizeof(text), "      fault %s: %s\n", verdicts_text(item, "what"),
			verdicts_text(item, "proof"));
		paint(to, colour, DIM, text);
	}
	json_array_foreach(json_object_get(result, "undecided_because"), i, item)
		fprintf(to, "      undecided: %s\n", json_string_value(item));
	if (*verdicts_text(result, "first_try"))
		fprintf(to, "      tried twice: the first time %s\n",
			verdicts_text(result, "first_try"));
	if (*verdicts_text(result, "error"))
		fprintf(to, "      error: %s\n", verdicts_text(result, "error"));
	fflush(to);
}

/* --- the end */

static size_t count(const json_t *result, const char *verdict)
{
	const json_t *scenario;
	size_t i, n = 0;

	json_array_foreach(json_object_get(result, "scenarios"), i, scenario) n +=
		strcmp(verdicts_text(scenario, "verdict"), verdict) == 0;
	return n;
}

/* Whatever the user's own settings are worth: did the scenario itself do what it says? */
static bool is_declared(const json_t *scenario)
{
	const json_t *twin;
	size_t i;

	if (strcmp(verdicts_text(scenario, "verdict"), "PASS") == 0)
		return true;
	json_array_foreach(json_object_get(scenario, "twins"), i,
		twin) if (strcmp(verdicts_text(twin, "role"), "mine") != 0 &&
			  strcmp(verdicts_text(twin, "outcome"), "ok") != 0 &&
			  strcmp(verdicts_text(twin, "outcome"), "skipped") != 0) return false;
	return strcmp(verdicts_text(scenario, "verdict"), "NODATA") != 0 &&
	       !*verdicts_text(scenario, "error") &&
	       json_array_size(json_object_get(scenario, "undecided_because")) == 0;
}

static size_t count_declared(const json_t *result)
{
	const json_t *scenario;
	size_t i, n = 0;

	json_array_foreach(json_object_get(result, "scenarios"), i, scenario) n +=
		is_declared(scenario);
	return n;
}

static void put_names(FILE *to, const char *head, const json_t *names)
{
	const json_t *name;
	size_t i;

	if (json_array_size(names) == 0)
		return;
	fprintf(to, "%s", head);
	json_array_foreach(names, i, name)
		fprintf(to, "%s%s", i ? ", " : "", json_string_value(name));
	putc('\n', to);
}

static void put_mine(FILE *to, const json_t *mine)
{
	const json_t *safe = json_object_get(mine, "safe");

	if (!mine)
		return;
	fprintf(to, "\n  your settings: SAFE in %zu of %zu\n", json_array_size(safe),
		json_array_size(safe) + json_array_size(json_object_get(mine, "unsafe")) +
			json_array_size(json_object_get(mine, "undecided")));
	put_names(to, "    UNSAFE in     ", json_object_get(mine, "unsafe"));
	put_names(to, "    undecided in  ", json_object_get(mine, "undecided"));
}

static void put_repeats(FILE *to, const json_t *repeats)
{
	const json_t *item;
	size_t i;

	if (json_array_size(repeats))
		fputs("\n  repeated\n", to);
	json_array_foreach(repeats, i, item)
	{
		struct buf text;

		buf_init(&text, 65536);
		repeats_text(item, &text);
		fprintf(to, "    %-28s %-20s %s\n", verdicts_text(item, "scenario"),
			verdicts_text(item, "twin"), buf_str(&text));
		buf_release(&text);
	}
}

void suite_text_end(FILE *to, const json_t *result, bool colour)
{
	const char *verdict = verdicts_text(result, "verdict");

	put_repeats(to, json_object_get(result, "repeats"));
	put_mine(to, json_object_get(result, "mine"));
	putc('\n', to);
	paint(to, colour, colour_of(verdict), verdict);
	fprintf(to, "   %zu of %zu scenarios as declared", count_declared(result),
		json_array_size(json_object_get(result, "scenarios")) - count(result, "NODATA"));
	if (count(result, "NODATA"))
		fprintf(to, ", %zu skipped", count(result, "NODATA"));
	fprintf(to, ", in %.0f s\n", json_number_value(json_object_get(result, "seconds")));
	fflush(to);
}

static void all(const json_t *result, FILE *to, bool colour)
{
	const json_t *scenario;
	size_t i;

	json_array_foreach(json_object_get(result, "scenarios"), i, scenario)
		suite_text_scenario(to, scenario, colour);
	suite_text_end(to, result, colour);
}

/* --- progress */

void suite_text_progress(struct execution *const *running, size_t n, struct buf *out)
{
	char sent[UNITS_LEN], acked[UNITS_LEN];

	for (size_t i = 0; i < n && i < 2; i++) {
		const struct execution *x = running[i];
		int64_t seconds = (clock_ns() - x->started_ns) / NS_PER_S;

		buf_printf(out, "  %-30s %lld:%02lld  %s%s%s%s\n", x->scenario->name,
			(long long)(seconds / 60), (long long)(seconds % 60), x->step,
			*x->fault ? "   [" : "", x->fault, *x->fault ? "]" : "");
		for (size_t k = 0; k < x->n_twins && n == 1 && k < 5; k++) {
			struct status_probe probe;
			struct status_check check;

			if (!execution_status(x, k, &probe, &check))
				continue;
			buf_printf(out,
				"    %-20s sent %7s  answered %7s  pending %5llu  lost %5llu  repeated %llu\n",
				x->twin[k]->name, units_short(probe.intended, sent),
				units_short(probe.acked + probe.unconfirmed, acked),
				(unsigned long long)check.missing, (unsigned long long)check.lost,
				(unsigned long long)check.duplicated);
		}
	}
}

/* --- forms */

static const char *const forms[] = {"text", "json", "junit", "markdown"};

bool suite_form_known(const char *form)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(forms[i], form) == 0)
			return true;
	return false;
}

int suite_write(const char *form, const json_t *result, FILE *to, bool colour, struct err *e)
{
	bool failed = false;

	if (strcmp(form, "text") == 0)
		all(result, to, colour);
	else if (strcmp(form, "json") == 0)
		failed = json_dumpf(result, to, JSON_INDENT(1)) != 0 || putc('\n', to) == EOF;
	else if (strcmp(form, "junit") == 0)
		suite_junit(result, to);
	else if (strcmp(form, "markdown") == 0)
		suite_markdown(result, to);
	else
		return err_set(
			e, ERR_USAGE, "'%s' is no form: text, json, junit or markdown", form);
	failed = fflush(to) != 0 || ferror(to) || failed;
	return failed ? err_set(e, ERR_IO, "cannot write the result") : 0;
}
