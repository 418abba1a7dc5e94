/*
 * idle.c - what 10,000 peers cost who have nothing to say, and what a stranger costs.
 *
 * A server process holds one listener and its connections in one loop, a client process all the
 * other ends; both promise a sign of life every 5 s.  A heap is that of the end that
 * needs more.  The bars are absolute, so the other contestant is the unit.
 *
 * A server does what it is asked by a byte on a socket, and answers with a number.
 */
#include "bench.h"
#include "conn/listener_priv.h"
#include "crowd.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PEERS 10000
#define STRANGERS 1000
#define ADDRESS 64
#define SETTLE_MS 500     /* after the last has come: then nothing is under way */
#define WATCHED_MS 10000  /* of a server's CPU */
#define PATIENCE_MS 60000 /* until all have joined */
#define BEAT (5 * COHORT_SECOND) /* both ends: either finds the other gone after 15 s */

enum ask { ASK_JOINED = 'j', ASK_HEAP = 'h', ASK_CPU = 'c', ASK_STRANGERS = 's' };

struct load {
	const char *address;
	const char *hello; /* the half of one */
	size_t size;
};

/* A server as its client sees it. */
struct server {
	pid_t pid;
	int fds[2];
	char address[ADDRESS];
};

struct hall {
	struct crowd crowd;
	struct cohort_net_options options;
	struct cohort_key *key;
};

static const struct cohort_backoff retry = {100 * COHORT_MS, 5 * COHORT_SECOND, 0};

static int hall_open(struct hall *h, int max)
{
	int rc = cohort_key_new(&h->key, "a key that the benchmark shares", 32, NULL);

	h->options = (struct cohort_net_options){
	    .key = h->key, .heartbeat = BEAT, .backlog = 4096, .retry = &retry};
	if (rc == 0)
		rc = crowd_limit(max);
	return rc == 0 ? crowd_open(&h->crowd, max) : rc;
}

static void hall_close(struct hall *h)
{
	crowd_close(&h->crowd);
	cohort_key_free(h->key);
}

static double answer(const struct hall *h, enum ask what)
{
	struct mallinfo2 m = mallinfo2();
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	switch (what) {
	case ASK_JOINED:
		return h->crowd.joined;
	case ASK_HEAP:
		return (double)(m.uordblks + m.hblkhd);
	case ASK_CPU:
		return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	case ASK_STRANGERS:
		return coh_listener_strangers(h->crowd.listener);
	}
	return 0;
}

/* The server's process: listen where it is told, tell where that is, and answer. */
static int serve(void *arg)
{
	const struct server *s = arg;
	struct hall h;
	char address[ADDRESS], what;
	double value;
	int rc = bench_read(s->fds[1], address, ADDRESS);

	if (rc == 0 && hall_open(&h, PEERS + 1) == 0)
		rc = cohort_listen(&h.crowd.listener, address, &h.options, &h.crowd.err);
	if (rc == 0)
		rc = crowd_listen(&h.crowd, h.crowd.listener);
	if (rc == 0) {
		memccpy(address, cohort_listener_address(h.crowd.listener), '\0', ADDRESS);
		rc = bench_write(s->fds[1], address, ADDRESS);
	}
	while (rc >= 0) {
		rc = crowd_run(&h.crowd, s->fds[1]);
		if (rc <= 0)
			continue;
		if (bench_read(s->fds[1], &what, 1) < 0)
			break;
		value = answer(&h, (enum ask)what);
		rc = bench_write(s->fds[1], &value, sizeof(value));
	}
	return bench_say(BENCH_FAILED, "server: %s", h.crowd.err.text);
}

static int server_fork(struct server *s)
{
	if (bench_pair(BENCH_SOCKETPAIR, s->fds) != BENCH_OK)
		return -1;
	s->pid = bench_peer(serve, s);
	close(s->fds[1]);
	return s->pid < 0 ? -1 : 0;
}

