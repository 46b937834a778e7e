/*
 * What an application would write without an audit: librdkafka's own loops, for the bench to compare with.
 *
 *   bare produce-plain BROKERS TOPIC PARTITIONS COUNT SIZE [NAME=VALUE...]
 *       as rdkafka_performance -P: rd_kafka_produce() without a partition, reports served in between, the same
 *       bytes over and over, which stay in the processor's nearest cache
 *   bare produce-own ...
 *       the same with bytes of its own for each of 32768 messages in a row, as an application's have
 *   bare produce-batch ...
 *       as the probe: rd_kafka_produce_batch() to each partition in turn, reports on a thread of their own, and
 *       bytes of its own for each message
 *   bare consume BROKERS TOPIC PARTITIONS COUNT [NAME=VALUE...]
 *       all partitions in one queue, batches of 1000, until COUNT messages came
 *
 * Prints one line of JSON: messages, seconds from the first to the last of them, and when these were, in
 * seconds of the machine's monotonic clock.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "core/clock.h"

#define BATCH 500
#define CONSUME_BATCH 1000
#define OUTSTANDING                                                                                \
	32768 /* about what the probe has at most at 1 KiB; the library would take 100,000 */
#define GIVE_UP_NS (120 * NS_PER_S)

static _Atomic uint64_t delivered, failed;
static uint64_t count;
static int64_t deadline_ns;

/* What is sent: n_payloads in turn, `stride` bytes apart. */
static char *payloads;
static size_t n_payloads, stride, size;

static void die(const char *what)
{
	fprintf(stderr, "bare: %s\n", what);
	exit(3);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
	(void)rk;
	(void)arg;
	atomic_fetch_add_explicit(m->err ? &failed : &delivered, 1, memory_order_relaxed);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[256];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		die(text);
}

static rd_kafka_t *client(rd_kafka_type_t type, char **argv, int first, int argc, bool reports)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[256];
	rd_kafka_t *rk;

	set(conf, "bootstrap.servers", argv[2]);
	for (int i = first; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			die("a property is NAME=VALUE");
		*value++ = '\0';
		set(conf, argv[i], value);
	}
	if (reports)
		rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rk = rd_kafka_new(type, conf, text, sizeof(text));
	if (!rk)
		die(text);
	return rk;
}

static uint64_t answered(void)
{
	return atomic_load(&delivered) + atomic_load(&failed);
}

static void *serve_reports(void *rk)
{
	while (answered() < count && clock_ns() < deadline_ns)
		rd_kafka_poll(rk, 20);
	return NULL;
}

static void make_payloads(size_t n)
{
	unsigned seed = 1;

	n_payloads = n;
	stride = (size + 63) / 64 * 64;
	payloads = malloc(n * stride);
	if (!payloads)
		die("out of memory");
	for (size_t i = 0; i < stride; i++)
		payloads[i] = (char)rand_r(&seed);
	for (size_t i = 1; i < n; i++)
		memcpy(payloads + i * stride, payloads, stride);
}

static char *payload_of(uint64_t i)
{
	return payloads + i % n_payloads * stride;
}

static void produce_plain(rd_kafka_t *rk, rd_kafka_topic_t *topic)
{
	for (uint64_t sent = 0; sent < count; sent++) {
		while (rd_kafka_produce(
			topic, RD_KAFKA_PARTITION_UA, 0, payload_of(sent), size, NULL, 0, NULL)) {
			if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
				die(rd_kafka_err2str(rd_kafka_last_error()));
			rd_kafka_poll(rk, 1000);
		}
		rd_kafka_poll(rk, 0);
	}
	serve_reports(rk);
}

