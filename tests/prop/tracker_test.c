/*
 * The tracker against a model that keeps every record: random logs with repeats, swaps, gaps,
 * damage and strangers, segments taken at random, reloads from the rows in the middle. SEED=n
 * repeats a run.
 */
#include "checker/tracker.h"

#include "core/rng.h"
#include "tests/unit.h"

#define ROUNDS 400
#define PARTITIONS 3
#define IDENTS 5
#define MAX_SEQ 400u
#define MAX_RECORDS 4000u
#define RUN_ID UINT64_C(0x5eed)

/* One record of the model's log. */
struct entry {
	int32_t partition;
	int64_t offset;
	size_t ident;
	uint64_t seq;
	uint16_t attempt;
	enum tracker_kind kind; /* what it was made as: TRACKED_FIRST for every sound one */
};

struct model {
	struct entry log[MAX_RECORDS];
	size_t n;
	int64_t next[PARTITIONS];
	uint64_t seq[IDENTS];
	struct tracker_run row[PARTITIONS][MAX_RECORDS];
	size_t n_rows[PARTITIONS];
	struct tracker_totals
		taken[PARTITIONS]; /* foreigners, fences, corrupted of taken segments */
};

static const struct tracker_ident ident[IDENTS] = {
	{1, 1, 77, 0}, {1, 1, 77, 1}, {1, 2, 78, 0}, {2, 1, 79, 2}, {1, 1, 80, 0}};
static uint64_t seed;
static struct rng rng;
static struct model m;

static bool chance(uint64_t one_in)
{
	return rng_below(&rng, one_in) == 0;
}

/* ---- making logs -------------------------------------------------------------------------------
 */

static void feed(struct tracker *t, struct entry *en)
{
	struct envelope env = {.run_id = RUN_ID,
		.producer_id = ident[en->ident].producer_id,
		.epoch = ident[en->ident].epoch,
		.nonce = ident[en->ident].nonce,
		.partition = ident[en->ident].lane,
		.attempt = en->attempt,
		.seq = en->seq,
		.length = ENVELOPE_LEN + 8};
	uint8_t payload[ENVELOPE_LEN + 8] = {0};
	enum tracker_kind kind;
	bool beside = chance(4); /* an application's own: its envelope beside the payload */
	int r;

	env.flags = en->kind == TRACKED_FENCE ? ENVELOPE_FLAG_FENCE : 0;
	env.run_id += en->kind == TRACKED_FOREIGN;
	if (beside)
		env.length = 8;
	envelope_encode(&env, envelope_payload_hash(payload + ENVELOPE_LEN, 8), payload);
	if (en->kind == TRACKED_CORRUPTED)
		payload[ENVELOPE_LEN + en->seq % 8] ^= 1;
	if (en->kind == TRACKED_CORRUPTED_UNNAMED)
		payload[8 + en->seq % 44] ^= 1;
	if (beside)
		r = tracker_record_beside(t, en->partition, en->offset, payload, ENVELOPE_LEN,
			payload + ENVELOPE_LEN, 8, &kind, NULL);
	else
		r = tracker_record(
			t, en->partition, en->offset, payload, sizeof(payload), &kind, NULL);
	assert_int_equal(r, 0);
	if (en->kind == TRACKED_FIRST)
		assert_true(kind == TRACKED_FIRST || kind == TRACKED_GAP || kind == TRACKED_LATE ||
			    kind == TRACKED_REPEAT);
	else
		assert_int_equal(kind, en->kind);
	en->kind = kind;
}

static struct entry *append(int32_t partition, size_t who, uint64_t seq)
{
	struct entry *en = &m.log[m.n++];

	*en = (struct entry){partition, m.next[partition], who, seq, 0, TRACKED_FIRST};
	m.next[partition] +=
		1 + (chance(10) ? (int64_t)rng_below(&rng, 5) : 0); /* holes are normal */
	return en;
}

/* The next few records of some lane: mostly in order, and each kind of disorder now and then. */
static size_t append_some(void)
{
	size_t who = rng_below(&rng, IDENTS), from = m.n;
	/* a lane lies in one partition; one in twenty times a relay put it elsewhere */
	int32_t partition = chance(20) ? (int32_t)rng_below(&rng, PARTITIONS)
				       : (int32_t)(ident[who].lane % PARTITIONS);
	uint64_t n = 1 + rng_below(&rng, 12), *seq = &m.seq[who];

	if (m.n + 40 > MAX_RECORDS || *seq + 40 > MAX_SEQ)
		return 0;
	if (chance(6))
		*seq += rng_below(&rng, 6);
	for (uint64_t i = 0; i < n; i++)
		append(partition, who, ++*seq);
	if (chance(5)) { /* a batch sent twice */
		for (uint64_t i = 0; i < n; i++)
			append(partition, who, *seq - n + 1 + i);
	}
	if (chance(5)) { /* something old */
		uint64_t lo = 1 + rng_below(&rng, *seq);

		for (uint64_t i = 0; i < 4 && lo + i <= *seq; i++)
			append(partition, who, lo + i)->attempt = chance(3);
	}
	if (chance(4) && m.n - from >= 2) { /* two neighbours change places */
		size_t i = from + rng_below(&rng, m.n - from - 1);
		uint64_t swap = m.log[i].seq;

		m.log[i].seq = m.log[i + 1].seq;
		m.log[i + 1].seq = swap;
	}
	if (chance(8))
		append(partition, who, 1 + rng_below(&rng, MAX_SEQ))->kind =
			(enum tracker_kind)(TRACKED_FENCE + rng_below(&rng, 4));
	return m.n - from;
}

