/*
 * Faults by nftables, in the node's own namespace and a table of our own:
 *
 *     isolate  packets are dropped without a word, as on a broken network: connections stay open
 *     loss     some of them are
 *     reset    connections are broken by a TCP reset, for both ends, and so is each new one
 *     answers  what the node answers clients is dropped; requests, and what confirms them, get through
 */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "scenarios/lab/fault.h"
#include "scenarios/lab/fault_words.h"
#include "scenarios/lab/lab_process.h"

#define NFT_TIMEOUT_NS (10 * NS_PER_S)

struct rule {
	char match[80];      /* what a packet is besides its address and port; "" for any */
	const char *verdict; /* what becomes of it */
};

/*
 * What becomes of packets that go this way. A reset is no answer to a reset: ours would stop itself.
 *
 * It goes to whoever sent the packet. For the other end to hear of it as well, the rule stands where packets
 * come in to the node: what the node sends gets through, the other end confirms it, and is told. Rejected on
 * its way out it would break the node's end alone, and the other one would wait for an answer until it times
 * out. Only what opens a connection is stopped on its way out.
 */
static struct rule rule_of(
	const struct labfile_fault *fault, const struct fault_links *links, bool in)
{
	bool opening = !in && links->in;
	struct rule rule = {.verdict = "drop"};
	char text[40];
	unsigned percent = 0;

	if (strcmp(fault->kind, fault_loss.name) == 0) {
		fault_arg(fault, "percent", text, sizeof(text));
		err_ignore(fault_percent_read(text, &percent, NULL)); /* checked before */
		snprintf(rule.match, sizeof(rule.match), "numgen random mod 10000 < %u ", percent);
	} else if (strcmp(fault->kind, fault_reset.name) == 0) {
		snprintf(rule.match, sizeof(rule.match), "tcp flags & %s ",
			opening ? "(syn | rst) == syn" : "rst == 0");
		rule.verdict = "reject with tcp reset";
	}
	return rule;
}

/* "{ 198.18.1.12, 198.18.1.13 }" */
static void add_peers(struct buf *b, const struct lab *lab, const struct labfile_fault *fault,
	const struct fault_links *links)
{
	char peer[FAULT_MAX_PEERS][48];
	size_t n = fault_links_peers(lab, fault, links, peer);

	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? ", " : "{ ", peer[i]);
	buf_str_add(b, " } ");
}

/* One chain for a direction. */
static void add_chain(struct buf *b, const struct lab *lab, const struct labfile_fault *fault,
	const struct fault_links *links, bool in)
{
	const struct rule rule = rule_of(fault, links, in);
	bool dport[2];
	int port, n = fault_links_ports(lab, links, in, &port, dport);

	buf_printf(b, "\tchain %s {\n\t\ttype filter hook %s priority 0;\n",
		in ? "input" : "output", in ? "input" : "output");
	for (int i = 0; i < n; i++) {
		buf_printf(b, "\t\tip %s ", in ? "saddr" : "daddr");
		add_peers(b, lab, fault, links);
		if (port)
			buf_printf(b, "tcp %s %d ", dport[i] ? "dport" : "sport", port);
		buf_printf(b, "%scounter name \"%s\" %s\n", rule.match, in ? "in" : "out",
			rule.verdict);
	}
	buf_str_add(b, "\t}\n");
}

static void add_table(struct buf *b, const struct lab *lab, const struct labfile_fault *fault,
	const struct fault_links *links)
{
	buf_printf(b, "table inet mqaudit_%s {\n\tcounter in { }\n\tcounter out { }\n", fault->id);
	if (links->in)
		add_chain(b, lab, fault, links, true);
	if (links->out)
		add_chain(b, lab, fault, links, false);
	buf_str_add(b, "}\n");
}

static void add_answers(struct buf *b, const struct lab *lab, const struct labfile_fault *fault)
{
	buf_printf(b,
		"table inet mqaudit_%s {\n\tcounter in { }\n\tcounter out { }\n"
		"\tchain output {\n\t\ttype filter hook output priority 0;\n"
		"\t\tip daddr 198.18.%d.1 tcp sport %d meta length > %d counter name \"out\" drop\n"
		"\t}\n}\n",
		fault->id, lab->file->subnet, lab->kind->client_port, lab->kind->bare_packet);
}

static int load(
	struct lab *lab, const struct labfile_fault *fault, const struct buf *rules, struct err *e)
{
	const char *argv[] = {"nft", "-f", "-", NULL};
	int r = buf_failed(rules);

	if (r)
		return err_set(e, r, "%s", err_code_text(r));
	return lab_run_inside(
		fault_node(lab, fault)->netns, argv, buf_str(rules), NFT_TIMEOUT_NS, NULL, e);
}

/* The links of a fault. Dropping their requests is what stops fetches. */
static int read_links(
	struct lab *lab, const struct labfile_fault *fault, struct fault_links *ret, struct err *e)
{
	int r = fault_links_read(lab, fault, ret, e);

