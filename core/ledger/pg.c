#include "core/ledger/pg.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "core/clock.h"
#include "core/ledger/pg_text.h"

#define NAME_LEN 300
#define MAX_SETTINGS 80

struct pg {
	PGconn *conn;        /* NULL: closed */
	char name[NAME_LEN]; /* the conninfo as it may be shown */
	char sqlstate[PG_SQLSTATE_LEN];
	bool commit_unknown;
	bool rolled_back; /* the last statement met its deadline and was answered by an error */
};

struct pg_rows {
	PGresult *res;
	bool malformed;
	bool borrowed; /* of pg_query_each() */
};

/* ---- the connection ---- */

struct pg *pg_new(void)
{
	return calloc(1, sizeof(struct pg));
}

void pg_close(struct pg *pg)
{
	PQfinish(pg->conn); /* the socket is in non-blocking mode: this does not wait */
	pg->conn = NULL;
}

void pg_free(struct pg *pg)
{
	if (!pg)
		return;
	pg_close(pg);
	free(pg);
}

bool pg_is_open(const struct pg *pg)
{
	return pg->conn && PQstatus(pg->conn) == CONNECTION_OK;
}

int pg_server_version(const struct pg *pg)
{
	return pg->conn ? PQserverVersion(pg->conn) : 0;
}

const char *pg_sqlstate(const struct pg *pg)
{
	return pg->sqlstate;
}

bool pg_commit_unknown(const struct pg *pg)
{
	return pg->commit_unknown;
}

int pg_socket(const struct pg *pg)
{
	return pg->conn ? PQsocket(pg->conn) : -1;
}

/*
 * Wait until the socket is ready for one of `events`. Returns 1, 0 at the deadline, or -1 with
 * errno (EINTR too: callers go round).
 */
static int wait_socket(const struct pg *pg, short events, int64_t deadline)
{
	struct pollfd fd = {.fd = PQsocket(pg->conn), .events = events};

	if (fd.fd < 0) {
		errno = ENOTCONN;
		return -1;
	}
	return poll(&fd, 1, clock_left_ms(deadline));
}

