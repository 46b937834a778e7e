#include "core/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define RED "\033[1;31m"

static enum log_level threshold = LOG_NOTE;
static int diverted_to = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char progress[LOG_PROGRESS_LINES * 256]; /* what the block shows now */
static int progress_drawn;                      /* how many lines of it are on the screen */

void log_set_level(enum log_level level)
{
	threshold = level;
}

static bool usable_terminal(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

bool log_on_terminal(void)
{
	return usable_terminal(STDERR_FILENO);
}

static bool no_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return no && *no;
}

bool log_colour(void)
{
	return !no_colour() && usable_terminal(STDERR_FILENO);
}

bool log_colour_stdout(void)
{
	return !no_colour() && usable_terminal(STDOUT_FILENO);
}

static int terminal_width(void)
{
	struct winsize ws;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	return 80;
}

/*
 * Bytes of s that fit `width` columns: counts code points, so UTF-8 text is never cut in a letter.
 */
static int fitting(const char *s, int len, int width)
{
	int columns = 0, i = 0;

	while (i < len) {
		if (((unsigned char)s[i] & 0xc0) != 0x80 && columns++ == width)
			break;
		i++;
	}
	return i;
}

static void erase_progress(void)
{
	if (progress_drawn == 0)
		return;
	for (int i = 1; i < progress_drawn; i++)
		fputs("\r\033[K\033[A", stderr);
	fputs("\r\033[K", stderr);
	progress_drawn = 0;
}

static void draw_progress(void)
{
	int width = terminal_width() - 1;
	const char *p = progress;

	while (*p && progress_drawn < LOG_PROGRESS_LINES) {
		int len = (int)strcspn(p, "\n");

		fprintf(stderr, "%s%.*s", progress_drawn ? "\n" : "", fitting(p, len, width), p);
		progress_drawn++;
		p += len;
		if (*p == '\n')
			p++;
	}
}

void log_progress(const char *text)
{
	if (!log_on_terminal())
		return;
	pthread_mutex_lock(&mutex);
	erase_progress();
	snprintf(progress, sizeof(progress), "%s", text ? text : "");
	draw_progress();
	fflush(stderr);
	pthread_mutex_unlock(&mutex);
}

/* A message may quote what a broker or a file said: no escape sequence of theirs reaches a
 * terminal. */
static void defuse(char *text)
{
	for (char *p = text; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
			*p = '?';
}

/* The kinds of lines; their order is the number that stands for them between processes. */
static const struct kind {
	enum log_level level;
	const char *colour;
	const char *prefix;
} kinds[] = {
	{LOG_ERROR, RED, "mqaudit: error: "},
	{LOG_WARN, "\033[1;33m", "mqaudit: warning: "},
	{LOG_NOTE, "", "mqaudit: "},
	{LOG_DEBUG, "\033[2m", "mqaudit: debug: "},
	{LOG_ERROR, "\033[1;36m", "mqaudit: hint: "},
};
enum { KIND_ERROR, KIND_WARN, KIND_NOTE, KIND_DEBUG, KIND_HINT, N_KINDS };

static void put_line(const char *colour, const char *prefix, const char *text)
{
	bool with_colour = *colour && log_colour();

	erase_progress();
	fprintf(stderr, "%s%s%s%s\n", with_colour ? colour : "", prefix,
		with_colour ? "\033[0m" : "", text);
	draw_progress();
	fflush(stderr);
}

/* Through the pipe, in one write. Returns false when nobody reads there: then people are told directly. */
static bool send_line(int kind, const char *text)
{
	char line[LINE_MAX_BYTES + 32];
	int len = snprintf(line, sizeof(line), LOG_DIVERTED "%d\t%s", kind, text);

	/* no text holds a carriage return: see defuse() */
	for (char *p = line; *p; p++)
		if (*p == '\n')
			*p = '\r';
	line[len++] = '\n';
	return write(diverted_to, line, (size_t)len) == len;
}

static void say(int kind, const char *text)
{
	pthread_mutex_lock(&mutex);
	if (diverted_to < 0 || !send_line(kind, text))
		put_line(kinds[kind].colour, kinds[kind].prefix, text);
	pthread_mutex_unlock(&mutex);
}

void log_divert(int fd)
{
	diverted_to = fd;
}

void log_relay(const char *line)
{
	char text[LINE_MAX_BYTES];
	int kind = *line - '0';

	if (kind < 0 || kind >= N_KINDS || line[1] != '\t')
		return;
	snprintf(text, sizeof(text), "%s", line + 2);
	for (char *p = text; *p; p++)
		if (*p == '\r')
			*p = '\n';
	defuse(text);
	say(kind, text);
}

static void vlog(int kind, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static void vlog(int kind, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES];

	if (kinds[kind].level > threshold)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	defuse(text);
	say(kind, text);
}

#define LOG_FUNCTION(name, kind)                                                                   \
	void name(const char *fmt, ...)                                                            \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, fmt);                                                                 \
		vlog(kind, fmt, ap);                                                               \
		va_end(ap);                                                                        \
	}

LOG_FUNCTION(log_error, KIND_ERROR)
LOG_FUNCTION(log_warn, KIND_WARN)
LOG_FUNCTION(log_note, KIND_NOTE)
LOG_FUNCTION(log_debug, KIND_DEBUG)
LOG_FUNCTION(log_hint, KIND_HINT)

void log_found(bool breaks, const char *text)
{
	const char *rest = strstr(text, "   ");
	char head[LINE_MAX_BYTES], tail[LINE_MAX_BYTES];

	if (!rest)
		rest = text + strlen(text);
	snprintf(head, sizeof(head), "%.*s", (int)(rest - text), text);
	snprintf(tail, sizeof(tail), "%s", rest);
	defuse(head);
	defuse(tail);
	pthread_mutex_lock(&mutex);
	put_line(breaks ? RED : "", head, tail);
	pthread_mutex_unlock(&mutex);
}

void err_print(const struct err *e)
{
	log_error("%s", e->msg);
	if (e->hint[0])
		log_hint("%s", e->hint);
}
