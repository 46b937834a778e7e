#include "scenarios/lint/kafka_defs.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/props.h"

const char *kafka_defs_text(enum kafka_defs which)
{
	static const char *const text[] = {"java-producer", "java-consumer", "topic", "broker"};

	return text[which];
}

const struct kafka_def *kafka_defs_find(enum kafka_defs which, const char *name)
{
	size_t lo = 0, hi;
	const struct kafka_def *row = kafka_defs_all(which, &hi);

	while (lo < hi) {
		size_t at = (lo + hi) / 2;
		int r = strcmp(name, row[at].name);

		if (r == 0)
			return &row[at];
		if (r < 0)
			hi = at;
		else
			lo = at + 1;
	}
	return NULL;
}

static int wrong(const struct kafka_def *def, const char *value, const char *what, struct err *e)
{
	err_set(e, ERR_USAGE, "'%s' cannot be '%.60s': it takes %s", def->name,
		props_is_secret(def->name) ? PROPS_HIDDEN : value, what);
	return ERR_USAGE;
}

/* "[0,...]" or "[0,...,900]": false for a text of another shape. */
static bool read_range(const char *valid, double *ret_lo, double *ret_hi)
{
	char *end;

	if (*valid != '[')
		return false;
	*ret_lo = strtod(valid + 1, &end);
	if (end == valid + 1 || strncmp(end, ",...", 4) != 0)
		return false;
	end += 4;
	*ret_hi = (double)INT64_MAX;
	if (*end == ',')
		*ret_hi = strtod(end + 1, &end);
	return strcmp(end, "]") == 0;
}

static int check_number(const struct kafka_def *def, const char *value, struct err *e)
{
	bool real = strcmp(def->type, "double") == 0;
	double lo = 0, hi = 0, d;
	int64_t v = 0;
	char *end;

	errno = 0;
	if (real) {
		d = strtod(value, &end);
	} else {
		v = strtoll(value, &end, 10);
		d = (double)v;
	}
	if (end == value || *end || errno)
		return wrong(def, value, real ? "a number" : "a whole number", e);
	if ((strcmp(def->type, "int") == 0 && (v < INT32_MIN || v > INT32_MAX)) ||
		(strcmp(def->type, "short") == 0 && (v < INT16_MIN || v > INT16_MAX)))
		return wrong(def, value, "a smaller number", e);
	if (read_range(def->valid, &lo, &hi) && (d < lo || d > hi))
		return wrong(def, value, def->valid, e);
	return 0;
}

/* Is the word one of "[all, -1, 0, 1]"? Also true for what is no such list. */
static bool is_one_of(const char *valid, bool any_case, const char *word, size_t len)
{
	const char *p = valid;

	if (*p != '[' || strstr(p, "...") || strchr(p, ']')[1])
		return true;
	while (*p && *p != ']') {
		size_t n;

		p += strspn(p, "[, ");
		n = strcspn(p, ",]");
		/* "by_duration:PnDTnHnMn.nS": what stands behind the colon is free */
		if (memchr(p, ':', n) && len > (size_t)(strchr(p, ':') - p) &&
			strncmp(p, word, (size_t)(strchr(p, ':') - p) + 1) == 0)
			return true;
		if (n == len && (any_case ? strncasecmp : strncmp)(p, word, n) == 0)
			return true;
		p += n;
	}
	return false;
}

static int check_words(const struct kafka_def *def, const char *value, struct err *e)
{
	static const char any[] = "(case insensitive) ";
	bool any_case = strncmp(def->valid, any, strlen(any)) == 0;
	const char *valid = def->valid + (any_case ? strlen(any) : 0);
	bool list = strcmp(def->type, "list") == 0;

	for (const char *p = value;;) {
		size_t n = list ? strcspn(p, ", ") : strlen(p);

		if (!is_one_of(valid, any_case, p, n))
			return wrong(def, value, def->valid, e);
		p += n;
		p += strspn(p, ", ");
		if (!*p)
			return 0;
	}
}

int kafka_defs_check(const struct kafka_def *def, const char *value, struct err *e)
{
	char text[512];
	size_t n;

	while (isspace((unsigned char)*value))
		value++;
	snprintf(text, sizeof(text), "%s", value);
	for (n = strlen(text); n && isspace((unsigned char)text[n - 1]);)
		text[--n] = '\0';
	if (strcmp(def->type, "boolean") == 0)
		return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0
			       ? 0
			       : wrong(def, text, "true or false", e);
	if (strcmp(def->type, "int") == 0 || strcmp(def->type, "long") == 0 ||
		strcmp(def->type, "short") == 0 || strcmp(def->type, "double") == 0)
		return check_number(def, text, e);
	/* a long one is a certificate or the like, and has no list of values */
	if (strlen(value) >= sizeof(text))
		return 0;
	return check_words(def, text, e);
}
