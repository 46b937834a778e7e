/* RabbitMQ's rules in both directions; and its names: what is known, what a value may be. */
#include "scenarios/lint/rabbitmq_defs.h"
#include "scenarios/lint/rules.h"

#include "tests/unit.h"

/* A quorum queue, with confirms, mandatory and persistent. */
static struct lint_facts good(void)
{
	return (struct lint_facts){
		.client = LINT_RABBITMQ_C,
		.queue = {.confirms = true,
			.mandatory = true,
			.persistent = true,
			.listens = true,
			.gives_up = true,
			.type = LINT_QUORUM,
			.version = 1,
			.durable = true,
			.members = 3,
			.max_length = LINT_FOREVER,
			.max_bytes = LINT_FOREVER,
			.ttl_ms = LINT_FOREVER,
			.expires_ms = LINT_FOREVER,
			.delivery_limit = LINT_FOREVER,
			.policies = LINT_NO,
			.mirrored = LINT_NO,
			.partitions = LINT_IGNORE,
			.nodes = 3},
	};
}

static struct lint_facts classic(void)
{
	struct lint_facts f = good();

	f.queue.type = LINT_CLASSIC;
	return f;
}

/* The same with publishers that do not say mandatory, as most do not. */
static struct lint_facts plain(void)
{
	struct lint_facts f = classic();

	f.queue.mandatory = false;
	return f;
}

/* "lost@broker! duplicated@produce": what is predicted in a scenario, '!' for what is sure; each once. */
static const char *predicted(struct lint_facts f, const char *scenario)
{
	static char text[1000];
	struct lint_prediction p[LINT_PREDICTIONS_MAX];
	size_t n = lint_predict(&f, scenario, p);

	text[0] = '\0';
	for (int kind = 0; kind < FINDING_N; kind++) {
		for (int stage = 0; stage < STAGE_N; stage++) {
			bool there = false, sure = false;

			for (size_t i = 0; i < n; i++) {
				if ((int)p[i].way->kind != kind || (int)p[i].way->stage != stage)
					continue;
				there = true;
				sure |= p[i].sure;
			}
			if (there)
				snprintf(text + strlen(text), sizeof(text) - strlen(text),
					"%s%s@%s%s", *text ? " " : "", finding_text(kind),
					stage_text(stage), sure ? "!" : "");
		}
	}
	return text;
}

#define UNACKED "unacknowledged@produce"

static void a_quorum_queue_loses_nothing(void **state)
{
	static const char *const scenarios[] = {"no-confirms-node-killed", "transient-restart",
		"classic-killed", "home-node-down", "classic-power-cut", "power-cut-all",
		"mirror-promoted", "partition-ignore", "partition-autoheal",
		"partition-pause-minority", "quorum-leader-killed", "quorum-minority",
		"quorum-majority-down", "rolling-restart", "memory-alarm"};
	struct lint_facts f = good();

	(void)state;
	f.queue.persistent = false; /* it writes all the same */
	for (size_t i = 0; i < N_OF(scenarios); i++)
		assert_null(strstr(predicted(f, scenarios[i]), "lost"));
	assert_string_equal(predicted(f, "unroutable"), "refused@produce!");
	assert_string_equal(predicted(f, "power-cut-all"), UNACKED);
	f.queue.mandatory = false;
	assert_string_equal(predicted(f, "unroutable"), "lost@broker!");
	assert_string_equal(predicted(f, "home-node-down"), UNACKED);
}

static void without_confirms_every_loss_is_one_of_produce(void **state)
{
	struct lint_facts f = plain();

	(void)state;
	f.queue.confirms = false;
	assert_string_equal(predicted(f, "no-confirms-node-killed"), "lost@produce!");
	assert_string_equal(predicted(f, "unroutable"), "lost@produce!");
	assert_string_equal(predicted(f, "home-node-down"), "lost@produce!");
	assert_string_equal(predicted(f, "classic-power-cut"), "lost@produce");
	assert_string_equal(predicted(f, "memory-alarm"), "lost@produce");
	f.queue.mandatory = true; /* what comes back comes too late */
	assert_string_equal(predicted(f, "unroutable"), "lost@produce!");
	f = good();
	f.queue.confirms = false;
	assert_string_equal(predicted(f, "no-confirms-node-killed"), "lost@produce!");
	assert_string_equal(predicted(f, "home-node-down"), "lost@produce");
}

