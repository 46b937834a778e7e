#include "core/broker/rabbitmq_props.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_VARIABLE "MQAUDIT_AMQP_PASSWORD"
/* rabbitmq-c 0.11 cannot ask OpenSSL for the system's certificates: a file has to be named */
#define SYSTEM_CERTIFICATES "/etc/ssl/certs/ca-certificates.crt"

enum kind { IS_BOOL, IS_INT, IS_TEXT };

struct row {
	const char *name;
	enum kind kind;
	size_t offset; /* in struct rabbitmq_settings */
	size_t len;    /* IS_TEXT: of the array */
	int min, max;  /* IS_INT */
	const char *dflt;
	bool connection; /* how to reach and enter the broker; or of no use but to who reads */
	const char *help;
};

#define FIELD(member) .offset = offsetof(struct rabbitmq_settings, member)
#define TEXT(member)                                                                               \
	.kind = IS_TEXT, FIELD(member), .len = sizeof(((struct rabbitmq_settings *)NULL)->member)

static const struct row rows[] = {
	{.name = "confirms",
		.kind = IS_BOOL,
		FIELD(confirms),
		.dflt = "true",
		.help = "Publisher confirms; without them a message is unconfirmed once the library took it."},
	{.name = "mandatory",
		.kind = IS_BOOL,
		FIELD(mandatory),
		.dflt = "false",
		.help = "The broker returns what it can route to no queue: refused. Without confirms a "
			"return comes too late for that, and is only counted."},
	{.name = "persistent",
		.kind = IS_BOOL,
		FIELD(persistent),
		.dflt = "true",
		.help = "Messages are written to the disk (delivery mode 2)."},
	{.name = "exchange",
		TEXT(exchange),
		.dflt = "",
		.help = "Where messages are published; empty is the default exchange."},
	{.name = "routing.key",
		TEXT(routing_key),
		.dflt = "",
		.help = "What they are routed by; empty is the queue's name."},
	{.name = "window",
		.kind = IS_INT,
		FIELD(window),
		.min = 1,
		.max = 1000000,
		.dflt = "2000",
		.help = "How many messages may wait for their confirm."},
	{.name = "max.message.bytes",
		.kind = IS_INT,
		FIELD(max_message_bytes),
		.min = 1,
		.max = 536870912,
		.dflt = "134217728",
		.help = "A larger message is refused before it is sent. The broker closes the channel at one "
			"that is larger than its own max_message_size (128 MiB; from 4.0 on 16 MiB), and "
			"what else waits there is unknown then."},
	{.name = "blocked.notice",
		.kind = IS_BOOL,
		FIELD(blocked_notice),
		.dflt = "true",
		.help = "Let the broker tell when it blocks publishers (memory, disk), and wait then; "
			"false is an application that does not listen."},
	{.name = "first.node",
		.kind = IS_INT,
		FIELD(first_node),
		.min = 1,
		.max = 32,
		.dflt = "1",
		.help = "Which node of a lab the producer connects to first; after the last comes the "
			"first again."},
	{.name = "prefetch",
		.kind = IS_INT,
		FIELD(prefetch),
		.min = 1,
		.max = 65535,
		.dflt = "10000",
		.connection = true,
		.help = "How many messages a reader is given ahead of its acknowledgements."},
	{.name = "queue.type",
		TEXT(queue_type),
		.dflt = "",
		.connection = true,
		.help = "classic, quorum or stream, for a user who may not ask (asking needs the permission "
			"to configure the queue)."},
	{.name = "heartbeat",
		.kind = IS_INT,
		FIELD(heartbeat_s),
		.min = 0,
		.max = 65535,
		.dflt = "10",
		.connection = true,
		.help = "Seconds; a peer that is silent for twice as long is dead. 0: no heartbeats."},
	{.name = "tcp.user.timeout.ms",
		.kind = IS_INT,
		FIELD(tcp_user_timeout_ms),
		.min = 0,
		.max = INT_MAX,
		.dflt = "20000",
		.connection = true,
		.help = "How long sent bytes may stay unacknowledged by the peer's host, or its window "
			"closed, until the connection is given up; 0 is the system's default."},
	{.name = "ssl.ca.location",
		TEXT(ssl_ca),
		.dflt = SYSTEM_CERTIFICATES,
		.connection = true,
		.help = "File of the certificates that a broker's must be signed by (PEM)."},
	{.name = "ssl.certificate.location",
		TEXT(ssl_certificate),
		.dflt = "",
		.connection = true,
		.help = "File of our own certificate (PEM)."},
	{.name = "ssl.key.location",
		TEXT(ssl_key),
		.dflt = "",
		.connection = true,
		.help = "File of its private key (PEM, without a passphrase)."},
	{.name = "ssl.verify",
		.kind = IS_BOOL,
		FIELD(ssl_verify),
		.dflt = "true",
		.connection = true,
		.help = "Check the broker's certificate and that it bears the host's name."},
	{.name = "user",
		TEXT(user),
		.dflt = "",
		.connection = true,
		.help = "Whom to log in as, where the URL does not say."},
	{.name = "password",
		TEXT(password),
		.dflt = "",
		.connection = true,
		.help = "By password=@FILE, --password-file or " PASSWORD_VARIABLE " only."},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct row *find_row(const char *name)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static int unknown(const char *name, struct err *e)
{
	char all[sizeof(e->hint)] = "";
	size_t at = 0;

	for (size_t i = 0; i < N_ROWS && at < sizeof(all); i++)
		at += (size_t)snprintf(
			all + at, sizeof(all) - at, "%s%s", i ? ", " : "", rows[i].name);
	err_set(e, ERR_USAGE, "a RabbitMQ client has no property '%s'", name);
	return err_hint(e, "there are %s", all);
}

static int set_bool(const struct row *row, const char *value, bool *ret, struct err *e)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return err_set(e, ERR_USAGE, "property '%s': '%s' is neither true nor false",
			row->name, value);
	*ret = value[0] == 't';
	return 0;
}

