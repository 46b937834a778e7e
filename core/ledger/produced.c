#include "core/ledger/produced.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"

static void args_epoch(struct pg_args *a, int64_t run_id, uint32_t producer_id, uint32_t epoch)
{
	pg_arg_i64(a, run_id);
	pg_arg_i64(a, producer_id);
	pg_arg_i64(a, epoch);
}

/* Lock the run against being judged and against other starts; ERR_STATE when it has ended. */
static int lock_run(struct ledger *l, int64_t run_id, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, run_id);
	r = pg_query(ledger_pg(l),
		"select ended is not null from mqaudit.run where run_id = $1 for update", &args,
		PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows) == 0)
		r = err_set(e, ERR_NOTFOUND, "the run is not in the ledger any more");
	else if (pg_rows_bool(rows, 0, 0))
		r = err_set(e, ERR_STATE, "the run has ended");
	pg_rows_free(rows);
	return r;
}

static int insert_epoch(
	struct ledger *l, const struct produced_start *s, uint32_t *ret_epoch, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, s->run_id);
	pg_arg_i64(&args, s->producer_id);
	pg_arg_i64(&args, s->nonce);
	pg_arg_text(&args, s->host);
	pg_arg_text(&args, s->boot_id);
	pg_arg_i64(&args, s->pid);
	pg_arg_text(&args, s->fsync ? "true" : "false");
	r = pg_query(ledger_pg(l),
		"insert into mqaudit.producer (run_id, producer_id, epoch, nonce, host, boot_id, pid, "
		"journal, fsync) select $1, $2::int8, 1 + coalesce(max(epoch), 0), $3, $4, $5, $6, '', $7 "
		"from mqaudit.producer where run_id = $1 and producer_id = $2::int8 returning epoch",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret_epoch = (uint32_t)pg_rows_i64(rows, 0, 0);
	pg_rows_free(rows);
	return 0;
}

int produced_start(
	struct ledger *l, const struct produced_start *s, uint32_t *ret_epoch, struct err *e)
{
	struct err ignored;
	int r = pg_begin(ledger_pg(l), NULL, PG_TIMEOUT, e);

	if (r)
		return r;
	r = lock_run(l, s->run_id, e);
	if (r == 0)
		r = insert_epoch(l, s, ret_epoch, e);
	if (r == 0)
		r = pg_commit(ledger_pg(l), PG_TIMEOUT, e);
	else
		err_ignore(pg_rollback(ledger_pg(l), PG_TIMEOUT, &ignored));
	return r ? err_wrap(e, "cannot start producer %u", s->producer_id) : 0;
}

int produced_set_journal(struct ledger *l, int64_t run_id, uint32_t producer_id, uint32_t epoch,
	const char *path, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	args_epoch(&args, run_id, producer_id, epoch);
	pg_arg_text(&args, path);
	return pg_query(ledger_pg(l),
		"update mqaudit.producer set journal = $4 "
		"where run_id = $1 and producer_id = $2 and epoch = $3",
		&args, PG_TIMEOUT, NULL, e);
}

/* ---- shipping -------------------------------------------------------------------------------- */

static void latency_text(struct buf *b, const struct hist *h)
{
	struct buf list;

	if (!h) {
		ledger_array_null(b);
		return;
	}
	buf_init(&list, 65536);
	ledger_histogram_text(&list, h);
	ledger_array_text(b, buf_str(&list));
	buf_release(&list);
}

