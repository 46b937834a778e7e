#include "scenarios/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/ledger/server_init.h"
#include "core/ledger/server_layout.h"
#include "core/paths.h"
#include "core/proc.h"
#include "core/stop.h"
#include "core/version.h"
#include "scenarios/lab/kafka_dist.h"
#include "scenarios/lab/lab_holder.h"
#include "scenarios/lab/lab_process.h"
#include "scenarios/lab/rabbitmq_node.h"

#define STEP_NS (20 * NS_PER_S)
#define JAVA_OLDEST 17
#define DISK_NEEDED ((uint64_t)2 << 30)
#define MEMORY_NEEDED ((uint64_t)1500 << 20)
#define IMAGE_BYTES ((off_t)16 << 20)

/* What the checks share: a scratch namespace and folder. */
struct patient {
	char netns[40];           /* its name; "" when it could not be made */
	char inside[64];          /* the path of a namespace to try things in; "": there is none */
	struct lab_holder holder; /* of user namespaces */
	char folder[PATHS_MAX];
	char image[PATHS_MAX + 16], mountpoint[PATHS_MAX + 16];
};

/* One point: fills detail, returns whether it is there. */
struct check {
	const char *name;
	enum doctor_need need;
	bool (*examine)(struct patient *p, char *detail, size_t len);
	const char *without;
	const char *hint;
};

/* ---- running things
 * -------------------------------------------------------------------------------- */

/* Keep the first line of a text, without colours and what is around it. */
static void first_line(const char *text, char *ret, size_t len)
{
	size_t n = 0;

	text += strspn(text, " \n\t");
	while (*text && *text != '\n' && n + 1 < len) {
		if (*text == '\033' && text[1] == '[')
			text += strcspn(text, "m") + (strchr(text, 'm') ? 1 : 0);
		else
			ret[n++] = *text++;
	}
	ret[n] = '\0';
}

/* Run a command, in the scratch namespace if asked; detail gets the first line that it says. */
static bool run_in(const char *netns, const char *const *argv, char *detail, size_t len)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct buf out;
	struct err e = {0};
	int exit_code = -1, r;

	buf_init(&out, BUF_MAX_DEFAULT);
	spec.argv = argv;
	r = lab_enter(netns, &spec, &e);
	if (r == 0)
		r = proc_run(&spec, NULL, true, STEP_NS, &out, &exit_code, &e);
	lab_leave(&spec);
	first_line(r ? e.msg : buf_str(&out), detail, len);
	if (r == 0 && exit_code != 0 && detail[0] == '\0')
		snprintf(detail, len, "%s ended with exit code %d", argv[0], exit_code);
	buf_release(&out);
	return r == 0 && exit_code == 0;
}

/* A script of simple commands, each must succeed, in the scratch namespace. */
static bool script(struct patient *p, const char *text, char *detail, size_t len)
{
	const char *argv[] = {"sh", "-ec", text, NULL};

	if (!p->inside[0]) {
		snprintf(detail, len, "not tried: there is no namespace to try it in");
		return false;
	}
	return run_in(p->inside, argv, detail, len);
}

/* ---- points
 * ---------------------------------------------------------------------------------------- */

static bool is_root(struct patient *p, char *detail, size_t len)
{
	(void)p;
	snprintf(detail, len, geteuid() == 0 ? "root" : "user %d", (int)geteuid());
	return geteuid() == 0;
}

static bool has_ip(struct patient *p, char *detail, size_t len)
{
	const char *argv[] = {"ip", "-V", NULL};

	(void)p;
	return run_in("", argv, detail, len);
}

/* Made here and removed at the end of the examination: the points behind it work in it. */
static bool has_namespaces(struct patient *p, char *detail, size_t len)
{
	char path[80], name[40];
	const char *argv[] = {"ip", "netns", "add", name, NULL};

	snprintf(name, sizeof(name), "mqa-doctor-%d", (int)getpid());
	if (!run_in("", argv, detail, len))
		return false;
	snprintf(p->netns, sizeof(p->netns), "%s", name);
	snprintf(path, sizeof(path), "/run/netns/%s", name);
	if (access(path, R_OK) != 0) {
		snprintf(detail, len, "cannot open %s: %s", path, strerror(errno));
		return false;
	}
	snprintf(p->inside, sizeof(p->inside), "%s", path);
	snprintf(detail, len, "made");
	return true;
}

/* What works in them is tried in them, unless root has better ones. */
static bool has_user_namespaces(struct patient *p, char *detail, size_t len)
{
	struct err e = {0};

	if (lab_holder_start(1, &p->holder, &e)) {
		first_line(e.msg, detail, len);
		return false;
	}
	if (!p->inside[0])
		lab_holder_netns(p->holder.pid, 0, p->inside, sizeof(p->inside));
	snprintf(detail, len, "made, with a network namespace in it");
	return true;
}

