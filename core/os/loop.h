/*
 * loop.h - seam 3: how we wait.  Descriptors, a deadline and a doorbell.
 *
 * A loop and its watches belong to whoever holds the right to run it (engine.c says
 * who); only coh_loop_wake may be called by others.
 */
#ifndef COH_OS_LOOP_H
#define COH_OS_LOOP_H

#include <cohort/time.h>
#include <poll.h>

struct coh_loop;
struct coh_watch;

enum { COH_LOOP_READ = 1, COH_LOOP_WRITE = 2 };

/* The same for EVENTS of poll(2). */
static inline unsigned coh_loop_events(short events)
{
	return (events & POLLIN ? COH_LOOP_READ : 0u) | (events & POLLOUT ? COH_LOOP_WRITE : 0u);
}

typedef void (*coh_watch_fn)(unsigned events, void *arg);

/* A loop; NULL when descriptors or memory are out. */
struct coh_loop *coh_loop_new(void);
void coh_loop_free(struct coh_loop *l);

/* Run one round: wait until something happens or DEADLINE, call what is due.  0 or -errno. */
int coh_loop_run(struct coh_loop *l, cohort_time deadline);

/* Make a round that waits, or the next one, return.  Any thread; async-signal-safe. */
void coh_loop_wake(struct coh_loop *l);

/* Call FN(events, ARG) while FD is ready for EVENTS; borrows FD (-1, with no EVENTS: one that is only fired).  NULL: no memory. */
struct coh_watch *coh_watch_new(
    struct coh_loop *l, int fd, unsigned events, coh_watch_fn fn, void *arg);
/* Change what is waited for.  0 or -ENOMEM. */
int coh_watch_set(struct coh_watch *w, unsigned events);
/* From a callback of the loop: call the FN of W in this round, once, behind all that is due by now. */
void coh_watch_fire(struct coh_watch *w);
/* May be called from any callback of the loop, its own included.  Before its FD is closed. */
void coh_watch_free(struct coh_watch *w);

#endif
