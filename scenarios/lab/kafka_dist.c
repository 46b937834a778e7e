#include "scenarios/lab/kafka_dist.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"
#include "lab_data.h"

#define MVN_TIMEOUT_NS (600 * NS_PER_S)
#define LOCK_TIMEOUT_NS (660 * NS_PER_S)
#define MAX_JARS 1000
#define CORE_JAR "kafka_2.13-"

static int dist_path(const char *version, const char *behind, char *ret, size_t len, struct err *e)
{
	const char *own = getenv("MQAUDIT_DIST");
	char root[PATHS_MAX];
	int r = 0, n;

	/* programs may be kept elsewhere than the state, so that they outlive it */
	if (own && *own == '/')
		snprintf(root, sizeof(root), "%s", own);
	else
		r = paths_state("lab/dist", root, sizeof(root), e);
	if (r)
		return r;
	n = snprintf(ret, len, "%s/kafka-%s%s", root, version, behind);
	return n < 0 || (size_t)n >= len
		       ? err_set(e, ERR_LIMIT, "the state folder's name is too long")
		       : 0;
}

bool kafka_dist_is_before(const struct labfile *file, int major)
{
	return (int)strtol(file->version, NULL, 10) < major;
}

int kafka_dist_java(char *ret, size_t len, struct err *e)
{
	const char *home = getenv("JAVA_HOME");

	if (home && *home) {
		snprintf(ret, len, "%s/bin/java", home);
		if (access(ret, X_OK) == 0)
			return 0;
	}
	if (proc_find_program("java", ret, len))
		return 0;
	err_set(e, ERR_NOTFOUND, "Kafka needs Java, and there is none");
	return err_hint(e, "Debian: apt-get install openjdk-17-jre-headless; or set JAVA_HOME");
}

/* The version that the folder's core jar is of; "" when there is no such jar. */
static void version_in(const char *libs, char *ret, size_t len)
{
	DIR *dir = opendir(libs);
	struct dirent *d;

	ret[0] = '\0';
	while (dir && (d = readdir(dir))) {
		size_t n = strlen(d->d_name);

		if (strncmp(d->d_name, CORE_JAR, strlen(CORE_JAR)) != 0 ||
			strspn(d->d_name + strlen(CORE_JAR), "0123456789.") + strlen(CORE_JAR) !=
				n - strlen("jar"))
			continue;
		snprintf(ret, len, "%.*s", (int)(n - strlen(CORE_JAR) - strlen(".jar")),
			d->d_name + strlen(CORE_JAR));
	}
	if (dir)
		closedir(dir);
}

static int use_kafka_home(
	struct lab *lab, const struct lab_wish *wish, const char *home, struct err *e)
{
	struct labfile *file = lab->file;

	snprintf(file->libs, sizeof(file->libs), "%.480s/libs", home);
	version_in(file->libs, file->version, sizeof(file->version));
	if (!file->version[0]) {
		err_set(e, ERR_NOTFOUND,
			"KAFKA_HOME is '%s', but there is no libs/" CORE_JAR "*.jar", home);
		return err_hint(e, "unset KAFKA_HOME to have it fetched with Maven");
	}
	if (wish->version && strcmp(wish->version, file->version) != 0) {
		err_set(e, ERR_USAGE, "KAFKA_HOME holds version %s, not %s", file->version,
			wish->version);
		return err_hint(e, "unset KAFKA_HOME to have it fetched with Maven");
	}
	return 0;
}

/* Folders of fetches that were cut off. Under the lock they are nobody's. */
static void remove_leftovers(const char *dist, const char *version)
{
	char prefix[64], path[PATHS_MAX + 300];
	DIR *dir = opendir(dist);
	struct dirent *d;

	snprintf(prefix, sizeof(prefix), "kafka-%s.", version);
	while (dir && (d = readdir(dir))) {
		const char *dot = strrchr(d->d_name, '.');

		if (strncmp(d->d_name, prefix, strlen(prefix)) != 0 || strcmp(dot, ".tmp") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dist, d->d_name);
		err_ignore(paths_remove_tree(path, NULL));
	}
	if (dir)
		closedir(dir);
}

/* What Maven says of its failure: its first line of an error. */
static const char *first_error(char *output)
{
	char *line = strstr(output, "[ERROR] ");

	if (!line)
		return "it says nothing";
	line[strcspn(line, "\n")] = '\0';
	return line + strlen("[ERROR] ");
}

