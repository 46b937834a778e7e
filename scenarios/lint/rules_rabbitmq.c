#include "scenarios/lint/rules.h"

/*
 * RabbitMQ's rules. What "sure" says was found in every run of the scenario's recipe (RabbitMQ 3.10.8,
 * rabbitmq-c 0.11.0: rabbitmq-facts.md and the suite's results), the rest in some, or it follows from how
 * RabbitMQ works. A publisher without confirms never hears of a loss, so all of its losses are one way.
 */

static enum lint_chance sure_if(bool b)
{
	return b ? LINT_ALWAYS : LINT_NEVER;
}

static enum lint_chance maybe_if(bool b)
{
	return b ? LINT_SOMETIMES : LINT_NEVER;
}

/* ---- publisher ------------------------------------------------------------------------------- */

static enum lint_chance unconfirmed(const struct lint_facts *f)
{
	return sure_if(!f->queue.confirms);
}

/* A classic queue lives on one node, unless it has mirrors. */
static bool has_one_home(const struct lint_queue_facts *q)
{
	return q->type == LINT_CLASSIC && q->mirrored != LINT_YES;
}

static bool home_can_be_away(const struct lint_queue_facts *q)
{
	return has_one_home(q) && q->nodes != 1;
}

/* Of a queue that may have mirrors nobody can be sure. */
static enum lint_chance unless_mirrored(const struct lint_queue_facts *q, enum lint_chance c)
{
	return q->mirrored == LINT_UNKNOWN && c == LINT_ALWAYS ? LINT_SOMETIMES : c;
}

static enum lint_chance unroutable(const struct lint_facts *f)
{
	return sure_if(f->queue.confirms && !f->queue.mandatory);
}

static enum lint_chance returned(const struct lint_facts *f)
{
	return sure_if(f->queue.confirms && f->queue.mandatory);
}

/* Routed to a queue whose node is away: dropped, and confirmed all the same. */
static enum lint_chance home_away(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return unless_mirrored(q, sure_if(home_can_be_away(q) && q->confirms && !q->mandatory));
}

static enum lint_chance home_away_returned(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return unless_mirrored(q, sure_if(home_can_be_away(q) && q->confirms && q->mandatory));
}

static enum lint_chance home_away_unconfirmed(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return unless_mirrored(q, sure_if(home_can_be_away(q) && !q->confirms));
}

static enum lint_chance unanswered(const struct lint_facts *f)
{
	return maybe_if(f->queue.confirms);
}

/* It cannot tell a message that was lost on its way from one whose confirm was. */
static enum lint_chance sent_again(const struct lint_facts *f)
{
	return sure_if(f->queue.confirms && f->queue.republishes);
}

static enum lint_chance unheard(const struct lint_facts *f)
{
	return maybe_if(f->queue.confirms && !f->queue.listens);
}

static enum lint_chance never_given_up(const struct lint_facts *f)
{
	return maybe_if(f->queue.confirms && !f->queue.gives_up);
}

/* ---- queue ----------------------------------------------------------------------------------- */

/* Quorum queues and streams write to the disk whatever the message says. */
static enum lint_chance in_memory(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;
	bool kept = q->durable && q->persistent;

	return unless_mirrored(q, sure_if(has_one_home(q) && q->confirms && !kept));
}

static enum lint_chance in_page_cache(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return unless_mirrored(q, sure_if(q->confirms && has_one_home(q) && q->version >= 2));
}

/* Where all nodes go at once mirrors are no help. */
static enum lint_chance in_memory_of_all(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;
	bool kept = q->durable && q->persistent;

	return sure_if(q->type == LINT_CLASSIC && q->confirms && !kept);
}

static enum lint_chance in_page_cache_of_all(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return sure_if(q->type == LINT_CLASSIC && q->confirms && q->version >= 2);
}

static enum lint_chance stream_in_page_cache(const struct lint_facts *f)
{
	return sure_if(f->queue.confirms && f->queue.type == LINT_STREAM);
}

static enum lint_chance stream_on_one(const struct lint_facts *f)
{
	return f->queue.members < 2 ? stream_in_page_cache(f) : LINT_NEVER;
}

/* ---- mirrors and partitions ------------------------------------------------------------------ */

static enum lint_chance if_mirrored(const struct lint_queue_facts *q, bool bad)
{
	if (q->type != LINT_CLASSIC || !q->confirms || !bad || q->nodes == 1)
		return LINT_NEVER;
	return q->mirrored == LINT_YES       ? LINT_ALWAYS
	       : q->mirrored == LINT_UNKNOWN ? LINT_SOMETIMES
					     : LINT_NEVER;
}

