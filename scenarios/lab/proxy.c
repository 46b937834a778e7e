#include "scenarios/lab/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "scenarios/lab/kafka_frames.h"

#define BUFFER 65536
#define MAX_CONNS 256
#define MAX_CHUNKS 64
#define ANSWER_NS (20 * NS_PER_S) /* how long a cut waits for the answer that it takes away */
#define DRAIN_NS (8 * NS_PER_S)   /* acks=0 asks for answers that never come */
#define STATUS_NS (100 * NS_PER_MS)
#define WANTED_NS NS_PER_S
#define BURST_NS (50 * NS_PER_MS) /* throttled, at most what so long allows goes at once */

/* What was read at one time, to be passed on at another. */
struct chunk {
	uint64_t begin; /* offset in the stream */
	int64_t due_ns;
};

/*
 * One way of a connection. data[start..end) has been read and not passed on; up to `scanned` its
 * frames are known, up to `released` it may go.
 */
struct flow {
	uint8_t data[BUFFER];
	size_t start, released, scanned, end;
	uint64_t sent; /* offset in the stream of data[start] */
	struct kafka_frames frames;
	bool eof;     /* nothing more comes */
	bool ended;   /* and that was passed on */
	bool stopped; /* nothing more is passed on, for good */
	bool blocked; /* no more frames are looked at, until block_until_ns (0: for good) */
	int64_t block_until_ns;
	bool delayed;
	struct chunk chunk[MAX_CHUNKS];
	size_t n_chunks;
	bool throttled;
	double tokens; /* bytes that may go now */
	int64_t tokens_at_ns;
};

struct conn {
	int fd[PROXY_WAYS]; /* the client, the node; -1: broken */
	bool connecting;
	struct flow *flow[PROXY_WAYS]; /* by where it comes from */
	uint64_t counted;              /* bytes of the ways that count */
	bool fired;                    /* it bites, or will not any more */
	bool awaiting;                 /* the request got through, its answer has not come */
	struct kafka_frame awaited;
	int64_t await_until_ns;
	bool cut_when_flushed;
	bool over;
	uint64_t whole[PROXY_WAYS]; /* frames that have passed */
};

struct proxy {
	const struct proxy_config *config;
	struct proxy_status status;
	int listener;
	struct conn *conn[MAX_CONNS];
	size_t n;
	bool claimed;        /* `once` has found where it bites */
	uint64_t n_requests; /* of the kind that is meant */
	bool dirty;
	int64_t status_at_ns;
	int64_t drain_until_ns; /* 0: it is not drained */
	int64_t now;
};

/* --- connections */

static void close_side(struct conn *c, int side, bool reset)
{
	const struct linger hard = {.l_onoff = 1, .l_linger = 0};

	if (c->fd[side] < 0)
		return;
	if (reset)
		(void)setsockopt(c->fd[side], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(c->fd[side]);
	c->fd[side] = -1;
}

/* End it: the client sees a reset when it is cut, else what is left to see. */
static void finish(struct conn *c, bool reset)
{
	close_side(c, PROXY_REQUESTS, reset);
	close_side(c, PROXY_ANSWERS, false);
	c->over = true;
}

static void conn_free(struct conn *c)
{
	close_side(c, 0, true);
	close_side(c, 1, true);
	free(c->flow[0]);
	free(c->flow[1]);
	free(c);
}

static struct conn *conn_new(int client, bool opaque)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fd[PROXY_REQUESTS] = client;
	c->fd[PROXY_ANSWERS] = -1;
	for (int w = 0; w < PROXY_WAYS; w++) {
		c->flow[w] = calloc(1, sizeof(*c->flow[w]));
		if (!c->flow[w])
			continue;
		kafka_frames_init(&c->flow[w]->frames, w == PROXY_REQUESTS);
		c->flow[w]->frames.broken = opaque;
	}
	if (c->flow[0] && c->flow[1])
		return c;
	conn_free(c);
	return NULL;
}

