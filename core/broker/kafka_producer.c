/* Sending: batches to explicit partitions, outcomes as events on the poller's thread, transactions. */
#include <stdlib.h>
#include <string.h>

#include "core/broker/kafka.h"
#include "core/clock.h"
#include "core/props.h"

#define MAX_BATCH 1000
/* Measured (one partition, 100 B and 1 KiB): 2 cost up to a third of the rate, 4 up to twice the CPU of 3. */
#define WINDOW_BATCHES 3

struct broker_producer {
	struct kafka_client client;
	rd_kafka_queue_t *queue; /* the main queue: delivery reports, errors, statistics */
	bool without_acks;       /* acks=0: no broker ever says yes */
	size_t capacity;
	size_t batch_messages, batch_bytes; /* what is in a full batch, at most */
	bool narrow; /* a wider window than a few batches a partition would do harm */
	/* an event that holds more reports than the caller had room for */
	rd_kafka_event_t *event;
	const rd_kafka_message_t **report;
	size_t n_reports, at_report, cap_reports;
	rd_kafka_message_t batch[MAX_BATCH]; /* the sending thread's */
};

static size_t number(struct kafka_client *c, const char *name, size_t otherwise)
{
	char text[64];
	unsigned long long n = 0;

	if (kafka_setting(c, name, text, sizeof(text)))
		n = strtoull(text, NULL, 10);
	return n ? (size_t)n : otherwise;
}

/*
 * An idempotent producer has at most five requests of a partition under way
 * (RD_KAFKA_IDEMP_MAX_INFLIGHT). While more of the partition waits than fits into them, the broker's
 * thread of librdkafka does not sleep: its wake-up time is that of a message which it may not send
 * (rd_kafka_toppar_producer_serve() and rd_kafka_msgq_allow_wakeup_at(), librdkafka 2.0.2).
 */
static void read_queue_settings(struct broker_producer *p, const struct props *props)
{
	char text[16];
	size_t bytes = number(&p->client, "batch.size", 1000000);
	size_t largest = number(&p->client, "message.max.bytes", 1000000);

	p->capacity = number(&p->client, "queue.buffering.max.messages", 100000);
	p->batch_messages = number(&p->client, "batch.num.messages", 10000);
	p->batch_bytes = bytes < largest ? bytes : largest;
	p->narrow = kafka_setting(&p->client, "enable.idempotence", text, sizeof(text)) &&
		    strcmp(text, "true") == 0 &&
		    !(props && props_get(props, "queue.buffering.max.messages"));
}

int kafka_producer_open(const struct broker_config *c, struct broker_producer **ret, struct err *e)
{
	struct broker_producer *p = calloc(1, sizeof(*p));
	char text[64];
	int r;

	if (!p)
		return err_set(e, ERR_NOMEM, "out of memory");
	r = kafka_client_open(c, KAFKA_PRODUCER, NULL, &p->client, e);
	if (r) {
		free(p);
		return r;
	}
	p->queue = rd_kafka_queue_get_main(p->client.rk);
	read_queue_settings(p, c->props);
	if (kafka_setting(&p->client, "request.required.acks", text, sizeof(text)))
		p->without_acks = strcmp(text, "0") == 0;
	*ret = p;
	return 0;
}

void kafka_producer_settings(struct broker_producer *p, broker_setting_fn *fn, void *arg)
{
	kafka_settings(&p->client, fn, arg);
}

size_t kafka_producer_capacity(struct broker_producer *p)
{
	return p->capacity;
}

size_t kafka_producer_window(struct broker_producer *p, size_t size, size_t n_partitions)
{
	size_t batch = p->batch_bytes / (size ? size : 1);
	size_t window;

	if (!p->narrow)
		return p->capacity;
	if (batch > p->batch_messages)
		batch = p->batch_messages;
	window = WINDOW_BATCHES * (batch ? batch : 1) * n_partitions;
	return window < p->capacity ? window : p->capacity;
}

static size_t send_some(
	struct broker_producer *p, int32_t partition, struct broker_send *msg, size_t n, bool *full)
{
	size_t taken = 0;

	for (size_t i = 0; i < n; i++) {
		p->batch[i] = (rd_kafka_message_t){
			.payload = (void *)(uintptr_t)msg[i].payload,
			.len = msg[i].len,
			.key = (void *)(uintptr_t)msg[i].key,
			.key_len = msg[i].key_len,
			._private = msg[i].tag,
		};
	}
	/* no flag: the payload is ours and stays in its slot until the report (cheapest, measured) */
	rd_kafka_produce_batch(p->client.topic, partition, 0, p->batch, (int)n);
	for (size_t i = 0; i < n; i++) {
		rd_kafka_resp_err_t code = p->batch[i].err;

		msg[i].code = (int)code;
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
			msg[i].taken = BROKER_TAKEN;
			taken++;
		} else if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
			/* sticky inside one call: nothing behind it was taken (rd_kafka_produce_batch, 2.0.2) */
			msg[i].taken = BROKER_QUEUE_FULL;
			*full = true;
		} else {
			msg[i].taken = BROKER_REFUSED_LOCALLY;
		}
	}
	return taken;
}