static int ship_producers(struct ledger *l, const struct produced_shipment *s, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct ledger_columns c;
	int r;

	ledger_columns_begin(&c, 12);
	for (size_t i = 0; i < s->n_producers; i++) {
		const struct produced_producer *p = &s->producer[i];

		ledger_array_i64(&c.b[0], p->producer_id);
		ledger_array_i64(&c.b[1], p->epoch);
		ledger_array_i64(&c.b[2], (int64_t)p->shipment);
		ledger_array_i64(&c.b[3], (int64_t)p->shipped);
		ledger_array_i64(&c.b[4], (int64_t)p->disconnects);
		ledger_array_i64(&c.b[5], (int64_t)p->retries);
		ledger_array_i64(&c.b[6], (int64_t)p->timeouts);
		ledger_array_i64(&c.b[7], (int64_t)p->truncations);
		ledger_array_i64(&c.b[8], p->longest_gap_ns / NS_PER_MS);
		latency_text(&c.b[9], p->latency);
		if (p->end_cause) {
			ledger_array_text(&c.b[10], p->end_cause);
			ledger_array_text(&c.b[11], p->journal_state);
		} else {
			ledger_array_null(&c.b[10]);
			ledger_array_null(&c.b[11]);
		}
	}
	pg_arg_i64(&args, s->run_id);
	ledger_columns_args(&c, &args);
	r = pg_query(ledger_pg(l),
		"update mqaudit.producer p set shipment = d.shipment, shipped = d.shipped, heard = clock_timestamp(), "
		"disconnects = greatest(p.disconnects, d.disconnects), retries = greatest(p.retries, d.retries), "
		"timeouts = greatest(p.timeouts, d.timeouts), "
		"truncations = greatest(p.truncations, d.truncations), "
		"longest_gap_ms = greatest(p.longest_gap_ms, d.gap), "
		"latency = coalesce(d.latency::int8[], p.latency), "
		"ended = case when d.cause is not null then clock_timestamp() else p.ended end, "
		"end_cause = coalesce(d.cause, p.end_cause), "
		"journal_state = coalesce(d.state, p.journal_state) "
		"from unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], "
		"$8::int8[], $9::int8[], $10::int8[], $11::text[], $12::text[], $13::text[]) as d (producer_id, "
		"epoch, shipment, shipped, disconnects, retries, timeouts, truncations, gap, latency, cause, state) "
		"where p.run_id = $1::int8 and p.producer_id = d.producer_id and p.epoch = d.epoch "
		"and p.shipment = d.shipment - 1 and p.ended is null",
		&args, PG_TIMEOUT, &rows, e);
	ledger_columns_release(&c);
	if (r)
		return r;
	if (pg_rows_changed(rows) != s->n_producers)
		r = err_set(
			e, ERR_LOST_OWNERSHIP, "another process has shipped this probe's journal");
	pg_rows_free(rows);
	return r;
}

static int ship_lanes(struct ledger *l, const struct produced_shipment *s, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct ledger_columns c;
	int r;

	if (s->n_lanes == 0)
		return 0;
	ledger_columns_begin(&c, 8);
	for (size_t i = 0; i < s->n_lanes; i++) {
		const struct produced_lane *n = &s->lane[i];
		const struct produced_producer *p = &s->producer[n->producer];

		ledger_array_i64(&c.b[0], p->producer_id);
		ledger_array_i64(&c.b[1], p->epoch);
		ledger_array_i64(&c.b[2], n->partition);
		ledger_array_i64(&c.b[3], (int64_t)n->intent_lo);
		ledger_array_i64(&c.b[4], (int64_t)n->intent_hi);
		ledger_array_time(&c.b[5], n->first_wall_ns);
		ledger_array_time(&c.b[6], n->last_wall_ns);
		ledger_array_i64(&c.b[7], (int64_t)n->lease);
	}
	pg_arg_i64(&args, s->run_id);
	ledger_columns_args(&c, &args);
	/* an intent within a second of the row before it makes that row longer */
	r = pg_query(ledger_pg(l),
		"with d as materialized (select * from unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], "
		"$6::int8[], $7::timestamptz[], $8::timestamptz[], $9::int8[]) as u (producer_id, epoch, "
		"partition, lo, hi, first_time, last_time, lease)), "
		"longer as (update mqaudit.intent t set hi = d.hi, last_time = d.last_time from d "
		"where d.lo > 0 and t.run_id = $1::int8 and t.producer_id = d.producer_id and t.epoch = d.epoch "
		"and t.partition = d.partition and t.hi = d.lo - 1 "
		"and t.lo = (select max(x.lo) from mqaudit.intent x where x.run_id = $1::int8 "
		"and x.producer_id = d.producer_id and x.epoch = d.epoch and x.partition = d.partition) "
		"and d.last_time - t.first_time < interval '1 s' "
		"returning d.producer_id, d.epoch, d.partition), "
		"fresh as (insert into mqaudit.intent (run_id, producer_id, epoch, partition, lo, hi, first_time, "
		"last_time) select $1::int8, producer_id, epoch, partition, lo, hi, first_time, last_time from d "
		"where lo > 0 and (producer_id, epoch, partition) not in (select * from longer)) "
		"insert into mqaudit.lease as g (run_id, producer_id, epoch, partition, hi) "
		"select $1::int8, producer_id, epoch, partition, lease from d where lease > 0 "
		"on conflict (run_id, producer_id, epoch, partition) do update "
		"set hi = greatest(g.hi, excluded.hi)",
		&args, PG_TIMEOUT, NULL, e);
	ledger_columns_release(&c);
	return r;
}

