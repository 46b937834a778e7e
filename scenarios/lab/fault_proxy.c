/*
 * A proxy between clients and one node, see proxy.h. In the clients' namespace nftables leads new
 * connections with the node to it, and resets those that were there before: their clients come back
 * through the proxy. A mark on the proxy's own packets keeps them out of that.
 */
#include "scenarios/lab/fault_proxy.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"
#include "core/units.h"
#include "scenarios/lab/fault.h"
#include "scenarios/lab/fault_words.h"
#include "scenarios/lab/kafka_frames.h"
#include "scenarios/lab/lab_process.h"
#include "scenarios/lab/proxy.h"

#define NFT_TIMEOUT_NS (10 * NS_PER_S)
#define READY_NS (20 * NS_PER_S)
#define DRAINED_NS (20 * NS_PER_S)
#define GONE_NS (10 * NS_PER_S)
#define MARK 0x6d71

static const char *const mode_names[] = {
	[PROXY_CUT] = "cut",
	[PROXY_STALL] = "stall",
	[PROXY_DELAY] = "delay",
	[PROXY_THROTTLE] = "throttle",
};

/* A file of the proxy of fault `id`, in the lab's folder: the state file's path without ".json". */
static void own_path(
	const struct labfile *file, const char *id, const char *suffix, char *ret, size_t len)
{
	char state[PATHS_MAX] = "";

	err_ignore(labfile_path(file->name, file->kind, state, sizeof(state), NULL));
	snprintf(ret, len, "%.*s/%s-proxy%s", (int)(strlen(state) - strlen(".json")), state, id,
		suffix);
}

/* --- the arguments */

static int read_mode(const struct labfile_fault *fault, struct proxy_config *c, struct err *e)
{
	char text[40];

	fault_arg(fault, "mode", text, sizeof(text));
	for (int i = 0; i < (int)(sizeof(mode_names) / sizeof(mode_names[0])); i++) {
		if (strcmp(text, mode_names[i]) != 0)
			continue;
		c->mode = (enum proxy_mode)i;
		return 0;
	}
	err_set(e, ERR_USAGE, "what shall the proxy do?");
	err_hint(e, "--mode cut, stall, delay or throttle");
	return ERR_USAGE;
}

/* "produce", "produce:100": a kind of request, and from which one on. */
static int read_request(char *text, struct proxy_config *c, struct err *e)
{
	char list[320], *colon = strchr(text, ':');

	if (colon) {
		*colon = '\0';
		if (units_parse_count(colon + 1, &c->nth, e) || c->nth == 0)
			return err_set(
				e, ERR_USAGE, "--after-request: '%s' is no number", colon + 1);
	}
	c->after_api = kafka_api_find(text);
	if (c->after_api >= 0)
		return 0;
	kafka_api_list(list, sizeof(list));
	err_set(e, ERR_USAGE, "--after-request: there is no kind '%s'", text);
	err_hint(e, "%s", list);
	return ERR_USAGE;
}

static int read_trigger(const struct labfile_fault *fault, struct proxy_config *c, struct err *e)
{
	char text[40];
	int r = 0;

	c->after_api = -1;
	if (*fault_arg(fault, "after-request", text, sizeof(text)))
		r = read_request(text, c, e);
	if (r)
		return r;
	if (*fault_arg(fault, "after-bytes", text, sizeof(text))) {
		r = units_parse_size(text, &c->after_bytes, e);
		if (r == 0 && (c->after_bytes == 0 || c->after_api >= 0))
			r = err_set(e, ERR_USAGE,
				c->after_bytes ? "--after-bytes or --after-request, not both"
					       : "--after-bytes: at least 1");
	}
	c->once = *fault_arg(fault, "once", text, sizeof(text)) != '\0';
	return r;
}

