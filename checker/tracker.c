#include "checker/tracker.h"

#include <stdlib.h>
#include <string.h>

/* Positions of foreign records are noted so far: they may be ours, damaged beyond recognition. */
#define MAX_FOREIGN_NOTED 10000u

/* Of a queue: what was given of one attempt. */
struct attempt {
	uint16_t number;
	struct seqset *given;
};

struct lane {
	struct tracker_ident ident;
	struct seqset *seen;
	struct seqset *repeated;
	struct seqset *reordered;
	uint64_t extra;
	uint64_t top;
	/* of a queue */
	struct attempt *attempt;
	size_t n_attempts, cap_attempts;
	struct seqset *redelivered;
	uint64_t redeliveries;
	/* the run that grows now; seqs [noted + 1, hi] of it are not in `seen` yet */
	struct tracker_run run; /* lo 0: none */
	bool in_front;          /* it began above everything seen before */
	bool active;            /* in the partition's list of lanes with something to take */
};

struct part {
	struct lane **lanes;
	size_t n_lanes, cap_lanes;
	uint32_t *table; /* open addressing: index + 1 into lanes */
	size_t table_mask;
	struct lane *last;
	/* the segment */
	struct tracker_run *run;
	size_t n_runs, cap_runs;
	struct tracker_damage *damage;
	size_t n_damages, cap_damages;
	struct lane **active;
	size_t n_active, cap_active;
	int64_t first_offset; /* of the segment; -1: nothing read yet */
	uint64_t records, ours, foreigners, fences, corrupted;
	/* taken before, of what still counts */
	uint64_t sum_records, sum_ours, sum_foreigners, sum_fences, sum_corrupted;
	uint32_t foreign_noted;
};

struct tracker {
	uint64_t run_id;
	bool of_queue;
	struct part **parts;
	size_t n_parts;
};

struct tracker *tracker_new(uint64_t run_id)
{
	struct tracker *t = calloc(1, sizeof(*t));

	if (t)
		t->run_id = run_id;
	return t;
}

void tracker_of_queue(struct tracker *t)
{
	t->of_queue = true;
}

static void lane_free(struct lane *l)
{
	if (!l)
		return;
	seqset_free(l->seen);
	seqset_free(l->repeated);
	seqset_free(l->reordered);
	seqset_free(l->redelivered);
	for (size_t i = 0; i < l->n_attempts; i++)
		seqset_free(l->attempt[i].given);
	free(l->attempt);
	free(l);
}

static void part_free(struct part *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_lanes; i++)
		lane_free(p->lanes[i]);
	free(p->lanes);
	free(p->table);
	free(p->run);
	free(p->damage);
	free(p->active);
	free(p);
}

void tracker_free(struct tracker *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_parts; i++)
		part_free(t->parts[i]);
	free(t->parts);
	free(t);
}

void tracker_drop(struct tracker *t, int32_t partition)
{
	if (partition < 0 || (size_t)partition >= t->n_parts)
		return;
	part_free(t->parts[partition]);
	t->parts[partition] = NULL;
}

static struct part *part_of(struct tracker *t, int32_t partition)
{
	size_t need = (size_t)partition + 1;

	if (need > t->n_parts) {
		struct part **more = realloc(t->parts, need * sizeof(*more));

		if (!more)
			return NULL;
		memset(more + t->n_parts, 0, (need - t->n_parts) * sizeof(*more));
		t->parts = more;
		t->n_parts = need;
	}
	if (!t->parts[partition]) {
		t->parts[partition] = calloc(1, sizeof(struct part));
		if (t->parts[partition])
			t->parts[partition]->first_offset = -1;
	}
	return t->parts[partition];
}

/* Room for one more element in a growing array. */
static int reserve(void *array, size_t n, size_t *cap, size_t size)
{
	void **place = array;
	size_t want = *cap ? *cap * 2 : 16;
	void *more;

	if (n < *cap)
		return 0;
	more = realloc(*place, want * size);
	if (!more)
		return ERR_NOMEM;
	*place = more;
	*cap = want;
	return 0;
}

