/* What reports say, from documents and findings made here: no ledger. */
#include "reporters/report.h"

#include "reporters/report_words.h"
#include "tests/unit.h"

struct fake {
	struct report_source source;
	const struct report_finding *finding;
	size_t n;
};

static struct err e;
static struct buf out;
static json_t *doc;

static int each_fake(struct report_source *from, bool withdrawn, uint64_t limit, report_each_fn *fn,
	void *arg, struct err *err)
{
	const struct fake *f = (const struct fake *)(void *)from;
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->n && (limit == 0 || i < limit); i++)
		if (withdrawn || !f->finding[i].withdrawn)
			r = fn(&f->finding[i], arg, err);
	return r;
}

/* A report document: what is given over what every one has. */
static json_t *make_doc(const char *text)
{
	static const char basis[] =
		"{\"format\": \"mqaudit-report/1\", \"verdict\": \"PASS\", \"promise\": "
		"\"exactly-once,ordered\","
		" \"fail_on\": \"\", \"allow\": \"\", \"fenced\": true, \"agreed\": true, "
		"\"judgement\": 1,"
		" \"run\": {\"id\": \"5f0c6d1e22aa90b4\", \"name\": \"orders-1\", \"started\":"
		" \"2026-11-21T12:30:40.000000Z\", \"ended\": \"2026-11-21T12:31:10.000000Z\","
		" \"destination\": \"kafka://h:9092/orders\"}, \"counts\": {}, \"sums\": [], "
		"\"findings_n\": 0,"
		" \"stages\": {\"consume\": {}}, \"events\": [], \"generations\": [], \"fences\": "
		"[],"
		" \"settings\": {}, \"reasons\": [], \"tool\": {\"version\": \"1\", \"allocator\": "
		"\"glibc\"}}";
	json_t *d = json_loads(basis, 0, NULL), *more = json_loads(text, 0, NULL);

	assert_non_null(d);
	assert_non_null(more);
	assert_int_equal(json_object_update(d, more), 0);
	json_decref(more);
	return d;
}

static int setup(void **state)
{
	(void)state;
	buf_init(&out, 1 << 20);
	err_clear(&e);
	setenv("TZ", "UTC", 1);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	buf_release(&out);
	json_decref(doc);
	doc = NULL;
	return 0;
}

static const char *headline(const char *text)
{
	json_decref(doc);
	doc = make_doc(text);
	buf_clear(&out);
	words_headline(doc, &out);
	return buf_str(&out);
}

#define LOST_SUM "\"sums\": [{\"kind\": \"lost\", \"stage\": \"broker\", \"count\": 3919}]"
#define COUNTS "\"counts\": {\"acked\": 6356, \"lost\": 3919}"

static void a_headline_says_what_broke(void **state)
{
	(void)state;
	assert_string_equal(headline("{\"verdict\": \"FAIL\", " COUNTS ", " LOST_SUM "}"),
		"exactly-once,ordered broken: 3,919 of 6,356 acknowledged messages were lost at "
		"the broker");
}

static void several_kinds_are_joined_worst_first(void **state)
{
	(void)state;
	assert_string_equal(
		headline("{\"verdict\": \"FAIL\", \"counts\": {\"acked\": 10, \"lost\": 1}, "
			 "\"sums\": ["
			 "{\"kind\": \"reordered\", \"stage\": \"produce\", \"count\": 2},"
			 "{\"kind\": \"duplicated\", \"stage\": \"produce\", \"count\": 1},"
			 "{\"kind\": \"lost\", \"stage\": \"broker\", \"count\": 1}]}"),
		"exactly-once,ordered broken: 1 of 10 acknowledged messages was lost at the "
		"broker, 1 surplus "
		"copy was stored, and 2 messages were stored out of order");
}

