#include "core/envelope.h"

#include <endian.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC "MQA1"
#define VERSION 1

static void put16(uint8_t *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

uint64_t envelope_payload_hash(const void *payload, size_t len)
{
	return XXH3_64bits(payload, len);
}

void envelope_encode(const struct envelope *e, uint64_t payload_hash, uint8_t *msg)
{
	memcpy(msg, MAGIC, 4);
	msg[4] = VERSION;
	msg[5] = e->flags;
	put16(msg + 6, e->attempt);
	put64(msg + 8, e->run_id);
	put32(msg + 16, e->producer_id);
	put32(msg + 20, e->epoch);
	put32(msg + 24, e->nonce);
	put32(msg + 28, e->partition);
	put64(msg + 32, e->seq);
	put64(msg + 40, (uint64_t)e->send_wall_ns);
	put32(msg + 48, e->length);
	put32(msg + 52, (uint32_t)XXH3_64bits(msg, 52));
	put64(msg + 56, payload_hash);
}

bool envelope_has_magic(const void *payload, size_t len)
{
	return len >= 4 && memcmp(payload, MAGIC, 4) == 0;
}

/* The 64 bytes alone: ENVELOPE_OK when they are right, whatever the payload is. */
static inline enum envelope_verdict decode_header(
	const uint8_t *p, size_t len, struct envelope *ret)
{
	if (!envelope_has_magic(p, len))
		return ENVELOPE_FOREIGN;
	if (len < ENVELOPE_LEN || p[4] != VERSION || get32(p + 52) != (uint32_t)XXH3_64bits(p, 52))
		return ENVELOPE_BAD_HEADER;
	if (get64(p + 8) >> 63 || get64(p + 32) == 0 || get64(p + 32) > ENVELOPE_SEQ_MAX)
		return ENVELOPE_BAD_HEADER;
	ret->flags = p[5];
	ret->attempt = get16(p + 6);
	ret->run_id = get64(p + 8);
	ret->producer_id = get32(p + 16);
	ret->epoch = get32(p + 20);
	ret->nonce = get32(p + 24);
	ret->partition = get32(p + 28);
	ret->seq = get64(p + 32);
	ret->send_wall_ns = (int64_t)get64(p + 40);
	ret->length = get32(p + 48);
	return ENVELOPE_OK;
}

enum envelope_verdict envelope_decode(const void *msg, size_t len, struct envelope *ret)
{
	const uint8_t *p = msg;
	enum envelope_verdict v = decode_header(p, len, ret);

	if (v != ENVELOPE_OK)
		return v;
	if (ret->length != len ||
		get64(p + 56) != XXH3_64bits(p + ENVELOPE_LEN, len - ENVELOPE_LEN))
		return ENVELOPE_BAD_PAYLOAD;
	return ENVELOPE_OK;
}

enum envelope_verdict envelope_decode_beside(const void *beside, size_t beside_len,
	const void *payload, size_t len, struct envelope *ret)
{
	const uint8_t *p = beside;
	enum envelope_verdict v;

	if (!beside || envelope_has_magic(payload, len))
		return envelope_decode(payload, len, ret);
	if (beside_len > ENVELOPE_LEN)
		return envelope_has_magic(p, beside_len) ? ENVELOPE_BAD_HEADER : ENVELOPE_FOREIGN;
	v = decode_header(p, beside_len, ret);
	if (v != ENVELOPE_OK)
		return v;
	if (ret->length != len || get64(p + 56) != envelope_payload_hash(payload, len))
		return ENVELOPE_BAD_PAYLOAD;
	return ENVELOPE_OK;
}
