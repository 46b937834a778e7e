/*
 * Reading.
 *
 * A queue gives what it has and forgets it once it is acknowledged: an exclusive consumer with manual acks;
 * what it gives is numbered here, and acknowledged when the caller says that it is recorded. When the
 * connection is lost the broker gives again what was not, and numbering goes on.
 *
 * A stream is read by position: a consumer from an offset on, whose acks are only credits and given at once.
 * A number beyond the end is silence, one below the first is the first: each message bears its offset, so a
 * jump is seen; the end is asked for in silence (rabbitmq-facts.md section 4).
 *
 * Questions beside (the bounds of a stream, is a queue empty) go by a second connection without heartbeats, as
 * nobody serves it in between; each of them has a deadline.
 *
 * Reading never waits longer than it is told: a lost connection is made again, and a stream's end asked for, by
 * a thread each, which has its connection to itself until it is joined.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/broker/rabbitmq_lane.h"
#include "core/clock.h"

#define SMALL_PREFETCH 20
#define CONNECT_NS (2 * NS_PER_S)
#define RETRY_MIN_NS (100 * NS_PER_MS)
#define RETRY_MAX_NS (2 * NS_PER_S)
#define ASK_END_NS (2 * NS_PER_S) /* after which a stream's end is asked for again */
/* silence while it is asked: behind the last message, and before the first one of what seems to be empty */
#define SILENCE_MS 300
#define EMPTY_SILENCE_MS 1000
#define BUSY_NS NS_PER_S            /* what was there when it was asked has come by then */
#define OLD_COUNT_NS (6 * NS_PER_S) /* and what a stream said to have, which is up to 5 s old */
#define MAX_CHANNEL 2000            /* RabbitMQ allows 2047 */

/* A message that was given, and is not settled. */
struct given {
	int64_t number;
	uint64_t tag;
	bool by_get; /* of the second connection */
};

/* Something that takes its time, on a thread of its own. What it fills is good after job_join(). */
struct job {
	pthread_t thread;
	bool runs; /* started and not joined */
	atomic_bool done;
	int r;
	struct err e;
	int64_t next;      /* of the reader, when it was started */
	int64_t low, high; /* of a stream */
};

struct broker_reader {
	struct rabbitmq_client client;
	struct rabbitmq_client beside; /* the same without heartbeats */
	int prefetch;
	size_t lane_at, look_at; /* which node each connection tries first */
	struct job attaching;    /* has lane meanwhile */
	struct job asking;       /* has look meanwhile */
	char kind[16];           /* "": not asked yet */
	struct rabbitmq_lane lane;
	struct rabbitmq_lane look; /* its channel: of basic.get */
	bool started;
	bool consuming;
	int64_t next;        /* the next number, or a stream's next offset */
	int64_t retry_at_ns; /* not before */
	int64_t pause_ns;
	uint64_t unacked; /* of a stream: to be acknowledged as credit */
	uint64_t last_tag;
	int64_t heard_ns; /* last message, or start */
	int64_t asked_ns; /* when a stream's end was asked for last */
	bool strayed;     /* it was said then that the next position does not exist */
	bool told_end;
	struct given *given; /* a ring */
	size_t given_first, n_given, cap_given;
	struct rabbitmq_delivery *got; /* by basic.get, not given yet */
	size_t n_got;
	struct broker_health health;
};

static bool is_stream(const struct broker_reader *rd)
{
	return strcmp(rd->kind, "stream") == 0;
}

/* ---- what is given and not settled --------------------------------------------------------------- */

