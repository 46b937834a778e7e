#include "core/labfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "core/proc.h"

#define FORMAT "mqaudit-lab/1"
#define FILE_MAX ((size_t)1 << 20)
#define MAX_LISTED 4096
#define PID_LIMIT (1 << 22)

static const char *const state_texts[] = {
#define LABFILE_TEXT_(name, text) text,
	LABFILE_STATES(LABFILE_TEXT_)
#undef LABFILE_TEXT_
};
static const char *const network_texts[] = {
#define LABFILE_TEXT_(name, text) text,
	LABFILE_NETWORKS(LABFILE_TEXT_)
#undef LABFILE_TEXT_
};
static const char *const node_state_texts[] = {
#define LABFILE_TEXT_(name, text) text,
	LABFILE_NODE_STATES(LABFILE_TEXT_)
#undef LABFILE_TEXT_
};
static const char *const fault_state_texts[] = {
#define LABFILE_TEXT_(name, text) text,
	LABFILE_FAULT_STATES(LABFILE_TEXT_)
#undef LABFILE_TEXT_
};
static const char *const disk_state_texts[] = {
#define LABFILE_TEXT_(name, text) text,
	LABFILE_DISK_STATES(LABFILE_TEXT_)
#undef LABFILE_TEXT_
};
static const char *const disk_kind_texts[] = {"plain", "loop"};

const char *labfile_state_text(enum labfile_state state)
{
	return state_texts[state];
}

const char *labfile_network_text(enum labfile_network network)
{
	return network_texts[network];
}

bool labfile_network_parse(const char *text, enum labfile_network *ret)
{
	for (int i = 0; i < LABFILE_NETWORK_N; i++) {
		if (strcmp(text, network_texts[i]) != 0)
			continue;
		*ret = (enum labfile_network)i;
		return true;
	}
	return false;
}

const char *labfile_node_state_text(enum labfile_node_state state)
{
	return node_state_texts[state];
}

const char *labfile_fault_state_text(enum labfile_fault_state state)
{
	return fault_state_texts[state];
}

const char *labfile_disk_state_text(enum labfile_disk_state state)
{
	return disk_state_texts[state];
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= LABFILE_NAME_MAX && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
	       strcmp(name, "dist") != 0;
}

int labfile_check_name(const char *name, struct err *e)
{
	if (is_name(name))
		return 0;
	err_set(e, ERR_USAGE, "'%.60s' cannot be the name of a lab", name);
	return err_hint(e, "small letters, digits and '-', at most %d", LABFILE_NAME_MAX);
}

const char *labfile_kind_of_scheme(const char *scheme)
{
	return strcmp(scheme, "amqp") == 0 || strcmp(scheme, "amqps") == 0 ? "rabbitmq" : scheme;
}

const char *labfile_scheme_of_kind(const char *kind)
{
	return strcmp(kind, "rabbitmq") == 0 ? "amqp" : kind;
}

int labfile_path(const char *name, const char *kind, char *ret, size_t len, struct err *e)
{
	char root[PATHS_MAX];
	int r = labfile_check_name(name, e), n;

	if (r)
		return r;
	r = paths_state("lab", root, sizeof(root), e);
	if (r)
		return r;
	n = snprintf(ret, len, "%s/%s/%s.json", root, name, kind);
	if (n < 0 || (size_t)n >= len)
		return err_set(e, ERR_LIMIT, "the state folder's name is too long");
	return 0;
}

static void read_boot_id(char *ret, size_t len)
{
	char *text = NULL;

	ret[0] = '\0';
	if (paths_read_file("/proc/sys/kernel/random/boot_id", 256, &text, NULL, NULL) == 0)
		snprintf(ret, len, "%.*s", (int)strcspn(text, "\n"), text);
	free(text);
}

struct labfile *labfile_new(const char *name, const char *kind)
{
	struct labfile *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	snprintf(file->name, sizeof(file->name), "%s", name);
	snprintf(file->kind, sizeof(file->kind), "%s", kind);
	read_boot_id(file->boot_id, sizeof(file->boot_id));
	return file;
}

void labfile_free(struct labfile *file)
{
	free(file);
}

