#include "core/words.h"
#include "tests/unit.h"

/*
 * The table of verdicts in the documentation, written out by hand: at-most-once, at-least-once,
 * exactly-once, and what of it holds only where order was promised.
 */
static const struct {
	enum finding_kind kind;
	const char *text;
	bool breaks[3];
	bool ordered_only;
} table[] = {
	{FINDING_LOST, "lost", {false, true, true}, false},
	{FINDING_STUCK, "stuck", {false, true, true}, false},
	{FINDING_DUPLICATED, "duplicated", {true, false, true}, false},
	{FINDING_CORRUPTED, "corrupted", {true, true, true}, false},
	{FINDING_PHANTOM, "phantom", {true, true, true}, false},
	{FINDING_INCONSISTENT, "inconsistent", {true, true, true}, false},
	{FINDING_ABORTED_READ, "aborted-read", {true, true, true}, false},
	{FINDING_REORDERED, "reordered", {true, true, true}, true},
	{FINDING_REDELIVERED, "redelivered", {false, false, false}, false},
	{FINDING_UNACKNOWLEDGED, "unacknowledged", {false, false, false}, false},
	{FINDING_REFUSED, "refused", {false, false, false}, false},
	{FINDING_FALSE_REFUSAL, "false-refusal", {false, false, false}, false},
	{FINDING_EXPIRED, "expired", {false, false, false}, false},
	{FINDING_UNREAD, "unread", {false, false, false}, false},
	{FINDING_PENDING, "pending", {false, false, false}, false},
};

static const char *const promises[] = {"at-most-once", "at-least-once", "exactly-once",
	"at-most-once,ordered", "at-least-once,ordered", "exactly-once,ordered"};

static void promises_break_as_the_table_of_verdicts_says(void **state)
{
	(void)state;
	assert_int_equal(N_OF(table), FINDING_N);
	for (size_t i = 0; i < N_OF(promises); i++) {
		bool ordered = i >= 3;
		struct promise p;

		assert_int_equal(promise_parse(promises[i], &p, NULL), 0);
		assert_int_equal(p.ordered, ordered);
		assert_string_equal(promise_text(&p), promises[i]);
		for (size_t k = 0; k < N_OF(table); k++) {
			bool want = table[k].breaks[i % 3] && (ordered || !table[k].ordered_only);

			assert_int_equal(promise_broken_by(&p, table[k].kind), want);
		}
	}
}

static void fail_on_and_allow_change_single_rows(void **state)
{
	struct promise p;

	(void)state;
	assert_int_equal(promise_parse("exactly-once", &p, NULL), 0);
	assert_int_equal(promise_kinds_parse("redelivered,expired", &p.fail_on, NULL), 0);
	assert_int_equal(promise_kinds_parse("lost", &p.allow, NULL), 0);
	assert_true(promise_broken_by(&p, FINDING_REDELIVERED));
	assert_true(promise_broken_by(&p, FINDING_EXPIRED));
	assert_false(promise_broken_by(&p, FINDING_LOST));
	assert_true(promise_broken_by(&p, FINDING_DUPLICATED));
	assert_false(promise_broken_by(&p, FINDING_REORDERED));
}

static void unknown_kinds_are_refused_and_change_nothing(void **state)
{
	static const char *const bad[] = {"losst", "lost,,expired", ",lost", "lost, expired",
		"a-very-long-word-that-is-no-kind-of-finding-at-all"};
	uint64_t mask = 5;
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		assert_int_equal(promise_kinds_parse(bad[i], &mask, &e), ERR_USAGE);
		assert_int_equal(promise_kinds_parse(bad[i], &mask, NULL), ERR_USAGE);
	}
	assert_int_equal(mask, 5);
	for (size_t k = 0; k < N_OF(table); k++)
		assert_contains(e.hint, table[k].text);
}

static void unknown_promises_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "exactly", "exactly-once,", "exactly-once, ordered", "ordered", "EXACTLY-ONCE"};
	struct promise p;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(promise_parse(bad[i], &p, NULL), ERR_USAGE);
}

#define ROUND_TRIP(kind, n)                                                                        \
	for (unsigned i = 0; i < (n); i++) {                                                       \
		enum kind v;                                                                       \
                                                                                                   \
		assert_true(kind##_parse(kind##_text((enum kind)i), &v));                          \
		assert_int_equal(v, i);                                                            \
	}

static void every_word_comes_back_as_its_value(void **state)
{
	enum finding_kind k = FINDING_LOST;

	(void)state;
	ROUND_TRIP(outcome, OUTCOME_N)
	ROUND_TRIP(stage, STAGE_N)
	ROUND_TRIP(verdict, VERDICT_N)
	for (size_t i = 0; i < N_OF(table); i++) {
		assert_string_equal(finding_text(table[i].kind), table[i].text);
		assert_true(finding_parse(table[i].text, &k));
		assert_int_equal(k, table[i].kind);
	}
	k = FINDING_STUCK;
	assert_false(finding_parse("nothing", &k));
	assert_int_equal(k, FINDING_STUCK);
	assert_string_equal(outcome_text(OUTCOME_N), "?");
	assert_string_equal(finding_text(FINDING_N), "?");
}

static void verdicts_have_their_exit_codes(void **state)
{
	(void)state;
	assert_int_equal(verdict_exit_code(VERDICT_PASS), 0);
	assert_int_equal(verdict_exit_code(VERDICT_FAIL), 1);
	assert_int_equal(verdict_exit_code(VERDICT_ERROR), 3);
	assert_int_equal(verdict_exit_code(VERDICT_UNDECIDED), 4);
	assert_int_equal(verdict_exit_code(VERDICT_NODATA), 4);
	assert_int_equal(EXIT_USAGE, 2);
	assert_int_equal(EXIT_INTERRUPTED, 130);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(promises_break_as_the_table_of_verdicts_says),
		cmocka_unit_test(fail_on_and_allow_change_single_rows),
		cmocka_unit_test(unknown_kinds_are_refused_and_change_nothing),
		cmocka_unit_test(unknown_promises_are_refused),
		cmocka_unit_test(every_word_comes_back_as_its_value),
		cmocka_unit_test(verdicts_have_their_exit_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
