#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/*
 * A growing string of bytes with a stated maximum; always NUL-terminated.
 *
 * Adding never fails at once: when memory or the maximum is exceeded, the buffer remembers it, later
 * adds do nothing, and buf_failed() tells. So a text can be built without a check a line.
 */
struct buf {
	char *data; /* NULL until the first add; use buf_str() */
	size_t len; /* bytes, without the NUL */
	size_t cap;
	size_t max; /* len never exceeds it */
	int failed; /* 0, ERR_NOMEM or ERR_LIMIT */
};

#define BUF_MAX_DEFAULT ((size_t)256 << 20)

/* An empty buffer that may grow to max bytes. Allocates nothing. */
void buf_init(struct buf *b, size_t max);

/* Give the memory back; b may be used again after buf_init(). */
void buf_release(struct buf *b);

/* Empty it, keep memory and maximum, forget a failure. */
void buf_clear(struct buf *b);

void buf_add(struct buf *b, const void *data, size_t len);
void buf_str_add(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* Fast decimal. */
void buf_i64(struct buf *b, int64_t v);
void buf_u64(struct buf *b, uint64_t v);

/* A JSON string: quotes around s, and what must be escaped escaped. s is UTF-8. */
void buf_json_str(struct buf *b, const char *s);

/* One word of a shell's command, in single quotes, whatever is in it. */
void buf_shell_word(struct buf *b, const char *s);

/* The text so far, "" when empty; valid until the next add. */
const char *buf_str(const struct buf *b);

/* 0, ERR_NOMEM or ERR_LIMIT. */
MUST_CHECK int buf_failed(const struct buf *b);

/* The text as a malloc'ed string that the caller frees; NULL when buf_failed(). b is empty then. */
char *buf_take(struct buf *b);

#endif
