#ifndef PROBE_SHIPPER_H
#define PROBE_SHIPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "probe/producer.h"

/*
 * The thread that brings what the journals hold into the ledger, and leases from it: the only one of a
 * probe that waits for a database. While the ledger is away the journals grow and leases go to them.
 */
struct shipper;

struct shipper_plan {
	const char *ledger_url; /* NULL: the embedded ledger */
	int64_t run_id;
	const char *source; /* what samples and events say they come from: "probe on HOST (PID)" */
	const struct broker_ops *ops;
	struct producer **producers; /* borrowed; they must outlive the shipper */
	size_t n_producers;
	double rate;    /* of all lanes together; 0: unknown. For the size of leases */
	uint64_t count; /* messages that all lanes together will send at most */
	size_t n_lanes; /* of all producers together */
};

struct shipper_state {
	bool away;        /* the ledger cannot be reached now */
	uint64_t backlog; /* journal records that wait */
	uint64_t shipments;
	struct err failure; /* code != 0: shipping has stopped for good */
	char trouble[256];  /* why it is away, or why the journals do not grow */
};

/* Start it. Returns 0, or as ledger_open(); the first lease is there when it returns. */
MUST_CHECK int shipper_start(const struct shipper_plan *plan, struct shipper **ret, struct err *e);

/* How it stands. Any thread. */
void shipper_state(struct shipper *s, struct shipper_state *ret);

/*
 * All producers are finished: ship the rest and end their epochs with this cause. Blocks until it is in
 * the ledger, however long that is away, or until *give_up becomes true (then the journals stay for
 * `mqaudit recover`; ERR_STOPPED).
 */
MUST_CHECK int shipper_finish(
	struct shipper *s, const char *cause, const volatile bool *give_up, struct err *e);

/* Stop the thread and free; NULL allowed. */
void shipper_free(struct shipper *s);

/*
 * Ship one journal that a dead probe left, end its epoch and remove the file: recovery. The run may be
 * gone from the ledger (ERR_NOTFOUND).
 */
struct ledger;
MUST_CHECK int shipper_recover(struct ledger *l, const struct broker_ops *ops, struct journal *j,
	uint64_t *ret_outcomes, bool *ret_complete, struct err *e);

#endif
