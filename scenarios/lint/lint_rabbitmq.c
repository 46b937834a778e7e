/* RabbitMQ's settings: the publisher's, the queue's arguments, what policies make of them, the nodes'. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/broker/rabbitmq_props.h"
#include "core/clock.h"
#include "core/labfile.h"
#include "scenarios/lab/lab.h"
#include "scenarios/lab/rabbitmq_ask.h"
#include "scenarios/lint/lint.h"
#include "scenarios/lint/rabbitmq_defs.h"

#define ASSUMED_NODES 3
#define DEFAULT_GROUP 3 /* members of a quorum queue */
#define TYPE "x-queue-type"
#define PARTITIONS "cluster_partition_handling"
#define NODES "nodes" /* how many the cluster has: no setting of RabbitMQ's */
#define BY_QUEUE "queue"
#define BY_POLICY "policy of the queue"
#define BY_NODE "node"
#define DEFAULT_OF "default of RabbitMQ " RABBITMQ_DEFS_VERSION

static const char *const types[] = {"classic", "quorum", "stream"};

static enum rabbitmq_defs table_of(enum lint_scope scope)
{
	return scope == LINT_TOPIC    ? RABBITMQ_DEFS_QUEUE
	       : scope == LINT_POLICY ? RABBITMQ_DEFS_POLICY
				      : RABBITMQ_DEFS_CONF;
}

bool lint_rabbitmq_knows(enum lint_scope scope, const char *name)
{
	if (scope == LINT_PRODUCER || scope == LINT_CONSUMER)
		return rabbitmq_props_known(name);
	return rabbitmq_defs_find(table_of(scope), name) ||
	       (scope == LINT_BROKER && strcmp(name, NODES) == 0);
}

/* ---- values that were given ------------------------------------------------------------------ */

/* The properties of a client, read by what reads them for the client itself. */
static int check_client(struct lint *l, enum lint_scope scope, struct err *e)
{
	struct rabbitmq_settings s;
	int r = rabbitmq_settings_read(l->given[scope], "", &s, e);

	explicit_bzero(&s, sizeof(s));
	/* which of them is it? That with which alone it cannot be read either */
	for (size_t i = 0; r && i < props_count(l->given[scope]); i++) {
		const char *name = props_name(l->given[scope], i);
		struct props *one = props_new();
		bool bad = one &&
			   props_set(one, name, props_value(l->given[scope], i), NULL) == 0 &&
			   rabbitmq_settings_read(one, "", &s, NULL) != 0;

		explicit_bzero(&s, sizeof(s));
		props_free(one);
		if (bad)
			return err_wrap(e, "%s", props_get(l->from[scope], name));
	}
	return r;
}

static int check_scope(struct lint *l, enum lint_scope scope, struct err *e)
{
	for (size_t i = 0; i < props_count(l->given[scope]); i++) {
		const char *name = props_name(l->given[scope], i);
		const struct rabbitmq_def *def = rabbitmq_defs_find(table_of(scope), name);
		int r = 0;

		if (def)
			r = rabbitmq_defs_check(def, props_value(l->given[scope], i), e);
		else if (strtol(props_value(l->given[scope], i), NULL, 10) < 1)
			r = err_set(e, ERR_USAGE, "'" NODES "': a cluster has one at least");
		if (r)
			return err_wrap(e, "%s", props_get(l->from[scope], name));
	}
	return 0;
}

int lint_rabbitmq_check(struct lint *l, struct err *e)
{
	int r = check_client(l, LINT_PRODUCER, e);

	if (r == 0)
		r = check_client(l, LINT_CONSUMER, e);
	for (int scope = LINT_TOPIC; r == 0 && scope < LINT_SCOPES; scope++)
		r = check_scope(l, (enum lint_scope)scope, e);
	return r;
}

/* ---- publisher ------------------------------------------------------------------------------- */

/* What says nothing about losses stays out of the report. */
static const char *const watched[] = {"confirms", "mandatory", "persistent", "exchange",
	"routing.key", "window", "blocked.notice", "heartbeat", "tcp.user.timeout.ms"};