static void said(struct proxy *p, const char *what)
{
	char at[CLOCK_ISO_LEN];

	clock_hms(clock_wall_ns(), true, at, sizeof(at));
	snprintf(p->status.last, sizeof(p->status.last), "%s at %s", what, at);
	p->status.hits++;
	p->dirty = true;
	p->status_at_ns = 0; /* at once */
}

/* --- biting */

/* May it bite here? With `once` only the first that asks. */
static bool claim(struct proxy *p)
{
	if (p->config->once && p->claimed)
		return false;
	p->claimed = true;
	return true;
}

/* From now on, on the ways that are meant: no byte more than has gone or is released. */
static void bite_ways(struct proxy *p, struct conn *c)
{
	for (int w = 0; w < PROXY_WAYS; w++) {
		struct flow *f = c->flow[w];

		if (!p->config->way[w])
			continue;
		f->stopped |= p->config->mode == PROXY_STALL;
		f->delayed |= p->config->mode == PROXY_DELAY;
		f->throttled |= p->config->mode == PROXY_THROTTLE;
		f->tokens_at_ns = p->now;
	}
}

/* The point is reached without a request: at the start, or after so many bytes. */
static void bite_plain(struct proxy *p, struct conn *c)
{
	char what[160];

	if (c->fired)
		return;
	c->fired = true;
	if (!claim(p))
		return;
	if (p->config->mode != PROXY_CUT) {
		bite_ways(p, c);
		/* what had been released behind that point stays */
		for (int w = 0; w < PROXY_WAYS; w++)
			if (c->flow[w]->stopped)
				c->flow[w]->released = c->flow[w]->start;
		return;
	}
	snprintf(what, sizeof(what), "connection cut after %llu bytes",
		(unsigned long long)c->counted);
	said(p, what);
	finish(c, true);
}

static const char *const done_texts[] = {
	[PROXY_CUT] = "was not passed on, and the connection was cut,",
	[PROXY_STALL] = "and all behind it is held back, since",
	[PROXY_DELAY] = "was held back for a while",
	[PROXY_THROTTLE] = "and all behind it is passed on slowly, since",
};

/* At a frame, of which nothing has been released: the request, or its answer. */
static void bite_frame(struct proxy *p, struct conn *c, enum proxy_way w,
	const struct kafka_frame *request, const struct kafka_frame *frame)
{
	struct flow *f = c->flow[w];
	const char *name = kafka_api_name(request->api_key);
	char what[220];

	if (w == PROXY_ANSWERS)
		snprintf(what, sizeof(what),
			"%s request %d of %u bytes got through, its answer of %u bytes %s", name,
			request->correlation, request->length, frame->length,
			done_texts[p->config->mode]);
	else
		snprintf(what, sizeof(what), "%s request %d of %u bytes %s", name,
			request->correlation, request->length, done_texts[p->config->mode]);
	said(p, what);
	if (p->config->mode == PROXY_DELAY) {
		f->blocked = true;
		f->block_until_ns = p->now + p->config->delay_ns;
		p->status.delayed += frame->length;
		return;
	}
	c->fired = true;
	if (p->config->mode == PROXY_CUT) {
		f->blocked = true;
		c->cut_when_flushed = true;
		return;
	}
	bite_ways(p, c);
}

/* Is it a request of the kind, and not one of those that pass first? */
static bool is_meant(const struct proxy *p, const struct conn *c, const struct flow *f)
{
	return p->config->after_api >= 0 && f->frames.now.api_key == p->config->after_api &&
	       p->n_requests >= p->config->nth && !c->fired;
}

/* A request has got through whole: its answer is waited for. */
static void request_through(struct proxy *p, struct conn *c)
{
	struct flow *f = c->flow[PROXY_REQUESTS];

	if (!is_meant(p, c, f) || !p->config->way[PROXY_ANSWERS] || c->awaiting || !claim(p))
		return;
	c->awaiting = true;
	c->awaited = f->frames.now;
	if (p->config->mode == PROXY_CUT) {
		f->blocked = true; /* what follows would be another one without an answer */
		c->await_until_ns = p->now + ANSWER_NS;
	}
}