static void what_does_not_break_the_promise_is_not_named_as_broken(void **state)
{
	(void)state;
	assert_not_contains(
		headline("{\"verdict\": \"FAIL\", \"promise\": \"at-least-once\", " COUNTS
			 ", \"sums\": ["
			 "{\"kind\": \"lost\", \"stage\": \"broker\", \"count\": 3919},"
			 "{\"kind\": \"duplicated\", \"stage\": \"produce\", \"count\": 7}]}"),
		"surplus");
	assert_contains(
		headline("{\"verdict\": \"PASS\", \"allow\": \"lost\", " COUNTS ", " LOST_SUM "}"),
		"exactly-once,ordered kept: all 6,356 acknowledged messages are accounted for; "
		"3,919 of 6,356 "
		"acknowledged messages were lost at the broker");
	assert_contains(headline("{\"verdict\": \"FAIL\", \"fail_on\": \"refused\", \"counts\": "
				 "{}, \"sums\": ["
				 "{\"kind\": \"refused\", \"stage\": \"produce\", \"count\": 3}]}"),
		"broken: 3 messages were refused");
}

static void a_kept_promise_claims_no_more_than_is_true(void **state)
{
	(void)state;
	assert_string_equal(headline("{\"counts\": {\"acked\": 1000}}"),
		"exactly-once,ordered kept: all 1,000 acknowledged messages are there, exactly "
		"once");
	assert_string_equal(
		headline("{\"promise\": \"at-least-once\", \"counts\": {\"acked\": 9, "
			 "\"duplicated\": 2}, \"sums\": [{\"kind\": \"duplicated\", \"stage\": "
			 "\"produce\", \"count\": 2}]}"),
		"at-least-once kept: all 9 acknowledged messages are there; 2 surplus copies were "
		"stored");
	assert_not_contains(headline("{\"counts\": {\"acked\": 9, \"expired\": 2}}"), "are there");
	assert_contains(
		headline("{\"counts\": {\"unconfirmed\": 5}}"), "all 5 unconfirmed messages");
	assert_contains(
		headline("{\"counts\": {\"acked\": 1}}"), "the 1 acknowledged message is there");
}

static void every_kind_of_finding_has_words(void **state)
{
	(void)state;
	for (int k = 0; k < FINDING_N; k++) {
		for (int s = 0; s < STAGE_N; s++) {
			char text[300], raw[80];

			snprintf(text, sizeof(text),
				"{\"verdict\": \"FAIL\", \"fail_on\": \"%s\", \"counts\": {}, "
				"\"sums\": [{\"kind\": "
				"\"%s\", \"stage\": \"%s\", \"count\": 2}]}",
				finding_text((enum finding_kind)k),
				finding_text((enum finding_kind)k), stage_text((enum stage)s));
			/* what has no words is told as "2 KIND at STAGE" */
			snprintf(raw, sizeof(raw), "2 %s at %s", finding_text((enum finding_kind)k),
				stage_text((enum stage)s));
			assert_contains(headline(text), "broken: 2 ");
			assert_not_contains(buf_str(&out), raw);
		}
	}
}

static const char *why(const struct report_finding *f)
{
	buf_clear(&out);
	words_why(f, &out);
	return buf_str(&out);
}

static void a_reason_names_the_offsets_that_are_known(void **state)
{
	struct report_finding f = {.kind = "lost",
		.stage = "broker",
		.producer_id = 1,
		.why = "never seen",
		.positions = "[]",
		.acked_first = -1,
		.acked_last = -1};

	(void)state;
	assert_string_equal(why(&f), "never seen");
	f.acked_first = 1437;
	f.acked_last = 5355;
	assert_string_equal(why(&f), "never seen; acked at offsets 1437-5355");
	f.acked_last = 1437;
	assert_string_equal(why(&f), "never seen; acked at offset 1437");
	f.acked_first = f.acked_last = -1;
	f.positions = "[{\"partition\":0,\"offset\":5,\"seq\":1,\"copy\":1},"
		      "{\"partition\":0,\"offset\":6,\"seq\":2,\"copy\":1}]";
	assert_string_equal(why(&f), "never seen; acked at offsets 5-6");
}