static void ignore_notice(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/*
 * Names and values for PQconnectStartParams(): what we want first, so that the user's overrule it.
 */
struct settings {
	const char *name[MAX_SETTINGS + 1];
	const char *value[MAX_SETTINGS + 1];
	int n;
};

static void settings_add(struct settings *s, const char *name, const char *value)
{
	BUG_ON(s->n >= MAX_SETTINGS);
	s->name[s->n] = name;
	s->value[s->n++] = value;
}

static void settings_defaults(struct settings *s)
{
	settings_add(s, "fallback_application_name", "mqaudit");
	settings_add(s, "client_encoding", "UTF8");
	settings_add(s, "target_session_attrs", "read-write");
	settings_add(s, "keepalives", "1");
	settings_add(s, "keepalives_idle", "10");
	settings_add(s, "keepalives_interval", "5");
	settings_add(s, "keepalives_count", "3");
	/* also bounds the connecting itself, so that the next host of a list gets its turn */
	settings_add(s, "tcp_user_timeout", "10000");
}

/* libpq repeats parts of what it could not read, maybe a password: only what stands before them. */
static int malformed(const struct pg *pg, const char *libpq_says, struct err *e)
{
	int len = libpq_says ? (int)strcspn(libpq_says, "\"\n") : 0;

	while (len > 0 && (libpq_says[len - 1] == ' ' || libpq_says[len - 1] == ':'))
		len--;
	err_set(e, ERR_USAGE, "malformed ledger URL '%s': %.*s", pg->name, len,
		len ? libpq_says : "unreadable");
	return err_hint(e, "postgresql://USER@HOST:PORT/DATABASE, or name=value settings of libpq");
}

static int start_connect(struct pg *pg, const char *conninfo, struct err *e)
{
	struct settings s = {.n = 0};
	char *why = NULL;
	PQconninfoOption *parsed = PQconninfoParse(conninfo, &why);
	int r = 0;

	if (!parsed) {
		r = malformed(pg, why, e);
		goto out;
	}
	settings_defaults(&s);
	for (PQconninfoOption *o = parsed; o->keyword; o++)
		if (o->val)
			settings_add(&s, o->keyword, o->val);
	pg->conn = PQconnectStartParams(s.name, s.value, 0);
	if (!pg->conn)
		r = err_set(e, ERR_NOMEM, "out of memory for a connection to the ledger");
out:
	PQconninfoFree(parsed);
	PQfreemem(why);
	if (r == 0) {
		/* VERBOSE brings the SQLSTATE into the message: libpq gives it no other way here */
		PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
		PQsetNoticeProcessor(pg->conn, ignore_notice, NULL);
	}
	return r;
}

/* Why connecting failed. */
static int connect_error(struct pg *pg, struct err *e)
{
	char text[400];
	int code;

	pg_split_connect_error(PQerrorMessage(pg->conn), pg->sqlstate, text, sizeof(text));
	code = pg_code_of_sqlstate(pg->sqlstate);
	if (PQconnectionNeedsPassword(pg->conn))
		code = ERR_DENIED;
	err_set(e, code, "cannot connect to ledger '%s': %s", pg->name, text);
	if (code == ERR_DENIED)
		return err_hint(e,
			"check user and password (a password file: PGPASSFILE or ~/.pgpass) and "
			"the server's pg_hba.conf");
	if (strcmp(pg->sqlstate, "3D000") == 0)
		err_hint(e, "make the database first (createdb); mqaudit makes the schema in it");
	return code;
}

static int finish_connect(struct pg *pg, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	PostgresPollingStatusType st = PGRES_POLLING_WRITING;

	if (PQstatus(pg->conn) == CONNECTION_BAD)
		return connect_error(pg, e);
	while (st != PGRES_POLLING_OK) {
		int n = wait_socket(pg, st == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);

		if (n < 0 && errno != EINTR)
			return err_set_errno(e, ERR_LEDGER_AWAY, errno,
				"cannot connect to ledger '%s'", pg->name);
		if (n == 0 && clock_ns() >= deadline)
			return err_set(e, ERR_LEDGER_AWAY,
				"cannot connect to ledger '%s': no answer within %.1f s", pg->name,
				(double)timeout_ns / 1e9);
		if (n <= 0)
			continue;
		st = PQconnectPoll(pg->conn);
		if (st == PGRES_POLLING_FAILED)
			return connect_error(pg, e);
	}
	return 0;
}

static int check_server(struct pg *pg, struct err *e)
{
	int version = PQserverVersion(pg->conn);

	if (version < PG_OLDEST_MAJOR * 10000) {
		err_set(e, ERR_LEDGER, "ledger '%s' is PostgreSQL %d.%d, and %d or later is needed",
			pg->name, version / 10000, version % 10000, PG_OLDEST_MAJOR);
		return err_hint(e, "without --ledger mqaudit starts a server of its own");
	}
	if (PQsetnonblocking(pg->conn, 1) != 0)
		return err_set(e, ERR_LEDGER_AWAY,
			"cannot make the connection to the ledger non-blocking");
	PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
	return 0;
}

int pg_open(struct pg *pg, const char *conninfo, int64_t timeout_ns, struct err *e)
{
	int r;

	pg_close(pg);
	pg->sqlstate[0] = '\0';
	pg->commit_unknown = false;
	pg_redact_url(conninfo, pg->name, sizeof(pg->name));
	r = start_connect(pg, conninfo, e);
	if (r == 0)
		r = finish_connect(pg, timeout_ns, e);
	if (r == 0)
		r = check_server(pg, e);
	if (r)
		pg_close(pg);
	return r;
}

/* ---- cancelling ---- */

/*
 * PQcancel() connects and waits without a deadline, so it gets a thread, which nobody waits for:
 * its success shows on our connection. It hangs only while the server is frozen, and ends with it.
 * Because it may strike late, the connection is never used for another statement.
 */
static void *cancel_main(void *arg)
{
	PGcancel *cancel = arg;
	char why[256];

	(void)PQcancel(cancel, why, sizeof(why));
	PQfreeCancel(cancel);
	return NULL;
}

static void cancel_statement(struct pg *pg)
{
	PGcancel *cancel = PQgetCancel(pg->conn);
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;

	if (!cancel)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the program's own threads */
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, cancel_main, cancel) != 0)
		PQfreeCancel(cancel);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- waiting for results ---- */

