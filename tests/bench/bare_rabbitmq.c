/*
 * What an application would write for RabbitMQ without an audit: rabbitmq-c's own loops, for the bench to
 * compare with. One connection, one channel; the broker is $RABBITMQ_URL.
 *
 *   bare_rabbitmq declare QUEUE classic|quorum|stream
 *   bare_rabbitmq delete QUEUE
 *   bare_rabbitmq produce QUEUE COUNT SIZE WINDOW
 *       persistent messages with publisher confirms, WINDOW of them unconfirmed at most; confirms are read after
 *       each 128 without waiting, and waited for when the window is full
 *   bare_rabbitmq consume QUEUE COUNT PREFETCH [stream]
 *       acknowledged by hand, a tenth of PREFETCH at a time; a stream from its first message on
 *
 * The last two print one line of JSON: messages, seconds from the first to the last of them, and when these were,
 * in seconds of the machine's monotonic clock.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <amqp.h>
#include <amqp_tcp_socket.h>

#include "core/clock.h"

#define CHANNEL 1
#define FRAME_MAX 131072
#define HEARTBEAT_S 10
#define LOOK_EVERY 128
#define PATIENCE_S 30 /* without a word from the broker */

static amqp_connection_state_t conn;

static void die(const char *what)
{
	fprintf(stderr, "bare_rabbitmq: %s\n", what);
	exit(3);
}

static void check_reply(amqp_rpc_reply_t reply, const char *what)
{
	if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
		fprintf(stderr, "%s\n", amqp_error_string2(reply.library_error));
	if (reply.reply_type != AMQP_RESPONSE_NORMAL)
		die(what);
}

static void check_rpc(const char *what)
{
	check_reply(amqp_get_rpc_reply(conn), what);
}

static void connect_to(const char *url)
{
	struct amqp_connection_info info;
	char *text = url ? strdup(url) : NULL;
	amqp_socket_t *socket;

	if (!text || amqp_parse_url(text, &info))
		die("RABBITMQ_URL says where");
	conn = amqp_new_connection();
	socket = conn ? amqp_tcp_socket_new(conn) : NULL;
	if (!socket || amqp_socket_open(socket, info.host, info.port))
		die("cannot connect");
	check_reply(amqp_login(conn, info.vhost, 0, FRAME_MAX, HEARTBEAT_S, AMQP_SASL_METHOD_PLAIN,
			    info.user, info.password),
		"login");
	(void)amqp_channel_open(conn, CHANNEL);
	check_rpc("channel");
	free(text);
}

static int declare(const char *queue, const char *type)
{
	amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-queue-type"),
		.value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(type)}};
	amqp_table_t arguments = {1, &entry};

	(void)amqp_queue_declare(conn, CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0, arguments);
	check_rpc("declare");
	return 0;
}

/* The next frame into *ret; false: none yet. Waits for one when told to. */
static bool next_frame(amqp_frame_t *ret, bool wait)
{
	struct timeval tv = {wait ? PATIENCE_S : 0, 0};
	int status = amqp_simple_wait_frame_noblock(conn, ret, &tv);

	if (status == AMQP_STATUS_OK)
		return true;
	if (status != AMQP_STATUS_TIMEOUT || wait)
		die(amqp_error_string2(status));
	return false;
}

/* What is open: confirms may come one by one, out of order. */
static uint8_t *is_open;
static uint64_t n_open, first_open = 1;

static void confirm(const amqp_frame_t *frame)
{
	const amqp_basic_ack_t *ack = frame->payload.method.decoded;
	uint64_t from = ack->multiple ? first_open : ack->delivery_tag;

	if (frame->frame_type != AMQP_FRAME_METHOD ||
		frame->payload.method.id != AMQP_BASIC_ACK_METHOD)
		die("the broker sends something else than acks");
	for (uint64_t tag = from; tag <= ack->delivery_tag; tag++) {
		n_open -= is_open[tag];
		is_open[tag] = 0;
	}
	while (ack->multiple && first_open <= ack->delivery_tag)
		first_open++;
}

