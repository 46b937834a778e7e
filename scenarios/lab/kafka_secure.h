#ifndef SCENARIOS_LAB_KAFKA_SECURE_H
#define SCENARIOS_LAB_KAFKA_SECURE_H

#include "scenarios/lab/lab.h"

/*
 * A secure Kafka lab: TLS with a certificate authority of its own, SCRAM-SHA-256, permissions.
 * Users, each with a random password and a file of librdkafka properties in the lab's folder (mode
 * 0600): admin      may do everything; the brokers among themselves as well alice      may do
 * everything on topics, groups and transactional ids that start with "alice" mallory    may do
 * nothing
 */

#define KAFKA_SECURE_USERS 3

/* Make keys and certificates (openssl), passwords and property files; sets file->client_config. */
MUST_CHECK int kafka_secure_make(struct lab *lab, struct err *e);

/* The user of that number (0 is admin) and the password, read back from the property file. */
MUST_CHECK int kafka_secure_user(const struct lab *lab, int i, const char **ret_name,
	char *ret_password, size_t len, struct err *e);

/* Files of a node's key with certificate, and of the authority's certificate. */
void kafka_secure_node_pem(
	const struct lab *lab, const struct labfile_node *node, char *ret, size_t len);
void kafka_secure_ca_pem(const struct lab *lab, char *ret, size_t len);

/* Give alice her permissions; the cluster serves. Blocks up to a minute. */
MUST_CHECK int kafka_secure_grant(struct lab *lab, struct err *e);

#endif
