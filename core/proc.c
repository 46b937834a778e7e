#include "core/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

#define MAX_OUTPUT ((size_t)64 << 20)
#define OUTPUT_CHUNK 16384

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

/* Look for an executable file of that name in a list of folders. */
static bool find_in(const char *dirs, const char *name, char *path, size_t len)
{
	while (*dirs) {
		size_t n = strcspn(dirs, ":");
		struct stat st;
		int written = n ? snprintf(path, len, "%.*s/%s", (int)n, dirs, name) : 0;

		/* a folder is "executable" too */
		if (n && (size_t)written < len && access(path, X_OK) == 0 && stat(path, &st) == 0 &&
			S_ISREG(st.st_mode))
			return true;
		dirs += n;
		if (*dirs)
			dirs++;
	}
	return false;
}

bool proc_find_program(const char *name, char *path, size_t len)
{
	const char *dirs = getenv("PATH");

	return (dirs && find_in(dirs, name, path, len)) ||
	       find_in("/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", name, path, len);
}

void proc_own_program(char *ret, size_t len)
{
	const char *other = getenv("MQAUDIT_PROGRAM");
	ssize_t n;

	if (other && *other) {
		snprintf(ret, len, "%s", other);
		return;
	}
	n = readlink("/proc/self/exe", ret, len - 1);
	if (n > 0)
		ret[n] = '\0';
	if (n <= 0 || access(ret, X_OK) != 0)
		snprintf(ret, len, "/proc/self/exe");
}

void proc_keep_rights(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) != 0)
		return;
	for (int i = 0; i < 2; i++)
		data[i].inheritable = data[i].permitted;
	if (syscall(SYS_capset, &head, data) != 0)
		return;
	for (unsigned long cap = 0; cap < 64; cap++)
		if (data[cap / 32].permitted >> (cap % 32) & 1)
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
}

void proc_userns_path(pid_t pid, char *ret, size_t len)
{
	snprintf(ret, len, "/proc/%d/ns/user", (int)pid);
}

bool proc_in_namespace(const char *path)
{
	static const char *const own[] = {"/proc/thread-self/ns/user", "/proc/thread-self/ns/net"};
	struct stat ours, theirs;

	if (stat(path, &theirs) != 0)
		return false;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (stat(own[i], &ours) == 0 && ours.st_ino == theirs.st_ino &&
			ours.st_dev == theirs.st_dev)
			return true;
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
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
		dup2(err, STDERR_FILENO) < 0)
		child_fail(report, "dup2");
}

/*
 * The namespace, and that process's root in it: setns(2) makes the namespace's own root ours, which is
 * another one for who lives in a chroot.
 */
static int enter_mounts(pid_t of)
{
	char path[40];
	int ns, root;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)of);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/root", (int)of);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ns < 0 || root < 0)
		return -1;
	return setns(ns, CLONE_NEWNS) == 0 && fchdir(root) == 0 && chroot(".") == 0 ? 0 : -1;
}

static void child_identity(const struct proc_spec *spec, pid_t parent, int report)
{
	if (spec->keep_fd >= 0 && fcntl(spec->keep_fd, F_SETFD, 0) != 0)
		child_fail(report, "keep a descriptor");
	if (spec->userns_fd >= 0) {
		if (setns(spec->userns_fd, CLONE_NEWUSER) != 0)
			child_fail(report, "enter the user namespace");
		proc_keep_rights();
	}
	if (spec->netns_fd >= 0 && setns(spec->netns_fd, CLONE_NEWNET) != 0)
		child_fail(report, "enter the network namespace");
	if (spec->mntns_of && enter_mounts(spec->mntns_of) != 0)
		child_fail(report, "enter the mount namespace");
	if (spec->new_session)
		setsid();
	if (spec->uid != 0 && spec->uid != geteuid()) {
		if (setgroups(0, NULL) != 0 || setgid(spec->gid) != 0 || setuid(spec->uid) != 0)
			child_fail(report, "change the user");
	}
	/* after the change of user, which would clear it */
	if (spec->death_signal) {
		prctl(PR_SET_PDEATHSIG, spec->death_signal);
		/* it may have died before we asked to be told */
		if (getppid() != parent)
			_exit(127);
	}
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
	const struct pipes *pipes, pid_t parent, int report)
{
	sigset_t none;
	struct sigaction dfl = {.sa_handler = SIG_DFL};

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			sigaction(sig, &dfl, NULL);
	child_files(spec, pipes, report);
	child_identity(spec, parent, report);
	execve(program, (char *const *)(uintptr_t)spec->argv, env);
	child_fail(report, "execute");
}

