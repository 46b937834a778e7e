#include "scenarios/lab/rabbitmq_node.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/proc.h"
#include "core/rng.h"
#include "lab_data.h"
#include "scenarios/lab/lab_process.h"
#include "scenarios/lab/rabbitmq_secure.h"
#include "scenarios/lab/template.h"

#define PACKAGED "/usr/lib/rabbitmq/lib/rabbitmq_server-*"
#define HINT "Debian: apt-get install --no-install-recommends rabbitmq-server; or set RABBITMQ_HOME"
#define SECRET_LEN 33

void rabbitmq_folder(const struct labfile *file, char *ret, size_t len)
{
	char state[PATHS_MAX] = "";

	err_ignore(labfile_path(file->name, file->kind, state, sizeof(state), NULL));
	snprintf(ret, len, "%.*s", (int)(strlen(state) - strlen(".json")), state);
}

/* --- programs */

/* The last path that matches; false: none does. */
static bool find_last(const char *pattern, char *ret, size_t len)
{
	glob_t found;
	bool any = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0;

	if (any)
		snprintf(ret, len, "%s", found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	return any;
}

/* "plugins/rabbit-3.10.8" or "plugins/rabbit-3.10.8.ez". */
static bool read_version(const char *home, char *ret, size_t len)
{
	char pattern[PATHS_MAX + 32], path[PATHS_MAX + 64], *end;

	snprintf(pattern, sizeof(pattern), "%s/plugins/rabbit-[0-9]*", home);
	if (!find_last(pattern, path, sizeof(path)))
		return false;
	snprintf(ret, len, "%.20s", strrchr(path, '-') + 1);
	end = strstr(ret, ".ez");
	if (end)
		*end = '\0';
	return true;
}

int rabbitmq_find(
	char *ret_home, size_t home_len, char *ret_version, size_t version_len, struct err *e)
{
	static const char *const programs[] = {"erl", "epmd", "erl_call"};
	const char *own = getenv("RABBITMQ_HOME");
	char server[PATHS_MAX + 32], path[PATHS_MAX];

	if (own && *own)
		snprintf(ret_home, home_len, "%s", own);
	else if (!find_last(PACKAGED, ret_home, home_len)) {
		err_set(e, ERR_NOTFOUND, "RabbitMQ is not installed");
		return err_hint(e, HINT);
	}
	snprintf(server, sizeof(server), "%.*s/sbin/rabbitmq-server", PATHS_MAX, ret_home);
	if (access(server, X_OK) != 0 || !read_version(ret_home, ret_version, version_len)) {
		err_set(e, ERR_NOTFOUND, "'%s' holds no RabbitMQ", ret_home);
		return err_hint(e, HINT);
	}
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (proc_find_program(programs[i], path, sizeof(path)))
			continue;
		err_set(e, ERR_NOTFOUND, "RabbitMQ needs Erlang: there is no '%s'", programs[i]);
		return err_hint(e, "Debian: apt-get install erlang-base");
	}
	return 0;
}

static int check_wish(const struct lab *lab, const struct lab_wish *wish, struct err *e)
{
	if (wish->jvm_options)
		return err_set(e, ERR_USAGE, "--jvm-options: RabbitMQ runs on no JVM");
	if (lab->file->network == LABFILE_ON_LOOPBACK) {
		/* each would need the name server's port 4369, on 127.0.0.1 as well */
		err_set(e, ERR_USAGE, "RabbitMQ's nodes cannot share one machine's loopback");
		return err_hint(e, "--network namespaces (as root) or user-namespaces");
	}
	return 0;
}

int rabbitmq_programs(struct lab *lab, const struct lab_wish *wish, struct err *e)
{
	struct labfile *file = lab->file;
	int r = check_wish(lab, wish, e);

	if (r == 0)
		r = rabbitmq_find(
			file->libs, sizeof(file->libs), file->version, sizeof(file->version), e);
	if (r)
		return r;
	if (wish->version && strcmp(wish->version, file->version) != 0) {
		err_set(e, ERR_NOTFOUND, "RabbitMQ %s is not installed: '%s' is %s", wish->version,
			file->libs, file->version);
		return err_hint(e, "unpack it somewhere and set RABBITMQ_HOME");
	}
	for (size_t i = 0; file->secure && i < file->n_nodes; i++)
		file->node[i].port = RABBITMQ_TLS_PORT;
	return 0;
}

/* --- files */

static void node_path(
	const struct lab *lab, const char *node, const char *name, char *ret, size_t len)
{
	snprintf(ret, len, "%.400s/%s/%s", lab->folder, node, name);
}

