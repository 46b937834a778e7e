/* The only file that sees every room: one table of commands. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/opt.h"
#include "core/version.h"
#include "core/words.h"
#include "scenarios/lab/cmd_lab.h"

static const struct command *const table[] = {&cmd_lab_up, &cmd_lab_down, &cmd_lab_status,
	&cmd_lab_exec, &cmd_lab_logs, &cmd_lab_fault, &cmd_lab_heal, &cmd_lab_restart,
	&cmd_lab_leader, &cmd_lab_guard};
#define N_COMMANDS (sizeof(table) / sizeof(table[0]))

int main(int argc, char **argv)
{
	struct command all[N_COMMANDS];
	const struct command *command;
	struct cmdline cl;
	struct err e = {0};
	int words, r;

	for (size_t i = 0; i < N_COMMANDS; i++)
		all[i] = *table[i];
	command = opt_find(all, N_COMMANDS, argc - 1, argv + 1, &words);
	if (!command) {
		opt_overview(all, N_COMMANDS, stderr);
		return EXIT_USAGE;
	}
	r = opt_parse(command, argc - 1 - words, argv + 1 + words, &cl, &e);
	if (r) {
		err_print(&e);
		r = EXIT_USAGE;
	} else if (cl.help) {
		opt_help(command, stdout);
		r = EXIT_PASS;
	} else {
		cl.all = all;
		cl.n_all = N_COMMANDS;
		log_set_level(cl.quiet ? LOG_WARN : cl.verbose ? LOG_DEBUG : LOG_NOTE);
		r = command->run(&cl);
	}
	opt_release(&cl);
	return r;
}