static void take_setting(void *arg, const char *name, const char *value)
{
	struct lint *l = arg;
	const char *from = props_get(l->from[LINT_PRODUCER], name);

	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++)
		if (strcmp(watched[i], name) == 0)
			lint_add(l, LINT_PRODUCER, watched[i], value,
				from ? from : "default of mqaudit's own client", from != NULL);
}

static int settle_publisher(struct lint *l, struct err *e)
{
	struct lint_queue_facts *q = &l->facts.queue;
	struct rabbitmq_settings s;
	int r = rabbitmq_settings_read(l->given[LINT_PRODUCER], "", &s, e);

	if (r == 0) {
		rabbitmq_settings_give(&s, take_setting, l);
		q->confirms = s.confirms;
		q->mandatory = s.mandatory;
		q->persistent = s.persistent;
		q->listens = s.blocked_notice;
		q->gives_up = s.heartbeat_s > 0 || s.tcp_user_timeout_ms > 0;
		q->republishes = l->republishes;
		lint_add(l, LINT_PRODUCER, "republish-unknown", l->republishes ? "true" : "false",
			l->republishes ? "--republish-unknown" : "not said", l->republishes);
	}
	if (r == 0 && s.exchange[0])
		r = props_set(l->unseen, "bindings",
			"not looked at: whether the exchange leads the key to the queue", e);
	explicit_bzero(&s, sizeof(s));
	return r;
}

/* ---- a queue's arguments, and policies ------------------------------------------------------- */

struct value {
	const char *text; /* NULL: none */
	const char *from;
};

/* The user's word comes before the queue's own. */
static struct value argument_of(const struct lint *l, const char *name)
{
	struct value v = {
		props_get(l->given[LINT_TOPIC], name), props_get(l->from[LINT_TOPIC], name)};

	if (!v.text)
		v = (struct value){props_get(l->told, name), props_get(l->told_from, name)};
	return v;
}

/*
 * The first key of the given policy that queues of this type do not take, or NULL. With such a key a policy does not
 * apply to a queue at all: none of its keys counts (3.10.8, tests/broker/rabbitmq_lint_test.sh).
 */
static const char *strange_key(const struct lint *l)
{
	for (size_t i = 0; i < props_count(l->given[LINT_POLICY]); i++) {
		const char *key = props_name(l->given[LINT_POLICY], i);
		const struct rabbitmq_def *def = rabbitmq_defs_find(RABBITMQ_DEFS_POLICY, key);

		/* those without a type are of exchanges, which do not mind */
		if (def->types && !(def->types & (1u << l->facts.queue.type)))
			return key;
	}
	return NULL;
}

static struct value policy_of(const struct lint *l, const char *key)
{
	struct value v = {
		props_get(l->given[LINT_POLICY], key), props_get(l->from[LINT_POLICY], key)};

	if (v.text && strange_key(l))
		return (struct value){NULL, NULL};
	if (!v.text && !l->no_policy)
		v = (struct value){props_get(l->policy_told, key), BY_POLICY};
	return v;
}

/* Which of both holds: for numbers the smaller, otherwise the argument (RabbitMQ's res_min and res_arg). */
static struct value effective(const struct lint *l, const char *name, bool number)
{
	struct value a = argument_of(l, name), p = policy_of(l, name + strlen("x-"));

	if (!a.text || !p.text)
		return a.text ? a : p;
	return number && strtoll(p.text, NULL, 10) < strtoll(a.text, NULL, 10) ? p : a;
}

static void add_value(struct lint *l, const char *name, struct value v)
{
	lint_add(l, LINT_TOPIC, name, v.text, v.from, true);
}

/* A limit; LINT_FOREVER: none. */
static int64_t limit(struct lint *l, const char *name)
{
	const struct rabbitmq_def *def = rabbitmq_defs_find(RABBITMQ_DEFS_QUEUE, name);
	struct value v = effective(l, name, true);

	if (!v.text || !(def->types & (1u << l->facts.queue.type)))
		return LINT_FOREVER;
	add_value(l, name, v);
	return strtoll(v.text, NULL, 10);
}

