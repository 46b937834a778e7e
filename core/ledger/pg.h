#ifndef CORE_LEDGER_PG_H
#define CORE_LEDGER_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

/*
 * One connection to PostgreSQL: the only file that knows libpq.
 *
 * Every call that waits takes a timeout and keeps it, also when the server is frozen or the network
 * swallows packets: nothing of libpq that blocks is used, but for the look-up of a host name when a
 * TCP connection is made (the resolver's own limits hold there).
 * Not thread-safe: one thread per connection. A connection survives a fork in no way.
 *
 * What the codes mean, everywhere below:
 *     ERR_LEDGER_AWAY  no connection, or it is lost, or the server starts up, shuts down, is full
 *                      of clients, or did not answer in time: trying again later can help
 *     ERR_LEDGER       the server said no to the SQL; pg_sqlstate() tells why
 *     ERR_NOSPACE      its disk is full
 *     ERR_DENIED       wrong user, wrong or no password, no right
 *     ERR_NOMEM        out of memory on this side
 */

struct pg;
struct pg_rows;

/* What most callers should wait for an answer. */
#define PG_TIMEOUT (INT64_C(15) * 1000000000)

/* The oldest server that the ledger's SQL runs on. */
#define PG_OLDEST_MAJOR 15

#define PG_SQLSTATE_LEN 6

/* A connection that is not open yet, or NULL when out of memory. The caller frees it. */
struct pg *pg_new(void);

/* Close and free; NULL is allowed. Does not block. */
void pg_free(struct pg *pg);

/*
 * Connect to `conninfo` (a postgresql:// URL, or name=value settings), blocking up to timeout_ns.
 *
 * An open connection is closed first, so that a reconnect is one call. Where the user's settings do
 * not say otherwise, TCP connections get keepalives and a TCP user timeout, and only a server that
 * can be written to will do. The password shows in no message.
 *
 * Returns 0, ERR_USAGE (malformed), ERR_LEDGER (also: older than PG_OLDEST_MAJOR), ERR_LEDGER_AWAY,
 * ERR_DENIED or ERR_NOMEM; the connection is closed after a failure.
 */
MUST_CHECK int pg_open(struct pg *pg, const char *conninfo, int64_t timeout_ns, struct err *e);

/* Close the connection, keep the object. Does not block. */
void pg_close(struct pg *pg);

/* Is it open, as far as is known on this side? Asks nothing of the server. */
bool pg_is_open(const struct pg *pg);

/* The server's version: 150020 for 15.20; 0 when not open. */
int pg_server_version(const struct pg *pg);

/*
 * The SQLSTATE of the last call's failure; "" when it did not fail or the server had no say in it.
 * Valid until the next call.
 */
const char *pg_sqlstate(const struct pg *pg);

/*
 * Bound parameters, $1 first. Texts are borrowed until the query returns; numbers are kept inside.
 * More than PG_ARGS_MAX are a programming mistake (aborts).
 */
#define PG_ARGS_MAX 32
struct pg_args {
	int n;
	const char *value[PG_ARGS_MAX];
	char number[PG_ARGS_MAX][24];
};
#define PG_ARGS_INIT                                                                               \
	{                                                                                          \
		.n = 0                                                                             \
	}

void pg_arg_text(struct pg_args *a, const char *text); /* NULL is SQL's null */
void pg_arg_i64(struct pg_args *a, int64_t v);
void pg_arg_u64(struct pg_args *a, uint64_t v);

/*
 * Run one statement with bound parameters (args may be NULL: none), blocking up to timeout_ns.
 *
 * When the time is over the statement is cancelled, the server has PG_CANCEL_GRACE to say what came
 * of it, and the connection is closed (a late cancel must not hit the next statement). Without a
 * good answer that is ERR_LEDGER_AWAY, and a statement outside of a transaction may have been done
 * or not. All rows are held in memory: for results that stay small; else pg_query_each().
 *
 * Returns 0 with the rows in *ret_rows (may be NULL when they are not wanted), which the caller
 * frees; or a code of the list above.
 */
#define PG_CANCEL_GRACE (INT64_C(2) * 1000000000)
MUST_CHECK int pg_query(struct pg *pg, const char *sql, const struct pg_args *args,
	int64_t timeout_ns, struct pg_rows **ret_rows, struct err *e);

/*
 * As pg_query(), giving one row at a time to `each` (as row 0 of `row`, borrowed), so that memory
 * does not grow with the result. `each` returns 0 to go on; a negative code stops: the statement is
 * cancelled, the connection closed, and pg_query_each() returns that code with what `each` put into
 * e. `each` must not use pg.
 * timeout_ns is for the next row to come, not for all of them.
 */
