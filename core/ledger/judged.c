#include "core/ledger/judged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

#define JUDGE_TIMEOUT (600 * NS_PER_S)

int judged_begin(struct ledger *l, int64_t run_id, uint32_t *ret_number, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, run_id);
	r = pg_query(ledger_pg(l),
		"with locked as (select run_id from mqaudit.run where run_id = $1 for update) "
		"insert into mqaudit.judgement (run_id, judgement) "
		"select run_id, 1 + coalesce((select max(judgement) from mqaudit.judgement j "
		"where j.run_id = $1), 0) from locked returning judgement",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	if (pg_rows_n(rows) == 1)
		*ret_number = (uint32_t)pg_rows_i64(rows, 0, 0);
	else
		r = err_set(e, ERR_NOTFOUND, "the run is not in the ledger any more");
	pg_rows_free(rows);
	return r;
}

int judged_fence(struct ledger *l, int64_t run_id, const char *side, const struct judged_fence *f,
	struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, f->judgement);
	pg_arg_u64(&args, f->number);
	pg_arg_text(&args, side);
	pg_arg_i64(&args, f->partition);
	pg_arg_i64(&args, f->nonce);
	pg_arg_i64(&args, f->offset);
	if (f->read_partition < 0)
		pg_arg_text(&args, NULL);
	else
		pg_arg_i64(&args, f->read_partition);
	return pg_query(ledger_pg(l),
		"insert into mqaudit.fence as f (run_id, judgement, number, side, partition, nonce, \"offset\", "
		"acked, read, read_partition) values ($1, $2, $3, $4, $5, $6, $7, "
		"case when $8::int8 is null then clock_timestamp() end, "
		"case when $8::int8 is not null then clock_timestamp() end, $8::int8) "
		"on conflict (run_id, judgement, number, side, partition) do update "
		"set read = coalesce(excluded.read, f.read), acked = coalesce(f.acked, excluded.acked), "
		"read_partition = coalesce(excluded.read_partition, f.read_partition)",
		&args, PG_TIMEOUT, NULL, e);
}

int judged_relay(struct ledger *l, int64_t run_id, uint32_t judgement, struct judged_relay *ret,
	struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, judgement);
	r = pg_query(ledger_pg(l),
		"select coalesce(sum(absent) filter (where not fenced), 0)::int8, "
		"coalesce(sum(absent) filter (where fenced and strayed), 0)::int8, "
		"coalesce(string_agg(partition::text, ', ' order by partition) "
		"filter (where fenced and strayed and absent > 0), '') "
		"from mqaudit.relay_state($1::int8, $2::int4)",
		&args, 4 * PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	ret->unfenced = pg_rows_u64(rows, 0, 0);
	ret->strayed = pg_rows_u64(rows, 0, 1);
	snprintf(ret->partitions, sizeof(ret->partitions), "%s", pg_rows_text(rows, 0, 2));
	pg_rows_free(rows);
	return 0;
}

