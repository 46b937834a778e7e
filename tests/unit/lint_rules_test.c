/* Every rule in both directions: the setting that lets it happen, and the one that does not. */
#include "scenarios/lint/rules.h"

#include "tests/unit.h"

/* acks=all, idempotent, three replicas, two in sync, defaults of Kafka 4.1 otherwise. */
static struct lint_facts good(void)
{
	return (struct lint_facts){
		.client = LINT_LIBRDKAFKA,
		.acks = LINT_ACKS_ALL,
		.idempotent = true,
		.retries = INT32_MAX,
		.max_in_flight = 5,
		.give_up_ms = 300000,
		.request_timeout_ms = 30000,
		.replication = 3,
		.min_insync = 2,
		.removes = true,
		.retention_ms = LINT_FOREVER,
		.retention_bytes = LINT_FOREVER,
		.flush_messages = LINT_FOREVER,
		.flush_ms = LINT_FOREVER,
		.elr = LINT_YES,
		.offsets_replication = 3,
	};
}

/* librdkafka's own defaults. */
static struct lint_facts plain(void)
{
	struct lint_facts f = good();

	f.idempotent = false;
	f.max_in_flight = 1000000;
	return f;
}

static struct lint_facts with_acks(int acks)
{
	struct lint_facts f = plain();