size_t kafka_producer_send(
	struct broker_producer *p, int32_t partition, struct broker_send *msg, size_t n)
{
	size_t taken = 0;
	bool full = false;

	for (size_t at = 0; at < n; at += MAX_BATCH) {
		size_t some = n - at < MAX_BATCH ? n - at : MAX_BATCH;

		if (full) {
			for (size_t i = at; i < n; i++) {
				msg[i].taken = BROKER_QUEUE_FULL;
				msg[i].code = RD_KAFKA_RESP_ERR__QUEUE_FULL;
			}
			break;
		}
		taken += send_some(p, partition, msg + at, some, &full);
	}
	return taken;
}

/*
 * What a delivery report means. The error code alone decides nothing: _MSG_TIMED_OUT and _PURGE_QUEUE
 * come with either status. NOT_PERSISTED never lied (0 of 35,788 such messages were in the log).
 */
static enum outcome classify(const struct broker_producer *p, const rd_kafka_message_t *m)
{
	rd_kafka_msg_status_t status = rd_kafka_message_status(m);

	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (p->without_acks || status != RD_KAFKA_MSG_STATUS_PERSISTED)
			return OUTCOME_UNCONFIRMED;
		return OUTCOME_ACKED;
	}
	return status == RD_KAFKA_MSG_STATUS_NOT_PERSISTED ? OUTCOME_REFUSED : OUTCOME_UNKNOWN;
}

static size_t take_reports(struct broker_producer *p, struct broker_outcome *ret, size_t max)
{
	size_t n = 0;

	while (n < max && p->at_report < p->n_reports) {
		const rd_kafka_message_t *m = p->report[p->at_report++];
		enum outcome o = classify(p, m);
		bool placed = o == OUTCOME_ACKED && m->offset >= 0;

		ret[n++] = (struct broker_outcome){
			.tag = m->_private,
			.outcome = o,
			.offset = placed ? m->offset : BROKER_NO_OFFSET,
			.node = o == OUTCOME_ACKED ? rd_kafka_message_broker_id(m) : BROKER_NO_NODE,
			.code = (int)m->err,
		};
	}
	if (p->event && p->at_report == p->n_reports) {
		rd_kafka_event_destroy(p->event);
		p->event = NULL;
	}
	return n;
}

static void take_event(struct broker_producer *p, rd_kafka_event_t *ev)
{
	const char *stats;
	size_t count;

	switch (rd_kafka_event_type(ev)) {
	case RD_KAFKA_EVENT_DR:
		count = rd_kafka_event_message_count(ev);
		if (count > p->cap_reports) {
			const rd_kafka_message_t **more = realloc(p->report, count * sizeof(*more));

			if (!more)
				BUG("out of memory for %zu delivery reports", count);
			p->report = more;
			p->cap_reports = count;
		}
		p->n_reports = rd_kafka_event_message_array(ev, p->report, count);
		p->at_report = 0;
		p->event = ev;
		return;
	case RD_KAFKA_EVENT_ERROR:
		kafka_watch_error(&p->client.watch, rd_kafka_event_error(ev),
			rd_kafka_event_error_string(ev));
		break;
	case RD_KAFKA_EVENT_STATS:
		stats = rd_kafka_event_stats(ev);
		kafka_watch_stats(&p->client.watch, stats, strlen(stats));
		break;
	default:
		break;
	}
	rd_kafka_event_destroy(ev);
}

size_t kafka_producer_poll(
	struct broker_producer *p, struct broker_outcome *ret, size_t max, int timeout_ms)
{
	size_t n = take_reports(p, ret, max);

	while (n < max) {
		rd_kafka_event_t *ev = rd_kafka_queue_poll(p->queue, n ? 0 : timeout_ms);

		if (!ev)
			break;
		take_event(p, ev);
		n += take_reports(p, ret + n, max - n);
		timeout_ms = 0;
	}
	return n;
}

