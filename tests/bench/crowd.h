/*
 * crowd.h - thousands of connections in one epoll loop of the program's own, as a user writes it.
 *
 * A guest is an end of one connection, or a dialer on its way to become one.  Each is stepped when
 * its descriptor has news and at the moment that its last step asked for; those moments lie
 * in a ring of lists, so that a guest costs nothing while it is silent.
 */
#ifndef COHORT_BENCH_CROWD_H
#define COHORT_BENCH_CROWD_H

#include <cohort/cohort.h>
#include <stdbool.h>
#include <sys/queue.h>

#define CROWD_TICK (10 * COHORT_MS)
#define CROWD_RING 512
#define CROWD_DIALLING 256 /* at once: with more, one process answers none of them in time */

struct guest {
	TAILQ_ENTRY(guest) link; /* in the ring, or waiting */
	struct cohort_conn *conn;
	struct cohort_dialer *dialer;
	cohort_time due;
	int fd;       /* as epoll knows it; -1: none */
	short events; /* what epoll watches it for */
	int ring; /* which list; -1: none */
};

TAILQ_HEAD(guests, guest);

struct crowd {
	int epoll;
	struct guest *guests;
	int max, joined; /* joined: those with a connection */
	long joins;      /* how often somebody joined */
	int seat;        /* where to look for a free guest first */
	cohort_time tick; /* the next to look at, in CROWD_TICK */
	struct guests ring[CROWD_RING];
	/* a client's */
	const char *address;
	const struct cohort_net_options *options;
	bool stay; /* who lost its connection dials again */
	int dialling;
	struct guests waiting; /* to dial */
	/* a server's */
	struct cohort_listener *listener;
	struct cohort_error err;
};

/* Room for MAX guests.  0 or -1. */
int crowd_open(struct crowd *c, int max);
void crowd_close(struct crowd *c);

/* As many descriptors as MAX guests need.  0 or -1. */
int crowd_limit(int max);

/* A server: accept from now on.  0 or -1. */
int crowd_listen(struct crowd *c, struct cohort_listener *l);

/* A client: have all guests dial.  0 or -1. */
int crowd_dial(struct crowd *c);

/*
 * Wait for FD (of the caller's, may be -1) or a tick at most, and do what there is to do: 1 when FD
 * is readable, 0, or -1 when a guest failed for good.
 */
int crowd_run(struct crowd *c, int fd);

#endif
