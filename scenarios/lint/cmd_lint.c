#include "scenarios/lint/cmd_lint.h"

#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/stop.h"
#include "core/units.h"
#include "core/words.h"
#include "scenarios/lint/kafka_defs.h"
#include "scenarios/lint/lint.h"
#include "scenarios/lint/lint_report.h"
#include "scenarios/lint/rabbitmq_defs.h"

struct lint_opts {
	struct destination_opts destination;
	struct opt_list topic_config, queue_argument, policy, broker_config, accept;
	const char *client, *promise, *format, *fail_on, *allow, *defaults;
	uint64_t replication;
	bool allow_unknown, no_policy, republishes;
};

static const struct opt opts[] = {
	{.name = "property",
		.letter = 'X',
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		.offset = offsetof(struct lint_opts, destination.property),
		.group = "Settings",
		.help = "A property of the producer, in its client's own name; NAME=@FILE reads the "
			"value from a file, as secrets must be. Repeatable."},
	{.name = "producer-config",
		.type = OPT_STRING,
		.arg = "FILE",
		.offset = offsetof(struct lint_opts, destination.producer_config),
		.help = "The producer's properties file, in librdkafka's or Java's names, or those of "
			"a RabbitMQ client (mqaudit run --help)."},
	{.name = "consumer-config",
		.type = OPT_STRING,
		.arg = "FILE",
		.offset = offsetof(struct lint_opts, destination.consumer_config),
		.help = "The consumer's; without it nothing is said about consumers."},
	{.name = "client",
		.type = OPT_CHOICE,
		.arg = "librdkafka|java|rabbitmq-c",
		.choices = "librdkafka|java|rabbitmq-c",
		.offset = offsetof(struct lint_opts, client),
		.help = "Whose defaults fill in what the files leave out. Without it the URL tells, "
			"or the names in them; where they do not, librdkafka."},
	{.name = "topic-config",
		.type = OPT_LIST,
		.arg = "NAME=VALUE|FILE",
		.offset = offsetof(struct lint_opts, topic_config),
		.help = "A setting of the topic, or a file of them; of a queue: durable, or an "
			"argument. Comes before what a cluster says: what if? Repeatable."},
	{.name = "queue-argument",
		.type = OPT_LIST,
		.arg = "NAME=VALUE|FILE",
		.offset = offsetof(struct lint_opts, queue_argument),
		.help = "The same, for a queue: --queue-argument x-queue-type=quorum. Repeatable."},
	{.name = "policy",
		.type = OPT_LIST,
		.arg = "KEY=VALUE|FILE",
		.offset = offsetof(struct lint_opts, policy),
		.help = "What RabbitMQ's policies say of the queue, such as ha-mode=all: AMQP does "
			"not tell, and only a lab's nodes are asked. Repeatable."},
	{.name = "no-policy",
		.type = OPT_FLAG,
		.offset = offsetof(struct lint_opts, no_policy),
		.help = "Your word that no policy applies to the queue."},
	{.name = "republish-unknown",
		.type = OPT_FLAG,
		.offset = offsetof(struct lint_opts, republishes),
		.help = "The application publishes again what RabbitMQ did not confirm."},
	{.name = "broker-config",
		.type = OPT_LIST,
		.arg = "NAME=VALUE|FILE",
		.offset = offsetof(struct lint_opts, broker_config),
		.help = "A setting of the brokers, such as a line of server.properties or "
			"rabbitmq.conf, or the whole file; also "
			"eligible.leader.replicas.version=0|1, a feature that clients cannot ask "
			"for, and nodes=N of a RabbitMQ cluster. Repeatable."},
	{.name = "replication",
		.type = OPT_COUNT,
		.arg = "N",
		.offset = offsetof(struct lint_opts, replication),
		.help = "Replicas of each partition, members of a quorum queue or stream; without it "
			"the cluster tells, or 3 is assumed."},
	{.name = "allow-unknown",
		.type = OPT_FLAG,
		.offset = offsetof(struct lint_opts, allow_unknown),
		.help = "Names that neither client nor broker has are passed over with a warning; "
			"otherwise they are errors."},
	{.name = "password-file",
		.type = OPT_STRING,
		.arg = "FILE",
		.offset = offsetof(struct lint_opts, destination.password_file),
		.help = "The password for the cluster, in the first line of FILE (AMQP: or in "
			"MQAUDIT_AMQP_PASSWORD)."},
	{.name = "timeout",
		.type = OPT_DURATION,
		.arg = "TIME",
		.dflt = "15s",
		.offset = offsetof(struct lint_opts, destination.timeout_ns),
		.help = "How long the cluster may take to answer a question."},
	{.name = "promise",
		.type = OPT_STRING,
		.arg = "PROMISE",
		.dflt = "exactly-once,ordered",
		.offset = offsetof(struct lint_opts, promise),
		.group = "Judgement",
		.help = "What must hold: at-most-once, at-least-once or exactly-once, each with or "
			"without ,ordered."},
	{.name = "fail-on",
		.type = OPT_STRING,
		.arg = "KIND,...",
		.offset = offsetof(struct lint_opts, fail_on),
		.help = "Kinds of findings that break the promise as well."},
	{.name = "allow",
		.type = OPT_STRING,
		.arg = "KIND,...",
		.offset = offsetof(struct lint_opts, allow),
		.help = "Kinds of findings that do not."},
	{.name = "accept",
		.type = OPT_LIST,
		.arg = "SCENARIO",
		.offset = offsetof(struct lint_opts, accept),
		.help = "A fault that is taken as it comes, such as power-cut-all: what is predicted "
			"for it is shown and does not count. Repeatable."},
	{.name = "format",
		.type = OPT_CHOICE,
		.arg = "text|json",
		.choices = "text|json",
		.dflt = "text",
		.offset = offsetof(struct lint_opts, format),
		.group = "Output",
		.help = "For people or for programs (mqaudit-lint/1)."},
	{.name = "defaults",
		.type = OPT_CHOICE,
		.arg = "TABLE",
		.choices = "java-producer|java-consumer|topic|broker|queue|policy|rabbitmq.conf",
		.offset = offsetof(struct lint_opts, defaults),
		.help = "Print a table of settings that lint goes by, and nothing else: name, type, "
			"default, valid values of Kafka's (java-producer, java-consumer, topic, "
			"broker), name, valid values and types of queue of RabbitMQ's (queue, policy, "
			"rabbitmq.conf), with tabs between."},
	{.name = NULL},
};

