#include "core/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/units.h"

enum field_type { F_TEXT, F_U64, F_I64, F_BOOL, F_DOUBLE };

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	size_t size;
};

#define FIELD(type, struct_name, member)                                                           \
	{                                                                                          \
#member, type, offsetof(struct struct_name, member),                               \
			sizeof(((struct struct_name *)0)->member)                                  \
	}

static const struct field probe_fields[] = {
	FIELD(F_TEXT, status_probe, run),
	FIELD(F_TEXT, status_probe, phase),
	FIELD(F_U64, status_probe, intended),
	FIELD(F_U64, status_probe, acked),
	FIELD(F_U64, status_probe, unconfirmed),
	FIELD(F_U64, status_probe, refused),
	FIELD(F_U64, status_probe, unknown),
	FIELD(F_U64, status_probe, outstanding),
	FIELD(F_DOUBLE, status_probe, rate),
	FIELD(F_I64, status_probe, p50_ns),
	FIELD(F_I64, status_probe, p99_ns),
	FIELD(F_U64, status_probe, backlog),
	FIELD(F_BOOL, status_probe, ledger_away),
	FIELD(F_U64, status_probe, disconnects),
	{NULL, F_TEXT, 0, 0},
};

static const struct field check_fields[] = {
	FIELD(F_TEXT, status_check, phase),
	FIELD(F_U64, status_check, read),
	FIELD(F_U64, status_check, distinct),
	FIELD(F_U64, status_check, lost),
	FIELD(F_U64, status_check, duplicated),
	FIELD(F_U64, status_check, reordered),
	FIELD(F_U64, status_check, corrupted),
	FIELD(F_U64, status_check, missing),
	FIELD(F_U64, status_check, behind),
	FIELD(F_BOOL, status_check, ledger_away),
	FIELD(F_BOOL, status_check, broker_away),
	{NULL, F_TEXT, 0, 0},
};

static void put_fields(const struct field *f, const void *from, struct buf *out)
{
	for (; f->name; f++) {
		const char *p = (const char *)from + f->offset;

		buf_printf(out, "\t%s=", f->name);
		switch (f->type) {
		case F_TEXT:
			buf_str_add(out, p);
			break;
		case F_U64:
			buf_u64(out, *(const uint64_t *)(const void *)p);
			break;
		case F_I64:
			buf_i64(out, *(const int64_t *)(const void *)p);
			break;
		case F_BOOL:
			buf_char(out, *(const bool *)(const void *)p ? '1' : '0');
			break;
		case F_DOUBLE:
			buf_printf(out, "%.1f", *(const double *)(const void *)p);
			break;
		}
	}
	buf_char(out, '\n');
}

static void take_field(const struct field *f, void *to, const char *value, size_t len)
{
	char *p = (char *)to + f->offset;

	switch (f->type) {
	case F_TEXT:
		snprintf(p, f->size, "%.*s", (int)len, value);
		break;
	case F_U64:
		*(uint64_t *)(void *)p = strtoull(value, NULL, 10);
		break;
	case F_I64:
		*(int64_t *)(void *)p = strtoll(value, NULL, 10);
		break;
	case F_BOOL:
		*(bool *)(void *)p = *value == '1';
		break;
	case F_DOUBLE:
		*(double *)(void *)p = strtod(value, NULL);
		break;
	}
}

static void take_fields(const struct field *fields, void *to, const char *line)
{
	while (*line == '\t') {
		const char *name = line + 1;
		size_t name_len = strcspn(name, "=\t");
		size_t value_len;

		if (name[name_len] != '=')
			return;
		value_len = strcspn(name + name_len + 1, "\t");
		for (const struct field *f = fields; f->name; f++)
			if (strlen(f->name) == name_len && memcmp(f->name, name, name_len) == 0)
				take_field(f, to, name + name_len + 1, value_len);
		line = name + name_len + 1 + value_len;
	}
}

void status_probe_line(const struct status_probe *s, struct buf *out)
{
	buf_str_add(out, "probe");
	put_fields(probe_fields, s, out);
}

void status_check_line(const struct status_check *s, struct buf *out)
{
	buf_str_add(out, "check");
	put_fields(check_fields, s, out);
}

