#include "probe/cmd_probe.h"

#include "core/log.h"
#include "core/words.h"
#include "probe/probe.h"

#define AT(member) .offset = offsetof(struct probe_opts, member)

static const struct opt opts[] = {
	{.name = "count",
		.letter = 'n',
		.type = OPT_COUNT,
		.arg = "N",
		AT(count),
		.group = "What to send",
		.help = "Messages to send, over all lanes together; without it, until Ctrl-C."},
	{.name = "rate",
		.letter = 'r',
		.type = OPT_COUNT,
		.arg = "N",
		AT(rate),
		.help = "Messages per second over all lanes, sent when they are due whatever the broker does "
			"(open loop); without it, as fast as it can."},
	{.name = "duration",
		.letter = 'd',
		.type = OPT_DURATION,
		.arg = "TIME",
		AT(duration_ns),
		.help = "Stop sending after this time."},
	{.name = "size",
		.letter = 's',
		.type = OPT_SIZE,
		.arg = "BYTES",
		.dflt = "100",
		AT(size),
		.help = "Bytes of a message, 64 at least: the envelope."},
	{.name = "partitions",
		.letter = 'p',
		.type = OPT_STRING,
		.arg = "LIST",
		AT(partitions),
		.help = "Partitions to send to, such as 0,2,4-7; without it, all."},
	{.name = "producers",
		.type = OPT_COUNT,
		.arg = "N",
		.dflt = "1",
		AT(producers),
		.help = "How many producer ids work at once, each with a client of its own."},
	{.name = "producer-id",
		.type = OPT_COUNT,
		.arg = "FIRST",
		.dflt = "1",
		AT(producer_id),
		.help = "The first producer id."},
	{.name = "keys",
		.type = OPT_STRING,
		.arg = "none|seq|N",
		.dflt = "none",
		AT(keys),
		.help = "Message keys: none, one a message, or N different ones a producer."},
	{.name = "run",
		.type = OPT_STRING,
		.arg = "NAME",
		AT(run),
		.group = "The run",
		.help = "Join the open run of this name, or make it; without it a name is made of the topic."},
	{.name = "promise",
		.type = OPT_STRING,
		.arg = "PROMISE",
		.dflt = "exactly-once,ordered",
		AT(promise),
		.help = "What the configuration is to keep: at-most-once, at-least-once or exactly-once, each "
			"with or without ',ordered'."},
	{.name = "fail-on",
		.type = OPT_STRING,
		.arg = "KIND,...",
		AT(fail_on),
		.help = "Kinds of findings that break the promise too."},
	{.name = "allow",
		.type = OPT_STRING,
		.arg = "KIND,...",
		AT(allow),
		.help = "Kinds of findings that do not break it."},
	{.name = "check",
		.type = OPT_STRING,
		.arg = "URL",
		AT(check),
		.help = "Where the messages will be read, when something relays them to another place."},
	{.name = "resume",
		.type = OPT_FLAG,
		AT(resume),
		.help = "Count what earlier starts of these producers sent: send only what is left of --count."},
	{.name = "create-topic",
		.type = OPT_STRING,
		.arg = "PARTITIONS[:REPLICATION]",
		AT(create_topic),
		.group = "The topic or queue",
		.help = "Make the topic when it is not there."},
	{.name = "topic-config",
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		AT(topic_config),
		.help = "A setting of the topic that is made, such as min.insync.replicas=2. Repeatable."},
	{.name = "replica-assignment",
		.type = OPT_STRING,
		.arg = "1:2:3,...",
		AT(replica_assignment),
		.help = "On which nodes each partition of the new topic lives, its first leader first."},
	{.name = "create-queue",
		.type = OPT_CHOICE,
		.arg = "TYPE",
		.choices = "classic|quorum|stream",
		AT(create_queue),
		.help = "Make the queue, durable and of this type, when it is not there."},
	{.name = "queue-argument",
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		AT(queue_argument),
		.help = "An argument of the queue that is made, such as x-max-length=1000, or durable=false. "
			"Repeatable."},
	{.name = "exchange",
		.type = OPT_STRING,
		.arg = "NAME",
		AT(exchange),
		.help = "RabbitMQ: publish to this exchange; without it to the default one."},
	{.name = "routing-key",
		.type = OPT_STRING,
		.arg = "KEY",
		AT(routing_key),
		.help = "RabbitMQ: what messages are routed by; without it the queue's name."},
	{.name = "mandatory",
		.type = OPT_FLAG,
		AT(mandatory),
		.help = "RabbitMQ: what can be routed to no queue comes back, and is refused."},
	{.name = "routed-stream",
		.type = OPT_FLAG,
		AT(routed_stream),
		.help = "RabbitMQ, with --exchange: make a stream QUEUE" PROBE_STREAM_SUFFIX
			" that is bound as the queue is, and read it as proof of what was routed: then it "
			"is told what the queue lost, and what never got there. Confirms wait for it, and "
			"mandatory finds it; it stays, to be deleted by you."},
	{.name = "shared",
		.type = OPT_FLAG,
		AT(shared),
		.help = "The topic is used by others too: send there all the same, and write no fence."},
	{.name = "on-queue-full",
		.type = OPT_CHOICE,
		.arg = "wait|drop",
		.choices = "wait|drop",
		.dflt = "wait",
		AT(on_queue_full),
		.group = "What the application does (all recorded)",
		.help = "When the client's queue is full: wait, or drop the message as some applications do."},
	{.name = "exit-without-flush",
		.type = OPT_FLAG,
		AT(exit_without_flush),
		.help = "End right after the last message was handed over, as some applications do."},
	{.name = "republish-unknown",
		.type = OPT_FLAG,
		AT(republish_unknown),
		.help = "Publish again what the client or the broker could not say of (RabbitMQ: not confirmed when the "
			"connection ended, or nacked), as a further attempt of the same message, 15 times at most."},
	{.name = "transaction",
		.type = OPT_STRING,
		.arg = "N[:abort-every=K]",
		AT(transaction),
		.help = "Send in transactions of N messages; every K-th is aborted."},
	{.name = "crash-at",
		.type = OPT_STRING,
		.arg = "POINT[:N]",
		AT(crash_at),
		.help = "Die by SIGKILL at the N-th message's intent, send or ack."},
	{.name = "fsync",
		.type = OPT_FLAG,
		AT(fsync),
		.help = "Force the journal to the disk before each send: it survives a power cut then."},
	{.name = "flush-timeout",
		.type = OPT_DURATION,
		.arg = "TIME",
		.dflt = "30s",
		AT(flush_timeout_ns),
		.help = "How long Ctrl-C waits for outcomes before the client gives up on them."},
	{.name = "seed",
		.type = OPT_COUNT,
		.arg = "N",
		AT(seed),
		.help = "Seed of the padding's random bytes."},
	DESTINATION_OPTS(struct probe_opts, destination),
	{.name = "ledger",
		.type = OPT_STRING,
		.arg = "URL",
		AT(ledger),
		.group = "Ledger",
		.help = "PostgreSQL of the ledger (postgresql://...); without it the embedded one."},
	{.name = "status-fd",
		.type = OPT_COUNT,
		.arg = "FD",
		AT(status_fd),
		.hidden = true,
		.help = "Where status lines go."},
	{.name = "plant",
		.type = OPT_STRING,
		.arg = "KIND=COUNT,...[;seed=N]",
		AT(plant),
		.hidden = true,
		.help = "Faults to be planted into what is sent: for the selftest."},
	{.name = NULL},
};