static void what_is_sent_while_the_home_node_is_away(void **state)
{
	struct lint_facts f = plain();

	(void)state;
	assert_string_equal(predicted(f, "home-node-down"), "lost@broker! " UNACKED);
	assert_string_equal(predicted(f, "classic-killed"), "lost@broker " UNACKED);
	assert_string_equal(predicted(classic(), "home-node-down"), UNACKED " refused@produce!");
	assert_string_equal(predicted(classic(), "classic-killed"), UNACKED " refused@produce");
	f.queue.nodes = 1; /* nobody is there to take it */
	assert_string_equal(predicted(f, "home-node-down"), UNACKED);
	f = plain();
	f.queue.mirrored = LINT_YES;
	assert_string_equal(predicted(f, "home-node-down"), UNACKED);
	f.queue.mirrored = LINT_UNKNOWN;
	assert_string_equal(predicted(f, "home-node-down"), "lost@broker " UNACKED);
}

static void what_is_in_memory_goes_with_the_node(void **state)
{
	struct lint_facts f = classic();

	(void)state;
	assert_string_equal(predicted(f, "transient-restart"), "");
	f.queue.persistent = false;
	assert_string_equal(predicted(f, "transient-restart"), "lost@broker!");
	assert_string_equal(
		predicted(f, "classic-killed"), "lost@broker! " UNACKED " refused@produce");
	f = classic();
	f.queue.durable = false;
	assert_string_equal(predicted(f, "transient-restart"), "lost@broker!");
	f.queue.type = LINT_STREAM;
	f.queue.durable = true;
	f.queue.persistent = false;
	assert_string_equal(predicted(f, "transient-restart"), "");
}

static void what_is_in_the_page_cache_goes_with_the_power(void **state)
{
	struct lint_facts f = classic();

	(void)state;
	assert_string_equal(predicted(f, "classic-power-cut"), "");
	f.queue.version = 2;
	assert_string_equal(predicted(f, "classic-power-cut"), "lost@broker!");
	assert_string_equal(
		predicted(f, "classic-killed"), UNACKED " refused@produce"); /* a process only */
	f.queue.mirrored = LINT_YES; /* whose power fails with it, or not */
	assert_null(strstr(predicted(f, "classic-power-cut"), "lost"));
	assert_non_null(strstr(predicted(f, "power-cut-all"), "lost@broker"));
	f.queue.version = 1;
	assert_null(strstr(predicted(f, "power-cut-all"), "lost"));
	f.queue.persistent = false;
	assert_non_null(strstr(predicted(f, "power-cut-all"), "lost@broker!"));
	f = good();
	f.queue.type = LINT_STREAM;
	assert_string_equal(predicted(f, "power-cut-all"), "lost@broker! " UNACKED);
	assert_string_equal(predicted(f, "classic-power-cut"), "");
	f.queue.members = 1;
	assert_string_equal(predicted(f, "classic-power-cut"), "lost@broker");
}

static void mirrors_lose_where_they_may_lead_or_split(void **state)
{
	struct lint_facts f = classic();

	(void)state;
	assert_null(strstr(predicted(f, "mirror-promoted"), "lost"));
	f.queue.mirrored = LINT_YES;
	assert_string_equal(predicted(f, "mirror-promoted"), "lost@broker! " UNACKED);
	assert_string_equal(predicted(f, "partition-ignore"), "lost@broker! " UNACKED);
	assert_string_equal(predicted(f, "partition-autoheal"), UNACKED);
	f.queue.promote_synced = true;
	assert_string_equal(predicted(f, "mirror-promoted"), UNACKED);
	f.queue.promote_synced = false;
	f.queue.sync_automatic = true;
	assert_string_equal(predicted(f, "mirror-promoted"), UNACKED);
	f.queue.partitions = LINT_AUTOHEAL;
	assert_string_equal(predicted(f, "partition-ignore"), UNACKED);
	assert_string_equal(predicted(f, "partition-autoheal"), "lost@broker! " UNACKED);
	f.queue.partitions = LINT_PAUSE_MINORITY;
	assert_string_equal(predicted(f, "partition-autoheal"), UNACKED);
	f.queue.partitions = LINT_PARTITIONS_UNKNOWN;
	assert_string_equal(predicted(f, "partition-ignore"), "lost@broker " UNACKED);
	f = classic();
	f.queue.mirrored = f.queue.policies = LINT_UNKNOWN;
	assert_string_equal(
		predicted(f, "mirror-promoted"), "lost@broker " UNACKED " refused@produce");
}

