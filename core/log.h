#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdbool.h>

#include "core/err.h"

/*
 * The chatter: lines on standard error, each whole, also from several threads. Standard output is the
 * product and never touched here. Lower layers do not log: they return errors; the command layer logs.
 */
enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTE, LOG_DEBUG };

/* Lines above this level are dropped; LOG_NOTE at the start. Set once, before threads start. */
void log_set_level(enum log_level level);

/* Colour and the progress line are for terminals: is standard error one (and TERM not dumb)? */
bool log_on_terminal(void);

/* May colour be used on standard error, or on standard output (NO_COLOR, TERM=dumb, not a terminal)? */
bool log_colour(void);
bool log_colour_stdout(void);

/* One line: "mqaudit: error: ..." and the like; a running progress line is drawn again below it. */
void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_note(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_hint(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * A finding that just came up: one line as it is, without the program's name, that scrolls out above the
 * progress and stays; also with --quiet. breaks: it breaks the promise, and its head, the text up to the
 * first three blanks, is coloured.
 */
void log_found(bool breaks, const char *text);

/*
 * Lines go into a pipe from now on, each as LOG_DIVERTED, a number for its kind, and its text: the process
 * at the other end has a progress block on the same terminal, and gives what follows LOG_DIVERTED to
 * log_relay(), which prints it. fd must not block; a line that it does not take goes to standard error.
 * Called once, before threads start.
 */
#define LOG_DIVERTED "said\t"
void log_divert(int fd);
void log_relay(const char *line);

/* Print an error and its hint, once, at the command layer. */
void err_print(const struct err *e);

/*
 * The live progress block on a terminal: up to LOG_PROGRESS_LINES lines, redrawn in place, cut to the
 * width of the terminal. text is lines separated by '\n'; NULL or "" takes the block away.
 * Not on a terminal it does nothing.
 */
#define LOG_PROGRESS_LINES 8
void log_progress(const char *text);

#endif
