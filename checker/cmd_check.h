#ifndef CHECKER_CMD_CHECK_H
#define CHECKER_CMD_CHECK_H

#include "core/opt.h"

extern const struct command cmd_check;

#endif