void status_found_line(bool breaks, const char *text, struct buf *out)
{
	buf_printf(out, "%s\t%s\n", breaks ? "breaks" : "found", text);
}

/* Lines that hold a text. */
static const struct {
	const char *word;
	enum status_kind kind;
} texts[] = {
	{"found\t", STATUS_FOUND},
	{"breaks\t", STATUS_BREAKS},
	{LOG_DIVERTED, STATUS_SAID},
};

enum status_kind status_parse(const char *line, struct status_probe *probe,
	struct status_check *check, char *text, size_t len)
{
	if (strncmp(line, "probe\t", 6) == 0) {
		take_fields(probe_fields, probe, line + 5);
		return STATUS_PROBE;
	}
	if (strncmp(line, "check\t", 6) == 0) {
		take_fields(check_fields, check, line + 5);
		return STATUS_CHECK;
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t n = strlen(texts[i].word);

		if (strncmp(line, texts[i].word, n) != 0)
			continue;
		snprintf(text, len, "%s", line + n);
		return texts[i].kind;
	}
	return STATUS_NONE;
}

static void put_short(struct buf *out, const char *label, uint64_t n)
{
	char text[UNITS_LEN];

	buf_printf(out, "%s%s %s", out->len ? "  " : "", label, units_short(n, text));
}

static void render_probe(const struct status_probe *p, struct buf *out)
{
	char text[UNITS_LEN];

	put_short(out, "sent", p->intended);
	if (p->unconfirmed)
		put_short(out, "unconfirmed", p->unconfirmed);
	if (p->acked || !p->unconfirmed)
		put_short(out, "acked", p->acked);
	if (p->refused)
		put_short(out, "refused", p->refused);
	if (p->unknown)
		put_short(out, "unknown", p->unknown);
	put_short(out, "pending", p->outstanding);
	buf_printf(out, "   %s/s", units_short((uint64_t)(p->rate + 0.5), text));
	if (p->p99_ns > 0) {
		buf_printf(out, "   p50 %s", units_duration(p->p50_ns, text));
		buf_printf(out, "  p99 %s", units_duration(p->p99_ns, text));
	}
}

static void render_check(const struct status_check *c, struct buf *out)
{
	put_short(out, "on the log", c->distinct);
	put_short(out, "lost", c->lost);
	put_short(out, "repeated", c->duplicated);
	put_short(out, "reordered", c->reordered);
	if (c->corrupted)
		put_short(out, "corrupted", c->corrupted);
	if (c->missing > c->lost)
		put_short(out, "missing", c->missing - c->lost);
}

static void render_health(
	const struct status_probe *p, const struct status_check *c, struct buf *out)
{
	bool away = (p && p->ledger_away) || (c && c->ledger_away);
	char text[UNITS_LEN];

	buf_printf(out, "ledger %s", away ? "AWAY" : "ok");
	if (p && p->backlog > 1000)
		buf_printf(out, " (%s records wait)", units_short(p->backlog, text));
	if (p)
		buf_printf(out, "   probe %s", p->phase);
	if (c) {
		buf_printf(out, "   checker %s", c->phase);
		if (c->broker_away)
			buf_str_add(out, " (broker away)");
		if (c->behind)
			buf_printf(out, ", %s behind", units_short(c->behind, text));
	}
}

void status_render(const char *title, int64_t since_ns, const struct status_probe *probe,
	const struct status_check *check, struct buf *out)
{
	int64_t s = since_ns / NS_PER_S;
	struct buf line;

	buf_init(&line, 4096);
	buf_printf(out, "%s   %02d:%02d:%02d\n", title, (int)(s / 3600), (int)(s / 60 % 60),
		(int)(s % 60));
	if (probe)
		render_probe(probe, &line);
	buf_printf(out, "  %s", buf_str(&line));
	buf_clear(&line);
	if (check)
		render_check(check, &line);
	if (line.len)
		buf_printf(out, "\n  %s   ", buf_str(&line));
	else
		buf_str_add(out, "\n  ");
	render_health(probe, check, out);
	buf_release(&line);
}

void status_render_line(
	const struct status_probe *probe, const struct status_check *check, struct buf *out)
{
	if (probe)
		render_probe(probe, out);
	if (check)
		render_check(check, out);
	buf_str_add(out, "   ");
	render_health(probe, check, out);
}
