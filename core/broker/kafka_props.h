#ifndef CORE_BROKER_KAFKA_PROPS_H
#define CORE_BROKER_KAFKA_PROPS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/props.h"

/*
 * From the property names of Kafka's Java clients (4.1) to those of librdkafka 2.0.2, so that a team can
 * hand in the file that its application uses.
 *
 * For files, not for -X: -X is librdkafka's own language and goes on top of what comes out here. Names
 * that both clients have and mean alike pass through, and so does every unknown name: librdkafka refuses
 * by itself what it does not know. A librdkafka name that the file gives outright wins over what a Java
 * name in it would be translated to. Blanks around a value are cut, as Java does. No default is filled
 * in: where the clients' defaults differ, librdkafka's hold.
 */

enum kafka_role {
	KAFKA_ROLE_PRODUCER,
	KAFKA_ROLE_CONSUMER,
	KAFKA_ROLE_OTHER, /* admin, fence, witness */
};

/*
 * Translate `in` for a client of this role into `out`, which may hold properties already.
 *
 * request.timeout.ms: Java's client gives up a request after it, and tells the broker the same for a
 * produce request. librdkafka has two properties for that, so a producer gets request.timeout.ms and
 * socket.timeout.ms, the other roles socket.timeout.ms. Beside a transactional.id librdkafka refuses
 * timeouts above transaction.timeout.ms, so delivery.timeout.ms and request.timeout.ms are cut there. metadata.max.age.ms is Java's forced refresh, which librdkafka calls
 * topic.metadata.refresh.interval.ms.
 *
 * warnings gets, under the name of each property that cannot be kept as it was meant, a sentence fit to
 * print; no value of a secret is in it. Numbers outside of librdkafka's range are moved to its edge,
 * with a warning.
 *
 * Returns 0, ERR_USAGE (a malformed sasl.jaas.config), ERR_NOMEM or ERR_LIMIT; out and warnings may be
 * half filled then.
 */
MUST_CHECK int kafka_props_translate(const struct props *in, enum kafka_role role,
	struct props *out, struct props *warnings, struct err *e);

/*
 * Does a librdkafka property say how to reach and enter the cluster (bootstrap, security, ssl, sasl,
 * socket and address ones)? A client of the judge's own, such as the fence's, takes only these from the
 * user.
 */
bool kafka_props_is_connection(const char *name);

#endif
