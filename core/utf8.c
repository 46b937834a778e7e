#include "core/utf8.h"

#include <stdint.h>

static size_t length_of(unsigned char first)
{
	if (first < 0x80)
		return first != 0;
	if (first >= 0xc2 && first < 0xe0)
		return 2;
	if (first >= 0xe0 && first < 0xf0)
		return 3;
	return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

size_t utf8_length(const char *text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	size_t n = length_of(p[0]);
	uint32_t code;

	if (n < 2)
		return n;
	code = p[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) /* the text's end, too */
			return 0;
		code = code << 6 | (p[i] & 0x3fU);
	}
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ||
		code == 0xfffe || code == 0xffff)
		return 0;
	return n;
}

char *utf8_clean(char *text)
{
	for (char *p = text; *p;) {
		size_t n = utf8_length(p);

		if (n == 0)
			*p = '?';
		p += n ? n : 1;
	}
	return text;
}
