#include "probe/probe.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/broker/plant.h"
#include "core/clock.h"
#include "core/envelope.h"
#include "core/labfile.h"
#include "core/ledger/produced.h"
#include "core/ledger/removed.h"
#include "core/log.h"
#include "core/paths.h"
#include "core/rng.h"
#include "core/status.h"
#include "core/stop.h"
#include "core/units.h"
#include "probe/shipper.h"

#define TICK_NS (100 * NS_PER_MS)
#define STATUS_NS (200 * NS_PER_MS)
#define PLAIN_LINE_NS (5 * NS_PER_S)

/* Everything that one probe holds, in the order in which it comes to be. */
struct probe {
	const struct cmdline *cl;
	const struct probe_opts *o;
	struct destination d;
	struct destination target;
	bool has_target;
	bool joins;                             /* the run was there before */
	bool queue_was_empty;                   /* and without consumers, when the run began */
	bool target_is_queue, target_was_empty; /* the same of the target */
	struct broker_topic topic;
	struct ledger *ledger;
	struct run run;
	int32_t *partitions;
	size_t n_partitions;
	struct producer_plan plan;
	struct plant *plant; /* NULL: none */
	struct producer **producer;
	struct journal **journal;
	struct props **props; /* one a producer when they differ (transactional.id) */
	struct broker_config *config;
	size_t n_producers;
	size_t n_made;
	struct shipper *shipper;
	char source[128];
	char journal_folder[PATHS_MAX];
	int64_t started_ns;
	bool blocked; /* said so */
	uint64_t outcomes_before;
	int64_t outcomes_at_ns;
	double rate_now;
};

/* ---- destination and run --------------------------------------------------------------------- */

static void print_warnings(struct props *warnings)
{
	for (size_t i = 0; warnings && i < props_count(warnings); i++)
		log_warn("%s", props_value(warnings, i));
	props_free(warnings);
}

/* The topic as --create-topic and its companions want it; *ret_made: it was not there. */
static int create_topic(struct probe *p, bool *ret_made, struct err *e)
{
	struct probe_new_topic how;
	int r = probe_parse_new_topic(p->o, &how, e);

	*ret_made = false;
	if (r == 0) {
		r = p->d.ops->create(&p->d.config, &how.create, e);
		*ret_made = r == 0;
	}
	probe_new_topic_release(&how);
	return r == ERR_EXISTS ? 0 : r;
}

/* A topic that was there before is used only if it is like the one that was asked for. */
static int check_found_topic(const struct probe *p, struct err *e)
{
	struct probe_new_topic how;
	int replicas = p->topic.partition[0].replicas;
	int r = probe_parse_new_topic(p->o, &how, e);

	if (r == 0 && (size_t)how.create.partitions != p->topic.n_partitions)
		r = err_set(e, ERR_USAGE,
			"topic '%s' is there already, with %zu partition%s, not %d", p->d.url.name,
			p->topic.n_partitions, p->topic.n_partitions == 1 ? "" : "s",
			how.create.partitions);
	else if (r == 0 && how.create.replication > 0 && how.create.replication != replicas)
		r = err_set(e, ERR_USAGE,
			"topic '%s' is there already, replicated %d times, not %d", p->d.url.name,
			replicas, how.create.replication);
	if (r == ERR_USAGE)
		err_hint(e, "leave out --create-topic to use it as it is, or use another topic");
	probe_new_topic_release(&how);
	return r;
}

/* The topic, made if asked for; a fresh one may take a moment to have leaders everywhere. */
static int find_topic(struct probe *p, struct err *e)
{
	int64_t deadline = clock_ns() + p->o->destination.timeout_ns;
	bool made = false;
	int r = 0;

	if (probe_makes_topic(p->o))
		r = create_topic(p, &made, e);
	while (r == 0) {
		bool whole = true;

		r = p->d.ops->topic(&p->d.config, &p->topic, e);
		if (r == ERR_NOTFOUND && probe_makes_topic(p->o) && clock_ns() < deadline) {
			r = 0;
			clock_sleep_ns(100 * NS_PER_MS);
			continue;
		}
		for (size_t i = 0; r == 0 && i < p->topic.n_partitions; i++)
			whole &= p->topic.partition[i].leader >= 0;
		if (r == 0 && probe_makes_topic(p->o) && !made)
			r = check_found_topic(p, e);
		if (r || whole || clock_ns() >= deadline)
			return r;
		broker_topic_free(&p->topic);
		clock_sleep_ns(100 * NS_PER_MS);
	}
	return r;
}

