/* mqaudit lab proxy: the process of the fault of that name. */
#include <stddef.h>

#include "core/words.h"
#include "scenarios/lab/cmd_lab.h"
#include "scenarios/lab/cmd_lab_common.h"
#include "scenarios/lab/fault_proxy.h"

struct proxy_opts {
	const char *lab;
	const char *fault;
};

static int proxy_run_command(struct cmdline *cl)
{
	const struct proxy_opts *o = cl->opts;
	const struct lab_kind *kind = NULL;
	struct err e = {0};
	int r = cmd_lab_kind(cl->argv[0], &kind, &e);

	if (r == 0)
		r = o->fault ? fault_proxy_be(o->lab, kind, o->fault, &e)
			     : err_set(&e, ERR_USAGE, "of which fault?");
	return r ? cmd_lab_fail(&e) : EXIT_PASS;
}

static const struct opt proxy_rows[] = {
	CMD_LAB_ROW(struct proxy_opts),
	{.name = "fault",
		.type = OPT_STRING,
		.arg = "ID",
		.offset = offsetof(struct proxy_opts, fault),
		.hidden = true,
		.help = "The fault that it belongs to."},
	{.name = NULL},
};

const struct command cmd_lab_proxy = {
	.name = "lab proxy",
	.args = "kafka|rabbitmq",
	.summary = "relay connections of clients with a node, and do them harm",
	.description = "For mqaudit itself.",
	.opts = proxy_rows,
	.opts_size = sizeof(struct proxy_opts),
	.min_args = 1,
	.max_args = 1,
	.run = proxy_run_command,
	.hidden = true,
};
