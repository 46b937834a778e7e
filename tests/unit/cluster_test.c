/* A cluster's file: what is read, what is refused, how a command is filled. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/paths.h"
#include "scenarios/lab/cluster.h"
#include "tests/unit.h"

#define HEAD "[cluster]\nname = own\nbootstrap = a:9092,b:9092\n"
#define NODES                                                                                      \
	"[node a]\nid = 1\naddress = a\n[node b]\nid = 2\naddress = [fd00::2]:9192\nhost = me@b.example\n"

static char folder[] = "/tmp/mqaudit-cluster-unit.XXXXXX";
static char path[80];

static int load(const char *text, struct cluster **ret, struct err *e)
{
	err_clear(e);
	assert_int_equal(paths_write_file(path, text, strlen(text), e), 0);
	return cluster_load(path, ret, e);
}

static void everything_is_read(void **unused)
{
	struct cluster *c = NULL;
	struct err e = {0};

	(void)unused;
	assert_int_equal(
		load(HEAD "test-cluster = yes\nclient-config = c.properties\ntimeout = 5s\n"
			  "kill = one; two \\\n  three\nalive = true\n" NODES "kill = other\n",
			&c, &e),
		0);
	assert_string_equal(c->name, "own");
	assert_true(c->is_test);
	assert_int_equal(c->timeout_ns, 5000000000);
	assert_int_equal(strncmp(c->client_config, folder, strlen(folder)), 0);
	assert_int_equal(c->n_nodes, 2);
	assert_string_equal(c->command[CLUSTER_KILL], "one; two \\\nthree");
	assert_string_equal(c->node[1].command[CLUSTER_KILL], "other");
	assert_string_equal(c->node[0].host, "a");
	assert_int_equal(c->node[0].port, 9092);
	assert_string_equal(c->node[1].address, "fd00::2");
	assert_int_equal(c->node[1].port, 9192);
	assert_true(cluster_has_command(c, &c->node[0], CLUSTER_ALIVE));
	assert_false(cluster_has_command(c, &c->node[0], CLUSTER_FREEZE));
	assert_int_equal(cluster_check_command(c, &c->node[0], CLUSTER_FREEZE, &e), ERR_USAGE);
	assert_int_equal(cluster_check_test(c, &e), 0);
	cluster_free(c);
}

static void without_a_declaration_it_is_no_test_cluster(void **unused)
{
	static const char *const texts[] = {HEAD NODES, HEAD "test-cluster = no\n" NODES};
	struct cluster *c = NULL;
	struct err e = {0};

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(load(texts[i], &c, &e), 0);
		assert_int_equal(cluster_check_test(c, &e), ERR_USAGE);
		assert_non_null(strstr(e.hint, "test-cluster = yes"));
		cluster_free(c);
	}
}

static void what_is_wrong_is_refused_by_its_line(void **unused)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"[cluster]\nbootstrap = a:1\n" NODES, "has no name"},
		{"[cluster]\nname = own\n" NODES, "has no bootstrap"},
		{HEAD, "there is no [node NAME]"},
		{HEAD "[node a]\naddress = a\n", "[node a] has no id"},
		{HEAD "[node a]\nid = 1\n", "[node a] has no address"},
		{HEAD NODES "[node c]\nid = 2\naddress = c\n", "id 2 is another's too"},
		{HEAD NODES "[node a]\nid = 3\n", "it is there twice"},
		{HEAD "test-cluster = maybe\n" NODES, "line 4: test-cluster = maybe: yes or no"},
		{HEAD "kil = x\n" NODES, "line 4: kil = x: there is no such setting"},
		{HEAD "name = other\n" NODES, "given twice"},
		{HEAD "kill = sleep 1 ; true\n" NODES, "line 4: ' ;' would begin a comment"},
		{HEAD "kill = a\n  start = b\n" NODES, "goes on with the command above it"},
		{HEAD "kill = ssh {hots}\n" NODES, "{hots} stands for nothing"},
		{HEAD "broker = rabbitmq\n" NODES, "it can be kafka"},
		{HEAD "[nodes]\nx = y\n" NODES, "[cluster] or [node NAME]"},
		{HEAD NODES "host = b\n", "given twice"},
		{HEAD "[node a]\nid = 1\naddress = a;reboot\n", "only letters, digits"},
		{HEAD "[node a]\nid = 1\naddress = -oProxyCommand\n", "only letters, digits"},
		{HEAD "[node a]\nid = 1\naddress = a:99999\n", "its port is none"},
		{HEAD "[node $(reboot)]\nid = 1\naddress = a\n", "only letters, digits"},
		{"name = own\n", "[cluster] or [node NAME]"},
		{HEAD "nonsense\n" NODES, "line 4: not 'name = value'"},
	};
	struct cluster *c = NULL;
	struct err e = {0};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load(bad[i].text, &c, &e), ERR_USAGE);
		assert_null(c);
		if (!strstr(e.msg, bad[i].says))
			fail_msg("'%s' is not in '%s'", bad[i].says, e.msg);
	}
}

static void a_line_that_inih_would_cut_is_refused(void **unused)
{
	char text[600];
	struct cluster *c = NULL;
	struct err e = {0};

	(void)unused;
	snprintf(text, sizeof(text), HEAD "kill = %0200d\n" NODES, 0);
	assert_int_equal(load(text, &c, &e), ERR_USAGE);
	assert_non_null(strstr(e.msg, "line 4: longer than"));
}

static void render(const char *command, const char *expected)
{
	static const struct cluster_values values = {"brokers", "it's"};
	struct cluster *c = NULL;
	struct err e = {0};
	struct buf out;

	assert_int_equal(load(HEAD NODES, &c, &e), 0);
	buf_init(&out, 4096);
	assert_int_equal(cluster_render(c, &c->node[1], command, &values, &out, &e), 0);
	assert_string_equal(buf_str(&out), expected);
	buf_release(&out);
	cluster_free(c);
}

static void each_value_is_one_quoted_word(void **unused)
{
	(void)unused;
	render("{node} {id} {host} {address} {port}", "'b' '2' 'me@b.example' 'fd00::2' '9192'");
	render("for p in {peers}; do x {from}; done", "for p in 'a'; do x 'brokers'; done");
	render("x {direction}", "x 'it'\\''s'");
	/* what is not ours stays */
	render("docker inspect -f '{{.State.Running}}' {node}",
		"docker inspect -f '{{.State.Running}}' 'b'");
	render("echo ${home} { id; } {} {1}", "echo ${home} { id; } {} {1}");
}

