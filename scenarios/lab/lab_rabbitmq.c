#include "scenarios/lab/lab_rabbitmq.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/clock.h"
#include "scenarios/lab/lab_disk.h"
#include "scenarios/lab/rabbitmq_ask.h"
#include "scenarios/lab/rabbitmq_node.h"
#include "scenarios/lab/rabbitmq_secure.h"

#define CLIENT_PORT 5672
#define LEADER_POLL_NS (100 * NS_PER_MS)
#define QUEUE_MAX 255 /* bytes: a short string of AMQP */

/* --- asking */

/* Is a node among "rabbit@A rabbit@B"? */
static bool names_node(const char *list, size_t len, const struct labfile_node *node)
{
	char name[160];
	size_t n = (size_t)snprintf(name, sizeof(name), "rabbit@%s", node->address);

	for (const char *p = list; p < list + len; p += strcspn(p, " ") + 1)
		if ((size_t)(list + len - p) >= n && strncmp(p, name, n) == 0 &&
			(p + n == list + len || p[n] == ' '))
			return true;
	return false;
}

/*
 * "up|running ones|partitioned ones|ignore|", of a node whose database and applications are up; "resolve" in
 * place of "ignore" where it will end a partition by itself.
 */
static const char view_of[] =
	"case rabbit:is_running() of"
	" false -> \"starting\";"
	" true ->"
	" L = fun(Nodes) -> string:join([atom_to_list(N) || N <- Nodes], \" \") end,"
	" \"up|\" ++ L(rabbit_mnesia:cluster_nodes(running)) ++"
	" \"|\" ++ L(rabbit_node_monitor:partitions()) ++"
	" case application:get_env(rabbit, cluster_partition_handling) of"
	"  {ok, ignore} -> \"|ignore|\"; _ -> \"|resolve|\" end"
	" end.\n";

struct view {
	const char *running, *split; /* lists, up to the next '|' */
	bool ignores;
};

static bool read_view(const char *said, struct view *ret)
{
	const char *bar[3];

	for (int i = 0; i < 3; i++) {
		bar[i] = strchr(i ? bar[i - 1] + 1 : said, '|');
		if (!bar[i])
			return false;
	}
	*ret = (struct view){bar[0] + 1, bar[1] + 1, strncmp(bar[2], "|ignore|", 8) == 0};
	return true;
}

static bool is_in(const char *list, const struct labfile_node *node)
{
	return names_node(list, strcspn(list, "|"), node);
}

/* Where partitions are ignored one that is there is final; else the node still works on it. */
static bool is_settled(const struct labfile *file, const struct labfile_node *node,
	const struct view *view, struct err *ret_why)
{
	for (size_t i = 0; i < file->n_nodes; i++) {
		const struct labfile_node *other = &file->node[i];
		bool split = is_in(view->split, other);

		if (split && !view->ignores)
			err_set(ret_why, ERR_BROKER_AWAY, "%s holds %s to be partitioned off",
				node->name, other->name);
		else if (lab_is_expected(other) && !split && !is_in(view->running, other))
			err_set(ret_why, ERR_BROKER_AWAY, "%s does not see %s", node->name,
				other == node ? "itself" : other->name);
		else
			continue;
		return false;
	}
	return true;
}

/* Is the node in the cluster, by its own word? */
static bool is_joined(const struct labfile *file, struct labfile_node *node, int64_t timeout_ns,
	struct err *ret_why)
{
	char said[2048];
	struct view view;

	if (rabbitmq_eval(file, node, view_of, timeout_ns, said, sizeof(said), ret_why))
		return false;
	if (!read_view(said, &view)) {
		err_set(ret_why, ERR_BROKER_AWAY, "%s is starting", node->name);
		return false;
	}
	node->partitioned = view.split[0] != '|';
	return is_settled(file, node, &view, ret_why);
}

