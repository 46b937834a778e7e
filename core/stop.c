#include "core/stop.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "core/err.h"

static volatile sig_atomic_t asked;
static volatile bool flag;
static const char *left_text;
static volatile pid_t children[STOP_MAX_CHILDREN]; /* 0: free */

static void on_signal(int sig)
{
	(void)sig;
	if (asked++ == 0) {
		flag = true;
		return;
	}
	for (int i = 0; i < STOP_MAX_CHILDREN; i++)
		if (children[i] > 0)
			kill(children[i], SIGKILL);
	if (left_text) {
		ssize_t ignored = write(STDERR_FILENO, left_text, strlen(left_text));

		(void)ignored;
	}
	_exit(130);
}

void stop_install(const char *left)
{
	struct sigaction sa = {.sa_handler = on_signal};

	left_text = left;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void replace_child(pid_t from, pid_t to)
{
	for (int i = 0; i < STOP_MAX_CHILDREN; i++) {
		if (children[i] == from) {
			children[i] = to;
			return;
		}
	}
	BUG_ON(from == 0);
}

void stop_take_along(pid_t pid)
{
	replace_child(0, pid);
}

void stop_spare(pid_t pid)
{
	replace_child(pid, 0);
}

bool stop_asked(void)
{
	return flag;
}

void stop_ask(void)
{
	flag = true;
}

const volatile bool *stop_flag(void)
{
	return &flag;
}
