/* The lab's state file: what is written comes back, and what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/labfile.h"
#include "core/proc.h"

static char state[] = "/tmp/mqaudit-labfile-XXXXXX";

static int make_state(void **unused)
{
	(void)unused;
	snprintf(state, sizeof(state), "/tmp/mqaudit-labfile-XXXXXX");
	if (!mkdtemp(state))
		return -1;
	return setenv("MQAUDIT_STATE", state, 1);
}

static int remove_state(void **unused)
{
	(void)unused;
	return paths_remove_tree(state, NULL);
}

static struct labfile *sample(const char *name)
{
	struct labfile *f = labfile_new(name, "kafka");

	assert_non_null(f);
	f->state = LABFILE_UP;
	f->subnet = 7;
	f->secure = true;
	f->up_wall_ns = INT64_C(1790000000123456789);
	f->n_faults_ever = 3;
	snprintf(f->version, sizeof(f->version), "4.1.0");
	snprintf(f->bootstrap, sizeof(f->bootstrap), "198.18.7.11:9092,198.18.7.12:9092");
	snprintf(f->client_netns, sizeof(f->client_netns), "/run/netns/x");
	f->n_settings = 1;
	snprintf(f->setting[0], sizeof(f->setting[0]), "replica.lag.time.max.ms=5000");
	f->n_nodes = 2;
	for (int i = 0; i < 2; i++) {
		snprintf(f->node[i].name, sizeof(f->node[i].name), "kafka%d", i + 1);
		f->node[i].id = i + 1;
		f->node[i].port = 9092;
		f->node[i].state = LABFILE_NODE_RUNNING;
	}
	f->disk_bytes = UINT64_C(2) << 30;
	for (int i = 0; i < 2; i++) {
		snprintf(f->node[i].disk_image, sizeof(f->node[i].disk_image), "/x/disk%d.img", i);
		snprintf(f->node[i].disk_mount, sizeof(f->node[i].disk_mount), "/x/disk%d", i);
		f->node[i].disk_pid = 100 + i;
		f->node[i].disk_start_time = 7;
	}
	f->node[0].may_end = true;
	snprintf(f->node[0].version, sizeof(f->node[0].version), "3.9.1");
	f->node[1].pid = getpid();
	f->node[1].start_time = proc_start_time(getpid());
	f->n_faults = 1;
	f->fault[0] = (struct labfile_fault){.id = "f3",
		.kind = "isolate",
		.node = "kafka1",
		.args = "from=brokers",
		.state = LABFILE_FAULT_APPLYING,
		.since_wall_ns = 42,
		.pid = 7,
		.start_time = 70,
		.heals_at_ns = INT64_C(1) << 40,
		.until_pid = 8,
		.until_start_time = 80,
		.guard_pid = 9,
		.guard_start_time = 90,
		.mark = 12345,
		.proof = "5 packets \"dropped\"\n"};
	return f;
}

static void what_is_written_comes_back(void **unused)
{
	struct labfile *f = sample("default"), *g = NULL;
	struct err e = {0};

	(void)unused;
	assert_int_equal(labfile_write(f, &e), 0);
	assert_int_equal(labfile_read("default", "kafka", &g, &e), 0);
	assert_memory_equal(f, g, sizeof(*f));
	labfile_free(f);
	labfile_free(g);
}

static void credentials_come_back(void **unused)
{
	struct labfile *f = sample("hare"), *g = NULL;
	struct err e = {0};

	(void)unused;
	snprintf(f->kind, sizeof(f->kind), "rabbitmq");
	snprintf(f->user, sizeof(f->user), "mqaudit");
	snprintf(f->password_file, sizeof(f->password_file), "/x/rabbitmq/password");
	assert_int_equal(labfile_write(f, &e), 0);
	assert_int_equal(labfile_read("hare", labfile_kind_of_scheme("amqps"), &g, &e), 0);
	assert_memory_equal(f, g, sizeof(*f));
	labfile_free(f);
	labfile_free(g);
}

static void no_lab_is_not_found_with_a_hint(void **unused)
{
	struct labfile *g = (struct labfile *)state;
	struct err e = {0};

	(void)unused;
	assert_int_equal(labfile_read("nobody", "kafka", &g, &e), ERR_NOTFOUND);
	assert_null(g);
	assert_string_equal(e.hint, "mqaudit lab up kafka --lab nobody starts one");
}

/* Every prefix of a good file, and every value of another type, is malformed: never a crash or a
 * lab. */
