/*
 * What but consumers takes messages from a queue. AMQP does not tell of policies and of a quorum queue's delivery
 * limit, nor what a node dropped; the nodes of a lab are asked themselves, by Erlang.
 *
 * rabbit_global_counters (since 3.9, of RabbitMQ 3.10.8 here) count what left a queue by policy, by the queue's type
 * and dead-letter strategy ("disabled": nothing gets it), on the node where it happened, since that node's
 * application was started: whose supervisor's pid is part of the incarnation. They name no queue: `others` are
 * those whose removals stand in the same counts.
 */
#include "core/broker/rabbitmq_removals.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/broker/erlang.h"
#include "core/clock.h"
#include "core/labfile.h"
#include "core/url.h"

#define ASK_AGAIN_NS (50 * NS_PER_MS)
#define ANSWER_MAX ((size_t)1 << 18)
#define FIRST_VERSION_WITH_LIMIT 4 /* quorum queues have a delivery limit of 20 if none is set */

/* ---- settings ------------------------------------------------------------------------------------ */

const char *rabbitmq_portrait_get(const struct rabbitmq_portrait *p, const char *name)
{
	const char *found = NULL;

	for (size_t i = 0; i < p->n_traits; i++)
		if (strcmp(p->trait[i].name, name) == 0 && (!found || !p->trait[i].policy[0]))
			found = p->trait[i].value;
	return found;
}

static bool is_limit(const struct rabbitmq_portrait *p, const char *name)
{
	const char *overflow = rabbitmq_portrait_get(p, "overflow");
	bool rejects = overflow && strncmp(overflow, "reject-publish", 14) == 0;

	if (strcmp(name, "max-length") == 0 || strcmp(name, "max-length-bytes") == 0)
		return !rejects;
	return strcmp(name, "message-ttl") == 0 || strcmp(name, "expires") == 0 ||
	       strcmp(name, "delivery-limit") == 0;
}

static void add_limit(char *limits, size_t len, const struct rabbitmq_trait *t)
{
	size_t at = strlen(limits);

	snprintf(limits + at, len - at, "%s%s%s=%s%s%s%s", at ? ", " : "", t->policy[0] ? "" : "x-",
		t->name, t->value, t->policy[0] ? " (policy '" : "", t->policy,
		t->policy[0] ? "')" : "");
}

void rabbitmq_portrait_tell(const struct rabbitmq_portrait *p, struct broker_removals *ret)
{
	static const struct rabbitmq_trait by_default = {"delivery-limit", "20, by default", ""};
	const char *exchange = rabbitmq_portrait_get(p, "dead-letter-exchange");
	const char *key = rabbitmq_portrait_get(p, "dead-letter-routing-key");

	for (size_t i = 0; i < p->n_traits; i++)
		if (is_limit(p, p->trait[i].name) && strcmp(p->trait[i].value, "-1") != 0)
			add_limit(ret->limits, sizeof(ret->limits), &p->trait[i]);
	if (strcmp(p->type, "quorum") == 0 &&
		strtol(p->version, NULL, 10) >= FIRST_VERSION_WITH_LIMIT &&
		!rabbitmq_portrait_get(p, "delivery-limit"))
		add_limit(ret->limits, sizeof(ret->limits), &by_default);
	ret->expires = rabbitmq_portrait_get(p, "expires") != NULL;
	if (exchange && !*exchange && key && !ret->dead_letter_queue[0])
		snprintf(ret->dead_letter_queue, sizeof(ret->dead_letter_queue), "%s", key);
}

const char *rabbitmq_portrait_strategy(const struct rabbitmq_portrait *p)
{
	const char *strategy = rabbitmq_portrait_get(p, "dead-letter-strategy");

	if (!rabbitmq_portrait_get(p, "dead-letter-exchange"))
		return "disabled";
	return strategy && strcmp(strategy, "at-least-once") == 0 ? "at_least_once"
								  : "at_most_once";
}