void kafka_producer_purge(struct broker_producer *p)
{
	rd_kafka_purge(p->client.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

int kafka_producer_fatal(struct broker_producer *p, struct err *e)
{
	char text[512];
	rd_kafka_resp_err_t code = rd_kafka_fatal_error(p->client.rk, text, sizeof(text));

	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	return err_set(
		e, ERR_BROKER, "the producer cannot go on: %s: %s", rd_kafka_err2name(code), text);
}

void kafka_producer_health(struct broker_producer *p, struct broker_health *ret)
{
	kafka_watch_health(&p->client.watch, ret);
}

size_t kafka_producer_nodes(struct broker_producer *p, struct broker_node *ret, size_t max)
{
	struct kafka_watch *w = &p->client.watch;
	size_t n;

	pthread_mutex_lock(&w->mutex);
	n = w->n_nodes < max ? w->n_nodes : max;
	memcpy(ret, w->node, n * sizeof(*ret));
	pthread_mutex_unlock(&w->mutex);
	return n;
}

static int txn_result(
	struct broker_producer *p, rd_kafka_error_t *error, const char *what, struct err *e)
{
	rd_kafka_resp_err_t code;
	int r;

	if (!error)
		return 0;
	code = rd_kafka_error_code(error);
	r = kafka_error(&p->client, code, what, e);
	err_wrap(e, "%s", rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return r;
}

static int ms(int64_t timeout_ns)
{
	return timeout_ns < 0 ? -1 : (int)((timeout_ns + NS_PER_MS - 1) / NS_PER_MS);
}

int kafka_txn_init(struct broker_producer *p, int64_t timeout_ns, struct err *e)
{
	return txn_result(p, rd_kafka_init_transactions(p->client.rk, ms(timeout_ns)),
		"start of transactions", e);
}

int kafka_txn_begin(struct broker_producer *p, struct err *e)
{
	return txn_result(p, rd_kafka_begin_transaction(p->client.rk), "begin of a transaction", e);
}

int kafka_txn_end(struct broker_producer *p, bool commit, int64_t timeout_ns, bool *ret_committed,
	struct err *e)
{
	rd_kafka_error_t *error;
	bool must_abort;

	*ret_committed = false;
	if (!commit)
		return txn_result(p, rd_kafka_abort_transaction(p->client.rk, ms(timeout_ns)),
			"abort of a transaction", e);
	error = rd_kafka_commit_transaction(p->client.rk, ms(timeout_ns));
	if (!error) {
		*ret_committed = true;
		return 0;
	}
	must_abort = rd_kafka_error_txn_requires_abort(error);
	if (!must_abort)
		return txn_result(p, error, "commit of a transaction", e);
	/* the broker answered: not committed, and the application has to abort it */
	rd_kafka_error_destroy(error);
	return txn_result(p, rd_kafka_abort_transaction(p->client.rk, ms(timeout_ns)),
		"abort of a transaction that could not be committed", e);
}

void kafka_producer_close(struct broker_producer *p)
{
	if (!p)
		return;
	if (p->event)
		rd_kafka_event_destroy(p->event);
	if (p->queue)
		rd_kafka_queue_destroy(p->queue);
	kafka_client_close(&p->client);
	free(p->report);
	free(p);
}

/* One event of a fence's client. Returns 0, or what makes waiting on vain. */
static int fence_event(
	struct kafka_client *client, rd_kafka_event_t *ev, size_t *acked, struct err *e)
{
	const rd_kafka_message_t *report;

	if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR) {
		kafka_watch_error(
			&client->watch, rd_kafka_event_error(ev), rd_kafka_event_error_string(ev));
		return client->watch.denied
			       ? kafka_error(client, rd_kafka_event_error(ev), "the fence", e)
			       : 0;
	}
	if (rd_kafka_event_type(ev) != RD_KAFKA_EVENT_DR)
		return 0;
	while ((report = rd_kafka_event_message_next(ev))) {
		struct broker_fence *f = report->_private;

		if (report->err)
			return kafka_error(client, report->err, "the fence", e);
		f->acked = true;
		f->offset = report->offset;
		(*acked)++;
	}
	return 0;
}

int kafka_fence(const struct broker_config *c, struct broker_fence *fence, size_t n,
	int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	struct kafka_client client;
	rd_kafka_queue_t *queue;
	size_t acked = 0;
	int r = kafka_client_open(c, KAFKA_FENCE, NULL, &client, e);

	if (r)
		return r;
	queue = rd_kafka_queue_get_main(client.rk);
	for (size_t i = 0; r == 0 && i < n; i++) {
		rd_kafka_message_t m = {.payload = (void *)(uintptr_t)fence[i].payload,
			.len = fence[i].len,
			.key = (void *)(uintptr_t)fence[i].key,
			.key_len = fence[i].key_len,
			._private = &fence[i]};

		fence[i].acked = false;
		fence[i].offset = BROKER_NO_OFFSET;
		rd_kafka_produce_batch(
			client.topic, fence[i].partition, RD_KAFKA_MSG_F_COPY, &m, 1);
		if (m.err)
			r = kafka_error(&client, m.err, "the fence", e);
	}
	while (r == 0 && acked < n) {
		rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, clock_left_ms(deadline));

		if (ev) {
			r = fence_event(&client, ev, &acked, e);
			rd_kafka_event_destroy(ev);
		} else if (clock_ns() >= deadline) {
			r = kafka_error(&client, RD_KAFKA_RESP_ERR__TIMED_OUT, "the fence", e);
		}
	}
	rd_kafka_queue_destroy(queue);
	kafka_client_close(&client);
	return r;
}
