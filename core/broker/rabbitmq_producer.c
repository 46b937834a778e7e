/*
 * Sending: publisher confirms on one channel of one connection, which a thread of our own makes, and makes
 * again.
 *
 * The library is not for several threads, so the connection has a mutex. The polling thread waits with poll(2)
 * on the socket outside of it, then takes what is there without waiting; the sending thread publishes under
 * it, and only while the socket has room: amqp_basic_publish() waits without end for a peer that takes no
 * bytes (but for TCP_USER_TIMEOUT, and one message that is larger than the socket's buffer). Only the polling
 * thread closes a connection, so that no descriptor is closed under its poll(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/broker/rabbitmq.h"
#include "core/broker/rabbitmq_tags.h"
#include "core/clock.h"
#include "core/rng.h"

#define RETRY_MIN_NS (100 * NS_PER_MS)
#define RETRY_MAX_NS (2 * NS_PER_S)
#define CONNECT_NS (3 * NS_PER_S)
#define FRAME_BYTES 400 /* about what the frames of a publish have beside the body */
#define CHANNEL 1
#define SILENCE_MARGIN_MS 500
#define GOODBYE_NS NS_PER_S

/* What the poller wants of a connection that is not there, and what the connector does about it. */
enum line {
	LINE_DOWN, /* the connector is to make one */
	LINE_UP,
	LINE_BROKEN, /* the poller has to close it first */
};

struct broker_producer {
	struct rabbitmq_client client;
	int wake_fd; /* an eventfd: the poller has something to look at */
	pthread_t connector;
	bool connector_runs;

	pthread_mutex_t mutex;  /* for all below */
	pthread_cond_t changed; /* line, or closing */
	bool closing;
	enum line line;
	struct rabbitmq_conn conn;
	struct rabbitmq_tags tags;
	uint32_t epoch;           /* of the connection, in the message ids */
	int64_t blocked_ns;       /* since when health.blocked is true */
	bool patient;             /* the peer may keep its window closed for as long as it likes */
	uint64_t n_returned_late; /* without confirms */
	int return_code;          /* of the basic.return whose content is coming; 0: none */
	/* outcomes that wait for the poller's caller: a ring of `capacity` */
	struct broker_outcome *done;
	size_t done_first, n_done;
	size_t capacity;
	size_t n_taken; /* open, or done and not given yet */
	struct err fatal;
	int fatal_code;
	struct broker_health health;
	bool was_up;
	bool purged;
	bool node_seen[RABBITMQ_MAX_NODES];
};

/* ---- outcomes ------------------------------------------------------------------------------------ */

static void wake_poller(struct broker_producer *p)
{
	uint64_t one = 1;

	/* fails only when it is awake 2^64 times over */
	(void)!write(p->wake_fd, &one, sizeof(one));
}

static void add_done(struct broker_producer *p, void *tag, enum outcome outcome, int code)
{
	BUG_ON(p->n_done == p->capacity);
	p->done[(p->done_first + p->n_done++) % p->capacity] = (struct broker_outcome){
		.tag = tag,
		.outcome = outcome,
		.offset = BROKER_NO_OFFSET,
		.node = outcome == OUTCOME_ACKED ? p->conn.node.id : BROKER_NO_NODE,
		.code = code,
	};
}

/* What closes a tag. */
struct closing {
	struct broker_producer *p;
	enum outcome outcome;
	int code;
};

static void close_tag(void *arg, void *tag)
{
	struct closing *c = arg;

	add_done(c->p, tag, c->outcome, c->code);
}

static void give_up_open(struct broker_producer *p, int code)
{
	struct closing c = {p, OUTCOME_UNKNOWN, code};

	rabbitmq_tags_close_all(&p->tags, close_tag, &c);
}

static size_t take_done(struct broker_producer *p, struct broker_outcome *ret, size_t max)
{
	size_t n = p->n_done < max ? p->n_done : max;

	for (size_t i = 0; i < n; i++)
		ret[i] = p->done[(p->done_first + i) % p->capacity];
	p->done_first = (p->done_first + n) % p->capacity;
	p->n_done -= n;
	p->n_taken -= n;
	return n;
}

