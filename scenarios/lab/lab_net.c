#include "scenarios/lab/lab_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"
#include "scenarios/lab/lab_holder.h"
#include "scenarios/lab/lab_process.h"

#define CLAIMS "/run/mqaudit-lab"
#define LOOPBACK_CLAIMS "/tmp/mqaudit-lab-loopback" /* anybody's, as the addresses are */
#define NETNS_DIR "/run/netns"
#define MAX_SUBNET 254
#define IP_TIMEOUT_NS (20 * NS_PER_S)
#define END_HOLDER_NS (10 * NS_PER_S)

static const char *claims(const struct labfile *file)
{
	return file->network == LABFILE_ON_LOOPBACK ? LOOPBACK_CLAIMS : CLAIMS;
}

static void claim_path(const struct labfile *file, int subnet, char *ret, size_t len)
{
	snprintf(ret, len, "%s/%d", claims(file), subnet);
}

bool lab_net_is_ours(const struct lab *lab)
{
	char path[64], target[PATHS_MAX];
	ssize_t n;

	if (!lab->file || lab->file->subnet == 0)
		return false;
	if (lab->file->network == LABFILE_ON_USER_NAMESPACES)
		return lab->file->client_netns[0] && labfile_is_held(lab->file);
	claim_path(lab->file, lab->file->subnet, path, sizeof(path));
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strcmp(target, lab->folder) == 0;
}

/* Run `ip` with up to six words; the first NULL ends them. */
static int ip(struct err *e, const char *a, const char *b, const char *c, const char *d,
	const char *f, const char *g)
{
	const char *argv[] = {"ip", a, b, c, d, f, g, NULL};

	return proc_check(argv, NULL, IP_TIMEOUT_NS, NULL, e);
}

/* Is there a route of exactly that prefix in the machine's own namespace? */
static int has_route(const char *prefix, bool *ret, struct err *e)
{
	const char *argv[] = {"ip", "-4", "route", "show", "exact", prefix, NULL};
	struct buf out;
	int r;

	buf_init(&out, 65536);
	r = proc_check(argv, NULL, IP_TIMEOUT_NS, &out, e);
	*ret = r == 0 && out.len > 0;
	buf_release(&out);
	return r;
}

static void prefix_of(int subnet, char *ret, size_t len)
{
	snprintf(ret, len, "198.18.%d.0/24", subnet);
}

