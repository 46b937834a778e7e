#include "core/ledger/server.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/ledger/pg.h"
#include "core/ledger/server_layout.h"
#include "core/proc.h"

#define PROBE_TIMEOUT (10 * NS_PER_S)
#define STATUS_TIMEOUT (3 * NS_PER_S)
#define STOP_TIMEOUT (100 * NS_PER_S) /* longer than the keeper takes with a stubborn server */
#define MAX_STARTS 3

/* ---- looking for it ---- */

/* What a connection attempt says of the server. */
enum answer { ANSWER_YES, ANSWER_NOT_YET, ANSWER_SILENT, ANSWER_ERROR };

static enum answer probe(const char *conninfo, struct pg *pg, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	int r;

	r = pg_open(pg, conninfo, timeout_ns, e);
	if (r == 0 || strcmp(pg_sqlstate(pg), "53300") == 0) /* full of clients: it runs */
		return ANSWER_YES;
	if (r == ERR_LEDGER_AWAY && clock_ns() >= deadline)
		return ANSWER_SILENT;
	/* 3D000: the database is created just after the first start */
	if (r == ERR_LEDGER_AWAY || strcmp(pg_sqlstate(pg), "3D000") == 0)
		return ANSWER_NOT_YET;
	return ANSWER_ERROR;
}

static int64_t left(int64_t deadline_ns, int64_t at_most)
{
	int64_t ns = deadline_ns - clock_ns();

	return ns > at_most ? at_most : ns > 0 ? ns : 0;
}

/* ---- starting the keeper ---- */

/* The keeper's word of failure, or 0 when it said nothing. */
static int keeper_said(const struct buf *out, struct err *e)
{
	struct err said;

	if (out->len == 0)
		return 0;
	if (out->len != sizeof(said))
		return err_set(e, ERR_IO, "the ledger's keeper did not start: %.*s",
			(int)strcspn(buf_str(out), "\n"), buf_str(out));
	memcpy(&said, out->data, sizeof(said));
	said.msg[sizeof(said.msg) - 1] = said.hint[sizeof(said.hint) - 1] = '\0';
	if (e)
		*e = said;
	return said.code < 0 ? said.code : ERR_IO;
}

