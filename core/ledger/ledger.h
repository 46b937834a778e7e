#ifndef CORE_LEDGER_LEDGER_H
#define CORE_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/hist.h"
#include "core/ledger/pg.h"

/*
 * A connection to the ledger: the embedded server, or any PostgreSQL 15 or later by URL.
 *
 * The schema is checked at open and brought up to date (forward only). Not thread-safe: one thread a
 * connection. Codes of errors are those of pg.h.
 */
struct ledger;

/* The schema that this program writes and reads. */
#define LEDGER_SCHEMA_VERSION 3

/*
 * Connect to `url` (NULL: $MQAUDIT_LEDGER, else the embedded server, which is made and started when
 * needed). Blocks: seconds at most, longer only when the embedded server is made.
 *
 * Returns 0; ERR_STATE: the ledger is of a newer schema; or the codes of pg.h and of the server.
 */
MUST_CHECK int ledger_open(const char *url, struct ledger **ret, struct err *e);

/* NULL allowed. */
void ledger_close(struct ledger *l);

/* The connection, for those who run SQL. Borrowed; stays the same over a reconnect. */
struct pg *ledger_pg(struct ledger *l);

/* Connect again if the connection is lost (starting the embedded server if that is what was lost). */
MUST_CHECK int ledger_reconnect(struct ledger *l, struct err *e);

/* Where it is, fit to be printed: no password. */
const char *ledger_where(const struct ledger *l);

/* The conninfo to hand to a child process: may hold a password. NULL: it finds the same by itself. */
const char *ledger_url(const struct ledger *l);

/* Arrays as parameters: "{1,2,3}". begin() empties b, add adds, end() gives the text (borrowed). */
void ledger_array_begin(struct buf *b);
void ledger_array_i64(struct buf *b, int64_t v);
void ledger_array_null(struct buf *b);
void ledger_array_text(struct buf *b, const char *s);
void ledger_array_time(struct buf *b, int64_t wall_ns);
const char *ledger_array_end(struct buf *b);

/* A number, or a null in its place. */
void ledger_array_i64_or_null(struct buf *b, int64_t v, bool null);

/*
 * Rows as parameters: n arrays, one for each column, to be filled in the same order with the calls above.
 * args() closes them and appends each as a parameter (borrowed until release()).
 */
#define LEDGER_COLUMNS_MAX 17
struct ledger_columns {
	struct buf b[LEDGER_COLUMNS_MAX];
	int n;
};
void ledger_columns_begin(struct ledger_columns *c, int n);
void ledger_columns_args(struct ledger_columns *c, struct pg_args *a);
void ledger_columns_release(struct ledger_columns *c);

/* A histogram as the ledger keeps it: "{bucket,count,bucket,count,...}" without the empty ones. */
void ledger_histogram_text(struct buf *b, const struct hist *h);

/* A timestamptz parameter or literal from nanoseconds since 1970; and back from the server's text
 * "extract(epoch ...)" is not needed: columns are selected with MQAUDIT's to_ns(). */
#define LEDGER_TIME_LEN 40
const char *ledger_time(int64_t wall_ns, char buf[LEDGER_TIME_LEN]);

#endif
