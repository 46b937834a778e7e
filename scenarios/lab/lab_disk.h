#ifndef SCENARIOS_LAB_LAB_DISK_H
#define SCENARIOS_LAB_LAB_DISK_H

#include "scenarios/lab/lab.h"

/*
 * The nodes' own disks: each an ext4 in a sparse file, loop-mounted in a mount namespace that only
 * this node lives in, so that nobody else pins it. A small process, the holder, keeps the namespace
 * and does nothing else. Mount and loop device exist as long as somebody lives in the namespace:
 * whoever ends its processes has unmounted the disk, and there is nothing else to clean up.
 *
 * Whoever sees the mount lives in the node: lab_disk_unmount() ends these, known or not.
 * Everything here is for labs with file->disk_bytes.
 */

#define LAB_DISK_DEFAULT ((uint64_t)2 << 30)
#define LAB_DISK_MIN ((uint64_t)128 << 20) /* Kafka sets aside 10 MB for the index of a segment */
#define LAB_DISK_MAX ((uint64_t)1 << 40)

/*
 * Make the file system of every node and mount it; sets the nodes' data folders. ERR_NOTFOUND: no
 * mkfs.ext4.
 */
MUST_CHECK int lab_disk_make_all(struct lab *lab, struct err *e);

/*
 * Mount the node's disk anew; whoever still lives on it is killed first. Where the old mount is
 * held by a process outside, a sparse copy of the disk is mounted instead (the dead file system
 * would come back). With check, e2fsck goes over it before. Blocks up to a minute. Returns 0, or
 * ERR_IO, ERR_TIMEOUT, ERR_NOSPACE.
 */
MUST_CHECK int lab_disk_mount(
	struct lab *lab, struct labfile_node *node, bool check, struct err *e);

/*
 * Kill whoever lives on the node's disk, the holder last of all, and wait up to 5 s until its loop
 * device is free. Fine when it is not mounted. Returns 0 or ERR_TIMEOUT: a process outside holds
 * it.
 */
MUST_CHECK int lab_disk_unmount(struct lab *lab, struct labfile_node *node, struct err *e);

/* Make sure that the node can start: mounts its disk if nobody holds it and no fault is on. */
MUST_CHECK int lab_disk_ready(struct lab *lab, struct labfile_node *node, struct err *e);

/*
 * Write back all that the nodes have written so far: what was made before the cluster is used
 * survives a power cut as on machines that were installed long ago. Blocks as long as it takes.
 */
MUST_CHECK int lab_disk_sync_all(struct lab *lab, struct err *e);

/* How the disk is now. Reads only. */
enum labfile_disk_state lab_disk_look(const struct labfile_node *node);

/* The process whose mount namespace has the node's disk. ERR_STATE: it is not mounted. */
MUST_CHECK int lab_disk_holder(const struct labfile_node *node, pid_t *ret_pid, struct err *e);

/*
 * A path on the node's disk, as it can be reached from here: name is relative to the mount point
 * ("" for itself). An open descriptor of it pins the disk.
 */
void lab_disk_path(const struct labfile_node *node, const char *name, char *ret, size_t len);

/* The name of the disk's block device, "loop3". ERR_STATE when it is not mounted. */
MUST_CHECK int lab_disk_device(
	const struct labfile_node *node, char *ret, size_t len, struct err *e);

/*
 * Shut the file systems of the nodes down at once and without writing anything back, as a power cut
 * does (EXT4_IOC_SHUTDOWN). ret_spread_ns: from the first to the last. All are opened before the
 * first is shut down. Returns 0 or ERR_IO: some may be down then.
 */
MUST_CHECK int lab_disk_shut_down(
	struct labfile_node *const *nodes, size_t n, int64_t *ret_spread_ns, struct err *e);

/*
 * The holder: mount the image (ext4) at the path in a mount namespace of its own and stay. Until
 * SIGUSR1 comes it ends with its parent (who started it with death_signal); then by SIGKILL only.
 * Never returns 0. For the process that does nothing else.
 */
MUST_CHECK int lab_disk_hold(const char *image, const char *mount_point, struct err *e);

#endif