/* A mirror that was added under a backlog has what came since, and leads. */
static enum lint_chance promoted_behind(const struct lint_facts *f)
{
	return if_mirrored(&f->queue, !f->queue.sync_automatic && !f->queue.promote_synced);
}

static enum lint_chance promoted_in_order(const struct lint_facts *f)
{
	return if_mirrored(&f->queue, f->queue.mirrored == LINT_YES && !f->queue.sync_automatic &&
					      f->queue.promote_any_on_shutdown);
}

static enum lint_chance split(const struct lint_facts *f, enum lint_partitions handling)
{
	enum lint_partitions p = f->queue.partitions;
	enum lint_chance c = if_mirrored(&f->queue, p == handling || p == LINT_PARTITIONS_UNKNOWN);

	return p == LINT_PARTITIONS_UNKNOWN && c == LINT_ALWAYS ? LINT_SOMETIMES : c;
}

static enum lint_chance split_ignored(const struct lint_facts *f)
{
	return split(f, LINT_IGNORE);
}

static enum lint_chance split_healed(const struct lint_facts *f)
{
	return split(f, LINT_AUTOHEAL);
}

/* ---- what policies take ---------------------------------------------------------------------- */

/* The scenarios send some thousand messages, and look at them after a second. */
#define SOON_FULL 2000
#define SOON_MS 1000
#define SOON_DELIVERED 10

static bool has_limit(const struct lint_queue_facts *q)
{
	return q->type != LINT_STREAM &&
	       (q->max_length < LINT_FOREVER || q->max_bytes < LINT_FOREVER);
}

/* Into a dead-letter queue what is removed is not gone, and may count as there. */
static enum lint_chance removed(const struct lint_queue_facts *q, bool ever, bool soon)
{
	return !ever ? LINT_NEVER : soon && !q->dead_letters ? LINT_ALWAYS : LINT_SOMETIMES;
}

static enum lint_chance too_many(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return removed(q, has_limit(q) && !q->rejects, q->max_length <= SOON_FULL);
}

static enum lint_chance rejected(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return removed(q, has_limit(q) && q->rejects && q->confirms, q->max_length <= SOON_FULL);
}

static enum lint_chance too_old(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return removed(q, q->type != LINT_STREAM && q->ttl_ms < LINT_FOREVER, q->ttl_ms <= SOON_MS);
}

static enum lint_chance unused(const struct lint_facts *f)
{
	return maybe_if(f->queue.expires_ms < LINT_FOREVER);
}

static enum lint_chance given_too_often(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return removed(q, q->type == LINT_QUORUM && q->delivery_limit < LINT_FOREVER,
		q->delivery_limit <= SOON_DELIVERED);
}

static enum lint_chance stream_cut(const struct lint_facts *f)
{
	const struct lint_queue_facts *q = &f->queue;

	return maybe_if(q->type == LINT_STREAM && (q->max_age || q->max_bytes < LINT_FOREVER));
}

static enum lint_chance deleted(const struct lint_facts *f)
{
	return maybe_if(f->queue.auto_delete);
}

static enum lint_chance untold(const struct lint_facts *f)
{
	return maybe_if(f->queue.policies == LINT_UNKNOWN);
}

/* At most once: it is taken off the queue before the dead-letter queue has it. */
static enum lint_chance dead_on_the_way(const struct lint_facts *f)
{
	return maybe_if(
		f->queue.confirms && f->queue.dead_letters && !f->queue.dead_letters_surely);
}

/* ---- the ways -------------------------------------------------------------------------------- */

#define LOST_AT_BROKER .kind = FINDING_LOST, .stage = STAGE_BROKER
#define AT_PRODUCE(what) .kind = FINDING_##what, .stage = STAGE_PRODUCE
#define EXPIRED_AT_BROKER .kind = FINDING_EXPIRED, .stage = STAGE_BROKER

#define WAY(name, what, fn, ...)                                                                   \
	static const struct lint_way name = {what, WAY_TEXTS_(__VA_ARGS__), .when = fn}
#define WAY_TEXTS_(c, w, x) .cause = c, .why = w, .fix = x

#define NO_CONFIRMS                                                                                \
	"confirms=false",                                                                          \
		"nobody answers: what stands in a socket or in a queue's memory, and what was "    \
		"dropped, looks like what is stored",                                              \
		"confirms=true"