static void frame_begins(struct proxy *p, struct conn *c, enum proxy_way w)
{
	struct flow *f = c->flow[w];

	if (w == PROXY_REQUESTS) {
		p->n_requests += f->frames.now.api_key == p->config->after_api;
		if (p->config->way[PROXY_REQUESTS] && is_meant(p, c, f) && claim(p))
			bite_frame(p, c, w, &f->frames.now, &f->frames.now);
	} else if (c->awaiting && f->frames.now.correlation == c->awaited.correlation) {
		c->awaiting = false;
		bite_frame(p, c, w, &c->awaited, &f->frames.now);
	}
}

/* No answer came (acks=0 asks for none): the connection is cut all the same. */
static void cut_late(struct proxy *p, struct conn *c)
{
	char what[160];

	snprintf(what, sizeof(what),
		"%s request %d of %u bytes got through, no answer came, and the connection was cut",
		kafka_api_name(c->awaited.api_key), c->awaited.correlation, c->awaited.length);
	said(p, what);
	c->fired = true;
	finish(c, true);
}

/* --- one way of a connection */

/* Look at what is new, frame by frame, and release what may go. */
static void scan(struct proxy *p, struct conn *c, enum proxy_way w)
{
	struct flow *f = c->flow[w];
	enum kafka_frames_event event;

	if (f->blocked && f->block_until_ns && p->now >= f->block_until_ns) {
		f->blocked = false;
		f->released = f->scanned - kafka_frames_undecided(&f->frames);
	}
	while (!f->blocked && !f->stopped && !c->over) {
		if (p->drain_until_ns && w == PROXY_REQUESTS && !kafka_frames_inside(&f->frames))
			break;
		f->scanned += kafka_frames_feed(
			&f->frames, f->data + f->scanned, f->end - f->scanned, &event);
		if (event == KAFKA_FRAMES_BEGIN) {
			frame_begins(p, c, w);
			if (f->blocked || f->stopped)
				break;
		}
		f->released = f->scanned - kafka_frames_undecided(&f->frames);
		if (event == KAFKA_FRAMES_NONE)
			break;
		if (event == KAFKA_FRAMES_END) {
			p->status.frames[w]++;
			c->whole[w]++;
			if (w == PROXY_REQUESTS)
				request_through(p, c);
		}
	}
	if (f->eof && !f->blocked && !f->stopped && !p->drain_until_ns)
		f->released = f->end;
}

static void refill(struct proxy *p, struct flow *f)
{
	double burst = (double)p->config->rate * (double)BURST_NS / (double)NS_PER_S;
	double more =
		(double)p->config->rate * (double)(p->now - f->tokens_at_ns) / (double)NS_PER_S;

	f->tokens += more;
	if (f->tokens > (burst < 1 ? 1 : burst))
		f->tokens = burst < 1 ? 1 : burst;
	f->tokens_at_ns = p->now;
}

/* How much may go at this moment. */
static size_t sendable(struct proxy *p, struct conn *c, enum proxy_way w)
{
	const struct proxy_config *config = p->config;
	struct flow *f = c->flow[w];
	size_t n = f->released - f->start;

	while (f->n_chunks && f->chunk[0].due_ns <= p->now) {
		f->n_chunks--;
		memmove(f->chunk, f->chunk + 1, f->n_chunks * sizeof(f->chunk[0]));
	}
	if (f->n_chunks && n > f->chunk[0].begin - f->sent)
		n = (size_t)(f->chunk[0].begin - f->sent);
	if (config->after_bytes && config->way[w] && !c->fired &&
		n > config->after_bytes - c->counted)
		n = (size_t)(config->after_bytes - c->counted);
	if (f->throttled) {
		refill(p, f);
		if ((double)n > f->tokens)
			n = (size_t)f->tokens;
	}
	return n;
}

static bool is_full(const struct flow *f)
{
	return f->end - f->start == BUFFER || f->n_chunks == MAX_CHUNKS;
}

static void make_room(struct flow *f)
{
	if (f->start == 0)
		return;
	memmove(f->data, f->data + f->start, f->end - f->start);
	f->released -= f->start;
	f->scanned -= f->start;
	f->end -= f->start;
	f->start = 0;
}

