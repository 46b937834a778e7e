#include "core/status.h"

#include "tests/unit.h"

static struct status_probe probe;
static struct status_check check;
static char text[40];

/* A line as its reader gets it: without the newline. */
static enum status_kind read_line(struct buf *b)
{
	char line[4096];
	size_t n = b->len;

	assert_true(n > 0 && n < sizeof(line) && buf_str(b)[n - 1] == '\n');
	memcpy(line, buf_str(b), n - 1);
	line[n - 1] = '\0';
	buf_clear(b);
	return status_parse(line, &probe, &check, text, sizeof(text));
}

static void what_is_said_is_what_is_read(void **state)
{
	struct status_probe p = {.run = "orders-1",
		.phase = "sending",
		.intended = 5,
		.acked = 3,
		.rate = 1.5,
		.p99_ns = -1,
		.ledger_away = true};
	struct status_check c = {.phase = "reading", .read = UINT64_MAX, .broker_away = true};
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	status_probe_line(&p, &b);
	assert_int_equal(read_line(&b), STATUS_PROBE);
	assert_string_equal(probe.run, "orders-1");
	assert_string_equal(probe.phase, "sending");
	assert_int_equal(probe.intended, 5);
	assert_int_equal(probe.acked, 3);
	assert_true(probe.rate > 1.4 && probe.rate < 1.6);
	assert_int_equal(probe.p99_ns, -1);
	assert_true(probe.ledger_away);
	status_check_line(&c, &b);
	assert_int_equal(read_line(&b), STATUS_CHECK);
	assert_true(check.read == UINT64_MAX);
	assert_true(check.broker_away && !check.ledger_away);
	buf_release(&b);
}

static void a_finding_says_whether_it_breaks_the_promise(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	status_found_line(true, "LOST at broker\twith a tab", &b);
	assert_int_equal(read_line(&b), STATUS_BREAKS);
	assert_string_equal(text, "LOST at broker\twith a tab");
	status_found_line(false, "expired, and a text that is longer than its place", &b);
	assert_int_equal(read_line(&b), STATUS_FOUND);
	assert_string_equal(text, "expired, and a text that is longer than");
	assert_int_equal(status_parse("said\t0\tit failed", &probe, &check, text, sizeof(text)),
		STATUS_SAID);
	assert_string_equal(text, "0\tit failed");
	buf_release(&b);
}

static void other_lines_change_nothing(void **state)
{
	static const char *const lines[] = {"", "probe", "probe ", "check", "found", "breaks",
		"said", "x\tread=1", "mqaudit: error: it failed"};

	(void)state;
	memset(&check, 0, sizeof(check));
	for (size_t i = 0; i < N_OF(lines); i++)
		assert_int_equal(
			status_parse(lines[i], &probe, &check, text, sizeof(text)), STATUS_NONE);
	assert_int_equal(status_parse("check\tread=7\tno-such=1\tbehind", &probe, &check, text,
				 sizeof(text)),
		STATUS_CHECK);
	assert_int_equal(check.read, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_is_what_is_read),
		cmocka_unit_test(a_finding_says_whether_it_breaks_the_promise),
		cmocka_unit_test(other_lines_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
