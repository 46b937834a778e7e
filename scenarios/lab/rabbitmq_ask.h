#ifndef SCENARIOS_LAB_RABBITMQ_ASK_H
#define SCENARIOS_LAB_RABBITMQ_ASK_H

#include "core/labfile.h"

/* Questions to the nodes of a RabbitMQ lab. */

/*
 * Which nodes answer a client: a fresh connection to each from where clients live, all at once, with
 * the first bytes of AMQP 0-9-1, to which a broker answers with Connection.Start; in a secure lab with a
 * TLS client's hello, to which it answers with a server's. Asked by a child
 * process, which enters the clients' network. ret_ok[i] is for file->node[i]; nodes with ask[i] false
 * are left out. Blocks up to timeout_ns. Returns 0, or ERR_IO (no child).
 */
MUST_CHECK int rabbitmq_greet(const struct labfile *file, const bool *ask, int64_t timeout_ns,
	bool *ret_ok, struct err *e);

/*
 * Have a node evaluate Erlang expressions ("A = b(), c(A)." - no line feeds needed) whose last value is a
 * flat string (a list of characters below 128 without quotes and backslashes), and give that string. Asked
 * with erl_call from the node's own network, so that no fault of a link is in between. Blocks up to
 * timeout_ns (whole seconds, at least one) and some 5 s more. Returns 0, ERR_BROKER_AWAY (the node does not
 * answer, or its value is none such), ERR_LIMIT, ERR_TIMEOUT, ERR_NOTFOUND.
 */
MUST_CHECK int rabbitmq_eval(const struct labfile *file, const struct labfile_node *node,
	const char *expressions, int64_t timeout_ns, char *ret, size_t len, struct err *e);

#endif
