/*
 * A client of the embedded ledger, for server_test.sh:
 *
 *     client ensure            see to it that the server runs; print the conninfo
 *     client query MS SQL      the same, then run SQL with a timeout; print its first value
 *     client hold              the same, then print "open", and stay connected until stdin ends
 *     client commit MS SQL     in a transaction: SQL, print "ready", wait for a line, commit;
 *                              print "committed", "rolled back" or "unknown"
 *
 * MQAUDIT_PROGRAM names the program that has the keeper. Exit code 3 and a line on stderr after
 * errors.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/ledger/pg.h"
#include "core/ledger/server.h"
#include "core/log.h"

static void wait_for_line(void)
{
	char line[100];

	if (!fgets(line, sizeof(line), stdin))
		return;
}

static int query(struct pg *pg, const char *sql, int64_t timeout_ns, struct err *e)
{
	struct pg_rows *rows = NULL;
	int r = pg_query(pg, sql, NULL, timeout_ns, &rows, e);

	if (r == 0 && pg_rows_n(rows) > 0)
		printf("%s\n", pg_rows_text(rows, 0, 0));
	pg_rows_free(rows);
	return r;
}

static int commit(struct pg *pg, const char *sql, int64_t timeout_ns, struct err *e)
{
	int r = pg_begin(pg, NULL, PG_TIMEOUT, e);

	if (r == 0)
		r = pg_exec(pg, sql, PG_TIMEOUT, e);
	if (r)
		return r;
	printf("ready\n");
	fflush(stdout);
	wait_for_line();
	r = pg_commit(pg, timeout_ns, e);
	printf("%s\n", r == 0 ? "committed" : pg_commit_unknown(pg) ? "unknown" : "rolled back");
	return r;
}

static int run(struct pg *pg, int argc, char **argv, struct err *e)
{
	int64_t timeout_ns = argc > 2 ? atoll(argv[2]) * NS_PER_MS : 0;

	if (strcmp(argv[1], "query") == 0 && argc == 4)
		return query(pg, argv[3], timeout_ns, e);
	if (strcmp(argv[1], "commit") == 0 && argc == 4)
		return commit(pg, argv[3], timeout_ns, e);
	if (strcmp(argv[1], "hold") != 0)
		return err_set(e, ERR_USAGE, "see the top of client.c");
	printf("open\n");
	fflush(stdout);
	wait_for_line();
	return 0;
}

int main(int argc, char **argv)
{
	struct buf conninfo;
	struct pg *pg = pg_new();
	struct err e = {0};
	int r;

	buf_init(&conninfo, 10000);
	if (argc < 2 || !pg)
		return 2;
	r = ledger_server_ensure(&conninfo, &e);
	if (r == 0 && strcmp(argv[1], "ensure") == 0)
		printf("%s\n", buf_str(&conninfo));
	else if (r == 0)
		r = pg_open(pg, buf_str(&conninfo), PG_TIMEOUT, &e);
	if (r == 0 && pg_is_open(pg))
		r = run(pg, argc, argv, &e);
	if (r)
		err_print(&e);
	pg_free(pg);
	buf_release(&conninfo);
	return r ? 3 : 0;
}
