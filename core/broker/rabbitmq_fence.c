/*
 * Writing fences: a connection of its own, confirms, mandatory, persistent, the default exchange (or that which
 * the audited messages go by). A confirm does not say where a stream has it: that is read back.
 */
#include <string.h>

#include "core/broker/rabbitmq.h"
#include "core/clock.h"

#define ATTEMPT_NS (15 * NS_PER_S) /* on one connection */

/* One fence and its confirm; *ret_returned: no queue took it. */
static int take_frame(const struct rabbitmq_conn *conn, const amqp_frame_t *frame, bool *ret_acked,
	bool *ret_returned, struct err *e)
{
	char text[512];
	bool channel_only;
	int code;

	if (frame->frame_type != AMQP_FRAME_METHOD)
		return 0;
	switch (frame->payload.method.id) {
	case AMQP_BASIC_RETURN_METHOD:
		*ret_returned = true;
		return 0;
	case AMQP_BASIC_ACK_METHOD:
		*ret_acked = true;
		return 0;
	case AMQP_BASIC_NACK_METHOD:
		/* as while a quorum queue has no leader: another time it may */
		return err_set(
			e, ERR_BROKER_AWAY, "the fence: the broker could not take it (nack)");
	case AMQP_CHANNEL_CLOSE_METHOD:
	case AMQP_CONNECTION_CLOSE_METHOD:
		rabbitmq_close_text(frame, text, sizeof(text), &code, &channel_only);
		return err_set(e, rabbitmq_code_error(code, text), "the fence: %s (%s:%d)", text,
			conn->node.host, conn->node.port);
	default:
		return 0;
	}
}

static int wait_for_confirm(
	struct rabbitmq_conn *conn, int64_t deadline_ns, bool *ret_returned, struct err *e)
{
	bool acked = false, returned = false;
	amqp_frame_t frame;
	int r = 0;

	while (r == 0 && !acked) {
		int left = clock_left_ms(deadline_ns);
		struct timeval tv = {left / 1000, left % 1000 * 1000};
		int status = amqp_simple_wait_frame_noblock(conn->state, &frame, &tv);

		if (status == AMQP_STATUS_TIMEOUT)
			return err_set(e, ERR_TIMEOUT,
				"the fence was not confirmed in time (%s:%d)", conn->node.host,
				conn->node.port);
		if (status != AMQP_STATUS_OK)
			return rabbitmq_status(conn, status, "the fence", e);
		r = take_frame(conn, &frame, &acked, &returned, e);
		amqp_maybe_release_buffers(conn->state);
	}
	*ret_returned = returned;
	return r;
}

/*
 * No queue took it: there is none, or the node of a classic queue is down, for which the default exchange has no route
 * either (3.10.8). Asking tells; where it is there again, another try does.
 */
static int explain_return(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	const struct broker_fence *f, int64_t deadline_ns, struct err *e)
{
	struct rabbitmq_queue ignored;
	int r = rabbitmq_look(client, conn, deadline_ns, &ignored, e);

	if (r == 0 && f->exchange)
		return err_set(e, ERR_NOTFOUND,
			"exchange '%s' routes what has the key '%s' to no queue", f->exchange,
			f->routing_key);
	if (r == 0)
		return err_set(e, ERR_BROKER_AWAY, "the fence was returned: no queue took it");
	return err_wrap(e, "the fence was returned");
}

static int write_one(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	struct broker_fence *f, int64_t deadline_ns, struct err *e)
{
	amqp_basic_properties_t props = {
		._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = AMQP_DELIVERY_PERSISTENT};
	amqp_bytes_t body = {.len = f->len, .bytes = (void *)(uintptr_t)f->payload};
	bool returned = false;
	int status, r;

	status = amqp_basic_publish(conn->state, conn->channel,
		f->exchange ? rabbitmq_bytes(f->exchange) : amqp_empty_bytes,
		rabbitmq_bytes(f->exchange ? f->routing_key : client->queue), 1, 0, &props, body);
	if (status != AMQP_STATUS_OK)
		return rabbitmq_status(conn, status, "the fence", e);
	r = wait_for_confirm(conn, deadline_ns, &returned, e);
	if (r == 0 && returned)
		r = explain_return(client, conn, f, deadline_ns, e);
	f->acked = r == 0;
	return r;
}

