#ifndef CORE_ENVELOPE_H
#define CORE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The envelope: what makes a message ours. 64 bytes, big-endian, at the front of the payload.
 *
 *   offset bytes  field
 *        0     4  magic "MQA1"
 *        4     1  version, 1
 *        5     1  flags: 1 = fence
 *        6     2  attempt
 *        8     8  run id (63 bits)
 *       16     4  producer id
 *       20     4  producer epoch
 *       24     4  nonce of this start
 *       28     4  partition (0 for a queue)
 *       32     8  seq
 *       40     8  send time, ns since 1970
 *       48     4  message length, header included
 *       52     4  low 32 bits of XXH3-64 (seed 0) of bytes 0-51
 *       56     8  XXH3-64 (seed 0) of the bytes from 64 on
 *
 * Bytes 48 and 56-63 speak of the whole message, so a header that arrived intact tells whether the rest
 * did. Bytes from a broker are hostile until envelope_decode() has said ENVELOPE_OK.
 *
 * An application's own message, whose payload is not ours to change, carries the same 64 bytes beside it: in a
 * record header (Kafka) or message property (AMQP) named ENVELOPE_HEADER_NAME, the last one of that name. Then
 * bytes 48-51 are the length of the payload alone, 0 or more, and bytes 56-63 the hash of all of it. Where the
 * payload begins with the magic, it is the payload that counts, and no header is looked at.
 */
#define ENVELOPE_HEADER_NAME "mqaudit"
#define ENVELOPE_LEN 64
#define ENVELOPE_FLAG_FENCE 1u
#define ENVELOPE_SEQ_MAX                                                                           \
	(UINT64_C(0x7ffffffffffffffe)) /* so that hi + 1 still fits a database's int8 */

struct envelope {
	uint8_t flags;
	uint16_t attempt;
	uint64_t run_id;
	uint32_t producer_id;
	uint32_t epoch;
	uint32_t nonce;
	uint32_t partition;
	uint64_t seq;
	int64_t send_wall_ns;
	uint32_t length;
};

enum envelope_verdict {
	ENVELOPE_OK,      /* all of it is right */
	ENVELOPE_FOREIGN, /* no magic: not ours */
	ENVELOPE_BAD_HEADER, /* our magic, but the header is cut short, of another version, damaged or absurd */
	ENVELOPE_BAD_PAYLOAD, /* the header is right, length or payload is not: who it was is known */
};

/* XXH3-64 of a payload: what is behind the header. Padding that never changes needs it once. */
uint64_t envelope_payload_hash(const void *payload, size_t len);

/*
 * Write e into the first ENVELOPE_LEN bytes of msg. payload_hash is envelope_payload_hash() of what
 * follows, which is not touched. e->length of at least ENVELOPE_LEN is a precondition.
 */
void envelope_encode(const struct envelope *e, uint64_t payload_hash, uint8_t *msg);

/*
 * Read an envelope from the front of a message of len bytes (NULL allowed when len is 0).
 *
 * ret is filled for ENVELOPE_OK and ENVELOPE_BAD_PAYLOAD, untouched otherwise.
 */
enum envelope_verdict envelope_decode(const void *msg, size_t len, struct envelope *ret);

/*
 * The same for a message that may carry its envelope beside its payload: beside is that header's value (NULL:
 * there is none), which must be the 64 bytes and nothing more. As envelope_decode() where there is none, or
 * where the payload has the magic.
 */
enum envelope_verdict envelope_decode_beside(const void *beside, size_t beside_len,
	const void *payload, size_t len, struct envelope *ret);

/* Does a payload begin as one of ours does? Then nothing beside it counts. */
bool envelope_has_magic(const void *payload, size_t len);

#endif
