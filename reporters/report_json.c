/* The JSON report, mqaudit-report/1: an interface, only ever added to. */
#include <inttypes.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "reporters/report.h"

#define FINDING_MAX ((size_t)16 << 20)

/* The order of the members that people look for first; what is not here follows. */
static const char *const order[] = {"format", "verdict", "exit_code", "promise", "fail_on", "allow",
	"fenced", "agreed", "reasons", "run", "counts", "sums", "findings_n", "findings", "stages",
	"lanes", "settings", "events", "events_omitted", "generations", "fences", "producers",
	"checkers", "available", "faults", "rates", "latency", NULL};

/* Arrays with an element a line: these are the long ones. */
static const char *const tall[] = {"reasons", "sums", "lanes", "events", "generations", "fences",
	"producers", "checkers", NULL};

static bool is_in(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

struct findings_out {
	FILE *to;
	struct buf line;
	uint64_t n;
};

static void put_time(struct buf *b, const char *name, int64_t wall_ns)
{
	char iso[CLOCK_ISO_LEN];

	if (wall_ns)
		buf_printf(b, ", \"%s\": \"%s\"", name, clock_iso(wall_ns, iso, sizeof(iso)));
	else
		buf_printf(b, ", \"%s\": null", name);
}

static void put_offset(struct buf *b, const char *name, int64_t offset)
{
	if (offset < 0)
		buf_printf(b, ", \"%s\": null", name);
	else
		buf_printf(b, ", \"%s\": %" PRId64, name, offset);
}

static void put_text(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "\"%s\": ", name);
	buf_json_str(b, value);
}

static void put_finding(struct buf *b, const struct report_finding *f)
{
	buf_char(b, '{');
	put_text(b, "kind", f->kind);
	buf_str_add(b, ", ");
	put_text(b, "stage", f->stage);
	buf_printf(b,
		", \"producer_id\": %" PRId64 ", \"epoch\": %" PRId64 ", \"partition\": %" PRId64
		", \"lo\": %" PRIu64 ", \"hi\": %" PRIu64 ", \"count\": %" PRIu64
		", \"positions\": ",
		f->producer_id, f->epoch, f->partition, f->lo, f->hi, f->count);
	buf_str_add(b, *f->positions ? f->positions : "[]");
	buf_printf(b,
		", \"positions_omitted\": %" PRIu64 ", \"positions_unknown\": %" PRIu64
		", \"withdrawn\": %s, \"provisional\": %s",
		f->positions_omitted, f->positions_unknown, f->withdrawn ? "true" : "false",
		f->provisional ? "true" : "false");
	put_time(b, "first_time", f->first_wall_ns);
	put_time(b, "last_time", f->last_wall_ns);
	put_offset(b, "acked_first", f->acked_first);
	put_offset(b, "acked_last", f->acked_last);
	buf_str_add(b, ", ");
	put_text(b, "why", f->why);
	buf_char(b, '}');
}

static int give_finding(const struct report_finding *f, void *arg, struct err *e)
{
	struct findings_out *out = arg;
	int r;

	buf_clear(&out->line);
	put_finding(&out->line, f);
	r = buf_failed(&out->line);
	if (r)
		return err_set(e, r, "a finding is too large to be written");
	fprintf(out->to, "%s\n  ", out->n++ ? "," : "");
	if (fwrite(buf_str(&out->line), 1, out->line.len, out->to) != out->line.len)
		return err_set(e, ERR_IO, "cannot write the report");
	return 0;
}

static int put_findings(struct report *r, FILE *to, struct err *e)
{
	struct findings_out out = {.to = to};
	int rc;

	buf_init(&out.line, FINDING_MAX);
	fputc('[', to);
	rc = report_each_finding(r, true, 0, give_finding, &out, e);
	fputs(out.n ? "\n ]" : "]", to);
	buf_release(&out.line);
	return rc;
}

static void put_value(const char *name, const json_t *value, FILE *to)
{
	const json_t *one;
	size_t i;

	if (!is_in(tall, name) || json_array_size(value) == 0) {
		json_dumpf(value, to, JSON_ENCODE_ANY | JSON_SORT_KEYS);
		return;
	}
	fputc('[', to);
	json_array_foreach(value, i, one)
	{
		fputs(i ? ",\n  " : "\n  ", to);
		json_dumpf(one, to, JSON_ENCODE_ANY);
	}
	fputs("\n ]", to);
}

int report_json(struct report *r, const struct report_style *style, FILE *to, struct err *e)
{
	const char *name;
	json_t *value;
	int rc = 0;

	(void)style;
	fputc('{', to);
	for (const char *const *p = order; rc == 0 && *p; p++) {
		bool findings = strcmp(*p, "findings") == 0;

		value = json_object_get(r->doc, *p);
		if (!value && !findings)
			continue;
		fprintf(to, "%s\n \"%s\": ", p == order ? "" : ",", *p);
		if (findings)
			rc = put_findings(r, to, e);
		else
			put_value(*p, value, to);
	}
	if (rc)
		return rc;
	json_object_foreach(r->doc, name, value)
	{
		if (is_in(order, name))
			continue;
		fprintf(to, ",\n \"%s\": ", name);
		put_value(name, value, to);
	}
	fputs("\n}\n", to);
	return 0;
}
