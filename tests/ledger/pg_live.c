/* The PostgreSQL wrapper on a real server: MQAUDIT_TEST_LEDGER is its conninfo, of a superuser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/ledger/pg.h"

static struct pg *open_as(const char *more)
{
	struct pg *pg = pg_new();
	struct err e = {0};
	char conninfo[2000];

	assert_non_null(pg);
	snprintf(conninfo, sizeof(conninfo), "%s %s", getenv("MQAUDIT_TEST_LEDGER"), more);
	if (pg_open(pg, conninfo, PG_TIMEOUT, &e))
		fail_msg("%s", e.msg);
	return pg;
}

static void must_exec(struct pg *pg, const char *sql)
{
	struct err e = {0};

	if (pg_exec(pg, sql, PG_TIMEOUT, &e))
		fail_msg("%s: %s", sql, e.msg);
}

static int64_t must_ask(struct pg *pg, const char *sql)
{
	struct pg_rows *rows = NULL;
	struct err e = {0};
	int64_t v;

	if (pg_query(pg, sql, NULL, PG_TIMEOUT, &rows, &e))
		fail_msg("%s: %s", sql, e.msg);
	v = pg_rows_i64(rows, 0, 0);
	pg_rows_free(rows);
	return v;
}

/* Wait until the question is answered with 1. */
static bool becomes_true(struct pg *pg, const char *sql)
{
	int64_t deadline = clock_ns() + 10 * NS_PER_S;

	while (must_ask(pg, sql) != 1) {
		if (clock_ns() >= deadline)
			return false;
		clock_sleep_ns(10 * NS_PER_MS);
	}
	return true;
}

static void parameters_and_rows(void **state)
{
	struct pg *pg = open_as("");
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct err e = {0};

	(void)state;
	assert_true(pg_server_version(pg) >= 150000);
	pg_arg_text(&args, "it's; drop \"it\"");
	pg_arg_i64(&args, INT64_MIN);
	pg_arg_u64(&args, INT64_MAX);
	pg_arg_text(&args, NULL);
	assert_int_equal(pg_query(pg,
				 "select $1::text, $2::int8, $3::int8, $4::int8, true, false, '1x' "
				 "union all select 'b', 1, 2, 3, false, true, ''",
				 &args, PG_TIMEOUT, &rows, &e),
		0);
	assert_int_equal(pg_rows_n(rows), 2);
	assert_string_equal(pg_rows_text(rows, 0, 0), "it's; drop \"it\"");
	assert_true(pg_rows_i64(rows, 0, 1) == INT64_MIN);
	assert_true(pg_rows_u64(rows, 0, 2) == (uint64_t)INT64_MAX);
	assert_true(pg_rows_is_null(rows, 0, 3));
	assert_true(pg_rows_i64(rows, 0, 3) == 0);
	assert_true(pg_rows_bool(rows, 0, 4));
	assert_false(pg_rows_bool(rows, 0, 5));
	assert_int_equal(pg_rows_check(rows, &e), 0);
	assert_true(pg_rows_i64(rows, 0, 6) == 0);
	assert_int_equal(pg_rows_check(rows, &e), ERR_FORMAT);
	pg_rows_free(rows);
	pg_free(pg);
}

static void prepared_statements(void **state)
{
	struct pg *pg = open_as("");
	struct err e = {0};

	(void)state;
	assert_int_equal(pg_prepare(pg, "twice", "select 2 * $1::int8", PG_TIMEOUT, &e), 0);
	for (int64_t i = 0; i < 3; i++) {
		struct pg_args args = PG_ARGS_INIT;
		struct pg_rows *rows = NULL;

		pg_arg_i64(&args, i);
		assert_int_equal(pg_query_prepared(pg, "twice", &args, PG_TIMEOUT, &rows, &e), 0);
		assert_true(pg_rows_i64(rows, 0, 0) == 2 * i);
		pg_rows_free(rows);
	}
	pg_free(pg);
}

static void sql_errors_leave_the_connection_usable(void **state)
{
	struct pg *pg = open_as("");
	struct err e = {0};

	(void)state;
	assert_int_equal(pg_query(pg, "select nonsense", NULL, PG_TIMEOUT, NULL, &e), ERR_LEDGER);
	assert_string_equal(pg_sqlstate(pg), "42703");
	assert_non_null(strstr(e.msg, "nonsense"));
	assert_int_equal(must_ask(pg, "select 7"), 7);
	assert_string_equal(pg_sqlstate(pg), "");
	assert_int_equal(pg_exec(pg, "select 1; select 1/0; select 2", PG_TIMEOUT, &e), ERR_LEDGER);
	assert_string_equal(pg_sqlstate(pg), "22012");
	assert_int_equal(must_ask(pg, "select 8"), 8);
	pg_free(pg);
}

