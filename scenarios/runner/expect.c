#include "scenarios/runner/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/units.h"

#define WORD_MAX 80

/* The next word of text, by blanks apart. False: there is none. */
static bool next_word(const char **text, char *word, size_t len)
{
	size_t n;

	*text += strspn(*text, " \t");
	n = strcspn(*text, " \t");
	snprintf(word, len, "%.*s", (int)n, *text);
	*text += n;
	return n > 0;
}

static int parse_verdicts(const char *word, uint32_t *ret, struct err *e)
{
	*ret = 0;
	for (const char *p = word; *p; p += strcspn(p, "|"), p += *p == '|') {
		char name[WORD_MAX];
		enum verdict v;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "|"), p);
		if (!verdict_parse(name, &v)) {
			err_set(e, ERR_USAGE, "'%s' is no verdict", name);
			return err_hint(e, "PASS, FAIL, UNDECIDED or NODATA, with '|' between");
		}
		*ret |= 1U << v;
	}
	return *ret ? 0 : err_set(e, ERR_USAGE, "no verdict");
}

static int parse_bounds(const char *op, struct expect_item *item, struct err *e)
{
	unsigned long long n;
	char *end = NULL;

	item->min = 1;
	item->max = UINT64_MAX;
	if (!*op)
		return 0;
	n = strtoull(op + strspn(op, "<>="), &end, 10);
	if (end == op + strspn(op, "<>=") || *end)
		return err_set(e, ERR_USAGE, "'%s': not =N, >=N or <=N", op);
	if (strncmp(op, ">=", 2) == 0) {
		item->min = n;
	} else if (strncmp(op, "<=", 2) == 0) {
		item->min = 0;
		item->max = n;
	} else if (op[0] == '=' && op[1] != '=') {
		item->min = n;
		item->max = n;
	} else {
		return err_set(e, ERR_USAGE, "'%s': not =N, >=N or <=N", op);
	}
	return 0;
}

static int parse_item(const char *word, struct expect_item *item, struct err *e)
{
	const char *at = strchr(word, '@');
	char kind[WORD_MAX], stage[WORD_MAX];
	size_t stage_len;

	if (!at)
		return err_set(e, ERR_USAGE, "'%s' is no finding: KIND@STAGE", word);
	stage_len = strcspn(at + 1, "<>=");
	snprintf(kind, sizeof(kind), "%.*s", (int)(at - word), word);
	snprintf(stage, sizeof(stage), "%.*s", (int)stage_len, at + 1);
	if (!finding_parse(kind, &item->kind))
		return err_set(e, ERR_USAGE, "'%s' is no kind of finding", kind);
	if (!stage_parse(stage, &item->stage)) {
		err_set(e, ERR_USAGE, "'%s' is no stage", stage);
		return err_hint(e, "produce, broker, consume or relay");
	}
	return parse_bounds(at + 1 + stage_len, item, e);
}

static struct expect_item *find_item(struct expect *x, enum finding_kind kind, enum stage stage)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->item[i].kind == kind && x->item[i].stage == stage)
			return &x->item[i];
	return NULL;
}

int expect_parse(const char *text, struct expect *ret, struct err *e)
{
	char word[WORD_MAX];
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!next_word(&text, word, sizeof(word)))
		return err_set(e, ERR_USAGE, "no verdict");
	r = parse_verdicts(word, &ret->verdicts, e);
	while (r == 0 && next_word(&text, word, sizeof(word))) {
		struct expect_item item;

		if (ret->n == EXPECT_MAX_ITEMS)
			return err_set(e, ERR_USAGE, "more than %d findings", EXPECT_MAX_ITEMS);
		r = parse_item(word, &item, e);
		if (r == 0 && find_item(ret, item.kind, item.stage))
			r = err_set(e, ERR_USAGE, "'%s' is there twice", word);
		if (r == 0)
			ret->item[ret->n++] = item;
	}
	return r;
}

