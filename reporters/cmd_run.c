#include "reporters/cmd_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/ledger/run.h"
#include "core/log.h"
#include "core/paths.h"
#include "core/proc.h"
#include "core/status.h"
#include "core/stop.h"
#include "core/words.h"
#include "reporters/cmd_report.h"

#define MAX_ROWS 100
#define SHOW_NS (200 * NS_PER_MS)
#define PLAIN_LINE_NS (5 * NS_PER_S)
#define MAX_CHECK_STARTS 4 /* the first, and three more when it is killed */
#define RECOVER_TIMEOUT (120 * NS_PER_S)
#define END_TIMEOUT (40 * NS_PER_S) /* longer than the probe waits for outcomes after Ctrl-C */

static struct opt rows[MAX_ROWS];
static size_t probe_size, check_size;

static int run_run(struct cmdline *cl);

static bool has_row(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].name, name) == 0)
			return true;
	return false;
}

/* Where a row of that group goes: behind the group's last one, or to the end. */
static size_t place_of(const char *group, size_t n)
{
	for (size_t i = n; i > 0; i--)
		if (strcmp(rows[i - 1].group, group) == 0)
			return i;
	return n;
}

/*
 * Take over a table's rows, each with its group; their values lie `shift` bytes further. What is hidden in
 * the children's tables is between them and us.
 */
static size_t take_rows(const struct opt *from, bool with_hidden, size_t shift, size_t n)
{
	const char *group = "Options";
	size_t at;

	for (; from->name; from++) {
		if (from->group)
			group = from->group;
		if ((from->hidden && !with_hidden) || has_row(from->name, n))
			continue;
		if (n + 1 >= MAX_ROWS)
			BUG("more than %d options", MAX_ROWS);
		at = place_of(group, n);
		memmove(&rows[at + 1], &rows[at], (n - at) * sizeof(*rows));
		rows[at] = *from;
		rows[at].offset += shift;
		rows[at].group = group;
		n++;
	}
	return n;
}

/* A group is named at its first row only. */
static void name_groups(size_t n)
{
	const char *last = "";

	for (size_t i = 0; i < n; i++) {
		if (strcmp(last, rows[i].group) == 0)
			rows[i].group = NULL;
		else
			last = rows[i].group;
	}
}

/* The options that are run's own, behind those of probe and check. */
struct own_opts {
	struct report_opts report;
	const char *status_file;
};

static const struct opt own_rows[] = {
	REPORT_OPTS(struct own_opts, report),
	{.name = "status-file",
		.type = OPT_STRING,
		.arg = "FILE",
		.offset = offsetof(struct own_opts, status_file),
		.hidden = true,
		.help = "Write there, five times a second, what probe and checker say of themselves."},
	{.name = NULL},
};

struct command run_command(const struct command *probe, const struct command *check)
{
	size_t n;

	/* three structs behind one another, each aligned as malloc() would */
	probe_size = (probe->opts_size + 15) / 16 * 16;
	check_size = (check->opts_size + 15) / 16 * 16;
	n = take_rows(probe->opts, false, 0, 0);
	n = take_rows(check->opts, false, probe_size, n);
	n = take_rows(own_rows, true, probe_size + check_size, n);
	name_groups(n);
	rows[n].name = NULL;
	return (struct command){
		.name = "run",
		.args = "URL",
		.summary = "probe and check together, with live progress and a report: the "
			   "everyday command",
		.description =
			"Sends messages and reads them back at the same time, says live what is "
			"missing or "
			"repeated, and ends with the report; the exit code is the verdict's: 0 "
			"pass, 1 findings "
			"that break the promise, 3 error, 4 undecided or no data. Ctrl-C ends the "
			"sending in "
			"order and judges; twice ends at once. When the probe is killed, what its "
			"journal knew is "
			"shipped and judged; when the checker is killed, it is started again.\n\n"
			"URL is kafka://host:port[,host:port...]/topic, or kafka://lab/topic for "
			"the running lab.",
		.examples = "  # is acks=all safe while somebody restarts brokers?\n"
			    "  mqaudit run kafka://localhost:9092/audit --create-topic 12:3 -r 1k "
			    "-d 10m -X acks=all\n",
		.opts = rows,
		.opts_size = probe_size + check_size + sizeof(struct own_opts),
		.min_args = 1,
		.max_args = 1,
		.run = run_run,
	};
}

