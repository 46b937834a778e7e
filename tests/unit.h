#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

/* What cmocka.h needs in front of it, and what every unit test uses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/err.h"

/* Fails when the text does not hold the part. */
#define assert_contains(text, part)                                                                \
	do {                                                                                       \
		if (!strstr(text, part))                                                           \
			fail_msg("no '%s' in '%s'", part, text);                                   \
	} while (0)

#define assert_not_contains(text, part)                                                            \
	do {                                                                                       \
		if (strstr(text, part))                                                            \
			fail_msg("'%s' in '%s'", part, text);                                      \
	} while (0)

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