	f.acks = acks;
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

#define REPEATS "duplicated@produce reordered@produce"

static void acks_1_loses_when_leadership_moves(void **state)
{
	static const char *const moves[] = {"leader-killed", "planned-leader-moves", "disk-full",
		"disk-error", "one-way-partition-in", "one-way-partition-out", "controller-killed",
		"controllers-lost", "rolling-restart", "rolling-upgrade", "reassignment",
		"coordinator-killed", "restart-storm", "client-gives-up"};
	struct lint_facts one;

	(void)state;
	assert_string_equal(predicted(with_acks(1), "leader-isolated"), "lost@broker! " REPEATS);
	assert_string_equal(
		predicted(with_acks(1), "planned-leader-move"), "lost@broker! " REPEATS);
	assert_string_equal(
		predicted(with_acks(1), "controlled-shutdown"), "lost@broker! " REPEATS);
	assert_string_equal(
		predicted(with_acks(1), "leader-killed-followers-behind"), "lost@broker! " REPEATS);
	for (size_t i = 0; i < N_OF(moves); i++) {
		assert_string_equal(predicted(with_acks(1), moves[i]), "lost@broker " REPEATS);
		assert_string_equal(predicted(plain(), moves[i]), REPEATS);
		assert_string_equal(predicted(good(), moves[i]), "");
	}
	/* there is no other leader */
	one = with_acks(1);
	one.replication = 1;
	one.min_insync = 1;
	assert_string_equal(predicted(one, "leader-isolated"), REPEATS);
}

static void acks_all_is_as_safe_with_one_in_sync_when_the_leader_is_cut_off(void **state)
{
	struct lint_facts f = good();

	(void)state;
	f.min_insync = 1;
	assert_string_equal(predicted(f, "leader-isolated"), "");
	assert_string_equal(predicted(f, "leader-killed-followers-behind"), "");
	assert_string_equal(predicted(f, "planned-leader-move"), "");
}

static void acks_0_loses_at_produce_and_never_repeats(void **state)
{
	static const char *const sure[] = {"leader-isolated", "leader-killed-followers-behind",
		"leader-killed", "power-cut-all"},
				 *const maybe[] = {"planned-leader-move", "unclean-election",
					 "last-replica-power-cut", "client-cut-from-leader",
					 "client-cut-from-all", "client-gives-up", "response-lost",
					 "rolling-restart"};

	(void)state;
	for (size_t i = 0; i < N_OF(sure); i++)
		assert_string_equal(predicted(with_acks(0), sure[i]), "lost@produce!");
	for (size_t i = 0; i < N_OF(maybe); i++)
		assert_string_equal(predicted(with_acks(0), maybe[i]), "lost@produce");
	assert_string_equal(predicted(with_acks(0), "retention"), "");
}

static void a_lost_answer_repeats_without_idempotence(void **state)
{
	struct lint_facts f = plain();

	(void)state;
	assert_string_equal(predicted(f, "response-lost"), REPEATS);
	f.request_timeout_ms = 1500; /* within the four seconds of the scenario */
	assert_string_equal(predicted(f, "response-lost"), "duplicated@produce! reordered@produce");
	assert_string_equal(
		predicted(f, "retries-reorder"), "duplicated@produce reordered@produce!");
	f.max_in_flight = 1;
	assert_string_equal(
		predicted(f, "retries-reorder"), "duplicated@produce reordered@produce");
	f.client = LINT_JAVA;
	assert_string_equal(predicted(f, "retries-reorder"), "duplicated@produce");
	assert_string_equal(predicted(f, "response-lost"), "duplicated@produce!");
	f.acks = 1;
	assert_string_equal(predicted(f, "response-lost"), "duplicated@produce!");
	f.retries = 0;
	assert_string_equal(
		predicted(f, "response-lost"), "unacknowledged@produce refused@produce");
	f.client = LINT_LIBRDKAFKA;
	assert_string_equal(predicted(f, "response-lost"),
		"reordered@produce unacknowledged@produce refused@produce");
	f = good();
	f.request_timeout_ms = 1500;
	assert_string_equal(predicted(f, "response-lost"), "");
	assert_string_equal(predicted(f, "retries-reorder"), "");
}

static void giving_up_is_shown_and_breaks_nothing(void **state)
{
	struct lint_facts f = good();
	struct promise promise;
	struct err e;

	(void)state;
	assert_int_equal(promise_parse("exactly-once,ordered", &promise, &e), 0);
	assert_string_equal(predicted(f, "client-gives-up"), "");
	f.give_up_ms = 4000;
	assert_string_equal(
		predicted(f, "client-gives-up"), "unacknowledged@produce refused@produce!");
	assert_string_equal(
		predicted(f, "leader-killed"), "unacknowledged@produce refused@produce");
	f.give_up_ms = 10000;
	assert_string_equal(
		predicted(f, "client-gives-up"), "unacknowledged@produce refused@produce");
	f.give_up_ms = 120000;
	assert_string_equal(predicted(f, "client-gives-up"), "");
	assert_string_equal(predicted(f, "leader-killed"), "");
	assert_string_equal(predicted(good(), "producer-dies-unflushed"),
		"unacknowledged@produce refused@produce");
	assert_false(promise_broken_by(&promise, FINDING_UNACKNOWLEDGED));
	assert_false(promise_broken_by(&promise, FINDING_REFUSED));
}

#define FORGOTTEN "unacknowledged@produce refused@produce"

static void an_unclean_leader_loses_what_only_one_had(void **state)
{
	struct lint_facts f = good();

	(void)state;
	assert_string_equal(predicted(f, "unclean-election"), FORGOTTEN);
	f.unclean = true; /* nothing can be acknowledged below two in sync */
	assert_string_equal(predicted(f, "unclean-election"), FORGOTTEN);
	f.min_insync = 1;
	assert_string_equal(predicted(f, "unclean-election"), "lost@broker! " FORGOTTEN);
	f.replication = 1;
	assert_string_equal(predicted(f, "unclean-election"), FORGOTTEN);
	f = good();
	f.min_insync = 1;
	assert_string_equal(predicted(f, "unclean-election"), FORGOTTEN);
	/* acks=1 does not ask how many are in sync */
	f = with_acks(1);
	f.unclean = true;
	assert_string_equal(predicted(f, "unclean-election"), "lost@broker! " REPEATS);
	/* a clean leader: the only one, when it is back; with eligible replicas another, without the tail */
	f.unclean = false;
	assert_string_equal(predicted(f, "unclean-election"), "lost@broker " REPEATS);
	f.elr = LINT_NO;
	assert_string_equal(predicted(f, "unclean-election"), REPEATS);
}

static void the_last_replica_needs_eligible_ones_or_a_flush(void **state)
{
	struct lint_facts f = good();

	(void)state;
	assert_string_equal(predicted(f, "last-replica-power-cut"), FORGOTTEN);
	f.elr = LINT_NO;
	assert_string_equal(predicted(f, "last-replica-power-cut"), "lost@broker! " FORGOTTEN);
	f.elr = LINT_UNKNOWN;
	assert_string_equal(predicted(f, "last-replica-power-cut"), "lost@broker " FORGOTTEN);
	f.elr = LINT_NO;
	f.flush_messages = 1;
	assert_string_equal(predicted(f, "last-replica-power-cut"), FORGOTTEN);
	/* there are no eligible ones where one in sync is enough */
	f = good();
	f.min_insync = 1;
	assert_string_equal(predicted(f, "last-replica-power-cut"), "lost@broker " FORGOTTEN);
	f = with_acks(1);
	assert_string_equal(predicted(f, "last-replica-power-cut"), "lost@broker " REPEATS);
	f.flush_messages = 1;
	assert_string_equal(predicted(f, "last-replica-power-cut"), "lost@broker " REPEATS);
	f.elr = LINT_NO;
	assert_string_equal(predicted(f, "last-replica-power-cut"), REPEATS);
}

static void a_power_cut_of_all_loses_what_is_not_flushed(void **state)
{
	struct lint_facts f = good();

	(void)state;
	assert_string_equal(predicted(f, "power-cut-all"), "lost@broker! " FORGOTTEN);
	f.flush_messages = 1;
	assert_string_equal(predicted(f, "power-cut-all"), FORGOTTEN);
	f.flush_messages = 1000;
	assert_string_equal(predicted(f, "power-cut-all"), "lost@broker " FORGOTTEN);
	f.flush_messages = LINT_FOREVER;
	f.flush_ms = 2000; /* flush.ms and the scheduler that looks at it */
	assert_string_equal(predicted(f, "power-cut-all"), "lost@broker " FORGOTTEN);
	f = with_acks(1);
	f.flush_messages = 1; /* another may lead */
	assert_string_equal(predicted(f, "power-cut-all"), "lost@broker " REPEATS);
	f.replication = 1;
	assert_string_equal(predicted(f, "power-cut-all"), REPEATS);
}

static void what_policy_removes_is_expired(void **state)
{
	struct lint_facts f = good();

	(void)state;
	assert_string_equal(predicted(f, "retention"), "");
	assert_string_equal(predicted(f, "compaction"), "");
	assert_string_equal(predicted(f, "delete-records"), "expired@broker");
	f.retention_ms = 1000;
	assert_string_equal(predicted(f, "retention"), "expired@broker!");
	f.retention_ms = 604800000;
	assert_string_equal(predicted(f, "retention"), "expired@broker");
	f.retention_ms = LINT_FOREVER;
	f.retention_bytes = 1 << 20;
	assert_string_equal(predicted(f, "retention"), "expired@broker");
	f.compact = true;
	f.removes = false;
	assert_string_equal(predicted(f, "retention"), "");
	assert_string_equal(predicted(f, "delete-records"), "");
	assert_string_equal(predicted(f, "compaction"), "expired@broker! refused@produce");
}

static void too_few_replicas_refuse_everything(void **state)
{
	struct lint_prediction p[LINT_PREDICTIONS_MAX];
	struct lint_facts f = good();

	(void)state;
	assert_string_equal(predicted(f, ""), "");
	f.replication = 1;
	assert_string_equal(predicted(f, ""), "refused@produce!");
	f.acks = 1;
	assert_string_equal(predicted(f, ""), "");
	assert_true(lint_predict(&f, NULL, p) > 0);
}

static struct lint_facts consumer(void)
{
	struct lint_facts f = good();