static int remember(struct broker_reader *rd, int64_t number, uint64_t tag, bool by_get)
{
	if (rd->n_given == rd->cap_given) {
		size_t cap = rd->cap_given ? 2 * rd->cap_given : 1024;
		struct given *more = calloc(cap, sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		for (size_t i = 0; i < rd->n_given; i++)
			more[i] = rd->given[(rd->given_first + i) % rd->cap_given];
		free(rd->given);
		rd->given = more;
		rd->given_first = 0;
		rd->cap_given = cap;
	}
	rd->given[(rd->given_first + rd->n_given++) % rd->cap_given] =
		(struct given){number, tag, by_get};
	return 0;
}

/* What one connection gave will be given again. */
static void forget_given(struct broker_reader *rd, bool by_get)
{
	size_t kept = 0;

	/* of a stream: there is nothing, and a thread of ours looks at the number */
	if (rd->n_given == 0)
		return;
	for (size_t i = 0; i < rd->n_given; i++) {
		struct given one = rd->given[(rd->given_first + i) % rd->cap_given];

		if (one.by_get != by_get)
			rd->given[(rd->given_first + kept++) % rd->cap_given] = one;
	}
	rd->n_given = kept;
}

/* ---- connections --------------------------------------------------------------------------------- */

static void lose(struct broker_reader *rd, const char *why)
{
	snprintf(rd->health.last_error, sizeof(rd->health.last_error), "%s", why);
	rd->health.disconnects++;
	rd->health.changes++;
	rabbitmq_lane_reset(&rd->lane);
	rabbitmq_disconnect(&rd->lane.conn, 0);
	forget_given(rd, false);
	rd->consuming = false;
	rd->retry_at_ns = clock_ns() + rd->pause_ns;
	rd->pause_ns = 2 * rd->pause_ns < RETRY_MAX_NS ? 2 * rd->pause_ns : RETRY_MAX_NS;
}

static void drop_got(struct broker_reader *rd)
{
	for (size_t i = 0; i < rd->n_got; i++)
		free(rd->got[i].block);
	rd->n_got = 0;
}

static void close_look(struct broker_reader *rd)
{
	rabbitmq_lane_reset(&rd->look);
	rabbitmq_disconnect(&rd->look.conn, 0);
	rd->look.channel = 0;
}

static void lose_look(struct broker_reader *rd)
{
	close_look(rd);
	forget_given(rd, true);
	drop_got(rd);
}

static int connect_lane(struct broker_reader *rd, int64_t deadline_ns, struct err *e)
{
	if (rd->lane.conn.state && rd->lane.conn.channel >= MAX_CHANNEL)
		rabbitmq_disconnect(&rd->lane.conn, NS_PER_S);
	if (rd->lane.conn.state)
		return 0;
	return rabbitmq_connect_any(&rd->client, &rd->lane_at, deadline_ns, &rd->lane.conn, e);
}

static int connect_look(struct broker_reader *rd, int64_t deadline_ns, struct err *e)
{
	/* not the held messages' connection for the sake of a channel number */
	if (rd->look.conn.state && rd->look.conn.channel >= MAX_CHANNEL && rd->n_given == 0 &&
		rd->n_got == 0)
		close_look(rd);
	if (rd->look.conn.state)
		return 0;
	return rabbitmq_connect_any(&rd->beside, &rd->look_at, deadline_ns, &rd->look.conn, e);
}

static int ask_kind(struct broker_reader *rd, int64_t deadline_ns, struct err *e)
{
	struct rabbitmq_queue q;
	int r;

	if (rd->kind[0])
		return 0;
	r = connect_look(rd, deadline_ns, e);
	if (r == 0)
		r = rabbitmq_ask(&rd->beside, &rd->look.conn, deadline_ns, &q, e);
	if (r)
		lose_look(rd);
	else
		snprintf(rd->kind, sizeof(rd->kind), "%s", q.type);
	return r;
}

/* ---- consumers ----------------------------------------------------------------------------------- */

/* Open a channel and consume; position: of a stream, a number, or (-1) the text. */
static int consume(struct rabbitmq_lane *lane, const char *queue, int prefetch, bool stream,
	int64_t position, const char *text, int64_t deadline_ns, struct err *e)
{
	amqp_table_entry_t offset = {.key = rabbitmq_bytes("x-stream-offset")};
	amqp_table_t arguments = {stream ? 1 : 0, &offset};
	int r = rabbitmq_channel_open(&lane->conn, deadline_ns, e);

	if (r)
		return r;
	rabbitmq_lane_reset(lane);
	lane->channel = lane->conn.channel;
	if (position >= 0) {
		offset.value.kind = AMQP_FIELD_KIND_I64;
		offset.value.value.i64 = position;
	} else {
		offset.value.kind = AMQP_FIELD_KIND_UTF8;
		offset.value.value.bytes = rabbitmq_bytes(text ? text : "first");
	}
	(void)amqp_basic_qos(lane->conn.state, lane->channel, 0, (uint16_t)prefetch, 0);
	r = rabbitmq_reply(&lane->conn, amqp_get_rpc_reply(lane->conn.state), "prefetch", NULL, e);
	if (r)
		return r;
	(void)amqp_basic_consume(lane->conn.state, lane->channel, rabbitmq_bytes(queue),
		amqp_empty_bytes, 0, 0, !stream, arguments);
	return rabbitmq_reply(&lane->conn, amqp_get_rpc_reply(lane->conn.state),
		"the queue cannot be consumed", NULL, e);
}

/* A quorum queue takes a second consumer beside an exclusive one in spite of all: there the count is asked. */
static int check_alone(struct broker_reader *rd, int64_t deadline_ns, struct err *e)
{
	struct rabbitmq_queue q;
	int r;

	if (is_stream(rd))
		return 0;
	r = rabbitmq_look(&rd->client, &rd->lane.conn, deadline_ns, &q, e);
	if (r == 0 && q.consumers)
		r = err_set(e, ERR_EXISTS, "queue '%s' has %llu other consumer%s", rd->client.queue,
			(unsigned long long)q.consumers, q.consumers == 1 ? "" : "s");
	return r;
}

static int attach_here(struct broker_reader *rd, int64_t deadline_ns, struct err *e)
{
	int r = connect_lane(rd, deadline_ns, e);

	if (r == 0)
		r = check_alone(rd, deadline_ns, e);
	if (r == 0)
		r = consume(&rd->lane, rd->client.queue, rd->prefetch, is_stream(rd),
			is_stream(rd) ? rd->next : 0, NULL, deadline_ns, e);
	if (r == ERR_DENIED && strstr(e->msg, "in exclusive use"))
		r = e->code = ERR_EXISTS;
	return r;
}

/* Would another node say the same? */
static bool is_final(int r)
{
	return r == ERR_NOTFOUND || r == ERR_DENIED || r == ERR_EXISTS || r == ERR_STOPPED;
}

/*
 * A stream is read where it has a replica: other nodes say 406. Where it cannot be read for another reason another
 * node is the next to be asked. The job's, or without it the caller's.
 */
static int attach_lane(struct broker_reader *rd, int64_t deadline_ns, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < rd->client.n_nodes; i++) {
		r = attach_here(rd, deadline_ns, e);
		if (r == 0)
			return 0;
		/* connecting goes from node to node by itself */
		if (rd->lane.conn.state && !is_final(r))
			rd->lane_at = (rd->lane_at + 1) % rd->client.n_nodes;
		rabbitmq_disconnect(&rd->lane.conn, 0);
		if (!strstr(e->msg, "replica"))
			break;
	}
	return r;
}

