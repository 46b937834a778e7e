#include "core/ledger/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/ledger/pg.h"
#include "core/ledger/server_init.h"
#include "core/ledger/server_layout.h"
#include "core/proc.h"
#include "core/units.h"
#include "core/words.h"

#define LOCK_TIMEOUT (10 * NS_PER_S)
#define OLD_SERVER_TIMEOUT (60 * NS_PER_S) /* for the processes of an earlier server to end */
#define OPEN_TIMEOUT (2 * NS_PER_S)
#define ASK_TIMEOUT (5 * NS_PER_S)
#define FAST_TIMEOUT (60 * NS_PER_S) /* a fast stop writes a checkpoint */
#define IMMEDIATE_TIMEOUT (10 * NS_PER_S)
#define LOG_MAX ((off_t)1 << 20)
#define TAIL_MAX 4096

struct keeper {
	struct layout l;
	struct server_programs programs;
	struct server_pids pids;
	struct pg *pg;
	sigset_t signals; /* blocked; taken by wait_signal() */
	int lock_fd;      /* keeper.lock */
	int64_t idle_ns;
	int64_t busy_at;      /* when it was seen in use last */
	int64_t sessions;     /* ever made, as the server counts them */
	struct timespec used; /* the time of the file `used`, as last seen */
	off_t log_from;       /* where this start's lines begin in server.log */
	bool stop;            /* SIGTERM or SIGINT came */
	bool running;         /* the postmaster was started and not reaped yet */
	int status;           /* its wait status, when reaped */
};

/* ---- waiting ---- */

/* Reap what ended: the postmaster, and server processes that lost it (we are their reaper). */
static void reap(struct keeper *k)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != k->pids.postmaster)
			continue;
		k->running = false;
		k->status = status;
	}
}

/* Wait for a signal, at most ns: a child ended, or we shall stop. */
static void wait_signal(struct keeper *k, int64_t ns)
{
	struct timespec ts = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
	int sig = sigtimedwait(&k->signals, NULL, &ts);

	if (sig == SIGTERM || sig == SIGINT)
		k->stop = true;
	reap(k);
}

/* ---- the log ---- */