static void ask(struct labfile *file, int64_t timeout_ns, struct err *ret_why)
{
	bool expected[LABFILE_MAX_NODES] = {false}, greets[LABFILE_MAX_NODES] = {false};
	struct err why = {0};

	for (size_t i = 0; i < file->n_nodes; i++) {
		expected[i] = lab_is_expected(&file->node[i]);
		file->node[i].answer = expected[i] ? LABFILE_SILENT : LABFILE_NOT_ASKED;
		file->node[i].partitioned = false;
	}
	err_ignore(rabbitmq_greet(file, expected, timeout_ns, greets, &why)); /* then nobody did */
	for (size_t i = 0; i < file->n_nodes; i++) {
		if (expected[i] && !greets[i])
			err_set(&why, ERR_BROKER_AWAY, "%s does not speak AMQP",
				file->node[i].name);
		else if (expected[i] && is_joined(file, &file->node[i], timeout_ns, &why))
			file->node[i].answer = LABFILE_ANSWERS;
	}
	if (ret_why)
		*ret_why = why;
}

/* --- who leads a queue */

/*
 * What one node says: "LEADER|UP UP|", or "none" (no such queue), "down" (it is there, and has no leader
 * that this node sees). A classic queue is led by the node of its process; its UP are the mirrors in sync.
 * Of a quorum queue the node's own Raft member knows best; of a stream the coordinator. Their UP are the
 * members whose nodes this one sees. As of 3.10.8.
 */
static const char leader_head[] = "Name = rabbit_misc:r(<<\"/\">>, queue, <<";
static const char leader_tail[] =
	">>),"
	" Seen = [node() | nodes()],"
	" Say = fun(Leader, Up) ->"
	"  case lists:member(Leader, Seen) of"
	"   false -> \"down\";"
	"   true -> string:join([atom_to_list(Leader) ++ \"|\" ++"
	"    string:join([atom_to_list(N) || N <- Up, lists:member(N, Seen)], \" \") ++ \"|\"], \"\")"
	"  end end,"
	" case rabbit_amqqueue:lookup(Name) of"
	"  {error, not_found} ->"
	"   case mnesia:dirty_read(rabbit_durable_queue, Name) of [] -> \"none\"; _ -> \"down\" end;"
	"  {ok, Q} ->"
	"   case amqqueue:get_type(Q) of"
	"    rabbit_classic_queue ->"
	"     Node = node(amqqueue:get_pid(Q)),"
	"     Mirrors = amqqueue:get_sync_slave_pids(Q),"
	"     Say(Node, [Node | [node(P) || P <- Mirrors, is_pid(P)]]);"
	"    rabbit_quorum_queue ->"
	"     {RaName, Recorded} = amqqueue:get_pid(Q),"
	"     Led = case ra_leaderboard:lookup_leader(RaName) of"
	"      {_, L} -> L; _ -> Recorded end,"
	"     Say(Led, maps:get(nodes, amqqueue:get_type_state(Q)));"
	"    rabbit_stream_queue ->"
	"     Say(node(amqqueue:get_pid(Q)), maps:get(nodes, amqqueue:get_type_state(Q)))"
	"   end"
	" end.\n";

/* The name as a list of bytes: nothing in it can be taken for Erlang. */
static int write_question(const char *queue, struct buf *b, struct err *e)
{
	size_t len = strlen(queue);

	if (len > QUEUE_MAX)
		return err_set(e, ERR_USAGE, "a queue's name has at most %d bytes", QUEUE_MAX);
	buf_str_add(b, leader_head);
	for (size_t i = 0; i < len; i++)
		buf_printf(b, "%s%u", i ? "," : "", (unsigned)(unsigned char)queue[i]);
	buf_str_add(b, leader_tail);
	return buf_failed(b) ? err_set(e, b->failed, "%s", err_code_text(b->failed)) : 0;
}

struct votes {
	char said[LABFILE_MAX_NODES][1024]; /* "" when the node did not answer */
};

static void ask_all(
	const struct labfile *file, const char *question, int64_t timeout_ns, struct votes *ret)
{
	for (size_t i = 0; i < file->n_nodes; i++) {
		ret->said[i][0] = '\0';
		if (lab_is_expected(&file->node[i]))
			err_ignore(rabbitmq_eval(file, &file->node[i], question, timeout_ns,
				ret->said[i], sizeof(ret->said[i]), NULL));
	}
}

