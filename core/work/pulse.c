/*
 * pulse.c - a timer descriptor in the engine's loop, and the list of those it wakes.
 *
 * The timer stands at the earliest moment that one of them named; when it rings, all that are due
 * within SOON are called, and so fall into step.  There is a timer while there is somebody to call.
 *
 * Rejected: a timer for each connection (a system call for each beat of each), and an order by time
 * (once in step, most are called in every round anyway).
 */
#include "work/pulse.h"

#include "base/clock.h"
#include "os/fd.h"
#include "work/engine.h"

#include <errno.h>
#include <stddef.h>
#include <utlist.h>

#define SOON (100 * COHORT_MS) /* a twentieth of what is promised */

/* The engine's one pulse; guarded by its lock. */
static struct {
	struct coh_pulse *all;
	struct coh_pulse *called; /* in a round: whose turn it is, NULL once that one is dropped */
	struct coh_pulse *after;  /* in a round: whose turn is next */
	struct coh_watch *watch;
	struct coh_loop *loop; /* whose watch it is: a forked child has another */
	int fd;
	cohort_time armed;
} pulse = {.fd = -1, .armed = COHORT_FOREVER};

static void pulse_arm(cohort_time when)
{
	if (when == pulse.armed)
		return;
	pulse.armed = when;
	coh_fd_timer_set(pulse.fd, when);
}

/* Call P, which may be gone afterwards. */
static void pulse_call(struct coh_pulse *p, cohort_time now)
{
	cohort_time due;

	pulse.called = p;
	due = p->fn(p->arg, now);
	if (pulse.called == p)
		p->due = due;
	pulse.called = NULL;
}

static void pulse_cb(unsigned events, void *arg)
{
	cohort_time now, next = COHORT_FOREVER;

	(void)events;
	(void)arg;
	coh_engine_lock();
	pulse.armed = -1; /* it has rung: set it anew */
	now = cohort_now();
	for (struct coh_pulse *p = pulse.all; p != NULL; p = pulse.after) {
		pulse.after = p->next;
		if (p->due <= now + SOON)
			pulse_call(p, now);
	}
	for (const struct coh_pulse *p = pulse.all; p != NULL; p = p->next)
		if (p->due < next)
			next = p->due;
	if (pulse.watch != NULL)
		pulse_arm(next);
	coh_engine_unlock();
}

static void pulse_stop(void)
{
	coh_watch_free(pulse.watch);
	pulse.watch = NULL;
	coh_fd_close(&pulse.fd);
}

static int pulse_start(void)
{
	struct coh_loop *loop = coh_engine_loop();

	if (pulse.watch != NULL && pulse.loop == loop) /* by another thread, while the lock was away */
		return 0;
	if (pulse.watch != NULL) /* our parent's */
		pulse.all = pulse.called = pulse.after = NULL;
	pulse.watch = NULL;
	pulse.loop = loop;
	pulse.fd = coh_fd_timer();
	if (pulse.fd < 0)
		return pulse.fd;
	pulse.armed = COHORT_FOREVER;
	pulse.watch = coh_watch_new(loop, pulse.fd, COH_LOOP_READ, pulse_cb, NULL);
	if (pulse.watch != NULL)
		return 0;
	pulse_stop();
	return -ENOMEM;
}

int coh_pulse_add(struct coh_pulse *p, coh_pulse_fn fn, void *arg, cohort_time due)
{
	int rc = pulse.watch == NULL || pulse.loop != coh_engine_loop() ? pulse_start() : 0;

	if (rc != 0)
		return rc;
	*p = (struct coh_pulse){.fn = fn, .arg = arg, .due = due};
	DL_APPEND(pulse.all, p);
	if (due < pulse.armed)
		pulse_arm(due);
	return 0;
}

void coh_pulse_drop(struct coh_pulse *p)
{
	if (p->fn == NULL)
		return;
	p->fn = NULL;
	if (pulse.after == p)
		pulse.after = p->next;
	if (pulse.called == p)
		pulse.called = NULL;
	DL_DELETE(pulse.all, p);
	if (pulse.all != NULL)
		return;
	coh_engine_loop(); /* may let the lock go: another may have come meanwhile */
	if (pulse.all == NULL && pulse.watch != NULL)
		pulse_stop();
}