static void copies_of_one_message_stand_together(void **state)
{
	struct report_finding f = {.kind = "duplicated",
		.stage = "produce",
		.producer_id = 1,
		.why = "",
		.acked_first = 3,
		.acked_last = 4,
		.positions = "[{\"partition\":0,\"offset\":17,\"seq\":6,\"copy\":1},"
			     "{\"partition\":0,\"offset\":19,\"seq\":6,\"copy\":2},"
			     "{\"partition\":0,\"offset\":18,\"seq\":7,\"copy\":1},"
			     "{\"partition\":2,\"offset\":20,\"seq\":7,\"copy\":2},"
			     "{\"partition\":0,\"offset\":30,\"seq\":8,\"copy\":1}]"};

	(void)state;
	assert_string_equal(why(&f), "at offsets 17 and 19, 18 and 2/20, ...");
	f.positions = "not json";
	assert_string_equal(why(&f), "");
}

static const char *hint(const char *text)
{
	json_decref(doc);
	doc = make_doc(text);
	buf_clear(&out);
	words_hint(doc, &out);
	return buf_str(&out);
}

static void a_hint_is_given_where_the_cause_is_plain_only(void **state)
{
	(void)state;
	assert_contains(
		hint("{\"settings\": {\"client\": {\"request.required.acks\": \"1\"}}, " LOST_SUM
		     "}"),
		"acks=1 is answered before any follower");
	assert_contains(
		hint("{\"settings\": {\"client\": {\"request.required.acks\": \"-1\"}, \"topic\": "
		     "{\"unclean.leader.election.enable\": \"true\"}}, " LOST_SUM "}"),
		"unclean");
	assert_string_equal(
		hint("{\"settings\": {\"client\": {\"request.required.acks\": \"-1\"}, \"topic\": "
		     "{\"min.insync.replicas\": \"2\", \"replication.factor\": \"3\"}}, " LOST_SUM
		     "}"),
		"");
	assert_string_equal(
		hint("{\"settings\": {\"client\": {\"request.required.acks\": \"1\"}}}"), "");
	assert_contains(
		hint("{\"settings\": {\"client\": {\"request.required.acks\": \"0\"}}, \"sums\": ["
		     "{\"kind\": \"lost\", \"stage\": \"produce\", \"count\": 1}]}"),
		"acks=0");
	assert_contains(
		hint("{\"settings\": {\"client\": {\"enable.idempotence\": \"false\"}}, \"sums\": ["
		     "{\"kind\": \"duplicated\", \"stage\": \"produce\", \"count\": 1}]}"),
		"enable.idempotence=true");
	assert_string_equal(
		hint("{\"settings\": {\"client\": {\"enable.idempotence\": \"true\"}}, \"sums\": ["
		     "{\"kind\": \"duplicated\", \"stage\": \"produce\", \"count\": 1}]}"),
		"");
}

static void exit_codes_are_those_of_the_verdict(void **state)
{
	static const struct {
		const char *doc;
		int code;
	} rows[] = {
		{"{\"verdict\": \"PASS\"}", 0},
		{"{\"verdict\": \"FAIL\"}", 1},
		{"{\"verdict\": \"ERROR\"}", 3},
		{"{\"verdict\": \"UNDECIDED\"}", 4},
		{"{\"verdict\": \"NODATA\"}", 4},
		{"{\"verdict\": \"open\"}", 4},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		json_t *d = json_loads(rows[i].doc, 0, NULL);

		assert_int_equal(report_exit_code(d), rows[i].code);
		json_decref(d);
	}
}

static void times_are_read_with_their_fractions(void **state)
{
	(void)state;
	assert_int_equal(report_time("1970-01-01T00:00:01.500000Z"), 1500000000);
	assert_int_equal(report_time("2026-11-21T12:30:52Z"), INT64_C(1795264252) * 1000000000);
	assert_int_equal(report_time(""), 0);
	assert_int_equal(report_time("soon"), 0);
}

/* Write a report into memory; the caller frees it. */
static char *written(const char *form, const char *text, const struct report_finding *f, size_t n,
	struct report_style style)
{
	struct fake fake = {.source = {.each = each_fake}, .finding = f, .n = n};
	struct report r = {.source = &fake.source};
	char *data = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&data, &len);

	json_decref(doc);
	doc = make_doc(text);
	r.doc = doc;
	assert_non_null(to);
	assert_int_equal(reporter_find(form)->write(&r, &style, to, &e), 0);
	fclose(to);
	return data;
}

