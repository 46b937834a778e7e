#ifndef SCENARIOS_LAB_FAULT_WORDS_H
#define SCENARIOS_LAB_FAULT_WORDS_H

#include "scenarios/lab/fault.h"

/* What the arguments of faults on the network mean. */

enum fault_port {
	FAULT_PORT_ANY,
	FAULT_PORT_CONTROLLER, /* what nodes agree by, whoever began */
	FAULT_PORT_FETCHES,    /* what other nodes ask of the node's client port, and its answers */
};

/* Some of a node's links: with whom (--from), on which port, which way (--direction). */
struct fault_links {
	bool nodes;
	bool clients;
	enum fault_port port;
	bool in; /* towards the node */
	bool out;
};

/*
 * Read --from (brokers, controllers, clients, fetches; all, or not given: everybody) and --direction
 * (in, out, both; not given: both). Returns 0, ERR_USAGE (an unknown word; no controllers' port), or
 * ERR_STATE (other nodes are meant, and there are none).
 */
MUST_CHECK int fault_links_read(
	struct lab *lab, const struct labfile_fault *fault, struct fault_links *ret, struct err *e);

/* The addresses at the far end of those links. Returns how many. */
#define FAULT_MAX_PEERS (LABFILE_MAX_NODES + 1)
size_t fault_links_peers(const struct lab *lab, const struct labfile_fault *fault,
	const struct fault_links *links, char ret[FAULT_MAX_PEERS][48]);

/*
 * The port that tells those links' packets, one way: how often a packet must be looked at (1 or 2),
 * with *ret_port 0 for any port, and whether the i-th look is at the port that it goes to
 * (ret_dport[i]) or that it comes from.
 */
int fault_links_ports(const struct lab *lab, const struct fault_links *links, bool in,
	int *ret_port, bool ret_dport[2]);

/* "64kbit", "1.5mbit": bits a second; "8k", "1M": bytes a second. In bits, 8 to 10^12. ERR_USAGE. */
MUST_CHECK int fault_rate_read(const char *text, uint64_t *ret_bits, struct err *e);

/* "10", "0.5", "12.34%": hundredths of a percent, 1 to 10,000. ERR_USAGE. */
MUST_CHECK int fault_percent_read(const char *text, unsigned *ret, struct err *e);

#endif
