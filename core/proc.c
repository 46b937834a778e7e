#include "core/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"

#define MAX_OUTPUT ((size_t)64 << 20)

extern char **environ;

/* What a child tells its parent when it could not become the program. */
struct child_failure {
	int errnum;
	char what[60];
};

struct pipes {
	int in[2];
	int out[2];
	bool with_stderr;
};

bool proc_find_program(const char *name, char *path, size_t len)
{
	const char *dirs = getenv("PATH");
	char all[4096];

	snprintf(all, sizeof(all), "%s:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", dirs ? dirs : "");
	for (char *save = NULL, *dir = strtok_r(all, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		snprintf(path, len, "%s/%s", dir, name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void child_fail(int fd, const char *what)
{
	struct child_failure f = {.errnum = errno};
	ssize_t ignored;

	snprintf(f.what, sizeof(f.what), "%s", what);
	ignored = write(fd, &f, sizeof(f));
	(void)ignored;
	_exit(127);
}

static void child_files(const struct proc_spec *spec, const struct pipes *pipes, int report)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int in = null, out = null, err = null;

	if (null < 0)
		child_fail(report, "open /dev/null");
	if (spec->stdin_file) {
		in = open(spec->stdin_file, O_RDONLY | O_CLOEXEC);
		if (in < 0)
			child_fail(report, "open stdin file");
	}
	if (spec->inherit_output) {
		out = STDOUT_FILENO;
		err = STDERR_FILENO;
	}
	if (spec->output_file) {
		out = open(spec->output_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (out < 0)
			child_fail(report, "open output file");
		err = out;
	}
	if (pipes) {
		in = pipes->in[0];
		out = pipes->out[1];
		if (pipes->with_stderr)
			err = out;
		else if (!spec->output_file)
			err = STDERR_FILENO;
	}
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
		child_fail(report, "dup2");
}

static void child_identity(const struct proc_spec *spec, int report)
{
	if (spec->netns_fd >= 0 && setns(spec->netns_fd, CLONE_NEWNET) != 0)
		child_fail(report, "enter the network namespace");
	if (spec->new_session)
		setsid();
	if (spec->uid != 0 && spec->uid != geteuid()) {
		if (setgroups(0, NULL) != 0 || setgid(spec->gid) != 0 || setuid(spec->uid) != 0)
			child_fail(report, "change the user");
	}
	/* after the change of user, which would clear it */
	if (spec->death_signal)
		prctl(PR_SET_PDEATHSIG, spec->death_signal);
	if (spec->cwd && chdir(spec->cwd) != 0)
		child_fail(report, "change the folder");
}

static char **child_env(const char *const *add)
{
	size_t n = 0, m = 0, out = 0;
	char **env;

	while (environ[n])
		n++;
	while (add && add[m])
		m++;
	env = calloc(n + m + 1, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t name = strcspn(environ[i], "=");
		bool replaced = false;

		for (size_t j = 0; j < m; j++)
			replaced |= strncmp(environ[i], add[j], name + 1) == 0;
		if (!replaced)
			env[out++] = environ[i];
	}
	for (size_t j = 0; j < m; j++)
		env[out++] = (char *)(uintptr_t)add[j];
	return env;
}

static void child_main(const struct proc_spec *spec, const char *program, char **env,
	const struct pipes *pipes, int report)
{
	sigset_t none;
	struct sigaction dfl = {.sa_handler = SIG_DFL};

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			sigaction(sig, &dfl, NULL);
	child_files(spec, pipes, report);
	child_identity(spec, report);
	execve(program, (char *const *)(uintptr_t)spec->argv, env);
	child_fail(report, "execute");
}

static int start(const struct proc_spec *spec, const struct pipes *pipes, pid_t *ret_pid, struct err *e)
{
	char program[1024];
	struct child_failure failure;
	int report[2] = {-1, -1};
	char **env = NULL;
	ssize_t n;
	pid_t pid;
	int r = 0;

	if (strchr(spec->argv[0], '/'))
		snprintf(program, sizeof(program), "%s", spec->argv[0]);
	else if (!proc_find_program(spec->argv[0], program, sizeof(program)))
		return err_set(e, ERR_NOTFOUND, "program '%s' is not installed", spec->argv[0]);
	env = child_env(spec->env);
	if (!env)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (pipe2(report, O_CLOEXEC) != 0) {
		r = err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
		goto out;
	}
	pid = fork();
	if (pid < 0) {
		r = err_set_errno(e, ERR_IO, errno, "cannot fork for '%s'", program);
		goto out;
	}
	if (pid == 0)
		child_main(spec, program, env, pipes, report[1]);
	close(report[1]);
	report[1] = -1;
	do {
		n = read(report[0], &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(failure)) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		r = err_set_errno(e, failure.errnum == ENOENT ? ERR_NOTFOUND : ERR_IO, failure.errnum,
			"cannot start '%s': cannot %s", program, failure.what);
		goto out;
	}
	*ret_pid = pid;
out:
	if (report[0] >= 0)
		close(report[0]);
	if (report[1] >= 0)
		close(report[1]);
	free(env);
	return r;
}

int proc_start(const struct proc_spec *spec, pid_t *ret_pid, struct err *e)
{
	return start(spec, NULL, ret_pid, e);
}

int proc_wait(pid_t pid, int64_t timeout_ns, int *ret_status, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	int64_t nap = NS_PER_MS;

	for (;;) {
		pid_t got = waitpid(pid, ret_status, timeout_ns < 0 ? 0 : WNOHANG);

		if (got == pid)
			return 0;
		if (got < 0 && errno != EINTR)
			return err_set_errno(e, ERR_IO, errno, "cannot wait for process %d", (int)pid);
		if (timeout_ns >= 0 && clock_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT, "process %d still runs", (int)pid);
		if (got == 0) {
			clock_sleep_ns(nap);
			if (nap < 50 * NS_PER_MS)
				nap *= 2;
		}
	}
}

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Feed input and collect output until the child closes its end. */
static int pump(struct pipes *p, const char *input, int64_t deadline, struct buf *out, struct err *e)
{
	size_t left = input ? strlen(input) : 0;
	char chunk[16384];

	if (left == 0) {
		close(p->in[1]);
		p->in[1] = -1;
	}
	for (;;) {
		struct pollfd fds[2] = {
			{.fd = p->out[0], .events = POLLIN}, {.fd = p->in[1], .events = POLLOUT}};
		int n = poll(fds, p->in[1] >= 0 ? 2 : 1, clock_left_ms(deadline));

		if (n < 0 && errno != EINTR)
			return err_set_errno(e, ERR_IO, errno, "cannot poll a child's pipes");
		if (n == 0)
			return err_set(e, ERR_TIMEOUT, "it did not end in time");
		if (n < 0)
			continue;
		if (p->in[1] >= 0 && fds[1].revents) {
			ssize_t w = write(p->in[1], input, left);

			if (w > 0) {
				input += w;
				left -= (size_t)w;
			}
			if (left == 0 || (w < 0 && errno != EINTR && errno != EAGAIN)) {
				close(p->in[1]);
				p->in[1] = -1;
			}
		}
		if (fds[0].revents) {
			ssize_t r = read(p->out[0], chunk, sizeof(chunk));

			if (r == 0 || (r < 0 && errno != EINTR))
				return 0;
			if (r > 0 && out && out->len < MAX_OUTPUT)
				buf_add(out, chunk, (size_t)r);
		}
	}
}

int proc_run(const struct proc_spec *spec, const char *input, bool with_stderr, int64_t timeout_ns,
	struct buf *out, int *ret_exit, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	struct pipes p = {{-1, -1}, {-1, -1}, with_stderr};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	struct proc_spec mortal = *spec;
	pid_t pid = -1;
	int status, r;

	/* nobody would hear of its end: it must not go on when we are killed */
	if (mortal.death_signal == 0)
		mortal.death_signal = SIGKILL;

	/* a child that does not read its input must not kill us */
	sigaction(SIGPIPE, &ignore, &before);
	if (pipe2(p.in, O_CLOEXEC) != 0 || pipe2(p.out, O_CLOEXEC) != 0) {
		r = err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
		goto out;
	}
	r = start(&mortal, &p, &pid, e);
	if (r)
		goto out;
	close(p.in[0]);
	close(p.out[1]);
	p.in[0] = p.out[1] = -1;
	r = pump(&p, input, deadline, out, e);
	if (r == 0)
		r = proc_wait(pid, deadline - clock_ns() > 0 ? deadline - clock_ns() : 0, &status, e);
	if (r) {
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		err_wrap(e, "%s", spec->argv[0]);
	} else {
		*ret_exit = exit_code_of(status);
	}
out:
	for (int i = 0; i < 2; i++) {
		if (p.in[i] >= 0)
			close(p.in[i]);
		if (p.out[i] >= 0)
			close(p.out[i]);
	}
	sigaction(SIGPIPE, &before, NULL);
	return r;
}

/* The last few lines of an output, in one line, for an error message. */
static void last_lines(const struct buf *out, char *ret, size_t len)
{
	const char *text = buf_str(out);
	size_t n = out->len;
	const char *from;

	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	from = text + (n > len - 1 ? n - (len - 1) : 0);
	snprintf(ret, len, "%.*s", (int)(text + n - from), from);
	for (char *p = ret; *p; p++)
		if (*p == '\n')
			*p = ';';
}

int proc_check(
	const char *const *argv, const char *input, int64_t timeout_ns, struct buf *out, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf own;
	char tail[400];
	int code = 0, r;

	buf_init(&own, MAX_OUTPUT + sizeof(tail));
	spec.argv = argv;
	r = proc_run(&spec, input, true, timeout_ns, &own, &code, e);
	if (r == 0 && code != 0) {
		last_lines(&own, tail, sizeof(tail));
		r = err_set(e, ERR_IO, "'%s %s' ended with %d: %s", argv[0], argv[1] ? argv[1] : "", code,
			tail);
	}
	if (r == 0 && out)
		buf_add(out, buf_str(&own), own.len);
	buf_release(&own);
	return r;
}

/* The state letter and the start time from /proc/PID/stat; 0 when there is none. */
static uint64_t read_stat(pid_t pid, char *ret_state)
{
	char path[40], line[1024];
	unsigned long long start;
	const char *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	line[n] = '\0';
	p = strrchr(line, ')'); /* the name before it may hold anything */
	if (!p || sscanf(p + 2, "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
				"%*d %llu",
			  ret_state, &start) != 2)
		return 0;
	return start;
}

uint64_t proc_start_time(pid_t pid)
{
	char state;

	return read_stat(pid, &state);
}

bool proc_alive(pid_t pid, uint64_t start_time)
{
	char state = 0;
	uint64_t start = pid > 0 ? read_stat(pid, &state) : 0;

	return start && state != 'Z' && state != 'X' && (start_time == 0 || start == start_time);
}

bool proc_signal(pid_t pid, uint64_t start_time, int sig)
{
	return proc_alive(pid, start_time) && kill(pid, sig) == 0;
}
