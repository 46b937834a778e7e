/* Findings as sets, so that two judges can be compared however they cut their ranges. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker/judge.h"
#include "core/seqset.h"

struct entry {
	enum finding_kind kind;
	enum stage stage;
	int64_t producer_id, epoch, partition;
	struct seqset *seqs;
	uint64_t count;
};

struct findings {
	struct entry *entry;
	size_t n, cap;
	uint32_t *table; /* open addressing: index + 1 */
	size_t mask;
};

struct findings *findings_new(void)
{
	return calloc(1, sizeof(struct findings));
}

void findings_free(struct findings *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++)
		seqset_free(f->entry[i].seqs);
	free(f->entry);
	free(f->table);
	free(f);
}

static size_t hash_of(const struct entry *k)
{
	uint64_t h = (uint64_t)k->producer_id * 0x9e3779b97f4a7c15u;

	h ^= (uint64_t)k->epoch * 0xc2b2ae3d27d4eb4fu;
	h ^= (uint64_t)k->partition * 0x165667b19e3779f9u;
	h ^= ((uint64_t)k->kind * STAGE_N + k->stage) * 0xff51afd7ed558ccdu;
	return (size_t)(h ^ h >> 31);
}

static bool same_key(const struct entry *a, const struct entry *b)
{
	return a->kind == b->kind && a->stage == b->stage && a->producer_id == b->producer_id &&
	       a->epoch == b->epoch && a->partition == b->partition;
}

static const struct entry *find(const struct findings *f, const struct entry *key)
{
	size_t at;

	if (!f->table)
		return NULL;
	at = hash_of(key) & f->mask;
	while (f->table[at]) {
		if (same_key(&f->entry[f->table[at] - 1], key))
			return &f->entry[f->table[at] - 1];
		at = (at + 1) & f->mask;
	}
	return NULL;
}

static int rehash(struct findings *f)
{
	size_t size = f->table ? (f->mask + 1) * 2 : 64;
	uint32_t *table = calloc(size, sizeof(*table));

	if (!table)
		return ERR_NOMEM;
	free(f->table);
	f->table = table;
	f->mask = size - 1;
	for (size_t i = 0; i < f->n; i++) {
		size_t at = hash_of(&f->entry[i]) & f->mask;

		while (table[at])
			at = (at + 1) & f->mask;
		table[at] = (uint32_t)i + 1;
	}
	return 0;
}

static int insert(struct findings *f, const struct entry *key, struct entry **ret)
{
	size_t at;

	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 32;
		struct entry *more = realloc(f->entry, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		f->entry = more;
		f->cap = cap;
	}
	if ((!f->table || f->n * 2 >= f->mask) && rehash(f))
		return ERR_NOMEM;
	f->entry[f->n] = *key;
	f->entry[f->n].seqs = seqset_new();
	f->entry[f->n].count = 0;
	if (!f->entry[f->n].seqs)
		return ERR_NOMEM;
	at = hash_of(key) & f->mask;
	while (f->table[at])
		at = (at + 1) & f->mask;
	f->table[at] = (uint32_t)++f->n;
	*ret = &f->entry[f->n - 1];
	return 0;
}

int findings_add(struct findings *f, enum finding_kind kind, enum stage stage, int64_t producer_id,
	int64_t epoch, int64_t partition, uint64_t lo, uint64_t hi, uint64_t count)
{
	struct entry key = {kind, stage, producer_id, epoch, partition, NULL, 0};
	struct entry *e = (struct entry *)(uintptr_t)find(f, &key);
	int r = 0;

	if (!e)
		r = insert(f, &key, &e);
	if (r == 0)
		r = seqset_add(e->seqs, lo, hi, NULL);
	if (r == 0)
		e->count += count;
	return r;
}

const struct seqset *findings_seqs(const struct findings *f, enum finding_kind kind,
	enum stage stage, int64_t producer_id, int64_t epoch, int64_t partition)
{
	struct entry key = {kind, stage, producer_id, epoch, partition, NULL, 0};
	const struct entry *e = find(f, &key);

	return e ? e->seqs : NULL;
}

uint64_t findings_count(const struct findings *f, enum finding_kind kind, enum stage stage)
{
	uint64_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->entry[i].kind == kind && f->entry[i].stage == stage)
			n += f->entry[i].count;
	return n;
}

int findings_turn(struct findings *f, enum finding_kind from, enum stage from_stage,
	enum finding_kind to, enum stage to_stage)
{
	size_t n = f->n; /* what is added meanwhile is none of it */
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct entry was = f->entry[i];
		struct seqset_iter it = {0};
		struct seqrange x;

		if (was.kind != from || was.stage != from_stage)
			continue;
		while (r == 0 && seqset_next(was.seqs, &it, &x)) {
			r = findings_add(f, to, to_stage, was.producer_id, was.epoch, was.partition,
				x.lo, x.hi, was.count);
			was.count = 0;
		}
		seqset_clear(was.seqs);
		f->entry[i].count = 0;
	}
	return r;
}

/* Nothing is left of it. */
static bool is_void(const struct entry *e)
{
	return e->count == 0 && seqset_count(e->seqs) == 0;
}

/* The first seq that is in one of the two only. */
static uint64_t first_difference(const struct seqset *a, const struct seqset *b)
{
	struct seqset_iter ia = {0}, ib = {0};
	struct seqrange ra = {0}, rb = {0};

	for (;;) {
		bool has_a = seqset_next(a, &ia, &ra), has_b = seqset_next(b, &ib, &rb);

		if (!has_a || !has_b)
			return has_a ? ra.lo : rb.lo;
		if (ra.lo != rb.lo)
			return ra.lo < rb.lo ? ra.lo : rb.lo;
		if (ra.hi != rb.hi)
			return (ra.hi < rb.hi ? ra.hi : rb.hi) + 1;
	}
}

static void tell(const struct entry *e, const struct entry *other, const char *name,
	const char *other_name, char *text, size_t len)
{
	unsigned long long n = other ? other->count : 0;

	snprintf(text, len,
		"%s says %s at %s %llu times in lane %lld.%lld.%lld, %s %llu times%s%llu", name,
		finding_text(e->kind), stage_text(e->stage), (unsigned long long)e->count,
		(long long)e->producer_id, (long long)e->epoch, (long long)e->partition, other_name,
		n, "; first at seq ",
		(unsigned long long)(other && !seqset_equal(e->seqs, other->seqs)
					     ? first_difference(e->seqs, other->seqs)
					     : seqset_min(e->seqs)));
}

bool findings_equal(const struct findings *a, const char *a_name, const struct findings *b,
	const char *b_name, char *text, size_t len)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct entry *e = &a->entry[i], *other = find(b, e);

		if (is_void(e) ||
			(other && other->count == e->count && seqset_equal(e->seqs, other->seqs)))
			continue;
		tell(e, other, a_name, b_name, text, len);
		return false;
	}
	for (size_t i = 0; i < b->n; i++) {
		const struct entry *other = find(a, &b->entry[i]);

		if (is_void(&b->entry[i]) || (other && !is_void(other)))
			continue;
		tell(&b->entry[i], NULL, b_name, a_name, text, len);
		return false;
	}
	return true;
}