static void read_confirms(uint64_t leave_open, bool wait)
{
	amqp_frame_t frame;

	while (n_open > leave_open && next_frame(&frame, wait)) {
		confirm(&frame);
		amqp_maybe_release_buffers(conn);
	}
}

static void print_result(uint64_t n, int64_t start_ns, int64_t end_ns)
{
	printf("{\"messages\": %llu, \"seconds\": %.6f, \"began\": %.6f, \"ended\": %.6f}\n",
		(unsigned long long)n, (double)(end_ns - start_ns) / 1e9, (double)start_ns / 1e9,
		(double)end_ns / 1e9);
}

static int produce(const char *queue, uint64_t count, size_t size, uint64_t window)
{
	amqp_basic_properties_t props = {
		._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = AMQP_DELIVERY_PERSISTENT};
	amqp_bytes_t body = {.len = size, .bytes = malloc(size)};
	unsigned seed = 1;
	int64_t start_ns;

	is_open = calloc(count + 1, 1);
	if (!body.bytes || !is_open || !window)
		die("out of memory, or no window");
	for (size_t i = 0; i < size; i++)
		((char *)body.bytes)[i] = (char)rand_r(&seed);
	(void)amqp_confirm_select(conn, CHANNEL);
	check_rpc("confirms");
	start_ns = clock_ns();
	for (uint64_t tag = 1; tag <= count; tag++) {
		if (tag % LOOK_EVERY == 0)
			read_confirms(0, false);
		if (n_open == window)
			read_confirms(window - 1, true);
		is_open[tag] = 1;
		n_open++;
		if (amqp_basic_publish(conn, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(queue),
			    0, 0, &props, body))
			die("publish");
	}
	read_confirms(0, true);
	print_result(count, start_ns, clock_ns());
	free(is_open);
	free(body.bytes);
	return 0;
}

static int consume(const char *queue, uint64_t count, uint16_t prefetch, bool stream)
{
	amqp_table_entry_t from = {.key = amqp_cstring_bytes("x-stream-offset"),
		.value = {
			.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("first")}};
	amqp_table_t arguments = {stream ? 1 : 0, &from};
	uint64_t ack_every = prefetch >= 10 ? prefetch / 10 : 1;
	int64_t first_ns = 0;

	(void)amqp_basic_qos(conn, CHANNEL, 0, prefetch, 0);
	check_rpc("prefetch");
	(void)amqp_basic_consume(
		conn, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0, arguments);
	check_rpc("consume");
	for (uint64_t got = 1; got <= count; got++) {
		struct timeval tv = {PATIENCE_S, 0};
		amqp_envelope_t envelope;

		check_reply(amqp_consume_message(conn, &envelope, &tv, 0), "no message comes");
		if (!first_ns)
			first_ns = clock_ns();
		if ((got % ack_every == 0 || got == count) &&
			amqp_basic_ack(conn, CHANNEL, envelope.delivery_tag, 1))
			die("ack");
		amqp_destroy_envelope(&envelope);
		amqp_maybe_release_buffers(conn);
	}
	print_result(count, first_ns, clock_ns());
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int r = 2;

	connect_to(getenv("RABBITMQ_URL"));
	if (argc == 4 && strcmp(what, "declare") == 0) {
		r = declare(argv[2], argv[3]);
	} else if (argc == 3 && strcmp(what, "delete") == 0) {
		(void)amqp_queue_delete(conn, CHANNEL, amqp_cstring_bytes(argv[2]), 0, 0);
		check_rpc("delete");
		r = 0;
	} else if (argc == 6 && strcmp(what, "produce") == 0) {
		r = produce(argv[2], strtoull(argv[3], NULL, 10), strtoul(argv[4], NULL, 10),
			strtoull(argv[5], NULL, 10));
	} else if (argc >= 5 && strcmp(what, "consume") == 0) {
		r = consume(argv[2], strtoull(argv[3], NULL, 10),
			(uint16_t)strtoul(argv[4], NULL, 10), argc == 6);
	} else {
		die("usage: see the head of tests/bench/bare_rabbitmq.c");
	}
	(void)amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
	(void)amqp_destroy_connection(conn);
	return r;
}
