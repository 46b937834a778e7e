#ifndef CORE_BROKER_JAAS_H
#define CORE_BROKER_JAAS_H

#include "core/err.h"
#include "core/props.h"

/*
 * The one line of Java's login configuration that stands in sasl.jaas.config:
 *
 *     org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";
 */

#define JAAS_MODULE_LEN 256

/*
 * Read it: module gets the class name, options the name/value pairs (values are secrets). Quotes may be
 * single or double; inside them a backslash escapes as in Java. The semicolon at the end must be there,
 * as in Java; a second login module is refused.
 *
 * Returns 0, ERR_USAGE (malformed; the message repeats nothing of the text), ERR_NOMEM or ERR_LIMIT.
 */
MUST_CHECK int jaas_parse(
	const char *text, char module[JAAS_MODULE_LEN], struct props *options, struct err *e);

#endif
