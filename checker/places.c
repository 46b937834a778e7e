#include "checker/places.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/envelope.h"

#define BATCH 500
#define READ_MS 50
#define NEAR 1000 /* records: so far it is quicker to read on than to begin anew */

struct searcher {
	const struct places_plan *plan;
	struct broker_reader *reader;
	int64_t deadline_ns;
	int32_t partition; /* that is being read; -1: none */
	int64_t next;      /* the position that is given next */
	int32_t bounded;   /* the partition whose bounds these are; -1: none */
	int64_t low, high;
	struct broker_message batch[BATCH];
	size_t n, at;
};

static void drop_batch(struct searcher *s)
{
	if (s->n)
		s->plan->ops->reader_release(s->reader, s->batch, s->n);
	s->n = s->at = 0;
}

/* Read a partition from an offset on. */
static int go_to(struct searcher *s, int32_t partition, int64_t offset, struct err *e)
{
	struct err ignored;
	int r;

	if (partition == s->partition && offset >= s->next && offset - s->next < NEAR)
		return 0;
	drop_batch(s);
	if (partition != s->partition && s->partition >= 0)
		err_ignore(s->plan->ops->reader_stop(s->reader, s->partition, &ignored));
	r = s->plan->ops->reader_start(s->reader, partition, offset, e);
	s->partition = r == 0 ? partition : -1;
	s->next = offset;
	return r;
}

/* The next record at or behind an offset; NULL: the log's end. ERR_TIMEOUT: not in time. */
static int next_record(
	struct searcher *s, int64_t offset, const struct broker_message **ret, struct err *e)
{
	*ret = NULL;
	for (;;) {
		const struct broker_message *m;

		if (clock_ns() >= s->deadline_ns)
			return err_set(e, ERR_TIMEOUT, "no time to look for positions");
		if (s->at == s->n) {
			drop_batch(s);
			s->n = s->plan->ops->reader_read(s->reader, s->batch, BATCH, READ_MS);
			continue;
		}
		m = &s->batch[s->at++];
		/* what was under way when the reader was sent elsewhere */
		if (m->partition != s->partition)
			continue;
		if (m->item == BROKER_END || m->item == BROKER_OUT_OF_RANGE) {
			s->partition = -1; /* to be begun anew */
			return 0;
		}
		if (m->item != BROKER_MESSAGE || m->offset < s->next)
			continue;
		s->next = m->offset + 1;
		if (m->offset < offset)
			continue;
		*ret = m;
		return 0;
	}
}

/* Is it a message of the place's lane? *ret_seq says which. */
static bool is_of_lane(const struct searcher *s, const struct judged_place *p,
	const struct broker_message *m, uint64_t *ret_seq)
{
	struct envelope env;

	if (envelope_decode(m->payload, m->len, &env) != ENVELOPE_OK ||
		env.run_id != s->plan->run_id || env.flags != 0 ||
		env.producer_id != p->producer_id || env.epoch != p->epoch ||
		env.nonce != p->nonce || env.partition != p->lane)
		return false;
	*ret_seq = env.seq;
	return true;
}

/* The stretch in which a message must lie. */
struct stretch {
	int64_t lo, hi;
};

/*
 * Read from `from` on until it is clear on which side of it the message lies: *x gets smaller, or the
 * place gets its offset.
 */
static int look_from(
	struct searcher *s, struct judged_place *p, int64_t from, struct stretch *x, struct err *e)
{
	const struct broker_message *m;
	bool before = false; /* a smaller seq was read */
	int r = go_to(s, p->partition, from, e);

	while (r == 0 && (r = next_record(s, from, &m, e)) == 0 && m && m->offset <= x->hi) {
		int64_t offset = m->offset;
		uint64_t seq;

		if (!is_of_lane(s, p, m, &seq))
			continue;
		if (seq == p->seq) {
			p->offset = offset;
			return 0;
		}
		if (seq > p->seq) {
			x->hi = before ? x->lo - 1 : from - 1;
			return 0;
		}
		before = true;
		/* each seq between takes a position at least */
		x->lo = offset + (int64_t)(p->seq - seq);
		if (x->lo - s->next >= NEAR)
			return 0;
	}
	if (r == 0)
		x->hi = before ? x->lo - 1 : from - 1;
	return r;
}

/* Is it of the same range as one that was found, a few messages further on? Then it lies close behind. */
static bool follows(const struct judged_place *p, const struct judged_place *found)
{
	return found && found->offset >= 0 && found->side == p->side &&
	       found->partition == p->partition && found->producer_id == p->producer_id &&
	       found->epoch == p->epoch && found->nonce == p->nonce && found->lane == p->lane &&
	       found->seq < p->seq && p->seq - found->seq < NEAR / 10 &&
	       p->from - found->from == (int64_t)(p->seq - found->seq);
}

static int find_one(struct searcher *s, struct judged_place *p, const struct judged_place *before,
	struct err *e)
{
	struct stretch x = {p->from, p->to};
	bool close = follows(p, before), first = true;
	int r = 0;

	if (p->partition != s->bounded)
		r = s->plan->ops->reader_bounds(s->reader, p->partition, &s->low, &s->high, e);
	s->bounded = r == 0 ? p->partition : -1;
	if (close)
		x.lo = before->offset + (int64_t)(p->seq - before->seq);
	if (x.lo < s->low)
		x.lo = s->low;
	if (x.hi >= s->high)
		x.hi = s->high - 1;
	while (r == 0 && p->offset == JUDGED_NOT_LOOKED && x.lo <= x.hi) {
		/* first a little before where it should be, then halves; what is near is read through */
		int64_t from = x.lo + (x.hi - x.lo) / 2;

		if (close || x.hi - x.lo < NEAR)
			from = x.lo;
		else if (first && p->guess - NEAR / 2 > x.lo && p->guess < x.hi)
			from = p->guess - NEAR / 2;
		close = first = false;
		r = look_from(s, p, from, &x, e);
	}
	if (r == 0 && p->offset == JUDGED_NOT_LOOKED)
		p->offset = JUDGED_GONE;
	return r;
}

int places_find(const struct places_plan *plan, struct judged_place *place, size_t n,
	int64_t deadline_ns, struct err *e)
{
	struct searcher *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	s->plan = plan;
	s->deadline_ns = deadline_ns;
	s->partition = s->bounded = -1;
	r = plan->ops->reader_open(plan->broker, plan->isolation, false, &s->reader, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (place[i].offset == JUDGED_NOT_LOOKED)
			r = find_one(s, &place[i], i ? &place[i - 1] : NULL, e);
	drop_batch(s);
	if (s->reader)
		plan->ops->reader_close(s->reader);
	free(s);
	return r == ERR_TIMEOUT || r == ERR_BROKER_AWAY ? 0 : r;
}