static bool has_bridge(struct patient *p, char *detail, size_t len)
{
	if (!script(p,
		    "ip link add br0 type bridge && ip link add veth0 type veth peer name veth1 && "
		    "ip link set veth0 master br0 && ip link set br0 up && ip link set veth0 up && "
		    "ip link set veth1 up",
		    detail, len))
		return false;
	snprintf(detail, len, "a veth plugged into a bridge");
	return true;
}

static bool has_blackhole(struct patient *p, char *detail, size_t len)
{
	if (!script(p,
		    "ip link set lo up && ip route add blackhole 198.18.255.0/24 && "
		    "ip route del blackhole 198.18.255.0/24",
		    detail, len))
		return false;
	snprintf(detail, len, "set and removed");
	return true;
}

static bool has_nft(struct patient *p, char *detail, size_t len)
{
	if (!script(p,
		    "nft add table inet d && nft add chain inet d c "
		    "'{ type filter hook input priority 0; }' && nft add rule inet d c ip saddr "
		    "198.18.255.1 drop",
		    detail, len))
		return false;
	snprintf(detail, len, "a rule that drops packets");
	return true;
}

/* The queues of one device are tried one after the other: each is removed again. */
static bool has_queue(struct patient *p, const char *queue, char *detail, size_t len)
{
	char text[256];

	snprintf(text, sizeof(text), "tc qdisc add dev lo root %s && tc qdisc del dev lo root",
		queue);
	if (!script(p, text, detail, len))
		return false;
	snprintf(detail, len, "set and removed");
	return true;
}

static bool has_tbf(struct patient *p, char *detail, size_t len)
{
	return has_queue(p, "tbf rate 1mbit burst 32kbit latency 400ms", detail, len);
}

static bool has_htb(struct patient *p, char *detail, size_t len)
{
	return has_queue(p, "htb default 1", detail, len);
}

static bool has_netem(struct patient *p, char *detail, size_t len)
{
	return has_queue(p, "netem delay 10ms loss 1%", detail, len);
}