static void outcome_columns(struct ledger_columns *c, const struct produced_shipment *s,
	const struct produced_outcome *o, int64_t number)
{
	const struct produced_producer *p = &s->producer[o->producer];

	ledger_array_i64(&c->b[0], p->producer_id);
	ledger_array_i64(&c->b[1], p->epoch);
	ledger_array_i64(&c->b[2], o->partition);
	ledger_array_i64(&c->b[3], o->attempt);
	ledger_array_i64(&c->b[4], (int64_t)o->lo);
	ledger_array_i64(&c->b[5], (int64_t)o->hi);
	ledger_array_text(&c->b[6], outcome_text(o->outcome));
	if (o->first_offset >= 0)
		ledger_array_i64(&c->b[7], o->first_offset);
	else
		ledger_array_null(&c->b[7]);
	if (o->node >= 0)
		ledger_array_i64(&c->b[8], o->node);
	else
		ledger_array_null(&c->b[8]);
	ledger_array_i64(&c->b[9], o->code);
	if (o->reason)
		ledger_array_text(&c->b[10], o->reason);
	else
		ledger_array_null(&c->b[10]);
	ledger_array_time(&c->b[11], o->first_wall_ns);
	ledger_array_time(&c->b[12], o->last_wall_ns);
	ledger_array_i64(&c->b[13], number);
}

static int ship_outcomes(struct ledger *l, const struct produced_shipment *s, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct ledger_columns c;
	int r;

	if (s->n_outcomes == 0)
		return 0;
	ledger_columns_begin(&c, 14);
	for (size_t i = 0; i < s->n_outcomes; i++)
		outcome_columns(&c, s, &s->outcome[i], (int64_t)i);
	pg_arg_i64(&args, s->run_id);
	ledger_columns_args(&c, &args);
	r = pg_query(ledger_pg(l),
		"with d as materialized (select * from unnest($2::int8[], $3::int8[], $4::int8[], $5::int4[], "
		"$6::int8[], $7::int8[], $8::mqaudit.outcome_kind[], $9::int8[], $10::int4[], $11::int4[], "
		"$12::text[], $13::timestamptz[], $14::timestamptz[], $15::int8[]) as u (producer_id, epoch, "
		"partition, attempt, lo, hi, outcome, first_offset, node, code, reason, first_time, last_time, n)), "
		"longer as (update mqaudit.outcome t set hi = d.hi, last_time = d.last_time, "
		"last_offset = d.first_offset + (d.hi - d.lo) from d "
		"where t.run_id = $1::int8 and t.producer_id = d.producer_id and t.epoch = d.epoch "
		"and t.partition = d.partition and t.hi = d.lo - 1 and t.outcome = d.outcome "
		"and t.lo = (select max(x.lo) from mqaudit.outcome x where x.run_id = $1::int8 "
		"and x.producer_id = d.producer_id and x.epoch = d.epoch and x.partition = d.partition "
		"and x.lo < d.lo) "
		"and t.attempt = d.attempt and t.code = d.code and t.node is not distinct from d.node "
		"and t.last_offset is not distinct from d.first_offset - 1 "
		"and (t.last_offset - t.first_offset = t.hi - t.lo or t.last_offset is null) "
		"and d.last_time - t.first_time < interval '1 s' returning d.n) "
		"insert into mqaudit.outcome (run_id, producer_id, epoch, partition, attempt, lo, hi, outcome, "
		"first_offset, last_offset, node, code, reason, first_time, last_time) "
		"select $1::int8, producer_id, epoch, partition, attempt, lo, hi, outcome, first_offset, "
		"first_offset + (hi - lo), node, code, reason, first_time, last_time from d "
		"where n not in (select n from longer)",
		&args, PG_TIMEOUT, NULL, e);
	ledger_columns_release(&c);
	return r;
}

