#ifndef PROBE_JOURNAL_H
#define PROBE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/paths.h"
#include "core/words.h"

/*
 * The journal of one producer epoch: a memory-mapped file that holds, per lane, how far it has gone
 * (marked before a message is handed over) and every outcome as it arrives.
 *
 * SIGKILL at any instant loses nothing that had arrived: the stores of one thread reach the page cache in
 * program order, and each step below is ordered so that a reader of the file can tell how far it got.
 * Outcomes are kept as records: runs of consecutive seqs of one lane with one outcome and consecutive
 * offsets. The last run of a lane is "open", it grows in place; closed ones stand in the log.
 *
 * The file, all numbers in the byte order of this machine (it never leaves the host):
 *
 *   0       header, 4096 bytes (struct journal_head)
 *   4096    lanes, 128 bytes each (struct journal_lane)
 *   ...     the log, at the next multiple of 4096: a ring of JOURNAL_RING records of 64 bytes, of which
 *           only the allocated chunks take space; what was shipped is given back to the file system
 *
 * Space is allocated before it is written, so that a full disk is an error at once and never SIGBUS.
 *
 * Three threads: the sender marks intents, the poller records outcomes, the shipper reads and frees.
 * Each function says whose it is; one thread may be all three.
 */

#define JOURNAL_RING ((uint64_t)1 << 24) /* records: 1 GiB at most */
#define JOURNAL_CHUNK ((uint64_t)16384)  /* records that are allocated at once: 1 MiB */
#define JOURNAL_MAX_LANES 10000

struct journal;

/* One run of outcomes. 64 bytes, as in the file. */
struct journal_record {
	uint32_t lane;   /* index in the journal's lanes */
	uint8_t outcome; /* enum outcome: ACKED, UNCONFIRMED, REFUSED, UNKNOWN */
	uint8_t reserved;
	uint16_t attempt;
	int32_t node;         /* that answered, or -1 */
	int32_t code;         /* the client library's error code, or 0 */
	uint64_t lo, hi;      /* seqs, both included; lo 0: empty */
	int64_t first_offset; /* of lo; seq s stands at first_offset + (s - lo). -1: no offsets */
	int64_t first_wall_ns;
	int64_t last_wall_ns;
	uint64_t
		closing; /* open records only: 1 + the place in the log that it is going to; 0: none */
};

/* Who writes: goes into the file and identifies it. */
struct journal_id {
	uint64_t run_id;
	uint32_t producer_id;
	uint32_t epoch;
	uint32_t nonce;
	bool fsync; /* --fsync: survives a power cut */
};

/* What a journal says of itself: for recovery. */
struct journal_info {
	struct journal_id id;
	char host[64];
	char boot_id[40];
	int pid;
	size_t n_lanes;
	bool same_boot; /* written since this machine last started */
	bool ended;     /* the probe ended in order: every lane's last word is in */
	int64_t created_wall_ns;
};

/*
 * Make a new journal in `folder` (which must exist) for lanes to these partitions, and lock it.
 * leases of all lanes start at 0. The caller closes it.
 *
 * Returns 0, ERR_NOSPACE, ERR_IO, ERR_EXISTS or ERR_LIMIT (too many lanes).
 */
MUST_CHECK int journal_create(const char *folder, const struct journal_id *id,
	const int32_t *partitions, size_t n_lanes, struct journal **ret, struct err *e);

/*
 * Open an existing journal for recovery and lock it.
 *
 * Returns 0; ERR_STATE: another process holds it (its probe still runs); ERR_FORMAT: not a journal, or
 * damaged; ERR_NOTFOUND; ERR_IO.
 */
MUST_CHECK int journal_open(const char *path, struct journal **ret, struct err *e);

/* Unmap and unlock; the file stays. NULL allowed. */
void journal_close(struct journal *j);

/* Remove the file: all of it is in the ledger. The journal must still be closed. */
MUST_CHECK int journal_remove(struct journal *j, struct err *e);

const char *journal_path(const struct journal *j);
bool journal_is_synced(const struct journal *j); /* --fsync */
void journal_info(const struct journal *j, struct journal_info *ret);
size_t journal_lanes(const struct journal *j);
int32_t journal_partition(const struct journal *j, size_t lane);

/* ---- the sender ------------------------------------------------------------------------------ */

/*
 * Mark that every seq up to hi of a lane is about to be handed to the client library. hi never goes
 * back, and never above the lease (both abort). With --fsync it is on the disk on return, or ERR_IO.
 */
MUST_CHECK int journal_intend(
	struct journal *j, size_t lane, uint64_t hi, int64_t wall_ns, struct err *e);

/* How far a lane may go, and has gone. Any thread. */
uint64_t journal_lease(const struct journal *j, size_t lane);
uint64_t journal_intended(const struct journal *j, size_t lane);
int64_t journal_intended_wall_ns(const struct journal *j, size_t lane);

/*
 * Is there room for the outcomes of `outstanding` messages, whatever order they come in? False: stop
 * sending until journal_grow() made room. Any thread.
 */
bool journal_has_room(const struct journal *j, uint64_t outstanding);

/* ---- the poller ------------------------------------------------------------------------------ */

/*
 * Record one outcome. There must be room (aborts otherwise: the sender had to ask first).
 * offset -1: none.
 */
void journal_record(struct journal *j, size_t lane, uint64_t seq, enum outcome outcome,
	uint16_t attempt, int64_t offset, int32_t node, int32_t code, int64_t wall_ns);

/* Close the open record of every lane, so that the shipper can take it. */
void journal_close_open(struct journal *j);

/* ---- the shipper ----------------------------------------------------------------------------- */

/*
 * Make room in the log: keep at least `ahead` free records allocated. Returns 0; ERR_NOSPACE: the disk
 * or the ring (JOURNAL_RING records not shipped yet) is full.
 */
MUST_CHECK int journal_grow(struct journal *j, uint64_t ahead, struct err *e);

/* How many records were ever closed. Those below it are fixed; the shipper has taken `shipped` of them. */
uint64_t journal_count(const struct journal *j);
uint64_t journal_shipped(const struct journal *j);

/* A closed record that was not freed yet (aborts otherwise). */
const struct journal_record *journal_at(const struct journal *j, uint64_t index);

/* All records below `index` are in the ledger: note it and give their space back. */
void journal_set_shipped(struct journal *j, uint64_t index);

/*
 * Raise a lane's lease. `durable`: also force it to the disk first (while the ledger, which otherwise
 * keeps it, is away). Returns 0 or ERR_IO.
 */
MUST_CHECK int journal_set_lease(
	struct journal *j, size_t lane, uint64_t hi, bool durable, struct err *e);

/* --fsync: force outcomes so far to the disk. Otherwise does nothing. */
MUST_CHECK int journal_sync(struct journal *j, struct err *e);

/* The probe ends in order: no outcome will come any more. */
MUST_CHECK int journal_set_ended(struct journal *j, struct err *e);

/* ---- recovery -------------------------------------------------------------------------------- */

/*
 * Take over an opened journal whose probe is dead: closes the open records (a record that was being
 * closed when the probe died is neither lost nor doubled). After another boot without --fsync nothing
 * behind what was shipped can be trusted: ret_complete is false then, and only what is in the ledger
 * counts.
 */
MUST_CHECK int journal_recover(struct journal *j, bool *ret_complete, struct err *e);

/* This machine's boot id (a file that changes with every start). */
void journal_boot_id(char *ret, size_t len);

#endif