int judged_health(struct ledger *l, int64_t run_id, struct judged_health *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	pg_arg_i64(&args, run_id);
	r = pg_query(ledger_pg(l),
		"select why from ("
		"select 1 as n, 'producer ' || producer_id || '.' || epoch || ' had lost connections, retries or "
		"timeouts' as why from mqaudit.producer where run_id = $1 "
		"and (disconnects > 0 or retries > 0 or timeouts > 0 or truncations > 0) "
		"union all select 2, 'producer ' || producer_id || '.' || epoch || ' ' || end_cause "
		"from mqaudit.producer where run_id = $1 and end_cause not in ('finished', 'stopped') "
		"union all select 3, 'some outcomes are ' || outcome from mqaudit.outcome where run_id = $1 "
		"and outcome in ('unknown', 'unconfirmed') "
		"union all select 4, 'some messages have no outcome' from mqaudit.judge_lanes($1) "
		"where not isempty(silent)) s order by n limit 1",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	ret->healthy = pg_rows_n(rows) == 0;
	if (!ret->healthy)
		snprintf(ret->why, sizeof(ret->why), "%s", pg_rows_text(rows, 0, 0));
	pg_rows_free(rows);
	return 0;
}

int judged_nodes(
	struct ledger *l, int64_t run_id, struct judged_node **ret, size_t *ret_n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct judged_node *list;
	size_t n;
	int r;

	pg_arg_i64(&args, run_id);
	r = pg_query(ledger_pg(l),
		"select node_id, host, port from mqaudit.node where run_id = $1 and side = 'source' order by 1",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	n = (size_t)pg_rows_n(rows);
	list = calloc(n + 1, sizeof(*list));
	for (size_t i = 0; list && i < n; i++) {
		list[i].id = (int32_t)pg_rows_i64(rows, (int)i, 0);
		snprintf(list[i].host, sizeof(list[i].host), "%s", pg_rows_text(rows, (int)i, 1));
		list[i].port = (int)pg_rows_i64(rows, (int)i, 2);
	}
	pg_rows_free(rows);
	if (!list)
		return err_set(e, ERR_NOMEM, "out of memory");
	*ret = list;
	*ret_n = n;
	return 0;
}

int judged_faults_on(
	struct ledger *l, const char *lab, uint64_t *ret_n, char *names, size_t len, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	size_t at = 0;
	int r;

	names[0] = '\0';
	pg_arg_text(&args, lab);
	r = pg_query(ledger_pg(l),
		"select subject, detail from mqaudit.event where lab = $1 and kind = 'fault' and until is null "
		"order by at",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret_n = (uint64_t)pg_rows_n(rows);
	for (int i = 0; i < pg_rows_n(rows) && i < 3 && at < len; i++)
		at += (size_t)snprintf(names + at, len - at, "%s%s (%s)", i ? ", " : "",
			pg_rows_text(rows, i, 0), pg_rows_text(rows, i, 1));
	pg_rows_free(rows);
	return 0;
}

int judged_compute(struct ledger *l, int64_t run_id, uint32_t judgement, bool complete, bool behind,
	struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, judgement);
	pg_arg_text(&args, complete ? "true" : "false");
	pg_arg_text(&args, behind ? "true" : "false");
	/* a function's statement is a transaction of its own: what it reads is one snapshot a statement, and
	 * nothing of this run is being written any more */
	return pg_query(ledger_pg(l),
		"select mqaudit.judge($1::int8, $2::int4, $3::bool, $4::bool)", &args,
		JUDGE_TIMEOUT, NULL, e);
}

static int sum_findings(
	struct ledger *l, const struct pg_args *args, struct judged_sums *ret, struct err *e)
{
	struct pg_rows *rows = NULL;
	int r = pg_query(ledger_pg(l),
		"select kind, stage, sum(count)::int8 from mqaudit.finding "
		"where run_id = $1 and judgement = $2 and withdrawn is null group by 1, 2",
		args, PG_TIMEOUT, &rows, e);

	if (r)
		return r;
	for (int i = 0; r == 0 && i < pg_rows_n(rows); i++) {
		enum finding_kind k;
		enum stage s;

		if (!finding_parse(pg_rows_text(rows, i, 0), &k) ||
			!stage_parse(pg_rows_text(rows, i, 1), &s))
			r = err_set(e, ERR_DEFECT,
				"the judge found '%s' at '%s', which is not a word",
				pg_rows_text(rows, i, 0), pg_rows_text(rows, i, 1));
		else
			ret->count[k][s] += pg_rows_u64(rows, i, 2);
	}
	pg_rows_free(rows);
	return r;
}

int judged_sums(struct ledger *l, int64_t run_id, uint32_t judgement, struct judged_sums *ret,
	struct err *e)
{
#define COUNT(name) offsetof(struct judged_sums, name)
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{"intended", COUNT(intended)},
		{"acked", COUNT(acked)},
		{"unconfirmed", COUNT(unconfirmed)},
		{"refused", COUNT(refused)},
		{"unknown", COUNT(unknown)},
		{"none", COUNT(none)},
		{"unrecorded", COUNT(unrecorded)},
		{"in_flight", COUNT(in_flight)},
		{"unrecorded_absent", COUNT(unrecorded_absent)},
		{"maybe_intended", COUNT(maybe_intended)},
		{"read", COUNT(read)},
		{"distinct", COUNT(distinct)},
		{"extra", COUNT(extra)},
		{"redelivered", COUNT(redelivered)},
		{"aborted", COUNT(aborted)},
		{"foreign", COUNT(foreign)},
		{"phantom", COUNT(phantom)},
		{"corrupted", COUNT(corrupted)},
		{"fences", COUNT(fences)},
		{"pending", COUNT(pending)},
		{"target_read", COUNT(target_read)},
		{"target_distinct", COUNT(target_distinct)},
		{"target_extra", COUNT(target_extra)},
		{"target_redelivered", COUNT(target_redelivered)},
		{"target_foreign", COUNT(target_foreign)},
		{"target_phantom", COUNT(target_phantom)},
		{"target_corrupted", COUNT(target_corrupted)},
		{"target_fences", COUNT(target_fences)},
	};
#undef COUNT
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	memset(ret, 0, sizeof(*ret));
	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, judgement);
	r = sum_findings(l, &args, ret, e);
	if (r)
		return r;
	r = pg_query(ledger_pg(l),
		"select k, v from mqaudit.judgement, jsonb_each_text(counts) as u (k, v) "
		"where run_id = $1 and judgement = $2",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	for (int i = 0; i < pg_rows_n(rows); i++)
		for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
			if (strcmp(fields[k].name, pg_rows_text(rows, i, 0)) == 0)
				*(uint64_t *)(void *)((char *)ret + fields[k].offset) =
					pg_rows_u64(rows, i, 1);
	r = pg_rows_check(rows, e);
	pg_rows_free(rows);
	return r;
}

int judged_never_routed(
	struct ledger *l, int64_t run_id, uint32_t judgement, uint64_t *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, judgement);
	r = pg_query(ledger_pg(l),
		"select coalesce(sum(count), 0)::int8 from mqaudit.finding where run_id = $1 and judgement = $2 "
		"and withdrawn is null and kind = 'lost' and why like 'never routed%'",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret = pg_rows_u64(rows, 0, 0);
	pg_rows_free(rows);
	return 0;
}

/* Is a whole the sum of its parts? Says what is not, behind what was said before. */
static bool sum_holds(
	const char *whole, uint64_t n, const char *parts, uint64_t sum, char *text, size_t len)
{
	size_t at = strlen(text);

	if (n == sum)
		return true;
	snprintf(text + at, len - at, "%s%llu %s, but %llu %s", at ? "; " : "",
		(unsigned long long)n, whole, (unsigned long long)sum, parts);
	return false;
}

bool judged_sums_hold(const struct judged_sums *s, char *text, size_t len)
{
	bool ok;

	text[0] = '\0';
	ok = sum_holds("messages intended", s->intended, "outcomes",
		s->acked + s->unconfirmed + s->refused + s->unknown + s->none + s->unrecorded +
			s->in_flight,
		text, len);
	ok &= sum_holds("records read", s->read, "accounted for",
		s->distinct + s->extra + s->redelivered + s->aborted + s->foreign + s->phantom +
			s->corrupted + s->fences,
		text, len);
	ok &= sum_holds("records read behind the relay", s->target_read, "accounted for",
		s->target_distinct + s->target_extra + s->target_redelivered + s->target_foreign +
			s->target_phantom + s->target_corrupted + s->target_fences,
		text, len);
	return ok;
}

struct each_finding {
	int (*each)(const struct judged_finding *f, void *arg, struct err *e);
	void *arg;
};

static int give_finding(const struct pg_rows *rows, void *arg, struct err *e)
{
	const struct each_finding *to = arg;
	struct judged_finding f = {
		.producer_id = pg_rows_i64(rows, 0, 2),
		.epoch = pg_rows_i64(rows, 0, 3),
		.partition = pg_rows_i64(rows, 0, 4),
		.lo = pg_rows_u64(rows, 0, 5),
		.hi = pg_rows_u64(rows, 0, 6),
		.count = pg_rows_u64(rows, 0, 7),
		.why = pg_rows_text(rows, 0, 8),
	};

	if (!finding_parse(pg_rows_text(rows, 0, 0), &f.kind) ||
		!stage_parse(pg_rows_text(rows, 0, 1), &f.stage))
		return err_set(e, ERR_DEFECT, "the ledger has a finding '%s' at '%s'",
			pg_rows_text(rows, 0, 0), pg_rows_text(rows, 0, 1));
	return to->each(&f, to->arg, e);
}

int judged_findings(struct ledger *l, int64_t run_id, uint32_t judgement,
	int (*each)(const struct judged_finding *f, void *arg, struct err *e), void *arg,
	struct err *e)
{
	struct each_finding to = {each, arg};
	struct pg_args args = PG_ARGS_INIT;

	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, judgement);
	return pg_query_each(ledger_pg(l),
		"select kind, stage, producer_id, epoch, partition, lo, hi, count, why from mqaudit.finding "
		"where run_id = $1 and judgement = $2 and withdrawn is null",
		&args, JUDGE_TIMEOUT, give_finding, &to, e);
}

