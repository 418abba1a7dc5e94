/*
 * dial.c - a dialer, run to its end by the caller who waits.
 */
#include "base/clock.h"
#include "conn/dialer.h"

#include <poll.h>

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
	cohort_time next;
	int rc = coh_dialer_init(&d, address, how, deadline, err);

	while (rc == 0 && (rc = cohort_dialer_step(&d, &next, err)) == 0)
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
