/* The node's file system is full: a ballast file takes all that is free. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/clock.h"
#include "scenarios/lab/fault_disk.h"
#include "scenarios/lab/lab_disk.h"

#define BALLAST "mqaudit-ballast"
#define FILL_NS (10 * NS_PER_S)
#define SMALLEST 4096 /* a block */

/* Take more and more until there is nothing left, also what the node gives back meanwhile. */
static int fill(int fd, struct err *e)
{
	int64_t deadline = clock_ns() + FILL_NS;
	off_t at = 0, chunk = (off_t)1 << 30;
	struct statvfs fs;

	while (clock_ns() < deadline) {
		if (fallocate(fd, 0, at, chunk) == 0) {
			at += chunk;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != ENOSPC)
			return err_set_errno(e, ERR_IO, errno, "cannot fill the disk");
		if (chunk > SMALLEST) {
			chunk /= 2;
			continue;
		}
		if (fstatvfs(fd, &fs) == 0 && fs.f_bavail == 0)
			return 0;
		at += SMALLEST; /* a hole in the file is no matter */
	}
	return err_set(e, ERR_TIMEOUT, "the disk does not get full");
}

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	char path[PATHS_MAX + 64];
	int fd, r = fault_disk_begin(lab, fault, e);

	if (r)
		return r;
	lab_disk_path(fault_node(lab, fault), BALLAST, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set_errno(e, ERR_IO, errno, "cannot make '%s'", path);
	r = fill(fd, e);
	close(fd); /* an open descriptor would pin the disk */
	return r;
}

static int prove(struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	(void)e;
	fault_disk_prove(lab, fault, lab->kind->disk_error(ENOSPC), timeout_ns);
	return 0;
}

static int heal(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct labfile_node *node = fault_node(lab, fault);
	char path[PATHS_MAX + 64];
	int r = 0;

	if (lab_disk_look(node) == LABFILE_DISK_UNMOUNTED)
		r = lab_disk_mount(lab, node, false, e);
	if (r)
		return r;
	lab_disk_path(node, BALLAST, path, sizeof(path));
	if (unlink(path) != 0 && errno != ENOENT)
		return err_set_errno(e, ERR_IO, errno, "cannot remove '%s'", path);
	if (*fault->proof)
		fault_disk_wait_end(lab, node);
	node->may_end = false;
	if (labfile_node_alive(lab->file, node))
		return lab_save(lab, e);
	return lab_start_node(lab, node, e);
}

const struct fault_ops fault_diskfull = {
	.name = "diskfull",
	.summary = "fill the node's file system",
	.args = "",
	.needs = FAULT_NEEDS_ROOT,
	.check = fault_disk_check,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 1,
};
