#ifndef SCENARIOS_LAB_RABBITMQ_SECURE_H
#define SCENARIOS_LAB_RABBITMQ_SECURE_H

#include "scenarios/lab/lab.h"

/*
 * A secure RabbitMQ lab: TLS only, with a certificate authority of its own; passwords; permissions. Each user has a
 * file of client properties in the lab's folder (mode 0600):
 *   admin     (the lab's user) may do everything
 *   alice     may do everything on queues and exchanges that start with "alice", and publish to the default
 *             exchange; has a certificate of the lab's authority as well: alice.crt, alice.key
 *   mallory   may log in, and nothing else
 */

#define RABBITMQ_TLS_PORT 5671

/* Keys, certificates (openssl), passwords and property files; sets file->client_config. */
MUST_CHECK int rabbitmq_secure_make(struct lab *lab, const char *admin_password, struct err *e);

/* Make the users, and give them their permissions; the cluster serves. Blocks up to half a minute. */
MUST_CHECK int rabbitmq_secure_grant(struct lab *lab, struct err *e);

#endif