#define FINDING(n)                                                                                 \
	{                                                                                          \
		.kind = "lost", .stage = "broker", .producer_id = 1, .epoch = 1, .lo = (n),        \
		.hi = (n), .count = 1, .why = "never seen", .positions = "[]", .acked_first = -1,  \
		.acked_last = -1                                                                   \
	}

static void a_table_is_cut_at_its_limit_and_says_so(void **state)
{
	const struct report_finding f[] = {FINDING(1), FINDING(3), FINDING(5)};
	static const char text[] =
		"{\"verdict\": \"FAIL\", \"findings_n\": 3, " COUNTS ", " LOST_SUM "}";
	char *s = written("text", text, f, 3, (struct report_style){false, 2, 100});

	(void)state;
	assert_contains(s, "... and 1 more range; --limit 0 shows all");
	free(s);
	s = written("text", text, f, 3, (struct report_style){false, 0, 100});
	assert_not_contains(s, "more range");
	assert_contains(s, "  5 ");
	free(s);
}

static void no_line_is_wider_than_asked_for(void **state)
{
	struct report_finding f = FINDING(1);
	char *s, *line, *rest;

	(void)state;
	f.why = "a reason that goes on and on in words of its own, so that it must be put on "
		"several lines";
	s = written("text",
		"{\"verdict\": \"FAIL\", \"findings_n\": 1, " COUNTS ", " LOST_SUM
		", \"reasons\": [\"some reason which is so long that no terminal of a hundred "
		"columns can hold it "
		"in one single line\"], \"settings\": {\"client\": {\"request.required.acks\": "
		"\"1\"}}}",
		&f, 1, (struct report_style){false, 0, 100});
	for (line = strtok_r(s, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strlen(line) > 100)
			fail_msg("%zu columns: %s", strlen(line), line);
		if (*line && line[strlen(line) - 1] == ' ')
			fail_msg("blank at the end of '%s'", line);
	}
	free(s);
}

static void colour_comes_when_asked_for_and_takes_no_word_away(void **state)
{
	static const char text[] =
		"{\"verdict\": \"FAIL\", \"findings_n\": 1, " COUNTS ", " LOST_SUM "}";
	const struct report_finding f = FINDING(1);
	char *plain = written("text", text, &f, 1, (struct report_style){false, 0, 100});
	char *colour = written("text", text, &f, 1, (struct report_style){true, 0, 100});
	char *to = colour;

	(void)state;
	assert_not_contains(plain, "\033");
	assert_contains(colour, "\033[1;31mFAIL\033[0m");
	for (const char *from = colour; *from; from++) {
		if (*from == '\033')
			from += strcspn(from, "m");
		else
			*to++ = *from;
	}
	*to = '\0';
	assert_string_equal(colour, plain);
	free(plain);
	free(colour);
}

static void what_others_wrote_cannot_steer_a_terminal(void **state)
{
	struct report_finding f = FINDING(1);
	char *s;

	(void)state;
	f.why = "never seen \033]0;owned\007\r\n now";
	s = written("text",
		"{\"verdict\": \"FAIL\", \"findings_n\": 1, \"reasons\": [\"a\\u001b[2J\"], " COUNTS
		", " LOST_SUM "}",
		&f, 1, (struct report_style){false, 0, 100});
	assert_not_contains(s, "\033");
	assert_not_contains(s, "\007");
	assert_not_contains(s, "\r");
	free(s);
}

static void reasons_of_a_proved_fail_are_no_cause_of_it(void **state)
{
	static const char reason[] = "\"reasons\": [\"a node is away\", \"a fault is on\"]";
	char text[400], *s;

	(void)state;
	snprintf(text, sizeof(text), "{\"verdict\": \"FAIL\", " COUNTS ", " LOST_SUM ", %s}",
		reason);
	s = written("text", text, NULL, 0, (struct report_style){false, 0, 100});
	assert_contains(s, "\n  also     a node is away\n  and      a fault is on\n");
	free(s);
	snprintf(text, sizeof(text), "{\"verdict\": \"UNDECIDED\", " COUNTS ", %s}", reason);
	s = written("text", text, NULL, 0, (struct report_style){false, 0, 100});
	assert_contains(s, "\n  because  a node is away\n");
	free(s);
}

