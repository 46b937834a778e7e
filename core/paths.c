#include "core/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"

static int state_root(char *ret, size_t len, struct err *e)
{
	const char *own = getenv("MQAUDIT_STATE"), *xdg = getenv("XDG_STATE_HOME"),
		   *home = getenv("HOME");
	int n;

	if (own && *own)
		n = snprintf(ret, len, "%s", own);
	else if (geteuid() == 0)
		n = snprintf(ret, len, "/var/lib/mqaudit");
	else if (xdg && *xdg)
		n = snprintf(ret, len, "%s/mqaudit", xdg);
	else if (home && *home)
		n = snprintf(ret, len, "%s/.local/state/mqaudit", home);
	else
		return err_set(e, ERR_USAGE, "no state folder: set MQAUDIT_STATE");
	if (n < 0 || (size_t)n >= len)
		return err_set(e, ERR_LIMIT, "the state folder's name is too long");
	if (ret[0] != '/')
		return err_set(e, ERR_USAGE, "the state folder '%s' must be an absolute path", ret);
	return 0;
}

int paths_state(const char *sub, char *ret, size_t len, struct err *e)
{
	size_t n;
	int r = state_root(ret, len, e);

	if (r || !sub)
		return r;
	n = strlen(ret);
	if (n + strlen(sub) + 2 > len)
		return err_set(e, ERR_LIMIT, "the state folder's name is too long");
	snprintf(ret + n, len - n, "/%s", sub);
	return 0;
}

int paths_make(const char *path, mode_t mode, struct err *e)
{
	char part[PATHS_MAX];
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len == 0)
		return err_set(e, ERR_USAGE, "an empty path");
	if (len >= sizeof(part))
		return err_set(e, ERR_LIMIT, "the path '%.60s...' is too long", path);
	memcpy(part, path, len);
	part[len] = '\0';
	for (size_t i = 1; i <= len; i++) {
		struct stat st;

		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, i == len ? mode : 0755) != 0) {
			if (errno != EEXIST)
				return err_set_errno(
					e, ERR_IO, errno, "cannot make folder '%s'", part);
			if (stat(part, &st) != 0 || !S_ISDIR(st.st_mode))
				return err_set(e, ERR_IO, "'%s' is not a folder", part);
		}
		part[i] = i == len ? '\0' : '/';
	}
	return 0;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_file(const char *path, mode_t mode, const void *data, size_t len, struct err *e)
{
	char tmp[PATHS_MAX + 16];
	int fd, r = 0;

	if (strlen(path) >= PATHS_MAX)
		return err_set(e, ERR_LIMIT, "the path '%.60s...' is too long", path);
	snprintf(tmp, sizeof(tmp), "%s.%d.tmp", path, (int)gettid());
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return err_set_errno(e, ERR_IO, errno, "cannot write '%s'", tmp);
	if (write_all(fd, data, len) != 0 || fsync(fd) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot write '%s'", tmp);
	if (close(fd) != 0 && r == 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot write '%s'", tmp);
	if (r == 0 && rename(tmp, path) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot replace '%s'", path);
	if (r)
		unlink(tmp);
	return r;
}

int paths_write_file(const char *path, const void *data, size_t len, struct err *e)
{
	return write_file(path, 0644, data, len, e);
}

int paths_write_secret(const char *path, const void *data, size_t len, struct err *e)
{
	return write_file(path, 0600, data, len, e);
}

int paths_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0, cap = 4096;
	char *data = NULL;
	int r = 0;

	if (fd < 0)
		return err_set_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
			"cannot read '%s'", path);
	for (;;) {
		char *more = realloc(data, cap + 1);
		ssize_t n;

		if (!more) {
			r = err_set(e, ERR_NOMEM, "out of memory for '%s'", path);
			break;
		}
		data = more;
		n = read(fd, data + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = err_set_errno(e, ERR_IO, errno, "cannot read '%s'", path);
			break;
		}
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max) {
			r = err_set(e, ERR_LIMIT, "'%s' is larger than %zu bytes", path, max);
			break;
		}
		if (len == cap)
			cap *= 2;
	}
	close(fd);
	if (r) {
		free(data);
		return r;
	}
	data[len] = '\0';
	*ret = data;
	if (ret_len)
		*ret_len = len;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

int paths_remove_tree(const char *path, struct err *e)
{
	if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT)
		return err_set_errno(e, ERR_IO, errno, "cannot remove '%s'", path);
	return 0;
}

/* Does the open file still stand at path, or did its last holder remove it? */
static bool still_there(int fd, const char *path)
{
	struct stat open_file, named;

	return fstat(fd, &open_file) == 0 && stat(path, &named) == 0 &&
	       open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

int paths_lock(const char *path, int64_t timeout_ns, int *ret_fd, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;

	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), errnum;

		if (fd < 0)
			return err_set_errno(e, ERR_IO, errno, "cannot open lock file '%s'", path);
		errnum = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
		if (!errnum && still_there(fd, path)) {
			*ret_fd = fd;
			return 0;
		}
		close(fd);
		if (errnum && errnum != EWOULDBLOCK && errnum != EINTR)
			return err_set_errno(e, ERR_IO, errnum, "cannot lock '%s'", path);
		if (errnum && clock_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT, "'%s' is locked by another process", path);
		if (errnum)
			clock_sleep_ns(20 * NS_PER_MS);
	}
}
