#include "scenarios/lab/kafka_secure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/broker/kafka_ping.h"
#include "core/clock.h"
#include "core/rng.h"
#include "scenarios/lab/kafka_tools.h"
#include "scenarios/lab/lab_process.h"
#include "scenarios/lab/lab_tls.h"

#define GRANT_TIMEOUT_NS (60 * NS_PER_S)
#define PASSWORD_LINE "\nsasl.password="

static const char *const users[KAFKA_SECURE_USERS] = {"admin", "alice", "mallory"};

static void in_folder(
	const struct lab *lab, const char *name, const char *ending, char *ret, size_t len)
{
	snprintf(ret, len, "%.440s/%s%s", lab->folder, name, ending);
}

void kafka_secure_node_pem(
	const struct lab *lab, const struct labfile_node *node, char *ret, size_t len)
{
	in_folder(lab, node->name, ".pem", ret, len);
}

void kafka_secure_ca_pem(const struct lab *lab, char *ret, size_t len)
{
	in_folder(lab, "ca", ".pem", ret, len);
}

/* Kafka wants one PEM file: the key (PKCS#8) and then the certificate. */
static int join(const char *key, const char *cert, const char *to, struct err *e)
{
	char *a = NULL, *b = NULL;
	struct buf both;
	int r;

	buf_init(&both, 65536);
	r = paths_read_file(key, 32768, &a, NULL, e);
	if (r == 0)
		r = paths_read_file(cert, 32768, &b, NULL, e);
	if (r == 0) {
		buf_str_add(&both, a);
		buf_str_add(&both, b);
		r = paths_write_secret(to, buf_str(&both), both.len, e);
	}
	buf_release(&both);
	free(a);
	free(b);
	return r;
}

static int make_node(const struct lab *lab, const struct labfile_node *node, struct err *e)
{
	char key[PATHS_MAX], cert[PATHS_MAX], pem[PATHS_MAX];
	int r = lab_tls_node(lab, node, e);

	in_folder(lab, node->name, ".key", key, sizeof(key));
	in_folder(lab, node->name, ".crt", cert, sizeof(cert));
	kafka_secure_node_pem(lab, node, pem, sizeof(pem));
	return r ? r : join(key, cert, pem, e);
}

static int write_user(const struct lab *lab, const char *name, struct err *e)
{
	char path[PATHS_MAX], ca[PATHS_MAX], text[2 * PATHS_MAX], password[33];
	bool scram = kafka_ping_scram_works((int)strtol(lab->file->version, NULL, 10));
	int r, n;

	snprintf(password, sizeof(password), "%016llx%016llx", (unsigned long long)rng_system(),
		(unsigned long long)rng_system());
	kafka_secure_ca_pem(lab, ca, sizeof(ca));
	n = snprintf(text, sizeof(text),
		"bootstrap.servers=%s\nsecurity.protocol=SASL_SSL\nssl.ca.location=%s\n"
		"sasl.mechanism=%s\nsasl.username=%s" PASSWORD_LINE "%s\n",
		lab->file->bootstrap, ca, scram ? "SCRAM-SHA-256" : "PLAIN", name, password);
	in_folder(lab, name, ".properties", path, sizeof(path));
	r = paths_write_secret(path, text, (size_t)n, e);
	if (r)
		return r;
	/* for Kafka's own tools */
	n = snprintf(text, sizeof(text),
		"security.protocol=SASL_SSL\nssl.truststore.type=PEM\nssl.truststore.location=%s\n"
		"sasl.mechanism=SCRAM-SHA-256\nsasl.jaas.config="
		"org.apache.kafka.common.security.scram.ScramLoginModule required username=\"%s\" "
		"password=\"%s\";\n",
		ca, name, password);
	in_folder(lab, name, ".java.properties", path, sizeof(path));
	return paths_write_secret(path, text, (size_t)n, e);
}

int kafka_secure_make(struct lab *lab, struct err *e)
{
	struct labfile *file = lab->file;
	int r = lab_tls_authority(lab, e);

	for (size_t i = 0; i < file->n_nodes && r == 0; i++)
		r = make_node(lab, &file->node[i], e);
	for (int i = 0; i < KAFKA_SECURE_USERS && r == 0; i++)
		r = write_user(lab, users[i], e);
	if (r)
		return err_wrap(e, "make keys and users");
	in_folder(lab, users[0], ".properties", file->client_config, sizeof(file->client_config));
	return 0;
}

int kafka_secure_user(const struct lab *lab, int i, const char **ret_name, char *ret_password,
	size_t len, struct err *e)
{
	char path[PATHS_MAX], *text = NULL;
	const char *p;
	int r;

	in_folder(lab, users[i], ".properties", path, sizeof(path));
	r = paths_read_file(path, 65536, &text, NULL, e);
	if (r)
		return r;
	p = strstr(text, PASSWORD_LINE);
	if (p) {
		p += strlen(PASSWORD_LINE);
		snprintf(ret_password, len, "%.*s", (int)strcspn(p, "\n"), p);
		*ret_name = users[i];
	} else {
		r = err_set(e, ERR_FORMAT, "'%s' has no password", path);
	}
	free(text);
	return r;
}

int kafka_secure_grant(struct lab *lab, struct err *e)
{
	char tool[PATHS_MAX];
	const char *argv[] = {tool, "--bootstrap-server", lab->file->bootstrap, "--add",
		"--allow-principal", "User:alice", "--operation", "All", "--topic", "alice",
		"--group", "alice", "--transactional-id", "alice", "--resource-pattern-type",
		"prefixed", NULL};
	int r;

	kafka_tools_path(lab, "kafka-acls", tool, sizeof(tool));
	r = lab_run_inside(lab->file->client_netns, argv, NULL, GRANT_TIMEOUT_NS, NULL, e);
	return r ? err_wrap(e, "give alice her permissions") : 0;
}
