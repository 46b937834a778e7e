#include "scenarios/lab/mountinfo.h"

#include <stdio.h>
#include <string.h>

#define MAX_LINE 4096
#define MOUNT_POINT 4 /* the fifth field */

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

void mountinfo_unescape(char *field)
{
	char *to = field;

	while (*field) {
		if (field[0] == '\\' && is_octal(field[1]) && is_octal(field[2]) &&
			is_octal(field[3])) {
			*to++ = (char)((field[1] - '0') << 6 | (field[2] - '0') << 3 |
				       (field[3] - '0'));
			field += 4;
		} else {
			*to++ = *field++;
		}
	}
	*to = '\0';
}

/* Copy the n-th field behind p, unescaped. Returns false when there is none, or no room. */
static bool take_field(const char *p, int n, char *ret, size_t len)
{
	size_t size;

	for (int i = 0; i < n; i++) {
		p += strcspn(p, " ");
		if (*p != ' ')
			return false;
		p++;
	}
	size = strcspn(p, " ");
	if (size == 0 || size >= len)
		return false;
	memcpy(ret, p, size);
	ret[size] = '\0';
	mountinfo_unescape(ret);
	return true;
}

static bool parse(const char *line, const char *path, struct mountinfo *ret)
{
	char at[MAX_LINE];
	const char *rest = strstr(line, " - ");

	if (!rest || !take_field(line, MOUNT_POINT, at, sizeof(at)) || strcmp(at, path) != 0)
		return false;
	return take_field(rest + 3, 0, ret->type, sizeof(ret->type)) &&
	       take_field(rest + 3, 1, ret->source, sizeof(ret->source)) &&
	       take_field(rest + 3, 2, ret->options, sizeof(ret->options));
}

bool mountinfo_find(const char *text, const char *path, struct mountinfo *ret)
{
	struct mountinfo one;
	char line[MAX_LINE];
	bool found = false;

	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len < sizeof(line)) {
			memcpy(line, text, len);
			line[len] = '\0';
			if (parse(line, path, &one)) {
				found = true;
				if (ret)
					*ret = one;
			}
		}
		text += len;
		text += *text == '\n';
	}
	return found;
}

bool mountinfo_has_option(const struct mountinfo *mount, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = mount->options; *p;) {
		size_t n = strcspn(p, ",");

		if (n == len && strncmp(p, word, len) == 0)
			return true;
		p += n;
		p += *p == ',';
	}
	return false;
}
