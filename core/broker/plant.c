#include "core/broker/plant.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/envelope.h"
#include "core/rng.h"
#include "core/units.h"

#define SPACING 8u
#define MAX_FAULTS 100000u
#define SURELY_NS (10 * NS_PER_S)
#define CLOSE_NS (10 * NS_PER_S)
#define PHANTOM_SEQ UINT64_C(1000000000000) /* above every lease */

struct plant {
	struct broker_ops ops;
	const struct broker_ops *inner;
	uint64_t seed;
	size_t size;
	struct plant_fault *fault; /* sorted by lane, then at_seq */
	size_t n_faults;
};

/* Bytes of our own that must stay until the client is done with them: to the end. */
struct bytes {
	struct bytes *next;
	size_t len;
	uint8_t data[];
};

/* A producer that plants: what the probe holds. */
struct broker_producer {
	struct plant *plant;
	struct broker_producer *inner;
	struct rng rng;
	struct bytes *bytes;
	_Atomic uint64_t extras;     /* sent in addition and not answered yet */
	pthread_mutex_t mutex;       /* for told */
	struct broker_outcome *told; /* outcomes of what was never sent */
	size_t n_told, cap_told;
};

static const char *const words[] = {
#define WORD_(name, word, what) word,
	PLANT_KINDS(WORD_)
#undef WORD_
};

static const char *const meanings[] = {
#define MEANING_(name, word, what) what,
	PLANT_KINDS(MEANING_)
#undef MEANING_
};

const char *plant_text(enum plant_kind k)
{
	return k < PLANT_N ? words[k] : "?";
}

const char *plant_meaning(enum plant_kind k)
{
	return k < PLANT_N ? meanings[k] : "?";
}

/* ---- the plan
 * -------------------------------------------------------------------------------------- */

static int parse_word(const char *word, uint64_t count[PLANT_N], struct err *e)
{
	const char *eq = strchr(word, '=');

	for (int k = 0; eq && k < PLANT_N; k++)
		if (strlen(words[k]) == (size_t)(eq - word) &&
			memcmp(words[k], word, (size_t)(eq - word)) == 0)
			return units_parse_count(eq + 1, &count[k], e);
	err_set(e, ERR_USAGE, "--plant: '%s' is not KIND=COUNT", word);
	return err_hint(
		e, "kinds are drop, repeat, attempt, swap, flip, header, cut, foreign and phantom");
}

static int parse_spec(const char *spec, uint64_t count[PLANT_N], uint64_t *ret_seed, struct err *e)
{
	char *copy = strdup(spec), *seed, *place = NULL;
	int r = 0;

	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory");
	*ret_seed = rng_system() >> 1;
	seed = strstr(copy, ";seed=");
	if (seed) {
		*seed = '\0';
		r = units_parse_count(seed + 6, ret_seed, e);
	}
	for (char *w = strtok_r(copy, ",", &place); r == 0 && w; w = strtok_r(NULL, ",", &place))
		r = parse_word(w, count, e);
	free(copy);
	return r;
}

static int by_place(const void *a, const void *b)
{
	const struct plant_fault *x = a, *y = b;

	if (x->producer_id != y->producer_id)
		return x->producer_id < y->producer_id ? -1 : 1;
	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	return x->at_seq < y->at_seq ? -1 : x->at_seq > y->at_seq;
}