static int not_open(struct err *e)
{
	return err_set(e, ERR_LEDGER_AWAY, "no connection to the ledger");
}

static void first_line(const char *text, char *ret, size_t len)
{
	snprintf(ret, len, "%.*s", (int)strcspn(text, "\n"), text);
}

/* The connection ended, or libpq refused: what it says about that. Closes it when it is bad. */
static int lost(struct pg *pg, struct err *e)
{
	char why[300];
	int r;

	first_line(PQerrorMessage(pg->conn), why, sizeof(why));
	if (PQstatus(pg->conn) == CONNECTION_OK)
		return err_set(e, ERR_LEDGER, "ledger: %s", why);
	r = err_set(e, ERR_LEDGER_AWAY, "the connection to the ledger was lost: %s", why);
	pg_close(pg);
	return r;
}

/* Fill e and the SQLSTATE from a result that is an error. */
static int result_error(struct pg *pg, const PGresult *res, struct err *e)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
	char why[300];
	int code;

	snprintf(pg->sqlstate, sizeof(pg->sqlstate), "%s", state ? state : "");
	code = pg_code_of_sqlstate(state);
	first_line(primary ? primary : PQresultErrorMessage(res), why, sizeof(why));
	if (code == ERR_LEDGER_AWAY && !state)
		err_set(e, code, "the connection to the ledger was lost: %s", why);
	else
		err_set(e, code, "ledger: %s%s%.200s%s", why, detail ? " (" : "",
			detail ? detail : "", detail ? ")" : "");
	if (code == ERR_NOSPACE)
		return err_hint(
			e, "make room on the ledger's disk; nothing that was committed is lost");
	return hint ? err_hint(e, "%s", hint) : code;
}

/* Wait until PQgetResult() would not block. 0, ERR_TIMEOUT (e untouched), or as lost(). */
static int await_result(struct pg *pg, int64_t deadline, struct err *e)
{
	while (PQisBusy(pg->conn)) {
		int unsent = PQflush(pg->conn);
		int n = wait_socket(pg, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline);

		if (n < 0 && errno != EINTR)
			return lost(pg, e);
		if (n == 0 && clock_ns() >= deadline)
			return ERR_TIMEOUT;
		/*
		 * when this fails, PQgetResult() has the reason, maybe with the server's last word
		 */
		if (n > 0 && !PQconsumeInput(pg->conn))
			return 0;
	}
	return 0;
}

static bool is_failure(const PGresult *res)
{
	ExecStatusType st = PQresultStatus(res);

	return st == PGRES_FATAL_ERROR || st == PGRES_BAD_RESPONSE || st == PGRES_NONFATAL_ERROR;
}

/* What came of a statement: its last good result and its first error. */
struct answer {
	PGresult *good;
	int r;
};

/*
 * Take one result into the answer. A copy state is kept too, and ends the collecting: libpq repeats
 * it for ever. Returns true when no more is to come.
 */
static bool answer_take(struct pg *pg, struct answer *a, PGresult *res, struct err *e)
{
	if (!res)
		return true;
	if (is_failure(res)) {
		if (a->r == 0)
			a->r = result_error(pg, res, e);
		PQclear(res);
		return false;
	}
	PQclear(a->good);
	a->good = res;
	return PQresultStatus(res) == PGRES_COPY_IN || PQresultStatus(res) == PGRES_COPY_OUT;
}

