/*
 * crowd.c - thousands of connections in one epoll loop of the program's own.
 */
#include "crowd.h"

#include "bench.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define BATCH 256
#define SPARE 64 /* descriptors that are no guest's */

int crowd_limit(int max)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	limit.rlim_cur = (rlim_t)max + SPARE;
	if (limit.rlim_cur > limit.rlim_max)
		return bench_say(BENCH_FAILED, "%d descriptors are not to be had", max + SPARE);
	return setrlimit(RLIMIT_NOFILE, &limit);
}

int crowd_open(struct crowd *c, int max)
{
	int i;

	*c = (struct crowd){.max = max, .tick = cohort_now() / CROWD_TICK};
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->guests = calloc((size_t)max, sizeof(*c->guests));
	TAILQ_INIT(&c->waiting);
	for (i = 0; i < CROWD_RING; i++)
		TAILQ_INIT(&c->ring[i]);
	for (i = 0; i < max && c->guests != NULL; i++)
		c->guests[i].fd = c->guests[i].ring = -1;
	return c->epoll < 0 || c->guests == NULL ? -1 : 0;
}

static void unschedule(struct crowd *c, struct guest *g)
{
	if (g->ring >= 0)
		TAILQ_REMOVE(&c->ring[g->ring], g, link);
	g->ring = -1;
}

/* Step G at DUE, or at a tick shortly after it. */
static void schedule(struct crowd *c, struct guest *g, cohort_time due)
{
	cohort_time tick = due / CROWD_TICK + 1;

	unschedule(c, g);
	g->due = due;
	if (due == COHORT_FOREVER)
		return;
	if (tick < c->tick)
		tick = c->tick;
	if (tick >= c->tick + CROWD_RING)
		tick = c->tick + CROWD_RING - 1; /* and from there once more */
	g->ring = (int)(tick % CROWD_RING);
	TAILQ_INSERT_TAIL(&c->ring[g->ring], g, link);
}

/* Watch FD for the events of poll(2) in EVENTS, which have the same values. */
static int watch(struct crowd *c, struct guest *g, int fd, short events, uint32_t how)
{
	struct epoll_event e = {.events = (uint32_t)events | how, .data.ptr = g};
	int op = fd == g->fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	g->fd = fd;
	g->events = events;
	if (fd < 0 || epoll_ctl(c->epoll, op, fd, &e) == 0)
		return 0;
	/* A dialer closed the descriptor and got another with the same number. */
	return op == EPOLL_CTL_MOD ? epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e) : -1;
}

/* Dial, or wait until one of those who do is through. */
static int dial(struct crowd *c, struct guest *g)
{
	if (c->dialling == CROWD_DIALLING) {
		TAILQ_INSERT_TAIL(&c->waiting, g, link);
		return 0;
	}
	c->dialling++;
	if (cohort_dialer_start(&g->dialer, c->address, c->options, COHORT_FOREVER, &c->err) != 0)
		return -1;
	schedule(c, g, cohort_now());
	return 0;
}

/* A dialer is through: the next, please. */
static int dial_next(struct crowd *c)
{
	struct guest *g = TAILQ_FIRST(&c->waiting);

	c->dialling--;
	if (g == NULL)
		return 0;
	TAILQ_REMOVE(&c->waiting, g, link);
	return dial(c, g);
}

static int leave(struct crowd *c, struct guest *g)
{
	unschedule(c, g);
	cohort_conn_close(g->conn);
	g->conn = NULL;
	g->fd = -1;
	c->joined--;
	return c->stay ? dial(c, g) : 0;
}

static int step_conn(struct crowd *c, struct guest *g)
{
	cohort_time next;
	const void *data;
	short events;
	size_t size;

	if (cohort_conn_step(g->conn, &next) == 0) {
		schedule(c, g, next);
		events = cohort_conn_events(g->conn);
		return events == g->events ? 0 : watch(c, g, g->fd, events, 0);
	}
	/* Nobody here says anything, so this is the end. */
	if (cohort_conn_recv_bytes(g->conn, &data, &size, COHORT_NOW) == 0)
		return bench_say(BENCH_FAILED, "a message out of nowhere");
	return leave(c, g);
}

