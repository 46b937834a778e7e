#ifndef CORE_BROKER_ERLANG_H
#define CORE_BROKER_ERLANG_H

#include "core/proc.h"

/*
 * Have an Erlang node evaluate expressions ("A = b(), c(A)." - no line feeds needed) whose last value is a flat
 * string (a list of characters below 128 without quotes and backslashes), and give that string. Asked with
 * erl_call of Erlang/OTP 25, run where `where` says; node is its long name, home the folder that holds its
 * .erlang.cookie: on the command line everybody could read it.
 *
 * Blocks up to timeout_ns (whole seconds, at least one) and some 5 s more. Returns 0, ERR_BROKER_AWAY (the node does
 * not answer, or its value is none such), ERR_LIMIT, ERR_TIMEOUT, ERR_NOTFOUND (no erl_call).
 */
MUST_CHECK int erlang_eval(const struct proc_spec *where, const char *home, const char *node,
	const char *expressions, int64_t timeout_ns, char *ret, size_t len, struct err *e);

#endif
