#ifndef CORE_LABFILE_H
#define CORE_LABFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/paths.h"

/*
 * The state file of a lab, <state>/lab/<NAME>/<kind>.json: what runs where. Only the lab
 * (scenarios/lab) writes it, under its lock; everybody may read it at any time, without a lock, as
 * it is replaced whole.
 *
 * The file is written before each step of the lab, so that what it says may be not there yet, and
 * nothing that is there is unsaid.
 */

#define LABFILE_NAME_MAX 32   /* bytes of a lab's name */
#define LABFILE_MAX_NODES 32  /* of a lab that is made: LAB_MAX_NODES */
#define LABFILE_MAX_FAULTS 64 /* on at the same time */
#define LABFILE_MAX_SETTINGS 32
#define LABFILE_DEFAULT "default" /* the lab's name where none is given */

/* How far the lab is. X(name, text) */
#define LABFILE_STATES(X)                                                                          \
	X(STARTING, "starting") /* half made: `lab down` removes it */                             \
	X(UP, "up")                                                                                \
	X(STOPPING, "stopping")

enum labfile_state {
#define LABFILE_ENUM_(name, text) LABFILE_##name,
	LABFILE_STATES(LABFILE_ENUM_)
#undef LABFILE_ENUM_
		LABFILE_STATE_N
};

/* Where the nodes live. X(name, text) */
#define LABFILE_NETWORKS(X)                                                                        \
	X(NAMESPACES, "namespaces")           /* each in a network namespace, made by root */      \
	X(USER_NAMESPACES, "user-namespaces") /* the same below a user namespace: by anybody */    \
	X(LOOPBACK, "loopback")               /* on addresses 127.77.N.ID, with no link to cut */  \
	X(CLUSTER, "cluster")                 /* elsewhere: a user's own cluster, by commands */

enum labfile_network {
#define LABFILE_ENUM_(name, text) LABFILE_ON_##name,
	LABFILE_NETWORKS(LABFILE_ENUM_)
#undef LABFILE_ENUM_
		LABFILE_NETWORK_N
};

#define LABFILE_NODE_STATES(X)                                                                     \
	X(STOPPED, "stopped")   /* not started yet, or ended in order */                           \
	X(STARTING, "starting") /* about to be started: the process may be there, without a pid */ \
	X(RUNNING, "running")                                                                      \
	X(STOPPING, "stopping") /* asked to end in order */                                        \
	X(KILLED, "killed")     /* by a fault */                                                   \
	X(FROZEN, "frozen")     /* SIGSTOP */                                                      \
	X(DIED, "died")         /* said to run, but its process is gone: by labfile_refresh() */

enum labfile_node_state {
#define LABFILE_ENUM_(name, text) LABFILE_NODE_##name,
	LABFILE_NODE_STATES(LABFILE_ENUM_)
#undef LABFILE_ENUM_
		LABFILE_NODE_STATE_N
};

#define LABFILE_FAULT_STATES(X)                                                                    \
	X(APPLYING, "applying") /* may be on, off or in between */                                 \
	X(ON, "on")                                                                                \
	X(HEALING, "healing") /* may be on, off or in between */

enum labfile_fault_state {
#define LABFILE_ENUM_(name, text) LABFILE_FAULT_##name,
	LABFILE_FAULT_STATES(LABFILE_ENUM_)
#undef LABFILE_ENUM_
		LABFILE_FAULT_STATE_N
};

/* A node's own disk, in a lab that gives its nodes one; for `lab status`, never stored. */
#define LABFILE_DISK_STATES(X)                                                                     \
	X(UNMOUNTED, "not mounted")                                                                \
	X(MOUNTED, "mounted")                                                                      \
	X(READONLY, "read-only")                                                                   \
	X(SHUTDOWN, "shut down") /* every access fails */

enum labfile_disk_state {
#define LABFILE_ENUM_(name, text) LABFILE_DISK_##name,
	LABFILE_DISK_STATES(LABFILE_ENUM_)
#undef LABFILE_ENUM_
		LABFILE_DISK_STATE_N
};

/* Whether a node answered when it was asked; for `lab status`, never stored. */
enum labfile_answer { LABFILE_NOT_ASKED, LABFILE_ANSWERS, LABFILE_SILENT };