/* A file of its own, made a file system and mounted. */
static bool has_loop(struct patient *p, char *detail, size_t len)
{
	const char *mkfs[] = {"mkfs.ext4", "-q", "-F", p->image, NULL};
	const char *mount[] = {"mount", "-o", "loop", p->image, p->mountpoint, NULL};
	const char *umount[] = {"umount", p->mountpoint, NULL};
	int fd = open(p->image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && ftruncate(fd, IMAGE_BYTES) == 0 && mkdir(p->mountpoint, 0700) == 0;

	if (!ok)
		snprintf(detail, len, "cannot make a file in '%.100s': %s", p->folder,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	ok = ok && run_in("", mkfs, detail, len) && run_in("", mount, detail, len);
	if (ok && !run_in("", umount, detail, len))
		ok = false;
	if (ok)
		snprintf(detail, len, "ext4 in a file, mounted and unmounted");
	return ok;
}

/* "openjdk version "17.0.15" 2025-04-15", "java version "1.8.0_392"": 17 and 8. */
static int java_major(const char *text)
{
	const char *quote = strchr(text, '"');
	long major = quote ? strtol(quote + 1, NULL, 10) : 0;

	if (major == 1 && quote && strncmp(quote + 1, "1.", 2) == 0)
		major = strtol(quote + 3, NULL, 10);
	return (int)major;
}

static bool has_java(struct patient *p, char *detail, size_t len)
{
	char java[PATHS_MAX];
	const char *argv[] = {java, "-version", NULL};
	struct err e = {0};

	(void)p;
	if (kafka_dist_java(java, sizeof(java), &e)) {
		snprintf(detail, len, "%.*s", (int)len - 1, e.msg);
		return false;
	}
	return run_in("", argv, detail, len) && java_major(detail) >= JAVA_OLDEST;
}

/* Kafka's programs: Maven can fetch them, or they are there. */
static bool has_kafka(struct patient *p, char *detail, size_t len)
{
	const char *home = getenv("KAFKA_HOME");
	char mvn[PATHS_MAX], libs[PATHS_MAX + 8];
	const char *argv[] = {mvn, "-B", "-Dstyle.color=never", "-v", NULL};

	(void)p;
	if (home && *home) {
		snprintf(libs, sizeof(libs), "%.500s/libs", home);
		snprintf(detail, len, "KAFKA_HOME is '%.150s'", home);
		return access(libs, R_OK) == 0;
	}
	if (!proc_find_program("mvn", mvn, sizeof(mvn))) {
		snprintf(detail, len, "no mvn, and KAFKA_HOME is not set");
		return false;
	}
	return run_in("", argv, detail, len);
}

static bool has_rabbitmq(struct patient *p, char *detail, size_t len)
{
	char home[PATHS_MAX], version[32];
	struct err e = {0};

	(void)p;
	if (rabbitmq_find(home, sizeof(home), version, sizeof(version), &e)) {
		snprintf(detail, len, "%.*s", (int)len - 1, e.msg);
		return false;
	}
	snprintf(detail, len, "%s in %.150s", version, home);
	return true;
}

static bool has_postgres(struct patient *p, char *detail, size_t len)
{
	struct server_programs programs;
	struct layout layout;
	struct err e = {0};

	(void)p;
	if (layout_init(&layout, &e) || server_find_programs(&layout, &programs, &e)) {
		first_line(e.msg, detail, len);
		return false;
	}
	snprintf(detail, len, "%.60s in %.120s", programs.version, programs.dir);
	return true;
}

static bool has_jemalloc(struct patient *p, char *detail, size_t len)
{
	(void)p;
	snprintf(detail, len, "this program runs with %s", version_allocator());
	return strcmp(version_allocator(), "jemalloc") == 0;
}

/* Where the state will be: the nearest folder above it that is there. */
static bool has_disk(struct patient *p, char *detail, size_t len)
{
	char path[PATHS_MAX];
	struct statvfs fs;
	struct err e = {0};
	uint64_t bytes;

	(void)p;
	if (paths_state("lab", path, sizeof(path), &e)) {
		first_line(e.msg, detail, len);
		return false;
	}
	while (statvfs(path, &fs) != 0) {
		char *slash = strrchr(path, '/');

		if (!slash || slash == path) {
			snprintf(detail, len, "cannot look at '%.150s': %s", path, strerror(errno));
			return false;
		}
		*slash = '\0';
	}
	bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	snprintf(detail, len, "%llu MiB free in %.120s", (unsigned long long)(bytes >> 20), path);
	return bytes >= DISK_NEEDED;
}

static bool has_memory(struct patient *p, char *detail, size_t len)
{
	char *text = NULL, *at;
	unsigned long long kib = 0;
	struct err e = {0};
	size_t n;

	(void)p;
	if (paths_read_file("/proc/meminfo", 65536, &text, &n, &e)) {
		first_line(e.msg, detail, len);
		return false;
	}
	at = strstr(text, "MemAvailable:");
	if (at)
		kib = strtoull(at + 13, NULL, 10);
	free(text);
	snprintf(detail, len, "%llu MiB available", kib >> 10);
	return kib << 10 >= MEMORY_NEEDED;
}

/* What the networks of a lab stand on. */
#define RABBITMQ "rabbitmq"
#define ROOT "root"
#define IP "ip"
#define NAMESPACES "network namespaces"
#define USER_NAMESPACES "user namespaces"
#define BRIDGE "bridge and veth"
#define BLACKHOLE "blackhole route"

static const struct check checks[] = {
	{ROOT, DOCTOR_OPTIONAL, is_root,
		"labs in the machine's own namespaces, disk and power faults", "run labs as root"},
	{IP, DOCTOR_OPTIONAL, has_ip, "labs in namespaces", "Debian: apt-get install iproute2"},
	{NAMESPACES, DOCTOR_OPTIONAL, has_namespaces, "labs in the machine's own namespaces",
		"needs root, and a kernel or container that allows them"},
	{USER_NAMESPACES, DOCTOR_OPTIONAL, has_user_namespaces, "labs in namespaces without root",
		"a kernel or container that allows them: sysctl user.max_user_namespaces"},
	{BRIDGE, DOCTOR_OPTIONAL, has_bridge, "labs in namespaces",
		"a kernel with bridge and veth"},
	{BLACKHOLE, DOCTOR_OPTIONAL, has_blackhole,
		"labs in the machine's own namespaces: nothing would keep their packets on this machine",
		""},
	{"nftables", DOCTOR_OPTIONAL, has_nft, "faults that cut nodes off from each other",
		"Debian: apt-get install nftables"},
	{"tc tbf", DOCTOR_OPTIONAL, has_tbf, "faults that narrow a link", "a kernel with sch_tbf"},
	{"tc htb", DOCTOR_OPTIONAL, has_htb, "faults that slow single connections",
		"a kernel with sch_htb"},
	{"tc netem", DOCTOR_OPTIONAL, has_netem, "faults that delay, lose or reorder packets",
		"a kernel with sch_netem; Debian's cloud kernels lack it"},
	{"loop and ext4", DOCTOR_OPTIONAL, has_loop, "faults that fill or break a node's disk",
		"loop devices (needs root), Debian: apt-get install e2fsprogs"},
	{"java 17", DOCTOR_REQUIRED, has_java, "Kafka in a lab",
		"Debian: apt-get install openjdk-17-jre-headless"},
	{"kafka or mvn", DOCTOR_REQUIRED, has_kafka, "Kafka in a lab",
		"Debian: apt-get install maven; or unpack Kafka and set KAFKA_HOME"},
	{RABBITMQ, DOCTOR_OPTIONAL, has_rabbitmq, "RabbitMQ in a lab",
		"Debian: apt-get install --no-install-recommends rabbitmq-server"},
	{"postgresql", DOCTOR_REQUIRED, has_postgres,
		"the embedded ledger; --ledger names another PostgreSQL",
		"Debian: apt-get install postgresql-15"},
	{"jemalloc", DOCTOR_OPTIONAL, has_jemalloc, "half of the checker's speed",
		"Debian: apt-get install libjemalloc-dev, and build again"},
	{"disk", DOCTOR_REQUIRED, has_disk, "labs: three nodes and a ledger", "2 GiB are enough"},
	{"memory", DOCTOR_REQUIRED, has_memory, "a lab of three nodes", "1.5 GiB are enough"},
};
#define N_CHECKS (sizeof(checks) / sizeof(checks[0]))
_Static_assert(N_CHECKS <= DOCTOR_MAX, "more points than findings");

/* ---- all of them
 * ----------------------------------------------------------------------------------- */

static int begin(struct patient *p, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	p->holder.control_fd = -1;
	snprintf(p->folder, sizeof(p->folder), "%.400s/mqaudit-doctor.XXXXXX",
		tmp && tmp[0] == '/' ? tmp : "/tmp");
	if (!mkdtemp(p->folder)) {
		int r = err_set_errno(e, ERR_IO, errno, "cannot make folder '%s'", p->folder);

		p->folder[0] = '\0';
		return r;
	}
	snprintf(p->image, sizeof(p->image), "%s/image", p->folder);
	snprintf(p->mountpoint, sizeof(p->mountpoint), "%s/mount", p->folder);
	return 0;
}

static void end(struct patient *p)
{
	char detail[200];
	const char *del[] = {"ip", "netns", "del", p->netns, NULL};
	struct err ignored;

	lab_holder_drop(&p->holder);
	if (p->netns[0])
		(void)run_in("", del, detail, sizeof(detail));
	if (p->folder[0])
		err_ignore(paths_remove_tree(p->folder, &ignored));
}

int doctor_examine(struct doctor_finding *ret, size_t *ret_n, struct err *e)
{
	struct patient p = {0};
	int r = begin(&p, e);

	*ret_n = 0;
	for (size_t i = 0; r == 0 && i < N_CHECKS; i++) {
		const struct check *c = &checks[i];
		struct doctor_finding *f = &ret[i];

		if (stop_asked()) {
			r = err_set(e, ERR_STOPPED, "stopped");
			break;
		}
		*f = (struct doctor_finding){
			.name = c->name, .need = c->need, .without = c->without, .hint = c->hint};
		f->ok = c->examine(&p, f->detail, sizeof(f->detail));
		++*ret_n;
	}
	end(&p);
	return r;
}

bool doctor_lab_can_run(const struct doctor_finding *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (f[i].need == DOCTOR_REQUIRED && !f[i].ok)
			return false;
	return true;
}

static bool is_ok(const struct doctor_finding *f, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(f[i].name, name) == 0)
			return f[i].ok;
	return false;
}

bool doctor_rabbitmq_can_run(const struct doctor_finding *f, size_t n)
{
	return is_ok(f, n, RABBITMQ) &&
	       (doctor_has_network(f, n, LABFILE_ON_NAMESPACES) ||
		       doctor_has_network(f, n, LABFILE_ON_USER_NAMESPACES));
}

bool doctor_has_network(const struct doctor_finding *f, size_t n, enum labfile_network network)
{
	bool links = is_ok(f, n, IP) && is_ok(f, n, BRIDGE);

	switch (network) {
	case LABFILE_ON_NAMESPACES:
		return links && is_ok(f, n, ROOT) && is_ok(f, n, NAMESPACES) &&
		       is_ok(f, n, BLACKHOLE);
	case LABFILE_ON_USER_NAMESPACES:
		return links && is_ok(f, n, USER_NAMESPACES);
	default:
		return network == LABFILE_ON_LOOPBACK;
	}
}
