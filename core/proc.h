#ifndef CORE_PROC_H
#define CORE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"
#include "core/err.h"

/*
 * Child processes: start, capture, wait with a deadline, end. Always by pid, never by name.
 */

struct proc_spec {
	const char *const
		*argv; /* NULL-terminated; argv[0] is looked up in PATH unless it has a slash */
	const char *const *env; /* NULL-terminated "NAME=value" added to our environment; or NULL */
	const char *cwd;        /* or NULL: ours */
	const char *stdin_file; /* or NULL: /dev/null */
	const char
		*output_file; /* stdout and stderr are appended to it; NULL: see inherit_output */
	bool inherit_output; /* keep our stdout and stderr (with output_file NULL); else /dev/null */
	int keep_fd;   /* this descriptor stays open in the child, under its number; -1: none */
	int userns_fd; /* enter this user namespace first, and keep all rights there; -1: stay */
	int netns_fd;  /* then this network namespace; -1: stay */
	pid_t mntns_of; /* and this process's mount namespace and root, once our files are open; 0: stay */
	uid_t uid; /* run as this user when it differs from ours (0 and we are root: root) */
	gid_t gid;
	bool until_closed; /* proc_run(): not its end counts but that of its output, which a daemon
	                             that it leaves behind may hold */
	bool new_session;  /* setsid(): a terminal's Ctrl-C does not reach it */
	int death_signal;  /* sent to it when the thread that started it ends; 0: none */
};

#define PROC_SPEC_INIT                                                                             \
	{                                                                                          \
		.keep_fd = -1, .userns_fd = -1, .netns_fd = -1                                     \
	}

/*
 * Start a process. Returns 0, with its pid, or ERR_IO, ERR_NOTFOUND (no such program), ERR_DENIED.
 * The caller reaps it with proc_wait().
 */
MUST_CHECK int proc_start(const struct proc_spec *spec, pid_t *ret_pid, struct err *e);

/*
 * Wait until pid ended or timeout_ns passed (negative: for ever). Ours to reap only.
 * Returns 0 with the wait status, or ERR_TIMEOUT.
 */
MUST_CHECK int proc_wait(pid_t pid, int64_t timeout_ns, int *ret_status, struct err *e);

/*
 * Run to the end, with stdout (and stderr, when with_stderr) collected in out, up to 64 MiB; input (may
 * be NULL) goes to its stdin. What a daemon that it left behind writes later is not waited for. Killed
 * with SIGKILL at the deadline, and when we are killed (the process only: not what it started). Returns 0 and the exit code (128 + signal for a
 * signal), ERR_TIMEOUT, or what proc_start() says.
 */
MUST_CHECK int proc_run(const struct proc_spec *spec, const char *input, bool with_stderr,
	int64_t timeout_ns, struct buf *out, int *ret_exit, struct err *e);

/*
 * As proc_run() for a command that must succeed: a non-zero exit is ERR_IO with the command's last lines
 * of output in the message. out may be NULL.
 */
MUST_CHECK int proc_check(const char *const *argv, const char *input, int64_t timeout_ns,
	struct buf *out, struct err *e);

/*
 * When a process started, in clock ticks since boot (/proc/PID/stat): with the pid it names a process for
 * good, so that a reused pid is never signalled. 0 when there is no such process.
 */
uint64_t proc_start_time(pid_t pid);

/* Is pid alive (a zombie is not), and still the one that started at start_time (0: any)? */
bool proc_alive(pid_t pid, uint64_t start_time);

/* Does pid stand still, by SIGSTOP or under a debugger? Right after the signal it may not yet. */
bool proc_stopped(pid_t pid);

/* Send a signal if it is still that process. Returns false when it is gone. */
bool proc_signal(pid_t pid, uint64_t start_time, int sig);

/*
 * The path of this very program, to start it again; or $MQAUDIT_PROGRAM, for test programs that stand in
 * for it. When the file was replaced since we started (a new build), a link that still leads to what we
 * are. len of at least 2 is a precondition.
 */
void proc_own_program(char *ret, size_t len);

/*
 * Keep all rights that this process has in its user namespace for what it executes: an ordinary user's
 * would lose them otherwise. Between fork and exec as well. What the kernel refuses is left out.
 */
void proc_keep_rights(void);

/* The path of a process's user namespace; and is a path the user or network namespace that we are in? */
void proc_userns_path(pid_t pid, char *ret, size_t len);
bool proc_in_namespace(const char *path);

/* Where a program is found in PATH or, behind it, in the sbin folders. False: nowhere. */
bool proc_find_program(const char *name, char *path, size_t len);

#endif
