#include "core/ledger/server_init.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/ledger/pg.h"
#include "core/proc.h"
#include "core/rng.h"

#define INITDB_TIMEOUT (120 * NS_PER_S)
#define VERSION_TIMEOUT (10 * NS_PER_S)
#define NEW_PREFIX "data.new-"

/* ---- programs ---- */

/* What is known while looking. */
struct search {
	int wanted;                   /* major version of the data folder; 0: any that will do */
	struct server_programs best;  /* major 0: none yet */
	struct server_programs other; /* the newest that was found and will not do */
};

static bool has_program(const char *dir, const char *name)
{
	char path[PATHS_MAX + 20];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, X_OK) == 0;
}

/* "postgres (PostgreSQL) 15.20 (Debian ...)" */
static bool ask_version(struct server_programs *p)
{
	char path[PATHS_MAX + 20];
	const char *const argv[] = {path, "--version", NULL};
	static const char before[] = "(PostgreSQL) ";
	struct proc_spec spec = PROC_SPEC_INIT;
	const char *at = NULL;
	struct buf out;
	int code = 1;

	snprintf(path, sizeof(path), "%s/postgres", p->dir);
	spec.argv = argv;
	spec.cwd = "/";
	buf_init(&out, BUF_MAX_DEFAULT);
	if (proc_run(&spec, NULL, false, VERSION_TIMEOUT, &out, &code, NULL) == 0 && code == 0)
		at = strstr(buf_str(&out), before);
	if (at) {
		at += strlen(before);
		p->major = (int)strtol(at, NULL, 10);
		snprintf(p->version, sizeof(p->version), "%.*s", (int)strcspn(at, "\n"), at);
	}
	buf_release(&out);
	return p->major > 0;
}

static void consider(struct search *s, const char *dir)
{
	struct server_programs p = {.major = 0};
	bool fits;

	if (dir[0] != '/' || strlen(dir) >= sizeof(p.dir) || !has_program(dir, "postgres") ||
		!has_program(dir, "initdb"))
		return;
	snprintf(p.dir, sizeof(p.dir), "%s", dir);
	if (!ask_version(&p))
		return;
	fits = s->wanted ? p.major == s->wanted : p.major >= PG_OLDEST_MAJOR;
	if (fits && p.major > s->best.major)
		s->best = p;
	if (!fits && p.major > s->other.major)
		s->other = p;
}

/* Folders or patterns, separated by ':'. */
static void consider_all(struct search *s, const char *patterns)
{
	while (*patterns) {
		size_t len = strcspn(patterns, ":");
		char one[PATHS_MAX];
		glob_t found;

		if (len && len < sizeof(one)) {
			snprintf(one, sizeof(one), "%.*s", (int)len, patterns);
			if (glob(one, 0, NULL, &found) == 0) {
				for (size_t i = 0; i < found.gl_pathc; i++)
					consider(s, found.gl_pathv[i]);
				globfree(&found);
			}
		}
		patterns += len;
		patterns += *patterns == ':';
	}
}

static void consider_pg_config(struct search *s)
{
	static const char *const argv[] = {"pg_config", "--bindir", NULL};
	struct buf out;

	buf_init(&out, BUF_MAX_DEFAULT);
	if (proc_check(argv, NULL, VERSION_TIMEOUT, &out, NULL) == 0) {
		char dir[PATHS_MAX];

		snprintf(
			dir, sizeof(dir), "%.*s", (int)strcspn(buf_str(&out), "\n"), buf_str(&out));
		consider(s, dir);
	}
	buf_release(&out);
}

/* The major version of the data folder; 0 when there is no folder. */
static int data_major(const struct layout *l, int *ret, struct err *e)
{
	char path[PATHS_MAX + 40];
	char *text = NULL;
	int r;

	*ret = 0;
	if (!layout_has_data(l))
		return 0;
	snprintf(path, sizeof(path), "%s/PG_VERSION", l->data);
	r = paths_read_file(path, 100, &text, NULL, e);
	if (r == 0)
		*ret = (int)strtol(text, NULL, 10);
	free(text);
	if (r == 0 && *ret > 0)
		return 0;
	if (r && r != ERR_NOTFOUND)
		return r;
	err_set(e, ERR_FORMAT, "'%s' is not a data folder of PostgreSQL", l->data);
	return err_hint(e, "it is not mqaudit's doing: move it away, and a new one is made");
}

