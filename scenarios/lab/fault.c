#include "scenarios/lab/fault.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/fault_guard.h"
#include "scenarios/lab/lab_event.h"
#include "scenarios/lab/lab_process.h"

#define PROVE_NS (3 * NS_PER_S)

const struct fault_ops *const fault_table[] = {&fault_kill, &fault_freeze, &fault_isolate,
	&fault_loss, &fault_slow, &fault_reset, &fault_answers, &fault_proxy, NULL};

const struct fault_ops *fault_find(const char *name)
{
	for (size_t i = 0; fault_table[i]; i++)
		if (strcmp(fault_table[i]->name, name) == 0)
			return fault_table[i];
	return NULL;
}

const char *fault_arg(const struct labfile_fault *fault, const char *name, char *ret, size_t len)
{
	size_t name_len = strlen(name);

	ret[0] = '\0';
	for (const char *p = fault->args; *p; p += strcspn(p, " "), p += *p == ' ')
		if (strncmp(p, name, name_len) == 0 && p[name_len] == '=')
			snprintf(ret, len, "%.*s", (int)strcspn(p + name_len + 1, " "),
				p + name_len + 1);
	return ret;
}

struct labfile_node *fault_node(struct lab *lab, const struct labfile_fault *fault)
{
	struct labfile_node *node = labfile_find_node(lab->file, fault->node);

	if (!node)
		BUG("fault %s is on '%s', which is no node", fault->id, fault->node);
	return node;
}

static bool takes(const struct fault_ops *ops, const char *name)
{
	char word[40];

	snprintf(word, sizeof(word), "%s ", name);
	return strstr(ops->args, word) != NULL;
}

static int write_args(const struct fault_ops *ops, const struct fault_arg *args, size_t n,
	struct labfile_fault *fault, struct err *e)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (!takes(ops, args[i].name))
			return err_set(
				e, ERR_USAGE, "fault '%s' takes no --%s", ops->name, args[i].name);
		if (!*args[i].value || strchr(args[i].value, ' '))
			return err_set(e, ERR_USAGE, "--%s: '%s' is no value", args[i].name,
				args[i].value);
		at += (size_t)snprintf(fault->args + at, sizeof(fault->args) - at, "%s%s=%s",
			i ? " " : "", args[i].name, args[i].value);
		if (at >= sizeof(fault->args))
			return err_set(e, ERR_USAGE, "--%s: too long", args[i].name);
	}
	return 0;
}

static void describe(const struct labfile_fault *fault, char *ret, size_t len)
{
	snprintf(ret, len, "%s %s%s%s%s%s", fault->id, fault->kind, *fault->args ? " " : "",
		fault->args, *fault->proof ? ": " : "", fault->proof);
}

static void event(struct lab *lab, const struct labfile_fault *fault, enum lab_event_edge edge)
{
	char detail[640];

	describe(fault, detail, sizeof(detail));
	lab_event(lab, "fault", fault->node, detail, edge);
}

static void drop(struct labfile *file, size_t i)
{
	memmove(&file->fault[i], &file->fault[i + 1],
		(file->n_faults - i - 1) * sizeof(file->fault[0]));
	file->n_faults--;
	memset(&file->fault[file->n_faults], 0, sizeof(file->fault[0]));
}

/* Heal the i-th fault; it stays in the file when that fails. */
static int heal_one(
	struct lab *lab, size_t i, void (*told)(const struct labfile_fault *), struct err *e)
{
	struct labfile_fault *fault = &lab->file->fault[i];
	const struct fault_ops *ops = fault_find(fault->kind);
	int r;

