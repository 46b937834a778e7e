#include "scenarios/lab/cluster.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "core/clock.h"
#include "core/proc.h"
#include "core/units.h"

#define FILE_MAX ((size_t)1 << 20)
#define LINE_MAX_BYTES 198 /* inih cuts longer lines in two */
#define TIMEOUT_DEFAULT "30s"
#define PORT_DEFAULT 9092
#define SCRIPT_MAX 65536
/* Values go into commands for other hosts, past a second shell that quotes nothing. */
#define VALUE_SIGNS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@%/+-"

static const char *const command_keys[] = {
#define CLUSTER_KEY_(name, key, what) key,
	CLUSTER_COMMANDS(CLUSTER_KEY_)
#undef CLUSTER_KEY_
};

const char *cluster_command_key(enum cluster_command command)
{
	return command_keys[command];
}

/* --- reading: called by inih for each line */

struct reader {
	struct cluster *c;
	struct cluster_node *node; /* whose section this is; NULL: the cluster's */
	char section[80];
	int rc;
	struct err *e;
};

static int wrong(struct reader *r, const char *key, const char *value, const char *why)
{
	r->rc = err_set(r->e, ERR_USAGE, "%s = %.80s: %s", key, value, why);
	return 0;
}

static int keep(struct reader *r, const char *key, const char *value, char *ret, size_t len)
{
	if (*ret)
		return wrong(r, key, value, "it is given twice");
	if (!*value || strlen(value) >= len)
		return wrong(r, key, value, *value ? "too long" : "nothing is there");
	snprintf(ret, len, "%s", value);
	return 1;
}

/* One that goes into commands. */
static int keep_safe(struct reader *r, const char *key, const char *value, char *ret, size_t len)
{
	if (strspn(value, VALUE_SIGNS) != strlen(value) || *value == '-')
		return wrong(r, key, value, "only letters, digits and ._:@%/+- can stand here");
	return keep(r, key, value, ret, len);
}

/* Does a line look like the beginning of another command, "start = ..."? */
static bool begins_command(const char *text)
{
	for (int i = 0; i < CLUSTER_COMMAND_N; i++) {
		size_t n = strlen(command_keys[i]);

		if (strncmp(text, command_keys[i], n) == 0 &&
			text[n + strspn(text + n, " \t")] == '=')
			return true;
	}
	return false;
}

/* A command, or its next line. */
static int keep_command(struct reader *r, const char *key, const char *value, char **command)
{
	size_t before = *command ? strlen(*command) + 1 : 0, n = strlen(value);
	char *text;

	if (!n)
		return wrong(r, key, value, "nothing is there");
	if (before && begins_command(value))
		return wrong(r, key, value,
			"a line that begins with a blank goes on with the command above it");
	if (before + n > CLUSTER_COMMAND_MAX)
		return wrong(r, key, value, "too long");
	text = realloc(*command, before + n + 1);
	if (!text) {
		r->rc = err_set(r->e, ERR_NOMEM, "out of memory");
		return 0;
	}
	if (before)
		text[before - 1] = '\n';
	memcpy(text + before, value, n + 1);
	*command = text;
	return 1;
}

static char **command_of(const char *key, char **commands)
{
	for (int i = 0; i < CLUSTER_COMMAND_N; i++)
		if (strcmp(key, command_keys[i]) == 0)
			return &commands[i];
	return NULL;
}

static int read_test(struct reader *r, const char *value)
{
	r->c->is_test = strcmp(value, "yes") == 0;
	if (r->c->is_test || strcmp(value, "no") == 0)
		return 1;
	return wrong(r, "test-cluster", value, "yes or no");
}

/* A path beside the cluster's file, unless it is absolute. */
static int read_client_config(struct reader *r, const char *value)
{
	const char *slash = strrchr(r->c->file, '/');
	char path[PATHS_MAX * 2];

	snprintf(path, sizeof(path), "%.*s%s", *value == '/' ? 0 : (int)(slash - r->c->file + 1),
		r->c->file, value);
	return keep(r, "client-config", path, r->c->client_config, sizeof(r->c->client_config));
}

static int read_cluster(struct reader *r, const char *key, const char *value)
{
	struct cluster *c = r->c;
	char **command = command_of(key, c->command);

	if (command)
		return keep_command(r, key, value, command);
	if (strcmp(key, "name") == 0)
		return keep(r, key, value, c->name, sizeof(c->name));
	if (strcmp(key, "bootstrap") == 0)
		return keep(r, key, value, c->bootstrap, sizeof(c->bootstrap));
	if (strcmp(key, "client-config") == 0)
		return read_client_config(r, value);
	if (strcmp(key, "test-cluster") == 0)
		return read_test(r, value);
	if (strcmp(key, "timeout") == 0) {
		r->rc = units_parse_duration(value, &c->timeout_ns, r->e);
		return r->rc == 0;
	}
	if (strcmp(key, "broker") == 0)
		return strcmp(value, "kafka") == 0 ? 1 : wrong(r, key, value, "it can be kafka");
	return wrong(r, key, value, "there is no such setting of a cluster");
}

