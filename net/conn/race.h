/*
 * race.h - connect to the first address of a host that answers, without waiting.
 *
 * net/addr/eyeballs.h says whom to try when; this has the sockets.  There is one descriptor to
 * watch: the socket itself while there is one only, an epoll set once there are more.
 *
 * A race belongs to one thread.
 */
#ifndef COH_CONN_RACE_H
#define COH_CONN_RACE_H

#include "addr/eyeballs.h"

struct coh_race {
	const struct coh_resolved *where;
	struct coh_eyeballs pace;
	int fds[COH_RESOLVE_MAX]; /* by address; -1: not under way */
	int under_way;
	int epoll;   /* -1 until two sockets were under way at once */
	int failed;  /* the address whose failure says most, or -1 */
	int failure; /* and its -errno */
};

/* Begin; WHERE, in the order to try, is borrowed until fini, which is needed always. */
void coh_race_init(struct coh_race *r, const struct coh_resolved *where);
void coh_race_fini(struct coh_race *r);

/*
 * Go on, it being NOW.  1: address *WON has connected, *FD is given (non-blocking, close-on-exec, without
 * Nagle's delay) and all others are closed.  0: go on when the descriptor is ready, or at coh_race_next.
 * -errno of connect(2): all have failed; *WON is the one that it is about.
 */
int coh_race_step(struct coh_race *r, cohort_time now, int *won, int *fd);

/* The descriptor to watch for EVENTS (poll(2)) until the next step, and when to step at the latest. */
int coh_race_fd(const struct coh_race *r, short *events);
cohort_time coh_race_next(const struct coh_race *r);

#endif
