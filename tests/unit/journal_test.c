/* The journal: nothing that arrived is lost or doubled, whatever kills its writer, and whoever
 * damages it. */
#include "probe/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/rng.h"
#include "tests/unit.h"

#define LANES 3
#define MAX_OUTCOMES 300000u /* of one killed child */
#define KILLS 150

static char folder[64];
static struct err e;
static const int32_t partitions[LANES] = {0, 4, 7};
static uint64_t seed;

static int fresh(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/mqaudit-journal-test.XXXXXX");
	assert_non_null(mkdtemp(folder));
	err_clear(&e);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	assert_int_equal(paths_remove_tree(folder, &e), 0);
	return 0;
}

static struct journal *create_in(const char *where, bool with_fsync)
{
	struct journal_id id = {
		.run_id = 0x1234, .producer_id = 5, .epoch = 6, .nonce = 7, .fsync = with_fsync};
	struct journal *j = NULL;

	if (journal_create(where, &id, partitions, LANES, &j, &e))
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < LANES; i++)
		assert_int_equal(journal_set_lease(j, i, UINT64_MAX >> 2, false, &e), 0);
	return j;
}

static struct journal *create(void)
{
	return create_in(folder, false);
}

static void intend(struct journal *j, size_t lane, uint64_t hi)
{
	assert_int_equal(journal_intend(j, lane, hi, 1, &e), 0);
}

static void ack(struct journal *j, size_t lane, uint64_t seq, int64_t offset)
{
	journal_record(j, lane, seq, OUTCOME_ACKED, 0, offset, 1, 0, (int64_t)seq);
}

/* Close as a killed process would: without any farewell. */
static struct journal *reopen(struct journal *j)
{
	char path[PATHS_MAX];

	snprintf(path, sizeof(path), "%s", journal_path(j));
	journal_close(j);
	if (journal_open(path, &j, &e))
		fail_msg("%s", e.msg);
	return j;
}

static int open_code(const char *path)
{
	struct journal *j = NULL;
	int r = journal_open(path, &j, &e);

	if (r == 0)
		journal_close(j);
	return r;
}

static void poke(const char *path, uint64_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), (ssize_t)len);
	close(fd);
}

/* ---- records -----------------------------------------------------------------------------------
 */

static void consecutive_acks_are_one_record(void **state)
{
	struct journal *j = create();
	const struct journal_record *r;

	(void)state;
	intend(j, 1, 100);
	for (uint64_t s = 1; s <= 100; s++)
		ack(j, 1, s, 500 + (int64_t)s);
	assert_int_equal(journal_count(j), 0);
	journal_close_open(j);
	assert_int_equal(journal_count(j), 1);
	r = journal_at(j, 0);
	assert_int_equal(r->lane, 1);
	assert_int_equal(r->lo, 1);
	assert_int_equal(r->hi, 100);
	assert_int_equal(r->first_offset, 501);
	assert_int_equal(r->first_wall_ns, 1);
	assert_int_equal(r->last_wall_ns, 100);
	journal_close(j);
}

/* Each kind of difference begins a new record: nothing of what is known is blurred. */
static void any_difference_begins_a_record(void **state)
{
	struct journal *j = create();

	(void)state;
	intend(j, 0, 100);
	ack(j, 0, 1, 10);
	ack(j, 0, 2, 12);                                          /* an offset left out */
	ack(j, 0, 4, 13);                                          /* a seq left out */
	journal_record(j, 0, 5, OUTCOME_UNKNOWN, 0, -1, -1, 0, 1); /* another outcome, no offset */
	journal_record(j, 0, 6, OUTCOME_UNKNOWN, 0, -1, -1, 9, 1); /* another error */
	journal_record(j, 0, 7, OUTCOME_UNKNOWN, 1, -1, -1, 9, 1); /* another attempt */
	journal_record(j, 0, 8, OUTCOME_UNKNOWN, 1, -1, 3, 9, 1);  /* another node */
	journal_record(j, 0, 9, OUTCOME_UNKNOWN, 1, 77, 3, 9, 1);  /* an offset after none */
	journal_record(j, 0, 10, OUTCOME_UNKNOWN, 1, 78, 3, 9, 1); /* goes on */
	journal_close_open(j);
	assert_int_equal(journal_count(j), 8);
	assert_int_equal(journal_at(j, 7)->lo, 9);
	assert_int_equal(journal_at(j, 7)->hi, 10);
	journal_close(j);
}

