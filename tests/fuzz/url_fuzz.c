/* needs: core/url.c core/buf.c core/err.c */
#include <stdlib.h>
#include <string.h>

#include "core/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read as a destination comes back from its own text the same, host by host. */
static void check_read(const struct url *u)
{
	static char text[URL_PRINT_LEN];
	char host[URL_HOST_LEN];
	struct url again;
	struct err e;
	uint16_t port;

	url_text(u, text, sizeof(text));
	if (url_parse(text, &again, &e) != 0 || memcmp(u, &again, sizeof(again)) != 0)
		abort();
	for (size_t i = 0; i < u->n_hosts; i++) {
		url_host(u, i, host, sizeof(host), &port);
		if (port == 0 || !*host)
			abort();
	}
	if (!u->name[0] || (u->n_hosts == 0) != (u->lab[0] != '\0'))
		abort();
	if (u->scheme == URL_KAFKA && !url_topic_ok(u->name))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	struct url u;
	struct err e = {0};
	int r;

	memcpy(text, data, len);
	text[len] = '\0';
	r = url_parse(text, &u, &e);
	if (r == 0)
		check_read(&u);
	else if (r != ERR_USAGE || e.code != ERR_USAGE || !e.msg[0])
		abort();
	free(text);
	return 0;
}