static void attached(struct broker_reader *rd)
{
	rd->health.connects++;
	rd->consuming = true;
	rd->told_end = rd->strayed = false;
	rd->unacked = rd->last_tag = 0;
	rd->asked_ns = clock_ns();
	rd->pause_ns = RETRY_MIN_NS;
}

static void *attach_main(void *arg)
{
	struct broker_reader *rd = arg;

	rd->attaching.r = attach_lane(rd, clock_ns() + CONNECT_NS, &rd->attaching.e);
	atomic_store(&rd->attaching.done, true);
	return NULL;
}

/* Without a thread it is done at once, on ours. */
static void job_start(struct broker_reader *rd, struct job *job, void *(*main)(void *))
{
	job->next = rd->next;
	atomic_store(&job->done, false);
	job->runs = pthread_create(&job->thread, NULL, main, rd) == 0;
	if (!job->runs)
		main(rd);
}

/* Blocks until it is done: CONNECT_NS or a little more. */
static void job_join(struct job *job)
{
	if (job->runs)
		pthread_join(job->thread, NULL);
	job->runs = false;
	atomic_store(&job->done, false);
}

/* Close the consumer's channel: a queue takes back what is not settled. */
static void detach(struct broker_reader *rd)
{
	struct err ignored;
	amqp_rpc_reply_t reply;

	job_join(&rd->attaching);
	rabbitmq_lane_reset(&rd->lane);
	forget_given(rd, false);
	if (!rd->consuming) {
		rabbitmq_disconnect(&rd->lane.conn, 0);
		return;
	}
	rd->consuming = false;
	rabbitmq_rpc_deadline(&rd->lane.conn, clock_ns() + rd->client.timeout_ns);
	reply = amqp_channel_close(rd->lane.conn.state, rd->lane.channel, AMQP_REPLY_SUCCESS);
	if (rabbitmq_reply(&rd->lane.conn, reply, "the channel's end", NULL, &ignored))
		lose(rd, ignored.msg);
	/* what comes on its number now is of no channel of ours */
	rd->lane.channel = 0;
}

