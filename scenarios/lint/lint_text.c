#include "scenarios/lint/lint_report.h"

#include <string.h>

#define WIDTH 100

#define RED "\033[31m"
#define GREEN "\033[32m"
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

/* ---- what counts ----------------------------------------------------------------------------- */

void lint_view_predict(struct lint_view *v)
{
	v->n = lint_predict(&v->l->facts, NULL, v->prediction);
}

bool lint_view_accepts(const struct lint_view *v, const struct lint_scenario *s)
{
	for (size_t i = 0; i < v->accepted->n; i++)
		if (strcmp(v->accepted->item[i], s->name) == 0)
			return true;
	return false;
}

bool lint_view_breaks(const struct lint_view *v, const struct lint_prediction *p)
{
	return promise_broken_by(&v->promise, p->way->kind) && !lint_view_accepts(v, p->scenario);
}

bool lint_view_unsafe(const struct lint_view *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (lint_view_breaks(v, &v->prediction[i]))
			return true;
	return false;
}

bool lint_view_safe_in(const struct lint_view *v, const struct lint_scenario *s)
{
	if (s->consumer && !v->l->facts.consumer)
		return false;
	for (size_t i = 0; i < v->n; i++)
		if (v->prediction[i].scenario == s &&
			promise_broken_by(&v->promise, v->prediction[i].way->kind))
			return false;
	return true;
}

/* ---- lines ----------------------------------------------------------------------------------- */

struct out {
	FILE *to;
	bool colour;
};

static const char *paint(const struct out *o, const char *colour)
{
	return o->colour ? colour : "";
}