static void what_policy_removes_is_expired(void **state)
{
	struct lint_facts f = good();

	(void)state;
	assert_string_equal(predicted(f, "max-length"), "");
	f.queue.max_length = 1000;
	assert_string_equal(predicted(f, "max-length"), "expired@broker!");
	f.queue.dead_letters = true;
	assert_string_equal(predicted(f, "max-length"), "expired@broker");
	assert_string_equal(predicted(f, "dead-letter-hop"), "lost@broker");
	f.queue.dead_letters_surely = true;
	assert_string_equal(predicted(f, "dead-letter-hop"), "");
	f.queue.dead_letters = false;
	f.queue.rejects = true;
	assert_string_equal(predicted(f, "max-length"), UNACKED "!");
	f = good();
	f.queue.ttl_ms = 500;
	assert_string_equal(predicted(f, "ttl"), "expired@broker!");
	f.queue.ttl_ms = 3600000;
	assert_string_equal(predicted(f, "ttl"), "expired@broker");
	f.queue.expires_ms = 800;
	assert_string_equal(predicted(f, "queue-expires"), "expired@broker");
	f.queue.delivery_limit = 3;
	assert_string_equal(predicted(f, "delivery-limit"), "expired@broker!");
	f.queue.type = LINT_CLASSIC; /* which counts no deliveries */
	assert_string_equal(predicted(f, "delivery-limit"), "");
	f = good();
	f.queue.type = LINT_STREAM;
	f.queue.max_bytes = 1000000;
	assert_string_equal(predicted(f, "max-length"), "");
	assert_non_null(strstr(predicted(f, NULL), "expired@broker"));
}

static void who_publishes_again_repeats(void **state)
{
	struct lint_facts f = good();

	(void)state;
	assert_string_equal(predicted(f, "confirm-lost-republish"), UNACKED);
	f.queue.republishes = true;
	assert_string_equal(predicted(f, "confirm-lost-republish"), "duplicated@produce! " UNACKED);
	assert_string_equal(predicted(f, "quorum-leader-killed"), "duplicated@produce " UNACKED);
	f.queue.confirms = false; /* nothing is ever unknown */
	assert_string_equal(predicted(f, "confirm-lost-republish"), "lost@produce");
}

static bool is_predicted(struct lint_facts f, const char *scenario, const char *cause)
{
	struct lint_prediction p[LINT_PREDICTIONS_MAX];
	size_t n = lint_predict(&f, scenario, p);

	for (size_t i = 0; i < n; i++)
		if (strstr(p[i].way->cause, cause))
			return true;
	return false;
}

static void the_rest_of_the_settings(void **state)
{
	struct lint_facts f = good();

	(void)state;
	assert_false(is_predicted(f, "memory-alarm", "blocked.notice"));
	f.queue.listens = false;
	assert_true(is_predicted(f, "memory-alarm", "blocked.notice"));
	assert_false(is_predicted(f, "no-confirms-node-killed", "heartbeat"));
	f.queue.gives_up = false;
	assert_true(is_predicted(f, "no-confirms-node-killed", "heartbeat"));
	f = classic();
	assert_false(is_predicted(f, NULL, "auto-delete"));
	f.queue.auto_delete = true;
	assert_true(is_predicted(f, NULL, "auto-delete"));
	f.queue.mirrored = LINT_YES;
	assert_false(is_predicted(f, "rolling-restart", "ha-promote-on-shutdown"));
	f.queue.promote_any_on_shutdown = true;
	assert_true(is_predicted(f, "rolling-restart", "ha-promote-on-shutdown"));
	f.queue.sync_automatic = true;
	assert_false(is_predicted(f, "rolling-restart", "ha-promote-on-shutdown"));
}

static void every_rule_has_its_scenario_and_its_words(void **state)
{
	const struct lint_book *book = lint_book_of(LINT_RABBITMQ_C);
	struct lint_facts f = good();
	struct lint_prediction p[LINT_PREDICTIONS_MAX];

	(void)state;
	/* aborts where a rule names a scenario that is not in the book */
	lint_predict(&f, NULL, p);
	for (size_t i = 0; i < book->n_rules; i++) {
		assert_true(*book->rule[i].way->cause && *book->rule[i].way->why);
		/* no rule stands twice */
		for (size_t k = 0; k < i; k++)
			assert_false(book->rule[k].way == book->rule[i].way &&
				     strcmp(book->rule[k].scenario, book->rule[i].scenario) == 0);
	}
	for (size_t i = 0; i < book->n_scenarios; i++) {
		const struct lint_scenario *s = &book->scenario[i];
		bool found = false;

		for (size_t k = 0; k < book->n_rules; k++)
			found |= strcmp(book->rule[k].scenario, *s->name ? s->name : s->id) == 0;
		if (!found)
			fail_msg("no rule for %s", *s->name ? s->name : s->id);
		assert_true(!*s->name || lint_scenario_find(LINT_RABBITMQ_C, s->name) == s);
		assert_true(strlen(s->fault) <= 45); /* its column */
	}
	assert_null(lint_scenario_find(LINT_RABBITMQ_C, "leader-isolated"));
	/* both brokers have one of this name, and each its own */
	assert_ptr_not_equal(lint_scenario_find(LINT_RABBITMQ_C, "power-cut-all"),
		lint_scenario_find(LINT_JAVA, "power-cut-all"));
}

