#include "scenarios/lab/lab_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/lab_event.h"
#include "scenarios/lab/mountinfo.h"

#define MAX_FOUND 1024
#define POLL_NS (10 * NS_PER_MS)
#define ENVIRON_MAX ((size_t)8 << 20)
#define MOUNTINFO_MAX ((size_t)4 << 20)

struct found {
	pid_t pid;
	uint64_t start_time;
};

int lab_open_netns(const char *path, int *ret_fd, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
			"cannot open network namespace '%s'", path);
	*ret_fd = fd;
	return 0;
}

/* "/proc/PID/fd/N", of a lab's holder: its user namespace is entered first. Else -1, and nothing. */
static int open_userns(const char *netns, int *ret_fd, struct err *e)
{
	char path[48];
	int pid;

	*ret_fd = -1;
	if (sscanf(netns, "/proc/%d/fd/", &pid) != 1)
		return 0;
	proc_userns_path(pid, path, sizeof(path));
	if (proc_in_namespace(path))
		return 0;
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd >= 0 ? 0
			    : err_set_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
				      "cannot open user namespace '%s'", path);
}

int lab_enter(const char *netns, struct proc_spec *spec, struct err *e)
{
	int r;

	spec->userns_fd = spec->netns_fd = -1;
	if (!*netns)
		return 0;
	r = open_userns(netns, &spec->userns_fd, e);
	return r ? r : lab_open_netns(netns, &spec->netns_fd, e);
}

void lab_leave(struct proc_spec *spec)
{
	if (spec->userns_fd >= 0)
		close(spec->userns_fd);
	if (spec->netns_fd >= 0)
		close(spec->netns_fd);
	spec->userns_fd = spec->netns_fd = -1;
}

/* How many threads /proc still shows; 0: the process is gone. */
static int count_threads(pid_t pid)
{
	char path[40];
	struct dirent *d;
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((d = readdir(dir)))
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

static bool is_gone(pid_t pid, uint64_t start_time)
{
	/* ours to reap or somebody else's: either way a zombie of one thread holds nothing */
	(void)waitpid(pid, NULL, WNOHANG);
	if (proc_start_time(pid) != start_time)
		return true;
	return !proc_alive(pid, start_time) && count_threads(pid) <= 1;
}

int lab_wait_gone(pid_t pid, uint64_t start_time, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;

	while (!is_gone(pid, start_time)) {
		if (clock_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT, "process %d does not end", (int)pid);
		clock_sleep_ns(POLL_NS);
	}
	return 0;
}

static pid_t parent_of(pid_t pid)
{
	char path[40], line[1024];
	const char *p;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (!p || sscanf(p + 1, " %*c %d", &parent) != 1)
		parent = 0;
	fclose(f);
	return parent;
}

static bool is_self_or_parent(pid_t pid)
{
	for (pid_t p = getpid(); p > 0; p = parent_of(p))
		if (p == pid)
			return true;
	return false;
}

static bool lives_in(pid_t pid, const void *arg)
{
	const struct stat *ns = arg;
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return stat(path, &st) == 0 && st.st_ino == ns->st_ino && st.st_dev == ns->st_dev;
}

static bool wears(pid_t pid, const char *mark)
{
	char path[40], *text = NULL;
	size_t len = 0, n = strlen(mark);
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (paths_read_file(path, ENVIRON_MAX, &text, &len, NULL) != 0)
		return false;
	for (size_t at = 0; at < len && !found; at += strlen(text + at) + 1)
		/* a mark that ends in '/' is that of all below it */
		found = strncmp(text + at, mark, n) == 0 &&
			(text[at + n] == '\0' || mark[n - 1] == '/');
	free(text);
	return found;
}

static bool sees_mount(pid_t pid, const char *mount_point)
{
	char path[40], *text = NULL;
	bool sees;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	if (paths_read_file(path, MOUNTINFO_MAX, &text, NULL, NULL) != 0)
		return false;
	sees = mountinfo_find(text, mount_point, NULL);
	free(text);
	return sees;
}

/* Whom to look for: who lives in a namespace, sees a mount, or wears a mark. */
struct sought {
	const struct stat *ns;   /* or NULL */
	const char *mount_point; /* or NULL */
	const char *mark;
};

static bool is_sought(pid_t pid, const struct sought *sought)
{
	if (sought->ns)
		return lives_in(pid, sought->ns);
	return sought->mount_point ? sees_mount(pid, sought->mount_point)
				   : wears(pid, sought->mark);
}

/* The start time is read before the question, so it is that process's. */
static size_t find(const struct sought *sought, struct found *found, size_t max)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	size_t n = 0;

	while (dir && n < max && (d = readdir(dir))) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);
		uint64_t start_time = pid > 0 ? proc_start_time(pid) : 0;

		if (start_time && is_sought(pid, sought) && !is_self_or_parent(pid) &&
			proc_alive(pid, start_time))
			found[n++] = (struct found){pid, start_time};
	}
	if (dir)
		closedir(dir);
	return n;
}

