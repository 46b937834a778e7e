#include "scenarios/lint/rules.h"

#include <string.h>

/*
 * The measured truth behind the rules is in the scenarios: what "sure" says was found in every run of the
 * scenario's recipe (librdkafka 2.0.2, Kafka 4.1.0), the rest in some, or it follows from how Kafka works.
 */

static enum lint_chance sure_if(bool b)
{
	return b ? LINT_ALWAYS : LINT_NEVER;
}

static enum lint_chance maybe_if(bool b)
{
	return b ? LINT_SOMETIMES : LINT_NEVER;
}

/* ---- producer -------------------------------------------------------------------------------- */

/* The leader answers before any follower has the message; another leader never had it. */
static enum lint_chance acked_alone(const struct lint_facts *f)
{
	return sure_if(f->acks == 1 && f->replication > 1);
}

static enum lint_chance unanswered(const struct lint_facts *f)
{
	return sure_if(f->acks == 0);
}

/* acks=0 waits for no answer, so it never sends twice. */
static bool retries(const struct lint_facts *f)
{
	return !f->idempotent && f->acks != 0 && f->retries > 0;
}

static enum lint_chance stored_twice(const struct lint_facts *f)
{
	return sure_if(retries(f));
}

/*
 * With one request in flight, or none sent again, nothing should overtake another. With librdkafka 2.0.2 it
 * does, now and then: in retries-reorder (one in flight) an independent reader found 100 to 200 messages, in
 * response-lost (retries=0) 2 in another order.
 */
static enum lint_chance overtaken(const struct lint_facts *f)
{
	if (retries(f) && f->max_in_flight > 1)
		return LINT_ALWAYS;
	return maybe_if(!f->idempotent && f->acks != 0 && f->client == LINT_LIBRDKAFKA);
}

/* The scenarios withhold answers for four seconds: who waits longer gets them then, and repeats nothing. */
static enum lint_chance soon(const struct lint_facts *f, enum lint_chance chance)
{
	return chance == LINT_ALWAYS && f->request_timeout_ms > 3000 ? LINT_SOMETIMES : chance;
}

static enum lint_chance stored_twice_soon(const struct lint_facts *f)
{
	return soon(f, stored_twice(f));
}

static enum lint_chance overtaken_soon(const struct lint_facts *f)
{
	return soon(f, overtaken(f));
}

/* Outages of the scenarios last up to a minute; a dozen retries last about as long as they need. */
#define OUTAGE_MS 60000
#define FEW_RETRIES 10

static enum lint_chance gave_up(const struct lint_facts *f)
{
	return maybe_if(f->give_up_ms < OUTAGE_MS || (f->acks != 0 && f->retries < FEW_RETRIES));
}

/* All nodes are frozen for twelve seconds. */
static enum lint_chance gave_up_frozen(const struct lint_facts *f)
{
	if (f->give_up_ms <= 6000)
		return LINT_ALWAYS;
	return maybe_if(f->give_up_ms <= 30000 || (f->acks != 0 && f->retries < FEW_RETRIES));
}

static enum lint_chance any_settings(const struct lint_facts *f)
{
	(void)f;
	return LINT_ALWAYS;
}

static enum lint_chance aborts(const struct lint_facts *f)
{
	return sure_if(f->transactional);
}

/* Fewer replicas than have to have it: every send is answered with an error. */
static enum lint_chance too_few_replicas(const struct lint_facts *f)
{
	return sure_if(f->acks == LINT_ACKS_ALL && f->min_insync > f->replication);
}

/* ---- topic and broker ------------------------------------------------------------------------ */

/* Can the ISR shrink to the leader, and it go on acknowledging alone? acks=1 does not ask how many are in it. */
static bool acks_on_alone(const struct lint_facts *f)
{
	return f->replication > 1 && (f->acks == 1 || (f->acks != 0 && f->min_insync < 2));
}

static enum lint_chance unclean(const struct lint_facts *f)
{
	return sure_if(f->unclean && acks_on_alone(f));
}

/*
 * With eligible leader replicas those that left the ISR below min.insync.replicas may still lead, having all
 * that acks=all ever acknowledged; what acks=1 acknowledged since they do not have.
 */
