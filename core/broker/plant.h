#ifndef CORE_BROKER_PLANT_H
#define CORE_BROKER_PLANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/broker/broker.h"
#include "core/err.h"

/*
 * Faults for the selftest, planted between the probe and a real broker: a decorator around another
 * broker's producer operations. The probe's own code, its journal and its shipments stay what they
 * are; only what is really sent is another. What was planted is on record, message by message, so
 * that an auditor that does not find exactly that is caught.
 */

/* X(name, word, what becomes of the message) */
#define PLANT_KINDS(X)                                                                             \
	X(DROP, "drop", "acknowledged and never sent")                                             \
	X(REPEAT, "repeat", "the same bytes sent twice")                                           \
	X(ATTEMPT, "attempt", "sent again, as another attempt of the application's")               \
	X(SWAP, "swap", "sent behind its successor")                                               \
	X(FLIP, "flip", "one bit of the payload turned")                                           \
	X(HEADER, "header", "one bit of the envelope turned")                                      \
	X(CUT, "cut", "its end cut off")                                                           \
	X(FOREIGN, "foreign", "a stranger's record behind it")                                     \
	X(PHANTOM, "phantom", "a message behind it that nobody intended")

enum plant_kind {
#define PLANT_ENUM_(name, word, what) PLANT_##name,
	PLANT_KINDS(PLANT_ENUM_)
#undef PLANT_ENUM_
		PLANT_N
};

/* The word of a kind, and what it means: constants. */
const char *plant_text(enum plant_kind k);
const char *plant_meaning(enum plant_kind k);

/* One fault. For a phantom and behind an ack: the identity of what is in the log, not of its
 * neighbour. */
struct plant_fault {
	enum plant_kind kind;
	uint32_t producer_id, epoch;
	int32_t partition;
	uint64_t seq;
	uint64_t at_seq; /* of the message at which it is planted */
	bool planted;    /* it was done (what is sent in addition: acknowledged) */
	bool unreadable; /* of what is in the log: its header tells of no message */
};

/* Where faults may be: lanes of producers first to first + n_producers - 1 to each partition. */
struct plant_field {
	uint32_t first_producer;
	size_t n_producers;
	const int32_t *partitions; /* borrowed until plant_new() returns */
	size_t n_partitions;
	uint64_t per_lane; /* messages that each lane will send at least */
	size_t size;       /* bytes of a message */
};

struct plant;

/*
 * Draw a plan for "KIND=COUNT,...[;seed=N]" (without a seed: a random one). Faults lie at least
 * eight messages apart and in the first half of each lane.
 *
 * Returns 0; ERR_USAGE: not such a text, too few messages for so many faults, or messages too small
 * to have a payload; ERR_NOMEM. The caller frees it after the producers that were made with it.
 */
MUST_CHECK int plant_new(const char *spec, const struct plant_field *field,
	const struct broker_ops *inner, struct plant **ret, struct err *e);
void plant_free(struct plant *p);

/*
 * The inner broker's operations with planting producers. They find the plan in broker_config.plant.
 * producer_send() may block for up to ten seconds when the client's queue is full in the middle of
 * a fault. Borrowed; lives as long as p.
 */
const struct broker_ops *plant_ops(const struct plant *p);

/* The faults and how many; to be read after all producers were closed. Borrowed. */
const struct plant_fault *plant_faults(const struct plant *p, size_t *ret_n);

/* The seed that draws the same plan again. */
uint64_t plant_seed(const struct plant *p);

#endif
