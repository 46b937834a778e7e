#ifndef CORE_LEDGER_PG_TEXT_H
#define CORE_LEDGER_PG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

/* The texts around a PostgreSQL connection: conninfo, SQLSTATE, error messages. Needs no server. */

/*
 * Write a ledger URL or conninfo as it may be shown: passwords replaced by "***". Works on
 * malformed texts too, and then rather hides too much than too little. Cut to len. Returns ret.
 */
char *pg_redact_url(const char *url, char *ret, size_t len);

/*
 * Add " name='value'" to a conninfo, quoted as libpq wants it; without the blank at the beginning.
 */
void pg_conninfo_add(struct buf *conninfo, const char *name, const char *value);

/*
 * The error code that goes with a SQLSTATE: ERR_LEDGER_AWAY, ERR_NOSPACE, ERR_DENIED or ERR_LEDGER.
 * NULL and "" (the server had no say) are ERR_LEDGER_AWAY.
 */
int pg_code_of_sqlstate(const char *sqlstate);

/*
 * Take libpq's account of a failed connection apart (written with PQERRORS_VERBOSE): the first
 * SQLSTATE in it ("" when there is none) and the message, one line, without codes and source lines.
 * sqlstate has room for 6 bytes.
 */
void pg_split_connect_error(const char *text, char *sqlstate, char *ret, size_t len);

#endif
