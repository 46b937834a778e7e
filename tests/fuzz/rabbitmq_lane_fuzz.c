/* needs: core/broker/rabbitmq_lane.c core/broker/rabbitmq_connection.c core/broker/rabbitmq_tls.c core/broker/rabbitmq_openssl.c core/broker/rabbitmq_props.c core/broker/netns.c core/labfile.c core/url.c core/paths.c core/err.c core/clock.c core/props.c core/buf.c core/proc.c -lrabbitmq -ljansson -lssl -lcrypto */
/*
 * What a broker sends on a channel: any frames that rabbitmq-c can decode, in any order. The input is a row of them:
 * kind, length (two bytes), content.
 */
#include <stdlib.h>
#include <string.h>

#include "core/broker/rabbitmq_lane.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const amqp_method_number_t methods[] = {AMQP_BASIC_DELIVER_METHOD, AMQP_BASIC_GET_OK_METHOD,
	AMQP_BASIC_GET_EMPTY_METHOD, AMQP_BASIC_CANCEL_METHOD, AMQP_CHANNEL_CLOSE_METHOD,
	AMQP_CONNECTION_CLOSE_METHOD, AMQP_BASIC_ACK_METHOD, AMQP_BASIC_RETURN_METHOD};
#define N_METHODS (sizeof(methods) / sizeof(methods[0]))

/* As the library's amqp_handle_input() does. */
static bool decode(uint8_t kind, amqp_bytes_t content, amqp_pool_t *pool, amqp_frame_t *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->channel = kind & 0x80 ? 2 : 1;
	kind &= 0x7f;
	if (kind < N_METHODS) {
		ret->frame_type = AMQP_FRAME_METHOD;
		ret->payload.method.id = methods[kind];
		return amqp_decode_method(methods[kind], pool, content,
			       &ret->payload.method.decoded) == AMQP_STATUS_OK;
	}
	if (kind & 1) {
		ret->frame_type = AMQP_FRAME_BODY;
		ret->payload.body_fragment = content;
		return true;
	}
	if (content.len < 8)
		return false;
	ret->frame_type = AMQP_FRAME_HEADER;
	ret->payload.properties.class_id = AMQP_BASIC_CLASS;
	for (int i = 0; i < 8; i++)
		ret->payload.properties.body_size = ret->payload.properties.body_size << 8 |
						    ((const uint8_t *)content.bytes)[i];
	content.bytes = (uint8_t *)content.bytes + 8;
	content.len -= 8;
	return amqp_decode_properties(AMQP_BASIC_CLASS, pool, content,
		       &ret->payload.properties.decoded) == AMQP_STATUS_OK;
}

static uint64_t sum;

/* Every byte of it is there, and its envelope lies in it. */
static void look(struct rabbitmq_lane *lane)
{
	struct rabbitmq_delivery d = rabbitmq_lane_give(lane);

	if (d.empty && (d.block || d.len || d.beside))
		abort();
	for (size_t i = 0; i < d.len; i++)
		sum += d.body[i];
	for (size_t i = 0; i < d.beside_len; i++)
		sum += d.beside[i];
	free(d.block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rabbitmq_lane lane = {.channel = 1};
	amqp_pool_t pool;
	struct err e;
	int r = 0;

	init_amqp_pool(&pool, 4096);
	for (size_t at = 0; r == 0 && at + 3 <= len;) {
		uint8_t kind = data[at];
		size_t n = (size_t)data[at + 1] << 8 | data[at + 2];
		amqp_bytes_t content;
		amqp_frame_t frame;

		at += 3;
		content.len = n < len - at ? n : len - at;
		/* memory of its own: a look beyond it is seen */
		content.bytes = malloc(content.len + 1);
		memcpy(content.bytes, data + at, content.len);
		at += content.len;
		if (decode(kind, content, &pool, &frame))
			r = rabbitmq_lane_take(&lane, &frame, &e);
		/* what is kept was copied */
		memset(content.bytes, 0, content.len);
		free(content.bytes);
		recycle_amqp_pool(&pool);
		if (r == 0 && rabbitmq_lane_is_whole(&lane))
			look(&lane);
	}
	rabbitmq_lane_reset(&lane);
	empty_amqp_pool(&pool);
	return 0;
}
