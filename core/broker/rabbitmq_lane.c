#include "core/broker/rabbitmq_lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/envelope.h"

#define MAX_BODY ((uint64_t)512 << 20) /* RabbitMQ's own limit */

void rabbitmq_lane_reset(struct rabbitmq_lane *lane)
{
	free(lane->coming.block);
	memset(&lane->coming, 0, sizeof(lane->coming));
	lane->begun = lane->headed = false;
	lane->have = 0;
}

static void begin(struct rabbitmq_lane *lane, uint64_t tag, bool redelivered)
{
	rabbitmq_lane_reset(lane);
	lane->begun = true;
	lane->coming = (struct rabbitmq_delivery){
		.tag = tag, .redelivered = redelivered, .stream_offset = -1, .delivery_count = -1};
}

static bool is_key(const amqp_table_entry_t *entry, const char *name)
{
	return entry->key.len == strlen(name) &&
	       memcmp(entry->key.bytes, name, entry->key.len) == 0;
}

/* A whole number of any width; -1 for what is none. */
static int64_t whole_number(const amqp_field_value_t *v)
{
	switch (v->kind) {
	case AMQP_FIELD_KIND_I64:
		return v->value.i64;
	case AMQP_FIELD_KIND_U64:
		return v->value.u64 > INT64_MAX ? -1 : (int64_t)v->value.u64;
	case AMQP_FIELD_KIND_I32:
		return v->value.i32;
	case AMQP_FIELD_KIND_U32:
		return v->value.u32;
	case AMQP_FIELD_KIND_I16:
		return v->value.i16;
	case AMQP_FIELD_KIND_U16:
		return v->value.u16;
	case AMQP_FIELD_KIND_I8:
		return v->value.i8;
	case AMQP_FIELD_KIND_U8:
		return v->value.u8;
	default:
		return -1;
	}
}

static bool is_text(const amqp_field_value_t *v)
{
	return v->kind == AMQP_FIELD_KIND_UTF8 || v->kind == AMQP_FIELD_KIND_BYTES;
}

static const amqp_field_value_t *member(const amqp_table_t *table, const char *name)
{
	for (int i = 0; i < table->num_entries; i++)
		if (is_key(&table->entries[i], name))
			return &table->entries[i].value;
	return NULL;
}

static bool is_bytes(const amqp_field_value_t *v, const char *text)
{
	return v && is_text(v) && v->value.bytes.len == strlen(text) &&
	       memcmp(v->value.bytes.bytes, text, v->value.bytes.len) == 0;
}

/* Header x-death: a table for each queue and reason, the latest first (RabbitMQ 3.10.8). */
static void take_death(const struct rabbitmq_lane *lane, const amqp_field_value_t *deaths,
	struct rabbitmq_delivery *d)
{
	if (!lane->dead_of || deaths->kind != AMQP_FIELD_KIND_ARRAY)
		return;
	for (int i = 0; i < deaths->value.array.num_entries && !d->death[0]; i++) {
		const amqp_field_value_t *one = &deaths->value.array.entries[i], *reason;

		if (one->kind != AMQP_FIELD_KIND_TABLE ||
			!is_bytes(member(&one->value.table, "queue"), lane->dead_of))
			continue;
		reason = member(&one->value.table, "reason");
		if (reason && is_text(reason))
			snprintf(d->death, sizeof(d->death), "%.*s", (int)reason->value.bytes.len,
				(const char *)reason->value.bytes.bytes);
	}
}

/* Copy what is read later: the library's memory is good for this frame only. */
static int take_header(struct rabbitmq_lane *lane, const amqp_frame_t *frame, struct err *e)
{
	const amqp_basic_properties_t *p = frame->payload.properties.decoded;
	struct rabbitmq_delivery *d = &lane->coming;
	amqp_bytes_t beside = {0};
	uint64_t size = frame->payload.properties.body_size;

	if (size > MAX_BODY)
		return err_set(e, ERR_FORMAT, "a message of %llu bytes", (unsigned long long)size);
	for (int i = 0; (p->_flags & AMQP_BASIC_HEADERS_FLAG) && i < p->headers.num_entries; i++) {
		const amqp_table_entry_t *entry = &p->headers.entries[i];

		if (is_key(entry, "x-stream-offset"))
			d->stream_offset = whole_number(&entry->value);
		else if (is_key(entry, "x-delivery-count"))
			d->delivery_count = whole_number(&entry->value);
		else if (is_key(entry, ENVELOPE_HEADER_NAME) && is_text(&entry->value))
			beside = entry->value.value.bytes;
		else if (is_key(entry, "x-death"))
			take_death(lane, &entry->value, d);
	}
	if (p->_flags & AMQP_BASIC_TIMESTAMP_FLAG && p->timestamp < INT64_MAX / 1000)
		d->stamp_ms = (int64_t)p->timestamp * 1000;
	d->len = (size_t)size;
	d->beside_len = beside.len;
	d->block = size + beside.len ? malloc((size_t)size + beside.len) : NULL;
	if (size + beside.len && !d->block)
		return err_set(e, ERR_NOMEM, "out of memory for a message of %llu bytes",
			(unsigned long long)size);
	d->body = d->block;
	if (beside.len) {
		d->beside = d->body + size;
		memcpy(d->beside, beside.bytes, beside.len);
	}
	lane->headed = true;
	return 0;
}