static void deadline_cancels_the_statement(void **state)
{
	struct pg *pg = open_as("application_name=sleeper"), *other = open_as("");
	struct err e = {0};
	int64_t begin = clock_ns(), took;

	(void)state;
	assert_int_equal(pg_query(pg, "select pg_sleep(100)", NULL, 300 * NS_PER_MS, NULL, &e),
		ERR_LEDGER_AWAY);
	took = clock_ns() - begin;
	assert_true(took >= 300 * NS_PER_MS && took < 3 * NS_PER_S);
	assert_non_null(strstr(e.msg, "did not answer"));
	assert_false(pg_is_open(pg));
	assert_true(becomes_true(other, "select (count(*) = 0)::int from pg_stat_activity where "
					"application_name = 'sleeper'"));
	pg_free(pg);
	pg_free(other);
}

static void access_is_denied(void **state)
{
	struct pg *pg = open_as(""), *other = pg_new();
	struct err e = {0};
	char conninfo[2000];

	(void)state;
	must_exec(pg, "create role weak login connection limit 0; create table private (x int8)");
	must_exec(pg, "set role weak");
	assert_int_equal(pg_exec(pg, "select * from private", PG_TIMEOUT, &e), ERR_DENIED);
	assert_string_equal(pg_sqlstate(pg), "42501");
	must_exec(pg, "reset role");

	snprintf(conninfo, sizeof(conninfo), "%s user=nosuchrole", getenv("MQAUDIT_TEST_LEDGER"));
	assert_int_equal(pg_open(other, conninfo, PG_TIMEOUT, &e), ERR_DENIED);
	assert_string_equal(pg_sqlstate(other), "28000");
	snprintf(conninfo, sizeof(conninfo), "%s dbname=nosuchdb", getenv("MQAUDIT_TEST_LEDGER"));
	assert_int_equal(pg_open(other, conninfo, PG_TIMEOUT, &e), ERR_LEDGER);
	assert_string_equal(pg_sqlstate(other), "3D000");
	snprintf(conninfo, sizeof(conninfo), "%s user=weak", getenv("MQAUDIT_TEST_LEDGER"));
	assert_int_equal(pg_open(other, conninfo, PG_TIMEOUT, &e), ERR_LEDGER_AWAY);
	assert_string_equal(pg_sqlstate(other), "53300"); /* too many connections */
	must_exec(pg, "drop role weak; drop table private");
	pg_free(pg);
	pg_free(other);
}

/* ---- transactions ---- */

static void commit_and_rollback(void **state)
{
	struct pg *pg = open_as(""), *other = open_as("");
	struct err e = {0};

	(void)state;
	must_exec(pg,
		"create table t (x int8 primary key, y int8 references t deferrable initially deferred)");
	assert_int_equal(pg_begin(pg, "repeatable read", PG_TIMEOUT, &e), 0);
	must_exec(pg, "insert into t values (1)");
	assert_int_equal(must_ask(other, "select count(*) from t"), 0);
	assert_int_equal(pg_commit(pg, PG_TIMEOUT, &e), 0);
	assert_int_equal(must_ask(other, "select count(*) from t"), 1);

	assert_int_equal(pg_begin(pg, NULL, PG_TIMEOUT, &e), 0);
	must_exec(pg, "insert into t values (2)");
	assert_int_equal(pg_rollback(pg, PG_TIMEOUT, &e), 0);
	assert_int_equal(pg_rollback(pg, PG_TIMEOUT, &e), 0);
	assert_int_equal(must_ask(other, "select count(*) from t"), 1);
	pg_free(pg);
	pg_free(other);
}

static void failed_transaction_is_not_committed(void **state)
{
	struct pg *pg = open_as("");
	struct err e = {0};

	(void)state;
	assert_int_equal(pg_begin(pg, NULL, PG_TIMEOUT, &e), 0);
	must_exec(pg, "insert into t values (3)");
	assert_int_equal(pg_exec(pg, "insert into t values (1)", PG_TIMEOUT, &e), ERR_LEDGER);
	assert_string_equal(pg_sqlstate(pg), "23505");
	assert_int_equal(pg_commit(pg, PG_TIMEOUT, &e), ERR_LEDGER);
	assert_false(pg_commit_unknown(pg));
	assert_true(pg_is_open(pg));

	/* the COMMIT itself finds the error */
	assert_int_equal(pg_begin(pg, NULL, PG_TIMEOUT, &e), 0);
	must_exec(pg, "insert into t values (4, 99)");
	assert_int_equal(pg_commit(pg, PG_TIMEOUT, &e), ERR_LEDGER);
	assert_string_equal(pg_sqlstate(pg), "23503");
	assert_false(pg_commit_unknown(pg));
	assert_int_equal(must_ask(pg, "select count(*) from t"), 1);
	pg_free(pg);
}

