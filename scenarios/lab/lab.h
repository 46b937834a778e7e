#ifndef SCENARIOS_LAB_LAB_H
#define SCENARIOS_LAB_LAB_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/labfile.h"
#include "core/paths.h"

/*
 * A lab: a real cluster on this machine, each node a host of its own in a network namespace.
 *
 * Whoever changes a lab holds it: lab_open() takes its lock, lab_close() gives it back. Before each
 * step lab_save() writes down what the step is about to make, so that after a SIGKILL at any
 * instant lab_down() finds all that may be there. Every step of lab_down() is fine when it was done
 * before.
 */

struct lab_kind;
struct cluster;
struct fault_ops;

#define LAB_MAX_NODES 5 /* of a lab that is made here */

/* Who leads, and which replicas are in sync with it (itself among them). Nodes of the labfile. */
struct lab_leader {
	const struct labfile_node *node;
	const struct labfile_node *in_sync[LABFILE_MAX_NODES];
	size_t n_in_sync;
};

/* What the user asked of `lab up`; a member that is not given (NULL, 0) leaves the choice to the
 * lab. */
struct lab_wish {
	int nodes;           /* 0: 3 */
	const char *network; /* "namespaces", "user-namespaces", "loopback" */
	const char *version; /* of the broker */
	bool secure;
	bool secure_given;
	const char *disk;    /* "plain" or "loop": each node's data on a file system of its own */
	uint64_t disk_bytes; /* size of each; with disk "loop" only */
	const char *const *setting; /* "name=value", for each node */
	size_t n_settings;
	const char
		*jvm_options; /* instead of the lab's own flags for a small JVM, by blanks apart */
	pid_t until_pid;      /* take the lab down when it ends; 0: no such process */
	int64_t timeout_ns;   /* from the start of the nodes until they answer */
};

struct lab {
	char name[LABFILE_NAME_MAX + 1];
	const struct lab_kind *kind;
	char folder[PATHS_MAX];  /* <state>/lab/<name>/<kind>: all files but the state file */
	struct labfile *file;    /* NULL: there is no such lab */
	struct cluster *cluster; /* of a user's own cluster: its commands; else NULL */
	int lock_fd;
	void (*say)(const char *what);     /* progress, one line; NULL: nobody listens */
	volatile const sig_atomic_t *stop; /* waits end with ERR_STOPPED when it is set; or NULL */
};

/*
 * What differs between brokers. Hooks are required unless they say otherwise; they run under the lab's lock, and fail as
 * any function does. Node structs point into lab->file.
 */
struct lab_kind {
	const char *name;
	const char *default_version; /* NULL: whatever is installed */
	int client_port;
	int controller_port; /* what nodes agree by; 0: no port of its own */
	bool first_alone;    /* of a new cluster the first node starts alone; the others join it */
	bool speaks_kafka; /* clients' requests can be told apart, and nodes fetch as clients do */
	/* Find or fetch the programs; sets file->version. Before the network is there. Slow at
	 * first. */
	int (*programs)(struct lab *lab, const struct lab_wish *wish, struct err *e);
	/* Write all configuration below lab->folder and make the nodes' data folders. Addresses are
	 * set. */
	int (*configure)(struct lab *lab, struct err *e);
	/* Start the process of a node, as lab_spawn() does; does not wait for it to serve. */
	int (*start)(struct lab *lab, struct labfile_node *node, struct err *e);
	/*
	 * Ask every node whether it serves: sets node->answer. Needs no lock, changes nothing else.
	 * A node's answer counts only when it sees all nodes that should run. Blocks up to
	 * timeout_ns. ret_why (may be NULL) says what the first silent node lacks; "" when all
	 * answer.
	 */
	void (*ask)(struct labfile *file, int64_t timeout_ns, struct err *ret_why);
	/* Optional: ask a node to end in order and wait for its end; without it SIGTERM does. */
	int (*stop)(struct lab *lab, struct labfile_node *node, int64_t timeout_ns, struct err *e);
	/*
	 * Optional: nodes of another version than the lab's. Have the programs of a version ready, fetched
	 * if they must be; and have a node, which does not run, start with them from now on. When all nodes
	 * have that version it is the lab's.
	 */
	int (*ready_version)(struct lab *lab, const char *version, struct err *e);
	int (*use_version)(
		struct lab *lab, struct labfile_node *node, const char *version, struct err *e);
	/* Its faults, ended by NULL; NULL: those of labs, fault_table. */
	const struct fault_ops *const *faults;
	/* Optional: what is to be done once, when the new cluster serves: users, permissions. */
	int (*finish)(struct lab *lab, struct err *e);
	/*
	 * The node that leads a topic's partition (or a queue), and its in-sync replicas, as the
	 * majority of all nodes sees it; blocks up to timeout_ns for such a majority. Needs no lock.
	 */
	int (*leader)(struct labfile *file, const char *topic, int partition, int64_t timeout_ns,
		struct lab_leader *ret, struct err *e);
	/* Set the environment of `lab exec`, in this process. Needs no lock. Not for a user's cluster. */
	int (*environment)(const struct labfile *file, struct err *e);
	/*
	 * How much the node's own disk holds of what clients have sent, in bytes, and what that is for a
	 * person ("its topics' logs"): a power cut tells how much of it is gone.
	 */
	int64_t (*stored_bytes)(const struct labfile_node *node);
	const char *stored_words;
};