/* "10.0.0.1", "10.0.0.1:9092", "[fd00::1]:9092". */
static int read_address(struct reader *r, const char *value)
{
	const char *colon = strrchr(value, ':'), *host = value;
	size_t n = strlen(value);
	char text[160], *end;

	r->node->port = PORT_DEFAULT;
	if (*value == '[' || (colon && strchr(value, ':') == colon)) {
		if (*value == '[' && (!colon || colon[-1] != ']'))
			return wrong(r, "address", value, "not [ADDRESS]:PORT");
		n = (size_t)(colon - value);
		r->node->port = (int)strtol(colon + 1, &end, 10);
		if (r->node->port < 1 || r->node->port > 65535 || *end)
			return wrong(r, "address", value, "its port is none");
	}
	if (*value == '[') {
		host++;
		n -= 2;
	}
	snprintf(text, sizeof(text), "%.*s", (int)n, host);
	return keep_safe(r, "address", text, r->node->address, sizeof(r->node->address));
}

static int read_id(struct reader *r, const char *value)
{
	char *end;
	long id = strtol(value, &end, 10);

	if (!*value || *end || id < 0 || id > 1000)
		return wrong(r, "id", value, "a number of a broker, 0 to 1000");
	if (r->node->id >= 0)
		return wrong(r, "id", value, "it is given twice");
	r->node->id = (int)id;
	return 1;
}

static int read_node(struct reader *r, const char *key, const char *value)
{
	char **command = command_of(key, r->node->command);

	if (command)
		return keep_command(r, key, value, command);
	if (strcmp(key, "id") == 0)
		return read_id(r, value);
	if (strcmp(key, "address") == 0)
		return read_address(r, value);
	if (strcmp(key, "host") == 0)
		return keep_safe(r, key, value, r->node->host, sizeof(r->node->host));
	return wrong(r, key, value, "there is no such setting of a node");
}

/* "[node NAME]". */
static int begin_node(struct reader *r, const char *name)
{
	struct cluster *c = r->c;

	name += strspn(name, " \t");
	if (c->n_nodes == LABFILE_MAX_NODES)
		return wrong(r, "node", name, "there are too many");
	if (cluster_find(c, name))
		return wrong(r, "node", name, "it is there twice");
	r->node = &c->node[c->n_nodes++];
	r->node->id = -1;
	return keep_safe(r, "node", name, r->node->name, sizeof(r->node->name));
}

static int begin_section(struct reader *r, const char *section)
{
	snprintf(r->section, sizeof(r->section), "%s", section);
	r->node = NULL;
	if (strcmp(section, "cluster") == 0)
		return 1;
	if (strncmp(section, "node ", 5) == 0)
		return begin_node(r, section + 5);
	r->rc = err_set(r->e, ERR_USAGE, "section '%.60s': [cluster] or [node NAME]", section);
	return 0;
}

static int read_line(void *user, const char *section, const char *key, const char *value)
{
	struct reader *r = user;

	/* inih goes on after an error: the first one counts */
	if (r->rc)
		return 0;
	if (strcmp(section, r->section) != 0 && !begin_section(r, section))
		return 0;
	return r->node ? read_node(r, key, value) : read_cluster(r, key, value);
}

/* What inih would take apart without a word. */
static int check_lines(const char *text, struct err *e)
{
	for (int line = 1; *text; line++) {
		size_t n = strcspn(text, "\n"), at = strspn(text, " \t");

		if (n > LINE_MAX_BYTES) {
			err_set(e, ERR_USAGE, "line %d: longer than %d bytes", line,
				LINE_MAX_BYTES);
			return err_hint(e,
				"a command goes on in the next line if that begins with a blank; "
				"end the first with \\");
		}
		for (size_t i = at; i + 1 < n && text[at] != '#' && text[at] != ';'; i++) {
			if (!isblank((unsigned char)text[i]) || text[i + 1] != ';')
				continue;
			err_set(e, ERR_USAGE, "line %d: ' ;' would begin a comment", line);
			return err_hint(e, "write ; without a blank before it");
		}
		text += n + (text[n] == '\n');
	}
	return 0;
}

static int same_id(const struct cluster *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (c->node[k].id == c->node[i].id)
			return 1;
	return 0;
}

