/* The PostgreSQL wrapper, as far as it can be tried without a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/ledger/pg.h"
#include "core/ledger/pg_text.h"

/* ---- passwords ---- */

static void passwords_are_not_shown(void **state)
{
	static const struct {
		const char *url, *shown;
	} table[] = {
		{"postgresql://u@h/db", "postgresql://u@h/db"},
		{"postgresql://u:secret@h:5433/db", "postgresql://u:***@h:5433/db"},
		{"postgres://u:secret@h", "postgres://u:***@h"},
		{"postgresql://u:sec/ret@h/db", "postgresql://u:***@h/db"},
		{"postgresql://u:sec@ret@h/db", "postgresql://u:***@h/db"},
		{"postgresql://u:s?secret@h/db", "postgresql://u:***"},
		{"postgresql://h/db?user=u&password=secret",
			"postgresql://h/db?user=u&password=***"},
		{"postgresql://h:1/db?password=secret@x", "postgresql://h:***"},
		{"postgresql://h/db?password=secret@x&user=u",
			"postgresql://h/db?password=***&user=u"},
		{"postgresql://h/db?sslPassword=secret", "postgresql://h/db?sslPassword=***"},
		{"postgresql://h/db?pass%77ord=secret", "postgresql://h/db?pass%77ord=***"},
		{"postgresql://h1:1,h2:2/db", "postgresql://h1:1,h2:2/db"},
		{"mysql://u:secret@h", "mysql://u:***@h"},
		{"host=h password=secret dbname=d", "host=h password=*** dbname=d"},
		{"password = 'se cret' host = h", "password=*** host=h"},
		{"password='se\\'cret' host=h", "password=*** host=h"},
		{"password=se\\ secret host=h", "password=*** host=h"},
		{"host=h password='secret", "host=h password=***"},
		{"host=h password=se secret", "host=h password=*** ***"},
		{"secret", "***"},
		{"", ""},
	};
	char shown[200];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_string_equal(
			pg_redact_url(table[i].url, shown, sizeof(shown)), table[i].shown);
		assert_null(strstr(shown, "secret"));
	}
}

static void redaction_keeps_to_its_buffer(void **state)
{
	char shown[12];

	(void)state;
	assert_string_equal(
		pg_redact_url("postgresql://u@host/db", shown, sizeof(shown)), "postgresql:");
}

static void malformed_url_is_a_usage_error_without_the_password(void **state)
{
	static const char *const urls[] = {
		"postgresql://u:secret@[::1/db",
		"postgresql://u:secret@h:x/db?bad=1",
		"postgresql://u:secret%ZZ@h/db",
		"postgresql://h/db?secret",
		"host=h password secret",
		"secret",
		"mysql://u:secret@h/db",
		"host=h nosuchsetting=secret",
	};
	struct pg *pg = pg_new();

	(void)state;
	assert_non_null(pg);
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct err e = {0};

		if (pg_open(pg, urls[i], NS_PER_S, &e) != ERR_USAGE)
			fail_msg("%s: %d %s", urls[i], e.code, e.msg);
		if (i != 3 && i != 7) /* there it is no password, by its place */
			assert_null(strstr(e.msg, "secret"));
		assert_true(e.hint[0] != '\0');
		assert_false(pg_is_open(pg));
	}
	pg_free(pg);
}

/* ---- texts ---- */

static void conninfo_values_are_quoted(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	pg_conninfo_add(&b, "host", "/a b/c'd\\e");
	pg_conninfo_add(&b, "dbname", "x");
	pg_conninfo_add(&b, "options", "");
	assert_string_equal(buf_str(&b), "host='/a b/c\\'d\\\\e' dbname=x options=''");
	buf_release(&b);
}