/* Another probe of the run, or an earlier one, may have filled the queue, and its checker may read it. */
static int look_at_queue(struct probe *p, struct err *e)
{
	struct run there;
	struct err ignored;

	p->joins = p->o->run && *p->o->run && run_find(p->ledger, p->o->run, &there, &ignored) == 0;
	if (p->joins || p->o->shared)
		return 0;
	return probe_check_queue(&p->d, &p->topic, p->has_target, &p->queue_was_empty, e);
}

/* Where the target's logs end now; a queue's may be the run's own to read. */
static int look_at_target(struct probe *p, int64_t **ret_ends, size_t *ret_n, struct err *e)
{
	struct broker_topic topic = {0};
	int r = p->target.ops->topic(&p->target.config, &topic, e);

	if (r == 0)
		r = probe_log_ends(&p->target, &topic, ret_ends, e);
	if (r == 0) {
		p->target_is_queue = topic.caps & BROKER_CAP_QUEUE;
		r = probe_queue_is_empty(&p->target, &topic, &p->target_was_empty, e);
	}
	*ret_n = topic.n_partitions;
	broker_topic_free(&topic);
	return r ? err_wrap(e, "%s", p->target.text) : 0;
}

/*
 * Beside the queue a stream that has what was routed is the run's source, and the queue, where nothing relays its
 * messages, is what is behind it. Which numbers its messages begin with then.
 */
static int make_routed_stream(
	struct probe *p, int64_t *source, int64_t **target, size_t *ret_n_target, struct err *e)
{
	int r = probe_routed_make(&p->d, &source[0], e);

	if (r || p->has_target)
		return r;
	*target = calloc(1, sizeof(**target));
	*ret_n_target = 1;
	return *target ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

/* A run that was made for nothing goes. */
static int bind_routed_stream(struct probe *p, bool made, struct err *e)
{
	struct err ignored;
	int r = made ? probe_routed_try(&p->d, (uint64_t)p->run.id, e)
		     : probe_routed_check_run(p->ledger, &p->run, p->has_target, e);

	if (r == 0)
		r = probe_routed_bind(&p->d, e);
	if (r && made)
		err_ignore(run_delete(p->ledger, p->run.id, &ignored));
	return r;
}

static int make_run(struct probe *p, struct err *e)
{
	const struct probe_opts *o = p->o;
	int64_t *source = NULL, *target = NULL;
	char base[RUN_NAME_BASE_MAX + 1], cluster[LABFILE_NAME_MAX + 1];
	struct run_spec spec = {
		.name = o->run,
		.name_base = base,
		.destination = p->d.text,
		.broker = p->d.ops->scheme,
		.lab = p->d.url.lab[0] ? p->d.url.lab : NULL,
		.target = p->has_target ? p->target.text : NULL,
		.target_lab = p->has_target && p->target.url.lab[0] ? p->target.url.lab : NULL,
		.promise = o->promise,
		.fail_on = o->fail_on,
		.allow = o->allow,
		.transactional =
			p->plan.transaction || props_get(p->d.producer, "transactional.id"),
		.keys = o->keys,
	};
	bool made;
	int r = probe_log_ends(&p->d, &p->topic, &source, e);

	/* faults of a user's own cluster are this run's too */
	if (!spec.lab && labfile_cluster_of(p->d.url.hosts, cluster, sizeof(cluster)))
		spec.lab = cluster;
	/* a topic's name can be longer than a run's */
	snprintf(base, sizeof(base), "%s", p->d.url.name);
	spec.source_start = source;
	spec.n_source = p->topic.n_partitions;
	if (r == 0 && p->has_target)
		r = look_at_target(p, &target, &spec.n_target, e);
	if (r == 0 && o->routed_stream)
		r = make_routed_stream(p, source, &target, &spec.n_target, e);
	spec.target_start = target;
	if (r == 0)
		r = run_make(p->ledger, &spec, &p->run, &made, e);
	if (r == 0 && o->routed_stream)
		r = bind_routed_stream(p, made, e);
	if (r == 0 && !made && spec.transactional && !p->run.transactional)
		r = run_set_transactional(p->ledger, p->run.id, e);
	free(source);
	free(target);
	return r;
}

struct collected {
	const char **name, **value;
	size_t n, cap;
	bool failed;
};

static void collect(void *arg, const char *name, const char *value)
{
	struct collected *c = arg;

	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 256;
		const char **names = realloc(c->name, cap * sizeof(*names));
		const char **values = names ? realloc(c->value, cap * sizeof(*values)) : NULL;

		c->name = names ? names : c->name;
		c->value = values ? values : c->value;
		if (!names || !values) {
			c->failed = true;
			return;
		}
		c->cap = cap;
	}
	c->name[c->n] = strdup(name);
	c->value[c->n] = strdup(value);
	c->failed |= !c->name[c->n] || !c->value[c->n];
	c->n++;
}