static void a_damaged_file_is_refused(void **unused)
{
	struct labfile *f = sample("torn"), *g = NULL;
	char path[PATHS_MAX], *text = NULL;
	struct err e = {0};
	size_t len = 0;

	(void)unused;
	assert_int_equal(labfile_write(f, &e), 0);
	assert_int_equal(labfile_path("torn", "kafka", path, sizeof(path), &e), 0);
	assert_int_equal(paths_read_file(path, 1 << 20, &text, &len, &e), 0);
	for (size_t cut = 0; cut + 2 < len; cut += 37) {
		assert_int_equal(paths_write_file(path, text, cut, &e), 0);
		assert_int_equal(labfile_read("torn", "kafka", &g, &e), ERR_FORMAT);
		assert_null(g);
	}
	/* turn each value in its turn into null */
	for (char *colon = strchr(text, ':'); colon; colon = strchr(colon + 1, ':')) {
		char broken[65536];
		size_t value = strcspn(colon, ",\n}");

		if (colon[1] != ' ' || colon[2] == '[')
			continue;
		if (colon[2] == '"')
			value = (size_t)(strchr(colon + 3, '"') + 1 - colon);
		if (strstr(colon, "dropped") == strchr(colon, 'd') && colon[2] == '"')
			continue; /* holds an escaped quote */
		snprintf(broken, sizeof(broken), "%.*s: null%s", (int)(colon - text), text,
			colon + value);
		assert_int_equal(paths_write_file(path, broken, strlen(broken), &e), 0);
		if (labfile_read("torn", "kafka", &g, &e) != ERR_FORMAT)
			fail_msg("not refused: %.60s", colon - 20);
	}
	free(text);
	labfile_free(f);
}

static void too_many_nodes_are_refused(void **unused)
{
	struct labfile *f = sample("many"), *g = NULL;
	char path[PATHS_MAX], *text = NULL, *nodes, big[65536];
	struct err e = {0};
	size_t len = 0;

	(void)unused;
	assert_int_equal(labfile_write(f, &e), 0);
	assert_int_equal(labfile_path("many", "kafka", path, sizeof(path), &e), 0);
	assert_int_equal(paths_read_file(path, 1 << 20, &text, &len, &e), 0);
	nodes = strstr(text, "\"nodes\": [");
	assert_non_null(nodes);
	len = (size_t)snprintf(big, sizeof(big), "%.*s\"nodes\": [{}", (int)(nodes - text), text);
	for (int i = 0; i < LABFILE_MAX_NODES; i++)
		len += (size_t)snprintf(big + len, sizeof(big) - len, ",{}");
	len += (size_t)snprintf(big + len, sizeof(big) - len, "], \"faults\": []}");
	assert_int_equal(paths_write_file(path, big, len, &e), 0);
	assert_int_equal(labfile_read("many", "kafka", &g, &e), ERR_FORMAT);
	free(text);
	labfile_free(f);
}

static void names_that_would_leave_the_folder_are_refused(void **unused)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "../a", "A", "a b", "-a", "dist",
		"aaaaaaaaaabbbbbbbbbbccccccccccddd", "a.b", "\xc3\xa9"};
	static const char *const good[] = {
		"a", "default", "0", "a-b-1", "aaaaaaaaaabbbbbbbbbbccccccccccdd"};
	struct err e = {0};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(labfile_check_name(bad[i], &e), ERR_USAGE);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(labfile_check_name(good[i], &e), 0);
}