int rabbitmq_reader_start(
	struct broker_reader *rd, int32_t partition, int64_t offset, struct err *e)
{
	int64_t deadline_ns = clock_ns() + rd->client.timeout_ns;
	int r;

	(void)partition;
	if (rd->started)
		detach(rd);
	rd->started = false;
	job_join(&rd->asking);
	r = ask_kind(rd, deadline_ns, e);
	rd->next = offset;
	if (r == 0)
		r = attach_lane(rd, deadline_ns, e);
	if (r == 0)
		attached(rd);
	rd->started = r == 0;
	return r;
}

int rabbitmq_reader_stop(struct broker_reader *rd, int32_t partition, struct err *e)
{
	(void)partition;
	(void)e;
	if (rd->started)
		detach(rd);
	rd->started = false;
	return 0;
}

/* ---- reading ------------------------------------------------------------------------------------- */

static void fill(const struct broker_reader *rd, const struct rabbitmq_conn *conn,
	struct rabbitmq_delivery *d, int64_t offset, struct broker_message *ret)
{
	*ret = (struct broker_message){
		.item = BROKER_MESSAGE,
		.offset = offset,
		.payload = d->body,
		.len = d->len,
		.beside = d->beside,
		.beside_len = d->beside_len,
		.stamp_ms = d->stamp_ms,
		.redelivered = d->redelivered,
		.deliveries_before = -1,
		.node = conn->node.id,
		.handle = d->block,
	};
	/* a quorum queue counts; its first delivery has no such header */
	if (strcmp(rd->kind, "quorum") == 0)
		ret->deliveries_before = d->delivery_count > 0 ? (int32_t)d->delivery_count : 0;
}

static size_t tell_error(struct broker_reader *rd, struct broker_message *ret, const struct err *e)
{
	*ret = (struct broker_message){
		.item = BROKER_READ_ERROR,
		.offset = rd->next,
		.text = rd->health.last_error,
		.node = BROKER_NO_NODE,
		.fatal = e->code == ERR_NOTFOUND || e->code == ERR_DENIED,
		.gone = e->code == ERR_NOTFOUND,
	};
	return 1;
}

static size_t tell(struct broker_reader *rd, enum broker_item item, struct broker_message *ret)
{
	*ret = (struct broker_message){
		.item = item, .offset = rd->next, .node = BROKER_NO_NODE, .deliveries_before = -1};
	return 1;
}

/* The position does not exist (any more): who reads decides where to go. */
static size_t out_of_range(struct broker_reader *rd, struct broker_message *ret)
{
	detach(rd);
	rd->started = false;
	return tell(rd, BROKER_OUT_OF_RANGE, ret);
}

static int give_credit(struct broker_reader *rd, bool all)
{
	if (rd->unacked == 0 || (!all && rd->unacked < (uint64_t)rd->prefetch / 4))
		return AMQP_STATUS_OK;
	rd->unacked = 0;
	return amqp_basic_ack(rd->lane.conn.state, rd->lane.channel, rd->last_tag, 1);
}

/* Returns how many items it makes: 0 or 1. */
static size_t take_of_stream(
	struct broker_reader *rd, struct rabbitmq_delivery *d, struct broker_message *ret)
{
	rd->last_tag = d->tag;
	rd->unacked++;
	if (d->stream_offset < rd->next) {
		/* the chunk's beginning, or no offset at all */
		free(d->block);
		return 0;
	}
	if (d->stream_offset > rd->next) {
		free(d->block);
		return out_of_range(rd, ret);
	}
	fill(rd, &rd->lane.conn, d, rd->next, ret);
	rd->next++;
	return 1;
}