static int store(struct probe *p, const char *scope, struct collected *c, struct err *e)
{
	int r = c->failed
			? err_set(e, ERR_NOMEM, "out of memory")
			: run_put_settings(p->ledger, p->run.id, scope, c->name, c->value, c->n, e);

	for (size_t i = 0; i < c->n; i++) {
		free((void *)(uintptr_t)c->name[i]);
		free((void *)(uintptr_t)c->value[i]);
	}
	free(c->name);
	free(c->value);
	memset(c, 0, sizeof(*c));
	return r;
}

static void collect_u64(struct collected *c, const char *name, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	collect(c, name, text);
}

/*
 * Before the first message: what can take messages from the queue, and what the nodes have counted so far. Where
 * nobody tells there is nothing to be noted; the judge sees to what that means.
 */
static int store_removals(struct probe *p, struct err *e)
{
	struct removed_count *count = NULL;
	struct broker_removals now;
	struct collected c = {0};
	struct err why;
	int r = 0;

	if (p->joins || !(p->topic.caps & BROKER_CAP_QUEUE) || !p->d.ops->removals)
		return 0;
	if (p->d.ops->removals(&p->d.config, &now, &why)) {
		if (p->d.config.management)
			log_warn("what takes messages from the queue cannot be told: %s", why.msg);
		return 0;
	}
	count = calloc(now.n_counts + 1, sizeof(*count));
	for (size_t i = 0; count && i < now.n_counts; i++)
		count[i] = (struct removed_count){now.count[i].node, now.count[i].incarnation,
			now.count[i].name, now.count[i].count};
	r = count ? 0 : err_set(e, ERR_NOMEM, "out of memory");
	if (r == 0 && now.all_nodes)
		r = removed_put_counts(p->ledger, p->run.id, true, count, now.n_counts, e);
	free(count);
	collect(&c, "source", now.source);
	collect(&c, "limits", now.limits);
	if (now.dead_letter_queue[0])
		collect(&c, "dead-letter-queue", now.dead_letter_queue);
	broker_removals_free(&now);
	return r ? r : store(p, "policy", &c, e);
}

static int store_settings(struct probe *p, struct err *e)
{
	const struct probe_opts *o = p->o;
	struct collected c = {0};
	struct err ignored;
	int r;

	producer_settings(p->producer[0], collect, &c);
	r = store(p, "client", &c, e);
	if (r == 0 && p->d.ops->topic_settings &&
		p->d.ops->topic_settings(&p->d.config, collect, &c, &ignored) == 0) {
		if (p->d.ops->caps & BROKER_CAP_PARTITIONS) {
			collect_u64(&c, "partitions", p->topic.n_partitions);
			collect_u64(
				&c, "replication.factor", (uint64_t)p->topic.partition[0].replicas);
		}
		r = store(p, "topic", &c, e);
	}
	if (r)
		return r;
	collect(&c, "library", p->d.ops->library());
	collect_u64(&c, "size", o->size);
	collect_u64(&c, "producers", o->producers);
	if (o->rate)
		collect_u64(&c, "rate", o->rate);
	if (o->count != UINT64_MAX)
		collect_u64(&c, "count", o->count);
	collect(&c, "keys", o->keys);
	if (!p->joins && (p->topic.caps & BROKER_CAP_QUEUE))
		collect(&c, "queue-was-empty", p->queue_was_empty ? "true" : "false");
	if (!p->joins && p->target_is_queue)
		collect(&c, "target-queue-was-empty", p->target_was_empty ? "true" : "false");
	if (o->routed_stream) {
		char stream[256];

		probe_routed_name(&p->d, stream, sizeof(stream));
		collect(&c, "routed-stream", stream);
		collect(&c, "routed-exchange", props_get(p->d.producer, "exchange"));
		collect(&c, "routed-key", props_get(p->d.producer, "routing.key"));
	}
	collect(&c, "on-queue-full", o->on_queue_full);
	if (o->exit_without_flush)
		collect(&c, "exit-without-flush", "true");
	if (o->republish_unknown)
		collect(&c, "republish-unknown", "true");
	if (o->transaction)
		collect(&c, "transaction", o->transaction);
	if (o->crash_at)
		collect(&c, "crash-at", o->crash_at);
	collect(&c, "shared", o->shared ? "true" : "false");
	collect(&c, "fsync", o->fsync ? "true" : "false");
	collect(&c, "cluster", p->topic.cluster_id);
	return store(p, "probe", &c, e);
}