/* Which way: both, but at a request its answer. */
static int read_way(const struct labfile_fault *fault, struct proxy_config *c, struct err *e)
{
	char text[40];
	bool both;

	if (!*fault_arg(fault, "way", text, sizeof(text)))
		snprintf(text, sizeof(text), "%s", c->after_api >= 0 ? "answers" : "both");
	both = strcmp(text, "both") == 0;
	c->way[PROXY_REQUESTS] = both || strcmp(text, "requests") == 0;
	c->way[PROXY_ANSWERS] = both || strcmp(text, "answers") == 0;
	if (!c->way[PROXY_REQUESTS] && !c->way[PROXY_ANSWERS])
		return err_set(e, ERR_USAGE, "--way is requests, answers or both");
	if (both && c->after_api >= 0)
		return err_set(e, ERR_USAGE,
			"--after-request bites at the request or at its answer, not both ways");
	return 0;
}

static int read_amounts(const struct labfile_fault *fault, struct proxy_config *c, struct err *e)
{
	const bool delay = c->mode == PROXY_DELAY, throttle = c->mode == PROXY_THROTTLE;
	char time[40], rate[40];
	uint64_t bits;
	int r = 0;

	fault_arg(fault, "delay", time, sizeof(time));
	fault_arg(fault, "rate", rate, sizeof(rate));
	if (delay != (*time != '\0'))
		return err_set(e, ERR_USAGE, "--mode delay and --delay TIME go together");
	if (throttle != (*rate != '\0'))
		return err_set(e, ERR_USAGE, "--mode throttle and --rate go together");
	if (delay)
		r = units_parse_duration(time, &c->delay_ns, e);
	if (r == 0 && delay && c->delay_ns <= 0)
		r = err_set(e, ERR_USAGE, "--delay: more than nothing");
	if (r == 0 && throttle)
		r = fault_rate_read(rate, &bits, e);
	if (r == 0 && throttle)
		c->rate = bits / 8;
	return r;
}

static int read_config(const struct labfile_fault *fault, struct proxy_config *c, struct err *e)
{
	int r;

	memset(c, 0, sizeof(*c));
	r = read_mode(fault, c, e);
	if (r == 0)
		r = read_trigger(fault, c, e);
	if (r == 0)
		r = read_way(fault, c, e);
	if (r == 0)
		r = read_amounts(fault, c, e);
	if (r == 0 && c->mode == PROXY_CUT && c->after_api < 0 && !c->after_bytes) {
		err_set(e, ERR_USAGE, "cut after what?");
		err_hint(e, "--after-request produce, or --after-bytes 10k");
		r = ERR_USAGE;
	}
	return r;
}

static int check(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	struct proxy_config config;
	int r = read_config(fault, &config, e);

	if (r)
		return r;
	if (config.after_api >= 0 && !lab->kind->speaks_kafka)
		return err_set(e, ERR_USAGE, "--after-request: requests of %s cannot be told apart",
			lab->kind->name);
	if (config.after_api >= 0 && lab->file->secure)
		return err_set(
			e, ERR_STATE, "the lab is secure: requests cannot be told apart under TLS");
	for (size_t i = 0; i < lab->file->n_faults; i++)
		if (strcmp(lab->file->fault[i].kind, fault->kind) == 0 &&
			strcmp(lab->file->fault[i].node, fault->node) == 0)
			return err_set(e, ERR_STATE, "%s is behind a proxy already: %s",
				fault->node, lab->file->fault[i].id);
	return 0;
}

/* --- on */

