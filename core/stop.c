#include "core/stop.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static volatile bool flag;
static const char *left_text;

static void on_signal(int sig)
{
	(void)sig;
	if (asked++ == 0) {
		flag = true;
		return;
	}
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