/* --- reading: each takes a value out of an object; what is missing or of another type is
 * remembered */

struct reader {
	const json_t *object;
	const char *bad; /* the first name that was wrong; NULL: none */
};

static void take_string(struct reader *r, const char *name, char *ret, size_t len)
{
	const char *text = json_string_value(json_object_get(r->object, name));

	if (!text || strlen(text) >= len) {
		if (!r->bad)
			r->bad = name;
		return;
	}
	snprintf(ret, len, "%s", text);
}

static int64_t take_number(struct reader *r, const char *name, int64_t lo, int64_t hi)
{
	const json_t *value = json_object_get(r->object, name);
	int64_t n = json_integer_value(value);

	if (json_is_integer(value) && n >= lo && n <= hi)
		return n;
	if (!r->bad)
		r->bad = name;
	return lo;
}

static bool take_bool(struct reader *r, const char *name)
{
	const json_t *value = json_object_get(r->object, name);

	if (!json_is_boolean(value) && !r->bad)
		r->bad = name;
	return json_is_true(value);
}

/* What labs that were made by an older mqaudit do not have. */
static bool has(const struct reader *r, const char *name)
{
	return json_object_get(r->object, name) != NULL;
}

static int take_word(struct reader *r, const char *name, const char *const *words, int n)
{
	const char *text = json_string_value(json_object_get(r->object, name));

	for (int i = 0; text && i < n; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	if (!r->bad)
		r->bad = name;
	return 0;
}

static const json_t *take_array(struct reader *r, const char *name, size_t max, size_t *ret_n)
{
	const json_t *value = json_object_get(r->object, name);

	*ret_n = json_array_size(value);
	if (json_is_array(value) && *ret_n <= max)
		return value;
	*ret_n = 0;
	if (!r->bad)
		r->bad = name;
	return NULL;
}

/* Only in labs whose nodes have disks of their own. */
static void read_disk(struct reader *r, struct labfile_node *node)
{
	if (has(r, "may_end"))
		node->may_end = take_bool(r, "may_end");
	if (!has(r, "disk_image"))
		return;
	take_string(r, "disk_image", node->disk_image, sizeof(node->disk_image));
	take_string(r, "disk_mount", node->disk_mount, sizeof(node->disk_mount));
	node->disk_pid = (pid_t)take_number(r, "disk_pid", 0, PID_LIMIT);
	node->disk_start_time = (uint64_t)take_number(r, "disk_start_time", 0, INT64_MAX);
}

static void read_node(const json_t *object, struct labfile_node *node, struct reader *parent)
{
	struct reader r = {.object = object};

	if (has(&r, "version"))
		take_string(&r, "version", node->version, sizeof(node->version));
	take_string(&r, "name", node->name, sizeof(node->name));
	node->id = (int)take_number(&r, "id", 0, 1000);
	node->pid = (pid_t)take_number(&r, "pid", 0, PID_LIMIT);
	node->start_time = (uint64_t)take_number(&r, "start_time", 0, INT64_MAX);
	take_string(&r, "address", node->address, sizeof(node->address));
	node->port = (int)take_number(&r, "port", 0, 65535);
	take_string(&r, "namespace", node->netns, sizeof(node->netns));
	take_string(&r, "data_directory", node->data, sizeof(node->data));
	take_string(&r, "log", node->log, sizeof(node->log));
	node->state = (enum labfile_node_state)take_word(
		&r, "state", node_state_texts, LABFILE_NODE_STATE_N);
	read_disk(&r, node);
	if (r.bad && !parent->bad)
		parent->bad = r.bad;
}

static void read_fault(const json_t *object, struct labfile_fault *fault, struct reader *parent)
{
	struct reader r = {.object = object};

	take_string(&r, "id", fault->id, sizeof(fault->id));
	take_string(&r, "kind", fault->kind, sizeof(fault->kind));
	take_string(&r, "node", fault->node, sizeof(fault->node));
	take_string(&r, "args", fault->args, sizeof(fault->args));
	take_string(&r, "proof", fault->proof, sizeof(fault->proof));
	fault->since_wall_ns = take_number(&r, "since_wall_ns", 0, INT64_MAX);
	fault->pid = (pid_t)take_number(&r, "pid", 0, PID_LIMIT);
	fault->start_time = (uint64_t)take_number(&r, "start_time", 0, INT64_MAX);
	fault->heals_at_ns = take_number(&r, "heals_at_ns", 0, INT64_MAX);
	fault->until_pid = (pid_t)take_number(&r, "until_pid", 0, PID_LIMIT);
	fault->until_start_time = (uint64_t)take_number(&r, "until_start_time", 0, INT64_MAX);
	fault->guard_pid = (pid_t)take_number(&r, "guard_pid", 0, PID_LIMIT);
	fault->guard_start_time = (uint64_t)take_number(&r, "guard_start_time", 0, INT64_MAX);
	if (has(&r, "by"))
		take_string(&r, "by", fault->by, sizeof(fault->by));
	fault->state = (enum labfile_fault_state)take_word(
		&r, "state", fault_state_texts, LABFILE_FAULT_STATE_N);
	if (has(&r, "mark"))
		fault->mark = take_number(&r, "mark", 0, INT64_MAX);
	if (r.bad && !parent->bad)
		parent->bad = r.bad;
}

static void read_lists(struct reader *r, struct labfile *file)
{
	const json_t *list = take_array(r, "settings", LABFILE_MAX_SETTINGS, &file->n_settings);

	for (size_t i = 0; i < file->n_settings; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || strlen(text) >= sizeof(file->setting[i]))
			r->bad = "settings";
		else
			snprintf(file->setting[i], sizeof(file->setting[i]), "%s", text);
	}
	list = take_array(r, "nodes", LABFILE_MAX_NODES, &file->n_nodes);
	for (size_t i = 0; i < file->n_nodes; i++)
		read_node(json_array_get(list, i), &file->node[i], r);
	list = take_array(r, "faults", LABFILE_MAX_FAULTS, &file->n_faults);
	for (size_t i = 0; i < file->n_faults; i++)
		read_fault(json_array_get(list, i), &file->fault[i], r);
}

