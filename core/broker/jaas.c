#include "core/broker/jaas.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "core/buf.h"

#define WORD_MAX ((size_t)8192)

/* A word could not be used: because it is not there, or because there was no room for it. */
static int malformed(const struct buf *word, const char *what, struct err *e)
{
	if (buf_failed(word))
		return err_set(e, buf_failed(word), "sasl.jaas.config: a word of it: %s",
			err_code_text(buf_failed(word)));
	err_set(e, ERR_USAGE, "sasl.jaas.config is malformed: %s", what);
	err_hint(e, "it looks like: some.LoginModule required username=\"u\" password=\"p\";");
	return ERR_USAGE;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n\f");
}

static char unescaped(char c)
{
	static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
	const char *known = strchr(from, c);

	return known ? to[known - from] : c;
}

/* Read a bare or quoted word at *p. Returns false when there is none, or its quote is not closed. */
static bool read_word(const char **p, struct buf *word)
{
	const char *s = skip_blanks(*p);
	char quote = *s;

	buf_clear(word);
	if (quote == '"' || quote == '\'') {
		for (s++; *s && *s != quote; s++) {
			if (*s == '\\' && s[1])
				buf_char(word, unescaped(*++s));
			else
				buf_char(word, *s);
		}
		if (!*s)
			return false;
		*p = s + 1;
		return true;
	}
	*p = s + strcspn(s, " \t\r\n\f=;\"'");
	buf_add(word, s, (size_t)(*p - s));
	return *p > s;
}

static bool is_control_flag(const char *word)
{
	static const char *const flags[] = {"required", "requisite", "sufficient", "optional"};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcasecmp(word, flags[i]) == 0)
			return true;
	return false;
}

static int read_head(const char **p, struct buf *word, char module[JAAS_MODULE_LEN], struct err *e)
{
	if (!read_word(p, word) || word->len == 0 || word->len >= JAAS_MODULE_LEN ||
		buf_failed(word))
		return malformed(word, "it does not begin with a class name", e);
	memcpy(module, buf_str(word), word->len + 1);
	if (!read_word(p, word) || !is_control_flag(buf_str(word)))
		return malformed(word, "the class name is not followed by 'required'", e);
	return 0;
}

static int read_option(
	const char **p, struct buf *name, struct buf *value, struct props *options, struct err *e)
{
	if (!read_word(p, name) || name->len == 0 || buf_failed(name))
		return malformed(name, "an option has no name", e);
	*p = skip_blanks(*p);
	if (**p != '=')
		return malformed(name, "an option has no '='", e);
	++*p;
	if (!read_word(p, value) || buf_failed(value))
		return malformed(value, "an option has no value, or its quote is not closed", e);
	return props_set(options, buf_str(name), buf_str(value), e);
}

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_release(b);
}

int jaas_parse(const char *text, char module[JAAS_MODULE_LEN], struct props *options, struct err *e)
{
	const char *p = text;
	struct buf name, value;
	int r;

	buf_init(&name, WORD_MAX);
	buf_init(&value, WORD_MAX);
	r = read_head(&p, &name, module, e);
	for (p = skip_blanks(p); r == 0 && *p && *p != ';'; p = skip_blanks(p))
		r = read_option(&p, &name, &value, options, e);
	if (r == 0 && *p != ';')
		r = malformed(&name, "there is no ';' at its end", e);
	if (r == 0 && *skip_blanks(p + 1))
		r = malformed(&name, "there is something behind the ';'", e);
	wipe(&name);
	wipe(&value);
	return r;
}
