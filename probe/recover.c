/* Journals that killed probes left: into the ledger with them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/paths.h"
#include "probe/probe.h"
#include "probe/shipper.h"

/* What a journal's outcomes are called in texts: its run's broker knows. */
static int ops_of_run(
	struct ledger *l, int64_t run_id, const struct broker_ops **ret, struct err *e)
{
	char id[RUN_ID_LEN];
	struct run run;
	int r = run_find(l, run_id_text(run_id, id), &run, e);

	if (r)
		return r;
	*ret = broker_find(run.broker);
	return *ret ? 0 : err_set(e, ERR_STATE, "broker '%s' is not built in", run.broker);
}

static int recover_one(struct ledger *l, const char *path, int64_t run_id,
	struct probe_recovered *ret, struct err *e)
{
	const struct broker_ops *ops = NULL;
	struct journal *j = NULL;
	struct journal_info info;
	uint64_t outcomes = 0;
	bool complete = true;
	int r = journal_open(path, &j, e);

	if (r == ERR_STATE) {
		ret->running++;
		return 0;
	}
	if (r)
		return r;
	journal_info(j, &info);
	if (run_id && (int64_t)info.id.run_id != run_id) {
		journal_close(j);
		return 0;
	}
	r = ops_of_run(l, (int64_t)info.id.run_id, &ops, e);
	if (r == 0)
		r = shipper_recover(l, ops, j, &outcomes, &complete, e);
	/* it may have been in the ledger whole, and only the file was left */
	if (r == ERR_LOST_OWNERSHIP)
		r = 0;
	if (r == 0)
		r = journal_remove(j, e);
	if (r == 0) {
		ret->journals++;
		ret->outcomes += outcomes;
		ret->incomplete += complete ? 0 : 1;
		log_note("recovered producer %u.%u: %llu outcomes that were not in the ledger%s",
			info.id.producer_id, info.id.epoch, (unsigned long long)outcomes,
			complete
				? ""
				: "; the machine was restarted since, what is missing is unrecorded");
	}
	journal_close(j);
	return r;
}

int probe_recover(struct ledger *l, int64_t run_id, struct probe_recovered *ret, struct err *e)
{
	char folder[PATHS_MAX], path[PATHS_MAX + 260];
	struct dirent *entry;
	DIR *dir;
	int r = paths_state("journal", folder, sizeof(folder), e);

	memset(ret, 0, sizeof(*ret));
	if (r)
		return r;
	dir = opendir(folder);
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return err_set_errno(e, ERR_IO, errno, "cannot list the journals in '%s'", folder);
	while (r == 0 && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);
		struct err why = {0};
		int one;

		if (len < 9 || strcmp(entry->d_name + len - 8, ".journal") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		one = recover_one(l, path, run_id, ret, &why);
		if (one == ERR_NOTFOUND) {
			ret->orphans++;
		} else if (one == ERR_LEDGER_AWAY || one == ERR_DENIED) {
			*e = why;
			r = one;
		} else if (one) {
			ret->failed++;
			log_warn("journal '%s' is left: %s", path, why.msg);
		}
	}
	closedir(dir);
	return r;
}
