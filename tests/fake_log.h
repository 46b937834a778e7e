#ifndef TESTS_FAKE_LOG_H
#define TESTS_FAKE_LOG_H

/*
 * A broker that is none: one partition of messages of one lane, one seq each from 1 on, which a test
 * changes behind its readers' backs in ways that no real broker does. For one test program each.
 */
#include <stdlib.h>
#include <string.h>

#include "core/broker/broker.h"
#include "core/clock.h"
#include "core/envelope.h"

#define FAKE_LEN 80

struct fake_log {
	uint64_t run_id;
	uint32_t producer_id, epoch, nonce;
	int64_t low, high;
	int64_t odd; /* the position that is not what it was; -1: none */
	bool flips;  /* it is another one at each read; otherwise it stays what it became */
	uint64_t flips_until; /* that many reads; 0: for ever */
	bool empty;           /* there is nothing at it: a hole */
	bool away;            /* nobody answers */
	uint64_t hint_from;   /* from that many reads of it on there are hints of a cut; 0: none */
	uint64_t end_from;    /* from that many reads of it on the log ends there; 0: no */
	uint64_t reads;       /* of the odd position, once it was set */
	uint64_t snapshots;
	uint64_t starts; /* how often reading was begun */
	uint64_t given;  /* records */
	/* what stands at an offset, when it is not one lane's message; false: nothing, a hole */
	bool (*compose)(int64_t offset, struct envelope *env);
};

static struct fake_log fake;

struct broker_reader {
	int64_t at; /* -1: not reading */
	bool ended;
};

static int fake_open(const struct broker_config *c, enum broker_isolation isolation, bool small,
	struct broker_reader **ret, struct err *e)
{
	(void)c, (void)isolation, (void)small, (void)e;
	*ret = calloc(1, sizeof(**ret));
	(*ret)->at = -1;
	return 0;
}

static void fake_close(struct broker_reader *r)
{
	free(r);
}

static int fake_start(struct broker_reader *r, int32_t partition, int64_t offset, struct err *e)
{
	(void)partition, (void)e;
	r->at = offset;
	r->ended = false;
	fake.starts++;
	return 0;
}

static int fake_stop(struct broker_reader *r, int32_t partition, struct err *e)
{
	(void)partition, (void)e;
	r->at = -1;
	return 0;
}

static int64_t fake_end(void)
{
	return fake.end_from && fake.reads >= fake.end_from ? fake.odd : fake.high;
}

static int fake_bounds(
	struct broker_reader *r, int32_t partition, int64_t *low, int64_t *high, struct err *e)
{
	(void)r, (void)partition, (void)e;
	*low = fake.low;
	*high = fake_end();
	return 0;
}

static void fake_health(struct broker_reader *r, struct broker_health *ret)
{
	(void)r;
	*ret = (struct broker_health){.snapshots = ++fake.snapshots,
		.changes = fake.hint_from && fake.reads >= fake.hint_from ? fake.reads : 0};
}

/* Which content of the odd position this read gets. */
static uint64_t count_read(void)
{
	uint64_t n = fake.reads++;

	return fake.flips_until && n > fake.flips_until ? fake.flips_until : n;
}

static bool fake_message(int64_t offset, struct broker_message *ret)
{
	uint8_t *bytes = calloc(1, FAKE_LEN);
	struct envelope env = {.run_id = fake.run_id,
		.producer_id = fake.producer_id,
		.epoch = fake.epoch,
		.nonce = fake.nonce,
		.seq = (uint64_t)offset + 1,
		.length = FAKE_LEN};
	int64_t stamp = 1000;

	if (fake.compose && !fake.compose(offset, &env)) {
		free(bytes);
		return false;
	}
	fake.given++;
	if (offset == fake.odd)
		stamp = fake.flips ? 2000 + (int64_t)count_read() : 1999;
	envelope_encode(
		&env, envelope_payload_hash(bytes + ENVELOPE_LEN, FAKE_LEN - ENVELOPE_LEN), bytes);
	*ret = (struct broker_message){.item = BROKER_MESSAGE,
		.offset = offset,
		.payload = bytes,
		.len = FAKE_LEN,
		.key = "",
		.stamp_ms = stamp,
		.handle = bytes};
	return true;
}

static size_t fake_read(
	struct broker_reader *r, struct broker_message *ret, size_t max, int timeout_ms)
{
	size_t n = 0;

	(void)timeout_ms;
	while (!fake.away && n < max && r->at >= fake.low && r->at < fake_end()) {
		if (r->at == fake.odd && fake.empty)
			r->at++;
		else
			n += fake_message(r->at++, &ret[n]);
	}
	if (!fake.away && n == 0 && r->at >= 0 && r->at < fake.low) {
		ret[n++] = (struct broker_message){.item = BROKER_OUT_OF_RANGE, .offset = r->at};
		r->at = -1;
	}
	if (!fake.away && n == 0 && r->at >= fake_end() && !r->ended) {
		ret[n++] = (struct broker_message){.item = BROKER_END, .offset = fake_end()};
		r->ended = true;
	}
	if (n == 0)
		clock_sleep_ns(NS_PER_MS);
	return n;
}

static void fake_release(struct broker_reader *r, struct broker_message *m, size_t n)
{
	(void)r;
	for (size_t i = 0; i < n; i++)
		free(m[i].handle);
}

static const struct broker_ops fake_ops = {
	.scheme = "fake",
	.caps = BROKER_CAP_POSITIONS | BROKER_CAP_PARTITIONS,
	.reader_open = fake_open,
	.reader_close = fake_close,
	.reader_start = fake_start,
	.reader_stop = fake_stop,
	.reader_read = fake_read,
	.reader_release = fake_release,
	.reader_bounds = fake_bounds,
	.reader_health = fake_health,
};

#endif