/* ---- the connection's end ------------------------------------------------------------------------ */

static void say(struct broker_producer *p, const char *text)
{
	snprintf(p->health.last_error, sizeof(p->health.last_error), "%s", text);
}

/* The connection is of no use any more: what was published on it nobody will confirm. */
static void break_line(struct broker_producer *p, int code, const char *why)
{
	if (p->line != LINE_UP)
		return;
	give_up_open(p, code);
	p->line = LINE_BROKEN;
	p->health.blocked = false;
	p->return_code = 0;
	p->health.disconnects++;
	p->health.changes++;
	say(p, why);
	wake_poller(p);
}

/* The poller's: the connector may go on. */
static void clear_line(struct broker_producer *p)
{
	if (p->line != LINE_BROKEN)
		return;
	rabbitmq_disconnect(&p->conn, 0);
	p->line = LINE_DOWN;
	pthread_cond_broadcast(&p->changed);
}

static void break_by_status(struct broker_producer *p, int status, const char *what)
{
	struct err e;

	if (p->line != LINE_UP)
		return;
	rabbitmq_status(&p->conn, status, what, &e);
	break_line(p, status, e.msg);
}

/* Another connection would end in the same way. */
static bool ends_all(int code)
{
	switch (code) {
	case AMQP_NOT_FOUND:           /* no such exchange */
	case AMQP_ACCESS_REFUSED:      /* no permission to write to it */
	case AMQP_PRECONDITION_FAILED: /* larger than the broker takes */
	case AMQP_NOT_IMPLEMENTED:
		return true;
	default:
		return false;
	}
}

static void take_close(struct broker_producer *p, const amqp_frame_t *frame)
{
	char text[512];
	bool channel_only;
	int code;

	rabbitmq_close_text(frame, text, sizeof(text), &code, &channel_only);
	if (channel_only && ends_all(code)) {
		err_set(&p->fatal, rabbitmq_code_error(code, text),
			"the broker closed the channel: %s", text);
		if (rabbitmq_close_hint(code, text))
			err_hint(&p->fatal, "%s", rabbitmq_close_hint(code, text));
		p->fatal_code = code;
	}
	break_line(p, code, text);
}

/* ---- what comes from the broker ------------------------------------------------------------------ */

static void take_confirm(struct broker_producer *p, uint64_t delivery_tag, bool multiple, bool good)
{
	struct closing c = {
		p, good ? OUTCOME_ACKED : OUTCOME_UNKNOWN, good ? 0 : RABBITMQ_CODE_NACK};

	rabbitmq_tags_close(&p->tags, delivery_tag, multiple, close_tag, &c);
}

static void take_blocked(struct broker_producer *p, const amqp_connection_blocked_t *m)
{
	char text[256];

	if (!p->health.blocked)
		p->blocked_ns = clock_ns();
	/*
	 * The broker reads nothing more for as long as it is short of memory or disk, which may be hours: its
	 * window stays closed, and it is alive as its heartbeats say.
	 */
	rabbitmq_set_user_timeout(&p->conn, 0);
	p->patient = true;
	p->health.blocked = true;
	snprintf(text, sizeof(text), "blocked: %.*s", (int)m->reason.len,
		(const char *)m->reason.bytes);
	say(p, text);
}

static void take_unblocked(struct broker_producer *p)
{
	char text[64];

	snprintf(text, sizeof(text), "blocked for %.1f s, and no longer",
		(double)(clock_ns() - p->blocked_ns) / (double)NS_PER_S);
	p->health.blocked = false;
	say(p, text);
}

/*
 * Once the broker has taken what waited. Not at once: the kernel counts from when the window was closed, and would give
 * the connection up at its next look.
 */
static void end_patience(struct broker_producer *p)
{
	int queued = 0;

	if (!p->patient || p->health.blocked || ioctl(p->conn.fd, SIOCOUTQ, &queued) || queued)
		return;
	rabbitmq_set_user_timeout(&p->conn, p->client.settings.tcp_user_timeout_ms);
	p->patient = false;
}

