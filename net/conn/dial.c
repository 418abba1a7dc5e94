/*
 * dial.c - a dialer, run to its end by the caller who waits.
 */
#include "base/clock.h"
#include "conn/dialer.h"
#include "sync/gate.h"

#include <poll.h>
#include <sched.h>

/*
 * A peer on this machine has answered in this time, and being woken on another CPU may take longer than its answer: so long the
 * caller stays awake, and gives its CPU to whoever wants it, which may be that peer.
 */
#define AWAKE (500 * COHORT_US)

/* May the caller stay awake for D?  UNTIL is 0, or what the last call for D made of it. */
static bool dial_awake(const struct cohort_dialer *d, cohort_time *until)
{
	if (!coh_dialer_is_near(d) || !coh_gate_may_spin())
		return false;
	if (*until == 0)
		*until = cohort_in(AWAKE);
	return !coh_clock_passed(*until);
}

/* Until there is something to do for D, or NEXT.  Interrupted is as good: a step more does no harm. */
static void dial_wait(const struct cohort_dialer *d, cohort_time next)
{
	struct pollfd p = {.fd = cohort_dialer_fd(d), .events = cohort_dialer_events(d)};
	cohort_time left = coh_clock_left(next);
	struct timespec ts = coh_clock_timespec(left);

	(void)ppoll(&p, 1, left == COHORT_FOREVER ? NULL : &ts, NULL);
}

int coh_dial(struct cohort_conn **conn, const char *address, const struct coh_dial *how,
    cohort_time deadline, struct cohort_error *err)
{
	struct cohort_dialer d;
	cohort_time next, awake = 0;
	int rc = coh_dialer_init(&d, address, how, deadline, err);

	while (rc == 0 && (rc = cohort_dialer_step(&d, &next, err)) == 0)
		if (dial_awake(&d, &awake))
			sched_yield();
		else
			dial_wait(&d, next);
	*conn = rc == 1 ? cohort_dialer_take(&d) : NULL;
	coh_dialer_fini(&d);
	return rc == 1 ? 0 : rc;
}

int cohort_dial(struct cohort_conn **conn, const char *address,
    const struct cohort_net_options *options, cohort_time deadline, struct cohort_error *err)
{
	return coh_dial(conn, address, &(struct coh_dial){.options = options}, deadline, err);
}
