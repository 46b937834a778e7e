/*
 * The node's disk turns read-only while files are open for writing: what ext4 does by itself when
 * it finds an error and is mounted with errors=remount-ro.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "scenarios/lab/fault_disk.h"
#include "scenarios/lab/lab_disk.h"

/* Make the file system believe that it has an error. */
static int trigger_error(const struct labfile_node *node, struct err *e)
{
	static const char words[] = "mqaudit lab fault readonly";
	char device[80], path[160];
	int fd, r = lab_disk_device(node, device, sizeof(device), e);

	if (r)
		return r;
	snprintf(path, sizeof(path), "/sys/fs/ext4/%s/trigger_fs_error", device);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, words, sizeof(words) - 1) != (ssize_t)sizeof(words) - 1)
		r = err_set_errno(e, ERR_IO, errno, "cannot write to '%s'", path);
	if (fd >= 0)
		close(fd);
	return r;
}

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct labfile_node *node = fault_node(lab, fault);
	int r = fault_disk_begin(lab, fault, e);

	if (r == 0)
		r = trigger_error(node, e);
	if (r == 0 && lab_disk_look(node) != LABFILE_DISK_READONLY)
		r = err_set(e, ERR_STATE, "its disk does not turn read-only: it is %s",
			labfile_disk_state_text(lab_disk_look(node)));
	return r;
}

static int prove(struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	(void)e;
	fault_disk_prove(lab, fault, lab->kind->disk_error(EROFS), timeout_ns);
	return 0;
}

/* Its journal has stopped: it cannot be made writable again without a check. */
static int heal(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	return fault_disk_replace(lab, fault, true, NULL, e);
}

const struct fault_ops fault_readonly = {
	.name = "readonly",
	.summary = "the node's file system turns read-only",
	.args = "",
	.needs = FAULT_NEEDS_ROOT,
	.check = fault_disk_check,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 1,
};
