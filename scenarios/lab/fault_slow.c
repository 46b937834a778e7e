/*
 * A slow link: htb on the node's veth, a class of our own for the packets that are meant. What comes
 * in is slowed at the bridge's end, what goes out at the node's own. Only a root qdisc with our
 * handle is ever removed.
 */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/units.h"
#include "scenarios/lab/fault.h"
#include "scenarios/lab/fault_words.h"
#include "scenarios/lab/lab_process.h"

#define TC_TIMEOUT_NS (10 * NS_PER_S)
#define HANDLE "6d71:"

/* Where a direction is slowed: a device and its namespace. */
struct place {
	const char *netns;
	const char *dev;
};

static struct place place_of(struct lab *lab, const struct labfile_fault *fault, bool in)
{
	const struct labfile_node *node = fault_node(lab, fault);

	return in ? (struct place){lab->file->client_netns, node->name}
		  : (struct place){node->netns, "eth0"};
}

static int read_rate(const struct labfile_fault *fault, uint64_t *ret_bits, struct err *e)
{
	char text[40];

	if (!*fault_arg(fault, "rate", text, sizeof(text))) {
		err_set(e, ERR_USAGE, "how slow?");
		return err_hint(e, "--rate 64kbit, or in bytes a second: --rate 8k");
	}
	return fault_rate_read(text, ret_bits, e);
}

static int check(struct lab *lab, const struct labfile_fault *fault, struct err *e)
{
	struct fault_links links;
	uint64_t bits;
	int r = read_rate(fault, &bits, e);

	if (r == 0)
		r = fault_links_read(lab, fault, &links, e);
	for (size_t i = 0; i < lab->file->n_faults && r == 0; i++) {
		const struct labfile_fault *other = &lab->file->fault[i];

		if (strcmp(other->kind, fault->kind) == 0 && strcmp(other->node, fault->node) == 0)
			r = err_set(e, ERR_STATE, "%s is slow already: %s", fault->node, other->id);
	}
	return r;
}

static void add_filters(struct buf *b, const struct lab *lab, const struct labfile_fault *fault,
	const struct fault_links *links, const char *dev, bool in)
{
	char peer[FAULT_MAX_PEERS][48];
	size_t n = fault_links_peers(lab, fault, links, peer);
	bool dport[2];
	int port, n_ports = fault_links_ports(lab, links, in, &port, dport);

	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < n_ports; k++) {
			buf_printf(b,
				"filter add dev %s parent " HANDLE
				" protocol ip prio 1 u32 match ip %s %s/32 ",
				dev, in ? "src" : "dst", peer[i]);
			if (port)
				buf_printf(b, "match ip protocol 6 0xff match ip %s %d 0xffff ",
					dport[k] ? "dport" : "sport", port);
			buf_str_add(b, "flowid " HANDLE "1\n");
		}
	}
}

static int apply_one(struct lab *lab, const struct labfile_fault *fault,
	const struct fault_links *links, uint64_t bits, bool in, struct err *e)
{
	const char *argv[] = {"tc", "-batch", "-", NULL};
	struct place place = place_of(lab, fault, in);
	struct buf b;
	int r;

	buf_init(&b, 65536);
	buf_printf(&b,
		"qdisc add dev %s root handle " HANDLE " htb\n"
		"class add dev %s parent " HANDLE " classid " HANDLE
		"1 htb rate %llubit quantum 1514\n",
		place.dev, place.dev, (unsigned long long)bits);
	add_filters(&b, lab, fault, links, place.dev, in);
	r = buf_failed(&b);
	if (r)
		err_set(e, r, "%s", err_code_text(r));
	else
		r = lab_run_inside(place.netns, argv, buf_str(&b), TC_TIMEOUT_NS, NULL, e);
	buf_release(&b);
	return r;
}

static int apply(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	struct fault_links links;
	uint64_t bits;
	int r = read_rate(fault, &bits, e);

	if (r == 0)
		r = fault_links_read(lab, fault, &links, e);
	if (r == 0 && links.in)
		r = apply_one(lab, fault, &links, bits, true, e);
	if (r == 0 && links.out)
		r = apply_one(lab, fault, &links, bits, false, e);
	return r;
}

