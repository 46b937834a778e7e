#include "checker/anchor.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/envelope.h"

#define LOOK_BACK 16 /* offsets: control records and holes stand between records */

struct anchor_reader {
	const struct broker_ops *ops;
	struct broker_reader *reader;
};

struct witness_anchor anchor_of(const struct broker_message *m)
{
	uint64_t digest = envelope_payload_hash(m->payload, m->len);

	digest ^= envelope_payload_hash(m->key, m->key_len) * 0x9e3779b97f4a7c15u;
	digest ^= (uint64_t)m->stamp_ms * 0xc2b2ae3d27d4eb4fu;
	/* then the payload may be the same in all of them */
	if (m->beside)
		digest ^= envelope_payload_hash(m->beside, m->beside_len) * 0x165667b19e3779f9u;
	digest = (digest ^ (uint64_t)m->len) * 0xff51afd7ed558ccdu;
	return (struct witness_anchor){m->offset, (int64_t)digest};
}

int anchor_reader_open(const struct broker_ops *ops, const struct broker_config *broker,
	struct anchor_reader **ret, struct err *e)
{
	struct anchor_reader *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_set(e, ERR_NOMEM, "out of memory");
	a->ops = ops;
	r = ops->reader_open(broker, BROKER_UNCOMMITTED, true, &a->reader, e);
	if (r) {
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void anchor_reader_close(struct anchor_reader *a)
{
	if (!a)
		return;
	a->ops->reader_close(a->reader);
	free(a);
}

/* What a look for the first record at or behind an offset found. */
struct found {
	bool record; /* `anchor` is the first record */
	bool end;    /* the log ends there */
	struct witness_anchor anchor;
};

static int wait_for_record(struct anchor_reader *a, int32_t partition, int64_t offset,
	int64_t deadline_ns, struct found *ret, struct err *e)
{
	struct broker_message m;
	char last[160] = "no answer";

	while (!ret->record && !ret->end) {
		if (clock_ns() >= deadline_ns)
			return err_set(e, ERR_BROKER_AWAY,
				"cannot read partition %d at offset %lld: %s", partition,
				(long long)offset, last);
		if (a->ops->reader_read(a->reader, &m, 1, 50) == 0)
			continue;
		if (m.partition == partition) {
			ret->end = m.item == BROKER_END || m.item == BROKER_OUT_OF_RANGE;
			ret->record = m.item == BROKER_MESSAGE && m.offset >= offset;
			if (ret->record)
				ret->anchor = anchor_of(&m);
			if (m.item == BROKER_READ_ERROR)
				snprintf(last, sizeof(last), "%s", m.text);
		}
		a->ops->reader_release(a->reader, &m, 1);
	}
	return 0;
}

static int first_record(struct anchor_reader *a, int32_t partition, int64_t offset,
	int64_t deadline_ns, struct found *ret, struct err *e)
{
	struct err ignored;
	int r = a->ops->reader_start(a->reader, partition, offset, e);

	*ret = (struct found){.anchor = {-1, 0}};
	if (r)
		return r;
	r = wait_for_record(a, partition, offset, deadline_ns, ret, e);
	err_ignore(a->ops->reader_stop(a->reader, partition, &ignored));
	return r;
}

int anchor_log_start(struct anchor_reader *a, int32_t partition, int64_t *ret, struct err *e)
{
	int64_t high;

	return a->ops->reader_bounds(a->reader, partition, ret, &high, e);
}

int anchor_matches(struct anchor_reader *a, int32_t partition, const struct witness_anchor *anchor,
	int64_t timeout_ns, bool *ret, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns, low, high;
	struct found found;
	int r = first_record(a, partition, anchor->offset, deadline, &found, e);

	if (r == 0 && found.record && found.anchor.offset == anchor->offset) {
		*ret = found.anchor.digest == anchor->digest;
		return 0;
	}
	/* the question for the log's ends takes longer than a look, so it is asked only now */
	if (r == 0)
		r = a->ops->reader_bounds(a->reader, partition, &low, &high, e);
	/* below the start, or a hole: compaction took it, a truncation would have put another there */
	if (r == 0)
		*ret = anchor->offset < high;
	return r;
}

/* Read a position twice. *ret: both times there was a record, and not the same one. */
static int two_reads(struct anchor_reader *a, int32_t partition, int64_t offset,
	int64_t deadline_ns, bool *ret, struct err *e)
{
	struct found first, second;
	int64_t low, high;
	int r = first_record(a, partition, offset, deadline_ns, &first, e);

	*ret = false;
	if (r == 0)
		r = first_record(a, partition, offset, deadline_ns, &second, e);
	if (r == 0)
		r = a->ops->reader_bounds(a->reader, partition, &low, &high, e);
	if (r)
		return r;
	*ret = first.record && second.record && first.anchor.offset == offset &&
	       second.anchor.offset == offset && first.anchor.digest != second.anchor.digest &&
	       low <= offset && offset < high;
	return 0;
}

/* How many hints of a cut there were until now: not from before this call. */
static int hints_until_now(
	struct anchor_reader *a, int64_t deadline_ns, uint64_t *ret, struct err *e)
{
	struct broker_message m;
	struct broker_health h;
	uint64_t wanted;

	a->ops->reader_health(a->reader, &h);
	/* the first of two may have been on its way before */
	for (wanted = h.snapshots + 2; h.snapshots < wanted; a->ops->reader_health(a->reader, &h)) {
		if (clock_ns() >= deadline_ns)
			return err_set(e, ERR_BROKER_AWAY,
				"the client does not say how its connections are");
		if (a->ops->reader_read(a->reader, &m, 1, 50) == 1)
			a->ops->reader_release(a->reader, &m, 1);
	}
	*ret = h.changes;
	return 0;
}

int anchor_is_inconsistent(struct anchor_reader *a, int32_t partition, int64_t offset,
	int64_t timeout_ns, bool *ret, struct err *e)
{
	int64_t deadline_ns = clock_ns() + timeout_ns;
	uint64_t before = 0, after = 0;
	bool differ;
	int r = two_reads(a, partition, offset, deadline_ns, &differ, e);

	*ret = false;
	if (r || !differ)
		return r;
	r = hints_until_now(a, deadline_ns, &before, e);
	if (r == 0)
		r = two_reads(a, partition, offset, deadline_ns, &differ, e);
	if (r || !differ)
		return r;
	r = hints_until_now(a, deadline_ns, &after, e);
	*ret = r == 0 && before == after;
	return r;
}

/* Take one item of a partition in; true: nothing more is to be learned. */
static bool take_before(const struct broker_message *m, int64_t offset, struct witness_anchor *ret,
	char *trouble, size_t len)
{
	if (m->item == BROKER_READ_ERROR)
		snprintf(trouble, len, "%s", m->text);
	if (m->item == BROKER_MESSAGE && m->offset < offset)
		*ret = anchor_of(m);
	return m->item == BROKER_END || m->item == BROKER_OUT_OF_RANGE ||
	       (m->item == BROKER_MESSAGE && m->offset >= offset - 1);
}

int anchor_last_before(struct anchor_reader *a, int32_t partition, int64_t offset,
	int64_t timeout_ns, struct witness_anchor *ret, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns, low, high;
	char last[160] = "no answer";
	struct broker_message m;
	struct err ignored;
	bool done = false;
	int r;

	*ret = (struct witness_anchor){-1, 0};
	if (offset <= 0)
		return 0;
	r = a->ops->reader_bounds(a->reader, partition, &low, &high, e);
	if (r || low >= offset)
		return r;
	r = a->ops->reader_start(
		a->reader, partition, offset - LOOK_BACK > low ? offset - LOOK_BACK : low, e);
	while (r == 0 && !done) {
		if (clock_ns() >= deadline) {
			r = err_set(e, ERR_BROKER_AWAY,
				"cannot read partition %d before offset %lld: %s", partition,
				(long long)offset, last);
		} else if (a->ops->reader_read(a->reader, &m, 1, 50) == 1) {
			done = m.partition == partition &&
			       take_before(&m, offset, ret, last, sizeof(last));
			a->ops->reader_release(a->reader, &m, 1);
		}
	}
	err_ignore(a->ops->reader_stop(a->reader, partition, &ignored));
	return r;
}
