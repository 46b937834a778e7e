#ifndef SCENARIOS_LAB_CLUSTER_H
#define SCENARIOS_LAB_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/labfile.h"
#include "core/paths.h"

/*
 * A user's own cluster in the lab's place: a file that names its nodes, and the commands that do to a
 * node what the lab does to its own (by ssh, docker, kubectl, whatever there is).
 *
 *     [cluster]
 *     name = staging
 *     bootstrap = 10.0.0.1:9092,10.0.0.2:9092
 *     test-cluster = yes
 *     kill = ssh {host} systemctl kill -s KILL kafka
 *     start = ssh {host} systemctl start kafka
 *
 *     [node kafka1]
 *     id = 1
 *     address = 10.0.0.1:9092
 *
 * INI as of inih, with its traps refused by name: a line that it would cut in two, and a comment that it
 * would see behind " ;". A line that begins with a blank is the next line of the command above it.
 */

/* Commands. X(name, key in the file, what it does) */
#define CLUSTER_COMMANDS(X)                                                                        \
	X(KILL, "kill", "SIGKILL of the broker's process")                                         \
	X(START, "start", "starts it")                                                             \
	X(STOP, "stop", "asks it to end in order")                                                 \
	X(FREEZE, "freeze", "SIGSTOP")                                                             \
	X(THAW, "thaw", "SIGCONT")                                                                 \
	X(ISOLATE, "isolate", "cuts it off from {from}, in {direction}")                           \
	X(JOIN, "join", "undoes that")                                                             \
	X(POWERCUT, "power-cut", "cuts its power; start brings it back")                           \
	X(ALIVE, "alive", "ends with 0 if its process runs, with 1 if it does not")

enum cluster_command {
#define CLUSTER_ENUM_(name, key, what) CLUSTER_##name,
	CLUSTER_COMMANDS(CLUSTER_ENUM_)
#undef CLUSTER_ENUM_
		CLUSTER_COMMAND_N
};

#define CLUSTER_COMMAND_MAX 4096 /* bytes of a command */

struct cluster_node {
	char name[24];
	int id;            /* the broker's own id; -1: not given yet */
	char host[128];    /* for commands; the address, if it is not given */
	char address[128]; /* host of the broker's listener */
	int port;
	char *command[CLUSTER_COMMAND_N]; /* over the cluster's; NULL: the cluster's */
};

struct cluster {
	char file[PATHS_MAX]; /* absolute */
	char name[LABFILE_NAME_MAX + 1];
	char bootstrap[2048];
	char client_config[PATHS_MAX];    /* properties file for asking the brokers; "": none */
	bool is_test;                     /* declared: test-cluster = yes */
	int64_t timeout_ns;               /* for one command */
	char *command[CLUSTER_COMMAND_N]; /* NULL: none */
	size_t n_nodes;
	struct cluster_node node[LABFILE_MAX_NODES];
};

/* What a command's placeholders stand for besides the node: "" where they mean nothing. */
struct cluster_values {
	const char *from;
	const char *direction;
};

/* The key of a command in the file: "kill". */
const char *cluster_command_key(enum cluster_command command);

/*
 * Read a cluster's file. The caller frees *ret with cluster_free(). Nothing is run. Returns 0, ERR_USAGE
 * (with file and line), ERR_NOTFOUND, ERR_IO, ERR_NOMEM.
 */
MUST_CHECK int cluster_load(const char *path, struct cluster **ret, struct err *e);
void cluster_free(struct cluster *c);

/* ERR_USAGE with a hint what to write, unless the file declares a test cluster. */
MUST_CHECK int cluster_check_test(const struct cluster *c, struct err *e);

/* The node of that name; NULL: there is none. */
const struct cluster_node *cluster_find(const struct cluster *c, const char *name);

/* Is there such a command for that node? ERR_USAGE with a hint what to write. */
MUST_CHECK int cluster_check_command(const struct cluster *c, const struct cluster_node *node,
	enum cluster_command command, struct err *e);
bool cluster_has_command(
	const struct cluster *c, const struct cluster_node *node, enum cluster_command command);

/*
 * The text of a command for a node: {node} {id} {host} {address} {port} {peers} {from} {direction}
 * replaced, each value as one quoted word of the shell ({peers}: one for each other node's address).
 * Returns 0, or ERR_USAGE: the command has a {word} that is none of these.
 */
MUST_CHECK int cluster_render(const struct cluster *c, const struct cluster_node *node,
	const char *command, const struct cluster_values *values, struct buf *out, struct err *e);

/*
 * Run a node's command by `sh -c`, and wait for its end at most the cluster's timeout. ret_exit gets the
 * exit code; with NULL anything but 0 is ERR_IO with the command's output in the message. Returns also
 * ERR_TIMEOUT, ERR_USAGE (no such command).
 */
MUST_CHECK int cluster_run(const struct cluster *c, const struct cluster_node *node,
	enum cluster_command command, const struct cluster_values *values, int *ret_exit,
	struct err *e);

#endif