/* ---- children -------------------------------------------------------------------------------- */

struct child {
	pid_t pid;     /* 0: not running */
	int status_fd; /* our end of the pipe; -1 */
	bool ended;
	int exit_code; /* when it ended by itself */
	int signal;    /* when it was killed; else 0 */
	char line[8192];
	size_t line_len;
};

struct everyday {
	struct cmdline *cl;
	const char *url;
	struct child probe, check;
	struct status_probe probe_status;
	struct status_check check_status;
	bool has_check_status;
	int check_starts;
	bool probe_heeded;                         /* its end */
	bool probe_interrupted, check_interrupted; /* by us */
	bool hopeless; /* some of the run's starts will not end: the check is not to wait for them
			*/
	int64_t started_ns, next_show_ns, next_line_ns;
};

/* Where the value of one of our options lies. */
static const void *option(const struct everyday *d, const char *name)
{
	for (size_t i = 0; rows[i].name; i++)
		if (strcmp(rows[i].name, name) == 0)
			return (const char *)d->cl->opts + rows[i].offset;
	BUG("no option '%s'", name);
}

static const char *option_text(const struct everyday *d, const char *name)
{
	return *(const char *const *)option(d, name);
}

static const struct command *command_of(const struct cmdline *cl, const char *name)
{
	for (size_t i = 0; i < cl->n_all; i++)
		if (strcmp(cl->all[i].name, name) == 0)
			return &cl->all[i];
	BUG("no command '%s'", name);
}

/*
 * The command line of a child: this program again, with what was given to us. run: NULL, or the
 * run's name in place of what was given. *ret is the caller's, its texts are those of args and the
 * others.
 */
static const char **child_argv(const struct everyday *d, const char *program, char **args,
	size_t n_args, const char *status_fd, const char *run, const char *url)
{
	const char **argv = calloc(n_args + 8, sizeof(*argv));
	size_t n = 0;

	if (!argv)
		return NULL;
	argv[n++] = program;
	for (size_t i = 0; i < n_args; i++)
		if (!run || strncmp(args[i], "--run=", 6) != 0)
			argv[n++] = args[i];
	argv[n++] = status_fd;
	if (run)
		argv[n++] = run;
	if (d->cl->quiet)
		argv[n++] = "--quiet";
	if (d->cl->verbose)
		argv[n++] = "--verbose";
	argv[n++] = "--";
	argv[n] = url;
	return argv;
}

/*
 * Start it, with a pipe for its status lines. Neither end blocks: when we are stopped (Ctrl-Z),
 * lines are lost, and the probe is not held up.
 */
static int start_child(struct everyday *d, const char *name, const char *url, const char *run,
	int death_signal, struct child *ret, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	char program[PATHS_MAX], fd_text[40], run_text[RUN_NAME_MAX + 8];
	int pipe_fd[2] = {-1, -1};
	const char **argv = NULL;
	char **args = NULL;
	size_t n_args;
	int r = opt_forward(d->cl, command_of(d->cl, name), &args, &n_args, e);

	if (r)
		return r;
	if (pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK) != 0) {
		r = err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
		goto out;
	}
	proc_own_program(program, sizeof(program));
	snprintf(fd_text, sizeof(fd_text), "--status-fd=%d", pipe_fd[1]);
	snprintf(run_text, sizeof(run_text), "--run=%s", run ? run : "");
	argv = child_argv(d, program, args, n_args, fd_text, run ? run_text : NULL, url);
	if (!argv) {
		r = err_set(e, ERR_NOMEM, "out of memory");
		goto out;
	}
	spec.argv = argv;
	spec.inherit_output = true;
	spec.keep_fd = pipe_fd[1];
	spec.new_session = true; /* the terminal's Ctrl-C is for us: we pass it on in order */
	spec.death_signal = death_signal;
	r = proc_start(&spec, &ret->pid, e);
	if (r == 0) {
		stop_take_along(ret->pid);
		ret->status_fd = pipe_fd[0];
		pipe_fd[0] = -1;
		ret->ended = false;
		ret->line_len = 0;
	}
out:
	for (int i = 0; i < 2; i++)
		if (pipe_fd[i] >= 0)
			close(pipe_fd[i]);
	free(argv);
	opt_forward_free(args);
	return r;
}

