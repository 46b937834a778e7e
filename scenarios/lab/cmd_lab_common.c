#include "scenarios/lab/cmd_lab_common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/words.h"
#include "scenarios/lab/lab_cluster.h"

int cmd_lab_fail(const struct err *e)
{
	log_progress(NULL);
	err_print(e);
	switch (e->code) {
	case ERR_USAGE:
		return EXIT_USAGE;
	case ERR_STOPPED:
		return EXIT_INTERRUPTED;
	default:
		return EXIT_ERROR;
	}
}

void cmd_lab_say(const char *what)
{
	if (log_on_terminal())
		log_progress(what);
	else
		log_note("%s", what);
}

void cmd_lab_said_all(void)
{
	log_progress(NULL);
}

int cmd_lab_kind(const char *word, const struct lab_kind **ret, struct err *e)
{
	char all[160] = "";
	size_t at = 0;

	*ret = lab_kind_find(word);
	if (*ret)
		return 0;
	for (size_t i = 0; lab_kinds[i]; i++)
		at += (size_t)snprintf(
			all + at, sizeof(all) - at, "%s%s", i ? ", " : "", lab_kinds[i]->name);
	err_set(e, ERR_USAGE, "there is no lab for '%s'", word);
	return err_hint(e, "%s", all);
}

/* The only kind that is up in the lab. */
static int only_kind(const char *lab, const struct lab_kind **ret, struct err *e)
{
	struct labfile_entry *list = NULL;
	size_t n = 0, found = 0;
	int r = labfile_check_name(lab, e);

	if (r == 0)
		r = labfile_list(NULL, &list, &n, e);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].name, lab) != 0)
			continue;
		if (!lab_kind_find(list[i].kind)) /* a cluster's state */
			continue;
		*ret = lab_kind_find(list[i].kind);
		found++;
	}
	free(list);
	if (r)
		return r;
	if (found == 1 && *ret)
		return 0;
	if (found > 1)
		return err_set(e, ERR_USAGE, "several brokers are up in lab '%s': which?", lab);
	err_set(e, ERR_NOTFOUND, "no lab '%s' is up", lab);
	return err_hint(e, "mqaudit lab up starts one, mqaudit lab status lists them");
}

int cmd_lab_kind_of_node(
	const char *lab, const char *node, const struct lab_kind **ret, struct err *e)
{
	for (size_t i = 0; node && lab_kinds[i]; i++) {
		size_t len = strlen(lab_kinds[i]->name);

		if (strncmp(node, lab_kinds[i]->name, len) != 0)
			continue;
		*ret = lab_kinds[i];
		return 0;
	}
	return only_kind(lab, ret, e);
}

int cmd_lab_open_up(struct lab *lab, const char *name, const struct lab_kind *kind, struct err *e)
{
	int r = lab_open(lab, name, kind, CMD_LAB_LOCK_NS, e);

	if (r)
		return r;
	if (!lab->file) {
		/* for its message and hint */
		r = labfile_read(name, kind->name, &lab->file, e);
		if (r)
			return r;
	}
	if (lab->file->state == LABFILE_UP)
		return lab_check_access(lab->file, e);
	err_set(e, ERR_STATE, "%s lab '%s' is half made or half removed", kind->name, name);
	return err_hint(e, "mqaudit lab down %s --lab %s", kind->name, name);
}

int cmd_lab_open_cluster(struct lab *lab, const char *path, bool change, struct err *e)
{
	struct cluster *c = NULL;
	int r = cluster_load(path, &c, e);

	if (r == 0 && change)
		r = cluster_check_test(c, e);
	if (r == 0)
		return lab_open_cluster(lab, c, CMD_LAB_LOCK_NS, e);
	cluster_free(c);
	return r;
}

int cmd_lab_read(const char *name, const struct lab_kind *kind, const char *cluster,
	struct labfile **ret, struct err *e)
{
	struct cluster *c = NULL;
	int r;

	if (!cluster) {
		r = labfile_read(name, kind->name, ret, e);
		return r ? r : lab_check_access(*ret, e);
	}
	r = cluster_load(cluster, &c, e);
	if (r == 0)
		r = lab_cluster_read(c, ret, e);
	cluster_free(c);
	return r;
}

int cmd_lab_node(struct labfile *file, const char *name, struct labfile_node **ret, struct err *e)
{
	*ret = labfile_find_node(file, name);
	if (*ret)
		return 0;
	err_set(e, ERR_USAGE, "there is no node '%s' in lab '%s'", name, file->name);
	return err_hint(e, "%s to %s", file->node[0].name, file->node[file->n_nodes - 1].name);
}