	if (r == 0 && ret->port == FAULT_PORT_FETCHES && ret->in &&
		strcmp(fault->kind, fault_isolate.name) == 0)
		ret->out = false;
	return r;
}

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct fault_links links;
	struct buf rules;
	int r = read_links(lab, fault, &links, e);

	if (r)
		return r;
	buf_init(&rules, 65536);
	add_table(&rules, lab, fault, &links);
	r = load(lab, fault, &rules, e);
	buf_release(&rules);
	return r;
}

static int apply_answers(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct buf rules;
	int r;

	buf_init(&rules, 65536);
	add_answers(&rules, lab, fault);
	r = load(lab, fault, &rules, e);
	buf_release(&rules);
	return r;
}

/* --- what may be asked for */

static int check_isolate(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	struct fault_links links;
	char from[40];
	int r = read_links(lab, fault, &links, e);

	if (r)
		return r;
	if (!*fault_arg(fault, "from", from, sizeof(from))) {
		err_set(e, ERR_USAGE, "isolate from whom?");
		return err_hint(e, "--from brokers, controllers, clients, fetches or all");
	}
	if (links.port == FAULT_PORT_FETCHES && !links.in)
		return err_set(e, ERR_USAGE, "fetches can only be cut where they come in");
	return 0;
}

static int check_links(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	struct fault_links links;

	return read_links(lab, fault, &links, e);
}

static int check_loss(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	char text[40];
	unsigned percent;

	if (!*fault_arg(fault, "percent", text, sizeof(text))) {
		err_set(e, ERR_USAGE, "loss of how many packets?");
		return err_hint(e, "--percent 10");
	}
	if (fault_percent_read(text, &percent, e))
		return ERR_USAGE;
	return check_links(lab, fault, e);
}

/* --- proof and end */

/* "counter in { packets 35 bytes 2100 }" in nft's listing. */
static uint64_t packets_of(const char *listing, const char *counter)
{
	unsigned long long n = 0;
	char head[40];
	const char *p;

	snprintf(head, sizeof(head), "counter %s {", counter);
	p = strstr(listing, head);
	if (!p || sscanf(p + strlen(head), " packets %llu", &n) != 1)
		return 0;
	return n;
}

static int read_counters(struct lab *lab, const struct labfile_fault *fault, uint64_t *ret_in,
	uint64_t *ret_out, struct err *e)
{
	char table[40];
	const char *argv[] = {"nft", "list", "table", "inet", table, NULL};
	struct buf out;
	int r;

	buf_init(&out, 65536);
	snprintf(table, sizeof(table), "mqaudit_%s", fault->id);
	r = lab_run_inside(fault_node(lab, fault)->netns, argv, NULL, NFT_TIMEOUT_NS, &out, e);
	*ret_in = packets_of(buf_str(&out), "in");
	*ret_out = packets_of(buf_str(&out), "out");
	buf_release(&out);
	return r;
}

static int prove(struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	uint64_t in = 0, out = 0;
	int r;

	for (;;) {
		r = read_counters(lab, fault, &in, &out, e);
		if (r || in + out > 0 || clock_ns() >= deadline)
			break;
		clock_sleep_ns(50 * NS_PER_MS);
	}
	if (in + out > 0)
		snprintf(fault->proof, sizeof(fault->proof), "%llu packets %s in, %llu out",
			(unsigned long long)in,
			strcmp(fault->kind, fault_reset.name) == 0 ? "reset" : "dropped",
			(unsigned long long)out);
	return r;
}

static int heal(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	char rules[120];
	const char *argv[] = {"nft", "-f", "-", NULL};

	/* "add" first: to delete a table that is not there would fail */
	snprintf(rules, sizeof(rules), "add table inet mqaudit_%s\ndelete table inet mqaudit_%s\n",
		fault->id, fault->id);
	return lab_run_inside(fault_node(lab, fault)->netns, argv, rules, NFT_TIMEOUT_NS, NULL, e);
}

const struct fault_ops fault_isolate = {
	.name = "isolate",
	.summary = "drop all packets between the node and others, without a word",
	.args = "from direction ",
	.check = check_isolate,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 0,
};

const struct fault_ops fault_loss = {
	.name = "loss",
	.summary = "drop some of the packets between the node and others, at random",
	.args = "from direction percent ",
	.check = check_loss,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 0,
};

const struct fault_ops fault_reset = {
	.name = "reset",
	.summary = "break connections of the node by a TCP reset, and refuse new ones",
	.args = "from direction ",
	.check = check_links,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 0,
};

const struct fault_ops fault_answers = {
	.name = "answers",
	.summary = "drop what the node answers clients, while their requests get through",
	.args = "",
	.apply = apply_answers,
	.prove = prove,
	.heal = heal,
	.heal_rank = 0,
};