static void take_line(struct everyday *d, const char *line)
{
	char text[1024];

	enum status_kind kind =
		status_parse(line, &d->probe_status, &d->check_status, text, sizeof(text));

	switch (kind) {
	case STATUS_CHECK:
		d->has_check_status = true;
		break;
	case STATUS_FOUND:
	case STATUS_BREAKS:
		log_found(kind == STATUS_BREAKS, text);
		break;
	case STATUS_SAID:
		log_relay(text);
		break;
	default:
		break;
	}
}

/* Read once what a child says. Returns false when there is nothing more now; at the end the pipe is
 * closed. */
static bool listen_to(struct everyday *d, struct child *c)
{
	char *end;
	ssize_t n = read(c->status_fd, c->line + c->line_len, sizeof(c->line) - 1 - c->line_len);

	if (n <= 0) {
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return errno == EINTR;
		close(c->status_fd);
		c->status_fd = -1;
		return false;
	}
	c->line_len += (size_t)n;
	c->line[c->line_len] = '\0';
	while ((end = memchr(c->line, '\n', c->line_len))) {
		*end = '\0';
		take_line(d, c->line);
		c->line_len -= (size_t)(end + 1 - c->line);
		memmove(c->line, end + 1, c->line_len + 1);
	}
	/* a line that does not fit is passed over */
	if (c->line_len == sizeof(c->line) - 1)
		c->line_len = 0;
	return true;
}

static void listen_all(struct everyday *d, int timeout_ms)
{
	struct pollfd fds[2] = {{.fd = d->probe.status_fd, .events = POLLIN},
		{.fd = d->check.status_fd, .events = POLLIN}};
	struct child *children[2] = {&d->probe, &d->check};

	/* poll(2) passes over negative file descriptors */
	if (poll(fds, 2, timeout_ms) <= 0)
		return;
	for (int i = 0; i < 2; i++)
		if (fds[i].revents)
			listen_to(d, children[i]);
}

/* Has it ended? Takes the last that it said, and how it ended. */
static void reap(struct everyday *d, struct child *c)
{
	siginfo_t info = {0};
	int status;

	if (!c->pid || waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
		info.si_pid != c->pid)
		return;
	/* what it left behind may hold the pipe open: the end is not waited for */
	while (c->status_fd >= 0 && listen_to(d, c))
		;
	if (c->status_fd >= 0)
		close(c->status_fd);
	c->status_fd = -1;
	stop_spare(c->pid);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	c->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	c->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + c->signal;
	c->ended = true;
	c->pid = 0;
}

/* What was said last, whole at any instant, for whoever started us; a full disk is no reason to stop. */
static void write_status(const struct everyday *d, const char *path)
{
	char next[PATHS_MAX];
	struct buf b;
	FILE *f;

	buf_init(&b, 65536);
	snprintf(next, sizeof(next), "%s.new", path);
	status_probe_line(&d->probe_status, &b);
	if (d->has_check_status)
		status_check_line(&d->check_status, &b);
	f = fopen(next, "we");
	if (f) {
		bool ok = fputs(buf_str(&b), f) >= 0;

		ok = fclose(f) == 0 && ok;
		if (ok)
			(void)rename(next, path);
	}
	buf_release(&b);
}

static void show(struct everyday *d)
{
	const struct status_check *check = d->has_check_status ? &d->check_status : NULL;
	char title[400];
	struct buf b;

	if (clock_ns() < d->next_show_ns)
		return;
	d->next_show_ns = clock_ns() + SHOW_NS;
	if (option_text(d, "status-file"))
		write_status(d, option_text(d, "status-file"));
	if (d->cl->quiet)
		return;
	buf_init(&b, 65536);
	if (log_on_terminal()) {
		snprintf(title, sizeof(title), "%s  %.200s  %s",
			*d->probe_status.run ? d->probe_status.run : "starting", d->url,
			option_text(d, "promise"));
		status_render(title, clock_ns() - d->started_ns, &d->probe_status, check, &b);
		log_progress(buf_str(&b));
	} else if (clock_ns() >= d->next_line_ns) {
		d->next_line_ns = clock_ns() + PLAIN_LINE_NS;
		status_render_line(&d->probe_status, check, &b);
		log_note("%s  %s", *d->probe_status.run ? d->probe_status.run : "starting",
			buf_str(&b));
	}
	buf_release(&b);
}

