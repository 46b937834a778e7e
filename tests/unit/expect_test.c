/* What a twin must give: the grammar, and the comparison with what was found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scenarios/runner/expect.h"

static void check_formatted(const struct expect *x, const char *text)
{
	struct buf b;

	buf_init(&b, 4096);
	expect_format(x, &b);
	assert_string_equal(buf_str(&b), text);
	buf_release(&b);
}

static void grammar(void **unused)
{
	/* what is read, and how it is written again */
	static const char *const cases[][2] = {{"PASS", "PASS"}, {"  FAIL  ", "FAIL"},
		{"FAIL lost@broker", "FAIL lost@broker"},
		{"FAIL lost@broker>=1", "FAIL lost@broker"},
		{"PASS expired@broker=400", "PASS expired@broker=400"},
		{"PASS expired@broker=0", "PASS expired@broker=0"},
		{"UNDECIDED|PASS", "PASS|UNDECIDED"}, {"NODATA refused@produce=20", NULL},
		{"PASS\tduplicated@produce>=0", "PASS duplicated@produce>=0"},
		{"FAIL lost@produce>=2 reordered@produce<=3", NULL},
		{"FAIL lost@relay lost@broker lost@consume lost@produce", NULL}};
	struct expect x;
	struct err e = {0};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(expect_parse(cases[i][0], &x, &e), 0);
		check_formatted(&x, cases[i][1] ? cases[i][1] : cases[i][0]);
	}
	assert_int_equal(expect_parse("FAIL lost@produce>=2 reordered@produce<=3", &x, &e), 0);
	assert_int_equal(x.n, 2);
	assert_int_equal(x.item[0].min, 2);
	assert_true(x.item[0].max == UINT64_MAX);
	assert_int_equal(x.item[1].min, 0);
	assert_int_equal(x.item[1].max, 3);
}

static void wrong_grammar(void **unused)
{
	static const char *const cases[][2] = {{"", "no verdict"}, {" \t", "no verdict"},
		{"pass", "'pass' is no verdict"}, {"PASS|", "PASS|"}, {"|", "no verdict"},
		{"PASS|SURE", "'SURE' is no verdict"},
		{"FAIL lost", "'lost' is no finding: KIND@STAGE"},
		{"FAIL gone@broker", "'gone' is no kind of finding"},
		{"FAIL @broker", "'' is no kind of finding"},
		{"FAIL lost@nowhere", "'nowhere' is no stage"}, {"FAIL lost@", "'' is no stage"},
		{"FAIL lost@broker=", "not =N, >=N or <=N"},
		{"FAIL lost@broker>3", "not =N, >=N or <=N"},
		{"FAIL lost@broker==3", "not =N, >=N or <=N"},
		{"FAIL lost@broker=3x", "not =N, >=N or <=N"},
		{"FAIL lost@broker lost@broker=2", "is there twice"},
		{"FAIL lost@broker lost@produce lost@relay lost@consume expired@broker "
		 "refused@produce duplicated@produce reordered@produce phantom@broker",
			"more than 8 findings"}};
	struct expect x;

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = {0};
		int r = expect_parse(cases[i][0], &x, &e);

		if (strcmp(cases[i][0], "PASS|") == 0) {
			assert_int_equal(r, 0); /* nothing behind the bar */
			continue;
		}
		assert_int_equal(r, ERR_USAGE);
		assert_non_null(strstr(e.msg, cases[i][1]));
	}
}

static void sharpening(void **unused)
{
	struct expect x;
	struct err e = {0};

	(void)unused;
	assert_int_equal(expect_parse("PASS expired@broker refused@produce>=0", &x, &e), 0);
	assert_int_equal(expect_sharpen(&x, "expired@broker=17", &e), 0);
	check_formatted(&x, "PASS expired@broker=17 refused@produce>=0");
	assert_int_equal(expect_sharpen(&x, "expired@produce=1", &e), ERR_USAGE);
	assert_non_null(strstr(e.msg, "was not declared"));
	err_clear(&e);
	assert_int_equal(expect_sharpen(&x, "nonsense", &e), ERR_USAGE);
	check_formatted(&x, "PASS expired@broker=17 refused@produce>=0");
}