static int set_int(const struct row *row, const char *value, int *ret, struct err *e)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (errno || end == value || *end || n < row->min || n > row->max)
		return err_set(e, ERR_USAGE, "property '%s': '%s' is not a number from %d to %d",
			row->name, value, row->min, row->max);
	*ret = (int)n;
	return 0;
}

/* The value may be a secret: it is not repeated. */
static int set_text(const struct row *row, const char *value, char *ret, struct err *e)
{
	size_t len = strlen(value);

	if (len >= row->len)
		return err_set(e, ERR_USAGE, "property '%s': more than %zu bytes", row->name,
			row->len - 1);
	memcpy(ret, value, len + 1);
	return 0;
}

static int set_row(
	const struct row *row, const char *value, struct rabbitmq_settings *s, struct err *e)
{
	void *field = (char *)s + row->offset;

	switch (row->kind) {
	case IS_BOOL:
		return set_bool(row, value, field, e);
	case IS_INT:
		return set_int(row, value, field, e);
	default:
		return set_text(row, value, field, e);
	}
}

static int check_queue_type(const struct rabbitmq_settings *s, struct err *e)
{
	static const char *const types[] = {"", "classic", "quorum", "stream"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(s->queue_type, types[i]) == 0)
			return 0;
	return err_set(e, ERR_USAGE,
		"property 'queue.type': '%s' is none of classic, quorum, stream", s->queue_type);
}

static int check_key_pair(const struct rabbitmq_settings *s, struct err *e)
{
	if (!s->ssl_certificate[0] == !s->ssl_key[0])
		return 0;
	return err_set(e, ERR_USAGE,
		"ssl.certificate.location and ssl.key.location mean something together only");
}

int rabbitmq_settings_read(
	const struct props *props, const char *queue, struct rabbitmq_settings *ret, struct err *e)
{
	const char *password = getenv(PASSWORD_VARIABLE);
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < N_ROWS; i++)
		BUG_ON(set_row(&rows[i], rows[i].dflt, ret, NULL));
	if (password)
		r = set_text(find_row("password"), password, ret->password, e);
	if (r)
		err_wrap(e, PASSWORD_VARIABLE);
	for (size_t i = 0; r == 0 && props && i < props_count(props); i++) {
		const struct row *row = find_row(props_name(props, i));

		r = row ? set_row(row, props_value(props, i), ret, e)
			: unknown(props_name(props, i), e);
	}
	if (r == 0)
		r = check_queue_type(ret, e);
	if (r == 0)
		r = check_key_pair(ret, e);
	if (!ret->routing_key[0])
		snprintf(ret->routing_key, sizeof(ret->routing_key), "%s", queue);
	return r;
}

void rabbitmq_settings_give(const struct rabbitmq_settings *s, broker_setting_fn *fn, void *arg)
{
	char number[16];

	for (size_t i = 0; i < N_ROWS; i++) {
		const void *field = (const char *)s + rows[i].offset;
		const char *value = field;

		if (rows[i].kind == IS_BOOL)
			value = *(const bool *)field ? "true" : "false";
		if (rows[i].kind == IS_INT) {
			snprintf(number, sizeof(number), "%d", *(const int *)field);
			value = number;
		}
		fn(arg, rows[i].name, props_is_secret(rows[i].name) ? PROPS_HIDDEN : value);
	}
}

bool rabbitmq_props_is_connection(const char *name)
{
	const struct row *row = find_row(name);

	return row && row->connection;
}

bool rabbitmq_props_known(const char *name)
{
	return find_row(name) != NULL;
}

bool rabbitmq_props_row(
	size_t i, const char **ret_name, const char **ret_default, const char **ret_help)
{
	if (i >= N_ROWS)
		return false;
	*ret_name = rows[i].name;
	*ret_default = rows[i].dflt;
	*ret_help = rows[i].help;
	return true;
}

int rabbitmq_props_translate(const struct props *in, struct props *out, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < props_count(in); i++) {
		const char *name = props_name(in, i);

		if (!find_row(name)) {
			r = unknown(name, e);
			return err_wrap(e, "line %zu", props_line(in, name));
		}
		r = props_set(out, name, props_value(in, i), e);
	}
	return r;
}

/* ---- arguments ---- */

enum rabbitmq_arg_kind rabbitmq_arg_parse(const char *name, const char *value, int64_t *ret_number)
{
	static const char *const texts[] = {"x-queue-type", "x-queue-mode", "x-overflow",
		"x-max-age", "x-dead-letter-exchange", "x-dead-letter-routing-key",
		"x-dead-letter-strategy", "x-queue-master-locator", "x-queue-leader-locator"};
	char *end;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(name, texts[i]) == 0)
			return RABBITMQ_ARG_TEXT;
	if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
		*ret_number = value[0] == 't';
		return RABBITMQ_ARG_BOOL;
	}
	errno = 0;
	*ret_number = strtoll(value, &end, 10);
	return errno == 0 && end != value && *end == '\0' ? RABBITMQ_ARG_NUMBER : RABBITMQ_ARG_TEXT;
}
