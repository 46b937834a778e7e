#ifndef SCENARIOS_CMD_SELFTEST_H
#define SCENARIOS_CMD_SELFTEST_H

#include "core/opt.h"

extern const struct command cmd_selftest;

#endif
