#ifndef SCENARIOS_LAB_LAB_NET_H
#define SCENARIOS_LAB_LAB_NET_H

#include "scenarios/lab/lab.h"

/*
 * The network of a lab. Subnet N is 198.18.N.0/24, of the range set aside for benchmarks:
 *
 *     machine's own namespace     only a blackhole route for 198.18.N.0/24: a client that is
 * started outside by mistake fails at once, and no packet leaves the machine mqa-N-LAB-kafka bridge
 * br0, 198.18.N.1: here live the clients mqa-N-LAB-kafka1            eth0, 198.18.N.11, plugged
 * into br0 by the veth "kafka1"
 *     ...
 *
 * In user namespaces the same, but without the route, and the namespaces have no names: they are paths
 * below the /proc folder of their holder (lab_holder.h), and N is always 1.
 *
 * On loopback subnet N is 127.77.N.0/24, with the nodes at .1, .2, ... and nothing to be made.
 *
 * N is claimed for the whole machine by a symbolic link /run/mqaudit-lab/N to the lab's folder,
 * which names the owner (there may be several state folders) and is gone after a reboot, like the
 * rest.
 */

/*
 * Choose N, claim it, and make everything; fills the addresses and namespaces of lab->file. The
 * state is saved before each step. Returns 0, ERR_LIMIT (all N are taken), ERR_IO, ERR_DENIED,
 * ERR_NOTFOUND (no `ip`).
 */
MUST_CHECK int lab_net_up(struct lab *lab, struct err *e);

/* Remove whatever of it is there. No process may live in it any more. Returns 0 or ERR_IO. */
MUST_CHECK int lab_net_down(struct lab *lab, struct err *e);

/* Is this lab's claim on its subnet in place? If not, no namespace or route is its own. */
bool lab_net_is_ours(const struct lab *lab);

#endif
