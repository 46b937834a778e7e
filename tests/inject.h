#ifndef TESTS_INJECT_H
#define TESTS_INJECT_H

/*
 * For tests whose allocations are wrapped by the linker (their "wrap:" line names malloc, realloc and calloc at
 * least): the N-th allocation since inject_countdown was set to N fails. 0: none does.
 */
#include <stdbool.h>
#include <stddef.h>

static size_t inject_countdown;
static bool inject_failed; /* an allocation has failed; the test sets it back */

/* Is this the allocation that fails? */
static inline bool inject_is_due(void)
{
	if (inject_countdown == 0 || --inject_countdown > 0)
		return false;
	inject_failed = true;
	return true;
}

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t n)
{
	return inject_is_due() ? NULL : __real_malloc(n);
}

void *__wrap_realloc(void *p, size_t n)
{
	return inject_is_due() ? NULL : __real_realloc(p, n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return inject_is_due() ? NULL : __real_calloc(n, size);
}

#endif
