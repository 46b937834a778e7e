#include "scenarios/lab/fault_words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/units.h"

#define MIN_RATE 8
#define MAX_RATE UINT64_C(1000000000000)

static const struct whom {
	const char *word;
	bool nodes, clients;
	enum fault_port port;
} whoms[] = {
	{"", true, true, FAULT_PORT_ANY},
	{"all", true, true, FAULT_PORT_ANY},
	{"brokers", true, false, FAULT_PORT_ANY},
	{"clients", false, true, FAULT_PORT_ANY},
	{"controllers", true, false, FAULT_PORT_CONTROLLER},
	{"fetches", true, false, FAULT_PORT_FETCHES},
};

static const struct whom *find_whom(const char *word)
{
	for (size_t i = 0; i < sizeof(whoms) / sizeof(whoms[0]); i++)
		if (strcmp(whoms[i].word, word) == 0)
			return &whoms[i];
	return NULL;
}

static int check(struct lab *lab, const struct fault_links *links, struct err *e)
{
	if (links->nodes && !links->clients && lab->file->n_nodes < 2)
		return err_set(e, ERR_STATE, "the lab has one node: it has no links with others");
	if (links->port == FAULT_PORT_CONTROLLER && !lab->kind->controller_port)
		return err_set(e, ERR_USAGE, "%s has no controllers of its own", lab->kind->name);
	if (links->port == FAULT_PORT_FETCHES && !lab->kind->speaks_kafka)
		return err_set(e, ERR_USAGE, "nodes of %s fetch nothing from one another",
			lab->kind->name);
	return 0;
}

int fault_links_read(
	struct lab *lab, const struct labfile_fault *fault, struct fault_links *ret, struct err *e)
{
	char word[40];
	const struct whom *whom = find_whom(fault_arg(fault, "from", word, sizeof(word)));
	bool both;

	if (!whom) {
		err_set(e, ERR_USAGE, "--from '%s': who is that?", word);
		err_hint(e, "--from brokers, controllers, clients, fetches or all");
		return ERR_USAGE;
	}
	fault_arg(fault, "direction", word, sizeof(word));
	both = !*word || strcmp(word, "both") == 0;
	*ret = (struct fault_links){.nodes = whom->nodes,
		.clients = whom->clients,
		.port = whom->port,
		.in = both || strcmp(word, "in") == 0,
		.out = both || strcmp(word, "out") == 0};
	if (!ret->in && !ret->out)
		return err_set(e, ERR_USAGE, "--direction is in, out or both");
	return check(lab, ret, e);
}

size_t fault_links_peers(const struct lab *lab, const struct labfile_fault *fault,
	const struct fault_links *links, char ret[FAULT_MAX_PEERS][48])
{
	size_t n = 0;

	/* clients live at .1 of the lab's network */
	if (links->clients)
		snprintf(ret[n++], sizeof(ret[0]), "198.18.%d.1", lab->file->subnet);
	for (size_t i = 0; links->nodes && i < lab->file->n_nodes; i++)
		if (strcmp(lab->file->node[i].name, fault->node) != 0)
			snprintf(ret[n++], sizeof(ret[0]), "%s", lab->file->node[i].address);
	return n;
}

int fault_links_ports(const struct lab *lab, const struct fault_links *links, bool in,
	int *ret_port, bool ret_dport[2])
{
	switch (links->port) {
	case FAULT_PORT_CONTROLLER:
		/* a controller is spoken to at its port, and answers from it */
		*ret_port = lab->kind->controller_port;
		ret_dport[0] = true;
		ret_dport[1] = false;
		return 2;
	case FAULT_PORT_FETCHES:
		*ret_port = lab->kind->client_port;
		ret_dport[0] = in;
		return 1;
	case FAULT_PORT_ANY:
		break;
	}
	*ret_port = 0;
	return 1;
}

int fault_rate_read(const char *text, uint64_t *ret_bits, struct err *e)
{
	size_t len = strlen(text);
	bool bits = len > 3 && strcmp(text + len - 3, "bit") == 0;
	char number[32];
	uint64_t n = 0;
	int r;

	if (len >= sizeof(number))
		return err_set(e, ERR_USAGE, "--rate: '%.40s' is too long", text);
	snprintf(number, sizeof(number), "%.*s", (int)(len - (bits ? 3 : 0)), text);
	/* "mbit", as tc(8) has it */
	if (bits && *number)
		number[len - 4] = (char)toupper((unsigned char)number[len - 4]);
	r = bits ? units_parse_count(number, &n, e) : units_parse_size(number, &n, e);
	if (r == 0 && !bits)
		n = n > MAX_RATE ? MAX_RATE + 1 : n * 8;
	if (r || n < MIN_RATE || n > MAX_RATE) {
		err_set(e, ERR_USAGE, "--rate: '%s' is no rate", text);
		err_hint(e, "64kbit, 1mbit, or in bytes a second: 8k");
		return ERR_USAGE;
	}
	*ret_bits = n;
	return 0;
}

int fault_percent_read(const char *text, unsigned *ret, struct err *e)
{
	char *end;
	double value = strtod(text, &end);

	if (*end == '%')
		end++;
	if (end == text || *end || strspn(text, "0123456789.%") != strlen(text) ||
		!(value >= 0.01 && value <= 100)) {
		err_set(e, ERR_USAGE, "--percent: '%s' is no share of packets", text);
		err_hint(e, "0.01 to 100");
		return ERR_USAGE;
	}
	*ret = (unsigned)(value * 100 + 0.5);
	return 0;
}