/* ---- the course of things -------------------------------------------------------------------- */

/* Ship what a probe left in its journal. */
static int recover(struct everyday *d, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	const char *ledger = option_text(d, "ledger");
	char program[PATHS_MAX];
	const char *argv[] = {program, "recover", "--run", d->probe_status.run,
		ledger ? "--ledger" : NULL, ledger, NULL};
	struct buf out;
	int code = 0, r;

	proc_own_program(program, sizeof(program));
	buf_init(&out, 65536);
	spec.argv = argv;
	r = proc_run(&spec, NULL, true, RECOVER_TIMEOUT, &out, &code, e);
	if (r == 0 && code)
		r = err_set(
			e, ERR_IO, "the probe's journal could not be shipped: %s", buf_str(&out));
	buf_release(&out);
	return r;
}

static int start_check(struct everyday *d, struct err *e)
{
	const char *behind_relay = option_text(d, "check");

	d->check_starts++;
	/* when we are killed the probe ends in order, and the checker judges and ends by itself */
	return start_child(d, "check", behind_relay ? behind_relay : d->url, d->probe_status.run, 0,
		&d->check, e);
}

static void interrupt(struct child *c, bool *done)
{
	if (c->pid && !*done)
		kill(c->pid, SIGINT);
	*done = c->pid != 0;
}

/* Pass a Ctrl-C on: the probe ends in order; the checker then ends by itself, unless it was to
 * follow. */
static void heed_stop(struct everyday *d)
{
	bool follow = *(const bool *)option(d, "follow");

	if (stop_asked())
		interrupt(&d->probe, &d->probe_interrupted);
	/* not before it has said something: it might not be ready to be told, and die of it */
	if (d->has_check_status && (d->hopeless || (stop_asked() && d->probe.ended && follow)))
		interrupt(&d->check, &d->check_interrupted);
}

/*
 * The probe is over. When it was killed, or could not ship its journal, that is done for it; where
 * that fails too, the checker is told not to wait any more: it says that the run is undecided, and
 * why.
 */
static void after_probe(struct everyday *d)
{
	struct err e = {0};

	if (d->probe.exit_code == EXIT_PASS)
		return;
	if (d->probe.signal)
		log_warn("the probe was killed by signal %d; its journal is shipped now",
			d->probe.signal);
	if (recover(d, &e) == 0)
		return;
	log_progress(NULL);
	err_print(&e);
	d->hopeless = true;
}

/* How it goes on when the probe has ended. Returns true when that is all, with the exit code. */
static bool heed_probe(struct everyday *d, int *ret_exit, int *ret, struct err *e)
{
	if (!d->probe.ended || d->probe_heeded)
		return false;
	d->probe_heeded = true;
	if (!d->check_starts) {
		/* it could not begin, and said why */
		*ret_exit = d->probe.exit_code;
		if (!*d->probe_status.run || (!d->probe.signal && d->probe.exit_code != EXIT_PASS))
			return true;
		*ret = start_check(d, e);
	}
	if (*ret == 0)
		after_probe(d);
	return false;
}

/* The same for the checker. */
static bool heed_check(struct everyday *d, int *ret_exit, int *ret, struct err *e)
{
	if (!d->check.ended)
		return false;
	*ret_exit = d->check.exit_code;
	if (!d->check.signal)
		return true;
	d->check.ended = false;
	d->has_check_status = false;
	d->check_interrupted = false;
	if (d->check_starts >= MAX_CHECK_STARTS) {
		*ret = err_set(e, ERR_STATE,
			"the checker was killed %d times, the last time by signal %d",
			d->check_starts, d->check.signal);
		err_hint(
			e, "mqaudit check %s --run %s judges the run", d->url, d->probe_status.run);
		return false;
	}
	log_warn("the checker was killed by signal %d; it is started again", d->check.signal);
	*ret = start_check(d, e);
	return false;
}

/* Until both have ended. Returns 0 with the exit code that counts. */
static int oversee(struct everyday *d, int *ret_exit, struct err *e)
{
	int r = 0;

	while (r == 0) {
		listen_all(d, 50);
		show(d);
		heed_stop(d);
		reap(d, &d->probe);
		/* not before its starts are on record: a checker that finds none open has nothing
		 * to wait for */
		if (!d->check_starts && !d->probe.ended && *d->probe_status.run &&
			strcmp(d->probe_status.phase, "connecting") != 0)
			r = start_check(d, e);
		if (r == 0 && heed_probe(d, ret_exit, &r, e))
			return 0;
		reap(d, &d->check);
		if (r == 0 && heed_check(d, ret_exit, &r, e))
			return 0;
	}
	return r;
}