/* Choose n of the possible places, each once: the first n of a shuffled list. */
static int draw(struct plant *p, const struct plant_field *f, const uint64_t count[PLANT_N],
	uint64_t n, struct err *e)
{
	uint64_t a_lane = f->per_lane / 2 / SPACING, lanes = f->n_producers * f->n_partitions;
	uint64_t places = a_lane * lanes, at = 0;
	uint64_t *place;
	struct rng rng;

	if (n > places)
		return err_set(e, ERR_USAGE,
			"--plant: %llu faults need %llu messages at least; give --count",
			(unsigned long long)n,
			(unsigned long long)(n / lanes + 1) * lanes * 2 * SPACING);
	place = calloc(places + 1, sizeof(*place));
	p->fault = calloc(n + 1, sizeof(*p->fault));
	if (!place || !p->fault) {
		free(place);
		return err_set(
			e, ERR_NOMEM, "out of memory for %llu places", (unsigned long long)places);
	}
	for (uint64_t i = 0; i < places; i++)
		place[i] = i;
	rng_init(&rng, p->seed);
	for (int k = 0; k < PLANT_N; k++) {
		for (uint64_t c = 0; c < count[k]; c++, at++) {
			uint64_t other = at + rng_below(&rng, places - at), chosen = place[other];
			uint64_t lane = chosen / a_lane;

			place[other] = place[at];
			p->fault[at] = (struct plant_fault){.kind = (enum plant_kind)k,
				.producer_id =
					f->first_producer + (uint32_t)(lane / f->n_partitions),
				.partition = f->partitions[lane % f->n_partitions],
				.at_seq = (chosen % a_lane + 1) * SPACING};
			p->fault[at].seq = p->fault[at].at_seq;
		}
	}
	free(place);
	p->n_faults = n;
	qsort(p->fault, n, sizeof(*p->fault), by_place);
	return 0;
}

static void fill_ops(struct plant *p);

int plant_new(const char *spec, const struct plant_field *field, const struct broker_ops *inner,
	struct plant **ret, struct err *e)
{
	struct plant *p = calloc(1, sizeof(*p));
	uint64_t count[PLANT_N] = {0}, n = 0;
	int r;

	if (!p)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->inner = inner;
	p->size = field->size;
	r = parse_spec(spec, count, &p->seed, e);
	for (int k = 0; r == 0 && k < PLANT_N; k++) {
		n += count[k];
		if (n > MAX_FAULTS || count[k] > MAX_FAULTS)
			r = err_set(e, ERR_USAGE, "--plant: at most %u faults", MAX_FAULTS);
	}
	if (r == 0 && count[PLANT_FLIP] && field->size <= ENVELOPE_LEN)
		r = err_set(e, ERR_USAGE,
			"--plant: a message of %zu bytes has no payload to be flipped",
			field->size);
	if (r == 0)
		r = draw(p, field, count, n, e);
	if (r) {
		plant_free(p);
		return r;
	}
	fill_ops(p);
	*ret = p;
	return 0;
}

void plant_free(struct plant *p)
{
	if (!p)
		return;
	free(p->fault);
	free(p);
}

const struct broker_ops *plant_ops(const struct plant *p)
{
	return &p->ops;
}

const struct plant_fault *plant_faults(const struct plant *p, size_t *ret_n)
{
	*ret_n = p->n_faults;
	return p->fault;
}

uint64_t plant_seed(const struct plant *p)
{
	return p->seed;
}

/* The fault that is planned for a message, or NULL. */
static struct plant_fault *fault_of(
	struct plant *p, const struct broker_send *m, struct envelope *env)
{
	struct plant_fault key;
	struct plant_fault *f;

	if (envelope_decode(m->payload, m->len, env) != ENVELOPE_OK)
		return NULL;
	key = (struct plant_fault){.producer_id = env->producer_id,
		.partition = (int32_t)env->partition,
		.at_seq = env->seq};
	f = bsearch(&key, p->fault, p->n_faults, sizeof(key), by_place);
	return f && !f->planted && f->epoch == 0 ? f : NULL;
}

/* ---- sending
 * --------------------------------------------------------------------------------------- */

static uint8_t *own_bytes(struct broker_producer *p, const void *data, size_t len)
{
	struct bytes *b = malloc(sizeof(*b) + len);

	if (!b)
		BUG("out of memory for a fault of %zu bytes", len);
	b->len = len;
	b->next = p->bytes;
	p->bytes = b;
	if (data)
		memcpy(b->data, data, len);
	return b->data;
}

/* Send one now; false: the client's queue is full, nothing has happened. */
static bool send_one(struct broker_producer *p, int32_t partition, struct broker_send *m)
{
	p->plant->inner->producer_send(p->inner, partition, m, 1);
	return m->taken != BROKER_QUEUE_FULL;
}

/* The second half of a fault cannot be taken back: wait for room. */
static void send_surely(struct broker_producer *p, int32_t partition, struct broker_send *m)
{
	int64_t deadline = clock_ns() + SURELY_NS;

	while (!send_one(p, partition, m)) {
		if (clock_ns() >= deadline) {
			m->taken = BROKER_REFUSED_LOCALLY;
			return;
		}
		clock_sleep_ns(NS_PER_MS);
	}
}