/* All kinds, ended by NULL; and one by its name: NULL when there is none. */
extern const struct lab_kind *const lab_kinds[];
const struct lab_kind *lab_kind_find(const char *name);

/* Is this process allowed to make namespaces and networks? Returns 0 or ERR_DENIED. */
MUST_CHECK int lab_check_rights(struct err *e);

/* May it work on this lab? Those in namespaces are root's. Returns 0 or ERR_DENIED, ERR_STATE. */
MUST_CHECK int lab_check_access(const struct labfile *file, struct err *e);

/*
 * Take hold of lab `name`, there or not: waits up to timeout_ns for its lock.
 *
 * lab->say and lab->stop may be set before (the rest is overwritten). Returns 0, ERR_TIMEOUT
 * (another command holds it), ERR_USAGE, ERR_FORMAT, ERR_IO, ERR_NOMEM. lab_close() also after a
 * failure.
 */
MUST_CHECK int lab_open(struct lab *lab, const char *name, const struct lab_kind *kind,
	int64_t timeout_ns, struct err *e);
void lab_close(struct lab *lab);

/*
 * Take hold of a user's cluster in a lab's place, as lab_open(); takes c over, also on failure. The state
 * of a cluster that was never touched is made here, and not written yet; what is recorded of an older
 * look stays, and the nodes are those of the file. Returns also ERR_EXISTS (a lab has that name),
 * ERR_STATE (a fault is on at a node that the file does not name any more).
 */
MUST_CHECK int lab_open_cluster(
	struct lab *lab, struct cluster *c, int64_t timeout_ns, struct err *e);

/* Write the state down, durably. Returns 0 or ERR_IO, ERR_NOSPACE, ERR_NOMEM. */
MUST_CHECK int lab_save(struct lab *lab, struct err *e);

/* Say how far it is, to lab->say. */
void lab_say(struct lab *lab, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* 0, or ERR_STOPPED when the user asked to stop. */
MUST_CHECK int lab_check_stop(const struct lab *lab, struct err *e);

/*
 * Bring the lab up: a new one as wished, or start those nodes of an existing one that have died or
 * were stopped; a half-made one is taken down first. Blocks until all nodes that should run answer.
 *
 * A new lab that fails or is stopped half-way is taken down again. ret_was_there tells whether one
 * was up, ret_started how many nodes were started. Returns 0, ERR_EXISTS (one is up and not as
 * wished), ERR_TIMEOUT, ERR_STOPPED, ERR_NOTFOUND (a program is missing), ERR_DENIED, ERR_IO, ...
 */
MUST_CHECK int lab_up(struct lab *lab, const struct lab_wish *wish, bool *ret_was_there,
	int *ret_started, struct err *e);

/*
 * Take the lab down: its processes by SIGKILL, its namespaces, route and folder. Fine when half of
 * it, or nothing, is there. Blocks until the last thread is gone (at most some 30 s).
 *
 * Processes of others within its namespaces are ended as well (but never this process or its
 * parents). On failure all that could be removed is gone and the state file stays. Returns 0 or
 * ERR_IO, ERR_TIMEOUT.
 */
MUST_CHECK int lab_down(struct lab *lab, struct err *e);

/* Start a node that has no process. Does not wait. Returns 0 or what the kind's start says. */
MUST_CHECK int lab_start_node(struct lab *lab, struct labfile_node *node, struct err *e);

/*
 * Start the nodes that have died or were stopped; those that a fault has killed stay down. Does not
 * wait. ret_started: how many. Returns 0 or what the kind's start says.
 */
MUST_CHECK int lab_start_missing(struct lab *lab, int *ret_started, struct err *e);

/*
 * Wait until every node that should run answers. ERR_TIMEOUT says who does not and why; ERR_STATE:
 * a process has ended meanwhile (with its last words); ERR_STOPPED.
 */
MUST_CHECK int lab_wait_answers(struct lab *lab, int64_t timeout_ns, struct err *e);

/*
 * Stop and start a node again: in order (SIGTERM) if it runs, at once if it does not; waits until
 * all answer. A kill fault that is on for the node is over with that. timeout_ns for each of the
 * two parts. With another version than NULL it starts as that one, and stays with it; its programs
 * are fetched before, if they must be, which may take minutes. Returns also ERR_USAGE (no such
 * version, or no such thing with this kind of lab), ERR_NOTFOUND (as kafka_dist_find()).
 */
MUST_CHECK int lab_restart_node(struct lab *lab, struct labfile_node *node, const char *version,
	int64_t timeout_ns, struct err *e);

/* How many nodes should run: neither stopped, killed nor frozen. */
int lab_n_expected(const struct labfile *file);
bool lab_is_expected(const struct labfile_node *node);

#endif
