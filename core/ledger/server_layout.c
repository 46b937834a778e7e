#include "core/ledger/server_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <xxhash.h>

#include "core/clock.h"
#include "core/ledger/pg_text.h"
#include "core/proc.h"

#define SOCKET_FILE "/.s.PGSQL.5432"
#define CHECK_TIMEOUT (10 * NS_PER_S)

/* ---- names ---- */

/* libpq and the server split host and unix_socket_directories at commas; a socket path is short. */
static bool good_socket_folder(const char *dir)
{
	struct sockaddr_un addr;

	return strlen(dir) + strlen(SOCKET_FILE) < sizeof(addr.sun_path) && !strpbrk(dir, ",\"\n");
}

static void socket_folder(struct layout *l)
{
	snprintf(l->socket, sizeof(l->socket), "%s/socket", l->dir);
	if (good_socket_folder(l->socket))
		return;
	snprintf(l->socket, sizeof(l->socket), "/tmp/mqaudit-%016" PRIx64,
		(uint64_t)XXH3_64bits(l->dir, strlen(l->dir)));
}

static void name_files(struct layout *l)
{
	const struct {
		char *to;
		const char *name;
	} all[] = {
		{l->data, "data"},
		{l->conf, "postgresql.conf"},
		{l->log, "server.log"},
		{l->old_log, "server.log.1"},
		{l->lock, "lock"},
		{l->keeper_lock, "keeper.lock"},
		{l->state, "server.state"},
		{l->used, "used"},
		{l->keep, "keep"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		snprintf(all[i].to, sizeof(l->data), "%s/%s", l->dir, all[i].name);
	socket_folder(l);
}

/* ---- the user ---- */

static void user_of(struct layout *l, uid_t uid, gid_t gid)
{
	struct passwd pw, *found = NULL;
	char text[4096];

	l->uid = uid;
	l->gid = gid;
	snprintf(l->user, sizeof(l->user), "%u", (unsigned)uid);
	if (getpwuid_r(uid, &pw, text, sizeof(text), &found) == 0 && found)
		snprintf(l->user, sizeof(l->user), "%s", pw.pw_name);
}

static int user_for_root(struct layout *l, struct err *e)
{
	static const char *const names[] = {"postgres", "nobody"};
	struct passwd pw, *found = NULL;
	char text[4096];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (getpwnam_r(names[i], &pw, text, sizeof(text), &found) != 0 || !found)
			continue;
		user_of(l, pw.pw_uid, pw.pw_gid);
		return 0;
	}
	return err_set(e, ERR_NOTFOUND,
		"there is no user 'postgres' or 'nobody' to run the ledger's server as");
}

static int choose_user(struct layout *l, struct err *e)
{
	struct stat st;

	if (geteuid() != 0) {
		user_of(l, geteuid(), getegid());
		return 0;
	}
	if (lstat(l->data, &st) != 0)
		return user_for_root(l, e);
	user_of(l, st.st_uid, st.st_gid);
	return 0;
}

/* Has this user namespace a user of that number? The initial one has all. */
static bool is_mapped(uid_t uid)
{
	unsigned long inside, outside, count;
	char *text = NULL;
	bool mapped = false;

	if (paths_read_file("/proc/self/uid_map", 1 << 16, &text, NULL, NULL) != 0)
		return true;
	for (const char *p = text; *p && !mapped; p += strcspn(p, "\n"), p += *p == '\n')
		mapped = sscanf(p, "%lu %lu %lu", &inside, &outside, &count) == 3 &&
			 uid >= inside && uid - inside < count;
	free(text);
	return mapped;
}

int layout_check_user(const struct layout *l, struct err *e)
{
	if (l->uid != 0 && is_mapped(l->uid))
		return 0;
	if (l->uid == 0)
		err_set(e, ERR_STATE,
			"the ledger's server cannot run as root, to whom '%s' belongs", l->data);
	else
		err_set(e, ERR_STATE,
			"this user namespace has no user '%s' to run the ledger's server as",
			l->user);
	return err_hint(e, "start it outside of the namespace first: mqaudit ledger start");
}

int layout_init(struct layout *l, struct err *e)
{
	int r;

	memset(l, 0, sizeof(*l));
	r = paths_state("ledger", l->dir, sizeof(l->dir), e);
	if (r)
		return r;
	name_files(l);
	return choose_user(l, e);
}

void layout_remove_socket(const struct layout *l)
{
	if (strncmp(l->socket, l->dir, strlen(l->dir)) != 0 && rmdir(l->socket) != 0)
		return; /* not empty, or not ours: layout_make() will look at it */
}

bool layout_has_data(const struct layout *l)
{
	struct stat st;

	return lstat(l->data, &st) == 0;
}

/* ---- folders ---- */

/*
 * Make `dir` and its parents. What root makes here can be entered by others, whatever the umask:
 * the server's user must get through, and the secrets are in folders of their own.
 */
static int make_passable(const char *dir, struct err *e)
{
	char part[PATHS_MAX];
	size_t first = 0, len = strlen(dir);
	struct stat st;
	int r;

	snprintf(part, sizeof(part), "%s", dir);
	for (size_t i = 1; i <= len && !first; i++) {
		if (dir[i] != '/' && dir[i] != '\0')
			continue;
		part[i] = '\0';
		if (stat(part, &st) != 0 && errno == ENOENT)
			first = i;
		part[i] = dir[i];
	}
	r = paths_make(dir, geteuid() == 0 ? 0755 : 0700, e);
	if (r || !first || geteuid() != 0)
		return r;
	for (size_t i = first; i <= len; i++) {
		if (dir[i] != '/' && dir[i] != '\0')
			continue;
		part[i] = '\0';
		if (chmod(part, 0755) != 0)
			return err_set_errno(
				e, ERR_IO, errno, "cannot open folder '%s' to others", part);
		part[i] = dir[i];
	}
	return 0;
}

/* Can the server's user pass through dir? Asked by really trying it, for ACLs and the like. */
static bool can_enter(const struct layout *l, const char *dir)
{
	const char *const argv[] = {"test", "-x", dir, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int code = 1;

	spec.argv = argv;
	spec.cwd = "/";
	spec.uid = l->uid;
	spec.gid = l->gid;
	return proc_run(&spec, NULL, false, CHECK_TIMEOUT, NULL, &code, NULL) == 0 && code == 0;
}

static int check_enterable(const struct layout *l, struct err *e)
{
	char part[PATHS_MAX];
	size_t len = strlen(l->dir);

	if (geteuid() != 0 || can_enter(l, l->dir))
		return 0;
	snprintf(part, sizeof(part), "%s", l->dir);
	for (size_t i = 1; i <= len; i++) {
		if (l->dir[i] != '/' && l->dir[i] != '\0')
			continue;
		part[i] = '\0';
		if (!can_enter(l, part))
			break;
		part[i] = l->dir[i];
	}
	err_set(e, ERR_DENIED,
		"user '%s', as whom the ledger's server runs, cannot enter folder '%s'", l->user,
		part);
	return err_hint(
		e, "chmod o+x '%s', or set MQAUDIT_STATE to a folder that it can enter", part);
}

/*
 * Make the folder under a name of our own, give it to the user, and only then call it what it is: others
 * who start at the same moment see it as it must be, or not at all. *ret_there: somebody else has made it.
 */
static int new_socket_folder(const struct layout *l, bool *ret_there, struct err *e)
{
	char own[PATHS_MAX + 24];
	int r = 0;

	*ret_there = false;
	snprintf(own, sizeof(own), "%s.%d", l->socket, (int)getpid());
	(void)rmdir(own); /* of a process of this number that was killed here */
	if (mkdir(own, 0700) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot make folder '%s'", own);
	if (geteuid() == 0 && lchown(own, l->uid, l->gid) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot give '%s' to user '%s'", own, l->user);
	else if (renameat2(AT_FDCWD, own, AT_FDCWD, l->socket, RENAME_NOREPLACE) == 0)
		return 0;
	else if (errno == EEXIST)
		*ret_there = true;
	else
		r = err_set_errno(e, ERR_IO, errno, "cannot make folder '%s'", l->socket);
	(void)rmdir(own);
	return r;
}

/* The folder of the socket: what is there must be what we would have made, or it is a trap. */
static int make_socket_folder(const struct layout *l, struct err *e)
{
	struct stat st;
	bool there = true;

	if (lstat(l->socket, &st) != 0) {
		int r = new_socket_folder(l, &there, e);

		if (r || !there)
			return r;
	}
	if (lstat(l->socket, &st) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot look at '%s'", l->socket);
	if (!S_ISDIR(st.st_mode) || st.st_uid != l->uid || (st.st_mode & 077) != 0) {
		err_set(e, ERR_DENIED,
			"'%s' is not a folder of user '%s' with mode 0700: not trusted", l->socket,
			l->user);
		return err_hint(e, "remove it, or set MQAUDIT_STATE to a shorter path");
	}
	return 0;
}

int layout_make(const struct layout *l, struct err *e)
{
	int r = is_mapped(l->uid) ? 0 : layout_check_user(l, e);

	if (r == 0)
		r = make_passable(l->dir, e);
	if (r == 0 && access(l->dir, R_OK | W_OK | X_OK) != 0)
		r = err_set_errno(
			e, ERR_DENIED, errno, "cannot use the ledger's folder '%s'", l->dir);
	if (r == ERR_DENIED)
		err_hint(e,
			"it may belong to another user: set MQAUDIT_STATE to a folder of your own");
	if (r == 0)
		r = check_enterable(l, e);
	if (r == 0)
		r = make_socket_folder(l, e);
	return r;
}

void layout_give_back(const struct layout *l)
{
	const char *const files[] = {l->lock, l->keeper_lock, l->used, l->keep, l->log, l->old_log};
	struct stat dir, st;

	if (geteuid() != 0 || stat(l->dir, &dir) != 0 || dir.st_uid == 0)
		return;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		/* a hard link could be to anything */
		if (lstat(files[i], &st) != 0 || st.st_uid != 0 || !S_ISREG(st.st_mode) ||
			st.st_nlink != 1)
			continue;
		if (lchown(files[i], dir.st_uid, dir.st_gid) != 0)
			continue; /* that user will be told when he meets it */
	}
}

/* ---- who runs ---- */

/* The boot this is, so that pids of an earlier one are never taken for living ones. */
static void boot_id(char *ret, size_t len)
{
	char *text = NULL;

	ret[0] = '\0';
	if (paths_read_file("/proc/sys/kernel/random/boot_id", 100, &text, NULL, NULL) == 0)
		snprintf(ret, len, "%.*s", (int)strcspn(text, "\n"), text);
	free(text);
}

void layout_read_pids(const struct layout *l, struct server_pids *ret)
{
	char boot[64], was[64], *text = NULL;
	int keeper, postmaster;
	struct server_pids p = {0};

	memset(ret, 0, sizeof(*ret));
	boot_id(boot, sizeof(boot));
	if (paths_read_file(l->state, 1000, &text, NULL, NULL) == 0 &&
		sscanf(text,
			"boot %63s keeper %d %" SCNu64 " postmaster %d %" SCNu64 " since %" SCNd64,
			was, &keeper, &p.keeper_start, &postmaster, &p.postmaster_start,
			&p.since_wall_ns) == 6 &&
		strcmp(boot, was) == 0) {
		p.keeper = keeper;
		p.postmaster = postmaster;
		*ret = p;
	}
	free(text);
}

int layout_write_pids(const struct layout *l, const struct server_pids *p, struct err *e)
{
	char boot[64], text[400];
	int n;

	boot_id(boot, sizeof(boot));
	n = snprintf(text, sizeof(text),
		"boot %s\nkeeper %d %" PRIu64 "\npostmaster %d %" PRIu64 "\nsince %" PRId64 "\n",
		*boot ? boot : "-", (int)p->keeper, p->keeper_start, (int)p->postmaster,
		p->postmaster_start, p->since_wall_ns);
	return paths_write_file(l->state, text, (size_t)n, e);
}

bool layout_keeper_lives(const struct layout *l)
{
	int fd = open(l->keeper_lock, O_RDONLY | O_CLOEXEC);
	bool held;

	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(fd);
	return held;
}

int layout_touch(const struct layout *l, struct err *e)
{
	int fd = open(l->used, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = 0;

	if (fd < 0 || futimens(fd, NULL) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot write '%s'", l->used);
	if (fd >= 0)
		close(fd);
	return r;
}

/* ---- conninfo ---- */

char *layout_conninfo(
	const struct layout *l, const char *database, const char *application, char *ret)
{
	/*
	 * what the environment (PGPORT, PGOPTIONS, ...) must not change; libpq skips empty values
	 */
	static const char *const pins[][2] = {
		{"port", "5432"},
		{"options", " "},
		{"sslmode", "disable"},
		{"gssencmode", "disable"},
		{"target_session_attrs", "any"},
	};
	struct buf b;

	buf_init(&b, LAYOUT_CONNINFO_MAX - 1);
	pg_conninfo_add(&b, "host", l->socket);
	pg_conninfo_add(&b, "dbname", database);
	pg_conninfo_add(&b, "user", LAYOUT_ROLE);
	for (size_t i = 0; application && i < sizeof(pins) / sizeof(pins[0]); i++)
		pg_conninfo_add(&b, pins[i][0], pins[i][1]);
	if (application)
		pg_conninfo_add(&b, "application_name", application);
	snprintf(ret, LAYOUT_CONNINFO_MAX, "%s", buf_str(&b));
	buf_release(&b);
	return ret;
}