int expect_sharpen(struct expect *x, const char *text, struct err *e)
{
	struct expect_item item, *declared;
	int r = parse_item(text, &item, e);

	if (r)
		return r;
	declared = find_item(x, item.kind, item.stage);
	if (!declared)
		return err_set(e, ERR_USAGE, "'%s' was not declared", text);
	*declared = item;
	return 0;
}

void expect_format(const struct expect *x, struct buf *out)
{
	const char *bar = "";

	for (int v = 0; v < VERDICT_N; v++) {
		if (!(x->verdicts & 1U << v))
			continue;
		buf_printf(out, "%s%s", bar, verdict_text((enum verdict)v));
		bar = "|";
	}
	for (size_t i = 0; i < x->n; i++) {
		const struct expect_item *item = &x->item[i];

		buf_printf(out, " %s@%s", finding_text(item->kind), stage_text(item->stage));
		if (item->min == item->max)
			buf_printf(out, "=%llu", (unsigned long long)item->min);
		else if (item->max != UINT64_MAX)
			buf_printf(out, "<=%llu", (unsigned long long)item->max);
		else if (item->min != 1)
			buf_printf(out, ">=%llu", (unsigned long long)item->min);
	}
}

void tallies_add(struct tallies *t, enum finding_kind kind, enum stage stage, uint64_t count)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->at[i].kind != kind || t->at[i].stage != stage)
			continue;
		t->at[i].count += count;
		return;
	}
	if (t->n == TALLY_MAX)
		BUG("more than %d kinds of findings", TALLY_MAX);
	t->at[t->n++] = (struct tally){kind, stage, count};
}

uint64_t tallies_count(const struct tallies *t, enum finding_kind kind, enum stage stage)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->at[i].kind == kind && t->at[i].stage == stage)
			return t->at[i].count;
	return 0;
}

void tallies_format(const struct tallies *t, struct buf *out)
{
	char n[UNITS_LEN];

	for (size_t i = 0; i < t->n; i++)
		buf_printf(out, "%s%s at %s %s", i ? ", " : "", finding_text(t->at[i].kind),
			stage_text(t->at[i].stage), units_grouped(t->at[i].count, n));
	if (t->n == 0)
		buf_str_add(out, "nothing");
}

static void say(struct buf *why, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct buf *why, const char *fmt, ...)
{
	va_list ap;

	if (!why)
		return;
	if (why->len)
		buf_str_add(why, "; ");
	va_start(ap, fmt);
	buf_vprintf(why, fmt, ap);
	va_end(ap);
}

static void compare_declared(const struct expect *x, const struct tallies *found,
	struct expect_result *ret, struct buf *why)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct expect_item *item = &x->item[i];
		uint64_t n = tallies_count(found, item->kind, item->stage);
		bool less = n<item->min, more = n> item->max;

		ret->missing |= less;
		ret->surplus |= more;
		if (less || more)
			say(why, "%llu %s at %s, where %s %llu %s declared", (unsigned long long)n,
				finding_text(item->kind), stage_text(item->stage),
				item->min == item->max ? "exactly"
				: less                 ? "at least"
						       : "at most",
				(unsigned long long)(less ? item->min : item->max),
				(less ? item->min : item->max) == 1 ? "is" : "are");
	}
}

struct expect_result expect_compare(
	const struct expect *x, enum verdict verdict, const struct tallies *found, struct buf *why)
{
	struct expect_result ret = {0};

	compare_declared(x, found, &ret, why);
	for (size_t i = 0; i < found->n; i++) {
		const struct tally *t = &found->at[i];
		bool declared = false;

		for (size_t k = 0; k < x->n; k++)
			declared |= x->item[k].kind == t->kind && x->item[k].stage == t->stage;
		if (declared || t->count == 0)
			continue;
		ret.surplus = true;
		say(why, "%llu %s at %s, which is not declared", (unsigned long long)t->count,
			finding_text(t->kind), stage_text(t->stage));
	}
	ret.verdict = !(x->verdicts & 1U << verdict);
	if (ret.verdict)
		say(why, "the verdict is %s", verdict_text(verdict));
	return ret;
}