MUST_CHECK int pg_query_each(struct pg *pg, const char *sql, const struct pg_args *args,
	int64_t timeout_ns, int (*each)(const struct pg_rows *row, void *arg, struct err *e),
	void *arg, struct err *e);

/*
 * Run statements without parameters, separated by ';', in one transaction of their own unless they
 * or the caller opened one. The same waiting and codes as pg_query().
 */
MUST_CHECK int pg_exec(struct pg *pg, const char *sql, int64_t timeout_ns, struct err *e);

/* Prepare a statement for this connection (gone with it), and run it. As pg_query(). */
MUST_CHECK int pg_prepare(
	struct pg *pg, const char *name, const char *sql, int64_t timeout_ns, struct err *e);
MUST_CHECK int pg_query_prepared(struct pg *pg, const char *name, const struct pg_args *args,
	int64_t timeout_ns, struct pg_rows **ret_rows, struct err *e);

/*
 * A transaction. pg_begin() with isolation NULL takes the server's default, else for example
 * "repeatable read".
 *
 * pg_commit() returns 0 only if the server said that it committed. After a failure,
 * pg_commit_unknown() tells whether nobody can say: the connection or the time ended between the
 * COMMIT and its answer. Otherwise the transaction was rolled back (also when the server answered
 * ROLLBACK to a COMMIT, as it does after a failed statement: ERR_LEDGER).
 *
 * pg_rollback() of a lost connection succeeds: the server rolls back by itself.
 */
MUST_CHECK int pg_begin(struct pg *pg, const char *isolation, int64_t timeout_ns, struct err *e);
MUST_CHECK int pg_commit(struct pg *pg, int64_t timeout_ns, struct err *e);
MUST_CHECK int pg_rollback(struct pg *pg, int64_t timeout_ns, struct err *e);
bool pg_commit_unknown(const struct pg *pg);

/*
 * COPY ... FROM STDIN: begin with the statement, put data in pieces of any size (text or binary, as
 * the statement says), end. Blocks when the server is slower, up to timeout_ns each; what is not
 * sent yet never exceeds one piece. After any failure the copy is over (and the transaction
 * failed). ret_rows (may be NULL) gets how many rows the server took. pg_copy_abort() ends it
 * without effect.
 */
MUST_CHECK int pg_copy_begin(struct pg *pg, const char *sql, int64_t timeout_ns, struct err *e);
MUST_CHECK int pg_copy_put(
	struct pg *pg, const void *data, size_t len, int64_t timeout_ns, struct err *e);
MUST_CHECK int pg_copy_end(struct pg *pg, int64_t timeout_ns, uint64_t *ret_rows, struct err *e);
void pg_copy_abort(struct pg *pg, const char *why, int64_t timeout_ns);

/*
 * After LISTEN: wait up to timeout_ns for the next notification. *ret_got tells whether one came;
 * then its channel and payload are in the buffers (cut to their length). Returns early, without
 * one, when a signal arrived. Returns 0, or ERR_LEDGER_AWAY when the connection is lost.
 */
MUST_CHECK int pg_wait_notify(struct pg *pg, int64_t timeout_ns, bool *ret_got, char *channel,
	size_t channel_len, char *payload, size_t payload_len, struct err *e);

/*
 * The socket, for poll(2) beside other things; -1 when not open. Borrowed: changes with pg_open().
 */
int pg_socket(const struct pg *pg);

/*
 * Rows. A row or column that is not there is a programming mistake (aborts). The text of a null is
 * "", its number 0. A number that is none, or too large, reads as 0 and is remembered:
 * pg_rows_check() tells after the last read. Texts live until pg_rows_free().
 */
int pg_rows_n(const struct pg_rows *rows);
bool pg_rows_is_null(const struct pg_rows *rows, int row, int column);
const char *pg_rows_text(const struct pg_rows *rows, int row, int column);
int64_t pg_rows_i64(const struct pg_rows *rows, int row, int column);
uint64_t pg_rows_u64(const struct pg_rows *rows, int row, int column);
bool pg_rows_bool(const struct pg_rows *rows, int row, int column);

/* How many rows an insert, update, delete or copy changed. */
uint64_t pg_rows_changed(const struct pg_rows *rows);

/* 0, or ERR_FORMAT when a number could not be read. */
MUST_CHECK int pg_rows_check(const struct pg_rows *rows, struct err *e);

/* NULL is allowed. */
void pg_rows_free(struct pg_rows *rows);

#endif
