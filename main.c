/* The only file that sees every room: one table of commands. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "core/broker/broker.h"
#include "core/labfile.h"
#include "core/ledger/cmd_ledger.h"
#include "core/ledger/ledger.h"
#include "core/log.h"
#include "core/opt.h"
#include "core/proc.h"
#include "core/url.h"
#include "core/version.h"
#include "core/words.h"
#include "checker/cmd_check.h"
#include "probe/cmd_probe.h"
#include "probe/cmd_recover.h"
#include "reporters/cmd_report.h"
#include "reporters/cmd_run.h"
#include "scenarios/cmd_doctor.h"
#include "scenarios/cmd_selftest.h"
#include "scenarios/lab/cmd_lab.h"
#include "scenarios/lint/cmd_lint.h"
#include "scenarios/runner/cmd_scenario.h"

static int help_run(struct cmdline *cl);

struct help_opts {
	bool man;
	const char *completion;
};

static const struct opt help_opts[] = {
	{.name = "man",
		.type = OPT_FLAG,
		.offset = offsetof(struct help_opts, man),
		.group = "Forms",
		.help = "Print the man page (roff): mqaudit help --man | man -l -"},
	{.name = "completion",
		.type = OPT_STRING,
		.arg = "SHELL",
		.offset = offsetof(struct help_opts, completion),
		.help = "Print the completion script for bash, zsh or fish."},
	{.name = NULL},
};

static const struct command cmd_help = {
	.name = "help",
	.args = "[COMMAND...]",
	.summary = "explain a command, print the man page or a completion script",
	.description = "Explains one command, or lists all.",
	.examples =
		"  mqaudit help lab up\n  mqaudit help --man | man -l -\n  mqaudit help --completion bash >>~/.bash_completion\n",
	.opts = help_opts,
	.opts_size = sizeof(struct help_opts),
	.max_args = 3,
	.run = help_run,
};

static const struct command *const table[] = {
	&cmd_probe,
	&cmd_check,
	&cmd_report,
	&cmd_explain,
	&cmd_runs,
	&cmd_runs_delete,
	&cmd_recover,
	&cmd_lab_up,
	&cmd_lab_down,
	&cmd_lab_status,
	&cmd_lab_exec,
	&cmd_lab_logs,
	&cmd_lab_fault,
	&cmd_lab_heal,
	&cmd_lab_restart,
	&cmd_lab_leader,
	&cmd_lab_guard,
	&cmd_scenario_list,
	&cmd_scenario_show,
	&cmd_scenario_run,
	&cmd_lab_holder,
	&cmd_lab_disk_holder,
	&cmd_lint,
	&cmd_lab_proxy,
	&cmd_doctor,
	&cmd_selftest,
	&cmd_ledger_start,
	&cmd_ledger_stop,
	&cmd_ledger_status,
	&cmd_ledger_gc,
	&cmd_ledger_keeper,
	&cmd_help,
};
#define N_COMMANDS (1 + sizeof(table) / sizeof(table[0]))

static int no_command(const char *word)
{
	log_error("there is no command '%s'", word);
	log_hint("mqaudit help lists the commands");
	return EXIT_USAGE;
}

/* "mqaudit lab" and the like: the commands that begin so. */
static int family(const struct command *all, size_t n, const char *word, FILE *to)
{
	fprintf(to, "mqaudit %s needs one of:\n\n", word);
	opt_family(all, n, word, to);
	fprintf(to, "\nmqaudit %s COMMAND --help explains one.\n", word);
	return to == stdout ? EXIT_PASS : EXIT_USAGE;
}

static int help_run(struct cmdline *cl)
{
	const struct help_opts *o = cl->opts;
	const struct command *command;
	struct err e = {0};
	int words;

	if (o->man) {
		opt_man(cl->all, cl->n_all, stdout);
		return EXIT_PASS;
	}
	if (o->completion) {
		if (opt_completion(cl->all, cl->n_all, o->completion, stdout, &e)) {
			err_print(&e);
			return EXIT_USAGE;
		}
		return EXIT_PASS;
	}
	if (cl->argc == 0) {
		opt_overview(cl->all, cl->n_all, stdout);
		return EXIT_PASS;
	}
	command = opt_find(cl->all, cl->n_all, cl->argc, cl->argv, &words);
	if (!command && cl->argc == 1 && opt_family(cl->all, cl->n_all, cl->argv[0], NULL))
		return family(cl->all, cl->n_all, cl->argv[0], stdout);
	if (!command)
		return no_command(cl->argv[0]);
	opt_help(command, stdout);
	return EXIT_PASS;
}

static int print_version(void)
{
	printf("mqaudit %s\n", version_text());
	for (size_t i = 0; broker_all()[i]; i++)
		printf("  %-12s %s\n", broker_all()[i]->scheme, broker_all()[i]->library());
	printf("  %-12s %s\n", "allocator", version_allocator());
	printf("  %-12s jansson %s, libpq, XXH3, inih\n", "libraries", JANSSON_VERSION);
	return EXIT_PASS;
}

