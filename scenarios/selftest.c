#include "scenarios/selftest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "core/broker/plant.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/labfile.h"
#include "core/ledger/judged.h"
#include "core/ledger/run.h"
#include "core/ledger/server.h"
#include "core/paths.h"
#include "core/proc.h"
#include "core/rng.h"
#include "core/stop.h"
#include "core/words.h"

#define PROGRAM "/proc/self/exe"
#define CHILD_NS (300 * NS_PER_S)
#define MAX_ARGS 128
#define PRODUCERS "2"

/* One thing that must be found, or was. */
struct identity {
	enum finding_kind kind;
	enum stage stage;
	int64_t producer_id, epoch, partition;
	uint64_t seq;
};

struct list {
	struct identity *at;
	size_t n, cap;
};

/* What is found without the name of a message. */
struct counted {
	uint64_t strangers; /* records of others */
	uint64_t unnamed;   /* of ours, damaged beyond a name */
};

struct selftest {
	const struct selftest_opts *o;
	struct destination d;
	bool has_destination;
	bool makes;       /* the topic or queue was not there: it is made, and removed */
	bool is_made;     /* there is something to be removed */
	unsigned caps;    /* of the queue that is there now; 0: a topic, or none yet */
	const char *kind; /* of it; "": a topic */
	char there[16];   /* kind of the queue that was there before */
	const char *kinds[4];
	char url[URL_PRINT_LEN];
	char folder[PATHS_MAX];
	struct ledger *ledger;
	uint64_t seed;
};

/*
 * What each kind of fault must be found as. A stranger's record is counted, and no finding. A queue gives the
 * same attempt again by itself: that is no repeat.
 */
static const struct {
	bool is_finding;
	enum finding_kind kind;
	enum stage stage;
} finds[PLANT_N] = {
	[PLANT_DROP] = {true, FINDING_LOST, STAGE_BROKER},
	[PLANT_REPEAT] = {true, FINDING_DUPLICATED, STAGE_PRODUCE},
	[PLANT_ATTEMPT] = {true, FINDING_DUPLICATED, STAGE_PRODUCE},
	[PLANT_SWAP] = {true, FINDING_REORDERED, STAGE_PRODUCE},
	[PLANT_FLIP] = {true, FINDING_CORRUPTED, STAGE_BROKER},
	[PLANT_HEADER] = {true, FINDING_CORRUPTED, STAGE_BROKER},
	[PLANT_CUT] = {true, FINDING_CORRUPTED, STAGE_BROKER},
	[PLANT_FOREIGN] = {false, FINDING_N, STAGE_N},
	[PLANT_PHANTOM] = {true, FINDING_PHANTOM, STAGE_BROKER},
};

/* ---- a place of its own
 * ---------------------------------------------------------------------------- */

/* Set or (NULL) clear a variable for this process and its children. */
static int set_env(const char *name, const char *value, struct err *e)
{
	int r = value ? setenv(name, value, 1) : unsetenv(name);

	return r ? err_set_errno(e, ERR_NOMEM, errno, "cannot set %s", name) : 0;
}

