/* The process that holds a node's disk: see lab_disk.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/mountinfo.h"

#define MOUNTINFO_MAX ((size_t)4 << 20)
#define LOOP_TRIES 64

/*
 * Our copies of other namespaces' files would keep those namespaces alive behind the back of
 * whoever removes them.
 */
static void let_go_of_namespaces(void)
{
	char *text = NULL, *line, *rest = NULL;

	if (paths_read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, NULL) != 0)
		return;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char path[PATHS_MAX];

		if (!strstr(line, " - nsfs ") || sscanf(line, "%*s %*s %*s %*s %511s", path) != 1)
			continue;
		mountinfo_unescape(path);
		(void)umount2(path, MNT_DETACH);
	}
	free(text);
}

/* A namespace of our own: what is mounted here is seen nowhere else, what others unmount goes. */
static int leave(struct err *e)
{
	if (unshare(CLONE_NEWNS) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot set the mounts apart");
	let_go_of_namespaces();
	return 0;
}

/* Put the image behind a free loop device, which frees itself with its last user. */
static int attach(const char *image, char *ret_device, size_t len, int *ret_fd, struct err *e)
{
	struct loop_config config = {.info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int file = open(image, O_RDWR | O_CLOEXEC), fd = -1, r = ERR_IO;

	if (control < 0 || file < 0) {
		r = err_set_errno(e, ERR_IO, errno, "cannot open '%s'",
			control < 0 ? "/dev/loop-control" : image);
		goto out;
	}
	config.fd = (uint32_t)file;
	snprintf((char *)config.info.lo_file_name, sizeof(config.info.lo_file_name), "%s", image);
	/* somebody else may take the free one before us */
	for (int i = 0; r && i < LOOP_TRIES; i++) {
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		snprintf(ret_device, len, "/dev/loop%d", n);
		fd = n < 0 ? -1 : open(ret_device, O_RDWR | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
			r = fd < 0 ? ERR_IO : 0;
			break;
		}
		r = errno == EBUSY ? ERR_LIMIT : ERR_IO;
		close(fd);
		fd = -1;
		if (r == ERR_IO)
			break;
	}
	if (r)
		r = err_set_errno(e, ERR_IO, errno, "cannot get a loop device for '%s'", image);
out:
	if (control >= 0)
		close(control);
	if (file >= 0)
		close(file);
	*ret_fd = fd;
	return r;
}

static _Noreturn void stay(const sigset_t *wanted)
{
	int sig;

	for (;;)
		if (sigwait(wanted, &sig) == 0)
			prctl(PR_SET_PDEATHSIG, 0); /* we are written down */
}

int lab_disk_hold(const char *image, const char *mount_point, struct err *e)
{
	char device[32];
	sigset_t wanted;
	int fd = -1, r;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	r = leave(e);
	if (r == 0)
		r = attach(image, device, sizeof(device), &fd, e);
	if (r)
		return r;
	/* an error makes it read-only, as on most machines */
	if (mount(device, mount_point, "ext4", MS_NOATIME, "errors=remount-ro") != 0) {
		r = err_set_errno(
			e, ERR_IO, errno, "cannot mount '%s' at '%s'", device, mount_point);
		close(fd);
		return r;
	}
	close(fd);
	stay(&wanted);
}
