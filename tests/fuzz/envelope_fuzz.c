/* needs: core/envelope.c */
#include <stdlib.h>
#include <string.h>

#include "core/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The same bytes as a header of up to 64 or 65 bytes, and a payload: the same rules. */
static void beside(const uint8_t *data, size_t len)
{
	size_t n = len && data[len - 1] & 1 ? ENVELOPE_LEN + 1 : ENVELOPE_LEN;
	uint8_t again[ENVELOPE_LEN];
	struct envelope e = {0};

	n = n < len ? n : len;
	if (envelope_decode_beside(data, n, data + n, len - n, &e) != ENVELOPE_OK)
		return;
	if (envelope_has_magic(data + n, len - n))
		return;
	envelope_encode(&e, envelope_payload_hash(data + n, len - n), again);
	if (n != ENVELOPE_LEN || e.length != len - n || memcmp(again, data, ENVELOPE_LEN) != 0)
		abort();
}

/* What decodes as right must encode to the same bytes; nothing else may be touched. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct envelope e, untouched;
	uint8_t again[ENVELOPE_LEN];
	enum envelope_verdict v;

	beside(data, len);
	memset(&e, 0x5a, sizeof(e));
	memset(&untouched, 0x5a, sizeof(untouched));
	v = envelope_decode(data, len, &e);
	if (v == ENVELOPE_FOREIGN || v == ENVELOPE_BAD_HEADER) {
		if (memcmp(&e, &untouched, sizeof(e)) != 0)
			abort();
		return 0;
	}
	if (e.seq == 0 || e.seq > ENVELOPE_SEQ_MAX || e.run_id >> 63)
		abort();
	if (v == ENVELOPE_BAD_PAYLOAD)
		return 0;
	envelope_encode(&e, envelope_payload_hash(data + ENVELOPE_LEN, len - ENVELOPE_LEN), again);
	if (e.length != len || memcmp(again, data, ENVELOPE_LEN) != 0)
		abort();
	return 0;
}