#define NOT_MANDATORY                                                                              \
	"mandatory=false", "the broker drops what it can route to no queue, and confirms it",      \
		"mandatory=true, or an alternate exchange"
#define HOME_AWAY                                                                                  \
	"mandatory=false, for a classic queue",                                                    \
		"the queue lives on one node: while that is away the others route to nothing, "    \
		"and confirm what they drop",                                                      \
		"x-queue-type=quorum; or mandatory=true, and send again what is returned"

#define IN_MEMORY                                                                                  \
	"not durable, or not persistent",                                                          \
		"a confirm says that the queue has the message, in memory: it goes with the node", \
		"durable=true and persistent=true; or x-queue-type=quorum"
#define VERSION_2                                                                                  \
	"x-queue-version=2",                                                                       \
		"version 2 of a classic queue confirms what is in the page cache, on no disk",     \
		"x-queue-version=1; or x-queue-type=quorum"

WAY(lost_unconfirmed, AT_PRODUCE(LOST), unconfirmed, NO_CONFIRMS);
WAY(lost_away_unconfirmed, AT_PRODUCE(LOST), home_away_unconfirmed, NO_CONFIRMS);
WAY(lost_unroutable, LOST_AT_BROKER, unroutable, NOT_MANDATORY);
WAY(refused_unroutable, AT_PRODUCE(REFUSED), returned, "mandatory=true",
	"what can be routed to no queue comes back; who does not look at it loses the message",
	"send again what is returned");
WAY(lost_home_away, LOST_AT_BROKER, home_away, HOME_AWAY);
WAY(refused_home_away, AT_PRODUCE(REFUSED), home_away_returned, "mandatory=true",
	"what can be routed to no queue comes back; who does not look at it loses the message",
	"send again what is returned");
WAY(unacked, AT_PRODUCE(UNACKNOWLEDGED), unanswered, "a lost connection, or a nack",
	"nobody says what became of the messages without a confirm; who does not look at it "
	"loses them",
	"keep what is not confirmed, and send it again");
WAY(unacked_unheard, AT_PRODUCE(UNACKNOWLEDGED), unheard, "blocked.notice=false",
	"a publisher that is not told goes on sending into a connection that nobody reads",
	"blocked.notice=true");
WAY(unacked_for_ever, AT_PRODUCE(UNACKNOWLEDGED), never_given_up,
	"heartbeat=0, tcp.user.timeout.ms=0",
	"a node that stands still is never given up, and its confirms are waited for without end",
	"heartbeat=10");
WAY(twice, AT_PRODUCE(DUPLICATED), sent_again, "publishing again what was not confirmed",
	"a message whose confirm was lost is stored already, and RabbitMQ recognises no repeat",
	"a consumer that recognises what it has seen");
WAY(lost_memory, LOST_AT_BROKER, in_memory, IN_MEMORY);
WAY(lost_memory_all, LOST_AT_BROKER, in_memory_of_all, IN_MEMORY);
WAY(lost_version_2, LOST_AT_BROKER, in_page_cache, VERSION_2);
WAY(lost_version_2_all, LOST_AT_BROKER, in_page_cache_of_all, VERSION_2);
WAY(lost_stream, LOST_AT_BROKER, stream_in_page_cache, "x-queue-type=stream",
	"a stream confirms what a majority has in its page cache, on no disk",
	"x-queue-type=quorum, or nodes whose power does not fail together");
WAY(lost_lone_stream, LOST_AT_BROKER, stream_on_one, "a stream on one node",
	"its only node has in its page cache what it confirmed, on no disk",
	"x-queue-type=quorum, or more nodes (x-initial-cluster-size)");
WAY(lost_promoted, LOST_AT_BROKER, promoted_behind, "ha-promote-on-failure=always",
	"a mirror that never got the older messages may lead, and they are gone",
	"ha-promote-on-failure=when-synced with ha-sync-mode=automatic; or x-queue-type=quorum");
WAY(lost_in_order, LOST_AT_BROKER, promoted_in_order, "ha-promote-on-shutdown=always",
	"a mirror that never got the older messages leads when its leader is stopped in order",
	"ha-promote-on-shutdown=when-synced; or x-queue-type=quorum");
WAY(lost_split, LOST_AT_BROKER, split_ignored, "cluster_partition_handling=ignore",
	"both sides of a cut go on and confirm; one side's messages are thrown away in the end",
	"cluster_partition_handling=pause_minority; or x-queue-type=quorum");
