/* Is a destination somebody else's? Looked at before the first message is sent. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/envelope.h"
#include "probe/probe.h"

#define LAST_RECORDS 5

static int open_reader(const struct destination *d, struct broker_reader **ret, struct err *e)
{
	return d->ops->reader_open(&d->config, BROKER_UNCOMMITTED, true, ret, e);
}

int probe_log_ends(
	const struct destination *d, const struct broker_topic *topic, int64_t **ret, struct err *e)
{
	struct broker_reader *reader = NULL;
	int64_t *end = calloc(topic->n_partitions, sizeof(*end)), low;
	int r = 0;

	if (!end)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (topic->caps & BROKER_CAP_POSITIONS)
		r = open_reader(d, &reader, e);
	for (size_t i = 0; r == 0 && reader && i < topic->n_partitions; i++)
		r = d->ops->reader_bounds(reader, (int32_t)i, &low, &end[i], e);
	if (reader)
		d->ops->reader_close(reader);
	if (r) {
		free(end);
		return r;
	}
	*ret = end;
	return 0;
}

static bool ours(const struct broker_message *m)
{
	struct envelope env;

	return envelope_decode_beside(m->beside, m->beside_len, m->payload, m->len, &env) !=
	       ENVELOPE_FOREIGN;
}

/* The last few records of one partition: is there one without an envelope? */
static int look_at_tail(const struct destination *d, struct broker_reader *reader,
	int32_t partition, bool *ret_foreign, struct err *e)
{
	int64_t deadline = clock_ns() + d->config.timeout_ns, low, high;
	struct broker_message m;
	bool end = false;
	int r = d->ops->reader_bounds(reader, partition, &low, &high, e);

	if (r || high <= low)
		return r;
	r = d->ops->reader_start(
		reader, partition, high - LAST_RECORDS > low ? high - LAST_RECORDS : low, e);
	while (r == 0 && !end && !*ret_foreign) {
		if (d->config.stop && *d->config.stop)
			return err_set(e, ERR_STOPPED, "stopped");
		if (d->ops->reader_read(reader, &m, 1, 200) == 0) {
			if (clock_ns() >= deadline)
				r = err_set(e, ERR_BROKER_AWAY,
					"cannot read the last records of partition %d", partition);
			continue;
		}
		if (m.partition == partition) {
			if (m.item == BROKER_MESSAGE && m.offset < high)
				*ret_foreign = !ours(&m);
			end = m.item == BROKER_END || m.item == BROKER_OUT_OF_RANGE ||
			      m.offset >= high - 1;
			if (m.item == BROKER_READ_ERROR && m.fatal)
				r = err_set(e, ERR_DENIED, "cannot read partition %d: %s",
					partition, m.text);
		}
		d->ops->reader_release(reader, &m, 1);
	}
	if (r == 0)
		r = d->ops->reader_stop(reader, partition, e);
	return r;
}

int probe_queue_is_empty(const struct destination *d, const struct broker_topic *topic,
	bool *ret_empty, struct err *e)
{
	uint64_t ready = 0, consumers = 0;
	int r = 0;

	*ret_empty = false;
	if (!(topic->caps & BROKER_CAP_QUEUE))
		return 0;
	r = d->ops->queue_look(&d->config, &ready, &consumers, e);
	*ret_empty = r == 0 && ready == 0 && consumers == 0;
	return r;
}

int probe_check_queue(const struct destination *d, const struct broker_topic *topic, bool relayed,
	bool *ret_empty, struct err *e)
{
	uint64_t ready = 0, consumers = 0;
	int r;

	*ret_empty = false;
	if (!(topic->caps & BROKER_CAP_QUEUE))
		return 0;
	r = d->ops->queue_look(&d->config, &ready, &consumers, e);
	if (r)
		return r;
	if ((consumers && !relayed) || ready) {
		err_set(e, ERR_STATE, "queue '%s' has %llu consumers and %llu messages already",
			d->url.name, (unsigned long long)consumers, (unsigned long long)ready);
		return err_hint(e, "use a queue of its own for the audit, or say --shared");
	}
	*ret_empty = consumers == 0;
	return 0;
}

int probe_check_unshared(
	const struct destination *d, const struct broker_topic *topic, bool relayed, struct err *e)
{
	struct broker_reader *reader = NULL;
	char groups[256];
	bool foreign = false;
	struct err why;
	int n = 0, r;

	/* not being allowed to list groups is common, and no reason to stop */
	if (!relayed && d->ops->live_groups &&
		d->ops->live_groups(&d->config, groups, sizeof(groups), &n, &why) == 0 && n > 0) {
		err_set(e, ERR_STATE, "'%s' is being consumed by a live group: %s", d->url.name,
			groups);
		return err_hint(e, "use a topic of its own for the audit, or say --shared");
	}
	/* looking into a queue would take from it */
	if (!(topic->caps & BROKER_CAP_POSITIONS))
		return 0;
	r = open_reader(d, &reader, e);
	for (size_t i = 0; r == 0 && i < topic->n_partitions && !foreign; i++) {
		r = look_at_tail(d, reader, (int32_t)i, &foreign, e);
		if (r == 0 && foreign) {
			r = err_set(e, ERR_STATE,
				"the last records of '%s', partition %zu, are not mqaudit's",
				d->url.name, i);
			err_hint(e, "use a topic of its own for the audit, or say --shared");
		}
	}
	if (reader)
		d->ops->reader_close(reader);
	return r;
}