void rabbitmq_name_add(char *list, size_t len, const char *name)
{
	size_t at = strlen(list);

	snprintf(list + at, len - at, "%s%s", at ? ", " : "", name);
}

void rabbitmq_limits_of(const struct rabbitmq_queue *q, char *ret, size_t len)
{
	struct rabbitmq_portrait *p = calloc(1, sizeof(*p));
	struct broker_removals told = {0};

	if (!p)
		BUG("out of memory");
	snprintf(p->type, sizeof(p->type), "%s", q->type);
	for (int i = 0; i < q->n_arguments && p->n_traits < RABBITMQ_MAX_TRAITS; i++) {
		struct rabbitmq_trait *t = &p->trait[p->n_traits];

		if (strncmp(q->argument[i].name, "x-", 2) != 0)
			continue;
		snprintf(t->name, sizeof(t->name), "%s", q->argument[i].name + 2);
		snprintf(t->value, sizeof(t->value), "%s", q->argument[i].value);
		p->n_traits++;
	}
	rabbitmq_portrait_tell(p, &told);
	snprintf(ret, len, "%s", told.limits);
	free(p);
}

int rabbitmq_count_add(struct broker_removals *ret, const char *node, const char *incarnation,
	const char *name, uint64_t count)
{
	struct broker_count *more = realloc(ret->count, (ret->n_counts + 1) * sizeof(*ret->count));

	if (!more)
		return ERR_NOMEM;
	ret->count = more;
	more += ret->n_counts++;
	memset(more, 0, sizeof(*more));
	snprintf(more->node, sizeof(more->node), "%s", node);
	snprintf(more->incarnation, sizeof(more->incarnation), "%s", incarnation);
	snprintf(more->name, sizeof(more->name), "%s", name);
	more->count = count;
	return 0;
}

/* ---- a lab's node, by Erlang --------------------------------------------------------------------- */

/*
 * Lines, separated by '|', each a letter and '=': i incarnation, v version, q where the queue is ("here", "down",
 * "none"), t its type, a NAME:VALUE argument, p NAME:VALUE:POLICY of its policies, c NAME:COUNT, o another queue
 * that counts with it, d a queue that gets its dead letters. Texts are in hex. As of 3.10.8.
 */