/* A record in addition to what the probe sends; its outcome is for us. */
static void send_extra(struct broker_producer *p, int32_t partition, struct plant_fault *f,
	const struct broker_send *like, const uint8_t *data, size_t len)
{
	struct broker_send m = {
		.payload = data, .len = len, .key = like->key, .key_len = like->key_len, .tag = f};

	atomic_fetch_add(&p->extras, 1);
	send_surely(p, partition, &m);
	if (m.taken != BROKER_TAKEN)
		atomic_fetch_sub(&p->extras, 1);
}

/* Acknowledged without an offset, as an idempotent repeat may be. */
static void tell_acked(struct broker_producer *p, void *tag)
{
	pthread_mutex_lock(&p->mutex);
	if (p->n_told == p->cap_told) {
		size_t cap = p->cap_told ? p->cap_told * 2 : 64;
		struct broker_outcome *more = realloc(p->told, cap * sizeof(*more));

		if (!more)
			BUG("out of memory for %zu outcomes", cap);
		p->told = more;
		p->cap_told = cap;
	}
	p->told[p->n_told++] =
		(struct broker_outcome){tag, OUTCOME_ACKED, BROKER_NO_OFFSET, BROKER_NO_NODE, 0};
	pthread_mutex_unlock(&p->mutex);
}

static void turn_bit(struct broker_producer *p, uint8_t *data, size_t from, size_t to)
{
	data[from + rng_below(&p->rng, to - from)] ^= (uint8_t)(1u << rng_below(&p->rng, 8));
}

/* Send a damaged copy in a message's place; the outcome stays the message's. */
static bool send_damaged(
	struct broker_producer *p, int32_t partition, struct plant_fault *f, struct broker_send *m)
{
	enum plant_kind kind = f->kind;
	uint8_t *data = own_bytes(p, m->payload, m->len);
	struct broker_send copy = *m;
	bool sent;

	/* version to checksum: with the magic gone it would be a stranger's record, and not ours */
	if (kind == PLANT_HEADER)
		turn_bit(p, data, 4, 56);
	else if (kind == PLANT_FLIP)
		turn_bit(p, data, ENVELOPE_LEN, m->len);
	else
		copy.len = 8 + rng_below(&p->rng, m->len - 8);
	f->unreadable = kind == PLANT_HEADER || copy.len < ENVELOPE_LEN;
	copy.payload = data;
	sent = send_one(p, partition, &copy);
	m->taken = copy.taken;
	m->code = copy.code;
	return sent;
}

static void send_phantom(struct broker_producer *p, int32_t partition, struct plant_fault *f,
	const struct broker_send *m, struct envelope *env)
{
	uint8_t *data = own_bytes(p, m->payload, m->len);

	if (rng_below(&p->rng, 2))
		env->nonce++;
	else
		env->seq += PHANTOM_SEQ;
	f->seq = env->seq;
	envelope_encode(
		env, envelope_payload_hash(data + ENVELOPE_LEN, m->len - ENVELOPE_LEN), data);
	send_extra(p, partition, f, m, data, m->len);
}

static void send_attempt(struct broker_producer *p, int32_t partition, struct plant_fault *f,
	const struct broker_send *m, struct envelope *env)
{
	uint8_t *data = own_bytes(p, m->payload, m->len);

	env->attempt++;
	envelope_encode(
		env, envelope_payload_hash(data + ENVELOPE_LEN, m->len - ENVELOPE_LEN), data);
	send_extra(p, partition, f, m, data, m->len);
}

static void send_foreign(struct broker_producer *p, int32_t partition, struct plant_fault *f,
	const struct broker_send *m)
{
	uint8_t *data = own_bytes(p, NULL, m->len);

	rng_fill(&p->rng, data, m->len);
	data[0] = '{';
	send_extra(p, partition, f, m, data, m->len);
}

/* Send m[1] and then m[0]. False: the queue is full, nothing has happened. */
static bool send_swapped(struct broker_producer *p, int32_t partition, struct broker_send *m)
{
	if (!send_one(p, partition, &m[1]))
		return false;
	send_surely(p, partition, &m[0]);
	return true;
}

