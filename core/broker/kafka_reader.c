/* Reading by position: no group, nothing committed, all partitions in one queue. */
#include <stdlib.h>
#include <string.h>

#include "core/broker/kafka.h"
#include "core/clock.h"
#include "core/envelope.h"

#define MAX_BATCH 1000
#define LIBRARY_READ_AHEAD                                                                         \
	((size_t)64 << 20) /* queued.max.messages.kbytes when nobody says otherwise */
#define WAKE_MS 1000

struct broker_reader {
	struct kafka_client client;
	rd_kafka_queue_t *queue;
	size_t n_started;
	uint8_t *started; /* by partition */
	int64_t next_serve_ns;
	size_t read_ahead; /* payload bytes, with which the library's queue is full */
	bool was_full;
	size_t next_wake; /* partition */
	rd_kafka_message_t *batch[MAX_BATCH];
};

int kafka_reader_open(const struct broker_config *c, enum broker_isolation isolation, bool small,
	struct broker_reader **ret, struct err *e)
{
	struct broker_reader *rd = calloc(1, sizeof(*rd));
	enum kafka_client_role role = small ? KAFKA_SMALL_READER : KAFKA_READER;
	struct broker_config own = *c;
	int r;

	if (!rd)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (own.consumer)
		own.props = own.consumer;
	if (isolation == BROKER_COMMITTED)
		role = KAFKA_COMMITTED_READER;
	r = kafka_client_open(&own, role, NULL, &rd->client, e);
	if (r) {
		free(rd);
		return r;
	}
	rd->queue = rd_kafka_queue_new(rd->client.rk);
	rd->read_ahead = c->read_ahead ? c->read_ahead : LIBRARY_READ_AHEAD;
	*ret = rd;
	return 0;
}

static int remember(struct broker_reader *rd, int32_t partition)
{
	size_t need = (size_t)partition + 1;
	uint8_t *more;

	if (need <= rd->n_started)
		return 0;
	more = realloc(rd->started, need);
	if (!more)
		return ERR_NOMEM;
	memset(more + rd->n_started, 0, need - rd->n_started);
	rd->started = more;
	rd->n_started = need;
	return 0;
}

int kafka_reader_stop(struct broker_reader *rd, int32_t partition, struct err *e)
{
	if ((size_t)partition >= rd->n_started || !rd->started[partition])
		return 0;
	rd->started[partition] = 0;
	if (rd_kafka_consume_stop(rd->client.topic, partition) != 0)
		return kafka_error(&rd->client, rd_kafka_last_error(), "stop of reading", e);
	return 0;
}

int kafka_reader_start(struct broker_reader *rd, int32_t partition, int64_t offset, struct err *e)
{
	int r = remember(rd, partition);

	if (r)
		return err_set(e, r, "out of memory");
	/* stop and start rather than seek: the library then drops what is queued of the old position */
	r = kafka_reader_stop(rd, partition, e);
	if (r)
		return r;
	if (rd_kafka_consume_start_queue(rd->client.topic, partition, offset, rd->queue) != 0)
		return kafka_error(&rd->client, rd_kafka_last_error(), "start of reading", e);
	rd->started[partition] = 1;
	return 0;
}

static bool is_fatal(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__FATAL:
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		return true;
	default:
		return false;
	}
}

/* Headers are parsed at the first question for them: asked of strangers' records only. */
static void look_beside(rd_kafka_message_t *m, struct broker_message *ret)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t len;

	if (rd_kafka_message_headers(m, &headers) != 0 ||
		rd_kafka_header_get_last(headers, ENVELOPE_HEADER_NAME, &value, &len) != 0)
		return;
	ret->beside = value;
	ret->beside_len = len;
}