static int start_proxy(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	const char *argv[] = {"/proc/self/exe", "lab", "proxy", lab->kind->name, "--lab", lab->name,
		"--fault", fault->id, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	char log[PATHS_MAX];
	int r = lab_enter(lab->file->client_netns, &spec, e);

	if (r)
		goto out;
	own_path(lab->file, fault->id, ".log", log, sizeof(log));
	spec.argv = argv;
	spec.new_session = true;
	spec.output_file = log;
	spec.cwd = "/";
	r = proc_start(&spec, &fault->pid, e);
	if (r)
		goto out;
	fault->start_time = proc_start_time(fault->pid);
	r = lab_save(lab, e);
out:
	lab_leave(&spec);
	return r;
}

static int wait_ready(
	struct lab *lab, const struct labfile_fault *fault, struct proxy_status *ret, struct err *e)
{
	int64_t deadline = clock_ns() + READY_NS;
	char path[PATHS_MAX], words[200];

	own_path(lab->file, fault->id, "", path, sizeof(path));
	while (proxy_status_read(path, ret, NULL) != 0) {
		if (!proc_alive(fault->pid, fault->start_time)) {
			own_path(lab->file, fault->id, ".log", path, sizeof(path));
			lab_last_words(path, words, sizeof(words));
			return err_set(e, ERR_IO, "the proxy ended: %s", words);
		}
		if (clock_ns() >= deadline)
			return err_set(e, ERR_TIMEOUT, "the proxy does not get ready");
		clock_sleep_ns(5 * NS_PER_MS);
	}
	return 0;
}

static int divert(struct lab *lab, const struct labfile_fault *fault, int port, struct err *e)
{
	const struct labfile_node *node = fault_node(lab, fault);
	const char *argv[] = {"nft", "-f", "-", NULL};
	char rules[1024];

	snprintf(rules, sizeof(rules),
		"table ip mqaudit_%s {\n"
		"\tcounter diverted { }\n"
		"\tcounter renewed { }\n"
		"\tchain divert {\n"
		"\t\ttype nat hook output priority -100;\n"
		"\t\tip daddr %s tcp dport %d tcp flags & (syn|ack) == syn meta mark != %d "
		"counter name \"diverted\" redirect to :%d\n"
		"\t}\n"
		"\tchain renew {\n"
		"\t\ttype filter hook output priority 0;\n"
		"\t\tip daddr %s tcp dport %d tcp flags & rst == 0 meta mark != %d "
		"counter name \"renewed\" reject with tcp reset\n"
		"\t}\n"
		"}\n",
		fault->id, node->address, node->port, MARK, port, node->address, node->port, MARK);
	return lab_run_inside(lab->file->client_netns, argv, rules, NFT_TIMEOUT_NS, NULL, e);
}

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct proxy_status status;
	int r = start_proxy(lab, fault, e);

	if (r == 0)
		r = wait_ready(lab, fault, &status, e);
	return r ? r : divert(lab, fault, status.port, e);
}

/* --- proof */

static void describe(const struct proxy_status *s, char *ret, size_t len)
{
	char n[4][UNITS_LEN];

	snprintf(ret, len,
		"%s; passed on: %s bytes in %s requests, %s bytes in %s answers; %llu held back, "
		"%llu late",
		s->last, units_grouped(s->bytes[PROXY_REQUESTS], n[0]),
		units_grouped(s->frames[PROXY_REQUESTS], n[1]),
		units_grouped(s->bytes[PROXY_ANSWERS], n[2]),
		units_grouped(s->frames[PROXY_ANSWERS], n[3]), (unsigned long long)s->held,
		(unsigned long long)s->delayed);
}

static int prove(struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	struct proxy_status status;
	char path[PATHS_MAX];
	int r;

	own_path(lab->file, fault->id, "", path, sizeof(path));
	for (;;) {
		r = proxy_status_read(path, &status, e);
		if (r || status.hits || clock_ns() >= deadline)
			break;
		clock_sleep_ns(20 * NS_PER_MS);
	}
	if (r == 0 && status.hits) {
		char what[300];

		describe(&status, what, sizeof(what));
		snprintf(fault->proof, sizeof(fault->proof), "%llu time%s: %.290s",
			(unsigned long long)status.hits, status.hits == 1 ? "" : "s", what);
	}
	return r;
}

/* --- off */

static int end_proxy(const struct labfile_fault *fault, struct err *e)
{
	proc_signal(fault->pid, fault->start_time, SIGTERM);
	if (lab_wait_gone(fault->pid, fault->start_time, DRAINED_NS, NULL) == 0)
		return 0;
	proc_signal(fault->pid, fault->start_time, SIGKILL);
	return lab_wait_gone(fault->pid, fault->start_time, GONE_NS, e);
}

