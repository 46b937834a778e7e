#include "scenarios/lab/lab_net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/proc.h"

#define CLAIMS "/run/mqaudit-lab"
#define NETNS_DIR "/run/netns"
#define MAX_SUBNET 254
#define IP_TIMEOUT_NS (20 * NS_PER_S)

static void claim_path(int subnet, char *ret, size_t len)
{
	snprintf(ret, len, CLAIMS "/%d", subnet);
}

bool lab_net_is_ours(const struct lab *lab)
{
	char path[64], target[PATHS_MAX];
	ssize_t n;

	if (!lab->file || lab->file->subnet == 0)
		return false;
	claim_path(lab->file->subnet, path, sizeof(path));
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

static void name_all(struct lab *lab)
{
	struct labfile *file = lab->file;
	size_t at = 0;

	snprintf(file->client_netns, sizeof(file->client_netns), NETNS_DIR "/mqa-%d-%s-%s",
		file->subnet, file->name, file->kind);
	file->bootstrap[0] = '\0';
	for (size_t i = 0; i < file->n_nodes; i++) {
		struct labfile_node *node = &file->node[i];

		snprintf(node->address, sizeof(node->address), "198.18.%d.%d", file->subnet,
			10 + node->id);
		snprintf(node->netns, sizeof(node->netns), NETNS_DIR "/mqa-%d-%s-%s", file->subnet,
			file->name, node->name);
		at += (size_t)snprintf(file->bootstrap + at, sizeof(file->bootstrap) - at,
			"%s%s:%d", i ? "," : "", node->address, node->port);
	}
}

/* Take the lowest free subnet. Its number is written down before the claim is made. */
static int claim(struct lab *lab, struct err *e)
{
	char path[64], prefix[32];
	bool taken;
	int r = paths_make(CLAIMS, 0755, e);

	for (int n = 1; r == 0 && n <= MAX_SUBNET; n++) {
		struct stat st;

		claim_path(n, path, sizeof(path));
		prefix_of(n, prefix, sizeof(prefix));
		if (lstat(path, &st) == 0)
			continue;
		r = has_route(prefix, &taken, e);
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

static int make_bridge(const struct labfile *file, struct err *e)
{
	const char *name = last_part(file->client_netns);
	const char *argv[] = {"ip", "-n", name, "-batch", "-", NULL};
	char batch[256];
	int r = ip(e, "netns", "add", name, NULL, NULL, NULL);

	if (r)
		return r;
	snprintf(batch, sizeof(batch),
		"link set lo up\n"
		"link add br0 type bridge forward_delay 0\n"
		"address add 198.18.%d.1/24 dev br0\n"
		"link set br0 up\n",
		file->subnet);
	return proc_check(argv, batch, IP_TIMEOUT_NS, NULL, e);
}

/* Both ends of the veth are made in their namespaces: the machine's own never sees an interface. */
static int make_node(const struct labfile *file, const struct labfile_node *node, struct err *e)
{
	const char *bridge_ns = last_part(file->client_netns), *name = last_part(node->netns);
	const char *on_bridge[] = {"ip", "-n", bridge_ns, "-batch", "-", NULL};
	const char *in_node[] = {"ip", "-n", name, "-batch", "-", NULL};
	char batch[1024];
	int r = ip(e, "netns", "add", name, NULL, NULL, NULL);

	if (r)
		return r;
	snprintf(batch, sizeof(batch),
		"link add %s type veth peer name eth0 netns %s\n"
		"link set %s master br0\n"
		"link set %s up\n",
		node->name, name, node->name, node->name);
	r = proc_check(on_bridge, batch, IP_TIMEOUT_NS, NULL, e);
	if (r)
		return r;
	snprintf(batch, sizeof(batch),
		"link set lo up\n"
		"address add %s/24 dev eth0\n"
		"link set eth0 up\n",
		node->address);
	return proc_check(in_node, batch, IP_TIMEOUT_NS, NULL, e);
}

int lab_net_up(struct lab *lab, struct err *e)
{
	char prefix[32];
	int r = claim(lab, e);

	if (r)
		return err_wrap(e, "claim a network");
	prefix_of(lab->file->subnet, prefix, sizeof(prefix));
	r = ip(e, "route", "add", "blackhole", prefix, NULL, NULL);
	if (r == 0)
		r = make_bridge(lab->file, e);
	for (size_t i = 0; i < lab->file->n_nodes && r == 0; i++)
		r = make_node(lab->file, &lab->file->node[i], e);
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

int lab_net_down(struct lab *lab, struct err *e)
{
	const struct labfile *file = lab->file;
	char path[64];
	int r = 0, r_one;

	if (!lab_net_is_ours(lab))
		return 0;
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
	claim_path(file->subnet, path, sizeof(path));
	if (unlink(path) != 0 && errno != ENOENT)
		return err_set_errno(e, ERR_IO, errno, "cannot remove '%s'", path);
	(void)rmdir(CLAIMS); /* when it was the last */
	return 0;
}
