#ifndef SCENARIOS_RUNNER_CMD_SCENARIO_H
#define SCENARIOS_RUNNER_CMD_SCENARIO_H

#include "core/opt.h"

extern const struct command cmd_scenario_list, cmd_scenario_show, cmd_scenario_run;

#endif
