/*
 * JUnit XML as the Jenkins xUnit schema has it: testsuites / testsuite (a scenario) / properties, testcase
 * (a twin) / failure, error, skipped, system-out.
 */
#include <string.h>

#include "core/buf.h"
#include "core/utf8.h"
#include "core/words.h"
#include "scenarios/runner/repeats.h"
#include "scenarios/runner/suite_text.h"
#include "scenarios/runner/verdicts.h"

/* Text between tags or in an attribute. What XML 1.0 cannot hold, and half a letter, becomes '?'. */
static void put_xml(FILE *to, const char *text)
{
	for (size_t n; *text; text += n ? n : 1) {
		unsigned char c = (unsigned char)*text;

		n = utf8_length(text);
		switch (n == 1 ? c : 0) {
		case 0:
			fwrite(n ? text : "?", 1, n ? n : 1, to);
			break;
		case '&':
			fputs("&amp;", to);
			break;
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		case '"':
			fputs("&quot;", to);
			break;
		case '\n':
			fputs("&#10;", to);
			break;
		default:
			putc(c < 0x20 && c != '\t' ? '?' : c, to);
		}
	}
}

static void put_attribute(FILE *to, const char *name, const char *value)
{
	fprintf(to, " %s=\"", name);
	put_xml(to, value);
	putc('"', to);
}

static void put_property(FILE *to, const char *prefix, const char *name, const char *value)
{
	char full[300];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	fputs("      <property", to);
	put_attribute(to, "name", full);
	put_attribute(to, "value", value);
	fputs("/>\n", to);
}

static void put_properties_of(FILE *to, const char *prefix, const json_t *object)
{
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value) if (json_is_string(value))
		put_property(to, prefix, name, json_string_value(value));
}

/* What repetition showed of the scenario's twins. */
static void put_repeats(FILE *to, const json_t *repeats, const char *scenario)
{
	const json_t *item;
	size_t i;

	json_array_foreach(repeats, i, item)
	{
		struct buf text;

		if (strcmp(verdicts_text(item, "scenario"), scenario) != 0)
			continue;
		buf_init(&text, 65536);
		repeats_text(item, &text);
		put_property(to, "repeats.", verdicts_text(item, "twin"), buf_str(&text));
		buf_release(&text);
	}
}

enum fate { FATE_PASSED, FATE_FAILED, FATE_ERROR, FATE_SKIPPED };

/* What is not proved must not look green: undecided is an error, as far as JUnit knows. */
static enum fate fate_of(const json_t *twin)
{
	const char *outcome = verdicts_text(twin, "outcome");

	if (strcmp(outcome, "ok") == 0 || strcmp(outcome, "safe") == 0)
		return FATE_PASSED;
	if (strcmp(outcome, "broken") == 0 || strcmp(outcome, "unsafe") == 0)
		return FATE_FAILED;
	if (strcmp(outcome, "skipped") == 0)
		return FATE_SKIPPED;
	return FATE_ERROR;
}

static void put_findings(FILE *to, const json_t *twin)
{
	const json_t *finding;
	size_t i;

	json_array_foreach(json_object_get(twin, "findings"), i, finding)
	{
		char line[500];

		snprintf(line, sizeof(line), "%s at %s: %d.%d.%d.%lld-%lld (%lld)  %s\n",
			verdicts_text(finding, "kind"), verdicts_text(finding, "stage"),
			(int)json_integer_value(json_object_get(finding, "producer_id")),
			(int)json_integer_value(json_object_get(finding, "epoch")),
			(int)json_integer_value(json_object_get(finding, "partition")),
			(long long)json_integer_value(json_object_get(finding, "lo")),
			(long long)json_integer_value(json_object_get(finding, "hi")),
			(long long)json_integer_value(json_object_get(finding, "count")),
			verdicts_text(finding, "why"));
		put_xml(to, line);
	}
}

static void put_fate(FILE *to, const json_t *twin, enum fate fate)
{
	const char *tag = fate == FATE_FAILED ? "failure" : "error";
	const char *why = verdicts_text(twin, "why");
	struct buf message;

	buf_init(&message, 65536);
	suite_found_text(twin, &message);
	if (*why)
		buf_printf(&message, ": %s", why);
	fprintf(to, "      <%s", tag);
	put_attribute(to, "message", buf_str(&message));
	put_attribute(to, "type", verdicts_text(twin, "outcome"));
	fputs(">", to);
	put_findings(to, twin);
	fprintf(to, "</%s>\n", tag);
	buf_release(&message);
}

static void put_twin(FILE *to, const json_t *scenario, const json_t *twin, double seconds)
{
	enum fate fate = fate_of(twin);
	char name[120], class[120];
	struct buf found;

	snprintf(name, sizeof(name), "%s (%s)", verdicts_text(twin, "name"),
		verdicts_text(twin, "role"));
	snprintf(class, sizeof(class), "mqaudit.%s", verdicts_text(scenario, "name"));
	fputs("    <testcase", to);
	put_attribute(to, "name", name);
	put_attribute(to, "classname", class);
	fprintf(to, " time=\"%.3f\">\n", seconds);
	if (fate == FATE_SKIPPED) {
		fputs("      <skipped", to);
		put_attribute(to, "message", verdicts_text(twin, "why"));
		fputs("/>\n    </testcase>\n", to);
		return;
	}
	if (fate != FATE_PASSED)
		put_fate(to, twin, fate);
	buf_init(&found, 65536);
	buf_printf(&found, "run %s (%s): verdict %s; found: ", verdicts_text(twin, "run_name"),
		verdicts_text(twin, "run"), verdicts_text(twin, "verdict"));
	suite_found_text(twin, &found);
	if (*verdicts_text(twin, "expected"))
		buf_printf(&found, "; declared: %s", verdicts_text(twin, "expected"));
	fputs("      <system-out>", to);
	put_xml(to, buf_str(&found));
	fputs("</system-out>\n    </testcase>\n", to);
	buf_release(&found);
}

