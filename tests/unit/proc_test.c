#include "core/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/paths.h"
#include "tests/unit.h"

#define LONG (20 * NS_PER_S)

static struct err e;
static struct buf out;

static int fresh(void **state)
{
	(void)state;
	buf_init(&out, BUF_MAX_DEFAULT);
	err_clear(&e);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	buf_release(&out);
	return 0;
}

static int run_sh(
	const char *script, const char *input, bool with_stderr, int64_t timeout_ns, int *code)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;

	spec.argv = argv;
	return proc_run(&spec, input, with_stderr, timeout_ns, &out, code, &e);
}

static void output_and_exit_code_come_back(void **state)
{
	int code = -1;

	(void)state;
	assert_int_equal(run_sh("echo out; echo err >&2; exit 7", NULL, true, LONG, &code), 0);
	assert_int_equal(code, 7);
	assert_string_equal(buf_str(&out), "out\nerr\n");
	assert_int_equal(run_sh("kill -9 $$", NULL, false, LONG, &code), 0);
	assert_int_equal(code, 128 + SIGKILL);
}

/* Larger than two pipes: writing it all before reading would block for ever. */
static void large_input_and_output_pass_through(void **state)
{
	const size_t len = 3000000;
	char *input = malloc(len + 1);
	int code = -1;

	(void)state;
	assert_non_null(input);
	memset(input, 'x', len);
	input[len] = '\0';
	assert_int_equal(run_sh("cat; cat /dev/null", input, false, LONG, &code), 0);
	assert_int_equal(code, 0);
	assert_int_equal(out.len, len);
	assert_memory_equal(buf_str(&out), input, len);
	free(input);
}

static void a_child_that_ignores_its_input_kills_nobody(void **state)
{
	char input[200000];
	struct sigaction now;
	int code = -1;

	(void)state;
	memset(input, 'x', sizeof(input) - 1);
	input[sizeof(input) - 1] = '\0';
	assert_int_equal(run_sh("exec <&-; echo done", input, false, LONG, &code), 0);
	assert_string_equal(buf_str(&out), "done\n");
	sigaction(SIGPIPE, NULL, &now);
	assert_true(now.sa_handler == SIG_DFL);
}

static void no_input_is_an_empty_one(void **state)
{
	int code = -1;

	(void)state;
	assert_int_equal(run_sh("wc -c", NULL, false, LONG, &code), 0);
	assert_int_equal(strtol(buf_str(&out), NULL, 10), 0);
}

static void the_deadline_kills(void **state)
{
	int64_t before = clock_ns();
	pid_t pid;
	int code = -1;

	(void)state;
	assert_int_equal(run_sh("echo $$; exec sleep 100", NULL, false, 200 * NS_PER_MS, &code),
		ERR_TIMEOUT);
	assert_true(clock_ns() - before < 5 * NS_PER_S);
	pid = (pid_t)strtol(buf_str(&out), NULL, 10);
	assert_true(pid > 1);
	assert_false(proc_alive(pid, 0));
	assert_contains(e.msg, "sh: it did not end in time");
}

/* A daemon inherits the pipe and keeps it open. */
static void a_daemon_left_behind_is_not_waited_for(void **state)
{
	int64_t before = clock_ns();
	pid_t pid;
	int code = -1;

	(void)state;
	assert_int_equal(run_sh("sleep 30 & echo $!; exit 3", NULL, true, LONG, &code), 0);
	assert_int_equal(code, 3);
	assert_true(clock_ns() - before < 10 * NS_PER_S);
	pid = (pid_t)strtol(buf_str(&out), NULL, 10);
	assert_true(proc_signal(pid, proc_start_time(pid), SIGKILL));
}