static void receive(struct proxy *p, struct conn *c, enum proxy_way w)
{
	struct flow *f = c->flow[w];
	ssize_t n;

	if (c->fd[w] < 0 || f->eof || is_full(f))
		return;
	make_room(f);
	n = recv(c->fd[w], f->data + f->end, BUFFER - f->end, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	p->dirty = true;
	if (n <= 0) {
		f->eof = true;
		if (n < 0)
			close_side(c, w, false);
		return;
	}
	if (f->delayed) {
		f->chunk[f->n_chunks++] =
			(struct chunk){f->sent + f->end, p->now + p->config->delay_ns};
		p->status.delayed += (uint64_t)n;
		if (p->status.hits == 0)
			said(p, "the first bytes were held back for a while");
	}
	f->end += (size_t)n;
}

static void pass_on(struct proxy *p, struct conn *c, enum proxy_way w)
{
	struct flow *f = c->flow[w];
	int to = c->fd[!w];
	size_t want = sendable(p, c, w);
	ssize_t n;

	if (!want || to < 0 || c->over || (w == PROXY_REQUESTS && c->connecting))
		return;
	n = send(to, f->data + f->start, want, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		close_side(c, !w, false);
	if (n <= 0)
		return;
	f->start += (size_t)n;
	f->sent += (uint64_t)n;
	p->status.bytes[w] += (uint64_t)n;
	p->dirty = true;
	if (f->throttled) {
		f->tokens -= (double)n;
		p->status.delayed += (uint64_t)n;
		if (p->status.hits == 0)
			said(p, "the first bytes were passed on slowly");
	}
	if (!p->config->way[w])
		return;
	c->counted += (uint64_t)n;
	if (p->config->after_bytes && c->counted >= p->config->after_bytes)
		bite_plain(p, c);
}

/* --- the end of a connection */

static bool is_flushed(const struct flow *f)
{
	return f->start == f->released && (f->start == f->end || f->stopped || f->blocked);
}

/* A side that has ended or broken: what it sent goes on to the other first. */
static void settle(struct proxy *p, struct conn *c)
{
	const bool client_gone = c->fd[PROXY_REQUESTS] < 0, node_gone = c->fd[PROXY_ANSWERS] < 0;
	struct flow *requests = c->flow[PROXY_REQUESTS], *answers = c->flow[PROXY_ANSWERS];

	if (c->over)
		return;
	if (c->cut_when_flushed && is_flushed(answers)) {
		finish(c, true);
		return;
	}
	if (c->await_until_ns && c->awaiting && p->now >= c->await_until_ns) {
		cut_late(p, c);
		return;
	}
	/* nobody is there to be answered, or to ask */
	if ((client_gone || (requests->eof && (requests->stopped || answers->stopped))) &&
		(node_gone || is_flushed(requests)))
		finish(c, false);
	else if (node_gone && !c->connecting && (client_gone || is_flushed(answers)) &&
		 !answers->stopped)
		finish(c, true);
	for (int w = 0; w < PROXY_WAYS && !c->over; w++) {
		struct flow *f = c->flow[w];

		if (!f->eof || f->ended || f->start != f->end || c->fd[!w] < 0 || c->connecting)
			continue;
		f->ended = true;
		(void)shutdown(c->fd[!w], SHUT_WR);
	}
	if (!c->over && requests->ended && answers->ended)
		finish(c, false);
}

/* --- the end of all of them */

/* It bites no more; what it has held back goes on. */
static void let_go(struct conn *c)
{
	c->fired = true;
	c->awaiting = false;
	for (int w = 0; w < PROXY_WAYS; w++) {
		struct flow *f = c->flow[w];

		f->stopped = f->blocked = f->delayed = f->throttled = false;
		f->n_chunks = 0;
		f->released = f->scanned - kafka_frames_undecided(&f->frames);
	}
}

/* Between two requests, when all that got through are answered, nobody misses the connection. */
static void end_if_quiet(struct proxy *p, struct conn *c)
{
	const struct flow *requests = c->flow[PROXY_REQUESTS], *answers = c->flow[PROXY_ANSWERS];
	const bool known = !requests->frames.broken && !answers->frames.broken;

	if (c->over || requests->start != requests->released || answers->start != answers->end)
		return;
	if (known &&
		(kafka_frames_inside(&requests->frames) ||
			c->whole[PROXY_REQUESTS] != c->whole[PROXY_ANSWERS]) &&
		p->now < p->drain_until_ns)
		return;
	finish(c, false);
}

static void start_drain(struct proxy *p)
{
	p->drain_until_ns = p->now + DRAIN_NS;
	close(p->listener);
	p->listener = -1;
	for (size_t i = 0; i < p->n; i++)
		let_go(p->conn[i]);
}

/* --- the loop */

static int connect_to(const struct proxy *p)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &p->config->mark, sizeof(p->config->mark)) == 0 &&
		(connect(fd, (const struct sockaddr *)&p->config->to, sizeof(p->config->to)) == 0 ||
			errno == EINPROGRESS))
		return fd;
	close(fd);
	return -1;
}