static bool same_ident(const struct tracker_ident *a, const struct tracker_ident *b)
{
	return a->producer_id == b->producer_id && a->epoch == b->epoch && a->nonce == b->nonce &&
	       a->lane == b->lane;
}

static size_t hash_ident(const struct tracker_ident *i)
{
	uint64_t h = ((uint64_t)i->producer_id << 32 | i->epoch) * 0x9e3779b97f4a7c15u;

	h ^= ((uint64_t)i->nonce << 32 | i->lane) * 0xc2b2ae3d27d4eb4fu;
	return (size_t)(h ^ h >> 29);
}

static int grow_table(struct part *p)
{
	size_t size = p->table ? (p->table_mask + 1) * 2 : 16;
	uint32_t *table = calloc(size, sizeof(*table));

	if (!table)
		return ERR_NOMEM;
	for (size_t i = 0; i < p->n_lanes; i++) {
		size_t at = hash_ident(&p->lanes[i]->ident) & (size - 1);

		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = (uint32_t)i + 1;
	}
	free(p->table);
	p->table = table;
	p->table_mask = size - 1;
	return 0;
}

static struct lane *add_lane(struct part *p, const struct tracker_ident *ident, size_t at)
{
	struct lane *l;

	if (reserve(&p->lanes, p->n_lanes, &p->cap_lanes, sizeof(*p->lanes)))
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->ident = *ident;
	l->seen = seqset_new();
	l->repeated = seqset_new();
	l->reordered = seqset_new();
	l->redelivered = seqset_new();
	if (!l->seen || !l->repeated || !l->reordered || !l->redelivered) {
		lane_free(l);
		return NULL;
	}
	p->lanes[p->n_lanes++] = l;
	p->table[at] = (uint32_t)p->n_lanes;
	return l;
}

static struct lane *lane_of(struct part *p, const struct tracker_ident *ident)
{
	size_t at;

	if (p->last && same_ident(&p->last->ident, ident))
		return p->last;
	if ((!p->table || p->n_lanes * 2 > p->table_mask) && grow_table(p))
		return NULL;
	at = hash_ident(ident) & p->table_mask;
	while (p->table[at] && !same_ident(&p->lanes[p->table[at] - 1]->ident, ident))
		at = (at + 1) & p->table_mask;
	p->last = p->table[at] ? p->lanes[p->table[at] - 1] : add_lane(p, ident, at);
	return p->last;
}

/* Bring `seen` up to date with the run that grows in front of everything. */
static int note_front(struct lane *l)
{
	uint64_t from = l->run.lo;

	if (!l->run.lo || !l->in_front)
		return 0;
	if (seqset_count(l->seen) && seqset_max(l->seen) >= from)
		from = seqset_max(l->seen) + 1;
	return from <= l->run.hi ? seqset_add(l->seen, from, l->run.hi, NULL) : 0;
}

/* What was given of an attempt; NULL: nothing yet. */
static struct attempt *find_attempt(struct lane *l, uint16_t number)
{
	for (size_t i = 0; i < l->n_attempts; i++)
		if (l->attempt[i].number == number)
			return &l->attempt[i];
	return NULL;
}

static int note_given(struct lane *l, uint16_t number, uint64_t lo, uint64_t hi)
{
	struct attempt *a = find_attempt(l, number);

	if (!a) {
		if (reserve(&l->attempt, l->n_attempts, &l->cap_attempts, sizeof(*l->attempt)))
			return ERR_NOMEM;
		a = &l->attempt[l->n_attempts];
		a->number = number;
		a->given = seqset_new();
		if (!a->given)
			return ERR_NOMEM;
		l->n_attempts++;
	}
	return seqset_add(a->given, lo, hi, NULL);
}