static enum lint_chance eligible_behind(const struct lint_facts *f)
{
	return maybe_if(f->acks == 1 && f->replication > 1 && f->min_insync >= 2 && !f->unclean &&
			f->elr != LINT_NO);
}

/* What is acknowledged is on no disk yet. */
static enum lint_chance unflushed(const struct lint_facts *f)
{
	if (f->acks == 0 || f->flush_messages == 1)
		return LINT_NEVER;
	return f->flush_messages < LINT_FOREVER || f->flush_ms < LINT_FOREVER ? LINT_SOMETIMES
									      : LINT_ALWAYS;
}

/* Each leader's own disk has it, but the next leader may be another. */
static enum lint_chance flushed_alone(const struct lint_facts *f)
{
	return maybe_if(f->acks == 1 && f->replication > 1 && f->flush_messages == 1);
}

/*
 * The last replica in sync loses what it had not written: it comes back empty and leads. Eligible leader
 * replicas prevent it, but there are none unless the ISR fell below min.insync.replicas.
 */
static enum lint_chance last_replica(const struct lint_facts *f)
{
	enum lint_chance power = unflushed(f);

	if (power != LINT_ALWAYS || f->replication < 2)
		return power == LINT_NEVER ? LINT_NEVER : LINT_SOMETIMES;
	if (f->elr == LINT_NO)
		return LINT_ALWAYS;
	if (f->elr == LINT_YES && f->min_insync >= 2)
		return LINT_NEVER;
	return LINT_SOMETIMES;
}

/* Then an eligible one leads, and has no more than acks=all ever acknowledged. */
static enum lint_chance last_replica_alone(const struct lint_facts *f)
{
	return maybe_if(
		f->acks == 1 && f->replication > 1 && f->min_insync >= 2 && f->elr != LINT_NO);
}

/* An idempotent producer whose numbers the broker has lost with its log may have to give up for good. */
static enum lint_chance numbers_forgotten(const struct lint_facts *f)
{
	return maybe_if(f->idempotent);
}

static enum lint_chance expired(const struct lint_facts *f)
{
	if (!f->removes)
		return LINT_NEVER;
	if (f->retention_ms <= 60000)
		return LINT_ALWAYS;
	return maybe_if(f->retention_ms < LINT_FOREVER || f->retention_bytes < LINT_FOREVER);
}

/* Kafka refuses DeleteRecords where the policy is to compact and nothing else. */
static enum lint_chance deletable(const struct lint_facts *f)
{
	return sure_if(f->removes);
}

static enum lint_chance compacted(const struct lint_facts *f)
{
	return sure_if(f->compact);
}

/* ---- consumer -------------------------------------------------------------------------------- */

static enum lint_chance skipped_refill(const struct lint_facts *f)
{
	return f->consumer && f->reset == LINT_RESET_LATEST && !f->sees_truncation ? unclean(f)
										   : LINT_NEVER;
}

static enum lint_chance read_again(const struct lint_facts *f)
{
	return f->consumer && f->reset == LINT_RESET_EARLIEST && unclean(f) ? LINT_SOMETIMES
									    : LINT_NEVER;
}

static enum lint_chance stops_at_truncation(const struct lint_facts *f)
{
	return f->consumer && f->reset == LINT_RESET_NONE && unclean(f) ? LINT_SOMETIMES
									: LINT_NEVER;
}

static enum lint_chance committed_early(const struct lint_facts *f)
{
	return maybe_if(f->consumer && f->auto_commit && (f->client == LINT_JAVA || f->auto_store));
}

static enum lint_chance any_consumer(const struct lint_facts *f)
{
	return sure_if(f->consumer);
}

static enum lint_chance starts_at_the_end(const struct lint_facts *f)
{
	return maybe_if(f->consumer && f->reset == LINT_RESET_LATEST);
}

static enum lint_chance reads_aborted(const struct lint_facts *f)
{
	return sure_if(f->consumer && f->transactional && f->read_uncommitted);
}

static enum lint_chance waits_for_open(const struct lint_facts *f)
{
	return maybe_if(f->consumer && f->transactional && !f->read_uncommitted);
}

static enum lint_chance offsets_on_one(const struct lint_facts *f)
{
	return maybe_if(f->consumer && f->offsets_replication < 2);
}

