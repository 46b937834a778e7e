#include "scenarios/lab/lab_event.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/ledger/lab_events.h"
#include "core/ledger/server.h"

#define LINE_LIMIT 4096

static void add_text(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, ",\"%s\":", name);
	buf_json_str(b, value);
}

static void append(const char *path, const struct buf *line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	ssize_t n;

	if (fd < 0)
		return;
	n = write(fd, buf_str(line), line->len);
	(void)n; /* see the header */
	close(fd);
}

/* Into the ledger as well, if one runs: it is not started for this. The checker takes the file otherwise. */
static void ship(const struct lab *lab)
{
	struct ledger_server_status status;
	const char *url = getenv("MQAUDIT_LEDGER");
	struct ledger *l = NULL;
	struct err e;

	if ((!url || !*url) &&
		(ledger_server_status(&status, &e) || status.state != LEDGER_SERVER_RUNNING))
		return;
	if (ledger_open(NULL, &l, &e) == 0) {
		if (lab->cluster)
			err_ignore(lab_events_link(l, lab->name, lab->file->bootstrap, &e));
		err_ignore(lab_events_import(l, lab->name, lab->kind->name, &e));
	}
	ledger_close(l);
}

void lab_event(struct lab *lab, const char *kind, const char *subject, const char *detail,
	enum lab_event_edge edge)
{
	static const char *const edges[] = {"instant", "begin", "end"};
	char path[PATHS_MAX + 16];
	struct buf line;

	buf_init(&line, LINE_LIMIT);
	buf_printf(&line, "{\"wall_ns\":%lld", (long long)clock_wall_ns());
	add_text(&line, "lab", lab->name);
	add_text(&line, "broker", lab->kind->name);
	add_text(&line, "kind", kind);
	add_text(&line, "subject", subject);
	add_text(&line, "detail", detail);
	add_text(&line, "edge", edges[edge]);
	buf_str_add(&line, "}\n");
	snprintf(path, sizeof(path), "%s/events.jsonl", lab->folder);
	if (buf_failed(&line) == 0)
		append(path, &line);
	if (edge != LAB_EVENT_INSTANT)
		ship(lab);
	buf_release(&line);
}
