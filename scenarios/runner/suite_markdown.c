#include <string.h>

#include "core/buf.h"
#include "core/units.h"
#include "scenarios/runner/repeats.h"
#include "scenarios/runner/suite_text.h"
#include "scenarios/runner/verdicts.h"

/* In a table's cell: no bar and no line break may end it. */
static void put_cell(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			putc('\\', to);
		putc(*text == '\n' ? ' ' : *text, to);
	}
}

static const char *mark_of(const char *outcome)
{
	if (strcmp(outcome, "ok") == 0)
		return "as declared";
	if (strcmp(outcome, "safe") == 0)
		return "**SAFE**";
	if (strcmp(outcome, "unsafe") == 0)
		return "**UNSAFE**";
	if (strcmp(outcome, "broken") == 0)
		return "**BROKEN**";
	return outcome;
}

static void put_row(FILE *to, const json_t *scenario, const json_t *twin)
{
	struct buf found;

	buf_init(&found, 65536);
	suite_found_text(twin, &found);
	fprintf(to, "| %s | %s (%s) | ", verdicts_text(scenario, "name"),
		verdicts_text(twin, "name"), verdicts_text(twin, "role"));
	put_cell(to, buf_str(&found));
	fprintf(to, " | %s", mark_of(verdicts_text(twin, "outcome")));
	if (*verdicts_text(twin, "why") && strcmp(verdicts_text(twin, "outcome"), "ok") != 0) {
		fputs(": ", to);
		put_cell(to, verdicts_text(twin, "why"));
	}
	fputs(" |\n", to);
	buf_release(&found);
}

static void put_names(FILE *to, const char *head, const json_t *names)
{
	const json_t *name;
	size_t i;

	if (json_array_size(names) == 0)
		return;
	fprintf(to, "%s", head);
	json_array_foreach(names, i, name)
		fprintf(to, "%s`%s`", i ? ", " : "", json_string_value(name));
	fputs("\n\n", to);
}

static void put_repeats(FILE *to, const json_t *repeats)
{
	const json_t *item;
	size_t i;

	if (json_array_size(repeats) == 0)
		return;
	fputs("\n| repeated | twin | result |\n|---|---|---|\n", to);
	json_array_foreach(repeats, i, item)
	{
		struct buf text;

		buf_init(&text, 65536);
		repeats_text(item, &text);
		fprintf(to, "| %s | ", verdicts_text(item, "scenario"));
		put_cell(to, verdicts_text(item, "twin"));
		fprintf(to, " (%s) | ", verdicts_text(item, "role"));
		put_cell(to, buf_str(&text));
		fputs(" |\n", to);
		buf_release(&text);
	}
}

void suite_markdown(const json_t *result, FILE *to)
{
	const json_t *versions = json_object_get(result, "versions"), *scenario, *twin;
	const json_t *mine = json_object_get(result, "mine");
	const char *broker = verdicts_text(result, "broker");
	size_t i, k;

	fprintf(to, "### mqaudit %s: %s\n\n", verdicts_text(result, "suite"),
		verdicts_text(result, "verdict"));
	fprintf(to, "%s %s, %d nodes, %s, mqaudit %s; %.0f s\n\n", broker,
		verdicts_text(versions, broker),
		(int)json_integer_value(json_object_get(result, "nodes")),
		verdicts_text(versions, "client"), verdicts_text(versions, "mqaudit"),
		json_number_value(json_object_get(result, "seconds")));
	put_names(to, "**Your settings are UNSAFE in** ", json_object_get(mine, "unsafe"));
	put_names(to, "**Your settings are SAFE in** ", json_object_get(mine, "safe"));
	put_names(to, "**Not decided in** ", json_object_get(mine, "undecided"));
	fputs("| scenario | twin | found | result |\n|---|---|---|---|\n", to);
	json_array_foreach(json_object_get(result, "scenarios"), i, scenario)
	{
		if (*verdicts_text(scenario, "skipped")) {
			fprintf(to, "| %s | | | skipped: ", verdicts_text(scenario, "name"));
			put_cell(to, verdicts_text(scenario, "skipped"));
			fputs(" |\n", to);
		}
		json_array_foreach(json_object_get(scenario, "twins"), k, twin)
			put_row(to, scenario, twin);
		if (*verdicts_text(scenario, "error")) {
			fprintf(to, "| %s | | | error: ", verdicts_text(scenario, "name"));
			put_cell(to, verdicts_text(scenario, "error"));
			fputs(" |\n", to);
		}
	}
	put_repeats(to, json_object_get(result, "repeats"));
	putc('\n', to);
}