static int none_found(const struct layout *l, const struct search *s, struct err *e)
{
	if (s->wanted) {
		err_set(e, ERR_NOTFOUND,
			"the ledger in '%s' was made by PostgreSQL %d, and this machine has %s%s",
			l->dir, s->wanted, s->other.major ? "only " : "no server at all",
			s->other.major ? s->other.version : "");
		return err_hint(e,
			"install PostgreSQL %d (Debian: postgresql-%d), or use another ledger "
			"(--ledger URL, or another MQAUDIT_STATE)",
			s->wanted, s->wanted);
	}
	if (s->other.major)
		err_set(e, ERR_NOTFOUND, "PostgreSQL %s in '%s' is too old: %d or later is needed",
			s->other.version, s->other.dir, PG_OLDEST_MAJOR);
	else
		err_set(e, ERR_NOTFOUND,
			"the programs of a PostgreSQL server (initdb, postgres) are not "
			"installed");
	return err_hint(e,
		"install PostgreSQL %d or later (Debian: apt-get install postgresql), or give "
		"--ledger URL",
		PG_OLDEST_MAJOR);
}

int server_find_programs(const struct layout *l, struct server_programs *ret, struct err *e)
{
	const char *own = getenv("MQAUDIT_PG_PATH"), *path = getenv("PATH");
	struct search s = {.wanted = 0};
	int r = data_major(l, &s.wanted, e);

	if (r)
		return r;
	if (own) {
		consider_all(&s, own);
	} else {
		consider_all(&s, "/usr/lib/postgresql/*/bin:/usr/pgsql-*/bin:/usr/local/pgsql/bin:"
				 "/usr/lib/postgresql*/bin:/usr/libexec/postgresql*");
		if (path)
			consider_all(&s, path);
		if (!s.best.major)
			consider_pg_config(&s);
	}
	if (!s.best.major)
		return none_found(l, &s, e);
	*ret = s.best;
	return 0;
}

/* ---- the data folder ---- */