/* RabbitMQ's. */
static void print_names(const char *text)
{
	static const char *const tables[] = {"queue", "policy", "rabbitmq.conf"};

	for (int i = 0; i < 3; i++) {
		size_t n;
		const struct rabbitmq_def *d = rabbitmq_defs_all((enum rabbitmq_defs)i, &n);

		for (size_t k = 0; k < n && strcmp(tables[i], text) == 0; k++)
			printf("%s\t%s\t%s%s%s\n", d[k].name,
				d[k].valid                         ? d[k].valid
				: d[k].kind == RABBITMQ_DEF_NUMBER ? "number"
								   : "",
				d[k].types & RABBITMQ_DEF_CLASSIC ? "classic " : "",
				d[k].types & RABBITMQ_DEF_QUORUM ? "quorum " : "",
				d[k].types & RABBITMQ_DEF_STREAM ? "stream" : "");
	}
}

static int print_defaults(const char *text)
{
	for (int i = 0; i < KAFKA_DEFS_N; i++) {
		size_t n;
		const struct kafka_def *d = kafka_defs_all((enum kafka_defs)i, &n);

		if (strcmp(kafka_defs_text((enum kafka_defs)i), text) != 0)
			continue;
		for (size_t k = 0; k < n; k++)
			printf("%s\t%s\t%s\t%s\n", d[k].name, d[k].type, d[k].dflt, d[k].valid);
	}
	print_names(text);
	return EXIT_PASS;
}

/* After the settings: they tell of which broker the scenarios are. */
static int read_judgement(const struct lint_opts *o, struct lint_view *v, struct err *e)
{
	int r = promise_parse(o->promise, &v->promise, e);

	if (r == 0 && o->fail_on)
		r = promise_kinds_parse(o->fail_on, &v->promise.fail_on, e);
	if (r == 0 && o->allow)
		r = promise_kinds_parse(o->allow, &v->promise.allow, e);
	for (size_t i = 0; r == 0 && i < o->accept.n; i++) {
		if (lint_scenario_find(v->l->client, o->accept.item[i]))
			continue;
		r = err_set(e, ERR_USAGE, "--accept: there is no scenario '%s'", o->accept.item[i]);
		err_hint(
			e, "mqaudit lint --format json names them, in 'safe' and in 'predictions'");
	}
	return r;
}

/* The scheme of the broker that a destination names; NULL when there is none. */
static int read_scheme(const struct cmdline *cl, const char **ret, struct err *e)
{
	const struct broker_ops *ops;
	struct url url;
	int r = 0;

	*ret = NULL;
	if (cl->argc)
		r = url_parse(cl->argv[0], &url, e);
	if (r || !cl->argc)
		return r;
	/* one that is not built in says so when it is opened */
	ops = broker_find(url_scheme_text(url.scheme));
	*ret = ops ? ops->scheme : NULL;
	return 0;
}

static int read_settings(const struct cmdline *cl, struct lint *l, struct err *e)
{
	const struct lint_opts *o = cl->opts;
	struct lint_input in = {
		.client = o->client,
		.producer_config = o->destination.producer_config,
		.consumer_config = o->destination.consumer_config,
		.property = o->destination.property,
		.topic_config = o->topic_config,
		.broker_config = o->broker_config,
		.policy = o->policy,
		.no_policy = o->no_policy,
		.republishes = o->republishes,
		.replication = (int)o->replication,
		.allow_unknown = o->allow_unknown,
		.queue_argument = o->queue_argument,
	};
	int r;

	/* Kafka's own limit is that of a short */
	if (opt_given(cl, "replication") && (o->replication < 1 || o->replication > INT16_MAX))
		return err_set(e, ERR_USAGE, "--replication: %llu is not in 1 to %d",
			(unsigned long long)o->replication, INT16_MAX);
	r = read_scheme(cl, &in.scheme, e);
	return r ? r : lint_read(&in, l, e);
}

