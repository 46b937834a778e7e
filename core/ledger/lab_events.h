#ifndef CORE_LEDGER_LAB_EVENTS_H
#define CORE_LEDGER_LAB_EVENTS_H

#include "core/ledger/ledger.h"

/*
 * A lab writes what happens to it into a file of its own, at once and whatever the ledger does
 * (scenarios/lab/lab_event.h). From there it goes into the ledger's events: by the lab's commands when a
 * ledger runs, and by the checker before it judges. Taking the same file twice changes nothing.
 */

/*
 * Bring what `<state>/lab/<name>/<kind>-events.jsonl` holds into mqaudit.event. No file is no error.
 * A fault is one event, from its beginning until it was healed; kind "fault", subject the node.
 *
 * Returns 0, ERR_IO, ERR_LIMIT (a file above LAB_EVENTS_FILE_MAX), or as pg.h. Lines that are not whole
 * (written this moment) are passed over.
 */
#define LAB_EVENTS_FILE_MAX ((size_t)16 << 20)
MUST_CHECK int lab_events_import(
	struct ledger *l, const char *lab, const char *kind, struct err *e);

/*
 * Lay a cluster's events at the door of the open runs that send to it: those of no lab, with one of these
 * "host:port,..." among theirs. Returns 0 or as pg.h.
 */
MUST_CHECK int lab_events_link(
	struct ledger *l, const char *cluster, const char *hosts, struct err *e);

#endif