/* Those of attempts that were killed. Best effort: each attempt has a name of its own anyway. */
static void remove_leftovers(const struct layout *l)
{
	DIR *dir = opendir(l->dir);
	struct dirent *d;

	while (dir && (d = readdir(dir)) != NULL) {
		char path[PATHS_MAX + 300];

		if (strncmp(d->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", l->dir, d->d_name);
		if (paths_remove_tree(path, NULL) != 0)
			continue;
	}
	if (dir)
		closedir(dir);
}

/* initdb's output in one line, from where it says what went wrong. */
static int initdb_error(const struct buf *out, int code, struct err *e)
{
	const char *text = buf_str(out), *from = strstr(text, "error:");
	bool full = strstr(text, "No space left") || strstr(text, "Disk quota exceeded");
	char tail[400];

	if (!from)
		from = strstr(text, "FATAL:");
	if (!from)
		from = out->len > 300 ? text + out->len - 300 : text;
	snprintf(tail, sizeof(tail), "%s", from);
	for (char *p = tail; *p; p++)
		if (isspace((unsigned char)*p))
			*p = ' ';
	err_set(e, full ? ERR_NOSPACE : ERR_IO,
		"cannot make the ledger's data folder: initdb ended with %d: %s%s", code,
		full ? "No space left on device: " : "", tail);
	if (full)
		return err_hint(e,
			"a new ledger takes 40 MB, and then grows: make room, or set MQAUDIT_STATE "
			"to a folder with room");
	return e ? e->code : ERR_IO;
}

static int run_initdb(
	const struct layout *l, const struct server_programs *p, const char *dir, struct err *e)
{
	char program[PATHS_MAX + 20];
	/* host "reject": who starts this folder by hand must not open it to the machine */
	const char *const argv[] = {program, "-D", dir, "-U", LAYOUT_ROLE, "-E", "UTF8",
		"--no-locale", "--data-checksums", "--auth-local=trust", "--auth-host=reject",
		"--no-instructions", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf out;
	int code = 0, r;

	snprintf(program, sizeof(program), "%s/initdb", p->dir);
	spec.argv = argv;
	spec.cwd = "/";
	spec.uid = l->uid;
	spec.gid = l->gid;
	spec.death_signal = SIGKILL;
	buf_init(&out, BUF_MAX_DEFAULT);
	r = proc_run(&spec, NULL, true, INITDB_TIMEOUT, &out, &code, e);
	if (r == 0 && code != 0)
		r = initdb_error(&out, code, e);
	buf_release(&out);
	return r;
}

/* After the rename, so that a power cut does not undo it. */
static int sync_folder(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0 || fsync(fd) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot sync folder '%s'", dir);
	if (fd >= 0)
		close(fd);
	return r;
}

int server_init_data(const struct layout *l, const struct server_programs *p, struct err *e)
{
	char dir[PATHS_MAX + 40];
	int r = 0;

	remove_leftovers(l);
	snprintf(dir, sizeof(dir), "%s/" NEW_PREFIX "%016" PRIx64, l->dir, rng_system());
	if (mkdir(dir, 0700) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot make folder '%s'", dir);
	if (geteuid() == 0 && lchown(dir, l->uid, l->gid) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot give '%s' to user '%s'", dir, l->user);
	if (r == 0)
		r = run_initdb(l, p, dir, e);
	if (r == 0 && rename(dir, l->data) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot rename '%s' to '%s'", dir, l->data);
	if (r == 0)
		r = sync_folder(l->dir, e);
	if (r)
		remove_leftovers(l);
	return r;
}

/* ---- settings ---- */

static const char settings[] =
	"# Written by mqaudit at each start of its ledger; your own go into local.conf beside it.\n"
	"listen_addresses = ''\n"
	"port = 5432\n"
	"unix_socket_permissions = 0700\n"
	"max_connections = 100\n"
	"cluster_name = 'mqaudit'\n"
	"\n"
	"# evidence is on disk when it is said to be\n"
	"fsync = on\n"
	"synchronous_commit = on\n"
	"full_page_writes = on\n"
	"\n"
	"shared_buffers = 64MB\n"
	"huge_pages = off\n"
	"wal_level = minimal\n"
	"max_wal_senders = 0\n"
	"max_logical_replication_workers = 0\n"
	"min_wal_size = 80MB\n"
	"max_wal_size = 512MB\n"
	"jit = off\n"
	"client_connection_check_interval = 5s\n"
	"\n"
	"# small tables that change often (positions, leases, open ranges)\n"
	"autovacuum = on\n"
	"autovacuum_naptime = 10s\n"
	"autovacuum_vacuum_scale_factor = 0.05\n"
	"autovacuum_vacuum_cost_delay = 1ms\n"
	"autovacuum_analyze_scale_factor = 0.05\n"
	"\n"
	"timezone = 'UTC'\n"
	"log_timezone = 'UTC'\n"
	"lc_messages = 'C'\n"
	"\n"
	"# standard error is server.log; the keeper keeps it small\n"
	"log_destination = 'stderr'\n"
	"logging_collector = off\n"
	"log_checkpoints = off\n"
	"log_line_prefix = '%m [%p] %q%a '\n"
	"log_parameter_max_length_on_error = 0\n";

/* A value in postgresql.conf: '' and \ are doubled; a folder with a comma never gets here. */
static void add_setting(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s = '", name);
	for (; *value; value++) {
		if (*value == '\'' || *value == '\\')
			buf_char(b, *value);
		buf_char(b, *value);
	}
	buf_str_add(b, "'\n");
}

int server_write_conf(const struct layout *l, struct err *e)
{
	char local[PATHS_MAX + 20];
	struct buf b;
	int r;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_str_add(&b, settings);
	add_setting(&b, "unix_socket_directories", l->socket);
	snprintf(local, sizeof(local), "%s/local.conf", l->dir);
	if (access(local, R_OK) == 0)
		buf_str_add(&b, "\ninclude 'local.conf'\n");
	r = buf_failed(&b);
	if (r)
		err_set(e, r, "out of memory for the ledger's settings");
	else
		r = paths_write_file(l->conf, buf_str(&b), b.len, e);
	/* the umask may have hidden it from the server's user */
	if (r == 0 && chmod(l->conf, 0644) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot change the mode of '%s'", l->conf);
	buf_release(&b);
	return r;
}
