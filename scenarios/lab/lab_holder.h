#ifndef SCENARIOS_LAB_LAB_HOLDER_H
#define SCENARIOS_LAB_LAB_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/err.h"

/*
 * The holder of a lab in user namespaces: a process that has made a user namespace and, below it, empty
 * network namespaces, keeps them open, and waits. An ordinary user may make it, and with it come all
 * rights over those networks. They are entered by paths below its /proc folder, and gone with it.
 *
 * It is started first and kept later, when its pid is written down: should the starter die in between,
 * it ends by itself.
 */

#define LAB_HOLDER_MAX 64 /* network namespaces */

struct lab_holder {
	pid_t pid; /* 0: none */
	uint64_t start_time;
	int control_fd; /* -1: none */
};

/* Start it, with n network namespaces; blocks until they are there. Returns 0, ERR_DENIED (this machine
 * or user makes no user namespaces), ERR_IO, ERR_TIMEOUT. */
MUST_CHECK int lab_holder_start(size_t n, struct lab_holder *ret, struct err *e);

/* Let it live on without us; or let it end. */
MUST_CHECK int lab_holder_keep(struct lab_holder *h, struct err *e);
void lab_holder_drop(struct lab_holder *h);

/* The path of the i-th network namespace, for open(2). */
void lab_holder_netns(pid_t pid, size_t i, char *ret, size_t len);

/* The holder's own life, as `lab holder`: returns its exit code. */
int lab_holder_main(size_t n, int control_fd);

#endif