static int collect_until(struct pg *pg, int64_t deadline, struct answer *a, struct err *e)
{
	for (;;) {
		int r = await_result(pg, deadline, e);

		if (r == ERR_TIMEOUT)
			return r;
		if (r) {
			a->r = r;
			return 0;
		}
		if (answer_take(pg, a, PQgetResult(pg->conn), e))
			return 0;
	}
}

static int timed_out(int64_t timeout_ns, struct err *e)
{
	return err_set(e, ERR_LEDGER_AWAY, "the ledger did not answer within %.1f s",
		(double)timeout_ns / 1e9);
}

/* The time is over: cancel, give the server a last chance to say what came of it, and close. */
static void collect_cancelled(struct pg *pg, int64_t timeout_ns, struct answer *a, struct err *e)
{
	bool silent;

	cancel_statement(pg);
	silent = collect_until(pg, clock_ns() + PG_CANCEL_GRACE, a, e) == ERR_TIMEOUT;
	if (silent || (a->r == ERR_LEDGER_AWAY && strcmp(pg->sqlstate, "57014") == 0))
		a->r = timed_out(timeout_ns, e);
	pg->rolled_back = !silent && a->r && PQstatus(pg->conn) == CONNECTION_OK;
	pg_close(pg);
}

/*
 * Collect all results of what was sent; cancel at the deadline. Returns 0 and the last good result
 * in *ret (the caller clears it), or the first error.
 */
static int collect(struct pg *pg, int64_t timeout_ns, PGresult **ret, struct err *e)
{
	struct answer a = {NULL, 0};
	int64_t deadline = clock_ns() + timeout_ns;

	if (collect_until(pg, deadline, &a, e) == ERR_TIMEOUT)
		collect_cancelled(pg, timeout_ns, &a, e);
	if (pg->conn && PQstatus(pg->conn) == CONNECTION_BAD) {
		if (a.r == 0)
			a.r = lost(pg, e);
		pg_close(pg);
	}
	if (a.r) {
		PQclear(a.good);
		a.good = NULL;
	}
	*ret = a.good;
	return a.r;
}

/* ---- statements ---- */

void pg_arg_text(struct pg_args *a, const char *text)
{
	BUG_ON(a->n >= PG_ARGS_MAX);
	a->value[a->n++] = text;
}

void pg_arg_i64(struct pg_args *a, int64_t v)
{
	BUG_ON(a->n >= PG_ARGS_MAX);
	snprintf(a->number[a->n], sizeof(a->number[0]), "%" PRId64, v);
	a->value[a->n] = a->number[a->n];
	a->n++;
}

void pg_arg_u64(struct pg_args *a, uint64_t v)
{
	BUG_ON(a->n >= PG_ARGS_MAX);
	snprintf(a->number[a->n], sizeof(a->number[0]), "%" PRIu64, v);
	a->value[a->n] = a->number[a->n];
	a->n++;
}

/* Before each statement. */
static int begin_call(struct pg *pg, struct err *e)
{
	pg->sqlstate[0] = '\0';
	pg->rolled_back = false;
	return pg->conn ? 0 : not_open(e);
}

/* Hand the result to the caller, or clear it. */
static int give_rows(PGresult *res, struct pg_rows **ret, struct err *e)
{
	struct pg_rows *rows;

	if (!ret) {
		PQclear(res);
		return 0;
	}
	rows = calloc(1, sizeof(*rows));
	if (!rows) {
		PQclear(res);
		return err_set(e, ERR_NOMEM, "out of memory for the ledger's answer");
	}
	rows->res = res;
	*ret = rows;
	return 0;
}

static int finish_query(
	struct pg *pg, int sent, int64_t timeout_ns, struct pg_rows **ret_rows, struct err *e)
{
	PGresult *res;
	int r;

	if (!sent)
		return lost(pg, e);
	r = collect(pg, timeout_ns, &res, e);
	return r ? r : give_rows(res, ret_rows, e);
}

static int send_params(struct pg *pg, const char *sql, const struct pg_args *args)
{
	return PQsendQueryParams(
		pg->conn, sql, args ? args->n : 0, NULL, args ? args->value : NULL, NULL, NULL, 0);
}