	f.consumer = true;
	f.reset = LINT_RESET_EARLIEST;
	return f;
}

static void consumers_are_left_out_without_settings_of_theirs(void **state)
{
	static const char *const theirs[] = {
		"commit-before-process", "process-before-commit", "hanging-transaction"};
	struct lint_facts f = good();

	(void)state;
	f.auto_commit = f.auto_store = f.transactional = f.read_uncommitted = true;
	f.reset = LINT_RESET_LATEST;
	for (size_t i = 0; i < N_OF(theirs); i++)
		assert_string_equal(predicted(f, theirs[i]), "");
}

static void commits_before_the_work_lose(void **state)
{
	struct lint_facts f = consumer();

	(void)state;
	assert_string_equal(predicted(f, "commit-before-process"), "");
	assert_string_equal(predicted(f, "process-before-commit"), "redelivered@consume");
	f.auto_commit = true; /* stored by hand, after the work */
	assert_string_equal(predicted(f, "commit-before-process"), "");
	f.auto_store = true;
	assert_string_equal(predicted(f, "commit-before-process"), "lost@consume");
	f.auto_store = false;
	f.client = LINT_JAVA; /* has no such setting */
	assert_string_equal(predicted(f, "commit-before-process"), "lost@consume");
}

static void a_cut_log_and_the_reset_policy(void **state)
{
	struct lint_facts f = consumer();

	(void)state;
	assert_string_equal(predicted(f, "truncation-under-consumer"), FORGOTTEN);
	f.unclean = true;
	f.min_insync = 1;
	f.reset = LINT_RESET_LATEST;
	assert_string_equal(
		predicted(f, "truncation-under-consumer"), "lost@broker! lost@consume! " FORGOTTEN);
	f.sees_truncation = true;
	assert_string_equal(predicted(f, "truncation-under-consumer"), "lost@broker! " FORGOTTEN);
	f.reset = LINT_RESET_EARLIEST;
	assert_string_equal(predicted(f, "truncation-under-consumer"),
		"lost@broker! " FORGOTTEN " redelivered@consume");
	f.reset = LINT_RESET_NONE;
	assert_string_equal(
		predicted(f, "truncation-under-consumer"), "lost@broker! stuck@consume " FORGOTTEN);
}

static void transactions_need_a_reader_that_waits(void **state)
{
	struct lint_facts f = consumer();

	(void)state;
	assert_string_equal(predicted(f, "transactions"), "");
	assert_string_equal(predicted(f, "hanging-transaction"), "");
	f.transactional = true;
	assert_string_equal(predicted(f, "transactions"), "refused@produce");
	assert_string_equal(predicted(f, "hanging-transaction"), "stuck@consume");
	f.read_uncommitted = true;
	assert_string_equal(predicted(f, "transactions"), "aborted-read@consume! refused@produce");
	assert_string_equal(predicted(f, "hanging-transaction"), "");
}

static void offsets_on_one_broker(void **state)
{
	struct lint_facts f = consumer();

	(void)state;
	assert_string_equal(predicted(f, "coordinator-killed"), "");
	f.offsets_replication = 1;
	assert_string_equal(predicted(f, "coordinator-killed"), "redelivered@consume");
	f.reset = LINT_RESET_LATEST;
	assert_string_equal(predicted(f, "coordinator-killed"), "lost@consume redelivered@consume");
}

static void every_scenario_has_a_rule_and_every_way_its_words(void **state)
{
	struct lint_facts f = with_acks(1);
	struct lint_prediction p[LINT_PREDICTIONS_MAX];
	size_t n, n_scenarios;
	const struct lint_scenario *s = lint_scenarios(LINT_LIBRDKAFKA, &n_scenarios);

	(void)state;
	f.consumer = f.transactional = f.read_uncommitted = f.unclean = f.compact = true;
	f.auto_commit = f.auto_store = true;
	f.retention_ms = 1;
	f.min_insync = 1;
	n = lint_predict(&f, NULL, p);
	for (size_t i = 0; i < n; i++) {
		assert_true(*p[i].way->cause && *p[i].way->why && p[i].way->fix);
		assert_non_null(p[i].scenario);
	}
	for (size_t i = 0; i < n_scenarios; i++) {
		bool found = strcmp(s[i].name, "hanging-transaction") == 0 || !*s[i].name;

		for (size_t k = 0; k < n; k++)
			found |= p[k].scenario == &s[i];
		if (!found)
			fail_msg("no rule for %s", s[i].name);
		assert_true(!*s[i].name || lint_scenario_find(LINT_LIBRDKAFKA, s[i].name) == &s[i]);
	}
	assert_null(lint_scenario_find(LINT_LIBRDKAFKA, "nonsense"));
	assert_null(lint_scenario_find(LINT_LIBRDKAFKA, ""));
	assert_null(lint_scenario_find(LINT_LIBRDKAFKA, "K-15"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acks_1_loses_when_leadership_moves),
		cmocka_unit_test(acks_all_is_as_safe_with_one_in_sync_when_the_leader_is_cut_off),
		cmocka_unit_test(acks_0_loses_at_produce_and_never_repeats),
		cmocka_unit_test(a_lost_answer_repeats_without_idempotence),
		cmocka_unit_test(giving_up_is_shown_and_breaks_nothing),
		cmocka_unit_test(an_unclean_leader_loses_what_only_one_had),
		cmocka_unit_test(the_last_replica_needs_eligible_ones_or_a_flush),
		cmocka_unit_test(a_power_cut_of_all_loses_what_is_not_flushed),
		cmocka_unit_test(what_policy_removes_is_expired),
		cmocka_unit_test(too_few_replicas_refuse_everything),
		cmocka_unit_test(consumers_are_left_out_without_settings_of_theirs),
		cmocka_unit_test(commits_before_the_work_lose),
		cmocka_unit_test(a_cut_log_and_the_reset_policy),
		cmocka_unit_test(transactions_need_a_reader_that_waits),
		cmocka_unit_test(offsets_on_one_broker),
		cmocka_unit_test(every_scenario_has_a_rule_and_every_way_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
