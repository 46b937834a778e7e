#include "checker/ladder.h"

#include <stdlib.h>
#include <string.h>

int ladder_push(struct ladder *l, const struct witness_segment *s, bool written)
{
	(void)written;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 32;
		struct witness_segment *more = realloc(l->segment, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		l->segment = more;
		l->cap = cap;
	}
	l->segment[l->n++] = *s;
	return 0;
}

static void fold_into(struct witness_segment *into, const struct witness_segment *from)
{
	into->end_offset = from->end_offset;
	if (from->anchor.offset >= 0)
		into->anchor = from->anchor;
	into->records += from->records;
	into->ours += from->ours;
	into->foreigners += from->foreigners;
	into->fences += from->fences;
	into->corrupted += from->corrupted;
}

size_t ladder_fold(struct ladder *l, int32_t partition, struct witness_fold *ret, size_t max)
{
	int64_t behind = 0; /* records in what is newer than the pair */
	size_t n = 0;

	for (size_t i = l->n; i > 1 && n < max; i--) {
		struct witness_segment *from = &l->segment[i - 1], *into = &l->segment[i - 2];

		/* a generation keeps its border: a cut must find it */
		if (i <= l->n - (l->n < LADDER_DENSE ? l->n : LADDER_DENSE) &&
			(from->records + into->records) * 4 <= behind &&
			from->generation == into->generation) {
			ret[n++] = (struct witness_fold){partition, into->segment, from->segment};
			fold_into(into, from);
			memmove(from, from + 1, (l->n - i) * sizeof(*from));
			l->n--;
		} else {
			behind += from->records;
		}
	}
	return n;
}

void ladder_clear(struct ladder *l)
{
	free(l->segment);
	memset(l, 0, sizeof(*l));
}
