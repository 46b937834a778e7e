#ifndef CORE_STOP_H
#define CORE_STOP_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Ctrl-C and SIGTERM: the first asks to end in order, the second ends the process at once with exit code
 * 130, after a line that says what is left for later. One per process; the handler only sets a flag.
 */

/* Install the handlers. `left` is that line (a constant, with its newline), or NULL. */
void stop_install(const char *left);

/*
 * A child process that the second one takes along, with SIGKILL; at most STOP_MAX_CHILDREN. stop_spare()
 * before the child is reaped: its number may be another process's then.
 */
#define STOP_MAX_CHILDREN 4
void stop_take_along(pid_t pid);
void stop_spare(pid_t pid);

/* Was there a first one? */
bool stop_asked(void);

/* As if there had been one: for other reasons to end in order. */
void stop_ask(void);

/* The flag itself, for those who poll it inside a wait. */
const volatile bool *stop_flag(void);

#endif
