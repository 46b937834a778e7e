#include "scenarios/lab/rabbitmq_secure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"
#include "scenarios/lab/lab_tls.h"
#include "scenarios/lab/rabbitmq_ask.h"

#define GRANT_TIMEOUT_NS (20 * NS_PER_S)
#define PASSWORD_LINE "\npassword="

/* Whoever publishes to the default exchange is asked for "amq.default". */
static const struct user {
	const char *name, *pattern;
} users[] = {{"alice", "^(alice.*|amq[.]default)$"}, {"mallory", "^$"}};
#define N_USERS (sizeof(users) / sizeof(users[0]))

static int write_properties(const struct lab *lab, const char *file, const char *user,
	const char *password, struct err *e)
{
	char path[PATHS_MAX], ca[PATHS_MAX], text[2 * PATHS_MAX];
	int n;

	lab_tls_path(lab, "ca", ".pem", ca, sizeof(ca));
	lab_tls_path(lab, file, ".properties", path, sizeof(path));
	n = snprintf(text, sizeof(text), "ssl.ca.location=%s\nuser=%s" PASSWORD_LINE "%s\n", ca,
		user, password);
	return paths_write_secret(path, text, (size_t)n, e);
}

int rabbitmq_secure_make(struct lab *lab, const char *admin_password, struct err *e)
{
	struct labfile *file = lab->file;
	char password[33];
	int r = lab_tls_authority(lab, e);

	for (size_t i = 0; i < file->n_nodes && r == 0; i++)
		r = lab_tls_node(lab, &file->node[i], e);
	if (r == 0)
		r = lab_tls_client(lab, users[0].name, e);
	if (r == 0)
		r = write_properties(lab, "admin", file->user, admin_password, e);
	for (size_t i = 0; i < N_USERS && r == 0; i++) {
		snprintf(password, sizeof(password), "%016llx%016llx",
			(unsigned long long)rng_system(), (unsigned long long)rng_system());
		r = write_properties(lab, users[i].name, users[i].name, password, e);
	}
	if (r)
		return err_wrap(e, "make keys and users");
	lab_tls_path(lab, "admin", ".properties", file->client_config, sizeof(file->client_config));
	return 0;
}

static int read_password(
	const struct lab *lab, const char *name, char *ret, size_t len, struct err *e)
{
	char path[PATHS_MAX], *text = NULL;
	const char *p;
	int r;

	lab_tls_path(lab, name, ".properties", path, sizeof(path));
	r = paths_read_file(path, 65536, &text, NULL, e);
	if (r)
		return r;
	p = strstr(text, PASSWORD_LINE);
	if (p) {
		p += strlen(PASSWORD_LINE);
		snprintf(ret, len, "%.*s", (int)strcspn(p, "\n"), p);
	} else {
		r = err_set(e, ERR_FORMAT, "'%s' has no password", path);
	}
	free(text);
	return r;
}

static int grant(struct lab *lab, const struct user *user, struct err *e)
{
	char password[64], question[1024], answer[64];
	int r = read_password(lab, user->name, password, sizeof(password), e);

	if (r)
		return r;
	/* names, patterns and passwords are the lab's own: nothing in them has to be quoted */
	snprintf(question, sizeof(question),
		"rabbit_auth_backend_internal:add_user(<<\"%s\">>, <<\"%s\">>, <<\"lab\">>),"
		" rabbit_auth_backend_internal:set_permissions(<<\"%s\">>, <<\"/\">>, <<\"%s\">>,"
		" <<\"%s\">>, <<\"%s\">>, <<\"lab\">>), \"done\".\n",
		user->name, password, user->name, user->pattern, user->pattern, user->pattern);
	return rabbitmq_eval(lab->file, &lab->file->node[0], question, GRANT_TIMEOUT_NS, answer,
		sizeof(answer), e);
}

int rabbitmq_secure_grant(struct lab *lab, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < N_USERS && r == 0; i++)
		r = grant(lab, &users[i], e);
	return r ? err_wrap(e, "make alice and mallory") : 0;
}