static size_t take_of_queue(struct broker_reader *rd, struct rabbitmq_delivery *d, bool by_get,
	struct broker_message *ret)
{
	if (remember(rd, rd->next, d->tag, by_get))
		BUG("out of memory for what is not settled");
	fill(rd, by_get ? &rd->look.conn : &rd->lane.conn, d, rd->next, ret);
	rd->next++;
	return 1;
}

static size_t give_got(struct broker_reader *rd, struct broker_message *ret, size_t max)
{
	size_t n = rd->n_got < max ? rd->n_got : max;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		take_of_queue(rd, &rd->got[i], true, &ret[i]);
	memmove(rd->got, rd->got + n, (rd->n_got - n) * sizeof(*rd->got));
	rd->n_got -= n;
	return n;
}

static int stream_bounds(struct broker_reader *rd, int64_t deadline_ns, int64_t *ret_low,
	int64_t *ret_high, struct err *e);

static void *ask_main(void *arg)
{
	struct broker_reader *rd = arg;

	rd->asking.r = stream_bounds(
		rd, clock_ns() + CONNECT_NS, &rd->asking.low, &rd->asking.high, &rd->asking.e);
	atomic_store(&rd->asking.done, true);
	return NULL;
}

/*
 * A stream is silent: at its end, or beyond it. Returns 0 or 1 items. An end that cannot be asked for now is
 * asked for again.
 */
static size_t look_at_end(struct broker_reader *rd, struct broker_message *ret)
{
	struct job *job = &rd->asking;
	int64_t now = clock_ns();

	if (!job->runs && !atomic_load(&job->done)) {
		if ((rd->told_end || rd->strayed) && now - rd->asked_ns < ASK_END_NS)
			return 0;
		rd->asked_ns = now;
		job_start(rd, job, ask_main);
	}
	if (!atomic_load(&job->done))
		return 0;
	job_join(job);
	/* what came meanwhile makes it old */
	if (job->r || job->next != rd->next)
		return 0;
	/* said twice: who is asked may lag behind the replica that was read */
	if (job->high < rd->next || job->low > rd->next) {
		if (rd->strayed)
			return out_of_range(rd, ret);
		rd->strayed = true;
		rd->told_end = false;
		return 0;
	}
	rd->strayed = false;
	if (job->high > rd->next || rd->told_end)
		return 0;
	rd->told_end = true;
	return tell(rd, BROKER_END, ret);
}

static void wait_for(const atomic_bool *done, int timeout_ms)
{
	int64_t until = clock_ns() + timeout_ms * NS_PER_MS;

	while (!atomic_load(done) && clock_ns() < until)
		clock_sleep_ns(NS_PER_MS);
}

static size_t try_again(struct broker_reader *rd, struct broker_message *ret, int timeout_ms)
{
	struct job *job = &rd->attaching;
	int64_t wait_ns = rd->retry_at_ns - clock_ns();

	if (!job->runs && !atomic_load(&job->done)) {
		if (wait_ns > timeout_ms * NS_PER_MS) {
			clock_sleep_ns(timeout_ms * NS_PER_MS);
			return 0;
		}
		clock_sleep_ns(wait_ns);
		job_start(rd, job, attach_main);
	}
	wait_for(&job->done, timeout_ms);
	if (!atomic_load(&job->done))
		return 0;
	job_join(job);
	if (job->r == 0) {
		attached(rd);
		return 0;
	}
	/* our own consumer of before may not be gone yet */
	if (job->e.code == ERR_EXISTS)
		job->e.code = ERR_BROKER_AWAY;
	lose(rd, job->e.msg);
	rd->health.disconnects--;
	return tell_error(rd, ret, &job->e);
}

static size_t read_some(
	struct broker_reader *rd, struct broker_message *ret, size_t max, int timeout_ms)
{
	struct rabbitmq_delivery d;
	struct err e;
	size_t n = 0;
	int r = 0;