/* Put the growing run, as far as it is, among the rows to be taken. */
static int emit_run(struct tracker *t, struct part *p, struct lane *l)
{
	int r;

	if (!l->run.lo)
		return 0;
	r = note_front(l);
	if (r == 0 && t->of_queue)
		r = note_given(l, l->run.attempt, l->run.lo, l->run.hi);
	if (r == 0)
		r = reserve(&p->run, p->n_runs, &p->cap_runs, sizeof(*p->run));
	if (r)
		return r;
	p->run[p->n_runs++] = l->run;
	l->run.lo = 0;
	return 0;
}

static int make_active(struct part *p, struct lane *l)
{
	int r;

	if (l->active)
		return 0;
	r = reserve(&p->active, p->n_active, &p->cap_active, sizeof(*p->active));
	if (r)
		return r;
	p->active[p->n_active++] = l;
	l->active = true;
	return 0;
}

/* One seq that is not simply the next in front: is it a repeat, late, or a jump ahead? */
static int judge_seq(struct lane *l, uint64_t seq, uint16_t attempt, enum tracker_kind *ret_kind)
{
	const struct attempt *a;
	uint64_t added;
	int r;

	if (seq > l->top) {
		*ret_kind = seq == l->top + 1 ? TRACKED_FIRST : TRACKED_GAP;
		l->top = seq;
		return 0;
	}
	r = seqset_add(l->seen, seq, seq, &added);
	if (r)
		return r;
	if (added) {
		*ret_kind = TRACKED_LATE;
		return seqset_add(l->reordered, seq, seq, NULL);
	}
	a = find_attempt(l, attempt); /* there are some of queues alone */
	if (a && seqset_has(a->given, seq)) {
		*ret_kind = TRACKED_REDELIVERY;
		l->redeliveries++;
		return seqset_add(l->redelivered, seq, seq, NULL);
	}
	*ret_kind = TRACKED_REPEAT;
	l->extra++;
	return seqset_add(l->repeated, seq, seq, NULL);
}

static int begin_run(struct tracker *t, struct part *p, struct lane *l, int64_t offset,
	uint64_t seq, uint16_t attempt, enum tracker_kind *ret_kind)
{
	bool front = seq > l->top;
	int r = emit_run(t, p, l);

	if (r == 0)
		r = judge_seq(l, seq, attempt, ret_kind);
	if (r == 0)
		r = make_active(p, l);
	if (r)
		return r;
	l->in_front = front;
	l->run = (struct tracker_run){l->ident, attempt, seq, seq, offset, offset};
	return 0;
}

static int take_seq(struct tracker *t, struct part *p, struct lane *l, int64_t offset, uint64_t seq,
	uint16_t attempt, enum tracker_kind *ret_kind)
{
	struct tracker_run *run = &l->run;
	int r;

	if (!run->lo || seq != run->hi + 1 || attempt != run->attempt)
		return begin_run(t, p, l, offset, seq, attempt, ret_kind);
	if (l->in_front) {
		/* the way of nearly every message */
		run->hi = seq;
		run->last_offset = offset;
		l->top = seq;
		*ret_kind = TRACKED_FIRST;
		return 0;
	}
	/* a run of old seqs that reaches the front becomes a new one there */
	if (seq > l->top)
		return begin_run(t, p, l, offset, seq, attempt, ret_kind);
	r = judge_seq(l, seq, attempt, ret_kind);
	if (r == 0) {
		run->hi = seq;
		run->last_offset = offset;
	}
	return r;
}

int tracker_message(struct tracker *t, int32_t partition, int64_t offset,
	const struct tracker_ident *ident, uint64_t seq, uint16_t attempt,
	enum tracker_kind *ret_kind)
{
	struct part *p = part_of(t, partition);
	struct lane *l = p ? lane_of(p, ident) : NULL;

	if (!l)
		return ERR_NOMEM;
	if (p->first_offset < 0)
		p->first_offset = offset;
	p->records++;
	p->ours++;
	return take_seq(t, p, l, offset, seq, attempt, ret_kind);
}

static int note_damage(struct part *p, const struct tracker_damage *d)
{
	int r = reserve(&p->damage, p->n_damages, &p->cap_damages, sizeof(*p->damage));

	if (r == 0)
		p->damage[p->n_damages++] = *d;
	return r;
}