/* ---- what must come out
 * -------------------------------------------------------------------------- */

struct expected {
	uint32_t copies[MAX_SEQ + 1];
	bool late[MAX_SEQ + 1];
	uint64_t top, extra;
	size_t n;
};

static bool sound(const struct entry *en)
{
	return en->kind <= TRACKED_REPEAT;
}

/* By the definitions, one record at a time; also checks the kind that the tracker had said. */
static void expect(int32_t partition, size_t who, bool check_kinds, struct expected *x)
{
	memset(x, 0, sizeof(*x));
	for (size_t i = 0; i < m.n; i++) {
		const struct entry *en = &m.log[i];
		enum tracker_kind kind = TRACKED_FIRST;

		if (!sound(en) || en->partition != partition || en->ident != who)
			continue;
		x->n++;
		if (x->copies[en->seq]++) {
			kind = TRACKED_REPEAT;
			x->extra++;
		} else if (en->seq < x->top) {
			kind = TRACKED_LATE;
			x->late[en->seq] = true;
		} else if (en->seq > x->top + 1) {
			kind = TRACKED_GAP;
		}
		if (en->seq > x->top)
			x->top = en->seq;
		if (check_kinds)
			assert_int_equal(en->kind, kind);
	}
}

static void compare_lane(const struct tracker_lane *lane, const struct expected *x)
{
	assert_int_equal(lane->top, x->top);
	assert_int_equal(lane->extra, x->extra);
	for (uint64_t s = 1; s <= MAX_SEQ; s++) {
		if (seqset_has(lane->seen, s) != (x->copies[s] > 0))
			fail_msg("seq %llu: seen %d, in the log %u times", (unsigned long long)s,
				seqset_has(lane->seen, s), x->copies[s]);
		if (seqset_has(lane->repeated, s) != (x->copies[s] > 1))
			fail_msg("seq %llu: repeated %d, in the log %u times",
				(unsigned long long)s, seqset_has(lane->repeated, s), x->copies[s]);
		if (seqset_has(lane->reordered, s) != x->late[s])
			fail_msg("seq %llu: reordered %d, really %d", (unsigned long long)s,
				seqset_has(lane->reordered, s), x->late[s]);
	}
}

static size_t which(const struct tracker_ident *i)
{
	for (size_t k = 0; k < IDENTS; k++)
		if (memcmp(i, &ident[k], sizeof(*i)) == 0)
			return k;
	fail_msg("a lane that nobody made");
	return 0;
}

static void compare(struct tracker *t, bool check_kinds)
{
	static struct expected x;
	struct tracker_totals sum = {0}, got;
	struct tracker_lane lane;
	size_t at = 0, n_lanes = 0, n_expected = 0;

	while (tracker_next_lane(t, &at, &lane)) {
		expect(lane.partition, which(&lane.ident), check_kinds, &x);
		compare_lane(&lane, &x);
		n_lanes++;
	}
	for (int32_t p = 0; p < PARTITIONS; p++) {
		for (size_t who = 0; who < IDENTS; who++) {
			expect(p, who, false, &x);
			n_expected += x.n > 0;
			for (uint64_t s = 1; s <= MAX_SEQ; s++) {
				sum.distinct += x.copies[s] > 0;
				sum.reordered += x.late[s];
				sum.missing += s <= x.top && !x.copies[s];
			}
			sum.extra += x.extra;
		}
	}
	for (size_t i = 0; i < m.n; i++) {
		sum.records++;
		sum.ours += sound(&m.log[i]);
		sum.fences += m.log[i].kind == TRACKED_FENCE;
		sum.foreigners += m.log[i].kind == TRACKED_FOREIGN;
		sum.corrupted += m.log[i].kind >= TRACKED_CORRUPTED;
	}
	assert_int_equal(n_lanes, n_expected);
	tracker_totals(t, &got);
	assert_memory_equal(&got, &sum, sizeof(got));
}

/* ---- evidence
 * -------------------------------------------------------------------------------------- */

