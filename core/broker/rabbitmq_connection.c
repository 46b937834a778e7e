/* Connections to RabbitMQ: where, as whom, and what its refusals mean. */
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "core/broker/netns.h"
#include "core/broker/rabbitmq.h"
#include "core/clock.h"
#include "core/labfile.h"
#include "core/url.h"

#define ATTEMPT_NS (3 * NS_PER_S) /* for one node, when there are others or time for another try */
#define PAUSE_MIN_NS (50 * NS_PER_MS)
#define PAUSE_MAX_NS NS_PER_S
#define FRAME_MAX 131072 /* what the broker proposes by itself */

amqp_bytes_t rabbitmq_bytes(const char *text)
{
	return (amqp_bytes_t){.len = strlen(text), .bytes = (void *)(uintptr_t)text};
}

/* ---- who and where ------------------------------------------------------------------------------ */

static int read_password_file(const char *path, char *ret, size_t len, struct err *e)
{
	size_t n = 0;
	char *text;
	int r = paths_read_file(path, len, &text, &n, e);

	if (r)
		return r;
	n = strcspn(text, "\r\n");
	if (n >= len) {
		r = err_set(e, ERR_LIMIT, "the password in '%s' is too long", path);
	} else {
		memcpy(ret, text, n);
		ret[n] = '\0';
	}
	explicit_bzero(text, strlen(text));
	free(text);
	return r;
}

static void take_url(const struct url *u, struct rabbitmq_client *client)
{
	for (size_t i = 0; i < u->n_hosts && i < RABBITMQ_MAX_NODES; i++) {
		struct broker_node *n = &client->node[client->n_nodes++];
		uint16_t port;

		url_host(u, i, n->host, sizeof(n->host), &port);
		n->port = port;
		n->id = (int32_t)i + 1;
	}
	snprintf(client->user, sizeof(client->user), "%s", u->user);
}

/* A secure lab speaks TLS, with certificates of its own authority. */
static int take_authority(const struct labfile *lab, const struct props *props,
	struct rabbitmq_client *client, struct err *e)
{
	struct props *own;
	const char *ca;
	int r;

	client->tls = true;
	if (props && props_get(props, "ssl.ca.location"))
		return 0;
	own = props_new();
	r = own ? props_read_file(lab->client_config, own, e)
		: err_set(e, ERR_NOMEM, "out of memory");
	ca = r == 0 ? props_get(own, "ssl.ca.location") : NULL;
	if (ca)
		snprintf(client->settings.ssl_ca, sizeof(client->settings.ssl_ca), "%s", ca);
	props_free(own);
	return r;
}

static int take_lab(const struct url *u, const struct props *props, struct rabbitmq_client *client,
	struct err *e)
{
	struct labfile *lab;
	int r = labfile_read(u->lab, labfile_kind_of_scheme(url_scheme_text(u->scheme)), &lab, e);

	if (r)
		return r;
	for (size_t i = 0; i < lab->n_nodes && i < RABBITMQ_MAX_NODES; i++) {
		struct broker_node *n = &client->node[client->n_nodes++];

		n->id = lab->node[i].id;
		n->port = lab->node[i].port;
		snprintf(n->host, sizeof(n->host), "%s", lab->node[i].address);
	}
	snprintf(client->netns, sizeof(client->netns), "%s", lab->client_netns);
	if (!client->settings.user[0] && lab->user[0]) {
		snprintf(client->user, sizeof(client->user), "%s", lab->user);
		if (!client->settings.password[0])
			r = read_password_file(
				lab->password_file, client->password, sizeof(client->password), e);
	}
	if (r == 0 && lab->secure)
		r = take_authority(lab, props, client, e);
	labfile_free(lab);
	return r;
}

int rabbitmq_client_init(const struct broker_config *c, const struct props *props,
	struct rabbitmq_client *client, struct err *e)
{
	const struct url *u = c->url;
	int r;

