#include "probe/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"

#define MAGIC "MQAJNL\x01\n"
#define PAGE 4096u
#define NO_OFFSET INT64_C(-1)

struct journal_head {
	char magic[8];
	uint32_t record_size;
	uint32_t lane_size;
	uint64_t ring;
	uint64_t n_lanes;
	uint64_t log_at; /* byte where the log begins */
	uint64_t run_id;
	uint32_t producer_id;
	uint32_t epoch;
	uint32_t nonce;
	uint32_t fsync;
	int64_t created_wall_ns;
	int32_t pid;
	uint32_t ended;
	char host[64];
	char boot_id[40];
	_Atomic uint64_t count;   /* records closed; the poller's */
	_Atomic uint64_t shipped; /* records in the ledger; the shipper's */
	_Atomic uint64_t
		allocated;       /* records that have space: [shipped, allocated); the shipper's */
	_Atomic uint64_t synced; /* --fsync: records that are on the disk */
};

struct journal_lane {
	/* the sender's line; lease is the shipper's */
	int32_t partition;
	uint32_t reserved;
	_Atomic uint64_t intended;
	_Atomic uint64_t lease;
	_Atomic int64_t intended_wall_ns;
	uint64_t lease_on_disk; /* forced to the disk before it is in force */
	uint8_t pad[24];
	/* the poller's line */
	struct journal_record open;
};

struct journal {
	char path[PATHS_MAX];
	int fd;
	struct journal_head *head;
	struct journal_lane *lane;
	struct journal_record *log; /* the whole ring; only allocated chunks may be touched */
	uint8_t *map;
	size_t map_len;
};

_Static_assert(sizeof(struct journal_record) == 64, "a record is one cache line");
_Static_assert(sizeof(struct journal_lane) == 128, "a lane is two cache lines");
_Static_assert(sizeof(struct journal_head) <= PAGE, "the header is one page");

void journal_boot_id(char *ret, size_t len)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, ret, len - 1) : -1;

	if (fd >= 0)
		close(fd);
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

static uint64_t log_start(uint64_t n_lanes)
{
	uint64_t at = PAGE + n_lanes * sizeof(struct journal_lane);

	return (at + PAGE - 1) / PAGE * PAGE;
}

/* Map the whole file, the ring far beyond its present end included: only allocated parts are touched. */
static int map_file(struct journal *j, uint64_t n_lanes, struct err *e)
{
	uint64_t at = log_start(n_lanes);

	j->map_len = at + JOURNAL_RING * sizeof(struct journal_record);
	j->map = mmap(
		NULL, j->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, j->fd, 0);
	if (j->map == MAP_FAILED) {
		j->map = NULL;
		return err_set_errno(e, ERR_IO, errno, "cannot map journal '%s'", j->path);
	}
	j->head = (struct journal_head *)(void *)j->map;
	j->lane = (struct journal_lane *)(void *)(j->map + PAGE);
	j->log = (struct journal_record *)(void *)(j->map + at);
	return 0;
}

