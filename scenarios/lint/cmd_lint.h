#ifndef SCENARIOS_LINT_CMD_LINT_H
#define SCENARIOS_LINT_CMD_LINT_H

#include "core/opt.h"

/* `mqaudit lint`: what settings can lose or repeat, by which fault, before any fault. */
extern const struct command cmd_lint;

#endif