/* Whoever still runs (the checker gave up, or we failed) ends, and is waited for. */
static void end_children(struct everyday *d)
{
	struct child *children[] = {&d->probe, &d->check};
	int64_t deadline_ns = clock_ns() + END_TIMEOUT;

	for (int i = 0; i < 2; i++)
		if (children[i]->pid)
			kill(children[i]->pid, SIGINT);
	while ((d->probe.pid || d->check.pid) && clock_ns() < deadline_ns) {
		listen_all(d, 50);
		reap(d, &d->probe);
		reap(d, &d->check);
	}
	for (int i = 0; i < 2; i++) {
		int status;

		if (!children[i]->pid)
			continue;
		kill(children[i]->pid, SIGKILL);
		stop_spare(children[i]->pid);
		while (waitpid(children[i]->pid, &status, 0) < 0 && errno == EINTR)
			;
		close(children[i]->status_fd);
	}
}

static const struct report_opts *report_opts_of(const struct cmdline *cl)
{
	return (const struct report_opts *)(const void *)((const char *)cl->opts + probe_size +
							  check_size);
}

static int print_report(struct everyday *d, int *ret_exit, struct err *e)
{
	struct ledger *l = NULL;
	struct run run;
	int r = ledger_open(option_text(d, "ledger"), &l, e);

	if (r == 0)
		r = run_find(l, d->probe_status.run, &run, e);
	if (r == 0)
		r = report_write(l, &run, report_opts_of(d->cl), ret_exit, e);
	ledger_close(l);
	return r;
}

/* Both are over: the report, unless nothing came about. What failed before was said by whom it
 * failed. */
static int conclude(struct everyday *d, int code, struct err *e)
{
	int verdict = EXIT_ERROR;
	int r;

	if (!d->check_starts || code == EXIT_USAGE)
		return code;
	r = print_report(d, &verdict, e);
	if (r) {
		err_print(e);
		return EXIT_ERROR;
	}
	/* the checker failed: what the report says is not its verdict */
	if (code == EXIT_ERROR)
		return EXIT_ERROR;
	if (d->probe.exit_code != EXIT_PASS && !d->probe.signal && verdict != EXIT_FINDINGS) {
		log_error("the probe ended with exit code %d: the report is about what it had sent "
			  "until then",
			d->probe.exit_code);
		return EXIT_ERROR;
	}
	if (code != verdict) {
		log_error("the checker ended with exit code %d, which is not the report's: it may "
			  "have died before its verdict",
			code);
		log_hint("mqaudit check %s --run %s judges the run", d->url, d->probe_status.run);
		return EXIT_ERROR;
	}
	return verdict;
}

static int run_run(struct cmdline *cl)
{
	struct everyday d = {
		.cl = cl,
		.url = cl->argv[0],
		.probe = {.status_fd = -1},
		.check = {.status_fd = -1},
		.started_ns = clock_ns(),
		.next_line_ns = clock_ns() + PLAIN_LINE_NS,
	};
	struct err e = {0};
	int code = EXIT_ERROR, r = report_check_opts(report_opts_of(cl), &e);

	if (r == 0 && opt_given(cl, "relay-lag") && !option_text(&d, "check")) {
		r = err_set(&e, ERR_USAGE, "--relay-lag is about a relay");
		err_hint(&e, "say with --check URL where its messages come out");
	}
	if (r) {
		err_print(&e);
		return r == ERR_USAGE ? EXIT_USAGE : EXIT_ERROR;
	}
	snprintf(d.probe_status.phase, sizeof(d.probe_status.phase), "connecting");
	stop_install("mqaudit: ended at once; the journal is kept: mqaudit recover ships it\n");
	r = start_child(&d, "probe", d.url, NULL, SIGINT, &d.probe, &e);
	if (r == 0)
		r = oversee(&d, &code, &e);
	log_progress(NULL);
	if (r)
		err_print(&e);
	end_children(&d);
	return r ? EXIT_ERROR : conclude(&d, code, &e);
}
