#include "scenarios/runner/suite_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/labfile.h"
#include "core/proc.h"
#include "core/stop.h"
#include "scenarios/lab/cluster.h"
#include "scenarios/runner/verdicts.h"

#define MAX_ARGS 80
#define DOWN_NS (120 * NS_PER_S)
#define STATUS_NS (60 * NS_PER_S)
#define SPARE_NS (60 * NS_PER_S) /* what `lab up` needs beside the time for the nodes */

/*
 * Every lab of ours of Kafka: a follower that fetches nothing leaves the in-sync replicas after 10 s, not 30.
 * Long enough for the scenarios that need it to stay, short enough to wait for in those that do not.
 */
static const char *const own_settings[] = {"replica.lag.time.max.ms=10000"};
#define N_OWN (sizeof(own_settings) / sizeof(own_settings[0]))

/* The settings that the nodes must have for a scenario: ours, the user's, the scenario's own. */
static char *profile_of(const struct suite_wish *wish, const struct scenario *s)
{
	struct buf b;

	buf_init(&b, 65536);
	for (size_t i = 0; i < N_OWN && strcmp(wish->broker, "kafka") == 0; i++)
		buf_printf(&b, "%s\n", own_settings[i]);
	for (size_t i = 0; i < s->lab.n; i++)
		buf_printf(&b, "%s\n", s->lab.at[i]);
	for (size_t i = 0; i < wish->n_broker_config; i++)
		buf_printf(&b, "%s\n", wish->broker_config[i]);
	return buf_take(&b);
}

/* The version of the broker that a scenario begins with; NULL: any. */
static const char *version_needed(const struct scenario *s)
{
	for (size_t i = 0; i < s->needs.n; i++)
		if (strncmp(s->needs.at[i], "version=", 8) == 0)
			return s->needs.at[i] + 8;
	return NULL;
}

bool suite_lab_must_change(const struct suite_lab *lab, const struct scenario *s)
{
	char *profile;
	bool ret;

	if (!lab->made || lab->wish->cluster)
		return lab->status == NULL;
	if (lab->used_up || version_needed(s))
		return true;
	profile = profile_of(lab->wish, s);
	ret = profile && strcmp(profile, lab->profile) != 0;
	free(profile);
	return ret;
}

static int run_program(struct suite_lab *lab, const char *const *argv, int64_t timeout_ns,
	struct buf *out, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	int code = 0, r;

	spec.argv = argv;
	spec.until_closed = false;
	(void)lab;
	r = proc_run(&spec, NULL, true, timeout_ns, out, &code, e);
	if (r)
		return err_wrap(e, "%s %s", argv[1], argv[2]);
	if (code == 0)
		return 0;
	return err_set(
		e, code == 2 ? ERR_USAGE : ERR_IO, "%s %s: %.500s", argv[1], argv[2], buf_str(out));
}

static int read_status(struct suite_lab *lab, struct err *e)
{
	const char *argv[] = {lab->program, "lab", "status", lab->wish->broker, "--format", "json",
		lab->wish->cluster ? "--cluster" : "--lab",
		lab->wish->cluster ? lab->wish->cluster : lab->wish->lab, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf out;
	int code = 0, r;

	buf_init(&out, 1U << 20);
	spec.argv = argv;
	r = proc_run(&spec, NULL, false, STATUS_NS, &out, &code, e);
	json_decref(lab->status);
	lab->status = r == 0 ? json_loads(buf_str(&out), 0, NULL) : NULL;
	if (r == 0 && !lab->status)
		r = err_set(e, ERR_IO, "lab status ended with %d", code);
	buf_release(&out);
	return r;
}

static int make(struct suite_lab *lab, const struct scenario *s, struct err *e)
{
	char pid[24], timeout[24];
	const char *argv[MAX_ARGS] = {lab->program, "lab", "up", lab->wish->broker, "--lab",
		lab->wish->lab, "--until-pid", pid, "--timeout", timeout};
	const char *version = version_needed(s) ? version_needed(s) : lab->wish->version;
	char *profile = profile_of(lab->wish, s);
	struct buf out;
	size_t n = 10;
	int r = 0;

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(timeout, sizeof(timeout), "%llds",
		(long long)(lab->wish->lab_timeout_ns / NS_PER_S));
	if (!profile)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (lab->loop) {
		argv[n++] = "--disk";
		argv[n++] = "loop";
	}
	if (version) {
		argv[n++] = "--version";
		argv[n++] = version;
	}
	lab->used_up = version_needed(s) != NULL;
	free(lab->profile);
	lab->profile = strdup(profile);
	for (char *p = profile, *end; (end = strchr(p, '\n')) && n + 3 < MAX_ARGS; p = end + 1) {
		*end = '\0';
		argv[n++] = "--broker-config";
		argv[n++] = p;
	}
	if (lab->say)
		lab->say("bringing up a lab");
	buf_init(&out, 1U << 20);
	lab->made = true; /* whatever of it is there, must go */
	r = run_program(lab, argv, lab->wish->lab_timeout_ns + SPARE_NS, &out, e);
	buf_release(&out);
	free(profile);
	return r;
}

int suite_lab_end(struct suite_lab *lab, struct err *e)
{
	const char *argv[] = {
		lab->program, "lab", "down", lab->wish->broker, "--lab", lab->wish->lab, NULL};
	struct buf out;
	int r = 0;

	json_decref(lab->status);
	lab->status = NULL;
	free(lab->profile);
	lab->profile = NULL;
	if (!lab->made)
		return 0;
	buf_init(&out, 1U << 20);
	r = run_program(lab, argv, DOWN_NS, &out, e);
	buf_release(&out);
	lab->made = lab->made && r != 0;
	return r;
}

static bool is_up(const struct suite_lab *lab)
{
	struct labfile *file = NULL;
	bool up = labfile_read(lab->wish->lab, lab->wish->broker, &file, NULL) == 0 &&
		  file->state == LABFILE_UP && labfile_same_boot(file);

	labfile_free(file);
	return up;
}

/* Does a lab that others made have a scenario's settings? */
static const char *missing_setting(const struct suite_lab *lab, const struct scenario *s)
{
	json_t *have = json_object_get(lab->status, "settings"), *setting;
	size_t i;

	for (size_t k = 0; k < s->lab.n; k++) {
		bool found = false;

		json_array_foreach(have, i, setting) found |=
			json_is_string(setting) &&
			strcmp(json_string_value(setting), s->lab.at[k]) == 0;
		if (!found)
			return s->lab.at[k];
	}
	return NULL;
}

/* Links are cut by commands of the user's own. */
static bool can_isolate(const struct cluster *c)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (!cluster_has_command(c, &c->node[i], CLUSTER_ISOLATE) ||
			!cluster_has_command(c, &c->node[i], CLUSTER_JOIN))
			return false;
	return true;
}