struct labfile_node {
	char name[24];       /* "kafka1" */
	int id;              /* the broker's own id of it: 1, 2, ... */
	pid_t pid;           /* 0: no process known */
	uint64_t start_time; /* of pid, in ticks since boot: see proc_start_time() */
	char address[128];
	int port; /* for clients */
	char netns
		[PATHS_MAX];  /* its network namespace: a path for open(2) and setns(2); "": ours */
	char data[PATHS_MAX]; /* its data folder */
	char log[PATHS_MAX];  /* its log file */
	enum labfile_node_state state;
	enum labfile_answer answer;
	bool partitioned; /* RabbitMQ's: it answers, and holds others to be partitioned off */
	bool may_end;     /* a fault of its disk is on: it is expected to end by itself */
	char version[32]; /* of its programs, in the middle of an upgrade; "": the lab's */
	/* its own disk, if the lab has such: file, mount point, and the process whose mount
	 * namespace has it mounted (0: none known) */
	char disk_image[PATHS_MAX];
	char disk_mount[PATHS_MAX];
	pid_t disk_pid;
	uint64_t disk_start_time;
	enum labfile_disk_state disk_state;
};

struct labfile_fault {
	char id[16];   /* "f1": unique in the life of the lab */
	char kind[24]; /* "kill", "isolate", ... */
	char node[24];
	char args[160]; /* "name=value name=value" */
	enum labfile_fault_state state;
	int64_t since_wall_ns; /* when it was about to be applied */
	pid_t pid;             /* a process of its own that it needs; 0: none */
	uint64_t start_time;
	int64_t heals_at_ns; /* heals by itself then: clock_ns() of this boot; 0: never */
	pid_t until_pid;     /* heals by itself when this process has ended; 0: no such process */
	uint64_t until_start_time;
	pid_t guard_pid; /* sees to that */
	uint64_t guard_start_time;
	char by[64];     /* by whom: "root, process 123" */
	char proof[320]; /* that it bit, so far; "" for none yet */
	int64_t mark;    /* what its kind must remember until it is healed */
};

struct labfile {
	char name[LABFILE_NAME_MAX + 1];
	char kind[24];    /* "kafka", "rabbitmq" */
	char version[32]; /* of the broker */
	enum labfile_state state;
	char boot_id[40]; /* after another boot no pid and no namespace of it is left */
	enum labfile_network network;
	int subnet;                   /* N of 198.18.N.0/24 or 127.77.N.0/24; 0: none chosen yet */
	char bootstrap[2048];         /* "198.18.1.11:9092,198.18.1.12:9092" */
	char client_netns[PATHS_MAX]; /* where clients live; a path, as in the nodes */
	pid_t holder_pid;             /* user namespaces: the process that keeps them; 0: none */
	uint64_t holder_start_time;
	char cluster_file[PATHS_MAX]; /* a cluster's: the file that describes it; else "" */
	uint64_t disk_bytes; /* size of each node's own disk; 0: nodes share the machine's */
	bool secure;
	char client_config[PATHS_MAX]; /* secure: properties file that may do everything; else "" */
	char user[32]; /* RabbitMQ: who may do everything, on the virtual host "/"; else "" */
	char password_file
		[PATHS_MAX];       /* ... his password is its one line, without its end; else "" */
	char libs[PATHS_MAX];      /* folder of the broker's program files */
	char java_args[PATHS_MAX]; /* file with the class path, for `java @FILE` */
	char jvm_options[512];     /* flags of the nodes' Java, the user's own; "": the lab's */
	pid_t guard_pid;           /* takes the lab down when until_pid has ended; 0: none */
	uint64_t guard_start_time;
	pid_t until_pid;
	uint64_t until_start_time;
	int64_t up_wall_ns;     /* when it was asked for */
	uint64_t n_faults_ever; /* for the next fault's id */
	size_t n_settings;
	char setting[LABFILE_MAX_SETTINGS][256]; /* "name=value" for every broker, the user's own */
	size_t n_nodes;
	struct labfile_node node[LABFILE_MAX_NODES];
	size_t n_faults;
	struct labfile_fault fault[LABFILE_MAX_FAULTS]; /* those that are on */
};

/* The word for a state. */
const char *labfile_state_text(enum labfile_state state);
const char *labfile_network_text(enum labfile_network network);
/* The network of that name. Returns false, with *ret untouched, when there is none. */
bool labfile_network_parse(const char *text, enum labfile_network *ret);
const char *labfile_node_state_text(enum labfile_node_state state);
const char *labfile_fault_state_text(enum labfile_fault_state state);
const char *labfile_disk_state_text(enum labfile_disk_state state);

