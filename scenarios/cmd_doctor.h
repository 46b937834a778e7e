#ifndef SCENARIOS_CMD_DOCTOR_H
#define SCENARIOS_CMD_DOCTOR_H

#include "core/opt.h"

extern const struct command cmd_doctor;

#endif