/* All of them on one connection; a lost one may have written some, and they are written again. */
static int write_all(const struct rabbitmq_client *client, size_t *at, struct broker_fence *fence,
	size_t n, int64_t deadline_ns, struct err *e)
{
	struct rabbitmq_conn conn;
	int r = rabbitmq_connect_any(client, at, deadline_ns, &conn, e);

	if (r)
		return r;
	r = rabbitmq_channel_open(&conn, deadline_ns, e);
	if (r == 0) {
		(void)amqp_confirm_select(conn.state, conn.channel);
		r = rabbitmq_reply(
			&conn, amqp_get_rpc_reply(conn.state), "the fence's confirms", NULL, e);
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!fence[i].acked)
			r = write_one(client, &conn, &fence[i], deadline_ns, e);
	rabbitmq_disconnect(&conn, r == 0 ? NS_PER_S : 0);
	return r;
}

/* Where a stream ends, which is not after what is written next; -1: it is no stream, or it cannot be told. */
static int64_t end_of_stream(struct broker_reader *rd)
{
	int64_t low, high;
	struct err ignored;

	return rabbitmq_reader_bounds(rd, 0, &low, &high, &ignored) ? -1 : high;
}

static struct broker_fence *fence_of(
	struct broker_fence *fence, size_t n, const struct broker_message *m)
{
	for (size_t i = 0; i < n; i++)
		if (m->item == BROKER_MESSAGE && m->len == fence[i].len &&
			memcmp(m->payload, fence[i].payload, m->len) == 0)
			return &fence[i];
	return NULL;
}

/* Read on from an offset until all fences are found; what is not found in time has no offset. */
static void find_in_stream(struct broker_reader *rd, int64_t from, struct broker_fence *fence,
	size_t n, int64_t deadline_ns)
{
	struct broker_message m[64];
	struct err ignored;
	size_t n_found = 0;

	if (rabbitmq_reader_start(rd, 0, from, &ignored))
		return;
	while (n_found < n && clock_ns() < deadline_ns) {
		size_t got = rabbitmq_reader_read(rd, m, sizeof(m) / sizeof(m[0]), 50);

		for (size_t i = 0; i < got; i++) {
			struct broker_fence *f = fence_of(fence, n, &m[i]);

			if (!f || f->offset != BROKER_NO_OFFSET)
				continue;
			f->offset = m[i].offset;
			n_found++;
		}
		rabbitmq_reader_release(rd, m, got);
	}
}

/*
 * Again and again while there is time: a node may be away, and a connection may be left unanswered for ever where
 * another one is served (rabbitmq-facts.md section 3, R-10). What was stored without an answer is stored twice then,
 * which is no harm to a fence.
 */
static int write_in_time(const struct broker_config *c, struct broker_fence *fence, size_t n,
	int64_t deadline_ns, struct err *e)
{
	struct rabbitmq_client client;
	size_t at = 0;
	int r = rabbitmq_client_init(c, c->props, &client, e);

	for (size_t i = 0; i < n; i++) {
		fence[i].acked = false;
		fence[i].offset = BROKER_NO_OFFSET;
	}
	while (r == 0) {
		int64_t now = clock_ns();
		int64_t until = now + ATTEMPT_NS < deadline_ns ? now + ATTEMPT_NS : deadline_ns;

		r = write_all(&client, &at, fence, n, until, e);
		if ((r != ERR_BROKER_AWAY && r != ERR_TIMEOUT) || clock_ns() >= deadline_ns)
			break;
		r = 0;
		at++;
		clock_sleep_ns(100 * NS_PER_MS);
	}
	rabbitmq_client_release(&client);
	return r;
}

int rabbitmq_fence(const struct broker_config *c, struct broker_fence *fence, size_t n,
	int64_t timeout_ns, struct err *e)
{
	int64_t deadline_ns = clock_ns() + timeout_ns;
	struct broker_config own = *c;
	struct broker_reader *rd;
	int64_t end;
	int r;

	own.consumer = NULL;
	own.timeout_ns = timeout_ns;
	r = rabbitmq_reader_open(&own, BROKER_UNCOMMITTED, true, &rd, e);
	if (r)
		return r;
	end = end_of_stream(rd);
	r = write_in_time(c, fence, n, deadline_ns, e);
	if (r == 0 && end >= 0)
		find_in_stream(rd, end, fence, n, deadline_ns);
	rabbitmq_reader_close(rd);
	return r;
}