static int finish_file(const char *path, struct buf *b, mode_t mode, int r, struct err *e)
{
	if (r == 0 && buf_failed(b))
		r = err_set(e, b->failed, "%s", err_code_text(b->failed));
	if (r == 0)
		r = paths_write_secret(path, buf_str(b), b->len, e);
	if (r == 0 && chmod(path, mode) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot set the mode of '%s'", path);
	buf_release(b);
	return r;
}

static int write_filled(const char *path, const char *text, const struct template_pair *pairs,
	mode_t mode, struct err *e)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	template_fill(&b, text, pairs);
	return finish_file(path, &b, mode, 0, e);
}

static void make_secret(char ret[SECRET_LEN])
{
	snprintf(ret, SECRET_LEN, "%016llx%016llx", (unsigned long long)rng_system(),
		(unsigned long long)rng_system());
}

/* Letters, digits and no more: both stand in configuration files and in a URL. */
static int write_secrets(struct lab *lab, char password[SECRET_LEN], struct err *e)
{
	struct labfile *file = lab->file;
	char path[PATHS_MAX], cookie[SECRET_LEN], line[SECRET_LEN + 1];
	struct buf b;
	int r;

	make_secret(password);
	make_secret(cookie);
	snprintf(file->user, sizeof(file->user), "%s", RABBITMQ_USER);
	snprintf(file->password_file, sizeof(file->password_file), "%.440s/password", lab->folder);
	snprintf(line, sizeof(line), "%s\n", password);
	r = paths_write_secret(file->password_file, line, strlen(line), e);
	snprintf(path, sizeof(path), "%.440s/home", lab->folder);
	if (r == 0)
		r = paths_make(path, 0700, e);
	snprintf(path, sizeof(path), "%.440s/home/.erlang.cookie", lab->folder);
	buf_init(&b, 256);
	buf_str_add(&b, cookie);
	return finish_file(path, &b, 0400, r, e);
}

static int write_config(
	const struct lab *lab, const struct labfile_node *node, const char *password, struct err *e)
{
	const struct labfile *file = lab->file;
	char port[12], path[PATHS_MAX];
	const struct template_pair pairs[] = {{"ADDRESS", node->address}, {"CLIENT_PORT", port},
		{"LAB", file->name}, {"LAB_FOLDER", lab->folder}, {"NODE", node->name},
		{"USER", file->user}, {"PASSWORD", password}, {NULL, NULL}};
	struct buf b;

	snprintf(port, sizeof(port), "%d", node->port);
	buf_init(&b, 1 << 20);
	template_fill(&b, LAB_RABBITMQ_RABBITMQ_CONF, pairs);
	template_fill(&b,
		file->secure ? LAB_RABBITMQ_LISTENERS_SECURE_CONF
			     : LAB_RABBITMQ_LISTENERS_PLAIN_CONF,
		pairs);
	buf_char(&b, '\n');
	/* the first begins alone, at once: among peers it would try 5 s to join one that is not there */
	for (size_t i = 0; i < (node == file->node ? 1 : file->n_nodes); i++)
		buf_printf(&b, "cluster_formation.classic_config.nodes.%zu = rabbit@%s\n", i + 1,
			file->node[i].address);
	if (file->n_settings)
		buf_str_add(&b, "\n# the user's own\n");
	for (size_t i = 0; i < file->n_settings; i++)
		buf_printf(&b, "%s\n", file->setting[i]);
	node_path(lab, node->name, "rabbitmq.conf", path, sizeof(path));
	return finish_file(path, &b, 0600, 0, e);
}

/* Paths stand in shell scripts: as single words. */
static int write_scripts(const struct lab *lab, const struct labfile_node *node, struct err *e)
{
	char path[PATHS_MAX];
	struct buf lab_folder, folder, data, home;
	const struct template_pair none[] = {{NULL, NULL}};
	int r;

	buf_init(&lab_folder, 4096);
	buf_init(&folder, 4096);
	buf_init(&data, 4096);
	buf_init(&home, 4096);
	node_path(lab, node->name, "", path, sizeof(path));
	path[strlen(path) - 1] = '\0';
	buf_shell_word(&lab_folder, lab->folder);
	buf_shell_word(&folder, path);
	buf_shell_word(&data, node->data);
	buf_shell_word(&home, lab->file->libs);
	const struct template_pair pairs[] = {{"LAB_FOLDER", buf_str(&lab_folder)},
		{"NODE_FOLDER", buf_str(&folder)}, {"NODE", node->name}, {"DATA", buf_str(&data)},
		{"HOME", buf_str(&home)}, {"ADDRESS", node->address}, {"NETNS", node->netns},
		{NULL, NULL}};

	node_path(lab, node->name, "env.sh", path, sizeof(path));
	r = write_filled(path, LAB_RABBITMQ_ENV_SH, pairs, 0644, e);
	node_path(lab, node->name, "start.sh", path, sizeof(path));
	if (r == 0)
		r = write_filled(path, LAB_RABBITMQ_START_SH, pairs, 0755, e);
	node_path(lab, node->name, "advanced.config", path, sizeof(path));
	if (r == 0)
		r = write_filled(path, "[].\n", none, 0644, e);
	node_path(lab, node->name, "enabled_plugins", path, sizeof(path));
	if (r == 0)
		r = write_filled(path, "[].\n", none, 0644, e);
	buf_release(&lab_folder);
	buf_release(&folder);
	buf_release(&data);
	buf_release(&home);
	return r;
}