static const char question_tail[] =
	">>),"
	" Hex = fun(B) -> [io_lib:format(\"~2.16.0b\", [C]) || <<C>> <= B] end,"
	" Text = fun(V) when is_binary(V) -> V; (V) when is_integer(V) -> integer_to_binary(V);"
	"  (V) when is_boolean(V) -> atom_to_binary(V, utf8); (_) -> <<\"?\">> end,"
	" Args = fun(Q) -> [{N, Text(V)} || {<<\"x-\", N/binary>>, _, V} <- amqqueue:get_arguments(Q)] end,"
	" Pol = fun(Q) -> case rabbit_policy:effective_definition(Q) of"
	"  L when is_list(L) -> [{N, Text(V)} || {N, V} <- L]; _ -> [] end end,"
	" Name = fun(Q) -> case {rabbit_policy:name(Q), rabbit_policy:name_op(Q)} of"
	"  {none, none} -> <<>>; {none, O} -> O; {P, none} -> P; {P, O} -> <<P/binary, \"+\", O/binary>> end end,"
	" Get = fun(N, Q) -> proplists:get_value(N, Args(Q), proplists:get_value(N, Pol(Q))) end,"
	" Drops = fun(Q) -> Full = case Get(<<\"overflow\">>, Q) of <<\"reject-publish\", _/binary>> -> []; _ ->"
	"   [<<\"max-length\">>, <<\"max-length-bytes\">>] end,"
	"  lists:any(fun(L) -> Get(L, Q) =/= undefined end, [<<\"message-ttl\">>, <<\"delivery-limit\">> | Full]) end,"
	" Strategy = fun(Q) -> case {Get(<<\"dead-letter-exchange\">>, Q), Get(<<\"dead-letter-strategy\">>, Q)} of"
	"  {undefined, _} -> disabled; {_, <<\"at-least-once\">>} -> at_least_once; _ -> at_most_once end end,"
	" Bound = fun(Q) -> case Get(<<\"dead-letter-exchange\">>, Q) of undefined -> []; <<>> -> [];"
	"  X -> lists:usort([D || {binding, _, _, {resource, _, queue, D}, _} <-"
	"   rabbit_binding:list_for_source(rabbit_misc:r(R, exchange, X))]) end end,"
	" Counts = rabbit_global_counters:overview(),"
	" Mine = fun(Q) ->"
	"  T = amqqueue:get_type(Q), S = Strategy(Q),"
	"  Own = maps:get([{queue_type, T}, {dead_letter_strategy, S}], Counts, #{}),"
	"  [[\"t=\", atom_to_list(T)]] ++"
	"  [[\"a=\", binary_to_list(N), \":\", Hex(V)] || {N, V} <- Args(Q)] ++"
	"  [[\"p=\", binary_to_list(N), \":\", Hex(V), \":\", Hex(Name(Q))] || {N, V} <- Pol(Q)] ++"
	"  [[\"c=dropped.\", atom_to_list(S), \".\", atom_to_list(K), \":\", integer_to_list(V)]"
	"   || {K, V} <- maps:to_list(Own)] ++"
	"  [[\"d=\", Hex(D)] || D <- Bound(Q)] ++"
	"  [[\"o=\", Hex(element(4, amqqueue:get_name(O)))] || O <- rabbit_amqqueue:list(),"
	"   amqqueue:get_name(O) =/= R, amqqueue:get_type(O) =:= T, Strategy(O) =:= S, Drops(O)] end,"
	" Queue = case rabbit_amqqueue:lookup(R) of"
	"  {ok, Q} -> [\"q=here\" | Mine(Q)];"
	"  _ -> case mnesia:dirty_read(rabbit_durable_queue, R) of [] -> [\"q=none\"]; _ -> [\"q=down\"] end end,"
	" Global = maps:get([{protocol, amqp091}], Counts, #{}),"
	" lists:flatten(lists:join(\"|\","
	"  [[\"i=\", integer_to_list(erlang:system_info(creation)), pid_to_list(whereis(rabbit_sup))],"
	"   [\"v=\", rabbit_misc:version()],"
	"   [\"c=unroutable:\", integer_to_list(maps:get(messages_unroutable_dropped_total, Global, 0))]"
	"   | Queue])).\n";

/* Names as lists of bytes: nothing in them can be taken for Erlang. */
static void write_bytes(struct buf *b, const char *text)
{
	for (size_t i = 0; text[i]; i++)
		buf_printf(b, "%s%u", i ? "," : "", (unsigned)(unsigned char)text[i]);
}

static void write_question(const struct url *u, struct buf *b)
{
	buf_str_add(b, "R = rabbit_misc:r(<<");
	write_bytes(b, u->vhost);
	buf_str_add(b, ">>, queue, <<");
	write_bytes(b, u->name);
	buf_str_add(b, question_tail);
}

/* Hex digits up to a ':' or the end into text; moves *p behind them and the ':'. */
static void take_hex(const char **p, char *ret, size_t len)
{
	unsigned byte;
	size_t n = 0;

	while (**p && **p != ':' && sscanf(*p, "%2x", &byte) == 1) {
		if (n + 1 < len)
			ret[n++] = (char)byte;
		*p += 2;
	}
	ret[n] = '\0';
	if (**p == ':')
		(*p)++;
}

static void take_trait(const char *text, struct rabbitmq_portrait *p)
{
	struct rabbitmq_trait *t = &p->trait[p->n_traits];
	const char *colon = strchr(text, ':');

	if (!colon || p->n_traits == RABBITMQ_MAX_TRAITS)
		return;
	snprintf(t->name, sizeof(t->name), "%.*s", (int)(colon - text), text);
	colon++;
	take_hex(&colon, t->value, sizeof(t->value));
	take_hex(&colon, t->policy, sizeof(t->policy));
	p->n_traits++;
}

