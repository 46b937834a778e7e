#include "core/props.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/buf.h"
#include "core/paths.h"

struct pair {
	char *name;
	char *value;
	size_t line; /* of the file that the value was read from; 0: it was not */
};

struct props {
	struct pair *pair;
	size_t n;
	size_t cap;
};

struct props *props_new(void)
{
	return calloc(1, sizeof(struct props));
}

static void wipe(char *s)
{
	if (!s)
		return;
	explicit_bzero(s, strlen(s));
	free(s);
}

void props_free(struct props *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		free(p->pair[i].name);
		wipe(p->pair[i].value);
	}
	free(p->pair);
	free(p);
}

static struct pair *find(const struct props *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->pair[i].name, name) == 0)
			return &p->pair[i];
	return NULL;
}

static int reserve(struct props *p, struct err *e)
{
	size_t cap = p->cap ? p->cap * 2 : 16;
	struct pair *pair;

	if (p->n == PROPS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d properties", PROPS_MAX);
	if (p->n < p->cap)
		return 0;
	pair = realloc(p->pair, cap * sizeof(*pair));
	if (!pair)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->pair = pair;
	p->cap = cap;
	return 0;
}

static int check_lengths(const char *name, const char *value, struct err *e)
{
	if (!*name)
		return err_set(e, ERR_LIMIT, "a property without a name");
	if (strlen(name) > PROPS_NAME_MAX)
		return err_set(e, ERR_LIMIT, "the property name '%.40s...' is longer than %d bytes",
			name, PROPS_NAME_MAX);
	if (strlen(value) > PROPS_VALUE_MAX)
		return err_set(e, ERR_LIMIT, "the value of property '%s' is longer than %zu bytes",
			name, PROPS_VALUE_MAX);
	return 0;
}

int props_set(struct props *p, const char *name, const char *value, struct err *e)
{
	struct pair *old = find(p, name);
	char *new_name = NULL, *new_value = NULL;
	int r = check_lengths(name, value, e);

	if (r == 0 && !old)
		r = reserve(p, e);
	if (r)
		return r;
	new_value = strdup(value);
	if (!old)
		new_name = strdup(name);
	if (!new_value || (!old && !new_name)) {
		free(new_name);
		wipe(new_value);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	if (old) {
		wipe(old->value);
		old->value = new_value;
		old->line = 0;
	} else {
		p->pair[p->n++] = (struct pair){new_name, new_value, 0};
	}
	return 0;
}

void props_remove(struct props *p, const char *name)
{
	struct pair *pair = find(p, name);

	if (!pair)
		return;
	free(pair->name);
	wipe(pair->value);
	p->n--;
	memmove(pair, pair + 1, (size_t)(p->pair + p->n - pair) * sizeof(*pair));
}

const char *props_get(const struct props *p, const char *name)
{
	const struct pair *pair = find(p, name);

	return pair ? pair->value : NULL;
}

size_t props_line(const struct props *p, const char *name)
{
	const struct pair *pair = find(p, name);

	return pair ? pair->line : 0;
}

size_t props_count(const struct props *p)
{
	return p->n;
}

const char *props_name(const struct props *p, size_t i)
{
	BUG_ON(i >= p->n);
	return p->pair[i].name;
}

const char *props_value(const struct props *p, size_t i)
{
	BUG_ON(i >= p->n);
	return p->pair[i].value;
}

int props_merge(struct props *p, const struct props *from, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < from->n && r == 0; i++)
		r = props_set(p, from->pair[i].name, from->pair[i].value, e);
	return r;
}

/* --- the file format --- */

/* A text that is being read; line counts from 1. */
struct reader {
	const char *p;
	const char *end;
	const char *source;
	size_t line;
};

static bool is_eol(char c)
{
	return c == '\n' || c == '\r';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static void skip_blanks(struct reader *rd)
{
	while (rd->p < rd->end && is_blank(*rd->p))
		rd->p++;
}

/* Step over one line end, if there is one here. */
static void skip_eol(struct reader *rd)
{
	if (rd->p == rd->end || !is_eol(*rd->p))
		return;
	if (*rd->p == '\r' && rd->end - rd->p > 1 && rd->p[1] == '\n')
		rd->p++;
	rd->p++;
	rd->line++;
}

static int fail(const struct reader *rd, int code, const char *what, struct err *e)
{
	return err_set(e, code, "%s, line %zu: %s", rd->source, rd->line, what);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The four digits behind \u. Returns false when they are not there. */
static bool read_hex4(struct reader *rd, uint32_t *ret)
{
	uint32_t v = 0;

	if (rd->end - rd->p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		int d = hex_digit(rd->p[i]);

		if (d < 0)
			return false;
		v = v << 4 | (uint32_t)d;
	}
	rd->p += 4;
	*ret = v;
	return true;
}

static void add_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_char(out, (char)c);
	} else if (c < 0x800) {
		buf_char(out, (char)(0xc0 | c >> 6));
		buf_char(out, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		buf_char(out, (char)(0xe0 | c >> 12));
		buf_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_char(out, (char)(0xf0 | c >> 18));
		buf_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
		buf_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

static int read_unicode(struct reader *rd, struct buf *out, struct err *e)
{
	uint32_t c, low;

	if (!read_hex4(rd, &c))
		return fail(rd, ERR_FORMAT, "\\u without four hexadecimal digits", e);
	if (c == 0)
		return fail(rd, ERR_FORMAT, "a NUL is no text", e);
	if (c >= 0xd800 && c < 0xdc00) {
		if (rd->end - rd->p < 6 || rd->p[0] != '\\' || rd->p[1] != 'u')
			return fail(rd, ERR_FORMAT, "half a surrogate pair", e);
		rd->p += 2;
		if (!read_hex4(rd, &low) || low < 0xdc00 || low > 0xdfff)
			return fail(rd, ERR_FORMAT, "half a surrogate pair", e);
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c >= 0xdc00 && c < 0xe000) {
		return fail(rd, ERR_FORMAT, "half a surrogate pair", e);
	}
	add_utf8(out, c);
	return 0;
}

/* What stands behind a backslash: an escape, or the end of a line that goes on in the next. */
static int read_escape(struct reader *rd, struct buf *out, struct err *e)
{
	static const char from[] = "tnrf", to[] = "\t\n\r\f";
	const char *known;
	char c;

	if (rd->p == rd->end)
		return 0;
	if (is_eol(*rd->p)) {
		skip_eol(rd);
		skip_blanks(rd);
		return 0;
	}
	c = *rd->p++;
	if (c == '\0')
		return fail(rd, ERR_FORMAT, "a NUL is no text", e);
	if (c == 'u')
		return read_unicode(rd, out, e);
	known = strchr(from, c);
	buf_char(out, known ? to[known - from] : c);
	return 0;
}

/* Read up to the end of the logical line, or, for a name, up to what separates it from its value. */
static int read_part(struct reader *rd, bool is_name, struct buf *out, struct err *e)
{
	while (rd->p < rd->end && !is_eol(*rd->p)) {
		char c = *rd->p;
		int r = 0;

		if (is_name && (c == '=' || c == ':' || is_blank(c)))
			break;
		rd->p++;
		if (c == '\0')
			r = fail(rd, ERR_FORMAT, "a NUL is no text", e);
		else if (c == '\\')
			r = read_escape(rd, out, e);
		else
			buf_char(out, c);
		if (r)
			return r;
	}
	if (buf_failed(out) == ERR_LIMIT)
		return fail(rd, ERR_LIMIT,
			is_name ? "the name is too long" : "the value is too long", e);
	return buf_failed(out) ? fail(rd, buf_failed(out), "out of memory", e) : 0;
}

/* Blanks, and ends of lines that go on in the next: also where nothing stood in front, as in Java. */
static void skip_blanks_continued(struct reader *rd)
{
	skip_blanks(rd);
	while (rd->end - rd->p >= 2 && rd->p[0] == '\\' && is_eol(rd->p[1])) {
		rd->p++;
		skip_eol(rd);
		skip_blanks(rd);
	}
}

static void skip_separator(struct reader *rd)
{
	skip_blanks_continued(rd);
	if (rd->p < rd->end && (*rd->p == '=' || *rd->p == ':')) {
		rd->p++;
		skip_blanks_continued(rd);
	}
}

static int read_pair(
	struct reader *rd, struct buf *name, struct buf *value, struct props *p, struct err *e)
{
	size_t line = rd->line;
	int r;

	buf_clear(name);
	r = read_part(rd, true, name, e);
	if (r)
		return r;
	if (name->len == 0 && rd->p < rd->end && !is_eol(*rd->p))
		return fail(rd, ERR_FORMAT, "a value without a name", e);
	skip_separator(rd);
	buf_clear(value);
	r = read_part(rd, false, value, e);
	if (r || name->len == 0) /* nothing but a backslash: an empty line */
		return r;
	r = props_set(p, buf_str(name), buf_str(value), e);
	if (r)
		return err_wrap(e, "%s, line %zu", rd->source, rd->line);
	find(p, buf_str(name))->line = line;
	return 0;
}

static void skip_line(struct reader *rd)
{
	while (rd->p < rd->end && !is_eol(*rd->p))
		rd->p++;
}

int props_parse(const char *data, size_t len, const char *source, struct props *p, struct err *e)
{
	struct reader rd = {data, data + len, source, 1};
	struct err own = {0};
	struct buf name, value;
	int r = 0;

	if (len > PROPS_FILE_MAX)
		return err_set(e, ERR_LIMIT, "%s: larger than %zu bytes", source, PROPS_FILE_MAX);
	if (!e)
		e = &own;
	if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
		rd.p += 3;
	buf_init(&name, PROPS_NAME_MAX);
	buf_init(&value, PROPS_VALUE_MAX);
	while (r == 0 && rd.p < rd.end) {
		skip_blanks_continued(&rd);
		if (rd.p < rd.end && (*rd.p == '#' || *rd.p == '!'))
			skip_line(&rd);
		else if (rd.p < rd.end && !is_eol(*rd.p))
			r = read_pair(&rd, &name, &value, p, e);
		skip_eol(&rd);
	}
	if (value.data)
		explicit_bzero(value.data, value.cap);
	buf_release(&value);
	buf_release(&name);
	return r;
}

int props_read_file(const char *path, struct props *p, struct err *e)
{
	char *data = NULL;
	size_t len = 0;
	int r = paths_read_file(path, PROPS_FILE_MAX, &data, &len, e);

	if (r)
		return r;
	r = props_parse(data, len, path, p, e);
	explicit_bzero(data, len);
	free(data);
	return r;
}

/* --- the command line --- */

static int set_from_file(const char *name, const char *path, struct props *p, struct err *e)
{
	char *data = NULL;
	size_t len = 0;
	int r = paths_read_file(path, PROPS_VALUE_MAX, &data, &len, e);

	if (r)
		return e ? err_wrap(e, "property '%s'", name) : r;
	if (strlen(data) != len) {
		r = err_set(e, ERR_FORMAT, "property '%s': a NUL in file '%s'", name, path);
	} else {
		size_t keep = len;

		if (keep && data[keep - 1] == '\n')
			keep--;
		if (keep < len && keep && data[keep - 1] == '\r')
			keep--;
		data[keep] = '\0';
		r = props_set(p, name, data, e);
	}
	explicit_bzero(data, len);
	free(data);
	return r;
}

int props_parse_option(const char *text, struct props *p, struct err *e)
{
	char name[PROPS_NAME_MAX + 1];
	const char *value = strchr(text, '=');
	size_t len = value ? (size_t)(value - text) : 0;

	/* without '=' the whole text may be a secret that was pasted: not in the message */
	if (len == 0) {
		err_set(e, ERR_USAGE, "-X needs name=value");
		err_hint(e, "such as -X acks=all");
		return ERR_USAGE;
	}
	if (len > PROPS_NAME_MAX)
		return err_set(
			e, ERR_USAGE, "-X: the name is longer than %d bytes", PROPS_NAME_MAX);
	memcpy(name, text, len);
	name[len] = '\0';
	if (strpbrk(name, " \t\r\n"))
		return err_set(e, ERR_USAGE, "-X: white space in the name '%s'", name);
	value++;
	if (*value == '@')
		return set_from_file(name, value + 1, p, e);
	if (props_is_secret(name)) {
		err_set(e, ERR_USAGE, "'%s' is a secret, and a command line can be read by anybody",
			name);
		err_hint(e, "put it into a file that only you can read: -X %s=@FILE", name);
		return ERR_USAGE;
	}
	return props_set(p, name, value, e);
}

/* --- secrets --- */

bool props_is_secret(const char *name)
{
	/* anywhere in the name */
	static const char *const parts[] = {"password", "passwd", "passphrase", "secret",
		"jaas.config", "credential.value", "auth.user.info", "api.key", "apikey"};
	/* the whole of it, or its end behind a dot */
	static const char *const ends[] = {
		"token", "ssl.key.pem", "ssl_key", "ssl.keystore.key", "private.key", "pin"};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcasestr(name, parts[i]))
			return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (len >= n && strcasecmp(name + len - n, ends[i]) == 0 &&
			(len == n || name[len - n - 1] == '.'))
			return true;
	}
	return false;
}

/* "scheme://user:password@..." anywhere in a value. */
static bool has_url_password(const char *value)
{
	for (const char *p = strstr(value, "://"); p; p = strstr(p, "://")) {
		size_t colon, at;

		p += 3;
		colon = strcspn(p, ":/?# \t");
		at = strcspn(p, "@ \t"); /* a password may hold anything: better one too many */
		if (p[colon] == ':' && p[at] == '@' && colon < at)
			return true;
	}
	return false;
}

struct props *props_redacted(const struct props *p)
{
	struct props *copy = props_new();

	for (size_t i = 0; copy && i < p->n; i++) {
		const struct pair *pair = &p->pair[i];
		bool hide = *pair->value && (props_is_secret(pair->name) ||
						    strstr(pair->value, "PRIVATE KEY-----") ||
						    has_url_password(pair->value));

		if (props_set(copy, pair->name, hide ? PROPS_HIDDEN : pair->value, NULL)) {
			props_free(copy);
			return NULL;
		}
	}
	return copy;
}