	if (!ops)
		return err_set(
			e, ERR_FORMAT, "fault %s is of unknown kind '%s'", fault->id, fault->kind);
	/* without a sign it is healed all the same */
	(void)ops->prove(lab, fault, 0, NULL);
	fault->state = LABFILE_FAULT_HEALING;
	r = lab_save(lab, e);
	if (r == 0)
		r = ops->heal(lab, fault, e);
	if (r)
		return err_wrap(e, "heal %s (%s %s)", fault->id, fault->kind, fault->node);
	event(lab, fault, LAB_EVENT_END);
	fault_guard_end(fault);
	if (told)
		told(fault);
	drop(lab->file, i);
	return lab_save(lab, e);
}

static int fill(struct lab *lab, const struct fault_ops *ops, const struct labfile_node *node,
	const struct fault_arg *args, size_t n_args, const struct fault_until *until,
	struct labfile_fault *fault, struct err *e)
{
	memset(fault, 0, sizeof(*fault));
	snprintf(fault->id, sizeof(fault->id), "f%llu",
		(unsigned long long)lab->file->n_faults_ever + 1);
	snprintf(fault->kind, sizeof(fault->kind), "%s", ops->name);
	snprintf(fault->node, sizeof(fault->node), "%s", node->name);
	fault->since_wall_ns = clock_wall_ns();
	if (until && until->ns)
		fault->heals_at_ns = clock_ns() + until->ns;
	if (until && until->pid) {
		fault->until_pid = until->pid;
		fault->until_start_time = proc_start_time(until->pid);
		if (!fault->until_start_time)
			return err_set(e, ERR_USAGE, "--until-pid: there is no process %d",
				(int)until->pid);
	}
	return write_args(ops, args, n_args, fault, e);
}

int fault_apply(struct lab *lab, const struct fault_ops *ops, struct labfile_node *node,
	const struct fault_arg *args, size_t n_args, const struct fault_until *until,
	struct labfile_fault **ret_fault, struct err *e)
{
	struct labfile *file = lab->file;
	struct labfile_fault *fault = &file->fault[file->n_faults];
	int r;

	if (file->n_faults == LABFILE_MAX_FAULTS)
		return err_set(e, ERR_LIMIT, "%d faults are on already", LABFILE_MAX_FAULTS);
	r = fill(lab, ops, node, args, n_args, until, fault, e);
	if (r == 0 && ops->check)
		r = ops->check(lab, fault, e);
	if (r == 0)
		r = fault_guard_start(lab, fault, e);
	if (r)
		return r;
	file->n_faults++;
	file->n_faults_ever++;
	r = lab_save(lab, e);
	if (r) {
		fault_guard_end(fault);
		file->n_faults--;
		return r;
	}
	event(lab, fault, LAB_EVENT_BEGIN);
	r = ops->apply(lab, fault, e);
	if (r) {
		err_wrap(e, "fault %s on %s", ops->name, node->name);
		err_ignore(heal_one(lab, file->n_faults - 1, NULL, NULL));
		return r;
	}
	r = ops->prove(lab, fault, PROVE_NS, e);
	fault->state = LABFILE_FAULT_ON;
	if (r == 0)
		r = lab_save(lab, e);
	*ret_fault = fault;
	return r;
}

static int rank_of(const struct labfile_fault *fault)
{
	const struct fault_ops *ops = fault_find(fault->kind);

	return ops ? ops->heal_rank : 0;
}

/* Does the word name the fault: by its id, or by its node? */
static bool names(struct lab *lab, const char *word, const struct labfile_fault *fault)
{
	return strcmp(word, fault->id) == 0 ||
	       labfile_find_node(lab->file, word) == fault_node(lab, fault);
}

static bool is_meant(
	struct lab *lab, char *const *words, size_t n, const struct labfile_fault *fault)
{
	for (size_t i = 0; i < n; i++)
		if (names(lab, words[i], fault))
			return true;
	return n == 0;
}

