#include "core/broker/destination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/paths.h"

/* A properties file in anybody's names into the library's. */
static int read_config(const struct broker_ops *ops, const char *file, enum broker_role role,
	struct props *to, struct props *warnings, struct err *e)
{
	struct props *raw;
	int r;

	if (!file)
		return 0;
	raw = props_new();
	if (!raw)
		return err_set(e, ERR_NOMEM, "out of memory");
	r = props_read_file(file, raw, e);
	if (r == 0) {
		r = ops->props_translate(raw, role, to, warnings, e);
		if (r)
			err_wrap(e, "'%s'", file);
	}
	props_free(raw);
	return r;
}

static int merge_connection(
	const struct broker_ops *ops, const struct props *from, struct props *to, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < props_count(from); i++)
		if (ops->props_is_connection(props_name(from, i)))
			r = props_set(to, props_name(from, i), props_value(from, i), e);
	return r;
}

static int read_password(const char *file, const char *name, struct props *to, struct err *e)
{
	size_t len = 0;
	char *text = NULL;
	int r = file ? paths_read_file(file, PROPS_VALUE_MAX, &text, &len, e) : 0;

	if (r == 0 && file) {
		text[strcspn(text, "\r\n")] = '\0';
		r = props_set(to, name, text, e);
	}
	if (text)
		explicit_bzero(text, len);
	free(text);
	return r ? err_wrap(e, "--password-file") : 0;
}

static int read_properties(const struct destination_opts *o, struct destination *d,
	struct props *warnings, struct err *e)
{
	int r = read_config(
		d->ops, o->producer_config, BROKER_ROLE_PRODUCER, d->producer, warnings, e);

	for (size_t i = 0; r == 0 && i < o->property.n; i++)
		r = props_parse_option(o->property.item[i], d->producer, e);
	if (r == 0)
		r = read_password(o->password_file, d->ops->password, d->producer, e);
	if (r == 0)
		r = merge_connection(d->ops, d->producer, d->consumer, e);
	if (r == 0)
		r = read_config(
			d->ops, o->consumer_config, BROKER_ROLE_CONSUMER, d->consumer, warnings, e);
	if (r == 0 && !o->fence_config)
		r = merge_connection(d->ops, d->producer, d->fence, e);
	if (r == 0)
		r = read_config(d->ops, o->fence_config, BROKER_ROLE_OTHER, d->fence, warnings, e);
	return r;
}

static int not_built_in(const struct url *u, struct err *e)
{
	char all[200] = "";
	size_t at = 0;

	for (size_t i = 0; broker_all()[i] && at < sizeof(all); i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s://", i ? ", " : "",
			broker_all()[i]->scheme);
	err_set(e, ERR_USAGE, "'%s' destinations are not built into this mqaudit",
		url_scheme_text(u->scheme));
	return err_hint(e, "it knows %s", all);
}

static int check_management(const char *url, const struct broker_ops *ops, struct err *e)
{
	if (!url)
		return 0;
	if (!ops->removals)
		return err_set(e, ERR_USAGE, "--management: %s has no such thing", ops->scheme);
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0) {
		err_set(e, ERR_USAGE, "--management: it begins with neither http:// nor https://");
		return err_hint(e, "such as http://broker1:15672");
	}
	/* it would be in everybody's process list, and in the messages about it */
	if (strchr(url, '@')) {
		err_set(e, ERR_USAGE, "--management: no user and no password there");
		return err_hint(e, "it is asked as the user of the destination");
	}
	return 0;
}

int destination_open(const char *text, const struct destination_opts *o, struct destination *ret,
	struct props **warnings, struct err *e)
{
	struct props *told = props_new();
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->producer = props_new();
	ret->consumer = props_new();
	ret->fence = props_new();
	if (o->timeout_ns <= 0)
		r = err_set(e, ERR_USAGE, "--timeout 0 gives the broker no time to answer");
	else if (!told || !ret->producer || !ret->consumer || !ret->fence)
		r = err_set(e, ERR_NOMEM, "out of memory");
	else
		r = url_parse(text, &ret->url, e);
	if (r == 0) {
		url_text(&ret->url, ret->text, sizeof(ret->text));
		ret->ops = broker_find(url_scheme_text(ret->url.scheme));
		if (!ret->ops)
			r = not_built_in(&ret->url, e);
	}
	if (r == 0)
		r = check_management(o->management, ret->ops, e);
	if (r == 0)
		r = read_properties(o, ret, told, e);
	ret->config = (struct broker_config){
		.url = &ret->url,
		.props = ret->producer,
		.consumer = ret->consumer,
		.client_id = "mqaudit",
		.timeout_ns = o->timeout_ns,
		.management = o->management,
	};
	if (warnings)
		*warnings = told;
	else
		props_free(told);
	return r;
}

static const struct broker_ops *ops_of(const char *text)
{
	struct err ignored;
	struct url u;

	return url_parse(text, &u, &ignored) ? NULL : broker_find(url_scheme_text(u.scheme));
}

struct destination_opts destination_share(
	const struct destination_opts *o, const char *source, const char *target, bool of_target)
{
	struct destination_opts share = *o;

	if (ops_of(source) == ops_of(target))
		return share;
	if (of_target) {
		share.property = (struct opt_list){0};
		share.producer_config = share.fence_config = NULL;
	} else {
		share.consumer_config = NULL;
	}
	return share;
}

struct broker_config destination_fence_config(const struct destination *d)
{
	struct broker_config c = d->config;

	c.props = d->fence;
	return c;
}

void destination_release(struct destination *d)
{
	props_free(d->producer);
	props_free(d->consumer);
	props_free(d->fence);
	memset(d, 0, sizeof(*d));
}
