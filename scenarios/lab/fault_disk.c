#include "scenarios/lab/fault_disk.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/lab_process.h"

#define GONE_NS (30 * NS_PER_S)
#define END_ITSELF_NS (5 * NS_PER_S)
#define POLL_NS (50 * NS_PER_MS)

int fault_disk_check(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	const struct labfile_node *node = fault_node(lab, fault);

	if (!lab->file->disk_bytes)
		return err_set(e, ERR_STATE,
			"%s needs a lab with --disk loop: mqaudit lab up %s --disk loop",
			fault->kind, lab->kind->name);
	for (size_t i = 0; i < lab->file->n_faults; i++) {
		const struct labfile_fault *other = &lab->file->fault[i];
		const struct fault_ops *ops = fault_find(other->kind);

		if (ops && ops->check == fault_disk_check && strcmp(other->node, node->name) == 0)
			return err_set(
				e, ERR_STATE, "%s is on %s already", other->kind, node->name);
	}
	if (!labfile_node_alive(lab->file, node)) {
		err_set(e, ERR_STATE, "%s does not run", node->name);
		return err_hint(e, "mqaudit lab heal");
	}
	if (lab_disk_look(node) != LABFILE_DISK_MOUNTED)
		return err_set(e, ERR_STATE, "the disk of %s is %s", node->name,
			labfile_disk_state_text(lab_disk_look(node)));
	return 0;
}

int fault_disk_begin(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct labfile_node *node = fault_node(lab, fault);
	struct stat st;

	fault->mark = stat(node->log, &st) == 0 ? st.st_size : 0;
	node->may_end = true;
	return lab_save(lab, e);
}

/* --- proof */

static int count_lines(const char *path, int64_t from, const char *text)
{
	FILE *f = fopen(path, "re");
	char line[2048];
	int n = 0;

	if (f && fseek(f, (long)from, SEEK_SET) == 0)
		while (fgets(line, sizeof(line), f))
			n += strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return n;
}

static bool has_ended(const struct labfile *file, const struct labfile_node *node)
{
	return !labfile_node_alive(file, node);
}

void fault_disk_wait_end(struct lab *lab, const struct labfile_node *node)
{
	int64_t deadline = clock_ns() + END_ITSELF_NS;

	while (!has_ended(lab->file, node) && clock_ns() < deadline)
		clock_sleep_ns(POLL_NS);
}

void fault_disk_prove(
	struct lab *lab, struct labfile_fault *fault, const char *text, int64_t timeout_ns)
{
	const struct labfile_node *node = fault_node(lab, fault);
	int64_t deadline = clock_ns() + timeout_ns;
	int n;

	while ((n = count_lines(node->log, fault->mark, text)) == 0 && clock_ns() < deadline)
		clock_sleep_ns(POLL_NS);
	if (n == 0)
		return;
	if (timeout_ns > 0)
		fault_disk_wait_end(lab, node);
	n = count_lines(node->log, fault->mark, text);
	snprintf(fault->proof, sizeof(fault->proof), "%d line%s of its log: \"%s\"%s", n,
		n == 1 ? "" : "s", text,
		has_ended(lab->file, node) ? "; it ended itself" : "; it still runs");
}

/* --- healing */

static int end_node(struct lab *lab, struct labfile_node *node, struct err *e)
{
	if (!labfile_node_alive(lab->file, node))
		return 0;
	node->state = LABFILE_NODE_KILLED;
	proc_signal(node->pid, node->start_time, SIGKILL);
	return lab_wait_gone(node->pid, node->start_time, GONE_NS, e);
}

int fault_disk_replace(struct lab *lab, struct labfile_fault *fault, bool check,
	void (*before_start)(struct lab *lab, struct labfile_fault *fault), struct err *e)
{
	struct labfile_node *node = fault_node(lab, fault);
	int r = end_node(lab, node, e);

	if (r == 0)
		r = lab_disk_mount(lab, node, check, e);
	if (r == 0 && before_start)
		before_start(lab, fault);
	if (r == 0) {
		node->may_end = false;
		r = lab_start_node(lab, node, e);
	}
	return r;
}
