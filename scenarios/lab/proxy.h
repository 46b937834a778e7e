#ifndef SCENARIOS_LAB_PROXY_H
#define SCENARIOS_LAB_PROXY_H

#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

/*
 * A TCP proxy that does harm to connections between clients and one node: it relays bytes both ways,
 * and at a set point cuts, stalls, delays or throttles. It knows Kafka's frames, so that the point can
 * be a request of one kind: the request gets through, and its answer does not.
 *
 * One thread, poll(2), a bounded buffer per direction of a connection. What comes from either side
 * may be anything.
 */

enum proxy_mode { PROXY_CUT, PROXY_STALL, PROXY_DELAY, PROXY_THROTTLE };

/* The two ways of a connection, and the side that each comes from. */
enum proxy_way { PROXY_REQUESTS, PROXY_ANSWERS, PROXY_WAYS };

struct proxy_config {
	enum proxy_mode mode;
	bool way[PROXY_WAYS]; /* which way it bites */
	/*
	 * When it bites, on each connection: after that many bytes (of those ways together); or at a
	 * request of one kind, way[PROXY_REQUESTS]: at the request itself, way[PROXY_ANSWERS]: at
	 * its answer, when the request has got through. Neither: from the start.
	 */
	uint64_t after_bytes; /* 0: not by bytes */
	int after_api;        /* -1: not by requests */
	bool opaque;          /* what passes is not Kafka's: there are no requests, only bytes */
	uint64_t nth;         /* of those, from this one on, over all connections; 0 as 1 */
	bool once;            /* on the first connection or request only; all else passes */
	int64_t delay_ns;
	uint64_t rate; /* bytes a second, each way of each connection */
	struct sockaddr_in to;
	uint32_t mark; /* of its own packets to the node, so that they are not led back to it */
	const char *status_path;
	/* Asked once a second: is the proxy still wanted? If not it ends at once. */
	bool (*wanted)(void *ctx);
	void *ctx;
	/*
	 * Set by a signal: it bites no more, passes on what it holds back, takes no new connection,
	 * and ends each between two requests, when the last one has been answered; in at most 8 s.
	 */
	const volatile sig_atomic_t *drain;
};

struct proxy_status {
	int port; /* where it listens, on 127.0.0.1 */
	uint64_t connections;
	uint64_t frames[PROXY_WAYS]; /* that have passed whole */
	uint64_t bytes[PROXY_WAYS];  /* that were passed on */
	uint64_t hits;               /* how often it bit */
	uint64_t held;               /* bytes that it held back for good, at most */
	uint64_t delayed;            /* bytes that were passed on late */
	char last[240];              /* what it did last, for a person; "" for nothing yet */
};

/*
 * Be the proxy: listens on a free port of 127.0.0.1 and keeps its status in a file. Returns 0 when it
 * is not wanted any more, or has been drained; blocks until then. ERR_IO, ERR_NOMEM.
 */
MUST_CHECK int proxy_run(const struct proxy_config *config, struct err *e);

/* Read the status that a proxy keeps. Returns 0, ERR_NOTFOUND (none yet), ERR_FORMAT, ERR_IO. */
MUST_CHECK int proxy_status_read(const char *path, struct proxy_status *ret, struct err *e);

/* Replace the file in one step, but without waiting for the disk. Returns 0 or ERR_IO. */
MUST_CHECK int proxy_status_write(
	const char *path, const struct proxy_status *status, struct err *e);

#endif