static void say(struct keeper *k, const char *text)
{
	char line[300], when[CLOCK_ISO_LEN];
	int fd = open(k->l.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
	int n = snprintf(line, sizeof(line), "%s keeper: %s\n",
		clock_iso(clock_wall_ns(), when, sizeof(when)), text);

	if (fd < 0)
		return;
	if (write(fd, line, (size_t)n) < 0) {
		/* the log is a help, not a duty */
	}
	close(fd);
}

/* The last bytes of server.log from `from` on, at most max; the caller frees. NULL: nothing. */
static char *read_log(const struct keeper *k, off_t from, size_t max, size_t *ret_len)
{
	int fd = open(k->l.log, O_RDONLY | O_CLOEXEC);
	off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	char *text = NULL;
	ssize_t n = -1;

	if (end - from > (off_t)max)
		from = end - (off_t)max;
	if (end > from)
		text = malloc((size_t)(end - from) + 1);
	if (text)
		n = pread(fd, text, (size_t)(end - from), from);
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	*ret_len = (size_t)n;
	return text;
}

/*
 * Keep the log small: its end goes to server.log.1, and it is cut. The server appends, so it goes
 * on at the new end; lines of the very moment between are lost.
 */
static void trim_log(struct keeper *k)
{
	struct stat st;
	size_t len = 0;
	char *text;

	if (stat(k->l.log, &st) != 0 || st.st_size <= LOG_MAX)
		return;
	text = read_log(k, 0, (size_t)LOG_MAX, &len);
	if (text && paths_write_file(k->l.old_log, text, len, NULL) == 0 &&
		truncate(k->l.log, 0) == 0)
		k->log_from = 0;
	free(text);
}

/* ---- starting ---- */

static bool is_retryable(const char *text)
{
	/* an earlier postmaster, or processes that outlive it, are just about to end */
	return strstr(text, "pre-existing shared memory block") ||
	       strstr(text, "lock file \"postmaster.pid\" already exists");
}

/* The postmaster ended while starting: its words from the log. ERR_STATE: worth trying again. */
static int start_error(struct keeper *k, struct err *e)
{
	size_t len = 0;
	char *text = read_log(k, k->log_from, TAIL_MAX, &len);
	const char *why = text ? strstr(text, "FATAL:") : NULL;
	int code = ERR_IO;

	if (text && !why)
		why = strstr(text, "PANIC:");
	if (text && !why)
		why = text;
	if (why && is_retryable(why))
		code = ERR_STATE;
	else if (why && strstr(why, "No space left"))
		code = ERR_NOSPACE;
	err_set(e, code, "the ledger's server did not start (status %d): %.*s", k->status,
		why ? (int)strcspn(why, "\n") : 0, why ? why : "");
	err_hint(e, "see '%s'", k->l.log);
	free(text);
	return code;
}

static int start_postmaster(struct keeper *k, struct err *e)
{
	char program[PATHS_MAX + 20], conf[PATHS_MAX + 60];
	const char *const argv[] = {program, "-D", k->l.data, "-c", conf, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct stat st;
	int r;

	snprintf(program, sizeof(program), "%s/postgres", k->programs.dir);
	snprintf(conf, sizeof(conf), "config_file=%s", k->l.conf);
	spec.argv = argv;
	spec.cwd = "/";
	spec.output_file = k->l.log;
	spec.uid = k->l.uid;
	spec.gid = k->l.gid;
	spec.new_session = true;
	spec.death_signal = SIGINT;
	k->log_from = stat(k->l.log, &st) == 0 ? st.st_size : 0;
	r = proc_start(&spec, &k->pids.postmaster, e);
	if (r)
		return r;
	k->running = true;
	k->pids.postmaster_start = proc_start_time(k->pids.postmaster);
	k->pids.since_wall_ns = clock_wall_ns();
	return layout_write_pids(&k->l, &k->pids, e);
}

/* Our own connection, to the database that is always there. */
static int open_own(struct keeper *k, struct err *e)
{
	char conninfo[LAYOUT_CONNINFO_MAX];

	if (pg_is_open(k->pg))
		return 0;
	layout_conninfo(&k->l, LAYOUT_SERVICE_DATABASE, LAYOUT_SERVICE, conninfo);
	return pg_open(k->pg, conninfo, OPEN_TIMEOUT, e);
}

/* Wait until the server takes connections, however long it recovers from a crash. */
static int wait_ready(struct keeper *k, struct err *e)
{
	int64_t nap = 10 * NS_PER_MS;

	for (;;) {
		int r;

		wait_signal(k, nap);
		if (!k->running)
			return start_error(k, e);
		if (k->stop)
			return err_set(
				e, ERR_STOPPED, "the ledger's server was stopped while it started");
		r = open_own(k, e);
		if (r != ERR_LEDGER_AWAY)
			return r;
		if (nap < 200 * NS_PER_MS)
			nap += nap / 2;
	}
}

static int ensure_database(struct keeper *k, struct err *e)
{
	static const char ask[] = "select 1 from pg_catalog.pg_database where datname = $1";
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r, n = 0;

	pg_arg_text(&args, LAYOUT_DATABASE);
	r = pg_query(k->pg, ask, &args, ASK_TIMEOUT, &rows, e);
	if (r == 0)
		n = pg_rows_n(rows);
	pg_rows_free(rows);
	if (r == 0 && n == 0)
		r = pg_exec(k->pg, "create database " LAYOUT_DATABASE, FAST_TIMEOUT, e);
	return r;
}

/*
 * The postmaster of a keeper that was killed is being stopped by the kernel's signal: wait for it.
 */
static int wait_old_server(struct keeper *k, struct err *e)
{
	int64_t deadline = clock_ns() + OLD_SERVER_TIMEOUT;
	struct server_pids old;

	layout_read_pids(&k->l, &old);
	while (proc_alive(old.postmaster, old.postmaster_start) && !k->stop) {
		if (clock_ns() >= deadline)
			return err_set(e, ERR_LEDGER_AWAY,
				"an earlier server of this ledger, process %d, does not end",
				(int)old.postmaster);
		wait_signal(k, 20 * NS_PER_MS);
	}
	return 0;
}

static int start_until_ready(struct keeper *k, struct err *e)
{
	int64_t deadline = clock_ns() + OLD_SERVER_TIMEOUT;
	int r;

	do {
		r = start_postmaster(k, e);
		if (r == 0)
			r = wait_ready(k, e);
	} while (r == ERR_STATE && clock_ns() < deadline);
	return r == 0 ? ensure_database(k, e) : r;
}

/* What the server needs of our environment; not what may be secret in it (it is another user's). */
static void clear_environment(void)
{
	static const char *const kept[] = {"PATH", "LD_LIBRARY_PATH"};
	char *values[2];

	for (size_t i = 0; i < 2; i++) {
		const char *v = getenv(kept[i]);

		values[i] = v ? strdup(v) : NULL;
	}
	clearenv();
	setenv("LC_ALL", "C", 1);
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < 2; i++) {
		if (values[i])
			setenv(kept[i], values[i], 1);
		free(values[i]);
	}
}

static int keeper_start(struct keeper *k, struct err *e)
{
	const char *idle = getenv("MQAUDIT_LEDGER_IDLE");
	int r = units_parse_duration(idle && *idle ? idle : KEEPER_IDLE, &k->idle_ns, e);

	if (r)
		return err_wrap(e, "MQAUDIT_LEDGER_IDLE");
	r = layout_init(&k->l, e);
	if (r == 0)
		r = paths_lock(k->l.keeper_lock, LOCK_TIMEOUT, &k->lock_fd, e);
	if (r)
		return r;
	r = wait_old_server(k, e);
	if (r == 0)
		r = layout_check_user(&k->l, e);
	if (r == 0)
		r = layout_make(&k->l, e); /* again: an ending keeper removes the socket's folder */
	if (r == 0)
		r = server_find_programs(&k->l, &k->programs, e);
	k->pids.keeper = getpid();
	k->pids.keeper_start = proc_start_time(getpid());
	if (r == 0)
		r = layout_write_pids(&k->l, &k->pids, e);
	clear_environment();
	if (r == 0 && !layout_has_data(&k->l))
		r = server_init_data(&k->l, &k->programs, e);
	if (r == 0)
		r = server_write_conf(&k->l, e);
	return r ? r : start_until_ready(k, e);
}

/* ---- stopping ---- */

static bool wait_stopped(struct keeper *k, int64_t timeout_ns)
{
	int64_t deadline = clock_ns() + timeout_ns;

	while (k->running && clock_ns() < deadline)
		wait_signal(k, 50 * NS_PER_MS);
	return !k->running;
}

static void stop_server(struct keeper *k, int sig)
{
	static const struct {
		int sig;
		int64_t timeout_ns;
	} steps[] = {
		{SIGINT, FAST_TIMEOUT}, {SIGQUIT, IMMEDIATE_TIMEOUT}, {SIGKILL, IMMEDIATE_TIMEOUT}};
	bool begun = false;

	pg_close(k->pg);
	for (size_t i = 0; k->running && i < sizeof(steps) / sizeof(steps[0]); i++) {
		begun |= steps[i].sig == sig;
		if (!begun)
			continue;
		kill(k->pids.postmaster, steps[i].sig);
		kill(k->pids.postmaster, SIGCONT); /* it may be frozen */
		wait_stopped(k, steps[i].timeout_ns);
	}
}

/* Signal our children: server processes whose postmaster died, which we inherited. */
static void signal_children(int sig)
{
	char path[80], *text = NULL, *save = NULL;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	if (paths_read_file(path, 1 << 16, &text, NULL, NULL) != 0)
		return;
	for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save))
		if ((int)strtol(p, NULL, 10) > 1)
			kill((int)strtol(p, NULL, 10), sig);
	free(text);
}