WAY(lost_healed, LOST_AT_BROKER, split_healed, "cluster_partition_handling=autoheal",
	"both sides of a cut go on and confirm; the losing side is restarted without its messages",
	"cluster_partition_handling=pause_minority; or x-queue-type=quorum");
WAY(expired_length, EXPIRED_AT_BROKER, too_many, "a limit of length, x-overflow=drop-head",
	"above it the oldest messages are removed, read or not",
	"x-overflow=reject-publish, or a dead-letter exchange");
WAY(rejected_length, AT_PRODUCE(UNACKNOWLEDGED), rejected,
	"a limit of length, x-overflow=reject-publish",
	"above it what comes is answered with a nack; who does not look at it loses the message",
	"keep what is not confirmed, and send it again");
WAY(expired_ttl, EXPIRED_AT_BROKER, too_old, "x-message-ttl",
	"older messages are removed, read or not",
	"a time to live above the longest time unread, or a dead-letter exchange");
WAY(expired_unused, EXPIRED_AT_BROKER, unused, "x-expires",
	"a queue that nobody uses for so long is removed with all that is in it",
	"no x-expires for a queue whose consumers may be away");
WAY(expired_deliveries, EXPIRED_AT_BROKER, given_too_often, "x-delivery-limit",
	"what was given so often and never acknowledged is removed; a consumer that dies again and "
	"again takes along all that it had prefetched",
	"a dead-letter exchange");
WAY(expired_stream, EXPIRED_AT_BROKER, stream_cut, "x-max-age, x-max-length-bytes",
	"the oldest segments of a stream are removed, read or not",
	"limits above the longest time unread");
WAY(expired_deleted, EXPIRED_AT_BROKER, deleted, "auto-delete=true",
	"the queue goes with its last consumer, and all that is in it", "auto-delete=false");
WAY(expired_untold, EXPIRED_AT_BROKER, untold, "policies that were not looked at",
	"a policy may limit length, age and deliveries", "--policy, or --no-policy");
WAY(lost_dead_letter, LOST_AT_BROKER, dead_on_the_way, "x-dead-letter-strategy=at-most-once",
	"what is removed leaves the queue before the dead-letter queue has it",
	"x-dead-letter-strategy=at-least-once with x-overflow=reject-publish, of a quorum queue");

/* ---- the scenarios --------------------------------------------------------------------------- */

static const struct lint_scenario scenarios[] = {
	{"unroutable", "R-02", "a key that no queue is bound to", false},
	{"no-confirms-node-killed", "R-01", "the publisher's node stands still, and dies", false},
	{"transient-restart", "R-03", "the queue's node is restarted in order", false},
	{"classic-killed", "R-04", "the queue's node dies", false},
	{"home-node-down", "R-04b", "the queue's node is away for a while", false},
	{"classic-power-cut", "R-05", "the queue's node loses its power", false},
	{"power-cut-all", "R-06 R-07", "all nodes lose their power at once", false},
	{"mirror-promoted", "R-09", "the leader dies, its mirrors are behind", false},
	{"partition-ignore", "R-10", "a node is cut off, both sides go on", false},
	{"partition-autoheal", "R-10", "a node is cut off, one side is restarted", false},
	{"partition-pause-minority", "R-10", "a node is cut off, and pauses", false},
	{"quorum-leader-killed", "R-13", "the queue's leader dies", false},
	{"quorum-minority", "R-13", "one of three nodes dies", false},
	{"quorum-majority-down", "R-13", "two of three nodes are away", false},
	{"delivery-limit", "R-15", "a consumer dies again and again", false},
	{"max-length", "R-16", "more comes than the queue may hold", false},
	{"ttl", "R-17", "time passes", false},
	{"queue-expires", "R-17", "nobody uses the queue", false},
	{"dead-letter-hop", "R-18", "the dead-letter queue is away", false},
	{"confirm-lost-republish", "R-23", "confirms are lost", false},
	{"memory-alarm", "R-25", "the broker is short of memory", false},
	{"rolling-restart", "R-26", "each node is restarted in turn", false},
	/* no script */
	{"", "stream-limits", "a stream grows beyond its limits", false},
	{"", "auto-delete", "the queue's last consumer goes", false},
	{"", "policy", "a policy that was not looked at", false},
};

/* ---- the table of rules ---------------------------------------------------------------------- */