static enum lint_chance offsets_on_one_latest(const struct lint_facts *f)
{
	return maybe_if(f->consumer && f->offsets_replication < 2 && f->reset == LINT_RESET_LATEST);
}

/* ---- the ways -------------------------------------------------------------------------------- */

#define LOST_AT_BROKER .kind = FINDING_LOST, .stage = STAGE_BROKER
#define AT_PRODUCE(what) .kind = FINDING_##what, .stage = STAGE_PRODUCE
#define AT_BROKER(what) .kind = FINDING_##what, .stage = STAGE_BROKER
#define AT_CONSUME(what) .kind = FINDING_##what, .stage = STAGE_CONSUME

#define ALONE                                                                                      \
	"acks=1",                                                                                  \
		"the leader answers before any follower has the message, and the next leader "     \
		"never had it",                                                                    \
		"acks=all, enable.idempotence=true, min.insync.replicas=2"
#define NO_ANSWER                                                                                  \
	"acks=0", "nobody answers: what a broker never got looks like what it has",                \
		"acks=all, enable.idempotence=true, min.insync.replicas=2"
#define RETRIED                                                                                    \
	"enable.idempotence=false",                                                                \
		"a request whose answer is lost is sent again, and the broker stores it again",    \
		"enable.idempotence=true"
#define OVERTAKEN                                                                                  \
	"enable.idempotence=false",                                                                \
		"a request that is sent again comes behind those that were in flight with it",     \
		"enable.idempotence=true (max.in.flight.requests.per.connection=1 is not enough for librdkafka)"
#define GAVE_UP                                                                                    \
	"a short delivery timeout, or few retries",                                                \
		"the client gives up while the brokers are away, and says so; who does not look "  \
		"at the error loses the message",                                                  \
		"message.timeout.ms (Java: delivery.timeout.ms) above the longest outage"
#define UNCLEAN                                                                                    \
	"unclean.leader.election.enable=true",                                                     \
		"a replica may lead that was out of sync, and what it never had is gone",          \
		"unclean.leader.election.enable=false, or acks=all with min.insync.replicas=2"
#define FORGOTTEN                                                                                  \
	"enable.idempotence=true",                                                                 \
		"a broker that lost its log lost the producer's sequence as well, and may refuse " \
		"what comes next",                                                                 \
		""
#define PAGE_CACHE "flush.messages (default: never)"

#define WAY(name, what, fn, ...)                                                                   \
	static const struct lint_way name = {what, WAY_TEXTS_(__VA_ARGS__), .when = fn}
#define WAY_TEXTS_(c, w, x) .cause = c, .why = w, .fix = x

WAY(lost_alone, LOST_AT_BROKER, acked_alone, ALONE);
WAY(lost_eligible, LOST_AT_BROKER, eligible_behind, ALONE);
WAY(lost_flushed_alone, LOST_AT_BROKER, flushed_alone, ALONE);
WAY(lost_last_alone, LOST_AT_BROKER, last_replica_alone, ALONE);
WAY(lost_unanswered, AT_PRODUCE(LOST), unanswered, NO_ANSWER);
WAY(twice, AT_PRODUCE(DUPLICATED), stored_twice, RETRIED);
WAY(twice_soon, AT_PRODUCE(DUPLICATED), stored_twice_soon, RETRIED);
WAY(disorder, AT_PRODUCE(REORDERED), overtaken, OVERTAKEN);
WAY(disorder_soon, AT_PRODUCE(REORDERED), overtaken_soon, OVERTAKEN);
WAY(unacked, AT_PRODUCE(UNACKNOWLEDGED), gave_up, GAVE_UP);
WAY(refused, AT_PRODUCE(REFUSED), gave_up, GAVE_UP);
WAY(unacked_frozen, AT_PRODUCE(UNACKNOWLEDGED), gave_up_frozen, GAVE_UP);
WAY(refused_frozen, AT_PRODUCE(REFUSED), gave_up_frozen, GAVE_UP);
WAY(unacked_forgotten, AT_PRODUCE(UNACKNOWLEDGED), numbers_forgotten, FORGOTTEN);
WAY(refused_forgotten, AT_PRODUCE(REFUSED), numbers_forgotten, FORGOTTEN);
WAY(never_flushed, AT_PRODUCE(UNACKNOWLEDGED), any_settings, "the application's end",
	"what is still in the client's buffer when the process dies is never sent",
	"flush before the end; keep what is not acknowledged");
