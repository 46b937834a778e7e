#ifndef SCENARIOS_LAB_CMD_LAB_COMMON_H
#define SCENARIOS_LAB_CMD_LAB_COMMON_H

#include "core/err.h"
#include "core/opt.h"
#include "scenarios/lab/lab.h"

/* What the lab's commands share. These print, and only they may. */

#define CMD_LAB_LOCK_NS (300 * NS_PER_S) /* how long a command waits for another one */

/* The row of --lab, for a struct with the member `lab`. */
#define CMD_LAB_ROW(opts_struct)                                                                   \
	{                                                                                          \
		.name = "lab", .type = OPT_STRING, .arg = "NAME",                                  \
		.offset = offsetof(opts_struct, lab), .dflt = LABFILE_DEFAULT, .group = "Lab",     \
		.help = "Which lab; several can be up at the same time.",                          \
	}

/* The row of --cluster, for a struct with the member `cluster`. */
#define CMD_LAB_CLUSTER_ROW(opts_struct)                                                                \
	{                                                                                               \
		.name = "cluster", .type = OPT_STRING, .arg = "FILE",                                   \
		.offset = offsetof(opts_struct, cluster),                                               \
		.help = "A cluster of your own in the lab's place, as this file describes it: README, " \
			"Your own cluster.",                                                            \
	}

/* Print the error, and give the exit code that goes with it. */
int cmd_lab_fail(const struct err *e);

/* How far it is: a live line on a terminal, else a note. For lab->say. */
void cmd_lab_say(const char *what);
void cmd_lab_said_all(void);

/* The kind that a word names. Returns 0, or ERR_USAGE with a list of all. */
MUST_CHECK int cmd_lab_kind(const char *word, const struct lab_kind **ret, struct err *e);

/*
 * The kind that a node is of, by its name ("kafka1"); by a bare number, or without a node (NULL),
 * that of the only broker which is up in the lab. Returns 0, ERR_NOTFOUND (no such lab is up),
 * ERR_USAGE (not clear).
 */
MUST_CHECK int cmd_lab_kind_of_node(
	const char *lab, const char *node, const struct lab_kind **ret, struct err *e);

/* Hold a lab that is up: lab_open() and more. Returns also ERR_NOTFOUND, or ERR_STATE: half made.
 */
MUST_CHECK int cmd_lab_open_up(
	struct lab *lab, const char *name, const struct lab_kind *kind, struct err *e);

/*
 * Hold the cluster that a file describes: lab_open_cluster(). To change it the file must declare a test
 * cluster; nothing is touched before that was looked at. Returns also what cluster_load() says.
 */
MUST_CHECK int cmd_lab_open_cluster(struct lab *lab, const char *path, bool change, struct err *e);

/* The state of a lab of that kind, or of the cluster of a file (NULL: none), for a look; no lock. */
MUST_CHECK int cmd_lab_read(const char *name, const struct lab_kind *kind, const char *cluster,
	struct labfile **ret, struct err *e);

/* A node of the lab by name or number. ERR_USAGE with a list of all. */
MUST_CHECK int cmd_lab_node(
	struct labfile *file, const char *name, struct labfile_node **ret, struct err *e);

#endif
