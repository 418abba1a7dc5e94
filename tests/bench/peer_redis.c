/*
 * peer_redis.c - a Redis server that keeps nothing on disk, and clients by hiredis over TCP on
 * loopback: LPUSH of 64 bytes, then RPOP, on one list.
 *
 * Pipelined, half of the calls under way are LPUSH and half RPOP, sent by one write: chosen by
 * measuring, since a window that slides costs a write for each answer.
 */
#include "flow.h"
#include "peers.h"

#ifdef BENCH_REDIS

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 100 /* calls under way */
#define START_SECONDS 5
#define ARGC 3

struct server {
	int port;
	pid_t pid;
};

static int free_port(void)
{
	int port = 0, fd = bench_listen(&port);

	if (fd >= 0)
		close(fd);
	return port;
}

static void server_exec(int port)
{
	int null = open("/dev/null", O_RDWR);
	char number[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_pin(1);
	snprintf(number, sizeof(number), "%d", port);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	execlp("redis-server", "redis-server", "--port", number, "--bind", "127.0.0.1", "--save", "",
	    "--appendonly", "no", "--daemonize", "no", "--dir", bench_folder(), (char *)NULL);
	_exit(127);
}

static redisContext *client(int port)
{
	redisContext *c = redisConnect("127.0.0.1", port);

	if (c != NULL && c->err == 0)
		return c;
	if (c != NULL)
		redisFree(c);
	return NULL;
}

static void server_close(struct server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

/* Until the server answers, it ended, or the time is over. */
static int server_open(struct server *s)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	int64_t start = bench_now();
	redisContext *c = NULL;

	*s = (struct server){.port = free_port()};
	s->pid = fork();
	if (s->pid == 0)
		server_exec(s->port);
	while (s->pid > 0 && c == NULL && bench_since(start) < START_SECONDS) {
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			s->pid = 0;
			return bench_say(BENCH_MISSING, "redis-server: does not start");
		}
		nanosleep(&pause, NULL);
		c = client(s->port);
	}
	if (c == NULL)
		return bench_say(BENCH_FAILED, "redis-server: does not answer");
	redisFree(c);
	return BENCH_OK;
}

/* The words of both calls, for hiredis to send as they are. */
struct calls {
	const char *put[ARGC], *get[ARGC];
	size_t put_sizes[ARGC], get_sizes[ARGC];
	struct flow_message message;
};

static void calls_init(struct calls *c)
{
	*c = (struct calls){
	    .put = {"LPUSH", "jobs", (const char *)&c->message},
	    .put_sizes = {5, 4, sizeof(c->message)},
	    .get = {"RPOP", "jobs"},
	    .get_sizes = {4, 4},
	};
}

/* Add the number of what an RPOP brought to SUM, or check that an LPUSH was done; frees it. */
static int take_reply(redisReply *r, uint64_t *sum)
{
	struct flow_message m;
	int rc = -1;

	if (r == NULL)
		return bench_say(BENCH_FAILED, "redis: the connection failed");
	if (sum == NULL) {
		rc = r->type == REDIS_REPLY_INTEGER ? 0 : -1;
	} else if (r->type == REDIS_REPLY_STRING && (size_t)r->len == sizeof(m)) {
		memcpy(&m, r->str, sizeof(m));
		*sum += flow_number(&m);
		rc = 0;
	}
	freeReplyObject(r);
	return rc == 0 ? 0 : bench_say(BENCH_FAILED, "redis: a wrong answer");
}

static int pair(redisContext *c, struct calls *calls, uint64_t number, uint64_t *sum)
{
	int rc;

	flow_fill(&calls->message, number);
	rc = take_reply(redisCommandArgv(c, ARGC, calls->put, calls->put_sizes), NULL);
	if (rc == 0)
		rc = take_reply(redisCommandArgv(c, ARGC - 1, calls->get, calls->get_sizes), sum);
	return rc;
}

static int one_at_a_time(struct flow_part *part)
{
	redisContext *c = client(*(const int *)part->arg);
	struct calls calls;
	int rc = c == NULL ? -1 : 0;

	calls_init(&calls);
	part->ready();
	for (long i = 0; i < part->count && rc == 0; i++)
		rc = pair(c, &calls, (uint64_t)i, &part->sum);
	if (c != NULL)
		redisFree(c);
	return rc;
}

/* N pairs, of which all are under way before the first answer is looked at. */
static int window(redisContext *c, struct calls *calls, uint64_t first, long n, uint64_t *sum)
{
	redisReply *r;
	long i;
	int rc = 0;

	for (i = 0; i < n; i++) {
		flow_fill(&calls->message, first + (uint64_t)i);
		redisAppendCommandArgv(c, ARGC, calls->put, calls->put_sizes);
		redisAppendCommandArgv(c, ARGC - 1, calls->get, calls->get_sizes);
	}
	for (i = 0; i < 2 * n && rc == 0; i++) {
		r = NULL;
		redisGetReply(c, (void **)&r);
		rc = take_reply(r, i % 2 == 0 ? NULL : sum);
	}
	return rc;
}

static int pipelined(struct flow_part *part)
{
	redisContext *c = client(*(const int *)part->arg);
	struct calls calls;
	long i, pairs = WINDOW / 2;
	int rc = c == NULL ? -1 : 0;

	calls_init(&calls);
	part->ready();
	for (i = 0; i < part->count && rc == 0; i += pairs) {
		if (pairs > part->count - i)
			pairs = part->count - i;
		rc = window(c, &calls, (uint64_t)i, pairs, &part->sum);
	}
	if (c != NULL)
		redisFree(c);
	return rc;
}

static int run(const struct bench_load *load, flow_fn fn, double *pairs_per_s)
{
	struct server s;
	struct flow flow = {
	    .get = fn,
	    .arg = &s.port,
	    .getters = load->sides,
	    .count = load->count,
	    .placing = load->sides == 1 ? FLOW_FIRST : FLOW_ANYWHERE,
	};
	int rc = server_open(&s);

	if (rc == BENCH_OK)
		rc = flow_run(&flow, pairs_per_s);
	server_close(&s);
	return rc;
}

int peer_redis_calls(const void *load, double *pairs_per_s)
{
	return run(load, one_at_a_time, pairs_per_s);
}

int peer_redis_pipeline(const void *load, double *pairs_per_s)
{
	return run(load, pipelined, pairs_per_s);
}

#else

static int missing(void)
{
	return bench_say(BENCH_MISSING, "Redis: built without libhiredis-dev");
}

int peer_redis_calls(const void *load, double *pairs_per_s)
{
	(void)load;
	(void)pairs_per_s;
	return missing();
}

int peer_redis_pipeline(const void *load, double *pairs_per_s)
{
	(void)load;
	(void)pairs_per_s;
	return missing();
}

#endif
