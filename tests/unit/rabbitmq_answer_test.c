#include "core/broker/rabbitmq_answer.h"

#include "tests/unit.h"

#define TO_A_QUEUE "' for queue 'orders' in vhost '/': "

static struct rabbitmq_argument a;

static void what_the_queue_has_is_read(void **state)
{
	(void)state;
	assert_true(rabbitmq_answer_read(
		"PRECONDITION_FAILED - inequivalent arg 'x-max-length" TO_A_QUEUE
		"received none but current is the value '100' of type 'signedint'",
		&a));
	assert_string_equal(a.name, "x-max-length");
	assert_string_equal(a.value, "100");
	assert_true(rabbitmq_answer_read("inequivalent arg 'durable" TO_A_QUEUE
					 "received 'true' but current is 'false'",
		&a));
	assert_string_equal(a.name, "durable");
	assert_string_equal(a.value, "false");
}

static void what_was_received_is_not_what_it_has(void **state)
{
	(void)state;
	assert_true(rabbitmq_answer_read("inequivalent arg 'x-queue-type" TO_A_QUEUE
					 "received the value 'mqaudit-asks' of type 'longstr' but "
					 "current is the value 'quorum' of type 'longstr'",
		&a));
	assert_string_equal(a.value, "quorum");
	assert_true(rabbitmq_answer_read("inequivalent arg 'x-queue-type" TO_A_QUEUE
					 "received the value 'mqaudit-asks' of type 'longstr' but "
					 "current is none",
		&a));
	assert_string_equal(a.value, "");
}

static void a_value_may_have_quotes(void **state)
{
	(void)state;
	assert_true(rabbitmq_answer_read(
		"inequivalent arg 'x-dead-letter-routing-key" TO_A_QUEUE
		"received none but current is the value 'it's 'so'' of type 'longstr'",
		&a));
	assert_string_equal(a.value, "it's 'so'");
}

static void other_answers_and_broken_ones_are_none(void **state)
{
	char text[600];

	(void)state;
	assert_false(rabbitmq_answer_read("", &a));
	assert_false(rabbitmq_answer_read(
		"PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue", &a));
	assert_false(rabbitmq_answer_read(
		"inequivalent arg 'durable" TO_A_QUEUE "received 'true' but current is 'fal", &a));
	snprintf(text, sizeof(text), "inequivalent arg 'x" TO_A_QUEUE "but current is '%0300d'", 1);
	assert_false(rabbitmq_answer_read(text, &a));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_queue_has_is_read),
		cmocka_unit_test(what_was_received_is_not_what_it_has),
		cmocka_unit_test(a_value_may_have_quotes),
		cmocka_unit_test(other_answers_and_broken_ones_are_none),
	};

	return cmocka_run_group_tests_name("rabbitmq_answer", tests, NULL, NULL);
}
