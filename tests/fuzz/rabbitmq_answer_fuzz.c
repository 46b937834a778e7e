/* needs: core/broker/rabbitmq_answer.c */
#include <stdlib.h>
#include <string.h>

#include "core/broker/rabbitmq_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What a broker says of a queue: read within its bounds, and only what it says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rabbitmq_argument a;
	char *text = malloc(len + 1);

	memcpy(text, data, len);
	text[len] = '\0';
	memset(&a, 'x', sizeof(a));
	if (rabbitmq_answer_read(text, &a)) {
		if (!a.name[0] || !memchr(a.name, '\0', sizeof(a.name)) ||
			!memchr(a.value, '\0', sizeof(a.value)))
			abort();
		if (!strstr(text, a.name) || !strstr(text, a.value))
			abort();
	}
	free(text);
	return 0;
}
