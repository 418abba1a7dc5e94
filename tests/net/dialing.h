/*
 * dialing.h - a dialer in the loop of a test.
 */
#ifndef TESTS_NET_DIALING_H
#define TESTS_NET_DIALING_H

#include <cohort/dial.h>
#include <stdint.h>

extern struct cohort_error dialing_err; /* what the last dialer said */

/* A deadline that only a hang reaches. */
cohort_time dialing_patience(void);

/* Wait for D, which wants to be stepped at NEXT, as a user's loop does. */
void dialing_wait(const struct cohort_dialer *d, cohort_time next);

/* Step D until it is over: 1 or a failure. */
int dialing_run(struct cohort_dialer *d);

/* Step D until it pauses between two tries. */
void dialing_run_to_a_pause(struct cohort_dialer *d);

/* A dialer to ADDRESS; close it. */
struct cohort_dialer *dialing_started(
    const char *address, const struct cohort_net_options *o, cohort_time deadline);

/* D comes out well, with a hall that says welcome; closes it. */
void dialing_welcomed(struct cohort_dialer *d);

/* The port that ADDRESS names. */
uint16_t dialing_port_of(const char *address);

/* A black hole at NUMBER and PORT: its queue is full, so that what is sent to it is dropped. */
struct dialing_hole {
	int listening, filling[8];
};
void dialing_hole_open(struct dialing_hole *h, const char *number, uint16_t port);
void dialing_hole_close(struct dialing_hole *h);

#endif
