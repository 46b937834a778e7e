#include "scenarios/lab/lab_ping.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/lab_process.h"

#define SLACK_NS (20 * NS_PER_S) /* for a child on a busy machine, over what it asks with */

static int ask_directly(const char *netns, struct kafka_ping *ping, size_t n,
	struct kafka_view *ret_view, struct err *ret_err, struct err *e)
{
	int fd = -1, r = *netns ? lab_open_netns(netns, &fd, e) : 0;

	for (size_t i = 0; i < n; i++)
		ping[i].netns_fd = fd;
	if (r == 0)
		kafka_ping_each(ping, n, ret_view, ret_err);
	if (fd >= 0)
		close(fd);
	return r;
}

/* --- a child that is inside. Views and errors are plain values: their bytes go through the pipe. */

static void write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			_exit(1);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

static void child_main(const struct labfile *file, struct kafka_ping *ping, size_t n, int fd)
{
	struct kafka_view *view = calloc(n, sizeof(*view));
	struct err *err = calloc(n, sizeof(*err)), joined = {0};

	if (!view || !err)
		_exit(1);
	if (labfile_join(file, &joined) == 0)
		kafka_ping_each(ping, n, view, err);
	for (size_t i = 0; joined.code && i < n; i++)
		err[i] = joined;
	write_all(fd, view, n * sizeof(*view));
	write_all(fd, err, n * sizeof(*err));
	_exit(0);
}

static int read_all(int fd, void *data, size_t len, int64_t deadline_ns, struct err *e)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char *p = data;

	while (len) {
		int64_t left = deadline_ns - clock_ns();
		ssize_t got;
		int n = left > 0 ? poll(&pfd, 1, (int)(left / NS_PER_MS) + 1) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_TIMEOUT, "who asks the nodes does not come back");
		got = read(fd, p, len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_set(e, ERR_IO, "who asks the nodes has failed");
		p += got;
		len -= (size_t)got;
	}
	return 0;
}

static int ask_by_child(const struct labfile *file, struct kafka_ping *ping, size_t n,
	struct kafka_view *ret_view, struct err *ret_err, struct err *e)
{
	int64_t deadline = clock_ns() + SLACK_NS;
	int fds[2], r;
	pid_t pid;

	for (size_t i = 0; i < n; i++) {
		ping[i].netns_fd = -1; /* it has joined */
		if (ping[i].timeout_ns + SLACK_NS > deadline - clock_ns())
			deadline = clock_ns() + ping[i].timeout_ns + SLACK_NS;
	}
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0)
		child_main(file, ping, n, fds[1]);
	close(fds[1]);
	r = pid < 0 ? err_set_errno(e, ERR_IO, errno, "cannot fork") : 0;
	if (r == 0)
		r = read_all(fds[0], ret_view, n * sizeof(*ret_view), deadline, e);
	if (r == 0)
		r = read_all(fds[0], ret_err, n * sizeof(*ret_err), deadline, e);
	close(fds[0]);
	if (pid > 0) {
		kill(pid, SIGKILL); /* our own child, not reaped yet */
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return r;
}

int lab_ping_each(const struct labfile *file, const char *netns, struct kafka_ping *ping, size_t n,
	struct kafka_view *ret_view, struct err *ret_err, struct err *e)
{
	if (n == 0)
		return 0;
	if (file->network == LABFILE_ON_USER_NAMESPACES && !proc_in_namespace(file->client_netns))
		return ask_by_child(file, ping, n, ret_view, ret_err, e);
	return ask_directly(netns, ping, n, ret_view, ret_err, e);
}