static int ship_nodes(struct ledger *l, const struct produced_shipment *s, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct ledger_columns c;
	int r;

	if (s->n_nodes == 0)
		return 0;
	ledger_columns_begin(&c, 3);
	for (size_t i = 0; i < s->n_nodes; i++) {
		ledger_array_i64(&c.b[0], s->node[i].id);
		ledger_array_text(&c.b[1], s->node[i].host);
		ledger_array_i64(&c.b[2], s->node[i].port);
	}
	pg_arg_i64(&args, s->run_id);
	ledger_columns_args(&c, &args);
	r = pg_query(ledger_pg(l),
		"insert into mqaudit.node (run_id, side, node_id, host, port) "
		"select distinct on (i) $1::int8, 'source', i, h, p "
		"from unnest($2::int8[], $3::text[], $4::int4[]) as u (i, h, p) "
		"on conflict (run_id, side, node_id) do update set host = excluded.host, port = excluded.port",
		&args, PG_TIMEOUT, NULL, e);
	ledger_columns_release(&c);
	return r;
}

static int ship_sample(struct ledger *l, const struct produced_shipment *s, struct err *e)
{
	const struct produced_sample *m = s->sample;
	struct pg_args args = PG_ARGS_INIT;
	char at[LEDGER_TIME_LEN], seconds[40];

	if (!m)
		return 0;
	snprintf(seconds, sizeof(seconds), "%.6f", m->seconds);
	pg_arg_i64(&args, s->run_id);
	pg_arg_text(&args, m->source);
	pg_arg_text(&args, ledger_time(m->wall_ns, at));
	pg_arg_text(&args, seconds);
	pg_arg_u64(&args, m->sent);
	pg_arg_u64(&args, m->acked);
	pg_arg_u64(&args, m->failed);
	if (m->max_ns >= 0) {
		pg_arg_i64(&args, m->p50_ns);
		pg_arg_i64(&args, m->p99_ns);
		pg_arg_i64(&args, m->max_ns);
	} else {
		for (int i = 0; i < 3; i++)
			pg_arg_text(&args, NULL);
	}
	return pg_query(ledger_pg(l),
		"insert into mqaudit.sample (run_id, source, at, seconds, sent, acked, failed, p50_ns, p99_ns, "
		"max_ns) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		&args, PG_TIMEOUT, NULL, e);
}

int produced_ship(struct ledger *l, const struct produced_shipment *s, struct err *e)
{
	struct err ignored;
	int r = pg_begin(ledger_pg(l), NULL, PG_TIMEOUT, e);

	if (r)
		return r;
	r = ship_producers(l, s, e);
	if (r == 0)
		r = ship_lanes(l, s, e);
	if (r == 0)
		r = ship_outcomes(l, s, e);
	if (r == 0)
		r = ship_nodes(l, s, e);
	if (r == 0)
		r = ship_sample(l, s, e);
	if (r == 0)
		return pg_commit(ledger_pg(l), PG_TIMEOUT, e);
	err_ignore(pg_rollback(ledger_pg(l), PG_TIMEOUT, &ignored));
	return r;
}

/* ---- questions ------------------------------------------------------------------------------- */

/* One number by a query; ERR_NOTFOUND when there is no row. */
static int ask(struct ledger *l, const char *sql, const struct pg_args *args, uint64_t *ret,
	uint64_t *ret_second, struct err *e)
{
	struct pg_rows *rows = NULL;
	int r = pg_query(ledger_pg(l), sql, args, PG_TIMEOUT, &rows, e);

	if (r)
		return r;
	if (pg_rows_n(rows) == 0) {
		r = err_set(e, ERR_NOTFOUND, "it is not in the ledger any more");
	} else {
		*ret = pg_rows_u64(rows, 0, 0);
		if (ret_second)
			*ret_second = pg_rows_u64(rows, 0, 1);
	}
	pg_rows_free(rows);
	return r;
}

int produced_shipped(struct ledger *l, int64_t run_id, uint32_t producer_id, uint32_t epoch,
	uint64_t *ret_shipment, uint64_t *ret_shipped, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	args_epoch(&args, run_id, producer_id, epoch);
	return ask(l,
		"select shipment, shipped from mqaudit.producer "
		"where run_id = $1 and producer_id = $2 and epoch = $3",
		&args, ret_shipment, ret_shipped, e);
}

int produced_lane_state(struct ledger *l, int64_t run_id, uint32_t producer_id, uint32_t epoch,
	int32_t partition, uint64_t *ret_intended, uint64_t *ret_lease, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	args_epoch(&args, run_id, producer_id, epoch);
	pg_arg_i64(&args, partition);
	return ask(l,
		"select coalesce((select hi from mqaudit.intent where run_id = $1 and producer_id = $2 "
		"and epoch = $3 and partition = $4 order by lo desc limit 1), 0), coalesce((select hi from mqaudit.lease "
		"where run_id = $1 and producer_id = $2 and epoch = $3 and partition = $4), 0)",
		&args, ret_intended, ret_lease, e);
}

int produced_intended(
	struct ledger *l, int64_t run_id, uint32_t producer_id, uint64_t *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, producer_id);
	return ask(l,
		"select coalesce(sum(hi - lo + 1), 0)::int8 from mqaudit.intent "
		"where run_id = $1 and producer_id = $2",
		&args, ret, NULL, e);
}