/* ---- producers ------------------------------------------------------------------------------- */

static int make_epoch(struct probe *p, size_t i, struct producer_share *share, struct err *e)
{
	struct journal_id id = {.run_id = (uint64_t)p->run.id,
		.producer_id = share->producer_id,
		.nonce = share->nonce,
		.fsync = p->o->fsync};
	struct produced_start start = {.run_id = p->run.id,
		.producer_id = share->producer_id,
		.nonce = share->nonce,
		.pid = (int)getpid(),
		.fsync = p->o->fsync};
	char host[64] = "", boot[40];
	int r;

	gethostname(host, sizeof(host) - 1);
	journal_boot_id(boot, sizeof(boot));
	start.host = host;
	start.boot_id = boot;
	r = produced_start(p->ledger, &start, &share->epoch, e);
	if (r)
		return r;
	id.epoch = share->epoch;
	r = journal_create(
		p->journal_folder, &id, p->partitions, p->n_partitions, &p->journal[i], e);
	if (r == 0)
		r = produced_set_journal(p->ledger, p->run.id, share->producer_id, share->epoch,
			journal_path(p->journal[i]), e);
	return r;
}

/* A producer with a transactional id needs one of its own. */
static int own_config(struct probe *p, size_t i, uint32_t producer_id, struct err *e)
{
	const char *given = props_get(p->d.producer, "transactional.id");
	char text[300];
	int r;

	p->config[i] = p->d.config;
	if (!p->plan.transaction)
		return 0;
	if (given && p->n_producers == 1)
		return 0;
	snprintf(text, sizeof(text), "%s-%u", given ? given : p->run.name, producer_id);
	p->props[i] = props_new();
	if (!p->props[i])
		return err_set(e, ERR_NOMEM, "out of memory");
	r = props_merge(p->props[i], p->d.producer, e);
	if (r == 0)
		r = props_set(p->props[i], "transactional.id", text, e);
	p->config[i].props = p->props[i];
	return r;
}

static int share_of(struct probe *p, size_t i, struct producer_share *ret, struct err *e)
{
	const struct probe_opts *o = p->o;
	uint64_t n = p->n_producers, before = 0;
	int r = 0;

	*ret = (struct producer_share){
		.producer_id = (uint32_t)(o->producer_id + i),
		.nonce = (uint32_t)rng_system(),
		.count = UINT64_MAX,
		.rate = (double)o->rate / (double)n,
		.phase = (double)i / (double)n,
	};
	if (o->count != UINT64_MAX)
		ret->count = o->count / n + (i < o->count % n ? 1 : 0);
	if (o->resume && ret->count != UINT64_MAX) {
		r = produced_intended(p->ledger, p->run.id, ret->producer_id, &before, e);
		ret->count = before < ret->count ? ret->count - before : 0;
	}
	return r;
}