/*
 * Plant f at m[0]; n messages are there in all. Returns how many of them are dealt with; 0: the
 * client's queue is full, and nothing has happened.
 */
static size_t plant_one(struct broker_producer *p, int32_t partition, struct plant_fault *f,
	struct envelope *env, struct broker_send *m, size_t n)
{
	bool instead = f->kind == PLANT_FLIP || f->kind == PLANT_HEADER || f->kind == PLANT_CUT;

	if (f->kind == PLANT_SWAP && n < 2) {
		/* its successor is not at hand: the next one may do */
		if (!send_one(p, partition, m))
			return 0;
		f->seq = ++f->at_seq;
		return 1;
	}
	if (f->kind == PLANT_DROP) {
		m->taken = BROKER_TAKEN;
		tell_acked(p, m->tag);
	} else if (f->kind == PLANT_SWAP) {
		if (!send_swapped(p, partition, m))
			return 0;
	} else if (instead ? !send_damaged(p, partition, f, m) : !send_one(p, partition, m)) {
		return 0;
	}
	f->epoch = env->epoch;
	/* what goes in addition is planted when it is acknowledged */
	f->planted = instead || f->kind == PLANT_DROP || f->kind == PLANT_SWAP;
	if (f->kind == PLANT_REPEAT)
		send_extra(p, partition, f, m, own_bytes(p, m->payload, m->len), m->len);
	else if (f->kind == PLANT_ATTEMPT)
		send_attempt(p, partition, f, m, env);
	else if (f->kind == PLANT_FOREIGN)
		send_foreign(p, partition, f, m);
	else if (f->kind == PLANT_PHANTOM)
		send_phantom(p, partition, f, m, env);
	return f->kind == PLANT_SWAP ? 2 : 1;
}

/* Send [from, to) as it is. Returns where it came to: behind the last message that is dealt with.
 */
static size_t send_plain(struct broker_producer *p, int32_t partition, struct broker_send *msg,
	size_t from, size_t to)
{
	if (from < to)
		p->plant->inner->producer_send(p->inner, partition, msg + from, to - from);
	while (from < to && msg[from].taken != BROKER_QUEUE_FULL)
		from++;
	return from;
}

static size_t planting_send(
	struct broker_producer *p, int32_t partition, struct broker_send *msg, size_t n)
{
	size_t at = 0, taken = 0;
	bool full = false;

	while (at < n && !full) {
		struct plant_fault *f = NULL;
		struct envelope env;
		size_t next = at, came_to;

		while (next < n && !(f = fault_of(p->plant, &msg[next], &env)))
			next++;
		came_to = send_plain(p, partition, msg, at, next);
		full = came_to < next;
		at = came_to;
		if (!full && f) {
			size_t done = plant_one(p, partition, f, &env, msg + at, n - at);

			full = done == 0;
			at += done;
		}
	}
	for (size_t i = 0; i < at; i++)
		taken += msg[i].taken == BROKER_TAKEN;
	for (size_t i = at; i < n; i++)
		msg[i].taken = BROKER_QUEUE_FULL;
	return taken;
}

/* ---- outcomes
 * -------------------------------------------------------------------------------------- */

static size_t take_told(struct broker_producer *p, struct broker_outcome *ret, size_t max)
{
	size_t n;

	pthread_mutex_lock(&p->mutex);
	n = p->n_told < max ? p->n_told : max;
	if (n) {
		memcpy(ret, p->told, n * sizeof(*ret));
		memmove(p->told, p->told + n, (p->n_told - n) * sizeof(*ret));
		p->n_told -= n;
	}
	pthread_mutex_unlock(&p->mutex);
	return n;
}

static bool is_extra(const struct plant *p, const void *tag)
{
	const struct plant_fault *f = tag;

	return f >= p->fault && f < p->fault + p->n_faults;
}

/* Take the answers to what the probe did not send out of the list. */
static size_t keep_probes(struct broker_producer *p, struct broker_outcome *o, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (!is_extra(p->plant, o[i].tag)) {
			o[kept++] = o[i];
			continue;
		}
		((struct plant_fault *)o[i].tag)->planted = o[i].outcome == OUTCOME_ACKED;
		atomic_fetch_sub(&p->extras, 1);
	}
	return kept;
}

