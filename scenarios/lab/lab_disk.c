#include "scenarios/lab/lab_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/lab_process.h"
#include "scenarios/lab/mountinfo.h"

/* ext4's own, in no header for programs: stop at once, what is not in the log yet is gone. */
#define IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define SHUTDOWN_WITHOUT_LOG_FLUSH 2

#define MOUNTINFO_MAX ((size_t)4 << 20)
#define MOUNT_NS (20 * NS_PER_S)
#define FREE_NS (5 * NS_PER_S)
#define TOOL_NS (120 * NS_PER_S)
#define POLL_NS (2 * NS_PER_MS)

/* --- looking */

static bool find_mount(const struct labfile_node *node, struct mountinfo *ret)
{
	char path[48], *text = NULL;
	bool found;

	if (node->disk_pid <= 0 || !proc_alive(node->disk_pid, node->disk_start_time))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)node->disk_pid);
	if (paths_read_file(path, MOUNTINFO_MAX, &text, NULL, NULL) != 0)
		return false;
	found = mountinfo_find(text, node->disk_mount, ret);
	free(text);
	return found;
}

enum labfile_disk_state lab_disk_look(const struct labfile_node *node)
{
	struct mountinfo mount;

	if (!find_mount(node, &mount))
		return LABFILE_DISK_UNMOUNTED;
	if (mountinfo_has_option(&mount, "shutdown"))
		return LABFILE_DISK_SHUTDOWN;
	if (mountinfo_has_option(&mount, "ro") || mountinfo_has_option(&mount, "emergency_ro"))
		return LABFILE_DISK_READONLY;
	return LABFILE_DISK_MOUNTED;
}

int lab_disk_device(const struct labfile_node *node, char *ret, size_t len, struct err *e)
{
	struct mountinfo mount;

	if (!find_mount(node, &mount))
		return err_set(e, ERR_STATE, "the disk of %s is not mounted", node->name);
	snprintf(ret, len, "%s", strrchr(mount.source, '/') + 1);
	return 0;
}

int lab_disk_holder(const struct labfile_node *node, pid_t *ret_pid, struct err *e)
{
	if (node->disk_pid <= 0 || lab_disk_look(node) == LABFILE_DISK_UNMOUNTED)
		return err_set(e, ERR_STATE, "the disk of %s is not mounted", node->name);
	*ret_pid = node->disk_pid;
	return 0;
}

void lab_disk_path(const struct labfile_node *node, const char *name, char *ret, size_t len)
{
	snprintf(ret, len, "/proc/%d/root%.440s%s%s", (int)node->disk_pid, node->disk_mount,
		*name ? "/" : "", name);
}

/* Does a loop device still stand on the image? With `old` also on one of that name that was removed.
 */