	while (r == 0 && n < max && rd->consuming) {
		r = rabbitmq_lane_next(&rd->lane, n ? 0 : timeout_ms, &d, &e);
		if (r)
			break;
		rd->told_end = rd->strayed = false;
		n += is_stream(rd) ? take_of_stream(rd, &d, &ret[n])
				   : take_of_queue(rd, &d, false, &ret[n]);
		if (is_stream(rd) && rd->consuming && give_credit(rd, false) != AMQP_STATUS_OK)
			r = err_set(&e, ERR_BROKER_AWAY, "the connection is lost");
	}
	rd->health.snapshots++;
	if (r == 0 || r == ERR_TIMEOUT)
		return n;
	lose(rd, e.msg);
	/* in what was read there may be no room: the next call tries again, and tells if that fails */
	return n < max ? n + tell_error(rd, &ret[n], &e) : n;
}

size_t rabbitmq_reader_read(
	struct broker_reader *rd, struct broker_message *ret, size_t max, int timeout_ms)
{
	size_t n = give_got(rd, ret, max);

	if (n)
		return n;
	if (!rd->started) {
		clock_sleep_ns(timeout_ms * NS_PER_MS);
		return 0;
	}
	if (!rd->consuming)
		return try_again(rd, ret, timeout_ms);
	n = read_some(rd, ret, max, timeout_ms);
	if (n == 0 && rd->consuming && is_stream(rd)) {
		/* nothing more comes at once: the rest of the credit */
		if (give_credit(rd, true) == AMQP_STATUS_OK)
			n = look_at_end(rd, ret);
		else
			lose(rd, "the connection is lost");
	}
	return n;
}

void rabbitmq_reader_release(struct broker_reader *rd, struct broker_message *msg, size_t n)
{
	(void)rd;
	for (size_t i = 0; i < n; i++)
		free(msg[i].handle);
}

/* ---- settling ------------------------------------------------------------------------------------ */

int rabbitmq_reader_settle(
	struct broker_reader *rd, int32_t partition, int64_t offset, struct err *e)
{
	uint64_t tag[2] = {0, 0};
	int status = AMQP_STATUS_OK;

	(void)partition;
	(void)e;
	while (rd->n_given && rd->given[rd->given_first].number < offset) {
		const struct given *one = &rd->given[rd->given_first];

		/* an old tag after a later one would be an error that closes the channel: tags only grow */
		tag[one->by_get] = one->tag;
		rd->given_first = (rd->given_first + 1) % rd->cap_given;
		rd->n_given--;
	}
	if (tag[0] && rd->consuming)
		status = amqp_basic_ack(rd->lane.conn.state, rd->lane.channel, tag[0], 1);
	if (status != AMQP_STATUS_OK)
		lose(rd, "the connection is lost while settling");
	if (tag[1] && rd->look.conn.state &&
		amqp_basic_ack(rd->look.conn.state, rd->look.channel, tag[1], 1) != AMQP_STATUS_OK)
		lose_look(rd);
	/* what the broker did not hear it gives again: reading goes on, and tells of the connection */
	return 0;
}

size_t rabbitmq_reader_ahead(const struct broker_reader *rd)
{
	return (size_t)rd->prefetch;
}

/* ---- questions beside ---------------------------------------------------------------------------- */

static int open_get_channel(struct broker_reader *rd, int64_t deadline_ns, struct err *e)
{
	int r = connect_look(rd, deadline_ns, e);

	if (r || rd->look.channel)
		return r;
	r = rabbitmq_channel_open(&rd->look.conn, deadline_ns, e);
	if (r == 0)
		rd->look.channel = rd->look.conn.channel;
	return r;
}

static int get_one(
	struct broker_reader *rd, int64_t deadline_ns, struct rabbitmq_delivery *ret, struct err *e)
{
	amqp_basic_get_t get = {.queue = rabbitmq_bytes(rd->client.queue), .no_ack = 0};
	int status, r = open_get_channel(rd, deadline_ns, e);

	if (r)
		return r;
	status = amqp_send_method(
		rd->look.conn.state, rd->look.channel, AMQP_BASIC_GET_METHOD, &get);
	if (status != AMQP_STATUS_OK)
		return rabbitmq_status(&rd->look.conn, status, "the connection is lost", e);
	r = rabbitmq_lane_next(&rd->look, clock_left_ms(deadline_ns), ret, e);
	if (r == ERR_TIMEOUT)
		r = err_set(e, ERR_BROKER_AWAY, "the queue did not answer in time (%s:%d)",
			rd->look.conn.node.host, rd->look.conn.node.port);
	return r;
}

