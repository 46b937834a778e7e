/* needs: scenarios/lab/kafka_frames.c */
#include <stdlib.h>
#include <string.h>

#include "scenarios/lab/kafka_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
	uint64_t begins, ends, bytes_of_whole;
	uint32_t correlations;
	bool broken;
};

/* Feed pieces of `piece` bytes (0: all at once), each in memory of its own: a look beyond it is seen. */
static struct seen feed_all(const uint8_t *data, size_t len, size_t piece, bool requests)
{
	struct kafka_frames f;
	struct seen seen = {0};

	kafka_frames_init(&f, requests);
	for (size_t at = 0; at < len;) {
		size_t n = piece && piece < len - at ? piece : len - at, done = 0;
		uint8_t *copy = malloc(n);
		enum kafka_frames_event event;

		memcpy(copy, data + at, n);
		do {
			size_t took = kafka_frames_feed(&f, copy + done, n - done, &event);

			if (took > n - done ||
				kafka_frames_undecided(&f) >= kafka_frames_head_len(&f))
				abort();
			done += took;
			if (event == KAFKA_FRAMES_BEGIN) {
				seen.begins++;
				seen.correlations =
					seen.correlations * 31 + (uint32_t)f.now.correlation;
			}
			if (event == KAFKA_FRAMES_END) {
				seen.ends++;
				seen.bytes_of_whole += f.now.length;
			}
		} while (event != KAFKA_FRAMES_NONE);
		if (done != n)
			abort();
		free(copy);
		at += n;
	}
	seen.broken = f.broken;
	return seen;
}

/* However the bytes are cut into pieces, the same frames are seen, and never more than there are bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	for (int requests = 0; requests < 2; requests++) {
		struct seen whole = feed_all(data, len, 0, requests);

		if (whole.bytes_of_whole > len || whole.ends > whole.begins ||
			whole.begins - whole.ends > 1)
			abort();
		for (size_t piece = 1; piece <= 13; piece += 4) {
			struct seen cut = feed_all(data, len, piece, requests);

			if (cut.begins != whole.begins || cut.ends != whole.ends ||
				cut.correlations != whole.correlations ||
				cut.bytes_of_whole != whole.bytes_of_whole ||
				cut.broken != whole.broken)
				abort();
		}
	}
	return 0;
}