static int take_foreign(struct part *p, int64_t offset)
{
	struct tracker_damage d = {.offset = offset, .what = "foreign"};

	p->foreigners++;
	if (p->foreign_noted >= MAX_FOREIGN_NOTED)
		return 0;
	p->foreign_noted++;
	return note_damage(p, &d);
}

static int take_damaged(struct part *p, int64_t offset, const struct envelope *env, size_t len)
{
	struct tracker_damage d = {.offset = offset, .what = "header"};

	p->corrupted++;
	if (env) {
		d.named = true;
		d.ident = (struct tracker_ident){
			env->producer_id, env->epoch, env->nonce, env->partition};
		d.seq = env->seq;
		d.what = env->length == len ? "payload" : "length";
	}
	return note_damage(p, &d);
}

/* A record that was decoded to v and env; len: of its payload. */
static inline int take_record(struct tracker *t, int32_t partition, int64_t offset,
	enum envelope_verdict v, const struct envelope *env, size_t len,
	enum tracker_kind *ret_kind, struct envelope *ret_env)
{
	struct tracker_ident ident;
	struct part *p;

	if (__builtin_expect(v == ENVELOPE_OK && env->run_id == t->run_id && env->flags == 0, 1)) {
		ident = (struct tracker_ident){
			env->producer_id, env->epoch, env->nonce, env->partition};
		if (ret_env)
			*ret_env = *env;
		return tracker_message(
			t, partition, offset, &ident, env->seq, env->attempt, ret_kind);
	}
	p = part_of(t, partition);
	if (!p)
		return ERR_NOMEM;
	if (p->first_offset < 0)
		p->first_offset = offset;
	p->records++;
	if (v == ENVELOPE_BAD_HEADER) {
		*ret_kind = TRACKED_CORRUPTED_UNNAMED;
		return take_damaged(p, offset, NULL, len);
	}
	if (v == ENVELOPE_FOREIGN || env->run_id != t->run_id) {
		*ret_kind = TRACKED_FOREIGN;
		return take_foreign(p, offset);
	}
	if (ret_env)
		*ret_env = *env;
	if (v == ENVELOPE_BAD_PAYLOAD) {
		*ret_kind = TRACKED_CORRUPTED;
		return take_damaged(p, offset, env, len);
	}
	*ret_kind = TRACKED_FENCE;
	p->fences++;
	return 0;
}

int tracker_record(struct tracker *t, int32_t partition, int64_t offset, const void *payload,
	size_t len, enum tracker_kind *ret_kind, struct envelope *ret_env)
{
	struct envelope env;
	enum envelope_verdict v = envelope_decode(payload, len, &env);

	return take_record(t, partition, offset, v, &env, len, ret_kind, ret_env);
}

int tracker_record_beside(struct tracker *t, int32_t partition, int64_t offset, const void *beside,
	size_t beside_len, const void *payload, size_t len, enum tracker_kind *ret_kind,
	struct envelope *ret_env)
{
	struct envelope env;
	enum envelope_verdict v = envelope_decode_beside(beside, beside_len, payload, len, &env);

	return take_record(t, partition, offset, v, &env, len, ret_kind, ret_env);
}

int tracker_load(struct tracker *t, int32_t partition, const struct tracker_run *run)
{
	struct part *p = part_of(t, partition);
	struct lane *l = p ? lane_of(p, &run->ident) : NULL;
	enum tracker_kind kind;
	int r = 0;

	if (!l)
		return ERR_NOMEM;
	p->sum_records += run->hi - run->lo + 1;
	p->sum_ours += run->hi - run->lo + 1;
	for (uint64_t seq = run->lo; r == 0 && seq <= run->hi; seq++) {
		if (seq > l->top) {
			/* it and the rest lie in front of everything */
			l->top = run->hi;
			r = seqset_add(l->seen, seq, run->hi, NULL);
			break;
		}
		r = judge_seq(l, seq, run->attempt, &kind);
	}
	if (r == 0 && t->of_queue)
		r = note_given(l, run->attempt, run->lo, run->hi);
	return r;
}