/* A state folder with an empty ledger; the labs of the real one can be seen through a link. */
static int make_folder(struct selftest *s, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	char labs[PATHS_MAX], link[PATHS_MAX + 8];
	int r = paths_state("lab", labs, sizeof(labs), e);

	if (r)
		return r;
	snprintf(s->folder, sizeof(s->folder), "%s/mqaudit-selftest.XXXXXX",
		tmp && tmp[0] == '/' ? tmp : "/tmp");
	if (!mkdtemp(s->folder)) {
		r = err_set_errno(e, ERR_IO, errno, "cannot make folder '%s'", s->folder);
		s->folder[0] = '\0';
		return r;
	}
	/* the ledger's server may run as another user, who must be able to come in */
	if (chmod(s->folder, 0755) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot open folder '%s'", s->folder);
	snprintf(link, sizeof(link), "%s/lab", s->folder);
	if (symlink(labs, link) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot make link '%s'", link);
	r = set_env("MQAUDIT_STATE", s->folder, e);
	if (r == 0)
		r = set_env("MQAUDIT_LEDGER", NULL, e);
	return r;
}

/* A topic or queue that is there is used as it is, and stays. */
static int look(struct selftest *s, struct err *e)
{
	struct broker_topic topic = {0};
	int r = s->d.ops->topic(&s->d.config, &topic, e);

	if (r)
		return r;
	s->caps = topic.caps;
	snprintf(s->there, sizeof(s->there), "%s", topic.kind);
	broker_topic_free(&topic);
	return 0;
}

static void choose_kinds(struct selftest *s)
{
	static const char *const each[] = {"classic", "quorum", "stream"};
	size_t n = 0;

	if (!s->makes)
		s->kinds[n++] = s->there;
	else if (!(s->d.ops->caps & BROKER_CAP_QUEUE))
		s->kinds[n++] = "";
	else
		for (size_t i = 0; i < 3; i++)
			if (!s->o->queue || strcmp(s->o->queue, each[i]) == 0)
				s->kinds[n++] = each[i];
}

static int look_at_first(struct selftest *s, struct err *e)
{
	struct labfile *lab = NULL;
	int r = 0;

	/* a lab that is not there is not found either */
	if (s->d.url.lab[0])
		r = labfile_read(s->d.url.lab, labfile_kind_of_scheme(s->d.ops->scheme), &lab, e);
	labfile_free(lab);
	if (r)
		return r;
	r = look(s, e);
	s->makes = r == ERR_NOTFOUND;
	if (r && !s->makes)
		return r;
	choose_kinds(s);
	if (!s->o->queue)
		return 0;
	if (!(s->d.ops->caps & BROKER_CAP_QUEUE))
		return err_set(
			e, ERR_USAGE, "--create-queue: %s:// has no queues", s->d.ops->scheme);
	if (!s->makes)
		return err_set(e, ERR_EXISTS, "queue '%s' exists already", s->d.url.name);
	return 0;
}

/* In the lab that is there, Kafka's first. */
static const char *own_scheme(void)
{
	struct labfile *lab = NULL;
	const char *ret = "kafka";

	if (labfile_read(URL_LAB_DEFAULT, labfile_kind_of_scheme("kafka"), &lab, NULL) &&
		labfile_read(URL_LAB_DEFAULT, labfile_kind_of_scheme("amqp"), &lab, NULL) == 0)
		ret = "amqp";
	labfile_free(lab);
	return ret;
}

int selftest_open(
	const char *url, const struct selftest_opts *o, struct selftest **ret, struct err *e)
{
	struct selftest *s = calloc(1, sizeof(*s));
	char own[64];
	int r = 0;

	*ret = s;
	if (!s)
		return err_set(e, ERR_NOMEM, "out of memory");
	s->o = o;
	s->seed = o->seed ? o->seed : rng_system() >> 1;
	s->kind = "";
	if (o->faults == 0 || o->faults > 1000)
		r = err_set(e, ERR_USAGE, "--faults: 1 to 1000");
	snprintf(own, sizeof(own), "%s://lab/mqaudit-selftest-%08x", own_scheme(),
		(unsigned)rng_system());
	if (r == 0)
		r = destination_open(url ? url : own, &o->destination, &s->d, NULL, e);
	s->has_destination = r == 0;
	if (r == 0)
		snprintf(s->url, sizeof(s->url), "%s", url ? url : own);
	if (r == 0)
		r = look_at_first(s, e);
	if (r == 0)
		r = make_folder(s, e);
	if (r == 0)
		r = ledger_open(NULL, &s->ledger, e);
	return r;
}

const char *const *selftest_kinds(const struct selftest *s)
{
	return s->kinds;
}

/* A topic the probe makes. */
int selftest_begin(struct selftest *s, const char *kind, struct err *e)
{
	const char *const config[] = {"x-queue-type", kind, NULL};
	const struct broker_create how = {.partitions = 1, .replication = -1, .config = config};
	int r = 0;

	s->kind = kind;
	s->is_made = s->makes;
	if (s->makes && (s->d.ops->caps & BROKER_CAP_QUEUE)) {
		r = s->d.ops->create(&s->d.config, &how, e);
		s->is_made = r == 0;
		if (r == 0)
			r = look(s, e);
	}
	return r ? err_wrap(e, "make a %s queue", kind) : 0;
}

const char *selftest_destination(const struct selftest *s)
{
	return s->d.text;
}

void selftest_end(struct selftest *s, char *ret_left, size_t len)
{
	struct err ignored;

	ret_left[0] = '\0';
	if (s->is_made && (!s->d.ops->destroy || s->d.ops->destroy(&s->d.config, &ignored) != 0))
		snprintf(ret_left, len, "%s", s->d.text);
	s->is_made = false;
}

void selftest_close(struct selftest *s, char *ret_left, size_t len)
{
	struct err ignored;

	ret_left[0] = '\0';
	if (!s)
		return;
	/* first: the way to a lab leads through the folder */
	if (s->ledger)
		selftest_end(s, ret_left, len);
	ledger_close(s->ledger);
	if (s->folder[0]) {
		if (s->ledger)
			err_ignore(ledger_server_stop(NULL, &ignored));
		err_ignore(paths_remove_tree(s->folder, &ignored));
	}
	if (s->has_destination)
		destination_release(&s->d);
	free(s);
}

/* ---- lists of identities
 * --------------------------------------------------------------------------- */

static int add(struct list *l, const struct identity *i, struct err *e)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct identity *more = realloc(l->at, cap * sizeof(*more));

		if (!more)
			return err_set(e, ERR_NOMEM, "out of memory for %zu findings", cap);
		l->at = more;
		l->cap = cap;
	}
	l->at[l->n++] = *i;
	return 0;
}