/* A word; dflt, of which nothing is said, when there is none. */
static const char *word(struct lint *l, const char *name, const char *dflt)
{
	struct value v = effective(l, name, false);

	if (v.text)
		add_value(l, name, v);
	return v.text ? v.text : dflt;
}

static void settle_switch(struct lint *l, const char *name, bool dflt, bool *ret)
{
	struct value v = argument_of(l, name);

	*ret = v.text ? strcmp(v.text, "true") == 0 : dflt;
	lint_add(l, LINT_TOPIC, name, *ret ? "true" : "false", v.text ? v.from : "default",
		v.text != NULL);
}

static void settle_type(struct lint *l)
{
	struct value v = argument_of(l, TYPE);

	l->facts.queue.type = LINT_CLASSIC;
	for (int i = 0; v.text && i < 3; i++)
		if (strcmp(types[i], v.text) == 0)
			l->facts.queue.type = (enum lint_queue)i;
	lint_add(l, LINT_TOPIC, TYPE, types[l->facts.queue.type], v.text ? v.from : DEFAULT_OF,
		v.text != NULL);
}

/* What the broker would refuse to make. */
static int check_arguments(const struct lint *l, struct err *e)
{
	const struct lint_queue_facts *q = &l->facts.queue;
	const struct props *given = l->given[LINT_TOPIC];
	unsigned type = 1u << q->type;

	for (size_t i = 0; i < props_count(given); i++) {
		const char *name = props_name(given, i), *value = props_value(given, i);
		const struct rabbitmq_def *def = rabbitmq_defs_find(RABBITMQ_DEFS_QUEUE, name);
		bool switched_off = strcmp(name, "auto-delete") == 0 && *value == 'f';

		if (!(def->types & type) && !switched_off) {
			err_set(e, ERR_USAGE, "%s: a %s queue takes no '%s'",
				props_get(l->from[LINT_TOPIC], name), types[q->type], name);
			return err_hint(e, "the broker refuses it: PRECONDITION_FAILED");
		}
	}
	if (!q->durable && q->type != LINT_CLASSIC) {
		err_set(e, ERR_USAGE, "%s: a %s queue is durable", argument_of(l, "durable").from,
			types[q->type]);
		return err_hint(e, "the broker refuses another: PRECONDITION_FAILED");
	}
	return 0;
}

static void settle_version(struct lint *l)
{
	struct value v = effective(l, "x-queue-version", false);
	const char *name = "classic_queue.default_version";

	if (l->facts.queue.type != LINT_CLASSIC)
		return;
	if (!v.text)
		v = (struct value){props_get(l->given[LINT_BROKER], name),
			props_get(l->from[LINT_BROKER], name)};
	if (v.text)
		add_value(l, "x-queue-version", v);
	else
		lint_add(l, LINT_TOPIC, "x-queue-version", "1", DEFAULT_OF, false);
	l->facts.queue.version = v.text && *v.text == '2' ? 2 : 1;
}

static void settle_limits(struct lint *l)
{
	struct lint_queue_facts *q = &l->facts.queue;
	bool to_exchange =
		q->type != LINT_STREAM && effective(l, "x-dead-letter-exchange", false).text;
	const char *overflow = q->type == LINT_STREAM ? "" : word(l, "x-overflow", "drop-head");

	q->max_length = limit(l, "x-max-length");
	q->max_bytes = limit(l, "x-max-length-bytes");
	q->rejects = strncmp(overflow, "reject", 6) == 0;
	q->ttl_ms = limit(l, "x-message-ttl");
	q->expires_ms = limit(l, "x-expires");
	q->delivery_limit = limit(l, "x-delivery-limit");
	q->max_age = q->type == LINT_STREAM && word(l, "x-max-age", NULL);
	q->dead_letters = to_exchange && word(l, "x-dead-letter-exchange", NULL);
	/* otherwise the strategy falls back */
	q->dead_letters_surely =
		q->dead_letters && q->type == LINT_QUORUM && q->rejects &&
		strcmp(word(l, "x-dead-letter-strategy", "at-most-once"), "at-least-once") == 0;
}

