/*
 * loop_libevent.c - seam 3 over libevent; the only libevent in core.
 *
 * The base is made without locks and without libevent's thread support: that support is one
 * switch for the whole process and belongs to the application.  engine.c sees to it that one
 * thread at a time touches the base; the doorbell is an eventfd of our own.
 */
#include "os/loop.h"

#include "base/clock.h"
#include "base/mem.h"
#include "os/fd.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <unistd.h>

struct coh_loop {
	struct event_base *base;
	struct event bell, deadline;
	int bell_fd;
};

struct coh_watch {
	struct event event;
	struct coh_loop *loop;
	coh_watch_fn fn;
	void *arg;
	unsigned events;
};

static void bell_cb(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	(void)arg;
	if (read(fd, &count, sizeof count) < 0)
		return; /* rung and heard already */
}

static void deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg; /* being called is enough: the round ends */
}

/*
 * libevent ends the process when it finds no descriptors for its own pipe; so look first whether
 * there are enough (an epoll set, the pipe, one spare).
 */
static bool descriptors_left(void)
{
	int fds[4], n = 0;

	while (n < 4 && (fds[n] = coh_fd_event()) >= 0)
		n++;
	for (int i = 0; i < n; i++)
		close(fds[i]);
	return n == 4;
}

static struct event_base *base_new(void)
{
	struct event_config *config;
	struct event_base *base = NULL;

	if (!descriptors_left())
		return NULL;
	config = event_config_new();
	if (config == NULL)
		return NULL;
	if (event_config_set_flag(config,
		EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
		    EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct coh_loop *coh_loop_new(void)
{
	struct coh_loop *l = coh_calloc(sizeof *l);

	if (l == NULL)
		return NULL;
	l->bell_fd = coh_fd_event();
	l->base = l->bell_fd >= 0 ? base_new() : NULL;
	if (l->base == NULL)
		goto fail;
	event_assign(&l->bell, l->base, l->bell_fd, EV_READ | EV_PERSIST, bell_cb, NULL);
	event_assign(&l->deadline, l->base, -1, 0, deadline_cb, NULL);
	if (event_add(&l->bell, NULL) == 0)
		return l;
fail:
	coh_loop_free(l);
	return NULL;
}

void coh_loop_free(struct coh_loop *l)
{
	if (l == NULL)
		return;
	if (l->base != NULL)
		event_base_free(l->base);
	if (l->bell_fd >= 0)
		close(l->bell_fd);
	coh_free(l);
}

static struct timeval timeval_until(cohort_time deadline)
{
	/* rounded up: a round that ends early would only be run again */
	cohort_time left = coh_clock_left(deadline) + 999;

	return (struct timeval){.tv_sec = left / COHORT_SECOND,
	    .tv_usec = left % COHORT_SECOND / 1000};
}

int coh_loop_run(struct coh_loop *l, cohort_time deadline)
{
	int flags = EVLOOP_ONCE;
	struct timeval tv;

	if (coh_clock_passed(deadline))
		flags |= EVLOOP_NONBLOCK;
	else if (deadline != COHORT_FOREVER) {
		tv = timeval_until(deadline);
		if (event_add(&l->deadline, &tv) != 0)
			return -ENOMEM;
	}
	return event_base_loop(l->base, flags) < 0 ? -EIO : 0;
}

void coh_loop_wake(struct coh_loop *l)
{
	uint64_t one = 1;

	if (write(l->bell_fd, &one, sizeof one) < 0)
		return; /* full: it rings already */
}

static void watch_cb(evutil_socket_t fd, short what, void *arg)
{
	struct coh_watch *w = arg;

	(void)fd;
	w->fn((what & EV_READ ? COH_LOOP_READ : 0u) | (what & EV_WRITE ? COH_LOOP_WRITE : 0u),
	    w->arg);
}

static short watch_flags(unsigned events)
{
	return (short)(EV_PERSIST | (events & COH_LOOP_READ ? EV_READ : 0) |
	    (events & COH_LOOP_WRITE ? EV_WRITE : 0));
}

struct coh_watch *coh_watch_new(
    struct coh_loop *l, int fd, unsigned events, coh_watch_fn fn, void *arg)
{
	struct coh_watch *w = coh_calloc(sizeof *w);

	if (w == NULL)
		return NULL;
	w->loop = l;
	w->fn = fn;
	w->arg = arg;
	w->events = events;
	event_assign(&w->event, l->base, fd, watch_flags(events), watch_cb, w);
	if (events != 0 && event_add(&w->event, NULL) != 0) {
		coh_free(w);
		return NULL;
	}
	return w;
}

int coh_watch_set(struct coh_watch *w, unsigned events)
{
	evutil_socket_t fd = event_get_fd(&w->event);

	if (events == w->events)
		return 0;
	event_del(&w->event);
	event_assign(&w->event, w->loop->base, fd, watch_flags(events), watch_cb, w);
	w->events = events;
	return events == 0 || event_add(&w->event, NULL) == 0 ? 0 : -ENOMEM;
}

void coh_watch_fire(struct coh_watch *w)
{
	event_active(&w->event, EV_READ, 0);
}

void coh_watch_free(struct coh_watch *w)
{
	if (w == NULL)
		return;
	event_del(&w->event);
	coh_free(w);
}