/*
 * End what is left of the server: they would keep its shared memory, and a new one from starting.
 */
static void end_children(struct keeper *k)
{
	int64_t deadline = clock_ns() + IMMEDIATE_TIMEOUT;
	int sig = SIGQUIT;

	signal_children(sig);
	while (waitpid(-1, NULL, WNOHANG) >= 0 || errno == EINTR) {
		if (clock_ns() >= deadline) {
			sig = SIGKILL;
			signal_children(sig);
		}
		wait_signal(k, 20 * NS_PER_MS);
	}
}

/* ---- watching ---- */

/*
 * Is anybody connected, or was since we looked last (sessions too short to be seen)? When the
 * server does not answer, nobody knows, and it counts as used.
 */
static bool has_clients(struct keeper *k)
{
	static const char ask[] =
		"select (select count(*) from pg_catalog.pg_stat_activity"
		"         where backend_type = 'client backend'"
		"           and application_name <> '" LAYOUT_SERVICE "'),"
		"       (select sum(sessions)::int8 from pg_catalog.pg_stat_database"
		"         where datname <> '" LAYOUT_SERVICE_DATABASE "')";
	struct pg_rows *rows = NULL;
	int64_t sessions;
	bool busy;

	if (open_own(k, NULL) != 0 || pg_query(k->pg, ask, NULL, ASK_TIMEOUT, &rows, NULL) != 0)
		return true;
	sessions = pg_rows_i64(rows, 0, 1);
	busy = pg_rows_i64(rows, 0, 0) > 0 || sessions != k->sessions;
	k->sessions = sessions;
	pg_rows_free(rows);
	return busy;
}