static void killed_session_makes_the_commit_unknown(void **state)
{
	struct pg *pg = open_as("application_name=victim"), *other = open_as("");
	struct err e = {0};

	(void)state;
	assert_int_equal(pg_begin(pg, NULL, PG_TIMEOUT, &e), 0);
	must_exec(pg, "insert into t values (5)");
	must_exec(other,
		"select pg_terminate_backend(pid) from pg_stat_activity where application_name = "
		"'victim'");
	assert_int_equal(pg_commit(pg, PG_TIMEOUT, &e), ERR_LEDGER_AWAY);
	assert_true(pg_commit_unknown(pg));
	assert_false(pg_is_open(pg));
	assert_int_equal(pg_rollback(pg, PG_TIMEOUT, &e), 0);
	assert_int_equal(must_ask(other, "select count(*) from t"), 1);
	pg_free(pg);
	pg_free(other);
}

static void frozen_session_makes_the_commit_unknown(void **state)
{
	struct pg *pg = open_as(""), *other = open_as("");
	struct err e = {0};
	int64_t begin, took;
	pid_t backend;

	(void)state;
	backend = (pid_t)must_ask(pg, "select pg_backend_pid()");
	assert_int_equal(pg_begin(pg, NULL, PG_TIMEOUT, &e), 0);
	must_exec(pg, "insert into t values (6)");
	assert_int_equal(kill(backend, SIGSTOP), 0);
	begin = clock_ns();
	assert_int_equal(pg_commit(pg, 300 * NS_PER_MS, &e), ERR_LEDGER_AWAY);
	took = clock_ns() - begin;
	kill(backend, SIGCONT);
	assert_true(took >= 300 * NS_PER_MS && took < 4 * NS_PER_S);
	assert_true(pg_commit_unknown(pg));
	assert_false(pg_is_open(pg));
	must_exec(other, "drop table t");
	pg_free(pg);
	pg_free(other);
}

static void session_that_ends_itself_is_away(void **state)
{
	struct pg *pg = open_as("");
	struct err e = {0};

	(void)state;
	assert_int_equal(
		pg_exec(pg, "select pg_terminate_backend(pg_backend_pid())", PG_TIMEOUT, &e),
		ERR_LEDGER_AWAY);
	assert_string_equal(pg_sqlstate(pg), "57P01");
	assert_false(pg_is_open(pg));
	assert_int_equal(pg_exec(pg, "select 1", PG_TIMEOUT, &e), ERR_LEDGER_AWAY);
	pg_free(pg);
}

/* ---- copy ---- */

static void copy_takes_all_rows(void **state)
{
	struct pg *pg = open_as("");
	struct err e = {0};
	struct buf b;
	uint64_t rows = 0;

	(void)state;
	must_exec(pg, "create table c (x int8, y text)");
	assert_int_equal(pg_copy_begin(pg, "copy c from stdin", PG_TIMEOUT, &e), 0);
	buf_init(&b, BUF_MAX_DEFAULT);
	for (int i = 0; i < 300000; i++) {
		buf_printf(&b, "%d\t%080d\n", i, i);
		if (b.len < 3000000 && i != 299999)
			continue;
		if (pg_copy_put(pg, b.data, b.len, PG_TIMEOUT, &e))
			fail_msg("%s", e.msg);
		buf_clear(&b);
	}
	buf_release(&b);
	if (pg_copy_end(pg, PG_TIMEOUT, &rows, &e))
		fail_msg("%s", e.msg);
	assert_true(rows == 300000);
	assert_int_equal(must_ask(pg, "select sum(x)::int8 from c"), INT64_C(299999) * 150000);
	pg_free(pg);
}

