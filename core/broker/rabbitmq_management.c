/*
 * What takes messages from a queue, by the management API (--management URL) and each node's page of metrics.
 *
 * RabbitMQ 3.10.8: the API tells a queue's arguments and the policy in effect, which queues there are, and on which
 * port each node's prometheus plugin listens, if it is switched on; that page has the global counters (see
 * rabbitmq_removals.c) and since when the node's process runs. It is asked at the address in the node's name, or, of the
 * node that answered the API, where that is; without credentials. An application that was stopped and started within
 * the same process is seen by a count that has become lower ("received" is there for that).
 */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/broker/netns.h"
#include "core/broker/rabbitmq_removals.h"
#include "core/buf.h"
#include "core/clock.h"

#define ANSWER_MAX ((size_t)64 << 20)
#define HTTP_OK 200
#define HTTP_UNAUTHORIZED 401
#define HTTP_FORBIDDEN 403
#define HTTP_NOT_FOUND 404

struct api {
	const struct rabbitmq_client *client;
	const char *url; /* without a '/' at its end */
	size_t url_len;
	int64_t timeout_ns;
};

/* ---- asking -------------------------------------------------------------------------------------- */

static size_t take_part(char *data, size_t one, size_t n, void *arg)
{
	struct buf *b = arg;

	buf_add(b, data, one * n);
	return buf_failed(b) ? 0 : one * n;
}

static void set_up(CURL *curl, const struct api *a, const char *url, bool with_user, struct buf *to)
{
	const struct rabbitmq_settings *s = &a->client->settings;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(a->timeout_ns / NS_PER_MS));
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_part);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, to);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, s->ssl_verify ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, s->ssl_verify ? 2L : 0L);
	if (s->ssl_ca[0])
		curl_easy_setopt(curl, CURLOPT_CAINFO, s->ssl_ca);
	if (!with_user)
		return;
	curl_easy_setopt(curl, CURLOPT_USERNAME, a->client->user);
	curl_easy_setopt(curl, CURLOPT_PASSWORD, a->client->password);
}

/* A page of this URL. ERR_NOTFOUND: the server says that there is none. */
static int get(const struct api *a, const char *url, bool with_user, struct buf *to, struct err *e)
{
	CURL *curl = curl_easy_init();
	CURLcode code;
	long status = 0;

	if (!curl)
		return err_set(e, ERR_NOMEM, "out of memory");
	set_up(curl, a, url, with_user, to);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (code != CURLE_OK)
		return err_set(e, ERR_BROKER_AWAY, "'%s': %s", url, curl_easy_strerror(code));
	if (status == HTTP_NOT_FOUND)
		return err_set(e, ERR_NOTFOUND, "'%s' is not there", url);
	if (status == HTTP_UNAUTHORIZED || status == HTTP_FORBIDDEN) {
		err_set(e, ERR_DENIED, "'%s': the user '%s' may not ask there", url,
			a->client->user);
		return err_hint(e, "it needs the tag 'monitoring'");
	}
	if (status != HTTP_OK)
		return err_set(e, ERR_BROKER, "'%s' answers with status %ld", url, status);
	return 0;
}

/* As JSON; *ret is the caller's. path: behind the API's URL. */
static int get_json(const struct api *a, const char *path, json_t **ret, struct err *e)
{
	char url[2048];
	struct buf page;
	int r;

	snprintf(url, sizeof(url), "%.*s/api/%s", (int)a->url_len, a->url, path);
	buf_init(&page, ANSWER_MAX);
	r = get(a, url, true, &page, e);
	*ret = r ? NULL : json_loadb(buf_str(&page), page.len, 0, NULL);
	if (r == 0 && !*ret)
		r = err_set(e, ERR_BROKER,
			"'%s' does not answer with JSON: is it the management API?", url);
	buf_release(&page);
	return r;
}