static int make_producers(struct probe *p, struct err *e)
{
	size_t n = p->n_producers = (size_t)p->o->producers;
	int r = 0;

	p->producer = calloc(n, sizeof(*p->producer));
	p->journal = calloc(n, sizeof(*p->journal));
	p->props = calloc(n, sizeof(*p->props));
	p->config = calloc(n, sizeof(*p->config));
	if (!p->producer || !p->journal || !p->props || !p->config)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct producer_share share;

		r = share_of(p, i, &share, e);
		if (r == 0)
			r = own_config(p, i, share.producer_id, e);
		if (r == 0)
			r = make_epoch(p, i, &share, e);
		if (r)
			break;
		p->plan.broker = &p->config[i];
		r = producer_new(&p->plan, &share, p->journal[i], &p->producer[i], e);
		p->n_made = r ? i : i + 1;
	}
	return r;
}

/* Epochs that were taken but never sent anything: say so, or the run would wait for them. */
static void abandon_epochs(struct probe *p)
{
	struct probe_recovered ignored;
	struct err e;

	for (size_t i = 0; p->journal && i < p->n_producers; i++) {
		if (p->journal[i])
			err_ignore(journal_set_ended(p->journal[i], &e));
		journal_close(p->journal[i]);
		p->journal[i] = NULL;
	}
	if (p->ledger && p->run.id)
		err_ignore(probe_recover(p->ledger, p->run.id, &ignored, &e));
}

/* ---- while it works -------------------------------------------------------------------------- */

/* Say when the broker stops taking messages, and when it takes them again. */
static void tell_blocked(struct probe *p, bool blocked, const char *reason)
{
	if (blocked == p->blocked)
		return;
	p->blocked = blocked;
	if (blocked)
		log_warn("the broker takes no messages for now: %s", reason);
	else
		log_note("the broker takes messages again");
}

static void gather(struct probe *p, const char *phase, struct status_probe *s)
{
	char blocked[sizeof(((struct broker_health *)NULL)->last_error)] = "";
	struct hist *recent = calloc(2, sizeof(*recent)), *sum = recent ? recent + 1 : NULL;
	struct shipper_state ship = {0};
	uint64_t outcomes = 0;
	int64_t now = clock_ns();

	memset(s, 0, sizeof(*s));
	snprintf(s->run, sizeof(s->run), "%s", p->run.name);
	snprintf(s->phase, sizeof(s->phase), "%s", phase);
	for (size_t i = 0; i < p->n_made; i++) {
		struct producer_counts c;
		struct broker_health h;
		struct hist *total = calloc(1, sizeof(*total));

		producer_counts(p->producer[i], &c);
		producer_health(p->producer[i], &h);
		if (sum && total) {
			producer_latency(p->producer[i], total, recent, false);
			hist_merge(sum, recent->n ? recent : total);
		}
		free(total);
		s->intended += c.intended;
		s->acked += c.outcome[OUTCOME_ACKED];
		s->unconfirmed += c.outcome[OUTCOME_UNCONFIRMED];
		s->refused += c.outcome[OUTCOME_REFUSED];
		s->unknown += c.outcome[OUTCOME_UNKNOWN];
		s->outstanding += c.outstanding;
		s->disconnects += h.disconnects;
		if (h.blocked)
			snprintf(blocked, sizeof(blocked), "%s", h.last_error);
	}
	tell_blocked(p, blocked[0], blocked);
	if (blocked[0])
		snprintf(s->phase, sizeof(s->phase), "blocked");
	outcomes = s->acked + s->unconfirmed + s->refused + s->unknown;
	if (sum && sum->n) {
		s->p50_ns = hist_percentile(sum, 0.5);
		s->p99_ns = hist_percentile(sum, 0.99);
	}
	free(recent);
	if (now - p->outcomes_at_ns > 50 * NS_PER_MS) {
		double rate = (double)(outcomes - p->outcomes_before) * 1e9 /
			      (double)(now - p->outcomes_at_ns);

		p->rate_now = p->rate_now > 0 ? p->rate_now * 0.7 + rate * 0.3 : rate;
		p->outcomes_before = outcomes;
		p->outcomes_at_ns = now;
	}
	s->rate = p->rate_now;
	if (p->shipper)
		shipper_state(p->shipper, &ship);
	s->ledger_away = ship.away;
	s->backlog = ship.backlog;
}

