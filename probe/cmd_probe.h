#ifndef PROBE_CMD_PROBE_H
#define PROBE_CMD_PROBE_H

#include "core/opt.h"

extern const struct command cmd_probe;

#endif
