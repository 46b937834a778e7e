#ifndef SCENARIOS_LAB_CMD_LAB_H
#define SCENARIOS_LAB_CMD_LAB_H

#include "core/opt.h"

/* The commands of the lab; cmd_lab_guard and cmd_lab_proxy are mqaudit's own and hidden. */
extern const struct command cmd_lab_up;
extern const struct command cmd_lab_down;
extern const struct command cmd_lab_status;
extern const struct command cmd_lab_exec;
extern const struct command cmd_lab_logs;
extern const struct command cmd_lab_fault;
extern const struct command cmd_lab_heal;
extern const struct command cmd_lab_restart;
extern const struct command cmd_lab_leader;
extern const struct command cmd_lab_guard;
extern const struct command cmd_lab_proxy;

#endif