static int heal(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	const char *argv[] = {"nft", "-f", "-", NULL};
	char rules[120], path[PATHS_MAX];
	int r = 0, r_rules;

	/* new connections pass it; the rules' table stays as long as old ones need to be translated */
	snprintf(rules, sizeof(rules),
		"flush chain ip mqaudit_%s divert\nflush chain ip mqaudit_%s renew\n", fault->id,
		fault->id);
	err_ignore(lab_run_inside(
		lab->file->client_netns, argv, rules, NFT_TIMEOUT_NS, NULL, NULL)); /* not there */
	if (fault->pid)
		r = end_proxy(fault, e);
	/* "add" first: to delete a table that is not there would fail */
	snprintf(rules, sizeof(rules), "add table ip mqaudit_%s\ndelete table ip mqaudit_%s\n",
		fault->id, fault->id);
	r_rules = lab_run_inside(
		lab->file->client_netns, argv, rules, NFT_TIMEOUT_NS, NULL, r ? NULL : e);
	r = r ? r : r_rules;
	own_path(lab->file, fault->id, "", path, sizeof(path));
	(void)unlink(path);
	own_path(lab->file, fault->id, ".log", path, sizeof(path));
	(void)unlink(path);
	return r;
}

const struct fault_ops fault_proxy = {
	.name = "proxy",
	.summary = "lead clients through a proxy that cuts, stalls, delays or throttles",
	.args = "mode way after-bytes after-request delay rate once ",
	.check = check,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 0,
};

/* --- the proxy's own process */

static volatile sig_atomic_t drain_asked;

static void on_drain(int sig)
{
	(void)sig;
	drain_asked = 1;
}

struct wanted {
	const char *lab;
	const char *kind;
	char id[16];
	int64_t since_wall_ns;
};

static struct labfile_fault *find(struct labfile *file, const char *id)
{
	for (size_t i = 0; i < file->n_faults; i++)
		if (strcmp(file->fault[i].id, id) == 0)
			return &file->fault[i];
	return NULL;
}

/* Whoever started it may have been killed before its pid was written down. */
static bool is_wanted(void *ctx)
{
	const struct wanted *w = ctx;
	const struct labfile_fault *fault;
	struct labfile *file = NULL;
	bool wanted;

	if (labfile_read(w->lab, w->kind, &file, NULL) != 0)
		return false;
	fault = find(file, w->id);
	wanted = fault && fault->since_wall_ns == w->since_wall_ns;
	labfile_free(file);
	return wanted;
}

int fault_proxy_be(const char *lab_name, const struct lab_kind *kind, const char *id, struct err *e)
{
	struct wanted wanted = {.lab = lab_name, .kind = kind->name};
	struct proxy_config config = {.after_api = -1};
	struct sigaction sa = {.sa_handler = on_drain};
	const struct labfile_fault *fault;
	const struct labfile_node *node;
	struct labfile *file = NULL;
	char path[PATHS_MAX];
	int r = labfile_read(lab_name, kind->name, &file, e);

	if (r)
		return r;
	fault = find(file, id);
	node = fault ? labfile_find_node(file, fault->node) : NULL;
	r = node ? read_config(fault, &config, e)
		 : err_set(e, ERR_NOTFOUND, "there is no fault %s", id);
	if (r)
		goto out;
	own_path(file, fault->id, "", path, sizeof(path));
	config.status_path = path;
	config.mark = MARK;
	config.to.sin_family = AF_INET;
	config.to.sin_port = htons((uint16_t)node->port);
	if (inet_pton(AF_INET, node->address, &config.to.sin_addr) != 1) {
		r = err_set(e, ERR_FORMAT, "'%s' is no address", node->address);
		goto out;
	}
	snprintf(wanted.id, sizeof(wanted.id), "%s", fault->id);
	wanted.since_wall_ns = fault->since_wall_ns;
	config.wanted = is_wanted;
	config.ctx = &wanted;
	config.drain = &drain_asked;
	sigaction(SIGTERM, &sa, NULL);
	r = proxy_run(&config, e);
out:
	labfile_free(file);
	return r;
}
