#ifndef SCENARIOS_LAB_RABBITMQ_NODE_H
#define SCENARIOS_LAB_RABBITMQ_NODE_H

#include "scenarios/lab/lab.h"

/*
 * A RabbitMQ node of a lab: its programs, its files, its process. Written for and tried with 3.10 on
 * Erlang 25, as Debian 12 has them. In the lab's folder:
 *
 *     password, home/.erlang.cookie     of the user, and what nodes know each other by
 *     bin/                              RabbitMQ's own tools, which ask node 1
 *     rabbitmqN/                        start.sh, env.sh, rabbitmq.conf, the log
 */

#define RABBITMQ_USER "mqaudit"

/*
 * Find the program files: $RABBITMQ_HOME, or the newest of Debian's package; and Erlang's. Sets
 * file->libs (the folder with sbin/ and plugins/) and file->version. Returns 0, ERR_NOTFOUND (something
 * is missing, or another version was wished for: with a hint), ERR_USAGE (a wish that is Kafka's alone).
 */
MUST_CHECK int rabbitmq_programs(struct lab *lab, const struct lab_wish *wish, struct err *e);

/*
 * Where RabbitMQ is, and its version. Returns 0, or ERR_NOTFOUND with what is missing and a hint. Needs
 * no lab.
 */
MUST_CHECK int rabbitmq_find(
	char *ret_home, size_t home_len, char *ret_version, size_t version_len, struct err *e);

/* Write all files of the lab and its nodes; a new cookie and password. Returns 0, ERR_IO, ERR_NOMEM. */
MUST_CHECK int rabbitmq_configure(struct lab *lab, struct err *e);

/* Start the node's process in its namespace, with a name server (epmd) of its own beside it. */
MUST_CHECK int rabbitmq_start(struct lab *lab, struct labfile_node *node, struct err *e);

/* The lab's folder: the state file's path without ".json". */
void rabbitmq_folder(const struct labfile *file, char *ret, size_t len);

/*
 * The environment of `lab exec rabbitmq`: $RABBITMQ_BOOTSTRAP, _HOST, _PORT, _USER, _PASSWORD_FILE and
 * _URL (of node 1, with the password), $MQAUDIT_LAB, and the tools first in $PATH.
 */
MUST_CHECK int rabbitmq_environment(const struct labfile *file, struct err *e);

#endif