static void take_method(struct broker_producer *p, const amqp_frame_t *frame)
{
	const void *decoded = frame->payload.method.decoded;

	switch (frame->payload.method.id) {
	case AMQP_BASIC_ACK_METHOD: {
		const amqp_basic_ack_t *m = decoded;

		take_confirm(p, m->delivery_tag, m->multiple, true);
		break;
	}
	case AMQP_BASIC_NACK_METHOD: {
		const amqp_basic_nack_t *m = decoded;

		take_confirm(p, m->delivery_tag, m->multiple, false);
		break;
	}
	case AMQP_BASIC_RETURN_METHOD:
		p->return_code = ((const amqp_basic_return_t *)decoded)->reply_code;
		break;
	case AMQP_CONNECTION_BLOCKED_METHOD:
		take_blocked(p, decoded);
		break;
	case AMQP_CONNECTION_UNBLOCKED_METHOD:
		take_unblocked(p);
		break;
	case AMQP_CHANNEL_CLOSE_METHOD:
	case AMQP_CONNECTION_CLOSE_METHOD:
		take_close(p, frame);
		break;
	default:
		break;
	}
}

/*
 * A returned message has no delivery tag. It bears ours in its message id, which it has for that where
 * messages are mandatory: unique in the life of this producer, as some consumers go by it.
 */
static void write_message_id(const struct broker_producer *p, uint64_t tag, char *ret, size_t len)
{
	snprintf(ret, len, "mqaudit-%08x-%llu", p->epoch, (unsigned long long)tag);
}

static void take_returned(struct broker_producer *p, const amqp_basic_properties_t *props)
{
	struct closing c = {p, OUTCOME_REFUSED, p->return_code};
	char text[64];
	unsigned epoch;
	unsigned long long tag;
	size_t len = props->message_id.len;

	p->return_code = 0;
	if (!(props->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) || len >= sizeof(text))
		return;
	memcpy(text, props->message_id.bytes, len);
	text[len] = '\0';
	if (sscanf(text, "mqaudit-%8x-%llu", &epoch, &tag) != 2 || epoch != p->epoch)
		return;
	if (!p->client.settings.confirms) {
		snprintf(text, sizeof(text), "%llu returned as unroutable",
			(unsigned long long)++p->n_returned_late);
		say(p, text);
		return;
	}
	/* the ack that follows finds it closed (rabbitmq-facts.md section 7: the return comes first) */
	rabbitmq_tags_close(&p->tags, tag, false, close_tag, &c);
}

/* Take all that is there. Returns the library's status that ended it: AMQP_STATUS_TIMEOUT where all is well. */
static int take_frames(struct broker_producer *p)
{
	const struct timeval none = {0, 0};
	amqp_frame_t frame;
	int status = AMQP_STATUS_TIMEOUT;

	while (p->line == LINE_UP) {
		status = amqp_simple_wait_frame_noblock(p->conn.state, &frame, &none);
		if (status != AMQP_STATUS_OK)
			break;
		if (frame.frame_type == AMQP_FRAME_METHOD)
			take_method(p, &frame);
		else if (frame.frame_type == AMQP_FRAME_HEADER && p->return_code)
			take_returned(p, frame.payload.properties.decoded);
		rabbitmq_release_buffers(&p->conn);
	}
	return status;
}

static void serve(struct broker_producer *p)
{
	int status = take_frames(p);

	if (p->line == LINE_UP && status != AMQP_STATUS_TIMEOUT)
		break_by_status(p, status, "the connection is lost");
	if (p->line == LINE_UP)
		end_patience(p);
	p->health.snapshots++;
}

size_t rabbitmq_producer_poll(
	struct broker_producer *p, struct broker_outcome *ret, size_t max, int timeout_ms)
{
	struct pollfd wait[2] = {
		{.fd = p->wake_fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	uint64_t ignored;
	size_t n;

