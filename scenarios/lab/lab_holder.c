#include "scenarios/lab/lab_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/paths.h"
#include "core/proc.h"

#define FIRST_FD 20 /* of the namespaces, in the holder */
#define MAKE_NS (20 * NS_PER_S)
#define SAYS_READY 'r'
#define SAYS_DENIED 'd'
#define SAYS_KEEP 'k'

void lab_holder_netns(pid_t pid, size_t i, char *ret, size_t len)
{
	snprintf(ret, len, "/proc/%d/fd/%zu", (int)pid, FIRST_FD + i);
}

/* --- the holder */

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* We stay who we are: the ledger's server, for one, does not run as root. */
static bool make_user_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWUSER) != 0)
		return false;
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (!write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return write_text("/proc/self/gid_map", map);
}

static bool make_network(size_t i)
{
	int fd;

	if (unshare(CLONE_NEWNET) != 0)
		return false;
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && dup2(fd, FIRST_FD + (int)i) >= 0 && close(fd) == 0;
}

static bool make_all(size_t n)
{
	bool ok = make_user_namespace();

	for (size_t i = 0; ok && i < n; i++)
		ok = make_network(i);
	/* it lives in none of them: whoever does is ended with the lab */
	return ok && unshare(CLONE_NEWNET) == 0;
}

int lab_holder_main(size_t n, int control_fd)
{
	char said = 0;
	ssize_t got;

	/* out of the way of the numbers that the namespaces get */
	control_fd = fcntl(control_fd, F_DUPFD_CLOEXEC, FIRST_FD + LAB_HOLDER_MAX);
	if (control_fd < 0 || n > LAB_HOLDER_MAX)
		return 1;
	said = make_all(n) ? SAYS_READY : SAYS_DENIED;
	if (write(control_fd, &said, 1) != 1 || said != SAYS_READY)
		return 1;
	do {
		got = read(control_fd, &said, 1);
	} while (got < 0 && errno == EINTR);
	if (got != 1 || said != SAYS_KEEP)
		return 0;
	close(control_fd);
	for (;;)
		pause();
}

/* --- who starts it */

static int wait_ready(int fd, struct err *e)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	int64_t deadline = clock_ns() + MAKE_NS;
	char said = 0;
	int n;

	do {
		int64_t left = deadline - clock_ns();

		n = poll(&pfd, 1, left > 0 ? (int)(left / NS_PER_MS) + 1 : 0);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return err_set(e, ERR_TIMEOUT, "making namespaces takes too long");
	if (n < 0 || read(fd, &said, 1) != 1)
		return err_set(e, ERR_IO, "who makes the namespaces has failed");
	return said == SAYS_READY
		       ? 0
		       : err_set(e, ERR_DENIED,
				 "this user cannot make user and network namespaces here");
}

int lab_holder_start(size_t n, struct lab_holder *ret, struct err *e)
{
	char program[PATHS_MAX], count[24], fd_text[24];
	const char *argv[] = {
		program, "lab", "holder", "--namespaces", count, "--control", fd_text, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int fds[2], r;

	*ret = (struct lab_holder){.control_fd = -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot make a socket");
	proc_own_program(program, sizeof(program));
	snprintf(count, sizeof(count), "%zu", n);
	snprintf(fd_text, sizeof(fd_text), "%d", fds[1]);
	spec.argv = argv;
	spec.cwd = "/";
	spec.keep_fd = fds[1];
	spec.new_session = true;
	r = proc_start(&spec, &ret->pid, e);
	close(fds[1]);
	ret->control_fd = fds[0];
	if (r == 0) {
		ret->start_time = proc_start_time(ret->pid);
		r = wait_ready(fds[0], e);
	}
	if (r)
		lab_holder_drop(ret);
	return r;
}

int lab_holder_keep(struct lab_holder *h, struct err *e)
{
	char say = SAYS_KEEP;
	int r = 0;

	if (send(h->control_fd, &say, 1, MSG_NOSIGNAL) != 1)
		r = err_set_errno(e, ERR_IO, errno, "who keeps the lab's namespaces is gone");
	close(h->control_fd);
	h->control_fd = -1;
	return r;
}

void lab_holder_drop(struct lab_holder *h)
{
	int status;

	if (h->control_fd >= 0)
		close(h->control_fd);
	h->control_fd = -1;
	if (h->pid <= 0)
		return;
	kill(h->pid, SIGKILL); /* our own child, not reaped yet */
	while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
		;
	h->pid = 0;
}
