#include "checker/cmd_check.h"

#include <stdio.h>

#include "checker/check.h"
#include "core/log.h"

#define AT(member) .offset = offsetof(struct check_opts, member)

static const struct opt opts[] = {
	{.name = "run",
		.type = OPT_STRING,
		.arg = "RUN",
		AT(run),
		.group = "The run",
		.help = "The run to check, by name or id; without it, the only one that is open."},
	{.name = "follow",
		.letter = 'f',
		.type = OPT_FLAG,
		AT(follow),
		.help = "Go on reading when the probes have ended, until Ctrl-C; judge then."},
	{.name = "settle",
		.type = OPT_DURATION,
		.arg = "TIME",
		.dflt = "2s",
		AT(settle_ns),
		.group = "The end of the log",
		.help = "After connections were lost or outcomes are unknown: how long to wait for late "
			"messages, once every node answers."},
	{.name = "fence-timeout",
		.type = OPT_DURATION,
		.arg = "TIME",
		.dflt = "60s",
		AT(fence_timeout_ns),
		.help = "How long the fence, and the nodes, may take to answer; then the run is undecided."},
	{.name = "no-fence",
		.type = OPT_FLAG,
		AT(no_fence),
		.help = "Write nothing: the end is where the log ends after the settle time."},
	{.name = "sweep",
		.type = OPT_CHOICE,
		.arg = "auto|full|none",
		.choices = "auto|full|none",
		.dflt = "auto",
		AT(sweep),
		.help = "Read the log again at the end: where retention or compaction may have removed "
			"something, all of it, or never (undecided then, if it was needed)."},
	{.name = "relay-lag",
		.type = OPT_DURATION,
		.arg = "TIME",
		AT(relay_lag_ns),
		.help = "Behind a relay: what did not come through in this time after the fence is lost. Your "
			"premise; the report says so."},
	{.name = "drain",
		.type = OPT_CHOICE,
		.arg = "live|end",
		.choices = "live|end",
		AT(drain),
		.group = "A queue",
		.help = "Take the queue's messages, which is how they are read: as they come, or when the "
			"probes have ended. Live without being told if the run found the queue empty and "
			"without consumers, or made it."},
	{.name = "dead-letter-queue",
		.type = OPT_STRING,
		.arg = "NAME",
		AT(dead_letter_queue),
		.help = "Where the queue's policies put what they remove: it is looked through at the end, and all "
			"of it given back (as redelivered). What is there has expired, and what is in neither is "
			"lost. Found without being told where the queue's settings name it."},
	{.name = "no-policy",
		.type = OPT_FLAG,
		AT(no_policy),
		.help = "Your word that nothing but consumers removes messages from the queue: no TTL, no "
			"length or delivery limit, no purge. For where neither a dead-letter queue, nor "
			"--management, nor a lab's nodes tell: else what is not there is not surely lost."},
	DESTINATION_OPTS(struct check_opts, destination),
	{.name = "ledger",
		.type = OPT_STRING,
		.arg = "URL",
		AT(ledger),
		.group = "Ledger",
		.help = "PostgreSQL of the ledger (postgresql://...); without it the embedded one."},
	{.name = "record",
		.type = OPT_CHOICE,
		.arg = "ranges|messages",
		.choices = "ranges|messages",
		.dflt = "ranges",
		AT(record),
		.help = "What to keep of what is read: ranges of messages, which stay small, or a row for each "
			"message as well (view mqaudit.messages; 68 bytes each)."},
	{.name = "status-fd",
		.type = OPT_COUNT,
		.arg = "FD",
		AT(status_fd),
		.hidden = true,
		.help = "Where status lines go."},
	{.name = NULL},
};

static int run_check(struct cmdline *cl)
{
	const struct check_opts *o = cl->opts;
	enum verdict v = VERDICT_ERROR;
	struct err e = {0};

	if (o->status_fd)
		log_divert((int)o->status_fd);
	if (check_run(cl, o, cl->argv[0], &v, &e)) {
		err_print(&e);
		return e.code == ERR_USAGE ? EXIT_USAGE : EXIT_ERROR;
	}
	if (!o->status_fd) {
		printf("%s\n", verdict_text(v));
		log_hint("mqaudit report%s%s shows what was found", o->run ? " " : "",
			o->run ? o->run : "");
	}
	return (int)verdict_exit_code(v);
}

const struct command cmd_check = {
	.name = "check",
	.args = "URL",
	.summary = "read a run's messages back, and judge",
	.description =
		"Reads every partition by position from where the run began, belongs to no consumer group and "
		"takes nothing away. What it reads goes into the ledger together with its position, so that it "
		"can be killed and started again at any time. When the probes have ended it writes a fence "
		"record, reads up to it, judges, and exits with the verdict: 0 pass, 1 findings, 3 error, "
		"4 undecided or no data.\n\n"
		"With a URL other than the probe's, the messages are looked for there, behind whatever relays "
		"them; the source's log is read as well, so that a loss is laid at the right door.",
	.examples = "  # beside a probe, on another machine\n"
		    "  mqaudit check kafka://localhost:9092/audit --run audit-1 "
		    "--ledger postgresql://host/db\n",
	.opts = opts,
	.opts_size = sizeof(struct check_opts),
	.min_args = 1,
	.max_args = 1,
	.run = run_check,
};