/* Every command must be fit to be run, before any is. */
static int check_commands(const struct cluster *c, struct cluster_node *node, struct err *e)
{
	static const struct cluster_values none = {"", ""};
	int r = 0;

	for (int i = 0; i < CLUSTER_COMMAND_N && r == 0; i++) {
		const char *command = node->command[i] ? node->command[i] : c->command[i];
		struct buf out;

		if (!command)
			continue;
		buf_init(&out, SCRIPT_MAX);
		r = cluster_render(c, node, command, &none, &out, e);
		buf_release(&out);
		if (r)
			err_wrap(e, "%s", command_keys[i]);
	}
	return r;
}

static int check(struct cluster *c, struct err *e)
{
	int r = labfile_check_name(c->name, e);

	if (r)
		return c->name[0] ? r : err_set(e, ERR_USAGE, "[cluster] has no name");
	if (!c->bootstrap[0])
		return err_set(e, ERR_USAGE, "[cluster] has no bootstrap");
	if (c->n_nodes == 0)
		return err_set(e, ERR_USAGE, "there is no [node NAME]");
	for (size_t i = 0; i < c->n_nodes && r == 0; i++) {
		struct cluster_node *node = &c->node[i];

		if (node->id < 0 || !node->address[0])
			return err_set(e, ERR_USAGE, "[node %s] has no %s", node->name,
				node->id < 0 ? "id" : "address");
		if (same_id(c, i))
			return err_set(e, ERR_USAGE, "[node %s]: id %d is another's too",
				node->name, node->id);
		if (!node->host[0])
			snprintf(node->host, sizeof(node->host), "%s", node->address);
		r = check_commands(c, node, e);
	}
	return r;
}

static int parse(const char *text, struct cluster *c, struct err *e)
{
	struct reader reader = {.c = c, .e = e, .section = "?"}; /* none is called so */
	int line, r = check_lines(text, e);

	if (r)
		return r;
	line = ini_parse_string(text, read_line, &reader);
	if (reader.rc)
		return err_wrap(e, "line %d", line);
	if (line)
		return err_set(e, ERR_USAGE, "line %d: not 'name = value'", line);
	return check(c, e);
}

int cluster_load(const char *path, struct cluster **ret, struct err *e)
{
	struct cluster *c = calloc(1, sizeof(*c));
	char *text = NULL, *absolute = NULL;
	int r = c ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	*ret = NULL;
	if (r == 0)
		r = units_parse_duration(TIMEOUT_DEFAULT, &c->timeout_ns, e);
	if (r == 0)
		r = paths_read_file(path, FILE_MAX, &text, NULL, e);
	if (r)
		goto out;
	absolute = realpath(path, NULL);
	if (!absolute || strlen(absolute) >= sizeof(c->file)) {
		r = err_set_errno(
			e, ERR_IO, absolute ? ENAMETOOLONG : errno, "cannot find '%s'", path);
		goto out;
	}
	snprintf(c->file, sizeof(c->file), "%s", absolute);
	r = parse(text, c, e);
	if (r)
		err_wrap(e, "cluster file '%s'", path);
out:
	free(absolute);
	free(text);
	if (r)
		cluster_free(c);
	else
		*ret = c;
	return r;
}

void cluster_free(struct cluster *c)
{
	if (!c)
		return;
	for (int i = 0; i < CLUSTER_COMMAND_N; i++)
		free(c->command[i]);
	for (size_t k = 0; k < c->n_nodes; k++)
		for (int i = 0; i < CLUSTER_COMMAND_N; i++)
			free(c->node[k].command[i]);
	free(c);
}

/* --- questions */

int cluster_check_test(const struct cluster *c, struct err *e)
{
	if (c->is_test)
		return 0;
	err_set(e, ERR_USAGE, "cluster '%s' is not declared a test cluster: nothing was touched",
		c->name);
	return err_hint(e,
		"faults lose messages on purpose; if nobody needs what this cluster holds, write "
		"test-cluster = yes below [cluster] in '%.200s'",
		c->file);
}

const struct cluster_node *cluster_find(const struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (strcmp(c->node[i].name, name) == 0)
			return &c->node[i];
	return NULL;
}

static const char *text_of(
	const struct cluster *c, const struct cluster_node *node, enum cluster_command command)
{
	return node->command[command] ? node->command[command] : c->command[command];
}

bool cluster_has_command(
	const struct cluster *c, const struct cluster_node *node, enum cluster_command command)
{
	return text_of(c, node, command) != NULL;
}

int cluster_check_command(const struct cluster *c, const struct cluster_node *node,
	enum cluster_command command, struct err *e)
{
	static const char *const what[] = {
#define CLUSTER_WHAT_(name, key, text) text,
		CLUSTER_COMMANDS(CLUSTER_WHAT_)
#undef CLUSTER_WHAT_
	};