static void a_journal_in_use_is_not_opened_twice(void **state)
{
	struct journal *j = create(), *other = NULL;

	(void)state;
	assert_int_equal(journal_open(journal_path(j), &other, &e), ERR_STATE);
	assert_contains(e.msg, "in use");
	journal_close(j);
}

static void what_it_says_of_itself_survives(void **state)
{
	struct journal *j = create();
	struct journal_info info;

	(void)state;
	assert_int_equal(journal_set_ended(j, &e), 0);
	j = reopen(j);
	journal_info(j, &info);
	assert_int_equal(info.id.run_id, 0x1234);
	assert_int_equal(info.id.producer_id, 5);
	assert_int_equal(info.id.epoch, 6);
	assert_int_equal(info.id.nonce, 7);
	assert_int_equal(info.n_lanes, LANES);
	assert_int_equal(info.pid, getpid());
	assert_true(info.same_boot);
	assert_true(info.ended);
	assert_int_equal(journal_partition(j, 2), 7);
	journal_close(j);
}

static void a_durable_lease_survives(void **state)
{
	struct journal_id id = {.run_id = 1, .producer_id = 1, .epoch = 1};
	struct journal *j = NULL;
	bool complete;

	(void)state;
	assert_int_equal(journal_create(folder, &id, partitions, LANES, &j, &e), 0);
	assert_int_equal(journal_lease(j, 0), 0);
	assert_int_equal(journal_set_lease(j, 0, 1000, true, &e), 0);
	j = reopen(j);
	assert_int_equal(journal_recover(j, &complete, &e), 0);
	assert_int_equal(journal_lease(j, 0), 1000);
	journal_close(j);
}

/* ---- the ring
 * ------------------------------------------------------------------------------------ */

/* Twice round the ring, every outcome a record of its own, shipped as it goes. */
static void the_ring_wraps_around(void **state)
{
	struct journal *j = create();
	uint64_t n = JOURNAL_RING + 3 * JOURNAL_CHUNK + 17, shipped = 0;
	struct stat st;

	(void)state;
	intend(j, 0, 2 * n);
	for (uint64_t i = 0; i < n; i++) {
		ack(j, 0, 2 * i + 1, (int64_t)i); /* each second seq: nothing merges */
		if (i % 1000 != 999)
			continue;
		for (; shipped < journal_count(j); shipped++)
			if (journal_at(j, shipped)->lo != 2 * shipped + 1)
				fail_msg("record %llu is another", (unsigned long long)shipped);
		journal_set_shipped(j, shipped);
		assert_int_equal(journal_grow(j, 4000, &e), 0);
	}
	j = reopen(j);
	assert_int_equal(stat(journal_path(j), &st), 0);
	/* what was shipped was given back: a few chunks are left of a gigabyte */
	assert_true(
		(uint64_t)st.st_blocks * 512 < 8 * JOURNAL_CHUNK * sizeof(struct journal_record));
	journal_close(j);
}

