#include "core/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "tests/unit.h"

static char path[] = "/tmp/mqaudit-log-test-XXXXXX";
static int kept = -1;

/* Send standard error into a file. */
static int capture(void **state)
{
	int fd = open(path, O_RDWR | O_TRUNC | O_APPEND);

	(void)state;
	fflush(stderr);
	kept = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	return 0;
}

static int release(void **state)
{
	(void)state;
	if (kept >= 0) {
		dup2(kept, STDERR_FILENO);
		close(kept);
	}
	kept = -1;
	log_set_level(LOG_NOTE);
	return 0;
}

/* What was written meanwhile. */
static const char *captured(void)
{
	static char text[1 << 20];
	int fd;
	ssize_t n;

	fflush(stderr);
	release(NULL);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void lines_have_their_prefix_and_no_colour_in_a_file(void **state)
{
	struct err e;

	(void)state;
	log_error("e %d", 1);
	log_warn("w");
	log_note("n");
	err_set(&e, ERR_IO, "it failed");
	err_print(&e);
	err_hint(&e, "try this");
	err_print(&e);
	assert_string_equal(captured(), "mqaudit: error: e 1\nmqaudit: warning: w\nmqaudit: n\n"
					"mqaudit: error: it failed\nmqaudit: error: it failed\n"
					"mqaudit: hint: try this\n");
}

static void a_finding_stands_alone_on_its_line_also_when_quiet(void **state)
{
	(void)state;
	log_set_level(LOG_WARN);
	log_found(true, "12:31:07  LOST at broker   producer 1.1, seq 17   why\033[2J");
	log_found(false, "12:31:07  expired at broker");
	assert_string_equal(captured(),
		"12:31:07  LOST at broker   producer 1.1, seq 17   why?[2J\n"
		"12:31:07  expired at broker\n");
}

static void lines_above_the_level_are_dropped(void **state)
{
	(void)state;
	log_debug("hidden");
	log_set_level(LOG_WARN);
	log_note("hidden");
	log_warn("shown");
	log_set_level(LOG_DEBUG);
	log_debug("shown too");
	assert_string_equal(captured(), "mqaudit: warning: shown\nmqaudit: debug: shown too\n");
}

static void no_escape_sequence_of_others_passes(void **state)
{
	(void)state;
	log_note("a\033[2Jb\rc\td\001\177 \xc3\xa4");
	assert_string_equal(captured(), "mqaudit: a?[2Jb?c\td?? \xc3\xa4\n");
}

static void a_long_line_is_cut(void **state)
{
	static char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	log_note("%s", text);
	assert_true(strlen(captured()) < 2100);
}

static void progress_is_for_terminals(void **state)
{
	(void)state;
	log_progress("one\ntwo");
	log_note("n");
	log_progress(NULL);
	assert_string_equal(captured(), "mqaudit: n\n");
	assert_false(log_colour() && !isatty(STDERR_FILENO));
}

static void a_diverted_line_is_relayed_as_it_was_said(void **state)
{
	char line[4096];
	int pipe_fd[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK), 0);
	log_divert(pipe_fd[1]);
	log_hint("try\n\033this\tor\rthat");
	log_debug("dropped here already");
	n = read(pipe_fd[0], line, sizeof(line) - 1);
	assert_true(n > 0 && line[n - 1] == '\n');
	line[n - 1] = '\0';
	assert_null(strchr(line, '\n'));
	assert_memory_equal(line, LOG_DIVERTED, strlen(LOG_DIVERTED));
	/* when nobody reads any more it is told directly */
	close(pipe_fd[0]);
	signal(SIGPIPE, SIG_IGN);
	log_error("nobody there");
	close(pipe_fd[1]);
	log_divert(-1);
	log_relay(line + strlen(LOG_DIVERTED));
	log_relay("");
	log_relay("9\tno such kind");
	log_relay("0 no tab");
	assert_string_equal(captured(), "mqaudit: error: nobody there\n"
					"mqaudit: hint: try\n?this\tor?that\n");
}

#define THREADS 4
#define LINES 500

static void *say(void *who)
{
	for (int i = 0; i < LINES; i++)
		log_note("%s%s", (const char *)who, "0123456789012345678901234567890123456789");
	return NULL;
}

static void lines_of_threads_stay_whole(void **state)
{
	static char names[THREADS][2] = {"a", "b", "c", "d"};
	pthread_t t[THREADS];
	const char *text;
	int n = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, say, names[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (text = captured(); *text; n++) {
		size_t len = strcspn(text, "\n");

		assert_int_equal(len, strlen("mqaudit: a") + 40);
		assert_memory_equal(text, "mqaudit: ", 9);
		text += len + 1;
	}
	assert_int_equal(n, THREADS * LINES);
}

static int begin(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return fd >= 0 ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	return unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, capture, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_have_their_prefix_and_no_colour_in_a_file),
		TEST(a_finding_stands_alone_on_its_line_also_when_quiet),
		TEST(lines_above_the_level_are_dropped),
		TEST(no_escape_sequence_of_others_passes),
		TEST(a_long_line_is_cut),
		TEST(progress_is_for_terminals),
		TEST(a_diverted_line_is_relayed_as_it_was_said),
		TEST(lines_of_threads_stay_whole),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
