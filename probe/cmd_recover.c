#include "probe/cmd_recover.h"

#include <stdio.h>

#include "core/ledger/produced.h"
#include "core/log.h"
#include "core/words.h"
#include "probe/probe.h"

struct recover_opts {
	const char *ledger;
	const char *run;
	bool assume_dead;
};

static const struct opt opts[] = {
	{.name = "run",
		.type = OPT_STRING,
		.arg = "RUN",
		.offset = offsetof(struct recover_opts, run),
		.group = "What",
		.help = "Only the journals of this run (name or id)."},
	{.name = "assume-dead",
		.type = OPT_FLAG,
		.offset = offsetof(struct recover_opts, assume_dead),
		.help = "With --run: end also the epochs whose journals are lost with their host. What only "
			"they knew is unrecorded then; evidence that comes later reopens the verdict."},
	{.name = "ledger",
		.type = OPT_STRING,
		.arg = "URL",
		.offset = offsetof(struct recover_opts, ledger),
		.group = "Ledger",
		.help = "PostgreSQL of the ledger; without it the embedded one."},
	{.name = NULL},
};

static int recover(const struct recover_opts *o, struct err *e)
{
	struct probe_recovered got;
	struct ledger *l = NULL;
	struct run run = {0};
	uint64_t dead = 0;
	int r = ledger_open(o->ledger, &l, e);

	if (r == 0 && o->run)
		r = run_find(l, o->run, &run, e);
	if (r == 0)
		r = probe_recover(l, run.id, &got, e);
	if (r == 0 && o->assume_dead)
		r = produced_assume_dead(l, run.id, &dead, e);
	ledger_close(l);
	if (r)
		return r;
	printf("%llu journals recovered, with %llu outcomes that were not in the ledger\n",
		(unsigned long long)got.journals, (unsigned long long)got.outcomes);
	if (got.running)
		printf("%llu journals belong to probes that still run\n",
			(unsigned long long)got.running);
	if (got.orphans)
		printf("%llu journals belong to runs that this ledger does not have\n",
			(unsigned long long)got.orphans);
	if (o->assume_dead)
		printf("%llu epochs without a journal were ended\n", (unsigned long long)dead);
	if (got.failed)
		return err_set(e, ERR_FORMAT, "%llu journals could not be recovered",
			(unsigned long long)got.failed);
	return 0;
}

static int run_recover(struct cmdline *cl)
{
	const struct recover_opts *o = cl->opts;
	struct err e = {0};

	if (o->assume_dead && !o->run) {
		log_error("--assume-dead needs --run RUN");
		return EXIT_USAGE;
	}
	if (recover(o, &e) == 0)
		return EXIT_PASS;
	err_print(&e);
	return e.code == ERR_USAGE ? EXIT_USAGE : EXIT_ERROR;
}

const struct command cmd_recover = {
	.name = "recover",
	.args = "",
	.summary = "ship the journals that killed probes left",
	.description =
		"A probe keeps what it intends and every outcome in a journal before anything else. When it is "
		"killed, or its ledger is away at the end, the journal stays on its host. This command brings "
		"what is in such journals into the ledger and removes them; journals of probes that still run "
		"are left alone. Run it on the host where the probe ran.",
	.examples = "  # after a probe was killed\n  mqaudit recover\n",
	.opts = opts,
	.opts_size = sizeof(struct recover_opts),
	.max_args = 0,
	.run = run_recover,
};
