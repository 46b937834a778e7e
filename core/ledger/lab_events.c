#include "core/ledger/lab_events.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/paths.h"
#include "sql_data.h"

int lab_events_import(struct ledger *l, const char *lab, const char *kind, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	char state[PATHS_MAX], path[PATHS_MAX + 120];
	char *text = NULL;
	int r = paths_state("lab", state, sizeof(state), e);

	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/%s/%s/events.jsonl", state, lab, kind);
	r = paths_read_file(path, LAB_EVENTS_FILE_MAX, &text, NULL, e);
	if (r == ERR_NOTFOUND)
		return 0;
	if (r == 0) {
		pg_arg_text(&args, lab);
		pg_arg_text(&args, text);
		r = pg_query(ledger_pg(l), SQL_LAB_EVENTS, &args, PG_TIMEOUT, NULL, e);
	}
	free(text);
	return r;
}

int lab_events_link(struct ledger *l, const char *cluster, const char *hosts, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_text(&args, cluster);
	pg_arg_text(&args, hosts);
	return pg_query(ledger_pg(l), SQL_LAB_EVENTS_LINK, &args, PG_TIMEOUT, NULL, e);
}