	if (cluster_has_command(c, node, command))
		return 0;
	err_set(e, ERR_USAGE, "cluster '%s' has no command '%s' for %s", c->name,
		command_keys[command], node->name);
	return err_hint(e, "%s = COMMAND in '%.200s': it %s", command_keys[command], c->file,
		what[command]);
}

/* --- running */

/* The value of a placeholder into out; false: there is none of that name. */
static bool add_value(const struct cluster *c, const struct cluster_node *node,
	const struct cluster_values *values, const char *name, struct buf *out)
{
	char number[16];

	if (strcmp(name, "peers") == 0) {
		const char *blank = "";

		for (size_t i = 0; i < c->n_nodes; i++) {
			if (&c->node[i] == node)
				continue;
			buf_str_add(out, blank);
			buf_shell_word(out, c->node[i].address);
			blank = " ";
		}
		return true;
	}
	snprintf(number, sizeof(number), "%d", strcmp(name, "id") == 0 ? node->id : node->port);
	const struct {
		const char *name, *value;
	} all[] = {{"node", node->name}, {"id", number}, {"port", number}, {"host", node->host},
		{"address", node->address}, {"from", values->from},
		{"direction", values->direction}};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i].name, name) != 0)
			continue;
		buf_shell_word(out, all[i].value);
		return true;
	}
	return false;
}

/* The length of "word" in "{word}", for words of small letters; 0: that is none. */
static size_t placeholder(const char *brace)
{
	size_t n = strspn(brace + 1, "abcdefghijklmnopqrstuvwxyz-");

	return brace[1 + n] == '}' ? n : 0;
}

int cluster_render(const struct cluster *c, const struct cluster_node *node, const char *command,
	const struct cluster_values *values, struct buf *out, struct err *e)
{
	char name[40];
	int r;

	for (const char *p = command; *p;) {
		size_t plain = strcspn(p, "{"), n;

		buf_add(out, p, plain);
		p += plain;
		if (!*p)
			break;
		n = placeholder(p);
		/* "${name}" is the shell's own */
		if (!n || (p > command && p[-1] == '$')) {
			buf_char(out, *p++);
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)n, p + 1);
		if (!add_value(c, node, values, name, out)) {
			err_set(e, ERR_USAGE, "{%s} stands for nothing", name);
			return err_hint(e, "{node} {id} {host} {address} {port} {peers} {from} "
					   "{direction}; for a brace of the command's own leave a "
					   "blank behind it");
		}
		p += n + 2;
	}
	r = buf_failed(out);
	return r ? err_set(e, r, "the command is too long") : 0;
}

/* The end of a command's output, in one line, for an error. */
static void last_output(const struct buf *out, char *ret, size_t len)
{
	const char *text = buf_str(out);
	size_t n = out->len;

	while (n && isspace((unsigned char)text[n - 1]))
		n--;
	if (n >= len) {
		text += n - (len - 1);
		n = len - 1;
	}
	memcpy(ret, text, n);
	ret[n] = '\0';
	for (char *p = ret; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

static int run_script(const struct cluster *c, const char *script, int *ret_exit, char *said,
	size_t len, struct err *e)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf out;
	int r;

	buf_init(&out, BUF_MAX_DEFAULT);
	spec.argv = argv;
	r = proc_run(&spec, NULL, true, c->timeout_ns, &out, ret_exit, e);
	last_output(&out, said, len);
	if (r == ERR_TIMEOUT)
		r = err_set(e, r, "it did not end within %lld s%s%s",
			(long long)(c->timeout_ns / NS_PER_S), *said ? "; it said: " : "", said);
	buf_release(&out);
	return r;
}

int cluster_run(const struct cluster *c, const struct cluster_node *node,
	enum cluster_command command, const struct cluster_values *values, int *ret_exit,
	struct err *e)
{
	char said[400];
	struct buf script;
	int code = 0, r = cluster_check_command(c, node, command, e);

	if (r)
		return r;
	buf_init(&script, SCRIPT_MAX);
	r = cluster_render(c, node, text_of(c, node, command), values, &script, e);
	if (r == 0)
		r = run_script(c, buf_str(&script), &code, said, sizeof(said), e);
	if (r == 0 && !ret_exit && code != 0)
		r = err_set(
			e, ERR_IO, "it ended with %d: %s", code, *said ? said : "it said nothing");
	if (r == 0 && ret_exit)
		*ret_exit = code;
	buf_release(&script);
	return r ? err_wrap(e, "command '%s' for %s", command_keys[command], node->name) : 0;
}
