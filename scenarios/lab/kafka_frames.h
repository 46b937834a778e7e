#ifndef SCENARIOS_LAB_KAFKA_FRAMES_H
#define SCENARIOS_LAB_KAFKA_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where Kafka's requests and answers begin and end in a stream of bytes of one direction. Nothing is
 * kept but the first bytes of a frame, so the bytes may come in any pieces, and may be anything: what
 * cannot be Kafka's (TLS, for one) is *broken*, and passes without frames from there on.
 *
 *     request  length (4 bytes, of what follows), api key (2), api version (2), correlation id (4), ...
 *     answer   length (4 bytes, of what follows), correlation id (4), ...
 */

#define KAFKA_FRAMES_MAX (UINT32_C(256) << 20) /* a longer frame is none */

enum kafka_frames_event {
	KAFKA_FRAMES_NONE,  /* all bytes were taken */
	KAFKA_FRAMES_BEGIN, /* `now` tells of the frame; its head has just been taken */
	KAFKA_FRAMES_END,   /* the frame of `now` has been taken whole */
};

struct kafka_frame {
	uint32_t length; /* of the whole frame with its first four bytes */
	int16_t api_key; /* of a request */
	int16_t api_version;
	int32_t correlation;
};

struct kafka_frames {
	bool requests;          /* which direction */
	bool broken;            /* no frames from here on */
	struct kafka_frame now; /* since its BEGIN until the next one */
	uint8_t head[12];
	unsigned have; /* bytes of head that are there; private from here on */
	bool inside;
	uint32_t left;
};

void kafka_frames_init(struct kafka_frames *f, bool requests);

/*
 * Take bytes up to the next event. Returns how many, at most len. To be called again, also with len
 * 0, until it gives NONE.
 */
size_t kafka_frames_feed(struct kafka_frames *f, const uint8_t *data, size_t len,
	enum kafka_frames_event *ret_event);

/* How many of the bytes taken so far are a head that is not whole yet: no BEGIN told of them. */
size_t kafka_frames_undecided(const struct kafka_frames *f);

/* Is it between the head of a frame and its end? */
bool kafka_frames_inside(const struct kafka_frames *f);

/* How long a head is. */
size_t kafka_frames_head_len(const struct kafka_frames *f);

/* The number of a kind of request by its name, "produce", "fetch", ...; -1: none. */
int kafka_api_find(const char *name);

/* Its name; "?" for one that is not in the list. And the list: "produce, fetch, ...". */
const char *kafka_api_name(int key);
size_t kafka_api_list(char *ret, size_t len);

#endif
