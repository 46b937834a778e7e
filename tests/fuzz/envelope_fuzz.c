/* needs: core/envelope.c */
#include <stdlib.h>
#include <string.h>

#include "core/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What decodes as right must encode to the same bytes; nothing else may be touched. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct envelope e, untouched;
	uint8_t again[ENVELOPE_LEN];
	enum envelope_verdict v;

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