static void settle_members(struct lint *l)
{
	struct lint_queue_facts *q = &l->facts.queue;
	bool stream = q->type == LINT_STREAM;
	const char *name = stream ? "x-initial-cluster-size" : "x-quorum-initial-group-size";
	struct value v = argument_of(l, name);
	char text[24];

	q->members = q->nodes < DEFAULT_GROUP || stream ? q->nodes : DEFAULT_GROUP;
	if (q->type == LINT_CLASSIC)
		return;
	if (stream && !v.text)
		v = policy_of(l, "initial-cluster-size");
	if (l->replication)
		q->members = l->replication;
	else if (v.text)
		q->members = (int)strtol(v.text, NULL, 10);
	snprintf(text, sizeof(text), "%d", q->members);
	lint_add(l, LINT_TOPIC, name, text,
		l->replication ? "--replication"
		: v.text       ? v.from
			       : DEFAULT_OF,
		l->replication || v.text);
}

/* ---- mirrors --------------------------------------------------------------------------------- */

static const char *mirror_word(struct lint *l, const char *key, const char *dflt)
{
	struct value v = policy_of(l, key);

	lint_add(l, LINT_POLICY, key, v.text ? v.text : dflt, v.text ? v.from : DEFAULT_OF,
		v.text != NULL);
	return v.text ? v.text : dflt;
}

/* Is anything known of policies? Nothing was asked without a cluster: then there are those that are given. */
static bool policies_are_known(const struct lint *l)
{
	return !l->live || l->policies_seen || l->no_policy || props_count(l->given[LINT_POLICY]);
}

static void settle_mirrors(struct lint *l)
{
	struct lint_queue_facts *q = &l->facts.queue;
	struct value mode = policy_of(l, "ha-mode"), params = policy_of(l, "ha-params");

	q->policies = policies_are_known(l) ? LINT_NO : LINT_UNKNOWN;
	q->mirrored = LINT_NO;
	if (q->type != LINT_CLASSIC)
		return;
	if (!mode.text) {
		q->mirrored = q->policies;
		return;
	}
	q->mirrored = LINT_YES;
	lint_add(l, LINT_POLICY, "ha-mode", mode.text, mode.from, true);
	if (params.text)
		lint_add(l, LINT_POLICY, "ha-params", params.text, params.from, true);
	if (strcmp(mode.text, "exactly") == 0 && params.text && strcmp(params.text, "1") == 0)
		q->mirrored = LINT_NO;
	q->sync_automatic = strcmp(mirror_word(l, "ha-sync-mode", "manual"), "automatic") == 0;
	q->promote_any_on_shutdown =
		strcmp(mirror_word(l, "ha-promote-on-shutdown", "when-synced"), "always") == 0;
	q->promote_synced =
		strcmp(mirror_word(l, "ha-promote-on-failure", "always"), "when-synced") == 0;
}

