#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include <stddef.h>

/*
 * How many bytes the character at text takes, 1 to 4; 0: no character begins there that UTF-8 and XML 1.0
 * know (a byte out of place, a form longer than needed, a surrogate, U+FFFE, U+FFFF, above U+10FFFF). The
 * text's end, NUL, is 0 too. Control characters are characters here.
 */
size_t utf8_length(const char *text);

/* Put a '?' in the place of each byte that is no part of a character. Returns text. */
char *utf8_clean(char *text);

#endif
