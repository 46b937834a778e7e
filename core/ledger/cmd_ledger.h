#ifndef CORE_LEDGER_CMD_LEDGER_H
#define CORE_LEDGER_CMD_LEDGER_H

#include "core/opt.h"

/* The commands of the ledger: the embedded one's server, and housekeeping in any. */

extern const struct command cmd_ledger_start;
extern const struct command cmd_ledger_stop;
extern const struct command cmd_ledger_status;
extern const struct command cmd_ledger_gc;
extern const struct command cmd_ledger_keeper; /* hidden: see keeper.h */

#endif
