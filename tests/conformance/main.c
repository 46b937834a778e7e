/*
 * The conformance suite: `conformance URL [OPTIONS]` asks of a broker, op by op, what broker.h promises. TAP.
 * The URL's last part is what the names of all destinations begin with that it makes, and removes again.
 */
#include "tests/conformance/conformance.h"

#include <signal.h>

#define MAX_TESTS 200

static const struct opt options[] = {
	{.name = "create",
		.letter = 'c',
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		.offset = offsetof(struct suite, create),
		.help = "How a destination is made. Repeatable."},
	{.name = "partitions",
		.type = OPT_COUNT,
		.arg = "N",
		.dflt = "1",
		.offset = offsetof(struct suite, partitions),
		.help = "And with how many partitions."},
	{.name = "replication",
		.type = OPT_COUNT,
		.arg = "N",
		.offset = offsetof(struct suite, replication),
		.help = "And replicas; otherwise the broker's default."},
	{.name = "property",
		.letter = 'X',
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		.offset = offsetof(struct suite, property),
		.help = "A property of all clients. Repeatable."},
	{.name = "hook",
		.type = OPT_STRING,
		.arg = "PROGRAM",
		.offset = offsetof(struct suite, hook),
		.help = "Makes faults: PROGRAM freeze|kill|cut|heal DESTINATION, "
			"PROGRAM trim DESTINATION PARTITION OFFSET; ends with 77 where there is no such fault."},
	{.name = "capacity",
		.type = OPT_STRING,
		.arg = "NAME",
		.offset = offsetof(struct suite, capacity),
		.help = "The property that says how many messages may be outstanding."},
	{.name = "unconfirmed",
		.type = OPT_STRING,
		.arg = "NAME=VALUE",
		.offset = offsetof(struct suite, unconfirmed),
		.help = "The property with which no broker confirms anything."},
	{.name = "secret",
		.type = OPT_STRING,
		.arg = "NAME",
		.offset = offsetof(struct suite, secret),
		.help = "A property that holds a secret."},
	{.name = "exchange",
		.type = OPT_STRING,
		.arg = "NAME",
		.offset = offsetof(struct suite, exchange),
		.help = "An exchange that is there, and routes by the key alone."},
	{.name = "transactional",
		.type = OPT_STRING,
		.arg = "NAME",
		.offset = offsetof(struct suite, transactional),
		.help = "The property that names a producer which sends in transactions."},
	{.name = "prefetch",
		.type = OPT_STRING,
		.arg = "NAME",
		.offset = offsetof(struct suite, prefetch),
		.help = "The property that says how many messages a reader may hold unsettled."},
	{.name = "too-large",
		.type = OPT_SIZE,
		.arg = "SIZE",
		.offset = offsetof(struct suite, too_large),
		.help = "A payload that is too large."},
	{.name = "refuse",
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		.offset = offsetof(struct suite, refuse),
		.help = "Properties with which every message is refused. Repeatable."},
	{.name = "refuse-create",
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		.offset = offsetof(struct suite, refuse_create),
		.help = "How the destination is made, for that. Repeatable."},
	{.name = "only",
		.type = OPT_STRING,
		.arg = "PATTERN",
		.offset = offsetof(struct suite, only),
		.help = "The tests whose name matches, with * for anything."},
	{.name = "part",
		.type = OPT_CHOICE,
		.choices = "all|quiet|faults",
		.dflt = "all",
		.arg = "PART",
		.offset = offsetof(struct suite, part),
		.help = "All tests, those without faults (which others may run beside), or those with."},
	{.name = NULL},
};

static const struct command command = {
	.name = "conformance",
	.args = "URL",
	.summary = "does a broker do what broker.h promises",
	.description = "",
	.opts = options,
	.opts_size = sizeof(struct suite),
	.min_args = 1,
	.max_args = 1,
};

static const struct test *const tables[] = {destination_tests, producer_tests, fault_tests,
	log_tests, queue_tests, fence_tests, transaction_tests, NULL};

static bool is_of_part(const struct suite *s, const struct test *t)
{
	if (strcmp(s->part, "all") == 0)
		return true;
	return !(t->needs & NEED_HOOK) == (strcmp(s->part, "quiet") == 0);
}

static int run(const struct suite *s)
{
	static struct CMUnitTest test[MAX_TESTS];
	size_t n = 0;

	for (size_t i = 0; tables[i]; i++) {
		for (const struct test *t = tables[i]; t->name; t++) {
			if (!is_of_part(s, t))
				continue;
			BUG_ON(n == MAX_TESTS);
			test[n++] = (struct CMUnitTest){
				.name = t->name,
				.test_func = fixture_run,
				.teardown_func = fixture_teardown,
				.initial_state = fixture_new(s, t),
			};
		}
	}
	if (s->only)
		cmocka_set_test_filter(s->only);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("conformance", test, n, NULL, NULL) ? 1 : 0;
}

static int prepare_suite(struct suite *s, const char *text, struct err *e)
{
	int r = url_parse(text, &s->url, e);

	if (r)
		return r;
	s->ops = broker_find(url_scheme_text(s->url.scheme));
	if (!s->ops)
		return err_set(e, ERR_USAGE, "no broker for '%s'", text);
	return suite_ask_caps(s, e);
}

int main(int argc, char **argv)
{
	struct cmdline line;
	struct err e;
	int r = opt_parse(&command, 1, &command, argc - 1, argv + 1, &line, &e);

	signal(SIGPIPE, SIG_IGN); /* as the program does: core/stop.c */
	if (r == 0 && line.help) {
		opt_help(&command, stdout);
	} else {
		if (r == 0)
			r = prepare_suite(line.opts, line.argv[0], &e);
		if (r)
			fprintf(stderr, "conformance: %s\n", e.msg);
		r = r ? EXIT_ERROR : run(line.opts);
	}
	opt_release(&line);
	return r;
}