static int signal_and_wait(
	const struct found *found, size_t n, int sig, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		proc_signal(found[i].pid, found[i].start_time, sig);
	for (size_t i = 0; i < n; i++) {
		int64_t left = deadline - clock_ns();

		if (lab_wait_gone(found[i].pid, found[i].start_time, left > 0 ? left : 0, e))
			r = ERR_TIMEOUT;
	}
	return r;
}

static int clear(
	const struct sought *sought, const char *where, bool ask_first, int *ret_n, struct err *e)
{
	struct found found[MAX_FOUND];
	size_t n = find(sought, found, MAX_FOUND);
	int r = 0;

	if (ret_n)
		*ret_n = (int)n;
	if (n && ask_first && signal_and_wait(found, n, SIGTERM, 2 * NS_PER_S, NULL) == 0)
		n = find(sought, found, MAX_FOUND);
	/* again until there is nobody: a process may have started another one meanwhile */
	for (int round = 0; n && r == 0; round++) {
		if (round == 20)
			return err_set(e, ERR_TIMEOUT, "processes keep appearing in '%s'", where);
		r = signal_and_wait(found, n, SIGKILL, 20 * NS_PER_S, e);
		n = find(sought, found, MAX_FOUND);
	}
	return r;
}

int lab_clear_netns(const char *path, bool ask_first, int *ret_n, struct err *e)
{
	struct stat ns;
	const struct sought sought = {.ns = &ns};

	if (ret_n)
		*ret_n = 0;
	if (stat(path, &ns) != 0)
		return errno == ENOENT ? 0
				       : err_set_errno(e, ERR_IO, errno, "cannot see '%s'", path);
	return clear(&sought, path, ask_first, ret_n, e);
}

void lab_mark(const struct lab *lab, const char *name, char *ret, size_t len)
{
	snprintf(ret, len, "MQAUDIT_LAB_NODE=%s/%s", lab->folder, name);
}

int lab_clear_marked(const struct lab *lab, const char *name, struct err *e)
{
	char mark[PATHS_MAX + 64];
	const struct sought sought = {.mark = mark};

	lab_mark(lab, name ? name : "", mark, sizeof(mark));
	return clear(&sought, lab->folder, false, NULL, e);
}

static int clear_node(const struct lab *lab, const struct labfile_node *node, struct err *e)
{
	return node->netns[0] ? lab_clear_netns(node->netns, false, NULL, e)
			      : lab_clear_marked(lab, node->name, e);
}

int lab_clear_mount(const char *mount_point, struct err *e)
{
	const struct sought sought = {.mount_point = mount_point};

	return clear(&sought, mount_point, false, NULL, e);
}

int lab_spawn(struct lab *lab, struct labfile_node *node, const char *const *argv, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	char mark[PATHS_MAX + 64];
	/* its log is read for the system's own words */
	const char *const env[] = {mark, "LC_ALL=C.UTF-8", NULL};
	int r;

	r = clear_node(lab, node, e);
	if (r)
		goto out;
	node->state = LABFILE_NODE_STARTING;
	node->pid = 0;
	node->start_time = 0;
	r = lab_save(lab, e);
	if (r)
		goto out;
	r = lab_enter(node->netns, &spec, e);
	if (r == 0 && lab->file->disk_bytes)
		r = lab_disk_holder(node, &spec.mntns_of, e);
	if (r)
		goto out;
	lab_mark(lab, node->name, mark, sizeof(mark));
	spec.argv = argv;
	spec.env = env;
	spec.output_file = node->log;
	spec.new_session = true;
	r = proc_start(&spec, &node->pid, e);
	if (r)
		goto out;
	node->start_time = proc_start_time(node->pid);
	node->state = LABFILE_NODE_RUNNING;
	r = lab_save(lab, e);
	lab_event(lab, "node-start", node->name, "", LAB_EVENT_INSTANT);
out:
	lab_leave(&spec);
	return r ? err_wrap(e, "start %s", node->name) : 0;
}