static void json_is_whole_whatever_is_in_it(void **state)
{
	struct report_finding f[] = {FINDING(1), FINDING(2)};
	const json_t *list;
	json_t *back;
	char *s;

	(void)state;
	f[0].why = "\"quoted\" \\ \033 \n";
	f[0].hi = INT64_MAX;
	f[0].first_wall_ns = INT64_C(1795264252107000000);
	f[0].acked_first = 0;
	f[0].acked_last = INT64_MAX;
	f[0].positions = "[{\"partition\": 0, \"offset\": 17, \"seq\": 1, \"copy\": 1}]";
	f[1].withdrawn = true;
	s = written("json",
		"{\"verdict\": \"FAIL\", \"later\": {\"added\": 1}, " COUNTS ", " LOST_SUM "}", f,
		2, (struct report_style){0});
	back = json_loads(s, 0, NULL);
	assert_non_null(back);
	list = json_object_get(back, "findings");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(report_member_text(json_array_get(list, 0), "why"), f[0].why);
	assert_string_equal(report_member_text(json_array_get(list, 0), "first_time"),
		"2026-11-21T12:30:52.107000Z");
	assert_int_equal(report_member_number(json_array_get(list, 0), "hi"), INT64_MAX);
	assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "positions")), 1);
	assert_true(json_is_null(json_object_get(json_array_get(list, 1), "acked_first")));
	assert_true(json_is_true(json_object_get(json_array_get(list, 1), "withdrawn")));
	assert_int_equal(report_member_number(json_object_get(back, "later"), "added"), 1);
	/* what was there besides the findings is all there */
	json_object_del(back, "findings");
	assert_int_equal(json_object_size(back), json_object_size(doc));
	json_decref(back);
	free(s);
}

static int fail_fn(const struct report_finding *f, void *arg, struct err *err)
{
	(void)f;
	(void)arg;
	return err_set(err, ERR_IO, "planted");
}

static int each_failing(struct report_source *from, bool withdrawn, uint64_t limit,
	report_each_fn *fn, void *arg, struct err *err)
{
	(void)from;
	(void)withdrawn;
	(void)limit;
	(void)fn;
	return fail_fn(NULL, arg, err);
}

static void a_ledger_that_fails_in_the_middle_fails_the_report(void **state)
{
	struct report_source source = {.each = each_failing};
	struct report r = {.source = &source};
	struct report_style style = {0};

	(void)state;
	for (const struct reporter *form = reporters; form->name; form++) {
		char *data = NULL;
		size_t len = 0;
		FILE *to = open_memstream(&data, &len);

		json_decref(doc);
		doc = make_doc("{}");
		r.doc = doc;
		err_clear(&e);
		assert_int_equal(form->write(&r, &style, to, &e), ERR_IO);
		assert_string_equal(e.msg, "planted");
		fclose(to);
		free(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, clean)
		TEST(a_headline_says_what_broke),
		TEST(several_kinds_are_joined_worst_first),
		TEST(what_does_not_break_the_promise_is_not_named_as_broken),
		TEST(a_kept_promise_claims_no_more_than_is_true),
		TEST(every_kind_of_finding_has_words),
		TEST(a_reason_names_the_offsets_that_are_known),
		TEST(copies_of_one_message_stand_together),
		TEST(a_hint_is_given_where_the_cause_is_plain_only),
		TEST(exit_codes_are_those_of_the_verdict),
		TEST(times_are_read_with_their_fractions),
		TEST(a_table_is_cut_at_its_limit_and_says_so),
		TEST(no_line_is_wider_than_asked_for),
		TEST(colour_comes_when_asked_for_and_takes_no_word_away),
		TEST(what_others_wrote_cannot_steer_a_terminal),
		TEST(reasons_of_a_proved_fail_are_no_cause_of_it),
		TEST(json_is_whole_whatever_is_in_it),
		TEST(a_ledger_that_fails_in_the_middle_fails_the_report),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
