#include "core/broker/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "core/proc.h"

int netns_enter(const char *path, int *ret_before, struct err *e)
{
	int fd;

	*ret_before = -1;
	/* the second as after labfile_join() */
	if (!path || !path[0] || proc_in_namespace(path))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		err_set_errno(e, ERR_NOTFOUND, errno, "cannot open the lab's network '%s'", path);
		return err_hint(e, "mqaudit lab status tells whether the lab is up");
	}
	*ret_before = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*ret_before < 0 || setns(fd, CLONE_NEWNET) != 0) {
		int errnum = errno;

		close(fd);
		if (*ret_before >= 0)
			close(*ret_before);
		*ret_before = -1;
		err_set_errno(e, ERR_DENIED, errnum, "cannot enter the lab's network '%s'", path);
		return err_hint(e, "the lab's network is for root");
	}
	close(fd);
	return 0;
}

void netns_leave(int before)
{
	if (before < 0)
		return;
	if (setns(before, CLONE_NEWNET) != 0)
		BUG("cannot leave the lab's network namespace: %s", strerror(errno));
	close(before);
}