/* Say how it goes: to a parent, on the terminal, or as a line now and then. */
static void show(struct probe *p, const char *phase, int64_t *next_line_ns)
{
	struct status_probe s;
	char title[400];
	struct buf b;

	gather(p, phase, &s);
	buf_init(&b, 65536);
	if (p->o->status_fd) {
		ssize_t ignored;

		status_probe_line(&s, &b);
		ignored = write((int)p->o->status_fd, buf_str(&b), b.len);
		(void)ignored;
	} else if (log_on_terminal() && !p->cl->quiet) {
		snprintf(title, sizeof(title), "%s  %.120s", p->run.name, p->d.text);
		status_render(title, clock_ns() - p->started_ns, &s, NULL, &b);
		log_progress(buf_str(&b));
	} else if (!p->cl->quiet && clock_ns() >= *next_line_ns) {
		*next_line_ns = clock_ns() + PLAIN_LINE_NS;
		status_render_line(&s, NULL, &b);
		log_note("%s  %s", p->run.name, buf_str(&b));
	}
	buf_release(&b);
}

static bool all_finished(const struct probe *p)
{
	for (size_t i = 0; i < p->n_made; i++)
		if (!producer_finished(p->producer[i]))
			return false;
	return true;
}

static void ask_all(struct probe *p, void (*fn)(struct producer *))
{
	for (size_t i = 0; i < p->n_made; i++)
		fn(p->producer[i]);
}

/* Wait for the producers; stop them when asked, when the time is over, or when shipping failed. */
static const char *work(struct probe *p)
{
	int64_t end_ns = p->o->duration_ns ? p->started_ns + p->o->duration_ns : INT64_MAX;
	int64_t give_up_ns = INT64_MAX, next_show_ns = 0, next_line_ns = clock_ns() + PLAIN_LINE_NS;
	const char *cause = "finished", *phase = "sending";

	while (!all_finished(p)) {
		int64_t now = clock_ns();
		struct shipper_state ship;

		shipper_state(p->shipper, &ship);
		if (give_up_ns == INT64_MAX &&
			(stop_asked() || now >= end_ns || ship.failure.code)) {
			cause = stop_asked()        ? "stopped"
				: ship.failure.code ? "failed"
						    : "finished";
			phase = "flushing";
			ask_all(p, producer_stop);
			/* the end of --duration waits for outcomes as the end of --count does */
			give_up_ns = stop_asked() ? now + p->o->flush_timeout_ns : INT64_MAX - 1;
		}
		if (stop_asked() && give_up_ns == INT64_MAX - 1) {
			cause = "stopped";
			give_up_ns = now + p->o->flush_timeout_ns;
		}
		if (now >= give_up_ns)
			ask_all(p, producer_give_up);
		if (now >= next_show_ns) {
			show(p, phase, &next_line_ns);
			next_show_ns = now + STATUS_NS;
		}
		clock_sleep_ns(now + 10 * NS_PER_MS < next_show_ns ? 10 * NS_PER_MS : NS_PER_MS);
	}
	return cause;
}

static int finish(struct probe *p, const char *cause, struct err *e)
{
	int64_t next_line_ns = INT64_MAX;
	struct shipper_state ship;
	struct err sending = {0};
	int r;

	for (size_t i = 0; i < p->n_made; i++) {
		struct err one = {0};

		if (producer_join(p->producer[i], &one) && !sending.code)
			sending = one;
		err_ignore(journal_set_ended(p->journal[i], &one));
	}
	show(p, "shipping", &next_line_ns);
	if (sending.code)
		cause = "failed";
	r = shipper_finish(p->shipper, cause, stop_flag(), e);
	if (r) {
		if (r == ERR_STOPPED)
			r = e->code = ERR_LEDGER_AWAY; /* what was waited for */
		err_hint(e, "the journals are kept: mqaudit recover brings them into the ledger");
		return r;
	}
	for (size_t i = 0; i < p->n_made; i++) {
		struct err ignored;

		err_ignore(journal_remove(p->journal[i], &ignored));
	}
	show(p, "done", &next_line_ns);
	/* all is in the ledger, yet less was sent than was asked for */
	shipper_state(p->shipper, &ship);
	if (!sending.code)
		sending = ship.failure;
	if (sending.code) {
		*e = sending;
		return e->code;
	}
	return 0;
}

