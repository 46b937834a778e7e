#include "scenarios/lab/kafka_frames.h"

#include <stdio.h>
#include <string.h>

#define LENGTH_BYTES 4

static const struct {
	int key;
	const char *name;
} apis[] = {
	{0, "produce"},
	{1, "fetch"},
	{2, "list-offsets"},
	{3, "metadata"},
	{8, "offset-commit"},
	{9, "offset-fetch"},
	{10, "find-coordinator"},
	{11, "join-group"},
	{12, "heartbeat"},
	{13, "leave-group"},
	{14, "sync-group"},
	{18, "api-versions"},
	{19, "create-topics"},
	{21, "delete-records"},
	{22, "init-producer-id"},
	{24, "add-partitions-to-txn"},
	{25, "add-offsets-to-txn"},
	{26, "end-txn"},
	{28, "txn-offset-commit"},
};
#define N_APIS (sizeof(apis) / sizeof(apis[0]))

int kafka_api_find(const char *name)
{
	for (size_t i = 0; i < N_APIS; i++)
		if (strcmp(apis[i].name, name) == 0)
			return apis[i].key;
	return -1;
}

const char *kafka_api_name(int key)
{
	for (size_t i = 0; i < N_APIS; i++)
		if (apis[i].key == key)
			return apis[i].name;
	return "?";
}

size_t kafka_api_list(char *ret, size_t len)
{
	size_t at = 0;

	for (size_t i = 0; i < N_APIS && at < len; i++)
		at += (size_t)snprintf(ret + at, len - at, "%s%s", i ? ", " : "", apis[i].name);
	return at;
}

void kafka_frames_init(struct kafka_frames *f, bool requests)
{
	memset(f, 0, sizeof(*f));
	f->requests = requests;
}

size_t kafka_frames_head_len(const struct kafka_frames *f)
{
	return f->requests ? 12 : 8;
}

size_t kafka_frames_undecided(const struct kafka_frames *f)
{
	return f->broken || f->inside ? 0 : f->have;
}

bool kafka_frames_inside(const struct kafka_frames *f)
{
	return f->inside && !f->broken;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int16_t be16(const uint8_t *p)
{
	return (int16_t)(p[0] << 8 | p[1]);
}

/* The head is whole: is it one? */
static void read_head(struct kafka_frames *f)
{
	uint32_t length = be32(f->head);
	size_t rest = kafka_frames_head_len(f) - LENGTH_BYTES;

	if (length < rest || length > KAFKA_FRAMES_MAX) {
		f->broken = true;
		return;
	}
	f->now.length = length + LENGTH_BYTES;
	f->now.api_key = f->requests ? be16(f->head + 4) : -1;
	f->now.api_version = f->requests ? be16(f->head + 6) : -1;
	f->now.correlation = (int32_t)be32(f->head + (f->requests ? 8 : 4));
	f->left = length - (uint32_t)rest;
	f->inside = true;
}

static size_t feed_head(struct kafka_frames *f, const uint8_t *data, size_t len)
{
	size_t n = kafka_frames_head_len(f) - f->have;

	if (n > len)
		n = len;
	if (n)
		memcpy(f->head + f->have, data, n);
	f->have += (unsigned)n;
	if (f->have == kafka_frames_head_len(f))
		read_head(f);
	return n;
}

size_t kafka_frames_feed(
	struct kafka_frames *f, const uint8_t *data, size_t len, enum kafka_frames_event *ret_event)
{
	size_t n;

	*ret_event = KAFKA_FRAMES_NONE;
	if (f->broken)
		return len;
	if (!f->inside) {
		n = feed_head(f, data, len);
		if (f->inside)
			*ret_event = KAFKA_FRAMES_BEGIN;
		return f->broken ? len : n;
	}
	n = len < f->left ? len : f->left;
	f->left -= (uint32_t)n;
	if (f->left == 0) {
		f->inside = false;
		f->have = 0;
		*ret_event = KAFKA_FRAMES_END;
	}
	return n;
}