	pthread_mutex_lock(&p->mutex);
	clear_line(p);
	if (p->line == LINE_UP)
		wait[1].fd = p->conn.fd;
	if (p->n_done)
		timeout_ms = 0;
	pthread_mutex_unlock(&p->mutex);
	if (poll(wait, 2, timeout_ms) > 0 && wait[0].revents)
		(void)!read(p->wake_fd, &ignored, sizeof(ignored));
	pthread_mutex_lock(&p->mutex);
	serve(p);
	n = take_done(p, ret, max);
	pthread_mutex_unlock(&p->mutex);
	return n;
}

/* ---- sending ------------------------------------------------------------------------------------- */

/*
 * Has the peer been silent for nearly as long as heartbeats allow? amqp_basic_publish() then waits without end
 * for it to say something (its amqp_try_recv() takes a timeout of 0 s for none at all; rabbitmq-c 0.11): no
 * publish, until the poller finds the connection dead.
 */
static bool too_silent(const struct broker_producer *p)
{
	uint32_t limit_ms = (uint32_t)p->client.settings.heartbeat_s * 2000;
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return limit_ms && getsockopt(p->conn.fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       info.tcpi_last_data_recv + SILENCE_MARGIN_MS > limit_ms;
}

/*
 * How many bytes the socket takes without making us wait: half of its buffer, less what is in it. The other
 * half is for what the kernel adds to each packet. None where the peer is known to be gone: what is published
 * there would be unknown for nothing.
 */
static size_t socket_room(const struct rabbitmq_conn *conn, bool *ret_empty)
{
	struct pollfd one = {.fd = conn->fd, .events = POLLOUT | POLLRDHUP};
	int queued = 0, size = 0;
	socklen_t len = sizeof(size);

	*ret_empty = false;
	if (poll(&one, 1, 0) != 1 || one.revents != POLLOUT)
		return 0;
	if (ioctl(conn->fd, SIOCOUTQ, &queued) ||
		getsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &size, &len))
		return 0;
	*ret_empty = queued == 0;
	return size / 2 > queued ? (size_t)(size / 2 - queued) : 0;
}

static int publish(struct broker_producer *p, const struct broker_send *m, uint64_t tag)
{
	const struct rabbitmq_settings *s = &p->client.settings;
	amqp_basic_properties_t props = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
		.delivery_mode =
			s->persistent ? AMQP_DELIVERY_PERSISTENT : AMQP_DELIVERY_NONPERSISTENT};
	amqp_bytes_t body = {.len = m->len, .bytes = (void *)(uintptr_t)m->payload};
	char id[48];

	if (s->mandatory) {
		write_message_id(p, tag, id, sizeof(id));
		props._flags |= AMQP_BASIC_MESSAGE_ID_FLAG;
		props.message_id = rabbitmq_bytes(id);
	}
	return amqp_basic_publish(p->conn.state, CHANNEL, rabbitmq_bytes(s->exchange),
		rabbitmq_bytes(s->routing_key), s->mandatory, 0, &props, body);
}

/*
 * One message into the socket. What the library says no to in the middle is unknown, with all the rest; but for
 * what the broker said before: a reset connection still gives what had arrived.
 */
static void send_one(struct broker_producer *p, struct broker_send *m)
{
	uint64_t tag = rabbitmq_tags_open(&p->tags, m->tag);
	struct closing c = {p, OUTCOME_UNCONFIRMED, 0};
	int status = publish(p, m, tag);

	m->taken = BROKER_TAKEN;
	p->n_taken++;
	if (status != AMQP_STATUS_OK) {
		(void)take_frames(p);
		break_by_status(p, status, "a publish failed");
	} else if (!p->client.settings.confirms) {
		rabbitmq_tags_close(&p->tags, tag, false, close_tag, &c);
	}
}

/* Is there room for a message of that size? `room` is what the socket was found to take, less what it took since. */
static bool find_room(struct broker_producer *p, size_t need, size_t *room)
{
	bool empty = false;

	if (p->line != LINE_UP || p->health.blocked || p->n_taken == p->capacity ||
		!rabbitmq_tags_room(&p->tags))
		return false;
	if (need <= *room)
		return true;
	if (too_silent(p))
		return false;
	*room = socket_room(&p->conn, &empty);
	/* what is larger than the buffer goes alone */
	return need <= *room || empty;
}

static void refuse(struct broker_send *m, int code)
{
	m->taken = BROKER_REFUSED_LOCALLY;
	m->code = code;
}

/* Returns how many were taken; what has no room, and all behind it, is left as it is. */
static size_t send_while_room(struct broker_producer *p, struct broker_send *msg, size_t n)
{
	size_t room = 0, taken = 0;

	for (size_t i = 0; i < n; i++) {
		size_t need = msg[i].len + FRAME_BYTES;

		if (msg[i].len > (size_t)p->client.settings.max_message_bytes) {
			refuse(&msg[i], AMQP_CONTENT_TOO_LARGE);
			continue;
		}
		if (!find_room(p, need, &room))
			break;
		send_one(p, &msg[i]);
		room = need < room ? room - need : 0;
		taken++;
	}
	return taken;
}

size_t rabbitmq_producer_send(
	struct broker_producer *p, int32_t partition, struct broker_send *msg, size_t n)
{
	size_t taken = 0;

