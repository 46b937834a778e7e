#ifndef TESTS_CONFORMANCE_CONFORMANCE_H
#define TESTS_CONFORMANCE_CONFORMANCE_H

#include "core/broker/broker.h"
#include "core/clock.h"
#include "core/opt.h"
#include "core/props.h"
#include "core/url.h"
#include "tests/unit.h"

/*
 * Does a broker do what broker.h promises? Asked op by op, on the real thing, for any destination. Nothing
 * here knows a broker by name: what is asked depends on what the destination says that it can do, and on
 * what the command line tells of it.
 */

#define SLACK_NS (1 * NS_PER_S)      /* by which a loaded machine may be late */
#define PATIENCE_NS (60 * NS_PER_S)  /* for what must come, and comes at once on a healthy broker */
#define RECOVERY_NS (120 * NS_PER_S) /* for what must come after a fault */
#define TEST_LIMIT_S 240             /* a test that takes longer hangs: the program ends */
#define MAX_HANDLES 4                /* of a test, of each kind */

/* What the command line says: how to make a destination, and what its broker calls things. */
struct suite {
	struct opt_list create;   /* NAME=VALUE: how to make it */
	struct opt_list property; /* NAME=VALUE: of the clients */
	uint64_t partitions;
	uint64_t replication; /* 0: the broker's default */
	const char *hook;     /* program that makes faults; NULL: none */
	/* settings by which a broker can be brought to something; NULL or none: that is not asked */
	const char *capacity;      /* property: how many messages may be outstanding */
	const char *unconfirmed;   /* NAME=VALUE: sends without confirmation */
	const char *secret;        /* property that holds a secret */
	const char *exchange;      /* that is there, and routes by the key alone */
	const char *transactional; /* property whose value names a transactional producer */
	const char *prefetch;      /* property: how much a reader of a queue is given unsettled */
	uint64_t too_large;        /* bytes of a payload that is not accepted */
	struct opt_list refuse;    /* NAME=VALUE: properties with which all is refused ... */
	struct opt_list refuse_create; /* ... on a destination that is made with these as well */
	const char *only;              /* names of the tests, with * */
	const char *part;              /* "all", "quiet" (without faults), "faults" */

	struct url url; /* its name is what all names begin with */
	const struct broker_ops *ops;
	unsigned caps; /* of a destination that is made so */
};

/* What a test needs beside capabilities, or it is skipped. */
enum need {
	NEED_NOTHING = 0,
	NEED_HOOK = 1 << 0,
	NEED_CAPACITY = 1 << 1,
	NEED_UNCONFIRMED = 1 << 2,
	NEED_SECRET = 1 << 3,
	NEED_TRANSACTIONAL = 1 << 4,
	NEED_PREFETCH = 1 << 5,
	NEED_TOO_LARGE = 1 << 6,
	NEED_REFUSE = 1 << 7,
	NEED_NO_DESTINATION = 1 << 8, /* it is not made for this test */
	NEED_EXCHANGE = 1 << 9,
};

struct fixture;

struct test {
	const char *name; /* the behaviour */
	void (*run)(struct fixture *f);
	unsigned caps;  /* enum broker_cap: all of them */
	unsigned needs; /* enum need */
};

/* The tables of tests; each ends with a row without a name. */
extern const struct test destination_tests[];
extern const struct test producer_tests[];
extern const struct test fault_tests[];
extern const struct test log_tests[];
extern const struct test queue_tests[];
extern const struct test fence_tests[];
extern const struct test transaction_tests[];

/* A message that a test sends, and all that became of it. */
struct message {
	int32_t partition;
	uint8_t *payload;
	size_t len;
	uint8_t *key; /* NULL: none */
	size_t key_len;
	bool taken;
	bool refused_locally;
	unsigned n_outcomes;
	enum outcome outcome; /* the last */
	uint64_t outcome_at;  /* how many outcomes came before it */
	int64_t offset;       /* as the outcome says */
	unsigned n_copies;    /* as read */
	int64_t first_offset; /* of the first copy */
};

/* What a test has: a destination of its own, and what it opened. All is released when it ends. */
struct fixture {
	const struct suite *suite;
	const struct test *test;
	const struct broker_ops *ops;
	struct url url;
	struct url home;     /* as it was at the start of the test */
	struct props *props; /* the test's own: may be changed before a handle is made */
	struct broker_config config;
	const char **create_config;
	struct broker_create create;
	bool made;   /* the destination */
	bool faulty; /* a fault is on */
	volatile bool stop;
	struct broker_producer *producer[MAX_HANDLES];
	struct broker_reader *reader[MAX_HANDLES];
	struct message *message;
	size_t n_messages;
	uint64_t n_outcomes;
	size_t n_strangers; /* read, and none of ours */
	struct err e;
};

/* ---- the suite -------------------------------------------------------------------------------- */