static void produce_batch(rd_kafka_t *rk, rd_kafka_topic_t *topic, int partitions)
{
	rd_kafka_message_t batch[BATCH];
	pthread_t poller;
	uint64_t sent = 0;
	int32_t partition = 0;

	if (pthread_create(&poller, NULL, serve_reports, rk))
		die("cannot start a thread");
	while (sent < count && clock_ns() < deadline_ns) {
		int n = count - sent < BATCH ? (int)(count - sent) : BATCH;

		for (int i = 0; i < n; i++)
			batch[i] = (rd_kafka_message_t){
				.payload = payload_of(sent + (uint64_t)i), .len = size};
		n = rd_kafka_produce_batch(topic, partition, 0, batch, n);
		sent += (uint64_t)n;
		partition = (partition + 1) % partitions;
		if (n < BATCH && sent < count)
			clock_sleep_ns(NS_PER_MS);
	}
	pthread_join(poller, NULL);
}

static int produce(int argc, char **argv)
{
	bool batch = strcmp(argv[1], "produce-batch") == 0;
	bool plain = strcmp(argv[1], "produce-plain") == 0;
	int partitions = (int)strtol(argv[4], NULL, 10);
	rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, argv, 7, argc, true);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[3], NULL);
	const struct rd_kafka_metadata *md;
	int64_t start, end;

	size = strtoul(argv[6], NULL, 10);
	make_payloads(plain ? 1 : OUTSTANDING);
	/* connected before the clock starts, as the probe is */
	if (!topic || rd_kafka_metadata(rk, 0, topic, &md, 15000))
		die("the broker does not answer");
	rd_kafka_metadata_destroy(md);
	start = clock_ns();
	if (batch)
		produce_batch(rk, topic, partitions);
	else
		produce_plain(rk, topic);
	end = clock_ns();
	printf("{\"messages\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"began\": %.6f, \"ended\": "
	       "%.6f}\n",
		(unsigned long long)atomic_load(&delivered),
		(unsigned long long)atomic_load(&failed), (double)(end - start) / 1e9,
		(double)start / 1e9, (double)end / 1e9);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	free(payloads);
	return atomic_load(&delivered) == count ? 0 : 1;
}

static int consume(int argc, char **argv)
{
	int partitions = (int)strtol(argv[4], NULL, 10);
	rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, argv, 6, argc, false);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, argv[3], NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	static rd_kafka_message_t *batch[CONSUME_BATCH];
	int64_t first = 0, last = 0;
	uint64_t got = 0, bytes = 0;

	for (int32_t i = 0; i < partitions; i++)
		if (rd_kafka_consume_start_queue(topic, i, RD_KAFKA_OFFSET_BEGINNING, queue))
			die("cannot start to consume");
	while (got < count && clock_ns() < deadline_ns) {
		ssize_t n = rd_kafka_consume_batch_queue(queue, 100, batch, CONSUME_BATCH);

		for (ssize_t i = 0; i < n; i++) {
			if (!batch[i]->err) {
				got++;
				bytes += batch[i]->len;
			}
			rd_kafka_message_destroy(batch[i]);
		}
		if (n > 0)
			last = clock_ns();
		if (!first)
			first = last;
	}
	printf("{\"messages\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"began\": %.6f, \"ended\": "
	       "%.6f}\n",
		(unsigned long long)got, (unsigned long long)bytes, (double)(last - first) / 1e9,
		(double)first / 1e9, (double)last / 1e9);
	for (int32_t i = 0; i < partitions; i++)
		rd_kafka_consume_stop(topic, i);
	rd_kafka_queue_destroy(queue);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	return got >= count ? 0 : 1;
}

int main(int argc, char **argv)
{
	bool producing = argc >= 7 && strncmp(argv[1], "produce-", 8) == 0;
	bool consuming = argc >= 6 && strcmp(argv[1], "consume") == 0;

	if (!producing && !consuming)
		die("usage: see the head of tests/bench/bare.c");
	count = strtoull(argv[5], NULL, 10);
	deadline_ns = clock_ns() + GIVE_UP_NS;
	return producing ? produce(argc, argv) : consume(argc, argv);
}
