#ifndef SCENARIOS_LAB_FAULT_H
#define SCENARIOS_LAB_FAULT_H

#include "scenarios/lab/lab.h"

/*
 * Faults. A new one is one file with one `const struct fault_ops`, and its line in the table in
 * fault.c.
 *
 * The life of a fault: written down (applying) -> apply -> written down (on) -> heal -> gone from
 * the state file. What happens in between is in the lab's events. A tool that is killed in between
 * leaves a fault that heal must be able to undo however far it had got.
 */
/* What a lab must have for a fault. */
enum fault_need {
	FAULT_NEEDS_LINKS,   /* nodes with links of their own: not a lab on loopback */
	FAULT_NEEDS_PROCESS, /* nothing but the node's process */
	FAULT_NEEDS_ROOT,    /* a lab that root has made: disks, power */
};

struct fault_ops {
	enum fault_need needs; /* else it is refused with the reason, before check */
	const char *name;
	const char *summary; /* for --help: one line */
	/*
	 * Names of the arguments that it takes, each with a space behind: "from direction ". It
	 * reads them with fault_arg(), which gives "" for those that were not given.
	 */
	const char *args;
	/* Optional: are the arguments and the node's state fit for it? Nothing was changed yet.
	 * ERR_USAGE. */
	int (*check)(struct lab *lab, const struct labfile_fault *fault, struct err *e);
	/* Required: put it on. Fault and node are written down. On failure it is healed by the
	 * caller. */
	int (*apply)(struct lab *lab, struct labfile_fault *fault, struct err *e);
	/*
	 * Optional: put it on several nodes at one instant, as near as can be; as apply. Without it
	 * they come one after the other.
	 */
	int (*apply_group)(
		struct lab *lab, struct labfile_fault *const *faults, size_t n, struct err *e);
	/*
	 * Required: fill fault->proof with what shows that it bites, as known now; waits up to
	 * timeout_ns for a first sign. "" when there is none yet. No failure but of asking.
	 */
	int (*prove)(
		struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e);
	/* Required: take it off, wherever it stands; fine when it is off. prove was called before.
	 */
	int (*heal)(struct lab *lab, struct labfile_fault *fault, struct err *e);
	/* Heals in this order: links first (0), then processes (1), so that who comes back can
	 * talk. */
	int heal_rank;
};

extern const struct fault_ops fault_kill;
extern const struct fault_ops fault_freeze;
extern const struct fault_ops fault_isolate;
extern const struct fault_ops fault_loss;
extern const struct fault_ops fault_slow;
extern const struct fault_ops fault_reset;
extern const struct fault_ops fault_answers;
extern const struct fault_ops fault_powercut;
extern const struct fault_ops fault_diskfull;
extern const struct fault_ops fault_diskerror;
extern const struct fault_ops fault_readonly;
extern const struct fault_ops fault_proxy;

/* All faults, ended by NULL; and one by name: NULL when there is none. */
extern const struct fault_ops *const fault_table[];
const struct fault_ops *fault_find(const char *name);

/* The faults of a kind of lab, and one by name. A user's cluster has its own: see fault_cluster.h. */
const struct fault_ops *const *fault_all_of(const struct lab_kind *kind);
const struct fault_ops *fault_find_of(const struct lab_kind *kind, const char *name);

struct fault_arg {
	const char *name;
	const char *value;
};

/* When a fault heals by itself: after some time, or when a process has ended; 0 for neither. */
struct fault_until {
	int64_t ns;
	pid_t pid;
};

/*
 * Put a fault on a node: record, apply, record. With until (may be NULL) a guard process is started
 * before it bites, and heals it whatever becomes of this process. The recorded fault is *ret_fault, valid until the
 * next call that changes lab->file. A fault that cannot be applied is healed again. Returns 0,
 * ERR_USAGE (arguments), ERR_STATE (the node is not fit for it), ERR_LIMIT, ERR_IO, ...
 */
MUST_CHECK int fault_apply(struct lab *lab, const struct fault_ops *ops, struct labfile_node *node,
	const struct fault_arg *args, size_t n_args, const struct fault_until *until,
	struct labfile_fault **ret_fault, struct err *e);

/*
 * As fault_apply(), on n nodes (at most LABFILE_MAX_NODES); told (may be NULL) hears of each fault
 * that is on. One whose kind can is put on all at one instant, and then on all or on none; others
 * come one after the other.
 */
MUST_CHECK int fault_apply_all(struct lab *lab, const struct fault_ops *ops,
	struct labfile_node *const *nodes, size_t n, const struct fault_arg *args, size_t n_args,
	const struct fault_until *until, void (*told)(const struct labfile_fault *fault),
	struct err *e);

/*
 * Undo the faults that n words name by their id or node, or with n 0 every one that is on; told
 * (may be NULL) hears of each, with its last proof. All are tried; the first failure is returned.
 * A node that somebody else froze is thawed. When no fault is left, starts nodes that have died, and
 * waits until all nodes answer. ERR_USAGE: a word is neither a node nor a fault, on or over.
 */
MUST_CHECK int fault_heal(struct lab *lab, char *const *words, size_t n, int64_t timeout_ns,
	void (*told)(const struct labfile_fault *fault), struct err *e);

/* Undo the fault of that id and time; fine when it is off by now. Does not wait for answers. */
MUST_CHECK int fault_heal_id(struct lab *lab, const char *id, int64_t since_wall_ns, struct err *e);

/* SIGKILL the processes of a fault, its guard and its own, without healing it: for `lab down`. */
void fault_end_processes(const struct labfile_fault *fault);

/* Faults of that kind on that node are over by other means (a restart): record it, heal nothing. */
MUST_CHECK int fault_forget(struct lab *lab, const struct fault_ops *ops,
	const struct labfile_node *node, struct err *e);

/* The value of an argument, into ret ("" when it was not given). Returns ret. */
const char *fault_arg(const struct labfile_fault *fault, const char *name, char *ret, size_t len);

/* The node of a recorded fault. */
struct labfile_node *fault_node(struct lab *lab, const struct labfile_fault *fault);

#endif