static int run_probe(struct cmdline *cl)
{
	struct probe_opts *o = cl->opts;
	struct err e = {0};

	if (o->status_fd)
		log_divert((int)o->status_fd);
	if (!opt_given(cl, "count"))
		o->count = UINT64_MAX;
	if (probe_run(cl, o, cl->argv[0], &e) == 0)
		return EXIT_PASS;
	if (e.code == ERR_STOPPED) {
		log_note("stopped before anything was sent");
		return EXIT_UNDECIDED;
	}
	err_print(&e);
	return e.code == ERR_USAGE ? EXIT_USAGE : EXIT_ERROR;
}

const struct command cmd_probe = {
	.name = "probe",
	.args = "URL",
	.summary =
		"send messages with consecutive sequence numbers, and record what becomes of each",
	.description =
		"Publishes messages that carry a consecutive sequence number per producer id and partition. "
		"Every intent is on record before the message is handed to the client library, and every "
		"outcome as it arrives: acked, unconfirmed, refused or unknown. The client's own settings are "
		"left as they are: what is measured is the promise of the configuration.\n\n"
		"URL is kafka://host:port[,host:port...]/topic, or amqp://user@host:port[,...]/vhost/queue (amqps for TLS; "
		"the vhost '/' is written %2F); kafka://lab/topic and amqp://lab/queue mean the running lab.",
	.examples =
		"  # ten thousand messages at a thousand per second, with acks=1\n"
		"  mqaudit probe kafka://localhost:9092/audit --create-topic 3 -n 10k -r 1k -X acks=1\n"
		"  # a quorum queue; what cannot be routed comes back\n"
		"  mqaudit probe amqp://guest@localhost/%2F/audit --create-queue quorum -n 10k --mandatory\n",
	.opts = opts,
	.opts_size = sizeof(struct probe_opts),
	.min_args = 1,
	.max_args = 1,
	.run = run_probe,
};