#define MAYBE LINT_SOMETIMES
#define SURE LINT_ALWAYS

/* Connections break, or nodes are away for a while. */
#define BREAKS(scenario)                                                                           \
	{scenario, &unacked, MAYBE}, {scenario, &twice, MAYBE},                                    \
		{scenario, &lost_unconfirmed, MAYBE}, {scenario, &lost_home_away, MAYBE},          \
	{                                                                                          \
		scenario, &refused_home_away, MAYBE                                                \
	}

static const struct lint_rule rules[] = {
	{"unroutable", &lost_unroutable, SURE},
	{"unroutable", &lost_unconfirmed, SURE},
	{"unroutable", &refused_unroutable, SURE},
	{"no-confirms-node-killed", &lost_unconfirmed, SURE},
	{"no-confirms-node-killed", &lost_memory, SURE},
	{"no-confirms-node-killed", &lost_home_away, MAYBE},
	{"no-confirms-node-killed", &refused_home_away, MAYBE},
	{"no-confirms-node-killed", &unacked, MAYBE},
	{"no-confirms-node-killed", &unacked_for_ever, MAYBE},
	{"no-confirms-node-killed", &twice, MAYBE},
	{"transient-restart", &lost_memory, SURE},
	{"transient-restart", &lost_unconfirmed, MAYBE},
	{"classic-killed", &lost_memory, SURE},
	BREAKS("classic-killed"),
	{"home-node-down", &lost_home_away, SURE},
	{"home-node-down", &lost_away_unconfirmed, SURE},
	{"home-node-down", &refused_home_away, SURE},
	{"home-node-down", &lost_memory, SURE},
	{"home-node-down", &unacked, MAYBE},
	{"home-node-down", &twice, MAYBE},
	{"home-node-down", &lost_unconfirmed, MAYBE},
	{"classic-power-cut", &lost_version_2, SURE},
	{"classic-power-cut", &lost_lone_stream, MAYBE},
	{"classic-power-cut", &lost_memory, SURE},
	{"classic-power-cut", &lost_unconfirmed, MAYBE},
	{"power-cut-all", &lost_stream, SURE},
	{"power-cut-all", &lost_version_2_all, MAYBE},
	{"power-cut-all", &lost_memory_all, SURE},
	BREAKS("power-cut-all"),
	{"mirror-promoted", &lost_promoted, SURE},
	BREAKS("mirror-promoted"),
	{"partition-ignore", &lost_split, SURE},
	{"partition-ignore", &unacked_for_ever, MAYBE},
	BREAKS("partition-ignore"),
	{"partition-autoheal", &lost_healed, SURE},
	{"partition-autoheal", &unacked_for_ever, MAYBE},
	BREAKS("partition-autoheal"),
	BREAKS("partition-pause-minority"),
	BREAKS("quorum-leader-killed"),
	BREAKS("quorum-minority"),
	BREAKS("quorum-majority-down"),
	{"delivery-limit", &expired_deliveries, SURE},
	{"max-length", &expired_length, SURE},
	{"max-length", &rejected_length, SURE},
	{"max-length", &lost_unconfirmed, MAYBE},
	{"ttl", &expired_ttl, SURE},
	{"queue-expires", &expired_unused, MAYBE},
	{"dead-letter-hop", &lost_dead_letter, MAYBE},
	{"confirm-lost-republish", &twice, SURE},
	{"confirm-lost-republish", &unacked, MAYBE},
	{"confirm-lost-republish", &lost_unconfirmed, MAYBE},
	{"memory-alarm", &lost_unconfirmed, MAYBE},
	{"memory-alarm", &unacked, MAYBE},
	{"memory-alarm", &unacked_unheard, MAYBE},
	{"memory-alarm", &twice, MAYBE},
	{"rolling-restart", &lost_memory, MAYBE},
	{"rolling-restart", &lost_in_order, MAYBE},
	BREAKS("rolling-restart"),
	{"stream-limits", &expired_stream, MAYBE},
	{"auto-delete", &expired_deleted, MAYBE},
	{"policy", &expired_untold, MAYBE},
};

_Static_assert(sizeof(rules) / sizeof(rules[0]) <= LINT_PREDICTIONS_MAX, "room for all");

const struct lint_book lint_book_rabbitmq = {scenarios, sizeof(scenarios) / sizeof(scenarios[0]),
	rules, sizeof(rules) / sizeof(rules[0])};