WAY(never_taken, AT_PRODUCE(REFUSED), any_settings, "the application's full queue",
	"what the client's full queue does not take is never sent",
	"wait and try again when the queue is full");
WAY(refused_aborted, AT_PRODUCE(REFUSED), aborts, "transactional.id",
	"the messages of a transaction that is aborted count for nothing, delivered or not", "");
WAY(refused_too_few, AT_PRODUCE(REFUSED), too_few_replicas, "min.insync.replicas",
	"more replicas have to have a message than there are: nothing is acknowledged",
	"min.insync.replicas below the replication factor");
WAY(lost_unclean, LOST_AT_BROKER, unclean, UNCLEAN);
WAY(lost_last, LOST_AT_BROKER, last_replica, "the last replica in sync",
	"what it had in memory only is gone, and it leads again: the others follow it and cut off "
	"what they have",
	"eligible.leader.replicas.version=1 (a feature: kafka-features) with min.insync.replicas=2, "
	"or flush.messages=1");
WAY(lost_power, LOST_AT_BROKER, unflushed, PAGE_CACHE,
	"acknowledged messages live in the page cache of all replicas, on no disk",
	"flush.messages=1, or replicas whose power does not fail together (flush.ms alone does "
	"nothing)");
WAY(expires, AT_BROKER(EXPIRED), expired, "retention", "old messages are removed, read or not",
	"retention.ms above the longest time unread");
WAY(deleted, AT_BROKER(EXPIRED), deletable, "cleanup.policy=delete",
	"whoever has the permission to Delete may remove records",
	"no permission to Delete for those who need none");
WAY(compacts, AT_BROKER(EXPIRED), compacted, "cleanup.policy=compact",
	"of each key only the last message is kept", "cleanup.policy=delete");
WAY(refused_keyless, AT_PRODUCE(REFUSED), compacted, "cleanup.policy=compact",
	"a message without a key is refused", "a key for every message");

WAY(skips_refill, AT_CONSUME(LOST), skipped_refill, "auto.offset.reset=latest",
	"its position is gone with the log's end, and it goes on behind what came in its place",
	"auto.offset.reset=earliest, or librdkafka 2.1 and later, which compares leader epochs");
WAY(reads_again, AT_CONSUME(REDELIVERED), read_again, "auto.offset.reset=earliest",
	"its position is gone with the log's end, and it begins anew", "");
WAY(stops, AT_CONSUME(STUCK), stops_at_truncation, "auto.offset.reset=none",
	"its position is gone with the log's end, and it stops",
	"a reset policy, or somebody who looks");
WAY(commits_early, AT_CONSUME(LOST), committed_early, "enable.auto.commit=true",
	"what was handed out is committed, worked on or not",
	"enable.auto.commit=false, and commit after the work (librdkafka: or "
	"enable.auto.offset.store=false)");
WAY(works_again, AT_CONSUME(REDELIVERED), any_consumer, "at-least-once delivery",
	"what was worked on and not yet committed is handed out again; a sink that does not "
	"recognise it works twice",
	"a sink with a unique key, or offsets kept with the results");
WAY(begins_at_the_end, AT_CONSUME(LOST), starts_at_the_end, "auto.offset.reset=latest",
	"a group whose offsets are gone begins behind what was written meanwhile",
	"auto.offset.reset=earliest");
WAY(aborted_read, AT_CONSUME(ABORTED_READ), reads_aborted, "isolation.level=read_uncommitted",
	"messages of aborted transactions are handed out", "isolation.level=read_committed");
WAY(waits, AT_CONSUME(STUCK), waits_for_open, "an open transaction",
	"readers wait at the first message of a transaction that nobody ends, until it times out",
	"a short transaction.timeout.ms");
WAY(offsets_again, AT_CONSUME(REDELIVERED), offsets_on_one, "offsets.topic.replication.factor=1",
	"the only broker that knows the group's offsets is away",
	"offsets.topic.replication.factor=3");