int tracker_load_others(struct tracker *t, int32_t partition, const struct tracker_totals *sums)
{
	struct part *p = part_of(t, partition);

	if (!p)
		return ERR_NOMEM;
	p->sum_foreigners += sums->foreigners;
	p->sum_fences += sums->fences;
	p->sum_corrupted += sums->corrupted;
	p->sum_records += sums->foreigners + sums->fences + sums->corrupted;
	return 0;
}

size_t tracker_pending(const struct tracker *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_parts; i++)
		if (t->parts[i])
			n += t->parts[i]->n_runs + t->parts[i]->n_damages;
	return n;
}

int tracker_take(
	struct tracker *t, int32_t partition, int64_t end_offset, struct tracker_segment *ret)
{
	struct part *p = part_of(t, partition);
	int r = 0;

	if (!p)
		return ERR_NOMEM;
	for (size_t i = 0; r == 0 && i < p->n_active; i++)
		r = emit_run(t, p, p->active[i]);
	if (r)
		return r;
	for (size_t i = 0; i < p->n_active; i++)
		p->active[i]->active = false;
	p->n_active = 0;
	*ret = (struct tracker_segment){
		.partition = partition,
		.first_offset = p->first_offset < 0 ? end_offset : p->first_offset,
		.end_offset = end_offset,
		.records = p->records,
		.ours = p->ours,
		.foreigners = p->foreigners,
		.fences = p->fences,
		.corrupted = p->corrupted,
		.run = p->run,
		.n_runs = p->n_runs,
		.damage = p->damage,
		.n_damages = p->n_damages,
	};
	p->sum_records += p->records;
	p->sum_ours += p->ours;
	p->sum_foreigners += p->foreigners;
	p->sum_fences += p->fences;
	p->sum_corrupted += p->corrupted;
	p->records = p->ours = p->foreigners = p->fences = p->corrupted = 0;
	p->run = NULL;
	p->damage = NULL;
	p->n_runs = p->cap_runs = p->n_damages = p->cap_damages = 0;
	p->first_offset = -1;
	return 0;
}

void tracker_segment_release(struct tracker_segment *s)
{
	free(s->run);
	free(s->damage);
	s->run = NULL;
	s->damage = NULL;
}

bool tracker_next_lane(struct tracker *t, size_t *at, struct tracker_lane *ret)
{
	size_t part = *at >> 32, lane = *at & UINT32_MAX;

	for (; part < t->n_parts; part++, lane = 0) {
		struct part *p = t->parts[part];
		struct lane *l;

		if (!p || lane >= p->n_lanes)
			continue;
		l = p->lanes[lane];
		if (note_front(l))
			BUG("out of memory in a lane's set");
		*ret = (struct tracker_lane){(int32_t)part, l->ident, l->seen, l->repeated,
			l->extra, l->reordered, l->redelivered, l->top};
		*at = part << 32 | (lane + 1);
		return true;
	}
	return false;
}

void tracker_totals(struct tracker *t, struct tracker_totals *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < t->n_parts; i++) {
		struct part *p = t->parts[i];

		if (!p)
			continue;
		ret->records += p->records + p->sum_records;
		ret->ours += p->ours + p->sum_ours;
		ret->foreigners += p->foreigners + p->sum_foreigners;
		ret->fences += p->fences + p->sum_fences;
		ret->corrupted += p->corrupted + p->sum_corrupted;
		for (size_t k = 0; k < p->n_lanes; k++) {
			struct lane *l = p->lanes[k];
			uint64_t seen;

			if (note_front(l))
				BUG("out of memory in a lane's set");
			seen = seqset_count(l->seen);
			ret->distinct += seen;
			ret->extra += l->extra;
			ret->redelivered += l->redeliveries;
			ret->reordered += seqset_count(l->reordered);
			ret->missing += l->top - seen;
		}
	}
}