/* Labs of an earlier build have no word of disks. */
static void read_disk_kind(struct reader *r, struct labfile *file)
{
	bool loop;

	if (!has(r, "disk"))
		return;
	loop = take_word(r, "disk", disk_kind_texts, 2) == 1;
	file->disk_bytes = (uint64_t)take_number(r, "disk_bytes", 0, INT64_MAX);
	if (loop != (file->disk_bytes > 0) && !r->bad)
		r->bad = "disk_bytes";
}

static void read_all(struct reader *r, struct labfile *file)
{
	char format[32] = "";

	take_string(r, "format", format, sizeof(format));
	if (strcmp(format, FORMAT) != 0)
		r->bad = "format";
	take_string(r, "lab", file->name, sizeof(file->name));
	take_string(r, "kind", file->kind, sizeof(file->kind));
	take_string(r, "version", file->version, sizeof(file->version));
	file->state = (enum labfile_state)take_word(r, "state", state_texts, LABFILE_STATE_N);
	take_string(r, "boot_id", file->boot_id, sizeof(file->boot_id));
	if (has(r, "network")) {
		file->network = (enum labfile_network)take_word(
			r, "network", network_texts, LABFILE_NETWORK_N);
		file->holder_pid = (pid_t)take_number(r, "holder_pid", 0, PID_LIMIT);
		file->holder_start_time =
			(uint64_t)take_number(r, "holder_start_time", 0, INT64_MAX);
		take_string(r, "cluster_file", file->cluster_file, sizeof(file->cluster_file));
	}
	file->subnet = (int)take_number(r, "subnet", 0, 255);
	take_string(r, "bootstrap", file->bootstrap, sizeof(file->bootstrap));
	take_string(r, "client_namespace", file->client_netns, sizeof(file->client_netns));
	file->secure = take_bool(r, "secure");
	read_disk_kind(r, file);
	take_string(r, "client_config", file->client_config, sizeof(file->client_config));
	if (has(r, "user")) {
		take_string(r, "user", file->user, sizeof(file->user));
		take_string(r, "password_file", file->password_file, sizeof(file->password_file));
	}
	take_string(r, "libs", file->libs, sizeof(file->libs));
	take_string(r, "java_args", file->java_args, sizeof(file->java_args));
	take_string(r, "jvm_options", file->jvm_options, sizeof(file->jvm_options));
	file->guard_pid = (pid_t)take_number(r, "guard_pid", 0, PID_LIMIT);
	file->guard_start_time = (uint64_t)take_number(r, "guard_start_time", 0, INT64_MAX);
	file->until_pid = (pid_t)take_number(r, "until_pid", 0, PID_LIMIT);
	file->until_start_time = (uint64_t)take_number(r, "until_start_time", 0, INT64_MAX);
	file->up_wall_ns = take_number(r, "up_wall_ns", 0, INT64_MAX);
	file->n_faults_ever = (uint64_t)take_number(r, "n_faults_ever", 0, INT64_MAX);
	read_lists(r, file);
}