static int settle_policies(struct lint *l, struct err *e)
{
	const char *strange = strange_key(l);
	char note[2 * LINT_FROM_LEN];

	if (strange) {
		snprintf(note, sizeof(note),
			"a policy with '%s' does not apply to a %s queue: nothing of it counts",
			strange, types[l->facts.queue.type]);
		return props_set(l->notes, strange, note, e);
	}
	if (props_count(l->given[LINT_POLICY]) || props_count(l->policy_told))
		return 0;
	return props_set(l->unseen, lint_scope_text(LINT_POLICY),
		l->no_policy       ? "none: --no-policy"
		: l->policies_seen ? "none, says the node"
		: l->live
			? "not looked at: AMQP does not tell of them; --policy or --no-policy says"
			: "none assumed: --policy says",
		e);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static int count_nodes(const struct lint *l)
{
	const char *own = props_get(l->given[LINT_BROKER], NODES);
	const char *told = props_get(l->broker_told, NODES);

	return own || told ? (int)strtol(own ? own : told, NULL, 10) : ASSUMED_NODES;
}

static void settle_nodes(struct lint *l)
{
	const char *own = props_get(l->given[LINT_BROKER], NODES);
	const char *told = props_get(l->broker_told, NODES);
	char text[24];

	snprintf(text, sizeof(text), "%d", l->facts.queue.nodes);
	lint_add(l, LINT_BROKER, NODES, text,
		own    ? props_get(l->from[LINT_BROKER], NODES)
		: told ? props_get(l->broker_from, NODES)
		       : "assumed; --broker-config nodes=N says",
		own || told);
}

static void settle_partitions(struct lint *l)
{
	static const struct {
		const char *text;
		enum lint_partitions value;
	} row[] = {{"ignore", LINT_IGNORE}, {"autoheal", LINT_AUTOHEAL},
		{"pause_minority", LINT_PAUSE_MINORITY},
		/* as its recover says; who pauses loses nothing */
		{"pause_if_all_down", LINT_PAUSE_MINORITY}};
	const char *own = props_get(l->given[LINT_BROKER], PARTITIONS);
	const char *told = props_get(l->broker_told, PARTITIONS);
	const char *value = own ? own : told ? told : l->live ? "unknown" : "ignore";

	l->facts.queue.partitions = LINT_PARTITIONS_UNKNOWN;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (strcmp(row[i].text, value) == 0)
			l->facts.queue.partitions = row[i].value;
	lint_add(l, LINT_BROKER, PARTITIONS, value,
		own       ? props_get(l->from[LINT_BROKER], PARTITIONS)
		: told    ? props_get(l->broker_from, PARTITIONS)
		: l->live ? "AMQP does not tell; --broker-config says"
			  : DEFAULT_OF,
		own || told);
}

int lint_rabbitmq_settle(struct lint *l, struct err *e)
{
	int r = settle_publisher(l, e);

	if (r)
		return r;
	settle_type(l);
	settle_switch(l, "durable", true, &l->facts.queue.durable);
	settle_switch(l, "auto-delete", false, &l->facts.queue.auto_delete);
	r = check_arguments(l, e);
	if (r)
		return r;
	l->facts.queue.nodes = count_nodes(l);
	settle_version(l);
	settle_limits(l);
	settle_members(l);
	settle_mirrors(l);
	settle_nodes(l);
	settle_partitions(l);
	r = settle_policies(l, e);
	return r ? r
		 : props_set(l->unseen, lint_scope_text(LINT_CONSUMER),
			   "not looked at: there are no rules for RabbitMQ's consumers yet", e);
}

/* ---- the live queue -------------------------------------------------------------------------- */

struct taking {
	struct lint *l;
	struct err *e;
	int r;
};

static void take_argument(void *arg, const char *name, const char *value)
{
	struct taking *t = arg;

	if (t->r == 0)
		t->r = props_set(t->l->told, name, value, t->e);
	if (t->r == 0)
		t->r = props_set(t->l->told_from, name, BY_QUEUE, t->e);
}

/*
 * "HANDLING|NODES|VERSION|KEY=VALUE|KEY=VALUE": what is not to be seen over AMQP, of a node of the lab. A policy's
 * definition is that of the policy and the operator's policy together. As of 3.10.8.
 */
static const char question_head[] =
	"Text = fun(V) when is_binary(V) -> binary_to_list(V);"
	" (V) -> lists:flatten(io_lib:format(\"~w\", [V])) end,"
	" Safe = fun(S) -> [case C > 32 andalso C < 127 andalso not lists:member(C, [34, 92, 124])"
	"  of true -> C; false -> $_ end || C <- S] end,"
	" Name = rabbit_misc:r(";
static const char question_tail[] =
	"),"
	" Policy = case rabbit_amqqueue:lookup(Name) of"
	"  {ok, Q} -> case rabbit_policy:effective_definition(Q) of undefined -> []; D -> D end;"
	"  _ -> [] end,"
	" Handling = case application:get_env(rabbit, cluster_partition_handling) of"
	"  {ok, A} when is_atom(A) -> atom_to_list(A); _ -> \"pause_if_all_down\" end,"
	" lists:flatten([Handling, \"|\","
	"  integer_to_list(length(rabbit_mnesia:cluster_nodes(all))), \"|\", rabbit_misc:version(),"
	"  [[\"|\", binary_to_list(K), \"=\", Safe(Text(V))] || {K, V} <- Policy]]).\n";

/* As a list of bytes: nothing in it can be taken for Erlang. */
static void write_bytes(struct buf *b, const char *text)
{
	buf_str_add(b, "<<");
	for (size_t i = 0; text[i]; i++)
		buf_printf(b, "%s%u", i ? "," : "", (unsigned)(unsigned char)text[i]);
	buf_str_add(b, ">>");
}

static int ask_node(const struct labfile *file, const struct url *url, int64_t timeout_ns,
	char *ret, size_t len, struct err *e)
{
	struct buf b;
	int r = err_set(e, ERR_BROKER_AWAY, "no node of lab '%s' runs", file->name);

	buf_init(&b, 1 << 16);
	buf_str_add(&b, question_head);
	write_bytes(&b, url->vhost);
	buf_str_add(&b, ", queue, ");
	write_bytes(&b, url->name);
	buf_str_add(&b, question_tail);
	for (size_t i = 0; r && i < file->n_nodes; i++)
		if (lab_is_expected(&file->node[i]))
			r = rabbitmq_eval(
				file, &file->node[i], buf_str(&b), timeout_ns, ret, len, e);
	buf_release(&b);
	return r;
}

static int take_of_node(struct lint *l, const char *name, const char *value, struct err *e)
{
	int r = props_set(l->broker_told, name, value, e);

	return r ? r : props_set(l->broker_from, name, BY_NODE, e);
}

static int note_version(struct lint *l, const char *version, struct err *e)
{
	static const char measured[] = RABBITMQ_DEFS_VERSION ".";
	char note[200];

	if (strncmp(version, measured, strlen(measured)) == 0)
		return 0;
	snprintf(note, sizeof(note),
		"the broker is RabbitMQ %.40s; the rules were measured on " RABBITMQ_DEFS_VERSION,
		version);
	return props_set(l->notes, "version", note, e);
}

static int take_answer(struct lint *l, char *answer, struct err *e)
{
	char *place = NULL, *handling = strtok_r(answer, "|", &place);
	char *nodes = strtok_r(NULL, "|", &place), *version = strtok_r(NULL, "|", &place);
	int r;

	if (!version)
		return err_set(e, ERR_BROKER, "a node's answer cannot be read: %.80s", answer);
	r = take_of_node(l, PARTITIONS, handling, e);
	if (r == 0)
		r = take_of_node(l, NODES, nodes, e);
	if (r == 0)
		r = note_version(l, version, e);
	for (char *key = strtok_r(NULL, "|", &place); r == 0 && key;
		key = strtok_r(NULL, "|", &place)) {
		char *equals = strchr(key, '=');

		if (!equals)
			continue;
		*equals = '\0';
		r = props_set(l->policy_told, key, equals + 1, e);
	}
	if (r == 0)
		l->policies_seen = true;
	return r;
}

static int ask_lab(struct lint *l, const struct destination *d, struct err *e)
{
	struct labfile *file = NULL;
	char answer[4096];
	int r = labfile_read(
		d->url.lab, labfile_kind_of_scheme(url_scheme_text(d->url.scheme)), &file, e);

	if (r == 0)
		r = ask_node(file, &d->url, d->config.timeout_ns, answer, sizeof(answer), e);
	if (r == 0)
		r = take_answer(l, answer, e);
	labfile_free(file);
	return r;
}

int lint_rabbitmq_ask(struct lint *l, const struct destination *d, struct err *e)
{
	struct taking t = {l, e, 0};
	int r = d->ops->topic_settings(&d->config, take_argument, &t, e);

	if (r == 0)
		r = t.r;
	if (r == 0 && d->url.lab[0])
		r = ask_lab(l, d, e);
	if (r == 0)
		l->live = true;
	return r;
}