/* Run one test: *state is its struct fixture after fixture_setup(). For cmocka. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_run(void **state);

/* A fixture for a suite, before fixture_setup(). Zeroed memory; freed with free(). */
struct fixture *fixture_new(const struct suite *s, const struct test *t);

/* What a destination of this suite can do: makes one, asks, and removes it. Fills s->caps. */
MUST_CHECK int suite_ask_caps(struct suite *s, struct err *e);

/* ---- for tests: each fails the test if it does not work ------------------------------------------ */

/* Set a property of this test's clients: before they are opened. */
void set_property(struct fixture *f, const char *name, const char *value);
/* The same from "NAME=VALUE". */
void set_pair(struct fixture *f, const char *pair);

/* Make the destination, and wait until it can be used; ask for it; wait until it is gone. */
void make_destination(struct fixture *f);
void ask_topic(struct fixture *f, struct broker_topic *ret);
bool is_gone(struct fixture *f);

/* Handles; closed by close_...() or at the end of the test. */
struct broker_producer *open_producer(struct fixture *f);
void close_producer(struct fixture *f, struct broker_producer *p);
struct broker_reader *open_reader(struct fixture *f, enum broker_isolation isolation);
void close_reader(struct fixture *f, struct broker_reader *r);

/*
 * Call the hook: `HOOK VERB DESTINATION [ARGUMENT...]` with verbs freeze, kill and cut (connections of
 * clients are reset, and refused), heal (all of it), and trim PARTITION OFFSET (remove what is below). False:
 * it cannot be done here (exit code 77).
 */
bool hook(struct fixture *f, const char *verb, const char *a, const char *b);
/* A fault that must be possible. */
void fault(struct fixture *f, const char *verb);
/*
 * The same beside what the test does meanwhile: begun, and ended (which waits for it) by end_begin_fault(); in
 * between fault_is_on() tells.
 */
struct background;
struct background *begin_fault(struct fixture *f, const char *verb);
bool fault_is_on(struct background *b);
void end_begin_fault(struct background *b);
/* Heal, and wait until the destination answers, and takes a fence. */
void heal(struct fixture *f);

/* n messages more of len bytes, in turn to the partitions; random bytes behind an index. */
struct message *add_messages(struct fixture *f, size_t n, size_t len);
/* One more, of these bytes, to partition 0; NULL key: none. */
struct message *add_message(
	struct fixture *f, const void *payload, size_t len, const void *key, size_t key_len);

/* Hand over n of them, without polling, once. Returns how many were taken; never later than in a second. */
size_t send_once(struct fixture *f, struct broker_producer *p, struct message *m, size_t n);
/* Hand over all n, polling while there is no room. */
void send_all(struct fixture *f, struct broker_producer *p, struct message *m, size_t n);
/* Poll once, for at most timeout_ms; outcomes are noted at their messages. Returns how many came. */
size_t poll_once(struct fixture *f, struct broker_producer *p, int timeout_ms);
/* Poll until n messages from m on that were taken have their outcome. */
void poll_all(struct fixture *f, struct broker_producer *p, const struct message *m, size_t n,
	int64_t patience_ns);
/* Send all n messages and see that each is acked. */
void deliver(struct fixture *f, struct broker_producer *p, struct message *m, size_t n);
/* The same; false: some have none yet. */
bool ends_in_time(struct fixture *f, struct broker_producer *p, const struct message *m, size_t n,
	int64_t patience_ns);
size_t count_outcome(const struct message *m, size_t n, enum outcome o);

/* Each that was taken has one outcome, of those whose bits (1 << enum outcome) are set. */
void assert_outcomes(const struct message *m, size_t n, unsigned allowed);

/* Note what was read at the message that it is (or as a stranger), checking every byte. Returns it. */
struct message *note_read(struct fixture *f, const struct broker_message *got);
/*
 * Write a fence to each partition and read all up to it, from the start, with a reader of this isolation;
 * queues are emptied.
 */
void read_all(struct fixture *f, enum broker_isolation isolation);
/*
 * After read_all(): acked and unconfirmed ones are there, once (or at least once, with `repeats`), refused
 * ones and those that were not taken are not; there is nothing else.
 */
void assert_stored(struct fixture *f, bool repeats);
/* After read_all(), of undisturbed messages: in the order in which they were sent, partition by partition. */
void assert_stored_in_order(struct fixture *f);

/* Read for at most patience_ns until n messages came, into ret (offsets only). Returns how many. */
size_t read_offsets(
	struct fixture *f, struct broker_reader *r, int64_t *ret, size_t n, int64_t patience_ns);

/* Fails if since start_ns more than limit_ns and the slack have passed. */
void assert_within(int64_t start_ns, int64_t limit_ns, const char *what);

/* A port of loopback that takes connections and never says anything. */
int listen_silently(uint16_t *ret_port);
/* Let this test's clients go to a port of loopback instead of the broker. */
void go_to_port(struct fixture *f, uint16_t port);

/* An error has its code in the error object, a message and no more than it can hold. */
void assert_error(const struct fixture *f, int r, int expected, const char *what);

#endif
