#include "core/words.h"

#include <string.h>

static const char *const outcomes[] = {
#define WORDS_TEXT_(name, text) text,
	WORDS_OUTCOMES(WORDS_TEXT_)};
static const char *const stages[] = {WORDS_STAGES(WORDS_TEXT_)};
static const char *const verdicts[] = {WORDS_VERDICTS(WORDS_TEXT_)};
#undef WORDS_TEXT_

static const struct {
	const char *text;
	bool breaks[3]; /* by enum delivery */
	bool only_ordered;
} findings[] = {
#define WORDS_ROW_(name, text, amo, alo, eo, ordered) {text, {amo, alo, eo}, ordered},
	WORDS_FINDINGS(WORDS_ROW_)
#undef WORDS_ROW_
};

const char *outcome_text(enum outcome o)
{
	return o < OUTCOME_N ? outcomes[o] : "?";
}

const char *finding_text(enum finding_kind k)
{
	return k < FINDING_N ? findings[k].text : "?";
}

const char *stage_text(enum stage s)
{
	return s < STAGE_N ? stages[s] : "?";
}

const char *verdict_text(enum verdict v)
{
	return v < VERDICT_N ? verdicts[v] : "?";
}

static int index_of(const char *const *texts, int n, const char *text)
{
	for (int i = 0; i < n; i++)
		if (strcmp(texts[i], text) == 0)
			return i;
	return -1;
}

bool outcome_parse(const char *text, enum outcome *ret)
{
	int i = index_of(outcomes, OUTCOME_N, text);

	if (i >= 0)
		*ret = (enum outcome)i;
	return i >= 0;
}

bool stage_parse(const char *text, enum stage *ret)
{
	int i = index_of(stages, STAGE_N, text);

	if (i >= 0)
		*ret = (enum stage)i;
	return i >= 0;
}

bool verdict_parse(const char *text, enum verdict *ret)
{
	int i = index_of(verdicts, VERDICT_N, text);

	if (i >= 0)
		*ret = (enum verdict)i;
	return i >= 0;
}

bool finding_parse(const char *text, enum finding_kind *ret)
{
	for (int i = 0; i < FINDING_N; i++) {
		if (strcmp(findings[i].text, text) == 0) {
			*ret = (enum finding_kind)i;
			return true;
		}
	}
	return false;
}

enum exit_code verdict_exit_code(enum verdict v)
{
	switch (v) {
	case VERDICT_PASS:
		return EXIT_PASS;
	case VERDICT_FAIL:
		return EXIT_FINDINGS;
	case VERDICT_UNDECIDED:
	case VERDICT_NODATA:
		return EXIT_UNDECIDED;
	default:
		return EXIT_ERROR;
	}
}

static const char *const promises[] = {
	"at-most-once",
	"at-least-once",
	"exactly-once",
	"at-most-once,ordered",
	"at-least-once,ordered",
	"exactly-once,ordered",
};

int promise_parse(const char *text, struct promise *ret, struct err *e)
{
	int i = index_of(promises, 6, text);

	if (i < 0) {
		err_set(e, ERR_USAGE, "unknown promise '%s'", text);
		err_hint(e, "one of at-most-once, at-least-once, exactly-once, "
			    "each with or without ',ordered'");
		return ERR_USAGE;
	}
	memset(ret, 0, sizeof(*ret));
	ret->delivery = (enum delivery)(i % 3);
	ret->ordered = i >= 3;
	return 0;
}

/* " lost, duplicated, ..." */
#define WORDS_LIST_(name, text, amo, alo, eo, ordered) " " text

int promise_kinds_parse(const char *text, uint64_t *mask, struct err *e)
{
	uint64_t bits = 0;

	while (*text) {
		size_t len = strcspn(text, ",");
		char word[32];
		enum finding_kind k;

		if (len >= sizeof(word))
			len = sizeof(word) - 1;
		memcpy(word, text, len);
		word[len] = '\0';
		if (!finding_parse(word, &k)) {
			err_set(e, ERR_USAGE, "unknown kind of finding '%s'", word);
			err_hint(e, "kinds are" WORDS_FINDINGS(WORDS_LIST_));
			return ERR_USAGE;
		}
		bits |= UINT64_C(1) << k;
		text += strcspn(text, ",");
		if (*text == ',')
			text++;
	}
	*mask |= bits;
	return 0;
}

const char *promise_text(const struct promise *p)
{
	return promises[(int)p->delivery + (p->ordered ? 3 : 0)];
}

bool promise_broken_by(const struct promise *p, enum finding_kind k)
{
	uint64_t bit = UINT64_C(1) << k;

	if (p->fail_on & bit)
		return true;
	if (p->allow & bit)
		return false;
	if (findings[k].only_ordered && !p->ordered)
		return false;
	return findings[k].breaks[p->delivery];
}