static void describe(rd_kafka_message_t *m, struct broker_message *ret)
{
	rd_kafka_timestamp_type_t type;
	int64_t stamp;

	*ret = (struct broker_message){.partition = m->partition, .offset = m->offset, .handle = m};
	switch (m->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		stamp = rd_kafka_message_timestamp(m, &type);
		ret->item = BROKER_MESSAGE;
		ret->node = rd_kafka_message_broker_id(m);
		ret->payload = m->payload;
		ret->len = m->len;
		ret->key = m->key;
		ret->key_len = m->key_len;
		ret->stamp_ms = stamp > 0 ? stamp : 0;
		if (!envelope_has_magic(m->payload, m->len))
			look_beside(m, ret);
		break;
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		ret->item = BROKER_END;
		break;
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: /* what auto.offset.reset=error makes of it */
		ret->item = BROKER_OUT_OF_RANGE;
		break;
	default:
		ret->item = BROKER_READ_ERROR;
		ret->text = rd_kafka_message_errstr(m);
		ret->fatal = is_fatal(m->err);
		break;
	}
}

/*
 * A broker's thread of the library that finds the queue full sleeps for a second, however soon there is room
 * (2.0.2; fetch.queue.backoff.ms came later): a fraction of the rate. Any question wakes it; the log's ends
 * are the cheapest one that goes to a given broker. One partition each time, so that leaders take turns.
 */
static void wake(struct broker_reader *rd)
{
	int64_t low, high;

	for (size_t i = 0; i < rd->n_started; i++) {
		rd->next_wake = (rd->next_wake + 1) % rd->n_started;
		if (rd->started[rd->next_wake])
			break;
	}
	/* without an answer it goes on in a second by itself */
	(void)rd_kafka_query_watermark_offsets(
		rd->client.rk, rd->client.topic_name, (int32_t)rd->next_wake, &low, &high, WAKE_MS);
}

/* Was the queue full, and has room again? The batch tells how large its messages are. */
static void heed_full_queue(struct broker_reader *rd, const struct broker_message *batch, size_t n)
{
	size_t bytes = 0, ahead;

	for (size_t i = 0; i < n; i++)
		bytes += batch[i].len;
	ahead = rd_kafka_queue_length(rd->queue) * (bytes / n);
	if (ahead >= rd->read_ahead / 10 * 9) {
		rd->was_full = true;
	} else if (rd->was_full && ahead < rd->read_ahead / 10 * 7) {
		rd->was_full = false;
		wake(rd);
	}
}

size_t kafka_reader_read(
	struct broker_reader *rd, struct broker_message *ret, size_t max, int timeout_ms)
{
	rd_kafka_message_t *first;
	ssize_t more = 0;
	size_t n = 0;

	if (clock_ns() >= rd->next_serve_ns) {
		kafka_client_serve(&rd->client);
		rd->next_serve_ns = clock_ns() + 100 * NS_PER_MS;
	}
	/*
	 * The first alone, the rest without waiting: a batch call with a timeout waits until it is full,
	 * which costs 55 ms of latency at 10,000 messages per second.
	 */
	first = rd_kafka_consume_queue(rd->queue, timeout_ms);
	if (!first)
		return 0;
	describe(first, &ret[n++]);
	if (max > MAX_BATCH)
		max = MAX_BATCH;
	if (max > 1)
		more = rd_kafka_consume_batch_queue(rd->queue, 0, rd->batch, max - 1);
	for (ssize_t i = 0; i < more; i++)
		describe(rd->batch[i], &ret[n++]);
	heed_full_queue(rd, ret, n);
	return n;
}

void kafka_reader_release(struct broker_reader *rd, struct broker_message *msg, size_t n)
{
	(void)rd;
	for (size_t i = 0; i < n; i++)
		rd_kafka_message_destroy(msg[i].handle);
}

/* After a leader moved, the library asks the old one until somebody refreshes its metadata. */
static void refresh(struct broker_reader *rd, int64_t deadline_ns)
{
	const rd_kafka_metadata_t *md;
	int left = clock_left_ms(deadline_ns);

	if (rd_kafka_metadata(rd->client.rk, 0, rd->client.topic, &md, left < 2000 ? left : 2000) ==
		0)
		rd_kafka_metadata_destroy(md);
	clock_sleep_ns(50 * NS_PER_MS);
}