static void a_command_is_run_with_a_deadline(void **unused)
{
	static const struct cluster_values none = {"", ""};
	struct cluster *c = NULL;
	struct err e = {0};
	int code = -1;

	(void)unused;
	assert_int_equal(load(HEAD "timeout = 300ms\nkill = echo no such {node} >&2; exit 7\n"
				   "start = test {id} = 2\nalive = exit 1\nstop = sleep 60\n" NODES,
				 &c, &e),
		0);
	assert_int_equal(cluster_run(c, &c->node[1], CLUSTER_START, &none, NULL, &e), 0);
	assert_int_equal(cluster_run(c, &c->node[0], CLUSTER_START, &none, NULL, &e), ERR_IO);
	assert_int_equal(cluster_run(c, &c->node[0], CLUSTER_ALIVE, &none, &code, &e), 0);
	assert_int_equal(code, 1);
	assert_int_equal(cluster_run(c, &c->node[0], CLUSTER_KILL, &none, NULL, &e), ERR_IO);
	assert_non_null(strstr(e.msg, "ended with 7: no such a"));
	assert_int_equal(cluster_run(c, &c->node[0], CLUSTER_STOP, &none, NULL, &e), ERR_TIMEOUT);
	cluster_free(c);
}

static int make_folder(void **unused)
{
	(void)unused;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/own.ini", folder);
	return 0;
}

static int remove_folder(void **unused)
{
	(void)unused;
	return paths_remove_tree(folder, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_read),
		cmocka_unit_test(without_a_declaration_it_is_no_test_cluster),
		cmocka_unit_test(what_is_wrong_is_refused_by_its_line),
		cmocka_unit_test(a_line_that_inih_would_cut_is_refused),
		cmocka_unit_test(each_value_is_one_quoted_word),
		cmocka_unit_test(a_command_is_run_with_a_deadline),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
