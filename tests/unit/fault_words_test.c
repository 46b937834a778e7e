#include <string.h>

#include "scenarios/lab/fault_words.h"
#include "scenarios/lab/lab_kafka.h"
#include "scenarios/lab/lab_rabbitmq.h"
#include "tests/unit.h"

static void rates_are_bits_or_bytes_a_second(void **state)
{
	static const char *const bad[] = {"", "bit", "7bit", "0", "x", "64kbits", "-1kbit",
		"1e3bit", "2000Gbit", "200G", "99999999999999999999999999999999999999kbit"};
	uint64_t bits = 42;

	(void)state;
	assert_int_equal(fault_rate_read("64kbit", &bits, NULL), 0);
	assert_int_equal(bits, 64000);
	assert_int_equal(fault_rate_read("1.5Mbit", &bits, NULL), 0);
	assert_int_equal(bits, 1500000);
	assert_int_equal(fault_rate_read("2mbit", &bits, NULL), 0);
	assert_int_equal(bits, 2000000);
	assert_int_equal(fault_rate_read("8k", &bits, NULL), 0);
	assert_int_equal(bits, 65536);
	assert_int_equal(fault_rate_read("1", &bits, NULL), 0);
	assert_int_equal(bits, 8);
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(fault_rate_read(bad[i], &bits, NULL), ERR_USAGE);
	assert_int_equal(bits, 8);
}

static void percents_have_two_places(void **state)
{
	static const char *const bad[] = {
		"", "%", "0", "0.001", "100.5", "-1", "nan", "inf", "0x10", "1e1", "5 %", "10%%"};
	unsigned percent = 7;

	(void)state;
	assert_int_equal(fault_percent_read("10", &percent, NULL), 0);
	assert_int_equal(percent, 1000);
	assert_int_equal(fault_percent_read("0.29%", &percent, NULL), 0);
	assert_int_equal(percent, 29);
	assert_int_equal(fault_percent_read("100", &percent, NULL), 0);
	assert_int_equal(percent, 10000);
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(fault_percent_read(bad[i], &percent, NULL), ERR_USAGE);
	assert_int_equal(percent, 10000);
}

/* A lab of three nodes on subnet 7, and a fault on its second. */
static struct lab a_lab(struct labfile *file, struct labfile_fault *fault, const char *args)
{
	memset(file, 0, sizeof(*file));
	memset(fault, 0, sizeof(*fault));
	file->subnet = 7;
	file->n_nodes = 3;
	for (int i = 0; i < 3; i++) {
		snprintf(file->node[i].name, sizeof(file->node[i].name), "kafka%d", i + 1);
		snprintf(file->node[i].address, sizeof(file->node[i].address), "198.18.7.%d",
			11 + i);
	}
	snprintf(fault->node, sizeof(fault->node), "kafka2");
	snprintf(fault->args, sizeof(fault->args), "%s", args);
	return (struct lab){.kind = &lab_kafka, .file = file, .lock_fd = -1};
}

static void links_name_the_other_ends(void **state)
{
	static const struct {
		const char *args;
		const char *peers;
		bool in, out;
		enum fault_port port;
	} good[] = {
		{"", "198.18.7.1 198.18.7.11 198.18.7.13 ", true, true, FAULT_PORT_ANY},
		{"from=all direction=both", "198.18.7.1 198.18.7.11 198.18.7.13 ", true, true,
			FAULT_PORT_ANY},
		{"from=clients direction=in", "198.18.7.1 ", true, false, FAULT_PORT_ANY},
		{"direction=out from=brokers", "198.18.7.11 198.18.7.13 ", false, true,
			FAULT_PORT_ANY},
		{"from=controllers", "198.18.7.11 198.18.7.13 ", true, true, FAULT_PORT_CONTROLLER},
		{"from=fetches", "198.18.7.11 198.18.7.13 ", true, true, FAULT_PORT_FETCHES},
	};
	char peer[FAULT_MAX_PEERS][48], all[256];
	struct labfile_fault fault;
	struct fault_links links;
	struct labfile file;

	(void)state;
	for (size_t i = 0; i < N_OF(good); i++) {
		struct lab lab = a_lab(&file, &fault, good[i].args);
		size_t n, at = 0;

		assert_int_equal(fault_links_read(&lab, &fault, &links, NULL), 0);
		n = fault_links_peers(&lab, &fault, &links, peer);
		for (size_t k = 0; k < n; k++)
			at += (size_t)snprintf(all + at, sizeof(all) - at, "%s ", peer[k]);
		assert_string_equal(all, good[i].peers);
		assert_int_equal(links.in, good[i].in);
		assert_int_equal(links.out, good[i].out);
		assert_int_equal(links.port, good[i].port);
	}
}

static void links_that_are_none_are_refused(void **state)
{
	struct labfile_fault fault;
	struct fault_links links;
	struct labfile file;
	struct lab lab;

	(void)state;
	lab = a_lab(&file, &fault, "from=nobody");
	assert_int_equal(fault_links_read(&lab, &fault, &links, NULL), ERR_USAGE);
	lab = a_lab(&file, &fault, "direction=up");
	assert_int_equal(fault_links_read(&lab, &fault, &links, NULL), ERR_USAGE);
	lab = a_lab(&file, &fault, "from=fetches");
	lab.kind = &lab_rabbitmq;
	assert_int_equal(fault_links_read(&lab, &fault, &links, NULL), ERR_USAGE);
	lab = a_lab(&file, &fault, "from=controllers");
	lab.kind = &lab_rabbitmq;
	assert_int_equal(fault_links_read(&lab, &fault, &links, NULL), ERR_USAGE);
	lab = a_lab(&file, &fault, "from=brokers");
	lab.kind = &lab_rabbitmq;
	assert_int_equal(fault_links_read(&lab, &fault, &links, NULL), 0);
	file.n_nodes = 1;
	assert_int_equal(fault_links_read(&lab, &fault, &links, NULL), ERR_STATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_are_bits_or_bytes_a_second),
		cmocka_unit_test(percents_have_two_places),
		cmocka_unit_test(links_name_the_other_ends),
		cmocka_unit_test(links_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
