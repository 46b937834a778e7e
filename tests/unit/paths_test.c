#include "core/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/unit.h"

static char folder[] = "/tmp/mqaudit-paths-test-XXXXXX";
static struct err e;

/* "<folder>/<sub>" in one of four static places. */
static const char *in(const char *sub)
{
	static char place[4][PATHS_MAX];
	static int next;
	char *p = place[next++ % 4];

	snprintf(p, PATHS_MAX, "%s/%s", folder, sub);
	return p;
}

static void the_state_folder_follows_the_environment(void **state)
{
	char path[PATHS_MAX], small[12];

	(void)state;
	setenv("MQAUDIT_STATE", "/some/where", 1);
	assert_int_equal(paths_state(NULL, path, sizeof(path), &e), 0);
	assert_string_equal(path, "/some/where");
	assert_int_equal(paths_state("lab", path, sizeof(path), &e), 0);
	assert_string_equal(path, "/some/where/lab");
	assert_int_equal(paths_state(NULL, small, sizeof(small), &e), 0);
	assert_int_equal(paths_state("lab", small, sizeof(small), &e), ERR_LIMIT);
	setenv("MQAUDIT_STATE", "relative", 1);
	assert_int_equal(paths_state("lab", path, sizeof(path), &e), ERR_USAGE);
	unsetenv("MQAUDIT_STATE");
	if (geteuid() == 0) {
		assert_int_equal(paths_state("lab", path, sizeof(path), &e), 0);
		assert_string_equal(path, "/var/lib/mqaudit/lab");
	}
}

