#ifndef CORE_BROKER_NETNS_H
#define CORE_BROKER_NETNS_H

#include "core/err.h"

/*
 * Enter a network namespace with the calling thread, for the time of a call: sockets and threads that are made
 * meanwhile live there for good. path is as in struct labfile; NULL or "", or the one that we are in: nothing
 * is done. *ret_before goes to netns_leave().
 *
 * Returns 0, ERR_NOTFOUND (the lab is gone), ERR_DENIED.
 */
MUST_CHECK int netns_enter(const char *path, int *ret_before, struct err *e);

/* Go back, on the same thread; aborts when that fails. */
void netns_leave(int before);

#endif