static int write_tool(const struct lab *lab, const char *tool, struct err *e)
{
	const struct labfile *file = lab->file;
	char path[PATHS_MAX];
	struct buf folder, home;
	int r;

	buf_init(&folder, 4096);
	buf_init(&home, 4096);
	buf_shell_word(&folder, lab->folder);
	buf_shell_word(&home, file->libs);
	const struct template_pair pairs[] = {{"LAB_FOLDER", buf_str(&folder)},
		{"NODE", file->node[0].name}, {"HOME", buf_str(&home)}, {"TOOL", tool},
		{NULL, NULL}};

	node_path(lab, "bin", tool, path, sizeof(path));
	r = write_filled(path, LAB_RABBITMQ_TOOL_SH, pairs, 0755, e);
	buf_release(&folder);
	buf_release(&home);
	return r;
}

static int write_tools(const struct lab *lab, struct err *e)
{
	static const char *const tools[] = {"rabbitmqctl", "rabbitmq-diagnostics",
		"rabbitmq-queues", "rabbitmq-streams", "rabbitmq-plugins", "rabbitmq-upgrade"};
	char folder[PATHS_MAX];
	int r;

	snprintf(folder, sizeof(folder), "%.440s/bin", lab->folder);
	r = paths_make(folder, 0755, e);
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]) && r == 0; i++)
		r = write_tool(lab, tools[i], e);
	return r;
}

static int configure_node(
	const struct lab *lab, const struct labfile_node *node, const char *password, struct err *e)
{
	static const char *const folders[] = {"none", "generated"};
	char path[PATHS_MAX];
	int r = 0;

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && r == 0; i++) {
		node_path(lab, node->name, folders[i], path, sizeof(path));
		r = paths_make(path, 0700, e);
	}
	if (r == 0)
		r = write_config(lab, node, password, e);
	return r ? r : write_scripts(lab, node, e);
}

int rabbitmq_configure(struct lab *lab, struct err *e)
{
	char password[SECRET_LEN];
	int r = write_secrets(lab, password, e);

	if (r == 0 && lab->file->secure)
		r = rabbitmq_secure_make(lab, password, e);
	for (size_t i = 0; i < lab->file->n_nodes && r == 0; i++)
		r = configure_node(lab, &lab->file->node[i], password, e);
	return r ? r : write_tools(lab, e);
}

/* --- the process */

int rabbitmq_start(struct lab *lab, struct labfile_node *node, struct err *e)
{
	char path[PATHS_MAX];
	const char *argv[] = {"/bin/sh", path, NULL};

	node_path(lab, node->name, "start.sh", path, sizeof(path));
	return lab_spawn(lab, node, argv, e);
}

/* --- lab exec */

static bool set(const char *name, const char *value)
{
	return setenv(name, value, 1) == 0;
}

int rabbitmq_environment(const struct labfile *file, struct err *e)
{
	char folder[PATHS_MAX], path[8192], port[12], url[256], *password = NULL;
	const char *before = getenv("PATH");
	const struct labfile_node *node = &file->node[0];
	int r = paths_read_file(file->password_file, 256, &password, NULL, e);

	if (r)
		return r;
	password[strcspn(password, "\n")] = '\0';
	rabbitmq_folder(file, folder, sizeof(folder));
	snprintf(path, sizeof(path), "%s/bin:%s", folder,
		before && *before ? before : "/usr/bin:/bin");
	snprintf(port, sizeof(port), "%d", node->port);
	snprintf(url, sizeof(url), "amqp%s://%s:%s@%s:%s/%%2F", file->secure ? "s" : "", file->user,
		password, node->address, port);
	if (file->secure && !set("RABBITMQ_CLIENT_CONFIG", file->client_config))
		r = ERR_NOMEM;
	if (r || !set("PATH", path) || !set("MQAUDIT_LAB", file->name) ||
		!set("RABBITMQ_BOOTSTRAP", file->bootstrap) ||
		!set("RABBITMQ_HOST", node->address) || !set("RABBITMQ_PORT", port) ||
		!set("RABBITMQ_USER", file->user) ||
		!set("RABBITMQ_PASSWORD_FILE", file->password_file) || !set("RABBITMQ_URL", url))
		r = err_set_errno(e, ERR_NOMEM, errno, "cannot set the environment");
	free(password);
	return r;
}