/* In use: a client, somebody asked for the server, or it is to be kept. */
static bool in_use(struct keeper *k)
{
	bool busy = has_clients(k) || access(k->l.keep, F_OK) == 0;
	struct stat st;

	if (stat(k->l.used, &st) == 0 &&
		(st.st_mtim.tv_sec != k->used.tv_sec || st.st_mtim.tv_nsec != k->used.tv_nsec)) {
		k->used = st.st_mtim;
		busy = true;
	}
	return busy;
}

/*
 * Stop it if it is still unused once nobody can be about to use it: who needs it holds the lock
 * while looking for it. The lock is held until it is gone.
 */
static void stop_idle(struct keeper *k)
{
	int fd;

	if (paths_lock(k->l.lock, 0, &fd, NULL) != 0)
		return;
	if (in_use(k)) {
		k->busy_at = clock_ns();
	} else {
		say(k, "nobody uses the server: stopping it");
		stop_server(k, SIGINT);
	}
	close(fd);
}

/* Somebody removed the ledger's folder under us. */
static bool folder_is_gone(const struct keeper *k)
{
	struct stat st;

	return fstat(k->lock_fd, &st) != 0 || st.st_nlink == 0;
}

static void watch(struct keeper *k)
{
	int64_t tick = k->idle_ns / 8;

	if (tick > NS_PER_S)
		tick = NS_PER_S;
	if (tick < 20 * NS_PER_MS)
		tick = 20 * NS_PER_MS;
	k->busy_at = clock_ns();
	while (k->running) {
		wait_signal(k, tick);
		if (!k->running)
			return;
		if (k->stop || folder_is_gone(k)) {
			stop_server(k, k->stop ? SIGINT : SIGQUIT);
			return;
		}
		trim_log(k);
		if (in_use(k))
			k->busy_at = clock_ns();
		else if (clock_ns() - k->busy_at >= k->idle_ns)
			stop_idle(k);
	}
}

/* ---- the process ---- */

static void take_signals(struct keeper *k)
{
	sigset_t hangup;

	sigemptyset(&k->signals);
	sigaddset(&k->signals, SIGTERM);
	sigaddset(&k->signals, SIGINT);
	sigaddset(&k->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &k->signals, NULL);
	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hangup, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* Tell who waits on the pipe how it went, and let go of it. */
static void report(const struct err *e)
{
	int null;

	if (e && write(STDOUT_FILENO, e, sizeof(*e)) < 0) {
		/* nobody waits any more */
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	close(null);
}

static void say_how_it_ended(struct keeper *k)
{
	char text[100];

	if (WIFSIGNALED(k->status))
		snprintf(text, sizeof(text), "the server ended by signal %d", WTERMSIG(k->status));
	else
		snprintf(text, sizeof(text), "the server ended with %d", WEXITSTATUS(k->status));
	say(k, text);
}

int keeper_main(void)
{
	struct keeper k = {.lock_fd = -1};
	struct err e = {0};
	pid_t pid;
	int r;

	close_range(STDERR_FILENO + 1, ~0U, 0);
	pid = fork();
	if (pid > 0)
		_exit(0);
	umask(022);
	take_signals(&k);
	k.pg = pg_new();
	r = pid < 0 ? err_set_errno(&e, ERR_IO, errno, "cannot fork the ledger's keeper")
	    : k.pg  ? keeper_start(&k, &e)
		    : err_set(&e, ERR_NOMEM, "out of memory");
	if (r)
		stop_server(&k, SIGINT);
	else
		report(NULL);
	if (r == 0)
		watch(&k);
	end_children(&k);
	if (r == 0 && !folder_is_gone(&k))
		say_how_it_ended(&k);
	if (k.lock_fd >= 0) {
		layout_remove_socket(&k.l);
		layout_give_back(&k.l);
		close(k.lock_fd);
	}
	if (r) /* after the lock is free, so that the reader may try again */
		report(&e);
	pg_free(k.pg);
	return r ? EXIT_ERROR : EXIT_PASS;
}