/* --- proof: what our class says of itself */

struct figures {
	unsigned long long bytes, packets, dropped, delayed, waiting;
};

static void parse_figures(const char *text, struct figures *ret)
{
	const char *p = strstr(text, "class htb " HANDLE "1 ");

	if (p)
		p = strstr(p, " Sent ");
	if (!p || sscanf(p, " Sent %llu bytes %llu pkt (dropped %llu, overlimits %llu", &ret->bytes,
			  &ret->packets, &ret->dropped, &ret->delayed) != 4)
		return;
	p = strstr(p, "backlog ");
	if (!p || sscanf(p, "backlog %*[0-9KMGb] %llup", &ret->waiting) != 1)
		ret->waiting = 0;
}

static int read_figures(struct lab *lab, const struct labfile_fault *fault, bool in,
	struct figures *ret, struct err *e)
{
	struct place place = place_of(lab, fault, in);
	const char *argv[] = {"tc", "-s", "class", "show", "dev", place.dev, NULL};
	struct buf out;
	int r;

	memset(ret, 0, sizeof(*ret));
	buf_init(&out, 65536);
	r = lab_run_inside(place.netns, argv, NULL, TC_TIMEOUT_NS, &out, e);
	if (r == 0)
		parse_figures(buf_str(&out), ret);
	buf_release(&out);
	return r;
}

static bool bites(const struct figures *f)
{
	return f->delayed || f->waiting || f->dropped;
}

static int prove(struct lab *lab, struct labfile_fault *fault, int64_t timeout_ns, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	struct figures in, out;
	char bytes[2][UNITS_LEN];
	int r;

	for (;;) {
		r = read_figures(lab, fault, true, &in, e);
		if (r == 0)
			r = read_figures(lab, fault, false, &out, e);
		if (r || bites(&in) || bites(&out) || clock_ns() >= deadline)
			break;
		clock_sleep_ns(50 * NS_PER_MS);
	}
	if (r == 0 && (bites(&in) || bites(&out)))
		snprintf(fault->proof, sizeof(fault->proof),
			"in: %s bytes, %llu times held back, %llu packets waiting, %llu dropped; "
			"out: %s bytes, %llu times held back, %llu packets waiting, %llu dropped",
			units_grouped(in.bytes, bytes[0]), in.delayed, in.waiting, in.dropped,
			units_grouped(out.bytes, bytes[1]), out.delayed, out.waiting, out.dropped);
	return r;
}

/* --- end */

static int heal_one(struct lab *lab, const struct labfile_fault *fault, bool in, struct err *e)
{
	struct place place = place_of(lab, fault, in);
	const char *show[] = {"tc", "qdisc", "show", "dev", place.dev, "root", NULL};
	const char *del[] = {
		"tc", "qdisc", "del", "dev", place.dev, "root", "handle", HANDLE, NULL};
	struct buf out;
	bool ours;
	int r;

	buf_init(&out, 65536);
	r = lab_run_inside(place.netns, show, NULL, TC_TIMEOUT_NS, &out, e);
	ours = strstr(buf_str(&out), "qdisc htb " HANDLE) != NULL;
	buf_release(&out);
	if (r || !ours)
		return r;
	return lab_run_inside(place.netns, del, NULL, TC_TIMEOUT_NS, NULL, e);
}

static int heal(struct lab *lab, struct labfile_fault *fault, struct err *e)
{
	int r_in = heal_one(lab, fault, true, e),
	    r_out = heal_one(lab, fault, false, r_in ? NULL : e);

	return r_in ? r_in : r_out;
}

const struct fault_ops fault_slow = {
	.name = "slow",
	.summary = "let only so much through between the node and others; what is too much waits",
	.args = "from direction rate ",
	.check = check,
	.apply = apply,
	.prove = prove,
	.heal = heal,
	.heal_rank = 0,
};