static void take(struct tracker *t, int32_t partition)
{
	struct tracker_segment s;

	assert_int_equal(tracker_take(t, partition, m.next[partition], &s), 0);
	assert_int_equal(s.records, s.ours + s.foreigners + s.fences + s.corrupted);
	for (size_t i = 0; i < s.n_runs; i++)
		m.row[partition][m.n_rows[partition]++] = s.run[i];
	assert_int_equal(s.n_damages, s.corrupted + s.foreigners);
	m.taken[partition].foreigners += s.foreigners;
	m.taken[partition].fences += s.fences;
	m.taken[partition].corrupted += s.corrupted;
	tracker_segment_release(&s);
}

/* A new checker takes over: it knows only what was written. */
static struct tracker *reload(struct tracker *old)
{
	struct tracker *t;

	for (int32_t p = 0; p < PARTITIONS; p++)
		take(old, p);
	tracker_free(old);
	t = tracker_new(RUN_ID);
	assert_non_null(t);
	for (int32_t p = 0; p < PARTITIONS; p++) {
		if (m.next[p] == 0)
			continue;
		for (size_t i = 0; i < m.n_rows[p]; i++)
			assert_int_equal(tracker_load(t, p, &m.row[p][i]), 0);
		assert_int_equal(tracker_load_others(t, p, &m.taken[p]), 0);
	}
	return t;
}

/* The rows are the log: each lane's records of a partition one after the other, nothing more or
 * less. */
static void rows_are_the_log(void)
{
	for (int32_t p = 0; p < PARTITIONS; p++) {
		for (size_t who = 0; who < IDENTS; who++) {
			size_t at = 0;

			for (size_t i = 0; i < m.n_rows[p]; i++) {
				const struct tracker_run *row = &m.row[p][i];
				int64_t first = -1, last = -1;

				if (which(&row->ident) != who)
					continue;
				for (uint64_t seq = row->lo; seq <= row->hi; seq++, at++) {
					while (at < m.n && (m.log[at].partition != p ||
								   m.log[at].ident != who ||
								   !sound(&m.log[at])))
						at++;
					assert_true(at < m.n);
					assert_int_equal(m.log[at].seq, seq);
					assert_int_equal(m.log[at].attempt, row->attempt);
					first = first < 0 ? m.log[at].offset : first;
					last = m.log[at].offset;
				}
				assert_int_equal(first, row->first_offset);
				assert_int_equal(last, row->last_offset);
			}
			for (; at < m.n; at++)
				assert_false(m.log[at].partition == p && m.log[at].ident == who &&
					     sound(&m.log[at]));
		}
	}
}

/* ---- tests
 * ------------------------------------------------------------------------------------------ */

static void round_of(bool reloads)
{
	struct tracker *t = tracker_new(RUN_ID);
	uint64_t pieces = 1 + rng_below(&rng, 200), take_one_in = 1 + rng_below(&rng, 40);
	size_t n;

	memset(&m, 0, sizeof(m));
	for (uint64_t i = 0; i < pieces && (n = append_some()) > 0; i++) {
		for (size_t k = m.n - n; k < m.n; k++)
			feed(t, &m.log[k]);
		if (chance(take_one_in))
			take(t, (int32_t)rng_below(&rng, PARTITIONS));
		if (reloads && chance(30)) {
			t = reload(t);
		}
	}
	compare(t, true);
	t = reload(t);
	compare(t, true);
	rows_are_the_log();
	tracker_free(t);
}

static void random_logs_agree_with_the_model(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		round_of(false);
}

static void reloads_in_the_middle_change_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		round_of(true);
}

/* Reading on after a partition was dropped and loaded again: as if nothing had happened. */
static void a_dropped_partition_starts_anew(void **state)
{
	struct tracker *t = tracker_new(RUN_ID);
	struct tracker_totals sum;
	enum tracker_kind kind;

	(void)state;
	for (uint64_t s = 1; s <= 10; s++)
		assert_int_equal(tracker_message(t, 1, (int64_t)s, &ident[0], s, 0, &kind), 0);
	assert_int_equal(tracker_message(t, 0, 1, &ident[1], 1, 0, &kind), 0);
	tracker_drop(t, 1);
	tracker_totals(t, &sum);
	assert_int_equal(sum.distinct, 1);
	for (uint64_t s = 1; s <= 10; s++) {
		assert_int_equal(tracker_message(t, 1, (int64_t)s, &ident[0], s, 0, &kind), 0);
		assert_int_equal(kind, TRACKED_FIRST);
	}
	tracker_totals(t, &sum);
	assert_int_equal(sum.distinct, 11);
	assert_int_equal(sum.extra, 0);
	tracker_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_logs_agree_with_the_model),
		cmocka_unit_test(reloads_in_the_middle_change_nothing),
		cmocka_unit_test(a_dropped_partition_starts_anew),
	};

	seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : rng_system() % 1000000;
	print_message("# seed %llu\n", (unsigned long long)seed);
	rng_init(&rng, seed);
	return cmocka_run_group_tests_name("tracker", tests, NULL, NULL);
}
