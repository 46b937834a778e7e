#ifndef SCENARIOS_LINT_RULES_H
#define SCENARIOS_LINT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/words.h"

/*
 * What settings can lose or repeat, by which fault: one table of rules over what the settings amount to.
 * Nothing here reads, asks or prints.
 */

enum lint_client { LINT_LIBRDKAFKA, LINT_JAVA, LINT_RABBITMQ_C };
#define LINT_CLIENTS 3

enum lint_known { LINT_NO, LINT_YES, LINT_UNKNOWN };

enum lint_reset { LINT_RESET_EARLIEST, LINT_RESET_LATEST, LINT_RESET_NONE };

#define LINT_ACKS_ALL (-1)
#define LINT_FOREVER INT64_MAX

enum lint_queue { LINT_CLASSIC, LINT_QUORUM, LINT_STREAM };

enum lint_partitions { LINT_IGNORE, LINT_AUTOHEAL, LINT_PAUSE_MINORITY, LINT_PARTITIONS_UNKNOWN };

/* What RabbitMQ's rules look at, arguments and policies of the queue taken together. */
struct lint_queue_facts {
	/* publisher */
	bool confirms;
	bool mandatory;
	bool persistent;
	bool listens;     /* to the notice that the broker blocks publishers */
	bool gives_up;    /* a connection whose peer is silent */
	bool republishes; /* what nobody confirmed */
	/* queue */
	enum lint_queue type;
	int version; /* of a classic queue */
	bool durable;
	bool auto_delete;
	int members;        /* nodes that hold a quorum queue or stream */
	int64_t max_length; /* messages; LINT_FOREVER: no limit, here and below */
	int64_t max_bytes;
	bool rejects; /* what comes above them, and keeps the oldest */
	int64_t ttl_ms, expires_ms;
	int64_t delivery_limit;
	bool max_age;             /* of a stream */
	bool dead_letters;        /* what is removed goes to an exchange */
	bool dead_letters_surely; /* ... and stays until that has it */
	enum lint_known policies; /* LINT_UNKNOWN: there may be some that nobody told of */
	enum lint_known mirrored;
	bool sync_automatic;          /* new mirrors get what was there before */
	bool promote_synced;          /* ... and only who has it leads after a failure */
	bool promote_any_on_shutdown; /* ... and who has not leads after one in order */
	/* cluster */
	enum lint_partitions partitions;
	int nodes;
};

/* What the rules look at: the effective settings, as far as they matter. Kafka's, but for queue. */
struct lint_facts {
	enum lint_client client;
	/* producer */
	int acks; /* 0, 1 or LINT_ACKS_ALL */
	bool idempotent;
	bool transactional;
	int64_t retries;
	int64_t max_in_flight;
	int64_t give_up_ms;         /* for a message, retries included; LINT_FOREVER: never */
	int64_t request_timeout_ms; /* after which an unanswered request is sent again */
	/* topic */
	int replication;
	int min_insync;
	bool unclean;
	bool compact, removes; /* cleanup.policy */
	int64_t retention_ms;  /* LINT_FOREVER: kept */
	int64_t retention_bytes;
	int64_t flush_messages; /* LINT_FOREVER: not by number */
	int64_t flush_ms;       /* how old an unflushed message gets; LINT_FOREVER: not by time */
	/* broker */
	enum lint_known elr;     /* eligible leader replicas */
	int offsets_replication; /* of the topic that holds the groups' offsets */
	/* consumer */
	bool consumer; /* there are settings of one; otherwise nothing is said about it */
	bool auto_commit, auto_store;
	bool sees_truncation; /* the client compares leader epochs */
	bool read_uncommitted;
	enum lint_reset reset;
	struct lint_queue_facts queue; /* RabbitMQ's */
};

/* Does the scenario show it in every run, or can it happen there? */
enum lint_chance { LINT_NEVER, LINT_SOMETIMES, LINT_ALWAYS };

/* One way to lose or repeat: why it happens, whatever the fault that lets it. */
struct lint_way {
	enum finding_kind kind;
	enum stage stage;
	const char *cause; /* the setting that is to blame: "acks=1" */
	const char *why;
	const char *fix; /* "" where nothing but the application can help */
	enum lint_chance (*when)(const struct lint_facts *f);
};

struct lint_scenario {
	const char *
		name; /* as in `mqaudit scenario list`; "" for what needs no fault or has no script */
	const char *id;    /* "K-24" */
	const char *fault; /* in words */
	bool consumer;     /* nothing can be said of it without a consumer's settings */
};

struct lint_prediction {
	const struct lint_scenario *scenario;
	const struct lint_way *way;
	bool sure; /* LINT_ALWAYS */
};

#define LINT_PREDICTIONS_MAX 256

/* A rule: what a scenario shows of a way, at most. */
struct lint_rule {
	const char *scenario; /* or the id of one without a script */
	const struct lint_way *way;
	enum lint_chance at_most;
};

/* All that is known of one broker: constants. */
struct lint_book {
	const struct lint_scenario *scenario;
	size_t n_scenarios;
	const struct lint_rule *rule;
	size_t n_rules; /* at most LINT_PREDICTIONS_MAX */
};

extern const struct lint_book lint_book_kafka;    /* rules.c */
extern const struct lint_book lint_book_rabbitmq; /* rules_rabbitmq.c */

/* The book for a client's broker. */
const struct lint_book *lint_book_of(enum lint_client client);

/* The scenarios that the rules for a client's broker know, and how many: constants. */
const struct lint_scenario *lint_scenarios(enum lint_client client, size_t *ret_n);

/* One of them by name, or NULL. */
const struct lint_scenario *lint_scenario_find(enum lint_client client, const char *name);

/*
 * What is to be found in a scenario, or with NULL in any, with these settings: fills at most
 * LINT_PREDICTIONS_MAX (all fit) and returns how many. A kind at a stage may come several times in a
 * scenario, each time for another cause.
 */
size_t lint_predict(const struct lint_facts *f, const char *scenario,
	struct lint_prediction ret[LINT_PREDICTIONS_MAX]);

#endif