static void sqlstates_have_their_codes(void **state)
{
	static const struct {
		const char *sqlstate;
		int code;
	} table[] = {
		{NULL, ERR_LEDGER_AWAY}, {"", ERR_LEDGER_AWAY},
		{"08006", ERR_LEDGER_AWAY},                        /* connection failure */
		{"08P01", ERR_LEDGER_AWAY},                        /* protocol violation */
		{"25P03", ERR_LEDGER_AWAY},                        /* idle in transaction timeout */
		{"25P02", ERR_LEDGER},                             /* in failed transaction */
		{"53100", ERR_NOSPACE},                            /* disk full */
		{"53200", ERR_LEDGER},                             /* the server is out of memory */
		{"53300", ERR_LEDGER_AWAY},                        /* too many connections */
		{"57000", ERR_LEDGER}, {"57014", ERR_LEDGER_AWAY}, /* query canceled */
		{"57P01", ERR_LEDGER_AWAY},                        /* admin shutdown */
		{"57P02", ERR_LEDGER_AWAY},                        /* crash shutdown */
		{"57P03", ERR_LEDGER_AWAY},                        /* cannot connect now */
		{"57P04", ERR_LEDGER},                             /* database dropped */
		{"28000", ERR_DENIED}, {"28P01", ERR_DENIED}, {"42501", ERR_DENIED},
		{"42601", ERR_LEDGER}, /* syntax error */
		{"42P01", ERR_LEDGER}, /* undefined table */
		{"23505", ERR_LEDGER}, /* unique violation */
		{"40001", ERR_LEDGER}, /* serialization failure */
		{"XX001", ERR_LEDGER}, /* data corrupted */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (pg_code_of_sqlstate(table[i].sqlstate) != table[i].code)
			fail_msg("%s: %d", table[i].sqlstate,
				pg_code_of_sqlstate(table[i].sqlstate));
}

static void connect_errors_are_taken_apart(void **state)
{
	char sqlstate[PG_SQLSTATE_LEN], text[200];

	(void)state;
	pg_split_connect_error(
		"connection to server on socket \"/s\" failed: FATAL:  57P03: the database "
		"system is starting up\nLOCATION:  ProcessStartupPacket, postmaster.c:2400\n",
		sqlstate, text, sizeof(text));
	assert_string_equal(sqlstate, "57P03");
	assert_string_equal(text,
		"connection to server on socket \"/s\" failed: FATAL: the database system is starting up");
	pg_split_connect_error(
		"connection to server at \"::1\", port 1 failed: Connection refused\n"
		"\tIs the server running on that host and accepting TCP/IP connections?\n"
		"connection to server at \"127.0.0.1\", port 1 failed: FATAL:  28P01: no\n",
		sqlstate, text, sizeof(text));
	assert_string_equal(sqlstate, "28P01");
	assert_string_equal(text,
		"connection to server at \"::1\", port 1 failed: Connection refused; "
		"connection to server at \"127.0.0.1\", port 1 failed: FATAL: no");
	pg_split_connect_error("", sqlstate, text, sizeof(text));
	assert_string_equal(sqlstate, "");
	assert_string_equal(text, "");
}

/* ---- connecting ---- */

/* A port of ours on loopback; listening or not. */
static int bound_socket(int backlog, int *ret_port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static void closed_port_is_away_at_once(void **state)
{
	struct pg *pg = pg_new();
	struct err e = {0};
	char url[120];
	int port, fd = bound_socket(-1, &port);
	int64_t begin = clock_ns();

	(void)state;
	snprintf(url, sizeof(url), "postgresql://u:secret@127.0.0.1:%d/db", port);
	assert_int_equal(pg_open(pg, url, 5 * NS_PER_S, &e), ERR_LEDGER_AWAY);
	assert_true(clock_ns() - begin < 5 * NS_PER_S);
	assert_non_null(strstr(e.msg, "refused"));
	assert_null(strstr(e.msg, "secret"));
	assert_string_equal(pg_sqlstate(pg), "");
	close(fd);
	pg_free(pg);
}

static void silent_server_is_away_at_the_deadline(void **state)
{
	struct pg *pg = pg_new();
	struct err e = {0};
	char url[120];
	int port, fd = bound_socket(5, &port); /* the kernel accepts, nobody answers */
	int64_t begin = clock_ns(), took;

	(void)state;
	snprintf(url, sizeof(url), "postgresql://u:secret@127.0.0.1:%d/db", port);
	assert_int_equal(pg_open(pg, url, 300 * NS_PER_MS, &e), ERR_LEDGER_AWAY);
	took = clock_ns() - begin;
	assert_true(took >= 300 * NS_PER_MS && took < 2 * NS_PER_S);
	assert_non_null(strstr(e.msg, "no answer"));
	assert_null(strstr(e.msg, "secret"));
	close(fd);
	pg_free(pg);
}

static void calls_without_a_connection_fail(void **state)
{
	struct pg *pg = pg_new();
	struct pg_args args = PG_ARGS_INIT;
	char channel[8], payload[8];
	struct err e = {0};
	bool got;

	(void)state;
	pg_arg_i64(&args, INT64_MIN);
	pg_arg_u64(&args, UINT64_MAX);
	assert_string_equal(args.value[0], "-9223372036854775808");
	assert_string_equal(args.value[1], "18446744073709551615");
	assert_int_equal(pg_query(pg, "select 1", &args, NS_PER_S, NULL, &e), ERR_LEDGER_AWAY);
	assert_int_equal(pg_exec(pg, "select 1", NS_PER_S, &e), ERR_LEDGER_AWAY);
	assert_int_equal(pg_begin(pg, NULL, NS_PER_S, &e), ERR_LEDGER_AWAY);
	assert_int_equal(pg_commit(pg, NS_PER_S, &e), ERR_LEDGER_AWAY);
	assert_false(pg_commit_unknown(pg)); /* no COMMIT was sent */
	assert_int_equal(pg_rollback(pg, NS_PER_S, &e), 0);
	assert_int_equal(pg_copy_put(pg, "x", 1, NS_PER_S, &e), ERR_LEDGER_AWAY);
	assert_int_equal(pg_wait_notify(pg, 0, &got, channel, 8, payload, 8, &e), ERR_LEDGER_AWAY);
	assert_int_equal(pg_socket(pg), -1);
	pg_close(pg);
	pg_free(pg);
	pg_free(NULL);
	pg_rows_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords_are_not_shown),
		cmocka_unit_test(redaction_keeps_to_its_buffer),
		cmocka_unit_test(malformed_url_is_a_usage_error_without_the_password),
		cmocka_unit_test(conninfo_values_are_quoted),
		cmocka_unit_test(sqlstates_have_their_codes),
		cmocka_unit_test(connect_errors_are_taken_apart),
		cmocka_unit_test(closed_port_is_away_at_once),
		cmocka_unit_test(silent_server_is_away_at_the_deadline),
		cmocka_unit_test(calls_without_a_connection_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