	memset(client, 0, sizeof(*client));
	r = rabbitmq_settings_read(props, u->name, &client->settings, e);
	if (r)
		return r;
	if (u->lab[0])
		r = take_lab(u, props, client, e);
	else
		take_url(u, client);
	client->tls |= u->scheme == URL_AMQPS;
	client->timeout_ns = c->timeout_ns;
	client->stop = c->stop;
	snprintf(client->vhost, sizeof(client->vhost), "%s", u->vhost);
	snprintf(client->queue, sizeof(client->queue), "%s", u->name);
	snprintf(client->client_id, sizeof(client->client_id), "%s",
		c->client_id ? c->client_id : "mqaudit");
	if (!client->user[0])
		snprintf(client->user, sizeof(client->user), "%s", client->settings.user);
	if (!client->user[0])
		snprintf(client->user, sizeof(client->user), "guest");
	if (client->settings.password[0])
		memcpy(client->password, client->settings.password, sizeof(client->password));
	else if (!client->password[0] && strcmp(client->user, "guest") == 0)
		snprintf(client->password, sizeof(client->password), "guest");
	return r;
}

void rabbitmq_client_release(struct rabbitmq_client *client)
{
	explicit_bzero(client->password, sizeof(client->password));
	explicit_bzero(client->settings.password, sizeof(client->settings.password));
}

/* ---- what refusals mean -------------------------------------------------------------------------- */

int rabbitmq_code_error(int code, const char *text)
{
	switch (code) {
	case AMQP_NOT_FOUND:
		/* "home node ... is down or inaccessible", "... due to timeout", "process ... is stopped" */
		return strstr(text, " - no ") ? ERR_NOTFOUND : ERR_BROKER_AWAY;
	case AMQP_ACCESS_REFUSED:
	case AMQP_RESOURCE_LOCKED:
		return ERR_DENIED;
	case AMQP_NOT_ALLOWED:
		return strstr(text, "not found") ? ERR_NOTFOUND : ERR_DENIED;
	case AMQP_CONNECTION_FORCED:
		return ERR_BROKER_AWAY;
	case AMQP_INTERNAL_ERROR: /* "vhost '/' is down", while a node starts */
		return strstr(text, "is down") ? ERR_BROKER_AWAY : ERR_BROKER;
	default:
		return ERR_BROKER;
	}
}

void rabbitmq_close_text(
	const amqp_frame_t *frame, char *ret, size_t len, int *ret_code, bool *ret_channel_only)
{
	amqp_bytes_t text = {0};

	*ret_code = 0;
	*ret_channel_only = frame->payload.method.id == AMQP_CHANNEL_CLOSE_METHOD;
	if (*ret_channel_only) {
		const amqp_channel_close_t *m = frame->payload.method.decoded;

		*ret_code = m->reply_code;
		text = m->reply_text;
	} else if (frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD) {
		const amqp_connection_close_t *m = frame->payload.method.decoded;

		*ret_code = m->reply_code;
		text = m->reply_text;
	}
	snprintf(ret, len, "%.*s", (int)text.len, (const char *)text.bytes);
}

const char *rabbitmq_close_hint(int code, const char *text)
{
	if (strstr(text, "Login was refused"))
		return "the user is in the URL, the password in MQAUDIT_AMQP_PASSWORD or --password-file FILE";
	if (code == AMQP_NOT_ALLOWED && strstr(text, "not found"))
		return "the virtual host stands behind the host in the URL, '/' written as %2F";
	if (strstr(text, "access to "))
		return "an administrator grants it: rabbitmqctl set_permissions -p VHOST USER CONFIGURE WRITE "
		       "READ, of which each is a pattern of names";
	if (code == AMQP_NOT_FOUND && strstr(text, " - no exchange"))
		return "it must be there before: mqaudit makes none";
	if (code == AMQP_PRECONDITION_FAILED && strstr(text, "inequivalent arg"))
		return "the queue is there already, and is another than the one that was asked for";
	if (code == AMQP_PRECONDITION_FAILED && strstr(text, "invalid arg"))
		return "queues of this type do not take it, or not this value: mqaudit lint --queue-argument";
	return NULL;
}

