#include "core/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

#define FRACTION_DIGITS 15

/* A non-negative decimal number: "1.5" is 1 and 500000000000000 of 10^15. */
struct number {
	uint64_t whole;
	uint64_t fraction;
	const char *end; /* what stands behind it */
};

/* Read one, in no locale's way: the decimal point is a point. Digits beyond the 15th count for nothing. */
static bool number(const char *text, struct number *ret)
{
	const char *p;
	char *end;
	int n = 0;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	ret->whole = strtoull(text, &end, 10);
	if (errno)
		return false;
	p = end;
	ret->fraction = 0;
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return false;
		for (; isdigit((unsigned char)*p); p++, n++)
			if (n < FRACTION_DIGITS)
				ret->fraction = ret->fraction * 10 + (uint64_t)(*p - '0');
		for (; n < FRACTION_DIGITS; n++)
			ret->fraction *= 10;
	}
	ret->end = p;
	return true;
}

/* n times factor, to the nearest. Returns false when it does not fit. */
static bool scale(const struct number *n, uint64_t factor, uint64_t *ret)
{
	const uint64_t one = UINT64_C(1000000000000000); /* 10^FRACTION_DIGITS */
	unsigned __int128 part = (unsigned __int128)n->fraction * factor + one / 2;
	uint64_t v;

	if (__builtin_mul_overflow(n->whole, factor, &v))
		return false;
	return !__builtin_add_overflow(v, (uint64_t)(part / one), ret);
}

static int parse_multiple(
	const char *text, uint64_t step, const char *what, uint64_t *ret, struct err *e)
{
	uint64_t factor = 1, v;
	struct number n;

	if (!number(text, &n))
		return err_set(e, ERR_USAGE, "'%s' is not %s", text, what);
	switch (*n.end) {
	case 'k':
	case 'K':
		factor = step;
		break;
	case 'M':
		factor = step * step;
		break;
	case 'G':
		factor = step * step * step;
		break;
	case '\0':
		break;
	default:
		return err_set(e, ERR_USAGE, "'%s' is not %s", text, what);
	}
	if ((*n.end && n.end[1]) || (factor == 1 && n.fraction != 0))
		return err_set(e, ERR_USAGE, "'%s' is not %s", text, what);
	if (!scale(&n, factor, &v))
		return err_set(e, ERR_USAGE, "'%s' is too large", text);
	*ret = v;
	return 0;
}

int units_parse_count(const char *text, uint64_t *ret, struct err *e)
{
	return parse_multiple(text, 1000, "a number (such as 500, 10k or 1.5M)", ret, e);
}

int units_parse_size(const char *text, uint64_t *ret, struct err *e)
{
	return parse_multiple(text, 1024, "a size (such as 100, 64k or 1M bytes)", ret, e);
}

int units_parse_duration(const char *text, int64_t *ret_ns, struct err *e)
{
	static const struct {
		const char *unit;
		int64_t ns;
	} units[] = {
		{"ns", 1},
		{"us", NS_PER_US},
		{"ms", NS_PER_MS},
		{"s", NS_PER_S},
		{"m", 60 * NS_PER_S},
		{"min", 60 * NS_PER_S},
		{"h", 3600 * NS_PER_S},
		{"d", 86400 * NS_PER_S},
	};
	struct number n;
	uint64_t v;

	if (number(text, &n)) {
		if (n.whole == 0 && n.fraction == 0 && *n.end == '\0') {
			*ret_ns = 0;
			return 0;
		}
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			if (strcmp(n.end, units[i].unit) != 0)
				continue;
			if (!scale(&n, (uint64_t)units[i].ns, &v) || v > INT64_MAX)
				return err_set(e, ERR_USAGE, "'%s' is too large", text);
			*ret_ns = (int64_t)v;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, "'%s' is not a time (such as 500ms, 10s, 5m or 2h)", text);
}

char *units_grouped(uint64_t n, char buf[UNITS_LEN])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	char *p = buf;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return buf;
}

char *units_short(uint64_t n, char buf[UNITS_LEN])
{
	static const char names[] = " kMGTPE";
	double v = (double)n;
	int unit = 0;

	if (n < 10000)
		return units_grouped(n, buf);
	while (v >= 999.95 && names[unit + 1]) {
		v /= 1000;
		unit++;
	}
	snprintf(buf, UNITS_LEN, v < 9.995 ? "%.2f %c" : "%.1f %c", v, names[unit]);
	return buf;
}

char *units_duration(int64_t ns, char buf[UNITS_LEN])
{
	double v = (double)ns;
	int64_t s = ns / NS_PER_S + (ns % NS_PER_S >= NS_PER_S / 2);

	/* each limit is where rounding would show "1000 us", "100.0 ms", "60.0 s" */
	if (ns < 9950)
		snprintf(buf, UNITS_LEN, "%.1f us", v / 1e3);
	else if (ns < 999500)
		snprintf(buf, UNITS_LEN, "%.0f us", v / 1e3);
	else if (ns < 99950 * NS_PER_US)
		snprintf(buf, UNITS_LEN, "%.1f ms", v / 1e6);
	else if (ns < 999500 * NS_PER_US)
		snprintf(buf, UNITS_LEN, "%.0f ms", v / 1e6);
	else if (ns < 59950 * NS_PER_MS)
		snprintf(buf, UNITS_LEN, "%.1f s", v / 1e9);
	else if (s < 3600)
		snprintf(buf, UNITS_LEN, "%lld min %lld s", (long long)s / 60, (long long)s % 60);
	else
		snprintf(buf, UNITS_LEN, "%lld h %lld min", (long long)s / 3600,
			(long long)s % 3600 / 60);
	return buf;
}

char *units_bytes(uint64_t n, char buf[UNITS_LEN])
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)n;
	size_t unit = 0;

	/* 1023.6 KiB would round to "1024 KiB" */
	while (v >= (unit ? 1023.5 : 1024) && unit + 1 < sizeof(names) / sizeof(names[0])) {
		v /= 1024;
		unit++;
	}
	snprintf(buf, UNITS_LEN, unit && v < 9.95 ? "%.1f %s" : "%.0f %s", v, names[unit]);
	return buf;
}
