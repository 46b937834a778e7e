#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/paths.h"
#include "scenarios/lab/proxy.h"

#define FILE_MAX ((size_t)4096)

int proxy_status_write(const char *path, const struct proxy_status *s, struct err *e)
{
	char partial[PATHS_MAX + 8];
	bool good;
	FILE *f;

	snprintf(partial, sizeof(partial), "%s.part", path);
	f = fopen(partial, "we");
	if (!f)
		return err_set_errno(e, ERR_IO, errno, "cannot write '%s'", partial);
	good = fprintf(f,
		       "port %d\nconnections %" PRIu64 "\nframes %" PRIu64 " %" PRIu64
		       "\nbytes %" PRIu64 " %" PRIu64 "\nhits %" PRIu64 "\nheld %" PRIu64
		       "\ndelayed %" PRIu64 "\nlast %s\n",
		       s->port, s->connections, s->frames[PROXY_REQUESTS], s->frames[PROXY_ANSWERS],
		       s->bytes[PROXY_REQUESTS], s->bytes[PROXY_ANSWERS], s->hits, s->held,
		       s->delayed, s->last) > 0;
	good = fclose(f) == 0 && good;
	if (good && rename(partial, path) == 0)
		return 0;
	return err_set_errno(e, ERR_IO, errno, "cannot write '%s'", path);
}

int proxy_status_read(const char *path, struct proxy_status *ret, struct err *e)
{
	char *text = NULL;
	int r = paths_read_file(path, FILE_MAX, &text, NULL, e), at = -1;

	memset(ret, 0, sizeof(*ret));
	if (r)
		return r;
	if (sscanf(text,
		    "port %d connections %" SCNu64 " frames %" SCNu64 " %" SCNu64 " bytes %" SCNu64
		    " %" SCNu64 " hits %" SCNu64 " held %" SCNu64 " delayed %" SCNu64 " last%n",
		    &ret->port, &ret->connections, &ret->frames[PROXY_REQUESTS],
		    &ret->frames[PROXY_ANSWERS], &ret->bytes[PROXY_REQUESTS],
		    &ret->bytes[PROXY_ANSWERS], &ret->hits, &ret->held, &ret->delayed, &at) != 9 ||
		at < 0 || text[at] != ' ')
		r = err_set(e, ERR_FORMAT, "'%s' is no status of a proxy", path);
	else
		snprintf(ret->last, sizeof(ret->last), "%.*s", (int)strcspn(text + at + 1, "\n"),
			text + at + 1);
	free(text);
	return r;
}