int judged_places(struct ledger *l, int64_t run_id, uint32_t judgement, size_t max,
	struct judged_place **ret, size_t *ret_n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct judged_place *list;
	int r;

	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, judgement);
	pg_arg_u64(&args, max);
	r = pg_query(ledger_pg(l),
		"select f.finding_id, p.place, f.stage = 'relay', (p.value ->> 'partition')::int8, "
		"f.producer_id, f.epoch, coalesce((p.value ->> 'nonce')::int8, -1), f.partition, "
		"(p.value ->> 'seq')::int8, (p.value ->> 'from')::int8, (p.value ->> 'to')::int8, "
		"(p.value ->> 'guess')::int8 "
		"from mqaudit.finding f "
		"cross join lateral jsonb_array_elements(f.positions) with ordinality as p (value, place) "
		"where f.run_id = $1 and f.judgement = $2 and jsonb_path_exists(f.positions, '$[*].from') "
		"and p.value ? 'from' order by 3, 4, 10, 9 limit $3",
		&args, JUDGE_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret_n = (size_t)pg_rows_n(rows);
	list = calloc(*ret_n + 1, sizeof(*list));
	for (size_t i = 0; list && i < *ret_n; i++) {
		int row = (int)i;

		list[i] = (struct judged_place){
			.finding = pg_rows_i64(rows, row, 0),
			.place = pg_rows_i64(rows, row, 1),
			.side = pg_rows_bool(rows, row, 2) ? RUN_TARGET : RUN_SOURCE,
			.partition = (int32_t)pg_rows_i64(rows, row, 3),
			.producer_id = (uint32_t)pg_rows_i64(rows, row, 4),
			.epoch = (uint32_t)pg_rows_i64(rows, row, 5),
			.nonce = (uint32_t)pg_rows_i64(rows, row, 6),
			.lane = (uint32_t)pg_rows_i64(rows, row, 7),
			.seq = pg_rows_u64(rows, row, 8),
			.from = pg_rows_i64(rows, row, 9),
			.to = pg_rows_i64(rows, row, 10),
			.guess = pg_rows_i64(rows, row, 11),
			/* where it was acked, and is not: nothing is to be found there */
			.offset = pg_rows_i64(rows, row, 6) < 0 ? JUDGED_GONE : JUDGED_NOT_LOOKED,
		};
	}
	r = pg_rows_check(rows, e);
	pg_rows_free(rows);
	if (r == 0 && !list)
		r = err_set(e, ERR_NOMEM, "out of memory");
	if (r)
		free(list);
	else
		*ret = list;
	return r;
}