static bool is_held(const char *image, bool old)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *d;
	bool held = false;

	while (dir && !held && (d = readdir(dir))) {
		char path[320], *text = NULL;

		if (strncmp(d->d_name, "loop", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", d->d_name);
		if (paths_read_file(path, 2 * PATHS_MAX, &text, NULL, NULL) != 0)
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (strncmp(text, image, strlen(image)) == 0) {
			const char *rest = text + strlen(image);

			held = !*rest || (old && strcmp(rest, " (deleted)") == 0);
		}
		free(text);
	}
	if (dir)
		closedir(dir);
	return held;
}

static bool wait_free(const char *image, bool old, int64_t timeout_ns)
{
	int64_t deadline = clock_ns() + timeout_ns;

	while (is_held(image, old)) {
		if (clock_ns() >= deadline)
			return false;
		clock_sleep_ns(POLL_NS);
	}
	return true;
}

/* --- unmount */

/* All who live on the disk are ended, which unmounts it. */
static int end_inhabitants(struct lab *lab, struct labfile_node *node, struct err *e)
{
	int r = *node->disk_mount ? lab_clear_mount(node->disk_mount, e) : 0;

	if (r == 0 && node->disk_pid) {
		node->disk_pid = 0;
		node->disk_start_time = 0;
		r = lab_save(lab, e);
		r = r == ERR_NOSPACE ? 0 : r;
	}
	return r;
}

int lab_disk_unmount(struct lab *lab, struct labfile_node *node, struct err *e)
{
	int r = end_inhabitants(lab, node, e);

	if (r == 0 && *node->disk_image && !wait_free(node->disk_image, true, FREE_NS))
		r = err_set(e, ERR_TIMEOUT,
			"the disk of %s is held by a process outside of the lab", node->name);
	return r;
}

/* --- mount */

/* The old mount will not go: leave it its file, and take a copy. */
static int copy_image(const struct labfile_node *node, struct err *e)
{
	char copy[PATHS_MAX + 8];
	const char *argv[] = {"cp", "--sparse=always", "--", node->disk_image, copy, NULL};
	int r;

	snprintf(copy, sizeof(copy), "%s.new", node->disk_image);
	r = proc_check(argv, NULL, TOOL_NS, NULL, e);
	if (r == 0 && rename(copy, node->disk_image) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot rename '%s'", copy);
	return r;
}

/* e2fsck ends with 1 when it has repaired something, which is fine. */
static int check_image(const struct labfile_node *node, struct err *e)
{
	const char *argv[] = {"e2fsck", "-f", "-y", node->disk_image, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf out;
	int code = 0, r;

	buf_init(&out, BUF_MAX_DEFAULT);
	spec.argv = argv;
	r = proc_run(&spec, NULL, true, TOOL_NS, &out, &code, e);
	if (r == 0 && code > 1)
		r = err_set(e, ERR_IO, "e2fsck ended with %d: %.400s", code, buf_str(&out));
	buf_release(&out);
	return r;
}

static int wait_mounted(const struct labfile_node *node, const char *log, struct err *e)
{
	int64_t deadline = clock_ns() + MOUNT_NS;
	char words[360];

	while (lab_disk_look(node) == LABFILE_DISK_UNMOUNTED) {
		if (!proc_alive(node->disk_pid, node->disk_start_time)) {
			lab_last_words(log, words, sizeof(words));
			return err_set(e, ERR_IO, "%s", *words ? words : "its holder has ended");
		}
		if (clock_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT, "it is not mounted after %d s",
				(int)(MOUNT_NS / NS_PER_S));
		clock_sleep_ns(POLL_NS);
	}
	return 0;
}

/* The holder ends with us until it is written down; then it is told to stay. */
static int start_holder(struct lab *lab, struct labfile_node *node, struct err *e)
{
	const char *argv[] = {
		"/proc/self/exe", "lab", "disk-holder", node->disk_image, node->disk_mount, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	char log[PATHS_MAX];
	int r;

	snprintf(log, sizeof(log), "%.400s/%s/disk.log", lab->folder, node->name);
	spec.argv = argv;
	spec.output_file = log;
	spec.new_session = true;
	spec.cwd = "/";
	spec.death_signal = SIGKILL;
	r = proc_start(&spec, &node->disk_pid, e);
	if (r)
		return r;
	node->disk_start_time = proc_start_time(node->disk_pid);
	r = wait_mounted(node, log, e);
	if (r == 0)
		r = lab_save(lab, e);
	if (r == 0 && !proc_signal(node->disk_pid, node->disk_start_time, SIGUSR1))
		r = err_set(e, ERR_STATE, "its holder has ended");
	if (r)
		proc_signal(node->disk_pid, node->disk_start_time, SIGKILL);
	return r;
}

int lab_disk_mount(struct lab *lab, struct labfile_node *node, bool check, struct err *e)
{
	int r = end_inhabitants(lab, node, e);

	if (r == 0 && !wait_free(node->disk_image, false, FREE_NS)) {
		lab_say(lab, "the old disk of %s is held from outside: going on with a copy",
			node->name);
		r = copy_image(node, e);
	}
	if (r == 0 && check)
		r = check_image(node, e);
	if (r == 0)
		r = start_holder(lab, node, e);
	if (r == 0 && lab_disk_look(node) != LABFILE_DISK_MOUNTED)
		r = err_set(e, ERR_STATE, "it is %s", labfile_disk_state_text(lab_disk_look(node)));
	return r ? err_wrap(e, "mount the disk of %s", node->name) : 0;
}

int lab_disk_ready(struct lab *lab, struct labfile_node *node, struct err *e)
{
	enum labfile_disk_state state = lab_disk_look(node);

	if (state == LABFILE_DISK_MOUNTED)
		return 0;
	if (state == LABFILE_DISK_UNMOUNTED && !node->may_end)
		return lab_disk_mount(lab, node, false, e);
	err_set(e, ERR_STATE, "the disk of %s is %s", node->name, labfile_disk_state_text(state));
	return err_hint(e, "mqaudit lab heal");
}

/* --- making */

static int make_image(const struct lab *lab, const struct labfile_node *node, struct err *e)
{
	const char *argv[] = {"mkfs.ext4", "-q", "-F", "-m", "0", "-E",
		"lazy_itable_init=1,lazy_journal_init=1,nodiscard", node->disk_image, NULL};
	int fd = open(node->disk_image, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), r = 0;

	if (fd < 0)
		return err_set_errno(e, ERR_IO, errno, "cannot make '%s'", node->disk_image);
	if (ftruncate(fd, (off_t)lab->file->disk_bytes) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot size '%s'", node->disk_image);
	close(fd);
	if (r == 0)
		r = proc_check(argv, NULL, TOOL_NS, NULL, e);
	if (r == ERR_NOTFOUND)
		err_hint(e, "apt-get install e2fsprogs");
	return r;
}

/* By the names that the kernel knows them by: without links. */
static int name_disk(const struct lab *lab, struct labfile_node *node, struct err *e)
{
	char mount_point[PATHS_MAX], *path;
	int r;

	snprintf(mount_point, sizeof(mount_point), "%.400s/%s/disk", lab->folder, node->name);
	r = paths_make(mount_point, 0755, e);
	if (r)
		return r;
	path = realpath(mount_point, NULL);
	if (!path)
		return err_set_errno(e, ERR_IO, errno, "cannot resolve '%s'", mount_point);
	if (strlen(path) > PATHS_MAX - 64)
		r = err_set(e, ERR_LIMIT, "the state folder's name is too long");
	snprintf(node->disk_mount, sizeof(node->disk_mount), "%s", path);
	snprintf(node->disk_image, sizeof(node->disk_image), "%.440s.img", path);
	/* not the mount point itself, which has lost+found in it */
	snprintf(node->data, sizeof(node->data), "%.440s/data", path);
	free(path);
	return r;
}

int lab_disk_make_all(struct lab *lab, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < lab->file->n_nodes && r == 0; i++) {
		struct labfile_node *node = &lab->file->node[i];

		r = name_disk(lab, node, e);
		if (r == 0)
			r = lab_save(lab, e);
		if (r == 0)
			r = make_image(lab, node, e);
		if (r == 0)
			r = lab_disk_mount(lab, node, false, e);
	}
	return r ? err_wrap(e, "make the nodes' disks") : 0;
}

static int open_disk(const struct labfile_node *node, int *ret_fd, struct err *e)
{
	char path[PATHS_MAX + 32];

	lab_disk_path(node, "", path, sizeof(path));
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd >= 0
		       ? 0
		       : err_set_errno(e, ERR_IO, errno, "cannot open the disk of %s", node->name);
}

int lab_disk_sync_all(struct lab *lab, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < lab->file->n_nodes && r == 0; i++) {
		int fd = -1;

		r = open_disk(&lab->file->node[i], &fd, e);
		if (r == 0 && syncfs(fd) != 0)
			r = err_set_errno(e, ERR_IO, errno, "cannot sync the disk of %s",
				lab->file->node[i].name);
		if (fd >= 0)
			close(fd);
	}
	return r;
}

/* --- the power */

int lab_disk_shut_down(
	struct labfile_node *const *nodes, size_t n, int64_t *ret_spread_ns, struct err *e)
{
	int fd[LABFILE_MAX_NODES], r = 0;
	int64_t first, last;
	size_t opened = 0;

	for (; opened < n && r == 0; opened++)
		r = open_disk(nodes[opened], &fd[opened], e);
	first = last = clock_ns();
	for (size_t i = 0; i < n && r == 0; i++) {
		uint32_t how = SHUTDOWN_WITHOUT_LOG_FLUSH;

		if (ioctl(fd[i], IOC_SHUTDOWN, &how) != 0)
			r = err_set_errno(e, ERR_IO, errno, "cannot shut down the disk of %s",
				nodes[i]->name);
		last = clock_ns();
	}
	while (opened-- > 0)
		if (fd[opened] >= 0)
			close(fd[opened]);
	*ret_spread_ns = last - first;
	return r;
}