WAY(offsets_skipped, AT_CONSUME(LOST), offsets_on_one_latest, "offsets.topic.replication.factor=1",
	"the group's offsets are gone, and it begins at the end",
	"offsets.topic.replication.factor=3, auto.offset.reset=earliest");

/* ---- the scenarios --------------------------------------------------------------------------- */

static const struct lint_scenario scenarios[] = {
	{"leader-isolated", "K-24", "the leader is cut off from the other nodes", false},
	{"leader-killed-followers-behind", "K-01", "the leader dies, its followers are behind",
		false},
	{"leader-killed", "K-01", "the leader dies", false},
	{"planned-leader-move", "K-02", "leadership moves as planned, nothing fails", false},
	{"controlled-shutdown", "K-02", "the leader is shut down in order", false},
	{"planned-leader-moves", "K-02", "leadership moves, and the followers keep up", false},
	{"unclean-election", "K-04", "the only replica in sync dies, others behind", false},
	{"last-replica-power-cut", "K-06", "the last replica in sync loses its power", false},
	{"power-cut-all", "K-07", "all nodes lose their power at once", false},
	{"response-lost", "K-09", "answers of the broker are lost", false},
	{"retries-reorder", "K-09", "answers are lost with requests in flight", false},
	{"client-gives-up", "K-11", "the brokers stand still for seconds", false},
	{"producer-dies-unflushed", "K-12", "the producer ends with messages in its buffer", false},
	{"retention", "K-18", "time passes", false},
	{"delete-records", "K-18", "somebody deletes records", false},
	{"compaction", "K-19", "a key is written again", false},
	{"transactions", "K-21", "a transaction is aborted", true},
	{"hanging-transaction", "K-22", "a transaction is never ended", true},
	{"truncation-under-consumer", "K-17", "the log is cut under a live consumer", true},
	{"disk-full", "K-26", "the leader's disk is full, and it stops itself", false},
	{"disk-error", "K-26", "the leader's disk fails, and it stops itself", false},
	{"one-way-partition-in", "K-24", "the leader hears nobody, and is heard", false},
	{"one-way-partition-out", "K-24", "nobody hears the leader, and it hears", false},
	{"client-cut-from-leader", "K-25", "the client is cut off from the leader", false},
	{"client-cut-from-all", "K-25", "the client is cut off from all nodes", false},
	{"controller-killed", "K-23", "the active controller dies", false},
	{"controllers-lost", "K-23", "the majority of controllers is away", false},
	{"rolling-restart", "K-28", "each node is restarted in turn", false},
	{"rolling-upgrade", "K-28", "each node is upgraded in turn", false},
	{"reassignment", "K-29", "partitions move to other nodes", false},
	{"coordinator-killed", "K-20", "the group's coordinator dies", false},
	{"restart-storm", "K-33", "leaders die again and again", false},
	{"commit-before-process", "K-13", "the consumer dies between commit and work", true},
	{"process-before-commit", "K-14", "the consumer dies between work and commit", true},
	/* no script */
	{"", "K-15", "the group's offsets are deleted, or expire", true},
	{"", "", "none", false},
};
#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* ---- the table of rules ---------------------------------------------------------------------- */

#define MAYBE LINT_SOMETIMES
#define SURE LINT_ALWAYS

/* Connections break, or leaders are away for a while. */
#define BREAKS(scenario)                                                                           \
	{scenario, &twice, MAYBE}, {scenario, &disorder, MAYBE}, {scenario, &unacked, MAYBE},      \
	{                                                                                          \
		scenario, &refused, MAYBE                                                          \
	}

