#ifndef SCENARIOS_LAB_LAB_TLS_H
#define SCENARIOS_LAB_LAB_TLS_H

#include "scenarios/lab/lab.h"

/*
 * Certificates of a secure lab: an authority of its own, and one certificate for each node and client, in PEM files
 * of the lab's folder that are the owner's alone. Made by openssl.
 */

#define LAB_TLS_NODE_CN "mqaudit-lab-node" /* subject of the nodes' certificates */

/* Make the authority: before the rest. ERR_NOTFOUND without openssl. */
MUST_CHECK int lab_tls_authority(const struct lab *lab, struct err *e);

/*
 * Make a node's key and certificate, for its address and its name. The address stands in it as a DNS name as well:
 * rabbitmq-c 0.11 compares with nothing else.
 */
MUST_CHECK int lab_tls_node(const struct lab *lab, const struct labfile_node *node, struct err *e);

/* Make a client's, whose subject is its name. */
MUST_CHECK int lab_tls_client(const struct lab *lab, const char *name, struct err *e);

/* Paths: "ca" with ".pem" is the authority's certificate; a node's or client's name has ".key" and ".crt". */
void lab_tls_path(
	const struct lab *lab, const char *name, const char *ending, char *ret, size_t len);

#endif