static void a_missing_program_is_not_found(void **state)
{
	const char *by_name[] = {"no-such-program-here", NULL};
	const char *by_path[] = {"/no/such/program", NULL};
	const char *folder[] = {"/tmp", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	pid_t pid;

	(void)state;
	spec.argv = by_name;
	assert_int_equal(proc_start(&spec, &pid, &e), ERR_NOTFOUND);
	assert_contains(e.msg, "no-such-program-here");
	spec.argv = by_path;
	assert_int_equal(proc_start(&spec, &pid, &e), ERR_NOTFOUND);
	spec.argv = folder;
	assert_int_equal(proc_start(&spec, &pid, &e), ERR_DENIED);
	assert_contains(e.msg, "cannot execute");
}

/* A folder in PATH with a folder in it of the program's name. */
static void a_folder_is_no_program(void **state)
{
	char dir[] = "/tmp/mqaudit-proc-test-XXXXXX", sub[64], path[300], both[400];
	char *old = strdup(getenv("PATH"));

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(sub, sizeof(sub), "%s/sh", dir);
	assert_int_equal(mkdir(sub, 0755), 0);
	snprintf(both, sizeof(both), "%s::/usr/bin:/bin", dir);
	setenv("PATH", both, 1);
	assert_true(proc_find_program("sh", path, sizeof(path)));
	assert_string_not_equal(path, sub);
	assert_false(proc_find_program("no-such-program-here", path, sizeof(path)));
	setenv("PATH", "/nowhere", 1);
	assert_true(proc_find_program("sh", path, sizeof(path)));
	setenv("PATH", old, 1);
	free(old);
	rmdir(sub);
	rmdir(dir);
}

static void the_environment_is_added_to_and_replaced(void **state)
{
	const char *argv[] = {"sh", "-c", "echo \"$MQA_A $MQA_AB $MQA_C\"", NULL};
	const char *env[] = {"MQA_A=new", "MQA_C=c", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int code;

	(void)state;
	setenv("MQA_A", "old", 1);
	setenv("MQA_AB", "kept", 1);
	spec.argv = argv;
	spec.env = env;
	assert_int_equal(proc_run(&spec, NULL, false, LONG, &out, &code, &e), 0);
	assert_string_equal(buf_str(&out), "new kept c\n");
}

static void folder_files_and_session_are_as_asked(void **state)
{
	char dir[] = "/tmp/mqaudit-proc-test-XXXXXX", in[64], log[64], *text = NULL;
	const char *argv[] = {
		"sh", "-c", "pwd; cat; ps -o sid= -p $$ | tr -d ' '; echo $$; echo e >&2", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	char want[200];
	pid_t pid;
	int status;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(in, sizeof(in), "%s/in", dir);
	snprintf(log, sizeof(log), "%s/log", dir);
	assert_int_equal(paths_write_file(in, "input\n", 6, &e), 0);
	spec.argv = argv;
	spec.cwd = dir;
	spec.stdin_file = in;
	spec.output_file = log;
	spec.new_session = true;
	assert_int_equal(proc_start(&spec, &pid, &e), 0);
	assert_int_equal(proc_wait(pid, LONG, &status, &e), 0);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(paths_read_file(log, 10000, &text, NULL, &e), 0);
	snprintf(want, sizeof(want), "%s\ninput\n%d\n%d\ne\n", dir, (int)pid, (int)pid);
	assert_string_equal(text, want);
	free(text);
	assert_int_equal(paths_remove_tree(dir, &e), 0);
}

static void another_user_is_one_without_our_groups(void **state)
{
	const char *argv[] = {"id", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int code;

	(void)state;
	if (geteuid() != 0)
		skip();
	spec.argv = argv;
	spec.uid = 65534;
	spec.gid = 65534;
	assert_int_equal(proc_run(&spec, NULL, true, LONG, &out, &code, &e), 0);
	assert_contains(buf_str(&out), "uid=65534");
	assert_contains(buf_str(&out), "gid=65534");
	assert_not_contains(buf_str(&out), "(root)");
}

static void one_descriptor_is_kept_and_no_other(void **state)
{
	const char *argv[] = {"sh", "-c", NULL, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	char script[200], got[8] = "";
	int kept[2], other[2], status = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(kept, O_CLOEXEC), 0);
	assert_int_equal(pipe2(other, O_CLOEXEC), 0);
	snprintf(script, sizeof(script),
		"[ ! -e /proc/self/fd/%d ] && printf kept >/proc/self/fd/%d", other[1], kept[1]);
	argv[2] = script;
	spec.argv = argv;
	spec.keep_fd = kept[1];
	assert_int_equal(proc_start(&spec, &pid, &e), 0);
	close(kept[1]);
	assert_int_equal(proc_wait(pid, LONG, &status, &e), 0);
	assert_int_equal(status, 0);
	assert_int_equal(read(kept[0], got, sizeof(got)), 4);
	assert_string_equal(got, "kept");
	close(kept[0]);
	close(other[0]);
	close(other[1]);
}

static void a_failed_check_says_what_the_command_said(void **state)
{
	const char *bad[] = {"sh", "-c", "echo first; echo 'last word' >&2; exit 3", NULL};
	const char *good[] = {"sh", "-c", "cat", NULL};

	(void)state;
	assert_int_equal(proc_check(bad, NULL, LONG, NULL, &e), ERR_IO);
	assert_contains(e.msg, "ended with 3");
	assert_contains(e.msg, "last word");
	assert_int_equal(proc_check(good, "hello", LONG, &out, &e), 0);
	assert_string_equal(buf_str(&out), "hello");
}

static void a_process_is_its_pid_and_its_start(void **state)
{
	const char *argv[] = {"sleep", "100", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	uint64_t start;
	pid_t pid;
	int status;

	(void)state;
	assert_true(proc_start_time(getpid()) > 0);
	assert_true(proc_alive(getpid(), proc_start_time(getpid())));
	spec.argv = argv;
	assert_int_equal(proc_start(&spec, &pid, &e), 0);
	start = proc_start_time(pid);
	assert_true(start >= proc_start_time(getpid()));
	assert_true(proc_alive(pid, 0) && proc_alive(pid, start));
	/* a reused pid has another start time: hands off */
	assert_false(proc_alive(pid, start + 1));
	assert_false(proc_signal(pid, start + 1, SIGKILL));
	assert_int_equal(proc_wait(pid, 50 * NS_PER_MS, &status, &e), ERR_TIMEOUT);
	assert_true(proc_signal(pid, start, SIGKILL));
	/* a zombie is not alive */
	while (proc_alive(pid, start))
		clock_sleep_ns(NS_PER_MS);
	assert_int_equal(proc_start_time(pid), start);
	assert_int_equal(proc_wait(pid, LONG, &status, &e), 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(proc_start_time(pid), 0);
	assert_false(proc_signal(pid, start, SIGKILL));
	assert_false(proc_alive(0, 0));
	assert_false(proc_alive(-1, 0));
	assert_int_equal(proc_wait(pid, LONG, &status, &e), ERR_IO);
}

/* /proc/PID/stat has the name in brackets, and a name may hold anything. */
static void a_strange_name_does_not_confuse(void **state)
{
	char dir[] = "/tmp/mqaudit-proc-test-XXXXXX", path[64];
	const char *copy[] = {"cp", "/bin/sleep", path, NULL}, *argv[] = {path, "100", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	pid_t pid;
	int status;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a) Z 1 2", dir);
	assert_int_equal(proc_check(copy, NULL, LONG, NULL, &e), 0);
	spec.argv = argv;
	assert_int_equal(proc_start(&spec, &pid, &e), 0);
	assert_true(proc_alive(pid, 0));
	assert_true(proc_start_time(pid) >= proc_start_time(getpid()));
	assert_true(proc_signal(pid, proc_start_time(pid), SIGKILL));
	assert_int_equal(proc_wait(pid, -1, &status, &e), 0);
	assert_int_equal(paths_remove_tree(dir, &e), 0);
}

static void *start_and_end(void *pid)
{
	const char *argv[] = {"sleep", "100", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;

	spec.argv = argv;
	spec.death_signal = SIGKILL;
	*(int *)pid = 0;
	if (proc_start(&spec, pid, NULL))
		*(int *)pid = -1;
	return NULL;
}

static void the_death_signal_comes_with_the_end_of_the_starter(void **state)
{
	pthread_t thread;
	int status = 0;
	pid_t pid = -1;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, start_and_end, &pid), 0);
	pthread_join(thread, NULL);
	assert_true(pid > 0);
	assert_int_equal(proc_wait(pid, LONG, &status, &e), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int open_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void no_file_descriptor_is_left_open(void **state)
{
	int before = open_files(), code;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(run_sh("cat", "x", true, LONG, &code), 0);
		assert_int_equal(run_sh("sleep 9", NULL, true, NS_PER_MS, &code), ERR_TIMEOUT);
	}
	assert_int_equal(open_files(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(output_and_exit_code_come_back),
		TEST(large_input_and_output_pass_through),
		TEST(a_child_that_ignores_its_input_kills_nobody),
		TEST(no_input_is_an_empty_one),
		TEST(the_deadline_kills),
		TEST(a_daemon_left_behind_is_not_waited_for),
		TEST(a_missing_program_is_not_found),
		TEST(a_folder_is_no_program),
		TEST(the_environment_is_added_to_and_replaced),
		TEST(folder_files_and_session_are_as_asked),
		TEST(another_user_is_one_without_our_groups),
		TEST(one_descriptor_is_kept_and_no_other),
		TEST(a_failed_check_says_what_the_command_said),
		TEST(a_process_is_its_pid_and_its_start),
		TEST(a_strange_name_does_not_confuse),
		TEST(the_death_signal_comes_with_the_end_of_the_starter),
		TEST(no_file_descriptor_is_left_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