static const char *last_part(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Where the i-th node's namespace is, or (i = -1) the clients'. */
static void name_netns(const struct labfile *file, int i, char *ret, size_t len)
{
	if (file->network == LABFILE_ON_LOOPBACK)
		*ret = '\0';
	else if (file->network == LABFILE_ON_USER_NAMESPACES)
		lab_holder_netns(file->holder_pid, (size_t)(i + 1), ret, len);
	else
		snprintf(ret, len, NETNS_DIR "/mqa-%d-%s-%s", file->subnet, file->name,
			i < 0 ? file->kind : file->node[i].name);
}

static void name_all(struct lab *lab)
{
	struct labfile *file = lab->file;
	size_t at = 0;

	name_netns(file, -1, file->client_netns, sizeof(file->client_netns));
	file->bootstrap[0] = '\0';
	for (size_t i = 0; i < file->n_nodes; i++) {
		struct labfile_node *node = &file->node[i];

		if (file->network == LABFILE_ON_LOOPBACK)
			snprintf(node->address, sizeof(node->address), "127.77.%d.%d", file->subnet,
				node->id);
		else
			snprintf(node->address, sizeof(node->address), "198.18.%d.%d", file->subnet,
				10 + node->id);
		name_netns(file, (int)i, node->netns, sizeof(node->netns));
		at += (size_t)snprintf(file->bootstrap + at, sizeof(file->bootstrap) - at,
			"%s%s:%d", i ? "," : "", node->address, node->port);
	}
}

/* Can a node listen there? */
static bool is_free(const char *address, int port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	bool free = fd >= 0 && inet_pton(AF_INET, address, &sa.sin_addr) == 1 &&
		    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;

	if (fd >= 0)
		close(fd);
	return free;
}

/* Is the subnet somebody else's, who has made no claim? */
static int is_taken(struct lab *lab, int subnet, bool *ret, struct err *e)
{
	char text[32];

	*ret = false;
	if (lab->file->network != LABFILE_ON_LOOPBACK) {
		prefix_of(subnet, text, sizeof(text));
		return has_route(text, ret, e);
	}
	for (size_t i = 0; i < lab->file->n_nodes; i++) {
		snprintf(text, sizeof(text), "127.77.%d.%d", subnet, lab->file->node[i].id);
		*ret |= !is_free(text, lab->file->node[i].port) ||
			(lab->kind->controller_port && !is_free(text, lab->kind->controller_port));
	}
	return 0;
}

/* Take the lowest free subnet. Its number is written down before the claim is made. */
static int claim(struct lab *lab, struct err *e)
{
	const char *folder = claims(lab->file);
	char path[64];
	bool taken;
	int r = paths_make(folder, 0755, e);

	if (r == 0 && lab->file->network == LABFILE_ON_LOOPBACK)
		(void)chmod(folder, 01777); /* when it is ours */
	for (int n = 1; r == 0 && n <= MAX_SUBNET; n++) {
		struct stat st;

		claim_path(lab->file, n, path, sizeof(path));
		if (lstat(path, &st) == 0)
			continue;
		r = is_taken(lab, n, &taken, e);
		if (r || taken)
			continue;
		lab->file->subnet = n;
		name_all(lab);
		r = lab_save(lab, e);
		if (r || symlink(lab->folder, path) == 0)
			return r;
		if (errno != EEXIST)
			return err_set_errno(e, ERR_IO, errno, "cannot make '%s'", path);
	}
	return r ? r : err_set(e, ERR_LIMIT, "all %d networks for labs are taken", MAX_SUBNET);
}

/* Namespaces of a user: the lab has them for itself, so any subnet will do. */
static int hold(struct lab *lab, struct err *e)
{
	struct labfile *file = lab->file;
	struct lab_holder holder;
	int r = lab_holder_start(file->n_nodes + 1, &holder, e);

	if (r)
		return r;
	file->holder_pid = holder.pid;
	file->holder_start_time = holder.start_time;
	file->subnet = 1;
	name_all(lab);
	r = lab_save(lab, e);
	if (r)
		lab_holder_drop(&holder);
	return r ? r : lab_holder_keep(&holder, e);
}

static int make_netns(const struct labfile *file, const char *path, struct err *e)
{
	if (file->network != LABFILE_ON_NAMESPACES)
		return 0;
	return ip(e, "netns", "add", last_part(path), NULL, NULL, NULL);
}

static int ip_batch(const char *netns, const char *batch, struct err *e)
{
	const char *argv[] = {"ip", "-batch", "-", NULL};

	return lab_run_inside(netns, argv, batch, IP_TIMEOUT_NS, NULL, e);
}

static int make_bridge(const struct labfile *file, struct err *e)
{
	char batch[256];
	int r = make_netns(file, file->client_netns, e);

	if (r)
		return r;
	snprintf(batch, sizeof(batch),
		"link set lo up\n"
		"link add br0 type bridge forward_delay 0\n"
		"address add 198.18.%d.1/24 dev br0\n"
		"link set br0 up\n",
		file->subnet);
	return ip_batch(file->client_netns, batch, e);
}

/* Both ends of the veth are made in their namespaces: the machine's own never sees an interface. */
static int make_node(const struct labfile *file, const struct labfile_node *node, struct err *e)
{
	char batch[1024];
	int r = make_netns(file, node->netns, e);

	if (r)
		return r;
	snprintf(batch, sizeof(batch),
		"link add %s type veth peer name eth0 netns %s\n"
		"link set %s master br0\n"
		"link set %s up\n",
		node->name, node->netns, node->name, node->name);
	r = ip_batch(file->client_netns, batch, e);
	if (r)
		return r;
	snprintf(batch, sizeof(batch),
		"link set lo up\n"
		"address add %s/24 dev eth0\n"
		"link set eth0 up\n",
		node->address);
	return ip_batch(node->netns, batch, e);
}

static int make_links(struct lab *lab, struct err *e)
{
	int r = make_bridge(lab->file, e);

	for (size_t i = 0; i < lab->file->n_nodes && r == 0; i++)
		r = make_node(lab->file, &lab->file->node[i], e);
	return r;
}

int lab_net_up(struct lab *lab, struct err *e)
{
	char prefix[32];
	int r;

	if (lab->file->network == LABFILE_ON_USER_NAMESPACES) {
		r = hold(lab, e);
		if (r == 0)
			r = make_links(lab, e);
		return r ? err_wrap(e, "make the lab's network") : 0;
	}
	r = claim(lab, e);
	if (r)
		return err_wrap(e, "claim a network");
	if (lab->file->network == LABFILE_ON_LOOPBACK)
		return 0;
	prefix_of(lab->file->subnet, prefix, sizeof(prefix));
	r = ip(e, "route", "add", "blackhole", prefix, NULL, NULL);
	if (r == 0)
		r = make_links(lab, e);
	return r ? err_wrap(e, "make the lab's network") : 0;
}

static int remove_netns(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return 0;
	return ip(e, "netns", "del", last_part(path), NULL, NULL, NULL);
}

static int remove_route(int subnet, struct err *e)
{
	char prefix[32];
	bool there;
	int r;

	prefix_of(subnet, prefix, sizeof(prefix));
	r = has_route(prefix, &there, e);
	if (r || !there)
		return r;
	return ip(e, "route", "del", "blackhole", prefix, NULL, NULL);
}

static int remove_claim(const struct labfile *file, struct err *e)
{
	char path[64];

	claim_path(file, file->subnet, path, sizeof(path));
	if (unlink(path) != 0 && errno != ENOENT)
		return err_set_errno(e, ERR_IO, errno, "cannot remove '%s'", path);
	(void)rmdir(claims(file)); /* when it was the last */
	return 0;
}

/* Its namespaces go with it. */
static int end_holder(const struct labfile *file, struct err *e)
{
	if (!labfile_is_held(file))
		return 0;
	proc_signal(file->holder_pid, file->holder_start_time, SIGKILL);
	return lab_wait_gone(file->holder_pid, file->holder_start_time, END_HOLDER_NS, e);
}

int lab_net_down(struct lab *lab, struct err *e)
{
	const struct labfile *file = lab->file;
	int r = 0, r_one;

	if (file->network == LABFILE_ON_USER_NAMESPACES)
		return end_holder(file, e);
	if (!lab_net_is_ours(lab))
		return 0;
	if (file->network == LABFILE_ON_LOOPBACK)
		return remove_claim(file, e);
	for (size_t i = 0; i < file->n_nodes; i++) {
		r_one = remove_netns(file->node[i].netns, r ? NULL : e);
		r = r ? r : r_one;
	}
	r_one = remove_netns(file->client_netns, r ? NULL : e);
	r = r ? r : r_one;
	if (r == 0)
		r = remove_route(file->subnet, e);
	if (r)
		return err_wrap(e, "remove the lab's network");
	return remove_claim(file, e);
}
