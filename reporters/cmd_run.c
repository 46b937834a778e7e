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
#include "core/log.h"
#include "core/proc.h"
#include "core/status.h"
#include "core/stop.h"
#include "reporters/cmd_report.h"
#include "reporters/report.h"

#define MAX_ROWS 100
#define SHOW_NS (200 * NS_PER_MS)
#define PLAIN_LINE_NS (5 * NS_PER_S)
#define MAX_CHECK_STARTS 4
#define PROGRAM "/proc/self/exe"

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

/* Take over a table's rows; their values live behind `shift` bytes. Help keeps each group together. */
static size_t take_rows(const struct opt *from, size_t shift, size_t n)
{
	const char *group = NULL;

	for (; from->name; from++) {
		if (from->group)
			group = from->group;
		if (from->hidden || has_row(from->name, n))
			continue;
		if (n + 1 >= MAX_ROWS)
			BUG("more than %d options", MAX_ROWS);
		rows[n] = *from;
		rows[n].offset += shift;
		rows[n].group = group;
		if (n && rows[n - 1].group && strcmp(rows[n - 1].group, group) == 0)
			rows[n].group = NULL;
		n++;
		group = from->group || !group ? group : group;
	}
	return n;
}

/* Groups were cut by rows that are left out: name each group once, at its first row. */
static void name_groups(size_t n)
{
	const char *last = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!rows[i].group)
			continue;
		if (last && strcmp(last, rows[i].group) == 0)
			rows[i].group = NULL;
		else
			last = rows[i].group;
	}
}

static const struct opt report_rows[] = {
	REPORT_OPTS(struct { struct report_opts report; }, report),
	{.name = NULL},
};

struct command run_command(const struct command *probe, const struct command *check)
{
	size_t n;

	probe_size = (probe->opts_size + 15) / 16 * 16;
	check_size = (check->opts_size + 15) / 16 * 16;
	n = take_rows(probe->opts, 0, 0);
	n = take_rows(check->opts, probe_size, n);
	n = take_rows(report_rows, probe_size + check_size, n);
	name_groups(n);
	rows[n].name = NULL;
	return (struct command){
		.name = "run",
		.args = "URL",
		.summary = "probe and check together, with live progress and a report: the everyday command",
		.description =
			"Sends messages and reads them back at the same time, says live what is missing or "
			"repeated, and ends with the report; the exit code is the verdict's: 0 pass, 1 findings "
			"that break the promise, 3 error, 4 undecided or no data. Ctrl-C ends the sending in "
			"order and judges; twice ends at once.\n\n"
			"URL is kafka://host:port[,host:port...]/topic, or kafka://lab/topic for the running lab.",
		.examples = "  # is acks=all safe while somebody restarts brokers?\n"
			    "  mqaudit run kafka://localhost:9092/audit --create-topic 12:3 -r 1k -d 10m -X acks=all\n",
		.opts = rows,
		.opts_size = probe_size + check_size + sizeof(struct report_opts),
		.min_args = 1,
		.max_args = 1,
		.run = run_run,
	};
}

/* ---- children -------------------------------------------------------------------------------- */

struct child {
	pid_t pid;       /* 0: not running */
	int status_fd;   /* our end of the pipe; -1 */
	int exit_code;   /* 128 + signal for a signal */
	bool ended;
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
	int64_t started_ns, next_show_ns, next_line_ns;
	bool interrupted;
};

static const struct command *command_of(const struct cmdline *cl, const char *name)
{
	for (size_t i = 0; i < cl->n_all; i++)
		if (strcmp(cl->all[i].name, name) == 0)
			return &cl->all[i];
	BUG("no command '%s'", name);
}

/* Start this program again as `name`, with what was given to us, and a pipe for its status lines. */
static int start_child(struct everyday *d, const char *name, const char *url, bool name_run,
	struct child *ret, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	const char *argv[MAX_ROWS + 200];
	char fd_text[40], run_text[160];
	char **args = NULL;
	int pipe_fd[2] = {-1, -1};
	size_t n = 0, n_args;
	int r = opt_forward(d->cl, command_of(d->cl, name), &args, &n_args, e);

	if (r)
		return r;
	if (pipe2(pipe_fd, O_CLOEXEC) != 0) {
		opt_forward_free(args);
		return err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
	}
	argv[n++] = PROGRAM;
	for (size_t i = 0; i < n_args && n < MAX_ROWS + 190; i++)
		if (strncmp(args[i], "--run=", 6) != 0 || !name_run)
			argv[n++] = args[i];
	snprintf(fd_text, sizeof(fd_text), "--status-fd=%d", pipe_fd[1]);
	argv[n++] = fd_text;
	if (name_run) {
		snprintf(run_text, sizeof(run_text), "--run=%s", d->probe_status.run);
		argv[n++] = run_text;
	}
	if (d->cl->quiet)
		argv[n++] = "--quiet";
	argv[n++] = url;
	argv[n] = NULL;
	spec.argv = argv;
	spec.inherit_output = true;
	spec.keep_fd = pipe_fd[1];
	spec.new_session = true; /* the terminal's Ctrl-C is for us: we pass it on in order */
	spec.death_signal = SIGINT;
	r = proc_start(&spec, &ret->pid, e);
	close(pipe_fd[1]);
	if (r) {
		close(pipe_fd[0]);
	} else {
		ret->status_fd = pipe_fd[0];
		ret->ended = false;
		ret->line_len = 0;
	}
	opt_forward_free(args);
	return r;
}

