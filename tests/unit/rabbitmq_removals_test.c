#include "core/broker/rabbitmq_removals.h"

#include <string.h>

#include "tests/unit.h"

static struct rabbitmq_portrait p;
static struct broker_removals told;

static int clear(void **state)
{
	(void)state;
	memset(&p, 0, sizeof(p));
	memset(&told, 0, sizeof(told));
	return 0;
}

static void add(const char *name, const char *value, const char *policy)
{
	struct rabbitmq_trait *t = &p.trait[p.n_traits++];

	snprintf(t->name, sizeof(t->name), "%s", name);
	snprintf(t->value, sizeof(t->value), "%s", value);
	snprintf(t->policy, sizeof(t->policy), "%s", policy);
}

static void a_queue_without_limits_drops_nothing(void **state)
{
	(void)state;
	snprintf(p.type, sizeof(p.type), "quorum");
	snprintf(p.version, sizeof(p.version), "3.10.8");
	add("queue-type", "quorum", "");
	add("ha-mode", "all", "mirrors");
	rabbitmq_portrait_tell(&p, &told);
	assert_string_equal(told.limits, "");
	assert_false(told.expires);
	assert_string_equal(rabbitmq_portrait_strategy(&p), "disabled");
}

static void limits_of_arguments_and_policies_are_named(void **state)
{
	(void)state;
	add("message-ttl", "500", "");
	add("max-length", "10", "short");
	add("expires", "800", "");
	rabbitmq_portrait_tell(&p, &told);
	assert_string_equal(
		told.limits, "x-message-ttl=500, max-length=10 (policy 'short'), x-expires=800");
	assert_true(told.expires);
}

static void a_queue_that_rejects_when_full_drops_nothing(void **state)
{
	(void)state;
	add("max-length", "10", "");
	add("max-length-bytes", "1000", "");
	add("overflow", "reject-publish", "");
	rabbitmq_portrait_tell(&p, &told);
	assert_string_equal(told.limits, "");
}

/* an argument is stronger than a policy */
static void a_policy_cannot_make_it_reject(void **state)
{
	(void)state;
	add("overflow", "reject-publish", "p");
	add("overflow", "drop-head", "");
	add("max-length", "10", "");
	rabbitmq_portrait_tell(&p, &told);
	assert_string_equal(told.limits, "x-max-length=10");
}

static void version_4_limits_deliveries_unless_told_not_to(void **state)
{
	(void)state;
	snprintf(p.type, sizeof(p.type), "quorum");
	snprintf(p.version, sizeof(p.version), "4.1.0");
	rabbitmq_portrait_tell(&p, &told);
	assert_string_equal(told.limits, "x-delivery-limit=20, by default");
	memset(&told, 0, sizeof(told));
	add("delivery-limit", "-1", "");
	rabbitmq_portrait_tell(&p, &told);
	assert_string_equal(told.limits, "");
}

static void the_default_exchange_names_the_dead_letter_queue(void **state)
{
	(void)state;
	add("dead-letter-exchange", "", "p");
	add("dead-letter-routing-key", "dead", "p");
	rabbitmq_portrait_tell(&p, &told);
	assert_string_equal(told.dead_letter_queue, "dead");
	assert_string_equal(rabbitmq_portrait_strategy(&p), "at_most_once");
	add("dead-letter-strategy", "at-least-once", "");
	assert_string_equal(rabbitmq_portrait_strategy(&p), "at_least_once");
}

static void another_exchange_does_not(void **state)
{
	(void)state;
	add("dead-letter-exchange", "graveyard", "");
	add("dead-letter-routing-key", "dead", "");
	rabbitmq_portrait_tell(&p, &told);
	assert_string_equal(told.dead_letter_queue, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_queue_without_limits_drops_nothing, clear),
		cmocka_unit_test_setup(limits_of_arguments_and_policies_are_named, clear),
		cmocka_unit_test_setup(a_queue_that_rejects_when_full_drops_nothing, clear),
		cmocka_unit_test_setup(a_policy_cannot_make_it_reject, clear),
		cmocka_unit_test_setup(version_4_limits_deliveries_unless_told_not_to, clear),
		cmocka_unit_test_setup(the_default_exchange_names_the_dead_letter_queue, clear),
		cmocka_unit_test_setup(another_exchange_does_not, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
