/* The selftest's faults: see core/broker/plant.h. */
#include "core/broker/plant.h"
#include "probe/probe.h"

int probe_plant(const char *spec, const struct probe_opts *o, struct destination *d,
	struct producer_plan *plan, struct plant **ret, struct err *e)
{
	struct plant_field field = {
		.first_producer = (uint32_t)o->producer_id,
		.n_producers = (size_t)o->producers,
		.partitions = plan->partitions,
		.n_partitions = plan->n_partitions,
		.size = plan->size,
	};
	int r;

	if (o->count == UINT64_MAX)
		return err_set(e, ERR_USAGE, "--plant needs --count");
	field.per_lane = o->count / (o->producers * plan->n_partitions);
	r = plant_new(spec, &field, d->ops, ret, e);
	if (r == 0) {
		d->config.plant = *ret;
		plan->ops = plant_ops(*ret);
	}
	return r;
}

void probe_planted_lines(const struct plant *p, struct buf *ret)
{
	size_t n;
	const struct plant_fault *f = plant_faults(p, &n);

	for (size_t i = 0; i < n; i++)
		buf_printf(ret,
			"%splanted {\"kind\": \"%s\", \"producer_id\": %u, \"epoch\": %u, "
			"\"partition\": %d, \"seq\": %llu, \"unreadable\": %s}\n",
			f[i].planted ? "" : "not ", plant_text(f[i].kind), f[i].producer_id,
			f[i].epoch, f[i].partition, (unsigned long long)f[i].seq,
			f[i].unreadable ? "true" : "false");
}
