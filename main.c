/* The only file that sees every room: one table of commands. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/opt.h"
#include "core/version.h"
#include "core/words.h"

static const struct command commands[] = {
	{.name = "help", .args = "", .summary = "h", .description = "x"},
};

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	opt_overview(commands, 1, stdout);
	return EXIT_PASS;
}
