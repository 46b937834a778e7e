#include "scenarios/lab/fault.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "scenarios/lab/lab_event.h"

#define PROVE_NS (3 * NS_PER_S)

const struct fault_ops *const fault_table[] = {&fault_kill, &fault_isolate, &fault_powercut,
	&fault_diskfull, &fault_readonly, &fault_diskerror, NULL};

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
	if (told)
		told(fault);
	drop(lab->file, i);
	return lab_save(lab, e);
}

static int fill(struct lab *lab, const struct fault_ops *ops, const struct labfile_node *node,
	const struct fault_arg *args, size_t n_args, struct labfile_fault *fault, struct err *e)
{
	memset(fault, 0, sizeof(*fault));
	snprintf(fault->id, sizeof(fault->id), "f%llu",
		(unsigned long long)lab->file->n_faults_ever + 1);
	snprintf(fault->kind, sizeof(fault->kind), "%s", ops->name);
	snprintf(fault->node, sizeof(fault->node), "%s", node->name);
	fault->since_wall_ns = clock_wall_ns();
	return write_args(ops, args, n_args, fault, e);
}

/* Add a fault to the state, for all to see but not yet saved. */
static int add(struct lab *lab, const struct fault_ops *ops, const struct labfile_node *node,
	const struct fault_arg *args, size_t n_args, struct err *e)
{
	struct labfile *file = lab->file;
	struct labfile_fault *fault = &file->fault[file->n_faults];
	int r;

	if (file->n_faults == LABFILE_MAX_FAULTS)
		return err_set(e, ERR_LIMIT, "%d faults are on already", LABFILE_MAX_FAULTS);
	r = fill(lab, ops, node, args, n_args, fault, e);
	if (r == 0 && ops->check)
		r = ops->check(lab, fault, e);
	if (r)
		return r;
	file->n_faults++;
	file->n_faults_ever++;
	return 0;
}

/* Put on the faults from `first` to the last one, all of one kind, at one instant. */
static int put_on(struct lab *lab, const struct fault_ops *ops, size_t first, struct err *e)
{
	struct labfile *file = lab->file;
	struct labfile_fault *faults[LABFILE_MAX_NODES];
	size_t n = file->n_faults - first;
	int r;

	for (size_t i = 0; i < n; i++) {
		faults[i] = &file->fault[first + i];
		event(lab, faults[i], LAB_EVENT_BEGIN);
	}
	r = n == 1 ? ops->apply(lab, faults[0], e) : ops->apply_group(lab, faults, n, e);
	if (r) {
		err_wrap(
			e, "fault %s on %s", ops->name, n == 1 ? faults[0]->node : "several nodes");
		while (n-- > 0)
			err_ignore(heal_one(lab, first + n, NULL, NULL));
		return r;
	}
	for (size_t i = 0; i < n; i++) {
		int r_one = ops->prove(lab, faults[i], PROVE_NS, r ? NULL : e);

		r = r ? r : r_one;
		faults[i]->state = LABFILE_FAULT_ON;
	}
	return r ? r : lab_save(lab, e);
}

/* Write the faults down, then put them on. */
static int apply_at_once(struct lab *lab, const struct fault_ops *ops,
	struct labfile_node *const *nodes, size_t n, const struct fault_arg *args, size_t n_args,
	struct err *e)
{
	struct labfile *file = lab->file;
	size_t first = file->n_faults;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add(lab, ops, nodes[i], args, n_args, e);
	if (r == 0)
		r = lab_save(lab, e);
	if (r) {
		while (file->n_faults > first)
			drop(file, file->n_faults - 1);
		return r;
	}
	return put_on(lab, ops, first, e);
}

int fault_apply(struct lab *lab, const struct fault_ops *ops, struct labfile_node *node,
	const struct fault_arg *args, size_t n_args, struct labfile_fault **ret_fault,
	struct err *e)
{
	*ret_fault = &lab->file->fault[lab->file->n_faults];
	return apply_at_once(lab, ops, &node, 1, args, n_args, e);
}

int fault_apply_all(struct lab *lab, const struct fault_ops *ops, struct labfile_node *const *nodes,
	size_t n, const struct fault_arg *args, size_t n_args,
	void (*told)(const struct labfile_fault *), struct err *e)
{
	size_t first = lab->file->n_faults;
	int r = 0;

	if (ops->apply_group)
		r = apply_at_once(lab, ops, nodes, n, args, n_args, e);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (!ops->apply_group)
			r = apply_at_once(lab, ops, &nodes[i], 1, args, n_args, e);
		if (r == 0 && told)
			told(&lab->file->fault[first + i]);
	}
	return r;
}

static int rank_of(const struct labfile_fault *fault)
{
	const struct fault_ops *ops = fault_find(fault->kind);

	return ops ? ops->heal_rank : 0;
}

int fault_heal_all(struct lab *lab, int64_t timeout_ns, void (*told)(const struct labfile_fault *),
	struct err *e)
{
	struct labfile *file = lab->file;
	int started, r = 0;

	for (int rank = 0; rank <= 1; rank++) {
		for (size_t i = 0; i < file->n_faults;) {
			size_t before = file->n_faults;
			int r_one = 0;

			if (rank_of(&file->fault[i]) == rank)
				r_one = heal_one(lab, i, told, r ? NULL : e);
			r = r ? r : r_one;
			i += file->n_faults == before; /* else the next has moved to i */
		}
	}
	if (r == 0)
		r = lab_start_missing(lab, &started, e);
	return r ? r : lab_wait_answers(lab, timeout_ns, e);
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
		drop(file, i);
		any = true;
	}
	return any ? lab_save(lab, e) : 0;
}