static int check_maven(const char *const *argv, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf out;
	int code = 0, r;

	buf_init(&out, BUF_MAX_DEFAULT);
	spec.argv = argv;
	r = proc_run(&spec, NULL, true, MVN_TIMEOUT_NS, &out, &code, e);
	if (r == ERR_NOTFOUND) {
		err_hint(e, "Debian: apt-get install maven; or unpack Kafka and set KAFKA_HOME");
	} else if (r == 0 && code != 0) {
		buf_char(&out, '\0'); /* so that there is data to write into */
		r = err_set(e, ERR_NOTFOUND, "Maven failed: %.500s", first_error(out.data));
		err_hint(e, "is there such a version, and can Maven reach its registry (its "
			    "settings.xml, a proxy)? Or unpack Kafka and set KAFKA_HOME");
	}
	buf_release(&out);
	return r;
}

static int run_maven(const char *folder, const char *version, struct err *e)
{
	char pom[PATHS_MAX + 16], libs[PATHS_MAX + 40], property[80];
	const char *argv[] = {"mvn", "-q", "-B", "-Dstyle.color=never", "-f", pom,
		"dependency:copy-dependencies", libs, property, "-DincludeScope=runtime", NULL};
	int r;

	snprintf(pom, sizeof(pom), "%s/pom.xml", folder);
	snprintf(libs, sizeof(libs), "-DoutputDirectory=%s/libs", folder);
	snprintf(property, sizeof(property), "-Dkafka.version=%s", version);
	r = paths_write_file(pom, LAB_KAFKA_POM_XML, strlen(LAB_KAFKA_POM_XML), e);
	return r ? r : check_maven(argv, e);
}

static int fetch(const char *dist, const char *version, const char *target, struct err *e)
{
	char folder[PATHS_MAX], libs[PATHS_MAX + 8], got[32];
	int r, n;

	remove_leftovers(dist, version);
	n = snprintf(folder, sizeof(folder), "%s.%d.tmp", target, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(folder))
		return err_set(e, ERR_LIMIT, "the state folder's name is too long");
	r = paths_make(folder, 0755, e);
	if (r)
		return r;
	r = run_maven(folder, version, e);
	snprintf(libs, sizeof(libs), "%s/libs", folder);
	version_in(libs, got, sizeof(got));
	if (r == 0 && strcmp(got, version) != 0)
		r = err_set(e, ERR_NOTFOUND, "Maven brought no " CORE_JAR "%s.jar", version);
	if (r == 0 && rename(folder, target) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot make '%s'", target);
	if (r)
		err_ignore(paths_remove_tree(folder, NULL));
	return r ? err_wrap(e, "fetch Kafka %s", version) : 0;
}

int kafka_dist_lock(const struct lab *lab, int *ret_fd, struct err *e)
{
	char path[PATHS_MAX], dist[PATHS_MAX];
	int r = dist_path(lab->file->version, ".lock", path, sizeof(path), e);

	if (r)
		return r;
	snprintf(dist, sizeof(dist), "%.*s", (int)(strrchr(path, '/') - path), path);
	r = paths_make(dist, 0755, e);
	return r ? r : paths_lock(path, LOCK_TIMEOUT_NS, ret_fd, e);
}

void kafka_dist_unlock(const struct lab *lab, int fd)
{
	char path[PATHS_MAX];

	if (dist_path(lab->file->version, ".lock", path, sizeof(path), NULL) == 0)
		(void)unlink(path); /* paths_lock() knows of that */
	close(fd);
}

static int fetch_once(struct lab *lab, struct err *e)
{
	const char *version = lab->file->version;
	char target[PATHS_MAX], dist[PATHS_MAX];
	int fd = -1, r = dist_path(version, "", target, sizeof(target), e);

	if (r || access(lab->file->libs, R_OK) == 0)
		return r;
	lab_say(lab, "fetching Kafka %s (once)", version);
	r = kafka_dist_lock(lab, &fd, e);
	if (r)
		return r;
	snprintf(dist, sizeof(dist), "%.*s", (int)(strrchr(target, '/') - target), target);
	if (access(lab->file->libs, R_OK) != 0) /* else another lab has fetched it meanwhile */
		r = fetch(dist, version, target, e);
	kafka_dist_unlock(lab, fd);
	return r;
}

int kafka_dist_find(struct lab *lab, const struct lab_wish *wish, struct err *e)
{
	const char *home = getenv("KAFKA_HOME");
	struct labfile *file = lab->file;
	char java[PATHS_MAX];
	int r = kafka_dist_java(java, sizeof(java), e);

	if (r)
		return r;
	if (home && *home)
		return use_kafka_home(lab, wish, home, e);
	snprintf(file->version, sizeof(file->version), "%s",
		wish->version ? wish->version : lab->kind->default_version);
	r = dist_path(file->version, "/libs", file->libs, sizeof(file->libs), e);
	return r ? r : fetch_once(lab, e);
}

void kafka_dist_archive(const struct lab *lab, char *ret, size_t len)
{
	char java[PATHS_MAX], path[PATHS_MAX];
	const char *home = getenv("KAFKA_HOME");
	struct stat st;

	ret[0] = '\0';
	if ((home && *home) || kafka_dist_java(java, sizeof(java), NULL) || stat(java, &st) != 0)
		return;
	if (dist_path(lab->file->version, "", path, sizeof(path), NULL) == 0)
		snprintf(ret, len, "%.440s/classes-%llx-%llx.jsa", path,
			(unsigned long long)st.st_ino, (unsigned long long)st.st_mtime);
}

static int is_jar(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && strcmp(d->d_name + n - 4, ".jar") == 0;
}

/* A quoted string of java's @FILE syntax. */
static void add_quoted(struct buf *b, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_char(b, '\\');
		buf_char(b, *text);
	}
}