static void accept_one(struct proxy *p)
{
	int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), one = 1;
	struct conn *c;

	if (fd < 0)
		return;
	c = p->n < MAX_CONNS ? conn_new(fd, p->config->opaque) : NULL;
	if (!c) {
		if (p->n == MAX_CONNS)
			close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	p->conn[p->n++] = c;
	p->status.connections++;
	p->dirty = true;
	c->fd[PROXY_ANSWERS] = connect_to(p);
	c->connecting = true;
	if (c->fd[PROXY_ANSWERS] < 0)
		finish(c, true);
	if (!p->config->after_bytes && p->config->after_api < 0)
		bite_plain(p, c);
}

static void connected(struct conn *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	c->connecting = false;
	if (getsockopt(c->fd[PROXY_ANSWERS], SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error)
		finish(c, true);
}

static void work(struct proxy *p, struct conn *c, const struct pollfd pfd[PROXY_WAYS])
{
	if (c->connecting && pfd[PROXY_ANSWERS].revents)
		connected(c);
	for (int w = 0; w < PROXY_WAYS && !c->over; w++) {
		if (pfd[w].revents & (POLLIN | POLLHUP | POLLERR) &&
			!(w == PROXY_ANSWERS && c->connecting))
			receive(p, c, (enum proxy_way)w);
		/* broken while there is no room to read on: poll would tell so again and again */
		if (pfd[w].revents & (POLLHUP | POLLERR) && c->fd[w] >= 0 && is_full(c->flow[w])) {
			c->flow[w]->eof = true;
			close_side(c, w, false);
		}
	}
	for (int w = 0; w < PROXY_WAYS && !c->over; w++) {
		scan(p, c, (enum proxy_way)w);
		pass_on(p, c, (enum proxy_way)w);
	}
	settle(p, c);
	if (p->drain_until_ns)
		end_if_quiet(p, c);
}

/* When this connection must be looked at although nothing happens. */
static int64_t next_of(const struct proxy *p, const struct conn *c)
{
	int64_t next = p->now + (p->drain_until_ns ? 5 * NS_PER_MS : NS_PER_S);

	if (c->awaiting && c->await_until_ns && c->await_until_ns < next)
		next = c->await_until_ns;
	for (int w = 0; w < PROXY_WAYS; w++) {
		const struct flow *f = c->flow[w];

		if (f->blocked && f->block_until_ns && f->block_until_ns < next)
			next = f->block_until_ns;
		if (f->n_chunks && f->chunk[0].due_ns < next)
			next = f->chunk[0].due_ns;
		if (f->throttled && f->released > f->start && p->now + BURST_NS / 2 < next)
			next = p->now + BURST_NS / 2;
	}
	return next;
}

static short events_of(struct proxy *p, struct conn *c, int side)
{
	const struct flow *from = c->flow[side];
	short events = 0;

	if (side == PROXY_ANSWERS && c->connecting)
		return POLLOUT;
	if (!from->eof && !is_full(from))
		events |= POLLIN;
	if (sendable(p, c, (enum proxy_way) !side))
		events |= POLLOUT;
	return events;
}

/* A side that has ended and has nothing to be told is not asked: it would say so for ever. */
static int fd_of(const struct conn *c, int side, short events)
{
	return !events && c->flow[side]->eof ? -1 : c->fd[side];
}

/* The most that ever was: a client may give up meanwhile, and what was held for it goes with it. */
static void count_held(struct proxy *p)
{
	uint64_t held = 0;

	for (size_t i = 0; i < p->n; i++)
		for (int w = 0; w < PROXY_WAYS; w++)
			if (p->conn[i]->flow[w]->stopped)
				held += p->conn[i]->flow[w]->end - p->conn[i]->flow[w]->start;
	if (held > p->status.held)
		p->status.held = held;
	if (p->status.held && p->status.hits == 0)
		said(p, "the first bytes were held back for good");
}

static int tell(struct proxy *p, struct err *e)
{
	int r;

	if (!p->dirty || p->now < p->status_at_ns)
		return 0;
	count_held(p);
	r = proxy_status_write(p->config->status_path, &p->status, e);
	p->dirty = false;
	p->status_at_ns = p->now + STATUS_NS;
	return r;
}

/* One round of the loop: wait, and work on whatever is ready. */
static int turn(struct proxy *p, int64_t next, struct err *e)
{
	struct pollfd pfd[1 + 2 * MAX_CONNS];
	size_t n = p->n;

	pfd[0] = (struct pollfd){.fd = p->listener, .events = POLLIN};
	for (size_t i = 0; i < n; i++) {
		for (int side = 0; side < PROXY_WAYS; side++) {
			short events = events_of(p, p->conn[i], side);

			pfd[1 + 2 * i + (size_t)side] = (struct pollfd){
				.fd = fd_of(p->conn[i], side, events), .events = events};
		}
		if (next_of(p, p->conn[i]) < next)
			next = next_of(p, p->conn[i]);
	}
	if (poll(pfd, 1 + 2 * n, clock_left_ms(next)) < 0 && errno != EINTR)
		return err_set_errno(e, ERR_IO, errno, "poll");
	p->now = clock_ns();
	for (size_t i = 0; i < n; i++)
		work(p, p->conn[i], &pfd[1 + 2 * i]);
	if (pfd[0].revents)
		accept_one(p);
	for (size_t i = p->n; i-- > 0;) {
		if (!p->conn[i]->over)
			continue;
		conn_free(p->conn[i]);
		p->conn[i] = p->conn[--p->n];
		p->dirty = true;
	}
	return 0;
}

static int listen_on_loopback(struct proxy *p, struct err *e)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);

	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&at, len) != 0 ||
		listen(p->listener, 128) != 0 ||
		getsockname(p->listener, (struct sockaddr *)&at, &len) != 0)
		return err_set_errno(e, ERR_IO, errno, "cannot listen");
	p->status.port = ntohs(at.sin_port);
	p->dirty = true;
	return 0;
}

int proxy_run(const struct proxy_config *config, struct err *e)
{
	struct proxy *p = calloc(1, sizeof(*p));
	int64_t ask_at = 0;
	int r = p ? 0 : err_set(e, ERR_NOMEM, "out of memory");

	if (r)
		return r;
	p->config = config;
	p->now = clock_ns();
	r = listen_on_loopback(p, e);
	while (r == 0) {
		int64_t next = ask_at;

		r = tell(p, e);
		if (*config->drain && !p->drain_until_ns)
			start_drain(p);
		if (p->drain_until_ns && (p->n == 0 || p->now >= p->drain_until_ns))
			break;
		if (p->now >= ask_at) {
			if (!config->wanted(config->ctx))
				break;
			ask_at = p->now + WANTED_NS;
			next = ask_at;
		}
		if (p->dirty && p->status_at_ns < next)
			next = p->status_at_ns;
		if (r == 0)
			r = turn(p, next, e);
	}
	for (size_t i = 0; i < p->n; i++)
		conn_free(p->conn[i]);
	if (p->listener >= 0)
		close(p->listener);
	free(p);
	return r;
}