static int parse(
	const char *text, size_t len, const char *path, struct labfile *file, struct err *e)
{
	json_error_t why;
	struct reader r = {0};
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	int rc = 0;

	if (!root)
		return err_set(e, ERR_FORMAT, "'%s', line %d: %s", path, why.line, why.text);
	r.object = root;
	read_all(&r, file);
	if (r.bad)
		rc = err_set(e, ERR_FORMAT, "'%s': '%s' is missing or wrong", path, r.bad);
	json_decref(root);
	return rc;
}

int labfile_read(const char *name, const char *kind, struct labfile **ret_file, struct err *e)
{
	char path[PATHS_MAX], *text = NULL;
	struct labfile *file = NULL;
	size_t len = 0;
	int r;

	*ret_file = NULL;
	r = labfile_path(name, kind, path, sizeof(path), e);
	if (r)
		goto out;
	r = paths_read_file(path, FILE_MAX, &text, &len, e);
	if (r == ERR_NOTFOUND) {
		err_set(e, ERR_NOTFOUND, "no %s lab '%s' is up", kind, name);
		err_hint(e, "mqaudit lab up %s%s%s starts one", kind,
			strcmp(name, LABFILE_DEFAULT) == 0 ? "" : " --lab ",
			strcmp(name, LABFILE_DEFAULT) == 0 ? "" : name);
	}
	if (r)
		goto out;
	file = calloc(1, sizeof(*file));
	if (!file) {
		r = err_set(e, ERR_NOMEM, "out of memory");
		goto out;
	}
	r = parse(text, len, path, file, e);
	if (r == 0) {
		*ret_file = file;
		file = NULL;
	}
out:
	free(file);
	free(text);
	return r;
}

/* --- writing */