int kafka_dist_write_args(struct lab *lab, struct err *e)
{
	struct labfile *file = lab->file;
	struct dirent **jars = NULL;
	int n = scandir(file->libs, &jars, is_jar, alphasort), r = 0;
	char archive[PATHS_MAX];
	struct buf b;

	buf_init(&b, 1 << 20);
	if (n <= 0 || n > MAX_JARS) {
		r = err_set(e, ERR_IO, "no program files in '%s'", file->libs);
		goto out;
	}
	kafka_dist_archive(lab, archive, sizeof(archive));
	if (*archive && access(archive, R_OK) == 0) {
		buf_str_add(&b, "\"-XX:SharedArchiveFile=");
		add_quoted(&b, archive);
		buf_str_add(&b, "\"\n-Xshare:auto\n-Xlog:cds=off\n-Xlog:cds+dynamic=off\n");
	}
	/* sorted: the archive holds for one order only */
	buf_str_add(&b, "-cp\n\"");
	for (int i = 0; i < n; i++) {
		if (i)
			buf_char(&b, ':');
		add_quoted(&b, file->libs);
		buf_char(&b, '/');
		add_quoted(&b, jars[i]->d_name);
	}
	buf_str_add(&b, "\"\n");
	r = buf_failed(&b);
	if (r) {
		err_set(e, r, "%s", err_code_text(r));
		goto out;
	}
	if (!file->java_args[0])
		snprintf(file->java_args, sizeof(file->java_args), "%.490s/java.args", lab->folder);
	r = paths_write_file(file->java_args, buf_str(&b), b.len, e);
out:
	for (int i = 0; i < n; i++)
		free(jars[i]);
	free(jars);
	buf_release(&b);
	return r;
}

/* --- nodes of another version than the lab's */

static void args_of_version(const struct lab *lab, const char *version, char *ret, size_t len)
{
	snprintf(ret, len, "%.450s/java-%.30s.args", lab->folder, version);
}

void kafka_dist_node_args(
	const struct lab *lab, const struct labfile_node *node, char *ret, size_t len)
{
	if (node->version[0])
		args_of_version(lab, node->version, ret, len);
	else
		snprintf(ret, len, "%s", lab->file->java_args);
}

/* The lab as it would be with that version: its own state, of which only the programs differ. */
static int as_version(const struct lab *lab, const char *version, struct lab *ret, struct err *e)
{
	*ret = *lab;
	ret->file = malloc(sizeof(*ret->file));
	if (!ret->file)
		return err_set(e, ERR_NOMEM, "out of memory");
	*ret->file = *lab->file;
	args_of_version(lab, version, ret->file->java_args, sizeof(ret->file->java_args));
	return 0;
}

int kafka_dist_ready(struct lab *lab, const char *version, struct err *e)
{
	const struct lab_wish wish = {.version = version};
	struct lab other;
	int r = as_version(lab, version, &other, e);

	if (r)
		return r;
	r = kafka_dist_find(&other, &wish, e);
	if (r == 0)
		r = kafka_dist_write_args(&other, e);
	free(other.file);
	return r;
}

static bool all_have(const struct labfile *file, const char *version)
{
	for (size_t i = 0; i < file->n_nodes; i++)
		if (strcmp(file->node[i].version, version) != 0)
			return false;
	return true;
}

int kafka_dist_use(struct lab *lab, struct labfile_node *node, const char *version, struct err *e)
{
	const struct lab_wish wish = {.version = version};
	struct labfile *file = lab->file;
	int r;

	snprintf(node->version, sizeof(node->version), "%s",
		strcmp(version, file->version) == 0 ? "" : version);
	if (!node->version[0] || !all_have(file, version))
		return 0;
	r = kafka_dist_find(lab, &wish, e);
	if (r)
		return r;
	args_of_version(lab, version, file->java_args, sizeof(file->java_args));
	for (size_t i = 0; i < file->n_nodes; i++)
		file->node[i].version[0] = '\0';
	return 0;
}