struct found {
	enum finding_kind kind;
	enum stage stage;
	uint64_t count;
};

static void check_compared(const char *declared, enum verdict verdict, struct found a,
	struct found b, struct expect_result want, const char *why)
{
	struct tallies found = {0};
	struct expect_result got;
	struct expect x;
	struct err e = {0};
	struct buf text;

	if (a.count)
		tallies_add(&found, a.kind, a.stage, a.count);
	if (b.count)
		tallies_add(&found, b.kind, b.stage, b.count);
	assert_int_equal(expect_parse(declared, &x, &e), 0);
	buf_init(&text, 4096);
	got = expect_compare(&x, verdict, &found, &text);
	assert_int_equal(got.missing, want.missing);
	assert_int_equal(got.surplus, want.surplus);
	assert_int_equal(got.verdict, want.verdict);
	assert_string_equal(buf_str(&text), why);
	buf_release(&text);
	got = expect_compare(&x, verdict, &found, NULL);
	assert_int_equal(got.surplus, want.surplus);
}

static void comparison(void **unused)
{
	const struct found none = {0}, lost = {FINDING_LOST, STAGE_BROKER, 5},
			   twice = {FINDING_DUPLICATED, STAGE_PRODUCE, 2};
	const struct expect_result fine = {0};

	(void)unused;
	check_compared("PASS", VERDICT_PASS, none, none, fine, "");
	check_compared("FAIL lost@broker", VERDICT_FAIL, lost, none, fine, "");
	check_compared("FAIL lost@broker=5", VERDICT_FAIL, lost, none, fine, "");
	check_compared(
		"FAIL lost@broker<=5 duplicated@produce>=0", VERDICT_FAIL, lost, twice, fine, "");
	check_compared("PASS duplicated@produce>=0", VERDICT_PASS, none, none, fine, "");
	check_compared("FAIL lost@broker", VERDICT_PASS, none, none,
		(struct expect_result){.missing = true, .verdict = true},
		"0 lost at broker, where at least 1 is declared; the verdict is PASS");
	check_compared("FAIL lost@broker>=6", VERDICT_FAIL, lost, none,
		(struct expect_result){.missing = true},
		"5 lost at broker, where at least 6 are declared");
	check_compared("FAIL lost@broker=4", VERDICT_FAIL, lost, none,
		(struct expect_result){.surplus = true},
		"5 lost at broker, where exactly 4 are declared");
	check_compared("FAIL lost@broker<=1", VERDICT_FAIL, lost, none,
		(struct expect_result){.surplus = true},
		"5 lost at broker, where at most 1 is declared");
	check_compared("FAIL lost@broker", VERDICT_FAIL, lost, twice,
		(struct expect_result){.surplus = true},
		"2 duplicated at produce, which is not declared");
	/* the same kind at another stage is another thing */
	check_compared("FAIL lost@produce", VERDICT_FAIL, lost, none,
		(struct expect_result){.missing = true, .surplus = true},
		"0 lost at produce, where at least 1 is declared; 5 lost at broker, which is not "
		"declared");
}

static void sums(void **unused)
{
	struct tallies t = {0};
	struct buf b;

	(void)unused;
	buf_init(&b, 4096);
	tallies_format(&t, &b);
	assert_string_equal(buf_str(&b), "nothing");
	buf_release(&b);
	tallies_add(&t, FINDING_LOST, STAGE_BROKER, 3000);
	tallies_add(&t, FINDING_LOST, STAGE_PRODUCE, 1);
	tallies_add(&t, FINDING_LOST, STAGE_BROKER, 919);
	assert_int_equal(t.n, 2);
	assert_int_equal(tallies_count(&t, FINDING_LOST, STAGE_BROKER), 3919);
	assert_int_equal(tallies_count(&t, FINDING_DUPLICATED, STAGE_BROKER), 0);
	buf_init(&b, 4096);
	tallies_format(&t, &b);
	assert_string_equal(buf_str(&b), "lost at broker 3,919, lost at produce 1");
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grammar),
		cmocka_unit_test(wrong_grammar),
		cmocka_unit_test(sharpening),
		cmocka_unit_test(comparison),
		cmocka_unit_test(sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
