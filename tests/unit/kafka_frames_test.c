#include "scenarios/lab/kafka_frames.h"
#include "tests/unit.h"

/* metadata 4, correlation 7, no body; produce 9, correlation 8, three bytes */
static const uint8_t two_requests[] = {
	0, 0, 0, 8, 0, 3, 0, 4, 0, 0, 0, 7, 0, 0, 0, 11, 0, 0, 0, 9, 0, 0, 0, 8, 'a', 'b', 'c'};

static void frames_are_found(void **state)
{
	struct kafka_frames f;
	enum kafka_frames_event event;
	const uint8_t *p = two_requests;
	size_t left = sizeof(two_requests), n;

	(void)state;
	kafka_frames_init(&f, true);
	n = kafka_frames_feed(&f, p, left, &event);
	assert_int_equal(event, KAFKA_FRAMES_BEGIN);
	assert_int_equal(n, 12);
	assert_int_equal(f.now.api_key, 3);
	assert_int_equal(f.now.api_version, 4);
	assert_int_equal(f.now.correlation, 7);
	assert_int_equal(f.now.length, 12);
	p += n;
	left -= n;
	/* without a body it ends at once, without another byte */
	assert_int_equal(kafka_frames_feed(&f, p, left, &event), 0);
	assert_int_equal(event, KAFKA_FRAMES_END);
	n = kafka_frames_feed(&f, p, left, &event);
	assert_int_equal(event, KAFKA_FRAMES_BEGIN);
	assert_int_equal(f.now.api_key, 0);
	assert_int_equal(f.now.correlation, 8);
	assert_int_equal(f.now.length, 15);
	p += n;
	left -= n;
	assert_int_equal(kafka_frames_feed(&f, p, left - 1, &event), 2);
	assert_int_equal(event, KAFKA_FRAMES_NONE);
	assert_int_equal(kafka_frames_feed(&f, p + 2, 1, &event), 1);
	assert_int_equal(event, KAFKA_FRAMES_END);
	assert_int_equal(kafka_frames_feed(&f, p, 0, &event), 0);
	assert_int_equal(event, KAFKA_FRAMES_NONE);
	assert_false(f.broken);
}

static void a_head_in_pieces_is_undecided_until_it_is_whole(void **state)
{
	static const uint8_t answer[] = {0, 0, 0, 5, 0, 0, 1, 2, 'x'};
	struct kafka_frames f;
	enum kafka_frames_event event;

	(void)state;
	kafka_frames_init(&f, false);
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(kafka_frames_feed(&f, answer + i, 1, &event), 1);
		assert_int_equal(event, KAFKA_FRAMES_NONE);
		assert_int_equal(kafka_frames_undecided(&f), i + 1);
	}
	assert_int_equal(kafka_frames_feed(&f, answer + 7, 2, &event), 1);
	assert_int_equal(event, KAFKA_FRAMES_BEGIN);
	assert_int_equal(f.now.correlation, 258);
	assert_int_equal(kafka_frames_undecided(&f), 0);
}

static void what_is_not_kafka_passes_without_frames(void **state)
{
	static const uint8_t bad[][12] = {
		{0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 9}, /* TLS */
		{0, 0, 0, 7, 0, 3, 0, 4, 0, 0, 0, 7},        /* shorter than its own head */
		{0xff, 0xff, 0xff, 0xff, 0, 3, 0, 4, 0, 0, 0, 7},
		{0x10, 0, 0, 1, 0, 3, 0, 4, 0, 0, 0, 7}, /* one byte above the limit */
	};
	struct kafka_frames f;
	enum kafka_frames_event event;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		kafka_frames_init(&f, true);
		assert_int_equal(kafka_frames_feed(&f, bad[i], 12, &event), 12);
		assert_int_equal(event, KAFKA_FRAMES_NONE);
		assert_true(f.broken);
		assert_int_equal(kafka_frames_undecided(&f), 0);
		assert_int_equal(kafka_frames_feed(&f, two_requests, 20, &event), 20);
		assert_int_equal(event, KAFKA_FRAMES_NONE);
	}
}

static void kinds_of_requests_have_names(void **state)
{
	char all[512];

	(void)state;
	assert_int_equal(kafka_api_find("produce"), 0);
	assert_int_equal(kafka_api_find("end-txn"), 26);
	assert_int_equal(kafka_api_find("nonsense"), -1);
	assert_string_equal(kafka_api_name(1), "fetch");
	assert_string_equal(kafka_api_name(999), "?");
	assert_true(kafka_api_list(all, sizeof(all)) < sizeof(all));
	assert_contains(all, "produce, fetch, ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_found),
		cmocka_unit_test(a_head_in_pieces_is_undecided_until_it_is_whole),
		cmocka_unit_test(what_is_not_kafka_passes_without_frames),
		cmocka_unit_test(kinds_of_requests_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