int pg_query(struct pg *pg, const char *sql, const struct pg_args *args, int64_t timeout_ns,
	struct pg_rows **ret_rows, struct err *e)
{
	int r = begin_call(pg, e);

	return r ? r : finish_query(pg, send_params(pg, sql, args), timeout_ns, ret_rows, e);
}

int pg_exec(struct pg *pg, const char *sql, int64_t timeout_ns, struct err *e)
{
	int r = begin_call(pg, e);

	return r ? r : finish_query(pg, PQsendQuery(pg->conn, sql), timeout_ns, NULL, e);
}

int pg_prepare(struct pg *pg, const char *name, const char *sql, int64_t timeout_ns, struct err *e)
{
	int r = begin_call(pg, e);

	return r ? r
		 : finish_query(
			   pg, PQsendPrepare(pg->conn, name, sql, 0, NULL), timeout_ns, NULL, e);
}

int pg_query_prepared(struct pg *pg, const char *name, const struct pg_args *args,
	int64_t timeout_ns, struct pg_rows **ret_rows, struct err *e)
{
	int r = begin_call(pg, e);

	if (r)
		return r;
	r = PQsendQueryPrepared(
		pg->conn, name, args ? args->n : 0, args ? args->value : NULL, NULL, NULL, 0);
	return finish_query(pg, r, timeout_ns, ret_rows, e);
}

/* One result of single-row mode. Returns 0 to go on, 1 at the end, or an error. */
static int take_row(struct pg *pg, PGresult *res,
	int (*each)(const struct pg_rows *row, void *arg, struct err *e), void *arg, struct err *e)
{
	struct pg_rows row = {.res = res, .borrowed = true};

	if (!res)
		return 1;
	if (is_failure(res))
		return result_error(pg, res, e);
	return PQresultStatus(res) == PGRES_SINGLE_TUPLE ? each(&row, arg, e) : 0;
}

int pg_query_each(struct pg *pg, const char *sql, const struct pg_args *args, int64_t timeout_ns,
	int (*each)(const struct pg_rows *row, void *arg, struct err *e), void *arg, struct err *e)
{
	int r = begin_call(pg, e);

	if (r)
		return r;
	if (!send_params(pg, sql, args) || !PQsetSingleRowMode(pg->conn))
		return lost(pg, e);
	while (r == 0) {
		PGresult *res = NULL;

		r = await_result(pg, clock_ns() + timeout_ns, e);
		if (r == ERR_TIMEOUT)
			r = timed_out(timeout_ns, e);
		if (r == 0) {
			res = PQgetResult(pg->conn);
			r = take_row(pg, res, each, arg, e);
		}
		PQclear(res);
	}
	if (r == 1)
		return 0;
	if (pg->conn && pg->sqlstate[0] && PQstatus(pg->conn) == CONNECTION_OK) {
		PGresult *rest = NULL; /* the server ended it by itself */

		(void)collect(pg, timeout_ns, &rest, NULL);
		PQclear(rest);
	} else if (pg->conn) {
		cancel_statement(pg);
		pg_close(pg);
	}
	return r;
}

/* ---- transactions ---- */

int pg_begin(struct pg *pg, const char *isolation, int64_t timeout_ns, struct err *e)
{
	char sql[80];

	pg->commit_unknown = false;
	snprintf(sql, sizeof(sql), "begin%s%s", isolation ? " isolation level " : "",
		isolation ? isolation : "");
	return pg_exec(pg, sql, timeout_ns, e);
}

