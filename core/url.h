#ifndef CORE_URL_H
#define CORE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/*
 * Destinations, as the command line takes them:
 *
 *   kafka://host:port[,host:port...]/topic      port 9092 when left out
 *   kafka://lab/topic   kafka://lab:NAME/topic   a running lab of this machine
 *   amqp://user@host:port[,host:port...]/vhost/queue   port 5672; amqps 5671; user may be left out
 *   amqp://lab/queue    amqp://lab:NAME/queue    vhost "/"
 *
 * IPv6 addresses stand in brackets. In AMQP's user, vhost and queue %XX stands for a byte ("%2F" is the
 * vhost "/"). A password is refused: it would be in everybody's process list.
 */

enum url_scheme { URL_KAFKA, URL_AMQP, URL_AMQPS };

#define URL_TEXT_MAX 8192 /* bytes; a longer text is refused */
#define URL_HOSTS_MAX 64  /* hosts in one destination */
#define URL_HOST_LEN 256  /* a host's name with NUL, without brackets */
#define URL_LAB_LEN 33    /* a lab's name with NUL */
#define URL_LAB_DEFAULT "default"
#define URL_PRINT_LEN 8192 /* the printable form with NUL: names can take three bytes for one */

struct url {
	enum url_scheme scheme;
	char lab[URL_LAB_LEN]; /* name of the lab; "" when it is not one */
	char hosts[2560];      /* "host:port,..." with every port, IPv6 in brackets; "" for a lab */
	size_t n_hosts;        /* 0 for a lab */
	char user[256];        /* amqp: decoded; "" when there is none */
	char vhost[256];       /* amqp: decoded; "/" for a lab */
	char name[256];        /* topic or queue, decoded */
};

/*
 * Read a destination. *ret is filled on success only. Messages never hold what stands in front of an '@'.
 *
 * Returns 0 or ERR_USAGE, mostly with a hint.
 */
MUST_CHECK int url_parse(const char *text, struct url *ret, struct err *e);

/* "kafka", "amqp" or "amqps": a constant. */
const char *url_scheme_text(enum url_scheme scheme);

/*
 * The i-th host and its port; i < n_hosts is a precondition (aborts). host gets no brackets; len of at
 * least URL_HOST_LEN is a precondition.
 */
void url_host(const struct url *u, size_t i, char *host, size_t len, uint16_t *ret_port);

/*
 * The canonical text of a destination, which url_parse() reads back to the same: nothing in it is secret.
 * len of at least URL_PRINT_LEN is a precondition. Returns buf.
 */
char *url_text(const struct url *u, char *buf, size_t len);

/* Is this a topic name by Kafka's rules: 1 to 249 of [a-zA-Z0-9._-], neither "." nor ".."? */
bool url_topic_ok(const char *name);

#endif