int judged_put_places(struct ledger *l, int64_t run_id, uint32_t judgement,
	const struct judged_place *place, size_t n, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct buf col[3];
	int r;

	for (int i = 0; i < 3; i++) {
		buf_init(&col[i], BUF_MAX_DEFAULT);
		ledger_array_begin(&col[i]);
	}
	for (size_t i = 0; i < n; i++) {
		if (place[i].offset == JUDGED_NOT_LOOKED)
			continue;
		ledger_array_i64(&col[0], place[i].finding);
		ledger_array_i64(&col[1], place[i].place);
		if (place[i].offset == JUDGED_GONE)
			ledger_array_null(&col[2]);
		else
			ledger_array_i64(&col[2], place[i].offset);
	}
	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, judgement);
	for (int i = 0; i < 3; i++)
		pg_arg_text(&args, ledger_array_end(&col[i]));
	r = pg_query(ledger_pg(l),
		"select mqaudit.judge_places($1::int8, $2::int4, $3::int8[], $4::int8[], $5::int8[])",
		&args, JUDGE_TIMEOUT, NULL, e);
	for (int i = 0; i < 3; i++)
		buf_release(&col[i]);
	return r;
}

int judged_finish(struct ledger *l, int64_t run_id, uint32_t judgement,
	const struct judged_verdict *v, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct err ignored;
	struct buf reasons;
	int r;

	buf_init(&reasons, BUF_MAX_DEFAULT);
	ledger_array_begin(&reasons);
	for (size_t i = 0; i < v->n_reasons; i++)
		ledger_array_text(&reasons, v->reasons[i]);
	pg_arg_i64(&args, run_id);
	pg_arg_i64(&args, judgement);
	pg_arg_text(&args, verdict_text(v->verdict));
	pg_arg_text(&args, v->fenced ? "true" : "false");
	pg_arg_text(&args, v->agreed ? "true" : "false");
	pg_arg_text(&args, ledger_array_end(&reasons));
	r = pg_begin(ledger_pg(l), NULL, PG_TIMEOUT, e);
	if (r == 0)
		r = pg_query(ledger_pg(l),
			"update mqaudit.judgement set ended = clock_timestamp(), verdict = $3, fenced = $4, "
			"agreed = $5, reasons = $6 where run_id = $1 and judgement = $2",
			&args, PG_TIMEOUT, NULL, e);
	args.n = 1;
	if (r == 0)
		r = pg_query(ledger_pg(l),
			"update mqaudit.run set ended = clock_timestamp() where run_id = $1 and ended is null "
			"and not exists (select from mqaudit.producer p where p.run_id = $1 and p.ended is null "
			"and exists (select from mqaudit.lease g where g.run_id = p.run_id "
			"and g.producer_id = p.producer_id and g.epoch = p.epoch))",
			&args, PG_TIMEOUT, NULL, e);
	if (r == 0)
		r = pg_commit(ledger_pg(l), PG_TIMEOUT, e);
	else
		err_ignore(pg_rollback(ledger_pg(l), PG_TIMEOUT, &ignored));
	buf_release(&reasons);
	return r;
}

int judged_provisional(struct ledger *l, int64_t run_id,
	int (*each)(const struct judged_finding *f, void *arg, struct err *e), void *arg,
	uint64_t *ret_lost, struct err *e)
{
	struct each_finding to = {each, arg};
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, run_id);
	r = pg_query_each(ledger_pg(l),
		"select kind, stage, producer_id, epoch, partition, lo, hi, count, why "
		"from mqaudit.provisional($1::int8)",
		&args, 4 * PG_TIMEOUT, give_finding, &to, e);
	if (r)
		return r;
	r = pg_query(ledger_pg(l),
		"select coalesce(sum(count), 0)::int8 from mqaudit.finding "
		"where run_id = $1 and judgement is null and withdrawn is null",
		&args, PG_TIMEOUT, &rows, e);
	if (r)
		return r;
	*ret_lost = pg_rows_u64(rows, 0, 0);
	pg_rows_free(rows);
	return 0;
}