/* "dropped.disabled.messages_dead_lettered_maxlen_total:17": the broker's word is "maxlen". */
static int take_count(
	const char *text, const char *node, const char *incarnation, struct broker_removals *ret)
{
	char name[64], moved[80], *at;
	static const char before[] = "messages_dead_lettered_", behind[] = "_total",
			  dropped[] = BROKER_COUNT_DROPPED,
			  disabled[] = BROKER_COUNT_DROPPED "disabled.";
	const char *colon = strchr(text, ':');
	size_t len;

	if (!colon)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text);
	at = strstr(name, before);
	if (at)
		memmove(at, at + strlen(before), strlen(at + strlen(before)) + 1);
	len = strlen(name);
	if (len > strlen(behind) && strcmp(name + len - strlen(behind), behind) == 0)
		name[len - strlen(behind)] = '\0';
	/* what its dead-letter queue confirmed has been counted with its reason */
	if (strstr(name, ".confirmed"))
		return 0;
	/* what went to a dead-letter exchange was not dropped */
	if (strncmp(name, dropped, strlen(dropped)) == 0 &&
		strncmp(name, disabled, strlen(disabled)) != 0) {
		snprintf(moved, sizeof(moved), BROKER_COUNT_DEAD "%s", name + strlen(dropped));
		return rabbitmq_count_add(
			ret, node, incarnation, moved, strtoull(colon + 1, NULL, 10));
	}
	return rabbitmq_count_add(ret, node, incarnation, name, strtoull(colon + 1, NULL, 10));
}

/* What several nodes say of the same queue, put together. */
struct told {
	struct rabbitmq_portrait portrait;
	bool here, down;
	size_t n_bound;
	char bound[256];
};

static void take_type(const char *text, struct rabbitmq_portrait *p)
{
	/* "rabbit_quorum_queue" */
	if (sscanf(text, "rabbit_%15[a-z]", p->type) != 1)
		snprintf(p->type, sizeof(p->type), "%.15s", text);
}

/* An answer's lines; what a node says of the queue is taken of the first that has it. */
static int take_answer(
	const char *node, char *answer, struct told *told, struct broker_removals *ret)
{
	char incarnation[64] = "", name[256], *save = NULL;
	bool first = !told->here;
	int r = 0;

	for (char *line = strtok_r(answer, "|", &save); r == 0 && line;
		line = strtok_r(NULL, "|", &save)) {
		const char *text = line + 2;

		switch (line[0]) {
		case 'i':
			snprintf(incarnation, sizeof(incarnation), "%s", text);
			break;
		case 'v':
			snprintf(
				told->portrait.version, sizeof(told->portrait.version), "%s", text);
			break;
		case 'q':
			told->here |= strcmp(text, "here") == 0;
			told->down |= strcmp(text, "down") == 0;
			break;
		case 't':
			take_type(text, &told->portrait);
			break;
		case 'a':
		case 'p':
			if (first)
				take_trait(text, &told->portrait);
			break;
		case 'c':
			r = take_count(text, node, incarnation, ret);
			break;
		case 'o':
			take_hex(&text, name, sizeof(name));
			if (first)
				rabbitmq_name_add(ret->others, sizeof(ret->others), name);
			break;
		case 'd':
			take_hex(&text, name, sizeof(name));
			if (first && told->n_bound++ == 0)
				snprintf(told->bound, sizeof(told->bound), "%s", name);
			break;
		default:
			break;
		}
	}
	return r;
}

