#ifndef SCENARIOS_LAB_LAB_PROCESS_H
#define SCENARIOS_LAB_LAB_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"
#include "scenarios/lab/lab.h"

/* The processes of a lab: always by pid and start time, never by name. */

/*
 * Start the program of a node inside its namespace, with its output appended to node->log and its
 * pid written down. Whatever still lives in the node's namespace, from a start that was cut off
 * before its pid was known, is killed first. Returns 0 or what proc_start(), lab_save() say.
 */
MUST_CHECK int lab_spawn(
	struct lab *lab, struct labfile_node *node, const char *const *argv, struct err *e);

/*
 * Wait until no thread of the process is left (a killed JVM is a zombie first, while its threads
 * still hold files); reaps it when it is our child. Returns 0 or ERR_TIMEOUT.
 */
MUST_CHECK int lab_wait_gone(pid_t pid, uint64_t start_time, int64_t timeout_ns, struct err *e);

/*
 * SIGKILL every process that lives in the network namespace at path, but for this one and its
 * parents, and wait until they are gone. A namespace that is not there holds nobody. With ask_first
 * they get SIGTERM and two seconds before. ret_n (may be NULL): how many there were. Returns 0 or
 * ERR_TIMEOUT, ERR_IO.
 */
MUST_CHECK int lab_clear_netns(const char *path, bool ask_first, int *ret_n, struct err *e);

/*
 * Run a command inside a namespace and wait for its end: output in out (may be NULL), input to its
 * stdin (may be NULL). A non-zero exit is ERR_IO with its output in the message.
 */
MUST_CHECK int lab_run_inside(const char *netns, const char *const *argv, const char *input,
	int64_t timeout_ns, struct buf *out, struct err *e);

/*
 * Start a guard process: it waits for pid's end and then takes the lab down; with only_unfinished
 * only if it is still half made. The guard has a session of its own. Returns 0 and its pid and
 * start time.
 */
MUST_CHECK int lab_start_guard(const struct lab *lab, pid_t pid, uint64_t start_time,
	bool only_unfinished, pid_t *ret_pid, uint64_t *ret_start_time, struct err *e);

/*
 * Wait until that process, anybody's, has ended, or until clock_ns() is deadline_ns (0: no limit).
 * Returns 0, ERR_TIMEOUT or ERR_IO.
 */
MUST_CHECK int lab_wait_end_of(pid_t pid, uint64_t start_time, int64_t deadline_ns, struct err *e);

/* Open a namespace for setns(2); the caller closes it. ERR_NOTFOUND when it is not there. */
MUST_CHECK int lab_open_netns(const char *path, int *ret_fd, struct err *e);

/*
 * The last lines of a log file, joined, for an error message: of its complaints (errors,
 * exceptions) if it has any near its end, and without stack traces. "" when there are none.
 */
void lab_last_words(const char *path, char *ret, size_t len);

#endif