static void take_line(struct everyday *d, const char *line)
{
	char text[1024];

	switch (status_parse(line, &d->probe_status, &d->check_status, text, sizeof(text))) {
	case STATUS_CHECK:
		d->has_check_status = true;
		break;
	case STATUS_FOUND:
		log_warn("%s", text);
		break;
	default:
		break;
	}
}

/* Read what a child says; lines longer than the buffer are passed over. */
static void listen_to(struct everyday *d, struct child *c)
{
	char *end;
	ssize_t n = read(c->status_fd, c->line + c->line_len, sizeof(c->line) - 1 - c->line_len);

	if (n <= 0) {
		if (n < 0 && errno == EINTR)
			return;
		close(c->status_fd);
		c->status_fd = -1;
		return;
	}
	c->line_len += (size_t)n;
	c->line[c->line_len] = '\0';
	while ((end = memchr(c->line, '\n', c->line_len))) {
		*end = '\0';
		take_line(d, c->line);
		c->line_len -= (size_t)(end + 1 - c->line);
		memmove(c->line, end + 1, c->line_len + 1);
	}
	if (c->line_len == sizeof(c->line) - 1)
		c->line_len = 0;
}

static void listen_all(struct everyday *d, int timeout_ms)
{
	struct pollfd fds[2];
	struct child *children[2];
	int n = 0;

	if (d->probe.status_fd >= 0)
		children[n++] = &d->probe;
	if (d->check.status_fd >= 0)
		children[n++] = &d->check;
	for (int i = 0; i < n; i++)
		fds[i] = (struct pollfd){.fd = children[i]->status_fd, .events = POLLIN};
	if (poll(fds, (nfds_t)n, timeout_ms) <= 0)
		return;
	for (int i = 0; i < n; i++)
		if (fds[i].revents)
			listen_to(d, children[i]);
}

