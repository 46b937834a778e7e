#include "core/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"

/* A stretch of the text that is being parsed. */
struct part {
	const char *p;
	size_t len;
};

static const struct {
	const char *text;
	uint16_t port;
} schemes[] = {
	[URL_KAFKA] = {"kafka", 9092},
	[URL_AMQP] = {"amqp", 5672},
	[URL_AMQPS] = {"amqps", 5671},
};
#define N_SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

#define EXAMPLE_KAFKA "kafka://host:9092/topic"
#define EXAMPLE_AMQP "amqp://user@host:5672/%2F/queue"

const char *url_scheme_text(enum url_scheme scheme)
{
	return (size_t)scheme < N_SCHEMES ? schemes[scheme].text : "?";
}

/* A usage error with a hint; the message is set by the caller. */
static int with_hint(struct err *e, const char *hint)
{
	err_hint(e, "%s", hint);
	return ERR_USAGE;
}

bool url_topic_ok(const char *name)
{
	size_t len = strlen(name);

	if (len < 1 || len > 249 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       len;
}

static struct part part_until(struct part from, char end)
{
	const char *stop = from.len ? memchr(from.p, end, from.len) : NULL;

	return (struct part){from.p, stop ? (size_t)(stop - from.p) : from.len};
}

/* What is left of `from` behind `taken` and one separator. */
static struct part part_behind(struct part from, struct part taken)
{
	size_t used = taken.len + (taken.len < from.len ? 1 : 0);

	return (struct part){from.p + used, from.len - used};
}

static bool part_is(struct part a, const char *text)
{
	return a.len == strlen(text) && memcmp(a.p, text, a.len) == 0;
}

/* --- hosts --- */

static int parse_port(struct part text, uint16_t *ret, struct err *e)
{
	unsigned v = 0;

	for (size_t i = 0; i < text.len && i < 6; i++) {
		if (!isdigit((unsigned char)text.p[i]))
			return err_set(
				e, ERR_USAGE, "port '%.*s' is not a number", (int)text.len, text.p);
		v = v * 10 + (unsigned)(text.p[i] - '0');
	}
	if (text.len == 0)
		return err_set(e, ERR_USAGE, "there is no port behind the ':'");
	if (text.len > 5 || v < 1 || v > 65535)
		return err_set(
			e, ERR_USAGE, "port '%.*s' is not in 1 to 65535", (int)text.len, text.p);
	*ret = (uint16_t)v;
	return 0;
}

/* An IPv6 address, with or without a zone ("fe80::1%eth0"). */
static bool is_ipv6(struct part text)
{
	struct part address = part_until(text, '%'), zone = part_behind(text, address);
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr ignored;

	if (address.len >= sizeof(copy) || text.len >= URL_HOST_LEN ||
		(address.len < text.len && zone.len == 0))
		return false;
	memcpy(copy, address.p, address.len);
	copy[address.len] = '\0';
	for (size_t i = 0; i < zone.len; i++)
		if (!isalnum((unsigned char)zone.p[i]) && !strchr("._-", zone.p[i]))
			return false;
	return inet_pton(AF_INET6, copy, &ignored) == 1;
}

static int check_host_name(struct part host, struct err *e)
{
	if (host.len == 0)
		return err_set(e, ERR_USAGE, "the destination has no host, or an empty one");
	if (host.len > 253)
		return err_set(e, ERR_USAGE, "a host name of %zu bytes is too long", host.len);
	for (size_t i = 0; i < host.len; i++) {
		if (!isalnum((unsigned char)host.p[i]) && !strchr(".-_", host.p[i]))
			return err_set(
				e, ERR_USAGE, "'%.*s' is not a host name", (int)host.len, host.p);
	}
	return 0;
}

/* One "host", "host:port" or "[address]:port", added to hosts in its full form. */
static int parse_host(struct part text, uint16_t default_port, struct buf *hosts, struct err *e)
{
	struct part host, rest;
	uint16_t port = default_port;
	bool brackets = text.len && text.p[0] == '[';
	int r;

	if (brackets) {
		struct part inner = {text.p + 1, text.len - 1};

		host = part_until(inner, ']');
		if (host.len == inner.len || !is_ipv6(host))
			return err_set(e, ERR_USAGE, "'%.*s' is not an IPv6 address in brackets",
				(int)text.len, text.p);
		rest = part_behind(inner, host);
	} else {
		host = part_until(text, ':');
		r = check_host_name(host, e);
		if (r)
			return r;
		rest = (struct part){text.p + host.len, text.len - host.len};
		if (rest.len > 1 && memchr(rest.p + 1, ':', rest.len - 1)) {
			err_set(e, ERR_USAGE, "'%.*s' has more than one ':'", (int)text.len,
				text.p);
			return with_hint(
				e, "an IPv6 address stands in brackets: kafka://[::1]:9092/topic");
		}
	}
	if (rest.len && rest.p[0] != ':')
		return err_set(e, ERR_USAGE, "'%.*s' is not host:port", (int)text.len, text.p);
	if (rest.len) {
		r = parse_port((struct part){rest.p + 1, rest.len - 1}, &port, e);
		if (r)
			return r;
	}
	buf_printf(hosts, brackets ? "%s[%.*s]:%u" : "%s%.*s:%u", hosts->len ? "," : "",
		(int)host.len, host.p, (unsigned)port);
	return 0;
}

static int parse_hosts(struct part text, struct url *u, struct err *e)
{
	struct buf hosts;
	int r = 0;

	buf_init(&hosts, sizeof(u->hosts) - 1);
	for (bool more = true; more && r == 0;) {
		struct part one = part_until(text, ',');

		more = one.len < text.len;
		text = part_behind(text, one);
		r = parse_host(one, schemes[u->scheme].port, &hosts, e);
		u->n_hosts++;
	}
	if (r == 0 && (buf_failed(&hosts) || u->n_hosts > URL_HOSTS_MAX))
		r = err_set(e, ERR_USAGE, "too many hosts");
	if (r == 0)
		memcpy(u->hosts, buf_str(&hosts), hosts.len + 1);
	buf_release(&hosts);
	return r;
}

/* "lab" or "lab:NAME": fills u->lab. A host that is called lab can be written with its domain. */
static int parse_lab(struct part text, struct url *u, struct err *e)
{
	struct part name = {URL_LAB_DEFAULT, strlen(URL_LAB_DEFAULT)};

	if (text.len > 3)
		name = (struct part){text.p + 4, text.len - 4};
	if (name.len < 1 || name.len >= URL_LAB_LEN || !isalpha((unsigned char)name.p[0])) {
		err_set(e, ERR_USAGE, "'%.*s' is not the name of a lab", (int)name.len, name.p);
		return with_hint(e,
			"a lab's name begins with a letter; a host that is called 'lab' is "
			"written with its domain or address");
	}
	for (size_t i = 0; i < name.len; i++) {
		if (!isalnum((unsigned char)name.p[i]) && !strchr("_-", name.p[i]))
			return err_set(e, ERR_USAGE, "'%.*s' is not the name of a lab",
				(int)name.len, name.p);
	}
	memcpy(u->lab, name.p, name.len);
	u->lab[name.len] = '\0';
	return 0;
}

static bool is_lab(struct part text)
{
	return part_is(text, "lab") ||
	       (text.len > 3 && memcmp(text.p, "lab:", 4) == 0 && !memchr(text.p, ',', text.len));
}

/* --- what stands behind the hosts --- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decode %XX into ret, a string of at most 255 bytes. `what` names it in messages. */
static int decode(struct part text, const char *what, char ret[256], struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		int c = (unsigned char)text.p[i];

		if (c == '%') {
			int high = i + 2 < text.len ? hex_digit(text.p[i + 1]) : -1;
			int low = i + 2 < text.len ? hex_digit(text.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return err_set(e, ERR_USAGE,
					"a '%%' without two hexadecimal digits in the %s", what);
			c = high << 4 | low;
			i += 2;
		} else if (c == '?' || c == '#' || c <= ' ' || c == 0x7f) {
			return err_set(e, ERR_USAGE,
				"the byte 0x%02x must be written %%%02X in the %s", (unsigned)c,
				(unsigned)c, what);
		}
		if (c == 0)
			return err_set(e, ERR_USAGE, "a NUL in the %s", what);
		if (n == 255)
			return err_set(e, ERR_USAGE, "the %s is longer than 255 bytes", what);
		ret[n++] = (char)c;
	}
	ret[n] = '\0';
	return 0;
}

static int parse_topic(struct part text, struct url *u, struct err *e)
{
	if (text.len == 0) {
		err_set(e, ERR_USAGE, "the destination has no topic");
		return with_hint(e, "such as " EXAMPLE_KAFKA);
	}
	if (text.len >= sizeof(u->name)) {
		err_set(e, ERR_USAGE, "a topic name of %zu bytes is too long", text.len);
	} else {
		memcpy(u->name, text.p, text.len);
		u->name[text.len] = '\0';
		if (url_topic_ok(u->name))
			return 0;
		err_set(e, ERR_USAGE, "'%s' is not a topic name", u->name);
	}
	return with_hint(
		e, "Kafka's topic names are 1 to 249 of a-z A-Z 0-9 . _ -, but not . or ..");
}

static int parse_queue(struct part text, struct url *u, struct err *e)
{
	struct part vhost = part_until(text, '/'), queue = part_behind(text, vhost);
	int r;

	if (u->lab[0]) {
		queue = text;
		u->vhost[0] = '/';
	} else if (vhost.len == text.len || vhost.len == 0) {
		err_set(e, ERR_USAGE, "the destination needs a vhost and a queue");
		return with_hint(e, "the vhost '/' is written %2F: " EXAMPLE_AMQP);
	} else {
		r = decode(vhost, "vhost", u->vhost, e);
		if (r)
			return r;
	}
	if (queue.len == 0) {
		err_set(e, ERR_USAGE, "the destination has no queue");
		return with_hint(e, "such as " EXAMPLE_AMQP);
	}
	if (memchr(queue.p, '/', queue.len)) {
		err_set(e, ERR_USAGE, "a '/' in the queue's name");
		return with_hint(e, "inside a name it is written %2F");
	}
	return decode(queue, "queue", u->name, e);
}

/* "user@" in front of the hosts. Its text may be a secret: it is never repeated. */
static int parse_user(struct part text, struct url *u, struct err *e)
{
	if (u->scheme == URL_KAFKA) {
		err_set(e, ERR_USAGE, "kafka:// takes no user");
		return with_hint(e, "-X sasl.username=... -X sasl.password=@FILE");
	}
	if (memchr(text.p, '/', text.len)) {
		err_set(e, ERR_USAGE, "an '@' behind the first '/'");
		return with_hint(
			e, "inside a name it is written %40; a password does not belong here");
	}
	if (memchr(text.p, ':', text.len)) {
		err_set(e, ERR_USAGE, "a password in the destination can be read by anybody");
		return with_hint(e, "set MQAUDIT_AMQP_PASSWORD or use --password-file FILE");
	}
	if (text.len == 0)
		return err_set(e, ERR_USAGE, "there is no user in front of the '@'");
	return decode(text, "user", u->user, e);
}

static bool parse_scheme(struct part text, enum url_scheme *ret)
{
	for (size_t i = 0; i < N_SCHEMES; i++) {
		if (part_is(text, schemes[i].text)) {
			*ret = (enum url_scheme)i;
			return true;
		}
	}
	return false;
}

/* Behind "scheme://". */
static int parse_rest(struct part text, struct url *u, struct err *e)
{
	struct part before_at = text, authority, path;
	const char *at = text.len ? memrchr(text.p, '@', text.len) : NULL;
	int r = 0;

	if (at) {
		before_at.len = (size_t)(at - text.p);
		text = part_behind(text, before_at);
		r = parse_user(before_at, u, e);
		if (r)
			return r;
	}
	authority = part_until(text, '/');
	path = part_behind(text, authority);
	if (!is_lab(authority))
		r = parse_hosts(authority, u, e);
	else if (u->scheme == URL_AMQPS || at)
		r = err_set(e, ERR_USAGE, "a lab's queue is amqp://lab/queue");
	else
		r = parse_lab(authority, u, e);
	if (r)
		return r;
	return u->scheme == URL_KAFKA ? parse_topic(path, u, e) : parse_queue(path, u, e);
}

int url_parse(const char *text, struct url *ret, struct err *e)
{
	size_t len = strnlen(text, URL_TEXT_MAX + 1);
	const char *sep = strstr(text, "://");
	struct url u = {0};
	int r;

	if (len > URL_TEXT_MAX)
		return err_set(e, ERR_USAGE, "a destination of more than %d bytes", URL_TEXT_MAX);
	if (!sep) {
		err_set(e, ERR_USAGE, "the destination does not begin with a scheme");
		return with_hint(e, "such as " EXAMPLE_KAFKA " or " EXAMPLE_AMQP);
	}
	if (!parse_scheme((struct part){text, (size_t)(sep - text)}, &u.scheme)) {
		err_set(e, ERR_USAGE, "unknown scheme '%.*s' in the destination",
			(int)(sep - text > 20 ? 20 : sep - text), text);
		return with_hint(e, "kafka://, amqp:// or amqps://");
	}
	r = parse_rest((struct part){sep + 3, len - (size_t)(sep + 3 - text)}, &u, e);
	if (r == 0)
		*ret = u;
	else if (e && !e->hint[0])
		err_hint(e, "such as %s", u.scheme == URL_KAFKA ? EXAMPLE_KAFKA : EXAMPLE_AMQP);
	return r;
}

/* --- back to text --- */

static void encode(struct buf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("-._~", c))
			buf_char(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

char *url_text(const struct url *u, char *buf, size_t len)
{
	struct buf out;

	buf_init(&out, len - 1);
	buf_printf(&out, "%s://", url_scheme_text(u->scheme));
	if (u->user[0]) {
		encode(&out, u->user);
		buf_char(&out, '@');
	}
	if (u->lab[0])
		buf_printf(&out, strcmp(u->lab, URL_LAB_DEFAULT) == 0 ? "lab" : "lab:%s", u->lab);
	else
		buf_str_add(&out, u->hosts);
	buf_char(&out, '/');
	if (u->scheme != URL_KAFKA && !u->lab[0]) {
		encode(&out, u->vhost);
		buf_char(&out, '/');
	}
	encode(&out, u->name);
	snprintf(buf, len, "%s", buf_str(&out));
	buf_release(&out);
	return buf;
}

void url_host(const struct url *u, size_t i, char *host, size_t len, uint16_t *ret_port)
{
	struct part all = {u->hosts, strlen(u->hosts)}, one, port;
	const char *colon;

	BUG_ON(i >= u->n_hosts || len < URL_HOST_LEN);
	for (one = part_until(all, ','); i > 0; i--) {
		all = part_behind(all, one);
		one = part_until(all, ',');
	}
	colon = memrchr(one.p, ':', one.len);
	port = (struct part){colon + 1, (size_t)(one.p + one.len - colon - 1)};
	one.len = (size_t)(colon - one.p);
	if (one.p[0] == '[')
		one = (struct part){one.p + 1, one.len - 2};
	BUG_ON(one.len >= len || parse_port(port, ret_port, NULL) != 0);
	memcpy(host, one.p, one.len);
	host[one.len] = '\0';
}