/* How many say the same as the i-th, up to the first '|'. */
static size_t count_votes(const struct labfile *file, const struct votes *votes, size_t i)
{
	size_t n = strcspn(votes->said[i], "|"), sum = 0;

	for (size_t k = 0; k < file->n_nodes; k++)
		sum += strcspn(votes->said[k], "|") == n &&
		       memcmp(votes->said[k], votes->said[i], n) == 0;
	return sum;
}

/* What more than half of all nodes (also those that are down) say; NULL: nothing. */
static const char *majority(const struct labfile *file, const struct votes *votes)
{
	for (size_t i = 0; i < file->n_nodes; i++)
		if (votes->said[i][0] && 2 * count_votes(file, votes, i) > file->n_nodes)
			return votes->said[i];
	return NULL;
}

static void read_leader(const struct labfile *file, const char *said, struct lab_leader *ret)
{
	const char *bar = strchr(said, '|');

	ret->node = NULL;
	ret->n_in_sync = 0;
	for (size_t i = 0; bar && i < file->n_nodes; i++) {
		if (names_node(said, (size_t)(bar - said), &file->node[i]))
			ret->node = &file->node[i];
		if (names_node(bar + 1, strcspn(bar + 1, "|"), &file->node[i]))
			ret->in_sync[ret->n_in_sync++] = &file->node[i];
	}
}

static int leader(struct labfile *file, const char *queue, int partition, int64_t timeout_ns,
	struct lab_leader *ret, struct err *e)
{
	int64_t deadline = clock_ns() + timeout_ns;
	struct buf question;
	struct votes votes;
	const char *said;
	int r;

	if (partition != 0)
		return err_set(e, ERR_USAGE, "a queue has no partitions");
	buf_init(&question, 1 << 16);
	r = write_question(queue, &question, e);
	while (r == 0) {
		ask_all(file, buf_str(&question), 2 * NS_PER_S, &votes);
		said = majority(file, &votes);
		if (said)
			read_leader(file, said, ret);
		if (said && ret->node)
			break;
		if (said && strcmp(said, "none") == 0)
			r = err_set(e, ERR_NOTFOUND, "there is no queue '%s'", queue);
		else if (clock_ns() >= deadline)
			r = err_set(e, ERR_TIMEOUT,
				"no majority of the %zu nodes agrees on a leader of '%s'",
				file->n_nodes, queue);
		else
			clock_sleep_ns(LEADER_POLL_NS);
	}
	buf_release(&question);
	return r;
}

/* --- what a node has stored */

/* Blocks, not sizes: Raft's log is made in its whole length before anything is in it. */
static int64_t stored_bytes(const struct labfile_node *node)
{
	char path[PATHS_MAX + 32], *roots[] = {path, NULL};
	int64_t sum = 0;
	FTSENT *entry;
	FTS *tree;

	lab_disk_path(node, "data", path, sizeof(path));
	tree = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
	while (tree && (entry = fts_read(tree)))
		if (entry->fts_info == FTS_F)
			sum += (int64_t)entry->fts_statp->st_blocks * 512;
	if (tree)
		(void)fts_close(tree);
	return sum;
}

/* Erlang's words. What comes of it as of 3.10: a node whose classic queues or own tables cannot be written
 * shuts down, and one with quorum queues alone may run on while its Raft log crashes again and again. */
static const char *disk_error(int errnum)
{
	switch (errnum) {
	case ENOSPC:
		return "enospc";
	case EROFS:
		return "erofs";
	default:
		return "eio";
	}
}

static int finish(struct lab *lab, struct err *e)
{
	return lab->file->secure ? rabbitmq_secure_grant(lab, e) : 0;
}

const struct lab_kind lab_rabbitmq = {
	.name = "rabbitmq",
	.client_port = CLIENT_PORT,
	/* an ack is 21 bytes behind 52 of IP and TCP; a heartbeat, of 8, may pass */
	.bare_packet = 60,
	.first_alone = true,
	.programs = rabbitmq_programs,
	.configure = rabbitmq_configure,
	.start = rabbitmq_start,
	.ask = ask,
	.finish = finish,
	.leader = leader,
	.environment = rabbitmq_environment,
	.stored_bytes = stored_bytes,
	.stored_words = "its data",
	.disk_error = disk_error,
};