static int lock_file(struct journal *j, struct err *e)
{
	if (flock(j->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, ERR_STATE, "journal '%s' is in use by a running probe", j->path);
	return err_set_errno(e, ERR_IO, errno, "cannot lock journal '%s'", j->path);
}

static void fill_head(struct journal_head *h, const struct journal_id *id, uint64_t n_lanes)
{
	h->record_size = sizeof(struct journal_record);
	h->lane_size = sizeof(struct journal_lane);
	h->ring = JOURNAL_RING;
	h->n_lanes = n_lanes;
	h->log_at = log_start(n_lanes);
	h->run_id = id->run_id;
	h->producer_id = id->producer_id;
	h->epoch = id->epoch;
	h->nonce = id->nonce;
	h->fsync = id->fsync;
	h->created_wall_ns = clock_wall_ns();
	h->pid = (int32_t)getpid();
	gethostname(h->host, sizeof(h->host) - 1);
	journal_boot_id(h->boot_id, sizeof(h->boot_id));
	/* last: a file without it was never whole */
	memcpy(h->magic, MAGIC, sizeof(h->magic));
}

int journal_create(const char *folder, const struct journal_id *id, const int32_t *partitions,
	size_t n_lanes, struct journal **ret, struct err *e)
{
	struct journal *j;
	int r;

	if (n_lanes == 0 || n_lanes > JOURNAL_MAX_LANES)
		return err_set(e, ERR_LIMIT, "%zu lanes: 1 to %d are possible", n_lanes,
			JOURNAL_MAX_LANES);
	j = calloc(1, sizeof(*j));
	if (!j)
		return err_set(e, ERR_NOMEM, "out of memory");
	snprintf(j->path, sizeof(j->path), "%s/%016llx-%u-%u.journal", folder,
		(unsigned long long)id->run_id, id->producer_id, id->epoch);
	j->fd = open(j->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (j->fd < 0) {
		r = err_set_errno(e, errno == EEXIST ? ERR_EXISTS : ERR_IO, errno,
			"cannot make journal '%s'", j->path);
		free(j);
		return r;
	}
	r = lock_file(j, e);
	if (r == 0 && (errno = posix_fallocate(j->fd, 0, (off_t)log_start(n_lanes))) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot allocate journal '%s'", j->path);
	if (r == 0)
		r = map_file(j, n_lanes, e);
	if (r == 0) {
		for (size_t i = 0; i < n_lanes; i++)
			j->lane[i].partition = partitions[i];
		fill_head(j->head, id, n_lanes);
		r = journal_grow(j, JOURNAL_CHUNK, e);
	}
	if (r == 0 && id->fsync && fsync(j->fd) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot sync journal '%s'", j->path);
	if (r) {
		unlink(j->path);
		journal_close(j);
		return r;
	}
	*ret = j;
	return 0;
}

/* The header of a file that may be anything. */
static int check_head(struct journal *j, struct journal_head *h, struct err *e)
{
	uint64_t count, shipped, allocated, synced, end;
	struct stat st;

	if (pread(j->fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h) ||
		memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0)
		return err_set(e, ERR_FORMAT, "'%s' is not a journal", j->path);
	if (fstat(j->fd, &st) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot read journal '%s'", j->path);
	count = atomic_load(&h->count);
	shipped = atomic_load(&h->shipped);
	allocated = atomic_load(&h->allocated);
	synced = atomic_load(&h->synced);
	if (h->record_size != sizeof(struct journal_record) ||
		h->lane_size != sizeof(struct journal_lane) || h->ring != JOURNAL_RING ||
		h->n_lanes == 0 || h->n_lanes > JOURNAL_MAX_LANES ||
		h->log_at != log_start(h->n_lanes) || shipped > count || synced > count ||
		count > allocated || allocated - shipped > JOURNAL_RING || h->run_id >> 63)
		return err_set(e, ERR_FORMAT, "journal '%s' is damaged", j->path);
	/* the ring's chunks between shipped and allocated must be inside the file */
	end = allocated > JOURNAL_RING || allocated == 0 ? 0 : allocated;
	if (allocated > JOURNAL_RING)
		end = JOURNAL_RING;
	if ((uint64_t)st.st_size < h->log_at + end * sizeof(struct journal_record))
		return err_set(e, ERR_FORMAT, "journal '%s' is cut short", j->path);
	return 0;
}

int journal_open(const char *path, struct journal **ret, struct err *e)
{
	struct journal *j = calloc(1, sizeof(*j));
	struct journal_head h;
	int r;

	if (!j)
		return err_set(e, ERR_NOMEM, "out of memory");
	snprintf(j->path, sizeof(j->path), "%s", path);
	j->fd = open(path, O_RDWR | O_CLOEXEC);
	if (j->fd < 0) {
		r = err_set_errno(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, errno,
			"cannot open journal '%s'", path);
		free(j);
		return r;
	}
	r = lock_file(j, e);
	if (r == 0)
		r = check_head(j, &h, e);
	if (r == 0)
		r = map_file(j, h.n_lanes, e);
	if (r) {
		journal_close(j);
		return r;
	}
	*ret = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->map)
		munmap(j->map, j->map_len);
	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

int journal_remove(struct journal *j, struct err *e)
{
	if (unlink(j->path) != 0 && errno != ENOENT)
		return err_set_errno(e, ERR_IO, errno, "cannot remove journal '%s'", j->path);
	return 0;
}

const char *journal_path(const struct journal *j)
{
	return j->path;
}

bool journal_is_synced(const struct journal *j)
{
	return j->head->fsync != 0;
}

void journal_info(const struct journal *j, struct journal_info *ret)
{
	const struct journal_head *h = j->head;
	char boot[40];

	journal_boot_id(boot, sizeof(boot));
	*ret = (struct journal_info){
		.id = {.run_id = h->run_id,
			.producer_id = h->producer_id,
			.epoch = h->epoch,
			.nonce = h->nonce,
			.fsync = h->fsync != 0},
		.pid = h->pid,
		.n_lanes = h->n_lanes,
		.ended = h->ended != 0,
		.created_wall_ns = h->created_wall_ns,
	};
	memcpy(ret->host, h->host, sizeof(ret->host) - 1);
	memcpy(ret->boot_id, h->boot_id, sizeof(ret->boot_id) - 1);
	ret->same_boot = strcmp(ret->boot_id, boot) == 0;
}

size_t journal_lanes(const struct journal *j)
{
	return j->head->n_lanes;
}

int32_t journal_partition(const struct journal *j, size_t lane)
{
	return j->lane[lane].partition;
}

/* ---- sender ---------------------------------------------------------------------------------- */

uint64_t journal_lease(const struct journal *j, size_t lane)
{
	return atomic_load_explicit(&j->lane[lane].lease, memory_order_acquire);
}

uint64_t journal_intended(const struct journal *j, size_t lane)
{
	return atomic_load_explicit(&j->lane[lane].intended, memory_order_acquire);
}

int64_t journal_intended_wall_ns(const struct journal *j, size_t lane)
{
	return atomic_load_explicit(&j->lane[lane].intended_wall_ns, memory_order_relaxed);
}

/* Force the pages of [at, at + len) to the disk. */
static int sync_bytes(struct journal *j, const void *at, size_t len, struct err *e)
{
	uintptr_t from = (uintptr_t)at / PAGE * PAGE;

	if (msync((void *)from, (uintptr_t)at + len - from, MS_SYNC) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot sync journal '%s'", j->path);
	return 0;
}

int journal_intend(struct journal *j, size_t lane, uint64_t hi, int64_t wall_ns, struct err *e)
{
	struct journal_lane *l = &j->lane[lane];

	BUG_ON(hi < atomic_load_explicit(&l->intended, memory_order_relaxed));
	BUG_ON(hi > atomic_load_explicit(&l->lease, memory_order_acquire));
	atomic_store_explicit(&l->intended_wall_ns, wall_ns, memory_order_relaxed);
	atomic_store_explicit(&l->intended, hi, memory_order_release);
	return j->head->fsync ? sync_bytes(j, l, sizeof(*l), e) : 0;
}

bool journal_has_room(const struct journal *j, uint64_t outstanding)
{
	uint64_t free_records = atomic_load_explicit(&j->head->allocated, memory_order_acquire) -
				atomic_load_explicit(&j->head->count, memory_order_acquire);

	/* each outcome may need a record of its own, and each lane's open record one to be closed into */
	return free_records >= outstanding + j->head->n_lanes;
}

/* ---- poller ---------------------------------------------------------------------------------- */

static struct journal_record *slot(const struct journal *j, uint64_t index)
{
	return &j->log[index % JOURNAL_RING];
}

/*
 * The order of stores below is for whoever reads the file after SIGKILL: a killed thread's stores are all
 * in the page cache up to where it stood, so only the compiler must be kept from moving them
 * (atomic_signal_fence). Other threads read closed records only, which the count publishes.
 *
 * Move a lane's open record into the log. Whoever reads the file after a kill in between finds `closing`:
 * at or below the count the record is in the log already, above it the record is still open.
 */
static void close_record(struct journal *j, struct journal_lane *l)
{
	uint64_t count = atomic_load_explicit(&j->head->count, memory_order_relaxed);
	struct journal_record *to = slot(j, count);

	BUG_ON(count >= atomic_load_explicit(&j->head->allocated, memory_order_acquire));
	l->open.closing = count + 1;
	atomic_signal_fence(memory_order_release);
	*to = l->open;
	to->closing = 0;
	atomic_store_explicit(&j->head->count, count + 1, memory_order_release);
	l->open.lo = 0;
}

static bool extends(const struct journal_record *r, uint64_t seq, enum outcome outcome,
	uint16_t attempt, int64_t offset, int32_t node, int32_t code)
{
	if (r->lo == 0 || seq != r->hi + 1 || r->outcome != outcome || r->attempt != attempt ||
		r->node != node || r->code != code)
		return false;
	if (r->first_offset == NO_OFFSET)
		return offset == NO_OFFSET;
	return offset == r->first_offset + (int64_t)(seq - r->lo);
}

void journal_record(struct journal *j, size_t lane, uint64_t seq, enum outcome outcome,
	uint16_t attempt, int64_t offset, int32_t node, int32_t code, int64_t wall_ns)
{
	struct journal_lane *l = &j->lane[lane];
	struct journal_record *r = &l->open;

	if (extends(r, seq, outcome, attempt, offset, node, code)) {
		r->last_wall_ns = wall_ns;
		atomic_signal_fence(memory_order_release);
		r->hi = seq;
		return;
	}
	if (r->lo)
		close_record(j, l);
	/* lo is 0 now, so the record is void until the last store below */
	atomic_signal_fence(memory_order_release);
	r->lane = (uint32_t)lane;
	r->outcome = (uint8_t)outcome;
	r->attempt = attempt;
	r->node = node;
	r->code = code;
	r->hi = seq;
	r->first_offset = offset;
	r->first_wall_ns = wall_ns;
	r->last_wall_ns = wall_ns;
	r->closing = 0;
	atomic_signal_fence(memory_order_release);
	r->lo = seq;
}

void journal_close_open(struct journal *j)
{
	for (size_t i = 0; i < j->head->n_lanes; i++)
		if (j->lane[i].open.lo)
			close_record(j, &j->lane[i]);
}

/* ---- shipper --------------------------------------------------------------------------------- */

int journal_grow(struct journal *j, uint64_t ahead, struct err *e)
{
	struct journal_head *h = j->head;
	uint64_t count = atomic_load_explicit(&h->count, memory_order_acquire);
	uint64_t shipped = atomic_load_explicit(&h->shipped, memory_order_relaxed);
	uint64_t allocated = atomic_load_explicit(&h->allocated, memory_order_relaxed);

	while (allocated - count < ahead) {
		uint64_t at = h->log_at + allocated % JOURNAL_RING * sizeof(struct journal_record);
		/* the chunk that `shipped` stands in is still being read: never wrap into it */
		uint64_t floor = shipped / JOURNAL_CHUNK * JOURNAL_CHUNK;

		if (allocated + JOURNAL_CHUNK - floor > JOURNAL_RING) {
			err_set(e, ERR_NOSPACE,
				"journal '%s' is full: %llu records wait for the ledger", j->path,
				(unsigned long long)(count - shipped));
			return err_hint(
				e, "bring the ledger back; sending goes on when it is there");
		}
		errno = posix_fallocate(
			j->fd, (off_t)at, (off_t)(JOURNAL_CHUNK * sizeof(struct journal_record)));
		if (errno)
			return err_set_errno(
				e, ERR_IO, errno, "cannot extend journal '%s'", j->path);
		allocated += JOURNAL_CHUNK;
		atomic_store_explicit(&h->allocated, allocated, memory_order_release);
	}
	return 0;
}

uint64_t journal_count(const struct journal *j)
{
	return atomic_load_explicit(&j->head->count, memory_order_acquire);
}

uint64_t journal_shipped(const struct journal *j)
{
	return atomic_load_explicit(&j->head->shipped, memory_order_relaxed);
}

const struct journal_record *journal_at(const struct journal *j, uint64_t index)
{
	BUG_ON(index >= journal_count(j) || index < journal_shipped(j));
	return slot(j, index);
}

void journal_set_shipped(struct journal *j, uint64_t index)
{
	struct journal_head *h = j->head;
	uint64_t before = atomic_load_explicit(&h->shipped, memory_order_relaxed);

	BUG_ON(index < before || index > journal_count(j));
	atomic_store_explicit(&h->shipped, index, memory_order_release);
	/* whole chunks go back to the file system; where it cannot do that they are simply used again */
	for (uint64_t c = before / JOURNAL_CHUNK; c < index / JOURNAL_CHUNK; c++) {
		uint64_t at = c * JOURNAL_CHUNK % JOURNAL_RING * sizeof(struct journal_record);
		int ignored = fallocate(j->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)(h->log_at + at),
			(off_t)(JOURNAL_CHUNK * sizeof(struct journal_record)));

		(void)ignored;
	}
}

int journal_set_lease(struct journal *j, size_t lane, uint64_t hi, bool durable, struct err *e)
{
	struct journal_lane *l = &j->lane[lane];
	int r = 0;

	if (durable) {
		l->lease_on_disk = hi;
		r = sync_bytes(j, l, sizeof(*l), e);
	}
	if (r == 0)
		atomic_store_explicit(&l->lease, hi, memory_order_release);
	return r;
}

int journal_sync(struct journal *j, struct err *e)
{
	uint64_t count = journal_count(j);

	if (!j->head->fsync)
		return 0;
	if (fsync(j->fd) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot sync journal '%s'", j->path);
	atomic_store_explicit(&j->head->synced, count, memory_order_release);
	return sync_bytes(j, j->head, sizeof(*j->head), e);
}

int journal_set_ended(struct journal *j, struct err *e)
{
	j->head->ended = 1;
	return j->head->fsync ? journal_sync(j, e) : 0;
}

/* ---- recovery -------------------------------------------------------------------------------- */

static int check_record(const struct journal *j, const struct journal_record *r, struct err *e)
{
	if (r->lane >= j->head->n_lanes || r->outcome >= OUTCOME_N || r->lo == 0 || r->lo > r->hi ||
		r->hi > journal_intended(j, r->lane))
		return err_set(e, ERR_FORMAT, "journal '%s' is damaged", j->path);
	return 0;
}

/*
 * A record that was on its way into the log: is it there? Asked of every lane before the count moves on,
 * or another lane's record in that place would be taken for it.
 */
static void settle_closing(struct journal *j)
{
	for (size_t i = 0; i < j->head->n_lanes; i++) {
		struct journal_record *open = &j->lane[i].open;

		if (open->closing && open->closing <= journal_count(j))
			open->lo = 0;
		atomic_signal_fence(memory_order_release);
		open->closing = 0;
	}
	atomic_signal_fence(memory_order_release);
}

int journal_recover(struct journal *j, bool *ret_complete, struct err *e)
{
	struct journal_head *h = j->head;
	struct journal_info info;
	int r = 0;

	journal_info(j, &info);
	*ret_complete = info.same_boot;
	if (!info.same_boot) {
		/* what was not forced to the disk may be there in part */
		uint64_t synced = atomic_load(&h->synced), shipped = atomic_load(&h->shipped);

		for (size_t i = 0; i < h->n_lanes; i++)
			j->lane[i].open.lo = 0;
		atomic_store(&h->count, h->fsync && synced > shipped ? synced : shipped);
	}
	for (size_t i = 0; i < h->n_lanes; i++)
		if (j->lane[i].lease_on_disk > journal_lease(j, i))
			atomic_store(&j->lane[i].lease, j->lane[i].lease_on_disk);
	for (uint64_t i = journal_shipped(j); r == 0 && i < journal_count(j); i++)
		r = check_record(j, journal_at(j, i), e);
	settle_closing(j);
	for (size_t i = 0; r == 0 && i < h->n_lanes; i++) {
		struct journal_record *open = &j->lane[i].open;

		if (!open->lo)
			continue;
		r = check_record(j, open, e);
		if (r == 0)
			r = journal_grow(j, 1, e);
		if (r == 0)
			close_record(j, &j->lane[i]);
	}
	return r;
}