/* Words from column `at` on, the further lines indented; the cursor is at `at`, and ends a line. */
static void wrap(const struct out *o, size_t at, const char *text)
{
	size_t column = at;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (column > at && column + 1 + n > WIDTH) {
			fprintf(o->to, "\n%*s", (int)at, "");
			column = at;
		} else if (column > at) {
			fputc(' ', o->to);
			column++;
		}
		fprintf(o->to, "%.*s", (int)n, text);
		column += n;
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', o->to);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static const char *can(enum finding_kind kind)
{
	switch (kind) {
	case FINDING_LOST:
		return "LOSE";
	case FINDING_DUPLICATED:
		return "REPEAT";
	case FINDING_REORDERED:
		return "REORDER";
	case FINDING_STUCK:
		return "be STUCK on";
	case FINDING_ABORTED_READ:
		return "READ ABORTED";
	default:
		return finding_text(kind);
	}
}

static const char *whose(const struct lint_way *way)
{
	if (way->kind != FINDING_LOST)
		return "messages";
	if (way->stage == STAGE_BROKER)
		return "acknowledged messages";
	return way->stage == STAGE_CONSUME ? "messages that are on the log"
					   : "messages that were sent";
}

/* Do two rules give the same answer in the headline? */
static bool same_answer(const struct lint_way *a, const struct lint_way *b)
{
	return a->kind == b->kind && a->stage == b->stage && strcmp(a->cause, b->cause) == 0;
}

/* The same up to where it stands: the table shows what differs. */
static bool first_of(const struct lint_view *v, size_t at, bool breaks)
{
	for (size_t i = 0; i < at; i++)
		if (lint_view_breaks(v, &v->prediction[i]) == breaks &&
			same_answer(v->prediction[i].way, v->prediction[at].way))
			return false;
	return true;
}

static const char *where(enum stage stage)
{
	return stage == STAGE_BROKER    ? "at the broker"
	       : stage == STAGE_CONSUME ? "at consume"
					: "at produce";
}

/* The worst first, which is the order of the kinds; each answer once. Calls fn with its first prediction. */
static void each_answer(const struct lint_view *v, const struct out *o,
	void (*fn)(const struct lint_view *v, const struct out *o, const struct lint_way *way))
{
	for (int kind = 0; kind < FINDING_N; kind++)
		for (size_t i = 0; i < v->n; i++)
			if ((int)v->prediction[i].way->kind == kind &&
				lint_view_breaks(v, &v->prediction[i]) && first_of(v, i, true))
				fn(v, o, v->prediction[i].way);
}

static void answer(const struct lint_view *v, const struct out *o, const struct lint_way *way)
{
	(void)v;
	fprintf(o->to, "  %s: can %s%s%s %s %s\n", way->cause, paint(o, RED), can(way->kind),
		paint(o, PLAIN), whose(way), where(way->stage));
}

static void headline(const struct lint_view *v, const struct out *o)
{
	bool unsafe = lint_view_unsafe(v);

	fprintf(o->to, "%s%s%s   %s, %s   %s%s\n", paint(o, unsafe ? RED : GREEN),
		unsafe ? "UNSAFE" : "SAFE", paint(o, PLAIN), v->l->library,
		v->topic ? v->topic : "no cluster asked", promise_text(&v->promise),
		unsafe ? " can break:" : " is kept wherever the rules look");
	each_answer(v, o, answer);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define FAULT_AT 24
#define SCENARIO_AT 70
#define SOMETIMES_MAX 5 /* scenarios that are named where it is not sure */

/* "sometimes in a, b, c and 7 more" of those that only may show it; at column FAULT_AT. */
static void sometimes_in(const struct lint_view *v, const struct out *o, const struct lint_way *way)
{
	struct buf b;
	size_t n = 0;

	buf_init(&b, 65536);
	for (size_t i = 0; i < v->n; i++) {
		const struct lint_prediction *p = &v->prediction[i];

		if (!same_answer(p->way, way) || p->sure || !lint_view_breaks(v, p))
			continue;
		if (n++ < SOMETIMES_MAX)
			buf_printf(&b, "%s%s", n > 1 ? ", " : "sometimes in ",
				*p->scenario->name ? p->scenario->name : p->scenario->fault);
	}
	if (n > SOMETIMES_MAX)
		buf_printf(&b, " and %zu more", n - SOMETIMES_MAX);
	wrap(o, FAULT_AT, buf_str(&b));
	buf_release(&b);
}

/* One answer: a line for each scenario that always shows it, those that may, and why. */
static void answer_rows(const struct lint_view *v, const struct out *o, const struct lint_way *way)
{
	size_t n = 0, n_sure = 0;

	fprintf(o->to, "  %-12s  %-8s", finding_text(way->kind), stage_text(way->stage));
	for (size_t i = 0; i < v->n; i++) {
		const struct lint_prediction *p = &v->prediction[i];

		if (!same_answer(p->way, way) || !lint_view_breaks(v, p))
			continue;
		n++;
		if (!p->sure)
			continue;
		fprintf(o->to, "%*s%-*s%s\n", n_sure++ ? FAULT_AT : 0, "", SCENARIO_AT - FAULT_AT,
			p->scenario->fault, p->scenario->name);
	}
	if (n > n_sure) {
		fprintf(o->to, "%*s", n_sure ? FAULT_AT : 0, "");
		sometimes_in(v, o, way);
	}
	fprintf(o->to, "%*s%s", FAULT_AT, "", paint(o, DIM));
	wrap(o, FAULT_AT, way->why);
	fputs(paint(o, PLAIN), o->to);
}

static void table(const struct lint_view *v, const struct out *o)
{
	if (!lint_view_unsafe(v))
		return;
	fprintf(o->to, "\n  %-12s  %-8s%-*s%s\n", "WHAT", "STAGE", SCENARIO_AT - FAULT_AT,
		"BY WHICH FAULT", "SCENARIO");
	each_answer(v, o, answer_rows);
}

/* ---- what is only shown, and what is safe ---------------------------------------------------- */

static bool same_reason(const struct lint_way *a, const struct lint_way *b)
{
	return strcmp(a->cause, b->cause) == 0 && strcmp(a->why, b->why) == 0;
}

/* Kinds of the same reason stand together: "unacknowledged, refused". */
static void shown_kinds(const struct lint_view *v, const struct lint_way *way, struct buf *b)
{
	uint64_t seen = 0;

	for (size_t i = 0; i < v->n; i++) {
		const struct lint_prediction *p = &v->prediction[i];
		uint64_t bit = UINT64_C(1) << p->way->kind;

		if (lint_view_breaks(v, p) || !same_reason(p->way, way) || (seen & bit))
			continue;
		buf_printf(b, "%s%s", seen ? ", " : "", finding_text(p->way->kind));
		seen |= bit;
	}
}

static void shown_accepted(const struct lint_view *v, const struct lint_way *way, struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		const struct lint_prediction *p = &v->prediction[i];

		if (!lint_view_breaks(v, p) && same_reason(p->way, way) &&
			promise_broken_by(&v->promise, p->way->kind))
			buf_printf(b, "%s%s", n++ ? ", " : "accepted in ", p->scenario->name);
	}
	buf_str_add(b, n ? ": " : "");
}

static bool shown_before(const struct lint_view *v, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (!lint_view_breaks(v, &v->prediction[i]) &&
			same_reason(v->prediction[i].way, v->prediction[at].way))
			return true;
	return false;
}

static void shown(const struct lint_view *v, const struct out *o)
{
	bool head = true;

	for (size_t i = 0; i < v->n; i++) {
		const struct lint_way *way = v->prediction[i].way;
		struct buf b;

		if (lint_view_breaks(v, &v->prediction[i]) || shown_before(v, i))
			continue;
		if (head)
			fputs("\nShown, and breaks nothing\n", o->to);
		head = false;
		buf_init(&b, 65536);
		shown_kinds(v, way, &b);
		fprintf(o->to, "  %-24s  ", buf_str(&b));
		buf_clear(&b);
		shown_accepted(v, way, &b);
		buf_printf(&b, "%s: %s", way->cause, way->why);
		wrap(o, 28, buf_str(&b));
		buf_release(&b);
	}
}

static void safe(const struct lint_view *v, const struct out *o)
{
	size_t n, kept = 0;
	const struct lint_scenario *s = lint_scenarios(v->l->client, &n);
	struct buf b;

	buf_init(&b, 65536);
	for (size_t i = 0; i < n; i++)
		if (*s[i].name && lint_view_safe_in(v, &s[i]))
			buf_printf(&b, "%s%s", kept++ ? ", " : "", s[i].name);
	if (kept) {
		fprintf(o->to, "\n%sSafe in%s  ", paint(o, GREEN), paint(o, PLAIN));
		wrap(o, 9, buf_str(&b));
	}
	buf_release(&b);
}

/* ---- settings and what to do ----------------------------------------------------------------- */

static const char *scope_label(const struct lint *l, enum lint_scope scope)
{
	return l->client == LINT_RABBITMQ_C && scope == LINT_TOPIC ? "queue"
								   : lint_scope_text(scope);
}

static void settings(const struct lint *l, const struct out *o)
{
	fprintf(o->to, "\nSettings\n");
	fprintf(o->to, "  %-9s %-46s ", "client", l->library);
	wrap(o, 59, l->because);
	for (size_t i = 0; i < l->n_settings; i++) {
		const struct lint_setting *s = &l->setting[i];
		char text[200];
		const char *value = s->value;

		if (!*value && !s->given)
			continue;
		/* Java's longest number stands for "never" */
		if (strcmp(value, "9223372036854775807") == 0)
			value = "never";
		snprintf(text, sizeof(text), "%s=%s", s->name, value);
		fprintf(o->to, "  %-9s %-46s %s", scope_label(l, s->scope), text,
			s->given ? "" : paint(o, DIM));
		wrap(o, 59, s->from);
		fputs(s->given ? "" : paint(o, PLAIN), o->to);
	}
	for (size_t i = 0; i < props_count(l->unseen); i++) {
		fprintf(o->to, "  %-9s ", props_name(l->unseen, i));
		wrap(o, 12, props_value(l->unseen, i));
	}
}

struct fix_list {
	const char *at[LINT_PREDICTIONS_MAX];
	size_t n;
};

static void add_fix(struct fix_list *list, const char *fix)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->at[i], fix) == 0)
			return;
	if (*fix)
		list->at[list->n++] = fix;
}

/* Each change once, in the order of the answers. */
static void fixes(const struct lint_view *v, const struct out *o)
{
	struct fix_list list = {.n = 0};

	for (int kind = 0; kind < FINDING_N; kind++)
		for (size_t i = 0; i < v->n; i++)
			if ((int)v->prediction[i].way->kind == kind &&
				lint_view_breaks(v, &v->prediction[i]))
				add_fix(&list, v->prediction[i].way->fix);
	for (size_t i = 0; i < list.n; i++) {
		fputs(i ? "     " : "\nTry  ", o->to);
		wrap(o, 5, list.at[i]);
	}
}

void lint_text(const struct lint_view *v, bool colour, FILE *to)
{
	struct out o = {to, colour};

	headline(v, &o);
	table(v, &o);
	shown(v, &o);
	safe(v, &o);
	settings(v->l, &o);
	fixes(v, &o);
}