static int server_error(struct rabbitmq_conn *conn, const amqp_method_t *method, const char *what,
	int *ret_code, struct err *e)
{
	amqp_frame_t frame = {.payload.method = *method};
	const char *hint;
	char text[512];
	bool channel_only;
	int code, r;

	rabbitmq_close_text(&frame, text, sizeof(text), &code, &channel_only);
	if (channel_only) {
		amqp_channel_close_ok_t ok = {0};

		/* the answer is owed; if it cannot be sent, the next call says so */
		(void)amqp_send_method(
			conn->state, conn->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
	}
	r = rabbitmq_code_error(code, text);
	if (ret_code)
		*ret_code = code;
	err_set(e, r, "%s: %s (%s:%d, code %d)", what, text, conn->node.host, conn->node.port,
		code);
	hint = rabbitmq_close_hint(code, text);
	if (hint)
		err_hint(e, "%s", hint);
	return r;
}

static int status_error(int status)
{
	switch (status) {
	case AMQP_STATUS_NO_MEMORY:
		return ERR_NOMEM;
	case AMQP_STATUS_SSL_ERROR:
		/* also a reset, or an end, of the connection under TLS, for which it has no other status (0.11):
		 * only an alert is the peer's word */
		return strstr(rabbitmq_tls_reason(status), "alert") ? ERR_DENIED : ERR_BROKER_AWAY;
	case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED:
	case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
	case AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD:
		return ERR_DENIED;
	case AMQP_STATUS_BAD_AMQP_DATA:
	case AMQP_STATUS_WRONG_METHOD:
	case AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION:
	case AMQP_STATUS_TABLE_TOO_BIG:
		return ERR_BROKER;
	default:
		return ERR_BROKER_AWAY;
	}
}

int rabbitmq_status(const struct rabbitmq_conn *conn, int status, const char *what, struct err *e)
{
	int r = status_error(status);
	const char *reason = rabbitmq_tls_reason(status), *hint = rabbitmq_tls_hint(status);

	err_set(e, r, "%s: %s%s%s (%s:%d)", what,
		status == AMQP_STATUS_TIMEOUT ? "no answer in time" : amqp_error_string2(status),
		*reason ? ": " : "", reason, conn->node.host, conn->node.port);
	if (status == AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED)
		hint = "check the name of the host";
	if (hint)
		err_hint(e, "%s", hint);
	return r;
}

int rabbitmq_reply(struct rabbitmq_conn *conn, amqp_rpc_reply_t reply, const char *what,
	int *ret_code, struct err *e)
{
	switch (reply.reply_type) {
	case AMQP_RESPONSE_NORMAL:
		if (ret_code)
			*ret_code = 0;
		return 0;
	case AMQP_RESPONSE_SERVER_EXCEPTION:
		return server_error(conn, &reply.reply, what, ret_code, e);
	case AMQP_RESPONSE_LIBRARY_EXCEPTION:
		if (ret_code)
			*ret_code = reply.library_error;
		return rabbitmq_status(conn, reply.library_error, what, e);
	default:
		if (ret_code)
			*ret_code = AMQP_STATUS_CONNECTION_CLOSED;
		return rabbitmq_status(conn, AMQP_STATUS_CONNECTION_CLOSED, what, e);
	}
}

/* ---- connecting ---------------------------------------------------------------------------------- */

static struct timeval left(int64_t deadline_ns)
{
	int64_t ns = deadline_ns - clock_ns();

	if (ns < NS_PER_MS)
		ns = NS_PER_MS;
	return (struct timeval){
		.tv_sec = (time_t)(ns / NS_PER_S), .tv_usec = (ns % NS_PER_S) / NS_PER_US};
}

void rabbitmq_rpc_deadline(struct rabbitmq_conn *conn, int64_t deadline_ns)
{
	struct timeval tv = left(deadline_ns);

	/* fails only for a negative time */
	BUG_ON(amqp_set_rpc_timeout(conn->state, &tv));
}

static int refused(const struct rabbitmq_conn *conn, struct err *e)
{
	err_set(e, ERR_BROKER_AWAY, "cannot connect: %s:%d refuses, or cannot be reached",
		conn->node.host, conn->node.port);
	return err_hint(
		e, "check host and port: RabbitMQ's is 5672, and 5671 for TLS, which is amqps://");
}

static int open_socket(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	int64_t deadline_ns, struct err *e)
{
	struct timeval tv = left(deadline_ns);
	amqp_socket_t *socket;
	int before, status, r = 0;

	if (client->tls)
		r = rabbitmq_tls_socket(client, conn, &socket, e);
	else if (!(socket = amqp_tcp_socket_new(conn->state)))
		r = err_set(e, ERR_NOMEM, "out of memory for a connection");
	if (r == 0)
		r = netns_enter(client->netns, &before, e);
	if (r)
		return r;
	status = amqp_socket_open_noblock(socket, conn->node.host, conn->node.port, &tv);
	netns_leave(before);
	if (status == AMQP_STATUS_SOCKET_ERROR)
		return refused(conn, e);
	if (status) {
		r = rabbitmq_status(conn, status, "cannot connect", e);
		if (status == AMQP_STATUS_TIMEOUT)
			err_hint(e, client->tls ? "is this RabbitMQ's port for TLS, 5671?"
						: "check host and port: nothing comes back");
		return r;
	}
	conn->fd = amqp_get_sockfd(conn->state);
	return 0;
}

void rabbitmq_set_user_timeout(const struct rabbitmq_conn *conn, int ms)
{
	unsigned value = (unsigned)ms;

	/* fails only for a socket that is closed */
	(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof(value));
}

static amqp_table_entry_t flag(const char *name)
{
	return (amqp_table_entry_t){.key = rabbitmq_bytes(name),
		.value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
}

/*
 * What answers, and does not log us in, may be no RabbitMQ at all. A broker of another version of AMQP answers with
 * its own protocol header, which the library takes for an unexpected method (0.11).
 */
#define HANGS_UP "it hangs up: is this RabbitMQ's port, 5672? One for TLS wants amqps://"
/* of TLS 1.3 the client knows only afterwards, and not always, what the server thought of its certificate */
#define HANGS_UP_TLS                                                                               \
	"it hangs up: is this RabbitMQ's port for TLS, 5671? So does one that wants a client's "   \
	"certificate, or another: ssl.certificate.location"

static void login_hint(const struct rabbitmq_client *client, int status, struct err *e)
{
	const char *hint = NULL;

	switch (status) {
	case AMQP_STATUS_WRONG_METHOD:
	case AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION:
		hint = "what answers there speaks another version of AMQP than 0-9-1";
		break;
	case AMQP_STATUS_BAD_AMQP_DATA:
		hint = "what answers there does not speak AMQP; RabbitMQ's port for it is 5672, and 5671 "
		       "for TLS";
		break;
	case AMQP_STATUS_TIMEOUT:
		hint = "it takes connections and says nothing: is this RabbitMQ's port, and RabbitMQ up?";
		break;
	case AMQP_STATUS_SSL_ERROR:
		if (!strstr(rabbitmq_tls_reason(status), "alert"))
			hint = HANGS_UP_TLS;
		break;
	case AMQP_STATUS_SOCKET_ERROR:
	case AMQP_STATUS_CONNECTION_CLOSED:
		hint = client->tls ? HANGS_UP_TLS : HANGS_UP;
		break;
	default:
		break;
	}
	if (hint)
		err_hint(e, "%s", hint);
}

static int log_in(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	int64_t deadline_ns, struct err *e)
{
	amqp_table_entry_t able[4] = {flag("publisher_confirms"), flag("basic.nack"),
		flag("consumer_cancel_notify"), flag("connection.blocked")};
	amqp_table_t abilities = {client->settings.blocked_notice ? 4 : 3, able};
	amqp_table_entry_t about[2] = {
		{.key = rabbitmq_bytes("connection_name"),
			.value = {.kind = AMQP_FIELD_KIND_UTF8,
				.value.bytes = rabbitmq_bytes(client->client_id)}},
		{.key = rabbitmq_bytes("capabilities"),
			.value = {.kind = AMQP_FIELD_KIND_TABLE, .value.table = abilities}},
	};
	amqp_table_t properties = {2, about};
	struct timeval tv = left(deadline_ns);
	char what[600];
	int code, r;

	BUG_ON(amqp_set_handshake_timeout(conn->state, &tv));
	rabbitmq_rpc_deadline(conn, deadline_ns);
	snprintf(what, sizeof(what), "login as '%s' to virtual host '%s'", client->user,
		client->vhost);
	r = rabbitmq_reply(conn,
		amqp_login_with_properties(conn->state, client->vhost, 0, FRAME_MAX,
			client->settings.heartbeat_s, &properties, AMQP_SASL_METHOD_PLAIN,
			client->user, client->password),
		what, &code, e);
	if (r && code < 0)
		login_hint(client, code, e);
	return r;
}

int rabbitmq_connect(const struct rabbitmq_client *client, size_t i, int64_t deadline_ns,
	struct rabbitmq_conn *ret, struct err *e)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->node = client->node[i];
	ret->fd = -1;
	ret->state = amqp_new_connection();
	if (!ret->state)
		return err_set(e, ERR_NOMEM, "out of memory for a connection");
	r = open_socket(client, ret, deadline_ns, e);
	if (r == 0) {
		rabbitmq_set_user_timeout(ret, client->settings.tcp_user_timeout_ms);
		r = log_in(client, ret, deadline_ns, e);
	}
	if (r)
		rabbitmq_disconnect(ret, 0);
	return r;
}

int rabbitmq_connect_any(const struct rabbitmq_client *client, size_t *at, int64_t deadline_ns,
	struct rabbitmq_conn *ret, struct err *e)
{
	int64_t pause_ns = PAUSE_MIN_NS;
	int r;

	for (size_t i = 0;; i++) {
		int64_t now = clock_ns();
		int64_t until = now + ATTEMPT_NS < deadline_ns ? now + ATTEMPT_NS : deadline_ns;

		if (client->stop && *client->stop)
			return err_set(e, ERR_STOPPED, "stopped while connecting");
		r = rabbitmq_connect(client, *at % client->n_nodes, until, ret, e);
		if (r != ERR_BROKER_AWAY)
			return r;
		*at = (*at + 1) % client->n_nodes;
		if (clock_ns() + pause_ns >= deadline_ns)
			return r;
		if ((i + 1) % client->n_nodes)
			continue;
		clock_sleep_ns(pause_ns);
		pause_ns = 2 * pause_ns < PAUSE_MAX_NS ? 2 * pause_ns : PAUSE_MAX_NS;
	}
}

void rabbitmq_disconnect(struct rabbitmq_conn *conn, int64_t orderly_timeout_ns)
{
	if (!conn->state)
		return;
	if (orderly_timeout_ns > 0) {
		rabbitmq_rpc_deadline(conn, clock_ns() + orderly_timeout_ns);
		/* without an answer it is closed all the same */
		(void)amqp_connection_close(conn->state, AMQP_REPLY_SUCCESS);
	}
	(void)amqp_destroy_connection(conn->state);
	memset(conn, 0, sizeof(*conn));
	conn->fd = -1;
}

void rabbitmq_release_buffers(struct rabbitmq_conn *conn)
{
	if (!amqp_frames_enqueued(conn->state))
		amqp_maybe_release_buffers(conn->state);
}

int rabbitmq_channel_open(struct rabbitmq_conn *conn, int64_t deadline_ns, struct err *e)
{
	rabbitmq_rpc_deadline(conn, deadline_ns);
	conn->channel++;
	(void)amqp_channel_open(conn->state, conn->channel);
	return rabbitmq_reply(
		conn, amqp_get_rpc_reply(conn->state), "cannot open a channel", NULL, e);
}