/* One line for people at the end: what was sent, what is not known. */
static void say_end(struct probe *p)
{
	char a[UNITS_LEN], b[UNITS_LEN];
	struct status_probe s;
	uint64_t none, again = 0;

	gather(p, "done", &s);
	for (size_t i = 0; i < p->n_made; i++) {
		struct producer_counts c;

		producer_counts(p->producer[i], &c);
		again += c.republished;
	}
	log_progress(NULL);
	if (p->o->status_fd)
		return;
	none = s.intended - s.acked - s.unconfirmed - s.refused - s.unknown;
	log_note("%s: %s sent, %s acked", p->run.name, units_grouped(s.intended, a),
		units_grouped(s.acked, b));
	if (again)
		log_note("  %s published again", units_grouped(again, a));
	if (s.unconfirmed)
		log_note("  %s unconfirmed: the library said yes, no broker did",
			units_grouped(s.unconfirmed, a));
	if (s.refused)
		log_note("  %s refused", units_grouped(s.refused, a));
	if (s.unknown + none)
		log_note("  %s stayed unknown: nobody can say whether they are stored",
			units_grouped(s.unknown + none, a));
	log_note("mqaudit check %s --run %s judges it", p->d.text, p->run.name);
}

/*
 * Will the client library take these properties? Better known before there is a run; and one that is set
 * up for transactions takes no message outside of one.
 */
static int check_client(const struct probe *p, struct err *e)
{
	struct broker_producer *producer = NULL;
	int r;

	if (props_get(p->d.producer, "transactional.id") && !p->plan.transaction) {
		err_set(e, ERR_USAGE,
			"with a transactional.id messages are sent in transactions only");
		return err_hint(e, "add --transaction N, or leave transactional.id out");
	}
	if (props_count(p->d.producer) == 0)
		return 0;
	r = p->d.ops->producer_open(&p->d.config, &producer, e);
	if (r == 0)
		p->d.ops->producer_close(producer);
	return r;
}

/* Options that are properties of some brokers' clients; the others' say that there is no such property. */
static int set_routing(struct probe *p, struct err *e)
{
	const struct probe_opts *o = p->o;
	int r = 0;

	if (o->exchange)
		r = props_set(p->d.producer, "exchange", o->exchange, e);
	if (r == 0 && o->routing_key)
		r = props_set(p->d.producer, "routing.key", o->routing_key, e);
	if (r == 0 && o->mandatory)
		r = props_set(p->d.producer, "mandatory", "true", e);
	return r;
}

/* Where the messages are sent, and where they will be read if that is another place. */
static int open_destinations(struct probe *p, const char *url, struct err *e)
{
	const char *check = p->o->check ? p->o->check : url;
	struct destination_opts share = destination_share(&p->o->destination, url, check, false);
	struct props *warnings = NULL;
	int r = destination_open(url, &share, &p->d, &warnings, e);

	print_warnings(warnings);
	p->d.config.stop = stop_flag();
	if (r || !p->o->check)
		return r;
	p->has_target = true;
	share = destination_share(&p->o->destination, url, check, true);
	r = destination_open(check, &share, &p->target, NULL, e);
	if (r)
		return err_wrap(e, "--check");
	if (strcmp(p->target.text, p->d.text) == 0)
		return err_set(e, ERR_USAGE,
			"--check: that is where the messages are sent; it is for where they come out");
	return 0;
}

static int prepare(struct probe *p, const char *url, struct err *e)
{
	struct probe_recovered recovered;
	int r = probe_check_options(p->cl, p->o, &p->plan, e);

	if (r)
		return r;
	r = open_destinations(p, url, e);
	if (r == 0)
		r = set_routing(p, e);
	if (r == 0 && p->o->routed_stream)
		r = probe_routed_check(&p->d, e);
	if (r == 0)
		r = check_client(p, e);
	if (r == 0 && p->plan.transaction && !(p->d.ops->caps & BROKER_CAP_TRANSACTIONS))
		r = err_set(e, ERR_USAGE, "%s has no transactions", p->d.ops->scheme);
	if (r == 0)
		r = paths_state("journal", p->journal_folder, sizeof(p->journal_folder), e);
	if (r == 0)
		r = paths_make(p->journal_folder, 0755, e);
	if (r == 0)
		r = find_topic(p, e);
	if (r == 0)
		r = probe_parse_partitions(p->o->partitions, p->topic.n_partitions, &p->partitions,
			&p->n_partitions, e);
	if (r == 0 && p->o->routed_stream)
		r = probe_routed_check_topic(&p->topic, e);
	if (r == 0 && !p->o->shared)
		r = probe_check_unshared(&p->d, &p->topic, p->has_target, e);
	if (r == 0)
		r = ledger_open(p->o->ledger, &p->ledger, e);
	if (r == 0)
		r = look_at_queue(p, e);
	if (r == 0)
		r = make_run(p, e);
	/* what an earlier probe of this run left on this host goes first */
	if (r == 0)
		r = probe_recover(p->ledger, p->run.id, &recovered, e);
	return r;
}