/*
 * May a lab be called so? Small letters, digits and '-', a letter or digit first, at most
 * LABFILE_NAME_MAX bytes, and not "dist", which is where programs are kept.
 * Returns 0 or ERR_USAGE.
 */
MUST_CHECK int labfile_check_name(const char *name, struct err *e);

/*
 * The path of a lab's state file. name is checked.
 * Returns 0, ERR_USAGE (name, or no state folder), or ERR_LIMIT (too long).
 */
MUST_CHECK int labfile_path(
	const char *name, const char *kind, char *ret, size_t len, struct err *e);

/* The kind of lab that a URL's scheme means: "rabbitmq" for amqp and amqps, else the scheme itself. */
const char *labfile_kind_of_scheme(const char *scheme);

/* The scheme of URLs of destinations in a lab of that kind: "amqp" for rabbitmq, else the kind itself. */
const char *labfile_scheme_of_kind(const char *kind);

/* An empty state, all zero but for the name, kind and this boot's id. NULL: out of memory. */
struct labfile *labfile_new(const char *name, const char *kind);

/*
 * Read the state of lab `name` of kind `kind`. The caller frees *ret_file with labfile_free().
 *
 * Returns 0, ERR_NOTFOUND (no such lab; with a hint), ERR_FORMAT (not such a file), ERR_USAGE,
 * ERR_IO, ERR_NOMEM. *ret_file is NULL on failure.
 */
MUST_CHECK int labfile_read(
	const char *name, const char *kind, struct labfile **ret_file, struct err *e);

/*
 * Replace the state file in one step and durably; makes the lab's folder. For the lab's writer
 * only, who holds its lock. Returns 0, ERR_IO, ERR_NOSPACE, ERR_NOMEM, ERR_USAGE.
 */
MUST_CHECK int labfile_write(const struct labfile *file, struct err *e);

void labfile_free(struct labfile *file);

struct labfile_entry {
	char name[LABFILE_NAME_MAX + 1];
	char kind[24];
};

/*
 * All labs that have a state file, by name; kind NULL: of every kind. The caller frees *ret_list.
 * No labs at all is 0 with *ret_n 0. Returns 0, ERR_IO, ERR_NOMEM, ERR_USAGE.
 */
MUST_CHECK int labfile_list(
	const char *kind, struct labfile_entry **ret_list, size_t *ret_n, struct err *e);

/*
 * The cluster (a state of kind LABFILE_CLUSTER) that one of these "host:port,..." is a node of; its
 * name goes to ret. False: none that this machine's state folder knows. len of at least
 * LABFILE_NAME_MAX + 1 is a precondition.
 */
#define LABFILE_CLUSTER "kafka-cluster"
bool labfile_cluster_of(const char *hosts, char *ret, size_t len);

/* Compare with the machine: a node that should run and whose process is gone becomes
 * LABFILE_NODE_DIED, or LABFILE_NODE_KILLED where a fault made it end itself. Of a cluster's nodes
 * nothing can be seen from here. */
void labfile_refresh(struct labfile *file);

/* Is this still the boot that the lab was made in? */
bool labfile_same_boot(const struct labfile *file);

/* Does the node have a living process? Of a cluster's: as is written down. */
bool labfile_node_alive(const struct labfile *file, const struct labfile_node *node);

/* Are the namespaces of a lab in user namespaces still kept? True for every other lab. */
bool labfile_is_held(const struct labfile *file);

/*
 * Join a lab in user namespaces with this whole process: its user namespace, then the network of its
 * clients. Nothing but such a lab needs it, and for any other nothing is done. Also what this process
 * executes later has all rights there. The process must have one thread only; it cannot come back.
 * Returns 0, ERR_STATE (several threads), ERR_NOTFOUND (it is gone), ERR_DENIED, ERR_IO.
 */
MUST_CHECK int labfile_join(const struct labfile *file, struct err *e);

/* The node that a person calls "kafka1" or "1". NULL: there is none. */
struct labfile_node *labfile_find_node(struct labfile *file, const char *name);

/*
 * Add the state as a JSON object to out: what the file holds and, for people who ask, `answers` for
 * nodes that were asked, `partitioned` for those that are so, `disk_state` and `rss_bytes` of living processes. buf_failed(out) tells of a lack of
 * memory.
 */
void labfile_format(const struct labfile *file, struct buf *out);

#endif