int rabbitmq_reader_is_empty(
	struct broker_reader *rd, int32_t partition, bool *ret_empty, struct err *e)
{
	int64_t deadline_ns = clock_ns() + rd->client.timeout_ns;
	struct rabbitmq_delivery d, *more;
	bool old = rd->look.conn.state != NULL;
	int r;

	(void)partition;
	job_join(&rd->asking);
	r = ask_kind(rd, deadline_ns, e);
	if (r == 0 && is_stream(rd))
		r = err_set(e, ERR_USAGE, "a stream is read by position");
	if (r)
		return r;
	more = realloc(rd->got, (rd->n_got + 1) * sizeof(*rd->got));
	if (!more)
		return err_set(e, ERR_NOMEM, "out of memory");
	rd->got = more;
	r = get_one(rd, deadline_ns, &d, e);
	/* a connection that nobody used for long may have died unseen */
	if (r && old) {
		lose_look(rd);
		r = get_one(rd, deadline_ns, &d, e);
	}
	if (r) {
		lose_look(rd);
		return r;
	}
	*ret_empty = d.empty;
	if (!d.empty)
		rd->got[rd->n_got++] = d;
	return 0;
}

static int next_of(struct rabbitmq_lane *lane, int timeout_ms, int64_t *ret_offset, struct err *e)
{
	struct rabbitmq_delivery d;
	int r = rabbitmq_lane_next(lane, timeout_ms, &d, e);

	if (r)
		return r;
	free(d.block);
	*ret_offset = d.stream_offset;
	if (amqp_basic_ack(lane->conn.state, lane->channel, d.tag, 0) != AMQP_STATUS_OK)
		return err_set(e, ERR_BROKER_AWAY, "the connection is lost");
	return 0;
}

/* How long to wait for the message behind `last`. Below `expected` silence is no end. */
static int patience_ms(int64_t begun_ns, int64_t last, int64_t expected, int64_t deadline_ns)
{
	int64_t until_ns = begun_ns + (last < expected ? OLD_COUNT_NS : BUSY_NS);
	int silence_ms = last < 0 ? EMPTY_SILENCE_MS : SILENCE_MS, left_ms;

	left_ms = clock_left_ms(until_ns < deadline_ns ? until_ns : deadline_ns);
	return last >= expected && silence_ms < left_ms ? silence_ms : left_ms;
}

/*
 * The first and the last offset that a consumer from `text` on is given before it is silent; -1: nothing is there.
 * only_first: no more than that.
 */
static int read_from(struct broker_reader *rd, const char *text, bool only_first, int64_t expected,
	int64_t deadline_ns, int64_t *ret_first, int64_t *ret_last, struct err *e)
{
	struct rabbitmq_lane *lane = &rd->look;
	int64_t begun_ns;
	int r = consume(
		lane, rd->client.queue, only_first ? 1 : 1000, true, -1, text, deadline_ns, e);

	*ret_first = *ret_last = -1;
	begun_ns = clock_ns();
	while (r == 0 && !(only_first && *ret_first >= 0)) {
		int left_ms = patience_ms(begun_ns, *ret_last, expected, deadline_ns);

		if (left_ms == 0)
			break;
		r = next_of(lane, left_ms, ret_last, e);
		if (r == 0 && *ret_first < 0)
			*ret_first = *ret_last;
	}
	if (r == ERR_TIMEOUT)
		r = 0;
	if (r == 0) {
		rabbitmq_rpc_deadline(&lane->conn, deadline_ns);
		r = rabbitmq_reply(&lane->conn,
			amqp_channel_close(lane->conn.state, lane->channel, AMQP_REPLY_SUCCESS),
			"the channel's end", NULL, e);
	}
	lane->channel = 0;
	rabbitmq_lane_reset(lane);
	return r;
}

/*
 * The first offset is that of the first message; the end that of the last one that a consumer from "last" on
 * is given before it is silent. How many messages the stream says that it has is some seconds old (3.10.8: its
 * metrics of every 5 s): it can say that silence is not the end, and never that there is nothing more.
 */
