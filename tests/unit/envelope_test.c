#include "core/envelope.h"

#include <jansson.h>

#include "tests/unit.h"

#define VECTORS "tests/data/envelope-vectors.json"

static uint64_t number_of(const json_t *v, const char *name, int base)
{
	const json_t *field = json_object_get(v, name);

	assert_non_null(field);
	if (json_is_integer(field))
		return (uint64_t)json_integer_value(field);
	return strtoull(json_string_value(field), NULL, base);
}

static void from_vector(const json_t *v, struct envelope *e)
{
	*e = (struct envelope){
		.flags = (uint8_t)number_of(v, "flags", 10),
		.attempt = (uint16_t)number_of(v, "attempt", 10),
		.run_id = number_of(v, "run_id", 16),
		.producer_id = (uint32_t)number_of(v, "producer_id", 10),
		.epoch = (uint32_t)number_of(v, "epoch", 10),
		.nonce = (uint32_t)number_of(v, "nonce", 10),
		.partition = (uint32_t)number_of(v, "partition", 10),
		.seq = number_of(v, "seq", 10),
		.send_wall_ns = (int64_t)number_of(v, "send_time_ns", 10),
		.length = (uint32_t)number_of(v, "length", 10),
	};
}

static void to_hex(const uint8_t *bytes, size_t n, char *text)
{
	for (size_t i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static void assert_same(const struct envelope *a, const struct envelope *b)
{
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->attempt, b->attempt);
	assert_int_equal(a->run_id, b->run_id);
	assert_int_equal(a->producer_id, b->producer_id);
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->nonce, b->nonce);
	assert_int_equal(a->partition, b->partition);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->send_wall_ns, b->send_wall_ns);
	assert_int_equal(a->length, b->length);
}

static void the_worked_examples_encode_and_decode(void **state)
{
	json_error_t error;
	json_t *all = json_load_file(VECTORS, 0, &error);
	const json_t *list = json_object_get(all, "vectors");

	(void)state;
	if (!all)
		fail_msg("%s: %s", VECTORS, error.text);
	assert_int_equal(json_array_size(list), 4);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		uint8_t msg[4096];
		char hex[2 * ENVELOPE_LEN + 1];
		struct envelope e, back;

		from_vector(v, &e);
		assert_in_range(e.length, ENVELOPE_LEN, sizeof(msg));
		memset(msg, (int)number_of(v, "fill", 10), e.length);
		envelope_encode(&e,
			envelope_payload_hash(msg + ENVELOPE_LEN, e.length - ENVELOPE_LEN), msg);
		to_hex(msg, ENVELOPE_LEN, hex);
		assert_string_equal(hex, json_string_value(json_object_get(v, "header_hex")));
		assert_int_equal(envelope_decode(msg, e.length, &back), ENVELOPE_OK);
		assert_same(&e, &back);
	}
	json_decref(all);
}

/* A message of 100 bytes. */
static void make(uint8_t msg[100], uint64_t run_id, uint64_t seq)
{
	struct envelope e = {.run_id = run_id,
		.producer_id = 1,
		.epoch = 2,
		.nonce = 3,
		.partition = 4,
		.seq = seq,
		.send_wall_ns = 5,
		.length = 100};

	for (int i = ENVELOPE_LEN; i < 100; i++)
		msg[i] = (uint8_t)i;
	envelope_encode(&e, envelope_payload_hash(msg + ENVELOPE_LEN, 100 - ENVELOPE_LEN), msg);
}

static void every_shorter_length_is_noticed(void **state)
{
	uint8_t msg[100];
	struct envelope e;

	(void)state;
	make(msg, 7, 8);
	assert_int_equal(envelope_decode(NULL, 0, &e), ENVELOPE_FOREIGN);
	for (size_t len = 0; len < 100; len++) {
		/* memory of exactly that size: a sanitizer sees a read beyond it */
		uint8_t *cut = malloc(len ? len : 1);
		enum envelope_verdict want = len < 4              ? ENVELOPE_FOREIGN
					     : len < ENVELOPE_LEN ? ENVELOPE_BAD_HEADER
								  : ENVELOPE_BAD_PAYLOAD;

		assert_non_null(cut);
		memcpy(cut, msg, len);
		assert_int_equal(envelope_decode(cut, len, &e), want);
		free(cut);
	}
	assert_int_equal(envelope_decode(msg, 100, &e), ENVELOPE_OK);
}

