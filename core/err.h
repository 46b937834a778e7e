#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stddef.h>

/*
 * Errors: a code to decide by, a message for a person, a hint what to do.
 *
 * Functions that can fail return 0 or a negative code and fill a struct err that the caller owns.
 * Lower layers never print and never exit; the command layer prints an error once, with err_print().
 *
 * Messages are lower case, without a full stop, the failure first and its cause behind a colon:
 *     cannot open journal '...': No space left on device
 */

#define MUST_CHECK __attribute__((warn_unused_result))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* X(name, what it means): one line a code; err_code_text() and a test go through the list. */
#define ERR_CODES(X)                                                                               \
	X(NOMEM, "out of memory")                                                                  \
	X(USAGE, "wrong use")                                                                      \
	X(IO, "input or output failed")                                                            \
	X(NOSPACE, "no space left")                                                                \
	X(LIMIT, "a limit was reached")                                                            \
	X(TIMEOUT, "it took too long")                                                             \
	X(STOPPED, "stopped on request")                                                           \
	X(FORMAT, "malformed data")                                                                \
	X(STATE, "not possible in this state")                                                     \
	X(NOTFOUND, "not found")                                                                   \
	X(EXISTS, "it exists already")                                                             \
	X(DENIED, "not permitted")                                                                 \
	X(BROKER, "the broker refused")                                                            \
	X(BROKER_AWAY, "the broker cannot be reached")                                             \
	X(LEDGER, "the ledger refused")                                                            \
	X(LEDGER_AWAY, "the ledger cannot be reached")                                             \
	X(LOST_OWNERSHIP, "another process took over")                                             \
	X(DEFECT, "a defect of mqaudit")

enum err_code {
	ERR_OK_ = 0,
#define ERR_ENUM_(name, text) ERR_N_##name,
	ERR_CODES(ERR_ENUM_)
#undef ERR_ENUM_
		ERR_N_END_
};

enum {
#define ERR_ENUM_(name, text) ERR_##name = -(int)ERR_N_##name,
	ERR_CODES(ERR_ENUM_)
#undef ERR_ENUM_
};

struct err {
	int code;       /* 0 or a negative code */
	char msg[768];  /* what failed, and why */
	char hint[384]; /* what to do; empty when there is nothing to say */
};

/* What a code means, in a few words. Never NULL; "unknown error" for what is no code. */
const char *err_code_text(int code);

/*
 * Fill e (may be NULL) with a code and a message; clears an older hint.
 *
 * Returns code, so that a failing function can end in `return err_set(...)`. The other functions cannot
 * know a code when e is NULL, and return ERR_DEFECT then: where e may be NULL, return the code itself.
 */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* As err_set(), with ": <text of errnum>" behind. ENOSPC and EDQUOT turn the code into ERR_NOSPACE,
 * EACCES and EPERM into ERR_DENIED, ENOMEM into ERR_NOMEM. */
int err_set_errno(struct err *e, int code, int errnum, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Put "<what I was doing>: " in front of e's message. Keeps code and hint. Returns e's code. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Set the hint. Returns e's code. */
int err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Says that a result is ignored on purpose (gcc does not take a cast to void for it). */
static inline void err_ignore(int r)
{
	(void)r;
}

/* Forget an error. */
void err_clear(struct err *e);

/*
 * A broken invariant in evidence or code: print where and what, and abort, in every build.
 * A wrong verdict is worse than a crash.
 */
#define BUG(...) err_bug_(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!!(cond), 0))                                                 \
			BUG("%s", #cond);                                                          \
	} while (0)
void err_bug_(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4)
	__attribute__((noreturn));

#endif