static int compare_i64(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare(const void *x, const void *y)
{
	const struct identity *a = x, *b = y;
	int r = compare_i64(a->kind, b->kind);

	r = r ? r : compare_i64(a->stage, b->stage);
	r = r ? r : compare_i64(a->producer_id, b->producer_id);
	r = r ? r : compare_i64(a->epoch, b->epoch);
	r = r ? r : compare_i64(a->partition, b->partition);
	return r ? r : compare_i64((int64_t)a->seq, (int64_t)b->seq);
}

static void tell(struct selftest_round *ret, const char *what, const struct identity *i)
{
	if (ret->trouble[0])
		return;
	snprintf(ret->trouble, sizeof(ret->trouble), "%s: %s at %s, %lld.%lld.%lld.%llu", what,
		finding_text(i->kind), stage_text(i->stage), (long long)i->producer_id,
		(long long)i->epoch, (long long)i->partition, (unsigned long long)i->seq);
}

/* Walk both lists in order: what is in one only is not as it must be. */
static void compare_lists(struct list *want, struct list *got, struct selftest_round *ret)
{
	size_t a = 0, b = 0;

	if (want->n)
		qsort(want->at, want->n, sizeof(*want->at), compare);
	if (got->n)
		qsort(got->at, got->n, sizeof(*got->at), compare);
	while (a < want->n || b < got->n) {
		int c = a == want->n ? 1 : b == got->n ? -1 : compare(&want->at[a], &got->at[b]);

		if (c == 0) {
			ret->found++;
			a++;
			b++;
		} else if (c < 0) {
			tell(ret, "planted and not found", &want->at[a++]);
		} else {
			ret->wrong++;
			tell(ret, "found and not planted", &got->at[b++]);
		}
	}
}

/* ---- probe and check
 * --------------------------------------------------------------------------------- */

/* Arguments for a child: what both commands need, and the user's own for the broker. */
struct args {
	const char *v[MAX_ARGS];
	size_t n;
	char timeout[32];
};

static void arg(struct args *a, const char *text)
{
	if (a->n + 1 < MAX_ARGS)
		a->v[a->n++] = text;
}

static void arg_pair(struct args *a, const char *name, const char *value)
{
	if (!value)
		return;
	arg(a, name);
	arg(a, value);
}

static void begin_args(struct selftest *s, const char *command, const char *run, struct args *a)
{
	const struct destination_opts *d = &s->o->destination;

	memset(a, 0, sizeof(*a));
	snprintf(a->timeout, sizeof(a->timeout), "%lldms", (long long)(d->timeout_ns / NS_PER_MS));
	arg(a, PROGRAM);
	arg(a, command);
	arg(a, s->url);
	arg(a, "--quiet");
	arg_pair(a, "--run", run);
	arg_pair(a, "--timeout", a->timeout);
	arg_pair(a, "--producer-config", d->producer_config);
	arg_pair(a, "--consumer-config", d->consumer_config);
	arg_pair(a, "--fence-config", d->fence_config);
	arg_pair(a, "--password-file", d->password_file);
	for (size_t i = 0; i < d->property.n; i++)
		arg_pair(a, "-X", d->property.item[i]);
}

/* Run a child to its end. */
static int child(struct args *a, struct buf *out, int *ret_exit, struct err *e)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	int r;

	if (a->n + 1 >= MAX_ARGS)
		return err_set(e, ERR_LIMIT, "more than %d arguments", MAX_ARGS);
	spec.argv = a->v;
	spec.death_signal = SIGKILL;
	r = proc_run(&spec, NULL, true, CHILD_NS, out, ret_exit, e);
	if (stop_asked())
		return err_set(e, ERR_STOPPED, "stopped");
	return r ? err_wrap(e, "%s", a->v[1]) : 0;
}