int produced_assume_dead(struct ledger *l, int64_t run_id, uint64_t *ret_n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, run_id);
	r = pg_query(ledger_pg(l),
		"update mqaudit.producer set ended = clock_timestamp(), end_cause = 'assumed dead', "
		"journal_state = 'gone' where run_id = $1 and ended is null",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret_n = pg_rows_changed(rows);
	pg_rows_free(rows);
	return 0;
}

int produced_open(
	struct ledger *l, int64_t run_id, uint64_t *ret_n, char *names, size_t len, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	size_t at = 0;
	int r;

	names[0] = '\0';
	pg_arg_i64(&args, run_id);
	/* an epoch without a lease could not send: it died before its journal was there */
	r = pg_query(ledger_pg(l),
		"select producer_id, epoch, host, pid from mqaudit.producer p where run_id = $1 "
		"and ended is null and (exists (select from mqaudit.lease g where g.run_id = p.run_id "
		"and g.producer_id = p.producer_id and g.epoch = p.epoch) "
		"or heard > clock_timestamp() - interval '10 s') order by 1, 2",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret_n = (uint64_t)pg_rows_n(rows);
	for (int i = 0; i < pg_rows_n(rows) && i < 3 && at < len; i++)
		at += (size_t)snprintf(names + at, len - at, "%s%s.%s on %s (process %s)",
			i ? ", " : "", pg_rows_text(rows, i, 0), pg_rows_text(rows, i, 1),
			pg_rows_text(rows, i, 2), pg_rows_text(rows, i, 3));
	pg_rows_free(rows);
	return 0;
}