/*
 * To ask the cluster only what is for connecting is needed: everything else may be what the client library
 * here does not take.
 */
static int ask(const struct lint_opts *o, const char *url, struct lint *l, struct err *e)
{
	struct destination_opts connect = {
		.property = l->client == LINT_JAVA ? (struct opt_list){0} : o->destination.property,
		.producer_config = o->destination.producer_config ? o->destination.producer_config
								  : o->destination.consumer_config,
		.password_file = o->destination.password_file,
		.timeout_ns = o->destination.timeout_ns,
	};
	struct destination d;
	struct broker_config config;
	int r = destination_open(url, &connect, &d, NULL, e);

	if (r == 0) {
		/* the fence's client takes from the user what is for connecting, and nothing else; a
		 * queue's type may be among the properties, and all are ours */
		config = l->client == LINT_RABBITMQ_C ? d.config : destination_fence_config(&d);
		config.stop = stop_flag();
		d.config = config;
		r = lint_ask(l, &d, e);
	}
	destination_release(&d);
	return r;
}

static void print(const struct lint_opts *o, const struct lint_view *v)
{
	struct buf b;

	if (strcmp(o->format, "json") != 0) {
		for (size_t i = 0; i < props_count(v->l->notes); i++)
			log_warn("%s", props_value(v->l->notes, i));
		lint_text(v, log_colour_stdout(), stdout);
		return;
	}
	buf_init(&b, BUF_MAX_DEFAULT);
	lint_json(v, &b);
	fputs(buf_str(&b), stdout);
	buf_release(&b);
}

static int failed(int r, const struct err *e)
{
	if (r == ERR_STOPPED)
		return EXIT_INTERRUPTED;
	err_print(e);
	return r == ERR_USAGE || r == ERR_FORMAT ? EXIT_USAGE : EXIT_ERROR;
}

static int run_lint(struct cmdline *cl)
{
	const struct lint_opts *o = cl->opts;
	static struct lint_view v;
	struct lint l = {0};
	struct err e = {0};
	int r;

	if (o->defaults)
		return print_defaults(o->defaults);
	stop_install(NULL);
	v = (struct lint_view){
		.l = &l, .accepted = &o->accept, .topic = cl->argc ? cl->argv[0] : NULL};
	r = read_settings(cl, &l, &e);
	if (r == 0)
		r = read_judgement(o, &v, &e);
	if (r == 0 && cl->argc)
		r = ask(o, cl->argv[0], &l, &e);
	if (r == 0)
		r = lint_settle(&l, &e);
	if (r == 0) {
		lint_view_predict(&v);
		print(o, &v);
	}
	r = r ? failed(r, &e) : lint_view_unsafe(&v) ? EXIT_FINDINGS : EXIT_PASS;
	lint_release(&l);
	return r;
}

const struct command cmd_lint = {
	.name = "lint",
	.args = "[URL]",
	.summary = "say from settings what can be lost or repeated, before any fault",
	.description =
		"Reads the settings of producer, consumer, topic or queue, and brokers, from files and, "
		"with a URL, from the live cluster, fills in the defaults of the client library and of "
		"the broker, and says what can be lost or repeated at which stage, by which fault, and "
		"which scenario proves it. Nothing is sent, nothing is broken.\n\n"
		"Of RabbitMQ the queue's type, arguments and policies count, and what the application "
		"says when it publishes: confirms, mandatory, persistent, in the names that -X of "
		"mqaudit run takes. AMQP tells of a queue's arguments, and neither of policies nor of "
		"nodes: a lab's node is asked for these; otherwise --policy, --no-policy and "
		"--broker-config say, and what nobody said is named.\n\n"
		"Exit code 0: nothing that breaks the promise is predicted; 1: something is; 2: wrong "
		"use, a wrong name or value in a file; 3: the cluster did not answer. A URL needs the "
		"permission to DescribeConfigs of topic and cluster, or to configure the queue.",
	.examples =
		"# a file that an application uses, in librdkafka's or Java's names\n"
		"mqaudit lint --producer-config producer.properties\n"
		"# what if?\n"
		"mqaudit lint -X acks=1 --topic-config min.insync.replicas=2 --accept power-cut-all\n"
		"# topic and brokers as they are\n"
		"mqaudit lint kafka://broker1:9092/orders --producer-config producer.properties\n"
		"# a mirrored queue of RabbitMQ, and whether a quorum queue would be better\n"
		"mqaudit lint -X mandatory=true --policy ha-mode=all\n"
		"mqaudit lint -X mandatory=true --queue-argument x-queue-type=quorum\n"
		"# a queue as it is\n"
		"mqaudit lint amqp://auditor@rabbit1/%2F/orders -X mandatory=true --no-policy\n",
	.opts = opts,
	.opts_size = sizeof(struct lint_opts),
	.max_args = 1,
	.run = run_lint,
};