/* The line that begins so, without its beginning and its end; *ret_len 0: there is none. */
static const char *line_with(const char *text, const char *begin, int *ret_len)
{
	const char *at = strstr(text, begin);

	*ret_len = 0;
	if (!at)
		return "";
	at += strlen(begin);
	*ret_len = (int)strcspn(at, "\n");
	return at;
}

/* A child has said what is wrong, as every command does; if not, its last words. */
static int child_failed(const struct args *a, const struct buf *out, int exit_code, struct err *e)
{
	const char *text = buf_str(out);
	size_t len = strlen(text);
	int n_error, n_hint;
	const char *error = line_with(text, "mqaudit: error: ", &n_error);
	const char *hint = line_with(text, "mqaudit: hint: ", &n_hint);

	if (!n_error)
		return err_set(e, ERR_DEFECT, "%s ended with exit code %d: %s", a->v[1], exit_code,
			len > 400 ? text + len - 400 : text);
	err_set(e, ERR_DEFECT, "%s: %.*s", a->v[1], n_error, error);
	return n_hint ? err_hint(e, "%.*s", n_hint, hint) : ERR_DEFECT;
}

static int take_planted(const struct selftest *s, const char *line, bool offsets, struct list *want,
	struct counted *ret, struct err *e)
{
	json_t *root = json_loads(line, 0, NULL);
	const char *kind = json_string_value(json_object_get(root, "kind"));
	struct identity i = {
		.producer_id = json_integer_value(json_object_get(root, "producer_id")),
		.epoch = json_integer_value(json_object_get(root, "epoch")),
		.partition = json_integer_value(json_object_get(root, "partition")),
		.seq = (uint64_t)json_integer_value(json_object_get(root, "seq")),
	};
	bool unreadable = json_is_true(json_object_get(root, "unreadable"));
	int r = ERR_DEFECT;

	for (int k = 0; kind && k < PLANT_N; k++) {
		if (strcmp(kind, plant_text((enum plant_kind)k)) != 0)
			continue;
		r = 0;
		i.kind = finds[k].kind;
		i.stage = finds[k].stage;
		if (k == PLANT_REPEAT && (s->caps & BROKER_CAP_QUEUE)) {
			i.kind = FINDING_REDELIVERED;
			i.stage = STAGE_CONSUME;
		}
		/* nobody knows whose it is where an ack does not say at which position */
		if (unreadable && !offsets) {
			i.kind = FINDING_LOST;
			ret->unnamed++;
		}
		if (finds[k].is_finding)
			r = add(want, &i, e);
		else
			ret->strangers++;
	}
	if (r == ERR_DEFECT)
		err_set(e, r, "the probe planted something unknown: %s", line);
	json_decref(root);
	return r;
}

static int read_planted(const struct selftest *s, const struct buf *out, bool offsets,
	struct list *want, struct counted *ret, struct err *e)
{
	char *text = strdup(buf_str(out)), *place = NULL;
	int r = text ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	for (char *line = r ? NULL : strtok_r(text, "\n", &place); r == 0 && line;
		line = strtok_r(NULL, "\n", &place)) {
		if (strncmp(line, "not planted ", 12) == 0)
			r = err_set(e, ERR_DEFECT, "a fault could not be planted: %s", line + 12);
		else if (strncmp(line, "planted ", 8) == 0)
			r = take_planted(s, line + 8, offsets, want, ret, e);
	}
	free(text);
	return r;
}