/* Has it ended? Takes its exit code. */
static void reap(struct child *c)
{
	int status;

	if (!c->pid || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	c->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	c->ended = true;
	c->pid = 0;
}

static void show(struct everyday *d)
{
	const struct status_check *check = d->has_check_status ? &d->check_status : NULL;
	char title[400];
	struct buf b;

	if (d->cl->quiet || clock_ns() < d->next_show_ns)
		return;
	d->next_show_ns = clock_ns() + SHOW_NS;
	buf_init(&b, 65536);
	if (log_on_terminal()) {
		snprintf(title, sizeof(title), "%s  %.200s",
			*d->probe_status.run ? d->probe_status.run : "starting", d->url);
		status_render(title, clock_ns() - d->started_ns, &d->probe_status, check, &b);
		log_progress(buf_str(&b));
	} else if (clock_ns() >= d->next_line_ns) {
		d->next_line_ns = clock_ns() + PLAIN_LINE_NS;
		status_render_line(&d->probe_status, check, &b);
		log_note("%s  %s", d->probe_status.run, buf_str(&b));
	}
	buf_release(&b);
}

/* Ship what a killed probe left in its journal. */
static int recover(struct everyday *d, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	const char *argv[8] = {PROGRAM, "recover", "--run", d->probe_status.run, NULL};
	const char *ledger = NULL;
	struct buf out;
	int code = 0, r;

	for (size_t i = 0; rows[i].name; i++)
		if (strcmp(rows[i].name, "ledger") == 0)
			ledger = *(const char *const *)((const char *)d->cl->opts + rows[i].offset);
	if (ledger) {
		argv[4] = "--ledger";
		argv[5] = ledger;
		argv[6] = NULL;
	}
	buf_init(&out, 65536);
	spec.argv = argv;
	r = proc_run(&spec, NULL, true, 120 * NS_PER_S, &out, &code, e);
	if (r == 0 && code)
		r = err_set(e, ERR_IO, "the journal could not be shipped: %s", buf_str(&out));
	buf_release(&out);
	return r;
}

static int start_check(struct everyday *d, struct err *e)
{
	const char *url = d->url;

	for (size_t i = 0; rows[i].name; i++)
		if (strcmp(rows[i].name, "check") == 0 && opt_given(d->cl, "check"))
			url = *(const char *const *)((const char *)d->cl->opts + rows[i].offset);
	d->check_starts++;
	return start_child(d, "check", url, true, &d->check, e);
}

/* Pass a Ctrl-C on: the probe ends in order, the checker then ends by itself. */
static void heed_stop(struct everyday *d)
{
	if (!stop_asked() || d->interrupted)
		return;
	d->interrupted = true;
	if (d->probe.pid)
		kill(d->probe.pid, SIGINT);
	if (!d->check.pid || d->probe.ended)
		return;
}

/* The probe is over: by itself, or killed. */
static int after_probe(struct everyday *d, struct err *e)
{
	if (d->probe.exit_code < 128)
		return 0;
	log_warn("the probe died (signal %d); its journal is shipped", d->probe.exit_code - 128);
	return recover(d, e);
}

static int after_check(struct everyday *d, struct err *e)
{
	d->has_check_status = false;
	if (d->check_starts >= MAX_CHECK_STARTS)
		return err_set(e, ERR_STATE, "the checker died %d times", d->check_starts);
	log_warn("the checker died (signal %d); it is started again", d->check.exit_code - 128);
	return start_check(d, e);
}

/* Until both have ended. Returns 0 with the exit code that counts. */
static int oversee(struct everyday *d, int *ret_exit, struct err *e)
{
	bool probe_heeded = false;
	int r = 0;

	while (r == 0) {
		listen_all(d, 50);
		show(d);
		heed_stop(d);
		reap(&d->probe);
		if (!d->check_starts && *d->probe_status.run && strcmp(d->probe_status.phase, "connecting") != 0)
			r = start_check(d, e);
		if (r == 0 && d->probe.ended && !probe_heeded && d->probe.status_fd < 0) {
			probe_heeded = true;
			if (!d->check_starts) {
				*ret_exit = d->probe.exit_code;
				if (!*d->probe_status.run || d->probe.exit_code == EXIT_USAGE)
					return 0;
				r = start_check(d, e);
			}
			if (r == 0)
				r = after_probe(d, e);
		}
		reap(&d->check);
		if (r == 0 && d->check.ended && d->check.status_fd < 0) {
			*ret_exit = d->check.exit_code;
			if (d->check.exit_code < 128)
				return 0;
			d->check.ended = false;
			r = after_check(d, e);
		}
	}
	return r;
}

static void end_children(struct everyday *d)
{
	struct child *children[] = {&d->probe, &d->check};
	int status;
	struct err ignored;

	for (int i = 0; i < 2; i++) {
		if (!children[i]->pid)
			continue;
		kill(children[i]->pid, SIGINT);
		if (proc_wait(children[i]->pid, 40 * NS_PER_S, &status, &ignored))
			kill(children[i]->pid, SIGKILL);
	}
	for (int i = 0; i < 2; i++)
		if (children[i]->status_fd >= 0)
			close(children[i]->status_fd);
}

static int print_report(struct everyday *d, int *ret_exit, struct err *e)
{
	struct report_opts o = *(const struct report_opts *)(const void *)((const char *)d->cl->opts +
		probe_size + check_size);
	struct ledger *l = NULL;
	struct run run;
	int r;

	for (size_t i = 0; rows[i].name; i++)
		if (strcmp(rows[i].name, "ledger") == 0)
			o.ledger = *(const char *const *)((const char *)d->cl->opts + rows[i].offset);
	r = ledger_open(o.ledger, &l, e);
	if (r == 0)
		r = run_find(l, d->probe_status.run, &run, e);
	if (r == 0)
		r = report_write(l, &run, &o, ret_exit, e);
	ledger_close(l);
	return r;
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
	int code = EXIT_ERROR, r;

	snprintf(d.probe_status.phase, sizeof(d.probe_status.phase), "connecting");
	stop_install("mqaudit: ended at once; mqaudit recover ships the probe's journal\n");
	r = start_child(&d, "probe", d.url, false, &d.probe, &e);
	if (r == 0)
		r = oversee(&d, &code, &e);
	log_progress(NULL);
	end_children(&d);
	/* a probe that could not begin, or a checker that could not end, said why itself */
	if (r == 0 && d.check_starts && code != EXIT_ERROR && code != EXIT_USAGE)
		r = print_report(&d, &code, &e);
	else if (r == 0 && d.check.ended && code == EXIT_ERROR && *d.probe_status.run)
		(void)!print_report(&d, &(int){0}, &e);
	if (r) {
		err_print(&e);
		code = EXIT_ERROR;
	}
	return code;
}