static const struct lint_rule rules[] = {
	{"response-lost", &twice_soon, SURE},
	{"response-lost", &disorder_soon, MAYBE},
	{"response-lost", &lost_unanswered, MAYBE},
	{"response-lost", &unacked, MAYBE},
	{"response-lost", &refused, MAYBE},
	{"retries-reorder", &disorder_soon, SURE},
	{"retries-reorder", &twice_soon, MAYBE},
	{"retries-reorder", &lost_unanswered, MAYBE},
	{"retries-reorder", &unacked, MAYBE},
	{"retries-reorder", &refused, MAYBE},
	{"leader-isolated", &lost_alone, SURE},
	{"leader-isolated", &lost_unanswered, SURE},
	BREAKS("leader-isolated"),
	{"leader-killed-followers-behind", &lost_alone, SURE},
	{"leader-killed-followers-behind", &lost_unanswered, SURE},
	BREAKS("leader-killed-followers-behind"),
	{"leader-killed", &lost_alone, MAYBE},
	{"leader-killed", &lost_unanswered, SURE},
	BREAKS("leader-killed"),
	{"planned-leader-move", &lost_alone, SURE},
	{"planned-leader-move", &lost_unanswered, MAYBE},
	BREAKS("planned-leader-move"),
	{"controlled-shutdown", &lost_alone, SURE},
	{"controlled-shutdown", &lost_unanswered, MAYBE},
	BREAKS("controlled-shutdown"),
	{"planned-leader-moves", &lost_alone, MAYBE},
	{"planned-leader-moves", &lost_unanswered, MAYBE},
	BREAKS("planned-leader-moves"),
	{"unclean-election", &lost_unclean, SURE},
	{"unclean-election", &lost_eligible, MAYBE},
	{"unclean-election", &lost_unanswered, MAYBE},
	{"unclean-election", &unacked_forgotten, MAYBE},
	{"unclean-election", &refused_forgotten, MAYBE},
	BREAKS("unclean-election"),
	{"last-replica-power-cut", &lost_last, SURE},
	{"last-replica-power-cut", &lost_last_alone, MAYBE},
	{"last-replica-power-cut", &lost_unanswered, MAYBE},
	{"last-replica-power-cut", &unacked_forgotten, MAYBE},
	{"last-replica-power-cut", &refused_forgotten, MAYBE},
	BREAKS("last-replica-power-cut"),
	{"power-cut-all", &lost_power, SURE},
	{"power-cut-all", &lost_flushed_alone, MAYBE},
	{"power-cut-all", &lost_unanswered, SURE},
	{"power-cut-all", &unacked_forgotten, MAYBE},
	{"power-cut-all", &refused_forgotten, MAYBE},
	BREAKS("power-cut-all"),
	{"client-gives-up", &unacked_frozen, MAYBE},
	{"client-gives-up", &refused_frozen, SURE},
	{"client-gives-up", &twice, MAYBE},
	{"client-gives-up", &disorder, MAYBE},
	{"client-gives-up", &lost_alone, MAYBE},
	{"client-gives-up", &lost_unanswered, MAYBE},
	{"producer-dies-unflushed", &never_flushed, MAYBE},
	{"producer-dies-unflushed", &never_taken, MAYBE},
	{"producer-dies-unflushed", &lost_unanswered, MAYBE},
	{"retention", &expires, SURE},
	{"delete-records", &deleted, MAYBE},
	{"compaction", &compacts, SURE},
	{"compaction", &refused_keyless, MAYBE},
	{"transactions", &aborted_read, SURE},
	{"transactions", &refused_aborted, MAYBE},
	{"hanging-transaction", &waits, MAYBE},
	{"truncation-under-consumer", &skips_refill, SURE},
	{"truncation-under-consumer", &reads_again, MAYBE},
	{"truncation-under-consumer", &stops, MAYBE},
	{"truncation-under-consumer", &lost_unclean, SURE},
	{"truncation-under-consumer", &lost_eligible, MAYBE},
	{"truncation-under-consumer", &lost_unanswered, MAYBE},
	{"truncation-under-consumer", &unacked_forgotten, MAYBE},
	{"truncation-under-consumer", &refused_forgotten, MAYBE},
	BREAKS("truncation-under-consumer"),
	{"disk-full", &lost_alone, MAYBE},
	{"disk-full", &lost_unanswered, MAYBE},
	BREAKS("disk-full"),
	{"disk-error", &lost_alone, MAYBE},
	{"disk-error", &lost_unanswered, MAYBE},
	BREAKS("disk-error"),
	{"one-way-partition-in", &lost_alone, MAYBE},
	{"one-way-partition-in", &lost_unanswered, MAYBE},
	BREAKS("one-way-partition-in"),
	{"one-way-partition-out", &lost_alone, MAYBE},
	{"one-way-partition-out", &lost_unanswered, MAYBE},
	BREAKS("one-way-partition-out"),
	{"client-cut-from-leader", &lost_unanswered, MAYBE},
	BREAKS("client-cut-from-leader"),
	{"client-cut-from-all", &lost_unanswered, MAYBE},
	BREAKS("client-cut-from-all"),
	{"controller-killed", &lost_alone, MAYBE},
	{"controller-killed", &lost_unanswered, MAYBE},
	BREAKS("controller-killed"),
	{"controllers-lost", &lost_alone, MAYBE},
	{"controllers-lost", &lost_unanswered, MAYBE},
	BREAKS("controllers-lost"),
	{"rolling-restart", &lost_alone, MAYBE},
	{"rolling-restart", &lost_unanswered, MAYBE},
	BREAKS("rolling-restart"),
	{"rolling-upgrade", &lost_alone, MAYBE},
	{"rolling-upgrade", &lost_unanswered, MAYBE},
	BREAKS("rolling-upgrade"),
	{"reassignment", &lost_alone, MAYBE},
	{"reassignment", &lost_unanswered, MAYBE},
	BREAKS("reassignment"),
	{"coordinator-killed", &offsets_again, MAYBE},
	{"coordinator-killed", &offsets_skipped, MAYBE},
	{"coordinator-killed", &lost_alone, MAYBE},
	{"coordinator-killed", &lost_unanswered, MAYBE},
	BREAKS("coordinator-killed"),
	{"restart-storm", &lost_alone, MAYBE},
	{"restart-storm", &lost_unanswered, MAYBE},
	BREAKS("restart-storm"),
	{"commit-before-process", &commits_early, MAYBE},
	{"process-before-commit", &works_again, MAYBE},
	{"K-15", &begins_at_the_end, MAYBE},
	{"", &refused_too_few, SURE},
};