static void names_of_rabbitmq_conf(void **state)
{
	static const char *const known[] = {"cluster_partition_handling", "listeners.tcp.default",
		"listeners.tcp.1", "cluster_formation.classic_config.nodes.1",
		"ssl_options.versions.1", "management.tcp.port",
		"cluster_partition_handling.pause_if_all_down.nodes.1", "loopback_users.guest",
		"loopback_users", "log.console.level", "default_user_tags.tag"};
	static const char *const unknown[] = {"", "cluster_partition_handlng", "listeners",
		"listeners.tcp.1.2", "log.console.levels", "vm_memory_high_watermark", "log"};

	(void)state;
	for (size_t i = 0; i < N_OF(known); i++)
		if (!rabbitmq_defs_find(RABBITMQ_DEFS_CONF, known[i]))
			fail_msg("%s is not known", known[i]);
	for (size_t i = 0; i < N_OF(unknown); i++)
		if (rabbitmq_defs_find(RABBITMQ_DEFS_CONF, unknown[i]))
			fail_msg("%s is known", unknown[i]);
}

static int checked(enum rabbitmq_defs which, const char *name, const char *value)
{
	const struct rabbitmq_def *def = rabbitmq_defs_find(which, name);

	assert_non_null(def);
	return rabbitmq_defs_check(def, value, NULL);
}

static void values(void **state)
{
	(void)state;
	assert_int_equal(checked(RABBITMQ_DEFS_QUEUE, "x-max-length", "0"), 0);
	assert_int_equal(checked(RABBITMQ_DEFS_QUEUE, "x-max-length", "-1"), ERR_USAGE);
	assert_int_equal(checked(RABBITMQ_DEFS_QUEUE, "x-max-length", "10k"), ERR_USAGE);
	assert_int_equal(checked(RABBITMQ_DEFS_QUEUE, "x-max-length", ""), ERR_USAGE);
	assert_int_equal(checked(RABBITMQ_DEFS_QUEUE, "x-queue-type", "stream"), 0);
	assert_int_equal(checked(RABBITMQ_DEFS_QUEUE, "x-queue-type", "str"), ERR_USAGE);
	assert_int_equal(checked(RABBITMQ_DEFS_QUEUE, "x-queue-type", ""), ERR_USAGE);
	assert_int_equal(checked(RABBITMQ_DEFS_QUEUE, "x-dead-letter-exchange", ""), 0);
	assert_int_equal(checked(RABBITMQ_DEFS_POLICY, "ha-mode", "exactly"), 0);
	assert_int_equal(checked(RABBITMQ_DEFS_POLICY, "ha-mode", "some"), ERR_USAGE);
	assert_int_equal(checked(RABBITMQ_DEFS_CONF, "cluster_partition_handling", "autoheal"), 0);
	assert_int_equal(
		checked(RABBITMQ_DEFS_CONF, "cluster_partition_handling", "auto"), ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quorum_queue_loses_nothing),
		cmocka_unit_test(without_confirms_every_loss_is_one_of_produce),
		cmocka_unit_test(what_is_sent_while_the_home_node_is_away),
		cmocka_unit_test(what_is_in_memory_goes_with_the_node),
		cmocka_unit_test(what_is_in_the_page_cache_goes_with_the_power),
		cmocka_unit_test(mirrors_lose_where_they_may_lead_or_split),
		cmocka_unit_test(what_policy_removes_is_expired),
		cmocka_unit_test(who_publishes_again_repeats),
		cmocka_unit_test(the_rest_of_the_settings),
		cmocka_unit_test(every_rule_has_its_scenario_and_its_words),
		cmocka_unit_test(names_of_rabbitmq_conf),
		cmocka_unit_test(values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
