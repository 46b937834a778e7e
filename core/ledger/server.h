#ifndef CORE_LEDGER_SERVER_H
#define CORE_LEDGER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/paths.h"

/*
 * The embedded ledger: a private PostgreSQL below the state folder, reached by a unix socket only,
 * used when no other ledger is named. It is made and started on demand, once, however many
 * processes ask at the same time; it is stopped when nobody has used it for a minute (see
 * keeper.h).
 *
 * All of these may be called by several threads and processes. They keep no state in this process.
 */

/* How long ledger_server_ensure() waits: the first start makes the data folder. */
#define LEDGER_SERVER_TIMEOUT (INT64_C(120) * 1000000000)

/*
 * See to it that the server runs and answers; add a conninfo for pg_open() to ret_conninfo.
 *
 * The server will not be stopped for being idle in the next minute: connect within it. Whoever
 * loses the connection later calls this again, which starts a server that has died. The keeper is
 * started from this very program (or the one named by MQAUDIT_PROGRAM, for test programs): it must
 * have the command `ledger keeper`.
 *
 * Blocks up to deadline_ns (monotonic), or LEDGER_SERVER_TIMEOUT; some milliseconds when it runs
 * already. A server that takes the connection and stays silent is given up after 10 s.
 *
 * Returns 0, ERR_LEDGER_AWAY (no answer in time; it may still be starting), ERR_NOTFOUND (no
 * PostgreSQL here, or not of the data folder's version), ERR_DENIED (the state folder belongs to
 * another user, or the server's user cannot enter it), ERR_STATE (it does not run, and cannot be
 * started within this user namespace), ERR_NOSPACE, ERR_FORMAT, ERR_IO, ERR_USAGE
 * or ERR_LIMIT (the state folder's name).
 */
MUST_CHECK int ledger_server_ensure(struct buf *ret_conninfo, struct err *e);
MUST_CHECK int ledger_server_ensure_by(
	int64_t deadline_ns, struct buf *ret_conninfo, struct err *e);

/*
 * The same, and keep it running until ledger_server_stop(), also over restarts: a file `keep` says
 * so. When it cannot be started, it is not kept either.
 */
MUST_CHECK int ledger_server_start(struct buf *ret_conninfo, struct err *e);

enum ledger_server_state {
	LEDGER_SERVER_NONE, /* there is no data folder yet */
	LEDGER_SERVER_STOPPED,
	LEDGER_SERVER_STARTING, /* or stopping: a keeper is there, but no connection is to be had */
	LEDGER_SERVER_SILENT,   /* it takes connections and does not answer */
	LEDGER_SERVER_RUNNING,
	LEDGER_SERVER_N
};

struct ledger_server_status {
	enum ledger_server_state state;
	pid_t pid, keeper_pid; /* 0: not running */
	int64_t since_wall_ns; /* when it was started; 0: not running */
	uint64_t bytes;        /* of the data folder on disk */
	int64_t clients;       /* connections, without ours and the keeper's; -1: not known */
	bool kept;
	char version[64]; /* "15.20 (Debian ...)"; only "15" when not running; "" when unknown */
	char user[64];    /* as whom it runs, or would */
	char data_dir[PATHS_MAX + 20];
	char log[PATHS_MAX + 20];
	char conninfo[2 * PATHS_MAX + 400]; /* short, for psql */
};

/* "running" and the like: a constant. */
const char *ledger_server_state_text(enum ledger_server_state s);

/*
 * How it stands. Starts nothing, does not count as use; blocks for a connection, at most 3 s.
 * Returns 0, ERR_DENIED (another user's), or what a state folder's name gives.
 */
MUST_CHECK int ledger_server_status(struct ledger_server_status *ret, struct err *e);

/*
 * Stop it, fast (clients are disconnected, what they committed is kept), and wait until all its
 * processes are gone; it is not kept any more. ret_before (may be NULL) gets how it stood before.
 * Blocks for the server's checkpoint; a frozen server is thawed or, after a minute, killed.
 * Returns 0, also when there was nothing to stop; ERR_LEDGER_AWAY when it did not end.
 */
MUST_CHECK int ledger_server_stop(struct ledger_server_status *ret_before, struct err *e);

#endif
