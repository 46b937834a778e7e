#ifndef SCENARIOS_RUNNER_SCENARIO_H
#define SCENARIOS_RUNNER_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/paths.h"
#include "scenarios/runner/expect.h"

/*
 * A scenario: a bash script, <scenarios>/<broker>/<name>.sh, that declares at its top what it is about.
 *
 *     #: title     The leader is cut off from the other nodes; its clients still reach it
 *     #: id        K-24
 *     #: stage     broker
 *     #: faults    isolate
 *     #: needs     namespaces
 *     #: takes     25s
 *     #: producer  message.timeout.ms=120000        settings of every twin
 *     #: twin acks1 bad
 *     #:   producer  acks=1
 *     #:   topic     min.insync.replicas=2
 *     #:   expect    FAIL lost@broker
 *     #: twin idempotent good
 *     #:   producer  acks=all enable.idempotence=true
 *     #:   expect    PASS
 *     #: mine      acks=1:UNSAFE acks=all:SAFE idempotent:SAFE
 *
 * README.md, "Scenarios of your own", explains each word.
 */

#define SCENARIO_NAME_MAX 40
#define SCENARIO_MAX_TWINS 8
#define SCENARIO_MAX_SETTINGS 16
#define SCENARIO_MAX_MINE 8

struct settings {
	char at[SCENARIO_MAX_SETTINGS][200]; /* "name=value", or an argument */
	size_t n;
};

enum twin_role { TWIN_BAD, TWIN_GOOD, TWIN_MINE };

/* "bad", "good", "mine". */
const char *twin_role_text(enum twin_role role);

struct twin {
	char name[SCENARIO_NAME_MAX + 1];
	enum twin_role role;
	char round[24];           /* "": the only one */
	struct settings producer; /* properties of the client library */
	struct settings topic;
	struct settings
		broker;      /* what the script makes of the nodes in this round: for the result */
	struct settings run; /* arguments for `mqaudit run` */
	char promise[40];    /* "": the default */
	char expect_text[160];
	struct expect expect;
};

enum mine_outcome { MINE_SAFE, MINE_UNSAFE, MINE_EITHER };

/* What the third twin must give with settings of this kind. */
struct mine {
	char settings[24]; /* "acks=1", "acks=all", "idempotent" */
	enum mine_outcome outcome;
};

struct scenario {
	char name[SCENARIO_NAME_MAX + 1];
	char broker[24];
	char path[PATHS_MAX];
	char title[160];
	char id[24];
	char stage[16];
	char faults[120];
	char about[600];       /* more than the title: why, and what to do about it */
	struct settings needs; /* namespaces, loop, lab, nodes=3, version=3.9.1 */
	struct settings lab;   /* settings of every node, name=value */
	struct settings producer, topic, run;
	char promise[40];
	int64_t takes_ns;    /* how long it takes */
	int64_t deadline_ns; /* how long it may take */
	uint64_t rate;       /* messages per second of each twin */
	uint64_t partitions;
	bool quiet;   /* disturbs nobody: may run beside others on one lab */
	bool bounded; /* the bad twin is hit in some runs only: the rate counts */
	bool no_mine; /* the user's settings change nothing here */
	struct twin twin[SCENARIO_MAX_TWINS];
	size_t n_twins;
	struct mine mine[SCENARIO_MAX_MINE];
	size_t n_mine;
};

/*
 * The folder of scenarios: $MQAUDIT_SCENARIOS, or that beside the program in a source tree, or the
 * installed one. Returns 0 or ERR_NOTFOUND.
 */
MUST_CHECK int scenario_folder(char *ret, size_t len, struct err *e);

/*
 * Read a script's declarations. name is checked: small letters, digits and '-'. The caller frees *ret with
 * free(). Returns 0, ERR_NOTFOUND, ERR_FORMAT (with the line), ERR_IO, ERR_NOMEM, ERR_USAGE.
 */
MUST_CHECK int scenario_read(
	const char *broker, const char *name, struct scenario **ret, struct err *e);

struct scenario_list {
	struct scenario **at;
	size_t n;
};

/* All scenarios of a broker, by name; one that cannot be read fails the whole. */
MUST_CHECK int scenario_list_all(const char *broker, struct scenario_list *ret, struct err *e);

/*
 * Those of a suite: a file with a name per line ('#' starts a comment), by path or as
 * <scenarios>/suites/<broker>-<suite>.list. Returns also what scenario_read() does.
 */
MUST_CHECK int scenario_list_suite(
	const char *broker, const char *suite, struct scenario_list *ret, struct err *e);

/* Add one by name. */
MUST_CHECK int scenario_list_add(
	struct scenario_list *list, const char *broker, const char *name, struct err *e);

void scenario_list_free(struct scenario_list *list);

/* Does it have twins of more than one round: the setting in question is the node's? */
bool scenario_has_rounds(const struct scenario *s);

/* Is the word among its needs? */
bool scenario_needs(const struct scenario *s, const char *word);

#endif
