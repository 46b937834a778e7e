#ifndef SCENARIOS_LAB_LAB_EVENT_H
#define SCENARIOS_LAB_LAB_EVENT_H

#include "scenarios/lab/lab.h"

/* What happened in a lab, for the ledger: faults, and nodes that stop and start. */

enum lab_event_edge { LAB_EVENT_INSTANT, LAB_EVENT_BEGIN, LAB_EVENT_END };

/*
 * Record one event, as a JSON line in <folder>/events.jsonl: wall_ns, lab, broker, kind ("fault",
 * "node-start", ...), subject (a node), detail, edge. A line that cannot be written is dropped: a
 * full disk must not keep a fault from being healed.
 * The beginning and the end of a fault go into the ledger too, when one runs.
 */
void lab_event(struct lab *lab, const char *kind, const char *subject, const char *detail,
	enum lab_event_edge edge);

#endif
