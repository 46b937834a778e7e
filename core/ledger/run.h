#ifndef CORE_LEDGER_RUN_H
#define CORE_LEDGER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ledger/ledger.h"

/* Runs in the ledger: making, finding, what belongs to them as a whole. */

#define RUN_NAME_MAX 120
#define RUN_NAME_BASE_MAX (RUN_NAME_MAX - 10) /* with '-' and a number of nine digits behind it */

enum run_side { RUN_SOURCE, RUN_TARGET };

/* "source" and "target". */
const char *run_side_text(enum run_side side);

struct run {
	int64_t id;
	char name[RUN_NAME_MAX + 1];
	char destination[8192]; /* the URL's canonical text */
	char broker[16];        /* its scheme */
	char lab[40];           /* name of the lab, "" when it is none */
	char target[8192];      /* "" : the same as destination */
	char target_lab[40];
	char promise[40];
	char fail_on[256];
	char allow[256];
	bool transactional;
	char keys[24]; /* none, seq, or the number of keys */
	bool ended;
	int64_t started_wall_ns;
	int64_t ended_wall_ns; /* 0: open */
};

/* What a new run is made of. Texts are borrowed. */
struct run_spec {
	const char *name;      /* NULL: the topic's name with the next free number */
	const char *name_base; /* what a made name begins with: RUN_NAME_BASE_MAX bytes at most */
	const char *destination;
	const char *broker;
	const char *lab;    /* NULL: none */
	const char *target; /* NULL: none */
	const char *target_lab;
	const char *promise;
	const char *fail_on;
	const char *allow;
	bool transactional;
	const char *keys;
	const int64_t *source_start; /* first offset that may be ours, by partition */
	size_t n_source;
	const int64_t *target_start;
	size_t n_target;
};

/*
 * Can a run have this name: 1 to RUN_NAME_MAX printable ASCII characters without blanks, not beginning
 * with '-', and not looking like an id (16 hex digits)? Returns 0 or ERR_USAGE.
 */
MUST_CHECK int run_check_name(const char *name, struct err *e);

/*
 * Make a run, or join the open one of that name if there is one; *ret_made says which.
 *
 * Returns 0; ERR_STATE: a run of that name has ended, or is about another destination; or as pg.h.
 */
MUST_CHECK int run_make(struct ledger *l, const struct run_spec *spec, struct run *ret,
	bool *ret_made, struct err *e);

/* Find a run by name or by its id in hex. ERR_NOTFOUND when there is none. */
MUST_CHECK int run_find(struct ledger *l, const char *name_or_id, struct run *ret, struct err *e);

/* The only open run, or the newest of all. ERR_NOTFOUND: none; ERR_USAGE: several are open. */
MUST_CHECK int run_find_open(struct ledger *l, struct run *ret, struct err *e);
MUST_CHECK int run_find_newest(struct ledger *l, struct run *ret, struct err *e);

/* Remove a run and all of its evidence. */
MUST_CHECK int run_delete(struct ledger *l, int64_t run_id, struct err *e);

/* Note that the run is transactional (a probe with a transactional id joined). */
MUST_CHECK int run_set_transactional(struct ledger *l, int64_t run_id, struct err *e);

/*
 * Where each partition's log ended when the run was made. *ret is malloc'ed, index = partition, -1 for
 * one that was not there then; the caller frees it.
 */
MUST_CHECK int run_starts(struct ledger *l, int64_t run_id, enum run_side side, int64_t **ret,
	size_t *ret_n, struct err *e);

/* Store settings: one scope's names and values, replacing older ones of the same names. */
MUST_CHECK int run_put_settings(struct ledger *l, int64_t run_id, const char *scope,
	const char *const *names, const char *const *values, size_t n, struct err *e);

/* Read one setting; "" when it is not there. */
MUST_CHECK int run_get_setting(struct ledger *l, int64_t run_id, const char *scope,
	const char *name, char *ret, size_t len, struct err *e);

/*
 * Write an event down. run_id 0: of no run; lab NULL: of no lab. until_wall_ns 0: a moment, or not over
 * yet. ret_id may be NULL.
 */
MUST_CHECK int run_event(struct ledger *l, int64_t run_id, const char *lab, int64_t at_wall_ns,
	int64_t until_wall_ns, const char *source, const char *kind, const char *subject,
	const char *detail, int64_t *ret_id, struct err *e);

/* Print an id as 16 hex digits. */
#define RUN_ID_LEN 17
char *run_id_text(int64_t id, char buf[RUN_ID_LEN]);

#endif
