#include "scenarios/lab/lab_tls.h"

#include <stdio.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "core/proc.h"

#define OPENSSL_TIMEOUT_NS (30 * NS_PER_S)

void lab_tls_path(
	const struct lab *lab, const char *name, const char *ending, char *ret, size_t len)
{
	snprintf(ret, len, "%.440s/%s%s", lab->folder, name, ending);
}

/* Files that openssl makes are the owner's alone. */
static int openssl(const char *const *argv, struct err *e)
{
	mode_t before = umask(077);
	int r = proc_check(argv, NULL, OPENSSL_TIMEOUT_NS, NULL, e);

	umask(before);
	if (r == ERR_NOTFOUND)
		err_hint(e, "a secure lab makes its certificates with it; Debian: apt-get install "
			    "openssl");
	return r;
}

int lab_tls_authority(const struct lab *lab, struct err *e)
{
	char key[PATHS_MAX], cert[PATHS_MAX];
	const char *argv[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=mqaudit-lab-ca",
		"-keyout", key, "-out", cert, NULL};

	lab_tls_path(lab, "ca", ".key", key, sizeof(key));
	lab_tls_path(lab, "ca", ".pem", cert, sizeof(cert));
	return openssl(argv, e);
}

static int make(const struct lab *lab, const char *name, const char *subject, const char *extension,
	struct err *e)
{
	char ca_key[PATHS_MAX], ca[PATHS_MAX], key[PATHS_MAX], cert[PATHS_MAX];
	const char *argv[] = {"openssl", "req", "-x509", "-CA", ca, "-CAkey", ca_key, "-newkey",
		"ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj",
		subject, "-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE",
		"-keyout", key, "-out", cert, NULL};

	lab_tls_path(lab, "ca", ".key", ca_key, sizeof(ca_key));
	lab_tls_path(lab, "ca", ".pem", ca, sizeof(ca));
	lab_tls_path(lab, name, ".key", key, sizeof(key));
	lab_tls_path(lab, name, ".crt", cert, sizeof(cert));
	return openssl(argv, e);
}

int lab_tls_node(const struct lab *lab, const struct labfile_node *node, struct err *e)
{
	char names[400];

	snprintf(names, sizeof(names), "subjectAltName=IP:%s,DNS:%s,DNS:%s", node->address,
		node->address, node->name);
	return make(lab, node->name, "/CN=" LAB_TLS_NODE_CN, names, e);
}

int lab_tls_client(const struct lab *lab, const char *name, struct err *e)
{
	char subject[80];

	snprintf(subject, sizeof(subject), "/CN=%s", name);
	return make(lab, name, subject, "extendedKeyUsage=clientAuth", e);
}