static void every_flipped_bit_is_noticed(void **state)
{
	uint8_t msg[100];
	struct envelope e;

	(void)state;
	make(msg, 7, 8);
	for (unsigned bit = 0; bit < 800; bit++) {
		enum envelope_verdict want = bit < 32       ? ENVELOPE_FOREIGN
					     : bit < 56 * 8 ? ENVELOPE_BAD_HEADER
							    : ENVELOPE_BAD_PAYLOAD;

		msg[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(envelope_decode(msg, 100, &e), want);
		msg[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(envelope_decode(msg, 100, &e), ENVELOPE_OK);
}

static void a_damaged_payload_keeps_its_name(void **state)
{
	uint8_t msg[100];
	struct envelope e = {0};

	(void)state;
	make(msg, 7, 8);
	msg[99] ^= 1;
	assert_int_equal(envelope_decode(msg, 100, &e), ENVELOPE_BAD_PAYLOAD);
	assert_int_equal(e.run_id, 7);
	assert_int_equal(e.seq, 8);
}

/* The checksum of the rest can be right where the length is not. */
static void a_wrong_length_is_noticed_by_itself(void **state)
{
	struct envelope e = {.run_id = 7, .seq = 8, .length = 99};
	uint8_t msg[100];

	(void)state;
	make(msg, 7, 8);
	envelope_encode(&e, envelope_payload_hash(msg + ENVELOPE_LEN, 100 - ENVELOPE_LEN), msg);
	assert_int_equal(envelope_decode(msg, 100, &e), ENVELOPE_BAD_PAYLOAD);
}

static void absurd_headers_are_bad_and_leave_the_result_alone(void **state)
{
	struct envelope e = {.seq = 99};
	uint8_t msg[100];

	(void)state;
	make(msg, UINT64_C(1) << 63, 8);
	assert_int_equal(envelope_decode(msg, 100, &e), ENVELOPE_BAD_HEADER);
	make(msg, 7, 0);
	assert_int_equal(envelope_decode(msg, 100, &e), ENVELOPE_BAD_HEADER);
	make(msg, 7, ENVELOPE_SEQ_MAX + 1);
	assert_int_equal(envelope_decode(msg, 100, &e), ENVELOPE_BAD_HEADER);
	assert_int_equal(e.seq, 99);
	make(msg, 7, ENVELOPE_SEQ_MAX);
	assert_int_equal(envelope_decode(msg, 100, &e), ENVELOPE_OK);
}

/* ---- beside the payload ---------------------------------------------------------------------- */

#define PAYLOAD 36

/* The envelope of a payload of PAYLOAD bytes, which is filled too. */
static void make_beside(uint8_t beside[ENVELOPE_LEN], uint8_t payload[PAYLOAD], uint64_t seq)
{
	struct envelope e = {.run_id = 7,
		.producer_id = 1,
		.epoch = 2,
		.nonce = 3,
		.partition = 4,
		.seq = seq,
		.send_wall_ns = 5,
		.length = PAYLOAD};

	for (int i = 0; i < PAYLOAD; i++)
		payload[i] = (uint8_t)(i + 100);
	envelope_encode(&e, envelope_payload_hash(payload, PAYLOAD), beside);
}

static void beside_the_payload_it_speaks_of_the_payload_alone(void **state)
{
	uint8_t beside[ENVELOPE_LEN], payload[PAYLOAD];
	struct envelope e = {0};

	(void)state;
	make_beside(beside, payload, 8);
	assert_int_equal(
		envelope_decode_beside(beside, ENVELOPE_LEN, payload, PAYLOAD, &e), ENVELOPE_OK);
	assert_int_equal(e.seq, 8);
	assert_int_equal(e.length, PAYLOAD);
	/* at the front of a message the same bytes are not right */
	assert_int_equal(envelope_decode(beside, ENVELOPE_LEN, &e), ENVELOPE_BAD_PAYLOAD);
}

static void an_empty_payload_can_have_one_beside(void **state)
{
	struct envelope e = {.run_id = 7, .seq = 8, .length = 0};
	uint8_t beside[ENVELOPE_LEN];

	(void)state;
	envelope_encode(&e, envelope_payload_hash(NULL, 0), beside);
	assert_int_equal(envelope_decode_beside(beside, ENVELOPE_LEN, NULL, 0, &e), ENVELOPE_OK);
	assert_int_equal(
		envelope_decode_beside(beside, ENVELOPE_LEN, "x", 1, &e), ENVELOPE_BAD_PAYLOAD);
}

static void every_flipped_bit_beside_is_noticed(void **state)
{
	uint8_t beside[ENVELOPE_LEN], payload[PAYLOAD];
	struct envelope e;

	(void)state;
	make_beside(beside, payload, 8);
	for (unsigned bit = 0; bit < ENVELOPE_LEN * 8; bit++) {
		enum envelope_verdict want = bit < 32       ? ENVELOPE_FOREIGN
					     : bit < 56 * 8 ? ENVELOPE_BAD_HEADER
							    : ENVELOPE_BAD_PAYLOAD;

		beside[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
			envelope_decode_beside(beside, ENVELOPE_LEN, payload, PAYLOAD, &e), want);
		beside[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (unsigned bit = 0; bit < PAYLOAD * 8; bit++) {
		e.seq = 0;
		payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(envelope_decode_beside(beside, ENVELOPE_LEN, payload, PAYLOAD, &e),
			ENVELOPE_BAD_PAYLOAD);
		assert_int_equal(e.seq, 8);
		payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void every_other_length_beside_is_noticed(void **state)
{
	uint8_t beside[ENVELOPE_LEN], payload[PAYLOAD], longer[ENVELOPE_LEN + 1] = {0};
	struct envelope e;

	(void)state;
	make_beside(beside, payload, 8);
	for (size_t len = 0; len < ENVELOPE_LEN; len++) {
		uint8_t *cut = malloc(len ? len : 1);

		assert_non_null(cut);
		memcpy(cut, beside, len);
		assert_int_equal(envelope_decode_beside(cut, len, payload, PAYLOAD, &e),
			len < 4 ? ENVELOPE_FOREIGN : ENVELOPE_BAD_HEADER);
		free(cut);
	}
	memcpy(longer, beside, ENVELOPE_LEN);
	assert_int_equal(envelope_decode_beside(longer, sizeof(longer), payload, PAYLOAD, &e),
		ENVELOPE_BAD_HEADER);
	longer[0] = 'x';
	assert_int_equal(envelope_decode_beside(longer, sizeof(longer), payload, PAYLOAD, &e),
		ENVELOPE_FOREIGN);
	for (size_t len = 0; len < PAYLOAD; len++)
		assert_int_equal(envelope_decode_beside(beside, ENVELOPE_LEN, payload, len, &e),
			ENVELOPE_BAD_PAYLOAD);
}

/* The checksum can be right where the length is not: both are looked at. */
static void a_wrong_length_beside_is_noticed_by_itself(void **state)
{
	struct envelope e = {.run_id = 7, .seq = 8, .length = PAYLOAD + ENVELOPE_LEN};
	uint8_t beside[ENVELOPE_LEN], payload[PAYLOAD];

	(void)state;
	make_beside(beside, payload, 8);
	envelope_encode(&e, envelope_payload_hash(payload, PAYLOAD), beside);
	assert_int_equal(envelope_decode_beside(beside, ENVELOPE_LEN, payload, PAYLOAD, &e),
		ENVELOPE_BAD_PAYLOAD);
}

static void a_payload_of_ours_counts_before_what_is_beside(void **state)
{
	uint8_t beside[ENVELOPE_LEN], payload[PAYLOAD], msg[100];
	struct envelope e;

	(void)state;
	make_beside(beside, payload, 8);
	make(msg, 7, 9);
	assert_int_equal(envelope_decode_beside(beside, ENVELOPE_LEN, msg, 100, &e), ENVELOPE_OK);
	assert_int_equal(e.seq, 9);
	msg[10] ^= 1;
	assert_int_equal(
		envelope_decode_beside(beside, ENVELOPE_LEN, msg, 100, &e), ENVELOPE_BAD_HEADER);
	msg[10] ^= 1;
	assert_int_equal(envelope_decode_beside(NULL, 0, msg, 100, &e), ENVELOPE_OK);
	assert_int_equal(envelope_decode_beside(NULL, 0, payload, PAYLOAD, &e), ENVELOPE_FOREIGN);
	assert_true(envelope_has_magic(msg, 4));
	assert_false(envelope_has_magic(msg, 3));
	assert_false(envelope_has_magic(NULL, 0));
	assert_false(envelope_has_magic(payload, PAYLOAD));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worked_examples_encode_and_decode),
		cmocka_unit_test(every_shorter_length_is_noticed),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(a_damaged_payload_keeps_its_name),
		cmocka_unit_test(a_wrong_length_is_noticed_by_itself),
		cmocka_unit_test(absurd_headers_are_bad_and_leave_the_result_alone),
		cmocka_unit_test(beside_the_payload_it_speaks_of_the_payload_alone),
		cmocka_unit_test(an_empty_payload_can_have_one_beside),
		cmocka_unit_test(every_flipped_bit_beside_is_noticed),
		cmocka_unit_test(every_other_length_beside_is_noticed),
		cmocka_unit_test(a_wrong_length_beside_is_noticed_by_itself),
		cmocka_unit_test(a_payload_of_ours_counts_before_what_is_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