static void fill_plan(struct probe *p)
{
	p->plan.ops = p->d.ops;
	p->plan.run_id = (uint64_t)p->run.id;
	p->plan.partitions = p->partitions;
	p->plan.n_partitions = p->n_partitions;
	p->plan.size = (size_t)p->o->size;
	p->plan.drop_when_full = strcmp(p->o->on_queue_full, "drop") == 0;
	p->plan.exit_without_flush = p->o->exit_without_flush;
	p->plan.republish_unknown = p->o->republish_unknown;
	p->plan.transaction_timeout_ns = 60 * NS_PER_S;
	p->plan.seed = opt_given(p->cl, "seed") ? p->o->seed : rng_system();
}

static int go(struct probe *p, struct err *e)
{
	struct shipper_plan ship = {
		.ledger_url = p->o->ledger,
		.run_id = p->run.id,
		.source = p->source,
		.ops = p->d.ops,
		.producers = p->producer,
		.n_producers = p->n_producers,
		.rate = (double)p->o->rate,
		.count = p->o->count,
		.n_lanes = p->n_producers * p->n_partitions,
	};
	char host[64] = "";
	int r = store_settings(p, e);

	if (r == 0)
		r = store_removals(p, e);
	gethostname(host, sizeof(host) - 1);
	snprintf(p->source, sizeof(p->source), "probe on %s (%d)", host, (int)getpid());
	if (r == 0)
		r = shipper_start(&ship, &p->shipper, e);
	p->started_ns = clock_ns();
	for (size_t i = 0; r == 0 && i < p->n_producers; i++)
		r = producer_start(p->producer[i], e);
	if (r)
		return r;
	return finish(p, work(p), e);
}

static void release(struct probe *p)
{
	for (size_t i = 0; p->producer && i < p->n_producers; i++)
		producer_free(p->producer[i]);
	shipper_free(p->shipper);
	for (size_t i = 0; p->journal && i < p->n_producers; i++)
		journal_close(p->journal[i]);
	for (size_t i = 0; p->props && i < p->n_producers; i++)
		props_free(p->props[i]);
	free(p->producer);
	free(p->journal);
	free(p->props);
	free(p->config);
	free(p->partitions);
	broker_topic_free(&p->topic);
	ledger_close(p->ledger);
	destination_release(&p->d);
	if (p->has_target)
		destination_release(&p->target);
}

/* For the selftest, which compares it with what is found: on stdout. */
static void say_planted(const struct plant *plant)
{
	struct buf lines;

	buf_init(&lines, (size_t)64 << 20);
	probe_planted_lines(plant, &lines);
	fputs(buf_str(&lines), stdout);
	buf_release(&lines);
}

int probe_run(const struct cmdline *cl, const struct probe_opts *o, const char *url, struct err *e)
{
	struct probe *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, ERR_NOMEM, "out of memory");
	p->cl = cl;
	p->o = o;
	stop_install("mqaudit: ended at once; the journal is kept: mqaudit recover ships it\n");
	r = prepare(p, url, e);
	p->d.config.stop = NULL;
	if (r == 0) {
		int64_t never = INT64_MAX;

		show(p, "connecting", &never);
		fill_plan(p);
		if (o->plant)
			r = probe_plant(o->plant, o, &p->d, &p->plan, &p->plant, e);
		if (r == 0) {
			r = make_producers(p, e);
			if (r)
				abandon_epochs(p);
		}
	}
	if (r == 0) {
		r = go(p, e);
		if (r == 0)
			say_end(p);
	}
	log_progress(NULL);
	release(p);
	if (p->plant)
		say_planted(p->plant);
	plant_free(p->plant);
	free(p);
	return r;
}