static void the_list_has_every_lab_once_and_nothing_else(void **unused)
{
	struct labfile *a = sample("a"), *b = sample("b");
	struct labfile_entry *list = NULL;
	char path[PATHS_MAX];
	struct err e = {0};
	size_t n = 9;

	(void)unused;
	assert_int_equal(labfile_list(NULL, &list, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(labfile_write(b, &e), 0);
	assert_int_equal(labfile_write(a, &e), 0);
	snprintf(path, sizeof(path), "%s/lab/dist", state);
	assert_int_equal(paths_make(path, 0755, &e), 0);
	snprintf(path, sizeof(path), "%s/lab/dist/kafka.json", state);
	assert_int_equal(paths_write_file(path, "{}", 2, &e), 0);
	snprintf(path, sizeof(path), "%s/lab/a/kafka.json.77.tmp", state);
	assert_int_equal(paths_write_file(path, "{}", 2, &e), 0);
	assert_int_equal(labfile_list("kafka", &list, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].name, "a");
	assert_string_equal(list[1].name, "b");
	free(list);
	assert_int_equal(labfile_list("rabbitmq", &list, &n, &e), 0);
	assert_int_equal(n, 0);
	free(list);
	labfile_free(a);
	labfile_free(b);
}

static void a_reused_pid_or_another_boot_is_no_living_node(void **unused)
{
	struct labfile *f = sample("x");

	(void)unused;
	assert_true(labfile_node_alive(f, &f->node[1]));
	assert_false(labfile_node_alive(f, &f->node[0]));
	f->node[1].start_time++;
	assert_false(labfile_node_alive(f, &f->node[1]));
	f->node[1].start_time--;
	/* a fault of its disk made it end itself, or nothing did */
	labfile_refresh(f);
	assert_int_equal(f->node[0].state, LABFILE_NODE_KILLED);
	f->node[0].state = LABFILE_NODE_RUNNING;
	f->node[0].may_end = false;
	labfile_refresh(f);
	assert_int_equal(f->node[0].state, LABFILE_NODE_DIED);
	assert_int_equal(f->node[1].state, LABFILE_NODE_RUNNING);
	/* this process does not stand still, whatever was written down */
	f->node[1].state = LABFILE_NODE_FROZEN;
	labfile_refresh(f);
	assert_int_equal(f->node[1].state, LABFILE_NODE_RUNNING);
	snprintf(f->boot_id, sizeof(f->boot_id), "another");
	assert_false(labfile_node_alive(f, &f->node[1]));
	labfile_free(f);
}

static void nodes_are_found_by_name_and_number(void **unused)
{
	struct labfile *f = sample("x");

	(void)unused;
	assert_ptr_equal(labfile_find_node(f, "kafka2"), &f->node[1]);
	assert_ptr_equal(labfile_find_node(f, "2"), &f->node[1]);
	assert_null(labfile_find_node(f, "3"));
	assert_null(labfile_find_node(f, "kafka"));
	assert_null(labfile_find_node(f, ""));
	labfile_free(f);
}

static void older_state_files_are_read(void **unused)
{
	static const char *const newer[] = {
		"network", "holder_pid", "holder_start_time", "cluster_file", "by"};
	char path[PATHS_MAX], *text = NULL, *line;
	struct labfile *f = sample("old"), *g = NULL;
	struct err e = {0};
	size_t len;

	(void)unused;
	assert_int_equal(labfile_write(f, &e), 0);
	assert_int_equal(labfile_path("old", "kafka", path, sizeof(path), &e), 0);
	assert_int_equal(paths_read_file(path, 1 << 20, &text, &len, &e), 0);
	for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++) {
		char key[40];

		snprintf(key, sizeof(key), "\"%s\":", newer[i]);
		line = strstr(text, key);
		assert_non_null(line);
		memmove(line, strchr(line, '\n') + 1, strlen(strchr(line, '\n') + 1) + 1);
	}
	assert_int_equal(paths_write_file(path, text, strlen(text), &e), 0);
	assert_int_equal(labfile_read("old", "kafka", &g, &e), 0);
	assert_memory_equal(f, g, sizeof(*f));
	labfile_free(f);
	labfile_free(g);
	free(text);
}

static void a_cluster_is_found_by_any_of_its_hosts(void **unused)
{
	struct labfile *f = labfile_new("own", LABFILE_CLUSTER);
	char name[LABFILE_NAME_MAX + 1];
	struct err e = {0};

	(void)unused;
	assert_non_null(f);
	f->network = LABFILE_ON_CLUSTER;
	snprintf(f->bootstrap, sizeof(f->bootstrap), "a:9092,b:9092");
	assert_false(labfile_cluster_of("a:9092", name, sizeof(name)));
	assert_int_equal(labfile_write(f, &e), 0);
	assert_true(labfile_cluster_of("c:9092,b:9092", name, sizeof(name)));
	assert_string_equal(name, "own");
	assert_false(labfile_cluster_of("a:90", name, sizeof(name)));
	assert_false(labfile_cluster_of("", name, sizeof(name)));
	labfile_free(f);
}

static void a_cluster_s_nodes_are_as_written_down(void **unused)
{
	struct labfile *f = sample("own");

	(void)unused;
	f->network = LABFILE_ON_CLUSTER;
	f->node[0].state = LABFILE_NODE_FROZEN;
	f->node[1].state = LABFILE_NODE_KILLED;
	labfile_refresh(f);
	assert_int_equal(f->node[0].state, LABFILE_NODE_FROZEN);
	assert_true(labfile_node_alive(f, &f->node[0]));
	assert_false(labfile_node_alive(f, &f->node[1]));
	assert_true(labfile_is_held(f));
	f->network = LABFILE_ON_USER_NAMESPACES;
	assert_false(labfile_is_held(f));
	f->holder_pid = getpid();
	f->holder_start_time = proc_start_time(getpid());
	assert_true(labfile_is_held(f));
	labfile_free(f);
}

int main(void)
{
#define LAB_TEST(name) cmocka_unit_test_setup_teardown(name, make_state, remove_state)
	const struct CMUnitTest tests[] = {
		LAB_TEST(what_is_written_comes_back),
		LAB_TEST(credentials_come_back),
		LAB_TEST(no_lab_is_not_found_with_a_hint),
		LAB_TEST(a_damaged_file_is_refused),
		LAB_TEST(too_many_nodes_are_refused),
		LAB_TEST(names_that_would_leave_the_folder_are_refused),
		LAB_TEST(the_list_has_every_lab_once_and_nothing_else),
		LAB_TEST(a_reused_pid_or_another_boot_is_no_living_node),
		LAB_TEST(nodes_are_found_by_name_and_number),
		LAB_TEST(older_state_files_are_read),
		LAB_TEST(a_cluster_is_found_by_any_of_its_hosts),
		LAB_TEST(a_cluster_s_nodes_are_as_written_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
