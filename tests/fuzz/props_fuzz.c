/* needs: core/props.c core/buf.c core/err.c core/paths.c core/clock.c */
/* needs: core/broker/kafka_props.c core/broker/jaas.c */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/broker/kafka_props.h"
#include "core/props.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_limits(const struct props *p)
{
	if (props_count(p) > PROPS_MAX)
		abort();
	for (size_t i = 0; i < props_count(p); i++) {
		size_t name = strlen(props_name(p, i));

		if (name == 0 || name > PROPS_NAME_MAX ||
			strlen(props_value(p, i)) > PROPS_VALUE_MAX)
			abort();
		if (props_get(p, props_name(p, i)) != props_value(p, i))
			abort(); /* a name twice */
	}
}

/* No secret of the input is in a redacted copy. */
static void check_redacted(const struct props *p)
{
	struct props *copy = props_redacted(p);

	if (!copy || props_count(copy) != props_count(p))
		abort();
	for (size_t i = 0; i < props_count(p); i++)
		if (props_is_secret(props_name(p, i)) && *props_value(p, i) &&
			strcmp(props_value(copy, i), PROPS_HIDDEN) != 0)
			abort();
	props_free(copy);
}

static void translate(const struct props *in, enum kafka_role role)
{
	struct props *out = props_new(), *warnings = props_new();
	struct err e;

	if (kafka_props_translate(in, role, out, warnings, &e) == 0) {
		check_limits(out);
		check_limits(warnings);
	}
	props_free(out);
	props_free(warnings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct props *p = props_new();
	struct err e;
	int r = props_parse((const char *)data, len, "fuzz", p, &e);

	if (r != 0 && r != ERR_FORMAT && r != ERR_LIMIT)
		abort();
	check_limits(p);
	check_redacted(p);
	translate(p, (enum kafka_role)(len % 3));
	props_free(p);
	return 0;
}
