#ifndef CORE_STATUS_H
#define CORE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/*
 * What a probe or a checker says of itself while it works: for the live progress, on this process's
 * terminal or, through a pipe, on that of the `run` that started both. One line a report.
 */

struct status_probe {
	char run[121];  /* the run's name; "" before it is known */
	char phase[24]; /* connecting, sending, blocked, flushing, shipping, done */
	uint64_t intended, acked, unconfirmed, refused, unknown, outstanding;
	double rate; /* outcomes per second, lately */
	int64_t p50_ns, p99_ns;
	uint64_t backlog; /* journal records that wait for the ledger */
	bool ledger_away;
	uint64_t disconnects;
};

struct status_check {
	char phase[24]; /* reading, fence, settle, sweep, judging, done */
	uint64_t read, distinct, lost, duplicated, reordered, corrupted, missing;
	uint64_t behind; /* records between the position and the log's end */
	bool ledger_away;
	bool broker_away;
};

/* What a status line of a child says. */
enum status_kind {
	STATUS_NONE,
	STATUS_PROBE,
	STATUS_CHECK,
	STATUS_FOUND,
	STATUS_BREAKS,
	STATUS_SAID
};

/* One line with its newline, added to out. */
void status_probe_line(const struct status_probe *s, struct buf *out);
void status_check_line(const struct status_check *s, struct buf *out);

/* A finding that just came up, as the text that people see; breaks: it breaks the promise. */
void status_found_line(bool breaks, const char *text, struct buf *out);

/*
 * Read a line (without its newline) that one of the functions above wrote. For STATUS_FOUND, and
 * STATUS_BREAKS when the finding breaks the promise, the text is in text (cut to len); for STATUS_SAID it
 * is what log_relay() takes. Unknown words are passed over; a line that is none of ours is STATUS_NONE.
 */
enum status_kind status_parse(const char *line, struct status_probe *probe,
	struct status_check *check, char *text, size_t len);

/*
 * The progress block for a terminal, up to three lines; probe or check may be NULL. title is the first
 * line's text (run, destination, promise); since_ns how long it has been going.
 */
void status_render(const char *title, int64_t since_ns, const struct status_probe *probe,
	const struct status_check *check, struct buf *out);

/* The same in one line, for logs. */
void status_render_line(
	const struct status_probe *probe, const struct status_check *check, struct buf *out);

#endif
