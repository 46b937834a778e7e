#ifndef SCENARIOS_LAB_LAB_PING_H
#define SCENARIOS_LAB_LAB_PING_H

#include "core/broker/kafka_ping.h"
#include "core/labfile.h"

/*
 * kafka_ping_each() from where a lab's clients (or a node) live: from within netns ("": from here). A
 * lab in user namespaces is asked by a child process, which can enter them; the caller must be its
 * process's only thread then. Returns 0 when all were asked (see ret_err), ERR_NOTFOUND (no such
 * namespace), ERR_IO, ERR_TIMEOUT, ERR_NOMEM.
 */
MUST_CHECK int lab_ping_each(const struct labfile *file, const char *netns, struct kafka_ping *ping,
	size_t n, struct kafka_view *ret_view, struct err *ret_err, struct err *e);

#endif