/* Start a keeper and wait until its server answers, or it says why not. */
static int start_keeper(int64_t deadline_ns, struct err *e)
{
	char program[PATHS_MAX + 100];
	const char *const argv[] = {program, "ledger", "keeper", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf out;
	int code = 0, r;

	proc_own_program(program, sizeof(program));
	spec.argv = argv;
	spec.cwd = "/";
	spec.new_session = true;
	spec.until_closed = true; /* the keeper's word comes from a daemon that it becomes */
	buf_init(&out, BUF_MAX_DEFAULT);
	r = proc_run(&spec, NULL, true, left(deadline_ns, INT64_MAX), &out, &code, e);
	if (r == ERR_TIMEOUT)
		r = err_set(e, ERR_LEDGER_AWAY,
			"the ledger's server has not finished starting; it may still do so");
	else if (r == 0)
		r = keeper_said(&out, e);
	if (r == 0 && code != 0)
		r = err_set(e, ERR_IO, "the ledger's keeper ended with %d", code);
	buf_release(&out);
	return r;
}

static int silent(const struct layout *l, struct err *e)
{
	struct server_pids pids;

	layout_read_pids(l, &pids);
	err_set(e, ERR_LEDGER_AWAY,
		"the ledger's server (process %d) takes connections and does not answer",
		(int)pids.postmaster);
	return err_hint(e, "is it stopped (SIGSTOP), or its disk? 'mqaudit ledger stop' ends it");
}

/* Under the lock: find it running, or start it, or wait for a keeper that is just doing so. */
static int find_or_start(const struct layout *l, const char *conninfo, struct pg *pg,
	int64_t deadline_ns, struct err *e)
{
	int64_t nap = 5 * NS_PER_MS;
	int starts = 0;

	for (;;) {
		enum answer a = probe(conninfo, pg, left(deadline_ns, PROBE_TIMEOUT), e);

		if (a == ANSWER_YES)
			return 0;
		if (a == ANSWER_ERROR)
			return e->code;
		if (a == ANSWER_SILENT)
			return silent(l, e);
		if (clock_ns() >= deadline_ns)
			return err_wrap(e, "the ledger's server does not come up");
		if (layout_keeper_lives(l)) {
			clock_sleep_ns(nap);
			nap = nap < 100 * NS_PER_MS ? nap * 2 : nap;
		} else if (starts++ == MAX_STARTS) {
			return err_wrap(e, "the ledger's server ends as soon as it is started");
		} else if (start_keeper(deadline_ns, e)) {
			return e->code;
		}
	}
}

static int take_lock(const struct layout *l, int64_t deadline_ns, int *ret_fd, struct err *e)
{
	int r = paths_lock(l->lock, left(deadline_ns, INT64_MAX), ret_fd, e);

	if (r == ERR_TIMEOUT)
		return err_set(e, ERR_LEDGER_AWAY,
			"another process is busy with starting or stopping the ledger's server");
	if (r == ERR_DENIED)
		return err_hint(
			e, "it belongs to another user: set MQAUDIT_STATE to a folder of your own");
	return r;
}

/*
 * keep: also make the file `keep`, under the same lock, so that a stop at the same time is whole.
 */
static int ensure(int64_t deadline_ns, bool keep, struct buf *ret_conninfo, struct err *e)
{
	struct layout l;
	struct pg *pg = NULL;
	char conninfo[LAYOUT_CONNINFO_MAX];
	struct err own;
	int fd = -1, r;

	if (!e)
		e = &own;
	r = layout_init(&l, e);
	if (r == 0)
		r = layout_make(&l, e);
	if (r == 0)
		r = take_lock(&l, deadline_ns, &fd, e);
	if (r)
		goto out;
	pg = pg_new();
	if (!pg) {
		r = err_set(e, ERR_NOMEM, "out of memory");
		goto out;
	}
	layout_conninfo(&l, LAYOUT_DATABASE, "mqaudit", conninfo);
	r = layout_touch(&l, e);
	if (r == 0)
		r = find_or_start(&l, conninfo, pg, deadline_ns, e);
	if (r == 0 && keep)
		r = paths_write_file(l.keep, "", 0, e);
	if (r == 0)
		buf_str_add(ret_conninfo, conninfo);
out:
	pg_free(pg);
	if (fd >= 0) {
		layout_give_back(&l);
		close(fd);
	}
	return r;
}

int ledger_server_ensure_by(int64_t deadline_ns, struct buf *ret_conninfo, struct err *e)
{
	return ensure(deadline_ns, false, ret_conninfo, e);
}

int ledger_server_ensure(struct buf *ret_conninfo, struct err *e)
{
	return ensure(clock_ns() + LEDGER_SERVER_TIMEOUT, false, ret_conninfo, e);
}

int ledger_server_start(struct buf *ret_conninfo, struct err *e)
{
	return ensure(clock_ns() + LEDGER_SERVER_TIMEOUT, true, ret_conninfo, e);
}

/* ---- status ---- */

const char *ledger_server_state_text(enum ledger_server_state s)
{
	static const char *const texts[] = {
		[LEDGER_SERVER_NONE] = "not made",
		[LEDGER_SERVER_STOPPED] = "stopped",
		[LEDGER_SERVER_STARTING] = "starting",
		[LEDGER_SERVER_SILENT] = "silent",
		[LEDGER_SERVER_RUNNING] = "running",
	};

	return (unsigned)s < LEDGER_SERVER_N ? texts[s] : "?";
}

static uint64_t folder_bytes(const char *path)
{
	char *paths[] = {(char *)(uintptr_t)path, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	uint64_t bytes = 0;
	FTSENT *ent;

	while (fts && (ent = fts_read(fts)) != NULL)
		if (ent->fts_info != FTS_DP && ent->fts_info != FTS_NS && ent->fts_info != FTS_ERR)
			bytes += (uint64_t)ent->fts_statp->st_blocks * 512;
	if (fts)
		fts_close(fts);
	return bytes;
}

static int ask_server(struct pg *pg, struct ledger_server_status *st, struct err *e)
{
	static const char sql[] = "select current_setting('server_version'),"
				  "       (select count(*) from pg_catalog.pg_stat_activity"
				  "         where backend_type = 'client backend'"
				  "           and application_name <> '" LAYOUT_SERVICE "')";
	struct pg_rows *rows = NULL;
	int r = pg_query(pg, sql, NULL, STATUS_TIMEOUT, &rows, e);

	if (r)
		return r;
	snprintf(st->version, sizeof(st->version), "%s", pg_rows_text(rows, 0, 0));
	st->clients = pg_rows_i64(rows, 0, 1);
	pg_rows_free(rows);
	return 0;
}

static void data_version(const struct layout *l, struct ledger_server_status *st)
{
	char path[PATHS_MAX + 40], *text = NULL;

	snprintf(path, sizeof(path), "%s/PG_VERSION", l->data);
	if (paths_read_file(path, 100, &text, NULL, NULL) == 0)
		snprintf(st->version, sizeof(st->version), "%.*s", (int)strcspn(text, "\n"), text);
	free(text);
}

static enum ledger_server_state find_state(
	const struct layout *l, struct ledger_server_status *st, struct err *e)
{
	struct pg *pg = pg_new();
	enum ledger_server_state state = LEDGER_SERVER_STOPPED;
	char conninfo[LAYOUT_CONNINFO_MAX];

	if (!pg)
		return LEDGER_SERVER_SILENT;
	layout_conninfo(l, LAYOUT_SERVICE_DATABASE, LAYOUT_SERVICE, conninfo);
	switch (probe(conninfo, pg, STATUS_TIMEOUT, e)) {
	case ANSWER_YES: /* also without a connection for us: full of clients */
		state = LEDGER_SERVER_RUNNING;
		if (pg_is_open(pg) && ask_server(pg, st, e) != 0)
			state = LEDGER_SERVER_SILENT;
		break;
	case ANSWER_SILENT:
		state = LEDGER_SERVER_SILENT;
		break;
	case ANSWER_NOT_YET:
	case ANSWER_ERROR:
		if (layout_keeper_lives(l) || proc_alive(st->pid, 0))
			state = LEDGER_SERVER_STARTING;
		else if (!layout_has_data(l))
			state = LEDGER_SERVER_NONE;
		break;
	}
	pg_free(pg);
	return state;
}

static void fill_status(const struct layout *l, struct ledger_server_status *st)
{
	struct server_pids pids;
	struct err e = {0};

	memset(st, 0, sizeof(*st));
	st->clients = -1;
	snprintf(st->user, sizeof(st->user), "%s", l->user);
	snprintf(st->data_dir, sizeof(st->data_dir), "%s", l->data);
	snprintf(st->log, sizeof(st->log), "%s", l->log);
	layout_conninfo(l, LAYOUT_DATABASE, NULL, st->conninfo);
	layout_read_pids(l, &pids);
	if (proc_alive(pids.postmaster, pids.postmaster_start)) {
		st->pid = pids.postmaster;
		st->since_wall_ns = pids.since_wall_ns;
	}
	if (proc_alive(pids.keeper, pids.keeper_start))
		st->keeper_pid = pids.keeper;
	st->kept = access(l->keep, F_OK) == 0;
	data_version(l, st);
	st->state = find_state(l, st, &e);
	st->bytes = folder_bytes(l->data);
}

int ledger_server_status(struct ledger_server_status *ret, struct err *e)
{
	struct layout l;
	int r = layout_init(&l, e);

	if (r)
		return r;
	if (access(l.dir, R_OK | X_OK) != 0 && errno != ENOENT) {
		err_set_errno(
			e, ERR_DENIED, errno, "cannot look into the ledger's folder '%s'", l.dir);
		return err_hint(e, "it may belong to another user: set MQAUDIT_STATE to your own");
	}
	fill_status(&l, ret);
	return 0;
}

/* ---- stopping ---- */

/* Signal both, thawing what is frozen; the keeper stops the server and ends after it. */
static void ask_to_stop(const struct server_pids *pids, bool by_keeper)
{
	pid_t pid = by_keeper ? pids->keeper : pids->postmaster;
	uint64_t start = by_keeper ? pids->keeper_start : pids->postmaster_start;

	proc_signal(pid, start, by_keeper ? SIGTERM : SIGINT);
	proc_signal(pid, start, SIGCONT);
}

/*
 * Wait until neither keeper nor postmaster is there. Without a keeper, the postmaster is asked by
 * us.
 */
static int wait_gone(const struct layout *l, struct err *e)
{
	int64_t deadline = clock_ns() + STOP_TIMEOUT;
	pid_t asked = 0;

	for (;;) {
		struct server_pids pids;
		bool by_keeper = layout_keeper_lives(l), postmaster;

		layout_read_pids(l, &pids);
		postmaster = proc_alive(pids.postmaster, pids.postmaster_start);
		if (!by_keeper && !postmaster)
			return 0;
		if (asked != (by_keeper ? pids.keeper : pids.postmaster)) {
			asked = by_keeper ? pids.keeper : pids.postmaster;
			ask_to_stop(&pids, by_keeper);
		}
		if (clock_ns() >= deadline)
			return err_set(e, ERR_LEDGER_AWAY,
				"the ledger's server (process %d) does not end",
				(int)pids.postmaster);
		clock_sleep_ns(10 * NS_PER_MS);
	}
}

int ledger_server_stop(struct ledger_server_status *ret_before, struct err *e)
{
	struct ledger_server_status before;
	struct layout l;
	int fd = -1, r;

	r = ledger_server_status(&before, e);
	if (r == 0)
		r = layout_init(&l, e);
	if (r)
		return r;
	if (ret_before)
		*ret_before = before;
	if (access(l.dir, F_OK) != 0)
		return 0; /* there never was one */
	r = take_lock(&l, clock_ns() + LEDGER_SERVER_TIMEOUT, &fd, e);
	if (r)
		return r;
	if (unlink(l.keep) != 0 && errno != ENOENT)
		r = err_set_errno(e, ERR_IO, errno, "cannot remove '%s'", l.keep);
	if (r == 0)
		r = wait_gone(&l, e);
	layout_give_back(&l);
	close(fd);
	return r;
}