/* ---- queues -------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "";
}

static void take_value(const json_t *v, char *ret, size_t len)
{
	if (json_is_string(v))
		snprintf(ret, len, "%s", json_string_value(v));
	else if (json_is_integer(v))
		snprintf(ret, len, "%lld", (long long)json_integer_value(v));
	else
		snprintf(ret, len, "%s", json_is_true(v) ? "true" : "false");
}

/* Arguments ("x-message-ttl") or the definition of a policy ("message-ttl"). */
static void take_traits(const json_t *values, const char *policy, struct rabbitmq_portrait *p)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)values, name, v)
	{
		struct rabbitmq_trait *t = &p->trait[p->n_traits];

		if (p->n_traits == RABBITMQ_MAX_TRAITS)
			return;
		snprintf(t->name, sizeof(t->name), "%s",
			strncmp(name, "x-", 2) == 0 ? name + 2 : name);
		take_value(v, t->value, sizeof(t->value));
		snprintf(t->policy, sizeof(t->policy), "%s", policy);
		p->n_traits++;
	}
}

static void take_portrait(const json_t *queue, const char *version, struct rabbitmq_portrait *p)
{
	const char *policy = text_of(queue, "policy"), *operator= text_of(queue, "operator_policy");

	snprintf(p->type, sizeof(p->type), "%s", text_of(queue, "type"));
	snprintf(p->version, sizeof(p->version), "%s", version);
	take_traits(json_object_get(queue, "arguments"), "", p);
	take_traits(json_object_get(queue, "effective_policy_definition"),
		*policy ? policy : *operator? operator: "?", p);
}

/* Of the others those that can drop, and are counted with this one. */
static int take_others(const struct api *a, const struct rabbitmq_portrait *own,
	struct broker_removals *ret, struct err *e)
{
	struct rabbitmq_portrait *p = calloc(1, sizeof(*p));
	json_t *all = NULL, *q;
	size_t i;
	int r = p ? get_json(a,
			    "queues?columns=name,vhost,type,arguments,policy,operator_policy,"
			    "effective_policy_definition",
			    &all, e)
		  : err_set(e, ERR_NOMEM, "out of memory");

	json_array_foreach(all, i, q)
	{
		struct broker_removals told = {0};

		if (strcmp(text_of(q, "name"), a->client->queue) == 0 &&
			strcmp(text_of(q, "vhost"), a->client->vhost) == 0)
			continue;
		memset(p, 0, sizeof(*p));
		take_portrait(q, own->version, p);
		rabbitmq_portrait_tell(p, &told);
		if (told.limits[0] && strcmp(p->type, own->type) == 0 &&
			strcmp(rabbitmq_portrait_strategy(p), rabbitmq_portrait_strategy(own)) == 0)
			rabbitmq_name_add(ret->others, sizeof(ret->others), text_of(q, "name"));
	}
	json_decref(all);
	free(p);
	return r;
}

/* The one queue that is bound to the exchange of dead letters; where there are several nobody knows. */
static void find_dead_letter_queue(const struct api *a, const char *vhost,
	const struct rabbitmq_portrait *p, struct broker_removals *ret)
{
	const char *exchange = rabbitmq_portrait_get(p, "dead-letter-exchange");
	char *name = exchange && *exchange ? curl_easy_escape(NULL, exchange, 0) : NULL;
	json_t *all = NULL, *b;
	char path[1024];
	struct err ignored;
	size_t n = 0, i;

	if (!name)
		return;
	snprintf(path, sizeof(path), "exchanges/%s/%s/bindings/source", vhost, name);
	err_ignore(get_json(a, path, &all, &ignored));
	json_array_foreach(all, i, b)
	{
		if (strcmp(text_of(b, "destination_type"), "queue") == 0 &&
			strcmp(ret->dead_letter_queue, text_of(b, "destination")) != 0 && n++ == 0)
			snprintf(ret->dead_letter_queue, sizeof(ret->dead_letter_queue), "%s",
				text_of(b, "destination"));
	}
	if (n > 1)
		ret->dead_letter_queue[0] = '\0';
	json_decref(all);
	curl_free(name);
}

