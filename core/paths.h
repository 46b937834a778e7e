#ifndef CORE_PATHS_H
#define CORE_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/err.h"

/* Where mqaudit keeps its state, and small helpers for files. */

#define PATHS_MAX 512

/*
 * The state folder: $MQAUDIT_STATE, or /var/lib/mqaudit for root, else $XDG_STATE_HOME/mqaudit or
 * ~/.local/state/mqaudit; with `sub` ("ledger", "journal", "lab") behind it. Not created.
 *
 * Returns 0, ERR_USAGE (no home and no variable, or not absolute) or ERR_LIMIT.
 */
MUST_CHECK int paths_state(const char *sub, char *ret, size_t len, struct err *e);

/* Make a folder and its parents (mode for the last, 0755 for the others). Fine when it exists. */
MUST_CHECK int paths_make(const char *path, mode_t mode, struct err *e);

/*
 * Write a file (mode 0644) in one step: a temporary beside it, fsync, rename; readers see the old or the
 * new one. ERR_LIMIT when the path has PATHS_MAX bytes or more.
 */
MUST_CHECK int paths_write_file(const char *path, const void *data, size_t len, struct err *e);

/* As paths_write_file(), readable by the owner alone (mode 0600) from its first byte on. */
MUST_CHECK int paths_write_secret(const char *path, const void *data, size_t len, struct err *e);

/* Read a whole file of at most max bytes into a malloc'ed, NUL-terminated buffer that the caller frees.
 * ERR_NOTFOUND when there is none, ERR_LIMIT when it is larger. */
MUST_CHECK int paths_read_file(
	const char *path, size_t max, char **ret, size_t *ret_len, struct err *e);

/* Remove a folder and all below it; never follows a link, never crosses into another file system. */
MUST_CHECK int paths_remove_tree(const char *path, struct err *e);

/*
 * Take the lock file `path` (made when missing) exclusively, waiting up to timeout_ns.
 * Returns 0 with a file descriptor whose closing (also by the end of the process) frees the lock,
 * ERR_TIMEOUT when another process holds it, or ERR_IO. The holder may remove the file: whoever gets
 * the lock of a removed file takes that of the new one instead.
 */
MUST_CHECK int paths_lock(const char *path, int64_t timeout_ns, int *ret_fd, struct err *e);

#endif