static uint64_t rss_of(pid_t pid)
{
	char path[48], line[128];
	unsigned long pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(line, sizeof(line), f) || sscanf(line, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void set_string(json_t *o, const char *name, const char *value)
{
	json_object_set_new(o, name, json_string(value));
}

static void set_number(json_t *o, const char *name, int64_t value)
{
	json_object_set_new(o, name, json_integer(value));
}

static void set_disk(json_t *o, const struct labfile_node *node, bool asked)
{
	set_string(o, "disk_image", node->disk_image);
	set_string(o, "disk_mount", node->disk_mount);
	set_number(o, "disk_pid", node->disk_pid);
	set_number(o, "disk_start_time", (int64_t)node->disk_start_time);
	if (asked)
		set_string(o, "disk_state", disk_state_texts[node->disk_state]);
}

static json_t *node_object(const struct labfile *file, const struct labfile_node *node, bool asked)
{
	json_t *o = json_object();

	set_string(o, "name", node->name);
	set_number(o, "id", node->id);
	set_number(o, "pid", node->pid);
	set_number(o, "start_time", (int64_t)node->start_time);
	set_string(o, "address", node->address);
	set_number(o, "port", node->port);
	set_string(o, "namespace", node->netns);
	set_string(o, "data_directory", node->data);
	set_string(o, "log", node->log);
	set_string(o, "state", node_state_texts[node->state]);
	if (node->may_end)
		json_object_set_new(o, "may_end", json_true());
	if (node->version[0])
		set_string(o, "version", node->version);
	if (file->disk_bytes)
		set_disk(o, node, asked);
	if (asked && node->answer != LABFILE_NOT_ASKED)
		json_object_set_new(o, "answers", json_boolean(node->answer == LABFILE_ANSWERS));
	if (asked && node->partitioned)
		json_object_set_new(o, "partitioned", json_true());
	if (asked && labfile_node_alive(file, node))
		set_number(o, "rss_bytes", (int64_t)rss_of(node->pid));
	return o;
}

static json_t *fault_object(const struct labfile_fault *fault)
{
	json_t *o = json_object();

	set_string(o, "id", fault->id);
	set_string(o, "kind", fault->kind);
	set_string(o, "node", fault->node);
	set_string(o, "args", fault->args);
	set_string(o, "state", fault_state_texts[fault->state]);
	set_number(o, "since_wall_ns", fault->since_wall_ns);
	set_number(o, "pid", fault->pid);
	set_number(o, "start_time", (int64_t)fault->start_time);
	set_number(o, "heals_at_ns", fault->heals_at_ns);
	set_number(o, "until_pid", fault->until_pid);
	set_number(o, "until_start_time", (int64_t)fault->until_start_time);
	set_number(o, "guard_pid", fault->guard_pid);
	set_number(o, "guard_start_time", (int64_t)fault->guard_start_time);
	set_string(o, "by", fault->by);
	set_string(o, "proof", fault->proof);
	set_number(o, "mark", fault->mark);
	return o;
}

static void set_head(json_t *o, const struct labfile *file)
{
	set_string(o, "format", FORMAT);
	set_string(o, "lab", file->name);
	set_string(o, "kind", file->kind);
	set_string(o, "version", file->version);
	set_string(o, "state", state_texts[file->state]);
	set_string(o, "network", network_texts[file->network]);
	set_string(o, "bootstrap", file->bootstrap);
	set_string(o, "client_namespace", file->client_netns);
	set_number(o, "subnet", file->subnet);
	set_string(o, "disk", disk_kind_texts[file->disk_bytes > 0]);
	set_number(o, "disk_bytes", (int64_t)file->disk_bytes);
	json_object_set_new(o, "secure", json_boolean(file->secure));
	set_string(o, "client_config", file->client_config);
	if (file->user[0]) {
		set_string(o, "user", file->user);
		set_string(o, "password_file", file->password_file);
	}
	set_string(o, "libs", file->libs);
	set_string(o, "java_args", file->java_args);
	set_string(o, "jvm_options", file->jvm_options);
	set_number(o, "holder_pid", file->holder_pid);
	set_number(o, "holder_start_time", (int64_t)file->holder_start_time);
	set_string(o, "cluster_file", file->cluster_file);
	set_string(o, "boot_id", file->boot_id);
	set_number(o, "guard_pid", file->guard_pid);
	set_number(o, "guard_start_time", (int64_t)file->guard_start_time);
	set_number(o, "until_pid", file->until_pid);
	set_number(o, "until_start_time", (int64_t)file->until_start_time);
	set_number(o, "up_wall_ns", file->up_wall_ns);
	set_number(o, "n_faults_ever", (int64_t)file->n_faults_ever);
}

static int add_bytes(const char *data, size_t len, void *out)
{
	buf_add(out, data, len);
	return buf_failed(out) ? -1 : 0;
}

static void format(const struct labfile *file, bool asked, struct buf *out)
{
	json_t *o = json_object(), *settings = json_array(), *nodes = json_array(),
	       *faults = json_array();

	set_head(o, file);
	for (size_t i = 0; i < file->n_settings; i++)
		json_array_append_new(settings, json_string(file->setting[i]));
	for (size_t i = 0; i < file->n_nodes; i++)
		json_array_append_new(nodes, node_object(file, &file->node[i], asked));
	for (size_t i = 0; i < file->n_faults; i++)
		json_array_append_new(faults, fault_object(&file->fault[i]));
	json_object_set_new(o, "settings", settings);
	json_object_set_new(o, "nodes", nodes);
	json_object_set_new(o, "faults", faults);
	if (json_dump_callback(o, add_bytes, out, JSON_INDENT(1) | JSON_PRESERVE_ORDER) != 0 &&
		!out->failed)
		out->failed = ERR_NOMEM;
	buf_char(out, '\n');
	json_decref(o);
}

void labfile_format(const struct labfile *file, struct buf *out)
{
	format(file, true, out);
}

int labfile_write(const struct labfile *file, struct err *e)
{
	char path[PATHS_MAX], folder[PATHS_MAX];
	struct buf out;
	int r;

	buf_init(&out, FILE_MAX);
	r = labfile_path(file->name, file->kind, path, sizeof(path), e);
	if (r)
		goto out;
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	r = paths_make(folder, 0755, e);
	if (r)
		goto out;
	format(file, false, &out);
	r = buf_failed(&out);
	if (r) {
		err_set(e, r, "cannot write '%s': %s", path, err_code_text(r));
		goto out;
	}
	r = paths_write_file(path, buf_str(&out), out.len, e);
out:
	buf_release(&out);
	return r;
}

/* --- all labs */

static bool is_state_file(const char *name, const char *kind, struct labfile_entry *entry)
{
	size_t len = strlen(name);

	if (len <= 5 || len - 5 >= sizeof(entry->kind) || strcmp(name + len - 5, ".json") != 0)
		return false;
	snprintf(entry->kind, sizeof(entry->kind), "%.*s", (int)(len - 5), name);
	return strchr(entry->kind, '.') == NULL && (!kind || strcmp(entry->kind, kind) == 0);
}

static int list_add(struct labfile_entry **list, size_t *n, const struct labfile_entry *entry)
{
	struct labfile_entry *more;

	if (*n == MAX_LISTED)
		return ERR_LIMIT;
	more = realloc(*list, (*n + 1) * sizeof(**list));
	if (!more)
		return ERR_NOMEM;
	*list = more;
	more[(*n)++] = *entry;
	return 0;
}

/* Add the labs of one folder, <state>/lab/<name>. */
static int list_folder(const char *root, const char *name, const char *kind,
	struct labfile_entry **list, size_t *n)
{
	struct labfile_entry entry = {0};
	char path[PATHS_MAX + LABFILE_NAME_MAX + 2];
	struct dirent *d;
	DIR *dir;
	int r = 0;

	snprintf(entry.name, sizeof(entry.name), "%.*s", LABFILE_NAME_MAX, name);
	snprintf(path, sizeof(path), "%s/%s", root, entry.name);
	dir = opendir(path);
	if (!dir)
		return 0; /* a file, or gone by now */
	while (r == 0 && (d = readdir(dir)))
		if (is_state_file(d->d_name, kind, &entry))
			r = list_add(list, n, &entry);
	closedir(dir);
	return r;
}

static int by_name(const void *a, const void *b)
{
	const struct labfile_entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->kind, y->kind);
}

int labfile_list(const char *kind, struct labfile_entry **ret_list, size_t *ret_n, struct err *e)
{
	struct labfile_entry *list = NULL;
	char root[PATHS_MAX];
	struct dirent *d;
	DIR *dir = NULL;
	size_t n = 0;
	int r;

	*ret_list = NULL;
	*ret_n = 0;
	r = paths_state("lab", root, sizeof(root), e);
	if (r)
		return r;
	dir = opendir(root);
	if (!dir)
		return errno == ENOENT ? 0
				       : err_set_errno(e, ERR_IO, errno, "cannot read '%s'", root);
	while (r == 0 && (d = readdir(dir)))
		if (is_name(d->d_name))
			r = list_folder(root, d->d_name, kind, &list, &n);
	closedir(dir);
	if (r) {
		free(list);
		return err_set(e, r, "cannot list the labs: %s", err_code_text(r));
	}
	if (n)
		qsort(list, n, sizeof(*list), by_name);
	*ret_list = list;
	*ret_n = n;
	return 0;
}

/* --- questions */

bool labfile_same_boot(const struct labfile *file)
{
	char now[sizeof(file->boot_id)];

	read_boot_id(now, sizeof(now));
	return strcmp(now, file->boot_id) == 0;
}

bool labfile_node_alive(const struct labfile *file, const struct labfile_node *node)
{
	if (file->network == LABFILE_ON_CLUSTER)
		return node->state == LABFILE_NODE_RUNNING || node->state == LABFILE_NODE_FROZEN;
	return node->pid > 0 && labfile_same_boot(file) && proc_alive(node->pid, node->start_time);
}

void labfile_refresh(struct labfile *file)
{
	for (size_t i = 0; i < file->n_nodes && file->network != LABFILE_ON_CLUSTER; i++) {
		struct labfile_node *node = &file->node[i];

		if ((node->state == LABFILE_NODE_RUNNING || node->state == LABFILE_NODE_FROZEN) &&
			!labfile_node_alive(file, node))
			node->state = node->may_end ? LABFILE_NODE_KILLED : LABFILE_NODE_DIED;
		/* whoever froze or thawed it */
		if (node->state == LABFILE_NODE_RUNNING && proc_stopped(node->pid))
			node->state = LABFILE_NODE_FROZEN;
		else if (node->state == LABFILE_NODE_FROZEN && !proc_stopped(node->pid))
			node->state = LABFILE_NODE_RUNNING;
	}
}

struct labfile_node *labfile_find_node(struct labfile *file, const char *name)
{
	char id[16];

	for (size_t i = 0; i < file->n_nodes; i++) {
		snprintf(id, sizeof(id), "%d", file->node[i].id);
		if (strcmp(name, id) == 0 || strcmp(name, file->node[i].name) == 0)
			return &file->node[i];
	}
	return NULL;
}

static bool names_host(const char *hosts, const char *host, size_t len)
{
	for (; *hosts; hosts += strcspn(hosts, ","), hosts += *hosts == ',')
		if (strcspn(hosts, ",") == len && memcmp(hosts, host, len) == 0)
			return true;
	return false;
}

static bool share_host(const char *a, const char *b)
{
	for (; *a; a += strcspn(a, ","), a += *a == ',')
		if (names_host(b, a, strcspn(a, ",")))
			return true;
	return false;
}

bool labfile_cluster_of(const char *hosts, char *ret, size_t len)
{
	struct labfile_entry *list = NULL;
	bool found = false;
	size_t n = 0;

	if (labfile_list(LABFILE_CLUSTER, &list, &n, NULL) != 0)
		return false;
	for (size_t i = 0; i < n && !found; i++) {
		struct labfile *file = NULL;

		if (labfile_read(list[i].name, LABFILE_CLUSTER, &file, NULL) == 0)
			found = share_host(file->bootstrap, hosts);
		labfile_free(file);
		if (found)
			snprintf(ret, len, "%s", list[i].name);
	}
	free(list);
	return found;
}

/* --- user namespaces */

bool labfile_is_held(const struct labfile *file)
{
	return file->network != LABFILE_ON_USER_NAMESPACES ||
	       (file->holder_pid > 0 && labfile_same_boot(file) &&
		       proc_alive(file->holder_pid, file->holder_start_time));
}

static int enter(const char *path, int type, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0, errnum;

	if (fd < 0)
		return err_set_errno(e, ERR_IO, errno, "cannot open '%s'", path);
	if (setns(fd, type) != 0) {
		errnum = errno;
		r = errnum == EINVAL && type == CLONE_NEWUSER
			    ? err_set(e, ERR_STATE,
				      "cannot enter the lab's user namespace: this process has "
				      "several threads, or is in it already")
			    : err_set_errno(e, ERR_IO, errnum, "cannot enter '%s'", path);
	}
	close(fd);
	return r;
}

int labfile_join(const struct labfile *file, struct err *e)
{
	char user[40];
	int r;

	if (file->network != LABFILE_ON_USER_NAMESPACES)
		return 0;
	if (!labfile_is_held(file)) {
		err_set(e, ERR_NOTFOUND, "the namespaces of lab '%s' are gone", file->name);
		return err_hint(
			e, "mqaudit lab down %s --lab %s, then up again", file->kind, file->name);
	}
	proc_userns_path(file->holder_pid, user, sizeof(user));
	r = proc_in_namespace(user) ? 0 : enter(user, CLONE_NEWUSER, e);
	if (r == 0 && !proc_in_namespace(file->client_netns))
		r = enter(file->client_netns, CLONE_NEWNET, e);
	if (r == 0)
		proc_keep_rights();
	return r ? err_wrap(e, "enter lab '%s'", file->name) : 0;
}