static int take_queue(const struct api *a, struct rabbitmq_portrait *p, struct broker_removals *ret,
	struct err *e)
{
	char *vhost = curl_easy_escape(NULL, a->client->vhost, 0);
	char *name = curl_easy_escape(NULL, a->client->queue, 0);
	json_t *queue = NULL;
	char path[2048];
	int r = vhost && name ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	snprintf(path, sizeof(path), "queues/%s/%s", vhost ? vhost : "", name ? name : "");
	if (r == 0)
		r = get_json(a, path, &queue, e);
	if (r == 0) {
		take_portrait(queue, p->version, p);
		rabbitmq_portrait_tell(p, ret);
		find_dead_letter_queue(a, vhost, p, ret);
		r = take_others(a, p, ret, e);
	} else if (r == ERR_NOTFOUND) {
		ret->gone = true;
		err_clear(e);
		r = 0;
	}
	json_decref(queue);
	curl_free(vhost);
	curl_free(name);
	return r;
}

/* ---- counts -------------------------------------------------------------------------------------- */

/* A label of a line of metrics: {queue_type="rabbit_quorum_queue",...}. */
static bool has_label(const char *line, const char *name, const char *value)
{
	char label[128];

	snprintf(label, sizeof(label), "%s=\"%s\"", name, value);
	return strstr(line, label) != NULL;
}

/* The value of a line "NAME{...} VALUE" or "NAME VALUE" whose name is between these two; -1: it is none. */
static double value_of(
	const char *line, const char *before, const char *behind, char *ret_middle, size_t len)
{
	size_t n = strlen(before), name = strcspn(line, "{ ");
	const char *space = strrchr(line, ' ');

	if (!space || name < n + strlen(behind) || strncmp(line, before, n) != 0 ||
		strncmp(line + name - strlen(behind), behind, strlen(behind)) != 0)
		return -1;
	snprintf(ret_middle, len, "%.*s", (int)(name - n - strlen(behind)), line + n);
	return strtod(space + 1, NULL);
}

static int take_line(const char *line, const struct rabbitmq_portrait *p, const char *node,
	const char *incarnation, struct broker_removals *ret)
{
	static const char messages[] = "rabbitmq_global_messages_";
	const char *strategy = rabbitmq_portrait_strategy(p);
	char type[40], word[64], name[128];
	double v = value_of(
		line, "rabbitmq_global_messages_dead_lettered_", "_total", word, sizeof(word));

	snprintf(type, sizeof(type), "rabbit_%s_queue", p->type);
	if (v >= 0) {
		if (strcmp(word, "confirmed") == 0 || !has_label(line, "queue_type", type) ||
			!has_label(line, "dead_letter_strategy", strategy))
			return 0;
		snprintf(name, sizeof(name), "%s%s.%s",
			strcmp(strategy, "disabled") == 0 ? BROKER_COUNT_DROPPED
							  : BROKER_COUNT_DEAD,
			strategy, word);
		return rabbitmq_count_add(ret, node, incarnation, name, (uint64_t)v);
	}
	v = value_of(line, messages, "_total", word, sizeof(word));
	if (v < 0 || !has_label(line, "protocol", "amqp091") || strstr(line, "queue_type="))
		return 0;
	if (strcmp(word, "unroutable_dropped") == 0)
		return rabbitmq_count_add(
			ret, node, incarnation, BROKER_COUNT_UNROUTABLE, (uint64_t)v);
	return strcmp(word, "received") == 0
		       ? rabbitmq_count_add(ret, node, incarnation, word, (uint64_t)v)
		       : 0;
}

/* ERR_BROKER: it is no such page. */
static int take_metrics(char *page, const struct rabbitmq_portrait *p, const char *node,
	struct broker_removals *ret, struct err *e)
{
	char *at = strstr(page, "\nprocess_start_time_seconds "), *save = NULL,
	     incarnation[40] = "";
	size_t before = ret->n_counts;
	int r = 0;

	if (at && sscanf(at, " process_start_time_seconds %39s", incarnation) != 1)
		incarnation[0] = '\0';
	for (char *line = strtok_r(page, "\n", &save); r == 0 && line && incarnation[0];
		line = strtok_r(NULL, "\n", &save))
		r = take_line(line, p, node, incarnation, ret);
	if (r)
		return err_set(e, ERR_NOMEM, "out of memory");
	return ret->n_counts > before
		       ? 0
		       : err_set(e, ERR_BROKER, "%s has no such counters on its page", node);
}