int pg_commit(struct pg *pg, int64_t timeout_ns, struct err *e)
{
	PGresult *res;
	int r = begin_call(pg, e);

	pg->commit_unknown = false;
	if (r)
		return r;
	if (!PQsendQuery(pg->conn, "commit")) {
		/* a part of it may be on its way */
		r = lost(pg, e);
		pg->commit_unknown = !pg->conn;
		return r;
	}
	r = collect(pg, timeout_ns, &res, e);
	if (r) {
		/* with the session still there, the server's error is an answer: rolled back */
		pg->commit_unknown = !pg_is_open(pg) && !pg->rolled_back;
		return r;
	}
	if (strcmp(PQcmdStatus(res), "COMMIT") != 0)
		r = err_set(
			e, ERR_LEDGER, "ledger: the transaction had failed and was rolled back");
	PQclear(res);
	return r;
}

int pg_rollback(struct pg *pg, int64_t timeout_ns, struct err *e)
{
	int r;

	if (!pg_is_open(pg) || PQtransactionStatus(pg->conn) == PQTRANS_IDLE)
		return 0;
	r = pg_exec(pg, "rollback", timeout_ns, e);
	return pg_is_open(pg) ? r : 0;
}

/* ---- copy ---- */

int pg_copy_begin(struct pg *pg, const char *sql, int64_t timeout_ns, struct err *e)
{
	PGresult *res;
	int r = begin_call(pg, e);

	if (r)
		return r;
	if (!PQsendQuery(pg->conn, sql))
		return lost(pg, e);
	r = collect(pg, timeout_ns, &res, e);
	if (r)
		return r;
	if (PQresultStatus(res) != PGRES_COPY_IN)
		r = err_set(e, ERR_DEFECT, "not a COPY FROM STDIN: %.60s", sql);
	PQclear(res);
	return r;
}

/* Send until libpq holds nothing back. What the server says meanwhile (an error) is read too. */
static int flush(struct pg *pg, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;

	while (PQflush(pg->conn) > 0) {
		int n = wait_socket(pg, POLLIN | POLLOUT, deadline);

		if (n == 0 && clock_ns() >= deadline) {
			pg_close(pg);
			return timed_out(timeout_ns, e);
		}
		if (n < 0 && errno != EINTR)
			return lost(pg, e);
		if (n > 0 && !PQconsumeInput(pg->conn))
			return lost(pg, e);
	}
	return 0;
}

/* A put or end that libpq refused: the server ended the copy with an error, or is gone. */
static int copy_failed(struct pg *pg, int64_t timeout_ns, struct err *e)
{
	PGresult *res = NULL;
	int r;

	if (PQstatus(pg->conn) == CONNECTION_BAD)
		return lost(pg, e);
	r = collect(pg, timeout_ns, &res, e);
	PQclear(res);
	return r ? r : err_set(e, ERR_LEDGER, "ledger: it ended the copy");
}

int pg_copy_put(struct pg *pg, const void *data, size_t len, int64_t timeout_ns, struct err *e)
{
	const char *p = data;

	if (!pg->conn)
		return not_open(e);
	while (len > 0) {
		/* pieces that fit libpq's int, and keep its buffer small */
		int part = len > (size_t)1 << 20 ? 1 << 20 : (int)len;
		int r = PQputCopyData(pg->conn, p, part);

		if (r < 0)
			return copy_failed(pg, timeout_ns, e);
		if (r > 0) {
			p += part;
			len -= (size_t)part;
		}
		r = flush(pg, timeout_ns, e);
		if (r)
			return r;
	}
	return 0;
}

/* Send the end, with a reason for an abort, also when libpq's buffer is full just now. */
static int send_copy_end(struct pg *pg, const char *why, int64_t timeout_ns, struct err *e)
{
	int sent;

	while ((sent = PQputCopyEnd(pg->conn, why)) == 0) {
		int r = flush(pg, timeout_ns, e);

		if (r)
			return r;
	}
	return sent < 0 ? copy_failed(pg, timeout_ns, e) : 0;
}

int pg_copy_end(struct pg *pg, int64_t timeout_ns, uint64_t *ret_rows, struct err *e)
{
	struct pg_rows rows = {.borrowed = true};
	int r = begin_call(pg, e);

	if (r)
		return r;
	r = send_copy_end(pg, NULL, timeout_ns, e);
	if (r)
		return r;
	r = collect(pg, timeout_ns, &rows.res, e);
	if (r)
		return r;
	if (ret_rows)
		*ret_rows = pg_rows_changed(&rows);
	PQclear(rows.res);
	return 0;
}

