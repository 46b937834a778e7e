#ifndef CORE_LEDGER_SERVER_INIT_H
#define CORE_LEDGER_SERVER_INIT_H

#include "core/err.h"
#include "core/ledger/server_layout.h"

/* Before the embedded server can start: its programs, its data folder, its settings. */

struct server_programs {
	char dir[PATHS_MAX]; /* has initdb and postgres */
	int major;           /* 15 */
	char version[64];    /* "15.20 (Debian 15.20-0+deb12u1)" */
};

/*
 * Find the server's programs: in the folders of $MQAUDIT_PG_PATH (for tests; patterns separated by
 * ':') if that is set, else where the distributions put them (Debian keeps them off PATH), what
 * pg_config says, and PATH. Runs each candidate's `postgres --version`; blocks for some
 * milliseconds each.
 *
 * The version is that of the data folder, if there is one, else the newest from PG_OLDEST_MAJOR on.
 *
 * Returns 0, ERR_NOTFOUND (none, or none of that version: the message names both) or ERR_FORMAT
 * (the data folder is none of PostgreSQL).
 */
MUST_CHECK int server_find_programs(
	const struct layout *l, struct server_programs *ret, struct err *e);

/*
 * Make the data folder: initdb into a folder beside it, which is renamed when it is whole.
 * Leftovers of attempts that were killed are removed first, and nothing is left after a failure.
 * Blocks for seconds. Precondition: the caller is the keeper (one at a time), and there is none
 * yet.
 *
 * Returns 0, ERR_NOSPACE, or ERR_IO with initdb's last lines.
 */
MUST_CHECK int server_init_data(
	const struct layout *l, const struct server_programs *p, struct err *e);

/* Write postgresql.conf. */
MUST_CHECK int server_write_conf(const struct layout *l, struct err *e);

#endif