/* The host of the API's URL, or of a node's name. An address of IPv6 stands in brackets. */
static void host_of(const struct api *a, const char *node, bool asked, char *ret, size_t len)
{
	const char *host = strstr(a->url, "://"), *at = strchr(node, '@');
	size_t n;

	host = host ? host + 3 : a->url;
	n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	if (asked || !at)
		snprintf(ret, len, "%.*s", (int)n, host);
	else
		snprintf(ret, len, strchr(at, ':') ? "[%s]" : "%s", at + 1);
}

static int take_counts_of(const struct api *a, const json_t *overview, const char *node,
	const struct rabbitmq_portrait *p, struct broker_removals *ret, struct err *e)
{
	const json_t *all = json_object_get(overview, "listeners"), *l;
	int port = 0, r;
	char url[512], host[300];
	struct buf page;
	size_t i;

	json_array_foreach(all, i, l)
	{
		if (strcmp(text_of(l, "node"), node) == 0 &&
			strcmp(text_of(l, "protocol"), "http/prometheus") == 0)
			port = (int)json_integer_value(json_object_get(l, "port"));
	}
	if (!port)
		return err_set(e, ERR_NOTFOUND, "%s has no plugin rabbitmq_prometheus", node);
	host_of(a, node, strcmp(node, text_of(overview, "node")) == 0, host, sizeof(host));
	snprintf(url, sizeof(url), "http://%s:%d/metrics", host, port);
	buf_init(&page, ANSWER_MAX);
	r = get(a, url, false, &page, e);
	if (r == 0) {
		char *text = strdup(buf_str(&page));

		r = text ? take_metrics(text, p, node, ret, e)
			 : err_set(e, ERR_NOMEM, "out of memory");
		free(text);
	}
	buf_release(&page);
	return r;
}

/* Counts are worth having only of all nodes: a node that does not tell is no failure. */
static int take_counts(const struct api *a, const json_t *overview,
	const struct rabbitmq_portrait *p, struct broker_removals *ret, struct err *e)
{
	json_t *nodes = NULL, *n;
	size_t i;
	int r = get_json(a, "nodes?columns=name,running", &nodes, e);

	ret->all_nodes = r == 0 && json_array_size(nodes) > 0;
	json_array_foreach(nodes, i, n)
	{
		int one = take_counts_of(a, overview, text_of(n, "name"), p, ret, e);

		if (one == ERR_NOMEM)
			r = one;
		ret->all_nodes &= one == 0;
	}
	json_decref(nodes);
	return r;
}

/* ---- from outside -------------------------------------------------------------------------------- */

static int ask(const struct api *a, struct broker_removals *ret, struct err *e)
{
	struct rabbitmq_portrait *p = calloc(1, sizeof(*p));
	json_t *overview = NULL;
	int r = p ? get_json(a, "overview", &overview, e) : err_set(e, ERR_NOMEM, "out of memory");

	if (r == ERR_NOTFOUND)
		r = err_set(e, ERR_BROKER, "there is no management API at '%s'", a->url);
	if (r == 0) {
		snprintf(p->version, sizeof(p->version), "%s",
			text_of(overview, "rabbitmq_version"));
		r = take_queue(a, p, ret, e);
	}
	if (r == 0 && !ret->gone)
		r = take_counts(a, overview, p, ret, e);
	json_decref(overview);
	free(p);
	return r;
}

int rabbitmq_of_management(
	const struct broker_config *c, struct broker_removals *ret, struct err *e)
{
	struct rabbitmq_client client;
	struct api a = {&client, c->management, strlen(c->management), c->timeout_ns};
	int before, r = rabbitmq_client_init(c, c->props, &client, e);

	if (r)
		return r;
	while (a.url_len && a.url[a.url_len - 1] == '/')
		a.url_len--;
	snprintf(ret->source, sizeof(ret->source), "management");
	r = netns_enter(client.netns, &before, e);
	if (r == 0) {
		r = ask(&a, ret, e);
		netns_leave(before);
	}
	rabbitmq_client_release(&client);
	return r;
}
