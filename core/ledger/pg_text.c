#include "core/ledger/pg_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HIDDEN "***"
#define REDACT_MAX ((size_t)16 << 10)

/* May the value of this setting be shown? A name that is written with escapes may be anything. */
static bool may_show(const char *name, size_t len)
{
	static const char word[] = "password";

	if (memchr(name, '%', len))
		return false;
	for (size_t i = 0; i + sizeof(word) - 1 <= len; i++)
		if (strncasecmp(name + i, word, sizeof(word) - 1) == 0)
			return false;
	return true;
}

static void redact_query(const char *query, struct buf *out)
{
	while (*query) {
		size_t len = strcspn(query, "&");
		const char *eq = memchr(query, '=', len);

		if (eq && !may_show(query, (size_t)(eq - query))) {
			buf_add(out, query, (size_t)(eq - query) + 1);
			buf_str_add(out, HIDDEN);
		} else {
			buf_add(out, query, len);
		}
		query += len;
		if (*query)
			buf_char(out, *query++);
	}
}

/*
 * scheme://user:secret@host/db?name=value&... A secret may hold any sign but '@', even unescaped.
 */
static void redact_url(const char *url, struct buf *out)
{
	const char *rest = strstr(url, "://") + 3;
	const char *at = strrchr(rest, '@');
	const char *colon = strchr(rest, ':');
	const char *query = strchr(rest, '?');

	buf_add(out, url, (size_t)(rest - url));
	if (at && colon && colon < at) {
		buf_add(out, rest, (size_t)(colon - rest) + 1);
		buf_str_add(out, HIDDEN);
		if (query &&
			query < at) /* a secret with '?' or a query with '@': nobody can tell */
			return;
		rest = at;
	}
	if (!query) {
		buf_str_add(out, rest);
		return;
	}
	buf_add(out, rest, (size_t)(query - rest) + 1);
	redact_query(query + 1, out);
}

/*
 * The end of a conninfo value: quoted with '...', or up to a blank; a backslash takes the next
 * sign.
 */
static const char *value_end(const char *p)
{
	bool quoted = *p == '\'';

	if (quoted)
		p++;
	while (*p && (quoted ? *p != '\'' : !isspace((unsigned char)*p)))
		p += p[0] == '\\' && p[1] ? 2 : 1;
	return quoted && *p ? p + 1 : p;
}

static const char *skip_blanks(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/* name=value name = 'value with blanks' ... */
static void redact_settings(const char *p, struct buf *out)
{
	for (p = skip_blanks(p); *p; p = skip_blanks(p)) {
		size_t len = strcspn(p, "= \t\r\n\f\v");
		const char *name = p, *end;

		p = skip_blanks(p + len);
		if (out->len)
			buf_char(out, ' ');
		if (*p != '=') { /* no setting: it could be the tail of a password with a blank */
			buf_str_add(out, HIDDEN);
			continue;
		}
		p = skip_blanks(p + 1);
		end = value_end(p);
		buf_add(out, name, len);
		buf_char(out, '=');
		if (may_show(name, len))
			buf_add(out, p, (size_t)(end - p));
		else
			buf_str_add(out, HIDDEN);
		p = end;
	}
}

char *pg_redact_url(const char *url, char *ret, size_t len)
{
	struct buf out;

	buf_init(&out, REDACT_MAX);
	if (strstr(url, "://"))
		redact_url(url, &out);
	else
		redact_settings(url, &out);
	snprintf(ret, len, "%s", buf_failed(&out) ? HIDDEN : buf_str(&out));
	buf_release(&out);
	return ret;
}

void pg_conninfo_add(struct buf *conninfo, const char *name, const char *value)
{
	bool plain = *value && strpbrk(value, " \t\r\n\f\v'\\") == NULL;

	buf_printf(conninfo, "%s%s=%s", conninfo->len ? " " : "", name, plain ? "" : "'");
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			buf_char(conninfo, '\\');
		buf_char(conninfo, *value);
	}
	if (!plain)
		buf_char(conninfo, '\'');
}

int pg_code_of_sqlstate(const char *sqlstate)
{
	/* the first that fits; a class is its two letters */
	static const struct {
		const char *state;
		int code;
	} table[] = {
		{"08", ERR_LEDGER_AWAY},    /* connection exceptions */
		{"53100", ERR_NOSPACE},     /* disk full */
		{"53300", ERR_LEDGER_AWAY}, /* too many connections */
		{"57014", ERR_LEDGER_AWAY}, /* cancelled: by our deadline, or the server's own */
		{"57P01", ERR_LEDGER_AWAY}, /* admin shutdown */
		{"57P02", ERR_LEDGER_AWAY}, /* crash shutdown */
		{"57P03", ERR_LEDGER_AWAY}, /* cannot connect now: starting, stopping, recovering */
		{"57P05", ERR_LEDGER_AWAY}, /* idle session timeout */
		{"25P03", ERR_LEDGER_AWAY}, /* idle in transaction timeout: the session was ended */
		{"28", ERR_DENIED},         /* invalid authorization, password */
		{"42501", ERR_DENIED},      /* insufficient privilege */
	};

	if (!sqlstate || !*sqlstate)
		return ERR_LEDGER_AWAY;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strncmp(sqlstate, table[i].state, strlen(table[i].state)) == 0)
			return table[i].code;
	return ERR_LEDGER;
}

/* "FATAL:  57P03: text": where the code stands in the line, or NULL. */
static const char *find_sqlstate(const char *line, size_t len)
{
	for (size_t i = 0; i + 10 <= len; i++) {
		size_t n = 0;

		if (memcmp(line + i, ":  ", 3) != 0)
			continue;
		while (n < 5 && (isdigit((unsigned char)line[i + 3 + n]) ||
					isupper((unsigned char)line[i + 3 + n])))
			n++;
		if (n == 5 && memcmp(line + i + 8, ": ", 2) == 0)
			return line + i + 3;
	}
	return NULL;
}

void pg_split_connect_error(const char *text, char *sqlstate, char *ret, size_t len)
{
	struct buf out;

	buf_init(&out, REDACT_MAX);
	sqlstate[0] = '\0';
	while (*text) {
		size_t n = strcspn(text, "\n");
		const char *state = find_sqlstate(text, n);

		/*
		 * LOCATION is the server's source line; lines behind a tab ask whether the server
		 * runs
		 */
		if (n && *text != '\t' && strncmp(text, "LOCATION:", 9) != 0) {
			if (out.len)
				buf_str_add(&out, "; ");
			if (state) {
				buf_add(&out, text, (size_t)(state - text) - 1);
				buf_add(&out, state + 7, n - (size_t)(state - text) - 7);
			} else {
				buf_add(&out, text, n);
			}
		}
		if (state && !sqlstate[0]) {
			memcpy(sqlstate, state, 5);
			sqlstate[5] = '\0';
		}
		text += n;
		text += *text == '\n';
	}
	snprintf(ret, len, "%s", buf_str(&out));
	buf_release(&out);
}