_Static_assert(sizeof(rules) / sizeof(rules[0]) <= LINT_PREDICTIONS_MAX, "room for all");

const struct lint_book lint_book_kafka = {
	scenarios, N_SCENARIOS, rules, sizeof(rules) / sizeof(rules[0])};

/* ---- any book -------------------------------------------------------------------------------- */

const struct lint_book *lint_book_of(enum lint_client client)
{
	return client == LINT_RABBITMQ_C ? &lint_book_rabbitmq : &lint_book_kafka;
}

const struct lint_scenario *lint_scenarios(enum lint_client client, size_t *ret_n)
{
	const struct lint_book *book = lint_book_of(client);

	*ret_n = book->n_scenarios;
	return book->scenario;
}

/* By name, or by the id of one without a script. */
static const struct lint_scenario *scenario_of(const struct lint_book *book, const char *name)
{
	for (size_t i = 0; i < book->n_scenarios; i++) {
		const struct lint_scenario *s = &book->scenario[i];

		if (strcmp(*s->name ? s->name : s->id, name) == 0)
			return s;
	}
	return NULL;
}

const struct lint_scenario *lint_scenario_find(enum lint_client client, const char *name)
{
	const struct lint_scenario *s = *name ? scenario_of(lint_book_of(client), name) : NULL;

	return s && *s->name ? s : NULL;
}

size_t lint_predict(const struct lint_facts *f, const char *scenario,
	struct lint_prediction ret[LINT_PREDICTIONS_MAX])
{
	const struct lint_book *book = lint_book_of(f->client);
	size_t n = 0;

	BUG_ON(book->n_rules > LINT_PREDICTIONS_MAX);
	for (size_t i = 0; i < book->n_rules; i++) {
		const struct lint_rule *rule = &book->rule[i];
		const struct lint_scenario *s = scenario_of(book, rule->scenario);
		enum lint_chance chance;

		BUG_ON(!s);
		if (scenario && strcmp(s->name, scenario) != 0)
			continue;
		chance = rule->way->when(f);
		if (chance > rule->at_most)
			chance = rule->at_most;
		if (chance == LINT_NEVER)
			continue;
		ret[n++] = (struct lint_prediction){
			.scenario = s, .way = rule->way, .sure = chance == LINT_ALWAYS};
	}
	return n;
}
