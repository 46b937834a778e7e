/*
 * Looking through a dead-letter queue. An exclusive consumer is given all that is in it and acknowledges nothing
 * but our fence: when its connection ends the broker puts everything back where it was, flagged as redelivered
 * (RabbitMQ 3.10.8, classic and quorum; tests/broker/rabbitmq_policy_test.sh). No prefetch: else the broker would
 * wait for acknowledgements. Payloads are not kept here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/broker/rabbitmq_lane.h"
#include "core/broker/rabbitmq_removals.h"
#include "core/clock.h"
#include "core/url.h"

struct look {
	struct rabbitmq_lane lane;
	const struct broker_fence *fence; /* NULL: none, or it was seen */
	int64_t settle_ns, deadline_ns;
	broker_dead_fn *fn;
	void *arg;
};

static int begin(
	struct look *k, const struct rabbitmq_client *client, char *ret_limits, struct err *e)
{
	struct rabbitmq_queue q;
	int r = rabbitmq_ask(client, &k->lane.conn, k->deadline_ns, &q, e);

	if (r == 0 && strcmp(q.type, "stream") == 0)
		r = err_set(e, ERR_BROKER, "dead-letter queue '%s' is a stream", client->queue);
	if (r == 0 && q.consumers)
		r = err_set(e, ERR_EXISTS, "dead-letter queue '%s' has %llu consumer%s",
			client->queue, (unsigned long long)q.consumers,
			q.consumers == 1 ? "" : "s");
	if (r)
		return r;
	rabbitmq_limits_of(&q, ret_limits, RABBITMQ_LIMITS_LEN);
	r = rabbitmq_channel_open(&k->lane.conn, k->deadline_ns, e);
	if (r)
		return r;
	k->lane.channel = k->lane.conn.channel;
	(void)amqp_basic_consume(k->lane.conn.state, k->lane.channel, rabbitmq_bytes(client->queue),
		amqp_empty_bytes, 0, 0, 1, amqp_empty_table);
	r = rabbitmq_reply(&k->lane.conn, amqp_get_rpc_reply(k->lane.conn.state),
		"the dead-letter queue cannot be consumed", NULL, e);
	if (r == ERR_DENIED && strstr(e->msg, "in exclusive use"))
		r = e->code = ERR_EXISTS;
	return r;
}

/* Our fence is taken out; everything else is told, and stays. */
static int take(struct look *k, const struct rabbitmq_delivery *d, struct err *e)
{
	const struct broker_dead_letter letter = {
		d->body, d->len, d->beside, d->beside_len, d->death};
	int r;

	if (k->fence && d->len == k->fence->len &&
		memcmp(d->body, k->fence->payload, d->len) == 0) {
		k->fence = NULL;
		return amqp_basic_ack(k->lane.conn.state, k->lane.channel, d->tag, 0) ==
				       AMQP_STATUS_OK
			       ? 0
			       : err_set(e, ERR_BROKER_AWAY, "the connection is lost");
	}
	r = k->fn(k->arg, &letter);
	return r ? err_set(e, r, "cannot hold the dead letters: %s", err_code_text(r)) : 0;
}

/* Until the fence came, if there is one, and then nothing for settle_ns. */
static int look_through(struct look *k, struct err *e)
{
	int64_t silent_since = clock_ns();
	int r = 0;

	while (r == 0) {
		int64_t now = clock_ns(), quiet_ns = silent_since + k->settle_ns;
		int64_t until_ns =
			!k->fence && quiet_ns < k->deadline_ns ? quiet_ns : k->deadline_ns;
		struct rabbitmq_delivery d;

		if (!k->fence && now >= quiet_ns)
			return 0;
		if (now >= k->deadline_ns)
			return err_set(e, ERR_TIMEOUT,
				"the dead-letter queue was not looked through in time");
		r = rabbitmq_lane_next(&k->lane, clock_left_ms(until_ns), &d, e);
		if (r == ERR_TIMEOUT) {
			r = 0;
			continue;
		}
		if (r)
			return r;
		silent_since = clock_ns();
		r = take(k, &d, e);
		free(d.block);
	}
	return r;
}

static int write_fence(const struct broker_config *c, const struct broker_fence *fence,
	int64_t deadline_ns, struct err *e)
{
	struct broker_fence own = *fence;

	return rabbitmq_fence(c, &own, 1, deadline_ns - clock_ns(), e);
}

int rabbitmq_dead_letters(const struct broker_config *c, const char *queue,
	const struct broker_fence *fence, int64_t settle_ns, int64_t timeout_ns, broker_dead_fn *fn,
	void *arg, char *ret_limits, struct err *e)
{
	struct look k = {.lane = {.dead_of = c->url->name, .conn = {.fd = -1}},
		.fence = fence,
		.settle_ns = settle_ns,
		.deadline_ns = clock_ns() + timeout_ns,
		.fn = fn,
		.arg = arg};
	struct url *url = malloc(sizeof(*url));
	struct broker_config there = *c;
	struct rabbitmq_client client = {0};
	size_t at = 0;
	int r;

	ret_limits[0] = '\0';
	if (!url)
		return err_set(e, ERR_NOMEM, "out of memory");
	*url = *c->url;
	snprintf(url->name, sizeof(url->name), "%s", queue);
	there.url = url;
	r = rabbitmq_client_init(&there, c->consumer ? c->consumer : c->props, &client, e);
	/* the audited queue's type is not this one's */
	client.settings.queue_type[0] = '\0';
	if (r == 0)
		r = rabbitmq_connect_any(&client, &at, k.deadline_ns, &k.lane.conn, e);
	if (r == 0)
		r = begin(&k, &client, ret_limits, e);
	if (r == 0 && fence)
		r = write_fence(&there, fence, k.deadline_ns, e);
	if (r == 0)
		r = look_through(&k, e);
	rabbitmq_lane_reset(&k.lane);
	rabbitmq_disconnect(&k.lane.conn, r == 0 ? NS_PER_S : 0);
	rabbitmq_client_release(&client);
	free(url);
	return r;
}
