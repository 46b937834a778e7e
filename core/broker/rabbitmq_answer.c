#include "core/broker/rabbitmq_answer.h"

#include <stdio.h>
#include <string.h>

/* A value may have quotes in it: its end is the last one, or the last one before a type. */
static const char *end_of_value(const char *value)
{
	const char *end = NULL;

	for (const char *at = value; (at = strstr(at, "' of type '")) != NULL; at++)
		end = at;
	return end ? end : strrchr(value, '\'');
}

bool rabbitmq_answer_read(const char *text, struct rabbitmq_argument *ret)
{
	static const char minds[] = "inequivalent arg '", has[] = "but current is ";
	const char *name = strstr(text, minds), *value = strstr(text, has), *end;

	if (!name || !value || sscanf(name + strlen(minds), "%63[^']", ret->name) != 1)
		return false;
	value += strlen(has);
	ret->value[0] = '\0';
	if (strncmp(value, "none", 4) == 0)
		return true;
	value = strchr(value, '\'');
	if (!value)
		return false;
	value++;
	end = end_of_value(value);
	if (!end || (size_t)(end - value) >= sizeof(ret->value))
		return false;
	memcpy(ret->value, value, (size_t)(end - value));
	ret->value[end - value] = '\0';
	return true;
}