static int take_body(struct rabbitmq_lane *lane, const amqp_frame_t *frame, struct err *e)
{
	amqp_bytes_t part = frame->payload.body_fragment;

	if (part.len > lane->coming.len - lane->have)
		return err_set(e, ERR_FORMAT, "a message is longer than its header says");
	memcpy(lane->coming.body + lane->have, part.bytes, part.len);
	lane->have += part.len;
	return 0;
}

static int take_end(struct rabbitmq_lane *lane, const amqp_frame_t *frame, struct err *e)
{
	char text[512];
	bool channel_only;
	int code;

	rabbitmq_close_text(frame, text, sizeof(text), &code, &channel_only);
	return err_set(e, rabbitmq_code_error(code, text), "%s (%s:%d, code %d)", text,
		lane->conn.node.host, lane->conn.node.port, code);
}

static int take_method(struct rabbitmq_lane *lane, const amqp_frame_t *frame, struct err *e)
{
	switch (frame->payload.method.id) {
	case AMQP_BASIC_DELIVER_METHOD: {
		const amqp_basic_deliver_t *m = frame->payload.method.decoded;

		begin(lane, m->delivery_tag, m->redelivered);
		return 0;
	}
	case AMQP_BASIC_GET_OK_METHOD: {
		const amqp_basic_get_ok_t *m = frame->payload.method.decoded;

		begin(lane, m->delivery_tag, m->redelivered);
		return 0;
	}
	case AMQP_BASIC_GET_EMPTY_METHOD:
		begin(lane, 0, false);
		lane->coming.empty = lane->headed = true;
		return 0;
	case AMQP_BASIC_CANCEL_METHOD:
		return err_set(e, ERR_BROKER_AWAY,
			"the broker cancelled the consumer: the queue was deleted or moved");
	case AMQP_CHANNEL_CLOSE_METHOD:
		return take_end(lane, frame, e);
	default:
		return 0;
	}
}

int rabbitmq_lane_take(struct rabbitmq_lane *lane, const amqp_frame_t *frame, struct err *e)
{
	if (frame->frame_type == AMQP_FRAME_METHOD &&
		frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD)
		return take_end(lane, frame, e);
	if (frame->channel != lane->channel)
		return 0;
	if (frame->frame_type == AMQP_FRAME_METHOD)
		return take_method(lane, frame, e);
	if (frame->frame_type == AMQP_FRAME_HEADER && lane->begun && !lane->headed)
		return take_header(lane, frame, e);
	if (frame->frame_type == AMQP_FRAME_BODY && lane->headed)
		return take_body(lane, frame, e);
	return 0;
}

bool rabbitmq_lane_is_whole(const struct rabbitmq_lane *lane)
{
	return lane->headed && lane->have == lane->coming.len;
}

struct rabbitmq_delivery rabbitmq_lane_give(struct rabbitmq_lane *lane)
{
	struct rabbitmq_delivery whole = lane->coming;

	lane->coming.block = NULL;
	rabbitmq_lane_reset(lane);
	return whole;
}

int rabbitmq_lane_next(
	struct rabbitmq_lane *lane, int timeout_ms, struct rabbitmq_delivery *ret, struct err *e)
{
	struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	int64_t deadline_ns = clock_ns() + timeout_ms * NS_PER_MS;
	amqp_frame_t frame;
	int r = 0;

	while (r == 0 && !rabbitmq_lane_is_whole(lane)) {
		int status = amqp_simple_wait_frame_noblock(lane->conn.state, &frame, &tv);

		if (status == AMQP_STATUS_TIMEOUT)
			return ERR_TIMEOUT;
		if (status != AMQP_STATUS_OK)
			return rabbitmq_status(&lane->conn, status, "the connection is lost", e);
		r = rabbitmq_lane_take(lane, &frame, e);
		rabbitmq_release_buffers(&lane->conn);
		if (timeout_ms) {
			int left = clock_left_ms(deadline_ns);

			tv = (struct timeval){left / 1000, left % 1000 * 1000};
		}
	}
	if (r)
		return r;
	*ret = rabbitmq_lane_give(lane);
	return 0;
}