static int start(
	const struct proc_spec *spec, const struct pipes *pipes, pid_t *ret_pid, struct err *e)
{
	char program[1024];
	struct child_failure failure;
	int report[2] = {-1, -1};
	char **env = NULL;
	ssize_t n;
	pid_t pid, self = getpid();
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
		child_main(spec, program, env, pipes, self, report[1]);
	close(report[1]);
	report[1] = -1;
	do {
		n = read(report[0], &failure, sizeof(failure));
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(failure)) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		r = err_set_errno(e, failure.errnum == ENOENT ? ERR_NOTFOUND : ERR_IO,
			failure.errnum, "cannot start '%s': cannot %s", program, failure.what);
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

static int64_t deadline_after(int64_t timeout_ns)
{
	int64_t deadline;

	return __builtin_add_overflow(clock_ns(), timeout_ns, &deadline) ? INT64_MAX : deadline;
}

int proc_wait(pid_t pid, int64_t timeout_ns, int *ret_status, struct err *e)
{
	int64_t deadline = deadline_after(timeout_ns);
	struct pollfd ended = {.fd = timeout_ns < 0 ? -1 : pidfd_open(pid, 0), .events = POLLIN};
	int r = 0;

	for (;;) {
		pid_t got = waitpid(pid, ret_status, timeout_ns < 0 ? 0 : WNOHANG);

		if (got == pid)
			break;
		if (got < 0 && errno != EINTR) {
			r = err_set_errno(e, ERR_IO, errno, "cannot wait for process %d", (int)pid);
			break;
		}
		if (timeout_ns >= 0 && clock_ns() >= deadline) {
			r = err_set(e, ERR_TIMEOUT, "process %d still runs", (int)pid);
			break;
		}
		/* a kernel without pidfds: look every 20 ms */
		if (got == 0)
			poll(&ended, ended.fd >= 0 ? 1 : 0,
				ended.fd >= 0 ? clock_left_ms(deadline) : 20);
	}
	if (ended.fd >= 0)
		close(ended.fd);
	return r;
}

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Hand over what the pipe takes of the input; closes it at the end, or when nobody reads it. */
static void feed(struct pipes *p, const char **input, size_t *left)
{
	ssize_t w = *left ? write(p->in[1], *input, *left) : 0;

	if (w > 0) {
		*input += w;
		*left -= (size_t)w;
	}
	if (*left == 0 || (w < 0 && errno != EINTR && errno != EAGAIN)) {
		close(p->in[1]);
		p->in[1] = -1;
	}
}

enum collected { COLLECTED_SOME, COLLECTED_NOTHING_NOW, COLLECTED_END };

/* Read once what the child wrote. */
static enum collected collect(struct pipes *p, struct buf *out)
{
	char chunk[OUTPUT_CHUNK];
	ssize_t r = read(p->out[0], chunk, sizeof(chunk));

	if (r > 0 && out && out->len < MAX_OUTPUT)
		buf_add(out, chunk, (size_t)r);
	if (r > 0 || (r < 0 && errno == EINTR))
		return COLLECTED_SOME;
	return r < 0 && errno == EAGAIN ? COLLECTED_NOTHING_NOW : COLLECTED_END;
}

/*
 * Feed input and collect output until the child closed its end or ended. (A daemon that it left behind
 * may hold the pipe for ever: what is in it when the child ends is all that is waited for.)
 */
static int pump(struct pipes *p, pid_t pid, const char *input, int64_t deadline, struct buf *out,
	struct err *e)
{
	/* pid 0: only the end of its output counts */
	int ended = pid ? pidfd_open(pid, 0) : -1;
	size_t left = input ? strlen(input) : 0;
	int r = 0;

	if (fcntl(p->in[1], F_SETFL, O_NONBLOCK) != 0 || fcntl(p->out[0], F_SETFL, O_NONBLOCK) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot prepare a child's pipes");
	if (r == 0 && left == 0)
		feed(p, &input, &left);
	while (r == 0) {
		/* poll(2) passes over negative file descriptors */
		struct pollfd fds[3] = {{.fd = p->out[0], .events = POLLIN},
			{.fd = p->in[1], .events = POLLOUT}, {.fd = ended, .events = POLLIN}};
		int n = poll(fds, 3, clock_left_ms(deadline));

		if (n < 0 && errno != EINTR)
			r = err_set_errno(e, ERR_IO, errno, "cannot poll a child's pipes");
		else if (n == 0)
			r = err_set(e, ERR_TIMEOUT, "it did not end in time");
		if (n <= 0)
			continue;
		if (fds[1].revents)
			feed(p, &input, &left);
		if (fds[2].revents) {
			while (collect(p, out) == COLLECTED_SOME)
				;
			break;
		}
		if (fds[0].revents && collect(p, out) == COLLECTED_END)
			break;
	}
	if (ended >= 0)
		close(ended);
	return r;
}

/* Block SIGPIPE in this thread: a child that does not read its input must not kill us. */
static void sigpipe_block(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, before);
}

static void sigpipe_restore(const sigset_t *before)
{
	const struct timespec now = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (!sigismember(before, SIGPIPE)) {
		while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
			;
	}
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void pipes_close(struct pipes *p)
{
	for (int i = 0; i < 2; i++) {
		if (p->in[i] >= 0)
			close(p->in[i]);
		if (p->out[i] >= 0)
			close(p->out[i]);
	}
}

int proc_run(const struct proc_spec *spec, const char *input, bool with_stderr, int64_t timeout_ns,
	struct buf *out, int *ret_exit, struct err *e)
{
	int64_t deadline = deadline_after(timeout_ns), left;
	struct pipes p = {{-1, -1}, {-1, -1}, with_stderr};
	struct proc_spec mortal = *spec;
	sigset_t before;
	pid_t pid = -1;
	int status, r;

	/* nobody would hear of its end: it must not go on when we are killed */
	if (mortal.death_signal == 0)
		mortal.death_signal = SIGKILL;
	sigpipe_block(&before);
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
	r = pump(&p, spec->until_closed ? 0 : pid, input, deadline, out, e);
	left = deadline - clock_ns();
	if (r == 0)
		r = proc_wait(pid, left > 0 ? left : 0, &status, e);
	if (r) {
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		err_wrap(e, "%s", spec->argv[0]);
	} else {
		*ret_exit = exit_code_of(status);
	}
out:
	pipes_close(&p);
	sigpipe_restore(&before);
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

int proc_check(const char *const *argv, const char *input, int64_t timeout_ns, struct buf *out,
	struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf own;
	char tail[400];
	int code = 0, r;

	buf_init(&own, MAX_OUTPUT + OUTPUT_CHUNK);
	spec.argv = argv;
	r = proc_run(&spec, input, true, timeout_ns, &own, &code, e);
	if (r == 0 && buf_failed(&own))
		r = err_set(
			e, buf_failed(&own), "'%s' said more than %zu bytes", argv[0], MAX_OUTPUT);
	if (r == 0 && code != 0) {
		last_lines(&own, tail, sizeof(tail));
		r = err_set(e, ERR_IO, "'%s %s' ended with %d: %s", argv[0], argv[1] ? argv[1] : "",
			code, tail);
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
	if (!p || sscanf(p + 2,
			  "%c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
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

bool proc_stopped(pid_t pid)
{
	char state = 0;

	return pid > 0 && read_stat(pid, &state) && (state == 'T' || state == 't');
}

bool proc_signal(pid_t pid, uint64_t start_time, int sig)
{
	int fd = pid > 0 ? pidfd_open(pid, 0) : -1;
	bool sent;

	/* opened first, looked at then: the pid cannot pass to another process in between */
	sent = proc_alive(pid, start_time) &&
	       (fd >= 0 ? pidfd_send_signal(fd, sig, NULL, 0) : kill(pid, sig)) == 0;
	if (fd >= 0)
		close(fd);
	return sent;
}
