#ifndef PROBE_CMD_RECOVER_H
#define PROBE_CMD_RECOVER_H

#include "core/opt.h"

extern const struct command cmd_recover;

#endif
