#include "scenarios/lab/rabbitmq_ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/broker/erlang.h"
#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/lab_process.h"
#include "scenarios/lab/rabbitmq_node.h"

#define CHILD_SLACK_NS (5 * NS_PER_S)
#define METHOD_FRAME 1

/* --- greeting, in the child: nothing but system calls */

static const uint8_t protocol_header[8] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};

/* A TLS client's hello, of version 1.2 with what every server has; no certificate of ours is asked for by then. */
static const uint8_t tls_hello[] = {22, 3, 1, 0, 89, 1, 0, 0, 85, 3, 3,
	/* 32 bytes that are random for whom they protect something */
	'm', 'q', 'a', 'u', 'd', 'i', 't', ' ', 'l', 'a', 'b', ':', ' ', 'd', 'o', 'e', 's', ' ',
	't', 'h', 'e', ' ', 'n', 'o', 'd', 'e', ' ', 'h', 'e', 'a', 'r', '?', 0,
	/* ECDHE with AES-GCM, by ECDSA and RSA */
	0, 8, 0xc0, 0x2b, 0xc0, 0x2c, 0xc0, 0x2f, 0xc0, 0x30, 1, 0,
	/* extensions: groups, point formats, signature algorithms */
	0, 36, 0, 10, 0, 6, 0, 4, 0, 23, 0, 24, 0, 11, 0, 2, 1, 0, 0, 13, 0, 16, 0, 14, 4, 3, 5, 3,
	6, 3, 8, 4, 8, 5, 4, 1, 5, 1};
#define TLS_HANDSHAKE 22

static int connect_to(const struct labfile_node *node)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)node->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (inet_pton(AF_INET, node->address, &sa.sin_addr) == 1 &&
		(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno == EINPROGRESS))
		return fd;
	close(fd);
	return -1;
}

/* One step of a connection. Returns false when it is over, with *ok told. */
static bool step(int fd, bool tls, short *events, bool *ok)
{
	const uint8_t *hello = tls ? tls_hello : protocol_header;
	size_t len = tls ? sizeof(tls_hello) : sizeof(protocol_header);
	uint8_t first;

	if (*events == POLLOUT) {
		*events = POLLIN;
		return send(fd, hello, len, MSG_NOSIGNAL) == (ssize_t)len;
	}
	*ok = recv(fd, &first, 1, 0) == 1 && first == (tls ? TLS_HANDSHAKE : METHOD_FRAME);
	return false;
}

static void greet_all(
	const struct labfile *file, const bool *ask, int64_t deadline_ns, bool *ret_ok)
{
	struct pollfd fds[LABFILE_MAX_NODES];
	size_t left = 0;

	for (size_t i = 0; i < file->n_nodes; i++) {
		fds[i] = (struct pollfd){
			.fd = ask[i] ? connect_to(&file->node[i]) : -1, .events = POLLOUT};
		left += fds[i].fd >= 0;
	}
	while (left && clock_ns() < deadline_ns) {
		int n = poll(fds, file->n_nodes, clock_left_ms(deadline_ns));

		if (n < 0 && errno != EINTR)
			return;
		for (size_t i = 0; n > 0 && i < file->n_nodes; i++) {
			if (fds[i].fd < 0 || !fds[i].revents ||
				step(fds[i].fd, file->secure, &fds[i].events, &ret_ok[i]))
				continue;
			close(fds[i].fd);
			fds[i].fd = -1;
			left--;
		}
	}
}

static bool enter(const struct labfile *file)
{
	int fd;
	bool ok;

	if (file->network == LABFILE_ON_USER_NAMESPACES)
		return labfile_join(file, NULL) == 0;
	if (!file->client_netns[0])
		return true;
	fd = open(file->client_netns, O_RDONLY | O_CLOEXEC);
	ok = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static void child_main(
	const struct labfile *file, const bool *ask, int64_t deadline_ns, int result_fd)
{
	bool ok[LABFILE_MAX_NODES] = {false};

	if (enter(file))
		greet_all(file, ask, deadline_ns, ok);
	_exit(write(result_fd, ok, sizeof(ok)) == (ssize_t)sizeof(ok) ? 0 : 1);
}

/* --- greeting, in the parent */

int rabbitmq_greet(const struct labfile *file, const bool *ask, int64_t timeout_ns, bool *ret_ok,
	struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	bool ok[LABFILE_MAX_NODES] = {false};
	struct pollfd pfd;
	int fds[2], r = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0)
		child_main(file, ask, deadline, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_set_errno(e, ERR_IO, errno, "cannot fork");
	}
	pfd = (struct pollfd){.fd = fds[0], .events = POLLIN};
	deadline += CHILD_SLACK_NS;
	while ((r = poll(&pfd, 1, clock_left_ms(deadline))) < 0 && errno == EINTR)
		;
	/* what a pipe is given in one write of this size comes in one read; nothing: it died */
	if (r == 1 && read(fds[0], ok, sizeof(ok)) != (ssize_t)sizeof(ok))
		memset(ok, 0, sizeof(ok));
	close(fds[0]);
	kill(pid, SIGKILL); /* our own child, not reaped yet */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	memcpy(ret_ok, ok, file->n_nodes * sizeof(*ret_ok));
	return 0;
}

/* --- Erlang */

int rabbitmq_eval(const struct labfile *file, const struct labfile_node *node,
	const char *expressions, int64_t timeout_ns, char *ret, size_t len, struct err *e)
{
	char folder[PATHS_MAX], home[PATHS_MAX + 16], name[160];
	struct proc_spec where = PROC_SPEC_INIT;
	struct err why = {0};
	int r = lab_enter(node->netns, &where, &why);

	rabbitmq_folder(file, folder, sizeof(folder));
	snprintf(home, sizeof(home), "%s/home", folder);
	snprintf(name, sizeof(name), "rabbit@%s", node->address);
	if (r == 0)
		r = erlang_eval(&where, home, name, expressions, timeout_ns, ret, len, &why);
	lab_leave(&where);
	return r ? err_set(e, r, "ask %s: %s", node->name, why.msg) : 0;
}