static int join(struct crowd *c, struct guest *g, struct cohort_conn *conn)
{
	g->conn = conn;
	c->joined++;
	c->joins++;
	if (watch(c, g, cohort_conn_fd(conn), cohort_conn_events(conn), 0) < 0)
		return -1;
	return step_conn(c, g);
}

static int step_dialer(struct crowd *c, struct guest *g)
{
	struct cohort_conn *conn;
	cohort_time next;
	int rc = cohort_dialer_step(g->dialer, &next, &c->err);

	if (rc < 0)
		return bench_say(BENCH_FAILED, "%s", c->err.text);
	if (rc == 0) {
		schedule(c, g, next);
		return watch(c, g, cohort_dialer_fd(g->dialer), cohort_dialer_events(g->dialer),
		    EPOLLONESHOT);
	}
	conn = cohort_dialer_take(g->dialer);
	cohort_dialer_close(g->dialer);
	g->dialer = NULL;
	return dial_next(c) == 0 ? join(c, g, conn) : -1;
}

static int step(struct crowd *c, struct guest *g)
{
	if (g->dialer != NULL)
		return step_dialer(c, g);
	return g->conn != NULL ? step_conn(c, g) : 0;
}

/* Everyone who is at the door. */
static int welcome(struct crowd *c)
{
	struct cohort_conn *conn;
	int rc;

	while ((rc = cohort_listener_accept(c->listener, &conn, COHORT_NOW, &c->err)) == 0) {
		if (c->joined == c->max)
			return bench_say(BENCH_FAILED, "more guests than invited");
		while (c->guests[c->seat].conn != NULL)
			c->seat = (c->seat + 1) % c->max;
		if (join(c, &c->guests[c->seat], conn) < 0)
			return -1;
	}
	return rc == COHORT_ETIMEDOUT ? 0 : bench_say(BENCH_FAILED, "%s", c->err.text);
}

int crowd_listen(struct crowd *c, struct cohort_listener *l)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = l};

	c->listener = l;
	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, cohort_listener_fd(l), &e);
}

int crowd_dial(struct crowd *c)
{
	int i, rc = 0;

	for (i = 0; i < c->max && rc == 0; i++)
		rc = dial(c, &c->guests[i]);
	return rc;
}

/* Step those whose moment has come. */
static int catch_up(struct crowd *c)
{
	cohort_time now = cohort_now();
	struct guests due;
	struct guest *g;
	int rc = 0;

	while (c->tick <= now / CROWD_TICK && rc == 0) {
		TAILQ_INIT(&due);
		TAILQ_CONCAT(&due, &c->ring[c->tick % CROWD_RING], link);
		c->tick++; /* who is scheduled from here on waits */
		TAILQ_FOREACH(g, &due, link)
			g->ring = -1;
		while ((g = TAILQ_FIRST(&due)) != NULL) {
			TAILQ_REMOVE(&due, g, link);
			if (g->due > now)
				schedule(c, g, g->due);
			else if (rc == 0)
				rc = step(c, g);
		}
	}
	return rc;
}

/* Until the next tick, for epoll_wait. */
static int pause_ms(const struct crowd *c)
{
	cohort_time left = c->tick * CROWD_TICK - cohort_now();

	return left <= 0 ? 0 : (int)(left / COHORT_MS) + 1;
}

int crowd_run(struct crowd *c, int fd)
{
	struct epoll_event events[BATCH];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int i, n = epoll_wait(c->epoll, events, BATCH, pause_ms(c)), rc = 0;

	for (i = 0; i < n && rc == 0; i++)
		rc = events[i].data.ptr == c->listener ? welcome(c) : step(c, events[i].data.ptr);
	if (rc == 0)
		rc = catch_up(c);
	if (rc < 0)
		return -1;
	return fd >= 0 && n < BATCH && poll(&p, 1, 0) == 1;
}

void crowd_close(struct crowd *c)
{
	int i;

	for (i = 0; i < c->max && c->guests != NULL; i++) {
		cohort_dialer_close(c->guests[i].dialer);
		cohort_conn_close(c->guests[i].conn);
	}
	free(c->guests);
	close(c->epoll);
}