static int ask_node(const struct labfile *lab, const struct labfile_node *node,
	const char *question, int64_t timeout_ns, char *answer, struct err *e)
{
	struct proc_spec where = PROC_SPEC_INIT;
	char home[PATHS_MAX + 8] = "", name[160];
	int r = labfile_path(lab->name, lab->kind, home, sizeof(home) - 8, e);

	if (r)
		return r;
	/* beside the state file FOLDER.json */
	snprintf(home + strlen(home) - strlen(".json"), 8, "/home");
	snprintf(name, sizeof(name), "rabbit@%s", node->address);
	where.netns_fd = node->netns[0] ? open(node->netns, O_RDONLY | O_CLOEXEC) : -1;
	if (node->netns[0] && where.netns_fd < 0)
		return err_set(e, ERR_NOTFOUND, "the lab's network is gone");
	r = erlang_eval(&where, home, name, question, timeout_ns, answer, ANSWER_MAX, e);
	if (where.netns_fd >= 0)
		close(where.netns_fd);
	return r;
}

/* Of several that ask at the same instant one may be refused: it asks again, as long as there is time. */
static int ask_node_again(const struct labfile *lab, const struct labfile_node *node,
	const char *question, int64_t timeout_ns, char *answer, struct err *e)
{
	int64_t deadline_ns = clock_ns() + timeout_ns;
	int r;

	while ((r = ask_node(lab, node, question, timeout_ns, answer, e)) == ERR_BROKER_AWAY &&
		clock_ns() < deadline_ns)
		clock_sleep_ns(ASK_AGAIN_NS);
	return r;
}

static int ask_lab(const struct labfile *lab, const char *question, int64_t timeout_ns,
	struct told *told, struct broker_removals *ret, struct err *e)
{
	char *answer = malloc(ANSWER_MAX);
	size_t n_answers = 0;
	struct err why = {0};
	int r = answer ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	for (size_t i = 0; r == 0 && i < lab->n_nodes; i++) {
		const struct labfile_node *node = &lab->node[i];

		if (node->state != LABFILE_NODE_RUNNING ||
			ask_node_again(lab, node, question, timeout_ns, answer, &why))
			continue;
		n_answers++;
		if (take_answer(node->name, answer, told, ret))
			r = err_set(e, ERR_NOMEM, "out of memory");
	}
	free(answer);
	ret->all_nodes = n_answers == lab->n_nodes;
	if (r == 0 && n_answers == 0)
		r = err_set(e, ERR_BROKER_AWAY, "no node of the lab says anything: %s", why.msg);
	return r;
}

static int of_lab(const struct broker_config *c, struct broker_removals *ret, struct err *e)
{
	struct told *told = calloc(1, sizeof(*told));
	struct labfile *lab = NULL;
	struct buf question;
	int r = told ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	buf_init(&question, 1 << 16);
	write_question(c->url, &question);
	if (r == 0)
		r = labfile_read(c->url->lab,
			labfile_kind_of_scheme(url_scheme_text(c->url->scheme)), &lab, e);
	if (r == 0) {
		labfile_refresh(lab);
		r = ask_lab(lab, buf_str(&question), c->timeout_ns, told, ret, e);
	}
	if (r == 0) {
		snprintf(ret->source, sizeof(ret->source), "lab");
		ret->gone = !told->here && !told->down && ret->all_nodes;
		if (told->n_bound == 1)
			snprintf(ret->dead_letter_queue, sizeof(ret->dead_letter_queue), "%s",
				told->bound);
		rabbitmq_portrait_tell(&told->portrait, ret);
		if (!told->here && !ret->gone)
			r = err_set(e, ERR_BROKER_AWAY, "the queue is not to be had now");
	}
	buf_release(&question);
	labfile_free(lab);
	free(told);
	return r;
}

int rabbitmq_removals(const struct broker_config *c, struct broker_removals *ret, struct err *e)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	if (c->management)
		r = rabbitmq_of_management(c, ret, e);
	else if (c->url->lab[0])
		r = of_lab(c, ret, e);
	else
		r = err_set(e, ERR_NOTFOUND, "nobody tells of policies: there is no --management");
	if (r)
		broker_removals_free(ret);
	return r;
}