static bool asks_for_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int without_command(const struct command *all, int argc, char **argv)
{
	char words[200];

	if (argc < 2) {
		opt_overview(all, N_COMMANDS, stderr);
		return EXIT_USAGE;
	}
	if (asks_for_help(argv[1])) {
		opt_overview(all, N_COMMANDS, stdout);
		return EXIT_PASS;
	}
	if (strcmp(argv[1], "--version") == 0)
		return print_version();
	if (!opt_family(all, N_COMMANDS, argv[1], NULL))
		return no_command(argv[1]);
	if (argc == 2 || asks_for_help(argv[2]))
		return family(all, N_COMMANDS, argv[1], argc == 2 ? stderr : stdout);
	snprintf(words, sizeof(words), "%s %s", argv[1], argv[2]);
	no_command(words);
	return family(all, N_COMMANDS, argv[1], stderr);
}

/*
 * Standard input, output and error are there: where one is closed, a file or a socket of ours would take
 * its number, and what is meant for people would go into it. /dev/null is opened the other way round, so
 * that writing to a closed output stays an error.
 */
static void keep_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(EXIT_ERROR);
	}
}

/* Large enough for all help: why a write fails is known where it is asked for, at the end. */
static void buffer_output(void)
{
	static char buffer[1 << 18];

	if (!isatty(STDOUT_FILENO))
		(void)setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
}

/* The product must have arrived: a full disk or a closed pipe is no success. */
static int close_output(int code)
{
	int errnum = fflush(stdout) == 0 ? 0 : errno;

	if (!errnum && !ferror(stdout))
		return code;
	/* it failed earlier, and nothing was left to flush: the reason is asked for again */
	if (!errnum && write(STDOUT_FILENO, "\n", 1) < 0)
		errnum = errno;
	/* a command that looked itself has said so */
	if (code != EXIT_ERROR)
		log_error("cannot write to standard output: %s", strerror(errnum ? errnum : EIO));
	return EXIT_ERROR;
}

/* The lab that a word of the command line is a destination in; NULL: none, or it is not there. */
static struct labfile *lab_of(const char *word)
{
	const char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
	struct labfile *lab = NULL;
	struct url url;

	if (url_parse(equals ? equals + 1 : word, &url, NULL) == 0 && url.lab[0])
		err_ignore(labfile_read(
			url.lab, labfile_kind_of_scheme(url_scheme_text(url.scheme)), &lab, NULL));
	return lab;
}

static bool has_option(const struct command *command, const char *name)
{
	for (const struct opt *o = command->opts; o && o->name; o++)
		if (strcmp(o->name, name) == 0)
			return true;
	return false;
}

/*
 * A lab in user namespaces is entered by the whole process, before it has a second thread. Its ledger is
 * started before that, outside: what lives inside ends with the lab.
 */
static int enter_lab(const struct cmdline *cl, int argc, char **argv, struct err *e)
{
	bool own_ledger = has_option(cl->command, "ledger") && !opt_given(cl, "ledger");
	struct ledger *ledger = NULL;
	struct err ignored;
	int r = 0;

	for (int i = 1; i < argc && r == 0; i++) {
		struct labfile *lab = lab_of(argv[i]);

		if (lab && lab->network == LABFILE_ON_USER_NAMESPACES) {
			/* without one the command itself will say so */
			if (own_ledger && !proc_in_namespace(lab->client_netns) &&
				ledger_open(NULL, &ledger, &ignored) == 0)
				ledger_close(ledger);
			r = labfile_join(lab, e);
		}
		labfile_free(lab);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct command all[N_COMMANDS];
	const struct command *command;
	struct cmdline cl;
	struct err e = {0};
	int words, r;

	keep_standard_fds();
	buffer_output();
	all[0] = run_command(&cmd_probe, &cmd_check);
	for (size_t i = 1; i < N_COMMANDS; i++)
		all[i] = *table[i - 1];
	command = opt_find(all, N_COMMANDS, argc - 1, argv + 1, &words);
	if (!command)
		return close_output(without_command(all, argc, argv));
	r = opt_parse(all, N_COMMANDS, command, argc - 1 - words, argv + 1 + words, &cl, &e);
	if (r) {
		err_print(&e);
		r = EXIT_USAGE;
	} else if (cl.help) {
		opt_help(command, stdout);
		r = EXIT_PASS;
	} else {
		log_set_level(cl.quiet ? LOG_WARN : cl.verbose ? LOG_DEBUG : LOG_NOTE);
		r = enter_lab(&cl, argc, argv, &e);
		if (r)
			err_print(&e);
		r = r ? EXIT_ERROR : command->run(&cl);
	}
	opt_release(&cl);
	return close_output(r);
}