static int server_listen(struct server *s, const char *address)
{
	memccpy(s->address, address, '\0', ADDRESS);
	if (bench_write(s->fds[0], s->address, ADDRESS) < 0)
		return -1;
	return bench_read(s->fds[0], s->address, ADDRESS);
}

static double server_ask(const struct server *s, enum ask what)
{
	char byte = (char)what;
	double value = 0;

	if (bench_write(s->fds[0], &byte, 1) < 0 ||
	    bench_read(s->fds[0], &value, sizeof(value)) < 0)
		bench_say(BENCH_FAILED, "the server is gone");
	return value;
}

static void server_kill(const struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	close(s->fds[0]);
}

static int run_for(struct crowd *c, int ms)
{
	cohort_time end = cohort_in(ms * COHORT_MS);
	int rc = 0;

	while (rc >= 0 && cohort_now() < end)
		rc = crowd_run(c, -1);
	return rc < 0 ? -1 : 0;
}

/* Until all guests have joined for the TIMES-th time. */
static int run_until_joined(struct crowd *c, int times)
{
	cohort_time end = cohort_in(PATIENCE_MS * COHORT_MS);
	int rc = 0;

	while (rc >= 0 && (c->joined < c->max || c->joins < (long)c->max * times)) {
		rc = crowd_run(c, -1);
		if (cohort_now() > end)
			return bench_say(BENCH_FAILED, "only %d joined", c->joined);
	}
	return rc < 0 ? -1 : 0;
}

/* One who comes and goes: what libraries then keep for good is no guest's cost. */
static int rehearse(struct hall *h, const struct server *s)
{
	struct cohort_conn *c;

	if (cohort_dial(&c, s->address, &h->options, COHORT_FOREVER, &h->crowd.err) != 0)
		return bench_say(BENCH_FAILED, "%s", h->crowd.err.text);
	cohort_conn_close(c);
	return 0;
}

/* A server, and all its guests in H; what each end's heap was before, in HEAPS. */
static int gather(struct hall *h, struct server *s, const struct load *load, double heaps[2])
{
	int rc = server_listen(s, load->address);

	if (rc == 0)
		rc = hall_open(h, PEERS);
	h->crowd.address = s->address;
	h->crowd.options = &h->options;
	h->crowd.stay = true;
	if (rc == 0)
		rc = rehearse(h, s);
	heaps[0] = answer(h, ASK_HEAP);
	heaps[1] = server_ask(s, ASK_HEAP);
	if (rc == 0)
		rc = crowd_dial(&h->crowd);
	if (rc == 0)
		rc = run_until_joined(&h->crowd, 1);
	return rc == 0 ? run_for(&h->crowd, SETTLE_MS) : rc;
}

static int part(struct hall *h, const struct server *s, int rc)
{
	if (rc == 0 && server_ask(s, ASK_JOINED) != PEERS)
		rc = bench_say(BENCH_FAILED, "the server does not hold all");
	if (rc != 0)
		bench_say(BENCH_FAILED, "idle: the run failed: %s", h->crowd.err.text);
	server_kill(s);
	hall_close(h);
	return rc == 0 ? BENCH_OK : BENCH_FAILED;
}

static int heap(const void *load, double *kib)
{
	struct server s;
	struct hall h = {0};
	double before[2] = {0}, ours, theirs;
	int rc = server_fork(&s);

	bench_pin(0);
	if (rc == 0)
		rc = gather(&h, &s, load, before);
	ours = (answer(&h, ASK_HEAP) - before[0]) / PEERS / 1024;
	theirs = (server_ask(&s, ASK_HEAP) - before[1]) / PEERS / 1024;
	bench_say(BENCH_OK, "heap each: %.3f KiB where it listens, %.3f KiB where it dials", theirs,
	    ours);
	*kib = ours > theirs ? ours : theirs;
	return part(&h, &s, rc);
}

static int cpu(const void *load, double *percent)
{
	struct server s;
	struct hall h = {0};
	double before[2] = {0}, used;
	int64_t start;
	int rc = server_fork(&s);

	bench_pin(0);
	if (rc == 0)
		rc = gather(&h, &s, load, before);
	used = server_ask(&s, ASK_CPU);
	start = bench_now();
	if (rc == 0)
		rc = run_for(&h.crowd, WATCHED_MS);
	used = server_ask(&s, ASK_CPU) - used;
	*percent = used / bench_since(start) * 100;
	return part(&h, &s, rc);
}