int lab_run_inside(const char *netns, const char *const *argv, const char *input,
	int64_t timeout_ns, struct buf *out, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf own;
	int code = 0, r;

	buf_init(&own, BUF_MAX_DEFAULT);
	r = lab_enter(netns, &spec, e);
	if (r)
		goto out;
	spec.argv = argv;
	r = proc_run(&spec, input, true, timeout_ns, &own, &code, e);
	if (r == 0 && code != 0)
		r = err_set(e, ERR_IO, "'%s %s' ended with %d: %.400s", argv[0],
			argv[1] ? argv[1] : "", code, buf_str(&own));
	if (r == 0 && out)
		buf_add(out, buf_str(&own), own.len);
out:
	lab_leave(&spec);
	buf_release(&own);
	return r;
}

int lab_start_guard(const struct lab *lab, pid_t pid, uint64_t start_time, bool only_unfinished,
	pid_t *ret_pid, uint64_t *ret_start_time, struct err *e)
{
	char until[24], start[24];
	const char *argv[] = {"/proc/self/exe", "lab", "guard", lab->kind->name, "--lab", lab->name,
		"--until-pid", until, "--until-start", start,
		only_unfinished ? "--only-unfinished" : NULL, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int r;

	snprintf(until, sizeof(until), "%d", (int)pid);
	snprintf(start, sizeof(start), "%llu", (unsigned long long)start_time);
	spec.argv = argv;
	spec.new_session = true;
	spec.cwd = "/";
	r = proc_start(&spec, ret_pid, e);
	if (r)
		return err_wrap(e, "start the lab's guard");
	*ret_start_time = proc_start_time(*ret_pid);
	return 0;
}

int lab_wait_end_of(pid_t pid, uint64_t start_time, int64_t deadline_ns, struct err *e)
{
	struct pollfd pfd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int r = 0;

	if (pfd.fd < 0)
		return errno == ESRCH ? 0 : err_set_errno(e, ERR_IO, errno, "cannot watch process");
	/* the descriptor is of whoever has the pid now: is it still the one meant? */
	while (r == 0 && proc_alive(pid, start_time)) {
		int n = poll(&pfd, 1, deadline_ns ? clock_left_ms(deadline_ns) : -1);

		if (n < 0 && errno != EINTR)
			r = err_set_errno(e, ERR_IO, errno, "cannot watch process %d", (int)pid);
		if (n > 0)
			break;
		if (n == 0 && clock_ns() >= deadline_ns)
			r = err_set(e, ERR_TIMEOUT, "process %d goes on", (int)pid);
	}
	close(pfd.fd);
	return r;
}

/* Java's "\tat org.apache..." says nothing to a person. */
static bool is_stack_line(const char *line)
{
	return strncmp(line, "\tat ", 4) == 0 || strncmp(line, "\t... ", 5) == 0;
}

/* Append a line, in place of older text where there is no room for both. */
static void push_line(char *ret, size_t len, const char *line)
{
	size_t have = strlen(ret), n = strlen(line) + 1, drop;

	if (n >= len) {
		line += n - len + 1;
		n = strlen(line) + 1;
	}
	if (have + n >= len) {
		drop = have + n - len + 1;
		memmove(ret, ret + drop, have - drop + 1);
		have -= drop;
	}
	snprintf(ret + have, len - have, "%s%s", have ? " " : "", line);
}

static bool is_complaint(const char *line)
{
	return strstr(line, " ERROR ") || strstr(line, " FATAL ") || strstr(line, "Exception") ||
	       strstr(line, "Error: ") || strstr(line, " [error] ") || strstr(line, " [critical] ");
}

void lab_last_words(const char *path, char *ret, size_t len)
{
	FILE *f = fopen(path, "re");
	bool complained = false;
	char line[1024];

	ret[0] = '\0';
	if (!f)
		return;
	if (fseek(f, -32768, SEEK_END) != 0)
		rewind(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!*line || is_stack_line(line) || (complained && !is_complaint(line)))
			continue;
		if (!complained && is_complaint(line)) {
			complained = true;
			ret[0] = '\0';
		}
		push_line(ret, len, line);
	}
	fclose(f);
}
