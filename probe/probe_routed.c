/*
 * --routed-stream: a stream that is bound as the queue is proves what was routed to the queue, whatever became of it
 * there. It is the queue's witness in three ways less than a log is (rabbitmq-facts.md section 4): what would be
 * routed nowhere is routed to it, so that the bindings are tried before it is bound; it has what the queue
 * refused (nack); and confirms wait for it too. It stays when the run is over, as a queue does that was made.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/envelope.h"
#include "core/log.h"
#include "probe/probe.h"

void probe_routed_name(const struct destination *d, char *ret, size_t len)
{
	if ((size_t)snprintf(ret, len, "%s" PROBE_STREAM_SUFFIX, d->url.name) >= len)
		ret[0] = '\0';
}

static int not_for_logs(struct err *e)
{
	err_set(e, ERR_USAGE, "--routed-stream is for a classic or quorum queue");
	return err_hint(e, "a log is read by position: it needs no stream beside it");
}

int probe_routed_check(struct destination *d, struct err *e)
{
	const char *exchange = props_get(d->producer, "exchange");
	const char *mandatory = props_get(d->producer, "mandatory");
	char name[sizeof(d->url.name)];

	if (!(d->ops->caps & BROKER_CAP_ROUTING))
		return not_for_logs(e);
	if (!exchange || !*exchange) {
		err_set(e, ERR_USAGE,
			"--routed-stream: nothing can be bound to the default exchange");
		return err_hint(e, "name the one that the queue is bound to: --exchange NAME");
	}
	probe_routed_name(d, name, sizeof(name));
	if (!name[0])
		return err_set(e, ERR_USAGE,
			"--routed-stream: the queue's name is too long to make the stream's of it");
	if (mandatory && strcmp(mandatory, "true") == 0)
		log_warn(
			"with --routed-stream mandatory returns nothing: what the queue does not get "
			"the stream does");
	if (props_get(d->producer, "routing.key"))
		return 0;
	return props_set(d->producer, "routing.key", d->url.name, e);
}

int probe_routed_check_topic(const struct broker_topic *topic, struct err *e)
{
	return topic->caps & BROKER_CAP_QUEUE ? 0 : not_for_logs(e);
}

int probe_routed_check_run(struct ledger *l, const struct run *run, bool relayed, struct err *e)
{
	char stream[256] = "";
	int64_t *starts = NULL;
	size_t n = 0;
	int r;

	/* the queue behind the stream is on record with the run itself; before a relay the stream's name tells */
	if (relayed) {
		r = run_get_setting(
			l, run->id, "probe", "routed-stream", stream, sizeof(stream), e);
		n = stream[0] != 0;
	} else {
		r = run_starts(l, run->id, RUN_TARGET, &starts, &n, e);
	}
	free(starts);
	if (r || n)
		return r;
	err_set(e, ERR_STATE,
		"run '%s' began without --routed-stream: what was routed before is not known",
		run->name);
	return err_hint(e, "use another --run");
}

/* The stream as a destination; the texts and properties are the queue's. */
static struct broker_config stream_config(const struct destination *d, struct url *ret_url)
{
	struct broker_config c = d->config;

	*ret_url = d->url;
	probe_routed_name(d, ret_url->name, sizeof(ret_url->name));
	c.url = ret_url;
	return c;
}

int probe_routed_make(const struct destination *d, int64_t *ret_end, struct err *e)
{
	static const char *const config[] = {"x-queue-type", "stream", NULL};
	struct broker_create how = {.partitions = 1, .replication = -1, .config = config};
	struct broker_reader *reader = NULL;
	struct url url;
	struct broker_config c = stream_config(d, &url);
	int64_t low;
	int r = d->ops->create(&c, &how, e);

	if (r == 0 || r == ERR_EXISTS)
		r = d->ops->reader_open(&c, BROKER_UNCOMMITTED, true, &reader, e);
	if (r == 0)
		r = d->ops->reader_bounds(reader, 0, &low, ret_end, e);
	if (reader)
		d->ops->reader_close(reader);
	return r ? err_wrap(e, "--routed-stream") : 0;
}

int probe_routed_try(const struct destination *d, uint64_t run_id, struct err *e)
{
	uint8_t payload[ENVELOPE_LEN];
	struct envelope env = {.flags = ENVELOPE_FLAG_FENCE,
		.run_id = run_id,
		.seq = 1,
		.send_wall_ns = clock_wall_ns(),
		.length = ENVELOPE_LEN};
	struct broker_fence trial = {.payload = payload,
		.len = sizeof(payload),
		.exchange = props_get(d->producer, "exchange"),
		.routing_key = props_get(d->producer, "routing.key")};
	struct broker_config config = destination_fence_config(d);
	int r;

	envelope_encode(&env, envelope_payload_hash(NULL, 0), payload);
	r = d->ops->fence(&config, &trial, 1, d->config.timeout_ns, e);
	if (r == ERR_NOTFOUND) {
		e->code = r = ERR_STATE;
		err_hint(e, "bind queue '%s' to it", d->url.name);
	}
	return r;
}

int probe_routed_bind(const struct destination *d, struct err *e)
{
	struct url url;
	struct broker_config c = stream_config(d, &url);
	const char *exchange = props_get(d->producer, "exchange");
	const char *key = props_get(d->producer, "routing.key");
	int r = d->ops->bind(&c, exchange, key, e);

	if (r)
		return err_wrap(e, "--routed-stream");
	log_note(
		"stream '%s' is bound to exchange '%s' with key '%s', and stays when the run is over",
		url.name, exchange, key);
	return 0;
}
