#include "scenarios/cmd_selftest.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/stop.h"
#include "core/words.h"
#include "scenarios/selftest.h"

#define AT(member) .offset = offsetof(struct selftest_opts, member)

static const struct opt opts[] = {
	{.name = "faults",
		.type = OPT_COUNT,
		.arg = "N",
		.dflt = "5",
		AT(faults),
		.group = "Rounds",
		.help = "How many faults of its kind a round plants."},
	{.name = "messages",
		.type = OPT_COUNT,
		.arg = "N",
		.dflt = "6k",
		AT(messages),
		.help = "Messages of a round."},
	{.name = "seed",
		.type = OPT_COUNT,
		.arg = "N",
		AT(seed),
		.help = "Plants at the same places again; 0 for others each time."},
	{.name = "create-queue",
		.type = OPT_CHOICE,
		.arg = "classic|quorum|stream",
		.choices = "classic|quorum|stream",
		AT(queue),
		.help = "The type of queue to make; without it each in turn, as far as the broker makes "
			"them."},
	DESTINATION_OPTS(struct selftest_opts, destination),
	{.name = "expect-one-more",
		.type = OPT_FLAG,
		AT(expect_one_more),
		.hidden = true,
		.help = "Expect a fault that nobody planted: the selftest must fail then."},
	{.name = NULL},
};

static void print_round(const struct selftest_round *t)
{
	printf("%-8s  %7llu  %7llu  %7llu  %-6s  %s\n", t->name, (unsigned long long)t->planted,
		(unsigned long long)t->found, (unsigned long long)t->wrong, t->ok ? "ok" : "NOT OK",
		t->what);
	if (!t->ok)
		printf("          %s\n", t->trouble);
	fflush(stdout);
}

static int all_rounds(struct selftest *s, size_t *ret_failed, struct err *e)
{
	struct selftest_round round;
	int r = 0;

	printf("%-8s  %7s  %7s  %7s\n", "kind", "planted", "found", "wrong");
	fflush(stdout);
	for (size_t i = 0; r == 0 && i < SELFTEST_ROUNDS; i++) {
		r = stop_asked() ? err_set(e, ERR_STOPPED, "stopped")
				 : selftest_round(s, i, &round, e);
		if (r)
			break;
		print_round(&round);
		*ret_failed += !round.ok;
	}
	return r;
}

/* One kind of destination. */
static int one_kind(struct selftest *s, const char *kind, size_t *ret_failed, struct err *e)
{
	log_note("messages go to %s", selftest_destination(s));
	if (*kind)
		printf("a %s%s\n", kind, strcmp(kind, "stream") == 0 ? "" : " queue");
	return all_rounds(s, ret_failed, e);
}

/* What else than a blind auditor makes rounds of a queue fail. */
static void say_of_queues(const char *kind)
{
	if (*kind && strcmp(kind, "stream") != 0)
		log_note(
			"a policy (length, TTL) or another consumer that takes from the queue looks "
			"like losses here: mqaudit selftest needs a queue of its own");
}

static int all_kinds(struct selftest *s, size_t *ret_failed, size_t *ret_rounds, struct err *e)
{
	const char *const *kind = selftest_kinds(s);
	char left[URL_PRINT_LEN];
	int r = 0;

	for (size_t i = 0; r == 0 && kind[i]; i++) {
		size_t before = *ret_failed;

		r = selftest_begin(s, kind[i], e);
		/* not every broker has, or lets everybody make, what is newer */
		if (r && i > 0 && r != ERR_STOPPED) {
			log_warn("not tried: %s", e->msg);
			err_clear(e);
			r = 0;
			continue;
		}
		if (r == 0) {
			r = one_kind(s, kind[i], ret_failed, e);
			*ret_rounds += SELFTEST_ROUNDS;
			if (*ret_failed > before)
				say_of_queues(kind[i]);
		}
		selftest_end(s, left, sizeof(left));
		if (left[0])
			log_note("%s could not be removed and is left", left);
	}
	return r;
}

static int run_selftest(struct cmdline *cl)
{
	struct selftest *s = NULL;
	struct err e = {0};
	char left[URL_PRINT_LEN];
	size_t failed = 0, rounds = 0;
	int r;

	stop_install("mqaudit: ended at once; a folder mqaudit-selftest.* may be left behind\n");
	r = selftest_open(cl->argc ? cl->argv[0] : NULL, cl->opts, &s, &e);
	if (r == 0)
		r = all_kinds(s, &failed, &rounds, &e);
	selftest_close(s, left, sizeof(left));
	if (left[0])
		log_note("%s could not be removed and is left", left);
	if (r == ERR_STOPPED && stop_asked())
		return EXIT_INTERRUPTED;
	if (r) {
		err_print(&e);
		return r == ERR_USAGE ? EXIT_USAGE : EXIT_ERROR;
	}
	if (failed) {
		log_error(
			"%zu of %zu rounds did not find exactly what was planted: this mqaudit is "
			"not to be "
			"trusted here",
			failed, rounds);
		return EXIT_ERROR;
	}
	return EXIT_PASS;
}

const struct command cmd_selftest = {
	.name = "selftest",
	.args = "[URL]",
	.summary = "plant known losses and repeats, and find exactly those",
	.description = "Proves on a real broker that this auditor is not blind: sends messages "
		       "with faults planted "
		       "at known places (dropped after the acknowledgement, repeated, swapped, "
		       "damaged, cut short, "
		       "strangers and phantoms put between), checks them as ever, and compares "
		       "what is found with "
		       "what was planted, message by message. Exit code 0: exactly those, and "
		       "nothing in a clean "
		       "run; 3: anything else.\n\n"
		       "URL is a topic that may be written to, made with three partitions when it "
		       "is not there and "
		       "removed in the end; without it, one in the running lab. A queue is made "
		       "three times, as classic, quorum and stream, unless it is there: then it "
		       "must be empty, without consumers and policies. The ledger is a private "
		       "one that is gone at the end.\n\n"
		       "A queue gives the same attempt of a message again by itself: the repeats "
		       "of the same bytes are found there as redelivered, and break nothing. What "
		       "is damaged beyond a name is counted, and its message lost, where acks do "
		       "not say at which position it is.",
	.examples = "  # in the lab\n"
		    "  mqaudit lab up kafka && mqaudit selftest\n"
		    "  # on a test cluster\n"
		    "  mqaudit selftest amqp://auditor@rabbit1/%2F/mqaudit-selftest\n"
		    "  mqaudit selftest kafka://broker1:9092/mqaudit-selftest --producer-config "
		    "client.properties\n",
	.opts = opts,
	.opts_size = sizeof(struct selftest_opts),
	.max_args = 1,
	.run = run_selftest,
};