static int ask_bounds(struct broker_reader *rd, int64_t deadline_ns, int64_t *ret_low,
	int64_t *ret_high, struct err *e)
{
	int64_t low, high, ignored, ready;
	struct rabbitmq_queue q;
	int r = connect_look(rd, deadline_ns, e);

	if (r == 0)
		r = rabbitmq_look(&rd->beside, &rd->look.conn, deadline_ns, &q, e);
	if (r)
		return r;
	ready = (int64_t)q.ready;
	r = read_from(rd, "first", true, ready ? 0 : -1, deadline_ns, &low, &ignored, e);
	if (r == 0 && low < 0) {
		*ret_low = *ret_high = 0;
		return 0;
	}
	if (r == 0)
		r = read_from(rd, "last", false, low + ready - 1, deadline_ns, &ignored, &high, e);
	if (r)
		return r;
	*ret_low = low;
	*ret_high = (high < low ? low : high) + 1;
	return 0;
}

static int stream_bounds(struct broker_reader *rd, int64_t deadline_ns, int64_t *ret_low,
	int64_t *ret_high, struct err *e)
{
	bool old = rd->look.conn.state != NULL;
	int r = 0;

	for (size_t i = 0; i <= rd->client.n_nodes; i++) {
		r = ask_bounds(rd, deadline_ns, ret_low, ret_high, e);
		if (r == 0)
			return 0;
		/* connecting goes from node to node by itself */
		if (rd->look.conn.state)
			rd->look_at = (rd->look_at + 1) % rd->client.n_nodes;
		/* on a thread of its own: what was given is not its business */
		close_look(rd);
		if (!old && !strstr(e->msg, "replica"))
			break;
		old = false;
	}
	return r;
}

int rabbitmq_reader_bounds(struct broker_reader *rd, int32_t partition, int64_t *ret_low,
	int64_t *ret_high, struct err *e)
{
	int64_t deadline_ns = clock_ns() + rd->client.timeout_ns;
	int r;

	(void)partition;
	job_join(&rd->asking);
	r = ask_kind(rd, deadline_ns, e);
	if (r == 0 && !is_stream(rd))
		r = err_set(e, ERR_USAGE, "queue '%s' has no positions", rd->client.queue);
	return r ? r : stream_bounds(rd, deadline_ns, ret_low, ret_high, e);
}

/* ---- from outside -------------------------------------------------------------------------------- */

int rabbitmq_reader_open(const struct broker_config *c, enum broker_isolation isolation, bool small,
	struct broker_reader **ret, struct err *e)
{
	struct broker_reader *rd = calloc(1, sizeof(*rd));
	int r;

	(void)isolation; /* there are no transactions here that a reader could see half of */
	if (!rd)
		return err_set(e, ERR_NOMEM, "out of memory");
	rd->lane.conn.fd = rd->look.conn.fd = -1;
	rd->pause_ns = RETRY_MIN_NS;
	r = rabbitmq_client_init(c, c->consumer ? c->consumer : c->props, &rd->client, e);
	rd->beside = rd->client;
	rd->beside.settings.heartbeat_s = 0;
	rd->prefetch = small ? SMALL_PREFETCH : rd->client.settings.prefetch;
	if (r)
		rabbitmq_reader_close(rd);
	else
		*ret = rd;
	return r;
}

void rabbitmq_reader_health(struct broker_reader *rd, struct broker_health *ret)
{
	*ret = rd->health;
}

void rabbitmq_reader_close(struct broker_reader *rd)
{
	if (!rd)
		return;
	job_join(&rd->attaching);
	job_join(&rd->asking);
	rabbitmq_lane_reset(&rd->lane);
	rabbitmq_lane_reset(&rd->look);
	/* in order, so that the last acks arrive */
	rabbitmq_disconnect(&rd->lane.conn, rd->consuming ? NS_PER_S : 0);
	rabbitmq_disconnect(&rd->look.conn, NS_PER_S);
	drop_got(rd);
	free(rd->got);
	free(rd->given);
	rabbitmq_client_release(&rd->client);
	rabbitmq_client_release(&rd->beside);
	free(rd);
}
