#include "scenarios/lab/template.h"

#include <string.h>

static const char *find_pair(const struct template_pair *pairs, const char *name, size_t len)
{
	for (; pairs->name; pairs++)
		if (strlen(pairs->name) == len && memcmp(pairs->name, name, len) == 0)
			return pairs->value;
	return NULL;
}

void template_fill(struct buf *b, const char *text, const struct template_pair *pairs)
{
	while (*text) {
		size_t plain = strcspn(text, "@"), len;
		const char *value;

		buf_add(b, text, plain);
		text += plain;
		if (!*text)
			break;
		len = strcspn(text + 1, "@\n");
		value = text[1 + len] == '@' ? find_pair(pairs, text + 1, len) : NULL;
		if (value) {
			buf_str_add(b, value);
			text += len + 2;
		} else {
			buf_char(b, *text++);
		}
	}
}