/* Did the acks of a run say where the messages are? */
static int acks_had_offsets(struct selftest *s, const char *run, bool *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	struct run found;
	int r = run_find(s->ledger, run, &found, e);

	if (r)
		return r;
	pg_arg_i64(&args, found.id);
	r = pg_query(ledger_pg(s->ledger),
		"select count(*) from mqaudit.outcome where run_id = $1 and first_offset >= 0",
		&args, PG_TIMEOUT, &rows, e);
	*ret = r == 0 && pg_rows_i64(rows, 0, 0) > 0;
	pg_rows_free(rows);
	return r;
}

static int do_probe(struct selftest *s, const char *run, const char *spec, struct list *want,
	struct counted *ret, struct err *e)
{
	char count[24], plant[360];
	bool offsets = false;
	struct buf out;
	struct args a;
	int r, exit_code = 0;

	snprintf(count, sizeof(count), "%llu", (unsigned long long)s->o->messages);
	snprintf(plant, sizeof(plant), "%s;seed=%llu", spec, (unsigned long long)s->seed);
	begin_args(s, "probe", run, &a);
	arg_pair(&a, "--count", count);
	arg_pair(&a, "--producers", PRODUCERS);
	arg_pair(&a, "--size", "200");
	if (s->makes && !(s->d.ops->caps & BROKER_CAP_QUEUE))
		arg_pair(&a, "--create-topic", "3");
	if (spec[0])
		arg_pair(&a, "--plant", plant);
	buf_init(&out, (size_t)64 << 20);
	r = child(&a, &out, &exit_code, e);
	if (r == 0 && exit_code != 0)
		r = child_failed(&a, &out, exit_code, e);
	if (r == 0)
		r = acks_had_offsets(s, run, &offsets, e);
	if (r == 0)
		r = read_planted(s, &out, offsets, want, ret, e);
	buf_release(&out);
	return r;
}

struct found {
	struct list *list;
	struct counted counted;
};

static int take_finding(const struct judged_finding *f, void *found, struct err *e)
{
	struct found *to = found;
	struct identity i = {f->kind, f->stage, f->producer_id, f->epoch, f->partition, f->lo};
	int r = 0;

	if (f->kind == FINDING_CORRUPTED && f->producer_id == 0) {
		to->counted.unnamed += f->count;
		return 0;
	}
	/* one for each message; for repeats one for each copy, where a range says how many in all
	 */
	for (uint64_t left = f->count; r == 0 && left > 0; left--) {
		r = add(to->list, &i, e);
		if (i.seq < f->hi)
			i.seq++;
	}
	return r;
}

static int last_judgement(struct selftest *s, int64_t run_id, uint32_t *ret, struct err *e)
{
	struct pg_args args = PG_ARGS_INIT;
	struct pg_rows *rows = NULL;
	int r;

	pg_arg_i64(&args, run_id);
	r = pg_query(ledger_pg(s->ledger),
		"select coalesce(max(judgement), 0) from mqaudit.judgement "
		"where run_id = $1 and ended is not null",
		&args, PG_TIMEOUT, &rows, e);
	if (r == 0)
		*ret = (uint32_t)pg_rows_i64(rows, 0, 0);
	pg_rows_free(rows);
	if (r == 0 && *ret == 0)
		r = err_set(e, ERR_DEFECT, "the check left no judgement");
	return r;
}

static int do_check(struct selftest *s, const char *run, struct list *got, struct counted *ret,
	int *ret_exit, struct err *e)
{
	struct found to = {.list = got};
	struct judged_sums sums;
	struct run found;
	struct buf out;
	struct args a;
	uint32_t judgement = 0;
	int r;

	begin_args(s, "check", run, &a);
	/* a policy would take what was not planted: then the round says so */
	if (s->caps & BROKER_CAP_QUEUE)
		arg(&a, "--no-policy");
	buf_init(&out, (size_t)64 << 20);
	r = child(&a, &out, ret_exit, e);
	if (r == 0 && *ret_exit != EXIT_PASS && *ret_exit != EXIT_FINDINGS)
		r = child_failed(&a, &out, *ret_exit, e);
	buf_release(&out);
	if (r == 0)
		r = run_find(s->ledger, run, &found, e);
	if (r == 0)
		r = last_judgement(s, found.id, &judgement, e);
	if (r == 0)
		r = judged_findings(s->ledger, found.id, judgement, take_finding, &to, e);
	if (r == 0)
		r = judged_sums(s->ledger, found.id, judgement, &sums, e);
	*ret = to.counted;
	if (r == 0)
		ret->strangers = sums.foreign;
	return r;
}