	(void)partition;
	pthread_mutex_lock(&p->mutex);
	for (size_t i = 0; i < n; i++)
		msg[i].taken = BROKER_QUEUE_FULL;
	if (p->fatal.code == 0)
		taken = send_while_room(p, msg, n);
	for (size_t i = 0; p->fatal.code && i < n; i++)
		if (msg[i].taken == BROKER_QUEUE_FULL)
			refuse(&msg[i], p->fatal_code);
	if (p->n_done)
		wake_poller(p);
	pthread_mutex_unlock(&p->mutex);
	return taken;
}

void rabbitmq_producer_purge(struct broker_producer *p)
{
	pthread_mutex_lock(&p->mutex);
	give_up_open(p, 0);
	p->purged = true;
	pthread_mutex_unlock(&p->mutex);
	wake_poller(p);
}

/* ---- the connector's thread ---------------------------------------------------------------------- */

static int open_channel(
	struct broker_producer *p, struct rabbitmq_conn *conn, int64_t deadline_ns, struct err *e)
{
	int r = rabbitmq_channel_open(conn, deadline_ns, e);

	if (r || !p->client.settings.confirms)
		return r;
	rabbitmq_rpc_deadline(conn, deadline_ns);
	(void)amqp_confirm_select(conn->state, conn->channel);
	return rabbitmq_reply(conn, amqp_get_rpc_reply(conn->state),
		"publisher confirms cannot be switched on", NULL, e);
}

/* Under the mutex. */
static void install(struct broker_producer *p, const struct rabbitmq_conn *conn)
{
	p->conn = *conn;
	rabbitmq_tags_restart(&p->tags);
	p->epoch++;
	p->line = LINE_UP;
	p->patient = false;
	p->was_up = true;
	p->health.connects++;
	for (size_t i = 0; i < p->client.n_nodes; i++)
		if (p->client.node[i].id == conn->node.id)
			p->node_seen[i] = true;
}

/* Under the mutex, which is free meanwhile. A first connection that is refused will be refused again. */
static bool try_to_connect(struct broker_producer *p, size_t *at)
{
	int64_t deadline_ns = clock_ns() + CONNECT_NS;
	struct rabbitmq_conn conn = {0};
	struct err e;
	int r;

	pthread_mutex_unlock(&p->mutex);
	r = rabbitmq_connect(&p->client, *at % p->client.n_nodes, deadline_ns, &conn, &e);
	if (r == 0) {
		r = open_channel(p, &conn, deadline_ns, &e);
		if (r)
			rabbitmq_disconnect(&conn, 0);
	}
	pthread_mutex_lock(&p->mutex);
	if (r == 0) {
		install(p, &conn);
		wake_poller(p);
		return true;
	}
	(*at)++;
	say(p, e.msg);
	if (!p->was_up && r != ERR_BROKER_AWAY) {
		p->fatal = e;
		p->fatal_code = RABBITMQ_CODE_NO_CONNECTION;
	}
	return false;
}

/* Under the mutex: wait until there is something to do, or for the pause. */
static void pause_connector(struct broker_producer *p, int64_t ns)
{
	int64_t until = clock_ns() + ns;
	struct timespec ts = {until / NS_PER_S, until % NS_PER_S};

	while (!p->closing && clock_ns() < until)
		pthread_cond_timedwait(&p->changed, &p->mutex, &ts);
}

static void *connector_main(void *arg)
{
	struct broker_producer *p = arg;
	int64_t pause_ns = RETRY_MIN_NS;
	size_t at = (size_t)p->client.settings.first_node - 1;

	pthread_setname_np(pthread_self(), "mq-connect");
	pthread_mutex_lock(&p->mutex);
	while (!p->closing) {
		if (p->line != LINE_DOWN || p->fatal.code) {
			pthread_cond_wait(&p->changed, &p->mutex);
			continue;
		}
		if (try_to_connect(p, &at)) {
			pause_ns = RETRY_MIN_NS;
		} else if (at % p->client.n_nodes == 0) {
			pause_connector(p, pause_ns);
			pause_ns = 2 * pause_ns < RETRY_MAX_NS ? 2 * pause_ns : RETRY_MAX_NS;
		}
	}
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

/* ---- from outside -------------------------------------------------------------------------------- */

static void init_locks(struct broker_producer *p)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&p->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
}

int rabbitmq_producer_open(
	const struct broker_config *c, struct broker_producer **ret, struct err *e)
{
	struct broker_producer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, ERR_NOMEM, "out of memory");
	init_locks(p);
	p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r = p->wake_fd < 0 ? err_set_errno(e, ERR_IO, errno, "cannot make an eventfd") : 0;
	if (r == 0)
		r = rabbitmq_client_init(c, c->props, &p->client, e);
	if (r == 0) {
		p->capacity = (size_t)p->client.settings.window;
		p->epoch = (uint32_t)rng_system();
		p->done = calloc(p->capacity, sizeof(*p->done));
		r = p->done ? rabbitmq_tags_init(&p->tags, p->capacity, e)
			    : err_set(e, ERR_NOMEM, "out of memory");
	}
	if (r == 0) {
		int errnum = pthread_create(&p->connector, NULL, connector_main, p);

		p->connector_runs = errnum == 0;
		if (errnum)
			r = err_set_errno(e, ERR_IO, errnum, "cannot start a thread");
	}
	if (r) {
		rabbitmq_producer_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

void rabbitmq_producer_settings(struct broker_producer *p, broker_setting_fn *fn, void *arg)
{
	rabbitmq_settings_give(&p->client.settings, fn, arg);
}

size_t rabbitmq_producer_capacity(struct broker_producer *p)
{
	return p->capacity;
}

size_t rabbitmq_producer_window(struct broker_producer *p, size_t size, size_t n_partitions)
{
	(void)size;
	(void)n_partitions;
	return p->capacity;
}

int rabbitmq_producer_fatal(struct broker_producer *p, struct err *e)
{
	int r;

	pthread_mutex_lock(&p->mutex);
	r = p->fatal.code;
	if (r)
		*e = p->fatal;
	pthread_mutex_unlock(&p->mutex);
	return r;
}

void rabbitmq_producer_health(struct broker_producer *p, struct broker_health *ret)
{
	pthread_mutex_lock(&p->mutex);
	*ret = p->health;
	pthread_mutex_unlock(&p->mutex);
}

size_t rabbitmq_producer_nodes(struct broker_producer *p, struct broker_node *ret, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&p->mutex);
	for (size_t i = 0; i < p->client.n_nodes && n < max; i++)
		if (p->node_seen[i])
			ret[n++] = p->client.node[i];
	pthread_mutex_unlock(&p->mutex);
	return n;
}

/*
 * How long to wait for the answer to an orderly close. Without confirms what was published may still be on its
 * way, and would die with the socket (100,000 in a burst took a node 3 s; with 2 s of patience 153 of them were
 * lost). With something outstanding, or after a purge: as an application that just ends.
 */
static int64_t goodbye_ns(const struct broker_producer *p)
{
	if (p->line != LINE_UP || p->n_taken || p->purged)
		return 0;
	return p->client.settings.confirms ? GOODBYE_NS : p->client.timeout_ns;
}

void rabbitmq_producer_close(struct broker_producer *p)
{
	if (!p)
		return;
	if (p->connector_runs) {
		pthread_mutex_lock(&p->mutex);
		p->closing = true;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->mutex);
		pthread_join(p->connector, NULL);
	}
	rabbitmq_disconnect(&p->conn, goodbye_ns(p));
	rabbitmq_client_release(&p->client);
	rabbitmq_tags_release(&p->tags);
	free(p->done);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}
