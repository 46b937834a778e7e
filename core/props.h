#ifndef CORE_PROPS_H
#define CORE_PROPS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

/*
 * An ordered list of name/value pairs: client settings from files and from -X.
 *
 * A name occurs once; setting it again replaces the value and keeps the place. Values may be secrets:
 * nothing here prints one, error messages name the property and never its value, and memory that held
 * a value is wiped when it is given back. Not thread-safe.
 */
struct props;

#define PROPS_NAME_MAX 255                  /* bytes of a name */
#define PROPS_VALUE_MAX ((size_t)256 << 10) /* bytes of a value: a chain of certificates fits */
#define PROPS_MAX 1000                      /* pairs in a list */
#define PROPS_FILE_MAX ((size_t)1 << 20)    /* bytes of a file */

/* What stands in a redacted copy where a secret was. */
#define PROPS_HIDDEN "[hidden]"

/* An empty list, or NULL when out of memory. The caller frees it. */
struct props *props_new(void);

/* NULL is allowed. */
void props_free(struct props *p);

/*
 * Set a property; a later set of the same name replaces. name and value are copied and must not be
 * memory of p itself. A name is 1 to PROPS_NAME_MAX bytes.
 *
 * Returns 0, ERR_NOMEM or ERR_LIMIT (name, value or list too long); p is unchanged on failure.
 */
MUST_CHECK int props_set(struct props *p, const char *name, const char *value, struct err *e);

/* Take a property out; a name that is not there is fine. */
void props_remove(struct props *p, const char *name);

/* The value of a name, or NULL; valid until the property is set again or removed. */
const char *props_get(const struct props *p, const char *name);

/* The line of the file that its value was read from (its first, 1 for the file's first); 0: set otherwise. */
size_t props_line(const struct props *p, const char *name);

/* How many pairs; name and value of the i-th, i < props_count() being a precondition (aborts). */
size_t props_count(const struct props *p);
const char *props_name(const struct props *p, size_t i);
const char *props_value(const struct props *p, size_t i);

/* Set everything of `from` in p, in its order. Returns as props_set(); p may be half merged then. */
MUST_CHECK int props_merge(struct props *p, const struct props *from, struct err *e);

/*
 * Read the text of a properties file into p, which may hold pairs already.
 *
 * The format is Java's: comments with # and !, `=`, `:` or white space between name and value, a
 * backslash at the end of a line continues it, escapes \t \n \r \f \uXXXX (surrogate pairs included),
 * any other escaped character stands for itself; lines end in LF, CR or CRLF, the last one need not.
 * librdkafka's `name=value` files are a subset of it, but for a literal backslash, which is written
 * twice. White space behind a value belongs to it, as in Java. A byte order mark is skipped. Bytes above
 * 127 are passed on as they are. Refused: a name that is empty or too long, a value that is too long, a
 * NUL in any form, a broken \u escape.
 *
 * data is hostile until parsed, and need not end in NUL. source names it in messages.
 * Returns 0, ERR_FORMAT (with the line), ERR_LIMIT or ERR_NOMEM; p may hold the lines before then.
 */
MUST_CHECK int props_parse(
	const char *data, size_t len, const char *source, struct props *p, struct err *e);

/* props_parse() of a file of at most PROPS_FILE_MAX bytes. ERR_NOTFOUND when there is none. */
MUST_CHECK int props_read_file(const char *path, struct props *p, struct err *e);

/*
 * Read the argument of -X: `name=value`, or `name=@FILE` for a value that is read from a file, without
 * the newline at its end. A secret is refused in the first form (ERR_USAGE, with the second as hint):
 * everybody on the machine can read a command line.
 *
 * Returns 0, ERR_USAGE, ERR_FORMAT (a NUL in the file), ERR_LIMIT, ERR_NOMEM, or what reading the file
 * gave.
 */
MUST_CHECK int props_parse_option(const char *text, struct props *p, struct err *e);

/* Does a property of this name hold a secret? Also for names that no client knows: better one too many. */
bool props_is_secret(const char *name);

/*
 * A copy for ledger, log and report: the values of secrets, private keys and URLs with a password in
 * them are PROPS_HIDDEN. NULL when out of memory. The caller frees it.
 */
struct props *props_redacted(const struct props *p);

#endif