/* In a child that is not root: the two names that depend on the home. */
static void an_ordinary_user_has_a_state_folder_at_home(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		char path[PATHS_MAX];
		bool ok = geteuid() != 0 || setuid(65534) == 0;

		unsetenv("MQAUDIT_STATE");
		setenv("HOME", "/nowhere/u", 1);
		setenv("XDG_STATE_HOME", "/x", 1);
		ok = ok && paths_state("a", path, sizeof(path), &e) == 0 &&
		     strcmp(path, "/x/mqaudit/a") == 0;
		unsetenv("XDG_STATE_HOME");
		ok = ok && paths_state("a", path, sizeof(path), &e) == 0 &&
		     strcmp(path, "/nowhere/u/.local/state/mqaudit/a") == 0;
		unsetenv("HOME");
		ok = ok && paths_state("a", path, sizeof(path), &e) == ERR_USAGE;
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void folders_are_made_with_their_parents(void **state)
{
	char deep[PATHS_MAX];
	struct stat st;

	(void)state;
	umask(022);
	assert_int_equal(paths_make(in("a/b//c/"), 0700, &e), 0);
	assert_int_equal(stat(in("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(in("a/b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(paths_make(in("a/b/c"), 0755, &e), 0); /* fine when it exists */
	assert_int_equal(paths_write_file(in("a/file"), "x", 1, &e), 0);
	errno = EEXIST; /* an old errno must not matter */
	assert_int_equal(paths_make(in("a/d"), 0755, &e), 0);
	assert_int_equal(paths_make(in("a/file"), 0755, &e), ERR_IO);
	assert_contains(e.msg, "is not a folder");
	assert_int_equal(paths_make(in("a/file/x"), 0755, &e), ERR_IO);
	assert_int_equal(paths_make("", 0755, &e), ERR_USAGE);
	memset(deep, 'x', sizeof(deep));
	deep[0] = '/';
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(paths_make(deep, 0755, &e), ERR_IO); /* a name of more than 255 bytes */
}

static void a_file_is_written_in_one_step_and_read_back(void **state)
{
	char *data = NULL, long_path[PATHS_MAX + 10];
	size_t len;

	(void)state;
	assert_int_equal(paths_write_file(in("f"), "a\0b", 3, &e), 0);
	assert_int_equal(paths_read_file(in("f"), 3, &data, &len, &e), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(data, "a\0b", 4);
	free(data);
	assert_int_equal(paths_write_file(in("f"), "new", 3, &e), 0);
	assert_int_equal(paths_read_file(in("f"), 100, &data, NULL, &e), 0);
	assert_string_equal(data, "new");
	free(data);
	assert_int_equal(paths_write_file(in("none/f"), "x", 1, &e), ERR_IO);
	assert_int_equal(mkdir(in("is-a-folder"), 0755), 0);
	assert_int_equal(paths_write_file(in("is-a-folder"), "x", 1, &e), ERR_IO);
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(paths_write_file(long_path, "x", 1, &e), ERR_LIMIT);
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
	char big[10000], *data = NULL;
	size_t len;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(paths_read_file(in("nothing"), 10, &data, &len, &e), ERR_NOTFOUND);
	assert_int_equal(paths_read_file(folder, 10, &data, &len, &e), ERR_IO);
	assert_int_equal(paths_write_file(in("big"), big, sizeof(big), &e), 0);
	assert_int_equal(paths_read_file(in("big"), sizeof(big) - 1, &data, &len, &e), ERR_LIMIT);
	assert_int_equal(paths_read_file("/dev/zero", 100000, &data, &len, &e), ERR_LIMIT);
	assert_int_equal(paths_read_file(in("big"), sizeof(big), &data, &len, &e), 0);
	assert_int_equal(len, sizeof(big));
	free(data);
	assert_int_equal(paths_write_file(in("empty"), "", 0, &e), 0);
	assert_int_equal(paths_read_file(in("empty"), 0, &data, &len, &e), 0);
	assert_int_equal(len, 0);
	free(data);
}

static void a_tree_is_removed_but_never_what_a_link_leads_to(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(paths_make(in("tree/x/y"), 0755, &e), 0);
	assert_int_equal(paths_make(in("kept"), 0755, &e), 0);
	assert_int_equal(paths_write_file(in("kept/file"), "x", 1, &e), 0);
	assert_int_equal(paths_write_file(in("tree/x/file"), "x", 1, &e), 0);
	assert_int_equal(symlink(in("kept"), in("tree/x/link")), 0);
	assert_int_equal(symlink(in("kept"), in("top-link")), 0);
	assert_int_equal(paths_remove_tree(in("tree"), &e), 0);
	assert_int_equal(paths_remove_tree(in("top-link"), &e), 0);
	assert_int_not_equal(stat(in("tree"), &st), 0);
	assert_int_not_equal(lstat(in("top-link"), &st), 0);
	assert_int_equal(stat(in("kept/file"), &st), 0);
	assert_int_equal(paths_remove_tree(in("tree"), &e), 0); /* gone is fine */
}

/* A process of its own that holds the lock until it is told to end, by the end of a pipe. */
static pid_t hold_lock(const char *path, int *ret_pipe)
{
	int told[2], ready[2], fd;
	char c;
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		close(told[1]);
		if (paths_lock(path, 0, &fd, &e) || write(ready[1], "x", 1) != 1)
			_exit(1);
		_exit(read(told[0], &c, 1) == 0 ? 0 : 1);
	}
	close(told[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*ret_pipe = told[1];
	return pid;
}

static void a_lock_is_for_one_process_and_ends_with_it(void **state)
{
	int told = -1, fd, status;
	pid_t pid = hold_lock(in("lock"), &told);
	int64_t before = clock_ns();

	(void)state;
	assert_int_equal(paths_lock(in("lock"), 0, &fd, &e), ERR_TIMEOUT);
	assert_int_equal(paths_lock(in("lock"), 60 * NS_PER_MS, &fd, &e), ERR_TIMEOUT);
	assert_true(clock_ns() - before >= 60 * NS_PER_MS);
	close(told);
	assert_int_equal(paths_lock(in("lock"), 10 * NS_PER_S, &fd, &e), 0);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(paths_lock(in("none/lock"), 0, &fd, &e), ERR_IO);
}

static int begin(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	return paths_remove_tree(folder, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_state_folder_follows_the_environment),
		cmocka_unit_test(an_ordinary_user_has_a_state_folder_at_home),
		cmocka_unit_test(folders_are_made_with_their_parents),
		cmocka_unit_test(a_file_is_written_in_one_step_and_read_back),
		cmocka_unit_test(a_file_that_cannot_be_read_says_why),
		cmocka_unit_test(a_tree_is_removed_but_never_what_a_link_leads_to),
		cmocka_unit_test(a_lock_is_for_one_process_and_ends_with_it),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