void pg_copy_abort(struct pg *pg, const char *why, int64_t timeout_ns)
{
	PGresult *res = NULL;

	if (!pg->conn || send_copy_end(pg, why, timeout_ns, NULL) != 0)
		return;
	(void)collect(pg, timeout_ns, &res, NULL);
	PQclear(res);
}

/* ---- notifications ---- */

static void take_notify(
	PGnotify *n, char *channel, size_t channel_len, char *payload, size_t payload_len)
{
	snprintf(channel, channel_len, "%s", n->relname);
	snprintf(payload, payload_len, "%s", n->extra ? n->extra : "");
	PQfreemem(n);
}

int pg_wait_notify(struct pg *pg, int64_t timeout_ns, bool *ret_got, char *channel,
	size_t channel_len, char *payload, size_t payload_len, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	int r = begin_call(pg, e);

	*ret_got = false;
	while (r == 0) {
		PGnotify *n = PQnotifies(pg->conn);
		int ready;

		if (n) {
			take_notify(n, channel, channel_len, payload, payload_len);
			*ret_got = true;
			return 0;
		}
		ready = wait_socket(pg, POLLIN, deadline);
		if ((ready < 0 && errno == EINTR) || (ready == 0 && clock_ns() >= deadline))
			return 0;
		if (ready < 0 || (ready > 0 && !PQconsumeInput(pg->conn)))
			r = lost(pg, e);
	}
	return r;
}

/* ---- rows ---- */

int pg_rows_n(const struct pg_rows *rows)
{
	return PQntuples(rows->res);
}

static void check_place(const struct pg_rows *rows, int row, int column)
{
	if (row < 0 || row >= PQntuples(rows->res) || column < 0 || column >= PQnfields(rows->res))
		BUG("no row %d, column %d in an answer of %d x %d", row, column,
			PQntuples(rows->res), PQnfields(rows->res));
}

bool pg_rows_is_null(const struct pg_rows *rows, int row, int column)
{
	check_place(rows, row, column);
	return PQgetisnull(rows->res, row, column);
}

const char *pg_rows_text(const struct pg_rows *rows, int row, int column)
{
	check_place(rows, row, column);
	return PQgetvalue(rows->res, row, column);
}

/* Remembered in rows that are const to their readers: it is about the reading, not the rows. */
static void remember_malformed(const struct pg_rows *rows)
{
	((struct pg_rows *)(uintptr_t)rows)->malformed = true;
}

int64_t pg_rows_i64(const struct pg_rows *rows, int row, int column)
{
	const char *text = pg_rows_text(rows, row, column);
	char *end;
	long long v;

	if (pg_rows_is_null(rows, row, column))
		return 0;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0')
		return v;
	remember_malformed(rows);
	return 0;
}

uint64_t pg_rows_u64(const struct pg_rows *rows, int row, int column)
{
	const char *text = pg_rows_text(rows, row, column);
	char *end;
	unsigned long long v;

	if (pg_rows_is_null(rows, row, column))
		return 0;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0')
		return v;
	remember_malformed(rows);
	return 0;
}

bool pg_rows_bool(const struct pg_rows *rows, int row, int column)
{
	return pg_rows_text(rows, row, column)[0] == 't';
}

uint64_t pg_rows_changed(const struct pg_rows *rows)
{
	return strtoull(PQcmdTuples(rows->res), NULL, 10);
}

int pg_rows_check(const struct pg_rows *rows, struct err *e)
{
	if (!rows->malformed)
		return 0;
	return err_set(e, ERR_FORMAT, "the ledger answered with text where a number was expected");
}

void pg_rows_free(struct pg_rows *rows)
{
	if (!rows)
		return;
	BUG_ON(rows->borrowed);
	PQclear(rows->res);
	free(rows);
}