/* What is about the scenario as a whole is a case of its own, when there is something. */
static void put_trouble(FILE *to, const json_t *scenario)
{
	const json_t *trouble;
	size_t i;

	if (*verdicts_text(scenario, "skipped")) {
		fputs("    <testcase", to);
		put_attribute(to, "name", verdicts_text(scenario, "name"));
		put_attribute(to, "classname", "mqaudit");
		fputs(" time=\"0\">\n      <skipped", to);
		put_attribute(to, "message", verdicts_text(scenario, "skipped"));
		fputs("/>\n    </testcase>\n", to);
		return;
	}
	if (!*verdicts_text(scenario, "error") &&
		json_array_size(json_object_get(scenario, "undecided_because")) == 0)
		return;
	fputs("    <testcase name=\"the scenario itself\" classname=\"mqaudit\" time=\"0\">\n"
	      "      <error type=\"undecided\"",
		to);
	put_attribute(to, "message",
		*verdicts_text(scenario, "error") ? verdicts_text(scenario, "error")
						  : "nothing can be said");
	fputs(">", to);
	json_array_foreach(json_object_get(scenario, "undecided_because"), i, trouble)
	{
		put_xml(to, json_string_value(trouble));
		putc('\n', to);
	}
	fputs("</error>\n    </testcase>\n", to);
}

static bool has_trouble(const json_t *scenario)
{
	return *verdicts_text(scenario, "error") || *verdicts_text(scenario, "skipped") ||
	       json_array_size(json_object_get(scenario, "undecided_because")) > 0;
}

struct totals {
	int tests, failures, errors, skipped;
};

static struct totals totals_of(const json_t *scenario)
{
	struct totals t = {0};
	const json_t *twin;
	size_t i;

	json_array_foreach(json_object_get(scenario, "twins"), i, twin)
	{
		enum fate fate = fate_of(twin);

		t.tests++;
		t.failures += fate == FATE_FAILED;
		t.errors += fate == FATE_ERROR;
		t.skipped += fate == FATE_SKIPPED;
	}
	if (has_trouble(scenario)) {
		t.tests++;
		if (*verdicts_text(scenario, "skipped"))
			t.skipped++;
		else
			t.errors++;
	}
	return t;
}

static void put_scenario(FILE *to, const json_t *result, const json_t *scenario)
{
	double seconds = json_number_value(json_object_get(scenario, "seconds"));
	struct totals t = totals_of(scenario);
	const json_t *item;
	size_t i;

	fputs("  <testsuite", to);
	put_attribute(to, "name", verdicts_text(scenario, "name"));
	fprintf(to, " tests=\"%d\" failures=\"%d\" errors=\"%d\" skipped=\"%d\" time=\"%.3f\">\n",
		t.tests, t.failures, t.errors, t.skipped, seconds);
	fputs("    <properties>\n", to);
	put_property(to, "", "title", verdicts_text(scenario, "title"));
	put_property(to, "", "id", verdicts_text(scenario, "id"));
	put_property(to, "", "stage", verdicts_text(scenario, "stage"));
	put_properties_of(to, "version.", json_object_get(result, "versions"));
	json_array_foreach(json_object_get(scenario, "fault"), i, item)
	{
		put_property(
			to, "fault.", verdicts_text(item, "what"), verdicts_text(item, "proof"));
	}
	json_array_foreach(json_object_get(scenario, "twins"), i, item)
	{
		char prefix[80];

		snprintf(prefix, sizeof(prefix), "%s.producer.", verdicts_text(item, "name"));
		put_properties_of(to, prefix, json_object_get(item, "producer"));
		snprintf(prefix, sizeof(prefix), "%s.topic.", verdicts_text(item, "name"));
		put_properties_of(to, prefix, json_object_get(item, "topic"));
	}
	put_repeats(to, json_object_get(result, "repeats"), verdicts_text(scenario, "name"));
	fputs("    </properties>\n", to);
	json_array_foreach(json_object_get(scenario, "twins"), i, item)
		put_twin(to, scenario, item, seconds);
	put_trouble(to, scenario);
	fputs("  </testsuite>\n", to);
}

void suite_junit(const json_t *result, FILE *to)
{
	struct totals sum = {0};
	const json_t *scenario;
	size_t i;

	json_array_foreach(json_object_get(result, "scenarios"), i, scenario)
	{
		struct totals t = totals_of(scenario);

		sum.tests += t.tests;
		sum.failures += t.failures;
		sum.errors += t.errors;
		sum.skipped += t.skipped;
	}
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", to);
	put_attribute(to, "name", verdicts_text(result, "suite"));
	fprintf(to, " tests=\"%d\" failures=\"%d\" errors=\"%d\" time=\"%.3f\">\n", sum.tests,
		sum.failures, sum.errors, json_number_value(json_object_get(result, "seconds")));
	json_array_foreach(json_object_get(result, "scenarios"), i, scenario)
		put_scenario(to, result, scenario);
	fputs("</testsuites>\n", to);
}
