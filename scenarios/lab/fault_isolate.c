/*
 * Cut a node's links with nftables, in the node's own namespace and a table of our own. Packets are
 * dropped without a word, as on a broken network: connections stay open and hang.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "scenarios/lab/fault.h"
#include "scenarios/lab/lab_process.h"

#define NFT_TIMEOUT_NS (10 * NS_PER_S)

enum peers { PEERS_NODES, PEERS_CLIENTS };
enum port { PORT_ANY, PORT_CONTROLLER, PORT_CLIENT_INBOUND };

/* What can be cut off. Clients live at .1 of the lab's network. */
static const struct cut {
	const char *name;
	enum peers peers;
	enum port port;
} cuts[] = {
	{"brokers", PEERS_NODES, PORT_ANY},
	{"controllers", PEERS_NODES, PORT_CONTROLLER},
	{"clients", PEERS_CLIENTS, PORT_ANY},
	/* the other nodes' fetches from this node: replication stands still, the quorum does not */
	{"fetches", PEERS_NODES, PORT_CLIENT_INBOUND},
};

static const struct cut *find_cut(const struct labfile_fault *fault)
{
	char name[40];

	fault_arg(fault, "from", name, sizeof(name));
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		if (strcmp(cuts[i].name, name) == 0)
			return &cuts[i];
	return NULL;
}

static bool cuts_direction(const struct labfile_fault *fault, const char *direction)
{
	char given[40];

	fault_arg(fault, "direction", given, sizeof(given));
	return given[0] == '\0' || strcmp(given, "both") == 0 || strcmp(given, direction) == 0;
}

static int check(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	const struct cut *cut = find_cut(fault);

	if (!cut) {
		err_set(e, ERR_USAGE, "isolate from whom?");
		return err_hint(e, "--from brokers, controllers, clients or fetches");
	}
	if (!cuts_direction(fault, "in") && !cuts_direction(fault, "out"))
		return err_set(e, ERR_USAGE, "--direction is in, out or both");
	if (cut->peers == PEERS_NODES && lab->file->n_nodes < 2)
		return err_set(
			e, ERR_STATE, "the lab has one node: there is nobody to cut it off from");
	if (cut->port == PORT_CONTROLLER && !lab->kind->controller_port)
		return err_set(e, ERR_USAGE, "%s has no controllers of its own", lab->kind->name);
	if (cut->port == PORT_CLIENT_INBOUND && !cuts_direction(fault, "in"))
		return err_set(e, ERR_USAGE, "fetches can only be cut where they come in");
	return 0;
}

/* "{ 198.18.1.12, 198.18.1.13 }": who is cut off. */
static void add_peers(struct buf *b, const struct lab *lab, const struct labfile_fault *fault,
	const struct cut *cut)
{
	const char *comma = "";

	buf_str_add(b, "{ ");
	if (cut->peers == PEERS_CLIENTS)
		buf_printf(b, "198.18.%d.1", lab->file->subnet);
	for (size_t i = 0; cut->peers == PEERS_NODES && i < lab->file->n_nodes; i++) {
		if (strcmp(lab->file->node[i].name, fault->node) == 0)
			continue;
		buf_printf(b, "%s%s", comma, lab->file->node[i].address);
		comma = ", ";
	}
	buf_str_add(b, " }");
}

static void add_rule(struct buf *b, const struct lab *lab, const struct labfile_fault *fault,
	const struct cut *cut, const char *field, const char *port_field, const char *counter)
{
	buf_printf(b, "\t\tip %s ", field);
	add_peers(b, lab, fault, cut);
	if (cut->port == PORT_CONTROLLER)
		buf_printf(b, " tcp %s %d", port_field, lab->kind->controller_port);
	if (cut->port == PORT_CLIENT_INBOUND)
		buf_printf(b, " tcp %s %d", port_field, lab->kind->client_port);
	buf_printf(b, " counter name \"%s\" drop\n", counter);
}

/* One chain for a direction. A controller is spoken to at its port, and answers from it. */
static void add_chain(struct buf *b, const struct lab *lab, const struct labfile_fault *fault,
	const struct cut *cut, bool in)
{
	const char *field = in ? "saddr" : "daddr", *counter = in ? "in" : "out";

	buf_printf(b, "\tchain %s {\n\t\ttype filter hook %s priority 0;\n",
		in ? "input" : "output", in ? "input" : "output");
	add_rule(b, lab, fault, cut, field, "dport", counter);
	if (cut->port == PORT_CONTROLLER)
		add_rule(b, lab, fault, cut, field, "sport", counter);
	buf_str_add(b, "\t}\n");
}

static void add_table(struct buf *b, const struct lab *lab, const struct labfile_fault *fault)
{
	const struct cut *cut = find_cut(fault);

	buf_printf(b, "table inet mqaudit_%s {\n\tcounter in { }\n\tcounter out { }\n", fault->id);
	if (cuts_direction(fault, "in"))
		add_chain(b, lab, fault, cut, true);
	if (cuts_direction(fault, "out") && cut->port != PORT_CLIENT_INBOUND)
		add_chain(b, lab, fault, cut, false);
	buf_str_add(b, "}\n");
}

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	const char *argv[] = {"nft", "-f", "-", NULL};
	struct buf rules;
	int r;

	buf_init(&rules, 65536);
	add_table(&rules, lab, fault);
	r = buf_failed(&rules);
	if (r)
		err_set(e, r, "%s", err_code_text(r));
	else
		r = lab_run_inside(fault_node(lab, fault)->netns, argv, buf_str(&rules),
			NFT_TIMEOUT_NS, NULL, e);
	buf_release(&rules);
	return r;
}

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
		snprintf(fault->proof, sizeof(fault->proof), "%llu packets dropped in, %llu out",
			(unsigned long long)in, (unsigned long long)out);
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
	.check = check,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 0,
};