static void check_need(const struct suite_lab *lab, const char *need, char *ret, size_t len)
{
	size_t n_nodes = json_array_size(json_object_get(lab->status, "nodes"));
	const char *network = verdicts_text(lab->status, "network");
	const char *disk = verdicts_text(lab->status, "disk");
	int nodes;

	if (strcmp(need, "namespaces") == 0) {
		if (strcmp(network, "loopback") == 0)
			snprintf(ret, len, "needs network namespaces: this lab is on loopback");
		else if (lab->cluster && !can_isolate(lab->cluster))
			snprintf(ret, len, "needs commands isolate and join for every node");
	} else if (strcmp(need, "loop") == 0) {
		if (strcmp(disk, "loop") != 0)
			snprintf(ret, len, "needs a disk for each node: a lab with --disk loop");
	} else if (strcmp(need, "lab") == 0) {
		if (lab->wish->cluster)
			snprintf(ret, len, "needs a lab of mqaudit's own");
	} else if (strncmp(need, "version=", 8) == 0) {
		if (strcmp(verdicts_text(lab->status, "version"), need + 8) != 0)
			snprintf(ret, len, "needs a lab with --version %.20s", need + 8);
	} else if (sscanf(need, "nodes=%d", &nodes) == 1) {
		if (n_nodes < (size_t)nodes)
			snprintf(ret, len, "needs %d nodes: there are %zu", nodes, n_nodes);
	} else {
		snprintf(ret, len, "needs '%.40s', which is unknown", need);
	}
}

static void check_fit(const struct suite_lab *lab, const struct scenario *s, char *ret, size_t len)
{
	const char *missing = lab->made ? NULL : missing_setting(lab, s);

	ret[0] = '\0';
	if (missing)
		snprintf(ret, len, "needs a lab with --broker-config %s", missing);
	for (size_t i = 0; i < s->needs.n && !ret[0]; i++)
		check_need(lab, s->needs.at[i], ret, len);
}

int suite_lab_fit(
	struct suite_lab *lab, const struct scenario *s, char *ret_unfit, size_t len, struct err *e)
{
	int r = 0;

	ret_unfit[0] = '\0';
	if (suite_lab_must_change(lab, s)) {
		if (lab->made) {
			r = suite_lab_end(lab, e);
			if (r == 0)
				r = make(lab, s, e);
		} else if (!lab->wish->cluster && !is_up(lab)) {
			r = make(lab, s, e);
		} else if (!lab->wish->cluster && lab->wish->n_broker_config) {
			r = err_set(e, ERR_STATE,
				"lab '%s' is up already: its nodes' settings "
				"are what they are",
				lab->wish->lab);
			err_hint(e, "another name with --lab, and a lab of its own is made");
		}
		if (r == 0)
			r = read_status(lab, e);
	}
	if (r == 0)
		check_fit(lab, s, ret_unfit, len);
	return r;
}