/* The server is killed, and another takes its place: until each guest is back. */
static int rejoin(const void *load, double *seconds)
{
	struct server s, other;
	struct hall h = {0};
	double before[2] = {0};
	int64_t start;
	int rc = server_fork(&other);

	if (rc == 0)
		rc = server_fork(&s);
	bench_pin(0);
	if (rc == 0)
		rc = gather(&h, &s, load, before);
	start = bench_now();
	server_kill(&s);
	if (rc == 0)
		rc = server_listen(&other, s.address);
	if (rc == 0)
		rc = run_until_joined(&h.crowd, 2);
	*seconds = bench_since(start);
	if (rc == 0)
		rc = run_for(&h.crowd, SETTLE_MS);
	return part(&h, &other, rc);
}

/* Somebody who begins a hello and says no more; the descriptor, or -1. */
static int intrude(const struct server *s, const struct load *load)
{
	int fd = bench_connect(atoi(strrchr(s->address, ':') + 1));

	return fd >= 0 && bench_write(fd, load->hello, load->size) == 0 ? fd : -1;
}

static int stranger(const void *arg, double *kib)
{
	const struct load *load = arg;
	struct server s;
	struct hall h = {0};
	double before, held;
	int i, rc = server_fork(&s), fds[STRANGERS];

	bench_pin(0);
	if (rc == 0)
		rc = server_listen(&s, load->address);
	if (rc == 0)
		rc = hall_open(&h, STRANGERS);
	if (rc == 0)
		rc = rehearse(&h, &s);
	before = server_ask(&s, ASK_HEAP);
	for (i = 0; i < STRANGERS; i++)
		fds[i] = rc == 0 ? intrude(&s, load) : -1;
	poll(NULL, 0, SETTLE_MS);
	held = server_ask(&s, ASK_STRANGERS);
	*kib = (server_ask(&s, ASK_HEAP) - before) / held / 1024;
	bench_say(BENCH_OK, "%.0f strangers are held", held);
	for (i = 0; i < STRANGERS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	server_kill(&s);
	hall_close(&h);
	return rc == 0 && held > 0 ? BENCH_OK : BENCH_FAILED;
}

static int unit(const void *load, double *value)
{
	(void)load;
	*value = 1;
	return BENCH_OK;
}

/* What our frames, and those of TLS, begin with; both announce more than comes. */
static const char half_clear[] = "\x43\xc7\x01\x01\0\0\0\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0COH1C";
static const char half_tls[] = "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 and no more of it";

static const struct load clear = {"tcp://127.0.0.1:0", half_clear, sizeof(half_clear) - 1};
static const struct load tls = {"tls://127.0.0.1:0", half_tls, sizeof(half_tls) - 1};

#define IDLE(what, of_what, fn, load, most)                                                 \
	{                                                                                   \
		.name = "idle." what, .unit = of_what, .ours = {"ours", fn, load},          \
		.peer = {"1", unit, load}, .sense = BENCH_AT_MOST, .bar = most, .rounds = 1, \
	}

static const struct bench_figure figures[] = {
	IDLE("heap_tcp", "KiB", heap, &clear, 4),
	IDLE("heap_tls", "KiB", heap, &tls, 24),
	IDLE("rejoin_tcp", "s", rejoin, &clear, 30),
	IDLE("rejoin_tls", "s", rejoin, &tls, 30),
	IDLE("cpu_tcp", "% of a CPU", cpu, &clear, 5),
	IDLE("cpu_tls", "% of a CPU", cpu, &tls, 5),
	IDLE("stranger_tcp", "KiB", stranger, &clear, 8),
	IDLE("stranger_tls", "KiB", stranger, &tls, 48),
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, figures, sizeof(figures) / sizeof(*figures));
}