/* A word must be a node, or the id of a fault that is on or was. */
static int check_words(struct lab *lab, char *const *words, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		unsigned long long id = 0;
		char more;

		if (labfile_find_node(lab->file, words[i]))
			continue;
		if (sscanf(words[i], "f%llu%c", &id, &more) == 1 && id >= 1 &&
			id <= lab->file->n_faults_ever)
			continue;
		err_set(e, ERR_USAGE, "'%s' is no fault and no node of lab '%s'", words[i],
			lab->name);
		return err_hint(e, "mqaudit lab status lists them");
	}
	return 0;
}

/* Thaw who is frozen though no fault says so: somebody else's SIGSTOP. */
static void thaw_strays(struct lab *lab, char *const *words, size_t n)
{
	for (size_t i = 0; i < lab->file->n_nodes; i++) {
		struct labfile_node *node = &lab->file->node[i];
		bool meant = n == 0, ours = false;

		for (size_t k = 0; k < n; k++)
			meant |= labfile_find_node(lab->file, words[k]) == node;
		for (size_t k = 0; k < lab->file->n_faults; k++)
			ours |= strcmp(lab->file->fault[k].kind, fault_freeze.name) == 0 &&
				fault_node(lab, &lab->file->fault[k]) == node;
		if (!meant || ours || !labfile_node_alive(lab->file, node) ||
			!proc_stopped(node->pid))
			continue;
		proc_signal(node->pid, node->start_time, SIGCONT);
		node->state = LABFILE_NODE_RUNNING;
		lab_event(lab, "node-thaw", node->name, "was frozen by somebody else",
			LAB_EVENT_INSTANT);
		lab_say(lab, "%s was frozen by somebody else: thawed", node->name);
	}
}

static int heal_meant(struct lab *lab, char *const *words, size_t n,
	void (*told)(const struct labfile_fault *), struct err *e)
{
	struct labfile *file = lab->file;
	int r = 0;

	for (int rank = 0; rank <= 1; rank++) {
		for (size_t i = 0; i < file->n_faults;) {
			size_t before = file->n_faults;
			int r_one = 0;

			if (rank_of(&file->fault[i]) == rank &&
				is_meant(lab, words, n, &file->fault[i]))
				r_one = heal_one(lab, i, told, r ? NULL : e);
			r = r ? r : r_one;
			i += file->n_faults == before; /* else the next has moved to i */
		}
	}
	return r;
}

int fault_heal(struct lab *lab, char *const *words, size_t n, int64_t timeout_ns,
	void (*told)(const struct labfile_fault *), struct err *e)
{
	int started, r = check_words(lab, words, n, e);

	if (r)
		return r;
	r = heal_meant(lab, words, n, told, e);
	thaw_strays(lab, words, n);
	if (r || lab->file->n_faults)
		return r;
	r = lab_start_missing(lab, &started, e);
	return r ? r : lab_wait_answers(lab, timeout_ns, e);
}

int fault_heal_id(struct lab *lab, const char *id, int64_t since_wall_ns, struct err *e)
{
	for (size_t i = 0; i < lab->file->n_faults; i++)
		if (strcmp(lab->file->fault[i].id, id) == 0 &&
			lab->file->fault[i].since_wall_ns == since_wall_ns)
			return heal_one(lab, i, NULL, e);
	return 0;
}

void fault_end_processes(const struct labfile_fault *fault)
{
	fault_guard_end(fault);
	if (fault->pid)
		proc_signal(fault->pid, fault->start_time, SIGKILL);
}

int fault_forget(struct lab *lab, const struct fault_ops *ops, const struct labfile_node *node,
	struct err *e)
{
	struct labfile *file = lab->file;
	bool any = false;

	for (size_t i = file->n_faults; i-- > 0;) {
		if (strcmp(file->fault[i].kind, ops->name) != 0 ||
			strcmp(file->fault[i].node, node->name) != 0)
			continue;
		event(lab, &file->fault[i], LAB_EVENT_END);
		fault_guard_end(&file->fault[i]);
		drop(file, i);
		any = true;
	}
	return any ? lab_save(lab, e) : 0;
}
