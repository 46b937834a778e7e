#include "scenarios/lint/lint_report.h"

#include <string.h>

static void pair(struct buf *b, const char *name, const char *value)
{
	buf_json_str(b, name);
	buf_str_add(b, ": ");
	buf_json_str(b, value);
}

static void settings(const struct lint *l, struct buf *b)
{
	buf_str_add(b, " \"settings\": {");
	for (int scope = 0; scope < LINT_SCOPES; scope++) {
		bool first = true;

		if (scope == LINT_POLICY && l->client != LINT_RABBITMQ_C)
			continue;
		buf_printf(b, "%s\n  ", scope ? "," : "");
		buf_json_str(b, lint_scope_text((enum lint_scope)scope));
		buf_str_add(b, ": {");
		for (size_t i = 0; i < l->n_settings; i++) {
			const struct lint_setting *s = &l->setting[i];

			if (s->scope != (enum lint_scope)scope)
				continue;
			buf_str_add(b, first ? "\n   " : ",\n   ");
			first = false;
			buf_json_str(b, s->name);
			buf_str_add(b, ": {");
			pair(b, "value", s->value);
			buf_str_add(b, ", ");
			pair(b, "from", s->from);
			buf_printf(b, ", \"given\": %s}", s->given ? "true" : "false");
		}
		buf_char(b, '}');
	}
	buf_str_add(b, "},\n");
}

static void prediction(const struct lint_view *v, const struct lint_prediction *p, struct buf *b)
{
	const char *name = p->scenario->name;

	buf_str_add(b, "\n  {\"scenario\": ");
	if (*name)
		buf_json_str(b, name);
	else
		buf_str_add(b, "null");
	buf_str_add(b, ", ");
	pair(b, "id", p->scenario->id);
	buf_str_add(b, ", ");
	pair(b, "kind", finding_text(p->way->kind));
	buf_str_add(b, ", ");
	pair(b, "stage", stage_text(p->way->stage));
	buf_printf(b, ", \"sure\": %s, \"breaks\": %s, \"accepted\": %s,\n   ",
		p->sure ? "true" : "false",
		promise_broken_by(&v->promise, p->way->kind) ? "true" : "false",
		lint_view_accepts(v, p->scenario) ? "true" : "false");
	pair(b, "fault", p->scenario->fault);
	buf_str_add(b, ", ");
	pair(b, "cause", p->way->cause);
	buf_str_add(b, ",\n   ");
	pair(b, "why", p->way->why);
	buf_str_add(b, ",\n   ");
	pair(b, "fix", p->way->fix);
	buf_char(b, '}');
}

static void safe(const struct lint_view *v, struct buf *b)
{
	size_t n;
	const struct lint_scenario *s = lint_scenarios(v->l->client, &n);
	bool first = true;

	buf_str_add(b, " \"safe\": [");
	for (size_t i = 0; i < n; i++) {
		if (!*s[i].name || !lint_view_safe_in(v, &s[i]))
			continue;
		buf_str_add(b, first ? "" : ", ");
		first = false;
		buf_json_str(b, s[i].name);
	}
	buf_str_add(b, "],\n");
}

void lint_json(const struct lint_view *v, struct buf *b)
{
	const struct lint *l = v->l;

	buf_str_add(b, "{\"format\": \"mqaudit-lint/1\", ");
	pair(b, "client", lint_client_text(l->client));
	buf_str_add(b, ", ");
	pair(b, "library", l->library);
	buf_str_add(b, ", ");
	pair(b, "client_because", l->because);
	buf_str_add(b, ",\n ");
	pair(b, "promise", promise_text(&v->promise));
	buf_printf(b, ", \"unsafe\": %s, \"live\": %s,\n", lint_view_unsafe(v) ? "true" : "false",
		l->live ? "true" : "false");
	settings(l, b);
	buf_str_add(b, " \"predictions\": [");
	for (size_t i = 0; i < v->n; i++) {
		buf_str_add(b, i ? "," : "");
		prediction(v, &v->prediction[i], b);
	}
	buf_str_add(b, "],\n");
	safe(v, b);
	buf_str_add(b, " \"not_looked_at\": {");
	for (size_t i = 0; i < props_count(l->unseen); i++) {
		buf_str_add(b, i ? ", " : "");
		pair(b, props_name(l->unseen, i), props_value(l->unseen, i));
	}
	buf_str_add(b, "},\n \"notes\": [");
	for (size_t i = 0; i < props_count(l->notes); i++) {
		buf_str_add(b, i ? ", " : "");
		buf_json_str(b, props_value(l->notes, i));
	}
	buf_str_add(b, "]}\n");
}