static void a_full_ring_is_an_error_that_shipping_cures(void **state)
{
	struct journal *j;
	struct statvfs fs;

	(void)state;
	assert_int_equal(statvfs(folder, &fs), 0);
	if ((uint64_t)fs.f_bavail * fs.f_frsize < (uint64_t)2 << 30) {
		print_message("# skipped: less than 2 GiB free in /tmp\n");
		skip();
	}
	j = create();
	intend(j, 0, 4 * JOURNAL_CHUNK);
	for (uint64_t i = 0; i < JOURNAL_CHUNK - LANES - 1; i++)
		ack(j, 0, 2 * i + 1, (int64_t)i);
	assert_int_equal(journal_grow(j, JOURNAL_RING, &e), ERR_NOSPACE);
	assert_contains(e.msg, "wait for the ledger");
	assert_contains(e.hint, "ledger back");
	assert_int_equal(journal_grow(j, JOURNAL_RING - 2 * JOURNAL_CHUNK, &e), 0);
	/* room for so many outstanding outcomes, and not for one more */
	assert_true(journal_has_room(j, JOURNAL_RING - 2 * JOURNAL_CHUNK));
	assert_false(journal_has_room(j, JOURNAL_RING));
	for (uint64_t i = JOURNAL_CHUNK; i < JOURNAL_CHUNK + 100; i++)
		ack(j, 0, 2 * i + 1, (int64_t)i);
	journal_set_shipped(j, JOURNAL_CHUNK);
	assert_int_equal(journal_grow(j, JOURNAL_RING - JOURNAL_CHUNK, &e), 0);
	journal_close(j);
}

static void unmount(const char *at)
{
	if (umount2(at, MNT_DETACH) != 0)
		fail_msg("cannot unmount %s: %s", at, strerror(errno));
}

/* A full disk is an error at once, at making and at growing; never SIGBUS, never a lost outcome. */
static void a_full_disk_is_an_error_and_nothing_is_lost(void **state)
{
	char small[80];
	struct journal_id id = {.run_id = 1, .producer_id = 2, .epoch = 3};
	struct journal *j, *none = NULL;
	bool complete;
	uint64_t n = 0;

	(void)state;
	snprintf(small, sizeof(small), "%s/small", folder);
	assert_int_equal(mkdir(small, 0755), 0);
	if (mount("tmpfs", small, "tmpfs", 0, "size=3m") != 0) {
		print_message("# skipped: cannot mount a small tmpfs: %s\n", strerror(errno));
		skip();
	}
	j = create_in(small, false);
	intend(j, 0, 4 * JOURNAL_CHUNK);
	assert_int_equal(journal_grow(j, 4 * JOURNAL_CHUNK, &e), ERR_NOSPACE);
	assert_contains(e.msg, "No space left on device");
	while (journal_has_room(j, 1)) {
		ack(j, 0, 2 * n + 1, (int64_t)n);
		n++;
	}
	assert_true(n > JOURNAL_CHUNK - 10);
	/* no space for even the smallest second one */
	assert_int_equal(journal_create(small, &id, partitions, LANES, &none, &e), ERR_NOSPACE);
	assert_null(none);
	j = reopen(j);
	assert_int_equal(journal_recover(j, &complete, &e), 0);
	assert_true(complete);
	assert_int_equal(journal_count(j), n);
	assert_int_equal(journal_at(j, n - 1)->lo, 2 * n - 1);
	journal_close(j);
	unmount(small);
}

/* ---- killed at any instant
 * --------------------------------------------------------------------------- */

/* What the child shares with us: how far it came, and the ledger that it ships to. */
struct shared {
	_Atomic uint64_t done;     /* outcomes whose journal_record() has returned */
	_Atomic uint64_t n_ledger; /* records in the ledger */
	struct journal_record ledger[MAX_OUTCOMES];
};

/* The i-th outcome of a child: a function of seed and i alone. */
struct told {
	size_t lane;
	uint64_t seq;
	enum outcome outcome;
	int64_t offset;
	int32_t code;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ seed) * 0x9e3779b97f4a7c15u + b;

	h = (h ^ h >> 31) * 0xc2b2ae3d27d4eb4fu;
	return h ^ h >> 29;
}

/* Runs of acks, now and then an error, and blocks of eight that arrive turned round. */
static struct told told(uint64_t i)
{
	uint64_t group = i / 64, in_lane = i / 64 / LANES * 64 + i % 64;
	uint64_t block = in_lane / 8, at = in_lane % 8;
	struct told t = {.lane = group % LANES, .outcome = OUTCOME_ACKED};

