#ifndef REPORTERS_CMD_RUN_H
#define REPORTERS_CMD_RUN_H

#include "core/opt.h"

/*
 * The everyday command: a probe and a checker as child processes, live progress, the report, the exit
 * code. Its options are those of both, taken from their tables by run_command().
 */
struct command run_command(const struct command *probe, const struct command *check);

#endif