/* ---- rounds
 * ------------------------------------------------------------------------------------------ */

/* Round 0 is clean, then one a kind, then all kinds together. */
static void describe(
	struct selftest *s, size_t i, char *spec, size_t len, struct selftest_round *ret)
{
	size_t at = 0;

	spec[0] = '\0';
	if (i == 0) {
		ret->name = "clean";
		ret->what = "nothing was done to them";
	} else if (i <= PLANT_N) {
		ret->name = plant_text((enum plant_kind)(i - 1));
		ret->what = plant_meaning((enum plant_kind)(i - 1));
		snprintf(spec, len, "%s=%llu", ret->name, (unsigned long long)s->o->faults);
	} else {
		ret->name = "all";
		ret->what = "all of these in one run";
		for (int k = 0; k < PLANT_N && at < len; k++)
			at += (size_t)snprintf(spec + at, len - at, "%s%s=%llu", k ? "," : "",
				plant_text((enum plant_kind)k), (unsigned long long)s->o->faults);
	}
}

/* The same number of what has no name. */
static void compare_counts(
	const char *what, uint64_t want, uint64_t got, struct selftest_round *ret)
{
	ret->wrong += got > want ? got - want : 0;
	if (got != want && !ret->trouble[0])
		snprintf(ret->trouble, sizeof(ret->trouble), "%llu %s instead of %llu",
			(unsigned long long)got, what, (unsigned long long)want);
}

/* Does anything in the list break what is promised by default? */
static bool breaks(const struct list *want)
{
	struct promise promise;

	BUG_ON(promise_parse("exactly-once,ordered", &promise, NULL));
	for (size_t i = 0; i < want->n; i++)
		if (promise_broken_by(&promise, want->at[i].kind))
			return true;
	return false;
}

static void judge(struct list *want, struct list *got, const struct counted *planted,
	const struct counted *found, int exit_code, struct selftest_round *ret)
{
	int expected = breaks(want) ? EXIT_FINDINGS : EXIT_PASS;

	ret->planted = want->n + planted->strangers;
	compare_lists(want, got, ret);
	ret->found += found->strangers < planted->strangers ? found->strangers : planted->strangers;
	compare_counts("strangers' records counted", planted->strangers, found->strangers, ret);
	compare_counts(
		"records that are damaged beyond a name", planted->unnamed, found->unnamed, ret);
	if (exit_code != expected && !ret->trouble[0])
		snprintf(ret->trouble, sizeof(ret->trouble), "the verdict is %s",
			exit_code == EXIT_PASS ? "PASS" : "FAIL");
	ret->ok = ret->found == ret->planted && ret->wrong == 0 && !ret->trouble[0];
}

_Static_assert(SELFTEST_ROUNDS == PLANT_N + 2, "a clean round, one a kind, and one of all");

int selftest_round(struct selftest *s, size_t i, struct selftest_round *ret, struct err *e)
{
	/* what nobody has planted: a finder that is told to expect it must fail */
	static const struct identity never = {FINDING_LOST, STAGE_BROKER, 1, 1, 0, 1};
	struct list want = {0}, got = {0};
	struct counted planted = {0}, found = {0};
	int exit_code = EXIT_ERROR, r;
	char run[64], spec[300];

	memset(ret, 0, sizeof(*ret));
	describe(s, i, spec, sizeof(spec), ret);
	snprintf(run, sizeof(run), "selftest-%s%s%s", s->kind, *s->kind ? "-" : "", ret->name);
	s->seed++;
	r = do_probe(s, run, spec, &want, &planted, e);
	if (r == 0)
		r = do_check(s, run, &got, &found, &exit_code, e);
	if (r == 0 && s->o->expect_one_more)
		r = add(&want, &never, e);
	if (r == 0)
		judge(&want, &got, &planted, &found, exit_code, ret);
	free(want.at);
	free(got.at);
	return r ? err_wrap(e, "round '%s'", ret->name) : 0;
}