	if (mix(block, 1) % 4 == 0)
		at = (at + mix(block, 2)) % 8;
	t.seq = block * 8 + at + 1;
	t.offset = (int64_t)(t.seq + 10 * t.lane);
	if (mix(t.seq, 3 + t.lane) % 16 == 0) {
		t.outcome = OUTCOME_UNKNOWN;
		t.offset = -1;
		t.code = (int32_t)(mix(t.seq, 4) % 3) + 1;
	}
	return t;
}

/* Ship what is closed into the shared ledger, as the real shipper does: ledger first, journal then.
 */
static void ship(struct journal *j, struct shared *s)
{
	uint64_t from = journal_shipped(j), to = journal_count(j);

	for (uint64_t i = from; i < to; i++)
		s->ledger[i] = *journal_at(j, i);
	atomic_store(&s->n_ledger, to);
	journal_set_shipped(j, to);
}

static void child(struct shared *s, struct rng *rng)
{
	struct journal *j = create();

	for (uint64_t i = 0; i < MAX_OUTCOMES; i++) {
		struct told t = told(i);

		if (!journal_has_room(j, 1) && journal_grow(j, 100, &e))
			_exit(3);
		if (journal_intended(j, t.lane) < (t.seq + 7) / 8 * 8 &&
			journal_intend(j, t.lane, (t.seq + 7) / 8 * 8, 1, &e))
			_exit(3);
		journal_record(j, t.lane, t.seq, t.outcome, 0, t.offset, 1, t.code, (int64_t)i + 1);
		atomic_store(&s->done, i + 1);
		if (rng_below(rng, 50) == 0)
			journal_close_open(j);
		if (rng_below(rng, 200) == 0)
			ship(j, s);
	}
	for (;;)
		pause();
}

/* Mark what a record tells; fails when it was told otherwise, or twice. */
static void mark(const struct journal_record *r, uint8_t *seen[LANES], uint64_t max)
{
	assert_true(r->lane < LANES);
	for (uint64_t seq = r->lo; seq <= r->hi; seq++) {
		assert_true(seq <= max);
		if (seen[r->lane][seq]++)
			fail_msg("lane %u seq %llu is there twice", r->lane,
				(unsigned long long)seq);
		if (mix(seq, 3 + r->lane) % 16 == 0) {
			assert_int_equal(r->outcome, OUTCOME_UNKNOWN);
			assert_int_equal(r->code, (int32_t)(mix(seq, 4) % 3) + 1);
			assert_int_equal(r->first_offset, -1);
		} else {
			assert_int_equal(r->outcome, OUTCOME_ACKED);
			assert_int_equal(r->first_offset + (int64_t)(seq - r->lo),
				(int64_t)(seq + 10 * r->lane));
		}
	}
}

static void recover_and_compare(struct shared *s)
{
	uint64_t done = atomic_load(&s->done), n_ledger = atomic_load(&s->n_ledger), n = 0;
	uint8_t *seen[LANES];
	struct journal *j = NULL;
	bool complete;
	char path[160];

	snprintf(path, sizeof(path), "%s/%016x-5-6.journal", folder, 0x1234);
	if (atomic_load(&s->done) == 0 && open_code(path) != 0) {
		/* killed while it was being made */
		assert_true(e.code == ERR_NOTFOUND || e.code == ERR_FORMAT);
		unlink(path);
		return;
	}
	if (journal_open(path, &j, &e) || journal_recover(j, &complete, &e))
		fail_msg("%s", e.msg);
	assert_true(complete);
	/* a commit that happened although its writer never heard of it: the ledger knows better */
	if (journal_shipped(j) < n_ledger)
		journal_set_shipped(j, n_ledger);
	assert_int_equal(journal_shipped(j), n_ledger);
	for (size_t i = 0; i < LANES; i++)
		seen[i] = calloc(MAX_OUTCOMES + 64, 1);
	for (uint64_t i = 0; i < n_ledger; i++)
		mark(&s->ledger[i], seen, MAX_OUTCOMES);
	for (uint64_t i = n_ledger; i < journal_count(j); i++)
		mark(journal_at(j, i), seen, MAX_OUTCOMES);
	for (uint64_t i = 0; i < done; i++) {
		struct told t = told(i);

		if (!seen[t.lane][t.seq])
			fail_msg("outcome %llu of %llu (lane %zu seq %llu) is lost",
				(unsigned long long)i, (unsigned long long)done, t.lane,
				(unsigned long long)t.seq);
	}
	for (size_t i = 0; i < LANES; i++) {
		for (uint64_t k = 0; k <= MAX_OUTCOMES; k++)
			n += seen[i][k];
		free(seen[i]);
	}
	/* the one that was being recorded may be in, no other */
	assert_true(n == done || n == done + 1);
	assert_int_equal(journal_remove(j, &e), 0);
	journal_close(j);
}