static size_t planting_poll(
	struct broker_producer *p, struct broker_outcome *ret, size_t max, int timeout_ms)
{
	size_t n = take_told(p, ret, max);

	if (n < max) {
		size_t more = p->plant->inner->producer_poll(
			p->inner, ret + n, max - n, n ? 0 : timeout_ms);

		n += keep_probes(p, ret + n, more);
	}
	return n;
}

/* ---- the rest is handed through
 * --------------------------------------------------------------------- */

static int planting_open(const struct broker_config *c, struct broker_producer **ret, struct err *e)
{
	struct broker_producer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->plant = c->plant;
	/* every producer damages in its own way, and the same way with the same seed */
	rng_init(&p->rng, c->plant->seed + 1);
	pthread_mutex_init(&p->mutex, NULL);
	r = c->plant->inner->producer_open(c, &p->inner, e);
	if (r) {
		pthread_mutex_destroy(&p->mutex);
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

/* What was sent in addition must be answered, or nobody knows whether it is planted. */
static void wait_for_extras(struct broker_producer *p)
{
	int64_t deadline = clock_ns() + CLOSE_NS;
	struct broker_outcome o;

	while (atomic_load(&p->extras) && clock_ns() < deadline)
		(void)planting_poll(p, &o, 1, 10);
}

static void planting_close(struct broker_producer *p)
{
	if (!p)
		return;
	wait_for_extras(p);
	p->plant->inner->producer_close(p->inner);
	while (p->bytes) {
		struct bytes *next = p->bytes->next;

		free(p->bytes);
		p->bytes = next;
	}
	pthread_mutex_destroy(&p->mutex);
	free(p->told);
	free(p);
}

static void planting_settings(struct broker_producer *p, broker_setting_fn *fn, void *arg)
{
	p->plant->inner->producer_settings(p->inner, fn, arg);
}

static size_t planting_capacity(struct broker_producer *p)
{
	return p->plant->inner->producer_capacity(p->inner);
}

static size_t planting_window(struct broker_producer *p, size_t size, size_t n_partitions)
{
	return p->plant->inner->producer_window(p->inner, size, n_partitions);
}

static void planting_purge(struct broker_producer *p)
{
	p->plant->inner->producer_purge(p->inner);
}

static int planting_fatal(struct broker_producer *p, struct err *e)
{
	return p->plant->inner->producer_fatal(p->inner, e);
}

static void planting_health(struct broker_producer *p, struct broker_health *ret)
{
	p->plant->inner->producer_health(p->inner, ret);
}

static size_t planting_nodes(struct broker_producer *p, struct broker_node *ret, size_t max)
{
	return p->plant->inner->producer_nodes(p->inner, ret, max);
}

static int planting_txn_init(struct broker_producer *p, int64_t timeout_ns, struct err *e)
{
	return p->plant->inner->txn_init(p->inner, timeout_ns, e);
}

static int planting_txn_begin(struct broker_producer *p, struct err *e)
{
	return p->plant->inner->txn_begin(p->inner, e);
}

static int planting_txn_end(struct broker_producer *p, bool commit, int64_t timeout_ns,
	bool *ret_committed, struct err *e)
{
	return p->plant->inner->txn_end(p->inner, commit, timeout_ns, ret_committed, e);
}

static void fill_ops(struct plant *p)
{
	p->ops = *p->inner;
	p->ops.producer_open = planting_open;
	p->ops.producer_settings = planting_settings;
	p->ops.producer_capacity = planting_capacity;
	p->ops.producer_window = planting_window;
	p->ops.producer_send = planting_send;
	p->ops.producer_poll = planting_poll;
	p->ops.producer_purge = planting_purge;
	p->ops.producer_fatal = planting_fatal;
	p->ops.producer_health = planting_health;
	p->ops.producer_nodes = planting_nodes;
	p->ops.producer_close = planting_close;
	if (p->inner->caps & BROKER_CAP_TRANSACTIONS) {
		p->ops.txn_init = planting_txn_init;
		p->ops.txn_begin = planting_txn_begin;
		p->ops.txn_end = planting_txn_end;
	}
}