/*
 * A client that may not see a topic is told, of each partition, that it is unknown. The topic itself says
 * why.
 */
static rd_kafka_resp_err_t why_unknown(struct broker_reader *rd, rd_kafka_resp_err_t code)
{
	const rd_kafka_metadata_t *md;

	if ((code != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION &&
		    code != RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) ||
		rd_kafka_metadata(rd->client.rk, 0, rd->client.topic, &md, 2000) != 0)
		return code;
	if (md->topic_cnt == 1 && md->topics[0].err)
		code = md->topics[0].err;
	rd_kafka_metadata_destroy(md);
	return code;
}

/* A node that has just started, or a topic that was just made: asked again, it will know. */
static bool is_unheard_of(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
	       code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	       code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

/*
 * The first or the next offset of a partition. Not by rd_kafka_query_watermark_offsets(): that one waits
 * without end for a node that takes connections and does not answer, whatever its timeout says.
 */
static rd_kafka_resp_err_t ask_offset(
	struct broker_reader *rd, int32_t partition, int64_t which, int64_t *ret, int timeout_ms)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *tp =
		rd_kafka_topic_partition_list_add(list, rd->client.topic_name, partition);
	rd_kafka_resp_err_t code;

	tp->offset = which; /* in place of a time */
	code = rd_kafka_offsets_for_times(rd->client.rk, list, timeout_ms);
	if (!code)
		code = tp->err;
	*ret = tp->offset;
	rd_kafka_topic_partition_list_destroy(list);
	return code;
}

static rd_kafka_resp_err_t ask_bounds(struct broker_reader *rd, int32_t partition, int64_t *ret_low,
	int64_t *ret_high, int timeout_ms)
{
	rd_kafka_resp_err_t code =
		ask_offset(rd, partition, RD_KAFKA_OFFSET_BEGINNING, ret_low, timeout_ms);

	return code ? code : ask_offset(rd, partition, RD_KAFKA_OFFSET_END, ret_high, timeout_ms);
}

int kafka_reader_bounds(struct broker_reader *rd, int32_t partition, int64_t *ret_low,
	int64_t *ret_high, struct err *e)
{
	static const char what[] = "the question for the log's first and last offset";
	int64_t deadline_ns = clock_ns() + rd->client.timeout_ns;
	rd_kafka_resp_err_t code;
	int r;

	for (;;) {
		int left = clock_left_ms(deadline_ns);

		code = ask_bounds(rd, partition, ret_low, ret_high, left < 3000 ? left : 3000);
		if (!code)
			return 0;
		kafka_client_serve(&rd->client);
		if (kafka_stopped(&rd->client, what, e))
			return ERR_STOPPED;
		code = why_unknown(rd, code);
		r = kafka_error(&rd->client, code, what, e);
		if (r == ERR_DENIED)
			err_hint(e,
				"readers use --consumer-config when it is given; the user needs "
				"Describe and Read on the topic (kafka-acls)");
		if (is_unheard_of(code))
			r = e->code = ERR_BROKER_AWAY;
		if (clock_ns() >= deadline_ns || r != ERR_BROKER_AWAY)
			return r;
		refresh(rd, deadline_ns);
	}
}

void kafka_reader_health(struct broker_reader *rd, struct broker_health *ret)
{
	kafka_watch_health(&rd->client.watch, ret);
}

void kafka_reader_close(struct broker_reader *rd)
{
	struct err ignored;

	if (!rd)
		return;
	for (size_t i = 0; i < rd->n_started; i++)
		err_ignore(kafka_reader_stop(rd, (int32_t)i, &ignored));
	if (rd->queue)
		rd_kafka_queue_destroy(rd->queue);
	kafka_client_close(&rd->client);
	free(rd->started);
	free(rd);
}