static void kill_one(struct shared *s, struct rng *rng)
{
	int64_t at = clock_ns() + 60 * NS_PER_S;
	uint64_t wait_for =
		rng_below(rng, 3) ? rng_below(rng, MAX_OUTCOMES / 4) : rng_below(rng, 50);
	pid_t pid;
	int status;

	atomic_store(&s->done, 0);
	atomic_store(&s->n_ledger, 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child(s, rng);
	while (atomic_load(&s->done) < wait_for && clock_ns() < at)
		;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void killed_at_any_instant_nothing_is_lost_or_doubled(void **state)
{
	struct shared *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rng rng;
	uint64_t n = 0;

	(void)state;
	assert_true(s != MAP_FAILED);
	rng_init(&rng, seed);
	print_message("# seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < KILLS; i++) {
		kill_one(s, &rng);
		n += atomic_load(&s->done);
		recover_and_compare(s);
	}
	print_message("# %d kills, %llu outcomes\n", KILLS, (unsigned long long)n);
	munmap(s, sizeof(*s));
}

/* A recovery that is killed itself: the next one finds the same. */
static void recovery_can_be_repeated(void **state)
{
	struct journal *j = create();
	bool complete;

	(void)state;
	intend(j, 0, 10);
	ack(j, 0, 1, 1);
	ack(j, 0, 2, 2);
	for (int i = 0; i < 3; i++) {
		j = reopen(j);
		assert_int_equal(journal_recover(j, &complete, &e), 0);
		assert_int_equal(journal_count(j), 1);
		assert_int_equal(journal_at(j, 0)->hi, 2);
	}
	journal_close(j);
}

/* Killed while lane 1's record was on its way into the log; lane 0 is recovered first, into that
 * place. */
static void a_record_on_its_way_is_not_taken_for_another_lanes(void **state)
{
	const uint64_t closing = 1; /* its place in the log, plus one */
	struct journal *j = create();
	bool complete;

	(void)state;
	intend(j, 0, 10);
	intend(j, 1, 10);
	ack(j, 0, 1, 1);
	ack(j, 1, 1, 1);
	/* header, one lane of 128 bytes, the second half of the next, its last field */
	poke(journal_path(j), 4096 + 128 + 64 + 56, &closing, sizeof(closing));
	j = reopen(j);
	assert_int_equal(journal_recover(j, &complete, &e), 0);
	assert_int_equal(journal_count(j), 2);
	assert_int_equal(journal_at(j, 0)->lane + journal_at(j, 1)->lane, 1);
	journal_close(j);
}

/* ---- threads
 * ------------------------------------------------------------------------------------------ */

#define THREADED UINT64_C(200000)

struct crew {
	struct journal *j;
	_Atomic uint64_t sent, recorded;
	uint64_t shipped_messages;
};

static void *send_all(void *arg)
{
	struct crew *c = arg;
	struct err mine;

	for (uint64_t hi = 1; hi <= THREADED;) {
		if (!journal_has_room(c->j, hi - atomic_load(&c->recorded) + 1))
			continue;
		if (journal_intend(c->j, 0, hi, 1, &mine))
			abort();
		atomic_store(&c->sent, hi++);
	}
	return NULL;
}

static void *record_all(void *arg)
{
	struct crew *c = arg;

	for (uint64_t seq = 1; seq <= THREADED;) {
		if (seq > atomic_load(&c->sent))
			continue;
		/* every third breaks the run */
		journal_record(
			c->j, 0, seq, seq % 3 ? OUTCOME_ACKED : OUTCOME_UNKNOWN, 0, -1, 1, 0, 1);
		atomic_store(&c->recorded, seq++);
	}
	journal_close_open(c->j);
	atomic_store(&c->recorded, THREADED + 1);
	return NULL;
}

static void *ship_all(void *arg)
{
	struct crew *c = arg;
	struct err mine;
	bool last = false;

	for (;;) {
		uint64_t from = journal_shipped(c->j), to;

		last = atomic_load(&c->recorded) > THREADED;
		to = journal_count(c->j);
		for (uint64_t i = from; i < to; i++) {
			const struct journal_record *r = journal_at(c->j, i);

			if (r->lo != c->shipped_messages + 1)
				abort();
			c->shipped_messages = r->hi;
		}
		journal_set_shipped(c->j, to);
		if (journal_grow(c->j, 1000, &mine))
			abort();
		if (last)
			return NULL;
	}
}

static void three_threads_lose_nothing(void **state)
{
	struct crew c = {.j = create()};
	pthread_t t[3];

	(void)state;
	assert_int_equal(pthread_create(&t[0], NULL, send_all, &c), 0);
	assert_int_equal(pthread_create(&t[1], NULL, record_all, &c), 0);
	assert_int_equal(pthread_create(&t[2], NULL, ship_all, &c), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(c.shipped_messages, THREADED);
	journal_close(c.j);
}

/* ---- hostile files
 * ---------------------------------------------------------------------------------- */

static void what_is_no_journal_is_refused(void **state)
{
	char path[PATHS_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/x.journal", folder);
	assert_int_equal(open_code(path), ERR_NOTFOUND);
	assert_int_equal(paths_write_file(path, "", 0, &e), 0);
	assert_int_equal(open_code(path), ERR_FORMAT);
	assert_int_equal(paths_write_file(path, "MQAJNL\x01\nhello", 13, &e), 0);
	assert_int_equal(open_code(path), ERR_FORMAT);
	assert_contains(e.msg, "not a journal");
}

static void a_journal_cut_short_is_refused(void **state)
{
	struct journal *j = create();
	char path[PATHS_MAX];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s", journal_path(j));
	journal_close(j);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	assert_int_equal(open_code(path), ERR_FORMAT);
	assert_contains(e.msg, "cut short");
}

/* Records that no probe can have written: behind what was intended, of a lane that is not there,
 * ... */
static void impossible_records_are_refused(void **state)
{
	struct journal_record good = {.lane = 0, .outcome = OUTCOME_ACKED, .lo = 1, .hi = 5};
	struct journal_record bad[] = {good, good, good, good, good};
	bool complete;

	(void)state;
	bad[0].hi = 11;
	bad[1].lane = LANES;
	bad[2].outcome = OUTCOME_N;
	bad[3].lo = 6;
	bad[4].lane = UINT32_MAX;
	for (size_t i = 0; i < N_OF(bad); i++) {
		struct journal *j = create();

		intend(j, 0, 10);
		ack(j, 0, 1, 1);
		journal_close_open(j);
		/* the log begins at the page behind the lanes */
		poke(journal_path(j), 8192, &bad[i], sizeof(bad[i]));
		j = reopen(j);
		assert_int_equal(journal_recover(j, &complete, &e), ERR_FORMAT);
		assert_int_equal(journal_remove(j, &e), 0);
		journal_close(j);
	}
}

/* Random bytes over header and lanes: refused, or recovered to something possible; never a crash.
 */
static void random_damage_never_crashes(void **state)
{
	struct rng rng;
	int refused = 0, recovered = 0;

	(void)state;
	rng_init(&rng, seed + 1);
	for (int i = 0; i < 2000; i++) {
		struct journal *j = create();
		char path[PATHS_MAX];
		uint8_t junk[8];
		bool complete;

		intend(j, 0, 10);
		for (uint64_t s = 1; s <= 10; s += 2)
			ack(j, 0, s, 1);
		snprintf(path, sizeof(path), "%s", journal_path(j));
		journal_close(j);
		for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--) {
			rng_fill(&rng, junk, sizeof(junk));
			poke(path,
				rng_below(&rng, 2) ? rng_below(&rng, 300)
						   : 4096 + rng_below(&rng, 384),
				junk, 1 + rng_below(&rng, 8));
		}
		if (journal_open(path, &j, &e) == 0) {
			if (journal_recover(j, &complete, &e) == 0)
				recovered++;
			else
				refused++;
			journal_close(j);
		} else {
			refused++;
		}
		unlink(path);
	}
	print_message("# %d refused, %d recovered\n", refused, recovered);
	assert_true(refused > 100);
}

/* Another boot without --fsync: what was not shipped cannot be trusted. With it, what was synced
 * can. */
static void another_boot_trusts_only_what_was_forced_to_the_disk(void **state)
{
	(void)state;
	for (int with_fsync = 0; with_fsync < 2; with_fsync++) {
		struct journal *j = create_in(folder, with_fsync);
		bool complete = true;
		struct journal_info info;
		struct stat st;
		char page[4096];
		char *at;
		int fd;

		intend(j, 0, 10);
		ack(j, 0, 1, 1);
		journal_close_open(j);
		journal_set_shipped(j, 1);
		ack(j, 0, 3, 2);
		journal_close_open(j);
		assert_int_equal(journal_sync(j, &e), 0);
		ack(j, 0, 5, 3);
		journal_close_open(j);
		journal_info(j, &info);
		assert_int_equal(stat(journal_path(j), &st), 0);
		/* the boot id where the file has it */
		fd = open(journal_path(j), O_RDONLY);
		assert_int_equal(read(fd, page, sizeof(page)), sizeof(page));
		close(fd);
		at = memmem(page, sizeof(page), info.boot_id, strlen(info.boot_id));
		assert_non_null(at);
		poke(journal_path(j), (uint64_t)(at - page), "00000000", 8);
		j = reopen(j);
		assert_int_equal(journal_recover(j, &complete, &e), 0);
		assert_false(complete);
		assert_int_equal(journal_count(j), with_fsync ? 2 : 1);
		assert_int_equal(journal_remove(j, &e), 0);
		journal_close(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(consecutive_acks_are_one_record, fresh, clean),
		cmocka_unit_test_setup_teardown(any_difference_begins_a_record, fresh, clean),
		cmocka_unit_test_setup_teardown(a_journal_in_use_is_not_opened_twice, fresh, clean),
		cmocka_unit_test_setup_teardown(what_it_says_of_itself_survives, fresh, clean),
		cmocka_unit_test_setup_teardown(a_durable_lease_survives, fresh, clean),
		cmocka_unit_test_setup_teardown(the_ring_wraps_around, fresh, clean),
		cmocka_unit_test_setup_teardown(
			a_full_ring_is_an_error_that_shipping_cures, fresh, clean),
		cmocka_unit_test_setup_teardown(
			a_full_disk_is_an_error_and_nothing_is_lost, fresh, clean),
		cmocka_unit_test_setup_teardown(
			killed_at_any_instant_nothing_is_lost_or_doubled, fresh, clean),
		cmocka_unit_test_setup_teardown(recovery_can_be_repeated, fresh, clean),
		cmocka_unit_test_setup_teardown(
			a_record_on_its_way_is_not_taken_for_another_lanes, fresh, clean),
		cmocka_unit_test_setup_teardown(three_threads_lose_nothing, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_no_journal_is_refused, fresh, clean),
		cmocka_unit_test_setup_teardown(a_journal_cut_short_is_refused, fresh, clean),
		cmocka_unit_test_setup_teardown(impossible_records_are_refused, fresh, clean),
		cmocka_unit_test_setup_teardown(random_damage_never_crashes, fresh, clean),
		cmocka_unit_test_setup_teardown(
			another_boot_trusts_only_what_was_forced_to_the_disk, fresh, clean),
	};

	seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : rng_system() % 1000000;
	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