static void copy_of_nonsense_fails(void **state)
{
	struct pg *pg = open_as("");
	struct err e = {0};

	(void)state;
	must_exec(pg, "truncate c");
	assert_int_equal(pg_copy_begin(pg, "copy c from stdin", PG_TIMEOUT, &e), 0);
	assert_int_equal(pg_copy_put(pg, "1\ta\nx\tb\n", 8, PG_TIMEOUT, &e), 0);
	assert_int_equal(pg_copy_end(pg, PG_TIMEOUT, NULL, &e), ERR_LEDGER);
	assert_string_equal(pg_sqlstate(pg), "22P02");
	assert_int_equal(pg_copy_begin(pg, "copy nosuch from stdin", PG_TIMEOUT, &e), ERR_LEDGER);

	assert_int_equal(pg_copy_begin(pg, "copy c from stdin", PG_TIMEOUT, &e), 0);
	assert_int_equal(pg_copy_put(pg, "1\ta\n", 4, PG_TIMEOUT, &e), 0);
	pg_copy_abort(pg, "thought better of it", PG_TIMEOUT);
	assert_int_equal(must_ask(pg, "select count(*) from c"), 0);
	must_exec(pg, "drop table c");
	pg_free(pg);
}

/* ---- notifications, large results ---- */

static void notifications_arrive(void **state)
{
	struct pg *pg = open_as(""), *other = open_as("");
	char channel[64], payload[64];
	struct err e = {0};
	bool got = true;
	int64_t begin;

	(void)state;
	must_exec(pg, "listen news");
	begin = clock_ns();
	assert_int_equal(
		pg_wait_notify(pg, 100 * NS_PER_MS, &got, channel, 64, payload, 64, &e), 0);
	assert_false(got);
	assert_true(clock_ns() - begin >= 100 * NS_PER_MS);
	must_exec(other, "notify news, 'first'; notify news, 'second'");
	assert_int_equal(pg_wait_notify(pg, PG_TIMEOUT, &got, channel, 64, payload, 64, &e), 0);
	assert_true(got);
	assert_string_equal(channel, "news");
	assert_string_equal(payload, "first");
	assert_int_equal(pg_wait_notify(pg, PG_TIMEOUT, &got, channel, 64, payload, 64, &e), 0);
	assert_string_equal(payload, "second");
	pg_free(pg);
	pg_free(other);
}

struct sum {
	int64_t n, total, stop_at;
};

static int add_row(const struct pg_rows *row, void *arg, struct err *e)
{
	struct sum *s = arg;

	s->total += pg_rows_i64(row, 0, 0);
	if (++s->n == s->stop_at)
		return err_set(e, ERR_STOPPED, "enough");
	return pg_rows_check(row, e);
}

static void large_results_come_row_by_row(void **state)
{
	static const char sql[] = "select generate_series(1, $1::int8)";
	struct pg *pg = open_as("");
	struct pg_args args = PG_ARGS_INIT;
	struct sum s = {0};
	struct err e = {0};

	(void)state;
	pg_arg_i64(&args, 1000000);
	assert_int_equal(pg_query_each(pg, sql, &args, PG_TIMEOUT, add_row, &s, &e), 0);
	assert_true(s.n == 1000000 && s.total == INT64_C(500000500000));
	assert_int_equal(pg_query_each(pg, "select 1/(x-3) from generate_series(1,5) x", NULL,
				 PG_TIMEOUT, add_row, &s, &e),
		ERR_LEDGER);
	assert_string_equal(pg_sqlstate(pg), "22012");
	assert_true(pg_is_open(pg));
	assert_int_equal(must_ask(pg, "select 9"), 9);
	s = (struct sum){.stop_at = 10};
	assert_int_equal(pg_query_each(pg, sql, &args, PG_TIMEOUT, add_row, &s, &e), ERR_STOPPED);
	assert_true(s.n == 10);
	assert_int_equal(
		pg_query_each(pg, "select 1::int8 where false", NULL, PG_TIMEOUT, add_row, &s, &e),
		ERR_LEDGER_AWAY); /* stopping closed it */
	pg_free(pg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_and_rows),
		cmocka_unit_test(prepared_statements),
		cmocka_unit_test(sql_errors_leave_the_connection_usable),
		cmocka_unit_test(deadline_cancels_the_statement),
		cmocka_unit_test(access_is_denied),
		cmocka_unit_test(commit_and_rollback),
		cmocka_unit_test(failed_transaction_is_not_committed),
		cmocka_unit_test(killed_session_makes_the_commit_unknown),
		cmocka_unit_test(frozen_session_makes_the_commit_unknown),
		cmocka_unit_test(session_that_ends_itself_is_away),
		cmocka_unit_test(copy_takes_all_rows),
		cmocka_unit_test(copy_of_nonsense_fails),
		cmocka_unit_test(notifications_arrive),
		cmocka_unit_test(large_results_come_row_by_row),
	};

	if (!getenv("MQAUDIT_TEST_LEDGER")) {
		fprintf(stderr, "MQAUDIT_TEST_LEDGER is not set\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
